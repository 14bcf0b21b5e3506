//! Panics: those of a protocol are findings with a seed, told without a backtrace; those of a pattern's
//! own part of the suite are bugs of ours, told as such with the seed that shows them.

mod toy;

use clap::Parser;
use shakedown::args::{Cli, Command};
use shakedown::command::Streams;
use shakedown::command::run::{Plan, run_pattern};
use shakedown_impls::mutants::Mutant as _;
use shakedown_workloads::catalogue::Pattern;
use toy::{Mutant, TouchyPattern};

/// Runs the toy as the command would, in this process.
fn run(args: &[&str]) -> (u8, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out").display().to_string();
    let typed = [&["shakedown", "run", "touchy", "--output", &output], args].concat();
    let Some(Command::Run(args)) = Cli::parse_from(typed).command else { panic!("it runs") };
    let plan = Plan::new(&TouchyPattern, &args).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut streams =
        Streams { out: &mut out, err: &mut err, width: 100, fancy: false, program: "shakedown" };
    let exit = run_pattern(&TouchyPattern, &plan, &args, &mut streams).unwrap();
    let text = |bytes| anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string();
    (exit.code(), text(out), text(err))
}

#[test]
fn of_a_protocol_are_findings() {
    assert_eq!(TouchyPattern.mutants().len(), Mutant::ALL.len());
    for (world, culprit) in [("swarm", "Seed 0 fails."), ("model", "Case 1 fails.")] {
        let (code, out, err) = run(&["--world", world, "--mutant", "protocol"]);
        assert_eq!((code, err.as_str()), (1, ""), "{out}");
        let told = out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(culprit), "{out}");
        assert!(told.contains("n0 broke the rules of the boundary: it panicked: "), "{out}");
        assert!(told.contains("is too much for it"), "{out}");
    }
    let (code, out, _) = run(&["--world", "swarm", "--seeds", "0..20"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn of_the_suite_are_internal_errors_with_the_seed() {
    for jobs in ["1", "3"] {
        let (code, out, err) =
            run(&["--world", "swarm", "--mutant", "suite", "--seeds", "7..900", "--jobs", jobs]);
        assert_eq!((code, out.as_str()), (255, ""));
        let expected = "tests/touchy, swarm: internal error: seed 7: a mistake of the suite's own\n  This is a bug in \
                        shakedown, not in the pattern.";
        // With several threads another seed may be the first to be told.
        let is_told = if jobs == "1" {
            err.starts_with(expected)
        } else {
            err.contains("a mistake of the suite's own")
        };
        assert!(is_told, "{err}");
    }
    let (code, out, err) = run(&["--world", "model", "--mutant", "suite"]);
    assert_eq!((code, out.as_str()), (255, ""));
    assert!(err.starts_with("tests/touchy, model: internal error: case 1: "), "{err}");
}

// What the hook prints goes past the test's own capture: another process shows it.
#[test]
fn of_a_protocol_stay_off_the_terminal_and_others_do_not() {
    const INNER: &str = "SHAKEDOWN_TEST_MUTANT";
    if let Ok(mutant) = std::env::var(INNER) {
        run(&["--world", "swarm", "--mutant", &mutant, "--quiet"]);
        return;
    }
    for (mutant, is_loud) in [("protocol", false), ("suite", true)] {
        let name = "of_a_protocol_stay_off_the_terminal_and_others_do_not";
        let mut inner = std::process::Command::new(std::env::current_exe().unwrap());
        let inner = inner.args(["--exact", name, "--nocapture"]).env(INNER, mutant).output().unwrap();
        let said = String::from_utf8(inner.stderr).unwrap();
        assert!(inner.status.success(), "{said}");
        assert_eq!(said.contains("panicked at"), is_loud, "{mutant}: {said}");
    }
}
