//! Named cases; the definitions, in [`oracle`], are held against random histories.

mod oracle;
mod simulated;

use super::super::scribe::{count, told};
use super::*;
use crate::model::transcript::history;

/// The verdict and what was found, with its count.
fn found(lines: &[&str]) -> String {
    found_by(lines, &Options::default())
}

fn found_by(lines: &[&str], options: &Options) -> String {
    let report = match check(&history(lines), options) {
        Ok(report) => report,
        Err(error) => return error.to_string(),
    };
    let counts = Anomaly::ALL.map(|anomaly| (anomaly.name(), count(&report, anomaly.name())));
    let counts =
        counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!(" {name} {count}"));
    let verdict = told(&report)[0].clone();
    std::iter::once(verdict).chain(counts).collect()
}

const SEND_AB: &str = "0 send [[:send :x :a] [:send :x :b]] | ok [[:send :x [0 :a]] [:send :x [1 :b]]]";

#[test]
fn a_log_that_delivers_is_valid() {
    let polls = ["1 assign [:x] | ok", "1 poll [[:poll]] | ok [[:poll {:x [[0 :a]]}]]"];
    let rest = "1 txn [[:poll] [:send :y 1]] | ok [[:poll {:x [[1 :b]]}] [:send :y [7 1]]]";
    let last = "1 poll [[:poll]] | ok [[:poll {:y [[7 1]]}]]";
    assert_eq!(found(&[SEND_AB, polls[0], polls[1], rest, last, "2 crash nil | info"]), "valid");
    assert_eq!(found(&[SEND_AB]), "unknown: no poll completed, so nothing was seen unseen 2");
    assert_eq!(
        found(&["0 assign [:x] | ok", "0 poll [[:poll]] | ok [[:poll {}]]"]),
        "unknown: no message was sent or polled"
    );
    let report =
        check(&history(&[SEND_AB, polls[1], "2 send [[:send :x :c]]"]), &Options::default()).unwrap();
    assert_eq!(
        ["message-count", "acknowledged-count", "polled-count"].map(|name| count(&report, name)),
        [3, 2, 1]
    );
}

#[test]
fn what_is_passed_over_by_all_is_lost_and_what_nobody_reached_is_unseen() {
    let polls_c = "1 poll [[:poll]] | ok [[:poll {:x [[2 :c]]}]]";
    let send_c = "2 send [[:send :x :c]] | info [[:send :x :c]]";
    assert_eq!(found(&[SEND_AB, send_c, polls_c]), "invalid lost-write 2 unseen 2");
    assert_eq!(found(&[SEND_AB, "1 poll [[:poll]] | ok [[:poll {:x [[0 :a]]}]]"]), "invalid unseen 1");
    let allowed = Options { also_allowed: vec![Anomaly::Unseen] };
    assert_eq!(
        found_by(&[SEND_AB, "1 poll [[:poll]] | ok [[:poll {:x [[0 :a]]}]]"], &allowed),
        "valid unseen 1"
    );
    // Two messages at one offset: the one that was not polled is lost, although the offset was polled.
    let conflict = [
        "0 send [[:send :x :a]] | ok [[:send :x [0 :a]]]",
        "0 send [[:send :x :b] [:send :x :c]] | ok [[:send :x [0 :b]] [:send :x [2 :c]]]",
        "0 poll [[:poll]] | ok [[:poll {:x [[0 :b] [2 :c]]}]]",
    ];
    assert_eq!(found(&conflict), "invalid lost-write 1 unseen 1 inconsistent-offsets 1 nonmonotonic-send 1");
    let report = check(&history(&conflict), &Options::default()).unwrap();
    assert_eq!(
        report.findings[0].sentence,
        ":a at offset 0 of log :x took effect and was never polled, while :c at offset 2 was"
    );
    assert_eq!(report.findings[0].operations, [0, 2]);
}

