//! Callers that share one budget for retries, for the model world: their attempts end in every way, are hedged and made
//! again, callers go away, and time passes. A ledger is told what they send, and a purse what they spend.

use super::ledger::{Ledger, SOMETIMES};
use crate::world::callers::{Scene, TICK_NS, time};
use shakedown_impls::protocol::Component as _;
use shakedown_impls::resilience::retry::{Attempts, Config, End, GaveUp, Kind, Next, Retries, Terms};
use std::fmt::{self, Display};

/// Callers that share a budget.
#[derive(Clone, Debug)]
pub struct Callers {
    /// That of the retries. Chance has no say, and the reserve is a rate per whole ticks.
    pub config: Config,
    /// What each caller's calls are.
    pub kinds: Vec<Kind>,
    /// How many calls each of them makes.
    pub calls: u8,
    /// How an attempt may end.
    pub ends: Vec<End>,
    /// How many ticks pass.
    pub ticks: u8,
}

/// All of it at one time.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Now {
    retries: Retries,
    ticks: u8,
    callers: Vec<Caller>,
    ledger: Ledger,
    /// What the budget should hold, in hundredths of a retry.
    purse: u64,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct Caller {
    is: Is,
    /// How many calls it has left to make.
    left: u8,
}

#[derive(Clone, Debug, PartialEq, Hash)]
enum Is {
    Idle,
    UnderWay(Attempts),
    /// Until a time.
    Pausing(Attempts, u64),
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A caller makes a call.
    Call(usize),
    /// An attempt of its call ends.
    End(usize, End),
    /// An attempt of its call takes so long that it would be hedged.
    Hedge(usize),
    /// Its pause is over.
    Resume(usize),
    /// It does not wait for its call any more.
    Leave(usize),
    /// Time passes.
    Tick,
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Call(caller) => write!(f, "c{caller} makes a call"),
            Step::End(caller, End::Succeeded) => write!(f, "an attempt of c{caller}'s succeeds"),
            Step::End(caller, End::Permanent) => write!(f, "an attempt of c{caller}'s fails for good"),
            Step::End(caller, End::Definite { retry_after: None }) => {
                write!(f, "an attempt of c{caller}'s fails, and nothing has happened")
            }
            Step::End(caller, End::Definite { retry_after: Some(after) }) => {
                write!(f, "an attempt of c{caller}'s fails, and the server says to come back after {after:?}")
            }
            Step::End(caller, End::Indefinite { .. }) => {
                write!(f, "an attempt of c{caller}'s fails, and may have happened")
            }
            Step::Hedge(caller) => write!(f, "an attempt of c{caller}'s takes long"),
            Step::Resume(caller) => write!(f, "c{caller}'s pause is over"),
            Step::Leave(caller) => write!(f, "c{caller} goes away"),
            Step::Tick => f.write_str("a millisecond passes"),
        }
    }
}

impl Scene for Callers {
    type State = Now;
    type Step = Step;

    fn sometimes(&self) -> Vec<&'static str> {
        let has = |kind| self.kinds.contains(&kind);
        let is_told = |end: &End| matches!(end, End::Definite { retry_after: Some(_) });
        let of = [
            (true, "the budget is used up"),
            (true, "a caller goes away"),
            (has(Kind::Once), "a call is not sent again, for it may have happened"),
            (has(Kind::Keyed), "a call is sent again that may have happened"),
            (self.config.hedge_after.is_some(), "a call is hedged"),
            (self.config.hedge_after.is_some(), "there were enough attempts"),
            (self.ends.iter().any(is_told), "a call comes back when it was told to"),
            (self.ends.contains(&End::Permanent), "an error is permanent"),
        ];
        let of = of.into_iter().filter_map(|(is_possible, what)| is_possible.then_some(what));
        SOMETIMES.iter().copied().chain(of).collect()
    }

    fn start(&self) -> Now {
        let caller = Caller { is: Is::Idle, left: self.calls };
        Now {
            retries: Retries::new(&self.config),
            ticks: 0,
            callers: vec![caller; self.kinds.len()],
            ledger: Ledger::default(),
            purse: self.purse_max(),
        }
    }

    fn steps(&self, now: &Now, steps: &mut Vec<Step>) {
        for (number, caller) in now.callers.iter().enumerate() {
            match caller.is {
                Is::Idle if caller.left > 0 => steps.push(Step::Call(number)),
                Is::Idle => {}
                Is::UnderWay(_) => {
                    steps.extend(self.ends.iter().map(|&end| Step::End(number, end)));
                    steps.extend(self.config.hedge_after.map(|_| Step::Hedge(number)));
                    steps.push(Step::Leave(number));
                }
                Is::Pausing(_, until_ns) => {
                    steps.extend((until_ns <= time(now.ticks).0).then_some(Step::Resume(number)));
                    steps.push(Step::Leave(number));
                }
            }
        }
        if now.ticks < self.ticks {
            steps.push(Step::Tick);
        }
    }

    fn take(&self, now: &mut Now, step: &Step, seen: &mut Vec<&'static str>) -> Result<(), String> {
        match *step {
            Step::Tick => {
                now.ticks += 1;
                let rate = self.config.budget_reserve;
                let flows = u64::from(rate.tokens()) * 100 * TICK_NS / rate.per_ns();
                now.purse = (now.purse + flows).min(self.purse_max());
                Ok(())
            }
            Step::Call(caller) => self.call(now, caller, seen),
            Step::End(caller, end) => self.end(now, caller, end, seen),
            Step::Hedge(caller) => self.hedge(now, caller, seen),
            Step::Resume(caller) => self.resume(now, caller, seen),
            Step::Leave(caller) => {
                now.ledger.leaves(caller as u64);
                now.callers[caller].is = Is::Idle;
                seen.push("a caller goes away");
                Ok(())
            }
        }
    }
}

