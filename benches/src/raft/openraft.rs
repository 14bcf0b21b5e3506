//! The crate openraft: its tasks on a runtime of one thread, with a log and a state machine in memory, and
//! a network that calls the other node. It gathers what it likes: its core takes proposals one by one,
//! its replication as many entries as there are, up to 300 in a message.

use super::{Cluster, Sink, WINDOW};
use openraft::error::{InstallSnapshotError, RPCError, RaftError, RemoteError};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, ClientWriteResult, InstallSnapshotRequest,
    InstallSnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft::{
    Config, EntryPayload, LogId, LogState, OptionalSend, Raft, RaftLogReader, RaftNetwork,
    RaftNetworkFactory, RaftSnapshotBuilder, Snapshot, SnapshotMeta, SnapshotPolicy, StorageError,
    StoredMembership, Vote,
};
use shakedown_impls::object::bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::io::Cursor;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use tokio::runtime::Runtime;
use tokio::sync::oneshot::Receiver;

openraft::declare_raft_types!(
    /// Proposals are bytes that are shared, nodes have no addresses.
    pub Types: D = Bytes, R = u64, NodeId = u64, Node = (),
);

type Entry = openraft::Entry<Types>;
type Stored<T> = Result<T, StorageError<u64>>;
/// All nodes, once they have started.
type Nodes = Arc<OnceLock<Vec<Raft<Types>>>>;

/// A cluster with a leader.
pub struct Tasks {
    runtime: Runtime,
    leader: Raft<Types>,
    machine: Machine,
    payloads: Vec<Bytes>,
}

impl Tasks {
    /// Starts it.
    pub fn new(nodes: u16) -> Tasks {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let config = Config {
            // Nothing happens by time while it is measured.
            heartbeat_interval: 10_000,
            election_timeout_min: 60_000,
            election_timeout_max: 120_000,
            enable_heartbeat: false,
            snapshot_policy: SnapshotPolicy::Never,
            ..Config::default()
        };
        let config = Arc::new(config.validate().expect("it is valid"));
        let machines: Vec<Machine> = (0..nodes).map(|_| Machine::default()).collect();
        let leader = runtime.block_on(async {
            let all: Nodes = Nodes::default();
            let mut started = vec![];
            for (id, machine) in (0..).zip(&machines) {
                let (network, log) = (Network { all: all.clone(), target: 0 }, Log::default());
                let raft = Raft::new(id, config.clone(), network, log, machine.clone()).await;
                started.push(raft.expect("it starts"));
            }
            let leader = started[0].clone();
            all.set(started).unwrap_or_else(|_| unreachable!("it is set once"));
            let members: BTreeMap<u64, ()> = (0..u64::from(nodes)).map(|id| (id, ())).collect();
            leader.initialize(members).await.expect("it is new");
            leader.wait(None).current_leader(0, "the first node leads").await.expect("it does");
            leader
        });
        Tasks { runtime, leader, machine: machines[0].clone(), payloads: vec![] }
    }
}

impl Cluster for Tasks {
    fn stock(&mut self, proposals: usize, payload: &str) {
        self.payloads = (0..proposals).map(|_| Bytes::from(payload)).collect();
    }

    fn burst(&mut self, proposals: usize) {
        let (leader, payloads) = (&self.leader, &mut self.payloads);
        self.runtime.block_on(async {
            // They are answered in their order.
            let mut window: VecDeque<Receiver<ClientWriteResult<Types>>> = VecDeque::new();
            for payload in payloads.drain(..proposals) {
                if window.len() == WINDOW {
                    let oldest = window.pop_front().expect("it is full");
                    oldest.await.expect("it runs").expect("it leads");
                }
                window.push_back(leader.client_write_ff(payload).await.expect("it runs"));
            }
            for last in window {
                last.await.expect("it runs").expect("it leads");
            }
        });
    }

    fn applied(&self) -> Sink {
        self.machine.get().sink.clone()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        let leader = self.leader.clone();
        let _ = self.runtime.block_on(async move { leader.shutdown().await });
    }
}

/// Calls another node.
struct Network {
    all: Nodes,
    target: u64,
}

impl Network {
    fn node(&self) -> &Raft<Types> {
        &self.all.get().expect("all have started")[self.target as usize]
    }

    fn failed<E: std::error::Error>(&self, error: E) -> RPCError<u64, (), E> {
        RPCError::RemoteError(RemoteError::new(self.target, error))
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Network;

    async fn new_client(&mut self, target: u64, (): &()) -> Network {
        Network { all: self.all.clone(), target }
    }
}

impl RaftNetwork<Types> for Network {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, (), RaftError<u64>>> {
        self.node().append_entries(rpc).await.map_err(|error| self.failed(error))
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RPCError<u64, (), RaftError<u64, InstallSnapshotError>>> {
        self.node().install_snapshot(rpc).await.map_err(|error| self.failed(error))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, (), RaftError<u64>>> {
        self.node().vote(rpc).await.map_err(|error| self.failed(error))
    }
}

/// A log in memory, whose first entry is of index 0.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<LogInner>>);

#[derive(Default)]
struct LogInner {
    vote: Option<Vote<u64>>,
    entries: Vec<Entry>,
}

impl Log {
    fn get(&self) -> MutexGuard<'_, LogInner> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Stored<Vec<Entry>> {
        let log = self.get();
        let from = match range.start_bound() {
            Bound::Included(&from) => from as usize,
            Bound::Excluded(&before) => before as usize + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&last) => last as usize + 1,
            Bound::Excluded(&to) => to as usize,
            Bound::Unbounded => usize::MAX,
        };
        let to = to.min(log.entries.len());
        Ok(log.entries[from.min(to)..to].to_vec())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        let last_log_id = self.get().entries.last().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: None, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Stored<()> {
        self.get().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Stored<Option<Vote<u64>>> {
        Ok(self.get().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Stored<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.get().entries.extend(entries);
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Stored<()> {
        self.get().entries.truncate(log_id.index as usize);
        Ok(())
    }

    async fn purge(&mut self, _: LogId<u64>) -> Stored<()> {
        unreachable!("there are no snapshots")
    }
}

/// A state machine in memory.
#[derive(Clone, Default)]
struct Machine(Arc<Mutex<MachineInner>>);

#[derive(Default)]
struct MachineInner {
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, ()>,
    sink: Sink,
}

impl Machine {
    fn get(&self) -> MutexGuard<'_, MachineInner> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<Types>> {
        unreachable!("there are no snapshots")
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, ()>)> {
        let inner = self.get();
        Ok((inner.applied, inner.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut inner = self.get();
        let answer = |entry: Entry| {
            inner.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => 0,
                EntryPayload::Normal(payload) => inner.sink.take(&payload),
                EntryPayload::Membership(membership) => {
                    inner.membership = StoredMembership::new(Some(entry.log_id), membership);
                    0
                }
            }
        };
        Ok(entries.into_iter().map(answer).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Cursor<Vec<u8>>>> {
        unreachable!("there are no snapshots")
    }

    async fn install_snapshot(&mut self, _: &SnapshotMeta<u64, ()>, _: Box<Cursor<Vec<u8>>>) -> Stored<()> {
        unreachable!("there are no snapshots")
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<Types>>> {
        Ok(None)
    }
}
