//! One test for each sentence that the module doc claims, on a cluster whose messages the test moves
//! by hand.

use super::*;
use crate::protocol::Record as RecordOf;

/// Nodes, their disks, and what is on its way.
struct Cluster {
    config: Config,
    nodes: Vec<Abd>,
    disks: Vec<Disk>,
    network: Vec<(NodeId, NodeId, Msg)>,
    answers: Vec<(RequestId, Ret)>,
    requests: u64,
}

impl Cluster {
    fn new(nodes: u16) -> Cluster {
        let config = Config::new(nodes);
        let mut cluster = Cluster {
            config,
            nodes: vec![],
            disks: vec![Disk::default(); usize::from(nodes)],
            network: vec![],
            answers: vec![],
            requests: 0,
        };
        for id in 0..nodes {
            let mut out = vec![];
            let node = Abd::boot(&cluster.config, NodeId(id), &Disk::default(), &mut out);
            cluster.nodes.push(node);
            cluster.carry_out(NodeId(id), out);
        }
        cluster
    }

    fn carry_out(&mut self, node: NodeId, effects: Vec<Effect<Abd>>) {
        for effect in effects {
            match effect {
                Effect::Send { to, msg } => self.network.push((node, to, msg)),
                Effect::Reply { id, ret, .. } => self.answers.push((id, ret)),
                Effect::Persist(record) => self.persist(node, &record),
                _ => {}
            }
        }
    }

    fn persist(&mut self, node: NodeId, record: &RecordOf<Abd>) {
        self.disks[usize::from(node.0)].replay(record);
    }

    fn step(&mut self, node: u16, input: Input<Abd>) {
        let mut out = vec![];
        self.nodes[usize::from(node)].step(&self.config, Time(0), input, &mut out);
        self.carry_out(NodeId(node), out);
    }

    fn request(&mut self, node: u16, op: Op) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.step(node, Input::Request { client: ClientId(0), id, op });
        id
    }

    /// Delivers what is on its way to nodes of `among`, and what comes of it; the rest is lost.
    fn deliver_among(&mut self, among: &[u16]) {
        while let Some((from, to, msg)) = (!self.network.is_empty()).then(|| self.network.remove(0)) {
            if among.contains(&from.0) && among.contains(&to.0) {
                self.step(to.0, Input::Msg { from, msg });
            }
        }
    }

    fn run(&mut self, node: u16, op: Op, among: &[u16]) -> Option<Ret> {
        let id = self.request(node, op);
        self.deliver_among(among);
        self.answer(id)
    }

    fn answer(&self, id: RequestId) -> Option<Ret> {
        self.answers.iter().find(|answer| answer.0 == id).map(|answer| answer.1)
    }

    fn crash(&mut self, node: u16) {
        let mut out = vec![];
        let disk = &self.disks[usize::from(node)];
        self.nodes[usize::from(node)] = Abd::boot(&self.config, NodeId(node), disk, &mut out);
        self.carry_out(NodeId(node), out);
    }
}

const READ: Op = Op::Read { key: 1 };

fn write(value: Value) -> Op {
    Op::Write { key: 1, value }
}

#[test]
fn what_was_written_at_one_node_is_read_at_another() {
    let mut cluster = Cluster::new(3);
    assert_eq!(cluster.run(0, READ, &[0, 1, 2]), Some(Ret::Value(None)));
    assert_eq!(cluster.run(0, write(5), &[0, 1, 2]), Some(Ret::Written));
    assert_eq!(cluster.run(2, READ, &[0, 1, 2]), Some(Ret::Value(Some(5))));
    assert_eq!(cluster.run(2, Op::Read { key: 2 }, &[0, 1, 2]), Some(Ret::Value(None)), "keys are apart");
}

