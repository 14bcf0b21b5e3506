//! Weak isolation of registers: read committed, read atomic, causal consistency, and the four session
//! guarantees, each decided exactly and with a proof.
//!
//! # Definitions
//!
//! The frame is that of Biswas and Enea ("On the Complexity of Checking Transactional Consistency", OOPSLA
//! 2019). `so` orders the transactions of each session; `wr` leads from a transaction to whoever read one of
//! its versions. A level holds if there is a *commit order* `co`: a total order of the transactions that
//! contains `so` and `wr` and satisfies the level's axiom,
//!
//! > t2 ∈ V(r), t2 writes x, and r reads x from t1 ≠ t2  ⇒  t2 co t1,
//!
//! for every read r of every transaction t3, where V(r) is what must have been visible to r. `po` is the
//! order of the reads within one transaction, and `a ; b` is first a, then b:
//!
//! | level | t2 ∈ V(r) if and only if |
//! |---|---|
//! | [`ReadCommitted`](WeakLevel::ReadCommitted) | t2 was read before r in t3: t2 wr r', r' po r |
//! | [`ReadAtomic`](WeakLevel::ReadAtomic) | t2 (so ∪ wr) t3 |
//! | [`Causal`](WeakLevel::Causal) | t2 (so ∪ wr)⁺ t3 |
//! | [`ReadYourWrites`](WeakLevel::ReadYourWrites) | t2 so t3 |
//! | [`MonotonicReads`](WeakLevel::MonotonicReads) | t2 was read by t3 before r, or by some t with t so t3 |
//! | [`MonotonicWrites`](WeakLevel::MonotonicWrites) | t2 so t', and t' was read by t3 before r |
//! | [`WritesFollowReads`](WeakLevel::WritesFollowReads) | t2 wr a, a (so ∪ wr)* t', and t' was read by t3 before r |
//!
//! So causal consistency implies all the others, read atomic implies read committed and read your writes,
//! and monotonic reads implies read committed. A cycle of `so` and `wr` violates every level.
//!
//! *Read committed* is the axiomatic one, and what AWDIT, Plume and DBCop call so: once a transaction has
//! seen another, it goes on seeing all of it. Elsewhere in this crate that is *monotonic atomic view* (Bailis
//! et al., "Highly Available Transactions", 2013), and read committed is Adya's PL-2, which asks for less.
//!
//! # The session guarantees
//!
//! Terry et al. ("Session Guarantees for Weakly Consistent Replicated Data", 1994) speak of reads and writes
//! of servers; here a transaction takes the place of a write, and is visible as a whole or not at all. Of
//! the four, monotonic writes and writes follow reads say two things: that servers apply writes in a certain
//! order, which every commit order grants, since it contains `so` and `wr` (Viotti and Vukolić 2016, and
//! Jepsen's pages after them, stop there); and that no server shows a write without those that come before
//! it. The second is what V says. It can only be seen broken by a reader who does not himself go back in
//! time, and alone neither guarantee keeps him from that; so it is asked of the reads of one transaction, in
//! their order. Chains are followed: a server with t' has what t' read from, and what that read from. That the
//! four together amount to causal consistency (Brzeziński, Sobaniec, Wawrzyniak 2004) is said of readers who
//! are held to all four at once, which is more than four answers of "holds".
//!
//! Since `co` contains `so`, a session that reads the older one of two of its own writes violates read your
//! writes, although Terry's servers might have applied the two in the other order and so have broken
//! monotonic writes instead.
//!
//! # What counts
//!
//! Nodes are the transactions that [`Transactions::counted`] takes to have committed, and besides any aborted
//! one whose write somebody saw: it is treated as if it had committed, for that it was seen is another
//! finding. For the same reason a read of an intermediate version is taken for a read of its writer. A
//! transaction of unknown outcome that counts may have taken effect at any time after its invocation, so
//! where its session goes on after it, it stands outside of session order. A version that nobody wrote says nothing about the rest and is left out of account; so is a read of a key
//! that the transaction has itself written before, and one of a version that it writes later.
//!
//! Before everything else comes an implicit transaction that wrote [`INITIAL`](super::INITIAL) to every key:
//! whoever reads that although a writer of the key is visible to him is a violation by himself. Of lists, a
//! read counts as a read of the last element.
//!
//! # Algorithms
//!
//! The axiom is not tried on orders: of the edges t2 → t1 it asks for, enough are drawn that any order of
//! the transactions along them satisfies it, and the level holds if and only if they, `so` and `wr` have no
//! cycle. Which ones are enough, and how to find them fast, is due to AWDIT (Møldrup and Pavlogiannis, "AWDIT:
//! An Optimal Weak Database Isolation Tester", PLDI 2025). With n the size of the history and k sessions:
//!
//! | level | edges | cost |
//! |---|---|---|
//! | read committed, monotonic reads | `monotone` | O(n^1.5) |
//! | read atomic, read your writes | `atomic` | O(n^1.5), O(n) |
//! | causal | `causal`, on the clocks of `clocks` | O(n k) |
//! | monotonic writes | `prefix` | O(n min(k, m) log n) for m reads a transaction |
//! | writes follow reads | `prefix`, on the same clocks | O(n k log n), unless reads are far behind |
//!
//! Causality is tracked by one row of numbers per transaction that may still be read, for a block of sessions
//! at a time: that takes memory at most proportional to n, whatever k is. What comes on top are the edges, at
//! most one per session for each version that was read, and far fewer if writers have seen what they overwrite.

