//! §6 and thesis §4: who the members are, and changing that.

use super::super::*;
use super::cluster::{Cluster, Envelope, READ, WRITTEN, config, holds, write};

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
            let is_between = |e: &Envelope<Registers>| [(0, 3), (3, 0)].contains(&(e.from, e.to));
            cluster.deliver_if(|e| is_between(e) && !format!("{:?}", e.msg).contains("members n0 n2 n3"));
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

// §6: "a server always uses the latest configuration in its log, regardless of whether the entry is
// committed". If the entry goes, so does what it said.
#[test]
fn a_node_uses_the_latest_membership_in_its_log() {
    let mut cluster = with_learners(config(4), 3);
    cluster.ask(0, change(Change::Promote(NodeId(3))));
    assert_eq!([0, 1].map(|node| members(&cluster, node)), ["n0 n1 n2 n3", "n0 n1 n2 + n3"]);
    let entry_at = cluster.view(0).log_last().index.0;
    cluster.deliver_one(|e| e.to == 1);
    assert_eq!(members(&cluster, 1), "n0 n1 n2 n3");
    cluster.restart(1);
    assert_eq!(members(&cluster, 1), "n0 n1 n2 n3", "as its log says, after a restart too");
    assert!(cluster.commit_index(1) < entry_at);
    // The entry is at node 0 only, and the others elect a leader without it.
    let mut cluster = with_learners(config(4), 3);
    cluster.ask(0, change(Change::Promote(NodeId(3))));
    cluster.network.clear();
    cluster.restart(0);
    cluster.elect_among(1, &[1, 2]);
    assert_eq!(members(&cluster, 0), "n0 n1 n2 n3");
    beat(&mut cluster, 1);
    assert_eq!(members(&cluster, 0), "n0 n1 n2 + n3");
}

// §6, Figure 10 and 11: while the set is joint, "agreement (for elections and entry commitment) requires
// separate majorities from both the old and new configurations". Voters 0, 1, 2 become 2, 3, 4.
#[test]
fn a_joint_set_needs_both_majorities() {
    // With these besides node 0, which leads: is the first half committed?
    for (others, is_committed) in
        [(&[1, 2][..], false), (&[3, 4], false), (&[1, 3], false), (&[2, 3], true), (&[1, 3, 4], true)]
    {
        let mut cluster = with_learners(config(5), 3);
        let joint_at = cluster.view(0).log_last().index.next().0;
        cluster.ask(0, set_voters([2, 3, 4]));
        let is_inside = |node: u16| node == 0 || others.contains(&node);
        cluster.deliver_if(|e| is_inside(e.from) && is_inside(e.to));
        assert_eq!(cluster.commit_index(0) >= joint_at, is_committed, "0 and {others:?} store");
    }
    // Node 2 has the joint set as its latest: who elects it?
    for (others, is_elected) in
        [(&[0, 1][..], false), (&[3, 4], false), (&[0, 3], true), (&[1, 4], true), (&[0, 1, 3, 4], true)]
    {
        let mut cluster = with_learners(Config { has_pre_vote: false, ..config(5) }, 3);
        cluster.ask(0, set_voters([2, 3, 4]));
        cluster.deliver_one(|e| e.to == 2);
        cluster.network.clear();
        cluster.restart(0);
        let mut among = others.to_vec();
        among.push(2);
        // Node 0 has the entry too, or it would not do as a voter: nothing here is newer than node 2's log.
        cluster.elect_among(2, &among);
        assert_eq!(cluster.leads(2), is_elected, "{others:?} vote");
    }
}

// §6: "Any server from either configuration may serve as leader", and "the cluster [can] continue servicing
// client requests throughout the configuration change".
#[test]
fn clients_are_served_while_the_set_is_joint() {
    for leader in [1, 4] {
        let mut cluster = with_learners(config(5), 3);
        cluster.ask(0, set_voters([2, 3, 4]));
        cluster.deliver_if(|e| e.from == 0);
        cluster.network.clear();
        cluster.stop(0);
        assert!((1..5).all(|node| cluster.view(node).membership().voters.is_joint()));
        let request = cluster.ask(2, write(7));
        cluster.elect_among(leader, &[1, 2, 3, 4]);
        let (elected, note) = cluster.notes.iter().rfind(|(_, note)| note.detail == "t2").expect("it tried");
        assert_eq!((*elected, note.kind.as_str()), (leader, "elected"), "of the old set, or of the new");
        assert_eq!(cluster.answer(request), Some(&WRITTEN));
        assert_eq!(members(&cluster, 3), "n2 n3 n4", "and the change is finished");
    }
}

