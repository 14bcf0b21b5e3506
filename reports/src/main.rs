//! The `shakedown` command.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};
use shakedown::args::Cli;
use shakedown::command;
use shakedown::exit::Exit;
use shakedown::terminal;
use shakedown_checkers::format::Format;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match parse() {
        Ok(cli) => command::run(cli),
        Err(mut error) => {
            suggest_check(&mut error);
            suggest_input_format(&mut error);
            // Nobody listening is no reason to fail otherwise.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Valid,
                _ => Exit::BadInput,
            }
        }
    };
    ExitCode::from(exit)
}

/// The arguments; help is as wide as everything else.
fn parse() -> Result<Cli, clap::Error> {
    let matches = Cli::command().term_width(terminal::width()).try_get_matches()?;
    Cli::from_arg_matches(&matches)
}

/// elle-cli's `--format` is what the file is in.
fn suggest_input_format(error: &mut clap::Error) {
    let is_edn =
        matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value == "edn");
    if error.kind() == ErrorKind::InvalidValue && is_edn {
        let tip = StyledStr::from("elle-cli's --format is --input-format here; --format is what to print");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
}

/// Where a file stands in the place of a command, tells of `check`.
fn suggest_check(error: &mut clap::Error) {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return };
    let path = Path::new(word);
    if path.is_file() || Format::of_path(path).is_some() {
        let tip = StyledStr::from(format!("to judge a history: shakedown check {word}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
}
