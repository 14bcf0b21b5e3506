//! Verdicts that others published for histories that others recorded. The files are not part of the
//! repository: each test says so and passes when they are not there.

use shakedown_checkers::datatype::Validity;
use shakedown_checkers::datatype::registry::DataOptions;
use shakedown_checkers::format::{Limits, read_path};
use shakedown_checkers::model::{lookup, prepare};
use shakedown_checkers::options::{Consistency, Options};
use shakedown_checkers::theory::{self, Theory};
use shakedown_checkers::transaction::{self, IsolationOptions, Kind, Report, Standing};
use shakedown_checkers::validate::anomaly::{validate_anomaly, validate_report};
use shakedown_checkers::verdict::Verdict;
use std::path::{Path, PathBuf};

fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(folder);
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Judges a file and has the validator re-check the proof.
fn judge(path: &Path, model: &str, initial: Option<&str>) -> bool {
    let mut history = read_path(path, None, &Limits::default()).unwrap_or_else(|e| panic!("{e}"));
    let model = prepare(lookup(model).unwrap(), initial, &mut history).unwrap();
    let start = std::time::Instant::now();
    let verdict = model.check(&history, &Options::default()).unwrap();
    let check = start.elapsed();
    if let Err(reason) = model.validate(&history, Consistency::Linearizable, &verdict) {
        panic!("{}: {reason}: {verdict:#?}", path.display());
    }
    if let Verdict::Invalid(witness) = &verdict {
        eprintln!(
            "{}: core {} of {} {:?}",
            path.display(),
            witness.core.len(),
            history.len(),
            witness.sentences
        );
    }
    eprintln!("{} {check:?} + {:?}", path.display(), start.elapsed() - check);
    match verdict {
        Verdict::Valid(_) => true,
        Verdict::Invalid(_) => false,
        Verdict::Unknown(unknown) => panic!("{}: {unknown:?}", path.display()),
    }
}

#[test]
fn etcd_logs_of_porcupine() {
    const LINEARIZABLE: [u32; 16] = [2, 5, 7, 25, 31, 38, 49, 53, 56, 67, 76, 80, 92, 98, 100, 101];
    let Some(folder) = data("porcupine/jepsen") else { return };
    let mut count = 0;
    for path in files(&folder) {
        let number: u32 =
            path.file_stem().unwrap().to_str().unwrap().trim_start_matches("etcd_").parse().unwrap();
        if number != 95 {
            assert_eq!(judge(&path, "cas-register", None), LINEARIZABLE.contains(&number), "{number}");
            count += 1;
        }
    }
    assert!(count > 0, "an empty folder proves nothing");
}

#[test]
fn key_value_logs_of_porcupine() {
    let Some(folder) = data("porcupine/kv") else { return };
    for path in files(&folder) {
        let ok = path.to_str().unwrap().contains("-ok");
        assert_eq!(judge(&path, "kv", Some("\"\"")), ok, "{}", path.display());
    }
}

#[test]
fn registers_and_locks_of_knossos() {
    let Some(folder) = data("knossos") else { return };
    for (kind, expected) in [("good", true), ("bad", false)] {
        for path in files(&folder.join("cas-register").join(kind)) {
            assert_eq!(judge(&path, "cas-register", Some("0")), expected, "{}", path.display());
        }
    }
    for path in files(&folder.join("mutex/bad")) {
        assert!(!judge(&path, "mutex", None), "{}", path.display());
    }
}

/// Whether the file is valid, judged as `name` with what is usual.
fn judge_as(path: &Path, name: &str, options: &DataOptions) -> bool {
    let history = read_path(path, None, &Limits::default()).unwrap_or_else(|e| panic!("{e}"));
    match theory::lookup(name) {
        Some(Theory::Transactions(kind)) => {
            let report = transaction::check(&history, kind, &IsolationOptions::new(kind)).unwrap();
            for anomaly in &report.anomalies {
                validate_anomaly(&report.txns, history.values(), anomaly).unwrap();
            }
            match report.verdict {
                Standing::Holds => true,
                Standing::Violated(_) => false,
                Standing::Undecided => panic!("{}: {:?}", path.display(), report.standings),
            }
        }
        Some(Theory::Data(checker)) => {
            let report =
                checker.check(&history, options).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            match report.validity {
                Validity::Valid => true,
                Validity::Invalid => false,
                Validity::Unknown(reason) => panic!("{}: {reason}", path.display()),
            }
        }
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn elle_cli_files() {
    let Some(folder) = data("elle-cli") else { return };
    let group_of_3 = DataOptions { group_size: Some(3), ..DataOptions::default() };
    for (file, model, valid) in [
        ("elle/rw-register.edn", "rw-register", true),
        ("elle/paper-example.edn", "list-append", false),
        ("elle/paper-example.json", "list-append", false),
        ("jepsen/counter.edn", "counter", true),
        ("jepsen/counter.json", "counter", true),
        ("jepsen/set.edn", "set", true),
        ("jepsen/set_full.edn", "set-full", false),
        ("jepsen/set_full.json", "set-full", false),
        ("jepsen/bank.edn", "bank", true),
        ("jepsen/bank.json", "bank", true),
        ("jepsen/bank-neg.edn", "bank", true),
        ("jepsen/long-fork.edn", "long-fork", false),
    ] {
        assert_eq!(judge_as(&folder.join(file), model, &group_of_3), valid, "{file}");
    }
}

#[test]
fn elle_files() {
    let Some(folder) = data("elle") else { return };
    let report = |file: &str| {
        let history = read_path(&folder.join(file), None, &Limits::default()).unwrap();
        transaction::check(&history, Kind::ListAppend, &IsolationOptions::new(Kind::ListAppend)).unwrap()
    };
    let violates = |report: &Report, level: &str| {
        matches!(report.standing(level.parse().unwrap()), Standing::Violated(_))
    };
    let paper = report("paper-example.edn");
    assert!(paper.anomalies.iter().any(|anomaly| anomaly.name() == "G-single"));
    assert!(violates(&paper, "consistent-view") && violates(&paper, "repeatable-read"));
    let skew = report("si-without-g-single.edn");
    assert!(skew.anomalies.iter().any(|anomaly| anomaly.name() == "G2-item"));
    assert!(violates(&skew, "repeatable-read") && !violates(&skew, "snapshot-isolation"));
}

/// The folder is the strongest of AWDIT's levels that holds.
#[test]
fn awdit_files() {
    let Some(folder) = data("awdit") else { return };
    let levels = ["strong-session-monotonic-atomic-view", "strong-session-read-atomic", "causal"];
    for (strongest, count) in [("none", 0), ("read-committed", 1), ("read-atomic", 2), ("causal", 3)] {
        for path in files(&folder.join(strongest)) {
            let history = read_path(&path, None, &Limits::default()).unwrap_or_else(|e| panic!("{e}"));
            let options =
                IsolationOptions { forbid_unwritten: true, ..IsolationOptions::new(Kind::Register) };
            let report = transaction::check(&history, Kind::Register, &options).unwrap();
            validate_report(&report, history.values()).unwrap();
            for (i, level) in levels.iter().enumerate() {
                let holds = report.standing(level.parse().unwrap()) == Standing::Holds;
                assert_eq!(holds, i < count, "{} {level}: {:#?}", path.display(), report.anomalies);
            }
        }
    }
}
