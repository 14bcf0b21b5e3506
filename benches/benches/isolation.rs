//! The rows of transactions: each in a process of its own, for its memory; then samples; then the tables.

use criterion::{BenchmarkId, Criterion, SamplingMode};
use shakedown_benches::isolation::table::{Line, render};
use shakedown_benches::isolation::{Part, Row, rows, verdict};
use shakedown_benches::probe::{Budget, End, Judge, probe};
use shakedown_benches::{Request, thread_cpu};
use shakedown_checkers::transaction::read;
use std::path::Path;
use std::time::Duration;

/// What a row may spend in a process of its own.
const BUDGET: Budget = Budget { limit: Duration::from_secs(60), megabytes: 8_000.0 };
/// What takes longer once is not sampled ten times.
const SAMPLED_MS_MAX: f64 = 500.0;

fn main() {
    let request = Request::parse(std::env::args().skip(1));
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args();
    let mut lines = Vec::new();
    for row in rows() {
        if !request.wants(&format!("{}/{}", row.name, Judge::Shakedown)) {
            continue;
        }
        if !request.dry {
            lines.push(measure(&mut criterion, row));
            request.keep("isolation", &render(&lines));
        } else if row.name.contains("-1k-s50") {
            let (history, options) = (row.load(), row.options());
            criterion.bench_function(&row.name, |bencher| {
                bencher.iter(|| verdict(&history, row.kind, &options));
            });
        }
    }
    criterion.final_summary();
    if !request.dry {
        request.publish("isolation", &render(&lines));
    }
}

fn measure(criterion: &mut Criterion, row: Row) -> Line {
    let program = Path::new(env!("CARGO_BIN_EXE_row"));
    let probe = match row.part {
        Part::Planted(_) => None,
        _ => probe(program, &row.name, Judge::Shakedown, BUDGET),
    };
    assert!(probe.as_ref().is_none_or(|probe| probe.end != End::Wrong), "{}: the verdict is wrong", row.name);
    let (history, options) = (row.load(), row.options());
    let micro_ops = {
        let txns = read(&history, row.kind).expect("synthetic histories can be read");
        (0..txns.len() as u32).map(|id| txns.micro_ops(id).len()).sum()
    };
    if probe.as_ref().is_some_and(|probe| probe.end != End::Right) {
        println!("{}: not within its budget", row.name);
        return Line { row, probe, ms: f64::NAN, micro_ops };
    }
    let check = || verdict(&history, row.kind, &options);
    let start = thread_cpu();
    assert_eq!(check(), row.expected, "{}", row.name);
    let once_ms = (thread_cpu() - start).as_secs_f64() * 1e3;
    if once_ms > SAMPLED_MS_MAX {
        println!("{}: once, {once_ms:.0} ms", row.name);
        return Line { row, probe, ms: once_ms, micro_ops };
    }
    let mut samples = Vec::new();
    let mut group = criterion.benchmark_group(&row.name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function(BenchmarkId::from_parameter(Judge::Shakedown), |bencher| {
        bencher.iter_custom(|iterations| {
            let start = thread_cpu();
            for _ in 0..iterations {
                check();
            }
            let spent = thread_cpu() - start;
            samples.push(spent.as_secs_f64() * 1e3 / iterations as f64);
            spent
        });
    });
    group.finish();
    samples.sort_by(f64::total_cmp);
    // Criterion's own filter may have left it out.
    let ms = samples.get(samples.len() / 2).copied().unwrap_or(once_ms);
    Line { row, probe, ms, micro_ops }
}
