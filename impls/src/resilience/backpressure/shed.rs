//! Shedding by delay: CoDel, as in RFC 8289, §5.
//!
//! A queue that is long for a moment does its work. One that is long for good only makes everything late. So what counts
//! is the shortest delay in an interval: when for so long nothing left the queue in less than the target, it is a standing
//! queue, and one is dropped; then another, after a time that shrinks with the square root of how many were, until
//! something leaves in time. It makes a queue short whose producers slow down when they hear of it. For those who do not
//! it is no bound; [`Config::buffer_size`](super::Config::buffer_size) is.

use super::{Config, Mutant};
use crate::protocol::Time;
use crate::resilience::clock::nanos;
use std::time::Duration;

/// When what is queued is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shed {
    /// How long it may be queued without harm.
    pub target: Duration,
    /// For how long everything must have been queued longer than that: about what a round trip takes at worst.
    pub interval: Duration,
}

impl Default for Shed {
    /// 5 ms and 100 ms: the RFC's.
    fn default() -> Shed {
        Shed { target: Duration::from_millis(5), interval: Duration::from_millis(100) }
    }
}

/// What is next in a queue.
pub(super) struct Next<T> {
    pub(super) item: T,
    pub(super) since: Time,
    /// Whether nothing is behind it: then it is not dropped, for that would make nothing faster.
    pub(super) is_last: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CoDel {
    /// When it will have been late for an interval.
    late_at: Option<Time>,
    is_dropping: bool,
    /// How many were dropped, in the last time of dropping and before it.
    count: u32,
    count_before: u32,
    /// When the next would have been dropped.
    drop_next: Time,
}

impl CoDel {
    /// Takes what is next from a queue, and drops what has to be.
    pub(super) fn take<T>(
        &mut self,
        config: &Config,
        shed: Shed,
        now: Time,
        mut pop: impl FnMut() -> Option<Next<T>>,
        dropped: &mut Vec<T>,
    ) -> Option<T> {
        let (mut next, mut is_late) = self.look(shed, now, pop());
        if self.is_dropping {
            if !is_late && !config.mutants.has(Mutant::ShedsForEver) {
                self.is_dropping = false;
            }
            while self.is_dropping && self.drop_next <= now && next.is_some() {
                dropped.extend(next.take());
                self.count += 1;
                (next, is_late) = self.look(shed, now, pop());
                match is_late || config.mutants.has(Mutant::ShedsForEver) {
                    true => self.drop_next = law(self.drop_next, shed, self.count),
                    false => self.is_dropping = false,
                }
            }
        } else if is_late {
            dropped.extend(next.take());
            (next, _) = self.look(shed, now, pop());
            self.is_dropping = true;
            // Where it left off, if that was not long ago.
            let more = self.count - self.count_before;
            let is_recent = now.0.saturating_sub(self.drop_next.0) < nanos(shed.interval).saturating_mul(16);
            self.count = if more > 1 && is_recent { more } else { 1 };
            self.count_before = self.count;
            self.drop_next = law(now, shed, self.count);
        }
        next
    }

    /// Whether all has been late for an interval.
    fn look<T>(&mut self, shed: Shed, now: Time, next: Option<Next<T>>) -> (Option<T>, bool) {
        let Some(Next { item, since, is_last }) = next else {
            self.late_at = None;
            return (None, false);
        };
        let delay_ns = now.0.saturating_sub(since.0);
        if delay_ns < nanos(shed.target) || is_last {
            self.late_at = None;
            return (Some(item), false);
        }
        let late_at = *self.late_at.get_or_insert(Time(now.0.saturating_add(nanos(shed.interval))));
        (Some(item), late_at <= now)
    }
}

/// When the next is dropped after one was at `from`.
fn law(from: Time, shed: Shed, count: u32) -> Time {
    // A square root is rounded exactly, so this is the same on every machine.
    let wait_ns = (nanos(shed.interval) as f64 / f64::from(count).sqrt()) as u64;
    Time(from.0.saturating_add(wait_ns.max(1)))
}
