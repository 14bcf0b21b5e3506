//! The simulated store: the versions of every key in the order of their commits, and who sees which.

use super::{Kind, Level, Transactional};
use crate::random::Random;

/// Sites of a store of which each site knows only a part.
const SITES: usize = 3;

/// The chance that a site, when a transaction starts there, has just learnt all that another one knows.
const LEARNS: f64 = 0.1;

/// The chance that one who may see the past does so, and how many commits back it is at most.
const LAGS: (f64, u64) = (0.5, 32);

/// The share, in quarters, of all transactions that a snapshot of [`Level::ReadAtomic`] holds.
const PICKED: u64 = 3;

/// A read or write of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Micro {
    pub(super) key: u32,
    pub(super) action: Action,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Overwrites a register with a value, or appends it to a list.
    Write(u32),
    /// Reads.
    Read(Seen),
}

/// What a read saw of what others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The oldest so many versions in the store: of a list all of them, of a register the last one. What
    /// the reader itself wrote before comes on top.
    Versions(u32),
    /// Exactly these values: of a list all of them, of a register the last one.
    Planted(&'static [u32]),
}

/// A value that somebody committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub(super) value: u32,
    /// When it was committed.
    commit: i64,
    /// The site where its writer ran or, for a store without sites, its session.
    origin: u32,
    /// How many had committed there (or anywhere) by then, its writer included.
    number: u32,
}

/// Which versions a transaction sees.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    /// Every version.
    Latest,
    /// What was committed by this time.
    Until(i64),
    /// From each site so many commits.
    Known([u32; SITES]),
    /// Its session's own, and some of the others'.
    Picked { reader: u64, session: u32 },
}

/// The store.
pub(super) struct Store {
    level: Level,
    kind: Kind,
    /// By key.
    versions: Vec<Vec<Version>>,
    /// The times of the latest commits, as many as somebody may lag behind.
    commits: Vec<i64>,
    commit_count: u32,
    readers: u64,
    /// What each site knows.
    sites: Vec<[u32; SITES]>,
}

impl Store {
    pub(super) fn new(plan: &Transactional) -> Store {
        Store {
            level: plan.level,
            kind: plan.kind,
            versions: Vec::new(),
            commits: Vec::new(),
            commit_count: 0,
            readers: 0,
            sites: vec![[0; SITES]; SITES.min(plan.sessions as usize)],
        }
    }

    /// The versions of `key`, oldest first.
    pub(super) fn versions(&self, key: u32) -> &[Version] {
        self.versions.get(key as usize).map_or(&[], Vec::as_slice)
    }

    /// What a transaction that starts now will see, `now` being later than every commit so far.
    pub(super) fn view(&mut self, session: u32, micros: &[Micro], now: i64, random: &mut Random) -> View {
        match self.level {
            Level::StrictSerializable | Level::ReadCommitted => View::Latest,
            Level::Serializable => {
                let only_reads = micros.iter().all(|micro| matches!(micro.action, Action::Read(_)));
                let back = if only_reads && random.chance(LAGS.0) { random.below(LAGS.1 + 1) } else { 0 };
                match back {
                    0 => View::Latest,
                    back => View::Until(self.commits.iter().rev().nth(back as usize).map_or(0, |&at| at)),
                }
            }
            Level::SnapshotIsolation => View::Until(now),
            Level::ParallelSnapshotIsolation | Level::Causal => {
                let (site, sites) = (session as usize % self.sites.len(), self.sites.len() as u64);
                if sites > 1 && random.chance(LEARNS) {
                    // What a site knows holds all that it depends on, so that both together do, too.
                    let other = self.sites[(site + 1 + random.below(sites - 1) as usize) % self.sites.len()];
                    for (known, other) in self.sites[site].iter_mut().zip(other) {
                        *known = (*known).max(other);
                    }
                }
                View::Known(self.sites[site])
            }
            Level::ReadAtomic => {
                self.readers += 1;
                View::Picked { reader: self.readers, session }
            }
        }
    }

    /// How many versions of `key` a read sees, the last of them being the one that counts.
    pub(super) fn read(&self, key: u32, view: View) -> u32 {
        let versions = self.versions(key);
        let seen = match view {
            View::Latest => versions.len(),
            View::Until(time) => versions.partition_point(|version| version.commit <= time),
            view => versions.iter().rposition(|version| sees(view, version)).map_or(0, |at| at + 1),
        };
        seen as u32
    }

    /// Commits at time `now`, later than every commit so far, what `micros` write. False if the level
    /// forbids it: nothing has happened then.
    pub(super) fn commit(&mut self, session: u32, micros: &[Micro], view: View, now: i64) -> bool {
        if micros.iter().enumerate().any(|(at, micro)| self.conflicts(&micros[..at], micro, view)) {
            return false;
        }
        self.commit_count += 1;
        let mut origin = session;
        let mut number = self.commit_count;
        if matches!(self.level, Level::ParallelSnapshotIsolation | Level::Causal) {
            origin = session % self.sites.len() as u32;
            let known = &mut self.sites[origin as usize][origin as usize];
            *known += 1;
            number = *known;
        }
        for (at, micro) in micros.iter().enumerate() {
            let Action::Write(value) = micro.action else { continue };
            let overwrites =
                |later: &Micro| later.key == micro.key && matches!(later.action, Action::Write(_));
            if self.kind == Kind::Register && micros[at + 1..].iter().any(overwrites) {
                continue;
            }
            let key = micro.key as usize;
            if key >= self.versions.len() {
                self.versions.resize_with(key + 1, Vec::new);
            }
            self.versions[key].push(Version { value, commit: now, origin, number });
        }
        if self.level == Level::Serializable {
            self.commits.push(now);
            if self.commits.len() as u64 > 4 * LAGS.1 {
                self.commits.drain(..2 * LAGS.1 as usize);
            }
        }
        true
    }

    /// Whether the level keeps a transaction from committing because of this read or write.
    fn conflicts(&self, before: &[Micro], micro: &Micro, view: View) -> bool {
        match (self.level, micro.action) {
            (Level::SnapshotIsolation | Level::ParallelSnapshotIsolation, Action::Write(_)) => {
                self.read(micro.key, view) < self.read(micro.key, View::Latest)
            }
            (Level::ReadCommitted, Action::Read(Seen::Versions(seen))) if self.kind == Kind::ListAppend => {
                // What it appended, and has seen at the end of the list, must come to stand there.
                let own =
                    before.iter().any(|own| own.key == micro.key && matches!(own.action, Action::Write(_)));
                own && seen < self.read(micro.key, View::Latest)
            }
            _ => false,
        }
    }
}

fn sees(view: View, version: &Version) -> bool {
    match view {
        View::Latest => true,
        View::Until(time) => version.commit <= time,
        View::Known(known) => version.number <= known[version.origin as usize],
        View::Picked { reader, session } => {
            let mixed = mix(reader.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(version.number));
            version.origin == session || mixed % 4 < PICKED
        }
    }
}

/// Spreads a number over all numbers: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
