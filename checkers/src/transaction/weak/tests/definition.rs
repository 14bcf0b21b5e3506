//! The definitions, and no more: every commit order of small histories; all edges that the axiom asks for
//! of middling ones.

use super::script::{Op, Script, Txn};
use super::*;
use crate::history::EventKind;

/// What a transaction read of another, by number; `None` is the initial state.
struct Seen {
    key: usize,
    writer: Option<usize>,
}

/// A history as relations.
struct Relations {
    len: usize,
    counts: Vec<bool>,
    so: Vec<Vec<bool>>,
    wr: Vec<Vec<bool>>,
    /// Reflexive and transitive closure of both.
    past: Vec<Vec<bool>>,
    seen: Vec<Vec<Seen>>,
    writes: Vec<Vec<usize>>,
}

impl Relations {
    fn of(script: &Script) -> Relations {
        let txns = &script.txns;
        let len = txns.len();
        let square = || vec![vec![false; len]; len];
        let mut relations = Relations {
            len,
            counts: txns.iter().map(|txn| txn.end == EventKind::Ok).collect(),
            so: square(),
            wr: square(),
            past: square(),
            seen: vec![],
            writes: vec![],
        };
        let writes = |t: usize, key, value| txns[t].ops.contains(&Op::Write { key, value });
        for (t, txn) in txns.iter().enumerate() {
            let (mut seen, mut written) = (vec![], vec![]);
            for op in &txn.ops {
                let (key, value) = match *op {
                    Op::Write { key, .. } => {
                        written.push(key);
                        continue;
                    }
                    Op::Read { key, value } => (key, value),
                };
                let writer = value.map(|value| (0..len).find(|other| writes(*other, key, value)));
                // What nobody wrote is left out, and what did not commit tells nothing of its reads.
                if txn.end != EventKind::Ok || writer == Some(None) {
                    continue;
                }
                let writer = writer.flatten();
                if let Some(writer) = writer {
                    relations.counts[writer] = true;
                }
                if !written.contains(&key) && writer != Some(t) {
                    writer.iter().for_each(|writer| relations.wr[*writer][t] = true);
                    seen.push(Seen { key, writer });
                }
            }
            relations.seen.push(seen);
            relations.writes.push(written);
        }
        for t in 0..len {
            let in_session = |other: usize| relations.counts[other] && txns[other].session == txns[t].session;
            let is_last = !(t + 1..len).any(in_session);
            for next in (t + 1..len).filter(|next| in_session(*next)) {
                relations.so[t][next] = relations.counts[t] && (is_last || txns[t].end != EventKind::Info);
            }
            if !is_last && txns[t].end == EventKind::Info {
                (0..t).for_each(|before| relations.so[before][t] = false);
            }
        }
        for t in (0..len).filter(|t| !relations.counts[*t]) {
            relations.writes[t].clear();
        }
        for a in 0..len {
            for b in 0..len {
                relations.past[a][b] = a == b || relations.so[a][b] || relations.wr[a][b];
            }
        }
        close(&mut relations.past);
        relations
    }

    /// Whether t2 ∈ V(r), r being the read at `at` of t3.
    fn is_visible(&self, level: WeakLevel, t2: usize, t3: usize, at: usize) -> bool {
        let read_before: Vec<usize> = self.seen[t3][..at].iter().filter_map(|seen| seen.writer).collect();
        let mut all = 0..self.len;
        match level {
            ReadCommitted => read_before.contains(&t2),
            ReadAtomic => self.so[t2][t3] || self.wr[t2][t3],
            Causal => all.any(|t| (self.so[t2][t] || self.wr[t2][t]) && self.past[t][t3]),
            ReadYourWrites => self.so[t2][t3],
            MonotonicReads => read_before.contains(&t2) || all.any(|t| self.wr[t2][t] && self.so[t][t3]),
            MonotonicWrites => read_before.iter().any(|t| self.so[t2][*t]),
            WritesFollowReads => all.any(|a| self.wr[t2][a] && read_before.iter().any(|t| self.past[a][*t])),
        }
    }

    /// What a level asks of commit orders: pairs of first and second; or nothing can fulfil it.
    fn demands(&self, level: WeakLevel) -> Option<Vec<(usize, usize)>> {
        let mut demands = vec![];
        for t3 in 0..self.len {
            for (at, seen) in self.seen[t3].iter().enumerate() {
                for t2 in 0..self.len {
                    let concerns = self.writes[t2].contains(&seen.key) && seen.writer != Some(t2);
                    if concerns && self.is_visible(level, t2, t3, at) {
                        demands.push((t2, seen.writer?));
                    }
                }
            }
        }
        Some(demands)
    }

