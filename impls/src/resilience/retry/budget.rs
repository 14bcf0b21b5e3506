//! How many retries all calls of a client may have together.
//!
//! Each call puts in a part of a token, some come by themselves, and each retry and each hedge takes a whole one. So
//! retries are a part of the calls, whatever fails and however many fail at the same time: Finagle's `RetryBudget`,
//! and the budget for each client of the SRE book, ch. 21.

use super::Config;
use crate::protocol::Time;
use crate::resilience::token_bucket::TokenBucket;

/// A budget; full at first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget(TokenBucket);

impl Budget {
    pub(super) fn new(config: &Config) -> Budget {
        Budget(TokenBucket::new(config.budget_reserve, config.budget_burst))
    }

    /// A call begins.
    pub(super) fn earn(&mut self, config: &Config, now: Time) {
        self.0.put(now, config.budget_percent);
    }

    /// One attempt more than there are calls. Whether there is as much.
    pub(super) fn spend(&mut self, now: Time) -> bool {
        self.0.take(now, 1).is_ok()
    }

    /// Retries that it is good for.
    pub(super) fn tokens(&mut self, now: Time) -> u32 {
        self.0.tokens(now)
    }
}
