//! Kafka-like logs: each message is in its log once, at one offset, and consumers get all of them in order.
//!
//! A history has logs, named by keys (Kafka's topic-partitions). A producer sends a message to a log,
//! which puts it at an *offset* greater than all before it. A consumer polls the logs that it is assigned,
//! from where it left off. Offsets may have gaps; messages of one log are distinct.
//!
//! Operations are lists of micro-operations, as in Jepsen's `jepsen.tests.kafka`: `send`, `poll` and
//! `txn`, whose value is `[[:send k v] [:poll]]` at first and `[[:send k [offset v]] [:poll {k [[offset v]
//! …]}]]` when done, offsets nil where unknown; `assign` and `subscribe`, whose value is the list of keys.
//! Operations of one call read as well, in the words of Maelstrom's RPCs: `send [k v]`, which returns the
//! offset; `poll {k offset}`, from where to poll, or `poll nil`, which returns `{k [[offset v] …]}`. Keys that
//! are the text of an integer are that integer, since JSON's objects have no other keys.
//!
//! The offsets that anybody saw tell which messages precede which: from every poll, aborted ones included,
//! since a consumer must never show what is not there; and from sends that took effect. Those are the
//! acknowledged ones, and those of unknown outcome of which some message was polled: an operation takes
//! effect as a whole or not at all. Where a message has no offset, was sent once and lies at one place, it
//! stands for that place.
//!
//! ```text
//! log k    0:a  1:b  3:c  4:d          places 0 1 2 3: between b and c is a gap, and no message
//! ```
//!
//! What is found, under Jepsen's names:
//!
//! | name | what it is | example |
//! |---|---|---|
//! | `lost-write` | a message that took effect lies before one that was polled, and nobody polled it | `a` and `b` sent, only `b` polled |
//! | `unseen` | a message was acknowledged, and nobody polled it by the end | `d` sent, `a b c` polled |
//! | `duplicate` | a message lies at more offsets than it was sent times | `0:a 1:b 2:a` |
//! | `inconsistent-offsets` | one offset holds several messages | sent to `0:a`, polled as `0:b` |
//! | `G1a` | a message was polled whose every send had failed | aborted read |
//! | `precommitted-read` | a transaction polled its own message | `[[:send k [0 a]] [:poll {k [[0 a]]}]]` |
//! | `int-poll-skip` | between two messages of one key that an operation polled in a row is another | `a c` |
//! | `int-nonmonotonic-poll` | the second of two such messages does not come after the first | `b a`, `a a` |
//! | `poll-skip`, `nonmonotonic-poll` | the same from one poll of a consumer to its next, or from the offset asked for to the first message | `a`, then `c` |
//! | `int-send-skip`, `int-nonmonotonic-send` | the same for two messages that an operation sent in a row | `a` at 0, then `c` at 3 |
//! | `nonmonotonic-send` | after an acknowledged send, a producer's next message does not come later | `b` at 1, then `a` at 0 |
//!
//! All are errors but `int-send-skip`: transactions interleave in a log, as they do in Kafka. `poll-skip` and
//! `nonmonotonic-poll` are none for a consumer that subscribed, whose logs the broker may hand to others
//! and back. `lost-write` and `unseen` suppose that the test polls everything, each log from its beginning
//! and, at last, to its end; where it does not, allow them ([`Options::also_allowed`]). After `assign` or
//! `subscribe`, a consumer's place is forgotten in the logs that are not in its list, and after a poll from
//! an offset in the logs that it was asked for.
//!
//! Differences from Jepsen:
//! - Jepsen counts places by values, and puts one value at each; so what it says of logs with duplicate or
//!   inconsistent offsets depends on a choice. Here places are offsets.
//! - A value sent twice may lie at two offsets, and a value whose send failed may have been sent again;
//!   Jepsen calls the one a duplicate and the other an aborted read.
//! - Jepsen allows `poll-skip` and `nonmonotonic-poll` for all consumers or none, by an option of its test,
//!   and excuses `int-` anomalies of polls from logs that were rebalanced meanwhile, which operations say in
//!   a field of their own. Readers of files do not keep that field, so of a consumer that subscribed only
//!   messages of one and the same poll are compared.
//! - Jepsen forgets at `assign` and `subscribe` what a producer sent, too. And after a send of unknown
//!   outcome it goes on comparing; here that send may yet take effect, so only acknowledged ones bind.
//! - Without polls what is unseen is no error, and the history unknown.
//! - Cycles (`G0`, `G1c`) are not searched for: they are anomalies of transactions, not of logs. Jepsen allows
//!   `G0` always. Nor is the lag of consumers measured.
//! - `crash`, `debug-topic-partitions` and the committed offsets of Maelstrom are read over.
//!
//! Cost: O(m log m) for m messages sent and polled, mostly linear, since logs come nearly sorted.

