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
//! A reader streams: it holds a window of the input, one operation at least, and the history itself, or
//! what will be it: of formats that record sessions and no time, whole transactions are put together
//! first. [`Limits`] bound all that. Compressed input (gzip, zstd) is recognised and decompressed. What the
//! events of each format mean is said in its module and, for odd pairings, in
//! [`HistoryBuilder`]'s; the order of the events in the file is the order of the history.
//!
//! An input without events (an empty file, a comment) is an empty history in any format; a note in
//! [`History::notes`] says so, and a caller should give no verdict on it.
//!
//! Plume's, AWDIT's, dbcop's and Cobra's formats have transactions on registers only, session by session.
//! They become operations `txn` as Jepsen's tests of read-write registers have them, one process a
//! session, and [`History::has_real_time`] is false. A history that was recorded otherwise and is written
//! in one of them loses its real time.
//!
//! Not here: Jepsen's binary stores (`.jepsen`, Fressian), Viper's logs.

mod awdit;
mod binary;
mod cobra;
mod dbcop;
mod dbcop_bincode;
mod dbcop_hist;
mod edn;
mod edn_token;
mod error;
mod event;
mod jepsen_log;
mod json;
mod line;
mod plume;
mod porcupine_kv;
mod register_txn;
mod sessions;
mod source;
mod write;

pub use error::{FormatError, LimitReached, Place};

