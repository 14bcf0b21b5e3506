//! Nodes that are taken for each other: nothing is lost by it, and what is found is told as it happens.

use super::super::heard::Heard;
use super::super::judge::Judge;
use super::super::symmetry::hash_of;
use super::super::*;
use super::NONE;
use crate::operation::Subject;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::protocol::NodeId;
use shakedown_impls::replication::raft::{Config, Mutant, Raft, Registers, Timer};
use std::collections::BTreeSet;

type Cluster = Raft<Registers>;

const N: [NodeId; 4] = [NodeId(0), NodeId(1), NodeId(2), NodeId(3)];

fn elections(nodes: u16, budget: Budget) -> Case<Cluster> {
    Case::new(nodes, Config::plain(nodes)).firing(|_, timer| *timer == Timer::Election).budget(budget)
}

/// The hashes of all states that there are; of what stands for each, if that is asked for.
fn reachable<P: Subject>(case: &Case<P>, seen_as: impl Fn(State<P>) -> State<P>) -> BTreeSet<u64> {
    let (judge, heard) = (Judge::new(), Heard::default());
    let mut seen = BTreeSet::new();
    let mut open = vec![case.representative(case.start())];
    let (mut known, mut actions) = (BTreeSet::from([hash_of(&open[0])]), vec![]);
    while let Some(state) = open.pop() {
        actions.clear();
        case.possible(&state, &mut actions);
        for action in actions.drain(..) {
            let next = case.representative(case.then(&state, action, &judge, &heard));
            if known.insert(hash_of(&next)) {
                open.push(next);
            }
        }
        seen.insert(hash_of(&seen_as(state)));
    }
    seen
}

/// What is reached through representatives is what stands for all that is reached without. How many states
/// there are, and how many are looked at.
#[track_caller]
fn sizes(case: Case<Cluster>, alike: &[NodeId]) -> [usize; 2] {
    let folded = case.clone().interchangeable(alike.iter().copied());
    let all = reachable(&case, |state| state);
    let images = reachable(&case, |state| folded.representative(state));
    let looked_at = reachable(&folded, |state| state);
    assert_eq!(images, looked_at, "something is lost, or comes from nowhere");
    [all.len(), looked_at.len()]
}

// Three nodes have six names, four have 24: most states have as many images, those at the beginning and
// those in which nodes are in the same state have fewer. Fewer names, if one is not like the others.
#[test]
fn elections_of_nodes_that_are_alike() {
    let one = Budget { firings: 1, ..NONE };
    let measured = [
        sizes(elections(3, one), &N[..3]),
        sizes(elections(3, Budget { crashes: 1, ..one }), &N[..3]),
        sizes(elections(4, one), &N),
        sizes(elections(4, one), &N[1..]),
    ];
    assert_eq!(measured, [[220, 40], [2_033, 353], [1_269, 78], [1_269, 259]]);
}

#[test]
#[should_panic(expected = "a client asks a node that is to be like others")]
fn a_node_that_is_asked_is_like_no_other() {
    use shakedown_impls::object::register::Op as Asked;
    use shakedown_impls::replication::raft::Op;
    let read = Op::Command(Asked::Read { key: 1 });
    let _ = elections(3, NONE).client([(N[1], read)]).interchangeable(N);
}

// Names change on the way through representatives. What is told is a path that can be taken without them.
#[test]
fn what_is_found_is_told_under_the_names_that_nodes_have() {
    let mut case = elections(3, Budget { firings: 2, ..NONE }).always(crate::replication::raft::invariants());
    case.config.mutants = Mutants::only(Mutant::LeadsOnInHigherTerm);
    let plain = explore(&case, &Limits::default()).violation.expect("it is found");
    let folded = explore(&case.interchangeable(N[..3].to_vec()), &Limits::default());
    let folded = folded.violation.expect("it is found");
    assert_eq!(folded.steps.len(), plain.steps.len(), "{folded}");
    assert_eq!(folded.finding.kind(), "broke");
}
