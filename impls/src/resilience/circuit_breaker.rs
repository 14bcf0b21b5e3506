//! A circuit breaker: stops calling what keeps failing, and finds out carefully whether it works again.
//!
//! **Problem.** A dependency that is down, or answers late, costs each caller a timeout, and callers' threads and
//! queues fill with calls that will fail. And a dependency that is coming back is buried under all that has
//! waited for it.
//!
//! **Guarantee.** Calls are counted in a sliding window. When enough of them fail, or take long, the circuit opens:
//! calls are refused at once, for [`Config::reset_timeout`]. Then it is half open: it admits
//! [`Config::half_open_allowed_requests`] calls, its trials, and no more, whoever asks at the same time. If few
//! enough fail it closes; else it opens again, for longer. What is proved of it
//! (`workloads/tests/circuit_breaker.rs`, every order of the steps of several callers):
//!
//! - a half-open circuit never has more trials than allowed, under way and ended together;
//! - it opens with the very call that takes the window to its threshold;
//! - while it is open no call passes;
//! - it closes once the dependency works, whatever happened before: no trial is lost for ever, neither to a caller
//!   that was cancelled nor to one that never came back.
//!
//! **Price.** Calls are refused that would have worked, for up to the time that it stays open. Each caller's
//! process has its own opinion. A lock is taken twice a call, for tens of nanoseconds.
//!
//! **When not to use it.** Where a refusal is worse than waiting (a queue's consumer can simply go on later); where
//! one breaker stands for many independent backends, of which one being down says nothing of the others: have one
//! each. It does not limit how many calls are under way: that is a bulkhead's job.
//!
//! **Sources.** Nygard, *Release It!*, 2nd edition 2018, §5.2. Windows, slow calls and the limit of trials are as in
//! Resilience4j's documentation. Departures: a half-open circuit opens as soon as its trials *cannot* succeed any
//! more; results of calls that began before the circuit last changed count for nothing, for they tell of the past.
//!
//! ```
//! use shakedown_impls::resilience::circuit_breaker::{CircuitBreakerLayer, Config, Error};
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let config = Config { closed_window_size: 4, minimum_calls: 4, ..Config::default() };
//! let layer = CircuitBreakerLayer::new("stock", config);
//! let breaker = layer.handle(); // what an operator looks at, and overrides with
//! let down = service_fn(|_: &str| async { Err::<(), _>("the database is down") });
//! let mut client = ServiceBuilder::new().layer(layer).service(down);
//!
//! for _ in 0..4 {
//!     let error = client.ready().await.unwrap().call("how many?").await.unwrap_err();
//!     assert!(matches!(error, Error::Inner("the database is down")));
//! }
//! // The window is full of failures: the fifth call goes nowhere, and says when to come back.
//! let error = client.ready().await.unwrap().call("how many?").await.unwrap_err();
//! let Error::Refused(refused) = error else { panic!("it is open") };
//! assert!(refused.retry_after.unwrap() >= Duration::from_secs(29));
//! assert_eq!(breaker.state().to_string(), "open");
//! # });
//! ```

mod core;
mod layer;
#[cfg(test)]
mod tests;

pub use core::{Call, CircuitBreaker, Mode, Op, Permit, Ret, State};
pub use layer::{
    CallFuture, CircuitBreakerLayer, CircuitBreakerService, Classify, Error, Handle, Refused, ResultIsAll,
};

use super::window::Reach;
use crate::mutants::Mutants;
use std::time::Duration;

/// When it opens, for how long, and how it closes.
#[derive(Clone, Debug)]
pub struct Config {
    /// It opens when at least so many of a hundred calls in the window failed; 1 to 100.
    pub failure_threshold_percentage: u8,
    /// It opens for slowness, too, if this says so.
    pub slow_calls: Option<SlowCalls>,
    /// The calls that count while it is closed: the last so many.
    pub closed_window_size: u32,
    /// If given, the calls that count are instead those that ended in this time.
    pub closed_window_time: Option<Duration>,
    /// Of fewer calls than that in the window nothing is concluded; at most [`Config::closed_window_size`], where that
    /// counts.
    pub minimum_calls: u32,
    /// Trials of a half-open circuit; at least 1.
    pub half_open_allowed_requests: u32,
    /// How long trials may take, all in all: a half-open circuit that has not decided by then opens again. So a call
    /// that never ends does not keep it half open.
    pub half_open_timeout: Duration,
    /// How long it stays open at least, the first time.
    pub reset_timeout: Duration,
    /// Each time that trials fail it stays open twice as long, up to this.
    pub reset_timeout_max: Duration,
    /// So many percent of that time are added by lot, at most: callers that failed together come back one by one.
    pub jitter_percentage: u8,
    /// Where that chance comes from.
    pub seed: u64,
    /// Mistakes to make.
    pub mutants: Mutants<Mutant>,
}

