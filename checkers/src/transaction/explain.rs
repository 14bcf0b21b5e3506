//! Reasons in sentences: "T1 precedes T2, because T2 read T1's append of 1 to key x".

use super::anomaly::{Anomaly, Evidence};
use super::direct::shown;
use super::proof::{Because, Edge, Why};
use super::{Action, INITIAL, Kind, NOBODY, Transactions, TxnId, VersionId};
use crate::history::{ANONYMOUS, History};
use crate::value::Value;

/// Puts the findings about one history into words.
pub struct Words<'a> {
    /// The history.
    pub history: &'a History,
    /// The same, read as transactions.
    pub txns: &'a Transactions,
    /// The transactions that have names, in the order of those: the first is T1. The others are named by
    /// their lines.
    pub cast: &'a [TxnId],
}

/// The transactions that an anomaly is about, each once, in the order of its evidence: those of a cycle, and behind
/// them those that the reasons of its edges rest on.
pub fn cast(anomaly: &Anomaly) -> Vec<TxnId> {
    let mut cast: Vec<TxnId> = Vec::new();
    let mut add = |txn: TxnId| {
        if !cast.contains(&txn) {
            cast.push(txn);
        }
    };
    match &anomaly.evidence {
        Evidence::Cycle { edges, .. } => {
            edges.iter().for_each(|edge| add(edge.from));
            let mut open: Vec<&Edge> = edges.iter().rev().collect();
            while let Some(edge) = open.pop() {
                [edge.from, edge.to].into_iter().for_each(&mut add);
                match &edge.why {
                    Why::Visible { reader, path, .. } => {
                        add(*reader);
                        open.extend(path.iter().rev());
                    }
                    Why::Overwrote { because: Because::Otherwise { path }, .. }
                    | Why::Missed { because: Because::Otherwise { path }, .. } => {
                        open.extend(path.iter().rev());
                    }
                    _ => {}
                }
            }
        }
        Evidence::Direct { txns, .. } | Evidence::Cases { txns, .. } => {
            txns.iter().copied().for_each(&mut add)
        }
    }
    cast
}

