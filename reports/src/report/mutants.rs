//! What came of hunting mutants, and its renderings: a table that grows row by row, JSON, and [`markdown`].

pub mod markdown;

use super::run::{End, word};
use crate::exit::Exit;
use crate::report::run::text::seconds;
use crate::terminal::{BAD, FAINT, GOOD, STRONG, UNSURE, count, pad, paint, thousands, wrap_into};
use serde_json::{Value as Json, json};
use shakedown_workloads::nemesis::Nemesis;
use shakedown_workloads::world::WorldName;
use std::time::Duration;

/// Trouble that is made for a mutant; nothing stands for the usual, or for what was asked for.
pub type Trouble = &'static [Nemesis];

/// A mutant in a world.
#[derive(Debug)]
pub struct Row {
    /// The mutant's name.
    pub mutant: &'static str,
    /// What is wrong with it.
    pub about: &'static str,
    /// The world.
    pub world: WorldName,
    /// The trouble that it was hunted with.
    pub made_for: Trouble,
    /// Its hunts, in the order of their seeds. In the model world one.
    pub hunts: Vec<Caught>,
    /// The most that a hunt may take: seeds, or cases of the model world.
    pub most: u64,
    /// One of its failures, made small.
    pub small: Option<SmallSize>,
    /// Whether the user stopped it.
    pub is_interrupted: bool,
}

/// What came of one hunt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Caught {
    /// Its first seed, or 0 in the model world.
    pub first: u64,
    /// How many seeds, or cases, it took to find a failure; `None` if it found none.
    pub after: Option<u64>,
    /// How many there were in all: of seeds, threads that were ahead of the one that found it took some more.
    pub taken: u64,
    /// Why there were no more. In the model world the time is over if there was none for all of a case.
    pub end: End,
    /// How long it took.
    pub elapsed: Duration,
}

/// How small a failure became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmallSize {
    /// A run with a seed: operations, faults, nodes, and whether nothing more can be removed.
    Run(usize, usize, u16, bool),
    /// A path in the model world: its steps, and operations.
    Path(usize, usize),
}

/// The pattern without mistakes, in a world.
#[derive(Debug)]
pub struct Clean {
    /// The world.
    pub world: WorldName,
    /// The trouble that it was given.
    pub made_for: Trouble,
    /// Seeds, or cases, that it was given.
    pub given: u64,
    /// What fails all the same, and what to type to see it.
    pub failing: Option<(String, String)>,
    /// How it ended.
    pub exit: Exit,
    /// How long it took.
    pub elapsed: Duration,
}

/// What to type for `trouble`, if it is special.
fn with(trouble: Trouble) -> Option<String> {
    let names: Vec<&str> = trouble.iter().map(|nemesis| nemesis.name()).collect();
    (!names.is_empty()).then(|| format!("with --nemesis {}", names.join(",")))
}

impl Clean {
    /// Nothing of it has run yet.
    pub fn new(world: WorldName, made_for: Trouble) -> Clean {
        Clean { world, made_for, given: 0, failing: None, exit: Exit::Valid, elapsed: Duration::ZERO }
    }

    /// What to type for its trouble, if that is special.
    pub fn with(&self) -> Option<String> {
        with(self.made_for)
    }
}

impl Row {
    /// What to type for its trouble, if that is special.
    pub fn with(&self) -> Option<String> {
        with(self.made_for)
    }

    /// Hunts that found a failure.
    pub fn caught(&self) -> usize {
        self.hunts.iter().filter(|hunt| hunt.after.is_some()).count()
    }

    /// How many seeds, or cases, a hunt takes: the median, where one that found nothing has taken more than
    /// any other. `None`: that is the median.
    pub fn after_median(&self) -> Option<u64> {
        let mut all: Vec<u64> = self.hunts.iter().map(|hunt| hunt.after.unwrap_or(u64::MAX)).collect();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) / 2).copied().filter(|&after| after < u64::MAX)
    }

    /// How many seeds, or cases, its hunts took in all.
    pub fn taken(&self) -> u64 {
        self.hunts.iter().map(|hunt| hunt.taken).sum()
    }

    /// What a hunt that found nothing has taken at least.
    pub fn missed_after(&self) -> u64 {
        let missed = self.hunts.iter().filter(|hunt| hunt.after.is_none());
        missed.map(|hunt| hunt.taken).min().unwrap_or(self.most)
    }

    /// Why its hunts found no more: the time, if that ended any of them.
    pub fn end(&self) -> End {
        let is_over = self.hunts.iter().any(|hunt| hunt.end == End::Time);
        if is_over { End::Time } else { self.hunts.last().map_or(End::Seeds, |hunt| hunt.end) }
    }

    /// How long a hunt takes: the median, of all.
    pub fn elapsed_median(&self) -> Duration {
        let mut all: Vec<Duration> = self.hunts.iter().map(|hunt| hunt.elapsed).collect();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }
}

