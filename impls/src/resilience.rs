//! What stands between a caller and what it depends on, so that the trouble of one does not become the trouble
//! of all.
//!
//! - [`backpressure`]: a bounded buffer, and a rule for when it is full.
//! - [`bulkhead`]: so many calls at a time, so many waiting, and no more.
//! - [`circuit_breaker`]: stops calling what keeps failing, and tries again carefully.
//! - [`retry`]: makes a call again that failed, if that is safe, in time, and paid for.
//!
//! [`composed`] has the four in the order in which they belong.
//!
//! Each pattern is a [`Component`](crate::protocol::Component), which knows neither clock nor thread, and a
//! [`tower::Layer`](tower_layer::Layer) over it, which any tower stack takes. What several need is here: where a
//! layer's time comes from ([`clock`]), chance from a seed ([`jitter`]), what happened lately ([`window`]), what comes
//! at a rate ([`token_bucket`]), and the lock around a component that several tasks use ([`lock`]).

pub mod backpressure;
pub mod bulkhead;
pub mod circuit_breaker;
pub mod clock;
pub mod composed;
pub mod jitter;
pub mod lock;
pub mod retry;
pub mod token_bucket;
pub mod window;
