//! The breaker itself: a state, and what each step makes of it.

use super::{Config, Mutant, SlowCalls};
use crate::protocol::{Component, Time};
use crate::resilience::clock::nanos;
use crate::resilience::jitter::Jitter;
use crate::resilience::window::{Mark, Tally, Window};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::time::Duration;

/// What it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Calls pass, and are counted.
    Closed,
    /// Calls are refused.
    Open,
    /// So many calls pass as are allowed, to see whether they work.
    HalfOpen,
}

impl Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half-open",
        })
    }
}

/// Whether an operator overrides it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// It decides by itself.
    #[default]
    Automatic,
    /// All calls are refused.
    ForcedOpen,
    /// All calls pass. Results are not counted.
    ForcedClosed,
}

/// That a call was admitted. Whoever has one says what came of it, once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Permit {
    /// The circuit's state has changed so often when it was given.
    pub(super) period: u64,
    /// Whether it was half open.
    pub(super) is_trial: bool,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Call {
    /// It worked.
    Succeeded,
    /// The dependency is to blame.
    Failed,
    /// It says nothing of the dependency: the caller was to blame, or did not wait for the end.
    SaidNothing,
}

/// What is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// May a call pass?
    Ask,
    /// A call that was admitted has ended.
    Settle {
        /// As it was given.
        permit: Permit,
        /// What came of it.
        call: Call,
        /// How long it took, in nanoseconds.
        took_ns: u64,
    },
    /// An operator wants it otherwise. Back in [`Mode::Automatic`] it is closed, and has seen nothing.
    Override(Mode),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ret {
    /// The call may pass.
    Admitted(Permit),
    /// It may not.
    Refused {
        /// After so many nanoseconds asking again may help; `None`: nobody knows.
        retry_after_ns: Option<u64>,
    },
    /// Noted.
    Noted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Inner {
    Closed,
    Open { until: Time },
    HalfOpen { until: Time, under_way: u32, ended: Tally },
}

/// A circuit breaker, without a clock or a lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CircuitBreaker {
    mode: Mode,
    inner: Inner,
    /// What was counted while it was closed.
    window: Window,
    /// Grows with each change of state.
    period: u64,
    /// How often it has opened since it was last closed.
    openings: u32,
    jitter: Jitter,
    /// The latest time that it was told: a clock that is set back does not shorten anything.
    now: Time,
}

impl Component for CircuitBreaker {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;

    fn new(config: &Config) -> CircuitBreaker {
        config.check();
        CircuitBreaker {
            mode: Mode::Automatic,
            inner: Inner::Closed,
            window: Window::new(config.reach()),
            period: 0,
            openings: 0,
            jitter: Jitter::new(config.seed),
            now: Time(0),
        }
    }

    fn apply(&mut self, config: &Config, now: Time, op: Op) -> Ret {
        match op {
            Op::Ask => match self.ask(config, now) {
                Ok(permit) => Ret::Admitted(permit),
                Err(retry_after_ns) => Ret::Refused { retry_after_ns },
            },
            Op::Settle { permit, call, took_ns } => {
                self.settle(config, now, &permit, call, took_ns);
                Ret::Noted
            }
            Op::Override(mode) => {
                self.override_with(config, now, mode);
                Ret::Noted
            }
        }
    }
}

impl CircuitBreaker {
    /// What it is now. An open circuit whose time is over is half open with the next call.
    pub fn state(&self) -> State {
        match (self.mode, &self.inner) {
            (Mode::ForcedOpen, _) => State::Open,
            (Mode::ForcedClosed, _) | (_, Inner::Closed) => State::Closed,
            (_, Inner::Open { .. }) => State::Open,
            (_, Inner::HalfOpen { .. }) => State::HalfOpen,
        }
    }

    /// Whether an operator overrides it.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Trials that are under way.
    pub fn trials_under_way(&self) -> u32 {
        match self.inner {
            Inner::HalfOpen { under_way, .. } => under_way,
            _ => 0,
        }
    }

    /// What the window holds at the time `now`.
    pub fn tally(&mut self, now: Time) -> Tally {
        self.window.tally(self.now.max(now))
    }

    /// Whether time does not matter to a call that asks, nor to one that has not failed: they find the circuit
    /// closed, and leave it closed.
    pub(super) fn is_timeless(&self, config: &Config) -> bool {
        let Tally { calls, failed, .. } = self.window.sum();
        // A good call can open the circuit, too: the one that makes the window's calls enough to conclude from.
        let stays_closed = failed == 0 || calls >= config.minimum_calls;
        matches!(self.inner, Inner::Closed) && stays_closed && !config.heeds_time()
    }

    /// The latest time that it was told.
    pub(super) fn told(&self) -> Time {
        self.now
    }

