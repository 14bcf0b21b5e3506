//! The four layers around one client, in the order in which they belong.
//!
//! ```text
//!   a call ──> retry ──> circuit breaker ──> backpressure ──> bulkhead ──> client ──> dependency
//!              once for   asked for each      not faster       not more      ends what
//!              a call     attempt             than this        at a time     takes too long
//! ```
//!
//! **Why this order.** Whoever counts must stand where it sees what it counts, and whoever ends a call must stand inside of
//! whoever is to hear of it:
//!
//! - **Retry outside of the breaker**: each attempt asks the breaker, which counts each. The other way round the breaker
//!   sees one failure where there were three, and while it is still closed an outage is hit by all of them. What the
//!   breaker refuses was not made, so that it may be sent again by anybody, when the breaker says, within the deadline.
//! - **Breaker outside of the queues**: what is refused anyway takes no place in them. That a queue is full says nothing of
//!   the dependency, so it is not counted ([`meaning`] says so); otherwise our own limits would open the circuit.
//! - **Backpressure outside of the bulkhead**: what waits for its turn does not hold a place.
//! - **One queue, and a bounded wait in it**: the bulkhead's. If calls waited in the buffer as well, an attempt would have no time
//!   left when its turn comes; so the buffer passes on at once what the rate lets pass.
//! - **The time limit inside of all** ([`bulkhead::Config::execution_timeout`]): the breaker has to hear that a call took
//!   too long. Whoever drops a call says nothing of it, be it the retry's
//!   [`per_try_timeout`](retry::Config::per_try_timeout), its [`overall_timeout`](retry::Config::overall_timeout) or a caller; a
//!   dependency that answers too late for everybody would leave the circuit closed. [`Config::check`] has the inner limits be
//!   the shorter ones. For callers who bring deadlines that are shorter still there are
//!   [`slow_calls`](circuit_breaker::Config::slow_calls): a call that is given up when it was slow already counts as slow.
//!
//! Calls that a breaker refuses come back when it says so, each after a pause of its own. Who would rather hear at once than wait
//! for that has fewer attempts, or an earlier deadline.
//!
//! What each of them is good for when a dependency slows, dies and returns is in the repository's `docs/resilience.md`, with
//! and without each.
//!
//! ```
//! use shakedown_impls::resilience::composed::{Config, protect};
//! use shakedown_impls::resilience::retry::{Attempt, Call, End};
//! use tower::{Service, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! // Any tower service that takes an attempt and sends its request, with hyper's client, tonic's, one's own: the attempt knows
//! // its deadline and its key, for a header. Here it fails the first time.
//! let search = service_fn(|attempt: Attempt<&'static str>| async move {
//!     if attempt.number == 1 { Err("connection reset") } else { Ok(attempt.request.len()) }
//! });
//! let blame = |result: Result<&usize, &&str>| match result {
//!     Ok(_) => End::Succeeded,
//!     Err(_) => End::Indefinite { retry_after: None },
//! };
//! let mut search = protect("search", Config::new(0x5eed), blame, search);
//! assert_eq!(search.call(Call::idempotent("query")).await, Ok(5));
//! # });
//! ```

use super::backpressure::{self, BackpressureLayer, BackpressureService};
use super::bulkhead::{self, BulkheadLayer, BulkheadService};
use super::circuit_breaker::{self, Call, CircuitBreakerLayer, CircuitBreakerService, SlowCalls};
use super::retry::{self, Attempt, End, RetryLayer, RetryService};
use super::token_bucket::Rate;
use std::time::Duration;
use tower_layer::Layer as _;
use tower_service::Service;

/// Of each layer its own.
#[derive(Clone, Debug)]
pub struct Config {
    /// The outermost.
    pub retry: retry::Config,
    /// Asked for each attempt.
    pub circuit_breaker: circuit_breaker::Config,
    /// How fast, and how many wait for that.
    pub backpressure: backpressure::Config,
    /// How many at a time, and how long each may take.
    pub bulkhead: bulkhead::Config,
}

impl Config {
    /// What each has by itself, but that a call may take 2 seconds and wait a quarter of one for its place, an attempt has 3
    /// seconds for both, no more than 1,000 are made in a second, and the circuit opens, too, when 8 of 10 calls take longer than
    /// a second. The seed is the retry's, which says why it must be given.
    pub fn new(seed: u64) -> Config {
        Config {
            retry: retry::Config { per_try_timeout: Duration::from_secs(3), ..retry::Config::new(seed) },
            circuit_breaker: circuit_breaker::Config {
                slow_calls: Some(SlowCalls { duration: Duration::from_secs(1), threshold_percentage: 80 }),
                seed,
                ..circuit_breaker::Config::default()
            },
            backpressure: backpressure::Config {
                strategy: backpressure::Strategy::DropNewest,
                throttle_rate: Some(Rate::per_second(1_000)),
                throttle_burst: 100,
                // The bulkhead's is the number that counts.
                concurrency: u32::MAX,
                processing_timeout: Duration::from_millis(2_500),
                ..backpressure::Config::default()
            },
            bulkhead: bulkhead::Config {
                max_wait: Duration::from_millis(250),
                execution_timeout: Duration::from_secs(2),
                ..bulkhead::Config::default()
            },
        }
    }

