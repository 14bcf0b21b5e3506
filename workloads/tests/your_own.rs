//! What somebody sees whose own implementation is wrong.

#[allow(dead_code, reason = "the example is a program of its own")]
#[path = "../examples/wrong_store.rs"]
mod wrong_store;

use shakedown_workloads::replay::Replay;
use shakedown_workloads::trial::Trial;
use shakedown_workloads::world::WorldName;
use std::panic::catch_unwind;
use wrong_store::Store;

fn message(worlds: &[WorldName]) -> String {
    let check = || Trial::<Store>::of(|nodes| nodes).worlds(worlds).check();
    *catch_unwind(check).expect_err("the store is wrong").downcast::<String>().expect("it says why")
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
