//! §5.3, §5.4: the log, its repair, and what is committed.

use super::super::*;
use super::cluster::{Cluster, READ, WRITTEN, config, holds, write};
use crate::protocol::Durable;

/// A disk whose log has entries of these terms; the node has voted in none of them.
pub(super) fn disk(terms: &[u64]) -> Disk<crate::object::register::Op> {
    let mut disk = Disk::default();
    let entries = terms.iter().map(|&term| Entry { term: Term(term), payload: Payload::Noop }).collect();
    let current_term = Term(terms.last().copied().unwrap_or(0));
    disk.replay(&Record::HardState { current_term, voted_for: None });
    disk.replay(&Record::Append { after: Index(0), entries });
    disk
}

/// Nodes with these logs.
pub(super) fn of_logs(logs: &[&[u64]]) -> Cluster {
    let config = Config { has_pre_vote: false, ..config(logs.len() as u16) };
    Cluster::of_disks(config, logs.iter().map(|terms| disk(terms)).collect())
}

// §5.3: "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in
// parallel to each of the other servers. […] When the entry has been safely replicated, the leader
// applies the entry to its state machine and returns the result."
#[test]
fn a_command_is_answered_when_a_majority_has_it() {
    let mut cluster = Cluster::new(5);
    cluster.elect(0);
    let request = cluster.ask(0, write(7));
    assert_eq!(cluster.network.len(), 4);
    cluster.deliver_if(|e| e.to == 1 || e.from == 1);
    assert_eq!(cluster.answer(request), None, "two of five have it");
    cluster.deliver_if(|e| e.to == 2 || e.from == 2);
    assert_eq!(cluster.answer(request), Some(&WRITTEN));
}

// §5.3: "Once a follower learns that a log entry is committed, it applies the entry to its local state
// machine (in log order)."
#[test]
fn followers_apply_what_is_committed() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.run(0, write(7));
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver();
    for node in 0..3 {
        assert_eq!(cluster.commit_index(node), 2);
        assert_eq!(cluster.view(node).state(), cluster.view(0).state());
    }
}

// A committed entry is kept through any change of leaders (Figure 3, Leader Completeness).
#[test]
fn what_was_answered_is_read_under_the_next_leader() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    assert_eq!(cluster.run_among(0, write(7), &[0, 1]), Some(WRITTEN));
    cluster.stop(0);
    cluster.lose_patience(2);
    cluster.elect(1);
    assert_eq!(cluster.run(2, READ), Some(holds(7)));
}

// §5.3: "If […] the follower does not find an entry in its log with the same index and term, then it
// refuses the new entries."
#[test]
fn entries_that_follow_nothing_are_refused() {
    for (prev, matches) in [((0, 0), true), ((1, 1), true), ((2, 1), false), ((2, 2), true), ((3, 2), false)]
    {
        let mut cluster = of_logs(&[&[], &[1, 2], &[]]);
        let prev = LogId { index: Index(prev.0), term: Term(prev.1) };
        let entries = vec![Entry { term: Term(3), payload: Payload::Noop }];
        let mark = Mark { session: Index(0), round: 0 };
        let msg = Msg::AppendEntries { term: Term(3), prev, entries, leader_commit: Index(0), mark };
        cluster.step(1, Input::Msg { from: NodeId(0), msg });
        let [answer] = &cluster.network[..] else { panic!("one answer") };
        let Msg::Appended { outcome, .. } = &answer.msg else { panic!("an answer") };
        assert_eq!(matches!(outcome, Outcome::Matches(_)), matches, "{prev:?}: {outcome:?}");
        if matches {
            assert_eq!(cluster.view(1).log_last(), LogId { term: Term(3), index: prev.index.next() });
        } else {
            assert_eq!(cluster.terms(1), [1, 2]);
        }
    }
}

