//! Sets read whole, broadcasts and replicated sets, case by case and against their definitions.

use super::super::testing::*;
use super::super::{broadcast, g_set};
use super::*;
use crate::format::{Limits, read_path};
use crate::history::EventKind;
use crate::linearizability;
use crate::model::set::LinearSet;
use crate::model::transcript::{history, keyed_history};
use crate::options::Options;
use crate::value::Values;
use crate::verdict::Verdict;
use std::collections::BTreeSet;

const STRICT: SetFullOptions = SetFullOptions { linearizable: true, allow_duplicates: false };

fn told(lines: &[&str]) -> (&'static str, Vec<String>) {
    let history = history(lines);
    let report = check(&history, &SetFullOptions::default()).unwrap();
    assert_well_formed(&history, &report);
    (word(&report), report.findings.into_iter().map(|finding| finding.sentence).collect())
}

#[test]
fn each_element_has_a_life() {
    let lines = [
        "add 1 | ok",   // stable, never missed
        "add 2 | ok",   // stale: missed on line 13, there on line 15
        "add 3 | ok",   // lost: there on line 13, missed afterwards
        "add 4 | info", // nobody ever knew it
        "add 5 | info", // in doubt, and there
        "add 6 | fail", // unexpected
        "read nil | ok [1 3]",
        "read nil | ok [1 2 5 5 6 7]",
        "add 8 | ok", // nobody read after it
    ];
    let (verdict, sentences) = told(&lines);
    assert_eq!(verdict, "false");
    assert_eq!(
        sentences,
        [
            "3 was added on line 5, was read last on line 13 and is missing from the read on line 15",
            "the read on line 15 lists 5 twice",
            "the read on line 15 shows 6, though its add failed, on line 11",
            "the read on line 15 shows 7, though nobody tried to add it",
            "2 was known by the operation on line 3 and is missing from the later read on line 13",
        ]
    );
    let history = history(&lines);
    let report = check(&history, &SetFullOptions::default()).unwrap();
    let named = |name| listed(&history, &report, name);
    assert_eq!((named("lost"), named("stale"), named("never-read")), ("3".into(), "2".into(), "4 8".into()));
    assert_eq!((named("duplicated"), named("unexpected")), ("5:2".into(), "6 7".into()));
    assert_eq!((count(&report, "attempt-count"), count(&report, "stable-count")), (7, 3));
    let lenient = SetFullOptions { allow_duplicates: true, ..SetFullOptions::default() };
    let duplicated = check(&history, &lenient).unwrap().findings.into_iter().find(|f| f.kind == "duplicated");
    assert!(!duplicated.unwrap().is_error);
}

#[test]
fn verdicts_need_something_that_stayed() {
    assert_eq!(told(&["add 1 | ok", "read nil | ok [1]"]).0, "true");
    assert_eq!(told(&["add 1 | ok"]).0, "unknown");
    assert_eq!(told(&["read nil | ok []"]).0, "unknown");
    assert_eq!(told(&["add 1 | info", "read nil | ok []"]).0, "unknown");
    assert_eq!(told(&["add 1 | ok", "read nil | ok nil"]).0, "false");
    // A failed or crashed read shows nothing.
    assert_eq!(
        told(&["add 1 | ok", "read nil | ok [1]", "read nil | info []", "read nil | fail []"]).0,
        "true"
    );
    // What was added again begins its life with the first add.
    assert_eq!(
        told(&["add 1 | ok", "read nil | ok []", "add 1", "add 2 | ok", "read nil | ok [2]"]).0,
        "false"
    );
    let keyed =
        keyed_history(&[(":a", "add 1 | ok"), (":b", "read nil | ok [1]"), (":a", "read nil | ok [1]")]);
    let report = check(&keyed, &SetFullOptions::default()).unwrap();
    assert_eq!(
        report.findings[0].sentence,
        "the read of key :b on line 3 shows 1, though nobody tried to add it"
    );
}

#[test]
fn staleness_is_an_error_for_linearizable_sets_only() {
    let history = history(&["add 1 | ok", "read nil | ok []", "read nil | ok [1]"]);
    let verdict = |options| word(&check(&history, &options).unwrap());
    assert_eq!((verdict(SetFullOptions::default()), verdict(STRICT)), ("true", "false"));
}

