//! The binary as its users meet it: exit codes, streams, many files, wrong input, interrupts.

mod shell;

use shell::{Files, code, command, shakedown, shakedown_fed, stderr, stdout};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_bundled_histories_are_files_too() {
    let run = shakedown(&["check", "--quiet", &demo("stale-read.jsonl"), &demo("crashed-write.jsonl")]);
    let expected = format!("{}\tfalse\n{}\ttrue\n", demo("stale-read.jsonl"), demo("crashed-write.jsonl"));
    assert_eq!(stdout(&run), expected, "verdict lines, and nothing else");
    assert_eq!(code(&run), 1);
    let run = shakedown(&["check", "--certify", &demo("stale-read.jsonl")]);
    assert!(stdout(&run).contains("re-checked this witness, and it holds"), "{}", stdout(&run));
}

#[test]
fn exit_codes_tell_valid_invalid_unknown_and_bad_input_apart() {
    let files = Files::new();
    let valid = files.write("valid.edn", "{:process 0, :type :ok, :f :write, :value 1}");
    let invalid = files.write("invalid.edn", "{:process 0, :type :ok, :f :read, :value 1}");
    let broken = files.write("broken.edn", "{:process 0, :type :ok, :f :read, :value ]}");
    let hard = hard(&files, "hard.jsonl");
    for (paths, expected) in [
        (vec![&valid], 0),
        (vec![&invalid], 1),
        (vec![&hard], 2),
        (vec![&broken], 254),
        (vec![&valid, &hard], 2),
        (vec![&hard, &invalid, &valid], 1),
        (vec![&invalid, &broken, &valid], 254),
    ] {
        let mut args = vec!["check", "--model", "cas-register", "--time-limit", "1"];
        args.extend(paths.iter().map(|path| path.as_str()));
        let run = shakedown(&args);
        assert_eq!(code(&run), expected, "{paths:?}\n{}{}", stdout(&run), stderr(&run));
    }
    let run = shakedown(&["check", "--model", "cas-register", "--time-limit", "1", &hard]);
    assert!(stdout(&run).contains("\tunknown\n  "), "{}", stdout(&run));
    assert!(stdout(&run).contains("No verdict: the time limit was reached."), "{}", stdout(&run));
}

#[test]
fn wrong_arguments_are_254_with_the_nearest_name() {
    for (args, said) in [
        (vec!["check"], "required arguments were not provided"),
        (vec!["chekc", "x"], "unrecognized subcommand"),
        (vec!["check", "--nonsense", "x"], "unexpected argument"),
        (vec!["check", "--model", "cas-regster", "x"], "did you mean cas-register?"),
        (vec!["check", "--model", "elephant", "x"], "fifo-queue"),
        (vec!["check", "--input-format", "ednn", "x"], "did you mean edn?"),
        (vec!["check", "--time-limit", "-1", "x"], "--time-limit"),
        (vec!["check", "--memory-limit", "2X", "x"], "such as 512M, 2G"),
        (vec!["check", "--threads", "0", "x"], "--threads"),
        (vec!["check", "--consistency", "eventual", "x"], "per-key"),
        (vec!["models", "elephant"], "there is no model elephant"),
        (vec!["convert", "only-one"], "<OUT>"),
        (vec!["check", "-", "x", "-"], "`-` is given more than once"),
        (vec!["generate", "--model", "elephant"], "known models: register"),
        (vec!["generate", "--violation", "stale-reed"], "did you mean stale-read?"),
        (vec!["generate", "--violation", "nosuch"], "register has: stale-read, future-read, phantom\n"),
        (vec!["generate", "-m", "mutex", "--violation", "stale-read"], "mutex has no violation stale-read"),
        (vec!["generate", "-m", "mutex", "--violation", "double-aquire"], "did you mean double-acquire?"),
        (vec!["generate", "--values", "many"], "distinct"),
        (vec!["generate", "-m", "list-append", "--violation", "G-singel"], "did you mean G-single?"),
        (vec!["generate", "-m", "rw-register", "--violation", "G0"], "rw-register has no anomaly G0"),
        (vec!["generate", "-m", "list-append", "--level", "causal"], "has no level causal"),
        (vec!["generate", "-m", "list-append", "--values", "0..5"], "neither --values nor --mix"),
        (vec!["generate", "-m", "stack", "--abort-rate", "0.1"], "stack has no transactions"),
        (vec!["generate", "-m", "reentrant-mutex:2"], "generate makes it only without a bound"),
        (vec!["generate", "-n", "1", "-c", "5", "--violation", "stale-read"], "1 operation of 5 clients"),
        (vec!["check", "-m", "reentrant-mutex:0", "x"], "the bound must be a whole number, at least 1"),
        (vec!["no-such-history.edn"], "shakedown check no-such-history.edn"),
    ] {
        let run = shakedown(&args);
        assert_eq!(code(&run), 254, "{args:?}: {}", stderr(&run));
        assert!(stderr(&run).contains(said), "{args:?} is not answered with {said:?}:\n{}", stderr(&run));
        assert_eq!(stdout(&run), "", "{args:?}");
    }
}

