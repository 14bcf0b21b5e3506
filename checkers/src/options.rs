//! What the caller asks of a checker: which order to demand, and how much it may spend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

/// The order that a history must be explained by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// One order of all operations that respects real time (Herlihy & Wing 1990).
    #[default]
    Linearizable,
    /// One order of all operations that respects the order of each process (Lamport 1979).
    Sequential,
    /// Each key taken by itself is linearizable, whatever operations on several keys did together.
    PerKey,
}

/// How to check. The verdict and its proof do not depend on `threads`, unless a time limit cuts the
/// search or the minimizing of a witness short.
#[derive(Clone, Debug)]
pub struct Options {
    /// The order to demand.
    pub consistency: Consistency,
    /// How long it may take; past it the verdict is Unknown. `None` means no limit.
    pub time_limit: Option<Duration>,
    /// How many bytes the engines may hold; past it the verdict is Unknown.
    pub memory_limit_bytes: usize,
    /// How many threads may work at once; at least 1.
    pub threads: usize,
    /// Set it to stop early; the verdict is then Unknown, with what is known so far.
    pub cancel: Option<Arc<AtomicBool>>,
    /// Written to while the engines run, for whoever draws a progress bar.
    pub progress: Option<Arc<Progress>>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            consistency: Consistency::Linearizable,
            time_limit: None,
            memory_limit_bytes: 2 << 30,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cancel: None,
            progress: None,
        }
    }
}

/// How far a check has come. Each number only grows, but for `memory_bytes`.
#[derive(Debug, Default)]
pub struct Progress {
    /// Operations to place, once known.
    pub total: AtomicU64,
    /// Operations placed in parts that are decided, plus the deepest attempt in the others.
    pub placed: AtomicU64,
    /// Configurations explored.
    pub configurations: AtomicU64,
    /// Bytes that the engines hold now.
    pub memory_bytes: AtomicU64,
}
