//! Retries themselves: what all calls of a client share, and what each of its calls knows of its attempts.

use super::backoff::Backoff;
use super::budget::Budget;
use super::{Config, Deadline, Mutant};
use crate::protocol::{Component, Time};
use crate::resilience::clock::nanos;
use crate::resilience::jitter::Jitter;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::time::Duration;
use thiserror::Error;

/// What comes of a call that has its effect twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// What comes of it once, whatever others do in between: a read.
    Idempotent,
    /// It has not: the server remembers its key, and answers what it has answered.
    Keyed,
    /// Something that must not be.
    Once,
}

/// The name of a call, the same in all of its attempts, for a server to know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub u128);

/// 32 hexadecimal digits, for a header.
impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// On which terms a call is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// What comes of it when it has its effect twice.
    pub kind: Kind,
    /// By when it has to be over; [`Config::overall_timeout`] is in force beside it.
    pub deadline: Option<Deadline>,
    /// Its key, if it has one already; else it is given one.
    pub key: Option<Key>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum End {
    /// It worked.
    Succeeded,
    /// Nothing has happened, and nothing will: it may be sent again.
    Definite {
        /// No earlier than after this time, the server said.
        retry_after: Option<Duration>,
    },
    /// It may have happened, or may happen yet: no answer in time, a connection that broke.
    Indefinite {
        /// No earlier than after this time, the server said.
        retry_after: Option<Duration>,
    },
    /// Nothing has happened, and it would be the same again.
    Permanent,
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Error)]
pub enum GaveUp {
    /// It would be the same again.
    #[error("it would fail again")]
    Permanent,
    /// It may have happened, and must not happen twice.
    #[error("it may have had its effect, and must not have it twice")]
    Indefinite,
    /// There were as many as there may be.
    #[error("there were as many attempts as there may be")]
    Attempts,
    /// It would begin too late.
    #[error("there is no time left before the deadline")]
    Deadline,
    /// Other calls have used the budget up.
    #[error("the budget for retries is used up")]
    Budget,
}

/// What to do after an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Next {
    /// The call has its answer: what else is under way is dropped.
    Done,
    /// Another attempt is under way.
    Wait,
    /// Pause so many nanoseconds, then resume. It is paid for.
    Retry {
        /// The pause.
        after_ns: u64,
    },
    /// The call has failed: what else is under way is dropped.
    GiveUp(GaveUp),
}

/// What is asked of it. Whoever makes a call keeps its [`Attempts`], and brings them along.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// A call begins.
    Begin(Terms),
    /// An attempt has ended.
    End {
        /// Those of its call.
        attempts: Attempts,
        /// How.
        end: End,
    },
    /// The pause is over: may the next attempt begin?
    Resume(Attempts),
    /// The attempt takes long: may another begin beside it?
    Hedge(Attempts),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret {
    /// An attempt may begin: it is under way.
    Send(Attempts),
    /// No attempt may begin now, and others are under way.
    Stay(Attempts),
    /// The call is over before an attempt may begin.
    GaveUp(GaveUp),
    /// An attempt has ended.
    Ended {
        /// Those of its call.
        attempts: Attempts,
        /// What to do.
        next: Next,
    },
}

/// What a call knows of its attempts. Whoever makes no more use of it simply drops it: nothing has to be given back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempts {
    kind: Kind,
    key: Key,
    deadline: Deadline,
    begun: u32,
    under_way: u32,
    /// Whether the try under way may be hedged, as far as it goes by it.
    may_hedge: bool,
    /// Whether all that have ended have surely had no effect.
    is_definite: bool,
    backoff: Backoff,
    /// When the server said to come back.
    not_before: Time,
    /// Tokens that were not taken when they should have been: a mistake's.
    owed: u32,
}

impl Attempts {
    /// The key that they carry.
    pub fn key(&self) -> Key {
        self.key
    }

    /// By when the call has to be over.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// How many have begun.
    pub fn begun(&self) -> u32 {
        self.begun
    }

    /// How many are under way.
    pub fn under_way(&self) -> u32 {
        self.under_way
    }

