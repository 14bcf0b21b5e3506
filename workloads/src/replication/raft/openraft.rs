//! Openraft, in the simulated network: the same load, faults and checkers as our own Raft gets.
//!
//! [Openraft](https://github.com/databendlabs/openraft) is the Raft that asynchronous Rust uses. It is a
//! runtime, not a state machine: tasks, channels, timers. So it runs as any server does, on simulated
//! sockets, clocks and disks ([`crate::world::sim::run_server`]). Everything around the protocol is ours,
//! and may be wrong where openraft is right:
//!
//! | what | how |
//! |---|---|
//! | log, vote, what is committed | in one file, synced before openraft goes on (`openraft/log.rs`) |
//! | snapshots | replaced as a whole; after a start, the state machine is the snapshot (`openraft/machine.rs`) |
//! | messages | a connection for each stream of openraft's, one call at a time (`openraft/network.rs`) |
//! | clients | ask any node, go on to the leader that it names, a few times an ask (a call that is turned away did nothing) |
//! | reads | the leader asks a quorum whether it leads, and waits until it has applied what was committed then |
//! | a cluster's beginning | each node that has nothing is told of all nodes: openraft allows that if it is the same |
//!
//! Settings are openraft's defaults, but for snapshots: in half of the runs they are taken after a few
//! entries and sent in small pieces.
//!
//! # Two traps
//!
//! Both look like the way to use openraft 0.9, and simulation finds them wrong. We step around them; each
//! can be switched on ([`Trap`]), to show what comes of it.
//!
//! **Not making durable what is committed** ([`Trap::CommittedLater`]). Openraft calls that optional. But
//! a leader that restarts before anybody else stands for election leads on, in the same term, and a read
//! waits for the later of two: the first entry of the leader's term, and what it knows to be committed. Of
//! those, the one is long applied and the other is what the disk says. So a write that was answered just
//! before the restart is missing from a read after it:
//!
//! ```text
//! leader   append 50, commit 50, answer | power goes | start: committed 49, leads on | read: up to 49
//! ```
//!
//! (Openraft's issue 1511. The documentation of `save_committed` says that who leaves it out must not
//! serve reads before the next commit; version 0.10 has `wait_for_recovery`.)
//!
//! **Purging the log when told to** ([`Trap::PurgesAtOnce`]). A follower that gets a snapshot has a task
//! install it, and purges its log up to there without waiting for that (`install_full_snapshot` in
//! `engine/handler/following_handler/mod.rs`; `PurgeLog` waits for nothing, `engine/command.rs`). If the
//! power goes in between, neither the entries nor the snapshot are there, and the node does not start any
//! more. So purging waits here until a snapshot is durable that holds what is purged.
//!
//! # What an error of a write means
//!
//! `ForwardToLeader` comes from a node that did not take the write, and also from one that took it, lost
//! the lead, and had to cut the entry off. Then another node may have it still, and commit it: with five
//! nodes, whoever asks again can be written twice (openraft's issue 2095; its documentation says since
//! that the error tells whom to ask and not what happened). The two look alike. So a node says here that
//! it did nothing only if it knew, before it took the write, that it does not lead; after that, of any
//! error nobody knows.
//!
//! # What is left to be found
//!
//! Nothing is done about these faults of 0.9.25; what shows them is in `reports/peers.md`. The second and the
//! third are findings about a node ([`crate::judge::Finding::Broke`]):
//!
//! - A node that is heard and hears nobody stands for election in each term, gets the votes of all others, and
//!   does not know; they wait for it. There is no PreVote in 0.9, and a node's timeout is drawn once, when it
//!   starts, so the same one is first again and again.
//! - A leader that hears of a higher term while it is about to send a snapshot stops for good, with "when
//!   Read Snapshot(None): replication channel closed". The task that replicates to a follower ends when the
//!   follower names a higher vote, and what the leader gives it before it hears of that is taken for an
//!   error of storage (`Inflight::Snapshot` in `run_command`, `core/raft_core.rs`).
//!   One usual seed in some thousands.
//! - A leader that has lost the lead purges its log at once, "since no other tasks are using the logs"
//!   (`try_purge_log` in `engine/engine_impl.rs`). The tasks that replicated for it are, for they end in the
//!   background. Such a task reads what is left of its range, and sends it as if it followed what it names
//!   as the entry before; a follower that has not heard of the new term takes it, with a hole. Debug builds
//!   assert that there is none (`append_entries` in `engine/handler/following_handler/mod.rs`), release
//!   builds do not. It takes five nodes, seconds of partitions of two, and snapshots after a few entries.
//!
//! # Why runs repeat
//!
//! Openraft draws its timeouts from, and spawns its tasks by, a runtime that can be replaced
//! (`openraft/runtime.rs`). It keeps everything in trees. What is left is `tokio::select!`, which decides
//! by a lot that only `--cfg tokio_unstable` lets be seeded, and tokio's `watch`, which wakes those who
//! wait in an order by lot as well (openraft 0.9.25, tokio 1.54):
//!
//! - The loop of a node is `biased` (`core/raft_core.rs`). Ticks are by `futures::future::select`, which
//!   is in order.
//! - Replication waits between attempts in a `select!` that is not (`replication/mod.rs`,
//!   `backoff_drain_events`), but only after `RPCError::Unreachable`. We say `RPCError::Network`, and pause.
//! - `Raft::wait`, so `ensure_linearizable`, has another (`metrics/wait.rs`); of its two branches one is a
//!   timeout in a hundred years. But all who wait there wait on one `watch`. So the two halves of
//!   `ensure_linearizable` are done here: `get_read_log_id`, and waiting in the state machine.

