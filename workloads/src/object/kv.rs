//! A key-value store: reads, writes of new and of few values, compare-and-set, appends and deletes.

use super::log::text;
use crate::generator::Generator;
use crate::operation::{Call, Operation};
use crate::random::Draws;
use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::object::bytes::Bytes;
use shakedown_impls::object::kv::{Op, Ret};

/// The kinds of operations, each on any key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A read.
    Read,
    /// A write of a new value.
    Write,
    /// A write of one of a few values, for compare-and-set to find.
    WriteCommon,
    /// Compare-and-set from and to one of a few values.
    Cas,
    /// A new value behind what is there.
    Append,
    /// A delete.
    Delete,
}

/// How many values compare-and-set knows.
const COMMON: u64 = 3;

impl Operation for Op {
    type Ret = Ret;
    type Kind = Kind;

    const MODEL: ModelName = ModelName::Kv;

    fn invoked(&self, values: &mut Values) -> Call {
        let key = Some(values.int(i64::from(self.key())));
        let (f, value) = match self {
            Op::Read { .. } => ("read", Value::NIL),
            Op::Write { value, .. } => ("write", text(value, values)),
            Op::Cas { from, to, .. } => {
                let from = from.as_ref().map_or(Value::NIL, |from| text(from, values));
                let to = text(to, values);
                ("cas", values.list(&[from, to]))
            }
            Op::Append { value, .. } => ("append", text(value, values)),
            Op::Delete { .. } => ("delete", Value::NIL),
        };
        Call { f, key, value }
    }

    fn completed(&self, ret: &Ret, values: &mut Values) -> Value {
        match (self, ret) {
            (_, Ret::Value(Some(value))) => text(value, values),
            (_, Ret::Value(None)) => Value::NIL,
            (_, Ret::Swapped(true)) => Value::TRUE,
            (_, Ret::Swapped(false)) => Value::FALSE,
            (Op::Write { value, .. } | Op::Append { value, .. }, Ret::Done) => text(value, values),
            (_, Ret::Done) => Value::NIL,
        }
    }

    fn shows_effect(&self, ret: &Ret) -> bool {
        let found = matches!(self, Op::Cas { from: Some(_), .. }) && *ret == Ret::Swapped(true);
        found || matches!(ret, Ret::Value(Some(_)))
    }

    fn is_repeatable(&self) -> bool {
        matches!(self, Op::Read { .. })
    }

    fn of_kind(kind: &Kind, draws: &mut Draws<'_>) -> Op {
        let key = draws.key();
        let new = |draws: &mut Draws<'_>| Bytes::from(format!(".{}", draws.fresh()).as_str());
        match kind {
            Kind::Read => Op::Read { key },
            Kind::Write => Op::Write { key, value: new(draws) },
            Kind::WriteCommon => Op::Write { key, value: common(draws.below(COMMON)) },
            Kind::Cas => {
                let from = draws.below(COMMON + 1).checked_sub(1).map(common);
                Op::Cas { key, from, to: common(draws.below(COMMON)) }
            }
            Kind::Append => Op::Append { key, value: new(draws) },
            Kind::Delete => Op::Delete { key },
        }
    }

    /// Mostly reads, some of everything.
    fn usual(gap_us: u64) -> Generator<Kind> {
        let weights = [
            (8, Kind::Read),
            (3, Kind::Write),
            (2, Kind::WriteCommon),
            (4, Kind::Cas),
            (4, Kind::Append),
            (1, Kind::Delete),
        ];
        Generator::Mix(weights.map(|(weight, kind)| (weight, Generator::Always(kind))).into())
            .every_us(gap_us)
    }

    fn looking(gap_us: u64) -> Option<Generator<Kind>> {
        Some(Generator::Always(Kind::Read).every_us(gap_us))
    }

    fn small() -> Vec<Vec<Op>> {
        let read = Op::Read { key: 0 };
        vec![vec![Op::Append { key: 0, value: ".1".into() }], vec![read.clone(), read]]
    }

    fn last(keys: u32) -> Vec<Op> {
        (0..keys).map(|key| Op::Read { key }).collect()
    }
}

/// One of the few.
fn common(number: u64) -> Bytes {
    Bytes::from(["a", "b", "c"][number as usize])
}
