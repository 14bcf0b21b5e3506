//! What came of a trial, for somebody who has never seen one.

use super::Ruling;
use super::run::text::{self, seconds};
use super::run::timeline::Limit;
use super::run::{CaseReport, FailedRun, Looked, Scene, SeedsReport, Shrunk, ShrunkEnd, WorldReport, faults};
use super::timeline::draw;
use crate::exit::Exit;
use crate::names::last_part;
use crate::terminal::{BAD, FAINT, GOOD, STRONG, UNSURE, count, pad, paint, printable, thousands, wrap_into};
use shakedown_checkers::verdict::Verdict;
use shakedown_workloads::catalogue::Entry;
use shakedown_workloads::nemesis::Nemesis;
use shakedown_workloads::outcome::Counts;
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::{Extent, Stop};
use std::collections::BTreeMap;
use std::time::Duration;

/// Said of every error of ours.
pub const OUR_BUG: &str =
    "This is a bug in shakedown, not in the pattern. Please report it together with the command.";

/// Operations of a contradiction that are drawn; of a larger one sentences say more.
const DRAWN_MAX: usize = 4;
/// Sentences of a contradiction.
const SENTENCES_MAX: usize = 4;
/// Faults that are named one by one.
const FAULTS_MAX: usize = 2;
/// Lines of what happened.
const LINES: usize = 20;
/// Where less room than that is left, what stands beside goes below or away.
const BESIDE_MIN: usize = 24;
const INDENT: &str = "  ";
const INNER: &str = "    ";

/// A trial.
#[derive(Debug)]
pub struct TrialReport {
    /// What was on trial.
    pub pattern: Entry,
    /// The worlds that it went through.
    pub worlds: Vec<WorldReport>,
    /// The mistakes that it made afterwards.
    pub mistakes: Vec<MistakeReport>,
    /// Whether the user stopped it.
    pub is_interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// A mistake that it was told to make.
#[derive(Debug)]
pub struct MistakeReport {
    /// Its name.
    pub mutant: &'static str,
    /// What is wrong with it, and where it is known from.
    pub about: &'static str,
    /// What came of it. `Err`: a bug in shakedown, and what is known of it.
    pub caught: Result<Caught, String>,
}

/// How a mistake was caught, or not.
#[derive(Debug)]
pub struct Caught {
    /// Runs, up to the one that fails.
    pub runs: u64,
    /// How long they took.
    pub elapsed: Duration,
    /// The failure, made small: what it is, runs that it took, and whether nothing more can be removed.
    /// `None`: there was none in that time.
    pub small: Option<(FailedRun, Option<Shrunk>)>,
}

impl TrialReport {
    /// How it ended.
    pub fn exit(&self) -> Exit {
        let worlds = self.worlds.iter().map(exit).max().unwrap_or(Exit::Unknown);
        let mistakes = self.mistakes.iter().map(MistakeReport::exit).max().unwrap_or_default();
        let rest = if self.is_interrupted { Exit::Unknown } else { Exit::Valid };
        worlds.max(mistakes).max(rest)
    }

    fn runs(&self) -> u64 {
        self.seeds().map(|report| report.hunt.seeds).sum()
    }

    fn seeds(&self) -> impl Iterator<Item = &SeedsReport> {
        self.worlds.iter().filter_map(|world| match &world.result {
            Ok(Looked::Seeds(report)) => Some(report.as_ref()),
            _ => None,
        })
    }

    fn cases(&self) -> impl Iterator<Item = &CaseReport> {
        self.worlds.iter().flat_map(|world| match &world.result {
            Ok(Looked::Cases { cases, .. }) => cases.as_slice(),
            Ok(Looked::Seeds(_)) | Err(_) => &[],
        })
    }

