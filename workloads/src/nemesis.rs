//! Faults as data: a plan says what goes wrong, from when to when. So it can be printed in words,
//! replayed, and made smaller when a run fails.

use crate::random::Random;
use shakedown_impls::protocol::NodeId;
use std::fmt::{self, Display};

/// What goes wrong in a run, in the order of beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The faults.
    pub faults: Vec<Fault>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it begins, in milliseconds from the start of the run.
    pub from_ms: u64,
    /// When it is healed.
    pub until_ms: u64,
    /// What it is.
    pub kind: FaultKind,
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// These nodes and the others do not hear each other.
    Split(Vec<NodeId>),
    /// What these nodes send to the others is lost; what those send arrives.
    Mute(Vec<NodeId>),
    /// Two halves hear each other only through this node.
    Bridge(NodeId),
    /// Each node hears a majority, but no two the same one.
    Ring,
    /// So many of a thousand messages are lost.
    Loss(u16),
    /// So many of a thousand messages arrive twice.
    Duplication(u16),
    /// Messages take up to so many milliseconds, which reorders them.
    Delay(u16),
    /// The node's process is killed, and starts again when the fault is healed.
    Crash(NodeId),
    /// All of them lose power at once: what is not on disk yet is gone.
    PowerLoss(Vec<NodeId>),
    /// The node stands still: it hears, says and does nothing.
    Pause(NodeId),
    /// Writing a record takes the node so many milliseconds.
    SlowDisk(NodeId, u16),
}

/// Kinds of faults, for choosing: what `--nemesis` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nemesis {
    /// Splits, one-way and two-way, bridges and rings.
    Partition,
    /// Loss, duplication, delay.
    Network,
    /// One node's process at a time.
    Crash,
    /// Several nodes at once.
    Power,
    /// Nodes that stand still.
    Pause,
    /// Slow disks.
    Disk,
}

impl Nemesis {
    /// All of them.
    pub const ALL: [Nemesis; 6] =
        [Nemesis::Partition, Nemesis::Network, Nemesis::Crash, Nemesis::Power, Nemesis::Pause, Nemesis::Disk];

    /// As on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Nemesis::Partition => "partition",
            Nemesis::Network => "network",
            Nemesis::Crash => "crash",
            Nemesis::Power => "power",
            Nemesis::Pause => "pause",
            Nemesis::Disk => "disk",
        }
    }

    fn draw(self, random: &mut Random, nodes: u16) -> FaultKind {
        let node = |random: &mut Random| NodeId(random.below(u64::from(nodes)) as u16);
        match self {
            Nemesis::Partition => match random.below(6) {
                0 | 1 => FaultKind::Split(some(random, nodes, u64::from(nodes / 2).max(1))),
                2 => FaultKind::Split(vec![node(random)]),
                3 => FaultKind::Mute(some(random, nodes, u64::from(nodes / 2).max(1))),
                4 => FaultKind::Bridge(node(random)),
                _ => FaultKind::Ring,
            },
            Nemesis::Network => match random.below(3) {
                0 => FaultKind::Loss(10 + random.below(300) as u16),
                1 => FaultKind::Duplication(10 + random.below(500) as u16),
                _ => FaultKind::Delay(20 + random.below(400) as u16),
            },
            Nemesis::Crash => FaultKind::Crash(node(random)),
            Nemesis::Power => {
                let count = 1 + random.below(u64::from(nodes));
                FaultKind::PowerLoss(some(random, nodes, count))
            }
            Nemesis::Pause => FaultKind::Pause(node(random)),
            Nemesis::Disk => FaultKind::SlowDisk(node(random), 5 + random.below(100) as u16),
        }
    }
}

/// `count` different nodes, sorted.
fn some(random: &mut Random, nodes: u16, count: u64) -> Vec<NodeId> {
    let mut all: Vec<NodeId> = (0..nodes).map(NodeId).collect();
    random.shuffle(&mut all);
    all.truncate(count as usize);
    all.sort_unstable();
    all
}

impl Plan {
    /// A plan by lot. Each run turns a random subset of `nemeses` on (swarm testing: Groce et al.
    /// 2012), for a fault that always happens hides what shows only without it.
    pub(crate) fn draw(random: &mut Random, nemeses: &[Nemesis], nodes: u16, length_ms: u64) -> Plan {
        let on: Vec<Nemesis> = nemeses.iter().copied().filter(|_| random.chance(0.5)).collect();
        let mut faults = vec![];
        if !on.is_empty() {
            for _ in 0..1 + random.below(8) {
                let kind = on[random.below(on.len() as u64) as usize].draw(random, nodes);
                let from_ms = random.below(length_ms);
                let until_ms = (from_ms + 1 + random.exponential(length_ms / 6)).min(length_ms);
                faults.push(Fault { from_ms, until_ms, kind });
            }
        }
        faults.sort_by_key(|fault| fault.from_ms);
        Plan { faults }
    }
}

