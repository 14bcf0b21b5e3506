//! A key-value store: `get`, `put`, `append`, `cas`, `delete`, each on one key.
//!
//! Porcupine's `kv` model (get, put, append on strings, every key starts as `""`), with
//! compare-and-set and delete added. Keys are independent, so the state is that of one key.
//!
//! Where the key is: in the history's key field, with the value beside it (`get nil`, `put v`,
//! `cas [from to]`); or in the value (`get k` or `get [k nil]`, `put [k v]`, `append [k v]`,
//! `cas [k [from to]]`, `delete k` or `delete [k nil]`), and then a completion that repeats the
//! input's shape holds the key too.
//!
//! A put that completed with another value than it was invoked with wrote that one. What an append
//! returned says nothing, but a completion of any kind that names another key is refused.
//!
//! A missing key reads as the initial value, nil unless told otherwise, and `delete` goes back to
//! it. `append` joins strings, or adds one element to a list; on nil it starts from nothing.

use super::decode::{has_key_column, returned};
use super::persistent::{Chain, Glimpses};
use super::{Family, Flow, Model, ModelError, Role, Token};
use crate::history::{History, Operation};
use crate::value::{Datum, Value, Values, fast_hash};
use std::hash::{Hash, Hasher};

/// A key-value store.
#[derive(Clone, Debug)]
pub struct Kv {
    initial: KvValue,
    key_column: bool,
    has_appends: bool,
    glimpses: Glimpses,
}

/// What one key holds. Strings and lists share their beginnings with the states they grew from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvState {
    /// Nil, a number, a keyword: anything that cannot be appended to, nil excepted.
    Plain(Value),
    /// A string.
    Text(Chain<u8>),
    /// A list.
    List(Chain<Value>),
    /// Some value of that shape that no operation of the history compares with anything, nor with
    /// anything that grows out of it ([`Model::representative`]).
    Unseen(Shape),
}

/// What can be appended to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Nothing.
    Plain,
    /// A string.
    Text,
    /// Any element.
    List,
}

/// A value from the history, with its content at hand: the arena is out of a step's reach.
#[derive(Clone, Debug)]
pub struct KvValue {
    handle: Value,
    content: KvState,
}

// Handles of one arena are equal exactly when the values are.
impl PartialEq for KvValue {
    fn eq(&self, other: &KvValue) -> bool {
        self.handle == other.handle
    }
}

impl Eq for KvValue {}

impl Hash for KvValue {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.handle.hash(hasher);
    }
}

/// What an operation did to its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvAction {
    /// Saw this value.
    Get(KvValue),
    /// Put this value in.
    Put(KvValue),
    /// Joined this string to the end.
    AppendText(KvValue),
    /// Added this element to the end.
    AppendElement(Value),
    /// Found the first value and put in the second.
    Swap(KvValue, KvValue),
    /// Found something else than this value.
    Differed(KvValue),
    /// Took the key out, if it was there.
    Delete,
    /// Took the key out, and saw that it was there.
    DeletePresent,
    /// Saw that the key was not there.
    SawMissing,
}

const FUNCTIONS: &str = "get, put, append, cas, delete";

impl Kv {
    /// Every key starts as `initial`. `history` says where its keys are.
    pub fn for_history(initial: Value, history: &History) -> Kv {
        let (initial, key_column) = (known(initial, history.values()), has_key_column(history));
        let has_appends = history.operations().any(|op| op.f == "append");
        let mut kv = Kv { initial, key_column, has_appends, glimpses: Glimpses::default() };
        kv.glimpses = kv.glimpses_of(history);
        kv
    }

    /// The beginnings of every value that some operation compares with the one it finds.
    fn glimpses_of(&self, history: &History) -> Glimpses {
        let values = history.values();
        let compared = history.operations().filter_map(|op| match op.f {
            "get" | "read" => self.result(&op, values).ok().flatten(),
            "cas" => self.argument(&op, values, "").ok().and_then(|pair| Some(values.pair(pair)?.0)),
            _ => None,
        });
        Glimpses::of(compared.chain([self.initial.handle]), |value| match content(value, values) {
            KvState::Text(text) => text.beginnings(),
            KvState::List(list) => list.beginnings(),
            KvState::Plain(_) | KvState::Unseen(_) => vec![fast_hash(&value)],
        })
    }

