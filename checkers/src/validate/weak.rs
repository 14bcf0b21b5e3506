//! Re-checks answers about weak isolation ([`crate::transaction::weak`]), by the definitions there.
//!
//! A commit order is walked read by read: of what was visible to a read, the writer of its key that comes
//! last must not come after the writer whose version was read. Visibility is kept as plainly as it can be,
//! one map from keys to the latest position; causal consistency is taken one session at a time. O(n log n)
//! for histories whose transactions are of bounded size, O(n k log n) for k sessions where causality counts.
//!
//! A violation is checked edge by edge, against nothing but the history.

use super::Refusal;
use crate::transaction::proof::{Certificate, Edge, Why};
use crate::transaction::weak::{Violation, WeakAnswer, WeakLevel};
use crate::transaction::{Action, INITIAL, KeyId, NOBODY, Status, Transactions, TxnId, VersionId};
use std::collections::BTreeMap;

/// Steps past which a commit order is not walked.
const STEPS_MAX: u64 = 4_000_000_000;

/// Checks the proof that `answer` carries. Unknown claims nothing.
pub fn validate_weak(txns: &Transactions, level: WeakLevel, answer: &WeakAnswer) -> Result<(), Refusal> {
    let facts = Facts::of(txns);
    match answer {
        WeakAnswer::Unknown(_) => Ok(()),
        WeakAnswer::Holds(Certificate::CommitOrder(order)) => Walk::of(&facts, order)?.check(level),
        WeakAnswer::Holds(_) => Err(Refusal::Wrong("the certificate is not a commit order".to_owned())),
        WeakAnswer::Violated(violation) => Ok(facts.check(level, violation)?),
    }
}

/// A read of a version that another transaction wrote, or of the initial state.
#[derive(Clone, Copy)]
struct Seen {
    key: KeyId,
    version: VersionId,
    /// [`NOBODY`] for the initial state.
    writer: TxnId,
}

struct Facts<'t> {
    txns: &'t Transactions,
    counts: Vec<bool>,
    /// By transaction, in its order.
    seen: Vec<Vec<Seen>>,
    /// By transaction: each key, and the last version written to it.
    written: Vec<BTreeMap<KeyId, VersionId>>,
    /// By session, the transactions that count.
    sessions: Vec<Vec<TxnId>>,
    /// By transaction that counts, its session there.
    session_of: Vec<usize>,
}

