//! What is bounded, and by how much. Reaching a bound costs time or an answer, never memory.

use std::time::Duration;

/// Bounds of one node. All nodes of a cluster must have the same `sessions`: what expires is part of the
/// replicated state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries in one message, and in one batch of a leader. At least 1.
    pub entries_per_message: usize,
    /// Bytes of entries in one message; a larger entry travels alone.
    pub bytes_per_message: usize,
    /// Messages of entries to one node that are not answered. At least 1.
    pub messages_in_flight: usize,
    /// Entries of a leader that are not committed; a request beyond that is dropped, and its client
    /// runs into its timeout.
    pub uncommitted: usize,
    /// Requests that a node holds for its clients, reads that a leader has open, and requests that it
    /// puts off while it hands over; of the first the oldest is dropped, of the others the newest.
    pub requests: usize,
    /// How old a request may be that is sent to a new leader: its client has given up long ago.
    pub request_age: Duration,
    /// Client sessions; see the module `sessions` for what expires. At least 1.
    pub sessions: usize,
    /// Entries that are applied before a snapshot is taken. At least 1.
    pub snapshot_after: usize,
    /// Entries that stay in the log behind a snapshot, for nodes that lag a little.
    pub log_kept: usize,
    /// Bytes of a snapshot in one message. At least 1.
    pub snapshot_chunk_bytes: usize,
    /// How many entries a learner may lack and be called caught up.
    pub learner_lag: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            entries_per_message: 256,
            bytes_per_message: 256 << 10,
            messages_in_flight: 16,
            uncommitted: 4096,
            requests: 1024,
            request_age: Duration::from_secs(10),
            sessions: 1024,
            snapshot_after: 1000,
            log_kept: 100,
            snapshot_chunk_bytes: 64 << 10,
            learner_lag: 64,
        }
    }
}
