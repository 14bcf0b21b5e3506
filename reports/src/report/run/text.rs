//! What came of a run, for people.

use super::faults;
use super::timeline::{self, Limit, brief};
use super::{
    CaseReport, Culprit, End, FailedRun, Files, Looked, Scenario, Scene, SeedsReport, Shrunk, ShrunkEnd,
    WorldReport,
};
use crate::exit::Exit;
use crate::report::text::explanation as judgement_in_full;
use crate::terminal::{BAD, GOOD, STRONG, UNSURE, count, paint, printable, thousands, wrap_into};
use shakedown_workloads::run::{Faulted, Size};
use shakedown_workloads::world::model::{Extent, Stop};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const INDENT: &str = "  ";
const INNER: &str = "    ";
/// Seeds that are named one by one.
const SEEDS_NAMED_MAX: usize = 20;
/// Reasons why seeds could not be judged that are given one by one.
const REASONS_MAX: usize = 5;

/// `pattern<TAB>world<TAB>true|false|unknown` without a line end; `None` if there is no verdict.
pub fn verdict_line(report: &WorldReport) -> Option<String> {
    verdict(report.pattern, report.world.name(), report.exit())
}

/// The same, of what is not reported yet.
pub fn verdict(pattern: &str, world: &str, exit: Exit) -> Option<String> {
    let (word, style) = match exit {
        Exit::Valid => ("true", GOOD),
        Exit::Invalid => ("false", BAD),
        Exit::Unknown => ("unknown", UNSURE),
        Exit::BadInput | Exit::Internal => return None,
    };
    Some(format!("{pattern}\t{world}\t{}", paint(style, word)))
}

/// What fails, and what to type to see it again: told before anything else is done about it.
pub fn announcement(culprit: Culprit, command: &str) -> String {
    let what = match culprit {
        Culprit::Seed(seed) => format!("Seed {seed} fails."),
        Culprit::Case(case) => format!("Case {case} fails."),
    };
    // Not wrapped: it is there to be copied.
    format!("{INDENT}{} To run it again:\n{INNER}{command}\n", paint(BAD, &what))
}

/// What was done and found; of a failure, all but the announcement and the files.
pub fn explanation(report: &WorldReport, width: usize) -> String {
    let mut out = String::new();
    if let Some(mutant) = &report.mutant {
        wrap_into(&mut out, width, INDENT, INDENT, &format!("With the mutant {mutant}."));
    }
    match &report.result {
        Err(_) => {}
        Ok(Looked::Seeds(seeds)) => seeds_in_full(&mut out, seeds, width),
        Ok(Looked::Cases { cases, left }) => {
            if cases.is_empty() {
                let text = format!("{} it has no small cases.", paint(UNSURE, "Nothing to look at:"));
                wrap_into(&mut out, width, INDENT, INDENT, &text);
            }
            cases.iter().for_each(|case| case_in_full(&mut out, case, width));
            if *left > 0 {
                let text = format!("{} not looked at.", count(*left as u64, "more case"));
                wrap_into(&mut out, width, INDENT, INDENT, &text);
            }
        }
    }
    if let Some(failed) = &report.failed {
        out.push('\n');
        let elsewhere = match &failed.files {
            Ok(files) => format!("all are in {}", files.folder.join("timeline.txt").display()),
            Err(_) => "run it again with another --output to have them in a file".to_owned(),
        };
        out.push_str(&story(&failed.told, failed.shrunk, Limit::usual(&elsewhere), width));
    }
    out
}

/// Where a failure was written, or why not.
pub fn files(files: &Files) -> String {
    let folder = files.folder.display();
    format!(
        "{INDENT}Written to {folder}: replay.json, history.jsonl, timeline.txt. To replay it:\n{INNER}{}\n",
        files.command
    )
}

/// What is wrong with a run, what it was, and what happened in it.
pub fn story(run: &FailedRun, shrunk: Option<Shrunk>, limit: Limit<'_>, width: usize) -> String {
    let mut out = String::new();
    match &run.judgement {
        Some(judgement) => out.push_str(&judgement_in_full(judgement, false, width)),
        None => {
            for sentence in &run.sentences {
                wrap_into(&mut out, width, "  - ", INNER, &printable(sentence));
            }
        }
    }
    out.push('\n');
    match &run.scene {
        Scene::Scenario(ran) => scenario(&mut out, ran, shrunk, limit, width),
        Scene::Case(about) => wrap_into(&mut out, width, INDENT, INDENT, &format!("The case: {about}.")),
    }
    let happened = paint(STRONG, "What happened:");
    writeln!(out, "\n{INDENT}{happened}").expect("writing to a String cannot fail");
    out.push_str(&timeline::draw(&run.happened, limit, INNER, width));
    out
}

