//! Queues: `fifo-queue` and `unordered-queue`.
//!
//! Herlihy & Wing 1990, §2 (FIFO queue); Knossos `fifo-queue` and `unordered-queue`. Unlike there, a
//! dequeue that completed with nil, `:empty` or `:exhausted` found the queue empty, and one whose
//! completion is unknown takes an element that nobody saw.
//!
//! An unordered queue is a multiset, and what an unseen dequeue takes from it is anybody's guess: it
//! takes the smallest handle. That loses no explanation, because such a dequeue is only ever needed
//! just before someone finds the queue empty, when it does not matter which of the last elements
//! each of them takes. (Under sequential consistency the same holds for processes that do nothing
//! after an operation with an unknown completion, as Jepsen's do not.)

use super::decode::{echoed, returned};
use super::persistent::{Fifo, Map};
use super::{Family, Flow, Model, ModelError, Role, Token};
use crate::history::Operation;
use crate::value::{Datum, Value, Values};

/// First in, first out.
#[derive(Clone, Copy, Debug, Default)]
pub struct FifoQueue;

/// What an operation did to a queue, a stack or another container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerAction {
    /// Put this value in.
    Put(Value),
    /// Took this value out.
    Take(Value),
    /// Took something out that nobody saw.
    TakeUnknown,
    /// Found nothing to take.
    FoundEmpty,
}

impl ContainerAction {
    /// What it plays in the families of containers.
    pub(super) fn role(self) -> Role {
        match self {
            ContainerAction::Put(value) => Role::Put(value),
            ContainerAction::Take(value) => Role::Take(value),
            ContainerAction::TakeUnknown => Role::TakeUnknown,
            ContainerAction::FoundEmpty => Role::TakeNothing,
        }
    }
}

/// Reads an operation that puts a value in.
pub(super) fn put(op: &Operation<'_>, values: &Values) -> Result<ContainerAction, ModelError> {
    let value = match echoed(op, values, "nil, true or the value that was put in") {
        Err(_) if op.output == Value::TRUE => op.input,
        other => other?,
    };
    if value.is_nil() {
        return Err(ModelError::input(op, values, "the value to put in: nil stands for an empty container"));
    }
    Ok(ContainerAction::Put(value))
}

/// Reads an operation that takes a value out.
pub(super) fn take(op: &Operation<'_>, values: &Values) -> ContainerAction {
    match returned(op) {
        None => ContainerAction::TakeUnknown,
        Some(value) => match values.get(value) {
            Datum::Nil | Datum::Keyword("empty" | "exhausted") => ContainerAction::FoundEmpty,
            _ => ContainerAction::Take(value),
        },
    }
}

/// The error for functions that are not the container's. Jepsen's `drain` gets a word of its own.
pub(super) fn unknown_function(op: &Operation<'_>, expected: &str) -> ModelError {
    if op.f == "drain" {
        return ModelError {
            line: op.invoke_line,
            message: format!(
                "drain takes many elements at many moments, so it is not one operation of a linearizable \
                 object; expected one of: {expected}. Record each element that it took as a take of its own"
            ),
        };
    }
    ModelError::unknown_function(op, expected)
}

fn queue_action(op: &Operation<'_>, values: &Values) -> Result<Option<ContainerAction>, ModelError> {
    match op.f {
        "enqueue" | "put" | "offer" | "send" => put(op, values).map(Some),
        "dequeue" | "take" | "poll" | "recv" => Ok(Some(take(op, values))),
        _ => Err(unknown_function(op, "enqueue, dequeue")),
    }
}

impl Model for FifoQueue {
    type State = Fifo;
    type Action = ContainerAction;

    fn initial(&self) -> Fifo {
        Fifo::empty()
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<ContainerAction>, ModelError> {
        queue_action(op, values)
    }

    fn step(&self, state: &Fifo, action: &ContainerAction) -> Option<Fifo> {
        match *action {
            ContainerAction::Put(value) => Some(state.push(value)),
            ContainerAction::Take(value) => {
                if state.front() == Some(value) {
                    state.pop()
                } else {
                    None
                }
            }
            ContainerAction::TakeUnknown => state.pop(),
            ContainerAction::FoundEmpty => state.is_empty().then(|| state.clone()),
        }
    }

    fn part(&self, op: &Operation<'_>, _: &Values) -> Option<Value> {
        op.key
    }

    fn is_pure(&self, action: &ContainerAction) -> bool {
        *action == ContainerAction::FoundEmpty
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Queue)
    }

    fn role(&self, action: &ContainerAction) -> Option<Role> {
        Some(action.role())
    }

    fn state_bytes(&self, _: &Fifo) -> usize {
        // One list node; the rest is shared with the queue it came from.
        48
    }

    fn show_state(&self, state: &Fifo, values: &Values) -> String {
        super::show_list(&state.iter().collect::<Vec<_>>(), values)
    }
}

/// A queue that keeps no order: a multiset.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnorderedQueue;

impl Model for UnorderedQueue {
    type State = Map<Value, u32>;
    type Action = ContainerAction;

