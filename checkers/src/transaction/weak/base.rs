//! A history as the engines see it: who counts, in which session, what each read of others and wrote.
//!
//! Nodes are numbered session after session, in session order, so that a session is a range of nodes, `so`
//! is the order of numbers within it, and "the transactions of a session up to here" is one number. A *slot*
//! is a key as one transaction wrote it; each key has one more, for its initial state.
//!
//! A transaction of unknown outcome may have taken effect at any later time, so what its session did next
//! does not come after it: unless it was its session's last, it gets a session of its own.

use crate::transaction::{Action, INITIAL, KeyId, NOBODY, Status, Transactions, TxnId, VersionId};
use std::ops::Range;

/// Number of a transaction that counts.
pub(super) type Node = u32;

/// No node: in [`Read::writer`], the implicit transaction that wrote every key first.
pub(super) const NO_NODE: Node = u32::MAX;

/// A read of what another transaction wrote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) key: KeyId,
    /// [`NO_NODE`] if the key was in its initial state.
    pub(super) writer: Node,
    pub(super) slot: u32,
    pub(super) version: VersionId,
}

/// The transactions that count, with `so` and `wr`.
pub(super) struct Base {
    txns: Vec<TxnId>,
    /// By transaction; [`NO_NODE`] if it does not count.
    nodes: Vec<Node>,
    session_of: Vec<u32>,
    session_starts: Vec<Node>,
    reads: Vec<Read>,
    read_starts: Vec<u32>,
    written: Vec<KeyId>,
    write_starts: Vec<u32>,
    keys: usize,
    has_real_time: bool,
}

impl Base {
    pub(super) fn of(txns: &Transactions) -> Base {
        let mut base = Base::sessions_of(txns);
        let slots = base.read_writes(txns);
        base.read_reads(txns, &slots);
        base
    }

    /// Numbers the nodes.
    fn sessions_of(txns: &Transactions) -> Base {
        let mut counts = txns.counted();
        for id in 0..txns.len() as TxnId {
            for op in txns.micro_ops(id).iter().filter(|op| op.action == Action::Read) {
                let writer = txns.writer(op.version);
                if writer != NOBODY {
                    counts[writer as usize] = true;
                }
            }
        }
        let counting = || txns.txns().iter().enumerate().filter(|(id, _)| counts[*id]);
        // First how many transactions of each session count, then where its next one goes.
        let mut places = vec![0; txns.session_count() as usize];
        // From the last to the first: those of unknown outcome after which their session went on.
        let mut alone = vec![];
        for (id, txn) in counting().rev() {
            let place = &mut places[txn.session as usize];
            if txn.status == Status::Unknown && *place > 0 {
                alone.push(id);
            } else {
                *place += 1;
            }
        }
        let (mut sessions, mut session_starts, mut total) = (vec![0; places.len()], vec![], 0);
        for (place, session) in places.iter_mut().zip(&mut sessions) {
            if *place > 0 {
                *session = session_starts.len() as u32;
                session_starts.push(total);
            }
            total += std::mem::replace(place, total);
        }
        for _ in &alone {
            session_starts.push(total);
            total += 1;
        }
        session_starts.push(total);
        let mut base = Base {
            txns: vec![0; total as usize],
            nodes: vec![NO_NODE; txns.len()],
            session_of: vec![0; total as usize],
            session_starts,
            reads: Vec::with_capacity(txns.micro_op_count()),
            read_starts: Vec::with_capacity(total as usize + 1),
            written: Vec::with_capacity(txns.versions().len()),
            write_starts: Vec::with_capacity(total as usize + 1),
            keys: txns.keys().len(),
            has_real_time: txns.has_real_time(),
        };
        for (id, txn) in counting() {
            let (node, session);
            if alone.last() == Some(&id) {
                alone.pop();
                // The last sessions, in any order: the places from the end are those still to be given.
                node = total - 1 - alone.len() as Node;
                session = base.sessions() as u32 - 1 - alone.len() as u32;
            } else {
                let place = &mut places[txn.session as usize];
                (node, session) = (*place, sessions[txn.session as usize]);
                *place += 1;
            }
            base.txns[node as usize] = id as TxnId;
            base.nodes[id] = node;
            base.session_of[node as usize] = session;
        }
        base
    }

    /// Lists the keys that each node wrote. Returns the slot of each version.
    fn read_writes(&mut self, txns: &Transactions) -> Vec<u32> {
        let mut slot_of_version = vec![0; txns.versions().len()];
        let mut slot_of_key = vec![0; self.keys];
        for &txn in &self.txns {
            let first = self.written.len();
            self.write_starts.push(first as u32);
            let writes = || txns.micro_ops(txn).iter().filter(|op| op.action == Action::Write);
            self.written.extend(writes().map(|op| op.key));
            if self.written.len() - first > 1 {
                self.written[first..].sort_unstable();
                let mut kept = first;
                for at in first..self.written.len() {
                    if at == first || self.written[at] != self.written[at - 1] {
                        self.written[kept] = self.written[at];
                        kept += 1;
                    }
                }
                self.written.truncate(kept);
            }
            for (at, key) in self.written[first..].iter().enumerate() {
                slot_of_key[*key as usize] = (first + at) as u32;
            }
            for op in writes() {
                slot_of_version[op.version as usize] = slot_of_key[op.key as usize];
            }
        }
        self.write_starts.push(self.written.len() as u32);
        slot_of_version
    }

