//! Re-checks certificates and witnesses. Shares no code with the engines: only the history and the
//! model's own meaning of an operation, on which all of them must agree.
//!
//! A certificate is re-checked in O(n log n): each part's order holds every operation that completed
//! ok, no failed one, each at most once; it respects the demanded order; and the model accepts it
//! step by step. A witness is re-checked by playing the weakened history that it claims is
//! impossible (see [`Witness`]) and finding that nothing explains it. That takes time exponential in
//! the operations of the core that are open at once; past [`CONFIGURATIONS_MAX`] it says so instead
//! of guessing.

use crate::history::{History, NEVER, OpId, Outcome};
use crate::model::joined::Joined;
use crate::model::{Family, Model, Role};
use crate::options::Consistency;
use crate::value::Value;
use crate::verdict::{Certificate, Verdict, Witness};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use thiserror::Error;

/// Configurations that re-checking a witness may hold at once.
pub const CONFIGURATIONS_MAX: usize = 200_000;

/// Why a proof was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It claims something that is not so: a bug in an engine, or in the validator.
    #[error("{0}")]
    Wrong(String),
    /// It may well be right, but is too large to re-check.
    #[error("the witness allows more than {CONFIGURATIONS_MAX} configurations, too many to re-check")]
    TooLarge,
}

impl From<String> for Refusal {
    fn from(claim: String) -> Refusal {
        Refusal::Wrong(claim)
    }
}

/// Checks the proof that `verdict` carries. Unknown claims nothing.
pub fn validate<M: Model>(
    history: &History,
    model: &M,
    consistency: Consistency,
    verdict: &Verdict,
) -> Result<(), Refusal> {
    match consistency {
        Consistency::Sequential => validate_parts(history, &Joined(model), consistency, verdict),
        Consistency::Linearizable | Consistency::PerKey => {
            validate_parts(history, model, consistency, verdict)
        }
    }
}

fn validate_parts<M: Model>(
    history: &History,
    model: &M,
    consistency: Consistency,
    verdict: &Verdict,
) -> Result<(), Refusal> {
    match verdict {
        Verdict::Valid(certificate) => Ok(validate_certificate(history, model, consistency, certificate)?),
        Verdict::Invalid(witness) => validate_witness(history, model, consistency, witness),
        Verdict::Unknown(_) => Ok(()),
    }
}

/// What the validator knows of an operation.
struct Fact<A> {
    id: OpId,
    process: i64,
    invoked: u32,
    returned: u32,
    action: A,
}

/// The operations that must or may take effect, by part.
type Facts<A> = BTreeMap<Option<Value>, Vec<Fact<A>>>;

fn facts<M: Model>(history: &History, model: &M) -> Result<Facts<M::Action>, String> {
    let mut parts: Facts<M::Action> = BTreeMap::new();
    for op in history.operations() {
        if op.outcome == Outcome::Fail {
            continue;
        }
        let action = model.action(&op, history.values()).map_err(|error| error.to_string())?;
        if let Some(action) = action {
            parts.entry(model.part(&op, history.values())).or_default().push(Fact {
                id: op.id,
                process: op.process,
                invoked: op.invoke_position,
                returned: if op.outcome == Outcome::Ok { op.complete_position } else { NEVER },
                action,
            });
        }
    }
    Ok(parts)
}

