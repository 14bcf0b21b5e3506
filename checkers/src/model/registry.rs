//! The ready-made models by name: what each is and what its operations look like.

use crate::value::Value;
use thiserror::Error;

/// A ready-made model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelName {
    /// Read and write.
    Register,
    /// Read, write and compare-and-set.
    CasRegister,
    /// Several registers, read and written together.
    MultiRegister,
    /// Key-value store.
    Kv,
    /// Lock without an owner.
    Mutex,
    /// Lock that its owner may acquire again.
    ReentrantMutex {
        /// How often in all before it must release; `None` is unbounded.
        acquires_max: Option<u32>,
    },
    /// Lock that hands out growing tokens.
    FencedMutex,
    /// First in, first out.
    FifoQueue,
    /// Queue without an order.
    UnorderedQueue,
    /// Last in, first out.
    Stack,
    /// Largest first.
    PriorityQueue,
    /// Set.
    LinearSet,
    /// Counter.
    LinearCounter,
    /// Log.
    LinearLog,
}

impl ModelName {
    /// Its row in [`MODELS`].
    pub fn info(self) -> &'static ModelInfo {
        let same = |info: &&ModelInfo| std::mem::discriminant(&info.model) == std::mem::discriminant(&self);
        MODELS.iter().find(same).expect("every model has a row")
    }

    /// What it starts from when nobody says.
    pub fn default_initial(self) -> Value {
        match self {
            ModelName::LinearCounter => Value::small_int(0).expect("0 is small"),
            _ => Value::NIL,
        }
    }
}

impl std::fmt::Display for ModelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.info().name)?;
        match self {
            ModelName::ReentrantMutex { acquires_max: Some(max) } => write!(f, ":{max}"),
            _ => Ok(()),
        }
    }
}

/// What there is to know of a model.
#[derive(Clone, Copy, Debug)]
pub struct ModelInfo {
    /// The model.
    pub model: ModelName,
    /// Its name on the command line.
    pub name: &'static str,
    /// Other names that are accepted.
    pub aliases: &'static [&'static str],
    /// What it is, in one line.
    pub summary: &'static str,
    /// Its operations.
    pub operations: &'static [OperationInfo],
    /// What `--initial` means to it.
    pub initial: &'static str,
    /// Which engines judge it, and at what cost.
    pub engines: &'static str,
}

/// One operation of a model.
#[derive(Clone, Copy, Debug)]
pub struct OperationInfo {
    /// Its function's names.
    pub functions: &'static [&'static str],
    /// The invocation's value.
    pub input: &'static str,
    /// The completion's value.
    pub output: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn op(
    functions: &'static [&'static str],
    input: &'static str,
    output: &'static str,
    meaning: &'static str,
) -> OperationInfo {
    OperationInfo { functions, input, output, meaning }
}

const READ: OperationInfo =
    op(&["read", "r"], "nil", "the value seen", "nil is a value only if the initial value is nil");
const WRITE: OperationInfo = op(&["write", "w"], "v", "nil or v", "puts v in");
const ACQUIRE: OperationInfo = op(&["acquire", "lock"], "any", "any but false", "legal only if free");
const ENQUEUE: OperationInfo =
    op(&["enqueue", "put", "offer", "send"], "v, not nil", "nil, true or v", "puts v in");

const ANY_INITIAL: &str = "any scalar; nil unless given";
const EMPTY: &str = "none: starts empty";
const FREE: &str = "none: starts free";
const GENERAL: &str = "configuration sets and depth-first search: exponential in the operations open at once";

