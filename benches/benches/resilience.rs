//! What resilience patterns cost for a call, ours and the peers' in one run.

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use shakedown_benches::Request;
use shakedown_benches::resilience::footprint::{Footprints, footprints};
use shakedown_benches::resilience::table::{Line, preface, render};
use shakedown_benches::resilience::{CALLS, Group, Named, TASKS, groups, runtime};
use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;

fn main() {
    let request = Request::parse(std::env::args().skip(1));
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700))
        .nresamples(1_000)
        .configure_from_args();
    // Of all or of none: it takes seconds, and a part is not published.
    let memory = match request.dry || request.filter.is_some() {
        true => Footprints::new(),
        false => footprints(Path::new(env!("CARGO_BIN_EXE_footprint"))),
    };
    let (runtime, mut table) = (runtime(), preface());
    for group in groups() {
        let mut measure = |contender: &Named| {
            let ns =
                TASKS.map(|tasks| ns_a_call(&mut criterion, &request, &runtime, &group, contender, tasks));
            let key = |tasks| (group.name.to_owned(), contender.name.to_owned(), tasks);
            let footprints = TASKS.map(|tasks| memory.get(&key(tasks)).copied());
            Line { name: contender.name, ns, footprints }
        };
        let lines: Vec<Line> = group.contenders.iter().map(&mut measure).collect();
        if lines.iter().any(|line| line.ns.iter().any(Option::is_some)) {
            table.push_str(&render(group.about, group.buys, &lines));
        }
    }
    criterion.final_summary();
    if !request.dry {
        request.publish("resilience", &table);
    }
}

/// The median of the samples; `None` if it was not asked for, or does not make sense.
fn ns_a_call(
    criterion: &mut Criterion,
    request: &Request,
    runtime: &Runtime,
    group: &Group,
    contender: &Named,
    tasks: usize,
) -> Option<f64> {
    let id = format!("{}/{tasks}", contender.name.replace(", ", "-").replace(' ', "-"));
    let makes_sense = tasks >= group.tasks_min && (tasks == 1 || contender.is_shared);
    if !makes_sense || !request.wants(&format!("{}/{id}", group.name)) {
        return None;
    }
    let samples = RefCell::new(Vec::new());
    let mut criterion_group = criterion.benchmark_group(group.name);
    criterion_group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(CALLS));
    criterion_group.bench_function(BenchmarkId::from_parameter(&id), |bencher| {
        bencher.iter_custom(|bursts| {
            let elapsed: Duration = (0..bursts).map(|_| contender.burst(runtime, tasks, CALLS)).sum();
            samples.borrow_mut().push(elapsed.as_secs_f64() * 1e9 / (bursts as f64 * CALLS as f64));
            elapsed
        });
    });
    criterion_group.finish();
    let mut samples = samples.into_inner();
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}
