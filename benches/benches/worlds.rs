//! How many seeds a second each world runs, on one core, of the very same scenarios, histories judged.

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use shakedown_benches::Request as Asked;
use shakedown_impls::object::register::Op;
use shakedown_impls::replication::leaderless::abd::{Abd, Config};
use shakedown_workloads::catalogue::{Request, find};
use shakedown_workloads::generator::Generator;
use shakedown_workloads::hunt::hunt;
use shakedown_workloads::manner::{Manner, StopFlag};
use shakedown_workloads::nemesis::Nemesis;
use shakedown_workloads::object::register::Kind;
use shakedown_workloads::run::run_in;
use shakedown_workloads::scenario::{Scenario, Settings};
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
/// Cases of the model world that are large enough to be measured.
const CASES: [(&str, usize); 2] = [("abd", 4), ("raft", 16)];
/// Where stateright's own example of Raft is, if it is to be measured beside ours: the program that
/// `cargo build --release --example raft` makes of stateright's source.
const EXAMPLE: &str = "STATERIGHT_RAFT";
/// Hunts, and of how many seeds.
const HUNTS: [(&str, WorldName, u64); 4] = [
    ("abd", WorldName::Swarm, 4_000),
    ("abd", WorldName::Sim, 200),
    ("raft", WorldName::Swarm, 4_000),
    ("raft", WorldName::Sim, 200),
];

fn main() {
    let asked = Asked::parse(std::env::args().skip(1));
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let mut table = String::from(PREFACE);
    for row in ROWS {
        let scenarios: Vec<Scenario<Op>> = (0..SEEDS).map(|seed| row.scenario(seed)).collect();
        let mut rate = |world| seeds_per_second(&mut criterion, row.name, world, &scenarios, &asked);
        if let (Some(swarm), Some(sim)) = (rate(WorldName::Swarm), rate(WorldName::Sim)) {
            let operations = scenarios.iter().map(Scenario::operations).sum::<usize>() / scenarios.len();
            let (ratio, met) = (swarm / sim, if swarm / sim > GOAL { "yes" } else { "no" });
            let Row { name, length_ms, .. } = row;
            let _ = writeln!(
                table,
                "| {name} | {length_ms} ms | {operations} | {swarm:.0} | {sim:.0} | {ratio:.0} | > {GOAL:.0} | {met} |"
            );
        }
    }
    if !asked.dry {
        whole(&mut table, &asked);
    }
    criterion.final_summary();
    if !asked.dry {
        asked.publish("worlds", &table);
    }
}

/// What both worlds run.
struct Row {
    name: &'static str,
    length_ms: u64,
    /// Between one operation of a client and the next, on average.
    gap_us: u64,
    nemeses: &'static [Nemesis],
}

const ROWS: [Row; 3] = [
    Row { name: "every fault, few operations", length_ms: 1_000, gap_us: 125_000, nemeses: &Nemesis::ANY },
    Row { name: "every fault, many operations", length_ms: 500, gap_us: 4_000, nemeses: &Nemesis::ANY },
    Row { name: "no faults, many operations", length_ms: 500, gap_us: 4_000, nemeses: &[] },
];

impl Row {
    fn scenario(&self, seed: u64) -> Scenario<Op> {
        let kinds = [Kind::Read, Kind::Write].map(|kind| (1, Generator::Always(kind)));
        let settings = Settings {
            nodes: Some(3),
            clients: Some(3),
            length_ms: Some(self.length_ms),
            nemeses: self.nemeses.to_vec(),
            load: Some(Generator::Mix(kinds.to_vec()).every_us(self.gap_us)),
            keys: Some(2),
        };
        Scenario::draw(seed, &settings)
    }
}

