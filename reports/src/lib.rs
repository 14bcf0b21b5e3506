//! The `shakedown` command, as a library so that it can be tested piece by piece.
//!
//! - [`args`]: the command line; [`command`]: what each command does; [`exit`]: exit codes.
//! - [`report`]: what was found out about a file, for people, programs and CI servers.
//! - [`diagnostic`], [`progress`], [`interrupt`], [`terminal`]: how it talks to whoever runs it.

pub mod args;
pub mod command;
pub mod diagnostic;
pub mod exit;
pub mod interrupt;
pub mod judge;
pub mod progress;
pub mod report;
pub mod terminal;
