//! The model world: every schedule of a small case, or many schedules of a larger one.
//!
//! A [`Case`] is a cluster, what each client will ask, and how much trouble may come. [`explore`]
//! goes through everything that can happen in it, with `stateright`: messages arrive in any order,
//! nodes crash (between two effects of one step, too) and start from their disks, messages are lost
//! and repeated, timers go off, choices fall every way. [`walk`] follows seeded random paths through
//! cases that are too large for that. What clients saw is judged wherever it can first go wrong.
//!
//! An [`Exploration`] always says how much was looked at ([`Extent`]): "no violation" means nothing
//! without it. Nor does it where nothing happened, so each exploration also says which of the
//! *sometimes* properties it never saw hold.
//!
//! Time does not flow here: [`Time`](shakedown_impls::protocol::Time) is 0 for ever and any timer
//! that is set may go off. A message may be late for ever, so losing one adds no behaviour that a
//! client could see; a budget of losses is for protocols that notice.
//!
//! Not for liveness, nor for anything that needs many operations.
//!
//! ```
//! use shakedown_impls::protocol::NodeId;
//! use shakedown_impls::replication::leaderless::abd::{Abd, Config, Op};
//! use shakedown_workloads::world::model::{Case, Limits, explore};
//!
//! // Two nodes; one client writes at the first, another reads at the second.
//! let case = Case::<Abd>::new(2, Config { resend_after: None, ..Config::new(2) })
//!     .client([(NodeId(0), Op::Write { key: 1, value: 5 })])
//!     .client([(NodeId(1), Op::Read { key: 1 })]);
//! let exploration = explore(&case, &Limits::default());
//! assert!(exploration.holds());
//! assert_eq!(exploration.extent.to_string(), "exhaustive: 48 unique states");
//! ```
//!
//! Sources: Nadal, *stateright* (the search); Yang et al., *MODIST*, NSDI 2009 (protocols under a
//! model checker that also crashes nodes); Herlihy & Wing 1990 (what is checked).

mod before;
mod case;
mod heard;
mod judge;
mod scenario;
mod search;
mod shorten;
mod state;
mod symmetry;
#[cfg(test)]
mod tests;
mod transition;
mod walk;

pub use before::{First, Happening, Lost, Only};
pub use case::{Broken, Budget, Case, Invariants, Sometimes};
pub(super) use heard::Heard;
pub use search::{Limits, Order, World, explore};
pub(super) use search::{Search, now};
pub use state::{Action, Client, ClientEvent, Envelope, Events, Finding, Node, State};
pub use walk::{Walks, walk};

use crate::operation::{Operation, Subject};
use crate::outcome::Broke;
use judge::{record, verdict_of};
use shakedown_checkers::history::{History, HistoryBuilder};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::verdict::Verdict;
use shorten::shorten;
use std::fmt::{self, Display};
use std::time::Duration;

/// What came of a search or of walks.
#[derive(Clone, Debug)]
pub struct Exploration {
    /// How much was looked at.
    pub extent: Extent,
    /// What was found, if anything: the search stops there.
    pub violation: Option<Violation>,
    /// The *sometimes* properties, and whether any state had them.
    pub sometimes: Vec<(&'static str, bool)>,
}

impl Exploration {
    /// True if nothing was found in all of [`Exploration::extent`], and what should have happened
    /// sometimes did.
    pub fn holds(&self) -> bool {
        self.violation.is_none() && self.unseen().next().is_none()
    }

    /// True if [`Exploration::holds`] and there is nothing else that could happen.
    pub fn is_proof(&self) -> bool {
        self.holds() && matches!(self.extent, Extent::Exhaustive { .. })
    }

    /// What never happened: reasons to distrust that nothing was found.
    pub fn unseen(&self) -> impl Iterator<Item = &'static str> {
        self.sometimes.iter().filter(|(_, seen)| !seen).map(|(name, _)| *name)
    }
}

