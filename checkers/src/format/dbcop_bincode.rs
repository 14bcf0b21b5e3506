//! dbcop's first binary format, in which PolySI's published histories are: bincode, little-endian.
//!
//! ```text
//! history     = 5 numbers (id, nodes, variables, transactions, events)
//!               3 strings (info, start, end), a number of sessions, the sessions
//! session     = a number of transactions, the transactions
//! transaction = a number of events, the events, success (a byte, 0 or 1)
//! event       = write (a byte), variable, value (two numbers), success (a byte)
//! ```
//!
//! Numbers have eight bytes, a string is a number of bytes and those. Nothing is believed of a count but
//! that so much should follow: each piece is read when it is there. For the value 0 see [`Sessions`]; for
//! an event without success see [`super::dbcop`].
//!
//! Source: the structures of dbcop's first edition, `src/db/history.rs` (Biswas, Enea, OOPSLA 2019), and
//! PolySI's loader of them, `DBCopHistoryLoader.java`.

use super::binary::{WORD, byte, word, wrong};
use super::event::{Cursor, Room, Step, Stop, Syntax};
use super::sessions::{End, MicroKind, MicroOp, Sessions, Zero, unsigned};
use crate::history::HistoryBuilder;
use crate::value::{Value, Values};

/// The parser and what it has read.
pub(super) struct DbcopBincode {
    at: At,
    sessions_left: u64,
    transactions_left: u64,
    events_left: u64,
    /// Sessions begun.
    session_count: u32,
    /// The operations of a transaction that is being read, and its writes that failed.
    operations: Vec<MicroOp>,
    failed: Vec<MicroOp>,
    sessions: Sessions,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Parameter(usize),
    /// The length of this string of the three.
    Length(usize),
    /// So many bytes of this string.
    Text(usize, u64),
    SessionCount,
    Session,
    Transaction,
    Event,
    Success,
    Done,
}

const PARAMETERS: [&str; 5] = [
    "the history's id, eight bytes",
    "the number of nodes, eight bytes",
    "the number of variables, eight bytes",
    "the number of transactions, eight bytes",
    "the number of events, eight bytes",
];
const STRINGS: [[&str; 2]; 3] = [
    ["the length of `info`, eight bytes", "more bytes of `info`"],
    ["the length of `start`, eight bytes", "more bytes of `start`"],
    ["the length of `end`, eight bytes", "more bytes of `end`"],
];
/// Strings are notes and times; one this long is none.
const STRING_BYTES_MAX: u64 = 1 << 20;
const EVENT_BYTES: usize = 1 + WORD + WORD + 1;

impl DbcopBincode {
    pub(super) fn new() -> DbcopBincode {
        DbcopBincode {
            at: At::Parameter(0),
            sessions_left: 0,
            transactions_left: 0,
            events_left: 0,
            session_count: 0,
            operations: Vec::new(),
            failed: Vec::new(),
            sessions: Sessions::new(Zero::Initial),
        }
    }
}

impl Syntax for DbcopBincode {
    const IS_BINARY: bool = true;

    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let mut cursor = Cursor::new(bytes, eof);
        if self.at == At::Done || (self.at == At::Parameter(0) && eof) {
            match bytes.len() {
                0 if eof => return Ok(Step::End),
                0 => return Err(Stop::More),
                len if self.at == At::Done => {
                    return Err(wrong(&cursor, 0, len.min(WORD), "nothing after the last session"));
                }
                _ => {}
            }
        }
        loop {
            let start = cursor.pos;
            match self.piece(&mut cursor, builder) {
                Ok(true) => return Ok(Step::Took(cursor.pos)),
                Ok(false) if self.at == At::Done => return Ok(Step::Skip(cursor.pos)),
                Ok(false) => {}
                // What was read of this transaction is in `self`; an error needs no second look either.
                Err(Stop::More) if start > 0 => return Ok(Step::Skip(start)),
                Err(stop) => return Err(stop),
            }
        }
    }

    fn finish(&mut self, builder: &mut HistoryBuilder, room: Room<'_>) -> Result<(), Stop> {
        self.sessions.finish(builder, room)
    }

    fn heap_bytes(&self) -> usize {
        let operations = self.operations.capacity() + self.failed.capacity();
        self.sessions.heap_bytes() + operations * size_of::<MicroOp>()
    }
}

