//! The explanation of a verdict, for people.

use super::timeline::{describe, draw};
use super::{Failure, FileReport, Judgement, Ruling, Tally, adjective, datatype, isolation, timestamps};
use crate::exit::Exit;
use crate::terminal::{
    BAD, FAINT, GOOD, STRONG, UNSURE, count, paint, printable, size, thousands, wrap_into,
};
use shakedown_checkers::history::Operation;
use shakedown_checkers::options::Consistency;
use shakedown_checkers::validate::Refusal;
use shakedown_checkers::value::Value;
use shakedown_checkers::verdict::{Certificate, Unknown, Verdict, Witness};
use std::fmt::Write as _;

pub(super) const INDENT: &str = "  ";

/// `path<TAB>true|false|unknown` without a line end; `None` if there is no verdict.
pub fn verdict_line(report: &FileReport) -> Option<String> {
    match &report.result {
        Ok(judgement) => Some(format!("{}\t{}", report.path, styled_word(&judgement.ruling))),
        Err(Failure::Interrupted) => Some(format!("{}\t{}", report.path, paint(UNSURE, "unknown"))),
        Err(Failure::Input(_) | Failure::Internal(_)) => None,
    }
}

/// What was judged, by which model, and why the verdict is what it is; lines of at most `width`
/// columns. With `certify`, the proof as well.
pub fn explanation(judgement: &Judgement, certify: bool, width: usize) -> String {
    let mut out = String::new();
    wrap_into(&mut out, width, INDENT, INDENT, &preamble(judgement));
    for note in &judgement.notes {
        wrap_into(
            &mut out,
            width,
            INDENT,
            INDENT,
            &format!("Note: {}.", printable(note).trim_end_matches('.')),
        );
    }
    match &judgement.ruling {
        Ruling::Object { consistency, verdict } => match verdict {
            Verdict::Valid(certificate) => {
                valid(&mut out, judgement, *consistency, certificate, certify, width);
            }
            Verdict::Invalid(witness) => invalid(&mut out, judgement, *consistency, witness, width),
            Verdict::Unknown(unknown) => undecided(&mut out, judgement, unknown, width),
        },
        Ruling::Isolation { asked, report } => {
            isolation::text(&mut out, judgement, asked, report, width);
            if certify {
                isolation::proof::text(&mut out, judgement, report);
            }
        }
        Ruling::Timestamps(stamped) => timestamps::text(&mut out, judgement, stamped, width),
        Ruling::Data(report) => datatype::text(&mut out, judgement, report, width),
    }
    match &judgement.validation {
        None => {}
        Some(Ok(())) if judgement.ruling.exit() == Exit::Unknown => {
            wrap_into(
                &mut out,
                width,
                INDENT,
                INDENT,
                "Certified: nothing, an unknown verdict claims nothing.",
            );
        }
        Some(Ok(())) => {
            let proof = if judgement.ruling.exit() == Exit::Valid { "order" } else { "witness" };
            let text = format!("Certified: the independent validator re-checked this {proof}, and it holds.");
            wrap_into(&mut out, width, INDENT, INDENT, &text);
        }
        Some(Err(Refusal::TooLarge)) => {
            let text = format!("Not certified: {}.", Refusal::TooLarge);
            wrap_into(&mut out, width, INDENT, INDENT, &text);
        }
        Some(Err(Refusal::Wrong(reason))) => {
            let text = format!(
                "{} the independent validator refuses this proof: {}. Do not rely on the verdict.",
                paint(BAD, "NOT CERTIFIED:"),
                printable(reason).trim_end_matches('.')
            );
            wrap_into(&mut out, width, INDENT, INDENT, &text);
        }
    }
    out
}

/// The summary of many files, in one line.
pub fn summary(tally: &Tally) -> String {
    let files = tally.valid + tally.invalid + tally.unknown + tally.failed + tally.skipped;
    let mut parts = Vec::new();
    for (number, what, style) in [
        (tally.valid, "valid", GOOD),
        (tally.invalid, "invalid", BAD),
        (tally.unknown, "unknown", UNSURE),
        (tally.failed, "without a verdict because of errors", BAD),
        (tally.skipped, "not begun", UNSURE),
    ] {
        if number > 0 {
            parts.push(format!("{} {}", thousands(number), paint(style, what)));
        }
    }
    format!("{}: {}", count(files, "file"), parts.join(", "))
}

fn styled_word(ruling: &Ruling) -> String {
    let style = match ruling.exit() {
        Exit::Valid => GOOD,
        Exit::Invalid => BAD,
        _ => UNSURE,
    };
    paint(style, ruling.word())
}

fn preamble(judgement: &Judgement) -> String {
    let noun = match judgement.ruling {
        Ruling::Isolation { .. } | Ruling::Timestamps(_) => "transaction",
        Ruling::Object { .. } | Ruling::Data(_) => "operation",
    };
    let mut text = format!(
        "{}, judged as {}",
        count(judgement.history.len() as u64, noun),
        paint(STRONG, &judgement.model)
    );
    if let Some(guess) = &judgement.guess {
        write!(text, " (a guess: {})", printable(&guess.because)).expect("writing to a String cannot fail");
    }
    text.push('.');
    text
}

