//! Synthetic histories of transactions: what clients of a simulated store would have recorded, valid at
//! a given level by construction, or with one anomaly planted in them.
//!
//! They are not a simulation of any system: one store, no nodes, no messages, and of faults only
//! transactions that abort or crash. Use them to measure a checker of transactions, to test it, or to
//! try the command.
//!
//! - **Load**: a closed loop. Each session invokes its next transaction right after the last one
//!   completed, so that exactly [`Transactional::sessions`] of them are open at all times. Durations are
//!   exponential with mean 1 ms; sessions that a skew favours are quicker. Values of a key are 1, 2, 3, …
//! - **Valid by construction**: [`Level`] says what the store does. The default is strict
//!   serializability: each transaction takes effect at one random point of its interval.
//! - **Aborts** complete with `fail` and have no effect: some by chance, others because the level asks
//!   for it. **Crashes** complete with `info`, half of them having taken effect, and the session goes on
//!   as a new process, numbered like Jepsen's: the old number plus the sessions.
//! - **Invalid by construction**: a [`PlantedAnomaly`] is a handful of transactions on keys of their own,
//!   in sessions of the load and at the same time as its transactions. Under the default level they are
//!   all that is wrong: no cycle leads from them through the load, because each of them is open at the
//!   moment when the last of them is invoked (or has completed right before that one), while the load's
//!   own dependencies only point forward in time. A weaker level adds what it allows to begin with.
//!
//! One seed means one history, byte for byte, on every platform.
//!
//! ```
//! use shakedown_workloads::synthetic::transaction::{Kind, PlantedAnomaly, Transactional};
//!
//! let mut plan = Transactional::new(Kind::ListAppend);
//! plan.anomaly = Some(PlantedAnomaly::LongFork);
//! let (history, planted) = plan.generate_with_plant().unwrap();
//! assert_eq!(history.len(), 1_000);
//! assert_eq!(planted.transactions.len(), 4);
//! ```

mod anomaly;
mod journal;
mod load;
mod names;
mod plant;
mod schedule;
mod skew;
mod store;

pub use anomaly::{Planted, PlantedAnomaly, anomalies_for};
pub use shakedown_checkers::transaction::Kind;
pub use skew::Skew;

use super::SyntheticError;
use plant::Script;
use shakedown_checkers::history::History;
use std::ops::RangeInclusive;

/// A plan for one history of transactions. Set what differs from [`Transactional::new`], then call
/// [`Transactional::generate`].
#[derive(Clone, Debug, PartialEq)]
pub struct Transactional {
    /// What the keys hold.
    pub kind: Kind,
    /// Transactions in all: those that abort or crash, and those of the anomaly, included.
    pub transactions: u32,
    /// Sessions, each with one transaction open at all times.
    pub sessions: u32,
    /// Keys in use at a time.
    pub keys: u32,
    /// How often each key is used.
    pub key_skew: Skew,
    /// How many transactions each session runs.
    pub session_skew: Skew,
    /// How many reads and writes a transaction has, uniformly.
    pub operations_per_transaction: RangeInclusive<u32>,
    /// The share of reads among them, `0.0..=1.0`.
    pub read_share: f64,
    /// Whether every write comes after a read of the same key in its transaction. Such reads come on top
    /// of the others. Planted transactions are as they are documented, nevertheless.
    pub read_modify_write: bool,
    /// After so many writes a key is never used again, and a fresh one takes its place: lists stay short.
    /// Aborted writes count. `None` keeps the keys forever.
    pub key_life: Option<u32>,
    /// The share of transactions that abort by chance, `0.0..=1.0`.
    pub abort_rate: f64,
    /// The share of the others that crash, `0.0..=1.0`.
    pub crash_rate: f64,
    /// What the store guarantees.
    pub level: Level,
    /// Whether every transaction that took effect, crashed ones included, has the store's timestamps.
    /// Planted ones have some that fit the times when they ran.
    pub timestamps: bool,
    /// What goes wrong, once; `None` for a valid history.
    pub anomaly: Option<PlantedAnomaly>,
    /// Where it goes wrong: after this share of the load, `0.0..=1.0`, but some rounds of the sessions before
    /// its end.
    pub anomaly_at: f64,
    /// The seed of every draw.
    pub seed: u64,
}

