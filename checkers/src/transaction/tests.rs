//! Lists and registers, from text to verdict.

mod oracle;

use super::anomaly::Anomaly;
use super::explain::{Words, cast};
use super::{IsolationOptions, Kind, Report, Standing, check};
use crate::format::{self, Format, Limits};
use crate::history::History;
use crate::validate::anomaly::validate_anomaly;

/// One line an event: `0 invoke [[:append x 1]]`, that is a process, a type, and micro-operations.
pub(super) fn history(lines: &str) -> History {
    let mut edn = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let (process, kind, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        edn.push_str(&format!("{{:process {process}, :type :{kind}, :f :txn, :value {value}}}\n"));
    }
    format::read(edn.as_bytes(), "test", Some(Format::Edn), &Limits::default()).unwrap()
}

fn judge(kind: Kind, history: &History) -> Report {
    check(history, kind, &IsolationOptions::new(kind)).unwrap()
}

/// The names of what was found, each once, and the sentences of the first.
fn told(history: &History, report: &Report) -> (Vec<String>, Vec<String>) {
    let mut names: Vec<String> = report.anomalies.iter().map(Anomaly::name).collect();
    names.dedup();
    let sentences = report.anomalies.first().map_or(Vec::new(), |anomaly| {
        Words { history, txns: &report.txns, cast: &cast(anomaly) }.sentences(anomaly)
    });
    (names, sentences)
}

fn expect(kind: Kind, lines: &str, names: &[&str], violated: &[&str], sentences: &[&str]) {
    let history = history(lines);
    let report = judge(kind, &history);
    let (found, told) = told(&history, &report);
    for anomaly in &report.anomalies {
        validate_anomaly(&report.txns, history.values(), anomaly).unwrap();
    }
    assert_eq!(found, names, "{lines}");
    let weakest: Vec<String> = report.weakest_violated().iter().map(ToString::to_string).collect();
    assert_eq!(weakest, violated, "{lines}");
    assert_eq!(told, sentences, "{lines}");
    assert_eq!(matches!(report.verdict, Standing::Violated(_)), !names.is_empty());
}

#[test]
fn write_skew_is_snapshot_isolated_and_not_serializable() {
    expect(
        Kind::ListAppend,
        "0 invoke [[:r x nil] [:append y 1]]
         1 invoke [[:r y nil] [:append x 1]]
         0 ok [[:r x []] [:append y 1]]
         1 ok [[:r y []] [:append x 1]]
         2 invoke [[:r x nil] [:r y nil]]
         2 ok [[:r x [1]] [:r y [1]]]",
        &["G2-item", "G-update"],
        &["repeatable-read", "update-serializable"],
        &[
            "T1 precedes T2, because T1 read key x before anybody had written it, and T2 made the append of 1 \
             to key x",
            "T2 precedes T1, because T2 read key y before anybody had written it, and T1 made the append of 1 \
             to key y",
        ],
    );
}

/// What one look shows, with the weakest levels that forbid it.
#[test]
fn reads_of_what_was_never_there() {
    let committed = &["read-committed"][..];
    for (lines, names, violated, sentence) in [
        (
            "0 invoke [[:append x 1]]
             0 fail [[:append x 1]]
             1 invoke [[:r x nil]]
             1 ok [[:r x [1]]]",
            &["G1a"][..],
            committed,
            "T1, T2: it read key x with 1 in it, whose writer had aborted",
        ),
        (
            "0 invoke [[:append x 1] [:append x 2]]
             0 ok [[:append x 1] [:append x 2]]
             1 invoke [[:r x nil]]
             1 ok [[:r x [1]]]
             2 invoke [[:r x nil]]
             2 ok [[:r x [1 2]]]",
            &["G1b", "fractured-read", "G-single", "causality-violation", "G-prefix", "G-update"],
            committed,
            "T1, T2: it read 1 from key x, which its writer then overwrote itself",
        ),
        (
            "0 invoke [[:append x 1]]
             0 fail [[:append x 1]]
             1 invoke [[:append x 2]]
             1 ok [[:append x 2]]
             2 invoke [[:r x nil]]
             2 ok [[:r x [1 2]]]",
            &["G1a", "dirty-update"],
            committed,
            "T1, T2: it read key x with 1 in it, whose writer had aborted",
        ),
        (
            "0 invoke [[:append x 1]]
             0 ok [[:append x 1]]
             2 invoke [[:r x nil]]
             2 ok [[:r x [1 1]]]",
            &["duplicate-elements"],
            &["read-uncommitted"],
            "T1: it read key x with 1 in it twice",
        ),
        (
            "0 invoke [[:r x nil]]
             0 ok [[:r x [7]]]",
            &["garbage-read"],
            &["read-uncommitted"],
            "T1: it read key x with 7 in it, which nobody appended",
        ),
        (
            "0 invoke [[:append x 1]]
             1 invoke [[:append x 2]]
             0 ok [[:append x 1]]
             1 ok [[:append x 2]]
             0 invoke [[:r x nil]]
             1 invoke [[:r x nil]]
             0 ok [[:r x [1 2]]]
             1 ok [[:r x [2 1]]]",
            &["incompatible-order"],
            committed,
            "T1, T2: the one read key x = [2 1], the other [1 2]: neither begins the other",
        ),
        (
            "0 invoke [[:r x nil] [:append x 1]]
             0 ok [[:r x [1]] [:append x 1]]",
            &["future-read"],
            committed,
            "T1: it read 1 from key x, which it was to write itself later",
        ),
        (
            "0 invoke [[:append x 1] [:r x nil]]
             0 ok [[:append x 1] [:r x []]]",
            &["lost-own-write"],
            committed,
            "T1: it appended 1 to key x, and then read x = []",
        ),
    ] {
        expect(Kind::ListAppend, lines, names, violated, &[sentence]);
    }
    expect(
        Kind::ListAppend,
        "0 invoke [[:append x 1]]
         0 ok [[:append x 1]]
         1 invoke [[:append x 2]]
         2 invoke [[:r x nil] [:r x nil]]
         1 ok [[:append x 2]]
         2 ok [[:r x [1]] [:r x [1 2]]]",
        &["fractured-read", "internal", "G-single", "causality-violation", "G-prefix", "G-update"],
        &["consistent-view", "repeatable-read", "read-atomic"],
        &[
            "T1 precedes T2, because T2 read T1's append of 2 to key x",
            "T2 precedes T1, because T2 read key x up to 1, and did not see T1's append of 2 to key x",
        ],
    );
}
