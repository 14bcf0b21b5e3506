//! Retries, as the catalogue knows them.

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
use shakedown_impls::resilience::retry::{Config, End, Kind, Mutant, Spread};
use shakedown_impls::resilience::token_bucket::Rate;

/// It.
pub static RETRY: Guard<Again> = Guard(Again);

/// What defines it.
pub struct Again;

impl Component for Again {
    type Mutant = Mutant;

    const ENTRY: Entry = Entry {
        name: "resilience/retry",
        title: "makes a call again that failed, if that is safe, in time, and paid for",
        guarantee: "no attempt begins at or after its call's deadline, and no pause ends there; what may have happened is \
                    sent again only if it is idempotent or has a key, the same in each attempt; never earlier than the \
                    server said; attempts are at most calls * (1 + percent / 100), a burst, and what comes by itself",
        price: "calls are given up that another attempt might have saved; what fails does so late; servers remember keys",
        not_covered: "whether it is worth calling at all (a circuit breaker's job); how many calls are under way at a time \
                      (a bulkhead's); for how long a server remembers keys",
        source: "Brooker, Exponential Backoff and Jitter, 2015; Site Reliability Engineering, 2016, ch. 21 and 22; Dean & \
                 Barroso, The Tail at Scale, 2013; RFC 9110 §9.2.2 and §10.2.3; Finagle's RetryBudget",
        worlds: &[WorldName::Model, WorldName::Sim],
        nemeses: &SERVER_NEMESES,
    };

    fn cases(mutants: Mutants<Mutant>) -> Vec<(&'static str, Case)> {
        let config = Config {
            max_attempts: 3,
            per_try_timeout: ticks(2),
            overall_timeout: ticks(3),
            initial_backoff: ticks(1),
            max_backoff: ticks(2),
            backoff_multiplier: 3,
            spread: Spread::Percent(0),
            budget_percent: 40,
            budget_burst: 1,
            budget_reserve: Rate::never(),
            mutants,
            ..Config::new(1)
        };
        let hedges = Config {
            max_attempts: 2,
            hedge_after: Some(ticks(1)),
            budget_percent: 0,
            budget_reserve: Rate::new(1, ticks(2)),
            ..config.clone()
        };
        let told = Config { overall_timeout: ticks(5), budget_burst: 2, ..config.clone() };
        let (definite, indefinite) =
            (End::Definite { retry_after: None }, End::Indefinite { retry_after: None });
        let later = End::Definite { retry_after: Some(ticks(2)) };
        vec![
            (
                "two callers of two calls each, one with keys and one without, and a budget for one retry",
                Box::new(Callers {
                    config,
                    kinds: vec![Kind::Keyed, Kind::Once],
                    calls: 2,
                    ends: vec![End::Succeeded, definite, indefinite],
                    ticks: 3,
                }),
            ),
            (
                "three callers of one call each, two of which may be hedged, and a reserve",
                Box::new(Callers {
                    config: hedges,
                    kinds: vec![Kind::Idempotent, Kind::Idempotent, Kind::Once],
                    calls: 1,
                    ends: vec![End::Succeeded, indefinite],
                    ticks: 3,
                }),
            ),
            (
                "two callers of one call each, and a server that says when to come back",
                Box::new(Callers {
                    config: told,
                    kinds: vec![Kind::Keyed, Kind::Once],
                    calls: 1,
                    ends: vec![End::Succeeded, End::Permanent, indefinite, later],
                    ticks: 5,
                }),
            ),
        ]
    }

    fn client(mutants: Mutants<Mutant>, seed: u64, witness: Witness) -> Ask {
        client::through_retries(mutants, seed, witness)
    }
}
