//! The clients of an incident: what stands between a caller and the dependency, layer by layer. All four are those of
//! [`composed`](shakedown_impls::resilience::composed), in its order; here each can be left out.

use super::service::{Broken, Dependency};
use super::{PATIENCE_MS, Protection, Retries};
use shakedown_impls::resilience::backpressure::{self, BackpressureLayer, Strategy};
use shakedown_impls::resilience::bulkhead::{self, BulkheadLayer};
use shakedown_impls::resilience::circuit_breaker::{self, CircuitBreakerLayer};
use shakedown_impls::resilience::composed::Config;
use shakedown_impls::resilience::retry::{self, Attempt, End, RetryLayer, RetryService, Spread};
use shakedown_impls::resilience::token_bucket::Rate;
use std::time::Duration;
use tower::util::{BoxCloneService, ServiceExt as _, service_fn};
use tower_layer::Layer as _;

/// What an attempt comes to that has no answer, whichever layer ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The breaker refused it: it was not made.
    Open {
        /// When asking again may help.
        retry_after: Option<Duration>,
    },
    /// There was no room for it on our side: it was not made.
    NoRoom,
    /// It was made, and took too long.
    TimedOut,
    /// It was made, and the connection broke.
    Broken,
}

type Layered = BoxCloneService<Attempt<()>, (), Failure>;

/// A caller's client. Where calls are not made again it makes one attempt.
pub(super) type Client = RetryService<Layered, fn(Result<&(), &Failure>) -> End>;

/// The layers that `protection` has, in front of a dependency.
pub(super) fn behind(protection: Protection, seed: u64, dependency: Dependency) -> Client {
    let config = config(protection, seed);
    if protection.bulkhead && protection.backpressure {
        config.check();
    }
    let ask = service_fn(move |_: Attempt<()>| {
        let dependency = dependency.clone();
        dependency.ask()
    });
    let mut layered: Layered = BoxCloneService::new(ask.map_err(|Broken| Failure::Broken));
    let name = "dependency";
    if protection.bulkhead {
        let layer = BulkheadLayer::new(name, config.bulkhead);
        layered = BoxCloneService::new(layer.layer(layered).map_err(|error| match error {
            bulkhead::Error::Refused(_) => Failure::NoRoom,
            bulkhead::Error::TimedOut(_) => Failure::TimedOut,
            bulkhead::Error::Inner(failure) => failure,
        }));
    }
    if protection.backpressure {
        let layer = BackpressureLayer::new(name, config.backpressure);
        layered = BoxCloneService::new(layer.layer(layered).map_err(|error| match error {
            backpressure::Error::Refused(_) | backpressure::Error::Dropped(_) => Failure::NoRoom,
            backpressure::Error::TimedOut(_) => Failure::TimedOut,
            backpressure::Error::Inner(failure) => failure,
        }));
    }
    if protection.circuit_breaker {
        let blame = |result: Result<&(), &Failure>| match result {
            Ok(()) => circuit_breaker::Call::Succeeded,
            Err(Failure::TimedOut | Failure::Broken) => circuit_breaker::Call::Failed,
            Err(Failure::NoRoom | Failure::Open { .. }) => circuit_breaker::Call::SaidNothing,
        };
        let layer = CircuitBreakerLayer::new(name, config.circuit_breaker).classify(blame);
        layered = BoxCloneService::new(layer.layer(layered).map_err(|error| match error {
            circuit_breaker::Error::Refused(refused) => Failure::Open { retry_after: refused.retry_after },
            circuit_breaker::Error::Inner(failure) => failure,
        }));
    }
    let meaning: fn(Result<&(), &Failure>) -> End = |result| match result {
        Ok(()) => End::Succeeded,
        Err(Failure::Open { retry_after }) => End::Definite { retry_after: *retry_after },
        Err(Failure::NoRoom) => End::Definite { retry_after: None },
        Err(Failure::TimedOut | Failure::Broken) => End::Indefinite { retry_after: None },
    };
    RetryLayer::new(name, config.retry).classify(meaning).layer(layered)
}

fn config(protection: Protection, seed: u64) -> Config {
    let ms = Duration::from_millis;
    let budgeted = retry::Config {
        max_attempts: 3,
        per_try_timeout: ms(400),
        overall_timeout: ms(PATIENCE_MS),
        initial_backoff: ms(50),
        max_backoff: ms(200),
        budget_percent: 10,
        budget_burst: 20,
        budget_reserve: Rate::per_second(1),
        ..retry::Config::new(seed)
    };
    let retry = match protection.retry {
        Retries::Budgeted => budgeted,
        // Whoever has no other layer has no other limit either.
        Retries::None if !protection.bulkhead && !protection.backpressure => {
            retry::Config { max_attempts: 1, per_try_timeout: ms(PATIENCE_MS), ..budgeted }
        }
        Retries::None => retry::Config { max_attempts: 1, ..budgeted },
        Retries::Naive => retry::Config {
            per_try_timeout: ms(PATIENCE_MS / 3),
            initial_backoff: ms(0),
            max_backoff: ms(0),
            spread: Spread::Percent(0),
            budget_percent: 1_000,
            budget_burst: 1_000,
            ..budgeted
        },
    };
    Config {
        retry,
        circuit_breaker: circuit_breaker::Config {
            failure_threshold_percentage: 50,
            closed_window_size: 50,
            minimum_calls: 20,
            half_open_allowed_requests: 5,
            half_open_timeout: ms(1_000),
            reset_timeout: ms(500),
            reset_timeout_max: ms(1_000),
            seed,
            ..circuit_breaker::Config::default()
        },
        backpressure: backpressure::Config {
            buffer_size: 20,
            strategy: Strategy::DropNewest,
            throttle_rate: Some(Rate::per_second(400)),
            throttle_burst: 20,
            // What waits, waits in the bulkhead: for a bounded time.
            concurrency: u32::MAX,
            processing_timeout: ms(380),
            ..backpressure::Config::default()
        },
        bulkhead: bulkhead::Config {
            max_concurrent_calls: 10,
            max_wait_queue_size: 15,
            max_wait: ms(100),
            execution_timeout: ms(250),
            ..bulkhead::Config::default()
        },
    }
}
