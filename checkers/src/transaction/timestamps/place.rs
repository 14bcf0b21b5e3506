//! Places for transactions that have no timestamps, and were seen all the same: nobody knows what they read, so
//! each needs one moment alone.
//!
//! The schedule is walked from its end to its beginning. At each gap it is known which version of each key the
//! next reader behind it must find there. A transaction is put into the last gap before all who saw it, in
//! which each key that it wrote is either to be found as it left it, or of no account; for snapshot isolation,
//! nobody may have the key open for writing either. That is as late as it can be, so that it comes after all
//! that it must come after, if it can. Only where several of them wrote one key the search is not complete.

use super::Stamped;
use crate::transaction::complete::Model;
use crate::transaction::{Action, INITIAL, KeyId, Kind, MicroOp, NOBODY, Transactions, TxnId, VersionId};

/// How often a transaction is looked at, on average, before the search is given up.
const LOOKS_MAX: usize = 64;

/// The schedule with the `homeless` in it, none of which committed for all that is known; or one of them that
/// does not fit.
pub(super) fn place(
    txns: &Transactions,
    model: Model,
    schedule: &[Stamped],
    homeless: &[TxnId],
) -> Result<Vec<Stamped>, TxnId> {
    let mut bounds = bounds(txns, schedule, homeless)?;
    bounds.sort_unstable();
    let keys = txns.keys().len();
    let mut walk = Walk {
        txns,
        model,
        listed_at: listed_at(txns),
        required: vec![None; keys],
        open: vec![0; keys],
        touched: Vec::new(),
        waiting: vec![Vec::new(); keys],
        looks_left: LOOKS_MAX * homeless.len(),
        placed: Vec::new(),
    };
    for (gap, moment) in schedule.iter().enumerate().rev() {
        if moment.is_commit {
            walk.uncommit(moment.txn);
        } else {
            walk.unstart(moment.txn);
        }
        // Who takes effect at one moment has nobody between its reads and its writes.
        if moment.is_commit && model == Model::Serializable {
            continue;
        }
        while let Some((_, txn)) = bounds.pop_if(|(bound, _)| *bound as usize >= gap) {
            walk.look(txn, gap)?;
        }
        while let Some(key) = walk.touched.pop() {
            for txn in std::mem::take(&mut walk.waiting[key as usize]) {
                walk.look(txn, gap)?;
            }
        }
    }
    if let Some(txn) = walk.waiting.iter().flatten().next() {
        return Err(*txn);
    }
    // The last placed comes first.
    let mut merged = Vec::with_capacity(schedule.len() + 2 * walk.placed.len());
    for (at, moment) in schedule.iter().enumerate() {
        while let Some((_, txn)) = walk.placed.pop_if(|(gap, _)| *gap == at) {
            merged.extend([Stamped { txn, is_commit: false }, Stamped { txn, is_commit: true }]);
        }
        merged.push(*moment);
    }
    Ok(merged)
}

/// Of each, the place of the first start that saw it: it comes before that.
fn bounds(txns: &Transactions, schedule: &[Stamped], homeless: &[TxnId]) -> Result<Vec<(u32, TxnId)>, TxnId> {
    // By version the first to see it as the last one of its key.
    let mut seen_at = vec![u32::MAX; txns.versions().len()];
    for (at, moment) in (0..).zip(schedule).filter(|(_, moment)| !moment.is_commit) {
        for op in txns.micro_ops(moment.txn) {
            if op.action == Action::Read && op.version != INITIAL {
                let seen_at = &mut seen_at[op.version as usize];
                *seen_at = (*seen_at).min(at);
            }
        }
    }
    // Who sees an element of a list sees all before it.
    for key in 0..txns.keys().len() as KeyId {
        let mut least = u32::MAX;
        for version in txns.listed(key).iter().rev() {
            least = least.min(seen_at[*version as usize]);
            seen_at[*version as usize] = least;
        }
    }
    let bound = |txn: &TxnId| {
        let writes = txns.micro_ops(*txn).iter().filter(|op| op.action == Action::Write);
        let bound = writes.map(|op| seen_at[op.version as usize]).min().unwrap_or(u32::MAX);
        // Seen in a list alone that contradicts the others.
        if bound == u32::MAX { Err(*txn) } else { Ok((bound, *txn)) }
    };
    homeless.iter().map(bound).collect()
}

