//! A counter that is added to, and read: what takes effect twice shows in every sum after it.

use crate::generator::Generator;
use crate::operation::{Call, Operation};
use crate::random::Draws;
use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::object::counter::{Op, Ret};

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Adding.
    Add,
    /// Adding, and seeing the sum.
    AddAndGet,
    /// Seeing the sum.
    Read,
}

impl Operation for Op {
    type Ret = Ret;
    type Kind = Kind;

    const MODEL: ModelName = ModelName::LinearCounter;

    fn invoked(&self, values: &mut Values) -> Call {
        let (f, value) = match *self {
            Op::Add { by } => ("add", values.int(by)),
            Op::AddAndGet { by } => ("add-and-get", values.int(by)),
            Op::Read => ("read", Value::NIL),
        };
        Call { f, key: None, value }
    }

    fn completed(&self, ret: &Ret, values: &mut Values) -> Value {
        match (*self, *ret) {
            (Op::Add { by }, _) => values.int(by),
            (_, Ret::Sum(sum)) => values.int(sum),
            (_, Ret::Added) => Value::NIL,
        }
    }

    fn shows_effect(&self, ret: &Ret) -> bool {
        match (*self, *ret) {
            (Op::AddAndGet { by }, Ret::Sum(sum)) => sum != by,
            (_, Ret::Sum(sum)) => sum != 0,
            (_, Ret::Added) => false,
        }
    }

    fn is_repeatable(&self) -> bool {
        matches!(self, Op::Read)
    }

    fn of_kind(kind: &Kind, draws: &mut Draws<'_>) -> Op {
        let by = 1 + draws.below(4) as i64;
        match kind {
            Kind::Add => Op::Add { by },
            Kind::AddAndGet => Op::AddAndGet { by },
            Kind::Read => Op::Read,
        }
    }

    /// As many of each.
    fn usual(gap_us: u64) -> Generator<Kind> {
        let kinds = [Kind::Add, Kind::AddAndGet, Kind::Read];
        Generator::Mix(kinds.map(|kind| (1, Generator::Always(kind))).into()).every_us(gap_us)
    }

    fn looking(gap_us: u64) -> Option<Generator<Kind>> {
        Some(Generator::Always(Kind::Read).every_us(gap_us))
    }

    fn small() -> Vec<Vec<Op>> {
        vec![vec![Op::Add { by: 1 }], vec![Op::AddAndGet { by: 2 }, Op::Read]]
    }

    fn last(_: u32) -> Vec<Op> {
        vec![Op::Read]
    }
}
