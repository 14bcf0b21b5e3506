//! Readers and writers of the formats in which others record histories.
//!
//! ```
//! use shakedown_checkers::format::{self, Format, Limits};
//!
//! let text = "{:process 0, :type :invoke, :f :write, :value 7}\n\
//!             {:process 0, :type :ok, :f :write, :value 7}\n";
//! let history = format::read(text.as_bytes(), "history.edn", None, &Limits::default()).unwrap();
//! assert_eq!(history.len(), 1);
//!
//! let mut json = Vec::new();
//! format::write(&history, Format::JsonLines, &mut json).unwrap();
//! assert!(json.starts_with(br#"{"index":0,"type":"invoke","process":0,"f":"write","value":7}"#));
//! ```
//!
//! A reader streams: it holds a window of the input, one operation at least, and the history itself.
//! [`Limits`] bound both. Compressed input (gzip, zstd) is recognised and decompressed. What the
//! events of each format mean is said in its module and, for odd pairings, in
//! [`HistoryBuilder`]'s; the order of the events in the file is the order of the history.
//!
//! An input without events (an empty file, a comment) is an empty history in any format; a note in
//! [`History::notes`] says so, and a caller should give no verdict on it.
//!
//! Not here: formats for transactions only (Plume, DBCop, Cobra).

mod edn;
mod edn_token;
mod error;
mod event;
mod jepsen_log;
mod json;
mod porcupine_kv;
mod source;
mod write;

pub use error::{FormatError, LimitReached, Place};

use crate::history::{History, HistoryBuilder};
use event::{Step, Stop, Syntax};
use source::{FillError, Source};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

/// A format of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Jepsen, Knossos, Elle: extensible data notation.
    Edn,
    /// JSON lines with Jepsen's field names, our own format; elle-cli's JSON arrays read as well.
    JsonLines,
    /// The text log of Jepsen's first tests, such as those of etcd in 2014.
    JepsenLog,
    /// The key-value log of Porcupine's tests.
    PorcupineKv,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 4] = [Format::Edn, Format::JsonLines, Format::JepsenLog, Format::PorcupineKv];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Edn => "edn",
            Format::JsonLines => "json",
            Format::JepsenLog => "jepsen-log",
            Format::PorcupineKv => "porcupine-kv",
        }
    }

    /// The format that a file of this name is usually in, whether or not it is compressed. `.txt`
    /// says nothing.
    pub fn of_path(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_str()?;
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
        match name.rsplit_once('.')?.1 {
            "edn" => Some(Format::Edn),
            "json" | "jsonl" | "ndjson" => Some(Format::JsonLines),
            "log" => Some(Format::JepsenLog),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of [`Format::ALL`]'s.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {0:?}; known formats are edn, json, jepsen-log, porcupine-kv")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Format, UnknownFormat> {
        match name {
            "edn" => Ok(Format::Edn),
            "json" | "jsonl" | "json-lines" | "ndjson" => Ok(Format::JsonLines),
            "jepsen-log" => Ok(Format::JepsenLog),
            "porcupine-kv" => Ok(Format::PorcupineKv),
            _ => Err(UnknownFormat(name.to_owned())),
        }
    }
}

/// What a reader may spend. A limit reached is [`FormatError::Limit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes from the end of one event to the end of the next, whatever stands between them. Looked
    /// at block by block, so up to 1 MiB more may pass. More than 1 GiB means 1 GiB.
    pub record_bytes: usize,
    /// Levels of nesting in a value, tags and discards included.
    pub depth: usize,
    /// Bytes of the history and of what the reader needs to read it, but for a block or a record
    /// that is being read.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { record_bytes: 64 << 20, depth: 128, memory_bytes: 4 << 30 }
    }
}

/// The arena counts its values in 32 bits; this leaves room for those of one record.
const DISTINCT_VALUES_MAX: usize = 1 << 31;

/// How much of an input [`detect`] is shown.
const HEAD_BYTES: usize = 64 << 10;

/// Reads a history in `format`, or in the format that its content shows. `name` is for messages.
pub fn read(
    reader: impl Read,
    name: &str,
    format: Option<Format>,
    limits: &Limits,
) -> Result<History, FormatError> {
    read_and_tell(reader, name, format, limits).map(|(history, _)| history)
}

