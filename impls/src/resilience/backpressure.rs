//! Backpressure: a bounded buffer between those who bring work and those who do it, and a rule for when it is full.
//!
//! **Problem.** Work comes faster than it is done. A queue without a bound takes it all, and what it holds is older and
//! older when its turn comes, until memory ends; so whoever brings it has to hear of it.
//!
//! **Guarantee.** At every instant what was accepted is what was processed, what was dropped and what is queued, and no
//! more than [`Config::buffer_size`] is queued. What happens when there is no room is the [`Strategy`]'s: the producer
//! waits, first come first served, and is woken when there is room; or the newest is refused; or the oldest is dropped.
//! With [`Config::throttle_rate`] no more is accepted in any stretch of time than the rate and the burst allow, after
//! a pause and when the clock is set, too. With [`Config::shed`] what has stood in a queue that does not get shorter is
//! dropped ([`Shed`]). Between two machines, [`credit`] does the same. What is proved of it, in every order of the steps
//! of several producers: `workloads/tests/backpressure.rs`.
//!
//! **Price.** Someone waits, or something is lost, and the buffer only says who and what. Blocked producers pass the
//! pressure on to whoever waits for them. Waiting for a rate is as exact as tokio's timers, to a millisecond, and what is
//! slept too long is lost beyond [`Config::throttle_burst`].
//!
//! **When not to use it.** Where producers can be slowed at the source: a bounded buffer in each place on the way only
//! adds up delays. Where what is scarce is a number at a time and nothing should stand in line: a
//! [bulkhead](super::bulkhead).
//!
//! **Sources.** Strategies: the guide's `Drop`, `Block` and `Throttle`; here the last is not one of the three but goes
//! with each. Shedding: Nichols & Jacobson, *Controlling Queue Delay*, ACM Queue 10(5), 2012, as in RFC 8289. Rates:
//! [`TokenBucket`](super::token_bucket::TokenBucket), and the generic cell rate algorithm, ITU-T I.371.
//!
//! ```
//! use shakedown_impls::resilience::backpressure::{Config, Strategy, channel};
//! use std::time::Duration;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let (producer, mut consumer) = channel("orders", Config { buffer_size: 2, ..Config::default() });
//! producer.send(1).await.unwrap();
//! producer.send(2).await.unwrap();
//!
//! // There is no room: the producer is blocked until something is taken.
//! let blocked = tokio::time::timeout(Duration::from_millis(10), producer.send(3)).await;
//! assert!(blocked.is_err());
//! assert_eq!(consumer.recv().await, Some(1));
//! producer.send(4).await.unwrap();
//!
//! // The other way: what is old is of no use.
//! let config = Config { buffer_size: 2, strategy: Strategy::DropOldest, ..Config::default() };
//! let (producer, mut consumer) = channel("positions", config);
//! for position in 1..=5 {
//!     producer.send(position).await.unwrap();
//! }
//! assert_eq!((consumer.recv().await, consumer.recv().await), (Some(4), Some(5)));
//! assert_eq!(producer.handle().tally().dropped, 3);
//! # });
//! ```

mod channel;
mod core;
pub mod credit;
mod layer;
mod meters;
mod shed;
#[cfg(test)]
mod tests;
mod throttle;

pub use channel::{
    Consumer, Handle, Inner as ChannelInner, Producer, SendError, Sending, channel, channel_with,
};
pub use core::{Buffer, Offered, Op, Refused, Ret, Tally, Ticket};
pub use layer::{
    BackpressureLayer, BackpressureService, CallFuture, Dropped, Error, Handle as LayerHandle,
    Inner as LayerInner,
};
pub use shed::Shed;
pub use throttle::{Gcra, ThrottleBy};

use super::token_bucket::Rate;
use crate::mutants::Mutants;
use std::time::Duration;

/// What happens to what comes when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Its producer waits.
    Block,
    /// It is refused.
    DropNewest,
    /// It is accepted, and what has been queued longest is dropped.
    DropOldest,
}