#[test]
fn of_a_crashed_send_one_message_that_was_polled_speaks_for_all() {
    let sends = [
        "0 send [[:send :x :a] [:send :y :b]] | info [[:send :x :a] [:send :y [0 :b]]]",
        "1 send [[:send :y :c]] | info [[:send :y :c]]",
        "3 poll [[:poll]] | ok [[:poll {:y [[1 :c]]}]]",
    ];
    assert_eq!(found(&sends), "valid");
    let polls_a = "2 poll [[:poll]] | ok [[:poll {:x [[0 :a]]}]]";
    assert_eq!(found(&[sends[0], sends[1], polls_a, sends[2]]), "invalid lost-write 1");
    // Likewise for offsets: unless :a was polled, nothing says that :b lies at 0.
    let at_0 =
        ["1 send [[:send :y :d]] | ok [[:send :y [0 :d]]]", "3 poll [[:poll]] | ok [[:poll {:y [[0 :d]]}]]"];
    assert_eq!(found(&[sends[0], at_0[0], at_0[1]]), "valid");
    assert_eq!(found(&[sends[0], at_0[0], polls_a, at_0[1]]), "invalid lost-write 1 inconsistent-offsets 1");
}

#[test]
fn messages_of_failed_sends_are_polled_by_nobody() {
    let failed = "0 send [[:send :x 2] [:send :y 3]] | fail [[:send :x 2] [:send :y 3]]";
    let poll = "1 poll [[:poll]] | ok [[:poll {:x [[0 2]]}]]";
    assert_eq!(found(&[failed, poll]), "invalid G1a 1");
    // The retry is what was polled.
    assert_eq!(found(&[failed, "0 send [[:send :x 2]] | ok [[:send :x [0 2]]]", poll]), "valid");
}

#[test]
fn a_transaction_must_not_poll_its_own_message() {
    let own = "0 txn [[:send :x :a] [:poll]] | ok [[:send :x [0 :a]] [:poll {:x [[0 :a]]}]]";
    assert_eq!(found(&[own]), "invalid precommitted-read 1");
    let others = "0 txn [[:send :x :b] [:poll]] | ok [[:send :x [1 :b]] [:poll {:x [[0 :a] [1 :b]]}]]";
    let a = "1 send [[:send :x :a]] | ok [[:send :x [0 :a]]]";
    assert_eq!(found(&[a, others]), "invalid precommitted-read 1");
}

#[test]
fn consumers_skip_nothing_that_anybody_saw() {
    let known = "3 send [[:send :x :c] [:send :x :f]] | ok [[:send :x [3 :c]] [:send :x [6 :f]]]";
    let polls = [
        "0 poll [[:poll]] | ok [[:poll {:x [[1 :a] [2 :b]]}]]",
        "0 poll [[:poll]] | ok [[:poll {:x [[4 :d]]}]]",
        "0 poll [[:poll]] | ok [[:poll {:x [[7 :g]]}]]",
        "1 poll [[:poll]] | ok [[:poll {:x [[3 :c] [4 :d] [6 :f]]}]]",
    ];
    // From b to d past c, and from d to g past f; 5 may be a gap.
    let lines = [polls[0], polls[1], polls[2], polls[3]];
    assert_eq!(found(&[&lines[..], &[known]].concat()), "invalid poll-skip 2 int-send-skip 1");
    let first = check(&history(&lines), &Options::default()).unwrap().findings.remove(0);
    assert_eq!(first.sentence, "a consumer of log :x went from :b at offset 2 to :d at offset 4, past :c");
    let between = |op| found(&[polls[0], op, polls[1], op, polls[2], polls[3]]);
    assert_eq!(between("0 assign [:y :x] | ok"), "invalid poll-skip 2");
    assert_eq!(between("0 assign [:y] | ok"), "valid");
    assert_eq!(between("0 assign [:y] | fail"), "invalid poll-skip 2");
    // The broker may have given the log to another consumer and back.
    assert_eq!(between("0 subscribe [:y :x] | ok"), "valid poll-skip 2");
}

#[test]
fn an_aborted_transaction_polls_on_from_the_last_committed_one() {
    let sends = "9 send [[:send :x 0] [:send :x 1] [:send :x 2] [:send :x 3] [:send :x 4]] | ok \
                 [[:send :x [0 0]] [:send :x [1 1]] [:send :x [2 2]] [:send :x [3 3]] [:send :x [4 4]]]";
    let all = "8 poll [[:poll]] | ok [[:poll {:x [[0 0] [1 1] [2 2] [3 3] [4 4]]}]]";
    let poll = |outcome: &str, x: &str| format!("1 txn [[:poll]] | {outcome} [[:poll {{:x [{x}]}}]]");
    let polls = |polls: [String; 3]| found(&[sends, all, &polls[0], &polls[1], &polls[2]]);
    let again = [poll("ok", "[0 0]"), poll("fail", "[1 1] [2 2]"), poll("ok", "[1 1] [2 2]")];
    assert_eq!(polls(again), "valid");
    let on = [poll("ok", "[0 0]"), poll("fail", "[1 1] [2 2]"), poll("info", "[3 3]")];
    assert_eq!(polls(on), "invalid poll-skip 1");
}

