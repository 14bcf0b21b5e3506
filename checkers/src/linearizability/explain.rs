//! Sentences for people: what cannot be, and why.

use super::distinct::{Why, Zone};
use super::phantom::Phantom;
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
        let states = listed_states(&witness.states_seen);
        sentences.push(format!("While it ran, the state can only have been {states}."));
    }
    let others = witness.core.iter().filter(|&&id| id != witness.failed).count();
    sentences.push(match (others, counted_turns(history, witness)) {
        (0, _) => "No other operation, whether and whenever it took effect, can have led to another state."
            .to_owned(),
        (_, Some(turns)) => turns,
        (1, _) => {
            let other = witness.core.iter().find(|&&id| id != witness.failed).expect("there is one");
            format!(
                "That follows from one other operation, whatever the rest did: {}.",
                describe(history, &history.operation(*other))
            )
        }
        _ => format!("That follows from {others} other operations, whatever the rest did."),
    });
    sentences
}

/// States in a row; many that are numbers by their bounds.
fn listed_states(states: &[String]) -> String {
    let numbers: Option<Vec<i128>> = states.iter().map(|state| state.parse().ok()).collect();
    if let Some(mut numbers) = numbers {
        numbers.sort_unstable();
        if let [least, .., greatest] = numbers[..]
            && numbers.len() > STATES_SHOWN
        {
            return format!("one of {} numbers between {least} and {greatest}", numbers.len());
        }
        let shown: Vec<String> = numbers.iter().map(i128::to_string).collect();
        return shown.join(", or ");
    }
    let mut shown = states.iter().take(STATES_SHOWN).cloned().collect::<Vec<_>>().join(", or ");
    let more = states.len().saturating_sub(STATES_SHOWN);
    if more > 0 {
        write!(shown, ", or {more} more").expect("writing to a String cannot fail");
    }
    shown
}

/// What a core of a lock's operations says by their numbers alone: acquisitions and releases take
/// turns, and these do not come out even.
fn counted_turns(history: &History, witness: &Witness) -> Option<String> {
    let (mut acquired, mut released) = (vec![], vec![]);
    for &id in &witness.core {
        match history.operation(id).f {
            "acquire" | "lock" => acquired.push(id),
            "release" | "unlock" => released.push(id),
            _ => return None,
        }
    }
    // A lock that knows its owner has reasons of its own.
    if !witness.states_seen.iter().all(|state| matches!(state.as_str(), "free" | "held")) {
        return None;
    }
    let say = |id: OpId| describe(history, &history.operation(id));
    match (&acquired[..], &released[..]) {
        (&[first, second], &[]) => {
            let other = if first == witness.failed { second } else { first };
            Some(format!("The lock was acquired by {}, and not released in between.", say(other)))
        }
        (&[], &[first, second]) => {
            let other = if first == witness.failed { second } else { first };
            Some(format!("The lock was released by {}, and not acquired in between.", say(other)))
        }
        (many, few) if many.len() >= few.len() + 2 => Some(format!(
            "These are {} but only {}, and nothing else can have released the lock in time.",
            counted(many.len(), "acquisition"),
            counted(few.len(), "release")
        )),
        (few, many) if many.len() > few.len() => Some(format!(
            "These are {} but only {}, and nothing else can have acquired the lock in time.",
            counted(many.len(), "release"),
            counted(few.len(), "acquisition")
        )),
        _ => None,
    }
}

/// The explanation of a value out of nowhere. `rows` gives the row of each operation that `phantom`
/// numbers.
pub(crate) fn phantom(history: &History, phantom: &Phantom, rows: &dyn Fn(usize) -> OpId) -> Vec<String> {
    let say = |at: usize| describe(history, &history.operation(rows(at)));
    let (value, place) = (history.values().show(phantom.token.value), phantom.token.place);
    let at = place.map_or(String::new(), |place| format!(" at key {}", history.values().show(place)));
    let reason = match (phantom.brought_by.len(), phantom.brought_later) {
        (0, None) => {
            let there = if place.is_some() { " there" } else { "" };
            format!("It found {value}{at}, which no operation put in{there}.")
        }
        (0, Some(later)) => format!(
            "It found {value}{at}, but returned before any operation that puts that in was invoked; the \
             first was {}.",
            say(later)
        ),
        (puts, _) => format!(
            "It took {value}{at}, as {} had by then; but not more than {} can have put {value} in.",
            counted(phantom.taken_by.len(), "other operation"),
            counted(puts, "operation"),
        ),
    };
    vec![format!("{} cannot be placed.", capitalized(&say(phantom.seen_by))), reason]
}