    /// Nobody compares the state with anything, nor what appends make of it. Nil counts as seen, for
    /// an append to it makes a text or a list.
    fn shape_if_unseen(&self, state: &KvState) -> Option<Shape> {
        let (seen, shape) = match state {
            KvState::Plain(value) => {
                (value.is_nil() || self.glimpses.show_hash(fast_hash(value)), Shape::Plain)
            }
            KvState::Text(text) => (self.glimpses.show(text), Shape::Text),
            KvState::List(list) => (self.glimpses.show(list), Shape::List),
            KvState::Unseen(shape) => (false, *shape),
        };
        (!seen).then_some(shape)
    }

    /// `put`, `append` and `cas`: the input without its key.
    fn argument(&self, op: &Operation<'_>, values: &Values, expected: &str) -> Result<Value, ModelError> {
        if self.key_column {
            return Ok(op.input);
        }
        let pair = values.pair(op.input);
        pair.map(|pair| pair.1).ok_or_else(|| ModelError::input(op, values, expected))
    }

    /// What the completion says, without the key.
    fn result(&self, op: &Operation<'_>, values: &Values) -> Result<Option<Value>, ModelError> {
        let Some(output) = returned(op) else { return Ok(None) };
        if self.key_column || matches!(output, Value::NIL | Value::TRUE | Value::FALSE) {
            return Ok(Some(output));
        }
        let Some((asked, _)) = values.pair(op.input) else { return Ok(Some(output)) };
        match values.pair(output) {
            Some((key, value)) if key == asked => Ok(Some(value)),
            None if !matches!(op.f, "get" | "read" | "cas") => Ok(Some(output)),
            _ => Err(ModelError::output(op, values, "[key value] with the key that was asked for")),
        }
    }

    /// What a put wrote: the completion's value, if it has one, as for a register.
    fn written(&self, op: &Operation<'_>, values: &Values) -> Result<Value, ModelError> {
        let input = self.argument(op, values, "[key value]")?;
        Ok(match self.result(op, values)? {
            None | Some(Value::NIL | Value::TRUE | Value::FALSE) => input,
            Some(output) => output,
        })
    }

    fn cas(&self, op: &Operation<'_>, values: &Values) -> Result<Option<KvAction>, ModelError> {
        let shape = if self.key_column { "[from to]" } else { "[key [from to]]" };
        let input = self.argument(op, values, shape)?;
        let (from, to) = values.pair(input).ok_or_else(|| ModelError::input(op, values, shape))?;
        let (from, to) = (known(from, values), known(to, values));
        let same = from == to;
        let swapped = if same { KvAction::Get(from.clone()) } else { KvAction::Swap(from.clone(), to) };
        match self.result(op, values)? {
            None => Ok((!same).then_some(swapped)),
            Some(Value::FALSE) => Ok(Some(KvAction::Differed(from))),
            Some(Value::TRUE | Value::NIL) => Ok(Some(swapped)),
            Some(output) if output == input => Ok(Some(swapped)),
            Some(_) => Err(ModelError::output(
                op,
                values,
                "true, nil or its arguments if it succeeded, false if it compared and differed",
            )),
        }
    }

    fn append(&self, op: &Operation<'_>, values: &Values) -> Result<Option<KvAction>, ModelError> {
        let value = self.argument(op, values, "[key value]")?;
        // What it returned may be anything (the new length, the whole text), but not another key.
        self.result(op, values)?;
        Ok(Some(match values.get(value) {
            Datum::Str(_) => KvAction::AppendText(known(value, values)),
            _ => KvAction::AppendElement(value),
        }))
    }

    fn delete(&self, op: &Operation<'_>, values: &Values) -> Result<KvAction, ModelError> {
        Ok(match self.result(op, values)? {
            Some(Value::TRUE) => KvAction::DeletePresent,
            Some(Value::FALSE) => KvAction::SawMissing,
            _ => KvAction::Delete,
        })
    }
}

