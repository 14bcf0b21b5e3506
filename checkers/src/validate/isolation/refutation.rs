//! Checks a refutation, edge by edge.

use super::Facts;
use super::propagation::Propagation;
use crate::transaction::complete::{Argument, Choice, Model, Refutation};
use crate::transaction::proof::{Because, Edge, Why};
use crate::transaction::{INITIAL, KeyId, NOBODY, TxnId, VersionId};

pub(super) fn check(facts: &Facts<'_>, refutation: &Refutation) -> Result<(), String> {
    let mut checker = Checker { facts, core: &refutation.core, nested: Vec::new() };
    match &refutation.argument {
        Argument::Cycle(cycle) => {
            checker.cycle(cycle, Cases::Refused)?;
            while let Some((path, earlier, later)) = checker.nested.pop() {
                checker.otherwise(path, earlier, later)?;
            }
            Ok(())
        }
        Argument::Cases { lemmas, learned } => {
            let mut propagation = Propagation::default();
            for lemma in lemmas {
                let clause = checker.cycle(lemma, Cases::Allowed)?;
                propagation.add(&clause);
            }
            if !checker.nested.is_empty() {
                return Err("a lemma of a proof by cases has a nested justification".to_owned());
            }
            for (at, clause) in learned.iter().enumerate() {
                if clause.iter().any(|choice| !facts.can_choose(*choice)) {
                    return Err(format!("learned clause {at} has a choice between two that share no key"));
                }
                if !propagation.implies(clause) {
                    return Err(format!("learned clause {at} does not follow by unit propagation"));
                }
                propagation.add(clause);
            }
            if propagation.implies(&[]) {
                Ok(())
            } else {
                Err("the proof by cases does not end in a contradiction".to_owned())
            }
        }
    }
}

/// Whether an edge may rest on a case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cases {
    Allowed,
    Refused,
}

/// A moment of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Commit,
}

struct Checker<'a> {
    facts: &'a Facts<'a>,
    core: &'a [TxnId],
    /// Justifications still to be checked: path, earlier and later writer.
    nested: Vec<(&'a [Edge], TxnId, TxnId)>,
}

impl<'a> Checker<'a> {
    /// Checks a cycle, and returns the clause that not all of its cases are right.
    fn cycle(&mut self, cycle: &'a [Edge], cases: Cases) -> Result<Vec<Choice>, String> {
        let (Some(first), Some(last)) = (cycle.first(), cycle.last()) else {
            return Err("a cycle without edges".to_owned());
        };
        let mut clause = self.path(cycle, cases)?;
        if !self.joins(last, first) {
            return Err(format!("the cycle does not close: {last:?} is not followed by {first:?}"));
        }
        clause.sort_unstable();
        clause.dedup();
        Ok(clause)
    }

    /// Checks that edges hold and follow one another.
    fn path(&mut self, path: &'a [Edge], cases: Cases) -> Result<Vec<Choice>, String> {
        let mut clause = Vec::new();
        for edge in path {
            let case = self.edge(edge)?;
            if case.is_some() && cases == Cases::Refused {
                return Err(format!("{edge:?} is only a case"));
            }
            clause.extend(case.map(Choice::reversed));
        }
        for pair in path.windows(2) {
            if !self.joins(&pair[0], &pair[1]) {
                return Err(format!("{:?} is not followed by {:?}", pair[0], pair[1]));
            }
        }
        Ok(clause)
    }

    /// Whether an edge begins where another ended, or later.
    fn joins(&self, edge: &Edge, next: &Edge) -> bool {
        edge.to == next.from && self.is_by_then(self.ends(edge), self.begins(next))
    }

    /// Whether one moment of a transaction is another of the same, or comes before it.
    fn is_by_then(&self, earlier: At, later: At) -> bool {
        self.facts.model == Model::Serializable || earlier == At::Start || later == At::Commit
    }

    fn begins(&self, edge: &Edge) -> At {
        if matches!(edge.why, Why::Missed { .. }) { At::Start } else { At::Commit }
    }

    fn ends(&self, edge: &Edge) -> At {
        match edge.why {
            Why::Missed { .. } => At::Commit,
            Why::Overwrote { .. } => self.overwriter(),
            _ => At::Start,
        }
    }

    /// The moment before which whoever was overwritten has committed.
    fn overwriter(&self) -> At {
        if self.facts.model == Model::SnapshotIsolation { At::Start } else { At::Commit }
    }

