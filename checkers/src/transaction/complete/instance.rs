//! The question as numbers: transactions, who wrote which version, who read it first.
//!
//! Only what the decision rests on is kept. Of a transaction's reads that is the *external* one of each key:
//! the first, if it comes before the transaction's own first write of the key. What else is wrong with reads
//! is found without search, by others; here the following are left out of account:
//!
//! - a read of what nobody in the history wrote, or of what a transaction wrote that is not included
//!   (aborted, or unknown and never seen);
//! - a read of an intermediate version;
//! - a read of the reader's own version before it was written;
//! - later reads of a key, whatever they saw.

use super::rows::Rows;
use super::{Model, Order};
use crate::transaction::{Action, INITIAL, Kind, Status, Transactions, TxnId, VersionId};

/// Stands for no transaction, version or node.
pub(super) const NONE: u32 = u32::MAX;

/// A transaction's last write of a key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Write {
    pub(super) key: u32,
    pub(super) version: u32,
    /// The version of the key that the writer read before, or [`NONE`].
    pub(super) seen: u32,
}

/// A version that others may read: a last write, or what a key holds before the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub(super) key: u32,
    /// [`NONE`] of an initial version.
    pub(super) writer: u32,
    /// As the history numbers it.
    pub(super) id: VersionId,
}

/// A set of transactions, numbered from 0 in the order of their rows, and what relates them.
pub(super) struct Instance {
    pub(super) model: Model,
    /// Free, or what of the order is asked for and can be had.
    pub(super) order: Order,
    /// The row of each transaction, ascending.
    pub(super) txns: Vec<TxnId>,
    /// By transaction, sorted by key.
    pub(super) writes: Rows<Write>,
    /// By transaction: versions.
    pub(super) reads: Rows<u32>,
    pub(super) versions: Vec<Version>,
    /// By version: transactions.
    pub(super) readers: Rows<u32>,
    /// By key: versions, without the initial one.
    pub(super) versions_of: Rows<u32>,
    /// By key: its initial version if somebody read it, else [`NONE`].
    pub(super) initial: Vec<u32>,
    /// By version, of lists: the one that the longest list of its key shows before it; the last of the list, if
    /// nobody saw this one. [`NONE`] if nothing says what comes before it; empty for registers.
    pub(super) listed_before: Vec<u32>,
    /// By transaction, if sessions are drawn: the last one before it in its session that is known to
    /// have ended. One of which nobody knows may take effect later than what its process did next.
    pub(super) session_before: Vec<u32>,
    /// By transaction: whether `order` does not bind it, but only what [`Leeway`] leaves. Empty if it binds all.
    pub(super) is_loose: Vec<bool>,
}

/// Transactions that the order of an instance does not bind, and what binds them instead.
#[derive(Clone, Debug)]
pub(super) struct Leeway {
    /// Their rows.
    pub(super) loose: Vec<TxnId>,
    /// The weaker order.
    pub(super) order: Order,
}

impl Instance {
    /// Number of transactions.
    pub(super) fn len(&self) -> usize {
        self.txns.len()
    }

    /// What `txn` last wrote to `key`, if it did.
    pub(super) fn write_of(&self, txn: u32, key: u32) -> Option<Write> {
        let writes = self.writes.of(txn);
        writes.binary_search_by_key(&key, |write| write.key).ok().map(|at| writes[at])
    }

    /// The keys that both wrote, with the write of each.
    pub(super) fn common_writes(&self, a: u32, b: u32) -> impl Iterator<Item = (Write, Write)> {
        let (few, many) = if self.writes.of(a).len() <= self.writes.of(b).len() { (a, b) } else { (b, a) };
        self.writes.of(few).iter().filter_map(move |&write| {
            let other = self.write_of(many, write.key)?;
            Some(if few == a { (write, other) } else { (other, write) })
        })
    }

    /// Bytes that an instance of `txns` transactions and `micro_ops` micro-operations holds, about.
    pub(super) fn bytes(txns: usize, micro_ops: usize) -> usize {
        txns * 32 + micro_ops * 56
    }
}

/// Makes instances of one history: any set of its transactions, in time linear in what those did.
pub(super) struct Maker<'t> {
    txns: &'t Transactions,
    /// By the history's number; cleared after each use.
    key_at: Vec<u32>,
    version_at: Vec<u32>,
    latest_of_session: Vec<u32>,
}

