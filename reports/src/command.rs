//! What each command does. A command gets its arguments and streams and returns an [`Exit`].

pub mod check;
pub mod convert;
pub mod explore;
pub mod generate;
pub mod incident;
pub mod list;
pub mod models;
pub mod mutants;
pub mod replay;
pub mod run;
pub mod trial;

use crate::again;
use crate::args::{Cli, Command};
use crate::diagnostic::{InputError, render, stderr_is_fancy};
use crate::exit::Exit;
use crate::terminal;
use miette::Report;
use std::io::{self, Write};

/// The streams that a command writes to, and how wide its text may be.
pub struct Streams<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Errors and remarks.
    pub err: &'a mut dyn Write,
    /// Columns of text.
    pub width: usize,
    /// Whether `err` takes colour and line drawing.
    pub fancy: bool,
    /// How the program was called.
    pub program: &'a str,
}

impl Streams<'_> {
    /// Shows an error of the user's input. Nobody listening is no reason to fail.
    pub fn complain(&mut self, report: &Report) {
        let _ = write!(self.err, "{}", render(report, self.fancy, self.width));
    }
}

/// Results that are printed as they come, by commands that have more to do than to print: that nobody
/// reads them any more, or that the disk is full, does not keep them from ending with what they found.
struct Page<'a, 's> {
    streams: &'a mut Streams<'s>,
    /// Why the output could not be written.
    broken: Option<io::Error>,
}

impl<'a, 's> Page<'a, 's> {
    fn new(streams: &'a mut Streams<'s>) -> Page<'a, 's> {
        Page { streams, broken: None }
    }

    /// To standard output, as long as that works.
    fn print(&mut self, text: &str) {
        if self.broken.is_none() {
            let printed = self.streams.out.write_all(text.as_bytes()).and_then(|()| self.streams.out.flush());
            self.broken = printed.err();
        }
    }

    /// To standard error. Nobody listening is no reason to fail.
    fn remark(&mut self, text: &str) {
        let _ = writeln!(self.streams.err, "{text}");
    }

    /// Whether whoever read it has gone.
    fn is_left(&self) -> bool {
        self.broken.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// How the command ends if what it did ended in `worst`.
    fn end(self, worst: Exit) -> Exit {
        match self.broken {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let _ = writeln!(self.streams.err, "cannot write the output: {error}");
                // That a run failed is the news.
                if worst == Exit::Invalid { worst } else { worst.max(Exit::BadInput) }
            }
            _ => worst,
        }
    }
}

/// Why a command stopped early.
#[derive(Debug)]
pub enum Stopped {
    /// Bad arguments or bad input.
    Input(Report),
    /// Nobody reads the output any more, or it cannot be written.
    Output(io::Error),
}

impl From<InputError> for Stopped {
    fn from(error: InputError) -> Stopped {
        Stopped::Input(Report::new(error))
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Stopped {
        Stopped::Output(error)
    }
}

/// Runs the command that `cli` names, on the process's own streams.
pub fn run(cli: Cli) -> Exit {
    let mut out = anstream::stdout();
    let mut err = anstream::stderr();
    let (width, fancy, program) = (terminal::width(), stderr_is_fancy(), again::program());
    let mut streams = Streams { out: &mut out, err: &mut err, width, fancy, program: &program };
    let result = match &cli.command {
        None => trial::run(&mut streams),
        Some(Command::List(args)) => list::run(args, &mut streams),
        Some(Command::Run(args)) => run::run(args, &mut streams),
        Some(Command::Replay(args)) => replay::run(args, &mut streams),
        Some(Command::Explore(args)) => explore::run(args, &mut streams),
        Some(Command::Mutants(args)) => mutants::run(args, &mut streams),
        Some(Command::Incident(args)) => incident::run(args, &mut streams),
        Some(Command::Check(args)) => check::run(args, &mut streams),
        Some(Command::Models(args)) => models::run(args, &mut streams),
        Some(Command::Convert(args)) => convert::run(args, &mut streams),
        Some(Command::Generate(args)) => generate::run(args, &mut streams),
    };
    match result {
        Ok(exit) => exit,
        Err(Stopped::Input(report)) => {
            streams.complain(&report);
            Exit::BadInput
        }
        // `shakedown models | head` is not an error.
        Err(Stopped::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Valid,
        Err(Stopped::Output(error)) => {
            let _ = writeln!(streams.err, "cannot write the output: {error}");
            Exit::BadInput
        }
    }
}