    /// # Panics
    /// If an attempt may be dropped before the layers inside of it have ended it: then they would not hear that it took too
    /// long. Or if calls wait in the buffer for their turn or for the rate, for then nobody knows how long that takes.
    pub fn check(&self) {
        let Config { retry, backpressure, bulkhead, .. } = self;
        let within = [
            ("a call may wait and take", bulkhead.max_wait.saturating_add(bulkhead.execution_timeout)),
            ("backpressure.processing_timeout", backpressure.processing_timeout),
            ("retry.per_try_timeout", retry.per_try_timeout),
        ];
        for pair in within.windows(2) {
            let ((inner, shorter), (outer, longer)) = (pair[0], pair[1]);
            assert!(shorter < longer, "{inner} {shorter:?}, {outer} is {longer:?}: make that longer");
        }
        let (attempt, call) = (retry.per_try_timeout, retry.overall_timeout);
        assert!(
            attempt <= call,
            "retry.overall_timeout is {call:?}, of an attempt {attempt:?}: make that longer"
        );
        let places = bulkhead.max_concurrent_calls.saturating_add(bulkhead.max_wait_queue_size);
        assert!(
            backpressure.concurrency >= places,
            "the bulkhead has room for {places}: make backpressure.concurrency as large, so that calls wait there only"
        );
        let waits =
            backpressure.throttle_rate.is_some() && backpressure.strategy == backpressure::Strategy::Block;
        assert!(!waits, "backpressure.strategy is Block, and calls would wait for the rate: refuse them");
    }
}

/// What a call comes to that has no answer, of a client whose errors are `E`.
pub type Error<E> = circuit_breaker::Error<Inside<E>>;

/// The same, of what is inside of the breaker.
pub type Inside<E> = backpressure::Error<bulkhead::Error<E>>;

/// A client behind the four.
pub type Protected<S, B> =
    RetryService<CircuitBreakerService<BackpressureService<BulkheadService<S>>, Blame<B>>, Blame<B>>;

/// The four, before they are put around a client. Each has a handle, which looks at what it counts.
#[derive(Clone)]
pub struct Layers {
    /// The outermost. Its handle makes deadlines that calls can bring along.
    pub retry: RetryLayer,
    /// Its handle knows the circuit's state, and overrides it.
    pub circuit_breaker: CircuitBreakerLayer,
    /// Its handle has the books.
    pub backpressure: BackpressureLayer,
    /// Its handle knows how many are under way.
    pub bulkhead: BulkheadLayer,
}

impl Layers {
    /// Of a dependency, called `name` in what they report.
    ///
    /// # Panics
    /// If the configuration contradicts itself: see [`Config::check`].
    pub fn new(name: &str, config: Config) -> Layers {
        config.check();
        Layers {
            retry: RetryLayer::new(name, config.retry),
            circuit_breaker: CircuitBreakerLayer::new(name, config.circuit_breaker),
            backpressure: BackpressureLayer::new(name, config.backpressure),
            bulkhead: BulkheadLayer::new(name, config.bulkhead),
        }
    }

    /// Puts them around a client. `blame` says what a result of the client itself means; what those of the layers mean is known.
    /// All clients of these layers, and their clones, share what is counted.
    pub fn around<S, R, B>(&self, blame: B, client: S) -> Protected<S, B>
    where
        S: Service<Attempt<R>> + Clone,
        B: Fn(Result<&S::Response, &S::Error>) -> End + Clone,
    {
        let client = self.backpressure.layer(self.bulkhead.layer(client));
        let breaker = self.circuit_breaker.clone().classify(Blame(blame.clone()));
        self.retry.clone().classify(Blame(blame)).layer(breaker.layer(client))
    }
}

/// [`Layers::new`] and [`Layers::around`] in one, for one client.
///
/// # Panics
/// If the configuration contradicts itself: see [`Config::check`].
pub fn protect<S, R, B>(name: &str, config: Config, blame: B, client: S) -> Protected<S, B>
where
    S: Service<Attempt<R>> + Clone,
    B: Fn(Result<&S::Response, &S::Error>) -> End + Clone,
{
    Layers::new(name, config).around(blame, client)
}

