//! The transactions of each anomaly, as [`PlantedAnomaly`] documents them, and how far their planting has
//! come.

use super::PlantedAnomaly;
use super::store::{Action, Micro, Seen};
use crate::random::Random;
use shakedown_checkers::history::OpId;

/// The transactions of an anomaly, on keys from 0.
pub(super) struct Script {
    pub(super) roles: Vec<Role>,
    pub(super) order: Option<Order>,
}

/// One of them.
pub(super) struct Role {
    pub(super) micros: Vec<Micro>,
    pub(super) fate: RoleFate,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoleFate {
    Commits,
    Aborts,
    /// Commits, after all the others.
    Observes,
}

/// The first of two transactions completes before the second is invoked. All others are concurrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) by: By,
}

/// What makes it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// One session runs both.
    Session,
    /// Different sessions run them.
    RealTime,
}

const X: u32 = 0;
const Y: u32 = 1;
const Z: u32 = 2;

impl Script {
    /// The transactions of `anomaly`.
    pub(super) fn of(anomaly: PlantedAnomaly) -> Script {
        use PlantedAnomaly::*;
        let roles = match anomaly {
            G0 => vec![
                txn([w(X, 1), w(Y, 1)]),
                txn([w(X, 2), w(Y, 2)]),
                observer([r(X, &[1, 2]), r(Y, &[2, 1])]),
            ],
            G0Process | G0Realtime => vec![txn([w(X, 1)]), txn([w(X, 2)]), observer([r(X, &[2, 1])])],
            G1a => vec![aborted([w(X, 1)]), txn([r(X, &[1])])],
            G1b => vec![txn([w(X, 1), w(X, 2)]), txn([r(X, &[1])]), observer([r(X, &[1, 2])])],
            G1c => vec![txn([w(X, 1), r(Y, &[1])]), txn([w(Y, 1), r(X, &[1])])],
            G1cProcess | G1cRealtime => vec![txn([r(X, &[1])]), txn([w(X, 1)])],
            GSingle => vec![
                txn([w(X, 1), w(Y, 1)]),
                txn([r(X, &[]), w(Y, 2)]),
                observer([r(X, &[1]), r(Y, &[1, 2])]),
            ],
            GSingleProcess | GSingleRealtime => {
                vec![txn([w(X, 1)]), txn([r(X, &[])]), observer([r(X, &[1])])]
            }
            GNonadjacent => vec![
                txn([w(X, 1)]),
                txn([r(X, &[1]), w(Z, 1)]),
                txn([r(Z, &[1]), r(Y, &[])]),
                txn([w(Y, 1)]),
                txn([r(Y, &[1]), r(X, &[])]),
            ],
            GNonadjacentProcess | GNonadjacentRealtime => vec![
                txn([w(Z, 1)]),
                txn([r(X, &[])]),
                txn([w(X, 1), w(Y, 1)]),
                txn([r(Y, &[1]), r(Z, &[])]),
                observer([r(X, &[1]), r(Z, &[1])]),
            ],
            G2Item => vec![
                txn([r(X, &[]), w(Y, 1)]),
                txn([r(Y, &[]), w(Z, 1)]),
                txn([r(Z, &[]), w(X, 1)]),
                observer([r(X, &[1]), r(Y, &[1]), r(Z, &[1])]),
            ],
            G2ItemProcess | G2ItemRealtime => vec![
                txn([w(Y, 1)]),
                txn([r(X, &[])]),
                txn([r(Y, &[]), w(X, 1)]),
                observer([r(X, &[1]), r(Y, &[1])]),
            ],
            LostUpdate => {
                vec![txn([r(X, &[]), w(X, 1)]), txn([r(X, &[]), w(X, 2)]), observer([r(X, &[1, 2])])]
            }
            WriteSkew => vec![
                txn([r(X, &[]), r(Y, &[]), w(X, 1)]),
                txn([r(X, &[]), r(Y, &[]), w(Y, 1)]),
                observer([r(X, &[1]), r(Y, &[1])]),
            ],
            LongFork => vec![
                txn([w(X, 1)]),
                txn([w(Y, 1)]),
                txn([r(X, &[1]), r(Y, &[])]),
                txn([r(X, &[]), r(Y, &[1])]),
            ],
            Internal => vec![txn([w(X, 1), r(X, &[])])],
            DirtyUpdate => vec![aborted([w(X, 1)]), txn([w(X, 2)]), observer([r(X, &[1, 2])])],
            DuplicateElements => vec![txn([w(X, 1)]), observer([r(X, &[1, 1])])],
            IncompatibleOrder => {
                vec![txn([w(X, 1)]), txn([w(X, 2)]), observer([r(X, &[1, 2])]), observer([r(X, &[2, 1])])]
            }
            FutureRead => vec![txn([r(X, &[1]), w(X, 1)])],
            GarbageRead => vec![txn([r(X, &[1])])],
            CyclicVersions => vec![txn([r(X, &[1]), w(X, 2)]), txn([r(X, &[2]), w(X, 1)])],
            FracturedRead => vec![
                txn([w(X, 1), w(Y, 1)]),
                txn([r(Y, &[]), r(X, &[1])]),
                observer([r(X, &[1]), r(Y, &[1])]),
            ],
            NonMonotonicRead => vec![
                txn([w(X, 1), w(Y, 1)]),
                txn([r(X, &[1]), r(Y, &[])]),
                observer([r(X, &[1]), r(Y, &[1])]),
            ],
            CausalityViolation => {
                vec![txn([w(X, 1)]), txn([r(X, &[1]), w(Y, 1)]), txn([r(Y, &[1]), r(X, &[])])]
            }
        };
        let by = match anomaly {
            G0Process | G1cProcess | GSingleProcess | GNonadjacentProcess | G2ItemProcess => {
                Some(By::Session)
            }
            G0Realtime | G1cRealtime | GSingleRealtime | GNonadjacentRealtime | G2ItemRealtime => {
                Some(By::RealTime)
            }
            _ => None,
        };
        Script { roles, order: by.map(|by| Order { first: 0, second: 1, by }) }
    }

