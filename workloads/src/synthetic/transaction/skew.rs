//! Who is used more often: weights of keys and sessions, and draws by weight.
//!
//! Powers are computed here from additions, multiplications and divisions, which every platform rounds
//! alike: one seed means one history everywhere, and no platform's `pow` has a say in it.

use super::{SyntheticError, out_of_range};
use crate::random::Random;
use std::f64::consts::LN_2;

/// How unevenly things are used. The first one is used most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Skew {
    /// All alike.
    Uniform,
    /// The n-th has weight `n^-exponent`, for an exponent of 0 to 10.
    Zipf(f64),
    /// The n-th has weight `base^-n`, for a base of 1 to 1,000. Elle's generator draws keys so, with base
    /// 2.
    Exponential(f64),
}

impl Skew {
    pub(super) fn validate(self, what: &'static str) -> Result<(), SyntheticError> {
        match self {
            Skew::Zipf(exponent) if !(0.0..=10.0).contains(&exponent) => {
                Err(out_of_range(what, self, "an exponent of 0 to 10"))
            }
            Skew::Exponential(base) if !(1.0..=1000.0).contains(&base) => {
                Err(out_of_range(what, self, "a base of 1 to 1000"))
            }
            _ => Ok(()),
        }
    }

    /// The weights of so many things; they sum to 1.
    pub(super) fn weights(self, len: u32) -> Vec<f64> {
        let mut weights = Vec::with_capacity(len as usize);
        let mut last = 1.0;
        for n in 1..=len {
            weights.push(match self {
                Skew::Uniform => 1.0,
                Skew::Zipf(exponent) => negative_power(f64::from(n), exponent),
                Skew::Exponential(base) => {
                    last /= base;
                    last
                }
            });
        }
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        weights
    }

    /// The chance that two draws are of the same thing.
    pub(super) fn concentration(self, len: u32) -> f64 {
        match self {
            Skew::Uniform => 1.0 / f64::from(len),
            _ => self.weights(len).iter().map(|weight| weight * weight).sum(),
        }
    }
}

/// Draws numbers from `0..len` by a skew's weights: O(log len) a draw.
pub(super) enum Sampler {
    Uniform(u64),
    /// The sums of the weights up to and with each number, in units of 2^-53.
    Cumulative(Vec<u64>),
}

impl Sampler {
    pub(super) fn new(skew: Skew, len: u32) -> Sampler {
        if skew == Skew::Uniform {
            return Sampler::Uniform(u64::from(len));
        }
        let mut sum = 0;
        let units = skew.weights(len).into_iter().map(|weight| {
            sum += (weight * (1_u64 << 53) as f64) as u64;
            sum
        });
        Sampler::Cumulative(units.collect())
    }

    pub(super) fn draw(&self, random: &mut Random) -> usize {
        match self {
            Sampler::Uniform(len) => random.below(*len) as usize,
            Sampler::Cumulative(sums) => {
                let draw = random.below(sums[sums.len() - 1]);
                sums.partition_point(|sum| *sum <= draw)
            }
        }
    }
}

/// `base^-exponent`, for a base of at least 1 and an exponent of at least 0.
fn negative_power(base: f64, exponent: f64) -> f64 {
    exponential(-exponent * logarithm(base))
}

/// The natural logarithm of `x`, at least 1: by `2 artanh((m - 1) / (m + 1))` for `x = m 2^n`.
fn logarithm(mut x: f64) -> f64 {
    let mut twos = 0.0;
    while x > 1.5 {
        x /= 2.0;
        twos += 1.0;
    }
    let ratio = (x - 1.0) / (x + 1.0);
    let (mut power, mut sum, mut n) = (ratio, 0.0, 1.0);
    // The ratio is at most 1/5 and at least -1/7: twelve terms leave less than 2^-53.
    for _ in 0..12 {
        sum += power / n;
        power *= ratio * ratio;
        n += 2.0;
    }
    twos * LN_2 + 2.0 * sum
}

/// `e^x` for `x` at most 0, by its series between powers of two; 0 where that is all there is.
fn exponential(x: f64) -> f64 {
    let halvings = (-x / LN_2).floor();
    if halvings >= 1074.0 {
        return 0.0;
    }
    let rest = x + halvings * LN_2;
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1.0);
    for _ in 0..20 {
        term *= rest / n;
        sum += term;
        n += 1.0;
    }
    for _ in 0..halvings as u32 {
        sum /= 2.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_standard_library() {
        for base in [1.0, 2.0, 3.0, 7.0, 1000.0, 999_999.0] {
            for exponent in [0.0, 0.5, 0.99, 1.0, 2.0, 10.0] {
                let (ours, theirs) = (negative_power(base, exponent), f64::powf(base, -exponent));
                assert!((ours / theirs - 1.0).abs() < 1e-12, "{base}^-{exponent}: {ours}, not {theirs}");
            }
        }
    }

    #[test]
    fn draws_follow_the_weights() {
        for skew in [Skew::Uniform, Skew::Zipf(1.0), Skew::Exponential(2.0)] {
            let (sampler, weights) = (Sampler::new(skew, 8), skew.weights(8));
            let mut random = Random::new(3);
            let mut counts = [0_u32; 8];
            for _ in 0..80_000 {
                counts[sampler.draw(&mut random)] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                // Five standard deviations.
                let mean = 80_000.0 * weight;
                assert!((f64::from(*count) - mean).abs() < 5.0 * mean.sqrt(), "{skew:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn weights_too_small_to_count_are_never_drawn() {
        let sampler = Sampler::new(Skew::Exponential(1000.0), 100_000);
        let mut random = Random::new(5);
        assert!((0..1_000).all(|_| sampler.draw(&mut random) < 10));
    }
}
