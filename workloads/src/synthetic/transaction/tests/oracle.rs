//! What each anomaly's transactions break, found by trying all orders of them: no cleverness, only
//! definitions. An order of two transactions, by their session or by real time, can be demanded or not.

use super::*;
use std::collections::BTreeMap;

/// From weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Breaks {
    ReadCommitted,
    ReadAtomic,
    Causal,
    ParallelSnapshots,
    Snapshots,
    Serial,
}

use Breaks::*;

/// For each anomaly: its transactions, the weakest level that they break, and the weakest one that they
/// break if its order of two transactions counts.
#[rustfmt::skip]
const TABLE: [(&str, &str, Option<Breaks>, Option<Breaks>); 30] = [
    ("G0", "w x 1, w y 1 | w x 2, w y 2 | r x [1 2], r y [2 1]", Some(ReadCommitted), None),
    ("G0-process", "w x 1 | w x 2 | r x [2 1]", None, Some(ReadCommitted)),
    ("G0-realtime", "w x 1 | w x 2 | r x [2 1]", None, Some(ReadCommitted)),
    ("G1a", "fail w x 1 | r x [1]", Some(ReadCommitted), None),
    ("G1b", "w x 1, w x 2 | r x [1] | r x [1 2]", Some(ReadCommitted), None),
    ("G1c", "w x 1, r y [1] | w y 1, r x [1]", Some(ReadCommitted), None),
    ("G1c-process", "r x [1] | w x 1", None, Some(ReadCommitted)),
    ("G1c-realtime", "r x [1] | w x 1", None, Some(ReadCommitted)),
    ("G-single", "w x 1, w y 1 | r x [], w y 2 | r x [1], r y [1 2]", Some(ParallelSnapshots), None),
    ("G-single-process", "w x 1 | r x [] | r x [1]", None, Some(ReadAtomic)),
    ("G-single-realtime", "w x 1 | r x [] | r x [1]", None, Some(ReadAtomic)),
    ("G-nonadjacent", "w x 1 | r x [1], w z 1 | r z [1], r y [] | w y 1 | r y [1], r x []",
        Some(Snapshots), None),
    ("G-nonadjacent-process", "w z 1 | r x [] | w x 1, w y 1 | r y [1], r z [] | r x [1], r z [1]",
        None, Some(Snapshots)),
    ("G-nonadjacent-realtime", "w z 1 | r x [] | w x 1, w y 1 | r y [1], r z [] | r x [1], r z [1]",
        None, Some(Snapshots)),
    ("G2-item", "r x [], w y 1 | r y [], w z 1 | r z [], w x 1 | r x [1], r y [1], r z [1]",
        Some(Serial), None),
    ("G2-item-process", "w y 1 | r x [] | r y [], w x 1 | r x [1], r y [1]", None, Some(Serial)),
    ("G2-item-realtime", "w y 1 | r x [] | r y [], w x 1 | r x [1], r y [1]", None, Some(Serial)),
    ("lost-update", "r x [], w x 1 | r x [], w x 2 | r x [1 2]", Some(ParallelSnapshots), None),
    ("write-skew", "r x [], r y [], w x 1 | r x [], r y [], w y 1 | r x [1], r y [1]", Some(Serial), None),
    ("long-fork", "w x 1 | w y 1 | r x [1], r y [] | r x [], r y [1]", Some(Snapshots), None),
    ("internal", "w x 1, r x []", Some(ReadCommitted), None),
    ("dirty-update", "fail w x 1 | w x 2 | r x [1 2]", Some(ReadCommitted), None),
    ("duplicate-elements", "w x 1 | r x [1 1]", Some(ReadCommitted), None),
    ("incompatible-order", "w x 1 | w x 2 | r x [1 2] | r x [2 1]", Some(ReadCommitted), None),
    ("future-read", "r x [1], w x 1", Some(ReadCommitted), None),
    ("garbage-read", "r x [1]", Some(ReadCommitted), None),
    ("cyclic-versions", "r x [1], w x 2 | r x [2], w x 1", Some(ReadCommitted), None),
    ("fractured-read", "w x 1, w y 1 | r y [], r x [1] | r x [1], r y [1]", Some(ReadAtomic), None),
    ("non-monotonic-read", "w x 1, w y 1 | r x [1], r y [] | r x [1], r y [1]", Some(ReadCommitted), None),
    ("causality-violation", "w x 1 | r x [1], w y 1 | r y [1], r x []", Some(Causal), None),
];

