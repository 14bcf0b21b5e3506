//! What went wrong while reading or writing a history, in pieces that a renderer can arrange.
//!
//! `Display` gives one line (`file:line:column: what`, or `file: byte offset: what`); [`FormatError::message`],
//! [`FormatError::label`], [`FormatError::help`] and [`FormatError::place`] give the parts, with the
//! offending line and the span to underline in it.

use super::Format;
use crate::history::PairingError;
use std::fmt;
use std::io;
use std::ops::Range;
use thiserror::Error;

/// Why a history could not be read or written. Nothing of a history that failed to read is kept.
#[derive(Debug, Error)]
pub enum FormatError {
    /// The bytes could not be read, decompressed or written.
    #[error("{name}: {source}")]
    Io {
        /// The file, as the caller named it.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// The content is none of the formats, and the caller named none.
    #[error("{name}: not a history in a known format ({known}); it begins with {head}", known = known_formats())]
    Unknown {
        /// The file, as the caller named it.
        name: String,
        /// Its first bytes, escaped.
        head: String,
    },
    /// The text is not of the format.
    #[error("{place}: found {found}; expected {expected}")]
    Syntax {
        /// Where.
        place: Box<Place>,
        /// What stands there.
        found: String,
        /// What the format wants there.
        expected: String,
        /// What the user might do about it, where something is known.
        help: Option<String>,
    },
    /// The events do not fit together.
    #[error("{place}: {source}")]
    Pairing {
        /// The event that does not fit.
        place: Box<Place>,
        /// How it does not.
        source: PairingError,
    },
    /// A limit of [`super::Limits`] was reached.
    #[error("{place}: {limit}")]
    Limit {
        /// How far the reader had come.
        place: Box<Place>,
        /// Which one.
        limit: LimitReached,
    },
    /// The history holds something that the format has no words for.
    #[error("event {position} does not fit the {format} format: {reason}")]
    Unfit {
        /// The format asked for.
        format: Format,
        /// Position of the event in the history.
        position: u32,
        /// What does not fit, and what would.
        reason: String,
    },
    /// Histories are read from this format, and not written in it.
    #[error("the {format} format is only read, not written")]
    ReadOnly {
        /// The format asked for.
        format: Format,
    },
    /// A directory that is not the history asked for.
    #[error(
        "{name}: a directory {found}; only cobra's histories are directories, of a file T*.log for each session"
    )]
    Directory {
        /// The directory, as the caller named it.
        name: String,
        /// What is wrong with it, as in "without a file T*.log".
        found: String,
    },
    /// A directory with two logs of one session, of which one is compressed, most often.
    #[error("{name}: {first} and {second} are logs of the same session, which has one log")]
    SessionTwice {
        /// The directory, as the caller named it.
        name: String,
        /// The file of the one log.
        first: String,
        /// The file of the other.
        second: String,
    },
}

/// A limit that a reader came up against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitReached {
    /// So many bytes went by without an operation coming to its end.
    RecordBytes(usize),
    /// Values were nested so deep.
    Depth(usize),
    /// The history held so many bytes.
    MemoryBytes(usize),
    /// The history held so many distinct values.
    DistinctValues(usize),
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitReached::RecordBytes(limit) => {
                write!(f, "no operation ends within {}, the limit for one operation", size(*limit))
            }
            LimitReached::Depth(limit) => {
                write!(f, "a value is nested deeper than {limit} levels, the limit")
            }
            LimitReached::MemoryBytes(limit) => {
                write!(f, "the history needs more memory than its limit of {}", size(*limit))
            }
            LimitReached::DistinctValues(limit) => {
                write!(
                    f,
                    "the history has more than {limit} distinct values, the most that can be told apart"
                )
            }
        }
    }
}

/// `67108864` as `64 MiB`; what is no whole number of a unit is told in the next smaller one.
fn size(bytes: usize) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// A place in an input, with the line that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the caller named it.
    pub name: String,
    /// True if the format is binary: then the whole input is one line, a byte is a column, and
    /// `source_line` has the bytes around the place in hexadecimal.
    pub is_binary: bool,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Bytes before it in the (decompressed) input.
    pub offset: u64,
    /// The line, cut to about 100 characters on either side of the column (`…` marks a cut); control
    /// characters and bytes that are not UTF-8 are escaped as `\xNN`.
    pub source_line: String,
    /// The bytes of `source_line` to underline. May be empty at the line's end.
    pub span: Range<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_binary {
            return write!(f, "{}: byte {}", self.name, self.offset);
        }
        write!(f, "{}:{}:{}", self.name, self.line, self.column)
    }
}

