//! A simulated disk that takes its time, fails, tears what it is writing, and rots.
//!
//! Turmoil's file system loses what was not synced when the power goes, and, in half of the runs, keeps
//! parts of it: each sector is a write of its own, and any of them may have happened.

use super::shared::{MS, Shared};
use crate::driver::disk::Disk;
use crate::driver::log::SECTOR_BYTES;
use crate::nemesis::FaultKind;
use crate::trace::{Kind, Place};
use shakedown_impls::protocol::NodeId;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;
use std::time::Duration;
use turmoil::fs::shim::std::fs::{File, OpenOptions, read, rename, sync_dir};

const LOG: &str = "/log";
const NEW: &str = "/log.new";

pub(super) struct SimDisk {
    shared: Rc<Shared>,
    id: NodeId,
    file: Option<File>,
}

impl SimDisk {
    pub(super) fn new(shared: Rc<Shared>, id: NodeId) -> SimDisk {
        SimDisk { shared, id, file: None }
    }

    /// The first use of a file makes its name durable.
    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().append(true).create(true).open(LOG)?);
            sync_dir("/")?;
        }
        Ok(self.file.as_mut().expect("it was opened"))
    }

    /// Whether the disk refuses to write, by a fault.
    fn fails(&self) -> io::Result<()> {
        let id = self.id;
        match self.shared.fault(|kind| matches!(kind, FaultKind::FailingDisk(node) if *node == id)) {
            Some(_) => Err(io::Error::other("the simulated disk refuses to write")),
            None => Ok(()),
        }
    }

    /// The time that writing takes. The simulation's clock has a resolution of 1 ms: less is nothing.
    async fn take_time(&self) {
        let id = self.id;
        let mut takes = self.shared.machine(id).random.duration(self.shared.disk_us * 1_000);
        let slow = self.shared.fault(|kind| matches!(kind, FaultKind::SlowDisk(node, _) if *node == id));
        if let Some(fault) = slow
            && let FaultKind::SlowDisk(_, ms) = self.shared.kind(fault)
        {
            self.shared.took_effect_once(fault);
            takes += self.shared.machine(id).random.below(u64::from(ms) * MS + 1);
        }
        let takes = (takes + MS / 2) / MS;
        if takes > 0 {
            tokio::time::sleep(Duration::from_millis(takes)).await;
        }
    }

    /// Flips a bit of what is there, if one is to flip.
    fn rot(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let mut machine = self.shared.machine(self.id);
        if !std::mem::take(&mut machine.rots) || bytes.is_empty() {
            return Ok(());
        }
        let bit = machine.random.below(bytes.len() as u64 * 8) as usize;
        drop(machine);
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.shared.trace(Place::Node(self.id), Kind::Fault, || format!("bit {bit} of its disk flips"));
        let mut file = OpenOptions::new().write(true).open(LOG)?;
        file.write_all(bytes)?;
        file.sync_all()
    }
}

impl Disk for SimDisk {
    async fn load(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = match read(LOG) {
            Err(error) if error.kind() == ErrorKind::NotFound => vec![],
            other => other?,
        };
        self.rot(&mut bytes)?;
        Ok(bytes)
    }

    /// Power may be lost before the new file is durable, and before its name is.
    async fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.fails()?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(NEW)?;
        bytes.chunks(SECTOR_BYTES).try_for_each(|sector| file.write_all(sector))?;
        self.take_time().await;
        self.fails()?;
        file.sync_all()?;
        self.file = None;
        rename(NEW, LOG)?;
        self.take_time().await;
        self.fails()?;
        sync_dir("/")
    }

    async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fails = self.fails();
        let mut sectors = bytes.chunks(SECTOR_BYTES);
        if fails.is_err() {
            // A write that fails may have done something.
            let some = self.shared.machine(self.id).random.below(sectors.len() as u64 + 1) as usize;
            sectors = bytes[..(some * SECTOR_BYTES).min(bytes.len())].chunks(SECTOR_BYTES);
        }
        let file = self.open()?;
        sectors.try_for_each(|sector| file.write_all(sector))?;
        fails
    }

    async fn sync(&mut self) -> io::Result<()> {
        self.take_time().await;
        self.fails()?;
        self.open()?.sync_all()
    }
}
