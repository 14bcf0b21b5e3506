//! How fast serializability and snapshot isolation are decided, on histories made to order.
//!
//! `cargo run --release -p shakedown-checkers --example complete_speed [TRANSACTIONS [WORKLOAD]]`
//!
//! Each history is run by a database of 24 sessions, serializable or with snapshots, whose transactions are
//! eight operations on keys of which few are hot (Zipf). Some are then spoilt: one read, in the middle, sees an older
//! version. Each is decided with the orders that a history suggests tried first, and without; best of three.
//! Peak memory is what the process held at most beyond what it held before, where the system tells it
//! (Linux).

use shakedown_checkers::history::{Event, EventKind, History, HistoryBuilder, Process};
use shakedown_checkers::options::Options;
use shakedown_checkers::transaction::complete::{Answer, Argument, Model, Order, Tactics, decide_with};
use shakedown_checkers::transaction::{Kind, Transactions, read};
use shakedown_checkers::validate::isolation::validate;
use shakedown_checkers::value::{Value, Values};
use std::time::{Duration, Instant};

const RUNS: usize = 3;

/// Everything; without guessing an order; without that, and without asking for more than is demanded.
const TACTICS: [Tactics; 3] = [
    Tactics { guesses: true, stronger: true, saturation: true },
    Tactics { guesses: false, stronger: true, saturation: true },
    Tactics { guesses: false, stronger: false, saturation: true },
];

/// What the transactions do.
#[derive(Clone, Copy, Debug)]
struct Workload {
    name: &'static str,
    sessions: usize,
    keys: usize,
    operations: usize,
    /// Exponent of the keys' popularity; 0 is uniform.
    skew: f64,
    writes_percent: u64,
    /// Writes that read their key before.
    updates_percent: u64,
}

const BASE: Workload = Workload {
    name: "",
    sessions: 24,
    keys: 2000,
    operations: 8,
    skew: 0.8,
    writes_percent: 50,
    updates_percent: 0,
};

const WORKLOADS: [Workload; 6] = [
    Workload { name: "blind writes", ..BASE },
    Workload { name: "blind, uniform", skew: 0.0, keys: 5000, ..BASE },
    Workload { name: "blind, hot", skew: 1.2, keys: 500, ..BASE },
    Workload { name: "mixed", updates_percent: 50, ..BASE },
    Workload { name: "read-modify-write", updates_percent: 100, ..BASE },
    Workload { name: "read mostly", writes_percent: 10, updates_percent: 30, ..BASE },
];

fn main() {
    let transactions = std::env::args().nth(1).and_then(|number| number.parse().ok()).unwrap_or(10_000);
    let wanted = std::env::args().nth(2).unwrap_or_default();
    println!(
        "{:<18} {:<9} {:<8} {:<9} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>7}  answer",
        "workload",
        "database",
        "model",
        "order",
        "full ms",
        "blind ms",
        "alone ms",
        "facts",
        "choices",
        "conflicts",
        "MB"
    );
    for workload in WORKLOADS.into_iter().filter(|workload| workload.name.starts_with(&wanted)) {
        for is_snapshot in [false, true] {
            for spoilt in [false, true] {
                for has_real_time in [true, false] {
                    let history = run(workload, transactions, is_snapshot, spoilt, has_real_time);
                    let txns = read(&history, Kind::Register).expect("made to be read");
                    drop(history);
                    let models: &[Model] = if is_snapshot {
                        &[Model::SnapshotIsolation, Model::Prefix]
                    } else {
                        &[Model::Serializable, Model::SnapshotIsolation]
                    };
                    for &model in models {
                        let orders: &[Order] =
                            if has_real_time { &[Order::RealTime] } else { &[Order::Session, Order::Free] };
                        for &order in orders {
                            measure(workload, is_snapshot, &txns, model, order);
                        }
                    }
                }
            }
        }
    }
}

