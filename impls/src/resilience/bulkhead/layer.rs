//! The bulkhead around a service: a call waits for its place, and gives it back whatever way it ends.

use super::Config;
use super::core::{Bulkhead, End, Op, Ret, Ticket};
use crate::protocol::{Component as _, Time};
use crate::resilience::clock::{Clock, TokioClock};
use crate::resilience::lock::{Lock, StdLock};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use pin_project_lite::pin_project;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a bulkhead in front of a service. All services of one layer, and all their clones, share it: make a layer for
/// each compartment.
///
/// The metrics `bulkhead_calls_total` by `result`, `bulkhead_under_way`, `bulkhead_waiting`, `bulkhead_limit` and
/// `bulkhead_wait_seconds` go to the recorder of the crate [`metrics`] that is installed when the layer is made. Refusals
/// are [`tracing`] events.
pub struct BulkheadLayer<K = TokioClock, L = StdLock<Inner>> {
    handle: Handle<K, L>,
}

impl BulkheadLayer {
    /// An empty one, called `name` in what it reports, by tokio's clock.
    ///
    /// # Panics
    /// If no call may be under way.
    pub fn new(name: &str, config: Config) -> BulkheadLayer {
        BulkheadLayer::with(name, config, TokioClock::default())
    }
}

impl<K: Clock, L: Lock<Inner>> BulkheadLayer<K, L> {
    /// The same with another clock and another lock. How long a call may wait and take is still measured by tokio's.
    ///
    /// # Panics
    /// If no call may be under way.
    pub fn with(name: &str, config: Config, clock: K) -> BulkheadLayer<K, L> {
        let lock = L::new(Inner { bulkhead: Bulkhead::new(&config), wakers: BTreeMap::new() });
        let (meters, has_queue) = (Meters::new(name), AtomicBool::new(false));
        let body = Body { name: name.into(), config, lock, clock, meters, has_queue };
        BulkheadLayer { handle: Handle(Arc::new(body)) }
    }

    /// What looks at the bulkhead.
    pub fn handle(&self) -> Handle<K, L> {
        self.handle.clone()
    }
}

impl<S, K: Clock, L: Lock<Inner>> Layer<S> for BulkheadLayer<K, L> {
    type Service = BulkheadService<S, K, L>;

    fn layer(&self, inner: S) -> Self::Service {
        BulkheadService { inner, handle: self.handle.clone() }
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error<E> {
    /// It was not made. Nothing has happened.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It was made, took too long, and was dropped: what came of it nobody knows.
    #[error("the call took longer than {0:?}; it may have had its effect")]
    TimedOut(Duration),
    /// It was made, and this came of it.
    #[error(transparent)]
    Inner(E),
}

/// Why a call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// As many are under way and waiting as may be.
    #[error("the compartment is full: the call was not made")]
    Full,
    /// It has waited too long for its turn.
    #[error("the compartment had no place in time: the call was not made")]
    WaitedTooLong,
    /// It had its place, and the service behind was not ready for it in [`Config::execution_timeout`].
    #[error("the service was not ready in time: the call was not made")]
    NotReady,
}

/// A service behind a bulkhead. It is always ready: a call waits for its place after it is made, and the inner
/// service, of which it has a clone then, becomes ready when it has one.
pub struct BulkheadService<S, K = TokioClock, L = StdLock<Inner>> {
    inner: S,
    handle: Handle<K, L>,
}

impl<S, R, K, L> Service<R> for BulkheadService<S, K, L>
where
    S: Service<R> + Clone,
    K: Clock,
    L: Lock<Inner>,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = CallFuture<S, R, K, L>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let handle = self.handle.clone();
        let (ret, asked) = handle.ask();
        let before = |place, turn| Before {
            inner: self.inner.clone(),
            request: Some(request),
            place,
            turn,
            is_waiting: false,
        };
        let (next, deadline) = match ret {
            Ret::Admitted => {
                let place = Place { handle, began: asked, is_taken: true };
                (Next::Begin(before(Some(place), None)), None)
            }
            Ret::Waits(ticket) => {
                let late = sleep(handle.0.config.max_wait);
                let turn = Turn { handle, ticket, since: asked, has_left: false };
                (Next::Begin(before(None, Some(Box::new(turn)))), Some(late))
            }
            _ => (Next::Refused(handle.refuses(Refused::Full)), None),
        };
        CallFuture { next, running: None, deadline, place: None }
    }
}

