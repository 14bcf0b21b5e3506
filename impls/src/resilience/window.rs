//! What happened lately: the last so many calls, or those of the last so many seconds.
//!
//! Adding one and asking for the sums takes constant time. A window by time is made of buckets: the oldest one
//! leaves as a whole, so it reaches back between `span - span / buckets` and `span`.

use super::clock::nanos;
use crate::protocol::Time;
use std::time::Duration;

/// How far back a window reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The last so many calls; at least 1.
    Calls(u32),
    /// The calls that ended in the last `span`.
    Time {
        /// How long.
        span: Duration,
        /// Of how many buckets it is made; at least 1.
        buckets: u32,
    },
}

/// What is remembered of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mark {
    /// It failed.
    pub failed: bool,
    /// It took long.
    pub slow: bool,
}

/// Sums over calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// How many.
    pub calls: u32,
    /// How many of them failed.
    pub failed: u32,
    /// How many of them took long.
    pub slow: u32,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, mark: Mark) {
        self.calls += 1;
        self.failed += u32::from(mark.failed);
        self.slow += u32::from(mark.slow);
    }

    fn subtract(&mut self, other: Tally) {
        self.calls -= other.calls;
        self.failed -= other.failed;
        self.slow -= other.slow;
    }
}

impl From<Mark> for Tally {
    fn from(mark: Mark) -> Tally {
        let mut tally = Tally::default();
        tally.add(mark);
        tally
    }
}

/// The window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// A ring: one part leaves at a time.
    parts: Parts,
    /// The latest part: its place in the ring.
    at: usize,
    sum: Tally,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Parts {
    /// Each call is a part of its own, of two bytes.
    Calls(Vec<Option<Mark>>),
    Buckets {
        tallies: Vec<Tally>,
        /// How long one lasts.
        width_ns: u64,
        /// The number of the latest since the clock's origin.
        latest: u64,
    },
}

impl Window {
    /// An empty one.
    ///
    /// # Panics
    /// If it has no room for anything.
    pub fn new(reach: Reach) -> Window {
        let (Reach::Calls(count) | Reach::Time { buckets: count, .. }) = reach;
        assert!(count > 0, "a window has room for at least one part");
        let parts = match reach {
            Reach::Calls(_) => Parts::Calls(vec![None; count as usize]),
            Reach::Time { span, .. } => Parts::Buckets {
                tallies: vec![Tally::default(); count as usize],
                width_ns: (nanos(span) / u64::from(count)).max(1),
                latest: 0,
            },
        };
        Window { parts, at: 0, sum: Tally::default() }
    }

    /// Counts a call that ended `now`. A clock that has been set back counts for the latest bucket.
    pub fn add(&mut self, now: Time, mark: Mark) {
        match self.parts {
            Parts::Calls(_) => self.next_part(),
            Parts::Buckets { .. } => self.slide(now),
        }
        match &mut self.parts {
            Parts::Calls(marks) => marks[self.at] = Some(mark),
            Parts::Buckets { tallies, .. } => tallies[self.at].add(mark),
        }
        self.sum.add(mark);
    }

    /// The sums over what it reaches back to from `now`.
    pub fn tally(&mut self, now: Time) -> Tally {
        self.slide(now);
        self.sum
    }

    /// The sums as of the latest step.
    pub fn sum(&self) -> Tally {
        self.sum
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        match &mut self.parts {
            Parts::Calls(marks) => marks.fill(None),
            Parts::Buckets { tallies, .. } => tallies.fill(Tally::default()),
        }
        self.sum = Tally::default();
    }

    /// Has buckets leave whose time is over.
    fn slide(&mut self, now: Time) {
        let Parts::Buckets { tallies, width_ns, latest } = &mut self.parts else { return };
        let number = now.0 / *width_ns;
        // After a long pause everything has left, however long it was.
        let passed = number.saturating_sub(*latest).min(tallies.len() as u64);
        *latest = number.max(*latest);
        for _ in 0..passed {
            self.next_part();
        }
    }

    /// The oldest part leaves, and makes room for the next one.
    fn next_part(&mut self) {
        let len = match &self.parts {
            Parts::Calls(marks) => marks.len(),
            Parts::Buckets { tallies, .. } => tallies.len(),
        };
        self.at = if self.at + 1 < len { self.at + 1 } else { 0 };
        let leaves = match &mut self.parts {
            Parts::Calls(marks) => marks[self.at].take().map(Tally::from).unwrap_or_default(),
            Parts::Buckets { tallies, .. } => std::mem::take(&mut tallies[self.at]),
        };
        self.sum.subtract(leaves);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const FAILED: Mark = Mark { failed: true, slow: false };

    #[test]
    fn a_call_leaves_when_so_many_others_have_come() {
        let mut window = Window::new(Reach::Calls(3));
        for (failed, expected) in [(true, 1), (true, 2), (false, 2), (false, 1), (false, 0)] {
            window.add(Time(0), Mark { failed, slow: false });
            assert_eq!(window.tally(Time(0)).failed, expected);
        }
    }

    #[test]
    fn a_bucket_leaves_when_its_time_is_over() {
        let mut window = Window::new(Reach::Time { span: Duration::from_nanos(40), buckets: 4 });
        window.add(Time(5), FAILED);
        window.add(Time(12), FAILED);
        let calls =
            [(12, 2), (39, 2), (40, 1), (49, 1), (50, 0)].map(|(now, _)| window.tally(Time(now)).calls);
        assert_eq!(calls, [2, 2, 1, 1, 0]);
    }

    #[test]
    fn a_clock_that_is_set_back_brings_nothing_back() {
        let mut window = Window::new(Reach::Time { span: Duration::from_nanos(40), buckets: 4 });
        window.add(Time(100), FAILED);
        window.add(Time(3), FAILED);
        assert_eq!((window.tally(Time(3)).calls, window.tally(Time(139)).calls), (2, 2));
        assert_eq!((window.tally(Time(140)).calls, window.tally(Time(u64::MAX)).calls), (0, 0));
    }

    proptest! {
        // The sums are those of a list of calls from which the old ones are removed by hand.
        #[test]
        fn sums_are_those_of_the_calls_in_it(
            steps in prop::collection::vec((0_u64..30, any::<bool>(), any::<bool>()), 0..60),
            size in 1_u32..6,
            by_time in any::<bool>(),
        ) {
            let span = u64::from(size) * 10;
            let mut window = Window::new(match by_time {
                true => Reach::Time { span: Duration::from_nanos(span), buckets: size },
                false => Reach::Calls(size),
            });
            let (mut now, mut calls) = (0, VecDeque::new());
            for (pause, failed, slow) in steps {
                now += pause;
                let mark = Mark { failed, slow };
                window.add(Time(now), mark);
                calls.push_back((now, mark));
                match by_time {
                    true => calls.retain(|(at, _)| at / 10 + u64::from(size) > now / 10),
                    false => calls.drain(..calls.len().saturating_sub(size as usize)).for_each(drop),
                }
                let mut expected = Tally::default();
                calls.iter().for_each(|(_, mark)| expected.add(*mark));
                prop_assert_eq!(window.tally(Time(now)), expected);
            }
        }
    }
}