/// What a result of the layers means, by what one of the client does.
#[derive(Clone, Copy, Debug)]
pub struct Blame<B>(B);

impl<T, E, B> circuit_breaker::Classify<T, Inside<E>> for Blame<B>
where
    B: Fn(Result<&T, &E>) -> End,
{
    fn classify(&self, result: Result<&T, &Inside<E>>) -> Call {
        match result {
            // Of a client that does not become ready it says enough.
            Err(
                backpressure::Error::Dropped(backpressure::Dropped::NotReady)
                | backpressure::Error::Inner(bulkhead::Error::Refused(bulkhead::Refused::NotReady)),
            ) => Call::Failed,
            Err(backpressure::Error::Refused(_) | backpressure::Error::Dropped(_)) => Call::SaidNothing,
            Err(backpressure::Error::Inner(bulkhead::Error::Refused(_))) => Call::SaidNothing,
            result => blamed(meaning(result, &self.0)),
        }
    }
}

impl<T, E, B> retry::Classify<T, Error<E>> for Blame<B>
where
    B: Fn(Result<&T, &E>) -> End,
{
    fn classify(&self, result: Result<&T, &Error<E>>) -> End {
        match result {
            Ok(response) => (self.0)(Ok(response)),
            Err(circuit_breaker::Error::Refused(refused)) => {
                End::Definite { retry_after: refused.retry_after }
            }
            Err(circuit_breaker::Error::Inner(error)) => meaning(Err(error), &self.0),
        }
    }
}

/// What a result from inside of the breaker means for whoever would send the call again: what was not made has not happened,
/// what took too long may have, and of the client's own `blame` knows.
pub fn meaning<T, E>(result: Result<&T, &Inside<E>>, blame: impl Fn(Result<&T, &E>) -> End) -> End {
    use backpressure::Error as Buffer;
    match result {
        Ok(response) => blame(Ok(response)),
        Err(Buffer::Inner(bulkhead::Error::Inner(error))) => blame(Err(error)),
        Err(Buffer::TimedOut(_) | Buffer::Inner(bulkhead::Error::TimedOut(_))) => {
            End::Indefinite { retry_after: None }
        }
        Err(Buffer::Refused(backpressure::Refused::TooFast { retry_after_ns })) => {
            End::Definite { retry_after: retry_after_ns.map(Duration::from_nanos) }
        }
        Err(Buffer::Refused(_) | Buffer::Dropped(_) | Buffer::Inner(bulkhead::Error::Refused(_))) => {
            End::Definite { retry_after: None }
        }
    }
}

