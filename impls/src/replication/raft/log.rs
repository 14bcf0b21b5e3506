//! The log (§5.3): entries with the term in which a leader took them, numbered from 1. Pure.
//!
//! What a snapshot covers may be gone from its front; `base` stands for all of that.

use super::membership::Membership;
use crate::protocol::{ClientId, Data, RequestId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A term: time is counted in them, and each has one leader at most (§5.1). In traces `t3`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(pub u64);

/// A place in the log. The first is 1; 0 is before it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(pub u64);

/// What identifies an entry, and all before it (§5.3, Log Matching). The order is that of §5.4.1: of two
/// logs the one with the larger last entry is more up-to-date. In traces `7@t2`: index 7 of term 2.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId {
    /// First by term,
    pub term: Term,
    /// then by index.
    pub index: Index,
}

/// One entry. In traces `t2:` and what it says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Entry<C: Data> {
    /// When a leader took it.
    pub term: Term,
    /// What it says.
    pub payload: Payload<C>,
}

/// What an entry says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Payload<C: Data> {
    /// Nothing: what a leader begins its term with, to learn what is committed (§8).
    Noop,
    /// What a client asked.
    Command {
        /// Who.
        client: ClientId,
        /// Which of its requests.
        id: RequestId,
        /// What.
        command: C,
    },
    /// From here on these are the members.
    Membership {
        /// Who.
        membership: Membership,
        /// Who asked for it, in which request: both entries of a change that takes two carry it. `None`:
        /// that is compacted.
        asked: Option<(ClientId, RequestId)>,
    },
}

impl Term {
    /// The one after it.
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl Index {
    /// The one after it.
    pub fn next(self) -> Index {
        self.plus(1)
    }

    /// The one before it; there is none before 0.
    pub fn before(self) -> Index {
        Index(self.0 - 1)
    }

    /// So many further.
    pub fn plus(self, n: usize) -> Index {
        Index(self.0 + n as u64)
    }

    /// How many further than `earlier` it is; 0 if it is not.
    pub fn past(self, earlier: Index) -> usize {
        self.0.saturating_sub(earlier.0) as usize
    }
}

impl<C: Data> Entry<C> {
    /// Equal for equal entries; in practice for no others.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// A node's log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Log<C: Data> {
    base: LogId,
    entries: Vec<Entry<C>>,
}

impl<C: Data> Default for Log<C> {
    fn default() -> Log<C> {
        Log { base: LogId::default(), entries: vec![] }
    }
}

/// What to do with entries that a leader sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// All of them are here.
    None,
    /// From the entry of this place in the message on they are new.
    New(usize),
    /// From there on the log says something else, which has to go.
    At(usize),
}

impl<C: Data> Log<C> {
    /// What stands for everything that was compacted; index 0 of term 0 if nothing was.
    pub fn base(&self) -> LogId {
        self.base
    }

    /// The last entry, or the base.
    pub fn last(&self) -> LogId {
        match self.entries.last() {
            Some(entry) => LogId { term: entry.term, index: self.base.index.plus(self.entries.len()) },
            None => self.base,
        }
    }

    /// The term at `index`, which the base and entries have.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entry at `index`.
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        (index > self.base.index).then(|| self.entries.get(index.past(self.base.index) - 1)).flatten()
    }

    /// The identity of the entry at `index`, which must be there.
    pub fn id_at(&self, index: Index) -> LogId {
        let term = self.term_at(index).expect("the log has it");
        LogId { term, index }
    }

    /// The entries behind `index`, which is not before the base.
    pub fn behind(&self, index: Index) -> &[Entry<C>] {
        assert!(index >= self.base.index, "{index:?} is compacted, up to {:?}", self.base);
        &self.entries[index.past(self.base.index).min(self.entries.len())..]
    }

    /// All entries that are here, with their places.
    pub fn entries(&self) -> impl Iterator<Item = (Index, &Entry<C>)> {
        self.entries.iter().enumerate().map(|(i, entry)| (self.base.index.plus(i + 1), entry))
    }

    /// Whether a log that ends with `other` is at least as up-to-date as this one (§5.4.1).
    pub fn is_no_newer_than(&self, other: LogId) -> bool {
        other >= self.last()
    }

    /// The last entry that is neither behind `id` nor of a later term: the first where two logs that
    /// differ at `id` may agree. `None` if it is compacted. (§5.3, the end: one step for each term, not
    /// one for each entry.)
    pub fn meeting_point(&self, id: LogId) -> Option<LogId> {
        if id.index < self.base.index || id.term < self.base.term {
            return None;
        }
        // Terms only grow along a log.
        let of_terms = self.entries.partition_point(|entry| entry.term <= id.term);
        Some(self.id_at(self.base.index.plus(of_terms).min(id.index)))
    }

    /// How entries that follow `prev`, which is here, agree with what follows it here (§5.3).
    pub fn conflict(&self, prev: Index, entries: &[Entry<C>]) -> Conflict {
        for (i, entry) in entries.iter().enumerate() {
            match self.term_at(prev.plus(i + 1)) {
                None => return Conflict::New(i),
                Some(term) if term != entry.term => return Conflict::At(i),
                Some(_) => {}
            }
        }
        Conflict::None
    }

    /// The same, with other entries.
    pub(super) fn map(&self, of: impl Fn(&Entry<C>) -> Entry<C>) -> Log<C> {
        Log { base: self.base, entries: self.entries.iter().map(of).collect() }
    }

    /// Adds entries at the end.
    pub(super) fn append(&mut self, entries: &[Entry<C>]) {
        self.entries.extend_from_slice(entries);
    }

    /// Forgets everything behind `last`.
    pub(super) fn truncate(&mut self, last: Index) {
        assert!(last >= self.base.index, "what is compacted is committed, and stays");
        self.entries.truncate(last.past(self.base.index));
    }

    /// Forgets everything up to `base`; and what is behind it too, unless it follows `base`.
    pub(super) fn compact(&mut self, base: LogId) {
        match self.term_at(base.index) == Some(base.term) {
            true => drop(self.entries.drain(..base.index.past(self.base.index))),
            false => self.entries.clear(),
        }
        self.base = base;
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{:?}", self.index, self.term)
    }
}