    /// Calls `each` with the place of each transaction, for every order that has `so` and `wr`, until it
    /// says true.
    fn any_order(&self, each: &mut dyn FnMut(&[usize]) -> bool) -> bool {
        let mut place = vec![usize::MAX; self.len];
        let count = self.counts.iter().filter(|counts| **counts).count();
        self.extend(&mut place, 0, count, each)
    }

    fn extend(
        &self,
        place: &mut Vec<usize>,
        next: usize,
        count: usize,
        each: &mut dyn FnMut(&[usize]) -> bool,
    ) -> bool {
        if next == count {
            return each(place);
        }
        for t in 0..self.len {
            let waits = |other: usize| (self.so[other][t] || self.wr[other][t]) && place[other] == usize::MAX;
            if self.counts[t] && place[t] == usize::MAX && !(0..self.len).any(waits) {
                place[t] = next;
                if self.extend(place, next + 1, count, each) {
                    return true;
                }
                place[t] = usize::MAX;
            }
        }
        false
    }

    /// By level, whether there is a commit order.
    fn holds(&self) -> Vec<bool> {
        let demands = WeakLevel::ALL.map(|level| self.demands(level));
        let mut holds = vec![false; demands.len()];
        self.any_order(&mut |place| {
            for (demands, holds) in demands.iter().zip(&mut holds) {
                *holds |= demands.as_ref().is_some_and(|demands| are_met(demands, place));
            }
            holds.iter().all(|holds| *holds)
        });
        holds
    }

    /// Whether the edges that the level asks for, `so` and `wr` have no cycle.
    fn is_acyclic(&self, level: WeakLevel) -> bool {
        let Some(demands) = self.demands(level) else { return false };
        let mut before: Vec<Vec<bool>> =
            (0..self.len).map(|a| (0..self.len).map(|b| self.so[a][b] || self.wr[a][b]).collect()).collect();
        demands.into_iter().for_each(|(a, b)| before[a][b] = true);
        close(&mut before);
        (0..self.len).all(|t| !before[t][t])
    }
}

fn are_met(demands: &[(usize, usize)], place: &[usize]) -> bool {
    demands.iter().all(|(first, second)| place[*first] < place[*second])
}

/// Transitive closure (Warshall 1962).
fn close(relation: &mut [Vec<bool>]) {
    for middle in 0..relation.len() {
        let onward = relation[middle].clone();
        for row in relation.iter_mut().filter(|row| row[middle]) {
            row.iter_mut().zip(&onward).for_each(|(to, on)| *to |= on);
        }
    }
}

/// A history by chance. `order` is how much of it: at 0, reads see anything that is ever written; at more, mostly
/// what is the newest by then.
fn random(rng: &mut ChaCha8Rng, txns: usize, sessions: usize, keys: usize, order: usize) -> Script {
    let mut script = Script { txns: vec![], has_real_time: below(rng, 2) == 0 };
    let mut written = vec![0; keys];
    for _ in 0..txns {
        let session = below(rng, sessions);
        let ops = (0..1 + below(rng, 4)).map(|_| {
            let key = below(rng, keys);
            if below(rng, 5) < 2 {
                written[key] += 1;
                return Op::Write { key, value: written[key] };
            }
            let back = below(rng, 3) * below(rng, 2);
            let value = written[key].saturating_sub(back);
            Op::Read { key, value: (value > 0).then_some(value) }
        });
        script.txns.push(Txn { session, end: EventKind::Ok, ops: ops.collect() });
    }
    for txn in &mut script.txns {
        txn.end = match below(rng, 24) {
            0 => EventKind::Fail,
            1 | 2 => EventKind::Info,
            _ => EventKind::Ok,
        };
    }
    for op in script.txns.iter_mut().flat_map(|txn| &mut txn.ops) {
        if let Op::Read { key, value } = op
            && below(rng, 1 + 2 * order) == 0
        {
            let any = below(rng, written[*key] + 1);
            *value = (any > 0).then_some(any);
        }
    }
    script
}

