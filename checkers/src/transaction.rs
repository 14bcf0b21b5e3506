//! Transactions on keys, and what isolation a history of them shows.
//!
//! A transaction is one operation of a history whose value is a list of *micro-operations*:
//! `[:append k v]` and `[:r k [v …]]` of lists, or `[:w k v]` and `[:r k v]` of registers. Every value
//! is written once per key, so that a read tells whose write it saw. [`Transactions`] is a history read
//! that way, with transactions, keys and versions as small numbers; everything in this module works on it.

pub mod anomaly;
pub mod check;
pub mod complete;
pub mod cycle;
pub mod decide;
mod direct;
mod exists;
pub mod explain;
pub mod graph;
pub mod level;
mod list_append;
pub mod proof;
mod read;
mod register;
mod sight;
pub mod timestamps;
mod version_ids;
pub mod weak;

pub use check::{IsolationOptions, Report, Standing, check};
pub use read::read;
pub use register::KeyAssumptions;

use crate::history::{NEVER, OpId, Timestamps};
use crate::value::Value;
use version_ids::VersionIds;

/// Row of a transaction in its [`Transactions`]: they stand in the order of their invocations, failed
/// ones included.
pub type TxnId = u32;

/// Number of a key, in the order of first use.
pub type KeyId = u32;

/// Number of a version: a value of a key that somebody wrote, or claims to have read.
pub type VersionId = u32;

/// The version of every key that nobody wrote: nil, the empty list.
pub const INITIAL: VersionId = u32::MAX;

/// Stands for no transaction: the writer of [`INITIAL`], and of versions that nobody wrote.
pub const NOBODY: TxnId = u32::MAX;

/// What the keys hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Lists to append to: whoever reads one sees the order of its versions.
    ListAppend,
    /// Registers to overwrite: the order of their versions can only be inferred.
    Register,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It committed.
    Committed,
    /// It did not, and its writes must never be seen.
    Aborted,
    /// Nobody knows. Its writes may be seen; what it read is not known.
    Unknown,
}

/// One transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Txn {
    /// The operation of the history.
    pub op: OpId,
    /// Who ran it: sessions are numbered from 0 in the order of their first transactions.
    pub session: u32,
    /// How it ended.
    pub status: Status,
    /// Position of its invocation.
    pub invoked: u32,
    /// Position of its completion if it committed, else [`NEVER`].
    pub returned: u32,
    first: u32,
    len: u32,
}

/// What a micro-operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Makes a version: overwrites a register, appends to a list.
    Write,
    /// Sees a version. A list is seen whole; its version is that of its last element.
    Read,
}

/// One micro-operation. Reads whose result nobody knows are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MicroOp {
    /// Read or write.
    pub action: Action,
    /// Of which key.
    pub key: KeyId,
    /// Which version; [`INITIAL`] for a read of nil or of the empty list.
    pub version: VersionId,
}

/// One version of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The key.
    pub key: KeyId,
    /// The value written, or the element appended.
    pub value: Value,
    /// Who wrote it; [`NOBODY`] if nobody in this history did.
    pub writer: TxnId,
    /// True if its writer wrote the key again afterwards: nobody else may see it.
    pub is_intermediate: bool,
}

/// A list that a transaction read, and its reader: only of [`Kind::ListAppend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRead {
    /// The reader.
    pub txn: TxnId,
    /// Place of the read among the reader's micro-operations.
    pub at: u32,
    /// The key.
    pub key: KeyId,
    /// The list as it was recorded.
    pub list: Value,
}

/// The longest list of a key that anybody read, and its first reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Longest {
    /// The list.
    pub list: Value,
    /// Its first reader.
    pub reader: TxnId,
}

/// A history of transactions, as columns. Made by [`read()`].
#[derive(Clone, Debug)]
pub struct Transactions {
    kind: Kind,
    has_real_time: bool,
    txns: Vec<Txn>,
    micro_ops: Vec<MicroOp>,
    versions: Vec<Version>,
    keys: Vec<Value>,
    sessions: u32,
    timestamps: Vec<(TxnId, Timestamps)>,
    list_reads: Vec<ListRead>,
    /// By key; only of lists.
    longest: Vec<Option<Longest>>,
    /// The versions of each longest list, in its order, one key after the other.
    listed: Vec<VersionId>,
    listed_from: Vec<u32>,
    version_ids: VersionIds,
}

impl Transactions {
    /// What the keys hold.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether positions of different sessions say anything. If not, no strict or strong model asks for
    /// more than its session variant.
    pub fn has_real_time(&self) -> bool {
        self.has_real_time
    }

