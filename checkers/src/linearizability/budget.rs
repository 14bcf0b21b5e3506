//! Time, memory and the caller's patience: the only places where a check looks at a clock.

use crate::options::{Options, Progress};
use crate::verdict::Reason;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a search may spend. Clones share the deadline and the cancellation.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    deadline: Option<Instant>,
    cancel: Option<Arc<AtomicBool>>,
    /// The lowest part known to be invalid, and the part that this budget is for: no need to go on
    /// past the former.
    superseded: Option<(Arc<AtomicUsize>, usize)>,
    pub(crate) memory_bytes: usize,
    pub(crate) progress: Option<Arc<Progress>>,
}

impl Budget {
    pub(crate) fn new(options: &Options) -> Budget {
        Budget {
            deadline: options.time_limit.and_then(|limit| Instant::now().checked_add(limit)),
            cancel: options.cancel.clone(),
            superseded: None,
            memory_bytes: options.memory_limit_bytes,
            progress: options.progress.clone(),
        }
    }

    /// What is left of the time, if there is a limit.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The same budget with another share of the memory.
    pub(crate) fn with_memory(&self, memory_bytes: usize) -> Budget {
        Budget { memory_bytes, ..self.clone() }
    }

    /// The same budget for part number `part`, which ends when a lower one is found invalid.
    pub(crate) fn for_part(&self, part: usize, first_invalid: &Arc<AtomicUsize>) -> Budget {
        Budget { superseded: Some((Arc::clone(first_invalid), part)), ..self.clone() }
    }

    /// The same budget, ended at the latest when a `share` (0 to 1) of what is left has passed.
    pub(crate) fn with_share_of_time(&self, share: f64, seconds_at_most: f64) -> Budget {
        let now = Instant::now();
        let left = self.deadline.map(|d| d.saturating_duration_since(now).as_secs_f64() * share);
        let seconds = left.unwrap_or(seconds_at_most).min(seconds_at_most);
        let deadline = now.checked_add(std::time::Duration::from_secs_f64(seconds));
        Budget { deadline, ..self.clone() }
    }

    /// Which limit has been reached, given the bytes held now. Call it every few thousand steps.
    pub(crate) fn exceeded(&self, held_bytes: usize) -> Option<Reason> {
        let cancelled = self.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed));
        let superseded = |(first, part): &(Arc<AtomicUsize>, usize)| first.load(Ordering::Relaxed) < *part;
        if cancelled || self.superseded.as_ref().is_some_and(superseded) {
            Some(Reason::Interrupted)
        } else if held_bytes > self.memory_bytes {
            Some(Reason::Memory)
        } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Some(Reason::Time)
        } else {
            None
        }
    }
}
