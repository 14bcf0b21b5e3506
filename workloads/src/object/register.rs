//! Registers: reads, and writes of values that are never written twice, which is what lets a register's
//! history be judged in near-linear time.

use crate::generator::Generator;
use crate::operation::{Call, Operation};
use crate::random::Draws;
use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::object::register::{Op, Ret};

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A read of any key.
    Read,
    /// A write of a new value to any key.
    Write,
}

impl Operation for Op {
    type Ret = Ret;
    type Kind = Kind;

    const MODEL: ModelName = ModelName::Register;

    fn invoked(&self, values: &mut Values) -> Call {
        let key = Some(values.int(i64::from(self.key())));
        match *self {
            Op::Read { .. } => Call { f: "read", key, value: Value::NIL },
            Op::Write { value, .. } => Call { f: "write", key, value: number(value, values) },
        }
    }

    fn completed(&self, ret: &Ret, values: &mut Values) -> Value {
        match (*self, *ret) {
            (_, Ret::Value(Some(value))) | (Op::Write { value, .. }, Ret::Written) => number(value, values),
            _ => Value::NIL,
        }
    }

    fn shows_effect(&self, ret: &Ret) -> bool {
        matches!(ret, Ret::Value(Some(_)))
    }

    fn is_repeatable(&self) -> bool {
        matches!(self, Op::Read { .. })
    }

    fn of_kind(kind: &Kind, draws: &mut Draws<'_>) -> Op {
        let key = draws.key();
        match kind {
            Kind::Read => Op::Read { key },
            Kind::Write => Op::Write { key, value: draws.fresh() },
        }
    }

    /// Half reads, half writes.
    fn usual(gap_us: u64) -> Generator<Kind> {
        let mix =
            Generator::Mix(vec![(1, Generator::Always(Kind::Read)), (1, Generator::Always(Kind::Write))]);
        mix.every_us(gap_us)
    }

    fn looking(gap_us: u64) -> Option<Generator<Kind>> {
        Some(Generator::Always(Kind::Read).every_us(gap_us))
    }

    fn small() -> Vec<Vec<Op>> {
        let read = Op::Read { key: 0 };
        vec![vec![Op::Write { key: 0, value: 1 }], vec![read, read]]
    }

    fn last(keys: u32) -> Vec<Op> {
        (0..keys).map(|key| Op::Read { key }).collect()
    }
}

/// Values that no workload writes are a peer's nonsense, which a history has to be able to show.
fn number(value: u64, values: &mut Values) -> Value {
    values.int(value as i64)
}
