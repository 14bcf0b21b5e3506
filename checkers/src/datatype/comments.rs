//! Comments, or causal reverse: a read that sees a write but not one that came before it.
//!
//! Writers insert distinct values, blindly; readers read all of them together. A write that completed
//! before another was invoked came first, so whoever sees the later one must see the earlier one:
//!
//! ```text
//! write 1 |--ok--|
//! write 2            |--ok--|
//! read               |------------ok--| saw 2, not 1
//! ```
//!
//! Strict serializability forbids it; a serializable store whose clocks differ may do it. The name is from
//! Jepsen's test of CockroachDB: somebody comments, then corrects the comment, and a reader sees only the
//! correction.
//!
//! After Jepsen's `jepsen.tests.causal-reverse` and the older `comments` of its CockroachDB test, which
//! elle-cli has as well: one definition under two names. A read may miss writes that completed before it
//! was invoked, as there; `linear-set` is the checker that does not let it. Differences:
//! - Jepsen builds, for each write, the set of all before it, and unites these for each read. What a read
//!   must have seen depends on one write alone, the last invoked of those that it saw: everything that
//!   completed before that. So a read costs what it returned, and a search among the completions.
//! - A value that was written several times counts from the first invocation that may have taken effect,
//!   and as complete from the first completion. Jepsen takes the last invocation.
//! - A history without reads is unknown, and so is one that records no real time.
//!
//! Values that no operation of the history wrote are nobody's: a history may be an excerpt. Cost:
//! O(w log w + r) for w writes and r values read.

use super::independent::{Independent, of_key};
use super::info::Info;
use super::{Figure, Findings, Quote, Report, Validity};
use crate::history::{History, NEVER, OpId, Operation, Outcome};
use crate::model::{ModelError, OperationInfo};
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::HashMap;

/// What this checker is.
pub const INFO: Info = Info {
    name: "comments",
    aliases: &["causal-reverse"],
    summary: "who sees a write sees every write that completed before it was invoked",
    operations: &[
        OperationInfo {
            functions: &["write"],
            input: "v, each once, or [k v] with independent keys",
            output: "the same, or nil",
            meaning: "inserts a value",
        },
        OperationInfo {
            functions: &["read"],
            input: "nil, or [k nil]",
            output: "the list or set of values, or [k list]",
            meaning: "reads all values together",
        },
    ],
    source: "Jepsen, jepsen.tests.causal-reverse and cockroachdb comments; elle-cli comments",
};

/// Looks for reads that missed a write which came before one that they saw. An operation of another shape
/// is an error.
pub fn check(history: &History) -> Result<Report, ModelError> {
    let writes = Writes::of(history)?;
    let mut findings = Findings::new();
    let mut read_count = 0u64;
    // The number of the last read that saw it, for each write.
    let mut seen_by = vec![0u64; writes.list.len()];
    for op in history.operations().filter(|op| op.f == "read" && op.outcome == Outcome::Ok) {
        read_count += 1;
        let (key, seen) = writes.read(&op, history.values())?;
        let mut last: Option<&Write> = None;
        for value in seen {
            let Some(&at) = writes.of_value.get(&(key, *value)) else { continue };
            seen_by[at] = read_count;
            if last.is_none_or(|last| writes.list[at].invoked > last.invoked) {
                last = Some(&writes.list[at]);
            }
        }
        let Some(last) = last else { continue };
        // At most one step more than there were values seen.
        let missed = |at: &&usize| seen_by[**at] != read_count;
        if let Some(&first) = writes.before(last).iter().find(missed) {
            let missed_count = || writes.before(last).iter().filter(missed).count();
            findings.add("causal-reverse", true, || {
                quote(&op, &writes.list[first], last, missed_count(), history.values())
            });
        }
    }
    let otherwise = match read_count {
        _ if !history.has_real_time() => Some("which write completed before another began is not recorded"),
        0 => Some("no read completed, so nothing was seen"),
        _ => None,
    };
    let figures = vec![
        ("read-count", Figure::Count(read_count)),
        ("write-count", Figure::Count(writes.list.len() as u64)),
        ("bad-read-count", Figure::Count(findings.count("causal-reverse"))),
    ];
    Ok(findings.report(otherwise.map_or(Validity::Valid, |why| Validity::Unknown(why.to_owned())), figures))
}

/// All writes of one value.
#[derive(Clone, Copy)]
struct Write {
    key: Value,
    value: Value,
    /// The first that may have taken effect, and where it was invoked.
    op: OpId,
    invoked: u32,
    /// The first that completed, and where; [`NEVER`] if none did.
    completed_op: OpId,
    completed: u32,
    /// All of them failed.
    failed: bool,
}

