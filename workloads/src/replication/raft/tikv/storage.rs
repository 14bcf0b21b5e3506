//! What is durable, and what the crate reads of it: hard state, log, snapshot.

use protobuf::Message as _;
use raft::eraftpb::{self, ConfState};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use serde::{Deserialize, Serialize};
use shakedown_impls::object::bytes::Bytes;
use shakedown_impls::protocol::Durable;

/// Term and vote, and what was known to be committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term.
    pub term: u64,
    /// Who got the vote in it, as the crate numbers nodes; 0 if nobody.
    pub vote: u64,
    /// The last entry known to be committed.
    pub commit: u64,
}

/// An entry, as the crate writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its index.
    pub index: u64,
    /// All of it.
    pub bytes: Bytes,
}

/// A snapshot, as the crate writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry that it covers.
    pub index: u64,
    /// The term of that.
    pub term: u64,
    /// All of it: who votes, and the state machine.
    pub bytes: Bytes,
}

/// A change of the disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Record {
    /// What was ready at a time: written whole, or not at all.
    Ready {
        /// Replaces the one that is there.
        hard_state: Option<HardState>,
        /// Replaces all that is there.
        snapshot: Option<Snapshot>,
        /// Replace all from the first of them on.
        entries: Vec<Entry>,
    },
    /// A snapshot was taken, and the log up to the entry `base`, index and term, forgotten.
    Compaction {
        /// It.
        snapshot: Snapshot,
        /// Not behind the snapshot's last.
        base: (u64, u64),
    },
}

impl Record {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Record::Ready { hard_state: None, snapshot: None, entries } if entries.is_empty())
    }
}

/// What a node's disk holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Disk {
    /// The last one written.
    pub hard_state: HardState,
    /// The last one taken or received.
    pub snapshot: Option<Snapshot>,
    /// The entry before the log, index and term.
    pub base: (u64, u64),
    /// The log.
    pub entries: Vec<Entry>,
}

impl Durable for Disk {
    type Record = Record;

    fn replay(&mut self, record: &Record) {
        match record {
            Record::Ready { hard_state, snapshot, entries } => {
                if let Some(snapshot) = snapshot {
                    self.base = (snapshot.index, snapshot.term);
                    self.entries.clear();
                    self.snapshot = Some(snapshot.clone());
                }
                if let Some(first) = entries.first() {
                    let kept = kept(first.index, self.base.0, self.entries.len());
                    self.entries.truncate(kept);
                    self.entries.extend_from_slice(entries);
                }
                self.hard_state = hard_state.unwrap_or(self.hard_state);
            }
            Record::Compaction { snapshot, base } => {
                self.entries.drain(..(base.0 - self.base.0) as usize);
                self.base = *base;
                self.snapshot = Some(snapshot.clone());
            }
        }
        // What a snapshot covers is committed, though it may have been learnt after the hard state was
        // last written.
        let covered = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        self.hard_state.commit = self.hard_state.commit.max(covered);
    }
}

/// How many entries behind `base` stay when those from `first` on are replaced.
fn kept(first: u64, base: u64, entries: usize) -> usize {
    let kept =
        first.checked_sub(base + 1).unwrap_or_else(|| panic!("entry {first}, but {base} is compacted"));
    assert!(kept <= entries as u64, "entry {first} leaves a gap: the last is {}", base + entries as u64);
    kept as usize
}

/// The disk, as the crate reads it.
pub(super) struct Store {
    initial: RaftState,
    snapshot: eraftpb::Snapshot,
    base: (u64, u64),
    entries: Vec<eraftpb::Entry>,
}

impl Store {
    /// As the disk is. All nodes start with the same voters, and they stay the same.
    pub(super) fn new(voters: Vec<u64>, disk: &Disk) -> Store {
        let HardState { term, vote, commit } = disk.hard_state;
        let mut hard_state = eraftpb::HardState::default();
        (hard_state.term, hard_state.vote, hard_state.commit) = (term, vote, commit);
        Store {
            initial: RaftState { hard_state, conf_state: ConfState::from((voters, vec![])) },
            snapshot: disk.snapshot.as_ref().map(Snapshot::pb).unwrap_or_default(),
            base: disk.base,
            entries: disk.entries.iter().map(Entry::pb).collect(),
        }
    }