mod delivery;
mod order;
mod progress;
#[cfg(test)]
mod tests;
mod traffic;

use super::info::Info;
use super::{Figure, Findings, Quote, Report, Validity};
use crate::history::{History, OpId};
use crate::model::{ModelError, OperationInfo};
use order::Order;
use traffic::{Traffic, UNKNOWN};

/// What this checker is.
pub const INFO: Info = Info {
    name: "kafka",
    aliases: &["message-log"],
    summary: "messages of a log are polled, each once and in order; for Kafka and its kin (cycles of transactions, \
              Elle's G0 and G1c, are not looked for)",
    operations: &[
        OperationInfo {
            functions: &["send", "poll", "txn"],
            input: "[[:send k v] [:poll] ...]",
            output: "[[:send k [offset v]] [:poll {k [[offset v] ...]}] ...], offsets nil if unknown",
            meaning: "sends messages, and polls from where the consumer is",
        },
        OperationInfo {
            functions: &["send"],
            input: "[k v]",
            output: "the offset, or nil",
            meaning: "sends one message",
        },
        OperationInfo {
            functions: &["poll"],
            input: "{k offset}, where to begin, or nil",
            output: "{k [[offset v] ...]}",
            meaning: "polls some logs",
        },
        OperationInfo {
            functions: &["assign", "subscribe"],
            input: "[k ...]",
            output: "any",
            meaning: "says which logs the consumer polls from now on",
        },
        OperationInfo { functions: traffic::IGNORED, input: "any", output: "any", meaning: "not looked at" },
    ],
    source: "Jepsen, jepsen.tests.kafka; Maelstrom kafka",
};

/// What can go wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Anomaly {
    /// A message that took effect, before one that was polled, was not polled.
    LostWrite,
    /// A message that was acknowledged was not polled by the end.
    Unseen,
    /// A message lies at more offsets than it was sent times.
    Duplicate,
    /// An offset holds several messages.
    InconsistentOffsets,
    /// A message was polled whose sends failed.
    G1a,
    /// A transaction polled its own message.
    PrecommittedRead,
    /// An operation's poll passed a message over.
    IntPollSkip,
    /// An operation's poll went back, or stayed.
    IntNonmonotonicPoll,
    /// A consumer's next poll passed a message over.
    PollSkip,
    /// A consumer's next poll went back, or stayed.
    NonmonotonicPoll,
    /// Between two messages that one operation sent lies another.
    IntSendSkip,
    /// An operation's sends went back, or stayed.
    IntNonmonotonicSend,
    /// A producer's next send went back, or stayed.
    NonmonotonicSend,
}

impl Anomaly {
    /// All of them, the worst first.
    pub const ALL: [Anomaly; 13] = [
        Anomaly::LostWrite,
        Anomaly::Unseen,
        Anomaly::Duplicate,
        Anomaly::InconsistentOffsets,
        Anomaly::G1a,
        Anomaly::PrecommittedRead,
        Anomaly::IntPollSkip,
        Anomaly::IntNonmonotonicPoll,
        Anomaly::PollSkip,
        Anomaly::NonmonotonicPoll,
        Anomaly::IntSendSkip,
        Anomaly::IntNonmonotonicSend,
        Anomaly::NonmonotonicSend,
    ];

    /// Jepsen's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Anomaly::LostWrite => "lost-write",
            Anomaly::Unseen => "unseen",
            Anomaly::Duplicate => "duplicate",
            Anomaly::InconsistentOffsets => "inconsistent-offsets",
            Anomaly::G1a => "G1a",
            Anomaly::PrecommittedRead => "precommitted-read",
            Anomaly::IntPollSkip => "int-poll-skip",
            Anomaly::IntNonmonotonicPoll => "int-nonmonotonic-poll",
            Anomaly::PollSkip => "poll-skip",
            Anomaly::NonmonotonicPoll => "nonmonotonic-poll",
            Anomaly::IntSendSkip => "int-send-skip",
            Anomaly::IntNonmonotonicSend => "int-nonmonotonic-send",
            Anomaly::NonmonotonicSend => "nonmonotonic-send",
        }
    }
}

/// What to let pass.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Told, but no errors, besides [`Anomaly::IntSendSkip`].
    pub also_allowed: Vec<Anomaly>,
}

