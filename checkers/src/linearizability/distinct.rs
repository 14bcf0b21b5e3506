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

mod contents;
mod flaw;
mod grow_set;
mod intervals;
mod priority_queue;
mod queue;
mod register;
mod shrink;
mod stack;
mod unknown_takes;

#[cfg(test)]
mod tests;

use crate::model::{Family, Role};
use crate::value::{Datum, Value, Values};
use contents::WhichTaken;

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
    /// `seen_by` saw or took a value that nothing brought in.
    NeverPut { seen_by: u32, value: Value },
    /// `seen_by` completed before `put`, the only source of a value that it saw or took, was invoked.
    SeenBeforePut { seen_by: u32, put: u32, value: Value },
    /// Two operations took the same value, which `put` brought in once.
    TakenTwice { put: u32, first: u32, second: u32 },
    /// `nothing` found nothing, though at every moment of it one of the values that these puts brought
    /// in, in the order of time, had to be there.
    NothingWhilePresent { nothing: u32, puts: Vec<u32> },
    /// Queue: `first_put` completed before `second_put` was invoked, but `second_take` completed
    /// before `first_take` was invoked, or there is no `first_take`.
    Overtaken { first_put: u32, first_take: Option<u32>, second_put: u32, second_take: u32 },
    /// Queue: of the values that `puts` brought in, all that `takes`, which never returned, can have
    /// taken in time is one each, so one of them stayed; `then` is what it was in the way of.
    TooFewTakes { puts: Vec<u32>, takes: Vec<u32>, then: Box<Why> },
    /// Priority queue: at every moment when `take` could have taken the value of `put`, one of the
    /// larger values that these puts brought in, in the order of time, had to be there.
    LargerPresent { put: u32, take: u32, larger: Vec<u32> },
    /// Stack: the values that these puts brought in overlap so that they cannot be told apart in
    /// time, and none of them can be pushed before and popped after all the others.
    /// `failed` takes one of them out, or puts it in if nobody takes it.
    NoneOutermost { puts: Vec<u32>, failed: u32 },
    /// Growing set: each of two reads saw a member that the other did not.
    NoChain { first: u32, second: u32 },
    /// Growing set: `seen_by` completed before `missed_by` was invoked, and saw a member more.
    Vanished { seen_by: u32, missed_by: u32 },
    /// Growing set: `missed_by` did not see what `put` brought in, though `put` completed before it
    /// was invoked; or before `later_put` was, whose member it did see.
    Missed { put: u32, later_put: Option<u32>, missed_by: u32 },
    /// Register: each of two values must have been held before and after the other. `failed` is the
    /// last operation on the value that was held first, if that is of the core.
    Interleaved { zones: Box<[Zone; 2]>, failed: u32 },
}

impl Why {
    /// The member of the core that cannot be placed.
    pub(crate) fn failed(&self) -> u32 {
        match *self {
            Why::NeverPut { seen_by, .. } | Why::SeenBeforePut { seen_by, .. } => seen_by,
            Why::TakenTwice { second, .. } => second,
            Why::NothingWhilePresent { nothing, .. } => nothing,
            Why::Overtaken { second_take, .. } => second_take,
            Why::TooFewTakes { ref then, .. } => then.failed(),
            Why::LargerPresent { take, .. } => take,
            Why::NoneOutermost { failed, .. } => failed,
            Why::NoChain { second, .. } => second,
            Why::Vanished { missed_by, .. } | Why::Missed { missed_by, .. } => missed_by,
            Why::Interleaved { failed, .. } => failed,
        }
    }
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
    match family {
        Family::Register => register::decide(items, initial),
        _ if !is_empty(initial, values) => Decision::NotApplicable,
        Family::Queue => contents::decide(items, WhichTaken::First, &queue::solve),
        Family::Stack => contents::decide(items, WhichTaken::Search, &stack::solve),
        Family::PriorityQueue => priority_queue::decide(items, values),
        Family::GrowSet => grow_set::decide(items, values),
    }
}

/// Whether a container that starts as `initial` starts empty.
fn is_empty(initial: Value, values: &Values) -> bool {
    match values.get(initial) {
        Datum::Nil => true,
        Datum::List(members) | Datum::Set(members) | Datum::Map(members) => members.is_empty(),
        _ => false,
    }
}
