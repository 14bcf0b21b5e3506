//! Jepsen, Knossos and Elle histories: extensible data notation, a vector, list or stream of maps.
//!
//! Read beyond the plain notation: tagged literals (`#jepsen.history.Op{…}`, `#object[…]`) stand for
//! their inner form, `#_` discards the next form, commas are blanks, and what Clojure prints inside
//! `#object[…]` (hexadecimal numbers) is accepted. Characters become strings of one character,
//! symbolic values (`##Inf`) symbols, lists and vectors are the same. Not read: metadata, regular
//! expressions, reader evaluation, auto-resolved maps. Repeated keys: the last one counts.
//! `:final? true` marks the reads at the end of a test, as Maelstrom's generators do; `:position` and `:link` of
//! causal registers go into the value. Beside Jepsen's keys, `:start-ts` and `:commit-ts` of an `:ok` are read as
//! timestamps of the system under test.
//!
//! The parser keeps its own stack, so depth costs memory, which [`Limits::depth`] bounds.
//!
//! Source: <https://github.com/edn-format/edn>; Clojure's `EdnReader` where that is silent.
//!
//! [`Limits::depth`]: super::Limits::depth

use super::edn_token::{
    Number, character, escaped_char, is_delimiter, number_text, skip_blanks, skip_comment, skip_tag, symbol,
    token,
};
use super::error::LimitReached;
use super::event::{Cursor, Draft, Field, Notation, Step, Stop, Syntax, usual_key};
use crate::history::HistoryBuilder;
use crate::value::{Value, Values};

/// The parser's state between events.
pub(super) struct Edn {
    top: Top,
    /// The bytes at hand begin inside a comment.
    in_comment: bool,
    forms: Forms,
}

/// What surrounds the next event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Top {
    /// Nothing was read yet.
    Start,
    /// Maps follow one another.
    Stream,
    /// Maps inside a vector or list, up to this byte.
    Inside(u8),
    /// The vector or list has ended.
    Done,
}

impl Edn {
    pub(super) fn new(depth: usize) -> Edn {
        Edn { top: Top::Start, in_comment: false, forms: Forms::new(depth) }
    }
}

const EVENT: &str = "a map that describes an event, as in {:process 0, :type :invoke, :f :read, :value nil}";

