//! What the register does not do: choices, panics, effects that the boundary forbids.

use super::super::transition::everything_reachable;
use super::super::*;
use super::{NONE, ONE_CRASH};
use crate::outcome::{Broke, Rules};
use crate::world::toy::{Op, Toy};
use shakedown_impls::protocol::NodeId;

fn asked(op: Op) -> Case<Toy> {
    Case::new(1, ()).client([(NodeId(0), op)])
}

// Before the request, before the choice, and six ways after it.
#[test]
fn a_choice_falls_every_way() {
    let exploration = explore(&asked(Op::Roll), &Limits::default());
    assert!(exploration.is_proof());
    assert_eq!(exploration.extent, Extent::Exhaustive { unique_states: 8 });
}

#[test]
fn a_node_crashes_between_two_records() {
    let case = asked(Op::WriteTwice).budget(ONE_CRASH);
    let states = everything_reachable(&case, |_, _| vec![]);
    let disks = |is_down: bool| {
        let mut disks: Vec<_> = states
            .iter()
            .filter(|state| (state.down() > 0) == is_down)
            .map(|state| state.nodes[0].disk.0.clone())
            .collect();
        disks.sort();
        disks.dedup();
        disks
    };
    assert_eq!(disks(true), [vec![], vec![1], vec![1, 2]]);
    assert_eq!(disks(false), [vec![], vec![1], vec![1, 2]]);
    let has_no_crash_to_come = asked(Op::WriteTwice).budget(NONE);
    assert_eq!(everything_reachable(&has_no_crash_to_come, |_, _| vec![]).len(), 2);
}

#[test]
fn what_the_boundary_forbids_is_a_finding() {
    for (op, how) in [
        (Op::Panic, "it panicked: as it was told"),
        (Op::SendToItself, "it sends to n0: expected another of the 1 nodes"),
        (Op::SendToNobody, "it sends to n7: expected another of the 1 nodes"),
        (Op::AnswerNobody, "it answers request 0 of c9, who never made it"),
        (Op::ChooseFromNothing, "its choice 4 is one of nothing"),
    ] {
        let violation = explore(&asked(op), &Limits::default()).violation.expect("it is found");
        let broke = Broke { node: NodeId(0), rules: Rules::Boundary, how: how.to_owned() };
        assert_eq!(violation.finding, Finding::Broke(broke));
        assert_eq!(violation.steps, [format!("n0 hears request 0 of c0: {op:?}")]);
        let walks = Walks { walks: 1, steps_max: 5, seed: 0 };
        let walked = walk(&asked(op), &walks, &Limits::default()).violation.expect("it is found");
        assert_eq!(walked.to_string(), violation.to_string());
    }
}