#[test]
fn planted_transactions_break_what_they_are_documented_to_break() {
    for ((name, transactions, plain, ordered), anomaly) in TABLE.into_iter().zip(PlantedAnomaly::ALL) {
        assert_eq!(name, anomaly.name());
        for kind in KINDS.into_iter().filter(|kind| anomaly.fits(*kind)) {
            for seed in 0..3 {
                let (_, rows) = planted_rows(anomaly, kind, seed);
                assert_eq!(diagrams(&rows), last_of_lists(transactions, kind), "{name}");
                let before = |by_session: bool| {
                    let rows = &rows;
                    let pairs = (0..rows.len()).flat_map(|a| (0..rows.len()).map(move |b| (a, b)));
                    let in_order = pairs.filter(move |&(a, b)| {
                        let same = rows[a].process == rows[b].process;
                        rows[a].completed < rows[b].invoked && (same || !by_session)
                    });
                    in_order.collect::<Vec<_>>()
                };
                let (session, realtime) = (before(true), before(false));
                let weakest = |before: &[(usize, usize)]| Trial { rows: &rows, kind, before }.weakest();
                assert_eq!(weakest(&[]), plain, "{name} of {kind:?}");
                let by_session = if name.ends_with("-realtime") { plain } else { plain.or(ordered) };
                assert_eq!(weakest(&session), by_session, "{name} of {kind:?} by sessions");
                assert_eq!(weakest(&realtime), plain.or(ordered), "{name} of {kind:?} by real time");
            }
        }
    }
}

/// All rows of a busy history, and those of the anomaly in the order of its diagram.
pub(super) fn planted_rows(anomaly: PlantedAnomaly, kind: Kind, seed: u64) -> (Vec<Row>, Vec<Row>) {
    let plan = Transactional {
        transactions: 60,
        sessions: 8,
        anomaly: Some(anomaly),
        anomaly_at: [0.0, 0.5, 1.0][seed as usize % 3],
        timestamps: true,
        seed,
        ..Transactional::new(kind)
    };
    let (history, planted) = plan.generate_with_plant().unwrap();
    let rows = rows(&history);
    let chosen = planted.transactions.iter().map(|&id| rows[id as usize].clone()).collect();
    (rows, chosen)
}

fn diagrams(rows: &[Row]) -> String {
    let first = rows.iter().flat_map(|row| &row.ops).map(|op| op.key).min().unwrap();
    let each = rows.iter().map(|row| {
        let fail = if row.is_ok() { "" } else { "fail " };
        format!("{fail}{}", rows::diagram(row, first))
    });
    each.collect::<Vec<_>>().join(" | ")
}

/// A register shows the last element of what a list would show.
fn last_of_lists(diagrams: &str, kind: Kind) -> String {
    if kind == Kind::ListAppend { diagrams.to_owned() } else { diagrams.replace("[1 2]", "[2]") }
}

/// Transactions, and pairs of them of which the first comes before the second.
struct Trial<'r> {
    rows: &'r [Row],
    kind: Kind,
    before: &'r [(usize, usize)],
}

