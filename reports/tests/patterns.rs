//! The commands that run patterns, from outside: what they find, write, replay, refuse, and how they end.

mod shell;

use serde_json::Value as Json;
use shell::{Files, code, command, shakedown, stderr, stdout};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const NAME: &str = "replication/leaderless/abd";

/// Fails within a few seeds, and is made small within a second: each of two nodes is a quorum.
const FAILS: [&str; 10] =
    ["run", "abd", "--world", "swarm", "--mutant", "quorum-of-half", "--nodes", "2", "--length", "50"];

#[test]
fn patterns_are_listed_for_people_and_programs() {
    let brief = stdout(&shakedown(&["list"]));
    let all: Json = serde_json::from_str(&stdout(&shakedown(&["list", "--format", "json"]))).unwrap();
    let worlds = |entry: &Json| -> Vec<String> {
        let names = entry["worlds"].as_array().unwrap().iter();
        names.map(|world| world["name"].as_str().unwrap().to_owned()).collect()
    };
    for entry in all.as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        assert!(brief.contains(&format!("{name}  {}", entry["title"].as_str().unwrap())), "{brief}");
        assert!(brief.contains(&format!("worlds: {}\n", worlds(entry).join(", "))), "{brief}");
        let full = stdout(&shakedown(&["list", name])).split_whitespace().collect::<Vec<_>>().join(" ");
        for field in ["guarantee", "price", "not_covered", "source"] {
            assert!(full.contains(entry[field].as_str().unwrap()), "{field} of {name}: {full}");
        }
        for list in ["worlds", "nemeses", "mutants"] {
            for named in entry[list].as_array().unwrap() {
                let told =
                    format!("{} {}", named["name"].as_str().unwrap(), named["about"].as_str().unwrap());
                assert!(full.contains(&told), "{told} of {name}: {full}");
            }
        }
        for case in entry["cases"].as_array().unwrap() {
            assert!(full.contains(case.as_str().unwrap()), "{case} of {name}: {full}");
        }
    }
    let last_part = shakedown(&["list", "abd"]);
    assert_eq!(stdout(&last_part), stdout(&shakedown(&["list", NAME])));
}

#[test]
fn a_clean_pattern_passes_and_says_how_much_was_looked_at() {
    let run = shakedown(&["run", "abd", "--world", "model,swarm", "--seeds", "100..150"]);
    // What takes long shows signs of life; on a machine that does other things as well this does.
    let told: Vec<_> =
        stderr(&run).lines().filter(|line| !line.starts_with("abd, ")).map(str::to_owned).collect();
    assert_eq!((code(&run), told), (0, vec![]));
    let text = words(&stdout(&run));
    for told in [
        "model true 1. 2 nodes: ",
        "(exhaustive: 6,580 unique states; ",
        "(bounded: 2,000 walks of at most 60 steps, seed 1; ",
        "swarm true 50 seeds (100 to 149) in ",
        " s: nothing is wrong.",
        " answers showed what another operation did, in 50 of the seeds.",
        " messages delivered, ",
        " restarts, ",
        " faults, ",
        " of which changed nothing (in brackets): partition ",
    ] {
        assert!(text.contains(told), "no {told:?} in:\n{text}");
    }
}

#[test]
fn quiet_is_verdicts_only() {
    let run = shakedown(&["run", "abd", "-q", "-w", "model", "-w", "swarm", "--seeds", "0..5"]);
    assert_eq!(stdout(&run), format!("{NAME}\tmodel\ttrue\n{NAME}\tswarm\ttrue\n"));
    let (files, mut fails) = (Files::new(), FAILS.to_vec());
    let output = files.path("out");
    fails.extend(["--quiet", "--output", &output]);
    let run = shakedown(&fails);
    assert_eq!((stdout(&run), code(&run)), (format!("{NAME}\tswarm\tfalse\n"), 1));
    assert!(stderr(&run).contains("--mutant quorum-of-half\n"), "{}", stderr(&run));
    assert_eq!(code(&sh(&files, line_after(&stderr(&run), "To run it again:"))), 1);
}

