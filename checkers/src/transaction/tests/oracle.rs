//! Random small histories of lists, judged by the definitions of the levels and nothing else.
//!
//! Serializability, snapshot isolation and prefix consistency are searched for an order of starts and
//! commits that explains every read; the others are read off a matrix of what reaches what.

use super::super::cycle::Variant;
use super::super::level::{Base, Level};
use super::super::{Action, IsolationOptions, Kind, Standing, Status, Transactions, TxnId, check};
use super::history;
use crate::validate::anomaly::validate_report;
use crate::value::{Datum, Value, Values};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

const HISTORIES: u64 = 4_000;

fn below(rng: &mut ChaCha8Rng, n: u32) -> u32 {
    rng.next_u32() % n
}

/// A few transactions, each with a moment of its own; reads see what was there at that moment, or at
/// another one.
fn random(seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let txns = 2 + below(&mut rng, 4) as usize;
    let sessions = 1 + below(&mut rng, 4);
    let noise = [0, 10, 40][below(&mut rng, 3) as usize];
    let moments: Vec<u32> = (0..txns).map(|_| below(&mut rng, 1000)).collect();
    let session: Vec<u32> = (0..txns).map(|_| below(&mut rng, sessions)).collect();
    // Who appends to which of three keys, and in which order they come to stand there.
    let appends: Vec<Vec<u32>> =
        (0..txns).map(|_| (0..3).filter(|_| below(&mut rng, 3) == 0).collect()).collect();
    let mut lists: Vec<Vec<(u32, usize)>> = vec![Vec::new(); 3];
    for (txn, keys) in appends.iter().enumerate() {
        for key in keys {
            let at = if below(&mut rng, 100) < noise { below(&mut rng, 1000) } else { moments[txn] };
            lists[*key as usize].push((at, txn));
        }
    }
    lists.iter_mut().for_each(|list| list.sort_unstable());
    let mut order: Vec<usize> = (0..txns).collect();
    order.sort_by_key(|txn| moments[*txn]);
    let mut bodies = vec![String::new(); txns];
    for txn in 0..txns {
        let view = if below(&mut rng, 100) < noise { below(&mut rng, 1000) } else { moments[txn] };
        let mut ops = Vec::new();
        for key in 0..3u32 {
            if below(&mut rng, 2) == 0 {
                let view = if below(&mut rng, 100) < noise { below(&mut rng, 1000) } else { view };
                let list = &lists[key as usize];
                let end = list.iter().position(|(at, who)| *at >= view || *who == txn).unwrap_or(list.len());
                let seen: Vec<String> = list[..end].iter().map(|(_, who)| format!("{}", who + 1)).collect();
                ops.push(format!("[:r {key} [{}]]", seen.join(" ")));
            }
            if appends[txn].contains(&key) {
                ops.push(format!("[:append {key} {}]", txn + 1));
            }
        }
        bodies[txn] = format!("[{}]", ops.join(" "));
    }
    // Each session runs its transactions in the order of their moments; who overlaps whom is drawn.
    let mut lines = String::new();
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    for txn in order {
        if let Some(before) = open.remove(&session[txn]) {
            lines.push_str(&format!("{} ok {}\n", session[before], bodies[before]));
        }
        lines.push_str(&format!("{} invoke {}\n", session[txn], bodies[txn]));
        open.insert(session[txn], txn);
        for process in open.keys().copied().collect::<Vec<_>>() {
            if below(&mut rng, 3) == 0 {
                let done = open.remove(&process).unwrap();
                lines.push_str(&format!("{process} ok {}\n", bodies[done]));
            }
        }
    }
    for (process, txn) in open {
        let end = if below(&mut rng, 5) == 0 { "info" } else { "ok" };
        lines.push_str(&format!("{process} {end} {}\n", bodies[txn]));
    }
    lines
}

/// The history as the oracle sees it.
struct Oracle<'a> {
    txns: &'a Transactions,
    values: &'a Values,
    nodes: Vec<TxnId>,
    /// By transaction and key: the list read before it appended itself, and what it appended.
    reads: Vec<BTreeMap<u32, Vec<Value>>>,
    appends: Vec<BTreeMap<u32, Value>>,
    /// In which order things were appended that nobody saw: the place of each transaction.
    unseen_rank: Vec<usize>,
}