// Figure 7: "When the leader at the top comes to power, it is possible that any of scenarios (a–f) could
// occur in follower logs." All of them end with the leader's log.
#[test]
fn figure_7_every_follower_ends_with_the_leaders_log() {
    let leader: &[u64] = &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [&[u64]; 6] = [
        &[1, 1, 1, 4, 4, 5, 5, 6, 6],
        &[1, 1, 1, 4],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        &[1, 1, 1, 4, 4, 4, 4],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    let mut logs = vec![leader];
    logs.extend(followers);
    let mut cluster = of_logs(&logs);
    // Its term must be a new one: (d) has seen term 7.
    cluster.disks[0].replay(&Record::HardState { current_term: Term(7), voted_for: None });
    cluster.restart(0);
    cluster.elect(0);
    let repaired = [leader, &[8]].concat();
    for node in 0..7 {
        assert_eq!(cluster.terms(node), repaired, "n{node}");
        assert_eq!(cluster.noted("elected"), 1);
    }
    assert_eq!(cluster.noted("conflict-truncated"), 4, "c, d, e and f had what had to go");
}

// §5.3, the end: "one AppendEntries RPC will be required for each term with conflicting entries, rather
// than one RPC per entry." Follower (f) of Figure 7: terms 2 and 3 conflict, in 8 entries.
#[test]
fn log_repair_takes_one_message_for_each_term() {
    let mut cluster = of_logs(&[
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
    ]);
    cluster.elect_among(0, &[0, 2]);
    cluster.story.clear();
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver_if(|e| e.to == 1 || e.from == 1);
    let refused = cluster.story.iter().filter(|line| line.contains("Appended") && line.contains("nothing"));
    assert!(refused.count() <= 3, "{:#?}", cluster.story);
    assert_eq!(cluster.terms(1), cluster.terms(0));
}

// §5.3: "If an existing entry conflicts with a new one […], delete the existing entry and all that
// follow it." If none does, nothing is deleted: the message may be an old one.
#[test]
fn a_late_message_removes_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.ask(0, write(1));
    let late = cluster.network.iter().find(|e| e.to == 1).expect("n1 is sent the write").clone();
    cluster.deliver();
    cluster.run(0, write(2));
    assert_eq!(cluster.terms(1), [1, 1, 1]);
    cluster.network.push(late);
    cluster.deliver();
    assert_eq!(cluster.terms(1), [1, 1, 1]);
}

// Figure 2: "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)".
#[test]
fn a_follower_commits_no_more_than_the_leader_vouched_for() {
    // Node 1 has a tail of term 2 that the leader has not; the heartbeat vouches for the first entry only.
    let mut cluster = of_logs(&[&[1, 3], &[1, 2, 2], &[1, 3]]);
    let (prev, mark) = (LogId { index: Index(1), term: Term(1) }, Mark { session: Index(0), round: 0 });
    let msg = Msg::AppendEntries { term: Term(3), prev, entries: vec![], leader_commit: Index(2), mark };
    cluster.step(1, Input::Msg { from: NodeId(0), msg });
    assert_eq!(cluster.commit_index(1), 1);
}

// §5.3: "A leader never overwrites or deletes entries in its log". (Figure 3, Leader Append-Only, is
// checked after every step.) What it had not committed is kept and committed with its first entry.
#[test]
fn a_new_leader_commits_what_earlier_terms_left() {
    let mut cluster = of_logs(&[&[1, 1, 2], &[1, 1], &[1, 1]]);
    cluster.elect(0);
    assert_eq!((cluster.terms(2), cluster.commit_index(0)), (vec![1, 1, 2, 3], 4));
}

// §5.4.2 and Figure 8: "a leader cannot determine commitment using log entries from older terms".
#[test]
fn figure_8_an_old_entry_at_a_majority_is_not_committed() {
    let mut cluster = figure_8();
    // (c): S1 has replicated its entry of term 2 to a majority, and knows it. It must not be committed.
    let Role::Leader(leading) = &cluster.node(0).role else { panic!("S1 leads") };
    assert!([1, 2].iter().all(|&node| leading.progress[&NodeId(node)].match_index == Index(2)));
    assert_eq!(cluster.commit_index(0), 0);
    // (d): S5 is elected by S2, S3, S4 and overwrites the entry with its own of term 3.
    // (The first try teaches it the term.)
    cluster.elect_among(4, &[1, 2, 3, 4]);
    cluster.elect_among(4, &[1, 2, 3, 4]);
    assert!(cluster.leads(4));
    assert_eq!(cluster.terms(2)[..2], [1, 3]);
}

