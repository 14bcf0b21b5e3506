//! Which remarks of nodes were heard, at any time in any path.
//!
//! It is kept outside of states: two that differ only in what was remarked before are one.

use shakedown_impls::protocol::Note;
use std::sync::atomic::{AtomicBool, Ordering};

/// The remarks that are listened for.
#[derive(Debug, Default)]
pub(super) struct Heard(Vec<(&'static str, AtomicBool)>);

impl Heard {
    /// Listens for these.
    pub(super) fn of(kinds: &[&'static str]) -> Heard {
        Heard(kinds.iter().map(|&kind| (kind, AtomicBool::new(false))).collect())
    }

    /// A node remarks something.
    pub(super) fn hear(&self, note: &Note) {
        if let Some((_, heard)) = self.0.iter().find(|(kind, _)| *kind == note.kind) {
            heard.store(true, Ordering::Relaxed);
        }
    }

    /// What is listened for, and whether it was heard.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.0.iter().map(|(kind, heard)| (*kind, heard.load(Ordering::Relaxed)))
    }
}
