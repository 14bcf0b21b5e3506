//! The state machine as openraft runs it: applied in memory, with a snapshot in a file. After a start it
//! is the snapshot; openraft applies again what it knows to be committed.

use super::disk::Disk;
use super::{Entry, LogId, Membership, Snapshot, SnapshotMeta, StorageError, Types};
use crate::driver::log::{Next, append, recover};
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, ErrorSubject, ErrorVerb, RaftSnapshotBuilder, StorageIOError};
use serde::{Deserialize, Serialize};
use shakedown_impls::replication::raft::StateMachine;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io::{self, Cursor};
use std::rc::Rc;
use tokio::sync::{Mutex, Notify, oneshot};

const PATH: &str = "/snapshot";

/// A snapshot, as it is in the file and in memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Saved {
    meta: SnapshotMeta,
    bytes: Vec<u8>,
}

impl From<Saved> for Snapshot {
    fn from(saved: Saved) -> Snapshot {
        Snapshot { meta: saved.meta, snapshot: Box::new(Cursor::new(saved.bytes)) }
    }
}

/// What is applied.
struct Applied<S> {
    state: S,
    last: Option<LogId>,
    membership: Membership,
    saved: Option<Saved>,
    /// Snapshots built since the start.
    built: u64,
    /// Who waits for what to be applied.
    waiting: Vec<(LogId, oneshot::Sender<()>)>,
}

/// How far the snapshot in the file goes.
#[derive(Default)]
pub(super) struct Snapshots {
    last: Cell<Option<LogId>>,
    /// One could not be written; nothing more will come.
    failed: Cell<bool>,
    changed: Notify,
}

impl Snapshots {
    /// Waits until it holds what `upto` names. Only the log does, so that there is one who waits.
    pub(super) async fn reach(&self, upto: LogId) -> io::Result<()> {
        while self.last.get() < Some(upto) {
            if self.failed.get() {
                return Err(io::Error::other("the snapshot that holds what is to be purged was not written"));
            }
            self.changed.notified().await;
        }
        Ok(())
    }

    fn saved(&self, last: Option<LogId>) {
        self.last.set(last);
        self.changed.notify_one();
    }

    fn fails(&self) {
        self.failed.set(true);
        self.changed.notify_one();
    }
}

/// A node's state machine. Its clones are the same one.
pub(super) struct Machine<S> {
    applied: Rc<RefCell<Applied<S>>>,
    disk: Disk,
    /// Writes of the snapshot's file, one after another: a built one and an installed one may meet.
    writes: Rc<Mutex<()>>,
    snapshots: Rc<Snapshots>,
    /// What snapshots of this start are called, before their number.
    name: String,
}

impl<S> Clone for Machine<S> {
    fn clone(&self) -> Machine<S> {
        let Machine { applied, disk, writes, snapshots, name } = self;
        Machine {
            applied: applied.clone(),
            disk: disk.clone(),
            writes: writes.clone(),
            snapshots: snapshots.clone(),
            name: name.clone(),
        }
    }
}

impl<S: StateMachine> Machine<S> {
    /// Opens what is there.
    pub(super) async fn open(disk: Disk, name: String) -> Result<Machine<S>, Box<dyn Error>> {
        let saved = recover::<Saved>(&disk.load(PATH).await?)?.records.pop();
        let mut applied = Applied {
            state: S::default(),
            last: None,
            membership: Membership::default(),
            saved: None,
            built: 0,
            waiting: vec![],
        };
        let snapshots = Snapshots::default();
        if let Some(saved) = saved {
            snapshots.saved(saved.meta.last_log_id);
            applied.becomes(saved)?;
        }
        let (applied, snapshots) = (Rc::new(RefCell::new(applied)), Rc::new(snapshots));
        Ok(Machine { applied, disk, writes: Rc::default(), snapshots, name })
    }

    /// How far its snapshots go.
    pub(super) fn snapshots(&self) -> Rc<Snapshots> {
        self.snapshots.clone()
    }

    /// Waits until what `upto` names has been applied.
    pub(super) async fn reaches(&self, upto: Option<LogId>) {
        let waits = {
            let mut applied = self.applied.borrow_mut();
            let Some(upto) = upto.filter(|&upto| applied.last < Some(upto)) else { return };
            let (sender, receiver) = oneshot::channel();
            applied.waiting.push((upto, sender));
            receiver
        };
        // Whoever is to tell lives as long as the machine does.
        let _ = waits.await;
    }

