//! Circuit breakers. All are told the same, as far as they can be: half of the last 100 calls, of at least 20, and they
//! stay open for longer than anything takes here. Only ours and tower-resilience's can count slow calls; ours is
//! measured with and without.
//!
//! They do not do the same. What each does, as read in its source:
//!
//! | | window | trials while half open | a call that is cancelled | slow calls |
//! |---|---|---|---|---|
//! | shakedown | the last 100 calls | as many as allowed | is given back | yes |
//! | tower-resilience | all calls since it last changed, once there are 100 | as many as allowed | is given back | yes |
//! | failsafe | a moving average over 10 s; 20 failures in a row | all | nothing to give back | no |
//! | recloser | the last 100 calls, once there are 100 | all | nothing to give back | no |

use super::{Broken, Group, Inner, Innermost, Named, OURS, Subject, Tower};
use failsafe::FailurePolicy as _;
use failsafe::failure_policy::{consecutive_failures, success_rate_over_time_window};
use recloser::{AsyncRecloser, Recloser};
use shakedown_impls::protocol::{Component as _, Time};
use shakedown_impls::resilience::circuit_breaker::{
    Call, CircuitBreaker, CircuitBreakerLayer, Config, SlowCalls,
};
use shakedown_impls::resilience::lock::{Lock as _, StdLock};
use std::sync::Arc;
use std::time::Duration;
use tower::{Layer, Service};
use tower_resilience::circuitbreaker::CircuitBreakerLayer as TowerResilience;

const WINDOW: u32 = 100;
const CALLS_MIN: u32 = 20;
const OPEN: Duration = Duration::from_secs(3_600);

/// Every call passes.
pub fn closed() -> Group {
    let about = "Circuit breaker, closed: every call passes and succeeds.";
    let mut contenders = contenders::<_, true>(Inner);
    let slow = Named::shared("shakedown, slow calls counted", |_| {
        let slow_calls = Some(SlowCalls { duration: Duration::from_secs(1), threshold_percentage: 50 });
        Tower(CircuitBreakerLayer::new("bench", Config { slow_calls, ..config() }).layer(Inner))
    });
    let core = Named::shared("shakedown, without layer and clock", |_| Core::new());
    contenders.splice(1..1, [slow, core]);
    contenders.push(Named::bare(Inner));
    let buys = "recloser and failsafe have no limit for the calls that pass while half open, and do not hear of one that is \
                cancelled; ours gives each call a permit, which comes back exactly once whatever becomes of it, and takes its \
                lock twice for that. It also has windows by time, slow calls, and the means to override it; \
                tower-resilience has these, but for a window that slides.";
    Group { name: "circuit-breaker-closed", about, buys, tasks_min: 1, contenders }
}

/// No call passes.
pub fn open() -> Group {
    let about = "Circuit breaker, open: every call is refused.";
    let buys = "A refusal of ours tells when asking again may help, which a retry outside of it waits for.";
    Group {
        name: "circuit-breaker-open",
        about,
        buys,
        tasks_min: 1,
        contenders: contenders::<_, false>(Broken),
    }
}

/// With an inner service that fails they are open when they have been warmed up.
fn contenders<S: Innermost, const ANSWERS: bool>(inner: S) -> Vec<Named> {
    vec![
        Named::shared(OURS, move |_| {
            Expect::<_, ANSWERS>(Tower(CircuitBreakerLayer::new("bench", config()).layer(inner)))
        }),
        Named::shared("tower-resilience", move |_| {
            let layer = TowerResilience::builder()
                .failure_rate_threshold(0.5)
                .sliding_window_size(WINDOW as usize)
                .minimum_number_of_calls(CALLS_MIN as usize)
                .wait_duration_in_open(OPEN)
                .permitted_calls_in_half_open(10)
                .build()
                .expect("it does not contradict itself");
            Expect::<_, ANSWERS>(Tower(layer.layer(inner)))
        }),
        Named::shared("failsafe", move |_| {
            let backoff = failsafe::backoff::constant(OPEN);
            let window = Duration::from_secs(10);
            let policy = success_rate_over_time_window(0.5, CALLS_MIN, window, backoff.clone())
                // Its share of failures is not looked at before the window's time is over.
                .or_else(consecutive_failures(CALLS_MIN, backoff));
            Expect::<_, ANSWERS>(Failsafe(failsafe::Config::new().failure_policy(policy).build(), inner))
        }),
        Named::shared("recloser", move |_| {
            let builder = Recloser::custom().error_rate(0.5).closed_len(WINDOW as usize).half_open_len(10);
            Expect::<_, ANSWERS>(Reclosed(builder.open_wait(OPEN).build().into(), inner))
        }),
    ]
}

fn config() -> Config {
    Config {
        closed_window_size: WINDOW,
        minimum_calls: CALLS_MIN,
        reset_timeout: OPEN,
        reset_timeout_max: OPEN,
        ..Config::default()
    }
}

/// Says whether calls are answered.
#[derive(Clone)]
struct Expect<S, const ANSWERS: bool>(S);

impl<S: Subject, const ANSWERS: bool> Subject for Expect<S, ANSWERS> {
    const ANSWERS: bool = ANSWERS;

    fn call(&mut self, n: u64) -> impl Future<Output = Option<u64>> + Send {
        self.0.call(n)
    }
}

/// The component in a lock: what is left of ours without tower, clock and meters.
#[derive(Clone)]
struct Core(Arc<(Config, StdLock<CircuitBreaker>)>);

impl Core {
    fn new() -> Core {
        let breaker = StdLock::new(CircuitBreaker::new(&config()));
        Core(Arc::new((config(), breaker)))
    }
}

impl Subject for Core {
    async fn call(&mut self, n: u64) -> Option<u64> {
        let (config, breaker) = &*self.0;
        let permit = breaker.with(|breaker| breaker.ask(config, Time(0))).ok()?;
        let Ok(answer) = Inner.call(n).await;
        breaker.with(|breaker| breaker.settle(config, Time(0), &permit, Call::Succeeded, 0));
        Some(answer)
    }
}

#[derive(Clone)]
struct Failsafe<B, S>(B, S);

impl<B, S> Subject for Failsafe<B, S>
where
    B: failsafe::futures::CircuitBreaker + Clone + Send + 'static,
    S: Innermost,
{
    fn call(&mut self, n: u64) -> impl Future<Output = Option<u64>> + Send {
        let future = self.0.call(self.1.call(n));
        async move { future.await.ok() }
    }
}

#[derive(Clone)]
struct Reclosed<S>(AsyncRecloser, S);

impl<S: Innermost> Subject for Reclosed<S> {
    fn call(&mut self, n: u64) -> impl Future<Output = Option<u64>> + Send {
        let future = self.0.call(self.1.call(n));
        async move { future.await.ok() }
    }
}
