//! Faults that belong together: what alone is rarely seen, for each of them has to come at the right moment.
//!
//! Each piece is about leaders, and a way in which one may act as such though another has been elected, or
//! go by what was undone.

use super::{Aim, Fault, FaultKind};
use crate::random::Random;
use shakedown_impls::protocol::NodeId;

/// A piece by lot that begins at about `begin_ms`, and is over at `length_ms` at the latest. Who leads is
/// found out when each fault begins, so it may strike one node first and another then.
pub(super) fn draw(random: &mut Random, nodes: u16, length_ms: u64, begin_ms: u64, faults: &mut Vec<Fault>) {
    let mut piece = Piece { random, length_ms, faults };
    match piece.random.below(6) {
        0 | 1 => piece.leader_after_leader(begin_ms),
        2 => piece.slow_clock(begin_ms),
        3 => piece.late_answers(begin_ms),
        4 => piece.forgotten_promise(begin_ms, nodes),
        _ => piece.deaf_leaders(begin_ms),
    }
}

/// A piece about who leads next, from when somebody may lead to the end of the run. Where members change, it
/// is one in which changes are undone.
pub(super) fn succession(
    random: &mut Random,
    nodes: u16,
    length_ms: u64,
    is_administered: bool,
    faults: &mut Vec<Fault>,
) {
    let mut piece = Piece { random, length_ms, faults };
    // By then somebody leads, mostly.
    let begin_ms = 100 + piece.random.below(150);
    match is_administered {
        true => piece.unheard_leaders(begin_ms),
        false => piece.voters_start_anew(begin_ms, nodes),
    }
}

struct Piece<'a> {
    random: &'a mut Random,
    length_ms: u64,
    faults: &'a mut Vec<Fault>,
}

impl Piece<'_> {
    /// Leader after leader is struck, each about when the one before comes back: what one leader left half
    /// done and another has not yet repaired is what elections are about.
    fn leader_after_leader(&mut self, begin_ms: u64) {
        let mean_ms = [5, 40, 120][self.random.below(3) as usize];
        let mut at_ms = begin_ms;
        for _ in 0..1 + self.random.below(4) {
            let from_ms = (at_ms + self.random.below(40)).saturating_sub(20);
            at_ms = from_ms + 1 + self.random.duration(mean_ms);
            let aim = Aim::draw(self.random);
            self.fault(from_ms, at_ms, FaultKind::Leader(aim));
        }
    }

    /// Leader after leader, whose clock is slow, is cut off: it thinks that it has time, and it has not.
    fn slow_clock(&mut self, begin_ms: u64) {
        self.again_and_again(begin_ms, |piece, begin_ms| {
            let slow_permille = 200 + piece.random.below(100) as i16;
            let cut_ms = begin_ms + piece.random.below(30);
            let until_ms = cut_ms + piece.long_ms();
            piece.fault(begin_ms, until_ms, FaultKind::Leader(Aim::ClockDrift(-slow_permille)));
            piece.fault(cut_ms, until_ms, FaultKind::Leader(Aim::Split));
            until_ms
        });
    }

    /// What it was told before it was cut off reaches leader after leader late: it takes what was so for what
    /// is so.
    fn late_answers(&mut self, begin_ms: u64) {
        self.again_and_again(begin_ms, |piece, begin_ms| {
            let cut_ms = begin_ms + 5 + piece.random.below(20);
            let late_ms = 50 + piece.random.below(350) as u16;
            piece.fault(begin_ms, cut_ms, FaultKind::Delay(late_ms));
            let until_ms = cut_ms + piece.long_ms();
            piece.fault(cut_ms, until_ms, FaultKind::Leader(Aim::Split));
            until_ms
        });
    }

    /// A node that alone stands between a leader and the others starts anew, when the leader is cut off.
    fn forgotten_promise(&mut self, begin_ms: u64, nodes: u16) {
        let between = NodeId(self.random.below(u64::from(nodes)) as u16);
        let cut_ms = begin_ms + self.long_ms();
        self.fault(begin_ms, cut_ms, FaultKind::Bridge(between));
        let (down_ms, until_ms) = (1 + self.random.below(20), cut_ms + self.long_ms());
        self.fault(cut_ms, cut_ms + down_ms, FaultKind::Crash(between));
        self.fault(cut_ms, until_ms, FaultKind::Leader(Aim::Split));
    }

    /// Leader after leader is heard, and hears nobody: it may hand over, or be voted out, and not know it.
    fn deaf_leaders(&mut self, begin_ms: u64) {
        self.again_and_again(begin_ms, |piece, begin_ms| {
            let until_ms = begin_ms + piece.long_ms();
            piece.fault(begin_ms, until_ms, FaultKind::Leader(Aim::Deaf));
            until_ms
        });
    }

    /// The same again and again, and the node is back at once, while the leader still counts on it.
    ///
    /// ```text
    ///  leader   --+--------- heard by one ----------+ cut off; its lease runs on: it answers reads
    ///  voter    --+--------- hears the leader ------+ starts anew: may it vote?
    ///  another  --+-- hears no leader, asks in vain, asks again ------+ asks again: is it elected?
    /// ```
    ///
    /// It is elected only if nothing was written since it does not hear the leader, for the voter has that.
    fn voters_start_anew(&mut self, begin_ms: u64, nodes: u16) {
        self.again_and_again(begin_ms, |piece, begin_ms| {
            let voter = NodeId(piece.random.below(u64::from(nodes)) as u16);
            let cut_ms = begin_ms + 100 + piece.random.below(150);
            piece.fault(begin_ms, cut_ms, FaultKind::Bridge(voter));
            let (back_ms, until_ms) = (cut_ms + 1 + piece.random.below(4), cut_ms + piece.long_ms());
            piece.fault(cut_ms, back_ms, FaultKind::Crash(voter));
            piece.fault(cut_ms, until_ms, FaultKind::Leader(Aim::Split));
            until_ms
        });
    }

    /// Leader after leader is not heard, for long enough that another is elected, and the next one soon after
    /// the one before is heard again, which may be elected then.
    ///
    /// ```text
    ///  first   --+-- takes a change; nobody hears of it --+ hears the second: undone --+-- is elected again
    ///  second  ------------------------- is elected ------+----------------------------+ is not heard
    /// ```
    ///
    /// A node that hears while it is not heard follows the second before it can ask for the same once more.
    fn unheard_leaders(&mut self, begin_ms: u64) {
        let mut at_ms = begin_ms;
        for _ in 0..3 + self.random.below(2) {
            let until_ms = at_ms + 120 + self.random.below(180);
            let aim = [Aim::Mute, Aim::Mute, Aim::Split][self.random.below(3) as usize];
            self.fault(at_ms, until_ms, FaultKind::Leader(aim));
            at_ms = until_ms + self.random.below(30);
        }
    }

    /// A few times, with some time between them to agree on who leads. `strike` says when it is over.
    fn again_and_again(&mut self, begin_ms: u64, strike: impl Fn(&mut Self, u64) -> u64) {
        let mut at_ms = begin_ms;
        for _ in 0..2 + self.random.below(3) {
            at_ms = strike(self, at_ms) + 30 + self.random.below(100);
        }
    }

    /// Long enough for another leader to be elected.
    fn long_ms(&mut self) -> u64 {
        60 + self.random.duration(120)
    }

    fn fault(&mut self, from_ms: u64, until_ms: u64, kind: FaultKind) {
        let until_ms = until_ms.min(self.length_ms);
        if from_ms < until_ms {
            self.faults.push(Fault { from_ms, until_ms, kind });
        }
    }
}
