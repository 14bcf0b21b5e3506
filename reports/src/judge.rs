//! From a path to a judgement: reads the history, picks the model, asks the checker, and has the
//! proof checked if that is wanted.

mod fitting;
mod notes;
mod timestamps;

use crate::command::check::format_names;
use crate::diagnostic::{InputError, Quote};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::report::asked::Asked;
use crate::report::{Failure, Judgement, Ruling};
use crate::terminal::{escaped, printable};
use miette::Report;
use shakedown_checkers::datatype::registry::{Checker, DataOptions};
use shakedown_checkers::format::{self, Format, FormatError, Limits};
use shakedown_checkers::history::{History, OtherEvent};
use shakedown_checkers::model::{self, ModelError, ModelName};
use shakedown_checkers::options::{Consistency, Options};
use shakedown_checkers::theory::{self, Guess, Theory};
use shakedown_checkers::transaction::anomaly::{self, Phenomenon};
use shakedown_checkers::transaction::cycle::Variant;
use shakedown_checkers::transaction::level::{Base, Level};
use shakedown_checkers::transaction::{self, IsolationOptions, KeyAssumptions, Kind};
use shakedown_checkers::validate::anomaly::validate_report;
use shakedown_checkers::value::Datum;
use shakedown_checkers::verdict::Reason;
use std::any::Any;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is asked about each file.
#[derive(Clone, Debug)]
pub struct Question {
    /// What to judge it by; guessed from the operations if it is `None`.
    pub model: Option<Theory>,
    /// The initial value, as text.
    pub initial: Option<String>,
    /// The format; recognised by content if it is `None`.
    pub input_format: Option<Format>,
    /// What to demand; what is usual for the model if it is empty.
    pub demands: Vec<Demand>,
    /// Anomalies that make transactions invalid, whatever the level.
    pub anomalies: Vec<(Phenomenon, Variant)>,
    /// What to take for granted about the keys of registers in transactions.
    pub assume: KeyAssumptions,
    /// Whether a transaction's read of what nobody wrote is an anomaly; what is usual if it is `None`.
    pub forbid_unwritten: Option<bool>,
    /// Whether transactions are judged by the timestamps that the system gave them.
    pub timestamps: bool,
    /// What to ask of data types.
    pub data: DataOptions,
    /// The budgets.
    pub options: Options,
    /// Whether the independent validator is to check the proof.
    pub certify: bool,
}

impl Question {
    /// What is usual, asked of one model.
    pub fn about(theory: Theory) -> Question {
        Question {
            model: Some(theory),
            initial: None,
            input_format: None,
            demands: Vec::new(),
            anomalies: Vec::new(),
            assume: KeyAssumptions::default(),
            forbid_unwritten: None,
            timestamps: false,
            data: DataOptions::default(),
            options: Options::default(),
            certify: false,
        }
    }
}

/// A consistency that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Of an object's operations.
    Order(Consistency),
    /// Of transactions.
    Level(Level),
}

/// The orders that can be demanded of an object, by name.
const ORDERS: [(&str, Consistency); 3] = [
    ("linearizable", Consistency::Linearizable),
    ("sequential", Consistency::Sequential),
    ("per-key", Consistency::PerKey),
];

impl Demand {
    /// The consistency of that name.
    pub fn named(name: &str) -> Result<Demand, InputError> {
        if let Some((_, order)) = ORDERS.iter().find(|(known, _)| *known == name) {
            return Ok(Demand::Order(*order));
        }
        name.parse().map(Demand::Level).map_err(|_| {
            let levels: Vec<String> = Level::all().iter().map(ToString::to_string).collect();
            let known = ORDERS.iter().map(|(known, _)| *known).chain(levels.iter().map(String::as_str));
            InputError::unknown_name("consistency", name, known)
        })
    }

    fn name(self) -> String {
        match self {
            Demand::Order(order) => {
                let entry = ORDERS.iter().find(|(_, known)| *known == order);
                entry.expect("every order has a name").0.to_owned()
            }
            Demand::Level(level) => level.to_string(),
        }
    }
}

