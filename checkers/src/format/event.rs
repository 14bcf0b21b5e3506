//! What the parsers share: a cursor over bytes, the ways to stop, and an event in the making.

use super::Limits;
use super::error::{LimitReached, char_end, quote};
use crate::history::{
    ANONYMOUS, Event, EventKind, FunctionId, HistoryBuilder, PairingError, Process, Timestamps,
};
use crate::value::{Datum, Value, Values};

/// One format's grammar, told apart from where its bytes come from.
pub(super) trait Syntax {
    /// True if places in the input are counted in bytes, for it has no lines.
    const IS_BINARY: bool = false;

    /// Reads one step from the front of `bytes`. After [`Stop::More`] it is called again with the
    /// same bytes and some that follow; `eof` says that none do. It may have interned values by
    /// then, never pushed an event.
    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop>;

    /// Pushes the events that [`Step::Took`] kept back, once all input is read.
    fn finish(&mut self, _builder: &mut HistoryBuilder, _room: Room<'_>) -> Result<(), Stop> {
        Ok(())
    }

    /// Bytes of its stacks, and of what it keeps back.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// The limits on what a history may hold.
#[derive(Clone, Copy)]
pub(super) struct Room<'l>(pub(super) &'l Limits);

/// The arena counts its values in 32 bits; this leaves room for those of one record.
const DISTINCT_VALUES_MAX: usize = 1 << 31;

impl Room<'_> {
    /// The limit that was reached, if one was: `more_bytes` are held outside the builder.
    pub(super) fn exceeded(self, builder: &HistoryBuilder, more_bytes: usize) -> Option<LimitReached> {
        let memory_bytes_max = self.0.memory_bytes;
        if builder.heap_bytes() + more_bytes > memory_bytes_max {
            return Some(LimitReached::MemoryBytes(memory_bytes_max));
        }
        (builder.distinct_values() > DISTINCT_VALUES_MAX)
            .then_some(LimitReached::DistinctValues(DISTINCT_VALUES_MAX))
    }
}

/// What the front of the input was.
pub(super) enum Step {
    /// So many bytes of no meaning; more than none.
    Skip(usize),
    /// An event between these two offsets.
    Event { start: usize, end: usize, draft: Draft },
    /// So many bytes of operations that the parser keeps back until [`Syntax::finish`].
    Took(usize),
    /// The end of the input.
    End,
}

/// Why a parser cannot go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// It needs the bytes that follow.
    More,
    Problem(Box<Problem>),
    Limit {
        at: usize,
        limit: LimitReached,
    },
    Pairing {
        at: usize,
        error: PairingError,
    },
}

/// Text that is not of the format, at an offset into the bytes that the parser was given.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) found: String,
    pub(super) expected: String,
    pub(super) help: Option<&'static str>,
}

/// A position in the bytes at hand.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) pos: usize,
    pub(super) eof: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], eof: bool) -> Cursor<'a> {
        Cursor { bytes, pos: 0, eof }
    }

    /// The next byte, not consumed.
    #[inline]
    pub(super) fn need(&self, expected: &'static str) -> Result<u8, Stop> {
        match self.bytes.get(self.pos) {
            Some(byte) => Ok(*byte),
            None => Err(self.ended(expected)),
        }
    }

    /// What to do at the end of the bytes at hand.
    #[cold]
    pub(super) fn ended(&self, expected: &str) -> Stop {
        if !self.eof {
            return Stop::More;
        }
        Stop::Problem(Box::new(Problem {
            at: self.bytes.len(),
            len: 0,
            found: "the end of the input".to_owned(),
            expected: expected.to_owned(),
            help: Some("the file seems to be cut short"),
        }))
    }

    /// The bytes `start..end` are wrong, and with them the character whose first bytes they may
    /// end in.
    #[cold]
    pub(super) fn wrong(&self, start: usize, end: usize, expected: &str) -> Stop {
        let end = char_end(self.bytes, end.clamp(start, self.bytes.len()));
        Stop::Problem(Box::new(Problem {
            at: start,
            len: end - start,
            found: quote(&self.bytes[start..end], 40),
            expected: expected.to_owned(),
            help: None,
        }))
    }

    /// The byte at the cursor is wrong; quotes the character that it begins.
    #[cold]
    pub(super) fn wrong_byte(&self, expected: &str) -> Stop {
        let rest = &self.bytes[self.pos..];
        let len = (1..=rest.len().min(4)).find(|&n| std::str::from_utf8(&rest[..n]).is_ok()).unwrap_or(1);
        self.wrong(self.pos, self.pos + len, expected)
    }

    /// So many bytes from `start`, as text.
    #[inline]
    pub(super) fn utf8(&self, start: usize, len: usize) -> Result<&'a str, Stop> {
        std::str::from_utf8(&self.bytes[start..start + len]).map_err(|error| {
            let bad = start + error.valid_up_to();
            self.wrong(bad, bad + error.error_len().unwrap_or(len - error.valid_up_to()), "UTF-8")
        })
    }

    /// A small decimal integer at the cursor, with the offset of its end. `None` if there is no
    /// integer, it is long, or the bytes at hand end right after it: the slow path knows better.
    #[inline]
    pub(super) fn small_int(&self) -> Option<(i64, usize)> {
        let mut at = self.pos;
        let negative = *self.bytes.get(at)? == b'-';
        at += usize::from(negative);
        let first = at;
        let mut int: i64 = 0;
        while let Some(byte) = self.bytes.get(at)
            && byte.is_ascii_digit()
        {
            if at - first == 18 {
                return None;
            }
            int = int * 10 + i64::from(byte - b'0');
            at += 1;
        }
        let digits = at - first;
        if digits == 0 || at == self.bytes.len() || (digits > 1 && self.bytes[first] == b'0') {
            return None;
        }
        Some((if negative { -int } else { int }, at))
    }
}

