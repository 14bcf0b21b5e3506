//! Transactions as formats record them that know sessions and no time: kept until the whole input is
//! read, then pushed into the history.
//!
//! Each transaction becomes an operation `txn` of the process that its session is, with a list of
//! micro-operations, `[:r key value]` or `[:w key value]`, as value. Its invocation and its completion
//! follow one another, in the order of the input, and [`HistoryBuilder::sessions_only`] says that this
//! order means nothing between sessions.
//!
//! - The invocation has nil for what a read is to return. A read whose result nobody knows is left out
//!   of the completion, for nil there is a result: the initial value.
//! - An aborted transaction is a failed operation; its completion repeats the invocation, as Jepsen's do.
//! - Where a format says that every key starts as 0, a read of 0 is one of the initial value, nil, unless
//!   a committed transaction writes 0 to that key: then the read is taken to be of that write. dbcop
//!   decides so (`get_all_writes` in its `history/raw`), and its generator begins with a transaction that
//!   writes 0 to all keys. Plume ignores writes of 0, and AWDIT adds a second writer of 0. An aborted
//!   write of 0 does not count here, for the initial value explains the read.
//!
//! Why all is kept: whether 0 is the initial value is only known at the end, and the lines of a
//! transaction may stand anywhere in Plume's format.

use super::event::{Room, Stop};
use crate::history::{Event, EventKind, FunctionId, HistoryBuilder, PairingError, Process};
use crate::value::{FastBuild, Value, Values, fast_hash};
use hashbrown::HashSet;

/// The transactions read so far.
pub(super) struct Sessions {
    zero: Zero,
    operations: Vec<Link>,
    transactions: Vec<Transaction>,
    /// Keys to which a committed transaction writes 0, where that matters.
    written_zero: HashSet<Value, FastBuild>,
    reads_unknown: u64,
}

/// What the value 0 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zero {
    /// A value like any other.
    Plain,
    /// The initial value of every key to which nobody writes it.
    Initial,
}

/// Whether a transaction took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Committed,
    Aborted,
}

/// A read or a write in a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct MicroOp {
    pub(super) kind: MicroKind,
    pub(super) key: Value,
    /// What was read or written; nil for [`MicroKind::ReadUnknown`].
    pub(super) value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MicroKind {
    Read,
    ReadUnknown,
    Write,
}

/// A micro-operation and the place of the next one of its transaction. Flat, for there are many.
#[derive(Clone, Copy)]
struct Link {
    key: Value,
    value: Value,
    next: u32,
    kind: MicroKind,
}

struct Transaction {
    session: u32,
    end: End,
    first: u32,
    last: u32,
    line_first: u32,
    line_last: u32,
}

/// Index of a transaction in [`Sessions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransactionId(u32);

/// The end of a chain of links.
const NONE: u32 = u32::MAX;

const ZERO: Value = Value::small_int(0).expect("0 is small");

/// So many micro-operations are pushed between two looks at the limits.
const CHECK_INTERVAL: u32 = 4096;

impl Sessions {
    pub(super) fn new(zero: Zero) -> Sessions {
        Sessions {
            zero,
            operations: Vec::new(),
            transactions: Vec::new(),
            written_zero: HashSet::default(),
            reads_unknown: 0,
        }
    }

    /// Begins a transaction; lines are from 1, or 0 if the format has none.
    #[inline]
    pub(super) fn begin(&mut self, session: u32, end: End, line: u64) -> Result<TransactionId, PairingError> {
        if self.transactions.len() >= NONE as usize {
            return Err(PairingError::TooMany { what: "transactions", limit: u64::from(NONE) });
        }
        let line = line_number(line);
        self.transactions.push(Transaction {
            session,
            end,
            first: NONE,
            last: NONE,
            line_first: line,
            line_last: line,
        });
        Ok(TransactionId(self.transactions.len() as u32 - 1))
    }

    /// Adds to a transaction, whose other micro-operations may have come at any time before.
    #[inline]
    pub(super) fn add(
        &mut self,
        id: TransactionId,
        operation: MicroOp,
        line: u64,
    ) -> Result<(), PairingError> {
        let at = self.operations.len();
        if at >= NONE as usize {
            let limit = u64::from(NONE);
            return Err(PairingError::TooMany { what: "reads and writes in transactions", limit });
        }
        let MicroOp { kind, key, value } = operation;
        self.operations.push(Link { key, value, next: NONE, kind });
        let transaction = &mut self.transactions[id.0 as usize];
        let at = at as u32;
        match transaction.last {
            NONE => transaction.first = at,
            last => self.operations[last as usize].next = at,
        }
        transaction.last = at;
        transaction.line_last = line_number(line);
        if value == ZERO
            && kind == MicroKind::Write
            && self.zero == Zero::Initial
            && transaction.end == End::Committed
        {
            self.written_zero.insert(key);
        }
        self.reads_unknown += u64::from(kind == MicroKind::ReadUnknown);
        Ok(())
    }

    /// Adds a whole transaction.
    pub(super) fn push(
        &mut self,
        session: u32,
        end: End,
        lines: (u64, u64),
        operations: &[MicroOp],
    ) -> Result<(), PairingError> {
        let id = self.begin(session, end, lines.0)?;
        for operation in operations {
            self.add(id, *operation, lines.1)?;
        }
        self.transactions[id.0 as usize].line_last = line_number(lines.1);
        Ok(())
    }

