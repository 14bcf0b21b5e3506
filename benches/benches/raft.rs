//! What a proposal costs: our Raft beside tikv's and openraft, clusters in memory under the same load.

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use shakedown_benches::Request as Asked;
use shakedown_benches::raft::{Cluster, Cost, WINDOW, measure, openraft, ours, tikv};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::Duration;

/// Payloads, and how many proposals of them make a burst: what stays in memory is bounded.
const PAYLOADS: [(&str, usize, usize); 3] =
    [("16 B", 16, 16_384), ("1 KiB", 1 << 10, 16_384), ("64 KiB", 64 << 10, 4_096)];
const NODES: [u16; 2] = [3, 5];

type Make = fn(u16) -> Box<dyn Cluster>;

const CLUSTERS: [(&str, Make); 3] = [
    ("shakedown", |nodes| Box::new(ours::cluster(nodes))),
    ("tikv", |nodes| Box::new(tikv::cluster(nodes))),
    ("openraft", |nodes| Box::new(openraft::Tasks::new(nodes))),
];

fn main() {
    let asked = Asked::parse(std::env::args().skip(1));
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let (mut rows, mut shares) = (String::new(), vec![]);
    for nodes in NODES {
        for (payload, bytes, proposals) in PAYLOADS {
            let load = Load { nodes, payload, bytes, proposals };
            let costs = CLUSTERS.map(|(name, make)| cost(&mut criterion, &asked, name, make, &load));
            if let [Some(ours), Some(tikv), Some(openraft)] = costs {
                let costs = [ours, tikv, openraft];
                rows.push_str(&row(&load, costs));
                shares.extend(costs.map(|cost| cost.cpu_us / cost.elapsed_us));
            }
        }
    }
    criterion.final_summary();
    if !asked.dry {
        asked.publish("raft", &(preface(&shares) + &rows));
    }
}

/// What is asked of a cluster.
struct Load {
    nodes: u16,
    payload: &'static str,
    bytes: usize,
    proposals: usize,
}

/// Of one proposal, in microseconds.
#[derive(Clone, Copy)]
struct PerProposal {
    elapsed_us: f64,
    cpu_us: f64,
}

/// The median of the samples; `None` if it was not asked for. Each burst has a cluster of its own.
fn cost(
    criterion: &mut Criterion,
    asked: &Asked,
    name: &str,
    make: Make,
    load: &Load,
) -> Option<PerProposal> {
    let id = format!("{}-nodes-{}", load.nodes, load.payload.replace(' ', "-"));
    if !asked.wants(&format!("raft/{name}/{id}")) {
        return None;
    }
    let (samples, payload) = (RefCell::new(Vec::<PerProposal>::new()), "x".repeat(load.bytes));
    let mut group = criterion.benchmark_group("raft");
    let elements = Throughput::Elements(load.proposals as u64);
    group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(elements);
    group.bench_function(BenchmarkId::new(name, &id), |bencher| {
        bencher.iter_custom(|bursts| {
            let mut total = Cost { elapsed: Duration::ZERO, cpu: Duration::ZERO };
            for _ in 0..bursts {
                let mut cluster = make(load.nodes);
                // Wakes up what is slow the first time.
                measure(&mut *cluster, WINDOW, &payload);
                let Cost { elapsed, cpu } = measure(&mut *cluster, load.proposals, &payload);
                total.elapsed += elapsed;
                total.cpu += cpu;
            }
            let per = |time: Duration| time.as_secs_f64() * 1e6 / (bursts as f64 * load.proposals as f64);
            samples.borrow_mut().push(PerProposal { elapsed_us: per(total.elapsed), cpu_us: per(total.cpu) });
            total.elapsed
        });
    });
    group.finish();
    let samples = samples.into_inner();
    let median = |of: fn(&PerProposal) -> f64| {
        let mut values: Vec<f64> = samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Some(PerProposal { elapsed_us: median(|of| of.elapsed_us)?, cpu_us: median(|of| of.cpu_us)? })
}

fn row(load: &Load, costs: [PerProposal; 3]) -> String {
    let [ours, tikv, openraft] = costs;
    let mut line = format!("| {} | {} |", load.nodes, load.payload);
    let ratios = [tikv.cpu_us / ours.cpu_us, openraft.cpu_us / ours.cpu_us];
    for ratio in ratios {
        let _ = write!(line, " {ratio:.2} |");
    }
    let met = if ratios.iter().all(|&ratio| ratio > 1.0) { "yes" } else { "no" };
    let _ = write!(line, " > 1 and > 1 | {met} |");
    for cost in costs {
        let _ = write!(line, " {:.0} |", 1e6 / cost.elapsed_us);
    }
    for cost in costs {
        let _ = write!(line, " {:.2} |", cost.cpu_us);
    }
    line + "\n"
}

/// What the table is of. `shares`: of the time by the clock, how much the thread had a processor, each row
/// and implementation.
fn preface(shares: &[f64]) -> String {
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let least = percent(shares.iter().copied().fold(f64::INFINITY, f64::min));
    let most = percent(shares.iter().copied().fold(0.0, f64::max));
    let share = if shares.is_empty() { String::new() } else { format!(" (here {least} to {most} %)") };
    format!(
        "# Raft: figures\n\n\
         Written by `cargo bench -p shakedown-benches --bench raft`: clusters in memory, all nodes in one thread, no \
         faults, no latency, a disk that is done at once. The leader always has {WINDOW} proposals outstanding; an \
         answered one is followed by the next. Payloads are made before the clock starts; nothing is serialised. A ratio says how many times the processor time \
         of ours the peer takes for a proposal, on all nodes together.\n\n\
         Batching: of ours and tikv's a node takes all that has arrived, then speaks; so the leader writes and sends \
         the whole window as one batch, and one message may hold it. tikv's is given the window as one proposal \
         message, ours as {WINDOW} requests of {WINDOW} clients, with sessions and answers. openraft decides for \
         itself: its core takes proposals one by one, its replication what there is, up to 300 entries in a message.\n\n\
         Proposals a second go by the clock on the wall, processor time by the thread's own clock, which stands still \
         while something else has the processor. So 1 ÷ the processor time is what a thread that is never interrupted \
         would do in a second, and the proposals a second are as much of that as the share of the time in which the \
         thread was running{share}. Each figure is a median of its own; the ratios are of processor time.\n\n\
         | nodes | payload | tikv raft 0.7 ÷ ours | openraft 0.9 ÷ ours | goal | met | ours, proposals/s | tikv | openraft | \
         ours, µs of processor | tikv | openraft |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
}
