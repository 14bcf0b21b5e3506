//! The ABD register in the simulation: clean seeds, caught mutants, the same again, faults that take
//! effect. Servers that are not ours: `workloads/tests/any_server.rs`.

use super::*;
use crate::judge::{Finding, judge};
use crate::manner::StopFlag;
use crate::nemesis::{Fault, FaultKind, Nemesis, Plan};
use crate::scenario::Settings;
use crate::trace::{Kind, Line};
use crate::world::WorldName;
use crate::world::suite::{self, scenario};
use shakedown_checkers::history::Outcome as Ended;
use shakedown_impls::mutants::{Mutant as _, Mutants};
use shakedown_impls::object::register::Op;
use shakedown_impls::replication::leaderless::abd::{Abd, Config, Mutant};

const WORLD: WorldName = WorldName::Sim;

fn abd(scenario: &Scenario<Op>, mutants: Mutants<Mutant>) -> (Outcome, Option<Finding>) {
    suite::abd(WORLD, scenario, mutants)
}

// No violation, no stall; and what the scenarios are meant to do happened.
#[test]
fn a_clean_register_is_linearizable_and_recovers() {
    let (total, operations, [faults, vacuous]) = suite::clean(WORLD, 100);
    assert!(total.restarts > 100 && total.lost > 1_000 && total.delivered > 100_000, "{total:?}");
    assert!(total.records_lost > 5 && total.records_repaired > 3 && total.disks_refused == 0, "{total:?}");
    assert!(operations > 10_000 && total.seen > 5_000, "{operations} operations, {total:?}");
    assert!(vacuous * 4 < faults, "{vacuous} of {faults} faults changed nothing");
}

// Three of the four with the usual scenarios. The fourth, acknowledging too early, shows only if both
// nodes that acknowledged a coordinator's write lose it and are then asked without the coordinator, before
// the next write: in 2 of 1,500 usual scenarios. So it gets slow disks, losses of power and many keys.
#[test]
fn every_mutant_is_caught() {
    let powerless = Settings {
        nodes: Some(3),
        clients: Some(6),
        keys: Some(8),
        nemeses: vec![Nemesis::Power],
        ..Settings::usual::<Op>()
    };
    for &mutant in Mutant::ALL {
        suite::catches(WORLD, mutant, 500, |seed| match mutant {
            Mutant::AckBeforeDurable => Scenario { disk_us: 8_000, ..Scenario::draw(seed, &powerless) },
            _ => scenario(seed),
        });
    }
}

// On two threads at once, as hunts are. `tests/repeatable.rs` looks closer, but alone.
#[test]
fn a_seed_gives_the_same_history_and_trace_again() {
    suite::repeats(WORLD, 12);
}

#[test]
fn each_fault_takes_effect_and_is_recorded() {
    suite::each_fault_takes_effect_and_is_recorded(WORLD);
}

// All nodes are down: nothing is answered, and what could not even be sent is known not to have happened.
#[test]
fn nobody_is_answered_while_all_are_down() {
    let ended = suite::while_all_are_down(WORLD);
    assert!(!ended.contains(&Ended::Ok) && ended.contains(&Ended::Fail), "{ended:?}");
}

#[test]
fn without_faults_everything_is_answered() {
    suite::without_faults_everything_is_answered(WORLD, 20);
}

#[test]
fn what_may_be_repeated_is_asked_elsewhere() {
    let (without, with) = (suite::gives_up(WORLD, None), suite::gives_up(WORLD, Some(40)));
    assert!(with < without, "{with} of those who may, {without} of those who may not");
}

fn with_fault(nodes: u16, kind: FaultKind) -> Outcome {
    suite::with_fault(WORLD, nodes, kind)
}

/// What a node heard while the fault lasted, from others.
fn heard(outcome: &Outcome, node: u16, from: &[u16]) -> usize {
    let lines = &outcome.trace.as_ref().expect("a trace was asked for").lines;
    let is_heard = |line: &&Line| {
        // What was on its way when the cut was made is lost; what was received already may wait.
        line.kind == Kind::Heard
            && line.place == crate::trace::Place::Node(NodeId(node))
            && (110_000_000..900_000_000).contains(&line.time_ns)
            && from.iter().any(|from| line.what.starts_with(&format!("n{from}: ")))
    };
    lines.iter().filter(is_heard).count()
}

