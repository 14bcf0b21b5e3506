//! §8 and thesis §6: clients and their requests.

use super::super::*;
use super::cluster::{Cluster, READ, WRITTEN, config, holds, write};
use crate::object::kv;

// §8: "the server will […] supply information about the most recent leader it has heard from". Here it
// asks the leader itself, and the answer leaves where the question came.
#[test]
fn any_node_takes_any_request() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    assert_eq!(cluster.run(2, write(7)), Some(WRITTEN));
    assert_eq!(cluster.run(1, READ), Some(holds(7)));
    let answered_by: Vec<&String> = cluster.story.iter().filter(|line| line.contains(" answers ")).collect();
    assert!(answered_by[0].starts_with("n2") && answered_by[1].starts_with("n1"), "{answered_by:?}");
    assert!((0..3).all(|node| cluster.node(node).requests_held() == 0));
}

#[test]
fn a_request_without_a_leader_waits_for_one() {
    let mut cluster = Cluster::new(3);
    let requests = [cluster.ask(0, write(7)), cluster.ask(2, READ)];
    assert_eq!(cluster.network, []);
    cluster.elect(0);
    assert_eq!(requests.map(|request| cluster.answer(request).is_some()), [true, true]);
}

// A leader that is deposed has lost what it had not committed. The node that was asked has not.
#[test]
fn a_request_that_a_leader_lost_goes_to_the_next() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    let requests = [cluster.ask(0, write(7)), cluster.ask(2, write(8))];
    cluster.deliver_if(|e| e.from == 2 && e.to == 0);
    cluster.network.clear();
    cluster.elect_among(1, &[1, 2]);
    assert!(cluster.leads(1));
    assert_eq!(cluster.answer(requests[1]), Some(&WRITTEN));
    assert_eq!(cluster.answer(requests[0]), None, "node 0 was not told yet");
    cluster.fire(1, Timer::Heartbeat);
    cluster.deliver();
    assert_eq!(cluster.answer(requests[0]), Some(&WRITTEN));
}

// A request is sent once to the leader of a term, and nobody but who was asked sends it: no loops.
#[test]
fn a_request_that_meets_no_leader_is_not_passed_on() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.restart(0);
    cluster.elect_among(1, &[0, 1]);
    // Node 2 still believes in node 0, which knows better.
    let request = cluster.ask(2, write(7));
    cluster.deliver_one(|e| e.from == 2 && e.to == 0);
    let [answer] = &cluster.network[..] else { panic!("it is not passed on") };
    assert!(matches!(answer.msg, Msg::NotLeader { leader: Some((Term(2), NodeId(1))), .. }));
    cluster.deliver();
    assert_eq!(cluster.answer(request), Some(&WRITTEN));
    // A hint of the same term is not followed twice.
    let hint = Some((Term(2), NodeId(1)));
    let before = cluster.network.len();
    let (client, id) = (crate::protocol::ClientId(request.0), crate::protocol::RequestId(request.1));
    cluster.step(2, Input::Msg { from: NodeId(0), msg: Msg::NotLeader { client, id, leader: hint } });
    assert_eq!(cluster.network.len(), before);
}

// A node that no leader talks to asks the voters who leads.
#[test]
fn a_node_without_a_say_finds_the_leader() {
    let mut config = config(4);
    config.voters.pop();
    let mut cluster: Cluster = Cluster::with(config);
    cluster.elect_among(0, &[0, 1, 2]);
    for value in 1..6 {
        assert_eq!(cluster.run(3, write(value)), Some(WRITTEN));
    }
    cluster.stop(0);
    let request = cluster.ask(3, READ);
    cluster.deliver();
    (1..3).for_each(|node| cluster.lose_patience(node));
    cluster.elect_among(1, &[1, 2]);
    // It asks around until somebody knows.
    for _ in 0..4 {
        if cluster.answer(request).is_none() {
            cluster.fire(3, Timer::Election);
            cluster.deliver();
        }
    }
    assert_eq!(cluster.answer(request), Some(&holds(5)));
    assert!(!cluster.leads(3), "and it stands for nothing");
}

