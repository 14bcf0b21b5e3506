//! Checkers of data types in Jepsen's vocabulary: each counts what became of every element, balance or
//! message of a history, and says which numbers no correct system could have shown.
//!
//! They demand less than linearizability and say more: not only that a set lost elements, but which, and
//! how long the others took to be seen. Each lives in a module that begins with its definition and its
//! source, and says where Jepsen's checker of the same name differs.
//!
//! A report needs no certificate: its findings quote the operations that they follow from, by a definition
//! of a sentence. The tests hold each checker to a slow one that is that sentence and no more.

pub mod adya_g2;
pub mod bank;
pub mod broadcast;
pub mod causal;
pub mod comments;
pub mod convergence;
pub mod counter;
mod decimal;
pub mod fencing;
mod final_reads;
pub mod g_set;
pub(crate) mod independent;
pub mod info;
pub mod log;
pub mod long_fork;
pub mod monotonic;
mod operand;
mod order;
pub mod pn_counter;
mod quantile;
pub mod queue;
mod register;
pub mod registry;
#[cfg(test)]
mod scribe;
pub mod sequential;
pub mod session;
pub mod set;
pub mod set_full;
pub mod staleness;
mod sums;
#[cfg(test)]
mod testing;
pub mod total_queue;
pub mod unique_ids;

use crate::history::OpId;
use crate::value::Value;

/// How many findings of each kind a report keeps; all are counted.
pub const FINDINGS_MAX: usize = 16;

/// How many triples a [`Figure::Bounds`] keeps.
pub const BOUNDS_MAX: usize = 1024;

/// What a checker says of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Whether the history is correct.
    pub validity: Validity,
    /// What was found, errors first; at most [`FINDINGS_MAX`] of each kind.
    pub findings: Vec<Finding>,
    /// How many findings of each kind there were, those that were not kept included.
    pub counts: Vec<(&'static str, u64)>,
    /// What was counted, under Jepsen's names where it has them: `attempt-count`, `lost`.
    pub figures: Vec<(&'static str, Figure)>,
}

/// Whether a history is correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Nothing was found that a correct system could not have done.
    Valid,
    /// One finding, at least, is an error.
    Invalid,
    /// The history does not say: nothing was ever read, for example. The reason, in a sentence.
    Unknown(String),
}

/// Something that happened to one value, or in one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is called: `lost`, `duplicated`, `wrong-total`.
    pub kind: &'static str,
    /// True if no correct system could have done it; false if it is only worth knowing.
    pub is_error: bool,
    /// The operations that show it, in the order of their invocations; few.
    pub operations: Vec<OpId>,
    /// The values that it is about; few.
    pub values: Vec<Value>,
    /// What happened, in a sentence without its full stop.
    pub sentence: String,
}

/// Something that was counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// How many.
    Count(u64),
    /// Any integer: a sum, a bound.
    Int(i64),
    /// Which values, in the order of their operations.
    Values(Vec<Value>),
    /// Latencies in milliseconds, by quantile: 0, 0.5, 0.95, 0.99, 1 (as Jepsen's `set-full` has them).
    LatenciesMs(Vec<(f64, f64)>),
    /// Numbers by quantile, as [`Figure::LatenciesMs`]: how many versions behind a read was, for example.
    Quantiles(Vec<(f64, u64)>),
    /// Values, each with a number: how often it came, or how many milliseconds it took.
    Tally(Vec<(Value, u64)>),
    /// Closed intervals of integers, in order: the sums that a counter may have.
    Ranges(Vec<(i128, i128)>),
    /// What was read, and between which bounds it should lie: `[lower, value, upper]`. At most
    /// [`BOUNDS_MAX`] of them, the first ones.
    Bounds(Vec<[i128; 3]>),
    /// A word.
    Text(String),
}

/// Collects findings: counts all of them, keeps the first few of each kind.
#[derive(Debug, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: Vec<(&'static str, u64)>,
    has_errors: bool,
}

impl Findings {
    /// None yet.
    pub fn new() -> Findings {
        Findings::default()
    }

    /// Counts one more; `finding` is only called if it is to be kept.
    pub fn add(&mut self, kind: &'static str, is_error: bool, finding: impl FnOnce() -> Quote) {
        self.has_errors |= is_error;
        let at = self.counts.iter().position(|(name, _)| *name == kind).unwrap_or_else(|| {
            self.counts.push((kind, 0));
            self.counts.len() - 1
        });
        self.counts[at].1 += 1;
        if self.counts[at].1 <= FINDINGS_MAX as u64 {
            let Quote { operations, values, sentence } = finding();
            self.kept.push(Finding { kind, is_error, operations, values, sentence });
        }
    }

    /// How many of this kind were added.
    pub fn count(&self, kind: &str) -> u64 {
        self.counts.iter().find(|(name, _)| *name == kind).map_or(0, |(_, count)| *count)
    }

    /// True if one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// The report: invalid if there were errors, else what `otherwise` says.
    pub fn report(self, otherwise: Validity, figures: Vec<(&'static str, Figure)>) -> Report {
        let mut findings = self.kept;
        findings.sort_by_key(|finding| !finding.is_error);
        let validity = if self.has_errors { Validity::Invalid } else { otherwise };
        Report { validity, findings, counts: self.counts, figures }
    }
}

/// What a [`Finding`] quotes.
#[derive(Debug)]
pub struct Quote {
    /// See [`Finding::operations`].
    pub operations: Vec<OpId>,
    /// See [`Finding::values`].
    pub values: Vec<Value>,
    /// See [`Finding::sentence`].
    pub sentence: String,
}
