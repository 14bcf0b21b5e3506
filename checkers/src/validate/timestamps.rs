//! Re-checks what [`crate::transaction::timestamps`] says. Shares no code with it: only what a transaction is,
//! and the words of its report.
//!
//! A schedule is replayed from empty lists or unwritten registers, and must be that of the timestamps. A flaw
//! is made anew from the definitions: who had committed by the moment of the reader, in which order, and what
//! the list or the register held because of that. The latter takes O(n) a flaw.

use super::Refusal;
use crate::history::Timestamps;
use crate::transaction::complete::{Model, Order};
use crate::transaction::proof::{Certificate, Moment};
use crate::transaction::timestamps::{Answer, Difference, Flaw, Report};
use crate::transaction::{
    Action, INITIAL, KeyId, Kind, MicroOp, NOBODY, Status, Transactions, TxnId, VersionId,
};
use crate::value::{Datum, Value, Values};
use std::collections::{BTreeMap, BTreeSet};

/// Checks the proof of a report about `txns`, whose values live in `values`. Unknown claims nothing.
pub fn validate_timestamps(txns: &Transactions, values: &Values, report: &Report) -> Result<(), Refusal> {
    let facts = Facts::new(txns, values, report);
    match &report.answer {
        Answer::Unknown(_) => Ok(()),
        Answer::Holds(certificate) => Ok(Replay::new(&facts).run(certificate)?),
        Answer::Violated if report.flaws.is_empty() => Err("violated without a flaw".to_owned().into()),
        Answer::Violated => {
            let wrong = report.flaws.iter().find(|flaw| facts.flaw(flaw).is_none());
            wrong.map_or(Ok(()), |flaw| Err(Refusal::Wrong(format!("the history does not show {flaw:?}"))))
        }
    }
}

/// When something comes: time; at one time first commits, then what is over in that moment, then starts; and
/// of the second kind what was invoked first.
type Rank = (i64, u8, TxnId);

/// What the history says by itself.
struct Facts<'a> {
    txns: &'a Transactions,
    values: &'a Values,
    report: &'a Report,
    /// Of those that took effect and have timestamps.
    stamps: BTreeMap<TxnId, Timestamps>,
}

impl<'a> Facts<'a> {
    fn new(txns: &'a Transactions, values: &'a Values, report: &'a Report) -> Facts<'a> {
        let mut facts = Facts { txns, values, report, stamps: BTreeMap::new() };
        let mut seen: BTreeSet<TxnId> = BTreeSet::new();
        if txns.txns().iter().any(|txn| txn.status == Status::Unknown) {
            let reads = (0..txns.len() as TxnId).flat_map(|id| txns.micro_ops(id));
            seen.extend(reads.filter(|op| op.action == Action::Read).map(|op| txns.writer(op.version)));
            for read in txns.list_reads() {
                seen.extend(facts.list(read.list).iter().map(|element| facts.writer(read.key, *element)));
            }
        }
        let took_effect = |id: TxnId| match txns.txn(id).status {
            Status::Committed => true,
            Status::Unknown => seen.contains(&id),
            Status::Aborted => false,
        };
        facts.stamps = txns.timestamps().iter().copied().filter(|(id, _)| took_effect(*id)).collect();
        facts
    }

    fn list(&self, list: Value) -> &'a [Value] {
        match self.values.get(list) {
            Datum::List(members) => members,
            _ => &[],
        }
    }

    fn writer(&self, key: KeyId, value: Value) -> TxnId {
        self.txns.version_of(key, value).map_or(NOBODY, |version| self.txns.writer(version))
    }

    fn value(&self, version: VersionId) -> Option<Value> {
        (version != INITIAL).then(|| self.txns.version(version).value)
    }

    fn starts(&self, id: TxnId) -> Option<Rank> {
        let Timestamps { start, commit } = *self.stamps.get(&id)?;
        Some(match self.report.question.model {
            Model::Serializable => (commit, 1, id),
            _ if start < commit => (start, 2, id),
            _ => (commit, 1, id),
        })
    }

