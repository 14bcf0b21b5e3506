//! `shakedown convert`: one history from one format into another.

use super::{Stopped, Streams};
use crate::args::ConvertArgs;
use crate::diagnostic::InputError;
use crate::exit::Exit;
use crate::files::write_whole;
use crate::interrupt::Interrupt;
use crate::judge;
use crate::report::Failure;
use crate::terminal::printable;
use miette::Report;
use shakedown_checkers::format::{self, Format, FormatError};
use shakedown_checkers::history::{History, Outcome};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Reads the one file, writes the other.
pub fn run(args: &ConvertArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let input_format = args.input_format.as_deref().map(judge::format_named).transpose()?;
    let target = Target::new(&args.output, args.output_format.as_deref())?;
    let (history, format) = match judge::read(&args.input, input_format, &Interrupt::listen()) {
        Ok(read) => read,
        Err(Failure::Interrupted) => return Ok(Exit::Unknown),
        Err(Failure::Input(report)) => return Err(Stopped::Input(report)),
        Err(Failure::Internal(message)) => {
            writeln!(streams.err, "{}: internal error: {message}", args.input.display())?;
            return Ok(Exit::Internal);
        }
    };
    for note in history.notes() {
        writeln!(streams.err, "{}: {note}", args.input.display())?;
    }
    target.write(&history, streams.out)?;
    let judged =
        if args.output == Path::new("-") { "what was written".into() } else { args.output.to_string_lossy() };
    if !history.has_real_time() && matches!(target.format, Format::Edn | Format::JsonLines) {
        writeln!(
            streams.err,
            "note: {format} records sessions and no real time, and what was written reads as if one transaction \
             followed the other; judge {} with `--consistency strong-session-serializable`, for example",
            printable(&judged)
        )?;
    }
    if matches!(target.format, Format::Plume | Format::Awdit) {
        for lost in lost_of(&history) {
            writeln!(streams.err, "note: the {} format {lost}", target.format)?;
        }
    }
    if format == Format::PorcupineKv && target.format != format {
        // No other format has it go without saying.
        writeln!(
            streams.err,
            "note: in Porcupine's log every key starts as \"\"; judge {} with `--initial '\"\"'`",
            printable(&judged)
        )?;
    }
    Ok(Exit::Valid)
}

/// What a format of sessions does not say of a history, in sentences without their subject.
fn lost_of(history: &History) -> impl Iterator<Item = &'static str> {
    let real_time = history.has_real_time().then_some(
        "has sessions and no real time: strict serializability, for example, cannot be asked of what was written",
    );
    let unknown = history.operations().any(|op| op.outcome == Outcome::Info).then_some(
        "has no words for an outcome that nobody knows: transactions of which somebody read what they wrote are \
         written as committed, without their own reads, and the others are left out",
    );
    real_time.into_iter().chain(unknown)
}

/// Where a history goes, and in what dress.
#[derive(Debug)]
pub struct Target<'a> {
    path: &'a Path,
    format: Format,
    compression: Compression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// What a file with an extension that nobody knows is answered with.
fn unknown_extension(path: &Path) -> InputError {
    let message = format!("{}: its extension tells no format to write", printable(&path.to_string_lossy()));
    let help = "known extensions: .edn, .jsonl or .json, .log (Jepsen's text log), .txt (Porcupine's key-value \
                log), .plume, .awdit, each with .gz or .zst behind it if you like; --output-format says it otherwise";
    InputError::new(message, Some(help.to_owned()))
}

impl Target<'_> {
    /// The file `path`, in the format of that name, or else in that of its extension. Standard output
    /// (`-`) and names without an extension get JSON lines.
    pub fn new<'a>(path: &'a Path, format: Option<&str>) -> Result<Target<'a>, InputError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let (compression, inner) = match extension {
            Some("gz") => (Compression::Gzip, Path::new(path.file_stem().unwrap_or_default())),
            Some("zst") => (Compression::Zstd, Path::new(path.file_stem().unwrap_or_default())),
            _ => (Compression::None, path),
        };
        let by_extension = || match inner.extension() {
            None => Ok(Format::JsonLines),
            Some(extension) if extension == "txt" => Ok(Format::PorcupineKv),
            Some(_) => Format::of_path(inner).ok_or_else(|| unknown_extension(inner)),
        };
        let format = match format {
            Some(name) => judge::format_named(name)?,
            None => by_extension()?,
        };
        Ok(Target { path, format, compression })
    }

    /// Writes `history`; `out` is standard output. A file appears under its name only when it is
    /// complete: an error leaves what was there before.
    pub fn write(&self, history: &History, out: &mut dyn Write) -> Result<(), Stopped> {
        if self.path == Path::new("-") {
            return self.write_into(history, out).map_err(|error| self.stopped(error));
        }
        let write = |file: &File| self.write_into(history, file);
        write_whole(self.path, |source| self.io_error(source), write).map_err(|error| self.stopped(error))
    }

    fn write_into(&self, history: &History, out: impl Write) -> Result<(), FormatError> {
        let written = match self.compression {
            Compression::None => return self.write_plain(history, out),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
                self.write_plain(history, &mut encoder)?;
                encoder.finish().and_then(|mut out| out.flush())
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)
                    .map_err(|source| self.io_error(source))?;
                self.write_plain(history, &mut encoder)?;
                encoder.finish().and_then(|mut out| out.flush())
            }
        };
        written.map_err(|source| self.io_error(source))
    }

    fn write_plain(&self, history: &History, out: impl Write) -> Result<(), FormatError> {
        format::write(history, self.format, out).map_err(|error| match error {
            FormatError::Io { source, .. } => self.io_error(source),
            error => error,
        })
    }

    fn io_error(&self, source: io::Error) -> FormatError {
        let dash = self.path == Path::new("-");
        let name = if dash { "standard output".to_owned() } else { self.path.display().to_string() };
        FormatError::Io { name, source }
    }

    /// A reader that went away knows why; everything else is told with the file's name.
    fn stopped(&self, error: FormatError) -> Stopped {
        match error {
            FormatError::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
                Stopped::Output(source)
            }
            error => Stopped::Input(Report::new(judge::input_error(&error))),
        }
    }
}
