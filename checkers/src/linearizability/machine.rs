//! A model with its states and actions numbered and its transitions remembered: what engines step.
//!
//! Engines see numbers only, so they are compiled once and not once per model; the model itself is
//! behind [`Stepper`], which is asked once for each pair of state and action.

use super::problem::{Demand, Op};
use crate::history::NEVER;
use crate::model::{Foresight, Model, Planned};
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
/// Transitions are looked up in a flat table up to this many pairs of state and action, and hashed
/// past it.
const FLAT_PAIRS_MAX: usize = 1 << 20;

/// A model whose states are numbered as they are met. State 0 is the initial one.
trait Stepper: Send {
    fn step(&mut self, state: StateId, action: ActionId) -> Option<StateId>;
    fn foresee(&mut self, ops: &[Op]);
    fn outlook(&self, state: StateId) -> Outlook;
    fn show(&self, state: StateId) -> String;
    fn heap_bytes(&self) -> usize;
}

/// What a search should know of a state before it goes there.
#[derive(Clone, Copy, Debug)]
struct Outlook {
    promising: bool,
    /// One past the invocation of the latest operation that can never take effect from there on, and
    /// its return; zeros if there is none.
    lost: (u32, u32),
    /// A position after which another one cannot either, and that one's return.
    lost_after: (u32, u32),
}

impl Outlook {
    const UNKNOWN: Outlook = Outlook { promising: true, lost: (0, 0), lost_after: (NEVER, 0) };
}

/// Steps a model by numbers.
pub(crate) struct Machine<'m> {
    stepper: Box<dyn Stepper + 'm>,
    action_count: usize,
    flat: Vec<u32>,
    hashed: HashMap<(StateId, ActionId), u32, FastBuild>,
    /// Per state.
    outlooks: Vec<Outlook>,
    /// Some state turns into a dead end as time goes by.
    expire: bool,
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
        let mut numbered = Numbered {
            model,
            actions,
            values,
            merges,
            foresight: None,
            intervals: vec![],
            states: vec![],
            index: HashTable::new(),
            bytes: 0,
        };
        let initial = numbered.number(model.initial());
        assert_eq!(initial, Self::INITIAL);
        Machine {
            stepper: Box::new(numbered),
            action_count: actions.len(),
            flat: vec![],
            hashed: HashMap::default(),
            outlooks: vec![Outlook::UNKNOWN],
            expire: false,
        }
    }

    /// Whether a search should try `state` before others.
    #[inline]
    pub(crate) fn is_promising(&self, state: StateId) -> bool {
        self.outlooks[state as usize].promising
    }

    /// Tells the machine what is to come, before its first step: `ops`, sorted by `inv`.
    pub(crate) fn foresee(&mut self, ops: &[Op]) {
        debug_assert_eq!(self.outlooks.len(), 1, "states are judged as they are met");
        self.stepper.foresee(ops);
    }

    /// Whether `state` is a dead end for a search that has met no invocation after `invoked` yet and
    /// can place nothing that returned before `now`: some operation could never take effect. That
    /// one's return, if so.
    #[inline]
    pub(crate) fn dead_end(&self, state: StateId, invoked: u32, now: u32) -> Option<u32> {
        let Outlook { lost, lost_after, .. } = self.outlooks[state as usize];
        if lost.0 > invoked.saturating_add(1) {
            return Some(lost.1);
        }
        (lost_after.0 < now).then_some(lost_after.1)
    }

    /// Whether a state that was none may have become a dead end since.
    pub(crate) fn states_expire(&self) -> bool {
        self.expire
    }

    /// The state after `action` in `state`, if it is possible there.
    #[inline]
    pub(crate) fn step(&mut self, state: StateId, action: ActionId) -> Option<StateId> {
        let next = match self.flat_index(state, action) {
            Some(at) => self.flat.get(at).copied().unwrap_or(UNKNOWN),
            None => self.hashed.get(&(state, action)).copied().unwrap_or(UNKNOWN),
        };
        match next {
            IMPOSSIBLE => None,
            UNKNOWN => self.ask(state, action),
            next => Some(next),
        }
    }

    #[inline]
    fn flat_index(&self, state: StateId, action: ActionId) -> Option<usize> {
        let at = state as usize * self.action_count + action as usize;
        (at < FLAT_PAIRS_MAX).then_some(at)
    }

    /// A state in words.
    pub(crate) fn show(&self, state: StateId) -> String {
        self.stepper.show(state)
    }

    /// Bytes held, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.stepper.heap_bytes()
            + self.flat.capacity() * 4
            + self.outlooks.capacity() * size_of::<Outlook>()
            + self.hashed.capacity() * 13
    }

    #[cold]
    fn ask(&mut self, state: StateId, action: ActionId) -> Option<StateId> {
        let next = self.stepper.step(state, action);
        if let Some(next) = next.filter(|&next| next as usize >= self.outlooks.len()) {
            let outlook = self.stepper.outlook(next);
            self.expire |= outlook.lost_after.0 != NEVER;
            self.outlooks.push(outlook);
            debug_assert_eq!(self.outlooks.len(), next as usize + 1, "states are numbered one by one");
        }
        let stored = next.unwrap_or(IMPOSSIBLE);
        match self.flat_index(state, action) {
            Some(at) => {
                let row_end = ((state as usize + 1) * self.action_count).min(FLAT_PAIRS_MAX);
                if self.flat.len() < row_end {
                    self.flat.resize(row_end, UNKNOWN);
                }
                self.flat[at] = stored;
            }
            None => {
                self.hashed.insert((state, action), stored);
            }
        }
        next
    }
}

struct Numbered<'m, M: Model> {
    model: &'m M,
    actions: &'m [M::Action],
    values: &'m Values,
    merges: bool,
    foresight: Option<Foresight<M::State>>,
    /// Invocation and return of each operation that it was told of.
    intervals: Vec<(u32, u32)>,
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

    fn foresee(&mut self, ops: &[Op]) {
        let planned = |op: &Op| Planned {
            inv: op.inv,
            res: op.res,
            demanded: op.demand == Demand::Once && !op.is_pending(),
            action: &self.actions[op.action as usize],
        };
        self.foresight = self.model.foresight(&ops.iter().map(planned).collect::<Vec<_>>());
        if self.foresight.is_some() {
            self.intervals = ops.iter().map(|op| (op.inv, op.res)).collect();
        }
    }

    fn outlook(&self, state: StateId) -> Outlook {
        let state = &self.states[state as usize];
        let mut outlook = Outlook { promising: self.model.is_promising(state), ..Outlook::UNKNOWN };
        let prospect = self.foresight.as_ref().map(|foresight| foresight(state)).unwrap_or_default();
        if let Some(op) = prospect.lost {
            outlook.lost = (self.intervals[op].0 + 1, self.intervals[op].1);
        }
        if let Some((position, op)) = prospect.lost_after {
            outlook.lost_after = (position, self.intervals[op].1);
        }
        outlook
    }

    fn show(&self, state: StateId) -> String {
        self.model.show_state(&self.states[state as usize], self.values)
    }

    fn heap_bytes(&self) -> usize {
        self.intervals.capacity() * 8
            + self.states.capacity() * size_of::<M::State>()
            + self.bytes
            + self.index.capacity() * 5
    }
}