impl DbcopBincode {
    /// Reads one piece and tells whether a transaction ended with it. On an error nothing is consumed.
    fn piece(&mut self, cursor: &mut Cursor<'_>, builder: &mut HistoryBuilder) -> Result<bool, Stop> {
        let start = cursor.pos;
        self.at = match self.at {
            At::Parameter(i) => {
                word(cursor, PARAMETERS[i])?;
                if i + 1 < PARAMETERS.len() { At::Parameter(i + 1) } else { At::Length(0) }
            }
            At::Length(i) => {
                let len = number(cursor, STRINGS[i][0])?;
                if len > STRING_BYTES_MAX {
                    let expected = format!("a length of at most {STRING_BYTES_MAX} bytes, not {len}");
                    return Err(wrong(cursor, start, WORD, expected));
                }
                At::Text(i, len)
            }
            At::Text(i, 0) if i + 1 < STRINGS.len() => At::Length(i + 1),
            At::Text(_, 0) => At::SessionCount,
            At::Text(i, left) => {
                cursor.need(STRINGS[i][1])?;
                let len = left.min((cursor.bytes.len() - start) as u64);
                cursor.pos += len as usize;
                At::Text(i, left - len)
            }
            At::SessionCount => {
                self.sessions_left = number(cursor, "the number of sessions, eight bytes")?;
                self.next_session()
            }
            At::Session => {
                self.transactions_left =
                    number(cursor, "the number of transactions in the session, eight bytes")?;
                self.sessions_left -= 1;
                self.session_count = self.session_count.saturating_add(1);
                self.next_transaction()
            }
            At::Transaction => {
                self.events_left = number(cursor, "the number of events in the transaction, eight bytes")?;
                self.transactions_left -= 1;
                self.operations.clear();
                self.failed.clear();
                self.next_event()
            }
            At::Event => {
                self.event(cursor, builder.values())?;
                self.events_left -= 1;
                self.next_event()
            }
            At::Success => {
                let committed = flag(cursor, "whether the transaction committed, a byte 0 or 1")?;
                self.push(committed)?;
                self.at = self.next_transaction();
                return Ok(true);
            }
            At::Done => At::Done,
        };
        Ok(false)
    }

    fn next_session(&self) -> At {
        if self.sessions_left == 0 { At::Done } else { At::Session }
    }

    fn next_transaction(&self) -> At {
        if self.transactions_left == 0 { self.next_session() } else { At::Transaction }
    }

    fn next_event(&self) -> At {
        if self.events_left == 0 { At::Success } else { At::Event }
    }

    fn event(&mut self, cursor: &mut Cursor<'_>, values: &mut Values) -> Result<(), Stop> {
        const EVENT: &str = "an event, 18 bytes";
        if cursor.bytes.len() - cursor.pos < EVENT_BYTES && !cursor.eof {
            return Err(Stop::More);
        }
        let is_write = flag(cursor, "whether the event is a write, a byte 0 or 1")?;
        let key = unsigned(number(cursor, EVENT)?, values);
        let value = unsigned(number(cursor, EVENT)?, values);
        let succeeded = flag(cursor, "whether the event succeeded, a byte 0 or 1")?;
        match (is_write, succeeded) {
            (true, true) => self.operations.push(MicroOp { kind: MicroKind::Write, key, value }),
            (true, false) => self.failed.push(MicroOp { kind: MicroKind::Write, key, value }),
            (false, true) => self.operations.push(MicroOp { kind: MicroKind::Read, key, value }),
            (false, false) => {
                self.operations.push(MicroOp { kind: MicroKind::ReadUnknown, key, value: Value::NIL });
            }
        }
        Ok(())
    }

    fn push(&mut self, committed: bool) -> Result<(), Stop> {
        let session = self.session_count - 1;
        let (operations, failed) = (&mut self.operations, &mut self.failed);
        let mut push = |end, operations: &[MicroOp]| {
            self.sessions
                .push(session, end, (0, 0), operations)
                .map_err(|error| Stop::Pairing { at: 0, error })
        };
        match committed {
            false => operations.append(failed),
            true if !failed.is_empty() => push(End::Aborted, failed)?,
            true => {}
        }
        push(if committed { End::Committed } else { End::Aborted }, operations)
    }
}

fn number(cursor: &mut Cursor<'_>, expected: &'static str) -> Result<u64, Stop> {
    Ok(u64::from_le_bytes(word(cursor, expected)?))
}

fn flag(cursor: &mut Cursor<'_>, expected: &'static str) -> Result<bool, Stop> {
    match byte(cursor, expected)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(wrong(cursor, cursor.pos - 1, 1, expected)),
    }
}

/// True if `head` begins like such a history: no parameter is absurd, and after a short string comes
/// one that begins like a date.
pub(super) fn detect(head: &[u8]) -> bool {
    let mut cursor = Cursor::new(head, true);
    let mut number = |most: u64| number(&mut cursor, "").ok().filter(|number| *number <= most);
    if PARAMETERS.iter().any(|_| number(1 << 40).is_none()) {
        return false;
    }
    let Some(info_bytes) = number(4096) else { return false };
    cursor.pos += info_bytes as usize;
    if cursor.pos > head.len() || !matches!(self::number(&mut cursor, ""), Ok(10..=64)) {
        return false;
    }
    matches!(head[cursor.pos..], [a, b, c, d, b'-', ..] if [a, b, c, d].iter().all(u8::is_ascii_digit))
}