mod atomic;
mod base;
mod causal;
mod clocks;
mod cycle;
mod explain;
mod monotone;
mod order;
mod prefix;
#[cfg(test)]
mod tests;

use super::proof::{Certificate, Edge};
use super::{KeyId, Transactions, TxnId, VersionId};
use crate::linearizability::budget::Budget;
use crate::options::Options;
use crate::verdict::Reason;
use base::{Base, Node};
use explain::Explainer;
use order::{Edges, Graph};

/// A level of weak isolation. The module's text defines each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WeakLevel {
    /// What a transaction has seen of another, it goes on seeing, whole. The axiomatic read committed;
    /// monotonic atomic view in this crate's lattice.
    ReadCommitted,
    /// A transaction sees its session's earlier ones, and of every other all or nothing.
    ReadAtomic,
    /// A transaction sees everything that may have led to it.
    Causal,
    /// A transaction sees what its session wrote before.
    ReadYourWrites,
    /// A session goes on seeing what it has seen.
    MonotonicReads,
    /// Whoever sees a transaction sees what its session wrote before it.
    MonotonicWrites,
    /// Whoever sees a transaction sees what its session had read before it.
    WritesFollowReads,
}

impl WeakLevel {
    /// All of them.
    pub const ALL: [WeakLevel; 7] = [
        WeakLevel::ReadCommitted,
        WeakLevel::ReadAtomic,
        WeakLevel::Causal,
        WeakLevel::ReadYourWrites,
        WeakLevel::MonotonicReads,
        WeakLevel::MonotonicWrites,
        WeakLevel::WritesFollowReads,
    ];
}

/// Whether a history satisfies a level, and the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeakAnswer {
    /// It does: a [`Certificate::CommitOrder`] of all transactions that count.
    Holds(Certificate),
    /// It does not.
    Violated(Violation),
    /// A budget ran out first.
    Unknown(Reason),
}

/// Why there is no commit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// These edges lead round in a circle, each from where the one before ended; the last one ends where
    /// the first began. Their reasons are [`Session`](super::proof::Why::Session),
    /// [`Read`](super::proof::Why::Read) and [`Visible`](super::proof::Why::Visible).
    Cycle(Vec<Edge>),
    /// The reader saw a key as it was before anybody wrote it, although a transaction that wrote it was
    /// visible to him: that one would have to precede the initial state.
    StaleInitial {
        /// Who read [`INITIAL`](super::INITIAL).
        reader: TxnId,
        /// The version of that key that he missed.
        missed: VersionId,
        /// How its writer was visible to the reader: from the former to the latter.
        path: Vec<Edge>,
    },
    /// The reader saw two versions of one key, of two other transactions; either may be
    /// [`INITIAL`](super::INITIAL). Only of [`WeakLevel::ReadAtomic`]: each of the two would have to
    /// precede the other.
    NonRepeatable {
        /// Who read both.
        reader: TxnId,
        /// The key.
        key: KeyId,
        /// What he read earlier.
        first: VersionId,
        /// What he read later.
        second: VersionId,
    },
}

