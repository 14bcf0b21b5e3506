//! What must hold of verdicts, whatever the history is: each proof passes the validator, and no verdict
//! contradicts another.

use crate::made;
use shakedown_checkers::datatype::registry::{CHECKERS, Checker, DataOptions};
use shakedown_checkers::datatype::{FINDINGS_MAX, Validity};
use shakedown_checkers::format::{self, Format, Limits};
use shakedown_checkers::history::History;
use shakedown_checkers::options::{Consistency, Options};
use shakedown_checkers::transaction::cycle::Variant;
use shakedown_checkers::transaction::explain::{Words, cast};
use shakedown_checkers::transaction::level::Level;
use shakedown_checkers::transaction::{self, IsolationOptions, KeyAssumptions, Kind, Report, Standing};
use shakedown_checkers::validate::anomaly::validate_report;
use shakedown_checkers::value::Value;
use shakedown_checkers::{model, theory};
use std::time::Duration;

/// Longer histories are read and not judged: an input must be over soon.
const OPERATIONS_MAX: usize = 40;

/// Little enough that many inputs fit a second, enough that engines come to their ends most often.
fn budget() -> Options {
    Options {
        time_limit: Some(Duration::from_millis(50)),
        memory_limit_bytes: 16 << 20,
        threads: 1,
        ..Options::default()
    }
}

/// Reads `bytes` and judges the history by everything that there is: models, transactions, data types.
pub fn check(bytes: &[u8]) {
    let Some(mut history) = crate::read(bytes, None) else { return };
    if history.len() > OPERATIONS_MAX {
        return;
    }
    theory::guess(&history);
    objects(&mut history);
    for kind in [Kind::ListAppend, Kind::Register] {
        let plain = IsolationOptions { budget: budget(), certify: true, ..IsolationOptions::new(kind) };
        if transactions(&history, kind, &plain).is_some() {
            let assume = KeyAssumptions { sequential: true, linearizable: true };
            let strict = IsolationOptions { assume, forbid_unwritten: true, ..plain };
            transactions(&history, kind, &strict);
        }
    }
    data_types(&history);
}

/// Makes a history of transactions from `bytes` and judges it.
pub fn check_transactions(bytes: &[u8]) {
    let Some(made) = made::transactions::history(bytes) else { return };
    let options = IsolationOptions {
        assume: made.assume,
        forbid_unwritten: made.forbid_unwritten,
        certify: true,
        budget: budget(),
        ..IsolationOptions::new(made.kind)
    };
    let report = transactions(&made.history, made.kind, &options).expect("made to be transactions");
    // A level that is asked for by itself stands as it does among all.
    let levels = Level::all();
    let level = levels[usize::from(made.level) % levels.len()];
    let alone = IsolationOptions { levels: vec![level], only_asked: true, ..options.clone() };
    let alone = transactions(&made.history, made.kind, &alone).expect("read before");
    agree(&report, &alone, "asked alone", |_| true);
    // Sessions are all that Plume's format keeps.
    if made.assume.linearizable {
        return;
    }
    let mut text = Vec::new();
    if format::write(&made.history, Format::Plume, &mut text).is_ok() {
        let again = format::read(&text[..], "written", Some(Format::Plume), &Limits::default());
        let again = again.expect("what fits reads back");
        let again = transactions(&again, made.kind, &options).expect("what fits is transactions");
        agree(&report, &again, "written for Plume", |level| level.mode != Variant::Realtime);
    }
}

/// Makes a history of a data type from `bytes` and judges it.
pub fn check_data_types(bytes: &[u8]) {
    if let Some((checker, history)) = made::operations::history(bytes) {
        data_type(checker, &history);
    }
}

fn objects(history: &mut History) {
    for consistency in [Consistency::Linearizable, Consistency::Sequential, Consistency::PerKey] {
        let options = Options { consistency, ..budget() };
        for info in model::MODELS {
            let Ok(prepared) = model::prepare(info.model, None, history) else { continue };
            let Ok(verdict) = prepared.check(history, &options) else { continue };
            if let Err(claim) = prepared.validate(history, consistency, &verdict) {
                panic!("{} {consistency:?}: {claim}", info.name);
            }
            prepared.notes(history);
        }
    }
}

/// The report, if the history is one of transactions on keys of that kind; all that it claims must hold.
fn transactions(history: &History, kind: Kind, options: &IsolationOptions) -> Option<Report> {
    let report = match transaction::check(history, kind, options) {
        Ok(report) => report,
        Err(error) => {
            assert!(!error.message.is_empty());
            return None;
        }
    };
    if let Err(claim) = validate_report(&report, history.values()) {
        panic!("{kind:?}: {claim}\n{report:?}");
    }
    agree(&report, &report, "and itself", |_| true);
    for anomaly in &report.anomalies {
        let words = Words { history, txns: &report.txns, cast: &cast(anomaly) };
        assert!(words.sentences(anomaly).iter().all(|sentence| !sentence.is_empty()));
        assert!(!anomaly.name().is_empty());
    }
    for level in report.weakest_violated() {
        let Standing::Violated(culprit) = report.standing(level) else { panic!("{level} is not violated") };
        assert!(report.anomalies[culprit].violates(level), "{level}");
    }
    report.strongest();
    report.undecided();
    Some(report)
}

/// No level that holds in one report implies one that is violated in the other.
fn agree(first: &Report, second: &Report, what: &str, counts: impl Fn(Level) -> bool) {
    for (one, other) in [(first, second), (second, first)] {
        for (strong, standing) in &one.standings {
            if *standing != Standing::Holds || !counts(*strong) {
                continue;
            }
            let contradicts = |(weak, standing): &&(Level, Standing)| {
                matches!(standing, Standing::Violated(_)) && counts(*weak) && strong.implies(*weak)
            };
            if let Some((weak, _)) = other.standings.iter().find(contradicts) {
                panic!("{what}: {strong} holds and {weak} is violated\n{one:?}\n{other:?}");
            }
        }
    }
}

fn data_types(history: &History) {
    CHECKERS.iter().for_each(|checker| data_type(checker, history));
}

fn data_type(checker: &Checker, history: &History) {
    let loose = DataOptions::default();
    let strict = DataOptions {
        initial: Value::small_int(1).expect("1 is small"),
        linearizable: true,
        group_size: Some(3),
        total_amount: Some(10),
        allow_negative_balances: true,
        staleness_max_versions: Some(1),
        staleness_max_ms: Some(1),
    };
    let name = checker.info.name;
    for options in [&loose, &strict] {
        let report = match checker.check(history, options) {
            Ok(report) => report,
            Err(error) => {
                assert!(!error.message.is_empty(), "{name}");
                continue;
            }
        };
        let has_errors = report.findings.iter().any(|finding| finding.is_error);
        assert_eq!(report.validity == Validity::Invalid, has_errors, "{name}: {report:?}");
        if let Validity::Unknown(reason) = &report.validity {
            assert!(!reason.is_empty(), "{name}");
        }
        for finding in &report.findings {
            assert!(!finding.sentence.is_empty(), "{name}: {finding:?}");
            assert!(finding.operations.iter().all(|id| (*id as usize) < history.len()), "{name}");
            finding.values.iter().for_each(|value| drop(history.values().show(*value)));
            let alike = report.findings.iter().filter(|other| other.kind == finding.kind);
            assert!(alike.count() <= FINDINGS_MAX, "{name}: {}", finding.kind);
        }
    }
}