/// The anomalies of those names, each with all that it covers.
pub fn anomalies_named(names: &[String]) -> Result<Vec<(Phenomenon, Variant)>, InputError> {
    let known = |name: &String| {
        let asked = anomaly::lookup(name);
        asked.ok_or_else(|| InputError::unknown_name("anomaly", name, anomaly::names()))
    };
    Ok(names.iter().map(known).collect::<Result<Vec<_>, _>>()?.concat())
}

/// Reads the history at `path`, a file or a directory, or on standard input for `-`, and tells its format.
pub fn read(
    path: &Path,
    format: Option<Format>,
    interrupt: &Interrupt,
) -> Result<(History, Format), Failure> {
    let limits = Limits::default();
    let read = if path == Path::new("-") {
        interrupt.while_waiting(Exit::Unknown, || {
            format::read_and_tell(io::stdin().lock(), "standard input", format, &limits)
        })
    } else if path.is_dir() {
        format::read_directory(path, format, &limits, |file| Interruptible { file, interrupt })
    } else {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => format::read_and_tell(Interruptible { file, interrupt }, &name, format, &limits),
            Err(source) => Err(FormatError::Io { name, source }),
        }
    };
    read.map_err(|error| match error {
        FormatError::Io { .. } if interrupt.is_asked() => Failure::Interrupted,
        error => Failure::Input(Report::new(input_error(&error))),
    })
}

/// Judges `history`, which was read from `format`. `shown` is its name in messages; `path` is where to
/// look for a line to quote.
pub fn judge(
    (mut history, format): (History, Format),
    shown: &str,
    path: Option<&Path>,
    question: &Question,
) -> Result<Judgement, Failure> {
    if history.is_empty() {
        let help = "a history has at least one operation of a client: an event with an integer process";
        let is_text = |event: &OtherEvent| matches!(history.values().get(event.process), Datum::Str(_));
        let help = match history.others().iter().find(|event| is_text(event)) {
            Some(event) => format!(
                "{help}; here a process is the string {}, and strings count as not being clients",
                printable(&history.values().show(event.process))
            ),
            None => help.to_owned(),
        };
        let error = InputError::new(format!("{shown}: no operations, so nothing to judge"), Some(help));
        return Err(Failure::Input(Report::new(error)));
    }
    let (theory, guess) = match question.model {
        Some(theory) => (theory, None),
        None => {
            let guess = theory::guess(&history).ok_or_else(|| cannot_guess(shown, &history))?;
            (guess.theory, Some(guess))
        }
    };
    let misfit = |error: ModelError| {
        let guess = guess.as_ref();
        Failure::Input(Report::new(misfit(shown, path, &theory, guess, &error)))
    };
    let mut notes = history.notes().to_vec();
    fitting::check(question, &theory, guess.as_ref()).map_err(|error| Failure::Input(Report::new(error)))?;
    let (ruling, validation) = match theory {
        Theory::Transactions(kind) if question.timestamps => {
            let report = timestamps::judge(kind, &history, shown, question)?.map_err(misfit)?;
            let validation = question.certify.then(|| report.validate(history.values()));
            (Ruling::Timestamps(Box::new(report)), validation)
        }
        Theory::Object(_) | Theory::Data(_) if question.timestamps => {
            let message =
                format!("{shown}: --timestamps judges transactions, and {} is none of those", theory.name());
            return Err(refused(message, "leave it away, or name --model list-append or rw-register"));
        }
        Theory::Object(name) => {
            let consistency = order_of(name, &question.demands)?;
            let initial = question.initial.as_deref().or_else(|| initial_of(format, name));
            let prepared = model::prepare(name, initial, &mut history).map_err(|error| {
                let help = format!("see `shakedown models {}`", name.info().name);
                Failure::Input(Report::new(InputError::new(error.to_string(), Some(help))))
            })?;
            let options = Options { consistency, ..question.options.clone() };
            let verdict = prepared.check(&history, &options).map_err(misfit)?;
            let validation = question.certify.then(|| prepared.validate(&history, consistency, &verdict));
            notes.extend(prepared.notes(&history));
            if question.initial.is_none() && initial.is_some() {
                notes.push(
                    "every key starts as \"\", as in all of Porcupine's logs; --initial says otherwise"
                        .to_owned(),
                );
            }
            (Ruling::Object { consistency, verdict }, validation)
        }
        Theory::Transactions(kind) => {
            let asked = isolation_options(kind, &history, question, &mut notes)?;
            let begin = Instant::now();
            let report = transaction::check(&history, kind, &asked).map_err(misfit)?;
            let stopped = limit_reached(&question.options, begin.elapsed());
            // What is less than serializable has no order to show, of lists.
            let has_proof =
                !report.anomalies.is_empty() || !report.decisions.is_empty() || report.serial.is_some();
            if kind == Kind::Register && question.forbid_unwritten.is_none() && !asked.forbid_unwritten {
                notes.extend(notes::unwritten_reads(&report.txns, &history));
            }
            let validation =
                (question.certify && has_proof).then(|| validate_report(&report, history.values()));
            if question.certify && !has_proof {
                notes.push("there is nothing to certify".to_owned());
            }
            let asked = Asked { levels: asked.levels, anomalies: asked.anomalies, stopped };
            (Ruling::Isolation { asked, report: Box::new(report) }, validation)
        }
        Theory::Data(checker) => {
            let options = data_options(checker, question, &mut history)?;
            notes.extend(notes::independent_elements(checker, &history));
            (Ruling::Data(checker.check(&history, &options).map_err(misfit)?), None)
        }
    };
    Ok(Judgement { notes, history, format, model: theory.name(), guess, ruling, validation })
}

