//! From a path to a judgement: reads the history, picks the model, asks the checker, and has the
//! proof checked if that is wanted.

use crate::command::check::format_names;
use crate::diagnostic::{InputError, Quote};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::report::{Failure, Judgement};
use crate::terminal::{escaped, printable};
use miette::Report;
use shakedown_checkers::format::{self, Format, FormatError, Limits};
use shakedown_checkers::history::{History, OtherEvent};
use shakedown_checkers::model::{self, MODELS, ModelError, ModelName};
use shakedown_checkers::options::Options;
use shakedown_checkers::value::Datum;
use std::any::Any;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::str::FromStr;

/// What is asked about each file.
#[derive(Clone, Debug)]
pub struct Question {
    /// The model; guessed from the operations if it is `None`.
    pub model: Option<ModelName>,
    /// The initial value, as text.
    pub initial: Option<String>,
    /// The format; recognised by content if it is `None`.
    pub input_format: Option<Format>,
    /// The order to demand, and the budgets.
    pub options: Options,
    /// Whether the independent validator is to check the proof.
    pub certify: bool,
}

/// Reads the history at `path`, or on standard input for `-`, and tells its format.
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
    let (name, guess) = match question.model {
        Some(name) => (name, None),
        None => {
            let guess = model::guess(&history).ok_or_else(|| cannot_guess(shown, &history))?;
            (guess.model, Some(guess))
        }
    };
    let initial = question.initial.as_deref().or_else(|| initial_of(format, name));
    let prepared = model::prepare(name, initial, &mut history).map_err(|error| {
        let help = format!("see `shakedown models {}`", name.info().name);
        Failure::Input(Report::new(InputError::new(error.to_string(), Some(help))))
    })?;
    let misfit = |error: ModelError| Failure::Input(Report::new(misfit(shown, path, name, &error)));
    let verdict = prepared.check(&history, &question.options).map_err(misfit)?;
    let validation =
        question.certify.then(|| prepared.validate(&history, question.options.consistency, &verdict));
    let mut notes = [history.notes(), &prepared.notes(&history)].concat();
    if question.initial.is_none() && initial.is_some() {
        notes.push(
            "every key starts as \"\", as in all of Porcupine's logs; --initial says otherwise".to_owned(),
        );
    }
    Ok(Judgement {
        notes,
        history,
        format,
        model: name.to_string(),
        guess,
        consistency: question.options.consistency,
        verdict,
        validation,
    })
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
pub fn model_named(name: &str) -> Result<ModelName, InputError> {
    model::lookup(name).map_err(|_| {
        if is_bounded_mutex(name) {
            let message = format!("{}: the bound must be a whole number, at least 1", printable(name));
            return InputError::new(message, Some("such as reentrant-mutex:2".to_owned()));
        }
        InputError::unknown_name("model", name, MODELS.iter().map(|info| info.name))
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
    let quote = error.place().map(|place| {
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
    let functions: Vec<String> = functions.into_iter().map(escaped).collect();
    let message = format!("{shown}: its operations ({}) do not tell its model", functions.join(", "));
    let names: Vec<&str> = MODELS.iter().map(|info| info.name).collect();
    let help = format!("name it with --model: {}; `shakedown models` describes them", names.join(", "));
    Failure::Input(Report::new(InputError::new(message, Some(help))))
}

/// An operation that the model does not know, or with a value of another shape.
fn misfit(shown: &str, path: Option<&Path>, name: ModelName, error: &ModelError) -> InputError {
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
    let name = name.info().name;
    InputError {
        message: format!("{place}: {}", escaped(&error.message)),
        help: Some(format!(
            "`shakedown models {name}` has its operations; another model is named with --model"
        )),
        quote,
    }
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
