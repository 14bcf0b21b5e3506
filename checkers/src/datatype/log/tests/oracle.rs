//! The definitions of the anomalies, on operations as they were made up, by looking at everything.

use super::super::Anomaly;
use crate::history::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// An operation.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) process: i64,
    pub(super) outcome: Outcome,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Assign {
        keys: Vec<i64>,
        subscribes: bool,
    },
    /// With the offsets that were asked for, by log.
    Transfer {
        parts: Vec<Part>,
        requested: BTreeMap<i64, i64>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    Send(Placed),
    Poll(Vec<Placed>),
}

/// A message in a log, at an offset if that was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) key: i64,
    pub(super) offset: Option<i64>,
    pub(super) value: i64,
}

impl Op {
    fn parts(&self) -> &[Part] {
        match &self.what {
            What::Transfer { parts, .. } => parts,
            What::Assign { .. } => &[],
        }
    }

    fn sends(&self) -> Vec<Placed> {
        let send = |part: &Part| match part {
            Part::Send(placed) => Some(*placed),
            Part::Poll(_) => None,
        };
        self.parts().iter().filter_map(send).collect()
    }

    /// With the number of the poll that each is of.
    fn polls(&self) -> Vec<(usize, Placed)> {
        let poll = |(i, part): (usize, &Part)| match part {
            Part::Send(_) => vec![],
            Part::Poll(polled) => polled.iter().map(|placed| (i, *placed)).collect(),
        };
        self.parts().iter().enumerate().flat_map(poll).collect()
    }
}

struct Facts<'o> {
    ops: &'o [Op],
    /// Which values lie at which offsets of which log.
    known: BTreeMap<i64, BTreeMap<i64, BTreeSet<i64>>>,
}

impl<'o> Facts<'o> {
    fn of(ops: &'o [Op]) -> Facts<'o> {
        let mut facts = Facts { ops, known: BTreeMap::new() };
        for op in ops {
            let sends = op.sends().into_iter().filter(|_| facts.took_effect(op));
            let all: Vec<Placed> = sends.chain(op.polls().into_iter().map(|poll| poll.1)).collect();
            for placed in all {
                if let Some(offset) = placed.offset {
                    facts
                        .known
                        .entry(placed.key)
                        .or_default()
                        .entry(offset)
                        .or_default()
                        .insert(placed.value);
                }
            }
        }
        facts
    }

    fn sends_of(&self, placed: Placed, outcomes: &[Outcome]) -> usize {
        let ops = self.ops.iter().filter(|op| outcomes.contains(&op.outcome));
        ops.flat_map(Op::sends).filter(|sent| (sent.key, sent.value) == (placed.key, placed.value)).count()
    }

    fn is_polled(&self, placed: Placed) -> bool {
        let ops = self.ops.iter().filter(|op| op.outcome == Outcome::Ok);
        ops.flat_map(Op::polls).any(|(_, poll)| (poll.key, poll.value) == (placed.key, placed.value))
    }

    fn took_effect(&self, op: &Op) -> bool {
        let shows =
            |sent: &Placed| self.is_polled(*sent) && self.sends_of(*sent, &[Outcome::Ok, Outcome::Info]) == 1;
        op.outcome == Outcome::Ok || op.outcome == Outcome::Info && op.sends().iter().any(shows)
    }

    /// How many offsets of the log hold something below this one.
    fn rank(&self, key: i64, offset: i64) -> i64 {
        self.known.get(&key).map_or(0, |log| log.keys().filter(|other| **other < offset).count()) as i64
    }

    /// Offsets at which a value lies.
    fn offsets(&self, placed: Placed) -> Vec<i64> {
        let Some(log) = self.known.get(&placed.key) else { return vec![] };
        log.iter().filter(|(_, values)| values.contains(&placed.value)).map(|(offset, _)| *offset).collect()
    }

    /// The place of a polled message.
    fn polled(&self, placed: Placed) -> Option<i64> {
        match (placed.offset, &self.offsets(placed)[..]) {
            (Some(offset), _) => Some(self.rank(placed.key, offset)),
            (None, [only]) if self.sends_of(placed, &[Outcome::Ok, Outcome::Info]) < 2 => {
                Some(self.rank(placed.key, *only))
            }
            _ => None,
        }
    }

    /// The place of a message that this operation sent.
    fn sent(&self, placed: Placed, op: &Op) -> Option<i64> {
        match (placed.offset, &self.offsets(placed)[..]) {
            (Some(offset), _) if self.took_effect(op) => Some(self.rank(placed.key, offset)),
            (_, [only]) if self.sends_of(placed, &[Outcome::Ok, Outcome::Info, Outcome::Fail]) < 2 => {
                Some(self.rank(placed.key, *only))
            }
            _ => None,
        }
    }
}

/// How far it is from one place to the next; 1 if nobody knows.
fn delta(from: Option<i64>, to: Option<i64>) -> i64 {
    from.zip(to).map_or(1, |(from, to)| to - from)
}

/// Tallies, by [`Anomaly::ALL`], and whether one of them is an error.
struct Tally {
    counts: [u64; Anomaly::ALL.len()],
    is_invalid: bool,
}

impl Tally {
    fn add(&mut self, anomaly: Anomaly, excused: bool) {
        self.counts[Anomaly::ALL.iter().position(|other| *other == anomaly).unwrap()] += 1;
        self.is_invalid |= !excused && anomaly != Anomaly::IntSendSkip;
    }

