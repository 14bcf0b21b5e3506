//! What is going to happen, by time, then in the order of scheduling.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub(super) struct Queue<E> {
    /// Time, number of scheduling, place of the event.
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    events: Vec<Option<E>>,
    free: Vec<u32>,
    scheduled: u64,
}

impl<E> Queue<E> {
    pub(super) fn new() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), events: vec![], free: vec![], scheduled: 0 }
    }

    pub(super) fn push(&mut self, time_ns: u64, event: E) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            u32::try_from(self.events.len() - 1).expect("a run has fewer events than that")
        });
        self.events[at as usize] = Some(event);
        self.scheduled += 1;
        self.heap.push(Reverse((time_ns, self.scheduled, at)));
    }

    /// When the next event is.
    pub(super) fn next_time(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((time_ns, ..))| *time_ns)
    }

    pub(super) fn pop(&mut self) -> Option<(u64, E)> {
        let Reverse((time_ns, _, at)) = self.heap.pop()?;
        self.free.push(at);
        Some((time_ns, self.events[at as usize].take().expect("what is scheduled is there")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_in_order() {
        let mut queue = Queue::new();
        for (time_ns, event) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd')] {
            queue.push(time_ns, event);
        }
        assert_eq!(queue.next_time(), Some(3));
        assert_eq!(queue.pop(), Some((3, 'b')));
        queue.push(3, 'e');
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, [(3, 'd'), (3, 'e'), (5, 'a'), (5, 'c')]);
    }
}
