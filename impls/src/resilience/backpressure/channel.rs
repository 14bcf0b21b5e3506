//! The buffer as a channel: producers send, one consumer takes. A producer is a [`Sink`], the consumer a [`Stream`].

use super::Config;
use super::core::{Buffer, Offered, Refused, Tally, Ticket};
use super::meters::{Before, Meters};
use crate::protocol::Time;
use crate::resilience::clock::{Clock, TokioClock};
use crate::resilience::lock::{Lock, StdLock};
use futures_core::Stream;
use futures_sink::Sink;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Sleep, sleep};

/// A channel with backpressure, called `name` in what it reports, by tokio's clock.
///
/// The metrics `backpressure_items_total` by `result`, `backpressure_queued` and `backpressure_blocked` go to the recorder
/// of the crate [`metrics`] that is installed now. What is refused or dropped is a [`tracing`] event.
///
/// # Panics
/// If one of the config's numbers is zero that may not be, or the rate and the burst do not go together.
pub fn channel<T: Send + 'static>(name: &str, config: Config) -> (Producer<T>, Consumer<T>) {
    channel_with(name, config, TokioClock::default())
}

/// The same with another clock and another lock. Whoever waits for a rate still waits by tokio's.
///
/// # Panics
/// If one of the config's numbers is zero that may not be, or the rate and the burst do not go together.
pub fn channel_with<T, K: Clock, L: Lock<Inner<T>>>(
    name: &str,
    config: Config,
    clock: K,
) -> (Producer<T, K, L>, Consumer<T, K, L>) {
    let buffer = Buffer::empty(&config);
    let lock = L::new(Inner { buffer, producers: 1, blocked: BTreeMap::new(), consumer: None });
    let body = Body {
        name: name.into(),
        config,
        lock,
        clock,
        meters: Meters::new(name),
        of: std::marker::PhantomData,
    };
    let handle = Handle(Arc::new(body));
    (Producer { handle: handle.clone(), offer: None, is_closed: false }, Consumer { handle })
}

/// Why something was not sent, and what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{refused}")]
pub struct SendError<T> {
    /// What was to be sent.
    pub item: T,
    /// Why it was not.
    pub refused: Refused,
}

/// Sends. Clones send to the same consumer, who is told that there is nothing more when all of them are gone.
pub struct Producer<T, K: Clock = TokioClock, L: Lock<Inner<T>> = StdLock<Inner<T>>> {
    handle: Handle<T, K, L>,
    /// What the sink has taken and the buffer has not.
    offer: Option<Offer<T>>,
    /// Whether it is a producer no more.
    is_closed: bool,
}

impl<T, K: Clock, L: Lock<Inner<T>>> Producer<T, K, L> {
    /// Sends `item`: with [`Strategy::Block`](super::Strategy::Block) when there is room for it and it does not come too
    /// fast, otherwise at once or not at all. The future can be dropped: then it was not sent.
    pub fn send(&self, item: T) -> Sending<'_, T, K, L> {
        Sending { handle: &self.handle, offer: Offer::of(item), is_closed: self.is_closed }
    }

    /// What looks at the buffer.
    pub fn handle(&self) -> Handle<T, K, L> {
        self.handle.clone()
    }

    fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.handle.step(|inner, _| inner.producers -= 1);
        }
    }
}

/// Something that is being sent.
#[must_use = "nothing is sent unless it is awaited"]
pub struct Sending<'p, T, K: Clock = TokioClock, L: Lock<Inner<T>> = StdLock<Inner<T>>> {
    handle: &'p Handle<T, K, L>,
    offer: Offer<T>,
    is_closed: bool,
}

// What is sent is not pinned.
impl<T, K: Clock, L: Lock<Inner<T>>> Unpin for Sending<'_, T, K, L> {}

impl<T, K: Clock, L: Lock<Inner<T>>> Future for Sending<'_, T, K, L> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Sending { handle, offer, is_closed } = self.get_mut();
        match offer.item.take_if(|_| *is_closed) {
            Some(item) => Poll::Ready(Err(SendError { item, refused: Refused::Closed })),
            None => offer.poll(handle, cx),
        }
    }
}

