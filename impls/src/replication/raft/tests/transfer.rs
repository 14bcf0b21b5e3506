//! Thesis §3.10: handing over to another leader.

use super::super::*;
use super::cluster::{Cluster, READ, WRITTEN, config, holds, write};
use super::membership::beat;

fn to(node: u16) -> Op<crate::object::register::Op> {
    Op::Transfer(NodeId(node))
}

// §3.10: the prior leader "sends a TimeoutNow request to the target server. This request has the same effect
// as the target server's election timer firing: the target server starts a new election". The others hear
// from the leader, and vote all the same (§4.2.3).
#[test]
fn a_leader_hands_over_at_once() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.run(0, write(7));
    cluster.story.clear();
    assert_eq!(cluster.run(0, to(2)), Some(Ret::Leads), "node 2 says so, through node 0");
    assert!(cluster.leads(2));
    assert_eq!(cluster.term(0), 2);
    assert!(!cluster.story.iter().any(|line| line.contains("times out")), "{:#?}", cluster.story);
    assert_eq!(cluster.run(1, READ), Some(holds(7)));
    assert_eq!(cluster.run(1, to(2)), Some(Ret::Leads), "it does already");
}

// §3.10: "1. The prior leader stops accepting new client requests. 2. The prior leader fully updates the
// target server's log to match its own".
#[test]
fn the_target_gets_the_whole_log_first_and_new_commands_wait() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.run_among(0, write(7), &[0, 1]);
    cluster.ask(0, to(2));
    let waits = cluster.ask(0, write(8));
    assert!(!cluster.network.iter().any(|e| matches!(e.msg, Msg::TimeoutNow { .. })), "it lacks an entry");
    assert_eq!(cluster.view(0).log_last().index, Index(2), "nothing new is taken");
    assert_eq!(cluster.run_among(0, READ, &[0, 1]), Some(holds(7)), "reads are answered meanwhile");
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver();
    assert!(cluster.leads(2));
    beat(&mut cluster, 2);
    assert_eq!(cluster.answer(waits), Some(&WRITTEN), "what waited goes to the next leader");
}

// §3.10: "if leadership transfer does not complete after about an election timeout, the prior leader aborts
// the transfer and resumes accepting client requests".
#[test]
fn a_leader_whose_target_does_not_take_over_goes_on() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.stop(2);
    let transfer = cluster.ask(0, to(2));
    let waits = cluster.ask(1, write(8));
    cluster.deliver();
    assert_eq!(cluster.answer(waits), None);
    assert_eq!(cluster.run(0, to(1)), Some(Ret::Refused(Refusal::Busy)));
    cluster.fire(0, Timer::Transfer);
    cluster.deliver();
    assert!(cluster.leads(0));
    assert_eq!(cluster.answer(transfer), Some(&Ret::Refused(Refusal::NotTaken)));
    assert_eq!(cluster.answer(waits), Some(&WRITTEN));
}

// What was told may arrive late, or twice: it is about one term.
#[test]
fn who_is_told_late_does_not_take_over() {
    let mut cluster = Cluster::new(3);
    cluster.elect(0);
    cluster.ask(0, to(2));
    let late = cluster.network.iter().find(|e| matches!(e.msg, Msg::TimeoutNow { .. })).unwrap().clone();
    cluster.network.clear();
    cluster.fire(0, Timer::Transfer);
    cluster.elect_among(1, &[1, 2]);
    cluster.elect_among(1, &[1, 2]);
    assert!(cluster.leads(1));
    cluster.network = vec![late.clone(), late];
    cluster.deliver();
    assert!(cluster.leads(1) && !cluster.leads(2));
}

// Only voters can lead.
#[test]
fn nobody_hands_over_to_who_cannot_lead() {
    let mut config = config(4);
    config.voters.pop();
    let mut cluster: Cluster = Cluster::with(config);
    cluster.elect_among(0, &[0, 1, 2]);
    for node in [3, 9] {
        assert_eq!(cluster.run(0, to(node)), Some(Ret::Refused(Refusal::NoSuchVoter)));
    }
    let msg = Msg::TimeoutNow { term: Term(1) };
    cluster.step(3, Input::Msg { from: NodeId(0), msg });
    assert_eq!(cluster.view(3).role(), RoleName::Follower, "nor does it if it is told to");
}
