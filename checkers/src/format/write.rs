//! Writers: a history's events in their order, in EDN or as JSON lines.
//!
//! Both give every field that a reader here understands, so that what is written reads back as the
//! same history. EDN keeps all types. JSON has fewer: keywords and symbols become strings, sets
//! arrays, ratios strings, and the keys of a map the text that EDN has for them.

use super::{edn_token, json};
use crate::history::{ANONYMOUS, EventKind, History, NEVER, OpId, Outcome, Process, Timestamps};
use crate::value::{Datum, Value, Values};
use std::io::{self, Write};

/// One event of a history, as it was recorded.
pub(super) struct Recorded<'h> {
    pub(super) position: u32,
    pub(super) process: Process,
    pub(super) kind: EventKind,
    pub(super) f: &'h str,
    pub(super) key: Option<Value>,
    pub(super) value: Value,
    /// The value of the invocation, also on the completion.
    pub(super) input: Value,
    pub(super) error: Value,
    pub(super) time_ns: i64,
    /// Those of the system under test, on the completion.
    pub(super) timestamps: Option<Timestamps>,
    /// See [`History::is_marked_final`]; on both events of the operation, as in Jepsen's.
    pub(super) is_final: bool,
}

#[derive(Clone, Copy)]
enum Source {
    Invoke(OpId),
    Complete(OpId),
    Other(u32),
}

/// All events in order. An operation of no duration has only its completion.
pub(super) fn events(history: &History) -> impl Iterator<Item = Recorded<'_>> {
    let mut order: Vec<(u32, Source)> = Vec::with_capacity(history.event_count() as usize);
    for op in history.operations() {
        if op.invoke_position != op.complete_position {
            order.push((op.invoke_position, Source::Invoke(op.id)));
        }
        if op.complete_position != NEVER {
            order.push((op.complete_position, Source::Complete(op.id)));
        }
    }
    for (i, other) in history.others().iter().enumerate() {
        order.push((other.position, Source::Other(i as u32)));
    }
    order.sort_unstable_by_key(|entry| entry.0);
    order.into_iter().enumerate().map(|(at, (_, source))| recorded(history, at as u32, source))
}

fn recorded(history: &History, position: u32, source: Source) -> Recorded<'_> {
    let id = match source {
        Source::Invoke(id) | Source::Complete(id) => id,
        Source::Other(i) => {
            let other = &history.others()[i as usize];
            return Recorded {
                position,
                process: Process::Other(other.process),
                kind: other.kind,
                f: history.function(other.f),
                key: None,
                value: other.value,
                input: other.value,
                error: Value::NIL,
                time_ns: other.time_ns,
                timestamps: None,
                is_final: false,
            };
        }
    };
    let op = history.operation(id);
    let is_invoke = matches!(source, Source::Invoke(_));
    Recorded {
        position,
        process: if op.process >= ANONYMOUS { Process::Unspecified } else { Process::Client(op.process) },
        kind: match op.outcome {
            _ if is_invoke => EventKind::Invoke,
            Outcome::Ok => EventKind::Ok,
            Outcome::Fail => EventKind::Fail,
            Outcome::Info => EventKind::Info,
        },
        f: op.f,
        key: op.key,
        value: if is_invoke { op.input } else { op.output },
        input: op.input,
        error: if is_invoke { Value::NIL } else { history.error_of(id).unwrap_or(Value::NIL) },
        time_ns: if is_invoke { op.invoke_time_ns } else { op.complete_time_ns },
        timestamps: if is_invoke { None } else { history.timestamps_of(id) },
        is_final: history.is_marked_final(id),
    }
}

/// Writes one event as a line of EDN or JSON.
pub(super) fn line(
    notation: Notation,
    event: &Recorded<'_>,
    values: &Values,
    out: &mut impl Write,
) -> io::Result<()> {
    let edn = notation == Notation::Edn;
    if edn {
        write!(out, "{{:index {}", event.position)?;
    } else {
        write!(out, "{{\"index\":{}", event.position)?;
    }
    if event.time_ns != -1 {
        notation.field("time", out)?;
        write!(out, "{}", event.time_ns)?;
    }
    notation.field("type", out)?;
    notation.name(event.kind.name(), out)?;
    match event.process {
        Process::Unspecified => {}
        Process::Client(process) => {
            notation.field("process", out)?;
            write!(out, "{process}")?;
        }
        Process::Other(process) => {
            notation.field("process", out)?;
            match values.get(process) {
                Datum::Str(name) => notation.name(name, out)?,
                _ => notation.value(process, values, out)?,
            }
        }
    }
    notation.field("f", out)?;
    match event.f {
        super::event::NO_FUNCTION => notation.value(Value::NIL, values, out)?,
        name => notation.name(name, out)?,
    }
    if let Some(key) = event.key {
        notation.field("key", out)?;
        notation.value(key, values, out)?;
    }
    notation.field("value", out)?;
    notation.value(event.value, values, out)?;
    if let (EventKind::Ok, Some(Timestamps { start, commit })) = (event.kind, event.timestamps) {
        for (name, timestamp) in [("start-ts", start), ("commit-ts", commit)] {
            notation.field(name, out)?;
            write!(out, "{timestamp}")?;
        }
    }
    if event.is_final {
        notation.field("final?", out)?;
        notation.value(Value::TRUE, values, out)?;
    }
    if !event.error.is_nil() {
        notation.field("error", out)?;
        notation.value(event.error, values, out)?;
    }
    out.write_all(b"}\n")
}

