//! From what came of a run to what is wrong with it.

use crate::operation::Operation;
use crate::outcome::{Broke, Outcome};
use shakedown_checkers::model::prepare;
use shakedown_checkers::options::Options;
use shakedown_checkers::verdict::Verdict;
use std::fmt::{self, Display};

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
            Finding::Stalled { .. } => "stalled",
        }
    }

    /// Whether it is a finding about the system, not about the checker.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Finding::Undecided(_))
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Broke(broke) => broke.fmt(f),
            Finding::Refuted { sentences } => f.write_str(&sentences.join("\n")),
            Finding::Undecided(why) => write!(f, "the history could not be judged: {why}"),
            Finding::Stalled { unanswered, recovery_ms } => write!(
                f,
                "no progress: {unanswered} requests were not answered within {recovery_ms} ms after every fault \
                 was healed"
            ),
        }
    }
}

/// What is wrong with a run of operations `Op`, if anything. The worst finding only: what follows from
/// it is noise.
pub fn judge<Op: Operation>(outcome: &mut Outcome, recovery_ms: u64) -> Option<Finding> {
    if let Some(broke) = &outcome.broke {
        return Some(Finding::Broke(broke.clone()));
    }
    match verdict::<Op>(outcome) {
        Ok(Verdict::Valid(_)) => {}
        Ok(Verdict::Invalid(witness)) => return Some(Finding::Refuted { sentences: witness.sentences }),
        Ok(Verdict::Unknown(unknown)) => return Some(Finding::Undecided(unknown.reason.to_string())),
        Err(why) => return Some(Finding::Undecided(why)),
    }
    // A node whose disk is beyond repair has to be replaced; until then nothing is promised.
    let is_stalled = outcome.unanswered > 0 && outcome.counts.disks_refused == 0;
    is_stalled.then_some(Finding::Stalled { unanswered: outcome.unanswered, recovery_ms })
}

/// What the checker says of the history. `Err`: why there is nothing it could say.
pub fn verdict<Op: Operation>(outcome: &mut Outcome) -> Result<Verdict, String> {
    let history = &mut outcome.history;
    let model = prepare(Op::MODEL, None, history).map_err(|error| error.to_string())?;
    // No time limit: the verdict must not depend on how fast the machine is.
    let options = Options { threads: 1, ..Options::default() };
    let verdict = model.check(history, &options).map_err(|error| error.to_string())?;
    if let Err(error) = model.validate(history, options.consistency, &verdict) {
        panic!("the checker's proof does not hold: {error}");
    }
    Ok(verdict)
}
