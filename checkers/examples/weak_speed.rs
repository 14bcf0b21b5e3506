//! How fast weak isolation is decided: milliseconds and memory for each level, on histories in memory, best
//! of several runs. Where the system tells it (Linux), time is that of the processor, so that a busy machine
//! matters less, and memory is the peak of the whole process during the check, the history included.
//!
//! `cargo run --release -p shakedown-checkers --example weak_speed [TRANSACTIONS [SESSIONS [LEVEL]]]`
//!
//! The histories are what a causally consistent store may show: commits go to one log, of which each session
//! knows its own and all up to some moment, which only moves on. Three operations a transaction, half of
//! them reads; keys are taken evenly, or by a law that prefers a few; what sessions know is nearly new, or as
//! old as half of the history.

use shakedown_checkers::history::{Event, EventKind, FunctionId, HistoryBuilder, PairingError, Process};
use shakedown_checkers::options::Options;
use shakedown_checkers::transaction::weak::{WeakAnswer, WeakLevel, check};
use shakedown_checkers::transaction::{Kind, Transactions, read};
use shakedown_checkers::value::Value;
use std::time::Instant;

const RUNS: usize = 3;

/// What kind of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Even,
    Skewed,
    Stale,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|number: &String| number.parse::<usize>().ok());
    let sizes = number(0).map_or(vec![10_000, 100_000, 1_000_000], |size| vec![size]);
    let sessions = number(1).map_or(vec![10, 50, 200], |sessions| vec![sessions]);
    println!(
        "{:>12} {:>8} {:<8} {:<18} {:>8} {:>8} {:>10}",
        "transactions", "sessions", "history", "level", "ms", "peak MB", "before MB"
    );
    for &size in &sizes {
        for &sessions in &sessions {
            for shape in [Shape::Even, Shape::Skewed, Shape::Stale] {
                let txns = causal_store(size, sessions, shape).expect("made to be paired");
                for level in WeakLevel::ALL {
                    if arguments.get(2).is_none_or(|wanted| format!("{level:?}") == *wanted) {
                        measure(&txns, sessions, shape, level);
                    }
                }
            }
        }
    }
}

fn measure(txns: &Transactions, sessions: usize, shape: Shape, level: WeakLevel) {
    let mut best = f64::INFINITY;
    // Written to, this file makes the peak what is held now.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = kilobytes("VmRSS:");
    for _ in 0..RUNS {
        let clock = Clock::start();
        let answer = check(txns, level, &Options::default());
        best = best.min(clock.seconds());
        assert!(matches!(answer, WeakAnswer::Holds(_)), "a causally consistent store: {answer:?}");
    }
    println!(
        "{:>12} {sessions:>8} {:<8} {:<18} {:>8.1} {:>8.1} {:>10.1}",
        txns.len(),
        format!("{shape:?}").to_lowercase(),
        format!("{level:?}"),
        best * 1e3,
        kilobytes("VmHWM:") / 1e3,
        before / 1e3,
    );
}

fn causal_store(size: usize, sessions: usize, shape: Shape) -> Result<Transactions, PairingError> {
    let keys = (size / 20).clamp(100, 100_000);
    let mut random = Random(1);
    let mut builder = HistoryBuilder::new();
    let f = builder.function("txn")?;
    let (r, w) = (builder.values().keyword("r"), builder.values().keyword("w"));
    // Per key, the versions in the log: by whom, and in which transaction; the value is the place here.
    let mut versions: Vec<Vec<(u32, u32)>> = vec![vec![]; keys];
    let mut known = vec![0; sessions];
    for at in 0..size {
        let session = random.below(sessions);
        let newest = if shape == Shape::Stale { at / 2 } else { at };
        let lag = random.below(4 * sessions);
        known[session] = known[session].max(newest.saturating_sub(lag));
        let mut ops = vec![];
        let mut written: Vec<(usize, usize)> = vec![];
        for _ in 0..3 {
            let key = if shape == Shape::Skewed { skewed_key(&mut random, keys) } else { random.below(keys) };
            let mine = written.iter().rev().find(|write| write.0 == key).map(|write| write.1);
            let (name, value) = if random.below(2) == 0 {
                let value = mine.map_or(versions[key].len(), |value| value + 1);
                written.push((key, value));
                (w, Some(value))
            } else {
                let is_known = |version: &(u32, u32)| {
                    version.0 == session as u32 || (version.1 as usize) < known[session]
                };
                (r, mine.or_else(|| versions[key].iter().rposition(is_known)))
            };
            let value = value.map_or(Value::NIL, |value| builder.values().int(value as i64));
            let key = builder.values().int(key as i64);
            ops.push(builder.values().list(&[name, key, value]));
        }
        for (key, _) in written {
            versions[key].push((session as u32, at as u32));
        }
        let value = builder.values().list(&ops);
        for kind in [EventKind::Invoke, EventKind::Ok] {
            builder.push(event(session, kind, f, value))?;
        }
    }
    Ok(read(&builder.finish(), Kind::Register).expect("values are distinct"))
}

/// Two thirds of the accesses go to the first half of the keys, two thirds of those to its first half, and so
/// on.
fn skewed_key(random: &mut Random, keys: usize) -> usize {
    let mut range = keys;
    while range > 1 && random.below(3) > 0 {
        range /= 2;
    }
    random.below(range)
}

fn event(session: usize, kind: EventKind, f: FunctionId, value: Value) -> Event {
    let process = Process::Client(session as i64);
    Event { process, kind, f, key: None, value, error: Value::NIL, time_ns: -1, line: 0 }
}

/// A line of this process's status, in kB; not a number where the system does not tell.
fn kilobytes(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// Time on the processor, or else on the wall.
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

/// A linear congruential generator: the same history in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound as u64) as usize
    }
}
