//! Retries around a service: one call in, as many attempts out as it takes.

use super::attempt::{Attempt, Classify, OkIsSuccess, Try, poll_place, take_back};
use super::core::{Attempts, End, GaveUp, Key, Kind, Next, Retries, Terms};
use super::{Config, Deadline};
use crate::protocol::{Component as _, Time};
use crate::resilience::clock::{Clock, TokioClock};
use crate::resilience::lock::{Lock, StdLock};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use pin_project_lite::pin_project;
use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

/// Puts retries in front of a service. All services of one layer, and all their clones, share one budget: make a layer
/// for each dependency.
///
/// The metrics `retry_calls_total` by `result`, `retry_attempts_total` by `kind`, `retry_budget_tokens` and
/// `retry_pause_seconds` go to the recorder of the crate [`metrics`] that is installed when the layer is made. Retries,
/// hedges and calls that are given up are [`tracing`] events.
pub struct RetryLayer<C = OkIsSuccess, K = TokioClock, L = StdLock<Retries>> {
    handle: Handle<K, L>,
    classify: C,
}

impl RetryLayer {
    /// With a full budget, called `name` in what it reports, by tokio's clock: each `Err` may have had its effect.
    ///
    /// # Panics
    /// If the configuration contradicts itself.
    pub fn new(name: &str, config: Config) -> RetryLayer {
        RetryLayer::with(name, config, OkIsSuccess, TokioClock::default())
    }
}

impl<C, K: Clock, L: Lock<Retries>> RetryLayer<C, K, L> {
    /// The same with another opinion of what a result means, another clock, another lock. How long attempts take and
    /// pauses are is still measured by tokio's.
    ///
    /// # Panics
    /// If the configuration contradicts itself.
    pub fn with(name: &str, config: Config, classify: C, clock: K) -> RetryLayer<C, K, L> {
        let lock = L::new(Retries::new(&config));
        let body = Body { name: name.into(), config, lock, clock, meters: Meters::new(name) };
        RetryLayer { handle: Handle(Arc::new(body)), classify }
    }

    /// The same budget with another opinion of what a result means: a closure from a result to an [`End`], for instance.
    pub fn classify<D>(self, classify: D) -> RetryLayer<D, K, L> {
        RetryLayer { handle: self.handle, classify }
    }

    /// What looks at the budget, and makes deadlines.
    pub fn handle(&self) -> Handle<K, L> {
        self.handle.clone()
    }
}

impl<S, C: Clone, K: Clock, L: Lock<Retries>> Layer<S> for RetryLayer<C, K, L> {
    type Service = RetryService<S, C, K, L>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService { inner, handle: self.handle.clone(), classify: self.classify.clone() }
    }
}

/// A request, and on which terms it may be sent more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<R> {
    /// What is sent with each attempt.
    pub request: R,
    /// The terms.
    pub terms: Terms,
}

impl<R> Call<R> {
    /// One that comes to the same however often it has its effect: it may be sent again after any error, and hedged.
    pub fn idempotent(request: R) -> Call<R> {
        Call::of(Kind::Idempotent, request)
    }

    /// One that the server knows by its key: it may be sent again after any error.
    pub fn keyed(request: R) -> Call<R> {
        Call::of(Kind::Keyed, request)
    }

    /// One that must not have its effect twice: it is sent again only after an error that is definite.
    pub fn once(request: R) -> Call<R> {
        Call::of(Kind::Once, request)
    }

    /// The same by an earlier deadline: that of whoever it is made for. See [`Handle::deadline_in`].
    pub fn by(self, deadline: Deadline) -> Call<R> {
        Call { terms: Terms { deadline: Some(deadline), ..self.terms }, ..self }
    }

    /// The same under a key that it has already: from a log of what is to be done, for instance.
    pub fn under(self, key: Key) -> Call<R> {
        Call { terms: Terms { key: Some(key), ..self.terms }, ..self }
    }

