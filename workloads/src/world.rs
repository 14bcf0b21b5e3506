//! Worlds: what runs a protocol, and what it does to it.

pub mod callers;
mod clock;
pub mod model;
pub mod sim;
#[cfg(test)]
pub(crate) mod suite;
pub mod swarm;
#[cfg(test)]
mod toy;

use serde::{Deserialize, Serialize};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IN_PROTOCOL: Cell<bool> = const { Cell::new(false) };
}

/// A panic of a protocol is a finding about the protocol. What it had half changed must be dropped.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let before = IN_PROTOCOL.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IN_PROTOCOL.set(before);
    result
        .map_err(|panic| format!("it panicked: {}", message(panic.as_ref()).unwrap_or("without saying why")))
}

/// Whether this thread runs a protocol at the moment: a panic would be a finding, and no bug of ours. For
/// panic hooks.
pub fn is_in_protocol() -> bool {
    IN_PROTOCOL.get()
}

/// What a panic says, if it is text.
pub(crate) fn message(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
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
            WorldName::Model => {
                "every schedule of small cases, crashes included, or as many as there is room for"
            }
            WorldName::Swarm => "hostile schedules by the thousand, every fault",
            WorldName::Sim => "the real driver on simulated sockets and disks",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_protocol_is_in_a_protocol() {
        assert!(!is_in_protocol());
        assert_eq!(caught(is_in_protocol), Ok(true));
        let nested = caught(|| (caught(|| panic!("inner")), is_in_protocol()));
        assert_eq!(nested, Ok((Err::<(), _>("it panicked: inner".to_owned()), true)));
        assert!(!is_in_protocol());
    }
}
