//! Orders that follow from what is known, found before anything is tried.
//!
//! For two writers u and t of a key, u comes before t if the other order would close a cycle: if what is
//! known leads from where an overwriter of t's version would begin, u, to the commit of t; or from the commit
//! of u to the start of a reader of t's version. Then whoever read u's version comes before t. Cobra (Tan et
//! al., OSDI 2020) and PolySI (Huang et al., VLDB 2023) prune their constraints that way, with reachability
//! as a matrix; here it is clocks over chains, so that a round costs about n · k for k chains, and
//! constraints never exist that it decides. Rounds go on until nothing new follows.
//!
//! Of the transactions of one chain only the last that must come before t is looked at, and of several such
//! only those that no other is known to follow: for the rest the same follows by way of those.

use super::arrange::positions;
use super::chains::{Chains, Clocks, stamp};
use super::graph::{Arc, Cause, Graph, Shape, Tag};
use super::instance::{Instance, NONE};
use super::meter::Meter;
use super::paths::cycle;
use super::rows::Rows;
use crate::transaction::Transactions;
use crate::value::FastBuild;
use crate::verdict::Reason;
use hashbrown::HashSet;

/// More rounds than this are not worth it: the search finds the rest.
const ROUNDS_MAX: usize = 40;

/// `earlier` comes before `later`, since otherwise there would be a cycle of arcs that were known when this
/// was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    pub(super) earlier: u32,
    pub(super) later: u32,
    /// Only arcs before this one are needed to show it.
    pub(super) arcs_before: u32,
}

/// What saturation leaves.
pub(super) struct Saturated {
    pub(super) facts: Vec<Fact>,
    /// By node: its place in an order of all the arcs that facts rest on.
    pub(super) position: Vec<u32>,
    /// A cycle of known arcs, if there is one now.
    pub(super) cycle: Option<Vec<Arc>>,
}

/// Adds to `graph` what follows from it. `order` is a topological order.
pub(super) fn saturate(
    txns: &Transactions,
    instance: &Instance,
    graph: &mut Graph,
    order: Vec<u32>,
    meter: &mut Meter,
) -> Result<Saturated, Reason> {
    let chains = Chains::new(txns, instance, graph, &order, meter);
    let bytes = Clocks::bytes(&chains, graph);
    meter.hold(bytes)?;
    let mut rounds = Rounds {
        instance,
        groups: Groups::new(instance, &chains),
        clocks: Clocks::new(&chains, graph),
        chains,
        known: HashSet::default(),
        facts: Vec::new(),
    };
    let result = rounds.run(graph, order, meter);
    meter.release(bytes);
    let (position, cycle) = result?;
    Ok(Saturated { facts: rounds.facts, position, cycle })
}

/// The writers of each key, by chain.
struct Groups {
    /// By key: chain, and where in the other two its writers begin and end.
    by_key: Rows<(u32, u32, u32)>,
    /// Writers, in the order of their chain within a group.
    writers: Vec<u32>,
    /// Their places in the chain.
    places: Vec<u32>,
}

impl Groups {
    fn new(instance: &Instance, chains: &Chains) -> Groups {
        let mut writers: Vec<u32> = Vec::with_capacity(instance.versions.len());
        let mut groups: Vec<(u32, (u32, u32, u32))> = Vec::new();
        let chain = |writer: &u32| chains.chain[*writer as usize];
        let place = |writer: &u32| chains.place[*writer as usize];
        for key in 0..instance.versions_of.len() as u32 {
            let begin = writers.len();
            let of_key = instance.versions_of.of(key).iter();
            let of_key = of_key.map(|&version| instance.versions[version as usize].writer);
            writers.extend(of_key.filter(|writer| chain(writer) != NONE));
            writers[begin..].sort_unstable_by_key(|writer| (chain(writer), place(writer)));
            let mut at = begin;
            while at < writers.len() {
                let this = chain(&writers[at]);
                let end = at + writers[at..].partition_point(|writer| chain(writer) == this);
                groups.push((key, (this, at as u32, end as u32)));
                at = end;
            }
        }
        let by_key = Rows::group(instance.versions_of.len(), &groups, |group| group.0, |group| group.1);
        Groups { by_key, places: writers.iter().map(place).collect(), writers }
    }
}

struct Rounds<'a> {
    instance: &'a Instance,
    chains: Chains,
    clocks: Clocks,
    groups: Groups,
    /// Pairs that are facts already.
    known: HashSet<(u32, u32), FastBuild>,
    facts: Vec<Fact>,
}

/// By node: its place; and a cycle.
type Ended = (Vec<u32>, Option<Vec<Arc>>);

