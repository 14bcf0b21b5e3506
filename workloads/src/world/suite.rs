//! The tests that every world which takes seeds has to pass, with the ABD register in it: clean seeds,
//! caught mutants, the same again, faults that take effect.

use super::WorldName;
use crate::generator::Generator;
use crate::judge::Finding;
use crate::manner::Manner;
use crate::nemesis::{Fault, FaultKind, Plan};
use crate::object::register::Kind;
use crate::outcome::{Counts, Outcome};
use crate::run::run_in;
use crate::scenario::{Scenario, Settings};
use shakedown_checkers::history::Outcome as Ended;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::object::register::Op;
use shakedown_impls::protocol::NodeId;
use shakedown_impls::replication::leaderless::abd::{Abd, Config, Mutant};
use std::thread;

/// Runs the register, with a trace.
pub(super) fn abd(
    world: WorldName,
    scenario: &Scenario<Op>,
    mutants: Mutants<Mutant>,
) -> (Outcome, Option<Finding>) {
    let config = Config { mutants, ..Config::new(scenario.nodes) };
    let ran = run_in::<Abd>(world, &config, scenario, &Manner::traced());
    (ran.outcome, ran.finding)
}

/// The usual scenario of a seed.
pub(super) fn scenario(seed: u64) -> Scenario<Op> {
    Scenario::draw(seed, &Settings::usual::<Op>())
}

/// No violation, no stall; and what happened in all, the operations, and the faults and how many of them
/// changed nothing.
pub(super) fn clean(world: WorldName, seeds: u64) -> (Counts, usize, [usize; 2]) {
    let (mut total, mut operations, mut faults) = (Counts::default(), 0, [0; 2]);
    for seed in 0..seeds {
        let scenario = scenario(seed);
        let ran = run_in::<Abd>(world, &Config::new(scenario.nodes), &scenario, &Manner::default());
        assert_eq!(ran.finding, None, "seed {seed}, {}", scenario.plan);
        total.add(&ran.outcome.counts);
        operations += ran.outcome.history.len();
        faults[0] += ran.faults.len();
        faults[1] += ran.faults.iter().filter(|fault| fault.effects == 0).count();
    }
    println!("{total:?}, {operations} operations, {} of {} faults vacuous", faults[1], faults[0]);
    (total, operations, faults)
}

/// One of the seeds, made scenarios by `scenario`, refutes the register with the mistake.
pub(super) fn catches(world: WorldName, mutant: Mutant, seeds: u64, scenario: impl Fn(u64) -> Scenario<Op>) {
    let refuted = |&seed: &u64| {
        let scenario = scenario(seed);
        let config = Config { mutants: Mutants::only(mutant), ..Config::new(scenario.nodes) };
        let finding = run_in::<Abd>(world, &config, &scenario, &Manner::default()).finding;
        matches!(finding, Some(Finding::Refuted { .. }))
    };
    let caught = (0..seeds).find(refuted);
    println!("{mutant:?}: seed {caught:?}");
    assert!(caught.is_some(), "{mutant:?} survives");
}

/// A seed gives the same history and trace again.
pub(super) fn repeats(world: WorldName, seeds: u64) {
    is_repeated(seeds, move |seed| told(abd(world, &scenario(seed), Mutants::default()).0));
}

/// All that can be known of a run with a trace.
pub(crate) fn told(outcome: Outcome) -> String {
    let rows: String = outcome.history.operations().map(|op| format!("{op:?}\n")).collect();
    let others = [
        format!("{:?}\n{:?}\n", outcome.history.others(), outcome.counts),
        format!("{:?}\n{:?}\n", outcome.effects, outcome.notes),
    ];
    rows + &others.concat() + &outcome.trace.expect("a trace was asked for").to_string()
}

/// What is told of each seed is told again, byte for byte: on another thread at the same time, after other
/// work, and after a number of tasks that differs from seed to seed, for tokio numbers tasks for the whole
/// process.
pub(crate) fn is_repeated(seeds: u64, told: impl Fn(u64) -> String + Copy + Send + 'static) {
    let other = thread::spawn(move || {
        let again = |seed| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                for _ in 0..seed * seed % 7 + 1 {
                    tokio::spawn(async {}).await.expect("nothing panics");
                }
            });
            told(1_000 + seed);
            told(seed)
        };
        (0..seeds).map(again).collect::<Vec<_>>()
    });
    let here: Vec<String> = (0..seeds).map(told).collect();
    for (seed, (here, other)) in here.iter().zip(other.join().expect("nothing panics")).enumerate() {
        let differ = here.lines().zip(other.lines()).find(|(here, other)| here != other);
        assert!(*here == other, "seed {seed} gave another run: {differ:?}");
    }
    assert_ne!(here[0], here[3], "seeds differ");
}

