//! A recorded history, in columns: what every reader produces and every checker judges.
//!
//! An operation is one row. It has a process, a function (`read`, `cas`, …), an optional key, the
//! value it was invoked with, the value it completed with, and two *positions*: the places of its
//! invocation and of its completion among all events of the history. Positions, not clock times,
//! are the real-time order (Jepsen journals an invocation before and a completion after the fact):
//! operation `a` precedes `b` exactly when `a` completed at a smaller position than `b` was invoked.
//!
//! What is not a client's operation (a nemesis, a log line with a non-integer process) is kept
//! apart, in [`History::others`], for plots and timelines; checkers never look at it.

mod builder;

pub use builder::{Event, EventKind, HistoryBuilder, PairingError, Process};

use crate::value::{Value, Values};

/// Row of an operation in its [`History`].
pub type OpId = u32;

/// A position later than every event: the completion of an operation that never completed.
pub const NEVER: u32 = u32::MAX;

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It took effect between its invocation and its completion.
    Ok,
    /// It did not take effect, and never will.
    Fail,
    /// It may take effect at any time after its invocation, or never: it timed out, its client
    /// crashed, or the history ends before its completion.
    Info,
}

/// An event of something that is not a client: a nemesis, usually.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherEvent {
    /// Its place among all events of the history.
    pub position: u32,
    /// Who: a keyword such as `:nemesis`, or any value that is not an integer.
    pub process: Value,
    /// `invoke`, `ok`, `fail` or `info`.
    pub kind: EventKind,
    /// What it did, such as `start-partition`.
    pub f: FunctionId,
    /// With what, or to whom.
    pub value: Value,
    /// Nanoseconds on the recorder's clock; -1 when the history does not say.
    pub time_ns: i64,
}

/// Index of a function's name in [`History::functions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub(crate) u16);

/// A history in columns. Build one with [`HistoryBuilder`], or read one with [`crate::format`].
#[derive(Clone, Debug, Default)]
pub struct History {
    pub(crate) values: Values,
    pub(crate) functions: Vec<String>,
    pub(crate) columns: Columns,
    pub(crate) others: Vec<OtherEvent>,
    pub(crate) errors: Vec<(OpId, Value)>,
    pub(crate) timestamps: Vec<(OpId, Timestamps)>,
    pub(crate) finals: Vec<OpId>,
    pub(crate) sessions_only: bool,
    pub(crate) notes: Vec<String>,
    pub(crate) event_count: u32,
}

/// When a transaction took effect, on the clock of the system under test, which orders its commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamps {
    /// The moment whose state it read.
    pub start: i64,
    /// The moment at which its writes became visible; not before `start`.
    pub commit: i64,
}

/// One entry per operation in each column; `key` is empty while no operation has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    pub(crate) process: Vec<i64>,
    pub(crate) f: Vec<FunctionId>,
    pub(crate) key: Vec<Option<Value>>,
    pub(crate) input: Vec<Value>,
    pub(crate) output: Vec<Value>,
    pub(crate) outcome: Vec<Outcome>,
    pub(crate) invoke_position: Vec<u32>,
    pub(crate) complete_position: Vec<u32>,
    pub(crate) invoke_time_ns: Vec<i64>,
    pub(crate) complete_time_ns: Vec<i64>,
    pub(crate) invoke_line: Vec<u32>,
    pub(crate) complete_line: Vec<u32>,
}

/// One row of a [`History`], copied out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operation<'h> {
    /// Its row.
    pub id: OpId,
    /// Its process. Operations recorded without one have numbers from [`ANONYMOUS`] upwards, each
    /// its own.
    pub process: i64,
    /// Its function's name, without a colon: `read`, `write`, `cas`.
    pub f: &'h str,
    /// Its key, when the format has a field for it (Porcupine's key-value log, JSON lines).
    pub key: Option<Value>,
    /// The value of the invocation.
    pub input: Value,
    /// The value of the completion; nil when it never completed.
    pub output: Value,
    /// How it ended.
    pub outcome: Outcome,
    /// Position of the invocation.
    pub invoke_position: u32,
    /// Position of the completion event; [`NEVER`] when there is none. For the real-time order use
    /// [`Operation::returned`].
    pub complete_position: u32,
    /// When it was invoked, in nanoseconds on the recorder's clock; -1 if unknown.
    pub invoke_time_ns: i64,
    /// When it completed; -1 if unknown, or if it never did.
    pub complete_time_ns: i64,
    /// Line of the invocation in its file, from 1; 0 if it came from no file.
    pub invoke_line: u32,
    /// Line of the completion in its file, from 1; 0 if there is none.
    pub complete_line: u32,
}

