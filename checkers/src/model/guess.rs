//! Which model a history seems to be about, for those who do not say.

use super::ModelName;
use super::decode::field;
use crate::history::{History, Operation, Outcome};
use crate::value::{Datum, Value, Values};
use std::collections::BTreeSet;

/// A model that was chosen by looking at the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The model.
    pub model: ModelName,
    /// What told, in words.
    pub because: String,
    /// Which other models have the same operations, in words: `if …, use …`.
    pub otherwise: Option<&'static str>,
}

/// What else a history guessed to be about `model` may be about.
fn otherwise(model: ModelName) -> Option<&'static str> {
    match model {
        ModelName::FifoQueue => Some(
            "if the queue keeps no order, use `--model unordered-queue`; if the largest comes out first, \
             `--model priority-queue`",
        ),
        ModelName::Stack => Some("if the largest comes out first, use `--model priority-queue`"),
        ModelName::Mutex => Some("if its owner may acquire it again, use `--model reentrant-mutex`"),
        ModelName::FencedMutex => Some(
            "if what acquiring returns is no fencing token, use `--model mutex`, or `--model \
             reentrant-mutex` if its owner may acquire it again",
        ),
        _ => None,
    }
}

/// The model that a history seems to be about, from the names of its functions and the shapes of its
/// values; `None` if that does not tell. It reads the whole history once, at most.
pub fn guess(history: &History) -> Option<Guess> {
    let functions: BTreeSet<&str> = history.operations().map(|op| op.f).collect();
    let has = |names: &[&str]| names.iter().any(|name| functions.contains(name));
    let only = |names: &[&str]| functions.iter().all(|name| names.contains(name));
    let list = functions.iter().copied().collect::<Vec<_>>().join(", ");
    let guess = |model, detail: &str| {
        let because = format!("its functions are {list}{detail}");
        Some(Guess { model, because, otherwise: otherwise(model) })
    };

    if functions.is_empty() {
        return None;
    }
    if has(&["acquire", "lock"]) && only(&["acquire", "release", "lock", "unlock"]) {
        if has_tokens(history) {
            return guess(ModelName::FencedMutex, ", and acquiring returns tokens");
        }
        return guess(ModelName::Mutex, "");
    }
    if all_micro_operations(history) {
        return guess(ModelName::MultiRegister, ", and its values are lists of reads and writes");
    }
    // Reads alone are those of any object.
    if has(&["write", "w"]) && only(&["read", "write", "r", "w"]) {
        return guess(ModelName::Register, "");
    }
    if has(&["cas"]) && only(&["read", "write", "cas", "r", "w"]) {
        return guess(ModelName::CasRegister, "");
    }
    if has(&["get"]) && only(&["get", "put", "append", "cas", "delete", "set", "del", "remove"]) {
        return guess(ModelName::Kv, "");
    }
    if has(&["append", "delete"])
        && has(&["write", "cas"])
        && only(&["read", "write", "cas", "append", "delete"])
    {
        return guess(ModelName::Kv, "");
    }
    if has(&["enqueue", "dequeue"]) && only(&["enqueue", "dequeue"]) {
        return guess(ModelName::FifoQueue, "");
    }
    if has(&["push", "pop"]) && only(&["push", "pop"]) {
        return guess(ModelName::Stack, "");
    }
    if has(&["insert", "extract"]) && only(&["insert", "extract", "extract-max"]) {
        return guess(ModelName::PriorityQueue, "");
    }
    if has(&["add", "increment", "inc"])
        && only(COUNTER)
        && reads(history, |seen| matches!(seen, Datum::Int(_)))
    {
        return guess(ModelName::LinearCounter, ", and its reads return integers");
    }
    if has(&["add"]) && has(&["contains", "contains?", "remove"]) && only(SET) {
        return guess(ModelName::LinearSet, "");
    }
    if has(&["add"]) && only(SET) && reads(history, |seen| matches!(seen, Datum::List(_) | Datum::Set(_))) {
        return guess(ModelName::LinearSet, ", and its reads return lists or sets");
    }
    if has(&["append"]) && only(&["append", "read"]) && reads(history, |seen| matches!(seen, Datum::List(_)))
    {
        return guess(ModelName::LinearLog, ", and its reads return lists");
    }
    None
}

