//! A register: read and write; with compare-and-set, Knossos' `cas-register`.
//!
//! Herlihy & Wing 1990, §2 (register); Knossos `register` and `cas-register`.
//!
//! Readings:
//! - A write whose completion carries another value than its invocation wrote the completion's, as in
//!   Jepsen and Knossos, where the completion's value always overrides; a note counts such writes.
//! - A compare-and-set that completed with `false` compared and differed. With `true`, nil or its
//!   own arguments it succeeded. One whose completion is unknown takes effect only where it matches:
//!   where it does not, leaving it out explains the same history.
//! - A read that returned nil saw nil, if that is the initial value. With any other initial value it
//!   saw nothing and constrains nothing, as in Knossos, whose published histories were recorded from
//!   registers that start empty and are judged from 0.

use super::decode::{has_key_column, returned};
use super::{Family, Flow, Model, ModelError, Role, Token};
use crate::history::{History, Operation, Outcome};
use crate::value::{Value, Values};

/// One register, or one for each key of a history of independent keys.
#[derive(Clone, Debug)]
pub struct Register {
    initial: Value,
    with_cas: bool,
    independent_keys: bool,
}

/// What an operation did to a register. A compare-and-set of a value with itself is a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterAction {
    /// Put this value in.
    Write(Value),
    /// Saw this value.
    Read(Value),
    /// Found the first value and put in the second.
    Swap(Value, Value),
    /// Found something else than this value.
    Differed(Value),
}

impl Register {
    /// Reads and writes only. `history` says whether its values are independent keys.
    pub fn for_history(initial: Value, history: &History) -> Register {
        Register { initial, with_cas: false, independent_keys: has_independent_keys(history) }
    }

    /// Reads, writes and compare-and-sets.
    pub fn with_cas_for_history(initial: Value, history: &History) -> Register {
        Register { with_cas: true, ..Register::for_history(initial, history) }
    }

    /// True if each key of the history is a register of its own.
    pub fn has_independent_keys(&self) -> bool {
        self.independent_keys
    }

    /// How many reads returned nil and are left out because the initial value is not nil.
    pub(super) fn nil_reads(&self, history: &History) -> usize {
        let unseen = |op: &Operation<'_>| {
            let values = history.values();
            matches!(op.f, "read" | "r")
                && op.outcome == Outcome::Ok
                && matches!(self.output(op, values, ""), Ok(Value::NIL))
        };
        if self.initial.is_nil() { 0 } else { history.operations().filter(unseen).count() }
    }

    /// How many writes completed with another value than they were invoked with, and the line of the
    /// first such completion.
    pub(super) fn overridden_writes(&self, history: &History) -> (usize, u32) {
        let values = history.values();
        let overridden = |op: &Operation<'_>| {
            matches!(op.f, "write" | "w")
                && op.outcome == Outcome::Ok
                && self.write(op, values).is_ok_and(|written| self.input(op, values, "") != Ok(written))
        };
        let lines = history.operations().filter(overridden).map(|op| op.complete_line);
        lines.fold((0, 0), |(count, first), line| (count + 1, if count == 0 { line } else { first }))
    }

    /// The input without its key.
    fn input(&self, op: &Operation<'_>, values: &Values, expected: &str) -> Result<Value, ModelError> {
        if !self.independent_keys {
            return Ok(op.input);
        }
        let pair = values.pair(op.input);
        pair.map(|pair| pair.1).ok_or_else(|| ModelError::input(op, values, expected))
    }

    /// What it returned, without its key. Nil and a boolean may come bare.
    fn output(&self, op: &Operation<'_>, values: &Values, expected: &str) -> Result<Value, ModelError> {
        if !self.independent_keys || matches!(op.output, Value::NIL | Value::TRUE | Value::FALSE) {
            return Ok(op.output);
        }
        match (values.pair(op.output), values.pair(op.input)) {
            (Some((key, value)), Some((asked, _))) if key == asked => Ok(value),
            _ => Err(ModelError::output(op, values, expected)),
        }
    }

    fn write(&self, op: &Operation<'_>, values: &Values) -> Result<Value, ModelError> {
        let input = self.input(op, values, "[key value] as in the other operations")?;
        if op.outcome != Outcome::Ok || op.output.is_nil() {
            return Ok(input);
        }
        let output = self.output(op, values, "nil or the [key value] that was written")?;
        Ok(if output.is_nil() { input } else { output })
    }

    fn read(&self, op: &Operation<'_>, values: &Values) -> Result<Option<Value>, ModelError> {
        self.input(op, values, "[key nil] as in the other operations")?;
        if returned(op).is_none() {
            return Ok(None);
        }
        let seen = self.output(op, values, "[key value] with the key that was read")?;
        Ok((!seen.is_nil() || self.initial.is_nil()).then_some(seen))
    }

    fn cas(&self, op: &Operation<'_>, values: &Values) -> Result<Option<RegisterAction>, ModelError> {
        let shape = if self.independent_keys { "[key [from to]]" } else { "[from to]" };
        let input = self.input(op, values, shape)?;
        let (from, to) = values.pair(input).ok_or_else(|| ModelError::input(op, values, shape))?;
        let swapped = if from == to { RegisterAction::Read(from) } else { RegisterAction::Swap(from, to) };
        let Some(_) = returned(op) else {
            return Ok((from != to).then_some(swapped));
        };
        let expected = "true, nil or its arguments if it succeeded, false if it compared and differed";
        match self.output(op, values, expected)? {
            Value::FALSE => Ok(Some(RegisterAction::Differed(from))),
            Value::TRUE | Value::NIL => Ok(Some(swapped)),
            output if output == input => Ok(Some(swapped)),
            _ => Err(ModelError::output(op, values, expected)),
        }
    }
}

