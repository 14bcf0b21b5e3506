//! JSON lines with Jepsen's field names, the native format; one event per line:
//!
//! ```json
//! {"index":0,"time":105,"type":"invoke","process":3,"f":"write","value":7}
//! {"index":1,"time":390,"type":"info","process":3,"f":"write","value":7,"error":"timeout"}
//! ```
//!
//! | field | type | meaning; if missing |
//! |---|---|---|
//! | `type` | `"invoke"`, `"ok"`, `"fail"`, `"info"` | what happened; required |
//! | `process` | integer | the client; nobody's in particular. Any other value is not a client |
//! | `f` | string | the function; `nil` |
//! | `value` | any | argument, or result; null |
//! | `key` | any | the key that the function is applied to; none, for it may stand in `value` |
//! | `time` | integer | nanoseconds; -1 |
//! | `index` | integer | position, for people: the order of the events is that of the file |
//! | `error` | any | why it did not succeed; null |
//! | `final?` | true | a read at the end of a test, see [`History::is_marked_final`]; not marked |
//! | `start-ts`, `commit-ts` | integers | on `ok`: when it took effect, on the clock of the system under test; none |
//!
//! Other fields are skipped. Line ends mean nothing: an array of such objects, or objects over
//! several lines, read the same. The grammar is RFC 8259; of repeated keys the last one counts.
//!
//! [`History::is_marked_final`]: crate::history::History::is_marked_final

use super::error::LimitReached;
use super::event::{
    Cursor, Draft, Field, Notation, Step, Stop, Syntax, escape_of, hex, usual_key, without_type,
};
use crate::history::HistoryBuilder;
use crate::value::{Value, Values};

/// The parser's state between events.
pub(super) struct Json {
    top: Top,
    forms: Forms,
}

/// What surrounds the next event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Top {
    /// Nothing was read yet.
    Start,
    /// Objects follow one another.
    Stream,
    /// After the `[` of an array.
    ArrayStart,
    /// After an object in an array.
    ArrayNext,
    /// After a comma in an array.
    ArrayComma,
    /// After the array's `]`.
    Done,
}

impl Json {
    pub(super) fn new(depth: usize) -> Json {
        Json { top: Top::Start, forms: Forms::new(depth) }
    }

    /// What may come next.
    fn expected(&self) -> &'static str {
        match self.top {
            Top::Start | Top::Stream | Top::ArrayComma => {
                "an object that describes an event, as in \
                 {\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":null}"
            }
            Top::ArrayStart => "an object that describes an event, or `]`",
            Top::ArrayNext => "`,` or `]`",
            Top::Done => "nothing after the end of the array",
        }
    }
}

impl Syntax for Json {
    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let mut cursor = Cursor::new(bytes, eof);
        skip_blanks(&mut cursor);
        let start = cursor.pos;
        let Some(&byte) = bytes.get(start) else {
            return match self.top {
                _ if start > 0 => Ok(Step::Skip(start)),
                Top::Start | Top::Stream | Top::Done if eof => Ok(Step::End),
                _ => Err(cursor.ended(self.expected())),
            };
        };
        self.top = match (byte, self.top) {
            (b'{', Top::Start | Top::Stream | Top::ArrayStart | Top::ArrayComma) => {
                let draft = self.forms.event(&mut cursor, builder)?;
                self.top = match self.top {
                    Top::Start | Top::Stream => Top::Stream,
                    _ => Top::ArrayNext,
                };
                return Ok(Step::Event { start, end: cursor.pos, draft });
            }
            (b'[', Top::Start) => Top::ArrayStart,
            (b',', Top::ArrayNext) => Top::ArrayComma,
            (b']', Top::ArrayStart | Top::ArrayNext) => Top::Done,
            _ => return Err(cursor.wrong_byte(self.expected())),
        };
        Ok(Step::Skip(start + 1))
    }

    fn heap_bytes(&self) -> usize {
        self.forms.heap_bytes()
    }
}

/// Parses values; its stacks are kept from one event to the next.
pub(super) struct Forms {
    depth: usize,
    frames: Vec<Frame>,
    stack: Vec<Value>,
    text: String,
}

/// A value that is not complete, with its first member in the stack.
#[derive(Clone, Copy)]
enum Frame {
    Array(usize),
    Object(usize),
}

impl Notation for Forms {
    const TYPES: &'static str = "one of \"invoke\", \"ok\", \"fail\", \"info\"";

