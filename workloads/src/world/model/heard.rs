//! Which remarks of nodes were heard, at any time in any path.
//!
//! It is kept outside of states: two that differ only in what was remarked before are one.

use shakedown_impls::protocol::Note;
use std::sync::atomic::{AtomicBool, Ordering};

/// The remarks that are listened for.
#[derive(Debug, Default)]
pub(in crate::world) struct Heard(Vec<(&'static str, AtomicBool)>);

impl Heard {
    /// Listens for these.
    pub(in crate::world) fn of(kinds: &[&'static str]) -> Heard {
        Heard(kinds.iter().map(|&kind| (kind, AtomicBool::new(false))).collect())
    }

    /// A node remarks something.
    pub(super) fn hear(&self, note: &Note) {
        self.heard(&note.kind);
    }

    /// Something was remarked.
    pub(in crate::world) fn heard(&self, what: &str) {
        if let Some((_, heard)) = self.0.iter().find(|(kind, _)| *kind == what) {
            heard.store(true, Ordering::Relaxed);
        }
    }

    /// What is listened for, and whether it was heard.
    pub(in crate::world) fn iter(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.0.iter().map(|(kind, heard)| (*kind, heard.load(Ordering::Relaxed)))
    }
}
