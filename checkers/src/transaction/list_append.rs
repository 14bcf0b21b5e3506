//! Lists: their versions come in the order in which a reader saw them (Kingsbury & Alvaro 2020, §4).
//!
//! The longest list read of a key is its order of versions, and every other list must begin it. What was
//! appended and never seen comes after all that was, in an order that nobody knows. To most levels it does
//! not matter: any topological order of the rest will do for it. But who writes a key must not overlap
//! another who does, under snapshot isolation: there two such appends to one key have to be put in an
//! order, and [`Orders::is_open`] says that there are some. A key whose lists contradict each other, or show an
//! element twice, has no order; of that only who read whom is used.

use super::graph::{Builder, Kind};
use super::proof::Because;
use super::{Action, INITIAL, KeyId, NOBODY, Transactions, TxnId, VersionId};
use crate::value::{Datum, Value, Values};

/// A version that no list shows.
const UNSEEN: u32 = u32::MAX;

/// The order of every key's versions.
pub(super) struct Orders<'t> {
    txns: &'t Transactions,
    /// Place of each version in its key's order, from 0.
    place: Vec<u32>,
    /// Keys whose reads do not agree on an order.
    is_broken: Vec<bool>,
    /// A distinct list that does not begin the longest one, and who read it.
    pub(super) misfits: Vec<(KeyId, Value, TxnId)>,
    /// An element that a list shows twice: its key, the element, and a reader.
    pub(super) repeats: Vec<(KeyId, Value, TxnId)>,
}

impl<'t> Orders<'t> {
    /// Compares all lists that were read, in O(members of distinct lists).
    pub(super) fn new(txns: &'t Transactions, values: &Values) -> Orders<'t> {
        let keys = txns.keys().len();
        let mut orders = Orders {
            txns,
            place: vec![UNSEEN; txns.versions().len()],
            is_broken: vec![false; keys],
            misfits: Vec::new(),
            repeats: Vec::new(),
        };
        for key in 0..keys as KeyId {
            for (i, version) in txns.listed(key).iter().enumerate() {
                let place = &mut orders.place[*version as usize];
                if *place == UNSEEN {
                    *place = i as u32;
                } else {
                    let reader = txns.longest(key).expect("a key with listed versions has a list").reader;
                    orders.repeats.push((key, txns.version(*version).value, reader));
                    orders.is_broken[key as usize] = true;
                }
            }
        }
        // Lists are interned: a list that was seen many times is compared once, where it comes in a row.
        let longest = |key| txns.longest(key).map_or(Value::NIL, |longest| longest.list);
        let mut fits: Vec<(Value, Value, &[Value])> =
            (0..keys as KeyId).map(|key| (Value::NIL, longest(key), members(values, longest(key)))).collect();
        for read in txns.list_reads() {
            let (fit, longest, elements) = &mut fits[read.key as usize];
            if read.list == *fit || read.list == *longest {
                continue;
            }
            if elements.starts_with(members(values, read.list)) {
                *fit = read.list;
            } else {
                orders.misfit(values, read.key, read.list, read.txn);
            }
        }
        orders
    }

    fn misfit(&mut self, values: &Values, key: KeyId, list: Value, reader: TxnId) {
        self.is_broken[key as usize] = true;
        if self.misfits.iter().rev().take(64).any(|known| (known.0, known.1) == (key, list)) {
            return;
        }
        self.misfits.push((key, list, reader));
        let mut sorted = members(values, list).to_vec();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            self.repeats.push((key, pair[0], reader));
        }
    }

    /// Place of a version in its key's order, if the key has one and the version is in it.
    pub(super) fn place(&self, version: VersionId) -> Option<u32> {
        let place = self.place[version as usize];
        (place != UNSEEN && !self.is_broken[self.txns.version(version).key as usize]).then_some(place)
    }

    /// How many versions precede the next one after that which was read; `None` if the key has no order.
    pub(super) fn seen(&self, key: KeyId, version: VersionId) -> Option<u32> {
        if self.is_broken[key as usize] {
            None
        } else if version == INITIAL {
            Some(0)
        } else {
            self.place(version).map(|place| place + 1)
        }
    }

    /// True if both are of one key and the first comes before the second.
    pub(super) fn precedes(&self, before: VersionId, after: VersionId) -> bool {
        let key = self.txns.version(after).key;
        if self.is_broken[key as usize] || before == after {
            return false;
        }
        if before == INITIAL {
            return true;
        }
        match (self.place(before), self.place(after)) {
            (Some(before), Some(after)) => before < after,
            (Some(_), None) => true,
            _ => false,
        }
    }

