//! The form of a bulkhead for work that blocks: so many threads of its own, and a bounded queue before them.
//!
//! A thread that works cannot be taken back: a caller who has waited long enough goes away, and the thread stays busy
//! until its work ends. That is said, and counts: its place is free when the thread is. Work that has not begun in
//! time never does.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "its threads are what it is about")]

use super::Config;
use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

/// Threads for work that blocks: [`Config::max_concurrent_calls`] of them, and room for
/// [`Config::max_wait_queue_size`] pieces of work that wait. Adaptive limits are not for threads.
///
/// ```
/// use shakedown_impls::resilience::bulkhead::Config;
/// use shakedown_impls::resilience::bulkhead::pool::Pool;
///
/// let reports = Pool::new("reports", &Config { max_concurrent_calls: 2, ..Config::default() });
/// let sum = reports.execute(|| (1..=1_000_u64).sum::<u64>());
/// assert_eq!(sum, Ok(500_500));
/// ```
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    max_wait: Duration,
    execution_timeout: Duration,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PoolError {
    /// There is no room to wait. It has not begun, and never will.
    #[error("the pool is full: the work was not begun")]
    Full,
    /// No thread was free in time. It has not begun, and never will.
    #[error("no thread was free in time: the work was not begun")]
    WaitedTooLong,
    /// It has begun, and not ended in time: it goes on, and nobody hears what comes of it.
    #[error("the work takes longer than {0:?}, and goes on")]
    TimedOut(Duration),
    /// It panicked. The thread goes on with other work.
    #[error("the work panicked")]
    Panicked,
}

struct Shared {
    state: Mutex<State>,
    work_came: Condvar,
    queue_max: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(u64, Box<dyn FnOnce() + Send>)>,
    next: u64,
    idle: usize,
    busy: usize,
    is_closed: bool,
}

impl Pool {
    /// A pool whose threads bear its name.
    ///
    /// # Panics
    /// If it has no threads, or the system gives it none.
    pub fn new(name: &str, config: &Config) -> Pool {
        assert!(config.max_concurrent_calls > 0, "max_concurrent_calls is at least 1");
        let state = State { idle: config.max_concurrent_calls as usize, ..State::default() };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            work_came: Condvar::new(),
            queue_max: config.max_wait_queue_size as usize,
        });
        let thread = |number| {
            let shared = Arc::clone(&shared);
            let builder = std::thread::Builder::new().name(format!("{name}-{number}"));
            builder.spawn(move || shared.work()).expect("the system gives out threads")
        };
        let threads = (0..config.max_concurrent_calls).map(thread).collect();
        Pool { shared, threads, max_wait: config.max_wait, execution_timeout: config.execution_timeout }
    }

    /// Has a thread do `work`, and waits for what comes of it. It blocks: not for async tasks.
    pub fn execute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (begins, begun) = sync_channel(1);
        let (ends, ended) = sync_channel(1);
        let work = move || {
            // Nobody listens any more: that is their business.
            let _ = begins.send(());
            let _ = ends.send(catch_unwind(AssertUnwindSafe(work)));
        };
        let number = self.shared.submit(Box::new(work)).ok_or(PoolError::Full)?;
        self.wait_for_begin(number, &begun)?;
        match ended.recv_timeout(self.execution_timeout) {
            Ok(result) => result.map_err(|_| PoolError::Panicked),
            Err(RecvTimeoutError::Timeout) => Err(PoolError::TimedOut(self.execution_timeout)),
            Err(RecvTimeoutError::Disconnected) => unreachable!("a thread says what came of its work"),
        }
    }

    /// Threads that work now.
    pub fn busy(&self) -> usize {
        self.shared.state().busy
    }

    fn wait_for_begin(&self, number: u64, begun: &Receiver<()>) -> Result<(), PoolError> {
        match begun.recv_timeout(self.max_wait) {
            Err(RecvTimeoutError::Timeout) if self.shared.withdraw(number) => Err(PoolError::WaitedTooLong),
            // Taken out of the queue in the last moment: it begins.
            _ => Ok(()),
        }
    }
}

