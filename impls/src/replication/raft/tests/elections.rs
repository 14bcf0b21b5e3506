//! §5.1, §5.2, §5.4.1: terms and votes. Thesis §4.2.3, §6.2, §9.6: what keeps elections rare.

use super::super::*;
use super::cluster::{Cluster, config};

fn no_pre_vote(nodes: u16) -> Config {
    Config { has_pre_vote: false, ..config(nodes) }
}

fn request_vote(term: u64, last: (u64, u64), campaign: Campaign) -> MsgOf<Registers> {
    let last_log = LogId { index: Index(last.0), term: Term(last.1) };
    Msg::RequestVote { term: Term(term), last_log, campaign }
}

/// Node 1 of 3 is asked by node 0. What it answers, if anything.
fn ask(cluster: &mut Cluster, from: u16, msg: MsgOf<Registers>) -> Option<(u64, bool)> {
    cluster.network.clear();
    cluster.step(1, Input::Msg { from: NodeId(from), msg });
    cluster.network.iter().find_map(|envelope| match envelope.msg {
        Msg::Vote { term, granted, .. } => Some((term.0, granted)),
        _ => None,
    })
}

// §5.2: "When servers start up, they begin as followers."
#[test]
fn nodes_start_as_followers() {
    let cluster = Cluster::new(3);
    for node in 0..3 {
        assert_eq!((cluster.view(node).role(), cluster.term(node)), (RoleName::Follower, 0));
    }
}

// §5.2: "If a follower receives no communication over a period of time called the election timeout, then
// it […] begins an election." "To begin an election, a follower increments its current term and
// transitions to candidate state. It then votes for itself."
#[test]
fn a_follower_that_hears_nobody_asks_for_votes() {
    let mut cluster: Cluster = Cluster::with(no_pre_vote(3));
    cluster.fire(1, Timer::Election);
    let view = cluster.view(1);
    assert_eq!((view.role(), view.current_term()), (RoleName::Candidate, Term(1)));
    assert_eq!(view.voted_for(), Some(NodeId(1)));
    assert_eq!(cluster.network.len(), 2, "it asks all others");
}

// §5.2: "A candidate wins an election if it receives votes from a majority of the servers in the full
// cluster for the same term."
#[test]
fn a_majority_of_votes_elects() {
    for (nodes, yes) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
        let mut cluster: Cluster = Cluster::with(no_pre_vote(nodes));
        cluster.fire(0, Timer::Election);
        for voter in 1..nodes {
            assert_eq!(cluster.leads(0), voter >= yes, "{voter} votes of {nodes}");
            cluster.deliver_if(|envelope| envelope.to == voter || envelope.from == voter);
        }
        assert!(cluster.leads(0));
    }
}

// §5.2: "Each server will vote for at most one candidate in a given term, on a first-come-first-served
// basis." The same candidate is told again, for the first answer may be lost.
#[test]
fn a_node_votes_once_in_a_term() {
    let mut cluster = Cluster::new(3);
    assert_eq!(ask(&mut cluster, 0, request_vote(1, (0, 0), Campaign::Election)), Some((1, true)));
    assert_eq!(ask(&mut cluster, 2, request_vote(1, (0, 0), Campaign::Election)), Some((1, false)));
    assert_eq!(ask(&mut cluster, 0, request_vote(1, (0, 0), Campaign::Election)), Some((1, true)));
    assert_eq!(ask(&mut cluster, 2, request_vote(2, (0, 0), Campaign::Election)), Some((2, true)));
}

// The same over a crash: "Updated on stable storage before responding to RPCs" (Figure 2).
#[test]
fn a_node_remembers_its_vote() {
    let mut cluster = Cluster::new(3);
    assert_eq!(ask(&mut cluster, 0, request_vote(1, (0, 0), Campaign::Election)), Some((1, true)));
    cluster.restart(1);
    assert_eq!(ask(&mut cluster, 2, request_vote(1, (0, 0), Campaign::Election)), Some((1, false)));
    assert_eq!(cluster.view(1).voted_for(), Some(NodeId(0)));
}

// §5.1: "If a server receives a request with a stale term number, it rejects the request."
#[test]
fn a_candidate_of_the_past_gets_no_vote_and_the_term() {
    let mut cluster = Cluster::new(3);
    ask(&mut cluster, 0, request_vote(5, (0, 0), Campaign::Election));
    assert_eq!(ask(&mut cluster, 2, request_vote(4, (0, 0), Campaign::Election)), Some((5, false)));
}