// The same with the mistake, or the test above would show nothing.
#[cfg(feature = "mutants")]
#[test]
fn figure_8_shows_who_counts_old_entries() {
    let mutants = Mutants::only(Mutant::CommitOldTerm);
    let mut cluster =
        figure_8_of(Config { mutants, has_pre_vote: false, has_check_quorum: false, ..config(5) });
    assert_eq!(cluster.commit_index(0), 2);
    cluster.elect_among(4, &[1, 2, 3, 4]);
    cluster.elect_among(4, &[1, 2, 3, 4]);
    let violation = cluster.violation.expect("a committed entry is lost");
    assert_eq!(violation.property, super::super::properties::Property::LeaderCompleteness);
}

// Figure 8 (e): if an entry of S1's own term is at a majority too, S5 cannot win any more.
#[test]
fn figure_8_with_an_entry_of_its_own_term_it_is() {
    let mut cluster = figure_8();
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver_among(&[0, 1, 2]);
    assert_eq!((cluster.terms(2), cluster.commit_index(0)), (vec![1, 2, 4], 3));
    cluster.elect_among(4, &[1, 2, 3, 4]);
    cluster.elect_among(4, &[1, 2, 3, 4]);
    assert!(!cluster.leads(4));
}

/// Figure 8 as of (c): S1 to S5 are nodes 0 to 4. S1 leads in term 4, and its entry of term 2 has reached
/// S3 as well as S2, but not the entry of term 4, with which every term begins here.
pub(super) fn figure_8() -> Cluster {
    figure_8_of(Config { has_pre_vote: false, has_check_quorum: false, ..config(5) })
}

pub(super) fn figure_8_of(mut config: Config) -> Cluster {
    // One entry a message, or the entry of term 4 would travel with that of term 2.
    config.limits.entries_per_message = 1;
    config.limits.messages_in_flight = 1;
    let logs: [&[u64]; 5] = [&[1, 2], &[1, 2], &[1], &[1], &[1, 3]];
    let mut disks: Vec<_> = logs.iter().map(|terms| disk(terms)).collect();
    for disk in &mut disks {
        let voted_for = disk.voted_for;
        disk.replay(&Record::HardState { current_term: Term(3), voted_for });
    }
    let mut cluster = Cluster::of_disks(config, disks);
    cluster.fire(0, Timer::Election);
    cluster.deliver_if(|e| matches!(e.msg, Msg::RequestVote { .. }) && e.to < 4);
    cluster.deliver_if(|e| matches!(e.msg, Msg::Vote { .. }));
    assert!(cluster.leads(0) && cluster.term(0) == 4);
    // What it sends S2 first is lost, for S2 would store the entry of term 4. S3 and S4 lack the entry of term
    // 2; their refusals say that they follow, so a read begins a new round, and asks S2 for no more than
    // whether it has what is before that entry. S3 is sent the entry of term 2.
    cluster.network.retain(|e| e.to != 1);
    let deliver = |cluster: &mut Cluster, pairs: &[(u16, u16)]| {
        for &(from, to) in pairs {
            assert!(cluster.deliver_one(|e| (e.from, e.to) == (from, to)), "n{from} -> n{to}");
        }
    };
    deliver(&mut cluster, &[(0, 2), (2, 0), (0, 3), (3, 0)]);
    cluster.ask(0, READ);
    deliver(&mut cluster, &[(0, 1), (1, 0), (0, 2), (2, 0)]);
    cluster.network.clear();
    cluster
}

