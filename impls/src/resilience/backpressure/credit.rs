//! Backpressure between two machines: what a sender may send, its receiver has made room for.
//!
//! The receiver says how far the sender may go: [`Grant::limit`] items in all, counted from the first. It has room for
//! all of them, so it never has to refuse one. As that is a total, and not so much more, a message that is lost, late or
//! comes twice does no harm: the next says it all. What is not answered is sent again; and a sender that may not send
//! asks from time to time, for the grant that it waits for may have been lost.
//!
//! ```text
//!   sender                             receiver, room for 2
//!     | -- item 0, item 1 ----------------> |
//!     | <------- received 2, limit 2 ------ |   its producer is blocked
//!     |        (lost) <- limit 3 ---------- |   item 0 is taken
//!     | -- ask -------------------------->  |   after a while
//!     | <------- received 2, limit 3 ------ |
//!     | -- item 2 ----------------------->  |
//! ```
//!
//! As in the windows of TCP (RFC 9293, §3.8.6) and of QUIC (RFC 9000, §4.1), which also name totals. Neither end knows a
//! clock or a socket: datagrams carry [`ToReceiver`] and [`Grant`] there and back.

use super::Mutant;
use crate::mutants::Mutants;
use crate::protocol::Time;
use crate::resilience::clock::nanos;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What both ends know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Items that the receiver has room for; at least 1.
    pub window: u32,
    /// After so long without an answer the sender sends again, or asks.
    pub resend_after: Duration,
    /// Mistakes to make.
    pub mutants: Mutants<Mutant>,
}

/// From the sender to the receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ToReceiver<T> {
    /// An item, and its number: the first is 0.
    Item(u64, T),
    /// How far may I go?
    Ask,
}

/// From the receiver to the sender. Both numbers never fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// All items with smaller numbers have arrived.
    pub received: u64,
    /// Items with smaller numbers may be sent.
    pub limit: u64,
}

/// The end that sends. It keeps what was not answered, at most a window of it; when no answer has come for
/// [`Config::resend_after`] it sends all of that again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sender<T> {
    /// What was not answered yet: the first has the number `received`.
    unanswered: VecDeque<T>,
    received: u64,
    limit: u64,
    /// What is to be sent for the first time, from this number on.
    unsent: u64,
    /// When it sends again, or asks.
    again_at: Time,
}

impl<T: Clone> Sender<T> {
    /// One that has sent nothing. It may send as much as there is room for.
    ///
    /// # Panics
    /// If the window is nothing.
    pub fn new(config: &Config, now: Time) -> Sender<T> {
        assert!(config.window > 0, "a window is at least 1");
        let again_at = Time(now.0.saturating_add(nanos(config.resend_after)));
        Sender {
            unanswered: VecDeque::new(),
            received: 0,
            limit: u64::from(config.window),
            unsent: 0,
            again_at,
        }
    }

    /// Whether it has credit for another item.
    pub fn is_ready(&self) -> bool {
        self.received + (self.unanswered.len() as u64) < self.limit
    }

    /// Here is an item. `Err`: there is no credit, and it is given back; its producer waits until
    /// [`Sender::is_ready`].
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if !self.is_ready() {
            return Err(item);
        }
        self.unanswered.push_back(item);
        Ok(())
    }

    /// An answer has come.
    pub fn on_grant(&mut self, config: &Config, now: Time, grant: Grant) {
        let received = grant.received.max(self.received);
        // What was never sent cannot have arrived.
        let answered = (received - self.received).min(self.unsent - self.received);
        self.unanswered.drain(..answered as usize);
        self.received += answered;
        let before = self.limit;
        self.limit = match config.mutants.has(Mutant::CreditByDifference) {
            true => self.limit + grant.limit,
            // What it has room for is known: a receiver that grants more would have this end keep it.
            false => self.limit.max(grant.limit.min(self.received.saturating_add(u64::from(config.window)))),
        };
        if answered > 0 || self.limit > before {
            self.wait_from(config, now);
        }
    }

    /// What to send now. Ask again when something was pushed, when an answer has come, and at [`Sender::again_at`].
    pub fn to_send(&mut self, config: &Config, now: Time) -> Vec<ToReceiver<T>> {
        let mut messages: Vec<ToReceiver<T>> = (self.unsent..)
            .zip(self.unanswered.iter().skip((self.unsent - self.received) as usize))
            .map(|(number, item)| ToReceiver::Item(number, item.clone()))
            .collect();
        let before = self.unsent;
        self.unsent += messages.len() as u64;
        if before == self.received && !messages.is_empty() {
            // The first of them all: its answer is waited for, whatever is sent after it.
            self.wait_from(config, now);
        } else if self.again_at <= now {
            self.wait_from(config, now);
            let again = (self.received..before).zip(&self.unanswered);
            messages.extend(again.map(|(number, item)| ToReceiver::Item(number, item.clone())));
            let is_stuck = self.unanswered.is_empty() && !self.is_ready();
            if is_stuck && !config.mutants.has(Mutant::NeverAsks) {
                messages.push(ToReceiver::Ask);
            }
        }
        messages
    }

    /// When it wants to send again, or ask, if there is no answer until then.
    pub fn again_at(&self) -> Time {
        self.again_at
    }

    /// Items that were not answered yet.
    pub fn unanswered(&self) -> u32 {
        self.unanswered.len() as u32
    }

    fn wait_from(&mut self, config: &Config, now: Time) {
        self.again_at = Time(now.0.saturating_add(nanos(config.resend_after)));
    }
}

/// The end that receives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receiver<T> {
    /// What is there to be taken, in order.
    ready: VecDeque<T>,
    /// What came before something that is missing.
    early: BTreeMap<u64, T>,
    received: u64,
    taken: u64,
    /// Of a mistake: what was granted in all.
    granted: u64,
}

impl<T> Receiver<T> {
    /// One that has received nothing.
    ///
    /// # Panics
    /// If the window is nothing.
    pub fn new(config: &Config) -> Receiver<T> {
        assert!(config.window > 0, "a window is at least 1");
        let granted = u64::from(config.window);
        Receiver { ready: VecDeque::new(), early: BTreeMap::new(), received: 0, taken: 0, granted }
    }

    /// Something has come. What to answer. `Err`: it was sent without credit, and is not kept.
    pub fn on_message(&mut self, config: &Config, message: ToReceiver<T>) -> Result<Grant, Grant> {
        let mut has_credit = true;
        if let ToReceiver::Item(number, item) = message {
            has_credit = number < self.taken + u64::from(config.window);
            if has_credit && number >= self.received {
                self.early.insert(number, item);
            }
        }
        while let Some(item) = self.early.remove(&self.received) {
            self.ready.push_back(item);
            self.received += 1;
        }
        let grant = self.grant(config);
        if has_credit { Ok(grant) } else { Err(grant) }
    }

    /// What is next, and what to tell the sender: there is room for another.
    pub fn take(&mut self, config: &Config) -> Option<(T, Grant)> {
        let item = self.ready.pop_front()?;
        self.taken += 1;
        Some((item, self.grant(config)))
    }

    /// Items that are kept: never more than the window.
    pub fn kept(&self) -> u32 {
        (self.ready.len() + self.early.len()) as u32
    }

    /// Whether there is something to be taken.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn grant(&mut self, config: &Config) -> Grant {
        let limit = self.taken + u64::from(config.window);
        let more = limit - std::mem::replace(&mut self.granted, limit);
        let limit = if config.mutants.has(Mutant::CreditByDifference) { more } else { limit };
        Grant { received: self.received, limit }
    }
}
