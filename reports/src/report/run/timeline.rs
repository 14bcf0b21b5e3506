//! What happened in a run, line by line: who asked and said what to whom, what was lost, who went down,
//! what was durable.
//!
//! The end is what matters: of a long one, the last lines are drawn.

use super::Happened;
use crate::terminal::{BAD, FAINT, STRONG, UNSURE, count, paint, printable, wrap_into};
use anstyle::Style;
use shakedown_workloads::trace::{Kind, Line};
use std::fmt::Write as _;

/// How much of a long story is told.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'l> {
    /// Lines of the timeline; of the operations, half as many.
    pub lines: usize,
    /// Where the others are, or how to see them.
    pub elsewhere: &'l str,
}

impl<'l> Limit<'l> {
    /// The usual one.
    pub fn usual(elsewhere: &'l str) -> Limit<'l> {
        Limit { lines: 80, elsewhere }
    }

    /// All of it.
    pub fn none() -> Limit<'static> {
        Limit { lines: usize::MAX, elsewhere: "" }
    }

    /// That so many lines are not there.
    pub(super) fn remark(&self, out: &mut String, left_out: usize, which: &str, indent: &str, width: usize) {
        if left_out > 0 {
            let lines = count(left_out as u64, which);
            wrap_into(out, width, indent, indent, &paint(FAINT, &format!("… {lines}: {}", self.elsewhere)));
        }
    }
}

/// Draws the last lines, each after `indent`, in `width` columns.
pub fn draw(happened: &Happened, limit: Limit<'_>, indent: &str, width: usize) -> String {
    let mut out = String::new();
    let all = match happened {
        Happened::Trace(trace) => trace.lines.len(),
        Happened::Steps(steps) => steps.len(),
    };
    let left_out = all.saturating_sub(limit.lines);
    limit.remark(&mut out, left_out, "earlier line", indent, width);
    match happened {
        Happened::Trace(trace) => {
            trace.lines[left_out..].iter().for_each(|line| draw_line(&mut out, line, indent, width));
        }
        Happened::Steps(steps) => {
            let digits = steps.len().to_string().len();
            for (at, step) in steps.iter().enumerate().skip(left_out) {
                let first = format!("{indent}{:>digits$}. ", at + 1);
                let rest = " ".repeat(first.len());
                wrap_into(&mut out, width, &first, &rest, &brief(step));
            }
        }
    }
    out
}

fn draw_line(out: &mut String, line: &Line, indent: &str, width: usize) {
    let text = line.to_string();
    let what = brief(&line.what);
    let head = text.strip_suffix(&line.what).unwrap_or_default();
    let first = format!("{indent}{}", paint(style(line.kind), head));
    // Where there is little room it goes below.
    if width < indent.len() + head.len() + 30 {
        let head = paint(style(line.kind), head.trim_end());
        writeln!(out, "{indent}{head}").expect("writing to a String cannot fail");
        let below = format!("{indent}          ");
        return wrap_into(out, width, &below, &below, &what);
    }
    let rest = " ".repeat(indent.len() + head.len());
    wrap_into(out, width, &first, &rest, &what);
}

/// A value's text as Rust shows it, with less noise, and fit to be shown: `Some(NodeId(1))` is `n1`.
pub fn brief(text: &str) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len());
    // The brackets that are open: what closes each of them.
    let mut open: Vec<&str> = vec![];
    let mut rest = &*text;
    while let Some(c) = rest.chars().next() {
        let is_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let (taken, put) = match c {
            '"' => {
                let length = quoted(rest);
                (length, &rest[..length])
            }
            _ if !is_word && rest.starts_with("Some(") => {
                open.push("");
                (5, "")
            }
            _ if !is_word && rest.starts_with("NodeId(") => {
                open.push("");
                (7, "n")
            }
            '(' => {
                open.push(")");
                (1, "(")
            }
            ')' => (1, open.pop().unwrap_or(")")),
            '{' if rest.starts_with("{ ") => (2, "{"),
            ' ' if rest.starts_with(" }") => (2, "}"),
            c => (c.len_utf8(), &rest[..c.len_utf8()]),
        };
        out.push_str(put);
        rest = &rest[taken..];
    }
    out
}

/// The length of the string in quotes that `text` begins with.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

/// What went wrong stands out, and what clients saw.
fn style(kind: Kind) -> Style {
    match kind {
        Kind::Lost | Kind::Down => BAD,
        Kind::Fault => UNSURE,
        Kind::Asks | Kind::Answered | Kind::GivesUp | Kind::Retries => STRONG,
        Kind::Sent | Kind::Heard | Kind::Timer | Kind::Durable | Kind::Start | Kind::Note => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_their_noise_and_nothing_else() {
        for (text, expected) in [
            ("Write { key: 1, value: Some(5) }", "Write {key: 1, value: 5}"),
            ("Holds(Some(RoundId { node: NodeId(2) }), None)", "Holds(RoundId {node: n2}, None)"),
            ("[Some((1, NodeId(0)))]", "[(1, n0)]"),
            ("Says(\"Some(NodeId(1)) { \\\" }\", Some(2))", "Says(\"Some(NodeId(1)) { \\\" }\", 2)"),
            ("AwfulSome(1) MyNodeId(2)", "AwfulSome(1) MyNodeId(2)"),
            ("unbalanced) Some( \"open", "unbalanced)  \"open"),
            ("it panicked: {} and \u{7}", "it panicked: {} and \u{fffd}"),
        ] {
            assert_eq!(brief(text), expected);
        }
    }
}
