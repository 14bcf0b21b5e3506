//! The command without arguments: what a trial says of a pattern that is right, of one that is wrong, and
//! of mistakes that there was no time for; that it fits every terminal, and ends when it is asked to.
//!
//! The trials here are short: what is looked at is not the point.

mod shell;
mod toy;

use shakedown::command::Streams;
use shakedown::command::trial::{Budget, Mistake, Plan, run_plan};
use shakedown_workloads::nemesis::Nemesis;
use shell::Files;
use std::path::Path;
use std::time::Duration;
use toy::{TouchyPattern, WrongPattern};

/// A fraction of a second for each world, and whatever it takes to catch a mistake.
fn short() -> Budget {
    let [model, swarm, sim, hunt, shrink] = [300, 300, 100, 60_000, 300].map(Duration::from_millis);
    Budget { model, swarm, sim, hunt, shrink }
}

/// How it ends, and what it prints in so many columns.
fn trial(plan: &Plan, width: usize) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut streams = Streams { out: &mut out, err: &mut err, width, fancy: false, program: "shakedown" };
    let exit = run_plan(plan, &mut streams);
    let text = |bytes: Vec<u8>| {
        anstream::adapter::strip_str(&String::from_utf8(bytes).expect("text is UTF-8")).to_string()
    };
    (exit.code(), text(out), text(err))
}

/// `text` on one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn raft_passes_its_mistakes_are_caught_and_the_newcomer_is_told_what_that_means() {
    let plan = Plan { budget: short(), ..Plan::usual().unwrap() };
    for width in [40, 80, 200] {
        let (code, text, err) = trial(&plan, width);
        assert_eq!((code, err.as_str()), (0, ""), "{text}");
        let told = words(&text);
        for part in [
            "Raft on trial: ",
            "swarm hostile schedules by the thousand, every fault nothing wrong: ",
            "sim the real driver on simulated sockets and disks nothing wrong: ",
            "local-read Reads are answered from the leader's state",
            "ack-before-durable A follower acknowledges entries before they are durable",
            " Made small",
            "Not linearizable: no order explains these ",
            "Nothing wrong with Raft. Both mistakes were caught.",
            "What went wrong: ",
            "That order is the proof, and it was checked again by a validator",
            "It does not mean that Raft has no mistakes",
            "shakedown run raft --time 10m",
            "shakedown run raft --mutant local-read",
            "shakedown mutants raft",
            "shakedown list",
            "shakedown check FILE",
        ] {
            assert!(told.contains(part), "no {part:?} in:\n{text}");
        }
        for line in text.lines().filter(|line| !line.contains("shakedown ")) {
            assert!(textwrap::core::display_width(line) <= width, "wider than {width}: {line}");
        }
        assert!(!text.contains("\n\n\n") && text.ends_with('\n'), "{text}");
    }
}

// Numbers differ from machine to machine, words do not.
#[test]
fn the_readme_shows_what_it_says() {
    let plan = Plan { budget: short(), ..Plan::usual().unwrap() };
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let block =
        readme.split("```console\n$ cargo run --release\n").nth(1).unwrap().split("```").next().unwrap();
    let printed = words(&trial(&plan, 100).1);
    let said = |text: &str| printed.contains(text) && words(block).contains(text);
    for text in [
        "Raft on trial: one log, kept by a majority, applied everywhere. Clients use it",
        "swarm hostile schedules by the thousand, every fault nothing wrong: ",
        "Would it say so if something were wrong?",
        "local-read Reads are answered from the leader's state",
        "Not linearizable: no order explains these 2 operations.",
        "Nothing wrong with Raft. Both mistakes were caught.",
        "partition ",
        "it was checked again by a validator that shares no code with the checker which found it.",
        "other runs may show some.",
    ] {
        assert!(
            said(text),
            "copy what the command prints into README.md: {text:?} is not in both\n{printed}"
        );
    }
}

#[test]
fn what_is_wrong_is_told_written_and_the_last_word() {
    let files = Files::new();
    let output = files.path("out");
    let mistakes = vec![Mistake { mutant: "protocol", workload: "register", nemesis: Nemesis::Crash }];
    let plan = Plan { pattern: &WrongPattern, mistakes, budget: short(), output: output.clone().into() };
    let (code, text, _) = trial(&plan, 100);
    assert_eq!(code, 1, "{text}");
    let told = words(&text);
    for part in [
        "Case 1 fails. To run it again: shakedown run tests/wrong --world model --case 1",
        "Seed 0 fails. To run it again: shakedown run tests/wrong --world swarm --seed 0",
        "is too much for it",
        "What happened:",
        "IT IS BROKEN: WRONG fails in model and swarm.",
        "A node can break the rules",
        "shakedown replay ",
    ] {
        assert!(told.contains(part), "no {part:?} in:\n{text}");
    }
    // It has shown that it can say no.
    assert!(!told.contains("Would it say so"), "{text}");
    for folder in ["wrong-model-case1", "wrong-swarm-0"] {
        assert!(Path::new(&output).join(folder).join("replay.json").is_file(), "{text}");
    }
}

#[test]
fn a_mistake_that_there_was_no_time_for_leaves_the_question_open() {
    let mistakes = vec![Mistake { mutant: "protocol", workload: "register", nemesis: Nemesis::Crash }];
    let budget = Budget { hunt: Duration::ZERO, ..short() };
    let plan = Plan { pattern: &TouchyPattern, mistakes, budget, output: "nowhere".into() };
    let (code, text, _) = trial(&plan, 100);
    assert_eq!(code, 2, "{text}");
    let told = words(&text);
    assert!(told.contains("1 case with every schedule (3 states)"), "{text}");
    assert!(told.contains("Not caught in 0 runs"), "{text}");
    assert!(told.contains("But 1 mistake was not caught: this machine is slow."), "{text}");
}

#[test]
fn a_bug_of_ours_is_told_as_one() {
    let mistakes = vec![Mistake { mutant: "suite", workload: "register", nemesis: Nemesis::Crash }];
    let plan = Plan { pattern: &TouchyPattern, mistakes, budget: short(), output: "nowhere".into() };
    let (code, text, err) = trial(&plan, 100);
    assert_eq!(code, 255, "{text}");
    // Whichever thread was first.
    assert!(err.starts_with("suite: internal error: seed "), "{err}");
    assert!(err.contains(": a mistake of the suite's own"), "{err}");
    assert!(text.contains("NO VERDICT: shakedown itself failed."), "{text}");
}

// It has begun as soon as the world's name is there, and listens to signals before that.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_with_what_is_known() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};
    use std::time::Instant;
    let mut child = shell::command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("  swarm  ") {
        assert!(out.read_line(&mut text).unwrap() > 0, "it ended by itself: {text}");
    }
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    out.read_to_string(&mut text).unwrap();
    let end = child.wait_with_output().unwrap();
    assert_eq!(shell::code(&end), 2, "{text}{}", shell::stderr(&end));
    assert!(text.contains("Interrupted: nothing wrong so far. This is not all of it."), "{text}");
    assert!(!text.contains("Would it say so") && !text.contains("Next:"), "{text}");
    assert!(asked.elapsed() < Duration::from_secs(5), "it went on for {:?}", asked.elapsed());
}
