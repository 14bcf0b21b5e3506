//! Several engines on one problem, and which of them counts.
//!
//! The winner is the engine that needs the least *work* (choices tried), not the one that
//! happens to finish first: an engine that finishes waits until each other one has done as much work
//! as it did. So the verdict and its proof are the same on one thread and on many, on a busy machine
//! and on an idle one.

use crate::verdict::Reason;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an engine concludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A linearization: indices into the problem's operations.
    Valid(Vec<u32>),
    /// There is none.
    Invalid,
    /// This engine cannot tell, with any budget.
    Open,
    /// A budget ran out.
    GaveUp(Reason),
}

/// An engine that was given a weaker history than the one in question: if that has no linearization,
/// neither has the other; if it has one, nothing is known.
pub(crate) struct Refuter<'e>(pub(crate) Box<dyn Engine + 'e>);

impl Engine for Refuter<'_> {
    fn run(&mut self, until_work: u64) -> Option<Finding> {
        self.0.run(until_work).map(|finding| match finding {
            Finding::Valid(_) | Finding::GaveUp(_) => Finding::Open,
            finding => finding,
        })
    }

    fn work(&self) -> u64 {
        self.0.work()
    }

    fn configurations(&self) -> u64 {
        self.0.configurations()
    }

    /// What it places of another history says nothing about this one.
    fn placed(&self) -> usize {
        0
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

/// A search that can be run in slices.
pub(crate) trait Engine: Send {
    /// Goes on until `until_work` has been done (or a little more), or until it knows.
    fn run(&mut self, until_work: u64) -> Option<Finding>;
    /// Work done so far: choices tried, about.
    fn work(&self) -> u64;
    /// Configurations met so far.
    fn configurations(&self) -> u64;
    /// Operations that its deepest attempt has placed.
    fn placed(&self) -> usize;
    /// Bytes that it holds.
    fn heap_bytes(&self) -> usize;
}

/// Work that the first engine may do before the others begin. If it decides within that, it wins:
/// many problems are decided by the time that a second engine would have been set up.
const HEAD_START: u64 = 1 << 9;
/// Work between two looks at the other engines: as much again as was done before, within bounds. So
/// on one thread an engine that needs little work waits for little.
const SLICE: std::ops::RangeInclusive<u64> = 256..=(1 << 13);

/// Runs the engines, on as many threads as `threads` allows, and returns the finding of the one that
/// decided with the least work; if none decided, the first one's reason to give up, or `None` when
/// `work_max` ended it. `watch` is called between slices, for progress.
pub(crate) fn race(
    engines: &mut [Box<dyn Engine + '_>],
    threads: usize,
    work_max: u64,
    watch: &(dyn Fn(&dyn Engine) + Sync),
) -> Option<Finding> {
    let decided_at = AtomicU64::new(work_max);
    let mut findings: Vec<Option<Finding>> = engines.iter().map(|_| None).collect();
    let run_slice = |engine: &mut Box<dyn Engine + '_>, finding: &mut Option<Finding>| {
        let limit = (engine.work() + engine.work().clamp(*SLICE.start(), *SLICE.end()))
            .min(decided_at.load(Ordering::SeqCst));
        if finding.is_some() || engine.work() >= limit {
            return false;
        }
        *finding = engine.run(limit);
        if matches!(finding, Some(Finding::Valid(_) | Finding::Invalid)) {
            decided_at.fetch_min(engine.work(), Ordering::SeqCst);
        }
        watch(engine.as_ref());
        true
    };
    if let Some(engine) = engines.first_mut() {
        let finding = engine.run(HEAD_START.min(work_max));
        watch(engine.as_ref());
        if matches!(finding, Some(Finding::Valid(_) | Finding::Invalid)) {
            return finding;
        }
        findings[0] = finding;
    }
    if threads > 1 && engines.len() > 1 {
        std::thread::scope(|scope| {
            for (engine, finding) in engines.iter_mut().zip(&mut findings) {
                scope.spawn(|| while run_slice(engine, finding) {});
            }
        });
    } else {
        loop {
            let mut any = false;
            for (engine, finding) in engines.iter_mut().zip(&mut findings) {
                any |= run_slice(engine, finding);
            }
            if !any {
                break;
            }
        }
    }
    let decided = (0..engines.len())
        .filter(|&i| matches!(findings[i], Some(Finding::Valid(_) | Finding::Invalid)))
        .min_by_key(|&i| (engines[i].work(), i));
    match decided {
        Some(winner) => findings[winner].take(),
        None => findings.into_iter().flatten().find(|finding| *finding != Finding::Open),
    }
}
