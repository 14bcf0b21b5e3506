//! The linear check of histories whose transactions carry the timestamps that the system itself gave them.
//!
//! If timestamps say which snapshot a transaction read and when it became visible, nothing needs to be
//! searched: one pass in their order says whether each read saw what it should (Li et al., Chronos and Aion,
//! ICDE 2025; their axioms INT, EXT, SESSION and NOCONFLICT are the [`Flaw`]s here). For serializability only
//! the commits are looked at: each transaction is taken to read and write at that moment.
//!
//! This is another question than [`super::decide`]'s, and a stricter one. A history that fails here may be
//! serializable all the same, in an order that the timestamps do not show: then the system's own account
//! of what it did is wrong. A history that passes here is proven correct.
//!
//! Equal timestamps. A snapshot contains what was committed at its own timestamp. A transaction that starts
//! and commits at one timestamp reads after those that started earlier and commit then; several such take
//! effect in the order of their invocations. For serializability, too, equal commits come in the order of
//! invocations.
//!
//! Transactions without timestamps are left out, and so are reads from them; the report counts them.

use super::Order;
use crate::history::Timestamps;
use crate::transaction::proof::{Certificate, Moment};
use crate::transaction::{Action, INITIAL, KeyId, NOBODY, Status, Transactions, TxnId, VersionId};

/// How many flaws a report keeps; all are counted.
pub const FLAWS_MAX: usize = 64;

/// What the timestamps are to be held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Each transaction takes effect at its commit.
    Serializable,
    /// Each reads at its start, and two that overlap do not write the same key.
    SnapshotIsolation,
    /// Each reads at its start.
    Prefix,
}

/// Something that cannot be if the timestamps are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// EXT: a transaction read a version that was not the last one at its moment.
    External {
        /// Who read.
        reader: TxnId,
        /// Of which key.
        key: KeyId,
        /// What it read; may be [`INITIAL`].
        seen: VersionId,
        /// What it should have read; may be [`INITIAL`].
        expected: VersionId,
    },
    /// INT: a transaction did not read of a key what it had written or read last.
    Internal {
        /// Who read.
        reader: TxnId,
        /// Of which key.
        key: KeyId,
        /// What it read.
        seen: VersionId,
        /// What it should have read.
        expected: VersionId,
    },
    /// NOCONFLICT: two transactions wrote a key, and the second started before the first committed.
    Conflict {
        /// Committed first.
        first: TxnId,
        /// Committed second.
        second: TxnId,
        /// The key.
        key: KeyId,
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

/// What a check by timestamps found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The first [`FLAWS_MAX`] flaws, in the order of the timestamps, those of sessions and of real time last.
    pub flaws: Vec<Flaw>,
    /// How many flaws there are.
    pub flaw_count: usize,
    /// Transactions that count and have timestamps.
    pub stamped: usize,
    /// Transactions that count and have none.
    pub unstamped: usize,
    /// The schedule of the timestamps, if every transaction that counts has them and there is no flaw.
    pub certificate: Option<Certificate>,
}

impl Report {
    fn add(&mut self, flaw: Flaw) {
        self.flaw_count += 1;
        if self.flaws.len() < FLAWS_MAX {
            self.flaws.push(flaw);
        }
    }
}

/// Checks a history by its timestamps, in O(n log n).
pub fn check(txns: &Transactions, level: Level, order: Order) -> Report {
    let counted = txns.counted();
    let stamped: Vec<(TxnId, Timestamps)> =
        txns.timestamps().iter().copied().filter(|(txn, _)| counted[*txn as usize]).collect();
    let unstamped = counted.iter().filter(|counted| **counted).count() - stamped.len();
    let mut report =
        Report { flaws: Vec::new(), flaw_count: 0, stamped: stamped.len(), unstamped, certificate: None };
    let schedule = match level {
        Level::Serializable => by_commit(&stamped),
        Level::SnapshotIsolation | Level::Prefix => by_moments(&stamped, &mut report),
    };
    Pass::new(txns, level, &stamped).run(&schedule, &mut report);
    let stamps = Stamps::new(txns, &stamped, level);
    match order {
        Order::Free => {}
        Order::RealTime if txns.has_real_time() => stamps.real_time(txns, &mut report),
        Order::Session | Order::RealTime => stamps.sessions(txns, &mut report),
    }
    if report.flaw_count == 0 && unstamped == 0 {
        report.certificate = Some(certificate(&schedule, level));
    }
    report
}

/// A moment of the schedule that timestamps are.
#[derive(Clone, Copy, Debug)]
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