    /// What it is called among people: `Raft`.
    fn name(&self) -> String {
        let name = last_part(self.pattern.name);
        // Short ones are acronyms, all but one.
        match name {
            "raft" => "Raft".to_owned(),
            _ => name.to_uppercase(),
        }
    }
}

impl MistakeReport {
    /// How it ended: one that is not caught leaves the question open, whether anything would be.
    pub fn exit(&self) -> Exit {
        match &self.caught {
            Err(_) => Exit::Internal,
            Ok(Caught { small: Some(_), .. }) => Exit::Valid,
            Ok(Caught { small: None, .. }) => Exit::Unknown,
        }
    }
}

/// How a world ended. That there was no time for all of a case is no fault of the case.
fn exit(world: &WorldReport) -> Exit {
    match &world.result {
        Ok(Looked::Cases { cases, .. }) if world.failed.is_none() => {
            cases.iter().filter(|case| !is_cut_short(case)).map(CaseReport::exit).max().unwrap_or_default()
        }
        _ => world.exit(),
    }
}

/// Whether nothing is wrong but that the time was over.
fn is_cut_short(case: &CaseReport) -> bool {
    let is_part =
        matches!(case.exploration.extent, Extent::Bounded { stop: Stop::Time, .. } | Extent::Walked { .. });
    is_part && !case.is_interrupted && case.exploration.violation.is_none()
}

/// What is going to happen.
pub fn intro(report: &TrialReport, time: Duration, jobs: usize, width: usize) -> String {
    let mut out = String::new();
    let text = format!(
        "{} {}. Clients use it while everything goes wrong that can, and what they saw is judged. This takes about \
         {:.0} seconds, on {}.",
        paint(STRONG, &format!("{} on trial:", report.name())),
        report.pattern.title,
        time.as_secs_f64(),
        count(jobs as u64, "thread"),
    );
    wrap_into(&mut out, width, "", "", &text);
    out.push('\n');
    out
}

/// A world that begins.
pub fn world_head(world: WorldName, width: usize) -> String {
    let mut out = String::new();
    let (first, rest) = beside(INDENT, world.name());
    wrap_into(&mut out, width, &first, &rest, world.about());
    out
}

/// What came of a world; of a failure, what is wrong and where it was written.
pub fn world(report: &WorldReport, width: usize) -> String {
    let mut out = String::new();
    let rest = beside(INDENT, report.world.name()).1;
    let verdict = match exit(report) {
        Exit::Valid => paint(GOOD, "nothing wrong"),
        Exit::Invalid => paint(BAD, "IT FAILS"),
        Exit::Unknown => paint(UNSURE, "no verdict"),
        Exit::BadInput | Exit::Internal => paint(BAD, "internal error"),
    };
    let looked = match &report.result {
        Ok(Looked::Cases { cases, .. }) => cases_looked(cases),
        Ok(Looked::Seeds(seeds)) => format!(
            "{}, {}, {}",
            count(seeds.hunt.seeds, "run"),
            faults::total(&seeds.hunt.faults).0,
            count(seeds.hunt.operations, "operation")
        ),
        Err(_) => String::new(),
    };
    let looked = if looked.is_empty() { looked } else { format!(": {looked}") };
    wrap_into(&mut out, width, &rest, &rest, &format!("{verdict}{looked}; {}", seconds(report.elapsed)));
    if let Some(failed) = &report.failed {
        let elsewhere = match &failed.files {
            Ok(files) => format!("all are in {}", files.folder.join("timeline.txt").display()),
            Err(_) => "the command above has them".to_owned(),
        };
        let limit = Limit { lines: LINES, elsewhere: &elsewhere };
        out.push_str(&format!("\n{}\n", text::story(&failed.told, failed.shrunk, limit, width)));
        match &failed.files {
            Ok(files) => out.push_str(&text::files(files)),
            Err(error) => wrap_into(&mut out, width, INDENT, INNER, &format!("{}.", printable(error))),
        }
    }
    out
}

/// `7 cases in full (1,234 states), 2 in part (1,000 states, 200 walks)`.
fn cases_looked(cases: &[CaseReport]) -> String {
    let (mut full, mut full_states, mut part, mut part_states, mut walks) = (0, 0, 0, 0, 0);
    for case in cases {
        match case.exploration.extent {
            Extent::Exhaustive { unique_states } => {
                full += 1;
                full_states += unique_states as u64;
            }
            Extent::Bounded { unique_states, .. } => {
                part += 1;
                part_states += unique_states as u64;
            }
            Extent::Walked { walks: more, .. } => {
                part += 1;
                walks += more;
            }
        }
    }
    let seen = [(part_states, "state"), (walks, "random path")];
    let seen: Vec<String> = seen.iter().filter(|(n, _)| *n > 0).map(|&(n, noun)| count(n, noun)).collect();
    let full = (full > 0)
        .then(|| format!("{} with every schedule ({})", count(full, "case"), count(full_states, "state")));
    let part = (part > 0).then(|| match full {
        Some(_) => format!("{} in part ({})", thousands(part), seen.join(", ")),
        None => format!("{} in part ({})", count(part, "case"), seen.join(", ")),
    });
    full.into_iter().chain(part).collect::<Vec<_>>().join(", ")
}

/// Before the mistakes.
pub fn mistakes_head(report: &TrialReport, width: usize) -> String {
    let mut out = String::from("\n");
    let text = format!(
        "{} The same {}, told to make mistakes that others made before:",
        paint(STRONG, "Would it say so if something were wrong?"),
        report.name()
    );
    wrap_into(&mut out, width, "", "", &text);
    out
}

/// A mistake, and how it was caught.
pub fn mistake(report: &MistakeReport, width: usize) -> String {
    let mut out = String::from("\n");
    let text = format!("{}  {}", paint(STRONG, report.mutant), report.about);
    wrap_into(&mut out, width, INDENT, INNER, &text);
    let mut say = |text: &str| wrap_into(&mut out, width, INNER, INNER, text);
    let caught = match &report.caught {
        Ok(caught) => caught,
        Err(_) => {
            say(&paint(BAD, "internal error"));
            return out;
        }
    };
    let (runs, time) = (count(caught.runs, "run"), precise(caught.elapsed));
    let Some((small, shrunk)) = &caught.small else {
        say(&format!("{} in {runs}, {time}: there was no time for more.", paint(UNSURE, "Not caught")));
        return out;
    };
    let size = match (&small.scene, shrunk) {
        (Scene::Scenario(ran), Some(shrunk)) => format!(
            " Made {}: {} and {} on {}.",
            match shrunk.end {
                ShrunkEnd::Smallest => "small",
                ShrunkEnd::Time => "smaller, as far as there was time",
                ShrunkEnd::Interrupt => "smaller, until it was interrupted",
            },
            count(ran.size.operations as u64, "operation"),
            count(ran.size.faults as u64, "fault"),
            count(u64::from(ran.size.nodes), "node"),
        ),
        _ => String::new(),
    };
    say(&format!("{} after {runs}, {time}.{size}", paint(GOOD, "Caught")));
    if let Scene::Scenario(ran) = &small.scene {
        for fault in ran.faults.iter().take(FAULTS_MAX) {
            wrap_into(&mut out, width, INNER, "      ", &format!("fault: {}", fault.words));
        }
        if ran.faults.len() > FAULTS_MAX {
            let more = count((ran.faults.len() - FAULTS_MAX) as u64, "more fault");
            wrap_into(&mut out, width, INNER, "      ", &format!("and {more}"));
        }
    }
    contradiction(&mut out, small, width);
    out
}

/// What is wrong, in a few lines.
fn contradiction(out: &mut String, run: &FailedRun, width: usize) {
    if let Some(judgement) = &run.judgement
        && let Ruling::Object { verdict: Verdict::Invalid(witness), .. } = &judgement.ruling
        && witness.core.len() <= DRAWN_MAX
    {
        let which = match witness.core.len() {
            1 => "this operation".to_owned(),
            many => format!("these {many} operations"),
        };
        wrap_into(out, width, INNER, INNER, &format!("Not linearizable: no order explains {which}."));
        out.push_str(&draw(&judgement.history, &witness.core, Some(witness.failed), INNER.len(), width));
        return;
    }
    for sentence in run.sentences.iter().take(SENTENCES_MAX) {
        wrap_into(out, width, "    - ", "      ", &printable(sentence));
    }
}

/// What it all comes to.
pub fn summary(report: &TrialReport, width: usize) -> String {
    let mut out = String::from("\n");
    wrap_into(&mut out, width, "", "", &headline(report));
    section(&mut out, "What was run:", &what_was_run(report), width);
    let mut all: BTreeMap<&'static str, faults::Counted> = BTreeMap::new();
    let mut counts = Counts::default();
    for seeds in report.seeds() {
        counts.add(&seeds.hunt.counts);
        for (kind, &(planned, vacuous)) in &seeds.hunt.faults {
            let sum = all.entry(kind).or_default();
            *sum = (sum.0 + planned, sum.1 + vacuous);
        }
    }
    let (faults, (planned, vacuous)) = faults::total(&all);
    if planned > 0 {
        let lost = format!(
            "{faults} by plan, {} of which changed something. {} lost, {} of nodes, {} caught unwritten.",
            thousands(planned - vacuous),
            count(counts.lost, "message"),
            count(counts.restarts, "restart"),
            count(counts.records_lost, "record"),
        );
        section(&mut out, "What went wrong:", &lost, width);
        out.push_str(&troubles(&all, width));
    }
    section(&mut out, "What was judged:", &what_was_judged(report), width);
    section(&mut out, "What that means:", &what_it_means(report), width);
    out
}

fn section(out: &mut String, heading: &str, text: &str, width: usize) {
    if !text.is_empty() {
        wrap_into(out, width, INDENT, INNER, &format!("{} {text}", paint(STRONG, heading)));
    }
}

fn headline(report: &TrialReport) -> String {
    let name = report.name();
    let caught = report.mistakes.iter().filter(|mistake| mistake.exit() == Exit::Valid).count();
    let (mistakes, time) = (report.mistakes.len(), seconds(report.elapsed));
    let fails = report.worlds.iter().any(|world| exit(world) == Exit::Invalid);
    let bug = report.exit() == Exit::Internal;
    if fails {
        let worlds: Vec<&str> = report
            .worlds
            .iter()
            .filter(|world| exit(world) == Exit::Invalid)
            .map(|world| world.world.name())
            .collect();
        let text = format!("IT IS BROKEN: {name} fails in {}.", worlds.join(" and "));
        return format!("{} ({time})", paint(BAD, &text));
    }
    if bug {
        return paint(BAD, "NO VERDICT: shakedown itself failed.");
    }
    if report.is_interrupted {
        return paint(UNSURE, "Interrupted: nothing wrong so far. This is not all of it.");
    }
    if report.worlds.iter().any(|world| exit(world) != Exit::Valid) {
        return paint(UNSURE, &format!("NO VERDICT on {name}: not everything could be judged."));
    }
    let nothing = paint(GOOD, &format!("Nothing wrong with {name}."));
    match mistakes - caught {
        0 if mistakes == 0 => format!("{nothing} ({time})"),
        0 => {
            let which = match mistakes {
                1 => "The mistake was caught".to_owned(),
                2 => "Both mistakes were caught".to_owned(),
                many => format!("All {many} mistakes were caught"),
            };
            format!("{nothing} {} ({time})", paint(GOOD, &format!("{which}.")))
        }
        missed => {
            let text = format!("But {} not caught: this machine is slow.", were(missed as u64, "mistake"));
            format!("{nothing} {} ({time})", paint(UNSURE, &text))
        }
    }
}

fn were(number: u64, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "was" } else { "were" })
}

