//! Lists by key: everybody appends to a list's end, and reads all of one. What was read tells in which
//! order the appends took effect, which is why Elle's histories are made of them (Kingsbury & Alvaro 2020).

use serde::{Deserialize, Serialize};

/// What is in a list. Elements are numbers: what they stand for is the client's business.
pub type Element = u64;
/// The name of a list.
pub type Key = u32;

/// What clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Add this at the end of the list.
    Append {
        /// Which list.
        key: Key,
        /// What.
        element: Element,
    },
    /// What is in the list?
    Read {
        /// Which list.
        key: Key,
    },
}

impl Op {
    /// The list that it is about.
    pub fn key(self) -> Key {
        match self {
            Op::Append { key, .. } | Op::Read { key } => key,
        }
    }
}

/// What clients are answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret {
    /// It was added.
    Appended,
    /// This is in the list, the oldest first.
    Elements(Vec<Element>),
}
