//! A node's disk: the log that the real driver writes, as records while all is well, as bytes when
//! something happens to them. What a damaged one still says is found out by the real recovery.

use crate::driver::log::{Damaged, Next, Recovered, SECTOR_BYTES, append, recover, recover_by_cutting};
use crate::random::Random;
use shakedown_impls::protocol::{Durable, Protocol, Record};

pub(super) struct Disk<P: Protocol> {
    /// What is durable, as it was written.
    synced: Vec<Vec<Record<P>>>,
    /// What is on its way: written together, durable together.
    pub(super) writing: Vec<Record<P>>,
    /// Whether its log is cut off where a record is damaged.
    cuts: bool,
}

/// Leaves of the sectors any, in no order, and of some a part.
fn tear(bytes: &mut [u8], random: &mut Random) {
    for sector in bytes.chunks_mut(SECTOR_BYTES) {
        let kept = match random.below(4) {
            0 => 0,
            1 => random.below(sector.len() as u64) as usize,
            _ => sector.len(),
        };
        sector[kept..].fill(0);
    }
}

/// What was found on a disk after something had happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A log, in which so much had to be repaired.
    Log {
        /// Records of which one copy was bad.
        repaired: u64,
    },
    /// Damage that cannot be repaired. Going on would mean to forget what others were told.
    Damage,
}

impl<P: Protocol> Disk<P> {
    /// An empty one; `cuts`: see [`Protocol::cuts_damaged_log`].
    pub(super) fn new(cuts: bool) -> Disk<P> {
        Disk { synced: vec![], writing: vec![], cuts }
    }

    /// What a node that starts reads.
    pub(super) fn load(&self) -> P::Durable {
        let mut durable = P::Durable::default();
        self.synced.iter().flatten().for_each(|record| durable.replay(record));
        durable
    }

    /// What was being written is durable.
    pub(super) fn sync(&mut self) {
        let batch = std::mem::take(&mut self.writing);
        if !batch.is_empty() {
            self.synced.push(batch);
        }
    }

    /// The process is killed: what it had given to the machine is there, from the first record on. How
    /// many were lost.
    pub(super) fn kill(&mut self, random: &mut Random) -> u64 {
        let (given, all) = (random.below(self.writing.len() as u64 + 1) as usize, self.writing.len());
        self.writing.truncate(given);
        self.sync();
        (all - given) as u64
    }

    /// The power is lost: of the sectors that were being written none may be there, or any, torn ones too.
    /// How many records were lost.
    pub(super) fn lose_power(&mut self, random: &mut Random) -> (u64, Found) {
        if self.writing.is_empty() {
            return (0, Found::Log { repaired: 0 });
        }
        let (safe, written) = (self.bytes().len(), self.writing.len());
        let before = self.records();
        self.sync();
        let mut bytes = self.bytes();
        match random.below(4) {
            // It was all in the machine's memory still.
            0 | 1 => bytes.truncate(safe),
            // The file had not grown as far.
            2 => bytes.truncate(safe + random.below((bytes.len() - safe) as u64) as usize),
            _ => tear(&mut bytes[safe..], random),
        }
        let found = self.read(&bytes);
        ((before + written).saturating_sub(self.records()) as u64, found)
    }

    /// One bit of it flips.
    pub(super) fn rot(&mut self, random: &mut Random) -> Found {
        let mut bytes = self.bytes();
        if bytes.is_empty() {
            return Found::Log { repaired: 0 };
        }
        let bit = random.below(bytes.len() as u64 * 8) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.read(&bytes)
    }

    fn records(&self) -> usize {
        self.synced.iter().map(Vec::len).sum()
    }

    fn bytes(&self) -> Vec<u8> {
        let (mut next, mut bytes) = (Next::default(), vec![]);
        self.synced.iter().for_each(|batch| append(&mut next, batch, &mut bytes));
        bytes
    }

