//! What is wrong with transactions, and which levels that leaves: in words, and as JSON.

pub(super) mod proof;

use super::Judgement;
use super::asked::{Asked, list};
use super::json::{operation, value_json};
use super::text::{INDENT, guessed, lines_of};
use crate::terminal::{BAD, FAINT, GOOD, STRONG, UNSURE, paint, printable, shorten, thousands, wrap_into};
use serde_json::{Map, Value as Json, json};
use shakedown_checkers::history::ANONYMOUS;
use shakedown_checkers::transaction::anomaly::{Anomaly, Evidence};
use shakedown_checkers::transaction::explain::{Words, cast};
use shakedown_checkers::transaction::level::Level;
use shakedown_checkers::transaction::proof::{Edge, Why};
use shakedown_checkers::transaction::{INITIAL, Report, Standing, Transactions, TxnId, VersionId};
use std::fmt::Write as _;

/// Anomalies told in full; the others are named.
const TOLD_MAX: usize = 3;
/// Characters of a transaction's micro-operations that are shown.
const SHOWN_MAX: usize = 400;

/// The verdict in a few words.
pub(super) fn headline(asked: &Asked, report: &Report) -> String {
    let outcome = asked.outcome(report);
    match report.verdict {
        Standing::Holds => list(&asked.levels),
        Standing::Violated(_) if !outcome.found.is_empty() => outcome.wrong(),
        Standing::Violated(culprit) => {
            format!("{}: {}", outcome.wrong(), full_name(&report.anomalies[culprit]))
        }
        Standing::Undecided => outcome.undecided(),
    }
}

pub(super) fn full_name(anomaly: &Anomaly) -> String {
    match anomaly.also {
        Some(also) => format!("{} ({also})", anomaly.name()),
        None => anomaly.name(),
    }
}

/// What was found, in lines of at most `width` columns.
pub(super) fn text(out: &mut String, judgement: &Judgement, asked: &Asked, report: &Report, width: usize) {
    let outcome = asked.outcome(report);
    let mut headline = match report.verdict {
        Standing::Holds => {
            let is = paint(GOOD, &format!("It is {}", list(&asked.levels)));
            format!("{is}, as far as a history can tell.")
        }
        Standing::Violated(_) => {
            let is = if outcome.violated.is_empty() { "It" } else { "It is" };
            format!("{}.", paint(BAD, &format!("{is} {}", outcome.wrong())))
        }
        Standing::Undecided => {
            format!("{}.", paint(UNSURE, &format!("No verdict: {}", outcome.undecided())))
        }
    };
    if let Some(rest) = outcome.rest().filter(|_| report.verdict != Standing::Holds) {
        write!(headline, " {rest}").expect("writing to a String cannot fail");
    }
    wrap_into(out, width, INDENT, INDENT, &headline);
    let groups = groups(report);
    let mut cast = Vec::new();
    for group in groups.iter().take(TOLD_MAX) {
        anomaly(out, judgement, report, group, &mut cast, width);
    }
    if groups.len() > TOLD_MAX {
        let others = groups[TOLD_MAX..].iter().flatten().map(|anomaly| full_name(anomaly));
        let mut names: Vec<String> = others.collect();
        names.dedup();
        out.push('\n');
        wrap_into(out, width, INDENT, INDENT, &format!("Also found: {}.", names.join(", ")));
    }
    if !report.anomalies.is_empty() {
        out.push('\n');
        let counts: Vec<String> = report
            .counts
            .iter()
            .filter(|(_, _, count)| *count > 1)
            .map(|(phenomenon, variant, count)| {
                let like =
                    report.anomalies.iter().find(|a| (a.phenomenon, a.variant) == (*phenomenon, *variant));
                format!("{} {}", thousands(*count), like.expect("counted by what was kept").name())
            })
            .collect();
        if !counts.is_empty() {
            wrap_into(out, width, INDENT, INDENT, &format!("Found: {}.", counts.join(", ")));
        }
    }
    for (what, levels) in [
        ("Violated, the weakest:", report.weakest_violated()),
        ("Hold, the strongest:", report.strongest()),
        ("Not decided:", report.undecided()),
    ] {
        // To say that what was asked for holds is enough if nothing is stronger.
        let is_said =
            matches!(report.verdict, Standing::Holds) && levels.iter().eq([&Level::STRICT_SERIALIZABLE]);
        if !levels.is_empty() && !is_said {
            wrap_into(
                out,
                width,
                INDENT,
                &format!("{INDENT}  "),
                &format!("{} {}.", paint(FAINT, what), list(&levels)),
            );
        }
    }
    if matches!(report.verdict, Standing::Violated(_)) {
        guessed(out, judgement, width);
    }
}