    #[inline]
    fn skip_to_value(&mut self, cursor: &mut Cursor<'_>) -> Result<u8, Stop> {
        next_byte(cursor, "a value")
    }

    #[inline]
    fn ends_number(byte: u8) -> bool {
        ends_number(byte)
    }

    #[inline]
    fn name<'s, 'a: 's>(&'s mut self, cursor: &mut Cursor<'a>, byte: u8) -> Result<Option<&'s str>, Stop> {
        if byte == b'"' { string(&mut self.text, cursor).map(Some) } else { Ok(None) }
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, values: &mut Values, keep: bool) -> Result<Value, Stop> {
        self.any_value(cursor, values, keep)
    }
}

impl Forms {
    pub(super) fn new(depth: usize) -> Forms {
        Forms { depth, frames: Vec::new(), stack: Vec::new(), text: String::new() }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.stack.capacity() * size_of::<Value>() + self.text.capacity()
    }

    /// The event whose `{` is at the cursor.
    fn event(&mut self, cursor: &mut Cursor<'_>, builder: &mut HistoryBuilder) -> Result<Draft, Stop> {
        let start = cursor.pos;
        let mut draft = Draft::default();
        cursor.pos += 1;
        if next_byte(cursor, "a key or `}`")? == b'}' {
            cursor.pos += 1;
            return Err(without_type(cursor, start, cursor.pos, "\"type\""));
        }
        loop {
            if next_byte(cursor, "a key in quotes")? != b'"' {
                return Err(cursor.wrong_byte("a key in quotes"));
            }
            let usual = usual_key!(
                &cursor.bytes[cursor.pos..],
                b"\"index\":" => Index, b"\"time\":" => Time, b"\"type\":" => Type,
                b"\"process\":" => Process, b"\"f\":" => F, b"\"value\":" => Value, b"\"key\":" => Key
            );
            let field = match usual {
                Some((field, len)) => {
                    cursor.pos += len;
                    Some(field)
                }
                None => {
                    let field = Field::named(string(&mut self.text, cursor)?.as_bytes());
                    colon(cursor)?;
                    field
                }
            };
            self.field(field, &mut draft, cursor, builder)?;
            match next_byte(cursor, "`,` or `}`")? {
                b',' => cursor.pos += 1,
                b'}' => break,
                _ => return Err(cursor.wrong_byte("`,` or `}`")),
            }
        }
        cursor.pos += 1;
        draft.checked(cursor, start, "\"type\"")
    }

    /// The value at the cursor; see [`Notation::value`].
    pub(super) fn any_value(
        &mut self,
        cursor: &mut Cursor<'_>,
        values: &mut Values,
        keep: bool,
    ) -> Result<Value, Stop> {
        self.frames.clear();
        self.stack.clear();
        loop {
            let byte = next_byte(cursor, "a value")?;
            let mut value = match byte {
                b'[' | b'{' => {
                    if self.frames.len() >= self.depth {
                        let limit = LimitReached::Depth(self.depth);
                        return Err(Stop::Limit { at: cursor.pos, limit });
                    }
                    cursor.pos += 1;
                    let first = self.stack.len();
                    if byte == b'[' {
                        self.frames.push(Frame::Array(first));
                        if next_byte(cursor, "a value or `]`")? != b']' {
                            continue;
                        }
                    } else {
                        self.frames.push(Frame::Object(first));
                        if next_byte(cursor, "a key or `}`")? != b'}' {
                            self.key(cursor, values, keep)?;
                            continue;
                        }
                    }
                    self.close(cursor, values, keep)
                }
                _ => self.atom(cursor, values, keep, byte)?,
            };
            // The value is complete, and with it the arrays and objects that end right after it.
            loop {
                let Some(frame) = self.frames.last() else { return Ok(value) };
                let (close, expected) = match frame {
                    Frame::Array(_) => (b']', "`,` or `]`"),
                    Frame::Object(_) => (b'}', "`,` or `}`"),
                };
                let in_object = close == b'}';
                if keep {
                    self.stack.push(value);
                }
                let byte = next_byte(cursor, expected)?;
                if byte == b',' {
                    cursor.pos += 1;
                    if in_object {
                        next_byte(cursor, "a key in quotes")?;
                        self.key(cursor, values, keep)?;
                    }
                    break;
                }
                if byte != close {
                    return Err(cursor.wrong_byte(expected));
                }
                value = self.close(cursor, values, keep);
            }
        }
    }