// Thesis §6.3: "if a leader crashes after committing the log entry but before responding to the client,
// the client will retry the command with a new leader, causing it to be executed a second time" — unless
// there are sessions. The command adds something, so that it shows.
#[test]
fn a_command_that_is_repeated_is_applied_once() {
    let mut cluster: Cluster<Store> = Cluster::with(config(3));
    cluster.elect(0);
    let append = Op::Command(kv::Op::Append { key: 1, value: "x".into() });
    cluster.ask_as(0, 9, 1, append.clone());
    cluster.deliver();
    for node in 0..3 {
        cluster.ask_as(node, 9, 1, append.clone());
        cluster.deliver();
    }
    cluster.stop(0);
    cluster.elect(1);
    cluster.ask_as(2, 9, 1, append);
    cluster.deliver();
    assert_eq!(cluster.replies.iter().filter(|reply| reply.2 == Ret::Done(kv::Ret::Done)).count(), 5);
    let read = cluster.run(1, Op::Command(kv::Op::Read { key: 1 }));
    assert_eq!(read, Some(Ret::Done(kv::Ret::Value(Some("x".into())))));
}

// Two entries of the same command in the log: one is applied, both are answered alike.
#[test]
fn a_command_that_is_logged_twice_is_applied_once() {
    let mut cluster: Cluster<Store> = Cluster::with(config(3));
    cluster.elect(0);
    let append = Op::Command(kv::Op::Append { key: 1, value: "x".into() });
    // The first leader has it in its log and node 1's; the second takes it again, from another node.
    cluster.ask_as(0, 9, 1, append.clone());
    cluster.deliver_if(|e| e.to == 1 && e.from == 0);
    cluster.network.clear();
    cluster.stop(0);
    cluster.ask_as(2, 9, 1, append);
    cluster.network.clear();
    cluster.elect(1);
    assert_eq!(cluster.terms(1), [1, 1, 2, 2]);
    let read = cluster.run(1, Op::Command(kv::Op::Read { key: 1 }));
    assert_eq!(read, Some(Ret::Done(kv::Ret::Value(Some("x".into())))));
}

// A client that has gone on does not wait for what it asked before: a late copy is not applied.
#[test]
fn an_outdated_request_does_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.ask_as(0, 9, 5, write(5));
    cluster.deliver();
    cluster.ask_as(1, 9, 4, write(4));
    cluster.deliver();
    assert_eq!(cluster.answer((9, 4)), None);
    assert_eq!(cluster.run(0, READ), Some(holds(5)));
}

// What a node holds for clients is bounded: the oldest goes.
#[test]
fn requests_that_are_held_are_bounded() {
    let mut config = config(3);
    config.limits.requests = 2;
    let mut cluster: Cluster = Cluster::with(config);
    let requests = [1, 2, 3].map(|value| cluster.ask(0, write(value)));
    assert_eq!(cluster.node(0).requests_held(), 2);
    cluster.elect(0);
    assert_eq!(requests.map(|request| cluster.answer(request).is_some()), [false, true, true]);
}

// Asking around for a leader makes no request any younger.
#[test]
fn the_oldest_request_goes_however_often_it_was_sent() {
    let mut config = config(4);
    config.voters.pop();
    config.limits.requests = 2;
    let mut cluster: Cluster = Cluster::with(config);
    let mut requests = vec![cluster.ask(3, write(1))];
    for _ in 0..5 {
        cluster.fire(3, Timer::Election);
    }
    requests.extend([2, 3].map(|value| cluster.ask(3, write(value))));
    cluster.network.clear();
    cluster.elect_among(0, &[0, 1, 2]);
    cluster.fire(3, Timer::Election);
    cluster.deliver();
    let answered: Vec<bool> = requests.iter().map(|&request| cluster.answer(request).is_some()).collect();
    assert_eq!(answered, [false, true, true]);
}

