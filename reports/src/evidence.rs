//! A failure in files: what replays it, what clients saw, what happened.

use crate::again;
use crate::campaign::Small;
use crate::files::write_whole;
use crate::names::last_part;
use crate::report::run::timeline::Limit;
use crate::report::run::{Culprit, FailedRun, Files, Shrunk, text};
use shakedown_checkers::format::{self, Format, FormatError};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Columns of the timeline's file.
const WIDTH: usize = 160;

/// Writes a failure to a folder of its own in `output`. `Err`: which file could not be written, and why.
pub fn write(output: &Path, program: &str, small: &Small, culprit: Culprit) -> Result<Files, String> {
    let folder = output.join(folder_name(small, culprit));
    std::fs::create_dir_all(&folder).map_err(|error| told(&folder, &error))?;
    let replay = folder.join("replay.json");
    // What replays it first: the rest can be had from that.
    write_file(&replay, |mut file| file.write_all(small.replay.text().as_bytes()))?;
    write_file(&folder.join("history.jsonl"), |file| {
        format::write(&small.told.history, Format::JsonLines, file).map_err(|error| match error {
            FormatError::Io { source, .. } => source,
            other => io::Error::other(other.to_string()),
        })
    })?;
    write_file(&folder.join("timeline.txt"), |mut file| {
        file.write_all(timeline(&small.told, small.shrunk).as_bytes())
    })?;
    Ok(Files { command: again::replay(program, &replay), folder })
}

/// `abd-swarm-17-no-write-back`.
fn folder_name(small: &Small, culprit: Culprit) -> PathBuf {
    let pattern = last_part(&small.replay.pattern);
    let world = small.replay.world.name();
    let which = match culprit {
        Culprit::Seed(seed) => seed.to_string(),
        Culprit::Case(case) => format!("case{case}"),
    };
    let mutant = small.replay.mutant.as_ref().map_or(String::new(), |mutant| format!("-{mutant}"));
    PathBuf::from(format!("{pattern}-{world}-{which}{mutant}"))
}

fn timeline(run: &FailedRun, shrunk: Option<Shrunk>) -> String {
    let styled = text::story(run, shrunk, Limit::none(), WIDTH);
    anstream::adapter::strip_str(&styled).to_string()
}

fn write_file(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> Result<(), String> {
    write_whole(path, |error| error, write).map_err(|error| told(path, &error))
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}
