//! What was found out about one file, and its renderings; [`run`] has those of what patterns do,
//! [`mutants`] those of what they do wrong when they are told to.
//!
//! - `isolation`, `timestamps` and `datatype`: what is peculiar to transactions, to transactions by the system's
//!   own timestamps, and to data types in all of these; [`asked`]: what came of the levels that transactions were
//!   asked about.
//! - [`text`]: for people, laid out for a width; [`timeline`]: a few operations against time.
//! - [`json`]: for programs; [`junit`]: for CI servers.

pub mod asked;
mod datatype;
mod isolation;
pub mod json;
pub mod junit;
pub mod mutants;
pub mod run;
pub mod text;
pub mod timeline;
pub mod timestamps;
pub mod trial;

use crate::exit::Exit;
use asked::Asked;
use shakedown_checkers::datatype::{self as data, Validity};
use shakedown_checkers::format::Format;
use shakedown_checkers::history::History;
use shakedown_checkers::options::Consistency;
use shakedown_checkers::theory::Guess;
use shakedown_checkers::transaction::timestamps::Answer;
use shakedown_checkers::transaction::{self, Standing};
use shakedown_checkers::validate::Refusal;
use shakedown_checkers::verdict::Verdict;
use std::time::Duration;

/// One file that was named on the command line.
#[derive(Debug)]
pub struct FileReport {
    /// Its path, as it was given.
    pub path: String,
    /// What came of it.
    pub result: Result<Judgement, Failure>,
    /// How long reading and judging took.
    pub elapsed: Duration,
}

/// A history that was read, and judged.
#[derive(Debug)]
pub struct Judgement {
    /// The history, as the model sees it.
    pub history: History,
    /// The format that it was read from.
    pub format: Format,
    /// What had to be assumed in reading it, in sentences.
    pub notes: Vec<String>,
    /// The name of the model that it was judged by.
    pub model: String,
    /// How the model was guessed, if it was.
    pub guess: Option<Guess>,
    /// What came of it.
    pub ruling: Ruling,
    /// What the independent validator says of the proof, if it was asked.
    pub validation: Option<Result<(), Refusal>>,
}

/// The verdict, by what the history was judged as.
#[derive(Debug)]
pub enum Ruling {
    /// An object.
    Object {
        /// The order that was demanded.
        consistency: Consistency,
        /// The verdict, with its proof.
        verdict: Verdict,
    },
    /// Transactions.
    Isolation {
        /// The levels and anomalies that it was asked about.
        asked: Asked,
        /// What was found.
        report: Box<transaction::Report>,
    },
    /// Transactions, by the timestamps that the system gave them.
    Timestamps(Box<timestamps::Stamped>),
    /// A data type.
    Data(data::Report),
}

impl Ruling {
    /// `true`, `false` or `unknown`: the words that elle-cli prints.
    pub fn word(&self) -> &'static str {
        match self.exit() {
            Exit::Valid => "true",
            Exit::Invalid => "false",
            _ => "unknown",
        }
    }

    /// How a file of which this is true ends.
    pub fn exit(&self) -> Exit {
        match self {
            Ruling::Object { verdict, .. } => Exit::from(verdict),
            Ruling::Isolation { report, .. } => match report.verdict {
                Standing::Holds => Exit::Valid,
                Standing::Violated(_) => Exit::Invalid,
                Standing::Undecided => Exit::Unknown,
            },
            Ruling::Timestamps(stamped) => match stamped.report.answer {
                Answer::Holds(_) => Exit::Valid,
                Answer::Violated => Exit::Invalid,
                Answer::Unknown(_) => Exit::Unknown,
            },
            Ruling::Data(report) => match report.validity {
                Validity::Valid => Exit::Valid,
                Validity::Invalid => Exit::Invalid,
                Validity::Unknown(_) => Exit::Unknown,
            },
        }
    }
}

/// Why there is no verdict.
#[derive(Debug)]
pub enum Failure {
    /// The file cannot be read, or does not fit the model; the diagnostic says where.
    Input(miette::Report),
    /// A bug in shakedown.
    Internal(String),
    /// Interrupted before anything was known.
    Interrupted,
}

impl Judgement {
    /// What is wrong with the proof, if the validator found that something is: a bug of ours, and
    /// worse than having no verdict.
    pub fn wrong_claim(&self) -> Option<&str> {
        match &self.validation {
            Some(Err(Refusal::Wrong(claim))) => Some(claim),
            Some(Err(Refusal::TooLarge)) | Some(Ok(())) | None => None,
        }
    }
}

impl FileReport {
    /// How this file ended.
    pub fn exit(&self) -> Exit {
        match &self.result {
            Err(Failure::Internal(_)) => Exit::Internal,
            Err(Failure::Input(_)) => Exit::BadInput,
            Err(Failure::Interrupted) => Exit::Unknown,
            Ok(judgement) if judgement.wrong_claim().is_some() => Exit::Internal,
            Ok(judgement) => judgement.ruling.exit(),
        }
    }

    /// `valid`, `invalid`, `unknown` or `error`.
    pub fn word(&self) -> &'static str {
        match self.exit() {
            Exit::Valid => "valid",
            Exit::Invalid => "invalid",
            Exit::Unknown => "unknown",
            Exit::BadInput | Exit::Internal => "error",
        }
    }
}

/// How many files ended in which way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Files that were valid.
    pub valid: u64,
    /// Files that were invalid.
    pub invalid: u64,
    /// Files that were not decided.
    pub unknown: u64,
    /// Files that could not be read, or on which shakedown itself failed.
    pub failed: u64,
    /// Files that were not begun, because of an interrupt.
    pub skipped: u64,
    /// The worst of them.
    pub worst: Exit,
}

impl Tally {
    /// Counts one more file.
    pub fn add(&mut self, exit: Exit) {
        match exit {
            Exit::Valid => self.valid += 1,
            Exit::Unknown => self.unknown += 1,
            Exit::Invalid => self.invalid += 1,
            Exit::BadInput | Exit::Internal => self.failed += 1,
        }
        self.worst = self.worst.max(exit);
    }
}

/// What a history is called when it keeps, or breaks, this consistency.
pub fn adjective(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Linearizable => "linearizable",
        Consistency::Sequential => "sequentially consistent",
        Consistency::PerKey => "linearizable key by key",
    }
}
