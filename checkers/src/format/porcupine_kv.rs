//! Porcupine's key-value log: get, put and append on string keys, each initially the empty string.
//!
//! ```text
//! {:process 0, :type :invoke, :f :append, :key "4", :value "x 0 1 y"}
//! {:process 0, :type :ok, :f :append, :key "4", :value "x 0 1 y"}
//! ```
//!
//! It looks like EDN but is not: a key or value is everything between its quotes, nothing is
//! escaped, and the order of the fields is fixed. Operations that never completed stay open.

use super::event::{Cursor, Draft, Step, Stop, Syntax};
use super::line::{literal, wrong_line};
use super::write::Recorded;
use crate::history::{ANONYMOUS, EventKind, HistoryBuilder, PairingError, Process};
use crate::value::{Datum, Value, Values};
use std::io::{self, Write};

/// The parser, which has no state.
pub(super) struct PorcupineKv;

impl Syntax for PorcupineKv {
    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let len = match memchr::memchr(b'\n', bytes) {
            Some(newline) => newline + 1,
            None if !eof => return Err(Stop::More),
            None if bytes.is_empty() => return Ok(Step::End),
            None => bytes.len(),
        };
        let text = bytes[..len].trim_ascii_end();
        if text.is_empty() {
            return Ok(Step::Skip(len));
        }
        // The line is whole: to the parser, its end is the end of the input.
        let mut cursor = Cursor::new(text, true);
        let line = Line::parse(&mut cursor).map_err(|expected| wrong_line(&cursor, expected))?;
        let draft = line.draft(builder).map_err(|error| Stop::Pairing { at: 0, error })?;
        Ok(Step::Event { start: 0, end: text.len(), draft })
    }
}

/// True if every line of `head` that is not blank is one of such a log, and there is one. The first
/// line alone does not tell: a history in EDN may begin alike, and go on with an `:info` or a nil.
pub(super) fn detect(head: &[u8]) -> bool {
    let whole = memchr::memrchr(b'\n', head).map_or(0, |newline| newline + 1);
    let (whole, rest) = head.split_at(whole);
    // What follows the last newline may be cut anywhere, but not behind the brace that ends it.
    let rest = if rest.trim_ascii_end().ends_with(b"}") { rest } else { &[] };
    let lines = whole.split(|byte| *byte == b'\n').chain([rest]).map(<[u8]>::trim_ascii_end);
    let mut lines = lines.filter(|line| !line.is_empty()).peekable();
    lines.peek().is_some() && lines.all(|line| Line::parse(&mut Cursor::new(line, true)).is_ok())
}

struct Line<'a> {
    process: i64,
    kind: EventKind,
    f: &'static str,
    key: &'a str,
    value: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// On an error the cursor stands where the expected thing is missing.
    fn parse(cursor: &mut Cursor<'a>) -> Result<Line<'a>, &'static str> {
        literal(cursor, "{:process ", "`{:process `")?;
        let process = process(cursor)?;
        literal(cursor, ", :type ", "`, :type `")?;
        let kinds = [(":invoke", EventKind::Invoke), (":ok", EventKind::Ok)];
        let kind = one_of(cursor, &kinds, ":invoke or :ok")?;
        literal(cursor, ", :f ", "`, :f `")?;
        let functions = [(":get", "get"), (":put", "put"), (":append", "append")];
        let f = one_of(cursor, &functions, ":get, :put or :append")?;
        literal(cursor, ", :key \"", "`, :key ` and a string")?;
        let rest = &cursor.bytes[cursor.pos..];
        let separator = b"\", :value ";
        let Some(key_len) = memchr::memmem::rfind(rest, separator) else {
            cursor.pos = cursor.bytes.len();
            return Err("the key, `\", :value ` and a value");
        };
        let key = text(cursor, key_len)?;
        cursor.pos += separator.len();
        let value = if (kind, f) == (EventKind::Invoke, "get") {
            literal(cursor, "nil", "nil, for a get has no value yet")?;
            None
        } else {
            literal(cursor, "\"", "a string")?;
            let len = cursor.bytes.len() - cursor.pos;
            if len < 2 || !cursor.bytes.ends_with(b"\"}") {
                cursor.pos = cursor.bytes.len();
                return Err("`\"}` at the end of the line");
            }
            let value = text(cursor, len - 2)?;
            cursor.pos += 1;
            Some(value)
        };
        literal(cursor, "}", "`}`")?;
        if cursor.pos != cursor.bytes.len() {
            return Err("nothing after `}`");
        }
        Ok(Line { process, kind, f, key, value })
    }

    fn draft(&self, builder: &mut HistoryBuilder) -> Result<Draft, PairingError> {
        let f = Some(builder.function(self.f)?);
        let values = builder.values();
        Ok(Draft {
            kind: Some(self.kind),
            process: Process::Client(self.process),
            f,
            key: Some(values.str(self.key)),
            value: self.value.map_or(Value::NIL, |value| values.str(value)),
            ..Draft::default()
        })
    }
}

