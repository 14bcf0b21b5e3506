//! What operations mean: a model is an initial state and a step.
//!
//! A model of your own takes about twenty lines. This one is a register that holds one integer and
//! can be swapped:
//!
//! ```
//! use shakedown_checkers::history::{Operation, Outcome};
//! use shakedown_checkers::model::{Model, ModelError};
//! use shakedown_checkers::value::{Value, Values};
//!
//! struct SwapRegister;
//!
//! impl Model for SwapRegister {
//!     type State = Value;
//!     /// (the value put in, the value got out; `None` if nobody saw it)
//!     type Action = (Value, Option<Value>);
//!
//!     fn initial(&self) -> Value {
//!         Value::NIL
//!     }
//!
//!     fn action(&self, op: &Operation<'_>, _: &Values) -> Result<Option<Self::Action>, ModelError> {
//!         match op.f {
//!             "swap" => Ok(Some((op.input, (op.outcome == Outcome::Ok).then_some(op.output)))),
//!             _ => Err(ModelError::unknown_function(op, "swap")),
//!         }
//!     }
//!
//!     fn step(&self, state: &Value, (new, old): &Self::Action) -> Option<Value> {
//!         old.is_none_or(|old| old == *state).then_some(*new)
//!     }
//! }
//! ```

pub mod counter;
mod decode;
mod flow;
mod guess;
pub mod joined;
pub mod kv;
pub mod log;
pub mod multi_register;
pub mod mutex;
pub mod persistent;
mod prepare;
pub mod priority_queue;
pub mod queue;
pub mod register;
mod registry;
pub mod set;
pub mod stack;
#[cfg(test)]
pub(crate) mod transcript;

pub use flow::{Flow, Token};
pub use guess::{Guess, guess};
pub use prepare::{InitialError, PrepareError, Prepared, initial_value, prepare};
pub use register::has_independent_keys;
pub use registry::{MODELS, ModelInfo, ModelName, OperationInfo, UnknownModel, lookup};

use crate::history::Operation;
use crate::value::{Value, Values};
use std::fmt::Debug;
use std::hash::Hash;
use thiserror::Error;

/// A sequential object: what each operation does to its state, and which results it may have.
///
/// `step` must be a function of its arguments: the engines call it once for each pair of state and
/// action that they meet and remember the answer.
pub trait Model: Send + Sync {
    /// The object's state.
    type State: Clone + Eq + Hash + Debug + Send + Sync;
    /// What one operation did, result included. Operations with equal actions are interchangeable,
    /// so leave out of it whatever does not matter.
    type Action: Clone + Eq + Hash + Debug + Send + Sync;

    /// The state before any operation.
    fn initial(&self) -> Self::State;

    /// Reads one operation; never called for failed ones. `None` means that it constrains nothing
    /// (a read whose result nobody saw) and is left out.
    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<Self::Action>, ModelError>;

    /// The state after `action`; `None` if `action` cannot have had its result in `state`.
    fn step(&self, state: &Self::State, action: &Self::Action) -> Option<Self::State>;

    /// The independent part that the operation belongs to; the history is correct if and only if
    /// each part is. `None` everywhere means that it is one whole.
    fn part(&self, _op: &Operation<'_>, _values: &Values) -> Option<Value> {
        None
    }

    /// True if `action` leaves every state in which it is possible as it is (a read, a failed
    /// compare-and-set). Only ever an optimisation: `false` is always correct, a wrong `true` is not.
    fn is_pure(&self, _action: &Self::Action) -> bool {
        false
    }

    /// True if `action` is possible in every state and the state after it does not depend on the one
    /// before (an unconditional write). Only ever an optimisation, like [`Model::is_pure`].
    fn overwrites(&self, _action: &Self::Action) -> bool {
        false
    }

    /// The well-known object that this is, if it is one: near-linear engines then judge parts whose
    /// values are distinct, by what [`Model::role`] says of each action.
    fn family(&self) -> Option<Family> {
        None
    }

    /// What a [`Family::Register`] holds before any operation. Only asked of that family.
    fn initial_value(&self) -> Value {
        Value::NIL
    }

    /// The part that `action` plays in the family; `None` sends its whole part of the history to the
    /// general engines. Only asked if [`Model::family`] names one.
    fn role(&self, _action: &Self::Action) -> Option<Role> {
        None
    }

    /// Tells `each` what `action` does with values, as [`Flow`] says. [`Flow::Anything`] is always
    /// correct, and leaves it to the engines to find out what can be; so it is what this says of an
    /// action that has no role.
    fn flows(&self, action: &Self::Action, each: &mut dyn FnMut(Flow)) {
        match self.role(action) {
            None => each(Flow::Anything),
            Some(Role::Put(value)) => each(Flow::Brings(Token::of(value))),
            Some(Role::Take(value)) => each(Flow::Takes(Token::of(value))),
            Some(Role::Observe(value)) if value != self.initial_value() => {
                each(Flow::Sees(Token::of(value)));
            }
            Some(Role::TakeUnknown | Role::TakeNothing | Role::Observe(_) | Role::ObserveAll(_)) => {}
        }
    }

