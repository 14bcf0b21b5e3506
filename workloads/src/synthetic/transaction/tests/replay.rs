//! Valid histories are replayed from their timestamps: each read must be what its level says that it is.

use super::*;
use std::collections::BTreeMap;

/// The versions of a key in the order of their commits: when, by which row, what.
type Versions = BTreeMap<i64, Vec<(i64, usize, i64)>>;

fn versions(rows: &[Row], kind: Kind) -> Versions {
    let mut order: Vec<usize> = (0..rows.len()).filter(|&id| rows[id].stamps.is_some()).collect();
    order.sort_by_key(|&id| rows[id].stamps.unwrap().commit);
    let mut versions = Versions::new();
    for id in order {
        let commit = rows[id].stamps.unwrap().commit;
        for key in rows[id].written_keys() {
            let mut writes = rows[id].writes(key);
            if kind == Kind::Register {
                writes.drain(..writes.len() - 1);
            }
            let written = writes.into_iter().map(|value| (commit, id, value));
            versions.entry(key).or_default().extend(written);
        }
    }
    versions
}

/// What a read at time `at` returns, committed versions being visible from the moment after on, to a
/// transaction that has itself done `before`.
fn expected(versions: &Versions, kind: Kind, at: i64, before: &[rows::Op], key: i64) -> Vec<i64> {
    let committed = versions.get(&key).into_iter().flatten().filter(|version| version.0 < at);
    let own = before.iter().filter(|op| op.write && op.key == key).map(|op| op.values[0]);
    let mut list: Vec<i64> = committed.map(|version| version.2).chain(own).collect();
    if kind == Kind::Register {
        list.drain(..list.len().saturating_sub(1));
    }
    list
}

/// Whether every read is what it would be at its moment, and nothing is committed that the level forbids.
fn replay(rows: &[Row], kind: Kind, level: Level) -> Result<(), String> {
    let versions = versions(rows, kind);
    let commits = |key: i64, from: i64, to: i64| {
        versions.get(&key).into_iter().flatten().filter(move |version| from < version.0 && version.0 < to)
    };
    for (id, row) in rows.iter().enumerate() {
        let Some(stamps) = row.stamps else {
            if row.is_ok() {
                return Err(format!("no timestamps: {row:?}"));
            }
            continue;
        };
        let inside = row.invoked_ns < stamps.start && stamps.commit < row.completed_ns;
        if stamps.start > stamps.commit || (level != Level::Serializable && !inside) {
            return Err(format!("effective at the wrong time: {row:?}"));
        }
        let mut moment = stamps.start;
        for (at, op) in row.ops.iter().enumerate() {
            let is_at = |moment| expected(&versions, kind, moment, &row.ops[..at], op.key) == op.values;
            let fits = match level {
                _ if op.write && level == Level::SnapshotIsolation => {
                    commits(op.key, stamps.start, stamps.commit).all(|version| version.1 == id)
                }
                _ if op.write || !row.is_ok() => true,
                Level::StrictSerializable | Level::Serializable => is_at(stamps.commit),
                Level::SnapshotIsolation => is_at(stamps.start),
                _ => {
                    // The first moment, not before the last read's, at which the read is right.
                    let later = commits(op.key, moment, stamps.commit).map(|version| version.0 + 1);
                    let found = [moment].into_iter().chain(later).find(|&moment| is_at(moment));
                    moment = found.unwrap_or(moment);
                    found.is_some()
                }
            };
            if !fits {
                return Err(format!("{op:?} at {at} of {row:?}"));
            }
        }
    }
    Ok(())
}

fn plan(kind: Kind, level: Level, seed: u64) -> Transactional {
    Transactional {
        transactions: 300,
        keys: 4,
        level,
        timestamps: true,
        abort_rate: 0.05,
        crash_rate: 0.05,
        read_modify_write: seed.is_multiple_of(3),
        key_skew: [Skew::Uniform, Skew::Zipf(1.0)][seed as usize % 2],
        session_skew: [Skew::Uniform, Skew::Zipf(1.0)][seed as usize / 2 % 2],
        seed,
        ..Transactional::new(kind)
    }
}

/// The levels at which every read has a moment.
const REPLAYED: [Level; 4] =
    [Level::StrictSerializable, Level::Serializable, Level::SnapshotIsolation, Level::ReadCommitted];

#[test]
fn valid_histories_replay_at_their_level() {
    for (kind, level) in kinds_and_levels().filter(|(_, level)| REPLAYED.contains(level)) {
        for seed in 0..20 {
            let rows = rows(&plan(kind, level, seed).generate().unwrap());
            let committed = rows.iter().filter(|row| row.is_ok()).count();
            assert!(committed > 60, "{level}: only {committed} commit");
            replay(&rows, kind, level).unwrap_or_else(|error| panic!("{level}, seed {seed}: {error}"));
        }
    }
}

