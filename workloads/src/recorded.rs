//! From a protocol's operations to rows of a history.

use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::protocol::Protocol;
use shakedown_impls::replication::leaderless::abd::{self, Abd};

/// What an operation looks like in a history when it is invoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its function: `read`.
    pub f: &'static str,
    /// The independent object that it is about, if there are several.
    pub key: Option<Value>,
    /// Its argument.
    pub value: Value,
}

/// A protocol whose operations some checker understands.
pub trait Recorded: Protocol {
    /// What the protocol claims to be.
    const MODEL: ModelName;

    /// An operation as it is asked for.
    fn invoked(op: &Self::Op, values: &mut Values) -> Call;

    /// The value that it completed with.
    fn completed(op: &Self::Op, ret: &Self::Ret, values: &mut Values) -> Value;

    /// Whether the answer shows what another operation did. Where none ever does, that nothing is
    /// wrong means nothing.
    fn shows_effect(op: &Self::Op, ret: &Self::Ret) -> bool;
}

impl Recorded for Abd {
    const MODEL: ModelName = ModelName::Register;

    fn invoked(op: &abd::Op, values: &mut Values) -> Call {
        match *op {
            abd::Op::Read { key } => {
                Call { f: "read", key: Some(values.int(i64::from(key))), value: Value::NIL }
            }
            abd::Op::Write { key, value } => {
                Call { f: "write", key: Some(values.int(i64::from(key))), value: number(value, values) }
            }
        }
    }

    fn completed(op: &abd::Op, ret: &abd::Ret, values: &mut Values) -> Value {
        match (*op, *ret) {
            (_, abd::Ret::Value(Some(value))) | (abd::Op::Write { value, .. }, abd::Ret::Written) => {
                number(value, values)
            }
            _ => Value::NIL,
        }
    }

    fn shows_effect(_: &abd::Op, ret: &abd::Ret) -> bool {
        matches!(ret, abd::Ret::Value(Some(_)))
    }
}

fn number(value: u64, values: &mut Values) -> Value {
    values.int(i64::try_from(value).expect("workloads write small numbers"))
}
