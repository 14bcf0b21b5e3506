//! Lists and registers, from text to verdict.

mod oracle;
mod random;

use super::anomaly::{Anomaly, Phenomenon};
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

fn standing(kind: Kind, lines: &str, level: &str) -> Standing {
    let history = history(lines);
    let report = judge(kind, &history);
    crate::validate::anomaly::validate_report(&report, history.values()).unwrap();
    report.standing(level.parse().unwrap())
}

#[test]
fn a_stale_read_of_a_register_is_told_by_what_was_missed() {
    expect(
        Kind::Register,
        "0 invoke [[:w x 1]]
         0 ok [[:w x 1]]
         0 invoke [[:w x 2]]
         0 ok [[:w x 2]]
         1 invoke [[:r x nil]]
         1 ok [[:r x 1]]",
        &["G-single-realtime"],
        &["strong-snapshot-isolation"],
        &[
            "T1 precedes T2, because T1 had completed before T2 was invoked",
            "T2 precedes T1, because T2 read x = 1, and T1's write x = 2 comes after it (the other way round \
             there would be a cycle: T3 precedes T1, because process 0 ran it first)",
        ],
    );
}

#[test]
fn one_key_is_no_skew() {
    let lines = "0 invoke [[:r x nil] [:w x 1]]
         1 invoke [[:r x nil] [:w x 2]]
         0 ok [[:r x nil] [:w x 1]]
         1 ok [[:r x nil] [:w x 2]]";
    let report = judge(Kind::Register, &history(lines));
    assert!(
        report.anomalies.iter().all(|anomaly| anomaly.also != Some("write-skew")),
        "{:?}",
        report.anomalies
    );
    assert!(report.counts.iter().any(|count| count.0 == Phenomenon::LostUpdate));
}

#[test]
fn where_every_key_has_one_writer_registers_tell_as_much_as_lists() {
    let lines = "0 invoke [[:w x 1]]
         1 invoke [[:w y 1]]
         2 invoke [[:r x nil] [:r y nil]]
         3 invoke [[:r x nil] [:r y nil]]
         0 ok [[:w x 1]]
         1 ok [[:w y 1]]
         2 ok [[:r x 1] [:r y nil]]
         3 ok [[:r x nil] [:r y 1]]";
    assert_eq!(standing(Kind::Register, lines, "parallel-snapshot-isolation"), Standing::Holds);
    assert_eq!(standing(Kind::Register, lines, "consistent-view"), Standing::Holds);
    assert!(matches!(standing(Kind::Register, lines, "snapshot-isolation"), Standing::Violated(_)));
    let two_writers = format!("{lines}\n4 invoke [[:w x 2]]\n4 ok [[:w x 2]]");
    assert_eq!(standing(Kind::Register, &two_writers, "parallel-snapshot-isolation"), Standing::Undecided);
}

/// The reader's session wrote them, which the plain level knows nothing of; that it saw one of them is enough.
#[test]
fn read_atomic_is_decided_without_sessions_too() {
    let lines = "0 invoke [[:w z 1] [:w y 1]]
         0 ok [[:w z 1] [:w y 1]]
         0 invoke [[:r z nil] [:r y nil]]
         0 ok [[:r z nil] [:r y 1]]";
    assert!(matches!(standing(Kind::Register, lines, "read-atomic"), Standing::Violated(_)));
    let only_session = lines.replace("[:r y 1]]", "[:r y nil]]");
    assert_eq!(standing(Kind::Register, &only_session, "read-atomic"), Standing::Holds);
    assert!(matches!(
        standing(Kind::Register, &only_session, "strong-session-read-atomic"),
        Standing::Violated(_)
    ));
}

#[test]
fn a_session_goes_back_within_a_transaction_too() {
    let lines = "0 invoke [[:append x 1] [:append y 1]]
         0 ok [[:append x 1] [:append y 1]]
         1 invoke [[:r x nil] [:r y nil]]
         1 ok [[:r x [1]] [:r y nil]]";
    assert!(matches!(standing(Kind::ListAppend, lines, "monotonic-reads"), Standing::Violated(_)));
    let other_way = lines.replace("[[:r x [1]] [:r y nil]]", "[[:r y nil] [:r x [1]]]");
    let other_way = other_way.replace("[[:r x nil] [:r y nil]]", "[[:r y nil] [:r x nil]]");
    assert_eq!(standing(Kind::ListAppend, &other_way, "monotonic-reads"), Standing::Holds);
}

#[test]
fn information_in_a_circle_makes_no_session_miss_anything() {
    let lines = "0 invoke [[:w x 1] [:r y nil]]
         1 invoke [[:w y 1] [:r x nil]]
         0 ok [[:w x 1] [:r y 1]]
         1 ok [[:w y 1] [:r x 1]]";
    for level in ["read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"] {
        assert_eq!(standing(Kind::Register, lines, level), Standing::Undecided, "{level}");
    }
    assert!(matches!(standing(Kind::Register, lines, "read-committed"), Standing::Violated(_)));
}