    /// Checks one edge, and returns the case that it rests on, if it does.
    fn edge(&mut self, edge: &'a Edge) -> Result<Option<Choice>, String> {
        let (facts, from, to) = (self.facts, edge.from, edge.to);
        let wrong = || format!("{edge:?} does not hold");
        if from == to || !facts.is_counted(from) || !facts.is_counted(to) {
            return Err(wrong());
        }
        let seen = if let Why::Missed { seen, .. } = edge.why { facts.writer(seen) } else { NOBODY };
        let is_outside = |txn: TxnId| txn != NOBODY && self.core.binary_search(&txn).is_err();
        if [from, to, seen].into_iter().any(is_outside) {
            return Err(format!("{edge:?} is about a transaction outside of the core"));
        }
        let (earlier, later, because) = match &edge.why {
            Why::Session => return facts.by_session(from, to).then_some(None).ok_or_else(wrong),
            Why::RealTime => return facts.by_real_time(from, to).then_some(None).ok_or_else(wrong),
            Why::Read { version } => {
                let key = facts.key(*version).ok_or_else(wrong)?;
                let holds =
                    facts.written(from, key) == Some(*version) && facts.read(to, key) == Some(*version);
                return holds.then_some(None).ok_or_else(wrong);
            }
            Why::Overwrote { before, after, because } => {
                let key = facts.key(*before).ok_or_else(wrong)?;
                let holds =
                    facts.written(from, key) == Some(*before) && facts.written(to, key) == Some(*after);
                (holds.then_some(*before).ok_or_else(wrong)?, *after, because)
            }
            Why::Missed { seen, after, because } => {
                let key = facts.key(*after).ok_or_else(wrong)?;
                let holds = facts.read(from, key) == Some(*seen) && facts.written(to, key) == Some(*after);
                (holds.then_some(*seen).ok_or_else(wrong)?, *after, because)
            }
            Why::Visible { .. } => return Err(wrong()),
        };
        self.because(earlier, later, because).ok_or_else(wrong)
    }

    /// Checks why one version comes before another of the same key; `None` if it does not follow.
    fn because(
        &mut self,
        earlier: VersionId,
        later: VersionId,
        because: &'a Because,
    ) -> Option<Option<Choice>> {
        let facts = self.facts;
        let writer = facts.writer(later);
        match because {
            Because::Initial => (earlier == INITIAL).then_some(None),
            Because::ReadThenWrote { by } => {
                let holds = *by == writer && facts.read(writer, facts.key(later)?) == Some(earlier);
                holds.then_some(None)
            }
            Because::List { .. } => {
                let places = (facts.place(earlier)?, facts.place(later)?);
                (places.0 < places.1).then_some(None)
            }
            Because::Unread { .. } => {
                facts.place(earlier)?;
                facts.place(later).is_none().then_some(None)
            }
            Because::Case | Because::Otherwise { .. } => {
                let before = (earlier != INITIAL).then(|| facts.writer(earlier))?;
                let choice = Choice { earlier: before, later: writer };
                if !facts.can_choose(choice) {
                    return None;
                }
                if let Because::Otherwise { path } = because {
                    self.nested.push((path, before, writer));
                    return Some(None);
                }
                Some(Some(choice))
            }
            _ => None,
        }
    }

    /// Checks that `later` cannot have committed before `earlier`: were it so, the path would be closed.
    fn otherwise(&mut self, path: &'a [Edge], earlier: TxnId, later: TxnId) -> Result<(), String> {
        let (Some(first), Some(last)) = (path.first(), path.last()) else {
            return Err("a justification without a path".to_owned());
        };
        self.path(path, Cases::Refused)?;
        // The later one would have been overwritten by the earlier one.
        let overwritten = last.to == later && self.is_by_then(self.overwriter(), self.begins(first));
        // Somebody who read the later one would have missed the earlier one, and that before it committed.
        let missed = self.facts.reads_over(last.to, later, earlier)
            && self.is_by_then(At::Commit, self.begins(first))
            && self.is_by_then(self.ends(last), At::Start);
        if first.from == earlier && (overwritten || missed) {
            Ok(())
        } else {
            Err(format!(
                "the path from {first:?} to {last:?} does not say that {earlier} comes before {later}"
            ))
        }
    }
}

impl Facts<'_> {
    /// Who wrote a version, whatever number a proof gives it.
    fn writer(&self, version: VersionId) -> TxnId {
        self.txns.versions().get(version as usize).map_or(NOBODY, |version| version.writer)
    }

    fn key(&self, version: VersionId) -> Option<KeyId> {
        self.txns.versions().get(version as usize).map(|version| version.key)
    }

    /// Where the longest list of its key shows a version, if it does.
    fn place(&self, version: VersionId) -> Option<usize> {
        let listed = self.txns.listed(self.key(version)?);
        listed.iter().position(|shown| *shown == version)
    }

    /// Whether both count and wrote a common key, so that one committed first.
    fn can_choose(&self, choice: Choice) -> bool {
        let Choice { earlier, later } = choice;
        earlier != later
            && self.is_counted(earlier)
            && self.is_counted(later)
            && self.have_common_key(earlier, later)
    }

    /// Whether `reader` read what `writer` wrote of a key that `other` wrote, too.
    fn reads_over(&self, reader: TxnId, writer: TxnId, other: TxnId) -> bool {
        reader != other
            && self.reads[reader as usize].iter().any(|(&key, &version)| {
                self.written(writer, key) == Some(version) && self.written(other, key).is_some()
            })
    }
}
