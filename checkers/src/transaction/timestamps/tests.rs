//! What timestamps rule out, flaw by flaw, with the sentences; and everything against the definitions.

mod oracle;

use super::*;
use crate::format::{self, Format, Limits};
use crate::history::{Event, EventKind, History, HistoryBuilder, Process};
use crate::transaction::explain::Words;
use crate::transaction::read;
use crate::validate::validate_timestamps;

/// One line an event: `0 invoke [[:append x 1]]`, `0 ok [[:append x 1]] @3-5`.
fn history(lines: &str) -> History {
    let mut edn = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let (process, kind, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let (value, stamps) = match rest.split_once(" @") {
            Some((value, stamps)) => {
                let (start, commit) = stamps.split_once('-').unwrap();
                (value, format!(", :start-ts {start}, :commit-ts {commit}"))
            }
            None => (rest, String::new()),
        };
        edn.push_str(&format!("{{:process {process}, :type :{kind}, :f :txn, :value {value}{stamps}}}\n"));
    }
    format::read(edn.as_bytes(), "test", Some(Format::Edn), &Limits::default()).unwrap()
}

fn question(model: Model, order: Order) -> Question {
    Question { model, order, forbid_unwritten: true }
}

const SI: Question = Question { model: Model::SnapshotIsolation, order: Order::Free, forbid_unwritten: true };

/// The report, which the validator accepts, and the sentences of its flaws.
fn judge(kind: Kind, lines: &str, question: Question) -> (Report, Vec<String>) {
    let history = history(lines);
    let txns = read(&history, kind).unwrap();
    let report = check(&txns, history.values(), question);
    validate_timestamps(&txns, history.values(), &report).unwrap();
    let told = report.flaws.iter().map(|flaw| {
        let words = Words { history: &history, txns: &txns, cast: &cast(&txns, flaw) };
        sentence(&words, question, flaw)
    });
    let told = told.collect();
    (report, told)
}

fn expect(kind: Kind, question: Question, lines: &str, sentences: &[&str]) {
    let (report, told) = judge(kind, lines, question);
    assert_eq!(told, sentences, "{lines}");
    assert_eq!(report.flaw_count, sentences.len());
    match report.answer {
        Answer::Holds(_) => assert!(sentences.is_empty(), "{lines}"),
        Answer::Violated => assert!(!sentences.is_empty(), "{lines}"),
        Answer::Unknown(_) => panic!("undecided: {lines}"),
    }
}

#[test]
fn a_register_holds_what_was_committed_last() {
    let writes = "0 invoke [[:w x 3]]
                  0 ok [[:w x 3]] @9-10
                  0 invoke [[:w x 4]]
                  0 ok [[:w x 4]] @14-15
                  1 invoke [[:w x 5]]
                  1 fail [[:w x 5]]
                  1 invoke [[:w x 6] [:w x 7]]
                  1 ok [[:w x 6] [:w x 7]] @20-21\n";
    for (read, at, flaw) in [
        ("4", "15-15", None),
        ("4", "20-22", None),
        ("7", "21-30", None),
        ("nil", "9-9", None),
        (
            "nil",
            "10-11",
            Some("T1 read key x as nobody had written it at timestamp 10, but T2 committed 3 at 10"),
        ),
        (
            "3",
            "17-17",
            Some("T1 read 3 of key x at timestamp 17, but T2 committed 4 at 15, and T3 committed 3 at 10"),
        ),
        (
            "4",
            "12-30",
            Some(
                "T1 read 4 of key x at timestamp 12, but T2 committed 3 at 10, and T3 committed 4 only at 15",
            ),
        ),
        ("4", "2-30", Some("T1 read 4 of key x at timestamp 2, but T2 committed 4 only at 15")),
        (
            "5",
            "16-16",
            Some(
                "T1 read 5 of key x at timestamp 16, but T2 committed 4 at 15, and T3, which wrote 5, aborted",
            ),
        ),
        (
            "6",
            "22-22",
            Some(
                "T1 read 6 of key x at timestamp 22, but T2 committed 7 at 21, and T2 overwrote 6 itself before \
                 it committed",
            ),
        ),
        (
            "9",
            "22-22",
            Some("T1 read 9 of key x at timestamp 22, but T2 committed 7 at 21, and nobody wrote 9"),
        ),
    ] {
        let lines = format!("{writes}2 invoke [[:r x nil]]\n2 ok [[:r x {read}]] @{at}");
        expect(Kind::Register, SI, &lines, flaw.as_slice());
    }
    // A value from outside says nothing, if nobody forbids it.
    let lines = format!("{writes}2 invoke [[:r x nil]]\n2 ok [[:r x 9]] @22-22");
    let (report, _) = judge(Kind::Register, &lines, Question { forbid_unwritten: false, ..SI });
    assert!(matches!(report.answer, Answer::Holds(_)));
}

