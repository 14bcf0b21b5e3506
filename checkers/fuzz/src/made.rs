//! Histories made from bytes: every byte string is one, so that no input is lost on syntax.

pub mod operations;
pub mod transactions;