#[test]
fn a_negative_value_is_answered_with_what_is_expected() {
    let (time, length) =
        ("expected a time from 0 up with its unit", "expected a number of milliseconds from 1 to");
    for (args, said) in [
        (vec!["run", "raft", "--time", "-1s"], time),
        (vec!["run", "raft", "-t", "-1s"], time),
        (vec!["run", "raft", "--time=-1s"], time),
        (vec!["run", "raft", "--time", "-1"], time),
        (vec!["run", "raft", "--shrink-time", "-500ms"], time),
        (vec!["run", "raft", "--length", "-1s"], length),
        (vec!["run", "raft", "--length", "-1"], length),
        (vec!["run", "raft", "--seeds", "-5..5"], "expected a range such as 0..1000"),
        (vec!["mutants", "abd", "--time-max", "-1m"], time),
        (vec!["mutants", "abd", "--shrink-time", "-1h"], time),
        (vec!["mutants", "abd", "--length", "-1s"], length),
        (vec!["mutants", "abd", "--repeats", "-1"], "-1 is not in 1..=1000"),
        (vec!["explore", "abd", "--port", "-1"], "-1 is not in 0..=65535"),
        (vec!["check", "--time-limit", "-1s", "x"], "expected a number of seconds from 0 up"),
        (vec!["check", "--time-limit", "-1", "x"], "expected a number of seconds from 0 up"),
        (vec!["check", "--memory-limit", "-1G", "x"], "such as 512M, 2G"),
        (vec!["check", "--threads", "-1", "x"], "-1 is not in 1..=1024"),
        (vec!["generate", "--operations", "-1"], "-1 is not in 0..="),
    ] {
        let run = shakedown(&args);
        assert_eq!(code(&run), 254, "{args:?}: {}", stderr(&run));
        let error = stderr(&run).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(error.contains("invalid value '-") && error.contains(said), "{args:?}: {error}");
    }
}

#[test]
fn help_and_version_are_no_errors_and_have_examples() {
    for command in ["check", "models", "convert", "generate"] {
        let run = shakedown(&[command, "--help"]);
        assert_eq!(code(&run), 0);
        assert!(stdout(&run).contains(&format!("Examples:\n  shakedown {command}")), "{}", stdout(&run));
    }
    assert_eq!(code(&shakedown(&["--version"])), 0);
}