    fn of(kind: Kind, request: R) -> Call<R> {
        Call { request, terms: Terms { kind, deadline: None, key: None } }
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the call was given up: {why} (attempts: {attempts})")]
pub struct Error<T, E> {
    /// Why there was no further attempt.
    pub why: GaveUp,
    /// How many there were.
    pub attempts: u32,
    /// Whether nothing has happened, and nothing will. Else some attempt, not the last one perhaps, may have had its
    /// effect.
    pub is_definite: bool,
    /// What the last one that was answered came to; `None` if none was.
    pub last: Option<Result<T, E>>,
}

/// A service behind retries. It is always ready: each attempt is made by a clone of the inner service, and waits for it to
/// become ready, in the time that it has.
pub struct RetryService<S, C = OkIsSuccess, K = TokioClock, L = StdLock<Retries>> {
    inner: S,
    handle: Handle<K, L>,
    classify: C,
}

impl<S, R, C, K, L> Service<Call<R>> for RetryService<S, C, K, L>
where
    S: Service<Attempt<R>> + Clone,
    R: Clone,
    C: Classify<S::Response, S::Error> + Clone,
    K: Clock,
    L: Lock<Retries>,
{
    type Response = S::Response;
    type Error = Error<S::Response, S::Error>;
    type Future = CallFuture<S, R, C, K, L>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Call { request, terms }: Call<R>) -> Self::Future {
        let (inner, handle) = (self.inner.clone(), self.handle.clone());
        let (begun, now) = handle.apply(|retries, config, now| (retries.begin(config, now, &terms), now));
        let (attempts, next) = match begun {
            Ok(attempts) => (Some(attempts), Do::Begin),
            Err(why) => (None, Do::Refuse(why)),
        };
        CallFuture {
            inner,
            request,
            classify: self.classify.clone(),
            course: Course { handle, attempts, now, is_over: false },
            next,
            first: None,
            second: None,
            timer: None,
            last: None,
        }
    }
}

pin_project! {
    /// A call with its attempts. Dropped before its end, it drops those under way.
    pub struct CallFuture<S, R, C, K: Clock, L: Lock<Retries>>
    where
        S: Service<Attempt<R>>,
    {
        inner: S,
        request: R,
        classify: C,
        course: Course<K, L>,
        next: Do,
        // No more than two are under way: a try, and its hedge.
        #[pin]
        first: Option<Try<S, R>>,
        #[pin]
        second: Option<Try<S, R>>,
        // Until the hedge is due, or the pause is over.
        #[pin]
        timer: Option<Sleep>,
        last: Option<Result<S::Response, S::Error>>,
    }
}

/// What a call does when it is polled.
enum Do {
    Refuse(GaveUp),
    Begin,
    Pause,
    Poll,
}

impl<S, R, C, K, L> Future for CallFuture<S, R, C, K, L>
where
    S: Service<Attempt<R>> + Clone,
    R: Clone,
    C: Classify<S::Response, S::Error>,
    K: Clock,
    L: Lock<Retries>,
{
    type Output = Result<S::Response, Error<S::Response, S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const PAUSE: &str = "a pause has a timer";
        let mut this = self.project();
        let why = loop {
            let begins = match *this.next {
                Do::Refuse(why) => break why,
                Do::Begin => Some("first"),
                Do::Pause => {
                    ready!(this.timer.as_mut().as_pin_mut().expect(PAUSE).poll(cx));
                    if let Err(why) = this.course.resume() {
                        break why;
                    }
                    Some("retry")
                }
                Do::Poll => None,
            };
            if let Some(kind) = begins {
                this.first.set(Some(this.course.attempt(this.inner, this.request, kind)));
                this.timer.set(this.course.hedge_timer());
                *this.next = Do::Poll;
            }
            let clock = &this.course.handle.0.clock;
            // The hedge first: what has begun is sent before anything is heard that says not to.
            let mut ended = poll_place(this.second.as_mut(), clock, cx);
            if ended.is_none() {
                ended = poll_place(this.first.as_mut(), clock, cx);
            }
            let Some(ended) = ended else {
                let Some(timer) = this.timer.as_mut().as_pin_mut() else { return Poll::Pending };
                ready!(timer.poll(cx));
                this.timer.set(None);
                if this.course.hedge() {
                    // The first place is taken: only then is a hedge due.
                    this.second.set(Some(this.course.attempt(this.inner, this.request, "hedge")));
                }
                continue;
            };
            let (end, result) = ended.means(this.classify);
            let mut next = this.course.end(end);
            let is_told = matches!(
                end,
                End::Definite { retry_after: Some(_) } | End::Indefinite { retry_after: Some(_) }
            );
            // The other one waits for the service to become ready, and must not be sent now that the server said when.
            if next == Next::Wait && is_told && take_back(this.first.as_mut(), this.second.as_mut()) {
                next = this.course.end(End::Definite { retry_after: None });
            }
            match (next, result) {
                (Next::Done, Some(Ok(response))) => {
                    this.first.set(None);
                    this.second.set(None);
                    this.course.is_over("succeeded");
                    return Poll::Ready(Ok(response));
                }
                (Next::Done, _) => unreachable!("only what is a success succeeds"),
                (next, result) => {
                    *this.last = result.or(this.last.take());
                    match next {
                        Next::Retry { after_ns } => {
                            this.timer.set(Some(sleep(Duration::from_nanos(after_ns))));
                            *this.next = Do::Pause;
                        }
                        Next::GiveUp(why) => break why,
                        _ => {}
                    }
                }
            }
        };
        this.first.set(None);
        this.second.set(None);
        let (attempts, is_definite) = this.course.gave_up(why);
        Poll::Ready(Err(Error { why, attempts, is_definite, last: this.last.take() }))
    }
}

