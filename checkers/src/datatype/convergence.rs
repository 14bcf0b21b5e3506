//! `convergence`: replicas that know the same updates show the same state, and in the end all know all.
//!
//! Strong eventual consistency (Shapiro, Preguiça, Baquero & Zawirski 2011, *Conflict-free Replicated
//! Data Types*, §2) has three parts: eventual delivery, convergence of replicas that have delivered the
//! same updates, and termination. A history shows as much of them as its reads do. Whatever is not called
//! `read` is an update.
//!
//! **A read that returns any value** shows the state of some replica, and nothing else. Then only the end
//! can be judged:
//!
//! - the history **diverged** if two final reads show different states.
//!
//! **A read that returns a map with `:state`**, as in `{:replica r, :seen [u …], :state s}`, says more.
//! `:seen` lists the updates that the replica had applied, each by its *id*: the `:id` of the map that
//! the update was invoked with, else the whole value that it was invoked with. Then, with and without an
//! end,
//!
//! - states are **conflicting** if two reads, of whatever replica and time, saw the same set of updates
//!   and show different states;
//! - an update is **forgotten** if a read of a replica lacks it, and an earlier one of the same replica,
//!   which had completed before it was invoked, had seen it (only reads with `:replica`);
//! - an update is **undelivered** if it completed ok and a final read has not seen it;
//! - an update is **unexpected** if a read saw it, though no update of that id that did not fail was
//!   invoked before the read completed.
//!
//! All are errors. Without `:seen` such a read is judged by its `:state` alone. *Final reads* complete ok
//! and are invoked after every update that completed ok had done so. If some read is marked (the field
//! `:final?` true, `:final` or `{:final? true}` as the value of its invocation, or `:final? true` in the map it
//! returned), only marked ones are final; if not, each is the last operation of its process: the history should end by
//! waiting, and one read of every client.
//!
//! States are equal if their values are. A JSON array has an order even where a set is meant: with
//! [`ConvergenceOptions::lists_are_sets`] a state that is a list counts as the set of its members.
//!
//! The verdict is unknown if there was nothing to compare: fewer than two final reads, and no two reads
//! that saw the same.
//!
//! Cost: O(n log n + updates listed in `:seen` and members of states), with a hash for each set of updates.

use super::final_reads::{Role, final_reads};
use super::info::{Info, op};
use super::operand::{Part, brief, field, may_have_happened, members, parts, place, quote, some_of};
use super::order::{Moment, moments};
use super::{Figure, Findings, Report, Validity};
use crate::history::{History, NEVER, OpId, Outcome};
use crate::model::ModelError;
use crate::value::{FastBuild, Value, Values};
use hashbrown::{HashMap, HashSet};

/// See the module's text.
pub const INFO: Info = Info {
    name: "convergence",
    aliases: &["crdt", "strong-eventual-consistency"],
    summary: "replicas that know the same updates show the same state, and in the end all know all",
    operations: &[
        op(
            &["read"],
            "any; :final? true on the event, :final or {:final? true} here mark a final read",
            "the state, or {:replica r, :seen [id …], :state s, :final? true}, all but :state optional",
            "sees the state of one replica",
        ),
        op(
            &["update", "any other"],
            "any, or {:id id, …}",
            "any",
            "changes the state; its id is :id or its value",
        ),
    ],
    source: "Shapiro, Preguiça, Baquero & Zawirski 2011, Conflict-free Replicated Data Types, §2",
};

/// How to compare states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConvergenceOptions {
    /// A state that is a list is the set of its members.
    pub lists_are_sets: bool,
}

/// Judges a history of updates and `read`s.
pub fn check(history: &History, options: &ConvergenceOptions) -> Result<Report, ModelError> {
    let mut tally = Tally::default();
    for part in parts(history) {
        Replicas::new(history, &part, *options)?.tell(history, &part, &mut tally);
    }
    Ok(tally.report())
}

/// A read that completed ok, taken apart.
struct Read<'h> {
    id: OpId,
    replica: Option<Value>,
    /// As it was listed.
    seen: Option<&'h [Value]>,
    /// The set of what was seen, as its members in order, each once.
    seen_set: Vec<Value>,
    /// In a form that is equal exactly if the states are.
    state: State,
    shown: Value,
    is_final: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Value(Value),
    Members(Vec<Value>),
}

