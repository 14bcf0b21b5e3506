//! Seed after seed, on all cores, up to the first that fails.
//!
//! What is found does not depend on how many cores there are: a failing seed counts when all before it
//! have passed.

use crate::catalogue::{Pattern, Request, RequestError};
use crate::judge::Finding;
use crate::manner::StopFlag;
use crate::outcome::Counts;
use crate::run::{Faulted, Ran};
use crate::world::message;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What came of a hunt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hunt {
    /// The first seed that fails, if any.
    pub failing: Option<u64>,
    /// Seeds that ran to their end and were judged, or could not be.
    pub seeds: u64,
    /// False if it was stopped before all seeds had run.
    pub complete: bool,
    /// Seeds whose history the checker could not judge, and why.
    pub undecided: Vec<(u64, String)>,
    /// Seeds in which no answer showed what another operation did.
    pub vacuous: u64,
    /// Operations in all.
    pub operations: u64,
    /// What happened in all.
    pub counts: Counts,
    /// What went wrong by plan in the last seed that ran.
    pub plan: Vec<Faulted>,
    /// For each kind of fault: how many there were, and how many of those changed nothing.
    pub faults: BTreeMap<&'static str, (u64, u64)>,
}

/// Runs the seeds of a pattern on `jobs` threads, up to the first that fails or until `stop` is set: a seed that
/// runs at that time counts for nothing. After each seed `progress` is told how many have run.
///
/// # Panics
/// If running a seed does, for a reason that is no finding; the message begins with the seed.
pub fn hunt(
    pattern: &dyn Pattern,
    request: &Request,
    seeds: Range<u64>,
    jobs: usize,
    stop: &StopFlag,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Hunt, RequestError> {
    hunt_with(&|seed| pattern.run(request, seed, stop), seeds, jobs, stop, progress)
}

/// The same for anything that runs a seed.
pub fn hunt_with<E: Send>(
    run: &(dyn Fn(u64) -> Result<Ran, E> + Sync),
    seeds: Range<u64>,
    jobs: usize,
    stop: &StopFlag,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Hunt, E> {
    let next = AtomicU64::new(seeds.start);
    let failing = AtomicU64::new(u64::MAX);
    let done = AtomicU64::new(0);
    let total = Mutex::new(Ok(Hunt::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let is_needed = seed < seeds.end && seed < failing.load(Ordering::Relaxed);
            if !is_needed || stop.load(Ordering::Relaxed) {
                return;
            }
            // A panic that is no finding is a bug of ours; without the seed nobody could look at it.
            let result = catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| {
                failing.store(0, Ordering::Relaxed);
                let what = message(panic.as_ref()).unwrap_or("a panic without a message");
                resume_unwind(Box::new(format!("seed {seed}: {what}")))
            });
            let mut total = total.lock().expect("nobody panics while holding it");
            match (result, &mut *total) {
                (Ok(Ran { finding: Some(Finding::Stopped), .. }), _) => return,
                (Ok(ran), Ok(hunt)) => {
                    if ran.finding.as_ref().is_some_and(|finding| finding.is_failure()) {
                        failing.fetch_min(seed, Ordering::Relaxed);
                    }
                    hunt.add(seed, &ran);
                }
                (Err(error), total) => {
                    failing.store(0, Ordering::Relaxed);
                    *total = Err(error);
                }
                (Ok(_), Err(_)) => return,
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        work();
        for other in others {
            other.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let mut hunt = total.into_inner().expect("nobody panicked while holding it")?;
    hunt.failing = Some(failing.into_inner()).filter(|&seed| seed < u64::MAX);
    hunt.complete = hunt.failing.is_some() || hunt.seeds == seeds.end - seeds.start;
    hunt.undecided.sort_unstable();
    Ok(hunt)
}

impl Hunt {
    fn add(&mut self, seed: u64, ran: &Ran) {
        self.seeds += 1;
        if let Some(Finding::Undecided(why)) = &ran.finding {
            self.undecided.push((seed, why.clone()));
        }
        self.vacuous += u64::from(ran.is_vacuous());
        self.operations += ran.history().len() as u64;
        self.counts.add(&ran.outcome.counts);
        self.plan = ran.faults.clone();
        for fault in &ran.faults {
            let (all, vacuous) = self.faults.entry(fault.name).or_default();
            *all += 1;
            *vacuous += u64::from(fault.effects == 0);
        }
    }
}
