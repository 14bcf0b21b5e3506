//! Judges of recorded histories: histories in, verdicts out.
//!
//! - [`history`]: the columnar history and its builder; [`value`]: what operations carry.
//! - [`format`](mod@format): readers and writers of the formats that other tools record.
//! - [`model`]: what an operation means, as a small trait, and the ready-made models.
//! - [`theory`]: what a history can be judged by: an object, transactions, a data type.
//! - [`transaction`]: isolation: anomalies, levels, engines that decide them.
//! - [`datatype`]: sets, queues, counters and others in Jepsen's vocabulary.
//! - [`linearizability`]: the engines, the certificate and the witness.
//!
//! Nothing here does I/O but the readers and writers, reads a clock but the deadline, or knows an
//! implementation that it judges.

pub mod datatype;
pub mod format;
pub mod history;
pub mod linearizability;
pub mod model;
pub mod options;
pub mod theory;
pub mod transaction;
pub mod validate;
pub mod value;
pub mod verdict;