mod catalogue;
mod disk;
mod log;
mod machine;
mod network;
mod runtime;
#[cfg(test)]
mod tests;

pub use catalogue::OPENRAFT;

use crate::manner::Manner;
use crate::operation::Operation;
use crate::outcome::Outcome;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::world::sim::{AskError, Server, ServerResult, run_server_with};
use ::openraft::error::{CheckIsLeaderError, InitializeError};
use ::openraft::{AsyncRuntime, Config, EmptyNode, SnapshotPolicy};
use disk::Disk;
use log::Log;
use machine::Machine;
use network::{Answer, Call, CallError, Connection, Peers, call_once};
use runtime::{Host, Runtime};
use shakedown_impls::protocol::NodeId;
use shakedown_impls::replication::raft::StateMachine;
use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use turmoil::net::TcpListener;

::openraft::declare_raft_types!(
    /// Commands and answers are bytes: what they say is the state machine's business.
    Types:
        D = Vec<u8>,
        R = Vec<u8>,
        NodeId = u64,
        Node = EmptyNode,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = Runtime,
);

type Id = u64;
type Raft = ::openraft::Raft<Types>;
type Entry = ::openraft::Entry<Types>;
type LogId = ::openraft::LogId<Id>;
type Vote = ::openraft::Vote<Id>;
type Membership = ::openraft::StoredMembership<Id, EmptyNode>;
type Snapshot = ::openraft::Snapshot<Types>;
type SnapshotMeta = ::openraft::SnapshotMeta<Id, EmptyNode>;
type StorageError = ::openraft::StorageError<Id>;
type RaftError<E = ::openraft::error::Infallible> = ::openraft::error::RaftError<Id, E>;
type RpcError<E = ::openraft::error::Infallible> = ::openraft::error::RPCError<Id, EmptyNode, RaftError<E>>;

/// Where nodes listen, to each other and to clients.
const PORT: u16 = 7000;

/// A connection that says nothing for so long is dropped: a stream that has stalled stays so.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// How often a client lets itself be sent on before it starts anew.
const HOPS_MAX: u32 = 3;

