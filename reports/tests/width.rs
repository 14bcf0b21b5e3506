//! The binary's text on narrow terminals.

mod shell;

use shell::{command, stdout};

/// Nobody reads lines that their terminal breaks: of text that is laid out here, no line is longer than
/// `COLUMNS`, unless it is one word after its indent, or a command to copy.
#[test]
fn text_keeps_to_the_width_that_it_is_given() {
    let history = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/stale-read.jsonl");
    let mut calls: Vec<Vec<&str>> = vec![
        vec!["list"],
        vec!["list", "abd"],
        vec!["list", "raft"],
        vec!["models"],
        vec!["models", "cas-register"],
        vec!["check", history],
        vec!["--help"],
    ];
    for name in ["list", "run", "replay", "explore", "mutants", "check", "models", "convert", "generate"] {
        calls.push(vec![name, "--help"]);
    }
    let mut complaints = vec![];
    for args in calls {
        for columns in [50, 64] {
            let run = command(&args).env("COLUMNS", columns.to_string()).output().unwrap();
            for line in stdout(&run).lines().filter(|line| line.chars().count() > columns) {
                // The line of the verdict is for scripts.
                let is_to_copy = line.trim_start().starts_with("shakedown ") || line.contains('\t');
                if !is_to_copy && line.split_whitespace().count() > 1 {
                    complaints.push(format!("{args:?} at {columns}: {line}"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
