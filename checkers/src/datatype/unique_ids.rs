//! `unique-ids`: no two calls may be given the same identifier.
//!
//! Jepsen's `checker/unique-ids`, and Maelstrom's workload of that name: of all identifiers that a `generate`
//! completed ok with, those that came more than once are **duplicated**, whatever the time or the node.
//! Identifiers may be any values but nil. What crashed may have used one up, and proves nothing.
//!
//! The report lists at most [`DUPLICATED_MAX`] duplicated identifiers, as Jepsen's, the most frequent
//! first, and the smallest and largest identifier if all are integers or all are texts. Jepsen's also
//! orders other types.
//!
//! Cost: O(n), with a table of the identifiers.

use super::info::{Info, op};
use super::operand::{self, brief, note_vacuous, parts, place, quote, returned};
use super::{Figure, Findings, Report, Validity};
use crate::history::{History, OpId};
use crate::model::ModelError;
use crate::value::{FastBuild, Value, Values};
use hashbrown::HashMap;
use std::cmp::{Ordering, Reverse};

/// How many duplicated identifiers a report lists.
pub const DUPLICATED_MAX: usize = 48;

/// See the module's text.
pub const INFO: Info = Info {
    name: "unique-ids",
    aliases: &[],
    summary: "no identifier is given out twice",
    operations: &[op(&["generate"], "any", "the identifier, not nil", "gives out an identifier")],
    source: "Jepsen, jepsen.checker/unique-ids; Maelstrom, maelstrom.workload.unique-ids",
};

/// How often an identifier was given out, and in which two operations first.
struct Given {
    value: Value,
    times: u64,
    first: OpId,
    second: OpId,
}

/// Judges a history of `generate`.
pub fn check(history: &History) -> Result<Report, ModelError> {
    let values = history.values();
    let (mut attempted, mut acknowledged) = (0, 0);
    let mut given: Vec<Given> = Vec::new();
    // The identifiers of one key are unique among themselves.
    for part in parts(history) {
        let mut index: HashMap<Value, u32, FastBuild> = HashMap::default();
        for id in &part.ops {
            let op = history.operation(*id);
            if op.f != "generate" {
                return Err(ModelError::unknown_function(&op, "generate"));
            }
            attempted += 1;
            let Some(value) = returned(&op) else { continue };
            if value.is_nil() {
                return Err(ModelError::output(&op, values, "the identifier"));
            }
            acknowledged += 1;
            let at = *index.entry(value).or_insert(given.len() as u32) as usize;
            match given.get_mut(at) {
                None => given.push(Given { value, times: 1, first: op.id, second: op.id }),
                Some(given) => {
                    given.times += 1;
                    if given.times == 2 {
                        given.second = op.id;
                    }
                }
            }
        }
    }
    let range = range(values, given.iter().map(|given| given.value));
    given.retain(|given| given.times > 1);
    given.sort_by_key(|given| Reverse(given.times));
    Ok(report(history, attempted, acknowledged, &given, range))
}

fn report(
    history: &History,
    attempted: u64,
    acknowledged: u64,
    duplicated: &[Given],
    range: Option<(Value, Value)>,
) -> Report {
    let mut findings = Findings::new();
    for Given { value, times, first, second } in duplicated {
        findings.add("duplicated", true, || {
            let named = brief(history.values(), *value);
            let (first_at, second_at) = (place(history, *first), place(history, *second));
            let sentence =
                format!("{named} was given out {}, {first_at} and {second_at}", operand::times(*times));
            quote(vec![*first, *second], vec![*value], sentence)
        });
    }
    if acknowledged == 0 {
        note_vacuous(&mut findings, "no identifier was given out");
    }
    let listed = duplicated.iter().take(DUPLICATED_MAX).map(|given| (given.value, given.times)).collect();
    let mut figures = vec![
        ("attempted-count", Figure::Count(attempted)),
        ("acknowledged-count", Figure::Count(acknowledged)),
        ("duplicated-count", Figure::Count(duplicated.len() as u64)),
        ("duplicated", Figure::Tally(listed)),
    ];
    figures.extend(range.map(|(least, most)| ("range", Figure::Values(vec![least, most]))));
    findings.report(Validity::Valid, figures)
}

