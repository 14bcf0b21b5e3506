//! A node as seen from outside: what invariants are about.

use super::log::{Index, LogId, Term};
use super::{Membership, Raft, Role, StateMachine};
use crate::protocol::NodeId;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleName {
    /// It follows, or waits for somebody to follow.
    Follower,
    /// It asks whether it would be elected.
    PreCandidate,
    /// It asks to be elected.
    Candidate,
    /// It leads.
    Leader,
}

/// A look at a node.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, S: StateMachine>(&'a Raft<S>);

impl<S: StateMachine> Raft<S> {
    /// A look at this node.
    pub fn view(&self) -> View<'_, S> {
        View(self)
    }
}

impl<'a, S: StateMachine> View<'a, S> {
    /// Who it is.
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// What it is.
    pub fn role(&self) -> RoleName {
        match self.0.role {
            Role::Follower => RoleName::Follower,
            Role::PreCandidate(_) => RoleName::PreCandidate,
            Role::Candidate(_) => RoleName::Candidate,
            Role::Leader(_) => RoleName::Leader,
        }
    }

    /// Its term.
    pub fn current_term(&self) -> Term {
        self.0.disk.current_term
    }

    /// Who got its vote in that term.
    pub fn voted_for(&self) -> Option<NodeId> {
        self.0.disk.voted_for
    }

    /// Who leads in that term, as far as it knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.0.leader
    }

    /// What it knows to be committed.
    pub fn commit_index(&self) -> Index {
        self.0.commit_index
    }

    /// What its state machine holds.
    pub fn applied(&self) -> LogId {
        self.0.machine.applied
    }

    /// Equal for equal state machines, sessions included; in practice for no others. Takes time in
    /// proportion to the state.
    pub fn state_digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.machine.hash(&mut hasher);
        hasher.finish()
    }

    /// Its state machine.
    pub fn state(&self) -> &'a S {
        &self.0.machine.state
    }

    /// What stands for the entries that are compacted.
    pub fn log_base(&self) -> LogId {
        self.0.disk.log.base()
    }

    /// The end of its log.
    pub fn log_last(&self) -> LogId {
        self.0.disk.log.last()
    }

    /// The term of the entry at `index`, if that is there, or is the base.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.0.disk.log.term_at(index)
    }

    /// Equal for equal entries; `None` where there is none.
    pub fn digest_at(&self, index: Index) -> Option<u64> {
        self.0.disk.log.get(index).map(|entry| entry.digest())
    }

    /// Up to where each of the other members has a leader's log, as far as the leader knows; of others
    /// nothing.
    pub fn matched(&self) -> impl Iterator<Item = (NodeId, Index)> + 'a {
        let leading = match &self.0.role {
            Role::Leader(leading) => Some(leading),
            _ => None,
        };
        let progress = leading.into_iter().flat_map(|leading| &leading.progress);
        progress.map(|(&node, progress)| (node, progress.match_index))
    }

    /// Who the members are, as its log says.
    pub fn membership(&self) -> &'a Membership {
        self.0.configurations.latest()
    }
}
