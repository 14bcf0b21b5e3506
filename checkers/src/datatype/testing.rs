//! Test support: histories drawn by chance, with overlapping operations and growing clocks.
//!
//! A test says what its clients ask and what the system answers ([`System`]); [`draw`] lets operations
//! begin and end in a random order, some of them never.

use super::{Figure, Report, Validity};
use crate::history::{Event, EventKind, History, HistoryBuilder, OpId, Process};
use crate::model::transcript::parse;
use crate::value::{Value, Values};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;

/// Seeded chance.
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    /// True in `n` of a hundred cases.
    pub(super) fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }
}

/// An integer's handle.
pub(super) fn int(value: i64) -> Value {
    Value::small_int(value).expect("small")
}

/// What clients ask, and what they are answered.
pub(super) trait System {
    /// The next operation of `process`.
    fn invoke(&mut self, chance: &mut Chance, values: &mut Values, process: i64) -> (&'static str, Value);

    /// How that operation ends.
    fn complete(
        &mut self,
        chance: &mut Chance,
        values: &mut Values,
        asked: (i64, &'static str, Value),
    ) -> (EventKind, Value);
}

/// A history of `operations` operations by `clients` clients. After an `info` a client is given a new
/// number, or goes on under its old one. Operations still open at the end stay so.
pub(super) fn draw(chance: &mut Chance, clients: u64, operations: usize, system: &mut dyn System) -> History {
    let mut builder = HistoryBuilder::new();
    let mut open: BTreeMap<u64, (i64, &'static str, Value)> = BTreeMap::new();
    let mut number: BTreeMap<u64, i64> = (0..clients).map(|client| (client, client as i64)).collect();
    let (mut begun, mut time_ns) = (0, 0);
    let left_open = chance.below(2) as usize * chance.below(clients) as usize;
    while begun < operations || open.len() > left_open {
        let client = chance.below(clients);
        time_ns += chance.below(3_000_000) as i64;
        let (process, kind, f, value) = match open.remove(&client) {
            None if begun < operations => {
                let process = number[&client];
                let (f, value) = system.invoke(chance, builder.values(), process);
                open.insert(client, (process, f, value));
                begun += 1;
                (process, EventKind::Invoke, f, value)
            }
            None => continue,
            Some(asked) => {
                let (kind, value) = system.complete(chance, builder.values(), asked);
                if kind == EventKind::Info && chance.percent(70) {
                    number.insert(client, asked.0 + 100);
                }
                (asked.0, kind, asked.1, value)
            }
        };
        let f = builder.function(f).unwrap();
        let process = Process::Client(process);
        let line = builder.event_count() + 1;
        builder.push(Event { process, kind, f, key: None, value, error: Value::NIL, time_ns, line }).unwrap();
    }
    builder.finish()
}

/// A history of operations that begin and end at these milliseconds, no two of which are the same; they
/// are written as in [`transcript`](crate::model::transcript), each with a process and an outcome, and
/// without lines.
pub(super) fn timed(lines: &[(i64, i64, &str)]) -> History {
    let mut builder = HistoryBuilder::new();
    let mut events = Vec::new();
    for (from, to, line) in lines {
        let (call, end) = line.split_once(" | ").expect("an outcome");
        let mut call = call.splitn(3, ' ');
        let process: i64 = call.next().unwrap().parse().expect("a process");
        let f = builder.function(call.next().unwrap()).unwrap();
        let input = parse(builder.values(), call.next().unwrap());
        let (kind, output) = end.split_once(' ').unwrap_or((end, "nil"));
        let kind =
            [EventKind::Ok, EventKind::Fail, EventKind::Info].into_iter().find(|k| k.name() == kind).unwrap();
        let output = parse(builder.values(), output);
        events.push((*from, process, EventKind::Invoke, f, input));
        events.push((*to, process, kind, f, output));
    }
    events.sort_by_key(|event| event.0);
    for (ms, process, kind, f, value) in events {
        let (process, time_ns) = (Process::Client(process), ms * 1_000_000);
        builder
            .push(Event { process, kind, f, key: None, value, error: Value::NIL, time_ns, line: 0 })
            .unwrap();
    }
    builder.finish()
}

/// The kinds of a report's findings, in order.
pub(super) fn kinds(report: &Report) -> Vec<&'static str> {
    let mut kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    kinds.dedup();
    kinds
}

/// `true`, `false` or `unknown`.
pub(super) fn word(report: &Report) -> &'static str {
    match report.validity {
        Validity::Valid => "true",
        Validity::Invalid => "false",
        Validity::Unknown(_) => "unknown",
    }
}

/// A figure by name.
pub(super) fn figure<'r>(report: &'r Report, name: &str) -> &'r Figure {
    let found = report.figures.iter().find(|(figure, _)| *figure == name);
    &found.unwrap_or_else(|| panic!("no figure {name}")).1
}

/// A count by name.
pub(super) fn count(report: &Report, name: &str) -> u64 {
    match figure(report, name) {
        Figure::Count(count) => *count,
        other => panic!("{name} is {other:?}"),
    }
}

/// The values of a figure, as text.
pub(super) fn listed(history: &History, report: &Report, name: &str) -> String {
    let values = history.values();
    match figure(report, name) {
        Figure::Values(list) => list.iter().map(|value| values.show(*value)).collect::<Vec<_>>().join(" "),
        Figure::Tally(list) => {
            let entry = |(value, n): &(Value, u64)| format!("{}:{n}", values.show(*value));
            list.iter().map(entry).collect::<Vec<_>>().join(" ")
        }
        other => panic!("{name} is {other:?}"),
    }
}

/// A report must keep the promises of its type, whatever it says.
pub(super) fn assert_well_formed(history: &History, report: &Report) {
    let errors = report.findings.iter().filter(|finding| finding.is_error).count();
    assert_eq!(report.validity == Validity::Invalid, errors > 0, "{report:#?}");
    assert!(report.findings.is_sorted_by_key(|finding| !finding.is_error));
    for finding in &report.findings {
        assert!(finding.operations.is_sorted_by(|a: &OpId, b| a < b), "{finding:?}");
        assert!(finding.operations.iter().all(|id| (*id as usize) < history.len()));
        assert!(!finding.sentence.is_empty() && !finding.sentence.ends_with('.'), "{finding:?}");
    }
    let names: std::collections::BTreeSet<_> = report.figures.iter().map(|figure| figure.0).collect();
    assert_eq!(names.len(), report.figures.len(), "a figure twice");
}

/// How often each answer was given: both must occur often for a comparison to mean anything.
#[derive(Default)]
pub(super) struct Met(BTreeMap<&'static str, usize>);

impl Met {
    pub(super) fn see(&mut self, word: &'static str) {
        *self.0.entry(word).or_default() += 1;
    }

    /// Each of these words was met that often, at least.
    pub(super) fn at_least(&self, words: &[&str], times: usize) {
        for word in words {
            let met = self.0.get(word).copied().unwrap_or(0);
            assert!(met >= times, "{word} only {met} times: {:?}", self.0);
        }
    }
}

/// The path of a published history, if the folder of those is there.
pub(super) fn published(file: &str) -> Option<std::path::PathBuf> {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/elle-cli/jepsen").join(file);
    if !path.is_file() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}