impl Syntax for Edn {
    fn next(&mut self, bytes: &[u8], eof: bool, builder: &mut HistoryBuilder) -> Result<Step, Stop> {
        let mut cursor = Cursor::new(bytes, eof);
        if self.in_comment {
            let Some(newline) = memchr::memchr(b'\n', bytes) else {
                return if bytes.is_empty() { self.at_end(&cursor) } else { Ok(Step::Skip(bytes.len())) };
            };
            self.in_comment = false;
            cursor.pos = newline + 1;
        }
        loop {
            skip_blanks(&mut cursor);
            let Some(&byte) = bytes.get(cursor.pos) else {
                return if cursor.pos == 0 { self.at_end(&cursor) } else { Ok(Step::Skip(cursor.pos)) };
            };
            let start = cursor.pos;
            match byte {
                b'{' if self.top != Top::Done => {
                    let draft = self.forms.event(&mut cursor, builder)?;
                    if self.top == Top::Start {
                        self.top = Top::Stream;
                    }
                    return Ok(Step::Event { start, end: cursor.pos, draft });
                }
                b';' => match memchr::memchr(b'\n', &bytes[start..]) {
                    Some(newline) => cursor.pos += newline + 1,
                    None => {
                        self.in_comment = true;
                        return Ok(Step::Skip(bytes.len()));
                    }
                },
                b'#' if bytes.get(start + 1) == Some(&b'_') => {
                    cursor.pos += 2;
                    self.forms.form(&mut cursor, builder.values(), false)?;
                    return Ok(Step::Skip(cursor.pos));
                }
                b'#' if self.top != Top::Done => skip_tag(&mut cursor)?,
                b'[' | b'(' if self.top == Top::Start => {
                    self.top = Top::Inside(closing(byte));
                    return Ok(Step::Skip(start + 1));
                }
                _ if self.top == Top::Inside(byte) => {
                    self.top = Top::Done;
                    return Ok(Step::Skip(start + 1));
                }
                _ => {
                    return Err(cursor.wrong_byte(match self.top {
                        Top::Done => "nothing after the end of the history",
                        _ => EVENT,
                    }));
                }
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        self.forms.stack.capacity() * size_of::<Value>() + self.forms.text.capacity()
    }
}

impl Edn {
    fn at_end(&self, cursor: &Cursor<'_>) -> Result<Step, Stop> {
        match self.top {
            _ if !cursor.eof => Err(Stop::More),
            Top::Inside(b']') => Err(cursor.ended("`]` at the end of the history")),
            Top::Inside(_) => Err(cursor.ended("`)` at the end of the history")),
            _ => Ok(Step::End),
        }
    }
}

/// Parses forms; its stacks are kept from one event to the next.
struct Forms {
    depth: usize,
    frames: Vec<Frame>,
    stack: Vec<Value>,
    text: String,
}

/// A form that is not complete.
#[derive(Clone, Copy)]
struct Frame {
    kind: FrameKind,
    /// Its first member in the stack.
    first: usize,
    /// Its first byte.
    start: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    /// `(…)` or `[…]`.
    List(u8),
    Map,
    Set,
    /// `#_` and the form that it discards.
    Discard,
    /// A tag and the form that it stands before.
    Tagged,
}

impl Notation for Forms {
    const TYPES: &'static str = "one of :invoke, :ok, :fail, :info";

    #[inline]
    fn skip_to_value(&mut self, cursor: &mut Cursor<'_>) -> Result<u8, Stop> {
        self.skip_to_form(cursor, "a value for this key")
    }

    #[inline]
    fn ends_number(byte: u8) -> bool {
        is_delimiter(byte)
    }

    #[inline]
    fn name<'s, 'a: 's>(&'s mut self, cursor: &mut Cursor<'a>, byte: u8) -> Result<Option<&'s str>, Stop> {
        if byte != b':' {
            return Ok(None);
        }
        let start = cursor.pos;
        let len = token(cursor)?.len();
        let name = cursor.utf8(start + 1, len - 1)?;
        if name.is_empty() {
            cursor.pos = start;
            return Ok(None);
        }
        Ok(Some(name))
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, values: &mut Values, keep: bool) -> Result<Value, Stop> {
        self.form(cursor, values, keep)
    }
}

impl Forms {
    fn new(depth: usize) -> Forms {
        Forms { depth, frames: Vec::new(), stack: Vec::new(), text: String::new() }
    }

    /// The event whose `{` is at the cursor.
    fn event(&mut self, cursor: &mut Cursor<'_>, builder: &mut HistoryBuilder) -> Result<Draft, Stop> {
        let start = cursor.pos;
        let mut draft = Draft::default();
        cursor.pos += 1;
        loop {
            match self.skip_to_form(cursor, "`}` or a key")? {
                b'}' => break,
                b':' => {
                    let usual = usual_key!(
                        &cursor.bytes[cursor.pos..],
                        b":index " => Index, b":time " => Time, b":type " => Type,
                        b":process " => Process, b":f " => F, b":value " => Value
                    );
                    if let Some((field, len)) = usual {
                        cursor.pos += len;
                        self.field(Some(field), &mut draft, cursor, builder)?;
                        continue;
                    }
                    let key = cursor.pos;
                    let name = token(cursor)?;
                    if name.len() == 1 {
                        return Err(cursor.wrong(key, key + 1, "a keyword with a name"));
                    }
                    let field = Field::named(&name[1..]);
                    self.field(field, &mut draft, cursor, builder)?;
                }
                _ => {
                    let key = self.form(cursor, builder.values(), true)?;
                    let field = builder.values().text(key).and_then(|name| Field::named(name.as_bytes()));
                    self.field(field, &mut draft, cursor, builder)?;
                }
            }
        }
        cursor.pos += 1;
        draft.checked(cursor, start, ":type")
    }

    /// Skips blanks, comments and discarded forms; returns the byte that follows.
    #[inline]
    fn skip_to_form(&mut self, cursor: &mut Cursor<'_>, expected: &'static str) -> Result<u8, Stop> {
        loop {
            skip_blanks(cursor);
            match cursor.need(expected)? {
                b';' => skip_comment(cursor)?,
                b'#' if cursor.bytes.get(cursor.pos + 1) == Some(&b'_') => {
                    cursor.pos += 2;
                    self.form(cursor, &mut Values::new(), false)?;
                }
                byte => return Ok(byte),
            }
        }
    }

    /// The form after the cursor. Without `keep` it is only checked, and the result is nil.
    fn form(&mut self, cursor: &mut Cursor<'_>, values: &mut Values, keep: bool) -> Result<Value, Stop> {
        self.frames.clear();
        self.stack.clear();
        let mut discards = 0_usize;
        loop {
            skip_blanks(cursor);
            let keeping = keep && discards == 0;
            let start = cursor.pos;
            let byte = cursor.need(match self.frames.last().map(|frame| frame.kind) {
                None => "a value",
                Some(FrameKind::List(b']')) => "a value or `]`",
                Some(FrameKind::List(_)) => "a value or `)`",
                Some(FrameKind::Map | FrameKind::Set) => "a value or `}`",
                Some(FrameKind::Discard) => "the form that `#_` discards",
                Some(FrameKind::Tagged) => "the form that the tag is for",
            })?;
            let opened = match byte {
                b';' => {
                    skip_comment(cursor)?;
                    continue;
                }
                b'[' | b'(' => Some((FrameKind::List(closing(byte)), 1)),
                b'{' => Some((FrameKind::Map, 1)),
                b'#' => match cursor.bytes.get(start + 1) {
                    None => return Err(cursor.ended("a set, a tag or `_` after `#`")),
                    Some(b'_') => Some((FrameKind::Discard, 2)),
                    Some(b'{') => Some((FrameKind::Set, 2)),
                    Some(b'#') => None,
                    Some(_) => {
                        skip_tag(cursor)?;
                        Some((FrameKind::Tagged, 0))
                    }
                },
                _ => None,
            };
            if let Some((kind, len)) = opened {
                if self.frames.len() >= self.depth {
                    return Err(Stop::Limit { at: start, limit: LimitReached::Depth(self.depth) });
                }
                discards += usize::from(kind == FrameKind::Discard);
                self.frames.push(Frame { kind, first: self.stack.len(), start });
                cursor.pos += len;
                continue;
            }
            let mut value = match byte {
                b']' | b')' | b'}' => self.close(cursor, values, keeping, byte)?,
                _ => self.atom(cursor, values, keeping, byte)?,
            };
            // The form is complete, and with it the tags and discards that wait for it.
            loop {
                match self.frames.last().map(|frame| frame.kind) {
                    None => return Ok(value),
                    Some(FrameKind::Tagged) => {
                        self.frames.pop();
                    }
                    Some(FrameKind::Discard) => {
                        self.frames.pop();
                        discards -= 1;
                        break;
                    }
                    Some(_) => {
                        if keep && discards == 0 {
                            self.stack.push(value);
                        } else {
                            // Only the number of members matters: a map must have an even one.
                            value = Value::NIL;
                            self.stack.push(value);
                        }
                        break;
                    }
                }
            }
        }
    }

    /// Ends the innermost collection with `byte`.
    fn close(
        &mut self,
        cursor: &mut Cursor<'_>,
        values: &mut Values,
        keep: bool,
        byte: u8,
    ) -> Result<Value, Stop> {
        let frame = match self.frames.last() {
            Some(frame) => *frame,
            None => return Err(cursor.wrong_byte("a value")),
        };
        let expected = match frame.kind {
            FrameKind::List(close) => close,
            FrameKind::Map | FrameKind::Set => b'}',
            FrameKind::Discard => return Err(cursor.wrong_byte("the form that `#_` discards")),
            FrameKind::Tagged => return Err(cursor.wrong_byte("the form that the tag is for")),
        };
        if byte != expected {
            return Err(cursor.wrong_byte(match expected {
                b']' => "a value or `]`",
                b')' => "a value or `)`",
                _ => "a value or `}`",
            }));
        }
        cursor.pos += 1;
        self.frames.pop();
        let members = &self.stack[frame.first..];
        if frame.kind == FrameKind::Map && members.len() % 2 == 1 {
            return Err(cursor.wrong(frame.start, cursor.pos, "a map with a value for each key"));
        }
        let value = match frame.kind {
            _ if !keep => Value::NIL,
            FrameKind::Map => {
                let pairs: Vec<(Value, Value)> = members.chunks_exact(2).map(|kv| (kv[0], kv[1])).collect();
                values.map(&pairs)
            }
            FrameKind::Set => values.set(members),
            _ => values.list(members),
        };
        self.stack.truncate(frame.first);
        Ok(value)
    }

    /// A form without members.
    #[inline]
    fn atom(
        &mut self,
        cursor: &mut Cursor<'_>,
        values: &mut Values,
        keep: bool,
        byte: u8,
    ) -> Result<Value, Stop> {
        let start = cursor.pos;
        match byte {
            b'"' => self.string(cursor, values, keep),
            b'\\' => character(cursor, values, keep),
            b'0'..=b'9' | b'-' | b'+' => {
                if let Some((int, end)) = cursor.small_int()
                    && is_delimiter(cursor.bytes[end])
                {
                    cursor.pos = end;
                    return Ok(Value::small_int(int).unwrap_or_else(|| values.int(int)));
                }
                let text = token(cursor)?;
                let signed = usize::from(matches!(byte, b'-' | b'+'));
                if !text.get(signed).is_some_and(u8::is_ascii_digit) {
                    return symbol(cursor, values, keep, start, text.len());
                }
                match number_text(text) {
                    Some(_) if !keep => Ok(Value::NIL),
                    Some(Number::Int(int)) => Ok(values.int(int)),
                    Some(Number::Text(text)) => Ok(values.number(text)),
                    None => Err(cursor.wrong(start, cursor.pos, "a number")),
                }
            }
            b':' => {
                let len = token(cursor)?.len();
                let name = cursor.utf8(start + 1, len - 1)?;
                match name {
                    "" => Err(cursor.wrong(start, start + 1, "a keyword with a name")),
                    _ if !keep => Ok(Value::NIL),
                    _ => Ok(values.keyword(name)),
                }
            }
            b'^' | b'@' | b'`' | b'~' | b'\'' | 0..0x20 | 0x7f => Err(cursor.wrong_byte("a value")),
            _ => {
                let name = token(cursor)?;
                if name == b"##" {
                    return Err(cursor.wrong(start, start + 2, "a symbolic value, as in ##Inf"));
                }
                symbol(cursor, values, keep, start, name.len())
            }
        }
    }

    fn string(&mut self, cursor: &mut Cursor<'_>, values: &mut Values, keep: bool) -> Result<Value, Stop> {
        let open = cursor.pos;
        let mut from = open + 1;
        self.text.clear();
        loop {
            let rest = &cursor.bytes[from..];
            let Some(len) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(cursor.ended("`\"` at the end of the string"));
            };
            let piece = cursor.utf8(from, len)?;
            cursor.pos = from + len;
            if rest[len] == b'"' {
                cursor.pos += 1;
                return Ok(match keep {
                    false => Value::NIL,
                    true if self.text.is_empty() => values.str(piece),
                    true => {
                        self.text.push_str(piece);
                        values.str(&self.text)
                    }
                });
            }
            self.text.push_str(piece);
            self.text.push(escaped_char(cursor)?);
            from = cursor.pos;
        }
    }
}

fn closing(open: u8) -> u8 {
    if open == b'[' { b']' } else { b')' }
}
