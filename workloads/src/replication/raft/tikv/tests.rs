//! That the worlds run it as they run ours: nothing is found, things happen, a seed is a run.

use super::{Config, Tikv, trial};
use crate::manner::Manner;
use crate::outcome::Outcome;
use crate::run::run_in;
use crate::scenario::{Scenario, Settings};
use crate::world::WorldName;
use crate::world::suite::{is_repeated, told};
use shakedown_impls::object::register::Op;
use shakedown_impls::replication::raft::Registers;
use std::collections::BTreeMap;

fn scenario(seed: u64) -> Scenario<Op> {
    Scenario::draw(seed, &Settings::usual::<Op>())
}

fn traced(world: WorldName, seed: u64) -> Outcome {
    let scenario = scenario(seed);
    run_in::<Tikv<Registers>>(world, &Config::new(scenario.nodes), &scenario, &Manner::traced()).outcome
}

#[test]
fn clean_seeds_are_clean_under_every_fault() {
    let hunts = trial::<Registers>().seeds(0..100).run().unwrap_or_else(|failed| panic!("{failed:?}"));
    for (world, hunt) in hunts {
        let counts = hunt.counts;
        println!("{}: {} operations, {counts:?}", world.name(), hunt.operations);
        assert_eq!((hunt.seeds, hunt.undecided.len()), (100, 0));
        assert!(counts.seen > 1_000 && counts.restarts > 50 && counts.lost > 1_000, "{counts:?}");
    }
}

// The twin of the above: what could go wrong was there.
fn things_happen(world: WorldName, seeds: u64) {
    let mut notes = BTreeMap::<String, u64>::new();
    let mut elected_again = 0;
    for seed in 0..seeds {
        let outcome = traced(world, seed);
        elected_again += u64::from(outcome.notes.get("elected").is_some_and(|&elected| elected > 1));
        for (kind, count) in outcome.notes {
            *notes.entry(kind).or_default() += count;
        }
    }
    println!("{}: {elected_again} of {seeds} seeds had several elections, {notes:?}", world.name());
    assert!(elected_again > seeds / 10, "{elected_again}");
    assert!(notes["snapshot-taken"] > seeds && notes["snapshot-installed"] > 0, "{notes:?}");
}

#[test]
fn leaders_are_replaced_and_snapshots_sent_in_the_swarm() {
    things_happen(WorldName::Swarm, 50);
}

#[test]
fn leaders_are_replaced_and_snapshots_sent_in_the_simulated_network() {
    things_happen(WorldName::Sim, 20);
}

/// The crate draws from a generator of the thread.
fn repeats(world: WorldName, seeds: u64) {
    is_repeated(seeds, move |seed| told(traced(world, seed)));
}

#[test]
fn a_seed_is_a_run_in_the_swarm() {
    repeats(WorldName::Swarm, 20);
}

#[test]
fn a_seed_is_a_run_in_the_simulated_network() {
    repeats(WorldName::Sim, 10);
}
