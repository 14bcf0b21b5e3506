//! What is durable: term and vote, the log, and a snapshot of what was compacted (Figure 2, "Persistent
//! state"). A node holds the same value in memory and changes it by records only, so what it remembers
//! and what it would find after a crash cannot differ.
//!
//! Checksums are the driver's: it frames every record, and a record that was durable and cannot be read
//! keeps the node from starting. Cutting it off as if it had never been would forget what was
//! acknowledged (Alagappan et al., *Protocol-Aware Recovery*, FAST 2018).

use super::log::{Entry, Index, Log, LogId, Term};
use super::membership::Membership;
use crate::object::bytes::Bytes;
use crate::protocol::{Data, Durable, NodeId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a node's disk holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Disk<C: Data> {
    /// The latest term that the node has seen.
    pub current_term: Term,
    /// Who got its vote in that term.
    pub voted_for: Option<NodeId>,
    /// What was compacted. The log's base is not behind it.
    pub snapshot: Option<Snapshot>,
    /// The rest.
    pub log: Log<C>,
}

impl<C: Data> Default for Disk<C> {
    fn default() -> Disk<C> {
        Disk { current_term: Term::default(), voted_for: None, snapshot: None, log: Log::default() }
    }
}

/// The state machine after the entry `last`, and what else those entries said (§7).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry that it covers.
    pub last: LogId,
    /// The members as of that entry: their entries are gone with the rest.
    pub membership: Membership,
    /// State machine and client sessions.
    pub data: Bytes,
}

/// A change of the disk. Each leaves it as some moment of the protocol could have left it, so a crash
/// between two of them is nothing special.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Record<C: Data> {
    /// Term and vote. One record: a vote of one term must not meet another's number.
    HardState {
        /// The term.
        current_term: Term,
        /// The vote.
        voted_for: Option<NodeId>,
    },
    /// Entries, which follow the last.
    Append {
        /// The last, until now.
        after: Index,
        /// What follows.
        entries: Vec<Entry<C>>,
    },
    /// Nothing behind `last` is in the log.
    Truncate {
        /// The last that stays.
        last: Index,
    },
    /// A snapshot, taken here or received; the log up to `base`, and all of it unless it holds `base`,
    /// is forgotten. One record: a snapshot without its log, or a log without its snapshot, is a gap.
    Snapshot {
        /// It.
        snapshot: Snapshot,
        /// Not behind the snapshot's last.
        base: LogId,
    },
}

impl<C: Data> Durable for Disk<C> {
    type Record = Record<C>;

    fn replay(&mut self, record: &Record<C>) {
        match record {
            Record::HardState { current_term, voted_for } => {
                self.current_term = *current_term;
                self.voted_for = *voted_for;
            }
            Record::Append { after, entries } => {
                let last = self.log.last().index;
                assert_eq!(*after, last, "entries after {after:?} follow a log that ends at {last:?}");
                self.log.append(entries);
            }
            Record::Truncate { last } => self.log.truncate(*last),
            Record::Snapshot { snapshot, base } => {
                self.log.compact(*base);
                self.snapshot = Some(snapshot.clone());
            }
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot to {:?} of {:?}: {:?}", self.last, self.membership, self.data)
    }
}

impl<C: Data> fmt::Debug for Record<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::HardState { current_term, voted_for: None } => write!(f, "{current_term:?}, no vote"),
            Record::HardState { current_term, voted_for: Some(node) } => {
                write!(f, "{current_term:?}, vote for {node}")
            }
            Record::Append { after, entries } => write!(f, "append after {after:?} {entries:?}"),
            Record::Truncate { last } => write!(f, "cut behind {last:?}"),
            Record::Snapshot { snapshot, base } => write!(f, "{snapshot:?}, log from {base:?}"),
        }
    }
}
