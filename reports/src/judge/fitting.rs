//! Options that are for some models only: one that does not apply to the model at hand is refused, since whoever
//! gave it expects it to matter.

use super::Question;
use crate::diagnostic::InputError;
use shakedown_checkers::theory::{Guess, Theory};
use shakedown_checkers::transaction::Kind;

/// Models that an option is for: how to tell them, and their names.
type For = (fn(&Theory) -> bool, &'static str);

const TRANSACTIONS: For = (|theory| matches!(theory, Theory::Transactions(_)), "list-append or rw-register");
const REGISTERS: For = (|theory| matches!(theory, Theory::Transactions(Kind::Register)), "rw-register");
const LONG_FORK: For = (|theory| theory.name() == "long-fork", "long-fork");
const BANK: For = (|theory| theory.name() == "bank", "bank");
const STALENESS: For = (|theory| theory.name() == "staleness", "staleness");
/// Data types that begin with something; objects and transactions look at the option themselves.
const STARTING: For = (
    |theory| match theory {
        Theory::Data(checker) => {
            matches!(checker.info.name, "counter" | "pn-counter" | "g-counter" | "session" | "staleness")
        }
        Theory::Object(_) | Theory::Transactions(_) => true,
    },
    "counter, pn-counter, g-counter, session, staleness or an object",
);

/// Refuses the first option of the question that is not for `theory`.
pub(super) fn check(question: &Question, theory: &Theory, guess: Option<&Guess>) -> Result<(), InputError> {
    let data = &question.data;
    let given = [
        (!question.anomalies.is_empty(), "--anomalies", TRANSACTIONS),
        (question.forbid_unwritten.is_some(), "--unwritten-reads", TRANSACTIONS),
        (question.assume.sequential, "--sequential-keys", REGISTERS),
        (question.assume.linearizable, "--linearizable-keys", REGISTERS),
        (data.group_size.is_some(), "--group-size", LONG_FORK),
        (data.total_amount.is_some(), "--total-amount", BANK),
        (data.allow_negative_balances, "--allow-negative-balances", BANK),
        (data.staleness_max_versions.is_some(), "--staleness-max-versions", STALENESS),
        (data.staleness_max_ms.is_some(), "--staleness-max-ms", STALENESS),
        (question.initial.is_some(), "--initial", STARTING),
    ];
    let misplaced = given.into_iter().find(|(is_given, _, (fits, _))| *is_given && !fits(theory));
    let Some((_, option, (_, models))) = misplaced else { return Ok(()) };
    let name = theory.name();
    let (what, help) = match guess {
        None => (name, "leave it away".to_owned()),
        Some(_) => (
            format!("{name}, as which this history would be judged by a guess"),
            "leave it away, or name the model with --model".to_owned(),
        ),
    };
    Err(InputError::new(format!("{option} is for {models}, and says nothing about {what}"), Some(help)))
}
