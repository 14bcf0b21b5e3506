//! One row in a process of its own: for its peak memory, and because a peer may never end.
//!
//! The peak is the kernel's count of resident memory (`VmHWM`), set back to what is resident once
//! the history is loaded; it includes the history. Linux only; elsewhere it reads as unknown.

use crate::isolation;
use crate::rows::{Case, rows};
use shakedown_checkers::options::Options;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Who judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// This project.
    Shakedown,
    /// The crate porcupine-rs.
    Porcupine,
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Judge::Shakedown { "shakedown" } else { "porcupine" })
    }
}

impl FromStr for Judge {
    type Err = String;

    fn from_str(text: &str) -> Result<Judge, String> {
        let all = [Judge::Shakedown, Judge::Porcupine];
        let found = all.into_iter().find(|judge| judge.to_string() == text);
        found.ok_or_else(|| format!("unknown judge {text:?}; expected shakedown or porcupine"))
    }
}

/// What the process may spend before it is told to give up.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Time.
    pub limit: Duration,
    /// Resident memory.
    pub megabytes: f64,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// How it ended.
    pub end: End,
    /// Time to that end.
    pub ms: f64,
    /// Most memory resident, history included.
    pub peak_mb: f64,
    /// Memory resident before the check.
    pub loaded_mb: f64,
    /// Operations in all histories of the row.
    pub operations: usize,
    /// Histories of the row.
    pub histories: usize,
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every verdict is the right one.
    Right,
    /// Some verdict is wrong.
    Wrong,
    /// The checker itself gave up.
    Unknown,
    /// The time ran out.
    Time,
    /// The memory ran out.
    Memory,
}

const ENDS: [(End, &str); 5] = [
    (End::Right, "right"),
    (End::Wrong, "wrong"),
    (End::Unknown, "unknown"),
    (End::Time, "time"),
    (End::Memory, "memory"),
];

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = ENDS.iter().find(|(end, _)| *end == self.end).expect("every end has its word").1;
        let Probe { ms, peak_mb, loaded_mb, operations, histories, .. } = self;
        write!(f, "{end} {ms:.4} {peak_mb:.1} {loaded_mb:.1} {operations} {histories}")
    }
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(line: &str) -> Result<Probe, String> {
        let parse = || {
            let mut words = line.split_whitespace();
            let word = words.next()?;
            Some(Probe {
                end: ENDS.iter().find(|(_, name)| *name == word)?.0,
                ms: words.next()?.parse().ok()?,
                peak_mb: words.next()?.parse().ok()?,
                loaded_mb: words.next()?.parse().ok()?,
                operations: words.next()?.parse().ok()?,
                histories: words.next()?.parse().ok()?,
            })
        };
        parse()
            .ok_or_else(|| format!("expected END MS PEAK_MB LOADED_MB OPERATIONS HISTORIES, found {line:?}"))
    }
}

/// Runs `program` (the binary `row`) on a row; `None` if the row's histories are not here.
///
/// # Panics
/// If the process dies without a word.
pub fn probe(program: &Path, row: &str, judge: Judge, budget: Budget) -> Option<Probe> {
    let (seconds, megabytes) = (budget.limit.as_secs_f64(), budget.megabytes);
    let output = Command::new(program)
        .args([row, &judge.to_string(), &seconds.to_string(), &megabytes.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().last() {
        Some("absent") => None,
        Some(line) => Some(line.parse().unwrap_or_else(|error| panic!("{row} by {judge}: {error}"))),
        None => panic!("{row} by {judge} ended without a word: {}", output.status),
    }
}

/// A history to judge, and what is known of it.
pub struct Task {
    /// Operations of the history.
    pub operations: usize,
    /// The right verdict.
    pub expected: &'static str,
    /// The judge.
    pub check: Box<dyn Fn() -> &'static str>,
}

/// The process's side: judges the row and prints what [`probe`] reads.
pub fn serve(name: &str, judge: Judge, budget: Budget) -> Result<(), String> {
    let Some(tasks) = tasks(name, judge, budget)? else {
        println!("absent");
        return Ok(());
    };
    let operations = tasks.iter().map(|task| task.operations).sum();
    let histories = tasks.len();
    let expected: Vec<&str> = tasks.iter().map(|task| task.expected).collect();
    reset_peak();
    let loaded_mb = resident("VmRSS");
    let start = Instant::now();
    let report = move |end: End| {
        let (ms, peak_mb) = (start.elapsed().as_secs_f64() * 1e3, resident("VmHWM"));
        println!("{}", Probe { end, ms, peak_mb, loaded_mb, operations, histories });
    };
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(5));
            let over = resident("VmRSS") > budget.megabytes;
            if over || start.elapsed() > budget.limit + Duration::from_millis(200) {
                report(if over { End::Memory } else { End::Time });
                std::process::exit(0);
            }
        }
    });
    let verdicts: Vec<&str> = tasks.iter().map(|task| (task.check)()).collect();
    report(match () {
        () if verdicts == expected => End::Right,
        () if !verdicts.contains(&"unknown") => End::Wrong,
        () if start.elapsed() >= budget.limit => End::Time,
        () => End::Unknown,
    });
    Ok(())
}

/// What is to be judged; `None` if it is not here.
fn tasks(name: &str, judge: Judge, budget: Budget) -> Result<Option<Vec<Task>>, String> {
    if let Some(row) = rows().into_iter().find(|row| row.name == name) {
        let prepare = |case| prepare(case, judge, budget);
        return Ok(row.load().map(|cases| cases.into_iter().map(prepare).collect()));
    }
    if let Some(row) = isolation::rows().into_iter().find(|row| row.name == name) {
        return match judge {
            Judge::Shakedown => Ok(Some(vec![row.task()])),
            Judge::Porcupine => Err("porcupine does not judge transactions".to_owned()),
        };
    }
    let isolation = isolation::rows().into_iter().map(|row| row.name);
    let known: Vec<String> = rows().into_iter().map(|row| row.name).chain(isolation).collect();
    Err(format!("unknown row {name:?}; expected one of: {}", known.join(", ")))
}

fn prepare(case: Case, judge: Judge, budget: Budget) -> Task {
    let (operations, expected) = (case.history.len(), case.expected);
    let check: Box<dyn Fn() -> &'static str> = match judge {
        Judge::Shakedown => {
            let memory_limit_bytes = (budget.megabytes * 1e6) as usize;
            let options =
                Options { time_limit: Some(budget.limit), memory_limit_bytes, ..Options::default() };
            Box::new(move || case.check(&options).word())
        }
        Judge::Porcupine => {
            let case = case.for_peer();
            Box::new(move || case.check(budget.limit))
        }
    };
    Task { operations, expected, check }
}

/// A line of `/proc/self/status` in megabytes; NaN where there is none.
fn resident(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib * 1024.0 / 1e6)
}

/// Sets `VmHWM` back to what is resident now; where that is not possible the peak includes the
/// making of the history, which is only ever to our disadvantage.
fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_reads_back_what_it_prints() {
        for (end, _) in ENDS {
            let probe = Probe { end, ms: 1.25, peak_mb: 2.5, loaded_mb: 1.0, operations: 3, histories: 4 };
            assert_eq!(probe.to_string().parse(), Ok(probe));
        }
        assert!("right 1".parse::<Probe>().is_err());
    }
}
