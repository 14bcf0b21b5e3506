//! Long fork: two reads that disagree on which of two writes came first.
//!
//! Writers each insert one key, once: `write [[:w k v]]`. Readers each read all keys of one group
//! together: `read [[:r k nil] …]`. Keys only ever appear, so if there is one order of the writes, what
//! the reads of a group saw are prefixes of it: of any two reads, one saw every key that the other saw.
//! A *fork* is a pair of which neither did:
//!
//! ```text
//! write x = 1        write y = 1
//! read  x = 1, y = nil           x came before y
//! read  x = nil, y = 1           y came before x
//! ```
//!
//! Serializability and snapshot isolation forbid it; parallel snapshot isolation allows it (Sovran, Power,
//! Aguilera & Li 2011, *Transactional storage for geo-replicated systems*, §3, who name it).
//!
//! After Jepsen's `jepsen.tests.long-fork`. Differences:
//! - Jepsen compares each pair of reads, which is quadratic. What reads of a group saw is a chain if and
//!   only if, sorted by size, each is contained in the next; so only neighbours are compared, and a fork
//!   is counted for each two neighbours that are none.
//! - Without a group size it is that of the first read. Jepsen's is 2; elle-cli's is 0, which fits nothing.
//! - Jepsen calls a history unknown if a key is written twice, or is read with two values. So do we, but
//!   for a history with a fork: a key that is written twice is not there less than before. And writes that
//!   failed do not count, since they did not happen.
//! - A history without reads is unknown.
//!
//! The values themselves are not judged, nor who wrote them: a history may be an excerpt without writes.
//! Cost: O(n log n) for n values read.

use super::info::Info;
use super::{Figure, Findings, Quote, Report, Validity};
use crate::history::{History, OpId, Operation, Outcome};
use crate::model::{ModelError, OperationInfo};
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::{HashMap, HashSet};

/// What this checker is.
pub const INFO: Info = Info {
    name: "long-fork",
    aliases: &["long_fork"],
    summary: "no two reads disagree on which of two writes came first",
    operations: &[
        OperationInfo {
            functions: &["read", "txn"],
            input: "[[:r k nil] ...], all keys of a group",
            output: "[[:r k v] ...], v nil where there is nothing yet",
            meaning: "reads a group of keys together",
        },
        OperationInfo {
            functions: &["write", "txn"],
            input: "[[:w k v]], each key once",
            output: "the same",
            meaning: "inserts a key",
        },
    ],
    source: "Jepsen, jepsen.tests.long-fork; Sovran et al. 2011, section 3",
};

/// How to read the history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How many keys are a group; `None` takes it from the first read.
    pub group_size: Option<usize>,
}

/// Looks for forks. An operation of another shape, or a read of another number of keys, is an error.
pub fn check(history: &History, options: &Options) -> Result<Report, ModelError> {
    let reads = Reads::of(history, options)?;
    let mut findings = Findings::new();
    for [a, b] in reads.forks() {
        findings.add("fork", true, || reads.quote(a, b, history));
    }
    let unclear = match &reads.unclear {
        _ if reads.rows.is_empty() => Some("no read completed, so nothing was seen".to_owned()),
        None => None,
        Some((key, what)) => Some(format!(
            "key {} is {what}, and in which order it had its values is unknown; expected one write of each key",
            history.values().show(*key)
        )),
    };
    let figures = vec![
        ("reads-count", Figure::Count(reads.rows.len() as u64)),
        ("early-read-count", Figure::Count(reads.early)),
        ("late-read-count", Figure::Count(reads.late)),
        ("fork-count", Figure::Count(findings.count("fork"))),
    ];
    Ok(findings.report(unclear.map_or(Validity::Valid, Validity::Unknown), figures))
}

