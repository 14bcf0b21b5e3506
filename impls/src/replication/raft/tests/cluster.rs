//! A cluster in a test's hands: nodes, their disks, what is on its way, which timers are set. After each
//! step the five properties are checked.

use super::super::properties::{Properties, Violation};
use super::super::*;
use crate::object::register;
use crate::protocol::{ClientId, Durable, RequestId};
use std::collections::BTreeSet;

/// What is on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Envelope<S: StateMachine> {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) msg: MsgOf<S>,
}

pub(super) struct Cluster<S: StateMachine = Registers> {
    pub(super) config: Config,
    pub(super) nodes: Vec<Option<Raft<S>>>,
    pub(super) disks: Vec<Disk<S::Command>>,
    pub(super) network: Vec<Envelope<S>>,
    pub(super) timers: BTreeSet<(u16, Timer)>,
    pub(super) now: Time,
    pub(super) replies: Vec<(u32, u64, RetOf<S>)>,
    pub(super) notes: Vec<(u16, Note)>,
    pub(super) properties: Properties,
    /// The first that was violated.
    pub(super) violation: Option<Violation>,
    /// What has happened, line by line.
    pub(super) story: Vec<String>,
    requests: u64,
}

/// Entries are sent at once: fewer timers to think of. With a mistake, if `mutants.rs` wants one.
pub(super) fn config(nodes: u16) -> Config {
    Config { batch_after: None, mutants: super::mutants::wanted(), ..Config::new(nodes) }
}

pub(super) fn write(value: u64) -> Op<register::Op> {
    Op::Command(register::Op::Write { key: 1, value })
}

pub(super) const READ: Op<register::Op> = Op::Command(register::Op::Read { key: 1 });

pub(super) const WRITTEN: Ret<register::Ret> = Ret::Done(register::Ret::Written);

pub(super) fn holds(value: u64) -> Ret<register::Ret> {
    Ret::Done(register::Ret::Value(Some(value)))
}

impl Cluster {
    pub(super) fn new(nodes: u16) -> Cluster {
        Cluster::with(config(nodes))
    }
}

impl<S: StateMachine> Cluster<S> {
    pub(super) fn with(config: Config) -> Cluster<S> {
        let disks = (0..config.nodes).map(|_| Disk::default()).collect();
        Cluster::of_disks(config, disks)
    }

    /// Nodes that find something on their disks.
    pub(super) fn of_disks(config: Config, disks: Vec<Disk<S::Command>>) -> Cluster<S> {
        let mut cluster = Cluster {
            nodes: disks.iter().map(|_| None).collect(),
            config,
            disks,
            network: vec![],
            timers: BTreeSet::new(),
            now: Time(0),
            replies: vec![],
            notes: vec![],
            properties: Properties::default(),
            violation: None,
            story: vec![],
            requests: 0,
        };
        for node in 0..cluster.disks.len() as u16 {
            cluster.start(node);
        }
        cluster.story.clear();
        cluster
    }

    pub(super) fn node(&self, node: u16) -> &Raft<S> {
        self.nodes[usize::from(node)].as_ref().expect("the node is up")
    }

