//! A key-value store: read, write, compare-and-set, append, delete, each on one key.

use super::bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a key holds.
pub type Value = Bytes;
/// A key. Keys are numbers: what they stand for is the client's business.
pub type Key = u32;

/// What clients ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// What does the key hold?
    Read {
        /// Which one.
        key: Key,
    },
    /// Let it hold this.
    Write {
        /// Which one.
        key: Key,
        /// What.
        value: Value,
    },
    /// Let it hold this, if it holds that.
    Cas {
        /// Which one.
        key: Key,
        /// What it has to hold; `None`: nothing.
        from: Option<Value>,
        /// What it shall hold.
        to: Value,
    },
    /// Let it hold what it holds and then this.
    Append {
        /// Which one.
        key: Key,
        /// What to add. A key that holds nothing holds this afterwards.
        value: Value,
    },
    /// Let it hold nothing.
    Delete {
        /// Which one.
        key: Key,
    },
}

impl Op {
    /// The key that it is about.
    pub fn key(&self) -> Key {
        match self {
            Op::Read { key }
            | Op::Write { key, .. }
            | Op::Cas { key, .. }
            | Op::Append { key, .. }
            | Op::Delete { key } => *key,
        }
    }
}

/// What clients are answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret {
    /// The key held this; `None`: nothing.
    Value(Option<Value>),
    /// It was written, appended or deleted.
    Done,
    /// Whether it held what the compare-and-set expected, and so holds the new value.
    Swapped(bool),
}