    /// What recovery finds is what is there from now on.
    fn read(&mut self, bytes: &[u8]) -> Found {
        let recovered: Result<Recovered<Record<P>>, Damaged> =
            if self.cuts { recover_by_cutting(bytes) } else { recover(bytes) };
        let Ok(Recovered { records, repaired, .. }) = recovered else { return Found::Damage };
        // Batches stay as they were; of the last one there may be less.
        let mut records = records.into_iter();
        for batch in &mut self.synced {
            *batch = records.by_ref().take(batch.len()).collect();
        }
        self.synced.retain(|batch| !batch.is_empty());
        self.synced.extend(records.map(|record| vec![record]));
        Found::Log { repaired: repaired as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::log::SECTOR_BYTES;
    use shakedown_impls::protocol::{Effect, Input, NodeId, Time};
    use std::collections::BTreeSet;

    /// A protocol of which only the disk matters: a list of numbers.
    #[derive(Clone, Debug, PartialEq, Hash)]
    struct Lists;

    #[derive(
        Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
    )]
    struct List(Vec<u32>);

    impl Durable for List {
        type Record = u32;

        fn replay(&mut self, record: &u32) {
            self.0.push(*record);
        }
    }

    impl Protocol for Lists {
        type Config = ();
        type Msg = ();
        type Timer = ();
        type Op = ();
        type Ret = ();
        type Durable = List;

        fn boot((): &(), _: NodeId, _: &List, _: &mut Vec<Effect<Lists>>) -> Lists {
            Lists
        }

        fn step(&mut self, (): &(), _: Time, _: Input<Lists>, _: &mut Vec<Effect<Lists>>) {}
    }

    /// 0 to 5 are durable, in two writes; 6 to 8 are on their way.
    fn disk() -> Disk<Lists> {
        let mut disk = Disk { writing: vec![0, 1, 2], ..Disk::new(false) };
        disk.sync();
        disk.writing = vec![3, 4, 5];
        disk.sync();
        disk.writing = vec![6, 7, 8];
        disk
    }

    // Whatever happens, what was durable stays, and what is there of the rest is its beginning; each of
    // the four things that may be left of three records is left sometimes.
    #[track_caller]
    fn leaves_a_beginning(mut happen: impl FnMut(&mut Disk<Lists>, &mut Random) -> u64) {
        let mut random = Random::new(1);
        let mut left = BTreeSet::new();
        for _ in 0..2_000 {
            let mut disk = disk();
            let lost = happen(&mut disk, &mut random);
            let List(records) = disk.load();
            assert!(records.len() >= 6 && records.iter().enumerate().all(|(i, &record)| i as u32 == record));
            assert_eq!(lost, 9 - records.len() as u64);
            assert!(disk.writing.is_empty());
            left.insert(records.len() - 6);
            // The next write goes behind what is there.
            disk.writing = vec![records.len() as u32];
            disk.sync();
            assert_eq!(disk.load().0.len(), records.len() + 1);
        }
        assert_eq!(left, BTreeSet::from([0, 1, 2, 3]));
    }

    #[test]
    fn a_killed_process_has_written_the_beginning() {
        leaves_a_beginning(|disk, random| disk.kill(random));
    }

    #[test]
    fn what_lost_power_keeps_what_was_durable() {
        leaves_a_beginning(|disk, random| {
            let (lost, found) = disk.lose_power(random);
            assert!(matches!(found, Found::Log { .. }));
            lost
        });
    }

    #[test]
    fn a_rotten_bit_is_repaired_wherever_it_is() {
        let mut random = Random::new(1);
        let mut repaired = 0;
        for _ in 0..2_000 {
            let mut disk = disk();
            disk.sync();
            let Found::Log { repaired: now } = disk.rot(&mut random) else { panic!("one bit is one copy") };
            repaired += now;
            assert_eq!(disk.load().0, (0..9).collect::<Vec<u32>>());
        }
        assert!(repaired > 100, "{repaired}");
    }

    // The twin of the others: what was durable and cannot be read is not passed over.
    #[test]
    fn both_copies_lost_is_damage() {
        let mut disk = disk();
        let mut bytes = disk.bytes();
        bytes[..2 * SECTOR_BYTES].fill(7);
        assert_eq!(disk.read(&bytes), Found::Damage);
    }
}