struct Writes {
    keys: Independent,
    has_real_time: bool,
    list: Vec<Write>,
    /// Place in the list, by key and value.
    of_value: HashMap<(Value, Value), usize, FastBuild>,
    /// Those of each key that completed, in the order of their completions.
    completed: Vec<Vec<usize>>,
    /// Place of a key in `completed`.
    of_key: HashMap<Value, usize, FastBuild>,
}

impl Writes {
    fn of(history: &History) -> Result<Writes, ModelError> {
        let values = history.values();
        let mut writes = Writes {
            keys: Independent::of(history),
            has_real_time: history.has_real_time(),
            list: Vec::new(),
            of_value: HashMap::default(),
            completed: Vec::new(),
            of_key: HashMap::default(),
        };
        for op in history.operations() {
            match op.f {
                "read" => continue,
                "write" => {}
                _ => return Err(ModelError::unknown_function(&op, "read, write")),
            }
            let expected = "nil or the value that was written";
            if op.outcome == Outcome::Ok && !op.output.is_nil() && op.output != op.input {
                return Err(ModelError::output(&op, values, expected));
            }
            let (key, value) = writes.keys.input(&op, values);
            writes.add(&op, key, value);
        }
        for (at, write) in writes.list.iter().enumerate().filter(|(_, write)| write.completed != NEVER) {
            let place = *writes.of_key.entry(write.key).or_insert(writes.completed.len());
            if place == writes.completed.len() {
                writes.completed.push(Vec::new());
            }
            writes.completed[place].push(at);
        }
        for completed in &mut writes.completed {
            completed.sort_unstable_by_key(|at| writes.list[*at].completed);
        }
        Ok(writes)
    }

    fn add(&mut self, op: &Operation<'_>, key: Value, value: Value) {
        let new = Write {
            key,
            value,
            op: op.id,
            invoked: op.invoke_position,
            completed_op: op.id,
            completed: op.returned(),
            failed: op.outcome == Outcome::Fail,
        };
        let at = *self.of_value.entry((key, value)).or_insert(self.list.len());
        let Some(write) = self.list.get_mut(at) else { return self.list.push(new) };
        // What failed did not happen, and the retry did.
        if write.failed && !new.failed {
            *write = new;
        } else if new.completed < write.completed {
            (write.completed, write.completed_op) = (new.completed, new.completed_op);
        }
    }

    /// The key and the values that `op` read.
    fn read<'v>(&self, op: &Operation<'_>, values: &'v Values) -> Result<(Value, &'v [Value]), ModelError> {
        let expected = "a list or set of all values";
        let output = self.keys.output(op, values, expected)?;
        match values.get(output) {
            Datum::List(seen) | Datum::Set(seen) => Ok((self.keys.input(op, values).0, seen)),
            Datum::Nil => Ok((self.keys.input(op, values).0, &[])),
            _ => Err(ModelError::output(op, values, expected)),
        }
    }

    /// The writes of its key that completed before `last` was invoked.
    fn before(&self, last: &Write) -> &[usize] {
        match self.of_key.get(&last.key) {
            Some(place) if self.has_real_time => {
                let completed = &self.completed[*place];
                &completed[..completed.partition_point(|at| self.list[*at].completed < last.invoked)]
            }
            _ => &[],
        }
    }
}

