//! How many calls may be under way, where that is found out.
//!
//! Pure: a limit is told how each call went, and says how many there may be.

use super::core::End;
use crate::resilience::clock::nanos;
use std::time::Duration;

/// How a limit is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adaptive {
    /// One more after as many good calls as there may be at a time; after a bad one a tenth fewer. A call is bad if it
    /// was dropped for taking too long, failed, or took longer than `latency`. (Chiu & Jain 1989.)
    Aimd {
        /// What is still good.
        latency: Duration,
    },
    /// As many as keep the time that calls take near the shortest that was seen: if they take twice as long, half of
    /// that time is spent in queues, and there are too many. Some queue is allowed, lest the limit never grow.
    /// (Netflix' concurrency-limits, 2018.)
    Gradient {
        /// The part of a call's time, in a hundred, that may be above the shortest and still be no sign of a queue.
        tolerance_percentage: u8,
    },
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Limit {
    /// In thousandths of a call, so that it can move by less than one.
    milli: u64,
    /// The shortest time of a good call, in nanoseconds.
    shortest_ns: Option<u64>,
}

/// A thousand thousandths.
const ONE: u64 = 1_000;

impl Limit {
    /// As many as ever may be, until something else is found out.
    pub(super) fn new(most: u32) -> Limit {
        Limit { milli: u64::from(most) * ONE, shortest_ns: None }
    }

    /// How many calls may be under way.
    pub(super) fn calls(&self) -> u32 {
        (self.milli / ONE) as u32
    }

    /// A call has ended, and so many were under way with it. Calls that say nothing change nothing; nor do good ones
    /// while fewer are under way than may be, for they do not show that more could be.
    pub(super) fn learn(&mut self, how: Adaptive, most: u32, end: End, took_ns: u64, under_way: u32) {
        let is_used = u64::from(under_way) * 2 >= u64::from(self.calls());
        let bounds = ONE..=u64::from(most) * ONE;
        let now = self.milli;
        let next = match (how, end) {
            (_, End::SaidNothing) => return,
            (Adaptive::Aimd { latency }, end) if end == End::Succeeded && took_ns <= nanos(latency) => {
                if is_used {
                    now + (ONE * ONE).div_ceil(now)
                } else {
                    now
                }
            }
            (_, End::Failed | End::TimedOut) | (Adaptive::Aimd { .. }, _) => now - now / 10,
            (Adaptive::Gradient { tolerance_percentage }, _) => {
                let shortest =
                    *self.shortest_ns.insert(self.shortest_ns.map_or(took_ns, |ns| ns.min(took_ns)).max(1));
                let tolerated = u128::from(shortest) * (100 + u128::from(tolerance_percentage)) / 100;
                // At least half: one slow call is no proof.
                let kept = (u128::from(now) * tolerated / u128::from(took_ns.max(1))).min(u128::from(now));
                let kept = (kept as u64).max(now / 2);
                // The root of the limit is the queue that may be.
                let queue = (now / ONE).isqrt().max(1) * ONE;
                let wanted = if is_used { kept + queue } else { kept.min(now) };
                // A part of the way: each call is one opinion of many.
                (now * 9 + wanted) / 10
            }
        };
        self.milli = next.clamp(*bounds.start(), *bounds.end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const AIMD: Adaptive = Adaptive::Aimd { latency: Duration::from_millis(10) };
    const GRADIENT: Adaptive = Adaptive::Gradient { tolerance_percentage: 50 };

    /// A server that does `capacity` calls at a time in 5 ms, and has the others wait; the limit after so many calls.
    fn settles(how: Adaptive, capacity: u64) -> u32 {
        let mut limit = Limit::new(100);
        for _ in 0..2_000 {
            let under_way = limit.calls();
            let took_ns = 5 * MS * u64::from(under_way).div_ceil(capacity).max(1);
            limit.learn(how, 100, End::Succeeded, took_ns, under_way);
        }
        limit.calls()
    }

    // A limit of twice the capacity means that calls take 10 ms, which is what is still good.
    #[test]
    fn additive_increase_and_multiplicative_decrease_find_what_is_still_good() {
        let limit = settles(AIMD, 10);
        assert!((17..=21).contains(&limit), "{limit}");
    }

    #[test]
    fn the_gradient_finds_the_capacity_and_a_short_queue() {
        for capacity in [4, 10, 40] {
            let mut limit = Limit::new(100);
            // What a call takes when nobody waits.
            limit.learn(GRADIENT, 100, End::Succeeded, 5 * MS, 1);
            for _ in 0..2_000 {
                let under_way = limit.calls();
                let took_ns = 5 * MS * u64::from(under_way).max(capacity) / capacity;
                limit.learn(GRADIENT, 100, End::Succeeded, took_ns, under_way);
            }
            let calls = u64::from(limit.calls());
            assert!((capacity..=capacity * 3).contains(&calls), "{calls} of {capacity}");
        }
    }

    #[test]
    fn it_keeps_between_one_and_the_most_and_learns_from_what_says_something() {
        for how in [AIMD, GRADIENT] {
            let mut limit = Limit::new(10);
            (0..200).for_each(|_| limit.learn(how, 10, End::Failed, MS, 10));
            assert_eq!(limit.calls(), 1);
            (0..200).for_each(|_| limit.learn(how, 10, End::SaidNothing, MS, 1));
            assert_eq!(limit.calls(), 1);
            (0..2_000).for_each(|_| limit.learn(how, 10, End::Succeeded, MS, 10));
            assert_eq!(limit.calls(), 10);
        }
    }

    // It would grow without bound while nothing is asked, and be of no use when something is.
    #[test]
    fn calls_that_nobody_waits_for_do_not_raise_it() {
        for how in [AIMD, GRADIENT] {
            let mut limit = Limit::new(100);
            (0..30).for_each(|_| limit.learn(how, 100, End::Failed, MS, 100));
            let before = limit.calls();
            (0..500).for_each(|_| limit.learn(how, 100, End::Succeeded, MS, 1));
            assert_eq!(limit.calls(), before);
        }
    }
}