fn valid(
    out: &mut String,
    judgement: &Judgement,
    consistency: Consistency,
    certificate: &Certificate,
    certify: bool,
    width: usize,
) {
    let parts = certificate.parts.len();
    let which = if parts > 1 {
        format!(
            "for each of its {} independent parts one order of the operations explains",
            thousands(parts as u64)
        )
    } else {
        "one order of the operations explains".to_owned()
    };
    let good = format!("It is {}:", adjective(consistency));
    wrap_into(out, width, INDENT, INDENT, &format!("{} {which} every result.", paint(GOOD, &good)));
    if certify {
        for part in &certificate.parts {
            order(out, judgement, part.key, &part.order);
        }
    }
}

/// Where an operation stands in its file; nothing if it came from none.
pub(super) fn lines_of(op: &Operation<'_>) -> String {
    match (op.invoke_line, op.complete_line) {
        (0, _) => String::new(),
        (from, 0) => format!("line {from}"),
        (from, to) if from == to => format!("line {from}"),
        (from, to) => format!("lines {from} and {to}"),
    }
}

fn order(out: &mut String, judgement: &Judgement, key: Option<Value>, order: &[u32]) {
    let values = judgement.history.values();
    let about = key.map_or(String::new(), |key| format!(" of key {}", printable(&values.show(key))));
    writeln!(out, "{INDENT}Order{about}:").expect("writing to a String cannot fail");
    let digits = order.len().to_string().len();
    for (i, &id) in order.iter().enumerate() {
        let op = judgement.history.operation(id);
        let lines = lines_of(&op);
        let line = format!(
            "{INDENT}{INDENT}{:>digits$}. {}  {}",
            i + 1,
            describe(&op, values),
            paint(FAINT, &lines)
        );
        writeln!(out, "{}", line.trim_end()).expect("writing to a String cannot fail");
    }
}

fn invalid(
    out: &mut String,
    judgement: &Judgement,
    consistency: Consistency,
    witness: &Witness,
    width: usize,
) {
    let values = judgement.history.values();
    let place = witness
        .key
        .map_or(String::new(), |key| format!(" What is wrong is at key {}.", printable(&values.show(key))));
    let bad = format!("It is not {}.", adjective(consistency));
    wrap_into(out, width, INDENT, INDENT, &format!("{}{place}", paint(BAD, &bad)));
    for sentence in &witness.sentences {
        wrap_into(out, width, &format!("{INDENT}- "), &format!("{INDENT}  "), &printable(sentence));
    }
    guessed(out, judgement, width);
    out.push('\n');
    let number = count(witness.core.len() as u64, "operation");
    let heading = if witness.minimal {
        format!(
            "These {number} cannot all have taken effect, whether or not the others did; each one counts:"
        )
    } else {
        format!(
            "These {number} cannot all have taken effect, whether or not the others did (perhaps fewer would do):"
        )
    };
    let heading = if witness.core.len() == 1 { "No order explains this operation:" } else { &heading };
    wrap_into(out, width, INDENT, INDENT, heading);
    out.push_str(&draw(&judgement.history, &witness.core, Some(witness.failed), INDENT.len(), width));
    out.push('\n');
    let legend = "> the operation in question; |--| from invocation to completion; |--> may take effect at any \
                  time after it began";
    let mut text = String::new();
    wrap_into(&mut text, width, INDENT, INDENT, legend);
    out.push_str(&paint(FAINT, text.trim_end()));
    out.push('\n');
}

/// What else the history may be about, if its model is a guess.
pub(super) fn guessed(out: &mut String, judgement: &Judgement, width: usize) {
    if let Some(otherwise) = judgement.guess.as_ref().and_then(|guess| guess.otherwise) {
        let text = format!("It was judged as {} by a guess: {otherwise}.", judgement.model);
        wrap_into(out, width, INDENT, INDENT, &text);
    }
}

fn undecided(out: &mut String, judgement: &Judgement, unknown: &Unknown, width: usize) {
    let values = judgement.history.values();
    let reason = format!("No verdict: {}.", unknown.reason);
    let (decided, parts) = unknown.parts;
    let mut text = paint(UNSURE, &reason);
    if parts > 1 {
        write!(text, " {} of {} parts were found valid.", thousands(decided as u64), thousands(parts as u64))
            .expect("writing to a String cannot fail");
    }
    if let Some(key) = unknown.key {
        write!(text, " It was at key {}.", printable(&values.show(key)))
            .expect("writing to a String cannot fail");
    }
    write!(
        text,
        " The deepest attempt placed {} of {}; {} were explored, in {}.",
        thousands(unknown.placed as u64),
        count(unknown.total as u64, "operation"),
        count(unknown.configurations, "configuration"),
        size(unknown.memory_bytes as u64),
    )
    .expect("writing to a String cannot fail");
    wrap_into(out, width, INDENT, INDENT, &text);
    if !unknown.advice.is_empty() {
        wrap_into(out, width, INDENT, INDENT, &printable(&unknown.advice));
    }
}
