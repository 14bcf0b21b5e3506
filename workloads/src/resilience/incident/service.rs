//! The dependency of an incident: it does ten calls at a time, and has a queue without a bound for the others. It does not
//! know that a caller has gone, as servers do not.

use super::{BREAKS_ONE_IN, PHASES, Phase, Record};
use crate::random::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep};

/// Calls that it does at a time.
const WORKERS: usize = 10;

/// The connection broke. Nobody knows whether the call had its effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken;

/// How to reach it.
#[derive(Clone)]
pub(super) struct Dependency {
    workers: Arc<Semaphore>,
    seed: u64,
    asked: Arc<AtomicU64>,
    start: Instant,
    record: Record,
}

impl Dependency {
    /// One that goes through its phases from `start` on.
    pub(super) fn new(seed: u64, start: Instant, record: Record) -> Dependency {
        let workers = Arc::new(Semaphore::new(WORKERS));
        Dependency { workers, seed, asked: Arc::default(), start, record }
    }

    /// Asks, and waits for the answer: for ever, if it is dead or dies.
    pub(super) async fn ask(self) -> Result<(), Broken> {
        self.record.reached(self.start.elapsed());
        let number = self.asked.fetch_add(1, Relaxed);
        if Random::stream(self.seed, "breaks", number).below(BREAKS_ONE_IN) == 0 {
            return Err(Broken);
        }
        let (answer, answered) = oneshot::channel();
        let life = self.now().0;
        // A task of its own: it goes on when the caller has gone.
        tokio::spawn(async move {
            // Who waits longest is next.
            let worker = self.workers.acquire().await.expect("it is never closed");
            // What was in the queue when it died is gone.
            let (life_now, phase) = self.now();
            let Some(takes_ms) = phase.takes_ms.filter(|_| life_now == life) else { return };
            sleep(Duration::from_millis(takes_ms)).await;
            drop(worker);
            if self.now().0 == life {
                // Nobody may wait for it any more.
                let _ = answer.send(());
            }
        });
        match answered.await {
            Ok(()) => Ok(()),
            Err(_) => std::future::pending().await,
        }
    }

    /// How often it has died, and how it is.
    fn now(&self) -> (usize, Phase) {
        let at_ms = self.start.elapsed().as_millis() as u64;
        let number = PHASES.iter().position(|phase| at_ms < phase.until_ms).unwrap_or(PHASES.len() - 1);
        let deaths = PHASES[..=number].iter().filter(|phase| phase.takes_ms.is_none()).count();
        (deaths, PHASES[number])
    }
}
