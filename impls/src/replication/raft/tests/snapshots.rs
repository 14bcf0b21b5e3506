//! §7 and Figure 13: compaction, and snapshots for nodes that lack what is compacted.

use super::super::machine::Machine;
use super::super::*;
use super::cluster::{Cluster, READ, WRITTEN, config, holds, write};
use super::membership::{beat, change, with_learners};
use super::replication::of_logs;
use crate::object::kv;

/// Nodes compact soon, and keep little.
fn compacting(nodes: u16) -> Config {
    let mut config = config(nodes);
    (config.limits.snapshot_after, config.limits.log_kept) = (4, 1);
    config.limits.snapshot_chunk_bytes = 8;
    config
}

/// A cluster in which node 2 lacks what the others have compacted.
fn with_a_laggard() -> Cluster {
    let mut cluster: Cluster = Cluster::with(compacting(3));
    cluster.elect(0);
    for value in 1..=6 {
        assert_eq!(cluster.run_among(0, write(value), &[0, 1]), Some(WRITTEN));
    }
    assert!(cluster.view(0).log_base().index > cluster.view(2).log_last().index);
    cluster
}

fn id(index: u64, term: u64) -> LogId {
    LogId { index: Index(index), term: Term(term) }
}

/// What a snapshot of so many entries that say nothing is.
fn snapshot_of_noops(last: LogId) -> Snapshot {
    let membership = Membership::of([0, 1, 2].map(NodeId));
    let data = Machine::<Registers> { applied: last, ..Machine::default() }.to_bytes();
    Snapshot { last, membership, data }
}

/// Node 1 gets bytes of a snapshot from node 0, leader of term 5. What it answers.
fn receive(cluster: &mut Cluster, snapshot: &Snapshot, from: usize, to: usize) -> String {
    let is_last = to == snapshot.data.len();
    let part = Snapshot { data: snapshot.data[from..to].to_vec().into(), ..snapshot.clone() };
    let mark = Mark { session: Index(0), round: 1 };
    let msg = Msg::InstallSnapshot { term: Term(5), mark, part, offset: from as u64, is_last };
    cluster.network.clear();
    cluster.step(1, Input::Msg { from: NodeId(0), msg });
    let [answer] = &cluster.network[..] else { panic!("one answer") };
    match &answer.msg {
        Msg::Received { bytes, .. } => format!("has {bytes} bytes"),
        Msg::Appended { outcome, .. } => format!("{outcome:?}"),
        other => panic!("{other:?}"),
    }
}

// §7: "Each server takes snapshots independently, covering just the committed entries in its log." "Once a
// server completes writing a snapshot, it may delete all log entries up through the last included index".
#[test]
fn each_node_compacts_what_is_committed_and_nothing_else() {
    let mut cluster: Cluster = Cluster::with(compacting(3));
    cluster.elect(0);
    for value in 1..=5 {
        cluster.run(0, write(value));
    }
    beat(&mut cluster, 0);
    for value in 6..=15 {
        cluster.ask(0, write(value));
    }
    for node in 0..3 {
        let snapshot = cluster.disks[usize::from(node)].snapshot.as_ref().expect("it has taken one");
        assert_eq!((snapshot.last, cluster.view(node).log_base()), (id(4, 1), id(3, 1)), "n{node}");
        assert!(snapshot.last.index <= cluster.view(node).commit_index());
    }
    assert_eq!(cluster.view(0).log_last(), id(16, 1), "what is not committed is all in the log");
    assert_eq!(cluster.noted("snapshot-installed"), 0, "and nobody was sent one");
}

// §7: "it may delete all log entries up through the last included index, as well as any prior snapshot".
// So what a node keeps does not grow with what was ever written.
#[test]
fn a_log_stays_short() {
    let mut cluster: Cluster = Cluster::with(compacting(3));
    cluster.elect(0);
    for value in 1..=200 {
        cluster.run(0, write(value));
    }
    beat(&mut cluster, 0);
    assert!((0..3).all(|node| cluster.terms(node).len() <= 6), "snapshots every 4, and 1 is kept");
}

