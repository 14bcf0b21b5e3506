//! How a rate is kept: two algorithms for one meaning.

use super::{Config, Mutant};
use crate::protocol::Time;
use crate::resilience::token_bucket::{Rate, TokenBucket};

/// How a rate is kept. In whole nanoseconds between two, both let the same pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThrottleBy {
    /// A bucket of tokens: exact for every rate.
    TokenBucket,
    /// The generic cell rate algorithm: one number to keep. The time between two is rounded up to a nanosecond.
    Gcra,
}

/// The generic cell rate algorithm (ITU-T I.371, virtual scheduling): when the next should come, if all came at the
/// rate, and how much earlier it may.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gcra {
    interval_ns: u64,
    tolerance_ns: u64,
    /// When the next should come.
    due_ns: u64,
    /// The latest time that it was told.
    now: Time,
}

impl Gcra {
    /// Of a rate, with so many at once after a pause.
    ///
    /// # Panics
    /// If the rate is none.
    pub fn new(rate: Rate, burst: u32) -> Gcra {
        assert!(rate.tokens() > 0, "a rate of nothing lets nobody pass");
        let interval_ns = rate.per_ns().div_ceil(u64::from(rate.tokens()));
        let tolerance_ns = interval_ns.saturating_mul(u64::from(burst.saturating_sub(1)));
        Gcra { interval_ns, tolerance_ns, due_ns: 0, now: Time(0) }
    }

    /// One comes. `Err`: too early, and nothing has happened; it may come after so many nanoseconds.
    pub fn take(&mut self, now: Time) -> Result<(), u64> {
        self.now = self.now.max(now);
        self.take_from(self.due_ns.max(self.now.0))
    }

    fn take_from(&mut self, due_ns: u64) -> Result<(), u64> {
        let early_ns = due_ns.saturating_sub(self.now.0);
        if early_ns > self.tolerance_ns {
            return Err(early_ns - self.tolerance_ns);
        }
        self.due_ns = due_ns.saturating_add(self.interval_ns);
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Limiter {
    Bucket(TokenBucket),
    Gcra(Gcra),
}

/// Keeps a rate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Throttle {
    limiter: Limiter,
    /// Of mistakes: the last time told, how far behind the steps of its own time are, and whether one came then.
    told: Time,
    behind_ns: u64,
    has_come: bool,
}

/// More than anybody saves up in a test, and few enough for every rate.
const SAVED_UP: u32 = 100_000;

impl Throttle {
    /// The config's, if there is one.
    pub(super) fn new(config: &Config) -> Option<Throttle> {
        let rate = config.throttle_rate?;
        let burst = config.throttle_burst;
        let limiter = match config.throttle_by {
            ThrottleBy::TokenBucket if config.mutants.has(Mutant::PauseSavedUp) => {
                let mut bucket = TokenBucket::new(rate, SAVED_UP);
                bucket.take(Time(0), SAVED_UP - burst).expect("it is full");
                Limiter::Bucket(bucket)
            }
            ThrottleBy::TokenBucket => Limiter::Bucket(TokenBucket::new(rate, burst)),
            ThrottleBy::Gcra => Limiter::Gcra(Gcra::new(rate, burst)),
        };
        Some(Throttle { limiter, told: Time(0), behind_ns: 0, has_come: false })
    }

    /// One comes. `Err`: too early, and nothing has happened; it may come after so many nanoseconds; `None`: never.
    pub(super) fn take(&mut self, config: &Config, now: Time) -> Result<(), Option<u64>> {
        if config.mutants.has(Mutant::ClockStepTrusted) {
            self.behind_ns += self.told.0.saturating_sub(now.0);
        }
        let is_at_once = std::mem::replace(&mut self.told, now) == now && std::mem::take(&mut self.has_come);
        if is_at_once && config.mutants.has(Mutant::ThrottleReadApart) {
            return Ok(());
        }
        let now = Time(now.0.saturating_add(self.behind_ns));
        match &mut self.limiter {
            Limiter::Bucket(bucket) => bucket.take(now, 1)?,
            Limiter::Gcra(gcra) if config.mutants.has(Mutant::PauseSavedUp) => {
                gcra.now = gcra.now.max(now);
                gcra.take_from(gcra.due_ns).map_err(Some)?;
            }
            Limiter::Gcra(gcra) => gcra.take(now).map_err(Some)?,
        }
        self.has_come = config.mutants.has(Mutant::ThrottleReadApart);
        Ok(())
    }
}
