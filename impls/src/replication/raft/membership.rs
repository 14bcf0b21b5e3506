//! Who the members are, and what they may become next (§6; thesis §4). Pure.
//!
//! **One server at a time, or jointly?** Both, as the change asks for. Adding or removing *one* voter is
//! one entry: any majority of the old set shares a node with any majority of the new one (thesis §4.1).
//! Anything more goes through a joint set first, in which both majorities must agree (§6). One at a time
//! would be enough, but to replace a node would go through a set of even size, where one crash more
//! stops the cluster; jointly alone would be enough too, at the price of a second entry for each change.
//!
//! The one-entry way is safe only with two guards, which the leader keeps (see `change.rs`): the
//! change before is committed, and so is an entry of the leader's own term. Without the second, two
//! leaders may each add one server to the same old set: the mistake of the first publication, found by
//! Ongaro (raft-dev, July 2015).
//!
//! **Learners** (thesis §4.2.1) get the log and have no say. A node becomes one first, and a voter when
//! it has caught up: else a new voter, with an empty log, would have to be waited for.

use crate::protocol::NodeId;
use crate::replication::quorum::Voters;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The members of a cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// Those who have a say.
    pub voters: Voters,
    /// Those who only get the log.
    pub learners: BTreeSet<NodeId>,
}

/// What an administrator may ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Change {
    /// Let the node get the log.
    AddLearner(NodeId),
    /// Let a learner that has caught up vote.
    Promote(NodeId),
    /// Let the node be no member any more.
    Remove(NodeId),
    /// Let exactly these vote. The new ones must be learners that have caught up.
    SetVoters(BTreeSet<NodeId>),
}

/// Why a change is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoChange {
    /// It is so already.
    Already,
    /// Who shall vote is no learner yet.
    NotALearner,
    /// Nobody would vote.
    NoVoters,
}

impl Membership {
    /// These vote, nobody learns.
    pub fn of(voters: impl IntoIterator<Item = NodeId>) -> Membership {
        Membership { voters: Voters::of(voters), learners: BTreeSet::new() }
    }

    /// Whether the node gets the log.
    pub fn contains(&self, node: NodeId) -> bool {
        self.voters.contains(node) || self.learners.contains(&node)
    }

    /// All who get the log.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> {
        self.voters.iter().chain(self.learners.iter().copied())
    }

    /// What comes next on the way to `change`: joint, if more than one voter comes or goes. No change
    /// may be under way.
    pub fn after(&self, change: &Change) -> Result<Membership, NoChange> {
        let mut next = self.clone();
        let voters = self.voters.incoming();
        let mut wanted = voters.clone();
        match change {
            Change::AddLearner(node) => {
                if self.contains(*node) {
                    return Err(NoChange::Already);
                }
                next.learners.insert(*node);
                return Ok(next);
            }
            Change::Promote(node) => drop(wanted.insert(*node)),
            Change::Remove(node) => {
                next.learners.remove(node);
                wanted.remove(node);
            }
            Change::SetVoters(nodes) => wanted = nodes.clone(),
        }
        if wanted.is_empty() {
            return Err(NoChange::NoVoters);
        }
        if !wanted.iter().all(|node| self.contains(*node)) {
            return Err(NoChange::NotALearner);
        }
        next.learners.retain(|node| !wanted.contains(node));
        next.voters = match voters.symmetric_difference(&wanted).count() {
            0 => self.voters.clone(),
            1 => Voters::of(wanted),
            _ => self.voters.towards(wanted),
        };
        if next == *self { Err(NoChange::Already) } else { Ok(next) }
    }

    /// The end of a joint change.
    pub fn arrived(&self) -> Membership {
        Membership { voters: self.voters.arrived(), learners: self.learners.clone() }
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.voters)?;
        self.learners.iter().enumerate().try_for_each(|(i, node)| match i {
            0 => write!(f, " + {node}"),
            _ => write!(f, " {node}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: [NodeId; 6] = [NodeId(0), NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)];

    fn start() -> Membership {
        let mut membership = Membership::of([N[0], N[1], N[2]]);
        membership.learners.extend([N[3], N[4]]);
        membership
    }

    #[track_caller]
    fn check(change: Change, expected: Result<&str, NoChange>) {
        let after = start().after(&change).map(|membership| format!("{membership:?}"));
        assert_eq!(after, expected.map(str::to_owned), "{change:?}");
    }

    #[test]
    fn one_voter_comes_or_goes_in_one_step() {
        check(Change::Promote(N[3]), Ok("n0 n1 n2 n3 + n4"));
        check(Change::Remove(N[0]), Ok("n1 n2 + n3 n4"));
        check(Change::SetVoters([N[0], N[1]].into()), Ok("n0 n1 + n3 n4"));
    }

    #[test]
    fn more_go_jointly() {
        check(Change::SetVoters([N[1], N[2], N[3]].into()), Ok("n0 n1 n2 & n1 n2 n3 + n4"));
        let joint = start().after(&Change::SetVoters([N[1], N[2], N[3]].into())).unwrap();
        assert_eq!(format!("{:?}", joint.arrived()), "n1 n2 n3 + n4");
    }

    #[test]
    fn learners_come_and_go_without_a_say() {
        check(Change::AddLearner(N[5]), Ok("n0 n1 n2 + n3 n4 n5"));
        check(Change::Remove(N[4]), Ok("n0 n1 n2 + n3"));
    }

    #[test]
    fn what_is_no_change_says_why() {
        check(Change::AddLearner(N[3]), Err(NoChange::Already));
        check(Change::AddLearner(N[0]), Err(NoChange::Already));
        check(Change::Promote(N[0]), Err(NoChange::Already));
        check(Change::Remove(N[5]), Err(NoChange::Already));
        check(Change::Promote(N[5]), Err(NoChange::NotALearner));
        check(Change::SetVoters([N[5]].into()), Err(NoChange::NotALearner));
        check(Change::SetVoters([].into()), Err(NoChange::NoVoters));
        let alone = Membership::of([N[0]]);
        assert_eq!(alone.after(&Change::Remove(N[0])), Err(NoChange::NoVoters));
    }

    // All single changes of all sets of five: any majority of before shares a node with any of after.
    #[test]
    fn majorities_of_before_and_after_one_step_share_a_node() {
        let set = |bits: u16| (0..5).filter(move |bit| bits >> bit & 1 == 1).map(NodeId);
        for (bits, bit) in (1..32u16).flat_map(|bits| (0..5).map(move |bit| (bits, bit))) {
            let mut before = Membership::of(set(bits));
            before.learners.extend(set(31 & !bits));
            let change = match bits >> bit & 1 {
                0 => Change::Promote(NodeId(bit)),
                _ => Change::Remove(NodeId(bit)),
            };
            let Ok(after) = before.after(&change) else { continue };
            assert!(!after.voters.is_joint());
            let decide =
                |m: &Membership, nodes: u16| m.voters.are_decided_by(&set(nodes).collect::<Vec<_>>());
            for (a, b) in (0..32).flat_map(|a| (0..32).map(move |b| (a, b))) {
                assert!(a & b != 0 || !decide(&before, a) || !decide(&after, b));
            }
        }
    }
}
