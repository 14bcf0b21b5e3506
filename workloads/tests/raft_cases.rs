//! Raft's small clusters in the model world: how many states each has, and which mistake which of them
//! shows, in how many steps. All of it is exact: a number that changes says that more can happen than
//! before, or less.

use shakedown_workloads::catalogue::{Pattern, find};
use shakedown_workloads::world::model::{Exploration, Extent, Limits, Stop};
use std::collections::BTreeSet;

fn raft() -> &'static dyn Pattern {
    find("raft").expect("it is in the catalogue")
}

fn explored(case: usize, mutant: Option<&str>) -> Exploration {
    raft().explore(case, mutant, &Limits::default()).expect("there is such a case")
}

/// Nothing is wrong, and all that should happen does.
#[track_caller]
fn holds(case: usize) -> Extent {
    let exploration = explored(case, None);
    assert_eq!(exploration.violation.as_ref().map(ToString::to_string), None, "case {case}");
    assert_eq!(exploration.unseen().collect::<Vec<_>>(), Vec::<&str>::new(), "case {case}");
    exploration.extent
}

/// How many states each of `cases` has, of which every one was looked at.
#[track_caller]
fn states<const N: usize>(cases: [usize; N]) -> [usize; N] {
    cases.map(|case| match holds(case) {
        Extent::Exhaustive { unique_states } => unique_states,
        other => panic!("case {case}: {other}"),
    })
}

#[test]
fn elections_are_exhausted() {
    assert_eq!(states([1, 2, 4, 6, 7]), [1_387, 16_496, 30_444, 30_618, 78_815]);
}

#[test]
fn elections_with_a_crash_are_exhausted() {
    assert_eq!(states([3]), [163_679]);
}

#[test]
fn clusters_of_one_are_exhausted() {
    assert_eq!(states([9, 10]), [40, 98]);
}

#[test]
fn replication_is_exhausted() {
    assert_eq!(states([11, 12, 13, 14, 15, 16]), [5_610, 4_305, 9_725, 69, 80_147, 114_014]);
}

#[test]
fn snapshots_are_exhausted() {
    assert_eq!(states([21, 22, 23]), [579, 5_792, 45]);
}

#[test]
fn changes_of_members_are_exhausted() {
    assert_eq!(states([24, 25, 26, 27, 28, 29, 30]), [71_006, 34_131, 4_837, 24, 87_256, 82, 2_574]);
}

// What does not fit is said not to: only what is nearest was looked at.
#[test]
fn what_is_too_large_is_looked_at_in_part() {
    assert!(matches!(holds(31), Extent::Bounded { stop: Stop::States, .. }));
    assert!(matches!(holds(32), Extent::Walked { walks: 5_000, .. }));
}

/// A mistake, the case that shows it, and in how many steps; of random paths, the shortest that one of them
/// came down to.
const SHOWN: [(&str, usize, usize); 33] = [
    ("vote-cleared-by-append", 3, 8),
    ("answer-before-commit", 13, 12),
    ("answer-booked-to-another", 15, 6),
    ("truncate-on-append", 16, 14),
    ("commit-own-tail", 11, 5),
    ("half-commits", 25, 5),
    ("nothing-durable", 9, 6),
    ("deposed-leader-answers", 11, 8),
    ("leads-on-in-higher-term", 2, 7),
    ("commit-old-term", 17, 12),
    ("longest-log-wins", 16, 7),
    ("no-consistency-check", 16, 8),
    ("old-leader-obeyed", 2, 7),
    ("answer-of-old-term-counts", 18, 6),
    ("old-votes-count", 5, 7),
    ("votes-counted-twice", 6, 5),
    ("vote-before-durable", 3, 7),
    ("vote-and-term-apart", 7, 11),
    ("ack-before-durable", 15, 5),
    ("commit-before-durable", 9, 5),
    ("no-sessions", 32, 33),
    ("sessions-lost-in-snapshot", 21, 10),
    ("local-read", 14, 4),
    ("read-before-noop", 20, 12),
    ("snapshot-off-by-one", 21, 9),
    ("config-lost-in-compaction", 27, 7),
    ("old-snapshot-installed", 32, 22),
    ("answer-of-former-member", 30, 6),
    ("change-before-noop", 31, 9),
    ("overlapping-changes", 25, 6),
    ("no-joint-consensus", 26, 5),
    ("config-on-commit", 28, 12),
    ("learners-count", 29, 9),
];

/// Mistakes about what is not in this world: time, damage, many messages. The swarm shows them, or a scene.
const NOT_SHOWN: [&str; 10] = [
    "damaged-log-cut-off",
    "no-pre-vote",
    "no-check-quorum",
    "lease-from-answer",
    "lease-without-margin",
    "lease-after-transfer",
    "lease-forgotten-at-restart",
    "snapshot-drops-tail",
    "chunks-as-they-come",
    "config-not-rolled-back",
];

#[test]
fn mistakes_are_shown() {
    let steps = SHOWN.map(|(mutant, case, _)| {
        let violation = explored(case, Some(mutant)).violation;
        (mutant, case, violation.unwrap_or_else(|| panic!("case {case} does not show {mutant}")).steps.len())
    });
    assert_eq!(steps, SHOWN);
}

#[test]
fn every_mistake_is_shown_here_or_known_not_to_be() {
    let known = SHOWN.iter().map(|&(mutant, ..)| mutant).chain(NOT_SHOWN);
    let all = raft().mutants().into_iter().map(|(mutant, _)| mutant);
    assert_eq!(all.collect::<BTreeSet<_>>(), known.collect::<BTreeSet<_>>());
}