    /// Draws what the orders say: who overwrote whom, who read whom, and who missed whom. Returns who missed a version
    /// and then wrote the key behind it.
    pub(super) fn draw(&self, counted: &[bool], graph: &mut Builder) -> Vec<Overwritten> {
        let txns = self.txns;
        let writer = |version: VersionId| {
            let writer = txns.writer(version);
            (writer != NOBODY && counted[writer as usize]).then_some(writer)
        };
        let nearest = Nearest::new(txns, |version| writer(version).is_some());
        let unseen = self.unseen(counted);
        let mut tail_readers: Vec<Vec<TxnId>> = vec![Vec::new(); txns.keys().len()];
        for key in 0..txns.keys().len() as KeyId {
            if self.is_broken[key as usize] {
                continue;
            }
            let mut previous = None;
            for version in txns.listed(key) {
                let Some(txn) = writer(*version) else { continue };
                if let Some(previous) = previous {
                    graph.edge(previous, txn, Kind::Ww, *version);
                }
                previous = Some(txn);
            }
            if let Some(previous) = previous {
                for (txn, version) in unseen.of(key) {
                    graph.edge(previous, *txn, Kind::Ww, *version);
                }
            }
        }
        let mut overwritten: Vec<Overwritten> = Vec::new();
        // By key: what the last transaction that wrote it does with it.
        let mut own: Vec<Update> = vec![Update::default(); txns.keys().len()];
        for id in (0..txns.len() as TxnId).filter(|id| counted[*id as usize]) {
            for op in txns.micro_ops(id).iter().filter(|op| op.action == Action::Write) {
                own[op.key as usize] = Update { txn: id, last: op.version, ..Update::default() };
            }
            for op in txns.micro_ops(id) {
                let update = &mut own[op.key as usize];
                if op.action == Action::Write {
                    overwritten.extend(update.take().filter(|over| self.precedes(over.missed, over.own)));
                    continue;
                }
                let Some(seen) = self.seen(op.key, op.version) else {
                    // The key has no order.
                    if let Some(txn) = writer(op.version) {
                        graph.edge(txn, id, Kind::Wr, op.version);
                    }
                    continue;
                };
                // Elements whose writers do not count hide neither those before them nor those after them.
                if let Some(version) = nearest.before(op.key, seen) {
                    graph.edge(txns.writer(version), id, Kind::Wr, version);
                }
                let missed = nearest.after(op.key, seen);
                if update.txn == id {
                    update.read(seen, op.version, missed.filter(|missed| txns.writer(*missed) != id));
                }
                match missed {
                    Some(version) => graph.edge(id, txns.writer(version), Kind::Rw, version),
                    None if !unseen.of(op.key).is_empty() => {
                        let readers = &mut tail_readers[op.key as usize];
                        if readers.last() != Some(&id) {
                            readers.push(id);
                        }
                    }
                    None => {}
                }
            }
        }
        for (key, readers) in tail_readers.iter().enumerate() {
            if !readers.is_empty() {
                graph.fan(readers, unseen.of(key as KeyId), Kind::Rw);
            }
        }
        overwritten
    }

    /// Draws an order of what nobody saw: `rank` says which transaction comes first.
    pub(super) fn draw_unseen(&self, counted: &[bool], rank: impl Fn(TxnId) -> u32, graph: &mut Builder) {
        let unseen = self.unseen(counted);
        for key in 0..self.txns.keys().len() as KeyId {
            let mut order = unseen.of(key).to_vec();
            order.sort_by_key(|(txn, _)| rank(*txn));
            for pair in order.windows(2) {
                graph.edge(pair[0].0, pair[1].0, Kind::Ww, pair[1].1);
            }
        }
    }

    /// True if a key was appended to by several transactions none of which anybody saw.
    pub(super) fn is_open(&self, counted: &[bool]) -> bool {
        let unseen = self.unseen(counted);
        unseen.from.windows(2).any(|ends| ends[1] - ends[0] > 1)
    }

    /// Why one version comes before another of its key.
    pub(super) fn because(&self, before: VersionId, after: VersionId) -> Because {
        let key = self.txns.version(after).key;
        let Some(longest) = self.txns.longest(key) else {
            return Because::Initial;
        };
        match self.place(after) {
            Some(_) if before == INITIAL => Because::Initial,
            Some(_) => Because::List { reader: longest.reader },
            None if before == INITIAL => Because::Initial,
            None => Because::Unread { reader: longest.reader },
        }
    }

    /// The version before `after`, in its key's order, whose writer is `writer`.
    pub(super) fn previous_by(&self, after: VersionId, writer: TxnId) -> Option<VersionId> {
        let key = self.txns.version(after).key;
        let listed = self.txns.listed(key);
        let end = self.place(after).map_or(listed.len(), |place| place as usize);
        listed[..end].iter().rev().copied().find(|version| self.txns.writer(*version) == writer)
    }

