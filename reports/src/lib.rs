//! The `shakedown` command, as a library so that it can be tested piece by piece.
//!
//! - [`args`]: the command line; [`command`]: what each command does; [`exit`]: exit codes.
//! - [`judge`]: from a file to a verdict; [`campaign`]: from a pattern to what it does wrong, [`evidence`]: in files.
//! - [`report`]: what was found out, for people, programs and CI servers.
//! - [`diagnostic`], [`names`], [`progress`], [`interrupt`], [`panics`], [`terminal`]: how it talks to
//!   whoever runs it.

pub mod again;
pub mod args;
pub mod campaign;
pub mod command;
pub mod diagnostic;
pub mod evidence;
pub mod exit;
pub mod files;
pub mod interrupt;
pub mod judge;
pub mod names;
pub mod panics;
pub mod progress;
pub mod report;
pub mod terminal;
