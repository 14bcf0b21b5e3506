//! The lock around a component that several tasks use: one around all of it, held for the length of one operation.
//!
//! So an operation on the component is one step, whoever else is at it; that is what the orders of steps that
//! the model world looks at are made of. No lock is held while anybody waits. Which lock it is can be chosen, so
//! that a scheduler which looks for races ([shuttle](https://docs.rs/shuttle)) can bring its own.

#![allow(clippy::disallowed_types, reason = "layers are used by several threads; components have none")]

use std::sync::{Mutex, PoisonError};

/// A lock around a `T`.
pub trait Lock<T>: Send + Sync + 'static {
    /// One that nobody holds.
    fn new(value: T) -> Self;

    /// Runs `body` while nobody else does. It must not wait, nor lock again.
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R;
}

/// The standard library's.
#[derive(Debug, Default)]
pub struct StdLock<T>(Mutex<T>);

impl<T: Send + 'static> Lock<T> for StdLock<T> {
    fn new(value: T) -> StdLock<T> {
        StdLock(Mutex::new(value))
    }

    #[inline]
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        // An operation that panics leaves the component as it was before or after: none of them panics half way
        // but by a bug of ours, and then whoever comes next is better served by what is there than by a panic.
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Shuttle's lock: it decides who is next whenever one is taken.
#[cfg(test)]
pub(crate) struct ShuttleLock<T>(shuttle::sync::Mutex<T>);

#[cfg(test)]
impl<T: Send + 'static> Lock<T> for ShuttleLock<T> {
    fn new(value: T) -> ShuttleLock<T> {
        ShuttleLock(shuttle::sync::Mutex::new(value))
    }

    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        body(&mut self.0.lock().expect("nobody panics while holding it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_not_passed_on() {
        let lock = StdLock::new(1);
        let panics = std::thread::scope(|scope| scope.spawn(|| lock.with(|_| panic!("on purpose"))).join());
        assert!(panics.is_err());
        lock.with(|value| *value += 1);
        assert_eq!(lock.with(|value| *value), 2);
    }
}