impl Model for Register {
    type State = Value;
    type Action = RegisterAction;

    fn initial(&self) -> Value {
        self.initial
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<RegisterAction>, ModelError> {
        match op.f {
            "write" | "w" => Ok(Some(RegisterAction::Write(self.write(op, values)?))),
            "read" | "r" => Ok(self.read(op, values)?.map(RegisterAction::Read)),
            "cas" if self.with_cas => self.cas(op, values),
            _ if self.with_cas => Err(ModelError::unknown_function(op, "read, write, cas")),
            _ => Err(ModelError::unknown_function(op, "read, write")),
        }
    }

    fn step(&self, state: &Value, action: &RegisterAction) -> Option<Value> {
        match *action {
            RegisterAction::Write(value) => Some(value),
            RegisterAction::Read(seen) => (*state == seen).then_some(seen),
            RegisterAction::Swap(from, to) => (*state == from).then_some(to),
            RegisterAction::Differed(from) => (*state != from).then_some(*state),
        }
    }

    fn part(&self, op: &Operation<'_>, values: &Values) -> Option<Value> {
        if self.independent_keys { values.pair(op.input).map(|pair| pair.0) } else { op.key }
    }

    fn is_pure(&self, action: &RegisterAction) -> bool {
        matches!(action, RegisterAction::Read(_) | RegisterAction::Differed(_))
    }

    fn overwrites(&self, action: &RegisterAction) -> bool {
        matches!(action, RegisterAction::Write(_))
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Register)
    }

    fn initial_value(&self) -> Value {
        self.initial
    }

    /// A part without compare-and-sets qualifies, whichever model it is read by.
    fn role(&self, action: &RegisterAction) -> Option<Role> {
        match *action {
            RegisterAction::Write(value) => Some(Role::Put(value)),
            RegisterAction::Read(seen) => Some(Role::Observe(seen)),
            RegisterAction::Swap(..) | RegisterAction::Differed(_) => None,
        }
    }

    fn flows(&self, action: &RegisterAction, each: &mut dyn FnMut(Flow)) {
        let mut saw = |value: Value| {
            if value != self.initial {
                each(Flow::Sees(Token::of(value)));
            }
        };
        match *action {
            RegisterAction::Write(value) => each(Flow::Brings(Token::of(value))),
            RegisterAction::Read(seen) => saw(seen),
            RegisterAction::Swap(from, to) => {
                saw(from);
                each(Flow::Brings(Token::of(to)));
            }
            RegisterAction::Differed(_) => {}
        }
    }

    fn show_state(&self, state: &Value, values: &Values) -> String {
        values.show(*state)
    }
}

