//! Sequential: reads of what one client inserted in order, from the last to the first.
//!
//! One client inserts `k_0`, `k_1`, … `k_n`, each in a transaction of its own. Others read `k_n`, … `k_1`,
//! `k_0`, in that order and again each by itself: `read k`, which returns `[k [s_n … s_1 s_0]]`, nil where
//! there was nothing. As soon as one of them is there, all that were inserted before it are there, and
//! they are read later still; so after one that was found, none may be missing:
//!
//! ```text
//! found:  nil s_2 s_1 s_0     read between the third insert and the fourth
//! bad:    s_3 s_2 nil s_0     s_1 was inserted before s_2 and read after it
//! ```
//!
//! Sequential consistency forbids it (Lamport 1979, *How to make a multiprocessor computer*), since it
//! keeps the order of each client.
//!
//! After Jepsen's test of the name (CockroachDB, TiDB, Dgraph) and elle-cli's `sequential`; the result
//! names are theirs. Only the shape of reads is judged: neither who inserted what, nor what the parts are
//! called. Differences:
//! - `all-count` counts reads without nil. Jepsen compares with the names `k_0`, `k_1`, …, and elle-cli
//!   with four of these, whatever the history has.
//! - `some-count` and `none-count` overlap, as theirs: a read that found nothing is counted in both.
//! - A history without reads is unknown.
//!
//! Cost: O(n) for n values read.

use super::independent::of_key;
use super::info::Info;
use super::{Figure, Findings, Quote, Report, Validity};
use crate::history::{History, Operation, Outcome};
use crate::model::{ModelError, OperationInfo};
use crate::value::{Datum, Value, Values};

/// What this checker is.
pub const INFO: Info = Info {
    name: "sequential",
    aliases: &[],
    summary: "who finds the last of one client's inserts finds, after that, all before it",
    operations: &[
        OperationInfo {
            functions: &["write", "add"],
            input: "any",
            output: "any",
            meaning: "inserts all parts of a key, or one: not looked at",
        },
        OperationInfo {
            functions: &["read"],
            input: "k, or [k nil]",
            output: "[k [s_n ... s_1 s_0]], in the order of reading, nil for what was not found",
            meaning: "reads the parts of a key, last inserted first, one after the other",
        },
    ],
    source: "Jepsen, cockroachdb, tidb and dgraph sequential; elle-cli sequential",
};

/// Looks for reads that found a part and then missed one that had been inserted before it. An operation of
/// another shape is an error.
pub fn check(history: &History) -> Result<Report, ModelError> {
    let values = history.values();
    let mut findings = Findings::new();
    let (mut all, mut some, mut none, mut reads) = (0, 0, 0, 0);
    for op in history.operations() {
        let Some((key, parts)) = read(&op, values)? else { continue };
        reads += 1;
        let found = parts.iter().filter(|part| !part.is_nil()).count();
        all += u64::from(found == parts.len());
        some += u64::from(found < parts.len());
        none += u64::from(found == 0);
        let first = parts.iter().position(|part| !part.is_nil()).unwrap_or(parts.len());
        if found < parts.len() - first {
            findings.add("trailing-nil", true, || Quote {
                operations: vec![op.id],
                values: vec![key, parts[first]],
                sentence: format!(
                    "a read{} found {} and, after that, only {} of {} that had been inserted before",
                    of_key(key, values),
                    values.show(parts[first]),
                    found - 1,
                    parts.len() - first - 1
                ),
            });
        }
    }
    let figures = vec![
        ("all-count", Figure::Count(all)),
        ("some-count", Figure::Count(some)),
        ("none-count", Figure::Count(none)),
        ("bad-count", Figure::Count(findings.count("trailing-nil"))),
    ];
    let otherwise = match reads {
        0 => Validity::Unknown("no read completed, so nothing was seen".to_owned()),
        _ => Validity::Valid,
    };
    Ok(findings.report(otherwise, figures))
}

