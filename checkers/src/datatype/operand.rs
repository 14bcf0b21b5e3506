//! What the checkers of data types share when they read operations: shapes of values, independent parts,
//! and how operations and values are named in sentences.

use super::{Findings, Quote};
use crate::history::{History, OpId, Operation, Outcome};
use crate::model::ModelError;
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::HashMap;

/// The operations of one object, in the order of their invocations.
pub(super) struct Part {
    /// The object's key, if the history's format has a field for keys.
    pub(super) key: Option<Value>,
    pub(super) ops: Vec<OpId>,
}

/// The objects of a history, in the order of their first operations: one for each key of the key field, or
/// one in all. Values `[k v]` are not taken apart: elle-cli judges them as they stand.
pub(super) fn parts(history: &History) -> Vec<Part> {
    if history.columns.key.is_empty() {
        return vec![Part { key: None, ops: (0..history.len() as OpId).collect() }];
    }
    let mut at: HashMap<Option<Value>, usize, FastBuild> = HashMap::default();
    let mut parts: Vec<Part> = Vec::new();
    for (id, key) in history.columns.key.iter().enumerate() {
        let part = *at.entry(*key).or_insert_with(|| {
            parts.push(Part { key: *key, ops: Vec::new() });
            parts.len() - 1
        });
        parts[part].ops.push(id as OpId);
    }
    parts
}

impl Part {
    /// ` of key k`, or nothing.
    pub(super) fn of_key(&self, values: &Values) -> String {
        self.key.map_or(String::new(), |key| format!(" of key {}", brief(values, key)))
    }
}

/// How often: `once`, `twice`, `3 times`.
pub(super) fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

/// The completion's value of an operation that took effect; `None` if nobody saw one.
pub(super) fn returned(op: &Operation<'_>) -> Option<Value> {
    (op.outcome == Outcome::Ok).then_some(op.output)
}

/// Whether it may have taken effect.
pub(super) fn may_have_happened(op: &Operation<'_>) -> bool {
    op.outcome != Outcome::Fail
}

/// The element that an operation puts in. Its completion may repeat it, be a boolean, or say nothing.
pub(super) fn element(op: &Operation<'_>, values: &Values) -> Result<Value, ModelError> {
    match returned(op) {
        Some(output) if !matches!(output, Value::NIL | Value::TRUE | Value::FALSE) && output != op.input => {
            Err(ModelError::output(op, values, "nil, true, false or the element, repeated"))
        }
        _ => Ok(op.input),
    }
}

/// The members of a list or set; nil has none.
pub(super) fn members(values: &Values, value: Value) -> Option<&[Value]> {
    match values.get(value) {
        Datum::Nil => Some(&[]),
        Datum::List(members) | Datum::Set(members) => Some(members),
        _ => None,
    }
}

/// The entry of a map under `name`, whether its keys are keywords or strings.
pub(super) fn field(values: &Values, map: Value, name: &str) -> Option<Value> {
    let Datum::Map(flat) = values.get(map) else { return None };
    flat.chunks_exact(2).find(|pair| values.text(pair[0]) == Some(name)).map(|pair| pair[1])
}

/// True if a dequeue that returned this found nothing: nil, `:empty` or `:exhausted`.
pub(super) fn is_nothing(values: &Values, value: Value) -> bool {
    matches!(values.get(value), Datum::Nil | Datum::Keyword("empty" | "exhausted"))
}

/// A value for a sentence: long ones are cut.
pub(super) fn brief(values: &Values, value: Value) -> String {
    const CHARACTERS_MAX: usize = 60;
    // A list is cut before it is written: it may have a million members.
    if let Datum::List(members) | Datum::Set(members) | Datum::Map(members) = values.get(value)
        && members.len() > CHARACTERS_MAX
    {
        return format!("{} and {} more", brief_list(values, &members[..4]), members.len() - 4);
    }
    let text = values.show(value);
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// `1, 2 and 3 more`.
pub(super) fn some_of(values: &Values, few: &[Value], count: usize) -> String {
    let listed: Vec<String> = few.iter().map(|value| brief(values, *value)).collect();
    match count - few.len() {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

fn brief_list(values: &Values, few: &[Value]) -> String {
    let scalar = |value: &Value| match values.get(*value) {
        Datum::List(_) | Datum::Map(_) | Datum::Set(_) => "[…]".to_owned(),
        _ => brief(values, *value),
    };
    few.iter().map(scalar).collect::<Vec<_>>().join(" ")
}

/// Where an operation stands, for sentences: `on line 7`, or `in operation 3` if it came from no file.
pub(super) fn place(history: &History, id: OpId) -> String {
    match history.columns.invoke_line[id as usize] {
        0 => format!("in operation {id}"),
        line => format!("on line {line}"),
    }
}

/// Notes that nothing in the history could have been wrong: a verdict of valid then means little.
pub(super) fn note_vacuous(findings: &mut Findings, sentence: &str) {
    findings.add("nothing-to-judge", false, || Quote {
        operations: vec![],
        values: vec![],
        sentence: sentence.to_owned(),
    });
}

/// Sorts what a finding quotes into the order of invocations, each operation once.
pub(super) fn quote(mut operations: Vec<OpId>, values: Vec<Value>, sentence: String) -> Quote {
    operations.sort_unstable();
    operations.dedup();
    Quote { operations, values, sentence }
}
