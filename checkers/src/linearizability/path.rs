//! How each surviving configuration came about, so that a linearization can be told in the end.
//!
//! Steps form a tree that grows at the leaves; configurations share their past. Pure operations are
//! not recorded: where they fit follows from the states, and is worked out once, for the one path
//! that is told. [`Path::compact`] drops steps that no configuration descends from.

use super::machine::{ActionId, Machine};
use super::problem::{Moment, Op, Problem};

/// A step of the tree.
pub(crate) type StepId = u32;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// This operation took effect.
    Placed(u32),
    /// Some crashed operation of this kind took effect.
    Crashed(ActionId),
    /// This write took effect just before the latest write on the path.
    Absorbed(u32),
}

#[derive(Clone, Copy, Debug)]
struct Step {
    what: What,
    /// Number of moments that had begun when it happened.
    now: u32,
    before: StepId,
}

/// The tree of steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Path {
    steps: Vec<Step>,
    /// Steps that survived the latest compaction.
    survived: usize,
}

impl Path {
    /// Before any step.
    pub(crate) const START: StepId = NONE;

    pub(crate) fn place(&mut self, before: StepId, op: u32, now: u32) -> StepId {
        self.push(Step { what: What::Placed(op), now, before })
    }

    pub(crate) fn use_crashed(&mut self, before: StepId, action: ActionId, now: u32) -> StepId {
        self.push(Step { what: What::Crashed(action), now, before })
    }

    pub(crate) fn absorb(&mut self, before: StepId, op: u32) -> StepId {
        self.push(Step { what: What::Absorbed(op), now: 0, before })
    }

    /// True when enough steps may be dead for a compaction to pay.
    pub(crate) fn is_crowded(&self) -> bool {
        self.steps.len() > 2 * self.survived + (1 << 14)
    }

    /// Drops the steps that none of `leaves` descends from, and renumbers those.
    pub(crate) fn compact<'a>(&mut self, leaves: impl Iterator<Item = &'a mut StepId>) {
        let leaves: Vec<&mut StepId> = leaves.collect();
        let mut renumbered = vec![NONE; self.steps.len()];
        const LIVE: u32 = 0;
        for leaf in &leaves {
            let mut step = **leaf;
            while step != NONE && renumbered[step as usize] == NONE {
                renumbered[step as usize] = LIVE;
                step = self.steps[step as usize].before;
            }
        }
        let mut kept = 0;
        for at in 0..self.steps.len() {
            if renumbered[at] == NONE {
                continue;
            }
            renumbered[at] = kept as u32;
            let step = self.steps[at];
            let before = if step.before == NONE { NONE } else { renumbered[step.before as usize] };
            self.steps[kept] = Step { before, ..step };
            kept += 1;
        }
        self.steps.truncate(kept);
        self.survived = kept;
        for leaf in leaves {
            if *leaf != NONE {
                *leaf = renumbered[*leaf as usize];
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Step>()
    }

    /// The linearization that ends in `leaf`, as indices into `ops`.
    pub(crate) fn order(
        &self,
        leaf: StepId,
        problem: &Problem,
        ops: &[Op],
        moments: &[Moment],
        machine: &mut Machine<'_>,
    ) -> Vec<u32> {
        let placements = self.placements(leaf, problem, ops);
        let mut order = Vec::with_capacity(ops.len());
        let mut state = Machine::INITIAL;
        let mut waiting: Vec<u32> = vec![];
        let mut next = placements.iter().peekable();
        for (begun, moment) in (1u32..).zip(moments) {
            let at = moment.op();
            if moment.is_return() {
                while let Some(placement) = next.next_if(|placement| placement.now <= begun) {
                    order.extend_from_slice(&placement.absorbed);
                    order.push(placement.op);
                    state = machine
                        .step(state, ops[placement.op as usize].action)
                        .expect("the search took the same steps");
                    waiting.retain(|&pure| {
                        let fits = machine.step(state, ops[pure as usize].action).is_some();
                        if fits {
                            order.push(pure);
                        }
                        !fits
                    });
                }
                debug_assert!(!waiting.contains(&(at as u32)), "the search placed it in its interval");
            } else if problem.pure[ops[at].action as usize] {
                if machine.step(state, ops[at].action).is_some() {
                    order.push(at as u32);
                } else {
                    waiting.push(at as u32);
                }
            }
        }
        assert!(waiting.is_empty(), "a pure operation that returned was possible in some state");
        order
    }

    /// The state-changing operations on the way to `leaf`, in order.
    fn placements(&self, leaf: StepId, problem: &Problem, ops: &[Op]) -> Vec<Placement> {
        let mut steps = vec![];
        let mut at = leaf;
        while at != NONE {
            steps.push(self.steps[at as usize]);
            at = self.steps[at as usize].before;
        }
        let mut crashed: Vec<Vec<u32>> = vec![vec![]; problem.pure.len()];
        for (i, op) in ops.iter().enumerate().rev() {
            if op.is_pending() {
                crashed[op.action as usize].push(i as u32);
            }
        }
        let (mut placements, mut latest_write): (Vec<Placement>, Option<usize>) = (vec![], None);
        for step in steps.into_iter().rev() {
            let op = match step.what {
                What::Placed(op) => op,
                What::Crashed(action) => crashed[action as usize].pop().expect("counted as available"),
                What::Absorbed(op) => {
                    let write =
                        latest_write.expect("absorbable means that a write came after its invocation");
                    placements[write].absorbed.push(op);
                    continue;
                }
            };
            if problem.overwrites[ops[op as usize].action as usize] {
                latest_write = Some(placements.len());
            }
            placements.push(Placement { op, now: step.now, absorbed: vec![] });
        }
        placements
    }

    fn push(&mut self, step: Step) -> StepId {
        let id = self.steps.len() as u32;
        assert!(id < NONE, "memory budgets end a search long before 2^32 steps");
        self.steps.push(step);
        id
    }
}

/// An operation on the path, with the writes that nobody saw because of it.
#[derive(Debug)]
struct Placement {
    op: u32,
    now: u32,
    absorbed: Vec<u32>,
}
