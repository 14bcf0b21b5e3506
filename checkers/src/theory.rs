//! What a history can be judged by: an object that orders its operations, transactions, or a data type.

mod shape;

use crate::datatype::info::Info;
use crate::datatype::registry::{self, CHECKERS, Checker};
use crate::history::{History, Operation, Outcome};
use crate::model::{self, MODELS, ModelName, OperationInfo};
use crate::transaction::Kind;
use crate::value::{Datum, Value};
use shape::Reads;
use std::collections::{BTreeMap, BTreeSet};

/// What a history is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Theory {
    /// An object: some order of the operations must explain every result.
    Object(ModelName),
    /// Transactions: their isolation.
    Transactions(Kind),
    /// A data type in Jepsen's vocabulary: what became of each element.
    Data(&'static Checker),
}

/// The transactional theories.
pub const TRANSACTIONAL: [(Kind, Info); 2] = [
    (
        Kind::ListAppend,
        Info {
            name: "list-append",
            aliases: &["append"],
            summary: "transactions that append to lists and read them: which isolation they show",
            operations: &[OperationInfo {
                functions: &["txn", "any"],
                input: "[[:append k v] [:r k nil] ...]",
                output: "the same with the lists that were read, [:r k [v ...]]",
                meaning: "each element is appended to a key once; nil and [] are the empty list",
            }],
            source: "Kingsbury & Alvaro 2020 (Elle); Adya 1999",
        },
    ),
    (
        Kind::Register,
        Info {
            name: "rw-register",
            aliases: &["txn-register"],
            summary: "transactions that read and write registers: which isolation they show",
            operations: &[OperationInfo {
                functions: &["txn", "any"],
                input: "[[:w k v] [:r k nil] ...]",
                output: "the same with the values that were read, [:r k v]",
                meaning: "each value is written to a key once; nil is what a key holds at first",
            }],
            source: "Kingsbury & Alvaro 2020 (Elle); Biswas & Enea 2019; Papadimitriou 1979",
        },
    ),
];

impl Theory {
    /// Its name on the command line.
    pub fn name(&self) -> String {
        match self {
            Theory::Object(model) => model.to_string(),
            Theory::Transactions(kind) => {
                let entry = TRANSACTIONAL.iter().find(|entry| entry.0 == *kind);
                entry.expect("every kind has a name").1.name.to_owned()
            }
            Theory::Data(checker) => checker.info.name.to_owned(),
        }
    }

    /// Every name that [`lookup`] knows, without aliases.
    pub fn names() -> Vec<&'static str> {
        let objects = MODELS.iter().map(|info| info.name);
        let transactional = TRANSACTIONAL.iter().map(|entry| entry.1.name);
        objects.chain(transactional).chain(CHECKERS.iter().map(|checker| checker.info.name)).collect()
    }
}

/// The theories all of whose functions a history may have that are in `functions`: what it can be judged as.
/// Transactions and whatever takes any function are not among them.
pub fn candidates(functions: &BTreeSet<&str>) -> Vec<&'static str> {
    let fits = |operations: &[OperationInfo]| {
        let known: BTreeSet<&str> = operations.iter().flat_map(|op| op.functions).copied().collect();
        !functions.is_empty() && functions.is_subset(&known)
    };
    let objects = MODELS.iter().filter(|info| fits(info.operations)).map(|info| info.name);
    let data = CHECKERS.iter().filter(|checker| fits(checker.info.operations));
    objects.chain(data.map(|checker| checker.info.name)).collect()
}

/// The theory called `name`, elle-cli's names included; `None` if there is none.
pub fn lookup(name: &str) -> Option<Theory> {
    if let Ok(model) = model::lookup(name) {
        return Some(Theory::Object(model));
    }
    let normal = name.trim().to_ascii_lowercase().replace('_', "-");
    let named = |info: &Info| info.name == normal || info.aliases.contains(&normal.as_str());
    if let Some(entry) = TRANSACTIONAL.iter().find(|entry| named(&entry.1)) {
        return Some(Theory::Transactions(entry.0));
    }
    registry::lookup(name).map(Theory::Data)
}

