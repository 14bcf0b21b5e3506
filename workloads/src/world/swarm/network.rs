//! Messages on their way, and what becomes of them.

use super::{Event, MS, World};
use crate::driver::frame::{Decoder, encode};
use crate::nemesis::FaultKind;
use crate::operation::Subject;
use crate::random::Random;
use crate::trace::{Kind, Place};
use shakedown_impls::protocol::{Data, NodeId};

impl<P: Subject> World<'_, P> {
    pub(super) fn send(&mut self, from: NodeId, to: NodeId, msg: P::Msg) {
        let mut msg = msg;
        let (mut lost, mut doubled, mut mean) = (None, None, MS);
        for i in 0..self.active.len() {
            let fault = self.active[i];
            let planned = self.scenario.plan.faults.get(fault);
            let since_ms = planned.map_or(0, |planned| self.now / MS - planned.from_ms);
            let random = &mut self.nodes[usize::from(from.0)].random;
            match self.kinds[fault] {
                FaultKind::Loss(permille) if random.below(1_000) < u64::from(permille) => lost = Some(fault),
                FaultKind::Duplication(permille) if random.below(1_000) < u64::from(permille) => {
                    doubled = Some(fault);
                }
                FaultKind::Delay(ms) => {
                    mean = mean.max(u64::from(ms) * MS / 3);
                    self.effects[fault] += 1;
                }
                FaultKind::Corruption(permille) if random.below(1_000) < u64::from(permille) => {
                    match corrupt(&msg, random) {
                        // What passes the checksum is heard.
                        Some(other) => {
                            msg = other;
                            self.effects[fault] += 1;
                        }
                        None => lost = Some(fault),
                    }
                }
                ref kind if kind.cuts(self.scenario.nodes, since_ms, from, to) => lost = Some(fault),
                _ => {}
            }
        }
        if let Some(fault) = lost {
            self.effects[fault] += 1;
            self.counts.lost += 1;
            let name = self.kinds[fault].name();
            return self.trace(Place::Link(from, to), Kind::Lost, || format!("{msg:?} ({name})"));
        }
        if let Some(fault) = doubled {
            self.effects[fault] += 1;
            self.deliver(from, to, msg.clone(), 4 * mean);
        }
        self.deliver(from, to, msg, mean);
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, msg: P::Msg, mean: u64) {
        let takes = self.nodes[usize::from(from.0)].random.duration(mean);
        self.trace(Place::Link(from, to), Kind::Sent, || {
            format!("{msg:?} (arrives after {} us)", takes / 1_000)
        });
        self.queue.push(self.now + takes, Event::Deliver { from, to, msg });
    }
}

/// What the receiver makes of a message of which one bit was flipped on the way.
fn corrupt<M: Data>(msg: &M, random: &mut Random) -> Option<M> {
    let mut bytes = vec![];
    encode(msg, &mut bytes).ok()?;
    let bit = random.below(bytes.len() as u64 * 8) as usize;
    bytes[bit / 8] ^= 1 << (bit % 8);
    let mut decoder = Decoder::default();
    decoder.push(&bytes);
    decoder.take().ok().flatten()
}
