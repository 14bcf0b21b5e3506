//! The rows of the bench `isolation`: histories of transactions, what is asked of them, and the goals.
//!
//! [`table`] makes the Markdown summary of them.
//!
//! No crate judges isolation, so there is no peer to run beside: Elle runs on the JVM, PolySI and Cobra on MonoSAT,
//! and AWDIT, DBCop and Plume are no published crates. The goals come from their published figures.

pub mod table;

use crate::probe::Task;
use shakedown_checkers::format::{self, Format, Limits};
use shakedown_checkers::history::History;
use shakedown_checkers::options::Options;
use shakedown_checkers::transaction::{IsolationOptions, Kind, Standing, check};
use shakedown_workloads::synthetic::clauses::Clauses;
use shakedown_workloads::synthetic::transaction::{
    Level, PlantedAnomaly, Skew, Transactional, anomalies_for,
};
use std::time::Duration;

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name: what `cargo bench` filters by.
    pub name: String,
    /// Which table it is in.
    pub part: Part,
    /// Where its history comes from.
    pub source: Source,
    /// Lists or registers.
    pub kind: Kind,
    /// The level that is asked for, by its name.
    pub level: &'static str,
    /// Whether that alone, or every level.
    pub only_asked: bool,
    /// How long the check may take.
    pub deadline: Option<Duration>,
    /// The right verdict: `true`, `false`, or `unknown` where the deadline comes first.
    pub expected: &'static str,
    /// At most so many milliseconds.
    pub goal_ms: Option<f64>,
    /// At most so many megabytes at the peak.
    pub goal_mb: Option<f64>,
}

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Lists, valid, and one whose transactions all hang together in cycles.
    Lists,
    /// Registers, weak levels.
    Weak,
    /// Registers, complete levels.
    Complete,
    /// Histories that force a search.
    Hard,
    /// One planted anomaly: a table of kinds and sizes.
    Planted(PlantedAnomaly),
}

/// Where a row's history comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Made up, as `shakedown generate` does it.
    Made(Box<Transactional>),
    /// The same, of which only sessions are recorded: what overlapped is not known.
    Sessions(Box<Transactional>),
    /// Clauses.
    Clauses(Clauses),
}

