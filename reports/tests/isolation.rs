//! Transactions at the command: which levels a verdict names, what is asked, and what is noted.

mod shell;

use shell::{Files, code, shakedown, stderr, stdout};

/// Write skew: snapshot isolation allows it.
const WRITE_SKEW: &str = "\
{:process 0, :type :invoke, :f :txn, :value [[:r :x nil] [:w :y 1]]}
{:process 1, :type :invoke, :f :txn, :value [[:r :y nil] [:w :x 1]]}
{:process 0, :type :ok, :f :txn, :value [[:r :x nil] [:w :y 1]]}
{:process 1, :type :ok, :f :txn, :value [[:r :y nil] [:w :x 1]]}
";

/// A session that reads a key backwards: read committed allows it.
const BACKWARDS: &str = "\
{:process 0, :type :invoke, :f :txn, :value [[:w :x 1]]}
{:process 1, :type :invoke, :f :txn, :value [[:r :x nil]]}
{:process 0, :type :ok, :f :txn, :value [[:w :x 1]]}
{:process 1, :type :ok, :f :txn, :value [[:r :x 1]]}
{:process 1, :type :invoke, :f :txn, :value [[:r :x nil]]}
{:process 1, :type :ok, :f :txn, :value [[:r :x nil]]}
";

/// A session sees an effect and then not its cause: more than it is owed for itself, and less than causality.
const EFFECT_FIRST: &str = "\
{:process 0, :type :invoke, :f :txn, :value [[:w :x 1]]}
{:process 0, :type :ok, :f :txn, :value [[:w :x 1]]}
{:process 1, :type :invoke, :f :txn, :value [[:r :x nil] [:w :y 1]]}
{:process 1, :type :ok, :f :txn, :value [[:r :x 1] [:w :y 1]]}
{:process 2, :type :invoke, :f :txn, :value [[:r :y nil]]}
{:process 2, :type :ok, :f :txn, :value [[:r :y 1]]}
{:process 2, :type :invoke, :f :txn, :value [[:r :x nil]]}
{:process 2, :type :ok, :f :txn, :value [[:r :x nil]]}
";

/// What the command says, as one line.
fn said(args: &[&str]) -> String {
    let run = shakedown(args);
    let text = stdout(&run) + &stderr(&run);
    text.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ")
}

#[test]
fn only_what_is_violated_is_said_not_to_hold() {
    let files = Files::new();
    let skew = files.write("skew.edn", WRITE_SKEW);
    let back = files.write("back.edn", BACKWARDS);
    let levels = "serializable,snapshot-isolation";
    for (args, expected, junit) in [
        (
            vec!["-c", levels, &skew],
            "It is not serializable. Of what was asked, snapshot-isolation holds.",
            "message=\"not serializable: G2-item (write-skew)\"",
        ),
        (
            vec!["-a", "G-single-process", "-c", "read-committed", &back],
            "It shows G-single-process. Of what was asked, read-committed holds.",
            "message=\"shows G-single-process\"",
        ),
        (
            vec!["-a", "G-single-process", "-c", "strong-session-serializable", &back],
            "It is not strong-session-serializable, and shows G-single-process.",
            "message=\"not strong-session-serializable, and shows G-single-process\"",
        ),
    ] {
        let args = [&["check"], &args[..]].concat();
        let text = said(&args);
        assert!(text.contains(expected), "no {expected:?} in {text}");
        let report = said(&[&args[..], &["--format", "junit"]].concat());
        assert!(report.contains(junit), "no {junit:?} in {report}");
    }
}

