//! Client load, faults and worlds.
//!
//! - [`world`]: what runs a protocol of `shakedown-impls`, and what it does to it.
//! - [`driver`]: what runs a protocol on sockets, a disk and a clock.
//! - [`nemesis`]: faults as data.
//! - [`recorded`]: from a protocol's operations to rows of a history.
//! - [`synthetic`]: histories made without a system under test, valid or invalid by construction.
//!
//! Load for a pattern lives at the pattern's own path: [`replication`].

pub mod driver;
pub mod nemesis;
pub(crate) mod random;
pub mod recorded;
pub mod replication;
pub mod synthetic;
pub mod world;
