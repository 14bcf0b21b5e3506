//! The database that the timestamps describe, run from its first moment to its last.

use super::lists::Lists;
use super::{Difference, Flaw, Flaws, Question, Stamped};
use crate::transaction::complete::Model;
use crate::transaction::{Action, INITIAL, Kind, MicroOp, NOBODY, Status, Transactions, TxnId, VersionId};
use crate::value::{Value, Values};

pub(super) struct Pass<'t> {
    txns: &'t Transactions,
    question: Question,
    /// By transaction: whether it has a place in the schedule.
    is_placed: &'t [bool],
    /// By key: the last version committed.
    latest: Vec<VersionId>,
    /// By key: when that was, in the numbering of moments.
    committed_at: Vec<u32>,
    /// By transaction: when it started, in the same.
    started_at: Vec<u32>,
    /// By key: who used it last, and the version that it must see if it reads the register again.
    own: Vec<(TxnId, VersionId)>,
    lists: Option<Lists<'t>>,
}

impl<'t> Pass<'t> {
    pub(super) fn new(
        txns: &'t Transactions,
        values: &'t Values,
        question: Question,
        is_placed: &'t [bool],
    ) -> Pass<'t> {
        let keys = txns.keys().len();
        Pass {
            txns,
            question,
            is_placed,
            latest: vec![INITIAL; keys],
            committed_at: vec![0; keys],
            started_at: vec![0; txns.len()],
            own: vec![(NOBODY, INITIAL); keys],
            lists: (txns.kind() == Kind::ListAppend).then(|| Lists::new(txns, values, is_placed)),
        }
    }

    pub(super) fn run(&mut self, schedule: &[Stamped], flaws: &mut Flaws) {
        for (at, moment) in (1..).zip(schedule) {
            if moment.is_commit {
                self.commit(moment.txn, at, flaws);
                continue;
            }
            self.started_at[moment.txn as usize] = at;
            match &mut self.lists {
                Some(lists) => lists.read(moment.txn, flaws),
                None => self.read(moment.txn, flaws),
            }
        }
    }

    /// What the transaction reads of registers.
    fn read(&mut self, reader: TxnId, flaws: &mut Flaws) {
        for (at, op) in (0..).zip(self.txns.micro_ops(reader)) {
            let (user, own) = self.own[op.key as usize];
            if op.action == Action::Read && user == reader {
                if own != op.version {
                    flaws.add(Flaw::Internal(self.difference(reader, at, op, own)));
                }
            } else if op.action == Action::Read {
                let expected = self.latest[op.key as usize];
                if op.version != expected && self.is_known(op.version) {
                    flaws.add(Flaw::External(self.difference(reader, at, op, expected)));
                }
            }
            self.own[op.key as usize] = (reader, op.version);
        }
    }

    fn difference(&self, reader: TxnId, at: u32, op: &MicroOp, expected: VersionId) -> Difference {
        let value = |version: VersionId| -> Option<Value> {
            (version != INITIAL).then(|| self.txns.version(version).value)
        };
        Difference { reader, at, key: op.key, seen: value(op.version), expected: value(expected) }
    }

    /// Whether it is known when others may see a version, if ever.
    fn is_known(&self, version: VersionId) -> bool {
        match self.txns.writer(version) {
            _ if version == INITIAL => true,
            NOBODY => self.question.forbid_unwritten,
            writer => {
                self.is_placed[writer as usize]
                    || self.txns.version(version).is_intermediate
                    || self.txns.txn(writer).status == Status::Aborted
            }
        }
    }

    fn commit(&mut self, txn: TxnId, at: u32, flaws: &mut Flaws) {
        for op in self.txns.micro_ops(txn).iter().filter(|op| op.action == Action::Write) {
            if let Some(lists) = &mut self.lists {
                lists.append(op);
            }
            if self.txns.version(op.version).is_intermediate {
                continue;
            }
            let key = op.key as usize;
            if self.question.model == Model::SnapshotIsolation
                && self.committed_at[key] > self.started_at[txn as usize]
            {
                let first = self.txns.writer(self.latest[key]);
                flaws.add(Flaw::Conflict { first, second: txn, key: op.key });
            }
            (self.latest[key], self.committed_at[key]) = (op.version, at);
        }
    }
}