#[test]
fn what_is_not_decided_comes_with_the_reason() {
    let files = Files::new();
    let skew = files.write("skew.edn", WRITE_SKEW);
    let effect = files.write("effect.edn", EFFECT_FIRST);
    // With a second writer, whom nobody read, the reads do not tell the order of the versions.
    let second =
        ["invoke", "ok"].map(|kind| format!("{{:process 7, :type :{kind}, :f :txn, :value [[:w :x 9]]}}\n"));
    let open = files.write("open.edn", &format!("{WRITE_SKEW}{}", second.concat()));
    for (args, name, expected, reason) in [
        (
            vec!["--time-limit", "0", "-c", "serializable", &skew],
            "serializable",
            "No verdict: serializable could not be decided: the time limit was reached.",
            "time",
        ),
        (
            vec!["--memory-limit", "1", "-c", "snapshot-isolation,read-committed", &open],
            "snapshot-isolation",
            "No verdict: snapshot-isolation could not be decided: the memory limit was reached. Of what was \
             asked, read-committed holds.",
            "memory",
        ),
        (
            vec!["-c", "pram", &effect],
            "pram",
            "No verdict: pram could not be decided: nothing that was found violates it, and nothing \
             proves it.",
            "history",
        ),
    ] {
        let args = [&["check", "--model", "rw-register"], &args[..]].concat();
        let text = said(&args);
        assert!(text.contains(expected), "no {expected:?} in {text}");
        let run = shakedown(&[&args[..], &["--format", "json"]].concat());
        assert_eq!(code(&run), 2);
        let json: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
        assert_eq!(json["isolation"]["undecided_because"][name], reason, "{json}");
    }
}

#[test]
fn reads_of_what_nobody_wrote_are_noted() {
    let files = Files::new();
    let history = files.write(
        "garbage.edn",
        "{:process 0, :type :invoke, :f :txn, :value [[:r :x nil] [:w :y 1]]}
{:process 0, :type :ok, :f :txn, :value [[:r :x 7] [:w :y 1]]}
{:process 0, :type :invoke, :f :txn, :value [[:r :x nil] [:r :z nil]]}
{:process 0, :type :ok, :f :txn, :value [[:r :x 7] [:r :z nil]]}
",
    );
    let args = ["check", "--model", "rw-register", &history];
    let note = "Note: 2 reads returned a value that nobody in the history wrote, the first of them 7 of key :x on \
                line 2; such values are taken to come from outside of the history, and --unwritten-reads forbid \
                makes them an anomaly.";
    let text = said(&args);
    assert!(text.contains("true 2 transactions") && text.contains(note), "{text}");
    for (whether, expected) in [("ignore", 0), ("forbid", 1)] {
        let args = [&args[..], &["--unwritten-reads", whether]].concat();
        let run = shakedown(&args);
        assert_eq!(code(&run), expected);
        assert!(
            !stdout(&run).contains("nobody in the history wrote, the first"),
            "who gave the option knows"
        );
    }
    let written = files.write("written.edn", WRITE_SKEW);
    assert!(!said(&["check", &written]).contains("nobody in the history wrote"));
}