// §5.5: "Raft RPCs are idempotent." Everything arrives twice.
#[test]
fn repeated_messages_change_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    let request = cluster.ask(0, write(7));
    for _ in 0..6 {
        let copies = std::mem::take(&mut cluster.network);
        for envelope in copies {
            cluster.network.extend([envelope.clone(), envelope]);
            cluster.deliver_at(0);
            cluster.deliver_at(0);
        }
    }
    cluster.deliver();
    assert_eq!(cluster.answer(request), Some(&WRITTEN));
    assert_eq!(cluster.terms(1), [1, 1]);
}

// §5.3: "If followers crash or run slowly, or if network packets are lost, the leader retries AppendEntries
// RPCs indefinitely".
#[test]
fn what_is_lost_is_sent_again() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    let request = cluster.ask(0, write(7));
    cluster.network.clear();
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver();
    assert_eq!(cluster.answer(request), Some(&WRITTEN));
    assert_eq!(cluster.terms(2), [1, 1]);
}

// Pipelining: the second entry is sent before the first is answered, and what overtakes is repaired.
#[test]
fn entries_follow_each_other_without_waiting() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    let requests = [1, 2, 3].map(|value| cluster.ask(0, write(value)));
    assert_eq!(cluster.network.len(), 6, "three messages to each of two");
    cluster.network.reverse();
    cluster.deliver();
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver();
    assert!(requests.iter().all(|&request| cluster.answer(request) == Some(&WRITTEN)));
    assert_eq!(cluster.run(0, READ), Some(holds(3)));
}

// Batching: what comes while a leader is busy is written once and sent once.
#[test]
fn commands_that_come_together_travel_together() {
    let mut cluster: Cluster = Cluster::with(Config::new(3));
    cluster.elect(0);
    let requests = [1, 2, 3].map(|value| cluster.ask(0, write(value)));
    assert_eq!(cluster.network.len(), 0);
    cluster.fire(0, Timer::Batch);
    assert_eq!(cluster.network.len(), 2, "one message to each of two");
    cluster.deliver();
    assert!(requests.iter().all(|&request| cluster.answer(request) == Some(&WRITTEN)));
}

// Flow control: a follower that does not answer is sent so many messages and no more.
#[test]
fn a_silent_follower_is_sent_a_bounded_number_of_messages() {
    let mut config = config(3);
    config.limits.messages_in_flight = 4;
    config.limits.uncommitted = 20;
    let mut cluster: Cluster = Cluster::with(config);
    cluster.elect(0);
    for value in 0..30 {
        cluster.ask(0, write(value));
    }
    assert_eq!(cluster.network.iter().filter(|e| e.to == 1).count(), 4);
    assert_eq!(cluster.view(0).log_last().index, Index(21), "and no more is taken than can be kept");
    assert_eq!(cluster.noted("overloaded"), 10);
    cluster.deliver();
    assert_eq!(cluster.replies.len(), 20);
}

// §5.3: "When a leader first comes to power, it initializes all nextIndex values to the index just after the
// last one in its log." Figure 2: matchIndex "initialized to 0".
#[test]
fn a_new_leader_takes_others_to_have_what_it_has_and_counts_on_nothing() {
    let mut cluster = of_logs(&[&[1, 1, 2], &[1], &[1, 1, 2]]);
    cluster.fire(0, Timer::Election);
    cluster.deliver_if(|e| matches!(e.msg, Msg::RequestVote { .. } | Msg::Vote { .. }));
    let Role::Leader(leading) = &cluster.node(0).role else { panic!("it leads") };
    assert!(leading.progress.values().all(|progress| progress.match_index == Index(0)));
    let sent = cluster.network.iter().filter_map(|e| match &e.msg {
        Msg::AppendEntries { prev, entries, .. } => Some((prev.index, entries.len())),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), [(Index(3), 1); 2]);
}

// §5.3: "In the normal case, a new entry can be replicated with a single round of RPCs to a majority of the
// cluster; and a single slow follower will not impact performance."
#[test]
fn a_silent_follower_holds_nobody_up() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.stop(2);
    for value in 1..=20 {
        cluster.story.clear();
        assert_eq!(cluster.run(0, write(value)), Some(WRITTEN));
        assert_eq!(cluster.story.iter().filter(|line| line.contains("->")).count(), 2, "there and back");
    }
}

