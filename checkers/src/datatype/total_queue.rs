//! `total-queue`: what goes in must come out, once the queue has been drained.
//!
//! Jepsen's `checker/total-queue`. Count for each element how often an `enqueue` of it was attempted
//! (`a`), how often one completed ok (`e`), and how often it was dequeued or drained (`d`):
//!
//! - **lost**: `e - d` of it, if that is more than nothing;
//! - **unexpected**: all `d` of it, if `a` is 0: it came from nowhere;
//! - **duplicated**: `d - a` of it, if `a` is more than 0: allowed, since many queues deliver at least once;
//! - **recovered**: `min(d, a) - e` of it: its enqueue was in doubt, and it came out.
//!
//! The history is invalid if something is unexpected or surely lost.
//!
//! Where Jepsen's differs, so that no correct queue is called invalid:
//! - **Failed enqueues.** Jepsen's counts them as attempts. What failed did not happen: it is not in `a`.
//! - **Dequeues in doubt.** A dequeue that crashed may have taken an element that nobody saw. As many
//!   lost elements as there are such dequeues are not held against the queue, and the verdict is unknown,
//!   where Jepsen's is invalid. [`TotalQueueOptions::at_least_once`] gives Jepsen's rule: a queue that
//!   waits for acknowledgements must deliver those again.
//! - **Crashed drains** are refused there. Here a crashed `drain` took what its completion lists, and perhaps
//!   anything else: nothing is surely lost then.
//! - **Not drained.** Jepsen's takes it on trust that the history ends with an empty queue. Here that
//!   must show: an element is surely lost only if it was enqueued before something began that found the
//!   queue empty: a `drain` that completed ok, a dequeue that completed with nil, `:empty` or
//!   `:exhausted`, or one that failed with the error `empty` or `exhausted`. Otherwise it may still be
//!   inside, and the verdict is unknown.
//!
//! Cost: O(n + elements drained), with a table of the elements.

use super::info::Info;
use super::operand::{Part, brief, is_nothing, may_have_happened, parts, place, quote, returned, times};
use super::queue::{Action, DEQUEUE, DRAIN, ENQUEUE, action};
use super::{Figure, Findings, Report, Validity};
use crate::history::{History, OpId, Operation, Outcome};
use crate::model::ModelError;
use crate::value::{FastBuild, Value};
use hashbrown::HashMap;

/// See the module's text.
pub const INFO: Info = Info {
    name: "total-queue",
    aliases: &[],
    summary: "what goes into the queue must come out: which elements were lost, or came from nowhere",
    operations: &[ENQUEUE, DEQUEUE, DRAIN],
    source: "Jepsen, jepsen.checker/total-queue",
};

/// What a queue may do with dequeues that nobody saw end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TotalQueueOptions {
    /// The queue delivers again what was not acknowledged, so a crashed dequeue or drain excuses nothing.
    pub at_least_once: bool,
}

/// Judges a history of `enqueue`, `dequeue` and `drain`.
pub fn check(history: &History, options: &TotalQueueOptions) -> Result<Report, ModelError> {
    let mut tally = Tally::default();
    for part in parts(history) {
        let contents = Contents::new(history, &part)?;
        tally.take(history, &part, &contents, *options);
    }
    Ok(tally.report())
}

/// What became of the elements of one queue.
#[derive(Default)]
struct Contents {
    elements: Vec<Element>,
    attempts: u64,
    /// Dequeues of which nobody saw what they took.
    unseen: u64,
    has_crashed_drain: bool,
    /// Position at which the last operation was invoked that found the queue empty.
    drained: Option<u32>,
}

struct Element {
    value: Value,
    /// Its first enqueue that did not fail, or dequeue if there is none.
    first: OpId,
    last: OpId,
    attempted: u64,
    enqueued: u64,
    /// Of those, how many had completed when the queue was last found empty.
    enqueued_before: u64,
    dequeued: u64,
}

