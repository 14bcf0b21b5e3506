//! Raft: one log, kept by a majority, that every node applies to its own copy of a state machine.
//!
//! **Problem.** Clients use one object; nodes crash and come back, messages are lost, repeated and late.
//! The object must behave as if there were one copy of it that never fails (linearizability), as long as
//! a majority of its voters can talk to each other; and whatever happens, it must not misbehave.
//!
//! **How.** One node leads. It takes commands into its log and sends them to the others; what a majority
//! holds durably is *committed* and applied, in the log's order, everywhere. If the leader falls silent,
//! a majority elects another, which is certain to hold everything that was committed.
//!
//! ```text
//!  client    a follower          leader                     followers
//!    |--op------>|--Forward-------->|                           |
//!    |           |                  |--AppendEntries----------->| to disk, there
//!    |           |                  | to disk, here             |
//!    |           |                  |<--Appended----------------| a majority has it: committed
//!    |<--ret-----|<--Answer---------| applied                   |
//!    |           |                  |--AppendEntries, committed>| applied there too
//! ```
//!
//! Time is counted in terms, each with one leader at most. Five properties carry the proof (Figure 3), and
//! `properties.rs` checks them from outside: election safety, leader append-only, log matching, leader
//! completeness, state machine safety.
//!
//! **Price.** One round trip to a majority and two disk writes in sequence for a command, if it reached
//! the leader; one round trip for a read, or none under a lease; nothing without a majority. After a
//! leader is lost the cluster stands still for one or two election timeouts.
//!
//! **Not for** data too large for one node, or a network where nodes lie: Raft survives crashes, not
//! corruption on purpose.
//!
//! # Reading it
//!
//! | file | what | paper |
//! |---|---|---|
//! | `log.rs`, `disk.rs` | entries, and what is durable | §5.3, Figure 2 |
//! | `election.rs` | votes, PreVote, what a new leader does | §5.2, §5.4.1; thesis §9.6, §4.2.3 |
//! | `replicate.rs`, `progress.rs` | sending, repairing and committing entries | §5.3, §5.4.2 |
//! | `rounds.rs`, `reads.rs` | reads, leases, CheckQuorum | §8; thesis §6.2, §6.4 |
//! | `snapshots.rs` | compaction, sending a snapshot | §7 |
//! | `membership.rs`, `change.rs` | who the members are, and changing that | §6; thesis §4 |
//! | `transfer.rs` | handing over | thesis §3.10 |
//! | `requests.rs`, `sessions.rs` | clients: forwarding, and once only | §8; thesis §6.3 |
//! | `mutant.rs` | famous mistakes | |
//!
//! # What clients may rely on
//!
//! - A command that is answered is committed, and was applied once, however often it arrived. One that is
//!   not answered may have been applied, and may yet be.
//! - Any node takes any request: it holds it until there is an answer, sends it to the leader it knows,
//!   and once more whenever it hears of a later one or has waited for an election timeout. Nobody else
//!   passes a request on, so requests do not run in circles.
//! - A client has one request open at a time, and gives its requests growing numbers.
//!
//! Source: Ongaro & Ousterhout, *In Search of an Understandable Consensus Algorithm*, extended version, 2014
//! (sections as §5.2); Ongaro, *Consensus: Bridging Theory and Practice*, 2014 (as thesis §6.4). Departures
//! are listed in `docs/raft-departures.md`.

mod change;
mod disk;
mod election;
mod limits;
pub mod log;
mod machine;
pub mod membership;
mod message;
mod mutant;
pub mod progress;
pub mod properties;
mod reads;
mod replicate;
mod requests;
pub mod rounds;
pub mod sessions;
mod snapshots;
mod symmetry;
#[cfg(test)]
mod tests;
mod transfer;
mod view;

pub use disk::{Disk, Record, Snapshot};
pub use limits::Limits;
pub use log::{Entry, Index, LogId, Payload, Term};
pub use machine::{Counter, Elements, Journal, Lists, Registers, StateMachine, Store};
pub use membership::{Change, Membership};
pub use message::{Campaign, Mark, Msg, Outcome};
pub use mutant::Mutant;
pub use view::{RoleName, View};

