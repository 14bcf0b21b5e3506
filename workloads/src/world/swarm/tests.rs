//! The ABD register in the swarm: clean seeds, caught mutants, the same again, faults that take effect.

use super::*;
use crate::judge::{Finding, judge};
use crate::manner::StopFlag;
use crate::nemesis::{Fault, FaultKind, Plan};
use crate::scenario::{Request, Settings};
use crate::trace::Line;
use crate::world::WorldName;
use crate::world::suite::{self, scenario};
use crate::world::toy::{self, Toy};
use shakedown_checkers::history::Outcome as Ended;
use shakedown_impls::mutants::{Mutant as _, Mutants};
use shakedown_impls::object::register::Op;
use shakedown_impls::replication::leaderless::abd::{Abd, Config, Mutant};
use std::sync::atomic::{AtomicBool, Ordering};

const WORLD: WorldName = WorldName::Swarm;

fn abd(scenario: &Scenario<Op>, mutants: Mutants<Mutant>) -> (Outcome, Option<Finding>) {
    suite::abd(WORLD, scenario, mutants)
}

// A thousand scenarios: no violation, no stall; and what the scenarios are meant to do happened.
#[test]
fn a_clean_register_is_linearizable_and_recovers() {
    let (total, operations, [faults, vacuous]) = suite::clean(WORLD, 1_000);
    assert!(total.restarts > 500 && total.lost > 10_000, "{total:?}");
    assert!(total.records_lost > 20 && total.records_repaired > 20 && total.disks_refused == 0, "{total:?}");
    assert!(operations > 20_000 && total.seen > 5_000, "{operations} operations, {total:?}");
    assert!(vacuous * 3 < faults, "{vacuous} of {faults} faults changed nothing");
}

#[test]
fn every_mutant_is_caught() {
    Mutant::ALL.iter().for_each(|&mutant| suite::catches(WORLD, mutant, 2_000, scenario));
}

#[test]
fn a_seed_gives_the_same_history_and_trace_again() {
    suite::repeats(WORLD, 20);
}

#[test]
fn each_fault_takes_effect_and_is_recorded() {
    suite::each_fault_takes_effect_and_is_recorded(WORLD);
}

#[test]
fn nobody_is_answered_while_all_are_down() {
    assert!(!suite::while_all_are_down(WORLD).contains(&Ended::Ok));
}

#[test]
fn without_faults_everything_is_answered() {
    suite::without_faults_everything_is_answered(WORLD, 50);
}

#[test]
fn what_may_be_repeated_is_asked_elsewhere() {
    let (without, with) = (suite::gives_up(WORLD, None), suite::gives_up(WORLD, Some(40)));
    assert!(with < without, "{with} of those who may, {without} of those who may not");
}

// A failure of each mutant, made small: it still fails, nothing more can be removed, and it replays from
// its text.
#[test]
fn failures_shrink_until_nothing_can_be_removed() {
    for (mutant, operations_most) in [(Mutant::TagPerNode, 6), (Mutant::QuorumOfHalf, 6)] {
        let mut fails = |scenario: &Scenario<Op>| {
            matches!(abd(scenario, Mutants::only(mutant)).1, Some(Finding::Refuted { .. }))
        };
        let first = (0..2_000).map(scenario).find(|scenario| fails(scenario)).expect("it is caught");
        let shrunk = shrink::shrink(&first, 100_000, &AtomicBool::new(false), &mut fails);
        let text = serde_json::to_string(&shrunk.scenario).expect("scenarios are plain data");
        println!("{}: {text} in {} runs", mutant.name(), shrunk.runs);
        assert!(shrunk.complete && fails(&shrunk.scenario));
        assert!(shrunk.scenario.plan.faults.len() <= 1, "{}", shrunk.scenario.plan);
        assert!(shrunk.scenario.operations() <= operations_most, "{}", shrunk.scenario.operations());
        assert!(fails(&serde_json::from_str(&text).expect("what is written can be read")));
    }
}

// Whoever stops it waits for the run that is on, and for nothing else.
#[test]
fn shrinking_ends_when_it_is_stopped() {
    let settings = Settings { clients: Some(1_000), ..Settings::usual::<Op>() };
    let (stop, mut runs) = (AtomicBool::new(false), 0);
    let mut fails = |_: &Scenario<Op>| {
        runs += 1;
        stop.store(runs == 10, Ordering::Relaxed);
        false
    };
    let shrunk = shrink::shrink(&Scenario::draw(0, &settings), u64::MAX, &stop, &mut fails);
    assert!(!shrunk.complete);
    assert_eq!((shrunk.runs, runs), (10, 10));
}

