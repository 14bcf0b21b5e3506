//! How fast the simulated world runs openraft, and what many seeds show.
//!
//! ```sh
//! cargo run --release -p shakedown-workloads --features peers --example openraft_hunt -- 500
//! cargo run --release -p shakedown-workloads --features peers --example openraft_hunt -- committed-later 500
//! ```

use shakedown_checkers::history::Outcome as Ended;
use shakedown_impls::object::register::Op;
use shakedown_impls::replication::raft::Registers;
use shakedown_workloads::judge::judge;
use shakedown_workloads::outcome::Counts;
use shakedown_workloads::replication::raft::openraft::{Trap, run};
use shakedown_workloads::scenario::{Scenario, Settings};
use shakedown_workloads::world::sim::SERVER_NEMESES;

#[allow(clippy::disallowed_methods, reason = "it measures how long the world takes, from outside")]
fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let trap = match words.first().map(String::as_str) {
        Some("committed-later") => Some(Trap::CommittedLater),
        Some("purges-at-once") => Some(Trap::PurgesAtOnce),
        _ => None,
    };
    words.drain(..usize::from(trap.is_some()));
    let numbers: Vec<u64> = words.iter().map(|seed| seed.parse().expect("a number of seeds")).collect();
    let (from, until) = match numbers[..] {
        [] => (0, 200),
        [seeds] => (0, seeds),
        [from, until, ..] => (from, until),
    };
    let settings = Settings { nemeses: SERVER_NEMESES.to_vec(), ..Settings::usual::<Op>() };
    let start = std::time::Instant::now();
    let (mut total, mut operations, mut answered, mut found) = (Counts::default(), 0, 0, 0);
    for seed in from..until {
        let scenario = Scenario::draw(seed, &settings);
        let mut outcome = run::<Registers>(&scenario, trap, false);
        if let Some(finding) = judge::<Op>(&mut outcome, scenario.recovery_ms) {
            found += 1;
            println!("seed {seed}: {}: {finding}", finding.kind());
        }
        total.add(&outcome.counts);
        operations += outcome.history.len();
        answered += outcome.history.operations().filter(|op| op.outcome == Ended::Ok).count();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} seeds in {seconds:.1} s: {:.1} seeds/s; {answered} of {operations} operations were answered; {found} \
         findings; {total:?}",
        until - from,
        (until - from) as f64 / seconds,
    );
}
