//! Synthetic histories: what clients of a sequential object would have recorded, valid or invalid
//! by construction.
//!
//! Use them to measure a checker, to test it, or to try the command without a system at hand. They
//! are not a simulation of any system: no nodes, no messages, no faults but crashed operations.
//!
//! - **Load**: a closed loop. Each client invokes its next operation right after the last one
//!   completed, so exactly [`Synthetic::clients`] operations are open at all times. Durations are
//!   exponential with mean 1 ms.
//! - **Valid by construction**: each operation takes effect on a real sequential object at a random
//!   point of its interval; that order is a linearization.
//! - **Crashes**: a crashed operation completes with `info`, half of them having taken effect, and
//!   its client goes on as a new process, numbered like Jepsen's: the old number plus the clients.
//! - **Invalid by construction**: [`Violation`] says for each kind why no linearization exists. The
//!   load around it is as busy as elsewhere: there is no quiet moment to cut the search at.
//!
//! One seed means one history, byte for byte, on every platform. Histories of transactions, valid at one
//! isolation level or another, are made in [`transaction`]; some that are hard to judge, in [`clauses`].
//!
//! ```
//! use shakedown_workloads::synthetic::{Object, Synthetic, Violation};
//!
//! let mut plan = Synthetic::new(Object::CasRegister);
//! plan.clients = 5;
//! plan.violation = Some(Violation::StaleRead);
//! let history = plan.generate().unwrap();
//! assert_eq!(history.len(), 1_000);
//! ```

pub mod clauses;
mod container;
mod names;
mod object;
mod plant;
mod schedule;
pub mod transaction;

use shakedown_checkers::history::{Event, EventKind, History, HistoryBuilder, Process};
use shakedown_checkers::value::{Value, Values as Arena};
use thiserror::Error;

use object::Payload;
use schedule::Run;

/// A plan for one history. Set what differs from [`Synthetic::new`], then call
/// [`Synthetic::generate`].
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// What the clients use.
    pub object: Object,
    /// Operations in all, crashed ones included.
    pub operations: u32,
    /// Clients, each with one operation open at all times.
    pub clients: u32,
    /// Keys; registers, `kv` and `multi-register` only. Keys of registers are independent: values
    /// are `[key value]`.
    pub keys: u32,
    /// Share of the operations that crash, `0.0..=1.0`.
    pub crash_rate: f64,
    /// What goes wrong, once; `None` for a valid history.
    pub violation: Option<Violation>,
    /// Where it goes wrong.
    pub position: Position,
    /// The values that clients put in; `None` for the object's usual ones, [`Object::values`].
    pub values: Option<Values>,
    /// Weights of the functions, in the order of [`Object::functions`]; `None` for the usual ones.
    pub mix: Option<Mix>,
    /// The seed of every draw.
    pub seed: u64,
}

/// The sequential object behind a history; the names are those of the checkers' models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// Read and write.
    Register,
    /// Read, write and compare-and-set. One that did not match is `ok` with the value `false`.
    CasRegister,
    /// Transactions `[[:r k v] [:w k v] …]` over a few registers.
    MultiRegister,
    /// Get, put and append of strings. A key nobody wrote reads as nil.
    Kv,
    /// Acquire and release; an acquire waits until the lock is free. The last ones may wait forever,
    /// and have no completion then.
    Mutex,
    /// As the mutex, but its owner, whom the value `{:client c}` names, may acquire it once more
    /// before it releases.
    ReentrantMutex,
    /// As the mutex with owners, and each acquire returns a fencing token: `{:client c, :fence n}`
    /// with n = 1, 2, 3, …
    FencedMutex,
    /// Enqueue and dequeue; an empty queue returns nil.
    FifoQueue,
    /// Enqueue, and dequeue any of the elements; an empty queue returns nil.
    UnorderedQueue,
    /// Push and pop; an empty stack returns nil.
    Stack,
    /// Insert, and delete the largest; an empty one returns nil.
    PriorityQueue,
    /// Add an element, read the whole set.
    LinearSet,
    /// Add a number, read the sum.
    LinearCounter,
    /// Append an element, read the whole log.
    LinearLog,
}

