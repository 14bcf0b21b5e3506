//! Whether an anomaly is really there: each of its claims looked up in the history, one by one.
//!
//! Nothing is searched for or inferred: a cycle's edges must follow from what its transactions read and
//! wrote, and the reasons given must be found where they are said to be. Shares the reading of micro-operations
//! with the engines, and nothing else. Costs O(what the anomaly names, and the lists read of its keys).

use super::weak::validate_weak;
use super::{Refusal, isolation};
use crate::history::NEVER;
use crate::transaction::anomaly::{Anomaly, Evidence, Phenomenon};
use crate::transaction::cycle::Variant;
use crate::transaction::decide::Decision;
use crate::transaction::proof::{Because, Edge, Why};
use crate::transaction::{
    Action, INITIAL, KeyId, Kind, ListRead, MicroOp, NOBODY, Report, Status, Transactions, TxnId, VersionId,
};
use crate::value::{Datum, Value, Values};
use std::collections::BTreeMap;

/// Checks one anomaly of `txns`, whose values live in `values`.
pub fn validate_anomaly(txns: &Transactions, values: &Values, anomaly: &Anomaly) -> Result<(), Refusal> {
    let facts = Facts { txns, values };
    if !anomaly.refuted.is_empty() {
        // An engine's answer has its own validator.
        return Ok(());
    }
    match &anomaly.evidence {
        Evidence::Cycle { edges, .. } => facts.cycle(anomaly, edges),
        Evidence::Direct { txns, key, values, .. } => {
            let claim = || format!("{} is not what transactions {txns:?} show", anomaly.name());
            facts.direct(anomaly.phenomenon, txns, *key, values).ok_or_else(|| Refusal::Wrong(claim()))
        }
        Evidence::Cases { .. } => Ok(()),
    }
}

struct Facts<'a> {
    txns: &'a Transactions,
    values: &'a Values,
}

/// What kinds of edge a cycle has, in its order: `w` for ww, `r` for wr, `m` for rw, `s`, `t`.
fn letters(edges: &[Edge]) -> Vec<char> {
    let letter = |edge: &Edge| match edge.why {
        Why::Overwrote { .. } => 'w',
        Why::Read { .. } => 'r',
        Why::Missed { .. } => 'm',
        Why::Session => 's',
        Why::RealTime => 't',
        Why::Visible { .. } => 'v',
    };
    edges.iter().map(letter).collect()
}