/// How long a client waits for an answer before it doubts that one will come.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// How often openraft looks whether a timeout is over, with its usual settings.
const TICK_MS: u64 = 75;

/// A way to use openraft that looks right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// What is committed becomes durable with the next record, not before it is applied.
    CommittedLater,
    /// The log is purged while the snapshot that holds it is still being written.
    PurgesAtOnce,
}

/// Runs a scenario, falling into a trap or not.
pub fn run<S>(scenario: &Scenario<S::Command>, trap: Option<Trap>, manner: &Manner) -> Outcome
where
    S: StateMachine,
    S::Command: Operation<Ret = S::Ret>,
{
    let setup = Setup::draw(scenario.seed, scenario.disk_us, trap);
    let serve = move |server| serve::<S>(server, setup);
    run_server_with(scenario, manner, serve, ask::<S>)
}

/// How nodes are run.
#[derive(Clone, Copy, Debug)]
struct Setup {
    disk_us: u64,
    trap: Option<Trap>,
    /// Entries from one snapshot to the next, if they are few.
    snapshot_every: Option<u64>,
}

impl Setup {
    fn draw(seed: u64, disk_us: u64, trap: Option<Trap>) -> Setup {
        let mut random = Random::stream(seed, "openraft", 0);
        let snapshot_every = random.chance(0.5).then(|| 4 << random.below(4));
        Setup { disk_us, trap, snapshot_every }
    }

    fn config(&self) -> Arc<Config> {
        let mut config = Config::default();
        if let Some(entries) = self.snapshot_every {
            config.snapshot_policy = SnapshotPolicy::LogsSinceLast(entries);
            config.max_in_snapshot_log_to_keep = entries / 2;
            config.replication_lag_threshold = 2 * entries;
            config.snapshot_max_chunk_size = 64;
        }
        Arc::new(config.validate().expect("a snapshot's settings leave timeouts as they are"))
    }
}

/// A node's program.
async fn serve<S: StateMachine>(server: Server, setup: Setup) -> ServerResult {
    let host = Host::new(server.seed);
    let lives = host.task(live::<S>(server, setup));
    tokio::select! {
        biased;
        how = host.death() => Err(how.into()),
        ended = lives => ended,
    }
}