    fn commits(&self, id: TxnId) -> Option<Rank> {
        let Timestamps { start, commit } = *self.stamps.get(&id)?;
        let is_open = self.report.question.model != Model::Serializable && start < commit;
        Some((commit, if is_open { 0 } else { 1 }, id))
    }

    /// The order to be kept besides.
    fn order(&self) -> Order {
        match self.report.question.order {
            Order::RealTime if !self.txns.has_real_time() => Order::Session,
            order => order,
        }
    }

    /// Whether the flaw is there.
    fn flaw(&self, flaw: &Flaw) -> Option<()> {
        let overlap = |first: TxnId, second: TxnId| Some(self.starts(second)? < self.commits(first)?);
        let is_committed = |id: TxnId| self.txns.txn(id).status == Status::Committed;
        let has = |id: TxnId| (id as usize) < self.txns.len();
        let holds = match *flaw {
            Flaw::External(difference) => self.differs(&difference, false)?,
            Flaw::Internal(difference) => self.differs(&difference, true)?,
            Flaw::Conflict { first, second, key } => {
                let writes = |id: TxnId| {
                    let mut ops = self.txns.micro_ops(id).iter();
                    ops.any(|op| op.action == Action::Write && op.key == key)
                };
                self.report.question.model == Model::SnapshotIsolation
                    && self.commits(first)? < self.commits(second)?
                    && overlap(first, second)?
                    && writes(first)
                    && writes(second)
            }
            Flaw::Session { first, second } => {
                overlap(first, second)?
                    && self.order() != Order::Free
                    && is_committed(first)
                    && first < second
                    && self.txns.txn(first).session == self.txns.txn(second).session
            }
            Flaw::RealTime { first, second } => {
                overlap(first, second)?
                    && self.order() == Order::RealTime
                    && self.txns.precedes(first, second)
            }
            Flaw::Backwards { txn } if has(txn) => {
                let stamps = self.stamps.get(&txn)?;
                self.report.question.model != Model::Serializable && stamps.commit < stamps.start
            }
            Flaw::Backwards { .. } => false,
        };
        holds.then_some(())
    }

    /// Whether a read differs from what it should be, in that way. `is_internal` tells whether the reader's own
    /// doings say so.
    fn differs(&self, difference: &Difference, is_internal: bool) -> Option<bool> {
        let Difference { reader, at, key, seen, expected } = *difference;
        let start = self.starts(reader)?;
        let ops = self.txns.micro_ops(reader);
        let read = ops.get(at as usize).filter(|op| op.action == Action::Read && op.key == key)?;
        let earlier: Vec<(usize, &MicroOp)> =
            ops[..at as usize].iter().enumerate().filter(|(_, op)| op.key == key).collect();
        let last_read = earlier.iter().rposition(|(_, op)| op.action == Action::Read);
        let own = earlier[last_read.map_or(0, |at| at + 1)..].iter().map(|(_, op)| self.value(op.version));
        let own: Vec<Value> = own.flatten().collect();
        let shows = |at: usize, op: &MicroOp| match self.txns.kind() {
            Kind::Register => self.value(op.version).into_iter().collect(),
            Kind::ListAppend => self.shown(reader, at),
        };
        let had = last_read.map(|at| shows(earlier[at].0, earlier[at].1));
        let is_by =
            |value: Option<Value>, id: TxnId| value.is_some_and(|value| self.writer(key, value) == id);
        let has_had = had.is_some();
        let base = had.unwrap_or_else(|| self.committed_before(key, start));
        let shown = shows(at as usize, read);
        match self.txns.kind() {
            Kind::Register => {
                let due = own.last().or(base.last()).copied();
                let by_itself = has_had || !own.is_empty();
                let tells = by_itself || self.tells(key, read.version);
                Some(
                    tells
                        && by_itself == is_internal
                        && shown.first().copied() == seen
                        && due == expected
                        && seen != expected,
                )
            }
            Kind::ListAppend => {
                let due: Vec<Value> = base.into_iter().chain(own).collect();
                let place = (0..=due.len()).find(|at| due.get(*at) != shown.get(*at))?;
                let by_itself = has_had || is_by(expected, reader) && (seen.is_none() || is_by(seen, reader));
                Some(
                    by_itself == is_internal
                        && shown.get(place).copied() == seen
                        && due.get(place).copied() == expected,
                )
            }
        }
    }

