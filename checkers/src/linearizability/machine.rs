//! A model with its states and actions numbered and its transitions remembered: what engines step.
//!
//! Engines see numbers only, so they are compiled once and not once per model; the model itself is
//! behind [`Stepper`], which is asked once for each pair of state and action.

use crate::model::Model;
use crate::value::{FastBuild, Values, fast_hash};
use hashbrown::{HashMap, HashTable};

/// Number of a state in a [`Machine`].
pub(crate) type StateId = u32;
/// Number of an action in a [`Problem`](super::problem::Problem).
pub(crate) type ActionId = u32;

/// "That action is impossible in that state."
const IMPOSSIBLE: u32 = u32::MAX;
/// "Nobody has asked yet."
const UNKNOWN: u32 = u32::MAX - 1;
/// Transition rows are flat up to this many actions, and hashed past it.
const FLAT_ACTIONS: usize = 512;

/// A model whose states are numbered as they are met. State 0 is the initial one.
trait Stepper: Send {
    fn step(&mut self, state: StateId, action: ActionId) -> Option<StateId>;
    fn is_promising(&self, state: StateId) -> bool;
    fn show(&self, state: StateId) -> String;
    fn heap_bytes(&self) -> usize;
}

/// Steps a model by numbers.
pub(crate) struct Machine<'m> {
    stepper: Box<dyn Stepper + 'm>,
    action_count: usize,
    flat: Vec<u32>,
    hashed: HashMap<(StateId, ActionId), u32, FastBuild>,
    /// Per state; see [`Model::is_promising`].
    promising: Vec<bool>,
}

impl<'m> Machine<'m> {
    /// The state before any action.
    pub(crate) const INITIAL: StateId = 0;

    pub(crate) fn new<M: Model>(model: &'m M, actions: &'m [M::Action], values: &'m Values) -> Machine<'m> {
        Machine::of(model, actions, values, true)
    }

    /// Without [`Model::representative`]: every state is told as it is.
    pub(crate) fn exact<M: Model>(model: &'m M, actions: &'m [M::Action], values: &'m Values) -> Machine<'m> {
        Machine::of(model, actions, values, false)
    }

    fn of<M: Model>(model: &'m M, actions: &'m [M::Action], values: &'m Values, merges: bool) -> Machine<'m> {
        let mut numbered =
            Numbered { model, actions, values, merges, states: vec![], index: HashTable::new(), bytes: 0 };
        let initial = numbered.number(model.initial());
        assert_eq!(initial, Self::INITIAL);
        Machine {
            stepper: Box::new(numbered),
            action_count: actions.len(),
            flat: vec![],
            hashed: HashMap::default(),
            promising: vec![true],
        }
    }

    /// Whether a search should try `state` before others.
    #[inline]
    pub(crate) fn is_promising(&self, state: StateId) -> bool {
        self.promising[state as usize]
    }

    /// The state after `action` in `state`, if it is possible there.
    #[inline]
    pub(crate) fn step(&mut self, state: StateId, action: ActionId) -> Option<StateId> {
        let next = if self.action_count <= FLAT_ACTIONS {
            self.flat.get(state as usize * self.action_count + action as usize).copied().unwrap_or(UNKNOWN)
        } else {
            self.hashed.get(&(state, action)).copied().unwrap_or(UNKNOWN)
        };
        match next {
            IMPOSSIBLE => None,
            UNKNOWN => self.ask(state, action),
            next => Some(next),
        }
    }

    /// A state in words.
    pub(crate) fn show(&self, state: StateId) -> String {
        self.stepper.show(state)
    }

    /// Bytes held, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.stepper.heap_bytes()
            + self.flat.capacity() * 4
            + self.promising.capacity()
            + self.hashed.capacity() * 13
    }

    #[cold]
    fn ask(&mut self, state: StateId, action: ActionId) -> Option<StateId> {
        let next = self.stepper.step(state, action);
        if let Some(next) = next.filter(|&next| next as usize >= self.promising.len()) {
            self.promising.push(self.stepper.is_promising(next));
            debug_assert_eq!(self.promising.len(), next as usize + 1, "states are numbered one by one");
        }
        let stored = next.unwrap_or(IMPOSSIBLE);
        if self.action_count <= FLAT_ACTIONS {
            let rows = state as usize + 1;
            if self.flat.len() < rows * self.action_count {
                self.flat.resize(rows * self.action_count, UNKNOWN);
            }
            self.flat[state as usize * self.action_count + action as usize] = stored;
        } else {
            self.hashed.insert((state, action), stored);
        }
        next
    }
}

struct Numbered<'m, M: Model> {
    model: &'m M,
    actions: &'m [M::Action],
    values: &'m Values,
    merges: bool,
    states: Vec<M::State>,
    index: HashTable<u32>,
    /// What the states hold on the heap.
    bytes: usize,
}

impl<M: Model> Numbered<'_, M> {
    fn number(&mut self, state: M::State) -> StateId {
        let state = if self.merges { self.model.representative(state) } else { state };
        let hash = fast_hash(&state);
        if let Some(&id) = self.index.find(hash, |&id| self.states[id as usize] == state) {
            return id;
        }
        let id = self.states.len() as u32;
        assert!(id < UNKNOWN, "memory budgets end a search long before 2^32 states");
        self.bytes += self.model.state_bytes(&state);
        self.states.push(state);
        let states = &self.states;
        self.index.insert_unique(hash, id, |&id| fast_hash(&states[id as usize]));
        id
    }
}

impl<M: Model> Stepper for Numbered<'_, M> {
    fn step(&mut self, state: StateId, action: ActionId) -> Option<StateId> {
        let next = self.model.step(&self.states[state as usize], &self.actions[action as usize])?;
        Some(self.number(next))
    }

    fn is_promising(&self, state: StateId) -> bool {
        self.model.is_promising(&self.states[state as usize])
    }

    fn show(&self, state: StateId) -> String {
        self.model.show_state(&self.states[state as usize], self.values)
    }

    fn heap_bytes(&self) -> usize {
        self.states.capacity() * size_of::<M::State>() + self.bytes + self.index.capacity() * 5
    }
}