fn quote(read: &Operation<'_>, missed: &Write, seen: &Write, missed_count: usize, values: &Values) -> Quote {
    let mut operations = vec![missed.completed_op, seen.op, read.id];
    operations.sort_unstable();
    let others = match missed_count {
        1 => String::new(),
        count => format!(", and {} more such values are missing", count - 1),
    };
    Quote {
        operations,
        values: vec![missed.value, seen.value],
        sentence: format!(
            "a read{} saw {} without {}, whose write had completed before the other was invoked{others}",
            of_key(seen.key, values),
            values.show(seen.value),
            values.show(missed.value)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scribe::{Chance, System, count, edn, int, record, told};
    use super::*;
    use crate::history::EventKind;
    use crate::model::transcript::history;

    fn judge(lines: &[&str]) -> Vec<String> {
        match check(&history(lines)) {
            Ok(report) => told(&report),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn who_sees_a_write_sees_what_completed_before_it() {
        let two = ["write 1 | ok 1", "write 2 | ok nil"];
        let read = |seen| judge(&[two[0], two[1], seen]);
        let missing =
            "causal-reverse: a read saw 2 without 1, whose write had completed before the other was invoked";
        assert_eq!(read("read nil | ok [1 2]"), ["valid"]);
        assert_eq!(read("read nil | ok #{2}"), ["invalid", missing]);
        // Stale, and yet in the order of the writes.
        assert_eq!(read("read nil | ok [1]"), ["valid"]);
        assert_eq!(read("read nil | ok nil"), ["valid"]);
        assert_eq!(read("read nil"), ["unknown: no read completed, so nothing was seen"]);
        assert_eq!(judge(&["write 1 | info", two[1], "read nil | ok [2]"]), ["valid"]);
        let more = judge(&[two[0], two[1], "write 3 | ok", "read nil | ok [9 3]"]);
        assert!(more[1].ends_with("saw 3 without 1, whose write had completed before the other was invoked, and 1 more such values are missing"), "{more:?}");
    }

    #[test]
    fn overlapping_writes_have_no_order() {
        let overlap = |last: &str| {
            told(
                &check(&edn(&format!(
                    "{{:process 0, :type :invoke, :f :write, :value 1}}
                 {{:process 1, :type :invoke, :f :write, :value 2}}
                 {{:process 0, :type :ok, :f :write, :value 1}}
                 {{:process 1, :type :ok, :f :write, :value 2}}
                 {{:process 0, :type :invoke, :f :write, :value 3}}
                 {{:process 0, :type :ok, :f :write, :value 3}}
                 {{:process 1, :type :invoke, :f :read, :value nil}}
                 {{:process 1, :type :ok, :f :read, :value {last}}}"
                )))
                .unwrap(),
            )[0]
            .clone()
        };
        assert_eq!(
            [overlap("[2]"), overlap("[1]"), overlap("[1 3]"), overlap("[1 2 3]")],
            ["valid", "valid", "invalid", "valid"]
        );
    }

    /// The history of elle-cli: an excerpt whose read saw much that the excerpt does not write.
    #[test]
    fn values_of_nobody_are_no_evidence() {
        let excerpt = edn("{:index 1, :type :invoke :f :read :process 9 :value nil}
             {:index 2, :type :invoke :f :write :value 425}
             {:index 3, :type :ok :f :write :value 425}
             {:index 4, :type :invoke :f :write :value 430}
             {:index 5, :type :ok :f :write :value 430}
             {:index 6, :type :ok :f :read :process 9 :value #{2 10 15 422 430}}");
        let report = check(&excerpt).unwrap();
        assert_eq!((report.validity, &report.findings[0].operations), (Validity::Invalid, &vec![0, 1, 2]));
        assert_eq!(report.findings[0].values, [int(425), int(430)]);
    }

    #[test]
    fn keys_are_independent() {
        let two = ["write [:a 1] | ok [:a 1]", "write [:b 2] | ok [:b 2]", "write [:a 2] | ok [:a 2]"];
        let missing = "causal-reverse: a read of key :a saw 2 without 1, whose write had completed before the other \
                       was invoked";
        assert_eq!(judge(&[two[0], two[1], two[2], "read [:b nil] | ok [:b [2]]"]), ["valid"]);
        assert_eq!(judge(&[two[0], two[1], two[2], "read [:a nil] | ok [:a [2]]"]), ["invalid", missing]);
    }

    #[test]
    fn a_failed_write_and_its_retry_are_one() {
        let lines = ["write 2 | fail", "write 1 | ok", "write 2 | ok", "read nil | ok [2]"];
        assert_eq!(judge(&lines)[0], "invalid");
        // Written twice: it may be the first that was seen, when 1 was not yet written.
        let lines = ["write 2 | info", "write 1 | ok", "write 2 | ok", "read nil | ok [2]"];
        assert_eq!(judge(&lines), ["valid"]);
    }

    #[test]
    fn other_shapes_are_errors_with_their_line() {
        for (line, error) in [
            ("add 1", "line 1: the model has no function add; expected one of: read, write"),
            ("read nil | ok 1", "line 2: read returned the value 1; expected a list or set of all values"),
            (
                "write 1 | ok 2",
                "line 2: write returned the value 2; expected nil or the value that was written",
            ),
        ] {
            assert_eq!(judge(&[line]), [error]);
        }
    }

    #[test]
    fn without_real_time_nothing_is_said() {
        let mut builder = crate::history::HistoryBuilder::new();
        builder.sessions_only();
        let report = check(&builder.finish()).unwrap();
        assert_eq!(told(&report), ["unknown: which write completed before another began is not recorded"]);
    }

    /// A store that shows each write once it is replicated; `faults` percent of the reads see what they want.
    struct Store {
        keys: i64,
        next: i64,
        shown: Vec<Value>,
        faults: u64,
    }

    impl Store {
        fn keyed(&self, values: &mut Values, key: i64, value: Value) -> Value {
            if self.keys == 0 { value } else { values.list(&[int(key), value]) }
        }
    }

    impl System for Store {
        fn call(&mut self, chance: &mut Chance, values: &mut Values, _: i64) -> (&'static str, Value) {
            let key = chance.below(self.keys.max(1) as u64) as i64;
            if chance.percent(60) {
                // Some values are written twice.
                self.next += i64::from(chance.percent(85));
                let value = self.keyed(values, key, int(self.next));
                return ("write", value);
            }
            ("read", self.keyed(values, key, Value::NIL))
        }

        fn reply(
            &mut self,
            chance: &mut Chance,
            values: &mut Values,
            _: i64,
            f: &'static str,
            input: Value,
        ) -> (EventKind, Value) {
            if f == "write" {
                self.shown.push(input);
                let kinds = [EventKind::Ok, EventKind::Ok, EventKind::Ok, EventKind::Fail, EventKind::Info];
                return (kinds[chance.below(5) as usize], input);
            }
            let key = values.pair(input).map(|pair| pair.0);
            let mut seen = Vec::new();
            let stop = self.shown.len() as u64 - chance.below(3).min(self.shown.len() as u64);
            for (i, value) in self.shown.iter().enumerate() {
                let value = match (key, values.pair(*value)) {
                    (Some(key), Some((of, value))) if of == key => value,
                    (None, _) => *value,
                    _ => continue,
                };
                if (i as u64) < stop && !chance.percent(self.faults) {
                    seen.push(value);
                }
            }
            let seen = if chance.percent(50) { values.list(&seen) } else { values.set(&seen) };
            let output = match key {
                Some(key) => values.list(&[key, seen]),
                None => seen,
            };
            (if chance.percent(90) { EventKind::Ok } else { EventKind::Info }, output)
        }
    }

    /// The definition: some read saw a value, and another value was complete before the first write of
    /// that one which may have taken effect, and the read did not see it.
    fn bad_reads(history: &History) -> u64 {
        let values = history.values();
        let keys = Independent::of(history);
        let ops: Vec<_> = history.operations().collect();
        let bad = |read: &Operation<'_>| {
            let key = keys.input(read, values).0;
            let (Datum::List(seen) | Datum::Set(seen)) = values.get(keys.output(read, values, "").unwrap())
            else {
                panic!("made as a list or set")
            };
            let writes = |value: Value| {
                let of =
                    ops.iter().filter(move |op| op.f == "write" && keys.input(op, values) == (key, value));
                let all: Vec<_> = of.collect();
                let happened: Vec<_> = all.iter().copied().filter(|op| op.outcome != Outcome::Fail).collect();
                if happened.is_empty() { all } else { happened }
            };
            let missed = ops.iter().filter(|op| op.f == "write" && op.outcome == Outcome::Ok);
            let missed: Vec<_> = missed
                .filter(|op| keys.input(op, values).0 == key && !seen.contains(&keys.input(op, values).1))
                .collect();
            seen.iter().any(|value| {
                let first = writes(*value).iter().map(|op| op.invoke_position).min();
                first.is_some_and(|first| missed.iter().any(|op| op.complete_position < first))
            })
        };
        ops.iter().filter(|op| op.f == "read" && op.outcome == Outcome::Ok && bad(op)).count() as u64
    }

    #[test]
    fn the_last_invoked_write_tells_as_much_as_all_of_them() {
        let (mut valid, mut invalid) = (0, 0);
        for seed in 0..4000 {
            let mut chance = Chance::new(seed);
            let faults = [0, 0, 5, 30][chance.below(4) as usize];
            let keys = [0, 2][chance.below(2) as usize];
            let mut store = Store { keys, next: 0, shown: vec![], faults };
            let history = record(&mut chance, 4, 50, &mut store);
            let report = check(&history).unwrap();
            let bad = bad_reads(&history);
            assert_eq!(count(&report, "bad-read-count"), bad, "seed {seed}: {:?}", told(&report));
            assert_eq!(report.validity == Validity::Invalid, bad > 0);
            *(if bad > 0 { &mut invalid } else { &mut valid }) += 1;
        }
        assert!(valid > 1000 && invalid > 1000, "{valid} valid, {invalid} invalid");
    }
}
