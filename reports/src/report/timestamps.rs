//! What the system's own timestamps say of transactions: in words, and as JSON.

use super::Judgement;
use super::isolation::described;
use super::json::{operation, value_json};
use super::text::{INDENT, guessed};
use crate::terminal::{BAD, GOOD, STRONG, UNSURE, count, paint, printable, thousands, wrap_into};
use serde_json::{Value as Json, json};
use shakedown_checkers::transaction::complete::{Model, Order};
use shakedown_checkers::transaction::explain::Words;
use shakedown_checkers::transaction::level::Level;
use shakedown_checkers::transaction::timestamps::{Answer, Difference, Flaw, Report, cast, sentence};
use shakedown_checkers::transaction::{KeyId, Status, Transactions, TxnId};
use shakedown_checkers::validate::{Refusal, validate_timestamps};
use shakedown_checkers::value::{Value, Values};

/// Flaws told in full; the others are counted.
const TOLD_MAX: usize = 3;

/// Transactions judged by their timestamps.
#[derive(Debug)]
pub struct Stamped {
    /// The level that was demanded.
    pub level: Level,
    /// The history as it was read.
    pub txns: Transactions,
    /// What was found.
    pub report: Report,
}

impl Stamped {
    /// What the independent validator says of the proof.
    pub fn validate(&self, values: &Values) -> Result<(), Refusal> {
        validate_timestamps(&self.txns, values, &self.report)
    }

    fn words<'a>(&'a self, judgement: &'a Judgement, cast: &'a [TxnId]) -> Words<'a> {
        Words { history: &judgement.history, txns: &self.txns, cast }
    }

    fn sentence(&self, judgement: &Judgement, flaw: &Flaw, cast: &[TxnId]) -> String {
        sentence(&self.words(judgement, cast), self.report.question, flaw)
    }

    /// Why there is no verdict.
    fn open(&self, judgement: &Judgement, homeless: TxnId) -> String {
        let name = self.words(judgement, &[]).name(homeless);
        if self.txns.txn(homeless).status == Status::Committed {
            format!("{name} committed and has no start-ts and commit-ts; nothing else is wrong")
        } else {
            format!(
                "nobody knows whether or when {name} committed; others saw what it wrote, and it does not fit \
                 where it was tried"
            )
        }
    }
}

/// The verdict in a few words.
pub(super) fn headline(stamped: &Stamped) -> String {
    let level = stamped.level;
    match (&stamped.report.answer, stamped.report.flaws.first()) {
        (Answer::Violated, Some(flaw)) => format!("not {level} by its timestamps: {}", flaw.name()),
        (Answer::Unknown(_), _) => format!("{level} could not be decided by the timestamps"),
        _ => format!("{level} by its timestamps"),
    }
}

/// What was found, in lines of at most `width` columns.
pub(super) fn text(out: &mut String, judgement: &Judgement, stamped: &Stamped, width: usize) {
    let Stamped { level, report, .. } = stamped;
    let headline = match &report.answer {
        Answer::Holds(_) => {
            let is = paint(GOOD, &format!("It is {level} by the timestamps that the system gave"));
            format!("{is}: {}.", what_holds(report))
        }
        Answer::Violated => {
            let is_not = paint(BAD, &format!("It is not {level} by the timestamps that the system gave"));
            format!(
                "{is_not}. Without --timestamps it may be correct all the same, in an order that they do not \
                 show: then they are wrong."
            )
        }
        Answer::Unknown(homeless) => {
            let unknown =
                paint(UNSURE, &format!("No verdict: {level} could not be decided by the timestamps"));
            format!("{unknown}, for {}.", printable(&stamped.open(judgement, *homeless)))
        }
    };
    wrap_into(out, width, INDENT, INDENT, &headline);
    if matches!(report.answer, Answer::Holds(_)) && !report.unstamped.is_empty() {
        let number = report.unstamped.len() as u64;
        let fits = if number == 1 { "it fits" } else { "each of them fits" };
        let number = count(number, "transaction");
        let text = format!(
            "{number} of unknown outcome, without timestamps, had been seen by others: there is a place where {fits}."
        );
        wrap_into(out, width, INDENT, INDENT, &text);
    }
    for flaw in report.flaws.iter().take(TOLD_MAX) {
        let cast = cast(&stamped.txns, flaw);
        out.push('\n');
        let title = format!("{}: {}.", paint(STRONG, flaw.name()), flaw.summary());
        wrap_into(out, width, INDENT, INDENT, &title);
        let sentence = format!("{}.", printable(&stamped.sentence(judgement, flaw, &cast)));
        wrap_into(out, width, &format!("{INDENT}- "), &format!("{INDENT}  "), &sentence);
        for (i, txn) in cast.iter().enumerate() {
            let name = paint(STRONG, &format!("T{}", i + 1));
            let text = format!("{name} {}", described(judgement, &stamped.txns, *txn));
            wrap_into(out, width, &format!("{INDENT}  "), &format!("{INDENT}     "), &text);
        }
    }
    if report.flaw_count > TOLD_MAX {
        out.push('\n');
        let text = format!("Found: {} such contradictions.", thousands(report.flaw_count as u64));
        wrap_into(out, width, INDENT, INDENT, &text);
    }
    if report.answer == Answer::Violated {
        guessed(out, judgement, width);
    }
}

