//! How many of how many: sizes of quorums, and what a set of voters has decided.

use crate::protocol::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The least number of nodes of which any two sets share one. `n` is at least 1.
///
/// ```
/// use shakedown_impls::replication::quorum::majority;
/// assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
/// ```
pub const fn majority(n: usize) -> usize {
    n / 2 + 1
}

/// Those who decide: one set of nodes by its majority or, while a cluster goes over from one set to
/// another, both of them, each by its own majority (*joint consensus*). A decision of the old set alone
/// and one of the new set alone would need not share a node; each of them shares one with a joint one.
///
/// In traces `n0 n1 n2` or, joint, `n0 n1 n2 & n2 n3 n4`: the old set and the new.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Voters {
    incoming: BTreeSet<NodeId>,
    /// Empty when no change is under way.
    outgoing: BTreeSet<NodeId>,
}

impl Voters {
    /// One set. It must not be empty: nobody could ever decide anything.
    pub fn of(voters: impl IntoIterator<Item = NodeId>) -> Voters {
        let incoming: BTreeSet<NodeId> = voters.into_iter().collect();
        assert!(!incoming.is_empty(), "a cluster has a voter");
        Voters { incoming, outgoing: BTreeSet::new() }
    }

    /// These, on the way to `incoming`. Only one change can be under way.
    pub fn towards(&self, incoming: BTreeSet<NodeId>) -> Voters {
        assert!(!self.is_joint() && !incoming.is_empty(), "from {self:?} to {incoming:?}");
        Voters { incoming, outgoing: self.incoming.clone() }
    }

    /// The new set alone: the way is behind.
    pub fn arrived(&self) -> Voters {
        Voters { incoming: self.incoming.clone(), outgoing: BTreeSet::new() }
    }

    /// The same, if nodes have other numbers.
    pub fn renamed(&self, number: impl Fn(NodeId) -> NodeId) -> Voters {
        let set = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|&node| number(node)).collect();
        Voters { incoming: set(&self.incoming), outgoing: set(&self.outgoing) }
    }

    /// Whether a change is under way.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The set, or the one that is to be.
    pub fn incoming(&self) -> &BTreeSet<NodeId> {
        &self.incoming
    }

    /// Whether the node has a say.
    pub fn contains(&self, node: NodeId) -> bool {
        self.incoming.contains(&node) || self.outgoing.contains(&node)
    }

    /// All who have a say, in their order.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> {
        self.incoming.union(&self.outgoing).copied()
    }

    /// Whether these decide. Others among them do not count; who is in both sets counts in both.
    ///
    /// ```
    /// use shakedown_impls::protocol::NodeId;
    /// use shakedown_impls::replication::quorum::Voters;
    /// let nodes = |ids: &[u16]| ids.iter().map(|&id| NodeId(id)).collect::<Vec<_>>();
    /// let old = Voters::of(nodes(&[0, 1, 2]));
    /// assert!(old.are_decided_by(&nodes(&[0, 2])));
    /// let joint = old.towards(nodes(&[2, 3, 4]).into_iter().collect());
    /// assert!(!joint.are_decided_by(&nodes(&[0, 1, 2])));
    /// assert!(joint.are_decided_by(&nodes(&[0, 2, 3])));
    /// ```
    pub fn are_decided_by(&self, nodes: &[NodeId]) -> bool {
        self.sets().all(|set| nodes.iter().filter(|node| set.contains(node)).count() >= majority(set.len()))
    }

    /// The largest number that a quorum has reached, if each node is `at` some number.
    pub fn reached(&self, at: impl Fn(NodeId) -> u64) -> u64 {
        self.reached_by(majority, at)
    }

    /// The largest number that so many of each set have reached, given the set's size.
    pub fn reached_by(&self, quorum: fn(usize) -> usize, at: impl Fn(NodeId) -> u64) -> u64 {
        let reached_in = |set: &BTreeSet<NodeId>| {
            let mut numbers: Vec<u64> = set.iter().map(|&node| at(node)).collect();
            numbers.sort_unstable_by(|a, b| b.cmp(a));
            numbers[quorum(numbers.len()) - 1]
        };
        self.sets().map(reached_in).min().expect("there is one set at least")
    }

    fn sets(&self) -> impl Iterator<Item = &BTreeSet<NodeId>> {
        [&self.incoming, &self.outgoing].into_iter().filter(|set| !set.is_empty())
    }
}

impl fmt::Debug for Voters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |f: &mut fmt::Formatter<'_>, set: &BTreeSet<NodeId>| {
            set.iter().enumerate().try_for_each(|(i, node)| match i {
                0 => write!(f, "{node}"),
                _ => write!(f, " {node}"),
            })
        };
        if self.is_joint() {
            write(f, &self.outgoing)?;
            f.write_str(" & ")?;
        }
        write(f, &self.incoming)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(bits: u16) -> BTreeSet<NodeId> {
        (0..5).filter(|bit| bits >> bit & 1 == 1).map(NodeId).collect()
    }

    /// All voters that five nodes can be, joint ones too.
    fn all() -> Vec<Voters> {
        let single: Vec<Voters> = (1..32).map(|bits| Voters::of(set(bits))).collect();
        let joint = single.iter().flat_map(|old| (1..32).map(|bits| old.towards(set(bits))));
        single.iter().cloned().chain(joint).collect()
    }

    // All 31 + 31² of them, with all 32 sets of nodes: what decides meets what else decides.
    #[test]
    fn two_quorums_share_a_node() {
        for voters in all() {
            let quorums = (0..32).filter(|&bits| {
                let nodes: Vec<NodeId> = set(bits).into_iter().collect();
                voters.are_decided_by(&nodes)
            });
            let quorums: Vec<u16> = quorums.collect();
            assert!(quorums.iter().all(|a| quorums.iter().all(|b| a & b != 0)), "{voters:?}");
        }
    }

    #[test]
    fn a_joint_quorum_meets_the_quorums_of_both_sets() {
        for joint in all().into_iter().filter(Voters::is_joint) {
            let decided = |voters: &Voters, bits: u16| {
                voters.are_decided_by(&set(bits).into_iter().collect::<Vec<_>>())
            };
            let (old, new) = (Voters::of(joint.outgoing.clone()), joint.arrived());
            for a in (0..32).filter(|&bits| decided(&joint, bits)) {
                for b in (0..32).filter(|&bits| decided(&old, bits) || decided(&new, bits)) {
                    assert_ne!(a & b, 0, "{joint:?}");
                }
            }
        }
    }

    // The number is the largest for which those that are there are a quorum: by that definition.
    #[test]
    fn what_is_reached_is_what_a_quorum_has() {
        for voters in all() {
            for numbers in [[3, 1, 4, 1, 5], [0, 0, 0, 0, 9], [2, 2, 7, 1, 8]] {
                let at = |node: NodeId| numbers[usize::from(node.0)];
                let has = |number: u64| {
                    let nodes: Vec<NodeId> = (0..5).map(NodeId).filter(|&node| at(node) >= number).collect();
                    voters.are_decided_by(&nodes)
                };
                let expected = (0..=9).rev().find(|&number| has(number)).unwrap();
                assert_eq!(voters.reached(at), expected, "{voters:?}");
            }
        }
    }
}
