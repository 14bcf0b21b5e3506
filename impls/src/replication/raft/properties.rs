//! The five properties that Raft guarantees at all times (Figure 3), checked from outside.
//!
//! [`Properties`] is shown a node whenever something has happened to it, and remembers what the paper
//! speaks of: who led in which term, which entries there were, what was committed, what was applied. It
//! looks at what is new only, so it can watch every step of a long run.

use super::log::{Index, LogId, Term};
use super::{RoleName, StateMachine, View};
use crate::protocol::NodeId;
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// What was seen of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Properties {
    leaders: BTreeMap<Term, NodeId>,
    /// Entries by identity: what they say, and the term of the one before.
    entries: BTreeMap<LogId, (u64, Term)>,
    /// What is committed, and the term of whoever knew it first.
    committed: BTreeMap<Index, (Committed, Term)>,
    /// State machines by what was applied to them.
    applied: BTreeMap<Index, u64>,
    nodes: BTreeMap<NodeId, Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Committed {
    term: Term,
    digest: u64,
}

/// What was seen of a node, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Seen {
    /// The term in which it leads, and the end of its log then.
    leads: Option<(Term, LogId)>,
    /// Up to where its log, as a leader's, was compared with what is committed.
    complete_to: Index,
    commit_index: Index,
    applied: Index,
}

/// One of the five does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// How that was seen.
    pub how: String,
}

/// The five properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Property {
    /// At most one leader can be elected in a given term (§5.2).
    ElectionSafety,
    /// A leader never overwrites or deletes entries in its log; it only appends (§5.3).
    LeaderAppendOnly,
    /// If two logs contain an entry with the same index and term, then the logs are identical in all
    /// entries up through the given index (§5.3).
    LogMatching,
    /// If a log entry is committed in a given term, then that entry will be present in the logs of the
    /// leaders for all higher-numbered terms (§5.4).
    LeaderCompleteness,
    /// If a server has applied a log entry at a given index to its state machine, no other server will
    /// ever apply a different log entry for the same index (§5.4.3).
    StateMachineSafety,
}

impl Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Property::ElectionSafety => "election safety",
            Property::LeaderAppendOnly => "leader append-only",
            Property::LogMatching => "log matching",
            Property::LeaderCompleteness => "leader completeness",
            Property::StateMachineSafety => "state machine safety",
        })
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is violated: {}", self.property, self.how)
    }
}

fn violated(property: Property, how: String) -> Result<(), Violation> {
    Err(Violation { property, how })
}