    /// Bytes on the heap that `state` does not share with the state it was stepped from, about: for
    /// memory budgets.
    fn state_bytes(&self, _state: &Self::State) -> usize {
        0
    }

    /// False if no recorded result shows this state or anything that grows out of it. A hint, which
    /// only orders the search: such a state must be overwritten before anybody looks.
    fn is_promising(&self, _state: &Self::State) -> bool {
        true
    }

    /// A state that no operation of the history can ever tell from `state`: the same one for as many
    /// states as possible. Every action must be possible in both or in neither, and lead to states
    /// of which that is true again. Only ever an optimisation: `state` itself is always correct.
    ///
    /// Where nobody saw in which order things were put together, this is what keeps the number of
    /// states from growing with the number of orders.
    fn representative(&self, state: Self::State) -> Self::State {
        state
    }

    /// Looks ahead: a function that tells of a state what can no longer be explained from there on,
    /// given all operations that there are. Only ever an optimisation: `None` is always correct.
    fn foresight(&self, ops: &[Planned<'_, Self::Action>]) -> Option<Foresight<Self::State>> {
        let _ = ops;
        None
    }

    /// A state in words, for explanations.
    fn show_state(&self, state: &Self::State, values: &Values) -> String {
        let _ = values;
        format!("{state:?}")
    }
}

/// An operation that a search has to place, or may place. See [`Model::foresight`].
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a, A> {
    /// Position of its invocation; operations come sorted by it.
    pub inv: u32,
    /// Position of its return; [`NEVER`](crate::history::NEVER) if it has none.
    pub res: u32,
    /// It must take effect exactly once; any other may happen any number of times, or not.
    pub demanded: bool,
    /// What it does.
    pub action: &'a A,
}

/// What a state is no good for. The numbers are indices of operations that are demanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prospect {
    /// The latest operation that is impossible in the state and in everything that grows out of it.
    pub lost: Option<usize>,
    /// An operation that has not taken effect yet and is lost as well once this position is past.
    pub lost_after: Option<(u32, usize)>,
}

/// See [`Model::foresight`].
pub type Foresight<S> = Box<dyn Fn(&S) -> Prospect + Send>;

/// Objects with a near-linear decision procedure for distinct values (CHECKERS.md, A3 to A7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Roles: `Put` writes, `Observe` reads.
    Register,
    /// Roles: `Put` enqueues, `Take` dequeues, `TakeNothing` finds it empty.
    Queue,
    /// Roles: `Put` pushes, `Take` pops, `TakeNothing` finds it empty.
    Stack,
    /// Roles: `Put` inserts, `Take` removes the largest, `TakeNothing` finds it empty. Priorities
    /// are integers.
    PriorityQueue,
    /// A set that only grows. Roles: `Put` adds, `ObserveAll` reads the whole set.
    GrowSet,
}

/// What an operation does, in terms of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Brings a value in.
    Put(Value),
    /// Takes that value out.
    Take(Value),
    /// Takes out something that nobody saw: a dequeue that never returned.
    TakeUnknown,
    /// Finds nothing to take.
    TakeNothing,
    /// Sees that value, the initial one ([`Model::initial_value`]) included.
    Observe(Value),
    /// Sees exactly the members of that list or set; nil means none.
    ObserveAll(Value),
}

/// An operation that does not belong to the model, or has a value of the wrong shape.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct ModelError {
    /// Line in the file of the event at fault, from 1; 0 if the history came from no file.
    pub line: u32,
    /// What was found and what was expected.
    pub message: String,
}

impl ModelError {
    /// `op`'s function is not one of the model's; `expected` lists those, as in `read, write, cas`.
    pub fn unknown_function(op: &Operation<'_>, expected: &str) -> ModelError {
        ModelError {
            line: op.invoke_line,
            message: format!("the model has no function {}; expected one of: {expected}", op.f),
        }
    }

    /// The value that `op` was invoked with has the wrong shape.
    pub fn input(op: &Operation<'_>, values: &Values, expected: &str) -> ModelError {
        ModelError {
            line: op.invoke_line,
            message: format!("{} has the value {}; expected {expected}", op.f, values.show(op.input)),
        }
    }

    /// The value that `op` completed with has the wrong shape.
    pub fn output(op: &Operation<'_>, values: &Values, expected: &str) -> ModelError {
        ModelError {
            line: op.complete_line,
            message: format!("{} returned the value {}; expected {expected}", op.f, values.show(op.output)),
        }
    }
}

/// `[a b c]`.
pub(crate) fn show_list(elements: &[Value], values: &Values) -> String {
    let shown: Vec<String> = elements.iter().map(|element| values.show(*element)).collect();
    format!("[{}]", shown.join(" "))
}

/// `{a b c}`.
pub(crate) fn show_members(elements: &[Value], values: &Values) -> String {
    let shown: Vec<String> = elements.iter().map(|element| values.show(*element)).collect();
    format!("{{{}}}", shown.join(" "))
}
