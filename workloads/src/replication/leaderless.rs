//! Replication without a leader.

pub mod abd;