/// Anomalies that one and the same evidence shows, together; the one that decides the verdict first. Of each
/// kind the first alone.
fn groups(report: &Report) -> Vec<Vec<&Anomaly>> {
    let mut groups: Vec<Vec<&Anomaly>> = Vec::new();
    let mut kinds = Vec::new();
    let culprit = match report.verdict {
        Standing::Violated(culprit) => Some(culprit),
        Standing::Holds | Standing::Undecided => None,
    };
    let order = culprit.into_iter().chain((0..report.anomalies.len()).filter(|i| Some(*i) != culprit));
    for anomaly in order.map(|i| &report.anomalies[i]) {
        let kind = (anomaly.phenomenon, anomaly.variant);
        if kinds.contains(&kind) {
            continue;
        }
        kinds.push(kind);
        match groups.iter_mut().find(|group| is_same(&group[0].evidence, &anomaly.evidence)) {
            Some(group) => group.push(anomaly),
            None => groups.push(vec![anomaly]),
        }
    }
    groups
}

/// True of two cycles that are one, wherever they begin.
fn is_same(a: &Evidence, b: &Evidence) -> bool {
    match (a, b) {
        (Evidence::Cycle { edges: a, .. }, Evidence::Cycle { edges: b, .. }) => {
            a.len() == b.len()
                && (0..a.len()).any(|shift| (0..a.len()).all(|i| a[i] == b[(i + shift) % b.len()]))
        }
        _ => a == b,
    }
}

/// Tells what evidence shows. Transactions are called alike wherever they come up, in the order of `cast`, and shown
/// where they come up first.
fn anomaly(
    out: &mut String,
    judgement: &Judgement,
    report: &Report,
    group: &[&Anomaly],
    cast: &mut Vec<TxnId>,
    width: usize,
) {
    let first = group[0];
    out.push('\n');
    let mut title = paint(STRONG, &full_name(first));
    write!(title, ": {}", first.summary()).expect("writing to a String cannot fail");
    let others: Vec<String> = group[1..].iter().map(|anomaly| full_name(anomaly)).collect();
    if !others.is_empty() {
        write!(title, " (it is {} as well)", others.join(", ")).expect("writing to a String cannot fail");
    }
    wrap_into(out, width, INDENT, INDENT, &format!("{title}."));
    let known = cast.len();
    for txn in shakedown_checkers::transaction::explain::cast(first) {
        if !cast.contains(&txn) {
            cast.push(txn);
        }
    }
    let words = Words { history: &judgement.history, txns: &report.txns, cast };
    for sentence in words.sentences(first) {
        let sentence = format!("{}.", printable(&sentence).trim_end_matches('.'));
        wrap_into(out, width, &format!("{INDENT}- "), &format!("{INDENT}  "), &sentence);
    }
    for (i, txn) in cast.iter().enumerate().skip(known) {
        let text =
            format!("{} {}", paint(STRONG, &format!("T{}", i + 1)), described(judgement, &report.txns, *txn));
        wrap_into(out, width, &format!("{INDENT}  "), &format!("{INDENT}     "), &text);
    }
}

/// Process, lines and micro-operations of a transaction.
pub(super) fn described(judgement: &Judgement, txns: &Transactions, txn: TxnId) -> String {
    let op = judgement.history.operation(txns.txn(txn).op);
    let mut parts = Vec::new();
    if op.process < ANONYMOUS {
        parts.push(format!("process {}", op.process));
    }
    parts.extend(Some(lines_of(&op)).filter(|lines| !lines.is_empty()));
    let value = if op.output.is_nil() { op.input } else { op.output };
    let shown = judgement.history.values().show(value);
    format!("({}): {}", parts.join(", "), shorten(&printable(&shown), SHOWN_MAX))
}

