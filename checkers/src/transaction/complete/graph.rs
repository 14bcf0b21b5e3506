//! What must come before what: nodes, and the arcs that are known before anything is tried.
//!
//! Under serializability a transaction is one node. Under snapshot isolation and prefix consistency it is
//! two, its start and its commit (Zhang et al., Viper, EuroSys 2023: BC-polygraphs), written S and C here;
//! where there is one node, both are it:
//!
//! ```text
//!                                     serializable    snapshot isolation     prefix
//! each transaction t                                  S(t) -> C(t)           S(t) -> C(t)
//! u reads t's version                 t -> u          C(t) -> S(u)           C(t) -> S(u)
//! t before u in session or time       t -> u          C(t) -> S(u)           C(t) -> S(u)
//! u overwrites what r read            r -> u          S(r) -> C(u)           S(r) -> C(u)
//! u overwrites what t wrote           t -> u          C(t) -> S(u)           C(t) -> C(u)
//! ```
//!
//! A history is correct exactly if the versions of each key can be put in an order so that no arcs form a
//! cycle: a topological order is a schedule, and a schedule gives such an order. Under prefix consistency a
//! cycle of this kind is one of ((so ∪ wr) ; rw?) ∪ ww in the notation of Cerone, Gotsman & Yang (CONCUR
//! 2017). That all this is the definition is checked by brute force in the tests.
//!
//! Two kinds of auxiliary nodes keep the number of arcs linear: one per version with several readers, which
//! all of its readers precede, and one chain of points in time, to which a completion leads and from which
//! an invocation comes.

use super::instance::{Instance, NONE, Version};
use super::meter::Meter;
use super::rows::Rows;
use super::{Model, Order};
use crate::transaction::{Status, Transactions};
use crate::verdict::Reason;

/// Where the nodes of a transaction are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    model: Model,
    txns: u32,
}

impl Shape {
    pub(super) fn is_split(self) -> bool {
        self.model != Model::Serializable
    }

    pub(super) fn start(self, txn: u32) -> u32 {
        if self.is_split() { 2 * txn } else { txn }
    }

    pub(super) fn commit(self, txn: u32) -> u32 {
        if self.is_split() { 2 * txn + 1 } else { txn }
    }

    /// Where an arc from the commit of an overwritten transaction ends.
    pub(super) fn overwriter(self, txn: u32) -> u32 {
        if self.model == Model::SnapshotIsolation { self.start(txn) } else { self.commit(txn) }
    }

    /// The transaction of a node, unless the node is auxiliary.
    pub(super) fn txn(self, node: u32) -> Option<u32> {
        let txn = if self.is_split() { node / 2 } else { node };
        (txn < self.txns).then_some(txn)
    }

    /// Number of nodes that belong to transactions; they come first.
    pub(super) fn txn_nodes(self) -> u32 {
        if self.is_split() { 2 * self.txns } else { self.txns }
    }
}

/// Why one version comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It is the initial one.
    Initial,
    /// The later one's writer had read it.
    ReadThenWrote,
    /// The longest list of the key shows it first.
    Listed,
    /// The other way round there would be a cycle: see the fact of this number.
    Fact(u32),
    /// It is the wrong way round of a fact, which shows that by closing a cycle.
    Against(u32),
    /// It was tried: see the literal of this number.
    Choice(u32),
}

/// What an arc stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tag {
    /// From the start of a transaction to its commit.
    #[default]
    Own,
    /// Session or real time, perhaps by way of points in time.
    Order,
    /// From the reader of a version to the node that all of its readers precede.
    Collect,
    /// From the writer of a version to its reader.
    Read,
    /// From the readers of a version to who wrote a later one.
    Missed(Cause),
    /// From the writer of a version to who wrote a later one.
    Overwrote(Cause),
}

/// One node comes before another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arc {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) tag: Tag,
}

/// Nodes and known arcs.
pub(super) struct Graph {
    pub(super) shape: Shape,
    /// Number of nodes.
    pub(super) nodes: u32,
    /// By version: a node that all of its readers precede, or [`NONE`] if nobody read it. It is the reader's
    /// own start if there is but one.
    pub(super) collect: Vec<u32>,
    pub(super) arcs: Vec<Arc>,
    /// By node: the places of arcs in `arcs`.
    pub(super) out: Rows<u32>,
    /// The same, by the node that an arc leads to.
    pub(super) into: Rows<u32>,
}

