//! `shakedown` without a command: Raft on trial, for about 20 seconds.
//!
//! First as it is, in each world for a fixed time; then with famous mistakes, for a judge who never says
//! no says nothing. How much is looked at depends on the machine, how long it takes does not.

use super::run::jobs;
use super::{Page, Stopped, Streams};
use crate::again;
use crate::args::pattern::SEED_MAX;
use crate::campaign::{Campaign, Patience, Shares, Small};
use crate::evidence;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::judge::guarded;
use crate::names::pattern_named;
use crate::panics;
use crate::progress::Watched;
use crate::report::Failure;
use crate::report::run::text::announcement;
use crate::report::run::{Culprit, Failed, Looked, WorldReport};
use crate::report::trial::{self, Caught, MistakeReport, TrialReport};
use shakedown_workloads::catalogue::{Pattern, Request};
use shakedown_workloads::nemesis::Nemesis;
use shakedown_workloads::world::WorldName;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is put on trial, for how long, and which mistakes it makes afterwards.
#[derive(Clone)]
pub struct Plan {
    /// The pattern.
    pub pattern: &'static dyn Pattern,
    /// Mistakes of it that are to be caught.
    pub mistakes: Vec<Mistake>,
    /// How long everything may take.
    pub budget: Budget,
    /// Where failures are written.
    pub output: PathBuf,
}

/// A mistake, and the trouble in which it shows.
#[derive(Clone, Copy, Debug)]
pub struct Mistake {
    /// The mutant's name.
    pub mutant: &'static str,
    /// What clients do.
    pub workload: &'static str,
    /// What goes wrong.
    pub nemesis: Nemesis,
}

/// How long each part may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// All cases of the model world.
    pub model: Duration,
    /// The swarm.
    pub swarm: Duration,
    /// The simulation.
    pub sim: Duration,
    /// Finding one mistake.
    pub hunt: Duration,
    /// Making its failure small.
    pub shrink: Duration,
}

impl Budget {
    /// 20 seconds, if mistakes are found as fast as they should be.
    pub fn usual() -> Budget {
        let [model, swarm, sim, hunt, shrink] =
            [4_500, 7_000, 4_000, 4_000, 1_800].map(Duration::from_millis);
        Budget { model, swarm, sim, hunt, shrink }
    }

    fn of(&self, world: WorldName) -> Duration {
        match world {
            WorldName::Model => self.model,
            WorldName::Swarm => self.swarm,
            WorldName::Sim => self.sim,
        }
    }

    fn whole(&self, worlds: &[WorldName], mistakes: usize) -> Duration {
        let worlds: Duration = worlds.iter().map(|&world| self.of(world)).sum();
        worlds + self.shrink * mistakes as u32
    }
}

impl Plan {
    /// Raft, and two mistakes that stores of renown have made: one that clients see, and one that is seen
    /// before they do.
    pub fn usual() -> Result<Plan, Stopped> {
        let mistake = |mutant, nemesis| Mistake { mutant, workload: "register", nemesis };
        Ok(Plan {
            pattern: pattern_named("raft")?,
            mistakes: vec![
                mistake("local-read", Nemesis::Partition),
                mistake("ack-before-durable", Nemesis::Power),
            ],
            budget: Budget::usual(),
            output: "target/shakedown".into(),
        })
    }

    /// The worlds that have anything to look at.
    fn worlds(&self) -> Vec<WorldName> {
        let has_cases = !self.pattern.cases().is_empty();
        let worlds = self.pattern.entry().worlds.iter().copied();
        worlds.filter(|&world| world != WorldName::Model || has_cases).collect()
    }
}

/// Puts Raft on trial.
pub fn run(streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    Ok(run_plan(&Plan::usual()?, streams))
}

