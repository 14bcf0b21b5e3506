//! From a model's name to a verdict: builds the model for a history and calls the engines.

use super::counter::LinearCounter;
use super::decode::has_key_column;
use super::kv::Kv;
use super::log::LinearLog;
use super::multi_register::{MultiRegister, PerKey};
use super::mutex::{Mutex, OwnedMutex};
use super::priority_queue::PriorityQueue;
use super::queue::{FifoQueue, UnorderedQueue};
use super::register::Register;
use super::set::LinearSet;
use super::stack::Stack;
use super::{ModelError, ModelName};
use crate::history::History;
use crate::linearizability;
use crate::options::{Consistency, Options};
use crate::validate::{self, Refusal};
use crate::value::{Value, Values};
use crate::verdict::Verdict;
use thiserror::Error;

/// A model that has looked at its history and is ready to judge it.
#[derive(Clone, Debug)]
pub struct Prepared {
    name: ModelName,
    initial: Value,
    model: AnyModel,
}

/// Why a model and a history do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrepareError {
    /// `--initial` is not what the model can start from.
    #[error("{0}")]
    Initial(#[from] InitialError),
}

/// What is wrong with an initial value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InitialError {
    /// It is not a value.
    #[error(
        "the initial value {text} is not a value; expected nil, true, false, a number, a :keyword or a \
         \"string\" in quotes (the empty text is the empty string)"
    )]
    NotAValue {
        /// What was given.
        text: String,
    },
    /// The model always starts from the same state.
    #[error("{model} always starts {start}; it takes no initial value")]
    NotTaken {
        /// The model.
        model: String,
        /// `free`, `empty`.
        start: &'static str,
    },
    /// The model starts from an integer.
    #[error("the initial value {text} is not a whole number; {model} needs one to start from")]
    NotAnInteger {
        /// What was given.
        text: String,
        /// The model.
        model: String,
    },
}

#[derive(Clone, Debug)]
enum AnyModel {
    Register(Register),
    MultiRegister(MultiRegister),
    Kv(Kv),
    Mutex(Mutex),
    OwnedMutex(OwnedMutex),
    FifoQueue(FifoQueue),
    UnorderedQueue(UnorderedQueue),
    Stack(Stack),
    PriorityQueue(PriorityQueue),
    LinearSet(LinearSet),
    LinearCounter(LinearCounter),
    LinearLog(LinearLog),
}

/// Calls a function that is generic over the model.
macro_rules! with_model {
    ($any:expr, $model:ident => $body:expr) => {
        match $any {
            AnyModel::Register($model) => $body,
            AnyModel::MultiRegister($model) => $body,
            AnyModel::Kv($model) => $body,
            AnyModel::Mutex($model) => $body,
            AnyModel::OwnedMutex($model) => $body,
            AnyModel::FifoQueue($model) => $body,
            AnyModel::UnorderedQueue($model) => $body,
            AnyModel::Stack($model) => $body,
            AnyModel::PriorityQueue($model) => $body,
            AnyModel::LinearSet($model) => $body,
            AnyModel::LinearCounter($model) => $body,
            AnyModel::LinearLog($model) => $body,
        }
    };
}