#[test]
fn a_list_shows_all_that_was_committed_in_that_order_and_then_the_readers_own() {
    let writes = "0 invoke [[:append x 1] [:append x 2]]
                  0 ok [[:append x 1] [:append x 2]] @9-10
                  1 invoke [[:append x 3]]
                  1 ok [[:append x 3]] @10-15
                  1 invoke [[:append x 4]]
                  1 fail [[:append x 4]]\n";
    for (value, at, flaw) in [
        ("[[:r x [1 2]]]", "14-14", None),
        ("[[:r x [1 2 3]]]", "15-15", None),
        ("[[:r x [1 2 3]] [:append x 8] [:append x 9] [:r x [1 2 3 8 9]]]", "16-17", None),
        ("[[:append x 8] [:r x [1 2 3 8]] [:append x 9] [:r x [1 2 3 8 9]]]", "16-17", None),
        ("[[:r x []]]", "9-9", None),
        (
            "[[:r x []]]",
            "10-10",
            Some("T1 read key x as empty at timestamp 10, but T2 committed its append of 1 at 10"),
        ),
        (
            "[[:r x [1 2]]]",
            "17-17",
            Some("T1 read [1 2] of key x at timestamp 17, but T2 committed its append of 3 at 15"),
        ),
        (
            "[[:r x [1 2 3]]]",
            "12-12",
            Some("T1 read [1 2 3] of key x at timestamp 12, but T2 committed its append of 3 only at 15"),
        ),
        (
            "[[:r x [1 3 2]]]",
            "17-17",
            Some(
                "T1 read [1 3 2] of key x at timestamp 17, but where it shows 3, T2 committed its append of 2 at \
                 10, and T3 committed its append of 3 at 15",
            ),
        ),
        (
            "[[:r x [1]]]",
            "12-12",
            Some("T1 read [1] of key x at timestamp 12, but T2 committed its append of 2 at 10"),
        ),
        (
            "[[:r x [1 2 3 4]]]",
            "17-17",
            Some("T1 read [1 2 3 4] of key x at timestamp 17, but T2, which appended 4, aborted"),
        ),
        (
            "[[:r x [1 2 3 7]]]",
            "17-17",
            Some("T1 read [1 2 3 7] of key x at timestamp 17, but nobody appended 7"),
        ),
        (
            "[[:r x [1 2 2]]]",
            "12-12",
            Some("T1 read [1 2 2] of key x at timestamp 12, but T2 committed its append of 2 at 10"),
        ),
        (
            "[[:r x [1 2 8]] [:append x 8]]",
            "12-18",
            Some("T1 read [1 2 8] of key x at timestamp 12, but T1 appended 8 itself, and not before that"),
        ),
        (
            "[[:append x 8] [:r x [1 2]]]",
            "14-18",
            Some(
                "T1 read [1 2] of key x, though by what it had read and written of that key before it should \
                 show 8: it is missing",
            ),
        ),
        (
            "[[:append x 8] [:r x [1 2 3 8]]]",
            "14-18",
            Some("T1 read [1 2 3 8] of key x at timestamp 14, but T2 committed its append of 3 only at 15"),
        ),
        (
            "[[:r x [1 2]] [:r x [1 2 3]]]",
            "14-18",
            Some(
                "T1 read [1 2 3] of key x, though by what it had read and written of that key before it should \
                 not show 3",
            ),
        ),
    ] {
        let lines = format!("{writes}2 invoke {value}\n2 ok {value} @{at}");
        let question = question(Model::Prefix, Order::Free);
        expect(Kind::ListAppend, question, &lines, flaw.as_slice());
    }
}