impl Operation<'_> {
    /// The position by which it must have taken effect: its completion if that was ok, else
    /// [`NEVER`].
    pub fn returned(&self) -> u32 {
        if self.outcome == Outcome::Ok { self.complete_position } else { NEVER }
    }
}

/// The first process number given to operations that were recorded without a process.
pub const ANONYMOUS: i64 = 1 << 62;

impl History {
    /// Number of operations, failed and unfinished ones included.
    pub fn len(&self) -> usize {
        self.columns.process.len()
    }

    /// True when no client did anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of events: invocations, completions and events of others.
    pub fn event_count(&self) -> u32 {
        self.event_count
    }

    /// The operation in row `id`, in O(1).
    ///
    /// # Panics
    /// If there is no such row.
    pub fn operation(&self, id: OpId) -> Operation<'_> {
        let (i, c) = (id as usize, &self.columns);
        Operation {
            id,
            process: c.process[i],
            f: &self.functions[c.f[i].0 as usize],
            key: c.key.get(i).copied().flatten(),
            input: c.input[i],
            output: c.output[i],
            outcome: c.outcome[i],
            invoke_position: c.invoke_position[i],
            complete_position: c.complete_position[i],
            invoke_time_ns: c.invoke_time_ns[i],
            complete_time_ns: c.complete_time_ns[i],
            invoke_line: c.invoke_line[i],
            complete_line: c.complete_line[i],
        }
    }

    /// All operations, in the order of their invocations.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = Operation<'_>> {
        (0..self.len() as u32).map(|id| self.operation(id))
    }

    /// The arena in which this history's values live.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Events that are not a client's, in order.
    pub fn others(&self) -> &[OtherEvent] {
        &self.others
    }

    /// A function's name.
    pub fn function(&self, f: FunctionId) -> &str {
        &self.functions[f.0 as usize]
    }

    /// The names of all functions that occur.
    pub fn functions(&self) -> &[String] {
        &self.functions
    }

    /// The `error` that a completion carried, if it did.
    pub fn error_of(&self, id: OpId) -> Option<Value> {
        self.errors.binary_search_by_key(&id, |e| e.0).ok().map(|at| self.errors[at].1)
    }

    /// The timestamps that the system gave to an operation, if the history has them.
    pub fn timestamps_of(&self, id: OpId) -> Option<Timestamps> {
        self.timestamps.binary_search_by_key(&id, |t| t.0).ok().map(|at| self.timestamps[at].1)
    }

    /// True if the recorder marked the operation as one of those that end its test, when all that went wrong is
    /// over and everything has had the time to arrive: Jepsen's `:final? true`.
    pub fn is_marked_final(&self, id: OpId) -> bool {
        self.finals.binary_search(&id).is_ok()
    }

    /// True if some operation has timestamps of the system under test.
    pub fn has_timestamps(&self) -> bool {
        !self.timestamps.is_empty()
    }

    /// False if the order of events says nothing but for the operations of one process: the format
    /// records sessions, one after the other, and no real time.
    pub fn has_real_time(&self) -> bool {
        !self.sessions_only
    }

    /// What the reader had to assume, in sentences for the user: completions without an invocation
    /// that were read as instantaneous operations, for example.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Bytes the columns and the arena hold.
    pub fn heap_bytes(&self) -> usize {
        let c = &self.columns;
        let row = 8 + 2 + 8 + 8 + 1 + 4 * 4 + 8 * 2;
        c.process.capacity() * row
            + c.key.capacity() * size_of::<Option<Value>>()
            + self.others.capacity() * size_of::<OtherEvent>()
            + self.errors.capacity() * size_of::<(OpId, Value)>()
            + self.timestamps.capacity() * size_of::<(OpId, Timestamps)>()
            + self.finals.capacity() * size_of::<OpId>()
            + self.values.heap_bytes()
    }
}
