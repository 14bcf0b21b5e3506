//! The bulkhead: in every order of its callers' steps nothing is wrong and everything that should happen does, and each
//! mistake is seen; in the simulated network too.

mod component;

use component::{
    holds_between_clients_and_servers, holds_in_every_order, shows_each_mistake,
    unseen_between_clients_and_servers,
};
use shakedown_workloads::resilience::bulkhead::BULKHEAD;

#[test]
fn in_every_order_nothing_is_wrong_and_everything_happens() {
    holds_in_every_order(&BULKHEAD, &[14_985, 1_013, 7_994]);
}

#[test]
fn every_mistake_is_seen_in_a_few_steps() {
    shows_each_mistake(&BULKHEAD, 12);
}

#[test]
fn with_real_clients_and_servers_nothing_is_wrong_and_everything_happens() {
    let sometimes = [
        "a call waits",
        "a call is refused",
        "a call has waited too long",
        "a call takes too long",
        "one begins and another waits",
    ];
    holds_between_clients_and_servers(&BULKHEAD, 300, &sometimes);
}

// A fixed limit does not grow, and tasks of one thread are cancelled between a turn and its claim by luck only: the
// model world shows both.
#[test]
fn with_real_clients_and_servers_mistakes_are_seen_too() {
    let unseen = unseen_between_clients_and_servers(&BULKHEAD);
    assert_eq!(unseen, ["cancelled-turn-kept", "growth-wakes-nobody"]);
}