    /// Number of transactions, failed ones included.
    pub fn len(&self) -> usize {
        self.txns.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.txns.is_empty()
    }

    /// The transaction in row `id`.
    pub fn txn(&self, id: TxnId) -> &Txn {
        &self.txns[id as usize]
    }

    /// All transactions, in the order of their invocations.
    pub fn txns(&self) -> &[Txn] {
        &self.txns
    }

    /// What the transaction in row `id` did, in its order. Of one that aborted, or of which nobody
    /// knows, only the writes.
    pub fn micro_ops(&self, id: TxnId) -> &[MicroOp] {
        let txn = self.txn(id);
        &self.micro_ops[txn.first as usize..(txn.first + txn.len) as usize]
    }

    /// Number of micro-operations.
    pub fn micro_op_count(&self) -> usize {
        self.micro_ops.len()
    }

    /// All versions. A version that is only read has [`NOBODY`] for its writer.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// One version. Not for [`INITIAL`].
    pub fn version(&self, id: VersionId) -> &Version {
        &self.versions[id as usize]
    }

    /// Who wrote the version; [`NOBODY`] for [`INITIAL`] and for what nobody wrote.
    pub fn writer(&self, id: VersionId) -> TxnId {
        if id == INITIAL { NOBODY } else { self.versions[id as usize].writer }
    }

    /// The keys as they were recorded.
    pub fn keys(&self) -> &[Value] {
        &self.keys
    }

    /// Number of sessions.
    pub fn session_count(&self) -> u32 {
        self.sessions
    }

    /// The timestamps that the system gave, by transaction; empty if the history has none.
    pub fn timestamps(&self) -> &[(TxnId, Timestamps)] {
        &self.timestamps
    }

    /// Every list that was read, in order; empty for registers.
    pub fn list_reads(&self) -> &[ListRead] {
        &self.list_reads
    }

    /// The longest list of a key that was read; `None` if nobody read one, or for registers.
    pub fn longest(&self, key: KeyId) -> Option<Longest> {
        self.longest.get(key as usize).copied().flatten()
    }

    /// The versions of the longest list of a key, in its order.
    pub fn listed(&self, key: KeyId) -> &[VersionId] {
        match self.listed_from.get(key as usize + 1) {
            Some(end) => &self.listed[self.listed_from[key as usize] as usize..*end as usize],
            None => &[],
        }
    }

    /// The version of that value, if somebody wrote it, read it, or saw it in a longest list.
    pub fn version_of(&self, key: KeyId, value: Value) -> Option<VersionId> {
        self.version_ids.find(&self.versions, key, value)
    }

    /// The same as if every transaction were the only one of its session.
    pub fn without_sessions(&self) -> Transactions {
        let mut alone = self.clone();
        (0..).zip(&mut alone.txns).for_each(|(id, txn)| txn.session = id);
        alone.sessions = alone.txns.len() as u32;
        alone
    }

    /// Per transaction, whether it must be taken to have committed: it did, or nobody knows but a
    /// committed one saw what it wrote. The others may be left out: a system may have aborted them.
    pub fn counted(&self) -> Vec<bool> {
        let mut counted: Vec<bool> = self.txns.iter().map(|txn| txn.status == Status::Committed).collect();
        let reads = self.micro_ops.iter().filter(|op| op.action == Action::Read && op.version != INITIAL);
        for version in reads.map(|op| op.version).chain(self.listed.iter().copied()) {
            let writer = self.versions[version as usize].writer;
            if writer != NOBODY && self.txns[writer as usize].status == Status::Unknown {
                counted[writer as usize] = true;
            }
        }
        counted
    }

    /// Reads of values that nobody in the history wrote, each with its reader, in order.
    pub fn unwritten_reads(&self) -> impl Iterator<Item = (TxnId, VersionId)> + '_ {
        (0..self.txns.len() as TxnId).flat_map(|id| {
            let reads = self.micro_ops(id).iter().filter(|op| op.action == Action::Read);
            reads
                .filter(|op| op.version != INITIAL && self.writer(op.version) == NOBODY)
                .map(move |op| (id, op.version))
        })
    }

    /// True if the first transaction completed before the second was invoked. Only of histories with
    /// real time.
    pub fn precedes(&self, first: TxnId, second: TxnId) -> bool {
        let (first, second) = (self.txn(first), self.txn(second));
        first.returned != NEVER && first.returned < second.invoked
    }
}

#[cfg(test)]
mod tests;
