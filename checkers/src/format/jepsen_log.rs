//! The text log that Jepsen wrote in 2014 (`etcd_000.log` and its siblings): a register with
//! compare-and-set, initially nil.
//!
//! ```text
//! INFO  jepsen.util - 3    :invoke :cas    [4 2]
//! INFO  jepsen.util - 3    :fail   :cas    [4 2]
//! ```
//!
//! Lines of any other kind are ignored, as other readers of these files do; a file in which no line
//! counts is not such a log. `:fail :cas` means that the values were compared and differed, so it is
//! read as a completed operation with the value false. A read that timed out did nothing, so it is
//! a failed one. A write or compare-and-set that timed out may yet take effect.

use super::event::{Draft, Problem, Step, Stop, Syntax};
use super::write::Recorded;
use crate::history::{ANONYMOUS, EventKind, HistoryBuilder, PairingError, Process};
use crate::value::{Datum, Value, Values};
use std::io::{self, Write};

/// The parser's state between lines.
#[derive(Default)]
pub(super) struct JepsenLog {
    /// A line that counts was seen.
    matched: bool,
    /// A line that does not was seen.
    foreign: bool,
}

impl Syntax for JepsenLog {
    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let len = match memchr::memchr(b'\n', bytes) {
            Some(newline) => newline + 1,
            None if !eof => return Err(Stop::More),
            None if bytes.is_empty() => return self.at_end(),
            None => bytes.len(),
        };
        let Some(line) = Line::parse(&bytes[..len]) else {
            self.foreign |= !bytes[..len].trim_ascii().is_empty();
            return Ok(Step::Skip(len));
        };
        self.matched = true;
        let draft = line.draft(builder).map_err(|error| Stop::Pairing { at: 0, error })?;
        let end = bytes[..len].trim_ascii_end().len();
        Ok(Step::Event { start: 0, end, draft })
    }
}

impl JepsenLog {
    fn at_end(&self) -> Result<Step, Stop> {
        if self.matched || !self.foreign {
            return Ok(Step::End);
        }
        Err(Stop::Problem(Box::new(Problem {
            at: 0,
            len: 0,
            found: "the end of the input without a line of a Jepsen log".to_owned(),
            expected: "lines such as `INFO  jepsen.util - 3 :invoke :write 1`".to_owned(),
            help: None,
        })))
    }
}

/// True if a whole line of `head` is a line of such a log.
pub(super) fn detect(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| Line::parse(line).is_some())
}

/// A line that counts.
struct Line {
    process: i64,
    kind: EventKind,
    f: &'static str,
    argument: Argument,
}

#[derive(Clone, Copy)]
enum Argument {
    Nil,
    Int(i64),
    Pair(i64, i64),
    TimedOut,
}

impl Line {
    fn parse(line: &[u8]) -> Option<Line> {
        // Most foreign lines end here.
        let rest = line.strip_prefix(b"INFO")?;
        let mut words = Words(rest.trim_ascii_end());
        words.blank()?;
        words.exactly(b"jepsen.util")?;
        words.blank()?;
        words.exactly(b"-")?;
        words.blank()?;
        let process = words.int().filter(|process| (0..ANONYMOUS).contains(process))?;
        words.blank()?;
        words.exactly(b":")?;
        let kind = words.word();
        words.blank()?;
        words.exactly(b":")?;
        let f = words.word();
        words.blank()?;
        let argument = words.argument()?;
        if !words.0.is_empty() {
            return None;
        }
        use Argument::{Int, Nil, Pair, TimedOut};
        let (kind, f) = match (kind, f, argument) {
            (b"invoke", b"read", Nil) => (EventKind::Invoke, "read"),
            (b"invoke", b"write", Int(_)) => (EventKind::Invoke, "write"),
            (b"invoke", b"cas", Pair(..)) => (EventKind::Invoke, "cas"),
            (b"ok", b"read", Nil | Int(_)) => (EventKind::Ok, "read"),
            (b"ok", b"write", Int(_)) => (EventKind::Ok, "write"),
            (b"ok", b"cas", Pair(..)) => (EventKind::Ok, "cas"),
            (b"fail", b"cas", Pair(..)) => (EventKind::Fail, "cas"),
            (b"fail", b"read", TimedOut) => (EventKind::Fail, "read"),
            (b"info", b"cas", TimedOut) => (EventKind::Info, "cas"),
            (b"info", b"write", TimedOut) => (EventKind::Info, "write"),
            _ => return None,
        };
        Some(Line { process, kind, f, argument })
    }

