//! dbcop's JSON: sessions of transactions of events.
//!
//! ```json
//! {"params":{"id":0,"n_node":1,"n_variable":1,"n_transaction":1,"n_event":2},
//!  "info":"generated","start":"2024-01-01T00:00:00Z","end":"2024-01-01T00:00:00Z",
//!  "data":[[{"events":[{"Write":{"variable":0,"version":1}},{"Read":{"variable":0,"version":1}}],
//!            "committed":true}]]}
//! ```
//!
//! Only `data` is looked at, which may also be the whole input, as dbcop's page for the browser has it. A
//! `version` of null is the initial one; for the version 0 see [`Sessions`]. Two more spellings of an event
//! are read: `["w",0,1]`, which dbcop can be built to write, and that of its first edition, an object with
//! `write`, `variable`, `value` and `success`, whose transactions have `success` for `committed`. An event
//! of that edition without success is a read whose result nobody knows; a write is put into an aborted
//! transaction of its own, for it did not happen, whatever became of the rest.
//!
//! Source: dbcop (Biswas, Enea, OOPSLA 2019), `history/raw/types.rs`, `testgen/src/generator.rs`, and
//! `src/db/history.rs` of the first edition.

use super::event::{Cursor, Room, Step, Stop, Syntax};
use super::json::{Forms, colon, next_byte, skip_blanks, string, word};
use super::sessions::{End, MicroKind, MicroOp, Sessions, Zero};
use crate::history::HistoryBuilder;
use crate::value::{Datum, Value, Values};

/// The parser and what it has read.
pub(super) struct Dbcop {
    top: Top,
    /// `data` was seen.
    has_data: bool,
    /// `data` is the whole input.
    is_bare: bool,
    /// Sessions begun.
    session_count: u32,
    line: u64,
    parser: Parser,
    sessions: Sessions,
}

/// Where the parser stands between transactions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Top {
    /// Nothing was read yet.
    Start,
    /// In the outer object, before a key or, if it is the first, the end.
    Key(Element),
    /// In the outer object, after a value.
    Value,
    /// In the array of sessions.
    Sessions(Element),
    /// In the array of a session's transactions.
    Session(Element),
    /// The history has ended.
    Done,
}

/// What may come next in an array or an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    /// An element, or the end.
    First,
    /// A comma, or the end.
    Next,
    /// An element, after a comma.
    Comma,
}

impl Dbcop {
    pub(super) fn new(depth: usize) -> Dbcop {
        Dbcop {
            top: Top::Start,
            has_data: false,
            is_bare: false,
            session_count: 0,
            line: 1,
            parser: Parser::new(depth),
            sessions: Sessions::new(Zero::Initial),
        }
    }

    /// What may come next.
    fn expected(&self) -> &'static str {
        match self.top {
            Top::Start => "an object with the field \"data\"",
            Top::Key(Element::First) => "a key in quotes or `}`",
            Top::Key(_) => "a key in quotes",
            Top::Value => "`,` or `}`",
            Top::Sessions(Element::First) => "an array of transactions, a session, or `]`",
            Top::Sessions(Element::Comma) => "an array of transactions, a session",
            Top::Session(Element::First) => "a transaction with \"events\" and \"committed\", or `]`",
            Top::Session(Element::Comma) => "a transaction with \"events\" and \"committed\"",
            Top::Sessions(Element::Next) | Top::Session(Element::Next) => "`,` or `]`",
            Top::Done => "nothing after the end of the history",
        }
    }

    /// What comes after the array of sessions.
    fn after_data(&self) -> Top {
        if self.is_bare { Top::Done } else { Top::Value }
    }
}

