//! The bulkhead, as the catalogue knows it.

pub mod callers;
mod client;

use super::component::{Ask, Case, Component, Guard, Witness};
use crate::catalogue::Entry;
use crate::world::WorldName;
use crate::world::callers::ticks;
use crate::world::sim::SERVER_NEMESES;
use callers::Callers;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::resilience::bulkhead::{Adaptive, Config, Mutant};
use std::time::Duration;

/// It.
pub static BULKHEAD: Guard<Compartment> = Guard(Compartment);

/// What defines it.
pub struct Compartment;

impl Component for Compartment {
    type Mutant = Mutant;

    const ENTRY: Entry = Entry {
        name: "resilience/bulkhead",
        title: "so many calls at a time, so many waiting, and no more",
        guarantee: "never more calls under way than the limit, nor more waiting than there is room for; first come first \
                    served; a place is given back exactly once, whatever way a call ends; compartments share nothing",
        price: "calls wait or are refused that the dependency could have taken; a fixed limit is a guess",
        not_covered: "whether calls fail (a circuit breaker's job); how many come in a second (throttle them)",
        source: "Nygard, Release It!, 2nd edition 2018, §5.3; Chiu & Jain 1989 and Netflix' concurrency-limits for adaptive \
                 limits",
        worlds: &[WorldName::Model, WorldName::Sim],
        nemeses: &SERVER_NEMESES,
    };

    fn cases(mutants: Mutants<Mutant>) -> Vec<(&'static str, Case)> {
        let config = Config {
            max_concurrent_calls: 1,
            max_wait_queue_size: 2,
            max_wait: ticks(1),
            mutants,
            ..Config::default()
        };
        let two = Config { max_concurrent_calls: 2, max_wait_queue_size: 1, ..config.clone() };
        let adaptive = Some(Adaptive::Aimd { latency: Duration::from_millis(1) });
        let grows = Config { max_concurrent_calls: 3, adaptive, ..config.clone() };
        vec![
            (
                "three callers of two calls each, one at a time",
                Box::new(Callers { config, callers: 3, calls: 2, ticks: 2 }),
            ),
            (
                "four callers, two at a time and room for one",
                Box::new(Callers { config: two, callers: 4, calls: 1, ticks: 1 }),
            ),
            (
                "three callers of two calls each, and a limit that falls and rises",
                Box::new(Callers { config: grows, callers: 3, calls: 2, ticks: 1 }),
            ),
        ]
    }

    fn client(mutants: Mutants<Mutant>, seed: u64, witness: Witness) -> Ask {
        client::through_compartments(mutants, seed, witness)
    }
}
