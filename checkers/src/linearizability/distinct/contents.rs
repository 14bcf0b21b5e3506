//! What queue, stack and priority queue have in common: every value is put once and taken at most
//! once, and some operations find nothing to take.
//!
//! Positions are replaced by *ranks*, `1..end`, one for each invocation and completion; at equal
//! positions invocations come first. Then `a` precedes `b` exactly if the rank of `a`'s completion
//! is less than that of `b`'s invocation, as before, but no two events share a rank.
//!
//! A take that nobody saw the result of (it is pending) may have happened or not. Without it the
//! history is judged first: if it is linearizable, it is. If not, every value that nobody is known
//! to have taken gets a take that may happen at any time since the first such operation began, or
//! never: more freedom than there is. If there is still no order, there is none. What lies between
//! the two answers is decided by counting for queues (see [`unknown_takes`]), and by the general
//! engines for the others.

use super::flaw::{self, Flaw};
use super::intervals::Cover;
use super::unknown_takes::{self, Unknown};
use super::{Decision, Item, Why};
use crate::history::NEVER;
use crate::model::Role;
use crate::value::{FastBuild, Value};
use hashbrown::HashMap;

/// No such item.
pub(super) const NONE: u32 = u32::MAX;

/// The life of one value, in ranks. Intervals are tightened: a put happens no later than its take
/// completes, a take no earlier than its put begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Index of the put.
    pub put: u32,
    /// Index of the take; [`NONE`] if nobody is known to have taken it.
    pub take: u32,
    /// When the put may happen, from …
    pub put_inv: u32,
    /// … to.
    pub put_res: u32,
    /// When the take may happen, from …
    pub take_inv: u32,
    /// … to. Both are `end` for what is never taken.
    pub take_res: u32,
}

impl Span {
    /// Index of the take, if somebody is known to have taken the value.
    pub(super) fn taken_by(&self) -> Option<u32> {
        (self.take != NONE).then_some(self.take)
    }
}

/// An operation that found nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nothing {
    /// Its index.
    pub item: u32,
    /// From when.
    pub inv: u32,
    /// To when.
    pub res: u32,
}

/// A history of puts and takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// One per value that has to be accounted for, in the order of invocation of their puts.
    pub spans: Vec<Span>,
    /// In the order of invocation.
    pub nothings: Vec<Nothing>,
    /// A rank above all others: never.
    pub end: u32,
}

/// Why contents have no order: a subset of them that has none already.
pub(super) struct Violation {
    /// Indices into [`Contents::spans`]; none can be left out, if `minimal`.
    pub spans: Vec<u32>,
    /// Index into [`Contents::nothings`] of the operation that found nothing, if it is about one.
    pub nothing: Option<u32>,
    /// The reason.
    pub why: Why,
    /// Whether shrinking came to its end.
    pub minimal: bool,
}

/// A procedure for one family: a linearization of the contents, or why there is none.
pub(super) type Solve<'a> = dyn Fn(&Contents) -> Result<Vec<u32>, Violation> + 'a;

/// What to do about takes with unknown results when it depends on which values they took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhichTaken {
    /// The first ones that nobody else took, as in a queue.
    First,
    /// Leave it to a search.
    Search,
}

/// Decides a history of puts and takes by `solve`.
pub(super) fn decide(items: &[Item], which_taken: WhichTaken, solve: &Solve<'_>) -> Decision {
    let gathered = match gather(items) {
        Ok(gathered) => gathered,
        Err(decision) => return decision,
    };
    let violation = match solve(&gathered.contents) {
        Ok(order) => return Decision::Valid(order),
        Err(violation) => violation,
    };
    let Some(&(unknown_takes_from, _)) = gathered.unknown_takes.first() else {
        return invalid(items, &gathered.contents, violation);
    };
    if flaw::on(Flaw::UnknownTakesIgnored) {
        return invalid(items, &gathered.contents, violation);
    }
    let mut freed = gathered.contents.clone();
    for span in freed.spans.iter_mut().filter(|span| span.take == NONE) {
        span.take_inv = unknown_takes_from.max(span.put_inv);
    }
    match solve(&freed) {
        Ok(_) => match which_taken {
            WhichTaken::First => {
                unknown_takes::decide(items, gathered.contents, &gathered.unknown_takes, solve)
            }
            WhichTaken::Search => Decision::NotApplicable,
        },
        Err(violation) => invalid(items, &freed, violation),
    }
}

