//! How verdicts look to people: transcripts at a narrow and a wide width, reviewed by eye.
//!
//! The verdicts are made by hand, so that these tests are about the layout and stay as they are when
//! an engine finds another witness or says it in other words.

use shakedown::report::text::{explanation, summary, verdict_line};
use shakedown::report::{FileReport, Judgement, Ruling, Tally, json, junit::JunitReport};
use shakedown_checkers::format::{self, Format, Limits};
use shakedown_checkers::history::History;
use shakedown_checkers::model::ModelName;
use shakedown_checkers::options::Consistency;
use shakedown_checkers::theory::{Guess, Theory};
use shakedown_checkers::validate::Refusal;
use shakedown_checkers::value::Value;
use shakedown_checkers::verdict::{Certificate, Part, Reason, Unknown, Verdict, Witness};
use std::time::Duration;

const NARROW: usize = 60;
const WIDE: usize = 160;

#[test]
fn a_violation_narrow() {
    insta::assert_snapshot!(shown(&stale_read(), false, NARROW));
}

#[test]
fn a_violation_wide() {
    insta::assert_snapshot!(shown(&stale_read(), false, WIDE));
}

#[test]
fn long_values_give_way_to_the_timeline() {
    insta::assert_snapshot!(shown(&long_values(), true, NARROW));
    insta::assert_snapshot!(shown(&long_values(), true, WIDE));
}

#[test]
fn a_certificate_names_every_operation_in_its_order() {
    insta::assert_snapshot!(shown(&two_keys(), true, NARROW));
}

#[test]
fn an_unknown_verdict_says_why_how_far_and_what_to_try() {
    insta::assert_snapshot!(shown(&out_of_memory(), false, NARROW));
    insta::assert_snapshot!(shown(&out_of_memory(), false, WIDE));
}

#[test]
fn a_proof_that_the_validator_refuses_is_an_error_of_ours_and_says_so() {
    let mut judgement = two_keys();
    judgement.validation = Some(Err(Refusal::Wrong("operation 3 is missing from the order".to_owned())));
    let text = shown(&judgement, false, WIDE);
    let warning =
        "NOT CERTIFIED: the independent validator refuses this proof: operation 3 is missing from the order";
    assert!(text.contains(warning), "{text}");
    assert_eq!(report(judgement).exit().code(), 255);
}

#[test]
fn a_proof_too_large_to_recheck_keeps_its_verdict() {
    let mut judgement = stale_read();
    judgement.validation = Some(Err(Refusal::TooLarge));
    let text = shown(&judgement, false, WIDE);
    assert!(text.contains("Not certified: the witness allows more than 200000 configurations"), "{text}");
    let report = report(judgement);
    assert_eq!(report.exit().code(), 1);
    let json = json::render(&report, true);
    assert_eq!((&json["verdict"], &json["certified"]), (&"invalid".into(), &false.into()));
}

#[test]
fn no_line_is_wider_than_asked() {
    for judgement in [stale_read(), long_values(), out_of_memory()] {
        for width in [NARROW, 80, WIDE] {
            for line in shown(&judgement, false, width).lines() {
                let columns = textwrap::core::display_width(line);
                assert!(columns <= width, "{columns} columns in a width of {width}: {line}");
            }
        }
    }
}

#[test]
fn bars_that_do_not_touch_are_operations_in_order() {
    // Process 0 returns before 1 begins; 2 overlaps both.
    let text = shown(&stale_read(), false, WIDE);
    let bar = |label: &str| {
        let line =
            text.lines().find(|line| line.contains(label)).expect("every operation of the core has a row");
        let (begin, end) = (line.find('|').unwrap(), line.rfind(['|', '>']).unwrap());
        begin..=end
    };
    let (first, second, read) = (bar("write 1 "), bar("write 2 "), bar("read → 1 "));
    assert!(first.end() < second.start(), "write 1 returned before write 2 began:\n{text}");
    assert!(second.end() > read.start(), "write 2 was open when the read began:\n{text}");
}

#[test]
fn json_has_the_whole_witness() {
    let value = json::render(&report(stale_read()), false);
    let again: serde_json::Value = serde_json::from_str(&value.to_string()).unwrap();
    assert_eq!(again["verdict"], "invalid");
    assert_eq!(again["witness"]["core"].as_array().unwrap().len(), 4);
    assert_eq!(again["witness"]["core"][3]["output"], 1);
    assert_eq!(again["witness"]["core"][1]["type"], "info");
    assert_eq!(again["witness"]["sentences"][0], "The read returns 1.");
    assert_eq!(json::render(&report(out_of_memory()), false)["unknown"]["reason"], "memory");
    assert_eq!(json::render(&report(two_keys()), true)["certificate"][1]["order"], serde_json::json!([1]));
}