/// A second of the usual load on so many nodes, and one fault in it.
pub(super) fn with_fault(world: WorldName, nodes: u16, kind: FaultKind) -> Outcome {
    let plan = Plan { faults: vec![Fault { from_ms: 100, until_ms: 900, kind }] };
    let settings =
        Settings { nodes: Some(nodes), length_ms: Some(1_000), nemeses: vec![], ..Settings::usual::<Op>() };
    let scenario = Scenario { plan, ..Scenario::draw(1, &settings) };
    let (outcome, finding) = abd(world, &scenario, Mutants::default());
    assert_eq!(finding, None);
    outcome
}

/// The twin of every claim about faults: each of them does something when it should, and the history has
/// its beginning and its end.
pub(super) fn each_fault_takes_effect_and_is_recorded(world: WorldName) {
    let (node, other) = (NodeId(0), NodeId(1));
    for kind in [
        FaultKind::Split(vec![node]),
        FaultKind::Flap(vec![node], 30),
        FaultKind::Mute(vec![node]),
        FaultKind::Deaf(vec![node]),
        FaultKind::Bridge(node),
        FaultKind::Ring,
        FaultKind::Loss(200),
        FaultKind::Duplication(200),
        FaultKind::Delay(100),
        FaultKind::Corruption(200),
        FaultKind::Crash(node),
        FaultKind::PowerLoss(vec![node, other]),
        FaultKind::Pause(node),
        FaultKind::SlowDisk(node, 50),
        FaultKind::FailingDisk(node),
        FaultKind::BitRot(node),
        FaultKind::ClockJump(node, -5_000),
        FaultKind::ClockDrift(node, 200),
    ] {
        let outcome = with_fault(world, 5, kind.clone());
        assert!(outcome.effects[0] > 0, "{kind} changed nothing");
        let history = &outcome.history;
        let told: Vec<_> = history.others().iter().map(|event| history.function(event.f)).collect();
        assert_eq!(told, [format!("start-{}", kind.name()), format!("stop-{}", kind.name())]);
    }
    let rotten = with_fault(world, 3, FaultKind::BitRot(node)).counts;
    assert_eq!((rotten.restarts, rotten.disks_refused), (1, 0));
    let failing = with_fault(world, 3, FaultKind::FailingDisk(node));
    assert_eq!((failing.effects[0], failing.counts.restarts), (1, 1));
}

/// All nodes are down for most of a second: how operations in that time ended.
pub(super) fn while_all_are_down(world: WorldName) -> Vec<Ended> {
    let outcome = with_fault(world, 3, FaultKind::PowerLoss((0..3).map(NodeId).collect()));
    assert_eq!(outcome.counts.restarts, 3);
    let inside = |time: i64| (150_000_000..900_000_000).contains(&time);
    let operations = outcome.history.operations().filter(|op| inside(op.complete_time_ns));
    operations.map(|op| op.outcome).collect()
}

/// Without nemesis nothing of the plan happens, and nobody has to give up.
pub(super) fn without_faults_everything_is_answered(world: WorldName, seeds: u64) {
    for seed in 0..seeds {
        let settings = Settings { nemeses: vec![], ..Settings::usual::<Op>() };
        let scenario = Scenario { disk_us: 50, ..Scenario::draw(seed, &settings) };
        let (outcome, finding) = abd(world, &scenario, Mutants::default());
        assert_eq!((finding, outcome.counts.lost, outcome.counts.restarts), (None, 0, 0));
        assert!(outcome.history.operations().all(|op| op.outcome == Ended::Ok), "seed {seed}");
    }
}

/// Reads only: one of three nodes is down, and a client that may ask elsewhere gives up less.
pub(super) fn gives_up(world: WorldName, retry_ms: Option<u64>) -> usize {
    let load = Generator::Always(Kind::Read).every_us(4_000);
    let settings = Settings {
        nodes: Some(3),
        clients: Some(6),
        length_ms: Some(1_000),
        nemeses: vec![],
        load: Some(load),
        ..Settings::usual::<Op>()
    };
    let scenario = Scenario { retry_ms, timeout_ms: 200, ..Scenario::draw(1, &settings) };
    let pause = Fault { from_ms: 10, until_ms: scenario.length_ms, kind: FaultKind::Pause(NodeId(0)) };
    let scenario = Scenario { plan: Plan { faults: vec![pause] }, ..scenario };
    let (outcome, finding) = abd(world, &scenario, Mutants::default());
    assert_eq!(finding, None);
    outcome.history.operations().filter(|op| op.outcome == Ended::Info).count()
}
