//! A set: `add`, `remove`, `contains`, and `read` of the whole.
//!
//! Linearizable, unlike Jepsen's `set` and `set-full`, which are other checkers. Without whole reads
//! the elements are independent of each other, so each is judged by itself, as an object of two
//! states. With them, a set that only grows has an engine of its own (CHECKERS.md, A7).
//!
//! `add` may return whether the element is new, `remove` whether it was there (`true`, `false`). A
//! completion that repeats the element says neither. A read that shows an element twice shows no
//! set: no order explains it.

use super::decode::{as_bool, has_key_column, members, returned};
use super::persistent::{Map, entry_hash};
use super::{Family, Flow, Model, ModelError, Role, Token};
use crate::history::{History, Operation};
use crate::value::{Value, Values};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A set.
#[derive(Clone, Copy, Debug)]
pub struct LinearSet {
    key_column: bool,
    has_reads: bool,
}

/// What an operation did to a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetAction {
    /// Put this element in, if it was not there.
    Add(Value),
    /// Put this element in, and saw that it was not there.
    AddAbsent(Value),
    /// Took this element out, if it was there.
    Remove(Value),
    /// Took this element out, and saw that it was there.
    RemovePresent(Value),
    /// Saw that this element is there.
    SawPresent(Value),
    /// Saw that this element is not there.
    SawAbsent(Value),
    /// Saw exactly these elements.
    Read(Members),
}

/// The members of a set that was read, in order, each once.
#[derive(Clone, Debug)]
pub struct Members {
    handle: Value,
    sorted: Arc<[Value]>,
    hash: u64,
    repeats: bool,
}

impl PartialEq for Members {
    fn eq(&self, other: &Members) -> bool {
        self.handle == other.handle
            || self.hash == other.hash && self.repeats == other.repeats && self.sorted == other.sorted
    }
}

impl Eq for Members {}

impl Hash for Members {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

const FUNCTIONS: &str = "add, remove, contains, read";

impl LinearSet {
    /// `history` says whether its elements are independent.
    pub fn for_history(history: &History) -> LinearSet {
        LinearSet {
            key_column: has_key_column(history),
            has_reads: history.operations().any(|op| op.f == "read"),
        }
    }

    /// True if each element is judged by itself.
    pub fn has_independent_elements(&self) -> bool {
        !self.key_column && !self.has_reads
    }
}

impl Model for LinearSet {
    type State = Map<Value, ()>;
    type Action = SetAction;