#[test]
fn junit_is_well_formed_and_tells_failures_from_errors() {
    let mut junit = JunitReport::new(false);
    for judgement in [stale_read(), two_keys(), out_of_memory()] {
        junit.add(&report(judgement));
    }
    let text = junit.finish();
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut elements = Vec::new();
    loop {
        match reader.read_event().expect("well-formed XML") {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(start) => {
                elements.push(String::from_utf8(start.name().as_ref().to_vec()).unwrap());
            }
            _ => {}
        }
    }
    let count = |name: &str| elements.iter().filter(|element| *element == name).count();
    assert_eq!((count("testcase"), count("failure"), count("error")), (3, 1, 1), "{text}");
    assert!(text.contains(r#"tests="3" skipped="0" failures="1" errors="1""#), "{text}");
}

#[test]
fn a_summary_counts_what_there_is_and_leaves_out_what_there_is_not() {
    let mut tally = Tally::default();
    for judgement in [stale_read(), two_keys(), two_keys()] {
        tally.add(report(judgement).exit());
    }
    assert_eq!(plain(&summary(&tally)), "3 files: 2 valid, 1 invalid");
    tally.skipped = 1200;
    assert_eq!(plain(&summary(&tally)), "1,203 files: 2 valid, 1 invalid, 1,200 not begun");
}

fn shown(judgement: &Judgement, certify: bool, width: usize) -> String {
    plain(&explanation(judgement, certify, width))
}

fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}

fn report(judgement: Judgement) -> FileReport {
    let report = FileReport {
        path: "history.jsonl".to_owned(),
        result: Ok(judgement),
        elapsed: Duration::from_millis(12),
    };
    let line = plain(&verdict_line(&report).expect("it was judged"));
    assert!(
        ["true", "false", "unknown"].map(|word| format!("history.jsonl\t{word}")).contains(&line),
        "{line}"
    );
    report
}

fn judgement(history: History, verdict: Verdict) -> Judgement {
    Judgement {
        history,
        format: Format::Edn,
        notes: Vec::new(),
        model: "register".to_owned(),
        guess: Some(Guess {
            theory: Theory::Object(ModelName::Register),
            because: "its functions are read, write".to_owned(),
            otherwise: None,
        }),
        ruling: Ruling::Object { consistency: Consistency::Linearizable, verdict },
        validation: None,
    }
}

fn history(text: &str) -> History {
    format::read(text.as_bytes(), "history.edn", None, &Limits::default()).unwrap()
}

fn witness(core: Vec<u32>, sentences: &[&str]) -> Verdict {
    Verdict::Invalid(Box::new(Witness {
        key: None,
        failed: *core.last().unwrap(),
        core,
        values: None,
        states_seen: Vec::new(),
        minimal: true,
        sentences: sentences.iter().map(|&sentence| sentence.to_owned()).collect(),
    }))
}

/// With a crashed write whose line has no end.
fn stale_read() -> Judgement {
    let history = history(
        "{:process 0, :type :invoke, :f :write, :value 1}
         {:process 3, :type :invoke, :f :write, :value 7}
         {:process 0, :type :ok, :f :write, :value 1}
         {:process 12, :type :invoke, :f :write, :value 2}
         {:process 1, :type :invoke, :f :read, :value nil}
         {:process 12, :type :ok, :f :write, :value 2}
         {:process 1, :type :ok, :f :read, :value 1}",
    );
    let sentences = [
        "The read returns 1.",
        "But the write of 1 (lines 1 to 3) returned before the write of 2 (lines 4 to 6) began, and whatever \
         else happened, nothing wrote 1 again.",
    ];
    let mut judgement = judgement(history, witness(vec![0, 1, 2, 3], &sentences));
    let Ruling::Object { verdict: Verdict::Invalid(witness), .. } = &mut judgement.ruling else {
        unreachable!("made invalid")
    };
    // The crashed write could be left out.
    witness.minimal = false;
    judgement
}

fn long_values() -> Judgement {
    let long = "a string that does not end before it has come a long way ".repeat(4);
    let history = history(&format!(
        "{{:process 0, :type :invoke, :f :write, :value {long:?}}}
         {{:process 0, :type :ok, :f :write, :value {long:?}}}
         {{:process 1, :type :invoke, :f :read, :value nil}}
         {{:process 1, :type :ok, :f :read, :value \"日本語 \\u001b[2J\"}}"
    ));
    judgement(history, witness(vec![0, 1], &["The read returns what nobody wrote."]))
}

fn two_keys() -> Judgement {
    let history = history(
        "{:process 0, :type :invoke, :f :write, :value [:x 1]}
         {:process 0, :type :ok, :f :write, :value [:x 1]}
         {:process 1, :type :ok, :f :read, :value [:y nil]}
         {:process 2, :type :invoke, :f :read, :value [:x nil]}
         {:process 2, :type :ok, :f :read, :value [:x 1]}",
    );
    let values = history.values();
    let keys: Vec<Value> =
        [0, 1].map(|id| values.pair(history.operation(id).input).expect("a pair").0).to_vec();
    let parts =
        vec![Part { key: Some(keys[0]), order: vec![0, 2] }, Part { key: Some(keys[1]), order: vec![1] }];
    let mut judgement = judgement(history, Verdict::Valid(Certificate { parts }));
    judgement.notes = vec!["every value is [key value], so each key is a register of its own".to_owned()];
    judgement.guess = None;
    judgement.validation = Some(Ok(()));
    judgement
}

fn out_of_memory() -> Judgement {
    let unknown = Unknown {
        reason: Reason::Memory,
        key: Value::small_int(3),
        placed: 1204,
        total: 5000,
        configurations: 12_345_678,
        memory_bytes: 2 << 30,
        parts: (7, 10),
        advice: "Raise --memory-limit, or cut the history where no operation is open.".to_owned(),
    };
    let mut judgement = judgement(
        history("{:process 0, :type :invoke, :f :read, :value [3 nil]}"),
        Verdict::Valid(Certificate::default()),
    );
    let verdict = Verdict::Unknown(Box::new(unknown));
    judgement.ruling = Ruling::Object { consistency: Consistency::PerKey, verdict };
    judgement
}