/// What all reads saw.
struct Reads {
    rows: Vec<Row>,
    /// Which keys of its group each row saw, in `words` words, a bit for each key.
    seen: Vec<u64>,
    words: usize,
    /// Keys of each group, sorted.
    groups: Vec<Box<[Value]>>,
    /// Reads that saw nothing, and reads that saw all.
    early: u64,
    late: u64,
    /// A key that has several values, and what shows it.
    unclear: Option<(Value, &'static str)>,
}

/// One read.
struct Row {
    op: OpId,
    group: u32,
    seen_count: u32,
}

impl Reads {
    fn of(history: &History, options: &Options) -> Result<Reads, ModelError> {
        let mut reads = Reads {
            rows: Vec::new(),
            seen: Vec::new(),
            words: 0,
            groups: Vec::new(),
            early: 0,
            late: 0,
            unclear: None,
        };
        let mut size = options.group_size;
        let mut group_of: HashMap<Box<[Value]>, u32, FastBuild> = HashMap::default();
        let mut written: HashSet<Value, FastBuild> = HashSet::default();
        let mut value_of: HashMap<Value, Value, FastBuild> = HashMap::default();
        let (mut pairs, mut keys) = (Vec::new(), Vec::new());
        for op in history.operations() {
            if let Some(key) = write(&op, history.values())? {
                if op.outcome != Outcome::Fail && !written.insert(key) {
                    reads.unclear.get_or_insert((key, "written more than once"));
                }
                continue;
            }
            if op.outcome != Outcome::Ok {
                continue;
            }
            read(&op, history.values(), &mut pairs)?;
            let size = *size.get_or_insert(pairs.len());
            if pairs.len() != size {
                let expected = format!("a read of {size} distinct keys, a whole group");
                return Err(ModelError::output(&op, history.values(), &expected));
            }
            for &(key, value) in pairs.iter().filter(|pair| !pair.1.is_nil()) {
                if *value_of.entry(key).or_insert(value) != value {
                    reads.unclear.get_or_insert((key, "read with several values"));
                }
            }
            keys.clear();
            keys.extend(pairs.iter().map(|pair| pair.0));
            let group = match group_of.get(&keys[..]) {
                Some(group) => *group,
                None => {
                    let group = reads.groups.len() as u32;
                    group_of.insert(keys[..].into(), group);
                    reads.groups.push(keys[..].into());
                    group
                }
            };
            reads.push(op.id, group, &pairs);
        }
        Ok(reads)
    }

    fn push(&mut self, op: OpId, group: u32, pairs: &[(Value, Value)]) {
        self.words = pairs.len().div_ceil(64);
        let start = self.seen.len();
        self.seen.resize(start + self.words, 0);
        for (i, (_, value)) in pairs.iter().enumerate() {
            self.seen[start + i / 64] |= u64::from(!value.is_nil()) << (i % 64);
        }
        let seen_count = self.seen[start..].iter().map(|word| word.count_ones()).sum();
        self.early += u64::from(seen_count == 0);
        self.late += u64::from(seen_count as usize == pairs.len());
        self.rows.push(Row { op, group, seen_count });
    }

    fn seen(&self, row: usize) -> &[u64] {
        &self.seen[row * self.words..][..self.words]
    }

    /// Rows that are neighbours in the order by size, and of which neither is contained in the other.
    fn forks(&self) -> Vec<[usize; 2]> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        let place = |row: &usize| (self.rows[*row].group, self.rows[*row].seen_count, self.seen(*row));
        order.sort_by(|a, b| place(a).cmp(&place(b)));
        // Of reads that saw the same, the first one speaks for all.
        order.dedup_by(|later, first| place(later) == place(first));
        let is_fork = |pair: &&[usize]| {
            self.rows[pair[0]].group == self.rows[pair[1]].group
                && self.seen(pair[0]).iter().zip(self.seen(pair[1])).any(|(small, large)| small & !large != 0)
        };
        order.windows(2).filter(is_fork).map(|pair| [pair[0].min(pair[1]), pair[0].max(pair[1])]).collect()
    }

