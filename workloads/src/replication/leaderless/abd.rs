//! Load for the ABD register: reads, and writes of values that are never written twice, which is
//! what lets a register's history be judged in near-linear time.

use crate::world::swarm::{Draws, Load};
use shakedown_impls::replication::leaderless::abd::{Abd, Key, Op};

/// Reads and writes of a few keys, half and half.
#[derive(Clone, Debug)]
pub struct ReadsAndWrites {
    keys: Key,
    written: u64,
}

impl ReadsAndWrites {
    /// Of `keys` keys, at least 1.
    pub fn of(keys: Key) -> ReadsAndWrites {
        assert!(keys > 0, "a load needs a key");
        ReadsAndWrites { keys, written: 0 }
    }
}

impl Load<Abd> for ReadsAndWrites {
    fn next(&mut self, random: &mut Draws<'_>) -> Op {
        let key = random.below(u64::from(self.keys)) as Key;
        if random.below(2) == 0 {
            return Op::Read { key };
        }
        self.written += 1;
        Op::Write { key, value: self.written }
    }

    fn last(&self) -> Vec<Op> {
        (0..self.keys).map(|key| Op::Read { key }).collect()
    }
}
