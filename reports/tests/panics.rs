//! Panics: those of a protocol are findings with a seed, told without a backtrace; those of a pattern's
//! own part of the suite are bugs of ours, told as such with the seed that shows them.

use clap::Parser;
use serde::{Deserialize, Serialize};
use shakedown::args::{Cli, Command};
use shakedown::command::Streams;
use shakedown::command::run::{Plan, run_pattern};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::mutants::{Mutant as _, Mutants};
use shakedown_impls::protocol::{Effect, Input, NodeId, Protocol, Time};
use shakedown_workloads::catalogue::{Definition, Entry, Pattern, Small};
use shakedown_workloads::generator::Generator;
use shakedown_workloads::operation::{Call, Draws, Operation};
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::Case;

/// Answers, but for what it does when it is told to be wrong.
#[derive(Clone, Debug, PartialEq, Hash)]
struct Touchy;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Ask(u64);

shakedown_impls::mutants! {
    /// Where it panics.
    pub enum Mutant {
        /// In the protocol.
        Protocol = "protocol",
        /// In what the suite makes of it.
        Suite = "suite",
    }
}

impl Protocol for Touchy {
    type Config = Mutants<Mutant>;
    type Msg = ();
    type Timer = ();
    type Op = Ask;
    type Ret = u64;
    type Durable = ();

    fn boot(_: &Self::Config, _: NodeId, _: &(), _: &mut Vec<Effect<Touchy>>) -> Touchy {
        Touchy
    }

    fn step(&mut self, config: &Self::Config, _: Time, input: Input<Touchy>, out: &mut Vec<Effect<Touchy>>) {
        if let Input::Request { client, id, op: Ask(number) } = input {
            assert!(!config.has(Mutant::Protocol) || number < 30, "{number} is too much for it");
            let ret = if config.has(Mutant::Suite) { u64::MAX } else { number };
            out.push(Effect::Reply { client, id, ret });
        }
    }
}

impl Operation for Ask {
    type Ret = u64;
    type Kind = ();

    const MODEL: ModelName = ModelName::Register;

    fn invoked(&self, values: &mut Values) -> Call {
        Call { f: "write", key: None, value: values.int(self.0 as i64) }
    }

    fn completed(&self, ret: &u64, values: &mut Values) -> Value {
        assert!(*ret < u64::MAX, "a mistake of the suite's own");
        values.int(*ret as i64)
    }

    fn shows_effect(&self, _: &u64) -> bool {
        true
    }

    fn of_kind((): &(), draws: &mut Draws<'_>) -> Ask {
        Ask(draws.fresh())
    }

    fn usual() -> Generator<()> {
        Generator::Always(()).every_us(4_000)
    }

    fn last(_: u32) -> Vec<Ask> {
        vec![]
    }

    fn small() -> Vec<Vec<Ask>> {
        vec![]
    }
}

struct TouchyPattern;

impl Definition for TouchyPattern {
    type Protocol = Touchy;
    type Mutant = Mutant;

    const ENTRY: Entry = Entry {
        name: "tests/touchy",
        title: "panics when it is told to",
        guarantee: "none",
        price: "none",
        not_covered: "everything",
        source: "these tests",
        worlds: &[WorldName::Model, WorldName::Swarm],
        nemeses: &[],
    };

    fn config(_: u16, mutants: Mutants<Mutant>) -> Mutants<Mutant> {
        mutants
    }

    fn cases(mutants: Mutants<Mutant>) -> Vec<Small<Touchy>> {
        let case = Case::new(1, mutants).client([(NodeId(0), Ask(1)), (NodeId(0), Ask(99))]);
        vec![Small {
            about: "two questions",
            case,
            search: shakedown_workloads::catalogue::Search::Everything,
        }]
    }
}

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
