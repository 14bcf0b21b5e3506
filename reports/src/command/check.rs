//! `shakedown check`: judges files, one after the other, and reports as it goes.

use super::{Stopped, Streams};
use crate::args::{CheckArgs, OutputFormat, UnwrittenReads};
use crate::diagnostic::InputError;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::judge::{self, Demand, Question};
use crate::progress::Watcher;
use crate::report::junit::JunitReport;
use crate::report::{Failure, FileReport, Tally, json, text};
use shakedown_checkers::datatype::registry::DataOptions;
use shakedown_checkers::format::Format;
use shakedown_checkers::options::{Options, Progress};
use shakedown_checkers::transaction::KeyAssumptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Judges every file that `args` name. The worst of them decides the exit code.
pub fn run(args: &CheckArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    args.elle.check()?;
    let question = question(args)?;
    let idle = args.elle.idle();
    if !idle.is_empty() && !args.quiet {
        let _ = writeln!(
            streams.err,
            "note: without effect here, as in elle-cli's verdicts: {}",
            idle.join(", ")
        );
    }
    let interrupt = Interrupt::listen();
    let mut tally = Tally::default();
    let mut explained = false;
    let mut junit = JunitReport::new(args.certify);
    for (done, path) in args.files.iter().enumerate() {
        if interrupt.is_asked() {
            tally.skipped = (args.files.len() - done) as u64;
            tally.worst = tally.worst.max(Exit::Unknown);
            break;
        }
        let report = judge_file(path, &question, args, &interrupt);
        tally.add(report.exit());
        interrupt.ends_with(tally.worst);
        match print(&report, explained, args, &mut junit, streams) {
            // Nobody reads on; the exit code tells of the files judged so far.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(tally.worst),
            printed => printed?,
        }
        explained |= report.result.is_ok() && explains(args);
    }
    match end(args, &tally, explained, junit, streams) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(tally.worst),
        ended => ended.map(|()| tally.worst).map_err(Stopped::from),
    }
}

/// Whether verdicts are followed by their explanations.
fn explains(args: &CheckArgs) -> bool {
    args.format == OutputFormat::Text && !args.quiet
}

fn question(args: &CheckArgs) -> Result<Question, InputError> {
    if args.files.iter().filter(|path| **path == Path::new("-")).count() > 1 {
        let help = "standard input is read to its end the first time; write it to a file to judge it twice";
        return Err(InputError::new("`-` is given more than once", Some(help.to_owned())));
    }
    let mut options =
        Options { time_limit: args.time_limit, memory_limit_bytes: args.memory_limit, ..Options::default() };
    if let Some(threads) = args.threads {
        options.threads = usize::from(threads);
    }
    Ok(Question {
        model: args.model.as_deref().filter(|name| *name != "auto").map(judge::model_named).transpose()?,
        initial: args.initial.clone(),
        input_format: args.input_format.as_deref().map(judge::format_named).transpose()?,
        demands: args.consistency.iter().map(|name| Demand::named(name)).collect::<Result<_, _>>()?,
        anomalies: judge::anomalies_named(&args.anomalies)?,
        assume: KeyAssumptions { sequential: args.sequential_keys, linearizable: args.linearizable_keys },
        forbid_unwritten: args.unwritten_reads.map(|reads| reads == UnwrittenReads::Forbid),
        timestamps: args.timestamps,
        data: DataOptions {
            group_size: args.group_size.map(usize::from),
            total_amount: args.total_amount,
            allow_negative_balances: args.allow_negative_balances,
            staleness_max_versions: args.staleness_max_versions,
            staleness_max_ms: args.staleness_max_ms,
            ..DataOptions::default()
        },
        options,
        certify: args.certify,
    })
}

fn judge_file(path: &Path, question: &Question, args: &CheckArgs, interrupt: &Interrupt) -> FileReport {
    let begin = Instant::now();
    let shown = path.display().to_string();
    let progress = Arc::new(Progress::default());
    let mut question = question.clone();
    question.options.progress = Some(Arc::clone(&progress));
    question.options.cancel = Some(interrupt.flag());
    let watcher = (!args.quiet).then(|| Watcher::start(&shown, progress));
    let result = judge::guarded(|| {
        let read = judge::read(path, question.input_format, interrupt)?;
        judge::judge(read, &shown, Some(path), &question)
    });
    drop(watcher);
    FileReport { path: shown, result, elapsed: begin.elapsed() }
}

/// Prints one report; `explained` tells that another one's explanation stands above it.
fn print(
    report: &FileReport,
    explained: bool,
    args: &CheckArgs,
    junit: &mut JunitReport,
    streams: &mut Streams<'_>,
) -> io::Result<()> {
    match &report.result {
        Err(Failure::Input(input)) => streams.complain(input),
        Err(Failure::Internal(message)) => {
            let _ = writeln!(streams.err, "{}", internal_error(&report.path, message));
        }
        Err(Failure::Interrupted) => {
            let _ = writeln!(streams.err, "{}: interrupted while reading; nothing was judged", report.path);
        }
        Ok(judgement) => {
            if let Some(claim) = judgement.wrong_claim() {
                let message = format!("the independent validator refuses the proof of the verdict: {claim}");
                let _ = writeln!(streams.err, "{}", internal_error(&report.path, &message));
            }
        }
    }
    match args.format {
        OutputFormat::Junit => junit.add(report),
        OutputFormat::Json => writeln!(streams.out, "{}", json::render(report, args.certify))?,
        OutputFormat::Text => {
            if let Some(line) = text::verdict_line(report) {
                let gap = if explained { "\n" } else { "" };
                writeln!(streams.out, "{gap}{line}")?;
            }
            if let (Ok(judgement), true) = (&report.result, explains(args)) {
                write!(streams.out, "{}", text::explanation(judgement, args.certify, streams.width))?;
            }
        }
    }
    streams.out.flush()
}

/// What a user is told of a bug of ours.
fn internal_error(path: &str, message: &str) -> String {
    format!(
        "{path}: internal error: {message}\n  This is a bug in shakedown, not in the history. Please report it \
         together with the file."
    )
}

fn end(
    args: &CheckArgs,
    tally: &Tally,
    explained: bool,
    junit: JunitReport,
    streams: &mut Streams<'_>,
) -> io::Result<()> {
    match args.format {
        OutputFormat::Junit => write!(streams.out, "{}", junit.finish())?,
        OutputFormat::Text if args.files.len() > 1 && !args.quiet => {
            let gap = if explained { "\n" } else { "" };
            writeln!(streams.out, "{gap}{}", text::summary(tally))?;
        }
        OutputFormat::Text | OutputFormat::Json => {}
    }
    streams.out.flush()
}

/// Formats by name, for messages and help.
pub(crate) fn format_names() -> impl Iterator<Item = &'static str> {
    Format::ALL.into_iter().map(Format::name)
}