impl<T, K: Clock, L: Lock<Inner<T>>> Drop for Sending<'_, T, K, L> {
    fn drop(&mut self) {
        self.offer.withdraw(self.handle);
    }
}

/// Something that its producer has and the buffer not yet.
struct Offer<T> {
    item: Option<T>,
    ticket: Option<Ticket>,
    /// Until it does not come too fast any more.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Offer<T> {
    fn of(item: T) -> Offer<T> {
        Offer { item: Some(item), ticket: None, timer: None }
    }

    fn poll<K: Clock, L: Lock<Inner<T>>>(
        &mut self,
        handle: &Handle<T, K, L>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        loop {
            let item = self.item.take().expect("a future is not polled after its end");
            let (offered, now) = handle.offer(self.ticket, item, cx.waker());
            let result = match offered {
                Offered::Accepted | Offered::Instead(_) => Ok(()),
                Offered::Refused(item, refused) => Err(SendError { item, refused }),
                Offered::Waits { ticket, until, item } => {
                    (self.ticket, self.item) = (Some(ticket), Some(item));
                    self.timer = until.map(|until| Box::pin(sleep(since(now, until))));
                    match &mut self.timer {
                        Some(timer) => ready!(timer.as_mut().poll(cx)),
                        None => return Poll::Pending,
                    }
                    continue;
                }
            };
            self.ticket = None;
            return Poll::Ready(result);
        }
    }

    /// Its producer does not want to wait any more.
    fn withdraw<K: Clock, L: Lock<Inner<T>>>(&mut self, handle: &Handle<T, K, L>) {
        if let Some(ticket) = self.ticket.take() {
            handle.leave(ticket);
        }
    }
}

fn since(now: Time, until: Time) -> Duration {
    Duration::from_nanos(until.0.saturating_sub(now.0))
}

// What is sent is not pinned.
impl<T, K: Clock, L: Lock<Inner<T>>> Unpin for Producer<T, K, L> {}

/// An item is sent when the sink is ready for the next, or flushed; it holds one for as long. Closed, it is a producer no more:
/// when all are gone or closed the consumer hears of it.
impl<T, K: Clock, L: Lock<Inner<T>>> Sink<T> for Producer<T, K, L> {
    type Error = SendError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let Producer { handle, offer, .. } = self.get_mut();
        let Some(waiting) = offer else { return Poll::Ready(Ok(())) };
        let result = ready!(waiting.poll(handle, cx));
        *offer = None;
        Poll::Ready(result)
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), SendError<T>> {
        if self.is_closed {
            return Err(SendError { item, refused: Refused::Closed });
        }
        assert!(self.offer.is_none(), "a sink is asked whether it is ready first");
        self.offer = Some(Offer::of(item));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_ready(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.close();
        Poll::Ready(Ok(()))
    }
}

/// Takes what was sent. When it is dropped, what is queued is dropped, and nothing more is accepted.
pub struct Consumer<T, K: Clock = TokioClock, L: Lock<Inner<T>> = StdLock<Inner<T>>> {
    handle: Handle<T, K, L>,
}

impl<T, K: Clock, L: Lock<Inner<T>>> Consumer<T, K, L> {
    /// What is next; `None` when all producers are gone and nothing is queued. The future can be dropped: then nothing was
    /// taken.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.handle.poll_take(cx)).await
    }

    /// What looks at the buffer.
    pub fn handle(&self) -> Handle<T, K, L> {
        self.handle.clone()
    }
}

impl<T, K: Clock, L: Lock<Inner<T>>> Stream for Consumer<T, K, L> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.handle.poll_take(cx)
    }
}

/// The buffer, and whom to wake. Only locks have to do with it.
#[derive(Debug)]
pub struct Inner<T> {
    buffer: Buffer<T>,
    producers: usize,
    blocked: BTreeMap<Ticket, Waker>,
    consumer: Option<Waker>,
}

/// Looks at a channel's buffer.
pub struct Handle<T, K: Clock = TokioClock, L: Lock<Inner<T>> = StdLock<Inner<T>>>(Arc<Body<T, K, L>>);

