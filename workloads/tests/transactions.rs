//! Transactions that are wrong in one known way, and transactions that are not wrong: what the judges of
//! isolation make of them.

use shakedown_checkers::history::History;
use shakedown_checkers::transaction::anomaly::Anomaly;
use shakedown_checkers::transaction::explain::cast;
use shakedown_checkers::transaction::{IsolationOptions, Kind, Report, Standing, check};
use shakedown_checkers::validate::anomaly::validate_report;
use shakedown_workloads::synthetic::transaction::{Level, PlantedAnomaly, Transactional, anomalies_for};
use std::collections::BTreeSet;

const KINDS: [Kind; 2] = [Kind::ListAppend, Kind::Register];

fn plan(kind: Kind, transactions: u32, seed: u64) -> Transactional {
    let mut plan = Transactional::new(kind);
    plan.transactions = transactions;
    plan.sessions = plan.sessions.min(transactions / 4).max(4);
    plan.seed = seed;
    plan
}

/// Judges, and has everything that is claimed re-checked.
fn judge(history: &History, kind: Kind) -> Report {
    let mut options = IsolationOptions::new(kind);
    options.forbid_unwritten = true;
    options.certify = true;
    let report = check(history, kind, &options).unwrap();
    validate_report(&report, history.values()).unwrap();
    report
}

fn holds(report: &Report, level: &str) -> bool {
    report.standing(level.parse().unwrap()) == Standing::Holds
}

/// Every name that an anomaly goes by.
fn names(anomaly: &Anomaly) -> Vec<String> {
    anomaly.also.map(str::to_owned).into_iter().chain([anomaly.name()]).collect()
}

/// The planted anomaly is found under its name, and so is nothing that it is not about.
fn find(kind: Kind, planted: PlantedAnomaly, transactions: u32, seed: u64) {
    let mut plan = plan(kind, transactions, seed);
    plan.anomaly = Some(planted);
    let (history, plant) = plan.generate_with_plant().unwrap();
    let report = judge(&history, kind);
    let told: BTreeSet<String> = report.anomalies.iter().flat_map(names).collect();
    let about = format!("{kind:?}, {} in {transactions} transactions, seed {seed}", planted.name());
    assert!(matches!(report.verdict, Standing::Violated(_)), "{about}: {told:?}");
    assert!(told.contains(planted.name()), "{about}: {told:?}");
    for anomaly in &report.anomalies {
        for txn in cast(anomaly) {
            let op = report.txns.txn(txn).op;
            assert!(plant.transactions.contains(&op), "{about}: {} is about {op} too", anomaly.name());
        }
    }
}

#[test]
fn every_planted_anomaly_is_found_under_its_name_and_nothing_else_is() {
    for kind in KINDS {
        for planted in anomalies_for(kind) {
            for (transactions, seed) in [(30, 1), (30, 2), (300, 3), (3_000, 4)] {
                find(kind, planted, transactions, seed);
            }
        }
    }
}

#[test]
fn one_wrong_transaction_among_a_hundred_thousand_is_found() {
    find(Kind::ListAppend, PlantedAnomaly::GSingle, 100_000, 5);
    find(Kind::Register, PlantedAnomaly::LostUpdate, 100_000, 6);
}

/// What a store guarantees, its histories show, whatever its load; and what it does not guarantee, some of
/// them lack.
#[test]
fn a_store_is_found_to_be_what_it_is() {
    for (level, holding, lacking) in [
        (Level::StrictSerializable, "strict-serializable", None),
        (Level::Serializable, "serializable", Some("strict-serializable")),
        (Level::SnapshotIsolation, "strong-snapshot-isolation", Some("serializable")),
    ] {
        for kind in KINDS {
            let (mut lacks, mut decided) = (false, 0);
            for seed in 0..12 {
                let mut plan = plan(kind, 200, seed);
                plan.level = level;
                plan.abort_rate = 0.1;
                plan.crash_rate = 0.02;
                plan.keys = 3;
                let report = judge(&plan.generate().unwrap(), kind);
                let standing = report.standing(holding.parse().unwrap());
                // Of lists, what nobody saw may leave it open.
                let violated = matches!(standing, Standing::Violated(_));
                assert!(!violated, "{kind:?} {level:?} seed {seed}: {:#?}", report.anomalies);
                decided += u32::from(standing == Standing::Holds);
                lacks |= lacking.is_some_and(|lacking| !holds(&report, lacking));
            }
            assert!(decided >= 8, "{kind:?} {level:?}: {decided} of 12 decided");
            assert_eq!(lacks, lacking.is_some(), "{kind:?} {level:?}");
        }
    }
}

/// What is implied holds, on every history, whatever is wrong with it.
#[test]
fn a_level_that_holds_brings_all_that_it_implies() {
    for kind in KINDS {
        for planted in anomalies_for(kind) {
            let mut plan = plan(kind, 40, 9);
            plan.anomaly = Some(planted);
            let report = judge(&plan.generate().unwrap(), kind);
            for (stronger, first) in &report.standings {
                for (weaker, second) in report.standings.iter().filter(|entry| stronger.implies(entry.0)) {
                    let holds = *first == Standing::Holds;
                    let violated = matches!(second, Standing::Violated(_));
                    assert!(!holds || *second == Standing::Holds, "{planted:?}: {stronger}, {weaker}");
                    assert!(
                        !violated || matches!(first, Standing::Violated(_)),
                        "{planted:?}: {stronger}, {weaker}"
                    );
                }
            }
        }
    }
}
