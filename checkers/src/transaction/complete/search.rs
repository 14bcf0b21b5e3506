//! The search: which of two writers of a key came first, wherever that matters, so that no cycle results.
//!
//! A *choice* is a pair of transactions that wrote a common key; its two ways are the two orders, with the
//! arcs that each of them brings. There are as many pairs as the square of a key's writers, and nearly all
//! of them never matter; so choices are made when the order at hand turns out to be wrong about one, and
//! not before. The order is a topological one of everything known and tried ([`Topology`]). Once all choices
//! are made, it is inspected: if every read sees what it should, the order is the proof; if not, each place
//! where it is wrong is a pair that is no choice yet. Memory is bounded by what was wrong so far, and
//! transactions whose order is never wrong take no part: there is no need to split the history into
//! strongly connected components, since what has no choices costs nothing.
//!
//! A choice goes first the way that the order at hand has it already, if one does; this works like a saved
//! phase, and since the order began as a guess that is nearly right, so are most choices. Otherwise both ways
//! are tested for a path that makes them impossible, which makes the other one a consequence; if neither is,
//! the way is tried that moves less.
//!
//! The solver is our own since what is needed of one is unusual: choices that come while it runs, decisions by
//! an order that changes, and lemmas that keep the cycle that they stand for. Of the crates that were
//! looked at, varisat, splr and rustsat have no place for a theory, and batsat, which has one (lemmas,
//! propagation, a final check), lets a theory neither pick the way of a decision from its own state nor
//! find its lemmas in the proof.

use super::arrange::{Inspector, Pair};
use super::cdcl::{ClauseId, Literal, Solver, negated};
use super::graph::{Arc, Cause, Graph};
use super::instance::Instance;
use super::meter::Meter;
use super::topology::{Topology, choice_of};
use crate::value::FastBuild;
use crate::verdict::Reason;
use hashbrown::HashMap;

/// Conflicts in the shortest run between two restarts.
const RESTART_UNIT: u64 = 64;

/// How a search ends.
pub(super) enum Outcome {
    /// By node: its place in an order that explains everything.
    Explained(Vec<u32>),
    /// A clause that is false whatever is chosen.
    Refuted(ClauseId),
}

/// A search under way.
pub(super) struct Search<'a> {
    instance: &'a Instance,
    graph: &'a Graph,
    topology: Topology<'a>,
    inspector: Inspector<'a>,
    pub(super) solver: Solver,
    /// By choice.
    pairs: Vec<Pair>,
    /// By literal: where its arcs begin in `arcs`; they end where the next one's begin.
    arcs_from: Vec<u32>,
    arcs: Vec<Arc>,
    choice_of: HashMap<Pair, u32, FastBuild>,
    /// By place in the solver's trail, as far as its arcs were added: arcs that were there before.
    marks: Vec<u32>,
    /// Literals known for good that were found below some decision, to be set when there is none.
    units: Vec<(Literal, ClauseId)>,
    restarts: u64,
    conflicts_until_restart: u64,
    /// By key, and by the inspection: whether it was marked to be looked at.
    is_marked: Vec<bool>,
    held_bytes: usize,
}

