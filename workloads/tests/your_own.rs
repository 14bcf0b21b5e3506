//! What somebody sees whose own implementation is wrong.

#[allow(dead_code, reason = "the example is a program of its own")]
#[path = "../examples/wrong_store.rs"]
mod wrong_store;

use shakedown_workloads::generator::Generator;
use shakedown_workloads::object::register::Kind;
use shakedown_workloads::replay::Replay;
use shakedown_workloads::trial::Trial;
use shakedown_workloads::world::WorldName;
use std::panic::{UnwindSafe, catch_unwind};
use wrong_store::Store;

fn message(worlds: &[WorldName]) -> String {
    panic_of(|| Trial::of::<Store>(|nodes| nodes).worlds(worlds).check())
}

fn panic_of(check: impl FnOnce() + UnwindSafe) -> String {
    *catch_unwind(check).expect_err("something is wrong").downcast::<String>().expect("it says what")
}

#[test]
fn every_schedule_of_a_small_case_has_the_mistake() {
    let told = message(&[WorldName::Model]);
    assert!(told.starts_with("The clients' history cannot be explained."), "{told}");
    assert!(told.contains("What happened:\n   1. n"), "{told}");
}

#[test]
fn a_seed_tells_the_story_and_replays() {
    let told = message(&[WorldName::Swarm]);
    println!("{told}");
    assert!(told.contains("Found with seed 0 in the swarm world, then made small:"), "{told}");
    assert!(told.contains("no faults\n"), "{told}");
    assert!(told.contains("asks        n"), "{told}");
    let (_, command) = told.split_once("Run it again: SHAKEDOWN_REPLAY=").expect("it can be run again");
    let (file, rest) = command.split_once(' ').expect("a file and a command");
    assert_eq!(rest.trim_end(), "cargo test a_seed_tells_the_story_and_replays");
    let replay =
        Replay::parse(&std::fs::read_to_string(file).expect("it was written")).expect("it can be read");
    let scenario = replay.scenario::<shakedown_impls::object::register::Op>().expect("it is of registers");
    assert!(scenario.operations() <= 4 && scenario.plan.faults.is_empty(), "{scenario}");
}

// Nobody contradicts a store that never answers; that must not pass for correct.
#[test]
fn a_store_that_nobody_hears_of_is_vacuous() {
    let nothing = Generator::Always(Kind::Write).limit(0);
    let trial = || Trial::of::<Store>(|nodes| nodes).worlds(&[WorldName::Swarm]).seeds(0..5).load(nothing);
    let told = panic_of(|| trial().check());
    assert!(told.starts_with("vacuous: in none of 5 seeds in the swarm world"), "{told}");
}
