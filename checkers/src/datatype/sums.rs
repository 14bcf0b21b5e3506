//! The sums that some of a list of amounts can have, as a set of intervals.
//!
//! Adding a negative amount or not is the same as first adding it and then its positive twin or not, so
//! only positive amounts are left, on top of the smallest sum. They are divided by their greatest common
//! divisor and taken in order, `k` equal ones in about `log k` steps (1, 2, 4, … of them at once). Small
//! amounts first fill the gaps of large ones, so that in practice there are few intervals. There can be
//! exponentially many (subset sums are NP-hard): past [`INTERVALS_MAX`], or past a budget of steps, the
//! narrowest gaps are closed, and the set says of itself that it contains too much.

/// More intervals than this are joined.
pub(super) const INTERVALS_MAX: usize = 1 << 14;

/// Intervals that may be looked at in all. Past it, one interval is kept.
const STEPS_MAX: u64 = 1 << 28;

/// The sums of `start` and any of the amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    least: i128,
    step: i128,
    /// Closed, in order, apart by more than 1: in units of `step` above `least`.
    intervals: Vec<(i128, i128)>,
    is_exact: bool,
}

impl Sums {
    /// All sums of `start` and any of `amounts`. The total of their sizes must fit 126 bits.
    pub(super) fn new(start: i128, amounts: &[i128]) -> Sums {
        Sums::within(start, amounts, INTERVALS_MAX, STEPS_MAX)
    }

    fn within(start: i128, amounts: &[i128], intervals_max: usize, steps_max: u64) -> Sums {
        let least = start + amounts.iter().filter(|amount| **amount < 0).sum::<i128>();
        let mut sizes: Vec<i128> =
            amounts.iter().map(|amount| amount.abs()).filter(|size| *size > 0).collect();
        sizes.sort_unstable();
        let step = sizes.iter().fold(0, |divisor, size| greatest_common_divisor(*size, divisor)).max(1);
        let mut sums = Sums { least, step, intervals: vec![(0, 0)], is_exact: true };
        let mut steps = 0;
        for equal in sizes.chunk_by(|a, b| a == b) {
            let (size, mut left) = (equal[0] / step, equal.len() as i128);
            let mut at_once = 1;
            while left > 0 {
                if let [(_, most)] = &mut sums.intervals[..]
                    && (size <= *most + 1 || steps >= steps_max)
                {
                    sums.is_exact &= size <= *most + 1;
                    *most += left * size;
                    break;
                }
                let count = at_once.min(left);
                sums.may_add(count * size);
                steps += sums.intervals.len() as u64;
                let most = if steps >= steps_max { 1 } else { intervals_max };
                sums.join_to(most);
                left -= count;
                at_once *= 2;
            }
        }
        sums
    }

    /// Whether `sum` is one of them.
    pub(super) fn contains(&self, sum: i128) -> bool {
        let above = sum - self.least;
        if above < 0 || above % self.step != 0 {
            return false;
        }
        let units = above / self.step;
        let at = self.intervals.partition_point(|(_, most)| *most < units);
        self.intervals.get(at).is_some_and(|(least, _)| *least <= units)
    }

    /// False if it may contain sums that are none.
    pub(super) fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// What lies between one sum and the next within an interval.
    pub(super) fn step(&self) -> i128 {
        self.step
    }

    /// The intervals, each from its smallest sum to its largest.
    pub(super) fn ranges(&self) -> Vec<(i128, i128)> {
        let sum = |units: i128| self.least + units * self.step;
        self.intervals.iter().map(|(least, most)| (sum(*least), sum(*most))).collect()
    }

    /// Each sum stays one, and so is each with `by` added.
    fn may_add(&mut self, by: i128) {
        let mut merged: Vec<(i128, i128)> = Vec::with_capacity(2 * self.intervals.len());
        let mut shifted = self.intervals.iter().map(|(least, most)| (least + by, most + by)).peekable();
        let mut push = |next: (i128, i128)| match merged.last_mut() {
            Some((_, most)) if next.0 <= *most + 1 => *most = next.1.max(*most),
            _ => merged.push(next),
        };
        for interval in &self.intervals {
            while let Some(next) = shifted.next_if(|next| next < interval) {
                push(next);
            }
            push(*interval);
        }
        shifted.for_each(push);
        self.intervals = merged;
    }

    /// Closes the narrowest gaps if there are more intervals than `most`.
    fn join_to(&mut self, most: usize) {
        if self.intervals.len() <= most {
            return;
        }
        self.is_exact = false;
        // Half of them, so that this does not happen at every step.
        let keep = most.div_ceil(2);
        let mut gaps: Vec<i128> = self.intervals.windows(2).map(|pair| pair[1].0 - pair[0].1).collect();
        gaps.sort_unstable();
        let widest_closed = gaps[gaps.len() - keep];
        let mut joined: Vec<(i128, i128)> = Vec::with_capacity(keep);
        for interval in &self.intervals {
            match joined.last_mut() {
                Some((_, end)) if interval.0 - *end <= widest_closed => *end = interval.1,
                _ => joined.push(*interval),
            }
        }
        self.intervals = joined;
    }
}

fn greatest_common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::super::testing::Chance;
    use super::*;
    use std::collections::BTreeSet;

    fn all_sums(start: i128, amounts: &[i128]) -> BTreeSet<i128> {
        let mut sums = BTreeSet::from([start]);
        for amount in amounts {
            sums = sums.iter().flat_map(|sum| [*sum, sum + amount]).collect();
        }
        sums
    }

    #[test]
    fn they_are_the_sums_of_all_subsets() {
        let mut chance = Chance::new(1);
        for round in 0..3000 {
            let scale = [1, 2, 1000][round % 3];
            let count = chance.below(9);
            let amounts: Vec<i128> = (0..count).map(|_| scale * (chance.below(40) as i128 - 15)).collect();
            let expected = all_sums(7, &amounts);
            let sums = Sums::new(7, &amounts);
            assert!(sums.is_exact());
            for sum in *expected.first().unwrap() - 3..expected.last().unwrap() + 3 {
                assert_eq!(sums.contains(sum), expected.contains(&sum), "{sum} of {amounts:?}");
            }
            let in_ranges =
                sums.ranges().iter().map(|(least, most)| (most - least) / sums.step() + 1).sum::<i128>();
            assert_eq!(in_ranges, expected.len() as i128);
        }
    }

    #[test]
    fn past_its_limits_it_contains_too_much_and_says_so() {
        let powers: Vec<i128> = (0..20).map(|power| 3_i128.pow(power)).collect();
        let sums = Sums::within(0, &powers, 64, STEPS_MAX);
        assert!(!sums.is_exact() && sums.intervals.len() <= 64);
        assert!(all_sums(0, &powers[..12]).into_iter().all(|sum| sums.contains(sum)));
        assert!(!sums.contains(-1) && !sums.contains(powers.iter().sum::<i128>() + 1));
        let sums = Sums::within(0, &powers, 1 << 20, 1000);
        assert_eq!((sums.is_exact(), sums.intervals.len()), (false, 1));
        let many = Sums::new(0, &vec![5; 1_000_000]);
        assert_eq!((many.is_exact(), many.ranges()), (true, vec![(0, 5_000_000)]));
        assert!(many.contains(55) && !many.contains(54));
    }
}
