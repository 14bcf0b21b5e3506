//! Planted transactions run in the midst of the load, at the times that they need, and are all that is
//! wrong there.

use super::oracle::planted_rows;
use super::*;

#[test]
fn planted_transactions_overlap_unless_an_order_is_documented() {
    for (kind, anomaly) in kinds_and_anomalies() {
        for seed in 0..12 {
            let (_, rows) = planted_rows(anomaly, kind, seed);
            let (session, realtime) =
                (anomaly.name().ends_with("-process"), anomaly.name().ends_with("-realtime"));
            for b in 0..rows.len() {
                for a in 0..b {
                    let is_first_pair = (a, b) == (0, 1);
                    let overlaps = rows[a].invoked < rows[b].completed && rows[b].invoked < rows[a].completed;
                    assert_eq!(overlaps, !(is_first_pair && (session || realtime)), "{anomaly}: {rows:?}");
                    let same = rows[a].process == rows[b].process;
                    assert_eq!(same, is_first_pair && session, "{anomaly}: {rows:?}");
                }
            }
            if session || realtime {
                assert_eq!(rows[1].invoked, rows[0].completed + 1, "nothing happens between the two");
            }
        }
    }
}

#[test]
fn planted_transactions_run_in_the_midst_of_the_load() {
    for (kind, anomaly) in kinds_and_anomalies() {
        for (anomaly_at, place) in [(0.0, 0..60), (0.3, 290..360), (1.0, 900..1_000)] {
            let plan = Transactional {
                anomaly: Some(anomaly),
                anomaly_at,
                sessions: 20,
                ..Transactional::new(kind)
            };
            let (history, planted) = plan.generate_with_plant().unwrap();
            let rows = rows(&history);
            assert_eq!(rows.len(), 1_000);
            for &id in &planted.transactions {
                assert!(place.contains(&id), "{anomaly} at {id}, not at {place:?}");
                let row = &rows[id as usize];
                let keys: Vec<i64> = row.ops.iter().map(|op| op.key).collect();
                let others = || (0..).zip(&rows).filter(|(other, _)| !planted.transactions.contains(other));
                assert!(others().all(|(_, other)| other.ops.iter().all(|op| !keys.contains(&op.key))));
                let meanwhile = |other: &Row| other.invoked < row.completed && row.invoked < other.completed;
                assert!(
                    others().filter(|(_, other)| meanwhile(other)).count() >= 10,
                    "{anomaly} at {anomaly_at}: {}",
                    others().filter(|(_, other)| meanwhile(other)).count()
                );
            }
        }
    }
}

/// As few sessions and transactions as the anomaly has itself.
#[test]
fn anomalies_fit_the_smallest_history_that_is_not_refused() {
    for (kind, anomaly) in kinds_and_anomalies() {
        for seed in 0..20 {
            let script = Script::of(anomaly);
            let plan = Transactional {
                anomaly: Some(anomaly),
                sessions: script.sessions() as u32,
                transactions: script.transactions() as u32 + seed as u32 % 3,
                anomaly_at: [0.0, 0.5, 1.0][seed as usize % 3],
                seed,
                ..Transactional::new(kind)
            };
            let (history, planted) = plan.generate_with_plant().unwrap();
            assert_eq!(history.len(), plan.transactions as usize);
            assert!(planted.transactions.iter().all(|id| (*id as usize) < history.len()), "{planted:?}");
        }
    }
}

/// Every edge that a checker of strict serializability could draw, by the definitions, in the whole
/// history: whoever is in a cycle was planted. Its twin: for an anomaly that is a cycle somebody is, and
/// without the anomaly nobody.
#[test]
fn no_cycle_leads_through_the_load() {
    for (kind, anomaly) in kinds_and_anomalies() {
        let mut cyclic = 0;
        for seed in 0..6 {
            let (rows, planted) = planted_rows(anomaly, kind, seed);
            let edges = graph::edges(&rows, kind, true);
            let in_cycle: Vec<usize> = (0..rows.len()).filter(|&id| edges[id] >> id & 1 == 1).collect();
            assert!(in_cycle.iter().all(|&id| planted.contains(&rows[id])), "{anomaly}, seed {seed}");
            cyclic += u32::from(!in_cycle.is_empty());
        }
        let name = anomaly.name();
        let has_cycle = name.starts_with('G') || name.contains("skew") || name.contains("fork");
        if has_cycle && !matches!(anomaly, PlantedAnomaly::G1a | PlantedAnomaly::G1b) {
            assert_eq!(cyclic, 6, "{anomaly}");
        }
    }
    for kind in KINDS {
        let plan = Transactional { transactions: 60, timestamps: true, ..Transactional::new(kind) };
        let rows = rows(&plan.generate().unwrap());
        assert!((0..60).all(|id| graph::edges(&rows, kind, true)[id] >> id & 1 == 0));
    }
}