    pub(super) fn view(&self, node: u16) -> View<'_, S> {
        self.node(node).view()
    }

    pub(super) fn leads(&self, node: u16) -> bool {
        self.view(node).role() == RoleName::Leader
    }

    /// The terms of a node's entries, as the paper draws logs.
    pub(super) fn terms(&self, node: u16) -> Vec<u64> {
        let view = self.view(node);
        let first = view.log_base().index.next().0;
        let terms = (first..=view.log_last().index.0).map(|index| view.term_at(Index(index)));
        terms.map(|term| term.expect("it is in the log").0).collect()
    }

    pub(super) fn commit_index(&self, node: u16) -> u64 {
        self.view(node).commit_index().0
    }

    pub(super) fn term(&self, node: u16) -> u64 {
        self.view(node).current_term().0
    }

    pub(super) fn start(&mut self, node: u16) {
        let mut out = vec![];
        let disk = &self.disks[usize::from(node)];
        self.nodes[usize::from(node)] = Some(Raft::boot(&self.config, NodeId(node), disk, &mut out));
        self.story.push(format!("n{node} starts"));
        self.carry_out(node, out);
    }

    /// It stops. What it sent before is on its way.
    pub(super) fn stop(&mut self, node: u16) {
        self.nodes[usize::from(node)] = None;
        self.timers.retain(|timer| timer.0 != node);
        self.properties.crashed(NodeId(node));
        self.story.push(format!("n{node} crashes"));
    }

    pub(super) fn restart(&mut self, node: u16) {
        self.stop(node);
        self.start(node);
    }

    /// Does a step and carries out all of its effects.
    pub(super) fn step(&mut self, node: u16, input: Input<Raft<S>>) {
        let out = self.effects_of(node, input);
        self.carry_out(node, out);
        self.observe(node);
    }

    /// Does a step, of whose effects only the first `cut` come about: then the node crashes.
    pub(super) fn step_cut(&mut self, node: u16, input: Input<Raft<S>>, cut: usize) {
        let mut out = self.effects_of(node, input);
        out.truncate(cut);
        self.carry_out(node, out);
        self.stop(node);
    }

    pub(super) fn effects_of(&mut self, node: u16, input: Input<Raft<S>>) -> Out<S> {
        let mut out = vec![];
        let state = self.nodes[usize::from(node)].as_mut().expect("only a node that is up steps");
        state.step(&self.config, self.now, input, &mut out);
        out
    }

    fn observe(&mut self, node: u16) {
        let result =
            self.properties.observe(&self.nodes[usize::from(node)].as_ref().expect("it is up").view());
        if let Err(violation) = result {
            assert!(self.config.mutants != Mutants::default(), "{violation}\n{}", self.story.join("\n"));
            self.violation.get_or_insert(violation);
        }
    }

    fn carry_out(&mut self, node: u16, effects: Out<S>) {
        for effect in effects {
            match effect {
                Effect::Send { to, msg } => {
                    assert_ne!(to.0, node, "nobody sends to itself");
                    self.network.push(Envelope { from: node, to: to.0, msg });
                }
                Effect::Reply { client, id, ret } => {
                    self.story.push(format!("n{node} answers {client}#{}: {ret:?}", id.0));
                    self.replies.push((client.0, id.0, ret));
                }
                Effect::SetTimer { timer, .. } => drop(self.timers.insert((node, timer))),
                Effect::CancelTimer(timer) => drop(self.timers.remove(&(node, timer))),
                Effect::Persist(record) => {
                    self.story.push(format!("n{node} writes {record:?}"));
                    self.disks[usize::from(node)].replay(&record);
                }
                Effect::Note(note) => {
                    self.story.push(format!("n{node} {}: {}", note.kind, note.detail));
                    self.notes.push((node, note));
                }
                Effect::Choose { .. } => panic!("it never asks for a choice"),
            }
        }
    }

    pub(super) fn fire(&mut self, node: u16, timer: Timer) {
        assert!(self.timers.remove(&(node, timer)), "{timer:?} of n{node} is not set");
        self.story.push(format!("n{node} times out: {timer:?}"));
        self.step(node, Input::Timer(timer));
    }

    /// The election timer goes off, in both of its parts: the leader was not heard from.
    pub(super) fn lose_patience(&mut self, node: u16) {
        if self.node(node).hears_leader {
            self.fire(node, Timer::Election);
        }
    }

    /// A node asks for votes, and those who are up and `among` these are ready to give them.
    pub(super) fn elect_among(&mut self, node: u16, among: &[u16]) {
        for &other in among {
            if !self.leads(other) {
                self.lose_patience(other);
            }
        }
        self.fire(node, Timer::Election);
        self.deliver_among(among);
    }

    pub(super) fn elect(&mut self, node: u16) {
        let all: Vec<u16> =
            (0..self.config.nodes).filter(|&n| self.nodes[usize::from(n)].is_some()).collect();
        // The first try may only teach it the term.
        for _ in 0..2 {
            if !self.leads(node) {
                self.elect_among(node, &all);
            }
        }
        assert!(self.leads(node), "n{node} is elected\n{}", self.story.join("\n"));
    }

    /// Delivers the message at a place in the network.
    pub(super) fn deliver_at(&mut self, at: usize) {
        let Envelope { from, to, msg } = self.network.remove(at);
        if self.nodes[usize::from(to)].is_some() {
            self.story.push(format!("n{from} -> n{to} {msg:?}"));
            self.step(to, Input::Msg { from: NodeId(from), msg });
        }
    }

    /// Delivers the first message that is like that. Whether there was one.
    pub(super) fn deliver_one(&mut self, is_it: impl Fn(&Envelope<S>) -> bool) -> bool {
        let at = self.network.iter().position(is_it);
        if let Some(at) = at {
            self.deliver_at(at);
        }
        at.is_some()
    }

    /// Delivers what is like that and what comes of it, as long as there is some; the rest waits.
    pub(super) fn deliver_if(&mut self, is_it: impl Fn(&Envelope<S>) -> bool) {
        let mut steps = 0;
        while self.deliver_one(&is_it) {
            steps += 1;
            assert!(steps < 10_000, "it does not settle");
        }
    }

    /// Delivers what is between these nodes, and what comes of it; the rest is lost.
    pub(super) fn deliver_among(&mut self, among: &[u16]) {
        let is_inside = |e: &Envelope<S>| among.contains(&e.from) && among.contains(&e.to);
        self.deliver_if(is_inside);
        self.network.clear();
    }

    pub(super) fn deliver(&mut self) {
        self.deliver_if(|_| true);
    }

    /// A client that has asked nothing before asks.
    pub(super) fn ask(&mut self, node: u16, op: Op<S::Command>) -> (u32, u64) {
        self.requests += 1;
        let (client, id) = (self.requests as u32, 1);
        self.ask_as(node, client, id, op);
        (client, id)
    }

    pub(super) fn ask_as(&mut self, node: u16, client: u32, id: u64, op: Op<S::Command>) {
        self.story.push(format!("c{client}#{id} asks n{node}: {op:?}"));
        self.step(node, Input::Request { client: ClientId(client), id: RequestId(id), op });
    }

    pub(super) fn answer(&self, (client, id): (u32, u64)) -> Option<&RetOf<S>> {
        self.replies.iter().find(|reply| (reply.0, reply.1) == (client, id)).map(|reply| &reply.2)
    }

    /// A request, everything delivered, and its answer.
    pub(super) fn run(&mut self, node: u16, op: Op<S::Command>) -> Option<RetOf<S>> {
        let request = self.ask(node, op);
        self.deliver();
        self.answer(request).cloned()
    }

    pub(super) fn run_among(&mut self, node: u16, op: Op<S::Command>, among: &[u16]) -> Option<RetOf<S>> {
        let request = self.ask(node, op);
        self.deliver_among(among);
        self.answer(request).cloned()
    }

    /// How often something of that kind was noted.
    pub(super) fn noted(&self, kind: &str) -> usize {
        self.notes.iter().filter(|(_, note)| note.kind == kind).count()
    }
}