pin_project! {
    /// A call behind a bulkhead. Dropped before its end, it gives back its place, or its place in the queue.
    pub struct CallFuture<S, R, K: Clock, L: Lock<Inner>>
    where
        S: Service<R>,
    {
        next: Next<S, R, K, L>,
        #[pin]
        running: Option<S::Future>,
        // While it waits, of that; while it runs, of the call, from when it is first pending.
        #[pin]
        deadline: Option<Sleep>,
        place: Option<Place<K, L>>,
    }
}

/// What a call does before it runs.
enum Next<S, R, K: Clock, L: Lock<Inner>> {
    Begin(Before<S, R, K, L>),
    Refused(Refused),
    Run { has_deadline: bool },
}

struct Before<S, R, K: Clock, L: Lock<Inner>> {
    inner: S,
    request: Option<R>,
    place: Option<Place<K, L>>,
    turn: Option<Box<Turn<K, L>>>,
    /// Whether it has its place, and the service is not ready.
    is_waiting: bool,
}

impl<S, R, K, L> Future for CallFuture<S, R, K, L>
where
    S: Service<R>,
    K: Clock,
    L: Lock<Inner>,
{
    type Output = Result<S::Response, Error<S::Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match this.next {
            Next::Refused(refused) => return Poll::Ready(Err((*refused).into())),
            Next::Begin(before) => {
                if let Some(turn) = &mut before.turn {
                    match ready!(turn.poll(cx, this.deadline.as_mut())) {
                        Ok(place) => before.place = Some(place),
                        Err(refused) => {
                            *this.next = Next::Refused(refused);
                            return Poll::Ready(Err(refused.into()));
                        }
                    }
                    before.turn = None;
                }
                match before.inner.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    // An `Err` drops the place with the future: the call says nothing of how many there may be.
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Error::Inner(error))),
                    Poll::Pending => {
                        let place = before.place.as_ref().expect("it was admitted");
                        // It holds a place: that is not for ever.
                        if !std::mem::replace(&mut before.is_waiting, true) {
                            this.deadline.set(Some(sleep(place.handle.0.config.execution_timeout)));
                        }
                        ready!(this.deadline.as_mut().as_pin_mut().expect("it is waiting").poll(cx));
                        let refused = place.handle.refuses(Refused::NotReady);
                        before.place = None;
                        *this.next = Next::Refused(refused);
                        return Poll::Ready(Err(refused.into()));
                    }
                }
                let request = before.request.take().expect("a call begins once");
                this.running.set(Some(before.inner.call(request)));
                let mut place = before.place.take().expect("it was admitted");
                place.begin();
                *this.place = Some(place);
                *this.next = Next::Run { has_deadline: false };
            }
            Next::Run { .. } => {}
        }
        const AGAIN: &str = "a future is not polled after its end";
        let result = match this.running.as_mut().as_pin_mut().expect(AGAIN).poll(cx) {
            Poll::Ready(result) => {
                let end = if result.is_ok() { End::Succeeded } else { End::Failed };
                this.place.take().expect(AGAIN).end(end);
                result.map_err(Error::Inner)
            }
            Poll::Pending => {
                // A call that ends at once needs no timer, and does not pay for one.
                if matches!(this.next, Next::Run { has_deadline: false }) {
                    let place = this.place.as_ref().expect(AGAIN);
                    this.deadline.set(Some(sleep(place.handle.0.config.execution_timeout)));
                    *this.next = Next::Run { has_deadline: true };
                }
                ready!(this.deadline.as_mut().as_pin_mut().expect(AGAIN).poll(cx));
                // First it ends, then its place is free.
                this.running.set(None);
                let place = this.place.take().expect(AGAIN);
                let limit = place.handle.0.config.execution_timeout;
                tracing::warn!(bulkhead = &*place.handle.0.name, ?limit, "a call took too long");
                place.end(End::TimedOut);
                Err(Error::TimedOut(limit))
            }
        };
        this.running.set(None);
        this.deadline.set(None);
        Poll::Ready(result)
    }
}

/// A place in the queue.
struct Turn<K: Clock, L: Lock<Inner>> {
    handle: Handle<K, L>,
    ticket: Ticket,
    since: Time,
    has_left: bool,
}

impl<K: Clock, L: Lock<Inner>> Turn<K, L> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        late: Pin<&mut Option<Sleep>>,
    ) -> Poll<Result<Place<K, L>, Refused>> {
        let (ret, now) = self.handle.claim(self.ticket, cx.waker());
        match ret {
            Ret::Admitted => {
                self.has_left = true;
                let waited = Duration::from_nanos(now.0.saturating_sub(self.since.0));
                self.handle.0.meters.waited.record(waited.as_secs_f64());
                Poll::Ready(Ok(Place { handle: self.handle.clone(), began: now, is_taken: true }))
            }
            // Clocks need not agree: tokio's says that it is too late.
            Ret::Waits(_) if late.as_pin_mut().is_some_and(|late| late.poll(cx).is_pending()) => {
                Poll::Pending
            }
            _ => {
                self.leave();
                Poll::Ready(Err(self.handle.refuses(Refused::WaitedTooLong)))
            }
        }
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.handle.leave(self.ticket);
        }
    }
}

