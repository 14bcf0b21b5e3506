//! What a disk may do to a log, and what is read back: every flipped bit, every lost sector, every
//! torn batch, and damage that must be refused.

use super::*;
use proptest::prelude::*;

type Record = (u64, Vec<u8>);

fn batches() -> impl Strategy<Value = Vec<Vec<Record>>> {
    let record = (any::<u64>(), prop::collection::vec(any::<u8>(), 0..400));
    prop::collection::vec(prop::collection::vec(record, 1..5), 1..6)
}

/// A log of `batches`, and where each of them begins.
fn written(batches: &[Vec<Record>]) -> (Vec<u8>, Vec<usize>, Next) {
    let (mut disk, mut starts, mut next) = (vec![], vec![], Next::default());
    for batch in batches {
        starts.push(disk.len());
        append(&mut next, batch, &mut disk);
    }
    (disk, starts, next)
}

fn read(disk: &[u8]) -> Recovered<Record> {
    recover(disk).unwrap_or_else(|damaged| panic!("{damaged}"))
}

/// What was recovered stands on its own: written back it reads the same, and can be continued.
fn check_clean(disk: &[u8], recovered: &Recovered<Record>) {
    let mut clean = recovered.clean.clone().unwrap_or_else(|| disk.to_vec());
    let again = read(&clean);
    assert_eq!((&again.records, again.next), (&recovered.records, recovered.next));
    assert_eq!((again.repaired, again.cut_bytes, &again.clean), (0, 0, &None));
    let (mut next, more) = (recovered.next, (7, vec![1, 2, 3]));
    append(&mut next, [&more], &mut clean);
    let longer = read(&clean);
    assert_eq!((longer.records.last(), longer.next), (Some(&more), next));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_come_back_in_their_order(batches in batches()) {
        let (disk, _, next) = written(&batches);
        let expect = Recovered { records: batches.concat(), next, repaired: 0, cut_bytes: 0, clean: None };
        prop_assert_eq!(read(&disk), expect);
    }

    // A sector may hold one copy of several frames, and never both of one.
    #[test]
    fn any_one_lost_sector_is_repaired(batches in batches(), with in any::<u8>()) {
        let (disk, _, next) = written(&batches);
        for sector in (0..disk.len()).step_by(SECTOR_BYTES) {
            let mut damaged = disk.clone();
            damaged[sector..sector + SECTOR_BYTES].fill(with);
            let recovered = read(&damaged);
            prop_assert_eq!((&recovered.records, recovered.next), (&batches.concat(), next));
            if recovered.clean.is_some() {
                prop_assert_eq!(recovered.clean.as_ref(), Some(&disk));
            }
        }
    }

    // Of the last batch's sectors each is there, zero or garbage, and the file may end early. One bit
    // of what was synced is flipped on top of it.
    #[test]
    fn a_torn_batch_is_cut_and_takes_nothing_else_with_it(
        batches in batches(),
        fates in prop::collection::vec(0_u8..3, 16),
        ends in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
        garbage in any::<u64>(),
    ) {
        let (mut disk, starts, _) = written(&batches);
        let last = *starts.last().unwrap();
        let mut random = crate::random::Random::new(garbage);
        for (i, sector) in (last..disk.len()).step_by(SECTOR_BYTES).enumerate() {
            let sector = &mut disk[sector..sector + SECTOR_BYTES];
            match fates[i % fates.len()] {
                0 => sector.fill(0),
                1 => sector.fill_with(|| random.below(256) as u8),
                _ => {}
            }
        }
        if garbage % 4 == 0 {
            disk.truncate(last + ends.index(disk.len() - last + 1));
        }
        if last > 0 {
            let bit = flip.index(last * 8);
            disk[bit / 8] ^= 1 << (bit % 8);
        }
        let recovered = read(&disk);
        let (all, synced) = (batches.concat(), batches[..batches.len() - 1].concat().len());
        prop_assert!(recovered.records.len() >= synced, "synced records are lost");
        prop_assert_eq!(&recovered.records[..], &all[..recovered.records.len()]);
        check_clean(&disk, &recovered);
    }

    // Both copies of any record that is not of the last batch: never a shorter log, always an error.
    #[test]
    fn lost_records_of_synced_batches_are_told(batches in batches(), which in any::<prop::sample::Index>()) {
        prop_assume!(batches.len() > 1);
        let (mut disk, starts, _) = written(&batches);
        let synced: Vec<(usize, usize)> = (0..batches.len() - 1)
            .flat_map(|batch| (0..batches[batch].len()).map(move |record| (batch, record)))
            .collect();
        let (batch, record) = synced[which.index(synced.len())];
        let half = (starts[batch + 1] - starts[batch]) / 2;
        let before: Vec<Record> = batches[batch][..record].to_vec();
        let body = |record: &Record| HEAD_BYTES + postcard::to_stdvec(record).unwrap().len();
        let at = starts[batch] + before.iter().map(body).sum::<usize>();
        disk[at + 9] ^= 1;
        disk[at + half + 30] ^= 1;
        let damaged = recover::<Record>(&disk).unwrap_err();
        let sequence = batches[..batch].concat().len() + record;
        prop_assert_eq!((damaged.at, damaged.sequence), (at, sequence as u64));
    }

    #[test]
    fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let recovered = read(&bytes);
        prop_assert!(recovered.records.is_empty());
        prop_assert_eq!(recovered.cut_bytes, bytes.len());
        check_clean(&bytes, &recovered);
    }
}

