//! The Markdown summary of the bench `isolation`.

use super::{Part, Row, SIZES, short, sweep};
use crate::probe::{End, Probe};
use crate::table::{gave_up, group, number};
use shakedown_checkers::transaction::Kind;
use std::fmt::Write as _;

/// What was measured of one row.
#[derive(Clone, Debug)]
pub struct Line {
    /// The row.
    pub row: Row,
    /// The run in a process of its own; planted anomalies have none.
    pub probe: Option<Probe>,
    /// The median of the samples, in milliseconds; not a number if the budget was too small for one.
    pub ms: f64,
    /// Reads and writes of the history.
    pub micro_ops: usize,
}

impl Line {
    fn met(&self) -> Option<bool> {
        let Row { goal_ms, goal_mb, .. } = self.row;
        let peak_mb = self.probe.as_ref().map_or(f64::NAN, |probe| probe.peak_mb);
        let met = goal_ms.is_none_or(|goal| self.ms < goal) && goal_mb.is_none_or(|goal| peak_mb < goal);
        (goal_ms.is_some() || goal_mb.is_some()).then_some(met)
    }
}

/// The whole file.
pub fn render(lines: &[Line]) -> String {
    let mut out = String::from(PREFACE);
    for (part, heading, text) in [
        (Part::Lists, "Lists", LISTS),
        (Part::Weak, "Registers, weak levels", WEAK),
        (Part::Complete, "Registers, decided completely", COMPLETE),
        (Part::Hard, "Registers, made hard", HARD),
    ] {
        let of_part: Vec<&Line> = lines.iter().filter(|line| line.row.part == part).collect();
        if of_part.is_empty() {
            continue;
        }
        let _ = write!(out, "\n## {heading}\n\n{text}\n\n");
        out.push_str(
            "| row | transactions | reads and writes | ms | peak MB (history) | goal | met |\n\
             |---|---|---|---|---|---|---|\n",
        );
        of_part.iter().for_each(|line| out.push_str(&told(line)));
        if part != Part::Hard {
            out.push_str(&growth(&of_part));
        }
    }
    out.push_str(&planted(lines));
    out
}

const PREFACE: &str = "# Isolation: figures\n\n\
    Written by `cargo bench -p shakedown-benches --bench isolation`; one row alone: the same command with \
    `-- NAME`.\n\n\
    Times are medians of criterion's samples of the check alone, from the history in memory to the report, in \
    time of the processor: the checkers have one thread, and what else the machine does is left out. What takes \
    longer than half a second is timed once. Memory is the peak resident size of a process that holds the history \
    and checks it once (`cargo run --release -p shakedown-benches --bin row -- NAME shakedown 60 8000`); in \
    brackets what was resident before the check. All histories are synthetic, seed 1, as `shakedown generate` \
    makes them; sN = N sessions. Every verdict is compared with the one that is known.\n\n\
    No peer runs beside: no crate judges isolation. The goals are figures to beat that were published or measured \
    elsewhere. 100k transactions of lists take Elle 5,700 ms, warm, and a component of 10k in which all hangs \
    together 2,700 ms, until its search gives up. RC, RA and CC of 100k transactions take AWDIT 218, 423 and \
    955 ms. PolySI and Cobra need tens of seconds for SI and SER of 10k transactions.\n";

const LISTS: &str = "Everything is judged at once: all levels, all anomalies. `skewed`: keys are drawn as Elle draws \
    them, the n-th with weight 2^-n, and sessions by Zipf's law. `component`: a store that is read committed and no \
    more, so that nearly all transactions hang together in cycles.";

const WEAK: &str = "One level is asked for: rc (monotonic atomic view, which is read committed as AWDIT has it), ra \
    (read atomic), cc (causal). Three operations a transaction, of a causal store with three sites. `skewed`: keys \
    and sessions by Zipf's law.";

const COMPLETE: &str = "One level is asked for: ser (serializable), strict (strict serializable), si (session snapshot \
    isolation). But for `strict`, only the order of each session is recorded. Eight operations a transaction, half of \
    them reads; in `rmw` every write comes after a read of its key; in `hot` few keys take most of the load. What is not \
    decided in 60 s is given up: most loads of a million blind writers.";

const HARD: &str = "Clauses in the guise of transactions, in sessions of their own: `loose` have many solutions, `tight` \
    few, `over` none; `pigeons` are to share too few holes. Each check has a deadline of 2,000 ms. What is expected of \
    `pigeons-20` is Unknown, at the deadline: nobody has short proofs of it.";