/// The reads and updates of one object.
struct Replicas<'h> {
    reads: Vec<Read<'h>>,
    updates: Vec<Update>,
    index: HashMap<Value, u32, FastBuild>,
}

/// All updates of one id.
struct Update {
    value: Value,
    /// The first that did not fail, or else the first of all, and the position of its invocation if it
    /// did not.
    first: OpId,
    invoked: u32,
    acknowledged: bool,
}

/// What those reads of a replica that have completed had seen, in the order in which it came up, and by whom.
#[derive(Default)]
struct Known {
    list: Vec<(Value, OpId)>,
    set: HashSet<Value, FastBuild>,
}

impl<'h> Replicas<'h> {
    fn new(
        history: &'h History,
        part: &Part,
        options: ConvergenceOptions,
    ) -> Result<Replicas<'h>, ModelError> {
        let values = history.values();
        let mut replicas = Replicas { reads: vec![], updates: vec![], index: HashMap::default() };
        for id in &part.ops {
            let op = history.operation(*id);
            if op.f == "read" {
                if op.outcome == Outcome::Ok {
                    replicas.reads.push(read(history, *id, options)?);
                }
                continue;
            }
            let value = field(values, op.input, "id").unwrap_or(op.input);
            let at = *replicas.index.entry(value).or_insert_with(|| {
                replicas.updates.push(Update { value, first: *id, invoked: NEVER, acknowledged: false });
                (replicas.updates.len() - 1) as u32
            });
            let update = &mut replicas.updates[at as usize];
            if may_have_happened(&op) && update.invoked == NEVER {
                (update.first, update.invoked) = (*id, op.invoke_position);
            }
            update.acknowledged |= op.outcome == Outcome::Ok;
        }
        let is_read = |f: &str| if f == "read" { Role::Read } else { Role::Update };
        let finals = final_reads(history, &part.ops, |op| is_read(op.f));
        for read in &mut replicas.reads {
            read.is_final = finals.binary_search(&read.id).is_ok();
        }
        Ok(replicas)
    }

    fn tell(&self, history: &History, part: &Part, tally: &mut Tally) {
        tally.updates += self.updates.len() as u64;
        tally.reads += self.reads.len() as u64;
        let final_reads = self.reads.iter().filter(|read| read.is_final).count();
        tally.final_reads += final_reads as u64;
        self.look_at_the_end(history, part, tally);
        let pairs = self.compare_equals(history, part, tally);
        self.look_for_unexpected(history, part, tally);
        self.look_for_forgotten(history, part, tally);
        if final_reads < 2 && pairs == 0 {
            let of_key = part.of_key(history.values());
            tally.undecided.get_or_insert_with(|| {
                format!("there are fewer than two final reads{of_key}, and no two reads say that they saw the same")
            });
        }
    }

    /// All final reads show one state, and each has seen every update that was acknowledged.
    fn look_at_the_end(&self, history: &History, part: &Part, tally: &mut Tally) {
        let values = history.values();
        let acknowledged: Vec<&Update> = self.updates.iter().filter(|update| update.acknowledged).collect();
        let finals = || self.reads.iter().filter(|read| read.is_final);
        let Some(first) = finals().next() else { return };
        for read in finals() {
            if read.state != first.state {
                tally
                    .findings
                    .add("diverged", true, || tell_apart(history, part, first, read, "are both final"));
            }
            if read.seen.is_none() {
                continue;
            }
            let of = |value: &&Value| self.index.get(*value).map(|at| &self.updates[*at as usize]);
            let is_known = |value: &&Value| of(value).is_some_and(|update| update.acknowledged);
            let count = acknowledged.len() - read.seen_set.iter().filter(is_known).count();
            if count > 0 {
                tally.findings.add("undelivered", true, || {
                    let lacks = |update: &&&Update| read.seen_set.binary_search(&update.value).is_err();
                    let few: Vec<&Update> = acknowledged.iter().filter(lacks).take(4).copied().collect();
                    let lacking: Vec<Value> = few.iter().map(|update| update.value).collect();
                    let of_key = part.of_key(values);
                    let (read_at, lacks) = (place(history, read.id), some_of(values, &lacking, count));
                    let sentence = format!("the final read{of_key} {read_at} has not seen {lacks}");
                    quote(few.iter().map(|update| update.first).chain([read.id]).collect(), lacking, sentence)
                });
            }
        }
    }

    /// Reads that saw the same show the same. Returns how many could be compared with an earlier one.
    fn compare_equals(&self, history: &History, part: &Part, tally: &mut Tally) -> usize {
        let mut first: HashMap<&[Value], &Read<'_>, FastBuild> = HashMap::default();
        let mut pairs = 0;
        for read in self.reads.iter().filter(|read| read.seen.is_some()) {
            let other = *first.entry(&read.seen_set).or_insert(read);
            pairs += usize::from(other.id != read.id);
            if other.state != read.state {
                let why = format!("saw the same {} updates", read.seen_set.len());
                tally.findings.add("conflicting", true, || tell_apart(history, part, other, read, &why));
            }
        }
        pairs
    }

    /// Nothing is seen that nobody can have done.
    fn look_for_unexpected(&self, history: &History, part: &Part, tally: &mut Tally) {
        let values = history.values();
        let mut told: HashSet<Value, FastBuild> = HashSet::default();
        for read in &self.reads {
            let completed = history.operation(read.id).complete_position;
            for value in &read.seen_set {
                let update = self.index.get(value).map(|at| &self.updates[*at as usize]);
                if update.is_some_and(|update| update.invoked < completed) || !told.insert(*value) {
                    continue;
                }
                tally.findings.add("unexpected", true, || {
                    let why = match update {
                        None => "though there is no such update".to_owned(),
                        Some(update) if update.invoked == NEVER => {
                            format!("though that update failed, {}", place(history, update.first))
                        }
                        Some(update) => {
                            format!("which was only made later, {}", place(history, update.first))
                        }
                    };
                    let (of_key, read_at) = (part.of_key(values), place(history, read.id));
                    let sentence =
                        format!("the read{of_key} {read_at} has seen {}, {why}", brief(values, *value));
                    let operations = update.iter().map(|update| update.first).chain([read.id]).collect();
                    quote(operations, vec![*value], sentence)
                });
            }
        }
    }

    /// What a replica has seen, it sees ever after.
    fn look_for_forgotten(&self, history: &History, part: &Part, tally: &mut Tally) {
        let values = history.values();
        let mut known: HashMap<Value, Known, FastBuild> = HashMap::default();
        let mut known_before: HashMap<OpId, usize, FastBuild> = HashMap::default();
        let of_replicas = || self.reads.iter().filter(|read| read.seen.is_some() && read.replica.is_some());
        let ops: Vec<OpId> = of_replicas().map(|read| read.id).collect();
        let reads: Vec<&Read<'_>> = of_replicas().collect();
        for (moment, op) in moments(history, &ops) {
            let Ok(at) = reads.binary_search_by_key(&op.id, |read| read.id) else { continue };
            let read = reads[at];
            let Some(replica) = read.replica else { continue };
            let Known { list, set } = known.entry(replica).or_default();
            if moment == Moment::Invoked {
                known_before.insert(op.id, list.len());
                continue;
            }
            let before = &list[..known_before.remove(&op.id).unwrap_or(0)];
            // Those that it still sees are paid for by what it lists; the first that it lacks ends the
            // search.
            let lacks = |(value, _): &&(Value, OpId)| read.seen_set.binary_search(value).is_err();
            if let Some((value, by)) = before.iter().find(lacks) {
                tally.findings.add("forgotten", true, || {
                    let (of_key, replica) = (part.of_key(values), brief(values, replica));
                    let (read_at, seen_at) = (place(history, read.id), place(history, *by));
                    let named = brief(values, *value);
                    let sentence = format!(
                        "the read{of_key} {read_at} of replica {replica} lacks {named}, which the replica had seen {seen_at}"
                    );
                    quote(vec![*by, read.id], vec![*value], sentence)
                });
            }
            for value in &read.seen_set {
                if set.insert(*value) {
                    list.push((*value, read.id));
                }
            }
        }
    }
}

