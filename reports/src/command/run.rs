//! `shakedown run`: a pattern in its worlds, one after the other, each reported as it ends.
//!
//! What fails is told, with the command that runs it again, before anything is done about it: neither a
//! long search for something smaller nor a full disk hides it.

use super::{Page, Stopped, Streams};
use crate::again;
use crate::args::OutputFormat;
use crate::args::pattern::{LoadArgs, RunArgs, SEED_MAX};
use crate::campaign::{Campaign, Patience, Shares, Small, seeds_usual};
use crate::diagnostic::InputError;
use crate::evidence;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::judge::guarded;
use crate::names::{mutant_named, nemeses_named, pattern_named, refused, workload_named, worlds_named};
use crate::panics;
use crate::progress::Watched;
use crate::report::Failure;
use crate::report::run::junit::RunJunit;
use crate::report::run::{Culprit, Failed, Looked, WorldReport, json, text};
use miette::Report;
use shakedown_workloads::catalogue::{Pattern, Request, RequestError};
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Runs what `args` name. The worst of the worlds decides the exit code.
pub fn run(args: &RunArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let pattern = pattern_named(&args.pattern)?;
    let plan = Plan::new(pattern, args)?;
    run_pattern(pattern, &plan, args, streams)
}

/// Runs a pattern as planned.
pub fn run_pattern(
    pattern: &dyn Pattern,
    plan: &Plan,
    args: &RunArgs,
    streams: &mut Streams<'_>,
) -> Result<Exit, Stopped> {
    panics::keep_quiet();
    let interrupt = Interrupt::listen();
    let campaign = Campaign {
        pattern,
        jobs: jobs(args.jobs),
        shrink_time: args.shrink_time,
        interrupt: &interrupt,
        watched: if args.quiet { Watched::Never } else { Watched::WhenLong },
    };
    let mut printer = Printer::new(args, streams);
    let mut worst = Exit::Valid;
    for (at, &world) in plan.worlds.iter().enumerate() {
        if interrupt.is_asked() {
            plan.worlds[at..]
                .iter()
                .for_each(|world| printer.page.remark(&format!("{}: not begun", world.name())));
            worst = worst.max(Exit::Unknown);
            break;
        }
        let report = plan.run_world(&campaign, world, args, &mut printer)?;
        worst = worst.max(report.exit());
        interrupt.ends_with(worst);
        printer.report(&report);
        if printer.page.is_left() {
            break;
        }
    }
    Ok(printer.end(worst))
}

/// As many threads as were asked for, or as there are processors.
pub(super) fn jobs(asked: Option<u16>) -> usize {
    asked.map(usize::from).or_else(|| std::thread::available_parallelism().map(usize::from).ok()).unwrap_or(1)
}

/// What is asked of worlds that take seeds.
pub(super) fn request(
    pattern: &dyn Pattern,
    load: &LoadArgs,
    world: WorldName,
    mutant: Option<&str>,
) -> Result<Request, InputError> {
    Ok(Request {
        world,
        workload: load.workload.as_deref().map(|name| workload_named(pattern, name)).transpose()?,
        nodes: load.nodes,
        clients: load.clients,
        length_ms: load.length,
        nemeses: load.nemesis.as_deref().map(|names| nemeses_named(pattern, names)).transpose()?,
        mutant: mutant.map(str::to_owned),
    })
}

/// What is run, in which worlds.
#[derive(Debug)]
pub struct Plan {
    worlds: Vec<WorldName>,
    cases: Vec<usize>,
    mutant: Option<String>,
}

impl Plan {
    /// What `args` ask of `pattern`.
    pub fn new(pattern: &dyn Pattern, args: &RunArgs) -> Result<Plan, InputError> {
        let mutant = args.mutant.as_deref().map(|name| mutant_named(pattern, name)).transpose()?;
        request(pattern, &args.load, WorldName::Swarm, None)?;
        let mut worlds = worlds_named(pattern, &args.world)?;
        let is_model = |world: &WorldName| *world == WorldName::Model;
        if args.world.is_empty() && args.case.is_none() && pattern.cases().is_empty() {
            worlds.retain(|world| !is_model(world));
        }
        let seeded = args.seed.map(|_| "--seed").or(args.seeds.map(|_| "--seeds")).or(seeded(&args.load));
        if let Some(option) = seeded {
            if args.case.is_some() && args.world.is_empty() {
                let message = format!(
                    "{option} and --case do not go together: a case is all that the model world needs"
                );
                return Err(InputError::new(message, Some("leave one of them out".to_owned())));
            }
            if worlds.iter().all(is_model) {
                let message =
                    format!("{option} says nothing to the model world, which looks at cases, not at seeds");
                return Err(InputError::new(message, Some("name another world with --world".to_owned())));
            }
            if args.world.is_empty() {
                worlds.retain(|world| !is_model(world));
            }
        }
        let cases = pattern.cases().len();
        let cases = match args.case.map(usize::from) {
            None => (1..=cases).collect(),
            Some(_) if !worlds.iter().any(is_model) => {
                let message = "--case is one of the model world, which is not among those to run";
                return Err(InputError::new(message, Some("add --world model".to_owned())));
            }
            Some(case) => {
                check_case(pattern, case)?;
                if args.world.is_empty() {
                    worlds.retain(is_model);
                }
                vec![case]
            }
        };
        Ok(Plan { worlds, cases, mutant: mutant.map(str::to_owned) })
    }

