//! A counter: everybody adds to it, and sees the sum. Adding twice what was asked once shows.

use serde::{Deserialize, Serialize};

/// What clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Let the counter be higher by this.
    Add {
        /// By how much.
        by: i64,
    },
    /// The same, and how much is it then?
    AddAndGet {
        /// By how much.
        by: i64,
    },
    /// How much is it?
    Read,
}

/// What clients are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret {
    /// It was added.
    Added,
    /// The sum; after adding, if that was asked for.
    Sum(i64),
}