use crate::mutants::Mutants;
use crate::protocol::{Data, Effect, Input, NodeId, Note, Protocol, Time};
use change::Configurations;
use election::Votes;
use machine::Machine;
use replicate::Leadership;
use requests::Held;
use serde::{Deserialize, Serialize};
use snapshots::Incoming;
use std::time::Duration;

/// What all nodes of a cluster know.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many nodes there are to talk to, numbered from 0; members or not.
    pub nodes: u16,
    /// Who votes as long as the log says nothing else.
    pub voters: Vec<NodeId>,
    /// How long a follower waits for a leader, at least; at most twice that. Far above a round trip and
    /// a disk write (§5.6).
    pub election_timeout: Duration,
    /// How often a leader says that it is one.
    pub heartbeat: Duration,
    /// Whether a node asks first whether it would be elected.
    pub has_pre_vote: bool,
    /// Whether a leader that hears from no quorum steps down, and those that hear from a leader refuse
    /// their votes to others (thesis §4.2.3, §6.2).
    pub has_check_quorum: bool,
    /// How reads are made safe.
    pub reads: Reads,
    /// How long a leader lets commands gather before it writes and sends them together. Zero: until it
    /// has taken everything that has arrived. `None`: it does not.
    pub batch_after: Option<Duration>,
    /// Everything else that is bounded.
    pub limits: Limits,
    /// Deliberate mistakes.
    pub mutants: Mutants<Mutant>,
}

/// How a leader knows, when it answers a read, that it still is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// It asks a quorum. Needs no clock.
    ReadIndex,
    /// It asked a quorum not long ago; see the module `rounds` for what clocks must keep.
    Lease {
        /// By how many thousandths any node's clock and timers may run fast or slow.
        clock_drift_permille_max: u16,
    },
}

impl Config {
    /// `nodes` voters, with PreVote, CheckQuorum and ReadIndex.
    pub fn new(nodes: u16) -> Config {
        Config {
            nodes,
            voters: (0..nodes).map(NodeId).collect(),
            election_timeout: Duration::from_millis(100),
            heartbeat: Duration::from_millis(25),
            has_pre_vote: true,
            has_check_quorum: true,
            reads: Reads::ReadIndex,
            batch_after: Some(Duration::ZERO),
            limits: Limits::default(),
            mutants: Mutants::default(),
        }
    }

    /// `nodes` voters and nothing but the paper's algorithm: for model checking, where each message and
    /// each timer more multiplies what there is to look at.
    pub fn plain(nodes: u16) -> Config {
        Config { has_pre_vote: false, has_check_quorum: false, batch_after: None, ..Config::new(nodes) }
    }

    /// Whether followers of a leader refuse their votes to others.
    fn is_loyal(&self) -> bool {
        self.has_check_quorum || matches!(self.reads, Reads::Lease { .. })
    }
}

/// What clients ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Op<C: Data> {
    /// Something of the state machine.
    Command(C),
    /// Another membership.
    Change(Change),
    /// Another leader.
    Transfer(NodeId),
}

/// What clients are answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Ret<R: Data> {
    /// The state machine's answer.
    Done(R),
    /// The members are as was asked.
    Changed,
    /// The node leads.
    Leads,
    /// No. An administrator's request may come true all the same, if it was sent to an earlier leader
    /// too; it can be repeated.
    Refused(Refusal),
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// Another change or transfer is under way, or the leader is too new to know: ask again.
    Busy,
    /// The node has to be a learner first.
    NotALearner,
    /// The learner has not caught up yet: ask again.
    Behind,
    /// Nobody would vote any more.
    NoVoters,
    /// There is no such node, or it does not vote and cannot lead.
    NoSuchVoter,
    /// The node has not become leader in an election timeout.
    NotTaken,
}

/// Names of timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// No leader was heard from for too long; of a leader: time to see whether it is followed.
    Election,
    /// A leader says that it is one.
    Heartbeat,
    /// A leader writes and sends what has gathered.
    Batch,
    /// A leader that hands over gives it up.
    Transfer,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Raft<S: StateMachine> {
    id: NodeId,
    disk: Disk<S::Command>,
    /// Who the members are and were, as the log says.
    configurations: Configurations,
    commit_index: Index,
    machine: Machine<S>,
    role: Role<S>,
    /// The leader of the current term, if it is known.
    leader: Option<NodeId>,
    /// It was heard from within an election timeout: the election timer is in its first part, in which
    /// nobody else gets this node's vote.
    hears_leader: bool,
    held: Held<S::Command>,
    incoming: Option<Incoming>,
}

