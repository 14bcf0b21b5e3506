//! The `shakedown` command.

use clap::Parser;
use clap::error::ErrorKind;
use shakedown::args::Cli;
use shakedown::command;
use shakedown::exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => command::run(cli),
        Err(error) => {
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
