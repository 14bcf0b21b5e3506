//! Is there one order of the operations that respects real time and explains every result?
//!
//! [`check`] splits the history into independent parts ([`Model::part`]), decides each with the
//! engine that suits it, and returns a proof: an order of the operations, or a small set of them
//! that no order explains. The engines:
//!
//! | engine | for | cost |
//! |---|---|---|
//! | `distinct` | registers, queues, stacks, priority queues, growing sets whose values are distinct | O(n log n) |
//! | `phantom` | values out of nowhere, in models that tell where values come from | O(n log n) |
//! | `jit` | anything; all configurations, event by event | exponential in concurrency at worst |
//! | `wgl` | anything; depth first with memory | the same; often lucky on valid histories |
//! | `sequential` | sequential consistency, where real time does not count | exponential at worst |
//!
//! `jit` and `wgl` race, and where operations crashed a refuter with them: `jit` on a weaker history,
//! in which those happen any number of times, whose "impossible" counts and nothing else. The one
//! that needs least work is heard; so nothing in the result depends on how many threads there are or
//! how fast they run, unless a time limit ends the check.

mod advice;
mod bits;
pub(crate) mod budget;
mod distinct;
mod explain;
mod jit;
mod machine;
mod memory;
mod multiset;
mod path;
mod phantom;
mod portfolio;
mod problem;
mod race;
mod sequential;
#[cfg(test)]
mod small;
#[cfg(test)]
mod tests;
mod wgl;
mod witness;

use crate::history::{History, OpId, Outcome};
use crate::model::joined::Joined;
use crate::model::{Model, ModelError};
use crate::options::{Consistency, Options};
use crate::value::{FastBuild, Value};
use crate::verdict::{Certificate, Part, Unknown, Verdict};
use advice::Hardness;
use budget::Budget;
use hashbrown::HashMap;
use portfolio::{Cause, Decided, Effort, Terms};
use problem::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Judges `history` by `model`. `Err` says that an operation does not fit the model at all.
///
/// Polynomial where the values are distinct, exponential in the number of operations open at once
/// otherwise; `options` bounds time and memory, and past a bound the verdict is Unknown.
pub fn check<M: Model>(history: &History, model: &M, options: &Options) -> Result<Verdict, ModelError> {
    let budget = Budget::new(options);
    match options.consistency {
        Consistency::Sequential => {
            if let Some(certificate) = real_time_order(history, model, &budget)? {
                return Ok(Verdict::Valid(certificate));
            }
            check_parts(history, &Joined(model), options, budget)
        }
        Consistency::Linearizable | Consistency::PerKey => check_parts(history, model, options, budget),
    }
}

/// Work per part on the question whether a history is linearizable, where less is asked.
const REAL_TIME_WORK: u64 = 1 << 22;

/// One order of all parts that respects real time, and so that of each process too: far easier to
/// find, if there is one. `None` if there is none, or if it takes too long.
fn real_time_order<M: Model>(
    history: &History,
    model: &M,
    budget: &Budget,
) -> Result<Option<Certificate>, ModelError> {
    // Linearizability is local (Herlihy & Wing 1990, §3.2): give each operation of a part the latest
    // invocation up to it, and the orders of all parts merge by that.
    let mut merged: Vec<(u32, OpId)> = vec![];
    let parts = split(history, model)?;
    for part in &parts {
        let terms = Terms {
            consistency: Consistency::Linearizable,
            budget,
            threads: 1,
            work_max: REAL_TIME_WORK,
            watch: &|_| (),
        };
        let Decided::Valid(order) = portfolio::decide(history, model, &part.reads, &terms) else {
            return Ok(None);
        };
        let mut moment = 0;
        for id in order {
            moment = history.operation(id).invoke_position.max(moment);
            merged.push((moment, id));
        }
    }
    merged.sort_by_key(|&(moment, _)| moment);
    let whole = Part { key: None, order: merged.into_iter().map(|(_, id)| id).collect() };
    Ok(Some(Certificate { parts: if parts.is_empty() { vec![] } else { vec![whole] } }))
}