impl Callers {
    fn call(&self, now: &mut Now, caller: usize, seen: &mut Vec<&'static str>) -> Result<(), String> {
        let (at, kind) = (time(now.ticks), self.kinds[caller]);
        let terms = Terms { kind, deadline: None, key: None };
        let begun = now.retries.begin(&self.config, at, &terms);
        let attempts = begun.map_err(|why| format!("a call is refused that has all its time: {why}"))?;
        now.callers[caller].left -= 1;
        now.purse = (now.purse + u64::from(self.config.budget_percent)).min(self.purse_max());
        now.ledger.begins(&self.config, at.0, caller as u64, kind);
        self.sends(now, caller, attempts, seen)
    }

    fn end(
        &self,
        now: &mut Now,
        caller: usize,
        end: End,
        seen: &mut Vec<&'static str>,
    ) -> Result<(), String> {
        let (at, call) = (time(now.ticks), caller as u64);
        let Is::UnderWay(mut attempts) = now.callers[caller].take() else { unreachable!("it is under way") };
        let next = now.retries.end(&self.config, at, &mut attempts, end);
        now.ledger.ends(at.0, call, end);
        match next {
            Next::Done => now.ledger.succeeds(call, seen),
            Next::Wait => now.callers[caller].is = Is::UnderWay(attempts),
            Next::GiveUp(why) => {
                if why == GaveUp::Budget && now.purse >= 100 {
                    return Err(format!(
                        "the budget is used up, and has {} hundredths of a retry",
                        now.purse
                    ));
                }
                now.ledger.gives_up(&self.config, at.0, call, why, seen)?;
            }
            Next::Retry { after_ns } => {
                now.purse = now.purse.saturating_sub(100);
                now.ledger.pauses(&self.config, at.0, call, after_ns)?;
                now.callers[caller].is = Is::Pausing(attempts, at.0 + after_ns);
            }
        }
        Ok(())
    }

    fn hedge(&self, now: &mut Now, caller: usize, seen: &mut Vec<&'static str>) -> Result<(), String> {
        let Is::UnderWay(mut attempts) = now.callers[caller].take() else { unreachable!("it is under way") };
        if now.retries.hedge(&self.config, time(now.ticks), &mut attempts) {
            now.purse = now.purse.saturating_sub(100);
            return self.sends(now, caller, attempts, seen);
        }
        now.callers[caller].is = Is::UnderWay(attempts);
        Ok(())
    }

    fn resume(&self, now: &mut Now, caller: usize, seen: &mut Vec<&'static str>) -> Result<(), String> {
        let at = time(now.ticks);
        let Is::Pausing(mut attempts, _) = now.callers[caller].take() else { unreachable!("it pauses") };
        match now.retries.resume(&self.config, at, &mut attempts) {
            Ok(()) => self.sends(now, caller, attempts, seen),
            Err(why) => now.ledger.gives_up(&self.config, at.0, caller as u64, why, seen),
        }
    }

    /// An attempt has begun.
    fn sends(
        &self,
        now: &mut Now,
        caller: usize,
        attempts: Attempts,
        seen: &mut Vec<&'static str>,
    ) -> Result<(), String> {
        let at = time(now.ticks);
        let (key, timeout) = (Some(attempts.key()), attempts.timeout(&self.config, at));
        now.callers[caller].is = Is::UnderWay(attempts);
        now.ledger.sends(&self.config, at.0, caller as u64, key, timeout, seen)
    }

    fn purse_max(&self) -> u64 {
        u64::from(self.config.budget_burst) * 100
    }
}

impl Caller {
    fn take(&mut self) -> Is {
        std::mem::replace(&mut self.is, Is::Idle)
    }
}
