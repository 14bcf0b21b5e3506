//! From what came of a run to what is wrong with it.

use crate::manner::StopFlag;
use crate::operation::Operation;
use crate::outcome::{Broke, Outcome};
use shakedown_checkers::model::prepare;
use shakedown_checkers::options::Options;
use shakedown_checkers::verdict::{Reason, Unknown, Verdict};
use std::fmt::{self, Display};
use std::sync::Arc;

/// What is wrong with a run, the worst first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A node panicked, did what the boundary forbids, or broke an invariant of its protocol.
    Broke(Broke),
    /// No order of the clients' operations explains what they saw.
    Refuted {
        /// What the checker says of it.
        sentences: Vec<String>,
    },
    /// The checker gave no verdict, and why.
    Undecided(String),
    /// Nothing is known: the run, or the judging of it, was stopped before its end.
    Stopped,
    /// After everything was healed, so many requests were not answered within so many milliseconds.
    Stalled {
        /// How many.
        unanswered: u32,
        /// How long they had.
        recovery_ms: u64,
    },
}

impl Finding {
    /// What kind of thing: `refuted`. Two runs that fail with the same kind fail alike.
    pub fn kind(&self) -> &'static str {
        match self {
            Finding::Broke(_) => "broke",
            Finding::Refuted { .. } => "refuted",
            Finding::Undecided(_) => "undecided",
            Finding::Stopped => "stopped",
            Finding::Stalled { .. } => "stalled",
        }
    }

    /// Whether it is a finding about the system, not about the checker.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Finding::Undecided(_) | Finding::Stopped)
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Broke(broke) => broke.fmt(f),
            Finding::Refuted { sentences } => f.write_str(&sentences.join("\n")),
            Finding::Undecided(why) => write!(f, "the history could not be judged: {why}"),
            Finding::Stopped => f.write_str("it was stopped before its end"),
            Finding::Stalled { unanswered, recovery_ms } => write!(
                f,
                "no progress: {unanswered} requests were not answered within {recovery_ms} ms after every fault \
                 was healed"
            ),
        }
    }
}

/// What is wrong with a run of operations `Op`, if anything. The worst finding only: what follows from
/// it is noise. It ends early once `stop` is set.
pub fn judge<Op: Operation>(outcome: &mut Outcome, recovery_ms: u64, stop: &StopFlag) -> Option<Finding> {
    if outcome.is_stopped {
        return Some(Finding::Stopped);
    }
    if let Some(broke) = &outcome.broke {
        return Some(Finding::Broke(broke.clone()));
    }
    match verdict::<Op>(outcome, stop) {
        Ok(Verdict::Valid(_)) => {}
        Ok(Verdict::Invalid(witness)) => return Some(Finding::Refuted { sentences: witness.sentences }),
        Ok(Verdict::Unknown(unknown)) if unknown.reason == Reason::Interrupted => {
            return Some(Finding::Stopped);
        }
        Ok(Verdict::Unknown(unknown)) => return Some(Finding::Undecided(undecided(&unknown))),
        Err(why) => return Some(Finding::Undecided(why)),
    }
    // A node whose disk is beyond repair has to be replaced; until then nothing is promised.
    let is_stalled = outcome.unanswered > 0 && outcome.counts.disks_refused == 0;
    is_stalled.then_some(Finding::Stalled { unanswered: outcome.unanswered, recovery_ms })
}

/// Why there is no verdict, and how far the checker came.
fn undecided(unknown: &Unknown) -> String {
    let Unknown { reason, placed, total, .. } = unknown;
    format!("{reason} when {placed} of {total} operations that depend on each other had been placed in order")
}

/// What the checker says of the history, as far as it comes before `stop` is set. `Err`: why there is nothing
/// it could say.
pub fn verdict<Op: Operation>(outcome: &mut Outcome, stop: &StopFlag) -> Result<Verdict, String> {
    let history = &mut outcome.history;
    let model = prepare(Op::MODEL, None, history).map_err(|error| error.to_string())?;
    // No time limit: the verdict must not depend on how fast the machine is.
    let options = Options { threads: 1, cancel: Some(Arc::clone(stop)), ..Options::default() };
    let verdict = model.check(history, &options).map_err(|error| error.to_string())?;
    if let Err(error) = model.validate(history, options.consistency, &verdict) {
        panic!("the checker's proof does not hold: {error}");
    }
    Ok(verdict)
}
