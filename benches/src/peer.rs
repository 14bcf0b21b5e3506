//! Porcupine's algorithm on our histories: models as its users write them.
//!
//! Operations whose completion is unknown return after everything else; they may then take effect
//! last, where nobody sees it, as Porcupine's own tests read Jepsen's logs.

use porcupine_rs::{CheckResult, Model, Operation, check_operations_timeout};
use shakedown_checkers::history::{History, NEVER, Operation as Row, Outcome};
use shakedown_checkers::value::{Datum, Value, Values};
use shakedown_workloads::synthetic::Object;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A history in the peer's own types.
pub enum PeerCase {
    /// Reads, writes, compare-and-sets.
    Register(Vec<Operation<Register>>),
    /// Gets, puts, appends.
    Kv(Vec<Operation<Kv>>),
    /// Enqueues and dequeues.
    Queue(Vec<Operation<Queue>>),
    /// Pushes and pops.
    Stack(Vec<Operation<Stack>>),
    /// Inserts and deletions of the largest.
    PriorityQueue(Vec<Operation<PriorityQueue>>),
    /// Additions and reads of the whole.
    Set(Vec<Operation<Set>>),
}

impl PeerCase {
    /// Translates a history.
    ///
    /// # Panics
    /// On objects that no row of the table uses.
    pub fn new(object: Object, history: &History) -> PeerCase {
        match object {
            Object::Register | Object::CasRegister => PeerCase::Register(translate(history, register_op)),
            Object::Kv => PeerCase::Kv(translate(history, kv_op)),
            Object::FifoQueue => PeerCase::Queue(translate(history, container_op)),
            Object::Stack => PeerCase::Stack(translate(history, container_op)),
            Object::PriorityQueue => PeerCase::PriorityQueue(translate(history, container_op)),
            Object::LinearSet => PeerCase::Set(translate(history, set_op)),
            object => panic!("no row of the table compares {object}"),
        }
    }

    /// The peer's verdict.
    pub fn check(&self, limit: Duration) -> &'static str {
        let result = match self {
            PeerCase::Register(operations) => check_operations_timeout(operations, limit),
            PeerCase::Kv(operations) => check_operations_timeout(operations, limit),
            PeerCase::Queue(operations) => check_operations_timeout(operations, limit),
            PeerCase::Stack(operations) => check_operations_timeout(operations, limit),
            PeerCase::PriorityQueue(operations) => check_operations_timeout(operations, limit),
            PeerCase::Set(operations) => check_operations_timeout(operations, limit),
        };
        match result {
            CheckResult::Ok => "true",
            CheckResult::Illegal => "false",
            CheckResult::Unknown => "unknown",
        }
    }
}

fn translate<M: Model>(history: &History, op: impl Fn(&Row<'_>, &Values) -> M::Op) -> Vec<Operation<M>> {
    let rows = history.operations().filter(|row| row.outcome != Outcome::Fail);
    let operation = |row: Row<'_>| Operation {
        client_id: None,
        call_time: i64::from(row.invoke_position),
        return_time: if row.returned() == NEVER { i64::MAX } else { i64::from(row.returned()) },
        op: op(&row, history.values()),
        metadata: None,
    };
    rows.map(operation).collect()
}

/// What a completed operation returned; `None` if nobody knows.
fn seen(row: &Row<'_>) -> Option<Value> {
    (row.outcome == Outcome::Ok).then_some(row.output)
}

/// A register that holds an integer or nothing.
#[derive(Clone, Debug)]
pub struct Register;

/// What was done to a register.
#[derive(Clone, Debug)]
pub enum RegisterOp {
    /// Saw this, if anybody knows.
    Read(Option<Option<i64>>),
    /// Put this in.
    Write(i64),
    /// From, to, and whether it matched, if anybody knows.
    Cas(i64, i64, Option<bool>),
}

fn register_op(row: &Row<'_>, values: &Values) -> RegisterOp {
    let int = |value| values.int_of(value).expect("registers of the table hold integers");
    match row.f {
        "read" => RegisterOp::Read(seen(row).map(|value| values.int_of(value))),
        "write" => RegisterOp::Write(int(row.input)),
        _ => {
            let (from, to) = values.pair(row.input).expect("a cas has a pair");
            RegisterOp::Cas(int(from), int(to), seen(row).map(|value| value != Value::FALSE))
        }
    }
}

impl Model for Register {
    type State = Option<i64>;
    type Op = RegisterOp;
    type Metadata = ();

    fn init() -> Option<i64> {
        None
    }

    fn step(state: &Option<i64>, op: &RegisterOp) -> (bool, Option<i64>) {
        match *op {
            RegisterOp::Read(seen) => (seen.is_none_or(|seen| seen == *state), *state),
            RegisterOp::Write(value) => (true, Some(value)),
            RegisterOp::Cas(from, to, seen) => {
                let matches = *state == Some(from);
                (seen.is_none_or(|seen| seen == matches), if matches { Some(to) } else { *state })
            }
        }
    }
}

