//! Retries: a call that failed is made again, if that is safe, in time, and there is a budget for it.
//!
//! **Problem.** Much of what fails works a moment later. But a call that is sent again while a dependency is overloaded is
//! one more call for it; where each layer of a system makes three attempts, four layers make 81. A call of which nobody
//! knows whether it had its effect has it twice when it is sent again. And who waits longer than their own caller does
//! works for nobody.
//!
//! **Guarantee.** For each call, whatever happens to its attempts:
//!
//! - It has one [`Deadline`], which its attempts carry on. No attempt begins at or after it, none may take longer than
//!   what remains, and a pause that would end at or after it is not begun: the call gives up at once.
//! - After an error that may have had its effect it is sent again only if it is [`Kind::Idempotent`], or [`Kind::Keyed`]:
//!   all attempts of a call carry the same [`Key`]. Only idempotent calls are hedged.
//! - It is sent again no earlier than the server said, and no later than [`Config::max_backoff`] after that.
//! - It has at most [`Config::max_attempts`] attempts, hedges among them.
//!
//! For all calls of one client: attempts are at most `calls * (1 + budget_percent / 100) + budget_burst`, and what
//! [`Config::budget_reserve`] gives in the time. So an outage does not multiply the load: with the usual 10 percent, a
//! long one has it grow by a tenth. What is proved of it, in every order of the steps of several callers:
//! `workloads/tests/retry.rs`.
//!
//! **Price.** A call is given up that another attempt might have saved, for the budget is everybody's. Latency: a call
//! that fails does so late. Hedges are load that is not needed, by [`Config::hedge_after`] for slow calls only. A lock is
//! taken about twice an attempt. A keyed call costs the server a memory of keys, for as long as attempts may come.
//!
//! **When not to use it.** In more than one layer of a system: retry where it is known what the call is for, and have
//! the others pass errors on. Where a call that fails may simply be forgotten. In front of what is down for long: that is
//! a circuit breaker's job, and the breaker goes below this one, so that each attempt asks it.
//!
//! **Sources.** Backoff: Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog, 2015. Budgets: Beyer et al.,
//! *Site Reliability Engineering*, 2016, ch. 21, and Finagle's `RetryBudget`. Deadlines that are carried on: the same,
//! ch. 22. Hedging: Dean & Barroso, *The Tail at Scale*, CACM 56(2), 2013. Idempotent methods and `Retry-After`: RFC 9110
//! §9.2.2 and §10.2.3. gRPC's retries (proposal A6) have most of it. Departures: the budget counts hedges, and only what is
//! known not to have happened is sent again without being asked.
//!
//! ```
//! use shakedown_impls::resilience::retry::{Attempt, Call, Config, End, RetryLayer};
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use tower::{Layer, Service, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! // Unavailable at first: it says so, and nothing has happened.
//! let asked = AtomicU32::new(0);
//! let stock = service_fn(|attempt: Attempt<&'static str>| {
//!     let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
//!     std::future::ready(if is_first { Err("unavailable") } else { Ok((attempt.request, attempt.number)) })
//! });
//! let layer = RetryLayer::new("stock", Config::new(0x5eed)).classify(|result: Result<&_, &&str>| match result {
//!     Ok(_) => End::Succeeded,
//!     Err(&"unavailable") => End::Definite { retry_after: None },
//!     Err(_) => End::Indefinite { retry_after: None },
//! });
//! let mut client = layer.layer(stock);
//!
//! // It must not happen twice, and may be sent again all the same, for it has not happened at all.
//! assert_eq!(client.call(Call::once("order")).await, Ok(("order", 2)));
//! # });
//! ```

mod attempt;
mod backoff;
mod budget;
mod core;
mod deadline;
mod layer;
#[cfg(test)]
mod tests;

pub use attempt::{Attempt, Classify, OkIsSuccess};
pub use backoff::Spread;
pub use core::{Attempts, End, GaveUp, Key, Kind, Next, Op, Ret, Retries, Terms};
pub use deadline::Deadline;
pub use layer::{Call, CallFuture, Error, Handle, RetryLayer, RetryService};

use super::token_bucket::Rate;
use crate::mutants::Mutants;
use std::time::Duration;

/// How often, how soon, how long, and how much of it in all.
#[derive(Clone, Debug)]
pub struct Config {
    /// Attempts of one call, the first and hedges among them; at least 1.
    pub max_attempts: u32,
    /// How long an attempt may take. Past that it is dropped, and may have had its effect.
    pub per_try_timeout: Duration,
    /// How long a call may take, with all its attempts and pauses, if it does not bring an earlier deadline.
    pub overall_timeout: Duration,
    /// The pause before the second attempt, before chance has its say.
    pub initial_backoff: Duration,
    /// No pause is longer, unless the server asks for it.
    pub max_backoff: Duration,
    /// Each pause is so many times the one before; at least 1.
    pub backoff_multiplier: u32,
    /// What chance makes of a pause.
    pub spread: Spread,
    /// An idempotent call whose attempt has not answered by then is sent a second time beside it. Less than
    /// [`Config::per_try_timeout`].
    pub hedge_after: Option<Duration>,
    /// Each call adds so many hundredths of a retry to the budget.
    pub budget_percent: u32,
    /// So many retries the budget holds at most, and at first; with 0 there are none.
    pub budget_burst: u32,
    /// Retries that the budget gets whether there are calls or not: a client with few calls may retry, too.
    pub budget_reserve: Rate,
    /// Where chance and keys come from.
    pub seed: u64,
    /// Mistakes to make.
    pub mutants: Mutants<Mutant>,
}

impl Config {
    /// Three attempts and a budget of 10 percent (the SRE book's, ch. 21) with 10 at once and one a second, pauses from
    /// 100 ms to 10 s with full jitter, 10 s for an attempt and 30 s for all; no hedges.
    ///
    /// There is no default, for the seed must not have one: two clients of a server with the same seed, or one that was
    /// started again with it, draw the same keys, and the server takes the calls of one for those of the other.
    pub fn new(seed: u64) -> Config {
        Config {
            max_attempts: 3,
            per_try_timeout: Duration::from_secs(10),
            overall_timeout: Duration::from_secs(30),
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            backoff_multiplier: 2,
            spread: Spread::Full,
            hedge_after: None,
            budget_percent: 10,
            budget_burst: 10,
            budget_reserve: Rate::per_second(1),
            seed,
            mutants: Mutants::default(),
        }
    }

    fn check(&self) {
        assert!(self.max_attempts > 0, "max_attempts is at least 1");
        assert!(!self.per_try_timeout.is_zero(), "per_try_timeout is not nothing");
        assert!(self.initial_backoff <= self.max_backoff, "initial_backoff is at most max_backoff");
        assert!(self.backoff_multiplier > 0, "backoff_multiplier is at least 1");
        assert!(!matches!(self.spread, Spread::Percent(101..)), "a spread is at most 100 percent");
        let hedges = self.hedge_after.is_none_or(|after| after < self.per_try_timeout);
        assert!(hedges, "hedge_after is less than per_try_timeout: else it would never hedge");
    }
}

crate::mutants! {
    /// The mistakes of retries.
    pub enum Mutant {
        /// Retries are free: when a dependency fails, each call becomes as many as it may have attempts, and it stays down.
        /// (The SRE book, ch. 22, on cascading failures.)
        BudgetNotTaken = "budget-not-taken",
        /// The budget is looked at when a retry is decided, and taken from when it has ended: all that fail together
        /// find the same token.
        BudgetCountsLate = "budget-counts-late",
        /// Hedges cost nothing: when all calls become slow, all are sent twice. (Dean & Barroso 2013 bound them.)
        HedgeNotCounted = "hedge-not-counted",
        /// The time of a call begins again with each try: its caller has long gone.
        DeadlinePerTry = "deadline-per-try",
        /// Whether a pause ends in time is not looked at before it: the caller waits past the deadline to hear that it is
        /// over.
        SleepsPastDeadline = "sleeps-past-deadline",
        /// A call that may have had its effect, and must not have it twice, is sent again: a timeout is taken for a
        /// failure. (RFC 9110 §9.2.2.)
        IndefiniteRetried = "indefinite-retried",
        /// Each attempt has a key of its own: the server does what it has done already.
        NewKeyEachAttempt = "new-key-each-attempt",
        /// When the server says to come back is not listened to. (RFC 9110 §10.2.3.)
        RetryAfterIgnored = "retry-after-ignored",
        /// Pauses grow without end. (Brooker 2015 caps them.)
        BackoffUncapped = "backoff-uncapped",
        /// Calls are hedged that must not have their effect twice.
        HedgesEverything = "hedges-everything",
    }
}
