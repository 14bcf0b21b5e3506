//! Client load, faults and worlds.
//!
//! - [`catalogue`]: the patterns that can be run.
//! - [`trial`]: your own implementation under our load, faults and checkers.
//! - [`hunt`]: seed after seed, on all cores; [`replay`]: what fails, in a file.
//! - [`scenario`]: one run as data, made of what clients ask ([`generator`], [`operation`]) and what goes
//!   wrong ([`nemesis`]).
//! - [`world`]: what runs a protocol of `shakedown-impls`, and what it does to it; [`outcome`] is what
//!   comes of it, [`recorder`] and [`trace`] what is written down meanwhile.
//! - [`driver`]: what a protocol needs to run for real: frames, a log on disk.
//! - [`synthetic`]: histories made without a system under test, valid or invalid by construction.
//!
//! What to ask of an object, and how to record it, is in [`object`]; what is said of a pattern is at the
//! pattern's own path: [`replication`], [`resilience`].

pub mod catalogue;
pub mod driver;
pub mod generator;
pub mod hunt;
pub mod judge;
pub mod manner;
pub mod nemesis;
pub mod object;
pub mod operation;
pub mod outcome;
pub(crate) mod random;
pub mod recorder;
pub mod replay;
pub mod replication;
pub mod resilience;
pub mod run;
pub mod scenario;
pub mod synthetic;
pub mod trace;
pub mod trial;
pub mod world;
