//! A node's files, in the simulation: whoever writes waits until the disk has it.
//!
//! Between giving bytes to the disk and their being durable time passes, and the power may go.

use crate::driver::log::SECTOR_BYTES;
use crate::random::Random;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;
use std::time::Duration;
use turmoil::fs::shim::std::fs::{OpenOptions, read, rename, sync_dir};

const NS_PER_MS: u64 = 1_000_000;

/// How a node writes its files.
#[derive(Clone)]
pub(super) struct Disk {
    random: Rc<RefCell<Random>>,
    /// How long writing takes, on average.
    takes_ns: u64,
}

impl Disk {
    pub(super) fn new(seed: u64, takes_us: u64) -> Disk {
        let random = Rc::new(RefCell::new(Random::stream(seed, "disk", 0)));
        Disk { random, takes_ns: takes_us * 1_000 }
    }

    /// All of a file; nothing if there is none.
    ///
    /// A process that was killed leaves what it wrote, and did not sync, to be read by the next. That has to
    /// be durable before anybody acts on it: a node that says of such an entry that it has it would lose
    /// with the power what it said.
    pub(super) async fn load(&self, path: &str) -> io::Result<Vec<u8>> {
        let bytes = match read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
            other => other?,
        };
        let file = OpenOptions::new().append(true).open(path)?;
        self.take_time().await;
        file.sync_all()?;
        sync_dir("/")?;
        Ok(bytes)
    }

    /// Adds bytes at a file's end, and waits until they are durable.
    pub(super) async fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        // The first use of a file makes its name durable.
        sync_dir("/")?;
        bytes.chunks(SECTOR_BYTES).try_for_each(|sector| file.write_all(sector))?;
        self.take_time().await;
        file.sync_all()
    }

    /// Puts bytes in the place of a file, and waits until that is durable. Whenever the power goes, the
    /// file is the old one or the new one.
    pub(super) async fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let new = format!("{path}.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
        bytes.chunks(SECTOR_BYTES).try_for_each(|sector| file.write_all(sector))?;
        self.take_time().await;
        file.sync_all()?;
        rename(&new, path)?;
        self.take_time().await;
        sync_dir("/")
    }

    /// The simulation's clock has a resolution of 1 ms: less is nothing.
    async fn take_time(&self) {
        let takes = self.random.borrow_mut().duration(self.takes_ns);
        let takes_ms = (takes + NS_PER_MS / 2) / NS_PER_MS;
        if takes_ms > 0 {
            tokio::time::sleep(Duration::from_millis(takes_ms)).await;
        }
    }
}
