//! Writes down what the sessions see, as it happens: from micro-operations to the columnar history.

use super::Kind;
use super::store::{Action, Micro, Seen, Store};
use shakedown_checkers::history::{
    Event, EventKind, FunctionId, History, HistoryBuilder, OpId, Process, Timestamps,
};
use shakedown_checkers::value::Value;

const FITS: &str = "fewer than 2^32 events, and of one function";

/// The history in the making.
pub(super) struct Journal {
    kind: Kind,
    builder: HistoryBuilder,
    txn: FunctionId,
    read: Value,
    write: Value,
    rows: OpId,
    /// Room for one transaction, and for one list.
    members: Vec<Value>,
    elements: Vec<Value>,
}

impl Journal {
    pub(super) fn new(kind: Kind) -> Journal {
        let mut builder = HistoryBuilder::new();
        let txn = builder.function("txn").expect(FITS);
        let read = builder.values().keyword("r");
        let write = builder.values().keyword(if kind == Kind::ListAppend { "append" } else { "w" });
        Journal { kind, builder, txn, read, write, rows: 0, members: Vec::new(), elements: Vec::new() }
    }

    /// Journals that `process` invokes `micros`. Gives the operation's row, and the value recorded.
    pub(super) fn invoke(&mut self, process: i64, micros: &[Micro], time_ns: i64) -> (OpId, Value) {
        let value = self.value(micros, None);
        self.push(process, EventKind::Invoke, value, time_ns);
        self.rows += 1;
        (self.rows - 1, value)
    }

    /// Journals that the open transaction of `process` is over, without saying what it saw.
    pub(super) fn give_up(&mut self, process: i64, kind: EventKind, invoked: Value, time_ns: i64) {
        self.push(process, kind, invoked, time_ns);
    }

    /// Journals that the open transaction of `process` committed, and what it saw in `store`.
    pub(super) fn commit(&mut self, process: i64, micros: &[Micro], store: &Store, time_ns: i64) {
        let value = self.value(micros, Some(store));
        self.push(process, EventKind::Ok, value, time_ns);
    }

    /// Gives the transaction that was over last the store's timestamps.
    pub(super) fn stamp(&mut self, timestamps: Timestamps) {
        self.builder.stamp(timestamps);
    }

    pub(super) fn finish(self) -> History {
        self.builder.finish()
    }

    fn push(&mut self, process: i64, kind: EventKind, value: Value, time_ns: i64) {
        let (process, f) = (Process::Client(process), self.txn);
        let event = Event { process, kind, f, key: None, value, error: Value::NIL, time_ns, line: 0 };
        self.builder.push(event).expect("a process has one transaction open at a time");
    }

    /// The list of micro-operations; reads have results only if there is a store.
    fn value(&mut self, micros: &[Micro], store: Option<&Store>) -> Value {
        self.members.clear();
        for (at, micro) in micros.iter().enumerate() {
            let (name, argument) = match (micro.action, store) {
                (Action::Write(value), _) => (self.write, self.builder.values().int(i64::from(value))),
                (Action::Read(_), None) => (self.read, Value::NIL),
                (Action::Read(seen), Some(store)) => {
                    (self.read, self.seen(&micros[..at], micro.key, seen, store))
                }
            };
            let values = self.builder.values();
            let key = values.int(i64::from(micro.key));
            self.members.push(values.list(&[name, key, argument]));
        }
        self.builder.values().list(&self.members)
    }

    /// What a read returns, after `before` in the same transaction.
    fn seen(&mut self, before: &[Micro], key: u32, seen: Seen, store: &Store) -> Value {
        let values = self.builder.values();
        self.elements.clear();
        match seen {
            Seen::Planted(planted) => {
                self.elements.extend(planted.iter().map(|&value| values.int(i64::from(value))));
            }
            Seen::Versions(count) => {
                let first = if self.kind == Kind::Register { count.saturating_sub(1) } else { 0 };
                let versions = &store.versions(key)[first as usize..count as usize];
                self.elements.extend(versions.iter().map(|version| values.int(i64::from(version.value))));
                self.elements.extend(before.iter().filter(|micro| micro.key == key).filter_map(|micro| {
                    let Action::Write(value) = micro.action else { return None };
                    Some(values.int(i64::from(value)))
                }));
            }
        }
        match self.kind {
            Kind::ListAppend => values.list(&self.elements),
            Kind::Register => self.elements.last().copied().unwrap_or(Value::NIL),
        }
    }
}