/// Sizes of the sweeps, in transactions.
pub const SIZES: [(&str, u32); 4] = [("1k", 1_000), ("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000)];
const SESSIONS: [u32; 3] = [10, 50, 200];

/// All rows, in the order of the tables.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    lists(&mut rows);
    weak(&mut rows);
    complete(&mut rows);
    hard(&mut rows);
    planted(&mut rows);
    rows
}

fn lists(rows: &mut Vec<Row>) {
    for skewed in [false, true] {
        for (size, transactions) in SIZES {
            for sessions in SESSIONS {
                let mut plan = Transactional::new(Kind::ListAppend);
                (plan.transactions, plan.sessions, plan.seed) = (transactions, sessions, 1);
                skew(&mut plan, skewed);
                let name = format!("list-append{}-{size}-s{sessions}", if skewed { "-skewed" } else { "" });
                let mut row = Row::new(name, Part::Lists, Source::Made(Box::new(plan)));
                row.goal_ms = match transactions {
                    100_000 => Some(150.0),
                    1_000_000 => Some(2_000.0),
                    _ => None,
                };
                rows.push(row);
            }
        }
    }
    let mut plan = Transactional::new(Kind::ListAppend);
    (plan.transactions, plan.sessions, plan.seed) = (10_000, 50, 1);
    plan.level = Level::ReadCommitted;
    let mut row =
        Row::new("list-append-component-10k-s50".to_owned(), Part::Lists, Source::Made(Box::new(plan)));
    (row.expected, row.goal_ms) = ("false", Some(100.0));
    rows.push(row);
}

/// Some keys and sessions are used far more than others: keys as Elle draws them.
fn skew(plan: &mut Transactional, skewed: bool) {
    if skewed {
        (plan.key_skew, plan.session_skew) = (Skew::Exponential(2.0), Skew::Zipf(1.0));
    }
}

fn weak(rows: &mut Vec<Row>) {
    for (short, level, goal_ms, goal_mb) in [
        ("rc", "monotonic-atomic-view", 100.0, None),
        ("ra", "read-atomic", 200.0, None),
        ("cc", "causal", 400.0, Some(150.0)),
    ] {
        for skewed in [false, true] {
            for (size, transactions) in SIZES {
                for sessions in SESSIONS {
                    let mut plan = Transactional::new(Kind::Register);
                    (plan.transactions, plan.sessions, plan.seed) = (transactions, sessions, 1);
                    plan.operations_per_transaction = 3..=3;
                    plan.keys = (transactions / 100).clamp(10, 10_000);
                    plan.level = Level::Causal;
                    if skewed {
                        (plan.key_skew, plan.session_skew) = (Skew::Zipf(1.0), Skew::Zipf(1.0));
                    }
                    let name = format!("{short}{}-{size}-s{sessions}", if skewed { "-skewed" } else { "" });
                    let mut row = Row::new(name, Part::Weak, Source::Sessions(Box::new(plan)));
                    (row.level, row.only_asked) = (level, true);
                    if transactions == 100_000 {
                        (row.goal_ms, row.goal_mb) = (Some(goal_ms), goal_mb);
                    }
                    rows.push(row);
                }
            }
        }
    }
}

/// What the transactions of the complete levels do: half reads; blind writes, or writes after reads.
fn complete(rows: &mut Vec<Row>) {
    for (short, level, store) in [
        ("ser", "serializable", Level::StrictSerializable),
        ("strict", "strict-serializable", Level::StrictSerializable),
        ("si", "strong-session-snapshot-isolation", Level::SnapshotIsolation),
    ] {
        for (load, read_modify_write, hot) in
            [("rmw", true, false), ("blind", false, false), ("hot", false, true)]
        {
            for (size, transactions, sessions) in sweep() {
                let mut plan = Transactional::new(Kind::Register);
                (plan.transactions, plan.sessions, plan.seed) = (transactions, sessions, 1);
                plan.operations_per_transaction = 8..=8;
                plan.read_modify_write = read_modify_write;
                plan.keys = (transactions / 5).max(100);
                plan.key_skew = Skew::Zipf(if hot { 1.2 } else { 0.5 });
                plan.level = store;
                let plan = Box::new(plan);
                let source = if short == "strict" { Source::Made(plan) } else { Source::Sessions(plan) };
                let name = format!("{short}-{load}-{size}-s{sessions}");
                let mut row = Row::new(name, Part::Complete, source);
                (row.level, row.only_asked) = (level, true);
                row.goal_ms = (transactions == 10_000).then_some(1_000.0);
                rows.push(row);
            }
        }
    }
}

fn hard(rows: &mut Vec<Row>) {
    let deadline = Some(Duration::from_secs(2));
    for (name, clauses, expected) in [
        ("clauses-loose-200", Clauses::random(200, 600, 1), "true"),
        ("clauses-tight-150", Clauses::random(150, 540, 1), "true"),
        ("clauses-over-150", Clauses::random(150, 720, 1), "false"),
        ("pigeons-5", Clauses::pigeons(5), "false"),
        ("pigeons-20", Clauses::pigeons(20), "unknown"),
    ] {
        for (short, level) in [("ser", "serializable"), ("si", "strong-session-snapshot-isolation")] {
            let mut row = Row::new(format!("{short}-{name}"), Part::Hard, Source::Clauses(clauses.clone()));
            (row.level, row.only_asked, row.expected, row.deadline) = (level, true, expected, deadline);
            row.goal_ms = Some(2_100.0);
            rows.push(row);
        }
    }
}

fn planted(rows: &mut Vec<Row>) {
    // The long ones last.
    for (size, transactions, sessions) in sweep() {
        for kind in [Kind::ListAppend, Kind::Register] {
            for anomaly in anomalies_for(kind) {
                let mut plan = Transactional::new(kind);
                (plan.transactions, plan.sessions, plan.seed) = (transactions, sessions, 1);
                plan.anomaly = Some(anomaly);
                let name = format!("{}-{}-{size}-s{sessions}", short(kind), anomaly.name());
                let mut row = Row::new(name, Part::Planted(anomaly), Source::Made(Box::new(plan)));
                (row.kind, row.expected) = (kind, "false");
                rows.push(row);
            }
        }
    }
}

/// Sizes with all numbers of sessions; a million transactions, which take long, with one.
pub fn sweep() -> impl Iterator<Item = (&'static str, u32, u32)> {
    SIZES.into_iter().flat_map(|(size, transactions)| {
        let sessions = if transactions == 1_000_000 { &SESSIONS[1..2] } else { &SESSIONS[..] };
        sessions.iter().map(move |sessions| (size, transactions, *sessions))
    })
}

/// The kind's name among the models.
pub fn short(kind: Kind) -> &'static str {
    if kind == Kind::ListAppend { "list-append" } else { "rw-register" }
}

