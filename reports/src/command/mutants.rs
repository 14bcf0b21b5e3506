//! `shakedown mutants`: has a pattern make each of its mistakes, and sees whether they are caught. A suite
//! that catches none of them could as well say of everything that it is right.

use super::run::{jobs, request};
use super::{Stopped, Streams};
use crate::again;
use crate::args::TableFormat;
use crate::args::pattern::MutantsArgs;
use crate::campaign::{Campaign, Patience, Shares, seeds_most};
use crate::diagnostic::InputError;
use crate::exit::Exit;
use crate::files::{check_writable, write_whole};
use crate::interrupt::Interrupt;
use crate::judge::guarded;
use crate::names::{mutant_named, pattern_named, refused, worlds_named};
use crate::panics;
use crate::progress::Watched;
use crate::report::Failure;
use crate::report::mutants::{Caught, Clean, Row, SmallSize, Table, Trouble, json, markdown};
use crate::report::run::End;
use crate::report::run::text::seconds;
use crate::terminal::{BAD, GOOD, UNSURE, count, paint, wrap_into};
use shakedown_workloads::catalogue::{Pattern, Request, RequestError, all};
use shakedown_workloads::world::WorldName;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

/// Hunts the mutants that `args` name in the worlds that they name.
pub fn run(args: &MutantsArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let patterns = match &args.pattern {
        Some(name) => vec![pattern_named(name)?],
        None => all().to_vec(),
    };
    run_patterns(&patterns, args, streams)
}

/// Hunts the mutants of patterns, one after the other. The worst of them decides the exit code.
pub fn run_patterns(
    patterns: &[&dyn Pattern],
    args: &MutantsArgs,
    streams: &mut Streams<'_>,
) -> Result<Exit, Stopped> {
    for &pattern in patterns {
        worlds_named(pattern, &args.world)?;
        args.mutant.iter().try_for_each(|name| mutant_named(pattern, name).map(drop))?;
        request(pattern, &args.load, WorldName::Swarm, None)?;
    }
    // Before an hour of hunting, and not after it.
    if let Some(path) = &args.output {
        check_writable(path)
            .map_err(|error| InputError::new(format!("{}: {error}", path.display()), None))?;
    }
    panics::keep_quiet();
    let interrupt = Interrupt::listen();
    let (mut worst, mut sections) = (Exit::Valid, vec![]);
    for (at, &pattern) in patterns.iter().enumerate() {
        if interrupt.is_asked() {
            worst = worst.max(Exit::Unknown);
            break;
        }
        let gap = if at > 0 { "\n" } else { "" };
        let (exit, section) = run_pattern(pattern, args, &interrupt, gap, streams)?;
        worst = worst.max(exit);
        sections.push(section);
    }
    let jobs = jobs(args.jobs);
    let text = match (args.format, &args.output) {
        (TableFormat::Markdown, output) => {
            let output = output.as_deref().unwrap_or(Path::new("reports/track-record.md"));
            let made = markdown::Made { repeats: args.repeats, time_max: args.time_max, jobs };
            markdown::document(&again::table(&args.typed(), output), &made, &sections)
        }
        _ => sections.concat(),
    };
    match &args.output {
        None if args.format == TableFormat::Text => {}
        None => {
            streams.out.write_all(text.as_bytes())?;
            streams.out.flush()?;
        }
        // What is published is whole.
        Some(path) if interrupt.is_asked() || worst == Exit::Internal => {
            let _ = writeln!(streams.err, "{} is not written: this is not all of it", path.display());
        }
        Some(path) => {
            let refused = |error: io::Error| InputError::new(format!("{}: {error}", path.display()), None);
            write_whole(path, refused, |mut file| file.write_all(text.as_bytes()).map_err(refused))?;
        }
    }
    Ok(worst)
}

