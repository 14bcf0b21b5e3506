//! From any refutation to one about few transactions.
//!
//! A history that no schedule explains stays so when transactions are added, so that the core of a proof is a
//! smaller question of the same kind, and can be asked again with some of its members left out. Each smaller
//! refutation comes with its own core, which is often much smaller than what was asked.

use super::instance::Maker;
use super::meter::Meter;
use super::refutation::{Argument, Refutation};
use super::solve::{Question, Solved};
use crate::transaction::TxnId;

/// Steps that minimizing may take. It is a limit of work and not of time, so that the proof is the same in
/// every run.
const STEPS_MAX: u64 = 60_000_000;

/// Cuts an argument down: halves first, then quarters, in the end single transactions (ddmin; Zeller &
/// Hildebrandt, IEEE TSE 28, 2002).
pub(super) fn minimize(
    question: &Question<'_>,
    maker: &mut Maker<'_>,
    argument: Argument,
    meter: &Meter,
) -> Refutation {
    let mut meter = meter.share(STEPS_MAX);
    let mut core = argument.transactions(question.txns);
    let mut argument = argument;
    let mut chunk = core.len().div_ceil(2).max(1);
    // How many transactions in a row, from `at` on, are known to be needed one by one.
    let (mut at, mut minimal) = (0, true);
    let mut since_success = 0;
    while since_success < core.len() {
        if at >= core.len() {
            at = 0;
        }
        let end = (at + chunk).min(core.len());
        let rest: Vec<TxnId> = core[..at].iter().chain(&core[end..]).copied().collect();
        let instance = maker.make(rest, question.model, question.order);
        match question.solve_part(&instance, &mut meter) {
            Ok(Solved::Refuted(smaller)) => {
                core = smaller.transactions(question.txns);
                argument = smaller;
                chunk = chunk.min(core.len().div_ceil(2)).max(1);
                since_success = 0;
                continue;
            }
            Ok(Solved::Explained(_)) => {}
            Err(_) => minimal = false,
        }
        if meter.look().is_err() {
            minimal = false;
            break;
        }
        since_success += end - at;
        at = end;
        if since_success >= core.len() && chunk > 1 {
            chunk = chunk.div_ceil(2);
            since_success = 0;
        }
    }
    Refutation { core, argument, minimal }
}