/// Does what `plan` says.
pub fn run_plan(plan: &Plan, streams: &mut Streams<'_>) -> Exit {
    panics::keep_quiet();
    let interrupt = Interrupt::listen();
    let campaign = Campaign {
        pattern: plan.pattern,
        jobs: jobs(None),
        // Nobody has asked to wait for it, and `run` makes it as small as it gets.
        shrink_time: plan.budget.shrink * 2,
        interrupt: &interrupt,
        watched: Watched::AtOnce,
    };
    let (width, program) = (streams.width, streams.program);
    let mut trial = Trial { plan, campaign, program, width, page: Page::new(streams) };
    let report = trial.all();
    trial.page.print(&trial::summary(&report, width));
    if !report.is_interrupted {
        let mutant = plan.mistakes.first().map(|mistake| mistake.mutant);
        trial.page.print(&trial::next(&report, mutant, program, width));
    }
    trial.page.end(report.exit())
}

struct Trial<'t, 's> {
    plan: &'t Plan,
    campaign: Campaign<'t>,
    program: &'t str,
    width: usize,
    page: Page<'t, 's>,
}

impl Trial<'_, '_> {
    fn all(&mut self) -> TrialReport {
        let begin = Instant::now();
        let worlds = self.plan.worlds();
        let mut report = TrialReport {
            pattern: self.plan.pattern.entry(),
            worlds: vec![],
            mistakes: vec![],
            is_interrupted: false,
            elapsed: Duration::ZERO,
        };
        let time = self.plan.budget.whole(&worlds, self.plan.mistakes.len());
        self.page.print(&trial::intro(&report, time, self.campaign.jobs, self.width));
        for world in worlds {
            if self.is_over() {
                break;
            }
            self.page.print(&trial::world_head(world, self.width));
            let world = self.world(world);
            self.page.print(&trial::world(&world, self.width));
            report.worlds.push(world);
        }
        // What does fail need not be told to.
        if report.exit() == Exit::Valid && !self.is_over() && !self.plan.mistakes.is_empty() {
            self.page.print(&trial::mistakes_head(&report, self.width));
            for &mistake in &self.plan.mistakes {
                if self.is_over() {
                    break;
                }
                let mistake = self.mistake(mistake);
                self.page.print(&trial::mistake(&mistake, self.width));
                report.mistakes.push(mistake);
            }
        }
        report.is_interrupted = self.campaign.interrupt.is_asked();
        report.elapsed = begin.elapsed();
        report
    }

    /// Whether nobody wants to know any more.
    fn is_over(&self) -> bool {
        self.campaign.interrupt.is_asked() || self.page.is_left()
    }

    fn world(&mut self, world: WorldName) -> WorldReport {
        let begin = Instant::now();
        let found = guarded(|| match world {
            WorldName::Model => self.look(),
            _ => self.hunt(world),
        });
        let (result, small) = match found {
            Ok((looked, small)) => (Ok(looked), small),
            Err(failure) => (Err(told(failure)), None),
        };
        let failed = small.map(|(culprit, command, small)| {
            let files = evidence::write(&self.plan.output, self.program, &small, culprit);
            Failed { culprit, command, told: small.told, replay: small.replay, shrunk: small.shrunk, files }
        });
        if let Err(message) = &result {
            self.page.remark(&format!("{}: internal error: {message}\n  {}", world.name(), trial::OUR_BUG));
        }
        let name = self.plan.pattern.entry().name;
        WorldReport { pattern: name, world, mutant: None, result, failed, elapsed: begin.elapsed() }
    }

