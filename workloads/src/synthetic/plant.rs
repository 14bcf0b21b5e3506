//! Violations: a result in a correct run is replaced by one that no linearization explains.
//!
//! Each function here looks for the operation nearest to the plan's position at which the argument
//! documented at [`Violation`] holds, checks that argument on the records themselves, and only then
//! changes the result. `None` says that there is no such operation.

use super::container;
use super::object::{Micro, Payload};
use super::schedule::{Journaled, Record, Run};
use super::{Object, Position, Synthetic, Values, Violation};
use std::collections::BTreeMap;

/// How many operations are looked at in each of two nested searches.
const LOOK_AT: usize = 10_000;

/// True if values that repeat could explain the violation by chance.
pub(super) fn needs_distinct(object: Object, violation: Violation) -> bool {
    let register = matches!(object, Object::Register | Object::CasRegister);
    let sure = match violation {
        Violation::Phantom | Violation::DoubleAcquire | Violation::StaleToken => true,
        Violation::Lost => matches!(object, Object::LinearSet | Object::LinearCounter),
        Violation::StaleRead | Violation::FalseCas => register,
        _ => false,
    };
    !sure
}

pub(super) fn plant(plan: &Synthetic, violation: Violation, run: &mut Run) -> Option<()> {
    if run.planted {
        return Some(());
    }
    let distinct = plan.domain() == Values::Distinct;
    let order = search_order(plan, run.records.len());
    match (plan.object, violation) {
        (_, Violation::DoubleAcquire) => double_acquire(run, order),
        (_, Violation::StaleToken) => stale_token(run, order),
        (Object::Kv, Violation::StaleRead) => stale_text(run, order),
        (Object::Kv, Violation::Lost) => lost_piece(run, order),
        (Object::Register | Object::CasRegister | Object::MultiRegister | Object::Kv, violation) => {
            match violation {
                Violation::StaleRead | Violation::FalseCas if distinct => stale(run, order, violation),
                Violation::FutureRead => future_read(run, order),
                Violation::Phantom => phantom_read(plan, run, order),
                _ => None,
            }
        }
        _ => container::plant(plan, violation, run, order),
    }
}

/// Record numbers, those nearest to the plan's position first, later ones before earlier ones.
fn search_order(plan: &Synthetic, len: usize) -> impl Iterator<Item = usize> + use<> {
    let at = (plan.position.of(plan.operations) as usize).min(len.saturating_sub(1));
    let (ahead, back) = match plan.position {
        Position::End => (len..len, (0..len).rev()),
        _ => (at..len, (0..at).rev()),
    };
    ahead.chain(back).take(LOOK_AT)
}

/// A value that nobody puts in.
pub(super) fn unused_value(plan: &Synthetic) -> i64 {
    match plan.domain() {
        // One operation puts in at most three values.
        Values::Distinct => 3 * i64::from(plan.operations) + 1,
        Values::Range { end, .. } => i64::from(end),
    }
}

/// Intervals sorted by their end, to ask for the heaviest of those that ended before some event.
pub(super) struct Before {
    /// End, id, and the id with the largest weight up to here.
    by_end: Vec<(u32, u32, u32)>,
}

impl Before {
    /// From (end, id, weight).
    pub(super) fn new(mut intervals: Vec<(u32, u32, u32)>) -> Before {
        intervals.sort_unstable();
        let mut heaviest = (0, 0);
        for (_, id, weight) in &mut intervals {
            heaviest = heaviest.max((*weight, *id));
            *weight = heaviest.1;
        }
        Before { by_end: intervals }
    }

    /// The last to end before event `at`.
    pub(super) fn last(&self, at: u32) -> Option<usize> {
        self.upto(at).map(|entry| entry.1 as usize)
    }

    /// The heaviest of those that ended before event `at`.
    pub(super) fn heaviest(&self, at: u32) -> Option<usize> {
        self.upto(at).map(|entry| entry.2 as usize)
    }

    fn upto(&self, at: u32) -> Option<&(u32, u32, u32)> {
        self.by_end[..self.by_end.partition_point(|entry| entry.0 < at)].last()
    }
}

impl Record {
    /// The keys and values that it certainly installed, whichever way it is explained.
    fn installs(&self) -> Vec<(u32, i64)> {
        match (&self.input, &self.output) {
            _ if self.crashed => vec![],
            (Payload::Micro(micro), _) => {
                micro.iter().filter(|op| op.write).filter_map(|op| Some((op.key, op.value?))).collect()
            }
            (Payload::Pair(..), Payload::Bool(false)) => vec![],
            (Payload::Pair(_, value) | Payload::Int(value), _) => vec![(self.key, *value)],
            (Payload::Text(piece), _) => vec![(self.key, piece[0])],
            _ => vec![],
        }
    }

