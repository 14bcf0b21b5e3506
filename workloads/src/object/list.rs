//! Lists by key: elements that are never appended twice, and reads of whole lists.

use crate::generator::Generator;
use crate::operation::{Call, Operation};
use crate::random::Draws;
use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::object::list::{Op, Ret};

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A new element at the end of any list.
    Append,
    /// A read of any list.
    Read,
}

impl Operation for Op {
    type Ret = Ret;
    type Kind = Kind;

    const MODEL: ModelName = ModelName::LinearLog;

    fn invoked(&self, values: &mut Values) -> Call {
        let key = Some(values.int(i64::from(self.key())));
        match *self {
            Op::Append { element, .. } => Call { f: "append", key, value: values.int(element as i64) },
            Op::Read { .. } => Call { f: "read", key, value: Value::NIL },
        }
    }

    fn completed(&self, ret: &Ret, values: &mut Values) -> Value {
        match (self, ret) {
            (Op::Append { element, .. }, _) => values.int(*element as i64),
            (Op::Read { .. }, Ret::Elements(elements)) => {
                let elements: Vec<Value> =
                    elements.iter().map(|&element| values.int(element as i64)).collect();
                values.list(&elements)
            }
            (Op::Read { .. }, Ret::Appended) => Value::NIL,
        }
    }

    fn shows_effect(&self, ret: &Ret) -> bool {
        matches!(ret, Ret::Elements(elements) if !elements.is_empty())
    }

    fn is_repeatable(&self) -> bool {
        matches!(self, Op::Read { .. })
    }

    fn of_kind(kind: &Kind, draws: &mut Draws<'_>) -> Op {
        let key = draws.key();
        match kind {
            Kind::Append => Op::Append { key, element: draws.fresh() },
            Kind::Read => Op::Read { key },
        }
    }

    /// Half appends, half reads.
    fn usual(gap_us: u64) -> Generator<Kind> {
        let mix =
            Generator::Mix(vec![(1, Generator::Always(Kind::Append)), (1, Generator::Always(Kind::Read))]);
        mix.every_us(gap_us)
    }

    fn looking(gap_us: u64) -> Option<Generator<Kind>> {
        Some(Generator::Always(Kind::Read).every_us(gap_us))
    }

    fn small() -> Vec<Vec<Op>> {
        let read = Op::Read { key: 0 };
        vec![vec![Op::Append { key: 0, element: 1 }], vec![read, read]]
    }

    fn last(keys: u32) -> Vec<Op> {
        (0..keys).map(|key| Op::Read { key }).collect()
    }
}