/// As [`read`], and tells in which format it was; blanks alone count as EDN.
pub fn read_and_tell(
    reader: impl Read,
    name: &str,
    format: Option<Format>,
    limits: &Limits,
) -> Result<(History, Format), FormatError> {
    let io = |source| FormatError::Io { name: name.to_owned(), source };
    let limits = Limits { record_bytes: limits.record_bytes.min(1 << 30), ..limits.clone() };
    let mut input = Input { name, limits, source: Source::new(reader).map_err(io)? };
    input.fill(&HistoryBuilder::new(), 0)?;
    input.source.skip_byte_order_mark();
    let head = input.source.unparsed();
    let head = &head[..head.len().min(HEAD_BYTES)];
    let depth = input.limits.depth;
    // Nothing but blanks is an empty history in every format.
    let blank = head.trim_ascii().is_empty().then_some(Format::Edn);
    let detected = detect(head);
    let is_named = format.is_some();
    let Some(format) = format.or(detected).or(blank) else {
        return Err(FormatError::Unknown { name: name.to_owned(), head: error::quote(head, 60) });
    };
    let history = match format {
        Format::Edn => input.read(edn::Edn::new(depth)),
        Format::JsonLines => input.read(json::Json::new(depth)),
        Format::JepsenLog => input.read(jepsen_log::JepsenLog::default()),
        Format::PorcupineKv => input.read(porcupine_kv::PorcupineKv),
    };
    match history {
        Ok(history) => Ok((history, format)),
        Err(FormatError::Syntax { place, found, expected, help }) => {
            let other = detected.filter(|detected| *detected != format);
            let hint = match other {
                Some(other) => Some(format!(
                    "it was read as {format}, but its content looks like {other}; name that, or none"
                )),
                None if format == Format::PorcupineKv && !is_named => {
                    Some("read as Porcupine's key-value log; `--input-format edn` reads it as EDN".to_owned())
                }
                None => None,
            };
            Err(FormatError::Syntax { place, found, expected, help: hint.or(help) })
        }
        Err(error) => Err(error),
    }
}

/// Reads the file at `path`, or standard input for `-`.
pub fn read_path(path: &Path, format: Option<Format>, limits: &Limits) -> Result<History, FormatError> {
    if path == Path::new("-") {
        return read(io::stdin().lock(), "standard input", format, limits);
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => read(file, &name, format, limits),
        Err(source) => Err(FormatError::Io { name, source }),
    }
}

/// The format of an input that begins with `head`, which should be some kilobytes if there are as
/// many. `None` if it is none of ours, or blank.
pub fn detect(head: &[u8]) -> Option<Format> {
    if porcupine_kv::detect(head) {
        return Some(Format::PorcupineKv);
    }
    if jepsen_log::detect(head) {
        return Some(Format::JepsenLog);
    }
    let mut marks = head.iter().filter(|byte| !byte.is_ascii_whitespace());
    match marks.next()? {
        b'(' | b';' | b'#' | b',' => Some(Format::Edn),
        b'{' => match marks.next() {
            Some(b'"') => Some(Format::JsonLines),
            _ => Some(Format::Edn),
        },
        b'[' => match (marks.next(), marks.next()) {
            (Some(b'{'), Some(b'"')) => Some(Format::JsonLines),
            (Some(b'{' | b']' | b';' | b'#' | b',') | None, _) => Some(Format::Edn),
            _ => None,
        },
        _ => None,
    }
}

/// Writes all events of `history`, one a line, nemesis events in their places.
///
/// EDN and JSON lines say everything; a log only what it has words for, and the first event for
/// which it has none is [`FormatError::Unfit`]; what was written before it stays written.
pub fn write(history: &History, format: Format, out: impl Write) -> Result<(), FormatError> {
    let io = |source| FormatError::Io { name: "output".to_owned(), source };
    let mut out = io::BufWriter::with_capacity(64 << 10, out);
    let values = history.values();
    if format == Format::JepsenLog && history.is_empty() && history.event_count() > 0 {
        let reason = "no client did anything, and a log of other events alone reads as none".to_owned();
        return Err(FormatError::Unfit { format, position: 0, reason });
    }
    let mut kv = porcupine_kv::Writer::default();
    for event in write::events(history) {
        let fits = match format {
            Format::Edn => write::line(write::Notation::Edn, &event, values, &mut out).map(Ok),
            Format::JsonLines => write::line(write::Notation::Json, &event, values, &mut out).map(Ok),
            Format::JepsenLog => jepsen_log::write(&event, values, &mut out),
            Format::PorcupineKv => kv.write(&event, values, &mut out),
        };
        if let Err(reason) = fits.map_err(io)? {
            return Err(FormatError::Unfit { format, position: event.position, reason });
        }
    }
    out.flush().map_err(io)
}

