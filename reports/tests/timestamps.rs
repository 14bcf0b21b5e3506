//! `shakedown check --timestamps`, from the stores that `generate` simulates to verdicts in every format.

mod shell;

use shell::{Files, code, shakedown, shakedown_fed, stderr, stdout};

/// A history with timestamps, from a store of that level, with more arguments for it.
fn generated(model: &str, level: &str, more: &[&str]) -> Vec<u8> {
    let args = ["generate", "--model", model, "--level", level, "-n", "400", "-c", "8", "--timestamps"];
    let run = shakedown(&[&args[..], more].concat());
    assert_eq!(code(&run), 0, "{model} {level} {more:?}: {}", stderr(&run));
    run.stdout
}

/// The exit code for a history that is held to that level by its timestamps, the proof re-checked.
fn judged(history: &[u8], level: &str) -> (i32, String) {
    let args =
        ["check", "--timestamps", "--certify", "--unwritten-reads", "forbid", "--consistency", level, "-"];
    let run = shakedown_fed(&args, history);
    (code(&run), stdout(&run) + &stderr(&run))
}

#[test]
fn the_stores_of_generate_are_told_apart_by_their_timestamps() {
    // What each level says of the timestamps of each store: 0 holds, 1 does not.
    let levels = [
        "prefix",
        "snapshot-isolation",
        "serializable",
        "strong-session-serializable",
        "strong-snapshot-isolation",
        "strict-serializable",
    ];
    for (store, models, expected) in [
        ("strict-serializable", &["list-append", "rw-register"][..], [0, 0, 0, 0, 0, 0]),
        // Who only reads may be shown the past.
        ("serializable", &["list-append", "rw-register"], [0, 0, 0, 1, 1, 1]),
        ("snapshot-isolation", &["list-append", "rw-register"], [0, 0, 1, 1, 0, 1]),
        ("parallel-snapshot-isolation", &["list-append", "rw-register"], [1, 1, 1, 1, 1, 1]),
        ("causal", &["rw-register"], [1, 1, 1, 1, 1, 1]),
        ("read-atomic", &["rw-register"], [1, 1, 1, 1, 1, 1]),
        ("read-committed", &["list-append", "rw-register"], [1, 1, 1, 1, 1, 1]),
    ] {
        for model in models {
            let history = generated(model, store, &["--abort-rate", "0.1"]);
            for (level, expected) in levels.iter().zip(expected) {
                let (code, said) = judged(&history, level);
                assert_eq!(code, expected, "{model} from a store that is {store}, as {level}:\n{said}");
                assert!(said.contains("Certified: the independent validator"), "{said}");
            }
        }
    }
}

#[test]
fn planted_anomalies_are_found_by_timestamps() {
    for (model, anomaly, level, kind) in [
        ("list-append", "G0", "snapshot-isolation", "external-read"),
        ("list-append", "G1a", "snapshot-isolation", "external-read"),
        ("list-append", "G1b", "prefix", "external-read"),
        ("list-append", "G1c", "prefix", "external-read"),
        ("list-append", "dirty-update", "prefix", "external-read"),
        ("list-append", "duplicate-elements", "prefix", "external-read"),
        ("list-append", "incompatible-order", "prefix", "external-read"),
        ("list-append", "lost-update", "snapshot-isolation", "write-conflict"),
        ("list-append", "write-skew", "serializable", "external-read"),
        ("list-append", "internal", "prefix", "internal-read"),
        ("rw-register", "G-single", "snapshot-isolation", "write-conflict"),
        ("rw-register", "long-fork", "snapshot-isolation", "external-read"),
        ("rw-register", "future-read", "prefix", "external-read"),
        ("rw-register", "garbage-read", "prefix", "external-read"),
        ("rw-register", "fractured-read", "prefix", "external-read"),
        ("rw-register", "G2-item-realtime", "strict-serializable", "external-read"),
    ] {
        let history = generated(model, "strict-serializable", &["--violation", anomaly]);
        let (code, said) = judged(&history, level);
        assert_eq!(code, 1, "{anomaly} in {model}, as {level}:\n{said}");
        assert!(said.contains(&format!("{kind}: ")), "{anomaly} in {model}, as {level}:\n{said}");
        assert!(said.contains("Certified"), "{said}");
    }
    // What a level allows is no anomaly under it.
    let skewed = generated("list-append", "strict-serializable", &["--violation", "write-skew"]);
    assert_eq!(judged(&skewed, "snapshot-isolation").0, 0);
}

#[test]
fn transactions_that_crashed_and_were_seen_have_a_place() {
    for (model, level) in [("list-append", "snapshot-isolation"), ("rw-register", "serializable")] {
        let history = generated(model, level, &["--crash-rate", "0.05"]);
        let (code, said) = judged(&history, level);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("of unknown outcome, without timestamps, had been seen by others"), "{said}");
    }
}

/// Write 4, committed at 15, and a read of 3 at 17.
const STALE: &str = r#"{"process":0,"type":"invoke","f":"txn","value":[["w","x",3]]}
{"process":0,"type":"ok","f":"txn","value":[["w","x",3]],"start-ts":9,"commit-ts":10}
{"process":1,"type":"invoke","f":"txn","value":[["w","x",4]]}
{"process":2,"type":"invoke","f":"txn","value":[["r","x",null]]}
{"process":1,"type":"ok","f":"txn","value":[["w","x",4]],"start-ts":14,"commit-ts":15}
{"process":2,"type":"ok","f":"txn","value":[["r","x",3]],"start-ts":17,"commit-ts":17}
"#;