impl<'t> Facts<'t> {
    fn of(txns: &'t Transactions) -> Facts<'t> {
        let mut facts = Facts {
            txns,
            counts: txns.counted(),
            seen: vec![vec![]; txns.len()],
            written: vec![BTreeMap::new(); txns.len()],
            sessions: vec![vec![]; txns.session_count() as usize],
            session_of: vec![usize::MAX; txns.len()],
        };
        for id in 0..txns.len() as TxnId {
            for op in txns.micro_ops(id) {
                let written = &mut facts.written[id as usize];
                let writer = txns.writer(op.version);
                let is_known = writer != NOBODY || op.version == INITIAL;
                if op.action == Action::Write {
                    written.insert(op.key, op.version);
                } else if is_known && writer != id && !written.contains_key(&op.key) {
                    facts.seen[id as usize].push(Seen { key: op.key, version: op.version, writer });
                }
                if op.action == Action::Read && writer != NOBODY {
                    facts.counts[writer as usize] = true;
                }
            }
        }
        for (id, txn) in txns.txns().iter().enumerate() {
            if !facts.counts[id] {
                facts.seen[id].clear();
                continue;
            }
            let session = &mut facts.sessions[txn.session as usize];
            // A transaction of unknown outcome may take effect later than what its session did next.
            let before = session.pop_if(|last| txns.txn(*last).status == Status::Unknown);
            session.push(id as TxnId);
            facts.session_of[id] = txn.session as usize;
            if let Some(before) = before {
                facts.session_of[before as usize] = facts.sessions.len();
                facts.sessions.push(vec![before]);
            }
        }
        facts
    }

    fn check(&self, level: WeakLevel, violation: &Violation) -> Result<(), String> {
        match violation {
            Violation::Cycle(edges) => {
                let Some(last) = edges.last() else { return Err("a cycle without edges".to_owned()) };
                let mut at = last.to;
                for edge in edges {
                    if edge.from != at {
                        return Err(format!("the cycle jumps from transaction {at} to {}", edge.from));
                    }
                    at = edge.to;
                    self.edge(level, edge)?;
                }
                Ok(())
            }
            Violation::StaleInitial { reader, missed, path } => {
                let missed = self.version(*missed)?;
                let from = missed.writer;
                let concerns = |seen: &Seen| seen.key == missed.key && seen.version == INITIAL;
                self.visible(level, from, *reader, path, concerns)
            }
            Violation::NonRepeatable { reader, key, first, second } => {
                let find = |version: VersionId| {
                    let mut seen = self.seen_by(*reader)?.iter();
                    let place = seen.position(|seen| seen.key == *key && seen.version == version);
                    place.ok_or_else(|| {
                        format!("transaction {reader} does not read that version of key {key}")
                    })
                };
                let (at, then) = (find(*first)?, find(*second)?);
                let (first, second) = (self.seen_by(*reader)?[at], self.seen_by(*reader)?[then]);
                if level != WeakLevel::ReadAtomic || at >= then || first.writer == second.writer {
                    return Err(format!("the reads of transaction {reader} are no violation of {level:?}"));
                }
                Ok(())
            }
        }
    }

    fn seen_by(&self, txn: TxnId) -> Result<&[Seen], String> {
        match self.seen.get(txn as usize) {
            Some(seen) => Ok(seen),
            None => Err(format!("there is no transaction {txn}")),
        }
    }

    fn version(&self, version: VersionId) -> Result<&crate::transaction::Version, String> {
        let version = self.txns.versions().get(version as usize);
        version.ok_or_else(|| "there is no such version".to_owned())
    }

    /// An edge of a cycle.
    fn edge(&self, level: WeakLevel, edge: &Edge) -> Result<(), String> {
        let Why::Visible { reader, version, older, path } = &edge.why else { return self.known(edge) };
        let (newer, older) = (self.version(*version)?, self.version(*older)?);
        if newer.writer != edge.to || older.writer != edge.from || newer.key != older.key {
            return Err(format!("{edge:?} is not about two writes of one key by its two ends"));
        }
        if edge.from == edge.to {
            return Err(format!("{edge:?} leads nowhere"));
        }
        let concerns = |seen: &Seen| seen.version == *version;
        self.visible(level, edge.from, *reader, path, concerns)
    }

    /// An edge of `so` or of `wr`.
    fn known(&self, edge: &Edge) -> Result<(), String> {
        let is_so = match edge.why {
            Why::Session => {
                let session = |txn: TxnId| self.session_of.get(txn as usize).filter(|s| **s != usize::MAX);
                edge.from < edge.to && session(edge.from).is_some() && session(edge.from) == session(edge.to)
            }
            Why::Read { version } => {
                let mut seen = self.seen_by(edge.to)?.iter();
                seen.any(|seen| seen.version == version && seen.writer == edge.from && version != INITIAL)
            }
            _ => false,
        };
        if is_so { Ok(()) } else { Err(format!("{edge:?} is not so")) }
    }

    /// Whether `path` makes `from` visible, in the sense of the level, to a read of `reader` that concerns.
    fn visible(
        &self,
        level: WeakLevel,
        from: TxnId,
        reader: TxnId,
        path: &[Edge],
        concerns: impl Fn(&Seen) -> bool,
    ) -> Result<(), String> {
        let mut at = from;
        for edge in path {
            if edge.from != at {
                return Err(format!("the path jumps from transaction {at} to {}", edge.from));
            }
            self.known(edge)?;
            at = edge.to;
        }
        if path.is_empty() || at != reader {
            return Err(format!("the path does not lead from transaction {from} to {reader}"));
        }
        let seen = self.seen_by(reader)?;
        let Some(last) = seen.iter().rposition(concerns) else {
            return Err(format!("transaction {reader} does not read what it is said to"));
        };
        let is_read = |edge: &Edge| matches!(edge.why, Why::Read { .. });
        let ends_before = |edge: &Edge| match edge.why {
            Why::Read { version } => seen[..last].iter().any(|seen| seen.version == version),
            _ => false,
        };
        let is_of_level = match (level, path) {
            (WeakLevel::Causal, _) => true,
            (WeakLevel::ReadAtomic, [_]) => true,
            (WeakLevel::ReadYourWrites, [edge]) => !is_read(edge),
            (WeakLevel::ReadCommitted | WeakLevel::MonotonicReads, [edge]) => ends_before(edge),
            (WeakLevel::MonotonicReads, [read, session]) => is_read(read) && !is_read(session),
            (WeakLevel::MonotonicWrites, [session, read]) => !is_read(session) && ends_before(read),
            (WeakLevel::WritesFollowReads, [first, .., last]) => is_read(first) && ends_before(last),
            _ => false,
        };
        if is_of_level { Ok(()) } else { Err(format!("{level:?} does not make {path:?} visible")) }
    }
}

/// A commit order that has `so` and `wr`.
struct Walk<'f> {
    facts: &'f Facts<'f>,
    order: &'f [TxnId],
    /// By transaction: its place in the order, from 1. The initial state is at 0.
    place: Vec<u32>,
    /// By transaction: its place among those of its session that count.
    nth: Vec<u32>,
}

