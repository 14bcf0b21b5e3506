//! `set`: elements are added, and one read at the end shows what became of them.
//!
//! Jepsen's `checker/set`. The *final read* is the last `read` to complete ok. With it,
//!
//! - an element is **lost** if an `add` of it completed ok before the final read was invoked, and the read
//!   does not show it;
//! - an element is **unexpected** if the final read shows it and nobody can have added it: no `add` of it
//!   that did not fail was invoked before the read completed;
//! - an element is **recovered** if the final read shows it and no `add` of it completed ok: it was in doubt.
//!
//! The history is invalid if anything is lost or unexpected, and unknown if nothing was ever read.
//!
//! Where Jepsen's differs:
//! - It does not look at times: what was acknowledged while or after the final read ran counts as lost there.
//!   Here it does not, for a correct set may not have had it yet.
//! - It counts an element as attempted though its only `add` failed, so calls it recovered if it is read. An
//!   operation that failed did not happen: here the element is unexpected.
//! - It drops repetitions in the read. Here they are worth a finding, which is no error.
//!
//! Cost: O(n + elements read), with a table of the elements.

use super::info::{Info, op};
use super::operand::{Part, brief, element, may_have_happened, members, parts, place, quote, times};
use super::{Figure, Findings, Report, Validity};
use crate::history::{History, NEVER, OpId, Operation, Outcome};
use crate::model::{ModelError, OperationInfo};
use crate::value::{FastBuild, Value};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// See the module's text.
pub const INFO: Info = Info {
    name: "set",
    aliases: &[],
    summary: "elements are added, then read once: which were lost, and which came from nowhere",
    operations: &[ADD, READ],
    source: "Jepsen, jepsen.checker/set",
};

pub(super) const ADD: OperationInfo = op(&["add", "insert"], "e", "nil, true, false or e", "puts e in");
pub(super) const READ: OperationInfo =
    op(&["read"], "any", "a list or set of all elements", "sees the whole set");

/// Judges a history of `add` and `read`.
pub fn check(history: &History) -> Result<Report, ModelError> {
    let mut tally = Tally::default();
    for part in parts(history) {
        tally.judge(history, &part)?;
    }
    Ok(tally.report())
}

/// What has been counted in the parts so far.
#[derive(Default)]
struct Tally {
    findings: Findings,
    unread: Option<String>,
    attempts: u64,
    acknowledged: u64,
    ok: Vec<Value>,
    lost: Vec<Value>,
    unexpected: Vec<Value>,
    recovered: Vec<Value>,
    duplicated: Vec<(Value, u64)>,
}

/// What is known of an element.
struct Element {
    value: Value,
    /// Its first `add` that did not fail, or the first of all if every one did.
    add: OpId,
    /// Position of that invocation; [`NEVER`] if every `add` failed.
    invoked: u32,
    /// Position of the first ok completion of an `add`.
    acknowledged: u32,
    /// Whose that was.
    acknowledged_by: OpId,
    /// How often the final read shows it.
    shown: u64,
}

impl Tally {
    fn judge(&mut self, history: &History, part: &Part) -> Result<(), ModelError> {
        let values = history.values();
        let mut elements: Vec<Element> = Vec::new();
        let mut index: HashMap<Value, u32, FastBuild> = HashMap::default();
        let mut final_read: Option<Operation<'_>> = None;
        for id in &part.ops {
            let op = history.operation(*id);
            match op.f {
                "add" | "insert" => {
                    let value = element(&op, values)?;
                    let at = match index.entry(value) {
                        Entry::Occupied(entry) => *entry.get() as usize,
                        Entry::Vacant(entry) => {
                            entry.insert(elements.len() as u32);
                            elements.push(Element::new(value, op.id));
                            elements.len() - 1
                        }
                    };
                    elements[at].add_again(&op);
                }
                "read" => {
                    if op.outcome == Outcome::Ok {
                        members(values, op.output).ok_or_else(|| {
                            ModelError::output(&op, values, "a list or set of all elements")
                        })?;
                        if final_read.is_none_or(|other| op.complete_position > other.complete_position) {
                            final_read = Some(op);
                        }
                    }
                }
                _ => return Err(ModelError::unknown_function(&op, "add, read")),
            }
        }
        self.attempts += elements.len() as u64;
        self.acknowledged += elements.iter().filter(|element| element.acknowledged != NEVER).count() as u64;
        match final_read.filter(|read| !read.output.is_nil()) {
            None => {
                self.unread.get_or_insert_with(|| format!("the set{} was never read", part.of_key(values)));
            }
            Some(read) => self.compare(history, part, elements, index, &read),
        }
        Ok(())
    }

