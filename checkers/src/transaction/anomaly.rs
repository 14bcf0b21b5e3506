//! What can be wrong with a history of transactions, by the names that the field has for it.

use super::cycle::Variant;
use super::level::Level;
use super::proof::{Edge, Why};
use super::{KeyId, TxnId};
use crate::value::Value;

/// A kind of anomaly.
///
/// `G…` are Adya's (1999, §4; G-nonadjacent and the variants are Elle's), of items: a history of keys has
/// no predicates, so that G2 and G2-item are the same here, and what only a predicate could show is not
/// looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phenomenon {
    /// A read shows a value that nobody wrote.
    GarbageRead,
    /// A list shows an element twice.
    DuplicateElements,
    /// The versions of a key come before each other in a circle.
    CyclicVersions,
    /// Transactions overwrote each other in a circle.
    G0,
    /// A read shows what an aborted transaction wrote.
    G1a,
    /// A read shows what its writer overwrote before it committed.
    G1b,
    /// A committed version was made from an aborted one.
    DirtyUpdate,
    /// Two reads show a list in orders that cannot both be.
    IncompatibleOrder,
    /// A transaction read what it was to write itself later.
    FutureRead,
    /// A transaction did not see its own write.
    LostOwnWrite,
    /// Information flowed in a circle: writes and reads.
    G1c,
    /// A transaction saw one key as another left it, and then another key as it was before.
    NonMonotonicRead,
    /// A transaction saw some of another's writes and not the others.
    FracturedRead,
    /// A transaction read a key twice and saw two versions, though it wrote none in between.
    Internal,
    /// A session missed what it had written itself.
    StaleOwnWrite,
    /// A session went back behind what it had read before.
    NonMonotonicSession,
    /// A transaction saw a write of a session, and then missed what that session had written before.
    NonMonotonicWrites,
    /// A transaction saw a write, and then missed what its session had read before it.
    WriteWithoutReads,
    /// A transaction read a key and then wrote it, over a write in between that it had not seen: P4 of Berenson et
    /// al. (SIGMOD 1995), G-cursor of Adya (1999). Or two did so with one version, whichever of them came first.
    LostUpdate,
    /// A cycle with exactly one anti-dependency: read skew.
    GSingle,
    /// A cycle with several anti-dependencies, no two in a row: long fork.
    GNonadjacent,
    /// A cycle with two anti-dependencies in a row: write skew.
    G2Item,
    /// A transaction missed what was in its past: what its session had done or seen, and what had been
    /// seen by those.
    CausalityViolation,
    /// No prefix of one order of commits shows what the transactions saw.
    GPrefix,
    /// A cycle with anti-dependencies, and at most one transaction that wrote nothing.
    GUpdate,
    /// The versions seen cannot be put in any order that the level allows, though no single cycle says so.
    NoOrder,
}

impl Phenomenon {
    /// True of what is wrong with a session's guarantees.
    pub fn is_of_sessions(self) -> bool {
        matches!(
            self,
            Phenomenon::StaleOwnWrite
                | Phenomenon::NonMonotonicSession
                | Phenomenon::NonMonotonicWrites
                | Phenomenon::WriteWithoutReads
        )
    }

    /// All, the worst first; those last that few people know.
    pub const ALL: [Phenomenon; 26] = [
        Phenomenon::GarbageRead,
        Phenomenon::DuplicateElements,
        Phenomenon::CyclicVersions,
        Phenomenon::G0,
        Phenomenon::G1a,
        Phenomenon::G1b,
        Phenomenon::DirtyUpdate,
        Phenomenon::IncompatibleOrder,
        Phenomenon::FutureRead,
        Phenomenon::LostOwnWrite,
        Phenomenon::G1c,
        Phenomenon::NonMonotonicRead,
        Phenomenon::FracturedRead,
        Phenomenon::Internal,
        Phenomenon::StaleOwnWrite,
        Phenomenon::NonMonotonicSession,
        Phenomenon::NonMonotonicWrites,
        Phenomenon::WriteWithoutReads,
        Phenomenon::LostUpdate,
        Phenomenon::GSingle,
        Phenomenon::GNonadjacent,
        Phenomenon::G2Item,
        Phenomenon::CausalityViolation,
        Phenomenon::GPrefix,
        Phenomenon::GUpdate,
        Phenomenon::NoOrder,
    ];

