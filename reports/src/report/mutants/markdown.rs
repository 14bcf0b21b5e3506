//! Mutants, hunted, as a document for the web: what each pattern's mistakes are, and which world catches
//! them after how much.

use super::{Clean, Row, precise};
use crate::exit::Exit;
use crate::report::run::End;
use crate::report::run::text::seconds;
use crate::terminal::{count, thousands};
use shakedown_workloads::catalogue::Entry;
use shakedown_workloads::world::WorldName;
use std::fmt::Write as _;
use std::time::Duration;

/// What a document was made with.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Hunts for each mutant in each world that takes seeds.
    pub repeats: u16,
    /// How long one of them might take; in the model world, all cases together.
    pub time_max: Duration,
    /// Threads.
    pub jobs: usize,
}

/// All of it. `again` is the command that makes it again.
pub fn document(again: &str, made: &Made, sections: &[String]) -> String {
    let &Made { repeats, time_max, jobs } = made;
    let (hunts, medians) = match repeats {
        1 => ("a hunt through seeds".to_owned(), ""),
        many => (format!("{many} hunts, each through other seeds"), " (the medians)"),
    };
    let time_max = seconds(time_max);
    let mut out = format!(
        "# Track record\n\n\
         A suite that finds nothing wrong says little until it has shown what it finds. So each pattern can be told \
         to make famous mistakes, one at a time (`shakedown run PATTERN --mutant NAME`), and each world is asked to \
         catch them. In the swarm and in the simulation that is {hunts}; after {time_max} a hunt ends, whatever is \
         left. `{repeats} of {repeats}; 75 seeds, 0.2 s; 2 ops, 1 fault, 3 nodes` says how many of the hunts found a \
         failure, after how many seeds and how long{medians}, and how small one of the failures became; `at most 12 \
         ops`, if there was no time to make it smaller still. Where the usual trouble shows nothing, there may be \
         trouble that is made for the mistake: `with --nemesis` says which, and what came of it. The model world \
         looks at the pattern's small cases in turn, at every schedule of each or at as many as there is time for, \
         {time_max} for all cases; `case 3, 0.2 s; 9 steps, 2 ops` says which case showed it, and how short the way \
         there is. `not in` says how much was looked at in vain. A mistake counts as caught if some world catches \
         it: what shows only after many operations is not for the model world, and what shows only on one schedule \
         of very many is for no other. The last row is the pattern without mistakes on the same seeds, with the \
         same trouble, which has to pass.\n\n\
         Made on {}, where times are from, by\n\n```sh\n{again}\n```\n",
        count(jobs as u64, "thread"),
    );
    for section in sections {
        write!(out, "\n{section}").expect("writing to a String cannot fail");
    }
    out
}

/// One pattern, in these worlds.
pub fn section(entry: &Entry, worlds: &[WorldName], rows: &[Row], clean: &[Clean]) -> String {
    let mut out = format!("## {}: {}\n\n", entry.name, cell(entry.title));
    let all: Vec<&[Row]> = rows.chunk_by(|row, next| row.mutant == next.mutant).collect();
    writeln!(out, "{}\n", verdict(&all, clean)).expect("writing to a String cannot fail");
    let names: Vec<&str> = worlds.iter().map(|world| world.name()).collect();
    let mut line = |cells: &[String]| {
        writeln!(out, "| {} |", cells.join(" | ")).expect("writing to a String cannot fail");
    };
    let head = ["mutant", "what goes wrong"].into_iter().chain(names);
    line(&head.map(str::to_owned).collect::<Vec<_>>());
    line(&vec!["---".to_owned(); worlds.len() + 2]);
    for of_one in &all {
        let in_world = |world: &WorldName| {
            let rows = of_one.iter().filter(|row| row.world == *world);
            told(rows.map(|row| (row.with(), hunted(row))))
        };
        let first = [format!("`{}`", of_one[0].mutant), cell(of_one[0].about)];
        line(&first.into_iter().chain(worlds.iter().map(in_world)).collect::<Vec<_>>());
    }
    let in_world = |world: &WorldName| {
        let rows = clean.iter().filter(|clean| clean.world == *world);
        told(rows.map(|clean| (clean.with(), passed(clean))))
    };
    let first = ["*none*", "nothing"].map(str::to_owned);
    line(&first.into_iter().chain(worlds.iter().map(in_world)).collect::<Vec<_>>());
    out
}

