//! The anomalies that can be planted: for each the transactions, why they break what it is named for, and
//! nothing weaker.
//!
//! In the diagrams `w x 1` appends 1 to the list x, or writes it to the register x; `r x [1 2]` reads the
//! list, or the last of these values from the register, `[]` being nil. All transactions of a diagram run
//! at once, each in a session of its own, but for two: `T1 => T2` runs both in one session, `T1 .. T2` in
//! two sessions with T1 complete before T2 is invoked. Aborted ones are marked `fail`.
//!
//! A transaction that only observes shows the order of a list's elements, and that all of them were
//! committed. It comes last in every order and is part of no cycle.
//!
//! Names are Elle's where it has one. Levels are Adya's (*Weak Consistency*, 1999) and those of Cerone,
//! Bernardi and Gotsman (*A Framework for Transactional Consistency Models with Atomic Visibility*, 2015);
//! read committed is also meant in the sense of Biswas and Enea (*On the Complexity of Checking
//! Transactional Consistency*, 2019), where what a transaction reads first bears upon what it may read
//! later. The tests hold every diagram to these levels, by trying all orders.

use super::Kind;
use shakedown_checkers::history::OpId;

/// Which operations of a history were planted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// T1, T2, … of the diagram; empty if nothing was planted.
    pub transactions: Vec<OpId>,
}