fn told(line: &Line) -> String {
    let Line { row, probe, ms, micro_ops } = line;
    let memory = probe
        .as_ref()
        .map_or("–".to_owned(), |probe| format!("{} ({})", number(probe.peak_mb), number(probe.loaded_mb)));
    let transactions = probe.as_ref().map_or("–".to_owned(), |probe| group(probe.operations as f64));
    let ms = match probe {
        Some(probe) if probe.end != End::Right => gave_up(probe.end, probe.ms),
        _ => number(*ms),
    };
    let goals = [row.goal_ms.map(|ms| (ms, "ms")), row.goal_mb.map(|mb| (mb, "MB"))];
    let goals: Vec<String> =
        goals.into_iter().flatten().map(|(goal, unit)| format!("< {} {unit}", number(goal))).collect();
    let goal = if goals.is_empty() { "–".to_owned() } else { goals.join(", ") };
    let met = line.met().map_or("–", |met| if met { "yes" } else { "no" });
    let micro_ops = group(*micro_ops as f64);
    format!("| {} | {transactions} | {micro_ops} | {ms} | {memory} | {goal} | {met} |\n", row.name)
}

/// Nanoseconds for each read and write, by size, for rows that differ in nothing but `-10k-`, `-100k-`, ….
fn growth(lines: &[&Line]) -> String {
    let mut out = String::from(
        "\nNanoseconds for each read and write; near-linear growth means that a line stays level.\n\n\
         | sweep | 1k | 10k | 100k | 1M |\n|---|---|---|---|---|\n",
    );
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for line in lines {
        let Some(ends) = line.row.name.split_once("-10k-") else { continue };
        if seen.contains(&ends) || ends.0.ends_with("component") {
            continue;
        }
        seen.push(ends);
        let _ = write!(out, "| {} {} |", ends.0, ends.1);
        for (size, _) in SIZES {
            let name = format!("{}-{size}-{}", ends.0, ends.1);
            let found = lines.iter().find(|line| line.row.name == name);
            let found = found.filter(|line| line.ms.is_finite());
            let cell = found.map(|line| number(line.ms * 1e6 / line.micro_ops as f64));
            let _ = write!(out, " {} |", cell.unwrap_or("–".to_owned()));
        }
        out.push('\n');
    }
    out
}

/// A table of kinds and sizes, with their sessions.
fn planted(lines: &[Line]) -> String {
    let mut out = String::new();
    for kind in [Kind::ListAppend, Kind::Register] {
        let of_kind = |line: &&Line| matches!(line.row.part, Part::Planted(_)) && line.row.kind == kind;
        let of_kind: Vec<&Line> = lines.iter().filter(of_kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let name = short(kind);
        let _ = write!(
            out,
            "\n## One planted anomaly: {name}\n\nMilliseconds until it is found, named, and every level judged; \
             transactions of 1 to 4 reads and writes; sN = N sessions. Rows are called \
             `{name}-ANOMALY-SIZE-sN`.\n\n| anomaly |"
        );
        for (size, _, sessions) in sweep() {
            let _ = write!(out, " {size} s{sessions} |");
        }
        let _ = writeln!(out, "\n|---|{}", "---|".repeat(sweep().count()));
        let mut seen = Vec::new();
        for line in &of_kind {
            let part = line.row.part;
            let Part::Planted(anomaly) = part else { continue };
            if seen.contains(&anomaly) {
                continue;
            }
            seen.push(anomaly);
            let _ = write!(out, "| {} |", anomaly.name());
            for (size, _, sessions) in sweep() {
                let name = format!("-{size}-s{sessions}");
                let found =
                    of_kind.iter().find(|line| line.row.part == part && line.row.name.ends_with(&name));
                let _ = write!(out, " {} |", found.map_or("–".to_owned(), |line| number(line.ms)));
            }
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolation::rows;

    #[test]
    fn a_line_says_what_was_measured_and_whether_the_goals_are_met() {
        let row = |name: &str| rows().into_iter().find(|row| row.name == name).unwrap();
        let probe = Probe {
            end: End::Right,
            ms: 300.0,
            peak_mb: 120.0,
            loaded_mb: 50.0,
            operations: 100_000,
            histories: 1,
        };
        let line =
            |name: &str, ms: f64| Line { row: row(name), probe: Some(probe.clone()), ms, micro_ops: 300_000 };
        let mut lines =
            vec![line("cc-100k-s10", 200.0), line("cc-10k-s10", 401.0), line("rc-100k-s10", 101.0)];
        let planted = row("list-append-G0-10k-s50");
        lines.push(Line { row: planted, probe: None, ms: 7.0, micro_ops: 25_000 });
        let rendered = render(&lines);
        for expected in [
            "| cc-100k-s10 | 100,000 | 300,000 | 200 | 120 (50.0) | < 400 ms, < 150 MB | yes |",
            "| rc-100k-s10 | 100,000 | 300,000 | 101 | 120 (50.0) | < 100 ms | no |",
            "| cc s10 | – | 1,337 | 667 | – |",
            "| anomaly | 1k s10 | 1k s50 | 1k s200 | 10k s10 |",
            "| G0 | – | – | – | – | 7.00 | – | – | – | – | – |",
        ] {
            assert!(rendered.contains(expected), "{expected} in {rendered}");
        }
    }
}