impl<'a> Oracle<'a> {
    fn new(txns: &'a Transactions, values: &'a Values) -> Oracle<'a> {
        let counted = txns.counted();
        let nodes: Vec<TxnId> = (0..txns.len() as TxnId).filter(|id| counted[*id as usize]).collect();
        let mut reads = vec![BTreeMap::new(); txns.len()];
        let mut appends = vec![BTreeMap::new(); txns.len()];
        for read in txns.list_reads() {
            let list = match values.get(read.list) {
                Datum::List(list) => list.to_vec(),
                _ => Vec::new(),
            };
            reads[read.txn as usize].insert(read.key, list);
        }
        for id in &nodes {
            for op in txns.micro_ops(*id).iter().filter(|op| op.action == Action::Write) {
                appends[*id as usize].insert(op.key, txns.version(op.version).value);
            }
        }
        Oracle { txns, values, nodes, reads, appends, unseen_rank: Vec::new() }
    }

    fn must_precede(&self, a: TxnId, b: TxnId, mode: Variant) -> bool {
        let (first, second) = (self.txns.txn(a), self.txns.txn(b));
        let session = first.session == second.session && a < b && first.status == Status::Committed;
        match mode {
            Variant::Plain => false,
            Variant::Process => session,
            Variant::Realtime => session || self.txns.precedes(a, b),
        }
    }

    /// Is there an order of starts and commits? `atomic`: nothing comes between the two.
    /// `exclusive`: who writes a key is alone in doing so.
    fn has_order(&self, mode: Variant, atomic: bool, exclusive: bool) -> bool {
        self.search(mode, atomic, exclusive, &mut Vec::new(), &mut Vec::new(), &mut BTreeMap::new())
    }

    fn search(
        &self,
        mode: Variant,
        atomic: bool,
        exclusive: bool,
        open: &mut Vec<TxnId>,
        done: &mut Vec<TxnId>,
        lists: &mut BTreeMap<u32, Vec<Value>>,
    ) -> bool {
        if done.len() == self.nodes.len() {
            return true;
        }
        for i in 0..open.len() {
            let id = open.remove(i);
            done.push(id);
            let mut after = lists.clone();
            for (key, element) in &self.appends[id as usize] {
                after.entry(*key).or_default().push(*element);
            }
            if self.search(mode, atomic, exclusive, open, done, &mut after) {
                return true;
            }
            done.pop();
            open.insert(i, id);
        }
        if atomic && !open.is_empty() {
            return false;
        }
        for id in self.nodes.iter().copied() {
            let is_new = !open.contains(&id) && !done.contains(&id);
            let is_ready = |other: &TxnId| done.contains(other) || !self.must_precede(*other, id, mode);
            let writes = |other: &TxnId, key: &u32| self.appends[*other as usize].contains_key(key);
            let clashes = |other: &TxnId| self.appends[id as usize].keys().any(|key| writes(other, key));
            let sees =
                |(key, list): (&u32, &Vec<Value>)| lists.get(key).map_or(&[][..], Vec::as_slice) == &list[..];
            if is_new
                && self.nodes.iter().all(is_ready)
                && !(exclusive && open.iter().any(clashes))
                && self.reads[id as usize].iter().all(sees)
            {
                open.push(id);
                if self.search(mode, atomic, exclusive, open, done, lists) {
                    return true;
                }
                open.pop();
            }
        }
        false
    }

    /// The final order of a key as far as it was seen, and whether a transaction's element is before, in
    /// the list that another read.
    fn longest(&self, key: u32) -> Vec<Value> {
        let lists = self.reads.iter().filter_map(|reads| reads.get(&key));
        lists.max_by_key(|list| list.len()).cloned().unwrap_or_default()
    }

    fn matrix(&self, edge: impl Fn(TxnId, TxnId) -> bool) -> Vec<Vec<bool>> {
        let n = self.txns.len();
        let mut reach = vec![vec![false; n]; n];
        for a in &self.nodes {
            for b in self.nodes.iter().filter(|b| *b != a) {
                reach[*a as usize][*b as usize] = edge(*a, *b);
            }
        }
        for k in 0..n {
            for a in 0..n {
                for b in 0..n {
                    reach[a][b] |= reach[a][k] && reach[k][b];
                }
            }
        }
        reach
    }

    fn ww(&self, a: TxnId, b: TxnId) -> bool {
        self.appends[a as usize].keys().any(|key| self.ww_of(*key, a, b))
    }

    fn ww_of(&self, key: u32, a: TxnId, b: TxnId) -> bool {
        let [first, second] = [a, b].map(|id| self.appends[id as usize].get(&key));
        let (Some(first), Some(second)) = (first, second) else { return false };
        let longest = self.longest(key);
        let place = |element: &Value| longest.iter().position(|e| e == element);
        match (place(first), place(second)) {
            (Some(first), Some(second)) => first < second,
            (Some(_), None) => true,
            // The transactions' own order is no order to go by: it may be against the data.
            (None, None) if self.unseen_rank.is_empty() => false,
            (None, None) => self.unseen_rank[a as usize] < self.unseen_rank[b as usize],
            (None, Some(_)) => false,
        }
    }

    /// Whether the level holds, for some order of what nobody saw; `any` if that is said not to matter.
    fn holds(&mut self, level: Level, any: bool) -> Option<bool> {
        let n = self.txns.len();
        let mut orders = vec![Vec::new()];
        if self.is_open() && (any || depends_on_unseen(level.base)) && !is_searched(level.base) {
            orders = (0..n).fold(vec![Vec::new()], |orders: Vec<Vec<usize>>, _| {
                let longer = |order: &Vec<usize>| {
                    let order = order.clone();
                    let free = (0..n).filter({
                        let order = order.clone();
                        move |i| !order.contains(i)
                    });
                    free.map(move |i| [order.clone(), vec![i]].concat()).collect::<Vec<_>>()
                };
                orders.iter().flat_map(longer).collect()
            });
        }
        for order in orders {
            self.unseen_rank = order;
            if self.holds_so(level)? {
                return Some(true);
            }
        }
        Some(false)
    }

    fn wr(&self, a: TxnId, b: TxnId) -> bool {
        self.appends[a as usize].iter().any(|(key, element)| {
            self.reads[b as usize].get(key).is_some_and(|list| list.last() == Some(element))
        })
    }

    fn misses(&self, reader: TxnId, writer: TxnId, key: u32) -> bool {
        match (self.reads[reader as usize].get(&key), self.appends[writer as usize].get(&key)) {
            (Some(list), Some(element)) => !list.contains(element),
            _ => false,
        }
    }

    fn rw(&self, a: TxnId, b: TxnId) -> bool {
        a != b && (0..3).filter_map(|key| self.key(key)).any(|key| self.misses(a, b, key))
    }

    fn is_open(&self) -> bool {
        (0..3).filter_map(|key| self.key(key)).any(|key| {
            let longest = self.longest(key);
            let elements = self.appends.iter().filter_map(|appends| appends.get(&key));
            elements.filter(|element| !longest.contains(element)).count() > 1
        })
    }

    fn key(&self, value: i64) -> Option<u32> {
        let at = self.txns.keys().iter().position(|key| self.values.int_of(*key) == Some(value))?;
        Some(at as u32)
    }

    fn acyclic(&self, edge: impl Fn(TxnId, TxnId) -> bool) -> bool {
        let reach = self.matrix(edge);
        (0..reach.len()).all(|a| !reach[a][a])
    }

    fn pairs(&self) -> impl Iterator<Item = (TxnId, TxnId)> {
        self.nodes.iter().flat_map(|a| self.nodes.iter().filter(move |b| *b != a).map(move |b| (*a, *b)))
    }

    fn holds_so(&self, level: Level) -> Option<bool> {
        let mode = level.mode;
        let order = |a, b| self.must_precede(a, b, mode);
        let dep = |a, b| self.ww(a, b) || self.wr(a, b) || order(a, b);
        let session = |a, b| self.must_precede(a, b, Variant::Process);
        let committed = self.acyclic(dep);
        // A transaction that is visible to another must not be missed by it.
        let sees_all = |visible: &dyn Fn(TxnId, TxnId) -> bool| {
            self.pairs().all(|(a, b)| !visible(a, b) || !self.rw(b, a))
        };
        Some(match level.base {
            Base::ReadUncommitted => self.acyclic(|a, b| self.ww(a, b) || order(a, b)),
            Base::ReadCommitted => committed,
            // Keys are read in their order, so what is read later has the larger key.
            Base::MonotonicAtomicView => {
                committed
                    && self.pairs().all(|(writer, reader)| {
                        let seen_at = (0..3).find(|key| {
                            let key = self.key(*key);
                            key.is_some_and(|key| {
                                let element = self.appends[writer as usize].get(&key);
                                let list = self.reads[reader as usize].get(&key);
                                element.is_some() && list.is_some_and(|list| list.last() == element)
                            })
                        });
                        seen_at.is_none_or(|seen_at| {
                            (seen_at + 1..3)
                                .filter_map(|key| self.key(key))
                                .all(|key| !self.misses(reader, writer, key))
                        })
                    })
            }
            Base::ReadAtomic => {
                committed && sees_all(&|a, b| self.wr(a, b) || mode == Variant::Process && session(a, b))
            }
            Base::Causal => {
                let past = self.matrix(|a, b| self.wr(a, b) || session(a, b));
                committed && sees_all(&|a, b| past[a as usize][b as usize])
            }
            Base::ParallelSnapshotIsolation | Base::ConsistentView => {
                let past = self.matrix(dep);
                committed && sees_all(&|a, b| past[a as usize][b as usize])
            }
            Base::Prefix => self.has_order(mode, false, false),
            Base::SnapshotIsolation => self.has_order(mode, false, true),
            Base::Serializable | Base::RepeatableRead => self.has_order(mode, true, true),
            Base::CursorStability => {
                committed
                    && self.pairs().all(|(a, b)| {
                        // Adya's G-cursor: a missed b's write of the key, and wrote it behind b's.
                        (0..3)
                            .filter_map(|key| self.key(key))
                            .all(|key| !self.misses(a, b, key) || !self.ww_of(key, b, a))
                    })
            }
            Base::UpdateSerializable => {
                let updates = |id: TxnId| !self.appends[id as usize].is_empty();
                let all = |a, b| dep(a, b) || self.rw(a, b);
                committed
                    && self.acyclic(|a, b| updates(a) && updates(b) && all(a, b))
                    && self.nodes.iter().filter(|id| !updates(**id)).all(|reader| {
                        let in_it = |id: TxnId| updates(id) || id == *reader;
                        self.acyclic(|a, b| in_it(a) && in_it(b) && all(a, b))
                    })
            }
            Base::ReadYourWrites => sees_all(&session),
            // Keys are read in their order, so what is read later has the larger key.
            Base::MonotonicReads => self.pairs().all(|(writer, reader)| {
                (0..3).filter_map(|key| Some((key, self.key(key)?))).all(|(place, key)| {
                    let was_read_from = (0..place).filter_map(|key| self.key(key)).any(|key| {
                        let element = self.appends[writer as usize].get(&key);
                        let list = self.reads[reader as usize].get(&key);
                        element.is_some() && list.is_some_and(|list| list.last() == element)
                    });
                    let by_session =
                        self.nodes.iter().any(|a| *a != writer && session(*a, reader) && self.wr(writer, *a));
                    !(was_read_from || by_session) || !self.misses(reader, writer, key)
                })
            }),
            _ => return None,
        })
    }
}

