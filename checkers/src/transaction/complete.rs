//! Complete decision of serializability, snapshot isolation and prefix consistency of registers; and of lists,
//! where what nobody saw was appended in an order that nobody knows.
//!
//! Whether some schedule explains a history of registers is NP-complete (Papadimitriou, J. ACM 26, 1979), since
//! nothing says in which order two transactions wrote a key. Inference alone, as Elle does it, finds much
//! that is wrong and proves nothing right. Cobra (Tan et al., OSDI 2020) decides serializability, PolySI
//! (Huang et al., VLDB 2023) and Viper (Zhang et al., EuroSys 2023) snapshot isolation, each by a constraint for
//! every pair of writers of a key and the solver MonoSAT (Bayless et al., AAAI 2015). Here:
//!
//! 1. What follows at once becomes a graph (`graph.rs`): reads, sessions or real time, initial values, that
//!    who read a version and then wrote the key comes next, and, of lists, the order that they show.
//! 2. Orders that are nearly always right are tried: timestamps, completions. One that explains every read
//!    decides a correct history in a pass (`arrange.rs`).
//! 3. What follows from that is added, to a fixpoint (`saturate.rs`). A cycle decides an incorrect one.
//! 4. The rest is searched, with constraints only for pairs about which some order was wrong (`search.rs`).
//!
//! Where less than real time is asked for, real time is asked for first: most systems keep to it, and it leaves
//! less open. If a refutation says that some did not, those few are let loose, and the others are still held to it.
//!
//! If every write follows a read of the same key in its transaction (mini-transactions: Wei et al., MTC, 2025),
//! step 1 leaves nothing open but orders that no read can tell, and the decision takes linear time.
//!
//! Definitions. Serializable: the transactions can be put in one order in which each reads of a key what the
//! last one before it wrote. Snapshot isolation: each has a start and, later, a commit; it reads of a key what
//! the last one wrote that committed before its start, and of two that wrote the same key one commits before
//! the other starts (Berenson et al., SIGMOD 1995; Cerone & Gotsman, J. ACM 65, 2018). Prefix consistency: the
//! same without the last demand. An [`Order`] demands besides that a transaction commits before a later one
//! starts: one of its session, or any that was invoked after it had completed.
//!
//! What counts: committed transactions, and those of unknown outcome that somebody read from. Of the latter only
//! the writes are known, and when they take effect has no bound: nothing comes after them in session or real
//! time, though they come after what their own session, or real time, has before them. Which reads count is
//! said in `instance.rs`; reads that are wrong by themselves are for others to find.
//!
//! Every answer but Unknown carries its proof, which [`crate::validate::isolation`] re-checks. Answers and
//! proofs do not depend on time, unless a limit cuts the search or the minimizing short.

mod arrange;
mod cdcl;
mod chains;
mod explain;
mod graph;
mod guess;
mod instance;
mod meter;
mod minimize;
mod nested;
mod paths;
mod refutation;
mod rows;
mod saturate;
mod search;
mod solve;
#[cfg(test)]
mod tests;
mod topology;

pub use refutation::{Argument, Choice, Refutation};

use crate::linearizability::budget::Budget;
use crate::options::Options;
use crate::transaction::proof::{Certificate, Moment};
use crate::transaction::{Transactions, TxnId};
use crate::verdict::Reason;
use graph::Shape;
use instance::Instance;
use meter::Meter;
use solve::Question;

/// What is to be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Model {
    /// One transaction after the other.
    Serializable,
    /// Snapshots, and no two open writers of a key.
    SnapshotIsolation,
    /// Snapshots of one sequence of commits.
    Prefix,
}

/// Which orders must be respected besides what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// None.
    Free,
    /// That of each session.
    Session,
    /// That of real time, which contains that of sessions. Of a history without real time: sessions.
    RealTime,
}