/// The smallest and the largest, if all can be compared.
fn range(values: &Values, ids: impl Iterator<Item = Value>) -> Option<(Value, Value)> {
    let compare = |a: Value, b: Value| -> Option<Ordering> {
        match (values.int_of(a), values.int_of(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            (None, None) => Some(values.text(a)?.cmp(values.text(b)?)),
            _ => None,
        }
    };
    let mut range: Option<(Value, Value)> = None;
    for id in ids {
        let (least, most) = range.unwrap_or((id, id));
        let least = if compare(id, least)?.is_lt() { id } else { least };
        let most = if compare(id, most)?.is_gt() { id } else { most };
        range = Some((least, most));
    }
    range
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::{EventKind, Outcome};
    use crate::model::transcript::{history, keyed_history};

    #[test]
    fn an_identifier_given_twice_is_named() {
        let history = history(&[
            "generate nil | ok 7",
            "generate nil | ok 9",
            "generate nil | info 9",
            "generate nil | ok -1",
            "generate nil | ok 9",
            "generate nil | ok 9",
        ]);
        let report = check(&history).unwrap();
        assert_well_formed(&history, &report);
        assert_eq!(report.findings[0].sentence, "9 was given out 3 times, on line 3 and on line 9");
        assert_eq!((count(&report, "attempted-count"), count(&report, "acknowledged-count")), (6, 5));
        assert_eq!(
            (listed(&history, &report, "duplicated"), listed(&history, &report, "range")),
            ("9:3".into(), "-1 9".into())
        );
    }

    #[test]
    fn identifiers_may_be_anything_but_nil() {
        let report = |lines: &[&str]| {
            let history = history(lines);
            let report = check(&history).unwrap();
            let range = report.figures.iter().any(|(name, _)| *name == "range");
            (word(&report), range)
        };
        assert_eq!(report(&["generate nil | ok \"b\"", "generate nil | ok \"a\""]), ("true", true));
        assert_eq!(report(&["generate nil | ok \"1\"", "generate nil | ok 1"]), ("true", false));
        assert_eq!(report(&["generate nil | ok [1 2]", "generate nil | ok [1 2]"]), ("false", false));
        assert_eq!(report(&["generate nil | info 1", "generate nil"]), ("true", false));
        let error = |lines: &[&str]| check(&history(lines)).unwrap_err().to_string();
        assert_eq!(
            error(&["generate nil | ok nil"]),
            "line 2: generate returned the value nil; expected the identifier"
        );
        assert_eq!(error(&["make nil"]), "line 1: the model has no function make; expected one of: generate");
        let keyed = keyed_history(&[(":a", "generate nil | ok 1"), (":b", "generate nil | ok 1")]);
        assert_eq!(word(&check(&keyed).unwrap()), "true");
    }

    struct Generator;

    impl System for Generator {
        fn invoke(&mut self, _: &mut Chance, _: &mut Values, _: i64) -> (&'static str, Value) {
            ("generate", Value::NIL)
        }

        fn complete(
            &mut self,
            chance: &mut Chance,
            _: &mut Values,
            _: (i64, &str, Value),
        ) -> (EventKind, Value) {
            let kind =
                [EventKind::Ok, EventKind::Ok, EventKind::Fail, EventKind::Info][chance.below(4) as usize];
            (kind, int(chance.below(20) as i64))
        }
    }

    #[test]
    fn it_agrees_with_the_definition_on_random_histories() {
        let mut met = Met::default();
        for seed in 0..3000 {
            let mut chance = Chance::new(seed);
            let operations = 1 + chance.below(16) as usize;
            let history = draw(&mut chance, 4, operations, &mut Generator);
            let report = check(&history).unwrap();
            assert_well_formed(&history, &report);
            let given: Vec<Value> =
                history.operations().filter(|op| op.outcome == Outcome::Ok).map(|op| op.output).collect();
            let pairs = (0..given.len()).any(|a| (0..a).any(|b| given[a] == given[b]));
            assert_eq!(word(&report), if pairs { "false" } else { "true" });
            met.see(word(&report));
        }
        met.at_least(&["true", "false"], 800);
    }
}
