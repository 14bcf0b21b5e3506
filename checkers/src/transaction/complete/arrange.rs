//! A topological order of the known arcs, guided by a guess of what came first; and what is wrong with it.
//!
//! [`arrange`] runs the transactions as a database would that is told what each has to read. Careful, it
//! lets nobody overwrite a version while readers of it are still to come, nor, under snapshot isolation,
//! start while a writer of the same key is open; only when nobody can go on is one let through regardless.
//! On most correct histories no such moment comes, and the order is a proof that they are. Where one does,
//! the order is still one of the known arcs, and [`Inspector`] says which versions it puts in the wrong
//! place. Not careful, it follows the guess as closely as the arcs allow.

use super::Model;
use super::graph::Graph;
use super::instance::{Instance, NONE};
use super::meter::Meter;
use super::rows::Rows;
use crate::verdict::Reason;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When each transaction is guessed to have started and committed, on any scale.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    pub(super) start: Vec<u64>,
    pub(super) commit: Vec<u64>,
}

/// Nodes that may go on, the earliest guess first.
type Queue = BinaryHeap<Reverse<(u64, u32)>>;

/// The nodes in an order that respects the known arcs. Shorter than their number exactly if those form a
/// cycle.
pub(super) fn arrange(
    instance: &Instance,
    graph: &Graph,
    guess: &Guess,
    is_careful: bool,
    meter: &mut Meter,
) -> Result<Vec<u32>, Reason> {
    let mut arranger = Arranger::new(instance, graph, guess, is_careful);
    loop {
        while let Some(Reverse((_, node))) = arranger.ready.pop() {
            meter.spend(4 + graph.out.of(node).len())?;
            arranger.attempt(node);
        }
        if !arranger.let_one_through() {
            return Ok(arranger.order);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Something must come first, or it is in the queue.
    Coming,
    /// It stands in the queue of a key.
    Waiting,
    Done,
}

/// A run under way.
pub(super) struct Arranger<'a> {
    instance: &'a Instance,
    graph: &'a Graph,
    guess: &'a Guess,
    is_careful: bool,
    /// Arcs into each node from nodes that are not done.
    missing: Vec<u32>,
    state: Vec<State>,
    ready: Queue,
    order: Vec<u32>,
    /// By key: the version that a read would see now.
    current: Vec<u32>,
    /// By version: readers to come.
    pending: Vec<u32>,
    /// By key: the open writer.
    open: Vec<u32>,
    /// By key: who waits for it.
    waiting: Vec<Queue>,
    /// By node: the key whose turn it has been given.
    turn_of: Vec<u32>,
    waiting_starts: Queue,
    waiting_all: Queue,
}

impl<'a> Arranger<'a> {
    fn new(instance: &'a Instance, graph: &'a Graph, guess: &'a Guess, is_careful: bool) -> Arranger<'a> {
        let nodes = graph.nodes as usize;
        let mut missing = vec![0; nodes];
        graph.arcs.iter().for_each(|arc| missing[arc.to as usize] += 1);
        let keys = instance.initial.len();
        let mut arranger = Arranger {
            instance,
            graph,
            guess,
            is_careful,
            missing,
            state: vec![State::Coming; nodes],
            ready: Queue::new(),
            order: Vec::with_capacity(nodes),
            current: instance.initial.clone(),
            pending: (0..instance.versions.len() as u32)
                .map(|v| instance.readers.of(v).len() as u32)
                .collect(),
            open: vec![NONE; keys],
            waiting: vec![Queue::new(); if is_careful { keys } else { 0 }],
            turn_of: if is_careful { vec![NONE; nodes] } else { Vec::new() },
            waiting_starts: Queue::new(),
            waiting_all: Queue::new(),
        };
        for node in (0..graph.nodes).filter(|node| arranger.missing[*node as usize] == 0).collect::<Vec<_>>()
        {
            arranger.ready.push(Reverse((arranger.priority(node), node)));
        }
        arranger
    }

    /// Bytes that a run, its order and its inspection hold, about.
    pub(super) fn bytes(instance: &Instance, graph: &Graph) -> usize {
        graph.nodes as usize * 64 + instance.versions.len() * 16 + instance.initial.len() * 48
    }

    /// Nodes that are no transaction's go first, since they only let others go.
    fn priority(&self, node: u32) -> u64 {
        let shape = self.graph.shape;
        match shape.txn(node) {
            None => 0,
            Some(txn) if node == shape.commit(txn) => self.guess.commit[txn as usize],
            Some(txn) => self.guess.start[txn as usize],
        }
    }

    fn is_start(&self, node: u32) -> bool {
        let shape = self.graph.shape;
        shape.is_split() && shape.txn(node).is_some_and(|txn| node == shape.start(txn))
    }

    fn attempt(&mut self, node: u32) {
        if !self.is_careful {
            return self.run(node);
        }
        let had_turn_of = std::mem::replace(&mut self.turn_of[node as usize], NONE);
        match self.obstacle(node) {
            None => self.run(node),
            Some(key) => {
                let entry = Reverse((self.priority(node), node));
                self.state[node as usize] = State::Waiting;
                self.waiting[key as usize].push(entry);
                self.waiting_all.push(entry);
                if self.is_start(node) {
                    self.waiting_starts.push(entry);
                }
                if had_turn_of != NONE && had_turn_of != key {
                    self.give_turn(had_turn_of);
                }
            }
        }
    }

    /// A key that `node` had better not write, or start to write, now.
    fn obstacle(&self, node: u32) -> Option<u32> {
        let txn = self.graph.shape.txn(node)?;
        let is_start = self.is_start(node);
        if is_start && self.instance.model == Model::Prefix {
            return None;
        }
        let commits_alone = self.graph.shape.is_split() && !is_start;
        let is_blocked = |key: u32, seen: u32| {
            let current = self.current[key as usize];
            let own = u32::from(!commits_alone && current != NONE && seen == current);
            let readers = if current == NONE { 0 } else { self.pending[current as usize] };
            readers > own || is_start && self.open[key as usize] != NONE
        };
        self.instance
            .writes
            .of(txn)
            .iter()
            .find(|write| is_blocked(write.key, write.seen))
            .map(|write| write.key)
    }

    fn run(&mut self, node: u32) {
        self.state[node as usize] = State::Done;
        self.order.push(node);
        if self.is_careful
            && let Some(txn) = self.graph.shape.txn(node)
        {
            let is_start = self.is_start(node);
            if is_start || !self.graph.shape.is_split() {
                self.read(txn);
            }
            if !is_start {
                self.write(txn);
            } else if self.instance.model == Model::SnapshotIsolation {
                self.instance.writes.of(txn).iter().for_each(|write| self.open[write.key as usize] = txn);
            }
        }
        for &place in self.graph.out.of(node) {
            let to = self.graph.arcs[place as usize].to;
            self.missing[to as usize] -= 1;
            if self.missing[to as usize] == 0 {
                self.ready.push(Reverse((self.priority(to), to)));
            }
        }
    }

    fn read(&mut self, txn: u32) {
        let instance = self.instance;
        for &version in instance.reads.of(txn) {
            self.pending[version as usize] -= 1;
            let key = instance.versions[version as usize].key;
            if self.pending[version as usize] == 0 && self.current[key as usize] == version {
                self.give_turn(key);
            }
        }
    }

    fn write(&mut self, txn: u32) {
        let instance = self.instance;
        for write in instance.writes.of(txn) {
            self.current[write.key as usize] = write.version;
            if self.open[write.key as usize] == txn {
                self.open[write.key as usize] = NONE;
            }
            if self.pending[write.version as usize] == 0 {
                self.give_turn(write.key);
            }
        }
    }

    /// Lets the first of those who wait for a key try again. Only one, or a key with many writers would cost
    /// their square; it passes the turn on if something else stops it.
    fn give_turn(&mut self, key: u32) {
        while let Some(entry @ Reverse((_, node))) = self.waiting[key as usize].pop() {
            if self.state[node as usize] == State::Waiting {
                self.state[node as usize] = State::Coming;
                self.turn_of[node as usize] = key;
                return self.ready.push(entry);
            }
        }
    }

    /// Nobody can go on: a transaction starts early, or else one goes on in spite of what stops it.
    fn let_one_through(&mut self) -> bool {
        while let Some(Reverse((_, node))) = self.waiting_starts.pop() {
            let is_free = |txn: u32| {
                self.instance.writes.of(txn).iter().all(|write| self.open[write.key as usize] == NONE)
            };
            if self.state[node as usize] == State::Waiting && self.graph.shape.txn(node).is_some_and(is_free)
            {
                self.run(node);
                return true;
            }
        }
        while let Some(Reverse((_, node))) = self.waiting_all.pop() {
            if self.state[node as usize] == State::Waiting {
                self.run(node);
                return true;
            }
        }
        false
    }
}

/// The place of each node in an order.
pub(super) fn positions(order: &[u32], nodes: u32) -> Vec<u32> {
    let mut position = vec![NONE; nodes as usize];
    order.iter().enumerate().for_each(|(at, &node)| position[node as usize] = at as u32);
    position
}

/// Two writers of a key that an order puts in a place where they cannot both be right: one of them must come
/// before the other, and nothing known says which.
pub(super) type Pair = (u32, u32);

/// Finds what is wrong with an order, key by key.
pub(super) struct Inspector<'a> {
    instance: &'a Instance,
    graph: &'a Graph,
    /// By key, as they stood when last looked at: nearly sorted already.
    sorted: Rows<u32>,
}

/// How many writers that come between a version and one of its readers are named: so many after the
/// version, and so many before the reader. The others show in the next order, if that is wrong as well.
const NAMED_MAX: usize = 4;

impl<'a> Inspector<'a> {
    pub(super) fn new(instance: &'a Instance, graph: &'a Graph) -> Inspector<'a> {
        Inspector { instance, graph, sorted: instance.versions_of.clone() }
    }

    /// Whether the order explains every read of every key.
    pub(super) fn accepts(&mut self, position: &[u32], meter: &mut Meter) -> Result<bool, Reason> {
        let mut found = Vec::new();
        for key in 0..self.sorted.len() as u32 {
            self.look(key, position, &mut found, meter)?;
            if !found.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds to `found` what is wrong with one key.
    pub(super) fn look(
        &mut self,
        key: u32,
        position: &[u32],
        found: &mut Vec<Pair>,
        meter: &mut Meter,
    ) -> Result<(), Reason> {
        let (instance, shape) = (self.instance, self.graph.shape);
        let writer = |version: u32| instance.versions[version as usize].writer;
        let commit = |version: u32| position[shape.commit(writer(version)) as usize];
        let sorted = self.sorted.of_mut(key);
        sorted.sort_by_key(|version| commit(*version));
        meter.spend(1 + 2 * sorted.len())?;
        for (at, &version) in sorted.iter().enumerate() {
            let Some(&next) = sorted.get(at + 1) else { break };
            if instance.model == Model::SnapshotIsolation
                && position[shape.start(writer(next)) as usize] < commit(version)
            {
                found.push((writer(version), writer(next)));
            }
            let readers = instance.readers.of(version);
            meter.spend(readers.len())?;
            let Some(latest) = readers.iter().map(|&reader| position[shape.start(reader) as usize]).max()
            else {
                continue;
            };
            if commit(next) >= latest {
                continue;
            }
            let between = &sorted[at + 1..];
            let between = &between[..between.partition_point(|&other| commit(other) < latest)];
            let (first, rest) = between.split_at(between.len().min(NAMED_MAX));
            let last = &rest[rest.len() - rest.len().min(NAMED_MAX)..];
            found.extend(first.iter().chain(last).map(|&other| (writer(version), writer(other))));
        }
        Ok(())
    }
}
