//! Timers that are set, by name and by when they go off. There are few at a time, and most are
//! cancelled: so they stand in a row, and setting one moves no memory.

/// Timers named `T`, on a clock that shows `I`.
#[derive(Debug)]
pub(crate) struct Timers<T, I> {
    /// In the order of setting.
    set: Vec<(I, T)>,
}

impl<T, I> Default for Timers<T, I> {
    fn default() -> Timers<T, I> {
        Timers { set: vec![] }
    }
}

impl<T: Eq, I: Ord + Copy> Timers<T, I> {
    /// Has a timer go off at a time, and not when it would have before.
    pub(crate) fn set(&mut self, timer: T, at: I) {
        self.cancel(&timer);
        self.set.push((at, timer));
    }

    pub(crate) fn cancel(&mut self, timer: &T) {
        self.set.retain(|(_, other)| other != timer);
    }

    /// When the next one goes off.
    pub(crate) fn next(&self) -> Option<I> {
        self.set.iter().map(|(at, _)| *at).min()
    }

    /// Takes the next one; of two that go off together, the one that was set first.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let first = (0..self.set.len()).min_by_key(|&i| self.set[i].0)?;
        Some(self.set.remove(first).1)
    }

    pub(crate) fn clear(&mut self) {
        self.set.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_go_off_in_their_order_once_and_not_when_cancelled() {
        let mut timers = Timers::default();
        for (timer, at) in [("late", 9), ("again", 1), ("never", 2), ("first", 5), ("second", 5)] {
            timers.set(timer, at);
        }
        timers.cancel(&"never");
        timers.set("again", 7);
        assert_eq!(timers.next(), Some(5));
        let order: Vec<&str> = std::iter::from_fn(|| timers.pop()).collect();
        assert_eq!(order, ["first", "second", "again", "late"]);
        timers.set("gone", 1);
        timers.clear();
        assert_eq!(timers.next(), None);
    }
}
