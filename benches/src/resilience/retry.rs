//! Retries, where nothing fails: what it costs to be able to try again. All would try three times, and wait in between.
//! Ours has a deadline, a limit for each attempt and a budget beside that; the peers have none of them.

use super::{Group, Inner, Named, OURS, Subject, Tower};
use backon::{ConstantBuilder, Retryable as _};
use shakedown_impls::resilience::retry::{Attempt, Call, Config, RetryLayer as Ours};
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::retry::{Policy, Retry};
use tower::{Layer, Service};
use tower_resilience::retry::RetryLayer as TowerResilience;

const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// The first try is the last.
pub fn nothing_fails() -> Group {
    let contenders = vec![
        Named::shared(OURS, |_| Tower(FromCall(Ours::new("bench", Config::new(1)).layer(OfAttempt(Inner))))),
        Named::shared("tower-resilience", |_| {
            let layer = TowerResilience::<u64, u64, Infallible>::builder().max_attempts(ATTEMPTS);
            Tower(layer.fixed_backoff(PAUSE).build().layer(Inner))
        }),
        Named::shared("tower Retry", |_| Tower(Retry::new(Attempts(ATTEMPTS), Inner))),
        Named::shared("backon", |_| Backon),
        Named::bare(Inner),
    ];
    let about = "Retry, where the first try succeeds.";
    let buys = "The peers look at the result, and that is all. Ours has given the call a deadline that its attempts carry on, a \
                key, and its share of the budget that all calls have together: a look at the clock, a lock, and another look \
                before it is sent.";
    Group { name: "retry-nothing-fails", about, buys, tasks_min: 1, contenders }
}

#[derive(Clone)]
struct Attempts(usize);

impl<E> Policy<u64, u64, E> for Attempts {
    type Future = tokio::time::Sleep;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, E>) -> Option<Self::Future> {
        if result.is_ok() || self.0 <= 1 {
            return None;
        }
        self.0 -= 1;
        Some(tokio::time::sleep(PAUSE))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

#[derive(Clone)]
struct Backon;

impl Subject for Backon {
    async fn call(&mut self, n: u64) -> Option<u64> {
        let builder = ConstantBuilder::default().with_delay(PAUSE).with_max_times(ATTEMPTS - 1);
        (|| Inner.call(n)).retry(builder).await.ok()
    }
}

/// The service, which is sent attempts.
#[derive(Clone, Copy)]
struct OfAttempt<S>(S);

impl<S: Service<u64>> Service<Attempt<u64>> for OfAttempt<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, attempt: Attempt<u64>) -> S::Future {
        self.0.call(attempt.request)
    }
}

/// Retries, whose calls may be sent again.
#[derive(Clone)]
struct FromCall<S>(S);

impl<S: Service<Call<u64>>> Service<u64> for FromCall<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: u64) -> S::Future {
        self.0.call(Call::idempotent(request))
    }
}
