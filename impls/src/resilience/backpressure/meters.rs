//! What an operator watches.

use super::core::{Buffer, Offered, Refused, Tally};
use metrics::{Counter, Gauge, counter, gauge};

/// The metrics `backpressure_items_total` by `result`, `backpressure_queued` and `backpressure_blocked`, of one buffer.
pub(super) struct Meters {
    accepted: Counter,
    processed: Counter,
    dropped: Counter,
    full: Counter,
    too_fast: Counter,
    closed: Counter,
    queued: Gauge,
    blocked: Gauge,
}

/// How a buffer was before something was done to it.
#[derive(Clone, Copy)]
pub(super) struct Before(Tally);

impl Before {
    pub(super) fn of<T>(buffer: &Buffer<T>) -> Before {
        Before(buffer.tally())
    }

    /// What to report: how the counts have changed, and what they are.
    pub(super) fn change<T>(self, buffer: &Buffer<T>) -> Change {
        let (from, to) = (self.0, buffer.tally());
        Change {
            accepted: to.accepted - from.accepted,
            processed: to.processed - from.processed,
            dropped: to.dropped - from.dropped,
            queued: buffer.queued(),
            blocked: buffer.waiting(),
        }
    }
}

/// What has changed.
pub(super) struct Change {
    accepted: u64,
    processed: u64,
    dropped: u64,
    queued: u32,
    blocked: u32,
}

impl Meters {
    /// Those of a buffer called `name`, at the recorder that is installed now.
    pub(super) fn new(name: &str) -> Meters {
        let label = || name.to_owned();
        let items = |result| counter!("backpressure_items_total", "buffer" => label(), "result" => result);
        Meters {
            accepted: items("accepted"),
            processed: items("processed"),
            dropped: items("dropped"),
            full: items("refused-full"),
            too_fast: items("refused-too-fast"),
            closed: items("refused-closed"),
            queued: gauge!("backpressure_queued", "buffer" => label()),
            blocked: gauge!("backpressure_blocked", "buffer" => label()),
        }
    }

    pub(super) fn changed(&self, change: &Change) {
        let counters = [
            (&self.accepted, change.accepted),
            (&self.processed, change.processed),
            (&self.dropped, change.dropped),
        ];
        for (counter, by) in counters {
            if by > 0 {
                counter.increment(by);
            }
        }
        self.queued.set(f64::from(change.queued));
        self.blocked.set(f64::from(change.blocked));
    }

    pub(super) fn refused(&self, refused: Refused) {
        match refused {
            Refused::Full => self.full.increment(1),
            Refused::TooFast { .. } => self.too_fast.increment(1),
            Refused::Closed => self.closed.increment(1),
        }
    }

    /// Counts an offer that was refused, and tells of what was lost.
    pub(super) fn offered<T>(&self, name: &str, offered: &Offered<T>) {
        match offered {
            Offered::Refused(_, refused) => {
                self.refused(*refused);
                tracing::debug!(buffer = name, %refused, "refused");
            }
            Offered::Instead(_) => {
                tracing::debug!(buffer = name, "the oldest was dropped for something newer")
            }
            Offered::Accepted | Offered::Waits { .. } => {}
        }
    }
}