/// What a schedule that holds is like.
fn what_holds(report: &Report) -> String {
    let reads = match report.question.model {
        Model::Serializable => "each transaction read what had been committed at its commit-ts",
        Model::SnapshotIsolation => {
            "each transaction read what had been committed at its start-ts, and no two that wrote one key \
             overlap"
        }
        Model::Prefix => "each transaction read what had been committed at its start-ts",
    };
    let order = match report.question.order {
        Order::Free => "",
        Order::Session => "; each session's transactions come in their order",
        Order::RealTime => "; who had completed comes before all who were invoked after that",
    };
    format!("{reads}{order}")
}

/// Everything that was found; field by field in `docs/verdict-json.md`.
pub(super) fn json(judgement: &Judgement, stamped: &Stamped) -> Json {
    let Stamped { txns, report, .. } = stamped;
    let operations =
        |ids: &[TxnId]| -> Json { ids.iter().map(|txn| operation(judgement, txns.txn(*txn).op)).collect() };
    let flaw = |flaw: &Flaw| {
        let cast = cast(txns, flaw);
        let mut out = json!({
            "kind": flaw.name(),
            "sentence": stamped.sentence(judgement, flaw, &cast),
            "transactions": operations(&cast),
            "timestamps": cast.iter().map(|txn| timestamps_json(judgement, txns, *txn)).collect::<Json>(),
        });
        let values = judgement.history.values();
        let key = |key: KeyId| value_json(values, txns.keys()[key as usize]);
        let value = |value: Option<Value>| value.map_or(Json::Null, |value| value_json(values, value));
        match *flaw {
            Flaw::External(Difference { key: of, seen, expected, .. })
            | Flaw::Internal(Difference { key: of, seen, expected, .. }) => {
                out["key"] = key(of);
                out["seen"] = value(seen);
                out["expected"] = value(expected);
            }
            Flaw::Conflict { key: of, .. } => out["key"] = key(of),
            Flaw::Session { .. } | Flaw::RealTime { .. } | Flaw::Backwards { .. } => {}
        }
        out
    };
    json!({
        "transactions": txns.len(),
        "stamped": report.stamped,
        "unstamped": report.unstamped.len(),
        "flaws": report.flaws.iter().map(flaw).collect::<Json>(),
        "flaw_count": report.flaw_count,
        "unknown": match report.answer {
            Answer::Unknown(homeless) => json!({
                "sentence": stamped.open(judgement, homeless),
                "transaction": operation(judgement, txns.txn(homeless).op),
            }),
            Answer::Holds(_) | Answer::Violated => Json::Null,
        },
    })
}

fn timestamps_json(judgement: &Judgement, txns: &Transactions, txn: TxnId) -> Json {
    judgement
        .history
        .timestamps_of(txns.txn(txn).op)
        .map_or(Json::Null, |stamps| json!({ "start-ts": stamps.start, "commit-ts": stamps.commit }))
}
