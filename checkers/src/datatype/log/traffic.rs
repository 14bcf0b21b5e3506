//! What was sent to logs and polled from them, one entry for each message in each operation.

use crate::history::{History, OpId, Operation, Outcome};
use crate::model::ModelError;
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::HashMap;
use std::ops::Range;

/// The offset of a message of which nobody saw one.
pub(super) const UNKNOWN: i64 = i64::MIN;

/// Operations that say nothing about messages.
pub(super) const IGNORED: &[&str] = &[
    "crash",
    "debug-topic-partitions",
    "commit",
    "commit-offsets",
    "commit_offsets",
    "list-committed-offsets",
    "list_committed_offsets",
];

/// A history of logs.
pub(super) struct Traffic<'h> {
    pub(super) history: &'h History,
    /// Names of the logs.
    pub(super) keys: Vec<Value>,
    pub(super) messages: Vec<Message>,
    /// Operations that did something, in order.
    pub(super) steps: Vec<Step<'h>>,
    pub(super) entries: Vec<Entry>,
    /// Logs of all assignments.
    pub(super) assigned: Vec<u32>,
    /// Logs and the offsets from where to poll them, of all polls that say so.
    pub(super) requested: Vec<(u32, i64)>,
    /// How many operations that polled took effect.
    pub(super) poll_count: u64,
}

/// A message of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) key: u32,
    pub(super) value: Value,
    /// How often it was sent: sends that took effect or may have, and sends that failed.
    pub(super) sends: u32,
    pub(super) failed_sends: u32,
    pub(super) is_acknowledged: bool,
    /// The first operation that sent it, one that did not fail if there is one.
    pub(super) writer: Option<OpId>,
    /// The first operation that took effect and polled it.
    pub(super) reader: Option<OpId>,
}

/// A message in an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) offset: i64,
    pub(super) op: OpId,
    pub(super) key: u32,
    pub(super) message: u32,
    /// Which of the operation's micro-operations it belongs to.
    pub(super) part: u32,
    pub(super) is_send: bool,
}

/// An operation.
pub(super) struct Step<'h> {
    pub(super) op: Operation<'h>,
    pub(super) what: What,
}

/// What an operation did.
pub(super) enum What {
    /// It moved messages: these entries. It asked for these offsets.
    Transfer { entries: Range<usize>, requested: Range<usize> },
    /// It chose logs: these places of [`Traffic::assigned`].
    Assign { keys: Range<usize>, subscribes: bool },
}

impl<'h> Traffic<'h> {
    pub(super) fn of(history: &'h History) -> Result<Traffic<'h>, ModelError> {
        let traffic = Traffic {
            history,
            keys: Vec::new(),
            messages: Vec::new(),
            steps: Vec::new(),
            entries: Vec::new(),
            assigned: Vec::new(),
            requested: Vec::new(),
            poll_count: 0,
        };
        let mut reader = Reader {
            traffic,
            values: history.values(),
            of_key: HashMap::default(),
            of_message: HashMap::default(),
            has_polled: false,
        };
        for op in history.operations() {
            match op.f {
                "send" | "poll" | "txn" => reader.transfer(op)?,
                "assign" | "subscribe" => reader.assign(op)?,
                f if IGNORED.contains(&f) => {}
                _ => {
                    return Err(ModelError::unknown_function(
                        &op,
                        "send, poll, txn, assign, subscribe, crash",
                    ));
                }
            }
        }
        Ok(reader.traffic)
    }
}

struct Reader<'h> {
    traffic: Traffic<'h>,
    values: &'h Values,
    of_key: HashMap<Value, u32, FastBuild>,
    of_message: HashMap<(u32, Value), u32, FastBuild>,
    /// The operation at hand has polled.
    has_polled: bool,
}

