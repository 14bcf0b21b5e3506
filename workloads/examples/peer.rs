//! Many seeds of somebody else's implementation: how many a second, and what is found.
//!
//! `cargo run --release -p shakedown-workloads --features peers --example peer -- swarm 5000`

use shakedown_impls::replication::raft::Registers;
use shakedown_workloads::replication::raft::tikv::{Config, Tikv};
use shakedown_workloads::run::run_in;
use shakedown_workloads::scenario::{Scenario, Settings};
use shakedown_workloads::world::WorldName;
use std::collections::BTreeMap;

type Op = shakedown_impls::object::register::Op;

#[allow(clippy::disallowed_methods, reason = "it measures how long the world takes, from outside")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let world = match arguments.next().as_deref() {
        Some("sim") => WorldName::Sim,
        None | Some("swarm") => WorldName::Swarm,
        Some(other) => panic!("the world {other:?}: expected swarm or sim"),
    };
    let seeds: u64 = arguments.next().map_or(100, |seeds| seeds.parse().expect("a number of seeds"));
    let (mut notes, mut findings, mut operations, mut vacuous) = (BTreeMap::<String, u64>::new(), 0, 0, 0);
    let start = std::time::Instant::now();
    for seed in 0..seeds {
        let scenario = Scenario::<Op>::draw(seed, &Settings::usual::<Op>());
        let ran = run_in::<Tikv<Registers>>(world, &Config::new(scenario.nodes), &scenario, false);
        operations += ran.history().len();
        vacuous += u64::from(ran.is_vacuous());
        if let Some(finding) = &ran.finding {
            findings += 1;
            println!("seed {seed}: {finding}");
        }
        for (kind, count) in &ran.outcome.notes {
            *notes.entry(kind.clone()).or_default() += count;
        }
    }
    let rate = seeds as f64 / start.elapsed().as_secs_f64();
    println!(
        "{} world: {seeds} seeds, {rate:.0} a second on one core, {findings} findings, {vacuous} vacuous, {operations} operations, {notes:?}",
        world.name()
    );
}
