//! A history as plain rows of numbers, for tests that share no code with what they test.

use shakedown_checkers::history::{History, Operation, Outcome, Timestamps};
use shakedown_checkers::value::{Datum, Value, Values};

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) process: i64,
    pub(super) outcome: Outcome,
    pub(super) invoked: u32,
    pub(super) completed: u32,
    pub(super) invoked_ns: i64,
    pub(super) completed_ns: i64,
    pub(super) stamps: Option<Timestamps>,
    /// What it did; of one that is not ok what it was asked to do.
    pub(super) ops: Vec<Op>,
}

/// One micro-operation: the value written, the list read, or the value read, nil being none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Op {
    pub(super) write: bool,
    pub(super) key: i64,
    pub(super) values: Vec<i64>,
}

impl Row {
    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    pub(super) fn is_ok(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    /// What it writes to `key`, in order.
    pub(super) fn writes(&self, key: i64) -> Vec<i64> {
        let writes = self.ops.iter().filter(|op| op.write && op.key == key);
        writes.map(|op| op.values[0]).collect()
    }

    /// The keys that it writes.
    pub(super) fn written_keys(&self) -> Vec<i64> {
        let mut keys: Vec<i64> = self.ops.iter().filter(|op| op.write).map(|op| op.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

pub(super) fn rows(history: &History) -> Vec<Row> {
    history.operations().map(|op| row(history, &op)).collect()
}

fn row(history: &History, op: &Operation<'_>) -> Row {
    let values = history.values();
    let value = if op.outcome == Outcome::Ok { op.output } else { op.input };
    let Datum::List(micros) = values.get(value) else { panic!("{}", values.show(value)) };
    Row {
        process: op.process,
        outcome: op.outcome,
        invoked: op.invoke_position,
        completed: op.complete_position,
        invoked_ns: op.invoke_time_ns,
        completed_ns: op.complete_time_ns,
        stamps: history.timestamps_of(op.id),
        ops: micros.iter().map(|micro| self::op(values, *micro)).collect(),
    }
}

fn op(values: &Values, micro: Value) -> Op {
    let Datum::List(&[name, key, argument]) = values.get(micro) else { panic!("{}", values.show(micro)) };
    let int = |value| values.int_of(value).unwrap();
    let seen = match values.get(argument) {
        Datum::Nil => vec![],
        Datum::List(list) => list.iter().map(|value| int(*value)).collect(),
        _ => vec![int(argument)],
    };
    Op { write: values.text(name) != Some("r"), key: int(key), values: seen }
}

/// As in the diagrams: `w x 1, r y [1 2]`, with x, y and z for the keys from `first` on.
pub(super) fn diagram(row: &Row, first: i64) -> String {
    let micros = row.ops.iter().map(|op| {
        let key = ["x", "y", "z"][(op.key - first) as usize];
        let values: Vec<String> = op.values.iter().map(i64::to_string).collect();
        if op.write { format!("w {key} {}", values[0]) } else { format!("r {key} [{}]", values.join(" ")) }
    });
    micros.collect::<Vec<_>>().join(", ")
}
