//! `broadcast`: what one node is told, every node shall know in the end.
//!
//! Maelstrom's `broadcast` workload: `broadcast` of a message to one node, `read` of all messages that one
//! node knows. It is judged there as a set by [`set_full`](super::set_full), with `broadcast` for `add`: a
//! message is lost if the last read by invocation lacks it. So it is here, and further
//!
//! - a message is **undelivered** if it was acknowledged and a final read (see below) on any node lacks
//!   it. Jepsen's and Maelstrom's checkers only look at the read that was invoked last, whichever node
//!   that was.
//! - a message that a node lists twice is worth a finding, and an error only if
//!   [`BroadcastOptions::strict`] asks for it: Maelstrom passes such nodes.
//! - a message that nobody tried to broadcast, or only later, is unexpected, an error.
//!
//! These are validity, no creation and, if strict, no duplication of a reliable broadcast (Cachin,
//! Guerraoui & Rodrigues 2011, §3.2 and §3.3), as far as clients can see them.
//!
//! *Final reads* complete ok and are invoked after every broadcast that completed ok had done so. If some
//! read is marked (the field `:final?` true, or `:final` or `{:final? true}` as the value of its invocation),
//! only marked ones are final; if not, each is the last operation of its process. A history must give
//! messages the time to arrive before them, as Maelstrom's ten seconds do: one that just stops is judged by
//! `set-full`'s rules no less harshly.
//!
//! Cost: that of `set-full`, linear in what was read.

use super::Report;
use super::info::{Info, op};
use super::set_full::{SetFullOptions, Words, judge};
use crate::history::History;
use crate::model::ModelError;

/// See the module's text.
pub const INFO: Info = Info {
    name: "broadcast",
    aliases: &[],
    summary: "every acknowledged message reaches every node in the end, and none comes from nowhere",
    operations: &[
        op(&["broadcast"], "m", "nil, true, false or m", "tells one node the message m"),
        op(
            &["read"],
            "any; :final? true on the event, :final or {:final? true} here mark a final read",
            "a list or set of all messages",
            "all that one node knows",
        ),
        op(&["topology"], "any", "any", "means nothing here"),
    ],
    source: "Maelstrom, maelstrom.workload.broadcast; Cachin, Guerraoui & Rodrigues 2011, §3",
};

/// What to demand besides that everything arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BroadcastOptions {
    /// No node may list a message twice.
    pub strict: bool,
}

/// Judges a history of `broadcast` and `read`.
pub fn check(history: &History, options: &BroadcastOptions) -> Result<Report, ModelError> {
    let words = Words {
        add: &["broadcast"],
        others: &["topology"],
        expected: "broadcast, read, topology",
        missing: Some("undelivered"),
    };
    judge(history, &SetFullOptions { linearizable: false, allow_duplicates: !options.strict }, &words)
}
