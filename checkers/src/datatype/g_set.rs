//! `g-set`: a replicated set that only grows, whose replicas all hold everything in the end.
//!
//! Maelstrom's `g-set` workload, judged there by [`set_full`](super::set_full): an element is lost if the
//! last read by invocation lacks it. So it is here, and further an element is **missing** if it was
//! acknowledged and a final read of any replica lacks it, which the other misses where a later read of
//! another replica has it. For a state-based set that only grows see Shapiro et al. 2011, *A
//! comprehensive study of Convergent and Commutative Replicated Data Types*, §3.3.1 (G-Set).
//!
//! What a final read is, is told in [`broadcast`](super::broadcast); elements that a read lists twice are
//! worth a finding and no error, unless [`GSetOptions::strict`] asks for it.
//!
//! Cost: that of `set-full`, linear in what was read.

use super::Report;
use super::info::{Info, op};
use super::set::ADD;
use super::set_full::{SetFullOptions, Words, judge};
use crate::history::History;
use crate::model::ModelError;

/// See the module's text.
pub const INFO: Info = Info {
    name: "g-set",
    aliases: &["grow-only-set"],
    summary: "a replicated set that only grows: in the end every replica holds every acknowledged element",
    operations: &[
        ADD,
        op(
            &["read"],
            "any; :final? true on the event, :final or {:final? true} here mark a final read",
            "a list or set of all elements",
            "sees what one replica holds",
        ),
    ],
    source: "Maelstrom, maelstrom.workload.g-set; Shapiro et al. 2011, §3.3.1",
};

/// What to demand besides that everything arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GSetOptions {
    /// No read may list an element twice.
    pub strict: bool,
}

/// Judges a history of `add` and `read`.
pub fn check(history: &History, options: &GSetOptions) -> Result<Report, ModelError> {
    let words =
        Words { add: &["add", "insert"], others: &[], expected: "add, read", missing: Some("missing") };
    judge(history, &SetFullOptions { linearizable: false, allow_duplicates: !options.strict }, &words)
}