/// Hunts the mutants of one pattern. What is to be printed when all is over, if it is not printed as it
/// comes; `gap` is what sets it apart from what stands above.
fn run_pattern(
    pattern: &dyn Pattern,
    args: &MutantsArgs,
    interrupt: &Interrupt,
    gap: &str,
    streams: &mut Streams<'_>,
) -> Result<(Exit, String), Stopped> {
    let worlds = worlds_named(pattern, &args.world)?;
    let all = pattern.mutants().into_iter();
    let mutants: Vec<_> = all
        .filter(|(name, _)| args.mutant.is_empty() || args.mutant.iter().any(|asked| asked == name))
        .collect();
    let campaign = Campaign {
        pattern,
        jobs: jobs(args.jobs),
        shrink_time: args.shrink_time,
        interrupt,
        watched: Watched::WhenLong,
    };
    let mut show = Show::new(args, streams, mutants.iter().map(|(name, _)| *name));
    show.print(gap)?;
    show.intro(&campaign, &mutants, &worlds)?;
    let mut stopped = None;
    let done = guarded(|| {
        let hunt = Hunt { campaign: &campaign, args, program: show.streams.program };
        Ok(hunt.all(&mutants, &worlds, &mut show).map_err(|why| stopped = Some(why)).ok())
    });
    match done {
        Ok(Some((rows, clean))) => {
            let exit = show.end(worlds.len(), &rows, &clean, interrupt.is_asked())?;
            let text = match args.format {
                TableFormat::Text => anstream::adapter::strip_str(&show.told).to_string(),
                TableFormat::Markdown => markdown::section(&pattern.entry(), &worlds, &rows, &clean),
                TableFormat::Json => {
                    format!("{:#}\n", json(pattern.entry().name, campaign.jobs, &rows, &clean, exit))
                }
            };
            Ok((exit, text))
        }
        Ok(None) => Err(stopped.expect("it says why it stopped")),
        Err(Failure::Input(_) | Failure::Interrupted) => unreachable!("what stops it early is told apart"),
        Err(Failure::Internal(message)) => {
            let text = format!(
                "{}: internal error: {message}\n  This is a bug in shakedown, not in the pattern. Please report it \
                 together with the command.",
                pattern.entry().name
            );
            let _ = writeln!(show.streams.err, "{text}");
            Ok((Exit::Internal, String::new()))
        }
    }
}

struct Hunt<'h> {
    campaign: &'h Campaign<'h>,
    args: &'h MutantsArgs,
    program: &'h str,
}

