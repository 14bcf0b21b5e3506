//! Small histories for comparisons with exhaustive search: the ways in which intervals can lie to
//! each other, and chance.

use crate::history::NEVER;

/// A generator with a fixed algorithm, so that a seed means the same history for ever: SplitMix64
/// (Steele, Lea & Flood 2014).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Invocation and completion of each operation.
pub(crate) type Shape = [(u32, u32)];

/// Calls `visit` with every way in which `n` intervals can lie to each other, sorted by invocation;
/// with `pending`, also every way in which some of them never end.
pub(crate) fn each_shape(n: usize, pending: bool, visit: &mut dyn FnMut(&Shape)) {
    let mut shape = Vec::with_capacity(n);
    extend_shape(n, pending, 0, &mut shape, visit);
}

fn extend_shape(
    n: usize,
    pending: bool,
    position: u32,
    shape: &mut Vec<(u32, u32)>,
    visit: &mut dyn FnMut(&Shape),
) {
    let open: Vec<usize> = (0..shape.len()).filter(|&i| shape[i].1 == NEVER).collect();
    if shape.len() == n && (pending || open.is_empty()) {
        visit(shape);
    }
    if shape.len() < n {
        shape.push((position, NEVER));
        extend_shape(n, pending, position + 1, shape, visit);
        shape.pop();
    }
    for i in open {
        shape[i].1 = position;
        extend_shape(n, pending, position + 1, shape, visit);
        shape[i].1 = NEVER;
    }
}