impl Contents {
    fn new(history: &History, part: &Part) -> Result<Contents, ModelError> {
        let mut contents = Contents::default();
        let mut index: HashMap<Value, u32, FastBuild> = HashMap::default();
        let mut enqueues: Vec<(u32, u32)> = Vec::new();
        for id in &part.ops {
            let op = history.operation(*id);
            match action(history, &op)? {
                Action::Enqueue(value) => {
                    contents.attempts += 1;
                    if may_have_happened(&op) {
                        let at = contents.find(&mut index, value, op.id);
                        contents.elements[at].attempted += 1;
                        if op.outcome == Outcome::Ok {
                            contents.elements[at].enqueued += 1;
                            enqueues.push((op.complete_position, at as u32));
                        }
                    }
                }
                Action::Took(taken) => {
                    for value in taken {
                        let at = contents.find(&mut index, *value, op.id);
                        contents.elements[at].dequeued += 1;
                    }
                    contents.look_for_the_end(history, &op);
                }
                Action::Nothing => contents.look_for_the_end(history, &op),
            }
        }
        for (completed, at) in enqueues {
            if contents.drained.is_some_and(|drained| completed < drained) {
                contents.elements[at as usize].enqueued_before += 1;
            }
        }
        Ok(contents)
    }

    fn find(&mut self, index: &mut HashMap<Value, u32, FastBuild>, value: Value, op: OpId) -> usize {
        let at = *index.entry(value).or_insert_with(|| {
            let (first, last) = (op, op);
            self.elements.push(Element {
                value,
                first,
                last,
                attempted: 0,
                enqueued: 0,
                enqueued_before: 0,
                dequeued: 0,
            });
            (self.elements.len() - 1) as u32
        }) as usize;
        self.elements[at].last = op;
        at
    }

    fn look_for_the_end(&mut self, history: &History, op: &Operation<'_>) {
        let values = history.values();
        let found_it_empty = match (op.f, op.outcome) {
            ("drain", Outcome::Ok) => true,
            ("drain", Outcome::Info) => {
                self.has_crashed_drain = true;
                false
            }
            (_, Outcome::Info) => {
                self.unseen += 1;
                false
            }
            (_, Outcome::Ok) => returned(op).is_some_and(|output| is_nothing(values, output)),
            (_, Outcome::Fail) => {
                let error = history.error_of(op.id).and_then(|error| values.text(error));
                matches!(error, Some("empty" | "exhausted"))
            }
        };
        if found_it_empty {
            self.drained = self.drained.max(Some(op.invoke_position));
        }
    }
}

#[derive(Default)]
struct Tally {
    findings: Findings,
    undecided: Option<String>,
    attempts: u64,
    acknowledged: u64,
    ok: u64,
    unseen: u64,
    lost: Vec<(Value, u64)>,
    unexpected: Vec<(Value, u64)>,
    duplicated: Vec<(Value, u64)>,
    recovered: Vec<(Value, u64)>,
}

impl Tally {
    fn take(&mut self, history: &History, part: &Part, contents: &Contents, options: TotalQueueOptions) {
        let gone: u64 = contents.elements.iter().map(|e| e.enqueued_before.saturating_sub(e.dequeued)).sum();
        let may_be_taken = if options.at_least_once { 0 } else { contents.unseen };
        let is_sure = gone > may_be_taken && (options.at_least_once || !contents.has_crashed_drain);
        self.attempts += contents.attempts;
        self.unseen += contents.unseen;
        let lost_before = self.lost.len();
        for element in &contents.elements {
            self.acknowledged += element.enqueued;
            self.ok += element.dequeued.min(element.attempted);
            let came_back = element.dequeued.min(element.attempted).saturating_sub(element.enqueued);
            if came_back > 0 {
                self.recovered.push((element.value, came_back));
            }
            self.lost(history, part, element, is_sure);
            self.too_many(history, part, element);
        }
        if self.lost.len() > lost_before && !is_sure {
            let queue = format!("the queue{}", part.of_key(history.values()));
            self.undecided.get_or_insert_with(|| match (contents.drained, gone) {
                (None, _) => format!("nothing shows that {queue} was drained, so what did not come out may be in it"),
                (Some(_), 0) => format!("what did not come out was put into {queue} after it was last found empty"),
                (Some(_), _) => format!(
                    "what did not come out of {queue} may have been taken by a dequeue or drain that nobody saw end"
                ),
            });
        }
    }

