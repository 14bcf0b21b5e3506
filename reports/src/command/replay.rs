//! `shakedown replay`: what failed, once more, from its file.

use super::{Stopped, Streams};
use crate::args::pattern::ReplayArgs;
use crate::campaign::{Campaign, Patience};
use crate::diagnostic::{InputError, Quote};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::judge::guarded;
use crate::names::{mutant_named, pattern_named, refused, world_named};
use crate::panics;
use crate::progress::Watched;
use crate::report::Failure;
use crate::report::run::text::{self, verdict};
use crate::report::run::timeline::Limit;
use crate::report::run::{CaseReport, FailedRun};
use crate::terminal::{GOOD, UNSURE, count, paint, printable, wrap_into};
use miette::Report;
use shakedown_workloads::catalogue::Pattern;
use shakedown_workloads::replay::{Replay, ReplayError, VERSION};
use shakedown_workloads::world::WorldName;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// A failure takes kilobytes; what takes more is no replay file.
const BYTES_MAX: u64 = 64 << 20;

/// Runs the failure in the file that `args` name, and tells what happens.
pub fn run(args: &ReplayArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let replay = read(&args.file)?;
    let pattern = pattern_named(&replay.pattern).map_err(|error| in_file(&args.file, error))?;
    if let Some(mutant) = &replay.mutant {
        mutant_named(pattern, mutant).map_err(|error| in_file(&args.file, error))?;
    }
    let world = world(pattern, &replay, args)?;
    panics::keep_quiet();
    panics::show_if_asked();
    let interrupt = Interrupt::listen();
    let campaign = Campaign {
        pattern,
        jobs: 1,
        shrink_time: Duration::ZERO,
        interrupt: &interrupt,
        watched: Watched::WhenLong,
    };
    let done = guarded(|| {
        match world {
            WorldName::Model if replay.world == WorldName::Model => look(&campaign, &replay, &args.file),
            WorldName::Model => search(&campaign, &replay, &args.file),
            _ => run_again(&campaign, &replay, world, &args.file),
        }
        .map_err(|error| Failure::Input(Report::new(error)))
    });
    match done {
        Ok(done) => tell(&replay, world, &done, args, streams),
        Err(Failure::Input(report)) => Err(Stopped::Input(report)),
        Err(Failure::Interrupted) => unreachable!("an interrupt is an end of its own"),
        Err(Failure::Internal(message)) => {
            let text = format!(
                "{}: internal error: {message}\n  This is a bug in shakedown, not in the pattern. Please report it \
                 together with the file.",
                args.file.display()
            );
            let _ = writeln!(streams.err, "{text}");
            Ok(Exit::Internal)
        }
    }
}

/// What came of it.
struct Done {
    exit: Exit,
    /// What was looked at, where nothing fails.
    passed: String,
    /// What fails.
    failed: Option<FailedRun>,
}

fn run_again(
    campaign: &Campaign<'_>,
    replay: &Replay,
    world: WorldName,
    file: &Path,
) -> Result<Done, InputError> {
    let refused = |error| in_file(file, refused(&error));
    let ran = campaign.pattern.replay(replay, world, &campaign.interrupt.flag()).map_err(refused)?;
    let operations = count(ran.history().len() as u64, "operation");
    let Some(finding) = ran.finding.clone() else {
        let passed = format!("{operations}, nothing is wrong");
        return Ok(Done { exit: Exit::Valid, passed, failed: None });
    };
    if !finding.is_failure() {
        return Ok(Done { exit: Exit::Unknown, passed: format!("{operations}; {finding}"), failed: None });
    }
    Ok(Done { exit: Exit::Invalid, passed: String::new(), failed: Some(campaign.tell(&finding, ran)) })
}

fn look(campaign: &Campaign<'_>, replay: &Replay, file: &Path) -> Result<Done, InputError> {
    let refused = |message: String| {
        let help = "run the case again: `shakedown run PATTERN --world model`";
        in_file(file, InputError::new(message, Some(help.to_owned())))
    };
    let named = replay.case().map_err(refused)?;
    let about = campaign.pattern.cases().get(named.case.wrapping_sub(1)).copied();
    if about != Some(named.about.as_str()) {
        let message = format!("case {} is not what it was: {}", named.case, printable(&named.about));
        return Err(refused(message));
    }
    let case = campaign
        .look(named.case, replay.mutant.as_deref(), Patience::Any)
        .map_err(|error| in_file(file, crate::names::refused(&error)))?;
    Ok(looked(campaign, &case))
}

/// What failed with one schedule, with every schedule that there is.
fn search(campaign: &Campaign<'_>, replay: &Replay, file: &Path) -> Result<Done, InputError> {
    let case = campaign.search(replay).map_err(|error| {
        let help = "leave --world away to run it in the world that it failed in";
        in_file(file, InputError::new(error.to_string(), Some(help.to_owned())))
    })?;
    Ok(looked(campaign, &case))
}