/// Whatever each level says is what the definition says, and proofs of one level are none of another that
/// holds.
#[test]
fn small_histories_are_judged_as_every_commit_order_says() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut counts = [[0; 2]; WeakLevel::ALL.len()];
    for round in 0..8_000 {
        let (txns, sessions, keys) = (2 + below(&mut rng, 5), 1 + below(&mut rng, 4), 1 + below(&mut rng, 3));
        let script = random(&mut rng, txns + round % 2, sessions, keys, round % 4);
        let expected = Relations::of(&script).holds();
        let txns = script.transactions();
        let answers = WeakLevel::ALL.map(|level| answer(&txns, level));
        for ((level, answer), holds) in WeakLevel::ALL.iter().zip(&answers).zip(&expected) {
            assert_eq!(matches!(answer, WeakAnswer::Holds(_)), *holds, "{level:?}: {script:?}");
            counts[*level as usize][usize::from(*holds)] += 1;
            for (other, _) in WeakLevel::ALL.iter().zip(&expected).filter(|other| *other.1) {
                let refused = validate_weak(&txns, *other, answer).is_err();
                assert!(refused || *holds, "{answer:?} proves nothing about {other:?}: {script:?}");
            }
        }
    }
    for (level, [violated, hold]) in WeakLevel::ALL.iter().zip(counts) {
        assert!(violated > 800 && hold > 800, "{level:?}: {violated} violated, {hold} hold");
    }
}

/// The same with more sessions than a block has, by all edges that the axiom asks for.
#[test]
fn middling_histories_are_judged_as_all_edges_say() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut counts = [[0; 2]; WeakLevel::ALL.len()];
    for round in 0..800 {
        let txns = 20 + below(&mut rng, 60);
        let (sessions, keys) = ([4, 12, 40][round % 3], 2 + below(&mut rng, 6));
        let mut script = Script::causal_store(&mut rng, txns, sessions, keys);
        for _ in 0..below(&mut rng, [2, 6, 30, 120][round / 3 % 4]) {
            let txn = below(&mut rng, txns);
            let at = below(&mut rng, script.txns[txn].ops.len());
            if let Op::Read { value: Some(value), .. } = &mut script.txns[txn].ops[at] {
                *value = if round % 2 == 0 { value.saturating_sub(1) } else { below(&mut rng, *value + 1) };
            }
        }
        let relations = Relations::of(&script);
        let txns = script.transactions();
        // So little that blocks are as narrow as can be.
        let narrow = Options { memory_limit_bytes: 250 * txns.len(), ..Options::default() };
        for level in WeakLevel::ALL {
            let holds = relations.is_acyclic(level);
            assert_eq!(violation(&txns, level).is_none(), holds, "{level:?}: {script:?}");
            counts[level as usize][usize::from(holds)] += 1;
            let again = check(&txns, level, &narrow);
            assert_eq!(matches!(again, WeakAnswer::Holds(_)), holds, "{level:?}: {script:?}");
            assert_eq!(matches!(again, WeakAnswer::Violated(_)), !holds, "{level:?}: {script:?}");
        }
    }
    for (level, [violated, hold]) in WeakLevel::ALL.iter().zip(counts) {
        assert!(violated >= 25 && hold >= 25, "{level:?}: {violated} violated, {hold} hold");
    }
}

