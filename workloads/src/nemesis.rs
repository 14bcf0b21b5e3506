//! Faults as data: a plan says what goes wrong, from when to when. So it can be printed in words,
//! replayed, and made smaller when a run fails.

mod pieces;

use crate::random::Random;
use serde::{Deserialize, Serialize};
use shakedown_impls::protocol::NodeId;
use std::fmt::{self, Display};

/// What goes wrong in a run, in the order of beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The faults.
    pub faults: Vec<Fault>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When it begins, in milliseconds from the start of the run.
    pub from_ms: u64,
    /// When it is healed.
    pub until_ms: u64,
    /// What it is.
    pub kind: FaultKind,
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// These nodes and the others do not hear each other.
    Split(Vec<NodeId>),
    /// The same, on and off: so many milliseconds cut, then so many joined.
    Flap(Vec<NodeId>, u16),
    /// What these nodes send to the others is lost; what those send arrives.
    Mute(Vec<NodeId>),
    /// These nodes do not hear the others; what they send arrives.
    Deaf(Vec<NodeId>),
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
    /// One bit of so many of a thousand messages is flipped on the way. Checksums make losses of them.
    Corruption(u16),
    /// The node's process is killed, and starts again when the fault is healed. Its machine goes on, so
    /// what it had given to the disk is there.
    Crash(NodeId),
    /// All of them lose power at once. What they were writing is on disk in any part: some sectors of it,
    /// in no order, the last of them torn.
    PowerLoss(Vec<NodeId>),
    /// The node stands still: it hears, says and does nothing.
    Pause(NodeId),
    /// Writing to disk takes the node so many milliseconds more.
    SlowDisk(NodeId, u16),
    /// The node's disk refuses to write. A node that is told so dies of it, for what a failed write has
    /// left behind is anybody's guess, and starts again when the fault is healed.
    FailingDisk(NodeId),
    /// The node is killed, and one bit of its disk is flipped before it starts again.
    BitRot(NodeId),
    /// The node's clock shows so many milliseconds more, or less, than it did.
    ClockJump(NodeId, i32),
    /// The node's clock, and its timers, run too fast by so many thousandths, or too slow.
    ClockDrift(NodeId, i16),
    /// The same for whoever leads when the fault begins: the node that remarked last that it was
    /// `elected`, and the first of all if none has.
    Leader(Aim),
}

/// What a node remarks ([`Note::kind`](shakedown_impls::protocol::Note)) when it begins to lead.
pub const ELECTED: &str = "elected";

/// What can go wrong for a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// It and the others do not hear each other.
    Split,
    /// The same on and off, so many milliseconds each.
    Flap(u16),
    /// Nobody hears it, and it hears the others.
    Mute,
    /// It hears nobody, and the others hear it.
    Deaf,
    /// Its process is killed.
    Crash,
    /// It loses power.
    PowerLoss,
    /// It stands still.
    Pause,
    /// Writing to disk takes it so many milliseconds more.
    SlowDisk(u16),
    /// Its clock, and its timers, run too fast by so many thousandths, or too slow.
    ClockDrift(i16),
}

impl Aim {
    /// The fault that it is if `leader` leads.
    pub(crate) fn at(self, leader: NodeId) -> FaultKind {
        match self {
            Aim::Split => FaultKind::Split(vec![leader]),
            Aim::Flap(ms) => FaultKind::Flap(vec![leader], ms),
            Aim::Mute => FaultKind::Mute(vec![leader]),
            Aim::Deaf => FaultKind::Deaf(vec![leader]),
            Aim::Crash => FaultKind::Crash(leader),
            Aim::PowerLoss => FaultKind::PowerLoss(vec![leader]),
            Aim::Pause => FaultKind::Pause(leader),
            Aim::SlowDisk(ms) => FaultKind::SlowDisk(leader, ms),
            Aim::ClockDrift(permille) => FaultKind::ClockDrift(leader, permille),
        }
    }

    fn draw(random: &mut Random) -> Aim {
        match random.below(8) {
            0 => Aim::Split,
            1 => Aim::Flap(10 + random.below(90) as u16),
            2 => Aim::Mute,
            3 => Aim::Deaf,
            4 => Aim::Crash,
            5 => Aim::PowerLoss,
            6 => Aim::Pause,
            _ => Aim::SlowDisk(5 + random.below(100) as u16),
        }
    }
}

