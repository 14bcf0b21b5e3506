//! Just-in-time linearization: the set of all configurations that explain the history so far.
//!
//! Events are taken in order. A *configuration* is a state and the set of open operations that have
//! already taken effect to get there. An invocation opens an operation; a return forces it: every
//! configuration in which it has not taken effect is replaced by those that some sequence of open
//! operations ending in it leads to. When no configuration is left, the history up to that return
//! has no linearization (Lowe 2017, "Testing for linearizability", the just-in-time algorithm; also
//! Knossos' `linear`). Memory depends on the number of configurations, not on the history's length.
//!
//! What keeps the set small, each by an exchange argument that the oracle tests confirm:
//!
//! 1. *Eager pure operations.* An open operation that changes no state (a read, a failed
//!    compare-and-set) takes effect as soon as it is possible; waiting cannot help it.
//! 2. *Equal effects.* Of two open operations with equal actions, the one that must return earlier
//!    goes first; a schedule that does it the other way round can swap them.
//! 3. *Absorbed writes.* An open write `p` may be placed directly before any other write `q`, where
//!    nobody sees it. So when `q` takes effect, every write open then becomes *absorbable*: at its
//!    return it may count as placed just before `q`, at no cost. Placing `p` and then at once `q` is
//!    never tried, for leaving `p` absorbable allows everything that does, and more.
//! 4. *Dominance.* Of two configurations with the same state and the same state-changing operations
//!    placed, one that has placed more pure operations, or has more writes absorbable, or has used
//!    fewer crashed operations, makes the other superfluous.
//! 5. *Crashed operations* never return, so nothing forces them: they are a multiset of equal
//!    effects that have been used, not slots.
//! 6. *Dead ends.* A state from which an operation that is yet to be invoked, and must take effect,
//!    could never be reached again is left out ([`Model::foresight`](crate::model::Model::foresight)).
//!
//! The search first keeps only the most promising configurations at each return (a beam), which
//! finds a linearization of most valid histories fast, and widens the beam whenever the set runs
//! empty after something was left out. Only a run that left nothing out says Invalid.

mod front;
#[cfg(test)]
mod sabotage;

#[cfg(test)]
pub(crate) use sabotage::Sabotage;

use super::bits::Bits;
use super::budget::Budget;
use super::machine::{ActionId, Machine, StateId};
use super::multiset::Multisets;
use super::path::Path;
use super::problem::{Demand, Moment, Op, Problem, moments};
use super::race::{Engine, Finding};
use crate::history::NEVER;
use crate::verdict::Reason;
use front::{Config, Explored, Front, Goal};

/// Beam widths, narrowest first; the last run is not limited.
const WIDTHS: [usize; 4] = [16, 256, 4_096, usize::MAX];
/// A beam run gives up on one return after exploring this many configurations per unit of width.
const EXPLORE_PER_WIDTH: usize = 32;
/// The operation that [`Goal::Nothing`] is about.
const NOBODY: u32 = u32::MAX;
/// Configurations explored to tell which states an operation could have found.
const STATES_EXPLORED_MAX: usize = 1 << 12;
/// Operations that can be open at once: two kinds, 64 slots a word.
pub(crate) const SLOTS_MAX: usize = 64 * 32;

/// An open state-changing operation that will return.
#[derive(Clone, Copy, Debug)]
struct OpenWrite {
    op: u32,
    slot: u16,
    action: ActionId,
    overwrites: bool,
}

/// A kind of crashed operation, and the free operations that are open.
#[derive(Clone, Copy, Debug)]
struct Crashed {
    action: ActionId,
    /// Invoked so far.
    available: u32,
}

