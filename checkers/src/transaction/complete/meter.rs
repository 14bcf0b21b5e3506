//! What a decision has spent: steps, bytes and conflicts, held against the budget.
//!
//! Every loop of the engine that is not bounded by a small constant spends here, and stops at the first
//! refusal; so the deadline holds to within [`STEPS_BETWEEN_LOOKS`] steps of some tens of nanoseconds.

use crate::linearizability::budget::Budget;
use crate::verdict::Reason;
use std::sync::atomic::Ordering;

/// Steps between two looks at the clock and the caller's flag.
pub(super) const STEPS_BETWEEN_LOOKS: u64 = 1 << 13;

/// Counts steps and bytes.
#[derive(Debug)]
pub(super) struct Meter {
    budget: Budget,
    /// Steps so far.
    pub(super) steps: u64,
    next_look: u64,
    /// The most steps that passed between two looks.
    pub(super) longest_unlooked: u64,
    /// Past so many steps it is over, too; only minimizing sets it.
    steps_max: u64,
    held_bytes: usize,
    held_bytes_max: usize,
}

impl Meter {
    pub(super) fn new(budget: Budget) -> Meter {
        Meter {
            budget,
            steps: 0,
            next_look: 0,
            longest_unlooked: 0,
            steps_max: u64::MAX,
            held_bytes: 0,
            held_bytes_max: 0,
        }
    }

    /// A meter for a part of the work: the same deadline and what is left of the memory, and at most so many
    /// steps.
    pub(super) fn share(&self, steps_max: u64) -> Meter {
        let held = Meter { steps_max, ..Meter::new(self.budget.clone()) };
        Meter { held_bytes: self.held_bytes, held_bytes_max: self.held_bytes_max, ..held }
    }

    /// Counts what a share has spent.
    pub(super) fn absorb(&mut self, share: &Meter) {
        self.steps += share.steps;
        self.next_look = self.steps;
        self.longest_unlooked = self.longest_unlooked.max(share.longest_unlooked);
        self.held_bytes_max = self.held_bytes_max.max(share.held_bytes_max);
    }

    /// Spends steps; the first in a while looks whether a limit has been reached.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Reason> {
        self.steps += steps as u64;
        if self.steps < self.next_look { Ok(()) } else { self.look() }
    }

    /// Looks now. Called before a loop whose length is not known yet.
    pub(super) fn look(&mut self) -> Result<(), Reason> {
        let last_look = self.next_look.saturating_sub(STEPS_BETWEEN_LOOKS);
        self.longest_unlooked = self.longest_unlooked.max(self.steps - last_look);
        self.next_look = self.steps + STEPS_BETWEEN_LOOKS;
        if let Some(progress) = &self.budget.progress {
            progress.memory_bytes.store(self.held_bytes as u64, Ordering::Relaxed);
        }
        if self.steps > self.steps_max {
            return Err(Reason::Time);
        }
        self.budget.exceeded(self.held_bytes).map_or(Ok(()), Err)
    }

    /// Takes memory; refused if there is not so much left.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Reason> {
        if bytes > self.left_bytes() {
            return Err(Reason::Memory);
        }
        self.held_bytes += bytes;
        self.held_bytes_max = self.held_bytes_max.max(self.held_bytes);
        Ok(())
    }

    /// Gives memory back.
    pub(super) fn release(&mut self, bytes: usize) {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }

    /// Bytes that may still be taken.
    pub(super) fn left_bytes(&self) -> usize {
        self.budget.memory_bytes.saturating_sub(self.held_bytes)
    }

    /// The most bytes that were held at once.
    pub(super) fn held_bytes_max(&self) -> usize {
        self.held_bytes_max
    }

    /// Tells whoever draws a progress bar.
    pub(super) fn report(&self, placed: usize, total: usize, conflicts: u64) {
        if let Some(progress) = &self.budget.progress {
            progress.placed.store(placed as u64, Ordering::Relaxed);
            progress.total.store(total as u64, Ordering::Relaxed);
            progress.configurations.store(conflicts, Ordering::Relaxed);
        }
    }
}