#[test]
fn a_failure_is_told_written_replayed_and_judged_again() {
    let files = Files::new();
    let output = files.path("out");
    let run = failing(&output, &[]);
    assert_eq!(code(&run), 1);
    let seed = seed_of(&stdout(&run));
    let text = words(&stdout(&run));
    for told in [
        &format!(
            "swarm false Seed {seed} fails. To run it again: shakedown run {NAME} --world swarm --seed {seed}"
        ),
        "With the mutant quorum-of-half.",
        "It is not linearizable.",
        "operations cannot all have taken effect, whether or not the others did",
        "until nothing more could be removed: 2 nodes, ",
        " ms: Write {key: ",
        "What happened:",
        "Written to ",
    ] {
        assert!(text.contains(told), "no {told:?} in:\n{text}");
    }
    let folder = folder_of(&output);
    assert!(folder.ends_with(format!("abd-swarm-{seed}-quorum-of-half")), "{}", folder.display());
    let file = |name: &str| folder.join(name).display().to_string();

    // The seed fails again by the command that was told, and the small run by the other.
    for before in ["To run it again:", "To replay it:"] {
        let again = sh(&files, line_after(&stdout(&run), before));
        assert_eq!(code(&again), 1, "{before} {}", stderr(&again));
        assert!(stdout(&again).contains("It is not linearizable."), "{}", stdout(&again));
    }
    let replayed = stdout(&shakedown(&["replay", "--full", &file("replay.json")]));
    let timeline = fs::read_to_string(file("timeline.txt")).unwrap();
    let asks = |text: &str| text.lines().filter(|line| line.contains("asks        n")).count();
    assert!(asks(&timeline) > 1 && asks(&timeline) == asks(&replayed), "{timeline}{replayed}");
    // The file has the whole, the terminal what there is room for.
    assert!(timeline.contains("starts      with an empty disk"), "{timeline}");
    let judged = shakedown(&["check", &file("history.jsonl")]);
    assert_eq!(code(&judged), 1);
    assert!(stdout(&judged).contains("cannot be placed"), "{}", stdout(&judged));
}

#[test]
fn a_case_that_fails_is_written_and_replayed_too() {
    let files = Files::new();
    let output = files.path("out");
    let run = shakedown(&["run", "abd", "-w", "model", "-m", "ack-before-durable", "-o", &output]);
    assert_eq!(code(&run), 1);
    let text = words(&stdout(&run));
    let told = ["Case 3 fails.", "2 more cases not looked at.", "n2 crashes after 1 of the effects"];
    assert!(told.iter().all(|told| text.contains(told)), "{text}");
    for before in ["To run it again:", "To replay it:"] {
        let again = sh(&files, line_after(&stdout(&run), before));
        assert_eq!(code(&again), 1, "{}", stderr(&again));
        let text = words(&stdout(&again));
        assert!(text.contains("n2 crashes after 1 of the effects"), "{text}");
    }
    let replay = folder_of(&output).join("replay.json");
    let clean = files.write("clean.json", &edited(&replay, |replay| replay["mutant"] = Json::Null));
    let run = shakedown(&["replay", &clean]);
    assert_eq!(code(&run), 0);
    assert!(stdout(&run).contains("It does not fail any more: exhaustive: "), "{}", stdout(&run));
    let other = files.write(
        "other.json",
        &edited(&replay, |replay| {
            replay["scenario"]["about"] = "another case".into();
        }),
    );
    assert!(said(&["replay", &other]).contains("case 3 is not what it was: another case"));
    let said = said(&["replay", &clean, "--world", "swarm"]);
    assert!(said.contains("a case of the model world has no seed and no times to run it with"), "{said}");
}

#[test]
fn a_failure_that_is_mended_is_said_to_be() {
    let files = Files::new();
    let output = files.path("out");
    failing(&output, &["--shrink-time", "0s"]);
    let replay = folder_of(&output).join("replay.json");
    let mended = files.write("mended.json", &edited(&replay, |replay| replay["mutant"] = Json::Null));
    let run = shakedown(&["replay", &mended]);
    assert_eq!(code(&run), 0, "{}", stderr(&run));
    let text = stdout(&run);
    assert!(text.starts_with(&format!("{NAME}\tswarm\ttrue\n  It does not fail any more: ")), "{text}");
    let otherwise = files.write("kind.json", &edited(&replay, |replay| replay["kind"] = "stalled".into()));
    let run = shakedown(&["replay", &otherwise]);
    assert_eq!(code(&run), 1);
    assert!(stdout(&run).contains("It fails otherwise than it did:"), "{}", stdout(&run));
}

