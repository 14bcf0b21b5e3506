//! What a leader knows of each other node's log, and what to send it next (§5.3). Pure.
//!
//! ```text
//!            answers "matches"                lags behind what is compacted
//!   Probe -----------------------> Replicate -----------------------------> Snapshot
//!     ^  one message at a time        |   several at a time, each following    | chunk by chunk
//!     |<------------------------------|   on the one before (pipelining)       |
//!     |    answers "differs": one was lost, or overtaken                       |
//!     `------------------------------------ has it: Replicate <----------------'
//! ```
//!
//! What is under way is bounded: messages by number, each by entries and bytes. A lost message is noticed
//! by the next heartbeat, which says what it should follow on.

use super::disk::Snapshot;
use super::limits::Limits;
use super::log::{Entry, Index, Log, LogId};
use crate::object::bytes::Bytes;
use crate::protocol::Data;

/// What a leader knows of another node.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Progress {
    /// Since which entry it is a member, as far as this leader knows. Answers that it gave as a member
    /// of before say nothing: its disk may be another one.
    pub session: Index,
    /// Its log is known to agree up to here, durably.
    pub match_index: Index,
    /// The next entry to send.
    pub next_index: Index,
    /// The last round of heartbeats that it answered.
    pub round: u64,
    /// How it is sent what.
    pub mode: Mode,
}

/// How a node is sent what it lacks.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Mode {
    /// Where the logs agree is to be found out: one message at a time.
    Probe {
        /// For the answer, or the next heartbeat.
        is_waiting: bool,
    },
    /// The logs agree: messages follow each other.
    Replicate {
        /// The last entries of those that are not answered.
        in_flight: Vec<Index>,
    },
    /// What it lacks is compacted.
    Snapshot {
        /// What it is sent. Kept until it has it, for there may be a newer one every moment.
        snapshot: Snapshot,
        /// Bytes of it that it has.
        offset: usize,
        /// For the answer, or the next heartbeat.
        is_waiting: bool,
    },
}

/// What to send.
#[derive(Clone, Debug, PartialEq)]
pub enum Parcel<C: Data> {
    /// These, which follow `prev`.
    Entries {
        /// The entry before.
        prev: LogId,
        /// Maybe none: to learn where the logs agree.
        entries: Vec<Entry<C>>,
    },
    /// A part of this.
    Chunk {
        /// It, without the data.
        snapshot: Snapshot,
        /// How many bytes are before this part.
        offset: usize,
        /// The part.
        chunk: Bytes,
    },
}

impl Progress {
    /// Of a node of which nothing is known: that it has what the leader has is tried first.
    pub fn new(session: Index, last: Index) -> Progress {
        let mode = Mode::Probe { is_waiting: false };
        Progress { session, match_index: Index(0), next_index: last.next(), round: 0, mode }
    }

    /// What to send next, if anything. The log's limits apply; `bytes` says how large entries are.
    pub fn next<C: Data>(
        &mut self,
        log: &Log<C>,
        compacted: Option<&Snapshot>,
        limits: &Limits,
        bytes: impl Fn(&Entry<C>) -> usize,
    ) -> Option<Parcel<C>> {
        let needs_snapshot = self.next_index <= log.base().index;
        if needs_snapshot && !matches!(self.mode, Mode::Snapshot { .. }) {
            let snapshot = compacted.expect("what is compacted is in a snapshot").clone();
            self.mode = Mode::Snapshot { snapshot, offset: 0, is_waiting: false };
        }
        match &mut self.mode {
            Mode::Probe { is_waiting } => {
                if std::mem::replace(is_waiting, true) {
                    return None;
                }
                let entries = batch(log, self.next_index.before(), limits, bytes);
                Some(Parcel::Entries { prev: log.id_at(self.next_index.before()), entries })
            }
            Mode::Replicate { in_flight } => {
                if in_flight.len() >= limits.messages_in_flight || self.next_index > log.last().index {
                    return None;
                }
                let prev = log.id_at(self.next_index.before());
                let entries = batch(log, prev.index, limits, bytes);
                let last = prev.index.plus(entries.len());
                in_flight.push(last);
                self.next_index = last.next();
                Some(Parcel::Entries { prev, entries })
            }
            Mode::Snapshot { snapshot, offset, is_waiting } => {
                if std::mem::replace(is_waiting, true) {
                    return None;
                }
                let end = (*offset + limits.snapshot_chunk_bytes).min(snapshot.data.len());
                let chunk = snapshot.data[*offset..end].to_vec().into();
                Some(Parcel::Chunk { snapshot: snapshot.clone(), offset: *offset, chunk })
            }
        }
    }