/// What it says of the dependency: that a call would fail anywhere is its caller's fault, and a sign of life.
fn blamed(end: End) -> Call {
    match end {
        // It answered, and would again.
        End::Succeeded | End::Permanent => Call::Succeeded,
        End::Definite { .. } | End::Indefinite { .. } => Call::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::circuit_breaker::State;
    use crate::resilience::retry::Call as RetryCall;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
    use std::task::{Context, Poll};
    use tokio::time::{Instant as Moment, sleep};
    use tower::service_fn;

    /// A client that takes so long, or never fails, and how often it was called.
    fn client(
        config: Config,
        takes: Duration,
    ) -> (impl Service<RetryCall<u8>, Response = u8, Error: std::fmt::Debug> + Clone, Arc<AtomicU32>) {
        let calls = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&calls);
        let service = service_fn(move |attempt: Attempt<u8>| {
            counted.fetch_add(1, SeqCst);
            async move {
                sleep(takes).await;
                if attempt.request == 0 { Err("it failed") } else { Ok(attempt.request) }
            }
        });
        let blame = |result: Result<&u8, &&str>| match result {
            Ok(_) => End::Succeeded,
            Err(_) => End::Definite { retry_after: None },
        };
        (protect("x", config, blame, service), calls)
    }

    fn config() -> Config {
        let mut config = Config::new(1);
        config.circuit_breaker.minimum_calls = 5;
        config.circuit_breaker.closed_window_size = 10;
        config
    }

    // The breaker hears of what takes too long, though it is never answered.
    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_answers_too_late_opens_the_circuit() {
        let (mut client, calls) = client(config(), Duration::from_secs(60));
        for _ in 0..20 {
            let begin = Moment::now();
            assert!(client.call(RetryCall::once(1)).await.is_err());
            assert!(begin.elapsed() < Duration::from_secs(31));
        }
        assert_eq!(calls.load(SeqCst), 5, "the circuit is open after as many as it takes");
    }

    // Our own limit is no fault of the dependency's.
    #[tokio::test(start_paused = true)]
    async fn a_full_bulkhead_does_not_open_the_circuit() {
        let mut config = config();
        config.bulkhead.max_concurrent_calls = 1;
        config.bulkhead.max_wait_queue_size = 0;
        config.retry.max_attempts = 1;
        let (mut client, calls) = client(config, Duration::from_millis(10));
        let mut begun: Vec<_> = (0..50).map(|_| Box::pin(client.call(RetryCall::once(1)))).collect();
        let mut refused = 0;
        for (number, call) in begun.iter_mut().enumerate() {
            let result = tokio::time::timeout(Duration::from_millis(1), call).await;
            refused += u32::from(matches!(result, Ok(Err(_))));
            assert!(number > 0 || result.is_err());
            if refused == 5 {
                break;
            }
        }
        drop(begun);
        assert_eq!(refused, 5);
        assert_eq!(client.call(RetryCall::once(1)).await.unwrap(), 1);
        assert!(calls.load(SeqCst) >= 2);
    }

    // Each attempt is one call for the breaker.
    #[tokio::test(start_paused = true)]
    async fn the_breaker_counts_attempts() {
        let (mut client, calls) = client(config(), Duration::ZERO);
        for _ in 0..2 {
            assert!(client.call(RetryCall::once(0)).await.is_err());
        }
        assert_eq!(calls.load(SeqCst), 5, "three attempts, and two");
    }

    // Callers with less time than the limits inside: what they give up after a second was slow.
    #[tokio::test(start_paused = true)]
    async fn callers_who_do_not_wait_open_the_circuit_of_what_is_too_slow_for_all() {
        let (mut client, calls) = client(config(), Duration::from_secs(60));
        for _ in 0..20 {
            let call = client.call(RetryCall::once(1));
            let _ = tokio::time::timeout(Duration::from_millis(1_100), call).await;
        }
        assert_eq!(calls.load(SeqCst), 5);
    }

    // Answers that would be the same again are signs of life.
    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_says_no_is_alive() {
        let alive = Arc::<AtomicBool>::default();
        let is_alive = Arc::clone(&alive);
        let service = service_fn(move |_: Attempt<u8>| {
            std::future::ready(Err::<u8, _>(if is_alive.load(SeqCst) { "not found" } else { "reset" }))
        });
        let blame = |result: Result<&u8, &&str>| match result {
            Err(&"not found") => End::Permanent,
            _ => End::Definite { retry_after: None },
        };
        let layers = Layers::new("x", config());
        let mut client = layers.around(blame, service);
        for _ in 0..20 {
            let _ = client.call(RetryCall::once(0)).await;
        }
        let state = || layers.circuit_breaker.handle().state();
        assert_eq!(state(), State::Open);
        alive.store(true, SeqCst);
        for _ in 0..20 {
            sleep(Duration::from_secs(60)).await;
            let _ = client.call(RetryCall::once(0)).await;
        }
        assert_eq!(state(), State::Closed);
    }

    // A client that never becomes ready holds no place for ever, and the breaker hears of it.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_never_ready_opens_the_circuit() {
        let layers = Layers::new("x", config());
        let blame = |_: Result<&u8, &&str>| End::Succeeded;
        let mut client = layers.around(blame, NeverReady);
        for _ in 0..20 {
            assert!(client.call(RetryCall::once(0)).await.is_err());
        }
        assert_eq!(layers.circuit_breaker.handle().state(), State::Open);
        let (bulkhead, buffer) = (layers.bulkhead.handle(), layers.backpressure.handle());
        assert_eq!((bulkhead.under_way(), bulkhead.waiting(), buffer.processing()), (0, 0, 0));
    }

    #[derive(Clone)]
    struct NeverReady;

    impl Service<Attempt<u8>> for NeverReady {
        type Response = u8;
        type Error = &'static str;
        type Future = std::future::Ready<Result<u8, &'static str>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Pending
        }

        fn call(&mut self, _: Attempt<u8>) -> Self::Future {
            unreachable!("it is never ready")
        }
    }

    fn is_refused(change: fn(&mut Config)) -> bool {
        let mut config = config();
        change(&mut config);
        std::panic::catch_unwind(|| config.check()).is_err()
    }

    #[test]
    fn what_an_outer_layer_would_cut_short_is_refused() {
        assert!(!is_refused(|_| ()));
        assert!(is_refused(|config| config.retry.per_try_timeout = Duration::from_secs(1)));
        assert!(is_refused(|config| config.retry.overall_timeout = Duration::from_secs(1)));
        assert!(is_refused(|config| config.backpressure.processing_timeout = Duration::from_secs(4)));
        assert!(is_refused(|config| config.backpressure.concurrency = 9));
        assert!(is_refused(|config| config.backpressure.strategy = backpressure::Strategy::Block));
    }
}
