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

/// Seeds that a candidate is tried with, in round after round: few while there is much to remove, many at
/// the end.
const SEEDS: [u64; 4] = [2, 20, 200, 1_000];
/// Seeds that a candidate is tried with from the start which removes everything; what removes less, in
/// proportion. A failure that takes luck is not lost by trying hard where it pays.
const SEEDS_FOR_ALL: f64 = 600.0;

/// What came of shrinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk<Op> {
    /// The smallest scenario found. It fails.
    pub scenario: Scenario<Op>,
    /// Runs that it took.
    pub runs: u64,
    /// False if `runs_max` ended it: more could perhaps be removed.
    pub complete: bool,
}

/// Makes `scenario`, of which `fails` must be true, smaller, in at most `runs_max` runs.
pub fn shrink<Op: Clone + PartialEq>(
    scenario: &Scenario<Op>,
    runs_max: u64,
    fails: &mut dyn FnMut(&Scenario<Op>) -> bool,
) -> Shrunk<Op> {
    let mut shrunk = Shrunk { scenario: scenario.clone(), runs: 0, complete: false };
    for seeds in SEEDS {
        // Round and round, until one round through all changes has changed nothing.
        let (mut at, mut failed_in_a_row) = (0, 0);
        loop {
            let changes = changes(&shrunk.scenario);
            if changes.is_empty() || failed_in_a_row >= changes.len() {
                break;
            }
            at %= changes.len();
            match smaller(&mut shrunk, &changes[at], seeds, runs_max, fails) {
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

/// Whether the change was made, for the scenario with it fails with one of the seeds. `None`: no runs
/// are left.
fn smaller<Op: Clone + PartialEq>(
    shrunk: &mut Shrunk<Op>,
    change: &Change,
    seeds: u64,
    runs_max: u64,
    fails: &mut dyn FnMut(&Scenario<Op>) -> bool,
) -> Option<bool> {
    let mut candidate = shrunk.scenario.clone();
    change.apply(&mut candidate);
    if candidate == shrunk.scenario {
        return Some(false);
    }
    let (before, after) = (weight(&shrunk.scenario), weight(&candidate));
    let removed = (before - after).max(0.0) / before;
    for seed in 0..seeds.max((SEEDS_FOR_ALL * removed) as u64) {
        if shrunk.runs == runs_max {
            return None;
        }
        shrunk.runs += 1;
        candidate.seed = if seed == 0 { shrunk.scenario.seed } else { seed };
        if fails(&candidate) {
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
    DropClient(usize),
    DropNode,
    /// What happens after that time does not.
    EndAt(u64),
    /// What happens before that time does not, and the rest so much earlier.
    StartAt(u64),
    /// Everything happens so much earlier, as far as there is time before it.
    Advance(u64),
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
    all.extend((0..scenario.scripts.len()).map(Change::DropClient).filter(|_| scenario.scripts.len() > 1));
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
    let sizes = std::iter::successors(Some(longest.next_power_of_two() / 2), |size| Some(size / 2));
    for size in sizes.take_while(|&size| size > 0) {
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

impl Change {
    fn apply<Op>(&self, scenario: &mut Scenario<Op>) {
        let faults = &mut scenario.plan.faults;
        match *self {
            Change::DropFault(fault) => drop(faults.remove(fault)),
            Change::DropLasting => scenario.lasting = None,
            Change::DropClient(client) => drop(scenario.scripts.remove(client)),
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
