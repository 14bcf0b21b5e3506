//! The decision against every schedule, on random small histories; and what it must say of famous ones.
//!
//! `SHAKEDOWN_HISTORIES=100000` compares so many histories of each shape.

mod famous;
mod histories;
mod limits;
mod oracle;
mod polygraphs;

use super::*;
use crate::transaction::Transactions;
use crate::validate::isolation::validate;
use histories::{Dice, Shape, random, transactions};
use polygraphs::Polygraph;

const MODELS: [Model; 3] = [Model::Serializable, Model::SnapshotIsolation, Model::Prefix];
const ORDERS: [Order; 3] = [Order::Free, Order::Session, Order::RealTime];

/// All ways to go about it.
const TACTICS: [Tactics; 4] = [
    Tactics { guesses: true, stronger: true, saturation: true },
    Tactics { guesses: true, stronger: false, saturation: false },
    Tactics { guesses: false, stronger: false, saturation: true },
    Tactics { guesses: false, stronger: false, saturation: false },
];

fn histories_per_shape(default: usize) -> usize {
    std::env::var("SHAKEDOWN_HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Holds(_) => "holds",
        Answer::Violated(_) => "violated",
        Answer::Unknown(_) => "unknown",
    }
}

/// What a comparison met, so that a test can tell that it was not vacuous.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    holds: usize,
    violated: usize,
    searched: usize,
    cases: usize,
    /// Holds without real time, or without sessions, and not with it.
    weaker: usize,
}

/// Decides in every way, and holds each to the oracle and to the validator.
fn compare(txns: &Transactions, show: &dyn std::fmt::Debug, met: &mut Met) {
    let mut expected = [[false; 3]; 3];
    let mut refutations = Vec::new();
    for (m, model) in MODELS.into_iter().enumerate() {
        for (o, order) in ORDERS.into_iter().enumerate() {
            expected[m][o] = oracle::holds(txns, model, order);
            for tactics in TACTICS {
                let (answer, effort) = decide_with(txns, model, order, tactics, &Options::default());
                let want = if expected[m][o] { "holds" } else { "violated" };
                assert_eq!(word(&answer), want, "{model:?} {order:?} {tactics:?}\n{show:#?}\n{answer:#?}");
                if let Err(refusal) = validate(txns, model, order, &answer) {
                    panic!("{refusal}\n{model:?} {order:?} {tactics:?}\n{show:#?}\n{answer:#?}");
                }
                met.searched += usize::from(effort.choices > 0);
                match answer {
                    Answer::Violated(ref refutation) => {
                        met.violated += 1;
                        assert!(refutation.minimal, "small cores are minimized to the end");
                        met.cases += usize::from(matches!(refutation.argument, Argument::Cases { .. }));
                        refutations.push(answer);
                    }
                    _ => met.holds += 1,
                }
            }
        }
    }
    refuses_what_is_not_so(txns, &expected, &refutations);
    met.weaker += expected.iter().filter(|[free, _, real_time]| *free && !real_time).count();
    // Stronger models and orders hold less often.
    for (order, serializable) in expected[0].iter().enumerate() {
        assert!(!serializable || expected[1][order] && expected[2][order]);
        assert!(!expected[1][order] || expected[2][order]);
    }
    for [free, session, real_time] in expected {
        assert!(!real_time || session);
        assert!(!session || free);
    }
}

fn compare_many(shape: Shape, seed: u64, count: usize) -> Met {
    let mut met = Met::default();
    let mut dice = Dice::new(seed);
    for _ in 0..histories_per_shape(count) {
        let shape = Shape { is_snapshot: dice.chance(50), has_real_time: dice.chance(70), ..shape };
        let happenings = random(shape, &mut dice);
        compare(&transactions(&happenings, shape.has_real_time), &happenings, &mut met);
    }
    met
}

const SMALL: Shape = Shape {
    txns: 5,
    processes: 3,
    keys: 2,
    ops: 3,
    writes_percent: 45,
    lost_percent: 14,
    wild_percent: 40,
    is_snapshot: false,
    has_real_time: true,
};

