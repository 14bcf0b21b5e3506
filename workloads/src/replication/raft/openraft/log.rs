//! The log, the vote and what is known to be committed: in memory to be read, in a file to survive.
//!
//! The file is our driver's log ([`crate::driver::log`]). Openraft waits for each write before it does
//! anything else, so writes never overlap. Purging writes the file anew with what is left; before that it
//! waits for the snapshot that holds what is purged, which openraft does not ([`super`]).

use super::disk::Disk;
use super::machine::Snapshots;
use super::{Entry, LogId, StorageError, Types, Vote};
use crate::driver::log::{Next, append, recover};
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{LogState, RaftLogReader, StorageIOError};
use serde::{Deserialize, Serialize};
use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::rc::Rc;

const PATH: &str = "/log";

/// What is written.
#[derive(Debug, Serialize, Deserialize)]
enum Record {
    Vote(Vote),
    Committed(LogId),
    Entry(Entry),
    /// Entries from this index on are no more.
    Truncated(u64),
    /// Entries up to this one are in a snapshot.
    Purged(LogId),
}

/// What the log holds.
#[derive(Debug, Default)]
struct Held {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    entries: BTreeMap<u64, Entry>,
}

impl Held {
    fn take(&mut self, record: Record) {
        match record {
            Record::Vote(vote) => self.vote = Some(vote),
            Record::Committed(committed) => self.committed = Some(committed),
            Record::Entry(entry) => drop(self.entries.insert(entry.log_id.index, entry)),
            Record::Truncated(from) => drop(self.entries.split_off(&from)),
            Record::Purged(upto) => {
                self.entries = self.entries.split_off(&(upto.index + 1));
                self.purged = Some(upto);
            }
        }
    }

    fn records(&self) -> Vec<Record> {
        let purged = self.purged.map(Record::Purged).into_iter();
        let vote = self.vote.map(Record::Vote);
        let committed = self.committed.map(Record::Committed);
        purged.chain(vote).chain(committed).chain(self.entries.values().cloned().map(Record::Entry)).collect()
    }
}

/// The log of a node.
pub(super) struct Log {
    held: Rc<RefCell<Held>>,
    disk: Disk,
    next: Next,
    /// Whether what is committed is durable before it is applied. Else it goes with the next record.
    commits_durably: bool,
    committed: Option<LogId>,
    /// What has to hold an entry durably before it is purged, if that is looked at.
    snapshots: Option<Rc<Snapshots>>,
}

/// Reads it.
pub(super) struct Reader {
    held: Rc<RefCell<Held>>,
}

impl Log {
    /// Opens what is there. `Err`: it is damaged beyond repair, or the disk fails.
    pub(super) async fn open(
        disk: Disk,
        commits_durably: bool,
        snapshots: Option<Rc<Snapshots>>,
    ) -> Result<Log, Box<dyn std::error::Error>> {
        let recovered = recover::<Record>(&disk.load(PATH).await?)?;
        if let Some(clean) = recovered.clean {
            disk.replace(PATH, &clean).await?;
        }
        let mut held = Held::default();
        recovered.records.into_iter().for_each(|record| held.take(record));
        let (held, next) = (Rc::new(RefCell::new(held)), recovered.next);
        Ok(Log { held, disk, next, commits_durably, committed: None, snapshots })
    }

    async fn write(&mut self, records: Vec<Record>) -> io::Result<()> {
        let committed = self.committed.take().map(Record::Committed);
        let mut bytes = vec![];
        append(&mut self.next, committed.iter().chain(&records), &mut bytes);
        records.into_iter().for_each(|record| self.held.borrow_mut().take(record));
        self.disk.append(PATH, &bytes).await
    }

    fn held(&self) -> Ref<'_, Held> {
        self.held.borrow()
    }
}

impl RaftLogReader<Types> for Reader {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self.held.borrow().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self.held().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Reader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let held = self.held();
        let last = held.entries.values().next_back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: held.purged, last_log_id: last.or(held.purged) })
    }

    async fn get_log_reader(&mut self) -> Reader {
        Reader { held: self.held.clone() }
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let written = self.write(vec![Record::Vote(*vote)]).await;
        written.map_err(|error| StorageIOError::write_vote(&error).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.held().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.held.borrow_mut().committed = committed;
        self.committed = committed;
        let written = if self.commits_durably { self.write(vec![]).await } else { Ok(()) };
        written.map_err(|error| StorageIOError::write(&error).into())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.held().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry>,
    {
        let records = entries.into_iter().map(Record::Entry).collect();
        flushed.log_io_completed(self.write(records).await);
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        let written = self.write(vec![Record::Truncated(from.index)]).await;
        written.map_err(|error| StorageIOError::write_logs(&error).into())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        if let Some(snapshots) = &self.snapshots {
            snapshots.reach(upto).await.map_err(|error| StorageIOError::write_logs(&error))?;
        }
        self.held.borrow_mut().take(Record::Purged(upto));
        (self.next, self.committed) = (Next::default(), None);
        let mut bytes = vec![];
        append(&mut self.next, &self.held.borrow().records(), &mut bytes);
        let written = self.disk.replace(PATH, &bytes).await;
        written.map_err(|error| StorageIOError::write_logs(&error).into())
    }
}
