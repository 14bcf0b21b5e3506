//! One log: entries that are never appended twice and tell where they landed, and reads of the whole.

use crate::generator::Generator;
use crate::operation::{Call, Operation};
use crate::random::Draws;
use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::object::bytes::Bytes;
use shakedown_impls::object::log::{Op, Ret};

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A new entry.
    Append,
    /// All of them.
    Read,
}

impl Operation for Op {
    type Ret = Ret;
    type Kind = Kind;

    const MODEL: ModelName = ModelName::LinearLog;

    fn invoked(&self, values: &mut Values) -> Call {
        match self {
            Op::Append { value } => Call { f: "append", key: None, value: text(value, values) },
            Op::Read => Call { f: "read", key: None, value: Value::NIL },
        }
    }

    fn completed(&self, ret: &Ret, values: &mut Values) -> Value {
        match (self, ret) {
            (Op::Append { value }, Ret::Appended { offset }) => {
                let (offset, value) = (values.int(*offset as i64), text(value, values));
                values.list(&[offset, value])
            }
            (_, Ret::Values(entries)) => {
                let entries: Vec<Value> = entries.iter().map(|entry| text(entry, values)).collect();
                values.list(&entries)
            }
            (Op::Read, Ret::Appended { .. }) => Value::NIL,
        }
    }

    fn shows_effect(&self, ret: &Ret) -> bool {
        match ret {
            Ret::Appended { offset } => *offset > 0,
            Ret::Values(entries) => !entries.is_empty(),
        }
    }

    fn is_repeatable(&self) -> bool {
        matches!(self, Op::Read)
    }

    fn of_kind(kind: &Kind, draws: &mut Draws<'_>) -> Op {
        match kind {
            Kind::Append => Op::Append { value: Bytes::from(draws.fresh().to_string().as_str()) },
            Kind::Read => Op::Read,
        }
    }

    /// Two entries for each read.
    fn usual(gap_us: u64) -> Generator<Kind> {
        let mix =
            Generator::Mix(vec![(2, Generator::Always(Kind::Append)), (1, Generator::Always(Kind::Read))]);
        mix.every_us(gap_us)
    }

    fn looking(gap_us: u64) -> Option<Generator<Kind>> {
        Some(Generator::Always(Kind::Read).every_us(gap_us))
    }

    fn small() -> Vec<Vec<Op>> {
        vec![vec![Op::Append { value: "1".into() }], vec![Op::Read, Op::Read]]
    }

    fn last(_: u32) -> Vec<Op> {
        vec![Op::Read]
    }
}

/// What no workload writes may be no text; a history has to be able to show it.
pub(super) fn text(bytes: &Bytes, values: &mut Values) -> Value {
    values.str(&String::from_utf8_lossy(bytes))
}
