//! dbcop's text notation, `.hist`: transactions in brackets.
//!
//! ```text
//! // the first session
//! [x:=1 y:=1] [y==1 z==?]
//! [x:=2]!
//! ---
//! [x==1]
//! ```
//!
//! `:=` writes, `==` reads, `?` stands for the initial value, `!` says that the transaction did not
//! commit, a line of `-` ends a session, `//` begins a comment. Names are letters, digits and `_`; one
//! that is a number is a number here. For the version 0 see [`Sessions`]. Beyond dbcop's parser, an empty
//! transaction is read, its printer's `[]`, and the last line needs no end.
//!
//! Source: dbcop (Biswas, Enea, OOPSLA 2019), `history/raw/parser.rs`, where the grammar is.

use super::event::{Cursor, Room, Step, Stop, Syntax};
use super::line::digits;
use super::sessions::{End, MicroKind, MicroOp, Sessions, Zero, unsigned};
use crate::history::HistoryBuilder;
use crate::value::{Value, Values};

/// The parser and what it has read.
pub(super) struct DbcopHist {
    sessions: Sessions,
    session: u32,
    line: u64,
    /// The bytes at hand begin inside a comment.
    in_comment: bool,
    /// The operations of a transaction that is being read.
    operations: Vec<MicroOp>,
}

impl DbcopHist {
    pub(super) fn new() -> DbcopHist {
        DbcopHist {
            sessions: Sessions::new(Zero::Initial),
            session: 0,
            line: 1,
            in_comment: false,
            operations: Vec::new(),
        }
    }
}

impl Syntax for DbcopHist {
    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let mut cursor = Cursor::new(bytes, eof);
        if self.in_comment {
            let end = memchr::memchr(b'\n', bytes);
            self.in_comment = end.is_none();
            match end.unwrap_or(bytes.len()) {
                0 => {}
                len => return Ok(Step::Skip(len)),
            }
        }
        match bytes.first() {
            None if eof => Ok(Step::End),
            None => Err(Stop::More),
            Some(b'\n') => Ok(self.newline()),
            Some(b' ' | b'\t' | b'\r') => {
                let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r');
                Ok(Step::Skip(bytes.iter().take_while(blank).count()))
            }
            Some(b'/') => {
                cursor.pos = 1;
                if cursor.need("`//` and a comment")? != b'/' {
                    return Err(cursor.wrong_byte("`//` and a comment"));
                }
                self.in_comment = true;
                Ok(Step::Skip(2))
            }
            Some(b'-') => {
                let len = bytes.iter().take_while(|byte| **byte == b'-').count();
                if len == bytes.len() && !eof {
                    return Err(Stop::More);
                }
                self.session = self.session.saturating_add(1);
                Ok(Step::Skip(len))
            }
            Some(b'[') => {
                self.operations.clear();
                let end = transaction(&mut cursor, &mut self.operations, builder.values())?;
                let lines = (self.line, self.line);
                let pushed = self.sessions.push(self.session, end, lines, &self.operations);
                pushed.map_err(|error| Stop::Pairing { at: 0, error })?;
                Ok(Step::Took(cursor.pos))
            }
            Some(_) => {
                Err(cursor.wrong_byte("a transaction such as [x:=1 y==1], a line of `-`, or a comment"))
            }
        }
    }

    fn finish(&mut self, builder: &mut HistoryBuilder, room: Room<'_>) -> Result<(), Stop> {
        self.sessions.finish(builder, room)
    }

    fn heap_bytes(&self) -> usize {
        self.sessions.heap_bytes() + self.operations.capacity() * size_of::<MicroOp>()
    }
}

impl DbcopHist {
    fn newline(&mut self) -> Step {
        self.line += 1;
        Step::Skip(1)
    }
}

/// True if the first thing in `head` besides comments and lines of `-` is the beginning of a transaction.
pub(super) fn detect(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.starts_with(b"//") && line.iter().any(|byte| *byte != b'-'));
    let Some(rest) = first.and_then(|line| line.strip_prefix(b"[")) else { return false };
    let rest = rest.trim_ascii_start();
    let name = rest.iter().take_while(|byte| is_name_byte(**byte)).count();
    name > 0 && (rest[name..].starts_with(b":=") || rest[name..].starts_with(b"=="))
}

