//! A node's log on disk: records in, bytes out, and back after whatever a disk may do to them.
//!
//! It is pure: who calls it writes the bytes, syncs them and reads them again.
//!
//! # Format
//!
//! Records that are made durable by one sync are a *batch*. A batch is written as one row of frames,
//! one frame for each record, filled up to a whole number of sectors, and then the same row again.
//!
//! ```text
//! | frame, frame, …, zeros | the same again     | next batch …
//! |<------- half --------->|<------- half ----->|           half is a multiple of 512
//!
//! frame: | crc: u32 | half: u32 | length: u32 | left: u32 | batch: u64 | sequence: u64 | length bytes |
//! ```
//!
//! `crc` is CRC-32 of the frame after it; `left` counts the frames that follow in the batch; batches
//! and records are numbered without gaps. No two copies of a record, and no two batches, share a
//! sector.
//!
//! # What it survives
//!
//! - **Damage that leaves one copy of each frame whole** is repaired: any one flipped bit, any one
//!   lost sector.
//! - **Power lost before the last batch was synced**: of its sectors any may be there, old, or
//!   garbage. Its records up to the first without a good copy are kept (a record that is on disk may
//!   be remembered), what comes after is cut off. Nobody was told that it is durable.
//! - **Both copies of a frame damaged in a batch that is not the last** is [`Damaged`]: a good frame of
//!   a later batch proves that the batch was synced, for batches are only begun after the one before
//!   is durable. The node must not start: it would forget what it acknowledged.
//!
//! # What it cannot tell
//!
//! Both copies of a frame damaged in the *last* batch look the same whether it was synced or not, and
//! so does a file that lost all of its last batches. It is read as an unfinished write, and a synced
//! record is forgotten. (Alagappan et al., *Protocol-Aware Recovery*, FAST 2018, §3.3 has the same
//! limit for the last entry.) It takes two faults at once.
//!
//! After a recovery that repaired or cut, [`Recovered::clean`] must replace the file, and be durable,
//! before anything is appended: else what was cut off could come back behind new records.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

const HEAD_BYTES: usize = 32;

/// What comes next in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// The number of the next batch.
    pub batch: u64,
    /// The number of the next record.
    pub sequence: u64,
}

/// What was in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered<R> {
    /// The records, in their order.
    pub records: Vec<R>,
    /// Where to go on.
    pub next: Next,
    /// Frames that were read from the other copy, or had no second one.
    pub repaired: usize,
    /// Bytes of an unfinished batch that were cut off; padding counts.
    pub cut_bytes: usize,
    /// The log as it should be, if it is not. It has to be durable before anything is appended.
    pub clean: Option<Vec<u8>>,
}

/// Records that were durable cannot be read, or are none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "record {sequence}, at byte {at} of the log, {why}: starting without it would forget what was \
     acknowledged; restore this node's disk, or replace the node by a new, empty one"
)]
pub struct Damaged {
    /// Where in the log.
    pub at: usize,
    /// The first record that is lost.
    pub sequence: u64,
    /// How that is known.
    pub why: String,
}

/// Adds one batch of records to `out`, which is a log, or the bytes to be written at the end of one.
/// No record is no batch.
///
/// # Panics
/// If the batch is 2 GiB or longer, or the record's own `Serialize` refuses it.
pub fn append<'r, R: Serialize + 'r>(
    next: &mut Next,
    records: impl IntoIterator<Item = &'r R>,
    out: &mut Vec<u8>,
) {
    let encode = |record| postcard::to_stdvec(record).expect("records are plain data");
    let bodies: Vec<Vec<u8>> = records.into_iter().map(encode).collect();
    if !bodies.is_empty() {
        append_bodies(next, &bodies, out);
    }
}

fn append_bodies(next: &mut Next, bodies: &[impl AsRef<[u8]>], out: &mut Vec<u8>) {
    let start = out.len();
    let bytes: usize = bodies.iter().map(|body| HEAD_BYTES + body.as_ref().len()).sum();
    let half = bytes.next_multiple_of(SECTOR_BYTES);
    assert!(half < 1 << 31, "a batch of {bytes} bytes is too long for the log");
    for (i, body) in bodies.iter().map(AsRef::as_ref).enumerate() {
        let frame = out.len();
        out.extend([0; 4]);
        out.extend((half as u32).to_le_bytes());
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(((bodies.len() - 1 - i) as u32).to_le_bytes());
        out.extend(next.batch.to_le_bytes());
        out.extend(next.sequence.to_le_bytes());
        out.extend(body);
        let crc = crc32fast::hash(&out[frame + 4..]);
        out[frame..frame + 4].copy_from_slice(&crc.to_le_bytes());
        next.sequence += 1;
    }
    out.resize(start + half, 0);
    out.extend_from_within(start..);
    next.batch += 1;
}

/// Reads a log. `bytes` are all of it, as the disk has them; they may be anything.
///
/// ```
/// use shakedown_workloads::driver::log::{Next, append, recover};
///
/// let (mut next, mut disk) = (Next::default(), vec![]);
/// append(&mut next, &["one", "two"], &mut disk);
/// append(&mut next, &["three"], &mut disk);
/// disk[40] ^= 4; // in "one"
/// let recovered = recover::<String>(&disk).unwrap();
/// assert_eq!((&recovered.records[..], recovered.repaired), (&["one", "two", "three"].map(String::from)[..], 1));
/// assert_eq!(recovered.next, next);
/// ```
pub fn recover<R: DeserializeOwned>(bytes: &[u8]) -> Result<Recovered<R>, Damaged> {
    read(bytes, Copies::Both)
}

