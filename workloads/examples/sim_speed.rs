//! How fast the simulated world runs the ABD register, and how often it finds each of its mutants.
//!
//! ```sh
//! cargo run --release -p shakedown-workloads --example sim_speed -- 500
//! ```

use shakedown_impls::mutants::{Mutant as _, Mutants};
use shakedown_impls::object::register::Op;
use shakedown_impls::replication::leaderless::abd::{Abd, Config, Mutant};
use shakedown_workloads::judge::{Finding, judge};
use shakedown_workloads::manner::StopFlag;
use shakedown_workloads::scenario::{Scenario, Settings};
use shakedown_workloads::world::sim;
use std::time::Duration;

struct Total {
    refuted: Vec<u64>,
    /// Stalled, broken or undecided.
    otherwise: Vec<u64>,
    simulated: Duration,
    messages: u64,
    operations: usize,
}

fn run(seeds: u64, mutants: Mutants<Mutant>) -> Total {
    let mut total =
        Total { refuted: vec![], otherwise: vec![], simulated: Duration::ZERO, messages: 0, operations: 0 };
    for seed in 0..seeds {
        let scenario = Scenario::<Op>::draw(seed, &Settings::usual::<Op>());
        let config = Config { mutants, ..Config::new(scenario.nodes) };
        let mut outcome = sim::run::<Abd>(&config, &scenario);
        match judge::<Op>(&mut outcome, scenario.recovery_ms, &StopFlag::default()) {
            Some(Finding::Refuted { .. }) => total.refuted.push(seed),
            Some(_) => total.otherwise.push(seed),
            None => {}
        }
        let ends = outcome.history.operations().map(|op| op.complete_time_ns);
        total.simulated += Duration::from_nanos(ends.max().unwrap_or(0).max(0) as u64);
        total.messages += outcome.counts.delivered;
        total.operations += outcome.history.len();
    }
    total
}

#[allow(clippy::disallowed_methods, reason = "it measures how long the world takes, from outside")]
fn main() {
    let seeds = std::env::args().nth(1).map_or(200, |seeds| seeds.parse().expect("a number of seeds"));
    let start = std::time::Instant::now();
    let Total { refuted, otherwise, simulated, messages, operations } = run(seeds, Mutants::default());
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "clean: {seeds} seeds in {seconds:.1} s: {:.0} seeds/s, {:.0} operations/s, {:.0} messages/s, {:.0} times \
         as fast as simulated time; wrong: {refuted:?}, {otherwise:?}",
        seeds as f64 / seconds,
        operations as f64 / seconds,
        messages as f64 / seconds,
        simulated.as_secs_f64() / seconds,
    );
    for &mutant in Mutant::ALL {
        let refuted = run(seeds, Mutants::only(mutant)).refuted;
        let first = refuted.first().map_or("none".to_owned(), |seed| format!("the first is {seed}"));
        println!("{}: {} of {seeds} seeds refuted, {first}", mutant.name(), refuted.len());
    }
}