/// What the simulated store guarantees, and how. From strong to weak; each one's histories show now and
/// then what the one before it forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Every transaction takes effect at one point of its interval.
    StrictSerializable,
    /// Whoever writes takes effect at one point of its interval; who only reads may be shown a state of
    /// the past, even of before the session's last transaction.
    Serializable,
    /// A snapshot at the start, which is a random point of the interval; the commit, at a later one,
    /// aborts if somebody else has committed a write to one of the same keys since: the first committer
    /// wins. Write skew happens. Snapshots are never old: it is strong snapshot isolation.
    SnapshotIsolation,
    /// Three sites, and sessions that stay at theirs. A snapshot is what the site knows at the start; a
    /// site learns now and then all that another one knows. A commit aborts if the site did not know, at
    /// the start, of every commit to the same keys (Sovran et al. 2011). Long forks happen.
    ParallelSnapshotIsolation,
    /// The same without that condition: of writes at two sites the later one counts, once a site knows
    /// both. Updates are lost. Registers only: two who append would show a list in two orders.
    Causal,
    /// A snapshot is any set of whole transactions, with those that the session ran before among them.
    /// Answers are seen without their questions. Registers only, for the same reason.
    ReadAtomic,
    /// Each read sees what is committed at that moment. Reads are fractured. Whoever reads a list that it
    /// has appended to aborts if somebody else appends before it commits.
    ReadCommitted,
}

impl Transactional {
    /// 1,000 transactions of 1 to 4 operations, half of them reads, by 10 sessions on 10 keys, all alike;
    /// no aborts, crashes or anomaly, strictly serializable, seed 0. Lists retire after 32 appends (the
    /// default of Elle's generator), registers never.
    pub fn new(kind: Kind) -> Transactional {
        Transactional {
            kind,
            transactions: 1_000,
            sessions: 10,
            keys: 10,
            key_skew: Skew::Uniform,
            session_skew: Skew::Uniform,
            operations_per_transaction: 1..=4,
            read_share: 0.5,
            read_modify_write: false,
            key_life: if kind == Kind::ListAppend { Some(32) } else { None },
            abort_rate: 0.0,
            crash_rate: 0.0,
            level: Level::StrictSerializable,
            timestamps: false,
            anomaly: None,
            anomaly_at: 0.5,
            seed: 0,
        }
    }

    /// The history. Time and memory are linear in the operations and in the elements of the lists read.
    pub fn generate(&self) -> Result<History, SyntheticError> {
        self.generate_with_plant().map(|(history, _)| history)
    }

    /// The history, and which of its operations are the anomaly.
    pub fn generate_with_plant(&self) -> Result<(History, Planted), SyntheticError> {
        self.validate()?;
        Ok(schedule::run(self))
    }

