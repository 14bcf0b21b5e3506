//! Every procedure against exhaustive search: on all small histories, on random ones, and with its
//! deliberate flaws, which the same comparison has to notice.

mod histories;
mod oracle;
mod scaling;

use super::flaw::{self, Flaw};
use super::{Decision, Item, decide};
use crate::model::Family;
use crate::value::{Value, Values};
use histories::{Rng, each_roles, each_shape, int, random};
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
            if result.is_err() {
                return;
            }
            let items: Vec<Item> =
                shape.iter().zip(roles).map(|(&(inv, res), &role)| Item { inv, res, role }).collect();
            result = compare(&oracle, &items, &mut met);
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

/// Random histories per family in an ordinary run; `SHAKEDOWN_HISTORIES` asks for more.
fn random_count() -> u64 {
    std::env::var("SHAKEDOWN_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000)
}

#[track_caller]
fn check(result: Result<Met, String>) -> Met {
    match result {
        Ok(met) => {
            assert!(met.valid * 20 > met.histories || met.histories < 10, "hardly any valid one: {met:?}");
            met
        }
        Err(wrong) => panic!("{wrong}"),
    }
}

#[test]
fn every_small_register_history_is_decided_as_by_search() {
    println!("{:?}", check(compare_all(Family::Register, 3, true)));
    println!("{:?}", check(compare_all(Family::Register, 4, false)));
}

#[test]
fn random_register_histories_are_decided_as_by_search() {
    println!("{:?}", check(compare_random(Family::Register, 8, random_count(), 1)));
}

/// The comparison must notice each flaw within a small part of its ordinary effort.
#[track_caller]
fn notices(family: Family, flaws: &[Flaw]) {
    for &flaw in flaws {
        let noticed = flaw::with(Some(flaw), || {
            compare_all(family, 3, true).is_err() || compare_random(family, 8, 20_000, 7).is_err()
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