    /// Whether one message at a time is sent, and the next one can be.
    pub fn is_ready(&self) -> bool {
        matches!(self.mode, Mode::Probe { is_waiting: false } | Mode::Snapshot { is_waiting: false, .. })
    }

    /// What a heartbeat says that the node's log should hold: the last that was sent, if it is here.
    pub fn heartbeat<C: Data>(&self, log: &Log<C>) -> LogId {
        log.id_at(self.next_index.before().max(log.base().index))
    }

    /// Whatever was waited for may be lost: it is sent again.
    pub fn resume(&mut self) {
        match &mut self.mode {
            Mode::Probe { is_waiting } | Mode::Snapshot { is_waiting, .. } => *is_waiting = false,
            Mode::Replicate { .. } => {}
        }
    }

    /// The node's log agrees up to `index`.
    pub fn matched(&mut self, index: Index) {
        // Answers overtake each other: an old one takes nothing back.
        self.match_index = self.match_index.max(index);
        let next = self.match_index.next();
        match &mut self.mode {
            Mode::Replicate { in_flight } => {
                in_flight.retain(|&last| last > index);
                self.next_index = self.next_index.max(next);
                return;
            }
            Mode::Snapshot { snapshot, .. } if self.match_index < snapshot.last.index => return,
            Mode::Probe { .. } | Mode::Snapshot { .. } => {}
        }
        self.next_index = next;
        self.mode = Mode::Replicate { in_flight: vec![] };
    }

    /// The node's log does not hold `prev`; that it may hold `hint` is the most that can be said.
    pub fn differs<C: Data>(&mut self, prev: Index, hint: LogId, log: &Log<C>) {
        let is_outdated = match self.mode {
            // A node that denies what it has acknowledged does not get the same answer again at once, and so on:
            // the next heartbeat asks it again.
            Mode::Probe { .. } => prev.next() != self.next_index || prev <= self.match_index,
            Mode::Replicate { .. } => prev <= self.match_index,
            Mode::Snapshot { .. } => true,
        };
        if is_outdated {
            return;
        }
        let meeting = log.meeting_point(hint).map_or(log.base().index, |meeting| meeting.index.next());
        self.next_index = meeting.max(self.match_index.next());
        self.mode = Mode::Probe { is_waiting: false };
    }

    /// The node has so many bytes of the snapshot up to `last`.
    pub fn received(&mut self, last: LogId, bytes: usize) {
        if let Mode::Snapshot { snapshot, offset, is_waiting } = &mut self.mode
            && snapshot.last == last
            && *offset != bytes
            && bytes < snapshot.data.len()
        {
            (*offset, *is_waiting) = (bytes, false);
        }
    }
}

