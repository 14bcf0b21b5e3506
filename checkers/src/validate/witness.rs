//! Plays the weakened history that a witness claims is impossible, and finds whether it is.

use super::{CONFIGURATIONS_MAX, Fact, Refusal, facts};
use crate::history::{History, NEVER, OpId};
use crate::model::{Family, Flow, Model, Role};
use crate::options::Consistency;
use crate::value::{Datum, Value, Values};
use crate::verdict::Witness;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::Hash;

/// Configurations met in one attempt, those of each return counted anew.
const MET_MAX: usize = 50 * CONFIGURATIONS_MAX;

/// Refuses a witness whose core can be placed, or is no core.
pub(super) fn validate_witness<M: Model>(
    history: &History,
    model: &M,
    consistency: Consistency,
    witness: &Witness,
) -> Result<(), Refusal> {
    let facts = facts(history, model)?
        .remove(&witness.key)
        .ok_or_else(|| "the witness is about no part of the history".to_owned())?;
    check_core(&facts, witness)?;
    let sequential = consistency == Consistency::Sequential;
    let own = Game {
        initial: model.initial(),
        step: &|state: &M::State, action: &M::Action| model.step(state, action),
        merge: &|state| model.representative(state),
        is_pure: &|action| model.is_pure(action),
        piles_up: !matches!(model.family(), None | Some(Family::Register)),
    };
    let Some(values) = &witness.values else {
        if is_out_of_nowhere(model, &facts, witness, sequential) {
            return Ok(());
        }
        return own.refute(sequential, facts.into_iter().map(|fact| Weak::of(fact, witness)).collect());
    };
    let family = model.family().ok_or_else(|| "it names values, but the model is of no family".to_owned())?;
    let mut projected = vec![];
    for fact in facts {
        let role = model
            .role(&fact.action)
            .ok_or_else(|| format!("it names values, but operation {} has no role", fact.id))?;
        projected.push((role, fact));
    }
    let in_core = |fact: &Fact<M::Action>| witness.core.contains(&fact.id);
    let stranger = projected.iter().find(|(role, fact)| in_core(fact) && !is_about(*role, values));
    if let Some((_, fact)) = stranger {
        return Err(format!("operation {} of the core is about a value that it leaves out", fact.id).into());
    }
    projected.retain(|(role, fact)| is_about(*role, values) && (in_core(fact) || changes_something(*role)));
    if family == Family::GrowSet {
        // Its reads see all members at once, so what they saw is projected as well.
        let set = Game {
            initial: BTreeSet::new(),
            step: &|state: &BTreeSet<Value>, role: &Role| step_set(state, *role, values, history.values()),
            merge: &|state| state,
            is_pure: &|role| !changes_something(*role),
            piles_up: true,
        };
        let weak = projected.into_iter().map(|(role, fact)| Weak::of(fact.with_action(role), witness));
        return set.refute(sequential, weak.collect());
    }
    own.refute(sequential, projected.into_iter().map(|(_, fact)| Weak::of(fact, witness)).collect())
}

/// The core must be a set of the part's operations, the explained one among them.
fn check_core<A>(facts: &[Fact<A>], witness: &Witness) -> Result<(), String> {
    if !witness.core.is_sorted_by(|a, b| a < b) {
        return Err("the core is not in the order of invocations, each operation once".to_owned());
    }
    if !witness.core.contains(&witness.failed) {
        return Err(format!("operation {} is explained, but is not of the core", witness.failed));
    }
    let of_part: BTreeSet<OpId> = facts.iter().map(|fact| fact.id).collect();
    match witness.core.iter().find(|id| !of_part.contains(id)) {
        Some(stranger) => Err(format!("operation {stranger} of the core is not of the part")),
        None => Ok(()),
    }
}

/// Whether the explained operation shows a value that cannot have been there, by what the model says
/// of where values come from ([`Model::flows`]): nothing that it can come after brings it; or the
/// core has all that does, and takes the value more often, up to the explained operation's return.
fn is_out_of_nowhere<M: Model>(
    model: &M,
    facts: &[Fact<M::Action>],
    witness: &Witness,
    sequential: bool,
) -> bool {
    let flows = |fact: &Fact<M::Action>| {
        let mut flows = vec![];
        model.flows(&fact.action, &mut |flow| flows.push(flow));
        flows
    };
    let failed = facts.iter().find(|fact| fact.id == witness.failed).expect("it is of the core");
    if failed.returned == NEVER {
        return false;
    }
    let in_core = |fact: &&Fact<M::Action>| witness.core.contains(&fact.id);
    let earlier = || facts.iter().filter(|fact| sequential || fact.invoked <= failed.returned);
    if earlier().any(|fact| flows(fact).contains(&Flow::Anything)) {
        return false;
    }
    flows(failed).into_iter().any(|flow| {
        let (Flow::Sees(token) | Flow::Takes(token)) = flow else { return false };
        let brings = |fact: &&Fact<M::Action>| flows(fact).contains(&Flow::Brings(token));
        let takes = |fact: &&Fact<M::Action>| flows(fact).contains(&Flow::Takes(token));
        let sources = earlier().filter(brings).count();
        if sources == 0 {
            return true;
        }
        let due = |fact: &&Fact<M::Action>| {
            fact.returned != NEVER && (sequential || fact.returned <= failed.returned)
        };
        let taken = facts.iter().filter(in_core).filter(due).filter(takes).count();
        earlier().filter(brings).all(|fact| in_core(&fact)) && taken > sources
    })
}