#[test]
fn a_file_that_cannot_be_read_does_not_stop_the_others() {
    let files = Files::new();
    let broken =
        files.write("broken.jsonl", "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n{\"process\":0,]\n");
    let binary = files.write_bytes("binary.edn", &[0, 159, 146, 150, 255, 1, 2, 3]);
    let empty = files.write("empty.edn", "; nothing happened\n");
    let missing = files.path("missing.edn");
    let folder = files.path("");
    let valid = demo("crashed-write.jsonl");
    let run = shakedown(&["check", "--quiet", &broken, &binary, &empty, &missing, &folder, &valid]);
    assert_eq!(stdout(&run), format!("{valid}\ttrue\n"), "a line for what was judged, and for nothing else");
    assert_eq!(code(&run), 254);
    let err = stderr(&run);
    for said in [
        format!("{broken}:2:14"),
        format!("{binary}: not a history in a known format"),
        format!("{empty}: no operations"),
        format!("{missing}: "),
        format!("{folder}: "),
    ] {
        assert!(err.contains(&said), "no {said:?} in:\n{err}");
    }
    assert!(err.contains("2 | {\"process\":0,]"), "the line is quoted with its number:\n{err}");
}

#[test]
fn operations_that_the_model_does_not_know_are_shown_where_they_stand() {
    let files = Files::new();
    let path = files.write(
        "bank.edn",
        "{:process 0, :type :ok, :f :read, :value 1}\n{:process 0, :type :ok, :f :remit, :value 1}\n",
    );
    let run = shakedown(&["check", &path]);
    assert_eq!(code(&run), 254);
    assert!(stderr(&run).contains("name it with --model"), "it cannot be guessed:\n{}", stderr(&run));
    let run = shakedown(&["check", "--model", "register", &path]);
    assert_eq!(code(&run), 254);
    let err = stderr(&run);
    assert!(err.contains("2 | {:process 0, :type :ok, :f :remit, :value 1}"), "{err}");
    assert!(err.contains("shakedown models register"), "it says where to look:\n{err}");
}

#[test]
fn porcupines_keys_start_empty_unless_told_otherwise() {
    let files = Files::new();
    let get = "{:process 0, :type :invoke, :f :get, :key \"a\", :value nil}\n\
               {:process 0, :type :ok, :f :get, :key \"a\", :value \"\"}\n";
    let path = files.write("log.txt", get);
    assert_eq!(code(&shakedown(&["check", &path])), 0);
    assert_eq!(code(&shakedown(&["check", "--initial", "nil", &path])), 1);
    let json = files.path("log.jsonl");
    let said = stderr(&shakedown(&["convert", &path, &json]));
    assert!(said.contains("judge ") && said.contains("log.jsonl with `--initial '\"\"'`"), "{said}");
    assert_eq!(code(&shakedown(&["check", &json])), 1, "JSON lines do not say where keys start");
    assert_eq!(code(&shakedown(&["check", "--initial", "\"\"", &json])), 0, "what the note says");
    assert_eq!(stderr(&shakedown(&["convert", &path, &files.path("copy.txt")])), "");
    assert_eq!(stderr(&shakedown(&["convert", &json, &files.path("copy.edn")])), "");
}

#[test]
fn an_invalid_verdict_by_a_guessed_model_names_the_others() {
    let files = Files::new();
    let path = files.write(
        "q.edn",
        "{:process 0, :type :ok, :f :enqueue, :value 1}\n{:process 0, :type :ok, :f :enqueue, :value 2}\n\
         {:process 0, :type :ok, :f :dequeue, :value 2}\n",
    );
    let run = shakedown(&["check", &path]);
    assert_eq!(code(&run), 1);
    let text = stdout(&run).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("It was judged as fifo-queue by a guess: if the queue keeps no order, use"),
        "{text}"
    );
    let named = stdout(&shakedown(&["check", "--model", "fifo-queue", &path]));
    assert!(named.contains("\tfalse\n") && !named.contains("guess"), "{named}");
    assert_eq!(code(&shakedown(&["check", "--model", "unordered-queue", &path])), 0);
}

#[test]
fn a_file_without_a_command_is_answered_with_check() {
    let files = Files::new();
    let path = files.write("history", "{:process 0, :type :ok, :f :write, :value 1}");
    let run = shakedown(&[&path]);
    assert_eq!(code(&run), 254);
    assert!(stderr(&run).contains(&format!("shakedown check {path}")), "{}", stderr(&run));
    let said = stderr(&shakedown(&["frobnicate"]));
    assert!(!said.contains("shakedown check"), "{said}");
}

