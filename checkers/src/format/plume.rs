//! Plume's text, which PolySI, IsoVista and AWDIT read as well: a read or a write per line.
//!
//! ```text
//! w(5,1,0,0)
//! r(5,1,1,1)
//! ```
//!
//! That is key, value, session, transaction, all unsigned decimals without blanks. As those tools read
//! it: a transaction's number is its own in the whole file, and its lines may stand anywhere, in the
//! order of its operations; the transactions of a session are in the order of their first lines. The
//! transaction -1 is none: each such line is an operation of some transaction that aborted, of which
//! only writes are kept, here as a failed transaction each. 0 is the initial value; see [`Sessions`]
//! where it is written as well. A transaction in two sessions is an error here, where PolySI goes by its
//! first line and AWDIT mixes it with another one.
//!
//! Sources: the text loaders of PolySI (Huang et al., VLDB 2023), of IsoVista, which has Plume (Liu, Gu,
//! Wei, Basin, OOPSLA 2024) in it, and of AWDIT (Møldrup, Pavlogiannis, PLDI 2025).

use super::event::{Cursor, Problem, Room, Step, Stop, Syntax};
use super::line::{digits, fast_digits, literal, wrong_line};
use super::sessions::{End, MicroKind, MicroOp, Sessions, TransactionId, Zero, counted, unsigned};
use crate::history::{HistoryBuilder, PairingError};
use crate::value::{FastBuild, Value};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// The parser and what it has read.
pub(super) struct Plume {
    sessions: Sessions,
    numbers: HashMap<u64, u32, FastBuild>,
    transactions: HashMap<u64, TransactionId, FastBuild>,
    /// Number, session and index of the transaction of the line before: mostly that of the next, too.
    last: Option<(u64, u64, TransactionId)>,
    /// Reads of aborted transactions.
    reads_dropped: u64,
    line: u64,
}

impl Plume {
    pub(super) fn new() -> Plume {
        Plume {
            sessions: Sessions::new(Zero::Initial),
            numbers: HashMap::default(),
            transactions: HashMap::default(),
            last: None,
            reads_dropped: 0,
            line: 1,
        }
    }
}

impl Syntax for Plume {
    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let mut taken = 0;
        while let Some((line, len)) = Line::parse_usual(&bytes[taken..]) {
            self.take(&line, builder).map_err(|refusal| refusal.at(&bytes[taken..], taken))?;
            self.line += 1;
            taken += len;
        }
        if taken > 0 {
            return Ok(Step::Took(taken));
        }
        // A blank line, the last one, one that is cut, or one that is wrong.
        let len = match memchr::memchr(b'\n', bytes) {
            Some(newline) => newline + 1,
            None if !eof => return Err(Stop::More),
            None if bytes.is_empty() => return Ok(Step::End),
            None => bytes.len(),
        };
        let text = bytes[..len].trim_ascii_end();
        let step = if text.is_empty() {
            Step::Skip(len)
        } else {
            let mut cursor = Cursor::new(text, true);
            let line = Line::parse(&mut cursor).map_err(|expected| wrong_line(&cursor, expected))?;
            self.take(&line, builder).map_err(|refusal| refusal.at(text, 0))?;
            Step::Took(len)
        };
        self.line += 1;
        Ok(step)
    }

    fn finish(&mut self, builder: &mut HistoryBuilder, room: Room<'_>) -> Result<(), Stop> {
        self.sessions.finish(builder, room)?;
        if self.reads_dropped > 0 {
            let was = if self.reads_dropped == 1 { "was" } else { "were" };
            let reads = counted(self.reads_dropped, "read");
            builder.note(format!("{reads} of aborted transactions (-1) {was} left out"));
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        self.sessions.heap_bytes()
            + self.numbers.capacity() * (size_of::<(u64, u32)>() + 1)
            + self.transactions.capacity() * (size_of::<(u64, TransactionId)>() + 1)
    }
}

impl Plume {
    #[inline]
    fn take(&mut self, line: &Line, builder: &mut HistoryBuilder) -> Result<(), Refusal> {
        let values = builder.values();
        let operation = |key: Value, value: Value| MicroOp { kind: line.kind, key, value };
        let operation = operation(unsigned(line.key, values), unsigned(line.value, values));
        let id = match (line.transaction, self.last) {
            (Some(number), Some((last, session, id))) if number == last && session == line.session => id,
            (Some(number), _) => self.transaction(number, line.session)?,
            (None, _) if line.kind == MicroKind::Write => {
                let session = self.session(line.session)?;
                self.sessions.begin(session, End::Aborted, self.line)?
            }
            (None, _) => {
                self.reads_dropped += 1;
                return Ok(());
            }
        };
        Ok(self.sessions.add(id, operation, self.line)?)
    }