/// Everything that was found; field by field in `docs/verdict-json.md`.
pub(super) fn json(judgement: &Judgement, asked: &Asked, report: &Report, certify: bool) -> Json {
    let open = asked.outcome(report).open;
    let standings: Map<String, Json> = report
        .standings
        .iter()
        .map(|(level, standing)| {
            let word = match standing {
                Standing::Holds => "holds",
                Standing::Violated(_) => "violated",
                Standing::Undecided => "undecided",
            };
            (level.to_string(), word.into())
        })
        .collect();
    let named =
        |levels: Vec<Level>| levels.iter().map(|level| Json::from(level.to_string())).collect::<Json>();
    let counts: Map<String, Json> = report
        .counts
        .iter()
        .filter_map(|(phenomenon, variant, count)| {
            let like =
                report.anomalies.iter().find(|a| (a.phenomenon, a.variant) == (*phenomenon, *variant))?;
            Some((like.name(), (*count).into()))
        })
        .collect();
    let mut out = json!({
        "transactions": report.txns.len(),
        "violated": named(report.weakest_violated()),
        "holds": named(report.strongest()),
        "undecided": named(report.undecided()),
        "levels": standings,
        "undecided_because": open
            .iter()
            .map(|(level, why)| (level.to_string(), Json::from(why.name())))
            .collect::<Map<_, _>>(),
        "anomaly_counts": counts,
        "culprit": match report.verdict {
            Standing::Violated(culprit) => Json::from(culprit),
            Standing::Holds | Standing::Undecided => Json::Null,
        },
        "anomalies": report.anomalies.iter().map(|found| anomaly_json(judgement, report, found)).collect::<Json>(),
    });
    if certify {
        out["certificates"] = proof::json(report);
    }
    out
}

fn anomaly_json(judgement: &Judgement, report: &Report, anomaly: &Anomaly) -> Json {
    let cast = cast(anomaly);
    let words = Words { history: &judgement.history, txns: &report.txns, cast: &cast };
    let values = judgement.history.values();
    let transactions: Json = cast.iter().map(|txn| operation(judgement, report.txns.txn(*txn).op)).collect();
    let mut out = json!({
        "name": anomaly.name(),
        "also": anomaly.also,
        "sentences": words.sentences(anomaly),
        "transactions": transactions,
    });
    match &anomaly.evidence {
        Evidence::Cycle { edges, is_shortest } => {
            out["cycle"] = edges.iter().map(|edge| edge_json(judgement, report, &words, edge)).collect();
            out["is_shortest"] = (*is_shortest).into();
        }
        Evidence::Direct { key, values: about, .. } => {
            out["key"] = value_json(values, report.txns.keys()[*key as usize]);
            out["values"] = about.iter().map(|value| value_json(values, *value)).collect();
        }
        Evidence::Cases { .. } => {}
    }
    out
}

fn edge_json(judgement: &Judgement, report: &Report, words: &Words<'_>, edge: &Edge) -> Json {
    let values = judgement.history.values();
    let value = |version: VersionId| match version {
        INITIAL => Json::Null,
        version => value_json(values, report.txns.version(version).value),
    };
    let key = |version: VersionId| {
        value_json(values, report.txns.keys()[report.txns.version(version).key as usize])
    };
    let mut out = json!({
        "from": report.txns.txn(edge.from).op,
        "to": report.txns.txn(edge.to).op,
        "sentence": words.edge(edge),
    });
    match &edge.why {
        Why::Session => out["kind"] = "session".into(),
        Why::RealTime => out["kind"] = "realtime".into(),
        Why::Read { version } => {
            out["kind"] = "wr".into();
            out["key"] = key(*version);
            out["value"] = value(*version);
        }
        Why::Overwrote { before, after, .. } => {
            out["kind"] = "ww".into();
            out["key"] = key(*after);
            out["value"] = value(*before);
            out["next"] = value(*after);
        }
        Why::Missed { seen, after, .. } => {
            out["kind"] = "rw".into();
            out["key"] = key(*after);
            out["value"] = value(*seen);
            out["next"] = value(*after);
        }
        Why::Visible { version, older, .. } => {
            out["kind"] = "visible".into();
            out["key"] = key(*version);
            out["value"] = value(*older);
            out["next"] = value(*version);
        }
    }
    out
}
