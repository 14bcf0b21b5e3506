//! What came of the levels and anomalies that a history of transactions was asked about: which of the levels
//! are violated, which hold, and why the others could not be decided.

use super::isolation::full_name;
use shakedown_checkers::transaction::anomaly::{Anomaly, Phenomenon};
use shakedown_checkers::transaction::complete::Answer;
use shakedown_checkers::transaction::cycle::Variant;
use shakedown_checkers::transaction::decide::Decision;
use shakedown_checkers::transaction::level::{Base, Level};
use shakedown_checkers::transaction::weak::WeakAnswer;
use shakedown_checkers::transaction::{Report, Standing};
use shakedown_checkers::verdict::Reason;

/// What was asked of transactions.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The levels that must hold.
    pub levels: Vec<Level>,
    /// The anomalies that must not be there.
    pub anomalies: Vec<(Phenomenon, Variant)>,
    /// The limit that was reached while it was judged, if one was.
    pub stopped: Option<Reason>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    pub violated: Vec<Level>,
    pub holds: Vec<Level>,
    pub open: Vec<(Level, Why)>,
    /// One of each kind that was asked about and found.
    pub found: Vec<&'a Anomaly>,
}

/// Why a level could not be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A limit was reached.
    Limit(Reason),
    /// A shortest cycle was looked for in more steps than are allowed.
    Steps,
    /// Nothing that was found violates it, and nothing proves it.
    History,
}

impl Why {
    /// In a few words.
    pub(super) fn words(self) -> String {
        match self {
            Why::Limit(reason) => reason.to_string(),
            Why::Steps => "the search for cycles was given up after too many steps".to_owned(),
            Why::History => "nothing that was found violates it, and nothing proves it".to_owned(),
        }
    }

    /// For programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Why::Limit(Reason::Time) => "time",
            Why::Limit(Reason::Memory) => "memory",
            Why::Limit(Reason::Interrupted) => "interrupted",
            Why::Limit(Reason::Concurrency) => "concurrency",
            Why::Steps => "steps",
            Why::History => "history",
        }
    }
}

impl Asked {
    /// What `report` says of it.
    pub(super) fn outcome<'a>(&self, report: &'a Report) -> Outcome<'a> {
        let mut outcome =
            Outcome { violated: Vec::new(), holds: Vec::new(), open: Vec::new(), found: Vec::new() };
        for level in &self.levels {
            match report.standing(*level) {
                Standing::Violated(_) => outcome.violated.push(*level),
                Standing::Holds => outcome.holds.push(*level),
                Standing::Undecided => outcome.open.push((*level, self.why_open(*level, report))),
            }
        }
        let first = |kind: &(Phenomenon, Variant)| {
            report.anomalies.iter().find(|anomaly| (anomaly.phenomenon, anomaly.variant) == *kind)
        };
        for anomaly in self.anomalies.iter().filter_map(first) {
            if !outcome.found.contains(&anomaly) {
                outcome.found.push(anomaly);
            }
        }
        outcome
    }

    fn why_open(&self, level: Level, report: &Report) -> Why {
        let limits = report.decisions.iter().filter(|(other, _)| other.implies(level));
        // Levels that nobody asked about have a little time of their own, whatever the limit.
        let limit = limits
            .filter_map(|(_, decision)| limit_of(decision))
            .find(|limit| *limit != Reason::Time)
            .or(self.stopped);
        match limit {
            Some(limit) => Why::Limit(limit),
            None if has_open_definition(level.base) => Why::History,
            None => Why::Steps,
        }
    }
}

fn limit_of(decision: &Decision) -> Option<Reason> {
    match decision {
        Decision::Weak(_, _, WeakAnswer::Unknown(reason)) => Some(*reason),
        Decision::Complete(_, _, Answer::Unknown(undecided)) => Some(undecided.reason),
        _ => None,
    }
}

/// True of the bases that forbid more than what is looked for.
fn has_open_definition(base: Base) -> bool {
    matches!(
        base,
        Base::MonotonicView
            | Base::MonotonicSnapshotRead
            | Base::ForwardConsistentView
            | Base::ConsistentView
            | Base::CursorStability
            | Base::ParallelSnapshotIsolation
            | Base::UpdateSerializable
            | Base::MonotonicWrites
            | Base::WritesFollowReads
            | Base::Pram
    )
}

/// Names with commas between them.
pub(super) fn list(levels: &[Level]) -> String {
    levels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Outcome<'_> {
    /// What is wrong: `not serializable`, `shows G1a`; empty if nothing is.
    pub(super) fn wrong(&self) -> String {
        let mut parts = Vec::new();
        if !self.violated.is_empty() {
            parts.push(format!("not {}", list(&self.violated)));
        }
        if !self.found.is_empty() {
            let names: Vec<String> = self.found.iter().map(|anomaly| full_name(anomaly)).collect();
            parts.push(format!("shows {}", names.join(", ")));
        }
        parts.join(", and ")
    }

    /// What could not be decided, and why: `A, B could not be decided: …; C: …`.
    pub(super) fn undecided(&self) -> String {
        let mut clauses: Vec<String> = Vec::new();
        let mut told = Vec::new();
        for (_, why) in &self.open {
            if !told.contains(why) {
                told.push(*why);
                let alike: Vec<Level> =
                    self.open.iter().filter(|open| open.1 == *why).map(|open| open.0).collect();
                clauses.push(format!("{} could not be decided: {}", list(&alike), why.words()));
            }
        }
        clauses.join("; ")
    }

    /// What of it is neither wrong nor undecided, and if something is wrong what is undecided: the rest of the
    /// verdict.
    pub(super) fn rest(&self) -> Option<String> {
        let mut clauses = Vec::new();
        if !self.holds.is_empty() {
            let verb = if self.holds.len() == 1 { "holds" } else { "hold" };
            clauses.push(format!("{} {verb}", list(&self.holds)));
        }
        if !self.wrong().is_empty() && !self.open.is_empty() {
            clauses.push(self.undecided());
        }
        (!clauses.is_empty()).then(|| format!("Of what was asked, {}.", clauses.join("; ")))
    }
}
