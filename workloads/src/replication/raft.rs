//! Raft, as others have written it.

#[cfg(feature = "peers")]
pub mod openraft;