/// The limit that must have ended a search, if one was reached in that time.
fn limit_reached(options: &Options, elapsed: Duration) -> Option<Reason> {
    let is_cancelled = options.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed));
    let is_late = options.time_limit.is_some_and(|limit| elapsed >= limit);
    is_cancelled.then_some(Reason::Interrupted).or(is_late.then_some(Reason::Time))
}

fn refused(message: String, help: &str) -> Failure {
    Failure::Input(Report::new(InputError::new(message, Some(help.to_owned()))))
}

/// The order to demand of an object.
fn order_of(model: ModelName, demands: &[Demand]) -> Result<Consistency, Failure> {
    match demands {
        [] => Ok(Consistency::Linearizable),
        [Demand::Order(order)] => Ok(*order),
        [Demand::Level(level), ..] => Err(refused(
            format!("{level} is a consistency of transactions, and {model} is none of those"),
            "of an object ask for linearizable, sequential or per-key",
        )),
        _ => Err(refused("one order can be asked for at a time".to_owned(), "give --consistency once")),
    }
}

/// What to ask of transactions.
fn isolation_options(
    kind: Kind,
    history: &History,
    question: &Question,
    notes: &mut Vec<String>,
) -> Result<IsolationOptions, Failure> {
    let mut asked = IsolationOptions::new(kind);
    asked.anomalies.clone_from(&question.anomalies);
    asked.assume = question.assume;
    asked.budget.clone_from(&question.options);
    asked.certify = question.certify;
    // A format that has sessions and nothing else records them whole.
    asked.forbid_unwritten =
        question.forbid_unwritten.unwrap_or(asked.forbid_unwritten || !history.has_real_time());
    let mut levels = Vec::new();
    for demand in &question.demands {
        match demand {
            Demand::Level(level) => levels.push(*level),
            Demand::Order(_) => {
                let message = format!("{} is asked of objects, not of transactions", demand.name());
                return Err(refused(message, "of transactions ask for strict-serializable, for example"));
            }
        }
    }
    if !history.has_real_time() {
        let session = |level: Level| {
            let mode = Variant::Process;
            // What AWDIT, Plume and DBCop call read committed sees all of a transaction once it saw some.
            let base = if level.base == Base::ReadCommitted { Base::MonotonicAtomicView } else { level.base };
            if base.modes().contains(&mode) && level.mode == Variant::Plain {
                Level { base, mode }
            } else {
                level
            }
        };
        let before = levels.clone();
        levels.iter_mut().for_each(|level| *level = session(*level));
        notes.push(
            "the format records sessions and no real time, so that only sessions order transactions"
                .to_owned(),
        );
        for (before, after) in before.iter().zip(&levels).filter(|(before, after)| before != after) {
            notes.push(format!("{before} was taken as {after}, as the tools of that format do"));
        }
    }
    if !levels.is_empty() {
        asked.levels = levels;
    }
    if question.initial.is_some() {
        let message = "transactions take no initial value: every key starts as nil, or empty".to_owned();
        return Err(refused(message, "leave --initial away"));
    }
    Ok(asked)
}