/// What a node is in its term (Figure 4).
#[derive(Clone, Debug, PartialEq, Hash)]
enum Role<S: StateMachine> {
    Follower,
    /// It asks whether it would be elected.
    PreCandidate(Votes),
    Candidate(Votes),
    Leader(Box<Leadership<S>>),
}

type Out<S> = Vec<Effect<Raft<S>>>;
type MsgOf<S> = Msg<<S as StateMachine>::Command, <S as StateMachine>::Ret>;
type RetOf<S> = Ret<<S as StateMachine>::Ret>;
type RecordOf<S> = Record<<S as StateMachine>::Command>;

/// What one step has at hand.
struct Cx<'a, S: StateMachine> {
    config: &'a Config,
    now: Time,
    out: &'a mut Out<S>,
}

impl<S: StateMachine> Protocol for Raft<S> {
    type Config = Config;
    type Msg = MsgOf<S>;
    type Timer = Timer;
    type Op = Op<S::Command>;
    type Ret = RetOf<S>;
    type Durable = Disk<S::Command>;

    fn boot(config: &Config, id: NodeId, disk: &Disk<S::Command>, out: &mut Out<S>) -> Raft<S> {
        let machine = disk.snapshot.as_ref().map_or_else(Machine::default, |s| Machine::from_bytes(&s.data));
        let mut raft = Raft {
            id,
            disk: disk.clone(),
            configurations: Configurations::of(config, disk),
            commit_index: machine.applied.index,
            machine,
            role: Role::Follower,
            leader: None,
            hears_leader: false,
            held: Held::default(),
            incoming: None,
        };
        let mut cx = Cx { config, now: Time(0), out };
        // A leader may hold a lease on this node's promise of before.
        let has_promised = matches!(config.reads, Reads::Lease { .. })
            && *disk != Disk::default()
            && !cx.has(Mutant::LeaseForgottenAtRestart);
        raft.wait_for_leader(&mut cx, has_promised);
        raft
    }

    fn step(&mut self, config: &Config, now: Time, input: Input<Raft<S>>, out: &mut Out<S>) {
        let cx = &mut Cx { config, now, out };
        if let Role::Leader(leading) = &mut self.role {
            leading.rounds.watch(now);
        }
        match input {
            Input::Request { client, id, op } => self.request(cx, client, id, op),
            Input::Msg { from, msg } => self.hear(cx, from, msg),
            Input::Timer(Timer::Election) if self.is_leader() => self.check_quorum(cx),
            Input::Timer(Timer::Election) => self.leader_is_silent(cx),
            Input::Timer(Timer::Heartbeat) => self.heartbeat(cx),
            Input::Timer(Timer::Batch) => self.flush(cx),
            Input::Timer(Timer::Transfer) => self.give_transfer_up(cx),
            Input::Chosen { .. } => unreachable!("it never asks for a choice"),
        }
    }

    fn cuts_damaged_log(config: &Config) -> bool {
        config.mutants.has(Mutant::DamagedLogCutOff)
    }
}

impl<S: StateMachine> Raft<S> {
    fn hear(&mut self, cx: &mut Cx<'_, S>, from: NodeId, msg: MsgOf<S>) {
        match msg {
            Msg::RequestVote { term, last_log, campaign } => {
                self.asked_for_vote(cx, from, term, last_log, campaign)
            }
            Msg::Vote { term, campaign, granted } => self.voted(cx, from, term, campaign, granted),
            Msg::AppendEntries { term, prev, entries, leader_commit, mark } => {
                if self.obey(cx, from, term, mark) {
                    self.append_entries(cx, from, prev, entries, leader_commit, mark);
                }
            }
            Msg::Appended { term, mark, outcome } => self.appended(cx, from, term, mark, outcome),
            Msg::InstallSnapshot { term, mark, part, offset, is_last } => {
                if self.obey(cx, from, term, mark) {
                    self.install_part(cx, from, mark, part, offset, is_last);
                }
            }
            Msg::Received { term, mark, last, bytes } => {
                self.received_part(cx, from, term, mark, last, bytes);
            }
            Msg::TimeoutNow { term } => self.take_over(cx, term),
            Msg::Forward { client, id, op } => self.forwarded(cx, from, client, id, op),
            Msg::Answer { client, id, ret } => self.answered_by(cx, from, client, id, ret),
            Msg::NotLeader { client, id, leader } => self.redirected(cx, client, id, leader),
        }
    }

