//! From "there is no linearization" to the few operations that show it.
//!
//! The history is weakened as long as it stays impossible: operations that ended before some moment
//! count only as "may have happened, in any order and any number of times", then operations after it
//! are, one by one, let off the demand that they take effect. What cannot be let off is the core. A
//! weaker history that is impossible proves that the recorded one is; see
//! [`crate::verdict::Witness`] for the exact claim, which `validate` re-checks.

use super::PartReads;
use super::budget::Budget;
use super::explain;
use super::jit::{Jit, words_needed};
use super::machine::{ActionId, Machine};
use super::portfolio::Near;
use super::problem::{Demand, Op, Problem};
use super::race::{Engine, Finding};
use super::sequential::{Lines, Sequential};
use crate::history::{History, NEVER, OpId};
use crate::model::Model;
use crate::options::Consistency;
use crate::verdict::Witness;

/// States that operations before the core may have led to; if they can lead to more, the core
/// reaches back to the history's beginning.
const START_STATES_MAX: usize = 256;
/// How many times the work of the whole history, or how much for each of its operations if that is
/// more, one weakened history may take before it counts as "not shown impossible" (where operations
/// may happen any number of times, there may be no end of states).
const TEST_WORK: (u64, u64) = (4, 1 << 9);
/// The same for all weakened histories together, after which the core is left as it is.
const WORK: (u64, u64) = (256, 1 << 16);
/// Configurations explored to tell which states an operation could have found.
const STATES_WORK: u64 = 1 << 10;
/// Members of a core that are looked for one by one, at most.
const PICKED_MAX: usize = 32;
/// Work per operation for the first look, at the history in which crashed operations are let off.
const WEAKER_WORK: u64 = 1 << 10;
/// Work to find out how much a sequential search of the whole history takes.
const TEST_WORK_SEQUENTIAL: u64 = 1 << 16;
/// The share of the remaining time after which it is.
const SHARE_OF_TIME: f64 = 0.5;
const SECONDS_MAX: f64 = 10.0;

/// Finds the witness of a part that an engine has found impossible.
pub(crate) fn find<M: Model>(
    history: &History,
    model: &M,
    part: &PartReads<M::Action>,
    consistency: Consistency,
    budget: &Budget,
) -> Witness {
    let (problem, actions) = Problem::new(model, &part.reads);
    let machine = || Machine::new(model, &actions, history.values());
    let exact = || Machine::exact(model, &actions, history.values());
    let budget = budget.with_share_of_time(SHARE_OF_TIME, SECONDS_MAX);
    let lines = Lines::of(history);
    let mut search = Search {
        problem: &problem,
        machine: &machine,
        exact: &exact,
        sequential: (consistency == Consistency::Sequential).then_some(&lines),
        budget,
        work: 0,
        work_whole: 0,
        ran_out: false,
        undecided: false,
    };
    let (core, failed, states) =
        if search.sequential.is_some() { search.core_sequential() } else { search.core() };
    let id = |op: &Op| -> OpId { op.id };
    let mut witness = Witness {
        key: part.key,
        core: core.iter().map(id).collect(),
        failed: failed.id,
        values: None,
        states_seen: states,
        minimal: !search.ran_out && !search.undecided,
        sentences: vec![],
    };
    witness.states_seen.sort_unstable();
    witness.states_seen.dedup();
    witness.sentences = explain::general(history, &witness);
    witness
}

/// The witness of a part that a near-linear engine has found impossible.
pub(crate) fn of_distinct<A>(history: &History, part: &PartReads<A>, near: &Near) -> Witness {
    let (failed, sentences) = explain::distinct(history, &near.why, &|at| part.reads[at as usize].id);
    let failed = if near.core.contains(&failed) {
        failed
    } else {
        *near.core.last().expect("an impossible history has an operation")
    };
    Witness {
        key: part.key,
        core: near.core.clone(),
        failed,
        values: Some(near.values.clone()),
        states_seen: vec![],
        minimal: near.minimal,
        sentences,
    }
}

struct Search<'s> {
    problem: &'s Problem,
    machine: &'s dyn Fn() -> Machine<'s>,
    /// States as they are, for people.
    exact: &'s dyn Fn() -> Machine<'s>,
    /// Whose order counts, if it is not real time's.
    sequential: Option<&'s Lines>,
    budget: Budget,
    work: u64,
    /// Work that the whole history took.
    work_whole: u64,
    ran_out: bool,
    /// Whether some member of the core can be let off could not be told.
    undecided: bool,
}