impl Syntax for Dbcop {
    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let mut cursor = Cursor::new(bytes, eof);
        skip_blanks(&mut cursor);
        if cursor.pos > 0 {
            self.line += memchr::memchr_iter(b'\n', &bytes[..cursor.pos]).count() as u64;
            return Ok(Step::Skip(cursor.pos));
        }
        let Some(&byte) = bytes.first() else {
            return match self.top {
                Top::Start | Top::Done if eof => Ok(Step::End),
                _ => Err(cursor.ended(self.expected())),
            };
        };
        cursor.pos = 1;
        self.top = match (byte, self.top) {
            (b'{', Top::Start) => Top::Key(Element::First),
            (b'[', Top::Start) => {
                (self.has_data, self.is_bare) = (true, true);
                Top::Sessions(Element::First)
            }
            (b'"', Top::Key(Element::First | Element::Comma)) => self.key(&mut cursor)?,
            (b',', Top::Value) => Top::Key(Element::Comma),
            (b'}', Top::Value | Top::Key(Element::First)) => {
                if !self.has_data {
                    return Err(cursor.wrong(0, 1, "the field \"data\" before the end"));
                }
                Top::Done
            }
            (b'[', Top::Sessions(Element::First | Element::Comma)) => {
                self.session_count = self.session_count.saturating_add(1);
                Top::Session(Element::First)
            }
            (b',', Top::Sessions(Element::Next)) => Top::Sessions(Element::Comma),
            (b']', Top::Sessions(Element::First | Element::Next)) => self.after_data(),
            (b'{', Top::Session(Element::First | Element::Comma)) => {
                cursor.pos = 0;
                self.transaction(&mut cursor, builder)?;
                self.top = Top::Session(Element::Next);
                return Ok(Step::Took(cursor.pos));
            }
            (b',', Top::Session(Element::Next)) => Top::Session(Element::Comma),
            (b']', Top::Session(Element::First | Element::Next)) => Top::Sessions(Element::Next),
            _ => {
                cursor.pos = 0;
                return Err(cursor.wrong_byte(self.expected()));
            }
        };
        // A value that was skipped may have had lines.
        self.line += memchr::memchr_iter(b'\n', &bytes[..cursor.pos]).count() as u64;
        Ok(Step::Skip(cursor.pos))
    }

    fn finish(&mut self, builder: &mut HistoryBuilder, room: Room<'_>) -> Result<(), Stop> {
        self.sessions.finish(builder, room)
    }

    fn heap_bytes(&self) -> usize {
        let operations = self.parser.operations.capacity() + self.parser.failed.capacity();
        self.sessions.heap_bytes() + self.parser.forms.heap_bytes() + operations * size_of::<MicroOp>()
    }
}

impl Dbcop {
    /// Reads a key of the outer object and, unless it is `data`, its value.
    fn key(&mut self, cursor: &mut Cursor<'_>) -> Result<Top, Stop> {
        cursor.pos = 0;
        let is_data = string(&mut self.parser.name, cursor)? == "data";
        let end = cursor.pos;
        colon(cursor)?;
        if !is_data {
            self.parser.skip(cursor)?;
            return Ok(Top::Value);
        }
        if self.has_data {
            return Err(cursor.wrong(0, end, "one field \"data\""));
        }
        if next_byte(cursor, "an array of sessions")? != b'[' {
            return Err(cursor.wrong_byte("an array of sessions"));
        }
        cursor.pos += 1;
        self.has_data = true;
        Ok(Top::Sessions(Element::First))
    }

    /// Reads the transaction whose `{` is at the cursor.
    fn transaction(&mut self, cursor: &mut Cursor<'_>, builder: &mut HistoryBuilder) -> Result<(), Stop> {
        let end = self.parser.transaction(cursor, builder.values())?;
        let first_line = self.line;
        self.line += memchr::memchr_iter(b'\n', &cursor.bytes[..cursor.pos]).count() as u64;
        let lines = (first_line, self.line);
        let Parser { operations, failed, .. } = &mut self.parser;
        let session = self.session_count - 1;
        let mut push = |end, operations: &[MicroOp]| {
            self.sessions
                .push(session, end, lines, operations)
                .map_err(|error| Stop::Pairing { at: 0, error })
        };
        match end {
            End::Aborted => operations.append(failed),
            End::Committed if !failed.is_empty() => push(End::Aborted, failed)?,
            End::Committed => {}
        }
        push(end, operations)
    }
}

/// Parses one transaction at a time.
struct Parser {
    forms: Forms,
    /// A key with escape sequences.
    name: String,
    operations: Vec<MicroOp>,
    /// Writes that failed.
    failed: Vec<MicroOp>,
}

/// The fields of an event, in any of its spellings.
#[derive(Default)]
struct Fields {
    is_write: Option<bool>,
    key: Option<Value>,
    /// `None` if there is no such field, nil if it is null.
    value: Option<Value>,
    failed: bool,
}

const EVENT: &str =
    "an event: {\"Read\":{\"variable\":0,\"version\":1}} or {\"Write\":{\"variable\":0,\"version\":1}}";

impl Parser {
    fn new(depth: usize) -> Parser {
        let forms = Forms::new(depth);
        Parser { forms, name: String::new(), operations: Vec::new(), failed: Vec::new() }
    }

    fn skip(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        self.forms.any_value(cursor, &mut Values::new(), false).map(|_| ())
    }