/// The core of a violation: the take of each value, which implies its put, or else the put.
fn invalid(items: &[Item], contents: &Contents, violation: Violation) -> Decision {
    let spans = violation.spans.iter().map(|&i| &contents.spans[i as usize]);
    let mut values: Vec<Value> =
        spans.clone().filter_map(|span| put_value(&items[span.put as usize])).collect();
    let mut core: Vec<u32> = spans.map(|span| span.taken_by().unwrap_or(span.put)).collect();
    core.extend(violation.nothing.map(|i| contents.nothings[i as usize].item));
    core.sort_unstable();
    values.sort_unstable();
    Decision::Invalid { core, values, why: violation.why, minimal: violation.minimal }
}

fn put_value(item: &Item) -> Option<Value> {
    match item.role {
        Role::Put(value) => Some(value),
        _ => None,
    }
}

struct Gathered {
    contents: Contents,
    /// Takes with unknown results, in the order of invocation.
    unknown_takes: Vec<Unknown>,
}

/// Pairs puts with takes. The error is what can be said without looking at the order of values.
fn gather(items: &[Item]) -> Result<Gathered, Decision> {
    let puts = items.iter().filter(|item| matches!(item.role, Role::Put(_))).count();
    let mut span_of = HashMap::with_capacity_and_hasher(puts, FastBuild::default());
    let mut spans = Vec::with_capacity(puts);
    for (i, item) in items.iter().enumerate() {
        match item.role {
            Role::Put(value) => {
                if span_of.insert(value, spans.len()).is_some() {
                    return Err(Decision::NotApplicable);
                }
                let (put, zero) = (i as u32, 0);
                spans.push(Span {
                    put,
                    take: NONE,
                    put_inv: zero,
                    put_res: zero,
                    take_inv: zero,
                    take_res: zero,
                });
            }
            Role::Take(_) if item.is_pending() => return Err(Decision::NotApplicable),
            Role::TakeUnknown if !item.is_pending() => return Err(Decision::NotApplicable),
            Role::Take(_) | Role::TakeUnknown | Role::TakeNothing => {}
            Role::Observe(_) | Role::ObserveAll(_) => return Err(Decision::NotApplicable),
        }
    }
    let mut taken_twice = None;
    for (i, item) in items.iter().enumerate() {
        let Role::Take(value) = item.role else { continue };
        let index = i as u32;
        let Some(&id) = span_of.get(&value) else {
            return Err(lone_take(index, value, Why::NeverPut { seen_by: index, value }));
        };
        let span: &mut Span = &mut spans[id];
        if item.res < items[span.put as usize].inv && !flaw::on(Flaw::TakeBeforePutUnchecked) {
            return Err(lone_take(index, value, Why::SeenBeforePut { seen_by: index, put: span.put, value }));
        }
        if span.take != NONE {
            taken_twice = taken_twice.or(Some((span.put, span.take, index, value)));
        }
        span.take = index;
    }
    drop(span_of);
    if let Some((put, first, second, value)) = taken_twice
        && !flaw::on(Flaw::TakenTwiceUnchecked)
    {
        let mut core = vec![put, first, second];
        core.sort_unstable();
        let why = Why::TakenTwice { put, first, second };
        return Err(Decision::Invalid { core, values: vec![value], why, minimal: true });
    }
    let ranks = Ranks::of(items);
    // A put that may not have happened, of a value that nobody has, might as well not have.
    spans.retain(|span| span.take != NONE || !items[span.put as usize].is_pending());
    for span in &mut spans {
        let (put, take) = (span.put as usize, span.take as usize);
        span.put_inv = ranks.inv[put];
        (span.take_inv, span.take_res) = match span.take {
            NONE => (ranks.end, ranks.end),
            _ => (ranks.inv[take].max(span.put_inv), ranks.res[take]),
        };
        span.put_res = ranks.res[put].min(span.take_res);
    }
    let all = |role: Role| items.iter().enumerate().filter(move |(_, item)| item.role == role);
    let nothings = all(Role::TakeNothing)
        .filter(|(_, item)| item.res != NEVER)
        .map(|(i, _)| Nothing { item: i as u32, inv: ranks.inv[i], res: ranks.res[i] })
        .collect();
    let unknown_takes = all(Role::TakeUnknown).map(|(i, _)| (ranks.inv[i], i as u32)).collect();
    Ok(Gathered { contents: Contents { spans, nothings, end: ranks.end }, unknown_takes })
}

