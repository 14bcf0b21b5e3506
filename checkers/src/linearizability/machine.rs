//! A model with its states and actions numbered and its transitions remembered: what engines step.

use crate::model::Model;
use crate::value::{FastBuild, fast_hash};
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

/// Steps a model by numbers. Each transition asks the model once.
pub(crate) struct Machine<'m, M: Model> {
    model: &'m M,
    actions: &'m [M::Action],
    states: Vec<M::State>,
    index: HashTable<u32>,
    flat: Vec<u32>,
    hashed: HashMap<(StateId, ActionId), u32, FastBuild>,
}

impl<'m, M: Model> Machine<'m, M> {
    /// The state numbered 0 is the initial one.
    pub(crate) const INITIAL: StateId = 0;

    pub(crate) fn new(model: &'m M, actions: &'m [M::Action]) -> Machine<'m, M> {
        let mut machine = Machine {
            model,
            actions,
            states: Vec::new(),
            index: HashTable::new(),
            flat: Vec::new(),
            hashed: HashMap::default(),
        };
        let initial = machine.intern(model.initial());
        assert_eq!(initial, Self::INITIAL);
        machine
    }

    /// The state after `action` in `state`, if it is possible there.
    #[inline]
    pub(crate) fn step(&mut self, state: StateId, action: ActionId) -> Option<StateId> {
        let next = if self.actions.len() <= FLAT_ACTIONS {
            self.flat[state as usize * self.actions.len() + action as usize]
        } else {
            self.hashed.get(&(state, action)).copied().unwrap_or(UNKNOWN)
        };
        match next {
            IMPOSSIBLE => None,
            UNKNOWN => self.ask(state, action),
            next => Some(next),
        }
    }

    /// The model's own state behind a number.
    pub(crate) fn state(&self, id: StateId) -> &M::State {
        &self.states[id as usize]
    }

    /// Number of states met so far.
    pub(crate) fn state_count(&self) -> usize {
        self.states.len()
    }

    /// Bytes held, counting each state at its inline size and a guess of what it points to.
    pub(crate) fn heap_bytes(&self) -> usize {
        const POINTED_TO: usize = 48;
        self.states.len() * (size_of::<M::State>() + POINTED_TO)
            + self.flat.capacity() * 4
            + self.hashed.capacity() * 13
            + self.index.capacity() * 5
    }

    #[cold]
    fn ask(&mut self, state: StateId, action: ActionId) -> Option<StateId> {
        let next = self.model.step(&self.states[state as usize], &self.actions[action as usize]);
        let next = next.map(|next| self.intern(next));
        let stored = next.unwrap_or(IMPOSSIBLE);
        if self.actions.len() <= FLAT_ACTIONS {
            self.flat[state as usize * self.actions.len() + action as usize] = stored;
        } else {
            self.hashed.insert((state, action), stored);
        }
        next
    }

    fn intern(&mut self, state: M::State) -> StateId {
        let hash = fast_hash(&state);
        if let Some(&id) = self.index.find(hash, |&id| self.states[id as usize] == state) {
            return id;
        }
        let id = self.states.len() as u32;
        assert!(id < UNKNOWN, "memory budgets end a search long before 2^32 states");
        self.states.push(state);
        let states = &self.states;
        self.index.insert_unique(hash, id, |&id| fast_hash(&states[id as usize]));
        if self.actions.len() <= FLAT_ACTIONS {
            self.flat.resize(self.states.len() * self.actions.len(), UNKNOWN);
        }
        id
    }
}
