//! The definitions and no more: every schedule is tried.

use super::super::{Model, Order};
use crate::transaction::{Action, INITIAL, NOBODY, Status, Transactions, TxnId};
use std::collections::BTreeSet;

/// Whether some schedule explains the history.
pub(super) fn holds(txns: &Transactions, model: Model, order: Order) -> bool {
    Oracle::new(txns, model, order).has_schedule()
}

struct Oracle {
    model: Model,
    /// Of each transaction that counts: key and version read from others; key and version left behind; who
    /// must have committed before it starts.
    reads: Vec<Vec<(u32, u32)>>,
    writes: Vec<Vec<(u32, u32)>>,
    after: Vec<Vec<usize>>,
    keys: usize,
}

/// A moment of a schedule: who has started, who has committed, what each key holds.
type State = (Vec<bool>, Vec<bool>, Vec<u32>);

impl Oracle {
    fn new(txns: &Transactions, model: Model, order: Order) -> Oracle {
        let counted = txns.counted();
        let ids: Vec<TxnId> = (0..txns.len() as TxnId).filter(|id| counted[*id as usize]).collect();
        let must_precede = |a: TxnId, b: TxnId| {
            let (first, second) = (txns.txn(a), txns.txn(b));
            let session = first.status == Status::Committed && first.session == second.session && a < b;
            match order {
                Order::Free => false,
                Order::RealTime if txns.has_real_time() => txns.precedes(a, b),
                Order::Session | Order::RealTime => session,
            }
        };
        let mut oracle =
            Oracle { model, reads: vec![], writes: vec![], after: vec![], keys: txns.keys().len() };
        for &id in &ids {
            let ops = txns.micro_ops(id);
            let mut reads = Vec::new();
            let mut writes = Vec::new();
            for (at, op) in ops.iter().enumerate() {
                let is_first = ops[..at].iter().all(|earlier| earlier.key != op.key);
                let is_last =
                    ops[at + 1..].iter().all(|later| later.key != op.key || later.action == Action::Read);
                if op.action == Action::Write && is_last {
                    writes.push((op.key, op.version));
                }
                let counts = op.version == INITIAL || {
                    let version = txns.version(op.version);
                    let writer = version.writer;
                    writer != NOBODY && counted[writer as usize] && !version.is_intermediate && writer != id
                };
                if op.action == Action::Read && is_first && counts {
                    reads.push((op.key, op.version));
                }
            }
            oracle.reads.push(reads);
            oracle.writes.push(writes);
            let after =
                ids.iter().enumerate().filter(|(_, other)| must_precede(**other, id)).map(|(at, _)| at);
            oracle.after.push(after.collect());
        }
        oracle
    }

    fn has_schedule(&self) -> bool {
        let n = self.reads.len();
        let first = (vec![false; n], vec![false; n], vec![INITIAL; self.keys]);
        let mut met: BTreeSet<State> = BTreeSet::from([first.clone()]);
        let mut open = vec![first];
        while let Some(state) = open.pop() {
            if state.1.iter().all(|committed| *committed) {
                return true;
            }
            for txn in 0..n {
                for next in [self.start(&state, txn), self.commit(&state, txn)].into_iter().flatten() {
                    if met.insert(next.clone()) {
                        open.push(next);
                    }
                }
            }
        }
        false
    }

    fn start(&self, (started, committed, latest): &State, txn: usize) -> Option<State> {
        let sees = |&(key, version): &(u32, u32)| latest[key as usize] == version;
        let is_open = |other: usize| started[other] && !committed[other];
        let writes_key_of = |other: usize| {
            self.writes[other].iter().any(|(key, _)| self.writes[txn].iter().any(|(own, _)| own == key))
        };
        let conflicts = match self.model {
            Model::Serializable => (0..self.reads.len()).any(is_open),
            Model::SnapshotIsolation => {
                (0..self.reads.len()).any(|other| is_open(other) && writes_key_of(other))
            }
            Model::Prefix => false,
        };
        let may = !started[txn]
            && self.after[txn].iter().all(|&other| committed[other])
            && self.reads[txn].iter().all(sees)
            && !conflicts;
        let mut started = started.clone();
        started[txn] = true;
        may.then(|| (started, committed.clone(), latest.clone()))
    }

    fn commit(&self, (started, committed, latest): &State, txn: usize) -> Option<State> {
        if !started[txn] || committed[txn] {
            return None;
        }
        let (mut committed, mut latest) = (committed.clone(), latest.clone());
        committed[txn] = true;
        self.writes[txn].iter().for_each(|&(key, version)| latest[key as usize] = version);
        Some((started.clone(), committed, latest))
    }
}