impl Words<'_> {
    /// `T1`, or `the transaction on line 7`.
    pub fn name(&self, txn: TxnId) -> String {
        if let Some(at) = self.cast.iter().position(|member| *member == txn) {
            return format!("T{}", at + 1);
        }
        let op = self.history.operation(self.txns.txn(txn).op);
        let line = if op.complete_line > 0 { op.complete_line } else { op.invoke_line };
        match line {
            0 => format!("transaction {txn}"),
            line => format!("the transaction on line {line}"),
        }
    }

    /// What shows the anomaly, sentence by sentence.
    pub fn sentences(&self, anomaly: &Anomaly) -> Vec<String> {
        match &anomaly.evidence {
            Evidence::Cycle { edges, .. } => edges.iter().map(|edge| self.edge(edge)).collect(),
            Evidence::Direct { txns, sentence, .. } => {
                let names: Vec<String> = txns.iter().map(|txn| self.name(*txn)).collect();
                vec![match names.len() {
                    0 => sentence.clone(),
                    _ => format!("{}: {sentence}", names.join(", ")),
                }]
            }
            Evidence::Cases { lemmas, .. } => self.cases(lemmas),
        }
    }

    /// A proof by cases: which choices each cycle rules out.
    fn cases(&self, lemmas: &[Vec<Edge>]) -> Vec<String> {
        let mut sentences = vec![
            "of any two that wrote the same key one came first, and whichever did, a cycle follows"
                .to_owned(),
        ];
        for lemma in lemmas {
            let case = |edge: &Edge| match &edge.why {
                Why::Overwrote { before, after, because: Because::Case }
                | Why::Missed { seen: before, after, because: Because::Case } => {
                    Some(format!("{} came before {}", self.write(*before), self.write(*after)))
                }
                _ => None,
            };
            let mut cases: Vec<String> = lemma.iter().filter_map(case).collect();
            cases.sort_unstable();
            cases.dedup();
            let steps: Vec<String> = lemma.iter().map(|edge| self.edge(edge)).collect();
            sentences.push(format!("not all of this: {}. For then {}", cases.join(", "), steps.join("; ")));
        }
        sentences
    }

    /// Why one transaction precedes the other, in a sentence without its full stop.
    pub fn edge(&self, edge: &Edge) -> String {
        let (from, to) = (self.name(edge.from), self.name(edge.to));
        format!("{from} precedes {to}, because {}", self.why(edge))
    }

    fn why(&self, edge: &Edge) -> String {
        let (from, to) = (self.name(edge.from), self.name(edge.to));
        match &edge.why {
            Why::Session => {
                let process = self.history.operation(self.txns.txn(edge.from).op).process;
                let who = if process >= ANONYMOUS {
                    "one process".to_owned()
                } else {
                    format!("process {process}")
                };
                format!("{who} ran it first")
            }
            Why::RealTime => format!("{from} had completed before {to} was invoked"),
            Why::Read { version } => format!("{to} read {from}'s {}", self.write(*version)),
            Why::Overwrote { before, after, because } => {
                let because = self.because(*before, *after, because);
                match self.txns.kind() {
                    Kind::ListAppend => {
                        format!(
                            "{to} appended {} to key {} after {from}'s {}{because}",
                            self.value(*after),
                            self.key(*after),
                            self.value(*before)
                        )
                    }
                    Kind::Register => {
                        format!(
                            "{to}'s {} comes after {from}'s {}{because}",
                            self.write(*after),
                            self.write(*before)
                        )
                    }
                }
            }
            Why::Missed { seen, after, because } => {
                let because = self.because(*seen, *after, because);
                let what = self.write(*after);
                match (self.txns.kind(), *seen) {
                    (_, INITIAL) => {
                        format!(
                            "{from} read key {} before anybody had written it, and {to} made the {what}",
                            self.key(*after)
                        )
                    }
                    (Kind::ListAppend, seen) => format!(
                        "{from} read key {} up to {}, and did not see {to}'s {what}{because}",
                        self.key(*after),
                        self.value(seen)
                    ),
                    (Kind::Register, seen) => {
                        format!(
                            "{from} read {} = {}, and {to}'s {what} comes after it{because}",
                            self.key(*after),
                            self.value(seen)
                        )
                    }
                }
            }
            Why::Visible { reader, version, older, path } => {
                let reader_name = self.name(*reader);
                let mut text = format!(
                    "{reader_name} read {to}'s {} although {from} was visible to it, which had made the {}",
                    self.write(*version),
                    self.write(*older)
                );
                if !path.is_empty() {
                    let steps: Vec<String> = path
                        .iter()
                        .map(|step| {
                            format!(
                                "{} reaches {}: {}",
                                self.name(step.from),
                                self.name(step.to),
                                self.why(step)
                            )
                        })
                        .collect();
                    text.push_str(&format!(" ({})", steps.join("; ")));
                }
                text
            }
        }
    }

    /// `append of 1 to key x`, `write x = 1`.
    fn write(&self, version: VersionId) -> String {
        if version == INITIAL {
            return "initial value".to_owned();
        }
        match self.txns.kind() {
            Kind::ListAppend => format!("append of {} to key {}", self.value(version), self.key(version)),
            Kind::Register => format!("write {} = {}", self.key(version), self.value(version)),
        }
    }

    fn key(&self, version: VersionId) -> String {
        self.history.values().show(self.txns.keys()[self.txns.version(version).key as usize])
    }

    fn value(&self, version: VersionId) -> String {
        let value = if version == INITIAL { Value::NIL } else { self.txns.version(version).value };
        self.history.values().show(value)
    }

    /// What closes the cycle that there would be if the version `after` came before `before`, where it does not end
    /// at the writer of `after`: somebody who read what that one wrote, and would have missed the other's.
    fn missed_otherwise(&self, before: VersionId, after: VersionId, path: &[Edge]) -> Option<String> {
        let (earlier, later) = (self.txns.writer(before), self.txns.writer(after));
        let reader = path.last()?.to;
        if reader == later || earlier == NOBODY {
            return None;
        }
        let reads = self.txns.micro_ops(reader).iter();
        let mut reads = reads.filter(|op| op.action == Action::Read && self.txns.writer(op.version) == later);
        let (seen, missed) = reads.find_map(|read| {
            let mut writes = self.txns.micro_ops(earlier).iter().rev();
            let write = writes.find(|op| op.action == Action::Write && op.key == read.key)?;
            Some((read.version, write.version))
        })?;
        Some(format!(
            "{} read {}'s {} and would have missed {}'s {}",
            self.name(reader),
            self.name(later),
            self.write(seen),
            self.name(earlier),
            self.write(missed)
        ))
    }

    /// Why the versions come in that order, to be put behind something; nothing if it goes without saying.
    fn because(&self, before: VersionId, after: VersionId, because: &Because) -> String {
        match because {
            Because::Initial | Because::Case => String::new(),
            Because::List { reader } => match self.txns.longest(self.txns.version(after).key) {
                Some(longest) if !self.cast.contains(reader) => {
                    format!(" ({} read {})", self.name(*reader), shown(self.history.values(), longest.list))
                }
                _ => String::new(),
            },
            Because::Unread { .. } => {
                " (nobody ever saw it, so it was appended after all that was seen)".to_owned()
            }
            Because::ReadThenWrote { by } => {
                format!(
                    " ({} read {} and then wrote {})",
                    self.name(*by),
                    self.value(before),
                    self.value(after)
                )
            }
            Because::SequentialKey { first, second } => format!(
                " (a session met {} in {} and then {} in {})",
                self.value(before),
                self.name(*first),
                self.value(after),
                self.name(*second)
            ),
            Because::LinearizableKey { first, second } => format!(
                " ({} met {} and completed before {}, which met {}, was invoked)",
                self.name(*first),
                self.value(before),
                self.name(*second),
                self.value(after)
            ),
            Because::Otherwise { path } => {
                let mut steps: Vec<String> = path.iter().map(|edge| self.edge(edge)).collect();
                steps.extend(self.missed_otherwise(before, after, path));
                format!(" (the other way round there would be a cycle: {})", steps.join("; "))
            }
            Because::Through { middle, first, second } => {
                let mut text = format!(" (by way of {}", self.value(*middle));
                text.push_str(&self.because(before, *middle, first));
                text.push_str(&self.because(*middle, after, second));
                text.push(')');
                text
            }
        }
    }
}
