//! One seed, one run, byte for byte: the history, the trace, and every segment that turmoil tells of.
//!
//! Tokio numbers tasks for the whole process, and ends those of a crashed host in an order that depends
//! on the numbers. So between two runs of a seed come other tasks, other simulations and another thread.
//! This file has one test, because what is told of segments is lost now and then when another thread
//! begins to listen, too.

use shakedown_impls::object::register::Op;
use shakedown_impls::replication::leaderless::abd::{Abd, Config};
use shakedown_workloads::scenario::{Scenario, Settings};
use shakedown_workloads::world::sim;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span;

/// Writes down what turmoil tells.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<String>>);

impl tracing::Subscriber for Tape {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "turmoil"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut tape = self.0.lock().expect("nothing panics meanwhile");
        event.record(&mut Fields(&mut tape));
        tape.push('\n');
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields<'t>(&'t mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

/// All that can be known of a run.
fn told(seed: u64) -> String {
    let scenario = Scenario::<Op>::draw(seed, &Settings::usual::<Op>());
    let config = Config::new(scenario.nodes);
    let tape = Tape::default();
    let outcome =
        tracing::subscriber::with_default(tape.clone(), || sim::run_traced::<Abd>(&config, &scenario));
    let rows: String = outcome.history.operations().map(|op| format!("{op:?}\n")).collect();
    let others = format!("{:?}\n{:?}\n{:?}\n", outcome.history.others(), outcome.counts, outcome.effects);
    let trace = outcome.trace.expect("a trace was asked for").to_string();
    let segments = std::mem::take(&mut *tape.0.lock().expect("the run is over"));
    rows + &others + &trace + &segments
}

#[test]
fn a_seed_gives_the_same_run_byte_for_byte() {
    let seeds = 0..20;
    let first: Vec<String> = seeds.clone().map(told).collect();
    let again = std::thread::spawn(move || {
        let again = |seed: u64| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                // Any number of tasks, also modulo small ones.
                for _ in 0..seed * seed % 7 + 1 {
                    tokio::spawn(async {}).await.expect("nothing panics");
                }
            });
            told(1_000 + seed);
            told(seed)
        };
        seeds.map(again).collect::<Vec<_>>()
    });
    for (seed, (first, again)) in first.iter().zip(again.join().expect("nothing panics")).enumerate() {
        let differ = first.lines().zip(again.lines()).find(|(first, again)| first != again);
        assert!(*first == again, "seed {seed} gave another run: {differ:?}");
        assert!(first.contains("message=Delivered") && first.len() > 100_000, "seed {seed} tells little");
    }
    assert_ne!(first[0], first[3], "seeds differ");
}
