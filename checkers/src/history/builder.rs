//! From a stream of events to rows: pairs each completion with its invocation.
//!
//! Readings of what a tidy harness would never write, each chosen so that real files can be read:
//! - A process that completes without ever having invoked anything is a hand-written history: the
//!   completion is an operation of no duration, and [`History::notes`] says so.
//! - An event without a process belongs to nobody: each invocation is an operation of its own
//!   process, completed by the next completion without a process. Two such operations open at once
//!   could not be told apart, and are refused.
//! - After an `info`, the same process may go on; its crashed operation stays open.

use super::{ANONYMOUS, Columns, FunctionId, History, NEVER, OpId, OtherEvent, Outcome, Timestamps};
use crate::value::{FastBuild, Value, Values};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use thiserror::Error;

/// The four kinds of event in Jepsen's vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// An operation begins.
    Invoke,
    /// It took effect.
    Ok,
    /// It did not take effect.
    Fail,
    /// Nobody knows.
    Info,
}

impl EventKind {
    /// `invoke`, `ok`, `fail`, `info`.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Invoke => "invoke",
            EventKind::Ok => "ok",
            EventKind::Fail => "fail",
            EventKind::Info => "info",
        }
    }
}

/// Who an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// A client.
    Client(i64),
    /// The history does not say; see the module's text.
    Unspecified,
    /// Not a client: a nemesis, named by this value.
    Other(Value),
}

/// One event, as readers hand it to [`HistoryBuilder::push`].
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Whose it is.
    pub process: Process,
    /// What happened.
    pub kind: EventKind,
    /// To which function; from [`HistoryBuilder::function`].
    pub f: FunctionId,
    /// The key, where the format has a field for it.
    pub key: Option<Value>,
    /// The value; nil if there is none.
    pub value: Value,
    /// The error that a completion carries; nil if none.
    pub error: Value,
    /// Nanoseconds on the recorder's clock; -1 if unknown.
    pub time_ns: i64,
    /// Line in the file, from 1; 0 if it comes from no file.
    pub line: u32,
}

/// Why an event does not fit those before it. The builder is unchanged by the refused event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PairingError {
    /// A process invoked a second operation before its first one completed.
    #[error(
        "process {process} invokes {f} while its {open_f} from line {open_line} is still open; \
         expected that operation's completion (ok, fail or info) first"
    )]
    AlreadyOpen {
        /// The process.
        process: String,
        /// The refused function.
        f: String,
        /// The open one.
        open_f: String,
        /// Where the open one was invoked.
        open_line: u32,
    },
    /// A process that did invoke operations completes one that is not open.
    #[error(
        "process {process} completes {f}, but has no operation open; expected an invoke of {f} by \
         process {process} before this line"
    )]
    NotOpen {
        /// The process.
        process: String,
        /// The function.
        f: String,
    },
    /// A completion names another function than the invocation.
    #[error(
        "process {process} completes {f}, but its open operation is the {open_f} invoked on line \
         {open_line}; expected a completion of {open_f}"
    )]
    OtherFunction {
        /// The process.
        process: String,
        /// The function of the completion.
        f: String,
        /// The function of the invocation.
        open_f: String,
        /// Where it was invoked.
        open_line: u32,
    },
    /// More events, functions or distinct values than the columns can index.
    #[error("too many {what}: a history holds at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// Builds a [`History`] event by event.
///
/// ```
/// use shakedown_checkers::history::{Event, EventKind, HistoryBuilder, Process};
/// use shakedown_checkers::value::Value;
///
/// let mut builder = HistoryBuilder::new();
/// let write = builder.function("write").unwrap();
/// let three = builder.values().int(3);
/// for kind in [EventKind::Invoke, EventKind::Ok] {
///     builder
///         .push(Event {
///             process: Process::Client(0), kind, f: write, key: None, value: three,
///             error: Value::NIL, time_ns: -1, line: 0,
///         })
///         .unwrap();
/// }
/// let history = builder.finish();
/// assert_eq!(history.len(), 1);
/// assert_eq!(history.operation(0).f, "write");
/// ```
#[derive(Debug, Default)]
pub struct HistoryBuilder {
    history: History,
    open: HashMap<i64, Slot, FastBuild>,
    /// Open operation of the low process numbers, which are nearly all: `None` in the map's stead.
    open_low: Vec<Slot>,
    open_unspecified: Option<OpId>,
    unspecified_count: i64,
    orphan_count: u64,
    orphan_first_line: u32,
    last_invoked: Option<OpId>,
    last_completed: Option<OpId>,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Slot {
    /// It has done nothing yet.
    #[default]
    Unseen,
    /// It has only ever completed operations.
    Orphan,
    /// Between operations.
    Idle,
    /// In this one.
    Open(OpId),
}

const LOW_PROCESSES: i64 = 1 << 12;

impl HistoryBuilder {
    /// An empty builder.
    pub fn new() -> HistoryBuilder {
        HistoryBuilder::default()
    }