impl Facts<'_> {
    fn cycle(&self, anomaly: &Anomaly, edges: &[Edge]) -> Result<(), Refusal> {
        let wrong = |claim: String| Err(Refusal::Wrong(claim));
        if edges.len() < 2 {
            return wrong(format!("{} with a cycle of {} edges", anomaly.name(), edges.len()));
        }
        for (i, edge) in edges.iter().enumerate() {
            let next = &edges[(i + 1) % edges.len()];
            if edge.to != next.from || edge.from == edge.to {
                return wrong(format!("edge {i} of a cycle does not lead to the next one"));
            }
            if self.edge(edge).is_none() {
                return wrong(format!("the history does not show that {edge:?}"));
            }
        }
        let kinds = letters(edges);
        let count = |letter: char| kinds.iter().filter(|kind| **kind == letter).count();
        let fits_variant = match anomaly.variant {
            Variant::Plain => count('s') + count('t') == 0,
            Variant::Process => count('s') > 0 && count('t') == 0,
            Variant::Realtime => count('t') > 0,
        };
        // Each edge with the one before it.
        let pairs = || (0..kinds.len()).map(|i| (kinds[(i + kinds.len() - 1) % kinds.len()], kinds[i]));
        let in_a_row = pairs().any(|pair| pair == ('m', 'm'));
        let read_only = |edge: &&Edge| !self.ops(edge.from).iter().any(|op| op.action == Action::Write);
        let fits = match anomaly.phenomenon {
            Phenomenon::G0 => count('r') + count('m') == 0 && count('w') > 0,
            Phenomenon::G1c => count('m') == 0 && count('r') > 0,
            Phenomenon::FracturedRead => kinds == ['r', 'm'],
            Phenomenon::NonMonotonicRead => kinds == ['r', 'm'] && self.is_later(&edges[0], &edges[1]),
            Phenomenon::StaleOwnWrite => kinds == ['s', 'm'],
            Phenomenon::NonMonotonicSession if anomaly.variant == Variant::Plain => {
                kinds == ['m', 'r'] && self.is_later(&edges[1], &edges[0])
            }
            Phenomenon::NonMonotonicSession => kinds == ['m', 'r', 's'],
            Phenomenon::CausalityViolation => count('m') == 1 && count('w') == 0,
            Phenomenon::GSingle => count('m') == 1,
            Phenomenon::GPrefix => {
                count('m') > 0
                    && pairs().all(|(before, kind)| kind != 'm' || matches!(before, 'r' | 's' | 't'))
            }
            Phenomenon::GNonadjacent => count('m') > 1 && !in_a_row,
            Phenomenon::GUpdate => count('m') > 0 && edges.iter().filter(read_only).count() < 2,
            Phenomenon::G2Item => count('m') > 1 && in_a_row,
            _ => false,
        };
        if !fits_variant || !fits {
            return wrong(format!("a cycle of {kinds:?} is called {}", anomaly.name()));
        }
        Ok(())
    }

    fn ops(&self, id: TxnId) -> &[MicroOp] {
        self.txns.micro_ops(id)
    }

    /// Whether it committed, or is known to have because somebody saw it.
    fn is_visible(&self, id: TxnId) -> bool {
        match self.txns.txn(id).status {
            Status::Committed => true,
            Status::Aborted => false,
            Status::Unknown => self.ops(id).iter().any(|op| {
                let read = |other: &TxnId| self.sees(*other, op.version);
                op.action == Action::Write && (0..self.txns.len() as TxnId).any(|other| read(&other))
            }),
        }
    }

    fn wrote(&self, id: TxnId, version: VersionId) -> bool {
        self.ops(id).iter().any(|op| op.action == Action::Write && op.version == version)
    }

    /// The lists of that key that the transaction read.
    fn lists(&self, reader: TxnId, key: KeyId) -> impl Iterator<Item = &[Value]> {
        let reads = self.txns.list_reads();
        let first = reads.partition_point(|read| read.txn < reader);
        let own = reads[first..].iter().take_while(move |read| read.txn == reader);
        own.filter(move |read| read.key == key).map(|read| self.list(read.list))
    }

    fn list(&self, list: Value) -> &[Value] {
        match self.values.get(list) {
            Datum::List(members) => members,
            _ => &[],
        }
    }

    /// Whether the transaction read the version; of a list, whether it stood in it.
    fn sees(&self, reader: TxnId, version: VersionId) -> bool {
        if version == INITIAL {
            return false;
        }
        let known = self.txns.version(version);
        match self.txns.kind() {
            Kind::Register => {
                self.ops(reader).iter().any(|op| op.action == Action::Read && op.version == version)
            }
            Kind::ListAppend => self.lists(reader, known.key).any(|list| list.contains(&known.value)),
        }
    }

    fn edge(&self, edge: &Edge) -> Option<()> {
        let (from, to) = (self.txns.txn(edge.from), self.txns.txn(edge.to));
        let holds = match &edge.why {
            Why::Session => {
                from.session == to.session && from.status == Status::Committed && from.invoked < to.invoked
            }
            Why::RealTime => {
                self.txns.has_real_time() && from.returned != NEVER && from.returned < to.invoked
            }
            Why::Read { version } => self.wrote(edge.from, *version) && self.sees(edge.to, *version),
            Why::Overwrote { before, after, because } => {
                self.wrote(edge.from, *before)
                    && self.wrote(edge.to, *after)
                    && self.come_so(*before, *after, because)
            }
            Why::Missed { seen, after, because } => {
                self.wrote(edge.to, *after)
                    && self.read_up_to(edge.from, *seen, *after)
                    && self.come_so(*seen, *after, because)
            }
            Why::Visible { .. } => false,
        };
        (holds && self.is_visible(edge.from) && self.is_visible(edge.to)).then_some(())
    }

    /// Whether the transaction read the version as the latest, the other one not being there.
    fn read_up_to(&self, reader: TxnId, seen: VersionId, missed: VersionId) -> bool {
        let missed = self.txns.version(missed);
        match self.txns.kind() {
            Kind::Register => self
                .ops(reader)
                .iter()
                .any(|op| op.action == Action::Read && op.key == missed.key && op.version == seen),
            Kind::ListAppend => {
                let last = (seen != INITIAL).then(|| self.txns.version(seen).value);
                self.lists(reader, missed.key)
                    .any(|list| list.last().copied() == last && !list.contains(&missed.value))
            }
        }
    }

    /// Whether one version comes before the other for that reason.
    fn come_so(&self, before: VersionId, after: VersionId, because: &Because) -> bool {
        if before == after || after == INITIAL {
            return false;
        }
        let later = self.txns.version(after);
        if before != INITIAL && self.txns.version(before).key != later.key {
            return false;
        }
        let touches = |id: TxnId, version: VersionId| {
            self.ops(id).iter().any(|op| op.version == version && (version != INITIAL || op.key == later.key))
        };
        match because {
            Because::Initial => before == INITIAL,
            Because::List { reader } => {
                before != INITIAL && {
                    let earlier = self.txns.version(before).value;
                    self.lists(*reader, later.key).any(|list| {
                        let place = |value: Value| list.iter().position(|member| *member == value);
                        matches!((place(earlier), place(later.value)), (Some(a), Some(b)) if a < b)
                    })
                }
            }
            // Seen by nobody at all, while the other one was seen.
            Because::Unread { .. } => {
                before != INITIAL && {
                    let earlier = self.txns.version(before).value;
                    let mut lists = self.txns.list_reads().iter().filter(|read| read.key == later.key);
                    let mut is_seen = false;
                    let unseen = lists.all(|read| {
                        is_seen |= self.list(read.list).contains(&earlier);
                        !self.list(read.list).contains(&later.value)
                    });
                    unseen && is_seen
                }
            }
            Because::ReadThenWrote { by } => {
                let of_key = |op: &&MicroOp| op.key == later.key;
                let mut ops = self.ops(*by).iter().filter(of_key);
                ops.next().is_some_and(|op| op.action == Action::Read && op.version == before)
                    && self.wrote(*by, after)
            }
            Because::SequentialKey { first, second } => {
                let (a, b) = (self.txns.txn(*first), self.txns.txn(*second));
                a.session == b.session
                    && a.status == Status::Committed
                    && first < second
                    && touches(*first, before)
                    && touches(*second, after)
            }
            Because::LinearizableKey { first, second } => {
                self.txns.has_real_time()
                    && self.txns.precedes(*first, *second)
                    && touches(*first, before)
                    && touches(*second, after)
            }
            Because::Otherwise { .. } | Because::Through { .. } | Because::Case => false,
        }
    }

    /// Whether the second edge's miss is of a read behind the one that the first edge is about.
    fn is_later(&self, read: &Edge, miss: &Edge) -> bool {
        let (Why::Read { version }, Why::Missed { seen, after, .. }) = (&read.why, &miss.why) else {
            return false;
        };
        let key = self.txns.version(*after).key;
        let ops = self.ops(read.to);
        let first = ops.iter().position(|op| op.action == Action::Read && op.version == *version);
        let last =
            ops.iter().rposition(|op| op.action == Action::Read && op.key == key && op.version == *seen);
        matches!((first, last), (Some(first), Some(last)) if first < last)
    }

    fn direct(&self, phenomenon: Phenomenon, who: &[TxnId], key: KeyId, what: &[Value]) -> Option<()> {
        let version = |value: &Value| self.txns.version_of(key, *value);
        let writer = |value: &Value| version(value).map_or(NOBODY, |version| self.txns.writer(version));
        let sees_value = |reader: TxnId, value: &Value| match self.txns.kind() {
            Kind::ListAppend => self.lists(reader, key).any(|list| list.contains(value)),
            Kind::Register => version(value).is_some_and(|version| self.sees(reader, version)),
        };
        let position = |id: TxnId, action: Action, value: &Value| {
            let version = version(value)?;
            self.ops(id).iter().position(|op| op.action == action && op.version == version)
        };
        let holds = match (phenomenon, who, what) {
            (Phenomenon::GarbageRead, [reader], [value]) => {
                writer(value) == NOBODY && sees_value(*reader, value)
            }
            (Phenomenon::DuplicateElements, [reader], [value]) => {
                self.lists(*reader, key).any(|list| list.iter().filter(|member| *member == value).count() > 1)
            }
            (Phenomenon::G1a, [reader, culprit], [value]) => {
                writer(value) == *culprit
                    && self.txns.txn(*culprit).status == Status::Aborted
                    && sees_value(*reader, value)
            }
            (Phenomenon::G1b, [reader, culprit], [value]) => {
                let of_key = |op: &&MicroOp| op.action == Action::Write && op.key == key;
                let last = self.ops(*culprit).iter().rev().find(of_key);
                reader != culprit
                    && writer(value) == *culprit
                    && last.map(|op| op.version) != version(value)
                    && position(*reader, Action::Read, value).is_some()
            }
            (Phenomenon::DirtyUpdate, [author, culprit, reader], [value, dirty]) => {
                writer(value) == *author
                    && self.txns.txn(*author).status != Status::Aborted
                    && writer(dirty) == *culprit
                    && self.txns.txn(*culprit).status == Status::Aborted
                    && self.lists(*reader, key).any(|list| {
                        let place = |value: &Value| list.iter().position(|member| member == value);
                        matches!((place(dirty), place(value)), (Some(a), Some(b)) if a < b)
                    })
            }
            (Phenomenon::IncompatibleOrder, [first, second], [one, other]) => {
                let (one, other) = (self.list(*one), self.list(*other));
                self.lists(*first, key).any(|list| list == one)
                    && self.lists(*second, key).any(|list| list == other)
                    && !one.starts_with(other)
                    && !other.starts_with(one)
            }
            (Phenomenon::FutureRead, [reader], [value]) => {
                let read = match self.txns.kind() {
                    Kind::Register => position(*reader, Action::Read, value),
                    Kind::ListAppend => {
                        let reads = self.txns.list_reads();
                        let own = &reads[reads.partition_point(|read| read.txn < *reader)..];
                        let of_key =
                            |read: &&ListRead| read.key == key && self.list(read.list).contains(value);
                        let mut own = own.iter().take_while(|read| read.txn == *reader).filter(of_key);
                        own.next().map(|read| read.at as usize)
                    }
                };
                let write = position(*reader, Action::Write, value);
                matches!((read, write), (Some(read), Some(write)) if read < write)
            }
            (Phenomenon::LostOwnWrite | Phenomenon::Internal, [_], [_, _]) => {
                self.again(phenomenon, who[0], key, what)
            }
            (Phenomenon::LostUpdate, [first, second], [value]) => {
                let seen = if value.is_nil() { Some(INITIAL) } else { version(value) };
                let updates = |id: TxnId| {
                    let mut ops = self.ops(id).iter().filter(|op| op.key == key);
                    ops.next().is_some_and(|op| op.action == Action::Read && Some(op.version) == seen)
                        && ops.any(|op| op.action == Action::Write)
                };
                first != second
                    && updates(*first)
                    && updates(*second)
                    && self.is_visible(*first)
                    && self.is_visible(*second)
            }
            (Phenomenon::LostUpdate, [author, other], [seen, between]) => {
                let own = |action: Action| {
                    self.ops(*author).iter().filter(move |op| op.key == key && op.action == action)
                };
                let last = own(Action::Write).next_back().map(|op| self.txns.version(op.version).value);
                let read_first =
                    self.ops(*author).iter().take_while(|op| op.key != key || op.action == Action::Read);
                let mut read_first = read_first.filter(|op| op.key == key);
                let longest = self.txns.longest(key)?;
                let longest = self.list(longest.list);
                let place = |value: &Value| longest.iter().position(|member| member == value);
                let end = last.map_or(0, |last| place(&last).unwrap_or(longest.len()));
                let begin = if seen.is_nil() { Some(0) } else { place(seen).map(|place| place + 1) };
                let saw = if seen.is_nil() { Some(INITIAL) } else { version(seen) };
                author != other
                    && writer(between) == *other
                    && self.is_visible(*author)
                    && self.is_visible(*other)
                    && read_first.any(|op| Some(op.version) == saw)
                    && matches!((begin, place(between)), (Some(begin), Some(at)) if begin <= at && at < end)
            }
            (Phenomenon::CyclicVersions, _, [_, ..]) => (0..what.len()).all(|i| {
                let (Some(before), Some(after)) = (version(&what[i]), version(&what[(i + 1) % what.len()]))
                else {
                    return false;
                };
                let reason = |because: Because| self.come_so(before, after, &because);
                let pair = |first: TxnId, second: TxnId| {
                    reason(Because::SequentialKey { first, second })
                        || reason(Because::LinearizableKey { first, second })
                        // A key that is read as new after somebody had met a version of it.
                        || what.len() == 1 && self.goes_back_to_nothing(first, second, before)
                };
                who.iter().any(|by| reason(Because::ReadThenWrote { by: *by }))
                    || who.windows(2).any(|both| pair(both[0], both[1]))
            }),
            _ => false,
        };
        holds.then_some(())
    }

    /// Whether the second, which comes after the first, read the key as nobody had written it, though the
    /// first had met a version.
    fn goes_back_to_nothing(&self, first: TxnId, second: TxnId, version: VersionId) -> bool {
        let key = self.txns.version(version).key;
        let (a, b) = (self.txns.txn(first), self.txns.txn(second));
        let is_after = a.session == b.session && first < second
            || self.txns.has_real_time() && self.txns.precedes(first, second);
        let read = |op: &MicroOp| op.action == Action::Read && op.key == key && op.version == INITIAL;
        is_after
            && self.ops(first).iter().any(|op| op.version == version)
            && self.ops(second).iter().any(read)
    }

    /// Two values of a key within one transaction, the second of which does not follow from the first.
    fn again(&self, phenomenon: Phenomenon, id: TxnId, key: KeyId, what: &[Value]) -> bool {
        // What it saw or wrote of the key, in its order.
        let mut lists = self.lists(id, key);
        let mut seen: Vec<(Action, Value)> = Vec::new();
        for op in self.ops(id).iter().filter(|op| op.key == key) {
            let value = match (self.txns.kind(), op.action) {
                (Kind::ListAppend, Action::Read) => None,
                _ if op.version == INITIAL => Some(Value::NIL),
                _ => Some(self.txns.version(op.version).value),
            };
            match value {
                Some(value) => seen.push((op.action, value)),
                None => {
                    let list = lists.next().map(<[Value]>::to_vec);
                    let named = |value: &Value| list.as_deref() == Some(self.list(*value));
                    let value =
                        what.iter().copied().find(|value| named(value) && !self.list(*value).is_empty());
                    seen.push((op.action, value.unwrap_or(Value::NIL)));
                }
            }
        }
        let same = |a: Value, b: Value| {
            a == b
                || self.list(a).is_empty() && self.list(b).is_empty() && self.txns.kind() == Kind::ListAppend
        };
        // An append that is in the list all the same was not lost, but what stands there is not what it left.
        let is_there = self.list(what[1]).contains(&what[0]);
        let first = match phenomenon {
            Phenomenon::LostOwnWrite if is_there => return false,
            Phenomenon::LostOwnWrite => Action::Write,
            _ if is_there => Action::Write,
            _ => Action::Read,
        };
        let mut places =
            seen.iter().enumerate().filter(|(_, (action, value))| *action == first && same(*value, what[0]));
        places.any(|(at, _)| {
            seen[at + 1..].iter().any(|(action, value)| *action == Action::Read && same(*value, what[1]))
        })
    }
}

