//! What to ask of common objects, and how to record it: one file for each vocabulary of
//! [`shakedown_impls::object`].

pub mod counter;
pub mod kv;
pub mod list;
pub mod log;
pub mod register;
pub mod set;
