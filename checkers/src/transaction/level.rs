//! Isolation levels, what each forbids, and which implies which.
//!
//! A level is a [`Base`] in one of three [modes](Variant): plain, where only the data counts;
//! *strong session*, where what a session did comes before what it does later (Daudjee & Salem 2004); and
//! *strong*, where what had completed comes before what begins after it. Strong serializable is better known
//! as strict serializable.
//!
//! Histories of items cannot show everything that tells the levels apart: there are no predicates, so that
//! repeatable read forbids all that serializability does; and nobody knows which reads went through a
//! cursor, so that cursor stability is judged as if all did.

use super::anomaly::Phenomenon;
use super::cycle::Variant;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What a level demands of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Base {
    /// PL-1 (Adya 1999).
    ReadUncommitted,
    /// PL-2 (Adya 1999).
    ReadCommitted,
    /// PL-2L (Adya 1999).
    MonotonicView,
    /// Once some of a transaction is seen, all of it is (Bailis et al. 2013). With sessions, the read committed of
    /// Biswas & Enea 2019, AWDIT, Plume and DBCop.
    MonotonicAtomicView,
    /// PL-CS (Adya 1999).
    CursorStability,
    /// PL-MSR (Adya 1999).
    MonotonicSnapshotRead,
    /// PL-2+ (Adya 1999).
    ConsistentView,
    /// PL-FCV (Adya 1999).
    ForwardConsistentView,
    /// PL-2.99 (Adya 1999).
    RepeatableRead,
    /// All of a transaction is seen or nothing (Cerone, Bernardi & Gotsman 2015).
    ReadAtomic,
    /// Whoever sees something sees what caused it (Cerone et al. 2015; Biswas & Enea 2019).
    Causal,
    /// Sovran et al. 2011.
    ParallelSnapshotIsolation,
    /// What is seen is a prefix of one order of commits (Cerone et al. 2015; Biswas & Enea 2019).
    Prefix,
    /// Berenson et al. 1995; generalized, any earlier snapshot will do (Elnikety et al. 2005).
    SnapshotIsolation,
    /// PL-3U (Adya 1999).
    UpdateSerializable,
    /// PL-3 (Adya 1999), Papadimitriou 1979.
    Serializable,
    /// A session sees its own writes (Terry et al. 1994).
    ReadYourWrites,
    /// A session does not go back behind what it has read (Terry et al. 1994).
    MonotonicReads,
    /// A session's writes are seen in their order (Terry et al. 1994).
    MonotonicWrites,
    /// What a session writes is seen after what it had read (Terry et al. 1994).
    WritesFollowReads,
    /// The first three of those together (Lipton & Sandberg 1988; Brzezinski et al. 2004).
    Pram,
}

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Level {
    /// What it demands of the data.
    pub base: Base,
    /// Which orders beside the data it demands.
    pub mode: Variant,
}

use Base::{
    Causal, ConsistentView, CursorStability, ForwardConsistentView, MonotonicAtomicView, MonotonicReads,
    MonotonicSnapshotRead, MonotonicView, MonotonicWrites, ParallelSnapshotIsolation, Pram, Prefix,
    ReadAtomic, ReadCommitted, ReadUncommitted, ReadYourWrites, RepeatableRead, Serializable,
    SnapshotIsolation, UpdateSerializable, WritesFollowReads,
};