/// Checks everything that a report claims: its anomalies, and what engines decided.
pub fn validate_report(report: &Report, values: &Values) -> Result<(), Refusal> {
    for anomaly in &report.anomalies {
        validate_anomaly(&report.txns, values, anomaly)?;
    }
    if let Some((variant, order)) = &report.serial {
        replay_lists(&report.txns, values, *variant, order).map_err(Refusal::Wrong)?;
    }
    for (_, decision) in &report.decisions {
        match decision {
            Decision::Weak(level, Variant::Plain, answer) => {
                validate_weak(&report.txns.without_sessions(), *level, answer)?;
            }
            Decision::Weak(level, _, answer) => validate_weak(&report.txns, *level, answer)?,
            Decision::Complete(model, order, answer) => {
                isolation::validate(&report.txns, *model, *order, answer)?;
            }
        }
    }
    Ok(())
}

/// Runs the transactions one after the other: each must have read the lists as they stand then. Elements that
/// nobody appended came from outside, at any time; they say nothing.
fn replay_lists(
    txns: &Transactions,
    values: &Values,
    variant: Variant,
    order: &[TxnId],
) -> Result<(), String> {
    let counted = txns.counted();
    let mut has_run = vec![false; txns.len()];
    let mut lists: BTreeMap<KeyId, Vec<Value>> = BTreeMap::new();
    let mut latest_in_session: BTreeMap<u32, TxnId> = BTreeMap::new();
    for id in order {
        if !counted[*id as usize] || std::mem::replace(&mut has_run[*id as usize], true) {
            return Err(format!("transaction {id} is in the order and should not be, or is there twice"));
        }
        let txn = txns.txn(*id);
        let latest = latest_in_session.entry(txn.session).or_insert(*id);
        if variant != Variant::Plain && *latest > *id && txn.status == Status::Committed {
            return Err(format!("transaction {latest} is put before {id}, which its session ran first"));
        }
        *latest = (*latest).max(*id);
        let first = txns.list_reads().partition_point(|read| read.txn < *id);
        let mut reads = txns.list_reads()[first..].iter();
        for op in txns.micro_ops(*id) {
            let list = lists.entry(op.key).or_default();
            match op.action {
                Action::Write => list.push(txns.version(op.version).value),
                Action::Read => {
                    let read = reads.next().expect("one list for each read");
                    let seen = match values.get(read.list) {
                        Datum::List(members) => members,
                        _ => &[],
                    };
                    // Only what the history's own transactions appended is in the replayed list.
                    let is_own = |element: &&Value| {
                        let version = txns.version_of(op.key, **element);
                        version.is_some_and(|version| txns.writer(version) != NOBODY)
                    };
                    if seen != &list[..] && !seen.iter().filter(is_own).eq(list.iter()) {
                        return Err(format!("transaction {id} read something else than the order says"));
                    }
                }
            }
        }
    }
    if let Some(missing) = (0..txns.len()).find(|id| counted[*id] && !has_run[*id]) {
        return Err(format!("transaction {missing} is missing from the order"));
    }
    if variant == Variant::Realtime && txns.has_real_time() {
        // Whoever comes later must not have completed before this one began.
        let mut earliest_return = NEVER;
        for id in order.iter().rev() {
            let txn = txns.txn(*id);
            if earliest_return < txn.invoked {
                return Err(format!("transaction {id} is put before one that had completed when it began"));
            }
            earliest_return = earliest_return.min(txn.returned);
        }
    }
    Ok(())
}