/// A key-value store of strings; its operations are partitioned by key.
#[derive(Clone, Debug)]
pub struct Kv;

/// What was done to one key.
#[derive(Clone, Debug)]
pub struct KvOp {
    key: String,
    f: KvFunction,
}

#[derive(Clone, Debug)]
enum KvFunction {
    Get(Option<String>),
    Put(String),
    Append(String),
}

fn kv_op(row: &Row<'_>, values: &Values) -> KvOp {
    let text = |value| values.text(value).unwrap_or_default().to_owned();
    let f = match row.f {
        "get" => KvFunction::Get(seen(row).map(text)),
        "put" => KvFunction::Put(text(row.input)),
        _ => KvFunction::Append(text(row.input)),
    };
    KvOp { key: row.key.map(text).unwrap_or_default(), f }
}

impl Model for Kv {
    type State = String;
    type Op = KvOp;
    type Metadata = ();

    fn partition_operations(history: &[Operation<Self>]) -> Vec<Vec<Operation<Self>>> {
        let mut by_key: BTreeMap<&str, Vec<Operation<Self>>> = BTreeMap::new();
        for operation in history {
            by_key.entry(&operation.op.key).or_default().push(operation.clone());
        }
        by_key.into_values().collect()
    }

    fn init() -> String {
        String::new()
    }

    fn step(state: &String, op: &KvOp) -> (bool, String) {
        match &op.f {
            KvFunction::Get(seen) => (seen.as_ref().is_none_or(|seen| seen == state), state.clone()),
            KvFunction::Put(value) => (true, value.clone()),
            KvFunction::Append(value) => (true, format!("{state}{value}")),
        }
    }
}

/// What was done to a container.
#[derive(Clone, Debug)]
pub enum ContainerOp {
    /// Put this in.
    Put(i64),
    /// Took this out, or found nothing; if anybody knows.
    Take(Option<Option<i64>>),
}

fn container_op(row: &Row<'_>, values: &Values) -> ContainerOp {
    match values.int_of(row.input) {
        Some(value) => ContainerOp::Put(value),
        None => ContainerOp::Take(seen(row).map(|value| values.int_of(value))),
    }
}

macro_rules! containers {
    ($($(#[$doc:meta])* $model:ident, $state:ty, $put:expr, $take:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $model;

        impl Model for $model {
            type State = $state;
            type Op = ContainerOp;
            type Metadata = ();

            fn init() -> $state {
                <$state>::new()
            }

            fn step(state: &$state, op: &ContainerOp) -> (bool, $state) {
                let mut state = state.clone();
                match op {
                    ContainerOp::Put(value) => {
                        $put(&mut state, *value);
                        (true, state)
                    }
                    ContainerOp::Take(seen) => {
                        let taken: Option<i64> = $take(&mut state);
                        (seen.is_none_or(|seen| seen == taken), state)
                    }
                }
            }
        }
    )*};
}

containers! {
    /// First in, first out.
    Queue, VecDeque<i64>, VecDeque::push_back, VecDeque::pop_front;
    /// Last in, first out.
    Stack, Vec<i64>, Vec::push, Vec::pop;
    /// Largest first; values are distinct.
    PriorityQueue, BTreeSet<i64>, BTreeSet::insert, BTreeSet::pop_last;
}

/// A set that only grows.
#[derive(Clone, Debug)]
pub struct Set;

/// What was done to a set.
#[derive(Clone, Debug)]
pub enum SetOp {
    /// Added this.
    Add(i64),
    /// Saw these, if anybody knows.
    Read(Option<BTreeSet<i64>>),
}

fn set_op(row: &Row<'_>, values: &Values) -> SetOp {
    let members = |value| match values.get(value) {
        Datum::List(members) | Datum::Set(members) => {
            members.iter().filter_map(|member| values.int_of(*member)).collect()
        }
        _ => BTreeSet::new(),
    };
    match row.f {
        "add" => SetOp::Add(values.int_of(row.input).expect("sets of the table hold integers")),
        _ => SetOp::Read(seen(row).map(members)),
    }
}

impl Model for Set {
    type State = BTreeSet<i64>;
    type Op = SetOp;
    type Metadata = ();

    fn init() -> BTreeSet<i64> {
        BTreeSet::new()
    }

    fn step(state: &BTreeSet<i64>, op: &SetOp) -> (bool, BTreeSet<i64>) {
        let mut state = state.clone();
        match op {
            SetOp::Add(element) => {
                state.insert(*element);
                (true, state)
            }
            SetOp::Read(seen) => (seen.as_ref().is_none_or(|seen| *seen == state), state),
        }
    }
}