/// Of each key, the latest place of a writer among some transactions.
type Latest = BTreeMap<KeyId, u32>;

impl<'f> Walk<'f> {
    fn of(facts: &'f Facts<'f>, order: &'f [TxnId]) -> Result<Walk<'f>, String> {
        let mut walk =
            Walk { facts, order, place: vec![0; facts.counts.len()], nth: vec![0; facts.counts.len()] };
        for (at, txn) in order.iter().enumerate() {
            match walk.place.get_mut(*txn as usize) {
                Some(place) if *place == 0 && facts.counts[*txn as usize] => *place = at as u32 + 1,
                _ => return Err(format!("transaction {txn} is placed twice, or has no place in the order")),
            }
        }
        if let Some(missing) = (0..walk.place.len()).find(|txn| facts.counts[*txn] && walk.place[*txn] == 0) {
            return Err(format!("transaction {missing} is missing"));
        }
        for session in &facts.sessions {
            for (nth, txn) in session.iter().enumerate() {
                walk.nth[*txn as usize] = nth as u32;
                if nth > 0 && walk.at(session[nth - 1]) > walk.at(*txn) {
                    return Err(format!("transaction {txn} comes before an earlier one of its session"));
                }
            }
        }
        for txn in order {
            for seen in &facts.seen[*txn as usize] {
                if walk.at(seen.writer) >= walk.at(*txn) {
                    return Err(format!(
                        "transaction {txn} reads from {}, which comes after it",
                        seen.writer
                    ));
                }
            }
        }
        Ok(walk)
    }

    fn at(&self, txn: TxnId) -> u32 {
        if txn == NOBODY { 0 } else { self.place[txn as usize] }
    }

    /// Adds what `txn` wrote.
    fn add(&self, latest: &mut Latest, txn: TxnId) {
        if txn == NOBODY {
            return;
        }
        for key in self.facts.written[txn as usize].keys() {
            let entry = latest.entry(*key).or_insert(0);
            *entry = (*entry).max(self.at(txn));
        }
    }

    fn demand(&self, reader: TxnId, seen: &Seen, visible: u32) -> Result<(), String> {
        if visible <= self.at(seen.writer) {
            return Ok(());
        }
        let missed = self.order[visible as usize - 1];
        Err(format!(
            "transaction {missed} was visible to {reader}, which read an older version of key {}",
            seen.key
        ))
    }

    fn check(&self, level: WeakLevel) -> Result<(), Refusal> {
        let sessions = self.facts.sessions.iter();
        match level {
            WeakLevel::ReadCommitted => {
                Ok(sessions.flatten().try_for_each(|txn| self.reads_grow(&[*txn]))?)
            }
            WeakLevel::MonotonicReads => {
                Ok(self.facts.sessions.iter().try_for_each(|session| self.reads_grow(session))?)
            }
            WeakLevel::ReadAtomic => Ok(sessions.into_iter().try_for_each(|s| self.own_writes(s, true))?),
            WeakLevel::ReadYourWrites => {
                Ok(sessions.into_iter().try_for_each(|s| self.own_writes(s, false))?)
            }
            WeakLevel::MonotonicWrites => Ok(self.sessions_grow()?),
            WeakLevel::Causal | WeakLevel::WritesFollowReads => self.causes(level),
        }
    }

    /// Read committed, monotonic reads: what the transactions have read so far is visible.
    fn reads_grow(&self, txns: &[TxnId]) -> Result<(), String> {
        let mut latest = Latest::new();
        for txn in txns {
            for seen in &self.facts.seen[*txn as usize] {
                self.demand(*txn, seen, latest.get(&seen.key).copied().unwrap_or(0))?;
                self.add(&mut latest, seen.writer);
            }
        }
        Ok(())
    }

    /// Read your writes; read atomic: besides, what the transaction itself reads is visible.
    fn own_writes(&self, session: &[TxnId], is_atomic: bool) -> Result<(), String> {
        let mut own = Latest::new();
        for txn in session {
            let mut read = Latest::new();
            for seen in self.facts.seen[*txn as usize].iter().filter(|_| is_atomic) {
                self.add(&mut read, seen.writer);
            }
            for seen in &self.facts.seen[*txn as usize] {
                let latest = own.get(&seen.key).max(read.get(&seen.key));
                self.demand(*txn, seen, latest.copied().unwrap_or(0))?;
            }
            self.add(&mut own, *txn);
        }
        Ok(())
    }

    /// Monotonic writes. Since the order has `so`, the last writer of a key before a transaction in its
    /// session is the latest.
    fn sessions_grow(&self) -> Result<(), String> {
        let mut writers: BTreeMap<(usize, KeyId), Vec<TxnId>> = BTreeMap::new();
        let session = |txn: TxnId| self.facts.session_of[txn as usize];
        for txn in self.facts.sessions.iter().flatten() {
            for key in self.facts.written[*txn as usize].keys() {
                writers.entry((session(*txn), *key)).or_default().push(*txn);
            }
        }
        for reader in self.order {
            let mut read: BTreeMap<usize, TxnId> = BTreeMap::new();
            for seen in &self.facts.seen[*reader as usize] {
                for (session, last) in &read {
                    let Some(writers) = writers.get(&(*session, seen.key)) else { continue };
                    let before = writers.partition_point(|writer| writer < last);
                    if let Some(visible) = writers[..before].last() {
                        self.demand(*reader, seen, self.at(*visible))?;
                    }
                }
                if seen.writer != NOBODY {
                    let last = read.entry(session(seen.writer)).or_insert(seen.writer);
                    *last = (*last).max(seen.writer);
                }
            }
        }
        Ok(())
    }

    /// Causal consistency, writes follow reads: one session after the other, how many of its transactions
    /// each transaction has in its past, itself included.
    fn causes(&self, level: WeakLevel) -> Result<(), Refusal> {
        let reads: usize = self.facts.seen.iter().map(Vec::len).sum();
        if (reads + self.order.len()) as u64 * self.facts.sessions.len() as u64 > STEPS_MAX {
            return Err(Refusal::TooLarge);
        }
        let mut past = vec![0_u32; self.place.len()];
        for (session, members) in self.facts.sessions.iter().enumerate() {
            let relevant = self.relevant(level, members);
            for txn in self.order {
                let of = self.facts.session_of[*txn as usize];
                let mut mine = match self.nth[*txn as usize] {
                    0 => 0,
                    nth => past[self.facts.sessions[of][nth as usize - 1] as usize],
                };
                let mut read_before = 0;
                if level == WeakLevel::Causal {
                    let read = self.facts.seen[*txn as usize].iter().filter(|seen| seen.writer != NOBODY);
                    mine = read.map(|seen| past[seen.writer as usize]).fold(mine, u32::max);
                }
                for seen in &self.facts.seen[*txn as usize] {
                    let bound = if level == WeakLevel::Causal { mine } else { read_before };
                    if let Some(relevant) = relevant.get(&seen.key).filter(|_| bound > 0) {
                        let len = relevant.partition_point(|(nth, _)| *nth < bound);
                        let visible = relevant[..len].last().map_or(0, |(_, latest)| *latest);
                        self.demand(*txn, seen, visible)?;
                    }
                    if seen.writer != NOBODY {
                        read_before = read_before.max(past[seen.writer as usize]);
                    }
                }
                mine = mine.max(read_before);
                past[*txn as usize] = if of == session { self.nth[*txn as usize] + 1 } else { mine };
            }
        }
        Ok(())
    }

    /// Per key, what a prefix of the session makes visible: up to which transaction, and the latest place of a
    /// writer of the key among what those wrote (causal) or read from (writes follow reads).
    fn relevant(&self, level: WeakLevel, session: &[TxnId]) -> BTreeMap<KeyId, Vec<(u32, u32)>> {
        let mut relevant: BTreeMap<KeyId, Vec<(u32, u32)>> = BTreeMap::new();
        let mut add = |nth: usize, txn: TxnId| {
            for key in self.facts.written[txn as usize].keys() {
                let places = relevant.entry(*key).or_default();
                let latest = places.last().map_or(0, |(_, latest)| *latest);
                places.push((nth as u32, latest.max(self.at(txn))));
            }
        };
        for (nth, txn) in session.iter().enumerate() {
            if level == WeakLevel::Causal {
                add(nth, *txn);
            } else {
                let read = self.facts.seen[*txn as usize].iter().filter(|seen| seen.writer != NOBODY);
                read.for_each(|seen| add(nth, seen.writer));
            }
        }
        relevant
    }
}