/// The search. `W` words are enough for the operations open at once (see [`words_needed`]).
pub(crate) struct Jit<'p, const W: usize> {
    problem: &'p Problem,
    ops: &'p [Op],
    moments: Vec<Moment>,
    machine: Machine<'p>,
    budget: Budget,
    /// Index into [`WIDTHS`].
    width: usize,
    left_out: bool,
    /// Only the answer is wanted, not the order: for weakened histories, which need have none that
    /// could be told ([`Demand::Free`] operations happen any number of times).
    answer_only: bool,
    /// Configurations that one return may explore.
    explore_max: usize,
    next_moment: usize,
    /// Of the return that is being forced.
    position: u32,
    /// The latest return among the operations for whose sake a configuration was left out.
    foreseen: u32,
    placed_deepest: usize,

    configs: Vec<Config<W>>,
    used: Multisets,
    path: Path,

    slot_of: Vec<u16>,
    open_writes: Vec<OpenWrite>,
    write_slots: Bits<W>,
    overwriting_slots: Bits<W>,
    open_pure: Vec<(u16, ActionId)>,
    pure_slots: Bits<W>,
    crashed: Vec<Crashed>,
    free: Vec<(u32, ActionId)>,

    /// Per state: which open pure operations are possible there, valid for one epoch.
    possible: Vec<(u32, Bits<W>)>,
    epoch: u32,

    explored: Explored<W>,
    front: Front<W>,
    work: u64,
    configurations: u64,
    #[cfg(test)]
    sabotage: Option<Sabotage>,
}

/// Whether the engine makes this mistake: never, outside tests.
macro_rules! sabotaged {
    ($jit:expr, $which:ident) => {{
        #[cfg(test)]
        let yes = $jit.sabotage == Some(Sabotage::$which);
        #[cfg(not(test))]
        let yes = false;
        yes
    }};
}

/// Words of slots that `ops` need; `None` if it is more than [`SLOTS_MAX`] slots.
pub(crate) fn words_needed(ops: &[Op], pure: &[bool]) -> Option<usize> {
    let (mut open, mut most) = ([0usize; 2], 0);
    for moment in moments(ops) {
        let op = ops[moment.op()];
        if op.is_pending() || op.demand == Demand::Free {
            continue;
        }
        let kind = &mut open[usize::from(pure[op.action as usize])];
        if moment.is_return() {
            *kind -= 1;
        } else {
            *kind += 1;
            most = most.max(*kind);
        }
    }
    (most <= SLOTS_MAX).then_some(most.div_ceil(64).max(1))
}

