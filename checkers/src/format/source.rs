//! The input as a sliding window of bytes that knows its lines.
//!
//! A parser sees the bytes not yet consumed and either consumes some or asks for more. The window
//! grows while one operation does not fit and is bounded by [`Limits::record_bytes`]. It never
//! forgets the last few hundred bytes consumed, so that an error can quote its line.
//!
//! [`Limits::record_bytes`]: super::Limits::record_bytes

use super::binary::hexadecimal;
use super::error::{Place, char_end, escape};
use std::io::{self, Chain, Cursor, ErrorKind, Read};

/// First read; each later one is four times as large, up to [`BLOCK_BYTES_MAX`]. Small files are
/// many, and a large buffer costs page faults.
const BLOCK_BYTES_FIRST: usize = 64 << 10;
const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Characters quoted on either side of an error.
const QUOTE_CHARS: usize = 100;
/// Bytes of a binary input quoted before an error, and half of those from it on.
const QUOTE_BYTES: usize = 8;
/// A character has at most four bytes.
const CONTEXT_BYTES: usize = QUOTE_CHARS * 4;

/// The window. `buffer[pos..end]` is read and not consumed; `buffer[..pos]` is kept for quoting.
pub(super) struct Source<'r> {
    reader: Box<dyn Read + 'r>,
    buffer: Vec<u8>,
    pos: usize,
    end: usize,
    eof: bool,
    block_bytes: usize,
    /// Where `buffer[0]` stands.
    base: Mark,
    /// Newlines are counted up to here: an index of `buffer` and its line.
    counted: (usize, u64),
    /// Offset at which the last event ended.
    event_end: u64,
}

#[derive(Clone, Copy)]
struct Mark {
    offset: u64,
    line: u64,
    /// Characters before it on its line.
    column: u64,
}

/// Why [`Source::fill`] gave nothing.
pub(super) enum FillError {
    /// More than the limit since the last event ended.
    RecordTooLong,
    Io(io::Error),
}