/// Kinds of faults, for choosing: what `--nemesis` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nemesis {
    /// Splits, one-way, two-way and flapping, bridges and rings.
    Partition,
    /// Loss, duplication, delay, corruption.
    Network,
    /// One node's process at a time.
    Crash,
    /// Several nodes at once, and what they were writing.
    Power,
    /// Nodes that stand still.
    Pause,
    /// Slow and failing disks, bits that rot.
    Disk,
    /// Clocks that jump, run fast or slow.
    Clock,
    /// Whoever leads: cut off, killed, without power, paused, slow, or by a slow clock.
    Leader,
    /// No fault: an administrator who changes who the members are, and who leads.
    Membership,
    /// A set piece about who leads next, and clients all of which but one only look: what takes several
    /// faults in their order, and other trouble shows in one of very many runs.
    Succession,
}

impl Nemesis {
    /// All of them.
    pub const ALL: [Nemesis; 10] = [
        Nemesis::Partition,
        Nemesis::Network,
        Nemesis::Crash,
        Nemesis::Power,
        Nemesis::Pause,
        Nemesis::Disk,
        Nemesis::Clock,
        Nemesis::Leader,
        Nemesis::Membership,
        Nemesis::Succession,
    ];

    /// The usual trouble of a cluster that somebody leads: all but what has to be asked for.
    pub const LED: [Nemesis; 9] = [
        Nemesis::Partition,
        Nemesis::Network,
        Nemesis::Crash,
        Nemesis::Power,
        Nemesis::Pause,
        Nemesis::Disk,
        Nemesis::Clock,
        Nemesis::Leader,
        Nemesis::Membership,
    ];

    /// What can happen to any cluster, whether somebody leads it or not.
    pub const ANY: [Nemesis; 7] = [
        Nemesis::Partition,
        Nemesis::Network,
        Nemesis::Crash,
        Nemesis::Power,
        Nemesis::Pause,
        Nemesis::Disk,
        Nemesis::Clock,
    ];

    /// As on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Nemesis::Partition => "partition",
            Nemesis::Network => "network",
            Nemesis::Crash => "crash",
            Nemesis::Power => "power",
            Nemesis::Pause => "pause",
            Nemesis::Disk => "disk",
            Nemesis::Clock => "clock",
            Nemesis::Leader => "leader",
            Nemesis::Membership => "membership",
            Nemesis::Succession => "succession",
        }
    }

    /// What it does.
    pub fn about(self) -> &'static str {
        match self {
            Nemesis::Partition => {
                "nodes that do not hear each other: halves, one, a minority, one-way, a bridge, \
                                   a ring, on and off"
            }
            Nemesis::Network => "messages lost, doubled, late or corrupted",
            Nemesis::Crash => "one node's process killed, then started again",
            Nemesis::Power => "nodes that lose power, and what they were writing with it",
            Nemesis::Pause => "a node that stands still",
            Nemesis::Disk => "slow and failing disks, bits that rot",
            Nemesis::Clock => "clocks that jump, or run fast or slow",
            Nemesis::Leader => "whoever leads: cut off, killed, without power, paused, slow, by a slow clock",
            Nemesis::Membership => "members that come and go, learners, leaders that hand over",
            Nemesis::Succession => {
                "leader after leader cut off, while a voter that follows it starts anew; with membership, for \
                 as long as an election takes; one client writes, the others look"
            }
        }
    }

    fn draw(self, random: &mut Random, nodes: u16) -> FaultKind {
        let node = |random: &mut Random| NodeId(random.below(u64::from(nodes)) as u16);
        let half = u64::from(nodes / 2).max(1);
        match self {
            Nemesis::Partition => match random.below(8) {
                0 | 1 => FaultKind::Split(some(random, nodes, half)),
                2 => FaultKind::Split(vec![node(random)]),
                // Fewer than a third: what even Byzantine protocols survive.
                3 => FaultKind::Split(some(random, nodes, u64::from(nodes.saturating_sub(1) / 3).max(1))),
                4 => FaultKind::Flap(some(random, nodes, half), 10 + random.below(90) as u16),
                5 => FaultKind::Mute(some(random, nodes, half)),
                6 => FaultKind::Bridge(node(random)),
                _ => FaultKind::Ring,
            },
            Nemesis::Network => match random.below(4) {
                0 => FaultKind::Loss(10 + random.below(300) as u16),
                1 => FaultKind::Duplication(10 + random.below(500) as u16),
                2 => FaultKind::Delay(20 + random.below(400) as u16),
                _ => FaultKind::Corruption(10 + random.below(300) as u16),
            },
            Nemesis::Crash => FaultKind::Crash(node(random)),
            Nemesis::Power => {
                let count = 1 + random.below(u64::from(nodes));
                FaultKind::PowerLoss(some(random, nodes, count))
            }
            Nemesis::Pause => FaultKind::Pause(node(random)),
            Nemesis::Disk => match random.below(3) {
                0 => FaultKind::SlowDisk(node(random), 5 + random.below(100) as u16),
                1 => FaultKind::FailingDisk(node(random)),
                _ => FaultKind::BitRot(node(random)),
            },
            Nemesis::Clock => match random.below(2) {
                0 => FaultKind::ClockJump(node(random), random.below(20_001) as i32 - 10_000),
                _ => FaultKind::ClockDrift(node(random), random.below(601) as i16 - 300),
            },
            Nemesis::Leader => FaultKind::Leader(Aim::draw(random)),
            Nemesis::Membership | Nemesis::Succession => unreachable!("it is no single fault"),
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
        let single = |nemesis: &Nemesis| !matches!(nemesis, Nemesis::Membership | Nemesis::Succession);
        let on: Vec<Nemesis> =
            nemeses.iter().copied().filter(single).filter(|_| random.chance(0.5)).collect();
        let mut faults = vec![];
        if !on.is_empty() {
            for _ in 0..1 + random.below(8) {
                let nemesis = on[random.below(on.len() as u64) as usize];
                let kind = nemesis.draw(random, nodes);
                let from_ms = random.below(length_ms);
                let until_ms = (from_ms + 1 + random.duration(length_ms / 6)).min(length_ms);
                faults.push(Fault { from_ms, until_ms, kind });
                if nemesis == Nemesis::Leader && random.chance(0.6) {
                    let begin_ms = if random.chance(0.5) { length_ms / 4 } else { until_ms };
                    pieces::draw(random, nodes, length_ms, begin_ms, &mut faults);
                }
            }
        }
        // Drawn last, so that the other trouble of a seed stays as it is.
        if nemeses.contains(&Nemesis::Succession) {
            let is_administered = nemeses.contains(&Nemesis::Membership);
            pieces::succession(random, nodes, length_ms, is_administered, &mut faults);
        }
        faults.sort_by_key(|fault| fault.from_ms);
        Plan { faults }
    }
}