// A late copy of what a client has given up does not take the place of what it waits for now, nor does a
// leader remember it for ever.
#[test]
fn an_outdated_request_displaces_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.ask_as(1, 9, 5, write(5));
    cluster.deliver_if(|e| e.to == 0);
    cluster.ask_as(2, 9, 4, write(4));
    cluster.deliver_if(|e| e.to == 0 && e.from == 2);
    cluster.deliver();
    assert_eq!(cluster.answer((9, 5)), Some(&WRITTEN), "told by the leader, before the next heartbeat");
    assert_eq!(cluster.terms(0), [1, 1], "and the other is not even logged");
    assert_eq!(cluster.node(0).proposals(), 0);
}

// The same, if the later request is in the log from another leader.
#[test]
fn a_leader_remembers_no_outdated_request() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.ask_as(0, 9, 5, write(5));
    cluster.deliver_one(|e| e.to == 1);
    cluster.network.clear();
    cluster.stop(0);
    cluster.lose_patience(2);
    cluster.lose_patience(1);
    cluster.fire(1, Timer::Election);
    cluster.deliver_if(|e| matches!(e.msg, Msg::RequestVote { .. } | Msg::Vote { .. }));
    cluster.ask_as(2, 9, 4, write(4));
    cluster.ask_as(1, 9, 4, write(4));
    cluster.deliver();
    assert_eq!(cluster.terms(1), [1, 1, 2, 2]);
    assert_eq!((cluster.commit_index(1), cluster.node(1).proposals()), (4, 0));
}

// Nor is a leader asked for what a client has long given up.
#[test]
fn requests_that_are_held_grow_old() {
    let mut cluster = Cluster::new(3);
    let old = cluster.ask(0, write(1));
    cluster.now = Time(11_000_000_000);
    let new = cluster.ask(0, write(2));
    cluster.elect(0);
    assert_eq!((cluster.answer(old), cluster.answer(new)), (None, Some(&WRITTEN)));
}

#[test]
fn the_stores_do_what_they_say() {
    let (a, b): (kv::Value, kv::Value) = ("a".into(), "b".into());
    let mut store = Store::default();
    let mut check = |op, expected| {
        assert_eq!(Store::is_query(&op), matches!(op, kv::Op::Read { .. }));
        assert_eq!(store.apply(&op), expected, "{op:?}");
    };
    check(kv::Op::Read { key: 1 }, kv::Ret::Value(None));
    check(kv::Op::Cas { key: 1, from: Some(a.clone()), to: b.clone() }, kv::Ret::Swapped(false));
    check(kv::Op::Cas { key: 1, from: None, to: a.clone() }, kv::Ret::Swapped(true));
    check(kv::Op::Append { key: 1, value: b.clone() }, kv::Ret::Done);
    check(kv::Op::Read { key: 1 }, kv::Ret::Value(Some("ab".into())));
    check(kv::Op::Write { key: 1, value: b.clone() }, kv::Ret::Done);
    check(kv::Op::Cas { key: 1, from: Some(b), to: a.clone() }, kv::Ret::Swapped(true));
    check(kv::Op::Read { key: 1 }, kv::Ret::Value(Some(a.clone())));
    check(kv::Op::Delete { key: 1 }, kv::Ret::Done);
    check(kv::Op::Read { key: 1 }, kv::Ret::Value(None));

    use crate::object::log;
    let mut journal = Journal::default();
    assert_eq!(journal.apply(&log::Op::Append { value: a.clone() }), log::Ret::Appended { offset: 0 });
    assert_eq!(journal.apply(&log::Op::Append { value: a.clone() }), log::Ret::Appended { offset: 1 });
    assert_eq!(journal.query(&log::Op::Read), log::Ret::Values(vec![a.clone(), a]));
}