fn measure(workload: Workload, is_snapshot: bool, txns: &Transactions, model: Model, order: Order) {
    let options = Options { time_limit: Some(Duration::from_secs(20)), ..Options::default() };
    let mut shown = Vec::new();
    let mut last = None;
    let mut peak = 0.0;
    for tactics in TACTICS {
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let before = reset_peak();
            let clock = Clock::start();
            let (answer, effort) = decide_with(txns, model, order, tactics, &options);
            best = best.min(clock.seconds() * 1e3);
            peak = peak_megabytes() - before;
            validate(txns, model, order, &answer).expect("the proof is right");
            last = Some((answer, effort));
            if best > 3000.0 {
                break;
            }
        }
        shown.push(best);
    }
    let Some((answer, effort)) = last else { return };
    println!(
        "{:<18} {:<9} {:<8} {:<9} {:>8.1} {:>8.1} {:>8.1} {:>9} {:>9} {:>8} {:>7.0}  {}",
        workload.name,
        if is_snapshot { "snapshots" } else { "serial" },
        match model {
            Model::Serializable => "SER",
            Model::SnapshotIsolation => "SI",
            Model::Prefix => "prefix",
        },
        format!("{order:?}"),
        shown[0],
        shown[1],
        shown[2],
        effort.facts,
        effort.choices,
        effort.conflicts,
        peak,
        match &answer {
            Answer::Holds(_) => "holds".to_owned(),
            Answer::Violated(refutation) => format!(
                "violated: {} of {} transactions",
                match refutation.argument {
                    Argument::Cycle(_) => "cycle",
                    Argument::Cases { .. } => "cases",
                },
                refutation.core.len()
            ),
            Answer::Unknown(undecided) => format!("unknown: {}", undecided.reason),
        }
    );
}

/// Processor time of this thread if the system tells it, else wall-clock time.
struct Clock(Option<u64>, Instant);

impl Clock {
    fn start() -> Clock {
        Clock(Clock::processor_ns(), Instant::now())
    }

    fn seconds(&self) -> f64 {
        match (self.0, Clock::processor_ns()) {
            (Some(start), Some(end)) => (end - start) as f64 / 1e9,
            _ => self.1.elapsed().as_secs_f64(),
        }
    }

    fn processor_ns() -> Option<u64> {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        stat.split_whitespace().next()?.parse().ok()
    }
}

/// The most memory that the process held since it was last asked to forget.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1e3
}

/// Forgets the peak, and returns what is held now.
fn reset_peak() -> f64 {
    // Where this is not possible, the peak is that of the whole run.
    drop(std::fs::write("/proc/self/clear_refs", "5"));
    peak_megabytes()
}

/// What a session is doing.
#[derive(Clone, Debug)]
enum Session {
    Idle,
    /// Invoked; its micro-operations are drawn.
    Invoked(Vec<Op>),
    /// It has its snapshot: the number of commits before it.
    Started(Vec<Op>, u64),
    /// It has taken effect, or not.
    Done(Vec<Op>, EventKind),
}

/// Whether it writes, the key, the value.
type Op = (bool, usize, i64);

/// Runs `transactions` transactions that commit.
fn run(
    workload: Workload,
    transactions: usize,
    is_snapshot: bool,
    spoilt: bool,
    has_real_time: bool,
) -> History {
    let mut random = Random(11);
    let popularity = popularity(workload);
    // By key: the versions so far, with the number of the commit that made each.
    let mut versions: Vec<Vec<(u64, i64)>> = vec![vec![(0, 0)]; workload.keys];
    let mut sessions = vec![Session::Idle; workload.sessions];
    let mut events: Vec<(usize, EventKind, Vec<Op>)> = Vec::new();
    let (mut value, mut commits, mut begun) = (0, 0, 0);
    let mut is_spoilt = !spoilt;
    while begun < transactions || sessions.iter().any(|session| !matches!(session, Session::Idle)) {
        let process = random.below(workload.sessions as u64) as usize;
        let session = std::mem::replace(&mut sessions[process], Session::Idle);
        sessions[process] = match session {
            Session::Idle if begun < transactions => {
                begun += 1;
                let ops = draw(workload, &popularity, &mut value, &mut random);
                events.push((process, EventKind::Invoke, ops.clone()));
                Session::Invoked(ops)
            }
            Session::Idle => Session::Idle,
            Session::Invoked(ops) => Session::Started(ops, commits),
            Session::Started(mut ops, snapshot) => {
                let snapshot = if is_snapshot { snapshot } else { commits };
                let overwritten =
                    |&(writes, key, _): &Op| writes && versions[key].last().is_some_and(|v| v.0 > snapshot);
                if is_snapshot && ops.iter().any(overwritten) {
                    Session::Done(ops, EventKind::Fail)
                } else {
                    commits += 1;
                    let spoil = !is_spoilt && begun > transactions / 2;
                    is_spoilt |= execute(&mut ops, &mut versions, snapshot, commits, spoil);
                    Session::Done(ops, EventKind::Ok)
                }
            }
            Session::Done(ops, kind) => {
                events.push((process, kind, ops));
                Session::Idle
            }
        };
    }
    if !has_real_time {
        events.sort_by_key(|event| event.0);
    }
    record(&events, has_real_time)
}

