//! How fast histories are read, in megabytes per second on one core.

use criterion::{Criterion, SamplingMode, Throughput};
use shakedown_benches::Request;
use shakedown_checkers::format::{self, Format, Limits};
use shakedown_workloads::synthetic::{Object, Synthetic};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Format, object of the history, goal in MB/s.
const ROWS: [(Format, Object, f64); 6] = [
    (Format::Edn, Object::CasRegister, 150.0),
    (Format::Edn, Object::Kv, 150.0),
    (Format::Edn, Object::MultiRegister, 150.0),
    (Format::JsonLines, Object::CasRegister, 300.0),
    (Format::JsonLines, Object::Kv, 300.0),
    (Format::JsonLines, Object::MultiRegister, 300.0),
];
const OPERATIONS: u32 = 100_000;

fn main() {
    let request = Request::parse(std::env::args().skip(1));
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut table = String::from(PREFACE);
    for (format, object, goal) in ROWS {
        let name = format!("{format}-{object}");
        if !request.wants(&name) {
            continue;
        }
        let plan = Synthetic { operations: OPERATIONS, keys: 10, seed: 1, ..Synthetic::new(object) };
        let history = plan.generate().expect("a plan without a violation is possible");
        let mut text = Vec::new();
        format::write(&history, format, &mut text).expect("writing to memory cannot fail");
        let samples = RefCell::new(Vec::new());
        let mut group = criterion.benchmark_group("reading");
        group
            .sample_size(10)
            .sampling_mode(SamplingMode::Flat)
            .throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(&name, |bencher| {
            bencher.iter_custom(|iterations| {
                let start = Instant::now();
                for _ in 0..iterations {
                    let read = format::read(&text[..], "memory", Some(format), &Limits::default());
                    black_box(read.expect("what we write we read"));
                }
                let elapsed = start.elapsed();
                samples.borrow_mut().push(elapsed.as_secs_f64() / iterations as f64);
                elapsed
            });
        });
        group.finish();
        let mut samples = samples.into_inner();
        samples.sort_by(f64::total_cmp);
        if let Some(median) = samples.get(samples.len() / 2) {
            let megabytes = text.len() as f64 / 1e6;
            let speed = megabytes / median;
            let events = f64::from(history.event_count()) / median / 1e6;
            let met = if speed > goal { "yes" } else { "no" };
            let _ = writeln!(
                table,
                "| {format} | {object} | {megabytes:.1} | {speed:.0} | {events:.1} | > {goal} | {met} |"
            );
        }
    }
    criterion.final_summary();
    if !request.dry {
        request.publish("reading", &table);
    }
}

const PREFACE: &str = "# Reading: figures\n\n\
    Written by `cargo bench -p shakedown-benches --bench reading`: histories of 100,000 synthetic \
    operations over ten keys, from memory to a history in columns, one core. Best peer for EDN: \
    clojure-reader, 9 MB/s.\n\n\
    | format | history | MB | MB/s | million events/s | goal, MB/s | met |\n|---|---|---|---|---|---|---|\n";
