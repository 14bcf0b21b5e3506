//! The buffer itself: what is queued, who waits to get in, and whose turn it is.

use super::shed::{CoDel, Next};
use super::throttle::Throttle;
use super::{Config, Mutant, Strategy};
use crate::protocol::{Component, Data, Time};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use thiserror::Error;

/// A producer that waits. Whoever has one offers again with it, or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// Why something was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Error)]
pub enum Refused {
    /// There is no room.
    #[error("the buffer is full: nothing was accepted")]
    Full,
    /// It comes faster than the rate allows.
    #[error("it comes too fast: nothing was accepted; {}", when(*.retry_after_ns))]
    TooFast {
        /// After so many nanoseconds it may come, if nobody else does; `None`: never.
        retry_after_ns: Option<u64>,
    },
    /// Nobody takes anything any more.
    #[error("the buffer is closed: nothing was accepted")]
    Closed,
}

fn when(retry_after_ns: Option<u64>) -> String {
    match retry_after_ns {
        Some(ns) => format!("it may in {:?}", std::time::Duration::from_nanos(ns)),
        None => "it never may".to_owned(),
    }
}

/// What became of an offer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Offered<T> {
    /// It is queued.
    Accepted,
    /// It is queued, and this is not any more: it was dropped.
    Instead(T),
    /// It was not accepted.
    Refused(T, Refused),
    /// Its producer waits, with this ticket.
    Waits {
        /// To offer again with.
        ticket: Ticket,
        /// It is its turn, and it comes too fast: when to come. Otherwise it is called, see [`Buffer::called`].
        until: Option<Time>,
        /// What was offered.
        item: T,
    },
}

/// What is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op<T> {
    /// Here is something; with a ticket, if its producer waits.
    Offer(Option<Ticket>, T),
    /// I do not want to wait any more.
    Leave(Ticket),
    /// Give me what is next.
    Take,
    /// Nobody will take anything any more.
    Close,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret<T> {
    /// What became of an offer.
    Offered(Offered<T>),
    /// What is next, if anything is; and what was dropped before it.
    Taken(Option<T>, Vec<T>),
    /// Noted.
    Noted,
}

/// What was accepted, and what became of it. What is accepted and neither of these is queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// It was let in.
    pub accepted: u64,
    /// It was taken.
    pub processed: u64,
    /// It was dropped: for something newer, for the queue's delay, because nobody waits for it any more, or because
    /// nobody takes anything any more.
    pub dropped: u64,
}

/// A bounded buffer, without a clock or a lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Buffer<T> {
    /// And since when.
    queued: VecDeque<(T, Time)>,
    waiting: VecDeque<Ticket>,
    /// Whether the first that waits has been called, and has not come yet.
    is_called: bool,
    /// Whether the first that waits does so because it came too fast: it comes by itself.
    is_too_fast: bool,
    next_ticket: u64,
    throttle: Option<Throttle>,
    codel: CoDel,
    tally: Tally,
    is_closed: bool,
    now: Time,
}

impl<T: Data> Component for Buffer<T> {
    type Config = Config;
    type Op = Op<T>;
    type Ret = Ret<T>;

    fn new(config: &Config) -> Buffer<T> {
        Buffer::empty(config)
    }

    fn apply(&mut self, config: &Config, now: Time, op: Op<T>) -> Ret<T> {
        match op {
            Op::Offer(ticket, item) => Ret::Offered(self.offer(config, now, ticket, item)),
            Op::Leave(ticket) => {
                self.leave(config, ticket);
                Ret::Noted
            }
            Op::Take => {
                let mut dropped = vec![];
                let next = self.take(config, now, &mut dropped);
                Ret::Taken(next, dropped)
            }
            Op::Close => {
                self.close();
                Ret::Noted
            }
        }
    }
}

impl<T> Buffer<T> {
    /// One in which nothing is.
    ///
    /// # Panics
    /// If one of the config's numbers is zero that may not be, or the rate and the burst do not go together (see
    /// [`TokenBucket::new`](crate::resilience::token_bucket::TokenBucket::new)).
    pub fn empty(config: &Config) -> Buffer<T> {
        config.check();
        Buffer {
            queued: VecDeque::new(),
            waiting: VecDeque::new(),
            is_called: false,
            is_too_fast: false,
            next_ticket: 0,
            throttle: Throttle::new(config),
            codel: CoDel::default(),
            tally: Tally::default(),
            is_closed: false,
            now: Time(0),
        }
    }

    /// Here is something; with a ticket, if its producer waits. Constant time, while it is open.
    pub fn offer(&mut self, config: &Config, now: Time, ticket: Option<Ticket>, item: T) -> Offered<T> {
        self.now = self.now.max(now);
        if self.is_closed {
            self.waiting.retain(|&other| Some(other) != ticket);
            return Offered::Refused(item, Refused::Closed);
        }
        match config.strategy {
            Strategy::Block => self.offer_or_wait(config, now, ticket, item),
            Strategy::DropNewest if !self.has_room(config) => Offered::Refused(item, Refused::Full),
            Strategy::DropNewest | Strategy::DropOldest => {
                if let Err(retry_after_ns) = self.pass_throttle(config, now) {
                    return Offered::Refused(item, Refused::TooFast { retry_after_ns });
                }
                let oldest = if self.has_room(config) { None } else { self.drop_for_newer(config) };
                self.accept(item);
                oldest.map_or(Offered::Accepted, Offered::Instead)
            }
        }
    }