fn by_moments(stamped: &[(TxnId, Timestamps)], report: &mut Report) -> Vec<Stamped> {
    let is_backwards = |stamps: &Timestamps| stamps.commit < stamps.start;
    for &(txn, _) in stamped.iter().filter(|(_, stamps)| is_backwards(stamps)) {
        report.add(Flaw::Backwards { txn });
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

fn certificate(schedule: &[Stamped], level: Level) -> Certificate {
    let commits = || schedule.iter().filter(|moment| moment.is_commit).map(|moment| moment.txn);
    match level {
        Level::Serializable => Certificate::Serial(commits().collect()),
        Level::SnapshotIsolation | Level::Prefix => {
            let moment = |moment: &Stamped| {
                if moment.is_commit { Moment::Commit(moment.txn) } else { Moment::Start(moment.txn) }
            };
            Certificate::Snapshots(schedule.iter().map(moment).collect())
        }
    }
}

/// The database that the timestamps describe.
struct Pass<'t> {
    txns: &'t Transactions,
    level: Level,
    /// By transaction: whether it has timestamps.
    is_stamped: Vec<bool>,
    /// By key: the last version committed.
    latest: Vec<VersionId>,
    /// By key: when that was, in the numbering of moments.
    committed_at: Vec<usize>,
    /// By transaction: when it started, in the same.
    started_at: Vec<usize>,
    /// By key: who used it last, and the version that it must see if it reads the key again.
    own: Vec<(TxnId, VersionId)>,
}

impl<'t> Pass<'t> {
    fn new(txns: &'t Transactions, level: Level, stamped: &[(TxnId, Timestamps)]) -> Pass<'t> {
        let mut is_stamped = vec![false; txns.len()];
        stamped.iter().for_each(|&(txn, _)| is_stamped[txn as usize] = true);
        let keys = txns.keys().len();
        Pass {
            txns,
            level,
            is_stamped,
            latest: vec![INITIAL; keys],
            committed_at: vec![0; keys],
            started_at: vec![0; txns.len()],
            own: vec![(NOBODY, INITIAL); keys],
        }
    }

    fn run(&mut self, schedule: &[Stamped], report: &mut Report) {
        for (at, moment) in (1..).zip(schedule) {
            if moment.is_commit {
                self.commit(moment.txn, at, report);
            } else {
                self.started_at[moment.txn as usize] = at;
                self.read(moment.txn, report);
            }
        }
    }

    fn read(&mut self, reader: TxnId, report: &mut Report) {
        for op in self.txns.micro_ops(reader) {
            let (key, seen) = (op.key, op.version);
            let (user, own) = self.own[key as usize];
            if op.action == Action::Read && user == reader {
                if own != seen {
                    report.add(Flaw::Internal { reader, key, seen, expected: own });
                }
            } else if op.action == Action::Read {
                let expected = self.latest[key as usize];
                if seen != expected && self.is_known(seen, reader) {
                    report.add(Flaw::External { reader, key, seen, expected });
                }
            }
            self.own[key as usize] = (reader, seen);
        }
    }

    /// Whether a version has a place in the order of timestamps.
    fn is_known(&self, version: VersionId, reader: TxnId) -> bool {
        let writer = self.txns.writer(version);
        let is_stamped = |writer: TxnId| writer != reader && self.is_stamped[writer as usize];
        version == INITIAL
            || writer != NOBODY && is_stamped(writer) && !self.txns.version(version).is_intermediate
    }

    fn commit(&mut self, txn: TxnId, at: usize, report: &mut Report) {
        for op in self.txns.micro_ops(txn).iter().filter(|op| op.action == Action::Write) {
            if self.txns.version(op.version).is_intermediate {
                continue;
            }
            let key = op.key as usize;
            if self.level == Level::SnapshotIsolation
                && self.committed_at[key] > self.started_at[txn as usize]
            {
                let first = self.txns.writer(self.latest[key]);
                report.add(Flaw::Conflict { first, second: txn, key: op.key });
            }
            (self.latest[key], self.committed_at[key]) = (op.version, at);
        }
    }
}

/// When transactions started and committed, by transaction.
struct Stamps {
    at: Vec<Option<Timestamps>>,
}

impl Stamps {
    fn new(txns: &Transactions, stamped: &[(TxnId, Timestamps)], level: Level) -> Stamps {
        let mut at = vec![None; txns.len()];
        for &(txn, stamps) in stamped {
            let start = if level == Level::Serializable { stamps.commit } else { stamps.start };
            at[txn as usize] = Some(Timestamps { start, ..stamps });
        }
        Stamps { at }
    }

    /// Of each session the latest commit so far is what the next transaction must not start before.
    fn sessions(&self, txns: &Transactions, report: &mut Report) {
        let mut latest: Vec<Option<(i64, TxnId)>> = vec![None; txns.session_count() as usize];
        for (second, txn) in (0..).zip(txns.txns()) {
            let Some(stamps) = self.at[second as usize] else { continue };
            let latest = &mut latest[txn.session as usize];
            if let Some((commit, first)) = *latest
                && stamps.start < commit
            {
                report.add(Flaw::Session { first, second });
            }
            if txn.status == Status::Committed {
                *latest = (*latest).max(Some((stamps.commit, second)));
            }
        }
    }

    fn real_time(&self, txns: &Transactions, report: &mut Report) {
        let mut completions: Vec<(u32, TxnId)> = (0..)
            .zip(txns.txns())
            .filter(|&(id, txn): &(TxnId, _)| {
                txn.status == Status::Committed && self.at[id as usize].is_some()
            })
            .map(|(id, txn)| (txn.returned, id))
            .collect();
        completions.sort_unstable();
        let mut completions = completions.into_iter().peekable();
        let mut latest: Option<(i64, TxnId)> = None;
        for (second, txn) in (0..).zip(txns.txns()) {
            let Some(stamps) = self.at[second as usize] else { continue };
            while let Some((_, first)) = completions.next_if(|&(returned, _)| returned < txn.invoked) {
                latest = latest.max(self.at[first as usize].map(|stamps| (stamps.commit, first)));
            }
            if let Some((commit, first)) = latest
                && stamps.start < commit
            {
                report.add(if txns.txn(first).session == txn.session {
                    Flaw::Session { first, second }
                } else {
                    Flaw::RealTime { first, second }
                });
            }
        }
    }
}
