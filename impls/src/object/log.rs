//! A log: everybody appends to its end and reads all of it.

use super::bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What clients ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Add this at the end.
    Append {
        /// What.
        value: Bytes,
    },
    /// What is in the log?
    Read,
}

/// What clients are answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret {
    /// It was added.
    Appended {
        /// Its place, counted from 0.
        offset: u64,
    },
    /// This is in the log, the oldest first.
    Values(Vec<Bytes>),
}