    /// Ends the innermost array or object, whose last byte is at the cursor.
    fn close(&mut self, cursor: &mut Cursor<'_>, values: &mut Values, keep: bool) -> Value {
        cursor.pos += 1;
        let (value, first) = match self.frames.pop().expect("a frame is open") {
            _ if !keep => return Value::NIL,
            Frame::Array(first) => (values.list(&self.stack[first..]), first),
            Frame::Object(first) => {
                let members = self.stack[first..].chunks_exact(2);
                let pairs: Vec<(Value, Value)> = members.map(|kv| (kv[0], kv[1])).collect();
                (values.map(&pairs), first)
            }
        };
        self.stack.truncate(first);
        value
    }

    /// A key of an object and the colon after it.
    fn key(&mut self, cursor: &mut Cursor<'_>, values: &mut Values, keep: bool) -> Result<(), Stop> {
        if cursor.bytes[cursor.pos] != b'"' {
            return Err(cursor.wrong_byte("a key in quotes"));
        }
        let text = string(&mut self.text, cursor)?;
        if keep {
            let key = values.str(text);
            self.stack.push(key);
        }
        colon(cursor)
    }

    /// A value without members.
    fn atom(
        &mut self,
        cursor: &mut Cursor<'_>,
        values: &mut Values,
        keep: bool,
        byte: u8,
    ) -> Result<Value, Stop> {
        match byte {
            b'"' => {
                let text = string(&mut self.text, cursor)?;
                Ok(if keep { values.str(text) } else { Value::NIL })
            }
            b'0'..=b'9' | b'-' => number(cursor, values, keep),
            b'n' => word(cursor, "null", Value::NIL),
            b't' => word(cursor, "true", Value::TRUE),
            b'f' => word(cursor, "false", Value::FALSE),
            _ => Err(cursor.wrong_byte("a value")),
        }
    }
}

/// The string whose opening quote is at the cursor: a piece of the input, or of `scratch` if it has
/// escape sequences.
#[inline]
pub(super) fn string<'s, 'a: 's>(scratch: &'s mut String, cursor: &mut Cursor<'a>) -> Result<&'s str, Stop> {
    let from = cursor.pos + 1;
    let len = plain_len(cursor, from)?;
    if cursor.bytes[from + len] == b'"' {
        cursor.pos = from + len + 1;
        return cursor.utf8(from, len);
    }
    escaped_string(scratch, cursor)
}

#[cold]
fn escaped_string<'s>(scratch: &'s mut String, cursor: &mut Cursor<'_>) -> Result<&'s str, Stop> {
    scratch.clear();
    let mut from = cursor.pos + 1;
    loop {
        let len = plain_len(cursor, from)?;
        scratch.push_str(cursor.utf8(from, len)?);
        cursor.pos = from + len;
        if cursor.bytes[cursor.pos] == b'"' {
            cursor.pos += 1;
            return Ok(scratch);
        }
        scratch.push(escaped_char(cursor)?);
        from = cursor.pos;
    }
}

/// How many bytes from `from` are neither a quote, nor a backslash, nor a control character.
#[inline]
fn plain_len(cursor: &Cursor<'_>, from: usize) -> Result<usize, Stop> {
    let rest = &cursor.bytes[from..];
    let mut at = 0;
    let mut found = None;
    // Eight bytes at a time: most strings of a history are shorter than that.
    while let Some(chunk) = rest[at..].first_chunk::<8>() {
        let marks = special_bytes(u64::from_le_bytes(*chunk));
        if marks != 0 {
            found = Some(at + marks.trailing_zeros() as usize / 8);
            break;
        }
        at += 8;
    }
    let tail = || rest[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    let Some(len) = found.or_else(|| tail().map(|len| at + len)) else {
        return Err(cursor.ended("`\"` at the end of the string"));
    };
    if rest[len] < 0x20 {
        let at = from + len;
        return Err(cursor.wrong(at, at + 1, "no control character in a string, but `\"` at its end"));
    }
    Ok(len)
}

/// The highest bit of each byte of `word` that is a quote, a backslash or a control character. Only
/// the lowest such bit is certain: a borrow may run from its byte into those above.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let quotes = below(word ^ (ONES * b'"' as u64), 1);
    let backslashes = below(word ^ (ONES * b'\\' as u64), 1);
    (quotes | backslashes | below(word, 0x20)) & (ONES * 0x80)
}

