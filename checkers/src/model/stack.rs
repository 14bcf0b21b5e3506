//! A stack: last in, first out.
//!
//! `push` and `pop` read as a queue's operations are: a pop that completed with nil or `:empty` found
//! the stack empty, one whose completion is unknown takes an element that nobody saw. (Bouajjani,
//! Emmi, Enea, Hamza 2015, *On Reducing Linearizability to State Reachability*, for the sequential
//! specification with empty pops.)

use super::persistent::Chain;
use super::queue::{ContainerAction, put, take, unknown_function};
use super::{Family, Model, ModelError, Role};
use crate::history::Operation;
use crate::value::{Value, Values};

/// Last in, first out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack;

impl Model for Stack {
    type State = Chain<Value>;
    type Action = ContainerAction;

    fn initial(&self) -> Chain<Value> {
        Chain::empty()
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<ContainerAction>, ModelError> {
        match op.f {
            "push" | "put" => put(op, values).map(Some),
            "pop" | "take" => Ok(Some(take(op, values))),
            _ => Err(unknown_function(op, "push, pop")),
        }
    }

    fn step(&self, state: &Chain<Value>, action: &ContainerAction) -> Option<Chain<Value>> {
        match *action {
            ContainerAction::Put(value) => Some(state.push([value].into())),
            ContainerAction::Take(value) => {
                state.pop().filter(|(top, _)| *top == value).map(|(_, rest)| rest)
            }
            ContainerAction::TakeUnknown => state.pop().map(|(_, rest)| rest),
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
        Some(Family::Stack)
    }

    fn role(&self, action: &ContainerAction) -> Option<Role> {
        Some(action.role())
    }

    fn state_bytes(&self, state: &Chain<Value>) -> usize {
        state.own_bytes()
    }

    /// Bottom first.
    fn show_state(&self, state: &Chain<Value>, values: &Values) -> String {
        super::show_list(&state.to_vec(), values)
    }
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, checks, purity};
    use super::*;

    #[test]
    fn a_stack_takes_the_newest() {
        Table::new(|_: &_| Stack)
            .step("pop nil | ok nil", "[]")
            .step("pop nil", "rejected")
            .step("push 1 | ok 1", "[1]")
            .step("push 2 | ok", "[1 2]")
            .step("pop nil | ok 1", "rejected")
            .step("pop nil | ok :empty", "rejected")
            .step("pop nil | ok 2", "[1]")
            .step("push 3", "[1 3]")
            .step("pop nil", "[1]")
            .step("pop nil | ok 1", "[]")
            .step(
                "peek nil | ok 1",
                "error: line 21: the model has no function peek; expected one of: push, pop",
            )
            .step(
                "push 1 | ok 7",
                "error: line 24: push returned the value 7; expected nil, true or the value that was put in",
            )
            .run();
    }

    #[test]
    fn pure_actions_change_nothing_and_the_others_do() {
        purity(
            |_| Stack,
            &["push 1", "push 2", "pop nil | ok 1", "pop nil | ok 2", "pop nil | ok nil", "pop nil"],
        );
    }

    #[test]
    fn tiny_histories_are_judged() {
        let word = |lines: &[&str]| checks(|_| Stack, lines);
        assert_eq!(word(&["push 1 | ok", "push 2 | ok", "pop nil | ok 2", "pop nil | ok 1"]), "true");
        assert_eq!(word(&["push 1 | ok", "push 2 | ok", "pop nil | ok 1"]), "false");
        assert_eq!(word(&["pop nil", "push 1 | ok", "push 2 | ok", "pop nil | ok 1"]), "true");
    }
}
