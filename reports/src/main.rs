//! The `shakedown` command.

use clap::Parser;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use shakedown::args::Cli;
use shakedown::command;
use shakedown::exit::Exit;
use shakedown_checkers::format::Format;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => command::run(cli),
        Err(mut error) => {
            suggest_check(&mut error);
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