impl FaultKind {
    /// The nodes that the fault is about in particular.
    pub(crate) fn nodes(&self) -> &[NodeId] {
        match self {
            FaultKind::Split(nodes) | FaultKind::Mute(nodes) | FaultKind::PowerLoss(nodes) => nodes,
            FaultKind::Bridge(node)
            | FaultKind::Crash(node)
            | FaultKind::Pause(node)
            | FaultKind::SlowDisk(node, _) => std::slice::from_ref(node),
            FaultKind::Ring | FaultKind::Loss(_) | FaultKind::Duplication(_) | FaultKind::Delay(_) => &[],
        }
    }

    /// Spares one of the nodes, by its place among [`FaultKind::nodes`], of several.
    pub(crate) fn leave_out(&mut self, place: usize) {
        if let FaultKind::Split(nodes) | FaultKind::Mute(nodes) | FaultKind::PowerLoss(nodes) = self {
            nodes.remove(place);
        }
    }

    /// Whether what `from` sends does not reach `to` while the fault lasts.
    pub(crate) fn cuts(&self, nodes: u16, from: NodeId, to: NodeId) -> bool {
        match self {
            FaultKind::Split(side) => side.contains(&from) != side.contains(&to),
            FaultKind::Mute(side) => side.contains(&from) && !side.contains(&to),
            FaultKind::Bridge(bridge) => {
                let half = |node: NodeId| (node.0 + nodes - bridge.0) % nodes <= nodes / 2;
                from != *bridge && to != *bridge && half(from) != half(to)
            }
            FaultKind::Ring => {
                // Of n nodes in a ring each hears the nearest on both sides: with itself, a majority.
                let apart = (from.0 + nodes - to.0) % nodes;
                apart.min(nodes - apart) > (nodes / 2).div_ceil(2)
            }
            _ => false,
        }
    }
}

impl Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |nodes: &[NodeId]| nodes.iter().map(|node| node.to_string()).collect::<Vec<_>>().join(", ");
        match self {
            FaultKind::Split(side) => write!(f, "{} cut off from the others", list(side)),
            FaultKind::Mute(side) => write!(f, "nobody else hears {}", list(side)),
            FaultKind::Bridge(node) => write!(f, "two halves joined by {node} only"),
            FaultKind::Ring => f.write_str("each node hears only its neighbours"),
            FaultKind::Loss(permille) => write!(f, "{permille} of 1000 messages lost"),
            FaultKind::Duplication(permille) => write!(f, "{permille} of 1000 messages doubled"),
            FaultKind::Delay(ms) => write!(f, "messages late by up to {ms} ms"),
            FaultKind::Crash(node) => write!(f, "{node} killed"),
            FaultKind::PowerLoss(nodes) => write!(f, "{} without power", list(nodes)),
            FaultKind::Pause(node) => write!(f, "{node} paused"),
            FaultKind::SlowDisk(node, ms) => write!(f, "disk of {node} takes {ms} ms"),
        }
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() {
            return f.write_str("no faults");
        }
        for (i, Fault { from_ms, until_ms, kind }) in self.faults.iter().enumerate() {
            let separator = if i > 0 { "; " } else { "" };
            write!(f, "{separator}{from_ms} to {until_ms} ms: {kind}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hears(kind: &FaultKind, nodes: u16, to: u16) -> Vec<u16> {
        (0..nodes).filter(|&from| !kind.cuts(nodes, NodeId(from), NodeId(to))).collect()
    }

    #[test]
    fn cuts_are_what_they_are_called() {
        let split = FaultKind::Split(vec![NodeId(0), NodeId(3)]);
        assert_eq!((hears(&split, 5, 0), hears(&split, 5, 1)), (vec![0, 3], vec![1, 2, 4]));
        let mute = FaultKind::Mute(vec![NodeId(0)]);
        assert_eq!((hears(&mute, 3, 0), hears(&mute, 3, 1)), (vec![0, 1, 2], vec![1, 2]));
        let bridge = FaultKind::Bridge(NodeId(1));
        assert_eq!(hears(&bridge, 5, 1), [0, 1, 2, 3, 4]);
        assert_eq!((hears(&bridge, 5, 2), hears(&bridge, 5, 0)), (vec![1, 2, 3], vec![0, 1, 4]));
        let heard: Vec<Vec<u16>> = (0..5).map(|to| hears(&FaultKind::Ring, 5, to)).collect();
        assert_eq!(heard, [[0, 1, 4], [0, 1, 2], [1, 2, 3], [2, 3, 4], [0, 3, 4]]);
    }

    #[test]
    fn plans_differ_by_seed_and_are_told_in_words() {
        let plan = |seed| Plan::draw(&mut Random::new(seed), &Nemesis::ALL, 5, 1_000);
        assert_eq!(plan(1), plan(1));
        let told: std::collections::BTreeSet<String> = (0..50).map(|seed| plan(seed).to_string()).collect();
        assert!(told.len() > 40, "{told:?}");
        let fault = Fault { from_ms: 5, until_ms: 9, kind: FaultKind::Crash(NodeId(2)) };
        assert_eq!(Plan { faults: vec![fault] }.to_string(), "5 to 9 ms: n2 killed");
    }
}
