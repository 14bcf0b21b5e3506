//! The rows: which histories, what verdict, which goal.

use crate::peer::PeerCase;
use crate::repository;
use shakedown_checkers::format::{self, Format, Limits};
use shakedown_checkers::history::History;
use shakedown_checkers::model::{Prepared, lookup, prepare};
use shakedown_checkers::options::Options;
use shakedown_checkers::verdict::Verdict;
use shakedown_workloads::synthetic::{Object, Synthetic, Violation};
use std::path::PathBuf;

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name: what `cargo bench` filters by.
    pub name: String,
    /// Where its histories come from.
    pub source: Source,
    /// Operations in all.
    pub operations: u32,
    /// At most so many milliseconds.
    pub goal_ms: Option<f64>,
    /// At most so many megabytes at the peak.
    pub goal_mb: Option<f64>,
}

/// Where a row's histories come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The Jepsen logs of etcd, all in turn.
    EtcdLogs,
    /// Porcupine's key-value log with 50 clients.
    KvLog,
    /// Made up.
    Synthetic(Synthetic),
}

/// One history, ready to be judged.
pub struct Case {
    /// The history.
    pub history: History,
    /// Its kind of object.
    pub object: Object,
    /// The verdict that is known to be right: `true` or `false`.
    pub expected: &'static str,
    model: Prepared,
}

/// etcd logs that are linearizable, by the assertions of Porcupine's tests.
const ETCD_VALID: [u32; 16] = [2, 5, 7, 25, 31, 38, 49, 53, 56, 67, 76, 80, 92, 98, 100, 101];

/// All rows, in the order of the table.
pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("jepsen-etcd-logs", Source::EtcdLogs, 8_523).goal(60.0, None),
        row("kv-log-c50", Source::KvLog, 1_712).goal(10.0, None),
        synthetic("kv-synthetic-c50", Object::Kv, 1_712, 50, |plan| plan.keys = 10).goal(10.0, None),
    ];
    for (size, operations, ms, mb) in [
        ("1k", 1_000, None, None),
        ("10k", 10_000, Some(5.0), Some(20.0)),
        ("100k", 100_000, Some(50.0), Some(100.0)),
        ("1M", 1_000_000, Some(1_000.0), None),
    ] {
        for clients in [10, 50] {
            let name = format!("register-{size}-c{clients}");
            let mut row = synthetic(&name, Object::Register, operations, clients, |_| ());
            (row.goal_ms, row.goal_mb) = (ms, mb);
            rows.push(row);
        }
    }
    rows.push(
        synthetic("register-crashes-stale-1k-c5", Object::Register, 1_000, 5, |plan| {
            plan.crash_rate = 0.05;
            plan.violation = Some(Violation::StaleRead);
        })
        .goal(5.0, None),
    );
    let stale = |plan: &mut Synthetic| plan.violation = Some(Violation::StaleRead);
    let cas = Object::CasRegister;
    rows.extend([
        synthetic("cas-1k-c20", cas, 1_000, 20, |_| ()).goal(20.0, None),
        synthetic("cas-stale-1k-c20", cas, 1_000, 20, stale).goal(20.0, None),
        synthetic("cas-100k-c10", cas, 100_000, 10, |_| ()).goal(300.0, Some(100.0)),
        synthetic("cas-1k-c50", cas, 1_000, 50, |_| ()).goal(10_000.0, Some(1_000.0)),
        synthetic("cas-stale-1k-c50", cas, 1_000, 50, stale).goal(10_000.0, Some(1_000.0)),
    ]);
    for object in [Object::FifoQueue, Object::Stack, Object::PriorityQueue, Object::LinearSet] {
        for (size, operations) in [("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000)] {
            rows.push(synthetic(&format!("{object}-{size}-c10"), object, operations, 10, |_| ()));
        }
    }
    rows
}

fn row(name: &str, source: Source, operations: u32) -> Row {
    Row { name: name.to_owned(), source, operations, goal_ms: None, goal_mb: None }
}

fn synthetic(
    name: &str,
    object: Object,
    operations: u32,
    clients: u32,
    set: impl FnOnce(&mut Synthetic),
) -> Row {
    let mut plan = Synthetic { operations, clients, seed: 1, ..Synthetic::new(object) };
    set(&mut plan);
    row(name, Source::Synthetic(plan), operations)
}

impl Row {
    fn goal(self, ms: f64, mb: Option<f64>) -> Row {
        Row { goal_ms: Some(ms), goal_mb: mb, ..self }
    }

    /// The histories; `None` if they are recorded ones and not here.
    pub fn load(&self) -> Option<Vec<Case>> {
        let data = repository("../shared/data/porcupine");
        match &self.source {
            Source::Synthetic(plan) => {
                let history = plan.generate().expect("the plans of the table are possible");
                let expected = if plan.violation.is_some() { "false" } else { "true" };
                Some(vec![Case::new(history, plan.object, expected, None)])
            }
            Source::KvLog => {
                let history = read(data.join("kv/c50-ok.txt"), Format::PorcupineKv)?;
                Some(vec![Case::new(history, Object::Kv, "true", Some("\"\""))])
            }
            Source::EtcdLogs => {
                // Number 95 is empty: no operations, no verdict.
                let numbers = (0..=102).filter(|number| *number != 95);
                let cases: Vec<Case> = numbers
                    .filter_map(|number| {
                        let path = data.join(format!("jepsen/etcd_{number:03}.log"));
                        let expected = if ETCD_VALID.contains(&number) { "true" } else { "false" };
                        Some(Case::new(read(path, Format::JepsenLog)?, Object::CasRegister, expected, None))
                    })
                    .collect();
                (!cases.is_empty()).then_some(cases)
            }
        }
    }
}

fn read(path: PathBuf, format: Format) -> Option<History> {
    let file = std::fs::File::open(&path).ok()?;
    let name = path.display().to_string();
    Some(
        format::read(file, &name, Some(format), &Limits::default()).unwrap_or_else(|error| panic!("{error}")),
    )
}

impl Case {
    fn new(mut history: History, object: Object, expected: &'static str, initial: Option<&str>) -> Case {
        let name = lookup(object.name()).expect("every synthetic object has its model");
        let model = prepare(name, initial, &mut history).expect("the rows start where their model may start");
        Case { history, object, expected, model }
    }

    /// Our verdict.
    pub fn check(&self, options: &Options) -> Verdict {
        self.model.check(&self.history, options).expect("the history fits its model")
    }

    /// The same history for the peer.
    pub fn for_peer(&self) -> PeerCase {
        PeerCase::new(self.object, &self.history)
    }
}