impl Rounds<'_> {
    fn run(&mut self, graph: &mut Graph, mut order: Vec<u32>, meter: &mut Meter) -> Result<Ended, Reason> {
        let rounds = if self.chains.count == 0 { 0 } else { ROUNDS_MAX };
        let mut arcs_before = 0;
        for _ in 0..rounds {
            self.clocks.run(&self.chains, graph, &order, arcs_before, meter)?;
            arcs_before = graph.arcs.len() as u32;
            let mut found = Vec::new();
            for version in 0..self.instance.versions.len() as u32 {
                if self.instance.versions[version as usize].writer != NONE {
                    self.before(graph, version, &mut found, meter)?;
                }
            }
            if found.is_empty() {
                break;
            }
            let bytes = graph.bytes();
            graph.arcs.extend(found);
            graph.index();
            meter.hold(graph.bytes().saturating_sub(bytes))?;
            let next = graph.sorted(meter)?;
            if next.len() < graph.nodes as usize {
                let cycle = cycle(graph, &next, meter)?;
                return Ok((positions(&order, graph.nodes), Some(cycle)));
            }
            order = next;
        }
        Ok((positions(&order, graph.nodes), None))
    }

    /// Adds what must come before `version`.
    fn before(
        &mut self,
        graph: &Graph,
        version: u32,
        found: &mut Vec<Arc>,
        meter: &mut Meter,
    ) -> Result<(), Reason> {
        let (instance, shape) = (self.instance, graph.shape);
        let (key, later) =
            (instance.versions[version as usize].key, instance.versions[version as usize].writer);
        let readers = instance.readers.of(version);
        let has_grown = |node: u32| self.clocks.has_grown[node as usize];
        if !has_grown(shape.commit(later)) && !readers.iter().any(|&reader| has_grown(shape.start(reader))) {
            return Ok(());
        }
        let groups = self.groups.by_key.of(key);
        meter.spend((1 + groups.len()) * (1 + readers.len()))?;
        // Those that no other candidate is known to follow.
        let mut latest: Vec<u32> = Vec::new();
        for &(chain, begin, end) in groups {
            let range = begin as usize..end as usize;
            let (writers, places) = (&self.groups.writers[range.clone()], &self.groups.places[range]);
            // How many have passed a node of theirs before `node`.
            let passed = |node: u32, own: fn(Shape, u32) -> u32, from: usize| {
                let bound = self.clocks.of(node)[chain as usize];
                let has_passed =
                    |at: usize| stamp(&self.chains, graph, own(shape, writers[at]), writers[at]) <= bound;
                if from < writers.len() && has_passed(from) {
                    let offset = stamp(&self.chains, graph, own(shape, writers[from]), writers[from])
                        - 2 * places[from];
                    from + places[from..].partition_point(|place| 2 * place + offset <= bound)
                } else {
                    from
                }
            };
            // How many come before a transaction of the same chain; all, if it is in another.
            let up_to = |txn: u32| {
                if self.chains.chain[txn as usize] != chain {
                    return writers.len();
                }
                places.partition_point(|place| *place < self.chains.place[txn as usize])
            };
            let mut count = passed(shape.commit(later), Shape::overwriter, 0).min(up_to(later));
            for &reader in readers {
                let seen = passed(shape.start(reader), Shape::commit, count);
                // Where a transaction is one node, the reader's own start is its commit.
                let seen = if shape.is_split() { seen } else { seen.min(up_to(reader)) };
                if seen > count && writers[seen - 1] != later {
                    count = seen;
                }
            }
            if count > 0 {
                let earlier = writers[count - 1];
                if !latest.iter().any(|&other| self.is_before(graph, earlier, other)) {
                    latest.retain(|&other| !self.is_before(graph, other, earlier));
                    latest.push(earlier);
                }
            }
        }
        for earlier in latest {
            self.learn(graph, earlier, later, found);
        }
        Ok(())
    }

    /// Whether it is known, for two writers of a key, that the one comes before the other.
    fn is_before(&self, graph: &Graph, earlier: u32, later: u32) -> bool {
        let node = graph.shape.overwriter(earlier);
        self.reaches(graph, node, earlier, graph.shape.commit(later))
    }

    fn reaches(&self, graph: &Graph, node: u32, txn: u32, to: u32) -> bool {
        let reached = self.clocks.of(to).get(self.chains.chain[txn as usize] as usize);
        reached.is_some_and(|&reached| reached >= stamp(&self.chains, graph, node, txn))
    }

    fn learn(&mut self, graph: &Graph, earlier: u32, later: u32, found: &mut Vec<Arc>) {
        if self.known.contains(&(earlier, later)) {
            return;
        }
        let is_new = |arc: &Arc| match (arc.tag, graph.shape.txn(arc.from)) {
            (Tag::Overwrote(_), Some(txn)) => !self.reaches(graph, arc.from, txn, arc.to),
            (_, Some(txn)) => !self.reaches(graph, arc.from, txn, arc.to),
            // Of many readers only some are looked at, which costs no more than an arc too many.
            (_, None) => {
                graph.into.of(arc.from).iter().take(8).any(|&place| {
                    let reader = graph.arcs[place as usize].from;
                    let txn = graph.shape.txn(reader);
                    !txn.is_some_and(|txn| self.reaches(graph, reader, txn, arc.to))
                }) || graph.into.of(arc.from).len() > 8
            }
        };
        let cause = Cause::Fact(self.facts.len() as u32);
        let arcs: Vec<Arc> =
            graph.decided(self.instance, earlier, later, cause).into_iter().filter(is_new).collect();
        if !arcs.is_empty() {
            self.known.insert((earlier, later));
            self.facts.push(Fact { earlier, later, arcs_before: graph.arcs.len() as u32 });
            found.extend(arcs);
        }
    }
}