/// Levels of which the oracle looks for an order of everything.
fn is_searched(base: Base) -> bool {
    matches!(base, Base::Prefix | Base::SnapshotIsolation | Base::Serializable | Base::RepeatableRead)
}

fn depends_on_unseen(base: Base) -> bool {
    use Base::{
        ConsistentView, CursorStability, ParallelSnapshotIsolation, SnapshotIsolation, UpdateSerializable,
    };
    matches!(
        base,
        ConsistentView | CursorStability | ParallelSnapshotIsolation | SnapshotIsolation | UpdateSerializable
    )
}

#[test]
fn every_level_is_decided_as_its_definition_says() {
    let mut counts: BTreeMap<Level, (u32, u32)> = BTreeMap::new();
    for seed in 0..HISTORIES {
        let text = random(seed);
        let history = history(&text);
        let options = IsolationOptions { certify: true, ..IsolationOptions::new(Kind::ListAppend) };
        let report = check(&history, Kind::ListAppend, &options).unwrap();
        let mut oracle = Oracle::new(&report.txns, history.values());
        // Lists that contradict each other are told apart by other tests.
        if (0..3).filter_map(|key| oracle.key(key)).any(|key| {
            let longest = oracle.longest(key);
            oracle.reads.iter().filter_map(|reads| reads.get(&key)).any(|list| !longest.starts_with(list))
        }) {
            continue;
        }
        for (level, standing) in &report.standings {
            let Some(holds) = oracle.holds(*level, seed % 16 == 0) else { continue };
            let count = counts.entry(*level).or_default();
            if holds {
                count.0 += 1
            } else {
                count.1 += 1
            }
            let agrees = match standing {
                Standing::Holds => holds,
                Standing::Violated(_) => !holds,
                // Two appends to one key that nobody saw. Of those the engine finds the order, if there is one.
                Standing::Undecided => {
                    oracle.is_open() && depends_on_unseen(level.base) && level.base != Base::SnapshotIsolation
                }
            };
            assert!(agrees, "seed {seed}, {level} is {standing:?}: {:#?}\n{text}", report.anomalies);
        }
        if let Err(refusal) = validate_report(&report, history.values()) {
            panic!("seed {seed}: {refusal}: {:#?} {:?}\n{text}", report.anomalies, report.serial);
        }
        let serializable = Level { base: Base::Serializable, mode: Variant::Plain };
        assert_eq!(report.serial.is_some(), report.standing(serializable) == Standing::Holds, "seed {seed}");
        // What is decided agrees with itself.
        for (stronger, first) in &report.standings {
            for (weaker, second) in report.standings.iter().filter(|entry| stronger.implies(entry.0)) {
                let contradiction = *first == Standing::Holds && *second != Standing::Holds;
                assert!(!contradiction, "seed {seed}: {stronger} {first:?}, {weaker} {second:?}");
            }
        }
    }
    for (level, (holds, not)) in counts {
        eprintln!("{level}: {holds} hold, {not} do not");
        assert!(holds > 100 && not > 20, "{level}: {holds} hold, {not} do not");
    }
}

