//! Conflict-driven clause learning over choices (Marques-Silva & Sakallah, IEEE Trans. Computers 48, 1999;
//! Moskewicz et al., Chaff, DAC 2001; Eén & Sörensson, SAT 2003), and the proof of what it finds.
//!
//! What a choice means is not known here: [`super::search`] adds a *lemma* for each set of choices that the
//! order of events forbids. Learned clauses follow from lemmas and clauses before them by reverse unit
//! propagation (Goldberg & Novikov, DATE 2003); each remembers from which, so that a refutation can be cut
//! down to what it needs. Clauses that are no longer watched are kept for that reason.

use super::graph::Arc;
use super::instance::NONE;

/// One way of a choice: twice the choice's number, plus one for the second way.
pub(super) type Literal = u32;

/// Number of a clause: lemmas and learned ones, in the order in which they came.
pub(super) type ClauseId = u32;

/// The other way.
pub(super) fn negated(literal: Literal) -> Literal {
    literal ^ 1
}

/// Where a clause comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A cycle: see [`Solver::arcs`].
    Lemma,
    /// A conflict.
    Learned,
    /// A single literal that other clauses imply without any choice.
    Implied,
}

#[derive(Clone, Copy, Debug)]
struct Clause {
    origin: Origin,
    is_watched: bool,
    /// Levels that its literals were on when it was learned: fewer is better (Audemard & Simon, 2009).
    levels: u32,
    literals: (u32, u32),
    /// Of a lemma its arcs, of others the clauses that they follow from.
    because: (u32, u32),
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    clause: ClauseId,
    /// Another literal of the clause: if it is true, nothing needs to be looked at.
    other: Literal,
}

/// Learned clauses that are watched at first; the limit grows with every cut.
const WATCHED_MAX: usize = 4000;

/// A search's choices so far, and what it has learned.
#[derive(Default)]
pub(super) struct Solver {
    /// By literal.
    is_true: Vec<bool>,
    /// By choice.
    level: Vec<u32>,
    reason: Vec<ClauseId>,
    /// By choice decided for good: the clause of one literal that says so.
    unit: Vec<ClauseId>,
    seen: Vec<bool>,
    queue: Activity,
    pub(super) trail: Vec<Literal>,
    /// The length of the trail before each decision.
    limits: Vec<u32>,
    /// How much of the trail clauses have been told of.
    head: usize,
    clauses: Vec<Clause>,
    literals: Vec<Literal>,
    arcs: Vec<Arc>,
    antecedents: Vec<ClauseId>,
    watches: Vec<Vec<Watch>>,
    watched: Vec<ClauseId>,
    watched_max: usize,
    pub(super) conflicts: u64,
}

impl Solver {
    pub(super) fn new() -> Solver {
        Solver { watched_max: WATCHED_MAX, ..Solver::default() }
    }

    /// Adds a choice.
    pub(super) fn new_choice(&mut self) -> u32 {
        let choice = self.level.len() as u32;
        self.is_true.extend([false; 2]);
        self.level.push(0);
        self.reason.push(NONE);
        self.unit.push(NONE);
        self.seen.push(false);
        self.watches.extend([Vec::new(), Vec::new()]);
        self.queue.add(choice);
        choice
    }

    /// Number of choices.
    pub(super) fn choices(&self) -> usize {
        self.level.len()
    }

    /// Number of decisions in force.
    pub(super) fn level(&self) -> u32 {
        self.limits.len() as u32
    }

    pub(super) fn is_true(&self, literal: Literal) -> bool {
        self.is_true[literal as usize]
    }

    pub(super) fn is_open(&self, choice: u32) -> bool {
        !self.is_true(2 * choice) && !self.is_true(2 * choice + 1)
    }

    /// The open choice that was in most conflicts lately; of those the oldest.
    pub(super) fn next_open(&mut self) -> Option<u32> {
        loop {
            let choice = self.queue.pop()?;
            if self.is_open(choice) {
                return Some(choice);
            }
        }
    }

    /// Tries a literal.
    pub(super) fn decide(&mut self, literal: Literal) {
        self.limits.push(self.trail.len() as u32);
        self.set(literal, NONE);
    }

