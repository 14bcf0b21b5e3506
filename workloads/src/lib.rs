//! Client load, faults and worlds.
//!
//! - [`synthetic`]: histories made without a system under test, valid or invalid by construction.

pub mod synthetic;