// §7: "The snapshot includes […] the last included index […] and the last included term", with which "the
// AppendEntries consistency check" goes on for the first entry behind it. A node that restarts has its
// state from the snapshot, and the rest from the log.
#[test]
fn a_node_restarts_from_its_snapshot() {
    let mut cluster: Cluster = Cluster::with(compacting(3));
    cluster.elect(0);
    for value in 1..=6 {
        cluster.run(0, write(value));
    }
    (0..3).for_each(|node| cluster.restart(node));
    let view = cluster.view(0);
    assert_eq!((view.applied(), view.commit_index()), (id(4, 1), Index(4)));
    cluster.elect(1);
    assert_eq!(cluster.run(0, READ), Some(holds(6)));
    assert_eq!(cluster.run(2, write(7)), Some(WRITTEN));
}

// §7: "To enable cluster membership changes, the snapshot also includes the latest configuration in the
// log as of last included index."
#[test]
fn a_snapshot_knows_the_members() {
    let mut cluster = with_learners(compacting(5), 3);
    assert_eq!(cluster.run(0, change(Change::Promote(NodeId(3)))), Some(Ret::Changed));
    for value in 1..=6 {
        cluster.run(0, write(value));
    }
    beat(&mut cluster, 0);
    for node in 0..5 {
        cluster.restart(node);
        assert_eq!(format!("{:?}", cluster.view(node).membership()), "n0 n1 n2 n3 + n4");
    }
    // Who learns of them by a snapshot too.
    let mut cluster = with_a_laggard();
    assert_eq!(cluster.run_among(0, change(Change::Remove(NodeId(1))), &[0, 1]), None);
    beat(&mut cluster, 0);
    assert_eq!(format!("{:?}", cluster.view(2).membership()), "n0 n2");
}

// §7: "the leader must occasionally send snapshots to followers that lag behind. This happens when the
// leader has already discarded the next log entry that it needs to send".
#[test]
fn a_node_that_lacks_what_is_compacted_gets_a_snapshot() {
    let mut cluster = with_a_laggard();
    beat(&mut cluster, 0);
    assert_eq!(cluster.noted("snapshot-installed"), 1);
    beat(&mut cluster, 0);
    assert_eq!(cluster.view(2).state(), cluster.view(0).state());
    let chunks = cluster.story.iter().filter(|line| line.contains("InstallSnapshot")).count();
    assert!(chunks > 1, "in chunks");
    cluster.stop(1);
    assert_eq!(cluster.run(2, write(9)), Some(WRITTEN), "and from there on the log");
}

// Whatever chunk is lost, doubled or overtaken, and whenever the receiver crashes, it is sent what it lacks.
#[test]
fn a_snapshot_arrives_through_any_one_mishap() {
    for (mishap, at) in (0..4).flat_map(|mishap| (0..6).map(move |at| (mishap, at))) {
        let mut cluster = with_a_laggard();
        cluster.fire(0, Timer::Heartbeat);
        for _ in 0..2 * at + 2 {
            cluster.deliver_one(|e| e.to == 2 || e.from == 2);
        }
        match mishap {
            0 => cluster.network.clear(),
            1 => cluster.network.extend(cluster.network.clone()),
            2 => cluster.restart(2),
            _ => {
                let late = std::mem::take(&mut cluster.network);
                beat(&mut cluster, 0);
                cluster.network = late;
            }
        }
        cluster.deliver();
        (0..3).for_each(|_| beat(&mut cluster, 0));
        assert_eq!(cluster.view(2).state(), cluster.view(0).state(), "mishap {mishap} after {at}");
    }
}

// Figure 13: "1. Reply immediately if term < currentTerm".
#[test]
fn a_snapshot_of_a_leader_of_the_past_is_refused() {
    let mut cluster = of_logs(&[&[], &[6], &[]]);
    let snapshot = snapshot_of_noops(id(2, 2));
    assert_eq!(receive(&mut cluster, &snapshot, 0, snapshot.data.len()), "nothing: outdated");
    assert_eq!(cluster.terms(1), [6]);
}

