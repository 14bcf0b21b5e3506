//! Decides one independent part of a history: the near-linear engine if its values are distinct;
//! a value out of nowhere; else a race of the two general engines.

use super::budget::Budget;
use super::distinct::{self, Decision, Item, Why};
use super::jit::{Jit, words_needed};
use super::machine::Machine;
use super::phantom::{self, Phantom};
use super::problem::{Op, Problem, Read};
use super::race::{Engine, Finding, Refuter, race};
use super::sequential::{Lines, Sequential};
use super::wgl::Wgl;
use crate::history::{History, OpId};
use crate::model::Model;
use crate::options::Consistency;
use crate::value::Value;
use crate::verdict::Reason;

/// What was found out about a part.
pub(crate) enum Decided {
    /// An order of its operations.
    Valid(Vec<OpId>),
    /// There is none.
    Invalid(Cause),
    /// Not decided.
    Unknown(Effort),
}

/// Who found that there is no order, and how.
pub(crate) enum Cause {
    /// A near-linear engine.
    Near(Box<Near>),
    /// A value came out of nowhere.
    Phantom(Box<Phantom>),
    /// A search; the witness is yet to be found.
    Searched,
}

/// Why a near-linear engine says that there is no order.
pub(crate) struct Near {
    /// Rows of the operations that cannot all be placed.
    pub(crate) core: Vec<OpId>,
    /// The values that they are about.
    pub(crate) values: Vec<Value>,
    /// Indices are of the part's operations.
    pub(crate) why: Why,
    pub(crate) minimal: bool,
}

/// How far an undecided search came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// `None`: the work limit.
    pub(crate) reason: Option<Reason>,
    pub(crate) placed: usize,
    pub(crate) total: usize,
    pub(crate) configurations: u64,
    pub(crate) memory_bytes: usize,
}

/// What to decide, and with what means.
pub(crate) struct Terms<'t> {
    pub(crate) consistency: Consistency,
    pub(crate) budget: &'t Budget,
    pub(crate) threads: usize,
    pub(crate) work_max: u64,
    /// Called between slices of work, for progress.
    pub(crate) watch: &'t (dyn Fn(&dyn Engine) + Sync),
}

/// Decides a part.
pub(crate) fn decide<M: Model>(
    history: &History,
    model: &M,
    reads: &[Read<M::Action>],
    terms: &Terms<'_>,
) -> Decided {
    let real_time = terms.consistency != Consistency::Sequential;
    if real_time && let Some(decided) = decide_distinct(history, model, reads) {
        return decided;
    }
    if let Some(phantom) = phantom::find(model, reads, real_time) {
        return Decided::Invalid(Cause::Phantom(Box::new(phantom)));
    }
    if !real_time {
        let (problem, actions) = Problem::new(model, reads);
        let lines = Lines::of(history);
        let process_of = |op: &Op| lines.process_of(op.id);
        let machine = Machine::new(model, &actions, history.values());
        let engine = Sequential::new(&problem, &problem.ops, &process_of, machine, terms.budget.clone());
        return run(vec![Box::new(engine)], &problem, terms);
    }
    let (problem, actions) = Problem::new(model, reads);
    let machine = || Machine::new(model, &actions, history.values());
    decide_general(&problem, &machine, terms)
}

/// Races the general engines.
fn decide_general<'p>(problem: &'p Problem, machine: &dyn Fn() -> Machine<'p>, terms: &Terms<'_>) -> Decided {
    let weaker = problem.with_pending_free();
    let count = if weaker.is_some() { 3 } else { 2 };
    let share = terms.budget.with_memory(terms.budget.memory_bytes / count);
    let mut engines: Vec<Box<dyn Engine + '_>> = vec![];
    engines.push(Box::new(Wgl::new(problem, &problem.ops, machine(), share.clone())));
    engines.extend(jit_of_width(problem, &problem.ops, machine(), &share, Question::Order));
    if let Some(weaker) = &weaker {
        let refuter = jit_of_width(problem, weaker, machine(), &share, Question::IsImpossible);
        engines.extend(refuter.map(|engine| Box::new(Refuter(engine)) as Box<dyn Engine + '_>));
    }
    run(engines, problem, terms)
}

fn run(mut engines: Vec<Box<dyn Engine + '_>>, problem: &Problem, terms: &Terms<'_>) -> Decided {
    match race(&mut engines, terms.threads, terms.work_max, terms.watch) {
        Some(Finding::Valid(order)) => {
            Decided::Valid(order.into_iter().map(|i| problem.ops[i as usize].id).collect())
        }
        Some(Finding::Invalid) => Decided::Invalid(Cause::Searched),
        undecided => Decided::Unknown(Effort {
            reason: match undecided {
                Some(Finding::GaveUp(reason)) => Some(reason),
                _ => None,
            },
            placed: engines.iter().map(|engine| engine.placed()).max().unwrap_or(0),
            total: problem.ops.len(),
            configurations: engines.iter().map(|engine| engine.configurations()).sum(),
            memory_bytes: engines.iter().map(|engine| engine.heap_bytes()).sum(),
        }),
    }
}

/// The near-linear engine's answer, if the part is one that it can answer.
fn decide_distinct<M: Model>(history: &History, model: &M, reads: &[Read<M::Action>]) -> Option<Decided> {
    let family = model.family()?;
    let mut items = Vec::with_capacity(reads.len());
    for read in reads {
        items.push(Item { inv: read.inv, res: read.res, role: model.role(&read.action)? });
    }
    match distinct::decide(family, &items, model.initial_value(), history.values()) {
        Decision::Valid(order) => {
            Some(Decided::Valid(order.into_iter().map(|i| reads[i as usize].id).collect()))
        }
        Decision::Invalid { core, values, why, minimal } => {
            Some(Decided::Invalid(Cause::Near(Box::new(Near {
                core: core.into_iter().map(|i| reads[i as usize].id).collect(),
                values,
                why,
                minimal,
            }))))
        }
        Decision::NotApplicable => None,
    }
}

/// Configurations that one return may take the refuter: where crashed operations that happen any
/// number of times make no end of states, it is no use.
const REFUTER_EXPLORES_MAX: u64 = 1 << 13;

/// What is asked of the just-in-time engine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    /// An order, or that there is none.
    Order,
    /// Only whether there is none.
    IsImpossible,
}

/// The just-in-time engine in the narrowest width that holds the operations open at once; `None` if
/// they are too many for any.
fn jit_of_width<'p>(
    problem: &'p Problem,
    ops: &'p [Op],
    machine: Machine<'p>,
    budget: &Budget,
    question: Question,
) -> Option<Box<dyn Engine + 'p>> {
    fn boxed<const W: usize>(jit: Jit<'_, W>, question: Question) -> Box<dyn Engine + '_> {
        match question {
            Question::Order => Box::new(jit),
            Question::IsImpossible => Box::new(jit.exact().without_order(REFUTER_EXPLORES_MAX)),
        }
    }
    let budget = budget.clone();
    Some(match words_needed(ops, &problem.pure)? {
        1 => boxed(Jit::<1>::new(problem, ops, machine, budget), question),
        2..=4 => boxed(Jit::<4>::new(problem, ops, machine, budget), question),
        _ => boxed(Jit::<32>::new(problem, ops, machine, budget), question),
    })
}
