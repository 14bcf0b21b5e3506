//! `queue`: every dequeue must come from somewhere.
//!
//! Jepsen's `checker/queue` with Knossos' `unordered-queue`. Every `enqueue` that did not fail is taken to
//! succeed, when it is invoked; only those dequeues count that completed ok, when they complete. Walking the
//! history in that order, a dequeue of an element that is not in the multiset is an error:
//!
//! - **unexpected**: nobody can have enqueued it by then;
//! - **duplicated**: it was enqueued, but has come out as often already.
//!
//! Every history of every queue passes, whatever its order: what is demanded is necessary, not sufficient.
//! Elements that never come out are [`total_queue`](super::total_queue)'s business.
//!
//! Where Jepsen's differs: it stops at the first error, and takes failed enqueues to succeed although its
//! description says otherwise. Here all errors are counted, and what failed did not happen. A `drain`'s
//! elements count as dequeued when it completes; Jepsen's passes over them. A dequeue that completed with
//! nil, `:empty` or `:exhausted` took nothing.
//!
//! Cost: O(n log n) to put events in order, then one look at each with a table of the elements.

use super::info::{Info, op};
use super::operand::{
    Part, brief, element, is_nothing, may_have_happened, members, note_vacuous, parts, place, quote,
};
use super::order::{Moment, moments};
use super::{Figure, Findings, Report, Validity};
use crate::history::{History, OpId, Operation, Outcome};
use crate::model::{ModelError, OperationInfo};
use crate::value::{FastBuild, Value};
use hashbrown::HashMap;

/// See the module's text.
pub const INFO: Info = Info {
    name: "jepsen-queue",
    // Jepsen's own name; who wants an order kept says which.
    aliases: &["queue"],
    summary: "every dequeue must come from somewhere; order and what stays inside do not matter",
    operations: &[ENQUEUE, DEQUEUE, DRAIN],
    source: "Jepsen, jepsen.checker/queue",
};

pub(super) const ENQUEUE: OperationInfo =
    op(&["enqueue", "put", "offer", "send"], "v, not nil", "nil, true, false or v", "puts v in");
pub(super) const DEQUEUE: OperationInfo = op(
    &["dequeue", "take", "poll", "recv"],
    "any",
    "v; nil, :empty or :exhausted if there was none",
    "takes one",
);
pub(super) const DRAIN: OperationInfo =
    op(&["drain"], "any", "a list of elements", "takes all that there is, one after the other");

/// Judges a history of `enqueue`, `dequeue` and `drain`.
pub fn check(history: &History) -> Result<Report, ModelError> {
    let mut tally = Tally::default();
    for part in parts(history) {
        tally.judge(history, &part)?;
    }
    if tally.dequeues == 0 {
        note_vacuous(&mut tally.findings, "nothing was dequeued, so nothing could come from nowhere");
    }
    Ok(tally.report())
}

/// What a queue's operation puts in, or took out.
pub(super) enum Action<'h> {
    /// Puts this in.
    Enqueue(Value),
    /// Took these, if it completed ok. A crashed `drain` may know some of what it took.
    Took(&'h [Value]),
    /// A dequeue that found nothing, or of which nobody knows what it took.
    Nothing,
}

/// Reads an operation of a queue, whatever became of it.
pub(super) fn action<'h>(history: &'h History, op: &Operation<'_>) -> Result<Action<'h>, ModelError> {
    let values = history.values();
    let output = &history.columns.output[op.id as usize];
    match op.f {
        "enqueue" | "put" | "offer" | "send" => match element(op, values)? {
            Value::NIL => Err(ModelError::input(op, values, "the element: nil stands for an empty queue")),
            value => Ok(Action::Enqueue(value)),
        },
        "dequeue" | "take" | "poll" | "recv" => Ok(match op.outcome {
            Outcome::Ok if !is_nothing(values, *output) => Action::Took(std::slice::from_ref(output)),
            _ => Action::Nothing,
        }),
        "drain" => match (op.outcome, members(values, *output)) {
            (Outcome::Ok, None) => Err(ModelError::output(op, values, "a list of elements")),
            (Outcome::Ok | Outcome::Info, Some(taken)) => Ok(Action::Took(taken)),
            _ => Ok(Action::Nothing),
        },
        _ => Err(ModelError::unknown_function(op, "enqueue, dequeue, drain")),
    }
}

#[derive(Default)]
struct Tally {
    findings: Findings,
    attempts: u64,
    dequeues: u64,
    left: u64,
    unexpected: Vec<Value>,
    duplicated: Vec<Value>,
}

