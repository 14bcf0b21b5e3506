//! AWDIT's "test" format, made to be written by hand: a read or a write per line.
//!
//! ```text
//! w 0 1
//! w 1 1
//! -----
//! r 0 1
//! =====
//! r 1 1
//! ```
//!
//! That is key and value, unsigned decimals. A line of `-`, however many, ends a transaction; one of `=`
//! a session. Blank lines count for nothing. All is committed, and no key has a value before it is
//! written: 0 is a value like any other.
//!
//! Source: `parse_test_history` of AWDIT (Møldrup, Pavlogiannis, PLDI 2025), which ends a transaction at
//! any `-`; one in the line of an operation is an error here.

use super::event::{Cursor, Room, Step, Stop, Syntax};
use super::line::{digits, wrong_line};
use super::sessions::{End, MicroKind, MicroOp, Sessions, TransactionId, Zero, unsigned};
use crate::history::HistoryBuilder;

/// The parser and what it has read.
pub(super) struct Awdit {
    sessions: Sessions,
    session: u32,
    /// The session has transactions already.
    session_begun: bool,
    transaction: Option<TransactionId>,
    line: u64,
}

impl Awdit {
    pub(super) fn new() -> Awdit {
        Awdit {
            sessions: Sessions::new(Zero::Plain),
            session: 0,
            session_begun: false,
            transaction: None,
            line: 1,
        }
    }
}

impl Syntax for Awdit {
    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let len = match memchr::memchr(b'\n', bytes) {
            Some(newline) => newline + 1,
            None if !eof => return Err(Stop::More),
            None if bytes.is_empty() => return Ok(Step::End),
            None => bytes.len(),
        };
        let mut cursor = Cursor::new(bytes[..len].trim_ascii_end(), true);
        let line = Line::parse(&mut cursor).map_err(|expected| wrong_line(&cursor, expected))?;
        let step = match line {
            Line::Blank => Step::Skip(len),
            Line::TransactionEnd => {
                self.transaction = None;
                Step::Skip(len)
            }
            Line::SessionEnd => {
                self.transaction = None;
                // At most one session per line, and lines have numbers below 2^32 wherever it matters.
                self.session = self.session.saturating_add(u32::from(self.session_begun));
                self.session_begun = false;
                Step::Skip(len)
            }
            Line::Operation { kind, key, value } => {
                let too_many = |error| Stop::Pairing { at: 0, error };
                let id = match self.transaction {
                    Some(id) => id,
                    None => self.sessions.begin(self.session, End::Committed, self.line).map_err(too_many)?,
                };
                self.transaction = Some(id);
                self.session_begun = true;
                let values = builder.values();
                let operation = MicroOp { kind, key: unsigned(key, values), value: unsigned(value, values) };
                self.sessions.add(id, operation, self.line).map_err(too_many)?;
                Step::Took(len)
            }
        };
        self.line += 1;
        Ok(step)
    }

    fn finish(&mut self, builder: &mut HistoryBuilder, room: Room<'_>) -> Result<(), Stop> {
        self.sessions.finish(builder, room)
    }

    fn heap_bytes(&self) -> usize {
        self.sessions.heap_bytes()
    }
}

/// True if the first line of `head` that neither is blank nor separates anything is an operation.
pub(super) fn detect(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.find_map(|line| match Line::parse(&mut Cursor::new(line.trim_ascii_end(), true)) {
        Ok(Line::Blank | Line::TransactionEnd | Line::SessionEnd) => None,
        line => Some(line),
    });
    matches!(first, Some(Ok(Line::Operation { .. })))
}

enum Line {
    Blank,
    TransactionEnd,
    SessionEnd,
    Operation { kind: MicroKind, key: u64, value: u64 },
}

impl Line {
    /// On an error the cursor stands where the expected thing is missing.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Line, &'static str> {
        skip_blanks(cursor);
        let rest = &cursor.bytes[cursor.pos..];
        let kind = match rest.first() {
            None => return Ok(Line::Blank),
            Some(b'r') => MicroKind::Read,
            Some(b'w') => MicroKind::Write,
            Some(mark @ (b'-' | b'=')) => {
                cursor.pos += rest.iter().take_while(|byte| *byte == mark).count();
                let ends = if *mark == b'-' { Line::TransactionEnd } else { Line::SessionEnd };
                return if cursor.pos == cursor.bytes.len() {
                    Ok(ends)
                } else {
                    Err("nothing else in a line of `-` or `=`")
                };
            }
            Some(_) => return Err("`r KEY VALUE`, `w KEY VALUE`, or a line of `-` or `=`"),
        };
        cursor.pos += 1;
        let mut number = |expected| {
            let before = cursor.pos;
            skip_blanks(cursor);
            if before == cursor.pos { Err(expected) } else { digits(cursor, expected) }
        };
        let key = number("a blank and the key, an unsigned number")?;
        let value = number("a blank and the value, an unsigned number")?;
        if cursor.pos != cursor.bytes.len() {
            return Err("nothing after the value");
        }
        Ok(Line::Operation { kind, key, value })
    }
}

fn skip_blanks(cursor: &mut Cursor<'_>) {
    while let Some(b' ' | b'\t') = cursor.bytes.get(cursor.pos) {
        cursor.pos += 1;
    }
}