/// True if every operation's value is `[key value]`, as Jepsen's independent keys are: reads
/// `[key nil]`, compare-and-sets `[key [from to]]`, and no format field holds the key.
///
/// The rule looks at inputs only. A history of pairs written to one register reads with the input
/// nil, so it is not mistaken for one of independent keys.
pub fn has_independent_keys(history: &History) -> bool {
    if history.is_empty() || has_key_column(history) {
        return false;
    }
    let values = history.values();
    history.operations().all(|op| match values.pair(op.input) {
        None => false,
        Some((_, inner)) => op.f != "cas" || values.pair(inner).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, actions, checks, history, purity};
    use super::*;

    fn cas(h: &History) -> Register {
        Register::with_cas_for_history(Value::NIL, h)
    }

    #[test]
    fn a_register_steps_as_its_operations_say() {
        Table::new(cas)
            .step("read nil | ok nil", "nil")
            .step("write 1 | ok 1", "1")
            .step("read nil | ok 2", "rejected")
            .step("read nil | ok 1", "1")
            .step("read nil | info", "ignored")
            .step("read nil", "ignored")
            .step("cas [2 3] | ok [2 3]", "rejected")
            .step("cas [1 3] | ok nil", "3")
            .step("cas [3 4] | ok true", "4")
            .step("cas [4 5] | ok false", "rejected")
            .step("cas [3 5] | ok false", "4")
            .step("cas [4 6] | info [4 6]", "6")
            .step("cas [4 7]", "rejected")
            .step("cas [6 6]", "ignored")
            .step("cas [6 6] | ok", "6")
            .step("write 8 | ok nil", "8")
            .step("write 9 | ok 10", "10")
            .step("write \"text\"", "\"text\"")
            .run();
    }

    #[test]
    fn errors_name_the_line_and_the_expected_shape() {
        Table::new(cas)
            .step(
                "swap 1 | ok 1",
                "error: line 1: the model has no function swap; expected one of: read, write, cas",
            )
            .step("cas 1 | ok 1", "error: line 3: cas has the value 1; expected [from to]")
            .step(
                "cas [1 2] | ok 7",
                "error: line 6: cas returned the value 7; expected true, nil or its arguments if it \
                 succeeded, false if it compared and differed",
            )
            .run();
        Table::new(|h: &History| Register::for_history(Value::NIL, h))
            .step(
                "cas [1 2] | ok",
                "error: line 1: the model has no function cas; expected one of: read, write",
            )
            .run();
        Table::new(cas)
            .step("write [:x 1] | ok [:x 1]", "1")
            .step(
                "read [:x nil] | ok [:y 1]",
                "error: line 4: read returned the value [:y 1]; expected [key value] with the key that was \
                 read",
            )
            .run();
    }

    #[test]
    fn writes_that_completed_with_another_value_are_counted() {
        let counted = |lines: &[&str]| {
            let history = history(lines);
            cas(&history).overridden_writes(&history)
        };
        assert_eq!(counted(&["write 1 | ok 1", "write 2 | ok", "write 3", "write 4 | info 5"]), (0, 0));
        assert_eq!(counted(&["write 1 | ok 1", "write 1 | ok 2", "write 5 | ok 6"]), (2, 4));
        assert_eq!(counted(&["write [:x 1] | ok [:x 1]", "write [:x 1] | ok [:x 2]"]), (1, 4));
        assert_eq!(counted(&["write [:x 1] | ok [:x 1]", "write [:x 1] | ok nil"]), (0, 0));
    }

    #[test]
    fn a_nil_read_sees_nothing_where_the_register_starts_with_a_value() {
        Table::new(|h: &History| Register::for_history(Value::small_int(0).unwrap(), h))
            .step("read nil | ok nil", "ignored")
            .step("read nil | ok 0", "0")
            .run();
    }

    #[test]
    fn pairs_are_independent_keys_only_if_every_operation_has_one() {
        let independent = |lines: &[&str]| has_independent_keys(&history(lines));
        assert!(independent(&["write [1 2] | ok", "read [1 nil] | ok [1 2]", "cas [1 [2 3]] | ok"]));
        assert!(!independent(&["write [1 2] | ok", "read nil | ok [1 2]"]));
        assert!(!independent(&["cas [1 2] | ok"]));
        assert!(!independent(&[]));
        let h = history(&["write [:x 1] | ok", "cas [:x [1 2]] | ok [:x false]", "cas [:x [1 2]] | ok"]);
        let model = cas(&h);
        let keys: Vec<_> = h.operations().map(|op| model.part(&op, h.values())).collect();
        assert!(keys[0].is_some() && keys.iter().all(|key| *key == keys[0]));
        let int = |i| Value::small_int(i).unwrap();
        assert_eq!(
            actions(&model, &h),
            [
                RegisterAction::Write(int(1)),
                RegisterAction::Differed(int(1)),
                RegisterAction::Swap(int(1), int(2))
            ]
        );
    }

    #[test]
    fn equal_effects_are_equal_actions() {
        let h = history(&[
            "read nil | ok 1",
            "cas [1 1] | ok",
            "cas [1 2] | ok false",
            "cas [1 3] | ok false",
            "cas [1 2] | ok",
            "cas [1 2]",
        ]);
        let a = actions(&cas(&h), &h);
        assert_eq!((a[0], a[2], a[4]), (a[1], a[3], a[5]));
    }

    #[test]
    fn pure_actions_change_nothing_and_the_others_do() {
        purity(
            cas,
            &[
                "write 1 | ok",
                "write 2",
                "read nil | ok nil",
                "read nil | ok 1",
                "cas [1 2] | ok",
                "cas [2 1]",
                "cas [1 1] | ok",
                "cas [2 1] | ok false",
            ],
        );
    }

    #[test]
    fn tiny_histories_are_judged() {
        let words = |lines: &[&str]| checks(cas, lines);
        assert_eq!(words(&["write 1 | ok", "read nil | ok 1"]), "true");
        assert_eq!(words(&["write 1 | ok", "read nil | ok nil"]), "false");
        assert_eq!(words(&["write 1", "read nil | ok nil", "read nil | ok 1"]), "true");
        assert_eq!(words(&["write 1", "read nil | ok 1", "read nil | ok nil"]), "false");
        assert_eq!(words(&["cas [nil 1]", "cas [nil 2] | ok false", "read nil | ok 1"]), "true");
    }
}
