//! The buffer in front of a service: calls are queued, and so many at a time are processed.

use super::Config;
use super::core::{Buffer, Offered, Refused, Tally, Ticket};
use super::meters::{Before, Meters};
use crate::protocol::Time;
use crate::resilience::clock::{Clock, TokioClock};
use crate::resilience::lock::{Lock, StdLock};
use pin_project_lite::pin_project;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a buffer in front of a service. All services of one layer, and all their clones, share it.
///
/// The metrics are those of a [`channel`](super::channel), by the layer's name. What is refused, dropped or takes too long
/// is a [`tracing`] event.
pub struct BackpressureLayer<K: Clock = TokioClock, L: Lock<Inner> = StdLock<Inner>> {
    handle: Handle<K, L>,
}

impl BackpressureLayer {
    /// An empty one, called `name` in what it reports, by tokio's clock.
    ///
    /// # Panics
    /// If one of the config's numbers is zero that may not be, or the rate and the burst do not go together.
    pub fn new(name: &str, config: Config) -> BackpressureLayer {
        BackpressureLayer::with(name, config, TokioClock::default())
    }
}

impl<K: Clock, L: Lock<Inner>> BackpressureLayer<K, L> {
    /// The same with another clock and another lock. Whoever waits for a rate, and how long a call may take, still goes by
    /// tokio's.
    ///
    /// # Panics
    /// If one of the config's numbers is zero that may not be, or the rate and the burst do not go together.
    pub fn with(name: &str, config: Config, clock: K) -> BackpressureLayer<K, L> {
        let lock = L::new(Inner {
            buffer: Buffer::empty(&config),
            processing: 0,
            next: 0,
            calls: BTreeMap::new(),
            blocked: BTreeMap::new(),
            wake: vec![],
        });
        let body = Body { name: name.into(), config, lock, clock, meters: Meters::new(name) };
        BackpressureLayer { handle: Handle(Arc::new(body)) }
    }

    /// What looks at the buffer.
    pub fn handle(&self) -> Handle<K, L> {
        self.handle.clone()
    }
}

impl<S, K: Clock, L: Lock<Inner>> Layer<S> for BackpressureLayer<K, L> {
    type Service = BackpressureService<S, K, L>;

