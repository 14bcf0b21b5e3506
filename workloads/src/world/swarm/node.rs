//! One node of the swarm: the protocol's state, its disk, its clock, and what it is about to do.

use super::disk::Disk;
use crate::random::Random;
use crate::world::clock::Clock;
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