/// A theory that was chosen by looking at the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// The theory.
    pub theory: Theory,
    /// What told, in words.
    pub because: String,
    /// What else has the same operations, in words: `if …, use …`.
    pub otherwise: Option<&'static str>,
}

/// The theory that a history seems to be about, from the names of its functions and the shapes of its
/// values; `None` if that does not tell. Reads the history once or twice, at most.
pub fn guess(history: &History) -> Option<Guess> {
    let functions: BTreeSet<&str> = history.operations().map(|op| op.f).collect();
    let list = functions.iter().copied().collect::<Vec<_>>().join(", ");
    let told = |theory, detail: &str, otherwise| {
        Some(Guess { theory, because: format!("its functions are {list}{detail}"), otherwise })
    };
    match micro_operations(history) {
        Some(Micro::Append) => {
            return told(
                Theory::Transactions(Kind::ListAppend),
                ", and its values lists of appends and reads",
                None,
            );
        }
        Some(Micro::Groups) => {
            let theory = Theory::Data(registry::lookup("long-fork")?);
            let otherwise = Some("if it is about transactions in general, use `--model rw-register`");
            return told(theory, ", and its transactions write one key or read several", otherwise);
        }
        Some(Micro::Register) => {
            let otherwise = Some("if values may be written twice, use `--model multi-register`");
            let detail = ", and its values lists of writes and reads, each value written to a key once";
            return told(Theory::Transactions(Kind::Register), detail, otherwise);
        }
        Some(Micro::Repeated) | None => {}
    }
    let has = |name: &str| functions.contains(name);
    let only = |names: &[&str]| functions.iter().all(|name| names.contains(name));
    let data = |name: &str| registry::lookup(name).map(Theory::Data);
    if has("transfer") && only(&["transfer", "read"]) {
        return told(data("bank")?, "", None);
    }
    // Balances of accounts, though nothing was transferred.
    if only(&["read"]) && reads(history, |seen| matches!(seen, Datum::Map(_))) {
        return told(data("bank")?, ", and its reads return maps", None);
    }
    if has("drain") && only(&["enqueue", "dequeue", "drain"]) {
        return told(data("total-queue")?, "", None);
    }
    if has("generate") && only(&["generate"]) {
        return told(data("unique-ids")?, "", None);
    }
    if has("broadcast") && only(&["broadcast", "read", "topology"]) {
        return told(data("broadcast")?, "", None);
    }
    if (has("send") || has("poll"))
        && only(&[
            "send",
            "poll",
            "txn",
            "subscribe",
            "assign",
            "crash",
            "debug-topic-partitions",
            "commit",
            "list",
        ])
    {
        return told(data("kafka")?, "", None);
    }
    if has("read-init") && only(&["read-init", "read", "write"]) {
        return told(data("causal-register")?, "", None);
    }
    if has("insert") && only(&["insert", "read"]) && shape::inserts_into_one_of_two(history) {
        let otherwise = Some("if it is about a priority queue, use `--model priority-queue`");
        return told(data("adya-g2")?, ", and its inserts are into one of two tables", otherwise);
    }
    if has("add") && only(&["add", "read"]) && shape::adds_return_rows(history) {
        let otherwise = Some("if it is about a set, use `--model linear-set`");
        return told(data("monotonic")?, ", and its additions return rows with timestamps", otherwise);
    }
    if has("read") && only(&["read", "write"]) {
        match shape::reads(history) {
            Reads::Values => {}
            Reads::Collections => {
                let detail = ", and its reads return lists or sets of what was written";
                let otherwise = Some("if a write replaces what was written before, use `--model register`");
                return told(data("comments")?, detail, otherwise);
            }
            Reads::Parts => {
                let detail = ", and its reads return a key with its parts";
                return told(
                    data("sequential")?,
                    detail,
                    Some("if it is about registers, use `--model register`"),
                );
            }
            Reads::Strange => return None,
        }
    }
    let guess = model::guess(history)?;
    let otherwise = guess.otherwise.or(match guess.model {
        ModelName::LinearSet => Some(
            "if reads may be stale, use `--model set-full`, or `--model set` if only the last read counts",
        ),
        ModelName::LinearCounter => Some("if only the bounds of each read count, use `--model counter`"),
        _ => None,
    });
    Some(Guess { theory: Theory::Object(guess.model), because: guess.because, otherwise })
}

