//! The smallest core among the extreme operations of two values of a register.
//!
//! At most six operations are candidates: of each value its write, the operation that completed
//! first and the one that was invoked last. Which of them a violation needs depends on how they
//! lie, so every subset is tried, smallest first, against the claim itself.

use super::super::Item;
use crate::history::NEVER;
use crate::model::Role;
use crate::value::Value;

/// What the register holds, as far as two values are concerned.
const NEITHER: u8 = 2;

/// An operation on one of the two values.
#[derive(Clone, Copy)]
struct Move {
    inv: u32,
    res: u32,
    /// Which of the two.
    value: u8,
    writes: bool,
}

/// The smallest subset of `candidates` that is a core for `values`, ascending. All candidates
/// together must be one.
pub(super) fn smallest(items: &[Item], candidates: &[u32], values: [Value; 2], initial: Value) -> Vec<u32> {
    let mut candidates = candidates.to_vec();
    candidates.sort_unstable();
    candidates.dedup();
    let moves: Vec<Move> = candidates.iter().map(|&i| read_move(&items[i as usize], values)).collect();
    let start = (0..2).find(|&v| values[usize::from(v)] == initial).unwrap_or(NEITHER);
    let all = (1 << candidates.len()) - 1;
    let mut subsets: Vec<u32> = (0..all).collect();
    subsets.sort_by_key(|subset| (subset.count_ones(), *subset));
    let core = subsets.into_iter().find(|&subset| !is_possible(&moves, subset, start)).unwrap_or(all);
    (0..candidates.len()).filter(|i| core >> i & 1 == 1).map(|i| candidates[i]).collect()
}

fn read_move(item: &Item, values: [Value; 2]) -> Move {
    let (value, writes) = match item.role {
        Role::Put(value) => (value, true),
        Role::Observe(value) => (value, false),
        _ => unreachable!("a register has writes and reads"),
    };
    Move { inv: item.inv, res: item.res, value: u8::from(value == values[1]), writes }
}

/// Whether the operations of `once` can each take effect once (pending ones at most once), while
/// other writes among `moves` may take effect any number of times.
///
/// An order is possible if and only if each operation completes no earlier than every one before it
/// was invoked. Of the past only three things matter: which operations of `once` are placed, the
/// value held, and the latest invocation so far.
fn is_possible(moves: &[Move], once: u32, start: u8) -> bool {
    let due = (0..moves.len()).filter(|&i| moves[i].res != NEVER).fold(0, |set, i| set | 1 << i) & once;
    let mut seen = vec![(0u32, start, 0u32)];
    let mut next = 0;
    while let Some(&(placed, held, time)) = seen.get(next) {
        next += 1;
        if placed & due == due {
            return true;
        }
        for (i, op) in moves.iter().enumerate() {
            let bit = 1 << i;
            let needed = once & bit != 0;
            if op.res < time || placed & bit != 0 || !(op.writes || (needed && held == op.value)) {
                continue;
            }
            let state = (placed | (once & bit), op.value, time.max(op.inv));
            if !seen.contains(&state) {
                seen.push(state);
            }
        }
    }
    false
}
