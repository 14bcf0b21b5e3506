//! Rounds of heartbeats, and what a leader learns when a quorum has answered one: that it was the leader
//! when the round began. Pure. Three things rest on it:
//!
//! - **ReadIndex** (thesis §6.4): a read that came before the round began may be answered.
//! - **CheckQuorum** (thesis §6.2): a leader of which no round is answered within an election timeout
//!   stops being one, so that its clients turn elsewhere.
//! - **Leases** (thesis §6.4.1): those who answered vote for nobody for an election timeout, so for nearly
//!   as long, *counted from when the round began*, reads need no round of their own.
//!
//! ```text
//!  leader  --+-- round begins ----------------------- answered by a quorum ----------+-- lease ends
//!             \  `----------------------- election timeout, less a margin ---------'
//!  follower    `-+-- hears it ------------------------------------------------------------+-- may vote
//!                `----------------------- election timeout, by its own timer -----------'
//! ```
//!
//! # What a lease promises
//!
//! Followers measure with timers, the leader with its clock. If each runs wrong by at most `ρ` (its rate
//! is within `1 ± ρ`), a follower's timeout `T` takes at least `T / (1 + ρ)`, and what the leader measures
//! as `m` takes at most `m / (1 - ρ)`: the lease holds for `m < T · (1 - ρ) / (1 + ρ)`. We take one heartbeat
//! less than that.
//!
//! A clock that *jumps* is outside of the bound. Forwards, the lease ends early. Backwards: if the node
//! sees an earlier time than before, all leases are void. A jump that it cannot see is smaller than the
//! time since its last step, and a leader steps at least once a heartbeat, which is the margin that was
//! left. So one jump of a leader that is not paused meanwhile does no harm. **A leader that stood still
//! and whose clock went back by as much meanwhile, or whose clock drifts more than `ρ`, answers stale
//! reads**: who cannot exclude that uses ReadIndex, which asks no clock.
//!
//! Where time does not flow (model checking) a lease never ends: leases are not for that world.

use crate::protocol::Time;
use std::time::Duration;

/// Beginnings of unanswered rounds that are remembered.
const SENT_MAX: usize = 64;

/// A leader's rounds. They are numbered from 1 in each term.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Rounds {
    /// The last that began.
    pub begun: u64,
    /// The last that a quorum has answered.
    pub confirmed: u64,
    /// The last that was answered when that was checked last.
    checked: u64,
    /// When rounds began that are not answered.
    sent: Vec<(u64, Time)>,
    /// When the last that is answered began.
    lease_from: Option<Time>,
    /// No leases any more in this term.
    is_forfeited: bool,
    clock: Time,
}

impl Rounds {
    /// A new round begins.
    pub fn begin(&mut self, now: Time) -> u64 {
        self.watch(now);
        self.begun += 1;
        if self.sent.len() == SENT_MAX {
            self.sent.remove(0);
        }
        self.sent.push((self.begun, now));
        self.begun
    }

    /// Whether one has begun that is not answered.
    pub fn is_open(&self) -> bool {
        self.confirmed < self.begun
    }

    /// A quorum has answered `round`, and so all before it.
    pub fn confirm(&mut self, round: u64) {
        if round <= self.confirmed {
            return;
        }
        self.confirmed = round;
        let answered = self.sent.partition_point(|&(sent, _)| sent <= round);
        if let Some((_, at)) = self.sent.drain(..answered).next_back() {
            self.lease_from = Some(at);
        }
    }

    /// Counts the lease from another moment: what no leader should do.
    pub(super) fn count_lease_from(&mut self, now: Time) {
        self.lease_from = Some(now);
    }

    /// Whether a quorum has answered any since the last check. To be asked once an election timeout.
    pub fn check(&mut self) -> bool {
        let is_followed = self.confirmed > self.checked;
        self.checked = self.confirmed;
        is_followed
    }

