//! One attempt: what is sent, how long it is waited for, and what its end means.

use super::Deadline;
use super::core::{End, Key};
use crate::resilience::clock::Clock;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

/// What the inner service is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt<R> {
    /// The request of the call.
    pub request: R,
    /// Which attempt it is, from 1.
    pub number: u32,
    /// The key of the call: for a header, so that the server can know it again.
    pub key: Key,
    /// When nobody waits for its answer any more, by the layer's clock: what the call has left, and one attempt may take.
    pub deadline: Deadline,
    /// How long that is. [`Deadline::header`] sends it on.
    pub remaining: Duration,
}

/// What the result of an attempt means.
pub trait Classify<T, E> {
    /// Of one attempt. An `Err` that is called a success is taken for a permanent error.
    fn classify(&self, result: Result<&T, &E>) -> End;
}

/// Each `Ok` is a success, and each `Err` may have had its effect: who knows better says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct OkIsSuccess;

impl<T, E> Classify<T, E> for OkIsSuccess {
    fn classify(&self, result: Result<&T, &E>) -> End {
        if result.is_ok() { End::Succeeded } else { End::Indefinite { retry_after: None } }
    }
}

impl<T, E, F: Fn(Result<&T, &E>) -> End> Classify<T, E> for F {
    fn classify(&self, result: Result<&T, &E>) -> End {
        self(result)
    }
}

/// How the attempt in that place ended, if it did now; the place is free then.
pub(super) fn poll_place<S, R, K>(
    mut place: Pin<&mut Option<Try<S, R>>>,
    clock: &K,
    cx: &mut Context<'_>,
) -> Option<Ended<S::Response, S::Error>>
where
    S: Service<Attempt<R>>,
    K: Clock,
{
    match place.as_mut().as_pin_mut()?.poll(clock, cx) {
        Poll::Ready(ended) => {
            place.set(None);
            Some(ended)
        }
        Poll::Pending => None,
    }
}

/// Takes what has begun in one of the places and was not sent yet out of it: whether there is such a thing.
pub(super) fn take_back<S, R>(first: Pin<&mut Option<Try<S, R>>>, second: Pin<&mut Option<Try<S, R>>>) -> bool
where
    S: Service<Attempt<R>>,
{
    let mut is_taken = false;
    for mut place in [first, second] {
        if place.as_ref().as_pin_ref().is_some_and(|this| this.attempt.is_some()) {
            place.set(None);
            is_taken = true;
        }
    }
    is_taken
}

pin_project! {
    /// An attempt under way.
    pub(super) struct Try<S, R>
    where
        S: Service<Attempt<R>>,
    {
        service: S,
        // Until it is sent.
        attempt: Option<Attempt<R>>,
        #[pin]
        sent: Option<S::Future>,
        // From when it is first pending: one that is answered at once needs none.
        #[pin]
        timeout: Option<Sleep>,
    }
}

/// How an attempt ended.
pub(super) enum Ended<T, E> {
    Answered(Result<T, E>),
    NotReady(E),
    TimedOut { is_sent: bool },
}

impl<S: Service<Attempt<R>>, R> Try<S, R> {
    /// By a clone of the service, which need not be ready.
    pub(super) fn new(service: S, attempt: Attempt<R>) -> Try<S, R> {
        Try { service, attempt: Some(attempt), sent: None, timeout: None }
    }

    fn poll<K: Clock>(
        self: Pin<&mut Self>,
        clock: &K,
        cx: &mut Context<'_>,
    ) -> Poll<Ended<S::Response, S::Error>> {
        let mut this = self.project();
        if let Some(attempt) = this.attempt {
            // Looked at first: one that had to wait for the service, or for somebody to poll it, is not sent too late.
            let now = clock.now();
            let remaining = attempt.deadline.remaining(now);
            let is_late =
                this.timeout.as_mut().as_pin_mut().is_some_and(|timeout| timeout.poll(cx).is_ready());
            if is_late || remaining.is_zero() {
                return Poll::Ready(Ended::TimedOut { is_sent: false });
            }
            match this.service.poll_ready(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Ended::NotReady(error)),
                Poll::Ready(Ok(())) => {}
                Poll::Pending => {
                    ready!(poll_timeout(this.timeout, remaining, cx));
                    return Poll::Ready(Ended::TimedOut { is_sent: false });
                }
            }
            attempt.remaining = remaining;
            let attempt = this.attempt.take().expect("it is there");
            let mut sent = this.sent;
            sent.set(Some(this.service.call(attempt)));
            return match sent.as_mut().as_pin_mut().expect("it was sent").poll(cx) {
                Poll::Ready(result) => Poll::Ready(Ended::Answered(result)),
                Poll::Pending => {
                    ready!(poll_timeout(this.timeout, remaining, cx));
                    Poll::Ready(Ended::TimedOut { is_sent: true })
                }
            };
        }
        if let Poll::Ready(result) = this.sent.as_mut().as_pin_mut().expect("it was sent").poll(cx) {
            return Poll::Ready(Ended::Answered(result));
        }
        ready!(this.timeout.as_pin_mut().expect("it was pending when it was sent").poll(cx));
        Poll::Ready(Ended::TimedOut { is_sent: true })
    }
}

/// When so much time is over, if it was not running before.
fn poll_timeout(mut timeout: Pin<&mut Option<Sleep>>, remaining: Duration, cx: &mut Context<'_>) -> Poll<()> {
    if timeout.is_none() {
        timeout.set(Some(sleep(remaining)));
    }
    timeout.as_pin_mut().expect("it runs").poll(cx)
}

impl<T, E> Ended<T, E> {
    /// What the retries are told of it, and what there is to tell the caller.
    pub(super) fn means(self, classify: &impl Classify<T, E>) -> (End, Option<Result<T, E>>) {
        match self {
            Ended::Answered(result) => {
                let end = match classify.classify(result.as_ref()) {
                    End::Succeeded if result.is_err() => End::Permanent,
                    end => end,
                };
                (end, Some(result))
            }
            // It was not sent: so much is known, whatever the error is.
            Ended::NotReady(error) => {
                let end = match classify.classify(Err(&error)) {
                    End::Indefinite { retry_after } => End::Definite { retry_after },
                    End::Succeeded => End::Permanent,
                    end => end,
                };
                (end, Some(Err(error)))
            }
            Ended::TimedOut { is_sent: false } => (End::Definite { retry_after: None }, None),
            Ended::TimedOut { is_sent: true } => (End::Indefinite { retry_after: None }, None),
        }
    }
}
