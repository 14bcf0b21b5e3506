//! §8, thesis §6.4: reads that are not in the log; and leases (thesis §6.4.1).

use super::super::*;
use super::cluster::{Cluster, Envelope, READ, WRITTEN, config, holds, write};
use super::membership::beat;
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

// Thesis §6.4: "1. If the leader has not yet marked an entry from its current term committed, it waits until
// it has done so." What was committed and answered is at nodes 0 and 1; node 1 leads, and does not know. Node 2
// says that it follows, and lacks the entry.
#[test]
fn a_new_leader_answers_no_read_before_it_knows_what_is_committed() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    assert_eq!(cluster.run_among(0, write(7), &[0, 1]), Some(WRITTEN));
    cluster.stop(0);
    (1..3).for_each(|node| cluster.lose_patience(node));
    cluster.fire(1, Timer::Election);
    cluster.deliver_if(|e| matches!(e.msg, Msg::RequestVote { .. } | Msg::Vote { .. }));
    assert!(cluster.leads(1));
    // Rounds 1 and 2 are answered; what the leader sends because of that is late.
    cluster.deliver_one(|e| e.to == 2);
    cluster.deliver_one(|e| e.to == 1);
    let late = std::mem::take(&mut cluster.network);
    let read = cluster.ask(1, READ);
    cluster.deliver_one(|e| e.to == 2);
    cluster.deliver_one(|e| e.to == 1);
    let Role::Leader(leading) = &cluster.node(1).role else { panic!("it leads") };
    assert_eq!((leading.rounds.confirmed, cluster.commit_index(1)), (2, 1));
    assert_eq!(cluster.answer(read), None);
    cluster.network.extend(late);
    cluster.deliver();
    assert_eq!(cluster.answer(read), Some(&holds(7)));
}

// Thesis §6.4: "3. The leader needs to make sure it has not been superseded by a newer leader of which it is
// unaware. It issues a new round of heartbeats" — a new one: what was answered before proves nothing.
#[test]
fn a_read_waits_for_a_round_that_begins_after_it_came() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.run(0, write(7));
    cluster.fire(0, Timer::Heartbeat);
    let read = cluster.ask(0, READ);
    let rounds = |cluster: &Cluster| {
        let Role::Leader(leading) = &cluster.node(0).role else { panic!("it leads") };
        leading.rounds.begun
    };
    let begun = rounds(&cluster);
    while rounds(&cluster) == begun {
        assert_eq!(cluster.answer(read), None, "the round that is under way began before");
        cluster.deliver_at(0);
    }
    cluster.deliver();
    assert_eq!(cluster.answer(read), Some(&holds(7)));
}

// A leader that was superseded, and does not know, answers nothing; when it does, the next one answers.
#[test]
fn a_deposed_leader_answers_no_read() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.run(0, write(7));
    cluster.elect_among(1, &[1, 2]);
    assert_eq!(cluster.run_among(1, write(8), &[1, 2]), Some(WRITTEN));
    let read = cluster.ask(0, READ);
    cluster.deliver();
    assert!(!cluster.leads(0));
    beat(&mut cluster, 1);
    assert_eq!(cluster.answer(read), Some(&holds(8)));
}

// Thesis §6.4: "the leader can use a single round of messages to a majority to service many queries"; and a
// query writes nothing.
#[test]
fn reads_that_come_together_share_a_round_and_are_not_logged() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.run(0, write(7));
    let last = cluster.view(0).log_last();
    let reads: Vec<_> = (0..10).map(|node| cluster.ask(node % 3, READ)).collect();
    cluster.story.clear();
    cluster.deliver();
    assert!(reads.iter().all(|&read| cluster.answer(read) == Some(&holds(7))));
    assert_eq!(cluster.view(0).log_last(), last);
    let heartbeats = cluster.story.iter().filter(|line| line.contains("n0 -> n1 AppendEntries"));
    assert!(heartbeats.count() <= 2, "one for the first, one for all others: {:#?}", cluster.story);
    assert!(!cluster.story.iter().any(|line| line.contains("writes")));
}

// What a leader keeps of reads is bounded.
#[test]
fn reads_that_wait_are_bounded() {
    let mut config = config(3);
    config.limits.requests = 5;
    let mut cluster: Cluster = Cluster::with(config);
    cluster.elect(0);
    for node in [0, 1, 2] {
        for _ in 0..4 {
            cluster.ask(node, READ);
        }
    }
    cluster.deliver_if(|e| matches!(e.msg, Msg::Forward { .. }));
    assert_eq!(cluster.noted("overloaded"), 7);
    cluster.deliver();
    assert_eq!(cluster.replies.len(), 5);
}

// What was too much at the time is not lost: a leader looks after its own clients as followers do after theirs.
#[test]
fn a_leader_comes_back_to_what_it_has_dropped() {
    let mut config = config(3);
    (config.limits.requests, config.limits.uncommitted) = (2, 2);
    for op in [READ, write(7)] {
        let mut cluster: Cluster = Cluster::with(config.clone());
        cluster.elect(0);
        // Each other node's clients come first.
        for node in [1, 2, 0] {
            cluster.ask(node, op.clone());
            cluster.deliver_if(|e| matches!(e.msg, Msg::Forward { .. }));
        }
        assert_eq!(cluster.noted("overloaded"), 1);
        cluster.deliver();
        assert_eq!(cluster.replies.len(), 2);
        at(&mut cluster, 99);
        beat(&mut cluster, 0);
        assert_eq!(cluster.replies.len(), 2, "not before an election timeout is over");
        at(&mut cluster, 100);
        beat(&mut cluster, 0);
        assert_eq!(cluster.replies.len(), 3);
        assert_eq!(cluster.node(0).requests_held(), 0);
    }
}