/// The escape sequence whose backslash is at the cursor.
fn escaped_char(cursor: &mut Cursor<'_>) -> Result<char, Stop> {
    let start = cursor.pos;
    let Some(&letter) = cursor.bytes.get(start + 1) else {
        return Err(cursor.ended("an escape sequence"));
    };
    cursor.pos += 2;
    let c = match escape_of(letter) {
        Some(c) => c,
        None if letter == b'/' => '/',
        None if letter == b'u' => {
            let first = hex4(cursor)?;
            // Two surrogates make one character.
            let code = match first {
                0xd800..0xdc00 => {
                    let pair = cursor.bytes.get(cursor.pos..cursor.pos + 2);
                    match pair {
                        Some(b"\\u") => cursor.pos += 2,
                        Some(_) => return Err(cursor.wrong(start, cursor.pos, "both halves of a surrogate")),
                        None => return Err(cursor.ended("the other half of a surrogate")),
                    }
                    match hex4(cursor)? {
                        second @ 0xdc00..0xe000 => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                        _ => return Err(cursor.wrong(start, cursor.pos, "both halves of a surrogate")),
                    }
                }
                _ => first,
            };
            match char::from_u32(code) {
                Some(c) => c,
                None => return Err(cursor.wrong(start, cursor.pos, "both halves of a surrogate")),
            }
        }
        None => {
            let expected = "one of \\\", \\\\, \\/, \\b, \\f, \\n, \\r, \\t, \\uNNNN";
            return Err(cursor.wrong(start, start + 2, expected));
        }
    };
    Ok(c)
}

fn hex4(cursor: &mut Cursor<'_>) -> Result<u32, Stop> {
    let Some(digits) = cursor.bytes.get(cursor.pos..cursor.pos + 4) else {
        return Err(cursor.ended("four hexadecimal digits"));
    };
    let Some(code) = hex(digits) else {
        return Err(cursor.wrong(cursor.pos, cursor.pos + 4, "four hexadecimal digits"));
    };
    cursor.pos += 4;
    Ok(code)
}

/// The number at the cursor.
#[inline]
pub(super) fn number(cursor: &mut Cursor<'_>, values: &mut Values, keep: bool) -> Result<Value, Stop> {
    if let Some((int, end)) = cursor.small_int()
        && ends_number(cursor.bytes[end])
    {
        cursor.pos = end;
        return Ok(Value::small_int(int).unwrap_or_else(|| values.int(int)));
    }
    let start = cursor.pos;
    let rest = &cursor.bytes[start..];
    let in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let len = match rest.iter().position(|byte| !in_number(byte)) {
        Some(len) => len,
        None if cursor.eof => rest.len(),
        None => return Err(Stop::More),
    };
    cursor.pos += len;
    match std::str::from_utf8(&rest[..len]) {
        Ok(text) if is_number(text) => Ok(if keep { values.number(text) } else { Value::NIL }),
        _ => Err(cursor.wrong(start, cursor.pos, "a number")),
    }
}

/// True if `text` is a number of RFC 8259.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = &fraction[len..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let len = digits(power);
        return len > 0 && len == power.len();
    }
    rest.is_empty()
}

pub(super) fn word<T>(cursor: &mut Cursor<'_>, name: &'static str, value: T) -> Result<T, Stop> {
    let rest = &cursor.bytes[cursor.pos..];
    if rest.starts_with(name.as_bytes()) {
        cursor.pos += name.len();
        return Ok(value);
    }
    if name.as_bytes().starts_with(rest) {
        return Err(cursor.ended(name));
    }
    let Some(len) = rest.iter().position(|byte| !byte.is_ascii_alphabetic()) else {
        // The word may go on in the bytes that follow.
        return Err(if cursor.eof { misspelt(cursor, rest.len()) } else { Stop::More });
    };
    Err(misspelt(cursor, len))
}

#[cold]
fn misspelt(cursor: &Cursor<'_>, len: usize) -> Stop {
    cursor.wrong(cursor.pos, cursor.pos + len, "a value, such as null or true")
}

pub(super) fn colon(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    if next_byte(cursor, "`:`")? != b':' {
        return Err(cursor.wrong_byte("`:`"));
    }
    cursor.pos += 1;
    Ok(())
}

/// Skips blanks; returns the byte that follows.
#[inline]
pub(super) fn next_byte(cursor: &mut Cursor<'_>, expected: &'static str) -> Result<u8, Stop> {
    skip_blanks(cursor);
    cursor.need(expected)
}

#[inline]
pub(super) fn skip_blanks(cursor: &mut Cursor<'_>) {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = cursor.bytes.get(cursor.pos) {
        cursor.pos += 1;
    }
}

#[inline]
fn ends_number(byte: u8) -> bool {
    !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
}