#[test]
fn a_weaker_levels_histories_do_not_replay_at_a_stronger_one() {
    for kind in KINDS {
        for (given, demanded) in [
            (Level::Serializable, Level::StrictSerializable),
            (Level::SnapshotIsolation, Level::Serializable),
            (Level::ReadCommitted, Level::SnapshotIsolation),
        ] {
            let replays = |seed| replay(&rows(&plan(kind, given, seed).generate().unwrap()), kind, demanded);
            assert!((0..10).all(|seed| replays(seed).is_err()), "{given} histories are {demanded}");
        }
        // The replayer looks at every value.
        let mut rows = rows(&plan(kind, Level::StrictSerializable, 1).generate().unwrap());
        let reads = rows.iter_mut().filter(|row| row.is_ok()).flat_map(|row| &mut row.ops);
        let read = reads.filter(|op| !op.write && !op.values.is_empty()).last().unwrap();
        read.values[0] += 1;
        assert!(replay(&rows, kind, Level::StrictSerializable).is_err());
    }
}

/// The timestamps of what is planted are those of an honest store: what snapshot isolation allows replays,
/// anything else does not.
#[test]
fn planted_transactions_have_timestamps_that_give_them_away() {
    for (kind, anomaly) in kinds_and_anomalies() {
        for seed in 0..5 {
            let level = Level::SnapshotIsolation;
            let plan = Transactional { anomaly: Some(anomaly), ..plan(kind, level, seed) };
            let rows = rows(&plan.generate().unwrap());
            let allowed = matches!(
                anomaly,
                PlantedAnomaly::WriteSkew
                    | PlantedAnomaly::G2Item
                    | PlantedAnomaly::G2ItemProcess
                    | PlantedAnomaly::G2ItemRealtime
            );
            let found = replay(&rows, kind, level);
            assert_eq!(found.is_ok(), allowed, "{anomaly}: {found:?}");
            assert!(replay(&rows, kind, Level::Serializable).is_err());
        }
    }
}

/// For levels at which a transaction sees a set of others: the relation "comes before" of the committed
/// ones by sessions and reads, and its transitive closure, by bits.
struct Visible {
    direct: Vec<u64>,
    closed: Vec<u64>,
}

fn visible(rows: &[&Row], writer: &BTreeMap<(i64, i64), usize>) -> Visible {
    let mut direct = vec![0_u64; rows.len()];
    for (id, row) in rows.iter().enumerate() {
        for (other, earlier) in rows.iter().enumerate() {
            let session = earlier.process == row.process && earlier.invoked < row.invoked;
            direct[id] |= u64::from(session) << other;
        }
        for op in row.ops.iter().filter(|op| !op.write) {
            let read = op.values.last().and_then(|value| writer.get(&(op.key, *value)));
            direct[id] |= read.filter(|read| **read != id).map_or(0, |read| 1 << read);
        }
    }
    let mut closed = direct.clone();
    for middle in 0..rows.len() {
        let through = closed[middle];
        closed.iter_mut().filter(|set| **set >> middle & 1 == 1).for_each(|set| *set |= through);
    }
    Visible { direct, closed }
}

/// By the store's order of commits: whether what each transaction sees holds all of whatever it has read
/// from (or what that has read from, too), and whether two ever replaced the same version.
#[derive(Debug, PartialEq, Eq)]
struct Findings {
    read_atomic: bool,
    causal: bool,
    lost_update: bool,
}

fn findings(rows: &[Row]) -> Findings {
    // Crashed ones that took effect may be read; what they read themselves is not known.
    let mut committed: Vec<Row> = rows.iter().filter(|row| row.stamps.is_some()).cloned().collect();
    for row in committed.iter_mut().filter(|row| !row.is_ok()) {
        row.ops.retain(|op| op.write);
    }
    committed.sort_by_key(|row| row.stamps.unwrap().commit);
    let rows: Vec<&Row> = committed.iter().collect();
    assert!(rows.len() <= 64);
    let mut writer = BTreeMap::new();
    for (id, row) in rows.iter().enumerate() {
        for op in row.ops.iter().filter(|op| op.write) {
            writer.insert((op.key, op.values[0]), id);
        }
    }
    let visible = visible(&rows, &writer);
    let complete = |sets: &[u64]| {
        rows.iter().zip(sets).all(|(row, set)| {
            (0..row.len()).filter(|&at| !row.ops[at].write).all(|at| {
                let op = &row.ops[at];
                if row.ops[..at].iter().any(|own| own.write && own.key == op.key) {
                    return true;
                }
                let latest = (0..rows.len())
                    .rev()
                    .find(|id| set >> id & 1 == 1 && !rows[*id].writes(op.key).is_empty());
                let read = op.values.last().and_then(|value| writer.get(&(op.key, *value))).copied();
                latest <= read
            })
        })
    };
    let mut replaced = std::collections::BTreeSet::new();
    let lost_update = !rows.iter().filter(|row| row.is_ok()).all(|row| {
        row.written_keys().into_iter().all(|key| {
            let first = row.ops.iter().find(|op| op.key == key).unwrap();
            first.write || replaced.insert((key, first.values.last().copied()))
        })
    });
    Findings { read_atomic: complete(&visible.direct), causal: complete(&visible.closed), lost_update }
}