#[test]
fn consumers_do_not_go_back() {
    let send =
        "9 send [[:send :x :a] [:send :x :b] [:send :x :c]] | ok [[:send :x :a] [:send :x :b] [:send :x :c]]";
    let first = "0 poll [[:poll]] | ok [[:poll {:x [[1 :a] [2 :b]]}]]";
    let again = "0 poll [[:poll]] | ok [[:poll {:x [[2 :b] [3 :c]]}]]";
    assert_eq!(found(&[send, first, again]), "invalid nonmonotonic-poll 1");
    assert_eq!(found(&[send, first, "1 crash nil | info", again.replacen('0', "1", 1).as_str()]), "valid");
    assert_eq!(found(&[send, first, "0 assign [:y] | info", again]), "valid");
    assert_eq!(found(&[send, first, "0 subscribe [:x] | ok", again]), "valid nonmonotonic-poll 1");
    // An error outweighs what is excused.
    let other = [
        "1 subscribe [:x] | ok",
        "1 poll [[:poll]] | ok [[:poll {:x [[2 :b]]}]]",
        "1 poll [[:poll]] | ok [[:poll {:x [[2 :b]]}]]",
    ];
    let lines = [&other[..], &[send, first, again]].concat();
    assert_eq!(found(&lines), "invalid nonmonotonic-poll 2");
    let report = check(&history(&lines), &Options::default()).unwrap();
    assert_eq!((report.findings[0].is_error, report.findings[1].is_error), (true, false));
}

#[test]
fn one_operation_polls_in_a_row() {
    let send = "9 send [[:send :x :a] [:send :x :b] [:send :x :d]] | info";
    let b = "1 poll [[:poll]] | ok [[:poll {:x [[2 :b]]}]]";
    let within = "0 poll [[:poll]] | ok [[:poll {:x [[1 :a] [4 :d]]}]]";
    let across = "0 poll [[:poll] [:poll]] | ok [[:poll {:x [[1 :a]]}] [:poll {:x [[4 :d]]}]]";
    assert_eq!(found(&[send, b, within]), "invalid int-poll-skip 1");
    assert_eq!(found(&[send, b, across]), "invalid int-poll-skip 1");
    // Whether the log was handed over between the two polls is not recorded.
    assert_eq!(found(&[send, b, "0 subscribe [:x] | ok", across]), "valid");
    assert_eq!(found(&[send, b, "0 subscribe [:x] | ok", within]), "invalid int-poll-skip 1");
    assert_eq!(
        found(&[send, b, "0 poll [[:poll]] | ok [[:poll {:x [[4 :d] [1 :a]]}]]"]),
        "invalid int-nonmonotonic-poll 1"
    );
    let twice = "0 poll [[:poll] [:poll]] | ok [[:poll {:x [[1 :a]]}] [:poll {:x [[1 :a]]}]]";
    assert_eq!(found(&[send, twice]), "invalid int-nonmonotonic-poll 1");
}

#[test]
fn sends_keep_their_order() {
    let all = "8 poll [[:poll]] | ok [[:poll {:x [[1 :a] [2 :b] [3 :c]]}]]";
    let skip = "0 send [[:send :x :a] [:send :x :c]] | ok [[:send :x [1 :a]] [:send :x :c]]";
    assert_eq!(found(&[skip, "1 send [[:send :x :b]] | info", all]), "valid int-send-skip 1");
    let back = "0 send [[:send :x :c] [:send :x :a] [:send :x :b]] | info [[:send :x :c] [:send :x :a] [:send :x :b]]";
    assert_eq!(found(&[back, all]), "invalid int-nonmonotonic-send 1");
    let send = |process: u32, outcome: &str, offset: u32, value: &str| {
        format!("{process} send [[:send :x {value}]] | {outcome} [[:send :x [{offset} {value}]]]")
    };
    let two = |a: &str, b: &str| found(&[a, "0 assign [:y] | ok", b, "1 send [[:send :x :b]] | info", all]);
    assert_eq!(two(&send(0, "ok", 3, ":c"), &send(0, "ok", 1, ":a")), "invalid nonmonotonic-send 1");
    assert_eq!(two(&send(0, "info", 3, ":c"), &send(0, "ok", 1, ":a")), "valid");
    assert_eq!(two(&send(0, "ok", 3, ":c"), &send(0, "info", 1, ":a")), "invalid nonmonotonic-send 1");
    assert_eq!(two(&send(0, "ok", 3, ":c"), &send(2, "ok", 1, ":a")), "valid");
}