#[test]
fn processes_that_are_strings_and_odd_names_are_pointed_out() {
    let files = Files::new();
    let path = files.write("s.jsonl", "{\"process\":\"0\",\"type\":\"ok\",\"f\":\"read\",\"value\":1}\n");
    let said = stderr(&shakedown(&["check", &path])).replace("\n", " ");
    assert!(said.contains("no operations") && said.contains("the string \"0\""), "{said}");
    let path = files.write("c.jsonl", "{\"process\":0,\"type\":\"ok\",\"f\":\"re\\u0007ad\",\"value\":1}\n");
    for args in [&["check", &path][..], &["check", "--model", "register", &path]] {
        let said = stderr(&shakedown(args));
        assert!(said.contains("re\\u{7}ad") && !said.contains('\u{7}'), "{said}");
    }
}

#[test]
fn one_completion_without_an_invocation_is_told_in_the_singular() {
    for (events, note) in [
        (1, "1 completion without an invocation (at line 1) was read as an instantaneous operation."),
        (2, "2 completions without an invocation (first at line 1) were read as instantaneous operations."),
    ] {
        let lines: String =
            (0..events).map(|i| format!("{{:process {i}, :type :ok, :f :write, :value 1}}\n")).collect();
        let text = stdout(&shakedown_fed(&["check", "-"], lines.as_bytes()));
        assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(note), "{text}");
    }
}

#[test]
fn standard_input_is_a_file_called_dash() {
    let run =
        shakedown_fed(&["check", "--quiet", "-"], "{:process 0, :type :ok, :f :write, :value 1}".as_bytes());
    assert_eq!((stdout(&run).as_str(), code(&run)), ("-\ttrue\n", 0));
    let run = shakedown_fed(&["check", "--quiet", "-"], b"{:process 0");
    assert_eq!(code(&run), 254);
    assert!(stderr(&run).contains("standard input:1:12"), "{}", stderr(&run));
}

