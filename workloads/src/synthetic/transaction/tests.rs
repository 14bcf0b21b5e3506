//! Claims of the module's text, each checked on histories of every level and with every anomaly.

mod embedding;
mod graph;
mod oracle;
mod replay;
mod rows;

use super::*;
use rows::{Row, rows};
use shakedown_checkers::format::{self, Format, Limits};
use shakedown_checkers::history::Outcome;
use shakedown_checkers::transaction;

const KINDS: [Kind; 2] = [Kind::ListAppend, Kind::Register];

/// Every kind with every level that it can have.
fn kinds_and_levels() -> impl Iterator<Item = (Kind, Level)> {
    let all = KINDS.into_iter().flat_map(|kind| Level::ALL.map(|level| (kind, level)));
    all.filter(|(kind, level)| level.fits(*kind))
}

/// Every kind with every anomaly that it can have.
fn kinds_and_anomalies() -> impl Iterator<Item = (Kind, PlantedAnomaly)> {
    KINDS.into_iter().flat_map(|kind| anomalies_for(kind).map(move |anomaly| (kind, anomaly)))
}

fn written(history: &History, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    format::write(history, format, &mut out).unwrap();
    out
}

#[test]
fn a_seed_means_one_history() {
    for (kind, level) in kinds_and_levels() {
        let plan = Transactional {
            level,
            abort_rate: 0.1,
            crash_rate: 0.1,
            key_skew: Skew::Zipf(0.9),
            timestamps: true,
            anomaly: Some(PlantedAnomaly::GNonadjacentRealtime),
            seed: 42,
            ..Transactional::new(kind)
        };
        let make = |seed| {
            let (history, planted) = Transactional { seed, ..plan.clone() }.generate_with_plant().unwrap();
            let stamps: Vec<_> = history.operations().map(|op| history.timestamps_of(op.id)).collect();
            (written(&history, Format::Edn), planted, stamps)
        };
        assert_eq!(make(42), make(42));
        assert_ne!(make(42), make(43));
    }
}