#[test]
fn one_node_is_a_cluster() {
    let mut cluster = Cluster::new(1);
    assert_eq!(cluster.run(0, write(5), &[]), Some(Ret::Written));
    assert_eq!(cluster.run(0, READ, &[]), Some(Ret::Value(Some(5))));
    assert_eq!(cluster.nodes[0].rounds_open(), 0);
}

#[test]
fn nothing_is_answered_without_a_majority() {
    let mut cluster = Cluster::new(4);
    assert_eq!(cluster.run(0, write(5), &[0, 1]), None);
    assert_eq!(cluster.run(0, write(6), &[0, 1, 2]), Some(Ret::Written));
    assert_eq!(cluster.run(3, READ, &[3, 2]), None);
}

#[test]
fn any_two_majorities_meet() {
    let mut cluster = Cluster::new(5);
    cluster.run(0, write(5), &[0, 1, 2]);
    assert_eq!(cluster.run(4, READ, &[2, 3, 4]), Some(Ret::Value(Some(5))));
}

// The value is at one node of three. A read that sees it must leave it at a majority.
#[test]
fn a_read_stores_what_it_found_before_it_answers() {
    let mut cluster = Cluster::new(3);
    let newer = Versioned { tag: Tag { counter: 9, write: None }, value: Some(7) };
    let store = Msg::Store(RoundId { node: NodeId(2), boots: 1, number: 0 }, 1, newer);
    cluster.step(0, Input::Msg { from: NodeId(2), msg: store });
    cluster.network.clear();
    assert_eq!(cluster.run(1, READ, &[0, 1]), Some(Ret::Value(Some(7))));
    assert_eq!(cluster.nodes[1].held(1), newer);
    assert_eq!(cluster.run(2, READ, &[1, 2]), Some(Ret::Value(Some(7))));
}

#[test]
fn a_read_of_what_a_whole_quorum_holds_saves_the_second_round() {
    let mut cluster = Cluster::new(3);
    cluster.run(0, write(5), &[0, 1, 2]);
    cluster.request(1, READ);
    let stores = |cluster: &Cluster| cluster.network.iter().filter(|m| matches!(m.2, Msg::Store(..))).count();
    let (from, to, msg) = cluster.network.remove(0);
    cluster.step(to.0, Input::Msg { from, msg });
    let (from, to, msg) = cluster.network.pop().expect("an answer to the query");
    cluster.step(to.0, Input::Msg { from, msg });
    assert_eq!((cluster.answers.len(), stores(&cluster)), (2, 0));
}

#[test]
fn two_writes_that_one_node_coordinates_at_once_have_different_tags() {
    let mut cluster = Cluster::new(3);
    cluster.request(0, write(5));
    cluster.request(0, write(6));
    cluster.deliver_among(&[0, 1, 2]);
    assert_eq!(cluster.answers.len(), 2);
    let held: BTreeSet<Versioned> = (0..3).map(|node| cluster.nodes[node].held(1)).collect();
    assert_eq!(held.len(), 1, "all nodes agree: {held:?}");
}

#[test]
fn a_node_holds_after_a_crash_what_it_acknowledged() {
    let mut cluster = Cluster::new(3);
    cluster.run(0, write(5), &[0, 1]);
    cluster.crash(0);
    cluster.crash(1);
    assert_eq!(cluster.run(2, READ, &[1, 2]), Some(Ret::Value(Some(5))));
}

#[test]
fn an_answer_to_a_round_of_before_a_crash_is_none_to_one_of_after_it() {
    let mut cluster = Cluster::new(3);
    cluster.request(0, write(5));
    let (.., Msg::Query(before, _)) = cluster.network[0] else { panic!("it asks first") };
    cluster.crash(0);
    cluster.network.clear();
    cluster.request(0, READ);
    let (.., Msg::Query(after, _)) = cluster.network[0] else { panic!("it asks first") };
    assert_ne!(before, after);
    let stale = Versioned { tag: Tag { counter: 1, write: Some(before) }, value: Some(1) };
    cluster.step(0, Input::Msg { from: NodeId(1), msg: Msg::Holds(before, stale) });
    assert_eq!(cluster.answers, []);
}