    /// Whether it is known when a version of a register could be seen, if ever.
    fn tells(&self, key: KeyId, version: VersionId) -> bool {
        let Some(value) = self.value(version) else { return true };
        match self.writer(key, value) {
            NOBODY => self.report.question.forbid_unwritten,
            writer => !self.is_homeless(writer) || self.txns.version(version).is_intermediate,
        }
    }

    /// Whether nobody knows when a transaction took effect.
    fn is_homeless(&self, id: TxnId) -> bool {
        self.txns.txn(id).status != Status::Aborted && !self.stamps.contains_key(&id)
    }

    /// The list that a transaction read there, without what may stand anywhere.
    fn shown(&self, reader: TxnId, at: usize) -> Vec<Value> {
        let reads = self.txns.list_reads();
        let from = reads.partition_point(|read| (read.txn, read.at as usize) < (reader, at));
        let Some(read) = reads.get(from).filter(|read| read.txn == reader) else { return Vec::new() };
        let has_place = |element: &&Value| {
            let writer = self.writer(read.key, **element);
            writer == NOBODY || !self.is_homeless(writer)
        };
        self.list(read.list).iter().filter(has_place).copied().collect()
    }

    /// What a key holds at a moment, by the timestamps: all elements of a list, the last value of a register.
    fn committed_before(&self, key: KeyId, moment: Rank) -> Vec<Value> {
        let writers: BTreeSet<TxnId> =
            self.txns.versions().iter().filter(|version| version.key == key).map(|v| v.writer).collect();
        let mut order: Vec<(Rank, TxnId)> =
            writers.into_iter().filter_map(|id| Some((self.commits(id)?, id))).collect();
        order.retain(|(rank, _)| *rank < moment);
        order.sort_unstable();
        let writes = order.iter().flat_map(|(_, id)| self.txns.micro_ops(*id));
        let writes = writes.filter(|op| op.action == Action::Write && op.key == key);
        let mut values: Vec<Value> = writes.filter_map(|op| self.value(op.version)).collect();
        if self.txns.kind() == Kind::Register {
            values.drain(..values.len().saturating_sub(1));
        }
        values
    }
}

/// A database in which the moments of a schedule happen.
struct Replay<'a> {
    facts: &'a Facts<'a>,
    has_started: Vec<bool>,
    has_committed: Vec<bool>,
    /// By key: a list, or the value of a register.
    held: BTreeMap<KeyId, Vec<Value>>,
    /// By key: who has it open for writing.
    open: BTreeMap<KeyId, TxnId>,
    latest_rank: Option<Rank>,
    /// By session, and of all: who has started and was invoked last.
    last_in_session: BTreeMap<u32, TxnId>,
    last: Option<TxnId>,
}

