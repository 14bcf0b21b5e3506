//! Bulkheads. All have as many places; nobody waits so long that it is refused.
//!
//! They do not do the same. What each does, as read in its source:
//!
//! | | who may wait | waiting ends | a call that takes too long | counts |
//! |---|---|---|---|---|
//! | shakedown | as many as allowed | after a time | is dropped | places, those who wait, times of calls |
//! | tower-resilience | everybody | after a time | goes on | times of calls |
//! | tower `ConcurrencyLimit` | everybody | never | goes on | nothing |
//! | tower `ConcurrencyLimit`, `Timeout` | everybody | never | is dropped | nothing |
//! | tokio `Semaphore` | everybody | never | goes on | nothing |

use super::{Group, Inner, Innermost, Named, OURS, Slow, Subject, TASKS, Tower};
use shakedown_impls::resilience::bulkhead::{BulkheadLayer, Config};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tower::Layer;
use tower::limit::ConcurrencyLimit;
use tower::timeout::Timeout;
use tower_resilience::bulkhead::BulkheadLayer as TowerResilience;

/// Longer than anything takes here.
const LONG: Duration = Duration::from_secs(600);

/// Nobody waits.
pub fn room_for_all() -> Group {
    let about = "Bulkhead with a place for every task: nobody waits.";
    let buys = "A semaphore counts places. Ours also bounds who waits and for how long, ends what takes too long, learns its \
                limit if it is told to, and reports how full it is: one lock around all of that, taken twice a call.";
    Group {
        name: "bulkhead-room-for-all",
        about,
        buys,
        tasks_min: 1,
        contenders: contenders(Inner, |tasks| tasks),
    }
}

/// Most of them wait, for a service that lets the others run before it answers.
pub fn waiting() -> Group {
    let about = "Bulkhead with a place for every fourth task, at least one: the others wait. The service lets other tasks \
                 run before it answers.";
    let places = |tasks: usize| (tasks / 4).max(1);
    let buys = "Of these only ours bounds the queue; tower-resilience alone bounds the wait as well, but nothing ends a call \
                that takes too long. Each bound is a timer, and here all that a call does is to wait: two timers, a waker and a \
                ticket are most of it.";
    Group { name: "bulkhead-waiting", about, buys, tasks_min: TASKS[1], contenders: contenders(Slow, places) }
}

fn contenders(inner: impl Innermost, places: fn(usize) -> usize) -> Vec<Named> {
    vec![
        Named::shared(OURS, move |tasks| {
            let config = Config {
                max_concurrent_calls: places(tasks) as u32,
                max_wait: LONG,
                execution_timeout: LONG,
                ..Config::default()
            };
            Tower(BulkheadLayer::new("bench", config).layer(inner))
        }),
        Named::shared("tower-resilience", move |tasks| {
            let builder = TowerResilience::builder().max_concurrent_calls(places(tasks));
            let layer = builder.max_wait_duration(LONG).build().expect("it does not contradict itself");
            Tower(layer.layer(inner))
        }),
        Named::shared("tower ConcurrencyLimit, Timeout", move |tasks| {
            Tower(ConcurrencyLimit::new(Timeout::new(inner, LONG), places(tasks)))
        }),
        Named::shared("tower ConcurrencyLimit", move |tasks| {
            Tower(ConcurrencyLimit::new(inner, places(tasks)))
        }),
        Named::shared("tokio Semaphore", move |tasks| {
            Permits(Arc::new(Semaphore::new(places(tasks))), inner)
        }),
        Named::bare(inner),
    ]
}

/// What a caller writes who needs nothing else.
#[derive(Clone)]
struct Permits<S>(Arc<Semaphore>, S);

impl<S: Innermost> Subject for Permits<S> {
    async fn call(&mut self, n: u64) -> Option<u64> {
        let _permit = self.0.acquire().await.ok()?;
        self.1.call(n).await.ok()
    }
}