    fn transaction(&mut self, cursor: &mut Cursor<'_>, values: &mut Values) -> Result<End, Stop> {
        self.operations.clear();
        self.failed.clear();
        let start = cursor.pos;
        let (mut has_events, mut committed) = (false, None);
        cursor.pos += 1;
        let mut element = Element::First;
        while self.enter(cursor, &mut element)? {
            match self.name.as_str() {
                "events" if !has_events => {
                    has_events = true;
                    self.events(cursor, values)?;
                }
                "events" => return Err(cursor.wrong_byte("one field \"events\"")),
                "committed" | "success" => committed = Some(bool(cursor)?),
                _ => self.skip(cursor)?,
            }
        }
        match committed {
            Some(true) if has_events => Ok(End::Committed),
            Some(false) if has_events => Ok(End::Aborted),
            _ => Err(cursor.wrong(
                start,
                cursor.pos,
                "a transaction with the fields \"events\" and \"committed\"",
            )),
        }
    }

    /// Reads up to the value of the next key of an object, whose name is then in `self.name`; false at
    /// the end of the object.
    fn enter(&mut self, cursor: &mut Cursor<'_>, element: &mut Element) -> Result<bool, Stop> {
        let mut byte =
            next_byte(cursor, if *element == Element::First { "a key or `}`" } else { "`,` or `}`" })?;
        if byte == b'}' {
            cursor.pos += 1;
            return Ok(false);
        }
        if *element == Element::Next {
            if byte != b',' {
                return Err(cursor.wrong_byte("`,` or `}`"));
            }
            cursor.pos += 1;
            byte = next_byte(cursor, "a key in quotes")?;
        }
        *element = Element::Next;
        if byte != b'"' {
            return Err(cursor.wrong_byte("a key in quotes"));
        }
        let mut scratch = String::new();
        let name = string(&mut scratch, cursor)?;
        self.name.clear();
        self.name.push_str(name);
        colon(cursor)?;
        next_byte(cursor, "a value")?;
        Ok(true)
    }

    fn events(&mut self, cursor: &mut Cursor<'_>, values: &mut Values) -> Result<(), Stop> {
        if next_byte(cursor, "an array of events")? != b'[' {
            return Err(cursor.wrong_byte("an array of events"));
        }
        cursor.pos += 1;
        let mut byte = next_byte(cursor, "an event or `]`")?;
        if byte == b']' {
            cursor.pos += 1;
            return Ok(());
        }
        loop {
            let start = cursor.pos;
            let mut fields = Fields::default();
            match byte {
                b'{' => self.object(cursor, values, &mut fields, true)?,
                b'[' => self.triple(cursor, values, &mut fields)?,
                _ => return Err(cursor.wrong_byte(EVENT)),
            }
            self.event(cursor, start, &fields)?;
            byte = next_byte(cursor, "`,` or `]`")?;
            cursor.pos += 1;
            match byte {
                b',' => byte = next_byte(cursor, "an event")?,
                b']' => return Ok(()),
                _ => {
                    cursor.pos -= 1;
                    return Err(cursor.wrong_byte("`,` or `]`"));
                }
            }
        }
    }

    fn event(&mut self, cursor: &Cursor<'_>, start: usize, fields: &Fields) -> Result<(), Stop> {
        let (Some(is_write), Some(key)) = (fields.is_write, fields.key) else {
            return Err(cursor.wrong(start, cursor.pos, EVENT));
        };
        let value = fields.value.unwrap_or(Value::NIL);
        match (is_write, fields.failed) {
            (true, _) if value.is_nil() => {
                return Err(cursor.wrong(start, cursor.pos, "a write with a version"));
            }
            (true, true) => self.failed.push(MicroOp { kind: MicroKind::Write, key, value }),
            (true, false) => self.operations.push(MicroOp { kind: MicroKind::Write, key, value }),
            (false, true) => {
                self.operations.push(MicroOp { kind: MicroKind::ReadUnknown, key, value: Value::NIL });
            }
            (false, false) => self.operations.push(MicroOp { kind: MicroKind::Read, key, value }),
        }
        Ok(())
    }

