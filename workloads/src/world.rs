//! Worlds: what runs a protocol, and what it does to it.

pub mod model;
pub mod swarm;