fn one_of<T: Copy>(
    cursor: &mut Cursor<'_>,
    choices: &[(&str, T)],
    expected: &'static str,
) -> Result<T, &'static str> {
    let rest = &cursor.bytes[cursor.pos..];
    let found = choices.iter().find(|(name, _)| rest.starts_with(name.as_bytes()));
    let (name, choice) = found.ok_or(expected)?;
    cursor.pos += name.len();
    Ok(*choice)
}

fn process(cursor: &mut Cursor<'_>) -> Result<i64, &'static str> {
    const EXPECTED: &str = "the number of a process, below 2^62";
    let rest = &cursor.bytes[cursor.pos..];
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = std::str::from_utf8(&rest[..len]).map_err(|_| EXPECTED)?;
    let process = digits.parse().map_err(|_| EXPECTED)?;
    if process >= ANONYMOUS {
        return Err(EXPECTED);
    }
    cursor.pos += len;
    Ok(process)
}

/// Consumes `len` bytes of text.
fn text<'a>(cursor: &mut Cursor<'a>, len: usize) -> Result<&'a str, &'static str> {
    match std::str::from_utf8(&cursor.bytes[cursor.pos..cursor.pos + len]) {
        Ok(text) => {
            cursor.pos += len;
            Ok(text)
        }
        Err(error) => {
            cursor.pos += error.valid_up_to();
            Err("UTF-8")
        }
    }
}

/// Writes the events of a history that this format can say.
#[derive(Default)]
pub(super) struct Writer {
    /// Processes with an operation that ended in an info, which the log leaves open.
    crashed: std::collections::BTreeSet<i64>,
}

impl Writer {
    /// Writes one event. `Ok(Err(reason))` if this format cannot say it.
    pub(super) fn write(
        &mut self,
        event: &Recorded<'_>,
        values: &Values,
        out: &mut impl Write,
    ) -> io::Result<Result<(), String>> {
        Ok(match self.line(event, values) {
            Ok(Some(line)) => {
                out.write_all(line.as_bytes())?;
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(reason) => Err(reason),
        })
    }

    fn line(&mut self, event: &Recorded<'_>, values: &Values) -> Result<Option<String>, String> {
        let process = match event.process {
            Process::Client(process) if process >= 0 => process,
            Process::Client(process) => return Err(format!("process {process} is negative")),
            Process::Unspecified => return Err("it has no process".to_owned()),
            Process::Other(who) => return Err(format!("{} is not a client", values.show(who))),
        };
        if !matches!(event.f, "get" | "put" | "append") {
            return Err(format!("{} is none of get, put, append", event.f));
        }
        if self.crashed.contains(&process) {
            return Err(format!("process {process} goes on after an info, which the log cannot say"));
        }
        match event.kind {
            EventKind::Fail => return Err("the log cannot say that an operation failed".to_owned()),
            EventKind::Info => {
                self.crashed.insert(process);
                return Ok(None);
            }
            EventKind::Invoke | EventKind::Ok => {}
        }
        let Some(Datum::Str(key)) = event.key.map(|key| values.get(key)) else {
            return Err("it has no key that is a string".to_owned());
        };
        let value = match (values.get(event.value), event.f, event.kind) {
            // What a get was invoked with means nothing.
            (_, "get", EventKind::Invoke) => None,
            (Datum::Str(value), ..) => Some(value),
            // A completion may leave out what was put.
            (Datum::Nil, "put" | "append", EventKind::Ok) => match values.get(event.input) {
                Datum::Str(value) => Some(value),
                _ => return Err("its value is not a string".to_owned()),
            },
            _ => return Err(format!("its value {} is not a string", values.show(event.value))),
        };
        for text in [Some(key), value].into_iter().flatten() {
            if text.contains(|c: char| c == '"' || c == '\\' || c.is_control()) {
                return Err(format!("{text:?} would need escapes, which the log does not have"));
            }
        }
        let value = value.map_or("nil".to_owned(), |value| format!("\"{value}\""));
        let (kind, f) = (event.kind.name(), event.f);
        Ok(Some(format!("{{:process {process}, :type :{kind}, :f :{f}, :key \"{key}\", :value {value}}}\n")))
    }
}
