//! Histories in which fuzzing found something wrong with a report: a proof that was refused, or an anomaly that
//! was not seen.

use crate::read_as;
use shakedown_checkers::format::Format;
use shakedown_checkers::transaction::anomaly::Anomaly;
use shakedown_checkers::transaction::{IsolationOptions, Kind, Report, check};
use shakedown_checkers::validate::anomaly::validate_report;

/// Judges lists of which some elements may come from outside of the history. A line is an event: a process, a
/// type, and micro-operations. Every proof must hold; the names are those of the anomalies.
fn judge_open(lines: &str) -> (Vec<String>, Report) {
    let mut edn = String::new();
    for line in lines.lines().map(str::trim) {
        let mut words = line.splitn(3, ' ');
        let [process, kind, value] = [(); 3].map(|()| words.next().unwrap());
        edn.push_str(&format!("{{:process {process}, :type :{kind}, :f :txn, :value {value}}}\n"));
    }
    let history = read_as(Some(Format::Edn), edn);
    let kind = Kind::ListAppend;
    let options = IsolationOptions { forbid_unwritten: false, certify: true, ..IsolationOptions::new(kind) };
    let report = check(&history, kind, &options).unwrap();
    validate_report(&report, history.values()).unwrap();
    (report.anomalies.iter().map(Anomaly::name).collect(), report)
}

#[test]
fn an_order_is_shown_though_elements_come_from_outside() {
    for lines in [
        "0 ok [[:r x [7]]]",
        "0 ok [[:append x 1]]
         0 ok [[:r x [7 1 8]] [:append x 2]]
         0 ok [[:r x [7 1 8 2]]]",
    ] {
        let (names, report) = judge_open(lines);
        assert!(names.is_empty(), "{names:?}");
        assert!(report.serial.is_some());
    }
}

/// Who reads an element from outside has read what stands before it all the same.
#[test]
fn an_element_from_outside_hides_no_writer() {
    let (names, _) = judge_open(
        "0 invoke [[:r x nil]]
         0 ok [[:r x [1 7]]]
         1 invoke [[:append x 1]]
         1 ok [[:append x 1]]",
    );
    assert_eq!(names, ["G1c-realtime"]);
    let (names, _) = judge_open(
        "0 invoke [[:append x 1] [:r y nil]]
         1 invoke [[:append y 1] [:r x nil]]
         0 ok [[:append x 1] [:r y [1 7]]]
         1 ok [[:append y 1] [:r x [1 8]]]",
    );
    assert_eq!(names, ["G1c"]);
}

/// Nor does it hide what the reader was to append itself.
#[test]
fn an_own_element_is_read_too_early_wherever_it_stands() {
    for list in ["[1]", "[1 7]", "[7 1 8]"] {
        let (names, _) = judge_open(&format!("0 ok [[:r x {list}] [:append x 1]]"));
        assert_eq!(names, ["future-read"], "{list}");
    }
    // Read after it was appended, it is none.
    let (names, _) = judge_open("0 ok [[:r x [7]] [:append x 1] [:r x [7 1]]]");
    assert!(names.is_empty(), "{names:?}");
}

/// It would take ten billion steps if every read looked for the next writer by itself.
#[test]
fn elements_from_outside_are_passed_over_once() {
    const MANY: usize = 100_000;
    let elements: Vec<String> = (0..MANY).map(|element| element.to_string()).collect();
    let lines = format!("0 ok [[:r x [{}]]]\n{}", elements.join(" "), "1 ok [[:r x []]]\n".repeat(MANY));
    let (names, report) = judge_open(&lines);
    assert!(names.is_empty(), "{names:?}");
    assert_eq!(report.txns.len(), MANY + 1);
}