/// The columns of the table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    name: usize,
    width: usize,
}

const WITHOUT: &str = "without mutants";
const SHORT: [&str; 4] = ["world", "caught", "seeds", "time"];
const SHORT_WIDTHS: [usize; 4] = [5, 7, 7, 7];

impl Table {
    /// For these mutants, in `width` columns.
    pub fn new<'m>(mutants: impl IntoIterator<Item = &'m str>, width: usize) -> Table {
        let name = mutants.into_iter().map(str::len).max().unwrap_or(0).max(WITHOUT.len());
        Table { name, width }
    }

    /// The line above all others.
    pub fn head(&self) -> String {
        let mut out = String::new();
        self.line(&mut out, "mutant", SHORT.map(str::to_owned), "made small");
        paint(FAINT, out.trim_end()) + "\n"
    }

    /// One row; the mutant's name stands in its first only.
    pub fn row(&self, row: &Row, is_first: bool) -> String {
        let mut out = String::new();
        let name = if is_first { paint(STRONG, row.mutant) } else { String::new() };
        let (caught, hunts) = (row.caught(), row.hunts.len());
        let style = match caught {
            0 => BAD,
            _ if caught < hunts => UNSURE,
            _ => GOOD,
        };
        let of = match row.world {
            WorldName::Model if caught > 0 => "yes".to_owned(),
            WorldName::Model => "no".to_owned(),
            _ => format!("{caught} of {hunts}"),
        };
        let (after, more) = match (row.after_median(), row.world) {
            (Some(case), WorldName::Model) => (format!("case {case}"), ""),
            (None, WorldName::Model) => (String::new(), if row.end() == End::Time { "> " } else { "" }),
            (Some(seeds), _) => (thousands(seeds), ""),
            (None, _) if row.taken() == 0 => ("–".to_owned(), ""),
            (None, _) => (format!("> {}", thousands(row.missed_after())), "> "),
        };
        let time = format!("{more}{}", precise(row.elapsed_median()));
        let small = row.small.map(|small| small.to_string());
        let mut small = small.into_iter().chain(row.with()).collect::<Vec<_>>().join(", ");
        if row.is_interrupted {
            small = paint(UNSURE, "interrupted");
        }
        self.line(&mut out, &name, [row.world.name().to_owned(), paint(style, &of), after, time], &small);
        out
    }

    /// The same seeds without mistakes.
    pub fn clean(&self, clean: &Clean, is_first: bool) -> String {
        let mut out = String::new();
        let name = if is_first { paint(STRONG, WITHOUT) } else { String::new() };
        let word = match clean.exit {
            Exit::Valid => paint(GOOD, "passes"),
            Exit::Invalid => paint(BAD, "FAILS"),
            _ => paint(UNSURE, "unknown"),
        };
        let given = match clean.world {
            WorldName::Model => count(clean.given, "case"),
            _ => thousands(clean.given),
        };
        let failing = clean.failing.as_ref().map(|(what, _)| what.clone());
        let last = failing.into_iter().chain(clean.with()).collect::<Vec<_>>().join(", ");
        self.line(
            &mut out,
            &name,
            [clean.world.name().to_owned(), word, given, seconds(clean.elapsed)],
            &last,
        );
        out
    }

    fn line(&self, out: &mut String, name: &str, short: [String; 4], last: &str) {
        let mut first = pad(name, self.name);
        for (cell, width) in short.iter().zip(SHORT_WIDTHS) {
            first.push_str("  ");
            first.push_str(&pad(cell, width));
        }
        first.push_str("  ");
        let rest = " ".repeat(self.name + SHORT_WIDTHS.iter().sum::<usize>() + 2 * (SHORT_WIDTHS.len() + 1));
        match last.is_empty() {
            true => out.push_str(&format!("{}\n", first.trim_end())),
            false => wrap_into(out, self.width.max(rest.len() + 15), &first, &rest, last),
        }
    }
}

impl std::fmt::Display for SmallSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            SmallSize::Run(operations, faults, nodes, is_smallest) => {
                let (operations, faults) = (count(operations as u64, "op"), count(faults as u64, "fault"));
                let most = if is_smallest { "" } else { "at most " };
                write!(f, "{most}{operations}, {faults}, {}", count(u64::from(nodes), "node"))
            }
            SmallSize::Path(steps, operations) => {
                write!(f, "{}, {}", count(steps as u64, "step"), count(operations as u64, "op"))
            }
        }
    }
}

/// `35 ms`, `2.1 s`: what takes no time differs too.
fn precise(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{} ms", time.as_millis()) } else { seconds(time) }
}