// §5.1: "If a candidate or leader discovers that its term is out of date, it immediately reverts to
// follower state."
#[test]
fn a_higher_term_deposes() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    let outcome = Outcome::Outdated;
    let mark = Mark { session: Index(0), round: 0 };
    let msg = Msg::Appended { term: Term(7), mark, outcome };
    cluster.step(0, Input::Msg { from: NodeId(2), msg });
    assert_eq!((cluster.view(0).role(), cluster.term(0)), (RoleName::Follower, 7));
    assert!(!cluster.timers.contains(&(0, Timer::Heartbeat)), "it stops sending heartbeats");
}

// §5.2: "If the leader's term (included in its RPC) is at least as large as the candidate's current term,
// then the candidate recognizes the leader as legitimate and returns to follower state."
#[test]
fn a_candidate_gives_way_to_a_leader_of_its_term() {
    let mut cluster: Cluster = Cluster::with(no_pre_vote(3));
    cluster.fire(1, Timer::Election);
    cluster.fire(0, Timer::Election);
    cluster.deliver_among(&[0, 2]);
    assert!(cluster.leads(0));
    assert_eq!(cluster.view(1).role(), RoleName::Candidate);
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver();
    assert_eq!((cluster.view(1).role(), cluster.view(1).leader()), (RoleName::Follower, Some(NodeId(0))));
}

// §5.2: "if the term in the RPC is smaller than the candidate's current term, then the candidate rejects
// the RPC and continues in candidate state."
#[test]
fn a_candidate_does_not_give_way_to_a_leader_of_the_past() {
    let mut cluster: Cluster = Cluster::with(no_pre_vote(3));
    cluster.elect(0);
    cluster.lose_patience(1);
    cluster.fire(1, Timer::Election);
    cluster.network.clear();
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver_if(|envelope| envelope.to == 1);
    assert_eq!((cluster.view(1).role(), cluster.term(1)), (RoleName::Candidate, 2));
    cluster.deliver();
    assert!(!cluster.leads(0), "and the old leader learns that its time is over");
}

// §5.2: "When this happens, each candidate will time out and start a new election by incrementing its
// term."
#[test]
fn a_split_vote_is_repeated_in_a_new_term() {
    let mut cluster: Cluster = Cluster::with(no_pre_vote(2));
    cluster.fire(0, Timer::Election);
    cluster.fire(1, Timer::Election);
    cluster.deliver();
    assert!(!cluster.leads(0) && !cluster.leads(1));
    cluster.fire(1, Timer::Election);
    cluster.deliver();
    assert!(cluster.leads(1));
    assert_eq!(cluster.term(1), 2);
}

// A vote that the network repeats is one vote.
#[test]
fn a_repeated_vote_is_one_vote() {
    let mut cluster: Cluster = Cluster::with(no_pre_vote(5));
    cluster.fire(0, Timer::Election);
    cluster.deliver_one(|envelope| envelope.to == 1);
    let vote = cluster.network.iter().find(|e| e.to == 0).expect("n1 votes").clone();
    cluster.network.push(vote);
    cluster.deliver_if(|envelope| envelope.to == 0);
    assert_eq!(cluster.view(0).role(), RoleName::Candidate);
}

// A vote for an earlier term says nothing of this one.
#[test]
fn a_vote_counts_for_its_term() {
    let mut cluster: Cluster = Cluster::with(no_pre_vote(3));
    cluster.fire(0, Timer::Election);
    cluster.deliver_one(|envelope| envelope.to == 1);
    cluster.fire(0, Timer::Election);
    cluster.deliver_if(|envelope| envelope.to == 0);
    assert_eq!((cluster.view(0).role(), cluster.term(0)), (RoleName::Candidate, 2));
}

// §5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the candidate." "If
// the logs have last entries with different terms, then the log with the later term is more up-to-date. If
// the logs end with the same term, then whichever log is longer is more up-to-date."
#[test]
fn a_voter_denies_its_vote_to_a_lesser_log() {
    for (last, granted) in [((2, 2), true), ((3, 2), true), ((1, 3), true), ((1, 2), false), ((9, 1), false)]
    {
        let mut cluster = Cluster::new(3);
        // The voter's log: terms 1, 2.
        for term in [1, 2] {
            let entry = Entry { term: Term(term), payload: Payload::Noop };
            let record = Record::Append { after: Index(term - 1), entries: vec![entry] };
            crate::protocol::Durable::replay(&mut cluster.disks[1], &record);
        }
        cluster.restart(1);
        let answer = ask(&mut cluster, 0, request_vote(5, last, Campaign::Election));
        assert_eq!(answer, Some((5, granted)), "{last:?}");
    }
}

// Thesis §9.6: "a candidate only increments its term if it first learns from a majority of the cluster
// that they would be willing to grant the candidate their votes".
#[test]
fn a_node_that_would_not_win_changes_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.fire(0, Timer::Election);
    cluster.network.clear();
    for _ in 0..5 {
        cluster.fire(0, Timer::Election);
        cluster.network.clear();
    }
    assert_eq!((cluster.view(0).role(), cluster.term(0)), (RoleName::PreCandidate, 0));
    assert_eq!(cluster.disks[0], Disk::default(), "and writes nothing");
    cluster.elect(0);
    assert_eq!(cluster.term(0), 1);
}