/// One request, of one client, in a quiet cluster.
fn asked(nodes: u16, op: toy::Op) -> (Outcome, Option<Finding>) {
    let settings = Settings {
        nodes: Some(nodes),
        clients: Some(1),
        length_ms: Some(100),
        nemeses: vec![],
        ..Settings::usual::<toy::Op>()
    };
    let script = vec![Request { due_us: 0, op }];
    let scenario = Scenario { scripts: vec![script], last: vec![op], ..Scenario::draw(0, &settings) };
    let mut outcome = run_traced::<Toy>(&(), &scenario);
    let finding = judge::<toy::Op>(&mut outcome, scenario.recovery_ms, &StopFlag::default());
    (outcome, finding)
}

#[test]
fn what_the_boundary_forbids_is_a_finding() {
    for (op, how) in [
        (toy::Op::Panic, "it panicked: as it was told"),
        (toy::Op::SendToItself, "it sends to n0: expected another of the 1 nodes"),
        (toy::Op::SendToNobody, "it sends to n7: expected another of the 1 nodes"),
        (toy::Op::AnswerNobody, "it answers request 1 of c9, who never made it"),
        (toy::Op::ChooseFromNothing, "its choice 4 is one of nothing"),
        (toy::Op::ChooseForEver, "it does not settle: 5000000 events and no end"),
    ] {
        let (outcome, finding) = asked(1, op);
        let broke = Broke { node: NodeId(0), rules: Rules::Boundary, how: how.to_owned() };
        assert_eq!(finding, Some(Finding::Broke(broke)));
        assert!(outcome.trace.expect("a trace was asked for").to_string().contains(how));
    }
    for op in [toy::Op::Roll, toy::Op::RollTwice, toy::Op::WriteTwice] {
        assert_eq!(asked(1, op).1, None, "{op:?}");
    }
}

// A client of a real cluster has a connection to the node that it asks, and to no other.
#[test]
fn an_answer_from_a_node_that_was_not_asked_is_lost() {
    let (outcome, finding) = asked(2, toy::Op::AnswerElsewhere);
    let lines = outcome.trace.expect("a trace was asked for").lines;
    let is_lost = |line: &&Line| line.kind == Kind::Lost && line.what.contains("who did not ask here");
    let (lost, asked_itself) =
        (lines.iter().filter(is_lost).count(), matches!(finding, Some(Finding::Broke(_))));
    assert!(lost > 0 || asked_itself, "{lines:?}");
    assert!(finding.is_some(), "nobody is answered");
}

/// Allows a node so many steps in a life, and none after its neighbour crashed.
struct Strict {
    steps: BTreeMap<NodeId, u32>,
    steps_max: u32,
    crashes: u32,
}

impl Watch<Abd> for Strict {
    fn saw(&mut self, node: NodeId, state: &Abd) -> Result<(), String> {
        let steps = self.steps.entry(node).or_default();
        *steps += 1;
        if *steps <= self.steps_max { Ok(()) } else { Err(format!("{} rounds open", state.rounds_open())) }
    }

    fn crashed(&mut self, node: NodeId) {
        self.steps.remove(&node);
        self.crashes += 1;
    }
}

// Whoever watches sees each start, step and crash; what it objects to ends the run and is the finding.
#[test]
fn what_a_watcher_objects_to_is_a_finding() {
    let settings = Settings { nodes: Some(3), nemeses: vec![], ..Settings::usual::<Op>() };
    let fault = Fault { from_ms: 20, until_ms: 30, kind: FaultKind::Crash(NodeId(1)) };
    let scenario = Scenario { plan: Plan { faults: vec![fault] }, ..Scenario::draw(1, &settings) };
    let watched = |steps_max| {
        let mut watch = Strict { steps: BTreeMap::new(), steps_max, crashes: 0 };
        let mut outcome = run_watched::<Abd>(&Config::new(3), &scenario, &Manner::default(), &mut watch);
        (judge::<Op>(&mut outcome, scenario.recovery_ms, &StopFlag::default()), watch)
    };
    let (finding, watch) = watched(u32::MAX);
    assert_eq!((finding, watch.crashes, watch.steps.len()), (None, 1, 3));
    let (finding, watch) = watched(5);
    let Some(Finding::Broke(Broke { node, rules, how })) = finding else { panic!("{finding:?}") };
    assert_eq!((rules, watch.steps[&node]), (Rules::Invariant, 6));
    assert!(how.ends_with("rounds open"), "{how}");
}