/// Whether an operation has to do with `values`. What is about others can be left out: without them
/// a legal order of a register, queue, stack or priority queue is still one.
fn is_about(role: Role, values: &[Value]) -> bool {
    match role {
        Role::Put(value) | Role::Take(value) | Role::Observe(value) => values.contains(&value),
        Role::TakeUnknown | Role::TakeNothing | Role::ObserveAll(_) => true,
    }
}

fn changes_something(role: Role) -> bool {
    matches!(role, Role::Put(_) | Role::Take(_) | Role::TakeUnknown)
}

/// A growing set, as far as `about` is concerned.
fn step_set(
    state: &BTreeSet<Value>,
    role: Role,
    about: &[Value],
    values: &Values,
) -> Option<BTreeSet<Value>> {
    match role {
        Role::Put(value) => Some(state.iter().copied().chain([value]).collect()),
        Role::ObserveAll(seen) => {
            let members = match values.get(seen) {
                Datum::List(members) | Datum::Set(members) => members,
                _ => &[],
            };
            let seen: BTreeSet<Value> = members.iter().copied().filter(|v| about.contains(v)).collect();
            (seen == *state).then_some(seen)
        }
        Role::Take(_) | Role::TakeUnknown | Role::TakeNothing | Role::Observe(_) => None,
    }
}

/// An operation of the weakened history.
struct Weak<A> {
    invoked: u32,
    returned: u32,
    process: i64,
    action: A,
    /// Its bit, if it is of the core.
    core: Option<usize>,
}

impl<A> Weak<A> {
    fn of(fact: Fact<A>, witness: &Witness) -> Weak<A> {
        let core = witness.core.iter().position(|&id| id == fact.id);
        let Fact { invoked, returned, process, action, .. } = fact;
        Weak { invoked, returned, process, action, core }
    }

    /// It need not take effect.
    fn is_optional(&self) -> bool {
        self.core.is_none() || self.returned == NEVER
    }
}

type Bits = Vec<u64>;

fn with_bit(bits: &Bits, at: usize) -> Bits {
    let mut bits = bits.clone();
    bits[at / 64] |= 1 << (at % 64);
    bits
}

fn has_bit(bits: &Bits, at: usize) -> bool {
    bits[at / 64] >> (at % 64) & 1 == 1
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    AnyNumber,
    AtMostOnce,
}

/// Core operations placed; other open operations that have been spent; the state.
type Configuration<S> = (Bits, Vec<usize>, S);

fn can_be_placed() -> Refusal {
    Refusal::Wrong("the operations of the core can be placed after all".to_owned())
}

/// What operations mean while a weakened history is played.
struct Game<'g, S, A> {
    initial: S,
    step: &'g dyn Fn(&S, &A) -> Option<S>,
    /// [`Model::representative`], for weakened histories that are too large without.
    merge: &'g dyn Fn(S) -> S,
    is_pure: &'g dyn Fn(&A) -> bool,
    /// There is no end of states when operations are repeated.
    piles_up: bool,
}

