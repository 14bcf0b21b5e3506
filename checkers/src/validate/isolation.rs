//! Re-checks what [`crate::transaction::complete`] hands over. Shares no code with the engine: only what a
//! transaction is, and the words of proofs.
//!
//! A certificate is replayed: registers, snapshots, and the demanded order, in O(n log n). Of a refutation
//! each edge must follow from the history or be a case, each lemma must close, and each learned clause must
//! follow from what came before by unit propagation, ending in a contradiction. See
//! [`crate::transaction::complete::Refutation`] for what these say.
//!
//! Reads that are wrong by themselves (from nobody, from an aborted transaction, of an intermediate version or
//! of the reader's own) are left out of account by the engine, and so they are here: others find them.

mod certificate;
mod propagation;
mod refutation;

use super::Refusal;
use crate::transaction::complete::{Answer, Model, Order};
use crate::transaction::{Action, INITIAL, KeyId, NOBODY, Status, Transactions, TxnId, VersionId};
use std::collections::BTreeMap;

/// Checks the proof of an answer. Unknown claims nothing.
pub fn validate(txns: &Transactions, model: Model, order: Order, answer: &Answer) -> Result<(), Refusal> {
    let facts = Facts::new(txns, model, order);
    match answer {
        Answer::Holds(certificate) => Ok(certificate::replay(&facts, certificate)?),
        Answer::Violated(refutation) => Ok(refutation::check(&facts, refutation)?),
        Answer::Unknown(_) => Ok(()),
    }
}

/// What the history says by itself.
struct Facts<'t> {
    txns: &'t Transactions,
    model: Model,
    order: Order,
    counted: Vec<bool>,
    /// By transaction and key: the version that counts as the read of it.
    reads: Vec<BTreeMap<KeyId, VersionId>>,
    /// The same of the version that it leaves behind.
    writes: Vec<BTreeMap<KeyId, VersionId>>,
}

impl<'t> Facts<'t> {
    fn new(txns: &'t Transactions, model: Model, order: Order) -> Facts<'t> {
        let order = match order {
            Order::RealTime if !txns.has_real_time() => Order::Session,
            order => order,
        };
        let counted = txns.counted();
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for id in 0..txns.len() as TxnId {
            let mut read: BTreeMap<KeyId, Option<VersionId>> = BTreeMap::new();
            let mut written: BTreeMap<KeyId, VersionId> = BTreeMap::new();
            for op in txns.micro_ops(id) {
                match op.action {
                    Action::Write => {
                        written.insert(op.key, op.version);
                        read.entry(op.key).or_insert(None);
                    }
                    Action::Read => {
                        let may_count = op.version == INITIAL || {
                            let version = txns.version(op.version);
                            let (writer, key) = (version.writer, version.key);
                            writer != NOBODY
                                && writer != id
                                && counted[writer as usize]
                                && !version.is_intermediate
                                && key == op.key
                        };
                        read.entry(op.key).or_insert(may_count.then_some(op.version));
                    }
                }
            }
            reads.push(read.into_iter().filter_map(|(key, version)| Some((key, version?))).collect());
            writes.push(written);
        }
        Facts { txns, model, order, counted, reads, writes }
    }

    /// Whether the order that is asked for has `first` commit before `second` starts because one session ran
    /// both.
    fn by_session(&self, first: TxnId, second: TxnId) -> bool {
        let (a, b) = (self.txns.txn(first), self.txns.txn(second));
        self.order != Order::Free && a.status == Status::Committed && a.session == b.session && first < second
    }

    /// The same because the one completed before the other was invoked.
    fn by_real_time(&self, first: TxnId, second: TxnId) -> bool {
        self.order == Order::RealTime && self.txns.precedes(first, second)
    }

    fn is_counted(&self, txn: TxnId) -> bool {
        self.counted.get(txn as usize).copied().unwrap_or(false)
    }

    /// What a transaction reads of a key, if that counts.
    fn read(&self, txn: TxnId, key: KeyId) -> Option<VersionId> {
        self.reads[txn as usize].get(&key).copied()
    }

    /// What a transaction leaves behind of a key.
    fn written(&self, txn: TxnId, key: KeyId) -> Option<VersionId> {
        self.writes[txn as usize].get(&key).copied()
    }

    fn have_common_key(&self, a: TxnId, b: TxnId) -> bool {
        let (a, b) = (&self.writes[a as usize], &self.writes[b as usize]);
        let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
        few.keys().any(|key| many.contains_key(key))
    }
}
