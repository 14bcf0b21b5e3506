//! The breaker around a service: asks before each call, and says what came of it, whatever way it ends.

use super::core::after;
use super::{Call, CircuitBreaker, Config, Mode, Permit, State};
use crate::protocol::{Component as _, Time};
use crate::resilience::clock::{Clock, TokioClock};
use crate::resilience::lock::{Lock, StdLock};
use crate::resilience::window::Tally;
use metrics::{Counter, Gauge, counter, gauge};
use pin_project_lite::pin_project;
use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use thiserror::Error;
use tower_layer::Layer;
use tower_service::Service;

/// Puts a circuit breaker in front of a service. All services of one layer, and all their clones, share it: make a
/// layer for each dependency.
///
/// Counters of the crate [`metrics`] (`circuit_breaker_calls_total` by `result`, `circuit_breaker_openings_total`, the
/// gauge `circuit_breaker_state`: 0 closed, 1 half open, 2 open) go to the recorder that is installed when the layer
/// is made. Changes of state are [`tracing`] events.
pub struct CircuitBreakerLayer<C = ResultIsAll, K = TokioClock, L = StdLock<CircuitBreaker>> {
    handle: Handle<K, L>,
    classify: C,
}

impl CircuitBreakerLayer {
    /// A closed one, called `name` in what it reports, by tokio's clock: each `Err` is a failure.
    ///
    /// # Panics
    /// If the configuration contradicts itself.
    pub fn new(name: &str, config: Config) -> CircuitBreakerLayer {
        CircuitBreakerLayer::with(name, config, ResultIsAll, TokioClock::default())
    }
}

impl<C, K: Clock, L: Lock<CircuitBreaker>> CircuitBreakerLayer<C, K, L> {
    /// The same with another opinion of what a failure is, another clock, another lock.
    ///
    /// # Panics
    /// If the configuration contradicts itself.
    pub fn with(name: &str, config: Config, classify: C, clock: K) -> CircuitBreakerLayer<C, K, L> {
        let breaker = L::new(CircuitBreaker::new(&config));
        let (meters, is_closed) = (Meters::new(name), AtomicBool::new(true));
        let body = Body { name: name.into(), config, breaker, clock, meters, is_closed };
        CircuitBreakerLayer { handle: Handle(Arc::new(body)), classify }
    }

    /// The same breaker with another opinion of what a failure is: a closure from a result to a [`Call`], for
    /// instance.
    pub fn classify<D>(self, classify: D) -> CircuitBreakerLayer<D, K, L> {
        CircuitBreakerLayer { handle: self.handle, classify }
    }

    /// What looks at the breaker, and overrides it.
    pub fn handle(&self) -> Handle<K, L> {
        self.handle.clone()
    }
}

impl<S, C: Clone, K: Clock, L: Lock<CircuitBreaker>> Layer<S> for CircuitBreakerLayer<C, K, L> {
    type Service = CircuitBreakerService<S, C, K, L>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService { inner, handle: self.handle.clone(), classify: self.classify.clone() }
    }
}

/// What a result says of the dependency.
pub trait Classify<T, E> {
    /// Of one call.
    fn classify(&self, result: Result<&T, &E>) -> Call;
}

/// Each `Err` is a failure, and nothing else is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResultIsAll;

impl<T, E> Classify<T, E> for ResultIsAll {
    fn classify(&self, result: Result<&T, &E>) -> Call {
        if result.is_ok() { Call::Succeeded } else { Call::Failed }
    }
}

impl<T, E, F: Fn(Result<&T, &E>) -> Call> Classify<T, E> for F {
    fn classify(&self, result: Result<&T, &E>) -> Call {
        self(result)
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error<E> {
    /// It was not made: the circuit is open. Nothing has happened.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It was made, and this came of it.
    #[error(transparent)]
    Inner(E),
}

/// A call was not made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the circuit {name} is open: the call was not made")]
pub struct Refused {
    /// What the breaker is called.
    pub name: Arc<str>,
    /// When asking again may help; `None`: when the trials under way have ended, or an operator says so.
    pub retry_after: Option<Duration>,
}

/// A service behind a circuit breaker.
///
/// It is ready when the service is. An `Err` of [`Service::poll_ready`] is passed on and not counted.
pub struct CircuitBreakerService<S, C = ResultIsAll, K = TokioClock, L = StdLock<CircuitBreaker>> {
    inner: S,
    handle: Handle<K, L>,
    classify: C,
}

impl<S, R, C, K, L> Service<R> for CircuitBreakerService<S, C, K, L>
where
    S: Service<R>,
    C: Classify<S::Response, S::Error> + Clone,
    K: Clock,
    L: Lock<CircuitBreaker>,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = CallFuture<S::Future, C, K, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Error::Inner)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let progress = match self.handle.ask() {
            // If `call` panics, the guard is dropped, and that counts.
            Ok(guard) => {
                let inner = self.inner.call(request);
                Progress::Made { inner, guard: Some(guard), classify: self.classify.clone() }
            }
            Err(refused) => Progress::Refused { refused: Some(refused) },
        };
        CallFuture { progress }
    }
}

