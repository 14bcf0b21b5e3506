//! One test for each sentence of the papers that claims something, on a cluster whose messages and timers
//! the test moves by hand; transcripts to read; and a small simulation that breaks what it can.

mod clients;
mod cluster;
mod durability;
mod elections;
mod membership;
mod mutants;
mod reads;
mod replication;
mod simulation;
mod snapshots;
mod storms;
mod transcripts;
mod transfer;
