//! What came of running a pattern in a world, and its renderings.
//!
//! - [`text`]: for people, laid out for a width; [`timeline`]: what happened, line by line; [`faults`]: what
//!   went wrong by plan, counted.
//! - [`json`]: for programs; [`junit`]: for CI servers.

pub mod faults;
pub mod json;
pub mod junit;
pub mod text;
pub mod timeline;

use super::Judgement;
use crate::exit::Exit;
use shakedown_checkers::history::History;
use shakedown_workloads::hunt::Hunt;
use shakedown_workloads::replay::Replay;
use shakedown_workloads::run::{Faulted, Size};
use shakedown_workloads::trace::Trace;
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::{Exploration, Extent, Finding};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// A pattern in a world.
#[derive(Debug)]
pub struct WorldReport {
    /// The pattern's name.
    pub pattern: &'static str,
    /// The world.
    pub world: WorldName,
    /// The mistake that it was told to make.
    pub mutant: Option<String>,
    /// What came of it. `Err`: a bug in shakedown, and what is known of it.
    pub result: Result<Looked, String>,
    /// The failure, if there was one.
    pub failed: Option<Failed>,
    /// How long all of it took.
    pub elapsed: Duration,
}

/// What was looked at.
#[derive(Debug)]
pub enum Looked {
    /// Cases of the model world, up to the first that fails.
    Cases {
        /// Those that were looked at.
        cases: Vec<CaseReport>,
        /// How many others there are.
        left: usize,
    },
    /// Seeds, up to the first that fails.
    Seeds(Box<SeedsReport>),
}

/// A case of the model world.
#[derive(Debug)]
pub struct CaseReport {
    /// Its number, from 1.
    pub number: usize,
    /// What it is.
    pub about: &'static str,
    /// What came of it.
    pub exploration: Exploration,
    /// Whether the user stopped it.
    pub is_interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// Seeds of a world.
#[derive(Debug)]
pub struct SeedsReport {
    /// Those that were asked for; without an end, a very large one.
    pub asked: Range<u64>,
    /// What came of them.
    pub hunt: Hunt,
    /// Why there were no more.
    pub end: End,
    /// The faults of the only one, if one was asked for.
    pub plan: Option<Vec<Faulted>>,
    /// How long it took, without what was done about a failure.
    pub elapsed: Duration,
}

/// How a failure was made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// Runs that it took.
    pub runs: u64,
    /// Why there were no more.
    pub end: ShrunkEnd,
}

/// Why making a failure small ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShrunkEnd {
    /// Nothing more can be removed.
    Smallest,
    /// The time was over, or the number of runs.
    Time,
    /// The user wanted to stop.
    Interrupt,
}

/// Why a hunt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All seeds passed.
    Seeds,
    /// The time was over.
    Time,
    /// A seed failed.
    Failure,
    /// The user stopped it.
    Interrupt,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// A seed.
    Seed(u64),
    /// A case of the model world.
    Case(usize),
}

/// A failure, made small.
#[derive(Debug)]
pub struct Failed {
    /// What failed.
    pub culprit: Culprit,
    /// What to type to have it fail again as it did first.
    pub command: String,
    /// The small run.
    pub told: FailedRun,
    /// What replays the small run.
    pub replay: Replay,
    /// Runs that making it small took, and whether nothing more can be removed. None where it was
    /// found small.
    pub shrunk: Option<Shrunk>,
    /// Where it was written. `Err`: why not.
    pub files: Result<Files, String>,
}

/// The files of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The folder that they are in.
    pub folder: PathBuf,
    /// What to type to replay it.
    pub command: String,
}

/// A run that failed, for people.
#[derive(Debug)]
pub struct FailedRun {
    /// What kind of failure: `refuted`.
    pub kind: String,
    /// What is wrong, in sentences.
    pub sentences: Vec<String>,
    /// What the checker says of the history, if that is what is wrong.
    pub judgement: Option<Judgement>,
    /// The history.
    pub history: History,
    /// What was asked and what went wrong.
    pub scene: Scene,
    /// What happened.
    pub happened: Happened,
}

/// What was asked, and what went wrong by plan.
#[derive(Debug)]
pub enum Scene {
    /// A scenario.
    Scenario(Scenario),
    /// A case of the model world.
    Case(String),
}

/// A scenario, and what became of its faults.
#[derive(Debug)]
pub struct Scenario {
    /// How much it has in it.
    pub size: Size,
    /// What it is, line by line.
    pub told: Vec<String>,
    /// Its faults, and how often each changed anything.
    pub faults: Vec<Faulted>,
}

/// What happened in a run.
#[derive(Debug)]
pub enum Happened {
    /// Against simulated time.
    Trace(Trace),
    /// One thing after the other.
    Steps(Vec<String>),
}

impl WorldReport {
    /// How it ended.
    pub fn exit(&self) -> Exit {
        match &self.result {
            Err(_) => Exit::Internal,
            Ok(_) if self.failed.is_some() => Exit::Invalid,
            // Without a case nothing was looked at.
            Ok(Looked::Cases { cases, .. }) => {
                cases.iter().map(CaseReport::exit).max().unwrap_or(Exit::Unknown)
            }
            Ok(Looked::Seeds(seeds)) => seeds.exit(),
        }
    }

    /// `valid`, `invalid`, `unknown` or `error`.
    pub fn word(&self) -> &'static str {
        word(self.exit())
    }
}

/// `valid`, `invalid`, `unknown` or `error`.
pub fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Valid => "valid",
        Exit::Invalid => "invalid",
        Exit::Unknown => "unknown",
        Exit::BadInput | Exit::Internal => "error",
    }
}

impl CaseReport {
    /// How it ended.
    pub fn exit(&self) -> Exit {
        match &self.exploration.violation {
            Some(violation) if matches!(violation.finding, Finding::Undecided(_)) => Exit::Unknown,
            Some(_) => Exit::Invalid,
            None if self.is_interrupted || !self.exploration.holds() => Exit::Unknown,
            None => Exit::Valid,
        }
    }

    /// Whether everything that can happen was looked at.
    pub fn is_exhaustive(&self) -> bool {
        matches!(self.exploration.extent, Extent::Exhaustive { .. })
    }
}

impl SeedsReport {
    /// How it ended.
    pub fn exit(&self) -> Exit {
        let is_unknown = self.end == End::Interrupt || !self.hunt.undecided.is_empty() || self.is_vacuous();
        match self.hunt.failing {
            Some(_) => Exit::Invalid,
            None if is_unknown => Exit::Unknown,
            None => Exit::Valid,
        }
    }

    /// Whether that nothing was found says nothing: in no run did an answer show what another operation
    /// did.
    pub fn is_vacuous(&self) -> bool {
        self.hunt.vacuous == self.hunt.seeds
    }
}