    fn quote(&self, a: usize, b: usize, history: &History) -> Quote {
        let keys = &self.groups[self.rows[a].group as usize];
        let saw = |row: usize, at: usize| self.seen(row)[at / 64] >> (at % 64) & 1 == 1;
        let only = |row: usize, other: usize| (0..keys.len()).find(|&at| saw(row, at) && !saw(other, at));
        let (x, y) = (only(a, b).expect("a fork"), only(b, a).expect("a fork"));
        let [x, y] = [keys[x], keys[y]];
        let show = |value| history.values().show(value);
        Quote {
            operations: vec![self.rows[a].op, self.rows[b].op],
            values: vec![x, y],
            sentence: format!(
                "one read saw key {} without key {}, so {0} was written first; another saw {1} without {0}",
                show(x),
                show(y)
            ),
        }
    }
}

const SHAPE: &str = "[[:r k nil] ...], a read of a group, or [[:w k v]], one write";

/// The key that `op` writes; `None` if it reads.
fn write(op: &Operation<'_>, values: &Values) -> Result<Option<Value>, ModelError> {
    let expected = match op.f {
        "read" => "[[:r k nil] ...], a read of a group",
        "write" => "[[:w k v]], one write",
        "txn" => SHAPE,
        _ => return Err(ModelError::unknown_function(op, "read, write, txn")),
    };
    let wrong = || ModelError::input(op, values, expected);
    let Datum::List(list) = values.get(op.input) else { return Err(wrong()) };
    match *list {
        [only] if is_named(values, only, &["w", "write"]) && op.f != "read" => match values.get(only) {
            Datum::List(&[_, key, value]) if !value.is_nil() => Ok(Some(key)),
            _ => Err(wrong()),
        },
        [_, ..] if list.iter().all(|entry| is_named(values, *entry, &["r", "read"])) && op.f != "write" => {
            Ok(None)
        }
        _ => Err(wrong()),
    }
}

/// True if `entry` is a list that begins with one of these names.
fn is_named(values: &Values, entry: Value, names: &[&str]) -> bool {
    let Datum::List([name, ..]) = values.get(entry) else { return false };
    values.text(*name).is_some_and(|name| names.contains(&name))
}

