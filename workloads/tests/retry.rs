//! Retries: in every order of their callers' steps nothing is wrong and everything that should happen does, and each
//! mistake is seen; in the simulated network too.

mod component;

use component::{
    holds_between_clients_and_servers, holds_in_every_order, hunt_for, shows_each_mistake,
    unseen_between_clients_and_servers,
};
use shakedown_workloads::catalogue::Pattern as _;
use shakedown_workloads::judge::Finding;
use shakedown_workloads::manner::StopFlag;
use shakedown_workloads::resilience::retry::RETRY;

#[test]
fn in_every_order_nothing_is_wrong_and_everything_happens() {
    holds_in_every_order(&RETRY, &[26_301, 46_437, 15_093]);
}

#[test]
fn every_mistake_is_seen_in_a_few_steps() {
    shows_each_mistake(&RETRY, 8);
}

#[test]
fn with_real_clients_and_servers_nothing_is_wrong_and_everything_happens() {
    let sometimes = [
        "a call is sent again",
        "a call is sent again that may have happened",
        "a call is not sent again, for it may have happened",
        "a call comes back when it was told to",
        "a call is hedged",
        "a call works after all",
        "the budget is used up",
        "there is no time left",
        "there were enough attempts",
        "a server leaves what is too late",
        "a server knows a call by its key",
    ];
    holds_between_clients_and_servers(&RETRY, 3_000, &sometimes);
}

#[test]
fn with_real_clients_and_servers_mistakes_are_seen_too() {
    assert_eq!(unseen_between_clients_and_servers(&RETRY), Vec::<&str>::new());
}

// The witness does not look at keys: it is the checker that sees a value come back which was overwritten.
#[test]
fn a_write_that_is_done_twice_is_seen_in_the_history() {
    let (request, hunted) = hunt_for(&RETRY, "new-key-each-attempt");
    let seed = hunted.failing.expect("it is seen");
    let ran = RETRY.run(&request, seed, &StopFlag::default()).unwrap();
    assert!(matches!(ran.finding, Some(Finding::Refuted { .. })), "{:?}", ran.finding);
}