/// True if some read returned something and all that did return what `fits`.
fn reads(history: &History, fits: impl Fn(Datum<'_>) -> bool) -> bool {
    let ok = |op: &Operation<'_>| op.outcome == Outcome::Ok && !op.output.is_nil();
    let mut seen = history.operations().filter(ok).map(|op| history.values().get(op.output)).peekable();
    seen.peek().is_some() && seen.all(fits)
}

/// What the micro-operations of a history are.
enum Micro {
    /// Appends and reads.
    Append,
    /// Writes and reads, each value written to a key once.
    Register,
    /// Writes and reads, and some value written to a key twice.
    Repeated,
    /// Transactions that write one key, or read several, every key written once.
    Groups,
}

fn micro_operations(history: &History) -> Option<Micro> {
    let values = history.values();
    let mut appends = false;
    let mut writes: BTreeMap<(Value, Value), u32> = BTreeMap::new();
    let mut keys_written: BTreeMap<Value, u32> = BTreeMap::new();
    // Of groups: each transaction writes one key or reads the same number of them, more than one.
    let mut group: Option<usize> = None;
    let mut in_groups = true;
    let mut any = false;
    for op in history.operations() {
        let value = if op.outcome == Outcome::Ok && !op.output.is_nil() { op.output } else { op.input };
        let Datum::List(list) = values.get(value) else { return None };
        let mut own_writes = 0;
        for entry in list {
            let &Datum::List(&[name, key, argument]) = &values.get(*entry) else { return None };
            any = true;
            match values.text(name)? {
                "r" | "read" => {}
                "append" => appends = true,
                "w" | "write" => {
                    own_writes += 1;
                    *writes.entry((key, argument)).or_default() += 1;
                    *keys_written.entry(key).or_default() += 1;
                }
                _ => return None,
            }
        }
        let reads = list.len() - own_writes;
        match (own_writes, reads) {
            (1, 0) => {}
            (0, 2..) if group.is_none_or(|size| size == reads) => group = Some(reads),
            _ => in_groups = false,
        }
    }
    if !any {
        return None;
    }
    // Long fork's reads and writes have functions of these names; a transaction's is `txn`.
    let is_named_so = history.functions().iter().all(|f| matches!(f.as_str(), "read" | "write"));
    Some(if appends {
        if writes.is_empty() { Micro::Append } else { return None }
    } else if in_groups
        && group.is_some()
        && is_named_so
        && keys_written.values().all(|count| *count == 1)
        && writes.keys().all(|(_, value)| value.as_small_int() == Some(1))
    {
        Micro::Groups
    } else if writes.values().all(|count| *count == 1) && writes.keys().all(|(_, value)| !value.is_nil()) {
        Micro::Register
    } else {
        Micro::Repeated
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::transcript::history;

    #[test]
    fn every_name_finds_its_theory_and_no_two_collide() {
        let names = Theory::names();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(distinct.len(), names.len());
        for name in names {
            assert_eq!(lookup(name).map(|theory| theory.name()), Some(name.to_owned()));
        }
        // An alias must not hide another theory.
        let infos =
            TRANSACTIONAL.iter().map(|entry| entry.1).chain(CHECKERS.iter().map(|checker| checker.info));
        for info in infos {
            for alias in info.aliases.iter().filter(|alias| !alias.contains('_')) {
                assert_eq!(lookup(alias).map(|theory| theory.name()), Some(info.name.to_owned()), "{alias}");
            }
        }
        assert_eq!(lookup("set_full").map(|theory| theory.name()), Some("set-full".to_owned()));
        assert_eq!(lookup("elle"), None);
        // Jepsen's checker of that name; `fifo-queue` and `unordered-queue` are Knossos' names.
        assert_eq!(lookup("queue").map(|theory| theory.name()), Some("jepsen-queue".to_owned()));
    }

    #[test]
    fn candidates_have_all_functions_of_a_history() {
        let names = candidates(&BTreeSet::from(["read", "write"]));
        for name in ["register", "comments", "sequential", "staleness"] {
            assert!(names.contains(&name), "no {name} in {names:?}");
        }
        assert!(!names.contains(&"stack") && !names.contains(&"convergence"), "{names:?}");
        assert_eq!(candidates(&BTreeSet::from(["read", "fly"])), [] as [&str; 0]);
    }

    #[test]
    fn a_history_tells_its_theory() {
        for (lines, name) in [
            (
                &["txn [[:append 1 2]] | ok [[:append 1 2]]", "txn [[:r 1 nil]] | ok [[:r 1 [2]]]"][..],
                "list-append",
            ),
            (&["txn [[:w 1 2]] | ok [[:w 1 2]]", "txn [[:r 1 nil]] | ok [[:r 1 2]]"], "rw-register"),
            (&["txn [[:w 1 2]] | ok [[:w 1 2]]", "txn [[:w 1 2]] | ok [[:w 1 2]]"], "multi-register"),
            (
                &[
                    "write [[:w 1 1]] | ok [[:w 1 1]]",
                    "read [[:r 1 nil] [:r 2 nil]] | ok [[:r 1 1] [:r 2 nil]]",
                ],
                "long-fork",
            ),
            (&["transfer nil | ok nil", "read nil | ok nil"], "bank"),
            (&["enqueue 1 | ok 1", "drain nil | ok [1]"], "total-queue"),
            (&["enqueue 1 | ok 1", "dequeue nil | ok 1"], "fifo-queue"),
            (&["generate nil | ok 1"], "unique-ids"),
            (&["broadcast 1 | ok 1", "read nil | ok [1]"], "broadcast"),
            (&["send nil", "poll nil"], "kafka"),
            (&["add 1 | ok 1", "read nil | ok [1]"], "linear-set"),
            (&["read nil | ok 1", "write 1 | ok 1"], "register"),
            (&["read nil | ok [1]", "write [1] | ok [1]"], "register"),
            (&["read [1 nil] | ok [1 2]", "write [1 2] | ok"], "register"),
            (&["read nil | ok #{1}", "read nil | ok #{}", "write 1 | ok 1"], "comments"),
            (&["read [5 nil] | ok [5 [2]]", "write [5 2] | ok"], "comments"),
            (&["read 3 | ok [3 [nil \"3_0\"]]", "write 3 | ok 3"], "sequential"),
            (&["read 3 | ok [3 [\"3_1\" \"3_0\"]]", "write 3 | ok 3"], "sequential"),
            (&["read [3 nil] | ok [3 [nil \"3_0\"]]", "write [3 0] | ok"], "sequential"),
            (&["insert [0 [1 nil]] | ok", "insert [0 [nil 2]] | ok"], "adya-g2"),
            (&["insert 1 | ok", "extract nil | ok 1"], "priority-queue"),
            (&["add nil | ok {:val 0 :sts 10}", "read nil | ok [{:val 0 :sts 10}]"], "monotonic"),
            (&["read-init nil | ok 0", "write 1 | ok 1", "read nil | ok 1"], "causal-register"),
        ] {
            assert_eq!(
                guess(&history(lines)).map(|guess| guess.theory.name()).as_deref(),
                Some(name),
                "{lines:?}"
            );
        }
        assert_eq!(guess(&history(&["txn [[:append 1 2] [:w 1 3]]"])), None);
        // Lists of something else than what was written are no register, and nobody's comments.
        assert_eq!(guess(&history(&["read nil | ok [7]", "write 1 | ok 1"])), None);
        assert_eq!(guess(&history(&[])), None);
    }
}
