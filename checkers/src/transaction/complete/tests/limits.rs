//! Limits end a decision in time, and are named.

use super::histories::Happening;
use super::*;
use crate::history::EventKind;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

fn reason(txns: &Transactions, options: &Options) -> Reason {
    match decide(txns, Model::Serializable, Order::Free, options) {
        Answer::Unknown(undecided) => undecided.reason,
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn every_limit_is_named() {
    let txns = transactions(&polygraphs::pigeons(4).history(), true);
    let none = Options::default();
    assert_eq!(reason(&txns, &Options { time_limit: Some(Duration::ZERO), ..none.clone() }), Reason::Time);
    assert_eq!(reason(&txns, &Options { memory_limit_bytes: 1000, ..none.clone() }), Reason::Memory);
    let cancel = Some(Arc::new(AtomicBool::new(true)));
    assert_eq!(reason(&txns, &Options { cancel, ..none }), Reason::Interrupted);
}

// Steps take some tens of nanoseconds; so many of them are a millisecond or two.
#[test]
fn the_clock_is_looked_at_often_however_hard_the_question() {
    let txns = transactions(&polygraphs::pigeons(9).history(), true);
    for (model, steps) in [(Model::Serializable, 3_000_000), (Model::SnapshotIsolation, 3_000_000)] {
        let mut meter = Meter::new(Budget::new(&Options::default())).share(steps);
        let (answer, effort) = decide_metered(&txns, model, Order::RealTime, Tactics::default(), &mut meter);
        assert_eq!(word(&answer), "unknown", "{effort:?}");
        assert!(effort.conflicts > 100, "it is too easy: {effort:?}");
        assert!(meter.steps < steps + 2 * meter::STEPS_BETWEEN_LOOKS, "{}", meter.steps);
        assert!(meter.longest_unlooked < 2 * meter::STEPS_BETWEEN_LOOKS, "{}", meter.longest_unlooked);
    }
}

// Fifty thousand pairs for each reader, if they were all written down; two million in all.
#[test]
fn a_hot_key_takes_memory_for_what_is_wrong_only() {
    let writers = 2000;
    let mut happenings = Vec::new();
    for n in 1..=writers {
        // Everybody writes one key; some read what was written some time ago.
        let mut ops = vec![('w', 0, n)];
        if n % 40 == 0 {
            ops.insert(0, ('r', 0, n - 30));
        }
        let open = |kind| Happening { process: n, kind, ops: ops.clone(), stamps: None };
        happenings.extend([open(EventKind::Invoke), open(EventKind::Ok)]);
    }
    let txns = transactions(&happenings, true);
    for model in MODELS {
        let options = Options { memory_limit_bytes: 8 << 20, ..Options::default() };
        let (answer, effort) = decide_with(&txns, model, Order::Free, Tactics::default(), &options);
        assert_eq!(word(&answer), "holds", "{model:?} {effort:?}");
        validate(&txns, model, Order::Free, &answer).unwrap();
    }
}

// Sixteen sessions take turns; in the middle one reads what it writes itself some time later. Who looks for an
// order without sessions finds one at once if those two transactions are let loose, and only they.
#[test]
fn who_is_out_of_order_is_let_loose_and_costs_little() {
    let (txns_count, keys) = (600, 5);
    let mut happenings = Vec::new();
    let mut latest = vec![0; keys as usize];
    for n in 1..=txns_count {
        let (read, written) = (7 * n % keys, (n / 2) % keys);
        let mut ops = vec![('r', read, latest[read as usize]), ('w', written, n)];
        if n == 460 {
            ops = vec![('w', 0, n), ('w', keys, 1)];
        } else {
            latest[written as usize] = n;
        }
        if n == 300 {
            ops.push(('r', keys, 1));
        }
        let open = |kind| Happening { process: n % 16, kind, ops: ops.clone(), stamps: None };
        happenings.extend([open(EventKind::Invoke), open(EventKind::Ok)]);
    }
    let txns = transactions(&happenings, true);
    for model in MODELS {
        let decide = |order, stronger| {
            let tactics = Tactics { stronger, ..Tactics::default() };
            decide_with(&txns, model, order, tactics, &Options::default())
        };
        assert_eq!(word(&decide(Order::Session, true).0), "violated", "{model:?}");
        let (answer, effort) = decide(Order::Free, true);
        assert_eq!(word(&answer), "holds", "{model:?}");
        validate(&txns, model, Order::Free, &answer).unwrap();
        let found = |effort: Effort| effort.facts + effort.choices;
        let (answer, alone) = decide(Order::Free, false);
        assert_eq!(word(&answer), "holds", "{model:?}");
        assert!(10 * found(effort) < found(alone), "{model:?} {effort:?} {alone:?}");
    }
}