fn what_was_run(report: &TrialReport) -> String {
    let mut parts = vec![];
    let cases = report.cases().count();
    if cases > 0 {
        let full = report.cases().filter(|case| case.is_exhaustive()).count();
        parts.push(format!(
            "{}, {} of them with every schedule there is",
            count(cases as u64, "small case"),
            if full == cases { "all".to_owned() } else { full.to_string() }
        ));
    }
    if report.runs() > 0 {
        parts.push(format!(
            "{}, each with other clients, other trouble and other timing, drawn from a number (its seed) that \
             gives the same run again",
            count(report.runs(), "run")
        ));
    }
    if parts.is_empty() { String::new() } else { format!("{}.", parts.join("; ")) }
}

/// A line for each trouble: how often it came, and what it is.
fn troubles(all: &BTreeMap<&'static str, faults::Counted>, width: usize) -> String {
    let groups = faults::groups(all);
    let names = groups.iter().map(|group| group.name().len()).max().unwrap_or(0);
    let numbers: Vec<String> = groups.iter().map(|group| thousands(group.all.0)).collect();
    let digits = numbers.iter().map(String::len).max().unwrap_or(0);
    let mut out = String::new();
    for (group, number) in groups.iter().zip(&numbers) {
        let first = format!("{INNER}{}  {number:>digits$}  ", pad(group.name(), names));
        match group.nemesis.map_or("", Nemesis::about) {
            about if !about.is_empty() && width >= first.len() + BESIDE_MIN => {
                wrap_into(&mut out, width, &first, &" ".repeat(first.len()), about);
            }
            _ => out.push_str(&format!("{}\n", first.trim_end())),
        }
    }
    out
}