    fn initial(&self) -> Map<Value, ()> {
        Map::empty()
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<SetAction>, ModelError> {
        match op.f {
            "add" | "insert" => Ok(Some(match was_changed(op, values)? {
                None => SetAction::Add(op.input),
                Some(true) => SetAction::AddAbsent(op.input),
                Some(false) => SetAction::SawPresent(op.input),
            })),
            "remove" | "delete" => Ok(Some(match was_changed(op, values)? {
                None => SetAction::Remove(op.input),
                Some(true) => SetAction::RemovePresent(op.input),
                Some(false) => SetAction::SawAbsent(op.input),
            })),
            "contains" | "contains?" | "member" => contains(op, values),
            "read" => match returned(op) {
                None => Ok(None),
                Some(seen) => match members(values, seen) {
                    Some(elements) => Ok(Some(SetAction::Read(Members::new(seen, elements)))),
                    None => Err(ModelError::output(op, values, "a list or set of all elements")),
                },
            },
            _ => Err(ModelError::unknown_function(op, FUNCTIONS)),
        }
    }

    fn step(&self, state: &Map<Value, ()>, action: &SetAction) -> Option<Map<Value, ()>> {
        let has = |element: &Value| state.get(element).is_some();
        match action {
            SetAction::Add(element) if has(element) => Some(state.clone()),
            SetAction::Add(element) => Some(state.with(*element, Some(()))),
            SetAction::AddAbsent(element) => (!has(element)).then(|| state.with(*element, Some(()))),
            SetAction::Remove(element) => Some(state.with(*element, None)),
            SetAction::RemovePresent(element) => has(element).then(|| state.with(*element, None)),
            SetAction::SawPresent(element) => has(element).then(|| state.clone()),
            SetAction::SawAbsent(element) => (!has(element)).then(|| state.clone()),
            SetAction::Read(members) => members.are_all_of(state).then(|| state.clone()),
        }
    }

    fn part(&self, op: &Operation<'_>, _: &Values) -> Option<Value> {
        if self.has_independent_elements() { Some(op.input) } else { op.key }
    }

    fn is_pure(&self, action: &SetAction) -> bool {
        matches!(action, SetAction::SawPresent(_) | SetAction::SawAbsent(_) | SetAction::Read(_))
    }

    fn overwrites(&self, action: &SetAction) -> bool {
        self.has_independent_elements() && matches!(action, SetAction::Add(_) | SetAction::Remove(_))
    }

    fn family(&self) -> Option<Family> {
        self.has_reads.then_some(Family::GrowSet)
    }

    fn role(&self, action: &SetAction) -> Option<Role> {
        match action {
            SetAction::Add(element) => Some(Role::Put(*element)),
            SetAction::Read(members) if !members.repeats => Some(Role::ObserveAll(members.handle)),
            _ => None,
        }
    }

    fn flows(&self, action: &SetAction, each: &mut dyn FnMut(Flow)) {
        match action {
            SetAction::Add(element) | SetAction::AddAbsent(element) => {
                each(Flow::Brings(Token::of(*element)));
            }
            // Not `Takes`: an element that was added twice can be removed once.
            SetAction::RemovePresent(element) | SetAction::SawPresent(element) => {
                each(Flow::Sees(Token::of(*element)));
            }
            SetAction::Read(members) => {
                members.sorted.iter().for_each(|element| each(Flow::Sees(Token::of(*element))));
            }
            SetAction::Remove(_) | SetAction::SawAbsent(_) => {}
        }
    }

    fn state_bytes(&self, state: &Map<Value, ()>) -> usize {
        state.own_bytes()
    }

    fn show_state(&self, state: &Map<Value, ()>, values: &Values) -> String {
        super::show_members(&state.iter().map(|(element, ())| *element).collect::<Vec<_>>(), values)
    }
}

impl Members {
    fn new(handle: Value, elements: &[Value]) -> Members {
        let mut sorted = elements.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let hash = sorted.iter().fold(0u64, |hash, element| hash.wrapping_add(entry_hash(element, &())));
        Members { handle, hash, repeats: sorted.len() < elements.len(), sorted: sorted.into() }
    }