    /// How many transactions there are.
    pub(super) fn transactions(&self) -> usize {
        self.roles.len()
    }

    /// In how many sessions.
    pub(super) fn sessions(&self) -> usize {
        let shared = self.order.is_some_and(|order| order.by == By::Session);
        self.roles.len() - usize::from(shared)
    }

    /// On how many keys.
    fn keys(&self) -> u32 {
        let micros = self.roles.iter().flat_map(|role| &role.micros);
        micros.map(|micro| micro.key + 1).max().unwrap_or(0)
    }
}

fn txn<const N: usize>(micros: [Micro; N]) -> Role {
    Role { micros: micros.to_vec(), fate: RoleFate::Commits }
}

fn aborted<const N: usize>(micros: [Micro; N]) -> Role {
    Role { micros: micros.to_vec(), fate: RoleFate::Aborts }
}

fn observer<const N: usize>(micros: [Micro; N]) -> Role {
    Role { micros: micros.to_vec(), fate: RoleFate::Observes }
}

fn w(key: u32, value: u32) -> Micro {
    Micro { key, action: Action::Write(value) }
}

fn r(key: u32, seen: &'static [u32]) -> Micro {
    Micro { key, action: Action::Read(Seen::Planted(seen)) }
}

/// An anomaly on its way into the history.
///
/// Sessions are drafted as they come free. No planted transaction completes before the last one is
/// invoked, so that all overlap; but for the one that another has to come after, and that completes at
/// the very moment when the other one is invoked. Nothing of the load is invoked between the two, or it
/// might come between them in the order of sessions.
pub(super) struct Planting {
    pub(super) script: Script,
    /// It begins after so many transactions of the load.
    begins_after: u32,
    pub(super) stage: Stage,
    /// Who is yet to be drafted for, the next one last; the second one of an order is not among them.
    pub(super) waiting: Vec<usize>,
    /// By role, the session and the row.
    pub(super) sessions: Vec<usize>,
    pub(super) rows: Vec<OpId>,
    pub(super) first_key: u32,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not yet.
    Before,
    /// Sessions are drafted.
    Drafting,
    /// All are open but the one that has to come after another.
    Following(Order),
    /// All are invoked.
    Invoked,
}

impl Planting {
    pub(super) fn new(script: Script, begins_after: u32, random: &mut Random) -> Planting {
        let roles = script.roles.len();
        let mut waiting: Vec<usize> = (0..roles).collect();
        waiting.retain(|role| script.order.is_none_or(|order| order.second != *role));
        random.shuffle(&mut waiting);
        Planting {
            script,
            begins_after,
            stage: Stage::Before,
            waiting,
            sessions: vec![usize::MAX; roles],
            rows: vec![OpId::MAX; roles],
            first_key: 0,
        }
    }

    /// Whether a session that comes free, after so many transactions of the load, can be drafted. On its
    /// first yes it takes keys from `fresh_keys`.
    pub(super) fn drafts(&mut self, load_invoked: u32, fresh_keys: impl FnOnce(u32) -> u32) -> bool {
        if self.stage == Stage::Before && load_invoked >= self.begins_after {
            self.stage = Stage::Drafting;
            self.first_key = fresh_keys(self.script.keys());
        }
        match self.stage {
            Stage::Before | Stage::Invoked => false,
            Stage::Drafting => true,
            Stage::Following(order) => order.by == By::RealTime,
        }
    }

    /// What the transaction in that role does.
    pub(super) fn micros(&self, role: usize) -> impl Iterator<Item = Micro> {
        let first_key = self.first_key;
        self.script.roles[role].micros.iter().map(move |micro| Micro { key: micro.key + first_key, ..*micro })
    }
}