#[test]
fn latencies_run_from_the_moment_an_element_is_known() {
    // Known at 3 ms, missed at 10 ms, seen at 20 ms, missed for ever from 30 ms on.
    let history = timed(&[
        (1, 3, "0 add 1 | ok"),
        (10, 12, "0 read nil | ok []"),
        (20, 21, "0 read nil | ok [1]"),
        (30, 31, "0 read nil | ok []"),
    ]);
    let report = check(&history, &SetFullOptions::default()).unwrap();
    let all = |ms| Figure::LatenciesMs([0.0, 0.5, 0.95, 0.99, 1.0].map(|q| (q, ms)).to_vec());
    assert_eq!(figure(&report, "lost-latencies"), &all(17.0));
    assert_eq!(
        report.findings[0].sentence,
        "1 was added in operation 0, was read last in operation 2 and is missing from the read in operation 3"
    );
    // Known by a read at 2 ms, before its add completed; missed until 8 ms.
    let history = timed(&[
        (0, 5, "0 add 1 | ok"),
        (1, 2, "1 read nil | ok [1]"),
        (8, 9, "1 read nil | ok []"),
        (10, 11, "1 read nil | ok [1]"),
    ]);
    let report = check(&history, &SetFullOptions::default()).unwrap();
    assert_eq!(figure(&report, "stable-latencies"), &all(6.0));
    assert_eq!(figure(&report, "worst-stale"), &Figure::Tally(vec![(int(1), 6)]));
}

#[test]
fn without_times_there_are_no_latencies() {
    let lines = [
        "0 add 1 | ok",
        "0 read nil | ok []",
        "0 read nil | ok [1]",
        "0 add 2 | ok",
        "0 read nil | ok [1 2]",
    ];
    let report = check(&history(&lines), &SetFullOptions::default()).unwrap();
    assert!(report.figures.iter().all(|(name, _)| !name.ends_with("latencies")), "{:?}", report.figures);
    assert_eq!(figure(&report, "stale"), &Figure::Values(vec![int(1)]));
    assert_eq!(figure(&report, "worst-stale"), &Figure::Tally(vec![]));
}

#[test]
fn errors_name_the_line() {
    let error = |lines: &[&str]| check(&history(lines), &STRICT).unwrap_err().to_string();
    assert_eq!(
        error(&["read nil | ok 2"]),
        "line 2: read returned the value 2; expected a list or set of all elements"
    );
    assert_eq!(error(&["pop nil"]), "line 1: the model has no function pop; expected one of: add, read");
    let error = broadcast::check(&history(&["add 1"]), &broadcast::BroadcastOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1: the model has no function add; expected one of: broadcast, read, topology"
    );
}

/// elle-cli calls it invalid: elements were added as `[0 0]`, `[0 1]`, … and read as `0`, `1`, ….
#[test]
fn the_published_history_is_invalid() {
    for file in ["set_full.edn", "set_full.json"] {
        let Some(path) = published(file) else { return };
        let history = read_path(&path, None, &Limits::default()).unwrap();
        let report = check(&history, &SetFullOptions::default()).unwrap();
        assert_eq!((word(&report), count(&report, "lost-count")), ("false", 293));
    }
}

#[test]
fn the_end_must_show_everything_on_every_node() {
    let lines = [
        "0 broadcast 1 | ok",
        "0 broadcast 2 | ok",
        "0 read nil | ok [1 2]",
        "1 read nil | ok [2]",
        "2 read nil | ok [2 1]",
    ];
    let history = history(&lines);
    let report = broadcast::check(&history, &broadcast::BroadcastOptions::default()).unwrap();
    assert_eq!((word(&report), kinds(&report)), ("false", vec!["undelivered", "stale"]));
    assert_eq!(report.findings[0].sentence, "the final read on line 7 by process 1 lacks 1");
    assert_eq!(count(&report, "final-read-count"), 3);
}

#[test]
fn a_node_may_list_a_message_twice_unless_one_is_strict() {
    let history = history(&["0 topology {} | ok", "0 add 1 | ok", "0 read nil | ok [1 1]", "0 topology {}"]);
    let refused = g_set::check(&history, &g_set::GSetOptions::default()).unwrap_err();
    assert_eq!(refused.line, 1);
    let history = self::history(&["0 add 1 | ok", "0 read nil | ok [1 1]"]);
    let verdict = |strict| word(&g_set::check(&history, &g_set::GSetOptions { strict }).unwrap());
    assert_eq!((verdict(false), verdict(true)), ("true", "false"));
}

