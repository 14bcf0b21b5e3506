//! One independent part of a history, ready for the engines: operations with numbered actions, and
//! their events in order.

use super::machine::ActionId;
use crate::history::{NEVER, OpId};
use crate::model::Model;
use crate::value::FastBuild;
use hashbrown::HashMap;

/// An operation of a part, as read by its model.
#[derive(Clone, Debug)]
pub(crate) struct Read<A> {
    pub(crate) id: OpId,
    pub(crate) inv: u32,
    /// Position by which it took effect; [`NEVER`] if it may never have.
    pub(crate) res: u32,
    pub(crate) action: A,
}

/// How strictly an engine must place an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Exactly once within its interval (at most once, if it never returned).
    Once,
    /// Any number of times within its interval, or not at all: a weaker history, used for
    /// witnesses (see [`crate::verdict::Witness`]).
    Free,
}

/// An operation, as an engine sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) id: OpId,
    pub(crate) inv: u32,
    pub(crate) res: u32,
    pub(crate) action: ActionId,
    pub(crate) demand: Demand,
}

impl Op {
    pub(crate) fn is_pending(&self) -> bool {
        self.res == NEVER
    }
}

/// A part of a history with its actions numbered.
pub(crate) struct Problem {
    /// Sorted by `inv`.
    pub(crate) ops: Vec<Op>,
    /// Per action; see [`Model::is_pure`] and [`Model::overwrites`].
    pub(crate) pure: Vec<bool>,
    pub(crate) overwrites: Vec<bool>,
}

impl Problem {
    /// Numbers the actions, and returns them in that order. Pending pure operations constrain nothing
    /// and are left out.
    pub(crate) fn new<M: Model>(model: &M, reads: &[Read<M::Action>]) -> (Problem, Vec<M::Action>) {
        let mut numbers: HashMap<&M::Action, u32, FastBuild> = HashMap::default();
        let mut actions = vec![];
        let mut problem = Problem { ops: Vec::with_capacity(reads.len()), pure: vec![], overwrites: vec![] };
        for read in reads {
            let action = *numbers.entry(&read.action).or_insert_with(|| {
                actions.push(read.action.clone());
                problem.pure.push(model.is_pure(&read.action));
                problem.overwrites.push(model.overwrites(&read.action));
                (actions.len() - 1) as u32
            });
            if read.res == NEVER && problem.pure[action as usize] {
                continue;
            }
            problem.ops.push(Op { id: read.id, inv: read.inv, res: read.res, action, demand: Demand::Once });
        }
        problem.ops.sort_by_key(|op| op.inv);
        (problem, actions)
    }
}

impl Problem {
    /// The same operations, but those that never returned may happen any number of times: a weaker
    /// history, with far fewer configurations to tell apart. `None` if all of them returned.
    pub(crate) fn with_pending_free(&self) -> Option<Vec<Op>> {
        let free = |op: &Op| Op { demand: if op.is_pending() { Demand::Free } else { op.demand }, ..*op };
        self.ops.iter().any(Op::is_pending).then(|| self.ops.iter().map(free).collect())
    }
}

/// An invocation or a return, packed into a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(u32);

impl Moment {
    fn invoke(op: usize) -> Moment {
        Moment((op as u32) << 1)
    }

    fn ret(op: usize) -> Moment {
        Moment((op as u32) << 1 | 1)
    }

    /// Index of the operation in the slice that [`moments`] was given.
    pub(crate) fn op(self) -> usize {
        (self.0 >> 1) as usize
    }

    pub(crate) fn is_return(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The events of `ops` (sorted by `inv`) in order; at equal positions invocations come first, so
/// that closed intervals that touch are concurrent. Operations that never return have one event.
pub(crate) fn moments(ops: &[Op]) -> Vec<Moment> {
    assert!(ops.len() < 1 << 31, "a history has fewer than 2^31 operations");
    let mut returns: Vec<(u32, u32)> =
        (0u32..).zip(ops).filter(|(_, op)| !op.is_pending()).map(|(i, op)| (op.res, i)).collect();
    returns.sort_unstable();
    let mut out = Vec::with_capacity(ops.len() + returns.len());
    let mut next_return = returns.into_iter().peekable();
    for (i, op) in ops.iter().enumerate() {
        while let Some((_, done)) = next_return.next_if(|&(res, _)| res < op.inv) {
            out.push(Moment::ret(done as usize));
        }
        out.push(Moment::invoke(i));
    }
    out.extend(next_return.map(|(_, done)| Moment::ret(done as usize)));
    out
}
