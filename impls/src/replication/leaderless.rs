//! Replication without a leader: any node takes reads and writes, and quorums keep them in step.

pub mod abd;