struct Body<T, K, L> {
    name: Arc<str>,
    config: Config,
    lock: L,
    clock: K,
    meters: Meters,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T, K: Clock, L: Lock<Inner<T>>> Handle<T, K, L> {
    /// What was accepted, and what became of it.
    pub fn tally(&self) -> Tally {
        self.0.lock.with(|inner| inner.buffer.tally())
    }

    /// What is queued.
    pub fn queued(&self) -> u32 {
        self.0.lock.with(|inner| inner.buffer.queued())
    }

    /// Producers that are blocked.
    pub fn blocked(&self) -> u32 {
        self.0.lock.with(|inner| inner.buffer.waiting())
    }

    /// What time it is, if that matters.
    fn now(&self) -> Time {
        if self.0.config.heeds_time() { self.0.clock.now() } else { Time(0) }
    }

    fn offer(&self, ticket: Option<Ticket>, item: T, waker: &Waker) -> (Offered<T>, Time) {
        let now = self.now();
        // Dropped when the lock is free again: nobody knows what a waker does then.
        let mut before = None;
        let offered = self.step(|inner, config| {
            let offered = inner.buffer.offer(config, now, ticket, item);
            before = match &offered {
                Offered::Waits { ticket, .. } => inner.blocked.insert(*ticket, waker.clone()),
                _ => ticket.and_then(|ticket| inner.blocked.remove(&ticket)),
            };
            offered
        });
        self.0.meters.offered(&self.0.name, &offered);
        (offered, now)
    }

    fn leave(&self, ticket: Ticket) {
        // Dropped when the lock is free again.
        let mut before = None;
        self.step(|inner, config| {
            before = inner.blocked.remove(&ticket);
            inner.buffer.leave(config, ticket);
        });
    }

    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let now = self.now();
        // What is shed, and whom it would have woken, is dropped when the lock is free again.
        let (mut shed, mut before) = (vec![], None);
        let taken = self.step(|inner, config| {
            let next = inner.buffer.take(config, now, &mut shed);
            match next {
                Some(item) => Poll::Ready(Some(item)),
                None if inner.producers == 0 => Poll::Ready(None),
                None => {
                    before = inner.consumer.replace(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        if !shed.is_empty() {
            tracing::warn!(
                buffer = &*self.0.name,
                items = shed.len(),
                "shed: the queue does not get shorter"
            );
        }
        taken
    }

    /// One step of the buffer; wakes whom it concerns when the lock is free again.
    fn step<R>(&self, step: impl FnOnce(&mut Inner<T>, &Config) -> R) -> R {
        let (ret, wake, change) = self.0.lock.with(|inner| {
            let before = Before::of(&inner.buffer);
            let ret = step(inner, &self.0.config);
            let Inner { buffer, producers, blocked, consumer } = inner;
            let called = buffer.called().and_then(|ticket| blocked.remove(&ticket));
            let has_news = buffer.queued() > 0 || *producers == 0;
            let consumer = if has_news { consumer.take() } else { None };
            (ret, [called, consumer], before.change(buffer))
        });
        self.0.meters.changed(&change);
        wake.into_iter().flatten().for_each(Waker::wake);
        ret
    }
}

impl<T, K: Clock, L: Lock<Inner<T>>> Drop for Consumer<T, K, L> {
    fn drop(&mut self) {
        let (dropped, blocked) =
            self.handle.step(|inner, _| (inner.buffer.abandon(), std::mem::take(&mut inner.blocked)));
        drop(dropped);
        blocked.into_values().for_each(Waker::wake);
    }
}

impl<T, K: Clock, L: Lock<Inner<T>>> Clone for Producer<T, K, L> {
    fn clone(&self) -> Producer<T, K, L> {
        let is_closed = self.is_closed;
        self.handle.step(|inner, _| inner.producers += usize::from(!is_closed));
        Producer { handle: self.handle.clone(), offer: None, is_closed }
    }
}

impl<T, K: Clock, L: Lock<Inner<T>>> Drop for Producer<T, K, L> {
    fn drop(&mut self) {
        if let Some(mut offer) = self.offer.take() {
            offer.withdraw(&self.handle);
        }
        self.close();
    }
}

// Written out, for what is derived asks the lock to be cloned, too.
impl<T, K: Clock, L: Lock<Inner<T>>> Clone for Handle<T, K, L> {
    fn clone(&self) -> Handle<T, K, L> {
        Handle(Arc::clone(&self.0))
    }
}