/// `2.1 s`.
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 9.95 => format!("{short:.1} s"),
        long => format!("{long:.0} s"),
    }
}

/// How much of a case was looked at.
pub fn extent(extent: &Extent) -> String {
    let states = |states: usize| count(states as u64, "unique state");
    match extent {
        Extent::Exhaustive { unique_states } => format!("exhaustive: {}", states(*unique_states)),
        Extent::Bounded { unique_states, depth, elapsed, stop } => {
            let reason = match stop {
                Stop::States => "limit of states",
                Stop::Depth => "limit of depth",
                Stop::Time => "limit of time",
                Stop::Violation => "violation",
                Stop::Interrupted => "interrupted",
            };
            let (states, elapsed) = (states(*unique_states), seconds(*elapsed));
            format!("bounded: stopped at {states}, depth {depth}, after {elapsed} ({reason})")
        }
        Extent::Walked { walks, steps_max, seed } => {
            format!("bounded: {} of at most {steps_max} steps, seed {seed}", count(*walks, "walk"))
        }
    }
}

fn case_in_full(out: &mut String, case: &CaseReport, width: usize) {
    let extent = extent(&case.exploration.extent);
    let end = match (case.exit(), &case.exploration.extent) {
        (Exit::Valid, _) => extent,
        (Exit::Invalid, Extent::Bounded { unique_states, depth, .. }) => {
            let found = paint(BAD, "a violation");
            format!("{found} after {}, {depth} deep", count(*unique_states as u64, "unique state"))
        }
        (Exit::Invalid, _) => format!("{extent}; {} in the last", paint(BAD, "a violation")),
        (_, Extent::Bounded { stop: Stop::Interrupted, .. }) => format!("{extent}; nothing was wrong so far"),
        _ if case.is_interrupted => {
            format!("{extent}; {}, nothing was wrong so far", paint(UNSURE, "interrupted"))
        }
        _ => format!("{extent}; {}", paint(UNSURE, "no verdict")),
    };
    let first = format!("{INDENT}{}. ", case.number);
    let rest = " ".repeat(first.len());
    let text = format!("{} ({end}; {})", case.about, seconds(case.elapsed));
    wrap_into(out, width, &first, &rest, &text);
    if case.exploration.violation.is_none() {
        for never in case.exploration.unseen() {
            let text = format!("{} it never happened: {never}.", paint(UNSURE, "Vacuous:"));
            wrap_into(out, width, &rest, &rest, &text);
        }
    }
    let undecided = case.exploration.violation.as_ref().filter(|_| case.exit() == Exit::Unknown);
    for sentence in undecided.iter().flat_map(|violation| violation.sentences()) {
        wrap_into(out, width, &rest, &rest, &printable(&sentence));
    }
}