    fn compare(
        &mut self,
        history: &History,
        part: &Part,
        mut elements: Vec<Element>,
        mut index: HashMap<Value, u32, FastBuild>,
        read: &Operation<'_>,
    ) {
        let values = history.values();
        let attempted = elements.len();
        for value in members(values, read.output).unwrap_or_default() {
            let at = *index.entry(*value).or_insert_with(|| {
                elements.push(Element::new(*value, read.id));
                (elements.len() - 1) as u32
            });
            elements[at as usize].shown += 1;
        }
        for (at, element) in elements.iter().enumerate() {
            let Element { value, add, invoked, acknowledged, acknowledged_by, shown } = *element;
            let named = || format!("{}{}", brief(values, value), part.of_key(values));
            let seen = || format!("the final read {}", place(history, read.id));
            if shown > 1 {
                self.duplicated.push((value, shown));
                self.findings.add("duplicated", false, || {
                    let sentence = format!("{} shows {} {}", seen(), named(), times(shown));
                    quote(vec![read.id], vec![value], sentence)
                });
            }
            if shown > 0 && invoked < read.complete_position {
                self.ok.push(value);
                if acknowledged == NEVER {
                    self.recovered.push(value);
                }
            } else if shown > 0 {
                self.unexpected.push(value);
                self.findings.add("unexpected", true, || {
                    let why = if at >= attempted {
                        "though nobody tried to add it".to_owned()
                    } else if invoked == NEVER {
                        format!("though its add {} failed", place(history, add))
                    } else {
                        format!("which was only added later, {}", place(history, add))
                    };
                    quote(vec![add, read.id], vec![value], format!("{} shows {}, {why}", seen(), named()))
                });
            } else if acknowledged < read.invoke_position {
                self.lost.push(value);
                self.findings.add("lost", true, || {
                    let added = place(history, acknowledged_by);
                    let sentence = format!("{} was added {added} and is missing from {}", named(), seen());
                    quote(vec![acknowledged_by, read.id], vec![value], sentence)
                });
            }
        }
    }

    fn report(self) -> Report {
        let otherwise = self.unread.map_or(Validity::Valid, Validity::Unknown);
        let count = |list: &Vec<Value>| Figure::Count(list.len() as u64);
        let figures = vec![
            ("attempt-count", Figure::Count(self.attempts)),
            ("acknowledged-count", Figure::Count(self.acknowledged)),
            ("ok-count", count(&self.ok)),
            ("lost-count", count(&self.lost)),
            ("recovered-count", count(&self.recovered)),
            ("unexpected-count", count(&self.unexpected)),
            ("duplicated-count", Figure::Count(self.duplicated.len() as u64)),
            ("ok", Figure::Values(self.ok)),
            ("lost", Figure::Values(self.lost)),
            ("recovered", Figure::Values(self.recovered)),
            ("unexpected", Figure::Values(self.unexpected)),
            ("duplicated", Figure::Tally(self.duplicated)),
        ];
        self.findings.report(otherwise, figures)
    }
}

impl Element {
    fn new(value: Value, first: OpId) -> Element {
        Element { value, add: first, invoked: NEVER, acknowledged: NEVER, acknowledged_by: first, shown: 0 }
    }