// Turmoil's own partitions, one way each: who hears whom is what the plan says.
#[test]
fn partitions_cut_what_they_say_and_nothing_else() {
    let split = with_fault(5, FaultKind::Split(vec![NodeId(0), NodeId(1)]));
    assert_eq!((heard(&split, 0, &[2, 3, 4]), heard(&split, 3, &[0, 1])), (0, 0));
    assert!(heard(&split, 0, &[1]) > 0 && heard(&split, 3, &[2, 4]) > 0);
    let mute = with_fault(5, FaultKind::Mute(vec![NodeId(0)]));
    assert_eq!(heard(&mute, 1, &[0]) + heard(&mute, 4, &[0]), 0);
    assert!(heard(&mute, 0, &[1, 2, 3, 4]) > 0 && heard(&mute, 1, &[2, 3, 4]) > 0);
    let bridge = with_fault(5, FaultKind::Bridge(NodeId(1)));
    assert_eq!((heard(&bridge, 2, &[0, 4]), heard(&bridge, 0, &[2, 3])), (0, 0));
    assert!(heard(&bridge, 2, &[1, 3]) > 0 && heard(&bridge, 1, &[0, 2, 3, 4]) > 0);
}

// Two faults cut the same way. The one that is healed first must not join what the other keeps apart.
#[test]
fn faults_that_overlap_end_one_by_one() {
    let settings =
        Settings { nodes: Some(3), length_ms: Some(1_000), nemeses: vec![], ..Settings::usual::<Op>() };
    let fault = |from_ms, until_ms, kind| Fault { from_ms, until_ms, kind };
    let node = NodeId(0);
    let faults = vec![
        fault(100, 900, FaultKind::Split(vec![node])),
        fault(150, 200, FaultKind::Split(vec![node])),
        fault(200, 600, FaultKind::Crash(NodeId(1))),
        fault(250, 400, FaultKind::PowerLoss(vec![NodeId(1)])),
        fault(300, 350, FaultKind::Crash(NodeId(1))),
    ];
    let scenario = Scenario { plan: Plan { faults }, ..Scenario::draw(1, &settings) };
    let mut outcome = run_traced::<Abd>(&Config::new(3), &scenario);
    assert_eq!(judge::<Op>(&mut outcome, scenario.recovery_ms, &StopFlag::default()), None);
    assert_eq!((heard(&outcome, 0, &[1, 2]), outcome.counts.restarts), (0, 1));
}

// A process that is killed leaves its disk what it wrote; a machine without power may not.
#[test]
fn only_a_loss_of_power_loses_what_was_written() {
    let lost = |kind: fn(NodeId) -> FaultKind| {
        let mut lost = 0;
        for seed in 0..40 {
            let settings =
                Settings { nodes: Some(3), length_ms: Some(300), nemeses: vec![], ..Settings::usual::<Op>() };
            let faults = (0..3).map(|node| Fault { from_ms: 200, until_ms: 250, kind: kind(NodeId(node)) });
            let plan = Plan { faults: faults.collect() };
            let scenario = Scenario { plan, disk_us: 8_000, ..Scenario::draw(seed, &settings) };
            let (outcome, finding) = abd(&scenario, Mutants::default());
            assert_eq!((finding, outcome.counts.restarts), (None, 3));
            lost += outcome.counts.records_lost;
        }
        lost
    };
    let (killed, dark) = (lost(FaultKind::Crash), lost(|node| FaultKind::PowerLoss(vec![node])));
    assert!(killed == 0 && dark > 10, "{killed} records lost by killing, {dark} by loss of power");
}

#[test]
fn a_rotten_bit_is_repaired_and_a_failing_disk_ends_the_node() {
    let rotten = with_fault(3, FaultKind::BitRot(NodeId(0)));
    assert_eq!((rotten.counts.restarts, rotten.counts.disks_refused), (1, 0));
    let failing = with_fault(3, FaultKind::FailingDisk(NodeId(0)));
    assert_eq!((failing.effects[0], failing.counts.restarts), (1, 1));
    let down = |line: &&Line| line.kind == Kind::Down && line.what.contains("refuses to write");
    assert_eq!(failing.trace.expect("a trace").lines.iter().filter(down).count(), 1);
}

// One node, two, more than in any usual scenario; one client, many; no time to recover in.
#[test]
fn clusters_of_any_size_run() {
    for (nodes, clients) in [(1, 1), (1, 8), (2, 3), (9, 40)] {
        let settings = Settings { nodes: Some(nodes), clients: Some(clients), ..Settings::usual::<Op>() };
        for seed in 0..4 {
            let scenario = Scenario::draw(seed, &settings);
            let (_, finding) = abd(&scenario, Mutants::default());
            assert_eq!(finding, None, "{nodes} nodes, {clients} clients, {}", scenario.plan);
        }
        let scenario = Scenario { recovery_ms: 0, ..Scenario::draw(1, &settings) };
        run::<Abd>(&Config::new(nodes), &scenario);
    }
}