/// An own append with another's behind it was seen, but is not what a transaction alone would see.
#[test]
fn an_append_that_is_in_the_list_was_not_lost() {
    let lines = "0 invoke [[:append x 1] [:r x nil]]
         1 invoke [[:append x 2]]
         0 ok [[:append x 1] [:r x [1 2]]]
         1 ok [[:append x 2]]";
    let history = history(lines);
    let report = judge(Kind::ListAppend, &history);
    crate::validate::anomaly::validate_report(&report, history.values()).unwrap();
    assert!(report.counts.iter().any(|count| count.0 == Phenomenon::Internal), "{:?}", report.counts);
    assert!(report.counts.iter().all(|count| count.0 != Phenomenon::LostOwnWrite), "{:?}", report.counts);
}

/// Which of two versions it overwrote, that it had read both of, nobody knows.
#[test]
fn who_has_read_two_versions_loses_no_update() {
    let lines = "0 invoke [[:r x nil] [:append x 1]]
         0 ok [[:r x []] [:append x 1]]
         1 invoke [[:r x nil] [:r x nil] [:append x 2]]
         1 ok [[:r x [1]] [:r x []] [:append x 2]]";
    let history = history(lines);
    let report = judge(Kind::ListAppend, &history);
    crate::validate::anomaly::validate_report(&report, history.values()).unwrap();
    assert!(report.counts.iter().all(|count| count.0 != Phenomenon::LostUpdate), "{:?}", report.counts);
}

/// Whoever came in between need not have read anything.
#[test]
fn a_blind_write_in_between_is_overwritten_unseen() {
    expect(
        Kind::ListAppend,
        "0 invoke [[:r x nil] [:append x 1]]
         1 invoke [[:append x 2]]
         1 ok [[:append x 2]]
         0 ok [[:r x []] [:append x 1]]
         2 invoke [[:r x nil]]
         2 ok [[:r x [2 1]]]",
        &["lost-update", "G-single", "G-update"],
        &["cursor-stability"],
        &[
            "T1, T2: the first read key x before anybody had written it, and appended 1 behind 2 of the second, \
             which it had not seen",
        ],
    );
    // Behind what it had seen it may append, and before what came later.
    let lines = "1 invoke [[:append x 2]]
         1 ok [[:append x 2]]
         0 invoke [[:r x nil] [:append x 1]]
         3 invoke [[:append x 3]]
         3 ok [[:append x 3]]
         0 ok [[:r x [2]] [:append x 1]]
         2 invoke [[:r x nil]]
         2 ok [[:r x [2 1 3]]]";
    assert_eq!(standing(Kind::ListAppend, lines, "cursor-stability"), Standing::Holds);
}

/// An element that stands there twice was not appended behind what is between.
#[test]
fn a_repeated_element_is_no_dirty_update() {
    let lines = "2 invoke [[:append y 2]]
         2 ok [[:append y 2]]
         2 invoke [[:append y 4]]
         0 invoke [[:r y nil]]
         0 ok [[:r y [2 4 2]]]
         2 fail [[:append y 4]]";
    let history = history(lines);
    let report = judge(Kind::ListAppend, &history);
    crate::validate::anomaly::validate_report(&report, history.values()).unwrap();
    let names: Vec<_> = report.counts.iter().map(|count| count.0).collect();
    assert!(names.contains(&Phenomenon::G1a) && names.contains(&Phenomenon::DuplicateElements), "{names:?}");
    assert!(!names.contains(&Phenomenon::DirtyUpdate), "{names:?}");
}

#[test]
fn a_reason_by_the_other_order_is_told_to_its_end() {
    let lines = "0 invoke [[:w x 1] [:w y 1]]
         1 invoke [[:w x 2] [:w y 2]]
         0 ok [[:w x 1] [:w y 1]]
         1 ok [[:w x 2] [:w y 2]]
         2 invoke [[:r x nil] [:r y nil]]
         2 ok [[:r x 2] [:r y 1]]";
    let history = history(lines);
    let report = judge(Kind::Register, &history);
    let single = report.anomalies.iter().find(|anomaly| anomaly.phenomenon == Phenomenon::GSingle).unwrap();
    let cast = cast(single);
    let told = Words { history: &history, txns: &report.txns, cast: &cast }.sentences(single);
    let reason = "(the other way round there would be a cycle: T3 precedes T2, because T2 read T3's write x = 2; \
                  T2 read T1's write y = 1 and would have missed T3's write y = 2)";
    assert!(told.iter().any(|sentence| sentence.ends_with(reason)), "{told:#?}");
}
