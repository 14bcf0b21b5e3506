//! The patterns of [`shakedown_impls::resilience`] under load and trouble.

pub mod backpressure;
pub mod bulkhead;
pub mod circuit_breaker;
pub(crate) mod component;
pub mod dependency;
pub mod incident;
pub mod retry;
