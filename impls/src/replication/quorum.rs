//! How many of how many: sizes of quorums.

/// The least number of nodes of which any two sets share one. `n` is at least 1.
///
/// ```
/// use shakedown_impls::replication::quorum::majority;
/// assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
/// ```
pub const fn majority(n: usize) -> usize {
    n / 2 + 1
}