#[test]
fn what_is_correct_without_timestamps_may_be_wrong_with_them_and_every_format_says_why() {
    let files = Files::new();
    let path = files.write("stale.jsonl", STALE);
    assert_eq!(code(&shakedown(&["check", &path])), 0, "in another order it is strictly serializable");
    let sentence =
        "T1 read 3 of key \"x\" at timestamp 17, but T2 committed 4 at 15, and T3 committed 3 at 10";
    let run = shakedown(&["check", "--model", "rw-register", "--timestamps", "--certify", &path]);
    assert_eq!(code(&run), 1);
    let expected = format!(
        "{path}\tfalse\n  3 transactions, judged as rw-register.\n  It is not \
         strict-serializable by the timestamps that the system gave. Without --timestamps it may\n  be correct all \
         the same, in an order that they do not show: then they are wrong.\n\n  external-read: a read did not show \
         what had been committed at its timestamp.\n  - {sentence}.\n    T1 (process 2, lines 4 and 6): [[\"r\" \
         \"x\" 3]]\n    T2 (process 1, lines 3 and 5): [[\"w\" \"x\" 4]]\n    T3 (process 0, lines 1 and 2): [[\"w\" \
         \"x\" 3]]\n  Certified: the independent validator re-checked this witness, and it holds.\n"
    );
    assert_eq!(stdout(&run), expected);
    let run = shakedown(&["check", "--timestamps", "--format", "json", &path]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(json["verdict"], "invalid");
    assert_eq!(json["consistency"], serde_json::json!(["strict-serializable"]));
    let found = &json["timestamps"];
    assert_eq!(
        (&found["stamped"], &found["unstamped"], &found["flaw_count"]),
        (&3.into(), &0.into(), &1.into())
    );
    let flaw = &found["flaws"][0];
    assert_eq!((&flaw["kind"], &flaw["sentence"]), (&"external-read".into(), &sentence.into()));
    assert_eq!((&flaw["key"], &flaw["seen"], &flaw["expected"]), (&"x".into(), &3.into(), &4.into()));
    assert_eq!(flaw["transactions"][1]["complete_line"], 5);
    assert_eq!(flaw["timestamps"][1], serde_json::json!({ "start-ts": 14, "commit-ts": 15 }));
    let xml = stdout(&shakedown(&["check", "--timestamps", "--format", "junit", &path]));
    assert!(xml.contains("message=\"not strict-serializable by its timestamps: external-read\""), "{xml}");
    assert!(xml.contains("at timestamp 17, but T2 committed 4 at 15"), "{xml}");
}

#[test]
fn what_cannot_be_judged_by_timestamps_is_refused_or_left_open() {
    let files = Files::new();
    let bare = STALE
        .replace(",\"start-ts\":9,\"commit-ts\":10", "")
        .replace(",\"start-ts\":14,\"commit-ts\":15", "");
    let some = files.write("some.jsonl", &bare);
    let run = shakedown(&["check", "--timestamps", &some]);
    assert_eq!(code(&run), 2);
    let said = stdout(&run).replace("\n ", "");
    assert!(
        said.contains("No verdict: strict-serializable could not be decided by the timestamps"),
        "{said}"
    );
    assert!(said.contains("the transaction on line 2 committed and has no start-ts"), "{said}");
    let run = shakedown(&["check", "--timestamps", "--format", "json", &some]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(json["timestamps"]["unknown"]["transaction"]["complete_line"], 2);
    let none = files.write("none.jsonl", &bare.replace(",\"start-ts\":17,\"commit-ts\":17", ""));
    let stale = files.write("stale.jsonl", STALE);
    let lists = files.write(
        "lists.jsonl",
        &STALE
            .replace("[\"w\"", "[\"append\"")
            .replace("\"x\",3]],\"start-ts\":17", "\"x\",[3]]],\"start-ts\":17"),
    );
    let register = files.write("register.edn", "{:process 0, :type :ok, :f :read, :value 1}");
    for (args, path, said) in [
        (&[][..], &none, "no transaction has the timestamps that --timestamps judges by"),
        (
            &["--model", "register"],
            &register,
            "--timestamps judges transactions, and register is none of those",
        ),
        (&["--consistency", "causal"], &stale, "causal is not judged by timestamps"),
        (&["--consistency", "serializable,prefix"], &stale, "one level is asked for at a time"),
        (&["--initial", "0"], &stale, "transactions take no initial value"),
        (&["--unwritten-reads", "ignore"], &lists, "a list must show just what was appended"),
        (&["--anomalies", "G0"], &stale, "cannot be used with"),
        (&["--sequential-keys"], &stale, "cannot be used with"),
    ] {
        let run = shakedown(&[&["check", "--timestamps"], args, &[path.as_str()]].concat());
        assert_eq!(code(&run), 254, "{args:?}: {}{}", stdout(&run), stderr(&run));
        assert!(stderr(&run).contains(said), "{args:?}: {}", stderr(&run));
    }
}