#[test]
fn a_register_is_read_again_as_it_was_left() {
    for (value, flaw) in [
        ("[[:r x nil] [:w x 5] [:r x 5]]", None),
        (
            "[[:r x nil] [:r x 4]]",
            Some(
                "T1 read 4 of key x, though by what it had read and written of that key before it should have \
                 been nothing at all",
            ),
        ),
        (
            "[[:w x 5] [:r x 4]]",
            Some(
                "T1 read 4 of key x, though by what it had read and written of that key before it should have \
                 been 5",
            ),
        ),
    ] {
        let lines = format!("0 invoke {value}\n1 invoke [[:w x 4]]\n0 ok {value} @1-2\n1 ok [[:w x 4]] @5-6");
        expect(Kind::Register, SI, &lines, flaw.as_slice());
    }
}

/// One history, and what each level says of it: two overlap and write one key, and each misses the other.
#[test]
fn levels_are_told_apart() {
    let lost_update = "0 invoke [[:r x nil] [:w x 1]]
                       1 invoke [[:r x nil] [:w x 2]]
                       0 ok [[:r x nil] [:w x 1]] @10-15
                       1 ok [[:r x nil] [:w x 2]] @12-17";
    let conflict = "T1 and T2 both wrote key x, and T2 started at 12, before T1 committed at 15";
    let stale = "T1 read key x as nobody had written it at timestamp 17, but T2 committed 1 at 15";
    let kind = Kind::Register;
    expect(kind, question(Model::Prefix, Order::Free), lost_update, &[]);
    expect(kind, question(Model::SnapshotIsolation, Order::Free), lost_update, &[conflict]);
    expect(kind, question(Model::Serializable, Order::Free), lost_update, &[stale]);
    let write_skew = "0 invoke [[:r x []] [:append y 1]]
                      1 invoke [[:r y []] [:append x 2]]
                      0 ok [[:r x []] [:append y 1]] @10-15
                      1 ok [[:r y []] [:append x 2]] @12-17";
    let skewed = "T1 read key y as empty at timestamp 17, but T2 committed its append of 1 at 15";
    expect(Kind::ListAppend, SI, write_skew, &[]);
    expect(Kind::ListAppend, question(Model::Serializable, Order::Free), write_skew, &[skewed]);
    // A snapshot of the past, first in another session, then in the same one.
    for (process, session, real_time) in [
        (
            1,
            &[][..],
            &["T2 was invoked after T1 had completed, but T2 started at 3, before T1 committed at 5"][..],
        ),
        (
            0,
            &["one session ran T1 and then T2, but T2 started at 3, before T1 committed at 5"][..],
            &["one session ran T1 and then T2, but T2 started at 3, before T1 committed at 5"][..],
        ),
    ] {
        let lines = format!(
            "0 invoke [[:w x 1]]\n0 ok [[:w x 1]] @4-5\n{process} invoke [[:r x nil]]\n{process} ok [[:r x nil]] @3-3"
        );
        for model in [Model::SnapshotIsolation, Model::Prefix] {
            expect(kind, question(model, Order::Free), &lines, &[]);
            expect(kind, question(model, Order::Session), &lines, session);
            expect(kind, question(model, Order::RealTime), &lines, real_time);
        }
        for (order, flaws) in
            [(Order::Free, &[][..]), (Order::Session, session), (Order::RealTime, real_time)]
        {
            let flaws = flaws.iter().map(|flaw| flaw.replace("T2 started", "T2 committed"));
            let flaws: Vec<String> = flaws.collect();
            let flaws: Vec<&str> = flaws.iter().map(String::as_str).collect();
            expect(kind, question(Model::Serializable, order), &lines, &flaws);
        }
    }
}

#[test]
fn equal_timestamps_come_in_the_order_that_the_documentation_gives() {
    // Committed at 5; over within 5, twice; started at 5.
    let lines = "0 invoke [[:append x 1]]
                 1 invoke [[:r x [1]] [:append x 2]]
                 2 invoke [[:r x [1 2]] [:append x 3]]
                 3 invoke [[:r x [1 2 3]]]
                 0 ok [[:append x 1]] @4-5
                 1 ok [[:r x [1]] [:append x 2]] @5-5
                 2 ok [[:r x [1 2]] [:append x 3]] @5-5
                 3 ok [[:r x [1 2 3]]] @5-6";
    expect(Kind::ListAppend, question(Model::SnapshotIsolation, Order::RealTime), lines, &[]);
    expect(Kind::ListAppend, question(Model::Serializable, Order::RealTime), lines, &[]);
}

