//! A priority queue of integers that hands out the largest.
//!
//! `insert p` and `extract`, or `push` and `pop`. The element is its priority; equal priorities are
//! equal elements and may repeat. An extraction that completed with nil or `:empty` found the queue
//! empty. (Lee & Mathur 2025 for the decision procedure; the sequential object is the textbook's.)

use super::persistent::Map;
use super::queue::{ContainerAction, put, take, unknown_function};
use super::{Family, Model, ModelError, Role};
use crate::history::Operation;
use crate::value::{Value, Values};

/// Largest first. In its state priorities are in order, because small integers' handles are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PriorityQueue;

const EXPECTED: &str = "an integer priority between -2^61 and 2^61";

impl Model for PriorityQueue {
    type State = Map<Value, u32>;
    type Action = ContainerAction;

    fn initial(&self) -> Map<Value, u32> {
        Map::empty()
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<ContainerAction>, ModelError> {
        let action = match op.f {
            "insert" | "push" | "enqueue" | "add" => put(op, values)?,
            "extract" | "extract-max" | "pop" | "dequeue" => take(op, values),
            _ => return Err(unknown_function(op, "insert, extract")),
        };
        match action {
            ContainerAction::Put(value) if value.as_small_int().is_none() => {
                Err(ModelError::input(op, values, EXPECTED))
            }
            ContainerAction::Take(value) if value.as_small_int().is_none() => {
                Err(ModelError::output(op, values, EXPECTED))
            }
            _ => Ok(Some(action)),
        }
    }

    fn step(&self, state: &Map<Value, u32>, action: &ContainerAction) -> Option<Map<Value, u32>> {
        let largest = state.last().map(|(largest, _)| *largest);
        match *action {
            ContainerAction::Put(value) => Some(state.insert_one(value)),
            ContainerAction::Take(value) if largest == Some(value) => state.remove_one(value),
            ContainerAction::Take(_) => None,
            ContainerAction::TakeUnknown => state.remove_one(largest?),
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
        Some(Family::PriorityQueue)
    }

    fn role(&self, action: &ContainerAction) -> Option<Role> {
        Some(action.role())
    }

    fn state_bytes(&self, state: &Map<Value, u32>) -> usize {
        state.own_bytes()
    }

    fn show_state(&self, state: &Map<Value, u32>, values: &Values) -> String {
        super::queue::show_counts(state, values)
    }
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, checks, purity};
    use super::*;

    #[test]
    fn a_priority_queue_takes_the_largest() {
        Table::new(|_: &_| PriorityQueue)
            .step("extract nil | ok nil", "{}")
            .step("extract nil", "rejected")
            .step("insert -5 | ok", "{-5}")
            .step("insert 10 | ok 10", "{-5 10}")
            .step("push 9", "{-5 9 10}")
            .step("insert 10", "{-5 9 10 10}")
            .step("extract nil | ok 9", "rejected")
            .step("extract nil | ok 10", "{-5 9 10}")
            .step("pop nil", "{-5 9}")
            .step("extract nil | ok :empty", "rejected")
            .step("extract nil | ok 9", "{-5}")
            .step("extract nil | ok -5", "{}")
            .step(
                "insert \"a\" | ok",
                "error: line 25: insert has the value \"a\"; expected an integer priority between -2^61 and 2^61",
            )
            .step(
                "extract nil | ok [1 2]",
                "error: line 28: extract returned the value [1 2]; expected an integer priority between -2^61 \
                 and 2^61",
            )
            .run();
    }

    #[test]
    fn pure_actions_change_nothing_and_the_others_do() {
        purity(
            |_| PriorityQueue,
            &[
                "insert 1",
                "insert 2",
                "extract nil | ok 1",
                "extract nil | ok 2",
                "extract nil | ok nil",
                "extract nil",
            ],
        );
    }

    #[test]
    fn tiny_histories_are_judged() {
        let word = |lines: &[&str]| checks(|_| PriorityQueue, lines);
        assert_eq!(word(&["insert 2 | ok", "insert 1 | ok", "pop nil | ok 2", "pop nil | ok 1"]), "true");
        assert_eq!(word(&["insert 2 | ok", "insert 1 | ok", "pop nil | ok 1"]), "false");
        assert_eq!(word(&["pop nil", "insert 2 | ok", "insert 1 | ok", "pop nil | ok 1"]), "true");
    }
}