/// What goes wrong, exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlantedAnomaly {
    /// Dirty write: two transactions overwrite each other. A cycle of write dependencies alone, which read
    /// uncommitted forbids already. Lists only: nobody sees the order in which a register was written.
    ///
    /// ```text
    /// T1: w x 1, w y 1
    /// T2: w x 2, w y 2
    /// T3: r x [1 2], r y [2 1]      (observes)
    /// T1 -ww x-> T2 -ww y-> T1
    /// ```
    G0,
    /// The two writes of a session land in the other order. Without the session's order T2 simply came
    /// first. Lists only.
    ///
    /// ```text
    /// T1: w x 1  =>  T2: w x 2
    /// T3: r x [2 1]                 (observes)
    /// T2 -ww x-> T1 -session-> T2
    /// ```
    G0Process,
    /// The same in two sessions, one after the other in real time.
    ///
    /// ```text
    /// T1: w x 1  ..  T2: w x 2
    /// T3: r x [2 1]                 (observes)
    /// T2 -ww x-> T1 -real time-> T2
    /// ```
    G0Realtime,
    /// Aborted read: somebody sees a write that never took effect. No level but read uncommitted allows
    /// it. There is no cycle.
    ///
    /// ```text
    /// T1: w x 1    fail
    /// T2: r x [1]
    /// ```
    G1a,
    /// Intermediate read: somebody sees a value that its own writer replaced before it committed. Every
    /// level from read committed up forbids it. By the order of versions T2 also comes both after T1 and
    /// before it, which is what makes the read intermediate.
    ///
    /// ```text
    /// T1: w x 1, w x 2
    /// T2: r x [1]
    /// T3: r x [1 2]                 (observes)
    /// ```
    G1b,
    /// Circular information flow: each has read what the other wrote. A cycle of read dependencies alone,
    /// which read committed forbids; no write is overwritten, so that read uncommitted allows it.
    ///
    /// ```text
    /// T1: w x 1, r y [1]
    /// T2: w y 1, r x [1]
    /// T1 -wr x-> T2 -wr y-> T1
    /// ```
    G1c,
    /// A session reads what it only writes afterwards. Without the session's order T2 simply came first.
    ///
    /// ```text
    /// T1: r x [1]  =>  T2: w x 1
    /// T2 -wr x-> T1 -session-> T2
    /// ```
    G1cProcess,
    /// The same in two sessions: T1 had completed before T2 was invoked.
    ///
    /// ```text
    /// T1: r x [1]  ..  T2: w x 1
    /// T2 -wr x-> T1 -real time-> T2
    /// ```
    G1cRealtime,
    /// Read skew in its weakest form: T2 overwrites what T1 wrote to y, but reads x from before T1. One
    /// anti-dependency, which consistent view and parallel snapshot isolation forbid, and snapshot
    /// isolation with them. Causal consistency allows it, for T2 has read nothing of T1; if T2 had
    /// ([`PlantedAnomaly::FracturedRead`]), read atomic would break. The observer is needed here: of a
    /// register it says, by reading x from T1 and y from T2, that T1's y cannot be the last.
    ///
    /// ```text
    /// T1: w x 1, w y 1
    /// T2: r x [], w y 2
    /// T3: r x [1], r y [1 2]        (observes)
    /// T1 -ww y-> T2 -rw x-> T1
    /// ```
    GSingle,
    /// A session does not read its own write of before. Without the session's order T2 simply came first.
    ///
    /// ```text
    /// T1: w x 1  =>  T2: r x []
    /// T3: r x [1]                   (observes)
    /// T2 -rw x-> T1 -session-> T2
    /// ```
    GSingleProcess,
    /// A stale read: T1 had completed before T2 was invoked, in another session.
    ///
    /// ```text
    /// T1: w x 1  ..  T2: r x []
    /// T3: r x [1]                   (observes)
    /// T2 -rw x-> T1 -real time-> T2
    /// ```
    GSingleRealtime,
    /// A cycle with two anti-dependencies that are not adjacent: two readers disagree on which of two
    /// writers came first. Snapshot isolation forbids it; parallel snapshot isolation, where each site has
    /// its own order, allows it, and there is no cycle with one anti-dependency. Unlike in
    /// [`PlantedAnomaly::LongFork`], T3 learns of T1 through T2, so that no two reads are of the same two
    /// keys.
    ///
    /// ```text
    /// T1: w x 1
    /// T2: r x [1], w z 1
    /// T3: r z [1], r y []
    /// T4: w y 1
    /// T5: r y [1], r x []
    /// T1 -wr x-> T2 -wr z-> T3 -rw y-> T4 -wr y-> T5 -rw x-> T1
    /// ```
    GNonadjacent,
    /// The long fork of sessions: T1 and T2 of one session have seen z, but not x; T4 has seen T3, which
    /// wrote x, but not z. Without the session's order T2, T3, T4, T1 explains everything.
    ///
    /// ```text
    /// T1: w z 1  =>  T2: r x []
    /// T3: w x 1, w y 1
    /// T4: r y [1], r z []
    /// T5: r x [1], r z [1]          (observes)
    /// T2 -rw x-> T3 -wr y-> T4 -rw z-> T1 -session-> T2
    /// ```
    GNonadjacentProcess,
    /// The same in two sessions, T1 having completed before T2 was invoked.
    ///
    /// ```text
    /// T1: w z 1  ..  T2: r x []
    /// T3: w x 1, w y 1
    /// T4: r y [1], r z []
    /// T5: r x [1], r z [1]          (observes)
    /// T2 -rw x-> T3 -wr y-> T4 -rw z-> T1 -real time-> T2
    /// ```
    GNonadjacentRealtime,
    /// A ring of three, each missing the next one's write. A cycle of anti-dependencies alone, all adjacent:
    /// serializability forbids it (and repeatable read); snapshot isolation allows it, all three having read
    /// before any committed.
    ///
    /// ```text
    /// T1: r x [], w y 1
    /// T2: r y [], w z 1
    /// T3: r z [], w x 1
    /// T4: r x [1], r y [1], r z [1] (observes)
    /// T1 -rw x-> T3 -rw z-> T2 -rw y-> T1
    /// ```
    G2Item,
    /// Two adjacent anti-dependencies, closed by a session's order: T2 has not seen T3's write, T3 has not
    /// seen T1's, yet T1 came before T2. Snapshot isolation allows it, its strong form included: T3
    /// started before T1 committed, and committed after T2 started. Without the session's order T2, T3, T1
    /// explains everything.
    ///
    /// ```text
    /// T1: w y 1  =>  T2: r x []
    /// T3: r y [], w x 1
    /// T4: r x [1], r y [1]          (observes)
    /// T2 -rw x-> T3 -rw y-> T1 -session-> T2
    /// ```
    G2ItemProcess,
    /// The same in two sessions, T1 having completed before T2 was invoked: what strict serializability
    /// forbids, and serializability does not.
    ///
    /// ```text
    /// T1: w y 1  ..  T2: r x []
    /// T3: r y [], w x 1
    /// T4: r x [1], r y [1]          (observes)
    /// T2 -rw x-> T3 -rw y-> T1 -real time-> T2
    /// ```
    G2ItemRealtime,
    /// Two transactions read the same version and both replace it (P4 of Berenson et al. 1995). Whichever
    /// came second missed the first: one anti-dependency, which parallel snapshot isolation forbids and
    /// causal consistency allows.
    ///
    /// ```text
    /// T1: r x [], w x 1
    /// T2: r x [], w x 2
    /// T3: r x [1 2]                 (observes)
    /// T1 -ww x-> T2 -rw x-> T1
    /// ```
    LostUpdate,
    /// Two read both keys, then each writes another one (A5B of Berenson et al. 1995). Two adjacent
    /// anti-dependencies: serializability forbids it, snapshot isolation allows it.
    ///
    /// ```text
    /// T1: r x [], r y [], w x 1
    /// T2: r x [], r y [], w y 1
    /// T3: r x [1], r y [1]          (observes)
    /// T1 -rw y-> T2 -rw x-> T1
    /// ```
    WriteSkew,
    /// Two writers, and two readers who each saw one of them only (Sovran et al. 2011, as in Jepsen's
    /// workload of this name). Snapshot isolation forbids it, parallel snapshot isolation allows it.
    ///
    /// ```text
    /// T1: w x 1
    /// T2: w y 1
    /// T3: r x [1], r y []
    /// T4: r x [], r y [1]
    /// T1 -wr x-> T3 -rw y-> T2 -wr y-> T4 -rw x-> T1
    /// ```
    LongFork,
    /// A transaction does not read its own write of just before. No order of transactions can help: every
    /// level asks for more.
    ///
    /// ```text
    /// T1: w x 1, r x []
    /// ```
    Internal,
    /// A committed append on top of an aborted one: the abort was not undone. The reader has read an
    /// aborted element, too, though not the last one. Lists only.
    ///
    /// ```text
    /// T1: w x 1    fail
    /// T2: w x 2
    /// T3: r x [1 2]
    /// ```
    DirtyUpdate,
    /// An element that was appended once stands twice in a list. Lists only.
    ///
    /// ```text
    /// T1: w x 1
    /// T2: r x [1 1]
    /// ```
    DuplicateElements,
    /// Two readers see a list's elements in two orders, so that no order of versions explains both. Lists
    /// only.
    ///
    /// ```text
    /// T1: w x 1
    /// T2: w x 2
    /// T3: r x [1 2]
    /// T4: r x [2 1]
    /// ```
    IncompatibleOrder,
    /// A transaction reads what it writes later. It would have to come before itself.
    ///
    /// ```text
    /// T1: r x [1], w x 1
    /// ```
    FutureRead,
    /// A transaction reads a value that nobody wrote.
    ///
    /// ```text
    /// T1: r x [1]
    /// ```
    GarbageRead,
    /// Two transactions each replace the version that the other one wrote: by writes following reads, each
    /// version is older than the other. That each read from the other is inevitable, so that it is G1c as
    /// well. Registers only.
    ///
    /// ```text
    /// T1: r x [1], w x 2
    /// T2: r x [2], w x 1
    /// ```
    CyclicVersions,
    /// T2 sees one write of T1 and not the other (Bailis et al. 2014): read atomic forbids it. The write that
    /// it misses is read before the one that it sees, which read committed allows: T1 committed in between.
    ///
    /// ```text
    /// T1: w x 1, w y 1
    /// T2: r y [], r x [1]
    /// T3: r x [1], r y [1]          (observes)
    /// T1 -wr x-> T2 -rw y-> T1
    /// ```
    FracturedRead,
    /// T2 has seen T1, and then reads from before it. Monotonic atomic view forbids it (Bailis et al. 2013),
    /// and read committed in the sense of Biswas and Enea; Adya's read committed does not.
    ///
    /// ```text
    /// T1: w x 1, w y 1
    /// T2: r x [1], r y []
    /// T3: r x [1], r y [1]          (observes)
    /// T1 -wr x-> T2 -rw y-> T1
    /// ```
    NonMonotonicRead,
    /// T3 sees the reply y without the question x. Causal consistency forbids it. T3 has read nothing of T1
    /// itself, so that read atomic allows it.
    ///
    /// ```text
    /// T1: w x 1
    /// T2: r x [1], w y 1
    /// T3: r y [1], r x []
    /// T1 -wr x-> T2 -wr y-> T3 -rw x-> T1
    /// ```
    CausalityViolation,
}

