//! Every mistake that Raft can be told to make is seen by one of the scenes here, most of them by the one
//! about the sentence that it breaks. So no scene of a claim is there for show, and no mistake is without
//! effect.

use super::super::*;

/// The mistake that is to be made in all scenes of this process, if any.
#[cfg(feature = "mutants")]
pub(super) fn wanted() -> Mutants<Mutant> {
    let name = std::env::var(WANTED).unwrap_or_default();
    Mutants::named(&name).unwrap_or_default()
}

#[cfg(not(feature = "mutants"))]
pub(super) fn wanted() -> Mutants<Mutant> {
    Mutants::default()
}

#[cfg(feature = "mutants")]
const WANTED: &str = "RAFT_SCENES_MUTANT";

/// Runs all scenes in a process of their own. Those that fail.
#[cfg(feature = "mutants")]
fn failures_with(mutant: &str) -> Vec<String> {
    let scenes = module_path!().trim_end_matches("::mutants").split_once("::").expect("a crate's module").1;
    let output = std::process::Command::new(std::env::current_exe().expect("this is a program"))
        .args([scenes, "--skip", "::mutants::", "--skip", "::storms::", "--skip", "::transcripts::"])
        .env(WANTED, mutant)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let total = text.lines().find(|line| line.starts_with("test result:"));
    assert!(total.is_some_and(|line| !line.contains("ok. 0 passed")), "{mutant}: it ran no scenes\n{text}");
    let failed = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    failed.map(str::to_owned).collect()
}

#[cfg(feature = "mutants")]
#[test]
fn every_mistake_is_seen_by_a_scene() {
    use crate::mutants::Mutant as _;
    assert_eq!(failures_with("none"), [""; 0], "the scenes pass without a mistake");
    for mutant in Mutant::ALL {
        let failed = failures_with(mutant.name());
        println!("{}: {failed:?}", mutant.name());
        assert!(!failed.is_empty(), "no scene shows {}: {}", mutant.name(), mutant.about());
    }
}