    fn initial(&self) -> Map<Value, u32> {
        Map::empty()
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<ContainerAction>, ModelError> {
        queue_action(op, values)
    }

    fn step(&self, state: &Map<Value, u32>, action: &ContainerAction) -> Option<Map<Value, u32>> {
        match *action {
            ContainerAction::Put(value) => Some(state.insert_one(value)),
            ContainerAction::Take(value) => state.remove_one(value),
            ContainerAction::TakeUnknown => state.remove_one(*state.iter().next()?.0),
            ContainerAction::FoundEmpty => state.is_empty().then(|| state.clone()),
        }
    }

    fn part(&self, op: &Operation<'_>, _: &Values) -> Option<Value> {
        op.key
    }

    fn is_pure(&self, action: &ContainerAction) -> bool {
        *action == ContainerAction::FoundEmpty
    }

    fn flows(&self, action: &ContainerAction, each: &mut dyn FnMut(Flow)) {
        match *action {
            ContainerAction::Put(value) => each(Flow::Brings(Token::of(value))),
            ContainerAction::Take(value) => each(Flow::Takes(Token::of(value))),
            ContainerAction::TakeUnknown | ContainerAction::FoundEmpty => {}
        }
    }

    fn state_bytes(&self, state: &Map<Value, u32>) -> usize {
        state.own_bytes()
    }

    fn show_state(&self, state: &Map<Value, u32>, values: &Values) -> String {
        show_counts(state, values)
    }
}

/// A multiset: `{a a b}`.
pub(super) fn show_counts(state: &Map<Value, u32>, values: &Values) -> String {
    let each = state.iter().flat_map(|(value, count)| std::iter::repeat_n(*value, *count as usize));
    super::show_members(&each.collect::<Vec<_>>(), values)
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, actions, checks, history, purity};
    use super::*;

    const ALPHABET: &[&str] = &[
        "enqueue 1 | ok",
        "enqueue 2",
        "dequeue nil | ok 1",
        "dequeue nil | ok 2",
        "dequeue nil | ok nil",
        "dequeue nil",
    ];

    #[test]
    fn a_fifo_queue_takes_the_oldest() {
        Table::new(|_: &_| FifoQueue)
            .step("dequeue nil | ok nil", "[]")
            .step("dequeue nil", "rejected")
            .step("enqueue 1 | ok 1", "[1]")
            .step("put 2 | ok true", "[1 2]")
            .step("dequeue nil | ok 2", "rejected")
            .step("dequeue nil | ok :empty", "rejected")
            .step("take nil | ok 1", "[2]")
            .step("enqueue [3 4]", "[2 [3 4]]")
            .step("dequeue nil | info", "[[3 4]]")
            .step("dequeue nil | ok [3 4]", "[]")
            .run();
    }

    #[test]
    fn an_unordered_queue_takes_any() {
        Table::new(|_: &_| UnorderedQueue)
            .step("dequeue nil | ok 2", "rejected")
            .step("enqueue 2 | ok", "{2}")
            .step("enqueue 1 | ok", "{1 2}")
            .step("enqueue 2 | ok", "{1 2 2}")
            .step("dequeue nil | ok 2", "{1 2}")
            .step("dequeue nil | ok nil", "rejected")
            .step("dequeue nil", "{2}")
            .step("dequeue nil | ok 2", "{}")
            .step("dequeue nil | ok nil", "{}")
            .run();
    }

    #[test]
    fn errors_name_the_line_and_what_to_do() {
        Table::new(|_: &_| FifoQueue)
            .step(
                "enqueue 1 | ok 2",
                "error: line 2: enqueue returned the value 2; expected nil, true or the value that was put in",
            )
            .step(
                "enqueue nil | ok",
                "error: line 3: enqueue has the value nil; expected the value to put in: nil stands for an \
                 empty container",
            )
            .step(
                "drain nil | ok [1 2]",
                "error: line 5: drain takes many elements at many moments, so it is not one operation of a \
                 linearizable object; expected one of: enqueue, dequeue. Record each element that it took as a \
                 take of its own",
            )
            .run();
    }

    #[test]
    fn pure_actions_change_nothing_and_the_others_do() {
        purity(|_| FifoQueue, ALPHABET);
        purity(|_| UnorderedQueue, ALPHABET);
        let h =
            history(&["dequeue nil | ok nil", "poll nil | ok :empty", "dequeue 7", "dequeue nil | info 3"]);
        let a = actions(&FifoQueue, &h);
        assert_eq!((a[0], a[2]), (a[1], a[3]));
    }

    #[test]
    fn tiny_histories_are_judged() {
        let order = ["enqueue 1 | ok", "enqueue 2 | ok", "dequeue nil | ok 2", "dequeue nil | ok 1"];
        assert_eq!(checks(|_| FifoQueue, &order), "false");
        assert_eq!(checks(|_| UnorderedQueue, &order), "true");
        let unseen = ["dequeue nil", "enqueue 1 | ok", "enqueue 2 | ok", "dequeue nil | ok 2"];
        assert_eq!(checks(|_| FifoQueue, &unseen), "true");
        // The unseen dequeue must take the 2, not the smallest element at the time.
        let emptied =
            ["dequeue nil", "enqueue 1 | ok", "enqueue 2 | ok", "dequeue nil | ok 1", "dequeue nil | ok nil"];
        assert_eq!(checks(|_| UnorderedQueue, &emptied), "true");
        assert_eq!(checks(|_| UnorderedQueue, &emptied[1..]), "false");
    }
}
