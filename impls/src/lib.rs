//! Reference implementations of distributed-system patterns, as sans-IO state machines.
//!
//! Start at [`protocol`]: the boundary that every pattern keeps, with a whole small protocol as an
//! example. Each pattern's module says what problem it solves, what it guarantees at what price, and
//! which famous mistakes it can be told to make ([`mod@mutants`]). What clients may ask is a vocabulary
//! of its own, shared by patterns that offer the same thing ([`object`]).
//!
//! State machines know no engine: no async runtime, no model checker, no clock. What wraps one for those who use it
//! in a program ([`resilience`]) reads tokio's clock, in one place ([`resilience::clock`]).

pub mod mutants;
pub mod object;
pub mod protocol;
pub mod replication;
pub mod resilience;