#[test]
fn anomalies_have_elles_names_and_those_of_the_reports() {
    let files = Files::new();
    let skew = files.write("skew.edn", WRITE_SKEW);
    for (name, expected) in [
        ("write-skew", 1),
        ("G2", 1),
        ("G2-process", 1),
        ("read-skew", 0),
        ("GSIa", 0),
        ("GSIb", 0),
        ("long-fork", 0),
    ] {
        let run = shakedown(&["check", "-a", name, "-c", "snapshot-isolation", &skew]);
        assert_eq!(code(&run), expected, "{name}: {}{}", stdout(&run), stderr(&run));
    }
    let text = said(&["check", "-a", "write-skew", "-c", "snapshot-isolation", &skew]);
    assert!(text.contains("It shows G2-item (write-skew)."), "{text}");
    for (option, expected) in
        [("--anomalies", "known anomalies: "), ("--consistency", "known consistencies: ")]
    {
        let text = said(&["check", option, "nonsense", &skew]);
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
}

#[test]
fn options_of_elle_cli_are_answered_with_ours() {
    let files = Files::new();
    let skew = files.write("skew.edn", WRITE_SKEW);
    for (args, expected) in [
        (&["--cycle-search-timeout", "1000"][..], "--cycle-search-timeout is elle-cli's"),
        (&["--cycle-search-timeout", "1000"], "--time-limit SECONDS limits all of it"),
        (&["--directory", "out"], "--format json has every cycle"),
        (&["--verbose"], "explanations are printed unless --quiet"),
        (&["-v", "json"], "--format json prints all"),
        (&["--output", "json"], "--format json prints all"),
        (&["--format", "edn"], "elle-cli's --format is --input-format here"),
    ] {
        let run = shakedown(&[&["check", &skew], args].concat());
        let text = said(&[&["check", &skew], args].concat());
        assert_eq!(code(&run), 254, "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?} is not answered with {expected:?}: {text}");
    }
    let plots = [
        "--plot-format",
        "svg",
        "--plot-timeout",
        "5000",
        "--max-plot-bytes",
        "65536",
        "--max-transfer",
        "5",
    ];
    let run = shakedown(&[&["check", "--quiet", &skew], &plots[..]].concat());
    assert_eq!((code(&run), stderr(&run)), (1, String::new()), "they say nothing about the verdict");
    let run = shakedown(&[&["check", &skew], &plots[..]].concat());
    assert!(stderr(&run).contains("--plot-format, --plot-timeout, --max-plot-bytes, --max-transfer"));
    assert!(!stdout(&shakedown(&["check", "--help"])).contains("--plot-format"), "they are hidden");
}

#[test]
fn what_two_engines_find_is_told_once() {
    let files = Files::new();
    // The last reader is stale in real time, under snapshot isolation as well as under serializability.
    let stale = "\
{:process 0, :type :invoke, :f :txn, :value [[:w :x 1]]}
{:process 0, :type :ok, :f :txn, :value [[:w :x 1]]}
{:process 1, :type :invoke, :f :txn, :value [[:w :x 2]]}
{:process 1, :type :ok, :f :txn, :value [[:w :x 2]]}
{:process 2, :type :invoke, :f :txn, :value [[:r :x nil]]}
{:process 2, :type :ok, :f :txn, :value [[:r :x 1]]}
";
    let stale = files.write("stale.edn", stale);
    for levels in
        ["strict-serializable", "strong-snapshot-isolation", "strict-serializable,strong-snapshot-isolation"]
    {
        let text = said(&["check", "--model", "rw-register", "-c", levels, &stale]);
        assert!(!text.contains("Found:"), "{text}");
        assert_eq!(text.matches("G-single-realtime:").count(), 1, "{text}");
        assert!(text.contains("Violated, the weakest: strong-snapshot-isolation."), "{text}");
        assert!(text.contains("strong-session-serializable."), "{text}");
    }
}

#[test]
fn an_anomaly_that_is_asked_for_is_looked_for() {
    let files = Files::new();
    let own = |write: &str, nothing: &str| {
        let txns = [format!("[[:{write} x 1]]"), format!("[[:r x {nothing}]]")];
        let lines = txns.map(|txn| {
            ["invoke", "ok"].map(|kind| format!("{{:process 0, :type :{kind}, :f :txn, :value {txn}}}\n"))
        });
        lines.concat().concat()
    };
    let register = files.write("own.edn", &own("w", "nil"));
    let list = files.write("own-list.edn", &own("append", "[]"));
    let some = files.write(
        "some.edn",
        "{:process 0, :type :invoke, :f :txn, :value [[:w :x 1] [:w :y 1]]}
{:process 1, :type :invoke, :f :txn, :value [[:r :x nil] [:r :y nil]]}
{:process 0, :type :ok, :f :txn, :value [[:w :x 1] [:w :y 1]]}
{:process 1, :type :ok, :f :txn, :value [[:r :x 1] [:r :y nil]]}
",
    );
    for (name, history, expected) in [
        ("read-your-writes-violation", &register, 1),
        ("read-your-writes-violation", &list, 1),
        ("monotonic-reads-violation", &register, 0),
        ("fractured-read", &some, 1),
        ("causality-violation", &some, 1),
        ("lost-update", &some, 0),
    ] {
        let args = ["check", "-a", name, "-c", "read-uncommitted", history];
        let run = shakedown(&args);
        assert_eq!(code(&run), expected, "{name}: {}{}", stdout(&run), stderr(&run));
    }
}
