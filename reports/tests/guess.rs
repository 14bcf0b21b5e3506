//! What a history is taken for where nobody says: guesses, refusals, and options that do not apply.

mod shell;

use shell::{Files, code, shakedown, stderr, stdout};

/// Operations of process 0, one after the other: function, input, output.
fn history(operations: &[(&str, &str, &str)]) -> String {
    let line = |(f, input, output): &(&str, &str, &str)| {
        format!(
            "{{:process 0, :type :invoke, :f :{f}, :value {input}}}\n{{:process 0, :type :ok, :f :{f}, :value {output}}}\n"
        )
    };
    operations.iter().map(line).collect()
}

/// What the command says, as one line.
fn said(args: &[&str]) -> String {
    let run = shakedown(args);
    (stdout(&run) + &stderr(&run))
        .split_whitespace()
        .filter(|word| *word != "|")
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn correct_histories_of_data_types_are_not_judged_as_objects() {
    let files = Files::new();
    for (name, operations) in [
        ("comments", &[("write", "1", "1"), ("read", "nil", "#{1}")][..]),
        ("sequential", &[("write", "3", "3"), ("read", "3", "[3 [nil \"3_1\" \"3_0\"]]")]),
        ("adya-g2", &[("insert", "[0 [1 nil]]", "[0 [1 nil]]")]),
        ("monotonic", &[("add", "nil", "{:val 0, :sts 10}"), ("read", "nil", "[{:val 0, :sts 10}]")]),
        ("causal-register", &[("read-init", "nil", "0"), ("write", "1", "1"), ("read", "nil", "1")]),
    ] {
        let path = files.write("h.edn", &history(operations));
        let run = shakedown(&["check", &path]);
        let text = stdout(&run) + &stderr(&run);
        assert!(text.contains(&format!("judged as {name} (a guess")), "{name}: {text}");
        assert_ne!(code(&run), 1, "{name}: {text}");
    }
}

#[test]
fn what_cannot_be_guessed_is_answered_with_candidates() {
    let files = Files::new();
    let strange = files.write("h.edn", &history(&[("write", "1", "1"), ("read", "nil", "[7 8]")]));
    let run = shakedown(&["check", &strange]);
    assert_eq!(code(&run), 254);
    let text = said(&["check", &strange]);
    assert!(text.contains("with these operations there are register, cas-register"), "{text}");
    assert!(text.contains("comments") && !text.contains("stack"), "{text}");
}

#[test]
fn a_misfit_of_a_guess_says_that_it_was_one() {
    let files = Files::new();
    let path = files.write("h.edn", &history(&[("add", "1", "{:odd 1}"), ("read", "nil", "[1]")]));
    let text = said(&["check", &path]);
    assert!(text.contains("that it is about linear-set was a guess (its functions are add, read"), "{text}");
    assert!(text.contains("name its model with --model"), "{text}");
    let text = said(&["check", "--model", "linear-set", &path]);
    assert!(!text.contains("a guess"), "{text}");
}

#[test]
fn options_of_other_models_are_refused() {
    let files = Files::new();
    let bank = files.write(
        "bank.edn",
        &history(&[("transfer", "{:from 0 :to 1 :amount 1}", "nil"), ("read", "nil", "{0 1 1 1}")]),
    );
    let lists = files.write("lists.edn", &history(&[("txn", "[[:append 1 1]]", "[[:append 1 1]]")]));
    let counter = files.write("counter.edn", &history(&[("add", "1", "1"), ("read", "nil", "1")]));
    for (args, expected) in [
        (vec!["-m", "bank", "-g", "2", &bank], "--group-size is for long-fork, and says nothing about bank"),
        (vec!["-g", "2", &bank], "says nothing about bank, as which this history would be judged by a guess"),
        (vec!["--sequential-keys", &lists], "--sequential-keys is for rw-register"),
        (vec!["--total-amount", "2", &lists], "--total-amount is for bank"),
        (vec!["-m", "bank", "-a", "G0", &bank], "--anomalies is for list-append or rw-register"),
        (vec!["-m", "bank", "--initial", "5", &bank], "--initial is for counter"),
        (vec!["-m", "counter", "--staleness-max-ms", "5", &counter], "--staleness-max-ms is for staleness"),
        (
            vec!["-m", "counter", "--unwritten-reads", "forbid", &counter],
            "--unwritten-reads is for list-append",
        ),
    ] {
        let args = [&["check"], &args[..]].concat();
        let text = said(&args);
        assert_eq!(code(&shakedown(&args)), 254, "{text}");
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    for args in
        [vec!["-m", "bank", "--total-amount", "2", &bank], vec!["-m", "counter", "--initial", "0", &counter]]
    {
        assert_eq!(code(&shakedown(&[&["check"], &args[..]].concat())), 0, "{args:?}");
    }
}

#[test]
fn pairs_that_look_like_independent_keys_are_noted_by_checkers_of_elements() {
    let files = Files::new();
    let keyed = files.write("h.edn", &history(&[("add", "[1 7]", "[1 7]"), ("read", "[1 nil]", "[1 [7]]")]));
    let text = said(&["check", "--model", "set-full", &keyed]);
    assert!(
        text.contains("as of Jepsen's independent keys, and set-full takes the pairs for elements"),
        "{text}"
    );
    let pairs = files.write("h.edn", &history(&[("add", "[1 7]", "[1 7]"), ("read", "nil", "[[1 7]]")]));
    assert!(!said(&["check", "--model", "set-full", &pairs]).contains("independent"));
}

#[test]
fn queue_is_jepsens_checker() {
    let files = Files::new();
    // Out of order, which is nothing to that checker.
    let path = files
        .write("h.edn", &history(&[("enqueue", "1", "1"), ("enqueue", "2", "2"), ("dequeue", "nil", "2")]));
    let text = said(&["check", "--model", "queue", &path]);
    assert!(text.contains("judged as jepsen-queue"), "{text}");
    assert_eq!(code(&shakedown(&["check", "--model", "queue", &path])), 0);
    assert_eq!(code(&shakedown(&["check", "--model", "fifo-queue", &path])), 1);
}

#[test]
fn figures_are_told_apart_and_findings_counted() {
    let files = Files::new();
    let reads: Vec<(&str, &str, &str)> = (0..40).map(|_| ("read", "nil", "7")).collect();
    let path = files.write("h.edn", &history(&[&[("add", "1", "1")], &reads[..]].concat()));
    let text = said(&["check", "--model", "counter", &path]);
    assert!(text.contains("reads [7 not in 1 to 1, 7 not in 1 to 1, "), "{text}");
    assert!(text.contains("and 32 findings more (--format json lists 16 of each kind)"), "{text}");
    let run = shakedown(&["check", "--model", "counter", "--format", "json", &path]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(json["data"]["finding_counts"]["out-of-bounds"], 40, "{json}");
}

#[test]
fn what_kafka_leaves_out_is_said() {
    assert!(said(&["models", "kafka"]).contains("Elle's G0 and G1c, are not looked for"));
}

#[test]
fn an_extension_that_nobody_knows_is_refused() {
    let files = Files::new();
    let txns = files.write("h.edn", &history(&[("txn", "[[:w 1 1]]", "[[:w 1 1]]")]));
    let odd = files.path("out.foo");
    let text = said(&["convert", &txns, &odd]);
    assert!(text.contains(".plume, .awdit") && text.contains("tells no format to write"), "{text}");
    assert!(!std::path::Path::new(&odd).exists());
    for (name, expected) in
        [("out.plume", "w(1,1,"), ("out.awdit", "w 1 1"), ("out", "{\"index\":0"), ("out.edn", "{:index 0")]
    {
        let path = files.path(name);
        let run = shakedown(&["convert", &txns, &path]);
        assert_eq!(code(&run), 0, "{name}: {}", stderr(&run));
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.starts_with(expected), "{name}: {written}");
    }
    let help = said(&["convert", "--help"]);
    assert!(help.contains(".plume") && help.contains("dbcop-hist"), "{help}");
    assert!(said(&["generate", "--help"]).contains("lists have neither causal nor read-atomic"));
}