    /// The arena for values of the events to come.
    pub fn values(&mut self) -> &mut Values {
        &mut self.history.values
    }

    /// The id of a function's name, in O(names so far).
    pub fn function(&mut self, name: &str) -> Result<FunctionId, PairingError> {
        let functions = &mut self.history.functions;
        if let Some(at) = functions.iter().position(|f| f == name) {
            return Ok(FunctionId(at as u16));
        }
        if functions.len() >= 1024 {
            return Err(PairingError::TooMany { what: "distinct functions", limit: 1024 });
        }
        functions.push(name.to_owned());
        Ok(FunctionId((functions.len() - 1) as u16))
    }

    /// Number of events so far.
    pub fn event_count(&self) -> u32 {
        self.history.event_count
    }

    /// Bytes held so far.
    pub fn heap_bytes(&self) -> usize {
        self.history.heap_bytes()
            + self.open.capacity() * (size_of::<(i64, Slot)>() + 1)
            + self.open_low.capacity() * size_of::<Slot>()
    }

    /// Number of distinct values that live in the arena.
    pub fn distinct_values(&self) -> usize {
        self.history.values.len()
    }

    /// Adds a sentence to [`History::notes`].
    pub fn note(&mut self, note: String) {
        self.history.notes.push(note);
    }

    /// Says that the order of events means nothing but for the operations of one process.
    pub fn sessions_only(&mut self) {
        self.history.sessions_only = true;
    }

    /// Gives the operation that the last event completed the timestamps of the system under test.
    /// Without such an operation it does nothing.
    pub fn stamp(&mut self, timestamps: Timestamps) {
        if let Some(row) = self.last_completed {
            self.history.timestamps.push((row, timestamps));
        }
    }

    /// Marks the operation that the last event began or completed: see [`History::is_marked_final`].
    /// Without such an operation it does nothing.
    pub fn mark_final(&mut self) {
        let row = self.last_completed.or(self.last_invoked);
        self.history.finals.extend(row.filter(|row| self.history.finals.last() != Some(row)));
    }

    /// Adds the next event. An error leaves the builder as it was.
    pub fn push(&mut self, event: Event) -> Result<(), PairingError> {
        let position = self.history.event_count;
        if position >= NEVER - 1 {
            return Err(PairingError::TooMany { what: "events", limit: u64::from(NEVER) - 1 });
        }
        self.last_invoked = None;
        self.last_completed = None;
        match event.process {
            Process::Client(process) => self.push_client(process, position, event)?,
            Process::Unspecified => self.push_unspecified(position, event)?,
            Process::Other(process) => self.history.others.push(OtherEvent {
                position,
                process,
                kind: event.kind,
                f: event.f,
                value: event.value,
                time_ns: event.time_ns,
            }),
        }
        self.history.event_count += 1;
        Ok(())
    }

    /// Closes the history. Operations still open stay so: they may or may not have taken effect.
    pub fn finish(mut self) -> History {
        if self.orphan_count > 0 {
            let line = self.orphan_first_line;
            self.history.notes.push(match self.orphan_count {
                1 => format!(
                    "1 completion without an invocation (at line {line}) was read as an instantaneous operation"
                ),
                count => format!(
                    "{count} completions without an invocation (first at line {line}) were read as instantaneous \
                     operations"
                ),
            });
        }
        self.history.errors.sort_by_key(|e| e.0);
        self.history.timestamps.sort_by_key(|t| t.0);
        self.history.finals.sort_unstable();
        self.history.finals.dedup();
        self.history
    }