    fn run_world(
        &self,
        campaign: &Campaign<'_>,
        world: WorldName,
        args: &RunArgs,
        printer: &mut Printer<'_, '_>,
    ) -> Result<WorldReport, Stopped> {
        let begin = Instant::now();
        let found = guarded(|| {
            match world {
                WorldName::Model => self.look(campaign, args.time, printer),
                _ => self.hunt(campaign, world, args, printer),
            }
            .map_err(|error| Failure::Input(Report::new(error)))
        });
        let (result, small) = match found {
            Ok(found) => found,
            Err(Failure::Input(report)) => return Err(Stopped::Input(report)),
            Err(Failure::Internal(message)) => (Err(message), None),
            Err(Failure::Interrupted) => unreachable!("an interrupt is an end of its own"),
        };
        let failed = small.map(|(culprit, command, small)| {
            let files = evidence::write(&args.output, printer.page.streams.program, &small, culprit);
            Failed { culprit, command, told: small.told, replay: small.replay, shrunk: small.shrunk, files }
        });
        Ok(WorldReport {
            pattern: campaign.pattern.entry().name,
            world,
            mutant: self.mutant.clone(),
            result,
            failed,
            elapsed: begin.elapsed(),
        })
    }

    fn hunt(
        &self,
        campaign: &Campaign<'_>,
        world: WorldName,
        args: &RunArgs,
        printer: &mut Printer<'_, '_>,
    ) -> Result<Found, InputError> {
        let pattern = campaign.pattern;
        let name = pattern.entry().name;
        let request = request(pattern, &args.load, world, self.mutant.as_deref())?;
        let refused = |error: RequestError| refused(&error);
        let report = campaign.hunt(&request, seeds(args, world), args.time).map_err(refused)?;
        let Some(seed) = report.hunt.failing else { return Ok((Ok(Looked::Seeds(Box::new(report))), None)) };
        let (culprit, command) =
            (Culprit::Seed(seed), again::seed(printer.page.streams.program, name, &request, seed));
        campaign.interrupt.ends_with(Exit::Invalid);
        printer.announce(name, world, culprit, &command);
        match campaign.make_small(&request, seed).map_err(refused)? {
            Some(small) => Ok((Ok(Looked::Seeds(Box::new(report))), Some((culprit, command, small)))),
            None => {
                let message = format!("seed {seed} failed, and passed when it was run again");
                Ok((Err(message), None))
            }
        }
    }

    fn look(
        &self,
        campaign: &Campaign<'_>,
        time: Option<Duration>,
        printer: &mut Printer<'_, '_>,
    ) -> Result<Found, InputError> {
        let (name, mutant) = (campaign.pattern.entry().name, self.mutant.as_deref());
        let mut shares = time.map(|time| Shares::of(time, self.cases.len()));
        let mut cases = vec![];
        for (at, &number) in self.cases.iter().enumerate() {
            if at > 0 && campaign.interrupt.is_asked() {
                break;
            }
            let share = shares.as_mut().map_or(Patience::Any, |shares| Patience::Fill(shares.share()));
            let case = campaign.look(number, mutant, share).map_err(|error| refused(&error))?;
            let is_failure = case.exit() == Exit::Invalid;
            cases.push(case);
            if is_failure {
                break;
            }
        }
        let left = self.cases.len() - cases.len();
        let last = cases.last().filter(|case| case.exit() == Exit::Invalid);
        let small = last.and_then(|case| Some((case, case.exploration.violation.as_ref()?)));
        let failed = small.map(|(case, violation): (_, &model::Violation)| {
            let culprit = Culprit::Case(case.number);
            let command = again::case(printer.page.streams.program, name, case.number, mutant);
            printer.announce(name, WorldName::Model, culprit, &command);
            (culprit, command, campaign.violation(case, mutant, violation))
        });
        Ok((Ok(Looked::Cases { cases, left }), failed))
    }
}

