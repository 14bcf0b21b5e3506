//! Sessions and real time, as far as the timestamps contradict them.

use super::{Flaw, Flaws, Stamped};
use crate::transaction::complete::Order;
use crate::transaction::{Status, Transactions, TxnId};

/// Finds each transaction that starts too early, and of those that it starts before the last to commit.
pub(super) fn check(txns: &Transactions, schedule: &[Stamped], order: Order, flaws: &mut Flaws) {
    let places = Places::new(txns, schedule);
    match order {
        Order::Free => {}
        Order::RealTime if txns.has_real_time() => places.real_time(txns, flaws),
        Order::Session | Order::RealTime => places.sessions(txns, flaws),
    }
}

/// Where in the schedule transactions start and commit, from 1; 0 if they have no place.
struct Places {
    start: Vec<u32>,
    commit: Vec<u32>,
}

impl Places {
    fn new(txns: &Transactions, schedule: &[Stamped]) -> Places {
        let mut places = Places { start: vec![0; txns.len()], commit: vec![0; txns.len()] };
        for (at, moment) in (1..).zip(schedule) {
            let column = if moment.is_commit { &mut places.commit } else { &mut places.start };
            column[moment.txn as usize] = at;
        }
        places
    }

    fn has(&self, id: TxnId) -> bool {
        self.commit[id as usize] > 0
    }

    /// Of each session the latest commit so far is what the next transaction must not start before.
    fn sessions(&self, txns: &Transactions, flaws: &mut Flaws) {
        let mut latest: Vec<Option<(u32, TxnId)>> = vec![None; txns.session_count() as usize];
        for (second, txn) in (0..).zip(txns.txns()).filter(|(id, _)| self.has(*id)) {
            let latest = &mut latest[txn.session as usize];
            if let Some((commit, first)) = *latest
                && self.start[second as usize] < commit
            {
                flaws.add(Flaw::Session { first, second });
            }
            if txn.status == Status::Committed {
                *latest = (*latest).max(Some((self.commit[second as usize], second)));
            }
        }
    }

    fn real_time(&self, txns: &Transactions, flaws: &mut Flaws) {
        let completed = |(id, _): &(TxnId, _)| txns.txn(*id).status == Status::Committed && self.has(*id);
        let rows = (0..).zip(txns.txns()).filter(completed);
        let mut completions: Vec<(u32, TxnId)> = rows.map(|(id, txn)| (txn.returned, id)).collect();
        completions.sort_unstable();
        let mut completions = completions.into_iter().peekable();
        let mut latest: Option<(u32, TxnId)> = None;
        for (second, txn) in (0..).zip(txns.txns()).filter(|(id, _)| self.has(*id)) {
            while let Some((_, first)) = completions.next_if(|&(returned, _)| returned < txn.invoked) {
                latest = latest.max(Some((self.commit[first as usize], first)));
            }
            if let Some((commit, first)) = latest
                && self.start[second as usize] < commit
            {
                flaws.add(if txns.txn(first).session == txn.session {
                    Flaw::Session { first, second }
                } else {
                    Flaw::RealTime { first, second }
                });
            }
        }
    }
}