#[test]
fn a_message_lies_at_one_offset() {
    let send = "0 send [[:send :x :a]] | ok [[:send :x [1 :a]]]";
    let poll = "2 poll [[:poll]] | ok [[:poll {:x [[2 :b] [3 :a]]}]]";
    assert_eq!(found(&[send, "1 send [[:send :x :b]] | info", poll]), "invalid duplicate 1");
    // Sent twice, it may be there twice.
    let again = "1 send [[:send :x :a]] | ok [[:send :x [3 :a]]]";
    assert_eq!(found(&[send, again, "3 send [[:send :x :b]] | info", poll]), "valid");
    // Even an aborted poll shows only what is there; a failed send has no offset.
    let aborted = [
        "0 send [[:send :x 0]] | ok [[:send :x [1 0]]]",
        "0 send [[:send :x 1]] | fail [[:send :x [2 1]]]",
        "1 poll [[:poll]] | fail [[:poll {:x [[11 0] [12 1]]}]]",
        "2 poll [[:poll]] | ok [[:poll {:x [[1 0]]}]]",
    ];
    assert_eq!(found(&aborted), "invalid duplicate 1");
}

/// The choice of one value for each offset does not matter, as it does where places go by values.
#[test]
fn conflicts_are_told_for_every_message() {
    let mut lines = Vec::new();
    for value in 0..10 {
        lines.push(format!("{value} send [[:send :x {value}]] | ok [[:send :x [0 {value}]]]"));
        lines.push(format!("2{value} poll [[:poll]] | ok [[:poll {{:x [[1 {value}]]}}]]"));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(found(&lines), "invalid duplicate 10 inconsistent-offsets 2");
}

#[test]
fn operations_of_one_call_say_the_same() {
    let sends = ["0 send [:x :a] | ok 0", "0 send [:x :b] | ok 1", "1 send [:x :c] | info"];
    let ignored = ["2 commit_offsets {:x 1} | ok", "2 list_committed_offsets [:x] | ok {:x 1}"];
    let judge = |polls: &[&str]| found(&[&sends[..], &ignored, polls].concat());
    assert_eq!(
        judge(&["2 poll {:x 0} | ok {:x [[0 :a] [1 :b]]}", "2 poll {:x 1} | ok {:x [[1 :b] [2 :c]]}"]),
        "valid"
    );
    assert_eq!(judge(&["2 poll nil | ok {:x [[0 :a]]}", "2 poll nil | ok {:x [[1 :b]]}"]), "valid");
    // An offset asked for is where to begin, wherever the consumer was.
    let first = "2 poll {:x 0} | ok {:x [[0 :a] [1 :b]]}";
    assert_eq!(judge(&[first, "2 poll {:x 0} | ok {:x [[1 :b]]}"]), "invalid poll-skip 1");
    assert_eq!(judge(&[first, "2 poll {:x 1} | ok {:x [[0 :a] [1 :b]]}"]), "invalid nonmonotonic-poll 1");
    assert_eq!(judge(&[first, "2 poll {:x 1} | info"]), "valid");
    assert_eq!(judge(&["2 poll nil | ok {:x [[0 :a]]}", first, "2 poll nil | ok {:x [[0 :a]]}"]), "valid");
    assert_eq!(judge(&["2 poll {:x 0} | ok {}"]), "invalid unseen 2");
    assert_eq!(
        judge(&["2 poll {:x 0} | ok {:x [[0 :b] [1 :a]]}"]),
        "invalid duplicate 2 inconsistent-offsets 2"
    );
    // Keys that JSON turned to text.
    assert_eq!(found(&["0 send [7 1] | ok 0", "0 poll nil | ok {\"7\" [[0 1]]}"]), "valid");
}

#[test]
fn values_that_look_like_offsets_are_told_apart() {
    let poll = "1 poll [[:poll]] | ok [[:poll {:x [[0 [5 :v]]]}]]";
    assert_eq!(found(&["0 send [[:send :x [5 :v]]] | ok [[:send :x [0 [5 :v]]]]", poll]), "valid");
    assert_eq!(found(&["0 send [[:send :x [5 :v]]] | info [[:send :x [5 :v]]]", poll]), "valid");
    assert_eq!(found(&["0 send [:x [5 :v]] | ok [:x [0 [5 :v]]]", poll]), "valid");
    // A completion alone is a completion.
    let orphans = super::super::scribe::edn(
        "{:process 0, :type :ok, :f :send, :value [[:send :x [0 :a]]]}
         {:process 0, :type :ok, :f :send, :value [:x [1 :b]]}
         {:process 1, :type :ok, :f :poll, :value {:x [[0 :a]]}}
         {:process 1, :type :ok, :f :poll, :value [[:poll {:x [[2 :b]]}]]}",
    );
    let report = check(&orphans, &Options::default()).unwrap();
    assert_eq!(
        told(&report)[1],
        "duplicate: :b at offset 1 of log :x is at offset 2 as well, more often than it was sent"
    );
}

#[test]
fn other_shapes_are_errors_with_their_line() {
    for (line, error) in [
        (
            "append 1",
            "line 1: the model has no function append; expected one of: send, poll, txn, assign, subscribe, crash",
        ),
        ("txn 1", "line 1: txn has the value 1; expected [[:send k v] [:poll] ...]"),
        ("send 1", "line 1: send has the value 1; expected [k v], or micro-operations"),
        ("send [:x 1] | ok :a", "line 2: send returned the value :a; expected the offset, or nil"),
        ("poll 1", "line 1: poll has the value 1; expected {k offset}, nil, or micro-operations"),
        ("poll nil | ok [1]", "line 2: poll returned the value [1]; expected {k [[offset v] ...]}"),
        ("poll nil | ok {:x [1]}", "line 2: poll returned the value {:x [1]}; expected {k [[offset v] ...]}"),
        ("assign 1 | ok", "line 1: assign has the value 1; expected the list of keys"),
        (
            "txn [[:poll]] | ok [[:poll {:x [[:a 1]]}]]",
            "line 2: txn returned the value [[:poll {:x [[:a 1]]}]]; expected [[:send k [offset v]] [:poll {k [[offset v] ...]}] ...]",
        ),
        (
            "txn [[:poll]] | ok nil",
            "line 2: txn returned the value nil; expected [[:send k [offset v]] [:poll {k [[offset v] ...]}] ...]",
        ),
    ] {
        assert_eq!(found(&[line]), error);
    }
}

#[test]
fn every_anomaly_has_a_sentence() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..300 {
        for finding in check(&simulated::run(seed).history, &Options::default()).unwrap().findings {
            kinds.insert(finding.kind);
            assert!(!finding.operations.is_empty() && finding.operations.is_sorted(), "{finding:?}");
            assert!(!finding.sentence.contains(&UNKNOWN.to_string()), "{finding:?}");
        }
    }
    assert_eq!(kinds.len(), Anomaly::ALL.len(), "{kinds:?}");
}

#[test]
fn anomalies_are_counted_as_their_definitions_count_them() {
    let (mut valid, mut invalid) = (0, 0);
    let mut with = [0; Anomaly::ALL.len()];
    for seed in 0..4000 {
        let simulated::Run { history, ops, is_good } = simulated::run(seed);
        let report = check(&history, &Options::default()).unwrap();
        let (expected, is_invalid) = oracle::counts(&ops);
        for (i, anomaly) in Anomaly::ALL.iter().enumerate() {
            assert_eq!(
                count(&report, anomaly.name()),
                expected[i],
                "seed {seed}: {} of {ops:#?}",
                anomaly.name()
            );
            with[i] += u64::from(expected[i] > 0);
        }
        assert_eq!(
            report.validity == Validity::Invalid,
            is_invalid,
            "seed {seed}: {:?} of {ops:#?}",
            told(&report)
        );
        assert!(!(is_good && is_invalid), "seed {seed}: {:?} of a good broker: {ops:#?}", told(&report));
        *(if is_invalid { &mut invalid } else { &mut valid }) += 1;
    }
    assert!(valid > 1000 && invalid > 1000, "{valid} valid, {invalid} invalid");
    assert!(with.iter().all(|count| *count > 100), "{with:?}");
}
