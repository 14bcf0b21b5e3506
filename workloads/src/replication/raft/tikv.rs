//! The crate `raft` 0.7 (tikv), a port of etcd's, as a [`Protocol`]: the swarm and the simulated network
//! run it with the same workloads, nemeses and checkers as our own Raft, and state machines are ours.
//!
//! ```
//! use shakedown_impls::replication::raft::Registers;
//! use shakedown_workloads::replication::raft::tikv;
//!
//! tikv::trial::<Registers>().seeds(0..5).check();
//! ```
//!
//! # What is the crate's, and what is ours
//!
//! The crate's: elections with PreVote and CheckQuorum, replication, ReadIndex; all decisions. It does no
//! I/O and is driven as its documentation says: tick, step, propose; then, as long as something is
//! *ready*, send, persist, apply, advance. Here is what it leaves to its user, and what is done about it:
//!
//! - **Order.** A leader's messages may leave before what is ready is durable, all others after it. A
//!   ready's snapshot, entries and hard state are one record, as they are one write batch in TiKV: a
//!   log that is ahead of its term is nothing that the crate promises to start from.
//! - **Chance.** The crate draws election timeouts from a generator of the thread, whenever it starts
//!   waiting anew. They are overwritten after each call, with a number that the world chose; a draw is
//!   only ever used by a later tick. Its maps hash without a seed, so their order is the same in every
//!   run.
//! - **Snapshots.** It waits to be told what became of one that it sent. Nobody hears of a lost message,
//!   so after an election timeout it is told that it failed, which costs another snapshot at worst.
//! - **Clients.** Any node takes any request. It has the leader propose a command once: a network that
//!   delivers twice must not, so a command goes to the leader of one term, which takes it once in that
//!   term. There are no sessions, so nothing is proposed again: what is lost with a leader is the
//!   client's timeout. Reads are asked for again, which does no harm, until there is an index to read at;
//!   the node that was asked reads its own state there.
//!
//! # What it is not
//!
//! A node of the crate cannot be cloned, compared or hashed. The swarm and the simulated network never do
//! that; the model world does it all the time, so it cannot run this protocol: [`trial`] leaves it
//! out. Here `clone` panics, and a node is equal to itself only.
//!
//! Membership changes and leader transfer are not exercised.
//!
//! A panic of the crate (its `fatal!`) is a finding, as any panic of a protocol.

mod catalogue;
mod clients;
mod message;
mod storage;
#[cfg(test)]
mod tests;

pub use catalogue::TIKV;
pub use message::Msg;
pub use storage::{Disk, Entry, HardState, Record, Snapshot};

use crate::operation::Operation;
use crate::trial::Trial;
use crate::world::WorldName;
use clients::Waiting;
use protobuf::Message as _;
use raft::eraftpb;
use raft::{RawNode, SnapshotStatus, StateRole};
use serde::{Deserialize, Serialize};
use shakedown_impls::protocol::{ClientId, Effect, Input, NodeId, Note, Protocol, RequestId, Time};
use shakedown_impls::replication::raft::StateMachine;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::time::Duration;
use storage::Store;

/// What all nodes of a cluster know.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many nodes there are, all of them voters.
    pub nodes: u16,
    /// How long a tick takes.
    pub tick: Duration,
    /// How many ticks a follower waits for a leader, at least; at most one less than twice that.
    pub election_ticks: usize,
    /// Every how many ticks a leader says that it is one.
    pub heartbeat_ticks: usize,
    /// Every how many ticks reads are asked for again that have no index yet.
    pub read_again_ticks: usize,
    /// Bytes of entries in one message.
    pub bytes_per_message: u64,
    /// Messages of entries to one node that are not answered.
    pub messages_in_flight: usize,
    /// Entries that are applied before a snapshot is taken. At least 1.
    pub snapshot_after: u64,
    /// Entries that stay in the log behind a snapshot.
    pub log_kept: u64,
}

impl Config {
    /// `nodes` voters. Timeouts are those of our own Raft; snapshots are frequent, so that they are
    /// exercised.
    pub fn new(nodes: u16) -> Config {
        Config {
            nodes,
            tick: Duration::from_millis(5),
            election_ticks: 20,
            heartbeat_ticks: 5,
            read_again_ticks: 10,
            bytes_per_message: 256 << 10,
            messages_in_flight: 16,
            snapshot_after: 20,
            log_kept: 5,
        }
    }
}

/// A trial of it in the worlds that it runs in.
pub fn trial<S>() -> Trial<'static, S::Command>
where
    S: StateMachine<Command: Operation<Ret = S::Ret>>,
{
    Trial::of::<Tikv<S>>(Config::new).worlds(&[WorldName::Swarm, WorldName::Sim])
}

/// Names of timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// The crate's clock.
    Tick,
    /// A snapshot that was sent to that node has not been answered.
    Snapshot(NodeId),
}

