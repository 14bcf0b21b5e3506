//! The linearizability rows, ours and the peer's in one run; then the table.

use criterion::{BenchmarkId, Criterion, SamplingMode};
use shakedown_benches::Request;
use shakedown_benches::probe::{Budget, End, Judge, Probe, probe};
use shakedown_benches::rows::{Row, Source, rows};
use shakedown_benches::table::{Line, render};
use shakedown_checkers::options::Options;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a row may spend in a process of its own.
const OURS: Budget = Budget { limit: Duration::from_secs(10), megabytes: 3_000.0 };
const PEER: Budget = Budget { limit: Duration::from_secs(5), megabytes: 3_000.0 };
/// What takes longer once is not sampled ten times.
const SAMPLED_MS_MAX: f64 = 2_000.0;

fn main() {
    let request = Request::parse(std::env::args().skip(1));
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args();
    let mut lines = Vec::new();
    for row in rows() {
        let names = [Judge::Shakedown, Judge::Porcupine].map(|judge| format!("{}/{judge}", row.name));
        if !names.iter().any(|name| request.wants(name)) {
            continue;
        }
        if request.dry {
            try_out(&mut criterion, &row);
        } else if let Some(line) = measure(&mut criterion, row) {
            lines.push(line);
        }
    }
    criterion.final_summary();
    if !request.dry {
        request.publish("linearizability", &render(&lines, PEER));
    }
}

/// Ours and the peer's, each in a process of its own first; then samples of what ended in time.
fn measure(criterion: &mut Criterion, row: Row) -> Option<Line> {
    let program = Path::new(env!("CARGO_BIN_EXE_row"));
    let Some(ours) = probe(program, &row.name, Judge::Shakedown, OURS) else {
        println!("{}: its recorded histories are not here", row.name);
        return None;
    };
    assert!(ours.end != End::Wrong, "{}: our verdict is wrong", row.name);
    let peer = probe(program, &row.name, Judge::Porcupine, PEER)?;
    let sampled = |probe: &Probe| probe.end == End::Right && probe.ms < SAMPLED_MS_MAX;
    let cases = row.load()?;
    let mut group = criterion.benchmark_group(&row.name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    let ours_ms = sampled(&ours).then(|| {
        sample(&mut group, Judge::Shakedown, || {
            for case in &cases {
                black_box(case.check(&Options::default()));
            }
        })
    });
    let peer_ms = sampled(&peer).then(|| {
        let cases: Vec<_> = cases.iter().map(|case| case.for_peer()).collect();
        sample(&mut group, Judge::Porcupine, || {
            for case in &cases {
                black_box(case.check(Duration::from_secs(60)));
            }
        })
    });
    group.finish();
    Some(Line { row, ours, peer, ours_ms: ours_ms.flatten(), peer_ms: peer_ms.flatten() })
}

type Group<'c> = criterion::BenchmarkGroup<'c, criterion::measurement::WallTime>;

/// The median of the samples, in milliseconds; `None` if criterion's own filter left it out.
fn sample(group: &mut Group<'_>, judge: Judge, work: impl Fn()) -> Option<f64> {
    let mut samples = Vec::new();
    group.bench_function(BenchmarkId::from_parameter(judge), |bencher| {
        bencher.iter_custom(|iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                work();
            }
            let elapsed = start.elapsed();
            samples.push(elapsed.as_secs_f64() * 1e3 / iterations as f64);
            elapsed
        });
    });
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

/// For `--list` and `--test`: the short rows, ours only.
fn try_out(criterion: &mut Criterion, row: &Row) {
    let short = matches!(&row.source, Source::Synthetic(plan) if plan.operations <= 10_000);
    if let Some(cases) = row.load().filter(|_| short) {
        criterion.bench_function(&format!("{}/{}", row.name, Judge::Shakedown), |bencher| {
            bencher.iter(|| cases[0].check(&Options { time_limit: Some(OURS.limit), ..Options::default() }));
        });
    }
}