#[test]
fn json_has_one_object_per_file_errors_included() {
    let run = shakedown(&[
        "check",
        "--format",
        "json",
        "--certify",
        &demo("stale-read.jsonl"),
        "missing.edn",
        &demo("crashed-write.jsonl"),
    ]);
    let objects: Vec<serde_json::Value> =
        stdout(&run).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let verdicts: Vec<&str> = objects.iter().map(|object| object["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["invalid", "error", "valid"]);
    assert!(!objects[0]["witness"]["core"].as_array().unwrap().is_empty());
    assert_eq!(objects[0]["certified"], true);
    assert_eq!(objects[2]["certificate"][0]["order"].as_array().unwrap().len(), 4);
    assert!(objects[1]["error"].as_str().unwrap().contains("missing.edn"));
}

#[test]
fn junit_has_one_test_case_per_file() {
    let run = shakedown(&[
        "check",
        "--format",
        "junit",
        &demo("stale-read.jsonl"),
        "missing.edn",
        &demo("crashed-write.jsonl"),
    ]);
    let text = stdout(&run);
    assert!(text.contains(r#"tests="3" skipped="0" failures="1" errors="1""#), "{text}");
    assert!(text.contains(r#"<failure message="not linearizable" type="invalid">"#), "{text}");
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let path = demo("stale-read.jsonl");
    let escape = '\u{1b}';
    let run = |vars: &[(&str, &str)]| {
        let mut command = command(&["check", &path]);
        command.envs(vars.iter().copied());
        stdout(&command.output().unwrap())
    };
    assert!(!run(&[]).contains(escape), "colour in a pipe");
    assert!(run(&[("CLICOLOR_FORCE", "1")]).contains(escape), "no colour although it was forced");
    assert!(!run(&[("NO_COLOR", "1")]).contains(escape), "colour in spite of NO_COLOR");
}

#[test]
fn the_text_keeps_to_the_width_of_the_terminal() {
    for columns in [60, 160] {
        let mut command = command(&["check", "--certify", &demo("stale-read.jsonl")]);
        let out = stdout(&command.env("COLUMNS", columns.to_string()).output().unwrap());
        // The first line is for programs and holds a path, however long.
        for line in out.lines().skip(1) {
            assert!(textwrap::core::display_width(line) <= columns, "wider than {columns}: {line}");
        }
    }
}

#[test]
fn histories_survive_conversion_and_compression() {
    let files = Files::new();
    let original = demo("stale-read.jsonl");
    let mut from = original.clone();
    for name in ["a.edn", "b.jsonl.gz", "c.edn.zst", "d.log", "e.json"] {
        let to = files.path(name);
        let run = shakedown(&["convert", &from, &to]);
        assert_eq!(code(&run), 0, "{from} to {to}: {}", stderr(&run));
        from = to;
    }
    assert_eq!(code(&shakedown(&["check", "--quiet", &from])), 1, "the violation is still there");
    let run = shakedown(&["convert", &from, "-", "--output-format", "edn"]);
    assert_eq!(
        stdout(&run),
        fs::read_to_string(files.path("a.edn")).unwrap(),
        "the round trip lost something"
    );
    let gzip = fs::read(files.path("b.jsonl.gz")).unwrap();
    let zstd = fs::read(files.path("c.edn.zst")).unwrap();
    assert!(gzip.starts_with(&[0x1f, 0x8b]) && zstd.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), "not compressed");
}

#[test]
fn a_name_that_says_no_format_gets_json_lines() {
    let files = Files::new();
    let input = files.write("in.edn", "{:process 0, :type :ok, :f :read, :value 1}");
    for (name, magic) in
        [("history", &b"{\"index\":0"[..]), ("h.gz", &[0x1f, 0x8b]), ("h.json.zst", &[0x28, 0xb5])]
    {
        let output = files.path(name);
        assert_eq!(code(&shakedown(&["convert", &input, &output])), 0, "{name}");
        assert!(fs::read(&output).unwrap().starts_with(magic), "{name}");
        assert_eq!(
            stdout(&shakedown(&["check", "--quiet", "-m", "register", &output])),
            format!("{output}\tfalse\n")
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_is_full_is_named_and_stays_a_device() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    // Through a link, so that a rename in the wrong place would hit the link.
    let files = Files::new();
    let full = files.path("full.edn");
    symlink("/dev/full", &full).unwrap();
    let run = shakedown(&["generate", "-o", &full]);
    assert_eq!(code(&run), 254);
    assert!(stderr(&run).contains("full.edn: No space left on device"), "{}", stderr(&run));
    assert!(fs::metadata(&full).unwrap().file_type().is_char_device());
    assert!(!Path::new("/dev/full.unfinished").exists());
    let run = shakedown(&["generate", "-o", "/dev/full"]);
    assert!(stderr(&run).contains("/dev/full: No space left on device"), "{}", stderr(&run));
    let run = command(&["generate"]).stdout(fs::File::create("/dev/full").unwrap()).output().unwrap();
    assert_eq!(code(&run), 254);
    assert!(stderr(&run).contains("standard output: No space left on device"), "{}", stderr(&run));
}

#[cfg(unix)]
#[test]
fn a_link_to_the_output_stays_a_link() {
    let files = Files::new();
    let (file, link) = (files.write("real.jsonl", "old"), files.path("link.jsonl"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(code(&shakedown(&["generate", "-n", "1", "-o", &link])), 0);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&file).unwrap().starts_with("{\"index\":0"));
}

#[test]
fn explanations_are_set_apart_and_nothing_trails() {
    let (stale, crashed) = (demo("stale-read.jsonl"), demo("crashed-write.jsonl"));
    let missing = "no/such/file".to_owned();
    for files in
        [vec![&stale], vec![&stale, &crashed], vec![&stale, &missing, &crashed], vec![&missing, &stale]]
    {
        let mut args = vec!["check"];
        args.extend(files.iter().map(|file| file.as_str()));
        let out = stdout(&shakedown(&args));
        assert!(!out.starts_with('\n') && !out.ends_with("\n\n") && !out.contains("\n\n\n"), "{out:?}");
        for file in [&stale, &crashed] {
            let at = out.find(&format!("{file}\t"));
            assert!(at.is_none_or(|at| at == 0 || out[..at].ends_with("\n\n")), "{out}");
        }
        let summary = out.find(" files: ").map_or(0, |at| out[..at].rfind('\n').unwrap());
        assert!(files.len() == 1 || out[..summary].ends_with('\n'), "{out}");
    }
    let run = shakedown(&["check", "--quiet", &stale, &crashed]);
    assert!(!stdout(&run).contains("\n\n"), "{}", stdout(&run));
}

#[test]
fn a_format_that_the_content_contradicts_is_pointed_out() {
    let files = Files::new();
    let json = files.write("h.jsonl", "{\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"value\":1}\n");
    let edn = files.write("h.edn", "{:process 0, :type :ok, :f :read, :value 1}\n");
    let broken = files.write("b.edn", "{:process 0, :type :ok, :f :read, :value 1\n");
    for (path, named, hint) in [
        (&json, "edn", Some("looks like json")),
        (&json, "jepsen-log", Some("looks like json")),
        (&edn, "json", Some("looks like edn")),
        (&edn, "porcupine-kv", Some("looks like edn")),
        (&broken, "edn", None),
    ] {
        let run = shakedown(&["check", "--input-format", named, path]);
        assert_eq!(code(&run), 254, "{named} {path}");
        let said = stderr(&run);
        match hint {
            Some(hint) => assert!(said.contains(hint), "{said}"),
            None => assert!(!said.contains("looks like"), "{said}"),
        }
    }
}

#[test]
fn what_does_not_fit_a_format_is_refused_and_leaves_the_target_alone() {
    let files = Files::new();
    let queue = files.write("queue.edn", "{:process 0, :type :ok, :f :enqueue, :value 1}");
    let target = files.write("target.log", "what was here before");
    let run = shakedown(&["convert", &queue, &target]);
    assert_eq!(code(&run), 254);
    assert!(stderr(&run).contains("jepsen-log"), "{}", stderr(&run));
    assert_eq!(fs::read_to_string(&target).unwrap(), "what was here before");
    assert!(!Path::new(&files.path("target.log.unfinished")).exists());
}

#[test]
fn a_format_of_sessions_keeps_their_verdicts_and_convert_says_what_it_does_not_keep() {
    let files = Files::new();
    // The second transaction timed out, and the third missed one of its writes and saw the other.
    let path = files.write(
        "history.edn",
        "{:process 0, :type :invoke, :f :txn, :value [[:w 1 1] [:w 2 1]]}\n\
         {:process 0, :type :ok, :f :txn, :value [[:w 1 1] [:w 2 1]]}\n\
         {:process 1, :type :invoke, :f :txn, :value [[:r 1 nil] [:w 1 2] [:w 2 2]]}\n\
         {:process 1, :type :info, :f :txn, :value [[:r 1 nil] [:w 1 2] [:w 2 2]]}\n\
         {:process 2, :type :invoke, :f :txn, :value [[:r 1 nil] [:r 2 nil]]}\n\
         {:process 2, :type :ok, :f :txn, :value [[:r 1 nil] [:r 2 2]]}\n",
    );
    let plume = files.path("history.txt");
    let run = shakedown(&["convert", &path, &plume, "--output-format", "plume"]);
    let said = stderr(&run);
    assert_eq!(code(&run), 0, "{said}");
    assert!(said.contains("note: the plume format has sessions and no real time"), "{said}");
    assert!(said.contains("note: the plume format has no words for an outcome that nobody knows"), "{said}");
    for (level, expected) in [("read-committed", 0), ("read-atomic", 1)] {
        for file in [&path, &plume] {
            let run = shakedown(&["check", "--model", "rw-register", "--consistency", level, file]);
            let found = code(&run);
            assert_eq!(found, expected, "{level} {file}");
        }
    }
    let run = shakedown(&["convert", &plume, &files.path("again.txt"), "--output-format", "awdit"]);
    assert_eq!((code(&run), stderr(&run).contains("note")), (0, false), "{}", stderr(&run));
}

#[test]
fn generated_histories_are_judged_as_they_were_planned() {
    let files = Files::new();
    for (model, violation) in [("register", "stale-read"), ("fifo-queue", "duplicate"), ("kv", "lost")] {
        let args = ["generate", "--model", model, "-n", "60", "--clients", "3", "--seed", "5"];
        let valid = shakedown(&args);
        assert_eq!(code(&valid), 0, "{}", stderr(&valid));
        assert_eq!(valid.stdout, shakedown(&args).stdout, "one seed, one history");
        let path = files.path("invalid.edn.gz");
        let invalid = shakedown(&[&args[..], &["--violation", violation, "-o", &path]].concat());
        assert_eq!(code(&invalid), 0, "{}", stderr(&invalid));
        assert_eq!(code(&shakedown_fed(&["check", "--model", model, "-"], &valid.stdout)), 0, "{model}");
        assert_eq!(code(&shakedown(&["check", "--model", model, &path])), 1, "{model} with {violation}");
    }
}

#[test]
fn transactions_are_generated_by_their_level_and_anomaly() {
    for (model, level) in [("list-append", "snapshot-isolation"), ("rw-register", "causal")] {
        let args = ["generate", "--model", model, "-n", "60", "--level", level, "--abort-rate", "0.1"];
        let more = [
            "--key-skew",
            "zipf:1",
            "--session-skew",
            "exponential:1.5",
            "--length",
            "2-3",
            "--key-life",
            "8",
        ];
        let args = [&args[..], &more].concat();
        let valid = shakedown(&args);
        assert_eq!(code(&valid), 0, "{}", stderr(&valid));
        assert_eq!(valid.stdout, shakedown(&args).stdout, "one seed, one history");
        assert!(stdout(&valid).lines().count() == 120 && stdout(&valid).contains("\"f\":\"txn\""));
        let invalid = shakedown(&[&args[..], &["--violation", "g-single", "--position", "end"]].concat());
        assert_eq!(code(&invalid), 0, "{}", stderr(&invalid));
        assert_ne!(valid.stdout, invalid.stdout);
    }
}

#[test]
fn models_are_listed_for_people_and_programs() {
    let text = stdout(&shakedown(&["models"]));
    let all: serde_json::Value =
        serde_json::from_str(&stdout(&shakedown(&["models", "--format", "json"]))).unwrap();
    for model in all.as_array().unwrap() {
        let name = model["name"].as_str().unwrap();
        assert!(
            text.contains(&format!("\n{name}  ")) || text.starts_with(&format!("{name}  ")),
            "no {name} in:\n{text}"
        );
        assert_eq!(code(&shakedown(&["models", name])), 0);
    }
    let one = stdout(&shakedown(&["models", "cas-register"]));
    assert!(one.contains("[from to]") && one.contains("initial value:"), "{one}");
}

#[test]
fn the_examples_in_the_readme_are_what_the_command_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for demo in ["reports/demo/stale-read.jsonl", "reports/demo/write-skew.edn"] {
        let block = readme.split(&format!("```console\n$ shakedown check {demo}\n")).nth(1).unwrap();
        let shown = block.split("```").next().unwrap();
        let run = command(&["check", demo]).current_dir(root).output().unwrap();
        assert_eq!(stdout(&run).trim_end(), shown.trim_end(), "copy what the command prints into README.md");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let mut child = command(&["models", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let run = child.wait_with_output().unwrap();
    assert!(!stderr(&run).contains("panicked"), "{}", stderr(&run));
    assert_eq!(code(&run), 0);
}

#[cfg(unix)]
mod interrupts {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::Child;

    /// A child that reads its history from a named pipe: once the pipe is open on both sides, the
    /// child listens to signals, and there is no need to sleep and hope.
    fn reading_from_pipe(files: &Files) -> (Child, fs::File) {
        let pipe = files.path("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let child = command(&["check", "--model", "cas-register", "--time-limit", "120", &pipe])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        (child, fs::File::options().write(true).open(&pipe).unwrap())
    }

    fn interrupt(child: &Child) {
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    }

    #[test]
    fn during_a_check_ends_with_unknown_and_what_is_known() {
        let files = Files::new();
        let history = fs::read(hard(&files, "hard.jsonl")).unwrap();
        let (child, mut pipe) = reading_from_pipe(&files);
        pipe.write_all(&history).unwrap();
        drop(pipe);
        // Whether the signal meets the reader or the engines, the answer is the same.
        interrupt(&child);
        let run = child.wait_with_output().unwrap();
        assert_eq!(code(&run), 2, "{}{}", stdout(&run), stderr(&run));
        assert!(stdout(&run).contains("\tunknown\n"), "{}", stdout(&run));
        assert!(stderr(&run).contains("interrupted"), "{}", stderr(&run));
    }

    #[test]
    fn during_reading_ends_with_unknown() {
        let files = Files::new();
        let (mut child, pipe) = reading_from_pipe(&files);
        interrupt(&child);
        let mut said = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("interrupted: stopping"), "{said}");
        drop(pipe);
        assert_eq!(child.wait().unwrap().code(), Some(2));
    }

    #[test]
    fn twice_ends_at_once() {
        let files = Files::new();
        let (mut child, pipe) = reading_from_pipe(&files);
        interrupt(&child);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut String::new()).unwrap();
        // It waits for the pipe, which stays open, so that only a second signal can end it.
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(2));
        drop(pipe);
    }
}

fn demo(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo").join(name).display().to_string()
}

/// A history that no engine decides in an instant: very many clients on one small register, and no order to find.
fn hard(files: &Files, name: &str) -> String {
    let path = files.path(name);
    let run = shakedown(&[
        "generate",
        "--model",
        "cas-register",
        "-n",
        "5000",
        "-c",
        "200",
        "--violation",
        "stale-read",
        "-o",
        &path,
    ]);
    assert_eq!(code(&run), 0, "{}", stderr(&run));
    path
}

/// Three transactions, the last of which saw the first's write and not the second's: an order for each kind of
/// proof.
#[test]
fn certify_prints_the_order_of_transactions() {
    let events = |write: &str, seen: &str| {
        let txn = |process: u32, value: &str| {
            format!(
                "{{:process {process}, :type :invoke, :f :txn, :value {value}}}\n\
                 {{:process {process}, :type :ok, :f :txn, :value {value}}}\n"
            )
        };
        let third = format!("[[:r x {seen}]]");
        txn(0, &format!("[[:{write} x 1]]")) + &txn(1, &format!("[[:{write} y 1]]")) + &txn(2, &third)
    };
    for (model, history) in [("list-append", events("append", "[1]")), ("rw-register", events("w", "1"))] {
        let run = shakedown_fed(&["check", "--certify", "--model", model, "-"], history.as_bytes());
        let text = stdout(&run);
        assert_eq!(code(&run), 0, "{text}");
        assert!(text.contains("Order (strict-serializable; one after the other):"), "{text}");
        assert!(text.contains("3. lines 5 and 6  [[:r x"), "{text}");
        let args = ["check", "--certify", "--format", "json", "--model", model, "-"];
        let run = shakedown_fed(&args, history.as_bytes());
        let json: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        let proof = &json["isolation"]["certificates"][0];
        assert_eq!(proof["level"], "strict-serializable", "{json}");
        assert_eq!(proof["order"], serde_json::json!([0, 1, 2]), "{json}");
    }
    let skew = shakedown(&["check", "--certify", &demo("write-skew.edn")]);
    assert!(!stdout(&skew).contains("(strict-serializable;"), "{}", stdout(&skew));
}
