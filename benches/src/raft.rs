//! Clusters in memory under the same load: a window of proposals is always outstanding, at the leader.
//!
//! No faults, no latency, no clock: nobody ticks, messages are handed over as values, and what is to be
//! made durable is at once. What is measured is what an implementation itself costs for a proposal, on
//! all nodes together, which share one thread.
//!
//! Payloads are other bytes for each proposal, made before the clock starts, and shared by whoever can share
//! them. Logs are kept in memory and not compacted: a burst is short. The state machine counts.
//!
//! Those that do no I/O ([`ours`], [`tikv`]) are run by the same loop: a node takes all that has arrived,
//! then what is free of the window, then says what there is to say. So both take what has gathered as one
//! batch, and a message may hold all of it. [`openraft`] is a set of tasks that decide that themselves.

pub mod openraft;
pub mod ours;
pub mod tikv;

use crate::thread_cpu;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Proposals that are outstanding.
pub const WINDOW: usize = 64;

/// What is replicated: how much there was.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sink {
    /// Proposals applied.
    pub applied: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Sink {
    /// One more proposal.
    pub fn take(&mut self, payload: &[u8]) -> u64 {
        self.applied += 1;
        self.bytes += payload.len() as u64;
        self.applied
    }
}

/// What a burst cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// By the clock.
    pub elapsed: Duration,
    /// Of the processor, for the thread: user and system.
    pub cpu: Duration,
}

/// A cluster with a leader.
pub trait Cluster {
    /// Gets ready to propose `payload` so often.
    fn stock(&mut self, proposals: usize, payload: &str);

    /// Has `proposals` proposals of the stock answered, [`WINDOW`] of them outstanding.
    fn burst(&mut self, proposals: usize);

    /// What the leader has applied.
    fn applied(&self) -> Sink;
}

/// Measures a burst, and sees that all of it happened.
pub fn measure(cluster: &mut dyn Cluster, proposals: usize, payload: &str) -> Cost {
    let before = cluster.applied();
    cluster.stock(proposals, payload);
    let (start, cpu) = (std::time::Instant::now(), thread_cpu());
    cluster.burst(proposals);
    let cost = Cost { elapsed: start.elapsed(), cpu: thread_cpu() - cpu };
    let after = cluster.applied();
    assert_eq!(after.applied - before.applied, proposals as u64);
    assert_eq!(after.bytes - before.bytes, (proposals * payload.len()) as u64);
    cost
}

/// A node that does no I/O itself.
pub trait Node {
    /// What nodes say to each other.
    type Msg;

    /// Has it become leader.
    fn campaign(&mut self, out: &mut Vec<(usize, Self::Msg)>);

    /// A message from another node.
    fn hear(&mut self, from: usize, msg: Self::Msg, out: &mut Vec<(usize, Self::Msg)>);

    /// Gets ready to propose `payload` so often.
    fn stock(&mut self, count: usize, payload: &str);

    /// So many proposals, at a leader.
    fn propose(&mut self, count: usize, out: &mut Vec<(usize, Self::Msg)>);

    /// It has taken all that has arrived.
    fn settle(&mut self, out: &mut Vec<(usize, Self::Msg)>);

    /// How many proposals were answered since the last call.
    fn answered(&mut self) -> usize;

    /// Its state machine.
    fn sink(&self) -> Sink;
}

/// Nodes, of which the first leads, and what has arrived at them: first in, first out.
pub struct Queues<N: Node> {
    nodes: Vec<N>,
    inboxes: Vec<Vec<(usize, N::Msg)>>,
    /// What a node has said in its turn; empty between turns.
    out: Vec<(usize, N::Msg)>,
}

impl<N: Node> Queues<N> {
    /// A cluster of these nodes; the first of them becomes leader.
    pub fn new(nodes: Vec<N>) -> Queues<N> {
        let inboxes = nodes.iter().map(|_| vec![]).collect();
        let mut cluster = Queues { nodes, inboxes, out: vec![] };
        cluster.nodes[0].campaign(&mut cluster.out);
        cluster.turn(0, 0);
        while cluster.inboxes.iter().any(|inbox| !inbox.is_empty()) {
            cluster.round(0);
        }
        cluster
    }

    /// Each node in turn. The leader gets so many proposals.
    fn round(&mut self, proposals: usize) {
        self.turn(0, proposals);
        for node in 1..self.nodes.len() {
            self.turn(node, 0);
        }
    }

    fn turn(&mut self, at: usize, proposals: usize) {
        let node = &mut self.nodes[at];
        for (from, msg) in self.inboxes[at].drain(..) {
            node.hear(from, msg, &mut self.out);
        }
        if proposals > 0 {
            node.propose(proposals, &mut self.out);
        }
        node.settle(&mut self.out);
        for (to, msg) in self.out.drain(..) {
            self.inboxes[to].push((at, msg));
        }
    }
}

impl<N: Node> Cluster for Queues<N> {
    fn stock(&mut self, proposals: usize, payload: &str) {
        self.nodes[0].stock(proposals, payload);
    }

    fn burst(&mut self, proposals: usize) {
        let (mut proposed, mut answered, mut rounds) = (0, 0, 0);
        while answered < proposals {
            let free = (WINDOW - (proposed - answered)).min(proposals - proposed);
            self.round(free);
            proposed += free;
            answered += self.nodes[0].answered();
            rounds += 1;
            assert!(rounds <= 10 * proposals, "it stands still: {answered} of {proposed} were answered");
        }
    }

    fn applied(&self) -> Sink {
        self.nodes[0].sink()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_answers_all_proposals() {
        for nodes in [1, 3, 5] {
            let mut clusters: Vec<Box<dyn Cluster>> = vec![
                Box::new(ours::cluster(nodes)),
                Box::new(tikv::cluster(nodes)),
                Box::new(openraft::Tasks::new(nodes)),
            ];
            for cluster in &mut clusters {
                for proposals in [1, WINDOW, 10 * WINDOW + 1] {
                    measure(&mut **cluster, proposals, "some bytes");
                }
            }
        }
    }
}