/// What was looked at, and what failed: what it was, what runs it again, and made small.
type Found = (Result<Looked, String>, Option<(Culprit, String, Small)>);

/// The option that only worlds with seeds understand, if there is one.
fn seeded(load: &LoadArgs) -> Option<&'static str> {
    let given = [
        (load.workload.is_some(), "--workload"),
        (load.nemesis.is_some(), "--nemesis"),
        (load.nodes.is_some(), "--nodes"),
        (load.clients.is_some(), "--clients"),
        (load.length.is_some(), "--length"),
    ];
    given.into_iter().find(|(is_given, _)| *is_given).map(|(_, option)| option)
}

/// `Err` if `pattern` has no such case.
pub(super) fn check_case(pattern: &dyn Pattern, case: usize) -> Result<(), InputError> {
    let (name, cases) = (pattern.entry().name, pattern.cases().len());
    if (1..=cases).contains(&case) {
        return Ok(());
    }
    let message = format!("there is no case {case}; {name} has cases 1 to {cases}");
    Err(InputError::new(message, Some(format!("`shakedown list {name}` describes them"))))
}

/// The seeds that `args` ask for. With a time limit and without an end they are more than there is time for.
fn seeds(args: &RunArgs, world: WorldName) -> Range<u64> {
    let (from, until) = match (args.seed, args.seeds) {
        (Some(seed), _) => (seed, Some(seed + 1)),
        (None, Some(seeds)) => (seeds.from, seeds.until),
        (None, None) => (0, None),
    };
    let usual = if args.time.is_some() { SEED_MAX } else { seeds_usual(world) };
    from..until.unwrap_or(from + usual)
}

/// Prints reports as they come, in the format that was asked for.
struct Printer<'a, 's> {
    args: &'a RunArgs,
    page: Page<'a, 's>,
    junit: RunJunit,
    /// Whether an explanation stands above what is printed next.
    explained: bool,
}

impl<'a, 's> Printer<'a, 's> {
    fn new(args: &'a RunArgs, streams: &'a mut Streams<'s>) -> Printer<'a, 's> {
        Printer { args, page: Page::new(streams), junit: RunJunit::new(), explained: false }
    }

    /// Whether verdicts are followed by their explanations.
    fn explains(&self) -> bool {
        self.args.format == OutputFormat::Text && !self.args.quiet
    }

    /// Tells of a failure: now, whatever comes of what is done about it.
    fn announce(&mut self, pattern: &str, world: WorldName, culprit: Culprit, command: &str) {
        let told = text::announcement(culprit, command);
        if self.explains() {
            let verdict = text::verdict(pattern, world.name(), Exit::Invalid).unwrap_or_default();
            let gap = if self.explained { "\n" } else { "" };
            self.page.print(&format!("{gap}{verdict}\n{told}"));
        }
        if !self.explains() || self.page.broken.is_some() {
            self.page.remark(&format!("{pattern}, {}:\n{}", world.name(), told.trim_end()));
        }
    }

    fn report(&mut self, report: &WorldReport) {
        if let Err(message) = &report.result {
            let (pattern, world) = (report.pattern, report.world.name());
            self.page.remark(&format!(
                "{pattern}, {world}: internal error: {message}\n  This is a bug in shakedown, not in the pattern. \
                 Please report it together with the command."
            ));
        }
        match self.args.format {
            OutputFormat::Junit => self.junit.add(report),
            OutputFormat::Json => self.page.print(&format!("{}\n", json::render(report))),
            OutputFormat::Text => self.report_text(report),
        }
        match report.failed.as_ref().map(|failed| &failed.files) {
            Some(Ok(files)) if self.explains() => self.page.print(&format!("\n{}", text::files(files))),
            Some(Ok(files)) => self.page.remark(text::files(files).trim_end()),
            Some(Err(error)) => {
                self.page
                    .remark(&format!("{error}; the failure is as told above, and the command runs it again"));
            }
            None => {}
        }
    }

    fn report_text(&mut self, report: &WorldReport) {
        // A failure's verdict stands above, with its announcement.
        if report.failed.is_none() || !self.explains() {
            let gap = if self.explained { "\n" } else { "" };
            if let Some(line) = text::verdict_line(report) {
                self.page.print(&format!("{gap}{line}\n"));
            }
        }
        if self.explains() && report.result.is_ok() {
            self.page.print(&text::explanation(report, self.page.streams.width));
            self.explained = true;
        }
    }

    fn end(mut self, worst: Exit) -> Exit {
        if self.args.format == OutputFormat::Junit {
            let text = std::mem::take(&mut self.junit).finish();
            self.page.print(&text);
        }
        self.page.end(worst)
    }
}
