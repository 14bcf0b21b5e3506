//! §8, thesis §6.4: reads that are not in the log; and leases (thesis §6.4.1).

use super::super::*;
use super::cluster::{Cluster, Envelope, READ, WRITTEN, config, holds, write};

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