#[test]
fn a_failure_is_replayed_in_every_world_that_can_express_it() {
    let files = Files::new();
    let output = files.path("out");
    failing(&output, &[]);
    let replay = folder_of(&output).join("replay.json").display().to_string();
    // Every schedule is one of the model world's, so the one that failed is among them.
    let run = shakedown(&["replay", &replay, "--world", "model"]);
    assert_eq!(code(&run), 1, "{}", stderr(&run));
    let text = words(&stdout(&run));
    assert!(text.starts_with(&format!("{NAME} model false With the mutant quorum-of-half.")), "{text}");
    assert!(text.contains("in any order. What happened: 1. n"), "{text}");
    // The simulation has other chance: it may fail there or not, but what it says must fit.
    let run = shakedown(&["replay", &replay, "--world", "sim"]);
    let text = words(&stdout(&run));
    match code(&run) {
        0 => assert!(
            text.contains("sim true") && text.contains("It does not fail in the sim world: "),
            "{text}"
        ),
        1 => assert!(text.contains("sim false") && text.contains("What happened:"), "{text}"),
        other => panic!("{other}: {}", stderr(&run)),
    }
    failing(&files.path("large"), &["--shrink-time", "0s"]);
    let large = folder_of(&files.path("large")).join("replay.json").display().to_string();
    let said = said(&["replay", &large, "--world", "model"]);
    assert!(
        said.contains("too many schedules to look at each") && said.contains("leave --world away"),
        "{said}"
    );
}

#[test]
fn a_replay_file_that_cannot_be_used_says_why() {
    let files = Files::new();
    let output = files.path("out");
    failing(&output, &["--shrink-time", "0s"]);
    let replay = folder_of(&output).join("replay.json");
    let text = fs::read_to_string(&replay).unwrap();
    let half = files.write("half.json", &text[..text.len() / 2]);
    let lines = text[..text.len() / 2].lines().count();
    let said_of_half = said(&["replay", &half]);
    assert!(said_of_half.contains(&format!("half.json:{lines}:")), "{said_of_half}");
    assert!(said_of_half.contains("expected a replay.json as `shakedown run` writes it"), "{said_of_half}");
    for (name, change, says) in [
        (
            "version",
            &(|it: &mut Json| it["shakedown_replay"] = 9.into()) as &dyn Fn(&mut Json),
            "of version 9",
        ),
        (
            "pattern",
            &|it| it["pattern"] = "replication/leaderless/abc".into(),
            "did you mean replication/leaderless/abd?",
        ),
        ("mutant", &|it| it["mutant"] = "quorum-of-hal".into(), "did you mean quorum-of-half?"),
        ("world", &|it| it["world"] = "mars".into(), "unknown variant `mars`"),
        ("nodes", &|it| it["scenario"]["nodes"] = 500.into(), "500 nodes: expected 1 to 99"),
        ("due", &|it| it["scenario"]["scripts"][0][0]["due_us"] = u64::MAX.into(), "more than 600000 ms"),
        ("op", &|it| it["scenario"]["scripts"][0][0]["op"] = "Fly".into(), "unknown variant `Fly`"),
        ("extra", &|it| it["surplus"] = 1.into(), "unknown field `surplus`"),
    ] {
        let path = files.write(name, &edited(&replay, change));
        let said = said(&["replay", &path]);
        assert!(said.contains(says) && said.contains(name), "{name} is not answered with {says:?}: {said}");
    }
    let list = files.write("list.json", "[1, 2]\n");
    let history =
        files.write("history.jsonl", "{\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"value\":1}\n{}\n");
    let binary = files.write_bytes("binary.json", &[0xff, 0xfe, 0]);
    let folder = files.path("");
    for path in [&list, &history, &binary, &folder, &files.path("missing.json")] {
        let said = said(&["replay", path]);
        assert!(
            said.contains(path.trim_end_matches('/')) && said.contains("expected a replay.json"),
            "{said}"
        );
    }
}