/// How much was looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Extent {
    /// Everything that can happen. States are told apart by 64-bit fingerprints: among 10 million
    /// states, one is mistaken for another with a probability of about 3 in a million.
    Exhaustive {
        /// How many states there are.
        unique_states: usize,
    },
    /// A part of it.
    Bounded {
        /// How many states were met.
        unique_states: usize,
        /// The length of the longest path, in actions.
        depth: usize,
        /// How long it took.
        elapsed: Duration,
        /// Why it ended.
        stop: Stop,
    },
    /// Random paths.
    Walked {
        /// How many.
        walks: u64,
        /// How long each could be, in actions.
        steps_max: usize,
        /// What they were drawn from.
        seed: u64,
    },
}

/// Why a search ended before it had seen everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// [`Limits::states_max`].
    States,
    /// [`Limits::depth_max`].
    Depth,
    /// [`Limits::time_max`].
    Time,
    /// A violation was found.
    Violation,
    /// [`Limits::stop`].
    Interrupted,
}

impl Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extent::Exhaustive { unique_states } => write!(f, "exhaustive: {unique_states} unique states"),
            Extent::Bounded { unique_states, depth, elapsed, stop } => {
                let seconds = elapsed.as_secs_f64();
                let reason = match stop {
                    Stop::States => "limit of states",
                    Stop::Depth => "limit of depth",
                    Stop::Time => "limit of time",
                    Stop::Violation => "violation",
                    Stop::Interrupted => "interrupted",
                };
                write!(f, "bounded: stopped at {unique_states} unique states, depth {depth}, ")?;
                write!(f, "{seconds:.1} seconds ({reason})")
            }
            Extent::Walked { walks, steps_max, seed } => {
                write!(f, "bounded: {walks} walks of at most {steps_max} steps, seed {seed}")
            }
        }
    }
}

/// Something that must never happen did.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What is wrong, and with what.
    pub finding: Finding,
    /// What happened, first to last, in words; none of it can be left out.
    pub steps: Vec<String>,
    /// What clients did and saw.
    pub history: History,
    /// What that is judged by.
    pub model: ModelName,
    /// What the checker says of it; empty if the finding is not about the history.
    verdict: Vec<String>,
}

impl Violation {
    fn new<P: Subject>(world: &World<P>, path: Vec<Action<P>>) -> Violation {
        let path = symmetry::unfolded(&world.case, path);
        let (steps, end) = shorten(world, path);
        let finding = end.finding.expect("a violation ends in a state with a finding");
        let mut history = record(&world.case, &end.history);
        let verdict = match (&finding, verdict_of::<P>(&mut history)) {
            (Finding::Refuted, Ok(Verdict::Invalid(witness))) => witness.sentences,
            (Finding::Refuted, other) => unreachable!("the same history was invalid before: {other:?}"),
            (Finding::Undecided(_), Ok(Verdict::Unknown(unknown))) => vec![unknown.advice],
            _ => vec![],
        };
        let before = world.case.before.iter().map(Happening::to_string);
        let (steps, model) = (before.chain(steps.iter().map(Action::to_string)).collect(), P::Op::MODEL);
        Violation { finding, steps, history, model, verdict }
    }

    /// Of a component whose callers are on record nowhere but in the steps.
    pub(super) fn of_component(broke: Broke, steps: Vec<String>, model: ModelName) -> Violation {
        let history = HistoryBuilder::new().finish();
        Violation { finding: Finding::Broke(broke), steps, history, model, verdict: vec![] }
    }

    /// What is wrong, in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let first = match &self.finding {
            Finding::Refuted => "The clients' history cannot be explained.".to_owned(),
            Finding::Undecided(why) => format!("The clients' history could not be judged: {why}."),
            Finding::Broke(broke) => format!("{broke}."),
        };
        std::iter::once(first).chain(self.verdict.iter().cloned()).collect()
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, sentence) in self.sentences().iter().enumerate() {
            let indent = if i > 0 { "  " } else { "" };
            writeln!(f, "{indent}{sentence}")?;
        }
        writeln!(f, "What happened:")?;
        for (at, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:4}. {step}", at + 1)?;
        }
        Ok(())
    }
}