/// How much, how fast, and what then.
#[derive(Clone, Debug)]
pub struct Config {
    /// What may be queued; at least 1.
    pub buffer_size: u32,
    /// What happens when that much is.
    pub strategy: Strategy,
    /// How much is accepted in how much time, more than nothing: what comes faster waits with [`Strategy::Block`], and is refused with the
    /// others. `None`: as it comes.
    pub throttle_rate: Option<Rate>,
    /// How much may be accepted at once after a time in which nothing came; at least 1. Whoever waits for the rate sleeps whole
    /// milliseconds: a burst of what comes in two of them is the least with which a rate above 500 a second is reached.
    pub throttle_burst: u32,
    /// How the rate is kept.
    pub throttle_by: ThrottleBy,
    /// Drops what is queued when the queue does not get shorter.
    pub shed: Option<Shed>,
    /// How many calls are processed at a time, by the layer; at least 1. Of a channel, those who take decide that.
    pub concurrency: u32,
    /// How long the layer lets a call be processed. Past that it is dropped.
    pub processing_timeout: Duration,
    /// Mistakes to make.
    pub mutants: Mutants<Mutant>,
}

impl Default for Config {
    /// A hundred, producers are blocked, 30 seconds: the guide's. Ten calls at a time.
    fn default() -> Config {
        Config {
            buffer_size: 100,
            strategy: Strategy::Block,
            throttle_rate: None,
            throttle_burst: 1,
            throttle_by: ThrottleBy::TokenBucket,
            shed: None,
            concurrency: 10,
            processing_timeout: Duration::from_secs(30),
            mutants: Mutants::default(),
        }
    }
}

impl Config {
    /// Whether it matters when something comes and goes: reading a clock may cost more than all the rest.
    fn heeds_time(&self) -> bool {
        self.throttle_rate.is_some() || self.shed.is_some()
    }

    fn check(&self) {
        assert!(self.buffer_size > 0, "buffer_size is at least 1");
        assert!(self.throttle_burst > 0, "throttle_burst is at least 1");
        assert!(self.concurrency > 0, "concurrency is at least 1");
        let rate = self.throttle_rate.is_none_or(|rate| rate.tokens() > 0);
        assert!(rate, "throttle_rate is more than nothing: else nothing is ever accepted");
    }
}

crate::mutants! {
    /// The mistakes of backpressure.
    pub enum Mutant {
        /// When the last came is read in one step and written in another: two that come at once are both let in. (The
        /// guide's `throttle_timestamp`.)
        ThrottleReadApart = "throttle-read-apart",
        /// What was not used in a pause is saved up: after it far more come at once than the burst.
        PauseSavedUp = "pause-saved-up",
        /// A clock that is set back and goes on gives the same time twice.
        ClockStepTrusted = "clock-step-trusted",
        /// What is taken makes room, and no blocked producer is told.
        TakeWakesNobody = "take-wakes-nobody",
        /// A blocked producer that goes away when it was its turn tells nobody.
        LeaverKeepsTurn = "leaver-keeps-turn",
        /// Whether there is room is looked at in one step, and the place taken in another: one more is queued than may be.
        RoomCheckedApart = "room-checked-apart",
        /// A producer is counted before it is let in, and stays counted when it goes away. (The guide's `buffer_count`.)
        LeaverCounted = "leaver-counted",
        /// What is dropped for something newer is not counted.
        DroppedNotCounted = "dropped-not-counted",
        /// A producer that comes when there is room gets in before those that wait.
        NewcomersFirst = "newcomers-first",
        /// Where the oldest should be dropped, the last that came before is.
        DropsTheLast = "drops-the-last",
        /// Once it has begun to shed it goes on, though nothing waits long any more.
        ShedsForEver = "sheds-for-ever",
        /// Credit is given as so much more, and not as so much in all: with a message that is lost it is lost for good, and
        /// with one that comes twice it is given twice.
        CreditByDifference = "credit-by-difference",
        /// A sender without credit waits for it, and does not ask: if it was lost on the way, for ever.
        NeverAsks = "never-asks",
    }
}
