//! A register that any number of nodes hold and any of them serves: reads and writes by majority.
//!
//! **Problem.** Clients read and write named registers; nodes crash and come back, messages are lost,
//! repeated and late. Every operation must look as if it had happened at one moment between its
//! request and its answer (linearizability), on every key.
//!
//! **How.** A node that gets a request coordinates it in two rounds, each answered by a majority:
//!
//! ```text
//!  client     coordinator        every node (the coordinator too)
//!    |--write v-->|---query key------->|
//!    |            |<--tag, value-------|   of a majority: the largest tag, t
//!    |            |---store t', v----->|   t' = (t.counter + 1, this write)
//!    |            |<--stored-----------|   durable at a majority
//!    |<--written--|
//! ```
//!
//! A read stores what it found, under the tag it found it with, before it answers: *write-back*.
//! Otherwise a read could return a value that only a minority has, and a later one miss it. If the
//! whole quorum answered with the same tag the value is at a majority already, and the round is saved.
//!
//! **Price.** Two round trips for a write, one or two for a read; nothing is answered without a
//! majority. No operation but read and write: a compare-and-set needs consensus (Herlihy 1991).
//!
//! **Not covered:** requests that arrive twice. A write that does is done again, and may cover a newer
//! one; the model world shows it. Sessions are what helps (Ongaro's thesis, §6.3).
//!
//! **Not for** data that is large, or read far more often than written: there a leader with leases
//! answers reads alone.
//!
//! Source: Attiya, Bar-Noy & Dolev, *Sharing memory robustly in message-passing systems*, J. ACM 1995;
//! several writers by a query round: Lynch & Shvartsman, *Robust emulation of shared memory using
//! dynamic quorum-acknowledged broadcasts*, FTCS 1997. Departures: any node coordinates; a tag names
//! the write, not the writer (see [`Tag`]); messages are sent again until they are answered; disks
//! and restarts, which the papers do not have.

use crate::mutants::Mutants;
pub use crate::object::register::{Key, Op, Ret, Value};
use crate::protocol::{ClientId, Durable, Effect, Input, NodeId, Protocol, RequestId, Time};
use crate::replication::quorum::majority;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// What all nodes of a cluster know.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many nodes there are, numbered from 0.
    pub nodes: u16,
    /// When a round is sent again to those that have not answered. `None`: never, for networks that
    /// lose nothing.
    pub resend_after: Option<Range<Duration>>,
    /// Deliberate mistakes.
    pub mutants: Mutants<Mutant>,
}

impl Config {
    /// `nodes` nodes that send again after 50 to 100 ms.
    pub fn new(nodes: u16) -> Config {
        let resend_after = Some(Duration::from_millis(50)..Duration::from_millis(100));
        Config { nodes, resend_after, mutants: Mutants::default() }
    }

    fn quorum(&self) -> usize {
        let nodes = usize::from(self.nodes);
        if self.mutants.has(Mutant::QuorumOfHalf) { nodes.div_ceil(2) } else { majority(nodes) }
    }

    fn all(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes).map(NodeId)
    }
}

crate::mutants! {
    /// Mistakes that this protocol can be told to make.
    pub enum Mutant {
        /// A read answers with what it found and does not store it at a majority first: a later read
        /// may find the older value again. (Attiya, Bar-Noy & Dolev 1995, §3)
        NoWriteBack = "no-write-back",
        /// A tag names the node that made it instead of the write: two writes that one node
        /// coordinates at a time get equal tags, and nodes keep different values for one tag.
        TagPerNode = "tag-per-node",
        /// A node acknowledges a value before it is durable: a majority that loses power has
        /// acknowledged and forgets. (etcd #14370 made the same mistake in a log.)
        AckBeforeDurable = "ack-before-durable",
        /// Half of the nodes count as a quorum: in a cluster of even size two quorums need not meet.
        QuorumOfHalf = "quorum-of-half",
    }
}

/// The age of a value: larger is newer. Unique for each write, across restarts too, or two nodes
/// could keep different values under one tag and never notice.
///
/// Our own trial made the mistake of naming the node only, and seeded simulation found it: two
/// writes that one node coordinated at the same time chose the same tag.
///
/// In traces `3 by n2:1:0`: the counter, and the write.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// One more than the largest that the write's quorum knew; 0 before any write.
    pub counter: u64,
    /// The write.
    pub write: Option<RoundId>,
}

