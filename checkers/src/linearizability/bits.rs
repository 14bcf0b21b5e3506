//! A fixed number of slots, each set or not.

/// `64 * W` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bits<const W: usize>([u64; W]);

impl<const W: usize> Bits<W> {
    pub(crate) const EMPTY: Bits<W> = Bits([0; W]);

    #[inline]
    pub(crate) fn has(&self, slot: usize) -> bool {
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }

    #[inline]
    pub(crate) fn set(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    #[inline]
    pub(crate) fn clear(&mut self, slot: usize) {
        self.0[slot / 64] &= !(1 << (slot % 64));
    }

    #[inline]
    pub(crate) fn union(&self, other: &Bits<W>) -> Bits<W> {
        Bits(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    #[inline]
    pub(crate) fn minus(&self, other: &Bits<W>) -> Bits<W> {
        Bits(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    #[inline]
    pub(crate) fn contains_all(&self, other: &Bits<W>) -> bool {
        (0..W).all(|i| other.0[i] & !self.0[i] == 0)
    }

    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The lowest slot that is not set.
    pub(crate) fn first_clear(&self) -> Option<usize> {
        let word = self.0.iter().position(|&word| word != u64::MAX)?;
        Some(word * 64 + self.0[word].trailing_ones() as usize)
    }

    /// The bits, as words, for hashing.
    pub(crate) fn words(&self) -> &[u64; W] {
        &self.0
    }
}
