//! Violations in queues of both kinds, stacks, priority queues, sets, counters and logs.

use super::object::Payload;
use super::plant::{Before, unused_value};
use super::schedule::{Record, Run};
use super::{Object, Synthetic, Violation};

/// A value's number where there is none.
const NONE: u32 = u32::MAX;
/// How far apart two elements of a log may be that change places.
const NEAR: usize = 1_000;

pub(super) fn plant(
    plan: &Synthetic,
    violation: Violation,
    run: &mut Run,
    order: impl Iterator<Item = usize>,
) -> Option<()> {
    let mut order = order.filter(|&id| run.records[id].f == 0 && !run.records[id].crashed);
    match plan.object {
        Object::FifoQueue | Object::UnorderedQueue | Object::Stack | Object::PriorityQueue => {
            let order: Vec<usize> =
                order.filter(|&id| matches!(run.records[id].output, Payload::Int(_))).collect();
            take(plan, violation, run, &order)
        }
        Object::LinearCounter => {
            let (victim, value) = match violation {
                Violation::Lost => order.find_map(|id| {
                    let victim = &run.records[id];
                    let certain = sum(run, |add| !add.crashed && add.completed < victim.invoked);
                    (certain > 0).then_some((id, certain - 1))
                })?,
                _ => {
                    let victim = order.next()?;
                    let completed = run.records[victim].completed;
                    (victim, sum(run, |add| add.invoked < completed) + 1)
                }
            };
            run.records[victim].output = Payload::Int(value);
            Some(())
        }
        _ => {
            let order: Vec<usize> = order.collect();
            whole(plan, violation, run, &order)
        }
    }
}

fn sum(run: &Run, counts: impl Fn(&Record) -> bool) -> i64 {
    let adds = run.records.iter().filter(|record| record.f > 0 && counts(record));
    adds.map(|add| if let Payload::Int(delta) = add.input { delta } else { 0 }).sum()
}

/// For each value the record that put it in, or took it out; only records that completed.
struct Whereabouts {
    put: Vec<u32>,
    taken: Vec<u32>,
}

impl Whereabouts {
    fn new(plan: &Synthetic, run: &Run) -> Whereabouts {
        let len = unused_value(plan) as usize + 1;
        let mut all = Whereabouts { put: vec![NONE; len], taken: vec![NONE; len] };
        for (id, record) in run.records.iter().enumerate().filter(|(_, record)| !record.crashed) {
            match (&record.input, &record.output) {
                (Payload::Int(value), _) => {
                    // Of equal values in a set, the one whose addition completed first.
                    let put = &mut all.put[*value as usize];
                    if *put == NONE || run.records[*put as usize].completed > record.completed {
                        *put = id as u32;
                    }
                }
                (Payload::Nil, Payload::Int(value)) => all.taken[*value as usize] = id as u32,
                _ => {}
            }
        }
        all
    }

    fn put<'r>(&self, run: &'r Run, value: i64) -> Option<&'r Record> {
        run.records.get(self.put[value as usize] as usize)
    }

    fn taken<'r>(&self, run: &'r Run, value: i64) -> Option<&'r Record> {
        run.records.get(self.taken[value as usize] as usize)
    }
}

fn taken_value(record: &Record) -> i64 {
    match record.output {
        Payload::Int(value) => value,
        _ => unreachable!("only operations that took a value are looked at"),
    }
}

