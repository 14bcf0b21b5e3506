//! From a history to [`Transactions`]: one pass, every key and version looked up once a use.

use super::{
    Action, INITIAL, KeyId, Kind, ListRead, Longest, MicroOp, NOBODY, Status, Transactions, Txn, TxnId,
    Version, VersionId,
};
use crate::history::{History, NEVER, Operation, Outcome};
use crate::model::ModelError;
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// Reads every operation of `history` as a transaction on keys of that kind.
///
/// Refused, with the line: a value that is no list of micro-operations; a write of nil, which is what
/// every key holds at first; and a value written to one key twice, since no read of it could tell whose
/// write it saw.
///
/// O(n) for n micro-operations and members of distinct lists.
pub fn read(history: &History, kind: Kind) -> Result<Transactions, ModelError> {
    let mut reader = Reader::new(history, kind);
    for op in history.operations() {
        reader.transaction(&op)?;
    }
    reader.mark_intermediate();
    if kind == Kind::ListAppend {
        reader.resolve_lists();
    }
    Ok(reader.out)
}

struct Reader<'h> {
    values: &'h Values,
    history: &'h History,
    key_ids: HashMap<Value, KeyId, FastBuild>,
    sessions: HashMap<i64, u32, FastBuild>,
    /// The names of micro-operations met so far: comparing handles is quicker than comparing texts.
    names: Vec<(Value, Action)>,
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
                version_ids: HashMap::default(),
            },
        }
    }

    fn transaction(&mut self, op: &Operation<'_>) -> Result<(), ModelError> {
        let id = self.out.txns.len() as TxnId;
        let first = self.out.micro_ops.len() as u32;
        let (status, returned, value) = match op.outcome {
            Outcome::Ok => (Status::Committed, op.complete_position, op.output),
            Outcome::Fail => (Status::Aborted, NEVER, op.input),
            Outcome::Info => (Status::Unknown, NEVER, op.input),
        };
        let Datum::List(list) = self.values.get(value) else {
            return Err(self.misshapen(op, value));
        };
        for entry in list {
            let &Datum::List(&[name, key, argument]) = &self.values.get(*entry) else {
                return Err(self.misshapen(op, *entry));
            };
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
                if !value.is_nil() && !matches!(self.values.get(value), Datum::List(_)) {
                    return Err(self.misshapen(op, entry));
                }
                let at = self.out.micro_ops.len() as u32 - first;
                self.out.list_reads.push(ListRead { txn, at, key, list: value });
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

    /// Finds each key's longest list and its versions, and gives each read of a list the version of its last
    /// element.
    fn resolve_lists(&mut self) {
        let elements = |list| match self.values.get(list) {
            Datum::List(elements) => elements,
            _ => &[],
        };
        let mut longest: Vec<Option<Longest>> = vec![None; self.out.keys.len()];
        for read in &self.out.list_reads {
            let known = &mut longest[read.key as usize];
            let length = |longest: &Longest| elements(longest.list).len();
            if elements(read.list).len() > known.as_ref().map_or(0, length) {
                *known = Some(Longest { list: read.list, reader: read.txn });
            }
        }
        self.out.listed_from.push(0);
        for (key, known) in longest.iter().enumerate() {
            for element in known.as_ref().map_or(&[][..], |longest| elements(longest.list)) {
                let version = version(&mut self.out, key as KeyId, *element);
                self.out.listed.push(version);
            }
            self.out.listed_from.push(self.out.listed.len() as u32);
        }
        for i in 0..self.out.list_reads.len() {
            let ListRead { txn, at, key, list } = self.out.list_reads[i];
            let Some(last) = elements(list).last() else { continue };
            // Most often the list begins the longest one, and its last element is found there by its place.
            let from = self.out.listed_from[key as usize] as usize;
            let guess = self.out.listed[from + elements(list).len() - 1];
            let version = match self.out.versions[guess as usize].value == *last {
                true => guess,
                false => version(&mut self.out, key, *last),
            };
            let first = self.out.txns[txn as usize].first;
            self.out.micro_ops[(first + at) as usize].version = version;
        }
        self.out.longest = longest;
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
    let next = out.versions.len() as VersionId;
    match out.version_ids.entry((key, value)) {
        Entry::Occupied(entry) => *entry.get(),
        Entry::Vacant(entry) => {
            entry.insert(next);
            out.versions.push(Version { key, value, writer: NOBODY, is_intermediate: false });
            next
        }
    }
}