impl<'a> Search<'a> {
    /// `position` is the place of each node in an order of the known arcs.
    pub(super) fn new(instance: &'a Instance, graph: &'a Graph, position: Vec<u32>) -> Search<'a> {
        let mut topology = Topology::new(graph, position);
        topology.moved = (0..graph.shape.txn_nodes()).collect();
        Search {
            instance,
            graph,
            topology,
            inspector: Inspector::new(instance, graph),
            solver: Solver::new(),
            pairs: Vec::new(),
            arcs_from: vec![0],
            arcs: Vec::new(),
            choice_of: HashMap::default(),
            marks: Vec::new(),
            units: Vec::new(),
            restarts: 0,
            conflicts_until_restart: RESTART_UNIT,
            is_marked: vec![false; instance.initial.len()],
            held_bytes: 0,
        }
    }

    /// Goes on to the end.
    pub(super) fn run(&mut self, meter: &mut Meter) -> Result<Outcome, Reason> {
        loop {
            if let Some(conflict) = self.propagate(meter)? {
                if !self.solver.learn(conflict) {
                    return Ok(Outcome::Refuted(conflict));
                }
                self.rewind(self.solver.trail.len() - 1);
                self.conflicts_until_restart -= 1;
                if self.conflicts_until_restart == 0 {
                    self.restart();
                }
                self.account(meter)?;
            } else if let Some(choice) = self.solver.next_open() {
                self.decide(choice, meter)?;
            } else if !self.refine(meter)? {
                return Ok(Outcome::Explained(self.topology.position().to_vec()));
            }
        }
    }

    /// The two transactions of a literal, the earlier one first.
    pub(super) fn pair(&self, literal: Literal) -> Pair {
        let (first, second) = self.pairs[(literal / 2) as usize];
        if literal.is_multiple_of(2) { (first, second) } else { (second, first) }
    }

    /// Number of choices.
    pub(super) fn choices(&self) -> usize {
        self.pairs.len()
    }

    fn arcs(&self, literal: Literal) -> std::ops::Range<usize> {
        self.arcs_from[literal as usize] as usize..self.arcs_from[literal as usize + 1] as usize
    }

    /// Follows what clauses and cycles imply, and returns a clause that is false.
    fn propagate(&mut self, meter: &mut Meter) -> Result<Option<ClauseId>, Reason> {
        if self.solver.level() == 0
            && let Some(conflict) = self.set_units()
        {
            return Ok(Some(conflict));
        }
        loop {
            let mut steps = 1;
            let conflict = self.solver.propagate(&mut steps);
            meter.spend(steps)?;
            if conflict.is_some() {
                return Ok(conflict);
            }
            let Some(&literal) = self.solver.trail.get(self.marks.len()) else { return Ok(None) };
            self.marks.push(self.topology.len() as u32);
            for place in self.arcs(literal) {
                let arc = self.arcs[place];
                if !self.topology.add(arc, meter)? {
                    return self.lemma(arc, meter);
                }
            }
        }
    }

    /// The clause that the choices on the cycle that `arc` closes cannot all be made; none if it closes none.
    fn lemma(&mut self, arc: Arc, meter: &mut Meter) -> Result<Option<ClauseId>, Reason> {
        let Some(mut cycle) = self.topology.path(arc.to, arc.from, meter)? else { return Ok(None) };
        cycle.push(arc);
        let mut literals: Vec<Literal> = cycle.iter().filter_map(choice_of).map(negated).collect();
        literals.sort_unstable();
        literals.dedup();
        Ok(Some(self.solver.add_lemma(&literals, &cycle)))
    }

    fn set_units(&mut self) -> Option<ClauseId> {
        while let Some((literal, lemma)) = self.units.pop() {
            if self.solver.is_true(negated(literal)) {
                return Some(lemma);
            }
            if !self.solver.is_true(literal) {
                self.solver.imply(literal, lemma);
            }
        }
        None
    }

    /// Takes away the arcs of literals that are no longer in the trail, of which so many are left.
    fn rewind(&mut self, trail_len: usize) {
        if let Some(&arcs) = self.marks.get(trail_len) {
            self.topology.truncate(arcs as usize);
            self.marks.truncate(trail_len);
        }
    }

    fn restart(&mut self) {
        self.restarts += 1;
        self.conflicts_until_restart = RESTART_UNIT * luby(self.restarts);
        self.solver.back_to(0);
        self.rewind(self.solver.trail.len());
    }

    fn decide(&mut self, choice: u32, meter: &mut Meter) -> Result<(), Reason> {
        let ways = [2 * choice, 2 * choice + 1];
        let moved = ways.map(|way| {
            let arcs = self.arcs[self.arcs(way)].iter();
            arcs.filter(|arc| self.topology.disagrees(arc)).map(|arc| self.topology.distance(arc) + 1).max()
        });
        let way = match moved {
            [None, _] => ways[0],
            [_, None] => ways[1],
            [Some(first), Some(second)] => {
                for way in ways {
                    if let Some(lemma) = self.impossible(way, meter)? {
                        self.imply(negated(way), lemma);
                        return Ok(());
                    }
                }
                if first <= second { ways[0] } else { ways[1] }
            }
        };
        self.solver.decide(way);
        Ok(())
    }

    /// A clause because of which a literal cannot be true as things stand, if a single arc shows it.
    fn impossible(&mut self, literal: Literal, meter: &mut Meter) -> Result<Option<ClauseId>, Reason> {
        for place in self.arcs(literal) {
            let arc = self.arcs[place];
            if self.topology.disagrees(&arc) && self.topology.reaches(arc.to, arc.from, meter)? {
                return self.lemma(arc, meter);
            }
        }
        Ok(None)
    }

    fn imply(&mut self, literal: Literal, lemma: ClauseId) {
        if self.solver.level() > 0 && self.solver.literals(lemma).len() == 1 {
            self.units.push((literal, lemma));
        }
        self.solver.imply(literal, lemma);
    }

    /// Looks at the keys of whatever has moved, and makes a choice of every pair that the order is wrong
    /// about. False if there is none.
    fn refine(&mut self, meter: &mut Meter) -> Result<bool, Reason> {
        let mut keys = Vec::new();
        for node in std::mem::take(&mut self.topology.moved) {
            let Some(txn) = self.graph.shape.txn(node) else { continue };
            let written = self.instance.writes.of(txn).iter().map(|write| write.key);
            let read = self.instance.reads.of(txn).iter();
            let read = read.map(|&version| self.instance.versions[version as usize].key);
            for key in written.chain(read) {
                if !std::mem::replace(&mut self.is_marked[key as usize], true) {
                    keys.push(key);
                }
            }
        }
        keys.sort_unstable();
        let mut found = Vec::new();
        for &key in &keys {
            self.is_marked[key as usize] = false;
            self.inspector.look(key, self.topology.position(), &mut found, meter)?;
        }
        let before = self.pairs.len();
        for &pair in &found {
            self.add_choice(pair);
        }
        assert!(
            found.is_empty() || self.pairs.len() > before,
            "an order is never wrong about a choice that was made"
        );
        meter.report(self.solver.trail.len(), self.pairs.len(), self.solver.conflicts);
        self.account(meter)?;
        Ok(!found.is_empty())
    }

    fn add_choice(&mut self, (a, b): Pair) {
        let (first, second) = (a.min(b), a.max(b));
        if self.choice_of.contains_key(&(first, second)) {
            return;
        }
        let choice = self.solver.new_choice();
        self.choice_of.insert((first, second), choice);
        self.pairs.push((first, second));
        for (earlier, later, way) in [(first, second, 2 * choice), (second, first, 2 * choice + 1)] {
            self.arcs.extend(self.graph.decided(self.instance, earlier, later, Cause::Choice(way)));
            self.arcs_from.push(self.arcs.len() as u32);
        }
    }

    /// Takes from the budget what is held now.
    fn account(&mut self, meter: &mut Meter) -> Result<(), Reason> {
        let bytes = self.solver.bytes()
            + self.topology.bytes()
            + self.arcs.capacity() * size_of::<Arc>()
            + self.pairs.len() * 48;
        meter.release(self.held_bytes);
        self.held_bytes = 0;
        meter.hold(bytes)?;
        self.held_bytes = bytes;
        Ok(())
    }
}

/// The sequence 1, 1, 2, 1, 1, 2, 4, … (Luby, Sinclair & Zuckerman 1993), from 1.
fn luby(mut at: u64) -> u64 {
    loop {
        let power = u64::BITS - at.leading_zeros();
        if at == (1 << power) - 1 {
            return 1 << (power - 1);
        }
        at -= (1 << (power - 1)) - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::luby;

    #[test]
    fn runs_between_restarts_are_lubys() {
        let runs: Vec<u64> = (1..=15).map(luby).collect();
        assert_eq!(runs, [1, 1, 2, 1, 1, 2, 4, 1, 1, 2, 1, 1, 2, 4, 8]);
    }
}