    /// Versions of committed writers that no list shows, by key; of each writer the last.
    fn unseen(&self, counted: &[bool]) -> Unseen {
        let mut found = Vec::new();
        for (id, version) in self.txns.versions().iter().enumerate() {
            if self.place[id] == UNSEEN
                && version.writer != NOBODY
                && counted[version.writer as usize]
                && !version.is_intermediate
                && !self.is_broken[version.key as usize]
            {
                found.push((version.key, (version.writer, id as VersionId)));
            }
        }
        found.sort_unstable();
        let mut from = vec![0u32; self.txns.keys().len() + 1];
        for (key, _) in &found {
            from[*key as usize + 1] += 1;
        }
        for i in 1..from.len() {
            from[i] += from[i - 1];
        }
        Unseen { from, versions: found.into_iter().map(|entry| entry.1).collect() }
    }
}

/// A transaction that read a key, missed a version of it, and then wrote the key behind that one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overwritten {
    pub(super) txn: TxnId,
    /// What it had read.
    pub(super) seen: VersionId,
    /// The first version after that.
    pub(super) missed: VersionId,
    /// Its own last one.
    pub(super) own: VersionId,
}

/// What a transaction does with a key that it writes.
#[derive(Clone, Copy, Debug)]
struct Update {
    txn: TxnId,
    /// Its last version.
    last: VersionId,
    /// The most that it has read of it: how many versions, the last of them, and the first that it missed.
    read: Option<(u32, VersionId, Option<VersionId>)>,
    has_written: bool,
}

impl Default for Update {
    fn default() -> Update {
        Update { txn: NOBODY, last: INITIAL, read: None, has_written: false }
    }
}

impl Update {
    fn read(&mut self, seen: u32, version: VersionId, missed: Option<VersionId>) {
        if !self.has_written && self.read.is_none_or(|(most, _, _)| seen > most) {
            self.read = Some((seen, version, missed));
        }
    }

    /// What it missed when it comes to write the key.
    fn take(&mut self) -> Option<Overwritten> {
        self.has_written = true;
        let (_, seen, missed) = self.read.take()?;
        Some(Overwritten { txn: self.txn, seen, missed: missed?, own: self.last })
    }
}

/// By place in the order of a key: the nearest version whose writer counts, on either side.
struct Nearest<'t> {
    txns: &'t Transactions,
    /// By row of `listed`: at or before it, and at or after it.
    rows: Vec<[VersionId; 2]>,
}

impl<'t> Nearest<'t> {
    fn new(txns: &'t Transactions, has_writer: impl Fn(VersionId) -> bool) -> Nearest<'t> {
        let mut rows: Vec<[VersionId; 2]> = txns.listed.iter().map(|version| [*version; 2]).collect();
        for ends in txns.listed_from.windows(2) {
            let rows = &mut rows[ends[0] as usize..ends[1] as usize];
            let mut near = INITIAL;
            for [before, _] in rows.iter_mut() {
                near = if has_writer(*before) { *before } else { near };
                *before = near;
            }
            near = INITIAL;
            for [_, after] in rows.iter_mut().rev() {
                near = if has_writer(*after) { *after } else { near };
                *after = near;
            }
        }
        Nearest { txns, rows }
    }

    /// The last such version among the first `seen` of the key.
    fn before(&self, key: KeyId, seen: u32) -> Option<VersionId> {
        let row = (self.txns.listed_from[key as usize] + seen).checked_sub(1)?;
        let [before, _] = self.rows[row as usize];
        (seen > 0 && before != INITIAL).then_some(before)
    }

    /// The first such version that is not among the first `seen` of the key.
    fn after(&self, key: KeyId, seen: u32) -> Option<VersionId> {
        let row = self.txns.listed_from[key as usize] + seen;
        let end = self.txns.listed_from[key as usize + 1];
        let after = if row < end { self.rows[row as usize][1] } else { INITIAL };
        (after != INITIAL).then_some(after)
    }
}

struct Unseen {
    from: Vec<u32>,
    versions: Vec<(TxnId, VersionId)>,
}

impl Unseen {
    fn of(&self, key: KeyId) -> &[(TxnId, VersionId)] {
        &self.versions[self.from[key as usize] as usize..self.from[key as usize + 1] as usize]
    }
}

/// The members of a list; nil has none.
pub(super) fn members(values: &Values, list: Value) -> &[Value] {
    match values.get(list) {
        Datum::List(members) => members,
        _ => &[],
    }
}
