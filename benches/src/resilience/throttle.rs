//! Throttles, within the rate: what it costs to be counted. The rate is so high that nobody ever waits. Ours is the whole
//! of backpressure, with its buffer, its places and its books; and the token bucket alone, which is what the peers have.

use super::{Group, Inner, Named, OURS, Subject, Tower};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use shakedown_impls::resilience::backpressure::{BackpressureLayer, Config, Strategy};
use shakedown_impls::resilience::clock::{Clock as _, TokioClock};
use shakedown_impls::resilience::lock::{Lock as _, StdLock};
use shakedown_impls::resilience::token_bucket::{Rate as Tokens, TokenBucket};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tower::limit::RateLimit;
use tower::limit::rate::Rate;
use tower::{Layer, Service};
use tower_resilience::ratelimiter::RateLimiterLayer as TowerResilience;

/// Calls that may come in a second: more than any machine makes here.
const RATE: u32 = 1_000_000_000;

/// Calls that may come at once.
const BURST: u32 = 1_000_000_000;

/// Nobody waits.
pub fn within_the_rate() -> Group {
    let contenders = vec![
        Named::shared(OURS, |_| {
            let config = Config {
                strategy: Strategy::DropNewest,
                throttle_rate: Some(Tokens::per_second(RATE)),
                throttle_burst: BURST,
                concurrency: u32::MAX,
                ..Config::default()
            };
            Tower(BackpressureLayer::new("bench", config).layer(Inner))
        }),
        Named::shared("shakedown, token bucket", |_| Bucket {
            bucket: Arc::new(StdLock::new(TokenBucket::new(Tokens::per_second(RATE), BURST))),
            clock: TokioClock::default(),
        }),
        Named::shared("tower-resilience", |_| {
            let builder = TowerResilience::builder().limit_for_period(RATE as usize);
            let layer = builder.refresh_period(Duration::from_secs(1)).build();
            Tower(layer.expect("it does not contradict itself").layer(Inner))
        }),
        // It cannot be cloned: tasks share it through a queue before it, which would be what is measured.
        Named::alone("tower RateLimit", || {
            let rate = Rate::new(u64::from(RATE), Duration::from_secs(1));
            Tower(RateLimit::new(Inner, rate))
        }),
        Named::shared("governor", |_| {
            let quota = Quota::per_second(NonZeroU32::new(RATE).expect("it is more than nothing"));
            Governor(Arc::new(RateLimiter::direct(quota)))
        }),
        Named::bare(Inner),
    ];
    let about = "Throttle, within the rate: nobody waits.";
    let buys = "Where a rate is all that is wanted, the token bucket in a lock has it, exact to the nanosecond for every rate, and \
                governor has it for less, by one number that is swapped. What the layer adds is the buffer, the places, the \
                books that balance, and an end to what takes too long.";
    Group { name: "throttle-within-the-rate", about, buys, tasks_min: 1, contenders }
}

#[derive(Clone)]
struct Governor(Arc<DefaultDirectRateLimiter>);

impl Subject for Governor {
    async fn call(&mut self, n: u64) -> Option<u64> {
        self.0.until_ready().await;
        let Ok(answer) = Inner.call(n).await;
        Some(answer)
    }
}

#[derive(Clone)]
struct Bucket {
    bucket: Arc<StdLock<TokenBucket>>,
    clock: TokioClock,
}

impl Subject for Bucket {
    async fn call(&mut self, n: u64) -> Option<u64> {
        let now = self.clock.now();
        self.bucket.with(|bucket| bucket.take(now, 1)).ok()?;
        let Ok(answer) = Inner.call(n).await;
        Some(answer)
    }
}