impl<'r> Source<'r> {
    /// Wraps `reader`, decompressing gzip and zstd, which are known by their magic numbers.
    pub(super) fn new(reader: impl Read + 'r) -> io::Result<Source<'r>> {
        Ok(Source {
            reader: decompressed(reader)?,
            buffer: Vec::new(),
            pos: 0,
            end: 0,
            eof: false,
            block_bytes: BLOCK_BYTES_FIRST,
            base: Mark { offset: 0, line: 1, column: 0 },
            counted: (0, 1),
            event_end: 0,
        })
    }

    /// The bytes read and not yet consumed.
    pub(super) fn unparsed(&self) -> &[u8] {
        &self.buffer[self.pos..self.end]
    }

    /// True when nothing comes after [`Source::unparsed`].
    pub(super) fn eof(&self) -> bool {
        self.eof
    }

    /// Drops `count` bytes that belong to no event: blanks, comments, foreign lines.
    pub(super) fn skip(&mut self, count: usize) {
        self.pos += count;
        assert!(self.pos <= self.end, "consumed what was not read");
    }

    /// Drops a byte order mark at the start of the input, which belongs to no line.
    pub(super) fn skip_byte_order_mark(&mut self) {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.unparsed().starts_with(MARK) {
            self.buffer.copy_within(MARK.len()..self.end, 0);
            self.end -= MARK.len();
            self.base.offset += MARK.len() as u64;
        }
    }

    /// True if all is read that a message about the byte `at` bytes after the consumed ones quotes.
    pub(super) fn can_quote(&self, at: usize) -> bool {
        let rest = self.unparsed().get(at..).unwrap_or_default();
        self.eof || rest.len() >= CONTEXT_BYTES || memchr::memchr(b'\n', rest).is_some()
    }

    /// Drops `count` bytes of an event.
    pub(super) fn take(&mut self, count: usize) {
        self.skip(count);
        self.event_end = self.base.offset + self.pos as u64;
    }

    /// Bytes the window holds.
    pub(super) fn heap_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Reads on. At least doubles what is unparsed (or reaches the end of the input), so that
    /// parsing an operation again from its start after each fill costs O(its length) in all.
    pub(super) fn fill(&mut self, record_bytes: usize) -> Result<(), FillError> {
        debug_assert!(!self.eof, "nothing comes after the end");
        let pending = (self.base.offset + self.end as u64 - self.event_end) as usize;
        if pending > record_bytes {
            return Err(FillError::RecordTooLong);
        }
        self.forget_consumed();
        let wanted = (self.end - self.pos).clamp(self.block_bytes, record_bytes.max(self.block_bytes));
        self.block_bytes = (self.block_bytes * 4).min(BLOCK_BYTES_MAX);
        let target = self.end + wanted;
        if self.buffer.len() < target {
            self.buffer.resize(target, 0);
        }
        while self.end < target {
            match self.reader.read(&mut self.buffer[self.end..target]) {
                Ok(0) => {
                    self.eof = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(FillError::Io(error)),
            }
        }
        Ok(())
    }

    /// The line of the byte `at` bytes after the consumed ones. Calls must not go backwards.
    pub(super) fn line_at(&mut self, at: usize) -> u64 {
        let to = self.pos + at;
        let (from, line) = self.counted;
        self.counted = (to, line + count_lines(&self.buffer[from..to]));
        self.counted.1
    }

    /// The place `at` bytes after the consumed ones, with `len` bytes to underline.
    pub(super) fn place(&mut self, name: &str, at: usize, len: usize) -> Place {
        let at = (self.pos + at).min(self.end);
        let mark = self.base.after(&self.buffer[..at]);
        let line_start = memchr::memrchr(b'\n', &self.buffer[..at]).map_or(0, |newline| newline + 1);
        let rest = &self.buffer[at..self.end];
        let line_end = at + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let left_bytes = &self.buffer[line_start.max(at.saturating_sub(CONTEXT_BYTES))..at];
        let mut right_bytes = &self.buffer[at..line_end.min(at + CONTEXT_BYTES)];
        if right_bytes.last() == Some(&b'\r') {
            right_bytes = &right_bytes[..right_bytes.len() - 1];
        }
        let (left, left_cut) = last_chars(&escape(left_bytes), QUOTE_CHARS);
        let (right, right_cut) = first_chars(&escape(right_bytes), QUOTE_CHARS);
        let left_cut = left_cut || mark.column > left_bytes.len() as u64;
        let right_cut = right_cut || line_end > at + CONTEXT_BYTES;
        // Half a character would be escaped, and so be longer than the whole one in the line.
        let underlined_bytes = char_end(right_bytes, len.min(right_bytes.len()));
        let underlined = escape(&right_bytes[..underlined_bytes]).len().min(right.len());
        let mut source_line = String::from(if left_cut { "…" } else { "" });
        source_line.push_str(&left);
        let start = source_line.len();
        source_line.push_str(&right);
        source_line.push_str(if right_cut { "…" } else { "" });
        Place {
            name: name.to_owned(),
            is_binary: false,
            line: mark.line,
            column: mark.column + 1,
            offset: mark.offset,
            source_line,
            span: start..start + underlined,
        }
    }

    /// The same for an input without lines.
    pub(super) fn binary_place(&self, name: &str, at: usize, len: usize) -> Place {
        let at = (self.pos + at).min(self.end);
        let offset = self.base.offset + at as u64;
        let before = &self.buffer[at.saturating_sub(QUOTE_BYTES)..at];
        let rest = &self.buffer[at..self.end.min(at + 2 * QUOTE_BYTES)];
        let marked = hexadecimal(&rest[..len.min(rest.len())]);
        let after = hexadecimal(&rest[len.min(rest.len())..]);
        let mut source_line = hexadecimal(before);
        if !source_line.is_empty() {
            source_line.push(' ');
        }
        let start = source_line.len();
        source_line.push_str(&marked);
        source_line.push_str(if marked.is_empty() || after.is_empty() { "" } else { " " });
        source_line.push_str(&after);
        let span = start..start + marked.len();
        Place {
            name: name.to_owned(),
            is_binary: true,
            line: 1,
            column: offset + 1,
            offset,
            source_line,
            span,
        }
    }

    fn forget_consumed(&mut self) {
        let forgotten = self.pos.saturating_sub(CONTEXT_BYTES);
        if forgotten == 0 {
            return;
        }
        self.line_at(0);
        self.base = self.base.after(&self.buffer[..forgotten]);
        self.buffer.copy_within(forgotten..self.end, 0);
        self.pos -= forgotten;
        self.end -= forgotten;
        self.counted.0 -= forgotten;
    }
}

impl Mark {
    fn after(self, bytes: &[u8]) -> Mark {
        let line_tail = memchr::memrchr(b'\n', bytes).map(|newline| &bytes[newline + 1..]);
        Mark {
            offset: self.offset + bytes.len() as u64,
            line: self.line + count_lines(bytes),
            column: match line_tail {
                Some(tail) => count_chars(tail),
                None => self.column + count_chars(bytes),
            },
        }
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn count_chars(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count() as u64
}

fn first_chars(text: &str, count: usize) -> (String, bool) {
    match text.char_indices().nth(count) {
        Some((cut, _)) => (text[..cut].to_owned(), true),
        None => (text.to_owned(), false),
    }
}

fn last_chars(text: &str, count: usize) -> (String, bool) {
    match text.char_indices().rev().nth(count - 1) {
        Some((cut, _)) if cut > 0 => (text[cut..].to_owned(), true),
        _ => (text.to_owned(), false),
    }
}

/// The name of a file without the extension that says how it is compressed.
pub(super) fn uncompressed(name: &str) -> &str {
    name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name)
}

fn decompressed<'r>(mut reader: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let mut head = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut head)?;
    // The third byte is the method, which is always this one; binary histories may begin with the others.
    let is_gzip = head.starts_with(&[0x1f, 0x8b, 0x08]);
    let is_zstd = head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(head).chain(reader);
    if is_gzip {
        return Ok(Box::new(flate2::read::MultiGzDecoder::new(whole)));
    }
    if is_zstd {
        let mut decoder = zstd::stream::read::Decoder::new(whole)?;
        // The format allows windows of terabytes; this is the most that zstd itself decodes unasked.
        decoder.window_log_max(27)?;
        return Ok(Box::new(decoder));
    }
    Ok(Box::new(whole))
}