    fn add_again(&mut self, op: &Operation<'_>) {
        if may_have_happened(op) && self.invoked == NEVER {
            (self.add, self.invoked) = (op.id, op.invoke_position);
        }
        if op.returned() < self.acknowledged {
            (self.acknowledged, self.acknowledged_by) = (op.returned(), op.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::format::{Limits, read_path};
    use crate::history::EventKind;
    use crate::model::transcript::{history, keyed_history};
    use crate::value::Values;
    use std::collections::BTreeSet;

    fn told(lines: &[&str]) -> (&'static str, Vec<String>) {
        let history = history(lines);
        let report = check(&history).unwrap();
        assert_well_formed(&history, &report);
        (word(&report), report.findings.into_iter().map(|finding| finding.sentence).collect())
    }

    #[test]
    fn what_was_added_must_be_read_and_nothing_else() {
        let (verdict, sentences) = told(&[
            "add 1 | ok",
            "add 2 | info",
            "add 3 | ok",
            "add 4 | fail",
            "add 5",
            "read nil | ok [4 2 5 6 5]",
            "add 7 | ok",
        ]);
        assert_eq!(verdict, "false");
        assert_eq!(
            sentences,
            [
                "1 was added on line 1 and is missing from the final read on line 11",
                "3 was added on line 5 and is missing from the final read on line 11",
                "the final read on line 11 shows 4, though its add on line 7 failed",
                "the final read on line 11 shows 6, though nobody tried to add it",
                "the final read on line 11 shows 5 twice",
            ]
        );
        assert_eq!(told(&["add 1 | ok", "read nil | ok [1]"]), ("true", vec![]));
        assert_eq!(told(&["read nil | ok []"]), ("true", vec![]));
        assert_eq!(told(&["read nil | ok [1]", "add 1 | ok"]).0, "false");
        assert_eq!(told(&["add 1 | ok", "read nil | info [1]", "read nil | fail"]), ("unknown", vec![]));
    }

    #[test]
    fn each_key_is_a_set_of_its_own() {
        let history =
            keyed_history(&[(":a", "add 1 | ok"), (":b", "read nil | ok []"), (":a", "read nil | ok []")]);
        let report = check(&history).unwrap();
        let sentence = "1 of key :a was added on line 1 and is missing from the final read on line 5";
        assert_eq!(report.findings[0].sentence, sentence);
        let history = keyed_history(&[(":a", "add 1 | ok"), (":b", "read nil | ok []")]);
        let reason = Validity::Unknown("the set of key :a was never read".to_owned());
        assert_eq!(check(&history).unwrap().validity, reason);
    }

    #[test]
    fn errors_name_the_line() {
        let error = |lines: &[&str]| check(&history(lines)).unwrap_err().to_string();
        assert_eq!(
            error(&["add 1 | ok 2"]),
            "line 2: add returned the value 2; expected nil, true, false or the element, repeated"
        );
        assert_eq!(
            error(&["read nil | ok 2"]),
            "line 2: read returned the value 2; expected a list or set of all elements"
        );
        assert_eq!(error(&["pop nil"]), "line 1: the model has no function pop; expected one of: add, read");
    }

    #[test]
    fn the_published_history_is_valid() {
        let Some(path) = published("set.edn") else { return };
        let history = read_path(&path, None, &Limits::default()).unwrap();
        let report = check(&history).unwrap();
        assert_eq!((word(&report), count(&report, "ok-count")), ("true", 3));
    }

    /// A set that loses an element now and then, or shows one of its own.
    struct Adds {
        present: Vec<Value>,
        fault_percent: u64,
    }

    impl System for Adds {
        fn invoke(&mut self, chance: &mut Chance, _: &mut Values, _: i64) -> (&'static str, Value) {
            if chance.percent(60) { ("add", int(chance.below(4) as i64)) } else { ("read", Value::NIL) }
        }

        fn complete(
            &mut self,
            chance: &mut Chance,
            values: &mut Values,
            asked: (i64, &str, Value),
        ) -> (EventKind, Value) {
            if asked.1 == "read" {
                let mut shown = self.present.clone();
                shown.retain(|_| !chance.percent(self.fault_percent));
                if chance.percent(self.fault_percent) {
                    shown.push(int(chance.below(4) as i64));
                }
                return (EventKind::Ok, values.list(&shown));
            }
            let kind =
                [EventKind::Ok, EventKind::Ok, EventKind::Fail, EventKind::Info][chance.below(4) as usize];
            if kind == EventKind::Ok || kind == EventKind::Info && chance.percent(50) {
                self.present.push(asked.2);
            }
            (kind, Value::NIL)
        }
    }

    /// The definition: for each element, a question about the whole history.
    fn oracle(history: &History) -> Option<(BTreeSet<Value>, BTreeSet<Value>, BTreeSet<Value>)> {
        let reads = history.operations().filter(|op| op.f == "read" && op.outcome == Outcome::Ok);
        let read = reads.max_by_key(|op| op.complete_position)?;
        let shown = members(history.values(), read.output).unwrap();
        let adds = |value: Value| history.operations().filter(move |op| op.f == "add" && op.input == value);
        let (mut lost, mut unexpected, mut recovered) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for value in (0..4).map(int) {
            let possible = adds(value)
                .any(|add| add.outcome != Outcome::Fail && add.invoke_position < read.complete_position);
            let surely = adds(value).any(|add| add.returned() < read.invoke_position);
            let ever = adds(value).any(|add| add.outcome == Outcome::Ok);
            match shown.contains(&value) {
                true if !possible => _ = unexpected.insert(value),
                true if !ever => _ = recovered.insert(value),
                false if surely => _ = lost.insert(value),
                _ => {}
            }
        }
        Some((lost, unexpected, recovered))
    }

    #[test]
    fn it_agrees_with_the_definition_on_random_histories() {
        let mut met = Met::default();
        for seed in 0..4000 {
            let mut chance = Chance::new(seed);
            let operations = 1 + chance.below(10) as usize;
            let mut system = Adds { present: vec![], fault_percent: [0, 40][seed as usize % 2] };
            let history = draw(&mut chance, 3, operations, &mut system);
            let report = check(&history).unwrap();
            assert_well_formed(&history, &report);
            met.see(word(&report));
            let Some((lost, unexpected, recovered)) = oracle(&history) else {
                assert_eq!(word(&report), "unknown");
                continue;
            };
            assert_eq!(word(&report) == "true", lost.is_empty() && unexpected.is_empty());
            let named = |name| match figure(&report, name) {
                Figure::Values(list) => list.iter().copied().collect::<BTreeSet<Value>>(),
                other => panic!("{other:?}"),
            };
            assert_eq!(
                (named("lost"), named("unexpected"), named("recovered")),
                (lost, unexpected, recovered)
            );
        }
        met.at_least(&["true", "false", "unknown"], 400);
    }
}
