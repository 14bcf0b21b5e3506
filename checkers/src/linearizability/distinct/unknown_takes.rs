//! A queue of which some takes never returned: which values did those take?
//!
//! Such a take may happen at any time after its invocation, or never, and only of a value that no
//! other take returned. Let `u1, u2, …` be those values by the completion of their puts, and
//! `t1, t2, …` the invocations of the takes in question. If the history has an order at all, it has
//! one in which `t1` takes `u1`, `t2` takes `u2`, and so on; what is left over is never taken.
//!
//! Why: a value blocks others, and those that find nothing, from its put's completion until it is
//! taken. For two values that complete at `e1 < e2` and takes that begin at `t1 < t2`, the other way
//! round blocks from `e1` to `t2` at least, which holds all of `e1..t1` and `e2..t2`; and whatever
//! `u2` must make way for was put after `u1` as well. Never taken is `t = ∞`.
//!
//! The proof that there is no order is a count: until some moment only so many takes had begun, and
//! one value more had been put.

use super::contents::{Contents, NONE, Solve, Span, Violation};
use super::flaw::{self, Flaw};
use super::shrink::compressed;
use super::{Decision, Item, Why};
use crate::model::Role;
use crate::value::Value;

/// A take whose result nobody saw: rank of its invocation, index of the operation.
pub(super) type Unknown = (u32, u32);

/// How many values all attempts to make a core smaller may look at.
const EFFORT_MAX: usize = 1 << 20;

/// Decides `contents` of which nobody is known to have taken some values, given the takes that may
/// have, sorted. O(n log n), but for making a core small.
pub(super) fn decide(items: &[Item], contents: Contents, takes: &[Unknown], solve: &Solve<'_>) -> Decision {
    let stuck = stuck(&contents.spans);
    let mut given = contents.clone();
    give(&mut given.spans, &stuck, takes);
    match solve(&given) {
        Ok(order) => Decision::Valid(order),
        Err(violation) => {
            Core::of(&contents, &stuck, takes, &violation, solve).decision(items, violation.why)
        }
    }
}

/// Values that nobody is known to have taken, by the completion of their puts.
fn stuck(spans: &[Span]) -> Vec<u32> {
    let mut stuck: Vec<u32> = (0..spans.len() as u32).filter(|&i| spans[i as usize].take == NONE).collect();
    stuck.sort_unstable_by_key(|&i| spans[i as usize].put_res);
    if flaw::on(Flaw::UnknownTakesReversed) {
        stuck.reverse();
    }
    stuck
}

fn give(spans: &mut [Span], stuck: &[u32], takes: &[Unknown]) {
    for (&i, &(rank, take)) in stuck.iter().zip(takes) {
        let span = &mut spans[i as usize];
        span.take = take;
        span.take_inv = rank.max(span.put_inv);
    }
}

/// Values and takes that have no order among themselves: the takes at most once each, every other
/// unknown take as often as anyone likes.
struct Core<'c> {
    contents: &'c Contents,
    all_takes: &'c [Unknown],
    /// Indices of spans, ascending.
    values: Vec<u32>,
    /// Indices into `all_takes`, ascending.
    takes: Vec<usize>,
    /// Index into [`Contents::nothings`].
    nothing: Option<u32>,
    minimal: bool,
}

impl<'c> Core<'c> {
    fn of(
        contents: &'c Contents,
        stuck: &[u32],
        all_takes: &'c [Unknown],
        violation: &Violation,
        solve: &Solve<'_>,
    ) -> Core<'c> {
        let mut values = violation.spans.clone();
        let mut take_count = 0;
        for span in &violation.spans {
            // The k-th blocks because the takes before its own are not enough for it as well.
            if let Some(k) = stuck.iter().position(|other| other == span) {
                let others = k.min(all_takes.len());
                values.extend(&stuck[..others]);
                take_count = take_count.max(others);
            }
        }
        values.sort_unstable();
        values.dedup();
        let takes = (0..take_count).collect();
        let mut core = Core { contents, all_takes, values, takes, nothing: violation.nothing, minimal: true };
        assert!(core.is_impossible(solve), "what the core leaves out does not matter");
        core.shrink(solve);
        core
    }

    /// Demanding less never makes a possible history impossible, so one pass is enough.
    fn shrink(&mut self, solve: &Solve<'_>) {
        let mut effort = 0;
        let mut at = 0;
        while at < self.takes.len() + self.values.len() {
            effort += self.takes.len() + self.values.len();
            if effort > EFFORT_MAX {
                self.minimal = false;
                return;
            }
            let kept = (self.takes.clone(), self.values.clone());
            if at < self.takes.len() {
                self.takes.remove(at);
            } else {
                self.values.remove(at - self.takes.len());
            }
            if !self.is_impossible(solve) {
                (self.takes, self.values) = kept;
                at += 1;
            }
        }
    }

    fn is_impossible(&self, solve: &Solve<'_>) -> bool {
        let free = (0..self.all_takes.len()).find(|i| !self.takes.contains(i));
        let free_from = free.map_or(self.contents.end, |i| self.all_takes[i].0);
        let mut spans: Vec<Span> = self.values.iter().map(|&i| self.contents.spans[i as usize]).collect();
        let takes: Vec<Unknown> = self.takes.iter().map(|&i| self.all_takes[i]).collect();
        let stuck = stuck(&spans);
        give(&mut spans, &stuck, &takes);
        for i in stuck {
            let span = &mut spans[i as usize];
            span.take_inv = span.take_inv.min(free_from.max(span.put_inv));
        }
        let nothings = self.nothing.map(|i| self.contents.nothings[i as usize]);
        let contents = Contents { spans, nothings: nothings.into_iter().collect(), end: self.contents.end };
        solve(&compressed(contents)).is_err()
    }

    fn decision(self, items: &[Item], why: Why) -> Decision {
        let spans = self.values.iter().map(|&i| &self.contents.spans[i as usize]);
        let value = |span: &Span| match items[span.put as usize].role {
            Role::Put(value) => Some(value),
            _ => None,
        };
        let mut values: Vec<Value> = spans.clone().filter_map(value).collect();
        values.sort_unstable();
        let puts: Vec<u32> = spans.clone().filter(|span| span.take == NONE).map(|span| span.put).collect();
        let takes: Vec<u32> = self.takes.iter().map(|&i| self.all_takes[i].1).collect();
        let mut core: Vec<u32> = spans.map(|span| span.taken_by().unwrap_or(span.put)).collect();
        core.extend(&takes);
        core.extend(self.nothing.map(|i| self.contents.nothings[i as usize].item));
        core.sort_unstable();
        let why = Why::TooFewTakes { puts, takes, then: Box::new(without_takes(why, items)) };
        Decision::Invalid { core, values, why, minimal: self.minimal }
    }
}

/// The reason in terms of what is known: an unknown take is not known to have taken anything.
fn without_takes(why: Why, items: &[Item]) -> Why {
    match why {
        Why::Overtaken { first_put, first_take, second_put, second_take } => Why::Overtaken {
            first_put,
            first_take: first_take.filter(|&take| items[take as usize].role != Role::TakeUnknown),
            second_put,
            second_take,
        },
        why => why,
    }
}
