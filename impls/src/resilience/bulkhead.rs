//! A bulkhead: so many calls at a time, so many waiting, and all others refused at once.
//!
//! **Problem.** One dependency that becomes slow takes all of a caller's threads, connections and memory, until the
//! caller is slow to everybody, for whatever they ask. A ship is divided into compartments so that a hole in one
//! does not sink it.
//!
//! **Guarantee.** At most [`Config::max_concurrent_calls`] calls are under way, and at most
//! [`Config::max_wait_queue_size`] wait, first come first served, none of them longer than [`Config::max_wait`]. A place
//! is given back exactly once: when the call succeeds, fails, panics, is cancelled or takes longer than
//! [`Config::execution_timeout`]. Compartments share nothing: one that is full does not slow another. What is proved of
//! it, in every order of the steps of several callers: `workloads/tests/bulkhead.rs`.
//!
//! **Price.** Calls wait or are refused that the dependency could have taken: a fixed limit is a guess. With
//! [`Config::adaptive`] it is found out from how long calls take, and moves between 1 and
//! [`Config::max_concurrent_calls`]. Waiting costs an allocation; not waiting does not.
//!
//! **When not to use it.** Where what is scarce is a rate and not a number at a time (throttle it). In front of what has
//! a pool with a bounded queue already. It does not know that calls fail: that is a circuit breaker's job.
//!
//! **Sources.** Nygard, *Release It!*, 2nd edition 2018, §5.3. Adaptive limits: additive increase, multiplicative
//! decrease (Chiu & Jain 1989, §3) and the gradient of Netflix' *concurrency-limits* (2018), here with the shortest time
//! seen as what a call takes without a queue.
//!
//! ```
//! use shakedown_impls::resilience::bulkhead::{BulkheadLayer, Config, Error, Refused};
//! use std::time::Duration;
//! use tower::{Layer, Service, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let config = Config { max_concurrent_calls: 1, max_wait_queue_size: 1, ..Config::default() };
//! let slow = service_fn(|n: u32| async move {
//!     tokio::time::sleep(Duration::from_millis(10)).await;
//!     Ok::<_, ()>(n)
//! });
//! let mut compartment = BulkheadLayer::new("search", config).layer(slow);
//!
//! // One is under way, one waits, and the third is refused: at once, and nothing has happened.
//! let (first, second, third) = (compartment.call(1), compartment.call(2), compartment.call(3));
//! assert_eq!(third.await, Err(Error::Refused(Refused::Full)));
//! assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
//! # });
//! ```

mod core;
mod layer;
mod limit;
pub mod pool;
#[cfg(test)]
mod tests;

pub use core::{Bulkhead, End, Op, Ret, Ticket};
pub use layer::{BulkheadLayer, BulkheadService, CallFuture, Error, Handle, Refused};
pub use limit::Adaptive;

use crate::mutants::Mutants;
use std::time::Duration;

/// How many, and for how long.
#[derive(Clone, Debug)]
pub struct Config {
    /// Calls that may be under way at a time; at least 1. With [`Config::adaptive`], the most that ever may.
    pub max_concurrent_calls: u32,
    /// Calls that may wait.
    pub max_wait_queue_size: u32,
    /// How long a call may wait.
    pub max_wait: Duration,
    /// How long a call may take once it is under way. Past that it is dropped, and its place given back; so is that of a call for
    /// which the service is not ready for as long.
    pub execution_timeout: Duration,
    /// Finds the limit out.
    pub adaptive: Option<Adaptive>,
    /// Mistakes to make.
    pub mutants: Mutants<Mutant>,
}

impl Default for Config {
    /// Ten at a time, a hundred waiting, 30 seconds: the guide's. Nobody waits longer than a second.
    fn default() -> Config {
        Config {
            max_concurrent_calls: 10,
            max_wait_queue_size: 100,
            max_wait: Duration::from_secs(1),
            execution_timeout: Duration::from_secs(30),
            adaptive: None,
            mutants: Mutants::default(),
        }
    }
}

crate::mutants! {
    /// The mistakes of a bulkhead.
    pub enum Mutant {
        /// A call that takes too long keeps its place: the compartment leaks until nobody gets in. (The guide's `execute`
        /// leaves its task in the pool.)
        TimedOutKeepsPlace = "timed-out-keeps-place",
        /// A call that takes too long gives its place back when it is given up, and again when it ends after all: more
        /// are under way than may be.
        TimedOutFreedTwice = "timed-out-freed-twice",
        /// Whether there is room to wait is looked at before the place is taken, in another step: more wait than may.
        /// (The guide's `execute` lets go of the lock between the two.)
        QueueCheckedApart = "queue-checked-apart",
        /// A place that becomes free is anybody's: whoever comes at the right moment gets it before those who wait.
        NewcomersFirst = "newcomers-first",
        /// Who is cancelled in the queue after it was its turn keeps the place that it was given.
        CancelledTurnKept = "cancelled-turn-kept",
        /// The last who came is served first.
        LastComeFirstServed = "last-come-first-served",
        /// When the limit grows, nobody who waits is told.
        GrowthWakesNobody = "growth-wakes-nobody",
    }
}
