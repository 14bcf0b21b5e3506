//! `shakedown generate`: a synthetic history, to measure a checker, to test one, or to try things.

use super::convert::Target;
use super::{Stopped, Streams};
use crate::args::GenerateArgs;
use crate::diagnostic::{InputError, suggestion};
use crate::exit::Exit;
use crate::judge::is_bounded_mutex;
use crate::terminal::printable;
use shakedown_workloads::synthetic::{Object, Synthetic, SyntheticError, Violation, violations_for};
use std::str::FromStr;

/// Makes the history that `args` describe, and writes it.
pub fn run(args: &GenerateArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let target = Target::new(&args.output, args.output_format.as_deref())?;
    let history = plan(args)?.generate().map_err(refused)?;
    target.write(&history, streams.out)?;
    Ok(Exit::Valid)
}

fn plan(args: &GenerateArgs) -> Result<Synthetic, InputError> {
    let object = Object::from_str(&args.model).map_err(|_| {
        if is_bounded_mutex(&args.model) {
            let message = format!("{}: generate makes it only without a bound", printable(&args.model));
            return InputError::new(message, Some("use --model reentrant-mutex".to_owned()));
        }
        InputError::unknown_name("model", &args.model, Object::ALL.map(Object::name))
    })?;
    let violation = args.violation.as_deref().map(|name| violation_of(object, name)).transpose()?;
    let mut plan = Synthetic::new(object);
    plan.operations = args.operations;
    plan.clients = args.clients;
    plan.keys = args.keys.unwrap_or(plan.keys);
    plan.crash_rate = args.crash_rate;
    plan.violation = violation;
    plan.position = parsed(args.position.as_deref())?.unwrap_or_default();
    plan.values = parsed(args.values.as_deref())?;
    plan.mix = parsed(args.mix.as_deref())?;
    plan.seed = args.seed;
    Ok(plan)
}

/// The violation of that name, if histories of `object` have it.
fn violation_of(object: Object, name: &str) -> Result<Violation, InputError> {
    let kinds = violations_for(object);
    kinds.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
        let help = suggestion(&format!("{object} has"), name, kinds.iter().copied().map(Violation::name));
        InputError::new(format!("{object} has no violation {}", printable(name)), Some(help))
    })
}

fn parsed<T: FromStr<Err = SyntheticError>>(text: Option<&str>) -> Result<Option<T>, InputError> {
    text.map(str::parse).transpose().map_err(refused)
}

fn refused(error: SyntheticError) -> InputError {
    InputError::new(error.to_string(), Some("see `shakedown generate --help`".to_owned()))
}
