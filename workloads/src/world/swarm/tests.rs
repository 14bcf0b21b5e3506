//! The ABD register in the swarm: clean seeds, caught mutants, the same again, faults that take effect.

use super::*;
use crate::generator::Generator;
use crate::judge::{Finding, judge};
use crate::nemesis::{Fault, FaultKind, Plan};
use crate::object::register;
use crate::scenario::{Request, Settings};
use crate::trace::Line;
use crate::world::toy::{self, Toy};
use shakedown_checkers::history::Outcome as Ended;
use shakedown_impls::mutants::{Mutant as _, Mutants};
use shakedown_impls::object::register::Op;
use shakedown_impls::replication::leaderless::abd::{Abd, Config, Mutant};

fn abd(scenario: &Scenario<Op>, mutants: Mutants<Mutant>) -> (Outcome, Option<Finding>) {
    let config = Config { mutants, ..Config::new(scenario.nodes) };
    let mut outcome = run::<Abd>(&config, scenario);
    let finding = judge::<Op>(&mut outcome, scenario.recovery_ms);
    (outcome, finding)
}

fn scenario(seed: u64) -> Scenario<Op> {
    Scenario::draw(seed, &Settings::usual::<Op>())
}

// A thousand scenarios: no violation, no stall; and what the scenarios are meant to do happened.
#[test]
fn a_clean_register_is_linearizable_and_recovers() {
    let (mut total, mut operations, mut vacuous, mut faults) = (Counts::default(), 0, 0, 0);
    for seed in 0..1_000 {
        let scenario = scenario(seed);
        let (outcome, finding) = abd(&scenario, Mutants::default());
        assert_eq!(finding, None, "seed {seed}, {}", scenario.plan);
        total.add(&outcome.counts);
        operations += outcome.history.len();
        faults += outcome.effects.len();
        vacuous += outcome.effects.iter().filter(|&&effects| effects == 0).count();
    }
    println!("{total:?}, {operations} operations, {vacuous} of {faults} faults vacuous");
    assert!(total.restarts > 500 && total.lost > 10_000, "{total:?}");
    assert!(total.records_lost > 20 && total.records_repaired > 20 && total.disks_refused == 0, "{total:?}");
    assert!(operations > 20_000 && total.seen > 5_000, "{operations} operations, {total:?}");
    assert!(vacuous * 3 < faults, "{vacuous} of {faults} faults changed nothing");
}

#[test]
fn every_mutant_is_caught() {
    for &mutant in Mutant::ALL {
        let refuted = |seed| {
            let (_, finding) = abd(&scenario(seed), Mutants::only(mutant));
            matches!(finding, Some(Finding::Refuted { .. }))
        };
        let caught = (0..2_000).find(|&seed| refuted(seed));
        println!("{}: seed {caught:?}", mutant.name());
        assert!(caught.is_some(), "{} survives", mutant.name());
    }
}

// The second time after other work in the same process, on another thread.
#[test]
fn a_seed_gives_the_same_history_and_trace_again() {
    let told = |seed| {
        let scenario = scenario(seed);
        let outcome = run_traced::<Abd>(&Config::new(scenario.nodes), &scenario);
        let rows: String = outcome.history.operations().map(|op| format!("{op:?}\n")).collect();
        let others = format!("{:?}", outcome.history.others());
        rows + &others + &outcome.trace.expect("a trace was asked for").to_string()
    };
    let first: Vec<String> = (0..20).map(told).collect();
    let again = std::thread::spawn(move || {
        told(999);
        (0..20).map(told).collect::<Vec<_>>()
    });
    assert!(first == again.join().expect("nothing panics"), "a seed gave another run");
    assert_ne!(first[0], first[3], "seeds differ");
}

fn with_fault(kind: FaultKind, from_ms: u64, until_ms: u64) -> (Scenario<Op>, Outcome) {
    let plan = Plan { faults: vec![Fault { from_ms, until_ms, kind }] };
    let settings =
        Settings { nodes: Some(3), length_ms: Some(1_000), nemeses: vec![], ..Settings::usual::<Op>() };
    let scenario = Scenario { plan, ..Scenario::draw(1, &settings) };
    let (outcome, finding) = abd(&scenario, Mutants::default());
    assert_eq!(finding, None);
    (scenario, outcome)
}