    fn are_all_of(&self, state: &Map<Value, ()>) -> bool {
        !self.repeats
            && self.sorted.len() == state.len()
            && self.hash == state.content_hash()
            && state.iter().map(|(element, ())| element).eq(self.sorted.iter())
    }
}

/// What an `add` or `remove` says of the element before it; `None` if nothing.
fn was_changed(op: &Operation<'_>, values: &Values) -> Result<Option<bool>, ModelError> {
    match returned(op) {
        Some(output) if !output.is_nil() && output != op.input => {
            as_bool(output).map(Some).ok_or_else(|| {
                ModelError::output(
                    op,
                    values,
                    "nil, the element, or true or false for whether the set changed",
                )
            })
        }
        _ => Ok(None),
    }
}

fn contains(op: &Operation<'_>, values: &Values) -> Result<Option<SetAction>, ModelError> {
    let Some(output) = returned(op) else { return Ok(None) };
    let answer = match values.pair(output) {
        Some((element, answer)) if element == op.input => as_bool(answer),
        _ => as_bool(output),
    };
    match answer {
        Some(true) => Ok(Some(SetAction::SawPresent(op.input))),
        Some(false) => Ok(Some(SetAction::SawAbsent(op.input))),
        None => Err(ModelError::output(op, values, "true, false or [element true]")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, actions, checks, history, keyed_history, purity};
    use super::*;

    #[test]
    fn a_set_holds_each_element_once() {
        Table::new(LinearSet::for_history)
            .step("read nil | ok nil", "{}")
            .step("contains 1 | ok true", "rejected")
            .step("add 1 | ok 1", "{1}")
            .step("add 1 | ok true", "rejected")
            .step("add 1 | ok false", "{1}")
            .step("add 2 | ok true", "{1 2}")
            .step("add 2", "{1 2}")
            .step("read nil | ok [2 1]", "{1 2}")
            .step("read nil | ok #{1 2}", "{1 2}")
            .step("read nil | ok [1 2 2]", "rejected")
            .step("read nil | ok [1]", "rejected")
            .step("read nil | ok [1 3]", "rejected")
            .step("remove 3 | ok true", "rejected")
            .step("remove 3 | ok false", "{1 2}")
            .step("remove 1", "{2}")
            .step("contains 1 | ok [1 false]", "{2}")
            .step("contains 2", "ignored")
            .step("remove 2 | ok true", "{}")
            .step(
                "contains 1 | ok nil",
                "error: line 38: contains returned the value nil; expected true, false or [element true]",
            )
            .step(
                "add 1 | ok 3",
                "error: line 40: add returned the value 3; expected nil, the element, or true or false for \
                 whether the set changed",
            )
            .step("read nil | ok 3", "error: line 42: read returned the value 3; expected a list or set of all elements")
            .step(
                "clear nil",
                "error: line 43: the model has no function clear; expected one of: add, remove, contains, read",
            )
            .run();
    }

    #[test]
    fn elements_are_independent_only_where_nobody_reads_the_whole() {
        let parts = |h: &History| {
            let model = LinearSet::for_history(h);
            h.operations()
                .map(|op| model.part(&op, h.values()).map(|p| h.values().show(p)))
                .collect::<Vec<_>>()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts(&history(&["add 1", "contains 2 | ok false"])), [some("1"), some("2")]);
        assert_eq!(parts(&history(&["add 1", "read nil"])), [None, None]);
        assert_eq!(parts(&keyed_history(&[(":a", "add 1"), (":b", "add 1")])), [some(":a"), some(":b")]);
    }

    #[test]
    fn only_growing_sets_play_a_part_in_the_family() {
        let h = history(&["add 1 | ok", "read nil | ok [1]", "read nil | ok [1 1]", "remove 1 | ok"]);
        let model = LinearSet::for_history(&h);
        let roles: Vec<_> = actions(&model, &h).iter().map(|action| model.role(action)).collect();
        let one = Value::small_int(1).unwrap();
        assert_eq!(model.family(), Some(Family::GrowSet));
        assert_eq!(roles[0], Some(Role::Put(one)));
        assert!(matches!(roles[1], Some(Role::ObserveAll(_))));
        assert_eq!(roles[2..], [None, None]);
        assert_eq!(LinearSet::for_history(&history(&["add 1"])).family(), None);
    }

    #[test]
    fn equal_effects_are_equal_actions() {
        let h = history(&[
            "read nil | ok [2 1]",
            "read nil | ok #{1 2}",
            "add 1 | ok false",
            "contains 1 | ok true",
        ]);
        let a = actions(&LinearSet::for_history(&h), &h);
        assert_eq!((&a[0], &a[2]), (&a[1], &a[3]));
    }

    #[test]
    fn pure_actions_change_nothing_and_the_others_do() {
        purity(
            LinearSet::for_history,
            &[
                "add 1",
                "add 2 | ok true",
                "remove 1",
                "remove 2 | ok true",
                "contains 1 | ok true",
                "contains 2 | ok false",
                "read nil | ok [1 2]",
                "read nil | ok nil",
            ],
        );
    }

    #[test]
    fn adding_and_removing_the_only_element_overwrites() {
        let alphabet = ["add 1", "remove 1", "add 1 | ok true", "contains 1 | ok false"];
        purity(LinearSet::for_history, &alphabet);
        let h = history(&alphabet);
        let model = LinearSet::for_history(&h);
        let overwrites: Vec<_> = actions(&model, &h).iter().map(|action| model.overwrites(action)).collect();
        assert_eq!(overwrites, [true, true, false, false]);
    }

    #[test]
    fn tiny_histories_are_judged() {
        let word = |lines: &[&str]| checks(LinearSet::for_history, lines);
        assert_eq!(word(&["add 1", "add 2 | ok", "read nil | ok [2]", "read nil | ok [1 2]"]), "true");
        assert_eq!(word(&["add 1", "add 2 | ok", "read nil | ok [1 2]", "read nil | ok [2]"]), "false");
        assert_eq!(word(&["add 1 | ok", "contains 1 | ok false"]), "false");
    }
}
