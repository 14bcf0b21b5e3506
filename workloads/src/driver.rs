//! The asynchronous driver: what runs a [`Protocol`](shakedown_impls::protocol::Protocol) on sockets,
//! a disk and a clock.
//!
//! - [`frame`]: messages on a byte stream.
//! - [`log`]: a node's records on disk, and what is left of them after a fault.

pub mod frame;
pub mod log;