impl Model for Kv {
    type State = KvState;
    type Action = KvAction;

    fn initial(&self) -> KvState {
        self.initial.content.clone()
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<KvAction>, ModelError> {
        match op.f {
            "get" | "read" => Ok(self.result(op, values)?.map(|seen| KvAction::Get(known(seen, values)))),
            "put" | "write" | "set" => Ok(Some(KvAction::Put(known(self.written(op, values)?, values)))),
            "append" => self.append(op, values),
            "cas" => self.cas(op, values),
            "delete" | "del" | "remove" => self.delete(op, values).map(Some),
            _ => Err(ModelError::unknown_function(op, FUNCTIONS)),
        }
    }

    fn step(&self, state: &KvState, action: &KvAction) -> Option<KvState> {
        match action {
            KvAction::Get(seen) | KvAction::Differed(seen) => {
                let equal = *state == seen.content;
                (equal == matches!(action, KvAction::Get(_))).then(|| state.clone())
            }
            KvAction::Put(value) => Some(value.content.clone()),
            KvAction::AppendText(value) => match (state, &value.content) {
                (KvState::Text(text), KvState::Text(end)) => Some(KvState::Text(text.concat(end))),
                (KvState::Plain(Value::NIL), text) => Some(text.clone()),
                (KvState::List(list), _) => Some(KvState::List(list.push([value.handle].into()))),
                (KvState::Unseen(Shape::Text | Shape::List), _) => Some(state.clone()),
                _ => None,
            },
            KvAction::AppendElement(element) => match state {
                KvState::List(list) => Some(KvState::List(list.push([*element].into()))),
                KvState::Plain(Value::NIL) => Some(KvState::List(Chain::from_piece(&[*element]))),
                KvState::Unseen(Shape::List) => Some(state.clone()),
                _ => None,
            },
            KvAction::Swap(from, to) => (*state == from.content).then(|| to.content.clone()),
            KvAction::Delete => Some(self.initial.content.clone()),
            KvAction::DeletePresent => (*state != self.initial.content).then(|| self.initial.content.clone()),
            KvAction::SawMissing => (*state == self.initial.content).then(|| state.clone()),
        }
    }

    fn part(&self, op: &Operation<'_>, values: &Values) -> Option<Value> {
        if self.key_column {
            return op.key;
        }
        Some(values.pair(op.input).map_or(op.input, |pair| pair.0))
    }

    fn is_pure(&self, action: &KvAction) -> bool {
        matches!(action, KvAction::Get(_) | KvAction::Differed(_) | KvAction::SawMissing)
    }

    fn overwrites(&self, action: &KvAction) -> bool {
        matches!(action, KvAction::Put(_) | KvAction::Delete)
    }

    fn is_promising(&self, state: &KvState) -> bool {
        self.shape_if_unseen(state).is_none()
    }

    fn representative(&self, state: KvState) -> KvState {
        self.shape_if_unseen(&state).map_or(state, KvState::Unseen)
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Register)
    }

    fn initial_value(&self) -> Value {
        self.initial.handle
    }

    /// A key that is only put and got is a register.
    fn role(&self, action: &KvAction) -> Option<Role> {
        match action {
            KvAction::Put(value) => Some(Role::Put(value.handle)),
            KvAction::Get(seen) => Some(Role::Observe(seen.handle)),
            _ => None,
        }
    }

    fn flows(&self, action: &KvAction, each: &mut dyn FnMut(Flow)) {
        // What appends make is not known beforehand; but it is texts and lists.
        let may_be_made = |seen: &KvValue| self.has_appends && !matches!(seen.content, KvState::Plain(_));
        let mut saw = |seen: &KvValue| {
            if *seen != self.initial && !may_be_made(seen) {
                each(Flow::Sees(Token::of(seen.handle)));
            }
        };
        match action {
            KvAction::Get(seen) => saw(seen),
            KvAction::Swap(from, to) => {
                saw(from);
                each(Flow::Brings(Token::of(to.handle)));
            }
            KvAction::Put(value) => each(Flow::Brings(Token::of(value.handle))),
            KvAction::AppendText(_)
            | KvAction::AppendElement(_)
            | KvAction::Differed(_)
            | KvAction::Delete
            | KvAction::DeletePresent
            | KvAction::SawMissing => {}
        }
    }