#[test]
fn a_seed_means_the_same_on_every_platform() {
    let plan = Transactional {
        transactions: 8,
        sessions: 2,
        keys: 3,
        key_skew: Skew::Zipf(1.5),
        abort_rate: 0.3,
        crash_rate: 0.3,
        level: Level::SnapshotIsolation,
        timestamps: true,
        seed: 4,
        ..Transactional::new(Kind::ListAppend)
    };
    let history = plan.generate().unwrap();
    let rows: Vec<String> = history
        .operations()
        .map(|op| {
            let (value, stamps) = (history.values().show(op.output), history.timestamps_of(op.id));
            let stamps = stamps.map(|stamps| (stamps.start, stamps.commit));
            format!(
                "{} {:?} {value} [{}, {}] {stamps:?}",
                op.process, op.outcome, op.invoke_time_ns, op.complete_time_ns
            )
        })
        .collect();
    let expected = [
        "0 Ok [[:r 0 []]] [2, 544774] Some((48128, 50704))",
        "1 Fail [[:append 1 1] [:r 0 nil] [:r 0 nil] [:append 0 1]] [4, 4370398] None",
        "0 Ok [[:append 2 1] [:append 0 2]] [544776, 2212414] Some((633122, 1277238))",
        "0 Fail [[:r 0 nil] [:r 2 nil] [:append 1 2]] [2212416, 3104428] None",
        "0 Ok [[:append 1 3]] [3104430, 3589906] Some((3239652, 3514996))",
        "0 Info [[:r 0 nil] [:r 2 nil] [:r 2 nil] [:append 1 4]] [3589908, 3702792] Some((3648560, 3689292))",
        "2 Ok [[:append 2 2] [:append 0 3]] [3702794, 5642506] Some((5177604, 5588616))",
        "1 Fail [[:append 0 4]] [4370400, 6243550] None",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn what_is_written_reads_back() {
    for (kind, anomaly) in kinds_and_anomalies() {
        let plan = Transactional {
            transactions: 60,
            abort_rate: 0.1,
            crash_rate: 0.1,
            anomaly: Some(anomaly),
            ..Transactional::new(kind)
        };
        let history = plan.generate().unwrap();
        for format in [Format::Edn, Format::JsonLines] {
            let text = written(&history, format);
            let read = format::read(text.as_slice(), "h", Some(format), &Limits::default()).unwrap();
            assert_eq!(read.notes(), &[] as &[String]);
            assert_eq!(rows(&read), rows(&history), "{anomaly}");
            assert_eq!(written(&read, format), text, "{anomaly}");
        }
    }
}

#[test]
fn checkers_read_every_history_as_transactions() {
    for (kind, level) in kinds_and_levels() {
        for anomaly in anomalies_for(kind).map(Some).chain([None]) {
            let plan = Transactional {
                transactions: 40,
                level,
                anomaly,
                abort_rate: 0.1,
                crash_rate: 0.1,
                ..Transactional::new(kind)
            };
            let read = transaction::read(&plan.generate().unwrap(), kind);
            assert_eq!(read.unwrap().len(), 40, "{anomaly:?}");
        }
    }
}

#[test]
fn exactly_so_many_transactions_are_open_as_there_are_sessions() {
    for (kind, level) in kinds_and_levels() {
        let anomaly = Some(PlantedAnomaly::GNonadjacentProcess);
        let plan = Transactional { sessions: 7, crash_rate: 0.1, level, anomaly, ..Transactional::new(kind) };
        let history = plan.generate().unwrap();
        assert_eq!(history.len(), 1_000);
        let mut changes = vec![0_i32; history.event_count() as usize + 1];
        for op in history.operations() {
            changes[op.invoke_position as usize] += 1;
            changes[op.complete_position.min(history.event_count()) as usize] -= 1;
            assert!(op.invoke_time_ns < op.complete_time_ns);
        }
        let last = history.operation(999).invoke_position as usize;
        let mut open = 0;
        for (at, change) in changes.iter().enumerate().take(last + 1) {
            open += change;
            assert!(at < 7 || (6..=7).contains(&open), "{open} open at event {at}, {level}");
        }
    }
}

#[test]
fn crashes_and_aborts_come_at_their_rates() {
    let (kind, transactions) = (Kind::Register, 20_000);
    let plan = Transactional {
        transactions,
        abort_rate: 0.1,
        crash_rate: 0.1,
        timestamps: true,
        ..Transactional::new(kind)
    };
    let history = plan.generate().unwrap();
    let rows = rows(&history);
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    // Standard deviations of 42 and 40.
    assert!((1_830..2_170).contains(&count(Outcome::Fail)), "{}", count(Outcome::Fail));
    assert!((1_640..1_960).contains(&count(Outcome::Info)), "{}", count(Outcome::Info));
    let stamped = |outcome| rows.iter().filter(|row| row.outcome == outcome && row.stamps.is_some()).count();
    assert_eq!((stamped(Outcome::Ok), stamped(Outcome::Fail)), (count(Outcome::Ok), 0));
    let share = stamped(Outcome::Info) as f64 / count(Outcome::Info) as f64;
    assert!((0.44..0.56).contains(&share), "{share} of the crashed ones took effect");
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.outcome == Outcome::Info) {
        assert!(rows[at + 1..].iter().all(|later| later.process != row.process), "crashed processes retire");
    }
    assert!(rows.iter().any(|row| row.process >= 100), "sessions go on under new numbers");
}

#[test]
fn transactions_are_as_long_and_as_mixed_as_asked() {
    let plan = Transactional {
        operations_per_transaction: 2..=6,
        read_share: 0.8,
        transactions: 5_000,
        ..Transactional::new(Kind::Register)
    };
    let rows = rows(&plan.generate().unwrap());
    let (min, max) = (rows.iter().map(Row::len).min(), rows.iter().map(Row::len).max());
    assert_eq!((min, max), (Some(2), Some(6)));
    let ops: Vec<_> = rows.iter().flat_map(|row| &row.ops).collect();
    let reads = ops.iter().filter(|op| !op.write).count() as f64 / ops.len() as f64;
    assert!((0.78..0.82).contains(&reads), "{reads}");
}

#[test]
fn every_write_of_read_modify_write_comes_after_a_read() {
    let preceded = |read_modify_write, kind| {
        let plan = Transactional { read_modify_write, ..Transactional::new(kind) };
        let rows = rows(&plan.generate().unwrap());
        rows.iter().all(|row| {
            let read_before =
                |at: usize| row.ops[..at].iter().any(|op| !op.write && op.key == row.ops[at].key);
            (0..row.len()).all(|at| !row.ops[at].write || read_before(at))
        })
    };
    for kind in KINDS {
        assert!(preceded(true, kind));
        assert!(!preceded(false, kind));
    }
}

#[test]
fn keys_retire_so_that_lists_stay_short() {
    let longest = |key_life| {
        let plan = Transactional { key_life, transactions: 3_000, ..Transactional::new(Kind::ListAppend) };
        let rows = rows(&plan.generate().unwrap());
        let lists = rows.iter().flat_map(|row| &row.ops).filter(|op| !op.write).map(|op| op.values.len());
        (lists.max().unwrap(), rows.iter().flat_map(|row| &row.ops).map(|op| op.key).max().unwrap())
    };
    let (longest_list, last_key) = longest(Some(8));
    assert!(longest_list == 8 && last_key > 300, "{longest_list}, {last_key}");
    let (longest_list, last_key) = longest(None);
    assert!(longest_list > 200 && last_key == 9, "{longest_list}, {last_key}");
}

#[test]
fn skews_favour_the_first() {
    let plan = Transactional {
        key_skew: Skew::Exponential(2.0),
        session_skew: Skew::Zipf(1.0),
        transactions: 20_000,
        ..Transactional::new(Kind::Register)
    };
    let rows = rows(&plan.generate().unwrap());
    let ops: Vec<_> = rows.iter().flat_map(|row| &row.ops).collect();
    let share = |key| ops.iter().filter(|op| op.key == key).count() as f64 / ops.len() as f64;
    assert!((0.48..0.52).contains(&share(0)) && (0.23..0.27).contains(&share(1)), "{}", share(0));
    let ran = |session| rows.iter().filter(|row| row.process == session).count();
    let (first, tenth) = (ran(0) as f64, ran(9) as f64);
    assert!((8.0..12.0).contains(&(first / tenth)), "{first} and {tenth}");
}

#[test]
fn names_read_back() {
    for level in Level::ALL {
        assert_eq!(level.name().parse(), Ok(level));
    }
    for anomaly in PlantedAnomaly::ALL {
        assert_eq!(anomaly.name().parse(), Ok(anomaly));
        assert_eq!(anomaly.name().to_lowercase().parse(), Ok(anomaly));
    }
    for skew in [Skew::Uniform, Skew::Zipf(0.99), Skew::Exponential(2.0)] {
        assert_eq!(skew.to_string().parse(), Ok(skew));
    }
    for bad in ["zipf", "zipf:x", "uniform:1", ""] {
        assert!(bad.parse::<Skew>().unwrap_err().to_string().contains("zipf:EXPONENT"), "{bad}");
    }
    for kind in KINDS {
        assert_eq!(kind_named(kind_name(kind)), Some(kind));
    }
    assert_eq!(kind_named("register"), None);
}

#[test]
fn impossible_plans_are_refused_with_the_reason() {
    let refused = |plan: Transactional, reason: &str| {
        let error = plan.generate().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    let (lists, registers) = (|| Transactional::new(Kind::ListAppend), || Transactional::new(Kind::Register));
    refused(Transactional { transactions: 0, ..lists() }, "transactions is 0; expected 1 to 100000000");
    refused(
        Transactional { operations_per_transaction: RangeInclusive::new(3, 2), ..lists() },
        "is 2; expected 3 to 1000",
    );
    refused(Transactional { abort_rate: f64::NAN, ..lists() }, "abort rate is NaN; expected 0 to 1");
    refused(Transactional { key_skew: Skew::Zipf(-1.0), ..lists() }, "key skew is zipf:-1");
    refused(Transactional { session_skew: Skew::Exponential(0.5), ..lists() }, "a base of 1 to 1000");
    refused(
        Transactional { level: Level::Causal, ..lists() },
        "list-append has no level causal; it has: strict",
    );
    let big = Transactional { transactions: 1_000_000, ..lists() };
    refused(Transactional { key_life: None, ..big.clone() }, "key life is none; expected a smaller number");
    refused(Transactional { operations_per_transaction: 1..=1_000, ..big }, "fewer than 10^9");
    let anomaly = |anomaly| Some(anomaly);
    let g0 = anomaly(PlantedAnomaly::G0);
    refused(Transactional { anomaly: g0, ..registers() }, "rw-register has no anomaly G0; it has: G1a, G1b");
    let long_fork = anomaly(PlantedAnomaly::LongFork);
    refused(Transactional { anomaly: long_fork, sessions: 3, ..lists() }, "at least 4, for long-fork");
    refused(Transactional { anomaly: long_fork, transactions: 3, ..lists() }, "transactions is 3");
}