// §6: "the cluster leader may not be part of the new configuration. In this case, the leader steps down
// […] once it has committed the C_new log entry. This means that there will be a period of time […] when
// the leader is managing a cluster that does not include itself; it replicates log entries but does not
// count itself in majorities." Thesis §4.2.2.
#[test]
fn a_leader_that_removes_itself_does_not_count_and_leaves() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    let request = cluster.ask(0, change(Change::Remove(NodeId(0))));
    let removed_at = cluster.view(0).log_last().index.0;
    cluster.deliver_if(|e| e.to == 1 || (e.from, e.to) == (1, 0));
    assert!(cluster.commit_index(0) < removed_at, "itself and node 1 are no majority of 1 and 2");
    assert!(cluster.leads(0));
    cluster.deliver();
    assert!(!cluster.leads(0));
    assert_eq!(cluster.answer(request), Some(&Ret::Changed));
    assert!(cluster.leads(1) || cluster.leads(2), "it told one of them not to wait");
    assert!(
        cluster.term(1) == 2 && !cluster.notes.iter().any(|(node, note)| *node == 0 && note.detail == "t2")
    );
    // It knows that it is no member, and stands for nothing.
    cluster.fire(0, Timer::Election);
    assert_eq!(cluster.view(0).role(), RoleName::Follower);
    assert_eq!(cluster.run(0, write(7)), Some(WRITTEN), "its clients are served");
}

// Thesis §4.2.2: a server that is no member of its latest set still starts elections, for it may be the
// only one that has the entry that says so. The paper's case: of two, one is removed, and only the leader,
// which removes itself, has the entry.
#[test]
fn who_is_to_leave_may_be_needed_to_make_it_so() {
    let mut cluster = Cluster::new(2);
    cluster.elect(0);
    cluster.ask(0, change(Change::Remove(NodeId(0))));
    cluster.network.clear();
    cluster.restart(0);
    cluster.elect_among(1, &[0, 1]);
    assert!(!cluster.leads(1), "node 0 has more in its log");
    cluster.elect_among(0, &[0, 1]);
    cluster.deliver();
    assert_eq!(members(&cluster, 1), "n1");
    if !cluster.leads(1) {
        cluster.elect_among(1, &[1]);
    }
    assert!(cluster.leads(1) && !cluster.leads(0));
}

// Thesis §4.1: "leaders must not begin a new change until the previous one is committed": one at a time.
#[test]
fn one_change_after_the_other() {
    let mut cluster = with_learners(config(5), 3);
    cluster.ask(0, change(Change::Promote(NodeId(3))));
    let busy = Some(Ret::Refused(Refusal::Busy));
    let second = cluster.ask(0, change(Change::Promote(NodeId(4))));
    assert_eq!(cluster.answer(second), busy.as_ref());
    cluster.deliver();
    assert_eq!(cluster.run(0, change(Change::Promote(NodeId(4)))), Some(Ret::Changed));
    let joint = cluster.ask(0, set_voters([0, 1, 2]));
    let second = cluster.ask(0, change(Change::Remove(NodeId(1))));
    assert_eq!(cluster.answer(second), busy.as_ref());
    cluster.deliver();
    assert_eq!(cluster.answer(joint), Some(&Ret::Changed));
}

// Ongaro, raft-dev, July 2015: "a leader may not append a new configuration entry until it has committed an
// entry from its current term". Else this: of voters 0 to 3, node 0 adds 4, which is on 0 and 4 only; node 1,
// elected by 2 and 3, removes 0, and commits that with 2, two of three; then 0 is elected by 3 and 4,
// three of five, and has lost what was committed.
#[test]
fn a_leader_commits_an_entry_of_its_term_before_it_changes_members() {
    let mut cluster = with_learners(config(5), 4);
    cluster.restart(0);
    cluster.lose_patience(1);
    (2..4).for_each(|node| cluster.lose_patience(node));
    cluster.fire(1, Timer::Election);
    cluster.deliver_if(|e| matches!(e.msg, Msg::RequestVote { .. } | Msg::Vote { .. }));
    assert!(cluster.leads(1));
    let early = cluster.ask(1, change(Change::Promote(NodeId(4))));
    assert_eq!(cluster.answer(early), Some(&Ret::Refused(Refusal::Busy)));
    cluster.deliver();
    assert_eq!(cluster.run(1, change(Change::Promote(NodeId(4)))), Some(Ret::Changed));
}