/// How a notation writes values, and from that how it reads one field of an event.
pub(super) trait Notation {
    /// What may stand under [`Field::Type`], for messages.
    const TYPES: &'static str;

    /// Skips to the next value and returns its first byte.
    fn skip_to_value(&mut self, cursor: &mut Cursor<'_>) -> Result<u8, Stop>;

    /// True if a number may end before `byte`.
    fn ends_number(byte: u8) -> bool;

    /// The name at the cursor, which begins with `byte`, if it is written in the notation's usual
    /// way; else `None`, and the cursor does not move.
    fn name<'s, 'a: 's>(&'s mut self, cursor: &mut Cursor<'a>, byte: u8) -> Result<Option<&'s str>, Stop>;

    /// The value at the cursor. Without `keep` it is only checked, and the result is nil.
    fn value(&mut self, cursor: &mut Cursor<'_>, values: &mut Values, keep: bool) -> Result<Value, Stop>;

    /// Reads the value of one field of an event: what is usual there by short ways.
    #[inline]
    fn field(
        &mut self,
        field: Option<Field>,
        draft: &mut Draft,
        cursor: &mut Cursor<'_>,
        builder: &mut HistoryBuilder,
    ) -> Result<(), Stop> {
        let byte = self.skip_to_value(cursor)?;
        let start = cursor.pos;
        let Some(field) = field else {
            self.value(cursor, builder.values(), false)?;
            return Ok(());
        };
        match field {
            Field::Type => {
                if let Some(name) = self.name(cursor, byte)? {
                    draft.kind = kind_named(name.as_bytes());
                    return match draft.kind {
                        Some(_) => Ok(()),
                        None => Err(cursor.wrong(start, cursor.pos, Self::TYPES)),
                    };
                }
            }
            Field::F => {
                if let Some(name) = self.name(cursor, byte)? {
                    draft.f = Some(function(name, builder).map_err(|error| error.at(cursor, start))?);
                    return Ok(());
                }
            }
            _ if matches!(byte, b'0'..=b'9' | b'-') => {
                if let Some((int, end)) = cursor.small_int()
                    && Self::ends_number(cursor.bytes[end])
                {
                    cursor.pos = end;
                    return draft
                        .set_int(field, int, builder.values())
                        .map_err(|expected| SetError::Expected(expected).at(cursor, start));
                }
            }
            _ => {}
        }
        let value = self.value(cursor, builder.values(), true)?;
        draft.set(field, value, builder).map_err(|error| error.at(cursor, start))
    }
}

/// The field whose key, spelt as nearly every writer spells it, `$rest` begins with, and the length
/// of that spelling. `None` says nothing. Each comparison is with a constant, a word or two long.
macro_rules! usual_key {
    ($rest:expr, $($key:literal => $field:ident),*) => {{
        let rest: &[u8] = $rest;
        $(if rest.starts_with($key) { Some((Field::$field, $key.len())) } else)* { None }
    }};
}
pub(super) use usual_key;

/// The character that both notations write as a backslash and `letter`.
pub(super) fn escape_of(letter: u8) -> Option<char> {
    Some(match letter {
        b'"' | b'\\' => char::from(letter),
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        _ => return None,
    })
}

/// The number that hexadecimal digits stand for.
pub(super) fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

/// The fields of an event that mean something; all others are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Index,
    Type,
    Process,
    F,
    Key,
    Value,
    Time,
    Error,
    StartTs,
    CommitTs,
    Final,
    Position,
    Link,
}

impl Field {
    #[inline]
    pub(super) fn named(name: &[u8]) -> Option<Field> {
        match name {
            b"index" => Some(Field::Index),
            b"type" => Some(Field::Type),
            b"process" => Some(Field::Process),
            b"f" => Some(Field::F),
            b"key" => Some(Field::Key),
            b"value" => Some(Field::Value),
            b"time" => Some(Field::Time),
            b"error" => Some(Field::Error),
            b"start-ts" => Some(Field::StartTs),
            b"commit-ts" => Some(Field::CommitTs),
            b"final?" => Some(Field::Final),
            b"position" => Some(Field::Position),
            b"link" => Some(Field::Link),
            _ => None,
        }
    }
}

/// An event in the making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft {
    pub(super) kind: Option<EventKind>,
    pub(super) process: Process,
    pub(super) f: Option<FunctionId>,
    pub(super) key: Option<Value>,
    pub(super) value: Value,
    pub(super) error: Value,
    pub(super) time_ns: i64,
    /// What the file says about its index; the order of the events is what counts.
    pub(super) index: Option<i64>,
    /// The timestamps of the system under test.
    pub(super) start_ts: Option<i64>,
    pub(super) commit_ts: Option<i64>,
    /// The recorder says that it is an operation at the end of its test.
    pub(super) is_final: bool,
    /// Of causal registers, in Jepsen's words: the operation's place, and that of the one before it. Nil if the
    /// event has none.
    pub(super) position: Value,
    pub(super) link: Value,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft {
            kind: None,
            process: Process::Unspecified,
            f: None,
            key: None,
            value: Value::NIL,
            error: Value::NIL,
            time_ns: -1,
            index: None,
            start_ts: None,
            commit_ts: None,
            is_final: false,
            position: Value::NIL,
            link: Value::NIL,
        }
    }
}