/// What is known of a weakened history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Impossible,
    Possible,
    Undecided,
}

/// A weakened history: operations, and the actions that may have led to the state before them.
#[derive(Clone)]
struct Weakened {
    ops: Vec<Op>,
    before: Vec<ActionId>,
}

impl<'s> Search<'s> {
    /// The core in the order of invocations, the operation of it that cannot be placed, and the
    /// states that it could have found.
    fn core(&mut self) -> (Vec<Op>, Op, Vec<String>) {
        let mut all = Weakened { ops: self.problem.ops.clone(), before: vec![] };
        let budget = self.budget.clone();
        // Nearly always it does not matter how often the crashed operations happened; and it is far
        // cheaper not to count them.
        let mut failed = None;
        if let Some(ops) = self.problem.with_pending_free() {
            let weaker = Weakened { ops, before: vec![] };
            if let Some(Some(op)) = self.run(&weaker, self.work_max((0, WEAKER_WORK)), &budget) {
                (all, failed) = (weaker, Some(op));
            }
        }
        let failed = failed.or_else(|| self.run(&all, u64::MAX, &budget).flatten());
        let Some(failed) = failed else {
            // Found impossible by depth-first search, and too broad for the set of configurations.
            self.ran_out = true;
            let last =
                *all.ops.iter().filter(|op| !op.is_pending()).max_by_key(|op| op.res).expect("it is invalid");
            return (all.ops, last, vec![]);
        };
        self.work_whole = self.work;
        let all = self.cut_after(&all, failed);
        let mut weakened = self.window(&all, failed);
        self.let_off(&mut weakened, Some(failed.id));
        let core: Vec<Op> = weakened.ops.iter().filter(|op| op.demand == Demand::Once).copied().collect();
        // The weakened history may fail at another return than the full one.
        let failed = match self.run(&weakened, self.test_work_max(), &budget) {
            Some(Some(op)) => op,
            _ => failed,
        };
        let states = self.states_for(&weakened, failed, &budget);
        (core, failed, states)
    }

    /// The same for sequential consistency. There is no moment at which it fails, so the operation
    /// to explain is the last one of the core.
    fn core_sequential(&mut self) -> (Vec<Op>, Op, Vec<String>) {
        let mut weakened = Weakened { ops: self.problem.ops.clone(), before: vec![] };
        let budget = self.budget.clone();
        self.run(&weakened, TEST_WORK_SEQUENTIAL, &budget);
        self.work_whole = self.work;
        self.let_off(&mut weakened, None);
        let core: Vec<Op> = weakened.ops.iter().filter(|op| op.demand == Demand::Once).copied().collect();
        let failed = *core.last().expect("what nobody demands is possible");
        (core, failed, vec![])
    }

    /// The history up to the return of `failed`; what is open then never returns.
    fn cut_after(&self, all: &Weakened, failed: Op) -> Weakened {
        let mut ops = vec![];
        for op in all.ops.iter().filter(|op| op.inv <= failed.res) {
            let still_open = op.res > failed.res;
            if !(still_open && self.problem.pure[op.action as usize]) {
                ops.push(Op { res: if still_open { NEVER } else { op.res }, ..*op });
            }
        }
        Weakened { ops, before: vec![] }
    }

    /// The shortest run of operations before the failure that is impossible after anything that the
    /// others can have led to.
    fn window(&mut self, all: &Weakened, failed: Op) -> Weakened {
        let mut returns: Vec<u32> = all.ops.iter().filter(|op| !op.is_pending()).map(|op| op.res).collect();
        returns.sort_unstable();
        debug_assert_eq!(returns.last(), Some(&failed.res));
        let pure = &self.problem.pure;
        let weakened = |count: usize| weakened_before(all, returns[returns.len() - count], pure);
        let (mut possible, mut impossible) = (0, 1);
        while impossible < returns.len() && !self.is_impossible_at(&weakened(impossible)) {
            possible = impossible;
            impossible *= 2;
        }
        if impossible >= returns.len() {
            let whole = weakened(returns.len());
            if !self.is_impossible_at(&whole) {
                return all.clone();
            }
            impossible = returns.len();
        }
        while impossible - possible > 1 {
            let middle = possible + (impossible - possible) / 2;
            if self.is_impossible_at(&weakened(middle)) {
                impossible = middle;
            } else {
                possible = middle;
            }
        }
        weakened(impossible)
    }

