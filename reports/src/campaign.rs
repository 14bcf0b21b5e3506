//! A pattern in a world: hunts seeds, looks at cases, makes what fails small, replays.
//!
//! What is found is found by `shakedown-workloads`; here are only time, threads, and what people see of it
//! meanwhile.

use crate::interrupt::{Alarm, Interrupt};
use crate::judge::{self, Question, message_of};
use crate::names::last_part;
use crate::progress::{Sign, Watched, Watcher};
use crate::report::Judgement;
use crate::report::mutants::SmallSize;
use crate::report::run::{
    CaseReport, End, FailedRun, Happened, Scenario, Scene, SeedsReport, Shrunk, ShrunkEnd,
};
use crate::terminal::{count, thousands};
use shakedown_checkers::format::Format;
use shakedown_checkers::history::History;
use shakedown_checkers::model::ModelName;
use shakedown_checkers::theory::Theory;
use shakedown_workloads::catalogue::{Pattern, Request, RequestError};
use shakedown_workloads::hunt::hunt;
use shakedown_workloads::judge::Finding;
use shakedown_workloads::replay::{Header, Replay, SmallCase};
use shakedown_workloads::run::Ran;
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::{Exploration, Limits, Violation};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Runs that making a failure small may take: what takes more is stopped by time.
const SHRINK_RUNS_MAX: u64 = 1_000_000;

/// States that a search for other schedules of one run goes through: after that it walks at random.
const SEARCH_STATES_MAX: usize = 300_000;

/// A pattern, and how it is tried.
#[derive(Clone, Copy)]
pub struct Campaign<'t> {
    /// The pattern.
    pub pattern: &'t dyn Pattern,
    /// How many threads hunt.
    pub jobs: usize,
    /// How long to try to make a failure small.
    pub shrink_time: Duration,
    /// Whether the user wants to stop.
    pub interrupt: &'t Interrupt,
    /// When to show signs of life.
    pub watched: Watched,
}

/// How long looking at a case may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes.
    Any,
    /// That long, with as many random paths as there is time for, where paths are random.
    Fill(Duration),
    /// No longer than that, and no more than without a limit.
    AtMost(Duration),
}

impl Patience {
    fn time(self) -> Option<Duration> {
        match self {
            Patience::Any => None,
            Patience::Fill(time) | Patience::AtMost(time) => Some(time),
        }
    }
}

/// A time, in equal shares for what is left; what one leaves of its share, the others have.
#[derive(Debug)]
pub struct Shares {
    deadline: Instant,
    left: usize,
}

impl Shares {
    /// A share of `time` for each of `parts`.
    pub fn of(time: Duration, parts: usize) -> Shares {
        let for_ever = Duration::from_secs(1 << 32);
        Shares { deadline: Instant::now() + time.min(for_ever), left: parts }
    }

    /// The next one's. A share of nothing is nothing.
    pub fn share(&mut self) -> Duration {
        let share = self.deadline.saturating_duration_since(Instant::now()) / self.left.max(1) as u32;
        self.left = self.left.saturating_sub(1);
        share
    }
}

/// A failure made small.
#[derive(Debug)]
pub struct Small {
    /// The small run, told.
    pub told: FailedRun,
    /// What replays it.
    pub replay: Replay,
    /// How it was made small, if it was.
    pub shrunk: Option<Shrunk>,
}

impl Small {
    /// How small it is, if it is a run with a seed.
    pub fn size(&self) -> Option<SmallSize> {
        match (&self.told.scene, self.shrunk) {
            (Scene::Scenario(Scenario { size, .. }), Some(Shrunk { end, .. })) => {
                let is_smallest = end == ShrunkEnd::Smallest;
                Some(SmallSize::Run(size.operations, size.faults, size.nodes, is_smallest))
            }
            _ => None,
        }
    }
}