/// What to ask of a data type.
fn data_options(
    checker: &Checker,
    question: &Question,
    history: &mut History,
) -> Result<DataOptions, Failure> {
    let mut options = question.data.clone();
    match &question.demands[..] {
        [] => {}
        [Demand::Order(Consistency::Linearizable)] if checker.info.name == "set-full" => {
            options.linearizable = true
        }
        [demand, ..] => {
            let message = format!("{} cannot be asked of {}", demand.name(), checker.info.name);
            return Err(refused(message, "set-full alone takes --consistency linearizable; leave it away"));
        }
    }
    if let Some(text) = &question.initial {
        options.initial = model::initial_value(text, history).ok_or_else(|| {
            refused(format!("the initial value {} is not a value", printable(text)), "such as 0, nil or \"\"")
        })?;
    }
    Ok(options)
}

/// The initial value that goes without saying in a format.
fn initial_of(format: Format, model: ModelName) -> Option<&'static str> {
    (format == Format::PorcupineKv && model == ModelName::Kv).then_some("\"\"")
}

/// Runs `judge`; a panic in it is a bug of ours and becomes [`Failure::Internal`].
pub fn guarded<T>(judge: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let result = std::panic::catch_unwind(AssertUnwindSafe(judge));
    result.unwrap_or_else(|panic| Err(Failure::Internal(message_of(panic.as_ref()))))
}

/// What a panic says.
pub fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|message| (*message).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// The model of that name, elle-cli's names included.
pub fn model_named(name: &str) -> Result<Theory, InputError> {
    theory::lookup(name).ok_or_else(|| {
        if is_bounded_mutex(name) {
            let message = format!("{}: the bound must be a whole number, at least 1", printable(name));
            return InputError::new(message, Some("such as reentrant-mutex:2".to_owned()));
        }
        InputError::unknown_name("model", name, Theory::names())
    })
}

/// True for `reentrant-mutex:N`, whatever N is.
pub fn is_bounded_mutex(name: &str) -> bool {
    let stem = name.split_once(':').map(|(stem, _)| model::lookup(stem));
    matches!(stem, Some(Ok(ModelName::ReentrantMutex { .. })))
}

/// The format of that name.
pub fn format_named(name: &str) -> Result<Format, InputError> {
    Format::from_str(name).map_err(|_| InputError::unknown_name("format", name, format_names()))
}

/// A reader's error, arranged for the terminal.
pub fn input_error(error: &FormatError) -> InputError {
    // Bytes in hexadecimal are no line to underline: the message has their offset.
    let quote = error.place().filter(|place| !place.is_binary).map(|place| {
        Box::new(Quote {
            name: place.name.clone(),
            line: usize::try_from(place.line).unwrap_or(usize::MAX),
            column: usize::try_from(place.column).unwrap_or(usize::MAX),
            text: place.source_line.clone(),
            span: place.span.clone(),
            label: error.label().to_owned(),
        })
    });
    let message = match error {
        FormatError::Io { name, .. } | FormatError::Unknown { name, .. } => {
            format!("{name}: {}", error.message())
        }
        _ if error.place().is_some_and(|place| place.is_binary) => error.to_string(),
        _ => error.message(),
    };
    let help = match error {
        FormatError::Unknown { .. } => {
            error.help().map(|help| format!("{help} Use --input-format, or see `shakedown convert --help`."))
        }
        _ => error.help(),
    };
    InputError { message, help, quote }
}

