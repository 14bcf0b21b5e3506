//! The linear check of histories whose transactions carry the timestamps that the system itself gave them.
//!
//! If timestamps say which snapshot a transaction read and when it became visible, nothing needs to be
//! searched: one pass in their order says whether each read saw what it should (Li et al., Chronos and Aion,
//! ICDE 2025; their axioms INT, EXT, SESSION and NOCONFLICT are the [`Flaw`]s here). For serializability only
//! the commits are looked at: each transaction is taken to read and write at that moment.
//!
//! This is another question than that of [`check`](super::check()), and a stricter one. A history that fails
//! here may be serializable all the same, in an order that the timestamps do not show: then the system's own
//! account of what it did is wrong. A history that passes here is proven correct.
//!
//! Equal timestamps. A snapshot contains what was committed at its own timestamp. A transaction that starts
//! and commits at one timestamp reads after those that started earlier and commit then; several such take
//! effect in the order of their invocations. For serializability, too, equal commits come in the order of
//! invocations.
//!
//! Sessions and real time. What is compared is the order of the history's events with the order of the
//! timestamps: who began after another had completed must not start before that one committed.
//!
//! Without timestamps. Of a transaction whose outcome nobody knows, but that somebody saw, a history seldom
//! has any. What is wrong whenever it took effect is a flaw; if nothing is, a place for it is looked for, as
//! late as its readers allow (`place.rs`). If it does not fit there, nothing is known. Nor is it if a
//! transaction that committed has no timestamps.

mod lists;
mod order;
mod pass;
mod place;
#[cfg(test)]
mod tests;
mod words;

pub use words::{cast, sentence};

use super::complete::{Model, Order};
use super::list_append::members;
use super::proof::{Certificate, Moment};
use super::{Kind, NOBODY, Status, Transactions, TxnId};
use crate::history::Timestamps;
use crate::value::{Value, Values};
use pass::Pass;

/// How many flaws a report keeps; all are counted.
pub const FLAWS_MAX: usize = 64;

/// What the timestamps are to be held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// What a transaction sees, and when.
    pub model: Model,
    /// What must come in the order of the timestamps besides.
    pub order: Order,
    /// Of registers: whether a read of a value that nobody wrote is a flaw. If not, it is taken to come from
    /// outside of the history and says nothing. Of lists it always is one.
    pub forbid_unwritten: bool,
}

/// Something that cannot be if the timestamps are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// EXT: a transaction did not read of a key what had been committed at its moment.
    External(Difference),
    /// INT: a transaction did not read of a key what it had written or read itself.
    Internal(Difference),
    /// NOCONFLICT: two transactions wrote a key, and the second started before the first committed.
    Conflict {
        /// Committed first.
        first: TxnId,
        /// Committed second.
        second: TxnId,
        /// The key.
        key: super::KeyId,
    },
    /// SESSION: a transaction starts before an earlier one of its session has committed.
    Session {
        /// Ran first.
        first: TxnId,
        /// Ran second.
        second: TxnId,
    },
    /// A transaction starts before one has committed that had completed before it was invoked.
    RealTime {
        /// Completed first.
        first: TxnId,
        /// Was invoked after that.
        second: TxnId,
    },
    /// A transaction commits before it starts.
    Backwards {
        /// The transaction.
        txn: TxnId,
    },
}

/// What a read showed, and what it should have. Of lists the first place at which the two differ; `None` there
/// stands for the end of the list, and of registers for the initial value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Who read.
    pub reader: TxnId,
    /// Place of the read among the reader's micro-operations.
    pub at: u32,
    /// Of which key.
    pub key: super::KeyId,
    /// What it showed.
    pub seen: Option<Value>,
    /// What it should have shown.
    pub expected: Option<Value>,
}

/// What the timestamps say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The schedule of the timestamps explains every read.
    Holds(Certificate),
    /// It cannot: see the report's flaws.
    Violated,
    /// This transaction has no timestamps: it committed, or nobody knows whether it did, but somebody saw what
    /// it wrote, and it does not fit where it was tried.
    Unknown(TxnId),
}

/// What a check by timestamps found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was asked.
    pub question: Question,
    /// The answer.
    pub answer: Answer,
    /// The first [`FLAWS_MAX`] flaws, in the order of the timestamps, those of sessions and of real time last.
    pub flaws: Vec<Flaw>,
    /// How many flaws there are.
    pub flaw_count: usize,
    /// Transactions that count and have timestamps.
    pub stamped: usize,
    /// Transactions that count and have none, in the order of their invocations.
    pub unstamped: Vec<TxnId>,
}