/// Every ready-made model, in the order in which they are listed.
pub const MODELS: &[ModelInfo] = &[
    ModelInfo {
        model: ModelName::Register,
        name: "register",
        aliases: &["rw"],
        summary: "a register; values [key value] are independent keys",
        operations: &[READ, WRITE],
        initial: ANY_INITIAL,
        engines: "O(n log n) where every value is written once; else configuration sets and depth-first search",
    },
    ModelInfo {
        model: ModelName::CasRegister,
        name: "cas-register",
        aliases: &["cas"],
        summary: "a register with compare-and-set; values [key value] are independent keys",
        operations: &[
            READ,
            WRITE,
            op(
                &["cas"],
                "[from to]",
                "true, nil or [from to]; false if it compared and differed",
                "swaps from for to; a failure (:fail) says nothing",
            ),
        ],
        initial: ANY_INITIAL,
        engines: "as register for keys without compare-and-sets; else configuration sets and depth-first search",
    },
    ModelInfo {
        model: ModelName::MultiRegister,
        name: "multi-register",
        aliases: &["registers"],
        summary: "several registers, read and written together; per-key consistency takes them apart",
        operations: &[op(
            &["txn", "read", "write", "any other"],
            "[[f k v] …], f one of read, write, r, w",
            "the same list with the values read",
            "all at once, in the order of the list",
        )],
        initial: "any scalar, for every register; nil unless given",
        engines: "configuration sets and search; per key, O(n log n) where every value is written once",
    },
    ModelInfo {
        model: ModelName::Kv,
        name: "kv",
        aliases: &["key-value", "map"],
        summary: "a key-value store, judged key by key",
        operations: &[
            op(&["get", "read"], "k or [k nil]", "v or [k v]", "sees v; nil if the key is missing"),
            op(&["put", "write", "set"], "[k v]", "any", "puts v in"),
            op(&["append"], "[k v]", "any", "joins strings, or adds an element to a list"),
            op(&["cas"], "[k [from to]]", "as cas-register's, or [k false]", "swaps from for to"),
            op(
                &["delete", "del", "remove"],
                "k or [k nil]",
                "true if it was there, false if not, else unknown",
                "the key goes back to the initial value",
            ),
        ],
        initial: "any scalar, for every key; nil unless given, \"\" in Porcupine's logs",
        engines: "O(n log n) for keys only put and got, each value once; else configuration sets and search",
    },
    ModelInfo {
        model: ModelName::Mutex,
        name: "mutex",
        aliases: &["lock"],
        summary: "a lock without an owner",
        operations: &[
            ACQUIRE,
            op(&["release", "unlock"], "any", "any but false", "legal only if held, by anyone"),
        ],
        initial: FREE,
        engines: GENERAL,
    },
    ModelInfo {
        model: ModelName::ReentrantMutex { acquires_max: None },
        name: "reentrant-mutex",
        aliases: &["reentrant-lock"],
        summary: "a lock that its owner may acquire again; reentrant-mutex:2 at most twice in all",
        operations: &[
            op(
                &["acquire", "lock"],
                "any, or {:client c}",
                "any but false, or {:client c}",
                "legal if free or held by the same client, or process if no client is named",
            ),
            op(&["release", "unlock"], "as acquire", "as acquire", "legal only by the owner"),
        ],
        initial: FREE,
        engines: GENERAL,
    },
    ModelInfo {
        model: ModelName::FencedMutex,
        name: "fenced-mutex",
        aliases: &["fenced-lock"],
        summary: "a lock whose tokens grow with each acquisition",
        operations: &[
            op(
                &["acquire", "lock"],
                "any, or {:client c}",
                "token, nil or {:client c, :fence token}; fence 0 is none",
                "legal only if free and the token is greater than all before",
            ),
            op(&["release", "unlock"], "any, or {:client c}", "any but false", "legal only by the owner"),
        ],
        initial: FREE,
        engines: GENERAL,
    },
    ModelInfo {
        model: ModelName::FifoQueue,
        name: "fifo-queue",
        aliases: &["fifo"],
        summary: "first in, first out",
        operations: &[
            ENQUEUE,
            op(
                &["dequeue", "take", "poll", "recv"],
                "nil",
                "v; nil, :empty or :exhausted if there was none",
                "takes the oldest",
            ),
        ],
        initial: EMPTY,
        engines: "O(n log n) where every value is enqueued once; else configuration sets and depth-first search",
    },
    ModelInfo {
        model: ModelName::UnorderedQueue,
        name: "unordered-queue",
        aliases: &["bag", "multiset"],
        summary: "a queue that keeps no order",
        operations: &[
            ENQUEUE,
            op(
                &["dequeue", "take", "poll", "recv"],
                "nil",
                "v; nil, :empty or :exhausted if there was none",
                "takes any",
            ),
        ],
        initial: EMPTY,
        engines: GENERAL,
    },
    ModelInfo {
        model: ModelName::Stack,
        name: "stack",
        aliases: &["lifo"],
        summary: "last in, first out",
        operations: &[
            op(&["push", "put"], "v, not nil", "nil, true or v", "puts v on top"),
            op(&["pop", "take"], "nil", "v; nil, :empty or :exhausted if there was none", "takes the newest"),
        ],
        initial: EMPTY,
        engines: "near-linear where every value is pushed once; else configuration sets and depth-first search",
    },
    ModelInfo {
        model: ModelName::PriorityQueue,
        name: "priority-queue",
        aliases: &["pq"],
        summary: "a queue of integers, largest first",
        operations: &[
            op(&["insert", "push", "enqueue", "add"], "integer", "nil, true or the integer", "puts it in"),
            op(
                &["extract", "extract-max", "pop", "dequeue"],
                "nil",
                "integer; nil, :empty or :exhausted if there was none",
                "takes the largest",
            ),
        ],
        initial: EMPTY,
        engines: "O(n log n) where every priority is inserted once; else configuration sets and search",
    },
    ModelInfo {
        model: ModelName::LinearSet,
        name: "linear-set",
        aliases: &[],
        summary: "a set; without whole reads each element is judged by itself",
        operations: &[
            op(&["add", "insert"], "e", "nil, e, or true if it was new", "puts e in"),
            op(&["remove", "delete"], "e", "nil, e, or true if it was there", "takes e out"),
            op(
                &["contains", "contains?", "member"],
                "e",
                "true, false or [e true]",
                "says whether e is there",
            ),
            op(&["read"], "nil", "a list or set of all elements", "sees the whole set"),
        ],
        initial: EMPTY,
        engines: "near-linear where it only grows and is read whole; else configuration sets and search",
    },
    ModelInfo {
        model: ModelName::LinearCounter,
        name: "linear-counter",
        aliases: &[],
        summary: "a counter",
        operations: &[
            op(&["add"], "integer", "nil or the same", "adds it"),
            op(&["increment", "inc"], "nil or integer", "nil or the same", "adds 1, or the integer"),
            op(&["decrement", "dec"], "nil or integer", "nil or the same", "subtracts 1, or the integer"),
            op(&["add-and-get"], "integer", "the sum afterwards", "adds it"),
            op(&["get-and-add"], "integer", "the sum before", "adds it"),
            op(&["read", "get"], "nil", "the sum", "sees it"),
        ],
        initial: "an integer; 0 unless given",
        engines: GENERAL,
    },
    ModelInfo {
        model: ModelName::LinearLog,
        name: "linear-log",
        aliases: &["log"],
        summary: "a log that is read whole",
        operations: &[
            op(&["append", "send"], "v", "nil, v, its offset or [offset v]", "adds v at the end"),
            op(&["read"], "nil", "the list of all entries", "sees the whole log"),
        ],
        initial: EMPTY,
        engines: GENERAL,
    },
];