#[test]
fn wrong_arguments_are_254_with_what_there_is() {
    let swarm = ["run", "abd", "--world", "swarm"];
    for (args, says) in [
        (vec!["list", "abc"], "did you mean replication/leaderless/abd?"),
        (vec!["run", "abc"], "did you mean replication/leaderless/abd?"),
        (vec!["run", "elephant"], "known patterns: replication/leaderless/abd"),
        (vec!["run"], "<PATTERN>"),
        (vec!["run", "abd", "--world", "swrm"], "did you mean swarm? known worlds: model, swarm"),
        (vec!["run", "abd", "--world", "model,mars"], "there is no world mars"),
        (vec!["run", "abd", "--mutant", "no-writeback"], "did you mean no-write-back?"),
        (vec!["run", "abd", "--mutant", "elephant"], "its mutants: no-write-back, tag-per-node"),
        (vec!["run", "abd", "--nemesis", "cash"], "did you mean crash? known nemeses: partition, network"),
        (vec!["run", "abd", "--nemesis", "none,crash"], "`none` stands alone"),
        (vec!["run", "abd", "--seed", "1", "--seeds", "1..2"], "cannot be used with"),
        (vec!["run", "abd", "--seed", "1", "--time", "1s"], "cannot be used with"),
        (
            vec!["run", "abd", "--world", "model", "--nemesis", "crash"],
            "--nemesis says nothing to the model world",
        ),
        (vec!["run", "abd", "--world", "model", "--seed", "1"], "--seed says nothing to the model world"),
        (vec!["run", "abd", "--world", "model", "--nodes", "3"], "--nodes says nothing to the model world"),
        (
            vec!["run", "abd", "--world", "model", "--case", "9"],
            "there is no case 9; replication/leaderless/abd has cases 1 to 5",
        ),
        (vec!["run", "abd", "--case", "0"], "--case"),
        (swarm.iter().copied().chain(["--case", "1"]).collect(), "add --world model"),
        (swarm.iter().copied().chain(["--nodes", "0"]).collect(), "--nodes"),
        (swarm.iter().copied().chain(["--nodes", "100"]).collect(), "100 is not in 1..=99"),
        (swarm.iter().copied().chain(["--clients", "0"]).collect(), "--clients"),
        (swarm.iter().copied().chain(["--length", "0"]).collect(), "--length"),
        (swarm.iter().copied().chain(["--jobs", "0"]).collect(), "--jobs"),
        (swarm.iter().copied().chain(["--seeds", "5..5"]).collect(), "there is no seed in this range"),
        (swarm.iter().copied().chain(["--seeds", "5"]).collect(), "such as 0..1000"),
        (swarm.iter().copied().chain(["--seed", "18446744073709551615"]).collect(), "expected at most"),
        (swarm.iter().copied().chain(["--time", "30"]).collect(), "such as 500ms, 30s"),
        (vec!["explore", "abc"], "did you mean replication/leaderless/abd?"),
        (vec!["explore", "abd", "--case", "0"], "cases 1 to 5"),
        (vec!["explore", "abd", "--mutant", "x"], "its mutants"),
        (vec!["replay"], "<FILE>"),
    ] {
        let run = shakedown(&args);
        assert_eq!((code(&run), stdout(&run).as_str()), (254, ""), "{args:?}: {}", stderr(&run));
        let said = words(&stderr(&run));
        assert!(said.contains(says), "{args:?} is not answered with {says:?}:\n{said}");
    }
}

// One that has faults: a run has none with a probability below a half.
#[test]
fn a_single_seed_has_its_faults_listed_with_what_became_of_them() {
    let told = (0..20).map(|seed| {
        let run = shakedown(&["run", "abd", "-w", "swarm", "--seed", &seed.to_string()]);
        assert_eq!(code(&run), 0);
        words(&stdout(&run))
    });
    let told: Vec<String> = told.filter(|told| !told.contains("No faults.")).collect();
    assert!(told.len() > 3 && told.iter().all(|told| told.contains(" ms: ") && told.contains("fault: ")));
    assert!(told.iter().any(|told| told.contains("(changed something ")), "{told:?}");
}

