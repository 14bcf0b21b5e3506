//! Every procedure against exhaustive search: on all small histories, on random ones, and with its
//! deliberate flaws, which the same comparison has to notice.
//!
//! `SHAKEDOWN_EXHAUSTIVE=5` compares all histories of five operations instead of four,
//! `SHAKEDOWN_HISTORIES=1000000` a million random ones instead of a hundred thousand.

mod histories;
mod oracle;
mod scaling;

use super::flaw::{self, Flaw};
use super::{Decision, Item, decide};
use crate::history::NEVER;
use crate::linearizability::small::{Rng, each_shape};
use crate::model::{Family, Role};
use crate::value::{Value, Values};
use histories::{each_roles, int, random};
use oracle::Oracle;

/// What a comparison met, so that a test can tell that it was not vacuous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Met {
    histories: u64,
    valid: u64,
    invalid: u64,
    not_applicable: u64,
}

/// Compares one decision with the oracle; the error describes the disagreement.
fn compare(oracle: &Oracle<'_>, items: &[Item], met: &mut Met) -> Result<(), String> {
    let decision = decide(oracle.family, items, oracle.initial, oracle.values);
    met.histories += 1;
    match decision {
        Decision::Valid(_) => met.valid += 1,
        Decision::Invalid { .. } => met.invalid += 1,
        Decision::NotApplicable => met.not_applicable += 1,
    }
    oracle.judge(items, &decision).map_err(|wrong| format!("{wrong}\n{items:#?}\n{decision:#?}"))
}

fn initial(family: Family) -> Value {
    if family == Family::Register { int(0) } else { Value::NIL }
}

/// All histories of `n` operations; with `pending`, of which some may never complete.
fn compare_all(family: Family, n: usize, pending: bool) -> Result<Met, String> {
    let mut values = Values::new();
    let roles = each_roles(family, n, &mut values);
    let oracle = Oracle { family, initial: initial(family), values: &values };
    let mut met = Met::default();
    let mut result = Ok(());
    each_shape(n, pending, &mut |shape| {
        for roles in &roles {
            let items: Vec<Item> =
                shape.iter().zip(roles).map(|(&(inv, res), &role)| Item { inv, res, role }).collect();
            // A take knows its value exactly if it completed.
            let odd = |item: &Item| match item.role {
                Role::Take(_) => item.res == NEVER,
                Role::TakeUnknown => item.res != NEVER,
                _ => false,
            };
            if result.is_ok() && !items.iter().any(odd) {
                result = compare(&oracle, &items, &mut met);
            }
        }
    });
    result.map(|()| met)
}

/// `count` random histories of up to `most` operations.
fn compare_random(family: Family, most: u64, count: u64, seed: u64) -> Result<Met, String> {
    let mut met = Met::default();
    let mut rng = Rng(seed);
    let mut values = Values::new();
    for _ in 0..count {
        let items = random(family, most, &mut rng, &mut values);
        let oracle = Oracle { family, initial: initial(family), values: &values };
        compare(&oracle, &items, &mut met)?;
    }
    Ok(met)
}

/// How much to do: an ordinary run, or what an environment variable asks for.
fn asked(variable: &str, ordinarily: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(ordinarily)
}

/// No disagreement, and both verdicts were met often.
#[track_caller]
fn check(family: Family, result: Result<Met, String>) {
    let met = result.unwrap_or_else(|wrong| panic!("{wrong}"));
    println!("{family:?}: {met:?}");
    assert!(met.valid * 50 > met.histories && met.invalid * 50 > met.histories, "one-sided: {met:?}");
}

/// All histories of three operations, pending ones included, and of four that completed.
#[track_caller]
fn check_small(family: Family) {
    check(family, compare_all(family, 3, true));
    check(family, compare_all(family, asked("SHAKEDOWN_EXHAUSTIVE", 4) as usize, false));
}

#[track_caller]
fn check_random(family: Family, seed: u64) {
    check(family, compare_random(family, 9, asked("SHAKEDOWN_HISTORIES", 100_000), seed));
}

#[test]
fn every_small_register_history_is_decided_as_by_search() {
    check_small(Family::Register);
}