#[test]
fn partly_replicated_levels_hold_what_they_promise_and_no_more() {
    for (kind, level) in kinds_and_levels() {
        let mut seen = [0; 3];
        for seed in 0..40 {
            let plan = Transactional {
                transactions: 60,
                crash_rate: 0.02,
                abort_rate: 0.02,
                ..plan(kind, level, seed)
            };
            let Findings { read_atomic, causal, lost_update } = findings(&rows(&plan.generate().unwrap()));
            for (count, found) in seen.iter_mut().zip([read_atomic, causal, !lost_update]) {
                *count += i32::from(found);
            }
        }
        // Of 40 histories, how many are read atomic, causal, and without a lost update.
        let (always, often) = (40..=40, 0..=20);
        let expected = match level {
            Level::StrictSerializable | Level::SnapshotIsolation | Level::ParallelSnapshotIsolation => {
                [always.clone(), always.clone(), always]
            }
            // Sessions may lose sight of their own past.
            Level::Serializable => [often.clone(), often, always],
            Level::Causal => [always.clone(), always, often],
            Level::ReadAtomic => [always, often.clone(), often],
            Level::ReadCommitted => [often.clone(), often.clone(), often],
        };
        for (count, expected) in seen.iter().zip(&expected) {
            assert!(expected.contains(count), "{kind:?} {level}: {seen:?}");
        }
    }
}

/// Long forks: a pair of writers, each seen without the other.
#[test]
fn parallel_snapshots_fork_and_single_ones_do_not() {
    let forks = |kind, level| {
        let mut forked = 0;
        for seed in 0..20 {
            let rows = rows(&plan(kind, level, seed).generate().unwrap());
            let versions = versions(&rows, kind);
            let place = |key, value: Option<&i64>| {
                let value = value?;
                versions.get(&key)?.iter().position(|version| version.2 == *value)
            };
            // What each saw of each key, as places in the order of versions.
            let sights: Vec<BTreeMap<i64, Option<usize>>> = rows
                .iter()
                .filter(|row| row.is_ok() && row.ops.iter().all(|op| !op.write))
                .map(|row| row.ops.iter().map(|op| (op.key, place(op.key, op.values.last()))).collect())
                .collect();
            let before = |a: &BTreeMap<_, _>, b: &BTreeMap<i64, Option<usize>>| {
                a.iter().any(|(key, seen)| b.get(key).is_some_and(|other| seen < other))
            };
            let disagree = |a, b| before(a, b) && before(b, a);
            forked +=
                u32::from((0..sights.len()).any(|i| sights[..i].iter().any(|a| disagree(a, &sights[i]))));
        }
        forked
    };
    for kind in KINDS {
        let forked = forks(kind, Level::ParallelSnapshotIsolation);
        assert!(forked > 10, "only {forked} of 20");
        assert_eq!(forks(kind, Level::SnapshotIsolation), 0);
    }
}

/// Cycles of what transactions read and wrote, without any order in time: anti-dependencies close them.
#[test]
fn snapshots_show_write_skew_and_serial_orders_none() {
    for kind in KINDS {
        for (level, expected) in [
            (Level::SnapshotIsolation, 10..=20),
            (Level::Serializable, 0..=0),
            (Level::StrictSerializable, 0..=0),
        ] {
            let is_cyclic = |seed| {
                let plan = Transactional { transactions: 60, ..plan(kind, level, seed) };
                let rows = rows(&plan.generate().unwrap());
                let edges = graph::edges(&rows, kind, false);
                (0..rows.len()).any(|id| edges[id] >> id & 1 == 1)
            };
            let cyclic = (0..20).filter(|seed| is_cyclic(*seed)).count();
            assert!(expected.contains(&cyclic), "{kind:?} {level}: {cyclic} of 20 have a cycle");
        }
    }
}