    fn push_client(&mut self, process: i64, position: u32, event: Event) -> Result<(), PairingError> {
        let slot = *self.slot(process);
        let next = match (event.kind, slot) {
            (EventKind::Invoke, Slot::Open(open)) => {
                return Err(PairingError::AlreadyOpen {
                    process: process.to_string(),
                    f: self.history.function(event.f).to_owned(),
                    open_f: self.history.operation(open).f.to_owned(),
                    open_line: self.history.columns.invoke_line[open as usize],
                });
            }
            (EventKind::Invoke, _) => Slot::Open(self.add_row(process, position, event)),
            (_, Slot::Open(open)) => {
                self.complete_row(open, position, event)?;
                Slot::Idle
            }
            (_, Slot::Unseen | Slot::Orphan) => {
                let row = self.add_row(process, position, event);
                self.complete_row(row, position, event)?;
                self.count_orphan(event.line);
                Slot::Orphan
            }
            (_, Slot::Idle) => {
                return Err(PairingError::NotOpen {
                    process: process.to_string(),
                    f: self.history.function(event.f).to_owned(),
                });
            }
        };
        *self.slot(process) = next;
        Ok(())
    }

    fn push_unspecified(&mut self, position: u32, event: Event) -> Result<(), PairingError> {
        match (event.kind, self.open_unspecified) {
            (EventKind::Invoke, Some(open)) => Err(PairingError::AlreadyOpen {
                process: "nil".to_owned(),
                f: self.history.function(event.f).to_owned(),
                open_f: self.history.operation(open).f.to_owned(),
                open_line: self.history.columns.invoke_line[open as usize],
            }),
            (EventKind::Invoke, None) => {
                let process = self.next_unspecified();
                self.open_unspecified = Some(self.add_row(process, position, event));
                Ok(())
            }
            (_, Some(open)) => {
                self.complete_row(open, position, event)?;
                self.open_unspecified = None;
                Ok(())
            }
            (_, None) => {
                let process = self.next_unspecified();
                let row = self.add_row(process, position, event);
                self.count_orphan(event.line);
                self.complete_row(row, position, event)
            }
        }
    }

    fn slot(&mut self, process: i64) -> &mut Slot {
        if (0..LOW_PROCESSES).contains(&process) {
            let at = process as usize;
            if at >= self.open_low.len() {
                self.open_low.resize(at + 1, Slot::Unseen);
            }
            return &mut self.open_low[at];
        }
        match self.open.entry(process) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Slot::Unseen),
        }
    }

    fn next_unspecified(&mut self) -> i64 {
        self.unspecified_count += 1;
        ANONYMOUS + self.unspecified_count - 1
    }

    fn count_orphan(&mut self, line: u32) {
        if self.orphan_count == 0 {
            self.orphan_first_line = line;
        }
        self.orphan_count += 1;
    }

    fn add_row(&mut self, process: i64, position: u32, event: Event) -> OpId {
        let columns = &mut self.history.columns;
        let row = columns.process.len();
        columns.process.push(process);
        columns.f.push(event.f);
        if event.key.is_some() && columns.key.is_empty() {
            columns.key.resize(row, None);
        }
        if event.key.is_some() || !columns.key.is_empty() {
            columns.key.push(event.key);
        }
        columns.input.push(event.value);
        columns.output.push(Value::NIL);
        columns.outcome.push(Outcome::Info);
        columns.invoke_position.push(position);
        columns.complete_position.push(NEVER);
        columns.invoke_time_ns.push(event.time_ns);
        columns.complete_time_ns.push(-1);
        columns.invoke_line.push(event.line);
        columns.complete_line.push(0);
        self.last_invoked = Some(row as OpId);
        row as OpId
    }

    fn complete_row(&mut self, row: OpId, position: u32, event: Event) -> Result<(), PairingError> {
        let Columns { f, output, outcome, complete_position, complete_time_ns, complete_line, .. } =
            &mut self.history.columns;
        let at = row as usize;
        if f[at] != event.f {
            let process = match event.process {
                Process::Client(process) => process.to_string(),
                _ => "nil".to_owned(),
            };
            return Err(PairingError::OtherFunction {
                process,
                f: self.history.functions[event.f.0 as usize].clone(),
                open_f: self.history.functions[f[at].0 as usize].clone(),
                open_line: self.history.columns.invoke_line[at],
            });
        }
        output[at] = event.value;
        outcome[at] = match event.kind {
            EventKind::Ok => Outcome::Ok,
            EventKind::Fail => Outcome::Fail,
            EventKind::Info => Outcome::Info,
            EventKind::Invoke => unreachable!("an invocation completes nothing"),
        };
        complete_position[at] = position;
        complete_time_ns[at] = event.time_ns;
        complete_line[at] = event.line;
        self.last_completed = Some(row);
        if !event.error.is_nil() {
            self.history.errors.push((row, event.error));
        }
        Ok(())
    }
}