/// What implies what, directly, in the same mode: the stronger, the weaker, and who says so.
pub const ARROWS: &[(Base, Base, &str)] = &[
    (ReadCommitted, ReadUncommitted, "Adya 1999"),
    (MonotonicView, ReadCommitted, "Adya 1999"),
    (MonotonicAtomicView, ReadCommitted, "Bailis et al. 2013"),
    (CursorStability, ReadCommitted, "Adya 1999"),
    (MonotonicSnapshotRead, ReadCommitted, "Adya 1999"),
    (ConsistentView, CursorStability, "Adya 1999"),
    (ConsistentView, MonotonicView, "Adya 1999"),
    (ForwardConsistentView, ConsistentView, "Adya 1999"),
    (RepeatableRead, CursorStability, "Adya 1999"),
    (RepeatableRead, MonotonicAtomicView, "Bailis et al. 2013"),
    (ReadAtomic, MonotonicAtomicView, "Cerone et al. 2015"),
    (ReadAtomic, ReadYourWrites, "Biswas & Enea 2019: a session sees what it did"),
    (Causal, ReadAtomic, "Cerone et al. 2015"),
    (Causal, WritesFollowReads, "Brzezinski et al. 2004"),
    (Causal, Pram, "Brzezinski et al. 2004"),
    (Pram, ReadYourWrites, "Brzezinski et al. 2004"),
    (Pram, MonotonicReads, "Brzezinski et al. 2004"),
    (Pram, MonotonicWrites, "Brzezinski et al. 2004"),
    (ParallelSnapshotIsolation, Causal, "Cerone et al. 2015"),
    (ParallelSnapshotIsolation, ConsistentView, "no cycle with one anti-dependency, in both"),
    (Prefix, Causal, "Cerone et al. 2015"),
    (SnapshotIsolation, ForwardConsistentView, "Adya 1999"),
    (SnapshotIsolation, MonotonicSnapshotRead, "Adya 1999"),
    (SnapshotIsolation, ParallelSnapshotIsolation, "Cerone et al. 2015"),
    (SnapshotIsolation, Prefix, "Cerone et al. 2015"),
    (UpdateSerializable, ForwardConsistentView, "Adya 1999"),
    (Serializable, RepeatableRead, "Adya 1999"),
    (Serializable, UpdateSerializable, "Adya 1999"),
    (Serializable, SnapshotIsolation, "Cerone et al. 2015"),
];

/// Every base, weaker ones before those that imply them.
pub const BASES: [Base; 21] = [
    ReadUncommitted,
    ReadCommitted,
    MonotonicView,
    MonotonicAtomicView,
    CursorStability,
    MonotonicSnapshotRead,
    ConsistentView,
    ForwardConsistentView,
    RepeatableRead,
    ReadYourWrites,
    ReadAtomic,
    MonotonicReads,
    MonotonicWrites,
    WritesFollowReads,
    Pram,
    Causal,
    ParallelSnapshotIsolation,
    Prefix,
    SnapshotIsolation,
    UpdateSerializable,
    Serializable,
];

