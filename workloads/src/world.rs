//! Worlds: what runs a protocol, and what it does to it.

pub mod model;
pub mod swarm;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A panic of a protocol is a finding about the protocol. What it had half changed must be dropped.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("it panicked: {}", text.unwrap_or("without saying why"))
    })
}