/// What goes wrong, exactly once, and why that admits no linearization. "Before" means: completed
/// before the other was invoked. Crashed operations are taken to have any effect at any time after
/// their invocation, so none of the operations named here is a crashed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Violation {
    /// A read returns an overwritten value. With distinct values: the write of `a` is before the
    /// write of `b`, which is before the read of `a` (for `kv` the read returns a whole state that
    /// ends in `a`). With values from a range: every operation that could install `a` is either
    /// before the write of `b` or invoked after the read of `a` completed, and the write of `b` is
    /// before the read; the clients avoid `a` for that while, and crash no operation that installs
    /// it.
    StaleRead,
    /// A read returns a value whose only write is invoked after the read completed. Distinct values.
    FutureRead,
    /// A read, dequeue or pop returns a value that nobody ever put in, a read of a set or log holds
    /// one, or a counter shows more than all additions invoked so far.
    Phantom,
    /// A compare-and-set from `a` reports success although the register could not hold `a`, by the
    /// same argument as for the stale read.
    FalseCas,
    /// A completed effect is missing. A read of a set or log lacks an element whose addition was
    /// before the read; a counter shows less than all additions before the read; a `get` lacks a
    /// piece whose append was before it, while the piece that the string starts with was put before
    /// that append (or there was no put).
    Lost,
    /// A value that was put in once is taken out twice, or stands twice in a log.
    Duplicate,
    /// Two values come out in the wrong order. FIFO: `a` was enqueued before `b`, but dequeued after
    /// it. Stack: `a` was pushed before `b` and popped before `b` was, with `b` on top of it.
    /// Priority queue: the smaller of two that were both present came out first. Log: `a` was
    /// appended before `b`, but a read shows it behind.
    Reordered,
    /// A dequeue or pop finds nothing although some value was put in before it and taken out after.
    FalseEmpty,
    /// A client acquires a mutex that another holds: two acquires complete while no release between
    /// them was even invoked. Nobody crashes in such a history before that point, since a crashed
    /// release would explain it.
    DoubleAcquire,
    /// An acquire returns the fencing token that an acquire before it returned.
    StaleToken,
}

/// Where in the history the violation is planted: the place closest to it where it is certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Position {
    /// After a tenth of the operations.
    Early,
    /// Half-way.
    #[default]
    Middle,
    /// Among the last operations.
    End,
}

/// The values that clients put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Values {
    /// Each value once: 1, 2, 3, … (for a priority queue in random order).
    Distinct,
    /// Uniform in `start..end`.
    Range {
        /// The smallest.
        start: u32,
        /// One more than the largest.
        end: u32,
    },
}

/// Weights of an object's functions, written as `1:1:1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(pub Vec<u32>);

/// Why there is no such history.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SyntheticError {
    /// A name that is none of those known.
    #[error("unknown {what} {found:?}; expected {expected}")]
    UnknownName {
        /// Of what.
        what: &'static str,
        /// The name.
        found: String,
        /// The known ones.
        expected: String,
    },
    /// A number outside its limits.
    #[error("{what} is {found}; expected {expected}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// What it is.
        found: String,
        /// Its limits.
        expected: String,
    },
    /// The object has no such violation.
    #[error("{object} has no violation {violation}; it has: {}", names(violations_for(*object)))]
    NoSuchViolation {
        /// The object.
        object: Object,
        /// The violation.
        violation: Violation,
    },
    /// The object does not take such values.
    #[error("{object} cannot use the values {values}; expected {expected}")]
    WrongValues {
        /// The object.
        object: Object,
        /// The values.
        values: Values,
        /// What it can use.
        expected: &'static str,
    },
    /// The violation is certain only if values are distinct.
    #[error("{violation} in {object} is certain only with distinct values; add --values distinct")]
    NeedsDistinct {
        /// The object.
        object: Object,
        /// The violation.
        violation: Violation,
    },
    /// The object's keys are not independent.
    #[error("{object} has one key only; keys are for registers, multi-register and kv")]
    OneKeyOnly {
        /// The object.
        object: Object,
    },
    /// The level means nothing for keys of that kind.
    #[error(
        "{} has no level {level}; it has: {}",
        transaction::kind_name(*kind),
        names(&transaction::Level::ALL.into_iter().filter(|level| level.fits(*kind)).collect::<Vec<_>>())
    )]
    NoSuchLevel {
        /// What the keys hold.
        kind: transaction::Kind,
        /// The level.
        level: transaction::Level,
    },
    /// Keys of that kind cannot show the anomaly.
    #[error(
        "{} has no anomaly {anomaly}; it has: {}",
        transaction::kind_name(*kind),
        names(&transaction::anomalies_for(*kind).collect::<Vec<_>>())
    )]
    NoSuchAnomaly {
        /// What the keys hold.
        kind: transaction::Kind,
        /// The anomaly.
        anomaly: transaction::PlantedAnomaly,
    },
    /// No operation of this run could be made certainly wrong.
    #[error(
        "no place for a certain {violation} among {} of {}; \
         try more operations, fewer clients, fewer crashes or another seed",
        counted(*.operations, "operation"),
        counted(*.clients, "client")
    )]
    NoRoom {
        /// The violation.
        violation: Violation,
        /// Operations of the plan.
        operations: u32,
        /// Clients of the plan.
        clients: u32,
    },
}