#[test]
fn stronger_levels_imply_weaker_ones() {
    let implied = [
        (
            Causal,
            &[ReadAtomic, ReadCommitted, ReadYourWrites, MonotonicReads, MonotonicWrites, WritesFollowReads]
                [..],
        ),
        (ReadAtomic, &[ReadCommitted, ReadYourWrites]),
        (MonotonicReads, &[ReadCommitted]),
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut strict = std::collections::BTreeSet::new();
    for round in 0..4_000 {
        let (txns, sessions, keys) =
            (2 + below(&mut rng, 12), 1 + below(&mut rng, 4), 1 + below(&mut rng, 4));
        let txns = random(&mut rng, txns, sessions, keys, 1 + round % 5).transactions();
        let holds = |level| matches!(check(&txns, level, &Options::default()), WeakAnswer::Holds(_));
        let holds = WeakLevel::ALL.map(holds);
        for (stronger, weaker) in implied {
            for weaker in weaker {
                assert!(
                    !holds[stronger as usize] || holds[*weaker as usize],
                    "{stronger:?}, {weaker:?}: {txns:?}"
                );
            }
        }
        for stronger in WeakLevel::ALL {
            strict.extend(
                WeakLevel::ALL
                    .into_iter()
                    .filter(|weaker| holds[*weaker as usize] && !holds[stronger as usize])
                    .map(|weaker| (weaker, stronger)),
            );
        }
    }
    // No other pair is ordered: for each there is a history of the one that the other forbids.
    let implications: usize = implied.iter().map(|(_, weaker)| weaker.len()).sum();
    let pairs = WeakLevel::ALL.len() * (WeakLevel::ALL.len() - 1);
    assert_eq!(strict.len(), pairs - implications);
}

/// Any order of the transactions is accepted as a proof exactly if the definition accepts it.
#[test]
fn the_validator_accepts_an_order_if_the_definition_does() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut counts = [[0; 2]; WeakLevel::ALL.len()];
    for round in 0..1_500 {
        let (txns, sessions, keys) = (2 + below(&mut rng, 4), 1 + below(&mut rng, 3), 1 + below(&mut rng, 3));
        let script = random(&mut rng, txns, sessions, keys, 1 + round % 4);
        let relations = Relations::of(&script);
        let txns = script.transactions();
        let counts_in = |txn: &u32| relations.counts[*txn as usize];
        let mut order: Vec<u32> = (0..relations.len as u32).filter(counts_in).collect();
        if order.is_empty() {
            continue;
        }
        for at in (1..order.len()).rev().filter(|_| round % 3 > 0) {
            order.swap(at, below(&mut rng, at + 1));
        }
        let mut place = vec![0; relations.len];
        order.iter().enumerate().for_each(|(at, txn)| place[*txn as usize] = at);
        let pairs = (0..relations.len).flat_map(|a| (0..relations.len).map(move |b| (a, b)));
        let base: Vec<(usize, usize)> =
            pairs.filter(|(a, b)| relations.so[*a][*b] || relations.wr[*a][*b]).collect();
        for level in WeakLevel::ALL {
            let expected = are_met(&base, &place)
                && relations.demands(level).is_some_and(|demands| are_met(&demands, &place));
            let answer = WeakAnswer::Holds(Certificate::CommitOrder(order.clone()));
            assert_eq!(
                validate_weak(&txns, level, &answer).is_ok(),
                expected,
                "{level:?}: {order:?} {script:?}"
            );
            counts[level as usize][usize::from(expected)] += 1;
            let mut shorter = order.clone();
            shorter.pop();
            let twice = [&order[..], &order[..1]].concat();
            for order in [shorter, twice] {
                let answer = WeakAnswer::Holds(Certificate::CommitOrder(order));
                assert!(validate_weak(&txns, level, &answer).is_err());
            }
        }
    }
    for (level, [refused, accepted]) in WeakLevel::ALL.iter().zip(counts) {
        assert!(refused > 150 && accepted > 100, "{level:?}: {refused} refused, {accepted} accepted");
    }
}

/// Proofs of violations with a part left out, or with another part in its place.
#[test]
fn the_validator_refuses_damaged_cycles() {
    let txns = Script::parse(&["w0=1 | w0=2 w1=2", "r1=2 | r0=1", "r0=2 w3=1 | r0=1"]).transactions();
    for level in [Causal, MonotonicReads] {
        let Some(Violation::Cycle(edges)) = violation(&txns, level) else { panic!("no cycle") };
        let refused = |edges: Vec<Edge>| {
            validate_weak(&txns, level, &WeakAnswer::Violated(Violation::Cycle(edges))).is_err()
        };
        assert!(refused(vec![]));
        assert!(!refused([&edges[..], &edges[..]].concat()), "twice round is still a cycle");
        for at in 0..edges.len() {
            let mut shorter = edges.clone();
            shorter.remove(at);
            assert!(refused(shorter));
            let mut other = edges.clone();
            other[at].why = Why::RealTime;
            assert!(refused(other));
            let mut other = edges.clone();
            other[at].why = Why::Session;
            assert_eq!(refused(other), edges[at].why != Why::Session);
            let Why::Visible { reader, version, older, path } = &edges[at].why else { continue };
            let with = |reader: u32, version: u32, older: u32, path: Vec<Edge>| {
                let mut other = edges.clone();
                other[at].why = Why::Visible { reader, version, older, path };
                refused(other)
            };
            assert!(!with(*reader, *version, *older, path.clone()));
            assert!(with(*reader, *older, *version, path.clone()));
            assert!(with(*reader, *version, INITIAL, path.clone()));
            assert!(with(99, *version, *older, path.clone()));
            assert!(with(*reader, *version, *older, path[1..].to_vec()));
            assert!(with(*reader, *version, *older, vec![]));
        }
    }
}