/// Builds the model called `name` for `history`. `initial` is the state it starts from, as text; it
/// becomes a value of the history's arena.
///
/// ```
/// use shakedown_checkers::history::{Event, EventKind, HistoryBuilder, Process};
/// use shakedown_checkers::model::{lookup, prepare};
/// use shakedown_checkers::options::{Consistency, Options};
/// use shakedown_checkers::value::Value;
///
/// let mut builder = HistoryBuilder::new();
/// let read = builder.function("read").unwrap();
/// let seven = builder.values().int(7);
/// for (kind, value) in [(EventKind::Invoke, Value::NIL), (EventKind::Ok, seven)] {
///     builder
///         .push(Event {
///             process: Process::Client(0), kind, f: read, key: None, value,
///             error: Value::NIL, time_ns: -1, line: 0,
///         })
///         .unwrap();
/// }
/// let mut history = builder.finish();
///
/// let model = prepare(lookup("register").unwrap(), Some("7"), &mut history).unwrap();
/// let verdict = model.check(&history, &Options::default()).unwrap();
/// assert_eq!(verdict.word(), "true");
/// model.validate(&history, Consistency::Linearizable, &verdict).unwrap();
/// ```
pub fn prepare(
    name: ModelName,
    initial: Option<&str>,
    history: &mut History,
) -> Result<Prepared, PrepareError> {
    let initial = match initial {
        None => name.default_initial(),
        Some(text) => read_initial(name, text, &mut history.values)?,
    };
    let history = &*history;
    let model = match name {
        ModelName::Register => AnyModel::Register(Register::for_history(initial, history)),
        ModelName::CasRegister => AnyModel::Register(Register::with_cas_for_history(initial, history)),
        ModelName::MultiRegister => AnyModel::MultiRegister(MultiRegister::new(initial)),
        ModelName::Kv => AnyModel::Kv(Kv::for_history(initial, history)),
        ModelName::Mutex => AnyModel::Mutex(Mutex),
        ModelName::ReentrantMutex { acquires_max } => {
            AnyModel::OwnedMutex(OwnedMutex::reentrant(acquires_max, history))
        }
        ModelName::FencedMutex => AnyModel::OwnedMutex(OwnedMutex::fenced(history)),
        ModelName::FifoQueue => AnyModel::FifoQueue(FifoQueue),
        ModelName::UnorderedQueue => AnyModel::UnorderedQueue(UnorderedQueue),
        ModelName::Stack => AnyModel::Stack(Stack),
        ModelName::PriorityQueue => AnyModel::PriorityQueue(PriorityQueue),
        ModelName::LinearSet => AnyModel::LinearSet(LinearSet::for_history(history)),
        ModelName::LinearCounter => {
            let start = history.values().int_of(initial).expect("read_initial refuses what is no integer");
            AnyModel::LinearCounter(LinearCounter::for_history(start, history))
        }
        ModelName::LinearLog => AnyModel::LinearLog(LinearLog::for_history(history)),
    };
    Ok(Prepared { name, initial, model })
}

impl Prepared {
    /// The model's name.
    pub fn name(&self) -> ModelName {
        self.name
    }

    /// The value it starts from; nil if it takes none.
    pub fn initial(&self) -> Value {
        self.initial
    }

    /// Judges the history that the model was prepared for.
    pub fn check(&self, history: &History, options: &Options) -> Result<Verdict, ModelError> {
        if let Some((rows, model)) = self.one_by_one(history, options.consistency) {
            let verdict = linearizability::check(rows.history(), &model, options)?;
            return Ok(rows.of_operations(&verdict));
        }
        with_model!(&self.model, model => {
            linearizability::check(history, model, options)
        })
    }

    /// Re-checks the proof that a verdict carries; `Err` says why it is not accepted.
    pub fn validate(
        &self,
        history: &History,
        consistency: Consistency,
        verdict: &Verdict,
    ) -> Result<(), Refusal> {
        if let Some((rows, model)) = self.one_by_one(history, consistency) {
            let verdict = rows
                .of_rows(verdict)
                .ok_or_else(|| "it names an operation that does not touch the key".to_owned())?;
            return validate::validate(rows.history(), &model, consistency, &verdict);
        }
        with_model!(&self.model, model => {
            validate::validate(history, model, consistency, verdict)
        })
    }

    /// Several registers, taken apart by key.
    fn one_by_one(&self, history: &History, consistency: Consistency) -> Option<(PerKey, MultiRegister)> {
        let wanted = consistency == Consistency::PerKey && matches!(self.model, AnyModel::MultiRegister(_));
        let rows = wanted.then(|| PerKey::split(history)).flatten()?;
        Some((rows, MultiRegister::of_one_key(self.initial)))
    }

    /// What the user should know of how the history was read, in sentences.
    pub fn notes(&self, history: &History) -> Vec<String> {
        let mut notes = Vec::new();
        if let AnyModel::Register(register) = &self.model {
            if register.has_independent_keys() {
                notes.push("every value is [key value], so each key is a register of its own".to_owned());
            }
            let unseen = register.nil_reads(history);
            if unseen > 0 {
                notes.push(format!(
                    "{unseen} read{} returned nil, which says nothing of a register that starts with {}",
                    if unseen == 1 { "" } else { "s" },
                    history.values().show(self.initial),
                ));
            }
            let (overridden, line) = register.overridden_writes(history);
            if overridden > 0 {
                notes.push(format!(
                    "{overridden} write{} completed with another value than {} invoked with (first at line \
                     {line}); the completion's was taken",
                    if overridden == 1 { "" } else { "s" },
                    if overridden == 1 { "it was" } else { "they were" },
                ));
            }
        }
        if has_key_column(history) {
            notes.push("each key is an object of its own".to_owned());
        }
        notes
    }
}

