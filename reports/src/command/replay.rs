//! `shakedown replay`: what failed, once more, from its file.

use super::{Stopped, Streams};
use crate::args::pattern::ReplayArgs;
use crate::diagnostic::{InputError, Quote};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::judge::guarded;
use crate::names::{mutant_named, pattern_named, refused, world_named};
use crate::panics;
use crate::report::Failure;
use crate::report::run::FailedRun;
use crate::report::run::text::{self, verdict};
use crate::report::run::timeline::Limit;
use crate::terminal::{GOOD, UNSURE, count, paint, printable, wrap_into};
use crate::trial::Trial;
use miette::Report;
use shakedown_workloads::catalogue::Pattern;
use shakedown_workloads::replay::{Replay, ReplayError, VERSION};
use shakedown_workloads::world::WorldName;
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
    let trial =
        Trial { pattern, jobs: 1, shrink_time: Duration::ZERO, interrupt: &interrupt, is_watched: true };
    let done = guarded(|| {
        match world {
            WorldName::Model => look(&trial, &replay, &args.file),
            _ => run_again(&trial, &replay, world, &args.file),
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

fn run_again(trial: &Trial<'_>, replay: &Replay, world: WorldName, file: &Path) -> Result<Done, InputError> {
    let refused = |error| in_file(file, refused(&error));
    let told = trial.pattern.told(replay).map_err(refused)?;
    let ran = trial.pattern.replay(replay, world).map_err(refused)?;
    let operations = count(ran.history().len() as u64, "operation");
    let Some(finding) = ran.finding.clone() else {
        let passed = format!("{operations}, nothing is wrong");
        return Ok(Done { exit: Exit::Valid, passed, failed: None });
    };
    let exit = if finding.is_failure() { Exit::Invalid } else { Exit::Unknown };
    Ok(Done { exit, passed: String::new(), failed: Some(trial.tell(&finding, ran, told)) })
}

fn look(trial: &Trial<'_>, replay: &Replay, file: &Path) -> Result<Done, InputError> {
    let refused = |message: String| {
        let help = "run the case again: `shakedown run PATTERN --world model`";
        in_file(file, InputError::new(message, Some(help.to_owned())))
    };
    let named = replay.case().map_err(refused)?;
    let about = trial.pattern.cases().get(named.case.wrapping_sub(1)).copied();
    if about != Some(named.about.as_str()) {
        let message = format!("case {} is not what it was: {}", named.case, printable(&named.about));
        return Err(refused(message));
    }
    let case = trial
        .look(named.case, replay.mutant.as_deref(), None)
        .map_err(|error| in_file(file, crate::names::refused(&error)))?;
    let failed = case.exploration.violation.as_ref();
    let small = failed.map(|violation| trial.violation(&case, replay.mutant.as_deref(), violation).told);
    Ok(Done { exit: case.exit(), passed: case.exploration.extent.to_string(), failed: small })
}

/// The world to run it in, if that can express it.
fn world(pattern: &dyn Pattern, replay: &Replay, args: &ReplayArgs) -> Result<WorldName, InputError> {
    let world = match &args.world {
        Some(name) => world_named(pattern, name)?,
        None => world_named(pattern, replay.world.name()).map_err(|error| in_file(&args.file, error))?,
    };
    let is_model = |world| world == WorldName::Model;
    if is_model(world) == is_model(replay.world) {
        return Ok(world);
    }
    let (world, first) = (world.name(), replay.world.name());
    let why = match is_model(replay.world) {
        true => "every schedule of a case is no run with a seed",
        false => "one run is not every schedule of a case",
    };
    let message = format!("what failed in the {first} world cannot be run in the {world} world: {why}");
    Err(InputError::new(message, Some(format!("leave --world away to run it in the {first} world"))))
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
            let text = format!("{} {}.", paint(GOOD, "It does not fail any more:"), done.passed);
            wrap_into(&mut out, width, "  ", "  ", &text);
            let was = format!("It failed once: {}", printable(&replay.finding.replace('\n', " ")));
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
    let metadata = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if metadata.len() > BYTES_MAX {
        return Err(refused(format!("{} bytes are too many for a replay file", metadata.len())));
    }
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
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