// The twin of every claim about faults: each of them does something when it should, and the history has
// its beginning and its end.
#[test]
fn each_fault_takes_effect_and_is_recorded() {
    let (node, other) = (NodeId(0), NodeId(1));
    for kind in [
        FaultKind::Split(vec![node]),
        FaultKind::Flap(vec![node], 30),
        FaultKind::Mute(vec![node]),
        FaultKind::Loss(200),
        FaultKind::Duplication(200),
        FaultKind::Delay(100),
        FaultKind::Corruption(200),
        FaultKind::Crash(node),
        FaultKind::PowerLoss(vec![node, other, NodeId(2)]),
        FaultKind::Pause(node),
        FaultKind::SlowDisk(node, 50),
        FaultKind::FailingDisk(node),
        FaultKind::BitRot(node),
        FaultKind::ClockJump(node, -5_000),
        FaultKind::ClockDrift(node, 200),
    ] {
        let (_, outcome) = with_fault(kind.clone(), 100, 900);
        assert!(outcome.effects[0] > 0, "{kind} changed nothing");
        let history = &outcome.history;
        let told: Vec<_> = history.others().iter().map(|event| history.function(event.f)).collect();
        assert_eq!(told, [format!("start-{}", kind.name()), format!("stop-{}", kind.name())]);
    }
    for kind in [FaultKind::Bridge(node), FaultKind::Ring] {
        let plan = Plan { faults: vec![Fault { from_ms: 100, until_ms: 900, kind: kind.clone() }] };
        let settings = Settings { nodes: Some(5), nemeses: vec![], ..Settings::usual::<Op>() };
        let scenario = Scenario { plan, length_ms: 1_000, ..Scenario::draw(1, &settings) };
        let (outcome, finding) = abd(&scenario, Mutants::default());
        assert!(outcome.effects[0] > 0 && finding.is_none(), "{kind}: {finding:?}");
    }
}

#[test]
fn a_rotten_bit_is_repaired_and_a_failing_disk_kills() {
    let (_, outcome) = with_fault(FaultKind::BitRot(NodeId(0)), 500, 600);
    assert_eq!((outcome.counts.restarts, outcome.counts.disks_refused), (1, 0));
    let (_, outcome) = with_fault(FaultKind::FailingDisk(NodeId(0)), 500, 600);
    assert_eq!((outcome.effects[0], outcome.counts.restarts), (1, 1));
}

#[test]
fn nobody_is_answered_while_all_are_down() {
    let (_, outcome) = with_fault(FaultKind::PowerLoss(vec![NodeId(0), NodeId(1), NodeId(2)]), 100, 900);
    let inside = |time: i64| (150 * MS as i64..900 * MS as i64).contains(&time);
    let answered =
        outcome.history.operations().filter(|op| op.outcome == Ended::Ok && inside(op.complete_time_ns));
    assert_eq!(answered.count(), 0);
    assert_eq!(outcome.counts.restarts, 3);
}

// Without nemesis nothing of the plan happens, and nobody has to give up.
#[test]
fn without_faults_everything_is_answered() {
    for seed in 0..50 {
        let settings = Settings { nemeses: vec![], ..Settings::usual::<Op>() };
        let scenario = Scenario { disk_us: 50, ..Scenario::draw(seed, &settings) };
        let (outcome, finding) = abd(&scenario, Mutants::default());
        assert_eq!((finding, outcome.counts.lost, outcome.counts.restarts), (None, 0, 0));
        assert!(outcome.history.operations().all(|op| op.outcome == Ended::Ok), "seed {seed}");
    }
}

#[test]
fn what_may_be_repeated_is_asked_elsewhere() {
    let load = Generator::Always(register::Kind::Read).every_us(4_000);
    let settings = Settings { nodes: Some(3), nemeses: vec![], load, ..Settings::usual::<Op>() };
    let mut scenario = Scenario::draw(1, &settings);
    let kind = FaultKind::Crash(NodeId(0));
    scenario.plan = Plan { faults: vec![Fault { from_ms: 10, until_ms: scenario.length_ms, kind }] };
    let given_up = |retry_ms| {
        let scenario = Scenario { retry_ms, ..scenario.clone() };
        let outcome = run_traced::<Abd>(&Config::new(scenario.nodes), &scenario);
        let lines = outcome.trace.expect("a trace was asked for").lines;
        let count = |kind| lines.iter().filter(|line: &&Line| line.kind == kind).count();
        (count(Kind::Retries), count(Kind::GivesUp))
    };
    let (without, with) = (given_up(None), given_up(Some(20)));
    assert!(without.0 == 0 && with.0 > 0 && with.1 < without.1, "{without:?}, {with:?}");
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
        let shrunk = shrink::shrink(&first, 100_000, &mut fails);
        let text = serde_json::to_string(&shrunk.scenario).expect("scenarios are plain data");
        println!("{}: {text} in {} runs", mutant.name(), shrunk.runs);
        assert!(shrunk.complete && fails(&shrunk.scenario));
        assert!(shrunk.scenario.plan.faults.len() <= 1, "{}", shrunk.scenario.plan);
        assert!(shrunk.scenario.operations() <= operations_most, "{}", shrunk.scenario.operations());
        assert!(fails(&serde_json::from_str(&text).expect("what is written can be read")));
    }
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
    let finding = judge::<toy::Op>(&mut outcome, scenario.recovery_ms);
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
        let mut outcome = run_watched::<Abd>(&Config::new(3), &scenario, false, &mut watch);
        (judge::<Op>(&mut outcome, scenario.recovery_ms), watch)
    };
    let (finding, watch) = watched(u32::MAX);
    assert_eq!((finding, watch.crashes, watch.steps.len()), (None, 1, 3));
    let (finding, watch) = watched(5);
    let Some(Finding::Broke(Broke { node, rules, how })) = finding else { panic!("{finding:?}") };
    assert_eq!((rules, watch.steps[&node]), (Rules::Invariant, 6));
    assert!(how.ends_with("rounds open"), "{how}");
}