fn validate_certificate<M: Model>(
    history: &History,
    model: &M,
    consistency: Consistency,
    certificate: &Certificate,
) -> Result<(), String> {
    let mut parts = facts(history, model)?;
    for part in &certificate.parts {
        let facts = parts.remove(&part.key).ok_or("the certificate has a part that the history has not")?;
        let by_id: BTreeMap<OpId, &Fact<M::Action>> = facts.iter().map(|fact| (fact.id, fact)).collect();
        let mut placed = BTreeSet::new();
        let mut state = model.initial();
        let mut latest_invocation = (0, 0);
        let mut latest_of_process: BTreeMap<i64, (u32, OpId)> = BTreeMap::new();
        for &id in &part.order {
            let fact = by_id.get(&id).ok_or_else(|| format!("operation {id} is not of this part"))?;
            if !placed.insert(id) {
                return Err(format!("operation {id} is placed twice"));
            }
            match consistency {
                Consistency::Linearizable | Consistency::PerKey => {
                    latest_invocation = latest_invocation.max((fact.invoked, id));
                    if fact.returned < latest_invocation.0 {
                        return Err(format!(
                            "operation {id} is placed after operation {}, which was invoked after it returned",
                            latest_invocation.1
                        ));
                    }
                }
                Consistency::Sequential => {
                    let latest = latest_of_process.entry(fact.process).or_insert((fact.invoked, id));
                    if fact.invoked < latest.0 {
                        return Err(format!(
                            "operation {id} is placed after operation {}, which its process invoked later",
                            latest.1
                        ));
                    }
                    *latest = (fact.invoked, id);
                }
            }
            state = model.step(&state, &fact.action).ok_or_else(|| {
                format!("operation {id} cannot have its result where the certificate places it")
            })?;
        }
        let missing = facts.iter().find(|fact| fact.returned != NEVER && !placed.contains(&fact.id));
        if let Some(missing) = missing {
            return Err(format!("operation {} completed, but the certificate leaves it out", missing.id));
        }
    }
    // What is left must be able to have had no effect at all.
    match parts.values().flatten().find(|fact| fact.returned != NEVER) {
        Some(fact) => Err(format!("operation {} completed, but no part of the certificate has it", fact.id)),
        None => Ok(()),
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

fn validate_witness<M: Model>(
    history: &History,
    model: &M,
    consistency: Consistency,
    witness: &Witness,
) -> Result<(), Refusal> {
    let facts = facts(history, model)?
        .remove(&witness.key)
        .ok_or_else(|| "the witness is about no part of the history".to_owned())?;
    if !witness.core.contains(&witness.failed) {
        return Err(format!("operation {} is explained, but is not of the core", witness.failed).into());
    }
    let of_part: BTreeSet<OpId> = facts.iter().map(|fact| fact.id).collect();
    if let Some(stranger) = witness.core.iter().find(|id| !of_part.contains(id)) {
        return Err(format!("operation {stranger} of the core is not of the part").into());
    }
    let mut weak = weakened(model, facts, witness)?;
    match consistency {
        Consistency::Linearizable | Consistency::PerKey => {}
        Consistency::Sequential => return refute_sequential(model, &weak),
    }
    weak.sort_by_key(|op| op.invoked);
    refute(model, &weak)
}

/// The part with only the core's demands, and only the values that the witness is about.
fn weakened<M: Model>(
    model: &M,
    facts: Vec<Fact<M::Action>>,
    witness: &Witness,
) -> Result<Vec<Weak<M::Action>>, String> {
    let mut weak = vec![];
    // Any one write of a value that does not matter stands for all of them.
    let mut other_write: Option<M::Action> = None;
    for fact in facts {
        let core = witness.core.iter().position(|&id| id == fact.id);
        let mut action = fact.action;
        if let (Some(values), None) = (&witness.values, core) {
            let family = model.family().ok_or("the witness names values, but the model is of no family")?;
            let role = model.role(&action).ok_or("the witness names values, but an operation has no role")?;
            let matters = match role {
                Role::Put(value) | Role::Take(value) | Role::Observe(value) => values.contains(&value),
                Role::TakeUnknown => true,
                Role::TakeNothing | Role::ObserveAll(_) => false,
            };
            match (family, role) {
                _ if matters => {}
                (Family::Register, Role::Put(_)) => {
                    action = other_write.get_or_insert(action).clone();
                }
                _ => continue,
            }
        }
        weak.push(Weak {
            invoked: fact.invoked,
            returned: fact.returned,
            process: fact.process,
            action,
            core,
        });
    }
    Ok(weak)
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

/// Plays the weakened history forwards. `Ok` if it is impossible.
///
/// "Any number of times" has no end of states where operations pile up (a queue that is filled over
/// and over), so there each operation that is not of the core takes effect at most once: that is
/// still more than the recorded history allows, so what it refutes is refuted.
fn refute<M: Model>(model: &M, ops: &[Weak<M::Action>]) -> Result<(), Refusal> {
    let piles_up = !matches!(model.family(), None | Some(Family::Register));
    if !piles_up && let Some(result) = play(model, ops, Repeat::AnyNumber, CONFIGURATIONS_MAX / 10) {
        return result;
    }
    play(model, ops, Repeat::AtMostOnce, CONFIGURATIONS_MAX).unwrap_or(Err(Refusal::TooLarge))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    AnyNumber,
    AtMostOnce,
}

/// Core operations placed; other open operations that have been spent; the state.
type Configuration<S> = (Bits, Vec<usize>, S);

/// Keeps every configuration that there can be; at some return there must be none. `None` if there
/// are too many at once.
fn play<M: Model>(
    model: &M,
    ops: &[Weak<M::Action>],
    repeat: Repeat,
    configurations_max: usize,
) -> Option<Result<(), Refusal>> {
    let mut returns: Vec<usize> = (0..ops.len()).filter(|&i| ops[i].returned != NEVER).collect();
    returns.sort_by_key(|&i| ops[i].returned);
    let core_size = ops.iter().filter_map(|op| op.core).max().map_or(0, |most| most + 1);
    let none: Bits = vec![0; core_size.div_ceil(64)];
    let mut now: HashSet<Configuration<M::State>> = HashSet::from([(none, vec![], model.initial())]);
    let mut open: Vec<usize> = vec![];
    let mut next = 0;
    for ending in returns {
        while next < ops.len() && ops[next].invoked <= ops[ending].returned {
            open.push(next);
            next += 1;
        }
        let changes_nothing = ops[ending].core.is_none() && model.is_pure(&ops[ending].action);
        if !changes_nothing {
            now = reach(model, ops, &open, now, repeat, configurations_max)?;
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
    Some(Err(Refusal::Wrong("the operations of the core can be placed after all".to_owned())))
}

/// Everything that some sequence of open operations leads to.
fn reach<M: Model>(
    model: &M,
    ops: &[Weak<M::Action>],
    open: &[usize],
    from: HashSet<Configuration<M::State>>,
    repeat: Repeat,
    configurations_max: usize,
) -> Option<HashSet<Configuration<M::State>>> {
    let mut queue: Vec<Configuration<M::State>> = from.iter().cloned().collect();
    let mut all = from;
    while let Some((placed, spent, state)) = queue.pop() {
        for &i in open {
            if ops[i].core.is_some_and(|bit| has_bit(&placed, bit)) || spent.contains(&i) {
                continue;
            }
            let Some(after) = model.step(&state, &ops[i].action) else { continue };
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

/// The same without real time: each process's operations in its order, the free ones any number of
/// times at their place in it.
fn refute_sequential<M: Model>(model: &M, ops: &[Weak<M::Action>]) -> Result<(), Refusal> {
    let mut processes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    let mut order: Vec<usize> = (0..ops.len()).collect();
    order.sort_by_key(|&i| ops[i].invoked);
    for i in order {
        processes.entry(ops[i].process).or_default().push(i);
    }
    let lines: Vec<Vec<usize>> = processes.into_values().collect();
    // What may be left out: free operations, and those that never returned.
    let optional = |i: usize| ops[i].core.is_none() || ops[i].returned == NEVER;
    let start = (vec![0usize; lines.len()], model.initial());
    let mut all = HashSet::from([start.clone()]);
    let mut queue = vec![start];
    while let Some((at, state)) = queue.pop() {
        if lines.iter().zip(&at).all(|(line, &at)| line[at..].iter().all(|&i| optional(i))) {
            return Err(Refusal::Wrong("the operations of the core can be placed after all".to_owned()));
        }
        let mut push = |next: (Vec<usize>, M::State)| {
            if all.insert(next.clone()) {
                queue.push(next);
            }
        };
        for (process, line) in lines.iter().enumerate() {
            let Some(&op) = line.get(at[process]) else { continue };
            let mut past = at.clone();
            past[process] += 1;
            if optional(op) {
                push((past.clone(), state.clone()));
            }
            if let Some(after) = model.step(&state, &ops[op].action) {
                push((if ops[op].core.is_none() { at.clone() } else { past }, after));
            }
        }
        if all.len() > CONFIGURATIONS_MAX {
            return Err(Refusal::TooLarge);
        }
    }
    Ok(())
}