/// A set on a few replicas, each of which may be behind; now and then something is lost or invented.
struct Replicas {
    adds: &'static str,
    acknowledged: Vec<Value>,
    lag_percent: u64,
    fault_percent: u64,
}

impl System for Replicas {
    fn invoke(&mut self, chance: &mut Chance, _: &mut Values, _: i64) -> (&'static str, Value) {
        if chance.percent(50) { (self.adds, int(chance.below(6) as i64)) } else { ("read", Value::NIL) }
    }

    fn complete(
        &mut self,
        chance: &mut Chance,
        values: &mut Values,
        asked: (i64, &str, Value),
    ) -> (EventKind, Value) {
        if asked.1 == "read" {
            let mut shown = self.acknowledged.clone();
            shown.retain(|_| !chance.percent(self.lag_percent));
            if chance.percent(self.fault_percent) {
                shown.push(int(chance.below(7) as i64));
            }
            return (EventKind::Ok, values.list(&shown));
        }
        let kind = [EventKind::Ok, EventKind::Ok, EventKind::Info, EventKind::Fail][chance.below(4) as usize];
        let done = kind == EventKind::Ok || kind == EventKind::Info && chance.percent(50);
        if done && !self.acknowledged.contains(&asked.2) {
            self.acknowledged.push(asked.2);
        }
        (kind, Value::NIL)
    }
}

/// What the definition says of each element, with one question after the other about the whole history.
#[derive(Debug, Default, PartialEq)]
struct Oracle {
    stable: BTreeSet<Value>,
    lost: BTreeSet<Value>,
    never_read: BTreeSet<Value>,
    stale: BTreeSet<Value>,
    unexpected: BTreeSet<Value>,
    duplicated: BTreeSet<Value>,
}

fn oracle(history: &History, adds: &str) -> Oracle {
    let mut oracle = Oracle::default();
    let reads: Vec<Operation<'_>> =
        history.operations().filter(|op| op.f == "read" && op.outcome == Outcome::Ok).collect();
    let listed = |read: &Operation<'_>, value: Value| {
        members(history.values(), read.output).unwrap().iter().filter(|member| **member == value).count()
    };
    for value in (0..7).map(int) {
        let all: Vec<Operation<'_>> =
            history.operations().filter(|op| op.f == adds && op.input == value).collect();
        let added =
            all.iter().filter(|add| add.outcome != Outcome::Fail).map(|add| add.invoke_position).min();
        let (can, cannot): (Vec<_>, Vec<_>) =
            reads.iter().partition(|read| added.is_some_and(|added| read.complete_position > added));
        if cannot.iter().any(|read| listed(read, value) > 0) {
            oracle.unexpected.insert(value);
        }
        if !all.is_empty() && reads.iter().any(|read| listed(read, value) > 1) {
            oracle.duplicated.insert(value);
        }
        let present =
            can.iter().filter(|read| listed(read, value) > 0).map(|read| read.invoke_position).max();
        let absent =
            can.iter().filter(|read| listed(read, value) == 0).map(|read| read.invoke_position).max();
        let by_add = all.iter().map(|add| add.returned()).min().unwrap_or(NEVER);
        let by_read =
            can.iter().filter(|read| listed(read, value) > 0).map(|read| read.complete_position).min();
        let known = by_add.min(by_read.unwrap_or(NEVER));
        let missed = absent.is_some_and(|absent| absent > known);
        if present > absent {
            oracle.stable.insert(value);
            if missed {
                oracle.stale.insert(value);
            }
        } else if missed {
            oracle.lost.insert(value);
        } else if !all.is_empty() && (present.is_some() || !oracle.unexpected.contains(&value)) {
            oracle.never_read.insert(value);
        }
    }
    oracle
}

