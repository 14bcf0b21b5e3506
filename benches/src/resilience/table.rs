//! The Markdown summary of the bench `resilience`: ratios first, since they outlive the machine.

use super::footprint::Footprint;
use super::{CALLS, OURS, TASKS, WORKERS};
use std::fmt::Write as _;

/// What was measured of a contender; `None` where it was not.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// Nanoseconds a call, for each number of tasks in [`TASKS`].
    pub ns: [Option<f64>; TASKS.len()],
    /// Memory, for each number of tasks.
    pub footprints: [Option<Footprint>; TASKS.len()],
}

/// The head of the file.
pub fn preface() -> String {
    format!(
        "# Resilience: figures\n\n\
         Written by `cargo bench -p shakedown-benches --bench resilience`: what a pattern costs for a call, before a \
         service that answers at once. Tasks share one instance, on a tokio runtime of {WORKERS} threads; a task makes its \
         next call when the last has ended. {CALLS} calls a burst; nanoseconds are the time by the clock over the calls \
         of all tasks, the median of the samples. A ratio says how many times as long as ours the contender takes: above \
         1 ours is faster. `nothing` is the service with nothing before it: what the runtime and the loop cost. Nobody \
         has a recorder of metrics or a subscriber of traces. A service that answers at once never has its task wait: \
         then two tasks run at a time, however many there are.\n\n\
         Bytes are those of an instance before its first call, on the heap and in itself; allocations are those of a call, \
         with 8 tasks on one thread (with 1, where it is not shared). Contenders do not do the same: what each does \
         stands in the source, `benches/src/resilience`.\n"
    )
}

/// A group.
pub fn render(about: &str, buys: &str, lines: &[Line]) -> String {
    let mut out = format!("\n## {about}\n\n| |");
    for part in ["÷ ours", "ns a call"] {
        for (at, tasks) in TASKS.into_iter().enumerate() {
            let plural = if tasks == 1 { "" } else { "s" };
            let head = if at == 0 { format!("{part}: ") } else { String::new() };
            let _ = write!(out, " {head}{tasks} task{plural} |");
        }
    }
    out.push_str(" bytes | allocations a call |\n|---|");
    out.push_str(&"---|".repeat(2 * TASKS.len() + 2));
    out.push('\n');
    let ours = lines.iter().find(|line| line.name == OURS);
    for line in lines {
        let _ = write!(out, "| {} |", line.name);
        for (at, ns) in line.ns.into_iter().enumerate() {
            let ratio = ours.and_then(|ours| Some(ns? / ours.ns[at]?));
            let _ = write!(out, " {} |", ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")));
        }
        for ns in line.ns {
            let _ = write!(out, " {} |", ns.map_or("–".to_owned(), number));
        }
        // With 8 tasks, or with the one that there is.
        let footprint = line.footprints[2].or(line.footprints[0]);
        let bytes = footprint.map_or("–".to_owned(), |of| of.bytes.to_string());
        let allocations = footprint.map_or("–".to_owned(), |of| format!("{:.2}", of.allocations_a_call));
        let _ = writeln!(out, " {bytes} | {allocations} |");
    }
    let _ = writeln!(out, "\n{buys}");
    out
}

fn number(ns: f64) -> String {
    if ns < 10.0 { format!("{ns:.1}") } else { format!("{ns:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_one_says_that_ours_is_faster() {
        let footprint = Some(Footprint { bytes: 416, allocations_a_call: 2.0 });
        let ours =
            Line { name: OURS, ns: [Some(100.0), Some(200.0), None, None], footprints: [footprint; 4] };
        let peer = Line { name: "peer", ns: [Some(150.0), None, None, None], footprints: [None; 4] };
        let rendered = render("Retry.", "It does more.", &[ours, peer]);
        let first = "| shakedown | 1.00 | 1.00 | – | – | 100 | 200 | – | – | 416 | 2.00 |";
        assert!(rendered.contains(first), "{rendered}");
        assert!(rendered.ends_with("|\n\nIt does more.\n"), "{rendered}");
        assert!(rendered.contains("| peer | 1.50 | – | – | – | 150 | – | – | – | – | – |"), "{rendered}");
    }
}