/// A call's way through its attempts.
struct Course<K: Clock, L: Lock<Retries>> {
    handle: Handle<K, L>,
    attempts: Option<Attempts>,
    /// When it was last decided what comes next.
    now: Time,
    is_over: bool,
}

impl<K: Clock, L: Lock<Retries>> Course<K, L> {
    /// What is sent now that an attempt has begun.
    fn attempt<S, R>(&self, inner: &S, request: &R, kind: &'static str) -> Try<S, R>
    where
        S: Service<Attempt<R>> + Clone,
        R: Clone,
    {
        let body = &*self.handle.0;
        let (attempts, now) = (self.attempts.as_ref().expect(BEGUN), self.now);
        let (number, key, remaining) =
            (attempts.begun(), attempts.key(), attempts.timeout(&body.config, now));
        match kind {
            "first" => body.meters.firsts.increment(1),
            "retry" => body.meters.retries.increment(1),
            _ => body.meters.hedges.increment(1),
        }
        if number > 1 {
            tracing::debug!(retry = &*body.name, number, %key, kind, "a call is sent again");
        }
        let deadline = Deadline::after(now, remaining);
        let attempt = Attempt { request: request.clone(), number, key, deadline, remaining };
        Try::new(inner.clone(), attempt)
    }

    fn hedge_timer(&self) -> Option<Sleep> {
        self.handle.0.config.hedge_after.map(sleep)
    }

    fn end(&mut self, end: End) -> Next {
        if end == End::Succeeded && self.attempts.as_mut().expect(BEGUN).succeed() {
            return Next::Done;
        }
        let next = self.apply(|retries, config, now, attempts| retries.end(config, now, attempts, end));
        if let Next::Retry { after_ns } = next {
            self.handle.0.meters.pause.record(Duration::from_nanos(after_ns).as_secs_f64());
        }
        next
    }

    fn resume(&mut self) -> Result<(), GaveUp> {
        self.apply(|retries, config, now, attempts| retries.resume(config, now, attempts))
    }

    fn hedge(&mut self) -> bool {
        self.apply(|retries, config, now, attempts| retries.hedge(config, now, attempts))
    }

    fn apply<T>(&mut self, step: impl FnOnce(&mut Retries, &Config, Time, &mut Attempts) -> T) -> T {
        let (attempts, last) = (self.attempts.as_mut().expect(BEGUN), &mut self.now);
        self.handle.apply(|retries, config, now| {
            *last = now;
            step(retries, config, now, attempts)
        })
    }

    fn is_over(&mut self, result: &'static str) {
        self.is_over = true;
        self.handle.0.meters.ended(result);
    }

    /// How many attempts there were, and whether they surely had no effect.
    fn gave_up(&mut self, why: GaveUp) -> (u32, bool) {
        self.is_over(match why {
            GaveUp::Permanent => "permanent",
            GaveUp::Indefinite => "indefinite",
            GaveUp::Attempts => "attempts-used-up",
            GaveUp::Deadline => "deadline",
            GaveUp::Budget => "budget-used-up",
        });
        let of = |attempts: &Attempts| (attempts.begun(), attempts.is_definite());
        let (attempts, is_definite) = self.attempts.as_ref().map_or((0, true), of);
        tracing::debug!(retry = &*self.handle.0.name, attempts, is_definite, %why, "a call is given up");
        (attempts, is_definite)
    }
}

const BEGUN: &str = "it was not refused";

impl<K: Clock, L: Lock<Retries>> Drop for Course<K, L> {
    fn drop(&mut self) {
        if !self.is_over {
            self.handle.0.meters.ended("said-nothing");
        }
    }
}

/// Looks at the budget, and makes deadlines.
pub struct Handle<K = TokioClock, L = StdLock<Retries>>(Arc<Body<K, L>>);

struct Body<K, L> {
    name: Arc<str>,
    config: Config,
    lock: L,
    clock: K,
    meters: Meters,
}

impl<K: Clock, L: Lock<Retries>> Handle<K, L> {
    /// Retries that the budget is good for.
    pub fn tokens(&self) -> u32 {
        let now = self.0.clock.now();
        self.0.lock.with(|retries| retries.tokens(now))
    }

