//! From a scenario that fails to a smaller one that fails as well.
//!
//! Candidates have a fault less, a shorter fault, a client, a node or some operations less, or end
//! earlier. Any change shifts some of the chance after it, so a candidate is tried with a few other
//! seeds too (the seed is part of the scenario): what counts is that it is small and fails, not that it
//! is the same run. When no candidate fails any more, nothing can be removed.
//!
//! Delta debugging (Zeller & Hildebrandt 2002), over everything that a scenario is made of.

use crate::scenario::Scenario;
use shakedown_impls::protocol::NodeId;
use std::sync::atomic::{AtomicBool, Ordering};

/// How hard a candidate is tried, in round after round: little while there is much to remove, for then
/// each run takes long; much at the end.
const EFFORTS: [Effort; 5] = [
    Effort { seeds: 2, seeds_for_all: 0.0 },
    Effort { seeds: 2, seeds_for_all: 600.0 },
    Effort { seeds: 20, seeds_for_all: 600.0 },
    Effort { seeds: 200, seeds_for_all: 600.0 },
    Effort { seeds: 1_000, seeds_for_all: 600.0 },
];

/// How many seeds a candidate is tried with.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// At least so many.
    seeds: u64,
    /// So many if it removes everything; if it removes less, in proportion. A failure that takes luck is
    /// not lost by trying hard where it pays.
    seeds_for_all: f64,
}

/// What came of shrinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk<Op> {
    /// The smallest scenario found. It fails.
    pub scenario: Scenario<Op>,
    /// Runs that it took.
    pub runs: u64,
    /// False if it was ended before: more could perhaps be removed.
    pub complete: bool,
}

/// Makes `scenario`, of which `fails` must be true, smaller, in at most `runs_max` runs or until `stop` is
/// set.
pub fn shrink<Op: Clone + PartialEq>(
    scenario: &Scenario<Op>,
    runs_max: u64,
    stop: &AtomicBool,
    fails: &mut dyn FnMut(&Scenario<Op>) -> bool,
) -> Shrunk<Op> {
    let mut shrunk = Shrunk { scenario: scenario.clone(), runs: 0, complete: false };
    let mut fails = |runs: u64, candidate: &Scenario<Op>| {
        let is_over = runs == runs_max || stop.load(Ordering::Relaxed);
        (!is_over).then(|| fails(candidate))
    };
    for effort in EFFORTS {
        // Round and round, until one round through all changes has changed nothing.
        let (mut at, mut failed_in_a_row) = (0, 0);
        loop {
            let changes = changes(&shrunk.scenario);
            if changes.is_empty() || failed_in_a_row >= changes.len() {
                break;
            }
            at %= changes.len();
            match smaller(&mut shrunk, &changes[at], effort, &mut fails) {
                Some(true) => failed_in_a_row = 0,
                Some(false) => {
                    failed_in_a_row += 1;
                    at += 1;
                }
                None => return shrunk,
            }
        }
    }
    Shrunk { complete: true, ..shrunk }
}

/// Whether the change was made, for the scenario with it fails with one of the seeds. `None`: there is no
/// more time for runs, of which `fails` is told how many there were.
fn smaller<Op: Clone + PartialEq>(
    shrunk: &mut Shrunk<Op>,
    change: &Change,
    effort: Effort,
    fails: &mut dyn FnMut(u64, &Scenario<Op>) -> Option<bool>,
) -> Option<bool> {
    let mut candidate = shrunk.scenario.clone();
    change.apply(&mut candidate);
    if candidate == shrunk.scenario {
        return Some(false);
    }
    let (before, after) = (weight(&shrunk.scenario), weight(&candidate));
    let removed = (before - after).max(0.0) / before;
    for seed in 0..effort.seeds.max((effort.seeds_for_all * removed) as u64) {
        candidate.seed = if seed == 0 { shrunk.scenario.seed } else { seed };
        let does_fail = fails(shrunk.runs, &candidate)?;
        shrunk.runs += 1;
        if does_fail {
            shrunk.scenario = candidate;
            return Some(true);
        }
    }
    Some(false)
}

/// How much there is to understand in a scenario.
fn weight<Op>(scenario: &Scenario<Op>) -> f64 {
    let faults = scenario.plan.faults.len() + usize::from(scenario.lasting.is_some());
    let parts = scenario.operations() + 4 * faults + usize::from(scenario.nodes);
    parts as f64 + 1.0
}

/// A way to make a scenario smaller by one thing.
#[derive(Clone, Debug)]
enum Change {
    DropFault(usize),
    DropLasting,
    /// So many clients, from one on.
    DropClients(usize, usize),
    DropNode,
    /// What happens after that time does not.
    EndAt(u64),
    /// What happens before that time does not, and the rest so much earlier.
    StartAt(u64),
    /// Everything happens so much earlier, as far as there is time before it.
    Advance(u64),
    /// What all clients ask in so many milliseconds, from one on.
    DropMoment(u64, u64),
    /// So many requests of a client, from one on.
    DropRequests(usize, usize, usize),
    DropLast(usize),
    DropRetries,
    LeaveOut(usize, usize),
    HealEarlier(usize),
    BeginLater(usize),
}

