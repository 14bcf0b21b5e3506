//! What the values of a history look like where the names of its functions fit an object and a data type alike:
//! a guess by the names alone would judge a correct history as something that it is not.

use crate::datatype::independent::Independent;
use crate::history::{History, Operation, Outcome};
use crate::value::{Datum, Value, Values};
use std::collections::BTreeSet;

/// Reads and writes of what is, or is not, a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// They return values, or nobody knows what.
    Values,
    /// They return lists or sets of what was written.
    Collections,
    /// They return a key's parts, in the order in which they were read.
    Parts,
    /// They return lists or sets that nobody wrote, of something else than what was written.
    Strange,
}

/// What the reads of a history of `read` and `write` return.
pub(super) fn reads(history: &History) -> Reads {
    let values = history.values();
    let is_read = |op: &Operation<'_>| matches!(op.f, "read" | "r");
    let known = |op: &Operation<'_>| is_read(op) && op.outcome == Outcome::Ok && !op.output.is_nil();
    let keys = Independent::of(history);
    let mut written = BTreeSet::new();
    for op in history.operations().filter(|op| !is_read(op)) {
        let (_, value) = keys.input(&op, values);
        if members(values, value).is_some() {
            return Reads::Values;
        }
        written.insert(value);
    }
    let mut any = false;
    let (mut all_parts, mut has_gaps, mut is_strange) = (true, false, false);
    for op in history.operations().filter(known) {
        any = true;
        let (key, input) = keys.input(&op, values);
        // `read k` returns the key with its parts; so does, with independent keys, a read of all of a key.
        let named = if key.is_nil() { input } else { key };
        let parts = values.pair(op.output).filter(|(k, _)| *k == named && !k.is_nil());
        match parts.and_then(|(_, parts)| members(values, parts)) {
            Some(parts) => has_gaps |= key.is_nil() || parts.iter().any(|part| part.is_nil()),
            None => all_parts = false,
        }
        let output = keys.output(&op, values, "").unwrap_or(op.output);
        let Some(collection) = members(values, output) else { return Reads::Values };
        is_strange |= !collection.is_empty() && !collection.iter().any(|member| written.contains(member));
    }
    match any {
        false => Reads::Values,
        true if all_parts && has_gaps => Reads::Parts,
        true if is_strange => Reads::Strange,
        true => Reads::Collections,
    }
}

/// True of Adya's inserts: `[k [a-id b-id]]`, one of the two nil.
pub(super) fn inserts_into_one_of_two(history: &History) -> bool {
    let values = history.values();
    let mut inserts = history.operations().filter(|op| op.f == "insert").peekable();
    inserts.peek().is_some()
        && inserts.all(|op| {
            let ids =
                if op.key.is_some() { Some(op.input) } else { values.pair(op.input).map(|pair| pair.1) };
            let ids = ids.and_then(|ids| values.pair(ids));
            ids.is_some_and(|(a, b)| a.is_nil() != b.is_nil())
        })
}

/// True if additions return rows of a value and the database's timestamp: `{:val v, :sts t}`.
pub(super) fn adds_return_rows(history: &History) -> bool {
    let values = history.values();
    let is_row = |value| match values.get(value) {
        Datum::Map(flat) => {
            let has = |name| flat.chunks_exact(2).any(|entry| values.text(entry[0]) == Some(name));
            has("val") && has("sts")
        }
        _ => false,
    };
    let ok = |op: &Operation<'_>| op.f == "add" && op.outcome == Outcome::Ok;
    history.operations().any(|op| ok(&op))
        && history
            .operations()
            .filter(ok)
            .all(|op| is_row(op.output) || values.pair(op.output).is_some_and(|(_, row)| is_row(row)))
}

/// The members of a list or set.
fn members(values: &Values, value: Value) -> Option<&[Value]> {
    match values.get(value) {
        Datum::List(members) | Datum::Set(members) => Some(members),
        _ => None,
    }
}