// A read that is asked again, of this node or another, is the same read; and its client's next one ends it.
#[test]
fn a_client_has_one_read_open() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    for (node, id) in [(1, 1), (2, 1), (1, 2), (2, 1), (0, 2)] {
        cluster.ask_as(node, 9, id, READ);
        cluster.deliver_if(|e| matches!(e.msg, Msg::Forward { .. }));
        let Role::Leader(leading) = &cluster.node(0).role else { panic!("it leads") };
        assert_eq!(leading.reads.len(), 1);
    }
    cluster.deliver();
    assert_eq!((cluster.replies.len(), cluster.replies[0].1), (1, 2), "whoever asked last is answered");
}

/// A leader with a lease since 10 ms, if elections take 100 ms and heartbeats 25, and clocks run right.
fn with_a_lease() -> Cluster {
    let mut cluster: Cluster = Cluster::with(leased(3));
    cluster.elect(0);
    cluster.run(0, write(7));
    at(&mut cluster, 10);
    cluster.fire(0, Timer::Heartbeat);
    at(&mut cluster, 20);
    cluster.deliver();
    cluster
}

fn at(cluster: &mut Cluster, ms: u64) {
    cluster.now = Time(ms * 1_000_000);
}

/// Whether the leader answers a read at once, at that time.
fn reads_at_once(cluster: &mut Cluster, ms: u64) -> bool {
    at(cluster, ms);
    let read = cluster.ask(0, READ);
    cluster.network.clear();
    cluster.answer(read).is_some()
}

// Thesis §6.4.1: "the leader would use the normal heartbeat mechanism to maintain a lease. Once the leader's
// heartbeats were acknowledged by a majority of the cluster, it would extend its lease to start +
// election timeout / clock drift bound" — from when they began. Here less one heartbeat.
#[test]
fn a_lease_answers_reads_for_a_time_and_no_longer() {
    for (ms, at_once) in [(21, true), (84, true), (85, false), (109, false)] {
        assert_eq!(reads_at_once(&mut with_a_lease(), ms), at_once, "at {ms} ms");
    }
    let mut cluster = with_a_lease();
    at(&mut cluster, 80);
    beat(&mut cluster, 0);
    assert!(reads_at_once(&mut cluster, 154) && !reads_at_once(&mut cluster, 155), "extended");
    assert_eq!(cluster.noted("lease-expired"), 1);
    let read = cluster.ask(0, READ);
    beat(&mut cluster, 0);
    assert_eq!(cluster.answer(read), Some(&holds(7)), "without a lease it asks the others");
}

// Thesis §6.4.1: "The lease approach assumes a bound on clock drift across servers". A fast leader is sooner
// at the end of its lease, by its own clock, the more clocks may differ.
#[test]
fn a_lease_is_shorter_the_more_clocks_may_drift() {
    for (permille, ends_at) in [(0, 85), (50, 75), (100, 66), (500, 18)] {
        let mut config = leased(3);
        config.reads = Reads::Lease { clock_drift_permille_max: permille };
        let mut cluster: Cluster = Cluster::with(config);
        cluster.elect(0);
        at(&mut cluster, 10);
        beat(&mut cluster, 0);
        assert!(reads_at_once(&mut cluster, ends_at - 1) && !reads_at_once(&mut cluster, ends_at + 1));
    }
}

// A clock that is seen to go back says nothing of before; one that goes forward ends the lease early.
#[test]
fn a_clock_that_jumps_ends_the_lease() {
    for ms in [5, 19, 1_000] {
        let mut cluster = with_a_lease();
        assert!(!reads_at_once(&mut cluster, ms), "{ms} ms after 20");
        assert!(!reads_at_once(&mut cluster, 30), "and that it goes on from there does not help");
        beat(&mut cluster, 0);
        assert!(reads_at_once(&mut cluster, 31), "a new round does");
    }
}

// Thesis §6.4.1: "the leader's lease should be considered expired when it starts transferring leadership":
// those who are asked for votes by the next one do not keep their promises.
#[test]
fn who_hands_over_has_no_lease() {
    let mut cluster = with_a_lease();
    let transfer = cluster.ask(0, Op::Transfer(NodeId(1)));
    assert!(cluster.network.iter().any(|e| matches!(e.msg, Msg::TimeoutNow { .. })));
    assert!(!reads_at_once(&mut cluster, 30));
    cluster.fire(0, Timer::Transfer);
    assert!(cluster.answer(transfer).is_some());
    beat(&mut cluster, 0);
    assert!(!reads_at_once(&mut cluster, 40), "nor later in its term: the message may be on its way");
    let read = cluster.ask(0, READ);
    beat(&mut cluster, 0);
    assert_eq!(cluster.answer(read), Some(&holds(7)), "it asks the others");
}

// A promise is not durable, and need not be: who restarts keeps silent for as long as he may have promised.
#[test]
fn who_restarts_votes_for_nobody_for_a_while() {
    for (is_leased, votes) in [(true, false), (false, true)] {
        let reads = if is_leased { leased(3).reads } else { Reads::ReadIndex };
        let mut cluster: Cluster = Cluster::with(Config { reads, ..config(3) });
        cluster.elect(0);
        cluster.restart(1);
        let (term, campaign, last_log) = (Term(2), Campaign::Election, cluster.view(1).log_last());
        cluster.step(1, Input::Msg { from: NodeId(2), msg: Msg::RequestVote { term, campaign, last_log } });
        assert_eq!(cluster.view(1).voted_for() == Some(NodeId(2)), votes, "leases: {is_leased}");
    }
}