/// Dequeues and pops. Values are distinct; `order` holds those that returned one.
fn take(plan: &Synthetic, violation: Violation, run: &mut Run, order: &[usize]) -> Option<()> {
    let places = Whereabouts::new(plan, run);
    match violation {
        Violation::Phantom => {
            run.records[*order.first()?].output = Payload::Int(unused_value(plan));
            return Some(());
        }
        Violation::Duplicate => {
            let taken = places.taken.iter().filter(|&&id| id != NONE);
            let takes = Before::new(taken.map(|&id| (run.records[id as usize].completed, id, 0)).collect());
            let pair = order.iter().find_map(|&id| Some((id, takes.last(run.records[id].invoked)?)));
            let (victim, first) = pair?;
            run.records[victim].output = run.records[first].output.clone();
            return Some(());
        }
        _ => {}
    }
    // Values by the end of their insertion, weighted by how late they are taken out.
    let mut stays = Vec::new();
    for value in 1..places.put.len() as i64 {
        if let (Some(put), Some(taken)) = (places.put(run, value), places.taken(run, value)) {
            stays.push((put.completed, value as u32, taken.invoked));
        }
    }
    let stays = Before::new(stays);
    for &victim in order {
        let record = &run.records[victim];
        let out = taken_value(record);
        // The value that stays longest, of those that were in before the victim began.
        let longest = |at: u32| {
            let value = stays.heaviest(at)? as i64;
            (places.taken(run, value)?.invoked > record.completed).then_some(value)
        };
        let other = match (violation, plan.object) {
            (Violation::FalseEmpty, _) => {
                if longest(record.invoked).is_some() {
                    run.records[victim].output = Payload::Nil;
                    return Some(());
                }
                None
            }
            (_, Object::Stack) => {
                // `out` was on top of it: it must have been pushed before `out` was.
                let push = places.put(run, out).filter(|push| push.completed < record.invoked);
                push.and_then(|push| longest(push.invoked))
            }
            (_, Object::PriorityQueue) => {
                let insert = places.put(run, out).filter(|insert| insert.completed < record.invoked);
                insert.and_then(|_| longest(record.invoked)).filter(|&other| other < out)
            }
            _ => behind(run, &places, record, out),
        };
        if let Some(other) = other {
            run.records[places.taken[other as usize] as usize].output = Payload::Int(out);
            run.records[victim].output = Payload::Int(other);
            return Some(());
        }
    }
    None
}

/// A value that was enqueued after `out`, before `out`'s dequeue began, and dequeued after that.
fn behind(run: &Run, places: &Whereabouts, dequeue: &Record, out: i64) -> Option<i64> {
    let enqueue = places.put(run, out)?;
    let later = run.records.partition_point(|record| record.invoked <= enqueue.completed);
    let in_queue = run.records[later..].iter().take_while(|record| record.invoked < dequeue.invoked);
    in_queue.filter(|other| !other.crashed && other.completed < dequeue.invoked).find_map(|other| {
        let Payload::Int(value) = other.input else { return None };
        (places.taken(run, value)?.invoked > dequeue.completed).then_some(value)
    })
}

/// Reads of a whole set or log; `order` holds those that completed.
fn whole(plan: &Synthetic, violation: Violation, run: &mut Run, order: &[usize]) -> Option<()> {
    let places = Whereabouts::new(plan, run);
    for &victim in order {
        let Record { invoked, output: Payload::List(members), .. } = &run.records[victim] else { continue };
        let mut members = members.clone();
        let before = |value: i64| {
            places.put(run, value).filter(|put| put.completed < *invoked).map(|put| put.completed)
        };
        match violation {
            Violation::Phantom => members.push(unused_value(plan)),
            Violation::Lost => {
                // The last to complete of those that must be there.
                let certain = (0..members.len()).filter_map(|at| Some((before(members[at])?, at)));
                let Some((_, at)) = certain.max() else { continue };
                members.remove(at);
            }
            Violation::Duplicate => {
                let Some(&last) = members.last() else { continue };
                members.push(last);
            }
            _ => {
                let sequential = |a: usize, b: usize| {
                    let (a, b) = (places.put(run, members[a]), places.put(run, members[b]));
                    a.zip(b).is_some_and(|(a, b)| a.completed < b.invoked)
                };
                let nearest = |b: usize| (b.saturating_sub(NEAR)..b).rev().find(|&a| sequential(a, b));
                let Some((a, b)) = (1..members.len()).rev().find_map(|b| Some((nearest(b)?, b))) else {
                    continue;
                };
                members.swap(a, b);
            }
        }
        run.records[victim].output = Payload::List(members);
        return Some(());
    }
    None
}