    fn validate(&self) -> Result<(), SyntheticError> {
        let operations = &self.operations_per_transaction;
        let limits = [
            ("transactions", self.transactions, 1, 100_000_000),
            ("sessions", self.sessions, 1, 100_000),
            ("keys", self.keys, 1, 1_000_000),
            ("operations per transaction", *operations.start(), 1, 1_000),
            ("operations per transaction", *operations.end(), *operations.start(), 1_000),
            ("key life", self.key_life.unwrap_or(1), 1, u32::MAX),
        ];
        for (what, found, min, max) in limits {
            if !(min..=max).contains(&found) {
                return Err(out_of_range(what, found, format!("{min} to {max}")));
            }
        }
        let shares = [
            ("read share", self.read_share),
            ("abort rate", self.abort_rate),
            ("crash rate", self.crash_rate),
            ("place of the anomaly", self.anomaly_at),
        ];
        for (what, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(out_of_range(what, share, "0 to 1"));
            }
        }
        self.key_skew.validate("key skew")?;
        self.session_skew.validate("session skew")?;
        if !self.level.fits(self.kind) {
            return Err(SyntheticError::NoSuchLevel { kind: self.kind, level: self.level });
        }
        self.validate_size()?;
        self.anomaly.map_or(Ok(()), |anomaly| self.validate_anomaly(anomaly))
    }

    /// Keeps the history within what its columns can index, and its lists within memory.
    fn validate_size(&self) -> Result<(), SyntheticError> {
        let (transactions, end) =
            (f64::from(self.transactions), f64::from(*self.operations_per_transaction.end()));
        let with_reads = if self.read_modify_write { 2.0 } else { 1.0 };
        let operations = transactions * end * with_reads;
        // Each takes up to three places in the arena: its invocation, its completion, and a list.
        if operations + transactions > 1e9 {
            let limit = "fewer than 10^9 of all transactions";
            return Err(out_of_range("number of reads and writes", operations, limit));
        }
        if self.kind == Kind::ListAppend {
            let appends = operations * (1.0 - self.read_share);
            let life = self.key_life.map_or(f64::INFINITY, f64::from);
            let length = (appends * self.key_skew.concentration(self.keys)).min(life) / 2.0;
            let elements = (operations - appends) * length;
            if elements > 1e9 {
                let found = self.key_life.map_or("none".to_owned(), |life| life.to_string());
                let limit = "a smaller number, or fewer transactions: all lists together would be too long";
                return Err(out_of_range("key life", found, limit));
            }
        }
        Ok(())
    }

    fn validate_anomaly(&self, anomaly: PlantedAnomaly) -> Result<(), SyntheticError> {
        if !anomaly.fits(self.kind) {
            return Err(SyntheticError::NoSuchAnomaly { kind: self.kind, anomaly });
        }
        let script = Script::of(anomaly);
        for (what, found, needed) in [
            ("transactions", self.transactions, script.transactions()),
            ("sessions", self.sessions, script.sessions()),
        ] {
            if (found as usize) < needed {
                return Err(out_of_range(what, found, format!("at least {needed}, for {anomaly}")));
            }
        }
        Ok(())
    }
}

impl Level {
    /// All levels, from strong to weak.
    pub const ALL: [Level; 7] = [
        Level::StrictSerializable,
        Level::Serializable,
        Level::SnapshotIsolation,
        Level::ParallelSnapshotIsolation,
        Level::Causal,
        Level::ReadAtomic,
        Level::ReadCommitted,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Level::StrictSerializable => "strict-serializable",
            Level::Serializable => "serializable",
            Level::SnapshotIsolation => "snapshot-isolation",
            Level::ParallelSnapshotIsolation => "parallel-snapshot-isolation",
            Level::Causal => "causal",
            Level::ReadAtomic => "read-atomic",
            Level::ReadCommitted => "read-committed",
        }
    }

    /// Whether the store gives it to keys of that kind.
    pub fn fits(self, kind: Kind) -> bool {
        kind == Kind::Register || !matches!(self, Level::Causal | Level::ReadAtomic)
    }
}

/// The name of the workload in Jepsen's vocabulary: `list-append` or `rw-register`.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::ListAppend => "list-append",
        Kind::Register => "rw-register",
    }
}

/// The workload of that name.
pub fn kind_named(name: &str) -> Option<Kind> {
    [Kind::ListAppend, Kind::Register].into_iter().find(|kind| kind_name(*kind) == name)
}

fn out_of_range(what: &'static str, found: impl ToString, expected: impl Into<String>) -> SyntheticError {
    SyntheticError::OutOfRange { what, found: found.to_string(), expected: expected.into() }
}

#[cfg(test)]
mod tests;