    /// What was ready is there.
    pub(super) fn write(&mut self, snapshot: Option<eraftpb::Snapshot>, entries: Vec<eraftpb::Entry>) {
        if let Some(snapshot) = snapshot {
            self.base = (snapshot.get_metadata().index, snapshot.get_metadata().term);
            self.entries.clear();
            self.snapshot = snapshot;
        }
        if let Some(first) = entries.first() {
            self.entries.truncate(kept(first.index, self.base.0, self.entries.len()));
            self.entries.extend(entries);
        }
    }

    /// The log up to `base` is gone.
    pub(super) fn compact(&mut self, snapshot: eraftpb::Snapshot, base: (u64, u64)) {
        self.entries.drain(..(base.0 - self.base.0) as usize);
        self.base = base;
        self.snapshot = snapshot;
    }

    /// The state machine as of that entry.
    pub(super) fn snapshot_at(&self, index: u64, data: Vec<u8>) -> eraftpb::Snapshot {
        let mut snapshot = eraftpb::Snapshot::default();
        snapshot.set_data(data.into());
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = self.id_at(index);
        metadata.set_conf_state(self.initial.conf_state.clone());
        snapshot
    }

    pub(super) fn snapshot_index(&self) -> u64 {
        self.snapshot.get_metadata().index
    }

    pub(super) fn base(&self) -> (u64, u64) {
        self.base
    }

    /// Index and term of an entry that is there.
    pub(super) fn id_at(&self, index: u64) -> (u64, u64) {
        (index, self.term(index).unwrap_or_else(|error| panic!("entry {index}: {error}")))
    }

    fn last(&self) -> u64 {
        self.base.0 + self.entries.len() as u64
    }
}

impl Storage for Store {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.initial.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<eraftpb::Entry>> {
        if low <= self.base.0 {
            return Err(StorageError::Compacted.into());
        }
        assert!(high <= self.last() + 1, "entries up to {high}, but the last is {}", self.last());
        let at = |index: u64| (index - self.base.0 - 1) as usize;
        let mut entries = self.entries[at(low)..at(high)].to_vec();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.base.0 {
            return Ok(self.base.1);
        }
        let at = index.checked_sub(self.base.0 + 1).ok_or(StorageError::Compacted)?;
        Ok(self.entries.get(at as usize).ok_or(StorageError::Unavailable)?.term)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<eraftpb::Snapshot> {
        match self.snapshot_index() < request_index {
            true => Err(StorageError::SnapshotTemporarilyUnavailable.into()),
            false => Ok(self.snapshot.clone()),
        }
    }
}

impl HardState {
    pub(super) fn of(pb: &eraftpb::HardState) -> HardState {
        HardState { term: pb.term, vote: pb.vote, commit: pb.commit }
    }
}

impl Entry {
    pub(super) fn of(pb: &eraftpb::Entry) -> Entry {
        Entry { index: pb.index, bytes: written(pb) }
    }

    fn pb(&self) -> eraftpb::Entry {
        eraftpb::Entry::parse_from_bytes(&self.bytes).expect("no driver lets a record be damaged")
    }
}

impl Snapshot {
    pub(super) fn of(pb: &eraftpb::Snapshot) -> Snapshot {
        let metadata = pb.get_metadata();
        Snapshot { index: metadata.index, term: metadata.term, bytes: written(pb) }
    }

    pub(super) fn pb(&self) -> eraftpb::Snapshot {
        eraftpb::Snapshot::parse_from_bytes(&self.bytes).expect("no driver lets a record be damaged")
    }
}

fn written(pb: &impl protobuf::Message) -> Bytes {
    pb.write_to_bytes().expect("it can be written to memory").into()
}