impl Drop for Pool {
    /// Waits for what has begun; what waits does not begin, and nobody can wait for it any more.
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        state.queue.clear();
        drop(state);
        self.shared.work_came.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().expect("panics of its work are caught");
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes work in, if there is room. Looked at and taken under one lock.
    fn submit(&self, work: Box<dyn FnOnce() + Send>) -> Option<u64> {
        let mut state = self.state();
        // What an idle thread is about to take does not wait.
        if state.queue.len() >= self.queue_max + state.idle {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.queue.push_back((number, work));
        drop(state);
        self.work_came.notify_one();
        Some(number)
    }

    /// Takes work out that has not begun. False: it has.
    fn withdraw(&self, number: u64) -> bool {
        let mut state = self.state();
        let before = state.queue.len();
        state.queue.retain(|(other, _)| *other != number);
        state.queue.len() < before
    }

    fn work(&self) {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return;
            }
            let Some((_, work)) = state.queue.pop_front() else {
                state = self.work_came.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            (state.idle, state.busy) = (state.idle - 1, state.busy + 1);
            drop(state);
            work();
            state = self.state();
            (state.idle, state.busy) = (state.idle + 1, state.busy - 1);
        }
    }
}

impl Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads.len()).field("busy", &self.busy()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    fn pool(threads: u32, queue: u32, wait_ms: u64, execution_ms: u64) -> Pool {
        Pool::new(
            "test",
            &Config {
                max_concurrent_calls: threads,
                max_wait_queue_size: queue,
                max_wait: Duration::from_millis(wait_ms),
                execution_timeout: Duration::from_millis(execution_ms),
                ..Config::default()
            },
        )
    }

    // One works until it is let go, one waits, and the third is refused at once.
    #[test]
    fn what_is_too_much_is_refused_and_what_waits_is_done() {
        let pool = pool(1, 1, 60_000, 60_000);
        let (begun, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        std::thread::scope(|scope| {
            let work = {
                let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
                move || {
                    begun.wait();
                    go.wait();
                    1
                }
            };
            let first = scope.spawn(|| pool.execute(work));
            begun.wait();
            let second = scope.spawn(|| pool.execute(|| 2));
            while pool.shared.state().queue.is_empty() {
                std::thread::yield_now();
            }
            assert_eq!((pool.execute(|| 3), pool.busy()), (Err(PoolError::Full), 1));
            go.wait();
            assert_eq!((first.join().unwrap(), second.join().unwrap()), (Ok(1), Ok(2)));
        });
    }

    #[test]
    fn what_is_not_begun_in_time_never_is_and_what_takes_too_long_goes_on() {
        let pool = pool(1, 5, 20, 20);
        let (go, ended) = (Arc::new(Barrier::new(2)), Arc::new(Mutex::new(vec![])));
        let (wait, log) = (Arc::clone(&go), Arc::clone(&ended));
        let slow = pool.execute(move || {
            wait.wait();
            log.lock().unwrap().push("slow");
        });
        assert_eq!(slow, Err(PoolError::TimedOut(Duration::from_millis(20))));
        let log = Arc::clone(&ended);
        assert_eq!(pool.execute(move || log.lock().unwrap().push("late")), Err(PoolError::WaitedTooLong));
        assert_eq!(pool.busy(), 1, "the thread is as busy as before");
        go.wait();
        drop(pool);
        assert_eq!(*ended.lock().unwrap(), ["slow"]);
    }

    #[test]
    fn a_panic_costs_no_thread() {
        let pool = pool(1, 0, 60_000, 60_000);
        for _ in 0..3 {
            assert_eq!(pool.execute(|| -> u8 { panic!("on purpose") }), Err(PoolError::Panicked));
            while pool.busy() > 0 {
                std::thread::yield_now();
            }
        }
        assert_eq!(pool.execute(|| 1), Ok(1));
    }

    // Two compartments: all threads of one are stuck, and the other does not notice.
    #[test]
    fn one_compartment_that_is_full_does_not_slow_another() {
        let (stuck, free) = (pool(1, 0, 10, 10), pool(1, 0, 60_000, 60_000));
        let go = Arc::new(Barrier::new(2));
        let wait = Arc::clone(&go);
        assert!(matches!(
            stuck.execute(move || {
                wait.wait();
            }),
            Err(PoolError::TimedOut(_))
        ));
        assert_eq!((stuck.execute(|| 1), free.execute(|| 2)), (Err(PoolError::Full), Ok(2)));
        go.wait();
    }
}