/// One node.
pub struct Tikv<S: StateMachine> {
    id: NodeId,
    raw: RawNode<Store>,
    machine: S,
    /// The last entry that `machine` has seen.
    applied: u64,
    /// How long to wait for a leader, in ticks.
    election_ticks: usize,
    /// Ticks until reads are asked for again.
    read_again_in: usize,
    /// Term, role and leader when they were last looked at.
    seen: (u64, StateRole, u64),
    /// Clients that asked this node.
    waiting: BTreeMap<ClientId, Waiting<S::Command>>,
    /// The last command of each client that this leader took in its term.
    taken: BTreeMap<ClientId, RequestId>,
}

type Out<S> = Vec<Effect<Tikv<S>>>;

/// What one step has at hand.
struct Cx<'a, S: StateMachine> {
    config: &'a Config,
    out: &'a mut Out<S>,
}

impl<S: StateMachine> Protocol for Tikv<S> {
    type Config = Config;
    type Msg = Msg<S::Command>;
    type Timer = Timer;
    type Op = S::Command;
    type Ret = S::Ret;
    type Durable = Disk;

    fn boot(config: &Config, id: NodeId, disk: &Disk, out: &mut Out<S>) -> Tikv<S> {
        let snapshot = disk.snapshot.as_ref();
        let machine = snapshot.map_or_else(S::default, |snapshot| machine_of(&snapshot.pb()));
        let applied = snapshot.map_or(0, |snapshot| snapshot.index);
        let voters = (0..config.nodes).map(|node| number(NodeId(node))).collect();
        let raw = RawNode::new(
            &raft::Config {
                id: number(id),
                election_tick: config.election_ticks,
                heartbeat_tick: config.heartbeat_ticks,
                applied,
                max_size_per_msg: config.bytes_per_message,
                max_inflight_msgs: config.messages_in_flight,
                check_quorum: true,
                pre_vote: true,
                ..raft::Config::default()
            },
            Store::new(voters, disk),
            &slog::Logger::root(slog::Discard, slog::o!()),
        );
        let raw = raw.unwrap_or_else(|error| panic!("{id} does not start: {error}"));
        let mut node = Tikv {
            id,
            raw,
            machine,
            applied,
            election_ticks: config.election_ticks,
            read_again_in: config.read_again_ticks,
            seen: (0, StateRole::Follower, 0),
            waiting: BTreeMap::new(),
            taken: BTreeMap::new(),
        };
        // Nodes that start together do not tick together.
        out.push(Effect::SetTimer { timer: Timer::Tick, after: Duration::ZERO..config.tick });
        let cx = &mut Cx { config, out };
        node.choose_timeout(cx);
        node.settle(cx);
        node
    }

    fn step(&mut self, config: &Config, _: Time, input: Input<Tikv<S>>, out: &mut Out<S>) {
        let cx = &mut Cx { config, out };
        match input {
            Input::Request { client, id, op } => self.request(cx, client, id, op),
            Input::Msg { msg: Msg::Raft(bytes), .. } => {
                let msg = eraftpb::Message::parse_from_bytes(&bytes);
                let msg = msg.expect("what a node wrote, and no world lets be altered, can be read");
                // An error says that the message was ignored.
                let _ = self.raw.step(msg);
            }
            Input::Msg { from, msg: Msg::Forward { term, client, id, command } } => {
                self.forwarded(cx, from, term, client, id, &command);
            }
            Input::Timer(Timer::Tick) => {
                cx.out.push(Effect::SetTimer { timer: Timer::Tick, after: config.tick..config.tick });
                self.raw.tick();
                self.read_again(config);
            }
            Input::Timer(Timer::Snapshot(to)) => {
                self.raw.report_snapshot(number(to), SnapshotStatus::Failure);
            }
            Input::Chosen { pick, .. } => self.election_ticks = config.election_ticks + pick as usize,
        }
        self.settle(cx);
    }
}

impl<S: StateMachine> Tikv<S> {
    /// Does all that the crate wants done.
    fn settle(&mut self, cx: &mut Cx<'_, S>) {
        loop {
            // Whatever the crate drew in the last call.
            self.raw.raft.set_randomized_election_timeout(self.election_ticks);
            self.look(cx);
            if !self.raw.has_ready() {
                break;
            }
            self.do_ready(cx);
        }
        self.read(cx);
        self.compact(cx);
    }

    /// Sees whether term, role or leader have changed.
    fn look(&mut self, cx: &mut Cx<'_, S>) {
        let raft = &self.raw.raft;
        let now = (raft.term, raft.state, raft.leader_id);
        let (term, role, leader) = std::mem::replace(&mut self.seen, now);
        if now == (term, role, leader) {
            return;
        }
        self.choose_timeout(cx);
        if now.0 != term {
            self.taken.clear();
        }
        if now.1 == StateRole::Leader && role != StateRole::Leader {
            cx.note("elected", format!("in term {}", now.0));
        }
        self.pursue_all(cx);
    }