impl Hunt<'_> {
    /// Every mutant in every world, then the pattern without mistakes on the same seeds.
    fn all(
        &self,
        mutants: &[(&'static str, &'static str)],
        worlds: &[WorldName],
        show: &mut Show<'_, '_>,
    ) -> Result<(Vec<Row>, Vec<Clean>), Stopped> {
        let (mut rows, mut clean): (Vec<Row>, Vec<Clean>) = (vec![], vec![]);
        for &(mutant, about) in mutants {
            for (at, &world) in worlds.iter().enumerate() {
                if self.campaign.interrupt.is_asked() {
                    return Ok((rows, clean));
                }
                let row = match world {
                    WorldName::Model => self.in_cases(mutant, about),
                    _ => self.in_seeds(mutant, about, world, &[]),
                };
                let row = row.map_err(|error| refused(&error))?;
                show.row(&row, at == 0)?;
                let made_for = self.made_for(&row);
                rows.push(row);
                if !made_for.is_empty() {
                    let row = self.in_seeds(mutant, about, world, made_for);
                    let row = row.map_err(|error| refused(&error))?;
                    show.row(&row, false)?;
                    rows.push(row);
                }
            }
        }
        for &world in worlds.iter().filter(|_| !mutants.is_empty()) {
            let mut all: Vec<Trouble> = vec![&[]];
            let of_world = rows.iter().filter(|row| row.world == world).map(|row| row.made_for);
            of_world.for_each(|trouble| {
                if !all.contains(&trouble) {
                    all.push(trouble)
                }
            });
            for trouble in all {
                if self.campaign.interrupt.is_asked() {
                    return Ok((rows, clean));
                }
                let row = match world {
                    WorldName::Model => self.clean_cases(),
                    _ => self.clean_seeds(world, trouble, &rows),
                };
                let row = row.map_err(|error| refused(&error))?;
                show.clean(&row, clean.is_empty())?;
                clean.push(row);
            }
        }
        Ok((rows, clean))
    }

    /// The trouble that is left to try where the usual has shown nothing; nothing, if there is none or if
    /// somebody has said which trouble to take.
    fn made_for(&self, row: &Row) -> Trouble {
        let is_over = row.caught() > 0 || row.is_interrupted || self.campaign.interrupt.is_asked();
        match is_over || row.world == WorldName::Model || self.args.load.nemesis.is_some() {
            true => &[],
            false => self.campaign.pattern.made_for(row.mutant),
        }
    }

    /// What is asked of a world, with the usual trouble or what was typed, or with `made_for`.
    fn request(&self, world: WorldName, mutant: Option<&str>, made_for: Trouble) -> Request {
        let request = request(self.campaign.pattern, &self.args.load, world, mutant);
        let mut request = request.expect("what was asked for was looked at before");
        if !made_for.is_empty() {
            request.nemeses = Some(made_for.to_vec());
        }
        request
    }

    fn most(&self, world: WorldName) -> u64 {
        self.args.seeds_max.unwrap_or_else(|| seeds_most(world))
    }

    fn in_seeds(
        &self,
        mutant: &'static str,
        about: &'static str,
        world: WorldName,
        made_for: Trouble,
    ) -> Result<Row, RequestError> {
        let Hunt { campaign, args, .. } = self;
        let request = self.request(world, Some(mutant), made_for);
        let most = self.most(world);
        let (hunts, small, is_interrupted) = (vec![], None, false);
        let mut row = Row { mutant, about, world, made_for, hunts, most, small, is_interrupted };
        let mut caught = None;
        for repeat in 0..u64::from(args.repeats) {
            let first = repeat * most;
            let report = campaign.hunt(&request, first..first + most, Some(args.time_max))?;
            if report.hunt.failing.is_none() && campaign.interrupt.is_asked() {
                row.is_interrupted = true;
                return Ok(row);
            }
            let after = report.hunt.failing.map(|seed| seed - first + 1);
            let (taken, end) = (report.hunt.seeds, report.end);
            row.hunts.push(Caught { first, after, taken, end, elapsed: report.elapsed });
            caught = caught.or(report.hunt.failing);
        }
        if let Some(seed) = caught {
            let small = campaign.make_small(&request, seed)?;
            row.small = small.and_then(|small| small.size());
        }
        Ok(row)
    }

    fn in_cases(&self, mutant: &'static str, about: &'static str) -> Result<Row, RequestError> {
        let cases = self.campaign.pattern.cases().len();
        let begin = Instant::now();
        let mut row = Row {
            mutant,
            about,
            world: WorldName::Model,
            made_for: &[],
            hunts: vec![],
            most: cases as u64,
            small: None,
            is_interrupted: false,
        };
        let (mut after, mut taken, mut end) = (None, 0, End::Seeds);
        let mut shares = Shares::of(self.args.time_max, cases);
        for number in 1..=cases {
            let share = shares.share();
            let case = self.campaign.look(number, Some(mutant), Patience::AtMost(share))?;
            if let (Exit::Invalid, Some(violation)) = (case.exit(), &case.exploration.violation) {
                row.small = Some(SmallSize::Path(violation.steps.len(), violation.history.len()));
                (after, taken, end) = (Some(number as u64), number as u64, End::Failure);
                break;
            }
            if case.is_interrupted {
                row.is_interrupted = true;
                return Ok(row);
            }
            taken += 1;
            if case.elapsed >= share {
                end = End::Time;
            }
        }
        row.hunts.push(Caught { first: 0, after, taken, end, elapsed: begin.elapsed() });
        Ok(row)
    }

    /// The seeds that the hunts for mutants took with that trouble, each up to where the last mutant was caught.
    fn clean_seeds(&self, world: WorldName, made_for: Trouble, rows: &[Row]) -> Result<Clean, RequestError> {
        let Hunt { campaign, args, .. } = self;
        let request = self.request(world, None, made_for);
        let mut clean = Clean::new(world, made_for);
        for repeat in 0..u64::from(args.repeats) {
            let first = repeat * self.most(world);
            let is_such = |row: &&Row| row.world == world && row.made_for == made_for;
            let hunts = rows.iter().filter(is_such).flat_map(|row| &row.hunts);
            let taken = hunts.filter(|hunt| hunt.first == first).map(|hunt| hunt.after.unwrap_or(hunt.taken));
            let Some(taken) = taken.max() else { break };
            let report = campaign.hunt(&request, first..first + taken, None)?;
            clean.given += report.hunt.seeds;
            clean.elapsed += report.elapsed;
            // That so few seeds showed nothing says nothing against them.
            let is_unknown = !report.hunt.undecided.is_empty() || report.end == End::Interrupt;
            clean.exit = clean.exit.max(if is_unknown { Exit::Unknown } else { Exit::Valid });
            if let Some(seed) = report.hunt.failing {
                clean.exit = Exit::Invalid;
                let name = campaign.pattern.entry().name;
                clean.failing =
                    Some((format!("seed {seed}"), again::seed(self.program, name, &request, seed)));
                break;
            }
            if campaign.interrupt.is_asked() {
                break;
            }
        }
        Ok(clean)
    }

    fn clean_cases(&self) -> Result<Clean, RequestError> {
        let cases = self.campaign.pattern.cases().len();
        let begin = Instant::now();
        let mut clean = Clean::new(WorldName::Model, &[]);
        let mut shares = Shares::of(self.args.time_max, cases);
        for number in 1..=cases {
            let share = shares.share();
            let case = self.campaign.look(number, None, Patience::AtMost(share))?;
            clean.given += 1;
            // What should have happened may not have, where there was no time for all of it.
            let is_cut = case.elapsed >= share && case.exit() == Exit::Unknown && !case.is_interrupted;
            clean.exit = clean.exit.max(if is_cut { Exit::Valid } else { case.exit() });
            if case.exit() == Exit::Invalid {
                let name = self.campaign.pattern.entry().name;
                let command = again::case(self.program, name, number, None);
                clean.failing = Some((format!("case {number}"), command));
                break;
            }
            if case.is_interrupted {
                break;
            }
        }
        clean.elapsed = begin.elapsed();
        Ok(clean)
    }
}

