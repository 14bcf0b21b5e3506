//! Reference implementations of distributed-system patterns, as sans-IO state machines.
//!
//! The crate is empty: the boundary (`Protocol`, `Component`) and its first pattern are the next
//! piece of work. It stands here because the dependency arrows of the workspace include it: `impls`
//! knows nothing of `checkers`, and a test keeps it so.