    fn draft(&self, builder: &mut HistoryBuilder) -> Result<Draft, PairingError> {
        let f = builder.function(self.f)?;
        let values = builder.values();
        let mut draft = Draft {
            kind: Some(self.kind),
            process: Process::Client(self.process),
            f: Some(f),
            ..Draft::default()
        };
        match self.argument {
            Argument::Nil => {}
            Argument::Int(int) => draft.value = values.int(int),
            Argument::Pair(from, to) => {
                let pair = [values.int(from), values.int(to)];
                draft.value = values.list(&pair);
            }
            Argument::TimedOut => draft.error = values.keyword("timed-out"),
        }
        if self.kind == EventKind::Fail && self.f == "cas" {
            draft.kind = Some(EventKind::Ok);
            draft.value = Value::FALSE;
        }
        Ok(draft)
    }
}

/// What is left of a line.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// One or more spaces or tabs.
    fn blank(&mut self) -> Option<()> {
        let len = self.0.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.0 = &self.0[len..];
        (len > 0).then_some(())
    }

    fn exactly(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Letters and hyphens, perhaps none.
    fn word(&mut self) -> &'a [u8] {
        let len = self.0.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-').count();
        let (word, rest) = self.0.split_at(len);
        self.0 = rest;
        word
    }

    fn int(&mut self) -> Option<i64> {
        let signed = usize::from(self.0.first() == Some(&b'-'));
        let len = signed + self.0[signed..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(len);
        self.0 = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn argument(&mut self) -> Option<Argument> {
        match self.0.first()? {
            b'n' => self.exactly(b"nil").map(|()| Argument::Nil),
            b':' => self.exactly(b":timed-out").map(|()| Argument::TimedOut),
            b'[' => {
                self.exactly(b"[")?;
                let from = self.int()?;
                self.blank()?;
                let to = self.int()?;
                self.exactly(b"]")?;
                Some(Argument::Pair(from, to))
            }
            _ => self.int().map(Argument::Int),
        }
    }
}

/// Writes one event. `Ok(Err(reason))` if this format cannot say it.
///
/// An event of a nemesis becomes a line that readers ignore. A read of unknown result is written as
/// a failed one: the log says neither more nor less about it.
pub(super) fn write(
    event: &Recorded<'_>,
    values: &Values,
    out: &mut impl Write,
) -> io::Result<Result<(), String>> {
    let process = match event.process {
        Process::Client(process) => process,
        Process::Unspecified => return Ok(Err("it has no process".to_owned())),
        Process::Other(process) => {
            let (who, kind, what) = (values.show(process), event.kind.name(), values.show(event.value));
            // Function names come from outside and may hold line ends.
            writeln!(out, "INFO  jepsen.util - {who}\t:{kind}\t:{}\t{what}", event.f.escape_debug())?;
            return Ok(Ok(()));
        }
    };
    if event.key.is_some() {
        return Ok(Err("this log has no keys".to_owned()));
    }
    if process < 0 {
        return Ok(Err(format!("process {process} is negative")));
    }
    let timed_out = || ":timed-out".to_owned();
    let argument = match (event.f, event.kind) {
        ("read", EventKind::Invoke) => Some("nil".to_owned()),
        ("read", EventKind::Ok) => match values.get(event.value) {
            Datum::Nil => Some("nil".to_owned()),
            Datum::Int(int) => Some(int.to_string()),
            _ => None,
        },
        ("read", EventKind::Fail | EventKind::Info) => Some(timed_out()),
        ("write" | "cas", EventKind::Info) => Some(timed_out()),
        ("write", EventKind::Invoke | EventKind::Ok) => values.int_of(event.value).map(|i| i.to_string()),
        ("cas", EventKind::Invoke) => show_pair(event.value, values),
        // The completion repeats the invocation's values, whatever it carried in the history.
        ("cas", EventKind::Ok) => show_pair(event.input, values),
        ("write" | "cas", EventKind::Fail) => {
            let reason = format!("a {} that did not happen; the log only has compared and differed", event.f);
            return Ok(Err(reason));
        }
        _ => None,
    };
    let Some(argument) = argument else {
        let value = values.show(event.value);
        return Ok(Err(format!(
            "{} {value} is not a read, write or cas of integers, which is all that the log can say",
            event.f
        )));
    };
    let kind = match (event.f, event.kind) {
        ("cas", EventKind::Ok) if event.value == Value::FALSE => "fail",
        ("read", EventKind::Info) => "fail",
        (_, kind) => kind.name(),
    };
    writeln!(out, "INFO  jepsen.util - {process}\t:{kind}\t:{}\t{argument}", event.f)?;
    Ok(Ok(()))
}

fn show_pair(value: Value, values: &Values) -> Option<String> {
    let (from, to) = values.pair(value)?;
    Some(format!("[{} {}]", values.int_of(from)?, values.int_of(to)?))
}