// §5.5: "If a follower or candidate crashes […] Raft handles these failures by retrying indefinitely; if the
// crashed server restarts, then the RPC will complete successfully. If a server crashes after completing
// an RPC but before responding, then it will receive the same RPC again after it restarts. Raft RPCs are
// idempotent, so this causes no harm."
#[test]
fn a_follower_that_crashes_anywhere_catches_up() {
    for cut in 0..6 {
        let mut cluster = Cluster::new(3);
        cluster.elect(0);
        cluster.stop(2);
        let request = cluster.ask(0, write(7));
        let at = cluster.network.iter().position(|e| e.to == 1).expect("it is sent the entry");
        let envelope = cluster.network.remove(at);
        cluster.step_cut(1, Input::Msg { from: NodeId(0), msg: envelope.msg }, cut);
        cluster.network.clear();
        for _ in 0..3 {
            cluster.fire(0, Timer::Heartbeat);
            cluster.deliver();
        }
        assert_eq!(cluster.answer(request), None);
        cluster.start(1);
        cluster.fire(0, Timer::Heartbeat);
        cluster.deliver();
        assert_eq!((cluster.answer(request), cluster.terms(1)), (Some(&WRITTEN), vec![1, 1]), "cut {cut}");
    }
}

// §5.3, Log Matching: "When the leader sends an AppendEntries RPC with a log index, it includes the index and
// term of the entry in its log that immediately precedes the new entries." Two leaders have put different
// entries at one place; of the follower's two the first agrees and the second does not.
#[test]
fn entries_of_one_place_are_told_apart_by_their_terms() {
    let mut cluster = of_logs(&[&[1, 3, 3], &[1, 2, 2], &[1, 3, 3]]);
    cluster.elect_among(0, &[0, 2]);
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver();
    assert_eq!(cluster.terms(1), [1, 3, 3, 4]);
    assert_eq!(cluster.view(1).digest_at(Index(2)), cluster.view(0).digest_at(Index(2)));
}

// Thesis §10.2.1: "the leader can write to its disk in parallel with replicating to the followers"; and as
// long as it has not, it does not count itself.
#[test]
fn a_leader_sends_before_it_writes_and_counts_itself_after() {
    let mut cluster = Cluster::new(1);
    cluster.elect(0);
    let (client, id) = (crate::protocol::ClientId(9), crate::protocol::RequestId(1));
    let input = Input::Request { client, id, op: write(7) };
    let out = cluster.effects_of(0, input.clone());
    let place =
        |out: &Out<Registers>, is_it: fn(&Effect<Raft<Registers>>) -> bool| out.iter().position(is_it);
    let writes = |effect: &Effect<_>| matches!(effect, Effect::Persist(Record::Append { .. }));
    let (written, answered) = (place(&out, writes), place(&out, |e| matches!(e, Effect::Reply { .. })));
    assert!(written.is_some() && written < answered, "alone, it answers what it has written: {out:?}");
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    let out = cluster.effects_of(0, input);
    let (sent, written) = (place(&out, |e| matches!(e, Effect::Send { .. })), place(&out, writes));
    assert!(sent.is_some() && sent < written, "{out:?}");
}

// §5.1: an answer of a term before says nothing: the follower's log has changed since. (This one was given to
// the same leader, in a term in which it led too.)
#[test]
fn an_answer_of_an_earlier_term_does_not_count() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.restart(0);
    cluster.elect(0);
    cluster.ask(0, write(7));
    cluster.network.clear();
    let (term, mark) = (Term(1), Mark { session: Index(0), round: 1 });
    let outcome = Outcome::Matches(cluster.view(0).log_last().index);
    cluster.step(0, Input::Msg { from: NodeId(1), msg: Msg::Appended { term, mark, outcome } });
    assert_eq!((cluster.term(0), cluster.commit_index(0)), (2, 2), "the write is at node 0 only");
}
