//! Raft by other hands, under the load, the faults and the judge that ours has to bear.

#[cfg(feature = "peers")]
pub mod tikv;