    /// An event as an object, or with `outer` false the object in that.
    fn object(
        &mut self,
        cursor: &mut Cursor<'_>,
        values: &mut Values,
        fields: &mut Fields,
        outer: bool,
    ) -> Result<(), Stop> {
        cursor.pos += 1;
        let mut element = Element::First;
        while self.enter(cursor, &mut element)? {
            match self.name.as_str() {
                "Read" | "Write" if outer => {
                    fields.is_write = Some(self.name == "Write");
                    if next_byte(cursor, "an object with \"variable\" and \"version\"")? != b'{' {
                        return Err(cursor.wrong_byte("an object with \"variable\" and \"version\""));
                    }
                    // Never deeper than this.
                    self.object(cursor, values, fields, false)?;
                }
                "write" if outer => fields.is_write = Some(bool(cursor)?),
                "success" if outer => fields.failed = !bool(cursor)?,
                "variable" => fields.key = Some(self.name_or_number(cursor, values)?),
                "version" | "value" => fields.value = Some(self.name_or_number_or_null(cursor, values)?),
                _ => self.skip(cursor)?,
            }
        }
        Ok(())
    }

    /// An event as an array: `["r",variable,version]`.
    fn triple(
        &mut self,
        cursor: &mut Cursor<'_>,
        values: &mut Values,
        fields: &mut Fields,
    ) -> Result<(), Stop> {
        const KIND: &str = "\"r\" or \"w\"";
        cursor.pos += 1;
        if next_byte(cursor, KIND)? != b'"' {
            return Err(cursor.wrong_byte(KIND));
        }
        let start = cursor.pos;
        fields.is_write = match string(&mut self.name, cursor)? {
            "r" => Some(false),
            "w" => Some(true),
            _ => return Err(cursor.wrong(start, cursor.pos, KIND)),
        };
        mark(cursor, b',', "`,` and the variable")?;
        fields.key = Some(self.name_or_number(cursor, values)?);
        mark(cursor, b',', "`,` and the version")?;
        fields.value = Some(self.name_or_number_or_null(cursor, values)?);
        mark(cursor, b']', "`]`")
    }

    fn name_or_number_or_null(
        &mut self,
        cursor: &mut Cursor<'_>,
        values: &mut Values,
    ) -> Result<Value, Stop> {
        if next_byte(cursor, "a version, or null")? == b'n' {
            return word(cursor, "null", Value::NIL);
        }
        self.name_or_number(cursor, values)
    }

    fn name_or_number(&mut self, cursor: &mut Cursor<'_>, values: &mut Values) -> Result<Value, Stop> {
        const EXPECTED: &str = "a whole number or a name";
        let byte = next_byte(cursor, EXPECTED)?;
        let start = cursor.pos;
        if !matches!(byte, b'"' | b'0'..=b'9' | b'-') {
            return Err(cursor.wrong_byte(EXPECTED));
        }
        let value = self.forms.any_value(cursor, values, true)?;
        match values.get(value) {
            Datum::Int(_) | Datum::Str(_) => Ok(value),
            Datum::Number(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(value),
            _ => Err(cursor.wrong(start, cursor.pos, EXPECTED)),
        }
    }
}

fn mark(cursor: &mut Cursor<'_>, mark: u8, expected: &'static str) -> Result<(), Stop> {
    if next_byte(cursor, expected)? != mark {
        return Err(cursor.wrong_byte(expected));
    }
    cursor.pos += 1;
    Ok(())
}

fn bool(cursor: &mut Cursor<'_>) -> Result<bool, Stop> {
    const EXPECTED: &str = "true or false";
    match next_byte(cursor, EXPECTED)? {
        b't' => word(cursor, "true", true),
        b'f' => word(cursor, "false", false),
        _ => Err(cursor.wrong_byte(EXPECTED)),
    }
}

/// How deep [`detect`] looks into values: what is nested deeper is not told by what comes after it.
const DETECT_DEPTH: usize = 128;

/// True if `head` begins with an object that has the keys of dbcop's histories and not those of an event,
/// or with an array in an array.
pub(super) fn detect(head: &[u8]) -> bool {
    let mut cursor = Cursor::new(head, false);
    match (next_byte(&mut cursor, ""), head.iter().filter(|byte| !byte.is_ascii_whitespace()).nth(1)) {
        (Ok(b'['), Some(b'[')) => return true,
        (Ok(b'{'), Some(b'"')) => cursor.pos += 1,
        _ => return false,
    }
    let mut parser = Parser::new(DETECT_DEPTH);
    let mut element = Element::First;
    let mut is_dbcop = false;
    while let Ok(true) = parser.enter(&mut cursor, &mut element) {
        match parser.name.as_str() {
            "type" => return false,
            "params" | "data" => is_dbcop = true,
            _ => {}
        }
        // Most of all ends here: the data is longer than the head.
        if parser.skip(&mut cursor).is_err() {
            break;
        }
    }
    is_dbcop
}
