//! What came of a run, whatever world it was in.

use crate::trace::Trace;
use shakedown_checkers::history::History;
use shakedown_impls::protocol::{NodeId, Protocol};
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the clients saw, and what the nemesis did.
    pub history: History,
    /// Requests that the healed cluster did not answer in time.
    pub unanswered: u32,
    /// A node that panicked or did what the boundary forbids. The run ends there.
    pub broke: Option<Broke>,
    /// Whether it was stopped before its end: what came of it says nothing then.
    pub is_stopped: bool,
    /// What happened, counted.
    pub counts: Counts,
    /// How often nodes remarked what, by the kind of remark: `elected`.
    pub notes: BTreeMap<String, u64>,
    /// For each fault of the plan, how often it changed anything: 0 says that it was vacuous.
    pub effects: Vec<u64>,
    /// What happened, line by line, if that was asked for.
    pub trace: Option<Trace>,
}

/// A node that broke the rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broke {
    /// Which one.
    pub node: NodeId,
    /// Which rules.
    pub rules: Rules,
    /// What it did.
    pub how: String,
}

/// What a node can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rules {
    /// Those of [`shakedown_impls::protocol`], or it panicked.
    Boundary,
    /// What its protocol promises of its nodes at all times, whatever clients see ([`Watch`]).
    Invariant,
    /// What a component promises, which stands on no node.
    Component,
}

impl Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broke { node, rules, how } = self;
        match rules {
            Rules::Boundary => write!(f, "{node} broke the rules of the boundary: {how}"),
            Rules::Invariant => write!(f, "{node} broke an invariant of its protocol: {how}"),
            Rules::Component => write!(f, "it broke its promise: {how}"),
        }
    }
}

/// Somebody who looks at the nodes of a run whenever something has happened to one, and knows what must
/// always hold of them.
pub trait Watch<P: Protocol> {
    /// A node has started, or taken a step, and everything that it wanted done is done: what it knows is
    /// durable as far as it said so. `Err`: what must not be.
    fn saw(&mut self, node: NodeId, state: &P) -> Result<(), String>;

    /// A node has lost what it had in memory.
    fn crashed(&mut self, node: NodeId);
}

/// Nobody looks.
impl<P: Protocol> Watch<P> for () {
    fn saw(&mut self, _: NodeId, _: &P) -> Result<(), String> {
        Ok(())
    }

    fn crashed(&mut self, _: NodeId) {}
}

/// What happened in a run, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events handled.
    pub events: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages lost.
    pub lost: u64,
    /// Answers that showed what another operation did.
    pub seen: u64,
    /// Starts of nodes after the first.
    pub restarts: u64,
    /// Records that a crash caught unwritten.
    pub records_lost: u64,
    /// Records of which a bit had rotted, and that were repaired.
    pub records_repaired: u64,
    /// Nodes that refused to start from a damaged disk.
    pub disks_refused: u64,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Counts) {
        self.events += other.events;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.seen += other.seen;
        self.restarts += other.restarts;
        self.records_lost += other.records_lost;
        self.records_repaired += other.records_repaired;
        self.disks_refused += other.disks_refused;
    }
}