/// Checks a history, whose values live in `values`, by its timestamps.
///
/// O(n log n) for n micro-operations and members of lists read; twice that where transactions without
/// timestamps were seen.
pub fn check(txns: &Transactions, values: &Values, question: Question) -> Report {
    let counted = counted(txns, values);
    let mut stamped = txns.timestamps().to_vec();
    stamped.retain(|(txn, _)| counted[*txn as usize]);
    let mut is_placed = vec![false; txns.len()];
    stamped.iter().for_each(|&(txn, _)| is_placed[txn as usize] = true);
    let unstamped: Vec<TxnId> =
        (0..txns.len() as TxnId).filter(|id| counted[*id as usize] && !is_placed[*id as usize]).collect();
    let mut flaws = Flaws::default();
    let schedule = match question.model {
        Model::Serializable => by_commit(&stamped),
        Model::SnapshotIsolation | Model::Prefix => by_moments(&stamped, &mut flaws),
    };
    let look = |schedule: &[Stamped], is_placed: &[bool], flaws: &mut Flaws| {
        Pass::new(txns, values, question, is_placed).run(schedule, flaws);
        order::check(txns, schedule, question.order, flaws);
    };
    look(&schedule, &is_placed, &mut flaws);
    let answer = match unstamped.first() {
        _ if flaws.count > 0 => Answer::Violated,
        None => Answer::Holds(certificate(&schedule, question.model)),
        Some(first) => {
            let is_committed = |id: &&TxnId| txns.txn(**id).status == Status::Committed;
            let committed = unstamped.iter().find(is_committed).copied();
            let placed = match committed {
                Some(committed) => Err(committed),
                None => place::place(txns, question.model, &schedule, &unstamped),
            };
            match placed {
                Err(homeless) => Answer::Unknown(homeless),
                Ok(schedule) => {
                    let mut left = Flaws::default();
                    look(&schedule, &counted, &mut left);
                    match left.count {
                        0 => Answer::Holds(certificate(&schedule, question.model)),
                        _ => Answer::Unknown(*first),
                    }
                }
            }
        }
    };
    let (flaws, flaw_count) = (flaws.kept, flaws.count);
    Report { question, answer, flaws, flaw_count, stamped: stamped.len(), unstamped }
}

/// Who must be taken to have committed. A list that contradicts all others may show what none of those does.
fn counted(txns: &Transactions, values: &Values) -> Vec<bool> {
    let mut counted = txns.counted();
    if txns.kind() != Kind::ListAppend || txns.txns().iter().all(|txn| txn.status != Status::Unknown) {
        return counted;
    }
    for read in txns.list_reads() {
        let longest = txns.longest(read.key).map_or(&[][..], |longest| members(values, longest.list));
        let list = members(values, read.list);
        if longest.starts_with(list) {
            continue;
        }
        for element in list {
            let writer = txns.version_of(read.key, *element).map_or(NOBODY, |version| txns.writer(version));
            if writer != NOBODY && txns.txn(writer).status == Status::Unknown {
                counted[writer as usize] = true;
            }
        }
    }
    counted
}

#[derive(Debug, Default)]
struct Flaws {
    kept: Vec<Flaw>,
    count: usize,
}

impl Flaws {
    fn add(&mut self, flaw: Flaw) {
        self.count += 1;
        if self.kept.len() < FLAWS_MAX {
            self.kept.push(flaw);
        }
    }
}

/// A moment of the schedule that timestamps are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamped {
    pub(super) txn: TxnId,
    pub(super) is_commit: bool,
}

/// The starts and commits of all that counts and has timestamps, in their order.
pub(super) fn schedule(txns: &Transactions) -> Vec<Stamped> {
    let counted = txns.counted();
    let mut moments = txns.timestamps().to_vec();
    moments.retain(|(txn, stamps)| counted[*txn as usize] && stamps.start <= stamps.commit);
    sorted(&moments)
}

fn sorted(stamped: &[(TxnId, Timestamps)]) -> Vec<Stamped> {
    // At one time: commits; then who starts and commits at once, one after the other; then starts.
    let mut moments: Vec<((i64, u8, TxnId), bool)> = Vec::with_capacity(2 * stamped.len());
    for &(txn, Timestamps { start, commit }) in stamped {
        let (first, last) = if start < commit { (2, 0) } else { (1, 1) };
        moments.push(((start, first, txn), false));
        moments.push(((commit, last, txn), true));
    }
    moments.sort_unstable();
    moments.into_iter().map(|((.., txn), is_commit)| Stamped { txn, is_commit }).collect()
}

fn by_moments(stamped: &[(TxnId, Timestamps)], flaws: &mut Flaws) -> Vec<Stamped> {
    let is_backwards = |stamps: &Timestamps| stamps.commit < stamps.start;
    for &(txn, _) in stamped.iter().filter(|(_, stamps)| is_backwards(stamps)) {
        flaws.add(Flaw::Backwards { txn });
    }
    // Such a transaction is taken to have done everything at its commit.
    let repaired = stamped
        .iter()
        .map(|&(txn, stamps)| (txn, Timestamps { start: stamps.start.min(stamps.commit), ..stamps }));
    sorted(&repaired.collect::<Vec<_>>())
}

fn by_commit(stamped: &[(TxnId, Timestamps)]) -> Vec<Stamped> {
    let mut order: Vec<(i64, TxnId)> = stamped.iter().map(|&(txn, stamps)| (stamps.commit, txn)).collect();
    order.sort_unstable();
    let both = |(_, txn)| [Stamped { txn, is_commit: false }, Stamped { txn, is_commit: true }];
    order.into_iter().flat_map(both).collect()
}

fn certificate(schedule: &[Stamped], model: Model) -> Certificate {
    match model {
        Model::Serializable => {
            let commits = schedule.iter().filter(|moment| moment.is_commit);
            Certificate::Serial(commits.map(|moment| moment.txn).collect())
        }
        Model::SnapshotIsolation | Model::Prefix => {
            let moment = |moment: &Stamped| {
                if moment.is_commit { Moment::Commit(moment.txn) } else { Moment::Start(moment.txn) }
            };
            Certificate::Snapshots(schedule.iter().map(moment).collect())
        }
    }
}