/// What came of one trouble after the other in a world, in a cell.
fn told(troubles: impl Iterator<Item = (Option<String>, String)>) -> String {
    let words = troubles.map(|(with, what)| match with {
        Some(with) => format!("`{with}`: {what}"),
        None => what,
    });
    let words = words.collect::<Vec<_>>().join("; ");
    if words.is_empty() { "–".to_owned() } else { words }
}

fn verdict(all: &[&[Row]], clean: &[Clean]) -> String {
    let missed: Vec<String> = all
        .iter()
        .filter(|of_one| of_one.iter().all(|row| row.caught() == 0))
        .map(|of_one| format!("`{}`", of_one[0].mutant))
        .collect();
    // By no hunt with the usual trouble.
    let is_special = |of_one: &&&[Row]| {
        let mut by = of_one.iter().filter(|row| row.caught() > 0).peekable();
        by.peek().is_some() && by.all(|row| row.with().is_some())
    };
    let special = match all.iter().filter(is_special).count() {
        0 => String::new(),
        1 => ", 1 of them only with trouble that is made for it".to_owned(),
        some => format!(", {some} of them only with trouble that is made for them"),
    };
    let caught = match missed.len() {
        0 => format!("{} of {} are caught{special}", all.len(), count(all.len() as u64, "mistake")),
        _ => format!(
            "{} of {} are caught{special}; not {}",
            all.len() - missed.len(),
            count(all.len() as u64, "mistake"),
            missed.join(", ")
        ),
    };
    let failing: Vec<String> = clean
        .iter()
        .filter_map(|clean| {
            let with = clean.with().map_or(String::new(), |with| format!(" {with}"));
            Some(format!("{} in the {} world{with}", clean.failing.as_ref()?.0, clean.world.name()))
        })
        .collect();
    match failing.len() {
        0 => format!("{caught}. Without mistakes nothing fails."),
        _ => format!("{caught}. **Without mistakes it fails: {}.**", failing.join(", ")),
    }
}

/// What came of the hunts in a world.
fn hunted(row: &Row) -> String {
    let small = row.small.map_or(String::new(), |small| format!("; {small}"));
    let time = precise(row.elapsed_median());
    let (caught, hunts) = (row.caught(), row.hunts.len());
    match (row.world, row.after_median()) {
        (WorldName::Model, Some(case)) => format!("case {case}, {time}{small}"),
        (_, None) if row.taken() == 0 => "–".to_owned(),
        (WorldName::Model, None) => {
            let end = if row.end() == End::Time { format!(", some in part, {time}") } else { String::new() };
            format!("not in {}{end}", count(row.taken(), "case"))
        }
        (_, Some(after)) => format!("{caught} of {hunts}; {}, {time}{small}", count(after, "seed")),
        (_, None) if caught > 0 => {
            format!("{caught} of {hunts}; more than {}{small}", count(row.missed_after(), "seed"))
        }
        (_, None) => format!("not in {}", count(row.taken(), "seed")),
    }
}

/// What came of the pattern without mistakes.
fn passed(clean: &Clean) -> String {
    let unit = if clean.world == WorldName::Model { "case" } else { "seed" };
    match (&clean.failing, clean.exit) {
        (Some((what, _)), _) => format!("**{what} fails**"),
        (None, Exit::Valid) if clean.given == 1 => format!("1 {unit} passes"),
        (None, Exit::Valid) => format!("{} {unit}s pass, {}", thousands(clean.given), seconds(clean.elapsed)),
        (None, _) => format!("{}: not every one could be judged", count(clean.given, unit)),
    }
}