    /// Its name: Elle's where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Phenomenon::GarbageRead => "garbage-read",
            Phenomenon::DuplicateElements => "duplicate-elements",
            Phenomenon::CyclicVersions => "cyclic-versions",
            Phenomenon::G0 => "G0",
            Phenomenon::G1a => "G1a",
            Phenomenon::G1b => "G1b",
            Phenomenon::DirtyUpdate => "dirty-update",
            Phenomenon::IncompatibleOrder => "incompatible-order",
            Phenomenon::FutureRead => "future-read",
            Phenomenon::LostOwnWrite => "lost-own-write",
            Phenomenon::G1c => "G1c",
            Phenomenon::NonMonotonicRead => "non-monotonic-read",
            Phenomenon::FracturedRead => "fractured-read",
            Phenomenon::Internal => "internal",
            Phenomenon::StaleOwnWrite => "read-your-writes-violation",
            Phenomenon::NonMonotonicSession => "monotonic-reads-violation",
            Phenomenon::NonMonotonicWrites => "monotonic-writes-violation",
            Phenomenon::WriteWithoutReads => "writes-follow-reads-violation",
            Phenomenon::CausalityViolation => "causality-violation",
            Phenomenon::LostUpdate => "lost-update",
            Phenomenon::GSingle => "G-single",
            Phenomenon::GPrefix => "G-prefix",
            Phenomenon::GNonadjacent => "G-nonadjacent",
            Phenomenon::GUpdate => "G-update",
            Phenomenon::G2Item => "G2-item",
            Phenomenon::NoOrder => "no-order",
        }
    }

    /// What it is, in a few words.
    pub fn summary(self) -> &'static str {
        match self {
            Phenomenon::GarbageRead => "a read shows a value that nobody wrote",
            Phenomenon::DuplicateElements => "a list shows an element twice",
            Phenomenon::CyclicVersions => "versions of a key come before each other in a circle",
            Phenomenon::G0 => "transactions overwrote each other in a circle",
            Phenomenon::G1a => "a read shows what an aborted transaction wrote",
            Phenomenon::G1b => "a read shows what its writer overwrote before it committed",
            Phenomenon::DirtyUpdate => "a committed version was made from an aborted one",
            Phenomenon::IncompatibleOrder => "two reads show a list in orders that cannot both be",
            Phenomenon::FutureRead => "a transaction read what it was to write itself later",
            Phenomenon::LostOwnWrite => "a transaction did not see its own write",
            Phenomenon::G1c => "information flowed in a circle",
            Phenomenon::NonMonotonicRead => {
                "a transaction saw another's write, and then a key as it was before that one"
            }
            Phenomenon::FracturedRead => "a transaction saw some of another's writes and not the others",
            Phenomenon::Internal => "a transaction read a key twice and saw two versions",
            Phenomenon::StaleOwnWrite => "a session missed what it had written itself",
            Phenomenon::NonMonotonicSession => "a session went back behind what it had read",
            Phenomenon::NonMonotonicWrites => {
                "a transaction saw a session's write, and then missed an earlier one of it"
            }
            Phenomenon::WriteWithoutReads => {
                "a transaction saw a write, and then missed what its session had read before"
            }
            Phenomenon::CausalityViolation => "a transaction missed what was in its past",
            Phenomenon::LostUpdate => {
                "a transaction read a key and wrote it, over a write in between that it had not seen"
            }
            Phenomenon::GSingle => "a cycle with exactly one anti-dependency",
            Phenomenon::GPrefix => "no prefix of one order of commits shows what was seen",
            Phenomenon::GNonadjacent => "a cycle with several anti-dependencies, no two in a row",
            Phenomenon::GUpdate => {
                "a cycle with anti-dependencies, and at most one transaction that wrote nothing"
            }
            Phenomenon::G2Item => "a cycle with two anti-dependencies in a row",
            Phenomenon::NoOrder => "no order of the versions explains what was seen",
        }
    }
}

/// Names that ask for other anomalies, or for several: Adya's, Elle's, and those of special cases.
///
/// Of Adya's conditions on snapshot isolation (1999, §4.3.1), G-SIa is a dependency on what had not committed when the
/// transaction started, and G-SIb a cycle with exactly one anti-dependency, start-dependencies included. Starts and
/// commits are not in a history of clients: what it can show of the first is that transactions depend on each other
/// in a circle, of the second G-single (as Elle's table of implied anomalies has it).
const OTHER_NAMES: [(&str, &[Phenomenon]); 12] = [
    ("G1", &[Phenomenon::G1a, Phenomenon::G1b, Phenomenon::G1c]),
    // Any cycle with anti-dependencies (Adya 1999, §4.2.3); histories of keys have no predicates.
    ("G2", &[Phenomenon::G2Item, Phenomenon::GNonadjacent, Phenomenon::GSingle]),
    ("G-single-item", &[Phenomenon::GSingle]),
    ("G-nonadjacent-item", &[Phenomenon::GNonadjacent]),
    ("read-skew", &[Phenomenon::GSingle]),
    ("long-fork", &[Phenomenon::GNonadjacent]),
    ("write-skew", &[Phenomenon::G2Item]),
    ("GSIa", &[Phenomenon::G0, Phenomenon::G1c]),
    ("G-SIa", &[Phenomenon::G0, Phenomenon::G1c]),
    ("GSIb", &[Phenomenon::GSingle]),
    ("G-SIb", &[Phenomenon::GSingle]),
    ("GSI", &[Phenomenon::G0, Phenomenon::G1c, Phenomenon::GSingle]),
];

/// Every name that [`lookup`] knows, without `-process` and `-realtime`.
pub fn names() -> impl Iterator<Item = &'static str> {
    Phenomenon::ALL.into_iter().map(Phenomenon::name).chain(OTHER_NAMES.iter().map(|entry| entry.0))
}