    /// Has the world choose how long to wait for a leader next.
    fn choose_timeout(&self, cx: &mut Cx<'_, S>) {
        let n = u32::try_from(cx.config.election_ticks).expect("ticks are few");
        cx.out.push(Effect::Choose { key: 0, n });
    }

    fn do_ready(&mut self, cx: &mut Cx<'_, S>) {
        let mut ready = self.raw.ready();
        self.send(cx, ready.take_messages());
        let snapshot = Some(ready.snapshot()).filter(|snapshot| !snapshot.is_empty()).cloned();
        if let Some(snapshot) = &snapshot {
            self.machine = machine_of(snapshot);
            self.applied = snapshot.get_metadata().index;
            cx.note("snapshot-installed", format!("to {}", self.applied));
        }
        // The crate only gives what is committed and durable here.
        self.apply(cx, &ready.take_committed_entries());
        for read in ready.take_read_states() {
            self.readable(&read);
        }
        let entries = ready.take_entries();
        let record = Record::Ready {
            hard_state: ready.hs().map(HardState::of),
            snapshot: snapshot.as_ref().map(Snapshot::of),
            entries: entries.iter().map(Entry::of).collect(),
        };
        if !record.is_empty() {
            // Told to be durable before it is: nothing leaves the node, and nothing reaches it, until it
            // is, and if it never will be, all that the crate believes is forgotten.
            cx.out.push(Effect::Persist(record));
            self.raw.mut_store().write(snapshot, entries);
        }
        self.send(cx, ready.take_persisted_messages());
        let mut light = self.raw.advance(ready);
        self.send(cx, light.take_messages());
        self.apply(cx, &light.take_committed_entries());
        self.raw.advance_apply();
    }

    fn send(&mut self, cx: &mut Cx<'_, S>, messages: Vec<eraftpb::Message>) {
        for msg in messages {
            let to = node(msg.to);
            if msg.get_msg_type() == eraftpb::MessageType::MsgSnapshot {
                let wait = cx.config.tick * u32::try_from(cx.config.election_ticks).expect("ticks are few");
                cx.out.push(Effect::SetTimer { timer: Timer::Snapshot(to), after: wait..wait });
            }
            cx.out.push(Effect::Send { to, msg: Msg::of(&msg) });
        }
    }

    fn apply(&mut self, cx: &mut Cx<'_, S>, entries: &[eraftpb::Entry]) {
        for entry in entries {
            assert_eq!(entry.index, self.applied + 1, "entries are applied one after the other");
            self.applied = entry.index;
            // A new leader's first entry is empty.
            if !entry.data.is_empty() {
                self.apply_command(cx, entry);
            }
        }
    }

    /// Takes a snapshot, if enough was applied since the last one.
    fn compact(&mut self, cx: &mut Cx<'_, S>) {
        let Config { snapshot_after, log_kept, .. } = *cx.config;
        let store = self.raw.store();
        let snapshot = store.snapshot_index();
        if self.applied < snapshot + snapshot_after {
            return;
        }
        let data = postcard::to_allocvec(&self.machine).expect("plain data can be written");
        let snapshot = store.snapshot_at(self.applied, data);
        let base = store.id_at(self.applied.saturating_sub(log_kept).max(store.base().0));
        cx.note("snapshot-taken", format!("to {}", self.applied));
        cx.out.push(Effect::Persist(Record::Compaction { snapshot: Snapshot::of(&snapshot), base }));
        self.raw.mut_store().compact(snapshot, base);
    }
}

/// The state machine that a snapshot holds.
fn machine_of<S: StateMachine>(snapshot: &eraftpb::Snapshot) -> S {
    postcard::from_bytes(&snapshot.data)
        .expect("what a node wrote, and no driver lets be damaged, can be read")
}

/// A node as the crate knows it: there is no number 0.
fn number(node: NodeId) -> u64 {
    u64::from(node.0) + 1
}

fn node(number: u64) -> NodeId {
    NodeId(u16::try_from(number - 1).expect("the crate sends to nodes that it was told of"))
}

impl<S: StateMachine> Cx<'_, S> {
    fn note(&mut self, kind: &str, detail: String) {
        self.out.push(Effect::Note(Note { kind: kind.to_owned(), detail }));
    }
}

impl<S: StateMachine> Debug for Tikv<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raft = &self.raw.raft;
        f.debug_struct("Tikv")
            .field("id", &self.id)
            .field("state", &raft.state)
            .field("term", &raft.term)
            .field("leader", &raft.leader_id)
            .field("committed", &raft.raft_log.committed)
            .field("applied", &self.applied)
            .finish_non_exhaustive()
    }
}

/// There is no second one like it.
impl<S: StateMachine> Clone for Tikv<S> {
    fn clone(&self) -> Self {
        panic!(
            "a node of the crate raft cannot be cloned, so the model world cannot run it; run it in the swarm \
             or in the simulated network"
        );
    }
}

/// A node is itself, and no other.
impl<S: StateMachine> PartialEq for Tikv<S> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl<S: StateMachine> Hash for Tikv<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}