    fn delta(&mut self, delta: i64, [skip, nonmonotonic]: [Anomaly; 2], excused: bool) {
        if delta > 1 {
            self.add(skip, excused);
        }
        if delta < 1 {
            self.add(nonmonotonic, excused);
        }
    }
}

/// How often each anomaly occurs, and whether the history is invalid.
pub(super) fn counts(ops: &[Op]) -> ([u64; Anomaly::ALL.len()], bool) {
    let facts = Facts::of(ops);
    let mut tally = Tally { counts: [0; Anomaly::ALL.len()], is_invalid: false };
    messages(&facts, &mut tally);
    for at in 0..ops.len() {
        within(&facts, at, &mut tally);
        between(&facts, at, &mut tally);
    }
    (tally.counts, tally.is_invalid)
}

fn messages(facts: &Facts<'_>, tally: &mut Tally) {
    let all = facts.ops.iter().flat_map(|op| {
        op.sends().into_iter().chain(op.polls().into_iter().map(|poll| poll.1)).collect::<Vec<_>>()
    });
    let distinct: BTreeSet<(i64, i64)> = all.map(|placed| (placed.key, placed.value)).collect();
    let has_polls = facts
        .ops
        .iter()
        .any(|op| op.outcome == Outcome::Ok && op.parts().iter().any(|part| matches!(part, Part::Poll(_))));
    for (key, value) in distinct {
        let message = Placed { key, offset: None, value };
        let sends = facts.sends_of(message, &[Outcome::Ok, Outcome::Info]);
        let offsets = facts.offsets(message);
        let is_polled = facts.is_polled(message);
        if facts.sends_of(message, &[Outcome::Ok]) > 0 && !is_polled {
            tally.add(Anomaly::Unseen, !has_polls);
        }
        if offsets.len() > sends.max(1) {
            tally.add(Anomaly::Duplicate, false);
        }
        if is_polled && sends == 0 && facts.sends_of(message, &[Outcome::Fail]) > 0 {
            tally.add(Anomaly::G1a, false);
        }
        let polled = facts.ops.iter().filter(|op| op.outcome == Outcome::Ok).flat_map(Op::polls);
        let bound = polled.filter(|poll| poll.1.key == key).filter_map(|poll| facts.polled(poll.1)).max();
        let took_effect = facts.ops.iter().any(|op| {
            facts.took_effect(op) && op.sends().iter().any(|sent| (sent.key, sent.value) == (key, value))
        });
        let last = offsets.last().map(|offset| facts.rank(key, *offset));
        if !is_polled && took_effect && last.is_some_and(|last| bound.is_some_and(|bound| last <= bound)) {
            tally.add(Anomaly::LostWrite, false);
        }
    }
    for values in facts.known.values().flat_map(BTreeMap::values).filter(|values| values.len() > 1) {
        assert!(values.len() > 1);
        tally.add(Anomaly::InconsistentOffsets, false);
    }
}

/// True if the process of the operation subscribed last, and did not choose its logs itself.
fn subscribes(facts: &Facts<'_>, at: usize) -> bool {
    let before = facts.ops[..at].iter().rev().filter(|op| op.process == facts.ops[at].process);
    let mut assigns = before.filter(|op| op.outcome != Outcome::Fail).filter_map(|op| match &op.what {
        What::Assign { subscribes, .. } => Some(*subscribes),
        What::Transfer { .. } => None,
    });
    assigns.next().unwrap_or(false)
}

fn within(facts: &Facts<'_>, at: usize, tally: &mut Tally) {
    let op = &facts.ops[at];
    let (sends, polls) = (op.sends(), op.polls());
    for key in 0..2 {
        let sent: Vec<Placed> = sends.iter().copied().filter(|placed| placed.key == key).collect();
        for pair in sent.windows(2) {
            let delta = delta(facts.sent(pair[0], op), facts.sent(pair[1], op));
            tally.delta(delta, [Anomaly::IntSendSkip, Anomaly::IntNonmonotonicSend], false);
        }
        let polled: Vec<(usize, Placed)> = polls.iter().copied().filter(|poll| poll.1.key == key).collect();
        for pair in polled.windows(2).filter(|pair| pair[0].0 == pair[1].0 || !subscribes(facts, at)) {
            let delta = delta(facts.polled(pair[0].1), facts.polled(pair[1].1));
            tally.delta(delta, [Anomaly::IntPollSkip, Anomaly::IntNonmonotonicPoll], false);
        }
        let own: BTreeSet<i64> = sent.iter().map(|placed| placed.value).collect();
        for value in own {
            let message = Placed { key, offset: None, value };
            let by_all = facts.sends_of(message, &[Outcome::Ok, Outcome::Info, Outcome::Fail]);
            let by_it = sent.iter().filter(|placed| placed.value == value).count();
            if by_all == by_it && polled.iter().any(|poll| poll.1.value == value) {
                tally.add(Anomaly::PrecommittedRead, false);
            }
        }
    }
}

fn between(facts: &Facts<'_>, at: usize, tally: &mut Tally) {
    let op = &facts.ops[at];
    let What::Transfer { requested, .. } = &op.what else { return };
    let before = || facts.ops[..at].iter().rev().filter(|former| former.process == op.process);
    for key in 0..2 {
        let sent = op.sends().into_iter().find(|placed| placed.key == key);
        let former = before().filter(|former| former.outcome == Outcome::Ok);
        let former = former
            .filter_map(|op| {
                op.sends().into_iter().rfind(|placed| placed.key == key).map(|placed| (placed, op))
            })
            .next();
        if let (Some(sent), Some((last, former))) = (sent, former)
            && op.outcome != Outcome::Fail
            && delta(facts.sent(last, former), facts.sent(sent, op)) < 1
        {
            tally.add(Anomaly::NonmonotonicSend, false);
        }
        let Some((_, polled)) = op.polls().into_iter().find(|poll| poll.1.key == key) else { continue };
        let kinds = [Anomaly::PollSkip, Anomaly::NonmonotonicPoll];
        if let Some(offset) = requested.get(&key) {
            let from = facts.rank(key, *offset) - 1;
            tally.delta(delta(Some(from), facts.polled(polled)), kinds, false);
            continue;
        }
        // Back to the last poll of the log, or to where its place was forgotten.
        for former in before() {
            match &former.what {
                What::Assign { keys, .. } if former.outcome != Outcome::Fail && !keys.contains(&key) => break,
                What::Transfer { requested, .. } if requested.contains_key(&key) => break,
                What::Transfer { requested, .. } if former.outcome == Outcome::Ok && requested.is_empty() => {
                    if let Some((_, last)) = former.polls().into_iter().rfind(|poll| poll.1.key == key) {
                        let delta = delta(facts.polled(last), facts.polled(polled));
                        tally.delta(delta, kinds, subscribes(facts, at));
                        break;
                    }
                }
                _ => {}
            }
        }
    }
}