    /// Each case gets an equal share of the time; what it leaves, the others have.
    fn look(&mut self) -> Result<Found, Failure> {
        let all = self.plan.pattern.cases().len();
        let mut shares = Shares::of(self.plan.budget.model, all);
        let mut cases = vec![];
        while cases.len() < all && (cases.is_empty() || !self.campaign.interrupt.is_asked()) {
            let case =
                self.campaign.look(cases.len() + 1, None, Patience::Fill(shares.share())).map_err(ours)?;
            let failed = case.exit() == Exit::Invalid;
            cases.push(case);
            if failed {
                break;
            }
        }
        let left = all - cases.len();
        let last = cases.last().filter(|case| case.exit() == Exit::Invalid);
        let failing = last.and_then(|case| Some((case, case.exploration.violation.as_ref()?)));
        let small = failing.map(|(case, violation)| {
            let name = self.plan.pattern.entry().name;
            let command = again::case(self.program, name, case.number, None);
            let small = self.campaign.violation(case, None, violation);
            (Culprit::Case(case.number), command, small)
        });
        if let Some((culprit, command, _)) = &small {
            self.page.print(&announcement(*culprit, command));
        }
        Ok((Looked::Cases { cases, left }, small))
    }

    fn hunt(&mut self, world: WorldName) -> Result<Found, Failure> {
        let request = Request::new(world);
        let time = self.plan.budget.of(world);
        let report = self.campaign.hunt(&request, 0..SEED_MAX, Some(time)).map_err(ours)?;
        let Some(seed) = report.hunt.failing else { return Ok((Looked::Seeds(Box::new(report)), None)) };
        let name = self.plan.pattern.entry().name;
        let command = again::seed(self.program, name, &request, seed);
        // Before anything is done about it.
        self.page.print(&announcement(Culprit::Seed(seed), &command));
        let small = self.campaign.make_small(&request, seed).map_err(ours)?;
        let small = small.ok_or_else(|| passes_again(seed))?;
        Ok((Looked::Seeds(Box::new(report)), Some((Culprit::Seed(seed), command, small))))
    }

    fn mistake(&mut self, mistake: Mistake) -> MistakeReport {
        let pattern = self.plan.pattern;
        let about = pattern.mutants().into_iter().find(|(name, _)| *name == mistake.mutant);
        let about = about.expect("mistakes are mutants of the pattern").1;
        let caught = guarded(|| self.catch(mistake));
        if let Err(Failure::Internal(message)) = &caught {
            self.page.remark(&format!("{}: internal error: {message}\n  {}", mistake.mutant, trial::OUR_BUG));
        }
        MistakeReport { mutant: mistake.mutant, about, caught: caught.map_err(told) }
    }

    fn catch(&mut self, mistake: Mistake) -> Result<Caught, Failure> {
        let request = Request {
            workload: Some(mistake.workload.to_owned()),
            nemeses: Some(vec![mistake.nemesis]),
            mutant: Some(mistake.mutant.to_owned()),
            ..Request::new(WorldName::Swarm)
        };
        let campaign = Campaign { shrink_time: self.plan.budget.shrink, ..self.campaign };
        let report = campaign.hunt(&request, 0..SEED_MAX, Some(self.plan.budget.hunt)).map_err(ours)?;
        let (runs, elapsed) = (report.hunt.seeds, report.elapsed);
        let Some(seed) = report.hunt.failing else { return Ok(Caught { runs, elapsed, small: None }) };
        let small = campaign.make_small(&request, seed).map_err(ours)?.ok_or_else(|| passes_again(seed))?;
        // Threads that were ahead of the one that found it found nothing.
        Ok(Caught { runs: seed + 1, elapsed, small: Some((small.told, small.shrunk)) })
    }
}

/// What was looked at, and what failed: what it was, what runs it again, and made small.
type Found = (Looked, Option<(Culprit, String, Small)>);

/// What the catalogue refuses, of what nobody but us has asked.
fn ours(error: impl ToString) -> Failure {
    Failure::Internal(error.to_string())
}

fn passes_again(seed: u64) -> Failure {
    Failure::Internal(format!("seed {seed} failed, and passed when it was run again"))
}

fn told(failure: Failure) -> String {
    match failure {
        Failure::Internal(message) => message,
        Failure::Input(_) | Failure::Interrupted => unreachable!("nobody has given it anything to read"),
    }
}