/// The key and the parts that `op` read; `None` if it read nothing.
fn read<'v>(op: &Operation<'_>, values: &'v Values) -> Result<Option<(Value, &'v [Value])>, ModelError> {
    match op.f {
        "write" | "add" => return Ok(None),
        "read" if op.outcome != Outcome::Ok => return Ok(None),
        "read" => {}
        _ => return Err(ModelError::unknown_function(op, "write, add, read")),
    }
    let pair = match op.key {
        Some(key) => Some((key, op.output)),
        None => values.pair(op.output),
    };
    match pair.map(|(key, parts)| (key, values.get(parts))) {
        Some((key, Datum::List(parts))) => Ok(Some((key, parts))),
        _ => Err(ModelError::output(op, values, "[key [part ...]], nil for parts that were not found")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scribe::{count, told};
    use super::*;
    use crate::model::transcript::{history, keyed_history};

    fn judge(lines: &[&str]) -> Vec<String> {
        match check(&history(lines)) {
            Ok(report) => told(&report),
            Err(error) => vec![error.to_string()],
        }
    }

    /// The shapes of elle-cli's own histories.
    #[test]
    fn what_is_found_has_nothing_missing_behind_it() {
        let add = "add [0 \"0_0\"] | ok [0 \"0_0\"]";
        let read = |parts: &str| judge(&[add, &format!("read [0 nil] | ok [0 {parts}]")]);
        assert_eq!(read("[\"0_3\" \"0_2\" \"0_1\" \"0_0\"]"), ["valid"]);
        assert_eq!(read("[nil \"0_2\" \"0_1\" \"0_0\"]"), ["valid"]);
        assert_eq!(read("[nil nil nil nil]"), ["valid"]);
        let bad = "trailing-nil: a read of key 0 found \"0_3\" and, after that, only 1 of 3 that had been inserted before";
        assert_eq!(read("[\"0_3\" \"0_2\" nil nil]"), ["invalid", bad]);
        assert_eq!(judge(&[add, "read [0 nil]"]), ["unknown: no read completed, so nothing was seen"]);
        // Cockroach's client names the key alone.
        assert_eq!(judge(&["write 0 | ok 0", "read 0 | ok [0 [\"0_1\" nil]]"])[0], "invalid");
        let keyed = check(&keyed_history(&[("0", "read nil | ok [1 nil]")])).unwrap();
        assert_eq!(keyed.validity, Validity::Invalid);
    }

    #[test]
    fn reads_are_counted_by_what_they_found() {
        let reads = history(&[
            "read 0 | ok [0 [2 1 0]]",
            "read 0 | ok [0 [nil 1 0]]",
            "read 0 | ok [0 [nil nil nil]]",
            "read 0 | ok [0 [2 nil 0]]",
        ]);
        let report = check(&reads).unwrap();
        let counts = ["all-count", "some-count", "none-count", "bad-count"].map(|name| count(&report, name));
        assert_eq!(counts, [1, 3, 1, 1]);
    }

    #[test]
    fn other_shapes_are_errors_with_their_line() {
        let shape = "expected [key [part ...]], nil for parts that were not found";
        for (line, error) in [
            ("cas 1", "line 1: the model has no function cas; expected one of: write, add, read".to_owned()),
            ("read 1 | ok 1", format!("line 2: read returned the value 1; {shape}")),
            ("read 1 | ok [1 2]", format!("line 2: read returned the value [1 2]; {shape}")),
        ] {
            assert_eq!(judge(&[line]), [error]);
        }
    }

    /// Every read of up to six parts, against the definition: some part was found and some later one not.
    #[test]
    fn every_short_read_is_judged_by_the_definition() {
        let (mut valid, mut invalid) = (0, 0);
        for length in 0..=6u32 {
            for found in 0..1u64 << length {
                let parts: Vec<&str> =
                    (0..length).map(|i| if found >> i & 1 == 1 { "1" } else { "nil" }).collect();
                let bad =
                    (0..length).any(|i| (i..length).any(|j| found >> i & 1 == 1 && found >> j & 1 == 0));
                let told = judge(&[&format!("read 0 | ok [0 [{}]]", parts.join(" "))]);
                assert_eq!(told[0], if bad { "invalid" } else { "valid" }, "{parts:?}");
                *(if bad { &mut invalid } else { &mut valid }) += 1;
            }
        }
        assert!(valid > 20 && invalid > 80, "{valid} valid, {invalid} invalid");
    }
}