    /// How long one that begins now may take: no longer than the call.
    pub fn timeout(&self, config: &Config, now: Time) -> Duration {
        config.per_try_timeout.min(self.deadline.remaining(now))
    }

    /// Whether nothing has happened, and nothing will: no attempt that has ended may have had its effect, and none is
    /// under way.
    pub fn is_definite(&self) -> bool {
        self.is_definite && self.under_way == 0
    }

    /// One has ended in a success, of which nobody else need know: then the call is over, as with [`Op::End`]. Otherwise
    /// nothing has happened.
    pub(super) fn succeed(&mut self) -> bool {
        let is_known = self.owed == 0 && self.under_way > 0;
        self.under_way -= u32::from(is_known);
        is_known
    }

    fn begin(&mut self, config: &Config) {
        self.begun += 1;
        self.under_way += 1;
        self.may_hedge = self.under_way == 1 && config.hedge_after.is_some();
    }
}

/// What all calls of a client share, without a clock or a lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Retries {
    budget: Budget,
    jitter: Jitter,
    keys: Jitter,
    /// The latest time that it was told: a clock that is set back makes no deadline later.
    now: Time,
}

impl Component for Retries {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;

    fn new(config: &Config) -> Retries {
        config.check();
        // Pauses and keys are drawn apart: a key must not depend on how long somebody has slept.
        let mut seeds = Jitter::new(config.seed);
        let mut draw = || Jitter::new(seeds.between(0, u64::MAX));
        Retries { budget: Budget::new(config), jitter: draw(), keys: draw(), now: Time(0) }
    }

    fn apply(&mut self, config: &Config, now: Time, op: Op) -> Ret {
        match op {
            Op::Begin(terms) => match self.begin(config, now, &terms) {
                Ok(attempts) => Ret::Send(attempts),
                Err(why) => Ret::GaveUp(why),
            },
            Op::End { mut attempts, end } => {
                let next = self.end(config, now, &mut attempts, end);
                Ret::Ended { attempts, next }
            }
            Op::Resume(mut attempts) => match self.resume(config, now, &mut attempts) {
                Ok(()) => Ret::Send(attempts),
                Err(why) => Ret::GaveUp(why),
            },
            Op::Hedge(mut attempts) => match self.hedge(config, now, &mut attempts) {
                true => Ret::Send(attempts),
                false => Ret::Stay(attempts),
            },
        }
    }
}

impl Retries {
    /// [`Op::Begin`]. `Err`: it is too late already.
    pub fn begin(&mut self, config: &Config, now: Time, terms: &Terms) -> Result<Attempts, GaveUp> {
        let now = self.pass_time(now);
        let latest = Deadline::after(now, config.overall_timeout);
        let deadline = terms.deadline.map_or(latest, |deadline| deadline.min(latest));
        if deadline.is_over(now) {
            return Err(GaveUp::Deadline);
        }
        self.budget.earn(config, now);
        let mut attempts = Attempts {
            kind: terms.kind,
            key: terms.key.unwrap_or_else(|| self.draw_key()),
            deadline,
            begun: 0,
            under_way: 0,
            may_hedge: false,
            is_definite: true,
            backoff: Backoff::new(config),
            not_before: Time(0),
            owed: 0,
        };
        attempts.begin(config);
        Ok(attempts)
    }

    /// [`Op::End`].
    ///
    /// # Panics
    /// If none is under way.
    pub fn end(&mut self, config: &Config, now: Time, attempts: &mut Attempts, end: End) -> Next {
        let now = self.pass_time(now);
        assert!(attempts.under_way > 0, "an attempt ends that has not begun");
        attempts.under_way -= 1;
        if attempts.owed > 0 {
            attempts.owed -= 1;
            self.budget.spend(now);
        }
        let retry_after = match end {
            End::Succeeded => return Next::Done,
            End::Permanent => return Next::GiveUp(GaveUp::Permanent),
            End::Definite { retry_after } => retry_after,
            End::Indefinite { retry_after } => {
                attempts.is_definite = false;
                retry_after
            }
        };
        let not_before = Time(now.0.saturating_add(nanos(retry_after.unwrap_or_default())));
        if !config.mutants.has(Mutant::RetryAfterIgnored) {
            attempts.not_before = attempts.not_before.max(not_before);
        }
        if attempts.under_way > 0 {
            return Next::Wait;
        }
        match self.again(config, now, attempts) {
            Ok(after_ns) => Next::Retry { after_ns },
            Err(why) => Next::GiveUp(why),
        }
    }

