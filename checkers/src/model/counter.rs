//! A counter: `add` and `read`, with `add-and-get` and `get-and-add` for those that return it.
//!
//! Linearizable, unlike Jepsen's `counter` checker, which only asks that reads lie between the sum of
//! what was surely added and the sum of what may have been.

use super::decode::{echoed, returned};
use super::{Foresight, Model, ModelError, Planned, Prospect};
use crate::history::{History, Operation};
use crate::value::{Value, Values};

/// A counter. Its sum is kept in 128 bits, which no history overflows.
#[derive(Clone, Copy, Debug)]
pub struct LinearCounter {
    initial: i64,
    /// If nothing is ever taken off: the largest sum that anybody saw, past which all are alike.
    seen_most: Option<i128>,
}

/// What an operation did to a counter. Adding nothing is a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterAction {
    /// Added this much.
    Add(i64),
    /// Saw this sum.
    Read(i128),
    /// Added the first, and saw the second afterwards.
    AddAndGet(i64, i128),
}

const FUNCTIONS: &str = "add, increment, decrement, add-and-get, get-and-add, read";

impl LinearCounter {
    /// A counter that starts at `initial`, of which `history` tells how high sums matter.
    pub fn for_history(initial: i64, history: &History) -> LinearCounter {
        let counter = LinearCounter { initial, seen_most: None };
        let mut seen_most = counter.initial();
        for op in history.operations() {
            match counter.action(&op, history.values()) {
                Ok(Some(CounterAction::Read(sum))) => seen_most = seen_most.max(sum),
                Ok(Some(CounterAction::Add(by))) if by >= 0 => {}
                Ok(Some(CounterAction::AddAndGet(by, sum))) if by >= 0 => seen_most = seen_most.max(sum),
                Ok(None) | Err(_) => {}
                Ok(Some(_)) => return counter,
            }
        }
        LinearCounter { seen_most: Some(seen_most), ..counter }
    }
}

impl Model for LinearCounter {
    type State = i128;
    type Action = CounterAction;