impl<'t> Maker<'t> {
    pub(super) fn new(txns: &'t Transactions) -> Maker<'t> {
        Maker {
            txns,
            key_at: vec![NONE; txns.keys().len()],
            version_at: vec![NONE; txns.versions().len()],
            latest_of_session: vec![NONE; txns.session_count() as usize],
        }
    }

    /// The instance of the transactions in `included`, whose rows ascend.
    pub(super) fn make(&mut self, included: Vec<TxnId>, model: Model, order: Order) -> Instance {
        self.make_with(included, model, order, &Leeway { loose: Vec::new(), order })
    }

    /// The same in which `order` does not bind everybody.
    pub(super) fn make_with(
        &mut self,
        included: Vec<TxnId>,
        model: Model,
        order: Order,
        leeway: &Leeway,
    ) -> Instance {
        let order =
            if order == Order::RealTime && !self.txns.has_real_time() { Order::Session } else { order };
        let mut writes: Vec<(u32, Write)> = Vec::new();
        let mut versions: Vec<Version> = Vec::new();
        let mut keys = 0;
        for (txn, &row) in included.iter().enumerate() {
            for op in self.txns.micro_ops(row) {
                let key = &mut self.key_at[op.key as usize];
                if *key == NONE {
                    (*key, keys) = (keys, keys + 1);
                }
                if op.action == Action::Write && !self.txns.version(op.version).is_intermediate {
                    let version = versions.len() as u32;
                    self.version_at[op.version as usize] = version;
                    versions.push(Version { key: *key, writer: txn as u32, id: op.version });
                    writes.push((txn as u32, Write { key: *key, version, seen: NONE }));
                }
            }
        }
        let versions_of = Rows::group(
            keys as usize,
            &(0..versions.len() as u32).collect::<Vec<_>>(),
            |&v| versions[v as usize].key,
            |&v| v,
        );
        let mut writes = Rows::group(included.len(), &writes, |entry| entry.0, |entry| entry.1);
        let mut initial = vec![NONE; keys as usize];
        let reads = self.external_reads(&included, &mut versions, &mut initial, &mut writes);
        let readers = Rows::group(versions.len(), &reads, |read| read.1, |read| read.0);
        let reads = Rows::group(included.len(), &reads, |read| read.0, |read| read.1);
        let mut is_loose = vec![false; if leeway.loose.is_empty() { 0 } else { included.len() }];
        for row in &leeway.loose {
            let txn = included.binary_search(row).expect("who is let loose is included");
            is_loose[txn] = true;
        }
        let session_before = match (order, leeway.order) {
            // Real time binds the others; those that it does not bind need their sessions drawn.
            (Order::RealTime, Order::Session) if !is_loose.is_empty() => self.session_before(&included, &[]),
            (Order::Session, Order::Session) => self.session_before(&included, &[]),
            (Order::Session, _) => self.session_before(&included, &is_loose),
            _ => Vec::new(),
        };
        let listed_before = match self.txns.kind() {
            Kind::ListAppend => self.listed_before(&included, &versions, &versions_of),
            Kind::Register => Vec::new(),
        };
        for &row in &included {
            for op in self.txns.micro_ops(row) {
                self.key_at[op.key as usize] = NONE;
                if op.version != INITIAL {
                    self.version_at[op.version as usize] = NONE;
                }
            }
        }
        Instance {
            model,
            order,
            txns: included,
            writes,
            reads,
            versions,
            readers,
            versions_of,
            initial,
            listed_before,
            session_before,
            is_loose,
        }
    }

    /// What the lists say of the order of versions.
    fn listed_before(&self, included: &[TxnId], versions: &[Version], versions_of: &Rows<u32>) -> Vec<u32> {
        let mut before = vec![NONE; versions.len()];
        let mut is_listed = vec![false; versions.len()];
        let mut is_done = vec![false; versions_of.len()];
        for op in included.iter().flat_map(|&row| self.txns.micro_ops(row)) {
            let key = self.key_at[op.key as usize];
            if std::mem::replace(&mut is_done[key as usize], true) {
                continue;
            }
            let mut last = NONE;
            for &listed in self.txns.listed(op.key) {
                let version = self.version_at[listed as usize];
                if version != NONE && !std::mem::replace(&mut is_listed[version as usize], true) {
                    before[version as usize] = std::mem::replace(&mut last, version);
                }
            }
            for &version in versions_of.of(key).iter().filter(|version| !is_listed[**version as usize]) {
                before[version as usize] = last;
            }
        }
        before
    }

    /// Who read which version, with the initial versions that were read added to `versions`. Sorts the
    /// writes of each transaction, and notes in them what their writers had read.
    fn external_reads(
        &self,
        included: &[TxnId],
        versions: &mut Vec<Version>,
        initial: &mut [u32],
        writes: &mut Rows<Write>,
    ) -> Vec<(u32, u32)> {
        let mut reads = Vec::new();
        // By key: who last read or wrote it, and the version that counts as its read.
        let mut latest = vec![(NONE, NONE); initial.len()];
        for (txn, &row) in included.iter().enumerate() {
            let txn = txn as u32;
            for op in self.txns.micro_ops(row) {
                let key = self.key_at[op.key as usize];
                if latest[key as usize].0 == txn {
                    continue;
                }
                latest[key as usize] = (txn, NONE);
                if op.action == Action::Write {
                    continue;
                }
                let version = if op.version == INITIAL {
                    if initial[key as usize] == NONE {
                        initial[key as usize] = versions.len() as u32;
                        versions.push(Version { key, writer: NONE, id: INITIAL });
                    }
                    initial[key as usize]
                } else {
                    self.version_at[op.version as usize]
                };
                if version != NONE && versions[version as usize].writer != txn {
                    latest[key as usize].1 = version;
                    reads.push((txn, version));
                }
            }
            let own = writes.of_mut(txn);
            own.sort_unstable_by_key(|write| write.key);
            for write in own {
                write.seen = latest[write.key as usize].1;
            }
        }
        reads
    }

    fn session_before(&mut self, included: &[TxnId], is_loose: &[bool]) -> Vec<u32> {
        let mut before = Vec::with_capacity(included.len());
        for (txn, &row) in included.iter().enumerate() {
            if is_loose.get(txn) == Some(&true) {
                before.push(NONE);
                continue;
            }
            let latest = &mut self.latest_of_session[self.txns.txn(row).session as usize];
            before.push(*latest);
            if self.txns.txn(row).status == Status::Committed {
                *latest = txn as u32;
            }
        }
        for &row in included {
            self.latest_of_session[self.txns.txn(row).session as usize] = NONE;
        }
        before
    }
}