/// An input on its way into a history.
struct Input<'a, 'r> {
    name: &'a str,
    limits: Limits,
    source: Source<'r>,
}

impl Input<'_, '_> {
    fn read(mut self, mut syntax: impl Syntax) -> Result<History, FormatError> {
        let mut builder = HistoryBuilder::new();
        let mut indices = Indices::default();
        loop {
            let eof = self.source.eof();
            match syntax.next(self.source.unparsed(), eof, &mut builder) {
                Ok(Step::Event { start, end, draft }) => {
                    let line = self.source.line_at(start);
                    indices.see(draft.index, line);
                    let pushed = draft.event(line, &mut builder).and_then(|event| builder.push(event));
                    if let Err(source) = pushed {
                        let place = self.place(start, end - start);
                        return Err(FormatError::Pairing { place, source });
                    }
                    self.source.take(end);
                }
                Ok(Step::Skip(count)) => self.source.skip(count),
                Ok(Step::End) => break,
                Err(Stop::More) => self.fill(&builder, syntax.heap_bytes())?,
                Err(stop) => return Err(self.stopped(stop)),
            }
        }
        if builder.event_count() == 0 {
            builder.note("the input has no events".to_owned());
        }
        if let Some(note) = indices.note() {
            builder.note(note);
        }
        Ok(builder.finish())
    }

    /// Reads the next block, if the limits allow.
    fn fill(&mut self, builder: &HistoryBuilder, parser_bytes: usize) -> Result<(), FormatError> {
        let held = builder.heap_bytes() + parser_bytes + self.source.heap_bytes();
        let limit = if held > self.limits.memory_bytes {
            LimitReached::MemoryBytes(self.limits.memory_bytes)
        } else if builder.distinct_values() > DISTINCT_VALUES_MAX {
            LimitReached::DistinctValues(DISTINCT_VALUES_MAX)
        } else {
            match self.source.fill(self.limits.record_bytes) {
                Ok(()) => return Ok(()),
                Err(FillError::Io(source)) => {
                    return Err(FormatError::Io { name: self.name.to_owned(), source });
                }
                Err(FillError::RecordTooLong) => LimitReached::RecordBytes(self.limits.record_bytes),
            }
        };
        Err(FormatError::Limit { place: self.place(0, 1), limit })
    }

    #[cold]
    fn stopped(&mut self, stop: Stop) -> FormatError {
        match stop {
            Stop::More => unreachable!("asked for more by the caller"),
            Stop::Problem(problem) => {
                // The rest of the line is wanted for the message; what cannot be read is left out.
                if !self.source.can_quote(problem.at) {
                    let _ = self.source.fill(self.limits.record_bytes);
                }
                FormatError::Syntax {
                    place: self.place(problem.at, problem.len),
                    found: problem.found,
                    expected: problem.expected,
                    help: problem.help.map(str::to_owned),
                }
            }
            Stop::Limit { at, limit } => FormatError::Limit { place: self.place(at, 1), limit },
            Stop::Pairing { at, error } => FormatError::Pairing { place: self.place(at, 1), source: error },
        }
    }

    fn place(&mut self, at: usize, len: usize) -> Box<Place> {
        Box::new(self.source.place(self.name, at, len))
    }
}

/// Watches the indices that a file gives its events, only to tell the user of odd ones.
#[derive(Default)]
struct Indices {
    last: Option<i64>,
    /// Events whose index is not above the one before, and the line of the first.
    odd: u64,
    first_line: u64,
}

impl Indices {
    #[inline]
    fn see(&mut self, index: Option<i64>, line: u64) {
        if index.is_none() {
            return;
        }
        if self.last >= index {
            self.odd += 1;
            if self.odd == 1 {
                self.first_line = line;
            }
        }
        self.last = index;
    }

    fn note(&self) -> Option<String> {
        (self.odd > 0).then(|| {
            format!(
                "the index goes back {} time{} (first at line {}); the order of the file was taken",
                self.odd,
                if self.odd == 1 { "" } else { "s" },
                self.first_line,
            )
        })
    }
}
