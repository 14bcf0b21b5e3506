//! What clients may ask of common objects. Patterns that offer the same object share its vocabulary, so
//! that they are asked, compared and judged alike, whoever wrote them.

pub mod bytes;
pub mod counter;
pub mod kv;
pub mod list;
pub mod log;
pub mod register;
pub mod set;
