//! What a session asks next: which keys, reads or writes, which values.

use super::Transactional;
use super::skew::Sampler;
use super::store::{Action, Micro, Seen};
use crate::random::Random;

/// The clients' habits, and the keys in use.
pub(super) struct Load {
    sampler: Sampler,
    /// The key in each place; a fresh one takes the place of one that retires.
    keys: Vec<u32>,
    /// By key, how often it was written.
    written: Vec<u32>,
    key_life: u32,
    sizes: (u32, u32),
    read_share: f64,
    read_modify_write: bool,
}

impl Load {
    pub(super) fn new(plan: &Transactional) -> Load {
        Load {
            sampler: Sampler::new(plan.key_skew, plan.keys),
            keys: (0..plan.keys).collect(),
            written: vec![0; plan.keys as usize],
            key_life: plan.key_life.unwrap_or(u32::MAX),
            sizes: (*plan.operations_per_transaction.start(), *plan.operations_per_transaction.end()),
            read_share: plan.read_share,
            read_modify_write: plan.read_modify_write,
        }
    }

    /// The next transaction, into `micros`; what its reads see is left open.
    pub(super) fn transaction(&mut self, micros: &mut Vec<Micro>, random: &mut Random) {
        micros.clear();
        let (min, max) = self.sizes;
        let size = min + random.below(u64::from(max - min) + 1) as u32;
        for _ in 0..size {
            let place = self.sampler.draw(random);
            let key = self.keys[place];
            let read = Micro { key, action: Action::Read(Seen::Versions(0)) };
            if random.chance(self.read_share) {
                micros.push(read);
                continue;
            }
            if self.read_modify_write && micros.iter().all(|micro| micro.key != key) {
                micros.push(read);
            }
            let written = &mut self.written[key as usize];
            *written += 1;
            micros.push(Micro { key, action: Action::Write(*written) });
            if *written >= self.key_life {
                self.keys[place] = self.fresh_keys(1);
            }
        }
    }

    /// The first of so many keys, numbered one after the other, that nobody has used or will use.
    pub(super) fn fresh_keys(&mut self, count: u32) -> u32 {
        let first = self.written.len() as u32;
        self.written.resize(self.written.len() + count as usize, 0);
        first
    }
}
