//! Guesses at the order in which transactions took effect, best first: a good one explains a correct history
//! in one pass.

use super::Model;
use super::arrange::Guess;
use super::instance::Instance;
use crate::transaction::{Status, Transactions, timestamps};

/// What the history suggests.
pub(super) fn guesses(txns: &Transactions, instance: &Instance) -> Vec<Guess> {
    let mut guesses = Vec::new();
    guesses.extend(by_timestamps(txns, instance));
    if txns.has_real_time() {
        if instance.model != Model::Serializable {
            guesses.push(by_interval(txns, instance));
        }
        guesses.push(one_by_one(completions(txns, instance)));
    } else {
        guesses.push(one_by_one(progress(txns, instance)));
    }
    guesses
}

/// An order that has nothing to do with the history, for measuring what the others are worth.
pub(super) fn blind(instance: &Instance) -> Guess {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    one_by_one((1..=instance.len() as u64).map(|row| row.wrapping_mul(MULTIPLIER)).collect())
}

/// The timestamps, if every transaction has them. They are tried, not trusted.
fn by_timestamps(txns: &Transactions, instance: &Instance) -> Option<Guess> {
    let (mut start, mut commit) = (vec![None; instance.len()], vec![0; instance.len()]);
    let mut at = 0;
    for (rank, moment) in (1..).zip(timestamps::schedule(txns)) {
        let txn = instance.txns.binary_search(&moment.txn).ok()?;
        if !moment.is_commit {
            start[txn] = Some(rank);
        } else {
            commit[txn] = rank;
            at += 1;
        }
    }
    let start: Option<Vec<u64>> = start.into_iter().collect();
    (at == instance.len()).then_some(Guess { start: start?, commit })
}

/// Each transaction read when it was invoked, and committed when it returned.
fn by_interval(txns: &Transactions, instance: &Instance) -> Guess {
    let commit: Vec<u64> = completions(txns, instance).into_iter().map(|at| at + 1).collect();
    let start = instance.txns.iter().zip(&commit);
    let start = start.map(|(&row, &commit)| (4 * u64::from(txns.txn(row).invoked)).min(commit - 1));
    Guess { start: start.collect(), commit }
}

/// Each transaction took effect at once, in the order of these numbers.
fn one_by_one(at: Vec<u64>) -> Guess {
    let mut order: Vec<u32> = (0..at.len() as u32).collect();
    order.sort_by_key(|&txn| at[txn as usize]);
    let (mut start, mut commit) = (vec![0; at.len()], vec![0; at.len()]);
    for (rank, txn) in (1..).zip(order) {
        start[txn as usize] = 2 * rank;
        commit[txn as usize] = 2 * rank + 1;
    }
    Guess { start, commit }
}

/// Four times the position of each completion. A transaction of which nobody knows is put right before the
/// first that read from it.
fn completions(txns: &Transactions, instance: &Instance) -> Vec<u64> {
    let mut at: Vec<u64> = instance.txns.iter().map(|&row| 4 * u64::from(txns.txn(row).returned)).collect();
    for (txn, &row) in instance.txns.iter().enumerate() {
        if txns.txn(row).status == Status::Committed {
            continue;
        }
        let readers =
            instance.writes.of(txn as u32).iter().flat_map(|write| instance.readers.of(write.version));
        let invoked =
            readers.map(|&reader| 4 * u64::from(txns.txn(instance.txns[reader as usize]).returned)).min();
        at[txn] = invoked.map_or(at[txn], |at| at.saturating_sub(2));
    }
    at
}

/// How far its session had come, in shares of all that the session did: sessions are taken to have run side
/// by side.
fn progress(txns: &Transactions, instance: &Instance) -> Vec<u64> {
    let mut lengths = vec![0_u64; txns.session_count() as usize];
    let place: Vec<u64> = instance
        .txns
        .iter()
        .map(|&row| {
            let length = &mut lengths[txns.txn(row).session as usize];
            *length += 1;
            *length - 1
        })
        .collect();
    let length = |row: u32| lengths[txns.txn(row).session as usize];
    instance.txns.iter().zip(place).map(|(&row, place)| (place << 32) / length(row).max(1)).collect()
}