fn lone_take(index: u32, value: Value, why: Why) -> Decision {
    Decision::Invalid { core: vec![index], values: vec![value], why, minimal: true }
}

/// The events of a history, numbered from 1.
struct Ranks {
    inv: Vec<u32>,
    /// `end` for what is pending.
    res: Vec<u32>,
    end: u32,
}

impl Ranks {
    fn of(items: &[Item]) -> Ranks {
        let completed = items.iter().enumerate().filter(|(_, item)| !item.is_pending());
        let mut completions: Vec<u64> =
            completed.map(|(i, item)| u64::from(item.res) << 32 | i as u64).collect();
        completions.sort_unstable();
        let end = (items.len() + completions.len() + 1) as u32;
        let mut ranks = Ranks { inv: Vec::with_capacity(items.len()), res: vec![end; items.len()], end };
        let mut completions = completions.into_iter().peekable();
        let mut rank = 1;
        // Equal positions are concurrent: the invocation counts as the earlier of the two.
        let earlier = |res: u32, inv: u32| res < inv || (flaw::on(Flaw::EqualPositionsPrecede) && res == inv);
        for item in items {
            while let Some(key) = completions.next_if(|&key| earlier((key >> 32) as u32, item.inv)) {
                ranks.res[key as u32 as usize] = rank;
                rank += 1;
            }
            ranks.inv.push(rank);
            rank += 1;
        }
        for key in completions {
            ranks.res[key as u32 as usize] = rank;
            rank += 1;
        }
        ranks
    }
}

/// For each operation that found nothing a rank at which none of `present`, open intervals, says
/// that something was there. The error is about one that has none: provided that the values alone
/// have an order, the shortest chain of them is what cannot be left out.
pub(super) fn place_nothings(
    contents: &Contents,
    present: impl Iterator<Item = (u32, u32)>,
) -> Result<Vec<u32>, Violation> {
    let mut cover = Cover::new(contents.end);
    present.for_each(|(after, before)| cover.add(after, before));
    let mut points = Vec::with_capacity(contents.nothings.len());
    for (i, nothing) in contents.nothings.iter().enumerate() {
        let point = cover.first_free(nothing.inv);
        if point > nothing.res && !flaw::on(Flaw::NothingUnchecked) {
            let all = (0..contents.spans.len() as u32).collect();
            let spans = shortest_chain(contents, all, (nothing.inv, nothing.res));
            let puts = spans.iter().map(|&i| contents.spans[i as usize].put).collect();
            let why = Why::NothingWhilePresent { nothing: nothing.item, puts };
            return Err(Violation { spans, nothing: Some(i as u32), why, minimal: true });
        }
        points.push(point);
    }
    Ok(points)
}

/// The fewest of `candidates` whose open intervals, from `put_res` to `take_inv`, cover all of the
/// closed `window`, in the order of time. All of them together must.
pub(super) fn shortest_chain(contents: &Contents, candidates: Vec<u32>, window: (u32, u32)) -> Vec<u32> {
    let mut by_start = candidates;
    by_start.sort_unstable_by_key(|&i| contents.spans[i as usize].put_res);
    let mut candidates = by_start.into_iter().peekable();
    let mut chain = Vec::new();
    let mut reached = window.0;
    let mut best = (0, NONE);
    while reached <= window.1 {
        // Of the intervals that contain the point `reached`, the one that ends last.
        let starts_before = |&i: &u32| contents.spans[i as usize].put_res < reached;
        while let Some(i) = candidates.next_if(starts_before) {
            best = best.max((contents.spans[i as usize].take_inv, i));
        }
        assert!(best.0 > reached, "the whole window is covered");
        reached = best.0;
        chain.push(best.1);
    }
    chain
}
