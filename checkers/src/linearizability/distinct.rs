//! Near-linear decision procedures for histories whose values are distinct.
//!
//! When no value is brought in twice, a result names the operation that it came from, and the
//! question "is there an order?" becomes one about intervals. The procedures are exact, need
//! O(n log n) time and O(n) memory however many operations overlap, and prove what they say: a
//! linearization, or a few operations that no order explains.
//!
//! They are not a search: what they do not cover ([`Decision::NotApplicable`]) is left to the
//! general engines.
//!
//! | family | source |
//! |---|---|
//! | [`register`] | Gibbons & Korach, *Testing shared memories*, SIAM J. Comput. 1997, §4 |
//! | [`queue`] | Henzinger, Sezgin & Vafeiadis, *Aspect-oriented linearizability proofs*, CONCUR 2013 |
//! | [`priority_queue`] | Bouajjani, Enea & Wang, *Checking linearizability of concurrent priority queues*, CONCUR 2017 |
//! | [`stack`] | Bouajjani, Emmi, Enea & Hamza, *On reducing linearizability to state reachability*, ICALP 2015; Lee & Mathur 2025 for the idea of splitting by sweeps |
//! | [`grow_set`] | reads of one growing set form a chain by inclusion |
//!
//! # What a core claims
//! Leave out every operation on other values than [`Decision::Invalid::values`] (for a set: look at
//! those members only). Demand that each operation of the core takes effect exactly once (at most
//! once if it is pending), and let every other one take effect within its own interval any number of
//! times, or not at all. Still no order is legal; and without any one operation of the core there is
//! one. A take therefore stands for its put as well: it cannot happen without it.

mod flaw;

mod register;

#[cfg(test)]
mod tests;

use crate::model::{Family, Role};
use crate::value::{Value, Values};

/// One operation of a part. Its interval is closed, and `a` precedes `b` exactly when
/// `a.res < b.inv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Position of the invocation.
    pub inv: u32,
    /// Position of the completion; [`NEVER`](crate::history::NEVER) if it may not have happened.
    pub res: u32,
    /// What it did.
    pub role: Role,
}

impl Item {
    fn is_pending(&self) -> bool {
        self.res == crate::history::NEVER
    }
}

/// What a procedure found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A linearization, as indices into the items: every completed one, and those pending ones that
    /// took effect.
    Valid(Vec<u32>),
    /// There is none.
    Invalid {
        /// Indices of the operations that cannot all be placed, ascending.
        core: Vec<u32>,
        /// The values that the core is about, ascending by handle.
        values: Vec<Value>,
        /// The reason.
        why: Why,
        /// False if the bound on the effort of shrinking was reached.
        minimal: bool,
    },
    /// Values are not distinct, or an operation has no place in the procedure.
    NotApplicable,
}

/// Why there is no order. The numbers are indices of items; they may name operations that explain
/// the violation but need not be in the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// `seen_by` returned a value that nothing brought in.
    NeverPut { seen_by: u32 },
    /// `seen_by` completed before `put`, the only source of its value, was invoked.
    SeenBeforePut { seen_by: u32, put: u32 },
    /// Register: each of two values must have been held before and after the other.
    Interleaved(Box<[Zone; 2]>),
}

/// What a register's history says about one value: it was there when `first` completed, and (again)
/// after `last` was invoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    /// The value.
    pub value: Value,
    /// Its write; `None` for the initial value.
    pub write: Option<u32>,
    /// The operation on it that completed first; `None` for the initial value, which was there
    /// before everything else.
    pub first: Option<u32>,
    /// The operation on it that was invoked last.
    pub last: u32,
}

/// Decides whether `items`, sorted by invocation, are linearizable. `initial` is the initial value
/// of a register; every other family starts empty and is not decided if `initial` says otherwise.
pub(crate) fn decide(family: Family, items: &[Item], initial: Value, values: &Values) -> Decision {
    assert!(items.len() < 1 << 30, "indices are packed into 30 bits");
    debug_assert!(items.is_sorted_by_key(|item| item.inv), "items come sorted by invocation");
    let _ = values;
    match family {
        Family::Register => register::decide(items, initial),
        _ => Decision::NotApplicable,
    }
}
