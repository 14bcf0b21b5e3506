//! The ABD register in the swarm: clean seeds, caught mutants, the same again, faults that take effect.

use super::*;
use crate::nemesis::Fault;
use crate::replication::leaderless::abd::ReadsAndWrites;
use shakedown_checkers::linearizability::check;
use shakedown_checkers::model::register::Register;
use shakedown_checkers::options::Options;
use shakedown_checkers::validate::validate;
use shakedown_checkers::verdict::Verdict;
use shakedown_impls::mutants::{Mutant as _, Mutants};
use shakedown_impls::replication::leaderless::abd::{Abd, Config, Mutant};

fn abd(scenario: &Scenario, mutants: Mutants<Mutant>) -> Outcome {
    let config = Config { mutants, ..Config::new(scenario.nodes) };
    run::<Abd>(&config, scenario, &mut ReadsAndWrites::of(2))
}

fn judge(history: &History) -> Verdict {
    let model = Register::for_history(Value::NIL, history);
    let options = Options { threads: 1, ..Options::default() };
    let verdict = check(history, &model, &options).expect("the load fits the model");
    validate(history, &model, options.consistency, &verdict).expect("the proof holds");
    verdict
}

/// Sizes in turn, even ones too: that is where halves are no majority.
fn scenario(seed: u64) -> Scenario {
    Scenario::draw(seed, [3, 4, 5][seed as usize % 3], &Nemesis::ALL)
}

fn events(history: &History) -> String {
    let rows = history.operations().map(|op| format!("{op:?}\n"));
    rows.collect()
}

// A thousand scenarios: no violation, no stall; and what the scenarios are meant to do happened.
#[test]
fn a_clean_register_is_linearizable_and_recovers() {
    let (mut total, mut seen, mut operations, mut vacuous, mut faults) = (Counts::default(), 0, 0, 0, 0);
    for seed in 0..1_000 {
        let scenario = scenario(seed);
        let outcome = abd(&scenario, Mutants::default());
        let verdict = judge(&outcome.history);
        assert_eq!(verdict.word(), "true", "seed {seed}, {}\n{verdict:#?}", scenario.plan);
        assert_eq!(outcome.unanswered, 0, "seed {seed} stalls, {}", scenario.plan);
        total.restarts += outcome.counts.restarts;
        total.lost += outcome.counts.lost;
        total.records_lost += outcome.counts.records_lost;
        operations += outcome.history.len();
        seen += outcome.history.operations().filter(|op| op.f == "read" && !op.output.is_nil()).count();
        faults += outcome.effects.len();
        vacuous += outcome.effects.iter().filter(|&&effects| effects == 0).count();
    }
    assert!(total.restarts > 500 && total.lost > 10_000 && total.records_lost > 20, "{total:?}");
    assert!(operations > 20_000 && seen > 5_000, "{operations} operations, {seen} reads of a value");
    assert!(vacuous * 3 < faults, "{vacuous} of {faults} faults changed nothing");
}

#[test]
fn every_mutant_is_caught() {
    for &mutant in Mutant::ALL {
        let caught = (0..2_000).find(|&seed| {
            let outcome = abd(&scenario(seed), Mutants::only(mutant));
            judge(&outcome.history).word() == "false"
        });
        println!("{}: seed {caught:?}", mutant.name());
        assert!(caught.is_some(), "{} survives", mutant.name());
    }
}

// The second time after other work in the same process, on another thread.
#[test]
fn a_seed_gives_the_same_history_again() {
    let first: Vec<String> =
        (0..20).map(|seed| events(&abd(&scenario(seed), Mutants::default()).history)).collect();
    let again = std::thread::spawn(|| {
        abd(&scenario(999), Mutants::default());
        (0..20).map(|seed| events(&abd(&scenario(seed), Mutants::default()).history)).collect::<Vec<_>>()
    });
    assert_eq!(first, again.join().expect("nothing panics"));
    assert_ne!(first[0], first[3], "seeds differ");
}

fn with_fault(kind: FaultKind, from_ms: u64, until_ms: u64) -> Outcome {
    let plan = Plan { faults: vec![Fault { from_ms, until_ms, kind }] };
    let scenario = Scenario { plan, length_ms: 1_000, ..Scenario::draw(1, 3, &[]) };
    let outcome = abd(&scenario, Mutants::default());
    assert_eq!(judge(&outcome.history).word(), "true");
    assert_eq!(outcome.unanswered, 0);
    outcome
}

// The twin of every claim about faults: each of them does something when it should.
#[test]
fn each_fault_takes_effect() {
    let node = NodeId(0);
    for kind in [
        FaultKind::Split(vec![node]),
        FaultKind::Mute(vec![node]),
        FaultKind::Loss(200),
        FaultKind::Duplication(200),
        FaultKind::Delay(100),
        FaultKind::Crash(node),
        FaultKind::PowerLoss(vec![node, NodeId(1), NodeId(2)]),
        FaultKind::Pause(node),
        FaultKind::SlowDisk(node, 50),
    ] {
        let outcome = with_fault(kind.clone(), 100, 900);
        assert!(outcome.effects[0] > 0, "{kind} changed nothing");
    }
}

#[test]
fn nobody_is_answered_while_all_are_down() {
    let outcome = with_fault(FaultKind::PowerLoss(vec![NodeId(0), NodeId(1), NodeId(2)]), 100, 900);
    let inside = |time: i64| (150 * MS as i64..900 * MS as i64).contains(&time);
    let answered = outcome
        .history
        .operations()
        .filter(|op| op.outcome == shakedown_checkers::history::Outcome::Ok && inside(op.complete_time_ns));
    assert_eq!(answered.count(), 0);
    assert_eq!(outcome.counts.restarts, 3);
}

// Every mutant's first failure, made small: it still fails, and nothing more can be removed.
#[test]
fn failures_shrink_until_nothing_can_be_removed() {
    for (mutant, faults_most) in [(Mutant::TagPerNode, 0), (Mutant::QuorumOfHalf, 1)] {
        let mut fails =
            |scenario: &Scenario| judge(&abd(scenario, Mutants::only(mutant)).history).word() == "false";
        let first = (0..2_000).map(scenario).find(|scenario| fails(scenario)).expect("it is caught");
        let shrunk = shrink::shrink(&first, 20_000, &mut fails);
        println!("{}: {:?} in {} runs", mutant.name(), shrunk.scenario, shrunk.runs);
        assert!(shrunk.complete && fails(&shrunk.scenario));
        assert!(shrunk.scenario.plan.faults.len() <= faults_most, "{}", shrunk.scenario.plan);
        assert!(shrunk.scenario.length_ms < first.length_ms, "{shrunk:?}");
    }
}