// Every bit of three batches, the padding's too.
#[test]
fn any_one_flipped_bit_is_repaired() {
    let record = |n: u8| (u64::from(n), vec![n; usize::from(n) * 9]);
    let batches = [vec![record(1), record(2)], (3..18).map(record).collect(), vec![record(9)]];
    let (mut disk, _, next) = written(&batches);
    let (whole, mut repaired) = (disk.clone(), 0);
    for bit in 0..disk.len() * 8 {
        disk[bit / 8] ^= 1 << (bit % 8);
        let recovered = read(&disk);
        assert_eq!((&recovered.records, recovered.next), (&batches.concat(), next), "bit {bit}");
        assert_eq!(recovered.cut_bytes, 0);
        if recovered.repaired > 0 {
            assert_eq!(recovered.clean.as_ref(), Some(&whole), "bit {bit}");
            repaired += 1;
        }
        disk[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(repaired * 2 > disk.len() * 8, "only {repaired} bits mattered");
}

// The limit that the module's text admits: two faults in the last batch are an unfinished write.
#[test]
fn a_synced_last_batch_with_two_damaged_copies_is_forgotten() {
    let batches = [vec![(1, vec![])], vec![(2, vec![])]];
    let (mut disk, starts, _) = written(&batches);
    disk[starts[1] + 20] ^= 1;
    disk[starts[1] + SECTOR_BYTES + 20] ^= 1;
    assert_eq!(read(&disk).records, batches[0]);
}

// Damage at the end of one batch, and a later batch that is torn itself.
#[test]
fn damage_before_a_torn_batch_is_told() {
    let batches = [vec![(1, vec![])], vec![(2, vec![]), (3, vec![0; 600])]];
    let (mut disk, starts, _) = written(&batches);
    disk[20] ^= 1;
    disk[SECTOR_BYTES + 20] ^= 1;
    disk.truncate(starts[1] + SECTOR_BYTES);
    let damaged = recover::<Record>(&disk).unwrap_err();
    assert!(damaged.to_string().contains("record 0, at byte 0 of the log, has no good copy"), "{damaged}");
}

#[test]
fn a_record_of_another_protocol_is_told() {
    let mut disk = vec![];
    append(&mut Next::default(), [&(5_u64, "x")], &mut disk);
    let damaged = recover::<(bool, String)>(&disk).unwrap_err();
    assert!(damaged.why.contains("is no record of this protocol"), "{damaged}");
}

// The mistake that is there for mutants: what follows a damaged record is gone, and nobody says so.
#[test]
fn cutting_forgets_what_follows_a_damaged_record() {
    let batches: Vec<Vec<Record>> = (0..3).map(|n| vec![(n, vec![1]), (n, vec![2])]).collect();
    let (mut disk, starts, _) = written(&batches);
    let whole = recover_by_cutting::<Record>(&disk).unwrap();
    assert_eq!((whole.records, whole.clean), (batches.concat(), None));
    let second = HEAD_BYTES + postcard::to_stdvec(&batches[1][0]).unwrap().len();
    disk[starts[1] + second + 5] ^= 1;
    let cut = recover_by_cutting::<Record>(&disk).unwrap();
    assert_eq!(cut.records, batches.concat()[..3]);
    check_clean(&disk, &cut);
}