#[test]
fn messages_may_be_lost_and_repeated() {
    let mut cluster = Cluster::new(3);
    let id = cluster.request(0, write(5));
    cluster.network.clear();
    let round = RoundId { node: NodeId(0), boots: 1, number: 0 };
    cluster.step(0, Input::Timer(round));
    let copies = cluster.network.clone();
    cluster.network.extend(copies);
    cluster.deliver_among(&[0, 1, 2]);
    assert_eq!(cluster.answer(id), Some(Ret::Written));
    // Its timer may go off after all.
    cluster.step(0, Input::Timer(round));
    assert_eq!(cluster.network, []);
}

#[cfg(feature = "mutants")]
mod mutants {
    use super::*;

    fn with(mutant: Mutant, nodes: u16) -> Cluster {
        let mut cluster = Cluster::new(nodes);
        cluster.config.mutants = Mutants::only(mutant);
        cluster
    }

    // Each mutant makes its mistake: the shortest script that shows it.
    #[test]
    fn without_write_back_a_later_read_finds_the_older_value() {
        let mut cluster = with(Mutant::NoWriteBack, 3);
        let newer = Versioned { tag: Tag { counter: 9, write: None }, value: Some(7) };
        let store = Msg::Store(RoundId { node: NodeId(2), boots: 1, number: 0 }, 1, newer);
        cluster.step(0, Input::Msg { from: NodeId(2), msg: store });
        cluster.network.clear();
        assert_eq!(cluster.run(1, READ, &[0, 1]), Some(Ret::Value(Some(7))));
        assert_eq!(cluster.run(2, READ, &[1, 2]), Some(Ret::Value(None)));
    }

    #[test]
    fn tags_of_nodes_let_replicas_differ_for_ever() {
        let mut cluster = with(Mutant::TagPerNode, 3);
        cluster.request(0, write(5));
        cluster.request(0, write(6));
        // Both queries are answered before either value is stored, and node 1 hears of 6 first.
        let queries = std::mem::take(&mut cluster.network);
        for (from, to, msg) in queries {
            cluster.step(to.0, Input::Msg { from, msg });
        }
        let answers = std::mem::take(&mut cluster.network);
        for (from, to, msg) in answers {
            cluster.step(to.0, Input::Msg { from, msg });
        }
        cluster.network.sort_by_key(|&(_, to, msg)| match msg {
            Msg::Store(_, _, versioned) if to == NodeId(1) => std::cmp::Reverse(versioned.value),
            _ => std::cmp::Reverse(None),
        });
        cluster.deliver_among(&[0, 1, 2]);
        let held: Vec<_> = (0..3).map(|node| cluster.nodes[node].held(1)).collect();
        assert_eq!(held[0].tag, held[1].tag);
        assert_ne!(held[0].value, held[1].value);
    }

    #[test]
    fn an_early_acknowledgement_leaves_before_the_record_is_written() {
        let mut cluster = with(Mutant::AckBeforeDurable, 3);
        let store = Msg::Store(
            RoundId { node: NodeId(0), boots: 1, number: 0 },
            1,
            Versioned { tag: Tag { counter: 1, write: None }, value: Some(7) },
        );
        let mut out = vec![];
        cluster.nodes[1].step(&cluster.config, Time(0), Input::Msg { from: NodeId(0), msg: store }, &mut out);
        assert!(matches!(&out[..], [Effect::Send { .. }, Effect::Persist(_)]));
    }

    #[test]
    fn halves_of_an_even_cluster_need_not_meet() {
        let mut cluster = with(Mutant::QuorumOfHalf, 4);
        assert_eq!(cluster.run(0, write(5), &[0, 1]), Some(Ret::Written));
        assert_eq!(cluster.run(2, READ, &[2, 3]), Some(Ret::Value(None)));
    }
}
