//! Files that are written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Whether [`write_whole`] can write a file there, as far as that can be told before. Nothing is changed.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.exists() && !path.is_file() {
        return OpenOptions::new().write(true).open(&path).map(drop);
    }
    let unfinished = unfinished(&path);
    File::create(&unfinished)?;
    std::fs::remove_file(&unfinished)
}

/// What a file is called while it is being written.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

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
    let unfinished = unfinished(&path);
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
