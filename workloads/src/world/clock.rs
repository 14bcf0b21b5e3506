//! Clocks of nodes: they start anywhere, drift, and jump.

use crate::random::Random;

/// A clock that runs by its own.
pub(crate) struct Clock {
    /// What it showed, in nanoseconds, when the world's clock showed `since`.
    shown: u64,
    since: u64,
    drift_ppm: i64,
}

impl Clock {
    /// Any origin, and up to 1 ms a second too fast or too slow.
    pub(crate) fn draw(random: &mut Random) -> Clock {
        let drift_ppm = random.below(2_001) as i64 - 1_000;
        Clock { shown: (1 << 40) + random.below(1 << 40), since: 0, drift_ppm }
    }

    /// What it shows.
    pub(crate) fn shows(&self, now: u64) -> u64 {
        self.shown + scaled(now - self.since, 1_000_000 + self.drift_ppm, 1_000_000)
    }

    /// How long it takes until it has gone on by `duration`.
    pub(crate) fn takes(&self, duration: u64) -> u64 {
        scaled(duration, 1_000_000, 1_000_000 + self.drift_ppm)
    }

    pub(crate) fn jump(&mut self, now: u64, ms: i32) {
        self.shown = self.shows(now).saturating_add_signed(i64::from(ms) * 1_000_000);
        self.since = now;
    }

    pub(crate) fn drift_more(&mut self, now: u64, permille: i64) {
        self.shown = self.shows(now);
        self.since = now;
        // Drifts may add up, but a clock that stands would stop every timer.
        self.drift_ppm = (self.drift_ppm + permille * 1_000).max(-900_000);
    }
}

fn scaled(duration: u64, by: i64, of: i64) -> u64 {
    (u128::from(duration) * by as u128 / of as u128) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_jump_and_drift() {
        let second = 1_000_000_000;
        let mut clock = Clock { shown: 100 * second, since: 0, drift_ppm: 0 };
        assert_eq!(clock.shows(second), 101 * second);
        clock.jump(second, -2_000);
        assert_eq!(clock.shows(2 * second), 100 * second);
        clock.drift_more(2 * second, 250);
        assert_eq!(clock.shows(6 * second), 105 * second);
        assert_eq!(clock.takes(5 * second), 4 * second);
        clock.drift_more(6 * second, -250);
        assert_eq!((clock.shows(7 * second), clock.takes(5)), (106 * second, 5));
    }
}