#[test]
fn a_commit_before_its_own_start_is_a_flaw_of_snapshots_and_none_of_commits() {
    // No reader of a format lets such a one pass: whoever builds a history himself can.
    let mut builder = HistoryBuilder::new();
    let f = builder.function("txn").unwrap();
    let values = builder.values();
    let (name, key, value) = (values.keyword("w"), values.int(1), values.int(2));
    let write = values.list(&[name, key, value]);
    let value = values.list(&[write]);
    for kind in [EventKind::Invoke, EventKind::Ok] {
        let process = Process::Client(0);
        let event = Event { process, kind, f, key: None, value, error: Value::NIL, time_ns: -1, line: 0 };
        builder.push(event).unwrap();
    }
    builder.stamp(Timestamps { start: 9, commit: 5 });
    let history = builder.finish();
    let txns = read(&history, Kind::Register).unwrap();
    let report = check(&txns, history.values(), SI);
    validate_timestamps(&txns, history.values(), &report).unwrap();
    assert_eq!(report.flaws, [Flaw::Backwards { txn: 0 }]);
    let words = Words { history: &history, txns: &txns, cast: &cast(&txns, &report.flaws[0]) };
    let told = sentence(&words, SI, &report.flaws[0]);
    assert_eq!(told, "T1 committed at 5, before it started at 9");
    let report = check(&txns, history.values(), question(Model::Serializable, Order::RealTime));
    assert!(matches!(report.answer, Answer::Holds(_)));
}

#[test]
fn who_committed_without_timestamps_leaves_it_open_unless_something_is_wrong_whenever_that_was() {
    let open = "0 invoke [[:w x 1]]
                0 ok [[:w x 1]]
                1 invoke [[:r x nil]]
                1 ok [[:r x 1]] @5-5";
    let (report, _) = judge(Kind::Register, open, SI);
    assert_eq!((report.answer, report.stamped, report.unstamped), (Answer::Unknown(0), 1, vec![0]));
    let wrong = format!(
        "{open}\n1 invoke [[:w y 1]]\n1 ok [[:w y 1]] @6-6\n1 invoke [[:r y 1]]\n1 ok [[:r y nil]] @7-7"
    );
    let (report, told) = judge(Kind::Register, &wrong, SI);
    assert_eq!(report.answer, Answer::Violated);
    assert_eq!(told, ["T1 read key y as nobody had written it at timestamp 7, but T2 committed 1 at 6"]);
}

#[test]
fn who_crashed_and_was_seen_is_put_where_its_readers_allow() {
    // It appended to both lists, in between, before 2 and after 1; nobody says when.
    let lines = |late: &str| {
        format!(
            "0 invoke [[:append x 1]]
             0 ok [[:append x 1]] @1-2
             9 invoke [[:append x 7] [:append y 7]]
             9 info [[:append x 7] [:append y 7]]
             0 invoke [[:append x 2]]
             0 ok [[:append x 2]] @6-7
             1 invoke [[:r x nil] [:r y nil]]
             1 ok [[:r x [1 7 2]] [:r y [7]]] @8-8
             1 invoke [[:r x nil]]
             1 ok [[:r x [1]] [:r y {late}]] @4-4"
        )
    };
    for model in [Model::SnapshotIsolation, Model::Serializable, Model::Prefix] {
        let (report, _) = judge(Kind::ListAppend, &lines("[]"), question(model, Order::Free));
        assert!(matches!(report.answer, Answer::Holds(_)), "{model:?} {report:?}");
        assert_eq!(report.unstamped, [1]);
        // Seen in one list and missed in the other, of one snapshot.
        let (report, _) = judge(Kind::ListAppend, &lines("[7]"), question(model, Order::Free));
        assert_eq!(report.answer, Answer::Unknown(1));
    }
}

#[test]
fn nothing_comes_after_a_crash_for_its_sessions_sake() {
    let lines = "0 invoke [[:append x 1]]
                 0 info [[:append x 1]]
                 0 invoke [[:append y 1]]
                 0 ok [[:append y 1]] @1-2
                 1 invoke [[:r x nil]]
                 1 ok [[:r x [1]]] @8-8";
    for order in [Order::Session, Order::RealTime] {
        let (report, _) = judge(Kind::ListAppend, lines, question(Model::Serializable, order));
        assert!(matches!(report.answer, Answer::Holds(_)), "{report:?}");
    }
}