    /// Notices a clock that goes back: times from before say nothing any more.
    pub fn watch(&mut self, now: Time) {
        if now < self.clock {
            self.sent.clear();
            self.lease_from = None;
        }
        self.clock = now;
    }

    /// No leases from here on: somebody was told to begin an election, and may do so at any time, however
    /// late the message.
    pub fn forfeit(&mut self) {
        self.is_forfeited = true;
    }

    /// Whether a lease of that length holds.
    pub fn is_leased(&self, now: Time, length: Duration) -> bool {
        let since = |from: Time| Duration::from_nanos(now.0.saturating_sub(from.0));
        !self.is_forfeited && self.lease_from.is_some_and(|from| now >= from && since(from) < length)
    }

    /// Whether there was one.
    pub fn was_leased(&self) -> bool {
        self.lease_from.is_some()
    }
}

/// How long a lease is, if clocks run wrong by at most so many thousandths.
pub fn lease_length(election_timeout: Duration, heartbeat: Duration, drift_permille_max: u16) -> Duration {
    let drift = u32::from(drift_permille_max.min(999));
    (election_timeout * (1000 - drift) / (1000 + drift)).saturating_sub(heartbeat)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    #[test]
    fn a_lease_counts_from_when_the_round_began() {
        let mut rounds = Rounds::default();
        let (first, second) = (rounds.begin(at(10)), rounds.begin(at(30)));
        assert!(!rounds.is_leased(at(31), ms(100)));
        rounds.confirm(first);
        assert!(rounds.is_leased(at(109), ms(100)) && !rounds.is_leased(at(110), ms(100)));
        rounds.confirm(second);
        assert!(rounds.is_leased(at(129), ms(100)) && !rounds.is_leased(at(130), ms(100)));
        rounds.forfeit();
        assert!(!rounds.is_leased(at(31), ms(100)));
    }

    #[test]
    fn a_clock_that_is_seen_to_go_back_voids_leases() {
        let mut rounds = Rounds::default();
        let (_, open) = (rounds.begin(at(10)), rounds.begin(at(20)));
        rounds.watch(at(20));
        rounds.confirm(1);
        rounds.watch(at(15));
        assert!(!rounds.is_leased(at(16), ms(100)));
        rounds.confirm(open);
        assert!(!rounds.is_leased(at(16), ms(100)), "it began by the clock of before");
        let next = rounds.begin(at(17));
        rounds.confirm(next);
        assert!(rounds.is_leased(at(18), ms(100)));
    }

    // The first round begins in the step in which the leader is elected: that moment counts as seen.
    #[test]
    fn a_clock_that_goes_back_after_the_first_round_voids_leases() {
        let mut rounds = Rounds::default();
        let first = rounds.begin(at(50));
        rounds.watch(at(10));
        rounds.confirm(first);
        assert!(!rounds.is_leased(at(60), ms(100)));
    }

    // Two clocks, one fast and one slow by the bound: the follower's timeout is not over when the lease is.
    #[test]
    fn a_lease_ends_before_a_voter_is_free() {
        for drift in [0, 1, 10, 100, 500, 999] {
            let timeout = ms(100);
            let lease = lease_length(timeout, ms(0), drift).as_secs_f64();
            let drift = f64::from(drift) / 1000.0;
            let (leased, free) = (lease / (1.0 - drift), timeout.as_secs_f64() / (1.0 + drift));
            assert!(leased <= free + 1e-9, "{drift}: {leased} {free}");
            assert!(leased > 0.99 * free - 1e-3, "nor is it much shorter");
        }
    }

    #[test]
    fn a_leader_is_followed_while_rounds_are_answered() {
        let mut rounds = Rounds::default();
        rounds.begin(at(0));
        rounds.begin(at(1));
        rounds.confirm(1);
        assert!(rounds.check());
        assert!(!rounds.check());
        rounds.confirm(2);
        assert!(rounds.check());
    }
}
