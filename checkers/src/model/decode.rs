//! What the ready-made models share when they read operations.

use super::ModelError;
use crate::history::{History, Operation, Outcome};
use crate::value::{Datum, Value, Values};

/// The completion's value of an operation that took effect; `None` if nobody saw one.
pub(super) fn returned(op: &Operation<'_>) -> Option<Value> {
    (op.outcome == Outcome::Ok).then_some(op.output)
}

/// The input of an operation whose completion may only repeat it or say nothing.
pub(super) fn echoed(op: &Operation<'_>, values: &Values, expected: &str) -> Result<Value, ModelError> {
    match returned(op) {
        Some(output) if !output.is_nil() && output != op.input => {
            Err(ModelError::output(op, values, expected))
        }
        _ => Ok(op.input),
    }
}

/// The boolean that `value` is.
pub(super) fn as_bool(value: Value) -> Option<bool> {
    match value {
        Value::TRUE => Some(true),
        Value::FALSE => Some(false),
        _ => None,
    }
}

/// The members of a list or set; nil has none.
pub(super) fn members(values: &Values, value: Value) -> Option<&[Value]> {
    match values.get(value) {
        Datum::Nil => Some(&[]),
        Datum::List(members) | Datum::Set(members) => Some(members),
        _ => None,
    }
}

/// The entry of a map under `name`, whether its keys are keywords or strings.
pub(super) fn field(values: &Values, map: Value, name: &str) -> Option<Value> {
    let Datum::Map(flat) = values.get(map) else { return None };
    flat.chunks_exact(2).find(|pair| values.text(pair[0]) == Some(name)).map(|pair| pair[1])
}

/// True if the history's format has a field for keys, and some operation uses it.
pub(super) fn has_key_column(history: &History) -> bool {
    history.columns.key.iter().any(Option::is_some)
}