impl Campaign<'_> {
    /// Hunts through `seeds`, for at most `time`.
    pub fn hunt(
        &self,
        request: &Request,
        seeds: Range<u64>,
        time: Option<Duration>,
    ) -> Result<SeedsReport, RequestError> {
        let begin = Instant::now();
        let alarm = Alarm::set(self.interrupt, time);
        let ran = Arc::new(AtomicU64::new(0));
        let with = request.mutant.as_ref().map_or(String::new(), |mutant| format!(" with {mutant}"));
        let watcher = self.watch(&format!("{}{with}", request.world.name()), {
            let (ran, total) = (Arc::clone(&ran), seeds.end - seeds.start);
            move |elapsed| hunted(ran.load(Relaxed), total, elapsed, time)
        });
        let progress = |seeds| ran.store(seeds, Relaxed);
        let hunt = hunt(self.pattern, request, seeds.clone(), self.jobs, &alarm.shared(), &progress)?;
        drop(watcher);
        let end = match hunt.failing {
            Some(_) => End::Failure,
            None if hunt.complete => End::Seeds,
            None if self.interrupt.is_asked() => End::Interrupt,
            None => End::Time,
        };
        let elapsed = begin.elapsed();
        let is_one = seeds.end - seeds.start == 1 && end == End::Seeds;
        let plan = is_one.then(|| hunt.plan.clone());
        Ok(SeedsReport { asked: seeds, hunt, end, plan, elapsed })
    }

    /// Makes the failure of `seed` small. `None`: it passes.
    pub fn make_small(&self, request: &Request, seed: u64) -> Result<Option<Small>, RequestError> {
        let alarm = Alarm::set(self.interrupt, Some(self.shrink_time));
        let bound = self.shrink_time;
        let name = format!("making seed {seed} small");
        let watcher = self.watch(&name, move |elapsed| until(elapsed, bound));
        let failure = self.pattern.fail(request, seed, SHRINK_RUNS_MAX, &alarm.shared())?;
        drop(watcher);
        let Some(failure) = failure else { return Ok(None) };
        let end = match failure.complete {
            true => ShrunkEnd::Smallest,
            false if self.interrupt.is_asked() => ShrunkEnd::Interrupt,
            false => ShrunkEnd::Time,
        };
        let shrunk = Some(Shrunk { runs: failure.runs, end });
        let finding = failure.ran.finding.clone().expect("what was made small fails");
        Ok(Some(Small { told: self.tell(&finding, failure.ran), replay: failure.replay, shrunk }))
    }

    /// Looks at a case of the model world.
    pub fn look(
        &self,
        number: usize,
        mutant: Option<&str>,
        patience: Patience,
    ) -> Result<CaseReport, RequestError> {
        let about = self.pattern.cases().get(number.wrapping_sub(1)).copied().unwrap_or_default();
        self.explored(number, about, patience, |limits| self.pattern.explore(number, mutant, &limits))
    }

    fn explored(
        &self,
        number: usize,
        about: &'static str,
        patience: Patience,
        explore: impl FnOnce(Limits) -> Result<Exploration, RequestError>,
    ) -> Result<CaseReport, RequestError> {
        let begin = Instant::now();
        let progress = Arc::new(AtomicU64::new(0));
        let time = patience.time();
        let (time_max, alarm_time) = match patience {
            Patience::AtMost(_) => (None, time),
            Patience::Any | Patience::Fill(_) => (time, None),
        };
        let alarm = Alarm::set(self.interrupt, alarm_time);
        let limits = Limits {
            time_max,
            stop: Some(alarm.shared()),
            progress: Some(Arc::clone(&progress)),
            ..Limits::default()
        };
        let which = if number > 0 { format!("case {number}") } else { "all schedules".to_owned() };
        let watcher = self.watch(&format!("model, {which}"), move |elapsed| {
            let numbers = format!("{} states or walks", thousands(progress.load(Relaxed)));
            match time {
                Some(time) => Sign { numbers, ..until(elapsed, time) },
                None => Sign { done: 0, total: 0, numbers },
            }
        });
        let explored = catch_unwind(AssertUnwindSafe(|| explore(limits)));
        let exploration = explored.unwrap_or_else(|panic| {
            resume_unwind(Box::new(format!("{which}: {}", message_of(panic.as_ref()))))
        })?;
        drop((watcher, alarm));
        let is_over = exploration.violation.is_some() || exploration.is_proof();
        let is_interrupted = self.interrupt.is_asked() && !is_over;
        Ok(CaseReport { number, about, exploration, is_interrupted, elapsed: begin.elapsed() })
    }

    /// Looks at every schedule of what a replay file holds, or at some, if there are too many.
    pub fn search(&self, replay: &Replay) -> Result<CaseReport, RequestError> {
        self.explored(
            0,
            "the same cluster, operations and number of crashes, in any order",
            Patience::Any,
            |limits| self.pattern.search(replay, &Limits { states_max: SEARCH_STATES_MAX, ..limits }),
        )
    }

    /// What a violation comes to.
    pub fn violation(&self, report: &CaseReport, mutant: Option<&str>, violation: &Violation) -> Small {
        let case = SmallCase { case: report.number, about: report.about.to_owned() };
        let pattern = self.pattern.entry().name;
        // Its number says of which workload a case is.
        let header = Header { pattern, workload: None, world: WorldName::Model, mutant };
        let replay = Replay::of_case(&header, case, violation);
        Small { told: self.tell_violation(violation, report.about), replay, shrunk: None }
    }

    /// A violation in the model world, for people; `about` is what was looked at.
    pub fn tell_violation(&self, violation: &Violation, about: &str) -> FailedRun {
        FailedRun {
            kind: violation.finding.kind().to_owned(),
            sentences: violation.sentences(),
            judgement: self.judged(&violation.history, violation.model, violation.finding.kind()),
            history: violation.history.clone(),
            scene: Scene::Case(about.to_owned()),
            happened: Happened::Steps(violation.steps.clone()),
        }
    }

    /// What a run in a world that takes seeds comes to.
    pub fn tell(&self, finding: &Finding, ran: Ran) -> FailedRun {
        let Ran { outcome, faults, model, size, told, .. } = ran;
        let told = told.lines().map(str::to_owned).collect();
        FailedRun {
            kind: finding.kind().to_owned(),
            sentences: sentences(finding),
            judgement: self.judged(&outcome.history, model, finding.kind()),
            history: outcome.history,
            scene: Scene::Scenario(Scenario { size, told, faults }),
            happened: Happened::Trace(outcome.trace.unwrap_or_default()),
        }
    }

    /// What the checker says of a history that it refutes.
    fn judged(&self, history: &History, model: ModelName, kind: &str) -> Option<Judgement> {
        let question = Question::about(Theory::Object(model));
        let name = last_part(self.pattern.entry().name);
        let judged = || judge::judge((history.clone(), Format::JsonLines), name, None, &question).ok();
        (kind == "refuted").then(judged).flatten()
    }

    fn watch(&self, what: &str, look: impl Fn(Duration) -> Sign + Send + 'static) -> Option<Watcher> {
        let name = format!("{}, {what}", last_part(self.pattern.entry().name));
        Watcher::when(self.watched, &name, look)
    }
}