/// Place of each version in the longest list of its key.
fn listed_at(txns: &Transactions) -> Vec<u32> {
    let mut listed_at = vec![u32::MAX; txns.versions().len()];
    for key in 0..txns.keys().len() as KeyId {
        for (at, version) in (0..).zip(txns.listed(key)) {
            listed_at[*version as usize] = at;
        }
    }
    listed_at
}

struct Walk<'t> {
    txns: &'t Transactions,
    model: Model,
    listed_at: Vec<u32>,
    /// By key: the version that the next reader behind must find; none if there is no such reader.
    required: Vec<Option<VersionId>>,
    /// By key: how many have it open for writing.
    open: Vec<u32>,
    /// Keys that may be free now.
    touched: Vec<KeyId>,
    /// By key: who waits for it.
    waiting: Vec<Vec<TxnId>>,
    looks_left: usize,
    /// Gaps, the last one first, and who was put there.
    placed: Vec<(usize, TxnId)>,
}

impl<'t> Walk<'t> {
    /// What a transaction leaves behind.
    fn writes(&self, txn: TxnId) -> impl Iterator<Item = &'t MicroOp> + use<'t> {
        let txns = self.txns;
        let is_last = |op: &&MicroOp| op.action == Action::Write && !txns.version(op.version).is_intermediate;
        txns.micro_ops(txn).iter().filter(is_last)
    }

    fn uncommit(&mut self, txn: TxnId) {
        for op in self.writes(txn) {
            if self.model == Model::SnapshotIsolation {
                self.open[op.key as usize] += 1;
            }
            self.undo(op);
        }
    }

    fn undo(&mut self, op: &MicroOp) {
        if self.required[op.key as usize] != Some(op.version) {
            return;
        }
        self.required[op.key as usize] = match self.txns.kind() {
            Kind::Register => None,
            Kind::ListAppend => Some(self.before(op)),
        };
        self.touched.push(op.key);
    }

    /// The last element of a list before a transaction appended to it.
    fn before(&self, op: &MicroOp) -> VersionId {
        let listed = self.txns.listed(op.key);
        let writer = self.txns.writer(op.version);
        let end = listed.len().min(self.listed_at[op.version as usize] as usize);
        let other = listed[..end].iter().rev().find(|version| self.txns.writer(**version) != writer);
        other.copied().unwrap_or(INITIAL)
    }

    fn unstart(&mut self, txn: TxnId) {
        if self.model == Model::SnapshotIsolation {
            for op in self.writes(txn) {
                self.open[op.key as usize] -= 1;
                self.touched.push(op.key);
            }
        }
        // Backwards, so that of several uses of a key the first one counts.
        for op in self.txns.micro_ops(txn).iter().rev().filter(|op| op.action == Action::Read) {
            let is_list = self.txns.kind() == Kind::ListAppend;
            match self.txns.writer(op.version) {
                NOBODY if op.version != INITIAL => {}
                writer if writer == txn && is_list => {
                    self.required[op.key as usize] = Some(self.before(op));
                }
                writer if writer == txn => {}
                _ => self.required[op.key as usize] = Some(op.version),
            }
        }
    }

    /// Puts a transaction there if it fits, or has it wait for the key that hinders it.
    fn look(&mut self, txn: TxnId, gap: usize) -> Result<(), TxnId> {
        self.looks_left = self.looks_left.checked_sub(1).ok_or(txn)?;
        let hinders = |op: &&MicroOp| {
            let required = self.required[op.key as usize];
            self.open[op.key as usize] > 0 || required.is_some_and(|required| required != op.version)
        };
        if let Some(op) = self.writes(txn).find(hinders) {
            self.waiting[op.key as usize].push(txn);
            return Ok(());
        }
        self.placed.push((gap, txn));
        for op in self.writes(txn) {
            self.undo(op);
        }
        Ok(())
    }
}