/// Lets a transaction read and write. If `spoil`, one read that could see an older version does; true if so.
fn execute(
    ops: &mut [Op],
    versions: &mut [Vec<(u64, i64)>],
    snapshot: u64,
    commit: u64,
    spoil: bool,
) -> bool {
    let mut is_spoilt = false;
    let mut own: Vec<(usize, i64)> = Vec::new();
    for (writes, key, value) in ops {
        if *writes {
            own.push((*key, *value));
        } else if let Some((_, mine)) = own.iter().rev().find(|(written, _)| written == key) {
            *value = *mine;
        } else {
            let seen: Vec<&(u64, i64)> =
                versions[*key].iter().rev().filter(|version| version.0 <= snapshot).take(4).collect();
            let stale = spoil && !is_spoilt && seen.len() > 3;
            is_spoilt |= stale;
            *value = seen[if stale { 3 } else { 0 }].1;
        }
    }
    for (key, value) in own {
        versions[key].push((commit, value));
    }
    is_spoilt
}

fn draw(workload: Workload, popularity: &[f64], value: &mut i64, random: &mut Random) -> Vec<Op> {
    let mut ops: Vec<Op> = Vec::new();
    while ops.len() < workload.operations {
        let point = random.unit();
        let key = popularity.partition_point(|share| *share < point).min(workload.keys - 1);
        if ops.iter().any(|op| op.1 == key) {
            continue;
        }
        if random.below(100) >= workload.writes_percent {
            ops.push((false, key, 0));
            continue;
        }
        if random.below(100) < workload.updates_percent {
            ops.push((false, key, 0));
        }
        *value += 1;
        ops.push((true, key, *value));
    }
    ops
}

/// By key: the share of operations on it and on those before it.
fn popularity(workload: Workload) -> Vec<f64> {
    let weights = (1..=workload.keys).map(|rank| (rank as f64).powf(-workload.skew));
    let sum: f64 = weights.clone().sum();
    weights
        .scan(0.0, |share, weight| {
            *share += weight / sum;
            Some(*share)
        })
        .collect()
}

fn record(events: &[(usize, EventKind, Vec<Op>)], has_real_time: bool) -> History {
    let mut builder = HistoryBuilder::new();
    if !has_real_time {
        builder.sessions_only();
    }
    let f = builder.function("txn").expect("one function");
    for (process, kind, ops) in events {
        let value = value(builder.values(), ops);
        let process = Process::Client(*process as i64);
        let event =
            Event { process, kind: *kind, f, key: None, value, error: Value::NIL, time_ns: -1, line: 0 };
        builder.push(event).expect("made to be paired");
    }
    builder.finish()
}

fn value(values: &mut Values, ops: &[Op]) -> Value {
    let list: Vec<Value> = ops
        .iter()
        .map(|&(writes, key, value)| {
            let name = values.keyword(if writes { "w" } else { "r" });
            let key = values.int(key as i64);
            let value = if value == 0 { Value::NIL } else { values.int(value) };
            values.list(&[name, key, value])
        })
        .collect();
    values.list(&list)
}

/// A linear congruential generator: the same history in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn unit(&mut self) -> f64 {
        self.next() as f64 / (1_u64 << 31) as f64
    }
}
