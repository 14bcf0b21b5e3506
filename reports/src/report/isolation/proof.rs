//! The orders that prove what holds, for `--certify`: transaction by transaction, as text and as JSON.

use super::super::text::{INDENT, lines_of};
use crate::report::Judgement;
use crate::terminal::{FAINT, paint, printable, shorten};
use serde_json::{Value as Json, json};
use shakedown_checkers::transaction::cycle::Variant;
use shakedown_checkers::transaction::decide::Decision;
use shakedown_checkers::transaction::level::{Base, Level};
use shakedown_checkers::transaction::proof::{Certificate, Moment};
use shakedown_checkers::transaction::weak::WeakAnswer;
use shakedown_checkers::transaction::{Report, TxnId, complete};
use std::fmt::Write as _;

/// Characters of a transaction's micro-operations that are shown.
const SHOWN_MAX: usize = 160;

/// A level that holds, and the order that shows it.
struct Proof {
    level: Level,
    /// What the places are.
    what: &'static str,
    /// Whether the transaction starts, commits, or does both there.
    order: Vec<(Option<bool>, TxnId)>,
}

/// The orders of the strongest levels of which there is one.
fn proofs(report: &Report) -> Vec<Proof> {
    let serial = report.serial.iter().map(|(mode, order): &(Variant, Vec<TxnId>)| Proof {
        level: Level { base: Base::Serializable, mode: *mode },
        what: "one after the other",
        order: order.iter().map(|txn| (None, *txn)).collect(),
    });
    let decided = report.decisions.iter().filter_map(|(level, decision)| {
        let certificate = match decision {
            Decision::Complete(_, _, complete::Answer::Holds(certificate))
            | Decision::Weak(_, _, WeakAnswer::Holds(certificate)) => certificate,
            _ => return None,
        };
        let (what, order) = match certificate {
            Certificate::Serial(order) => {
                ("one after the other", order.iter().map(|txn| (None, *txn)).collect())
            }
            Certificate::CommitOrder(order) => {
                ("the commits", order.iter().map(|txn| (None, *txn)).collect())
            }
            Certificate::Snapshots(moments) => {
                let place = |moment: &Moment| match *moment {
                    Moment::Start(txn) => (Some(false), txn),
                    Moment::Commit(txn) => (Some(true), txn),
                };
                ("starts and commits", moments.iter().map(place).collect())
            }
        };
        Some(Proof { level: *level, what, order })
    });
    let all: Vec<Proof> = serial.chain(decided).collect();
    let levels: Vec<Level> = all.iter().map(|proof| proof.level).collect();
    let is_strongest = |level: Level| !levels.iter().any(|other| *other != level && other.implies(level));
    all.into_iter().filter(|proof| is_strongest(proof.level)).collect()
}

/// Every order, a line for each of its places.
pub(in crate::report) fn text(out: &mut String, judgement: &Judgement, report: &Report) {
    for Proof { level, what, order } in proofs(report) {
        writeln!(out, "\n{INDENT}Order ({level}; {what}):").expect("writing to a String cannot fail");
        let digits = order.len().to_string().len();
        for (i, (moment, txn)) in order.into_iter().enumerate() {
            let op = judgement.history.operation(report.txns.txn(txn).op);
            let value = if op.output.is_nil() { op.input } else { op.output };
            let shown = judgement.history.values().show(value);
            let shown = printable(&shown);
            let shown = shorten(&shown, SHOWN_MAX);
            let place = i + 1;
            let what = match moment {
                Some(false) => format!("start of {}", lines_of(&op)),
                Some(true) => format!("commit of {}", lines_of(&op)),
                None => lines_of(&op),
            };
            // What a transaction did is shown once, where it starts.
            let shown = if moment == Some(true) { String::new() } else { format!("  {shown}") };
            let line = format!("{INDENT}{INDENT}{place:>digits$}. {}{shown}", paint(FAINT, &what));
            writeln!(out, "{}", line.trim_end()).expect("writing to a String cannot fail");
        }
    }
}

/// The same as JSON: the operations by their ids.
pub(in crate::report) fn json(report: &Report) -> Json {
    let place = |(moment, txn): (Option<bool>, TxnId)| {
        let op = report.txns.txn(txn).op;
        match moment {
            Some(false) => json!(["start", op]),
            Some(true) => json!(["commit", op]),
            None => op.into(),
        }
    };
    let told = |proof: Proof| {
        let order: Json = proof.order.into_iter().map(place).collect();
        json!({ "level": proof.level.to_string(), "order": order })
    };
    proofs(report).into_iter().map(told).collect()
}