// Thesis §9.6: "the Pre-Vote algorithm solves the issue of a partitioned server disrupting the cluster
// when it rejoins."
#[test]
fn a_node_that_was_cut_off_does_not_disturb() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.lose_patience(2);
    for _ in 0..3 {
        cluster.fire(2, Timer::Election);
        cluster.network.clear();
    }
    cluster.fire(2, Timer::Election);
    cluster.deliver();
    assert!(cluster.leads(0));
    assert_eq!((cluster.term(0), cluster.term(2)), (1, 1));
}

// Asking first is no promise: nodes say yes to several, in one term and in several.
#[test]
fn a_pre_vote_binds_nobody() {
    let mut cluster = Cluster::new(3);
    assert_eq!(ask(&mut cluster, 0, request_vote(1, (0, 0), Campaign::PreVote)), Some((1, true)));
    assert_eq!(ask(&mut cluster, 2, request_vote(1, (0, 0), Campaign::PreVote)), Some((1, true)));
    assert_eq!((cluster.term(1), cluster.view(1).voted_for()), (0, None));
    assert_eq!(cluster.disks[1], Disk::default());
}

// Thesis §4.2.3: "if a server receives a RequestVote request within the minimum election timeout of hearing
// from a current leader, it does not update its term or grant its vote."
#[test]
fn who_hears_from_a_leader_does_not_vote() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    assert_eq!(ask(&mut cluster, 2, request_vote(9, (9, 9), Campaign::Election)), None);
    assert_eq!(ask(&mut cluster, 2, request_vote(9, (9, 9), Campaign::PreVote)), Some((1, false)));
    assert_eq!(cluster.term(1), 1);
    cluster.lose_patience(1);
    assert_eq!(ask(&mut cluster, 2, request_vote(9, (9, 9), Campaign::PreVote)), Some((9, true)));
    assert_eq!(ask(&mut cluster, 2, request_vote(9, (9, 9), Campaign::Election)), Some((9, true)));
}

// Thesis §6.2: "a leader in Raft steps down if an election timeout elapses without a successful round of
// heartbeats to a majority of its cluster".
#[test]
fn a_leader_that_nobody_follows_steps_down() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    for answered in [true, true, false] {
        for _ in 0..4 {
            cluster.fire(0, Timer::Heartbeat);
            if answered {
                cluster.deliver_among(&[0, 1]);
            }
            cluster.network.clear();
        }
        cluster.fire(0, Timer::Election);
        assert_eq!(cluster.leads(0), answered);
    }
    assert_eq!(cluster.noted("stepped-down"), 1);
}

// A node with a later term, which PreVote keeps from using it, is not lost: the leader learns of the term
// from it, and is elected again in a later one.
#[test]
fn a_node_of_a_later_term_is_taken_back() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    let record = Record::HardState { current_term: Term(6), voted_for: Some(NodeId(2)) };
    crate::protocol::Durable::replay(&mut cluster.disks[2], &record);
    cluster.restart(2);
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver();
    assert!(!cluster.leads(0));
    cluster.elect(0);
    assert_eq!((cluster.term(0), cluster.view(2).leader()), (7, Some(NodeId(0))));
}

// §5.1: "If one server's current term is smaller than the other's, then it updates its current term to the
// larger value." "If a server receives a request with a stale term number, it rejects the request." For
// each message that has a term.
#[test]
fn every_message_brings_its_term_and_none_of_the_past_is_obeyed() {
    let mark = Mark { session: Index(0), round: 0 };
    let (prev, leader_commit) = (LogId::default(), Index(0));
    let messages = |term: Term| -> Vec<MsgOf<Registers>> {
        let entries = vec![Entry { term, payload: Payload::Noop }];
        vec![
            request_vote(term.0, (9, 9), Campaign::Election),
            Msg::Vote { term, campaign: Campaign::Election, granted: false },
            Msg::AppendEntries { term, prev, entries, leader_commit, mark },
            Msg::Appended { term, mark, outcome: Outcome::Matches(Index(0)) },
            Msg::Received { term, mark, last: prev, bytes: 0 },
            Msg::TimeoutNow { term },
        ]
    };
    for at in 0..messages(Term(0)).len() {
        let mut cluster: Cluster = Cluster::with(no_pre_vote(3));
        let msg = messages(Term(5)).remove(at);
        cluster.step(1, Input::Msg { from: NodeId(0), msg: msg.clone() });
        assert!(cluster.term(1) >= 5, "{msg:?}");
        let (disk, role) = (cluster.node(1).disk.clone(), cluster.view(1).role());
        let msg = messages(Term(4)).remove(at);
        cluster.step(1, Input::Msg { from: NodeId(2), msg: msg.clone() });
        assert_eq!((&cluster.node(1).disk, cluster.view(1).role()), (&disk, role), "{msg:?}");
    }
}