fn what_was_judged(report: &TrialReport) -> String {
    let undecided: u64 = report.seeds().map(|report| report.hunt.undecided.len() as u64).sum();
    let failing = report.seeds().filter(|report| report.hunt.failing.is_some()).count() as u64;
    let operations: u64 = report.seeds().map(|report| report.hunt.operations).sum();
    let runs = report.runs();
    if runs == 0 {
        return String::new();
    }
    let all = format!("{} in {}.", count(operations, "operation"), count(runs, "run"));
    if failing > 0 {
        return format!(
            "{all} {} of the runs; those before it passed.",
            match failing {
                1 => "One fails".to_owned(),
                many => format!("{} fail", thousands(many)),
            }
        );
    }
    let proved = match runs - undecided {
        proved if proved == runs => "For each run".to_owned(),
        proved => format!("For {} of them", thousands(proved)),
    };
    format!(
        "{all} {proved} there is one order of its operations in which every answer is right and nobody sees the \
         past (it is linearizable). That order is the proof, and it was checked again by a validator that shares no \
         code with the checker which found it."
    )
}

fn what_it_means(report: &TrialReport) -> String {
    let name = report.name();
    match report.exit() {
        Exit::Invalid => {
            let failed = report.worlds.iter().find_map(|world| world.failed.as_ref());
            let what = match failed.map_or("", |failed| failed.told.kind.as_str()) {
                "refuted" => "Clients can see what one store would never show them.",
                "stalled" => "Clients can wait in vain, after everything has been healed.",
                _ => "A node can break the rules that all else is built on.",
            };
            format!(
                "{what} Above is the smallest run found that shows it; it fails again whenever it is replayed."
            )
        }
        Exit::Internal | Exit::BadInput => String::new(),
        Exit::Valid | Exit::Unknown => {
            let full = report.cases().filter(|case| case.is_exhaustive()).count();
            let but = match full {
                0 => "",
                _ => " Only where every schedule was looked at there is no other.",
            };
            format!(
                "In all that was looked at, clients saw one store that never fails. It does not mean that {name} has \
                 no mistakes: other runs may show some.{but} The longer it runs, the more it says."
            )
        }
    }
}