/// The anomalies of that name, such as `G1c-process`; `None` if it is none.
///
/// A variant covers the plainer ones, in which an anomaly is reported that needs no more: whoever asks for
/// `G1c-process` is told of G1c. What is wrong with a session needs no `-process`.
pub fn lookup(name: &str) -> Option<Vec<(Phenomenon, Variant)>> {
    let (stem, variant) = match (name.strip_suffix("-process"), name.strip_suffix("-realtime")) {
        (Some(stem), _) => (stem, Variant::Process),
        (_, Some(stem)) => (stem, Variant::Realtime),
        (None, None) => (name, Variant::Plain),
    };
    let own = Phenomenon::ALL.into_iter().find(|phenomenon| phenomenon.name() == stem).map(|own| vec![own]);
    let phenomena = own.or_else(|| Some(OTHER_NAMES.iter().find(|entry| entry.0 == stem)?.1.to_vec()))?;
    // A session's guarantee is mostly broken between its transactions.
    let is_of_sessions = phenomena.iter().all(|phenomenon| phenomenon.is_of_sessions());
    let variant = if is_of_sessions { variant.max(Variant::Process) } else { variant };
    let variants = Variant::ALL.into_iter().filter(|plainer| *plainer <= variant).rev();
    Some(
        variants.flat_map(|variant| phenomena.iter().map(move |phenomenon| (*phenomenon, variant))).collect(),
    )
}

/// Something that was found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// What kind.
    pub phenomenon: Phenomenon,
    /// Whether sessions or real time are needed to see it.
    pub variant: Variant,
    /// What else it is called, if it is a well-known special case: `write-skew`, `long-fork`, `read-skew`.
    pub also: Option<&'static str>,
    /// The levels that it refutes, none of which implies another, where engines found it that were asked about
    /// those; empty if what it violates goes by its name.
    pub refuted: Vec<Level>,
    /// What shows it.
    pub evidence: Evidence,
}

/// What shows an anomaly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Each transaction must come before the next, and the last before the first.
    Cycle {
        /// The edges, each from where the one before led.
        edges: Vec<Edge>,
        /// False if a shorter one was not looked for to the end.
        is_shortest: bool,
    },
    /// A few transactions did with one key what no transaction may.
    Direct {
        /// The transactions: first the one that saw it, then those that it saw.
        txns: Vec<TxnId>,
        /// The key.
        key: KeyId,
        /// The values it is about, in the order that the sentence names them.
        values: Vec<Value>,
        /// What happened, without the full stop.
        sentence: String,
    },
    /// Cases, each of which leads to a cycle: see [`super::complete`].
    Cases {
        /// The transactions that are enough.
        txns: Vec<TxnId>,
        /// The cycles; edges that hold in a case alone say so in their reasons.
        lemmas: Vec<Vec<Edge>>,
    },
}

impl Anomaly {
    /// True if no history that shows it is correct under the level.
    pub fn violates(&self, level: Level) -> bool {
        if self.refuted.is_empty() {
            return level.forbids(self.phenomenon, self.variant);
        }
        self.refuted.iter().any(|refuted| level.implies(*refuted))
    }

    /// What it is, in a few words. An engine's cycle may have in a reason what makes it what it is.
    pub fn summary(&self) -> &'static str {
        let Evidence::Cycle { edges, .. } = &self.evidence else { return self.phenomenon.summary() };
        let is_anti = |i: usize| matches!(edges[i % edges.len()].why, Why::Missed { .. });
        if self.phenomenon != Phenomenon::G2Item || (0..edges.len()).any(|i| is_anti(i) && is_anti(i + 1)) {
            return self.phenomenon.summary();
        }
        "a cycle that takes two anti-dependencies, one of them in the reason for another edge"
    }

    /// The name with the variant: `G1c-process`.
    pub fn name(&self) -> String {
        let suffix = match self.variant {
            Variant::Plain => "",
            Variant::Process => "-process",
            Variant::Realtime => "-realtime",
        };
        format!("{}{suffix}", self.phenomenon.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_elle_and_of_the_reports_is_an_anomaly() {
        for name in names() {
            assert!(lookup(name).is_some_and(|found| !found.is_empty()), "{name}");
        }
        assert_eq!(lookup("write-skew"), Some(vec![(Phenomenon::G2Item, Variant::Plain)]));
        assert_eq!(lookup("GSIb"), lookup("G-single"));
        let both = vec![(Phenomenon::G0, Variant::Plain), (Phenomenon::G1c, Variant::Plain)];
        assert_eq!(lookup("GSIa"), Some(both));
        let process = vec![(Phenomenon::GSingle, Variant::Process), (Phenomenon::GSingle, Variant::Plain)];
        assert_eq!(lookup("read-skew-process"), Some(process));
        assert_eq!(lookup("G-singel"), None);
    }

    #[test]
    fn no_name_stands_for_two_things() {
        let mut all: Vec<&str> = names().collect();
        all.sort_unstable();
        let number = all.len();
        all.dedup();
        assert_eq!(all.len(), number);
    }
}