// §6: "new servers join the cluster as non-voting members (the leader replicates log entries to them, but
// they are not considered for majorities)". Thesis §4.2.1: only "once the new server has caught up […] the
// reconfiguration can proceed".
#[test]
fn learners_get_the_log_and_have_no_say() {
    let mut config = config(5);
    config.limits.learner_lag = 2;
    let mut cluster = with_learners(config, 3);
    let request = cluster.ask(0, write(1));
    cluster.deliver_if(|e| e.to > 2 || e.from > 2);
    assert_eq!(cluster.view(3).log_last(), cluster.view(0).log_last(), "they have it,");
    assert_eq!(cluster.answer(request), None, "and three of five is no majority of three");
    cluster.deliver();
    assert_eq!(cluster.answer(request), Some(&WRITTEN));
    cluster.fire(3, Timer::Election);
    assert_eq!((cluster.view(3).role(), &cluster.network[..]), (RoleName::Follower, &[][..]));
    // One that lags is not made a voter.
    for value in 2..6 {
        assert_eq!(cluster.run_among(0, write(value), &[0, 1, 2, 3]), Some(WRITTEN));
    }
    assert_eq!(cluster.run(0, change(Change::Promote(NodeId(4)))), Some(Ret::Refused(Refusal::Behind)));
    beat(&mut cluster, 0);
    beat(&mut cluster, 0);
    assert_eq!(cluster.run(0, change(Change::Promote(NodeId(4)))), Some(Ret::Changed));
    assert_eq!(members(&cluster, 0), "n0 n1 n2 n4 + n3");
}

#[test]
fn what_is_no_change_is_refused_or_done_already() {
    let mut cluster = with_learners(config(4), 3);
    for (asked, expected) in [
        (Change::AddLearner(NodeId(3)), Ret::Changed),
        (Change::AddLearner(NodeId(4)), Ret::Refused(Refusal::NoSuchVoter)),
        (Change::Promote(NodeId(9)), Ret::Refused(Refusal::NotALearner)),
        (Change::SetVoters([].into()), Ret::Refused(Refusal::NoVoters)),
        (Change::SetVoters([0, 1, 2].map(NodeId).into()), Ret::Changed),
        (Change::Remove(NodeId(9)), Ret::Changed),
    ] {
        let before = cluster.view(0).log_last();
        assert_eq!(cluster.run(0, change(asked.clone())), Some(expected), "{asked:?}");
        assert_eq!(cluster.view(0).log_last(), before, "nothing is logged for it");
    }
}

// drmingdrmer/raft-rejoin-bug: what a node had before it was removed and added again is not what it has:
// its disk may be another one.
#[test]
fn answers_of_a_former_membership_do_not_count() {
    let mut cluster = with_learners(config(4), 3);
    cluster.ask(0, write(7));
    cluster.deliver_one(|e| e.to == 3);
    let late = cluster.network.iter().find(|e| e.from == 3).expect("it has answered").clone();
    cluster.network.retain(|e| e.to != 3 && e.from != 3);
    cluster.deliver();
    for asked in [Change::Remove(NodeId(3)), Change::AddLearner(NodeId(3))] {
        assert_eq!(cluster.run_among(0, change(asked), &[0, 1, 2]), Some(Ret::Changed));
    }
    let progress = |cluster: &Cluster| {
        let Role::Leader(leading) = &cluster.node(0).role else { panic!("it leads") };
        (leading.progress[&NodeId(3)].match_index, leading.progress[&NodeId(3)].round)
    };
    cluster.network = vec![late];
    cluster.deliver_one(|e| e.to == 0);
    assert_eq!(progress(&cluster), (Index(0), 0));
    beat(&mut cluster, 0);
    assert_eq!(progress(&cluster).0, cluster.view(0).log_last().index);
}
