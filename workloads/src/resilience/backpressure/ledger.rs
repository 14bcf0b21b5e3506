//! What a buffer should do, found out in another way: from a list of everything that happened.

use shakedown_impls::protocol::Time;
use shakedown_impls::resilience::backpressure::{Config, Strategy, Tally};
use std::fmt::{self, Display};

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Ledger {
    items: u8,
    /// Who waits with which item, first come first; and until when, if it was told.
    line: Vec<(u8, Option<Time>)>,
    /// What is queued, and since when.
    queue: Vec<(u8, Time)>,
    /// When something was accepted.
    accepted: Vec<Time>,
    processed: u64,
    dropped: u64,
    /// Since when everything that left the queue was late, and whether something was shed since.
    late_since: Option<Time>,
    has_shed: bool,
    now: Time,
}

/// What should become of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is queued.
    Accepted,
    /// It is queued, and this is dropped.
    Instead(u8),
    /// It waits.
    Waits,
    /// It is refused, for there is no room.
    Full,
    /// It is refused, for it comes too fast.
    TooFast,
}

impl Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Offer::Accepted => f.write_str("is accepted"),
            Offer::Instead(item) => write!(f, "is accepted and item {item} dropped"),
            Offer::Waits => f.write_str("waits"),
            Offer::Full => f.write_str("is refused for want of room"),
            Offer::TooFast => f.write_str("is refused as too fast"),
        }
    }
}

impl Ledger {
    /// A number for something that is offered.
    pub fn next_item(&mut self) -> u8 {
        self.items += 1;
        self.items - 1
    }

    /// Something is offered, for the first time or again. What should become of it.
    pub fn offer(&mut self, config: &Config, at: Time, item: u8, seen: &mut Vec<&'static str>) -> Offer {
        self.now = self.now.max(at);
        let has_room = self.queue.len() < config.buffer_size as usize;
        let is_fast = !self.is_within_rate(config);
        match config.strategy {
            Strategy::Block => {
                let place = self.line.iter().position(|&(other, _)| other == item);
                let is_next = place.unwrap_or(self.line.len()) == 0;
                if is_next && has_room && !is_fast {
                    seen.extend(place.map(|_| "a blocked producer gets in"));
                    self.line.retain(|&(other, _)| other != item);
                    self.accept(item);
                    return Offer::Accepted;
                }
                seen.push("a producer waits");
                seen.extend((is_next && has_room).then_some("one comes too fast, and waits"));
                if place.is_none() {
                    self.line.push((item, None));
                }
                Offer::Waits
            }
            Strategy::DropNewest if !has_room => {
                seen.push("the newest is refused");
                Offer::Full
            }
            Strategy::DropNewest | Strategy::DropOldest if is_fast => {
                seen.push("one comes too fast, and is refused");
                Offer::TooFast
            }
            Strategy::DropNewest | Strategy::DropOldest => {
                let oldest = (!has_room).then(|| self.queue.remove(0).0);
                self.accept(item);
                self.dropped += u64::from(oldest.is_some());
                seen.extend(oldest.map(|_| "the oldest is dropped"));
                oldest.map_or(Offer::Accepted, Offer::Instead)
            }
        }
    }

    /// One that waits was told when to come, or not.
    pub fn told_when(&mut self, item: u8, until: Option<Time>) {
        self.line.iter_mut().filter(|(other, _)| *other == item).for_each(|(_, told)| *told = until);
    }

    /// One that waits goes away.
    pub fn leaves(&mut self, item: u8, seen: &mut Vec<&'static str>) {
        seen.extend((self.line[0].0 == item).then_some("one goes away that was first"));
        self.line.retain(|&(other, _)| other != item);
    }

    /// Something was taken, and something shed before it. Whether that is right.
    pub fn taken(
        &mut self,
        config: &Config,
        at: Time,
        taken: Option<u8>,
        shed: &[u8],
        seen: &mut Vec<&'static str>,
    ) -> Result<(), String> {
        self.now = self.now.max(at);
        for &item in shed {
            let Some(limits) = config.shed else {
                return Err("an item is shed, and none should be".to_owned());
            };
            let (is_late, since) = self.leaves_queue(config, item)?;
            let late_ns = since.map_or(0, |since| self.now.0 - since.0);
            if !is_late || u128::from(late_ns) < limits.interval.as_nanos() {
                return Err("an item is shed though something was taken in time not long ago".to_owned());
            }
            self.dropped += 1;
            self.has_shed = true;
            seen.push("an item is shed");
        }
        let Some(item) = taken else {
            self.late_since = None;
            return match self.queue.first() {
                None => Ok(()),
                Some((item, _)) => Err(format!("item {item} is queued, and nothing is taken")),
            };
        };
        let (is_late, _) = self.leaves_queue(config, item)?;
        if !is_late {
            self.late_since = None;
            seen.extend(std::mem::take(&mut self.has_shed).then_some("one in time ends the shedding"));
        }
        self.processed += 1;
        seen.push("an item is taken");
        Ok(())
    }

    /// Whether the books balance, and no more is queued than may be.
    pub fn balances(&self, config: &Config, tally: Tally, queued: u32) -> Result<(), String> {
        let Tally { accepted, processed, dropped } = tally;
        if queued > config.buffer_size {
            return Err(format!("{queued} are queued, and there is room for {}", config.buffer_size));
        }
        if accepted != processed + dropped + u64::from(queued) {
            return Err(format!(
                "{accepted} were accepted, and {processed} processed, {dropped} dropped, {queued} are queued"
            ));
        }
        let should_be = (self.accepted.len() as u64, self.processed, self.dropped);
        match (accepted, processed, dropped) == should_be {
            true => Ok(()),
            false => Err(format!(
                "it counts {:?} as accepted, processed and dropped, and there were {should_be:?}",
                (accepted, processed, dropped)
            )),
        }
    }

    /// Who waits, first in line, for nothing but to be told that there is room.
    pub fn should_be_called(&self, config: &Config) -> Option<u8> {
        let has_room = self.queue.len() < config.buffer_size as usize;
        self.line.first().filter(|(_, until)| has_room && until.is_none()).map(|&(item, _)| item)
    }

    fn accept(&mut self, item: u8) {
        self.queue.push((item, self.now));
        self.accepted.push(self.now);
    }

    /// Whether one more may be accepted now: in no time since another was, more than the burst and the rate allow.
    fn is_within_rate(&self, config: &Config) -> bool {
        let Some(rate) = config.throttle_rate else { return true };
        self.accepted.iter().enumerate().all(|(before, since)| {
            let count = (self.accepted.len() - before + 1) as u64;
            let passed_ns = self.now.0 - since.0;
            let burst = u64::from(config.throttle_burst);
            count.saturating_sub(burst) * rate.per_ns() <= passed_ns * u64::from(rate.tokens())
        })
    }

    /// Whether it was late, and since when all are.
    fn leaves_queue(&mut self, config: &Config, item: u8) -> Result<(bool, Option<Time>), String> {
        match self.queue.first() {
            Some(&(first, since)) if first == item => {
                self.queue.remove(0);
                let target_ns = config.shed.map_or(u128::MAX, |shed| shed.target.as_nanos());
                let is_late = u128::from(self.now.0 - since.0) >= target_ns && !self.queue.is_empty();
                Ok((is_late, is_late.then(|| *self.late_since.get_or_insert(self.now))))
            }
            first => Err(format!("item {item} leaves the queue, and the first is {first:?}")),
        }
    }
}
