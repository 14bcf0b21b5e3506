//! Lists as the timestamps have them grow: a read must show exactly what had been appended, in that order, and
//! then what its own transaction appended.
//!
//! The lists of all keys stand in one column, each with room for all that will be appended to it, so that a
//! read is one comparison of two runs of values.

use super::{Difference, Flaw, Flaws};
use crate::transaction::list_append::members;
use crate::transaction::{Action, KeyId, MicroOp, NOBODY, Status, Transactions, TxnId};
use crate::value::{Value, Values};
use std::ops::Range;

/// No place.
const NONE: u32 = u32::MAX;

pub(super) struct Lists<'t> {
    txns: &'t Transactions,
    values: &'t Values,
    is_placed: &'t [bool],
    /// All that is committed, key by key: from `from[key]` on `len[key]` elements.
    elements: Vec<Value>,
    from: Vec<u32>,
    len: Vec<u32>,
    /// By key: a list that showed just what was committed, and how much that was.
    right: Vec<(Value, u32)>,
    /// By key.
    own: Vec<Own>,
    /// Appends of the transaction at hand, each with the place of its next one to the same key.
    appended: Vec<(Value, u32)>,
    /// By transaction, where its reads begin among those of all.
    reads_from: Vec<u32>,
}

/// What a transaction has done with a key so far. Of another transaction it says nothing.
#[derive(Clone, Copy, Debug)]
struct Own {
    txn: TxnId,
    /// The list that it read last.
    read: Option<Value>,
    /// Its first and its latest append since then, and how many there are.
    first: u32,
    latest: u32,
    count: u32,
}

impl Own {
    fn new(txn: TxnId) -> Own {
        Own { txn, read: None, first: NONE, latest: NONE, count: 0 }
    }
}

impl<'t> Lists<'t> {
    pub(super) fn new(txns: &'t Transactions, values: &'t Values, is_placed: &'t [bool]) -> Lists<'t> {
        let keys = txns.keys().len();
        let mut from = vec![0; keys + 1];
        for version in txns.versions() {
            if version.writer != NOBODY && is_placed[version.writer as usize] {
                from[version.key as usize + 1] += 1;
            }
        }
        (0..keys).for_each(|key| from[key + 1] += from[key]);
        let mut reads_from = vec![0; txns.len() + 1];
        txns.list_reads().iter().for_each(|read| reads_from[read.txn as usize + 1] += 1);
        (0..txns.len()).for_each(|txn| reads_from[txn + 1] += reads_from[txn]);
        Lists {
            txns,
            values,
            is_placed,
            elements: vec![Value::NIL; from[keys] as usize],
            from,
            len: vec![0; keys],
            right: vec![(Value::NIL, 0); keys],
            own: vec![Own::new(NOBODY); keys],
            appended: Vec::new(),
            reads_from,
        }
    }

    /// Commits an append.
    pub(super) fn append(&mut self, op: &MicroOp) {
        let len = &mut self.len[op.key as usize];
        self.elements[(self.from[op.key as usize] + *len) as usize] = self.txns.version(op.version).value;
        *len += 1;
    }

    /// Compares what the transaction read.
    pub(super) fn read(&mut self, reader: TxnId, flaws: &mut Flaws) {
        self.appended.clear();
        let mut reads = self.reads_from[reader as usize] as usize;
        for (at, op) in (0..).zip(self.txns.micro_ops(reader)) {
            let own = &mut self.own[op.key as usize];
            if own.txn != reader {
                *own = Own::new(reader);
            }
            let own = *own;
            if op.action == Action::Write {
                self.append_own(op, own);
                continue;
            }
            let list = self.txns.list_reads()[reads].list;
            reads += 1;
            if let Some(flaw) = self.flaw(reader, at, op.key, own, list) {
                flaws.add(flaw);
            }
            self.own[op.key as usize] = Own { read: Some(list), ..Own::new(reader) };
        }
    }

    fn append_own(&mut self, op: &MicroOp, own: Own) {
        let at = self.appended.len() as u32;
        self.appended.push((self.txns.version(op.version).value, NONE));
        if own.count > 0 {
            self.appended[own.latest as usize].1 = at;
        }
        let first = if own.count > 0 { own.first } else { at };
        self.own[op.key as usize] = Own { first, latest: at, count: own.count + 1, ..own };
    }

    fn committed(&self, key: KeyId) -> Range<usize> {
        let from = self.from[key as usize] as usize;
        from..from + self.len[key as usize] as usize
    }

    fn flaw(&mut self, reader: TxnId, at: u32, key: KeyId, own: Own, list: Value) -> Option<Flaw> {
        let committed = self.committed(key);
        let is_first = own.read.is_none() && own.count == 0;
        let is_again = own.read == Some(list) && own.count == 0;
        // Lists are interned: the same one need not be compared twice.
        if is_again || is_first && self.right[key as usize] == (list, committed.len() as u32) {
            return None;
        }
        let seen = members(self.values, list);
        let base = match own.read {
            Some(read) => members(self.values, read),
            None => &self.elements[committed.clone()],
        };
        let is_right = seen.len() == base.len() + own.count as usize
            && seen.starts_with(base)
            && self.appends(own).eq(seen[base.len()..].iter().copied());
        if is_right {
            if is_first {
                self.right[key as usize] = (list, committed.len() as u32);
            }
            return None;
        }
        // Elements of transactions that have no place may stand anywhere.
        let has_place = |element: &Value| match self.writer(key, *element) {
            NOBODY => true,
            writer => self.is_placed[writer as usize] || self.txns.txn(writer).status == Status::Aborted,
        };
        let mut shown = seen.iter().copied().filter(has_place);
        let mut due = base.iter().copied().filter(has_place).chain(self.appends(own));
        let (seen, expected) = loop {
            match (shown.next(), due.next()) {
                (None, None) => return None,
                (seen, expected) if seen != expected => break (seen, expected),
                _ => {}
            }
        };
        let is_own =
            |element: Option<Value>| element.map(|element| self.writer(key, element)) == Some(reader);
        let difference = Difference { reader, at, key, seen, expected };
        let is_internal = own.read.is_some() || is_own(expected) && (seen.is_none() || is_own(seen));
        Some(if is_internal { Flaw::Internal(difference) } else { Flaw::External(difference) })
    }

    /// What the transaction at hand appended since it last read the list.
    fn appends(&self, own: Own) -> impl Iterator<Item = Value> {
        let mut next = own.first;
        std::iter::from_fn(move || {
            let (value, following) = *self.appended.get(next as usize)?;
            next = following;
            Some(value)
        })
    }

    fn writer(&self, key: KeyId, element: Value) -> TxnId {
        self.txns.version_of(key, element).map_or(NOBODY, |version| self.txns.writer(version))
    }
}