/// The same as many logs do it: what begins at the first damaged record is taken for an unfinished write and
/// cut off. It forgets what was acknowledged (Alagappan et al., *Protocol-Aware Recovery*, FAST 2018), and is
/// here for [`cuts_damaged_log`](shakedown_impls::protocol::Protocol::cuts_damaged_log).
pub fn recover_by_cutting<R: DeserializeOwned>(bytes: &[u8]) -> Result<Recovered<R>, Damaged> {
    read(bytes, Copies::First)
}

/// Which copies of a record are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    Both,
    First,
}

fn read<R: DeserializeOwned>(bytes: &[u8], copies: Copies) -> Result<Recovered<R>, Damaged> {
    let (mut at, mut next) = (0, Next::default());
    let (mut repaired, mut cut_bytes, mut is_dirty) = (0, 0, false);
    let mut batches: Vec<Vec<&[u8]>> = vec![];
    while at < bytes.len() {
        let batch = read_batch(bytes, at, next, copies);
        if !batch.is_whole {
            let lost = next.sequence + batch.bodies.len() as u64;
            if copies == Copies::Both
                && let Some(later) = later_batch(bytes, at, next.batch)
            {
                let why =
                    format!("has no good copy, but the batch at byte {later} was begun after it was durable");
                return Err(Damaged { at: batch.end, sequence: lost, why });
            }
            cut_bytes = bytes.len() - batch.end.min(bytes.len());
        }
        repaired += batch.repaired;
        next.sequence += batch.bodies.len() as u64;
        next.batch += u64::from(!batch.bodies.is_empty());
        at = if batch.is_whole { batch.end } else { bytes.len() };
        // The padding at the end may be missing, and what is appended would not begin at a sector.
        is_dirty |= !batch.is_whole || batch.repaired > 0 || at > bytes.len();
        batches.push(batch.bodies);
    }
    let mut records = vec![];
    for body in batches.iter().flatten() {
        let record = postcard::from_bytes(body).map_err(|error| Damaged {
            at: body.as_ptr() as usize - bytes.as_ptr() as usize,
            sequence: records.len() as u64,
            why: format!("matches its checksum but is no record of this protocol ({error})"),
        })?;
        records.push(record);
    }
    let clean = is_dirty.then(|| {
        let (mut next, mut clean) = (Next::default(), vec![]);
        for bodies in batches.iter().filter(|bodies| !bodies.is_empty()) {
            append_bodies(&mut next, bodies, &mut clean);
        }
        clean
    });
    Ok(Recovered { records, next, repaired, cut_bytes, clean })
}

struct Batch<'b> {
    /// Its records, up to the first without a good copy.
    bodies: Vec<&'b [u8]>,
    is_whole: bool,
    /// Where the next one begins; if it is not whole, where its first copy ceases to be good.
    end: usize,
    repaired: usize,
}

/// Reads the batch that should begin at `start`.
fn read_batch(bytes: &[u8], start: usize, next: Next, copies: Copies) -> Batch<'_> {
    let mut batch = Batch { bodies: vec![], is_whole: false, end: start, repaired: 0 };
    let half = match copies {
        Copies::Both => half_of(bytes, start, next),
        Copies::First => expected(bytes, start, next).map(|first| first.half),
    };
    let Some(half) = half else { return batch };
    let mut sequence = next.sequence;
    loop {
        let copy = |at: usize| expected(bytes, at, Next { sequence, ..next }).filter(|f| f.half == half);
        let first = copy(batch.end);
        let second = if copies == Copies::Both { copy(batch.end + half) } else { copy(batch.end) };
        batch.repaired += usize::from(first.is_some() != second.is_some());
        let Some(frame) = first.or(second) else { return batch };
        batch.bodies.push(frame.body);
        batch.end += HEAD_BYTES + frame.body.len();
        sequence += 1;
        if frame.left == 0 {
            batch.is_whole = true;
            batch.end = start + 2 * half;
            return batch;
        }
    }
}

/// The length of one copy of the batch at `start`, which the first frame of either copy tells.
fn half_of(bytes: &[u8], start: usize, next: Next) -> Option<usize> {
    if let Some(first) = expected(bytes, start, next) {
        return Some(first.half);
    }
    let halves = (SECTOR_BYTES..bytes.len().saturating_sub(start)).step_by(SECTOR_BYTES);
    halves
        .into_iter()
        .find(|&half| expected(bytes, start + half, next).is_some_and(|frame| frame.half == half))
}

/// Where a good frame of a batch after `batch` is, anywhere from `start` on.
fn later_batch(bytes: &[u8], start: usize, batch: u64) -> Option<usize> {
    (start..bytes.len()).find(|&at| frame_at(bytes, at).is_some_and(|frame| frame.batch > batch))
}

struct Frame<'b> {
    half: usize,
    left: u32,
    batch: u64,
    sequence: u64,
    body: &'b [u8],
}

/// The frame at a place, if it is good and the one that is expected there.
fn expected(bytes: &[u8], at: usize, next: Next) -> Option<Frame<'_>> {
    frame_at(bytes, at).filter(|frame| frame.batch == next.batch && frame.sequence == next.sequence)
}

fn frame_at(bytes: &[u8], at: usize) -> Option<Frame<'_>> {
    let (head, rest) = bytes.get(at..)?.split_first_chunk::<HEAD_BYTES>()?;
    let small = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let large = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let (half, length) = (small(4) as usize, small(8) as usize);
    // Cheap tests first: this is asked at every byte of what may be garbage.
    if half == 0 || half % SECTOR_BYTES != 0 || HEAD_BYTES + length > half {
        return None;
    }
    let body = rest.get(..length)?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[4..]);
    crc.update(body);
    let is_good = crc.finalize() == small(0);
    is_good.then(|| Frame { half, left: small(12), batch: large(16), sequence: large(24), body })
}

#[cfg(test)]
mod tests;