/// An element: how many of it are in the queue, and who put it in and took it out last.
struct Element {
    inside: u64,
    enqueued_by: OpId,
    dequeued_by: OpId,
}

impl Tally {
    fn judge(&mut self, history: &History, part: &Part) -> Result<(), ModelError> {
        let values = history.values();
        let mut elements: HashMap<Value, Element, FastBuild> = HashMap::default();
        for (moment, op) in moments(history, &part.ops) {
            match (action(history, &op)?, moment) {
                (Action::Enqueue(value), Moment::Invoked) => {
                    self.attempts += 1;
                    if may_have_happened(&op) {
                        let new = Element { inside: 0, enqueued_by: op.id, dequeued_by: op.id };
                        let element = elements.entry(value).or_insert(new);
                        element.inside += 1;
                        element.enqueued_by = op.id;
                        self.left += 1;
                    }
                }
                (Action::Took(taken), Moment::Completed) => {
                    self.dequeues += taken.len() as u64;
                    for value in taken {
                        let named = || {
                            let (by, at) = (op.f, place(history, op.id));
                            format!("the {by}{} {at} took {}", part.of_key(values), brief(values, *value))
                        };
                        match elements.get_mut(value) {
                            None => {
                                self.unexpected.push(*value);
                                self.findings.add("unexpected", true, || {
                                    let sentence =
                                        format!("{}, which nobody can have enqueued by then", named());
                                    quote(vec![op.id], vec![*value], sentence)
                                });
                            }
                            Some(element) if element.inside == 0 => {
                                self.duplicated.push(*value);
                                self.findings.add("duplicated", true, || {
                                    let before = place(history, element.dequeued_by);
                                    let sentence =
                                        format!("{}, which had come out {before} already", named());
                                    let others = vec![element.enqueued_by, element.dequeued_by, op.id];
                                    quote(others, vec![*value], sentence)
                                });
                            }
                            Some(element) => {
                                element.inside -= 1;
                                element.dequeued_by = op.id;
                                self.left -= 1;
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn report(self) -> Report {
        let count = |list: &Vec<Value>| Figure::Count(list.len() as u64);
        let figures = vec![
            ("attempt-count", Figure::Count(self.attempts)),
            ("dequeue-count", Figure::Count(self.dequeues)),
            ("unexpected-count", count(&self.unexpected)),
            ("duplicated-count", count(&self.duplicated)),
            ("final-queue-count", Figure::Count(self.left)),
            ("unexpected", Figure::Values(self.unexpected)),
            ("duplicated", Figure::Values(self.duplicated)),
        ];
        self.findings.report(Validity::Valid, figures)
    }
}

#[cfg(test)]
pub(in crate::datatype) mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::EventKind;
    use crate::linearizability;
    use crate::model::queue::UnorderedQueue;
    use crate::model::transcript::{history, keyed_history};
    use crate::options::Options;
    use crate::value::Values;
    use crate::verdict::Verdict;

    fn told(lines: &[&str]) -> (&'static str, Vec<String>) {
        let history = history(lines);
        let report = check(&history).unwrap();
        assert_well_formed(&history, &report);
        (word(&report), report.findings.into_iter().map(|finding| finding.sentence).collect())
    }

    #[test]
    fn what_comes_out_was_put_in() {
        let (verdict, sentences) = told(&[
            "enqueue 1 | info",
            "enqueue 2 | fail",
            "enqueue 3",
            "dequeue nil | ok 3",
            "dequeue nil | ok 1",
            "dequeue nil | ok 1",
            "dequeue nil | ok 2",
            "dequeue nil | ok nil",
            "dequeue nil | ok :empty",
            "dequeue nil | info 7",
            "drain nil | ok [4 5]",
            "enqueue 4 | ok",
        ]);
        assert_eq!(verdict, "false");
        assert_eq!(
            sentences,
            [
                "the dequeue on line 11 took 1, which had come out on line 9 already",
                "the dequeue on line 13 took 2, which nobody can have enqueued by then",
                "the drain on line 21 took 4, which nobody can have enqueued by then",
                "the drain on line 21 took 5, which nobody can have enqueued by then",
            ]
        );
        assert_eq!(told(&["enqueue 1 | ok", "enqueue 1 | ok", "drain nil | ok [1 1]"]), ("true", vec![]));
        let vacuous = "nothing was dequeued, so nothing could come from nowhere".to_owned();
        assert_eq!(told(&["enqueue 1 | ok"]), ("true", vec![vacuous]));
    }

    #[test]
    fn each_key_is_a_queue_of_its_own() {
        let history = keyed_history(&[(":a", "enqueue 1 | ok"), (":b", "dequeue nil | ok 1")]);
        let sentence = "the dequeue of key :b on line 3 took 1, which nobody can have enqueued by then";
        assert_eq!(check(&history).unwrap().findings[0].sentence, sentence);
    }

    #[test]
    fn errors_name_the_line() {
        let error = |lines: &[&str]| check(&history(lines)).unwrap_err().to_string();
        assert_eq!(
            error(&["enqueue nil | ok"]),
            "line 1: enqueue has the value nil; expected the element: nil stands for an empty queue"
        );
        assert_eq!(
            error(&["drain nil | ok 1"]),
            "line 2: drain returned the value 1; expected a list of elements"
        );
        assert_eq!(
            error(&["peek nil"]),
            "line 1: the model has no function peek; expected one of: enqueue, dequeue, drain"
        );
    }

    /// Hands out what was put in, now and then twice, or something else.
    pub(in crate::datatype) struct Queue {
        pub(in crate::datatype) inside: Vec<Value>,
        pub(in crate::datatype) fault_percent: u64,
        pub(in crate::datatype) drains: bool,
    }

    impl System for Queue {
        fn invoke(&mut self, chance: &mut Chance, _: &mut Values, _: i64) -> (&'static str, Value) {
            match chance.below(20) {
                0..11 => ("enqueue", int(chance.below(4) as i64)),
                11..13 if self.drains => ("drain", Value::NIL),
                _ => ("dequeue", Value::NIL),
            }
        }

        fn complete(
            &mut self,
            chance: &mut Chance,
            values: &mut Values,
            asked: (i64, &str, Value),
        ) -> (EventKind, Value) {
            let kind = [EventKind::Ok, EventKind::Ok, EventKind::Ok, EventKind::Info, EventKind::Fail];
            let kind = kind[chance.below(5) as usize];
            let done = kind == EventKind::Ok || kind == EventKind::Info && chance.percent(50);
            let broken = chance.percent(self.fault_percent);
            match asked.1 {
                "enqueue" => {
                    if done && !broken {
                        self.inside.push(asked.2);
                    }
                    (kind, Value::NIL)
                }
                "drain" => {
                    let taken = if done { std::mem::take(&mut self.inside) } else { vec![] };
                    (kind, if kind == EventKind::Ok { values.list(&taken) } else { Value::NIL })
                }
                _ if broken => (kind, int(chance.below(5) as i64)),
                _ if !done || self.inside.is_empty() => (kind, Value::NIL),
                _ => {
                    let at = chance.below(self.inside.len() as u64) as usize;
                    (kind, self.inside.remove(at))
                }
            }
        }
    }

    /// The definition, on a list of what is inside.
    fn errors(history: &History) -> usize {
        let (mut inside, mut errors) = (Vec::new(), 0);
        for position in 0..history.event_count() {
            for op in history.operations() {
                if op.invoke_position == position && op.f == "enqueue" && op.outcome != Outcome::Fail {
                    inside.push(op.input);
                }
                if op.complete_position == position && op.outcome == Outcome::Ok && op.f != "enqueue" {
                    let one = [op.output];
                    let taken =
                        members(history.values(), op.output).filter(|_| op.f == "drain").unwrap_or(&one);
                    for value in taken.iter().filter(|value| !value.is_nil()) {
                        match inside.iter().position(|other| other == value) {
                            Some(at) => _ = inside.remove(at),
                            None => errors += 1,
                        }
                    }
                }
            }
        }
        errors
    }

    #[test]
    fn it_agrees_with_the_definition_and_accuses_no_linearizable_queue() {
        let mut met = Met::default();
        for seed in 0..4000 {
            let mut chance = Chance::new(seed);
            let fault_percent = [0, 35][seed as usize % 2];
            let drains = chance.percent(50);
            let mut system = Queue { inside: vec![], fault_percent, drains };
            let operations = 1 + chance.below(12) as usize;
            let history = draw(&mut chance, 3, operations, &mut system);
            let report = check(&history).unwrap();
            assert_well_formed(&history, &report);
            let expected = errors(&history);
            let found = count(&report, "unexpected-count") + count(&report, "duplicated-count");
            assert_eq!((found, word(&report) == "false"), (expected as u64, expected > 0), "seed {seed}");
            met.see(word(&report));
            if !drains && operations < 8 {
                let options = Options { threads: 1, ..Options::default() };
                let verdict = linearizability::check(&history, &UnorderedQueue, &options).unwrap();
                if matches!(verdict, Verdict::Valid(_)) {
                    assert_eq!(word(&report), "true", "seed {seed}");
                    met.see("linearizable");
                }
            }
        }
        met.at_least(&["true", "false", "linearizable"], 500);
    }
}