/// An operation under way, as its coordinator numbers it. In traces `n2:1:0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoundId {
    /// The coordinator.
    pub node: NodeId,
    /// How often it had started: answers to a round of before a crash are none to one of after it.
    pub boots: u32,
    /// How many it had begun since.
    pub number: u32,
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.write {
            Some(write) => write!(f, "{} by {write:?}", self.counter),
            None => f.write_str("none"),
        }
    }
}

impl fmt::Debug for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.node, self.boots, self.number)
    }
}

/// A value and its age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Versioned {
    /// How new it is.
    pub tag: Tag,
    /// What it is; `None` with the tag of no write.
    pub value: Option<Value>,
}

/// What nodes say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Msg {
    /// What do you hold under this key?
    Query(RoundId, Key),
    /// This.
    Holds(RoundId, Versioned),
    /// Hold this, unless you hold something newer.
    Store(RoundId, Key, Versioned),
    /// I hold it, or something newer, and will after a crash.
    Stored(RoundId),
}

/// What a node's disk holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Disk {
    boots: u32,
    registers: BTreeMap<Key, Versioned>,
}

/// A change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Record {
    /// The node has started so often.
    Booted(u32),
    /// A register holds this.
    Stored(Key, Versioned),
}

impl Durable for Disk {
    type Record = Record;

    fn replay(&mut self, record: &Record) {
        match *record {
            Record::Booted(boots) => self.boots = boots,
            Record::Stored(key, versioned) => {
                self.registers.insert(key, versioned);
            }
        }
    }
}

/// One node: replica of every register, coordinator of the requests it got.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Abd {
    id: NodeId,
    disk: Disk,
    begun: u32,
    rounds: BTreeMap<RoundId, Round>,
}

/// An operation that this node coordinates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Round {
    client: ClientId,
    id: RequestId,
    op: Op,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    /// Who holds what.
    Query(BTreeMap<NodeId, Versioned>),
    /// Who has stored it.
    Store(Versioned, BTreeSet<NodeId>),
}

type Out = Vec<Effect<Abd>>;

impl Protocol for Abd {
    type Config = Config;
    type Msg = Msg;
    type Timer = RoundId;
    type Op = Op;
    type Ret = Ret;
    type Durable = Disk;

    fn boot(_: &Config, id: NodeId, disk: &Disk, out: &mut Out) -> Abd {
        let mut disk = disk.clone();
        disk.boots += 1;
        out.push(Effect::Persist(Record::Booted(disk.boots)));
        Abd { id, disk, begun: 0, rounds: BTreeMap::new() }
    }

    fn step(&mut self, config: &Config, _: Time, input: Input<Abd>, out: &mut Out) {
        match input {
            Input::Request { client, id, op } => self.begin(config, Round::new(client, id, op), out),
            Input::Msg { from, msg } => self.hear(config, from, msg, out),
            Input::Timer(round) => self.send_again(config, round, out),
            Input::Chosen { .. } => unreachable!("it never asks for a choice"),
        }
    }
}

impl Round {
    fn new(client: ClientId, id: RequestId, op: Op) -> Round {
        Round { client, id, op, phase: Phase::Query(BTreeMap::new()) }
    }
}

impl Abd {
    /// What this node would tell of `key`, if it were asked.
    pub fn held(&self, key: Key) -> Versioned {
        self.disk.registers.get(&key).copied().unwrap_or_default()
    }

    /// Operations that it coordinates.
    pub fn rounds_open(&self) -> usize {
        self.rounds.len()
    }

    fn begin(&mut self, config: &Config, round: Round, out: &mut Out) {
        let id = RoundId { node: self.id, boots: self.disk.boots, number: self.begun };
        self.begun += 1;
        let query = Msg::Query(id, round.op.key());
        self.rounds.insert(id, round);
        self.set_timer(config, id, out);
        self.ask_all(config, query, out);
    }

