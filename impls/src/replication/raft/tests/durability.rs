//! Figure 2, "Persistent state on all servers (updated on stable storage before responding to RPCs)".

use super::super::*;
use super::cluster::{Cluster, READ, WRITTEN, holds, write};
use crate::object::register;
use crate::protocol::Durable;

// A vote, an acknowledgement, an answer: each leaves after the record that it rests on.
#[test]
fn nothing_leaves_before_what_it_rests_on_is_durable() {
    let mut cluster = Cluster::new(3);
    let rests = |msg: &MsgOf<Registers>| {
        matches!(msg, Msg::Vote { granted: true, campaign: Campaign::Election, .. })
            || matches!(msg, Msg::Appended { outcome: Outcome::Matches(Index(1..)), .. })
            || matches!(msg, Msg::RequestVote { campaign: Campaign::Election, .. })
    };
    let mut seen = 0;
    cluster.fire(0, Timer::Election);
    cluster.ask(0, write(1));
    while !cluster.network.is_empty() {
        let envelope = cluster.network.remove(0);
        let input = Input::Msg { from: NodeId(envelope.from), msg: envelope.msg };
        let out = cluster.clone_of(envelope.to, input.clone());
        let persists = out.iter().rposition(|effect| matches!(effect, Effect::Persist(_)));
        let leaves = out.iter().position(|effect| match effect {
            Effect::Send { msg, .. } => rests(msg),
            Effect::Reply { .. } => true,
            _ => false,
        });
        if let (Some(persists), Some(leaves)) = (persists, leaves) {
            assert!(persists < leaves, "{out:?}");
            seen += 1;
        }
        cluster.step(envelope.to, input);
    }
    assert!(seen >= 4, "candidate, voters and followers wrote before they spoke: {seen}");
    assert_eq!(cluster.replies.len(), 1);
}

impl Cluster {
    /// The effects that a step would have.
    fn clone_of(&self, node: u16, input: Input<Raft<Registers>>) -> Vec<Effect<Raft<Registers>>> {
        let mut out = vec![];
        self.node(node).clone().step(&self.config, self.now, input, &mut out);
        out
    }
}

// §5.4: what was acknowledged survives the loss of power of all nodes at once.
#[test]
fn what_was_answered_survives_the_crash_of_everybody() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    assert_eq!(cluster.run_among(0, write(7), &[0, 1]), Some(WRITTEN));
    (0..3).for_each(|node| cluster.restart(node));
    cluster.elect(1);
    assert_eq!(cluster.run(0, READ), Some(holds(7)));
}

// A crash between any two effects of any step of an election and a write leaves a cluster that elects
// again, and in which the write happened once if it was answered, and once at most if not.
#[test]
fn a_crash_between_any_two_effects_is_survived() {
    let mut crashes = 0;
    for (step, cut) in (0..24).flat_map(|step| (0..8).map(move |cut| (step, cut))) {
        let mut cluster = Cluster::new(3);
        cluster.fire(0, Timer::Election);
        cluster.ask_as(0, 9, 1, write(7));
        for _ in 0..step {
            if !cluster.network.is_empty() {
                cluster.deliver_at(0);
            }
        }
        if cluster.network.is_empty() {
            continue;
        }
        let envelope = cluster.network.remove(0);
        let input = Input::Msg { from: NodeId(envelope.from), msg: envelope.msg };
        cluster.step_cut(envelope.to, input, cut);
        cluster.start(envelope.to);
        cluster.deliver();
        crashes += 1;
        let was_answered = cluster.answer((9, 1)).is_some();
        let next = (0..3).find(|&node| !cluster.leads(node) && node != envelope.to).unwrap();
        for node in 0..3 {
            if cluster.leads(node) {
                cluster.restart(node);
            }
        }
        cluster.elect(next);
        let read = cluster.run(next, READ);
        assert!(read.is_some(), "a cluster that is whole again answers");
        assert!(!was_answered || read == Some(holds(7)), "step {step}, cut {cut}: {read:?}");
    }
    assert!(crashes > 50, "{crashes}");
}

// What a node knows is what its disk says: the same after any restart.
#[test]
fn a_node_that_restarts_has_term_vote_and_log() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.run(0, write(7));
    for node in 0..3 {
        let before = cluster.node(node).disk.clone();
        assert_eq!(before, cluster.disks[usize::from(node)]);
        cluster.restart(node);
        assert_eq!(cluster.node(node).disk, before);
        assert_eq!(cluster.view(node).role(), RoleName::Follower);
        assert_eq!(cluster.commit_index(node), 0, "commitIndex is volatile (Figure 2)");
    }
}

// Figure 2: votedFor is the "candidateId that received vote in current term". Wherever a crash comes, the disk
// does not say of a term whom the node voted for in another one.
#[test]
fn a_vote_is_not_durable_without_its_term() {
    let (term, campaign, last_log) = (Term(6), Campaign::Election, LogId::default());
    let mut disks = vec![];
    for cut in 0..6 {
        let mut cluster = Cluster::new(3);
        let record = Record::HardState { current_term: Term(5), voted_for: None };
        crate::protocol::Durable::replay(&mut cluster.disks[1], &record);
        cluster.restart(1);
        let msg = Msg::RequestVote { term, last_log, campaign };
        cluster.step_cut(1, Input::Msg { from: NodeId(0), msg }, cut);
        let disk = &cluster.disks[1];
        disks.push((disk.current_term.0, disk.voted_for.map(|node| node.0)));
        let left = cluster.network.iter().any(|e| matches!(e.msg, Msg::Vote { .. }));
        assert!(!left || disk.voted_for == Some(NodeId(0)), "the vote left before it was durable");
    }
    disks.dedup();
    assert_eq!(disks, [(5, None), (6, None), (6, Some(0))]);
}

// A record that is damaged was acknowledged, like as not: the log is repaired, or the node does not start.
#[test]
fn a_damaged_log_is_not_cut_off() {
    assert!(!Raft::<Registers>::cuts_damaged_log(&Cluster::new(3).config));
}

// Figure 2 has them side by side: whatever of a step's records a crash leaves, a vote is not forgotten in the
// term that it was given in.
#[test]
fn a_term_is_never_durable_without_its_vote() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    let (last_log, campaign) = (cluster.node(1).disk.log.last(), Campaign::Transfer);
    let asks = Msg::RequestVote { term: Term(2), last_log, campaign };
    let effects = cluster.clone_of(1, Input::Msg { from: NodeId(2), msg: asks });
    let mut disk = cluster.node(1).disk.clone();
    let voted = |disk: &Disk<register::Op>| (disk.current_term, disk.voted_for);
    let mut seen = vec![voted(&disk)];
    for effect in &effects {
        if let Effect::Persist(record) = effect {
            disk.replay(record);
            seen.push(voted(&disk));
        }
    }
    assert_eq!(seen.first(), Some(&(Term(1), Some(NodeId(0)))));
    assert_eq!(seen.last(), Some(&(Term(2), Some(NodeId(2)))));
    assert!(!seen.contains(&(Term(1), None)), "{seen:?}");
}
