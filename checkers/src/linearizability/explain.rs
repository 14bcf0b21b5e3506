//! Sentences for people: what cannot be, and why.

use crate::history::{History, OpId, Operation};
use crate::verdict::Witness;
use std::fmt::Write as _;

/// States listed before "and … more".
const STATES_SHOWN: usize = 6;

/// The explanation of a core that the general engines found.
pub(crate) fn general(history: &History, witness: &Witness) -> Vec<String> {
    let failed = history.operation(witness.failed);
    let mut sentences = vec![format!("{} cannot be placed.", capitalized(&describe(history, &failed)))];
    if !witness.states_seen.is_empty() {
        let shown = witness.states_seen.iter().take(STATES_SHOWN).cloned().collect::<Vec<_>>();
        let more = witness.states_seen.len().saturating_sub(STATES_SHOWN);
        let mut states = shown.join(", or ");
        if more > 0 {
            write!(states, ", or {more} more").expect("writing to a String cannot fail");
        }
        sentences.push(format!("While it ran, the state can only have been {states}."));
    }
    let others = witness.core.iter().filter(|&&id| id != witness.failed).count();
    sentences.push(match others {
        0 => "It contradicts the model by itself, whatever else happened.".to_owned(),
        1 => "That follows from one other operation, whatever the rest did.".to_owned(),
        _ => format!("That follows from {others} other operations, whatever the rest did."),
    });
    sentences
}

/// An operation in words: `read by process 3 → 7 (lines 10 to 12)`.
pub(crate) fn describe(history: &History, op: &Operation<'_>) -> String {
    let values = history.values();
    let mut text = op.f.to_owned();
    if let Some(key) = op.key {
        write!(text, " of key {}", values.show(key)).expect("writing to a String cannot fail");
    }
    if !op.input.is_nil() {
        write!(text, " {}", values.show(op.input)).expect("writing to a String cannot fail");
    }
    if op.process < crate::history::ANONYMOUS {
        write!(text, " by process {}", op.process).expect("writing to a String cannot fail");
    }
    if op.complete_line != 0 || op.complete_position != crate::history::NEVER {
        if op.output != op.input {
            write!(text, " → {}", values.show(op.output)).expect("writing to a String cannot fail");
        }
    } else {
        text.push_str(" (never completed)");
    }
    match (op.invoke_line, op.complete_line) {
        (0, _) => write!(text, " (operation {})", op.id),
        (from, 0) => write!(text, " (line {from})"),
        (from, to) if from == to => write!(text, " (line {from})"),
        (from, to) => write!(text, " (lines {from} to {to})"),
    }
    .expect("writing to a String cannot fail");
    text
}

/// [`describe`] by row.
pub(crate) fn describe_id(history: &History, id: OpId) -> String {
    describe(history, &history.operation(id))
}

pub(crate) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
