//! `shakedown generate`: a synthetic history, to measure a checker, to test one, or to try things.

use super::convert::Target;
use super::{Stopped, Streams};
use crate::args::GenerateArgs;
use crate::args::transactions::{KeyLife, TransactionArgs};
use crate::diagnostic::{InputError, suggestion};
use crate::exit::Exit;
use crate::judge::is_bounded_mutex;
use crate::terminal::printable;
use shakedown_workloads::synthetic::transaction::{
    Kind, PlantedAnomaly, Transactional, anomalies_for, kind_name, kind_named,
};
use shakedown_workloads::synthetic::{
    Object, Position, Synthetic, SyntheticError, Violation, violations_for,
};
use std::str::FromStr;

/// Makes the history that `args` describe, and writes it.
pub fn run(args: &GenerateArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let target = Target::new(&args.output, args.output_format.as_deref())?;
    let history = match kind_named(&args.model) {
        Some(kind) => transactional(kind, args)?.generate(),
        None => plan(args)?.generate(),
    };
    let history = history.map_err(refused)?;
    target.write(&history, streams.out)?;
    Ok(Exit::Valid)
}

fn plan(args: &GenerateArgs) -> Result<Synthetic, InputError> {
    let object = Object::from_str(&args.model).map_err(|_| {
        if is_bounded_mutex(&args.model) {
            let message = format!("{}: generate makes it only without a bound", printable(&args.model));
            return InputError::new(message, Some("use --model reentrant-mutex".to_owned()));
        }
        let kinds = [Kind::ListAppend, Kind::Register].map(kind_name);
        InputError::unknown_name("model", &args.model, Object::ALL.map(Object::name).into_iter().chain(kinds))
    })?;
    if args.transactions != TransactionArgs::default() {
        let message = format!("{object} has no transactions, and none of the options for them");
        return Err(InputError::new(message, Some("use --model list-append or rw-register".to_owned())));
    }
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

fn transactional(kind: Kind, args: &GenerateArgs) -> Result<Transactional, InputError> {
    if args.values.is_some() || args.mix.is_some() {
        let message = format!("{} has neither --values nor --mix", kind_name(kind));
        let help = "values of a key are 1, 2, 3, …; use --read-share for the mix";
        return Err(InputError::new(message, Some(help.to_owned())));
    }
    let mut plan = Transactional::new(kind);
    plan.transactions = args.operations;
    plan.sessions = args.clients;
    plan.keys = args.keys.unwrap_or(plan.keys);
    plan.crash_rate = args.crash_rate;
    plan.seed = args.seed;
    plan.anomaly = args.violation.as_deref().map(|name| anomaly_of(kind, name)).transpose()?;
    plan.anomaly_at = match parsed(args.position.as_deref())?.unwrap_or_default() {
        Position::Early => 0.1,
        Position::Middle => 0.5,
        Position::End => 1.0,
    };
    let TransactionArgs { length, read_share, read_modify_write, abort_rate, timestamps, .. } =
        &args.transactions;
    plan.operations_per_transaction = length.clone().unwrap_or(plan.operations_per_transaction);
    plan.read_share = read_share.unwrap_or(plan.read_share);
    plan.read_modify_write = *read_modify_write;
    plan.abort_rate = abort_rate.unwrap_or(plan.abort_rate);
    plan.timestamps = *timestamps;
    let TransactionArgs { level, key_skew, session_skew, key_life, .. } = &args.transactions;
    plan.level = parsed(level.as_deref())?.unwrap_or(plan.level);
    plan.key_skew = parsed(key_skew.as_deref())?.unwrap_or(plan.key_skew);
    plan.session_skew = parsed(session_skew.as_deref())?.unwrap_or(plan.session_skew);
    plan.key_life = key_life.map_or(plan.key_life, |KeyLife(life)| life);
    Ok(plan)
}

/// The anomaly of that name, if keys of that kind can show it.
fn anomaly_of(kind: Kind, name: &str) -> Result<PlantedAnomaly, InputError> {
    name.parse().ok().filter(|anomaly: &PlantedAnomaly| anomaly.fits(kind)).ok_or_else(|| {
        let model = kind_name(kind);
        let help = suggestion(&format!("{model} has"), name, anomalies_for(kind).map(PlantedAnomaly::name));
        InputError::new(format!("{model} has no anomaly {}", printable(name)), Some(help))
    })
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