/// Decides whether `txns` satisfies `level`. Of `options`, the limits of time and memory and the
/// cancellation count.
///
/// The answer is the same in every run unless a limit is reached.
pub fn check(txns: &Transactions, level: WeakLevel, options: &Options) -> WeakAnswer {
    Prepared::of(txns).check(level, &Budget::new(options))
}

/// A history made ready to be judged by several levels.
pub(crate) struct Prepared<'t> {
    txns: &'t Transactions,
    base: Base,
    /// An order along `so` and `wr`, if there is one.
    order: Option<Vec<Node>>,
}

impl<'t> Prepared<'t> {
    pub(crate) fn of(txns: &'t Transactions) -> Prepared<'t> {
        let base = Base::of(txns);
        let order = Graph::new(&base, Edges::default(), vec![]).sorted();
        Prepared { txns, base, order }
    }

    /// As [`check`], within a budget that may have begun before.
    pub(crate) fn check(&self, level: WeakLevel, budget: &Budget) -> WeakAnswer {
        let base = &self.base;
        let explainer = Explainer::new(self.txns, base, level);
        let Some(order) = &self.order else {
            return explainer.cycle(&Graph::new(base, Edges::default(), vec![]).cycle());
        };
        if let Some(reason) = budget.exceeded(base.heap_bytes()) {
            return WeakAnswer::Unknown(reason);
        }
        let mut stations = vec![];
        let drawn = match level {
            WeakLevel::ReadCommitted => monotone::read_committed(base, budget),
            WeakLevel::MonotonicReads => monotone::monotonic_reads(base, budget),
            WeakLevel::ReadAtomic => atomic::read_atomic(base, budget),
            WeakLevel::ReadYourWrites => atomic::read_your_writes(base, budget),
            WeakLevel::Causal => causal::causal(base, order, budget),
            WeakLevel::MonotonicWrites => prefix::monotonic_writes(base, budget),
            WeakLevel::WritesFollowReads => prefix::writes_follow_reads(base, order, budget, &mut stations),
        };
        let edges = match drawn {
            Ok(edges) => edges,
            Err(stop) => return explainer.stopped(stop),
        };
        if let Some(reason) = budget.exceeded(base.heap_bytes() + 2 * edges.heap_bytes()) {
            return WeakAnswer::Unknown(reason);
        }
        let graph = Graph::new(base, edges, stations);
        match graph.sorted() {
            Some(order) => {
                let txn = |node: &Node| base.txn(*node);
                WeakAnswer::Holds(Certificate::CommitOrder(order.iter().map(txn).collect()))
            }
            None => explainer.cycle(&graph.cycle()),
        }
    }
}

/// Why an engine stopped before it had drawn all edges.
enum Stop {
    /// `writer` wrote the key and was visible to somebody who read the key's initial state.
    Initial { writer: Node, key: KeyId },
    /// `reader` read two versions of a key, by the places of the two among its reads.
    Twice { reader: Node, first: usize, second: usize },
    /// A budget ran out.
    Limit(Reason),
}

/// Asks the budget, once in a while.
struct Patience<'b> {
    budget: &'b Budget,
    steps: u32,
}

impl<'b> Patience<'b> {
    /// Transactions between two looks at the clock.
    const STEPS: u32 = 4096;

    fn new(budget: &'b Budget) -> Patience<'b> {
        Patience { budget, steps: 0 }
    }

    fn step(&mut self, held_bytes: impl FnOnce() -> usize) -> Result<(), Stop> {
        self.steps += 1;
        if !self.steps.is_multiple_of(Patience::STEPS) {
            return Ok(());
        }
        self.budget.exceeded(held_bytes()).map_or(Ok(()), |reason| Err(Stop::Limit(reason)))
    }
}
