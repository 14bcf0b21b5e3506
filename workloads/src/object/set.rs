//! A set that only grows: elements that are never added twice, and reads of the whole.

use crate::generator::Generator;
use crate::operation::{Call, Operation};
use crate::random::Draws;
use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::object::set::{Op, Ret};

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A new element.
    Add,
    /// All of them.
    Read,
}

impl Operation for Op {
    type Ret = Ret;
    type Kind = Kind;

    const MODEL: ModelName = ModelName::LinearSet;

    fn invoked(&self, values: &mut Values) -> Call {
        match *self {
            Op::Add { element } => Call { f: "add", key: None, value: values.int(element as i64) },
            Op::Read => Call { f: "read", key: None, value: Value::NIL },
        }
    }

    fn completed(&self, ret: &Ret, values: &mut Values) -> Value {
        match (self, ret) {
            (Op::Add { element }, _) => values.int(*element as i64),
            (Op::Read, Ret::Elements(elements)) => {
                let elements: Vec<Value> =
                    elements.iter().map(|&element| values.int(element as i64)).collect();
                values.list(&elements)
            }
            (Op::Read, Ret::Added) => Value::NIL,
        }
    }

    fn shows_effect(&self, ret: &Ret) -> bool {
        matches!(ret, Ret::Elements(elements) if !elements.is_empty())
    }

    fn is_repeatable(&self) -> bool {
        matches!(self, Op::Read)
    }

    fn of_kind(kind: &Kind, draws: &mut Draws<'_>) -> Op {
        match kind {
            Kind::Add => Op::Add { element: draws.fresh() },
            Kind::Read => Op::Read,
        }
    }

    /// Two elements for each read.
    fn usual(gap_us: u64) -> Generator<Kind> {
        let mix = Generator::Mix(vec![(2, Generator::Always(Kind::Add)), (1, Generator::Always(Kind::Read))]);
        mix.every_us(gap_us)
    }

    fn looking(gap_us: u64) -> Option<Generator<Kind>> {
        Some(Generator::Always(Kind::Read).every_us(gap_us))
    }

    fn small() -> Vec<Vec<Op>> {
        vec![vec![Op::Add { element: 1 }], vec![Op::Read, Op::Read]]
    }

    fn last(_: u32) -> Vec<Op> {
        vec![Op::Read]
    }
}
