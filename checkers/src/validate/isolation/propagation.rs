//! Unit propagation, plain: a clause with one choice left makes that choice.

use crate::transaction::complete::Choice;
use std::collections::{BTreeMap, BTreeSet};

/// Clauses, each of which says that one of its choices is right.
#[derive(Debug, Default)]
pub(super) struct Propagation {
    clauses: Vec<Vec<Choice>>,
    /// By choice: the clauses that have it.
    having: BTreeMap<Choice, Vec<usize>>,
}

impl Propagation {
    pub(super) fn add(&mut self, clause: &[Choice]) {
        for choice in clause {
            self.having.entry(*choice).or_default().push(self.clauses.len());
        }
        self.clauses.push(clause.to_vec());
    }

    /// Whether making all choices of `clause` wrong leads to a clause without any that can be right.
    pub(super) fn implies(&self, clause: &[Choice]) -> bool {
        let mut right: BTreeSet<Choice> = BTreeSet::new();
        let mut open: Vec<Choice> = clause.iter().map(|choice| choice.reversed()).collect();
        for clause in &self.clauses {
            match clause[..] {
                [] => return true,
                [only] => open.push(only),
                _ => {}
            }
        }
        while let Some(choice) = open.pop() {
            if right.contains(&choice.reversed()) {
                return true;
            }
            if !right.insert(choice) {
                continue;
            }
            for &at in self.having.get(&choice.reversed()).into_iter().flatten() {
                let clause = &self.clauses[at];
                if clause.iter().any(|other| right.contains(other)) {
                    continue;
                }
                let mut left = clause.iter().filter(|other| !right.contains(&other.reversed()));
                match (left.next(), left.next()) {
                    (None, _) => return true,
                    (Some(only), None) => open.push(*only),
                    _ => {}
                }
            }
        }
        false
    }
}