const COUNTER: &[&str] =
    &["add", "increment", "inc", "decrement", "dec", "add-and-get", "get-and-add", "read"];
const SET: &[&str] = &["add", "remove", "contains", "contains?", "read"];

/// True if some read returned something and all that did return what `fits`.
fn reads(history: &History, fits: impl Fn(Datum<'_>) -> bool) -> bool {
    let ok = |op: &Operation<'_>| op.f == "read" && op.outcome == Outcome::Ok && !op.output.is_nil();
    let mut seen = history.operations().filter(ok).map(|op| history.values().get(op.output)).peekable();
    seen.peek().is_some() && seen.all(fits)
}

fn has_tokens(history: &History) -> bool {
    let values = history.values();
    history.operations().any(|op| {
        let is_token = |value: Value| values.int_of(value).is_some_and(|token| token != 0);
        matches!(op.f, "acquire" | "lock")
            && op.outcome == Outcome::Ok
            && (is_token(op.output) && op.output != op.input
                || field(values, op.output, "fence").is_some_and(is_token))
    })
}

fn all_micro_operations(history: &History) -> bool {
    history.operations().all(|op| is_micro_operations(history.values(), op.input))
}

/// `[[f k v] …]`, not empty, reads and writes only.
fn is_micro_operations(values: &Values, value: Value) -> bool {
    let Datum::List(list) = values.get(value) else { return false };
    !list.is_empty()
        && list.iter().all(|entry| match values.get(*entry) {
            Datum::List(&[f, _, _]) => matches!(values.text(f), Some("r" | "w" | "read" | "write")),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::super::transcript::history;
    use super::*;

    #[test]
    fn a_history_tells_its_model() {
        for (lines, model) in [
            (&["read nil | ok 1", "write 1"][..], Some("register")),
            (&["read [1 nil] | ok [1 1]", "write [1 1]"], Some("register")),
            (&["read nil | ok 1", "cas [1 2]"], Some("cas-register")),
            (&["get 1 | ok nil"], Some("kv")),
            (&["read [1 nil] | ok [1 1]", "append [1 1]", "cas [1 [1 2]]"], Some("kv")),
            (&["write [1 1]", "delete [1 nil]"], Some("kv")),
            (&["acquire nil | ok", "release nil | ok"], Some("mutex")),
            (&["acquire nil | ok 3", "release nil | ok"], Some("fenced-mutex")),
            (&["enqueue 1 | ok 1", "dequeue nil | ok 1"], Some("fifo-queue")),
            (&["txn [[:r 1 nil]]", "txn [[:w 1 2]]"], Some("multi-register")),
            (&["write [[:w 1 2]]"], Some("multi-register")),
            (&["push 1", "pop nil"], Some("stack")),
            (&["insert 1", "extract nil"], Some("priority-queue")),
            (&["add 1", "read nil | ok 1"], Some("linear-counter")),
            (&["add 1", "read nil | ok [1]"], Some("linear-set")),
            (&["add 1", "contains 1 | ok true"], Some("linear-set")),
            (&["append 1", "read nil | ok [1]"], Some("linear-log")),
            (&["txn [[:append 1 2]]"], None),
            (&["add 1"], None),
            (&["read nil | ok 1", "read nil | ok [1]"], None),
            (&["transfer 1 | ok 1"], None),
            (&[], None),
        ] {
            assert_eq!(guess(&history(lines)).map(|guess| guess.model.info().name), model, "{lines:?}");
        }
        let told = guess(&history(&["release nil", "acquire nil | ok 4"])).unwrap();
        assert_eq!(told.because, "its functions are acquire, release, and acquiring returns tokens");
        assert!(told.otherwise.is_some_and(|other| other.contains("`--model mutex`")), "{told:?}");
        assert_eq!(guess(&history(&["write 1"])).unwrap().otherwise, None);
    }
}