impl Synthetic {
    /// 1,000 operations of 10 clients on one key, no crashes, no violation, seed 0.
    pub fn new(object: Object) -> Synthetic {
        Synthetic {
            object,
            operations: 1_000,
            clients: 10,
            keys: if object == Object::MultiRegister { 3 } else { 1 },
            crash_rate: 0.0,
            violation: None,
            position: Position::Middle,
            values: None,
            mix: None,
            seed: 0,
        }
    }

    /// The history. Time and memory are linear in the operations and the values that they return;
    /// reads of whole sets and logs are therefore made rare (see [`Object::mix`]).
    pub fn generate(&self) -> Result<History, SyntheticError> {
        self.validate()?;
        let mut run = schedule::run(self);
        if let Some(violation) = self.violation {
            let planted = plant::plant(self, violation, &mut run);
            planted.ok_or(SyntheticError::NoRoom {
                violation,
                operations: self.operations,
                clients: self.clients,
            })?;
        }
        Ok(record(self, &run))
    }

    /// The values that clients put in.
    fn domain(&self) -> Values {
        self.values.or(self.object.values()).unwrap_or(Values::Distinct)
    }

    fn weights(&self) -> Vec<u32> {
        self.mix.clone().unwrap_or_else(|| self.object.mix(self.operations)).0
    }

    fn validate(&self) -> Result<(), SyntheticError> {
        let object = self.object;
        let limits = [
            ("operations", self.operations, 1, 500_000_000),
            ("clients", self.clients, 1, 100_000),
            ("keys", self.keys, 1, 1_000_000),
        ];
        for (what, found, min, max) in limits {
            if !(min..=max).contains(&found) {
                let (found, expected) = (found.to_string(), format!("{min} to {max}"));
                return Err(SyntheticError::OutOfRange { what, found, expected });
            }
        }
        if !(0.0..=1.0).contains(&self.crash_rate) {
            let (found, expected) = (self.crash_rate.to_string(), "0 to 1".to_owned());
            return Err(SyntheticError::OutOfRange { what: "crash rate", found, expected });
        }
        if self.keys > 1 && !object.has_keys() {
            return Err(SyntheticError::OneKeyOnly { object });
        }
        self.validate_values()?;
        if let Some(mix) = &self.mix {
            let functions = object.functions();
            if object.is_lock() || mix.0.len() != functions.len() || mix.0.iter().all(|&w| w == 0) {
                let expected = match object {
                    _ if object.is_lock() => "none: whoever holds the lock releases it".to_owned(),
                    _ => format!("one weight each for {}, not all 0", functions.join(":")),
                };
                return Err(SyntheticError::OutOfRange { what: "mix", found: mix.to_string(), expected });
            }
        }
        match self.violation {
            Some(violation) if !violations_for(object).contains(&violation) => {
                Err(SyntheticError::NoSuchViolation { object, violation })
            }
            Some(violation)
                if self.domain() != Values::Distinct && plant::needs_distinct(object, violation) =>
            {
                Err(SyntheticError::NeedsDistinct { object, violation })
            }
            _ => Ok(()),
        }
    }

    fn validate_values(&self) -> Result<(), SyntheticError> {
        let (object, Some(values)) = (self.object, self.values) else { return Ok(()) };
        let wrong = |expected| Err(SyntheticError::WrongValues { object, values, expected });
        match (object, values) {
            _ if object.is_lock() => wrong("none: a mutex holds no value"),
            (Object::LinearCounter, Values::Distinct) => wrong("a range such as 1..5 of numbers to add"),
            (_, Values::Range { start, end }) if start >= end => {
                wrong("a range START..END that is not empty")
            }
            (_, Values::Range { start, end }) if end - start < 2 && self.violation.is_some() => {
                wrong("a range of at least two values, or nothing could be told apart")
            }
            _ => Ok(()),
        }
    }
}