    fn transaction(&mut self, number: u64, session_number: u64) -> Result<TransactionId, Refusal> {
        let session = self.session(session_number)?;
        let id = match self.transactions.entry(number) {
            Entry::Vacant(entry) => *entry.insert(self.sessions.begin(session, End::Committed, self.line)?),
            Entry::Occupied(entry) => {
                let (first_session, first_line) = self.sessions.origin(*entry.get());
                if first_session != session {
                    return Err(Refusal::OtherSession { number, session: session_number, first_line });
                }
                *entry.get()
            }
        };
        self.last = Some((number, session_number, id));
        Ok(id)
    }

    /// The process that this session is.
    fn session(&mut self, number: u64) -> Result<u32, PairingError> {
        let count = self.numbers.len();
        Ok(match self.numbers.entry(number) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let limit = u64::from(u32::MAX);
                let count = u32::try_from(count);
                *entry.insert(count.map_err(|_| PairingError::TooMany { what: "sessions", limit })?)
            }
        })
    }
}

/// Why a line that is well-formed does not fit those before it.
enum Refusal {
    OtherSession { number: u64, session: u64, first_line: u32 },
    Pairing(PairingError),
}

impl From<PairingError> for Refusal {
    fn from(error: PairingError) -> Refusal {
        Refusal::Pairing(error)
    }
}

impl Refusal {
    /// For the line at the front of `bytes`, which stand at `at` themselves.
    #[cold]
    fn at(self, bytes: &[u8], at: usize) -> Stop {
        match self {
            Refusal::Pairing(error) => Stop::Pairing { at, error },
            Refusal::OtherSession { number, session, first_line } => {
                let len = memchr::memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
                Stop::Problem(Box::new(Problem {
                    at,
                    len,
                    found: format!("transaction {number} in session {session}"),
                    expected: format!(
                        "the session in which it began on line {first_line}, or a transaction with a number of its own"
                    ),
                    help: None,
                }))
            }
        }
    }
}

/// True if the first line of `head` that is not blank is one of this format, or begins like one.
pub(super) fn detect(head: &[u8]) -> bool {
    matches!(head.trim_ascii_start(), [b'r' | b'w', b'(', digit, ..] if digit.is_ascii_digit())
}

struct Line {
    kind: MicroKind,
    key: u64,
    value: u64,
    session: u64,
    /// `None` if it aborted.
    transaction: Option<u64>,
}

impl Line {
    /// The line at the front of `bytes` and its length with the line end, if it is as nearly every line
    /// is; else [`Line::parse`] knows better.
    #[inline]
    fn parse_usual(bytes: &[u8]) -> Option<(Line, usize)> {
        let kind = match bytes {
            [b'r', b'(', ..] => MicroKind::Read,
            [b'w', b'(', ..] => MicroKind::Write,
            _ => return None,
        };
        let mut at = 2;
        let key = fast_digits(bytes, &mut at, b',')?;
        let value = fast_digits(bytes, &mut at, b',')?;
        let session = fast_digits(bytes, &mut at, b',')?;
        let transaction = if bytes[at..].starts_with(b"-1)") {
            at += 3;
            None
        } else {
            Some(fast_digits(bytes, &mut at, b')')?)
        };
        at += match bytes[at..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        Some((Line { kind, key, value, session, transaction }, at))
    }

    /// On an error the cursor stands where the expected thing is missing.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Line, &'static str> {
        let kind = match cursor.bytes.first() {
            Some(b'r') => MicroKind::Read,
            Some(b'w') => MicroKind::Write,
            _ => return Err("a line such as r(key,value,session,transaction), or w(…)"),
        };
        cursor.pos += 1;
        literal(cursor, "(", "`(`")?;
        let key = digits(cursor, "the key, an unsigned number")?;
        literal(cursor, ",", "`,`")?;
        let value = digits(cursor, "the value, an unsigned number")?;
        literal(cursor, ",", "`,`")?;
        let session = digits(cursor, "the session, an unsigned number")?;
        literal(cursor, ",", "`,`")?;
        let transaction = if literal(cursor, "-1", "").is_ok() {
            None
        } else {
            Some(digits(cursor, "the transaction, an unsigned number, or -1 if it aborted")?)
        };
        literal(cursor, ")", "`)`")?;
        if cursor.pos != cursor.bytes.len() {
            return Err("nothing after `)`");
        }
        Ok(Line { kind, key, value, session, transaction })
    }
}