#[test]
fn random_register_histories_are_decided_as_by_search() {
    check_random(Family::Register, 1);
}

#[test]
fn every_small_queue_history_is_decided_as_by_search() {
    check_small(Family::Queue);
}

#[test]
fn random_queue_histories_are_decided_as_by_search() {
    check_random(Family::Queue, 2);
}

/// Which values the unknown takes of a queue took is never left to a search.
#[test]
fn every_queue_history_with_distinct_values_is_decided() {
    let met = compare_random(Family::Queue, 9, 20_000, 6).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(met.not_applicable, 0, "{met:?}");
    let met = compare_random(Family::Stack, 9, 20_000, 6).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(met.not_applicable > 0, "the generator makes unknown takes that matter: {met:?}");
}

#[test]
fn every_small_priority_queue_history_is_decided_as_by_search() {
    check_small(Family::PriorityQueue);
}

#[test]
fn random_priority_queue_histories_are_decided_as_by_search() {
    check_random(Family::PriorityQueue, 3);
}

#[test]
fn every_small_stack_history_is_decided_as_by_search() {
    check_small(Family::Stack);
}

#[test]
fn random_stack_histories_are_decided_as_by_search() {
    check_random(Family::Stack, 4);
}

#[test]
fn every_small_growing_set_history_is_decided_as_by_search() {
    check_small(Family::GrowSet);
}

#[test]
fn random_growing_set_histories_are_decided_as_by_search() {
    check_random(Family::GrowSet, 5);
}

/// The comparison must notice each flaw within a small part of its ordinary effort.
#[track_caller]
fn notices(family: Family, flaws: &[Flaw]) {
    for &flaw in flaws {
        let noticed = flaw::with(Some(flaw), || {
            // An assertion of the procedure that fires counts as well.
            std::panic::catch_unwind(|| {
                compare_all(family, 3, true).is_err()
                    || compare_all(family, 4, false).is_err()
                    || compare_random(family, 8, 20_000, 7).is_err()
            })
            .unwrap_or(true)
        });
        assert!(noticed, "{flaw:?} went unnoticed");
    }
    assert_eq!(compare_random(family, 8, 2_000, 7).err(), None, "without a flaw nothing is noticed");
}

#[test]
fn flaws_of_the_register_procedure_are_noticed() {
    notices(
        Family::Register,
        &[
            Flaw::ForwardZonesUnchecked,
            Flaw::BackwardZonesUnchecked,
            Flaw::TouchingZonesOverlap,
            Flaw::InitialValueUnchecked,
            Flaw::ReadBeforeWriteUnchecked,
            Flaw::RewrittenInitialIgnored,
        ],
    );
}

/// Flaws of what queue, stack and priority queue share.
const OF_CONTENTS: [Flaw; 5] = [
    Flaw::TakeBeforePutUnchecked,
    Flaw::TakenTwiceUnchecked,
    Flaw::UnknownTakesIgnored,
    Flaw::EqualPositionsPrecede,
    Flaw::NothingUnchecked,
];

#[test]
fn flaws_of_the_queue_procedure_are_noticed() {
    notices(Family::Queue, &OF_CONTENTS);
    let own = [Flaw::OvertakingUnchecked, Flaw::NeverTakenUnchecked, Flaw::UnknownTakesReversed];
    notices(Family::Queue, &own);
}

#[test]
fn flaws_of_the_priority_queue_procedure_are_noticed() {
    notices(Family::PriorityQueue, &OF_CONTENTS);
    notices(Family::PriorityQueue, &[Flaw::LargerValueUnchecked, Flaw::NeverTakenUnchecked]);
}

#[test]
fn flaws_of_the_stack_procedure_are_noticed() {
    notices(Family::Stack, &OF_CONTENTS);
    notices(Family::Stack, &[Flaw::PushAtAnyTime, Flaw::PopAtAnyTime]);
}

#[test]
fn flaws_of_the_growing_set_procedure_are_noticed() {
    notices(Family::GrowSet, &[Flaw::ChainUnchecked, Flaw::ReadBeforeAddUnchecked, Flaw::StagesUnchecked]);
}