/// The same history of registers: of each list its last element.
fn as_registers(lists: &str) -> String {
    let mut text = String::new();
    let mut rest = lists;
    while let Some(at) = rest.find(" [") {
        // A list that was read; what begins a transaction, or a micro-operation, is followed by another bracket.
        let inside = &rest[at + 2..];
        let end = inside.find([']', '[', ':']).expect("brackets are closed");
        text.push_str(&rest[..at + 1]);
        if inside[end..].starts_with(']') && !inside[..end].contains(':') && rest[..at].contains(":r") {
            text.push_str(
                inside[..end].split(' ').next_back().filter(|last| !last.is_empty()).unwrap_or("nil"),
            );
            rest = &inside[end + 1..];
        } else {
            text.push('[');
            rest = inside;
        }
    }
    text.push_str(rest);
    text.replace(":append", ":w")
}

/// A register says less than a list: what a list's history shows to be correct, that of registers cannot refute.
#[test]
fn registers_refute_nothing_that_lists_show_to_hold() {
    let mut counts: BTreeMap<Level, u32> = BTreeMap::new();
    for seed in 0..HISTORIES / 2 {
        let text = random(seed);
        let (lists, registers) = (history(&text), history(&as_registers(&text)));
        let lists = check(&lists, Kind::ListAppend, &IsolationOptions::new(Kind::ListAppend)).unwrap();
        let options = IsolationOptions::new(Kind::Register);
        let found = check(&registers, Kind::Register, &options).unwrap();
        if let Err(refusal) = validate_report(&found, registers.values()) {
            panic!("seed {seed}: {refusal}: {:#?}\n{}", found.anomalies, as_registers(&text));
        }
        for ((level, first), (_, second)) in lists.standings.iter().zip(&found.standings) {
            // Where a list contradicts its session's order, no order of commits is left to ask for more of.
            let orderly = Level { base: Base::ReadCommitted, mode: Variant::Process };
            let is_open = matches!(lists.standing(orderly), Standing::Violated(_));
            let contradicts =
                *first == Standing::Holds && matches!(second, Standing::Violated(_)) && !is_open;
            assert!(!contradicts, "seed {seed}, {level}: {:#?}\n{}", found.anomalies, as_registers(&text));
            *counts.entry(*level).or_default() += u32::from(matches!(second, Standing::Violated(_)));
        }
    }
    let decided = counts.values().filter(|violated| **violated > 20).count();
    assert!(decided > 25, "{counts:?}");
}