    /// Leaves a minimal core demanded. Demanding less never makes a possible history impossible, so
    /// each question about a set of operations answers those about all its subsets.
    fn let_off(&mut self, weakened: &mut Weakened, failed: Option<OpId>) {
        if !self.pick(weakened, failed) {
            self.drop_groups(weakened);
        }
    }

    /// Finds the core one member at a time: the last one of the shortest run of operations, latest
    /// first, that cannot be placed beside the members known. Few are demanded at once, which makes
    /// the questions cheap. False if the core is too large for this.
    fn pick(&mut self, weakened: &mut Weakened, failed: Option<OpId>) -> bool {
        let ops = &weakened.ops;
        let mut run: Vec<usize> = (0..ops.len()).filter(|&i| ops[i].demand == Demand::Once).collect();
        run.sort_by_key(|&i| (Some(ops[i].id) != failed, std::cmp::Reverse(ops[i].inv)));
        let mut members: Vec<usize> = vec![];
        let demanding = |members: &[usize], run: &[usize]| {
            let mut ops = ops.clone();
            ops.iter_mut().for_each(|op| op.demand = Demand::Free);
            members.iter().chain(run).for_each(|&i| ops[i].demand = Demand::Once);
            Weakened { ops, before: weakened.before.clone() }
        };
        let mut complete = false;
        while members.len() < PICKED_MAX && !self.ran_out {
            if self.ask(&demanding(&members, &[])) == Answer::Impossible {
                run.clear();
                complete = true;
                break;
            }
            // `low` more operations are too few, or so it seems; all of the run are enough.
            let (mut low, mut step, mut below) = (0, 1, Answer::Possible);
            while run.len() - low > 1 {
                let middle = low + step.min((run.len() - low) / 2).max(1);
                match self.ask(&demanding(&members, &run[..middle])) {
                    Answer::Impossible => {
                        run.truncate(middle);
                        step = middle;
                    }
                    answer => (low, below, step) = (middle, answer, step * 2),
                }
                if self.ran_out {
                    break;
                }
            }
            self.undecided |= below == Answer::Undecided;
            match run.pop() {
                Some(member) => members.push(member),
                None => break,
            }
        }
        *weakened = demanding(&members, &run);
        complete || self.ran_out
    }

