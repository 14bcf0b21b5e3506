//! One node of the swarm: the protocol's state, its disk, its clock, and what it is about to do.

use super::disk::Disk;
use crate::driver::timers::Timers;
use crate::random::Random;
use crate::world::clock::Clock;
use shakedown_impls::protocol::{Effect, Input, Protocol};
use std::collections::VecDeque;

pub(super) struct Node<P: Protocol> {
    /// None while it is down.
    pub(super) state: Option<P>,
    pub(super) disk: Disk<P>,
    /// It has taken a step that the watch has not seen.
    pub(super) is_changed: bool,
    /// Effects not carried out yet; inputs wait behind them.
    pub(super) effects: VecDeque<Effect<P>>,
    pub(super) inputs: VecDeque<Input<P>>,
    /// Answers to choices, which come before other inputs: key and pick.
    pub(super) chosen: VecDeque<(u32, u32)>,
    /// The timers that are set, by the world's clock.
    pub(super) timers: Timers<P::Timer, u64>,
    /// When it will be woken to look at them, if at all.
    wake: Option<u64>,
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
    pub(super) fn new(config: &P::Config, mut random: Random) -> Node<P> {
        Node {
            state: None,
            disk: Disk::new(P::cuts_damaged_log(config)),
            is_changed: false,
            effects: VecDeque::new(),
            inputs: VecDeque::new(),
            chosen: VecDeque::new(),
            timers: Timers::default(),
            wake: None,
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

    /// When it has to be woken for a timer, if that is earlier than it will be anyway. Most timers are
    /// cancelled, so that a wake for each would be waste.
    pub(super) fn wake(&mut self) -> Option<u64> {
        let due = self.timers.next()?;
        if self.wake.is_some_and(|wake| wake <= due) {
            return None;
        }
        self.wake = Some(due);
        self.wake
    }

    /// Takes a timer that is due by now. Only when the node is about to act on it: until then it may still
    /// be cancelled.
    pub(super) fn due(&mut self, now: u64) -> Option<P::Timer> {
        self.wake.take_if(|wake| *wake <= now);
        let is_due = self.timers.next().is_some_and(|due| due <= now);
        if is_due { self.timers.pop() } else { None }
    }

    /// It loses what it has in memory.
    pub(super) fn forget(&mut self) {
        self.state = None;
        self.is_changed = false;
        self.effects.clear();
        self.inputs.clear();
        self.chosen.clear();
        self.timers.clear();
        self.wake = None;
        self.life += 1;
    }
}