    /// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to
    /// follower" (§5.1).
    fn see_term(&mut self, cx: &mut Cx<'_, S>, term: Term) {
        if term > self.disk.current_term {
            if cx.has(Mutant::VoteAndTermApart) {
                let current_term = self.disk.current_term;
                self.persist(cx, Record::HardState { current_term, voted_for: None });
            }
            self.persist(cx, Record::HardState { current_term: term, voted_for: None });
            self.become_follower(cx, None);
        }
    }

    /// Whether what claims to be a leader's message is one. Then that leader is followed.
    fn obey(&mut self, cx: &mut Cx<'_, S>, from: NodeId, term: Term, mark: Mark) -> bool {
        if term < self.disk.current_term && !cx.has(Mutant::OldLeaderObeyed) {
            // It learns from the answer that its time is over.
            let outcome = Outcome::Outdated;
            cx.send(from, Msg::Appended { term: self.disk.current_term, mark, outcome });
            return false;
        }
        self.see_term(cx, term);
        if self.is_leader() {
            assert!(cx.has_any(), "{from} leads in {term:?}, and so does {}", self.id);
            return false;
        }
        if cx.has(Mutant::VoteClearedByAppend) {
            let current_term = self.disk.current_term;
            self.persist(cx, Record::HardState { current_term, voted_for: None });
        }
        match self.leader == Some(from) && matches!(self.role, Role::Follower) {
            true => {
                self.wait_for_leader(cx, true);
                self.pursue_late(cx);
            }
            false => self.become_follower(cx, Some(from)),
        }
        true
    }

    /// Becomes a follower in the current term, of that leader if it is known.
    fn become_follower(&mut self, cx: &mut Cx<'_, S>, leader: Option<NodeId>) {
        let role = std::mem::replace(&mut self.role, Role::Follower);
        if self.leader != leader {
            self.incoming = None;
        }
        self.leader = leader;
        if let Role::Leader(leading) = role {
            self.lead_no_more(cx, *leading);
        }
        // A promise to a leader outlives the term in which it was made.
        self.wait_for_leader(cx, leader.is_some() || self.hears_leader);
        if leader.is_some() {
            self.pursue_all(cx);
        }
    }

    /// Changes what is durable. What comes later in the step waits for it.
    fn persist(&mut self, cx: &mut Cx<'_, S>, record: RecordOf<S>) {
        use crate::protocol::Durable;
        self.disk.replay(&record);
        if !cx.has(Mutant::NothingDurable) {
            cx.out.push(Effect::Persist(record));
        }
    }

    fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// The members that count: the latest that the log names, committed or not (§6).
    fn membership(&self, cx: &Cx<'_, S>) -> &Membership {
        if cx.has(Mutant::ConfigOnCommit) {
            return self.configurations.as_of(self.commit_index);
        }
        self.configurations.latest()
    }
}

impl<S: StateMachine> Cx<'_, S> {
    fn has(&self, mutant: Mutant) -> bool {
        self.config.mutants.has(mutant)
    }

    /// Whether any mistake is made on purpose.
    fn has_any(&self) -> bool {
        self.config.mutants != Mutants::default()
    }

    fn send(&mut self, to: NodeId, msg: MsgOf<S>) {
        self.out.push(Effect::Send { to, msg });
    }

    fn set_timer(&mut self, timer: Timer, after: std::ops::Range<Duration>) {
        self.out.push(Effect::SetTimer { timer, after });
    }

    fn cancel_timer(&mut self, timer: Timer) {
        self.out.push(Effect::CancelTimer(timer));
    }

    fn note(&mut self, kind: &str, detail: String) {
        self.out.push(Effect::Note(Note { kind: kind.to_owned(), detail }));
    }
}
