//! How fast histories are read: MB/s of each format on one core, best of several runs. Where the
//! system tells it (Linux), time is that of the processor, so that a busy machine matters less.
//!
//! `cargo run --release -p shakedown-checkers --example read_speed [MEGABYTES | FILE…]`
//!
//! The input is the files, or else a register history as Jepsen records them (read, write and cas by ten clients, with
//! index and time), for comparison transactions that append to lists, and transactions on registers as Plume and others
//! record them, all made in memory.

use shakedown_checkers::format::{self, Format, Limits};
use std::fmt::Write as _;
use std::time::Instant;

const RUNS: usize = 5;

fn main() {
    println!("{:<12} {:<14} {:>8} {:>10} {:>12}", "history", "format", "MB/s", "events", "ns/event");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let megabytes = match &arguments[..] {
        [] => Some(64),
        [number] => number.parse().ok(),
        _ => None,
    };
    let Some(megabytes) = megabytes else { return arguments.iter().for_each(|path| measure_file(path)) };
    let register = register_history(megabytes << 20);
    let transactions = list_append_history(megabytes << 20);
    let plume = plume_history(megabytes << 20);
    measure("transactions", Format::Plume, plume.as_bytes());
    let history = format::read(plume.as_bytes(), "made", None, &Limits::default()).expect("made to be read");
    for format in [Format::Awdit, Format::JsonLines] {
        let mut text = Vec::new();
        format::write(&history, format, &mut text).expect("it has reads and writes only");
        measure("transactions", format, &text);
    }
    drop((history, plume));
    for (name, edn) in [("register", register), ("append", transactions)] {
        measure(name, Format::Edn, edn.as_bytes());
        let history = format::read(edn.as_bytes(), name, None, &Limits::default()).expect("made to be read");
        for format in [Format::JsonLines, Format::JepsenLog] {
            let mut text = Vec::new();
            if format::write(&history, format, &mut text).is_ok() {
                measure(name, format, &text);
            }
        }
    }
}

fn measure_file(path: &str) {
    let text = std::fs::read(path).expect("the file is readable");
    let (_, format) =
        format::read_and_tell(&text[..], path, None, &Limits::default()).expect("it is a history");
    let name = std::path::Path::new(path).file_stem().and_then(|stem| stem.to_str());
    measure(name.unwrap_or(path), format, &text);
}

fn measure(name: &str, format: Format, text: &[u8]) {
    let mut best = f64::INFINITY;
    let mut events = 0;
    for _ in 0..RUNS {
        let clock = Clock::start();
        let history = format::read(text, name, Some(format), &Limits::default()).expect("made to be read");
        best = best.min(clock.seconds());
        events = history.event_count();
    }

    println!(
        "{name:<12} {format:<14} {:>8.0} {events:>10} {:>12.0}",
        text.len() as f64 / 1e6 / best,
        best * 1e9 / f64::from(events),
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

/// A register under read, write and compare-and-set by ten clients.
fn register_history(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 4096);
    let mut random = Random(1);
    let mut index = 0_u64;
    while text.len() < bytes {
        let mut operations: Vec<(u64, String, String)> = Vec::new();
        for process in 0..10 {
            let (a, b) = (random.below(1000), random.below(1000));
            operations.push(match random.below(3) {
                0 => (process, ":f :read, :value nil".into(), format!(":f :read, :value {a}")),
                1 => (process, format!(":f :write, :value {a}"), format!(":f :write, :value {a}")),
                _ => (process, format!(":f :cas, :value [{a} {b}]"), format!(":f :cas, :value [{a} {b}]")),
            });
        }
        for kind in [":invoke", ":ok"] {
            for (process, invoked, completed) in &operations {
                let what = if kind == ":invoke" { invoked } else { completed };
                let time = 10_474_104_701 + index * 117_031;
                writeln!(text, "{{:index {index}, :time {time}, :type {kind}, :process {process}, {what}}}")
                    .expect("writing to a String");
                index += 1;
            }
        }
    }
    text
}

/// Transactions of four appends and reads on a few keys.
fn list_append_history(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 4096);
    let mut random = Random(2);
    let mut index = 0_u64;
    while text.len() < bytes {
        let process = index % 10;
        for kind in [":invoke", ":ok"] {
            write!(text, "{{:type {kind}, :f :txn, :value [").expect("writing to a String");
            for i in 0..4 {
                let key = random.below(100);
                let blank = if i == 0 { "" } else { " " };
                let written = if i % 2 == 0 {
                    write!(text, "{blank}[:append {key} {}]", index + i)
                } else if kind == ":invoke" {
                    write!(text, "{blank}[:r {key} nil]")
                } else {
                    write!(text, "{blank}[:r {key} [{} {} {}]]", index, index + 1, index + 2)
                };
                written.expect("writing to a String");
            }
            writeln!(text, "], :process {process}, :time {}, :index {index}}}", index * 117_031)
                .expect("writing to a String");
            index += 1;
        }
    }
    text
}

/// Transactions of eight reads and writes by ten sessions on a thousand keys; each read returns what was
/// last written.
fn plume_history(bytes: usize) -> String {
    const KEYS: usize = 1000;
    let mut text = String::with_capacity(bytes + 4096);
    let mut random = Random(3);
    let mut last = [0_u64; KEYS];
    let mut transaction = 0_u64;
    while text.len() < bytes {
        let session = transaction % 10;
        for i in 0..8 {
            let key = random.below(KEYS as u64);
            let value = &mut last[key as usize];
            if i % 2 == 0 {
                *value += 1;
            }
            let f = if i % 2 == 0 { 'w' } else { 'r' };
            writeln!(text, "{f}({key},{value},{session},{transaction})").expect("writing to a String");
        }
        transaction += 1;
    }
    text
}

/// A linear congruential generator: the same history in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
