//! Callers at a circuit breaker, for the model world: they ask, and their calls work, fail or are given up, in every
//! order, while time passes. A ledger is told the same, and the breaker must agree with it.

use super::ledger::{Ledger, SOMETIMES};
use crate::world::callers::{Scene, time};
use shakedown_impls::protocol::{Component as _, Time};
use shakedown_impls::resilience::circuit_breaker::{Call, CircuitBreaker, Config, Permit, State};
use std::fmt::{self, Display};

/// Callers at a breaker.
#[derive(Clone, Debug)]
pub struct Callers {
    /// The breaker's: what its ledger knows.
    pub config: Config,
    /// How many callers.
    pub callers: usize,
    /// How many calls each of them makes.
    pub calls: u8,
    /// How many ticks pass.
    pub ticks: u8,
}

/// All of it at one time.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Now {
    breaker: CircuitBreaker,
    ticks: u8,
    callers: Vec<Caller>,
    ledger: Ledger,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct Caller {
    /// What its call under way was given by the breaker, and by the ledger.
    under_way: Option<(Permit, u32)>,
    /// How many calls it has left to make.
    left: u8,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A caller asks.
    Ask(usize),
    /// A caller's call ends.
    End(usize, Call),
    /// Time passes.
    Tick,
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Ask(caller) => write!(f, "c{caller} asks for a call"),
            Step::End(caller, Call::Succeeded) => write!(f, "c{caller}'s call succeeds"),
            Step::End(caller, Call::Failed) => write!(f, "c{caller}'s call fails"),
            Step::End(caller, Call::SaidNothing) => write!(f, "c{caller}'s call is given up"),
            Step::Tick => f.write_str("a millisecond passes"),
        }
    }
}

impl Scene for Callers {
    type State = Now;
    type Step = Step;

    fn sometimes(&self) -> Vec<&'static str> {
        SOMETIMES.to_vec()
    }

    fn start(&self) -> Now {
        let caller = Caller { under_way: None, left: self.calls };
        Now {
            breaker: CircuitBreaker::new(&self.config),
            ticks: 0,
            callers: vec![caller; self.callers],
            ledger: Ledger::default(),
        }
    }

    fn steps(&self, now: &Now, steps: &mut Vec<Step>) {
        for (number, caller) in now.callers.iter().enumerate() {
            if caller.under_way.is_some() {
                let calls = [Call::Succeeded, Call::Failed, Call::SaidNothing];
                steps.extend(calls.map(|call| Step::End(number, call)));
            } else if caller.left > 0 {
                steps.push(Step::Ask(number));
            }
        }
        if now.ticks < self.ticks {
            steps.push(Step::Tick);
        }
    }

    fn take(&self, now: &mut Now, step: &Step, seen: &mut Vec<&'static str>) -> Result<(), String> {
        let Now { breaker, ticks, callers, ledger } = now;
        let at = time(*ticks);
        match *step {
            Step::Tick => *ticks += 1,
            Step::Ask(caller) => {
                let asked = breaker.ask(&self.config, at).ok();
                let expected = ledger.ask(&self.config, at.0, seen);
                callers[caller].left -= 1;
                callers[caller].under_way = match (asked, expected) {
                    (Some(permit), Some(period)) => Some((permit, period)),
                    (None, None) => None,
                    (Some(_), None) => return Err("a call passes that should be refused".to_owned()),
                    (None, Some(_)) => return Err("a call is refused that should pass".to_owned()),
                };
            }
            Step::End(caller, call) => {
                let (permit, period) = callers[caller].under_way.take().expect("it has a call under way");
                breaker.settle(&self.config, at, &permit, call, 0);
                ledger.end(&self.config, at.0, period, call, seen);
            }
        }
        if *step != Step::Tick {
            agree((breaker.state(), breaker.trials_under_way()), ledger.expects())?;
        }
        self.recovers(now)
    }
}

impl Callers {
    /// From here on all works, and the calls under way never end: after the longest time it is closed.
    fn recovers(&self, now: &Now) -> Result<(), String> {
        let mut breaker = now.breaker.clone();
        let longest_ns = (self.config.half_open_timeout + self.config.reset_timeout_max).as_nanos() as u64;
        let mut at = time(now.ticks);
        for _ in 0..3 {
            at = Time(at.0 + longest_ns);
            for _ in 0..self.config.half_open_allowed_requests {
                if let Ok(permit) = breaker.ask(&self.config, at) {
                    breaker.settle(&self.config, at, &permit, Call::Succeeded, 0);
                }
            }
        }
        match breaker.state() {
            State::Closed => Ok(()),
            state => Err(format!("it stays {state} though everything works again")),
        }
    }
}

/// Whether a breaker is what it should be.
pub(super) fn agree(is: (State, u32), should_be: (State, u32)) -> Result<(), String> {
    if is == should_be {
        return Ok(());
    }
    let told = |(state, trials): (State, u32)| match trials {
        0 => state.to_string(),
        trials => format!("{state} with {trials} under way"),
    };
    Err(format!("it is {}, and should be {}", told(is), told(should_be)))
}