    /// The session of a transaction and its first line.
    pub(super) fn origin(&self, id: TransactionId) -> (u32, u32) {
        let transaction = &self.transactions[id.0 as usize];
        (transaction.session, transaction.line_first)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.operations.capacity() * size_of::<Link>()
            + self.transactions.capacity() * size_of::<Transaction>()
            + self.written_zero.capacity() * (size_of::<Value>() + 1)
    }

    /// Pushes all transactions into the history.
    pub(super) fn finish(&self, builder: &mut HistoryBuilder, room: Room<'_>) -> Result<(), Stop> {
        let too_many = |error| Stop::Pairing { at: 0, error };
        builder.sessions_only();
        let f = builder.function("txn").map_err(too_many)?;
        let values = builder.values();
        let mut names = Names {
            read: values.keyword("r"),
            write: values.keyword("w"),
            asked: vec![(Value::NIL, Value::NIL); ASKED_LEN],
        };
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let mut since_check = 0;
        let mut zeros_explicit = false;
        for transaction in &self.transactions {
            inputs.clear();
            outputs.clear();
            let mut at = transaction.first;
            while at != NONE {
                let Link { key, mut value, next, kind } = self.operations[at as usize];
                if value == ZERO && kind == MicroKind::Read && self.zero == Zero::Initial {
                    match self.written_zero.contains(&key) {
                        true => zeros_explicit = true,
                        false => value = Value::NIL,
                    }
                }
                let operation = MicroOp { kind, key, value };
                names.intern(operation, builder.values(), &mut inputs, &mut outputs);
                at = next;
                since_check += 1;
                if since_check == CHECK_INTERVAL {
                    since_check = 0;
                    let scratch = (inputs.capacity() + outputs.capacity()) * size_of::<Value>();
                    if let Some(limit) = room.exceeded(builder, self.heap_bytes() + scratch) {
                        return Err(Stop::Limit { at: 0, limit });
                    }
                }
            }
            let input = builder.values().list(&inputs);
            let output = match transaction.end {
                End::Committed => builder.values().list(&outputs),
                End::Aborted => input,
            };
            push(transaction, f, [input, output], builder).map_err(too_many)?;
        }
        if zeros_explicit {
            builder.note(
                "some keys are written the value 0, which is the initial value of all others; their reads of 0 \
                 were taken to be of those writes"
                    .to_owned(),
            );
        }
        if self.reads_unknown > 0 {
            builder.note(format!(
                "{} without a known result {} left out of what {} transaction read",
                counted(self.reads_unknown, "read"),
                if self.reads_unknown == 1 { "was" } else { "were" },
                if self.reads_unknown == 1 { "its" } else { "their" },
            ));
        }
        Ok(())
    }
}

/// The names of micro-operations.
struct Names {
    read: Value,
    write: Value,
    /// Keys, each with the invocation of a read of it, at the key's hash; nil where there is none yet.
    /// Most reads find theirs here, and need not look for it in the arena.
    asked: Vec<(Value, Value)>,
}

const ASKED_LEN: usize = 1 << 10;

impl Names {
    #[inline]
    fn intern(
        &mut self,
        MicroOp { kind, key, value }: MicroOp,
        values: &mut Values,
        inputs: &mut Vec<Value>,
        outputs: &mut Vec<Value>,
    ) {
        if kind == MicroKind::Write {
            let write = values.list(&[self.write, key, value]);
            inputs.push(write);
            outputs.push(write);
            return;
        }
        let slot = &mut self.asked[fast_hash(&key) as usize % ASKED_LEN];
        if slot.0 != key {
            *slot = (key, values.list(&[self.read, key, Value::NIL]));
        }
        let asked = slot.1;
        inputs.push(asked);
        if kind == MicroKind::Read {
            outputs.push(if value.is_nil() { asked } else { values.list(&[self.read, key, value]) });
        }
    }
}

/// Pushes an operation with these values of its invocation and its completion.
fn push(
    transaction: &Transaction,
    f: FunctionId,
    [input, output]: [Value; 2],
    builder: &mut HistoryBuilder,
) -> Result<(), PairingError> {
    let end = match transaction.end {
        End::Committed => EventKind::Ok,
        End::Aborted => EventKind::Fail,
    };
    let invoke = Event {
        process: Process::Client(i64::from(transaction.session)),
        kind: EventKind::Invoke,
        f,
        key: None,
        value: input,
        error: Value::NIL,
        time_ns: -1,
        line: transaction.line_first,
    };
    builder.push(invoke)?;
    builder.push(Event { kind: end, value: output, line: transaction.line_last, ..invoke })
}

/// An unsigned number as a value.
#[inline]
pub(super) fn unsigned(int: u64, values: &mut Values) -> Value {
    match i64::try_from(int) {
        Ok(int) => Value::small_int(int).unwrap_or_else(|| values.int(int)),
        Err(_) => values.number(&int.to_string()),
    }
}

/// `1 read`, `2 reads`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn line_number(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}
