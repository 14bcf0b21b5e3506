//! Servers that are not ours, on trial.

#[allow(dead_code, reason = "the example is a program of its own")]
#[path = "../examples/wrong_server.rs"]
mod wrong_server;

use shakedown_checkers::history::Outcome as Ended;
use shakedown_impls::object::register::{Op, Ret};
use shakedown_impls::protocol::NodeId;
use shakedown_workloads::manner::Manner;
use shakedown_workloads::nemesis::{Fault, FaultKind, Nemesis, Plan};
use shakedown_workloads::scenario::{Scenario, Settings};
use shakedown_workloads::trial::Trial;
use shakedown_workloads::world::sim::{AskError, SERVER_NEMESES, run_server, run_server_with};
use std::panic::catch_unwind;
use wrong_server::{PRIMARY, ask, serve};

#[test]
fn a_server_that_answers_too_early_is_found_and_its_story_told() {
    let check = || Trial::server("store", serve, ask).check();
    let told = *catch_unwind(check).expect_err("it is wrong").downcast::<String>().expect("it says why");
    println!("{told}");
    assert!(told.contains("in the sim world, then made small:"), "{told}");
    assert!(told.contains("asks        n") && told.contains("answered    Value("), "{told}");
    assert!(told.contains("Run it again: SHAKEDOWN_REPLAY="), "{told}");
}

/// Reads too go to the primary.
async fn ask_the_primary(op: Op, _: NodeId) -> Result<Ret, AskError> {
    ask(op, PRIMARY).await
}

// The same server, used rightly: nothing is wrong with it as long as the primary keeps its memory. That the
// faults took effect is known of pauses; partitions count when they are made.
#[test]
fn a_server_that_is_right_passes() {
    let nemeses = [Nemesis::Partition, Nemesis::Pause];
    let trial = Trial::server("primary", serve, ask_the_primary).nemeses(&nemeses).seeds(0..60);
    let hunts = trial.run().expect("nothing is wrong");
    let hunt = &hunts[0].1;
    assert!(hunt.counts.seen > 1_000 && hunt.vacuous < 5, "{hunt:?}");
    let (pauses, vacuous) = hunt.faults["pause"];
    assert!(vacuous < pauses, "{hunt:?}");
}

#[test]
fn a_primary_that_forgets_is_found() {
    let trial = Trial::server("primary", serve, ask_the_primary).nemeses(&[Nemesis::Crash]);
    assert!(trial.run().is_err(), "it keeps nothing on disk");
}

fn with_fault(kind: FaultKind) -> String {
    let settings =
        Settings { nodes: Some(3), length_ms: Some(500), nemeses: vec![], ..Settings::usual::<Op>() };
    let plan = Plan { faults: vec![Fault { from_ms: 100, until_ms: 400, kind }] };
    let scenario = Scenario { plan, ..Scenario::draw(1, &settings) };
    let outcome = run_server_with(&scenario, &Manner::traced(), serve, ask_the_primary);
    let rows: String = outcome.history.operations().map(|op| format!("{op:?}\n")).collect();
    format!("{:?}\n{rows}{}", outcome.effects, outcome.trace.expect("a trace was asked for"))
}

// A node that two faults keep still goes on when both have ended, not before, and not never.
#[test]
fn pauses_that_overlap_end_together() {
    let settings =
        Settings { nodes: Some(3), length_ms: Some(500), nemeses: vec![], ..Settings::usual::<Op>() };
    let pause = |from_ms, until_ms| Fault { from_ms, until_ms, kind: FaultKind::Pause(PRIMARY) };
    for faults in [vec![pause(100, 200), pause(150, 300)], vec![pause(100, 300), pause(150, 200)]] {
        let scenario = Scenario { plan: Plan { faults }, ..Scenario::draw(1, &settings) };
        let outcome = run_server(&scenario, serve, ask_the_primary);
        let answered = |range: std::ops::Range<i64>| {
            let operations = outcome.history.operations().filter(|op| op.outcome == Ended::Ok);
            operations.filter(|op| range.contains(&(op.complete_time_ns / 1_000_000))).count()
        };
        assert_eq!((answered(120..300), outcome.unanswered), (0, 0));
        assert!(answered(0..120) > 0 && answered(300..500) > 0);
    }
}

// Tasks that a host spawns locally end in an order that does not depend on the process.
#[test]
fn a_seed_gives_the_same_run() {
    for kind in [FaultKind::Crash(PRIMARY), FaultKind::PowerLoss(vec![PRIMARY, NodeId(1)])] {
        let first = with_fault(kind.clone());
        for spawns in 1..8 {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                for _ in 0..spawns {
                    tokio::spawn(async {}).await.expect("nothing panics");
                }
            });
            assert!(first == with_fault(kind.clone()), "{kind} gave another run after {spawns} tasks");
        }
    }
}

#[test]
fn each_fault_that_any_server_can_have_takes_effect() {
    for kind in [
        FaultKind::Split(vec![PRIMARY]),
        FaultKind::Delay(50),
        FaultKind::Crash(PRIMARY),
        FaultKind::PowerLoss(vec![PRIMARY]),
        FaultKind::Pause(PRIMARY),
    ] {
        let told = with_fault(kind.clone());
        assert!(!told.starts_with("[0]"), "{kind} changed nothing");
    }
    // What needs our driver does nothing, and the effects say so.
    assert!(with_fault(FaultKind::Loss(500)).starts_with("[0]"));
}

// A server that ends is a finding, whatever the history says.
#[test]
fn a_server_that_ends_is_found() {
    let settings = Settings { nemeses: SERVER_NEMESES.to_vec(), ..Settings::usual::<Op>() };
    let scenario = Scenario::draw(1, &settings);
    let broke = |outcome: shakedown_workloads::outcome::Outcome| outcome.broke.expect("it ended").how;
    let ends = run_server(&scenario, |_| async { Ok(()) }, ask);
    assert_eq!(broke(ends), "its server ended; it should serve for ever");
    let fails = run_server(&scenario, |_| async { Err("no licence".into()) }, ask);
    assert_eq!(broke(fails), "its server ended: no licence");
    let panics = run_server(&scenario, |_| async { panic!("no luck") }, ask);
    assert_eq!(broke(panics), "it panicked: no luck");
}
