//! A bucket that fills with tokens at a rate: who takes one may go.
//!
//! In any stretch of time no more are taken than the bucket holds, what flows in meanwhile, and what was put in:
//! [`TokenBucket::take`] is exact, to the nanosecond, for every rate. Nothing is lost to rounding, and a time
//! that is earlier than one seen before is taken for that one, so a clock that is set back and forth gives nothing
//! twice.
//!
//! Turner, *New Directions in Communications*, IEEE Communications Magazine 24(10), 1986, describes its mirror image,
//! the leaky bucket.

use crate::protocol::Time;
use crate::resilience::clock::nanos;
use std::time::Duration;

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    tokens: u32,
    per_ns: u64,
}

impl Rate {
    /// `tokens` in each `per`.
    ///
    /// # Panics
    /// If `per` is nothing, or longer than a day.
    pub fn new(tokens: u32, per: Duration) -> Rate {
        let day = Duration::from_secs(86_400);
        assert!(
            !per.is_zero() && per <= day,
            "a rate is per some time, of at most a day, and not per {per:?}"
        );
        Rate { tokens, per_ns: nanos(per) }
    }

    /// So many a second.
    pub fn per_second(tokens: u32) -> Rate {
        Rate::new(tokens, Duration::from_secs(1))
    }

    /// Nothing comes by itself.
    pub fn never() -> Rate {
        Rate::per_second(0)
    }

    /// How many.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }

    /// In how many nanoseconds.
    pub fn per_ns(&self) -> u64 {
        self.per_ns
    }
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenBucket {
    rate: Rate,
    /// What it holds at most, in drops.
    most: u64,
    /// What it holds, in drops: a token is as many drops as its rate's time has nanoseconds, so that in each nanosecond a
    /// whole number of them comes in.
    level: u64,
    /// The latest time that it was told.
    now: Time,
}

impl TokenBucket {
    /// A full one, for at most `burst` tokens.
    ///
    /// # Panics
    /// If it is so large that its drops cannot be counted: more than 200,000 tokens at a rate per day, or more than four
    /// thousand million at a rate per four seconds.
    pub fn new(rate: Rate, burst: u32) -> TokenBucket {
        let most = u64::from(burst).checked_mul(rate.per_ns);
        let most = most
            .unwrap_or_else(|| panic!("a burst of {burst} is too large for a rate per {} ns", rate.per_ns));
        TokenBucket { rate, most, level: most, now: Time(0) }
    }

    /// Takes `tokens`. `Err`: there are not as many, and nothing has happened; after so many nanoseconds there will be, if
    /// nobody else takes any; `None` if they never come by themselves.
    pub fn take(&mut self, now: Time, tokens: u32) -> Result<(), Option<u64>> {
        self.pass_time(now);
        let wanted = u64::from(tokens)
            .checked_mul(self.rate.per_ns)
            .filter(|&wanted| wanted <= self.most)
            .ok_or(None)?;
        if let Some(left) = self.level.checked_sub(wanted) {
            self.level = left;
            return Ok(());
        }
        match self.rate.tokens {
            0 => Err(None),
            tokens => Err(Some((wanted - self.level).div_ceil(u64::from(tokens)))),
        }
    }

    /// Puts in `percent` hundredths of a token, to the nanosecond of its rate; what it cannot hold is lost.
    pub fn put(&mut self, now: Time, percent: u32) {
        self.pass_time(now);
        let drops = u128::from(self.rate.per_ns) * u128::from(percent) / 100;
        self.level = self.level.saturating_add(u64::try_from(drops).unwrap_or(u64::MAX)).min(self.most);
    }

    /// Pours all away.
    pub fn empty(&mut self) {
        self.level = 0;
    }

    /// Whole tokens that it holds.
    pub fn tokens(&mut self, now: Time) -> u32 {
        self.pass_time(now);
        u32::try_from(self.level / self.rate.per_ns).expect("no more than its burst")
    }

    fn pass_time(&mut self, now: Time) {
        let passed_ns = now.0.saturating_sub(self.now.0);
        self.now = self.now.max(now);
        let drops = passed_ns.saturating_mul(u64::from(self.rate.tokens));
        self.level = self.level.saturating_add(drops).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_says_when_to_come_again_and_keeps_its_word() {
        let mut bucket = TokenBucket::new(Rate::per_second(3), 2);
        assert_eq!(bucket.take(Time(0), 2), Ok(()));
        assert_eq!(bucket.take(Time(0), 1), Err(Some(333_333_334)));
        assert_eq!(bucket.take(Time(333_333_333), 1), Err(Some(1)));
        assert_eq!(bucket.take(Time(333_333_334), 1), Ok(()));
        // More than it holds never comes.
        assert_eq!(bucket.take(Time(u64::MAX), 3), Err(None));
        assert_eq!(bucket.tokens(Time(u64::MAX)), 2);
    }

    #[test]
    fn what_does_not_come_by_itself_is_put_in() {
        let mut bucket = TokenBucket::new(Rate::never(), 1);
        bucket.empty();
        (0..9).for_each(|_| bucket.put(Time(0), 10));
        assert_eq!(bucket.take(Time(9), 1), Err(None));
        (0..99).for_each(|_| bucket.put(Time(0), 10));
        assert_eq!((bucket.take(Time(9), 1), bucket.take(Time(9), 1)), (Ok(()), Err(None)));
    }

    proptest! {
        // In no stretch between two takings are more taken than the burst and what flowed in, whatever the clock does;
        // and whoever comes when they are told to, gets what they wanted.
        #[test]
        fn the_rate_is_never_exceeded(
            (tokens, per_ns, burst) in (1_u32..50, 1_u64..1_000, 1_u32..5),
            steps in prop::collection::vec((-300_i64..300, 1_u32..3), 1..60),
        ) {
            let rate = Rate::new(tokens, Duration::from_nanos(per_ns));
            let mut bucket = TokenBucket::new(rate, burst);
            let (mut clock, mut latest) = (0_u64, 0);
            let mut taken: Vec<(u64, u32)> = vec![];
            for (by, wanted) in steps {
                clock = clock.saturating_add_signed(by);
                latest = latest.max(clock);
                match bucket.take(Time(clock), wanted) {
                    Ok(()) => taken.push((latest, wanted)),
                    Err(Some(wait_ns)) => prop_assert_eq!(bucket.clone().take(Time(latest + wait_ns), wanted), Ok(())),
                    Err(None) => prop_assert!(wanted > burst),
                }
            }
            for (first, &(from, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for &(until, count) in &taken[first..] {
                    sum += u64::from(count);
                    prop_assert!(sum * per_ns <= u64::from(burst) * per_ns + (until - from) * u64::from(tokens));
                }
            }
        }
    }
}
