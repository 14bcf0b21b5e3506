//! Raft's nodes are alike: what happens does not depend on their numbers, with two exceptions.
//!
//! - A node that holds a request and knows of no leader asks the others in the order of their numbers
//!   (`ask_one` in `requests.rs`): so nodes are alike only as long as none that holds a request gives its
//!   leader up by its election timer.
//! - A leader that leaves hands over to the last by number of those that have most
//!   (`hand_over_to_anyone` in `transfer.rs`): so nodes are not alike where a leader is removed.
//!
//! Which of several votes came first makes no difference to anything, so they are put in order.

use super::change::Configurations;
use super::log::{Entry, Payload};
use super::membership::Membership;
use super::replicate::Leadership;
use super::{Change, Disk, Msg, MsgOf, Op, Raft, Role, Snapshot, StateMachine};
use crate::protocol::{Data, NodeId, Symmetric};
use std::collections::BTreeSet;

/// The new number of a node.
type Number<'a> = &'a dyn Fn(NodeId) -> NodeId;

impl<S: StateMachine> Symmetric for Raft<S> {
    fn renamed(&self, number: Number<'_>) -> Raft<S> {
        let votes = |votes: &[NodeId]| {
            let mut votes: Vec<NodeId> = votes.iter().map(|&node| number(node)).collect();
            votes.sort_unstable();
            votes
        };
        Raft {
            id: number(self.id),
            disk: Self::renamed_disk(&self.disk, number),
            configurations: renamed_configurations(&self.configurations, number),
            commit_index: self.commit_index,
            machine: self.machine.clone(),
            role: match &self.role {
                Role::Follower => Role::Follower,
                Role::PreCandidate(yes) => Role::PreCandidate(votes(yes)),
                Role::Candidate(yes) => Role::Candidate(votes(yes)),
                Role::Leader(leading) => Role::Leader(Box::new(renamed_leadership(leading, number))),
            },
            leader: self.leader.map(number),
            hears_leader: self.hears_leader,
            held: self.held.renamed(number),
            incoming: self.incoming.clone(),
        }
    }

    fn renamed_msg(msg: &MsgOf<S>, number: Number<'_>) -> MsgOf<S> {
        let mut msg = msg.clone();
        match &mut msg {
            Msg::AppendEntries { entries, .. } => *entries = renamed_entries(entries, number),
            Msg::InstallSnapshot { part, .. } => *part = renamed_snapshot(part, number),
            Msg::NotLeader { leader: Some((_, leader)), .. } => *leader = number(*leader),
            Msg::Forward { op: Op::Transfer(to), .. } => *to = number(*to),
            Msg::Forward { op: Op::Change(change), .. } => *change = renamed_change(change, number),
            Msg::Forward { op: Op::Command(_), .. }
            | Msg::RequestVote { .. }
            | Msg::Vote { .. }
            | Msg::Appended { .. }
            | Msg::Received { .. }
            | Msg::TimeoutNow { .. }
            | Msg::Answer { .. }
            | Msg::NotLeader { leader: None, .. } => {}
        }
        msg
    }

    fn renamed_disk(disk: &Disk<S::Command>, number: Number<'_>) -> Disk<S::Command> {
        Disk {
            current_term: disk.current_term,
            voted_for: disk.voted_for.map(number),
            snapshot: disk.snapshot.as_ref().map(|snapshot| renamed_snapshot(snapshot, number)),
            log: disk.log.map(|entry| renamed_entry(entry, number)),
        }
    }
}

fn renamed_entries<C: Data>(entries: &[Entry<C>], number: Number<'_>) -> Vec<Entry<C>> {
    entries.iter().map(|entry| renamed_entry(entry, number)).collect()
}

fn renamed_entry<C: Data>(entry: &Entry<C>, number: Number<'_>) -> Entry<C> {
    let payload = match &entry.payload {
        Payload::Membership { membership, asked } => {
            Payload::Membership { membership: renamed_membership(membership, number), asked: *asked }
        }
        other => other.clone(),
    };
    Entry { term: entry.term, payload }
}

fn renamed_snapshot(snapshot: &Snapshot, number: Number<'_>) -> Snapshot {
    // The state machine knows of clients, not of nodes.
    Snapshot { membership: renamed_membership(&snapshot.membership, number), ..snapshot.clone() }
}

fn renamed_membership(membership: &Membership, number: Number<'_>) -> Membership {
    let learners = membership.learners.iter().map(|&node| number(node)).collect();
    Membership { voters: membership.voters.renamed(number), learners }
}

fn renamed_configurations(configurations: &Configurations, number: Number<'_>) -> Configurations {
    configurations.map(|membership| renamed_membership(membership, number))
}

fn renamed_change(change: &Change, number: Number<'_>) -> Change {
    match change {
        Change::AddLearner(node) => Change::AddLearner(number(*node)),
        Change::Promote(node) => Change::Promote(number(*node)),
        Change::Remove(node) => Change::Remove(number(*node)),
        Change::SetVoters(nodes) => {
            Change::SetVoters(nodes.iter().map(|&node| number(node)).collect::<BTreeSet<_>>())
        }
    }
}

fn renamed_leadership<S: StateMachine>(leading: &Leadership<S>, number: Number<'_>) -> Leadership<S> {
    let mut renamed = leading.clone();
    renamed.progress =
        leading.progress.iter().map(|(&node, progress)| (number(node), progress.clone())).collect();
    renamed.batch.iter_mut().for_each(|payload| {
        if let Payload::Membership { membership, .. } = payload {
            *membership = renamed_membership(membership, number);
        }
    });
    renamed.proposals.rename(number);
    renamed.reads.values_mut().for_each(|read| read.asker.node = number(read.asker.node));
    renamed.postponed.iter_mut().for_each(|postponed| postponed.asker.node = number(postponed.asker.node));
    if let Some(handover) = &mut renamed.handover {
        handover.rename(number);
    }
    renamed
}