impl Properties {
    /// A node has crashed: what it will do next is no continuation of what it did.
    pub fn crashed(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// Something has happened to a node.
    pub fn observe<S: StateMachine>(&mut self, view: &View<'_, S>) -> Result<(), Violation> {
        let mut seen = self.nodes.get(&view.id()).copied().unwrap_or_default();
        self.log_matching(view, &seen)?;
        self.state_machine_safety(view, &mut seen)?;
        if view.role() == RoleName::Leader {
            self.election_safety(view)?;
            leader_append_only(view, &mut seen)?;
            self.leader_completeness(view, &mut seen)?;
        } else {
            seen.leads = None;
        }
        self.nodes.insert(view.id(), seen);
        Ok(())
    }

    /// Terms in which a leader was seen.
    pub fn leaders(&self) -> &BTreeMap<Term, NodeId> {
        &self.leaders
    }

    /// The last entry that any node knew to be committed.
    pub fn committed(&self) -> Index {
        self.committed.last_key_value().map_or(Index(0), |(&index, _)| index)
    }

    fn election_safety<S: StateMachine>(&mut self, view: &View<'_, S>) -> Result<(), Violation> {
        let (term, id) = (view.current_term(), view.id());
        let leader = *self.leaders.entry(term).or_insert(id);
        match leader == id {
            true => Ok(()),
            false => violated(Property::ElectionSafety, format!("{leader} and {id} led in {term:?}")),
        }
    }

    /// By induction: entries with one identity say the same, and follow one of the same term. What a node
    /// knew to be committed was looked at before, and must not change, which is looked at below.
    fn log_matching<S: StateMachine>(&mut self, view: &View<'_, S>, seen: &Seen) -> Result<(), Violation> {
        let mut index = seen.commit_index.max(view.log_base().index).next();
        while let Some(digest) = view.digest_at(index) {
            let term = view.term_at(index).expect("an entry has a term");
            let before = view.term_at(index.before()).expect("an entry follows one, or the base");
            let known = *self.entries.entry(LogId { term, index }).or_insert((digest, before));
            if known != (digest, before) {
                let how = format!("the entry {index:?}@{term:?} of {} is not that of others", view.id());
                return violated(Property::LogMatching, how);
            }
            index = index.next();
        }
        Ok(())
    }

    fn state_machine_safety<S: StateMachine>(
        &mut self,
        view: &View<'_, S>,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        let id = view.id();
        let mut index = seen.commit_index.max(view.log_base().index).next();
        while index <= view.commit_index() {
            let Some(digest) = view.digest_at(index) else {
                let how = format!("{id} has committed {index:?}, and not got it");
                return violated(Property::StateMachineSafety, how);
            };
            let term = view.term_at(index).expect("an entry has a term");
            let ours = Committed { term, digest };
            let known = self.committed.entry(index).or_insert((ours, view.current_term()));
            if known.0 != ours {
                let (known, how) = (known.0.term, "where others have committed");
                let how = format!("{id} has committed {index:?}@{term:?} {how} one of {known:?}");
                return violated(Property::StateMachineSafety, how);
            }
            index = index.next();
        }
        let (applied, commit_index) = (view.applied().index, view.commit_index());
        if commit_index < seen.commit_index || applied < seen.applied {
            let how = format!("{id} went back to {applied:?} from {:?}", seen.applied);
            return violated(Property::StateMachineSafety, how);
        }
        // What was committed stays as it was, at the end at least.
        let (end, committed) = (view.term_at(commit_index), self.committed.get(&commit_index));
        if let (Some(term), Some((committed, _))) = (end, committed)
            && term != committed.term
        {
            let how = format!("{id} has {commit_index:?}@{term:?}; of {:?} was committed", committed.term);
            return violated(Property::StateMachineSafety, how);
        }
        if applied > seen.applied {
            let digest = view.state_digest();
            if *self.applied.entry(applied).or_insert(digest) != digest {
                let how = format!("{id} is in another state after {applied:?} than others were");
                return violated(Property::StateMachineSafety, how);
            }
        }
        (seen.commit_index, seen.applied) = (commit_index, applied);
        Ok(())
    }

    fn leader_completeness<S: StateMachine>(
        &self,
        view: &View<'_, S>,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        let term = view.current_term();
        let from = seen.complete_to.max(view.log_base().index).next();
        for (&index, (committed, known_in)) in self.committed.range(from..) {
            if *known_in <= term && view.term_at(index) != Some(committed.term) {
                let how = format!(
                    "{} leads in {term:?} without the entry {index:?}@{:?}, committed by {known_in:?}",
                    view.id(),
                    committed.term
                );
                return violated(Property::LeaderCompleteness, how);
            }
            seen.complete_to = index;
        }
        Ok(())
    }
}

fn leader_append_only<S: StateMachine>(view: &View<'_, S>, seen: &mut Seen) -> Result<(), Violation> {
    let (term, last) = (view.current_term(), view.log_last());
    if let Some((_, before)) = seen.leads.filter(|leads| leads.0 == term) {
        let is_there =
            before.index <= view.log_base().index || view.term_at(before.index) == Some(before.term);
        if !is_there {
            let how = format!("{} leads in {term:?} and has lost its entry {before:?}", view.id());
            return violated(Property::LeaderAppendOnly, how);
        }
    } else {
        seen.complete_to = Index(0);
    }
    seen.leads = Some((term, last));
    Ok(())
}