impl Base {
    /// Its name, without a mode.
    pub fn name(self) -> &'static str {
        match self {
            ReadUncommitted => "read-uncommitted",
            ReadCommitted => "read-committed",
            MonotonicView => "monotonic-view",
            MonotonicAtomicView => "monotonic-atomic-view",
            CursorStability => "cursor-stability",
            MonotonicSnapshotRead => "monotonic-snapshot-read",
            ConsistentView => "consistent-view",
            ForwardConsistentView => "forward-consistent-view",
            RepeatableRead => "repeatable-read",
            ReadAtomic => "read-atomic",
            Causal => "causal",
            ParallelSnapshotIsolation => "parallel-snapshot-isolation",
            Prefix => "prefix",
            SnapshotIsolation => "snapshot-isolation",
            UpdateSerializable => "update-serializable",
            Serializable => "serializable",
            ReadYourWrites => "read-your-writes",
            MonotonicReads => "monotonic-reads",
            MonotonicWrites => "monotonic-writes",
            WritesFollowReads => "writes-follow-reads",
            Pram => "pram",
        }
    }

    /// The modes in which it is a level of ours. Causality and the guarantees of sessions have no meaning
    /// without sessions.
    pub fn modes(self) -> &'static [Variant] {
        match self {
            ReadUncommitted | ReadCommitted | SnapshotIsolation | Serializable => &Variant::ALL,
            MonotonicAtomicView | ReadAtomic | ParallelSnapshotIsolation | Prefix => {
                &[Variant::Plain, Variant::Process]
            }
            Causal | ReadYourWrites | MonotonicReads | MonotonicWrites | WritesFollowReads | Pram => {
                &[Variant::Process]
            }
            MonotonicView
            | CursorStability
            | MonotonicSnapshotRead
            | ConsistentView
            | ForwardConsistentView
            | RepeatableRead
            | UpdateSerializable => &[Variant::Plain],
        }
    }

    /// True if `other` is implied, in the same mode; so is each by itself.
    pub fn implies(self, other: Base) -> bool {
        // The graph is small and has no cycle: depth first, without remembering.
        let mut front = vec![self];
        while let Some(base) = front.pop() {
            if base == other {
                return true;
            }
            front.extend(ARROWS.iter().filter(|arrow| arrow.0 == base).map(|arrow| arrow.1));
        }
        false
    }

    /// What it forbids beyond what the weaker ones do. Of a level in a mode, all variants up to that mode.
    fn forbids(self) -> &'static [Phenomenon] {
        use Phenomenon as P;
        match self {
            ReadUncommitted => &[P::GarbageRead, P::DuplicateElements, P::G0],
            ReadCommitted => &[
                P::G1a,
                P::G1b,
                P::G1c,
                P::DirtyUpdate,
                P::IncompatibleOrder,
                P::FutureRead,
                P::LostOwnWrite,
                P::CyclicVersions,
            ],
            MonotonicView | MonotonicAtomicView => &[P::NonMonotonicRead],
            ReadAtomic => &[P::FracturedRead, P::Internal],
            Causal => &[P::CausalityViolation],
            CursorStability => &[P::LostUpdate],
            ConsistentView => &[P::GSingle, P::FracturedRead, P::CausalityViolation, P::Internal],
            ParallelSnapshotIsolation => &[P::GSingle, P::LostUpdate, P::CausalityViolation],
            Prefix => &[P::GPrefix],
            SnapshotIsolation => &[P::GNonadjacent],
            UpdateSerializable => &[P::GUpdate],
            // Every cycle with an anti-dependency is one of G2-item, in Adya's sense.
            RepeatableRead => &[
                P::G2Item,
                P::GSingle,
                P::GPrefix,
                P::GNonadjacent,
                P::GUpdate,
                P::FracturedRead,
                P::CausalityViolation,
                P::Internal,
            ],
            ForwardConsistentView | MonotonicSnapshotRead | Serializable => &[],
            ReadYourWrites => &[P::StaleOwnWrite],
            MonotonicReads => &[P::NonMonotonicSession],
            MonotonicWrites => &[P::NonMonotonicWrites],
            WritesFollowReads => &[P::WriteWithoutReads],
            Pram => &[],
        }
    }
}

impl Level {
    /// The strongest.
    pub const STRICT_SERIALIZABLE: Level = Level { base: Serializable, mode: Variant::Realtime };

    /// All levels, weaker bases first, and of one base the weaker modes.
    pub fn all() -> Vec<Level> {
        BASES
            .into_iter()
            .flat_map(|base| base.modes().iter().map(move |mode| Level { base, mode: *mode }))
            .collect()
    }

    /// True if every history that is correct under this level is so under the other.
    pub fn implies(self, other: Level) -> bool {
        self.mode >= other.mode && self.base.implies(other.base)
    }

    /// True if no history that is correct under this level shows that.
    pub fn forbids(self, phenomenon: Phenomenon, variant: Variant) -> bool {
        variant <= self.mode
            && BASES.iter().any(|base| base.forbids().contains(&phenomenon) && self.base.implies(*base))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match (self.base, self.mode) {
            (_, Variant::Plain) => "",
            (base, Variant::Process) if base.modes().len() == 1 => "",
            (_, Variant::Process) => "strong-session-",
            (Serializable, Variant::Realtime) => "strict-",
            (_, Variant::Realtime) => "strong-",
        };
        f.pad(&format!("{prefix}{}", self.base.name()))
    }
}

/// A name that no level has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no consistency model {0}")]
pub struct UnknownLevel(pub String);

impl FromStr for Level {
    type Err = UnknownLevel;