    /// Lets operations off, large groups first, while the rest stays impossible.
    fn drop_groups(&mut self, weakened: &mut Weakened) {
        let mut size = weakened.ops.len().div_ceil(2).max(1);
        self.undecided = false;
        loop {
            let mut start = 0;
            while start < weakened.ops.len() {
                let group: Vec<usize> = (start..weakened.ops.len())
                    .filter(|&i| weakened.ops[i].demand == Demand::Once)
                    .take(size)
                    .collect();
                let Some(&last) = group.last() else { break };
                let mut weaker = weakened.clone();
                for &i in &group {
                    weaker.ops[i].demand = Demand::Free;
                }
                match self.ask(&weaker) {
                    Answer::Impossible => *weakened = weaker,
                    Answer::Possible => {}
                    Answer::Undecided => self.undecided |= size == 1,
                }
                start = last + 1;
                if self.ran_out {
                    return;
                }
            }
            if size == 1 {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    fn ask(&mut self, weakened: &Weakened) -> Answer {
        if self.work > self.work_max(WORK) || self.budget.exceeded(0).is_some() {
            self.ran_out = true;
            return Answer::Undecided;
        }
        let budget = self.budget.clone();
        match self.run(weakened, self.test_work_max(), &budget) {
            Some(Some(_)) => Answer::Impossible,
            Some(None) => Answer::Possible,
            None => Answer::Undecided,
        }
    }

    fn is_impossible_at(&mut self, weakened: &Weakened) -> bool {
        self.ask(weakened) == Answer::Impossible
    }

    fn test_work_max(&self) -> u64 {
        self.work_max(TEST_WORK)
    }

    fn work_max(&self, (times_whole, each): (u64, u64)) -> u64 {
        times_whole.saturating_mul(self.work_whole).max(each * self.problem.ops.len() as u64)
    }

    /// `Some(Some(op))`: impossible, and `op` is the one whose return shows it; `Some(None)`:
    /// possible; `None`: not decided.
    fn run(&mut self, weakened: &Weakened, work_max: u64, budget: &Budget) -> Option<Option<Op>> {
        let (problem, ops) = (self.problem, weakened.ops.as_slice());
        if let Some(lines) = self.sequential {
            let process_of = |op: &Op| lines.process_of(op.id);
            let machine = (self.machine)();
            let mut engine = Sequential::new(problem, ops, &process_of, machine, budget.clone());
            let finding = drive(&mut engine, work_max);
            self.work += engine.work();
            let last = ops.iter().rfind(|op| op.demand == Demand::Once).copied();
            return match finding? {
                Finding::Invalid => Some(last),
                Finding::Valid(_) => Some(None),
                Finding::Open | Finding::GaveUp(_) => None,
            };
        }
        macro_rules! run {
            ($words:literal) => {{
                let mut jit = Jit::<$words>::new(problem, ops, (self.machine)(), budget.clone())
                    .exact()
                    .without_order(work_max / 4);
                if !weakened.before.is_empty() {
                    jit = jit.starting_after(&weakened.before, START_STATES_MAX)?;
                }
                let finding = drive(&mut jit, work_max);
                self.work += jit.work();
                match finding? {
                    Finding::Invalid => Some(Some(ops[jit.failed_op()])),
                    Finding::Valid(_) => Some(None),
                    Finding::Open | Finding::GaveUp(_) => None,
                }
            }};
        }
        match words_needed(ops, &problem.pure)? {
            1 => run!(1),
            2..=4 => run!(4),
            _ => run!(32),
        }
    }

    /// The states that the object could have been in while `failed` was open, were it not for it;
    /// those that nobody can tell apart as one, if there are too many else; none if even so.
    fn states_for(&self, weakened: &Weakened, failed: Op, budget: &Budget) -> Vec<String> {
        let states = self.states_of(self.exact, weakened, failed, budget);
        states.or_else(|| self.states_of(self.machine, weakened, failed, budget)).unwrap_or_default()
    }

    fn states_of(
        &self,
        machine: &dyn Fn() -> Machine<'s>,
        weakened: &Weakened,
        failed: Op,
        budget: &Budget,
    ) -> Option<Vec<String>> {
        let ops: Vec<Op> = weakened.ops.iter().filter(|op| op.id != failed.id).copied().collect();
        let (problem, probe) = (self.problem, (failed.inv, failed.res));
        macro_rules! states {
            ($words:literal) => {{
                let mut jit = Some(
                    Jit::<$words>::new(problem, &ops, machine(), budget.clone())
                        .exact()
                        .without_order(STATES_WORK),
                );
                if !weakened.before.is_empty() {
                    jit = jit.and_then(|jit| jit.starting_after(&weakened.before, START_STATES_MAX));
                }
                jit.and_then(|jit| jit.states_within(probe))
            }};
        }
        match words_needed(&ops, &problem.pure)? {
            1 => states!(1),
            2..=4 => states!(4),
            _ => states!(32),
        }
    }
}

/// Operations that returned before `from` are let off. Those that were over before any demanded one
/// began are left out for the states that they may have led to.
fn weakened_before(all: &Weakened, from: u32, pure: &[bool]) -> Weakened {
    let is_demanded = |op: &Op| op.res >= from && (!op.is_pending() || op.inv >= from);
    let begin = all.ops.iter().filter(|op| is_demanded(op)).map(|op| op.inv).min().unwrap_or(from);
    let mut before: Vec<ActionId> = all.ops.iter().filter(|op| op.inv < begin).map(|op| op.action).collect();
    before.sort_unstable();
    before.dedup();
    before.retain(|&action| !pure[action as usize]);
    let ops = all.ops.iter().filter(|op| op.res >= begin);
    let demand = |op: &Op| if is_demanded(op) { Demand::Once } else { Demand::Free };
    Weakened { ops: ops.map(|op| Op { demand: demand(op), ..*op }).collect(), before }
}

fn drive(engine: &mut dyn Engine, work_max: u64) -> Option<Finding> {
    const SLICE: u64 = 1 << 10;
    while engine.work() < work_max {
        if let Some(finding) = engine.run((engine.work() + SLICE).min(work_max)) {
            return Some(finding);
        }
    }
    None
}
