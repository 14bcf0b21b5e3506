//! Verdicts that others published for histories that others recorded. The files are not part of the
//! repository: each test says so and passes when they are not there.

use shakedown_checkers::format::{Limits, read_path};
use shakedown_checkers::model::{lookup, prepare};
use shakedown_checkers::options::{Consistency, Options};
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
