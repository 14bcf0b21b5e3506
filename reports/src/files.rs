//! Files that are written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Has `write` write the file at `path`, which appears under its name only when it is complete: an error
/// leaves what was there before. `io` tells of what the file system refuses.
pub fn write_whole<E>(
    path: &Path,
    io: impl Fn(io::Error) -> E,
    write: impl FnOnce(&File) -> Result<(), E>,
) -> Result<(), E> {
    // Links lead to the file that is meant; a device or a pipe must not be replaced by a file.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.exists() && !path.is_file() {
        return write(&OpenOptions::new().write(true).open(&path).map_err(io)?);
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let result = File::create(&unfinished)
        .map_err(&io)
        .and_then(|file| write(&file))
        .and_then(|()| std::fs::rename(&unfinished, &path).map_err(&io));
    if result.is_err() {
        // It may not exist; the error to tell of is the first one.
        let _ = std::fs::remove_file(&unfinished);
    }
    result
}
