//! `shakedown` without a command: judges two histories that come with it, and says what to try next.
//!
//! It ends with exit code 0 although one of them is invalid: the demonstration is what succeeded.

use super::{Stopped, Streams};
use crate::exit::Exit;
use crate::judge::{Question, guarded, judge};
use crate::report::{Failure, FileReport, text};
use crate::terminal::wrap_into;
use miette::Report;
use shakedown_checkers::format::{self, Limits};
use shakedown_checkers::options::Options;
use std::time::Instant;

/// The bundled histories: where they are in the repository, what they hold, and what happened.
const HISTORIES: [(&str, &str, &str); 2] = [
    (
        "reports/demo/stale-read.jsonl",
        include_str!("../../demo/stale-read.jsonl"),
        "Three clients read and write one register. One of them reads 1 after another has already read 2, and \
         nobody wrote 1 again.",
    ),
    (
        "reports/demo/crashed-write.jsonl",
        include_str!("../../demo/crashed-write.jsonl"),
        "The write of 2 timed out, so nobody knows whether it happened. A read of 1 and then a read of 2 are \
         explained if it took effect between them, after its client had given up.",
    ),
];

/// Judges the bundled histories.
pub fn run(streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let question = Question {
        model: None,
        initial: None,
        input_format: None,
        options: Options::default(),
        certify: true,
    };
    let mut intro = String::new();
    let greeting = "Shakedown judges recorded histories. These two come with it; each verdict is proved, and the \
                    proof checked.";
    wrap_into(&mut intro, streams.width, "", "", greeting);
    writeln!(streams.out, "{intro}")?;
    for (path, content, story) in HISTORIES {
        let mut told = String::new();
        wrap_into(&mut told, streams.width, "# ", "# ", story);
        write!(streams.out, "{told}")?;
        let begin = Instant::now();
        let result = guarded(|| {
            let read = format::read_and_tell(content.as_bytes(), path, None, &Limits::default())
                .map_err(|error| Failure::Input(Report::new(crate::judge::input_error(&error))))?;
            judge(read, path, None, &question)
        });
        let report = FileReport { path: path.to_owned(), result, elapsed: begin.elapsed() };
        match &report.result {
            Ok(judgement) => {
                if let Some(line) = text::verdict_line(&report) {
                    writeln!(streams.out, "{line}")?;
                }
                writeln!(streams.out, "{}", text::explanation(judgement, true, streams.width))?;
                if report.exit() == Exit::Internal {
                    return Ok(Exit::Internal);
                }
            }
            Err(failure) => {
                // The histories are our own: not being able to judge them is a bug.
                writeln!(streams.err, "{path}: internal error: {failure:?}")?;
                return Ok(Exit::Internal);
            }
        }
    }
    writeln!(
        streams.out,
        "Next:\n  shakedown check FILE...     judge your own: Jepsen's EDN and logs, JSON lines, Porcupine's logs\n  \
         shakedown models            what can be judged\n  \
         shakedown generate --help   make a history to try things on\n  \
         shakedown check --help      all that can be asked\n\
         (Before it is installed, `cargo run --release -- ` stands for `shakedown `.)"
    )?;
    Ok(Exit::Valid)
}
