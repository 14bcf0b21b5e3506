//! Judges transactions by the timestamps that the system gave them.

use super::{Demand, Question, refused};
use crate::report::Failure;
use crate::report::timestamps::Stamped;
use shakedown_checkers::history::History;
use shakedown_checkers::model::ModelError;
use shakedown_checkers::transaction::complete::{Model, Order};
use shakedown_checkers::transaction::cycle::Variant;
use shakedown_checkers::transaction::level::{Base, Level};
use shakedown_checkers::transaction::{self, Kind, timestamps};

/// The verdict; the inner error is about an operation of the history.
pub(super) fn judge(
    kind: Kind,
    history: &History,
    shown: &str,
    question: &Question,
) -> Result<Result<Stamped, ModelError>, Failure> {
    let level = level(&question.demands)?;
    if question.initial.is_some() {
        let message = "transactions take no initial value: every key starts as nil, or empty".to_owned();
        return Err(refused(message, "leave --initial away"));
    }
    if kind == Kind::ListAppend && question.forbid_unwritten == Some(false) {
        let message =
            "by timestamps a list must show just what was appended, nothing from outside".to_owned();
        return Err(refused(message, "leave --unwritten-reads ignore away"));
    }
    if !history.has_timestamps() {
        let message = format!("{shown}: no transaction has the timestamps that --timestamps judges by");
        let help = "expected start-ts and commit-ts on each ok event, :start-ts and :commit-ts in EDN, as the \
                    system gave them. Without --timestamps any order will do that explains the history";
        return Err(refused(message, help));
    }
    let asked = timestamps::Question {
        model: match level.base {
            Base::Serializable => Model::Serializable,
            Base::SnapshotIsolation => Model::SnapshotIsolation,
            _ => Model::Prefix,
        },
        order: match level.mode {
            Variant::Plain => Order::Free,
            Variant::Process => Order::Session,
            Variant::Realtime => Order::RealTime,
        },
        forbid_unwritten: question.forbid_unwritten.unwrap_or(kind == Kind::ListAppend),
    };
    Ok(transaction::read(history, kind).map(|txns| {
        let report = timestamps::check(&txns, history.values(), asked);
        Stamped { level, txns, report }
    }))
}

/// The level to ask for.
fn level(demands: &[Demand]) -> Result<Level, Failure> {
    let known = "by timestamps ask for serializable, snapshot-isolation or prefix, or for one of them with \
                 strong-session-, strong- or strict- before it";
    match demands {
        [] => Ok(Level::STRICT_SERIALIZABLE),
        [Demand::Level(level)]
            if matches!(level.base, Base::Serializable | Base::SnapshotIsolation | Base::Prefix) =>
        {
            Ok(*level)
        }
        [demand] => Err(refused(format!("{} is not judged by timestamps", demand.name()), known)),
        _ => Err(refused("by timestamps one level is asked for at a time".to_owned(), known)),
    }
}