#[test]
fn seeds_alone_leave_the_model_world_out() {
    for args in [&["--seed", "3"][..], &["--seeds", "3..5"], &["--nemesis", "none", "--seeds", "3..5"]] {
        let run = shakedown(&[&["run", "abd", "--quiet"], args].concat());
        assert!(!stdout(&run).contains("\tmodel\t") && stdout(&run).contains("\tswarm\ttrue"), "{args:?}");
    }
    let run = shakedown(&["run", "abd", "--quiet", "--case", "1"]);
    assert_eq!(stdout(&run), format!("{NAME}\tmodel\ttrue\n"));
}

#[test]
fn json_has_one_object_per_world() {
    let files = Files::new();
    let output = files.path("out");
    let run = shakedown(&[
        "run",
        "abd",
        "-w",
        "model,swarm",
        "-m",
        "quorum-of-half",
        "-f",
        "json",
        "-o",
        &output,
        "-j",
        "1",
    ]);
    assert_eq!(code(&run), 1);
    let objects: Vec<Json> =
        stdout(&run).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let [model, swarm] = &objects[..] else { panic!("{objects:?}") };
    for (object, world) in [(model, "model"), (swarm, "swarm")] {
        assert_eq!((&object["world"], &object["verdict"]), (&world.into(), &"invalid".into()));
        assert_eq!(object["failure"]["kind"], "refuted");
    }
    assert_eq!((&model["failure"]["case"], &model["cases_left"]), (&1.into(), &4.into()));
    assert_eq!(swarm["ended_by"], "failure");
    // One thread runs no seed after the one that fails.
    assert_eq!(swarm["failure"]["seed"].as_u64().unwrap() + 1, swarm["seeds"].as_u64().unwrap());
    assert_eq!(swarm["failure"]["shrunk"]["complete"], true);
    for file in ["replay", "history", "timeline"] {
        assert!(Path::new(swarm["failure"]["files"][file].as_str().unwrap()).is_file(), "{file}");
    }
    let announced = stderr(&run);
    assert!(announced.contains(swarm["failure"]["command"].as_str().unwrap()), "{announced}");
    let clean = stdout(&shakedown(&["run", "abd", "-w", "swarm", "-f", "json", "--seeds", "7..12"]));
    let clean: Json = serde_json::from_str(&clean).unwrap();
    assert_eq!(
        (&clean["first_seed"], &clean["seeds"], &clean["vacuous"]),
        (&7.into(), &5.into(), &false.into())
    );
    assert!(clean["operations"].as_u64() > Some(100) && clean["failure"].is_null(), "{clean}");
}

