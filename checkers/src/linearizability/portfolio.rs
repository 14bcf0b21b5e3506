//! Decides one independent part of a history: the near-linear engine if its values are distinct,
//! else a race of the two general ones.

use super::budget::Budget;
use super::jit::{Jit, words_needed};
use super::problem::{Op, Problem, Read};
use super::race::{Engine, Finding, race};
use super::wgl::Wgl;
use crate::history::OpId;
use crate::model::Model;
use crate::verdict::Reason;

/// What was found out about a part.
pub(crate) enum Decided {
    /// An order of its operations.
    Valid(Vec<OpId>),
    /// There is none.
    Invalid,
    /// Not decided.
    Unknown(Effort),
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

/// Races the general engines over a part.
pub(crate) fn decide<M: Model>(
    model: &M,
    reads: &[Read<M::Action>],
    budget: &Budget,
    threads: usize,
    work_max: u64,
    watch: &(dyn Fn(&dyn Engine) + Sync),
) -> Decided {
    let problem = Problem::new(model, reads);
    let share = budget.with_memory(budget.memory_bytes / 2);
    let mut engines: Vec<Box<dyn Engine + '_>> = vec![];
    if let Some(jit) = jit_of_width(model, &problem, &problem.ops, &share) {
        engines.push(jit);
    }
    engines.push(Box::new(Wgl::new(model, &problem, &problem.ops, share)));
    match race(&mut engines, threads, work_max, watch) {
        Some(Finding::Valid(order)) => {
            Decided::Valid(order.into_iter().map(|i| problem.ops[i as usize].id).collect())
        }
        Some(Finding::Invalid) => Decided::Invalid,
        undecided => Decided::Unknown(Effort {
            reason: match undecided {
                Some(Finding::GaveUp(reason)) => Some(reason),
                _ => None,
            },
            placed: engines.iter().map(|engine| engine.placed()).max().unwrap_or(0),
            total: problem.ops.len(),
            configurations: engines.iter().map(|engine| engine.work()).sum(),
            memory_bytes: engines.iter().map(|engine| engine.heap_bytes()).sum(),
        }),
    }
}

/// The just-in-time engine in the narrowest width that holds the operations open at once; `None` if
/// they are too many for any.
fn jit_of_width<'p, M: Model>(
    model: &'p M,
    problem: &'p Problem<M::Action>,
    ops: &'p [Op],
    budget: &Budget,
) -> Option<Box<dyn Engine + 'p>> {
    let budget = budget.clone();
    Some(match words_needed(ops, &problem.pure)? {
        1 => Box::new(Jit::<M, 1>::new(model, problem, ops, budget)),
        2 => Box::new(Jit::<M, 2>::new(model, problem, ops, budget)),
        3..=4 => Box::new(Jit::<M, 4>::new(model, problem, ops, budget)),
        5..=16 => Box::new(Jit::<M, 16>::new(model, problem, ops, budget)),
        _ => Box::new(Jit::<M, 64>::new(model, problem, ops, budget)),
    })
}