fn read<'h>(history: &'h History, id: OpId, options: ConvergenceOptions) -> Result<Read<'h>, ModelError> {
    let (values, op) = (history.values(), history.operation(id));
    let part = |name: &str| field(values, op.output, name).filter(|value| !value.is_nil());
    let shown = field(values, op.output, "state");
    let seen = match shown.and_then(|_| part("seen")) {
        None => None,
        Some(seen) => Some(
            members(values, seen)
                .ok_or_else(|| ModelError::output(&op, values, "a list of updates under :seen"))?,
        ),
    };
    let replica = shown.and_then(|_| part("replica"));
    let shown = shown.unwrap_or(op.output);
    let state = match members(values, shown).filter(|_| options.lists_are_sets && !shown.is_nil()) {
        Some(members) => State::Members(in_order(members)),
        None => State::Value(shown),
    };
    let seen_set = in_order(seen.unwrap_or_default());
    Ok(Read { id, replica, seen, seen_set, state, shown, is_final: false })
}

/// The members of a set in order, each once. Any order does, if it is always the same.
fn in_order(members: &[Value]) -> Vec<Value> {
    let mut members = members.to_vec();
    members.sort_unstable();
    members.dedup();
    members
}

fn tell_apart(history: &History, part: &Part, a: &Read<'_>, b: &Read<'_>, why: &str) -> super::Quote {
    let values: &Values = history.values();
    let sentence = format!(
        "the reads{} {} and {} {why}, and show {} and {}",
        part.of_key(values),
        place(history, a.id),
        place(history, b.id),
        brief(values, a.shown),
        brief(values, b.shown)
    );
    quote(vec![a.id, b.id], vec![a.shown, b.shown], sentence)
}