// Figure 13: "2. Create new snapshot file if first chunk (offset is 0). 3. Write data into snapshot file at
// given offset. 4. Reply and wait for more data chunks if done is false. 5. Save snapshot file, discard
// any existing or partial snapshot with a smaller index." Here only what follows what is there is taken.
#[test]
fn chunks_are_put_together_by_their_offsets() {
    let mut cluster = of_logs(&[&[], &[], &[]]);
    let (old, new) = (snapshot_of_noops(id(2, 2)), snapshot_of_noops(id(3, 3)));
    let end = new.data.len();
    assert_eq!(receive(&mut cluster, &new, 2, 4), "has 0 bytes");
    assert_eq!(receive(&mut cluster, &old, 0, 1), "has 1 bytes");
    assert_eq!(receive(&mut cluster, &new, 0, 2), "has 2 bytes", "another snapshot begins anew");
    assert_eq!(receive(&mut cluster, &new, 0, 2), "has 2 bytes", "the same chunk again is none");
    assert_eq!(receive(&mut cluster, &new, 3, end), "has 2 bytes", "the last one came too early");
    assert_eq!(cluster.view(1).log_base(), id(0, 0));
    assert_eq!(receive(&mut cluster, &new, 2, end), "to 3");
    assert_eq!((cluster.view(1).log_base(), cluster.view(1).applied()), (id(3, 3), id(3, 3)));
    assert_eq!(receive(&mut cluster, &old, 0, 1), "to 2", "it has all of that");
    assert_eq!(cluster.view(1).applied(), id(3, 3), "a smaller one is not installed");
}

// Figure 13: "6. If existing log entry has same index and term as snapshot's last included entry, retain
// log entries following it and reply. 7. Discard the entire log. 8. Reset state machine using snapshot
// contents".
#[test]
fn a_snapshot_keeps_the_entries_that_follow_it_and_no_others() {
    for (log, last, left) in [
        (&[1, 1, 2, 2][..], (2, 1), &[2, 2][..]),
        (&[1, 1, 2, 2], (4, 2), &[]),
        (&[1, 1, 2, 2], (3, 3), &[]),
        (&[1, 1, 2, 2], (7, 3), &[]),
    ] {
        let mut cluster = of_logs(&[&[], log, &[]]);
        let snapshot = snapshot_of_noops(id(last.0, last.1));
        receive(&mut cluster, &snapshot, 0, snapshot.data.len());
        assert_eq!(cluster.terms(1), left, "{last:?}");
        assert_eq!(cluster.view(1).log_base(), snapshot.last);
        let kept = cluster.node(1).disk.clone();
        cluster.restart(1);
        assert_eq!((cluster.terms(1), &cluster.node(1).disk), (left.to_vec(), &kept));
    }
}

// Thesis §6.3: "servers must […] include sessions in their snapshots": a repetition is recognised by who
// knows of the first by a snapshot only.
#[test]
fn sessions_are_in_the_snapshot() {
    let mut cluster: Cluster<Store> = Cluster::with(compacting(3));
    cluster.elect(0);
    let append = |value: &str| Op::Command(kv::Op::Append { key: 1, value: value.into() });
    cluster.ask_as(0, 9, 1, append("x"));
    for _ in 0..6 {
        cluster.deliver_among(&[0, 1]);
        cluster.ask(0, append("."));
    }
    cluster.deliver_among(&[0, 1]);
    cluster.fire(0, Timer::Heartbeat);
    cluster.deliver();
    assert_eq!(cluster.noted("snapshot-installed"), 1);
    cluster.stop(0);
    cluster.elect(2);
    cluster.ask_as(2, 9, 1, append("x"));
    cluster.deliver();
    let read = cluster.run(2, Op::Command(kv::Op::Read { key: 1 }));
    assert_eq!(read, Some(Ret::Done(kv::Ret::Value(Some("x......".into())))));
    assert_eq!(cluster.replies.iter().filter(|reply| (reply.0, reply.1) == (9, 1)).count(), 2);
}
