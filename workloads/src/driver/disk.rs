//! What a node keeps its log on.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that grows. What was appended is durable after the next sync; until then any part of it may
/// be lost. After an error nothing is known of it but what was synced before.
pub trait Disk {
    /// All that it holds; nothing if it was never written.
    fn load(&mut self) -> impl Future<Output = io::Result<Vec<u8>>>;

    /// Has it hold just this, durably. A crash leaves it as it was or as it shall be.
    fn replace(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Writes at its end.
    fn append(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Makes durable what was appended.
    fn sync(&mut self) -> impl Future<Output = io::Result<()>>;
}

/// A real file. It blocks its thread, for a node does nothing else before its records are durable.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    /// Open from the first append on.
    file: Option<File>,
}

impl LogFile {
    /// The log at `path`, which is made when it is first written. Its folder must exist.
    pub fn at(path: impl Into<PathBuf>) -> LogFile {
        LogFile { path: path.into(), file: None }
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().append(true).create(true).open(&self.path)?);
            // The file's name is durable only with its folder, and who made it may have been killed before.
            File::open(self.folder())?.sync_all()?;
        }
        Ok(self.file.as_mut().expect("it was opened"))
    }
}

impl Disk for LogFile {
    async fn load(&mut self) -> io::Result<Vec<u8>> {
        match std::fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
            other => other,
        }
    }

    async fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        self.file = None;
        File::open(self.folder())?.sync_all()
    }

    async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.open()?.write_all(bytes)
    }

    async fn sync(&mut self) -> io::Result<()> {
        self.open()?.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_holds_what_was_appended_and_what_replaced_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut disk = LogFile::at(&path);
        assert_eq!(disk.load().await.unwrap(), b"");
        for bytes in ["ab", "c"] {
            disk.append(bytes.as_bytes()).await.unwrap();
            disk.sync().await.unwrap();
        }
        assert_eq!(LogFile::at(&path).load().await.unwrap(), b"abc");
        disk.replace(b"x").await.unwrap();
        disk.append(b"y").await.unwrap();
        assert_eq!(LogFile::at(&path).load().await.unwrap(), b"xy");
    }

    #[tokio::test]
    async fn a_disk_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = LogFile::at(folder.path().join("missing").join("log"));
        assert_eq!(disk.append(b"a").await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