    /// Makes a literal true that `reason` implies.
    pub(super) fn imply(&mut self, literal: Literal, reason: ClauseId) {
        self.set(literal, reason);
        if self.limits.is_empty() {
            let unit = if self.literals(reason).len() == 1 {
                reason
            } else {
                let mut because = vec![reason];
                let others = self.literals(reason).iter().filter(|other| **other != literal);
                because.extend(others.map(|other| self.unit[(other / 2) as usize]));
                self.add_clause(Origin::Implied, &[literal], &because)
            };
            self.unit[(literal / 2) as usize] = unit;
        }
    }

    fn set(&mut self, literal: Literal, reason: ClauseId) {
        let choice = (literal / 2) as usize;
        self.is_true[literal as usize] = true;
        self.level[choice] = self.limits.len() as u32;
        self.reason[choice] = reason;
        self.trail.push(literal);
    }

    /// Takes back decisions until `level` of them are left.
    pub(super) fn back_to(&mut self, level: u32) {
        let Some(&len) = self.limits.get(level as usize) else { return };
        for literal in self.trail.drain(len as usize..) {
            self.is_true[literal as usize] = false;
            self.queue.add(literal / 2);
        }
        self.limits.truncate(level as usize);
        self.head = self.head.min(self.trail.len());
    }

    /// Adds the clause that the choices on a cycle of `arcs` cannot all be made. The literals are the other
    /// ways of those choices.
    pub(super) fn add_lemma(&mut self, literals: &[Literal], arcs: &[Arc]) -> ClauseId {
        let id = self.add_clause(Origin::Lemma, literals, &[]);
        self.clauses[id as usize].because = (self.arcs.len() as u32, arcs.len() as u32);
        self.arcs.extend_from_slice(arcs);
        id
    }

    fn add_clause(&mut self, origin: Origin, literals: &[Literal], because: &[ClauseId]) -> ClauseId {
        let id = self.clauses.len() as ClauseId;
        self.clauses.push(Clause {
            origin,
            is_watched: false,
            levels: 0,
            literals: (self.literals.len() as u32, literals.len() as u32),
            because: (self.antecedents.len() as u32, because.len() as u32),
        });
        self.literals.extend_from_slice(literals);
        self.antecedents.extend_from_slice(because);
        id
    }

    pub(super) fn origin(&self, id: ClauseId) -> Origin {
        self.clauses[id as usize].origin
    }

    pub(super) fn literals(&self, id: ClauseId) -> &[Literal] {
        let (start, len) = self.clauses[id as usize].literals;
        &self.literals[start as usize..(start + len) as usize]
    }

    /// The cycle of a lemma.
    pub(super) fn arcs(&self, id: ClauseId) -> &[Arc] {
        let (start, len) = self.clauses[id as usize].because;
        &self.arcs[start as usize..(start + len) as usize]
    }

    /// What a clause that is no lemma follows from.
    fn antecedents(&self, id: ClauseId) -> &[ClauseId] {
        let (start, len) = self.clauses[id as usize].because;
        &self.antecedents[start as usize..(start + len) as usize]
    }

    /// Follows what clauses imply, and returns one that is false.
    pub(super) fn propagate(&mut self, steps: &mut usize) -> Option<ClauseId> {
        while self.head < self.trail.len() {
            let falsified = negated(self.trail[self.head]);
            self.head += 1;
            let mut watches = std::mem::take(&mut self.watches[falsified as usize]);
            let mut conflict = None;
            *steps += 1 + watches.len();
            watches.retain(|watch| conflict.is_some() || self.keeps(*watch, falsified, &mut conflict));
            // New watches never go to the list that was taken, for its literal is false.
            self.watches[falsified as usize] = watches;
            if conflict.is_some() {
                return conflict;
            }
        }
        None
    }

    /// Looks at a clause one of whose watched literals has become false. False if another is watched now.
    fn keeps(&mut self, watch: Watch, falsified: Literal, conflict: &mut Option<ClauseId>) -> bool {
        if self.is_true(watch.other) {
            return true;
        }
        let clause = self.clauses[watch.clause as usize];
        if !clause.is_watched {
            return false;
        }
        let (start, len) = (clause.literals.0 as usize, clause.literals.1 as usize);
        if self.literals[start] == falsified {
            self.literals.swap(start, start + 1);
        }
        let first = self.literals[start];
        let next = (start + 2..start + len).find(|&at| !self.is_true(negated(self.literals[at])));
        if self.is_true(first) {
            return true;
        }
        if let Some(at) = next {
            self.literals.swap(start + 1, at);
            let watch = Watch { clause: watch.clause, other: first };
            self.watches[self.literals[start + 1] as usize].push(watch);
            return false;
        }
        if self.is_true(negated(first)) {
            *conflict = Some(watch.clause);
        } else {
            self.imply(first, watch.clause);
        }
        true
    }

