//! Registers: the order of their versions is inferred, as far as it can be.
//!
//! A read tells whose write it saw, never what came before. What is known of the order of a key's versions
//! (Kingsbury & Alvaro 2020, §5; Elle's options of the same names):
//!
//! - The initial version comes first.
//! - *Writes follow reads*: who read `a` and then wrote `b` put `b` after `a`. Otherwise it would have
//!   read from its own future, which read committed forbids already.
//! - *Sequential keys*, if asked for: a session meets the versions of a key in their order.
//! - *Linearizable keys*, if asked for: so does real time.
//!
//! Elle stops here. What only several keys tell together is left to the engines of [`super::weak`] and
//! [`super::complete`], which are given no order at all and decide whether there is any.

use super::graph::{Builder, Kind, Mask};
use super::proof::Because;
use super::{Action, INITIAL, KeyId, NOBODY, Status, Transactions, TxnId, Version, VersionId};
use crate::history::NEVER;
use crate::value::FastBuild;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// What to take for granted about each key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyAssumptions {
    /// Each key by itself is sequentially consistent.
    pub sequential: bool,
    /// Each key by itself is linearizable.
    pub linearizable: bool,
}

/// One version comes before another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    /// The earlier; may be [`INITIAL`].
    pub(super) before: VersionId,
    /// The later; [`INITIAL`] only if that is a contradiction.
    pub(super) after: VersionId,
    pub(super) because: Because,
}

/// What is known of the order of every key's versions.
pub(super) struct Orders<'t> {
    txns: &'t Transactions,
    /// By key, then as they were found.
    pub(super) facts: Vec<Fact>,
}

/// What one transaction did with one key, seen from outside.
#[derive(Clone, Copy, Debug)]
struct Access {
    txn: TxnId,
    key: KeyId,
    /// What it read before it wrote the key itself.
    read: Option<VersionId>,
    /// What it wrote last.
    written: Option<VersionId>,
}

impl Access {
    fn first(&self) -> VersionId {
        self.read.or(self.written).expect("an access reads or writes")
    }

    fn last(&self) -> VersionId {
        self.written.or(self.read).expect("an access reads or writes")
    }
}

