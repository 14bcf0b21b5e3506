//! Worlds: what runs a protocol, and what it does to it.

mod clock;
pub mod model;
pub mod sim;
pub mod swarm;
#[cfg(test)]
mod toy;

use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A panic of a protocol is a finding about the protocol. What it had half changed must be dropped.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("it panicked: {}", text.unwrap_or("without saying why"))
    })
}

/// The worlds, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorldName {
    /// [`model`].
    Model,
    /// [`swarm`].
    Swarm,
    /// [`sim`].
    Sim,
}

impl WorldName {
    /// All of them.
    pub const ALL: [WorldName; 3] = [WorldName::Model, WorldName::Swarm, WorldName::Sim];

    /// As on a command line.
    pub fn name(self) -> &'static str {
        match self {
            WorldName::Model => "model",
            WorldName::Swarm => "swarm",
            WorldName::Sim => "sim",
        }
    }

    /// What it is.
    pub fn about(self) -> &'static str {
        match self {
            WorldName::Model => "every schedule of a small case, crashes included",
            WorldName::Swarm => "thousands of hostile schedules a second, every fault",
            WorldName::Sim => "the real driver on simulated sockets and disks",
        }
    }
}