impl<'p, const W: usize> Jit<'p, W> {
    /// A search over `ops` (sorted by `inv`), which may be a weaker version of the problem's own.
    pub(crate) fn new(
        problem: &'p Problem,
        ops: &'p [Op],
        mut machine: Machine<'p>,
        budget: Budget,
    ) -> Jit<'p, W> {
        machine.foresee(ops);
        let mut jit = Jit {
            problem,
            ops,
            moments: moments(ops),
            machine,
            budget,
            width: 0,
            left_out: false,
            answer_only: false,
            explore_max: usize::MAX,
            next_moment: 0,
            position: 0,
            foreseen: 0,
            placed_deepest: 0,
            configs: vec![],
            used: Multisets::new(),
            path: Path::default(),
            slot_of: vec![0; ops.len()],
            open_writes: vec![],
            write_slots: Bits::EMPTY,
            overwriting_slots: Bits::EMPTY,
            open_pure: vec![],
            pure_slots: Bits::EMPTY,
            crashed: vec![],
            free: vec![],
            possible: vec![],
            epoch: 0,
            explored: Explored::default(),
            front: Front::default(),
            work: 0,
            configurations: 0,
            #[cfg(test)]
            sabotage: None,
        };
        jit.restart();
        jit
    }

    #[cfg(test)]
    pub(crate) fn sabotaged(mut self, sabotage: Option<Sabotage>) -> Self {
        self.sabotage = sabotage;
        self
    }

    /// Never leaves anything out, so that Invalid names the very return at which it fails.
    pub(crate) fn exact(mut self) -> Self {
        self.width = WIDTHS.len() - 1;
        self
    }

    /// Says whether there is an order, but not which (Valid comes with an empty one), and gives up on
    /// a return that more than `explore_max` configurations do not settle.
    pub(crate) fn without_order(mut self, explore_max: u64) -> Self {
        self.answer_only = true;
        self.explore_max = usize::try_from(explore_max).unwrap_or(usize::MAX);
        self
    }

    /// Begins in any state that some sequence of `actions` leads to, however often each is taken;
    /// `None` if those are more than `states_max`.
    pub(crate) fn starting_after(mut self, actions: &[ActionId], states_max: usize) -> Option<Self> {
        let mut at = 0;
        while at < self.configs.len() {
            let config = self.configs[at];
            for &action in actions {
                let Some(state) = self.machine.step(config.state, action) else { continue };
                if self.configs.iter().all(|known| known.state != state) {
                    self.configs.push(Config { state, ..config });
                }
            }
            at += 1;
            if self.configs.len() > states_max {
                return None;
            }
        }
        Some(self)
    }

    /// Every state that the object can be in between the invocation and the return of the probe,
    /// where `probe` is an interval of positions and not one of the operations; `None` if they are too
    /// many.
    pub(crate) fn states_within(mut self, probe: (u32, u32)) -> Option<Vec<String>> {
        let mut states: Vec<StateId> = vec![];
        loop {
            let moment = self.moments.get(self.next_moment).copied();
            let position = moment.map(|moment| {
                let op = self.ops[moment.op()];
                if moment.is_return() { op.res } else { op.inv }
            });
            // The states just before the first event after the probe's invocation, and so on until
            // the first one after its return.
            if position.is_none_or(|position| position > probe.0) {
                let kept = (self.configs.clone(), self.work);
                self.position = position.map_or(NEVER, |position| position - 1);
                self.next_moment += 1;
                self.explore(NOBODY, Goal::Nothing).ok()?;
                self.next_moment -= 1;
                if self.left_out {
                    return None;
                }
                states.extend(self.explored.queue.iter().map(|config| config.state));
                states.sort_unstable();
                states.dedup();
                (self.configs, self.work) = kept;
            }
            let (Some(moment), Some(position)) = (moment, position) else { break };
            if position > probe.1 {
                break;
            }
            self.next_moment += 1;
            if moment.is_return() {
                self.ret(moment.op()).ok()?;
            } else {
                self.invoke(moment.op());
            }
        }
        Some(states.into_iter().map(|id| self.machine.show(id)).collect())
    }

    /// The operation with whose return the history becomes impossible, after an Invalid: the one that
    /// no configuration survived, or a later one that was foreseen to fail.
    pub(crate) fn failed_op(&self) -> usize {
        let failed = self.moments[self.next_moment - 1].op();
        if self.foreseen <= self.ops[failed].res {
            return failed;
        }
        let is_foreseen = |op: &Op| op.res == self.foreseen && op.demand == Demand::Once;
        self.ops.iter().position(is_foreseen).expect("dead ends are about operations of the history")
    }

    fn restart(&mut self) {
        self.next_moment = 0;
        self.foreseen = 0;
        self.left_out = false;
        self.epoch += 1;
        self.path = Path::default();
        self.configs = vec![Config {
            placed: Bits::EMPTY,
            absorbable: Bits::EMPTY,
            seen: Bits::EMPTY,
            state: Machine::INITIAL,
            used: Multisets::EMPTY,
            path: Path::START,
            unseen_write: false,
        }];
        self.open_writes.clear();
        self.open_pure.clear();
        self.crashed.clear();
        self.free.clear();
        self.write_slots = Bits::EMPTY;
        self.overwriting_slots = Bits::EMPTY;
        self.pure_slots = Bits::EMPTY;
    }

    fn invoke(&mut self, at: usize) {
        let op = self.ops[at];
        let pure = self.problem.pure[op.action as usize];
        if op.demand == Demand::Free {
            if !pure {
                self.free.push((at as u32, op.action));
            }
        } else if op.is_pending() {
            match self.crashed.iter_mut().find(|kind| kind.action == op.action) {
                Some(kind) => kind.available += 1,
                None => self.crashed.push(Crashed { action: op.action, available: 1 }),
            }
        } else if pure {
            let slot = self.pure_slots.first_clear().expect("words_needed counted the slots");
            self.slot_of[at] = slot as u16;
            self.pure_slots.set(slot);
            self.open_pure.push((slot as u16, op.action));
            self.epoch += 1;
            for config in &mut self.configs {
                if self.machine.step(config.state, op.action).is_some() || sabotaged!(self, ReadsAlwaysFit) {
                    config.seen.set(slot);
                }
            }
            self.work += self.configs.len() as u64 / 8;
        } else {
            let slot = self.write_slots.first_clear().expect("words_needed counted the slots");
            self.slot_of[at] = slot as u16;
            self.write_slots.set(slot);
            let overwrites = self.problem.overwrites[op.action as usize];
            if overwrites {
                self.overwriting_slots.set(slot);
            }
            let place = self.open_writes.partition_point(|open| self.ops[open.op as usize].res <= op.res);
            self.open_writes
                .insert(place, OpenWrite { op: at as u32, slot: slot as u16, action: op.action, overwrites });
        }
    }

    /// Forces operation `at`; `Err` if a budget ran out on the way.
    fn ret(&mut self, at: usize) -> Result<(), Reason> {
        let op = self.ops[at];
        self.position = op.res;
        let pure = self.problem.pure[op.action as usize];
        let slot = usize::from(self.slot_of[at]);
        let goal = match (op.demand, pure) {
            (Demand::Free, true) => return Ok(()),
            (Demand::Free, false) => Goal::Free,
            (Demand::Once, true) => Goal::Pure(slot),
            (Demand::Once, false) => Goal::Write(slot),
        };
        self.work += 1 + self.configs.len() as u64 / 8;
        if self.machine.states_expire() {
            self.configs.retain(|config| {
                let lost = self.machine.dead_end(config.state, self.position, self.position);
                self.foreseen = self.foreseen.max(lost.unwrap_or(0));
                lost.is_none()
            });
        }
        if self.configs.iter().all(|config| goal.is_reached_by(config)) {
            // A bit that all share can go without making any two equal.
            for config in &mut self.configs {
                config.settle(goal);
            }
        } else {
            self.explore(at as u32, goal)?;
        }
        match goal {
            Goal::Pure(slot) => {
                self.open_pure.retain(|open| usize::from(open.0) != slot);
                self.pure_slots.clear(slot);
                self.epoch += 1;
            }
            Goal::Write(slot) => {
                self.open_writes.retain(|open| usize::from(open.slot) != slot);
                self.write_slots.clear(slot);
                self.overwriting_slots.clear(slot);
            }
            Goal::Free => self.free.retain(|open| open.0 != at as u32),
            Goal::Nothing => unreachable!("no operation has it"),
        }
        Ok(())
    }

    /// Replaces the configurations by all those that open operations lead to, ending in the goal.
    fn explore(&mut self, op: u32, goal: Goal) -> Result<(), Reason> {
        let now = self.next_moment as u32;
        let explore_max = match goal {
            Goal::Nothing => STATES_EXPLORED_MAX,
            _ => WIDTHS[self.width].saturating_mul(EXPLORE_PER_WIDTH),
        };
        let mut front = std::mem::take(&mut self.front);
        front.clear();
        let mut explored = std::mem::take(&mut self.explored);
        explored.clear();
        for mut config in std::mem::take(&mut self.configs) {
            if goal.is_reached_by(&config) {
                config.settle(goal);
                front.insert(config, &self.used);
                continue;
            }
            match goal {
                Goal::Write(slot) if config.absorbable.has(slot) || sabotaged!(self, AbsorbAlways) => {
                    let mut absorbed = config;
                    absorbed.absorbable.clear(slot);
                    absorbed.path = self.path.absorb(config.path, op);
                    front.insert(absorbed, &self.used);
                }
                Goal::Free => front.insert(config, &self.used),
                _ => {}
            }
            config.unseen_write = false;
            explored.insert(config);
        }
        // Breadth first: of two ways to the same configuration the shorter one is kept.
        let (mut at, mut tried) = (0, Vec::new());
        while at < explored.queue.len() {
            if at >= explore_max {
                self.left_out = true;
                break;
            }
            if sabotaged!(self, FirstWayOnly) && !front.members.is_empty() {
                break;
            }
            if at % 1024 == 1023 || at >= self.explore_max {
                let held = self.heap_bytes_with(&front, &explored);
                let too_many = (at >= self.explore_max).then_some(Reason::Memory);
                if let Some(reason) = too_many.or_else(|| self.budget.exceeded(held)) {
                    (self.front, self.explored) = (front, explored);
                    return Err(reason);
                }
            }
            let config = explored.queue[at];
            at += 1;
            tried.clear();
            for open in 0..self.open_writes.len() {
                let open = self.open_writes[open];
                let slot = usize::from(open.slot);
                if config.placed.has(slot) || (open.overwrites && config.unseen_write) {
                    continue;
                }
                if sabotaged!(self, NeverTwoWrites) && open.overwrites && config.absorbable != Bits::EMPTY {
                    continue;
                }
                let kind = (open.action, config.absorbable.has(slot));
                if tried.contains(&kind) || (sabotaged!(self, OnlyFirstWrite) && !tried.is_empty()) {
                    continue; // rule 2: an equal one that returns earlier was tried
                }
                tried.push(kind);
                let Some(mut next) = self.apply(&config, open.action) else { continue };
                next.placed.set(slot);
                next.absorbable.clear(slot);
                next.path = self.path.place(config.path, open.op, now);
                if goal.is_reached_by(&next) {
                    next.settle(goal);
                    front.insert(next, &self.used);
                } else {
                    explored.insert(next);
                }
            }
            for kind in 0..self.crashed.len() {
                let Crashed { action, available } = self.crashed[kind];
                let overwrites = self.problem.overwrites[action as usize];
                let exhausted = self.used.count(config.used, action) >= available;
                if exhausted || (overwrites && config.unseen_write) {
                    continue;
                }
                if sabotaged!(self, CrashedNever) {
                    continue;
                }
                let Some(mut next) = self.apply(&config, action) else { continue };
                if next.state == config.state && next.absorbable == config.absorbable {
                    continue;
                }
                next.used = self.used.add(config.used, action);
                next.path = self.path.use_crashed(config.path, action, now);
                if goal.is_reached_by(&next) {
                    next.settle(goal);
                    front.insert(next, &self.used);
                } else {
                    explored.insert(next);
                }
            }
            for open in 0..self.free.len() {
                let (free_op, action) = self.free[open];
                // An equal one that was tried leads to the same, unless this is the one that ends.
                if free_op != op && self.free[..open].iter().any(|other| other.1 == action) {
                    continue;
                }
                let overwrites = self.problem.overwrites[action as usize];
                if overwrites && config.unseen_write {
                    continue;
                }
                let Some(mut next) = self.apply(&config, action) else { continue };
                if next.state == config.state && next.absorbable == config.absorbable {
                    continue;
                }
                next.path = self.path.place(config.path, free_op, now);
                let ends = free_op == op || goal.is_reached_by(&next);
                if ends {
                    let mut end = next;
                    end.settle(goal);
                    front.insert(end, &self.used);
                }
                if !ends || matches!(goal, Goal::Free) {
                    explored.insert(next);
                }
            }
        }
        let choices = self.open_writes.len() + self.crashed.len() + self.free.len();
        self.work += (at * (1 + choices)) as u64;
        self.configurations += at as u64;
        front.take_into(&mut self.configs);
        if sabotaged!(self, DominanceByAny) {
            self.configs.truncate(1);
        }
        (self.front, self.explored) = (front, explored);
        self.narrow();
        Ok(())
    }

    /// `config` after `action`, with every pure operation that is possible then.
    #[inline]
    fn apply(&mut self, config: &Config<W>, action: ActionId) -> Option<Config<W>> {
        let state = self.machine.step(config.state, action)?;
        if let Some(res) = self.machine.dead_end(state, self.position, self.position) {
            self.foreseen = self.foreseen.max(res);
            return None;
        }
        let mut next = Config { state, ..*config };
        let overwrites = self.problem.overwrites[action as usize];
        if overwrites {
            next.absorbable = next.absorbable.union(&self.overwriting_slots.minus(&next.placed));
        }
        let possible = self.possible_in(state);
        next.seen = next.seen.union(&possible);
        next.unseen_write = overwrites && next.seen == config.seen;
        Some(next)
    }

    #[inline]
    fn possible_in(&mut self, state: StateId) -> Bits<W> {
        let at = state as usize;
        if at >= self.possible.len() {
            self.possible.resize(at + 1, (u32::MAX, Bits::EMPTY));
        }
        if self.possible[at].0 == self.epoch {
            return self.possible[at].1;
        }
        let mut bits = Bits::EMPTY;
        for &(slot, action) in &self.open_pure {
            if self.machine.step(state, action).is_some() {
                bits.set(usize::from(slot));
            }
        }
        self.possible[at] = (self.epoch, bits);
        bits
    }

    /// Keeps the beam's width of configurations: those with the fewest operations still to place.
    fn narrow(&mut self) {
        let width = WIDTHS[self.width];
        if self.configs.len() <= width {
            return;
        }
        self.left_out = true;
        let mut ranked: Vec<(bool, i64, u32)> = (0u32..)
            .zip(&self.configs)
            .map(|(i, c)| {
                let settled = c.seen.count() + c.placed.count() + c.absorbable.count();
                (!self.machine.is_promising(c.state), -i64::from(settled), i)
            })
            .collect();
        ranked.select_nth_unstable(width - 1);
        ranked.truncate(width);
        ranked.sort_unstable_by_key(|rank| rank.2);
        self.configs = ranked.iter().map(|&(_, _, i)| self.configs[i as usize]).collect();
    }

    fn heap_bytes_with(&self, front: &Front<W>, explored: &Explored<W>) -> usize {
        self.machine.heap_bytes()
            + self.used.heap_bytes()
            + self.path.heap_bytes()
            + self.configs.capacity() * size_of::<Config<W>>()
            + explored.heap_bytes()
            + front.heap_bytes()
            + self.possible.capacity() * size_of::<(u32, Bits<W>)>()
            + self.moments.capacity() * 4
            + self.slot_of.capacity() * 2
    }

    fn finish(&mut self) -> Vec<u32> {
        if self.answer_only {
            return vec![];
        }
        let config = self.configs[0];
        self.path.order(config.path, self.problem, self.ops, &self.moments, &mut self.machine)
    }
}