impl<'a> Replay<'a> {
    fn new(facts: &'a Facts<'a>) -> Replay<'a> {
        Replay {
            facts,
            has_started: vec![false; facts.txns.len()],
            has_committed: vec![false; facts.txns.len()],
            held: BTreeMap::new(),
            open: BTreeMap::new(),
            latest_rank: None,
            last_in_session: BTreeMap::new(),
            last: None,
        }
    }

    fn run(mut self, certificate: &Certificate) -> Result<(), String> {
        match (certificate, self.facts.report.question.model) {
            (Certificate::Serial(order), Model::Serializable) => {
                for &id in order {
                    self.start(id)?;
                    self.commit(id)?;
                }
            }
            (Certificate::Snapshots(moments), Model::SnapshotIsolation | Model::Prefix) => {
                for moment in moments {
                    match *moment {
                        Moment::Start(id) => self.start(id)?,
                        Moment::Commit(id) => self.commit(id)?,
                    }
                }
            }
            _ => return Err("the certificate is not of the kind that the model has".to_owned()),
        }
        let counted = self.facts.txns.counted();
        match (0..self.facts.txns.len()).find(|id| counted[*id] && !self.has_committed[*id]) {
            Some(missing) => Err(format!("transaction {missing} counts, but has no place")),
            None => Ok(()),
        }
    }

    /// Moments come in the order of their timestamps, those that have some.
    fn passes(&mut self, rank: Option<Rank>) -> Result<(), String> {
        if rank.is_some() && rank < self.latest_rank {
            return Err(format!("{rank:?} comes after {:?}", self.latest_rank));
        }
        self.latest_rank = rank.or(self.latest_rank);
        Ok(())
    }

    fn start(&mut self, id: TxnId) -> Result<(), String> {
        let facts = self.facts;
        let row = facts.txns.txns().get(id as usize).ok_or("a transaction that is not there")?;
        let has_stamps = facts.stamps.contains_key(&id);
        if row.status == Status::Aborted || row.status == Status::Committed && !has_stamps {
            return Err(format!("transaction {id} has a place and no timestamps, or has aborted"));
        }
        if std::mem::replace(&mut self.has_started[id as usize], true) {
            return Err(format!("transaction {id} starts twice"));
        }
        self.passes(facts.starts(id))?;
        self.reads(id)?;
        if facts.report.question.model == Model::SnapshotIsolation {
            for op in facts.txns.micro_ops(id).iter().filter(|op| op.action == Action::Write) {
                let other = *self.open.entry(op.key).or_insert(id);
                if other != id {
                    return Err(format!("{other} and {id} overlap, and both write key {}", op.key));
                }
            }
        }
        let last = self.last_in_session.entry(row.session).or_insert(id);
        *last = (*last).max(id);
        self.last = self.last.max(Some(id));
        Ok(())
    }

    /// What it reads must be what is held, and then its own.
    fn reads(&self, id: TxnId) -> Result<(), String> {
        let facts = self.facts;
        let is_list = facts.txns.kind() == Kind::ListAppend;
        let mut own: BTreeMap<KeyId, Vec<Value>> = BTreeMap::new();
        let from = facts.txns.list_reads().partition_point(|read| read.txn < id);
        let mut lists = facts.txns.list_reads()[from..].iter();
        for (at, op) in facts.txns.micro_ops(id).iter().enumerate() {
            let held = self.held.get(&op.key).map_or(&[][..], Vec::as_slice);
            let mine = own.entry(op.key).or_default();
            match op.action {
                Action::Write => mine.extend(facts.value(op.version)),
                Action::Read if is_list => {
                    let list = lists.next().map_or(&[][..], |read| facts.list(read.list));
                    if !list.iter().eq(held.iter().chain(mine.iter())) {
                        return Err(format!("micro-operation {at} of {id} reads another list than is there"));
                    }
                }
                Action::Read => {
                    let seen = facts.value(op.version);
                    let is_outside = seen.is_some_and(|value| facts.writer(op.key, value) == NOBODY);
                    if is_outside && mine.is_empty() && !facts.report.question.forbid_unwritten {
                        mine.extend(seen);
                    } else if seen != mine.last().or(held.last()).copied() {
                        return Err(format!(
                            "micro-operation {at} of {id} reads another value than is there"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn commit(&mut self, id: TxnId) -> Result<(), String> {
        let facts = self.facts;
        if !self.has_started.get(id as usize).copied().unwrap_or(false) {
            return Err(format!("transaction {id} commits without having started"));
        }
        if std::mem::replace(&mut self.has_committed[id as usize], true) {
            return Err(format!("transaction {id} commits twice"));
        }
        self.passes(facts.commits(id))?;
        for op in facts.txns.micro_ops(id).iter().filter(|op| op.action == Action::Write) {
            let held = self.held.entry(op.key).or_default();
            if facts.txns.kind() == Kind::Register {
                held.clear();
            }
            held.extend(facts.value(op.version));
            self.open.remove(&op.key);
        }
        // Whoever must come after this one must not have started.
        let row = facts.txns.txn(id);
        if row.status == Status::Committed && facts.order() != Order::Free {
            let later = self.last_in_session.get(&row.session).copied().filter(|later| *later > id);
            let later = later.or(self
                .last
                .filter(|later| facts.order() == Order::RealTime && facts.txns.precedes(id, *later)));
            if let Some(later) = later {
                return Err(format!(
                    "transaction {later} starts before {id}, which came first, has committed"
                ));
            }
        }
        Ok(())
    }
}