impl<'h> Reader<'h> {
    fn transfer(&mut self, op: Operation<'h>) -> Result<(), ModelError> {
        let (entries, requested) = (self.traffic.entries.len(), self.traffic.requested.len());
        self.has_polled = false;
        if op.f == "txn" || self.is_micro(op.input) || op.input.is_nil() && self.is_micro(op.output) {
            self.micro(&op)?;
        } else if op.f == "send" {
            self.send(&op)?;
        } else {
            self.poll(&op)?;
        }
        self.traffic.poll_count += u64::from(self.has_polled && op.outcome == Outcome::Ok);
        let entries = entries..self.traffic.entries.len();
        let requested = requested..self.traffic.requested.len();
        self.traffic.steps.push(Step { op, what: What::Transfer { entries, requested } });
        Ok(())
    }

    /// True for a list of micro-operations.
    fn is_micro(&self, value: Value) -> bool {
        let Datum::List(list) = self.values.get(value) else { return false };
        list.iter().all(|entry| match self.values.get(*entry) {
            Datum::List([name, ..]) => matches!(self.values.text(*name), Some("send" | "poll")),
            _ => false,
        })
    }

    /// Micro-operations as they completed; of an operation that did not, as they were invoked.
    fn micro(&mut self, op: &Operation<'_>) -> Result<(), ModelError> {
        let is_complete = op.outcome == Outcome::Ok || !op.output.is_nil() && self.is_micro(op.output);
        let wrong = || match is_complete {
            true => {
                ModelError::output(op, self.values, "[[:send k [offset v]] [:poll {k [[offset v] ...]}] ...]")
            }
            false => ModelError::input(op, self.values, "[[:send k v] [:poll] ...]"),
        };
        let asked = match self.values.get(op.input) {
            Datum::List(asked) if !is_orphan(op) => asked,
            _ => &[],
        };
        let Datum::List(list) = self.values.get(if is_complete { op.output } else { op.input }) else {
            return Err(wrong());
        };
        for (part, entry) in list.iter().enumerate() {
            match self.values.get(*entry) {
                Datum::List(&[name, key, value]) if self.values.text(name) == Some("send") => {
                    // What came back as it was asked has no offset; its value may look like one.
                    let placed = self.placed(value).filter(|_| is_complete && asked.get(part) != Some(entry));
                    let (offset, value) = placed.unwrap_or((UNKNOWN, value));
                    self.push(op, key, value, offset, part, true);
                }
                Datum::List(&[name, ref logs @ ..])
                    if self.values.text(name) == Some("poll") && logs.len() < 2 =>
                {
                    self.polled(op, logs.first().copied().unwrap_or(Value::NIL), part).ok_or_else(wrong)?;
                }
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }

    /// `[k v]`, which returns its offset, or `[k [offset v]]`.
    fn send(&mut self, op: &Operation<'_>) -> Result<(), ModelError> {
        let values = self.values;
        let pair = values
            .pair(op.input)
            .ok_or_else(|| ModelError::input(op, values, "[k v], or micro-operations"))?;
        let (key, value) = match self.placed(pair.1).filter(|_| is_orphan(op)) {
            Some((_, value)) => (pair.0, value),
            None => pair,
        };
        let is_echo = op.output == op.input && !is_orphan(op);
        let nested = values.pair(op.output).filter(|_| !is_echo).and_then(|(_, placed)| self.placed(placed));
        let offset = match nested {
            Some((offset, sent)) if sent == value => Some(offset),
            _ => values.int_of(op.output),
        };
        if offset.is_none() && op.outcome == Outcome::Ok && !op.output.is_nil() && !is_echo {
            return Err(ModelError::output(op, values, "the offset, or nil"));
        }
        self.push(op, key, value, offset.unwrap_or(UNKNOWN), 0, true);
        Ok(())
    }

    /// `{k offset}` or nil, which returns `{k [[offset v] …]}`.
    fn poll(&mut self, op: &Operation<'_>) -> Result<(), ModelError> {
        let values = self.values;
        let wrong = || ModelError::input(op, values, "{k offset}, nil, or micro-operations");
        match values.get(op.input) {
            Datum::Map(flat) if !is_orphan(op) => {
                let start = self.traffic.requested.len();
                for pair in flat.chunks_exact(2) {
                    let offset = values.int_of(pair[1]).ok_or_else(wrong)?;
                    let key = self.key(pair[0]);
                    self.traffic.requested.push((key, offset));
                }
                self.traffic.requested[start..].sort_unstable();
            }
            Datum::Map(_) | Datum::Nil | Datum::List(_) | Datum::Set(_) => {}
            _ => return Err(wrong()),
        }
        let is_echo = op.output == op.input && !is_orphan(op);
        let is_shown =
            op.outcome == Outcome::Ok || matches!(values.get(op.output), Datum::Map(_)) && !is_echo;
        if is_shown && self.polled(op, op.output, 0).is_none() {
            return Err(ModelError::output(op, values, "{k [[offset v] ...]}"));
        }
        Ok(())
    }

    /// Adds the messages of `{k [[offset v] …]}`; `None` if it is something else.
    fn polled(&mut self, op: &Operation<'_>, logs: Value, part: usize) -> Option<()> {
        self.has_polled = true;
        let flat = match self.values.get(logs) {
            Datum::Nil => return Some(()),
            Datum::Map(flat) => flat,
            _ => return None,
        };
        for log in flat.chunks_exact(2) {
            let messages = match self.values.get(log[1]) {
                Datum::Nil => continue,
                Datum::List(messages) => messages,
                _ => return None,
            };
            for message in messages {
                let (offset, value) = self.placed(*message)?;
                self.push(op, log[0], value, offset, part, false);
            }
        }
        Some(())
    }

    /// `[offset v]`, where the offset may be nil.
    fn placed(&self, value: Value) -> Option<(i64, Value)> {
        let (offset, value) = self.values.pair(value)?;
        let offset = if offset.is_nil() { UNKNOWN } else { self.values.int_of(offset)? };
        Some((offset, value))
    }

    fn push(
        &mut self,
        op: &Operation<'_>,
        key: Value,
        value: Value,
        offset: i64,
        part: usize,
        is_send: bool,
    ) {
        let key = self.key(key);
        let next = self.traffic.messages.len() as u32;
        let id = *self.of_message.entry((key, value)).or_insert(next);
        if id == next {
            self.traffic.messages.push(Message {
                key,
                value,
                sends: 0,
                failed_sends: 0,
                is_acknowledged: false,
                writer: None,
                reader: None,
            });
        }
        let message = &mut self.traffic.messages[id as usize];
        if !is_send {
            if op.outcome == Outcome::Ok {
                message.reader.get_or_insert(op.id);
            }
        } else if op.outcome == Outcome::Fail {
            message.failed_sends += 1;
            message.writer.get_or_insert(op.id);
        } else {
            if message.sends == 0 {
                message.writer = Some(op.id);
            }
            message.sends += 1;
            message.is_acknowledged |= op.outcome == Outcome::Ok;
        }
        self.traffic.entries.push(Entry { offset, op: op.id, key, message: id, part: part as u32, is_send });
    }

    fn assign(&mut self, op: Operation<'h>) -> Result<(), ModelError> {
        let keys = match self.values.get(op.input) {
            Datum::Nil => &[][..],
            Datum::List(keys) | Datum::Set(keys) => keys,
            _ => return Err(ModelError::input(&op, self.values, "the list of keys")),
        };
        let start = self.traffic.assigned.len();
        for key in keys {
            let key = self.key(*key);
            self.traffic.assigned.push(key);
        }
        self.traffic.assigned[start..].sort_unstable();
        let keys = start..self.traffic.assigned.len();
        let subscribes = op.f == "subscribe";
        self.traffic.steps.push(Step { op, what: What::Assign { keys, subscribes } });
        Ok(())
    }

    fn key(&mut self, key: Value) -> u32 {
        let key = key_of(self.values, key);
        let next = self.traffic.keys.len() as u32;
        let id = *self.of_key.entry(key).or_insert(next);
        if id == next {
            self.traffic.keys.push(key);
        }
        id
    }
}

/// The integer, for the text of one.
fn key_of(values: &Values, key: Value) -> Value {
    let int = values.text(key).and_then(|text| text.parse().ok()).and_then(Value::small_int);
    int.unwrap_or(key)
}

/// True if the history has only its completion, whose value then stands for its input as well.
fn is_orphan(op: &Operation<'_>) -> bool {
    op.invoke_position == op.complete_position
}