const TYPES: &str = "one of the types invoke, ok, fail, info";

impl Draft {
    /// Sets a field that is neither [`Field::Type`] nor [`Field::F`] to an integer.
    #[inline]
    pub(super) fn set_int(
        &mut self,
        field: Field,
        int: i64,
        values: &mut Values,
    ) -> Result<(), &'static str> {
        match field {
            Field::Index => self.index = Some(int),
            Field::Time => self.time_ns = int,
            Field::StartTs => self.start_ts = Some(int),
            Field::CommitTs => self.commit_ts = Some(int),
            Field::Process if int >= ANONYMOUS => return Err("a process below 2^62"),
            Field::Process => self.process = Process::Client(int),
            Field::Key => self.key = Some(values.int(int)),
            Field::Value => self.value = values.int(int),
            Field::Error => self.error = values.int(int),
            Field::Final => self.is_final = false,
            Field::Position => self.position = values.int(int),
            Field::Link => self.link = values.int(int),
            Field::Type => return Err(TYPES),
            Field::F => return Err("the name of a function"),
        }
        Ok(())
    }

    /// Sets any field to any value; an error says what it should have been.
    pub(super) fn set(
        &mut self,
        field: Field,
        value: Value,
        builder: &mut HistoryBuilder,
    ) -> Result<(), SetError> {
        let values = builder.values();
        match (field, values.get(value)) {
            (Field::Key, Datum::Nil) => self.key = None,
            (Field::Key, _) => self.key = Some(value),
            (Field::Value, _) => self.value = value,
            (Field::Error, _) => self.error = value,
            // What has another value there means something else by it.
            (Field::Final, _) => self.is_final = value == Value::TRUE,
            (Field::Position, _) => self.position = value,
            (Field::Link, _) => self.link = value,
            (Field::Process, Datum::Nil) => self.process = Process::Unspecified,
            (Field::Index | Field::Time | Field::StartTs | Field::CommitTs, Datum::Nil) => {}
            (
                Field::Index | Field::Time | Field::Process | Field::StartTs | Field::CommitTs,
                Datum::Int(int),
            ) => {
                self.set_int(field, int, values).map_err(SetError::Expected)?;
            }
            // A client whose number got mangled must not pass for a nemesis, whom nobody judges.
            (Field::Process, Datum::Number(_)) => {
                return Err(SetError::Expected("a whole number below 2^62, or a name such as nemesis"));
            }
            (Field::Process, _) => self.process = Process::Other(value),
            (Field::Index | Field::Time | Field::StartTs | Field::CommitTs, _) => {
                return Err(SetError::Expected("an integer"));
            }
            (Field::Type, Datum::Str(text) | Datum::Keyword(text) | Datum::Symbol(text)) => {
                self.kind = Some(kind_named(text.as_bytes()).ok_or(SetError::Expected(TYPES))?);
            }
            (Field::Type, _) => return Err(SetError::Expected(TYPES)),
            (Field::F, Datum::Nil) => self.f = None,
            (Field::F, Datum::Str(text) | Datum::Keyword(text) | Datum::Symbol(text)) => {
                let name = text.to_owned();
                self.f = Some(function(&name, builder)?);
            }
            (Field::F, _) => return Err(SetError::Expected("the name of a function")),
        }
        Ok(())
    }

    /// Refuses what no event may lack or hold. It stands between `start` and the cursor; `type_field`
    /// is how the notation spells that field.
    #[inline]
    pub(super) fn checked(self, cursor: &Cursor<'_>, start: usize, type_field: &str) -> Result<Draft, Stop> {
        if self.kind.is_none() {
            return Err(without_type(cursor, start, cursor.pos, type_field));
        }
        if self.start_ts.is_some() || self.commit_ts.is_some() {
            self.check_timestamps(cursor, start)?;
        }
        Ok(self)
    }

    #[cold]
    fn check_timestamps(&self, cursor: &Cursor<'_>, start: usize) -> Result<(), Stop> {
        let (found, expected) = match (self.kind, self.start_ts, self.commit_ts) {
            (Some(EventKind::Ok), Some(_), None) => {
                ("start-ts without commit-ts".to_owned(), "both or neither")
            }
            (Some(EventKind::Ok), None, Some(_)) => {
                ("commit-ts without start-ts".to_owned(), "both or neither")
            }
            (Some(EventKind::Ok), Some(from), Some(to)) if to < from => {
                (format!("commit-ts {to} before start-ts {from}"), "a commit-ts that is not before start-ts")
            }
            _ => return Ok(()),
        };
        Err(Stop::Problem(Box::new(Problem {
            at: start,
            len: cursor.pos - start,
            found,
            expected: expected.to_owned(),
            help: None,
        })))
    }

    /// The timestamps of the system under test, of which only an `ok` event has any.
    #[inline]
    pub(super) fn timestamps(&self) -> Option<Timestamps> {
        match (self.kind, self.start_ts, self.commit_ts) {
            (Some(EventKind::Ok), Some(start), Some(commit)) => Some(Timestamps { start, commit }),
            _ => None,
        }
    }

    /// The event. `start..end` is where it stands.
    #[inline]
    pub(super) fn event(self, line: u64, builder: &mut HistoryBuilder) -> Result<Event, PairingError> {
        Ok(Event {
            process: self.process,
            kind: self.kind.expect("parsers refuse events without a type"),
            f: match self.f {
                Some(f) => f,
                None => builder.function(NO_FUNCTION)?,
            },
            key: self.key,
            value: if self.link.is_nil() { self.value } else { self.linked(builder.values()) },
            error: self.error,
            time_ns: self.time_ns,
            line: u32::try_from(line).unwrap_or(u32::MAX),
        })
    }
}