    /// The results that a stale, future or phantom value can stand in for, with their keys.
    fn reads(&mut self) -> Vec<(u32, &mut Payload, Option<usize>)> {
        match (&self.input, &self.output) {
            _ if self.crashed => vec![],
            (Payload::Micro(micro), _) => {
                let at = micro.iter().position(|op| !op.write);
                at.map(|at| (micro[at].key, &mut self.output, Some(at))).into_iter().collect()
            }
            (Payload::Nil, _) => vec![(self.key, &mut self.output, None)],
            _ => vec![],
        }
    }
}

fn set_read(output: &mut Payload, micro: Option<usize>, value: i64) {
    match (output, micro) {
        (Payload::Micro(ops), Some(at)) => ops[at] = Micro { value: Some(value), ..ops[at] },
        (output @ Payload::Text(_), _) => *output = Payload::Text(vec![value]),
        (output, _) => *output = Payload::Int(value),
    }
}

/// For each key, the operations that installed a value, weighted by how late they were invoked.
fn installers(run: &Run) -> BTreeMap<u32, Before> {
    let mut by_key: BTreeMap<u32, Vec<(u32, u32, u32)>> = BTreeMap::new();
    for (id, record) in run.records.iter().enumerate() {
        for (key, _) in record.installs() {
            by_key.entry(key).or_default().push((record.completed, id as u32, record.invoked));
        }
    }
    by_key.into_iter().map(|(key, intervals)| (key, Before::new(intervals))).collect()
}

/// Distinct values: `a` was written before `b`, and `b` before the victim; the victim saw `a`.
fn stale(run: &mut Run, order: impl Iterator<Item = usize>, violation: Violation) -> Option<()> {
    let installers = installers(run);
    for victim in order {
        let invoked = run.records[victim].invoked;
        // The `a` that was last to complete before the `b` that was last to be invoked.
        let overwritten = |records: &[Record], key: u32| {
            let installers = installers.get(&key)?;
            let b = installers.heaviest(invoked)?;
            let a = installers.last(records[b].invoked)?;
            records[a].installs().iter().find(|install| install.0 == key).map(|install| install.1)
        };
        if violation == Violation::FalseCas {
            let record = &run.records[victim];
            let (Payload::Pair(_, to), Payload::Bool(false)) = (&record.input, &record.output) else {
                continue;
            };
            let (to, crashed) = (*to, record.crashed);
            if let Some(value) = overwritten(&run.records, record.key).filter(|_| !crashed) {
                let record = &mut run.records[victim];
                record.input = Payload::Pair(value, to);
                record.output = record.input.clone();
                return Some(());
            }
            continue;
        }
        let Some(key) = run.records[victim].reads().first().map(|read| read.0) else { continue };
        if let Some(value) = overwritten(&run.records, key) {
            let (_, output, micro) = run.records[victim].reads().remove(0);
            set_read(output, micro, value);
            return Some(());
        }
    }
    None
}

/// Distinct values: the read completed before the write of what it saw was invoked.
fn future_read(run: &mut Run, order: impl Iterator<Item = usize>) -> Option<()> {
    for victim in order {
        let completed = run.records[victim].completed;
        let Some(key) = run.records[victim].reads().first().map(|read| read.0) else { continue };
        let later = run.records[victim..].iter().take(LOOK_AT).filter(|record| record.invoked > completed);
        let mut values = later.flat_map(Record::installs).filter(|install| install.0 == key);
        if let Some((_, value)) = values.next() {
            drop(values);
            let (_, output, micro) = run.records[victim].reads().remove(0);
            set_read(output, micro, value);
            return Some(());
        }
    }
    None
}

fn phantom_read(plan: &Synthetic, run: &mut Run, order: impl Iterator<Item = usize>) -> Option<()> {
    for victim in order {
        if let Some((_, output, micro)) = run.records[victim].reads().pop() {
            if plan.object == Object::Kv {
                *output = Payload::Text(vec![unused_value(plan)]);
            } else {
                set_read(output, micro, unused_value(plan));
            }
            return Some(());
        }
    }
    None
}

/// The record that put each piece in, of those that completed.
fn putters(run: &Run) -> BTreeMap<i64, usize> {
    let pieces = run.records.iter().enumerate();
    pieces.flat_map(|(id, record)| record.installs().into_iter().map(move |it| (it.1, id))).collect()
}

