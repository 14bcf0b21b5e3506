//! Adya's G2: two inserts that each found the other one missing, both committed.
//!
//! For each key two transactions race. Each looks for rows of that key in two tables, by a predicate, and
//! inserts its own row, into one table or the other, only if there are none: `insert [k [a-id b-id]]`,
//! where one of the ids is nil. If both commit, each must have come before the other: a cycle of two
//! anti-dependencies on predicates.
//!
//! ```text
//! insert k into a |--found nothing, ok--|
//! insert k into b   |--found nothing, ok--|        no order of the two explains it
//! ```
//!
//! Serializability forbids it; snapshot isolation allows it, and so does a store that locks rows but not
//! predicates. Adya 1999, *Weak Consistency*, chapter 3 (G2, which PL-3 excludes); Jepsen's
//! `jepsen.tests.adya`, whose rule is ours: at most one insert of each key succeeds. Differences: a history
//! in which none succeeded is unknown, since it tells nothing, and exactly one id is asked of each insert.
//!
//! Cost: O(n).

use super::info::Info;
use super::{Figure, Findings, Quote, Report, Validity};
use crate::history::{History, OpId, Operation, Outcome};
use crate::model::{ModelError, OperationInfo};
use crate::value::{FastBuild, Value, Values};
use hashbrown::HashMap;

/// What this checker is.
pub const INFO: Info = Info {
    name: "adya-g2",
    aliases: &["g2"],
    summary: "of the inserts that each demand to be the first of their key, at most one succeeds",
    operations: &[
        OperationInfo {
            functions: &["insert"],
            input: "[k [a-id b-id]], one of them nil",
            output: "the same, or nil",
            meaning: "inserts a row of the key into one of two tables if neither has one",
        },
        OperationInfo { functions: &["read"], input: "any", output: "any", meaning: "not looked at" },
    ],
    source: "Adya 1999, chapter 3; Jepsen, jepsen.tests.adya",
};

/// Looks for keys of which two inserts succeeded. An operation of another shape is an error.
pub fn check(history: &History) -> Result<Report, ModelError> {
    let values = history.values();
    // The inserts of each key that succeeded: the first, and how many.
    let mut of_key: HashMap<Value, usize, FastBuild> = HashMap::default();
    let mut keys: Vec<(Value, Vec<OpId>)> = Vec::new();
    for op in history.operations() {
        let Some(key) = insert(&op, values)? else { continue };
        let at = *of_key.entry(key).or_insert(keys.len());
        if at == keys.len() {
            keys.push((key, vec![]));
        }
        if op.outcome == Outcome::Ok {
            keys[at].1.push(op.id);
        }
    }
    let mut findings = Findings::new();
    for (key, inserts) in keys.iter().filter(|(_, inserts)| inserts.len() > 1) {
        findings.add("G2", true, || Quote {
            operations: inserts.iter().copied().take(4).collect(),
            values: vec![*key],
            sentence: format!(
                "{} inserts of key {} succeeded, though each succeeds only if it is the first",
                inserts.len(),
                values.show(*key)
            ),
        });
    }
    let inserted_count = keys.iter().filter(|(_, inserts)| !inserts.is_empty()).count() as u64;
    let illegal_count = findings.count("G2");
    let otherwise = match inserted_count {
        0 => Validity::Unknown("no insert succeeded".to_owned()),
        _ => Validity::Valid,
    };
    let figures = vec![
        ("key-count", Figure::Count(keys.len() as u64)),
        ("legal-count", Figure::Count(inserted_count - illegal_count)),
        ("illegal-count", Figure::Count(illegal_count)),
    ];
    Ok(findings.report(otherwise, figures))
}

