//! Exhaustive search over what small histories may mean. Shares nothing with the procedures but the
//! types of a question and its answer.

use super::super::{Decision, Item};
use crate::history::NEVER;
use crate::model::{Family, Role};
use crate::value::{Datum, FastBuild, Value, Values};
use std::collections::HashSet;

/// How often an operation may take effect in an order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Times {
    least: u8,
    most: u8,
}

/// Enough repetitions to stand for "any number": a further put of a value can only help one more
/// operation that has to take effect, and a core has few of those on one value.
const ANY_NUMBER: u8 = 3;

/// Small histories of one family.
pub(super) struct Oracle<'h> {
    pub(super) family: Family,
    pub(super) initial: Value,
    pub(super) values: &'h Values,
}

impl Oracle<'_> {
    /// Whether the history is linearizable: completed operations once, pending ones at most once.
    pub(super) fn is_linearizable(&self, items: &[Item]) -> bool {
        let times = |item: &Item| Times { least: u8::from(item.res != NEVER), most: 1 };
        let times: Vec<Times> = items.iter().map(times).collect();
        self.is_possible(items, &times, None)
    }

    /// Whether what a core claims is false: its operations can all be placed, in the projection onto
    /// `about`, when the others are free.
    pub(super) fn can_place(&self, items: &[Item], core: &[u32], about: &[Value]) -> bool {
        let on_other_value = |item: &Item| match item.role {
            Role::Put(value) | Role::Take(value) | Role::Observe(value) => !about.contains(&value),
            Role::TakeUnknown | Role::TakeNothing | Role::ObserveAll(_) => false,
        };
        let mut projection = Vec::new();
        let mut times = Vec::new();
        for (i, item) in items.iter().enumerate() {
            if on_other_value(item) {
                assert!(
                    !core.contains(&(i as u32)),
                    "a core is about its values: {items:?} {core:?} {about:?}"
                );
                continue;
            }
            projection.push(*item);
            times.push(match core.contains(&(i as u32)) {
                true => Times { least: u8::from(item.res != NEVER), most: 1 },
                false => Times { least: 0, most: ANY_NUMBER },
            });
        }
        self.is_possible(&projection, &times, Some(about))
    }

    /// Depth-first over (how often each was placed, state, latest invocation so far): an order is
    /// possible exactly if each operation completes no earlier than any before it was invoked.
    fn is_possible(&self, items: &[Item], times: &[Times], about: Option<&[Value]>) -> bool {
        let start = match self.family {
            Family::Register => vec![self.initial],
            _ => Vec::new(),
        };
        let first = (vec![0u8; items.len()], start, 0u32);
        let mut seen: HashSet<_, FastBuild> = HashSet::default();
        seen.insert(first.clone());
        let mut stack = vec![first];
        while let Some((placed, state, time)) = stack.pop() {
            if (0..items.len()).all(|i| placed[i] >= times[i].least) {
                return true;
            }
            for (i, item) in items.iter().enumerate() {
                if item.res < time || placed[i] == times[i].most {
                    continue;
                }
                for next in self.step(&state, item.role, about) {
                    let mut placed = placed.clone();
                    placed[i] += 1;
                    let config = (placed, next, time.max(item.inv));
                    if seen.insert(config.clone()) {
                        stack.push(config);
                    }
                }
            }
        }
        false
    }

    /// The states that `role` may lead to: none if its result is impossible. The front of a queue is
    /// at index 0, the top of a stack at the end; the others keep their members sorted.
    fn step(&self, state: &[Value], role: Role, about: Option<&[Value]>) -> Vec<Vec<Value>> {
        let without = |i: usize| [&state[..i], &state[i + 1..]].concat();
        let exit = match (self.family, state.len()) {
            (_, 0) => None,
            (Family::Queue, _) => Some(0),
            (Family::Stack, n) => Some(n - 1),
            _ => (0..state.len()).max_by_key(|&i| self.values.int_of(state[i])),
        };
        match (self.family, role) {
            (Family::Register, Role::Put(value)) => vec![vec![value]],
            (Family::Register, Role::Observe(value)) if state == [value] => vec![state.to_vec()],
            (Family::Register, _) => vec![],
            (Family::GrowSet, Role::Put(value)) => {
                let mut members = [state, &[value]].concat();
                members.sort_unstable();
                members.dedup();
                vec![members]
            }
            (Family::GrowSet, Role::ObserveAll(seen)) => {
                let mut seen = self.members(seen);
                seen.retain(|member| about.is_none_or(|about| about.contains(member)));
                if seen == state { vec![state.to_vec()] } else { vec![] }
            }
            (Family::GrowSet, _) => vec![],
            (Family::PriorityQueue, Role::Put(value)) => {
                let mut members = [state, &[value]].concat();
                members.sort_unstable();
                vec![members]
            }
            (_, Role::Put(value)) => vec![[state, &[value]].concat()],
            (_, Role::Take(value)) => match exit {
                Some(i) if state[i] == value => vec![without(i)],
                _ => vec![],
            },
            (_, Role::TakeUnknown) => exit.map(without).into_iter().collect(),
            (_, Role::TakeNothing) if state.is_empty() => vec![vec![]],
            (_, Role::TakeNothing) => vec![],
            (_, Role::Observe(_) | Role::ObserveAll(_)) => vec![],
        }
    }

    fn members(&self, collection: Value) -> Vec<Value> {
        let mut members = match self.values.get(collection) {
            Datum::Nil => vec![],
            Datum::List(members) | Datum::Set(members) => members.to_vec(),
            other => panic!("not a collection: {other:?}"),
        };
        members.sort_unstable();
        members.dedup();
        members
    }

    /// Replays an order: real time, every completed operation once, no pending one twice, and the
    /// object agreeing with every result.
    pub(super) fn replay(&self, items: &[Item], order: &[u32]) -> Result<(), String> {
        let mut placed = vec![false; items.len()];
        let mut state = match self.family {
            Family::Register => vec![self.initial],
            _ => Vec::new(),
        };
        let mut time = 0;
        for &i in order {
            let item = items[i as usize];
            if std::mem::replace(&mut placed[i as usize], true) {
                return Err(format!("{i} is placed twice"));
            }
            if item.res < time {
                return Err(format!("{i} comes too late"));
            }
            time = time.max(item.inv);
            state = self.step(&state, item.role, None).pop().ok_or_else(|| format!("{i} is impossible"))?;
        }
        match (0..items.len()).find(|&i| !placed[i] && items[i].res != NEVER) {
            Some(i) => Err(format!("{i} is left out")),
            None => Ok(()),
        }
    }

    /// Everything that a decision claims, checked. `Err` says what is wrong with it.
    pub(super) fn judge(&self, items: &[Item], decision: &Decision) -> Result<(), String> {
        match decision {
            Decision::Valid(order) => self.replay(items, order),
            Decision::NotApplicable => Ok(()),
            Decision::Invalid { core, values, minimal, .. } => {
                if self.is_linearizable(items) {
                    return Err("it is linearizable".into());
                }
                if !core.is_sorted_by(|a, b| a < b) || !values.is_sorted_by(|a, b| a < b) {
                    return Err("core and values are sets in ascending order".into());
                }
                if self.can_place(items, core, values) {
                    return Err("the core can be placed".into());
                }
                let unneeded = (0..core.len()).find(|&i| {
                    let rest = [&core[..i], &core[i + 1..]].concat();
                    !self.can_place(items, &rest, values)
                });
                match unneeded {
                    Some(i) => Err(format!("{} is not needed in the core", core[i])),
                    None if !minimal => Err("so small a core must be minimal".into()),
                    None => Ok(()),
                }
            }
        }
    }
}
