//! Re-checks certificates and witnesses. Shares no code with the engines: only the history and the
//! model's own meaning of an operation, on which all of them must agree.
//!
//! A certificate is re-checked in O(n log n): each part's order holds every operation that completed
//! ok, no failed one, each at most once; it respects the demanded order; and the model accepts it
//! step by step. A witness is re-checked by playing the weakened history that it claims is
//! impossible (see [`crate::verdict::Witness`]) and finding that nothing explains it. That takes time exponential in
//! the operations of the core that are open at once; past [`CONFIGURATIONS_MAX`] it says so instead
//! of guessing.
//!
//! A witness about a value out of nowhere may speak of a part that is too large to play. There the
//! model's [`Model::flows`] are taken at their word, and sources are counted.

pub mod anomaly;
pub mod isolation;
#[cfg(test)]
mod tests;
mod timestamps;
mod weak;
mod witness;

pub use timestamps::validate_timestamps;
pub use weak::validate_weak;

use crate::history::{History, NEVER, OpId, Outcome};
use crate::model::Model;
use crate::model::joined::Joined;
use crate::options::Consistency;
use crate::value::Value;
use crate::verdict::{Certificate, Verdict};
use std::collections::{BTreeMap, BTreeSet};
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
        Verdict::Invalid(witness) => witness::validate_witness(history, model, consistency, witness),
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

impl<A> Fact<A> {
    fn with_action<B>(self, action: B) -> Fact<B> {
        let Fact { id, process, invoked, returned, .. } = self;
        Fact { id, process, invoked, returned, action }
    }
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