    /// A producer does not want to wait any more. It need not have waited. Linear in those that wait.
    pub fn leave(&mut self, config: &Config, ticket: Ticket) {
        let is_first = self.waiting.front() == Some(&ticket);
        let before = self.waiting.len();
        self.waiting.retain(|&other| other != ticket);
        if before > self.waiting.len() && config.mutants.has(Mutant::LeaverCounted) {
            self.tally.accepted += 1;
        }
        if is_first {
            (self.is_called, self.is_too_fast) = (false, false);
        }
        if !config.mutants.has(Mutant::LeaverKeepsTurn) {
            self.call_next(config);
        }
    }

    /// What is next, if anything is. What has to be dropped before it is added to `dropped`.
    pub fn take(&mut self, config: &Config, now: Time, dropped: &mut Vec<T>) -> Option<T> {
        self.now = self.now.max(now);
        let before = dropped.len();
        let queued = &mut self.queued;
        let next = match config.shed {
            None => queued.pop_front().map(|(item, _)| item),
            Some(shed) => {
                let pop = || {
                    let (item, since) = queued.pop_front()?;
                    Some(Next { item, since, is_last: queued.is_empty() })
                };
                self.codel.take(config, shed, self.now, pop, dropped)
            }
        };
        self.tally.processed += u64::from(next.is_some());
        self.tally.dropped += (dropped.len() - before) as u64;
        if !config.mutants.has(Mutant::TakeWakesNobody) {
            self.call_next(config);
        }
        next
    }

    /// Drops what is queued and `is_meant`: nobody waits for it any more. Linear in what is queued.
    pub fn withdraw(&mut self, config: &Config, is_meant: impl Fn(&T) -> bool) {
        let before = self.queued.len();
        self.queued.retain(|(item, _)| !is_meant(item));
        self.tally.dropped += (before - self.queued.len()) as u64;
        self.call_next(config);
    }

    /// From now on nothing is accepted. What is queued can still be taken.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Nothing is accepted and nothing will be taken: what is queued is dropped.
    pub fn abandon(&mut self) -> Vec<T> {
        self.close();
        self.tally.dropped += self.queued.len() as u64;
        self.queued.drain(..).map(|(item, _)| item).collect()
    }

    /// The producer whose turn it is: it has to be told to offer again.
    pub fn called(&self) -> Option<Ticket> {
        self.waiting.front().copied().filter(|_| self.is_called)
    }

    /// What is queued.
    pub fn queued(&self) -> u32 {
        self.queued.len() as u32
    }

    /// What came last of what is queued.
    #[cfg(test)]
    pub(super) fn last(&self) -> Option<&T> {
        self.queued.back().map(|(item, _)| item)
    }

    /// Producers that wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.len() as u32
    }

    /// Whether nothing is accepted any more.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// What was accepted, and what became of it.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn offer_or_wait(&mut self, config: &Config, now: Time, ticket: Option<Ticket>, item: T) -> Offered<T> {
        let is_next = match ticket {
            Some(ticket) => self.waiting.front() == Some(&ticket),
            None => self.waiting.is_empty() || config.mutants.has(Mutant::NewcomersFirst),
        };
        if is_next {
            (self.is_called, self.is_too_fast) = (false, false);
        }
        if !is_next || !self.has_room(config) {
            return self.wait(ticket, None, item);
        }
        match self.pass_throttle(config, now) {
            Ok(()) => {
                if ticket.is_some() {
                    self.waiting.pop_front();
                }
                self.accept(item);
                self.call_next(config);
                Offered::Accepted
            }
            Err(wait_ns) => {
                self.is_too_fast = true;
                let until = wait_ns.map(|ns| Time(self.now.0.saturating_add(ns)));
                self.wait(ticket, until, item)
            }
        }
    }

    fn wait(&mut self, ticket: Option<Ticket>, until: Option<Time>, item: T) -> Offered<T> {
        let ticket = ticket.unwrap_or_else(|| {
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            self.waiting.push_back(ticket);
            ticket
        });
        Offered::Waits { ticket, until, item }
    }

    fn accept(&mut self, item: T) {
        self.queued.push_back((item, self.now));
        self.tally.accepted += 1;
    }

    fn drop_for_newer(&mut self, config: &Config) -> Option<T> {
        let (item, _) = match config.mutants.has(Mutant::DropsTheLast) {
            true => self.queued.pop_back()?,
            false => self.queued.pop_front()?,
        };
        self.tally.dropped += u64::from(!config.mutants.has(Mutant::DroppedNotCounted));
        Some(item)
    }

    fn has_room(&self, config: &Config) -> bool {
        self.queued() < config.buffer_size + u32::from(config.mutants.has(Mutant::RoomCheckedApart))
    }

    fn pass_throttle(&mut self, config: &Config, now: Time) -> Result<(), Option<u64>> {
        let now = if config.mutants.has(Mutant::ClockStepTrusted) { now } else { self.now };
        self.throttle.as_mut().map_or(Ok(()), |throttle| throttle.take(config, now))
    }

    /// It is the turn of the first that waits, if there is room.
    fn call_next(&mut self, config: &Config) {
        self.is_called |= !self.waiting.is_empty() && !self.is_too_fast && self.has_room(config);
    }
}