    /// Lists what each node read of others.
    fn read_reads(&mut self, txns: &Transactions, slot_of_version: &[u32]) {
        let mut own = vec![NO_NODE; self.keys];
        for (node, &txn) in self.txns.iter().enumerate() {
            self.read_starts.push(self.reads.len() as u32);
            for op in txns.micro_ops(txn) {
                let own = &mut own[op.key as usize];
                if op.action == Action::Write {
                    *own = node as Node;
                }
                if *own == node as Node {
                    continue;
                }
                let (key, version) = (op.key, op.version);
                let (writer, slot) = if version == INITIAL {
                    (NO_NODE, self.written.len() as u32 + key)
                } else {
                    match txns.writer(version) {
                        NOBODY => continue,
                        writer => (self.nodes[writer as usize], slot_of_version[version as usize]),
                    }
                };
                if writer != node as Node {
                    self.reads.push(Read { key, writer, slot, version });
                }
            }
        }
        self.read_starts.push(self.reads.len() as u32);
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.txns.len()
    }

    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    /// Number of slots: initial states come last, in the order of keys.
    pub(super) fn slots(&self) -> usize {
        self.written.len() + self.keys
    }

    /// The key of a slot, and whether it is the key's initial state.
    pub(super) fn key_of_slot(&self, slot: u32) -> (KeyId, bool) {
        match self.written.get(slot as usize) {
            Some(key) => (*key, false),
            None => (slot - self.written.len() as u32, true),
        }
    }

    /// Number of sessions that have nodes.
    pub(super) fn sessions(&self) -> usize {
        self.session_starts.len() - 1
    }

    pub(super) fn txn(&self, node: Node) -> TxnId {
        self.txns[node as usize]
    }

    pub(super) fn session_of(&self, node: Node) -> u32 {
        self.session_of[node as usize]
    }

    /// The nodes of a session, in order.
    pub(super) fn session(&self, session: u32) -> Range<Node> {
        self.session_starts[session as usize]..self.session_starts[session as usize + 1]
    }

    /// The nodes of several sessions.
    pub(super) fn nodes_of(&self, sessions: Range<usize>) -> Range<Node> {
        self.session_starts[sessions.start]..self.session_starts[sessions.end]
    }

    /// The node before this one in its session.
    pub(super) fn before(&self, node: Node) -> Option<Node> {
        (node > self.session_starts[self.session_of[node as usize] as usize]).then(|| node - 1)
    }

    /// True if `first` comes before `second` in one session.
    pub(super) fn in_session(&self, first: Node, second: Node) -> bool {
        first < second && self.session_of[first as usize] == self.session_of[second as usize]
    }

    /// What the node read of others, in its order.
    pub(super) fn reads(&self, node: Node) -> &[Read] {
        let node = node as usize;
        &self.reads[self.read_starts[node] as usize..self.read_starts[node + 1] as usize]
    }

    /// What all nodes of a session read of others, in order.
    pub(super) fn reads_of_session(&self, session: u32) -> &[Read] {
        let nodes = self.session(session);
        let start = self.read_starts[nodes.start as usize];
        &self.reads[start as usize..self.read_starts[nodes.end as usize] as usize]
    }

    pub(super) fn all_reads(&self) -> &[Read] {
        &self.reads
    }

    /// The keys that the node wrote, sorted.
    pub(super) fn writes(&self, node: Node) -> &[KeyId] {
        let node = node as usize;
        &self.written[self.write_starts[node] as usize..self.write_starts[node + 1] as usize]
    }

    pub(super) fn has_written(&self, node: Node, key: KeyId) -> bool {
        self.writes(node).binary_search(&key).is_ok()
    }

    /// All nodes, in the order in which they are best looked at: near to the one in which they happened,
    /// or, where the history does not tell, all sessions side by side.
    pub(super) fn as_it_happened(&self) -> Vec<Node> {
        if self.has_real_time {
            return self.nodes.iter().copied().filter(|node| *node != NO_NODE).collect();
        }
        let mut order = Vec::with_capacity(self.len());
        let mut going: Vec<Range<Node>> = (0..self.sessions() as u32).map(|s| self.session(s)).collect();
        while !going.is_empty() {
            going.retain_mut(|session| {
                order.extend(session.next());
                session.start < session.end
            });
        }
        order
    }

    pub(super) fn heap_bytes(&self) -> usize {
        (self.txns.capacity() + self.nodes.capacity() + self.session_of.capacity()) * 4
            + (self.read_starts.capacity() + self.write_starts.capacity() + self.written.capacity()) * 4
            + self.reads.capacity() * size_of::<Read>()
    }
}