impl FaultKind {
    /// One node cut off one way or both: of three nodes and more, the others can do without it.
    pub(crate) fn draw_lasting(random: &mut Random, nodes: u16, of_leader: bool) -> FaultKind {
        let aim = [Aim::Split, Aim::Mute, Aim::Deaf][random.below(3) as usize];
        let node = NodeId(random.below(u64::from(nodes)) as u16);
        if of_leader && random.chance(0.5) { FaultKind::Leader(aim) } else { aim.at(node) }
    }

    /// Whether it only keeps messages of some nodes from others: it may last.
    pub(crate) fn may_last(&self) -> bool {
        matches!(
            self,
            FaultKind::Split(_)
                | FaultKind::Mute(_)
                | FaultKind::Deaf(_)
                | FaultKind::Leader(Aim::Split | Aim::Mute | Aim::Deaf)
        )
    }

    /// What it is called in a history: `split`.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Split(_) => "split",
            FaultKind::Flap(..) => "flap",
            FaultKind::Mute(_) => "mute",
            FaultKind::Deaf(_) => "deaf",
            FaultKind::Bridge(_) => "bridge",
            FaultKind::Ring => "ring",
            FaultKind::Loss(_) => "loss",
            FaultKind::Duplication(_) => "duplication",
            FaultKind::Delay(_) => "delay",
            FaultKind::Corruption(_) => "corruption",
            FaultKind::Crash(_) => "crash",
            FaultKind::PowerLoss(_) => "power-loss",
            FaultKind::Pause(_) => "pause",
            FaultKind::SlowDisk(..) => "slow-disk",
            FaultKind::FailingDisk(_) => "failing-disk",
            FaultKind::BitRot(_) => "bit-rot",
            FaultKind::ClockJump(..) => "clock-jump",
            FaultKind::ClockDrift(..) => "clock-drift",
            FaultKind::Leader(aim) => match aim {
                Aim::Split => "leader-split",
                Aim::Flap(_) => "leader-flap",
                Aim::Mute => "leader-mute",
                Aim::Deaf => "leader-deaf",
                Aim::Crash => "leader-crash",
                Aim::PowerLoss => "leader-power-loss",
                Aim::Pause => "leader-pause",
                Aim::SlowDisk(_) => "leader-slow-disk",
                Aim::ClockDrift(_) => "leader-clock-drift",
            },
        }
    }

    /// The nodes that the fault is about in particular.
    pub(crate) fn nodes(&self) -> &[NodeId] {
        match self {
            FaultKind::Split(nodes)
            | FaultKind::Flap(nodes, _)
            | FaultKind::Mute(nodes)
            | FaultKind::Deaf(nodes)
            | FaultKind::PowerLoss(nodes) => nodes,
            FaultKind::Bridge(node)
            | FaultKind::Crash(node)
            | FaultKind::Pause(node)
            | FaultKind::SlowDisk(node, _)
            | FaultKind::FailingDisk(node)
            | FaultKind::BitRot(node)
            | FaultKind::ClockJump(node, _)
            | FaultKind::ClockDrift(node, _) => std::slice::from_ref(node),
            FaultKind::Ring
            | FaultKind::Loss(_)
            | FaultKind::Duplication(_)
            | FaultKind::Delay(_)
            | FaultKind::Corruption(_)
            | FaultKind::Leader(_) => &[],
        }
    }

    /// How many nodes lose what they have in memory.
    pub(crate) fn crashes(&self) -> u32 {
        match self {
            FaultKind::Crash(_)
            | FaultKind::FailingDisk(_)
            | FaultKind::BitRot(_)
            | FaultKind::Leader(Aim::Crash | Aim::PowerLoss) => 1,
            FaultKind::PowerLoss(nodes) => nodes.len() as u32,
            _ => 0,
        }
    }

    /// Spares one of the nodes, by its place among [`FaultKind::nodes`], of several.
    pub(crate) fn leave_out(&mut self, place: usize) {
        if let FaultKind::Split(nodes)
        | FaultKind::Flap(nodes, _)
        | FaultKind::Mute(nodes)
        | FaultKind::Deaf(nodes)
        | FaultKind::PowerLoss(nodes) = self
        {
            nodes.remove(place);
        }
    }

    /// Whether what `from` sends does not reach `to`, the fault having lasted for `since_ms`.
    pub(crate) fn cuts(&self, nodes: u16, since_ms: u64, from: NodeId, to: NodeId) -> bool {
        match self {
            FaultKind::Split(side) => side.contains(&from) != side.contains(&to),
            FaultKind::Flap(side, period_ms) => {
                let is_on = (since_ms / u64::from(*period_ms).max(1)).is_multiple_of(2);
                is_on && side.contains(&from) != side.contains(&to)
            }
            FaultKind::Mute(side) => side.contains(&from) && !side.contains(&to),
            FaultKind::Deaf(side) => !side.contains(&from) && side.contains(&to),
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
            FaultKind::Flap(side, ms) => {
                write!(f, "{} cut off from the others for {ms} ms, joined for {ms} ms, in turn", list(side))
            }
            FaultKind::Mute(side) => write!(f, "nobody else hears {}", list(side)),
            FaultKind::Deaf(side) => write!(f, "nobody else is heard by {}", list(side)),
            FaultKind::Bridge(node) => write!(f, "two halves joined by {node} only"),
            FaultKind::Ring => f.write_str("each node hears only its neighbours"),
            FaultKind::Loss(permille) => write!(f, "{permille} of 1000 messages lost"),
            FaultKind::Duplication(permille) => write!(f, "{permille} of 1000 messages doubled"),
            FaultKind::Delay(ms) => write!(f, "messages late by up to {ms} ms"),
            FaultKind::Corruption(permille) => write!(f, "{permille} of 1000 messages corrupted"),
            FaultKind::Crash(node) => write!(f, "{node} killed"),
            FaultKind::PowerLoss(nodes) => write!(f, "{} without power", list(nodes)),
            FaultKind::Pause(node) => write!(f, "{node} paused"),
            FaultKind::SlowDisk(node, ms) => write!(f, "disk of {node} up to {ms} ms slower"),
            FaultKind::FailingDisk(node) => write!(f, "disk of {node} refuses to write"),
            FaultKind::BitRot(node) => write!(f, "{node} killed, and a bit of its disk flipped"),
            FaultKind::ClockJump(node, ms) => write!(f, "clock of {node} jumps by {ms:+} ms"),
            FaultKind::ClockDrift(node, permille) => {
                write!(f, "clock of {node} off by {permille:+} thousandths")
            }
            FaultKind::Leader(aim) => match aim {
                Aim::Split => f.write_str("the leader cut off from the others"),
                Aim::Flap(ms) => {
                    write!(f, "the leader cut off from the others for {ms} ms, joined for {ms} ms, in turn")
                }
                Aim::Mute => f.write_str("nobody else hears the leader"),
                Aim::Deaf => f.write_str("nobody else is heard by the leader"),
                Aim::Crash => f.write_str("the leader killed"),
                Aim::PowerLoss => f.write_str("the leader without power"),
                Aim::Pause => f.write_str("the leader paused"),
                Aim::SlowDisk(ms) => write!(f, "disk of the leader up to {ms} ms slower"),
                Aim::ClockDrift(permille) => {
                    write!(f, "clock of the leader off by {permille:+} thousandths")
                }
            },
        }
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() {
            return f.write_str("no faults");
        }
        for (i, fault) in self.faults.iter().enumerate() {
            let separator = if i > 0 { "; " } else { "" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} ms: {}", self.from_ms, self.until_ms, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hears(kind: &FaultKind, nodes: u16, to: u16) -> Vec<u16> {
        (0..nodes).filter(|&from| !kind.cuts(nodes, 0, NodeId(from), NodeId(to))).collect()
    }

    #[test]
    fn cuts_are_what_they_are_called() {
        let split = FaultKind::Split(vec![NodeId(0), NodeId(3)]);
        assert_eq!((hears(&split, 5, 0), hears(&split, 5, 1)), (vec![0, 3], vec![1, 2, 4]));
        let mute = FaultKind::Mute(vec![NodeId(0)]);
        assert_eq!((hears(&mute, 3, 0), hears(&mute, 3, 1)), (vec![0, 1, 2], vec![1, 2]));
        let deaf = FaultKind::Deaf(vec![NodeId(0)]);
        assert_eq!((hears(&deaf, 3, 0), hears(&deaf, 3, 1)), (vec![0], vec![0, 1, 2]));
        let bridge = FaultKind::Bridge(NodeId(1));
        assert_eq!(hears(&bridge, 5, 1), [0, 1, 2, 3, 4]);
        assert_eq!((hears(&bridge, 5, 2), hears(&bridge, 5, 0)), (vec![1, 2, 3], vec![0, 1, 4]));
        let flap = FaultKind::Flap(vec![NodeId(0)], 20);
        let is_cut = |since_ms| flap.cuts(3, since_ms, NodeId(0), NodeId(1));
        assert_eq!([0, 19, 20, 39, 40].map(is_cut), [true, true, false, false, true]);
        let heard: Vec<Vec<u16>> = (0..5).map(|to| hears(&FaultKind::Ring, 5, to)).collect();
        assert_eq!(heard, [[0, 1, 4], [0, 1, 2], [1, 2, 3], [2, 3, 4], [0, 3, 4]]);
    }

    // What was published with the usual trouble stays as it was.
    #[test]
    fn a_succession_leaves_the_other_trouble_of_a_seed_as_it_is() {
        let mut pieces = 0;
        for seed in 0..200 {
            let plan = |nemeses: &[Nemesis]| Plan::draw(&mut Random::new(seed), nemeses, 3, 800).faults;
            let (usual, all) = (plan(&Nemesis::LED), plan(&Nemesis::ALL));
            assert!(usual.iter().all(|fault| all.contains(fault)), "{usual:?} {all:?}");
            assert!(all.is_sorted_by_key(|fault| fault.from_ms));
            pieces += all.len() - usual.len();
        }
        assert!((400..=800).contains(&pieces), "{pieces}");
    }

    // One comes back before the lease of the other, at most an election timeout of 100 ms, is over.
    #[test]
    fn a_voter_starts_anew_when_its_leader_is_cut_off() {
        for seed in 0..50 {
            let faults = Plan::draw(&mut Random::new(seed), &[Nemesis::Succession], 3, 1_000).faults;
            for crash in faults.iter().filter(|fault| matches!(fault.kind, FaultKind::Crash(_))) {
                let cut = faults.iter().find(|fault| {
                    fault.kind == FaultKind::Leader(Aim::Split) && fault.from_ms == crash.from_ms
                });
                assert!(cut.is_some_and(|cut| cut.until_ms >= crash.until_ms), "{faults:?}");
                assert!(crash.until_ms - crash.from_ms < 5, "{faults:?}");
            }
            assert!(faults.iter().any(|fault| matches!(fault.kind, FaultKind::Crash(_))), "{faults:?}");
        }
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