impl PlantedAnomaly {
    /// All of them.
    pub const ALL: [PlantedAnomaly; 30] = [
        PlantedAnomaly::G0,
        PlantedAnomaly::G0Process,
        PlantedAnomaly::G0Realtime,
        PlantedAnomaly::G1a,
        PlantedAnomaly::G1b,
        PlantedAnomaly::G1c,
        PlantedAnomaly::G1cProcess,
        PlantedAnomaly::G1cRealtime,
        PlantedAnomaly::GSingle,
        PlantedAnomaly::GSingleProcess,
        PlantedAnomaly::GSingleRealtime,
        PlantedAnomaly::GNonadjacent,
        PlantedAnomaly::GNonadjacentProcess,
        PlantedAnomaly::GNonadjacentRealtime,
        PlantedAnomaly::G2Item,
        PlantedAnomaly::G2ItemProcess,
        PlantedAnomaly::G2ItemRealtime,
        PlantedAnomaly::LostUpdate,
        PlantedAnomaly::WriteSkew,
        PlantedAnomaly::LongFork,
        PlantedAnomaly::Internal,
        PlantedAnomaly::DirtyUpdate,
        PlantedAnomaly::DuplicateElements,
        PlantedAnomaly::IncompatibleOrder,
        PlantedAnomaly::FutureRead,
        PlantedAnomaly::GarbageRead,
        PlantedAnomaly::CyclicVersions,
        PlantedAnomaly::FracturedRead,
        PlantedAnomaly::NonMonotonicRead,
        PlantedAnomaly::CausalityViolation,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            PlantedAnomaly::G0 => "G0",
            PlantedAnomaly::G0Process => "G0-process",
            PlantedAnomaly::G0Realtime => "G0-realtime",
            PlantedAnomaly::G1a => "G1a",
            PlantedAnomaly::G1b => "G1b",
            PlantedAnomaly::G1c => "G1c",
            PlantedAnomaly::G1cProcess => "G1c-process",
            PlantedAnomaly::G1cRealtime => "G1c-realtime",
            PlantedAnomaly::GSingle => "G-single",
            PlantedAnomaly::GSingleProcess => "G-single-process",
            PlantedAnomaly::GSingleRealtime => "G-single-realtime",
            PlantedAnomaly::GNonadjacent => "G-nonadjacent",
            PlantedAnomaly::GNonadjacentProcess => "G-nonadjacent-process",
            PlantedAnomaly::GNonadjacentRealtime => "G-nonadjacent-realtime",
            PlantedAnomaly::G2Item => "G2-item",
            PlantedAnomaly::G2ItemProcess => "G2-item-process",
            PlantedAnomaly::G2ItemRealtime => "G2-item-realtime",
            PlantedAnomaly::LostUpdate => "lost-update",
            PlantedAnomaly::WriteSkew => "write-skew",
            PlantedAnomaly::LongFork => "long-fork",
            PlantedAnomaly::Internal => "internal",
            PlantedAnomaly::DirtyUpdate => "dirty-update",
            PlantedAnomaly::DuplicateElements => "duplicate-elements",
            PlantedAnomaly::IncompatibleOrder => "incompatible-order",
            PlantedAnomaly::FutureRead => "future-read",
            PlantedAnomaly::GarbageRead => "garbage-read",
            PlantedAnomaly::CyclicVersions => "cyclic-versions",
            PlantedAnomaly::FracturedRead => "fractured-read",
            PlantedAnomaly::NonMonotonicRead => "non-monotonic-read",
            PlantedAnomaly::CausalityViolation => "causality-violation",
        }
    }

    /// Whether keys of that kind can show it.
    pub fn fits(self, kind: Kind) -> bool {
        match self {
            PlantedAnomaly::G0
            | PlantedAnomaly::G0Process
            | PlantedAnomaly::G0Realtime
            | PlantedAnomaly::DirtyUpdate
            | PlantedAnomaly::DuplicateElements
            | PlantedAnomaly::IncompatibleOrder => kind == Kind::ListAppend,
            PlantedAnomaly::CyclicVersions => kind == Kind::Register,
            _ => true,
        }
    }
}

/// The anomalies that a history of keys of that kind can have.
pub fn anomalies_for(kind: Kind) -> impl Iterator<Item = PlantedAnomaly> {
    PlantedAnomaly::ALL.into_iter().filter(move |anomaly| anomaly.fits(kind))
}