    /// By its name, or by those that Adya, Elle and AWDIT have for it: `PL-2`, `strong-serializable`, `ra`.
    fn from_str(text: &str) -> Result<Level, UnknownLevel> {
        let name = text.trim().trim_start_matches(':').to_ascii_lowercase().replace('_', "-");
        if let Some(level) = Level::all().into_iter().find(|level| level.to_string() == name) {
            return Ok(level);
        }
        let plain = |base| Level { base, mode: Variant::Plain };
        let session = |base| Level { base, mode: Variant::Process };
        let strong = |base| Level { base, mode: Variant::Realtime };
        Ok(match name.as_str() {
            "pl-1" => plain(ReadUncommitted),
            "pl-2" | "rc" => plain(ReadCommitted),
            "pl-2l" => plain(MonotonicView),
            "pl-cs" => plain(CursorStability),
            "pl-msr" => plain(MonotonicSnapshotRead),
            "pl-2+" => plain(ConsistentView),
            "pl-fcv" => plain(ForwardConsistentView),
            "pl-2.99" | "rr" => plain(RepeatableRead),
            "pl-si" | "si" => plain(SnapshotIsolation),
            "pl-3u" => plain(UpdateSerializable),
            "pl-3" | "ser" | "conflict-serializable" | "view-serializable" | "1sr" => plain(Serializable),
            "pl-ss" | "strong-serializable" => strong(Serializable),
            "strong-pl-1" => strong(ReadUncommitted),
            "strong-pl-2" => strong(ReadCommitted),
            "strong-session-pl-1" => session(ReadUncommitted),
            "strong-session-pl-2" => session(ReadCommitted),
            "session-serializable" => session(Serializable),
            "ra" => plain(ReadAtomic),
            "mav" => plain(MonotonicAtomicView),
            "psi" => plain(ParallelSnapshotIsolation),
            "pc" => plain(Prefix),
            "cc" | "causal-cerone" | "strong-session-causal" => session(Causal),
            _ => return Err(UnknownLevel(text.to_owned())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_their_own_and_read_back() {
        let all = Level::all();
        for (i, level) in all.iter().enumerate() {
            assert_eq!(level.to_string().parse(), Ok(*level));
            assert!(all[..i].iter().all(|other| other.to_string() != level.to_string()), "{level}");
        }
        assert_eq!(Level::STRICT_SERIALIZABLE.to_string(), "strict-serializable");
        assert_eq!("PL-SS".parse(), Ok(Level::STRICT_SERIALIZABLE));
        assert_eq!(":strong_serializable".parse(), Ok(Level::STRICT_SERIALIZABLE));
        assert!("serialisable".parse::<Level>().is_err());
    }

    #[test]
    fn implication_is_an_order_and_strict_serializability_is_at_its_top() {
        let all = Level::all();
        for a in &all {
            assert!(a.implies(*a) && Level::STRICT_SERIALIZABLE.implies(*a));
            for b in &all {
                assert!(a == b || !(a.implies(*b) && b.implies(*a)), "{a} and {b}");
                for c in all.iter().filter(|c| a.implies(*b) && b.implies(**c)) {
                    assert!(a.implies(*c), "{a} {b} {c}");
                }
            }
        }
        // Bases are listed weaker ones first.
        for (stronger, weaker, _) in ARROWS {
            let at = |base: &Base| BASES.iter().position(|b| b == base).expect("listed");
            assert!(at(weaker) < at(stronger), "{stronger:?} implies {weaker:?}");
        }
    }

    #[test]
    fn a_stronger_level_forbids_all_that_a_weaker_one_does() {
        for a in Level::all() {
            for b in Level::all().into_iter().filter(|b| a.implies(*b)) {
                for phenomenon in Phenomenon::ALL {
                    for variant in Variant::ALL {
                        assert!(!b.forbids(phenomenon, variant) || a.forbids(phenomenon, variant));
                    }
                }
            }
        }
        let level = |name: &str| name.parse::<Level>().expect(name);
        for (name, phenomenon, variant, expected) in [
            ("snapshot-isolation", Phenomenon::G2Item, Variant::Plain, false),
            ("snapshot-isolation", Phenomenon::GNonadjacent, Variant::Plain, true),
            ("snapshot-isolation", Phenomenon::GNonadjacent, Variant::Process, false),
            ("strong-session-snapshot-isolation", Phenomenon::GNonadjacent, Variant::Process, true),
            ("parallel-snapshot-isolation", Phenomenon::GNonadjacent, Variant::Plain, false),
            ("repeatable-read", Phenomenon::GSingle, Variant::Plain, true),
            ("read-committed", Phenomenon::GSingle, Variant::Plain, false),
            ("causal", Phenomenon::LostUpdate, Variant::Plain, false),
        ] {
            assert_eq!(level(name).forbids(phenomenon, variant), expected, "{name} {phenomenon:?}");
        }
    }
}
