//! From a scenario that fails to a smaller one that fails as well.
//!
//! Candidates have a fault less, a shorter fault, a client or a node less, or end earlier. Any change
//! shifts all chance after it, so a candidate is tried with a few other seeds too (the seed is part
//! of the scenario): what counts is that it is small and fails, not that it is the same run. When no
//! candidate fails any more, nothing can be removed.

use super::Scenario;
use shakedown_impls::protocol::NodeId;

/// Other seeds that a candidate is tried with.
const SEEDS: u64 = 60;

/// What came of shrinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The smallest scenario found. It fails.
    pub scenario: Scenario,
    /// Runs that it took.
    pub runs: u64,
    /// False if `runs_max` ended it.
    pub complete: bool,
}

/// Makes `scenario`, of which `fails` must be true, smaller, in at most `runs_max` runs.
pub fn shrink(scenario: &Scenario, runs_max: u64, fails: &mut dyn FnMut(&Scenario) -> bool) -> Shrunk {
    let mut shrunk = Shrunk { scenario: scenario.clone(), runs: 0, complete: false };
    'smaller: loop {
        for candidate in candidates(&shrunk.scenario) {
            for seed in 0..SEEDS {
                if shrunk.runs == runs_max {
                    return shrunk;
                }
                shrunk.runs += 1;
                let seed = if seed == 0 { candidate.seed } else { seed };
                let candidate = Scenario { seed, ..candidate.clone() };
                if fails(&candidate) {
                    shrunk.scenario = candidate;
                    continue 'smaller;
                }
            }
        }
        return Shrunk { complete: true, ..shrunk };
    }
}

/// Scenarios that are smaller by one thing, what is cheapest to understand first.
fn candidates(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = vec![];
    let mut add = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        candidate.plan.faults.retain(|fault| fault.from_ms < fault.until_ms);
        if candidate != *scenario {
            all.push(candidate);
        }
    };
    for i in 0..scenario.plan.faults.len() {
        add(&|candidate| {
            candidate.plan.faults.remove(i);
        });
    }
    if scenario.nodes > 1 {
        let last = NodeId(scenario.nodes - 1);
        if scenario.plan.faults.iter().all(|fault| !fault.kind.nodes().contains(&last)) {
            add(&|candidate| candidate.nodes -= 1);
        }
    }
    if scenario.clients > 1 {
        add(&|candidate| candidate.clients -= 1);
    }
    for length_ms in [scenario.length_ms / 2, scenario.length_ms - scenario.length_ms / 8] {
        if length_ms > 0 {
            add(&|candidate| {
                candidate.length_ms = length_ms;
                for fault in &mut candidate.plan.faults {
                    fault.until_ms = fault.until_ms.min(length_ms);
                }
            });
        }
    }
    // What comes before the first fault may not matter.
    let before = scenario.plan.faults.first().map_or(0, |fault| fault.from_ms);
    for early in [before / 2, before / 8] {
        add(&|candidate| {
            candidate.length_ms -= early;
            for fault in &mut candidate.plan.faults {
                fault.from_ms -= early;
                fault.until_ms -= early;
            }
        });
    }
    for i in 0..scenario.plan.faults.len() {
        let nodes = scenario.plan.faults[i].kind.nodes().len();
        for left_out in (0..nodes).filter(|_| nodes > 1) {
            add(&|candidate| candidate.plan.faults[i].kind.leave_out(left_out));
        }
        let fault = &scenario.plan.faults[i];
        let half = (fault.until_ms - fault.from_ms) / 2;
        add(&|candidate| candidate.plan.faults[i].until_ms -= half);
        add(&|candidate| candidate.plan.faults[i].from_ms += half);
    }
    all
}
