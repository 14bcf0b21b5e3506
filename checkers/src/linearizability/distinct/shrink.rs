//! Fewest values that still exclude every order, where theory does not name them.
//!
//! What is impossible for some values is impossible for more of them, so a minimal subset can be
//! found one member at a time: line the candidates up, find the shortest impossible prefix, and its
//! last member is needed; keep it, drop what comes after, and go on with the rest of the prefix. The
//! prefix is looked for by doubling and bisection, and each time that a procedure says "impossible"
//! it also says of which values, so that the others are dropped at once.

use super::contents::{Contents, Nothing, Span};
use std::cell::Cell;

/// How many values all questions together may look at.
const EFFORT_MAX: usize = 4_000_000;

/// Indices of spans that have no order among themselves already, if there are such.
pub(super) type FindImpossible<'a> = dyn Fn(&Contents) -> Option<Vec<u32>> + 'a;

/// The members of `candidates`, indices of spans, that are needed for there to be no order,
/// ascending, and whether they are minimal. All candidates together must have none. Operations that
/// found nothing are left out of account.
pub(super) fn shrink(
    contents: &Contents,
    candidates: Vec<u32>,
    find: &FindImpossible<'_>,
) -> (Vec<u32>, bool) {
    let effort = Cell::new(0);
    let ask = |needed: &[u32], prefix: &[u32]| {
        let mut members = [needed, prefix].concat();
        members.sort_unstable();
        effort.set(effort.get() + members.len());
        let spans = members.iter().map(|&i| contents.spans[i as usize]).collect();
        let found = find(&compressed(Contents { spans, nothings: vec![], end: contents.end }));
        found.map(|found| found.into_iter().map(|i| members[i as usize]).collect::<Vec<u32>>())
    };
    let mut needed: Vec<u32> = Vec::new();
    let mut prefix = candidates;
    while ask(&needed, &[]).is_none() {
        assert!(!prefix.is_empty(), "all candidates together are impossible");
        // `low` members are known to be too few, all of `prefix` to be enough.
        let mut low = 0;
        let mut step = 8;
        while prefix.len() - low > 1 {
            if effort.get() > EFFORT_MAX {
                needed.extend(prefix);
                needed.sort_unstable();
                return (needed, false);
            }
            let middle = low + step.min((prefix.len() - low) / 2);
            if let Some(mut found) = ask(&needed, &prefix[..middle]) {
                found.sort_unstable();
                prefix.truncate(middle);
                let is_found = |i: &u32| found.binary_search(i).is_ok();
                low = prefix[..low].iter().filter(|i| is_found(i)).count();
                prefix.retain(is_found);
                step = prefix.len();
            } else {
                low = middle;
                step *= 2;
            }
        }
        needed.extend(prefix.pop());
    }
    needed.sort_unstable();
    (needed, true)
}

/// The same contents, with ranks renumbered without gaps.
pub(super) fn compressed(mut contents: Contents) -> Contents {
    let mut ranks: Vec<u32> = Vec::with_capacity(4 * contents.spans.len() + 3);
    ranks.extend(contents.spans.iter().flat_map(|s| [s.put_inv, s.put_res, s.take_inv, s.take_res]));
    ranks.extend(contents.nothings.iter().flat_map(|nothing| [nothing.inv, nothing.res]));
    ranks.push(contents.end);
    ranks.sort_unstable();
    ranks.dedup();
    let renumber = |rank: &mut u32| {
        *rank = 1 + ranks.binary_search(rank).expect("every rank was collected") as u32;
    };
    for Span { put_inv, put_res, take_inv, take_res, .. } in &mut contents.spans {
        [put_inv, put_res, take_inv, take_res].into_iter().for_each(renumber);
    }
    for Nothing { inv, res, .. } in &mut contents.nothings {
        [inv, res].into_iter().for_each(renumber);
    }
    contents.end = ranks.len() as u32;
    contents
}