impl<C: Data> fmt::Debug for Entry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:?}", self.term, self.payload)
    }
}

impl<C: Data> fmt::Debug for Payload<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Noop => f.write_str("noop"),
            Payload::Command { client, id, command } => write!(f, "{client}#{} {command:?}", id.0),
            Payload::Membership { membership, .. } => write!(f, "members {membership:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(term: u64) -> Entry<()> {
        Entry { term: Term(term), payload: Payload::Noop }
    }

    fn id(index: u64, term: u64) -> LogId {
        LogId { term: Term(term), index: Index(index) }
    }

    /// A log of entries of these terms.
    fn log(terms: &[u64]) -> Log<()> {
        let mut log = Log::default();
        log.append(&terms.iter().map(|&term| entry(term)).collect::<Vec<_>>());
        log
    }

    #[test]
    fn the_last_term_counts_before_the_length() {
        let mine = log(&[1, 1, 2]);
        assert!(mine.is_no_newer_than(id(3, 2)) && mine.is_no_newer_than(id(1, 3)));
        assert!(!mine.is_no_newer_than(id(9, 1)) && !mine.is_no_newer_than(id(2, 2)));
    }

    #[test]
    fn what_is_compacted_leaves_its_last_identity() {
        let mut log = log(&[1, 1, 2, 2]);
        log.compact(id(2, 1));
        assert_eq!((log.base(), log.last()), (id(2, 1), id(4, 2)));
        assert_eq!((log.term_at(Index(1)), log.term_at(Index(2))), (None, Some(Term(1))));
        assert_eq!((log.get(Index(2)), log.get(Index(3))), (None, Some(&entry(2))));
        assert_eq!(log.behind(Index(2)).len(), 2);
        // A base that is not in the log: nothing of it is known to follow.
        log.compact(id(3, 3));
        assert_eq!((log.base(), log.last()), (id(3, 3), id(3, 3)));
    }

    #[test]
    fn conflicts_are_found_where_terms_differ() {
        let log = log(&[1, 1, 2]);
        assert_eq!(log.conflict(Index(1), &[entry(1), entry(2)]), Conflict::None);
        assert_eq!(log.conflict(Index(1), &[entry(1), entry(2), entry(2)]), Conflict::New(2));
        assert_eq!(log.conflict(Index(1), &[entry(1), entry(3)]), Conflict::At(1));
        assert_eq!(log.conflict(Index(3), &[]), Conflict::None);
    }

    // The two logs of Figure 7 that differ most from the leader's: from any entry of theirs the leader
    // finds a place that is not behind where they agree, in at most one step for each term.
    #[test]
    fn a_meeting_point_skips_whole_terms() {
        let leader = log(&[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
        let (e, f) = (log(&[1, 1, 1, 4, 4, 4, 4]), log(&[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]));
        assert_eq!(leader.meeting_point(e.last()), Some(id(5, 4)));
        assert_eq!(f.meeting_point(leader.last()), Some(id(10, 3)));
        assert_eq!(leader.meeting_point(id(10, 3)), Some(id(3, 1)));
    }

    #[test]
    fn no_meeting_point_is_found_where_the_log_is_compacted() {
        let mut log = log(&[1, 1, 2, 2]);
        log.compact(id(3, 2));
        assert_eq!(log.meeting_point(id(2, 1)), None);
        assert_eq!(log.meeting_point(id(7, 1)), None);
        assert_eq!(log.meeting_point(id(7, 2)), Some(id(4, 2)));
    }
}