/// When it opens for slowness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowCalls {
    /// A call that takes as long as this, or longer, is slow, whatever came of it; one that is given up after that time, too.
    pub duration: Duration,
    /// It opens when at least so many of a hundred calls in the window were slow; 1 to 100.
    pub threshold_percentage: u8,
}

impl Default for Config {
    /// Half of the last 100 calls, 30 seconds, 10 trials: the guide's; slow calls do not count.
    fn default() -> Config {
        Config {
            failure_threshold_percentage: 50,
            slow_calls: None,
            closed_window_size: 100,
            closed_window_time: None,
            minimum_calls: 20,
            half_open_allowed_requests: 10,
            half_open_timeout: Duration::from_secs(60),
            reset_timeout: Duration::from_secs(30),
            reset_timeout_max: Duration::from_secs(600),
            jitter_percentage: 10,
            seed: 0,
            mutants: Mutants::default(),
        }
    }
}

impl Config {
    /// Buckets of a window by time: it is as exact as a tenth of it.
    const BUCKETS: u32 = 10;

    fn reach(&self) -> Reach {
        match self.closed_window_time {
            _ if self.mutants.has(Mutant::WindowNeverSlides) => {
                Reach::Time { span: Duration::MAX, buckets: 1 }
            }
            Some(span) => Reach::Time { span, buckets: Config::BUCKETS },
            None => Reach::Calls(self.closed_window_size),
        }
    }

    /// Whether it matters when a call ends, and how long it took, though the circuit is closed.
    fn heeds_time(&self) -> bool {
        self.slow_calls.is_some() || self.closed_window_time.is_some()
    }

    fn check(&self) {
        let percentage = |percentage: u8| (1..=100).contains(&percentage);
        assert!(
            percentage(self.failure_threshold_percentage),
            "failure_threshold_percentage is from 1 to 100"
        );
        let slow = self.slow_calls.is_none_or(|slow| percentage(slow.threshold_percentage));
        assert!(slow, "slow_calls.threshold_percentage is from 1 to 100");
        assert!(self.half_open_allowed_requests > 0, "half_open_allowed_requests is at least 1");
        let fits = self.closed_window_time.is_some() || self.minimum_calls <= self.closed_window_size;
        assert!(fits, "minimum_calls is at most closed_window_size: else it would never open");
        assert!(self.reset_timeout <= self.reset_timeout_max, "reset_timeout is at most reset_timeout_max");
    }
}

crate::mutants! {
    /// The mistakes of a circuit breaker.
    pub enum Mutant {
        /// A trial is counted when its call ends, not when it is admitted: whoever asks meanwhile is a trial too. (The
        /// guide's `execute` reads the count, and adds to it in another step.)
        TrialCountedLate = "trial-counted-late",
        /// The call that finds the time over and turns open to half-open goes through uncounted: one trial too many.
        /// (The guide's `execute`.)
        FirstTrialFree = "first-trial-free",
        /// Counts never leave the window: it opens on failures of long ago. (The guide's counters are reset with the
        /// state only.)
        WindowNeverSlides = "window-never-slides",
        /// A trial that is cancelled is not given back: it waits for a result that nobody will bring.
        CancelledTrialKept = "cancelled-trial-kept",
        /// A result counts whenever it comes: that of a call from before the outage closes the circuit.
        LateResultCounts = "late-result-counts",
        /// The first trial that succeeds closes the circuit, whatever the others do.
        FirstSuccessCloses = "first-success-closes",
        /// Of how few calls the window consists is not looked at: the first call that fails opens it.
        MinimumIgnored = "minimum-ignored",
        /// A half-open circuit waits for its trials for ever: one call that hangs, and nobody is admitted again.
        TrialsNeverTimeOut = "trials-never-time-out",
    }
}
