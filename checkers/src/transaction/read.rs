//! From a history to [`Transactions`]: one pass, every key and version looked up once a use.

use super::{
    Action, INITIAL, KeyId, Kind, ListRead, Longest, MicroOp, NOBODY, Status, Transactions, Txn, TxnId,
    VersionId, VersionIds,
};
use crate::history::{History, NEVER, Operation, Outcome};
use crate::model::ModelError;
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::HashMap;

/// Reads every operation of `history` as a transaction on keys of that kind.
///
/// Refused, with the line: a value that is no list of micro-operations; a write of nil, which is what
/// every key holds at first; and a value written to one key twice, since no read of it could tell whose
/// write it saw.
///
/// O(n) for n micro-operations and members of distinct lists.
pub fn read(history: &History, kind: Kind) -> Result<Transactions, ModelError> {
    let mut reader = Reader::new(history, kind);
    // Lists lie all over memory. Those of several operations are fetched in a row, so that the processor waits for
    // many of them at once.
    let mut operations = history.operations();
    let (mut lists, mut entries) = (Vec::new(), Vec::new());
    while operations.len() > 0 {
        lists.clear();
        lists.extend(operations.by_ref().take(FETCHED_AT_ONCE).map(|op| {
            let value = if op.outcome == Outcome::Ok { op.output } else { op.input };
            let list = match reader.values.get(value) {
                Datum::List(list) => Some(list),
                _ => None,
            };
            (op, value, list)
        }));
        entries.clear();
        entries.extend(lists.iter().flat_map(|(_, _, list)| list.unwrap_or(&[])).map(|entry| {
            match reader.values.get(*entry) {
                Datum::List(&[name, key, argument]) => Some([name, key, argument]),
                _ => None,
            }
        }));
        let mut entries = &entries[..];
        for (op, value, list) in &lists {
            let Some(list) = list else { return Err(reader.misshapen(op, *value)) };
            let (own, rest) = entries.split_at(list.len());
            entries = rest;
            reader.transaction(op, list, own)?;
        }
    }
    reader.mark_intermediate();
    if kind == Kind::ListAppend {
        reader.resolve_lists();
    }
    Ok(reader.out)
}

/// Operations whose lists are fetched in a row.
const FETCHED_AT_ONCE: usize = 64;

struct Reader<'h> {
    values: &'h Values,
    history: &'h History,
    key_ids: HashMap<Value, KeyId, FastBuild>,
    sessions: HashMap<i64, u32, FastBuild>,
    /// The names of micro-operations met so far: comparing handles is quicker than comparing texts.
    names: Vec<(Value, Action)>,
    /// Of each list that was read: its length, and its last element.
    ends: Vec<(u32, Value)>,
    /// By key, the length of its longest list so far.
    lengths: Vec<u32>,
    out: Transactions,
}