    fn layer(&self, inner: S) -> Self::Service {
        BackpressureService { inner, handle: self.handle.clone() }
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error<E> {
    /// It was not accepted. Nothing has happened.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It was accepted, and dropped before it was made. Nothing has happened.
    #[error(transparent)]
    Dropped(#[from] Dropped),
    /// It was made, took too long, and was dropped: what came of it nobody knows.
    #[error("the call took longer than {0:?}; it may have had its effect")]
    TimedOut(Duration),
    /// It was made, and this came of it.
    #[error(transparent)]
    Inner(E),
}

/// Why a call that was accepted was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Dropped {
    /// Something newer came when there was no room.
    #[error("the call was dropped for a newer one: it was not made")]
    ForNewer,
    /// The queue did not get shorter.
    #[error("the call was shed, for the queue did not get shorter: it was not made")]
    Shed,
    /// It was its turn, and the service behind was not ready for it in [`Config::processing_timeout`].
    #[error("the service was not ready in time: the call was not made")]
    NotReady,
}

/// A service behind a buffer. A call has its place from when it is made, whether anybody polls it or not: who makes one waits for
/// it or drops it. It is always ready: with [`Strategy::Block`](super::Strategy::Block) a call waits to be accepted after it is made.
/// The inner service, of which it has a clone then, becomes ready when it is the call's turn.
pub struct BackpressureService<S, K: Clock = TokioClock, L: Lock<Inner> = StdLock<Inner>> {
    inner: S,
    handle: Handle<K, L>,
}

impl<S, R, K, L> Service<R> for BackpressureService<S, K, L>
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

    fn call(&mut self, request: R) -> Self::Future {
        let (call, next) = self.handle.enter();
        let mut place = Place { handle: self.handle.clone(), call, is: Is::Entering };
        place.told(next);
        let waiting = Waiting { inner: self.inner.clone(), request: Some(request), next, timer: None };
        CallFuture { place, waiting: Some(waiting), running: None, deadline: None }
    }
}

pin_project! {
    /// A call behind a buffer. Dropped before its end, it is withdrawn, or makes room for the next.
    pub struct CallFuture<S, R, K: Clock, L: Lock<Inner>>
    where
        S: Service<R>,
    {
        waiting: Option<Waiting<S, R>>,
        // Dropped before its place is free.
        #[pin]
        running: Option<S::Future>,
        #[pin]
        deadline: Option<Sleep>,
        place: Place<K, L>,
    }
}

/// A call that has not begun.
struct Waiting<S, R> {
    inner: S,
    request: Option<R>,
    /// What the buffer said last.
    next: Next,
    /// Until it does not come too fast any more.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What a call is told.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Ask again, with this ticket.
    Offer(Ticket),
    /// Wait.
    Queued,
    /// Begin.
    Begin,
    /// End.
    Refused(Refused),
    Dropped(Dropped),
}

impl<S, R> Waiting<S, R> {
    /// Until it is its turn.
    fn poll_turn<K: Clock, L: Lock<Inner>, E>(
        &mut self,
        place: &mut Place<K, L>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error<E>>> {
        loop {
            match self.next {
                Next::Begin => return Poll::Ready(Ok(())),
                Next::Refused(refused) => return Poll::Ready(Err(refused.into())),
                Next::Dropped(why) => return Poll::Ready(Err(why.into())),
                Next::Queued => {
                    self.next = place.handle.look(place.call, cx.waker());
                    place.told(self.next);
                    if let Next::Queued = self.next {
                        return Poll::Pending;
                    }
                }
                Next::Offer(ticket) => {
                    let (next, wait) = place.handle.offer_again(place.call, ticket, cx.waker());
                    self.next = next;
                    place.told(next);
                    let Next::Offer(_) = next else { continue };
                    self.timer = wait.map(|wait| Box::pin(sleep(wait)));
                    match &mut self.timer {
                        Some(timer) => ready!(timer.as_mut().poll(cx)),
                        None => return Poll::Pending,
                    }
                }
            }
        }
    }
}

impl<S, R, K, L> Future for CallFuture<S, R, K, L>
where
    S: Service<R>,
    K: Clock,
    L: Lock<Inner>,
{
    type Output = Result<S::Response, Error<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const AGAIN: &str = "a future is not polled after its end";
        let mut this = self.project();
        if let Some(waiting) = this.waiting {
            ready!(waiting.poll_turn(this.place, cx))?;
            match waiting.inner.poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                // An `Err` gives the place back with the future.
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Error::Inner(error))),
                Poll::Pending => {
                    // It holds a place: that is not for ever.
                    let limit = this.place.handle.0.config.processing_timeout;
                    if this.deadline.is_none() {
                        this.deadline.set(Some(sleep(limit)));
                    }
                    ready!(this.deadline.as_mut().as_pin_mut().expect("it is waiting").poll(cx));
                    this.place.end();
                    return Poll::Ready(Err(Dropped::NotReady.into()));
                }
            }
            this.deadline.set(None);
            this.running.set(Some(waiting.inner.call(waiting.request.take().expect(AGAIN))));
            *this.waiting = None;
        }
        let result = match this.running.as_mut().as_pin_mut().expect(AGAIN).poll(cx) {
            Poll::Ready(result) => result.map_err(Error::Inner),
            Poll::Pending => {
                // A call that ends at once needs none.
                if this.deadline.is_none() {
                    this.deadline.set(Some(sleep(this.place.handle.0.config.processing_timeout)));
                }
                ready!(this.deadline.as_mut().as_pin_mut().expect(AGAIN).poll(cx));
                let limit = this.place.handle.0.config.processing_timeout;
                tracing::warn!(buffer = &*this.place.handle.0.name, ?limit, "a call took too long");
                Err(Error::TimedOut(limit))
            }
        };
        // First it ends, then there is room for the next.
        this.running.set(None);
        this.deadline.set(None);
        this.place.end();
        Poll::Ready(result)
    }
}

/// A call's place, wherever it is: given back once.
struct Place<K: Clock, L: Lock<Inner>> {
    handle: Handle<K, L>,
    call: u64,
    is: Is,
}

/// Where a call is, as far as it knows.
#[derive(Clone, Copy, Debug)]
enum Is {
    Entering,
    Waiting(Ticket),
    /// Or its turn has come, and it has not looked yet.
    Queued,
    Processed,
    Over,
}

