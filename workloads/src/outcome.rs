//! What came of a run, whatever world it was in.

use crate::trace::Trace;
use shakedown_checkers::history::History;
use shakedown_impls::protocol::NodeId;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the clients saw, and what the nemesis did.
    pub history: History,
    /// Requests that the healed cluster did not answer in time.
    pub unanswered: u32,
    /// A node that panicked or did what the boundary forbids. The run ends there.
    pub broke: Option<Broke>,
    /// What happened, counted.
    pub counts: Counts,
    /// For each fault of the plan, how often it changed anything: 0 says that it was vacuous.
    pub effects: Vec<u64>,
    /// What happened, line by line, if that was asked for.
    pub trace: Option<Trace>,
}

/// A node that broke the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broke {
    /// Which one.
    pub node: NodeId,
    /// What it did.
    pub how: String,
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
