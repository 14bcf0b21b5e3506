//! §8, thesis §6.4: reads that are not in the log; and leases (thesis §6.4.1).

use super::super::*;
use super::cluster::{Cluster, Envelope, READ, WRITTEN, config, write};
use super::replication::disk;

fn leased(nodes: u16) -> Config {
    Config { reads: Reads::Lease { clock_drift_permille_max: 0 }, ..config(nodes) }
}

/// What is on its way and like that, kept for later.
fn copy(cluster: &Cluster, is_it: impl Fn(&Envelope<Registers>) -> bool) -> Envelope<Registers> {
    cluster.network.iter().find(|envelope| is_it(envelope)).expect("it is on its way").clone()
}

// Thesis §6.4: the leader "issues a new round of heartbeats and waits for their acknowledgments from a
// majority". A refusal is none, whatever the term in which the follower says it: it answers a message of
// a term before, whose rounds had the same numbers.
#[test]
fn a_refusal_of_an_old_message_confirms_no_round() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.run(0, write(7));
    for _ in 0..9 {
        cluster.network.clear();
        cluster.fire(0, Timer::Heartbeat);
    }
    let late = copy(&cluster, |e| e.to == 1);
    cluster.network.clear();
    cluster.restart(0);
    cluster.elect(0);
    cluster.network = vec![late];
    cluster.deliver_one(|e| e.to == 1);
    let refusal = cluster.network.pop().expect("node 1 refuses what comes from term 1");
    assert!(matches!(refusal.msg, Msg::Appended { term: Term(2), outcome: Outcome::Outdated, .. }));
    // Node 0 leads on in term 2, cut off, while the others go on.
    cluster.elect_among(1, &[1, 2]);
    assert_eq!(cluster.run_among(1, write(8), &[1, 2]), Some(WRITTEN));
    let read = cluster.ask(0, READ);
    cluster.network = vec![refusal];
    cluster.deliver_if(|e| e.to == 0);
    assert!(cluster.leads(0), "it cannot know");
    assert_eq!(cluster.answer(read), None, "and so it must not answer");
}

// Thesis §6.4.1: what a lease rests on is that those who heard from the leader vote for nobody. Node 1
// hears from its leader, and then the leader's own request for its vote arrives once more. (Its log is
// short, or the leader's of then would not do for it any more.)
#[test]
fn a_repeated_request_for_a_vote_ends_no_promise() {
    let disks = [&[1][..], &[], &[1]].map(disk).into();
    let mut cluster: Cluster = Cluster::of_disks(leased(3), disks);
    for node in [0, 1, 2] {
        cluster.lose_patience(node);
    }
    cluster.fire(0, Timer::Election);
    cluster.deliver_if(|e| matches!(e.msg, Msg::RequestVote { campaign: Campaign::PreVote, .. }));
    cluster.deliver_if(|e| matches!(e.msg, Msg::Vote { .. }));
    let late = copy(&cluster, |e| e.to == 1);
    cluster.deliver_one(|e| e.to == 1);
    cluster.deliver_if(|e| matches!(e.msg, Msg::Vote { .. }));
    // Node 2 has the first entry of the term, and then hears nothing more.
    cluster.deliver_among(&[0, 2]);
    assert_eq!((cluster.leads(0), cluster.commit_index(0)), (true, 2));
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver_one(|e| e.to == 1);
    cluster.deliver_one(|e| e.to == 0);
    cluster.network = vec![late];
    cluster.deliver_one(|e| e.to == 1);
    cluster.network.clear();
    cluster.lose_patience(2);
    cluster.fire(2, Timer::Election);
    cluster.deliver_among(&[1, 2]);
    assert!(!cluster.leads(2), "node 1 has promised");
    assert!(cluster.run_among(0, READ, &[0]).is_some(), "and node 0 relies on it");
}

// The same, if the candidate's term has come by another way already: it is no leader's, and the promise
// was made to the leader of a term before.
#[test]
fn a_promise_outlives_the_term_in_which_it_was_made() {
    let mut cluster: Cluster = Cluster::with(leased(3));
    cluster.elect(0);
    let (term, campaign, granted) = (Term(2), Campaign::Election, false);
    cluster.step(1, Input::Msg { from: NodeId(2), msg: Msg::Vote { term, campaign, granted } });
    assert_eq!(cluster.term(1), 2);
    cluster.network.clear();
    let last_log = cluster.view(1).log_last();
    cluster.step(1, Input::Msg { from: NodeId(2), msg: Msg::RequestVote { term, last_log, campaign } });
    assert_eq!((cluster.view(1).voted_for(), &cluster.network[..]), (None, &[][..]));
    // Who asks because the old leader told it to gets the vote: the old leader has no lease any more. A
    // promise to somebody else stays.
    let campaign = Campaign::Transfer;
    cluster.step(1, Input::Msg { from: NodeId(2), msg: Msg::RequestVote { term, last_log, campaign } });
    assert_eq!(cluster.view(1).voted_for(), Some(NodeId(2)));
    assert!(cluster.node(1).hears_leader);
}
