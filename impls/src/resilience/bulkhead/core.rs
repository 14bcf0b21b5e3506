//! The bulkhead itself: who is under way, who waits, and whose turn it is.

use super::limit::Limit;
use super::{Config, Mutant};
use crate::protocol::{Component, Time};
use crate::resilience::clock::nanos;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// A call that waits, or whose turn it is. Whoever has one claims it or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// How a call under way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum End {
    /// It worked.
    Succeeded,
    /// It failed.
    Failed,
    /// It took too long, and was dropped.
    TimedOut,
    /// Its caller did not wait for the end.
    SaidNothing,
}

/// What is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// May a call begin?
    Ask,
    /// Is it my turn?
    Claim(Ticket),
    /// I do not want to wait any more.
    Leave(Ticket),
    /// A call that was under way has ended.
    Release {
        /// How.
        end: End,
        /// How long it took, in nanoseconds.
        took_ns: u64,
    },
}

/// What it answers. Whose turn it has become is in [`Bulkhead::called`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret {
    /// The call may begin: it is under way.
    Admitted,
    /// It waits.
    Waits(Ticket),
    /// There is no room to wait. Nothing has happened.
    Full,
    /// It has waited too long, and does not wait any more. Nothing has happened.
    WaitedTooLong,
    /// Noted.
    Noted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    ticket: Ticket,
    until: Time,
}

/// A bulkhead, without a clock or a lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bulkhead {
    limit: Limit,
    /// Calls under way, and turns that were given and not claimed yet: both have a place.
    places_taken: u32,
    waiting: VecDeque<Waiting>,
    /// Whose turn it is.
    turns: BTreeSet<Ticket>,
    next_ticket: u64,
    now: Time,
}

impl Component for Bulkhead {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;

    fn new(config: &Config) -> Bulkhead {
        assert!(config.max_concurrent_calls > 0, "max_concurrent_calls is at least 1");
        Bulkhead {
            limit: Limit::new(config.max_concurrent_calls),
            places_taken: 0,
            waiting: VecDeque::new(),
            turns: BTreeSet::new(),
            next_ticket: 0,
            now: Time(0),
        }
    }

    fn apply(&mut self, config: &Config, now: Time, op: Op) -> Ret {
        self.now = self.now.max(now);
        match op {
            Op::Ask => self.ask(config),
            Op::Claim(ticket) => self.claim(config, ticket),
            Op::Leave(ticket) => self.leave(config, ticket),
            Op::Release { end, took_ns } => self.release(config, end, took_ns),
        }
    }
}

impl Bulkhead {
    /// Calls that may be under way.
    pub fn limit(&self) -> u32 {
        self.limit.calls()
    }

    /// Calls under way.
    pub fn under_way(&self) -> u32 {
        // Without mistakes each turn has its place.
        self.places_taken.saturating_sub(self.turns.len() as u32)
    }

    /// Calls that wait, those whose turn it is not among them.
    pub fn waiting(&self) -> u32 {
        self.waiting.len() as u32
    }

    /// Whose turn it is: those who wait have to be told.
    pub fn called(&self) -> impl Iterator<Item = Ticket> + '_ {
        self.turns.iter().copied()
    }

    /// Whether anybody waits: then time matters to every step, for somebody's may be over.
    pub(super) fn has_queue(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether whoever asks would have to wait, if there is room: then it matters from when on.
    pub(super) fn is_full(&self) -> bool {
        self.places_taken >= self.limit.calls()
    }

    /// The latest time that it was told.
    pub(super) fn told(&self) -> Time {
        self.now
    }

    fn ask(&mut self, config: &Config) -> Ret {
        self.drop_late();
        let is_first = self.waiting.is_empty() || config.mutants.has(Mutant::NewcomersFirst);
        if is_first && self.places_taken < self.limit.calls() {
            self.places_taken += 1;
            return Ret::Admitted;
        }
        let full = config.max_wait_queue_size + u32::from(config.mutants.has(Mutant::QueueCheckedApart));
        if self.waiting() >= full {
            return Ret::Full;
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let until = Time(self.now.0.saturating_add(nanos(config.max_wait)));
        self.waiting.push_back(Waiting { ticket, until });
        Ret::Waits(ticket)
    }

    fn claim(&mut self, config: &Config, ticket: Ticket) -> Ret {
        if self.turns.remove(&ticket) {
            return Ret::Admitted;
        }
        self.drop_late();
        self.call_next(config);
        match self.waiting.iter().any(|waiting| waiting.ticket == ticket) {
            true => Ret::Waits(ticket),
            false if self.turns.remove(&ticket) => Ret::Admitted,
            false => Ret::WaitedTooLong,
        }
    }

    fn leave(&mut self, config: &Config, ticket: Ticket) -> Ret {
        if self.turns.remove(&ticket) && !config.mutants.has(Mutant::CancelledTurnKept) {
            self.places_taken = self.places_taken.saturating_sub(1);
        }
        self.waiting.retain(|waiting| waiting.ticket != ticket);
        self.call_next(config);
        Ret::Noted
    }

    fn release(&mut self, config: &Config, end: End, took_ns: u64) -> Ret {
        let before = self.limit.calls();
        if let Some(how) = config.adaptive {
            self.limit.learn(how, config.max_concurrent_calls, end, took_ns, self.under_way());
        }
        let freed = match end {
            End::TimedOut if config.mutants.has(Mutant::TimedOutKeepsPlace) => 0,
            End::TimedOut if config.mutants.has(Mutant::TimedOutFreedTwice) => 2,
            _ => 1,
        };
        self.places_taken = self.places_taken.saturating_sub(freed);
        if config.mutants.has(Mutant::NewcomersFirst) {
            return Ret::Noted;
        }
        let most = match config.mutants.has(Mutant::GrowthWakesNobody) {
            true => before,
            false => self.limit.calls(),
        };
        self.call_up_to(config, most);
        Ret::Noted
    }

    /// Whoever has waited too long hears of it when they ask.
    fn drop_late(&mut self) {
        let now = self.now;
        self.waiting.retain(|waiting| waiting.until > now);
    }

    fn call_next(&mut self, config: &Config) {
        self.call_up_to(config, self.limit.calls());
    }

    /// Gives turns to those who wait, first come first served, while fewer than `most` places are taken.
    fn call_up_to(&mut self, config: &Config, most: u32) {
        self.drop_late();
        while self.places_taken < most {
            let next = match config.mutants.has(Mutant::LastComeFirstServed) {
                true => self.waiting.pop_back(),
                false => self.waiting.pop_front(),
            };
            let Some(next) = next else { return };
            self.places_taken += 1;
            self.turns.insert(next.ticket);
        }
    }
}
