//! Load for [`shakedown_impls::replication`].

pub mod leaderless;