/// A finding, sentence by sentence.
fn sentences(finding: &Finding) -> Vec<String> {
    match finding {
        Finding::Refuted { sentences } => sentences.clone(),
        Finding::Broke(_) | Finding::Undecided(_) | Finding::Stopped | Finding::Stalled { .. } => {
            vec![finding.to_string()]
        }
    }
}

/// How many seeds a world is given unless somebody says otherwise.
pub fn seeds_usual(world: WorldName) -> u64 {
    match world {
        WorldName::Model => 0,
        WorldName::Swarm => 1_000,
        WorldName::Sim => 50,
    }
}

/// How many seeds a hunt for a mutant may take unless somebody says otherwise.
pub fn seeds_most(world: WorldName) -> u64 {
    match world {
        WorldName::Model => 0,
        WorldName::Swarm => 30_000,
        WorldName::Sim => 200,
    }
}

fn hunted(ran: u64, total: u64, elapsed: Duration, time: Option<Duration>) -> Sign {
    let per_second = rate(ran, elapsed);
    match time {
        Some(time) => {
            let numbers = format!("{}{per_second}", count(ran, "seed"));
            Sign { numbers, ..until(elapsed, time) }
        }
        None => {
            let numbers = format!("{} of {}{per_second}", thousands(ran), count(total, "seed"));
            Sign { done: ran, total, numbers }
        }
    }
}

/// How many a second, once there is one; below ten with a decimal, for heavy runs take seconds.
fn rate(ran: u64, elapsed: Duration) -> String {
    match ran as f64 / elapsed.as_secs_f64().max(0.001) {
        _ if ran == 0 => String::new(),
        few if few < 9.95 => format!(", {few:.1} a second"),
        many => format!(", {many:.0} a second"),
    }
}

fn until(elapsed: Duration, time: Duration) -> Sign {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Sign { done: ms(elapsed), total: ms(time), numbers: format!("{} s at most", time.as_secs()) }
}
