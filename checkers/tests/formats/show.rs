//! A history as text: everything that a checker or a plot looks at, and nothing that depends on the
//! arena.

use shakedown_checkers::history::{History, NEVER};
use shakedown_checkers::value::{Datum, Value, Values};
use std::fmt::Write as _;

/// One line per operation and other event, then the errors.
pub(crate) fn show(history: &History) -> String {
    let values = history.values();
    let mut out = String::new();
    for op in history.operations() {
        let key = op.key.map_or(String::new(), |key| format!(" key={}", canonical(key, values)));
        let end = if op.complete_position == NEVER { "-".into() } else { op.complete_position.to_string() };
        let error = history.error_of(op.id).map_or(String::new(), |e| format!(" !{}", canonical(e, values)));
        let stamps = history.timestamps_of(op.id);
        let stamps = stamps.map_or(String::new(), |stamps| format!(" @{}..{}", stamps.start, stamps.commit));
        writeln!(
            out,
            "{}..{end} p{} {}{key} {} -> {} {:?}{error} t{}..{}{stamps}",
            op.invoke_position,
            op.process,
            op.f,
            canonical(op.input, values),
            canonical(op.output, values),
            op.outcome,
            op.invoke_time_ns,
            op.complete_time_ns,
        )
        .expect("writing to a String");
    }
    for other in history.others() {
        let what = canonical(other.value, values);
        // A name is a keyword in EDN and a string in JSON.
        let who = values.text(other.process).map_or_else(|| canonical(other.process, values), str::to_owned);
        let (kind, f) = (other.kind.name(), history.function(other.f));
        writeln!(out, "{} {who} {kind} {f} {what} t{}", other.position, other.time_ns)
            .expect("writing to a String");
    }
    out
}

/// A value as EDN with the members of maps and sets sorted by their text.
pub(crate) fn canonical(value: Value, values: &Values) -> String {
    let all = |members: &[Value]| -> Vec<String> { members.iter().map(|m| canonical(*m, values)).collect() };
    match values.get(value) {
        Datum::List(members) => format!("[{}]", all(members).join(" ")),
        Datum::Set(members) => {
            let mut texts = all(members);
            texts.sort();
            format!("#{{{}}}", texts.join(" "))
        }
        Datum::Map(members) => {
            let texts = all(members);
            let mut pairs: Vec<String> = texts.chunks(2).map(|pair| pair.join(" ")).collect();
            pairs.sort();
            format!("{{{}}}", pairs.join(", "))
        }
        _ => values.show(value),
    }
}
