//! Where a layer's time comes from: the one place of this crate that reads a clock.
//!
//! Components take the time as an argument. Their layers have to get it somewhere, and get it from tokio: where a
//! test stops its time, or a simulation sets it, that is the time here.

use crate::protocol::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant as Moment;

/// Tells the time. Clones tell the same time.
pub trait Clock: Clone + Send + Sync + 'static {
    /// Nanoseconds since an origin that means nothing.
    fn now(&self) -> Time;
}

/// Tokio's time: the machine's monotonic clock, or what a test or a simulation makes of it.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Moment,
}

impl Default for TokioClock {
    fn default() -> TokioClock {
        TokioClock { origin: Moment::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Time {
        Time(nanos(self.origin.elapsed()))
    }
}

/// A clock that shows what it was set to, forwards or backwards.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Has it show `now`.
    pub fn set(&self, now: Time) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Has it show so much more.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(nanos(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
}

/// A clock that shows how often it was read.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(crate) struct CountingClock(Arc<AtomicU64>);

#[cfg(test)]
impl CountingClock {
    pub(crate) fn readings(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
impl Clock for CountingClock {
    fn now(&self) -> Time {
        Time(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// A duration in nanoseconds; what is longer than 584 years is that long.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tokios_time_is_what_a_test_makes_of_it() {
        let clock = TokioClock::default();
        assert_eq!(clock.now(), Time(0));
        tokio::time::advance(Duration::from_millis(7)).await;
        assert_eq!(clock.clone().now(), Time(7_000_000));
    }

    #[test]
    fn a_manual_clock_is_shared_by_its_clones() {
        let clock = ManualClock::default();
        let other = clock.clone();
        clock.advance(Duration::from_nanos(5));
        assert_eq!(other.now(), Time(5));
        other.set(Time(3));
        assert_eq!(clock.now(), Time(3));
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }
}
