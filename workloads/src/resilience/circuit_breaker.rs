//! The circuit breaker, as the catalogue knows it.

pub mod callers;
mod client;
pub mod ledger;

use super::component::{Ask, Case, Component, Guard, Witness};
use crate::catalogue::Entry;
use crate::world::WorldName;
use crate::world::callers::ticks;
use crate::world::sim::SERVER_NEMESES;
use callers::Callers;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::resilience::circuit_breaker::{Config, Mutant};

/// It.
pub static CIRCUIT_BREAKER: Guard<Breaker> = Guard(Breaker);

/// What defines it.
pub struct Breaker;

impl Component for Breaker {
    type Mutant = Mutant;

    const ENTRY: Entry = Entry {
        name: "resilience/circuit_breaker",
        title: "stops calling what keeps failing, and tries again carefully",
        guarantee: "it opens with the call that takes the window to its threshold; while it is open no call passes; a \
                    half-open circuit has as many trials as allowed, and no more; it closes once calls work again, \
                    whatever became of the trials before",
        price: "calls are refused that would have worked, for up to the time that it stays open; each process has an \
                opinion of its own",
        not_covered: "how many calls are under way at a time (a bulkhead's job); which calls are worth repeating (a \
                      retry policy's)",
        source: "Nygard, Release It!, 2nd edition 2018, §5.2; Resilience4j's windows, slow calls and trials",
        worlds: &[WorldName::Model, WorldName::Sim],
        nemeses: &SERVER_NEMESES,
    };

    fn cases(mutants: Mutants<Mutant>) -> Vec<(&'static str, Case)> {
        let config = Config {
            failure_threshold_percentage: 100,
            closed_window_size: 2,
            minimum_calls: 2,
            half_open_allowed_requests: 2,
            half_open_timeout: ticks(2),
            reset_timeout: ticks(1),
            reset_timeout_max: ticks(2),
            jitter_percentage: 0,
            mutants,
            ..Config::default()
        };
        let three = Config { failure_threshold_percentage: 60, closed_window_size: 3, ..config.clone() };
        vec![
            (
                "two callers of three calls each; both calls of the window have to fail, and both trials",
                Box::new(Callers { config: config.clone(), callers: 2, calls: 3, ticks: 3 }),
            ),
            (
                "three callers of two calls each, for two trials",
                Box::new(Callers { config, callers: 3, calls: 2, ticks: 3 }),
            ),
            (
                "two callers of three calls each; of a window of three, two calls have to fail",
                Box::new(Callers { config: three, callers: 2, calls: 3, ticks: 3 }),
            ),
        ]
    }

    fn client(mutants: Mutants<Mutant>, seed: u64, witness: Witness) -> Ask {
        client::through_breakers(mutants, seed, witness)
    }
}