/// Entries behind `prev`: as many as one message may hold, but one at least if there is one.
fn batch<C: Data>(
    log: &Log<C>,
    prev: Index,
    limits: &Limits,
    bytes: impl Fn(&Entry<C>) -> usize,
) -> Vec<Entry<C>> {
    let mut room = limits.bytes_per_message;
    let fits = |(i, entry): &(usize, &Entry<C>)| {
        let size = bytes(entry);
        let fits = *i == 0 || size <= room;
        room = room.saturating_sub(size);
        fits
    };
    let entries = log.behind(prev).iter().take(limits.entries_per_message).enumerate();
    entries.take_while(fits).map(|(_, entry)| entry.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::log::{Payload, Term};
    use super::super::membership::Membership;
    use super::*;
    use crate::protocol::NodeId;

    fn log(terms: &[u64]) -> Log<()> {
        let mut log = Log::default();
        let entry = |&term: &u64| Entry { term: Term(term), payload: Payload::Noop };
        log.append(&terms.iter().map(entry).collect::<Vec<_>>());
        log
    }

    fn limits() -> Limits {
        Limits { entries_per_message: 2, messages_in_flight: 2, snapshot_chunk_bytes: 4, ..Limits::default() }
    }

    /// What is sent next: after which entry, and how many.
    fn next(progress: &mut Progress, log: &Log<()>) -> Option<(u64, usize)> {
        match progress.next(log, None, &limits(), |_| 1)? {
            Parcel::Entries { prev, entries } => Some((prev.index.0, entries.len())),
            Parcel::Chunk { .. } => panic!("nothing is compacted"),
        }
    }

    #[test]
    fn probing_waits_for_each_answer_and_replicating_does_not() {
        let log = log(&[1; 9]);
        let mut progress = Progress::new(Index(0), Index(3));
        assert_eq!((next(&mut progress, &log), next(&mut progress, &log)), (Some((3, 2)), None));
        progress.matched(Index(5));
        assert_eq!(next(&mut progress, &log), Some((5, 2)));
        assert_eq!(next(&mut progress, &log), Some((7, 2)));
        assert_eq!(next(&mut progress, &log), None, "there is nothing left");
        progress.matched(Index(9));
        assert_eq!(progress.mode, Mode::Replicate { in_flight: vec![] });
    }

    #[test]
    fn what_is_in_flight_is_bounded() {
        let log = log(&[1; 9]);
        let mut progress = Progress::new(Index(0), Index(0));
        progress.matched(Index(0));
        let sent: Vec<_> = std::iter::from_fn(|| next(&mut progress, &log)).collect();
        assert_eq!(sent, [(0, 2), (2, 2)]);
        progress.matched(Index(2));
        assert_eq!((next(&mut progress, &log), next(&mut progress, &log)), (Some((4, 2)), None));
    }

    #[test]
    fn a_message_is_bounded_in_bytes_but_holds_one_entry() {
        let log = log(&[1; 9]);
        let mut progress = Progress::new(Index(0), Index(0));
        let limits = Limits { bytes_per_message: 25, ..Limits::default() };
        let sizes = [(10, 2), (25, 1), (99, 1)];
        for (size, expected) in sizes {
            progress.resume();
            let Some(Parcel::Entries { entries, .. }) = progress.next(&log, None, &limits, |_| size) else {
                panic!("it sends entries")
            };
            assert_eq!(entries.len(), expected, "entries of {size} bytes");
        }
    }

    #[test]
    fn old_answers_change_nothing() {
        let log = log(&[1; 9]);
        let mut progress = Progress::new(Index(0), Index(0));
        progress.matched(Index(4));
        progress.matched(Index(2));
        assert_eq!((progress.match_index, progress.next_index), (Index(4), Index(5)));
        progress.differs(Index(3), LogId::default(), &log);
        assert!(matches!(progress.mode, Mode::Replicate { .. }));
        progress.differs(Index(6), log.id_at(Index(2)), &log);
        assert_eq!(progress.next_index, Index(5), "what matched is not tried again");
        progress.differs(Index(6), log.id_at(Index(2)), &log);
        assert_eq!(progress.next_index, Index(5));
    }

    // Its disk has lost what it acknowledged, against all that is assumed. The two must not spend their time
    // telling each other, as fast as the network can.
    #[test]
    fn a_node_that_denies_what_it_acknowledged_is_asked_once_a_heartbeat() {
        let log = log(&[1; 9]);
        let mut progress = Progress::new(Index(0), Index(0));
        progress.matched(Index(4));
        progress.differs(Index(6), LogId::default(), &log);
        assert_eq!(next(&mut progress, &log), Some((4, 2)));
        progress.differs(Index(4), LogId::default(), &log);
        assert_eq!(next(&mut progress, &log), None);
        progress.resume();
        assert_eq!(next(&mut progress, &log), Some((4, 2)));
    }

    #[test]
    fn a_snapshot_goes_in_chunks_and_the_log_follows() {
        let mut log = log(&[1; 9]);
        log.compact(log.id_at(Index(6)));
        let (last, membership) = (log.id_at(Index(7)), Membership::of([NodeId(0)]));
        let snapshot = Snapshot { last, membership, data: "0123456789".into() };
        let mut progress = Progress::new(Index(0), Index(3));
        let next = |progress: &mut Progress| progress.next(&log, Some(&snapshot), &limits(), |_| 1);
        let chunk = |offset, chunk: &str| {
            Some(Parcel::Chunk { snapshot: snapshot.clone(), offset, chunk: chunk.into() })
        };
        assert_eq!((next(&mut progress), next(&mut progress)), (chunk(0, "0123"), None));
        progress.received(last, 4);
        assert_eq!(next(&mut progress), chunk(4, "4567"));
        progress.received(last, 4);
        assert_eq!(next(&mut progress), None, "the same answer again is none");
        progress.resume();
        assert_eq!(next(&mut progress), chunk(4, "4567"));
        progress.received(last, 8);
        assert_eq!(next(&mut progress), chunk(8, "89"));
        progress.matched(Index(7));
        assert!(matches!(next(&mut progress), Some(Parcel::Entries { prev, .. }) if prev == last));
    }
}