/// Looks for anomalies of logs. An operation of another shape is an error.
pub fn check(history: &History, options: &Options) -> Result<Report, ModelError> {
    let traffic = Traffic::of(history)?;
    let order = Order::of(&traffic);
    let mut cases = Vec::new();
    delivery::find(&traffic, &order, &mut cases);
    progress::find(&traffic, &order, &mut cases);
    // Errors first, so that they are the ones that are kept.
    cases.sort_by_key(|case| (case.anomaly, case.excused));
    let is_allowed = |anomaly| anomaly == Anomaly::IntSendSkip || options.also_allowed.contains(&anomaly);
    let mut findings = Findings::new();
    for case in &cases {
        let is_error = !case.excused && !is_allowed(case.anomaly);
        findings.add(case.anomaly.name(), is_error, || case.quote(&traffic));
    }
    let otherwise = if traffic.messages.is_empty() {
        Validity::Unknown("no message was sent or polled".to_owned())
    } else if traffic.poll_count == 0 {
        Validity::Unknown("no poll completed, so nothing was seen".to_owned())
    } else {
        Validity::Valid
    };
    let count = |is: fn(&traffic::Message) -> bool| {
        Figure::Count(traffic.messages.iter().filter(|message| is(message)).count() as u64)
    };
    let mut figures = vec![
        ("message-count", count(|_| true)),
        ("acknowledged-count", count(|message| message.is_acknowledged)),
        ("polled-count", count(|message| message.reader.is_some())),
    ];
    let anomalies =
        Anomaly::ALL.map(|anomaly| (anomaly.name(), Figure::Count(findings.count(anomaly.name()))));
    figures.extend(anomalies);
    Ok(findings.report(otherwise, figures))
}

/// One anomaly, before it is put into words.
#[derive(Clone, Copy, Debug)]
struct Case {
    anomaly: Anomaly,
    /// It may happen to a consumer that subscribed, or to one of whom there is nothing to expect.
    excused: bool,
    /// The operations that show it; two equal ones are one.
    operations: [OpId; 2],
    /// The messages that it is about; two equal ones are one.
    messages: [u32; 2],
    /// Offsets of the two, or the two offsets of one; [`UNKNOWN`] if nobody saw them.
    offsets: [i64; 2],
    /// A message that was passed over, for skips.
    skipped: Option<u32>,
}

impl Case {
    fn quote(&self, traffic: &Traffic<'_>) -> Quote {
        let mut operations = self.operations.to_vec();
        operations.sort_unstable();
        operations.dedup();
        let values = traffic.history.values();
        let message = |id: u32| traffic.messages[id as usize];
        let show = |id: u32| values.show(message(id).value);
        let at = |at: usize| match self.offsets[at] {
            UNKNOWN => show(self.messages[at]),
            offset => format!("{} at offset {offset}", show(self.messages[at])),
        };
        let key = traffic.keys[message(self.messages[0]).key as usize];
        let log = values.show(key);
        let (first, second) = (at(0), at(1));
        let skipped = self.skipped.map_or_else(String::new, show);
        let sentence = match self.anomaly {
            Anomaly::LostWrite => {
                format!("{first} of log {log} took effect and was never polled, while {second} was")
            }
            Anomaly::Unseen => format!("{first} of log {log} was acknowledged and never polled"),
            Anomaly::Duplicate => {
                format!(
                    "{first} of log {log} is at offset {} as well, more often than it was sent",
                    self.offsets[1]
                )
            }
            Anomaly::InconsistentOffsets => format!("log {log} has {first} and also {second}"),
            Anomaly::G1a => format!("{first} of log {log} was polled, though sending it had failed"),
            Anomaly::PrecommittedRead => {
                format!("a transaction polled {first} of log {log}, its own message")
            }
            Anomaly::IntPollSkip => {
                format!("an operation polled log {log} from {first} to {second}, past {skipped}")
            }
            Anomaly::IntNonmonotonicPoll => format!("an operation polled log {log} from {first} to {second}"),
            Anomaly::PollSkip if self.operations[0] == self.operations[1] => {
                format!(
                    "a poll of log {log} began with {second}, past {skipped}, though asked from an earlier offset"
                )
            }
            Anomaly::PollSkip => {
                format!("a consumer of log {log} went from {first} to {second}, past {skipped}")
            }
            Anomaly::NonmonotonicPoll if self.operations[0] == self.operations[1] => {
                format!("a poll of log {log} began with {second}, though asked from a later offset")
            }
            Anomaly::NonmonotonicPoll => format!("a consumer of log {log} went from {first} to {second}"),
            Anomaly::IntSendSkip => {
                format!("an operation sent {first} and {second} to log {log}, around {skipped}")
            }
            Anomaly::IntNonmonotonicSend => format!("an operation sent {first}, then {second} to log {log}"),
            Anomaly::NonmonotonicSend => {
                format!("a producer sent {first} to log {log}, which was acknowledged, then {second}")
            }
        };
        let mut about = vec![key, message(self.messages[0]).value, message(self.messages[1]).value];
        about.dedup();
        Quote { operations, values: about, sentence }
    }
}
