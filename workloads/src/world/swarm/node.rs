//! One node of the swarm: the protocol's state, its disk, its clock, and what it is about to do.

use super::disk::Disk;
use crate::random::Random;
use shakedown_impls::protocol::{Effect, Input, Protocol};
use std::collections::{BTreeMap, VecDeque};

pub(super) struct Node<P: Protocol> {
    /// None while it is down.
    pub(super) state: Option<P>,
    pub(super) disk: Disk<P>,
    /// Effects not carried out yet; inputs wait behind them.
    pub(super) effects: VecDeque<Effect<P>>,
    pub(super) inputs: VecDeque<Input<P>>,
    /// Answers to choices, which come before other inputs: key and pick.
    pub(super) chosen: VecDeque<(u32, u32)>,
    /// For each timer that is set, which setting counts.
    pub(super) timers: BTreeMap<P::Timer, u64>,
    /// How often a timer was set.
    pub(super) settings: u64,
    /// How often it was killed: what was meant for an earlier life does not reach it.
    pub(super) life: u32,
    /// The faults that keep it down, by their place in the plan.
    pub(super) downed_by: Vec<usize>,
    /// Its disk is damaged beyond repair: it does not start any more.
    pub(super) is_lost: bool,
    /// How many faults keep it still.
    pub(super) paused: u32,
    pub(super) clock: Clock,
    /// What it draws from: how long its messages, timers and writes take.
    pub(super) random: Random,
}

impl<P: Protocol> Node<P> {
    pub(super) fn new(mut random: Random) -> Node<P> {
        Node {
            state: None,
            disk: Disk::new(),
            effects: VecDeque::new(),
            inputs: VecDeque::new(),
            chosen: VecDeque::new(),
            timers: BTreeMap::new(),
            settings: 0,
            life: 0,
            downed_by: vec![],
            is_lost: false,
            paused: 0,
            clock: Clock::draw(&mut random),
            random,
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_lost || !self.downed_by.is_empty()
    }

    /// Whether it can go on: it does not wait for power, leave, or its disk.
    pub(super) fn is_free(&self) -> bool {
        !self.is_down() && self.paused == 0 && self.disk.writing.is_empty()
    }

    /// It loses what it has in memory.
    pub(super) fn forget(&mut self) {
        self.state = None;
        self.effects.clear();
        self.inputs.clear();
        self.chosen.clear();
        self.timers.clear();
        self.life += 1;
    }
}

/// A clock that runs by its own.
pub(super) struct Clock {
    /// What it showed, in nanoseconds, when the world's clock showed `since`.
    shown: u64,
    since: u64,
    drift_ppm: i64,
}

impl Clock {
    /// Any origin, and up to 1 ms a second too fast or too slow.
    fn draw(random: &mut Random) -> Clock {
        let drift_ppm = random.below(2_001) as i64 - 1_000;
        Clock { shown: (1 << 40) + random.below(1 << 40), since: 0, drift_ppm }
    }

    /// What it shows.
    pub(super) fn shows(&self, now: u64) -> u64 {
        self.shown + scaled(now - self.since, 1_000_000 + self.drift_ppm, 1_000_000)
    }

    /// How long it takes until it has gone on by `duration`.
    pub(super) fn takes(&self, duration: u64) -> u64 {
        scaled(duration, 1_000_000, 1_000_000 + self.drift_ppm)
    }

    pub(super) fn jump(&mut self, now: u64, ms: i32) {
        self.shown = self.shows(now).saturating_add_signed(i64::from(ms) * 1_000_000);
        self.since = now;
    }

    pub(super) fn drift_more(&mut self, now: u64, permille: i64) {
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