/// The model world's states, and hunts on all cores.
fn whole(table: &mut String, asked: &Asked) {
    if asked.wants("model") {
        for (pattern, case) in CASES {
            let pattern = find(pattern).expect("it is in the catalogue");
            let begin = Instant::now();
            let exploration = pattern.explore(case, None, &Limits::default()).expect("there is such a case");
            let Extent::Exhaustive { unique_states } = exploration.extent else {
                panic!("the case is small: {}", exploration.extent);
            };
            let rate = unique_states as f64 / begin.elapsed().as_secs_f64();
            let (name, about) = (pattern.entry().name, pattern.cases()[case - 1]);
            let _ = writeln!(
                table,
                "\nThe model world goes through {unique_states} unique states of {name} at {rate:.0} a second, on one \
                 thread ({about})."
            );
        }
        if let Some(told) = example() {
            let _ = writeln!(table, "\n{told}");
        }
    }
    if asked.wants("hunt") {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for (name, world, seeds) in HUNTS {
            let pattern = find(name).expect("it is in the catalogue");
            let rates = [1, cores].map(|jobs| {
                let (begin, stop) = (Instant::now(), StopFlag::default());
                let request = Request::new(world);
                let hunt = hunt(pattern, &request, 0..seeds, jobs, &stop, &|_| ()).expect("it can be run");
                assert_eq!((hunt.failing, hunt.complete), (None, true));
                hunt.seeds as f64 / begin.elapsed().as_secs_f64()
            });
            let (world, [one, all]) = (world.name(), rates);
            let _ = writeln!(
                table,
                "\nA hunt of {seeds} seeds as `shakedown run {name} --world {world}` draws them: {one:.0} seeds a \
                 second with one job, {all:.0} with {cores}."
            );
        }
    }
}

/// What stateright's own example says of itself, on one processor: three nodes, ten steps deep.
fn example() -> Option<String> {
    let program = std::env::var_os(EXAMPLE)?;
    let mut command = std::process::Command::new("taskset");
    let begin = Instant::now();
    let output = command.args(["-c", "0"]).arg(&program).args(["check", "3", "10"]).output();
    let (output, elapsed) = (output.expect("taskset and the example can be run"), begin.elapsed());
    let text = String::from_utf8_lossy(&output.stdout);
    let done = text.lines().find(|line| line.starts_with("Done.")).expect("it says what it has done");
    let unique = done.split("unique=").nth(1).and_then(|rest| rest.split(',').next());
    let unique: f64 = unique.and_then(|number| number.parse().ok()).expect("it says how many states");
    Some(format!(
        "stateright's own example of Raft (two properties, no crash within a step, no client that is judged), on one \
         processor, three nodes, ten steps deep: {unique} unique states at {:.0} a second.",
        unique / elapsed.as_secs_f64()
    ))
}

const PREFACE: &str = "# Worlds: figures\n\n\
    Written by `cargo bench -p shakedown-benches --bench worlds`: seeds a second on one core, judging the history \
    included. The register by majorities, 3 nodes, 3 clients; both worlds run the same scenarios, 50 of them in \
    turn. Simulated time costs turmoil a step for each millisecond, whatever happens in it; the swarm only pays \
    for what happens.\n\n\
    | scenario | simulated, without recovery | operations a seed | swarm | sim (turmoil) | ratio | goal | met |\n\
    |---|---|---|---|---|---|---|---|\n";

/// The median of the samples; `None` if it was not asked for.
fn seeds_per_second(
    criterion: &mut Criterion,
    name: &str,
    world: WorldName,
    scenarios: &[Scenario<Op>],
    asked: &Asked,
) -> Option<f64> {
    let name = name.replace(", ", "-").replace(' ', "-");
    if !asked.wants(&format!("worlds/{}/{name}", world.name())) {
        return None;
    }
    let (samples, next, config) = (RefCell::new(Vec::new()), Cell::new(0), Config::new(3));
    let mut group = criterion.benchmark_group("worlds");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new(world.name(), &name), |bencher| {
        bencher.iter_custom(|iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                let ran = run_in::<Abd>(world, &config, &scenarios[next.get()], &Manner::default());
                assert_eq!(ran.finding, None, "seed {}", next.get());
                black_box(ran);
                next.set((next.get() + 1) % scenarios.len());
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
