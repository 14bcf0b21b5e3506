//! Registers by key: each holds what was last written to it.

use serde::{Deserialize, Serialize};

/// What a register holds. Keys and values are numbers: what they stand for is the client's business.
pub type Value = u64;
/// The name of a register.
pub type Key = u32;

/// What clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// What does the register hold?
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
}

impl Op {
    /// The register that it is about.
    pub fn key(self) -> Key {
        match self {
            Op::Read { key } | Op::Write { key, .. } => key,
        }
    }
}

/// What clients are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret {
    /// The register held this; `None` if nobody has written it yet.
    Value(Option<Value>),
    /// It was written.
    Written,
}