// §5.2: "A server remains in follower state as long as it receives valid RPCs from a leader or candidate":
// its election timer is set anew by a leader's message and by a vote that it gives, and by nothing else.
#[test]
fn the_election_timer_is_set_anew_by_leaders_and_by_votes() {
    let sets = |msg: MsgOf<Registers>| {
        let mut cluster: Cluster = Cluster::with(no_pre_vote(3));
        cluster.elect(0);
        cluster.lose_patience(1);
        cluster.timers.remove(&(1, Timer::Election));
        cluster.step(1, Input::Msg { from: NodeId(0), msg });
        cluster.timers.contains(&(1, Timer::Election))
    };
    let mark = Mark { session: Index(0), round: 0 };
    let (prev, leader_commit) = (LogId { term: Term(1), index: Index(1) }, Index(0));
    assert!(sets(Msg::AppendEntries { term: Term(1), prev, entries: vec![], leader_commit, mark }));
    assert!(!sets(Msg::AppendEntries { term: Term(0), prev, entries: vec![], leader_commit, mark }));
    assert!(sets(request_vote(2, (1, 1), Campaign::Election)), "granted");
    assert!(!sets(request_vote(1, (0, 0), Campaign::Election)), "refused");
    assert!(!sets(request_vote(2, (1, 1), Campaign::PreVote)), "asking first changes nothing");
}

// §5.2: "Once a candidate wins an election, it becomes leader. It then sends heartbeat messages to all of the
// other servers to establish its authority and prevent new elections."
#[test]
fn a_new_leader_says_so_at_once() {
    let mut cluster: Cluster = Cluster::with(no_pre_vote(5));
    cluster.fire(0, Timer::Election);
    cluster.deliver_if(|e| matches!(e.msg, Msg::RequestVote { .. } | Msg::Vote { .. }));
    let told = cluster.network.iter().filter(|e| matches!(e.msg, Msg::AppendEntries { .. })).map(|e| e.to);
    assert_eq!(told.collect::<Vec<_>>(), [1, 2, 3, 4]);
}

// §5.2: "Raft uses randomized election timeouts […] chosen randomly from a fixed interval". §5.6: heartbeats
// come "an order of magnitude" sooner, or several at least.
#[test]
fn election_timeouts_are_spread_and_heartbeats_come_in_time() {
    let config = config(3);
    let timeout = config.election_timeout;
    let mut out: Out<Registers> = vec![];
    let mut node = Raft::boot(&config, NodeId(0), &Disk::default(), &mut out);
    for _ in 0..3 {
        let Some(Effect::SetTimer { timer: Timer::Election, after }) = out.first() else { panic!("{out:?}") };
        assert_eq!(*after, timeout..2 * timeout);
        out.clear();
        node.step(&config, Time(0), Input::Timer(Timer::Election), &mut out);
    }
    assert!(3 * config.heartbeat < timeout, "three may be lost");
}

// §5.2, Election Safety, and what it rests on: with votes of a majority for one term, no second candidate
// gets one. All orders in which the votes of five for two candidates can come.
#[test]
fn two_candidates_of_a_term_are_not_both_elected() {
    for order in 0..8u32 {
        let mut cluster: Cluster = Cluster::with(no_pre_vote(5));
        (0..2).for_each(|candidate| cluster.fire(candidate, Timer::Election));
        for voter in 2..5u16 {
            let first = (order >> (voter - 2) & 1) as u16;
            for candidate in [first, 1 - first] {
                cluster.deliver_one(|e| (e.from, e.to) == (candidate, voter));
            }
        }
        cluster.deliver_if(|e| matches!(e.msg, Msg::Vote { .. }));
        let ones = order.count_ones();
        assert_eq!([cluster.leads(0), cluster.leads(1)], [ones <= 1, ones >= 2], "{order:b}");
    }
}

// §5.2, the vote is for the whole term: that the candidate has become leader, and is heard from, gives
// nobody another one.
#[test]
fn a_vote_is_not_taken_back_when_a_leader_is_heard_from() {
    let mut cluster: Cluster = Cluster::with(Config { has_check_quorum: false, ..no_pre_vote(3) });
    cluster.elect(0);
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver();
    assert_eq!(cluster.view(1).voted_for(), Some(NodeId(0)));
    assert_eq!(ask(&mut cluster, 2, request_vote(1, (9, 9), Campaign::Election)), Some((1, false)));
}