/// What could be smaller, that which removes most first.
fn changes<Op>(scenario: &Scenario<Op>) -> Vec<Change> {
    let mut all = vec![];
    let length_ms = scenario.length_ms;
    all.extend([length_ms / 2, length_ms - length_ms / 8, length_ms - 1].map(Change::EndAt));
    all.extend([length_ms / 2, length_ms / 8].map(Change::StartAt));
    let faults = &scenario.plan.faults;
    all.extend((0..faults.len()).map(Change::DropFault));
    all.extend(scenario.lasting.as_ref().map(|_| Change::DropLasting));
    let clients = scenario.scripts.len();
    for size in halves(clients).filter(|_| clients > 1) {
        all.extend((0..clients).step_by(size).map(|from| Change::DropClients(from, size)));
    }
    let last = NodeId(scenario.nodes - 1);
    // Of three nodes and more, one that is cut off can be done without.
    let nodes_least = if scenario.lasting.is_some() { 3 } else { 1 };
    let mut kinds = faults.iter().map(|fault| &fault.kind).chain(&scenario.lasting);
    if scenario.nodes > nodes_least && kinds.all(|kind| !kind.nodes().contains(&last)) {
        all.push(Change::DropNode);
    }
    all.extend(scenario.retry_ms.map(|_| Change::DropRetries));
    // What comes before the first fault may not matter.
    let before = faults.first().map_or(0, |fault| fault.from_ms);
    all.extend([before / 2, before / 8].map(Change::Advance));
    let longest = scenario.scripts.iter().map(Vec::len).max().unwrap_or(0);
    for part in [2, 4, 8, 16].into_iter().filter(|&part| scenario.operations() > 8 * part) {
        let ms = length_ms.div_ceil(part as u64).max(1);
        all.extend((0..length_ms).step_by(ms as usize).map(|from_ms| Change::DropMoment(from_ms, ms)));
    }
    for size in halves(longest) {
        for (client, script) in scenario.scripts.iter().enumerate() {
            let starts = (0..script.len()).step_by(size);
            all.extend(starts.map(|from| Change::DropRequests(client, from, size)));
        }
    }
    all.extend((0..scenario.last.len()).map(Change::DropLast));
    for (i, fault) in faults.iter().enumerate() {
        let nodes = fault.kind.nodes().len();
        all.extend((0..nodes).filter(|_| nodes > 1).map(|place| Change::LeaveOut(i, place)));
        all.extend([Change::HealEarlier(i), Change::BeginLater(i)]);
    }
    all
}

/// About a half of `count`, a quarter, and so on down to 1; nothing, if it is 0.
fn halves(count: usize) -> impl Iterator<Item = usize> {
    let sizes = std::iter::successors(Some(count.div_ceil(2).next_power_of_two()), |size| Some(size / 2));
    sizes.take_while(move |&size| size > 0 && count > 0)
}

impl Change {
    fn apply<Op>(&self, scenario: &mut Scenario<Op>) {
        let faults = &mut scenario.plan.faults;
        match *self {
            Change::DropFault(fault) => drop(faults.remove(fault)),
            Change::DropLasting => scenario.lasting = None,
            Change::DropClients(from, count) => {
                let scripts = &mut scenario.scripts;
                scripts.drain(from..(from + count).min(scripts.len()));
            }
            Change::DropNode => scenario.nodes -= 1,
            Change::EndAt(length_ms) => {
                scenario.length_ms = length_ms.max(1);
                faults.iter_mut().for_each(|fault| fault.until_ms = fault.until_ms.min(length_ms));
                let requests = scenario.scripts.iter_mut();
                requests.for_each(|script| script.retain(|request| request.due_us < length_ms * 1_000));
            }
            Change::StartAt(ms) => {
                let requests = scenario.scripts.iter_mut();
                requests.for_each(|script| script.retain(|request| request.due_us >= ms * 1_000));
                advance(scenario, ms);
            }
            Change::Advance(ms) => advance(scenario, ms),
            Change::DropMoment(from_ms, ms) => {
                let moment = from_ms * 1_000..(from_ms + ms) * 1_000;
                let requests = scenario.scripts.iter_mut();
                requests.for_each(|script| script.retain(|request| !moment.contains(&request.due_us)));
            }
            Change::DropRequests(client, from, count) => {
                let script = &mut scenario.scripts[client];
                script.drain(from..(from + count).min(script.len()));
            }
            Change::DropLast(at) => drop(scenario.last.remove(at)),
            Change::DropRetries => scenario.retry_ms = None,
            Change::LeaveOut(fault, place) => faults[fault].kind.leave_out(place),
            Change::HealEarlier(fault) => {
                let fault = &mut faults[fault];
                fault.until_ms -= (fault.until_ms - fault.from_ms) / 2;
            }
            Change::BeginLater(fault) => {
                let fault = &mut faults[fault];
                fault.from_ms += (fault.until_ms - fault.from_ms) / 2;
            }
        }
        scenario.plan.faults.retain(|fault| fault.from_ms < fault.until_ms);
        scenario.plan.faults.sort_by_key(|fault| fault.from_ms);
    }
}

fn advance<Op>(scenario: &mut Scenario<Op>, ms: u64) {
    scenario.length_ms = (scenario.length_ms - ms).max(1);
    for fault in &mut scenario.plan.faults {
        fault.from_ms = fault.from_ms.saturating_sub(ms);
        fault.until_ms = fault.until_ms.saturating_sub(ms);
    }
    for request in scenario.scripts.iter_mut().flatten() {
        request.due_us = request.due_us.saturating_sub(ms * 1_000);
    }
}