pin_project! {
    /// A call behind a circuit breaker. Dropped before its end, it gives back what it was admitted with.
    pub struct CallFuture<F, C, K: Clock, L: Lock<CircuitBreaker>> {
        #[pin]
        progress: Progress<F, C, K, L>,
    }
}

pin_project! {
    #[project = Projected]
    enum Progress<F, C, K: Clock, L: Lock<CircuitBreaker>> {
        Made {
            #[pin]
            inner: F,
            guard: Option<Guard<K, L>>,
            classify: C,
        },
        Refused {
            refused: Option<Refused>,
        },
    }
}

impl<F, T, E, C, K, L> Future for CallFuture<F, C, K, L>
where
    F: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
    K: Clock,
    L: Lock<CircuitBreaker>,
{
    type Output = Result<T, Error<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const AGAIN: &str = "a future is not polled after its end";
        match self.project().progress.project() {
            Projected::Made { inner, guard, classify } => {
                let result = ready!(inner.poll(cx));
                guard.take().expect(AGAIN).settle(classify.classify(result.as_ref()));
                Poll::Ready(result.map_err(Error::Inner))
            }
            Projected::Refused { refused } => Poll::Ready(Err(refused.take().expect(AGAIN).into())),
        }
    }
}

/// Looks at a breaker, and overrides it.
pub struct Handle<K = TokioClock, L = StdLock<CircuitBreaker>>(Arc<Body<K, L>>);

struct Body<K, L> {
    name: Arc<str>,
    config: Config,
    breaker: L,
    clock: K,
    meters: Meters,
    /// What it was after the last change: a guess, for whoever does not hold the lock.
    is_closed: AtomicBool,
}

impl<K: Clock, L: Lock<CircuitBreaker>> Handle<K, L> {
    /// What it is now.
    pub fn state(&self) -> State {
        self.0.breaker.with(|breaker| breaker.state())
    }

    /// Whether it is overridden.
    pub fn mode(&self) -> Mode {
        self.0.breaker.with(|breaker| breaker.mode())
    }

    /// What its window holds.
    pub fn tally(&self) -> Tally {
        let now = self.0.clock.now();
        self.0.breaker.with(|breaker| breaker.tally(now))
    }

    /// Trials under way, if it is half open.
    pub fn trials_under_way(&self) -> u32 {
        self.0.breaker.with(|breaker| breaker.trials_under_way())
    }

    /// Overrides it, or has it decide by itself again, from the beginning.
    pub fn override_with(&self, mode: Mode) {
        self.apply(|_, _| true, |breaker, config, now| breaker.override_with(config, now, mode));
    }

    /// Asks for a call that no service makes: whoever gets a guard makes it, and says what came of it.
    #[inline]
    pub fn ask(&self) -> Result<Guard<K, L>, Refused> {
        let heeds_time = |breaker: &CircuitBreaker, config: &Config| !breaker.is_timeless(config);
        let (asked, began) = self.apply(heeds_time, |breaker, config, now| (breaker.ask(config, now), now));
        match asked {
            Ok(permit) => Ok(Guard { handle: self.clone(), permit: Some(permit), began }),
            Err(retry_after_ns) => {
                self.0.meters.refused.increment(1);
                Err(Refused { name: Arc::clone(&self.0.name), retry_after: after(retry_after_ns) })
            }
        }
    }

    /// One step of the breaker. What it changed is reported when the lock is free again.
    ///
    /// Reading the clock takes longer than the rest of a step, so it is read only for steps that heed it; and, if it
    /// can be foreseen, before the lock is taken.
    #[inline]
    fn apply<R>(
        &self,
        heeds_time: impl FnOnce(&CircuitBreaker, &Config) -> bool,
        step: impl FnOnce(&mut CircuitBreaker, &Config, Time) -> R,
    ) -> R {
        let Body { config, breaker, clock, is_closed, .. } = &*self.0;
        let foreseen = config.heeds_time() || !is_closed.load(Relaxed);
        let read = foreseen.then(|| clock.now());
        let (result, before, after) = breaker.with(|breaker| {
            let before = breaker.state();
            let now = match read {
                Some(now) => now,
                None if heeds_time(breaker, config) => clock.now(),
                None => breaker.told(),
            };
            let result = step(breaker, config, now);
            let after = breaker.state();
            if before != after {
                is_closed.store(after == State::Closed, Relaxed);
            }
            (result, before, after)
        });
        if before != after {
            self.report(before, after);
        }
        result
    }

