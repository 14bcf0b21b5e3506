//! What became of the elements of a data type: in words, and as JSON.

use super::Judgement;
use super::json::{operation, value_json};
use super::text::{INDENT, guessed};
use super::timeline::draw;
use crate::terminal::{BAD, FAINT, GOOD, UNSURE, count, paint, printable, thousands, wrap_into};
use serde_json::{Map, Value as Json, json};
use shakedown_checkers::datatype::{FINDINGS_MAX, Figure, Finding, Report, Validity};
use shakedown_checkers::value::Values;

/// Findings told in full; the others are counted.
const TOLD_MAX: usize = 8;

/// The verdict in a few words.
pub(super) fn headline(report: &Report) -> String {
    match &report.validity {
        Validity::Valid => "nothing wrong".to_owned(),
        Validity::Unknown(reason) => reason.clone(),
        Validity::Invalid => {
            let mut kinds: Vec<&str> = errors(report).map(|finding| finding.kind).collect();
            kinds.dedup();
            kinds.join(", ")
        }
    }
}

fn errors(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| finding.is_error)
}

/// What was found and counted, in lines of at most `width` columns.
pub(super) fn text(out: &mut String, judgement: &Judgement, report: &Report, width: usize) {
    let headline = match &report.validity {
        Validity::Valid => paint(GOOD, "Nothing in it is wrong."),
        Validity::Invalid => paint(BAD, "It is wrong:"),
        Validity::Unknown(reason) => {
            format!("{} {}.", paint(UNSURE, "No verdict:"), printable(reason).trim_end_matches('.'))
        }
    };
    wrap_into(out, width, INDENT, INDENT, &headline);
    for finding in report.findings.iter().take(TOLD_MAX) {
        let kind = if finding.is_error { paint(BAD, finding.kind) } else { paint(FAINT, finding.kind) };
        let sentence = format!("{kind}: {}.", printable(&finding.sentence).trim_end_matches('.'));
        wrap_into(out, width, &format!("{INDENT}- "), &format!("{INDENT}  "), &sentence);
    }
    if report.findings.len() > TOLD_MAX {
        let all: u64 = report.counts.iter().map(|(_, number)| number).sum();
        let which = if all == report.findings.len() as u64 {
            "them".to_owned()
        } else {
            format!("{FINDINGS_MAX} of each kind")
        };
        let more = count(all - TOLD_MAX as u64, "finding");
        let text = format!("and {more} more (--format json lists {which})");
        wrap_into(out, width, &format!("{INDENT}- "), &format!("{INDENT}  "), &text);
    }
    let values = judgement.history.values();
    let figures: Vec<String> = report
        .figures
        .iter()
        .map(|(name, figure)| format!("{name} {}", figure_text(figure, values)))
        .collect();
    if !figures.is_empty() {
        wrap_into(out, width, INDENT, &format!("{INDENT}  "), &figures.join("; "));
    }
    if report.validity == Validity::Invalid {
        guessed(out, judgement, width);
    }
    if let Some(first) = errors(report).next().filter(|finding| !finding.operations.is_empty()) {
        out.push('\n');
        out.push_str(&draw(&judgement.history, &first.operations, None, INDENT.len(), width));
    }
}

/// A figure in a few characters.
fn figure_text(figure: &Figure, values: &Values) -> String {
    const SHOWN: usize = 6;
    let some_with = |gap: &str, all: Vec<String>| {
        let more = if all.len() > SHOWN { format!("{gap}...") } else { String::new() };
        format!("[{}{more}]", all[..all.len().min(SHOWN)].join(gap))
    };
    // Values stand as in EDN; what has spaces of its own needs commas.
    let some = |all: Vec<String>| some_with(", ", all);
    match figure {
        Figure::Count(count) => thousands(*count),
        Figure::Int(int) => int.to_string(),
        Figure::Values(list) => some_with(" ", list.iter().map(|value| values.show(*value)).collect()),
        Figure::LatenciesMs(quantiles) => {
            some(quantiles.iter().map(|(quantile, ms)| format!("{quantile}: {ms:.1} ms")).collect())
        }
        Figure::Quantiles(quantiles) => {
            some(quantiles.iter().map(|(quantile, number)| format!("{quantile}: {number}")).collect())
        }
        Figure::Tally(tally) => {
            some(tally.iter().map(|(value, number)| format!("{}: {number}", values.show(*value))).collect())
        }
        Figure::Ranges(ranges) => some(ranges.iter().map(|(from, to)| format!("{from} to {to}")).collect()),
        Figure::Bounds(bounds) => some(bounds.iter().map(bounded).collect()),
        Figure::Text(text) => text.clone(),
    }
}

/// What was read, and whether it lies between its bounds.
fn bounded([lower, value, upper]: &[i128; 3]) -> String {
    let not = if lower <= value && value <= upper { "" } else { "not " };
    format!("{value} {not}in {lower} to {upper}")
}

/// Everything that was found and counted; field by field in `docs/verdict-json.md`.
pub(super) fn json(judgement: &Judgement, report: &Report) -> Json {
    let values = judgement.history.values();
    let figures: Map<String, Json> = report
        .figures
        .iter()
        .map(|(name, figure)| ((*name).to_owned(), figure_json(figure, values)))
        .collect();
    let findings = report.findings.iter().map(|finding| {
        json!({
            "kind": finding.kind,
            "is_error": finding.is_error,
            "sentence": finding.sentence,
            "values": finding.values.iter().map(|value| value_json(values, *value)).collect::<Json>(),
            "operations": finding.operations.iter().map(|id| operation(judgement, *id)).collect::<Json>(),
        })
    });
    json!({
        "unknown": match &report.validity {
            Validity::Unknown(reason) => Json::from(reason.as_str()),
            Validity::Valid | Validity::Invalid => Json::Null,
        },
        "findings": findings.collect::<Json>(),
        "finding_counts": report
            .counts
            .iter()
            .map(|(kind, number)| ((*kind).to_owned(), Json::from(*number)))
            .collect::<Map<_, _>>(),
        "figures": figures,
    })
}

fn figure_json(figure: &Figure, values: &Values) -> Json {
    // Larger numbers than JSON's readers take are given as text.
    let wide =
        |number: i128| i64::try_from(number).map_or_else(|_| Json::from(number.to_string()), Json::from);
    match figure {
        Figure::Count(count) => (*count).into(),
        Figure::Int(int) => (*int).into(),
        Figure::Values(list) => list.iter().map(|value| value_json(values, *value)).collect(),
        Figure::LatenciesMs(quantiles) => Json::Object(
            quantiles.iter().map(|(quantile, ms)| (quantile.to_string(), Json::from(*ms))).collect(),
        ),
        Figure::Quantiles(quantiles) => Json::Object(
            quantiles.iter().map(|(quantile, number)| (quantile.to_string(), Json::from(*number))).collect(),
        ),
        Figure::Tally(tally) => {
            tally.iter().map(|(value, number)| json!([value_json(values, *value), number])).collect()
        }
        Figure::Ranges(ranges) => ranges.iter().map(|(from, to)| json!([wide(*from), wide(*to)])).collect(),
        Figure::Bounds(bounds) => {
            bounds.iter().map(|bounds| bounds.map(wide).into_iter().collect::<Json>()).collect()
        }
        Figure::Text(text) => text.as_str().into(),
    }
}