#[derive(Default)]
struct Tally {
    findings: Findings,
    undecided: Option<String>,
    updates: u64,
    reads: u64,
    final_reads: u64,
}

impl Tally {
    fn report(self) -> Report {
        let count = |kind| Figure::Count(self.findings.count(kind));
        let figures = vec![
            ("update-count", Figure::Count(self.updates)),
            ("read-count", Figure::Count(self.reads)),
            ("final-read-count", Figure::Count(self.final_reads)),
            ("diverged-count", count("diverged")),
            ("conflicting-count", count("conflicting")),
            ("forgotten-count", count("forgotten")),
            ("undelivered-count", count("undelivered")),
            ("unexpected-count", count("unexpected")),
        ];
        let otherwise = self.undecided.map_or(Validity::Valid, Validity::Unknown);
        self.findings.report(otherwise, figures)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::{EventKind, Operation};
    use crate::model::transcript::{history, keyed_history};
    use std::collections::BTreeSet;

    const PLAIN: ConvergenceOptions = ConvergenceOptions { lists_are_sets: false };

    fn told(lines: &[&str]) -> (&'static str, Vec<String>) {
        let history = history(lines);
        let report = check(&history, &PLAIN).unwrap();
        assert_well_formed(&history, &report);
        (word(&report), report.findings.into_iter().map(|finding| finding.sentence).collect())
    }

    #[test]
    fn plain_reads_must_agree_in_the_end() {
        let early = ["0 inc 1 | ok", "0 read nil | ok 1", "1 read nil | ok 0", "1 inc 2 | ok"];
        let with = |reads: &[&str]| told(&[&early[..], reads].concat());
        assert_eq!(with(&["0 read nil | ok 3", "1 read nil | ok 3"]), ("true", vec![]));
        let sentence = "the reads on line 9 and on line 11 are both final, and show 3 and 2".to_owned();
        assert_eq!(with(&["0 read nil | ok 3", "1 read nil | ok 2"]), ("false", vec![sentence]));
        assert_eq!(with(&["0 read nil | ok 2", "0 read nil | ok 3", "1 read nil | ok 3"]).0, "true");
        assert_eq!(with(&["0 read nil | ok 3"]).0, "unknown");
        assert_eq!(with(&["0 read :final | ok 3", "1 read nil | ok 2", "2 read :final | ok 3"]).0, "true");
    }

    #[test]
    fn lists_may_be_sets() {
        let lines = ["0 add 1 | ok", "0 read nil | ok [1 2]", "1 read nil | ok [2 1]"];
        let verdict =
            |lists_are_sets| word(&check(&history(&lines), &ConvergenceOptions { lists_are_sets }).unwrap());
        assert_eq!((verdict(false), verdict(true)), ("false", "true"));
    }

    #[test]
    fn reads_that_tell_what_they_saw_are_judged_at_any_time() {
        let (verdict, sentences) = told(&[
            "0 update {:id :a, :x 1} | ok",
            "0 update :b | info",
            "0 update :c | fail",
            "0 read nil | ok {:replica 1, :seen [:a :b], :state 3}",
            "0 read nil | ok {:replica 2, :seen #{:b :a}, :state 4}",
            "0 read nil | ok {:replica 1, :seen [:b], :state 2}",
            "0 read nil | ok {:replica 2, :seen [:a :b :c :d], :state 9}",
            "0 update :e | ok",
        ]);
        assert_eq!(verdict, "false");
        assert_eq!(
            sentences,
            [
                "the reads on line 7 and on line 9 saw the same 2 updates, and show 3 and 4",
                "the read on line 13 has seen :c, though that update failed, on line 5",
                "the read on line 13 has seen :d, though there is no such update",
                "the read on line 11 of replica 1 lacks :a, which the replica had seen on line 7",
            ]
        );
        let (verdict, sentences) = told(&[
            "0 update 1 | ok",
            "0 read nil | ok {:seen [], :state 0}",
            "1 read nil | ok {:seen nil, :state 0}",
        ]);
        assert_eq!(
            (verdict, sentences),
            ("false", vec!["the final read on line 3 has not seen 1".to_owned()])
        );
        assert_eq!(
            told(&["0 read nil | ok {:seen [1], :state 0}", "0 update 1 | ok"]).1[0],
            "the read on line 1 has seen 1, which was only made later, on line 3"
        );
    }

    #[test]
    fn shapes_and_keys() {
        let error = check(&history(&["read nil | ok {:state 1, :seen 2}"]), &PLAIN).unwrap_err().to_string();
        assert!(error.ends_with("expected a list of updates under :seen"), "{error}");
        let keyed = keyed_history(&[
            (":a", "0 read nil | ok 1"),
            (":b", "1 read nil | ok 2"),
            (":a", "1 read nil | ok 1"),
            (":b", "0 read nil | ok 2"),
        ]);
        assert_eq!(word(&check(&keyed, &PLAIN).unwrap()), "true");
    }

    /// Replicas that hold sets of updates, whose state is their sum; some merge badly, or lose their memory.
    struct Sums {
        replicas: [BTreeSet<i64>; 2],
        next: i64,
        fault_percent: u64,
        lag_percent: u64,
    }

    impl System for Sums {
        fn invoke(&mut self, chance: &mut Chance, _: &mut Values, _: i64) -> (&'static str, Value) {
            if chance.percent(60) {
                return ("read", Value::NIL);
            }
            self.next += 1;
            ("update", int(self.next))
        }

        fn complete(
            &mut self,
            chance: &mut Chance,
            values: &mut Values,
            asked: (i64, &str, Value),
        ) -> (EventKind, Value) {
            let at = chance.below(2) as usize;
            let broken = chance.percent(self.fault_percent);
            if asked.1 == "update" {
                let kind = [EventKind::Ok, EventKind::Ok, EventKind::Fail, EventKind::Info]
                    [chance.below(4) as usize];
                if kind != EventKind::Fail && !(kind == EventKind::Info && chance.percent(50)) {
                    self.replicas[at].insert(asked.2.as_small_int().unwrap());
                }
                return (kind, Value::NIL);
            }
            if !chance.percent(self.lag_percent) {
                let all: BTreeSet<i64> = self.replicas.iter().flatten().copied().collect();
                self.replicas[at] = all;
            }
            if broken {
                match chance.below(4) {
                    0 | 3 => _ = self.replicas[at].pop_first(),
                    1 => _ = self.replicas[at].insert(self.next + 1),
                    _ => {}
                }
            }
            let sum: i64 = self.replicas[at].iter().sum::<i64>() + i64::from(broken);
            let seen: Vec<Value> = self.replicas[at].iter().rev().map(|id| int(*id)).collect();
            let (seen, replica) = (values.list(&seen), values.keyword(["a", "b"][at]));
            let (replica_key, seen_key, state_key) =
                (values.keyword("replica"), values.str("seen"), values.keyword("state"));
            let mut entries = vec![(seen_key, seen), (state_key, int(sum))];
            if chance.percent(80) {
                entries.push((replica_key, replica));
            }
            let plain = chance.percent(10);
            (EventKind::Ok, if plain { int(sum) } else { values.map(&entries) })
        }
    }

    /// The definition, pair by pair.
    fn oracle(history: &History) -> [bool; 5] {
        let values = history.values();
        let all: Vec<Operation<'_>> = history.operations().collect();
        let reads: Vec<&Operation<'_>> =
            all.iter().filter(|op| op.f == "read" && op.outcome == Outcome::Ok).collect();
        let state = |read: &Operation<'_>| field(values, read.output, "state").unwrap_or(read.output);
        let seen = |read: &Operation<'_>| -> Option<BTreeSet<Value>> {
            Some(members(values, field(values, read.output, "seen")?)?.iter().copied().collect())
        };
        let updates: Vec<&Operation<'_>> = all.iter().filter(|op| op.f == "update").collect();
        let is_final = |read: &Operation<'_>| {
            updates.iter().all(|update| {
                update.outcome != Outcome::Ok || update.complete_position < read.invoke_position
            }) && !all.iter().any(|op| op.process == read.process && op.id > read.id)
        };
        let pair = |test: &dyn Fn(&Operation<'_>, &Operation<'_>) -> bool| {
            reads.iter().any(|a| reads.iter().any(|b| test(a, b)))
        };
        let diverged = pair(&|a, b| is_final(a) && is_final(b) && state(a) != state(b));
        let conflicting = pair(&|a, b| seen(a).is_some() && seen(a) == seen(b) && state(a) != state(b));
        let replica = |read: &Operation<'_>| field(values, read.output, "replica");
        let forgotten = pair(&|a, b| {
            replica(a).is_some()
                && replica(a) == replica(b)
                && a.complete_position < b.invoke_position
                && !seen(a).unwrap().is_subset(&seen(b).unwrap())
        });
        let undelivered = reads.iter().any(|read| {
            is_final(read)
                && seen(read).is_some_and(|seen| {
                    updates
                        .iter()
                        .any(|update| update.outcome == Outcome::Ok && !seen.contains(&update.input))
                })
        });
        let unexpected = reads.iter().any(|read| {
            seen(read).unwrap_or_default().iter().any(|id| {
                !updates.iter().any(|update| {
                    update.outcome != Outcome::Fail
                        && update.input == *id
                        && update.invoke_position < read.complete_position
                })
            })
        });
        [diverged, conflicting, forgotten, undelivered, unexpected]
    }

    #[test]
    fn it_agrees_with_the_definition_on_random_histories() {
        let mut met = Met::default();
        let names = ["diverged", "conflicting", "forgotten", "undelivered", "unexpected"];
        for seed in 0..4000 {
            let mut chance = Chance::new(seed);
            let (fault_percent, lag_percent) = ([0, 25][seed as usize % 2], [0, 60][seed as usize / 2 % 2]);
            let replicas = [BTreeSet::new(), BTreeSet::new()];
            let mut system = Sums { replicas, next: 0, fault_percent, lag_percent };
            let operations = 1 + chance.below(14) as usize;
            let history = draw(&mut chance, 3, operations, &mut system);
            let report = check(&history, &PLAIN).unwrap();
            assert_well_formed(&history, &report);
            let found = names.map(|name| report.findings.iter().any(|finding| finding.kind == name));
            assert_eq!(found, oracle(&history), "seed {seed}: {report:#?}");
            met.see(word(&report));
            kinds(&report).into_iter().for_each(|kind| met.see(kind));
        }
        met.at_least(&["true", "false", "unknown"], 300);
        met.at_least(&names, 100);
    }
}
