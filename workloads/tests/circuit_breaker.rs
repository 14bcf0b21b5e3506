//! The circuit breaker: in every order of its callers' steps nothing is wrong and everything that should happen does,
//! and each mistake is seen; in the simulated network too.

mod component;

use component::{
    holds_between_clients_and_servers, holds_in_every_order, shows_each_mistake,
    unseen_between_clients_and_servers,
};
use shakedown_workloads::catalogue::{Pattern as _, Request};
use shakedown_workloads::manner::StopFlag;
use shakedown_workloads::resilience::circuit_breaker::CIRCUIT_BREAKER;
use shakedown_workloads::resilience::circuit_breaker::ledger::SOMETIMES;
use shakedown_workloads::world::WorldName;

#[test]
fn in_every_order_nothing_is_wrong_and_everything_happens() {
    holds_in_every_order(&CIRCUIT_BREAKER, &[8_373, 20_141, 7_985]);
}

#[test]
fn every_mistake_is_seen_in_a_few_steps() {
    shows_each_mistake(&CIRCUIT_BREAKER, 14);
}

#[test]
fn with_real_clients_and_servers_nothing_is_wrong_and_everything_happens() {
    holds_between_clients_and_servers(&CIRCUIT_BREAKER, 300, SOMETIMES);
}

// What a run depends on beside its seed would show.
#[test]
fn one_seed_gives_one_history() {
    let run = |seed| CIRCUIT_BREAKER.run(&Request::new(WorldName::Sim), seed, &StopFlag::default()).unwrap();
    let rows =
        |seed| -> Vec<String> { run(seed).history().operations().map(|op| format!("{op:?}")).collect() };
    for seed in 0..60 {
        assert_eq!(rows(seed), rows(seed), "seed {seed}");
    }
}

#[test]
fn with_real_clients_and_servers_mistakes_are_seen_too() {
    assert_eq!(unseen_between_clients_and_servers(&CIRCUIT_BREAKER), Vec::<&str>::new());
}