impl Row {
    fn new(name: String, part: Part, source: Source) -> Row {
        let kind = if part == Part::Lists { Kind::ListAppend } else { Kind::Register };
        Row {
            name,
            part,
            source,
            kind,
            level: "strict-serializable",
            only_asked: false,
            deadline: None,
            expected: "true",
            goal_ms: None,
            goal_mb: None,
        }
    }

    /// Its history.
    pub fn load(&self) -> History {
        let made = |plan: &Transactional| plan.generate().expect("the plans of the tables are possible");
        match &self.source {
            Source::Made(plan) => made(plan),
            Source::Sessions(plan) => sessions_only(&made(plan)),
            Source::Clauses(clauses) => clauses.history(),
        }
    }

    /// What is asked.
    pub fn options(&self) -> IsolationOptions {
        let level = self.level.parse().expect("the levels of the tables exist");
        let budget = Options { time_limit: self.deadline, ..Options::default() };
        IsolationOptions {
            levels: vec![level],
            only_asked: self.only_asked,
            // Of the planted, one is a read of what nobody wrote.
            forbid_unwritten: true,
            budget,
            ..IsolationOptions::new(self.kind)
        }
    }

    /// The row as a task for a process of its own.
    pub fn task(&self) -> Task {
        let (history, options, kind) = (self.load(), self.options(), self.kind);
        Task {
            operations: history.len(),
            expected: self.expected,
            check: Box::new(move || verdict(&history, kind, &options)),
        }
    }
}

/// `true`, `false` or `unknown`.
pub fn verdict(history: &History, kind: Kind, options: &IsolationOptions) -> &'static str {
    match check(history, kind, options).expect("the history is one of transactions").verdict {
        Standing::Holds => "true",
        Standing::Violated(_) => "false",
        Standing::Undecided => "unknown",
    }
}

/// The committed transactions as Plume's format has them: session by session, and no word about time.
fn sessions_only(history: &History) -> History {
    let mut text = Vec::new();
    format::write(history, Format::Plume, &mut text)
        .expect("every value is a number, and every outcome known");
    let text = String::from_utf8(text).expect("numbers, letters and parentheses");
    let committed: String = text.split_inclusive('\n').filter(|line| !line.contains(",-1)")).collect();
    format::read(committed.as_bytes(), "memory", Some(Format::Plume), &Limits::default())
        .expect("what we write we read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_name_of_its_own_and_the_short_ones_their_verdicts() {
        let rows = rows();
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), rows.len());
        let short =
            |row: &&Row| row.name.contains("-1k-") || row.part == Part::Hard && row.expected != "unknown";
        for row in rows.iter().filter(short) {
            let verdict = verdict(&row.load(), row.kind, &row.options());
            assert_eq!(verdict, row.expected, "{}", row.name);
        }
    }
}
