//! Openraft under load and faults: nothing is found, much happens, and a seed is a run.

use super::*;
use crate::catalogue::{Pattern as _, Request};
use crate::judge::{Finding, judge};
use crate::manner::{Manner, StopFlag};
use crate::nemesis::{Fault, FaultKind, Nemesis, Plan};
use crate::outcome::Counts;
use crate::scenario::Settings;
use crate::world::WorldName;
use crate::world::sim::SERVER_NEMESES;
use crate::world::suite::{is_repeated, told};
use shakedown_checkers::history::Outcome as Ended;
use shakedown_impls::object::register::Op;
use shakedown_impls::replication::raft::Registers;

/// The usual scenario of a seed.
fn usual(seed: u64) -> Scenario<Op> {
    Scenario::draw(seed, &Settings { nemeses: SERVER_NEMESES.to_vec(), ..Settings::usual::<Op>() })
}

/// The same, but no node stays deaf: that is known, and has a test of its own.
fn scenario(seed: u64) -> Scenario<Op> {
    let usual = usual(seed);
    let lasting = usual.lasting.clone().filter(|kind| !matches!(kind, FaultKind::Deaf(_)));
    Scenario { lasting, ..usual }
}

/// Runs a scenario: what came of it, and what is wrong.
fn ran(scenario: &Scenario<Op>, trap: Option<Trap>) -> (Outcome, Option<Finding>) {
    let mut outcome = run::<Registers>(scenario, trap, &Manner::traced());
    let finding = judge::<Op>(&mut outcome, scenario.recovery_ms, &StopFlag::default());
    (outcome, finding)
}

#[test]
fn a_seed_gives_the_same_run_byte_for_byte() {
    is_repeated(24, |seed| told(ran(&scenario(seed), None).0));
}

// No violation, no stall; and what the scenarios are meant to do happened.
#[test]
fn registers_are_linearizable_and_recover() {
    let (mut total, mut answered, mut faults) = (Counts::default(), 0, BTreeMap::<_, [usize; 2]>::new());
    for seed in 0..40 {
        let scenario = scenario(seed);
        let (outcome, finding) = ran(&scenario, None);
        assert_eq!(finding, None, "seed {seed}, {}", scenario.plan);
        total.add(&outcome.counts);
        answered += outcome.history.operations().filter(|op| op.outcome == Ended::Ok).count();
        for (fault, &effects) in scenario.plan.faults.iter().zip(&outcome.effects) {
            let [all, effective] = faults.entry(fault.kind.name()).or_default();
            *all += 1;
            *effective += usize::from(effects > 0);
        }
    }
    println!("{total:?}, {answered} answered, {faults:?}");
    assert!(total.seen > 500 && total.restarts > 30 && answered > 2_000, "{total:?}, {answered}");
    for kind in ["split", "crash", "power-loss", "pause"] {
        assert!(faults[kind][1] > 3, "{kind}: {faults:?}");
    }
}

// Known wrong: a node that is heard and hears nobody keeps all others from having a leader.
#[test]
fn one_deaf_node_keeps_the_others_without_a_leader() {
    let deaf = |seed: &u64| matches!(usual(*seed).lasting, Some(FaultKind::Deaf(_)));
    let found = (0..60).filter(deaf).find_map(|seed| ran(&usual(seed), None).1);
    assert!(matches!(found, Some(Finding::Stalled { .. })), "{found:?}");
}

// Messages take four times as long as openraft's heartbeats wait for them, on average, and then not.
#[test]
fn a_slow_network_delays_and_does_no_harm() {
    let kind = FaultKind::Delay(400);
    for seed in 0..8 {
        let plan = Plan { faults: vec![Fault { from_ms: 10, until_ms: 400, kind: kind.clone() }] };
        let scenario = Scenario { plan, length_ms: 500, ..scenario(seed) };
        let (outcome, finding) = ran(&scenario, None);
        assert_eq!((finding, outcome.effects[0]), (None, 1), "seed {seed}");
    }
}

/// What `reports/peers.md` says of a seed, by the command that it names.
fn published(seed: u64, nemeses: Option<Vec<Nemesis>>, trap: &str) -> Option<Finding> {
    let request = Request { nemeses, ..Request::new(WorldName::Sim) };
    let run = |request| {
        OPENRAFT.run(&request, seed, &StopFlag::default()).expect("openraft is asked for what it has").finding
    };
    assert_eq!(run(request.clone()), None, "around the trap");
    run(Request { mutant: Some(trap.to_owned()), ..request })
}

// Known wrong: what all nodes forget when they lose power is that it was committed, and the leader leads
// on. https://github.com/databendlabs/openraft/issues/1511
#[test]
fn what_is_committed_has_to_be_durable() {
    let nemeses = vec![Nemesis::Crash, Nemesis::Power, Nemesis::Pause];
    let found = published(4, Some(nemeses), "committed-later");
    assert!(matches!(found, Some(Finding::Refuted { .. })), "{found:?}");
}

// Known wrong: the log is purged before the snapshot that replaces it is durable.
#[test]
fn the_log_must_not_be_purged_before_the_snapshot_is_durable() {
    let found = published(3_106, None, "purges-at-once");
    let Some(Finding::Broke(broke)) = found else { panic!("{found:?}") };
    assert!(broke.how.contains("Failed to get log entries"), "{broke}");
}