/// A `get` sees the whole state that an earlier one saw. That state ends in `a`, so it is the state
/// right after `a` and no other; but `b` came after `a` and before the victim.
fn stale_text(run: &mut Run, order: impl Iterator<Item = usize>) -> Option<()> {
    let (installers, putters) = (installers(run), putters(run));
    for victim in order {
        let Record { key, invoked, crashed, f, .. } = run.records[victim];
        let Some(b) = installers.get(&key).and_then(|it| it.heaviest(invoked)) else { continue };
        if f != 0 || crashed {
            continue;
        }
        let before_b = |pieces: &Vec<i64>| {
            let a = pieces.last().and_then(|piece| putters.get(piece));
            a.is_some_and(|&a| run.records[a].completed < run.records[b].invoked)
        };
        let earlier = run.records[..victim].iter().rev().take(LOOK_AT);
        let seen =
            earlier.filter(|record| record.key == key && record.f == 0).find_map(|record| {
                match &record.output {
                    Payload::Text(pieces) if before_b(pieces) => Some(pieces.clone()),
                    _ => None,
                }
            });
        if let Some(pieces) = seen {
            run.records[victim].output = Payload::Text(pieces);
            return Some(());
        }
    }
    None
}

/// A `get` lacks a piece in the middle. The piece that the string starts with was put before it, so
/// nothing wiped it out: a later put would be what the string starts with.
fn lost_piece(run: &mut Run, order: impl Iterator<Item = usize>) -> Option<()> {
    let putters = putters(run);
    for victim in order {
        let record = &run.records[victim];
        let (0, false, Payload::Text(pieces)) = (record.f, record.crashed, &record.output) else { continue };
        // A string that starts with an append was never put, nor was one before it.
        let Some(&first) = putters.get(&pieces[0]) else { continue };
        let first = &run.records[first];
        let lost = (1..pieces.len()).rev().find(|&at| {
            putters.get(&pieces[at]).is_some_and(|&append| {
                let append = &run.records[append];
                let after_first = first.f == 2 || first.completed < append.invoked;
                append.f == 2 && after_first && append.completed < record.invoked
            })
        });
        if let Some(at) = lost
            && let Payload::Text(pieces) = &mut run.records[victim].output
        {
            pieces.remove(at);
            return Some(());
        }
    }
    None
}

/// The next holder's acquire completes at once after the holder's own, before the holder's release
/// was invoked. Without crashes, acquires that completed may outnumber releases that were invoked by
/// one, never by two; and where one client may acquire twice, that two clients each have completed
/// more acquires than they have invoked releases is still one client too many.
fn double_acquire(run: &mut Run, order: impl Iterator<Item = usize>) -> Option<()> {
    let first_crash = run.records.iter().find(|record| record.crashed).map_or(u32::MAX, |r| r.invoked);
    let mut acquires: Vec<usize> = (0..run.records.len()).filter(|&id| run.records[id].f == 0).collect();
    acquires.sort_unstable_by_key(|&id| run.records[id].completed);
    for holder in order {
        let (completed, f) = (run.records[holder].completed, run.records[holder].f);
        let next = acquires.partition_point(|&id| run.records[id].completed <= completed);
        let Some(&next) = acquires.get(next).filter(|_| f == 0) else { continue };
        let (invoked, later) = (run.records[next].invoked, run.records[next].completed);
        if invoked >= completed || completed >= first_crash || run.records[next].crashed {
            continue;
        }
        // Move the completion forward; the events in between each come one place later.
        let time_ns = run.events[completed as usize].time_ns;
        if later != u32::MAX {
            run.events.remove(later as usize);
        }
        run.events.insert(completed as usize + 1, Journaled { time_ns, record: next as u32 });
        return Some(());
    }
    None
}

/// The victim gets the token of an acquire that completed before it was invoked.
fn stale_token(run: &mut Run, mut order: impl Iterator<Item = usize>) -> Option<()> {
    let granted = run.records.iter().enumerate().filter(|(_, record)| token(record).is_some());
    let grants = Before::new(granted.map(|(id, record)| (record.completed, id as u32, 0)).collect());
    let (victim, earlier) = order.find_map(|id| {
        token(&run.records[id])?;
        Some((id, grants.last(run.records[id].invoked)?))
    })?;
    let stale = token(&run.records[earlier]);
    if let Payload::Client { token, .. } = &mut run.records[victim].output {
        *token = stale;
    }
    Some(())
}

/// The fencing token that the record was seen to get.
fn token(record: &Record) -> Option<i64> {
    match record.output {
        Payload::Client { token, .. } if !record.crashed && record.completed != u32::MAX => token,
        _ => None,
    }
}