impl Trial<'_> {
    /// The weakest level that no order makes come true; every stronger one must be broken, too.
    fn weakest(&self) -> Option<Breaks> {
        let all = [ReadCommitted, ReadAtomic, Causal, ParallelSnapshots, Snapshots, Serial];
        let broken = all.map(|level| !self.is_readable() || !self.holds(level));
        assert!(broken.is_sorted(), "what is broken at a weak level is broken at a strong one: {broken:?}");
        all.into_iter().zip(broken).find(|(_, broken)| *broken).map(|(level, _)| level)
    }

    fn holds(&self, level: Breaks) -> bool {
        match level {
            Serial | Snapshots => self.runs(level == Serial),
            ParallelSnapshots => self.orders_of_versions().iter().any(|orders| !self.has_cycle(orders)),
            _ => self.commit_orders().iter().any(|order| self.explains(order, level)),
        }
    }

    fn committed(&self) -> Vec<usize> {
        (0..self.rows.len()).filter(|&id| self.rows[id].is_ok()).collect()
    }

    fn writer(&self, key: i64, value: i64) -> Option<usize> {
        (0..self.rows.len()).find(|&id| self.rows[id].writes(key).contains(&value))
    }

    /// The transaction from which a read is; none for the initial version.
    fn read_from(&self, op: &rows::Op) -> Option<usize> {
        op.values.last().and_then(|&value| self.writer(op.key, value))
    }

    /// What every level asks for: reads are of somebody's last committed write, or one's own last one.
    fn is_readable(&self) -> bool {
        self.committed().into_iter().all(|id| {
            let row = &self.rows[id];
            (0..row.len()).filter(|&at| !row.ops[at].write).all(|at| {
                let op = &row.ops[at];
                let own = row.ops[..at].iter().rfind(|own| own.write && own.key == op.key);
                if let Some(own) = own {
                    return own.values.last() == op.values.last();
                }
                let mut distinct = op.values.clone();
                distinct.sort_unstable();
                distinct.dedup();
                let last = op.values.last();
                distinct.len() == op.values.len()
                    && op.values.iter().all(|&value| {
                        let writer = self.writer(op.key, value).filter(|writer| *writer != id);
                        writer.is_some_and(|writer| {
                            let is_final = self.rows[writer].writes(op.key).last() == Some(&value);
                            self.rows[writer].is_ok() && (is_final || last != Some(&value))
                        })
                    })
            })
        })
    }

    /// One after the other or, unless `serially`, with a snapshot at first and a commit later, of which the
    /// first one to a key wins: whether all can run to the end, by trying every next step.
    fn runs(&self, serially: bool) -> bool {
        type State = BTreeMap<i64, Vec<i64>>;
        #[derive(Clone)]
        struct World {
            state: State,
            started: BTreeMap<usize, State>,
            done: Vec<usize>,
        }
        let see = |state: &State, key| {
            let list = state.get(&key).cloned().unwrap_or_default();
            if self.kind == Kind::Register { list.last().copied().into_iter().collect() } else { list }
        };
        let reads_right = |row: &Row, state: &State| {
            let mut state = state.clone();
            row.ops.iter().all(|op| {
                if op.write {
                    state.entry(op.key).or_default().extend(&op.values);
                }
                op.write || see(&state, op.key) == op.values
            })
        };
        let committed = self.committed();
        let mut worlds = vec![World { state: State::new(), started: BTreeMap::new(), done: vec![] }];
        while let Some(world) = worlds.pop() {
            if world.done.len() == committed.len() {
                return true;
            }
            for &id in committed.iter().filter(|id| !world.done.contains(id)) {
                let row = &self.rows[id];
                let mut next = world.clone();
                if !world.started.contains_key(&id) {
                    let due = self.before.iter().filter(|pair| pair.1 == id && self.rows[pair.0].is_ok());
                    if !reads_right(row, &world.state)
                        || !due.map(|pair| pair.0).all(|id| world.done.contains(&id))
                    {
                        continue;
                    }
                    next.started.insert(id, world.state.clone());
                    if !serially {
                        worlds.push(next);
                        continue;
                    }
                }
                let unchanged = |key: &i64| world.state.get(key) == next.started[&id].get(key);
                if row.written_keys().iter().all(unchanged) {
                    for op in row.ops.iter().filter(|op| op.write) {
                        next.state.entry(op.key).or_default().extend(&op.values);
                    }
                    next.done.push(id);
                    worlds.push(next);
                }
            }
        }
        false
    }

    /// All orders of the committed transactions that respect `before` and have writers before readers.
    fn commit_orders(&self) -> Vec<Vec<usize>> {
        let fits = |order: &Vec<usize>| {
            let place = |id| order.iter().position(|other| *other == id);
            let by_order = self.before.iter().all(|pair| match (place(pair.0), place(pair.1)) {
                (Some(a), Some(b)) => a < b,
                _ => true,
            });
            let by_reads = order.iter().all(|&id| {
                let reads = self.rows[id].ops.iter().filter(|op| !op.write);
                reads.filter_map(|op| self.read_from(op)).all(|from| from == id || place(from) < place(id))
            });
            by_order && by_reads
        };
        permutations(&self.committed()).into_iter().filter(fits).collect()
    }

    /// The axioms of Biswas and Enea (2019): whoever reads a key from t1, and sees t2 that wrote it, has t2
    /// before t1 in the commit order. What one sees depends on the level. Lists show that order.
    fn explains(&self, order: &[usize], level: Breaks) -> bool {
        let place = |id| order.iter().position(|other| *other == id).unwrap();
        let sees = |id: usize| -> Vec<usize> {
            let reads = self.rows[id].ops.iter().filter(|op| !op.write);
            let from = reads.filter_map(|op| self.read_from(op)).filter(|from| *from != id);
            let due = self.before.iter().filter(|pair| pair.1 == id && self.rows[pair.0].is_ok());
            from.chain(due.map(|pair| pair.0)).collect()
        };
        order.iter().all(|&id| {
            let row = &self.rows[id];
            let mut seen = sees(id);
            if level == Causal {
                let mut at = 0;
                while at < seen.len() {
                    seen.extend(
                        sees(seen[at]).into_iter().filter(|more| !seen.contains(more)).collect::<Vec<_>>(),
                    );
                    at += 1;
                }
            }
            (0..row.len()).filter(|&at| !row.ops[at].write).all(|at| {
                let op = &row.ops[at];
                if level == ReadCommitted {
                    let earlier = row.ops[..at].iter().filter(|op| !op.write);
                    seen = earlier.filter_map(|op| self.read_from(op)).filter(|from| *from != id).collect();
                }
                let from = self.read_from(op);
                let writes = |id: &usize| !self.rows[*id].writes(op.key).is_empty();
                let mut newer = seen.iter().filter(|seen| writes(seen) && Some(**seen) != from);
                let latest = newer.all(|newer| from.is_some_and(|from| place(*newer) < place(from)));
                latest && (self.kind == Kind::Register || self.shows(op, order))
            })
        })
    }

    /// Whether the list is what its writers appended in that order, up to its last element.
    fn shows(&self, op: &rows::Op, order: &[usize]) -> bool {
        let all: Vec<i64> = order.iter().flat_map(|id| self.rows[*id].writes(op.key)).collect();
        all.starts_with(&op.values)
    }

    /// Every choice of an order of the writers of each key; of lists those that are shown.
    fn orders_of_versions(&self) -> Vec<BTreeMap<i64, Vec<usize>>> {
        let committed = self.committed();
        let mut choices = vec![BTreeMap::new()];
        let keys: std::collections::BTreeSet<i64> =
            self.rows.iter().flat_map(|row| &row.ops).map(|op| op.key).collect();
        for key in keys {
            let writers: Vec<usize> =
                committed.iter().copied().filter(|id| !self.rows[*id].writes(key).is_empty()).collect();
            let shown = |order: &Vec<usize>| {
                let reads = committed.iter().flat_map(|id| &self.rows[*id].ops).filter(|op| !op.write);
                self.kind == Kind::Register
                    || reads.filter(|op| op.key == key).all(|op| self.shows(op, order))
            };
            let orders: Vec<Vec<usize>> = permutations(&writers).into_iter().filter(shown).collect();
            let extended = choices.iter().flat_map(|choice: &BTreeMap<i64, Vec<usize>>| {
                orders.iter().map(move |order| {
                    let mut choice = choice.clone();
                    choice.insert(key, order.clone());
                    choice
                })
            });
            choices = extended.collect();
        }
        choices
    }

    /// Whether dependencies and `before` have a cycle with at most one anti-dependency: what parallel
    /// snapshot isolation forbids (Cerone, Gotsman 2016).
    fn has_cycle(&self, orders: &BTreeMap<i64, Vec<usize>>) -> bool {
        // Two layers: an anti-dependency leads from the first to the second.
        let len = self.rows.len();
        let mut edges = vec![];
        let mut dependency = |a: usize, b: usize| edges.extend([(a, b), (a + len, b + len)]);
        let mut anti = vec![];
        for (a, b) in self.before.iter().filter(|pair| self.rows[pair.0].is_ok() && self.rows[pair.1].is_ok())
        {
            dependency(*a, *b);
        }
        for (key, order) in orders {
            order.windows(2).for_each(|pair| dependency(pair[0], pair[1]));
            for id in self.committed() {
                for op in self.rows[id].ops.iter().filter(|op| !op.write && op.key == *key) {
                    let from = self.read_from(op);
                    if let Some(from) = from.filter(|from| *from != id) {
                        dependency(from, id);
                    }
                    let place =
                        from.map_or(0, |from| 1 + order.iter().position(|writer| *writer == from).unwrap());
                    anti.extend(
                        order[place..].iter().filter(|writer| **writer != id).map(|writer| (id, *writer)),
                    );
                }
            }
        }
        edges.extend(anti.into_iter().map(|(a, b)| (a, b + len)));
        let reaches = |start: usize, end: usize| {
            let (mut found, mut at) = (vec![start], 0);
            while at < found.len() {
                let from = found[at];
                for edge in edges.iter().filter(|edge| edge.0 == from) {
                    if edge.1 == end {
                        return true;
                    }
                    if !found.contains(&edge.1) {
                        found.push(edge.1);
                    }
                }
                at += 1;
            }
            false
        };
        (0..len).any(|id| reaches(id, id) || reaches(id, id + len))
    }
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for _ in items {
        let longer = all.iter().flat_map(|start: &Vec<usize>| {
            let rest = items.iter().filter(|item| !start.contains(item));
            rest.map(|item| [&start[..], &[*item]].concat())
        });
        all = longer.collect();
    }
    all
}
