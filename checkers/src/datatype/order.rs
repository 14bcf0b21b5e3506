//! The invocations and completions of operations in the order in which they happened.

use crate::history::{History, NEVER, OpId, Operation};

/// Which end of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Invoked,
    Completed,
}

/// Both ends of each of `ops`, in order; an operation that never completed has one. In O(n log n).
pub(super) fn moments<'h>(
    history: &'h History,
    ops: &[OpId],
) -> impl Iterator<Item = (Moment, Operation<'h>)> + use<'h> {
    let mut moments: Vec<(u32, Moment, OpId)> = Vec::with_capacity(2 * ops.len());
    for id in ops {
        let columns = &history.columns;
        let (invoked, completed) =
            (columns.invoke_position[*id as usize], columns.complete_position[*id as usize]);
        moments.push((invoked, Moment::Invoked, *id));
        if completed != NEVER {
            moments.push((completed, Moment::Completed, *id));
        }
    }
    // A completion without an invocation is both ends at one position: in this order, by `Moment`'s.
    moments.sort_unstable();
    moments.into_iter().map(|(_, moment, id)| (moment, history.operation(id)))
}