/// Text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::super::{Caught, SmallSize};
    use super::*;
    use shakedown_workloads::catalogue::find;
    use shakedown_workloads::nemesis::Nemesis;

    fn row(mutant: &'static str, world: WorldName, found: &[(Option<u64>, End)]) -> Row {
        let hunts = found.iter().enumerate().map(|(at, &(after, end))| Caught {
            first: at as u64 * 100,
            after,
            taken: after.unwrap_or(100),
            end,
            elapsed: Duration::from_millis(2_500),
        });
        let small = match world {
            _ if found.iter().all(|(after, _)| after.is_none()) => None,
            WorldName::Model => Some(SmallSize::Path(9, 2)),
            _ => Some(SmallSize::Run(2, 1, 3, true)),
        };
        Row {
            mutant,
            about: "Forgets a|b.",
            world,
            made_for: &[],
            hunts: hunts.collect(),
            most: 100,
            small,
            is_interrupted: false,
        }
    }

    #[test]
    fn a_section_says_for_each_world_how_a_mistake_is_caught() {
        use WorldName::{Model, Sim, Swarm};
        let (found, missed) = (|after| (Some(after), End::Failure), (None, End::Seeds));
        let rows = [
            row("forgets", Model, &[found(3)]),
            row("forgets", Swarm, &[found(75), found(1_200), found(2)]),
            row("hides", Model, &[(None, End::Time)]),
            row("hides", Swarm, &[missed, missed, found(9)]),
            row("sleeps", Model, &[missed]),
            row("sleeps", Swarm, &[missed, missed, missed]),
            row("waits", Swarm, &[missed]),
            Row { made_for: &[Nemesis::Crash, Nemesis::Power], ..row("waits", Swarm, &[found(8)]) },
        ];
        let clean = |world, given, failing: Option<&str>| Clean {
            world,
            made_for: &[],
            given,
            failing: failing.map(|what| (what.to_owned(), "command".to_owned())),
            exit: if failing.is_some() { Exit::Invalid } else { Exit::Valid },
            elapsed: Duration::from_millis(12_000),
        };
        let clean = [
            clean(Model, 5, None),
            clean(Swarm, 3_000, Some("seed 7")),
            Clean { made_for: &[Nemesis::Crash, Nemesis::Power], ..clean(Swarm, 8, None) },
        ];
        let entry = find("abd").unwrap().entry();
        let expected = r"
## replication/leaderless/abd: a register by majorities

3 of 4 mistakes are caught, 1 of them only with trouble that is made for it; not `sleeps`. **Without mistakes it fails: seed 7 in the swarm world.**

| mutant | what goes wrong | model | swarm | sim |
| --- | --- | --- | --- | --- |
| `forgets` | Forgets a\|b. | case 3, 2.5 s; 9 steps, 2 ops | 3 of 3; 75 seeds, 2.5 s; 2 ops, 1 fault, 3 nodes | – |
| `hides` | Forgets a\|b. | not in 100 cases, some in part, 2.5 s | 1 of 3; more than 100 seeds; 2 ops, 1 fault, 3 nodes | – |
| `sleeps` | Forgets a\|b. | not in 100 cases | not in 300 seeds | – |
| `waits` | Forgets a\|b. | – | not in 100 seeds; `with --nemesis crash,power`: 1 of 1; 8 seeds, 2.5 s; 2 ops, 1 fault, 3 nodes | – |
| *none* | nothing | 5 cases pass, 12 s | **seed 7 fails**; `with --nemesis crash,power`: 8 seeds pass, 12 s | – |
";
        assert_eq!(section(&entry, &[Model, Swarm, Sim], &rows, &clean), expected.trim_start());
    }

    #[test]
    fn a_document_names_the_command_that_makes_it_again() {
        let again = "cargo run --release -- mutants --format markdown --output record.md";
        let made = Made { repeats: 5, time_max: Duration::from_secs(60), jobs: 2 };
        let text = document(again, &made, &["## one\n".to_owned(), "## two\n".to_owned()]);
        assert!(text.starts_with("# Track record\n\nA suite"), "{text}");
        assert!(text.ends_with(&format!("```sh\n{again}\n```\n\n## one\n\n## two\n")), "{text}");
        assert!(
            text.contains("5 hunts, each through other seeds; after 60 s a hunt ends")
                && text.contains("(the medians)")
                && text.contains("Made on 2 threads"),
            "{text}"
        );
        let text = document(again, &Made { repeats: 1, ..made }, &[]);
        assert!(text.contains("that is a hunt through seeds;") && !text.contains("median"), "{text}");
    }
}
