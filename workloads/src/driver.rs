//! The asynchronous driver: what runs a [`Protocol`](shakedown_impls::protocol::Protocol) on sockets,
//! a disk and a clock, simulated ones or real ones.
//!
//! - [`node`]: one node, on any [`link`], [`disk`] and clock. [`client`]: who asks it.
//! - [`tcp`]: the link over any stack of sockets; [`frame`]: messages on a byte stream.
//! - [`log`]: a node's records on disk, and what is left of them after a fault.
//!
//! Nothing here starts a task or a thread: a node, with all of its connections, is one future.

pub mod client;
pub mod disk;
pub mod frame;
pub mod link;
pub mod log;
pub mod node;
pub mod tcp;
pub(crate) mod timers;