    #[cold]
    fn report(&self, before: State, after: State) {
        let name = &*self.0.name;
        match after {
            State::Open => {
                self.0.meters.openings.increment(1);
                tracing::warn!(breaker = name, from = %before, to = %after, "circuit breaker opened");
            }
            _ => tracing::info!(breaker = name, from = %before, to = %after, "circuit breaker changed"),
        }
        self.0.meters.state.set(match after {
            State::Closed => 0.0,
            State::HalfOpen => 1.0,
            State::Open => 2.0,
        });
    }
}

/// That a call may be made. Dropped without a word it says nothing of the dependency, or, if the thread panics,
/// that the call failed.
#[derive(Debug)]
pub struct Guard<K: Clock = TokioClock, L: Lock<CircuitBreaker> = StdLock<CircuitBreaker>> {
    handle: Handle<K, L>,
    permit: Option<Permit>,
    began: Time,
}

impl<K: Clock, L: Lock<CircuitBreaker>> Guard<K, L> {
    /// Says what came of the call.
    pub fn settle(mut self, call: Call) {
        self.end(call);
    }

    #[inline]
    fn end(&mut self, call: Call) {
        let Some(permit) = self.permit.take() else { return };
        let meters = &self.handle.0.meters;
        match call {
            Call::Succeeded => meters.succeeded.increment(1),
            Call::Failed => meters.failed.increment(1),
            Call::SaidNothing => meters.said_nothing.increment(1),
        }
        let heeds_time =
            |breaker: &CircuitBreaker, config: &Config| call == Call::Failed || !breaker.is_timeless(config);
        self.handle.apply(heeds_time, |breaker, config, now| {
            let took_ns = now.0.saturating_sub(self.began.0);
            breaker.settle(config, now, &permit, call, took_ns);
        });
    }
}

impl<K: Clock, L: Lock<CircuitBreaker>> Drop for Guard<K, L> {
    fn drop(&mut self) {
        self.end(if std::thread::panicking() { Call::Failed } else { Call::SaidNothing });
    }
}

/// What an operator watches.
struct Meters {
    succeeded: Counter,
    failed: Counter,
    said_nothing: Counter,
    refused: Counter,
    openings: Counter,
    state: Gauge,
}

impl Meters {
    fn new(name: &str) -> Meters {
        let calls = |result| counter!("circuit_breaker_calls_total", "breaker" => name.to_owned(), "result" => result);
        Meters {
            succeeded: calls("succeeded"),
            failed: calls("failed"),
            said_nothing: calls("said-nothing"),
            refused: calls("refused"),
            openings: counter!("circuit_breaker_openings_total", "breaker" => name.to_owned()),
            state: gauge!("circuit_breaker_state", "breaker" => name.to_owned()),
        }
    }
}

// Written out, for what is derived asks the lock to be cloned and shown, too.

impl<K, L> Clone for Handle<K, L> {
    fn clone(&self) -> Handle<K, L> {
        Handle(Arc::clone(&self.0))
    }
}

impl<C: Clone, K, L> Clone for CircuitBreakerLayer<C, K, L> {
    fn clone(&self) -> CircuitBreakerLayer<C, K, L> {
        CircuitBreakerLayer { handle: self.handle.clone(), classify: self.classify.clone() }
    }
}

impl<S: Clone, C: Clone, K, L> Clone for CircuitBreakerService<S, C, K, L> {
    fn clone(&self) -> CircuitBreakerService<S, C, K, L> {
        let (inner, classify) = (self.inner.clone(), self.classify.clone());
        CircuitBreakerService { inner, handle: self.handle.clone(), classify }
    }
}

impl<K, L: Lock<CircuitBreaker>> Debug for Handle<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = &self.0;
        body.breaker.with(|breaker| f.debug_struct(&body.name).field("breaker", breaker).finish())
    }
}

impl<C, K, L: Lock<CircuitBreaker>> Debug for CircuitBreakerLayer<C, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl<S: Debug, C, K, L: Lock<CircuitBreaker>> Debug for CircuitBreakerService<S, C, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerService")
            .field("inner", &self.inner)
            .field("handle", &self.handle)
            .finish()
    }
}
