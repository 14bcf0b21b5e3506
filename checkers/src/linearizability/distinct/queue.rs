//! A first-in-first-out queue whose values are distinct (Henzinger, Sezgin & Vafeiadis 2013).
//!
//! There is a linearization if and only if
//!
//! 1. no value is put before another and taken after it:
//!
//! ```text
//!    |--put a--|   |--put b--|   |--take b--|   |--take a--|     (or a is never taken)
//! ```
//!
//! 2. each operation that found nothing has a moment `p` at which no value was certainly present,
//!    that is, `p` is not inside the open interval from a put's completion to its take's invocation.
//!
//! Construction, which is also the proof. Let `a` come before `b` if the put of `a` precedes that
//! of `b`, or the take of `a` precedes that of `b`. Each of the two is an interval order: from
//! `a1 < a2` and `a3 < a4` follows `a1 < a4` or `a3 < a2`. So if their union had a cycle, it would
//! have one with two members, and that is what (1) excludes. An operation that found nothing joins
//! as a value that is put and taken at `p`; by (2) it is in no two-cycle either. Take any linear
//! extension, and give the put of the k-th value the time at which all puts up to the k-th have
//! been invoked, its take the time at which all takes and puts up to the k-th have. No value's time
//! exceeds its completion, or an earlier member would have to come after it; puts and takes happen
//! in the same order; and at `p` everything before is gone, everything later has not come.

use super::Why;
use super::contents::{Contents, NONE, Span, Violation, place_nothings};
use super::flaw::{self, Flaw};
use std::collections::VecDeque;

/// Decides a queue. O(n log n) time, O(n) memory.
pub(super) fn solve(contents: &Contents) -> Result<Vec<u32>, Violation> {
    if let Some(violation) = find_overtaking(&contents.spans) {
        return Err(violation);
    }
    let present = contents.spans.iter().map(|span| (span.put_res, span.take_inv));
    let points = place_nothings(contents, present)?;
    let nothings = contents.nothings.iter().zip(points).map(|(nothing, p)| {
        let item = nothing.item;
        Span { put: item, take: item, put_inv: p, put_res: p, take_inv: p, take_res: p }
    });
    let entries: Vec<Span> = contents.spans.iter().copied().chain(nothings).collect();
    Ok(merge(&linear_extension(entries)))
}

/// Two values that were put in one order and taken in the other.
fn find_overtaking(spans: &[Span]) -> Option<Violation> {
    let by_put_res = sorted_by(spans, |span| span.put_res);
    let mut earlier = by_put_res.into_iter().peekable();
    // Of the values put before, the one whose take begins last.
    let mut last_taken = (0, NONE);
    for (second, span) in spans.iter().enumerate() {
        while let Some(i) = earlier.next_if(|&i| spans[i as usize].put_res < span.put_inv) {
            last_taken = last_taken.max((spans[i as usize].take_inv, i));
        }
        let (take_inv, first) = last_taken;
        let never =
            flaw::on(Flaw::NeverTakenUnchecked) && first != NONE && spans[first as usize].take == NONE;
        if take_inv > span.take_res && !never && !flaw::on(Flaw::OvertakingUnchecked) {
            let (a, b) = (&spans[first as usize], span);
            let why = Why::Overtaken {
                first_put: a.put,
                first_take: a.taken_by(),
                second_put: b.put,
                second_take: b.take,
            };
            return Some(Violation { spans: vec![first, second as u32], nothing: None, why, minimal: true });
        }
    }
    None
}

/// The entries in an order in which none comes before another whose put, or whose take, precedes
/// its own. Linear after sorting: an entry is next as soon as both its put and its take have been
/// invoked when the first of those left completes.
fn linear_extension(entries: Vec<Span>) -> Vec<Span> {
    let orders = [
        [sorted_by(&entries, |e| e.put_inv), sorted_by(&entries, |e| e.put_res)],
        [sorted_by(&entries, |e| e.take_inv), sorted_by(&entries, |e| e.take_res)],
    ];
    let mut invoked = [0; 2];
    let mut completed = [0; 2];
    // How many of the two conditions hold; 3 once the entry is in the order.
    let mut state = vec![0u8; entries.len()];
    let mut ready = Vec::new();
    let mut extension = Vec::with_capacity(entries.len());
    while extension.len() < entries.len() {
        for which in 0..2 {
            let [by_inv, by_res] = &orders[which];
            let bounds = |e: &Span| [(e.put_inv, e.put_res), (e.take_inv, e.take_res)][which];
            while state[by_res[completed[which]] as usize] == 3 {
                completed[which] += 1;
            }
            let deadline = bounds(&entries[by_res[completed[which]] as usize]).1;
            while let Some(&i) = by_inv.get(invoked[which])
                && bounds(&entries[i as usize]).0 <= deadline
            {
                invoked[which] += 1;
                state[i as usize] += 1;
                if state[i as usize] == 2 {
                    ready.push(i);
                }
            }
        }
        let next = ready.pop().expect("two interval orders without a common two-cycle have no cycle");
        state[next as usize] = 3;
        extension.push(entries[next as usize]);
    }
    extension
}

/// Puts and takes of the entries, each in that order, at the times that the module doc gives.
fn merge(entries: &[Span]) -> Vec<u32> {
    let mut order = Vec::with_capacity(2 * entries.len());
    let take = |entry: &Span, order: &mut Vec<u32>| {
        order.extend(entry.taken_by().filter(|&take| take != entry.put));
    };
    let mut put_time = 0;
    let mut take_time = 0;
    let mut waiting = VecDeque::new();
    for entry in entries {
        put_time = entry.put_inv.max(put_time);
        while let Some((entry, _)) = waiting.pop_front_if(|&mut (_, time)| time <= put_time) {
            take(entry, &mut order);
        }
        order.push(entry.put);
        take_time = entry.take_inv.max(put_time).max(take_time);
        waiting.push_back((entry, take_time));
    }
    waiting.into_iter().for_each(|(entry, _)| take(entry, &mut order));
    order
}

/// Indices of `spans` by one of their bounds.
fn sorted_by(spans: &[Span], bound: impl Fn(&Span) -> u32) -> Vec<u32> {
    let mut keys: Vec<u64> =
        spans.iter().enumerate().map(|(i, span)| u64::from(bound(span)) << 32 | i as u64).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| key as u32).collect()
}