fn read_initial(name: ModelName, text: &str, values: &mut Values) -> Result<Value, InitialError> {
    let value =
        parse_scalar(text, values).ok_or_else(|| InitialError::NotAValue { text: text.to_owned() })?;
    match name {
        ModelName::Register | ModelName::CasRegister | ModelName::MultiRegister | ModelName::Kv => Ok(value),
        ModelName::LinearCounter if values.int_of(value).is_some() => Ok(value),
        ModelName::LinearCounter => {
            Err(InitialError::NotAnInteger { text: text.to_owned(), model: name.to_string() })
        }
        _ if value == name.default_initial() => Ok(value),
        ModelName::Mutex | ModelName::ReentrantMutex { .. } | ModelName::FencedMutex => {
            Err(InitialError::NotTaken { model: name.to_string(), start: "free" })
        }
        _ => Err(InitialError::NotTaken { model: name.to_string(), start: "empty" }),
    }
}

/// An initial value that was given as text, one scalar in EDN or JSON; `None` if it is none.
pub fn initial_value(text: &str, history: &mut History) -> Option<Value> {
    parse_scalar(text, &mut history.values)
}

/// One scalar in EDN or JSON. The empty text is the empty string, which a shell makes of `""`.
pub(super) fn parse_scalar(text: &str, values: &mut Values) -> Option<Value> {
    match text {
        "nil" | "null" => return Some(Value::NIL),
        "true" => return Some(Value::TRUE),
        "false" => return Some(Value::FALSE),
        "" => return Some(values.str("")),
        _ => {}
    }
    if let Some(quoted) = text.strip_prefix('"') {
        return unquote(quoted.strip_suffix('"')?).map(|text| values.str(&text));
    }
    if let Some(name) = text.strip_prefix(':') {
        let is_name = !name.is_empty() && !name.contains([' ', '"', '[', ']', '{', '}', '(', ')']);
        return is_name.then(|| values.keyword(name));
    }
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+'))
        && text.parse::<f64>().is_ok_and(f64::is_finite);
    is_number.then(|| values.number(text))
}

