//! The Markdown summary: ratios first, since they outlive the machine.

use crate::probe::{Budget, End, Probe};
use crate::rows::Row;
use std::fmt::Write as _;

/// What was measured of one row.
#[derive(Clone, Debug)]
pub struct Line {
    /// The row.
    pub row: Row,
    /// Our run in a process of its own.
    pub ours: Probe,
    /// The peer's.
    pub peer: Probe,
    /// Our median in criterion, where it is short enough.
    pub ours_ms: Option<f64>,
    /// The peer's.
    pub peer_ms: Option<f64>,
}

impl Line {
    fn ours_ms(&self) -> f64 {
        self.ours_ms.unwrap_or(self.ours.ms)
    }

    fn peer_ms(&self) -> f64 {
        self.peer_ms.unwrap_or(self.peer.ms)
    }

    fn met(&self) -> Option<bool> {
        let Row { goal_ms, goal_mb, .. } = self.row;
        let under = |goal: Option<f64>, value: f64| goal.is_none_or(|goal| value < goal);
        let decided = self.ours.end == End::Right;
        let met = decided && under(goal_ms, self.ours_ms()) && under(goal_mb, self.ours.peak_mb);
        (goal_ms.is_some() || goal_mb.is_some()).then_some(met)
    }
}

/// The whole file.
pub fn render(lines: &[Line], budget: Budget) -> String {
    let mut out = String::from(PREFACE);
    let (seconds, gigabytes) = (budget.limit.as_secs_f64(), budget.megabytes / 1e3);
    let _ = writeln!(
        out,
        "The peer is porcupine-rs 0.3; it is given {seconds} s and {gigabytes} GB per row. \
         Where it gives up, the ratios are lower bounds (>).\n"
    );
    out.push_str(
        "| row | operations | peer's time / ours | peer's memory / ours | ours, ms | ours, peak MB (history) \
         | peer, ms | peer, peak MB | goal | met |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for line in lines {
        let Line { row, ours, peer, .. } = line;
        let more = if peer.end == End::Right { "" } else { "> " };
        let ours_ms = match ours.end {
            End::Right => number(line.ours_ms()),
            end => gave_up(end, ours.ms),
        };
        let ratio = |peer: f64, own: f64| match ours.end {
            End::Right => format!("{more}{}", number(peer / own)),
            _ => "–".to_owned(),
        };
        let peer_ms = match peer.end {
            End::Right => number(line.peer_ms()),
            end => gave_up(end, peer.ms),
        };
        let goal = match (row.goal_ms, row.goal_mb) {
            (None, None) => "–".to_owned(),
            (ms, mb) => {
                let ms = ms.map(|ms| format!("< {} ms", number(ms)));
                let mb = mb.map(|mb| format!("< {} MB", number(mb)));
                ms.into_iter().chain(mb).collect::<Vec<_>>().join(", ")
            }
        };
        let met = line.met().map_or("–", |met| if met { "yes" } else { "no" });
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {ours_ms} | {} ({}) | {peer_ms} | {} | {goal} | {met} |",
            row.name,
            group(ours.operations as f64),
            ratio(line.peer_ms(), line.ours_ms()),
            ratio(peer.peak_mb, ours.peak_mb),
            number(ours.peak_mb),
            number(ours.loaded_mb),
            number(peer.peak_mb),
        );
    }
    out.push_str(&sweeps(lines));
    out
}

const PREFACE: &str = "# Linearizability: figures\n\n\
    Written by `cargo bench -p shakedown-benches --bench linearizability`; \
    one row alone: the same command with `-- NAME`. Two rows, jepsen-etcd-logs and kv-log-c50, are of \
    recorded histories, which are not in this repository: the bench reads them from \
    `../shared/data/porcupine` beside it (`jepsen/etcd_*.log` and `kv/c50-ok.txt`, from `test_data` of \
    [Porcupine](https://github.com/anishathalye/porcupine)). Where one of the two has no data, the bench \
    says so, measures the other rows, and writes this file without it.\n\n\
    Times are criterion's samples' medians of the check alone, history in memory to verdict with its \
    certificate or minimal witness; rows that take longer than a few seconds are timed once. Memory is \
    the peak resident size of a process that holds the history and checks it once \
    (`cargo run --release -p shakedown-benches --bin row -- NAME shakedown 60 4000`); in brackets \
    what was resident before the check. All histories but the recorded ones are synthetic, seed 1, as \
    `shakedown generate` makes them: a closed loop, all clients always busy. cN = N clients.\n\n";

/// Growth from each size to the next, for rows that differ in nothing but `-10k-`, `-100k-`, ….
fn sweeps(lines: &[Line]) -> String {
    const SIZES: [&str; 4] = ["1k", "10k", "100k", "1M"];
    let mut out = String::from(
        "\n## Growth\n\nNanoseconds per operation; near-linear growth means that a line stays level.\n\n\
         | sweep | 1k | 10k | 100k | 1M |\n|---|---|---|---|---|\n",
    );
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for line in lines {
        let name = line.row.name.as_str();
        let Some(ends) = name.split_once("-10k-") else { continue };
        if seen.contains(&ends) {
            continue;
        }
        seen.push(ends);
        let _ = write!(out, "| {} {} |", ends.0, ends.1);
        for size in SIZES {
            let name = format!("{}-{size}-{}", ends.0, ends.1);
            let found = lines.iter().find(|line| line.row.name == name && line.ours.end == End::Right);
            let cell = found.map(|line| number(line.ours_ms() * 1e6 / line.ours.operations as f64));
            let _ = write!(out, " {} |", cell.unwrap_or("–".to_owned()));
        }
        out.push('\n');
    }
    out
}

pub(crate) fn gave_up(end: End, ms: f64) -> String {
    match end {
        End::Right | End::Wrong => "wrong verdict".to_owned(),
        End::Unknown | End::Time => format!("unknown after {:.0} s", ms / 1e3),
        End::Memory => format!("out of memory after {:.1} s", ms / 1e3),
    }
}

/// Three significant digits, thousands grouped.
pub(crate) fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "?".to_owned(),
        _ if value >= 100.0 => group(value),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

pub(crate) fn group(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::rows;
    use std::time::Duration;

    fn probe(end: End, ms: f64, peak_mb: f64) -> Probe {
        Probe { end, ms, peak_mb, loaded_mb: 1.0, operations: 10_000, histories: 1 }
    }

    #[test]
    fn a_line_says_ratios_goals_and_who_gave_up() {
        let row = rows().into_iter().find(|row| row.name == "register-10k-c10").unwrap();
        let ours = probe(End::Right, 2.0, 10.0);
        let line =
            |peer| Line { row: row.clone(), ours: ours.clone(), peer, ours_ms: Some(4.0), peer_ms: None };
        let budget = Budget { limit: Duration::from_secs(5), megabytes: 2_000.0 };
        let rendered = render(&[line(probe(End::Right, 2_000.0, 1_270.0))], budget);
        let expected = "| register-10k-c10 | 10,000 | 500 | 127 | 4.00 | 10.0 (1.00) | 2,000 | 1,270 | \
                        < 5.00 ms, < 20.0 MB | yes |";
        assert!(rendered.contains(expected), "{rendered}");
        assert!(rendered.contains("| register c10 | – | 400 | – | – |"), "{rendered}");
        let rendered = render(&[line(probe(End::Memory, 3_000.0, 2_000.0))], budget);
        assert!(rendered.contains("| > 750 | > 200 | 4.00 |"), "{rendered}");
        assert!(rendered.contains("| out of memory after 3.0 s | 2,000 |"), "{rendered}");
    }
}