impl<K: Clock, L: Lock<Inner>> Drop for Turn<K, L> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A place among those under way.
struct Place<K: Clock, L: Lock<Inner>> {
    handle: Handle<K, L>,
    began: Time,
    is_taken: bool,
}

impl<K: Clock, L: Lock<Inner>> Place<K, L> {
    /// The call is made now: from here on its time counts, if anybody learns from it.
    fn begin(&mut self) {
        if self.handle.0.config.adaptive.is_some() {
            self.began = self.handle.0.clock.now();
        }
    }

    fn end(mut self, end: End) {
        self.free(end);
    }

    fn free(&mut self, end: End) {
        if !std::mem::replace(&mut self.is_taken, false) {
            return;
        }
        self.handle.0.meters.ended(end);
        self.handle.release(end, self.began);
    }
}

impl<K: Clock, L: Lock<Inner>> Drop for Place<K, L> {
    fn drop(&mut self) {
        self.free(if std::thread::panicking() { End::Failed } else { End::SaidNothing });
    }
}

/// The bulkhead, and whom to wake when it is their turn. Only locks have to do with it.
#[derive(Debug)]
pub struct Inner {
    bulkhead: Bulkhead,
    wakers: BTreeMap<Ticket, Waker>,
}

/// Looks at a bulkhead.
pub struct Handle<K = TokioClock, L = StdLock<Inner>>(Arc<Body<K, L>>);

struct Body<K, L> {
    name: Arc<str>,
    config: Config,
    lock: L,
    clock: K,
    meters: Meters,
    /// Whether anybody waited after the last step: a guess, for whoever does not hold the lock.
    has_queue: AtomicBool,
}

impl<K: Clock, L: Lock<Inner>> Handle<K, L> {
    /// Calls that may be under way.
    pub fn limit(&self) -> u32 {
        self.0.lock.with(|inner| inner.bulkhead.limit())
    }

    /// Calls under way.
    pub fn under_way(&self) -> u32 {
        self.0.lock.with(|inner| inner.bulkhead.under_way())
    }

    /// Calls that wait.
    pub fn waiting(&self) -> u32 {
        self.0.lock.with(|inner| inner.bulkhead.waiting())
    }

    fn ask(&self) -> (Ret, Time) {
        let heeds_time = |bulkhead: &Bulkhead| bulkhead.has_queue() || bulkhead.is_full();
        self.step(heeds_time, |inner, config, now| inner.bulkhead.apply(config, now, Op::Ask))
    }

    fn claim(&self, ticket: Ticket, waker: &Waker) -> (Ret, Time) {
        let heeds_time = |_: &Bulkhead| true;
        // Dropped when the lock is free again: nobody knows what a waker does then.
        let mut before = None;
        self.step(heeds_time, |inner, config, now| {
            let ret = inner.bulkhead.apply(config, now, Op::Claim(ticket));
            before = match ret {
                Ret::Waits(_) => inner.wakers.insert(ticket, waker.clone()),
                _ => inner.wakers.remove(&ticket),
            };
            ret
        })
    }

    fn leave(&self, ticket: Ticket) {
        let mut before = None;
        self.step(Bulkhead::has_queue, |inner, config, now| {
            before = inner.wakers.remove(&ticket);
            inner.bulkhead.apply(config, now, Op::Leave(ticket))
        });
    }

    fn release(&self, end: End, began: Time) {
        let is_learning = self.0.config.adaptive.is_some();
        let heeds_time = |bulkhead: &Bulkhead| is_learning || bulkhead.has_queue();
        self.step(heeds_time, |inner, config, now| {
            let took_ns = if is_learning { now.0.saturating_sub(began.0) } else { 0 };
            inner.bulkhead.apply(config, now, Op::Release { end, took_ns })
        });
    }

