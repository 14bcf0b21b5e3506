//! What verdicts on transactions are made of: edges with the reason for each, and orders.

use super::{TxnId, VersionId};

/// One transaction must come before another, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The earlier one.
    pub from: TxnId,
    /// The later one.
    pub to: TxnId,
    /// Why.
    pub why: Why,
}

/// Why one transaction, `from`, comes before another, `to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// One session ran both, `from` first.
    Session,
    /// `from` had completed before `to` was invoked.
    RealTime,
    /// `to` read this version, which `from` wrote: a read dependency, wr.
    Read {
        /// The version.
        version: VersionId,
    },
    /// `to` wrote a later version of a key than `from`: a write dependency, ww.
    Overwrote {
        /// What `from` wrote.
        before: VersionId,
        /// What `to` wrote.
        after: VersionId,
        /// Why the versions come in this order.
        because: Because,
    },
    /// `from` read a version of a key that is older than the one that `to` wrote: an
    /// anti-dependency, rw.
    Missed {
        /// What `from` read; may be [`INITIAL`](super::INITIAL).
        seen: VersionId,
        /// What `to` wrote.
        after: VersionId,
        /// Why the versions come in this order.
        because: Because,
    },
    /// Both wrote a key of which `reader` read `to`'s version although `from` was visible to it, in the
    /// sense of a weak level: so `from`'s version must be the older one.
    Visible {
        /// Who read `to`'s version.
        reader: TxnId,
        /// The version read, which `to` wrote.
        version: VersionId,
        /// What `from` wrote to the same key.
        older: VersionId,
        /// How `from` was visible to the reader: a path of sessions and reads from `from` to `reader`;
        /// under read committed, the one earlier read of the reader itself.
        path: Vec<Edge>,
    },
}

/// Why one version of a key comes before another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Because {
    /// The earlier one is [`INITIAL`](super::INITIAL).
    Initial,
    /// This transaction read a list that shows both, in this order.
    List {
        /// The reader.
        reader: TxnId,
    },
    /// Nobody who read the key's list, however long, saw the later one: it was appended after all that was
    /// seen. The longest list's reader, if anybody read the list.
    Unread {
        /// The reader.
        reader: TxnId,
    },
    /// This transaction read the one and then wrote the other: writes follow reads.
    ReadThenWrote {
        /// The transaction.
        by: TxnId,
    },
    /// The key is taken to be sequentially consistent, and these transactions ran in one session in this
    /// order: the first wrote or read the earlier version, the second the later one.
    SequentialKey {
        /// Wrote or read the earlier version.
        first: TxnId,
        /// Wrote or read the later one.
        second: TxnId,
    },
    /// The key is taken to be linearizable, and the first transaction completed before the second was
    /// invoked: the first wrote or read the earlier version, the second the later one.
    LinearizableKey {
        /// Wrote or read the earlier version.
        first: TxnId,
        /// Wrote or read the later one.
        second: TxnId,
    },
    /// The other way round there would be a cycle: this path leads from the earlier version's writer or
    /// reader to the later one's writer. The path uses only what was known before.
    Otherwise {
        /// The path; its last edge ends at the later version's writer.
        path: Vec<Edge>,
    },
    /// The earlier one comes before a third, and that before the later one.
    Through {
        /// The third.
        middle: VersionId,
        /// Why the earlier one comes before it.
        first: Box<Because>,
        /// Why it comes before the later one.
        second: Box<Because>,
    },
    /// A case of a proof by cases: one of the two orders must hold, and this one is tried.
    Case,
}

/// A moment of a transaction's life, where they have two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// It takes the snapshot that it reads from.
    Start(TxnId),
    /// Its writes become visible, all at once.
    Commit(TxnId),
}

/// Proof that a history is correct under a level: an order that explains every read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// The transactions one after the other: each reads what the ones before it wrote last.
    Serial(Vec<TxnId>),
    /// Snapshots and commits: each transaction reads what had been committed at its start, and its own
    /// writes.
    Snapshots(Vec<Moment>),
    /// The order in which writers of a key are to be taken; what a reader sees of it depends on the level.
    CommitOrder(Vec<TxnId>),
}
