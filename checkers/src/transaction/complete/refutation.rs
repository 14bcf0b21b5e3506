//! The proof that no schedule explains a history, in terms of the history alone.
//!
//! Edges have their moments: under snapshot isolation and prefix consistency, where transactions take a
//! snapshot at their start and become visible at their commit, an edge says
//!
//! | why | from | to |
//! |---|---|---|
//! | session, real time, read | commit | start |
//! | missed | start | commit |
//! | overwrote | commit | start (snapshot isolation), commit (prefix) |
//!
//! A row of edges is a path only if each begins no earlier than the one before it ended, a start being before
//! the commit of the same transaction. A cycle is a path that returns to where it began, in the same sense.
//! Under serializability a transaction has one moment.
//!
//! [`Because::Otherwise`] in such an edge holds a path from the writer of the earlier version to the writer
//! of the later one, or to somebody who read the later one: were the versions the other way round, that path
//! would be closed to a cycle by the later one's writer having been overwritten, or by that reader having
//! missed the earlier one.

use super::Order;
use crate::transaction::proof::{Because, Edge, Why};
use crate::transaction::{NOBODY, Transactions, TxnId};

/// Two transactions that wrote a common key, in one of their two orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Choice {
    /// Commits first.
    pub earlier: TxnId,
    /// Commits later.
    pub later: TxnId,
}

impl Choice {
    /// The other order.
    pub fn reversed(self) -> Choice {
        Choice { earlier: self.later, later: self.earlier }
    }

    /// What an edge takes for granted, if its version order is [`Because::Case`].
    pub fn of(edge: &Edge, txns: &Transactions) -> Option<Choice> {
        let (earlier, later) = match edge.why {
            Why::Overwrote { before, after, because: Because::Case } => (before, after),
            Why::Missed { seen, after, because: Because::Case } => (seen, after),
            _ => return None,
        };
        let (earlier, later) = (txns.writer(earlier), txns.writer(later));
        (earlier != NOBODY && later != NOBODY).then_some(Choice { earlier, later })
    }
}

/// Why no schedule explains a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refutation {
    /// The transactions that it is about, in the order of their rows. No schedule explains even these alone,
    /// with reads from others left out of account.
    pub core: Vec<TxnId>,
    /// Why not.
    pub argument: Argument,
    /// True if every transaction of the core is needed: without any one of them the others can be explained.
    pub minimal: bool,
}

/// How a history is refuted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A cycle: each edge must hold, and not all of them can.
    Cycle(Vec<Edge>),
    /// A proof by cases. Of two transactions that wrote a common key one commits first. Each lemma is a cycle
    /// some of whose edges are [`Because::Case`]: so the choices that those take for granted are not all
    /// right. Each learned clause says that one of its choices is right, at least; it follows from the lemmas
    /// and the clauses before it by unit propagation (make all of its choices wrong; follow what has only one
    /// way left; something cannot be met). From all of them follows, likewise, that nothing can be right.
    Cases {
        /// The cycles.
        lemmas: Vec<Vec<Edge>>,
        /// The clauses, in order.
        learned: Vec<Vec<Choice>>,
    },
}

impl Argument {
    /// The transactions that occur, and those whose versions do, ascending.
    pub fn transactions(&self, txns: &Transactions) -> Vec<TxnId> {
        let mut found = Vec::new();
        self.each_edge(|edge| {
            found.extend([edge.from, edge.to]);
            if let Why::Missed { seen, .. } = edge.why {
                found.push(txns.writer(seen));
            }
        });
        found.sort_unstable();
        found.dedup();
        found.retain(|&txn| txn != NOBODY);
        found
    }

    /// The transactions of which something is said only because of an order that `order` does not contain.
    pub(super) fn bound_beyond(&self, order: Order) -> Vec<TxnId> {
        let mut found = Vec::new();
        self.each_edge(|edge| {
            let is_beyond = match edge.why {
                Why::Session => order == Order::Free,
                Why::RealTime => order != Order::RealTime,
                _ => false,
            };
            if is_beyond {
                found.extend([edge.from, edge.to]);
            }
        });
        found
    }

    /// All edges, those that stand in reasons included.
    fn each_edge(&self, mut look: impl FnMut(&Edge)) {
        let mut open: Vec<&Edge> = match self {
            Argument::Cycle(cycle) => cycle.iter().collect(),
            Argument::Cases { lemmas, .. } => lemmas.iter().flatten().collect(),
        };
        while let Some(edge) = open.pop() {
            look(edge);
            if let Why::Overwrote { because: Because::Otherwise { path }, .. }
            | Why::Missed { because: Because::Otherwise { path }, .. } = &edge.why
            {
                open.extend(path);
            }
        }
    }
}