#[test]
fn it_agrees_with_the_definition_on_random_histories() {
    let mut met = Met::default();
    for seed in 0..6000 {
        let mut chance = Chance::new(seed);
        let mut system = Replicas {
            adds: "add",
            acknowledged: vec![],
            lag_percent: [0, 5, 30][seed as usize % 3],
            fault_percent: [0, 0, 10][seed as usize / 3 % 3],
        };
        let (clients, operations) = (1 + chance.below(4), 1 + chance.below(16) as usize);
        let history = draw(&mut chance, clients, operations, &mut system);
        for options in [SetFullOptions::default(), STRICT] {
            let report = check(&history, &options).unwrap();
            assert_well_formed(&history, &report);
            let named = |name| match figure(&report, name) {
                Figure::Values(list) => list.iter().copied().collect::<BTreeSet<Value>>(),
                Figure::Tally(list) => list.iter().map(|(value, _)| *value).collect(),
                other => panic!("{other:?}"),
            };
            let expected = oracle(&history, "add");
            let wrong = !expected.lost.is_empty()
                || !expected.unexpected.is_empty()
                || !expected.duplicated.is_empty()
                || options.linearizable && !expected.stale.is_empty();
            let verdict = if wrong {
                "false"
            } else if expected.stable.is_empty() {
                "unknown"
            } else {
                "true"
            };
            assert_eq!(word(&report), verdict, "seed {seed}: {expected:?} {report:#?}");
            assert_eq!(count(&report, "stable-count"), expected.stable.len() as u64);
            let found = Oracle {
                stable: expected.stable.clone(),
                lost: named("lost"),
                never_read: named("never-read"),
                stale: named("stale"),
                unexpected: named("unexpected"),
                duplicated: named("duplicated"),
            };
            assert_eq!(found, expected, "seed {seed}");
            met.see(verdict);
            for kind in kinds(&report) {
                met.see(kind);
            }
        }
    }
    met.at_least(&["true", "false", "unknown"], 1000);
    met.at_least(&["lost", "stale", "unexpected", "duplicated"], 200);
}

/// A set that is linearizable is never accused, however strictly it is looked at.
#[test]
fn no_linearizable_set_is_accused() {
    let mut met = Met::default();
    for seed in 0..3000 {
        let mut chance = Chance::new(seed);
        let lag_percent = if chance.percent(50) { 0 } else { 40 };
        let mut system = Replicas { adds: "add", acknowledged: vec![], lag_percent, fault_percent: 0 };
        let operations = 1 + chance.below(8) as usize;
        let history = draw(&mut chance, 3, operations, &mut system);
        let options = Options { threads: 1, ..Options::default() };
        let verdict = linearizability::check(&history, &LinearSet::for_history(&history), &options).unwrap();
        if matches!(verdict, Verdict::Valid(_)) {
            met.see("linearizable");
            assert_ne!(word(&check(&history, &STRICT).unwrap()), "false", "seed {seed}");
        } else {
            met.see(word(&check(&history, &STRICT).unwrap()));
        }
    }
    met.at_least(&["linearizable", "false"], 300);
}

#[test]
fn the_end_agrees_with_its_definition_on_random_histories() {
    let mut met = Met::default();
    for seed in 0..3000 {
        let mut chance = Chance::new(seed);
        let lag_percent = [0, 40][seed as usize % 2];
        let mut system = Replicas { adds: "broadcast", acknowledged: vec![], lag_percent, fault_percent: 0 };
        let operations = 1 + chance.below(12) as usize;
        let history = draw(&mut chance, 3, operations, &mut system);
        let report = broadcast::check(&history, &broadcast::BroadcastOptions::default()).unwrap();
        assert_well_formed(&history, &report);
        let acknowledged: Vec<Operation<'_>> =
            history.operations().filter(|op| op.f == "broadcast" && op.outcome == Outcome::Ok).collect();
        let undelivered = history.operations().any(|read| {
            read.f == "read"
                && read.outcome == Outcome::Ok
                && acknowledged.iter().all(|add| add.complete_position < read.invoke_position)
                && !history.operations().any(|op| op.process == read.process && op.id > read.id)
                && acknowledged
                    .iter()
                    .any(|add| !members(history.values(), read.output).unwrap().contains(&add.input))
        });
        assert_eq!(kinds(&report).contains(&"undelivered"), undelivered, "seed {seed}");
        met.see(if undelivered { "undelivered" } else { "delivered" });
    }
    met.at_least(&["undelivered", "delivered"], 200);
}