/// The explanation of what a near-linear engine found, and the operation that cannot be placed.
/// `rows` gives the row of each operation that `why` numbers.
pub(crate) fn distinct(history: &History, why: &Why, rows: &dyn Fn(u32) -> OpId) -> (OpId, Vec<String>) {
    if let Why::TooFewTakes { puts, takes, then } = why {
        let (failed, mut sentences) = distinct(history, then, rows);
        sentences.push(format!(
            "Nobody is known to have taken {} that could be in its way, and only {} that never returned \
             can have taken one each before it: that leaves one.",
            counted(puts.len(), "value"),
            counted(takes.len(), "operation"),
        ));
        return (failed, sentences);
    }
    let say = |at: u32| describe(history, &history.operation(rows(at)));
    let list = |puts: &[u32]| {
        let more = puts.len().saturating_sub(STATES_SHOWN);
        let shown: Vec<String> = puts.iter().take(STATES_SHOWN).map(|&put| say(put)).collect();
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        shown.join("; ") + &more
    };
    let reasons = match why {
        Why::NeverPut { value, .. } => {
            vec![format!("It returned {}, which no operation put in.", history.values().show(*value))]
        }
        Why::SeenBeforePut { put, value, .. } => vec![format!(
            "It returned {}, before the only operation that puts that in was invoked: {}.",
            history.values().show(*value),
            say(*put)
        )],
        Why::TakenTwice { put, first, .. } => vec![
            format!("Its value was brought in once: {}.", say(*put)),
            format!("And it was taken already: {}.", say(*first)),
        ],
        Why::NothingWhilePresent { puts, .. } => {
            vec![format!("At every moment while it ran, something was there, brought in by: {}.", list(puts))]
        }
        Why::Overtaken { first_put, first_take, second_put, .. } => {
            let first = format!("Its value came second: {}; then {}.", say(*first_put), say(*second_put));
            let taken = match first_take {
                Some(take) => format!("But the first one was taken only later: {}.", say(*take)),
                None => "But nobody ever took the first one.".to_owned(),
            };
            vec![first, taken]
        }
        Why::LargerPresent { put, larger, .. } => vec![
            format!("Its value was brought in by: {}.", say(*put)),
            format!("Whenever it could have been taken, a larger one was there: {}.", list(larger)),
        ],
        Why::NoneOutermost { puts, .. } => vec![format!(
            "The values of these overlap, and none can be pushed before and popped after all others: {}.",
            list(puts)
        )],
        Why::NoChain { first, .. } => vec![format!(
            "It saw a member that {} did not see, and missed one that that one saw.",
            say(*first)
        )],
        Why::Vanished { seen_by, .. } => {
            vec![format!("It misses a member that was seen before it was invoked: {}.", say(*seen_by))]
        }
        Why::Missed { put, later_put: None, .. } => {
            vec![format!("It misses what was added before it was invoked: {}.", say(*put))]
        }
        Why::Missed { put, later_put: Some(later), .. } => vec![
            format!("It misses what was added first: {}.", say(*put)),
            format!("But it saw what was added after that: {}.", say(*later)),
        ],
        Why::Interleaved { zones, .. } => interleaved(history, zones, rows),
        Why::TooFewTakes { .. } => unreachable!("it was told apart above"),
    };
    let failed = why.failed();
    let first = format!("{} cannot be placed.", capitalized(&say(failed)));
    (rows(failed), std::iter::once(first).chain(reasons).collect())
}

/// Two values of a register, of which one was held, then the other, then the first again.
fn interleaved(history: &History, zones: &[Zone; 2], rows: &dyn Fn(u32) -> OpId) -> Vec<String> {
    let say = |at: u32| describe(history, &history.operation(rows(at)));
    // The initial value was held before anything completed.
    let held_from = |zone: &Zone| zone.first.map(|at| history.operation(rows(at)).complete_position);
    let (outer, inner) = match held_from(&zones[0]) < held_from(&zones[1]) {
        true => (&zones[0], &zones[1]),
        false => (&zones[1], &zones[0]),
    };
    let value = |zone: &Zone| history.values().show(zone.value);
    let before = match outer.first {
        Some(first) => format!("It held {} already when this completed: {}.", value(outer), say(first)),
        None => format!("It held {} from the beginning.", value(outer)),
    };
    let between = match inner.first {
        Some(first) if first != inner.last => {
            format!("After that it held {}: {}; {}.", value(inner), say(first), say(inner.last))
        }
        _ => format!("After that it held {}: {}.", value(inner), say(inner.last)),
    };
    let after = format!("No operation can have brought {} back: each value was written once.", value(outer));
    vec![before, between, after]
}

/// An operation in words: `read by process 3 → 7 (lines 10 to 12)`.
pub(crate) fn describe(history: &History, op: &Operation<'_>) -> String {
    let values = history.values();
    let mut text = op.f.to_owned();
    if let Some(key) = op.key {
        write!(text, " of key {}", values.show(key)).expect("writing to a String cannot fail");
    }
    if !op.input.is_nil() {
        write!(text, " {}", brief(&values.show(op.input))).expect("writing to a String cannot fail");
    }
    if op.process < crate::history::ANONYMOUS {
        write!(text, " by process {}", op.process).expect("writing to a String cannot fail");
    }
    if op.complete_line != 0 || op.complete_position != crate::history::NEVER {
        if op.output != op.input {
            write!(text, " → {}", brief(&values.show(op.output))).expect("writing to a String cannot fail");
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

/// A long value without its middle: a sentence has to be read in one breath.
fn brief(text: &str) -> String {
    const CHARS_MAX: usize = 72;
    let count = text.chars().count();
    if count <= CHARS_MAX {
        return text.to_owned();
    }
    let head: String = text.chars().take(CHARS_MAX / 2).collect();
    let tail: String = text.chars().skip(count - CHARS_MAX / 2).collect();
    format!("{head}…{tail}")
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

pub(crate) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_lose_their_middle() {
        assert_eq!(brief("[1 2 3]"), "[1 2 3]");
        let long: String = (10..99).map(|n| format!("{n} ")).collect();
        assert_eq!(brief(&long).chars().count(), 73);
        assert!(brief(&long).starts_with("10 11 ") && brief(&long).ends_with(" 97 98 "));
    }
}
