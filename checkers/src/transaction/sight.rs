//! What a transaction, or a session, saw of another and what it missed, where the versions of a key come in a
//! known order: fractured and non-monotonic reads, own writes missed, reads that go back.
//!
//! Each of these is a cycle of a special form, so only transactions on cycles are looked at.

use super::anomaly::{Anomaly, Evidence, Phenomenon};
use super::cycle::Variant;
use super::direct::Collector;
use super::list_append::Orders;
use super::proof::{Edge, Why};
use super::{Action, INITIAL, KeyId, NOBODY, Status, Transactions, TxnId, VersionId};
use crate::value::FastBuild;
use hashbrown::HashMap;
use std::collections::BTreeMap;

fn anomaly(phenomenon: Phenomenon, variant: Variant, edges: Vec<Edge>) -> Anomaly {
    Anomaly {
        phenomenon,
        variant,
        also: None,
        refuted: Vec::new(),
        evidence: Evidence::Cycle { edges, is_shortest: true },
    }
}

fn missed(orders: &Orders<'_>, from: TxnId, to: TxnId, seen: VersionId, after: VersionId) -> Edge {
    Edge { from, to, why: Why::Missed { seen, after, because: orders.because(seen, after) } }
}

/// Fractured and non-monotonic reads of `suspects`. For each the writes of those whom it read, once:
/// O(reads + writes of those).
pub(super) fn fractured(
    txns: &Transactions,
    orders: &Orders<'_>,
    counted: &[bool],
    suspects: &[TxnId],
    found: &mut Collector,
) {
    for reader in suspects.iter().copied() {
        // Where it read which version of a key, and from whom it read first.
        let mut reads: BTreeMap<KeyId, Vec<(usize, VersionId)>> = BTreeMap::new();
        let mut sources: BTreeMap<TxnId, (usize, VersionId)> = BTreeMap::new();
        for (at, op) in txns.micro_ops(reader).iter().enumerate() {
            if op.action != Action::Read {
                continue;
            }
            reads.entry(op.key).or_default().push((at, op.version));
            let writer = txns.writer(op.version);
            if op.version != INITIAL && writer != NOBODY && writer != reader && counted[writer as usize] {
                sources.entry(writer).or_insert((at, op.version));
            }
        }
        for (writer, (first_at, version)) in sources {
            let mut is_fractured = false;
            let mut is_non_monotonic = false;
            for op in txns.micro_ops(writer).iter().filter(|op| op.action == Action::Write) {
                if txns.version(op.version).is_intermediate {
                    continue;
                }
                for (at, seen) in reads.get(&op.key).map_or(&[][..], Vec::as_slice) {
                    let is_own = txns.writer(*seen) == reader;
                    if is_own || !orders.precedes(*seen, op.version) {
                        continue;
                    }
                    let edges = || {
                        let read = Edge { from: writer, to: reader, why: Why::Read { version } };
                        vec![read, missed(orders, reader, writer, *seen, op.version)]
                    };
                    if !std::mem::replace(&mut is_fractured, true) {
                        let kind = Phenomenon::FracturedRead;
                        found.add(kind, Variant::Plain, || anomaly(kind, Variant::Plain, edges()));
                    }
                    if *at > first_at && !std::mem::replace(&mut is_non_monotonic, true) {
                        let kind = Phenomenon::NonMonotonicRead;
                        found.add(kind, Variant::Plain, || anomaly(kind, Variant::Plain, edges()));
                    }
                }
            }
        }
    }
}

/// The latest that a session wrote of a key, or was shown by what it read.
#[derive(Clone, Copy, Debug)]
struct Latest {
    /// Who wrote it, or read from its writer.
    txn: TxnId,
    version: VersionId,
    /// The version that was read, of whatever key.
    by: VersionId,
}

/// Sessions that missed their own writes, or went back behind what they had read: whoever read from a
/// transaction has seen all that it wrote. O(n · w) for w writes a transaction.
pub(super) fn sessions(txns: &Transactions, orders: &Orders<'_>, counted: &[bool], found: &mut Collector) {
    let mut written: HashMap<(u32, KeyId), Latest, FastBuild> = HashMap::default();
    let mut read: HashMap<(u32, KeyId), Latest, FastBuild> = HashMap::default();
    // Who wrote the key last: its own later reads see that first of all.
    let mut has_written = vec![NOBODY; txns.keys().len()];
    for id in (0..txns.len() as TxnId).filter(|id| counted[*id as usize]) {
        let txn = txns.txn(id);
        if txn.status != Status::Committed {
            continue;
        }
        for op in txns.micro_ops(id) {
            let place = (txn.session, op.key);
            if op.action == Action::Write {
                has_written[op.key as usize] = id;
                continue;
            }
            if has_written[op.key as usize] == id {
                continue;
            }
            if let Some(own) = written.get(&place)
                && own.txn != id
                && orders.precedes(op.version, own.version)
            {
                let kind = Phenomenon::StaleOwnWrite;
                found.add(kind, Variant::Process, || {
                    let session = Edge { from: own.txn, to: id, why: Why::Session };
                    let edges = vec![session, missed(orders, id, own.txn, op.version, own.version)];
                    anomaly(kind, Variant::Process, edges)
                });
            }
            if let Some(earlier) = read.get(&place)
                && orders.precedes(op.version, earlier.version)
                && txns.writer(earlier.version) != id
            {
                let kind = Phenomenon::NonMonotonicSession;
                let variant = if earlier.txn == id { Variant::Plain } else { Variant::Process };
                let (earlier, writer) = (*earlier, txns.writer(earlier.version));
                found.add(kind, variant, || {
                    let read = Why::Read { version: earlier.by };
                    let mut edges = vec![
                        missed(orders, id, writer, op.version, earlier.version),
                        Edge { from: writer, to: earlier.txn, why: read },
                    ];
                    if earlier.txn != id {
                        edges.push(Edge { from: earlier.txn, to: id, why: Why::Session });
                    }
                    anomaly(kind, variant, edges)
                });
            }
            // Whoever was read was seen whole.
            let writer = txns.writer(op.version);
            if op.version == INITIAL || writer == NOBODY || writer == id || !counted[writer as usize] {
                continue;
            }
            for write in txns.micro_ops(writer).iter().filter(|op| op.action == Action::Write) {
                let seen = Latest { txn: id, version: write.version, by: op.version };
                let known = read.entry((txn.session, write.key)).or_insert(seen);
                if orders.precedes(known.version, write.version) {
                    *known = seen;
                }
            }
        }
        for op in txns.micro_ops(id).iter().filter(|op| op.action == Action::Write) {
            let latest = Latest { txn: id, version: op.version, by: op.version };
            let known = written.entry((txn.session, op.key)).or_insert(latest);
            if orders.precedes(known.version, op.version) {
                *known = latest;
            }
        }
    }
}