    /// Answers what only asks.
    pub(super) fn query(&self, command: &S::Command) -> S::Ret {
        self.applied.borrow().state.query(command)
    }

    /// Makes a snapshot durable, and the current one, unless there is a newer one already.
    async fn save(&self, saved: Saved) -> Result<(), StorageError> {
        let _alone = self.writes.lock().await;
        let is_newer = |have: &Saved| have.meta.last_log_id >= saved.meta.last_log_id;
        if self.applied.borrow().saved.as_ref().is_some_and(is_newer) {
            return Ok(());
        }
        let mut bytes = vec![];
        append(&mut Next::default(), [&saved], &mut bytes);
        if let Err(error) = self.disk.replace(PATH, &bytes).await {
            self.snapshots.fails();
            return Err(StorageIOError::write_snapshot(Some(saved.meta.signature()), &error).into());
        }
        self.snapshots.saved(saved.meta.last_log_id);
        self.applied.borrow_mut().saved = Some(saved);
        Ok(())
    }
}

impl<S: StateMachine> Applied<S> {
    /// Becomes what a snapshot says.
    fn becomes(&mut self, saved: Saved) -> postcard::Result<()> {
        self.state = postcard::from_bytes(&saved.bytes)?;
        (self.last, self.membership) = (saved.meta.last_log_id, saved.meta.last_membership.clone());
        self.saved = Some(saved);
        self.tells();
        Ok(())
    }

    fn apply(&mut self, entry: Entry) -> Result<Vec<u8>, postcard::Error> {
        let ret = match entry.payload {
            EntryPayload::Blank => vec![],
            EntryPayload::Normal(command) => {
                postcard::to_stdvec(&self.state.apply(&postcard::from_bytes(&command)?))?
            }
            EntryPayload::Membership(membership) => {
                self.membership = Membership::new(Some(entry.log_id), membership);
                vec![]
            }
        };
        self.last = Some(entry.log_id);
        Ok(ret)
    }

    /// Tells those whose wait is over, the first come first.
    fn tells(&mut self) {
        let last = self.last;
        for (_, sender) in self.waiting.extract_if(.., |(upto, _)| Some(*upto) <= last) {
            // A client that has gone does not hear it.
            let _ = sender.send(());
        }
    }
}

impl<S: StateMachine> RaftStateMachine<Types> for Machine<S> {
    type SnapshotBuilder = Builder<S>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let applied = self.applied.borrow();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<I: IntoIterator<Item = Entry>>(
        &mut self,
        entries: I,
    ) -> Result<Vec<Vec<u8>>, StorageError> {
        let mut applied = self.applied.borrow_mut();
        let mut rets = vec![];
        for entry in entries {
            let id = entry.log_id;
            rets.push(applied.apply(entry).map_err(|error| StorageIOError::apply(id, &error))?);
        }
        applied.tells();
        Ok(rets)
    }

    async fn get_snapshot_builder(&mut self) -> Builder<S> {
        let mut applied = self.applied.borrow_mut();
        applied.built += 1;
        let meta = SnapshotMeta {
            last_log_id: applied.last,
            last_membership: applied.membership.clone(),
            snapshot_id: format!("{}-{}", self.name, applied.built),
        };
        Builder { machine: self.clone(), state: applied.state.clone(), meta }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let saved = Saved { meta: meta.clone(), bytes: snapshot.into_inner() };
        self.save(saved.clone()).await?;
        let becomes = self.applied.borrow_mut().becomes(saved);
        becomes.map_err(|error| StorageIOError::read_snapshot(Some(meta.signature()), &error).into())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        Ok(self.applied.borrow().saved.clone().map(Snapshot::from))
    }
}

/// Builds a snapshot of what was applied when it was asked for, while more is applied.
pub(super) struct Builder<S> {
    machine: Machine<S>,
    state: S,
    meta: SnapshotMeta,
}

impl<S: StateMachine> RaftSnapshotBuilder<Types> for Builder<S> {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let bytes = postcard::to_stdvec(&self.state).map_err(|error| {
            StorageIOError::new(ErrorSubject::StateMachine, ErrorVerb::Read, openraft::AnyError::new(&error))
        })?;
        let saved = Saved { meta: self.meta.clone(), bytes };
        self.machine.save(saved.clone()).await?;
        Ok(saved.into())
    }
}
