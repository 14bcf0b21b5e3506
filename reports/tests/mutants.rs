//! `shakedown mutants`: what is caught, what survives, and a pattern that is wrong without a mutant.

mod shell;
mod toy;

use clap::Parser;
use serde_json::Value as Json;
use shakedown::args::{Cli, Command};
use shakedown::command::Streams;
use shakedown::command::mutants::run_patterns;
use shell::{Files, code, command, shakedown, stderr, stdout};
use std::process::Stdio;
use toy::WrongPattern;

#[test]
fn what_is_caught_is_a_table_with_a_row_for_each_world() {
    let run = shakedown(&[
        "mutants",
        "abd",
        "--world",
        "model,swarm",
        "--mutant",
        "quorum-of-half,tag-per-node",
        "--repeats",
        "3",
        "--shrink-time",
        "500ms",
    ]);
    assert_eq!(code(&run), 0, "{}{}", stdout(&run), stderr(&run));
    let text = stdout(&run);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| !line.starts_with("mutant "))
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().collect())
        .collect();
    let starts: Vec<String> = rows.iter().map(|row| row[..2].join(" ")).collect();
    // In the catalogue's order, whatever order they were asked for in.
    let expected = [
        "mutant world",
        "tag-per-node model",
        "swarm 3",
        "quorum-of-half model",
        "swarm 3",
        "without mutants",
        "swarm passes",
    ];
    assert_eq!(starts, expected, "{text}");
    assert!(
        text.contains("3 of 3")
            && text.ends_with("Caught: 2 mutants of as many; without them nothing fails.\n"),
        "{text}"
    );
    for columns in ["80", "140"] {
        let args = ["mutants", "abd", "-w", "model", "--mutant", "quorum-of-half,ack-before-durable"];
        let narrow = stdout(&command(&args).env("COLUMNS", columns).output().unwrap());
        for line in narrow.lines() {
            assert!(textwrap::core::display_width(line) <= columns.parse().unwrap(), "{line}");
        }
    }
}

#[test]
fn json_has_every_hunt() {
    let run = shakedown(&[
        "mutants",
        "abd",
        "-w",
        "model,swarm",
        "-m",
        "quorum-of-half",
        "--repeats",
        "2",
        "--seeds-max",
        "500",
        "--shrink-time",
        "0s",
        "-f",
        "json",
    ]);
    assert_eq!(code(&run), 0, "{}", stderr(&run));
    let all: Json = serde_json::from_str(&stdout(&run)).unwrap();
    let [model, swarm] = &all["rows"].as_array().unwrap()[..] else { panic!("{all}") };
    assert_eq!(
        (&model["caught"], &model["cases_median"], &model["small"]["operations"]),
        (&1.into(), &1.into(), &2.into())
    );
    assert_eq!((&swarm["caught"], &swarm["seeds_max"]), (&2.into(), &500.into()));
    let firsts: Vec<u64> =
        swarm["hunts"].as_array().unwrap().iter().map(|hunt| hunt["first_seed"].as_u64().unwrap()).collect();
    assert_eq!(firsts, [0, 500]);
    // The pattern without mistakes passed the seeds up to those that fail, and no others.
    let taken: u64 =
        swarm["hunts"].as_array().unwrap().iter().map(|hunt| hunt["seeds"].as_u64().unwrap()).sum();
    assert_eq!((&all["clean"][1]["seeds"], &all["verdict"]), (&taken.into(), &"valid".into()));
}

// An hour of hunting must not end with a path that was mistyped at its beginning.
#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_hunted() {
    let run = shakedown(&["mutants", "-f", "markdown", "-o", "/no/such/folder/record.md"]);
    assert_eq!((code(&run), stdout(&run).as_str()), (254, ""));
    assert!(stderr(&run).contains("/no/such/folder/record.md: "), "{}", stderr(&run));
}

// Nothing was run: neither does the mutant survive nor is anything caught.
#[test]
fn no_time_is_no_test() {
    let args = ["mutants", "abd", "-w", "swarm", "-m", "no-write-back", "--time-max", "0s", "--repeats", "1"];
    let run = shakedown(&args);
    let text = stdout(&run);
    assert_eq!(code(&run), 2, "{text}");
    assert!(text.contains("Not tested:") && !text.contains("survives") && !text.contains('>'), "{text}");
}