impl<K: Clock, L: Lock<Inner>> Place<K, L> {
    fn told(&mut self, next: Next) {
        self.is = match next {
            Next::Offer(ticket) => Is::Waiting(ticket),
            Next::Queued => Is::Queued,
            Next::Begin => Is::Processed,
            Next::Refused(_) | Next::Dropped(_) => Is::Over,
        };
    }

    fn end(&mut self) {
        self.handle.end(self.call, std::mem::replace(&mut self.is, Is::Over));
    }
}

impl<K: Clock, L: Lock<Inner>> Drop for Place<K, L> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The buffer, and who is where in it. Only locks have to do with it.
#[derive(Debug)]
pub struct Inner {
    /// Of calls, by their numbers.
    buffer: Buffer<u64>,
    processing: u32,
    next: u64,
    /// Calls that were queued, and do not know yet what came of it.
    calls: BTreeMap<u64, Call>,
    blocked: BTreeMap<Ticket, Waker>,
    /// Whom to wake when the lock is free again.
    wake: Vec<Waker>,
}

#[derive(Debug)]
struct Call {
    next: Next,
    waker: Option<Waker>,
}

impl Inner {
    /// A call comes. With nobody before it, and a place, it begins at once.
    fn enter(&mut self, config: &Config, now: Time) -> (u64, Offered<u64>, Next) {
        let call = self.next;
        self.next += 1;
        if self.processing < config.concurrency && self.buffer.queued() == 0 {
            let offered = self.buffer.offer(config, now, None, call);
            let mut shed = vec![];
            let next = match &offered {
                Offered::Accepted if self.buffer.take(config, now, &mut shed).is_some() => {
                    self.processing += 1;
                    Next::Begin
                }
                Offered::Accepted => Next::Dropped(Dropped::Shed),
                _ => told(&offered).0,
            };
            return (call, offered, next);
        }
        let offered = self.offer(config, now, call, None);
        self.go_on(config, now);
        let next = match self.calls.get(&call).map(|call| call.next) {
            Some(Next::Queued) => Next::Queued,
            Some(next) => {
                self.calls.remove(&call);
                next
            }
            None => told(&offered).0,
        };
        (call, offered, next)
    }

    fn offer(&mut self, config: &Config, now: Time, call: u64, ticket: Option<Ticket>) -> Offered<u64> {
        let offered = self.buffer.offer(config, now, ticket, call);
        if let Offered::Accepted | Offered::Instead(_) = offered {
            self.calls.insert(call, Call { next: Next::Queued, waker: None });
        }
        if let Offered::Instead(oldest) = offered {
            self.tell(oldest, Next::Dropped(Dropped::ForNewer));
        }
        offered
    }

    /// It is the turn of those that are queued, as far as there are places.
    fn go_on(&mut self, config: &Config, now: Time) {
        let mut shed = vec![];
        while self.processing < config.concurrency
            && let Some(call) = self.buffer.take(config, now, &mut shed)
        {
            self.processing += 1;
            self.tell(call, Next::Begin);
        }
        shed.into_iter().for_each(|call| self.tell(call, Next::Dropped(Dropped::Shed)));
        let called = self.buffer.called();
        self.wake.extend(called.and_then(|ticket| self.blocked.remove(&ticket)));
    }

    fn tell(&mut self, call: u64, next: Next) {
        let told = self.calls.get_mut(&call).expect("it was queued");
        told.next = next;
        self.wake.extend(told.waker.take());
    }
}

/// Looks at a layer's buffer.
pub struct Handle<K: Clock = TokioClock, L: Lock<Inner> = StdLock<Inner>>(Arc<Body<K, L>>);

struct Body<K, L> {
    name: Arc<str>,
    config: Config,
    lock: L,
    clock: K,
    meters: Meters,
}

impl<K: Clock, L: Lock<Inner>> Handle<K, L> {
    /// What was accepted, and what became of it.
    pub fn tally(&self) -> Tally {
        self.0.lock.with(|inner| inner.buffer.tally())
    }

    /// Calls that are queued.
    pub fn queued(&self) -> u32 {
        self.0.lock.with(|inner| inner.buffer.queued())
    }

    /// Calls that wait to be accepted.
    pub fn blocked(&self) -> u32 {
        self.0.lock.with(|inner| inner.buffer.waiting())
    }

    /// Calls that are processed.
    pub fn processing(&self) -> u32 {
        self.0.lock.with(|inner| inner.processing)
    }

    /// A call comes.
    fn enter(&self) -> (u64, Next) {
        let now = self.now();
        let (call, offered, next) = self.step(|inner, config| inner.enter(config, now));
        self.0.meters.offered(&self.0.name, &offered);
        (call, next)
    }