impl<'t> Orders<'t> {
    /// Infers what can be. O(n), and with linearizable keys O(n · c) for c sessions at work at once.
    pub(super) fn new(txns: &'t Transactions, counted: &[bool], assume: KeyAssumptions) -> Orders<'t> {
        let accesses = accesses(txns, counted);
        let mut facts = Vec::new();
        for access in &accesses {
            if let (Some(before), Some(after)) = (access.read, access.written)
                && before != INITIAL
                && before != after
            {
                facts.push(Fact { before, after, because: Because::ReadThenWrote { by: access.txn } });
            }
        }
        if assume.sequential {
            sequential(txns, &accesses, &mut facts);
        }
        if assume.linearizable && txns.has_real_time() {
            linearizable(txns, &accesses, &mut facts);
        }
        // The initial version comes before all; to say so of those that nothing else is known to precede is
        // enough.
        let mut has_earlier = vec![false; txns.versions().len()];
        for fact in facts.iter().filter(|fact| fact.after != INITIAL) {
            has_earlier[fact.after as usize] = true;
        }
        for (id, version) in txns.versions().iter().enumerate() {
            if !has_earlier[id] && version.writer != NOBODY && counted[version.writer as usize] {
                facts.push(Fact { before: INITIAL, after: id as VersionId, because: Because::Initial });
            }
        }
        Orders { txns, facts }
    }

    /// Whether the order of every key's versions is known from the first to the last.
    pub(super) fn are_ordered(&self, counted: &[bool]) -> bool {
        let versions = self.txns.versions();
        // What a read of an intermediate version, or of what is not in the history, says of the others is not
        // known.
        let counts = |version: VersionId| {
            let Version { writer, is_intermediate, .. } = versions[version as usize];
            writer != NOBODY && counted[writer as usize] && !is_intermediate
        };
        let mut builder = Builder::new(versions.len() as u32, self.facts.len());
        for fact in &self.facts {
            if fact.after == INITIAL || !counts(fact.after) {
                return false;
            }
            if fact.before != INITIAL {
                if !counts(fact.before) {
                    return false;
                }
                builder.edge(fact.before, fact.after, Kind::Ww, 0);
            }
        }
        // If each comes right before the next in some order along what is known, there is no other such order.
        let graph = builder.build();
        let Some(order) = graph.sorted(Mask::ALL) else { return false };
        let mut latest = vec![INITIAL; self.txns.keys().len()];
        order.into_iter().filter(|version| counts(*version)).all(|version| {
            let key = versions[version as usize].key as usize;
            let before = std::mem::replace(&mut latest[key], version);
            before == INITIAL || graph.out(before).iter().any(|edge| edge.to == version)
        })
    }

    /// Draws what is known: who overwrote whom, who read whom, and who missed whom. Edges are about
    /// facts, those of reads about versions.
    pub(super) fn draw(&self, counted: &[bool], graph: &mut Builder) {
        let txns = self.txns;
        let writer = |version: VersionId| {
            let writer = txns.writer(version);
            (writer != NOBODY && counted[writer as usize]).then_some(writer)
        };
        let readers = self.readers(counted, graph);
        let mut initial: BTreeMap<KeyId, Vec<(TxnId, u32)>> = BTreeMap::new();
        for (about, fact) in self.facts.iter().enumerate().filter(|(_, fact)| fact.after != INITIAL) {
            let Some(later) = writer(fact.after) else { continue };
            let key = txns.version(fact.after).key;
            if fact.before == INITIAL {
                initial.entry(key).or_default().push((later, about as u32));
                continue;
            }
            if let Some(earlier) = writer(fact.before) {
                graph.edge(earlier, later, Kind::Ww, about as u32);
            }
            for reader in readers.of(fact.before) {
                graph.edge(*reader, later, Kind::Rw, about as u32);
            }
        }
        for (key, mut targets) in initial {
            targets.sort_unstable();
            targets.dedup_by_key(|target| target.0);
            graph.fan(readers.of_initial(key), &targets, Kind::Rw);
        }
    }

    /// Who read which version from outside; draws who read whom on the way.
    fn readers(&self, counted: &[bool], graph: &mut Builder) -> Readers {
        let mut found: Vec<(VersionId, TxnId)> = Vec::new();
        let mut initial: BTreeMap<KeyId, Vec<TxnId>> = BTreeMap::new();
        for id in (0..self.txns.len() as TxnId).filter(|id| counted[*id as usize]) {
            for op in self.txns.micro_ops(id).iter().filter(|op| op.action == Action::Read) {
                let writer = self.txns.writer(op.version);
                if op.version == INITIAL {
                    let readers = initial.entry(op.key).or_default();
                    if readers.last() != Some(&id) {
                        readers.push(id);
                    }
                } else if writer != id {
                    found.push((op.version, id));
                    if writer != NOBODY && counted[writer as usize] {
                        graph.edge(writer, id, Kind::Wr, op.version);
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        let mut from = vec![0u32; self.txns.versions().len() + 1];
        for (version, _) in &found {
            from[*version as usize + 1] += 1;
        }
        for i in 1..from.len() {
            from[i] += from[i - 1];
        }
        Readers { from, txns: found.into_iter().map(|entry| entry.1).collect(), initial }
    }

    /// Versions that come before each other in a circle, as facts from each to the next.
    pub(super) fn circles(&self) -> Vec<Vec<usize>> {
        let mut builder = Builder::new(self.txns.versions().len() as u32, self.facts.len());
        let mut circles = Vec::new();
        for (about, fact) in self.facts.iter().enumerate() {
            if fact.after == INITIAL {
                circles.push(vec![about]);
            } else if fact.before != INITIAL {
                builder.edge(fact.before, fact.after, Kind::Ww, about as u32);
            }
        }
        let graph = builder.build();
        for component in graph.components(Mask::ALL) {
            // Round from the first version: breadth first, by parents.
            let start = component[0];
            let mut parent: HashMap<u32, (u32, u32), FastBuild> = HashMap::default();
            let mut front = std::collections::VecDeque::from([start]);
            while let Some(version) = front.pop_front() {
                for edge in graph.out(version) {
                    if component.binary_search(&edge.to).is_ok() && !parent.contains_key(&edge.to) {
                        parent.insert(edge.to, (version, edge.about));
                        front.push_back(edge.to);
                    }
                }
            }
            let mut circle = Vec::new();
            let mut at = start;
            loop {
                let (from, about) = parent[&at];
                circle.push(about as usize);
                at = from;
                if at == start {
                    break;
                }
            }
            circle.reverse();
            circles.push(circle);
        }
        circles
    }
}

struct Readers {
    from: Vec<u32>,
    txns: Vec<TxnId>,
    initial: BTreeMap<KeyId, Vec<TxnId>>,
}

impl Readers {
    fn of(&self, version: VersionId) -> &[TxnId] {
        &self.txns[self.from[version as usize] as usize..self.from[version as usize + 1] as usize]
    }

    fn of_initial(&self, key: KeyId) -> &[TxnId] {
        self.initial.get(&key).map_or(&[], Vec::as_slice)
    }
}

/// Every transaction's accesses, in the order of transactions.
fn accesses(txns: &Transactions, counted: &[bool]) -> Vec<Access> {
    let mut all: Vec<Access> = Vec::with_capacity(txns.micro_op_count());
    // Where a transaction's access to a key stands in `all`, if it has one; never cleared.
    let mut latest: Vec<usize> = vec![usize::MAX; txns.keys().len()];
    for id in (0..txns.len() as TxnId).filter(|id| counted[*id as usize]) {
        let first = all.len();
        for op in txns.micro_ops(id) {
            let at = latest[op.key as usize];
            let known = at != usize::MAX && at >= first;
            if !known {
                latest[op.key as usize] = all.len();
                all.push(Access { txn: id, key: op.key, read: None, written: None });
            }
            let access = &mut all[latest[op.key as usize]];
            match op.action {
                Action::Read if access.read.is_none() && access.written.is_none() => {
                    access.read = Some(op.version)
                }
                Action::Read => {}
                Action::Write => access.written = Some(op.version),
            }
        }
    }
    all
}

fn sequential(txns: &Transactions, accesses: &[Access], facts: &mut Vec<Fact>) {
    let mut latest: HashMap<(u32, KeyId), Access, FastBuild> = HashMap::default();
    for access in accesses {
        let txn = txns.txn(access.txn);
        if let Some(before) = latest.get(&(txn.session, access.key))
            && before.last() != access.first()
            && before.last() != INITIAL
        {
            let because = Because::SequentialKey { first: before.txn, second: access.txn };
            facts.push(Fact { before: before.last(), after: access.first(), because });
        }
        if txn.status == Status::Committed {
            latest.insert((txn.session, access.key), *access);
        }
    }
}

fn linearizable(txns: &Transactions, accesses: &[Access], facts: &mut Vec<Fact>) {
    let mut by_key: Vec<Access> = accesses.to_vec();
    by_key.sort_by_key(|access| access.key);
    for accesses in by_key.chunk_by(|a, b| a.key == b.key) {
        // Invocations and returns in their order; a return is what ends a wait for it.
        let mut events: Vec<(u32, bool, usize)> = Vec::with_capacity(2 * accesses.len());
        for (i, access) in accesses.iter().enumerate() {
            let txn = txns.txn(access.txn);
            events.push((txn.invoked, false, i));
            if txn.returned != NEVER {
                events.push((txn.returned, true, i));
            }
        }
        events.sort_unstable();
        // Accesses that completed, but for those before which another one did that began after them.
        let mut front: Vec<usize> = Vec::new();
        for (_, is_return, i) in events {
            let access = &accesses[i];
            if is_return {
                front.retain(|earlier| !txns.precedes(accesses[*earlier].txn, access.txn));
                front.push(i);
                continue;
            }
            for earlier in front.iter().map(|earlier| &accesses[*earlier]) {
                if earlier.last() != access.first() && earlier.last() != INITIAL {
                    let because = Because::LinearizableKey { first: earlier.txn, second: access.txn };
                    facts.push(Fact { before: earlier.last(), after: access.first(), because });
                }
            }
        }
    }
}
