//! What a circuit breaker should be, counted in another way: by remembering everything that happened since it
//! last changed.
//!
//! It knows windows by calls, no slow calls and no jitter. Whoever keeps one beside a breaker tells both the same,
//! and compares.

use shakedown_impls::resilience::circuit_breaker::{Call, Config, State};

/// The ledger.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Ledger {
    is: Is,
    /// How often it has changed: a call that began before says nothing of now.
    period: u32,
    now_ns: u64,
}

#[derive(Clone, Debug, PartialEq, Hash)]
enum Is {
    /// Of each call that ended, whether it failed.
    Closed { ended: Vec<bool> },
    /// When it may be asked again, and how often it has opened in a row.
    Open { until_ns: u64, openings: u32 },
    /// Until when those under way have to end; trials under way; of those that ended, whether they failed.
    HalfOpen { until_ns: u64, openings: u32, under_way: u32, ended: Vec<bool> },
}

/// What a ledger can see happen.
pub const SOMETIMES: &[&str] = &[
    "it opens",
    "it opens again",
    "it closes again",
    "a call is refused while it is open",
    "a call is refused for there are enough trials",
    "a result comes too late",
    "a trial is given back",
    "trials take too long",
];

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger { is: Is::Closed { ended: vec![] }, period: 0, now_ns: 0 }
    }
}

impl Ledger {
    /// Somebody asks. `Some`: the call passes, and this is what to say when it ends. What happened is added to `seen`.
    pub fn ask(&mut self, config: &Config, now_ns: u64, seen: &mut Vec<&'static str>) -> Option<u32> {
        self.pass_time(config, now_ns, seen);
        if let Is::Open { until_ns, openings } = self.is
            && until_ns <= self.now_ns
        {
            self.change(Is::HalfOpen { until_ns: self.now_ns, openings, under_way: 0, ended: vec![] });
        }
        let passes = match &mut self.is {
            Is::Closed { .. } => true,
            Is::Open { .. } => {
                seen.push("a call is refused while it is open");
                false
            }
            Is::HalfOpen { until_ns, under_way, ended, .. } => {
                let is_free = *under_way + (ended.len() as u32) < config.half_open_allowed_requests;
                if is_free {
                    *until_ns = self.now_ns + config.half_open_timeout.as_nanos() as u64;
                }
                *under_way += u32::from(is_free);
                seen.extend((!is_free).then_some("a call is refused for there are enough trials"));
                is_free
            }
        };
        passes.then_some(self.period)
    }

    /// A call that passed has ended.
    pub fn end(
        &mut self,
        config: &Config,
        now_ns: u64,
        period: u32,
        call: Call,
        seen: &mut Vec<&'static str>,
    ) {
        self.pass_time(config, now_ns, seen);
        let said = match call {
            Call::Succeeded => Some(false),
            Call::Failed => Some(true),
            Call::SaidNothing => None,
        };
        let fails = |ended: &[bool], of: usize| {
            let failed = ended.iter().filter(|&&failed| failed).count();
            failed * 100 >= of * usize::from(config.failure_threshold_percentage)
        };
        let allowed = config.half_open_allowed_requests as usize;
        match &mut self.is {
            _ if period != self.period => seen.push("a result comes too late"),
            Is::Closed { ended } => {
                ended.extend(said);
                let window = config.closed_window_size as usize;
                let last = &ended[ended.len().saturating_sub(window)..];
                if said.is_some() && last.len() >= config.minimum_calls as usize && fails(last, last.len()) {
                    seen.push("it opens");
                    self.open(config, 0);
                }
            }
            Is::Open { .. } => unreachable!("no call passes in a period in which it is open"),
            Is::HalfOpen { openings, under_way, ended, .. } => {
                *under_way -= 1;
                seen.extend(said.is_none().then_some("a trial is given back"));
                ended.extend(said);
                if fails(ended, allowed) {
                    seen.push("it opens again");
                    let openings = *openings;
                    self.open(config, openings);
                } else if ended.len() == allowed {
                    seen.push("it closes again");
                    self.change(Is::Closed { ended: vec![] });
                }
            }
        }
    }

    /// What the breaker should be, and how many trials should be under way.
    pub fn expects(&self) -> (State, u32) {
        match self.is {
            Is::Closed { .. } => (State::Closed, 0),
            Is::Open { .. } => (State::Open, 0),
            Is::HalfOpen { under_way, .. } => (State::HalfOpen, under_way),
        }
    }

    /// Trials that take too long have failed.
    fn pass_time(&mut self, config: &Config, now_ns: u64, seen: &mut Vec<&'static str>) {
        self.now_ns = self.now_ns.max(now_ns);
        if let Is::HalfOpen { until_ns, openings, under_way, .. } = self.is
            && until_ns <= self.now_ns
            && under_way > 0
        {
            seen.push("trials take too long");
            self.open(config, openings);
        }
    }

    fn open(&mut self, config: &Config, openings: u32) {
        let time = (config.reset_timeout * 2_u32.saturating_pow(openings)).min(config.reset_timeout_max);
        self.change(Is::Open { until_ns: self.now_ns + time.as_nanos() as u64, openings: openings + 1 });
    }

    fn change(&mut self, to: Is) {
        self.is = to;
        self.period += 1;
    }
}