    fn state_bytes(&self, state: &KvState) -> usize {
        match state {
            KvState::Plain(_) | KvState::Unseen(_) => 0,
            KvState::Text(text) => text.own_bytes(),
            KvState::List(list) => list.own_bytes(),
        }
    }

    fn show_state(&self, state: &KvState, values: &Values) -> String {
        match state {
            KvState::Plain(value) => values.show(*value),
            KvState::Text(text) => format!("{:?}", String::from_utf8_lossy(&text.to_vec())),
            KvState::List(list) => super::show_list(&list.to_vec(), values),
            KvState::Unseen(_) => "a value that nobody saw".to_owned(),
        }
    }
}

fn known(handle: Value, values: &Values) -> KvValue {
    KvValue { handle, content: content(handle, values) }
}

fn content(handle: Value, values: &Values) -> KvState {
    match values.get(handle) {
        Datum::Str(text) => KvState::Text(Chain::from_piece(text.as_bytes())),
        Datum::List(elements) => KvState::List(Chain::from_piece(elements)),
        _ => KvState::Plain(handle),
    }
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, actions, checks, history, keyed_history, purity};
    use super::*;

    fn kv(h: &History) -> Kv {
        Kv::for_history(Value::NIL, h)
    }

    #[test]
    fn a_key_steps_as_its_operations_say() {
        Table::new(kv)
            .step("get 1 | ok nil", "nil")
            .step("get [1 nil] | ok [1 2]", "rejected")
            .step("append [1 \"ab\"] | ok", "\"ab\"")
            .step("append [1 \"c\"]", "\"abc\"")
            .step("get 1 | ok \"abc\"", "\"abc\"")
            .step("get [1 nil] | ok [1 \"ab\"]", "rejected")
            .step("append [1 7]", "rejected")
            .step("cas [1 [\"abc\" \"x\"]] | ok [1 false]", "rejected")
            .step("cas [1 [\"y\" \"x\"]] | ok false", "\"abc\"")
            .step("cas [1 [\"abc\" 3]] | ok [1 [\"abc\" 3]]", "3")
            .step("append [1 \"a\"]", "rejected")
            .step("delete 1 | ok false", "rejected")
            .step("delete [1 nil] | ok true", "nil")
            .step("delete 1 | ok false", "nil")
            .step("append [1 7] | ok", "[7]")
            .step("append [1 \"a\"] | ok", "[7 \"a\"]")
            .step("get 1 | ok [7 \"a\"]", "[7 \"a\"]")
            .step("get 1", "ignored")
            .step("put [1 8] | ok [1 9]", "9")
            .step("put [1 8] | ok true", "8")
            .step("delete 1", "nil")
            .run();
    }

    #[test]
    fn errors_name_the_line_and_the_expected_shape() {
        Table::new(kv)
            .step("put 1 | ok", "error: line 1: put has the value 1; expected [key value]")
            .step("cas [1 2] | ok", "error: line 3: cas has the value [1 2]; expected [key [from to]]")
            .step(
                "put [1 5] | ok [2 5]",
                "error: line 6: put returned the value [2 5]; expected [key value] with the key that was \
                 asked for",
            )
            .step(
                "get [1 nil] | ok [2 3]",
                "error: line 8: get returned the value [2 3]; expected [key value] with the key that was \
                 asked for",
            )
            .step(
                "scan 1 | ok",
                "error: line 9: the model has no function scan; expected one of: get, put, append, cas, delete",
            )
            .run();
    }

    // Porcupine's log: the key is a field, every key starts as "".
    #[test]
    fn keys_of_the_format_stand_beside_bare_values() {
        let mut h = keyed_history(&[
            ("\"k\"", "get nil | ok \"\""),
            ("\"k\"", "append \"x\" | ok nil"),
            ("\"j\"", "put [1 2] | ok nil"),
            ("\"k\"", "get nil | ok \"x\""),
        ]);
        let empty = h.values.str("");
        let model = Kv::for_history(empty, &h);
        let parts: Vec<_> =
            h.operations().map(|op| h.values().show(model.part(&op, h.values()).unwrap())).collect();
        assert_eq!(parts, ["\"k\"", "\"k\"", "\"j\"", "\"k\""]);
        let actions = actions(&model, &h);
        let mut state = model.initial();
        for at in [0, 1, 3] {
            state = model.step(&state, &actions[at]).unwrap();
        }
        assert_eq!(model.show_state(&state, h.values()), "\"x\"");
        assert!(model.step(&state, &actions[0]).is_none());
    }

    #[test]
    fn a_text_is_one_state_however_it_was_put_together() {
        let h = history(&["append [1 \"ab\"]", "append [1 \"c\"]", "put [1 \"abc\"]", "get 1 | ok \"abc\""]);
        let (model, a) = (kv(&h), actions(&kv(&h), &h));
        let joined = model.step(&model.step(&model.initial(), &a[0]).unwrap(), &a[1]).unwrap();
        let whole = model.step(&model.initial(), &a[2]).unwrap();
        assert_eq!(joined, whole);
        assert_eq!(fast_hash(&joined), fast_hash(&whole));
        assert!(model.step(&joined, &a[3]).is_some());
    }

    // Without this a key that many append to at once has as many states as orders.
    #[test]
    fn what_nobody_can_see_any_more_is_one_state() {
        let h = history(&[
            "append [1 \"a\"]",
            "append [1 \"b\"]",
            "append [1 \"c\"]",
            "get 1 | ok \"ab\"",
            "put [1 \"z\"]",
            "put [1 4]",
            "put [1 [1]]",
            "cas [1 [4 5]]",
        ]);
        let (model, a) = (kv(&h), actions(&kv(&h), &h));
        let after = |letters: &[usize]| {
            let steps = letters.iter().map(|&at| &a[at]);
            model.representative(steps.fold(model.initial(), |s, action| model.step(&s, action).unwrap()))
        };
        assert_eq!(after(&[1, 0]), KvState::Unseen(Shape::Text));
        assert_eq!(after(&[1, 0]), after(&[0, 2, 1]));
        assert_eq!(after(&[1, 0]), after(&[4]));
        assert_ne!(after(&[0, 1]), after(&[1, 0]));
        assert_eq!(
            after(&[5]),
            KvState::Plain(Value::small_int(4).unwrap()),
            "a compare-and-set looks for it"
        );
        assert_eq!(after(&[6]), KvState::Unseen(Shape::List));
        assert_eq!(after(&[5, 7]), KvState::Unseen(Shape::Plain));
    }

    #[test]
    fn pure_actions_change_nothing_and_the_others_do() {
        purity(
            kv,
            &[
                "put [1 \"a\"]",
                "put [1 nil]",
                "append [1 \"b\"]",
                "append [1 4]",
                "get 1 | ok nil",
                "get 1 | ok \"ab\"",
                "get 1 | ok [4]",
                "cas [1 [\"a\" nil]]",
                "cas [1 [nil nil]] | ok",
                "cas [1 [\"a\" 1]] | ok false",
                "delete 1",
                "delete 1 | ok true",
                "delete 1 | ok false",
            ],
        );
    }

    #[test]
    fn tiny_histories_are_judged() {
        let words = |lines: &[&str]| checks(kv, lines);
        assert_eq!(words(&["append [1 \"a\"] | ok", "append [1 \"b\"]", "get 1 | ok \"ab\""]), "true");
        assert_eq!(words(&["append [1 \"a\"] | ok", "append [1 \"b\"]", "get 1 | ok \"ba\""]), "false");
        assert_eq!(words(&["put [1 5] | ok", "delete 1", "get 1 | ok nil", "delete 1 | ok false"]), "true");
    }
}
