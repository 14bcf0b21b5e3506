//! Registers whose reads tell whose write they saw: every value is written once.
//!
//! Shared by [`session`](super::session) and [`staleness`](super::staleness). Operations are read as the
//! model `register` reads them: `[k v]` in every operation, or the field for keys, makes independent
//! keys; a write that completed ok with a value wrote that; a read that returned nil saw nothing if the
//! initial value is another.

use super::operand::{may_have_happened, place, quote, returned};
use super::{Findings, Quote};
use crate::history::{History, OpId, Operation};
use crate::model::{ModelError, has_independent_keys};
use crate::value::{FastBuild, Value};
use hashbrown::HashMap;

/// Index of a write in [`Registers::writes`].
pub(super) type WriteId = u32;

/// Everything that was written and read, in the order of invocations.
pub(super) struct Registers {
    pub(super) writes: Vec<Write>,
    pub(super) reads: Vec<Read>,
    /// The keys, by their index; one that is `None` if the history has no keys.
    pub(super) keys: Vec<Option<Value>>,
    /// Reads of a value that was written more than once, or is the initial one as well: nobody can tell what
    /// they saw.
    pub(super) ambiguous: Vec<OpId>,
}

/// A write that did not fail.
pub(super) struct Write {
    pub(super) id: OpId,
    pub(super) key: u32,
    pub(super) value: Value,
}

/// A read that completed ok.
pub(super) struct Read {
    pub(super) id: OpId,
    pub(super) key: u32,
    /// Whose value it saw; `None` if it was the initial one.
    pub(super) saw: Option<WriteId>,
}

/// Who wrote a value.
enum Writer {
    One(WriteId),
    Several,
    /// Every write of it failed; this is one of them.
    Failed(OpId),
}

impl Registers {
    /// Reads the history. A value that nobody can have written before it was read is an error, `unexpected`,
    /// and that read is left out. `before` says whether a write was surely begun only after a read was over.
    pub(super) fn new(
        history: &History,
        initial: Value,
        findings: &mut Findings,
        is_too_late: impl Fn(&Operation<'_>, &Operation<'_>) -> bool,
    ) -> Result<Registers, ModelError> {
        let decoder = Decoder { history, independent: has_independent_keys(history) };
        let mut registers = Registers { writes: vec![], reads: vec![], keys: vec![], ambiguous: vec![] };
        let mut keys: HashMap<Option<Value>, u32, FastBuild> = HashMap::default();
        let mut writers: HashMap<(u32, Value), Writer, FastBuild> = HashMap::default();
        let mut seen: Vec<(OpId, u32, Value)> = Vec::new();
        for op in history.operations() {
            let (key, access) = decoder.access(&op)?;
            let key = *keys.entry(key).or_insert_with(|| {
                registers.keys.push(key);
                (registers.keys.len() - 1) as u32
            });
            match access {
                Access::Write(value) if may_have_happened(&op) => {
                    let id = registers.writes.len() as WriteId;
                    registers.writes.push(Write { id: op.id, key, value });
                    let writer = writers.entry((key, value)).or_insert(Writer::One(id));
                    *writer = match writer {
                        Writer::One(other) if *other != id => Writer::Several,
                        Writer::Several => Writer::Several,
                        Writer::One(_) | Writer::Failed(_) => Writer::One(id),
                    };
                }
                Access::Write(value) => _ = writers.entry((key, value)).or_insert(Writer::Failed(op.id)),
                Access::Read(Some(value)) if !value.is_nil() || initial.is_nil() => {
                    seen.push((op.id, key, value))
                }
                Access::Read(_) => {}
            }
        }
        for (id, key, value) in seen {
            let writer = writers.get(&(key, value));
            let saw = match (writer, value == initial) {
                (Some(Writer::Several), _) | (Some(Writer::One(_)), true) => {
                    registers.ambiguous.push(id);
                    continue;
                }
                (None | Some(Writer::Failed(_)), true) => None,
                (Some(Writer::One(write)), false) => Some(*write),
                (None, false) => {
                    findings.add("unexpected", true, || unexpected(history, id, value, None, "nobody wrote"));
                    continue;
                }
                (Some(Writer::Failed(write)), false) => {
                    let why = "a failed write would have written";
                    findings.add("unexpected", true, || unexpected(history, id, value, Some(*write), why));
                    continue;
                }
            };
            if let Some(write) = saw
                && is_too_late(
                    &history.operation(registers.writes[write as usize].id),
                    &history.operation(id),
                )
            {
                let write = registers.writes[write as usize].id;
                findings.add("unexpected", true, || {
                    unexpected(history, id, value, Some(write), "was only written later,")
                });
                continue;
            }
            registers.reads.push(Read { id, key, saw });
        }
        Ok(registers)
    }

    /// A write for a sentence: `1 of key :x`.
    pub(super) fn name(&self, history: &History, write: WriteId) -> String {
        let write = &self.writes[write as usize];
        format!("{}{}", super::operand::brief(history.values(), write.value), self.of_key(history, write.key))
    }

    /// ` of key k`, or nothing.
    pub(super) fn of_key(&self, history: &History, key: u32) -> String {
        let named = |key| format!(" of key {}", super::operand::brief(history.values(), key));
        self.keys[key as usize].map_or(String::new(), named)
    }
}

fn unexpected(history: &History, read: OpId, value: Value, write: Option<OpId>, why: &str) -> Quote {
    let whose = write.map_or(String::new(), |write| format!(" {}", place(history, write)));
    let named = super::operand::brief(history.values(), value);
    let sentence = format!("the read {} saw {named}, which {why}{whose}", place(history, read));
    quote(write.into_iter().chain([read]).collect(), vec![value], sentence)
}

enum Access {
    Write(Value),
    /// `None` if nobody saw the result.
    Read(Option<Value>),
}

struct Decoder<'h> {
    history: &'h History,
    independent: bool,
}

impl Decoder<'_> {
    fn access(&self, op: &Operation<'_>) -> Result<(Option<Value>, Access), ModelError> {
        let values = self.history.values();
        let (key, input) = match (self.independent, values.pair(op.input)) {
            (false, _) => (op.key, op.input),
            (true, Some((key, input))) => (Some(key), input),
            (true, None) => {
                return Err(ModelError::input(op, values, "[key value] as in the other operations"));
            }
        };
        let output = match returned(op) {
            Some(output)
                if self.independent && !matches!(output, Value::NIL | Value::TRUE | Value::FALSE) =>
            {
                match values.pair(output) {
                    Some((same, output)) if Some(same) == key => Some(output),
                    _ => {
                        return Err(ModelError::output(
                            op,
                            values,
                            "[key value] with the key that was asked for",
                        ));
                    }
                }
            }
            other => other,
        };
        match op.f {
            "write" | "w" => {
                Ok((key, Access::Write(output.filter(|output| !output.is_nil()).unwrap_or(input))))
            }
            "read" | "r" => Ok((key, Access::Read(output))),
            _ => Err(ModelError::unknown_function(op, "read, write")),
        }
    }
}