impl Graph {
    /// All that follows from the data and the demanded order at once.
    pub(super) fn new(txns: &Transactions, instance: &Instance) -> Graph {
        let shape = Shape { model: instance.model, txns: instance.len() as u32 };
        let mut graph = Graph {
            shape,
            nodes: shape.txn_nodes(),
            collect: Vec::with_capacity(instance.versions.len()),
            arcs: Vec::new(),
            out: Rows::default(),
            into: Rows::default(),
        };
        if shape.is_split() {
            (0..shape.txns).for_each(|txn| graph.add(shape.start(txn), shape.commit(txn), Tag::Own));
        }
        graph.add_reads(instance);
        graph.add_initial(instance);
        graph.add_read_then_wrote(instance);
        graph.add_listed(instance);
        match instance.order {
            Order::Free => {}
            Order::Session => graph.add_sessions(instance),
            Order::RealTime => {
                graph.add_sessions(instance);
                graph.add_real_time(txns, instance);
            }
        }
        graph.index();
        graph
    }

    fn add(&mut self, from: u32, to: u32, tag: Tag) {
        self.arcs.push(Arc { from, to, tag });
    }

    /// Groups the arcs by node; after arcs were added.
    pub(super) fn index(&mut self) {
        let places: Vec<u32> = (0..self.arcs.len() as u32).collect();
        let arcs = &self.arcs;
        self.out =
            Rows::group(self.nodes as usize, &places, |&place| arcs[place as usize].from, |&place| place);
        self.into =
            Rows::group(self.nodes as usize, &places, |&place| arcs[place as usize].to, |&place| place);
    }

    /// A topological order of the nodes; shorter than their number exactly if the arcs form a cycle.
    pub(super) fn sorted(&self, meter: &mut Meter) -> Result<Vec<u32>, Reason> {
        let mut missing = vec![0_u32; self.nodes as usize];
        self.arcs.iter().for_each(|arc| missing[arc.to as usize] += 1);
        let mut order: Vec<u32> = (0..self.nodes).filter(|&node| missing[node as usize] == 0).collect();
        let mut at = 0;
        while let Some(&node) = order.get(at) {
            at += 1;
            meter.spend(1 + self.out.of(node).len())?;
            for &place in self.out.of(node) {
                let to = self.arcs[place as usize].to;
                missing[to as usize] -= 1;
                if missing[to as usize] == 0 {
                    order.push(to);
                }
            }
        }
        Ok(order)
    }

    fn add_reads(&mut self, instance: &Instance) {
        let shape = self.shape;
        for (id, version) in instance.versions.iter().enumerate() {
            let readers = instance.readers.of(id as u32);
            if version.writer != NONE {
                for &reader in readers {
                    self.add(shape.commit(version.writer), shape.start(reader), Tag::Read);
                }
            }
            let collect = match *readers {
                [] => NONE,
                [reader] => shape.start(reader),
                _ => {
                    let node = self.nodes;
                    self.nodes += 1;
                    readers.iter().for_each(|&reader| self.add(shape.start(reader), node, Tag::Collect));
                    node
                }
            };
            self.collect.push(collect);
        }
    }

    /// Whoever read what a key held at first comes before every writer of the key.
    fn add_initial(&mut self, instance: &Instance) {
        let tag = Tag::Missed(Cause::Initial);
        for (key, &initial) in instance.initial.iter().enumerate().filter(|(_, initial)| **initial != NONE) {
            let mut updates = 0;
            for &version in instance.versions_of.of(key as u32) {
                let writer = instance.versions[version as usize].writer;
                let is_update =
                    instance.write_of(writer, key as u32).is_some_and(|write| write.seen == initial);
                updates += u32::from(is_update);
                self.add_missed(instance, initial, writer, is_update, updates, tag);
            }
        }
    }

    /// Whoever read a version comes before who read it, too, and then wrote the key.
    fn add_read_then_wrote(&mut self, instance: &Instance) {
        let mut updates = vec![0_u32; instance.versions.len()];
        for txn in 0..instance.len() as u32 {
            for write in instance.writes.of(txn) {
                let is_initial = |version: u32| instance.versions[version as usize].writer == NONE;
                if write.seen != NONE && !is_initial(write.seen) {
                    let so_far = &mut updates[write.seen as usize];
                    *so_far += 1;
                    self.add_missed(
                        instance,
                        write.seen,
                        txn,
                        true,
                        *so_far,
                        Tag::Missed(Cause::ReadThenWrote),
                    );
                }
            }
        }
    }

