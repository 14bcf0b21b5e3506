//! Test support: chance with a seed, histories in which the operations of a made-up system overlap, and
//! reports in words.

use super::{Figure, Report, Validity};
use crate::format::{self, Format, Limits};
use crate::history::{Event, EventKind, History, HistoryBuilder, Process};
use crate::value::{Value, Values};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A seeded generator.
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a made-up system is asked and answers.
pub(super) trait System {
    /// The next operation of `process`: its function and its value.
    fn call(&mut self, chance: &mut Chance, values: &mut Values, process: i64) -> (&'static str, Value);

    /// How the open operation of `process` ends.
    fn reply(
        &mut self,
        chance: &mut Chance,
        values: &mut Values,
        process: i64,
        f: &'static str,
        input: Value,
    ) -> (EventKind, Value);
}

/// Lets so many processes take `steps` steps in all: each invokes an operation or completes its open one.
pub(super) fn record(chance: &mut Chance, processes: u64, steps: u64, system: &mut dyn System) -> History {
    let mut builder = HistoryBuilder::new();
    let mut open: Vec<Option<(&'static str, Value)>> = vec![None; processes as usize];
    for step in 0..steps {
        let process = chance.below(processes);
        let slot = &mut open[process as usize];
        let process = process as i64;
        let (kind, f, value) = match slot.take() {
            None => {
                let (f, value) = system.call(chance, builder.values(), process);
                *slot = Some((f, value));
                (EventKind::Invoke, f, value)
            }
            Some((f, input)) => {
                let (kind, value) = system.reply(chance, builder.values(), process, f, input);
                (kind, f, value)
            }
        };
        let f = builder.function(f).unwrap();
        let process = Process::Client(process);
        let line = step as u32 + 1;
        builder
            .push(Event { process, kind, f, key: None, value, error: Value::NIL, time_ns: -1, line })
            .unwrap();
    }
    builder.finish()
}

/// The history that EDN text holds, one event a line.
pub(super) fn edn(text: &str) -> History {
    let limits = Limits::default();
    format::read(text.as_bytes(), "history.edn", Some(Format::Edn), &limits).unwrap_or_else(|e| panic!("{e}"))
}

/// A small integer.
pub(super) fn int(value: i64) -> Value {
    Value::small_int(value).expect("small")
}

/// `valid`, `invalid` or `unknown: …`, then the findings, each `kind: sentence`, with a `~` before those
/// that are no errors.
pub(super) fn told(report: &Report) -> Vec<String> {
    let validity = match &report.validity {
        Validity::Valid => "valid".to_owned(),
        Validity::Invalid => "invalid".to_owned(),
        Validity::Unknown(reason) => format!("unknown: {reason}"),
    };
    let findings = report.findings.iter().map(|finding| {
        let mark = if finding.is_error { "" } else { "~" };
        format!("{mark}{}: {}", finding.kind, finding.sentence)
    });
    std::iter::once(validity).chain(findings).collect()
}

/// A figure that is a count.
pub(super) fn count(report: &Report, name: &str) -> u64 {
    match report.figures.iter().find(|figure| figure.0 == name) {
        Some((_, Figure::Count(count))) => *count,
        other => panic!("{name} is {other:?}"),
    }
}
