//! Fewest values that still exclude every order, where theory does not name them.
//!
//! What is impossible for some values is impossible for more of them, so a minimal subset can be
//! found one member at a time: line the candidates up, find the shortest impossible prefix by
//! bisection, and its last member is needed; keep it, drop what comes after, and go on with the rest
//! of the prefix. For a core of k among n values that asks O(k log n) questions, most of them small
//! ones, because the first prefix is looked for by doubling.

use super::contents::{Contents, Span};

/// How many values all questions together may look at.
const EFFORT_MAX: usize = 20_000_000;

/// The members of `candidates` (indices of spans, most suspicious first) that `is_impossible` needs,
/// ascending, and whether they are minimal. All candidates together must be impossible.
pub(super) fn shrink(
    contents: &Contents,
    candidates: Vec<u32>,
    is_impossible: &dyn Fn(&Contents) -> bool,
) -> (Vec<u32>, bool) {
    let mut needed: Vec<u32> = Vec::new();
    let mut prefix = candidates;
    let mut effort = 0;
    let mut impossible_with = |needed: &[u32], prefix: &[u32]| {
        effort += needed.len() + prefix.len();
        let members = needed.iter().chain(prefix).map(|&i| contents.spans[i as usize]);
        (is_impossible(&compressed(contents, members.collect())), effort < EFFORT_MAX)
    };
    let mut minimal = true;
    while minimal {
        // `low` is known to be too short, `high` to be long enough.
        let (mut low, mut high) = (0, prefix.len());
        let (mut enough, mut go_on) = impossible_with(&needed, &[]);
        if enough {
            prefix.clear();
            break;
        }
        let mut step = 8;
        while high - low > 1 && go_on {
            let middle = if step < (high - low) / 2 { low + step } else { low + (high - low) / 2 };
            (enough, go_on) = impossible_with(&needed, &prefix[..middle]);
            if enough {
                high = middle;
                step = prefix.len();
            } else {
                low = middle;
                step *= 2;
            }
        }
        minimal = go_on;
        prefix.truncate(high);
        if minimal {
            needed.extend(prefix.pop());
        }
    }
    needed.extend(prefix);
    needed.sort_unstable();
    (needed, minimal)
}

/// Those spans with all that found nothing, ranks renumbered without gaps.
fn compressed(contents: &Contents, mut spans: Vec<Span>) -> Contents {
    spans.sort_unstable_by_key(|span| span.put_inv);
    let mut nothings = contents.nothings.clone();
    let mut ranks: Vec<u32> = Vec::with_capacity(4 * spans.len() + 2 * nothings.len());
    for span in &spans {
        ranks.extend([span.put_inv, span.put_res, span.take_inv, span.take_res]);
    }
    for nothing in &nothings {
        ranks.extend([nothing.inv, nothing.res]);
    }
    ranks.push(contents.end);
    ranks.sort_unstable();
    ranks.dedup();
    let renumber = |rank: &mut u32| {
        *rank = 1 + ranks.binary_search(rank).expect("every rank was collected") as u32;
    };
    for span in &mut spans {
        let Span { put_inv, put_res, take_inv, take_res, .. } = span;
        [put_inv, put_res, take_inv, take_res].into_iter().for_each(renumber);
    }
    for nothing in &mut nothings {
        [&mut nothing.inv, &mut nothing.res].into_iter().for_each(renumber);
    }
    Contents { spans, nothings, end: ranks.len() as u32 }
}