impl Object {
    /// All objects.
    pub const ALL: [Object; 14] = [
        Object::Register,
        Object::CasRegister,
        Object::MultiRegister,
        Object::Kv,
        Object::Mutex,
        Object::ReentrantMutex,
        Object::FencedMutex,
        Object::FifoQueue,
        Object::UnorderedQueue,
        Object::Stack,
        Object::PriorityQueue,
        Object::LinearSet,
        Object::LinearCounter,
        Object::LinearLog,
    ];

    /// The name of the checkers' model.
    pub fn name(self) -> &'static str {
        match self {
            Object::Register => "register",
            Object::CasRegister => "cas-register",
            Object::MultiRegister => "multi-register",
            Object::Kv => "kv",
            Object::Mutex => "mutex",
            Object::ReentrantMutex => "reentrant-mutex",
            Object::FencedMutex => "fenced-mutex",
            Object::FifoQueue => "fifo-queue",
            Object::UnorderedQueue => "unordered-queue",
            Object::Stack => "stack",
            Object::PriorityQueue => "priority-queue",
            Object::LinearSet => "linear-set",
            Object::LinearCounter => "linear-counter",
            Object::LinearLog => "linear-log",
        }
    }

    /// Its functions as they are recorded; what observes comes first. `multi-register` records all
    /// its operations as `txn`, and these are the micro-operations.
    pub fn functions(self) -> &'static [&'static str] {
        match self {
            Object::Register => &["read", "write"],
            Object::CasRegister => &["read", "write", "cas"],
            Object::MultiRegister => &["r", "w"],
            Object::Kv => &["get", "put", "append"],
            Object::Mutex | Object::ReentrantMutex | Object::FencedMutex => &["acquire", "release"],
            Object::FifoQueue | Object::UnorderedQueue => &["dequeue", "enqueue"],
            Object::Stack => &["pop", "push"],
            Object::PriorityQueue => &["extract-max", "insert"],
            Object::LinearSet | Object::LinearCounter => &["read", "add"],
            Object::LinearLog => &["read", "append"],
        }
    }

    /// The usual mix for a history of so many operations: all functions alike, but for a `put` now
    /// and then among many appends, and about twenty reads of a whole set or log, however long.
    pub fn mix(self, operations: u32) -> Mix {
        Mix(match self {
            Object::Kv => vec![5, 1, 4],
            Object::LinearSet | Object::LinearLog => vec![20, operations.saturating_sub(20).max(40)],
            _ => vec![1; self.functions().len()],
        })
    }

    /// The usual values; `None` for the mutexes, which have none.
    pub fn values(self) -> Option<Values> {
        match self {
            _ if self.is_lock() => None,
            Object::CasRegister => Some(Values::Range { start: 0, end: 5 }),
            Object::LinearCounter => Some(Values::Range { start: 1, end: 6 }),
            _ => Some(Values::Distinct),
        }
    }

    fn is_lock(self) -> bool {
        matches!(self, Object::Mutex | Object::ReentrantMutex | Object::FencedMutex)
    }

    fn has_keys(self) -> bool {
        matches!(self, Object::Register | Object::CasRegister | Object::MultiRegister | Object::Kv)
    }
}

/// The violations that can be planted in a history of `object`.
pub fn violations_for(object: Object) -> &'static [Violation] {
    use Violation::*;
    match object {
        Object::Register | Object::MultiRegister => &[StaleRead, FutureRead, Phantom],
        Object::CasRegister => &[StaleRead, FutureRead, Phantom, FalseCas],
        Object::Kv => &[StaleRead, Phantom, Lost],
        Object::Mutex | Object::ReentrantMutex => &[DoubleAcquire],
        Object::FencedMutex => &[DoubleAcquire, StaleToken],
        Object::UnorderedQueue => &[Duplicate, Phantom, FalseEmpty],
        Object::FifoQueue | Object::Stack | Object::PriorityQueue => {
            &[Duplicate, Phantom, Reordered, FalseEmpty]
        }
        Object::LinearSet | Object::LinearCounter => &[Lost, Phantom],
        Object::LinearLog => &[Lost, Phantom, Duplicate, Reordered],
    }
}