    /// One step of the bulkhead; wakes those whose turn it has become when the lock is free again.
    ///
    /// Reading the clock takes longer than the rest of a step, so it is read only for steps that heed it; and, if it
    /// can be foreseen, before the lock is taken.
    #[inline]
    fn step(
        &self,
        heeds_time: impl FnOnce(&Bulkhead) -> bool,
        step: impl FnOnce(&mut Inner, &Config, Time) -> Ret,
    ) -> (Ret, Time) {
        let body = &*self.0;
        let foreseen = body.has_queue.load(Relaxed) || body.config.adaptive.is_some();
        let read = foreseen.then(|| body.clock.now());
        let (ret, now, wake, counts) = body.lock.with(|inner| {
            let now = match read {
                Some(now) => now,
                None if heeds_time(&inner.bulkhead) => body.clock.now(),
                None => inner.bulkhead.told(),
            };
            let ret = step(inner, &body.config, now);
            let Inner { bulkhead, wakers } = inner;
            if body.has_queue.load(Relaxed) != bulkhead.has_queue() {
                body.has_queue.store(bulkhead.has_queue(), Relaxed);
            }
            // Without a waker it is one who will ask before long, for a new ticket's future is yet to be polled.
            let mut called = bulkhead.called().filter_map(|ticket| wakers.remove(&ticket));
            // None, or one, nearly always: no need to allocate.
            let wake = called.next().map(|first| (first, called.collect::<Vec<Waker>>()));
            (ret, now, wake, [bulkhead.under_way(), bulkhead.waiting(), bulkhead.limit()])
        });
        body.meters.counts(counts);
        if let Some((first, others)) = wake {
            first.wake();
            others.into_iter().for_each(Waker::wake);
        }
        (ret, now)
    }

    fn refuses(&self, refused: Refused) -> Refused {
        match refused {
            Refused::Full => self.0.meters.full.increment(1),
            Refused::WaitedTooLong => self.0.meters.waited_too_long.increment(1),
            Refused::NotReady => self.0.meters.not_ready.increment(1),
        }
        tracing::debug!(bulkhead = &*self.0.name, %refused, "refused");
        refused
    }
}

/// What an operator watches.
struct Meters {
    succeeded: Counter,
    failed: Counter,
    timed_out: Counter,
    said_nothing: Counter,
    full: Counter,
    waited_too_long: Counter,
    not_ready: Counter,
    under_way: Gauge,
    waiting: Gauge,
    limit: Gauge,
    waited: Histogram,
}

impl Meters {
    fn new(name: &str) -> Meters {
        let label = || name.to_owned();
        let calls = |result| counter!("bulkhead_calls_total", "bulkhead" => label(), "result" => result);
        Meters {
            succeeded: calls("succeeded"),
            failed: calls("failed"),
            timed_out: calls("timed-out"),
            said_nothing: calls("said-nothing"),
            full: calls("refused-full"),
            waited_too_long: calls("refused-waited-too-long"),
            not_ready: calls("refused-not-ready"),
            under_way: gauge!("bulkhead_under_way", "bulkhead" => label()),
            waiting: gauge!("bulkhead_waiting", "bulkhead" => label()),
            limit: gauge!("bulkhead_limit", "bulkhead" => label()),
            waited: histogram!("bulkhead_wait_seconds", "bulkhead" => label()),
        }
    }

    fn ended(&self, end: End) {
        let counter = match end {
            End::Succeeded => &self.succeeded,
            End::Failed => &self.failed,
            End::TimedOut => &self.timed_out,
            End::SaidNothing => &self.said_nothing,
        };
        counter.increment(1);
    }

    fn counts(&self, [under_way, waiting, limit]: [u32; 3]) {
        self.under_way.set(f64::from(under_way));
        self.waiting.set(f64::from(waiting));
        self.limit.set(f64::from(limit));
    }
}

// Written out, for what is derived asks the lock to be cloned and shown, too.

impl<K, L> Clone for Handle<K, L> {
    fn clone(&self) -> Handle<K, L> {
        Handle(Arc::clone(&self.0))
    }
}

impl<K, L> Clone for BulkheadLayer<K, L> {
    fn clone(&self) -> BulkheadLayer<K, L> {
        BulkheadLayer { handle: self.handle.clone() }
    }
}

impl<S: Clone, K, L> Clone for BulkheadService<S, K, L> {
    fn clone(&self) -> BulkheadService<S, K, L> {
        BulkheadService { inner: self.inner.clone(), handle: self.handle.clone() }
    }
}

impl<K, L: Lock<Inner>> Debug for Handle<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lock.with(|inner| f.debug_struct(&self.0.name).field("bulkhead", &inner.bulkhead).finish())
    }
}

impl<K, L: Lock<Inner>> Debug for BulkheadLayer<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl<S: Debug, K, L: Lock<Inner>> Debug for BulkheadService<S, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadService").field("inner", &self.inner).field("handle", &self.handle).finish()
    }
}
