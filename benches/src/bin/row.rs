//! `row NAME JUDGE SECONDS MEGABYTES`: judges one row of the table and prints how that went.

use shakedown_benches::probe::{Budget, serve};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [row, judge, seconds, megabytes] => run(row, judge, seconds, megabytes),
        _ => Err("usage: row NAME shakedown|porcupine SECONDS MEGABYTES".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(254)
        }
    }
}

fn run(row: &str, judge: &str, seconds: &str, megabytes: &str) -> Result<(), String> {
    let number = |text: &str| text.parse::<f64>().map_err(|error| format!("{text:?}: {error}"));
    let limit = Duration::try_from_secs_f64(number(seconds)?).map_err(|error| error.to_string())?;
    serve(row, judge.parse()?, Budget { limit, megabytes: number(megabytes)? })
}