/// All of it as one JSON object.
pub fn json(pattern: &str, jobs: usize, rows: &[Row], clean: &[Clean], exit: Exit) -> Json {
    json!({
        "pattern": pattern,
        "jobs": jobs,
        "verdict": word(exit),
        "rows": rows.iter().map(row_json).collect::<Json>(),
        "clean": clean.iter().map(clean_json).collect::<Json>(),
    })
}

fn row_json(row: &Row) -> Json {
    let unit = unit(row.world);
    let hunt = |hunt: &Caught| {
        json!({
            "first_seed": if row.world == WorldName::Model { Json::Null } else { hunt.first.into() },
            unit: hunt.after,
            "ran": hunt.taken,
            "ended_by": match hunt.end {
                End::Failure => "failure",
                End::Seeds => unit,
                End::Time => "time",
                End::Interrupt => "interrupt",
            },
            "seconds": hunt.elapsed.as_secs_f64(),
        })
    };
    let small = row.small.map(|small| match small {
        SmallSize::Run(operations, faults, nodes, complete) => {
            json!({ "operations": operations, "faults": faults, "nodes": nodes, "complete": complete })
        }
        SmallSize::Path(steps, operations) => json!({ "steps": steps, "operations": operations }),
    });
    json!({
        "mutant": row.mutant,
        "about": row.about,
        "world": row.world.name(),
        "made_for": names(row.made_for),
        "caught": row.caught(),
        "hunts": row.hunts.iter().map(hunt).collect::<Json>(),
        format!("{unit}_max"): row.most,
        format!("{unit}_median"): row.after_median(),
        "seconds_median": row.elapsed_median().as_secs_f64(),
        "small": small,
        "interrupted": row.is_interrupted,
    })
}

fn clean_json(clean: &Clean) -> Json {
    json!({
        "world": clean.world.name(),
        "made_for": names(clean.made_for),
        unit(clean.world): clean.given,
        "verdict": word(clean.exit),
        "failing": clean.failing.as_ref().map(|(what, _)| what),
        "command": clean.failing.as_ref().map(|(_, command)| command),
        "seconds": clean.elapsed.as_secs_f64(),
    })
}

/// Trouble by name; null for the usual.
fn names(trouble: Trouble) -> Json {
    match trouble {
        [] => Json::Null,
        some => some.iter().map(|nemesis| nemesis.name()).collect(),
    }
}

fn unit(world: WorldName) -> &'static str {
    if world == WorldName::Model { "cases" } else { "seeds" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(after: &[Option<u64>]) -> Row {
        let hunts = after.iter().enumerate().map(|(at, &after)| Caught {
            first: at as u64 * 100,
            after,
            taken: after.unwrap_or(100),
            end: if after.is_some() { End::Failure } else { End::Seeds },
            elapsed: Duration::from_millis(after.unwrap_or(100)),
        });
        Row {
            mutant: "forgets",
            about: "It forgets.",
            world: WorldName::Swarm,
            made_for: &[],
            hunts: hunts.collect(),
            most: 100,
            small: Some(SmallSize::Run(3, 1, 4, true)),
            is_interrupted: false,
        }
    }

    #[test]
    fn a_hunt_that_finds_nothing_takes_longer_than_any_other() {
        assert_eq!(row(&[Some(9), None, Some(1), Some(70), Some(5)]).after_median(), Some(9));
        assert_eq!(row(&[None, None, Some(1)]).after_median(), None);
        assert_eq!(row(&[Some(4), Some(2)]).after_median(), Some(2));
        assert_eq!((row(&[]).after_median(), row(&[]).elapsed_median()), (None, Duration::ZERO));
        assert_eq!(row(&[Some(9), None, Some(1)]).elapsed_median(), Duration::from_millis(9));
    }

    #[test]
    fn the_table_fits_and_tells_what_was_not_caught() {
        let table = Table::new(["forgets"], 80);
        let caught = anstream::adapter::strip_str(&table.row(&row(&[Some(9); 3]), true)).to_string();
        assert_eq!(caught, "forgets          swarm  3 of 3   9        9 ms     3 ops, 1 fault, 4 nodes\n");
        let missed = anstream::adapter::strip_str(&table.row(&row(&[None; 3]), false)).to_string();
        assert!(missed.contains("0 of 3   > 100    > 100 ms"), "{missed}");
        let mut special = row(&[Some(9)]);
        special.made_for = &[Nemesis::Membership, Nemesis::Succession];
        let words = anstream::adapter::strip_str(&table.row(&special, false)).to_string();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.ends_with("4 nodes, with --nemesis membership,succession"), "{words}");
        let mut long = row(&[Some(9)]);
        long.small = Some(SmallSize::Run(1_000, 100, 99, false));
        for line in table.row(&long, true).lines().chain(table.head().lines()) {
            assert!(textwrap::core::display_width(line) <= 80, "{line}");
        }
    }
}