/// What a decision found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A schedule that explains the history: [`Certificate::Serial`] or [`Certificate::Snapshots`].
    Holds(Certificate),
    /// Why no schedule does.
    Violated(Box<Refutation>),
    /// A limit was reached first.
    Unknown(Undecided),
}

/// How far a decision came that a limit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// Which limit.
    pub reason: Reason,
    /// Transactions that count.
    pub transactions: usize,
    /// What was done.
    pub effort: Effort,
}

/// What a decision took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Orders of two writers that were found to follow from others.
    pub facts: usize,
    /// Pairs of writers about which an order had to be chosen.
    pub choices: usize,
    /// Times that choices turned out to be wrong.
    pub conflicts: u64,
    /// The most memory held at once, in bytes, about.
    pub memory_bytes: usize,
}

/// Which shortcuts to take. No answer depends on them; tests and measurements do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tactics {
    /// Try orders that the history suggests.
    pub guesses: bool,
    /// Ask for real time first, or sessions, if less is demanded.
    pub stronger: bool,
    /// Find what follows before anything is tried.
    pub saturation: bool,
}

impl Default for Tactics {
    fn default() -> Tactics {
        Tactics { guesses: true, stronger: true, saturation: true }
    }
}

/// Decides whether some schedule of `model` that respects `order` explains what was read.
///
/// Of a list that was read only the last element counts here; that the lists of each key begin one another, and
/// the longest one, in which the versions come, is taken for granted: others find where it is not so.
pub fn decide(txns: &Transactions, model: Model, order: Order, options: &Options) -> Answer {
    decide_with(txns, model, order, Tactics::default(), options).0
}

/// A refutation that these transactions alone, ascending, are enough for; `None` if they can be explained, or if a
/// limit is reached first. What no schedule explains of a part it does not explain of the whole.
pub fn refute_within(
    txns: &Transactions,
    model: Model,
    order: Order,
    part: Vec<TxnId>,
    options: &Options,
) -> Option<Refutation> {
    let mut meter = Meter::new(Budget::new(options));
    let question = Question { txns, model, order };
    let tactics = Tactics { guesses: false, stronger: false, saturation: true };
    match question.answer(part, tactics, &mut Effort::default(), &mut meter) {
        Ok(Answer::Violated(refutation)) => Some(*refutation),
        _ => None,
    }
}

/// The same with chosen tactics, and what it took.
pub fn decide_with(
    txns: &Transactions,
    model: Model,
    order: Order,
    tactics: Tactics,
    options: &Options,
) -> (Answer, Effort) {
    decide_metered(txns, model, order, tactics, &mut Meter::new(Budget::new(options)))
}

fn decide_metered(
    txns: &Transactions,
    model: Model,
    order: Order,
    tactics: Tactics,
    meter: &mut Meter,
) -> (Answer, Effort) {
    let counted = txns.counted();
    let included: Vec<TxnId> = (0..txns.len() as TxnId).filter(|id| counted[*id as usize]).collect();
    let transactions = included.len();
    let mut effort = Effort::default();
    let question = Question { txns, model, order };
    let answer = question.answer(included, tactics, &mut effort, meter);
    effort.memory_bytes = meter.held_bytes_max();
    let answer = answer.unwrap_or_else(|reason| Answer::Unknown(Undecided { reason, transactions, effort }));
    (answer, effort)
}

/// The schedule that an order of nodes is.
fn certificate(instance: &Instance, shape: Shape, order: &[u32]) -> Certificate {
    let placed = order.iter().filter_map(|&node| {
        let txn = shape.txn(node)?;
        Some((instance.txns[txn as usize], node == shape.commit(txn)))
    });
    if shape.is_split() {
        let moment = |(txn, is_commit)| if is_commit { Moment::Commit(txn) } else { Moment::Start(txn) };
        Certificate::Snapshots(placed.map(moment).collect())
    } else {
        Certificate::Serial(placed.map(|(txn, _)| txn).collect())
    }
}