/// What `op` read: keys, sorted, with their values.
fn read(op: &Operation<'_>, values: &Values, pairs: &mut Vec<(Value, Value)>) -> Result<(), ModelError> {
    let wrong = || ModelError::output(op, values, "[[:r k v] ...], each key once");
    let Datum::List(list) = values.get(op.output) else { return Err(wrong()) };
    pairs.clear();
    for entry in list {
        match values.get(*entry) {
            Datum::List(&[name, key, value]) if matches!(values.text(name), Some("r" | "read")) => {
                pairs.push((key, value));
            }
            _ => return Err(wrong()),
        }
    }
    pairs.sort_unstable();
    if pairs.is_empty() || pairs.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(wrong());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::scribe::{Chance, System, count, edn, int, record, told};
    use super::*;
    use crate::history::EventKind;
    use crate::model::transcript::history;

    fn judge(lines: &[&str]) -> Vec<String> {
        match check(&history(lines), &Options::default()) {
            Ok(report) => told(&report),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn two_reads_that_each_saw_what_the_other_missed_are_a_fork() {
        let fork =
            "fork: one read saw key :x without key :y, so :x was written first; another saw :y without :x";
        assert_eq!(
            judge(&[
                "write [[:w :x 1]] | ok [[:w :x 1]]",
                "write [[:w :y 1]] | ok [[:w :y 1]]",
                "read [[:r :x nil] [:r :y nil]] | ok [[:r :x 1] [:r :y nil]]",
                "read [[:r :y nil] [:r :x nil]] | ok [[:r :y 1] [:r :x nil]]",
            ]),
            ["invalid", fork]
        );
        let prefixes = [
            "read [[:r 0 nil] [:r 1 nil]] | ok [[:r 0 nil] [:r 1 nil]]",
            "read [[:r 0 nil] [:r 1 nil]] | ok [[:r 0 1] [:r 1 1]]",
            "read [[:r 0 nil] [:r 1 nil]] | ok [[:r 0 nil] [:r 1 1]]",
            "txn [[:r 2 nil] [:r 3 nil]] | ok [[:r 2 1] [:r 3 nil]]",
            "read [[:r 0 nil] [:r 1 nil]]",
        ];
        assert_eq!(judge(&prefixes), ["valid"]);
        let report = check(&history(&prefixes), &Options::default()).unwrap();
        let counts = ["reads-count", "early-read-count", "late-read-count", "fork-count"];
        assert_eq!(counts.map(|name| count(&report, name)), [4, 1, 1, 0]);
    }

    /// The history of elle-cli and of Jepsen's own test: an excerpt without writes or processes.
    #[test]
    fn an_excerpt_of_reads_is_enough() {
        let excerpt = edn("[{:type :invoke, :f :read, :value [[:r 0 nil] [:r 1 nil] [:r 2 nil]]}
              {:type :ok, :f :read, :value [[:r 0 1] [:r 1 1] [:r 2 nil]]}
              {:type :invoke, :f :read, :value [[:r 2 nil] [:r 0 nil] [:r 1 nil]]}
              {:type :ok, :f :read, :value [[:r 2 1] [:r 0 1] [:r 1 nil]]}]");
        let report = check(&excerpt, &Options { group_size: Some(3) }).unwrap();
        assert_eq!((report.validity, report.findings[0].operations.clone()), (Validity::Invalid, vec![0, 1]));
        let error = check(&excerpt, &Options { group_size: Some(2) }).unwrap_err();
        assert_eq!(error.line, 2);
    }

    #[test]
    fn a_key_with_two_values_makes_the_rest_unknown_but_not_a_fork() {
        let fork = ["read [[:r 0 nil] [:r 1 nil]] | ok [[:r 0 1] [:r 1 nil]]"; 2];
        let twice = ["write [[:w 0 1]] | fail", "write [[:w 0 1]] | ok", "write [[:w 0 2]] | info"];
        let unknown = "unknown: key 0 is written more than once, and in which order it had its values is unknown; \
                       expected one write of each key";
        assert_eq!(judge(&[twice[0], twice[1], fork[0]]), ["valid"]);
        assert_eq!(judge(&[twice[1], twice[2], fork[0]]), [unknown]);
        let other = "read [[:r 0 nil] [:r 1 nil]] | ok [[:r 0 nil] [:r 1 2]]";
        assert_eq!(judge(&[twice[1], twice[2], fork[0], other])[0], "invalid");
        let values = ["read [[:r 0 nil]] | ok [[:r 0 1]]", "read [[:r 0 nil]] | ok [[:r 0 2]]"];
        assert!(judge(&values)[0].starts_with("unknown: key 0 is read with several values"));
        assert_eq!(judge(&twice[..1]), ["unknown: no read completed, so nothing was seen"]);
    }

    #[test]
    fn other_shapes_are_errors_with_their_line() {
        for (line, error) in [
            ("add 1", "the model has no function add; expected one of: read, write, txn"),
            ("read 1 | ok 1", "read has the value 1; expected [[:r k nil] ...], a read of a group"),
            ("write [[:w 1 nil]]", "write has the value [[:w 1 nil]]; expected [[:w k v]], one write"),
            (
                "write [[:w 1 1] [:w 2 1]]",
                "write has the value [[:w 1 1] [:w 2 1]]; expected [[:w k v]], one write",
            ),
            (
                "read [[:r 1 nil] [:r 1 nil]] | ok [[:r 1 1] [:r 1 1]]",
                "read returned the value [[:r 1 1] [:r 1 1]]; expected [[:r k v] ...], each key once",
            ),
            (
                "read [[:r 1 nil]] | ok []",
                "read returned the value []; expected [[:r k v] ...], each key once",
            ),
            (
                "read [[:r 1 nil]] | ok nil",
                "read returned the value nil; expected [[:r k v] ...], each key once",
            ),
        ] {
            let at = if line.contains("ok") && !line.contains("read 1 ") { 2 } else { 1 };
            assert_eq!(judge(&[line]), [format!("line {at}: {error}")]);
        }
        let sizes =
            ["read [[:r 0 nil]] | ok [[:r 0 1]]", "read [[:r 0 nil] [:r 1 nil]] | ok [[:r 0 1] [:r 1 1]]"];
        assert_eq!(
            judge(&sizes),
            [
                "line 4: read returned the value [[:r 0 1] [:r 1 1]]; expected a read of 1 distinct keys, a whole group"
            ]
        );
    }

    /// Keys of two groups appear in one order for all readers, but for some reads, which see keys at random.
    struct Groups {
        size: u64,
        present: Vec<bool>,
        faults: u64,
    }

    impl System for Groups {
        fn call(&mut self, chance: &mut Chance, values: &mut Values, _: i64) -> (&'static str, Value) {
            let key = chance.below(2 * self.size);
            if !self.present[key as usize] && chance.percent(30) {
                self.present[key as usize] = true;
                let write = [values.keyword("w"), int(key as i64), int(1)];
                let write = values.list(&write);
                return ("write", values.list(&[write]));
            }
            let first = key / self.size * self.size;
            let reads: Vec<Value> =
                (first..first + self.size).map(|key| entry(values, key, Value::NIL)).collect();
            ("read", values.list(&reads))
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
                return (EventKind::Ok, input);
            }
            let Datum::List(reads) = values.get(input) else { unreachable!("made in call") };
            let keys: Vec<u64> = reads
                .iter()
                .map(|read| match values.get(*read) {
                    Datum::List(&[_, key, _]) => values.int_of(key).unwrap() as u64,
                    _ => unreachable!("made in call"),
                })
                .collect();
            let random = chance.percent(self.faults);
            let reads: Vec<Value> = keys
                .into_iter()
                .map(|key| {
                    let there = if random { chance.percent(50) } else { self.present[key as usize] };
                    entry(values, key, if there { int(1) } else { Value::NIL })
                })
                .collect();
            (if chance.percent(90) { EventKind::Ok } else { EventKind::Info }, values.list(&reads))
        }
    }

    fn entry(values: &mut Values, key: u64, value: Value) -> Value {
        let name = values.keyword("r");
        values.list(&[name, int(key as i64), value])
    }

    /// The definition: some two reads of the same keys, each of which saw a key that the other did not.
    fn has_fork(history: &History) -> bool {
        let values = history.values();
        let reads: Vec<Vec<(Value, Value)>> = history
            .operations()
            .filter(|op| op.f == "read" && op.outcome == Outcome::Ok)
            .map(|op| {
                let mut pairs = Vec::new();
                read(&op, values, &mut pairs).unwrap();
                pairs
            })
            .collect();
        let beyond = |a: &[(Value, Value)], b: &[(Value, Value)]| {
            a.iter().zip(b).all(|(a, b)| a.0 == b.0)
                && a.iter().zip(b).any(|(a, b)| !a.1.is_nil() && b.1.is_nil())
        };
        reads.iter().any(|a| reads.iter().any(|b| beyond(a, b) && beyond(b, a)))
    }

    #[test]
    fn neighbours_find_a_fork_exactly_when_some_pair_is_one() {
        let (mut valid, mut invalid) = (0, 0);
        for seed in 0..4000 {
            let mut chance = Chance::new(seed);
            // A group of 65 keys fills more than one word.
            let size = if seed % 8 == 0 { 65 } else { 2 + chance.below(4) };
            let faults = [0, 5, 20][chance.below(3) as usize];
            let mut groups = Groups { size, present: vec![false; 2 * size as usize], faults };
            let steps = if size == 65 { 30 } else { 60 };
            let history = record(&mut chance, 3, steps, &mut groups);
            let report = check(&history, &Options::default()).unwrap();
            let fork = has_fork(&history);
            assert_eq!(report.validity == Validity::Invalid, fork, "seed {seed}: {:?}", told(&report));
            *(if fork { &mut invalid } else { &mut valid }) += 1;
        }
        assert!(valid > 1000 && invalid > 1000, "{valid} valid, {invalid} invalid");
    }
}
