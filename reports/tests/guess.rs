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