fn check_parts<M: Model>(
    history: &History,
    model: &M,
    options: &Options,
    budget: Budget,
) -> Result<Verdict, ModelError> {
    let parts = split(history, model)?;
    if let Some(progress) = &options.progress {
        let total: usize = parts.iter().map(|part| part.reads.len()).sum();
        progress.total.store(total as u64, Ordering::Relaxed);
    }
    let mut run = Run {
        consistency: options.consistency,
        history,
        model,
        budget,
        threads: options.threads.max(1),
        decided: vec![],
        done: AtomicUsize::new(0),
    };
    run.first_round(&parts);
    run.second_round(&parts);
    Ok(run.verdict(&parts))
}

/// An independent part of a history.
pub(crate) struct PartReads<A> {
    pub(crate) key: Option<Value>,
    pub(crate) reads: Vec<Read<A>>,
}

/// The parts of a history, in the order of their first operations.
pub(crate) fn split<M: Model>(history: &History, model: &M) -> Result<Vec<PartReads<M::Action>>, ModelError> {
    let mut parts: Vec<PartReads<M::Action>> = vec![];
    let mut index: HashMap<Option<Value>, usize, FastBuild> = HashMap::default();
    let mut last: Option<(Option<Value>, usize)> = None;
    for op in history.operations() {
        if op.outcome == Outcome::Fail {
            continue;
        }
        let Some(action) = model.action(&op, history.values())? else { continue };
        let key = model.part(&op, history.values());
        let at = match last {
            Some((known, at)) if known == key => at,
            _ => *index.entry(key).or_insert_with(|| {
                parts.push(PartReads { key, reads: vec![] });
                parts.len() - 1
            }),
        };
        last = Some((key, at));
        parts[at].reads.push(Read { id: op.id, inv: op.invoke_position, res: op.returned(), action });
    }
    Ok(parts)
}

/// In the first round, a part may use this much work and one such share of the memory; what is not
/// decided by then is taken up alone, with all of both. Fixed numbers, so that the outcome does not
/// depend on the number of threads.
const FIRST_ROUND_WORK: u64 = 1 << 24;
const FIRST_ROUND_SHARES: usize = 16;

struct Run<'c, M: Model> {
    consistency: Consistency,
    history: &'c History,
    model: &'c M,
    budget: Budget,
    threads: usize,
    /// Per part, once known.
    decided: Vec<Option<Decided>>,
    /// Operations in decided parts.
    done: AtomicUsize,
}

