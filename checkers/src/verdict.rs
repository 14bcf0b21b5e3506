//! What a checker says of a history, and the proof it hands over.

use crate::history::OpId;
use crate::value::Value;

/// The answer to "is this history correct under that model?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, and here is an order of the operations that explains every result.
    Valid(Certificate),
    /// No, and here is a small set of operations that no order explains.
    Invalid(Box<Witness>),
    /// A budget ran out first.
    Unknown(Box<Unknown>),
}

impl Verdict {
    /// `true`, `false` or `unknown`: the words that elle-cli prints.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Valid(_) => "true",
            Verdict::Invalid(_) => "false",
            Verdict::Unknown(_) => "unknown",
        }
    }
}

/// Proof of validity: one order of operations per part.
///
/// Each order contains every operation of its part that completed `ok`, perhaps some that are
/// indeterminate, and no failed one; it respects the order that the consistency demands; and the
/// model, stepped through it from its initial state, agrees with every result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// One entry per independent part of the history, in the order of the parts' first operations.
    pub parts: Vec<Part>,
}

/// The order of one independent part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The key that the part is about; `None` if the history is one whole.
    pub key: Option<Value>,
    /// The operations, first to last.
    pub order: Vec<OpId>,
}

/// Proof of a violation.
///
/// The claim: take the history's operations on `key`; demand only that the operations of
/// [`Witness::core`] take effect, exactly once each, between their invocations and their
/// completions; let every other operation take effect within its own interval any number of times,
/// or not at all. Then there is still no order that the model accepts. The core is minimal: without
/// any one of its operations the claim fails (unless [`Witness::minimal`] says that time ran out).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The part of the history that the violation is in.
    pub key: Option<Value>,
    /// The operations that cannot all be placed, in the order of their invocations.
    pub core: Vec<OpId>,
    /// The member of the core that the explanation is about.
    pub failed: OpId,
    /// Values that matter, where the model allows every other value to be left out of account
    /// (distinct values in a register, queue, stack, priority queue or set); `None` where it does
    /// not, and the claim holds for the part as it stands.
    pub values: Option<Vec<Value>>,
    /// The states in which the failed operation could have found the object, shown as text, with
    /// the demand that it fits left out.
    pub states_seen: Vec<String>,
    /// Whether the core was minimized to the end.
    pub minimal: bool,
    /// The explanation: one sentence each.
    pub sentences: Vec<String>,
}

/// Why there is no verdict, how far it got, and what to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Which budget ran out.
    pub reason: Reason,
    /// The part that was not decided.
    pub key: Option<Value>,
    /// Operations of that part that the deepest attempt placed.
    pub placed: usize,
    /// Operations of that part.
    pub total: usize,
    /// Configurations explored.
    pub configurations: u64,
    /// Memory that the engines held when they gave up, in bytes, about; the limit at most.
    pub memory_bytes: usize,
    /// Parts already found valid, and parts in all.
    pub parts: (usize, usize),
    /// What to try next, in sentences.
    pub advice: String,
}

/// The budget that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The time limit.
    Time,
    /// The memory limit.
    Memory,
    /// The caller's cancellation: Ctrl-C.
    Interrupted,
    /// More operations open at once than the engines can tell apart.
    Concurrency,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Time => "the time limit was reached",
            Reason::Memory => "the memory limit was reached",
            Reason::Interrupted => "it was interrupted",
            Reason::Concurrency => "more operations are open at once than the engines can tell apart",
        })
    }
}