use crate::history::{History, HistoryBuilder};
use crate::value::Values;
use event::{Room, Step, Stop, Syntax};
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
    /// The text of Plume, PolySI and AWDIT: transactions on registers, an operation a line.
    Plume,
    /// AWDIT's "test" format: the same in sessions and transactions with lines between them.
    Awdit,
    /// dbcop's JSON.
    Dbcop,
    /// dbcop's text notation, `[x:=1 y==2]`.
    DbcopHist,
    /// dbcop's first binary format.
    DbcopBincode,
    /// A directory of Cobra's logs, one for each session; a single log reads as a single session.
    Cobra,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 10] = [
        Format::Edn,
        Format::JsonLines,
        Format::JepsenLog,
        Format::PorcupineKv,
        Format::Plume,
        Format::Awdit,
        Format::Dbcop,
        Format::DbcopHist,
        Format::DbcopBincode,
        Format::Cobra,
    ];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Edn => "edn",
            Format::JsonLines => "json",
            Format::JepsenLog => "jepsen-log",
            Format::PorcupineKv => "porcupine-kv",
            Format::Plume => "plume",
            Format::Awdit => "awdit",
            Format::Dbcop => "dbcop",
            Format::DbcopHist => "dbcop-hist",
            Format::DbcopBincode => "dbcop-bincode",
            Format::Cobra => "cobra",
        }
    }

    /// The format that a file of this name is usually in, whether or not it is compressed. `.txt`
    /// says nothing.
    pub fn of_path(path: &Path) -> Option<Format> {
        let name = source::uncompressed(path.file_name()?.to_str()?);
        match name.rsplit_once('.')?.1 {
            "edn" => Some(Format::Edn),
            "json" | "jsonl" | "ndjson" => Some(Format::JsonLines),
            "log" => Some(Format::JepsenLog),
            "plume" => Some(Format::Plume),
            "awdit" => Some(Format::Awdit),
            "hist" => Some(Format::DbcopHist),
            "bincode" => Some(Format::DbcopBincode),
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
#[error("unknown format {0:?}; known formats are {known}", known = error::known_formats())]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Format, UnknownFormat> {
        match name {
            "jsonl" | "json-lines" | "ndjson" => Ok(Format::JsonLines),
            _ => {
                let named = Format::ALL.into_iter().find(|format| format.name() == name);
                named.ok_or_else(|| UnknownFormat(name.to_owned()))
            }
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
    let mut input = Input::new(reader, name, limits)?;
    input.fill(&HistoryBuilder::new(), 0)?;
    if !matches!(format, Some(Format::DbcopBincode | Format::Cobra)) {
        input.source.skip_byte_order_mark();
    }
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
        Format::Plume => input.read(plume::Plume::new()),
        Format::Awdit => input.read(awdit::Awdit::new()),
        Format::Dbcop => input.read(dbcop::Dbcop::new(depth)),
        Format::DbcopHist => input.read(dbcop_hist::DbcopHist::new()),
        Format::DbcopBincode => input.read(dbcop_bincode::DbcopBincode::new()),
        Format::Cobra => input.read(cobra::Cobra::new()),
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

/// Reads the file or directory at `path`, or standard input for `-`.
pub fn read_path(path: &Path, format: Option<Format>, limits: &Limits) -> Result<History, FormatError> {
    if path == Path::new("-") {
        return read(io::stdin().lock(), "standard input", format, limits);
    }
    if path.is_dir() {
        return read_directory(path, format, limits, |file| file).map(|(history, _)| history);
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => read(file, &name, format, limits),
        Err(source) => Err(FormatError::Io { name, source }),
    }
}

/// Reads the directory at `path`, which is one of Cobra's logs or an error. Each file is read through
/// what `wrap` makes of it, and decompressed by its content.
pub fn read_directory<R: Read>(
    path: &Path,
    format: Option<Format>,
    limits: &Limits,
    wrap: impl Fn(File) -> R,
) -> Result<(History, Format), FormatError> {
    let name = path.display().to_string();
    if let Some(format) = format.filter(|format| *format != Format::Cobra) {
        return Err(FormatError::Directory { name, found: format!("where the {format} format was named") });
    }
    let logs = cobra::logs(path)?;
    let Some((last, others)) = logs.split_last() else {
        return Err(FormatError::Directory { name, found: "without a file T*.log".to_owned() });
    };
    let open = |log: &Path| {
        let name = log.display().to_string();
        match File::open(log) {
            Ok(file) => Input::new(wrap(file), &name, limits),
            Err(source) => Err(FormatError::Io { name, source }),
        }
    };
    let mut syntax = cobra::Cobra::new();
    let mut builder = HistoryBuilder::new();
    for log in others {
        syntax.begin_log();
        open(log)?.run(&mut syntax, &mut builder)?;
    }
    syntax.begin_log();
    let mut input = open(last)?;
    input.run(&mut syntax, &mut builder)?;
    Ok((input.finish(syntax, builder)?, Format::Cobra))
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
    if plume::detect(head) {
        return Some(Format::Plume);
    }
    if awdit::detect(head) {
        return Some(Format::Awdit);
    }
    if dbcop::detect(head) {
        return Some(Format::Dbcop);
    }
    if dbcop_hist::detect(head) {
        return Some(Format::DbcopHist);
    }
    if dbcop_bincode::detect(head) {
        return Some(Format::DbcopBincode);
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
/// which it has none is [`FormatError::Unfit`]; what was written before it stays written. Plume's and
/// AWDIT's formats have transactions of reads and writes, session by session: neither real time nor
/// events of others are written. dbcop's and Cobra's are [`FormatError::ReadOnly`].
pub fn write(history: &History, format: Format, out: impl Write) -> Result<(), FormatError> {
    let mut out = io::BufWriter::with_capacity(64 << 10, out);
    match format {
        Format::Edn => write_events(history, format, |event, values| {
            write::line(write::Notation::Edn, event, values, &mut out).map(Ok)
        })?,
        Format::JsonLines => write_events(history, format, |event, values| {
            write::line(write::Notation::Json, event, values, &mut out).map(Ok)
        })?,
        Format::JepsenLog if history.is_empty() && history.event_count() > 0 => {
            let reason = "no client did anything, and a log of other events alone reads as none".to_owned();
            return Err(FormatError::Unfit { format, position: 0, reason });
        }
        Format::JepsenLog => {
            write_events(history, format, |event, values| jepsen_log::write(event, values, &mut out))?;
        }
        Format::PorcupineKv => {
            let mut kv = porcupine_kv::Writer::default();
            write_events(history, format, |event, values| kv.write(event, values, &mut out))?;
        }
        Format::Plume | Format::Awdit => register_txn::write(history, format, &mut out)?,
        Format::Dbcop | Format::DbcopHist | Format::DbcopBincode | Format::Cobra => {
            return Err(FormatError::ReadOnly { format });
        }
    }
    out.flush().map_err(output_error)
}

/// Gives each event to `write`, until that says why one does not fit.
fn write_events(
    history: &History,
    format: Format,
    mut write: impl FnMut(&write::Recorded<'_>, &Values) -> io::Result<Result<(), String>>,
) -> Result<(), FormatError> {
    for event in write::events(history) {
        if let Err(reason) = write(&event, history.values()).map_err(output_error)? {
            return Err(FormatError::Unfit { format, position: event.position, reason });
        }
    }
    Ok(())
}

fn output_error(source: io::Error) -> FormatError {
    FormatError::Io { name: "output".to_owned(), source }
}

/// An input on its way into a history.
struct Input<'r> {
    name: String,
    limits: Limits,
    source: Source<'r>,
    /// Places are counted in bytes.
    is_binary: bool,
}

impl<'r> Input<'r> {
    fn new(reader: impl Read + 'r, name: &str, limits: &Limits) -> Result<Input<'r>, FormatError> {
        let name = name.to_owned();
        let limits = Limits { record_bytes: limits.record_bytes.min(1 << 30), ..limits.clone() };
        match Source::new(reader) {
            Ok(source) => Ok(Input { name, limits, source, is_binary: false }),
            Err(source) => Err(FormatError::Io { name, source }),
        }
    }

    fn read(mut self, mut syntax: impl Syntax) -> Result<History, FormatError> {
        let mut builder = HistoryBuilder::new();
        self.run(&mut syntax, &mut builder)?;
        self.finish(syntax, builder)
    }

    /// Reads all of the input.
    fn run<S: Syntax>(&mut self, syntax: &mut S, builder: &mut HistoryBuilder) -> Result<(), FormatError> {
        self.is_binary = S::IS_BINARY;
        let mut indices = Indices::default();
        loop {
            let eof = self.source.eof();
            match syntax.next(self.source.unparsed(), eof, builder) {
                Ok(Step::Event { start, end, draft }) => {
                    let line = self.source.line_at(start);
                    indices.see(draft.index, line);
                    let (timestamps, is_final) = (draft.timestamps(), draft.is_final);
                    let pushed = draft.event(line, builder).and_then(|event| builder.push(event));
                    if let Err(source) = pushed {
                        let place = self.place(start, end - start);
                        return Err(FormatError::Pairing { place, source });
                    }
                    if let Some(timestamps) = timestamps {
                        builder.stamp(timestamps);
                    }
                    if is_final {
                        builder.mark_final();
                    }
                    self.source.take(end);
                }
                Ok(Step::Took(count)) => self.source.take(count),
                Ok(Step::Skip(count)) => self.source.skip(count),
                Ok(Step::End) => break,
                Err(Stop::More) => self.fill(builder, syntax.heap_bytes())?,
                Err(stop) => return Err(self.stopped(stop)),
            }
        }
        if let Some(note) = indices.note() {
            builder.note(note);
        }
        Ok(())
    }

    /// Closes a history of which this was the last input.
    fn finish(
        &mut self,
        mut syntax: impl Syntax,
        mut builder: HistoryBuilder,
    ) -> Result<History, FormatError> {
        let finished = syntax.finish(&mut builder, Room(&self.limits));
        finished.map_err(|stop| self.stopped(stop))?;
        if builder.event_count() == 0 {
            builder.note("the input has no events".to_owned());
        }
        Ok(builder.finish())
    }

    /// Reads the next block, if the limits allow.
    fn fill(&mut self, builder: &HistoryBuilder, parser_bytes: usize) -> Result<(), FormatError> {
        let held_bytes = parser_bytes + self.source.heap_bytes();
        let limit = match Room(&self.limits).exceeded(builder, held_bytes) {
            Some(limit) => limit,
            None => match self.source.fill(self.limits.record_bytes) {
                Ok(()) => return Ok(()),
                Err(FillError::Io(source)) => {
                    return Err(FormatError::Io { name: self.name.clone(), source });
                }
                Err(FillError::RecordTooLong) => LimitReached::RecordBytes(self.limits.record_bytes),
            },
        };
        Err(FormatError::Limit { place: self.place(0, 1), limit })
    }

    #[cold]
    fn stopped(&mut self, stop: Stop) -> FormatError {
        match stop {
            Stop::More => unreachable!("asked for more by the caller"),
            Stop::Problem(problem) => {
                // The rest of the line is wanted for the message; what cannot be read is left out.
                if !self.is_binary && !self.source.can_quote(problem.at) {
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
        Box::new(match self.is_binary {
            true => self.source.binary_place(&self.name, at, len),
            false => self.source.place(&self.name, at, len),
        })
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
