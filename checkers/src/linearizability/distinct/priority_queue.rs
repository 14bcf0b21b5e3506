//! A priority queue whose priorities are distinct: a take returns the largest (Bouajjani, Enea & Wang
//! 2017 reduce this to patterns; here it is one greedy pass).
//!
//! A value is certainly present in the open interval from its put's completion to its take's
//! invocation, and can be taken at a moment only if no larger one is certainly present then. So
//! there is no order if the whole interval of a take (from its put's invocation on, if that is
//! later) is covered by such intervals of larger values, or that of an operation that found nothing
//! by those of any.
//!
//! Otherwise there is one. From the largest value to the smallest, let `p` be the first moment at
//! which the take may happen outside what larger values cover. If `p` is later than the take's
//! invocation, all up to `p` was covered already; so staying until `p` makes the value cover nothing
//! that it or a larger one did not cover anyway, and delays do not add up.
//!
//! Construction: take at `p`; put at the put's completion or at `p`, whichever is first. Events of
//! one moment come in this order: takes of what was put before, largest first; values put and taken
//! here; what finds nothing; puts of what is taken later. Whatever is present across a moment covers
//! it, so every take of that moment is of something larger.

use super::contents::{Contents, NONE, Violation, WhichTaken, place_nothings, shortest_chain};
use super::flaw::{self, Flaw};
use super::intervals::Cover;
use super::{Decision, Item, Why, contents};
use crate::model::Role;
use crate::value::Values;
use std::cmp::Reverse;

/// Decides a priority queue. O(n log n) time, O(n) memory.
pub(super) fn decide(items: &[Item], values: &Values) -> Decision {
    let mut priorities = vec![0; items.len()];
    for (i, item) in items.iter().enumerate() {
        if let Role::Put(value) = item.role {
            match values.int_of(value) {
                Some(priority) => priorities[i] = priority,
                None => return Decision::NotApplicable,
            }
        }
    }
    contents::decide(items, WhichTaken::Search, &|contents| solve(contents, &priorities))
}

fn solve(contents: &Contents, priorities: &[i64]) -> Result<Vec<u32>, Violation> {
    let placed = place(contents, priorities)?;
    Ok(linearization(contents, &placed))
}

/// Where everything goes, in ranks.
struct Placed {
    /// Spans from the largest value to the smallest.
    descending: Vec<u32>,
    /// When each span is taken; `end` for never.
    taken_at: Vec<u32>,
    /// When each of those that found nothing does.
    nothings_at: Vec<u32>,
}

fn place(contents: &Contents, priorities: &[i64]) -> Result<Placed, Violation> {
    let spans = &contents.spans;
    let mut by_priority: Vec<(Reverse<i64>, u32)> = Vec::with_capacity(spans.len());
    by_priority.extend((0..).zip(spans).map(|(i, span)| (Reverse(priorities[span.put as usize]), i)));
    by_priority.sort_unstable();
    let descending: Vec<u32> = by_priority.into_iter().map(|(_, i)| i).collect();
    let mut taken_at = vec![contents.end; spans.len()];
    let mut cover = Cover::new(contents.end);
    for (place, &i) in descending.iter().enumerate() {
        let span = &spans[i as usize];
        let mut point = cover.first_free(span.take_inv);
        if point > span.take_res {
            if !flaw::on(Flaw::LargerValueUnchecked) {
                return Err(larger_present(contents, i, &descending[..place]));
            }
            point = span.take_inv;
        }
        if !flaw::on(Flaw::NeverTakenUnchecked) || span.take != NONE {
            cover.add(span.put_res, span.take_inv);
        }
        taken_at[i as usize] = point;
    }
    let present = spans.iter().map(|span| (span.put_res, span.take_inv));
    let nothings_at = place_nothings(contents, present)?;
    Ok(Placed { descending, taken_at, nothings_at })
}

/// The take of span `i` has no moment, because of values among `larger`. Takes of those have one
/// each, so the shortest chain of them is what cannot be left out.
fn larger_present(contents: &Contents, i: u32, larger: &[u32]) -> Violation {
    let span = &contents.spans[i as usize];
    let mut spans = shortest_chain(contents, larger.to_vec(), (span.take_inv, span.take_res));
    let larger = spans.iter().map(|&i| contents.spans[i as usize].put).collect();
    let why = Why::LargerPresent { put: span.put, take: span.take, larger };
    spans.push(i);
    Violation { spans, nothing: None, why, minimal: true }
}

/// The events by moment, phase within the moment, and value from the largest to the smallest.
fn linearization(contents: &Contents, placed: &Placed) -> Vec<u32> {
    const TAKE: u64 = 0;
    const PUT_AND_TAKE: u64 = 1;
    const NOTHING: u64 = 2;
    const PUT: u64 = 3;
    let event = |point: u32, phase: u64, index: usize| u64::from(point) << 32 | phase << 30 | index as u64;
    let mut events = Vec::with_capacity(2 * contents.spans.len() + contents.nothings.len());
    for (index, &i) in placed.descending.iter().enumerate() {
        let (span, point) = (&contents.spans[i as usize], placed.taken_at[i as usize]);
        if span.put_res >= point {
            events.push(event(point, PUT_AND_TAKE, index));
            continue;
        }
        events.push(event(span.put_res, PUT, index));
        if span.take != NONE {
            events.push(event(point, TAKE, index));
        }
    }
    for (index, &point) in placed.nothings_at.iter().enumerate() {
        events.push(event(point, NOTHING, index));
    }
    events.sort_unstable();
    let mut order = Vec::with_capacity(2 * contents.spans.len() + contents.nothings.len());
    for event in events {
        let index = (event & ((1 << 30) - 1)) as usize;
        let span = |index: usize| &contents.spans[placed.descending[index] as usize];
        match event >> 30 & 3 {
            TAKE => order.push(span(index).take),
            PUT_AND_TAKE => order.extend([span(index).put, span(index).take]),
            NOTHING => order.push(contents.nothings[index].item),
            PUT.. => order.push(span(index).put),
        }
    }
    order
}