#[test]
fn a_track_record_is_written_whole_with_the_command_that_makes_it_again() {
    let files = Files::new();
    let record = files.path("record.md");
    let args =
        ["mutants", "abd", "-f", "markdown", "-o", &record, "--repeats", "3", "--shrink-time", "300ms", "-w"];
    let run = shakedown(&[&args[..], &["model,swarm"]].concat());
    assert_eq!((code(&run), stdout(&run).as_str()), (0, ""), "{}", stderr(&run));
    // Rows are signs of life meanwhile.
    assert!(
        stderr(&run).contains("\nno-write-back ") && stderr(&run).contains("Caught: "),
        "{}",
        stderr(&run)
    );
    let text = std::fs::read_to_string(&record).unwrap();
    let again = format!(
        "\n```sh\ncargo run --release -- mutants abd --world model --world swarm --repeats 3 --shrink-time 300ms \
         --format markdown --output {record}\n```\n"
    );
    assert!(text.starts_with("# Track record\n") && text.contains(&again), "{text}");
    assert!(text.contains("\n## replication/leaderless/abd: a register by majorities\n"), "{text}");
    assert!(text.contains("\n4 of 4 mistakes are caught. Without mistakes nothing fails.\n"), "{text}");
    let rows: Vec<Vec<&str>> =
        text.lines().filter(|line| line.starts_with("| ")).map(|line| line.split(" | ").collect()).collect();
    assert!(rows.len() == 7 && rows.iter().all(|row| row.len() == 4), "{text}");
    assert!(rows[5][3].starts_with("3 of 3; ") && rows[5][2].starts_with("case 1, "), "{text}");
    assert!(rows[6][2].starts_with("5 cases pass"), "{text}");
    // To standard output, if nobody names a file.
    let run = shakedown(&["mutants", "abd", "-f", "markdown", "-w", "model", "-m", "quorum-of-half"]);
    assert!(stdout(&run).starts_with("# Track record\n"), "{}", stdout(&run));
}

// In so little time nothing is caught, and it says so.
#[test]
fn without_a_pattern_all_of_them_are_hunted_and_time_bounds_each_hunt() {
    let run = shakedown(&["mutants", "-w", "model", "--time-max", "0s", "-f", "json"]);
    assert_eq!(code(&run), 1, "{}", stderr(&run));
    let all: Vec<Json> = serde_json::Deserializer::from_str(&stdout(&run))
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("one object after the other");
    let listed: Json = serde_json::from_str(&stdout(&shakedown(&["list", "--format", "json"]))).unwrap();
    let names: Vec<&Json> = listed.as_array().unwrap().iter().map(|pattern| &pattern["name"]).collect();
    assert_eq!(all.iter().map(|object| &object["pattern"]).collect::<Vec<_>>(), names);
    let hunt = &all[0]["rows"][0]["hunts"][0];
    assert_eq!((&hunt["ended_by"], &hunt["ran"], &hunt["cases"]), (&"time".into(), &5.into(), &Json::Null));
    let args = ["mutants", "abd", "-w", "swarm", "-m", "ack-before-durable", "--nemesis", "none"];
    let begin = std::time::Instant::now();
    let limits = ["--time-max", "200ms", "--seeds-max", "1000000000", "--repeats", "2"];
    let text = stdout(&shakedown(&[&args[..], &limits].concat()));
    assert!(text.contains("0 of 2 ") && text.contains("> 2"), "{text}");
    assert!(begin.elapsed().as_secs() < 60, "{text}");
}

// Without a fault nothing that was acknowledged can be forgotten.
#[test]
fn a_mutant_that_no_world_catches_is_exit_code_1() {
    let args = [
        "mutants",
        "abd",
        "-w",
        "swarm",
        "-m",
        "ack-before-durable",
        "--nemesis",
        "none",
        "--seeds-max",
        "20",
        "--repeats",
        "2",
    ];
    let run = shakedown(&args);
    assert_eq!(code(&run), 1);
    let text = stdout(&run);
    assert!(text.contains("It survives: ack-before-durable is caught in none of these worlds."), "{text}");
    assert!(text.contains("0 of 2   > 20     > "), "{text}");
    let run = shakedown(&[&args[..], &["--format", "json"]].concat());
    let all: Json = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!((&all["verdict"], &all["rows"][0]["seeds_median"]), (&"invalid".into(), &Json::Null));
}