    /// Learns from a clause that is false: goes back to where what was learned implies a literal, and implies
    /// it, so that the trail is then one longer than what is left of it. False if the clause is false without
    /// any decision; nothing is learned then, for it refutes everything.
    pub(super) fn learn(&mut self, conflict: ClauseId) -> bool {
        self.conflicts += 1;
        let levels = self.literals(conflict).iter().map(|literal| self.level[(*literal / 2) as usize]);
        match levels.max() {
            None | Some(0) => return false,
            Some(level) => self.back_to(level),
        }
        let (mut literals, because) = self.first_uip(conflict);
        let level_of = |literal: &Literal| self.level[(*literal / 2) as usize];
        let mut levels: Vec<u32> = literals.iter().map(level_of).collect();
        // The second literal is one of the highest level but the first's own, so that the two are watched.
        if let Some(at) = (1..literals.len()).max_by_key(|&at| levels[at]) {
            literals.swap(1, at);
            levels.swap(1, at);
        }
        let back_to = levels.get(1).copied().unwrap_or(0);
        levels.sort_unstable();
        levels.dedup();
        let id = self.add_clause(Origin::Learned, &literals, &because);
        self.clauses[id as usize].levels = levels.len() as u32;
        self.back_to(back_to);
        if let [first, second, ..] = literals[..] {
            self.clauses[id as usize].is_watched = true;
            self.watches[first as usize].push(Watch { clause: id, other: second });
            self.watches[second as usize].push(Watch { clause: id, other: first });
            self.watched.push(id);
        }
        self.imply(literals[0], id);
        self.queue.decay();
        if self.watched.len() > self.watched_max {
            self.forget();
        }
        true
    }

    /// The clause of the first unique implication point, that point's literal first, and what it follows
    /// from.
    fn first_uip(&mut self, conflict: ClauseId) -> (Vec<Literal>, Vec<ClauseId>) {
        let current = self.level();
        let mut learned: Vec<Literal> = vec![0];
        let mut because: Vec<ClauseId> = Vec::new();
        let mut met: Vec<u32> = Vec::new();
        let (mut clause, mut implied, mut on_level) = (conflict, NONE, 0);
        let mut at = self.trail.len();
        loop {
            because.push(clause);
            let (start, len) = self.clauses[clause as usize].literals;
            for place in start..start + len {
                let literal = self.literals[place as usize];
                let choice = literal / 2;
                if literal == implied || std::mem::replace(&mut self.seen[choice as usize], true) {
                    continue;
                }
                met.push(choice);
                match self.level[choice as usize] {
                    0 => because.push(self.unit[choice as usize]),
                    level => {
                        self.queue.bump(choice);
                        if level == current { on_level += 1 } else { learned.push(literal) }
                    }
                }
            }
            loop {
                at -= 1;
                implied = self.trail[at];
                if self.seen[(implied / 2) as usize] {
                    break;
                }
            }
            on_level -= 1;
            if on_level == 0 {
                learned[0] = negated(implied);
                break;
            }
            clause = self.reason[(implied / 2) as usize];
        }
        self.drop_implied(&mut learned, &mut because);
        met.iter().for_each(|&choice| self.seen[choice as usize] = false);
        (learned, because)
    }

    /// Drops literals that the others imply by one clause.
    fn drop_implied(&self, learned: &mut Vec<Literal>, because: &mut Vec<ClauseId>) {
        let uip = learned[0];
        learned.retain(|&literal| {
            let reason = self.reason[(literal / 2) as usize];
            if literal == uip || reason == NONE {
                return true;
            }
            let others = || self.literals(reason).iter().filter(|other| **other != negated(literal));
            let is_met = |other: &Literal| self.seen[(*other / 2) as usize];
            if !others().all(|other| is_met(other) || self.level[(*other / 2) as usize] == 0) {
                return true;
            }
            because.push(reason);
            because.extend(others().map(|other| self.unit_at_first_level(*other)).filter(|id| *id != NONE));
            false
        });
    }