/// Every name of a field in it, however deep.
fn fields(json: &Json, into: &mut BTreeSet<String>) {
    match json {
        Json::Object(object) => object.iter().for_each(|(name, value)| {
            into.insert(name.clone());
            fields(value, into);
        }),
        Json::Array(list) => list.iter().for_each(|value| fields(value, into)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_json_is_documented() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/run-json.md");
    let docs = fs::read_to_string(docs).unwrap();
    let (files, mut found) = (Files::new(), BTreeSet::new());
    let (output, unwritable) = (files.path("out"), files.write("file", ""));
    let fails =
        ["run", "abd", "-w", "model,swarm", "-m", "quorum-of-half", "--shrink-time", "0s", "-f", "json"];
    for args in [
        &[&fails[..], &["-o", &output]].concat()[..],
        &[&fails[..], &["-o", &unwritable]].concat(),
        &["list", "--format", "json"],
        &[
            "mutants",
            "abd",
            "-w",
            "model,swarm",
            "-m",
            "quorum-of-half",
            "--repeats",
            "1",
            "--shrink-time",
            "0s",
            "-f",
            "json",
        ],
    ] {
        let out = stdout(&shakedown(args));
        for json in serde_json::Deserializer::from_str(&out).into_iter::<Json>() {
            fields(&json.unwrap(), &mut found);
        }
    }
    assert!(found.len() > 60, "{found:?}");
    let missing: Vec<&String> = found
        .iter()
        .filter(|name| !docs.contains(&format!("`{name}`")) && !docs.contains(&format!("\"{name}\"")))
        .collect();
    assert!(missing.is_empty(), "docs/run-json.md does not have {missing:?}");
}

// Times differ; all else is the same wherever it runs.
#[test]
fn the_example_in_the_readme_is_what_the_command_prints() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let typed = "shakedown run abd --world model --case 4 --mutant no-write-back";
    let block = readme.split(&format!("```console\n$ {typed}\n")).nth(1).unwrap();
    let shown = block.split("```").next().unwrap();
    let files = Files::new();
    let printed = stdout(&sh(&files, typed));
    let untimed = |text: &str| -> String {
        let digits = |c: char| c.is_ascii_digit();
        text.trim_end()
            .split(" s)")
            .map(|part| part.trim_end_matches(digits).trim_end_matches('.').trim_end_matches(digits))
            .collect::<Vec<_>>()
            .join(" s)")
    };
    assert_eq!(untimed(&printed), untimed(shown), "copy what the command prints into README.md");
}

#[test]
fn junit_has_one_test_case_per_world_and_case() {
    let run = shakedown(&["run", "abd", "-w", "model,swarm", "-f", "junit", "--seeds", "0..5"]);
    assert_eq!(code(&run), 0);
    assert!(stdout(&run).contains(r#"tests="6" skipped="0" failures="0" errors="0""#), "{}", stdout(&run));
    let files = Files::new();
    let output = files.path("out");
    let run =
        shakedown(&["run", "abd", "-w", "model,swarm", "-f", "junit", "-m", "quorum-of-half", "-o", &output]);
    let text = stdout(&run);
    assert!(text.contains(r#"tests="3" skipped="1" failures="2" errors="0""#), "{text}");
    assert!(text.contains("shakedown replay ") && text.contains("--world swarm --seed "), "{text}");
    let mut reader = quick_xml::Reader::from_str(&text);
    while reader.read_event().expect("well-formed XML") != quick_xml::events::Event::Eof {}
}

#[test]
fn a_run_in_which_nothing_could_go_wrong_says_so() {
    // One client that has a millisecond to ask; in most runs it only reads at the end what nobody wrote.
    let ended = (0..20).map(|seed| {
        let seed = seed.to_string();
        shakedown(&[
            "run",
            "abd",
            "-w",
            "swarm",
            "--length",
            "1",
            "--clients",
            "1",
            "--nemesis",
            "none",
            "--seed",
            &seed,
        ])
    });
    let (unknown, other): (Vec<_>, Vec<_>) = ended.partition(|run| code(run) == 2);
    assert!(!unknown.is_empty() && other.iter().all(|run| code(run) == 0));
    for run in unknown {
        let text = words(&stdout(&run));
        assert!(
            text.contains("swarm unknown") && text.contains("vacuous: no answer showed what another"),
            "{text}"
        );
    }
    // A fault that comes when all is over changes nothing.
    let args = [
        "run",
        "abd",
        "-w",
        "swarm",
        "--length",
        "1",
        "--clients",
        "1",
        "--nemesis",
        "clock,pause",
        "--seeds",
        "0..40",
    ];
    let text = words(&stdout(&shakedown(&args)));
    assert!(
        text.contains("of which changed nothing") || text.contains("none of which changed anything"),
        "{text}"
    );
}

#[test]
fn time_is_a_budget_of_each_world() {
    let swarm = shakedown(&["run", "abd", "-w", "swarm", "--time", "300ms", "-f", "json"]);
    let world: Json = serde_json::from_str(&stdout(&swarm)).unwrap();
    assert_eq!((code(&swarm), &world["ended_by"]), (0, &"time".into()));
    assert!(world["seeds"].as_u64() > Some(0) && world["elapsed_ms"].as_u64() >= Some(300), "{world}");
    // So little time may be too little to see anything at all; then it is unknown.
    let model = shakedown(&["run", "abd", "-w", "model", "--time", "300ms", "-f", "json"]);
    let world: Json = serde_json::from_str(&stdout(&model)).unwrap();
    assert!([0, 2].contains(&code(&model)), "{world}");
    assert_eq!(world["cases"][3]["extent"]["stopped_by"], "time", "{world}");
    assert_eq!(world["cases"][4]["extent"]["kind"], "walks", "{world}");
    assert!(world["elapsed_ms"].as_u64() < Some(10_000), "{world}");
}

#[test]
fn text_keeps_to_the_width_but_for_what_is_to_be_copied() {
    let files = Files::new();
    let output = files.path("out");
    for columns in [60, 80, 160] {
        let mut args = FAILS.to_vec();
        args.extend(["--output", &output, "--shrink-time", "0s"]);
        let mut command = command(&args);
        let out = stdout(&command.env("COLUMNS", columns.to_string()).output().unwrap());
        for line in out.lines().filter(|line| {
            !line.contains('\t') && !line.contains("shakedown ") && !line.contains("Written to")
        }) {
            assert!(textwrap::core::display_width(line) <= columns, "wider than {columns}: {line}");
        }
    }
}

#[test]
fn the_help_of_each_command_has_examples() {
    for name in ["list", "run", "replay", "explore"] {
        let run = shakedown(&[name, "--help"]);
        assert_eq!(code(&run), 0);
        assert!(stdout(&run).contains(&format!("Examples:\n  shakedown {name}")), "{}", stdout(&run));
    }
}

#[cfg(target_os = "linux")]
mod a_full_disk {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn does_not_hide_the_seed() {
        let files = Files::new();
        let output = files.path("out");
        failing(&output, &["--shrink-time", "0s"]);
        let folder = folder_of(&output);
        for name in ["replay.json", "history.jsonl", "timeline.txt"] {
            fs::remove_dir_all(&folder).unwrap();
            fs::create_dir_all(&folder).unwrap();
            symlink("/dev/full", folder.join(name)).unwrap();
            let run = failing(&output, &["--shrink-time", "0s"]);
            assert_eq!(code(&run), 1);
            let told = stdout(&run);
            assert!(told.contains(&format!("Seed {} fails.", seed_of(&told))), "{told}");
            assert!(told.contains("It is not linearizable.") && !told.contains("To replay it"), "{told}");
            let said = stderr(&run);
            assert!(said.contains(name) && said.contains("No space left on device"), "{said}");
        }
    }

    #[test]
    fn nor_does_a_folder_that_cannot_be_made() {
        let files = Files::new();
        let output = files.write("out", "a file in its place");
        let run = failing(&output, &["--shrink-time", "0s"]);
        assert_eq!(code(&run), 1);
        let folder = format!("{output}/abd-swarm-{}-quorum-of-half", seed_of(&stdout(&run)));
        assert!(stderr(&run).contains(&format!("cannot write {folder}: ")), "{}", stderr(&run));
    }

    #[test]
    fn nor_does_one_that_the_output_goes_to() {
        let files = Files::new();
        let output = files.path("out");
        for format in ["text", "json", "junit"] {
            let mut args = FAILS.to_vec();
            args.extend(["--output", &output, "--shrink-time", "0s", "--format", format]);
            let full = fs::File::create("/dev/full").unwrap();
            let run = command(&args).stdout(full).output().unwrap();
            assert_eq!(code(&run), 1, "{}", stderr(&run));
            seed_of(&stderr(&run));
            assert!(stderr(&run).contains("cannot write the output: No space left"), "{}", stderr(&run));
        }
        let full = fs::File::create("/dev/full").unwrap();
        let run = command(&["run", "abd", "-w", "swarm", "--seed", "1"]).stdout(full).output().unwrap();
        assert_eq!(code(&run), 254, "nothing failed but the output");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let files = Files::new();
    let output = files.path("out");
    let mut args = FAILS.to_vec();
    args.extend(["--output", &output, "--shrink-time", "0s"]);
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let run = child.wait_with_output().unwrap();
    assert!(!stderr(&run).contains("panicked"), "{}", stderr(&run));
    assert_eq!(code(&run), 1);
}

#[cfg(unix)]
mod interrupts {
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::process::Child;

    /// Starts it, interrupts it once it has said `said`, and waits for its end.
    fn interrupted_after(args: &[&str], said: &str) -> (i32, String, String) {
        let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains(said) {
            assert!(out.read_line(&mut text).unwrap() > 0, "it ended without saying {said:?}: {text}");
        }
        interrupt(&child);
        out.read_to_string(&mut text).unwrap();
        let end = child.wait_with_output().unwrap();
        (code(&end), text, stderr(&end))
    }

    fn interrupt(child: &Child) {
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    }

    // It listens to signals before the first world is reported.
    #[test]
    fn during_a_hunt_end_with_unknown_and_what_was_seen() {
        let args = ["run", "abd", "-w", "model,swarm", "--seeds", "0..1000000000"];
        let (code, out, err) = interrupted_after(&args, "\tmodel\ttrue");
        assert_eq!(code, 2, "{out}{err}");
        let is_told = ["interrupted, nothing was wrong so far", "interrupted before one had ended"]
            .map(|end| out.contains(end));
        let is_begun = out.contains("\tswarm\tunknown\n") && is_told.contains(&true);
        // The signal may come in the moment between two worlds.
        assert!(is_begun || err.contains("swarm: not begun"), "{out}{err}");
        assert!(err.contains("interrupted: stopping"), "{err}");
    }

    #[test]
    fn while_a_failure_is_made_small_end_with_the_failure() {
        let files = Files::new();
        let output = files.path("out");
        let args = [
            "run",
            "abd",
            "-w",
            "swarm",
            "-m",
            "ack-before-durable",
            "--seeds",
            "0..5000",
            "-o",
            &output,
            "--shrink-time",
            "1h",
        ];
        let (code, out, err) = interrupted_after(&args, "--mutant ack-before-durable");
        assert_eq!(code, 1, "{out}{err}");
        assert!(out.contains("until it was interrupted") && out.contains("It is not linearizable."), "{out}");
        assert!(folder_of(&output).join("replay.json").is_file());
    }

    #[test]
    fn the_explorer_serves_until_it_is_interrupted() {
        use std::io::Write;
        use std::net::TcpStream;
        let args = ["explore", "abd", "--case", "2", "--mutant", "no-write-back", "--port", "0"];
        let mut child = command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        let address = first.trim().strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        // The address is told just before it is served on.
        let mut stream = (0..1_000)
            .find_map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                TcpStream::connect(&address).ok()
            })
            .expect("it serves");
        stream.write_all(b"GET /.status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut status = String::new();
        stream.read_to_string(&mut status).unwrap();
        assert!(status.starts_with("HTTP/1.1 200") && status.contains("Abd"), "{status}");
        let port = address.rsplit(':').next().unwrap();
        let taken = shakedown(&["explore", "abd", "--port", port]);
        assert_eq!(code(&taken), 254);
        assert!(
            stderr(&taken).contains(&format!("cannot serve on port {port}: Address already in use")),
            "{}",
            stderr(&taken)
        );
        interrupt(&child);
        child.wait().unwrap();
    }
}

fn failing(output: &str, more: &[&str]) -> Output {
    shakedown(&[&FAILS[..], &["--output", output], more].concat())
}

/// What is said on standard error to arguments that are refused, on one line.
fn said(args: &[&str]) -> String {
    let run = shakedown(args);
    assert_eq!((code(&run), stdout(&run).as_str()), (254, ""), "{args:?}: {}", stderr(&run));
    words(&stderr(&run))
}

/// `text` on one line, without what marks its lines.
fn words(text: &str) -> String {
    text.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ")
}

/// The seed that the command to run it again has.
fn seed_of(told: &str) -> u64 {
    let command = line_after(told, "To run it again:");
    let mut words = command.split(' ').skip_while(|word| *word != "--seed");
    words.nth(1).and_then(|seed| seed.parse().ok()).unwrap_or_else(|| panic!("no seed in {command}"))
}

/// The folder of the only failure in `output`.
fn folder_of(output: &str) -> PathBuf {
    let folders: Vec<_> = fs::read_dir(output).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [folder] = &folders[..] else { panic!("expected one folder, found {folders:?}") };
    folder.clone()
}

/// The line after the one that ends with `before`.
fn line_after<'t>(text: &'t str, before: &str) -> &'t str {
    let mut lines = text.lines().skip_while(|line| !line.ends_with(before));
    lines.nth(1).unwrap_or_else(|| panic!("no line after {before:?} in:\n{text}")).trim()
}

/// Types a command into a shell that knows the binary by its name, in a folder of its own.
fn sh(files: &Files, typed: &str) -> Output {
    let bin = Path::new(env!("CARGO_BIN_EXE_shakedown")).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", typed]).current_dir(files.path("")).env("PATH", path).env("COLUMNS", "100");
    shell.output().unwrap()
}

/// The replay file at `path` with something changed.
fn edited(path: &Path, change: impl Fn(&mut Json)) -> String {
    let mut replay: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    change(&mut replay);
    serde_json::to_string_pretty(&replay).unwrap()
}
