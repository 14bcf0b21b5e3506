//! How many seeds a second each world runs, on one core, of the very same scenarios, histories judged.

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use shakedown_benches::{Request as Asked, repository};
use shakedown_workloads::catalogue::{Pattern, Request, find};
use shakedown_workloads::nemesis::Nemesis;
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::{Extent, Limits};
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Seeds that a sample runs in turn, the same in each world.
const SEEDS: u64 = 50;
/// How many times as many seeds the swarm is to run as the simulated network.
const GOAL: f64 = 50.0;
/// A case of the model world that is large enough to be measured.
const CASE: usize = 4;

fn main() {
    let asked = Asked::parse(std::env::args().skip(1));
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let abd = find("abd").expect("it is in the catalogue");
    let mut table = String::from(PREFACE);
    for (name, nemeses) in [("no faults", vec![]), ("every fault", Nemesis::ALL.to_vec())] {
        let request = |world| Request {
            nodes: Some(3),
            clients: Some(3),
            length_ms: Some(500),
            nemeses: Some(nemeses.clone()),
            ..Request::new(world)
        };
        let mut rate = |world| seeds_per_second(&mut criterion, abd, name, &request(world), &asked);
        if let (Some(swarm), Some(sim)) = (rate(WorldName::Swarm), rate(WorldName::Sim)) {
            let operations = operations(abd, &request(WorldName::Swarm));
            let (ratio, met) = (swarm / sim, if swarm / sim > GOAL { "yes" } else { "no" });
            let _ = writeln!(
                table,
                "| {name} | {operations} | {swarm:.0} | {sim:.0} | {ratio:.0} | > {GOAL:.0} | {met} |"
            );
        }
    }
    if asked.wants("model") && !asked.dry {
        let begin = Instant::now();
        let exploration = abd.explore(CASE, None, &Limits::default()).expect("there is such a case");
        let Extent::Exhaustive { unique_states } = exploration.extent else {
            panic!("the case is small: {}", exploration.extent);
        };
        let rate = unique_states as f64 / begin.elapsed().as_secs_f64();
        let _ = writeln!(
            table,
            "\nThe model world goes through {unique_states} unique states at {rate:.0} a second."
        );
    }
    criterion.final_summary();
    if asked.dry {
        return;
    }
    println!("\n{table}");
    if asked.filter.is_none() {
        let path = repository("reports/figures/worlds.md");
        std::fs::write(&path, table).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

const PREFACE: &str = "# Worlds: figures\n\n\
    Written by `cargo bench -p shakedown-benches --bench worlds`: seeds a second on one core, drawing the \
    scenario, running it and judging its history included. The register by majorities, 3 nodes, 3 clients, 500 \
    simulated milliseconds and then recovery; both worlds run the same scenarios, 50 of them in turn.\n\n\
    | trouble | operations a seed | swarm | sim (turmoil) | ratio | goal | met |\n\
    |---|---|---|---|---|---|---|\n";

/// The median of the samples; `None` if it was not asked for.
fn seeds_per_second(
    criterion: &mut Criterion,
    pattern: &dyn Pattern,
    name: &str,
    request: &Request,
    asked: &Asked,
) -> Option<f64> {
    let id = BenchmarkId::new(request.world.name(), name.replace(' ', "-"));
    if !asked.wants(&format!("worlds/{}/{}", request.world.name(), name.replace(' ', "-"))) {
        return None;
    }
    let (samples, seed) = (RefCell::new(Vec::new()), Cell::new(0));
    let mut group = criterion.benchmark_group("worlds");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(1));
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                let ran = pattern.run(request, seed.get()).expect("the request can be run");
                assert_eq!(ran.finding, None, "seed {}", seed.get());
                black_box(ran);
                seed.set((seed.get() + 1) % SEEDS);
            }
            let elapsed = start.elapsed();
            samples.borrow_mut().push(iterations as f64 / elapsed.as_secs_f64());
            elapsed
        });
    });
    group.finish();
    let mut samples = samples.into_inner();
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

/// Operations that a seed asks for, on average.
fn operations(pattern: &dyn Pattern, request: &Request) -> u64 {
    let size = |seed| pattern.run(request, seed).expect("the request can be run").history().len() as u64;
    (0..SEEDS).map(size).sum::<u64>() / SEEDS
}
