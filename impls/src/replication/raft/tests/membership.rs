//! §6 and thesis §4: who the members are, and changing that.

use super::super::*;
use super::cluster::{Cluster, READ, WRITTEN, config, holds, write};

pub(super) fn change(change: Change) -> Op<crate::object::register::Op> {
    Op::Change(change)
}

pub(super) fn set_voters<const N: usize>(nodes: [u16; N]) -> Op<crate::object::register::Op> {
    change(Change::SetVoters(nodes.map(NodeId).into()))
}

/// Nodes of which the first so many vote. The first leads, the others learn.
pub(super) fn with_learners(mut config: Config, voters: u16) -> Cluster {
    config.voters.truncate(usize::from(voters));
    let nodes = config.nodes;
    let mut cluster: Cluster = Cluster::with(config);
    cluster.elect_among(0, &(0..voters).collect::<Vec<_>>());
    for node in voters..nodes {
        assert_eq!(cluster.run(0, change(Change::AddLearner(NodeId(node)))), Some(Ret::Changed));
    }
    beat(&mut cluster, 0);
    cluster
}

/// Everybody hears what the leader knows.
pub(super) fn beat(cluster: &mut Cluster, leader: u16) {
    cluster.fire(leader, Timer::Heartbeat);
    cluster.deliver();
}

fn members(cluster: &Cluster, node: u16) -> String {
    format!("{:?}", cluster.view(node).membership())
}

// §6: "Once C_old,new has been committed, […] it is now safe for the leader to create a log entry
// describing C_new". If that leader crashes before anybody has it, the next one does, though it may
// have applied C_old,new long ago: else the cluster stays joint for ever, and refuses all other changes.
#[test]
fn a_change_that_a_leader_has_left_half_done_is_finished_by_the_next() {
    for is_compacted in [false, true] {
        let mut config = config(4);
        (config.limits.entries_per_message, config.limits.messages_in_flight) = (1, 1);
        if is_compacted {
            (config.limits.snapshot_after, config.limits.log_kept) = (1, 0);
        }
        let mut cluster = with_learners(config, 3);
        let asked = cluster.ask(0, set_voters([0, 2, 3]));
        // Nodes 0 and 2 are a majority of both sets. Node 3 gets the first half late, and that it is
        // committed; of the second half nobody hears.
        cluster.deliver_one(|e| e.to == 2);
        cluster.network.retain(|e| e.from == 2);
        cluster.deliver_one(|e| e.to == 0);
        assert!(!cluster.view(0).membership().voters.is_joint(), "node 0 goes on to the second half");
        cluster.network.clear();
        for _ in 0..3 {
            cluster.fire(0, Timer::Heartbeat);
            cluster.deliver_if(|e| {
                let is_second = matches!(&e.msg, Msg::AppendEntries { entries, .. } if entries.iter()
                    .any(|e| matches!(&e.payload, Payload::Membership { membership, .. } if !membership.voters.is_joint())));
                (e.from, e.to) == (3, 0) || (e.from, e.to) == (0, 3) && !is_second
            });
            cluster.network.clear();
        }
        assert_eq!(members(&cluster, 3), "n0 n1 n2 & n0 n2 n3");
        assert_eq!(cluster.view(3).commit_index(), cluster.view(3).log_last().index);
        cluster.stop(0);
        cluster.elect(3);
        cluster.deliver();
        assert_eq!(members(&cluster, 3), "n0 n2 n3", "compacted: {is_compacted}");
        // Who asked for it asks again, and for something else.
        assert_eq!(cluster.run(2, set_voters([0, 2, 3])), Some(Ret::Changed));
        assert_eq!(cluster.run(3, change(Change::Remove(NodeId(0)))), Some(Ret::Changed));
        assert_eq!(cluster.answer(asked), None, "node 0 was asked, and is gone");
    }
}

// The same, with the request held by a node that lives: the second half is what it waits for.
#[test]
fn who_asked_for_a_change_hears_of_its_end_from_the_next_leader() {
    let mut cluster = with_learners(config(4), 3);
    let asked = cluster.ask(2, set_voters([0, 2, 3]));
    cluster.deliver_if(|e| e.to == 0 && matches!(e.msg, Msg::Forward { .. }));
    cluster.deliver_if(|e| e.to == 2 && e.from == 0);
    cluster.network.clear();
    cluster.stop(0);
    cluster.elect(2);
    cluster.deliver();
    assert_eq!(cluster.answer(asked), Some(&Ret::Changed));
    assert_eq!(members(&cluster, 2), "n0 n2 n3");
    assert_eq!(cluster.run(3, write(7)), Some(WRITTEN));
}

// §6: "servers that are not in C_new", and were not told, keep asking for votes: that is no leader to
// them. Their clients are answered all the same.
#[test]
fn a_node_that_does_not_know_that_it_was_removed_finds_the_leader() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    assert_eq!(cluster.run_among(0, write(7), &[0, 1]), Some(WRITTEN));
    assert_eq!(cluster.run_among(0, change(Change::Remove(NodeId(2))), &[0, 1]), Some(Ret::Changed));
    cluster.lose_patience(2);
    let request = cluster.ask(2, READ);
    for _ in 0..6 {
        cluster.network.clear();
        cluster.fire(2, Timer::Election);
        cluster.deliver();
        beat(&mut cluster, 0);
    }
    assert_eq!(members(&cluster, 2), "n0 n1 n2", "it does not know");
    assert_eq!(cluster.answer(request), Some(&holds(7)));
}
