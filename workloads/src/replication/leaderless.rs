//! Load for [`shakedown_impls::replication::leaderless`].

pub mod abd;
