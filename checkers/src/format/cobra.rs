//! Cobra's logs: a folder with one for each client, which is a session. Binary, big-endian.
//!
//! ```text
//! transaction = `S` id, its operations, `C` id
//! operation   = `W` write-id key value | `R` transaction-id write-id key value
//! ```
//!
//! A letter is a byte, everything else a number of eight. Keys and values are hashes. What is written is
//! recorded here as its write id, which is unique where values need not be; ids and hashes are taken as
//! unsigned. A read of the write ids `bebeebee` (initial) or `deadbeef` (null) is one of the initial
//! value, and so is one that names them as the transaction and a write id of Cobra's garbage collection,
//! `23332333` or `66666666`. Aborted transactions are not logged, and `A` is refused. Logs with
//! timestamps after `S` and `C`, which Cobra can be built to write, are not read.
//!
//! Sessions are the files `T*.log` in the order of their numbers; each may be compressed, as `T*.log.gz` or
//! `T*.log.zst`.
//!
//! Source: Cobra (Tan, Zhao, Mu, Walfish, OSDI 2020), `AbstractVerifier.java`; PolySI's
//! `CobraHistoryLoader.java`.

use super::FormatError;
use super::binary::{WORD, byte, word, wrong};
use super::event::{Cursor, Room, Step, Stop, Syntax};
use super::sessions::{End, MicroKind, MicroOp, Sessions, Zero, unsigned};
use super::source::uncompressed;
use crate::history::HistoryBuilder;
use crate::value::{Value, Values};
use std::path::{Path, PathBuf};

/// The parser of all logs of a history, one after the other, and what it has read.
pub(super) struct Cobra {
    /// Logs begun.
    log_count: u32,
    /// The transaction that is being read.
    transaction: Option<u64>,
    operations: Vec<MicroOp>,
    sessions: Sessions,
}

const INITIAL: u64 = 0xbebe_ebee;
const NULL: u64 = 0xdead_beef;
const COLLECTED: [u64; 2] = [0x2333_2333, 0x6666_6666];

impl Cobra {
    pub(super) fn new() -> Cobra {
        Cobra {
            log_count: 0,
            transaction: None,
            operations: Vec::new(),
            sessions: Sessions::new(Zero::Plain),
        }
    }

    /// Says that what comes next is the beginning of a log.
    pub(super) fn begin_log(&mut self) {
        self.log_count = self.log_count.saturating_add(1);
    }
}

impl Syntax for Cobra {
    const IS_BINARY: bool = true;

    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let mut cursor = Cursor::new(bytes, eof);
        if bytes.is_empty() && self.transaction.is_none() {
            return if eof { Ok(Step::End) } else { Err(Stop::More) };
        }
        loop {
            let start = cursor.pos;
            match self.record(&mut cursor, builder.values()) {
                Ok(true) => return Ok(Step::Took(cursor.pos)),
                Ok(false) => {}
                // What was read of this transaction is in `self`; an error needs no second look either.
                Err(Stop::More) if start > 0 => return Ok(Step::Skip(start)),
                Err(stop) => return Err(stop),
            }
        }
    }

    fn finish(&mut self, builder: &mut HistoryBuilder, room: Room<'_>) -> Result<(), Stop> {
        self.sessions.finish(builder, room)?;
        if self.log_count == 0 && builder.event_count() > 0 {
            builder.note("a single log of Cobra's, read as a history of a single session".to_owned());
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        self.sessions.heap_bytes() + self.operations.capacity() * size_of::<MicroOp>()
    }
}

impl Cobra {
    /// Reads one record and tells whether it ended a transaction. On [`Stop::More`] nothing happened.
    fn record(&mut self, cursor: &mut Cursor<'_>, values: &mut Values) -> Result<bool, Stop> {
        let start = cursor.pos;
        let Some(id) = self.transaction else {
            const START: &str = "`S` (53), the start of a transaction";
            match byte(cursor, START)? {
                b'S' => self.transaction = Some(number(cursor, "the id of a transaction, eight bytes")?),
                _ => return Err(wrong(cursor, start, 1, START)),
            }
            self.operations.clear();
            return Ok(false);
        };
        match byte(cursor, "`W` (57), `R` (52) or `C` (43): the transaction is not committed yet")? {
            b'W' => {
                let [write, key, _value] =
                    numbers(cursor, "a write: its id, a key and a value, eight bytes each")?;
                let (key, value) = (unsigned(key, values), unsigned(write, values));
                self.operations.push(MicroOp { kind: MicroKind::Write, key, value });
            }
            b'R' => {
                let [writer, write, key, _value] = numbers(
                    cursor,
                    "a read: a transaction's id, a write's id, a key and a value, eight bytes each",
                )?;
                let initial = [INITIAL, NULL];
                let is_initial =
                    initial.contains(&write) || (initial.contains(&writer) && COLLECTED.contains(&write));
                let value = if is_initial { Value::NIL } else { unsigned(write, values) };
                self.operations.push(MicroOp { kind: MicroKind::Read, key: unsigned(key, values), value });
            }
            b'C' => {
                let commit = number(cursor, "the id of the transaction that is committed, eight bytes")?;
                if commit != id {
                    let expected = format!("the id of the transaction that is open, {id:016x}");
                    return Err(wrong(cursor, start + 1, WORD, expected));
                }
                self.transaction = None;
                let session = self.log_count.saturating_sub(1);
                let pushed = self.sessions.push(session, End::Committed, (0, 0), &self.operations);
                pushed.map_err(|error| Stop::Pairing { at: start, error })?;
                return Ok(true);
            }
            b'A' => {
                return Err(wrong(cursor, start, 1, "no aborted transaction, which Cobra does not log"));
            }
            _ => {
                return Err(wrong(
                    cursor,
                    start,
                    1,
                    "`W` (57), `R` (52) or `C` (43), in a log without timestamps",
                ));
            }
        }
        Ok(false)
    }
}

fn number(cursor: &mut Cursor<'_>, expected: &'static str) -> Result<u64, Stop> {
    Ok(u64::from_be_bytes(word(cursor, expected)?))
}

fn numbers<const N: usize>(cursor: &mut Cursor<'_>, expected: &'static str) -> Result<[u64; N], Stop> {
    let mut numbers = [0; N];
    for into in &mut numbers {
        *into = number(cursor, expected)?;
    }
    Ok(numbers)
}

/// The logs in the folder at `path`, in the order of their sessions; each session has one.
pub(super) fn logs(path: &Path) -> Result<Vec<PathBuf>, FormatError> {
    let name = || path.display().to_string();
    let failed = |source| FormatError::Io { name: name(), source };
    let mut logs = Vec::new();
    for entry in path.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(session) = path.file_name().and_then(|name| name.to_str()).and_then(session_of) else {
            continue;
        };
        if path.is_file() {
            logs.push((session.parse::<u64>().unwrap_or(u64::MAX), session.to_owned(), path));
        }
    }
    logs.sort();
    if let Some(both) = logs.windows(2).find(|both| both[0].1 == both[1].1) {
        let file = |log: &Path| log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(FormatError::SessionTwice {
            name: name(),
            first: file(&both[0].2),
            second: file(&both[1].2),
        });
    }
    Ok(logs.into_iter().map(|(_, _, path)| path).collect())
}

/// What stands for `*` in a file's name that is `T*.log`, compressed or not.
fn session_of(name: &str) -> Option<&str> {
    uncompressed(name).strip_prefix('T')?.strip_suffix(".log")
}
