//! What retries must keep to, counted in another way: by what is sent, and not by what is decided.
//!
//! Whoever keeps one tells it of each call and each attempt; it says what must not be.

use shakedown_impls::resilience::retry::{Config, End, GaveUp, Key, Kind};
use std::collections::BTreeMap;
use std::time::Duration;

/// The ledger, of one client.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Ledger {
    /// Calls that were made, and attempts beyond the first of each.
    made: u64,
    again: u64,
    /// Those that are not over.
    calls: BTreeMap<u64, Known>,
}

/// What is known of a call.
#[derive(Clone, Debug, PartialEq, Hash)]
struct Known {
    kind: Kind,
    key: Option<Key>,
    deadline_ns: u64,
    attempts: u32,
    under_way: u32,
    may_have_happened: bool,
    not_before_ns: u64,
}

/// What a ledger can see happen whenever attempts fail.
pub const SOMETIMES: &[&str] = &["a call is sent again", "a call works after all", "there is no time left"];

impl Ledger {
    /// A call is made, to be over by its deadline at the latest.
    pub fn begins(&mut self, config: &Config, now_ns: u64, call: u64, kind: Kind) {
        self.made += 1;
        let known = Known {
            kind,
            key: None,
            deadline_ns: now_ns + config.overall_timeout.as_nanos() as u64,
            attempts: 0,
            under_way: 0,
            may_have_happened: false,
            not_before_ns: 0,
        };
        self.calls.insert(call, known);
    }

    /// An attempt is sent, which may take so long. Who does not know its key is not asked about it. `Err`: it should not
    /// be. What happened is added to `seen`.
    pub fn sends(
        &mut self,
        config: &Config,
        now_ns: u64,
        call: u64,
        key: Option<Key>,
        timeout: Duration,
        seen: &mut Vec<&'static str>,
    ) -> Result<(), String> {
        let known = self.calls.get_mut(&call).expect("its call was made");
        known.attempts += 1;
        let mut may_be = known.may_be_sent(config, now_ns, timeout);
        if known.attempts > 1 {
            self.again += 1;
            may_be = may_be.and_then(|()| known.may_be_sent_again(config, now_ns, key));
            seen.push(if known.under_way > 0 { "a call is hedged" } else { "a call is sent again" });
            let is_unknown = known.may_have_happened && known.under_way == 0;
            seen.extend(is_unknown.then_some("a call is sent again that may have happened"));
            seen.extend((known.not_before_ns > 0).then_some("a call comes back when it was told to"));
        }
        known.key = key;
        known.under_way += 1;
        may_be.and_then(|()| self.is_within_budget(config, now_ns))
    }

    /// An attempt has ended.
    pub fn ends(&mut self, now_ns: u64, call: u64, end: End) {
        let known = self.calls.get_mut(&call).expect("its call was made");
        known.under_way -= 1;
        if let End::Definite { retry_after } | End::Indefinite { retry_after } = end {
            let told_ns = retry_after.map_or(0, |after| now_ns + after.as_nanos() as u64);
            known.not_before_ns = known.not_before_ns.max(told_ns);
        }
        known.may_have_happened |= matches!(end, End::Indefinite { .. });
    }

    /// Before a call is sent again, so much time is let pass. `Err`: it is too much.
    pub fn pauses(&self, config: &Config, now_ns: u64, call: u64, pause_ns: u64) -> Result<(), String> {
        let (known, most_ns) = (&self.calls[&call], config.max_backoff.as_nanos() as u64);
        if now_ns + pause_ns >= known.deadline_ns {
            return Err("a pause ends at its call's deadline, or later".to_owned());
        }
        if now_ns + pause_ns > now_ns.max(known.not_before_ns) + most_ns {
            return Err(format!("a pause of {pause_ns} ns is longer than {most_ns} ns"));
        }
        Ok(())
    }

    /// Whether one of the attempts of a call may have had its effect.
    pub fn may_have_happened(&self, call: u64) -> bool {
        self.calls[&call].may_have_happened
    }

    /// A call has its answer.
    pub fn succeeds(&mut self, call: u64, seen: &mut Vec<&'static str>) {
        let known = self.calls.remove(&call);
        seen.extend(known.is_some_and(|known| known.attempts > 1).then_some("a call works after all"));
    }

    /// A call is given up. `Err`: the reason is none, as far as it is the call's own.
    pub fn gives_up(
        &mut self,
        config: &Config,
        now_ns: u64,
        call: u64,
        why: GaveUp,
        seen: &mut Vec<&'static str>,
    ) -> Result<(), String> {
        let known = self.calls.remove(&call).expect("its call was made");
        let latest_ns = now_ns.max(known.not_before_ns) + config.max_backoff.as_nanos() as u64;
        let (is_reason, what) = match why {
            GaveUp::Permanent => (true, "an error is permanent"),
            GaveUp::Indefinite => (
                known.may_have_happened && known.kind == Kind::Once,
                "a call is not sent again, for it may have happened",
            ),
            GaveUp::Attempts => (known.attempts == config.max_attempts, "there were enough attempts"),
            GaveUp::Deadline => (latest_ns >= known.deadline_ns, "there is no time left"),
            GaveUp::Budget => (true, "the budget is used up"),
        };
        seen.push(what);
        if is_reason {
            Ok(())
        } else {
            Err(format!("a call is given up, and there is no such reason: {why}"))
        }
    }

    /// Nobody waits for a call any more.
    pub fn leaves(&mut self, call: u64) {
        self.calls.remove(&call);
    }

    /// What retries promise of all calls together.
    fn is_within_budget(&self, config: &Config, now_ns: u64) -> Result<(), String> {
        let (reserve, percent) = (config.budget_reserve, u128::from(config.budget_percent));
        let per_ns = u128::from(reserve.per_ns());
        let given = u128::from(config.budget_burst) * 100 + u128::from(self.made) * percent;
        let most = given * per_ns + u128::from(now_ns) * u128::from(reserve.tokens()) * 100;
        if u128::from(self.again) * 100 * per_ns <= most {
            return Ok(());
        }
        Err(format!("{} calls have {} attempts more: that is above the budget", self.made, self.again))
    }
}

impl Known {
    fn may_be_sent(&self, config: &Config, now_ns: u64, timeout: Duration) -> Result<(), String> {
        if self.deadline_ns <= now_ns {
            return Err("an attempt begins at its call's deadline, or later".to_owned());
        }
        let remains_ns = (self.deadline_ns - now_ns).min(config.per_try_timeout.as_nanos() as u64);
        if timeout.as_nanos() as u64 > remains_ns {
            return Err(format!("an attempt may take {timeout:?}, of {remains_ns} ns that remain"));
        }
        if self.attempts > config.max_attempts {
            return Err(format!("a call has {} attempts", self.attempts));
        }
        Ok(())
    }

    fn may_be_sent_again(&self, config: &Config, now_ns: u64, key: Option<Key>) -> Result<(), String> {
        let is_hedge = self.under_way > 0;
        if is_hedge && (self.kind != Kind::Idempotent || self.under_way > 1 || config.hedge_after.is_none()) {
            return Err(format!(
                "an attempt begins beside {} of a call that is {:?}",
                self.under_way, self.kind
            ));
        }
        if self.may_have_happened && self.kind == Kind::Once {
            return Err("a call is sent again that may have happened, and must not happen twice".to_owned());
        }
        if now_ns < self.not_before_ns {
            return Err("a call comes back earlier than it was told to".to_owned());
        }
        if self.key != key {
            return Err("two attempts of a call have different keys".to_owned());
        }
        Ok(())
    }
}
