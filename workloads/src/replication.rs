//! Replication: the same data on several nodes.

pub mod leaderless;
pub mod raft;