    /// May a call pass? `Err`: after how many nanoseconds asking again may help, if that is known.
    pub fn ask(&mut self, config: &Config, now: Time) -> Result<Permit, Option<u64>> {
        self.pass_time(config, now);
        let free = config.mutants.has(Mutant::FirstTrialFree) && self.is_due();
        if self.is_due() {
            self.change(Inner::HalfOpen { until: self.now, under_way: 0, ended: Tally::default() });
        }
        match (self.mode, &mut self.inner) {
            (Mode::ForcedOpen, _) => Err(None),
            (Mode::ForcedClosed, _) | (_, Inner::Closed) => Ok(self.permit(false)),
            (_, Inner::Open { until }) => Err(Some(until.0 - self.now.0)),
            (_, Inner::HalfOpen { until, under_way, ended }) => {
                if *under_way + ended.calls >= config.half_open_allowed_requests {
                    return Err(None);
                }
                // Trials have their time from the last one on: where calls are rare, waiting for the next is no failure.
                *until = Time(self.now.0.saturating_add(nanos(config.half_open_timeout)));
                if !free && !config.mutants.has(Mutant::TrialCountedLate) {
                    *under_way += 1;
                }
                Ok(self.permit(true))
            }
        }
    }

    /// Takes note of what came of a call that was admitted.
    pub fn settle(&mut self, config: &Config, now: Time, permit: &Permit, call: Call, took_ns: u64) {
        self.pass_time(config, now);
        let is_late = permit.period != self.period && !config.mutants.has(Mutant::LateResultCounts);
        if is_late || self.mode != Mode::Automatic {
            return;
        }
        let is_slow = |slow: SlowCalls| took_ns >= nanos(slow.duration);
        // Who gives a call up that was slow already has said something.
        let mark = Mark { failed: call == Call::Failed, slow: config.slow_calls.is_some_and(is_slow) };
        match &mut self.inner {
            Inner::Closed if call != Call::SaidNothing || mark.slow => {
                self.window.add(self.now, mark);
                self.look_at_window(config);
            }
            Inner::Closed | Inner::Open { .. } => {}
            Inner::HalfOpen { under_way, ended, .. } => {
                if call == Call::SaidNothing && !mark.slow {
                    if !config.mutants.has(Mutant::CancelledTrialKept) {
                        *under_way = under_way.saturating_sub(1);
                    }
                    return;
                }
                *under_way = under_way.saturating_sub(1);
                ended.add(mark);
                self.look_at_trials(config);
            }
        }
    }

    /// An operator wants it otherwise.
    pub fn override_with(&mut self, config: &Config, now: Time, mode: Mode) {
        self.pass_time(config, now);
        self.mode = mode;
        self.close();
    }

    fn permit(&self, is_trial: bool) -> Permit {
        Permit { period: self.period, is_trial }
    }

    /// Whether it is open, and its time is over.
    fn is_due(&self) -> bool {
        self.mode == Mode::Automatic && matches!(self.inner, Inner::Open { until } if until <= self.now)
    }

    fn pass_time(&mut self, config: &Config, now: Time) {
        self.now = self.now.max(now);
        let is_over = matches!(self.inner, Inner::HalfOpen { until, under_way, .. } if under_way > 0 && until <= self.now);
        if is_over && !config.mutants.has(Mutant::TrialsNeverTimeOut) {
            self.open(config);
        }
    }

    fn look_at_window(&mut self, config: &Config) {
        let tally = self.window.tally(self.now);
        let is_enough = tally.calls >= config.minimum_calls || config.mutants.has(Mutant::MinimumIgnored);
        if is_enough && is_reached(config, tally, tally.calls) {
            self.open(config);
        }
    }

    /// Opens as soon as the trials cannot succeed any more; closes when all have ended.
    fn look_at_trials(&mut self, config: &Config) {
        let Inner::HalfOpen { ended, .. } = self.inner else { unreachable!("it has just had a trial") };
        let allowed = config.half_open_allowed_requests;
        let closes_early = config.mutants.has(Mutant::FirstSuccessCloses) && ended.failed < ended.calls;
        if is_reached(config, ended, allowed) {
            self.open(config);
        } else if ended.calls >= allowed || closes_early {
            self.close();
        }
    }

    fn open(&mut self, config: &Config) {
        let longest = nanos(config.reset_timeout_max);
        let doubled = 1_u64.checked_shl(self.openings).unwrap_or(u64::MAX);
        let time_ns = nanos(config.reset_timeout).saturating_mul(doubled).min(longest);
        let more_ns = (u128::from(time_ns) * u128::from(config.jitter_percentage) / 100) as u64;
        let open_ns = time_ns.saturating_add(self.jitter.between(0, more_ns));
        self.openings = self.openings.saturating_add(1);
        self.change(Inner::Open { until: Time(self.now.0.saturating_add(open_ns)) });
    }

    fn close(&mut self) {
        self.openings = 0;
        self.change(Inner::Closed);
    }

    fn change(&mut self, to: Inner) {
        self.inner = to;
        self.period += 1;
        self.window.clear();
    }
}

/// Whether so many of `calls` failed, or were slow, that it opens.
fn is_reached(config: &Config, tally: Tally, calls: u32) -> bool {
    let is_share =
        |part: u32, percentage: u8| u64::from(part) * 100 >= u64::from(calls) * u64::from(percentage);
    is_share(tally.failed, config.failure_threshold_percentage)
        || config.slow_calls.is_some_and(|slow| is_share(tally.slow, slow.threshold_percentage))
}

impl Permit {
    /// Whether the call is a trial of a half-open circuit.
    pub fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// How often the circuit's state had changed when it was given.
    pub fn period(&self) -> u64 {
        self.period
    }
}

/// How long to wait, for people.
pub(super) fn after(retry_after_ns: Option<u64>) -> Option<Duration> {
    retry_after_ns.map(Duration::from_nanos)
}