impl<M: Model> Run<'_, M> {
    /// All parts, each with a share of the budget. Parts after the first invalid one are left out.
    fn first_round(&mut self, parts: &[PartReads<M::Action>]) {
        self.decided = parts.iter().map(|_| None).collect();
        if parts.len() == 1 {
            return;
        }
        let budget = self.budget.with_memory(self.budget.memory_bytes / FIRST_ROUND_SHARES);
        let next = AtomicUsize::new(0);
        let first_invalid = Arc::new(AtomicUsize::new(usize::MAX));
        let results = Mutex::new(vec![]);
        let work = || {
            let mut mine = vec![];
            loop {
                let at = next.fetch_add(1, Ordering::SeqCst);
                if at >= parts.len() || at > first_invalid.load(Ordering::SeqCst) {
                    break;
                }
                let budget = budget.for_part(at, &first_invalid);
                let decided = self.decide(&parts[at], &budget, 1, FIRST_ROUND_WORK);
                if matches!(decided, Decided::Invalid(_)) {
                    first_invalid.fetch_min(at, Ordering::SeqCst);
                }
                mine.push((at, decided));
            }
            results.lock().expect("no worker panics while it holds the lock").extend(mine);
        };
        let workers = self.threads.min(FIRST_ROUND_SHARES).min(parts.len());
        if workers > 1 {
            std::thread::scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(work);
                }
            });
        } else {
            work();
        }
        for (at, decided) in results.into_inner().expect("the workers are gone") {
            self.decided[at] = Some(decided);
        }
    }

    /// What the first round left undecided, one part at a time, unless an invalid one is known.
    fn second_round(&mut self, parts: &[PartReads<M::Action>]) {
        let invalid = |decided: &Option<Decided>| matches!(decided, Some(Decided::Invalid(_)));
        if self.decided.iter().any(invalid) {
            return;
        }
        for (at, part) in parts.iter().enumerate() {
            if matches!(self.decided[at], Some(Decided::Valid(_))) {
                continue;
            }
            let decided = self.decide(part, &self.budget, self.threads, u64::MAX);
            let is_invalid = matches!(decided, Decided::Invalid(_));
            self.decided[at] = Some(decided);
            if is_invalid {
                return;
            }
        }
    }

    fn decide(&self, part: &PartReads<M::Action>, budget: &Budget, threads: usize, work_max: u64) -> Decided {
        let progress = self.budget.progress.as_ref();
        let watch = |engine: &dyn race::Engine| {
            if let Some(progress) = progress {
                let done = self.done.load(Ordering::Relaxed) + engine.placed();
                progress.placed.fetch_max(done as u64, Ordering::Relaxed);
                progress.configurations.fetch_max(engine.configurations(), Ordering::Relaxed);
                progress.memory_bytes.store(engine.heap_bytes() as u64, Ordering::Relaxed);
            }
        };
        let terms = Terms { consistency: self.consistency, budget, threads, work_max, watch: &watch };
        let decided = portfolio::decide(self.history, self.model, &part.reads, &terms);
        if matches!(decided, Decided::Valid(_)) {
            let done = self.done.fetch_add(part.reads.len(), Ordering::Relaxed) + part.reads.len();
            if let Some(progress) = progress {
                progress.placed.fetch_max(done as u64, Ordering::Relaxed);
            }
        }
        decided
    }

    fn verdict(mut self, parts: &[PartReads<M::Action>]) -> Verdict {
        for (part, decided) in parts.iter().zip(&self.decided) {
            let witness = match decided {
                Some(Decided::Invalid(Cause::Near(near))) => witness::of_distinct(self.history, part, near),
                Some(Decided::Invalid(Cause::Phantom(phantom))) => {
                    phantom.witness(self.history, self.model, part)
                }
                Some(Decided::Invalid(Cause::Searched)) => {
                    witness::find(self.history, self.model, part, self.consistency, &self.budget)
                }
                _ => continue,
            };
            return Verdict::Invalid(Box::new(witness));
        }
        let valid = self.decided.iter().filter(|d| matches!(d, Some(Decided::Valid(_)))).count();
        let mut certificate = Certificate::default();
        for (part, decided) in parts.iter().zip(&mut self.decided) {
            match decided.take().expect("the second round decides what the first did not") {
                Decided::Valid(order) => certificate.parts.push(Part { key: part.key, order }),
                Decided::Unknown(effort) => {
                    return Verdict::Unknown(Box::new(self.unknown(part, effort, (valid, parts.len()))));
                }
                Decided::Invalid(_) => unreachable!("an invalid part is reported above"),
            }
        }
        Verdict::Valid(certificate)
    }

    fn unknown(&self, part: &PartReads<M::Action>, effort: Effort, parts: (usize, usize)) -> Unknown {
        let reason = effort.reason.expect("the second round has no work limit");
        let limit_bytes = self.budget.memory_bytes;
        let hard = Hardness::of(self.model, part);
        Unknown {
            reason,
            key: part.key,
            placed: effort.placed,
            total: effort.total,
            configurations: effort.configurations,
            // Engines count what they reserved, and notice too much of it once they have it.
            memory_bytes: effort.memory_bytes.min(limit_bytes),
            parts,
            advice: advice::advise(reason, self.consistency, limit_bytes, hard),
        }
    }
}
