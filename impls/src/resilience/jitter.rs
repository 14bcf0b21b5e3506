//! Chance that comes from a seed, so that callers who failed together do not all come back together.
//!
//! SplitMix64 (Steele, Lea & Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014): eight
//! bytes of state, every number once in its period. It is not for secrets.

/// A source of numbers. Equal seeds give equal numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Jitter(u64);

impl Jitter {
    /// From a seed. Instances in different processes should have different ones.
    pub fn new(seed: u64) -> Jitter {
        Jitter(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `from` to `to`, both included, each about equally often.
    ///
    /// # Panics
    /// If `from` is greater than `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        assert!(from <= to, "a range from {from} to {to} has nothing in it");
        // The upper half of a product spreads evenly, but for one part in 2^64 / (to - from).
        let wide = u128::from(self.next()) * (u128::from(to - from) + 1);
        from + (wide >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The first numbers of the reference implementation from seed 1234567.
    #[test]
    fn numbers_are_those_of_the_paper() {
        let mut jitter = Jitter::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| jitter.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_range_is_used_to_both_ends_and_evenly() {
        let mut jitter = Jitter::new(1);
        let mut seen = [0; 4];
        (0..4_000).for_each(|_| seen[jitter.between(7, 10) as usize - 7] += 1);
        assert!(seen.iter().all(|count| (900..1_100).contains(count)), "{seen:?}");
        assert_eq!(jitter.between(5, 5), 5);
        assert!(jitter.between(0, u64::MAX) > 0);
    }
}