const SHAPES: [Shape; 6] = [
    SMALL,
    // Crashes, and reads of anything.
    Shape { processes: 2, keys: 3, writes_percent: 50, lost_percent: 40, wild_percent: 70, ..SMALL },
    // One hot key, mostly read before it is written.
    Shape { txns: 6, keys: 1, writes_percent: 40, wild_percent: 25, ..SMALL },
    // Few reads: the order of writers matters everywhere and is told nowhere.
    Shape { txns: 7, processes: 4, ops: 4, writes_percent: 60, lost_percent: 0, wild_percent: 60, ..SMALL },
    // Every transaction its own session.
    Shape { txns: 6, processes: 6, keys: 3, ops: 5, lost_percent: 0, ..SMALL },
    // Wide transactions on more keys, which read anything.
    Shape {
        txns: 8,
        processes: 8,
        keys: 5,
        ops: 4,
        writes_percent: 60,
        lost_percent: 0,
        wild_percent: 100,
        ..SMALL
    },
];

#[test]
fn small_histories_are_decided_as_by_every_schedule() {
    for (seed, shape) in (1..).zip(SHAPES) {
        let met = compare_many(shape, seed, 150);
        let decided = met.holds + met.violated;
        assert!(met.holds > decided / 5 && met.violated > decided / 20, "{met:?}");
        assert!(met.searched > decided / 200, "{met:?}");
        assert!(met.weaker > decided / 400, "{met:?}");
    }
}

// Every refutation is offered in place of every true answer: none may be taken.
fn refuses_what_is_not_so(txns: &Transactions, expected: &[[bool; 3]; 3], refutations: &[Answer]) {
    for (m, model) in MODELS.into_iter().enumerate() {
        for (_, order) in ORDERS.into_iter().enumerate().filter(|(o, _)| expected[m][*o]) {
            for wrong in refutations {
                assert!(validate(txns, model, order, wrong).is_err(), "{model:?} {order:?}: {wrong:#?}");
            }
        }
    }
}

// Inference settles few of these, so that the search must; of the cores of its proofs, some need cases.
#[test]
fn questions_made_from_clauses_are_decided_as_by_every_assignment() {
    let mut dice = Dice::new(3);
    let (mut met, mut satisfiable, mut by_cases, mut conflicts) = (0u64, 0, 0u64, 0u64);
    for _ in 0..histories_per_shape(60) {
        let variables = 3 + dice.below(4) as usize;
        let literal = |dice: &mut Dice| (dice.below(variables as u64) as usize, dice.chance(50));
        let count = variables * 3 + dice.below(8) as usize;
        let forbidden = (0..count)
            .map(|_| {
                let mut set: Vec<polygraphs::Literal> =
                    (0..2 + dice.below(2)).map(|_| literal(&mut dice)).collect();
                set.sort_unstable();
                set.dedup_by_key(|literal| literal.0);
                set
            })
            .collect();
        let polygraph = Polygraph { variables, forbidden };
        let txns = transactions(&polygraph.history(), true);
        let expected = polygraph.is_satisfiable();
        satisfiable += u32::from(expected);
        for model in MODELS {
            for tactics in TACTICS {
                let (answer, effort) =
                    decide_with(&txns, model, Order::RealTime, tactics, &Options::default());
                assert_eq!(
                    matches!(answer, Answer::Holds(_)),
                    expected,
                    "{model:?} {tactics:?} {polygraph:?}"
                );
                validate(&txns, model, Order::RealTime, &answer).unwrap();
                if let Answer::Violated(refutation) = &answer {
                    by_cases += u64::from(matches!(refutation.argument, Argument::Cases { .. }));
                }
                conflicts += effort.conflicts;
                met += 1;
            }
        }
    }
    assert!(
        satisfiable > 0 && by_cases > met / 20 && conflicts > met / 2,
        "{satisfiable} {by_cases} {conflicts}"
    );
}

#[test]
fn pigeons_are_refuted_by_cases() {
    for holes in 1..=4 {
        let txns = transactions(&polygraphs::pigeons(holes).history(), true);
        for model in MODELS {
            let (answer, effort) =
                decide_with(&txns, model, Order::Free, Tactics::default(), &Options::default());
            validate(&txns, model, Order::Free, &answer).unwrap();
            let Answer::Violated(refutation) = answer else { panic!("{holes} {model:?} {effort:?}") };
            let is_by_cases = matches!(refutation.argument, Argument::Cases { .. });
            assert_eq!((is_by_cases, effort.conflicts > 0), (holes > 1, holes > 1), "{holes} {effort:?}");
        }
    }
}
