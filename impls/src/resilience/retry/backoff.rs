//! How long to pause before the next try: exponentially longer, up to a limit, and spread by chance.
//!
//! Callers that failed together would come back together without chance, each time (Brooker, *Exponential Backoff and
//! Jitter*, 2015, compares the ways of it).

use super::{Config, Mutant};
use crate::resilience::clock::nanos;
use crate::resilience::jitter::Jitter;
use serde::{Deserialize, Serialize};

/// What chance makes of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Spread {
    /// Anything from nothing to the whole pause: full jitter.
    Full,
    /// Takes off at most so many percent: 50 is equal jitter, 0 is none.
    Percent(u8),
    /// Anything from the first pause to three times the one before, whatever the multiplier: decorrelated jitter.
    Decorrelated,
}

/// Where a call is in its pauses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Backoff {
    /// The next pause without chance; if decorrelated, the one before.
    at_ns: u64,
}

impl Backoff {
    pub(super) fn new(config: &Config) -> Backoff {
        Backoff { at_ns: nanos(config.initial_backoff) }
    }

    /// The next pause. It takes as long as all others together if it must, but never overflows.
    pub(super) fn next_ns(&mut self, config: &Config, jitter: &mut Jitter) -> u64 {
        let most_ns = match config.mutants.has(Mutant::BackoffUncapped) {
            true => u64::MAX,
            false => nanos(config.max_backoff),
        };
        let at_ns = self.at_ns;
        let longer_ns = at_ns.saturating_mul(u64::from(config.backoff_multiplier)).min(most_ns);
        match config.spread {
            Spread::Full => {
                self.at_ns = longer_ns;
                jitter.between(0, at_ns)
            }
            Spread::Percent(percent) => {
                self.at_ns = longer_ns;
                let off_ns = u128::from(at_ns) * u128::from(percent) / 100;
                jitter.between(at_ns - u64::try_from(off_ns).expect("a part of it"), at_ns)
            }
            Spread::Decorrelated => {
                let first_ns = nanos(config.initial_backoff);
                self.at_ns = jitter.between(first_ns, at_ns.saturating_mul(3)).min(most_ns);
                self.at_ns
            }
        }
    }
}