    fn lost(&mut self, history: &History, part: &Part, element: &Element, is_sure: bool) {
        let count = element.enqueued.saturating_sub(element.dequeued);
        if count == 0 {
            return;
        }
        self.lost.push((element.value, count));
        let surely = is_sure && element.enqueued_before > element.dequeued;
        self.findings.add("lost", surely, || {
            let named = brief(history.values(), element.value);
            let sentence = format!(
                "{named}{} was enqueued {}, {} in all, and came out {}",
                part.of_key(history.values()),
                place(history, element.first),
                times(element.enqueued),
                if element.dequeued == 0 {
                    "never".to_owned()
                } else {
                    format!("only {}", times(element.dequeued))
                }
            );
            quote(vec![element.first, element.last], vec![element.value], sentence)
        });
    }

    fn too_many(&mut self, history: &History, part: &Part, element: &Element) {
        let count = element.dequeued.saturating_sub(element.attempted);
        if count == 0 {
            return;
        }
        let named = || format!("{}{}", brief(history.values(), element.value), part.of_key(history.values()));
        let came_out = || format!("{} came out {}", named(), times(element.dequeued));
        let operations = || vec![element.first, element.last];
        if element.attempted == 0 {
            self.unexpected.push((element.value, count));
            self.findings.add("unexpected", true, || {
                let at = place(history, element.first);
                let sentence = format!("{}, first {at}, though no enqueue can have put it in", came_out());
                quote(operations(), vec![element.value], sentence)
            });
        } else {
            self.duplicated.push((element.value, count));
            self.findings.add("duplicated", false, || {
                let sentence = format!("{}, but went in {} at most", came_out(), times(element.attempted));
                quote(operations(), vec![element.value], sentence)
            });
        }
    }