// So few seeds with the usual trouble do not show it; the trouble that is made for it does, and the pattern
// without mistakes passes the same seeds with either.
#[test]
fn what_the_usual_trouble_does_not_show_is_hunted_with_trouble_made_for_it() {
    let args = ["mutants", "raft", "-w", "swarm", "-m", "lease-forgotten-at-restart", "--repeats", "1"];
    let limits = ["--seeds-max", "300", "--shrink-time", "0s"];
    let run = shakedown(&[&args[..], &limits, &["-f", "json"]].concat());
    assert_eq!(code(&run), 0, "{}{}", stdout(&run), stderr(&run));
    let all: Json = serde_json::from_str(&stdout(&run)).unwrap();
    let [usual, special] = &all["rows"].as_array().unwrap()[..] else { panic!("{all}") };
    assert_eq!((&usual["caught"], &usual["made_for"]), (&0.into(), &Json::Null));
    assert_eq!((&special["caught"], &special["made_for"]), (&1.into(), &serde_json::json!(["succession"])));
    let [clean, clean_special] = &all["clean"].as_array().unwrap()[..] else { panic!("{all}") };
    assert_eq!((&clean["seeds"], &clean["made_for"]), (&300.into(), &Json::Null));
    assert_eq!(
        (&clean_special["seeds"], &clean_special["made_for"]),
        (&special["hunts"][0]["seeds"], &serde_json::json!(["succession"]))
    );
    // Whoever says which trouble to take gets no other.
    let run = shakedown(&[&args[..], &limits, &["--nemesis", "none"]].concat());
    assert!(code(&run) == 1 && !stdout(&run).contains("--nemesis"), "{}", stdout(&run));
}

#[test]
fn a_pattern_that_fails_without_a_mutant_is_exit_code_1() {
    for world in ["swarm", "model"] {
        let typed = [
            "shakedown",
            "mutants",
            "wrong",
            "--world",
            world,
            "--mutant",
            "protocol",
            "--shrink-time",
            "0s",
        ];
        let Some(Command::Mutants(args)) = Cli::parse_from(typed).command else { panic!("they are mutants") };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut streams =
            Streams { out: &mut out, err: &mut err, width: 80, fancy: false, program: "shakedown" };
        let exit = run_patterns(&[&WrongPattern], &args, &mut streams).unwrap();
        let text = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
        assert_eq!(exit.code(), 1, "{text}");
        let culprit = if world == "swarm" { "seed 0" } else { "case 1" };
        assert!(
            text.contains(&format!("Without mutants, it fails: {culprit} in the {world} world")),
            "{text}"
        );
        let option = if world == "swarm" { "--seed 0" } else { "--case 1" };
        assert!(
            text.contains(&format!("\n    shakedown run tests/wrong --world {world} {option}\n")),
            "{text}"
        );
    }
}

#[test]
fn wrong_arguments_are_254_with_what_there_is() {
    for (args, says) in [
        (vec!["mutants", "abc"], "did you mean replication/leaderless/abd?"),
        (vec!["mutants", "abd", "--mutant", "no-write-bakc"], "did you mean no-write-back?"),
        (vec!["mutants", "abd", "--world", "mars"], "there is no world mars"),
        (vec!["mutants", "abd", "--nemesis", "cash"], "did you mean crash?"),
        (vec!["mutants", "--mutant", "no-write-back"], "<PATTERN>"),
        (vec!["mutants", "abd", "--time-max", "5"], "such as 500ms"),
        (vec!["mutants", "abd", "--repeats", "0"], "--repeats"),
        (vec!["mutants", "abd", "--seeds-max", "0"], "--seeds-max"),
        (vec!["mutants", "abd", "--format", "junit"], "possible values: text, json, markdown"),
    ] {
        let run = shakedown(&args);
        assert_eq!((code(&run), stdout(&run).as_str()), (254, ""), "{args:?}: {}", stderr(&run));
        let said = stderr(&run).split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ");
        assert!(said.contains(says), "{args:?} is not answered with {says:?}:\n{said}");
    }
    let help = shakedown(&["mutants", "--help"]);
    assert!(stdout(&help).contains("Examples:\n  shakedown mutants abd"), "{}", stdout(&help));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let args = ["mutants", "abd", "-w", "model", "-m", "quorum-of-half"];
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let run = child.wait_with_output().unwrap();
    assert_eq!((code(&run), stderr(&run).as_str()), (0, ""));
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_the_rows_that_are_there() {
    use std::io::{BufRead, BufReader, Read};
    let args = [
        "mutants",
        "abd",
        "-w",
        "model,swarm",
        "--nemesis",
        "none",
        "-m",
        "ack-before-durable",
        "--seeds-max",
        "1000000000",
    ];
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("case 3") {
        assert!(out.read_line(&mut text).unwrap() > 0, "it ended by itself: {text}");
    }
    let kill = ["-INT", &child.id().to_string()];
    assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
    out.read_to_string(&mut text).unwrap();
    let end = child.wait_with_output().unwrap();
    assert_eq!(code(&end), 2, "{text}{}", stderr(&end));
    assert!(text.ends_with("Interrupted: this is not all of it.\n") && !text.contains("survives"), "{text}");
}