impl FormatError {
    /// What happened, without the place.
    pub fn message(&self) -> String {
        match self {
            FormatError::Io { source, .. } => source.to_string(),
            FormatError::Unknown { .. } => "not a history in a known format".to_owned(),
            FormatError::Syntax { found, expected, .. } => format!("found {found}; expected {expected}"),
            FormatError::Pairing { source, .. } => source.to_string(),
            FormatError::Limit { limit, .. } => limit.to_string(),
            FormatError::Unfit { .. }
            | FormatError::ReadOnly { .. }
            | FormatError::Directory { .. }
            | FormatError::SessionTwice { .. } => self.to_string(),
        }
    }

    /// A few words to stand under the span.
    pub fn label(&self) -> &'static str {
        match self {
            FormatError::Syntax { .. } => "here",
            FormatError::Pairing { .. } => "this event",
            FormatError::Limit { .. } => "the reader stopped after this",
            FormatError::Io { .. }
            | FormatError::Unknown { .. }
            | FormatError::Unfit { .. }
            | FormatError::ReadOnly { .. }
            | FormatError::Directory { .. }
            | FormatError::SessionTwice { .. } => "",
        }
    }

    /// What to try next, if anything is known.
    pub fn help(&self) -> Option<String> {
        match self {
            FormatError::Io { .. } => None,
            FormatError::Unknown { head, .. } => Some(format!(
                "it begins with {head}; known formats are {}. If it is one of them, name it.",
                known_formats()
            )),
            FormatError::Syntax { help, .. } => help.clone(),
            FormatError::Pairing { source, .. } => match source {
                PairingError::AlreadyOpen { .. } => Some(
                    "a client whose operation timed out goes on under a new process number, or its \
                     operation is closed by an info"
                        .to_owned(),
                ),
                _ => None,
            },
            FormatError::Limit { limit, .. } => Some(match limit {
                LimitReached::RecordBytes(_) => "is this a history?".to_owned(),
                LimitReached::Depth(_) => {
                    "no value of a history is nested like that; is this one?".to_owned()
                }
                LimitReached::MemoryBytes(_) => "raise the memory limit, or cut the history.".to_owned(),
                LimitReached::DistinctValues(_) => "cut the history.".to_owned(),
            }),
            FormatError::Unfit { .. } | FormatError::ReadOnly { .. } => {
                Some("write it as edn or json instead".to_owned())
            }
            FormatError::Directory { .. } => Some("name the file that has the history in it".to_owned()),
            FormatError::SessionTwice { .. } => {
                Some("if one is a copy of the other, move one out of the directory".to_owned())
            }
        }
    }

    /// Where it happened, if it happened at a place in an input.
    pub fn place(&self) -> Option<&Place> {
        match self {
            FormatError::Syntax { place, .. }
            | FormatError::Pairing { place, .. }
            | FormatError::Limit { place, .. } => Some(place),
            FormatError::Io { .. }
            | FormatError::Unknown { .. }
            | FormatError::Unfit { .. }
            | FormatError::ReadOnly { .. }
            | FormatError::Directory { .. }
            | FormatError::SessionTwice { .. } => None,
        }
    }
}

/// The names of all formats.
pub(super) fn known_formats() -> String {
    let names: Vec<&str> = Format::ALL.iter().map(|f| f.name()).collect();
    names.join(", ")
}

/// Bytes as text: UTF-8 as it is, control characters and everything else as `\xNN`.
pub(super) fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => out.push('\t'),
                c if c.is_control() => {
                    let mut utf8 = [0; 4];
                    c.encode_utf8(&mut utf8).bytes().for_each(|b| out.push_str(&format!("\\x{b:02x}")));
                }
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|b| out.push_str(&format!("\\x{b:02x}")));
    }
    out
}

/// Where the character ends of whose bytes `at` divides some from others; `at` if it divides none.
/// At the end of `bytes` that is `at` too, however many bytes the character lacks.
pub(super) fn char_end(bytes: &[u8], at: usize) -> usize {
    for start in at.saturating_sub(3)..at {
        for end in at + 1..=(start + 4).min(bytes.len()) {
            if std::str::from_utf8(&bytes[start..end]).is_ok_and(|text| text.chars().count() == 1) {
                return end;
            }
        }
    }
    at
}

/// At most `chars` characters of `bytes`, escaped and in backquotes, for messages.
pub(super) fn quote(bytes: &[u8], chars: usize) -> String {
    let text = escape(&bytes[..bytes.len().min(chars * 4)]);
    let cut: String = text.chars().take(chars).collect();
    let more = if cut.len() < text.len() || bytes.len() > chars * 4 { "…" } else { "" };
    format!("`{cut}{more}`")
}