async fn live<S: StateMachine>(server: Server, setup: Setup) -> ServerResult {
    let disk = Disk::new(server.seed, setup.disk_us);
    // Snapshots of two nodes, or of two lives of a node, are told apart by their names.
    let machine = Machine::<S>::open(disk.clone(), format!("{}-{:x}", server.id, server.seed)).await?;
    let commits_durably = setup.trap != Some(Trap::CommittedLater);
    let snapshots = (setup.trap != Some(Trap::PurgesAtOnce)).then(|| machine.snapshots());
    let log = Log::open(disk, commits_durably, snapshots).await?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let id = id_of(server.id);
    // Nodes that start at the same moment tick at the same moment for ever, which is nobody's lot but in a
    // simulation.
    sleep(Duration::from_millis(Random::stream(server.seed, "start", 0).below(TICK_MS))).await;
    let raft = Raft::new(id, setup.config(), Peers, log, machine.clone()).await?;
    let node = Node { id, raft: raft.clone(), machine };
    if !raft.is_initialized().await? {
        let nodes: BTreeMap<Id, EmptyNode> =
            (0..server.nodes).map(|node| (id_of(NodeId(node)), EmptyNode {})).collect();
        match raft.initialize(nodes).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    tokio::select! {
        biased;
        ended = stops(&raft) => ended,
        ended = listen(listener, node) => ended,
    }
}

/// Waits for openraft to stop, which it should not.
async fn stops(raft: &Raft) -> ServerResult {
    let mut metrics = raft.metrics();
    loop {
        let state = metrics.borrow_and_update().running_state.clone();
        state?;
        metrics.changed().await?;
    }
}

async fn listen<S: StateMachine>(listener: TcpListener, node: Node<S>) -> ServerResult {
    loop {
        let (stream, _) = listener.accept().await?;
        // Whoever breaks a connection breaks only that.
        Runtime::spawn(node.clone().talk(Connection(stream)));
    }
}

/// A node, for those who call it.
#[derive(Clone)]
struct Node<S> {
    id: Id,
    raft: Raft,
    machine: Machine<S>,
}

impl<S: StateMachine> Node<S> {
    async fn talk(self, mut connection: Connection) -> io::Result<()> {
        loop {
            match timeout(IDLE_MAX, connection.hear::<Call>()).await?? {
                Call::Append(rpc) => connection.say(&self.raft.append_entries(rpc).await).await?,
                Call::Vote(rpc) => connection.say(&self.raft.vote(rpc).await).await?,
                Call::Snapshot(rpc) => connection.say(&self.raft.install_snapshot(rpc).await).await?,
                Call::Ask(command) => connection.say(&self.answer(command).await).await?,
            }
        }
    }

    async fn answer(&self, bytes: Vec<u8>) -> Answer {
        match postcard::from_bytes(&bytes) {
            Ok(command) if S::is_query(&command) => self.read(&command).await,
            Ok(_) => self.write(bytes).await,
            Err(error) => Answer::Refused(format!("it is no command: {error}")),
        }
    }

    async fn read(&self, query: &S::Command) -> Answer {
        match self.raft.get_read_log_id().await {
            Ok((upto, _)) => {
                self.machine.reaches(upto).await;
                done(&self.machine.query(query))
            }
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to))) => {
                Answer::Elsewhere(to.leader_id)
            }
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    async fn write(&self, command: Vec<u8>) -> Answer {
        let leader = self.raft.current_leader().await;
        if leader != Some(self.id) {
            return Answer::Elsewhere(leader);
        }
        match self.raft.client_write(command).await {
            Ok(written) => Answer::Done(written.data),
            Err(error) => Answer::Unknown(error.to_string()),
        }
    }
}

fn done(ret: &impl serde::Serialize) -> Answer {
    match postcard::to_stdvec(ret) {
        Ok(bytes) => Answer::Done(bytes),
        Err(error) => Answer::Unknown(format!("the answer cannot be written: {error}")),
    }
}

/// What a client does: asks a node, and the leader that it names.
async fn ask<S: StateMachine>(command: S::Command, node: NodeId) -> Result<S::Ret, AskError> {
    let bytes = postcard::to_stdvec(&command).map_err(|error| AskError::Refused(error.to_string()))?;
    let (call, mut to) = (Call::Ask(bytes), id_of(node));
    for _ in 0..=HOPS_MAX {
        let answer = timeout(ANSWER_MAX, call_once(to, &call)).await;
        let answer = answer.map_err(|_| AskError::Unknown("no answer".to_owned()))?;
        match answer {
            Ok(Answer::Done(bytes)) => {
                return postcard::from_bytes(&bytes).map_err(|error| AskError::Unknown(error.to_string()));
            }
            Ok(Answer::Elsewhere(Some(leader))) => to = leader,
            Ok(Answer::Elsewhere(None)) => return Err(AskError::Refused("nobody leads".to_owned())),
            Ok(Answer::Refused(why)) => return Err(AskError::Refused(why)),
            Ok(Answer::Unknown(why)) => return Err(AskError::Unknown(why)),
            Err(error @ CallError::Unreachable(_)) => return Err(AskError::Refused(error.to_string())),
            Err(error @ CallError::Broke(_)) => return Err(AskError::Unknown(error.to_string())),
        }
    }
    Err(AskError::Refused("it was sent from node to node".to_owned()))
}

fn id_of(node: NodeId) -> Id {
    u64::from(node.0)
}

fn node_of(id: Id) -> NodeId {
    NodeId(u16::try_from(id).expect("all nodes were numbered by `id_of`"))
}
