//! An incident: a dependency slows, dies, returns cold, is well again, and then more come than it can serve; with all layers
//! of resilience between it and its callers, without each, and without any.
//!
//! ```text
//!   0 s      5 s       10 s      15 s      17 s           27 s      30 s       35 s
//!   |  well  |  slow   |  dead   |  cold   |  well again  |  surge  |  at last  |
//!   | 20 ms  | 200 ms  | silence |  60 ms  |    20 ms     |  20 ms  |   20 ms   |   ten at a time, the others in a queue
//!   | 250/s  |         |         |         |              |  750/s  |   250/s   |   without a bound; one in 50 breaks
//! ```
//!
//! The load is open: callers come at their rate, whatever became of those before, and wait for a second. Latency counts from
//! when a caller was to come. All is on tokio's stopped clock, in one thread: equal seeds give equal incidents.
//!
//! The numbers are chosen so that the dependency can do twice of what is asked of it, and not three times: those who call
//! three times keep it from coming back, long after the reason is gone (Bronson et al., *Metastable Failures in
//! Distributed Systems*, HotOS 2021).

mod client;
mod service;

use crate::random::Random;
use client::Client;
use hdrhistogram::Histogram;
use service::Dependency;
use shakedown_impls::resilience::retry::Call;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};
use tower_service::Service as _;

/// What the dependency does for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What it is called.
    pub name: &'static str,
    /// When it is over, in milliseconds from the beginning.
    pub until_ms: u64,
    /// How long a call takes, in milliseconds; `None`: it is dead, and nothing is ever answered.
    pub takes_ms: Option<u64>,
    /// Callers that come in each [`SLOT_MS`].
    pub callers: u64,
}

/// What happens.
pub const PHASES: [Phase; 7] = [
    Phase { name: "well", until_ms: 5_000, takes_ms: Some(20), callers: 1 },
    Phase { name: "slow", until_ms: 10_000, takes_ms: Some(200), callers: 1 },
    Phase { name: "dead", until_ms: 15_000, takes_ms: None, callers: 1 },
    Phase { name: "cold", until_ms: 17_000, takes_ms: Some(60), callers: 1 },
    Phase { name: "well again", until_ms: 27_000, takes_ms: Some(20), callers: 1 },
    Phase { name: "surge", until_ms: 30_000, takes_ms: Some(20), callers: 3 },
    Phase { name: "at last", until_ms: 35_000, takes_ms: Some(20), callers: 1 },
];

/// In which callers come, in milliseconds.
pub const SLOT_MS: u64 = 4;

/// Of so many calls, one breaks at once.
pub const BREAKS_ONE_IN: u64 = 50;

/// How long a caller waits, in milliseconds.
pub const PATIENCE_MS: u64 = 1_000;

/// The time of one row of what is drawn, in milliseconds.
pub const SLICE_MS: u64 = 500;

/// What stands between callers and the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// What it is called.
    pub name: &'static str,
    /// Whether calls that failed are made again, and how.
    pub retry: Retries,
    /// Whether the layer is there.
    pub circuit_breaker: bool,
    /// Whether the layer is there.
    pub backpressure: bool,
    /// Whether the layer is there.
    pub bulkhead: bool,
}

/// How calls are made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retries {
    /// Not at all.
    None,
    /// Up to three times, at once, whatever it costs.
    Naive,
    /// With pauses, and a budget of a tenth.
    Budgeted,
}

/// With all, without each, and without any.
pub const PROTECTIONS: [Protection; 7] = {
    let all = Protection {
        name: "all four",
        retry: Retries::Budgeted,
        circuit_breaker: true,
        backpressure: true,
        bulkhead: true,
    };
    let none = Protection {
        name: "none",
        retry: Retries::None,
        circuit_breaker: false,
        backpressure: false,
        bulkhead: false,
    };
    [
        none,
        Protection { name: "naive retries only", retry: Retries::Naive, ..none },
        all,
        Protection { name: "all but retry", retry: Retries::None, ..all },
        Protection { name: "all but circuit breaker", circuit_breaker: false, ..all },
        Protection { name: "all but backpressure", backpressure: false, ..all },
        Protection { name: "all but bulkhead", bulkhead: false, ..all },
    ]
};

/// What came of it, for callers that came in a certain time.
#[derive(Clone, Debug)]
pub struct Slice {
    /// When it begins, in milliseconds.
    pub from_ms: u64,
    /// Callers that came.
    pub calls: u64,
    /// Calls that reached the dependency in this time.
    pub reached: u64,
    /// Callers that were answered.
    pub answered: u64,
    /// Callers that were told that their call was not made.
    pub refused: u64,
    /// Callers whose call failed, or had no end in time.
    pub failed: u64,
    /// How long it took until they knew, one way or the other, in milliseconds.
    pub latency_ms: Histogram<u64>,
}