impl<const W: usize> Engine for Jit<'_, W> {
    fn run(&mut self, until_work: u64) -> Option<Finding> {
        while self.work < until_work {
            let Some(&moment) = self.moments.get(self.next_moment) else {
                return Some(Finding::Valid(self.finish()));
            };
            self.next_moment += 1;
            if !moment.is_return() {
                self.work += 1;
                self.invoke(moment.op());
                continue;
            }
            if let Err(reason) = self.ret(moment.op()) {
                return Some(Finding::GaveUp(reason));
            }
            self.placed_deepest = self.placed_deepest.max(self.next_moment / 2);
            if self.configs.is_empty() {
                if !self.left_out {
                    return Some(Finding::Invalid);
                }
                self.width += 1;
                self.restart();
                continue;
            }
            if self.path.is_crowded() {
                self.path.compact(self.configs.iter_mut().map(|config| &mut config.path));
            }
        }
        self.budget.exceeded(self.heap_bytes()).map(Finding::GaveUp)
    }

    fn work(&self) -> u64 {
        self.work
    }

    fn configurations(&self) -> u64 {
        self.configurations
    }

    fn placed(&self) -> usize {
        self.placed_deepest
    }

    fn heap_bytes(&self) -> usize {
        self.heap_bytes_with(&self.front, &self.explored)
    }
}