/// The key that `op` inserts; `None` if it reads.
fn insert(op: &Operation<'_>, values: &Values) -> Result<Option<Value>, ModelError> {
    match op.f {
        "read" => return Ok(None),
        "insert" => {}
        _ => return Err(ModelError::unknown_function(op, "insert, read")),
    }
    let pair = match op.key {
        Some(key) => Some((key, op.input)),
        None => values.pair(op.input),
    };
    let ids = pair.and_then(|(key, ids)| values.pair(ids).map(|ids| (key, ids)));
    match ids {
        Some((key, (a, b))) if a.is_nil() != b.is_nil() => Ok(Some(key)),
        _ => Err(ModelError::input(op, values, "[key [a-id b-id]], one of the ids nil")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scribe::{Chance, System, count, int, record, told};
    use super::*;
    use crate::history::EventKind;
    use crate::model::transcript::{history, keyed_history};
    use std::collections::BTreeMap;

    fn judge(lines: &[&str]) -> Vec<String> {
        match check(&history(lines)) {
            Ok(report) => told(&report),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn one_insert_of_a_key_succeeds_at_most() {
        assert_eq!(
            judge(&[
                "insert [1 [7 nil]] | ok",
                "insert [1 [nil 8]] | fail",
                "insert [2 [nil 9]] | ok",
                "read [1 nil]"
            ]),
            ["valid"]
        );
        let bad = history(&[
            "insert [1 [7 nil]] | ok",
            "insert [2 [9 nil]]",
            "insert [1 [nil 8]] | ok [1 [nil 8]]",
        ]);
        let report = check(&bad).unwrap();
        let both = "G2: 2 inserts of key 1 succeeded, though each succeeds only if it is the first";
        assert_eq!(told(&report), ["invalid", both]);
        assert_eq!(report.findings[0].operations, [0, 2]);
        assert_eq!(["key-count", "legal-count", "illegal-count"].map(|name| count(&report, name)), [2, 0, 1]);
        assert_eq!(
            judge(&["insert [1 [7 nil]] | info", "insert [1 [nil 8]]"]),
            ["unknown: no insert succeeded"]
        );
        let keyed = keyed_history(&[("1", "insert [7 nil] | ok"), ("1", "insert [nil 8] | ok")]);
        assert_eq!(check(&keyed).unwrap().validity, Validity::Invalid);
    }

    #[test]
    fn other_shapes_are_errors_with_their_line() {
        let shape = "expected [key [a-id b-id]], one of the ids nil";
        for (line, error) in [
            ("write 1", "line 1: the model has no function write; expected one of: insert, read".to_owned()),
            ("insert 1", format!("line 1: insert has the value 1; {shape}")),
            ("insert [1 [2 3]]", format!("line 1: insert has the value [1 [2 3]]; {shape}")),
            ("insert [1 [nil nil]]", format!("line 1: insert has the value [1 [nil nil]]; {shape}")),
        ] {
            assert_eq!(judge(&[line]), [error]);
        }
    }

    /// A store in which an insert mostly succeeds only once.
    struct Store(Vec<i64>);

    impl System for Store {
        fn call(&mut self, chance: &mut Chance, values: &mut Values, process: i64) -> (&'static str, Value) {
            let ids =
                if chance.percent(50) { [int(process), Value::NIL] } else { [Value::NIL, int(process)] };
            let pair = [int(chance.below(12) as i64), values.list(&ids)];
            ("insert", values.list(&pair))
        }

        fn reply(
            &mut self,
            chance: &mut Chance,
            values: &mut Values,
            _: i64,
            _: &'static str,
            input: Value,
        ) -> (EventKind, Value) {
            let key = values.pair(input).and_then(|pair| values.int_of(pair.0)).unwrap();
            if self.0.contains(&key) && !chance.percent(5) {
                return (EventKind::Fail, input);
            }
            self.0.push(key);
            (if chance.percent(80) { EventKind::Ok } else { EventKind::Info }, input)
        }
    }

    #[test]
    fn keys_are_counted_as_by_hand() {
        let (mut valid, mut invalid) = (0, 0);
        for seed in 0..1000 {
            let mut chance = Chance::new(seed);
            let history = record(&mut chance, 3, 60, &mut Store(vec![]));
            let report = check(&history).unwrap();
            let values = history.values();
            let mut inserts: BTreeMap<Value, u64> = BTreeMap::new();
            for op in history.operations().filter(|op| op.outcome == Outcome::Ok) {
                *inserts.entry(values.pair(op.input).unwrap().0).or_default() += 1;
            }
            let illegal = inserts.values().filter(|count| **count > 1).count() as u64;
            assert_eq!(count(&report, "illegal-count"), illegal, "seed {seed}");
            assert_eq!(count(&report, "legal-count"), inserts.len() as u64 - illegal, "seed {seed}");
            assert_eq!(report.validity == Validity::Invalid, illegal > 0, "seed {seed}");
            *(if illegal > 0 { &mut invalid } else { &mut valid }) += 1;
        }
        assert!(valid > 300 && invalid > 300, "{valid} valid, {invalid} invalid");
    }
}
