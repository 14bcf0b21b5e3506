//! Random draws that are the same on every platform: integers only, one seeded ChaCha8 stream.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use shakedown_impls::protocol::NodeId;

/// A seeded source of draws.
#[derive(Clone)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random::stream(seed, "", 0)
    }

    /// One of many streams that a seed has, independent of each other: so that less being drawn from one
    /// leaves the others as they were.
    ///
    /// # Panics
    /// If `name` is longer than 16 bytes.
    pub(crate) fn stream(seed: u64, name: &str, number: u64) -> Random {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes[16..16 + name.len()].copy_from_slice(name.as_bytes());
        Random(ChaCha8Rng::from_seed(bytes))
    }

    /// An integer in `0..limit`; the bias is below `limit / 2^64`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        assert!(limit > 0, "a draw from nothing");
        ((u128::from(self.0.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    /// True with probability `p`, to 53 bits.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        ((self.0.next_u64() >> 11) as f64) < p * (1_u64 << 53) as f64
    }

    /// One of `weights`, by weight.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().map(|&w| u64::from(w)).sum());
        for (i, &weight) in weights.iter().enumerate() {
            if left < u64::from(weight) {
                return i;
            }
            left -= u64::from(weight);
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// An exponentially distributed duration, at least 1.
    ///
    /// Von Neumann's method (1951): the length of a falling run of uniform draws is odd with
    /// probability `e^-u`, for `u` the first of the run. It only compares, so that no platform's
    /// logarithm has a say in what a seed means.
    pub(crate) fn exponential(&mut self, mean: u64) -> u64 {
        let mut whole = 0;
        loop {
            let first = self.0.next_u64();
            let mut last = first;
            let mut run = 1;
            loop {
                let next = self.0.next_u64();
                if next >= last {
                    break;
                }
                last = next;
                run += 1;
            }
            if run % 2 == 1 {
                let part = ((u128::from(first) * u128::from(mean)) >> 64) as u64;
                return (whole * mean + part).max(1);
            }
            whole += 1;
        }
    }

    /// The same from one draw instead of four. Synthetic histories keep to the other: what a seed means there
    /// is published.
    ///
    /// A duration falls into steps of `ln 2`, each half as likely as the one before (so the number of leading
    /// zeros of a draw says which), and is distributed alike within each: by a table of the inverse, in
    /// integers, so that no platform's logarithm has a say in what a seed means.
    pub(crate) fn duration(&mut self, mean: u64) -> u64 {
        let mut steps = 0;
        let draw = loop {
            let draw = self.0.next_u64();
            let zeros = u64::from(((draw >> 48) | 1).leading_zeros() - 48);
            steps += zeros;
            // All sixteen bits are zero: it goes on. The last bit was set above, hence 15 zeros.
            if draw >> 48 != 0 {
                break draw;
            }
            steps += 1;
        };
        let (at, part) = (((draw >> 40) & 0xff) as usize, draw & 0xff_ffff_ffff);
        let between = ((WITHIN[at + 1] - WITHIN[at]) * part) >> 40;
        let units = u128::from(steps * WITHIN[256] + WITHIN[at] + between);
        ((units * u128::from(mean)) >> 24).max(1) as u64
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

/// `-ln(1 - i/512)` in units of 2^-24, for `i` up to 256, where it is `ln 2`.
const WITHIN: [u64; 257] = {
    let mut table = [0; 257];
    let mut i = 0;
    while i <= 256 {
        // The logarithm's series, in units of 2^-64: x + x^2/2 + x^3/3 + ...
        let (mut power, mut sum, mut n): (u128, u128, u128) = (1 << 64, 0, 1);
        while n <= 64 {
            power = power * i / 512;
            sum += power / n;
            n += 1;
        }
        table[i as usize] = ((sum + (1 << 39)) >> 40) as u64;
        i += 1;
    }
    table
};

/// Chance, for an operation of some kind.
pub struct Draws<'r> {
    pub(crate) random: &'r mut Random,
    pub(crate) keys: u32,
    pub(crate) nodes: u16,
    pub(crate) fresh: &'r mut u64,
}

impl Draws<'_> {
    /// An integer in `0..limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit)
    }

    /// Any of the keys.
    pub fn key(&mut self) -> u32 {
        self.random.below(u64::from(self.keys)) as u32
    }

    /// Any of the nodes.
    pub fn node(&mut self) -> NodeId {
        NodeId(self.random.below(u64::from(self.nodes)) as u16)
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> u16 {
        self.nodes
    }

    /// A number that the run has not seen, from 1.
    pub fn fresh(&mut self) -> u64 {
        *self.fresh += 1;
        *self.fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 100,000 draws: the mean's standard error is 0.3%.
    #[track_caller]
    fn is_exponential(mut draw: impl FnMut(&mut Random) -> u64) {
        let mut random = Random::new(7);
        let draws: Vec<u64> = (0..100_000).map(|_| draw(&mut random)).collect();
        let mean = draws.iter().sum::<u64>() / 100_000;
        assert!((985_000..1_015_000).contains(&mean), "{mean}");
        // e^-0.1, e^-1, e^-2 and e^-8 of the draws are longer, give or take four standard errors.
        for (beyond, share) in [(0.1, 0.904_837), (1.0, 0.367_879), (2.0, 0.135_335), (8.0, 0.000_335_5)] {
            let longer = draws.iter().filter(|&&d| d as f64 > beyond * 1e6).count() as f64 / 1e5;
            let error = 4.0 * (share * (1.0 - share) / 1e5_f64).sqrt();
            assert!((longer - share).abs() < error, "{longer} of the draws are beyond {beyond}, not {share}");
        }
    }

    #[test]
    fn durations_have_the_mean_and_the_tail_of_the_distribution() {
        is_exponential(|random| random.exponential(1_000_000));
        is_exponential(|random| random.duration(1_000_000));
    }

    #[test]
    fn the_table_ends_at_the_logarithm_of_two() {
        assert_eq!((WITHIN[0], WITHIN[256]), (0, 11_629_080)); // 0.693147180559... * 2^24
        assert!(WITHIN.is_sorted());
    }

    #[test]
    fn weights_of_zero_are_never_drawn() {
        let mut random = Random::new(1);
        let mut counts = [0; 3];
        for _ in 0..4_000 {
            counts[random.weighted(&[3, 0, 1])] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((2_850..3_150).contains(&counts[0]), "{counts:?}");
    }
}