    fn hear(&mut self, config: &Config, from: NodeId, msg: Msg, out: &mut Out) {
        match msg {
            Msg::Query(round, key) => self.say(config, from, Msg::Holds(round, self.held(key)), out),
            Msg::Store(round, key, versioned) => {
                let acknowledge_first = config.mutants.has(Mutant::AckBeforeDurable);
                if acknowledge_first {
                    self.say(config, from, Msg::Stored(round), out);
                }
                if versioned.tag > self.held(key).tag {
                    let record = Record::Stored(key, versioned);
                    self.disk.replay(&record);
                    out.push(Effect::Persist(record));
                }
                if !acknowledge_first {
                    self.say(config, from, Msg::Stored(round), out);
                }
            }
            Msg::Holds(id, versioned) => {
                if let Some(Round { phase: Phase::Query(answers), .. }) = self.rounds.get_mut(&id) {
                    answers.insert(from, versioned);
                    self.queried(config, id, out);
                }
            }
            Msg::Stored(id) => {
                if let Some(Round { phase: Phase::Store(_, answers), .. }) = self.rounds.get_mut(&id) {
                    answers.insert(from);
                    self.stored(config, id, out);
                }
            }
        }
    }

    /// Goes on to the second round, if a quorum has answered the first.
    fn queried(&mut self, config: &Config, id: RoundId, out: &mut Out) {
        let Some(Round { op, phase: Phase::Query(answers), .. }) = self.rounds.get(&id) else { return };
        if answers.len() < config.quorum() {
            return;
        }
        let newest = *answers.values().max().expect("a quorum has a member");
        let (op, is_settled) = (*op, answers.values().all(|answer| answer.tag == newest.tag));
        let versioned = match op {
            Op::Read { .. } if is_settled || config.mutants.has(Mutant::NoWriteBack) => {
                return self.finish(id, Ret::Value(newest.value), out);
            }
            Op::Read { .. } => newest,
            Op::Write { value, .. } => {
                let write = match config.mutants.has(Mutant::TagPerNode) {
                    true => RoundId { boots: 0, number: 0, ..id },
                    false => id,
                };
                let tag = Tag { counter: newest.tag.counter + 1, write: Some(write) };
                Versioned { tag, value: Some(value) }
            }
        };
        let round = self.rounds.get_mut(&id).expect("it was there");
        round.phase = Phase::Store(versioned, BTreeSet::new());
        self.set_timer(config, id, out);
        self.ask_all(config, Msg::Store(id, op.key(), versioned), out);
    }

    /// Answers the client, if a quorum has answered the second round.
    fn stored(&mut self, config: &Config, id: RoundId, out: &mut Out) {
        let Some(Round { op, phase: Phase::Store(versioned, answers), .. }) = self.rounds.get(&id) else {
            return;
        };
        if answers.len() < config.quorum() {
            return;
        }
        let ret = match op {
            Op::Read { .. } => Ret::Value(versioned.value),
            Op::Write { .. } => Ret::Written,
        };
        self.finish(id, ret, out);
    }

    fn finish(&mut self, id: RoundId, ret: Ret, out: &mut Out) {
        let round = self.rounds.remove(&id).expect("only rounds under way finish");
        out.push(Effect::CancelTimer(id));
        out.push(Effect::Reply { client: round.client, id: round.id, ret });
    }

    fn send_again(&mut self, config: &Config, id: RoundId, out: &mut Out) {
        let Some(round) = self.rounds.get(&id) else { return };
        let key = round.op.key();
        let (msg, answered): (Msg, BTreeSet<NodeId>) = match &round.phase {
            Phase::Query(answers) => (Msg::Query(id, key), answers.keys().copied().collect()),
            Phase::Store(versioned, answers) => (Msg::Store(id, key, *versioned), answers.clone()),
        };
        self.set_timer(config, id, out);
        // The node itself has answered: it does so at once.
        for to in config.all().filter(|to| !answered.contains(to)) {
            out.push(Effect::Send { to, msg });
        }
    }

    fn set_timer(&self, config: &Config, id: RoundId, out: &mut Out) {
        if let Some(after) = config.resend_after.clone() {
            out.push(Effect::SetTimer { timer: id, after });
        }
    }

    /// Sends to all others, then answers itself: the others may work while it writes to disk.
    fn ask_all(&mut self, config: &Config, msg: Msg, out: &mut Out) {
        for to in config.all().filter(|&to| to != self.id) {
            out.push(Effect::Send { to, msg });
        }
        self.hear(config, self.id, msg, out);
    }

    fn say(&mut self, config: &Config, to: NodeId, msg: Msg, out: &mut Out) {
        if to == self.id {
            self.hear(config, to, msg, out);
        } else {
            out.push(Effect::Send { to, msg });
        }
    }
}

#[cfg(test)]
mod tests;
