//! Timers that are set, by name and by when they go off.

use std::collections::BTreeMap;
use tokio::time::Instant;

/// When, and which setting: of two that are due together the one set first goes off first.
type Due = (Instant, u64);

#[derive(Debug)]
pub(super) struct Timers<T> {
    by_due: BTreeMap<Due, T>,
    by_name: BTreeMap<T, Due>,
    settings: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Timers<T> {
        Timers { by_due: BTreeMap::new(), by_name: BTreeMap::new(), settings: 0 }
    }
}

impl<T: Ord + Clone> Timers<T> {
    /// Has a timer go off at a time, and not when it would have before.
    pub(super) fn set(&mut self, timer: T, at: Instant) {
        self.cancel(&timer);
        self.settings += 1;
        self.by_due.insert((at, self.settings), timer.clone());
        self.by_name.insert(timer, (at, self.settings));
    }

    pub(super) fn cancel(&mut self, timer: &T) {
        if let Some(due) = self.by_name.remove(timer) {
            self.by_due.remove(&due);
        }
    }

    /// When the next one goes off.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_due.first_key_value().map(|(due, _)| due.0)
    }

    /// Takes the next one.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (_, timer) = self.by_due.pop_first()?;
        self.by_name.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_go_off_in_their_order_once_and_not_when_cancelled() {
        let (start, mut timers) = (tokio::time::Instant::now(), Timers::default());
        let after = |ms| start + Duration::from_millis(ms);
        for (timer, ms) in [("late", 9), ("again", 1), ("never", 2), ("first", 5), ("second", 5)] {
            timers.set(timer, after(ms));
        }
        timers.cancel(&"never");
        timers.set("again", after(7));
        assert_eq!(timers.next(), Some(after(5)));
        let order: Vec<&str> = std::iter::from_fn(|| timers.pop()).collect();
        assert_eq!(order, ["first", "second", "again", "late"]);
    }
}
