//! From a scenario of the other worlds to a case of this one: what took one way there takes every way
//! here.

use super::{Budget, Case};
use crate::operation::Subject;
use crate::random::Random;
use crate::scenario::Scenario;
use shakedown_impls::protocol::NodeId;

/// More than that has too many schedules to look at.
const OPERATIONS_MAX: usize = 6;

impl<P: Subject> Case<P> {
    /// The cluster of `scenario`, its clients at the nodes where they begin there, as many crashes as it
    /// has, and as many requests given up. Messages are not lost but may be late for ever; there are no
    /// times and no timers. `Err`: why it is too much.
    pub fn of(scenario: &Scenario<P::Op>, config: P::Config) -> Result<Case<P>, String> {
        let operations = scenario.operations();
        if operations > OPERATIONS_MAX {
            return Err(format!(
                "{operations} operations have too many schedules to look at each; expected at most \
                 {OPERATIONS_MAX}"
            ));
        }
        let mut case = Case::new(scenario.nodes, config);
        for (client, script) in scenario.scripts.iter().enumerate() {
            let mut random = Random::stream(scenario.seed, "client", client as u64);
            let node = NodeId(random.below(u64::from(scenario.nodes)) as u16);
            let ops = script.iter().map(|request| &request.op).chain(&scenario.last);
            case = case.client(ops.map(|op| (node, op.clone())));
        }
        let crashes = scenario.plan.faults.iter().map(|fault| fault.kind.crashes()).sum();
        Ok(case.budget(Budget { crashes, timeouts: crashes, ..Budget::default() }))
    }
}