/// Shows rows as they come, where somebody may be looking.
struct Show<'a, 's> {
    args: &'a MutantsArgs,
    streams: &'a mut Streams<'s>,
    table: Table,
    /// All that was shown.
    told: String,
}

impl<'a, 's> Show<'a, 's> {
    fn new<'m>(
        args: &'a MutantsArgs,
        streams: &'a mut Streams<'s>,
        mutants: impl Iterator<Item = &'m str>,
    ) -> Show<'a, 's> {
        let table = Table::new(mutants, streams.width);
        Show { args, streams, table, told: String::new() }
    }

    /// The table is the result, or a sign of life; JSON has no use for it.
    fn print(&mut self, text: &str) -> Result<(), io::Error> {
        self.told.push_str(text);
        match (self.args.format, &self.args.output) {
            (TableFormat::Text, None) => {
                self.streams.out.write_all(text.as_bytes())?;
                self.streams.out.flush()?;
            }
            (TableFormat::Json, None) => {}
            // Nobody listening on standard error is no reason to stop.
            (TableFormat::Markdown, None) | (_, Some(_)) => {
                let _ = write!(self.streams.err, "{text}");
            }
        }
        Ok(())
    }

    fn intro(
        &mut self,
        campaign: &Campaign<'_>,
        mutants: &[(&str, &str)],
        worlds: &[WorldName],
    ) -> Result<(), io::Error> {
        let seeded = worlds.iter().filter(|world| **world != WorldName::Model);
        let most: Vec<String> = seeded
            .map(|&world| {
                let most = self.args.seeds_max.unwrap_or_else(|| seeds_most(world));
                format!("{} in the {} world", count(most, "seed"), world.name())
            })
            .collect();
        let mut text = format!(
            "{}: {}, on {}.",
            campaign.pattern.entry().name,
            count(mutants.len() as u64, "mutant"),
            count(campaign.jobs as u64, "thread"),
        );
        if !most.is_empty() {
            let hunts = count(u64::from(self.args.repeats), "hunt");
            text.push_str(&format!(
                " Each is hunted in {hunts} of at most {} and {}{}.",
                most.join(", "),
                seconds(self.args.time_max),
                if self.args.repeats > 1 { "; seeds and times are medians" } else { "" }
            ));
        }
        let mut out = String::new();
        wrap_into(&mut out, self.streams.width, "", "", &text);
        self.print(&format!("{out}\n{}", self.table.head()))
    }

    fn row(&mut self, row: &Row, is_first: bool) -> Result<(), io::Error> {
        self.print(&self.table.row(row, is_first))
    }

    fn clean(&mut self, clean: &Clean, is_first: bool) -> Result<(), io::Error> {
        self.print(&self.table.clean(clean, is_first))
    }

    /// What it comes to.
    fn end(
        &mut self,
        worlds: usize,
        rows: &[Row],
        clean: &[Clean],
        is_interrupted: bool,
    ) -> Result<Exit, io::Error> {
        let all: Vec<&[Row]> = rows.chunk_by(|row, next| row.mutant == next.mutant).collect();
        let survives = |of_one: &&&[Row]| {
            // Of one that was not hunted to the end, or not at all, nobody knows.
            let usual = of_one.iter().filter(|row| row.made_for.is_empty()).count();
            let is_tested = of_one.iter().any(|row| row.taken() > 0);
            let is_hunted = is_tested && usual == worlds && of_one.iter().all(|row| !row.is_interrupted);
            is_hunted && of_one.iter().all(|row| row.caught() == 0)
        };
        let survivors: Vec<&str> = all.iter().filter(survives).map(|of_one| of_one[0].mutant).collect();
        let mut exit = clean.iter().map(|clean| clean.exit).max().unwrap_or_default();
        let is_untested = |of_one: &&&[Row]| of_one.iter().all(|row| row.taken() == 0);
        let untested: Vec<&str> = all.iter().filter(is_untested).map(|of_one| of_one[0].mutant).collect();
        if is_interrupted || rows.is_empty() || !untested.is_empty() {
            exit = exit.max(Exit::Unknown);
        }
        if !survivors.is_empty() {
            exit = exit.max(Exit::Invalid);
        }
        let mut out = String::from("\n");
        let mut say = |text: &str| wrap_into(&mut out, self.streams.width, "", "  ", text);
        for name in &survivors {
            say(&format!("{} {name} is caught in none of these worlds.", paint(BAD, "It survives:")));
        }
        for clean in clean {
            if let Some((what, _)) = &clean.failing {
                let world = clean.world.name();
                let with = clean.with().map_or(String::new(), |with| format!(" {with}"));
                say(&format!(
                    "{} {what} in the {world} world{with}. To run it again:",
                    paint(BAD, "Without mutants, it fails:")
                ));
            }
        }
        match exit {
            Exit::Valid => {
                let all = count(all.len() as u64, "mutant");
                say(&format!("{} {all} of as many; without them nothing fails.", paint(GOOD, "Caught:")));
            }
            Exit::Unknown if rows.is_empty() && !is_interrupted => {
                say("It has no mutants: nothing was tested.")
            }
            Exit::Unknown if is_interrupted => say(&paint(UNSURE, "Interrupted: this is not all of it.")),
            Exit::Unknown if !untested.is_empty() => {
                let text = format!(
                    "{} there was no time for any run with {}.",
                    paint(UNSURE, "Not tested:"),
                    untested.join(", ")
                );
                say(&text);
            }
            Exit::Unknown => say(&paint(UNSURE, "Without mutants, not every run could be judged.")),
            _ => {}
        }
        for (_, command) in clean.iter().filter_map(|clean| clean.failing.as_ref()) {
            out.push_str(&format!("    {command}\n"));
        }
        self.print(&out)?;
        Ok(exit)
    }
}
