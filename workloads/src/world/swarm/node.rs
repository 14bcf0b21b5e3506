//! One node of the swarm: the protocol's state, its disk, and what it is about to do.

use shakedown_impls::protocol::{Durable, Effect, Input, Protocol, Record};
use std::collections::{BTreeMap, VecDeque};

/// What a node waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Nothing: it can go on.
    No,
    /// Its disk, its power, or leave to go on.
    Yes,
}

pub(super) struct Node<P: Protocol> {
    /// None while it is down.
    pub(super) state: Option<P>,
    /// What is durable.
    pub(super) disk: P::Durable,
    /// A record on its way to the disk.
    pub(super) writing: Option<Record<P>>,
    /// Effects not carried out yet; inputs wait behind them.
    pub(super) effects: VecDeque<Effect<P>>,
    pub(super) inputs: VecDeque<Input<P>>,
    /// For each timer that is set, which setting counts.
    pub(super) timers: BTreeMap<P::Timer, u64>,
    /// How often it was killed: what was meant for an earlier life does not reach it.
    pub(super) life: u32,
    /// Faults that keep it down, and that keep it still.
    pub(super) down: u32,
    pub(super) paused: u32,
    offset: u64,
    drift_ppm: i64,
}

impl<P: Protocol> Node<P> {
    pub(super) fn new(offset: u64, drift_ppm: i64) -> Node<P> {
        Node {
            state: None,
            disk: P::Durable::default(),
            writing: None,
            effects: VecDeque::new(),
            inputs: VecDeque::new(),
            timers: BTreeMap::new(),
            life: 0,
            down: 0,
            paused: 0,
            offset,
            drift_ppm,
        }
    }

    pub(super) fn waiting(&self) -> Waiting {
        let stands = self.down > 0 || self.paused > 0 || self.writing.is_some();
        if stands { Waiting::Yes } else { Waiting::No }
    }

    /// What its clock shows.
    pub(super) fn clock(&self, now: u64) -> u64 {
        self.offset + now.saturating_add_signed(now as i64 / 1_000_000 * self.drift_ppm)
    }

    /// How long it takes until its clock has gone on by `duration`.
    pub(super) fn duration(&self, duration: u64) -> u64 {
        duration.saturating_add_signed(-(duration as i64 / 1_000_000 * self.drift_ppm))
    }

    /// The record that was being written is durable.
    pub(super) fn written(&mut self) {
        if let Some(record) = self.writing.take() {
            self.disk.replay(&record);
        }
    }

    /// Takes it down. The record being written is on disk if it `survives`; true if one was lost.
    pub(super) fn kill(&mut self, survives: bool) -> bool {
        let lost = self.writing.is_some() && !survives;
        if survives {
            self.written();
        }
        self.writing = None;
        self.state = None;
        self.effects.clear();
        self.inputs.clear();
        self.timers.clear();
        self.life += 1;
        lost
    }
}