    /// The layer's time: for [`Deadline::from_header`], with a request that came just now.
    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// A deadline so long from now.
    pub fn deadline_in(&self, duration: Duration) -> Deadline {
        Deadline::after(self.now(), duration)
    }

    fn apply<T>(&self, step: impl FnOnce(&mut Retries, &Config, Time) -> T) -> T {
        let now = self.0.clock.now();
        let (result, tokens) = self.0.lock.with(|retries| {
            let result = step(retries, &self.0.config, now);
            (result, retries.tokens(now))
        });
        self.0.meters.tokens.set(f64::from(tokens));
        result
    }
}

/// What an operator watches.
struct Meters {
    calls: Vec<(&'static str, Counter)>,
    firsts: Counter,
    retries: Counter,
    hedges: Counter,
    tokens: Gauge,
    pause: Histogram,
}

impl Meters {
    const RESULTS: [&str; 7] = [
        "succeeded",
        "permanent",
        "indefinite",
        "attempts-used-up",
        "deadline",
        "budget-used-up",
        "said-nothing",
    ];

    fn new(name: &str) -> Meters {
        let label = || name.to_owned();
        let call = |result| (result, counter!("retry_calls_total", "retry" => label(), "result" => result));
        let attempts = |kind| counter!("retry_attempts_total", "retry" => label(), "kind" => kind);
        Meters {
            calls: Meters::RESULTS.into_iter().map(call).collect(),
            firsts: attempts("first"),
            retries: attempts("retry"),
            hedges: attempts("hedge"),
            tokens: gauge!("retry_budget_tokens", "retry" => label()),
            pause: histogram!("retry_pause_seconds", "retry" => label()),
        }
    }

    fn ended(&self, result: &str) {
        let call = self.calls.iter().find(|(name, _)| *name == result);
        call.expect("a result that is known").1.increment(1);
    }
}

// Written out, for what is derived asks the lock to be cloned and shown, too.

impl<K, L> Clone for Handle<K, L> {
    fn clone(&self) -> Handle<K, L> {
        Handle(Arc::clone(&self.0))
    }
}

impl<C: Clone, K, L> Clone for RetryLayer<C, K, L> {
    fn clone(&self) -> RetryLayer<C, K, L> {
        RetryLayer { handle: self.handle.clone(), classify: self.classify.clone() }
    }
}

impl<S: Clone, C: Clone, K, L> Clone for RetryService<S, C, K, L> {
    fn clone(&self) -> RetryService<S, C, K, L> {
        let (inner, classify) = (self.inner.clone(), self.classify.clone());
        RetryService { inner, handle: self.handle.clone(), classify }
    }
}

impl<K, L: Lock<Retries>> Debug for Handle<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lock.with(|retries| f.debug_struct(&self.0.name).field("retries", retries).finish())
    }
}

impl<C, K, L: Lock<Retries>> Debug for RetryLayer<C, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl<S: Debug, C, K, L: Lock<Retries>> Debug for RetryService<S, C, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryService").field("inner", &self.inner).field("handle", &self.handle).finish()
    }
}