impl<'h> Reader<'h> {
    fn new(history: &'h History, kind: Kind) -> Reader<'h> {
        Reader {
            values: history.values(),
            history,
            key_ids: HashMap::default(),
            sessions: HashMap::default(),
            names: Vec::new(),
            ends: Vec::new(),
            lengths: Vec::new(),
            out: Transactions {
                kind,
                has_real_time: history.has_real_time(),
                txns: Vec::with_capacity(history.len()),
                micro_ops: Vec::with_capacity(history.len() * 4),
                versions: Vec::with_capacity(history.len()),
                keys: Vec::new(),
                sessions: 0,
                timestamps: Vec::new(),
                list_reads: Vec::new(),
                longest: Vec::new(),
                listed: Vec::new(),
                listed_from: Vec::new(),
                version_ids: VersionIds::with_capacity(history.len()),
            },
        }
    }

    /// The transaction of that operation, of which `list` is the value, and `entries` are the micro-operations.
    fn transaction(
        &mut self,
        op: &Operation<'_>,
        list: &[Value],
        entries: &[Option<[Value; 3]>],
    ) -> Result<(), ModelError> {
        let id = self.out.txns.len() as TxnId;
        let first = self.out.micro_ops.len() as u32;
        let (status, returned) = match op.outcome {
            Outcome::Ok => (Status::Committed, op.complete_position),
            Outcome::Fail => (Status::Aborted, NEVER),
            Outcome::Info => (Status::Unknown, NEVER),
        };
        for (entry, parts) in list.iter().zip(entries) {
            let Some([name, key, argument]) = *parts else { return Err(self.misshapen(op, *entry)) };
            let Some(action) = self.action(name) else { return Err(self.misshapen(op, *entry)) };
            match action {
                Action::Write => {
                    let key = self.key(key);
                    let version = self.write(op, id, key, argument)?;
                    self.out.micro_ops.push(MicroOp { action, key, version });
                }
                Action::Read if status == Status::Committed => {
                    let key = self.key(key);
                    let version = self.seen(op, *entry, id, first, key, argument)?;
                    self.out.micro_ops.push(MicroOp { action, key, version });
                }
                Action::Read => {}
            }
        }
        let sessions = self.sessions.len() as u32;
        let session = *self.sessions.entry(op.process).or_insert(sessions);
        self.out.sessions = self.sessions.len() as u32;
        let len = self.out.micro_ops.len() as u32 - first;
        self.out.txns.push(Txn {
            op: op.id,
            session,
            status,
            invoked: op.invoke_position,
            returned,
            first,
            len,
        });
        if let Some(timestamps) = self.history.timestamps_of(op.id) {
            self.out.timestamps.push((id, timestamps));
        }
        Ok(())
    }

    fn action(&mut self, name: Value) -> Option<Action> {
        if let Some((_, action)) = self.names.iter().find(|(known, _)| *known == name) {
            return Some(*action);
        }
        let action = match (self.values.text(name)?, self.out.kind) {
            ("r" | "read", _) => Action::Read,
            ("append", Kind::ListAppend) | ("w" | "write", Kind::Register) => Action::Write,
            _ => return None,
        };
        self.names.push((name, action));
        Some(action)
    }

    fn key(&mut self, key: Value) -> KeyId {
        let next = self.out.keys.len() as KeyId;
        let id = *self.key_ids.entry(key).or_insert(next);
        if id == next {
            self.out.keys.push(key);
            if self.out.kind == Kind::ListAppend {
                self.out.longest.push(None);
                self.lengths.push(0);
            }
        }
        id
    }

    fn write(
        &mut self,
        op: &Operation<'_>,
        writer: TxnId,
        key: KeyId,
        value: Value,
    ) -> Result<VersionId, ModelError> {
        if value.is_nil() {
            let message = format!(
                "a transaction writes nil to key {}; expected any other value, for nil is what a key holds \
                 before it is written",
                self.values.show(self.out.keys[key as usize])
            );
            return Err(ModelError { line: op.invoke_line, message });
        }
        let id = version(&mut self.out, key, value);
        let version = &mut self.out.versions[id as usize];
        if version.writer != NOBODY {
            let other = if version.writer == writer {
                op.invoke_line
            } else {
                self.history.operation(self.out.txns[version.writer as usize].op).invoke_line
            };
            let message = format!(
                "{} is written to key {} a second time (the first is on line {other}); expected every value \
                 to be written to a key only once, or a read does not tell whose write it saw",
                self.values.show(value),
                self.values.show(self.out.keys[key as usize]),
            );
            return Err(ModelError { line: op.invoke_line, message });
        }
        version.writer = writer;
        Ok(id)
    }

    /// The version that a read saw. Of a list that is its last element's, if there is one; whether the
    /// others fit is for [`super::list_append`] to say.
    fn seen(
        &mut self,
        op: &Operation<'_>,
        entry: Value,
        txn: TxnId,
        first: u32,
        key: KeyId,
        value: Value,
    ) -> Result<VersionId, ModelError> {
        match self.out.kind {
            Kind::Register if value.is_nil() => Ok(INITIAL),
            Kind::Register => Ok(version(&mut self.out, key, value)),
            Kind::ListAppend => {
                let elements = match self.values.get(value) {
                    Datum::List(elements) => elements,
                    Datum::Nil => &[],
                    _ => return Err(self.misshapen(op, entry)),
                };
                let at = self.out.micro_ops.len() as u32 - first;
                self.out.list_reads.push(ListRead { txn, at, key, list: value });
                let len = elements.len() as u32;
                self.ends.push((len, elements.last().copied().unwrap_or(Value::NIL)));
                let length = &mut self.lengths[key as usize];
                if len > *length {
                    *length = len;
                    self.out.longest[key as usize] = Some(Longest { list: value, reader: txn });
                }
                Ok(INITIAL)
            }
        }
    }

    /// Marks every version that its own writer overwrote or appended to.
    fn mark_intermediate(&mut self) {
        // Who wrote which version of the key last; one entry a key, so that nothing is cleared.
        let mut latest: Vec<(TxnId, VersionId)> = vec![(NOBODY, INITIAL); self.out.keys.len()];
        for (id, txn) in self.out.txns.iter().enumerate() {
            for op in &self.out.micro_ops[txn.first as usize..(txn.first + txn.len) as usize] {
                if op.action == Action::Write {
                    let (writer, version) = &mut latest[op.key as usize];
                    if *writer == id as TxnId {
                        self.out.versions[*version as usize].is_intermediate = true;
                    }
                    (*writer, *version) = (id as TxnId, op.version);
                }
            }
        }
    }

    /// Finds the versions of each key's longest list, and gives each read of a list the version of its last
    /// element.
    fn resolve_lists(&mut self) {
        self.out.listed.reserve(self.lengths.iter().map(|length| *length as usize).sum());
        self.out.listed_from.push(0);
        for key in 0..self.out.longest.len() {
            let list = self.out.longest[key].map_or(Value::NIL, |longest| longest.list);
            if let Datum::List(elements) = self.values.get(list) {
                for element in elements {
                    let version = version(&mut self.out, key as KeyId, *element);
                    self.out.listed.push(version);
                }
            }
            self.out.listed_from.push(self.out.listed.len() as u32);
        }
        for (i, (len, last)) in self.ends.iter().enumerate() {
            if *len == 0 {
                continue;
            }
            // Most often the list begins the longest one, and its last element is found there by its place.
            let ListRead { txn, at, key, .. } = self.out.list_reads[i];
            let guess = self.out.listed[(self.out.listed_from[key as usize] + len - 1) as usize];
            let version = match self.out.versions[guess as usize].value == *last {
                true => guess,
                false => version(&mut self.out, key, *last),
            };
            let first = self.out.txns[txn as usize].first;
            self.out.micro_ops[(first + at) as usize].version = version;
        }
    }

    fn misshapen(&self, op: &Operation<'_>, value: Value) -> ModelError {
        let expected = match self.out.kind {
            Kind::ListAppend => "[:append k v] and [:r k [v ...]]",
            Kind::Register => "[:w k v] and [:r k v]",
        };
        let message = format!(
            "a transaction has the value {}; expected a list of micro-operations {expected}",
            self.values.show(value)
        );
        let line = if op.outcome == Outcome::Ok { op.complete_line } else { op.invoke_line };
        ModelError { line, message }
    }
}

/// The version of that value, which may be new.
fn version(out: &mut Transactions, key: KeyId, value: Value) -> VersionId {
    out.version_ids.find_or_add(&mut out.versions, key, value)
}