/// A way to write values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    Edn,
    Json,
}

/// A collection that is being written.
struct Frame<'v> {
    members: &'v [Value],
    written: usize,
    is_map: bool,
    close: &'static str,
}

impl Notation {
    /// The separator before a field that is not the first, and its name.
    fn field(self, name: &str, out: &mut impl Write) -> io::Result<()> {
        match self {
            Notation::Edn => write!(out, ", :{name} "),
            Notation::Json => write!(out, ",\"{name}\":"),
        }
    }

    /// A name: a keyword where there are keywords and it can be one, else a string.
    fn name(self, name: &str, out: &mut impl Write) -> io::Result<()> {
        if self == Notation::Edn && edn_token::is_keyword_name(name) {
            return write!(out, ":{name}");
        }
        self.string(name, out)
    }

    fn value(self, value: Value, values: &Values, out: &mut impl Write) -> io::Result<()> {
        let mut frames: Vec<Frame<'_>> = Vec::new();
        if let Some(frame) = self.open(value, values, false, out)? {
            frames.push(frame);
        }
        while let Some(frame) = frames.last_mut() {
            let Some(&member) = frame.members.get(frame.written) else {
                out.write_all(frame.close.as_bytes())?;
                frames.pop();
                continue;
            };
            let is_key = frame.is_map && frame.written.is_multiple_of(2);
            let separator = match self {
                _ if frame.written == 0 => "",
                Notation::Json if frame.is_map && !is_key => ":",
                Notation::Json => ",",
                Notation::Edn if is_key => ", ",
                Notation::Edn => " ",
            };
            out.write_all(separator.as_bytes())?;
            frame.written += 1;
            if let Some(frame) = self.open(member, values, is_key, out)? {
                frames.push(frame);
            }
        }
        Ok(())
    }

    /// Writes a value without members, or the opening of a collection whose members are to follow.
    fn open<'v>(
        self,
        value: Value,
        values: &'v Values,
        is_key: bool,
        out: &mut impl Write,
    ) -> io::Result<Option<Frame<'v>>> {
        let datum = values.get(value);
        if self == Notation::Json && is_key {
            match datum {
                Datum::Str(text) | Datum::Keyword(text) | Datum::Symbol(text) => self.string(text, out)?,
                _ => self.string(&values.show(value), out)?,
            }
            return Ok(None);
        }
        let (open, close, members, is_map) = match (datum, self) {
            (Datum::List(members), _) => ("[", "]", members, false),
            (Datum::Map(members), _) => ("{", "}", members, true),
            (Datum::Set(members), Notation::Edn) => ("#{", "}", members, false),
            (Datum::Set(members), Notation::Json) => ("[", "]", members, false),
            (scalar, _) => {
                self.scalar(scalar, out)?;
                return Ok(None);
            }
        };
        out.write_all(open.as_bytes())?;
        Ok(Some(Frame { members, written: 0, is_map, close }))
    }

    fn scalar(self, datum: Datum<'_>, out: &mut impl Write) -> io::Result<()> {
        match (datum, self) {
            (Datum::Nil, Notation::Edn) => out.write_all(b"nil"),
            (Datum::Nil, Notation::Json) => out.write_all(b"null"),
            (Datum::Bool(bool), _) => write!(out, "{bool}"),
            (Datum::Int(int), _) => write!(out, "{int}"),
            (Datum::Keyword(name), _) => self.name(name, out),
            (Datum::Symbol(text), Notation::Edn) if edn_token::is_symbol(text) => {
                out.write_all(text.as_bytes())
            }
            (Datum::Number(text), Notation::Edn) if edn_token::is_number(text) => {
                out.write_all(text.as_bytes())
            }
            (Datum::Number(text), Notation::Json) if json::is_number(text) => out.write_all(text.as_bytes()),
            (Datum::Str(text) | Datum::Symbol(text) | Datum::Number(text), _) => self.string(text, out),
            (Datum::List(_) | Datum::Map(_) | Datum::Set(_), _) => unreachable!("a collection is no scalar"),
        }
    }

    /// A string with the escapes that both notations know.
    fn string(self, text: &str, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"\"")?;
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\' || c == '\u{7f}') {
            out.write_all(&rest.as_bytes()[..at])?;
            let byte = rest.as_bytes()[at];
            match byte {
                b'"' => out.write_all(b"\\\"")?,
                b'\\' => out.write_all(b"\\\\")?,
                b'\n' => out.write_all(b"\\n")?,
                b'\t' => out.write_all(b"\\t")?,
                b'\r' => out.write_all(b"\\r")?,
                control => write!(out, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        out.write_all(rest.as_bytes())?;
        out.write_all(b"\"")
    }
}