    /// Whoever wrote a version comes before who wrote the next one of the list, and so do its readers.
    fn add_listed(&mut self, instance: &Instance) {
        for (id, &before) in instance.listed_before.iter().enumerate().filter(|(_, before)| **before != NONE)
        {
            let Version { key, writer, .. } = instance.versions[id];
            let earlier = instance.versions[before as usize].writer;
            let (from, to) = (self.shape.commit(earlier), self.shape.overwriter(writer));
            self.add(from, to, Tag::Overwrote(Cause::Listed));
            let had_read = instance.write_of(writer, key).is_some_and(|write| write.seen == before);
            let (from, to) = (self.collect[before as usize], self.shape.commit(writer));
            if from != NONE && !had_read {
                self.add(from, to, Tag::Missed(Cause::Listed));
            }
        }
    }

    /// Arcs from the readers of `version` to `writer`, which overwrote it; and had read it itself, if
    /// `is_update`, as the `updates`-th to do so.
    fn add_missed(
        &mut self,
        instance: &Instance,
        version: u32,
        writer: u32,
        is_update: bool,
        updates: u32,
        tag: Tag,
    ) {
        let (collect, to) = (self.collect[version as usize], self.shape.commit(writer));
        if self.shape.is_split() || !is_update {
            // The start of a single reader that wrote the key itself precedes its commit already.
            if self.shape.txn(collect) != Some(writer) {
                self.add(collect, to, tag);
            }
        } else if updates <= 2 {
            // The collecting node follows the writer, a reader too, where that is one node. Of two such
            // writers each comes before the other: that is a cycle, and more of them add nothing.
            for &reader in instance.readers.of(version).iter().filter(|reader| **reader != writer) {
                self.add(self.shape.start(reader), to, tag);
            }
        }
    }

    fn add_sessions(&mut self, instance: &Instance) {
        let shape = self.shape;
        for (txn, &before) in
            instance.session_before.iter().enumerate().filter(|(_, before)| **before != NONE)
        {
            self.add(shape.commit(before), shape.start(txn as u32), Tag::Order);
        }
    }

    /// One point in time for every run of completions that an invocation follows.
    fn add_real_time(&mut self, txns: &Transactions, instance: &Instance) {
        let shape = self.shape;
        // Position, then invocations first: an operation of no duration does not precede itself.
        let mut events: Vec<(u32, bool, u32)> = Vec::with_capacity(2 * instance.len());
        for (txn, &row) in instance.txns.iter().enumerate() {
            if instance.is_loose.get(txn) == Some(&true) {
                continue;
            }
            let row = txns.txn(row);
            events.push((row.invoked, false, txn as u32));
            if row.status == Status::Committed {
                events.push((row.returned, true, txn as u32));
            }
        }
        events.sort_unstable();
        let mut point = NONE;
        let mut completed = Vec::new();
        for (_, is_completion, txn) in events {
            if is_completion {
                completed.push(txn);
                continue;
            }
            if !completed.is_empty() {
                let next = self.nodes;
                self.nodes += 1;
                if point != NONE {
                    self.add(point, next, Tag::Order);
                }
                point = next;
                completed.drain(..).for_each(|txn| self.add(shape.commit(txn), point, Tag::Order));
            }
            if point != NONE {
                self.add(point, shape.start(txn), Tag::Order);
            }
        }
    }

    /// The arcs that put `earlier` before `later`, two writers of some key.
    pub(super) fn decided(&self, instance: &Instance, earlier: u32, later: u32, cause: Cause) -> Vec<Arc> {
        let shape = self.shape;
        let (from, to) = (shape.commit(earlier), shape.overwriter(later));
        let mut arcs = vec![Arc { from, to, tag: Tag::Overwrote(cause) }];
        for (write, next) in instance.common_writes(earlier, later) {
            let (from, to) = (self.collect[write.version as usize], shape.commit(later));
            // Who read it and then wrote the key follows it anyway, and so do the arcs to it.
            if from != NONE && next.seen != write.version {
                arcs.push(Arc { from, to, tag: Tag::Missed(cause) });
            }
        }
        arcs
    }

    /// Bytes held by the arcs, and by what indexes them.
    pub(super) fn bytes(&self) -> usize {
        self.arcs.capacity() * size_of::<Arc>()
            + self.arcs.len() * 8
            + self.nodes as usize * 8
            + self.collect.len() * 4
    }
}