fn cannot_guess(shown: &str, history: &History) -> Failure {
    // What a nemesis or an administrator did is no operation of a client.
    let functions: BTreeSet<&str> = history.operations().map(|op| op.f).collect();
    let candidates = theory::candidates(&functions);
    let functions: Vec<String> = functions.into_iter().map(escaped).collect();
    let message = format!("{shown}: its operations ({}) do not tell its model", functions.join(", "));
    let (which, names) = match candidates.is_empty() {
        true => ("", Theory::names()),
        false => ("with these operations there are ", candidates),
    };
    let help =
        format!("name it with --model: {which}{}; `shakedown models` describes them", names.join(", "));
    Failure::Input(Report::new(InputError::new(message, Some(help))))
}

/// An operation that the model does not know, or with a value of another shape.
fn misfit(
    shown: &str,
    path: Option<&Path>,
    theory: &Theory,
    guess: Option<&Guess>,
    error: &ModelError,
) -> InputError {
    let line = usize::try_from(error.line).unwrap_or(0);
    let quote = path.and_then(|path| line_of(path, line)).map(|text| {
        Box::new(Quote {
            name: shown.to_owned(),
            line,
            column: 1,
            span: 0..text.len(),
            text,
            label: "this operation".to_owned(),
        })
    });
    let place = if quote.is_some() || line == 0 { shown.to_owned() } else { format!("{shown}:{line}") };
    let name = match theory {
        Theory::Object(model) => model.info().name.to_owned(),
        Theory::Transactions(_) | Theory::Data(_) => theory.name(),
    };
    let help = match guess {
        None => format!("`shakedown models {name}` has its operations; another model is named with --model"),
        Some(guess) => format!(
            "that it is about {name} was a guess ({}); if it is not, name its model with --model, and see \
             `shakedown models`",
            escaped(&guess.because)
        ),
    };
    InputError { message: format!("{place}: {}", escaped(&error.message)), help: Some(help), quote }
}

/// Line `line` of the text file at `path`, without what cannot be shown; `None` if it is not to be
/// had: standard input is gone by now, and compressed files have other lines.
fn line_of(path: &Path, line: usize) -> Option<String> {
    const LINE_BYTES_MAX: u64 = 300;
    if line == 0 || path == Path::new("-") || !path.is_file() {
        return None;
    }
    let mut reader = BufReader::new(File::open(path).ok()?);
    if reader.fill_buf().ok()?.starts_with(&[0x1f, 0x8b])
        || reader.buffer().starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
    {
        return None;
    }
    for _ in 1..line {
        if reader.skip_until(b'\n').ok()? == 0 {
            return None;
        }
    }
    let mut bytes = Vec::new();
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(printable(text.trim_end()).into_owned())
}

/// A file that stops to be read once the user has asked.
struct Interruptible<'a> {
    file: File,
    interrupt: &'a Interrupt,
}

impl Read for Interruptible<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupt.is_asked() {
            // Not `ErrorKind::Interrupted`, which means "try again".
            return Err(io::Error::other("interrupted"));
        }
        self.file.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_error_with_its_message() {
        for (panics, message) in [
            (
                (|| panic!("index {} out of bounds", 7)) as fn() -> Result<(), Failure>,
                "index 7 out of bounds",
            ),
            (|| panic!("plain"), "plain"),
            (|| std::panic::panic_any(7), "a panic without a message"),
        ] {
            match guarded(panics) {
                Err(Failure::Internal(found)) => assert_eq!(found, message),
                other => panic!("expected an internal error, found {other:?}"),
            }
        }
    }
}