    fn report(self) -> Report {
        let total = |list: &Vec<(Value, u64)>| Figure::Count(list.iter().map(|(_, count)| count).sum());
        let figures = vec![
            ("attempt-count", Figure::Count(self.attempts)),
            ("acknowledged-count", Figure::Count(self.acknowledged)),
            ("ok-count", Figure::Count(self.ok)),
            ("unexpected-count", total(&self.unexpected)),
            ("duplicated-count", total(&self.duplicated)),
            ("lost-count", total(&self.lost)),
            ("recovered-count", total(&self.recovered)),
            ("unseen-dequeue-count", Figure::Count(self.unseen)),
            ("lost", Figure::Tally(self.lost)),
            ("unexpected", Figure::Tally(self.unexpected)),
            ("duplicated", Figure::Tally(self.duplicated)),
            ("recovered", Figure::Tally(self.recovered)),
        ];
        let otherwise = self.undecided.map_or(Validity::Valid, Validity::Unknown);
        self.findings.report(otherwise, figures)
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::tests::Queue;
    use super::super::testing::*;
    use super::*;
    use crate::history::{Event, EventKind, HistoryBuilder, Process};
    use crate::model::transcript::history;

    const JEPSEN: TotalQueueOptions = TotalQueueOptions { at_least_once: true };

    fn told(lines: &[&str]) -> (&'static str, Vec<String>) {
        let history = history(lines);
        let report = check(&history, &TotalQueueOptions::default()).unwrap();
        assert_well_formed(&history, &report);
        (word(&report), report.findings.into_iter().map(|finding| finding.sentence).collect())
    }

    #[test]
    fn what_goes_in_must_come_out() {
        let lines = [
            "enqueue 1 | ok",
            "enqueue 2 | info",
            "enqueue 3 | ok",
            "enqueue 3 | ok",
            "enqueue 4 | fail",
            "enqueue 5 | ok",
            "dequeue nil | ok 5",
            "dequeue nil | ok 4",
            "drain nil | ok [2 3 5]",
        ];
        let (verdict, sentences) = told(&lines);
        assert_eq!(verdict, "false");
        assert_eq!(
            sentences,
            [
                "1 was enqueued on line 1, once in all, and came out never",
                "3 was enqueued on line 5, twice in all, and came out only once",
                "4 came out once, first on line 15, though no enqueue can have put it in",
                "5 came out twice, but went in once at most",
            ]
        );
        let history = history(&lines);
        let report = check(&history, &JEPSEN).unwrap();
        let named = |name| listed(&history, &report, name);
        assert_eq!((named("lost"), named("recovered")), ("1:1 3:1".into(), "2:1".into()));
        assert_eq!((count(&report, "attempt-count"), count(&report, "acknowledged-count")), (6, 4));
        assert_eq!((count(&report, "ok-count"), count(&report, "lost-count")), (3, 2));
    }

    #[test]
    fn what_may_be_inside_or_was_taken_unseen_is_not_surely_lost() {
        let verdict = |lines: &[&str]| told(lines).0;
        assert_eq!(verdict(&["enqueue 1 | ok"]), "unknown");
        assert_eq!(verdict(&["enqueue 1 | ok", "dequeue nil | fail"]), "unknown");
        assert_eq!(verdict(&["enqueue 1 | ok", "dequeue nil | ok :exhausted"]), "false");
        assert_eq!(verdict(&["drain nil | ok []", "enqueue 1 | ok"]), "unknown");
        assert_eq!(verdict(&["enqueue 1 | ok", "dequeue nil", "drain nil | ok []"]), "unknown");
        assert_eq!(
            verdict(&["enqueue 1 | ok", "enqueue 2 | ok", "dequeue nil", "drain nil | ok []"]),
            "false"
        );
        assert_eq!(verdict(&["enqueue 1 | ok", "drain nil", "drain nil | ok []"]), "unknown");
        assert_eq!(verdict(&["enqueue 1 | ok", "drain nil | info [1]"]), "true");
        let unseen = history(&["enqueue 1 | ok", "dequeue nil | info", "drain nil", "drain nil | ok []"]);
        assert_eq!(word(&check(&unseen, &JEPSEN).unwrap()), "false");
    }

    #[test]
    fn a_failure_may_say_that_the_queue_was_empty() {
        let mut builder = HistoryBuilder::new();
        let (enqueue, dequeue) = (builder.function("enqueue").unwrap(), builder.function("dequeue").unwrap());
        let empty = builder.values().keyword("empty");
        for (f, value, end, error) in
            [(enqueue, int(1), EventKind::Ok, Value::NIL), (dequeue, Value::NIL, EventKind::Fail, empty)]
        {
            for (kind, error) in [(EventKind::Invoke, Value::NIL), (end, error)] {
                let process = Process::Client(0);
                builder
                    .push(Event { process, kind, f, key: None, value, error, time_ns: -1, line: 0 })
                    .unwrap();
            }
        }
        assert_eq!(word(&check(&builder.finish(), &TotalQueueOptions::default()).unwrap()), "false");
    }

    /// The definition: multisets as lists, from which what came out is taken away one by one.
    fn jepsen(history: &History) -> (usize, usize, usize, usize) {
        let put = |allowed: fn(Outcome) -> bool| -> Vec<Value> {
            let enqueues = history.operations().filter(|op| op.f == "enqueue" && allowed(op.outcome));
            enqueues.map(|op| op.input).collect()
        };
        let (attempts, enqueues) = (put(|o| o != Outcome::Fail), put(|o| o == Outcome::Ok));
        let mut dequeues = Vec::new();
        for op in history.operations().filter(|op| op.outcome == Outcome::Ok) {
            match op.f {
                "dequeue" if !op.output.is_nil() => dequeues.push(op.output),
                "drain" => {
                    dequeues.extend(super::super::operand::members(history.values(), op.output).unwrap())
                }
                _ => {}
            }
        }
        let minus = |from: &[Value], what: &[Value]| {
            let mut rest = from.to_vec();
            for value in what {
                if let Some(at) = rest.iter().position(|other| other == value) {
                    rest.swap_remove(at);
                }
            }
            rest
        };
        let unexpected: Vec<Value> =
            dequeues.iter().copied().filter(|value| !attempts.contains(value)).collect();
        let duplicated = minus(&minus(&dequeues, &attempts), &unexpected).len();
        let ok = minus(&dequeues, &minus(&dequeues, &attempts));
        let (lost, recovered) = (minus(&enqueues, &dequeues).len(), minus(&ok, &enqueues).len());
        (lost, unexpected.len(), duplicated, recovered)
    }

    /// Whether a correct queue could have done it: is there a way to give each dequeue in doubt something to
    /// take, so that whatever found the queue empty did not overlook anything?
    fn is_excused(history: &History) -> bool {
        let crashed_drain = history.operations().any(|op| op.f == "drain" && op.outcome == Outcome::Info);
        let unseen =
            history.operations().filter(|op| op.f == "dequeue" && op.outcome == Outcome::Info).count();
        let ends = history.operations().filter(|op| {
            op.outcome == Outcome::Ok && (op.f == "drain" || op.f == "dequeue" && op.output.is_nil())
        });
        let Some(end) = ends.map(|op| op.invoke_position).max() else { return true };
        let mut early: Vec<Value> = history
            .operations()
            .filter(|op| op.f == "enqueue" && op.returned() < end)
            .map(|op| op.input)
            .collect();
        for op in history.operations().filter(|op| op.outcome == Outcome::Ok && op.f != "enqueue") {
            let one = [op.output];
            let taken =
                super::super::operand::members(history.values(), op.output).filter(|_| op.f == "drain");
            for value in taken.unwrap_or(&one) {
                if let Some(at) = early.iter().position(|other| other == value) {
                    early.swap_remove(at);
                }
            }
        }
        crashed_drain || early.len() <= unseen
    }

    #[test]
    fn it_agrees_with_the_definition_on_random_histories() {
        let mut met = Met::default();
        for seed in 0..6000 {
            let mut chance = Chance::new(seed);
            let fault_percent = [0, 0, 40][seed as usize % 3];
            let mut system = Queue { inside: vec![], fault_percent, drains: chance.percent(70) };
            let operations = 1 + chance.below(14) as usize;
            let history = draw(&mut chance, 3, operations, &mut system);
            let report = check(&history, &TotalQueueOptions::default()).unwrap();
            assert_well_formed(&history, &report);
            let (lost, unexpected, duplicated, recovered) = jepsen(&history);
            let counts = ["lost-count", "unexpected-count", "duplicated-count", "recovered-count"];
            let expected = [lost, unexpected, duplicated, recovered].map(|count| count as u64);
            assert_eq!(counts.map(|name| count(&report, name)), expected, "seed {seed}");
            let verdict = match (unexpected > 0, lost > 0, is_excused(&history)) {
                (true, ..) | (false, true, false) => "false",
                (false, true, true) => "unknown",
                (false, false, _) => "true",
            };
            assert_eq!(word(&report), verdict, "seed {seed}: {report:#?}");
            met.see(verdict);
            met.see(if recovered > 0 { "recovered" } else { "not" });
        }
        met.at_least(&["true", "false", "unknown", "recovered"], 500);
    }
}