/// There is no such model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no model {name}{}; `shakedown models` lists them", suggest(.nearest))]
pub struct UnknownModel {
    /// What was asked for.
    pub name: String,
    /// The model that is spelled most alike, if one is close.
    pub nearest: Option<&'static str>,
}

fn suggest(nearest: &Option<&'static str>) -> String {
    nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest}?"))
}

/// The model called `name`, by its own name or an alias. `reentrant-mutex:N` sets its bound.
pub fn lookup(name: &str) -> Result<ModelName, UnknownModel> {
    let normal = name.trim().to_ascii_lowercase().replace('_', "-");
    let (stem, bound) = match normal.split_once(':') {
        Some((stem, bound)) => (stem, Some(bound)),
        None => (normal.as_str(), None),
    };
    let named = |info: &&ModelInfo| info.name == stem || info.aliases.contains(&stem);
    match (MODELS.iter().find(named).map(|info| info.model), bound) {
        (Some(model), None) => return Ok(model),
        (Some(ModelName::ReentrantMutex { .. }), Some(bound)) => {
            if let Ok(max) = bound.parse::<u32>()
                && max > 0
            {
                return Ok(ModelName::ReentrantMutex { acquires_max: Some(max) });
            }
        }
        _ => {}
    }
    let spellings = MODELS.iter().flat_map(|info| {
        std::iter::once(info.name).chain(info.aliases.iter().copied()).map(move |word| (info.name, word))
    });
    let nearest = spellings
        .map(|(name, word)| (strsim::damerau_levenshtein(stem, word), word, name))
        .min_by_key(|found| found.0)
        .filter(|(distance, word, _)| *distance * 3 <= word.len())
        .map(|found| found.2);
    Err(UnknownModel { name: name.to_owned(), nearest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_and_alias_finds_its_model_and_no_two_collide() {
        let mut seen = BTreeSet::new();
        for info in MODELS {
            for name in std::iter::once(&info.name).chain(info.aliases) {
                assert!(seen.insert(*name), "{name} twice");
                assert_eq!(lookup(name), Ok(info.model));
            }
            assert_eq!(info.model.info().name, info.name);
            assert!(!info.operations.is_empty());
        }
        assert_eq!(lookup("CAS_Register"), Ok(ModelName::CasRegister));
        let twice = ModelName::ReentrantMutex { acquires_max: Some(2) };
        assert_eq!(lookup("reentrant-mutex:2"), Ok(twice));
        assert_eq!(twice.to_string(), "reentrant-mutex:2");
        assert!(lookup("reentrant-mutex:0").is_err() && lookup("mutex:2").is_err());
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let answer = |name| lookup(name).unwrap_err().to_string();
        assert_eq!(
            answer("registr"),
            "there is no model registr; did you mean register?; `shakedown models` lists them"
        );
        assert_eq!(answer("bank"), "there is no model bank; `shakedown models` lists them");
    }
}