    fn initial(&self) -> i128 {
        i128::from(self.initial)
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<CounterAction>, ModelError> {
        let action = match op.f {
            "read" | "get" => match returned(op) {
                None => return Ok(None),
                Some(_) => CounterAction::Read(seen(op, values)?),
            },
            "add" => {
                let by = amount(op, values)?;
                echoed(
                    op,
                    values,
                    "nil or the amount added; a counter that returns its sum has add-and-get",
                )?;
                CounterAction::Add(by)
            }
            "increment" | "inc" => CounterAction::Add(step_by(op, values, 1)?),
            "decrement" | "dec" => CounterAction::Add(step_by(op, values, -1)?),
            "add-and-get" | "get-and-add" => {
                let by = amount(op, values)?;
                match returned(op) {
                    None => CounterAction::Add(by),
                    Some(_) => {
                        let before = if op.f == "get-and-add" { i128::from(by) } else { 0 };
                        CounterAction::AddAndGet(by, seen(op, values)? + before)
                    }
                }
            }
            _ => return Err(ModelError::unknown_function(op, FUNCTIONS)),
        };
        Ok(match action {
            CounterAction::Add(0) => None,
            CounterAction::AddAndGet(0, sum) => Some(CounterAction::Read(sum)),
            other => Some(other),
        })
    }

    fn step(&self, state: &i128, action: &CounterAction) -> Option<i128> {
        match *action {
            CounterAction::Add(by) => Some(state + i128::from(by)),
            CounterAction::Read(sum) => (*state == sum).then_some(sum),
            CounterAction::AddAndGet(by, sum) => (state + i128::from(by) == sum).then_some(sum),
        }
    }

    fn part(&self, op: &Operation<'_>, _: &Values) -> Option<Value> {
        op.key
    }

    fn is_pure(&self, action: &CounterAction) -> bool {
        matches!(action, CounterAction::Read(_))
    }

    fn representative(&self, state: i128) -> i128 {
        self.seen_most.map_or(state, |most| state.min(most + 1))
    }

    /// A counter that only grows must not be larger than what is read later.
    fn foresight(&self, ops: &[Planned<'_, CounterAction>]) -> Option<Foresight<i128>> {
        // From the last one backwards: those that bound the sum more than all later ones do.
        let mut bounds: Vec<(usize, i128)> = vec![];
        for (at, op) in ops.iter().enumerate().rev() {
            let bound = match *op.action {
                CounterAction::Add(by) | CounterAction::AddAndGet(by, _) if by < 0 => return None,
                CounterAction::Add(_) => continue,
                CounterAction::Read(sum) => sum,
                CounterAction::AddAndGet(by, sum) => sum - i128::from(by),
            };
            if op.demanded && bounds.last().is_none_or(|&(_, least)| bound < least) {
                bounds.push((at, bound));
            }
        }
        Some(Box::new(move |sum| {
            let within = bounds.partition_point(|(_, bound)| bound >= sum);
            Prospect { lost: bounds.get(within).map(|&(at, _)| at), lost_after: None }
        }))
    }

    fn show_state(&self, state: &i128, _: &Values) -> String {
        state.to_string()
    }
}

fn amount(op: &Operation<'_>, values: &Values) -> Result<i64, ModelError> {
    values.int_of(op.input).ok_or_else(|| ModelError::input(op, values, "an integer, the amount to add"))
}

/// `increment` and `decrement`: by one, or by the integer given.
fn step_by(op: &Operation<'_>, values: &Values, sign: i64) -> Result<i64, ModelError> {
    let expected = "nil or an integer, the amount";
    echoed(op, values, "nil or the amount; a counter that returns its sum has add-and-get")?;
    if op.input.is_nil() {
        return Ok(sign);
    }
    let by = values.int_of(op.input).and_then(|by| by.checked_mul(sign));
    by.ok_or_else(|| ModelError::input(op, values, expected))
}

fn seen(op: &Operation<'_>, values: &Values) -> Result<i128, ModelError> {
    let sum = values.int_of(op.output).map(i128::from);
    sum.ok_or_else(|| ModelError::output(op, values, "an integer, the sum"))
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, actions, checks, history, purity};
    use super::*;

    fn counter(history: &History) -> LinearCounter {
        LinearCounter::for_history(0, history)
    }

    #[test]
    fn a_counter_adds_up() {
        Table::new(counter)
            .step("read nil | ok 0", "0")
            .step("add 3 | ok 3", "3")
            .step("add -5", "-2")
            .step("add 0 | ok", "ignored")
            .step("read nil", "ignored")
            .step("read nil | ok 3", "rejected")
            .step("increment nil | ok", "-1")
            .step("dec 2 | ok 2", "-3")
            .step("add-and-get 5 | ok 5", "rejected")
            .step("add-and-get 5 | ok 2", "2")
            .step("get-and-add 1 | ok 2", "3")
            .step("get-and-add 1 | info", "4")
            .step("add 9223372036854775807 | ok", "9223372036854775811")
            .step("add 1 | ok 4", "error: line 28: add returned the value 4; expected nil or the amount added; a counter that returns its sum has add-and-get")
            .step("add nil | ok", "error: line 29: add has the value nil; expected an integer, the amount to add")
            .step("read nil | ok nil", "error: line 32: read returned the value nil; expected an integer, the sum")
            .step(
                "reset nil",
                "error: line 33: the model has no function reset; expected one of: add, increment, decrement, \
                 add-and-get, get-and-add, read",
            )
            .run();
    }

    #[test]
    fn equal_effects_are_equal_actions() {
        let h = history(&[
            "add 1",
            "inc nil | ok",
            "add-and-get 0 | ok 4",
            "read nil | ok 4",
            "get-and-add 1 | ok 3",
            "add-and-get 1 | ok 4",
        ]);
        let a = actions(&counter(&h), &h);
        assert_eq!((a[0], a[2], a[4]), (a[1], a[3], a[5]));
    }

    #[test]
    fn pure_actions_change_nothing_and_the_others_do() {
        purity(counter, &["add 1", "add 2", "read nil | ok 2", "read nil | ok 3", "add-and-get 2 | ok 3"]);
        purity(counter, &["add 1", "dec nil | ok", "read nil | ok 2", "add-and-get 2 | ok 2"]);
    }

    #[test]
    fn tiny_histories_are_judged() {
        assert_eq!(checks(counter, &["add 1", "add 2 | ok", "read nil | ok 3"]), "true");
        assert_eq!(checks(counter, &["add 1", "add 2 | ok", "read nil | ok 1"]), "false");
        assert_eq!(checks(|h| LinearCounter::for_history(7, h), &["add 1", "read nil | ok 7"]), "true");
    }
}