/// An incident.
#[derive(Clone, Debug)]
pub struct Incident {
    /// What stood between.
    pub protection: Protection,
    /// In slices of [`SLICE_MS`].
    pub slices: Vec<Slice>,
}

impl Incident {
    /// Has it happen.
    pub fn run(protection: Protection, seed: u64) -> Incident {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime without threads or sockets").block_on(happen(protection, seed))
    }

    /// What came of it in each of [`PHASES`].
    pub fn phases(&self) -> Vec<(Phase, Slice)> {
        let mut from_ms = 0;
        let phases = PHASES.into_iter().map(|phase| {
            let mut sum = Slice::at(from_ms);
            let within = |slice: &&Slice| (from_ms..phase.until_ms).contains(&slice.from_ms);
            self.slices.iter().filter(within).for_each(|slice| sum.add(slice));
            from_ms = phase.until_ms;
            (phase, sum)
        });
        phases.collect()
    }
}

impl Slice {
    fn at(from_ms: u64) -> Slice {
        let latency_ms = Histogram::new(3).expect("three digits are within its range");
        Slice { from_ms, calls: 0, reached: 0, answered: 0, refused: 0, failed: 0, latency_ms }
    }

    fn note(&mut self, note: Note) {
        let Note::Ended(end, took_ms) = note else {
            self.reached += 1;
            return;
        };
        self.calls += 1;
        self.latency_ms.record(took_ms).expect("it grows");
        match end {
            End::Answered => self.answered += 1,
            End::Refused => self.refused += 1,
            End::Failed => self.failed += 1,
        }
    }

    fn add(&mut self, other: &Slice) {
        self.calls += other.calls;
        self.reached += other.reached;
        self.answered += other.answered;
        self.refused += other.refused;
        self.failed += other.failed;
        self.latency_ms.add(&other.latency_ms).expect("both hold what either does");
    }

    /// The latency that so many of a hundred callers did not exceed, in milliseconds.
    pub fn latency_ms_at(&self, percentile: f64) -> u64 {
        self.latency_ms.value_at_percentile(percentile)
    }
}

/// What is written down while it happens.
#[derive(Clone, Copy, Debug)]
enum Note {
    /// A call reached the dependency.
    Reached,
    /// A caller knows what became of its call, after so many milliseconds.
    Ended(End, u64),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Answered,
    Refused,
    Failed,
}

/// Takes notes, each of a time in milliseconds.
#[derive(Clone)]
struct Record(UnboundedSender<(u64, Note)>);

impl Record {
    /// A call has reached the dependency.
    fn reached(&self, at: Duration) {
        self.note(at.as_millis() as u64, Note::Reached);
    }

    fn note(&self, at_ms: u64, note: Note) {
        assert!(self.0.send((at_ms, note)).is_ok(), "notes are read after all is over");
    }
}

async fn happen(protection: Protection, seed: u64) -> Incident {
    let (sender, mut notes) = unbounded_channel();
    let (start, record) = (Instant::now(), Record(sender));
    let client = client::behind(protection, seed, Dependency::new(seed, start, record.clone()));
    let mut random = Random::stream(seed, "incident", 0);
    let end_ms = PHASES[PHASES.len() - 1].until_ms;
    let mut callers = vec![];
    for slot in 0..end_ms / SLOT_MS {
        let phase =
            PHASES.iter().find(|phase| slot * SLOT_MS < phase.until_ms).expect("it is before the end");
        for _ in 0..phase.callers {
            // Somewhere in it, so that callers and phases do not keep step.
            let at_ms = slot * SLOT_MS + random.below(SLOT_MS);
            let (client, record) = (client.clone(), record.clone());
            callers.push(tokio::spawn(async move {
                let intended = start + Duration::from_millis(at_ms);
                sleep_until(intended).await;
                let end = call(client).await;
                record.note(at_ms, Note::Ended(end, intended.elapsed().as_millis() as u64));
            }));
        }
    }
    for caller in callers {
        caller.await.expect("no caller panics");
    }
    let mut slices: Vec<Slice> = (0..end_ms / SLICE_MS).map(|number| Slice::at(number * SLICE_MS)).collect();
    while let Ok((at_ms, note)) = notes.try_recv() {
        // What reaches it after the end is nobody's.
        if let Some(slice) = slices.get_mut((at_ms / SLICE_MS) as usize) {
            slice.note(note);
        }
    }
    Incident { protection, slices }
}

async fn call(mut client: Client) -> End {
    match timeout(Duration::from_millis(PATIENCE_MS), client.call(Call::idempotent(()))).await {
        Ok(Ok(())) => End::Answered,
        // It was not made, not once.
        Ok(Err(error)) if error.is_definite => End::Refused,
        Ok(Err(_)) | Err(_) => End::Failed,
    }
}