    /// One that waits offers again. How long to wait if it comes too fast.
    fn offer_again(&self, call: u64, ticket: Ticket, waker: &Waker) -> (Next, Option<Duration>) {
        let now = self.now();
        // Dropped when the lock is free again: nobody knows what a waker does then.
        let mut before = None;
        let offered = self.step(|inner, config| {
            let offered = inner.offer(config, now, call, Some(ticket));
            before = match offered {
                Offered::Waits { .. } => inner.blocked.insert(ticket, waker.clone()),
                _ => inner.blocked.remove(&ticket),
            };
            inner.go_on(config, now);
            offered
        });
        self.0.meters.offered(&self.0.name, &offered);
        let (next, until) = told(&offered);
        (next, until.map(|until| Duration::from_nanos(until.0.saturating_sub(now.0))))
    }

    /// One that was accepted looks what has become of it.
    fn look(&self, call: u64, waker: &Waker) -> Next {
        // Dropped when the lock is free again.
        let mut before = None;
        self.0.lock.with(|inner| {
            let told = inner.calls.get_mut(&call).expect("it was accepted");
            let next = told.next;
            before = match next {
                Next::Queued => told.waker.replace(waker.clone()),
                _ => inner.calls.remove(&call).and_then(|told| told.waker),
            };
            next
        })
    }

    /// A call has ended, or is given up, where it was.
    fn end(&self, call: u64, is: Is) {
        if let Is::Over = is {
            return;
        }
        // Dropped when the lock is free again.
        let mut before = None;
        self.step(|inner, config| {
            match is {
                Is::Waiting(ticket) => {
                    before = inner.blocked.remove(&ticket);
                    inner.buffer.leave(config, ticket);
                }
                Is::Processed => inner.processing -= 1,
                Is::Queued => {
                    let told = inner.calls.remove(&call);
                    match told.as_ref().map(|told| told.next) {
                        Some(Next::Begin) => inner.processing -= 1,
                        Some(Next::Queued) => inner.buffer.withdraw(config, |&other| other == call),
                        _ => {}
                    }
                    before = told.and_then(|told| told.waker);
                }
                Is::Entering | Is::Over => {}
            }
            if inner.buffer.queued() > 0 || inner.buffer.waiting() > 0 {
                inner.go_on(config, self.now());
            }
        });
    }

    /// What time it is, if that matters.
    fn now(&self) -> Time {
        if self.0.config.heeds_time() { self.0.clock.now() } else { Time(0) }
    }

    /// One step of the buffer; wakes whom it concerns when the lock is free again.
    fn step<R>(&self, step: impl FnOnce(&mut Inner, &Config) -> R) -> R {
        let body = &*self.0;
        let (ret, wake, change) = body.lock.with(|inner| {
            let before = Before::of(&inner.buffer);
            let ret = step(inner, &body.config);
            (ret, std::mem::take(&mut inner.wake), before.change(&inner.buffer))
        });
        body.meters.changed(&change);
        wake.into_iter().for_each(Waker::wake);
        ret
    }
}

fn told(offered: &Offered<u64>) -> (Next, Option<Time>) {
    match offered {
        Offered::Accepted | Offered::Instead(_) => (Next::Queued, None),
        Offered::Refused(_, refused) => (Next::Refused(*refused), None),
        Offered::Waits { ticket, until, .. } => (Next::Offer(*ticket), *until),
    }
}

// Written out, for what is derived asks the lock to be cloned and shown, too.

impl<K: Clock, L: Lock<Inner>> Clone for Handle<K, L> {
    fn clone(&self) -> Handle<K, L> {
        Handle(Arc::clone(&self.0))
    }
}

impl<K: Clock, L: Lock<Inner>> Clone for BackpressureLayer<K, L> {
    fn clone(&self) -> BackpressureLayer<K, L> {
        BackpressureLayer { handle: self.handle.clone() }
    }
}

impl<S: Clone, K: Clock, L: Lock<Inner>> Clone for BackpressureService<S, K, L> {
    fn clone(&self) -> BackpressureService<S, K, L> {
        BackpressureService { inner: self.inner.clone(), handle: self.handle.clone() }
    }
}

impl<S: Debug, K: Clock, L: Lock<Inner>> Debug for BackpressureService<S, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackpressureService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