    fn unit_at_first_level(&self, literal: Literal) -> ClauseId {
        let choice = (literal / 2) as usize;
        if self.level[choice] == 0 { self.unit[choice] } else { NONE }
    }

    /// Stops watching the worse half of the learned clauses.
    fn forget(&mut self) {
        let clauses = &self.clauses;
        let worth = |id: &ClauseId| {
            let clause = &clauses[*id as usize];
            (clause.levels, clause.literals.1, std::cmp::Reverse(*id))
        };
        self.watched.sort_unstable_by_key(worth);
        let kept = self.watched.len() / 2;
        for id in self.watched.drain(kept..) {
            self.clauses[id as usize].is_watched = false;
        }
        self.watched_max += WATCHED_MAX / 8;
    }

    /// The clauses that a refutation needs, in their order: those that `conflict`, false before any decision,
    /// follows from.
    pub(super) fn needed(&self, conflict: ClauseId) -> Vec<ClauseId> {
        let mut needed = vec![false; self.clauses.len()];
        let mut open = vec![conflict];
        open.extend(self.literals(conflict).iter().map(|literal| self.unit[(literal / 2) as usize]));
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut needed[id as usize], true) && self.origin(id) != Origin::Lemma {
                open.extend_from_slice(self.antecedents(id));
            }
        }
        (0..self.clauses.len() as ClauseId).filter(|id| needed[*id as usize]).collect()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.clauses.capacity() * size_of::<Clause>()
            + (self.literals.capacity() + self.antecedents.capacity()) * 4
            + self.arcs.capacity() * size_of::<Arc>()
            + self.choices() * 96
            + self.watched.len() * 2 * size_of::<Watch>()
    }
}

/// The activity of each choice, and the choices in its order (VSIDS; Moskewicz et al. 2001).
#[derive(Default)]
struct Activity {
    of: Vec<f64>,
    step: f64,
    heap: Vec<u32>,
    /// By choice: where in the heap it is, or [`NONE`].
    place: Vec<u32>,
}

const DECAY: f64 = 0.95;
const RESCALE_AT: f64 = 1e100;

impl Activity {
    /// Puts a choice into the queue, new or not.
    fn add(&mut self, choice: u32) {
        if choice as usize == self.of.len() {
            self.of.push(0.0);
            self.place.push(NONE);
        }
        if self.place[choice as usize] == NONE {
            self.place[choice as usize] = self.heap.len() as u32;
            self.heap.push(choice);
            self.up(self.heap.len() - 1);
        }
    }

    fn pop(&mut self) -> Option<u32> {
        let top = *self.heap.first()?;
        let last = self.heap.pop()?;
        self.place[top as usize] = NONE;
        if top != last {
            self.heap[0] = last;
            self.place[last as usize] = 0;
            self.down(0);
        }
        Some(top)
    }

    fn bump(&mut self, choice: u32) {
        if self.step == 0.0 {
            self.step = 1.0;
        }
        self.of[choice as usize] += self.step;
        if self.of[choice as usize] > RESCALE_AT {
            self.of.iter_mut().for_each(|activity| *activity /= RESCALE_AT);
            self.step /= RESCALE_AT;
        }
        if self.place[choice as usize] != NONE {
            self.up(self.place[choice as usize] as usize);
        }
    }

    fn decay(&mut self) {
        self.step /= DECAY;
    }

    fn goes_first(&self, a: u32, b: u32) -> bool {
        let (x, y) = (self.of[a as usize], self.of[b as usize]);
        x > y || x == y && a < b
    }

    fn up(&mut self, mut at: usize) {
        while at > 0 && self.goes_first(self.heap[at], self.heap[(at - 1) / 2]) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn down(&mut self, mut at: usize) {
        loop {
            let children = [2 * at + 1, 2 * at + 2];
            let first = children
                .into_iter()
                .filter(|&child| child < self.heap.len())
                .reduce(|a, b| if self.goes_first(self.heap[a], self.heap[b]) { a } else { b });
            match first {
                Some(child) if self.goes_first(self.heap[child], self.heap[at]) => {
                    self.swap(at, child);
                    at = child;
                }
                _ => return,
            }
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.place[self.heap[a] as usize] = a as u32;
        self.place[self.heap[b] as usize] = b as u32;
    }
}