fn seeds_in_full(out: &mut String, report: &SeedsReport, width: usize) {
    let mut say = |text: &str| wrap_into(out, width, INDENT, INDENT, text);
    let hunt = &report.hunt;
    let undecided = hunt.undecided.len() as u64;
    let judged = match hunt.seeds - undecided {
        _ if undecided == 0 => "nothing is wrong".to_owned(),
        0 => paint(UNSURE, "no run could be judged"),
        judged => format!("nothing is wrong in the {} that could be judged", thousands(judged)),
    };
    let end = match report.end {
        End::Seeds => judged,
        End::Time if hunt.seeds == 0 => "the time was over before one had ended".to_owned(),
        End::Time => format!("the time is over, and {judged}"),
        End::Failure => "a seed fails".to_owned(),
        End::Interrupt if hunt.seeds == 0 => format!("{} before one had ended", paint(UNSURE, "interrupted")),
        End::Interrupt => format!("{}, nothing was wrong so far", paint(UNSURE, "interrupted")),
    };
    let range = match hunt.seeds {
        0 => String::new(),
        1 => format!(" ({})", report.asked.start),
        seeds => format!(" ({} to {})", report.asked.start, report.asked.start + seeds - 1),
    };
    say(&format!("{}{range} in {}: {end}.", count(hunt.seeds, "seed"), seconds(report.elapsed)));
    // Where something fails, that is what there is to tell.
    if hunt.seeds == 0 || report.end == End::Failure {
        return;
    }
    let counts = &hunt.counts;
    let mut text = count(hunt.operations, "operation");
    match report.is_vacuous() {
        true => write!(
            text,
            "; {} no answer showed what another operation did, so that nothing is wrong says nothing.",
            paint(UNSURE, "vacuous:")
        ),
        false => write!(
            text,
            "; {} showed what another operation did, in {} of the seeds.",
            count(counts.seen, "answer"),
            thousands(hunt.seeds - hunt.vacuous)
        ),
    }
    .expect("writing to a String cannot fail");
    say(&text);
    say(&format!(
        "{} delivered, {} lost; {}, {} caught unwritten, {} repaired.",
        count(counts.delivered, "message"),
        thousands(counts.lost),
        count(counts.restarts, "restart"),
        count(counts.records_lost, "record"),
        thousands(counts.records_repaired),
    ));
    if counts.disks_refused > 0 {
        say(&format!("{} refused to start from a damaged disk.", count(counts.disks_refused, "node")));
    }
    match &report.plan {
        None => faults_in_full(out, report, width),
        Some(plan) if plan.is_empty() => say("No faults."),
        Some(plan) => {
            for fault in plan {
                let text = format!("fault: {} ({})", fault.words, effects(fault));
                wrap_into(out, width, INDENT, INNER, &text);
            }
        }
    }
    let mut say = |text: &str| wrap_into(out, width, INDENT, INDENT, text);
    if !hunt.undecided.is_empty() {
        let mut reasons: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (seed, why) in &hunt.undecided {
            reasons.entry(why).or_default().push(*seed);
        }
        for (why, seeds) in reasons.into_iter().take(REASONS_MAX) {
            let named: Vec<String> = seeds.iter().take(SEEDS_NAMED_MAX).map(ToString::to_string).collect();
            let more = if seeds.len() > named.len() { ", …" } else { "" };
            let many = count(seeds.len() as u64, "seed");
            let what = paint(UNSURE, "Could not be judged:");
            say(&format!("{what} {many} ({}{more}): {}.", named.join(", "), printable(why)));
        }
    }
}

/// Whether a fault took effect.
fn effects(fault: &Faulted) -> String {
    match fault.effects {
        0 => paint(UNSURE, "changed nothing"),
        1 => "changed something once".to_owned(),
        effects => format!("changed something {} times", thousands(effects)),
    }
}

/// All faults, and how many of each kind changed nothing.
fn faults_in_full(out: &mut String, report: &SeedsReport, width: usize) {
    let (faults, (all, vacuous)) = faults::total(&report.hunt.faults);
    if all == 0 {
        return wrap_into(out, width, INDENT, INDENT, "No faults.");
    }
    let which = match vacuous {
        0 => "all of which changed something".to_owned(),
        _ if vacuous == all => paint(UNSURE, "none of which changed anything"),
        _ => format!("{} of which changed nothing (in brackets)", thousands(vacuous)),
    };
    wrap_into(out, width, INDENT, INDENT, &format!("{faults}, {which}:"));
    out.push_str(&faults::table(&report.hunt.faults, INNER, width));
}

fn scenario(out: &mut String, ran: &Scenario, shrunk: Option<Shrunk>, limit: Limit<'_>, width: usize) {
    let Size { nodes, clients, operations, faults, length_ms } = ran.size;
    let size = format!(
        "{}, {}, {}, {}, in {length_ms} ms.",
        count(u64::from(nodes), "node"),
        count(clients as u64, "client"),
        count(operations as u64, "operation"),
        count(faults as u64, "fault"),
    );
    let text = match shrunk {
        None => format!("It has {size}"),
        Some(Shrunk { runs, end }) => {
            let runs = count(runs, "run");
            match end {
                ShrunkEnd::Smallest => {
                    format!("Made small in {runs}, until nothing more could be removed: {size}")
                }
                ShrunkEnd::Time => format!("Made smaller in {runs}, as far as there was time: {size}"),
                ShrunkEnd::Interrupt => format!("Made smaller in {runs}, until it was interrupted: {size}"),
            }
        }
    };
    wrap_into(out, width, INDENT, INDENT, &text);
    let shown = limit.lines / 2;
    for line in ran.told.iter().take(shown) {
        let mut text = brief(line);
        // What became of a fault is not part of the scenario.
        let is_told = |fault: &&Faulted| line.strip_prefix("fault: ") == Some(&fault.words);
        if let Some(fault) = ran.faults.iter().find(is_told) {
            write!(text, " ({})", effects(fault)).expect("writing to a String cannot fail");
        }
        wrap_into(out, width, INNER, "      ", &text);
    }
    limit.remark(out, ran.told.len().saturating_sub(shown), "more line", INNER, width);
}