impl Draft {
    /// The value with the place and the link of its operation; of an independent key's, beside the key.
    #[cold]
    fn linked(&self, values: &mut Values) -> Value {
        let (key, value) = match values.pair(self.value) {
            Some((key, value)) => (Some(key), value),
            None => (None, self.value),
        };
        let parts = [("value", value), ("position", self.position), ("link", self.link)];
        let parts = parts.map(|(name, part)| (values.keyword(name), part));
        let linked = values.map(&parts);
        key.map_or(linked, |key| values.list(&[key, linked]))
    }
}

/// The function of an event that names none, as in Elle's hand-written histories.
pub(super) const NO_FUNCTION: &str = "nil";

/// Names are kept and quoted whole, so a hostile one must not be long.
const FUNCTION_BYTES_MAX: usize = 1000;

/// The function called `name`.
#[inline]
pub(super) fn function(name: &str, builder: &mut HistoryBuilder) -> Result<FunctionId, SetError> {
    if name.len() > FUNCTION_BYTES_MAX {
        return Err(SetError::Expected("the name of a function, at most 1000 bytes long"));
    }
    builder.function(name).map_err(SetError::Pairing)
}

/// Why a field does not take a value.
pub(super) enum SetError {
    Expected(&'static str),
    Pairing(PairingError),
}

impl SetError {
    #[cold]
    pub(super) fn at(self, cursor: &Cursor<'_>, start: usize) -> Stop {
        match self {
            SetError::Expected(expected) => cursor.wrong(start, cursor.pos, expected),
            SetError::Pairing(error) => Stop::Pairing { at: start, error },
        }
    }
}

#[inline]
pub(super) fn kind_named(name: &[u8]) -> Option<EventKind> {
    match name {
        b"invoke" => Some(EventKind::Invoke),
        b"ok" => Some(EventKind::Ok),
        b"fail" => Some(EventKind::Fail),
        b"info" => Some(EventKind::Info),
        _ => None,
    }
}

/// The message for an event without a type, which stands between these offsets.
#[cold]
pub(super) fn without_type(cursor: &Cursor<'_>, start: usize, end: usize, field: &str) -> Stop {
    cursor.wrong(start, end, &format!("an event with the field {field}, {TYPES}"))
}