/// The transaction whose `[` is at the cursor.
fn transaction(
    cursor: &mut Cursor<'_>,
    operations: &mut Vec<MicroOp>,
    values: &mut Values,
) -> Result<End, Stop> {
    const EVENT: &str = "an event such as x:=1 or x==1, or `]`";
    cursor.pos += 1;
    loop {
        let before = cursor.pos;
        while let Some(b' ' | b'\t') = cursor.bytes.get(cursor.pos) {
            cursor.pos += 1;
        }
        if cursor.need(EVENT)? == b']' {
            cursor.pos += 1;
            break;
        }
        if before == cursor.pos && !operations.is_empty() {
            return Err(cursor.wrong_byte("a blank or `]`"));
        }
        let key = name(cursor, values, EVENT)?;
        let (kind, value) = match two(cursor)? {
            b":=" => (MicroKind::Write, version(cursor, values)?),
            b"==" if cursor.need("a version, or `?`")? == b'?' => {
                cursor.pos += 1;
                (MicroKind::Read, Value::NIL)
            }
            b"==" => (MicroKind::Read, version(cursor, values)?),
            _ => return Err(cursor.wrong(cursor.pos - 2, cursor.pos, "`:=` or `==`")),
        };
        operations.push(MicroOp { kind, key, value });
    }
    match cursor.bytes.get(cursor.pos) {
        Some(b'!') => {
            cursor.pos += 1;
            Ok(End::Aborted)
        }
        None if !cursor.eof => Err(Stop::More),
        _ => Ok(End::Committed),
    }
}

fn name(cursor: &mut Cursor<'_>, values: &mut Values, expected: &'static str) -> Result<Value, Stop> {
    let start = cursor.pos;
    let rest = &cursor.bytes[start..];
    let Some(len) = rest.iter().position(|byte| !is_name_byte(*byte)) else {
        return Err(cursor.ended("`:=` or `==` after the variable"));
    };
    if len == 0 {
        return Err(cursor.wrong_byte(expected));
    }
    let text = cursor.utf8(start, len)?;
    if let Some((odd, c)) = text.char_indices().find(|(_, c)| !c.is_alphanumeric() && *c != '_') {
        return Err(cursor.wrong(start + odd, start + odd + c.len_utf8(), "a letter, a digit or `_`"));
    }
    cursor.pos += len;
    // What prints as it stands is a number, for dbcop's own variables are.
    Ok(match text.parse::<u64>() {
        Ok(int) if text == "0" || !text.starts_with('0') => unsigned(int, values),
        _ => values.str(text),
    })
}

/// Letters, digits and `_`; what is not ASCII is looked at once the whole name is there.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn two<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Stop> {
    let start = cursor.pos;
    let Some(both) = cursor.bytes.get(start..start + 2) else {
        return Err(cursor.ended("`:=` or `==` after the variable"));
    };
    cursor.pos += 2;
    Ok(both)
}

fn version(cursor: &mut Cursor<'_>, values: &mut Values) -> Result<Value, Stop> {
    const EXPECTED: &str = "a version, an unsigned number";
    // The number may go on in the bytes that follow.
    if !cursor.eof && cursor.bytes[cursor.pos..].iter().all(u8::is_ascii_digit) {
        return Err(Stop::More);
    }
    let start = cursor.pos;
    match digits(cursor, EXPECTED) {
        Ok(int) => Ok(unsigned(int, values)),
        Err(_) if start == cursor.bytes.len() => Err(cursor.ended(EXPECTED)),
        Err(_) if !cursor.bytes[start].is_ascii_digit() => Err(cursor.wrong_byte(EXPECTED)),
        Err(_) => {
            let len = cursor.bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            Err(cursor.wrong(start, start + len, "a version below 2^64"))
        }
    }
}