    /// [`Op::Resume`]. `Err`: the pause took longer than it should have, and it is too late.
    pub fn resume(&mut self, config: &Config, now: Time, attempts: &mut Attempts) -> Result<(), GaveUp> {
        let now = self.pass_time(now);
        assert!(attempts.under_way == 0, "a pause comes after all attempts have ended");
        if config.mutants.has(Mutant::DeadlinePerTry) {
            attempts.deadline = Deadline::after(now, config.overall_timeout);
        }
        if attempts.deadline.is_over(now) {
            return Err(GaveUp::Deadline);
        }
        self.renew_key(config, attempts);
        attempts.begin(config);
        Ok(())
    }

    /// [`Op::Hedge`]: whether another attempt begins.
    pub fn hedge(&mut self, config: &Config, now: Time, attempts: &mut Attempts) -> bool {
        let now = self.pass_time(now);
        // Not keyed ones: a server that has yet to do the first cannot answer the second by what it remembers.
        let is_safe = attempts.kind == Kind::Idempotent || config.mutants.has(Mutant::HedgesEverything);
        let is_due = attempts.may_hedge && attempts.under_way == 1 && !attempts.deadline.is_over(now);
        if !is_safe || !is_due || attempts.begun >= config.max_attempts {
            return false;
        }
        if !config.mutants.has(Mutant::HedgeNotCounted) && !self.spend(config, now, attempts) {
            return false;
        }
        self.renew_key(config, attempts);
        attempts.begin(config);
        true
    }

    /// Retries that the budget is good for.
    pub fn tokens(&mut self, now: Time) -> u32 {
        let now = self.pass_time(now);
        self.budget.tokens(now)
    }

    /// Whether a call whose attempts have all failed may have another, and after which pause. The budget comes last: what
    /// is given up for another reason costs nothing.
    fn again(&mut self, config: &Config, now: Time, attempts: &mut Attempts) -> Result<u64, GaveUp> {
        let is_safe = attempts.is_definite || attempts.kind != Kind::Once;
        if !is_safe && !config.mutants.has(Mutant::IndefiniteRetried) {
            return Err(GaveUp::Indefinite);
        }
        if attempts.begun >= config.max_attempts {
            return Err(GaveUp::Attempts);
        }
        let backoff_ns = attempts.backoff.next_ns(config, &mut self.jitter);
        // From when the server said, too: those that it told the same do not all come at once.
        let at = Time(now.max(attempts.not_before).0.saturating_add(backoff_ns));
        if attempts.deadline.is_over(at) && !config.mutants.has(Mutant::SleepsPastDeadline) {
            return Err(GaveUp::Deadline);
        }
        match self.spend(config, now, attempts) {
            true => Ok(at.0 - now.0),
            false => Err(GaveUp::Budget),
        }
    }

    /// Pays for an attempt before it begins, in the step that decides on it: nobody else finds the same token.
    fn spend(&mut self, config: &Config, now: Time, attempts: &mut Attempts) -> bool {
        if config.mutants.has(Mutant::BudgetNotTaken) {
            return true;
        }
        if config.mutants.has(Mutant::BudgetCountsLate) {
            let is_enough = self.budget.tokens(now) > 0;
            attempts.owed += u32::from(is_enough);
            return is_enough;
        }
        self.budget.spend(now)
    }

    fn renew_key(&mut self, config: &Config, attempts: &mut Attempts) {
        if config.mutants.has(Mutant::NewKeyEachAttempt) {
            attempts.key = self.draw_key();
        }
    }

    fn draw_key(&mut self) -> Key {
        let mut half = || u128::from(self.keys.between(0, u64::MAX));
        Key(half() << 64 | half())
    }

    fn pass_time(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.now
    }
}