/// What to do next.
pub fn next(report: &TrialReport, mutant: Option<&str>, program: &str, width: usize) -> String {
    let pattern = last_part(report.pattern.name);
    let replay = report.worlds.iter().find_map(|world| world.failed.as_ref()?.files.as_ref().ok());
    let mut rows: Vec<(String, &str)> = vec![];
    rows.extend(replay.map(|files| (files.command.clone(), "the failure, again")));
    rows.push((format!("{program} run {pattern} --time 10m"), "the same, for ten minutes in each world"));
    rows.extend(mutant.map(|mutant| {
        (format!("{program} run {pattern} --mutant {mutant}"), "a mistake, and all that happened")
    }));
    rows.push((format!("{program} mutants {pattern}"), "every mistake it can make; takes long"));
    rows.push((format!("{program} list"), "what else can be run"));
    rows.push((format!("{program} check FILE"), "judge a history that you have recorded"));
    let longest = rows.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let is_beside = rows.iter().all(|(_, about)| longest + 4 + about.len() <= width);
    let mut out = format!("\n{}\n", paint(STRONG, "Next:"));
    for (command, about) in &rows {
        // Commands are not wrapped: they are there to be copied.
        match is_beside {
            true => out.push_str(&format!("{INDENT}{}  {}\n", pad(command, longest), paint(FAINT, about))),
            false => {
                wrap_into(&mut out, width, INDENT, INNER, &paint(FAINT, &format!("{about}:")));
                out.push_str(&format!("{INNER}{command}\n"));
            }
        }
    }
    let own = "Your own implementation goes through the same from a test of yours: README.md shows how.";
    wrap_into(&mut out, width, INDENT, INDENT, own);
    out
}

/// A name, and room for what stands beside it and below.
fn beside(indent: &str, name: &str) -> (String, String) {
    let first = format!("{indent}{}  ", paint(STRONG, &pad(name, 5)));
    (first, " ".repeat(indent.len() + 7))
}

/// `35 ms`, `2.1 s`.
fn precise(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{} ms", time.as_millis()) } else { seconds(time) }
}
