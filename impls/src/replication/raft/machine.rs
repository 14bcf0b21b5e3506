//! What is replicated: a state machine that every node runs, and six to choose from.

use super::log::{Entry, LogId, Payload};
use super::sessions::Sessions;
use crate::object::{bytes::Bytes, counter, kv, list, log, register, set};
use crate::protocol::{ClientId, Data, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A deterministic state machine (§2): the same commands in the same order give the same answers and the
/// same state, on every node and in every version that runs at a time. What it is, as data, is its
/// snapshot.
pub trait StateMachine: Data + Default {
    /// What clients ask.
    type Command: Data;
    /// What they are answered.
    type Ret: Data;

    /// Whether the command only asks. Such commands are not logged (§8).
    fn is_query(command: &Self::Command) -> bool;

    /// Answers a command that only asks.
    fn query(&self, command: &Self::Command) -> Self::Ret;

    /// Does what the command says.
    fn apply(&mut self, command: &Self::Command) -> Self::Ret;

    /// About how many bytes the command takes in a message, for limits.
    fn bytes(_command: &Self::Command) -> usize {
        size_of::<Self::Command>()
    }
}

/// Registers by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Registers(BTreeMap<register::Key, register::Value>);

impl StateMachine for Registers {
    type Command = register::Op;
    type Ret = register::Ret;

    fn is_query(op: &register::Op) -> bool {
        matches!(op, register::Op::Read { .. })
    }

    fn query(&self, op: &register::Op) -> register::Ret {
        register::Ret::Value(self.0.get(&op.key()).copied())
    }

    fn apply(&mut self, op: &register::Op) -> register::Ret {
        match *op {
            register::Op::Read { .. } => self.query(op),
            register::Op::Write { key, value } => {
                self.0.insert(key, value);
                register::Ret::Written
            }
        }
    }
}

/// A key-value store.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Store(BTreeMap<kv::Key, kv::Value>);

impl StateMachine for Store {
    type Command = kv::Op;
    type Ret = kv::Ret;

    fn is_query(op: &kv::Op) -> bool {
        matches!(op, kv::Op::Read { .. })
    }

    fn query(&self, op: &kv::Op) -> kv::Ret {
        kv::Ret::Value(self.0.get(&op.key()).cloned())
    }

    fn apply(&mut self, op: &kv::Op) -> kv::Ret {
        match op {
            kv::Op::Read { .. } => return self.query(op),
            kv::Op::Write { key, value } => drop(self.0.insert(*key, value.clone())),
            kv::Op::Cas { key, from, to } => {
                let holds = self.0.get(key) == from.as_ref();
                if holds {
                    self.0.insert(*key, to.clone());
                }
                return kv::Ret::Swapped(holds);
            }
            kv::Op::Append { key, value } => {
                let held = self.0.entry(*key).or_default();
                *held = held.join(value);
            }
            kv::Op::Delete { key } => drop(self.0.remove(key)),
        }
        kv::Ret::Done
    }

    fn bytes(op: &kv::Op) -> usize {
        let held = match op {
            kv::Op::Read { .. } | kv::Op::Delete { .. } => 0,
            kv::Op::Write { value, .. } | kv::Op::Append { value, .. } => value.len(),
            kv::Op::Cas { from, to, .. } => from.as_ref().map_or(0, |from| from.len()) + to.len(),
        };
        size_of::<kv::Op>() + held
    }
}

/// A log of what clients append.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Journal(Vec<Bytes>);

impl StateMachine for Journal {
    type Command = log::Op;
    type Ret = log::Ret;

    fn is_query(op: &log::Op) -> bool {
        matches!(op, log::Op::Read)
    }

    fn query(&self, _: &log::Op) -> log::Ret {
        log::Ret::Values(self.0.clone())
    }

    fn apply(&mut self, op: &log::Op) -> log::Ret {
        let log::Op::Append { value } = op else { return self.query(op) };
        self.0.push(value.clone());
        log::Ret::Appended { offset: self.0.len() as u64 - 1 }
    }

    fn bytes(op: &log::Op) -> usize {
        let log::Op::Append { value } = op else { return size_of::<log::Op>() };
        size_of::<log::Op>() + value.len()
    }
}

/// A set that only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Elements(BTreeSet<set::Element>);

impl StateMachine for Elements {
    type Command = set::Op;
    type Ret = set::Ret;

    fn is_query(op: &set::Op) -> bool {
        matches!(op, set::Op::Read)
    }

    fn query(&self, _: &set::Op) -> set::Ret {
        set::Ret::Elements(self.0.iter().copied().collect())
    }

    fn apply(&mut self, op: &set::Op) -> set::Ret {
        let set::Op::Add { element } = *op else { return self.query(op) };
        self.0.insert(element);
        set::Ret::Added
    }
}

/// A counter.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counter(i64);

impl StateMachine for Counter {
    type Command = counter::Op;
    type Ret = counter::Ret;

    fn is_query(op: &counter::Op) -> bool {
        matches!(op, counter::Op::Read)
    }

    fn query(&self, _: &counter::Op) -> counter::Ret {
        counter::Ret::Sum(self.0)
    }

    fn apply(&mut self, op: &counter::Op) -> counter::Ret {
        match *op {
            counter::Op::Read => self.query(op),
            counter::Op::Add { by } => {
                self.0 = self.0.wrapping_add(by);
                counter::Ret::Added
            }
            counter::Op::AddAndGet { by } => {
                self.0 = self.0.wrapping_add(by);
                counter::Ret::Sum(self.0)
            }
        }
    }
}

/// Lists by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lists(BTreeMap<list::Key, Vec<list::Element>>);

impl StateMachine for Lists {
    type Command = list::Op;
    type Ret = list::Ret;

    fn is_query(op: &list::Op) -> bool {
        matches!(op, list::Op::Read { .. })
    }

    fn query(&self, op: &list::Op) -> list::Ret {
        list::Ret::Elements(self.0.get(&op.key()).cloned().unwrap_or_default())
    }

    fn apply(&mut self, op: &list::Op) -> list::Ret {
        let list::Op::Append { key, element } = *op else { return self.query(op) };
        self.0.entry(key).or_default().push(element);
        list::Ret::Appended
    }
}

/// About how many bytes an entry takes in a message.
pub(super) fn entry_bytes<S: StateMachine>(entry: &Entry<S::Command>) -> usize {
    match &entry.payload {
        Payload::Command { command, .. } => 32 + S::bytes(command),
        Payload::Noop | Payload::Membership { .. } => 64,
    }
}

/// The state machine as a node runs it: with the sessions of its clients, up to some entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Machine<S: StateMachine> {
    pub(super) state: S,
    pub(super) sessions: Sessions<S::Ret>,
    /// The last entry that was applied.
    pub(super) applied: LogId,
}

impl<S: StateMachine> Default for Machine<S> {
    fn default() -> Machine<S> {
        Machine { state: S::default(), sessions: Sessions::default(), applied: LogId::default() }
    }
}

impl<S: StateMachine> Machine<S> {
    /// Applies a client's command, once: one that was applied already is answered as it was then. `None`
    /// if the client has gone on to another since, and what this one was answered is forgotten.
    pub(super) fn apply(
        &mut self,
        client: ClientId,
        id: RequestId,
        command: &S::Command,
        sessions_max: usize,
    ) -> Option<S::Ret> {
        self.sessions.once(client, id, self.applied.index, sessions_max, || self.state.apply(command))
    }

    /// As bytes, for a snapshot.
    pub(super) fn to_bytes(&self) -> Bytes {
        postcard::to_allocvec(self).expect("plain data can be written").into()
    }

    /// From a snapshot's bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Machine<S> {
        postcard::from_bytes(bytes).expect("what a node wrote, and no driver lets be damaged, can be read")
    }
}
