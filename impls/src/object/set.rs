//! A set that only grows: everybody adds to it, and reads all of it.

use serde::{Deserialize, Serialize};

/// What is in a set. Elements are numbers: what they stand for is the client's business.
pub type Element = u64;

/// What clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Let this be in the set.
    Add {
        /// What.
        element: Element,
    },
    /// What is in the set?
    Read,
}

/// What clients are answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret {
    /// It is in the set.
    Added,
    /// This is in the set, in order.
    Elements(Vec<Element>),
}
