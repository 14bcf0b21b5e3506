//! Backpressure: in every order of its producers' steps nothing is wrong and everything that should happen does, and each
//! mistake is seen; in the simulated network too; and credit carries all over a link that loses.

mod component;

use component::{
    holds_between_clients_and_servers, holds_in_every_order, shows_each_mistake,
    unseen_between_clients_and_servers,
};
use shakedown_impls::mutants::Mutants;
use shakedown_impls::resilience::backpressure::Mutant;
use shakedown_impls::resilience::backpressure::credit::Config;
use shakedown_workloads::resilience::backpressure::BACKPRESSURE;
use shakedown_workloads::resilience::backpressure::link::{ITEMS, Report, carry};
use std::time::Duration;

#[test]
fn in_every_order_nothing_is_wrong_and_everything_happens() {
    holds_in_every_order(&BACKPRESSURE, &[3_393, 104, 57_944, 26_435, 52_730, 35_222]);
}

#[test]
fn every_mistake_is_seen_in_a_few_steps() {
    shows_each_mistake(&BACKPRESSURE, 14);
}

#[test]
fn with_real_clients_and_servers_nothing_is_wrong_and_everything_happens() {
    let sometimes = [
        "a call is queued",
        "a call is blocked",
        "a call is refused for want of room",
        "a call is refused as too fast",
        "a call is dropped for a newer one",
        "a call is shed",
        "a call takes too long",
    ];
    holds_between_clients_and_servers(&BACKPRESSURE, 300, &sometimes);
}

// No clock is set back here; all clients are one task, so that whoever is not woken is asked with the others; which of those
// that are queued was dropped is not seen; and credit has a test of its own.
#[test]
fn with_real_clients_and_servers_mistakes_are_seen_too() {
    let unseen = unseen_between_clients_and_servers(&BACKPRESSURE);
    let others = [
        "clock-step-trusted",
        "take-wakes-nobody",
        "leaver-keeps-turn",
        "drops-the-last",
        "credit-by-difference",
        "never-asks",
    ];
    assert_eq!(unseen, others);
}

fn carried(mutants: Mutants<Mutant>, seed: u64) -> Report {
    let window = 1 + (seed % 4) as u32;
    carry(&Config { window, resend_after: Duration::from_millis(25), mutants }, seed)
}

fn is_right(report: &Report, seed: u64) -> bool {
    let bounded = report.kept_max <= 1 + (seed % 4) as u32 && report.refused == 0;
    bounded && report.taken == (0..ITEMS).collect::<Vec<_>>()
}

#[test]
fn over_a_link_that_loses_all_arrive_once_and_in_order() {
    let mut sum = Report::default();
    for seed in 0..40 {
        let report = carried(Mutants::default(), seed);
        assert!(is_right(&report, seed), "seed {seed}: {report:?}");
        sum.lost += report.lost;
        sum.doubled += report.doubled;
        sum.blocked += report.blocked;
    }
    assert!(sum.lost > 400 && sum.doubled > 100 && sum.blocked > 100, "{sum:?}");
    assert_eq!(carried(Mutants::default(), 7), carried(Mutants::default(), 7));
    for mutant in [Mutant::CreditByDifference, Mutant::NeverAsks] {
        let is_seen = |seed| !is_right(&carried(Mutants::only(mutant), seed), seed);
        assert!((0..40).any(is_seen), "{mutant:?}");
    }
}