impl Violation {
    /// All kinds.
    pub const ALL: [Violation; 10] = [
        Violation::StaleRead,
        Violation::FutureRead,
        Violation::Phantom,
        Violation::FalseCas,
        Violation::Lost,
        Violation::Duplicate,
        Violation::Reordered,
        Violation::FalseEmpty,
        Violation::DoubleAcquire,
        Violation::StaleToken,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Violation::StaleRead => "stale-read",
            Violation::FutureRead => "future-read",
            Violation::Phantom => "phantom",
            Violation::FalseCas => "false-cas",
            Violation::Lost => "lost",
            Violation::Duplicate => "duplicate",
            Violation::Reordered => "reordered",
            Violation::FalseEmpty => "false-empty",
            Violation::DoubleAcquire => "double-acquire",
            Violation::StaleToken => "stale-token",
        }
    }
}

impl Position {
    /// All positions.
    pub const ALL: [Position; 3] = [Position::Early, Position::Middle, Position::End];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Position::Early => "early",
            Position::Middle => "middle",
            Position::End => "end",
        }
    }

    /// The operation to start looking from.
    fn of(self, operations: u32) -> u32 {
        match self {
            Position::Early => operations / 10,
            Position::Middle => operations / 2,
            Position::End => operations - 1,
        }
    }
}

fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn names<T: ToString>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// Journals the run: from records to the columnar history.
fn record(plan: &Synthetic, run: &Run) -> History {
    const FITS: &str = "fewer than 2^32 events and a handful of functions";
    let mut builder = HistoryBuilder::new();
    let names = if plan.object == Object::MultiRegister { &["txn"] } else { plan.object.functions() };
    let functions: Vec<_> = names.iter().map(|name| builder.function(name).expect(FITS)).collect();
    let in_value = plan.keys > 1 && matches!(plan.object, Object::Register | Object::CasRegister);
    let mut time_ns = 0;
    let mut open = vec![false; run.records.len()];
    for event in &run.events {
        // Strictly increasing, so that the order by time is the order in the journal.
        time_ns = event.time_ns.max(time_ns + 1);
        let record = &run.records[event.record as usize];
        let invoked = std::mem::replace(&mut open[event.record as usize], true);
        let (kind, payload) = match (invoked, record.crashed) {
            (false, _) => (EventKind::Invoke, &record.input),
            (true, true) => (EventKind::Info, &record.input),
            (true, false) => (EventKind::Ok, &record.output),
        };
        let arena = builder.values();
        let mut value = payload.value(arena);
        let mut key = None;
        if plan.object == Object::Kv {
            key = Some(arena.str(&record.key.to_string()));
        } else if in_value {
            let name = arena.int(i64::from(record.key));
            value = arena.list(&[name, value]);
        }
        let journaled = builder.push(Event {
            process: Process::Client(record.process),
            kind,
            f: functions[record.f as usize],
            key,
            value,
            error: Value::NIL,
            time_ns: time_ns as i64,
            line: 0,
        });
        journaled.expect("a process has one operation open at a time");
    }
    builder.finish()
}

impl Payload {
    fn value(&self, arena: &mut Arena) -> Value {
        match self {
            Payload::Nil => Value::NIL,
            Payload::Bool(bool) => Value::bool(*bool),
            Payload::Int(int) => arena.int(*int),
            Payload::Pair(from, to) => {
                let pair = [arena.int(*from), arena.int(*to)];
                arena.list(&pair)
            }
            Payload::Client { client, token } => {
                let mut pairs = vec![(arena.keyword("client"), arena.int(*client))];
                if let Some(token) = token {
                    pairs.push((arena.keyword("fence"), arena.int(*token)));
                }
                arena.map(&pairs)
            }
            Payload::List(members) => {
                let members: Vec<Value> = members.iter().map(|&m| arena.int(m)).collect();
                arena.list(&members)
            }
            Payload::Text(pieces) => {
                let text: String = pieces.iter().map(|piece| format!("x {piece} y")).collect();
                arena.str(&text)
            }
            Payload::Micro(micro) => {
                let mut members = Vec::with_capacity(micro.len());
                for op in micro {
                    let f = arena.keyword(if op.write { "w" } else { "r" });
                    let value = op.value.map_or(Value::NIL, |value| arena.int(value));
                    let key = arena.int(i64::from(op.key));
                    members.push(arena.list(&[f, key, value]));
                }
                arena.list(&members)
            }
        }
    }
}

#[cfg(test)]
mod tests;