/// Undoes backslashes; `None` for a quote that stands alone and for escapes that JSON does not have.
fn unquote(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '"' => return None,
            '\\' => match chars.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                c @ ('"' | '\\' | '/') => c,
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::lookup;
    use super::super::transcript::history;
    use super::*;

    #[test]
    fn initial_values_are_scalars_of_edn_or_json() {
        let mut values = Values::new();
        for (text, shown) in [
            ("", "\"\""),
            ("\"\"", "\"\""),
            ("\"a\\\"b\"", "\"a\\\"b\""),
            ("nil", "nil"),
            ("null", "nil"),
            ("true", "true"),
            ("-3", "-3"),
            ("1.50", "1.5"),
            (":free", ":free"),
        ] {
            let value = parse_scalar(text, &mut values).unwrap();
            assert_eq!(values.show(value), shown, "{text}");
        }
        for text in ["free", "[1 2]", "\"open", ":", "--", "1 2", "\"a\"b\""] {
            assert_eq!(parse_scalar(text, &mut values), None, "{text}");
        }
    }

    #[test]
    fn an_initial_value_that_cannot_be_is_refused_with_the_reason() {
        let refused = |name, text| prepare(name, Some(text), &mut history(&[])).unwrap_err().to_string();
        assert_eq!(refused(ModelName::Mutex, "1"), "mutex always starts free; it takes no initial value");
        assert_eq!(
            refused(ModelName::FifoQueue, "1"),
            "fifo-queue always starts empty; it takes no initial value"
        );
        assert_eq!(
            refused(ModelName::Register, "one"),
            "the initial value one is not a value; expected nil, true, false, a number, a :keyword or a \
             \"string\" in quotes (the empty text is the empty string)"
        );
        assert_eq!(
            refused(ModelName::LinearCounter, "nil"),
            "the initial value nil is not a whole number; linear-counter needs one to start from"
        );
        assert!(prepare(ModelName::Mutex, Some("nil"), &mut history(&[])).is_ok());
    }

    #[test]
    fn the_initial_value_decides() {
        let word = |name, initial| {
            let mut history = history(&["cas [0 1] | ok", "read nil | ok 1"]);
            let model = prepare(name, initial, &mut history).unwrap();
            model.check(&history, &Options::default()).unwrap().word()
        };
        assert_eq!(word(ModelName::CasRegister, Some("0")), "true");
        assert_eq!(word(ModelName::CasRegister, None), "false");
    }

    #[test]
    fn several_registers_are_taken_apart_by_key_only_if_asked() {
        let mut history =
            history(&["txn [[:w 1 5] [:w 2 6]]", "txn [[:r 1 nil] [:r 2 nil]] | ok [[:r 1 5] [:r 2 nil]]"]);
        let model = prepare(ModelName::MultiRegister, None, &mut history).unwrap();
        let rows =
            |consistency| model.one_by_one(&history, consistency).map(|(rows, _)| rows.history().len());
        assert_eq!(rows(Consistency::Linearizable), None);
        assert_eq!(rows(Consistency::Sequential), None);
        assert_eq!(rows(Consistency::PerKey), Some(4));
        let verdict = model.check(&history, &Options::default()).unwrap();
        assert_eq!(verdict.word(), "false");
        model.validate(&history, Consistency::Linearizable, &verdict).unwrap();
    }

    #[test]
    fn every_model_judges_a_history_of_its_own() {
        for (name, valid, invalid) in [
            ("register", &["write 1", "read nil | ok 1"][..], &["read nil | ok 1"][..]),
            ("cas-register", &["cas [nil 1] | ok"], &["cas [2 1] | ok"]),
            ("multi-register", &["txn [[:w 1 1]] | ok"], &["txn [[:r 1 nil]] | ok [[:r 1 1]]"]),
            ("kv", &["put [1 1]", "get 1 | ok 1"], &["get 1 | ok 1"]),
            ("mutex", &["acquire nil | ok", "release nil | ok"], &["release nil | ok"]),
            (
                "reentrant-mutex",
                &["1 lock nil | ok", "1 lock nil | ok"],
                &["1 lock nil | ok", "2 lock nil | ok"],
            ),
            ("reentrant-mutex:1", &["1 lock nil | ok"], &["1 lock nil | ok", "1 lock nil | ok"]),
            (
                "fenced-mutex",
                &["1 lock nil | ok 1"],
                &["1 lock nil | ok 2", "1 unlock nil | ok", "1 lock nil | ok 1"],
            ),
            ("fifo-queue", &["enqueue 1", "dequeue nil | ok 1"], &["dequeue nil | ok 1"]),
            ("unordered-queue", &["enqueue 1", "dequeue nil | ok 1"], &["dequeue nil | ok 1"]),
            ("stack", &["push 1", "pop nil | ok 1"], &["pop nil | ok 1"]),
            ("priority-queue", &["insert 1", "extract nil | ok 1"], &["extract nil | ok 1"]),
            ("linear-set", &["add 1", "contains 1 | ok true"], &["contains 1 | ok true"]),
            ("linear-counter", &["add 1", "read nil | ok 1"], &["read nil | ok 1"]),
            ("linear-log", &["append 1", "read nil | ok [1]"], &["read nil | ok [1]"]),
        ] {
            for (lines, word) in [(valid, "true"), (invalid, "false")] {
                let mut history = history(lines);
                let model = prepare(lookup(name).unwrap(), None, &mut history).unwrap();
                let verdict = model.check(&history, &Options::default()).unwrap();
                assert_eq!((model.name().to_string().as_str(), verdict.word()), (name, word), "{lines:?}");
                model.validate(&history, Consistency::Linearizable, &verdict).unwrap();
            }
        }
    }

    #[test]
    fn notes_say_how_values_were_read() {
        let mut h = history(&["read nil | ok nil", "read nil | ok nil", "write 1 | ok"]);
        let model = prepare(ModelName::Register, Some("0"), &mut h).unwrap();
        assert_eq!(
            model.notes(&h),
            ["2 reads returned nil, which says nothing of a register that starts with 0"]
        );
        let mut h = history(&["write [1 2] | ok"]);
        let model = prepare(ModelName::Register, None, &mut h).unwrap();
        assert_eq!(model.notes(&h), ["every value is [key value], so each key is a register of its own"]);
    }
}
