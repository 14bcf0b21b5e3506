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

/// Enough repetitions to stand for "any number": of the operations that must take effect, at most two
/// can need the same other one (two reads or two takes of one value).
const ANY_NUMBER: u8 = 2;

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
        let mut projection = Vec::new();
        let mut times = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let in_core = core.contains(&(i as u32));
            let (on_other_value, changes_nothing) = match item.role {
                Role::Put(value) | Role::Take(value) => (!about.contains(&value), false),
                Role::Observe(value) => (!about.contains(&value), true),
                Role::TakeUnknown => (false, false),
                Role::TakeNothing | Role::ObserveAll(_) => (false, true),
            };
            assert!(!in_core || !on_other_value, "a core is about its values: {items:?} {core:?} {about:?}");
            // What changes nothing and need not happen is of no use to the others.
            if on_other_value || changes_nothing && !in_core {
                continue;
            }
            projection.push(*item);
            times.push(match in_core {
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
        // Four bits per operation count how often it was placed.
        assert!(items.len() <= 16, "small histories only");
        let count = |placed: u64, i: usize| (placed >> (4 * i) & 15) as u8;
        let mut seen: HashSet<(u64, Vec<Value>, u32), FastBuild> = HashSet::default();
        let mut stack = vec![(0, start, 0)];
        while let Some((placed, state, time)) = stack.pop() {
            if (0..items.len()).all(|i| count(placed, i) >= times[i].least) {
                return true;
            }
            for (i, item) in items.iter().enumerate() {
                if item.res < time || count(placed, i) == times[i].most {
                    continue;
                }
                if let Some(next) = self.step(&state, item.role, about) {
                    let config = (placed + (1 << (4 * i)), next, time.max(item.inv));
                    if !seen.contains(&config) {
                        seen.insert(config.clone());
                        stack.push(config);
                    }
                }
            }
        }
        false
    }

    /// The state that `role` leads to; `None` if its result is impossible. The front of a queue is at
    /// index 0, the top of a stack at the end; the others keep their members sorted.
    fn step(&self, state: &[Value], role: Role, about: Option<&[Value]>) -> Option<Vec<Value>> {
        let without = |i: usize| [&state[..i], &state[i + 1..]].concat();
        let exit = match (self.family, state.len()) {
            (_, 0) => None,
            (Family::Queue, _) => Some(0),
            (Family::Stack, n) => Some(n - 1),
            _ => (0..state.len()).max_by_key(|&i| self.values.int_of(state[i])),
        };
        match (self.family, role) {
            (Family::Register, Role::Put(value)) => Some(vec![value]),
            (Family::Register, Role::Observe(value)) => (state == [value]).then(|| state.to_vec()),
            (Family::Register, _) => None,
            (_, Role::Put(value)) => {
                let mut members = [state, &[value]].concat();
                match self.family {
                    Family::GrowSet => {
                        members.sort_unstable();
                        members.dedup();
                    }
                    Family::PriorityQueue => members.sort_unstable(),
                    _ => {}
                }
                Some(members)
            }
            (Family::GrowSet, Role::ObserveAll(seen)) => {
                let mut seen = self.members(seen);
                seen.retain(|member| about.is_none_or(|about| about.contains(member)));
                (seen == state).then_some(seen)
            }
            (Family::GrowSet, _) => None,
            (_, Role::Take(value)) => exit.filter(|&i| state[i] == value).map(without),
            (_, Role::TakeUnknown) => exit.map(without),
            (_, Role::TakeNothing) => state.is_empty().then(Vec::new),
            (_, Role::Observe(_) | Role::ObserveAll(_)) => None,
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
            state = self.step(&state, item.role, None).ok_or_else(|| format!("{i} is impossible"))?;
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
            Decision::Invalid { .. } => {
                if self.is_linearizable(items) {
                    return Err("it is linearizable".into());
                }
                self.judge_core(items, decision)
            }
        }
    }

    /// What the core of an invalid history claims, checked.
    pub(super) fn judge_core(&self, items: &[Item], decision: &Decision) -> Result<(), String> {
        match decision {
            Decision::Invalid { core, values, why, minimal } => {
                if !core.is_sorted_by(|a, b| a < b) || !values.is_sorted_by(|a, b| a < b) {
                    return Err("core and values are sets in ascending order".into());
                }
                if !core.contains(&why.failed()) {
                    return Err("the operation that cannot be placed is of the core".into());
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
            _ => Err("there is no core".into()),
        }
    }
}