impl<S: Clone + Eq + Hash, A> Game<'_, S, A> {
    /// `Ok` if the weakened history is impossible.
    ///
    /// "Any number of times" has no end of states where operations pile up (a queue that is filled
    /// over and over), so there each operation that is not of the core takes effect at most once:
    /// that is still more than the recorded history allows, so what it refutes is refuted.
    fn refute(&self, sequential: bool, mut ops: Vec<Weak<A>>) -> Result<(), Refusal> {
        ops.sort_by_key(|op| op.invoked);
        if sequential {
            return self.refute_sequential(&ops);
        }
        let merging = |state: &S, action: &A| (self.step)(state, action).map(self.merge);
        let merged = Game { step: &merging, initial: self.initial.clone(), ..*self };
        let exact_max = CONFIGURATIONS_MAX / 100;
        let attempts = [
            (self, Repeat::AnyNumber, exact_max),
            (&merged, Repeat::AnyNumber, CONFIGURATIONS_MAX),
            (self, Repeat::AtMostOnce, CONFIGURATIONS_MAX),
            (&merged, Repeat::AtMostOnce, CONFIGURATIONS_MAX),
        ];
        for (game, repeat, configurations_max) in attempts {
            if self.piles_up && repeat == Repeat::AnyNumber {
                continue;
            }
            if let Some(result) = game.play(&ops, repeat, configurations_max) {
                return result;
            }
        }
        Err(Refusal::TooLarge)
    }

    /// Keeps every configuration that there can be; at some return there must be none. `None` if
    /// there are too many at once, or in all.
    fn play(
        &self,
        ops: &[Weak<A>],
        repeat: Repeat,
        configurations_max: usize,
    ) -> Option<Result<(), Refusal>> {
        let mut returns: Vec<usize> = (0..ops.len()).filter(|&i| ops[i].returned != NEVER).collect();
        returns.sort_by_key(|&i| ops[i].returned);
        let core_size = ops.iter().filter_map(|op| op.core).max().map_or(0, |most| most + 1);
        let none: Bits = vec![0; core_size.div_ceil(64)];
        let mut now: HashSet<Configuration<S>> = HashSet::from([(none, vec![], self.initial.clone())]);
        let mut open: Vec<usize> = vec![];
        let (mut next, mut met) = (0, 0);
        for ending in returns {
            while next < ops.len() && ops[next].invoked <= ops[ending].returned {
                open.push(next);
                next += 1;
            }
            let changes_nothing = ops[ending].core.is_none() && (self.is_pure)(&ops[ending].action);
            if !changes_nothing {
                now = self.reach(ops, &open, now, repeat, configurations_max)?;
                met += now.len();
                if met > MET_MAX {
                    return None;
                }
            }
            open.retain(|&i| i != ending);
            match ops[ending].core {
                Some(bit) => now.retain(|(placed, _, _)| has_bit(placed, bit)),
                None if repeat == Repeat::AtMostOnce => {
                    now = now
                        .into_iter()
                        .map(|(placed, mut spent, state)| {
                            spent.retain(|&i| i != ending);
                            (placed, spent, state)
                        })
                        .collect();
                }
                None => {}
            }
            if now.is_empty() {
                return Some(Ok(()));
            }
        }
        Some(Err(can_be_placed()))
    }

    /// Everything that some sequence of open operations leads to.
    fn reach(
        &self,
        ops: &[Weak<A>],
        open: &[usize],
        from: HashSet<Configuration<S>>,
        repeat: Repeat,
        configurations_max: usize,
    ) -> Option<HashSet<Configuration<S>>> {
        let mut queue: Vec<Configuration<S>> = from.iter().cloned().collect();
        let mut all = from;
        while let Some((placed, spent, state)) = queue.pop() {
            for &i in open {
                if ops[i].core.is_some_and(|bit| has_bit(&placed, bit)) || spent.contains(&i) {
                    continue;
                }
                let Some(after) = (self.step)(&state, &ops[i].action) else { continue };
                let (mut placed, mut spent) = (placed.clone(), spent.clone());
                match ops[i].core {
                    Some(bit) => placed = with_bit(&placed, bit),
                    None if repeat == Repeat::AtMostOnce => {
                        let at = spent.partition_point(|&other| other < i);
                        spent.insert(at, i);
                    }
                    None => {}
                }
                let next = (placed, spent, after);
                if all.insert(next.clone()) {
                    queue.push(next);
                }
            }
            if all.len() > configurations_max {
                return None;
            }
        }
        Some(all)
    }

    /// The same without real time: each process's operations in its order, the free ones any number
    /// of times at their place in it.
    fn refute_sequential(&self, ops: &[Weak<A>]) -> Result<(), Refusal> {
        let mut processes: BTreeMap<i64, Vec<&Weak<A>>> = BTreeMap::new();
        for op in ops {
            processes.entry(op.process).or_default().push(op);
        }
        let lines: Vec<Vec<&Weak<A>>> = processes.into_values().collect();
        let start = (vec![0usize; lines.len()], self.initial.clone());
        let mut all = HashSet::from([start.clone()]);
        let mut queue = vec![start];
        while let Some((at, state)) = queue.pop() {
            if lines.iter().zip(&at).all(|(line, &at)| line[at..].iter().all(|op| op.is_optional())) {
                return Err(can_be_placed());
            }
            let mut push = |next: (Vec<usize>, S)| {
                if all.insert(next.clone()) {
                    queue.push(next);
                }
            };
            for (process, line) in lines.iter().enumerate() {
                let Some(op) = line.get(at[process]) else { continue };
                let mut past = at.clone();
                past[process] += 1;
                if op.is_optional() {
                    push((past.clone(), state.clone()));
                }
                if let Some(after) = (self.step)(&state, &op.action) {
                    push((if op.core.is_none() { at.clone() } else { past }, after));
                }
            }
            if all.len() > CONFIGURATIONS_MAX {
                return Err(Refusal::TooLarge);
            }
        }
        Ok(())
    }
}