fn looked(campaign: &Campaign<'_>, case: &CaseReport) -> Done {
    let violation = case.exploration.violation.as_ref();
    let failed = violation.map(|violation| campaign.tell_violation(violation, case.about));
    let mut passed = text::extent(&case.exploration.extent);
    for never in case.exploration.unseen() {
        passed.push_str(&format!("; it never happened: {never}"));
    }
    Done { exit: case.exit(), passed, failed }
}

/// The world to run it in, if that can express it.
fn world(pattern: &dyn Pattern, replay: &Replay, args: &ReplayArgs) -> Result<WorldName, InputError> {
    let world = match &args.world {
        Some(name) => world_named(pattern, name)?,
        None => world_named(pattern, replay.world.name()).map_err(|error| in_file(&args.file, error))?,
    };
    if replay.world != WorldName::Model || world == WorldName::Model {
        return Ok(world);
    }
    let message = format!(
        "a case of the model world has no seed and no times to run it with in the {} world",
        world.name()
    );
    Err(InputError::new(message, Some("leave --world away to look at the case again".to_owned())))
}

fn tell(
    replay: &Replay,
    world: WorldName,
    done: &Done,
    args: &ReplayArgs,
    streams: &mut Streams<'_>,
) -> Result<Exit, Stopped> {
    let width = streams.width;
    let mut out = String::new();
    let line = verdict(&replay.pattern, world.name(), done.exit).expect("it ended with a verdict");
    out.push_str(&line);
    out.push('\n');
    if let Some(mutant) = &replay.mutant {
        wrap_into(&mut out, width, "  ", "  ", &format!("With the mutant {mutant}."));
    }
    match &done.failed {
        Some(run) => {
            if run.kind != replay.kind {
                let text = format!(
                    "{} the file tells of another kind of failure: {}",
                    paint(UNSURE, "It fails otherwise than it did:"),
                    printable(&replay.finding)
                );
                wrap_into(&mut out, width, "  ", "  ", &text);
            }
            let limit = if args.full { Limit::none() } else { Limit::usual("--full shows them") };
            out.push_str(&text::story(run, None, limit, width));
        }
        None if done.exit == Exit::Unknown => {
            let text = format!("{} {}.", paint(UNSURE, "No verdict:"), done.passed);
            wrap_into(&mut out, width, "  ", "  ", &text);
        }
        None => {
            let text = match world == replay.world {
                true => "It does not fail any more:".to_owned(),
                // Other chance, or none: that says nothing of the world that it failed in.
                false => format!("It does not fail in the {} world:", world.name()),
            };
            let text = format!("{} {}.", paint(GOOD, &text), done.passed);
            wrap_into(&mut out, width, "  ", "  ", &text);
            let (first, was) = (replay.world.name(), replay.finding.replace('\n', " "));
            let was = format!("It failed in the {first} world: {}", printable(&was));
            wrap_into(&mut out, width, "  ", "  ", &was);
        }
    }
    streams.out.write_all(out.as_bytes())?;
    streams.out.flush()?;
    Ok(done.exit)
}

fn read(path: &Path) -> Result<Replay, InputError> {
    let name = printable(&path.display().to_string()).into_owned();
    let help = || Some("expected a replay.json as `shakedown run` writes it when something fails".to_owned());
    let refused = |what: String| InputError::new(format!("{name}: {what}"), help());
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    let mut bytes = vec![];
    // Not by what the folder says of its length: a device has none.
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| refused(error.to_string()))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(refused(format!("more than {BYTES_MAX} bytes are too many for a replay file")));
    }
    let text = String::from_utf8(bytes).map_err(|_| refused("it is not text".to_owned()))?;
    Replay::parse(&text).map_err(|error| match error {
        ReplayError::Damaged { line, column, what } => {
            let quoted: String =
                text.lines().nth(line.saturating_sub(1)).unwrap_or_default().chars().take(300).collect();
            let quoted = printable(&quoted).into_owned();
            let at = quoted.char_indices().nth(column.saturating_sub(1)).map_or(quoted.len(), |(at, _)| at);
            let quote = Quote {
                name: name.clone(),
                line: line.max(1),
                column: column.max(1),
                span: at..quoted.len(),
                text: quoted,
                label: "here".to_owned(),
            };
            InputError {
                message: format!("{name}:{line}:{column}: {}", printable(&what)),
                help: help(),
                quote: Some(Box::new(quote)),
            }
        }
        ReplayError::Version { found } => InputError::new(
            format!(
                "{name}: the file is of version {found}, this is a shakedown that replays version {VERSION}"
            ),
            Some("run the seed again, or use the version that wrote the file".to_owned()),
        ),
    })
}

/// An error about what a file says, with its name.
fn in_file(path: &Path, error: InputError) -> InputError {
    let message = format!("{}: {}", printable(&path.display().to_string()), error.message);
    InputError { message, ..error }
}
