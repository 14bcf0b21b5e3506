//! From arcs to edges: what the engine found, in the words of [`super::refutation`].

use super::cdcl::{ClauseId, Origin};
use super::graph::{Arc, Cause, Graph, Tag};
use super::instance::{Instance, NONE};
use super::meter::Meter;
use super::paths::{early_path, fact_of};
use super::refutation::{Argument, Choice};
use super::saturate::Fact;
use super::search::Search;
use crate::transaction::proof::{Because, Edge, Why};
use crate::transaction::{Status, Transactions, VersionId};
use crate::verdict::Reason;
use std::collections::BTreeSet;

/// Knows what arcs mean.
pub(super) struct Explainer<'a> {
    pub(super) txns: &'a Transactions,
    pub(super) instance: &'a Instance,
    pub(super) graph: &'a Graph,
    pub(super) facts: &'a [Fact],
    /// The place of each node in an order of the arcs that all facts rest on.
    pub(super) position: &'a [u32],
    /// What the literals mean, if there was a search.
    pub(super) search: Option<&'a Search<'a>>,
}

impl Explainer<'_> {
    /// The argument whose only lemma that is not about a fact is a cycle of known arcs.
    pub(super) fn cycle(&self, cycle: Vec<Arc>, meter: &mut Meter) -> Result<Argument, Reason> {
        self.argument(vec![cycle], Vec::new(), meter)
    }

    /// The argument that a search ended with.
    pub(super) fn search(&self, conflict: ClauseId, meter: &mut Meter) -> Result<Argument, Reason> {
        let Some(search) = self.search else { return self.argument(Vec::new(), Vec::new(), meter) };
        let (mut cycles, mut learned) = (Vec::new(), Vec::new());
        for id in search.solver.needed(conflict) {
            let literals = search.solver.literals(id);
            meter.spend(1 + literals.len())?;
            match search.solver.origin(id) {
                Origin::Lemma => cycles.push(search.solver.arcs(id).to_vec()),
                Origin::Learned => {
                    learned.push(literals.iter().map(|&literal| self.choice(literal)).collect())
                }
                // Propagation finds these without being told.
                Origin::Implied => {}
            }
        }
        self.argument(cycles, learned, meter)
    }

    /// Adds the cycles that show the facts which the others rest on.
    fn argument(
        &self,
        mut cycles: Vec<Vec<Arc>>,
        learned: Vec<Vec<Choice>>,
        meter: &mut Meter,
    ) -> Result<Argument, Reason> {
        let mut shown: BTreeSet<u32> = BTreeSet::new();
        let mut at = 0;
        while at < cycles.len() {
            let facts: Vec<u32> = cycles[at].iter().filter_map(fact_of).collect();
            for fact in facts {
                if shown.insert(fact) {
                    cycles.push(self.show(fact, meter)?);
                }
            }
            at += 1;
        }
        // What rests on the least comes first, as one would tell it.
        cycles.reverse();
        let lemmas: Vec<Vec<Edge>> = cycles.iter().map(|arcs| self.edges(arcs)).collect();
        let is_certain = |lemma: &&Vec<Edge>| lemma.iter().all(|edge| Choice::of(edge, self.txns).is_none());
        Ok(match lemmas.iter().find(is_certain) {
            Some(cycle) => Argument::Cycle(cycle.clone()),
            None => Argument::Cases { lemmas, learned },
        })
    }

    /// The cycle that there would be if a fact were the other way round.
    fn show(&self, fact: u32, meter: &mut Meter) -> Result<Vec<Arc>, Reason> {
        let Fact { earlier, later, arcs_before } = self.facts[fact as usize];
        let (instance, shape) = (self.instance, self.graph.shape);
        let mut path =
            |from: u32, to: u32| early_path(self.graph, self.position, arcs_before, from, to, meter);
        let cause = Cause::Against(fact);
        let (from, to) = (shape.commit(later), shape.overwriter(earlier));
        if let Some(mut cycle) = path(to, from)? {
            cycle.push(Arc { from, to, tag: Tag::Overwrote(cause) });
            return Ok(cycle);
        }
        let to = shape.commit(earlier);
        for (write, _) in instance.common_writes(later, earlier) {
            for &reader in instance.readers.of(write.version).iter().filter(|reader| **reader != earlier) {
                let from = shape.start(reader);
                if let Some(mut cycle) = path(to, from)? {
                    cycle.push(Arc { from, to, tag: Tag::Missed(cause) });
                    return Ok(cycle);
                }
            }
        }
        unreachable!("a fact is only learned if a path shows it")
    }

    fn choice(&self, literal: u32) -> Choice {
        let (earlier, later) = self.search.map_or((0, 0), |search| search.pair(literal));
        Choice { earlier: self.instance.txns[earlier as usize], later: self.instance.txns[later as usize] }
    }

    /// The edges of a cycle of arcs.
    fn edges(&self, cycle: &[Arc]) -> Vec<Edge> {
        let shape = self.graph.shape;
        let begin = cycle.iter().position(|arc| shape.txn(arc.from).is_some()).unwrap_or(0);
        let mut edges = Vec::new();
        let mut at = 0;
        while at < cycle.len() {
            let first = &cycle[(begin + at) % cycle.len()];
            let mut last = first;
            at += 1;
            // By way of auxiliary nodes to the next transaction.
            while shape.txn(last.to).is_none() && at < cycle.len() {
                last = &cycle[(begin + at) % cycle.len()];
                at += 1;
            }
            let (Some(from), Some(to)) = (shape.txn(first.from), shape.txn(last.to)) else { continue };
            if let Some(why) = self.why(from, to, last) {
                edges.push(Edge {
                    from: self.instance.txns[from as usize],
                    to: self.instance.txns[to as usize],
                    why,
                });
            }
        }
        edges
    }

    /// What an arc into `to` says of `from`, from which it comes, if only by way of an auxiliary node.
    fn why(&self, from: u32, to: u32, arc: &Arc) -> Option<Why> {
        let versions = &self.instance.versions;
        match arc.tag {
            Tag::Own | Tag::Collect => None,
            Tag::Order => Some(self.order(from, to)),
            Tag::Read => {
                let read = self.instance.reads.of(to);
                let version = read.iter().find(|version| versions[**version as usize].writer == from)?;
                Some(Why::Read { version: versions[*version as usize].id })
            }
            Tag::Missed(cause) => {
                let earlier = self.pair(cause).map(|pair| pair.0);
                let (seen, after) = self.instance.reads.of(from).iter().find_map(|&seen| {
                    let version = versions[seen as usize];
                    let write = self.instance.write_of(to, version.key)?;
                    let fits = match cause {
                        Cause::Initial => version.writer == NONE,
                        Cause::ReadThenWrote => write.seen == seen,
                        Cause::Listed => self.instance.listed_before[write.version as usize] == seen,
                        _ => Some(version.writer) == earlier,
                    };
                    fits.then_some((version.id, versions[write.version as usize].id))
                })?;
                Some(Why::Missed { seen, after, because: self.because(cause, to, after) })
            }
            Tag::Overwrote(cause) => {
                let (before, after) = self.instance.common_writes(from, to).find(|(before, after)| {
                    cause != Cause::Listed
                        || self.instance.listed_before[after.version as usize] == before.version
                })?;
                let [before, after] = [before, after].map(|write| versions[write.version as usize].id);
                Some(Why::Overwrote { before, after, because: self.because(cause, to, after) })
            }
        }
    }

    /// Session, if that says it, too: it is the simpler reason.
    fn order(&self, from: u32, to: u32) -> Why {
        let [from, to] = [from, to].map(|txn| self.txns.txn(self.instance.txns[txn as usize]));
        if from.session == to.session && from.status == Status::Committed {
            Why::Session
        } else {
            Why::RealTime
        }
    }

    /// Earlier and later of what an arc rests on.
    fn pair(&self, cause: Cause) -> Option<(u32, u32)> {
        let fact = |fact: u32| &self.facts[fact as usize];
        match cause {
            Cause::Initial | Cause::ReadThenWrote | Cause::Listed => None,
            Cause::Fact(id) => Some((fact(id).earlier, fact(id).later)),
            Cause::Against(id) => Some((fact(id).later, fact(id).earlier)),
            Cause::Choice(literal) => self.search.map(|search| search.pair(literal)),
        }
    }

    /// Why the version `after`, which `to` wrote, comes later than another.
    fn because(&self, cause: Cause, to: u32, after: VersionId) -> Because {
        match cause {
            Cause::Initial => Because::Initial,
            Cause::ReadThenWrote => Because::ReadThenWrote { by: self.instance.txns[to as usize] },
            Cause::Fact(_) | Cause::Against(_) | Cause::Choice(_) => Because::Case,
            Cause::Listed => {
                let key = self.txns.version(after).key;
                let reader = self.txns.longest(key).expect("a list says so, and so has a reader").reader;
                if self.txns.listed(key).contains(&after) {
                    Because::List { reader }
                } else {
                    Because::Unread { reader }
                }
            }
        }
    }
}
