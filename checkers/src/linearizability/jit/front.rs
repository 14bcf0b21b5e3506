//! Configurations of [`Jit`](super::Jit), and the sets that they are kept in.

use crate::linearizability::bits::Bits;
use crate::linearizability::machine::StateId;
use crate::linearizability::multiset::{MultisetId, Multisets};
use crate::linearizability::path::StepId;
use crate::value::fast_hash;
use hashbrown::HashTable;

/// One explanation of the history so far. `W` words of slots of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config<const W: usize> {
    /// Open state-changing operations that have taken effect.
    pub(super) placed: Bits<W>,
    /// Open writes that have not, but may count as placed before the latest write.
    pub(super) absorbable: Bits<W>,
    /// Open pure operations that have taken effect.
    pub(super) seen: Bits<W>,
    pub(super) state: StateId,
    /// Crashed operations that have taken effect.
    pub(super) used: MultisetId,
    /// How it came about.
    pub(super) path: StepId,
    /// The latest step of this return's exploration was a write that nobody saw (rule 3).
    pub(super) unseen_write: bool,
}

impl<const W: usize> Config<W> {
    pub(super) fn key(&self) -> (Bits<W>, StateId) {
        (self.placed, self.state)
    }

    pub(super) fn key_hash(&self) -> u64 {
        fast_hash(&(self.placed.words(), self.state))
    }

    pub(super) fn identity(&self) -> (Bits<W>, Bits<W>, Bits<W>, StateId, MultisetId, bool) {
        (self.placed, self.absorbable, self.seen, self.state, self.used, self.unseen_write)
    }
}

/// What the exploration of one return is looking for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    Pure(usize),
    Write(usize),
    /// The last chance for an operation that need not take effect.
    Free,
    /// To see where the open operations can lead.
    Nothing,
}

impl Goal {
    pub(super) fn is_reached_by<const W: usize>(self, config: &Config<W>) -> bool {
        match self {
            Goal::Pure(slot) => config.seen.has(slot),
            Goal::Write(slot) => config.placed.has(slot),
            Goal::Free | Goal::Nothing => false,
        }
    }
}

impl<const W: usize> Config<W> {
    /// Forgets the goal's slot, which is about to be reused.
    pub(super) fn settle(&mut self, goal: Goal) {
        match goal {
            Goal::Pure(slot) => self.seen.clear(slot),
            Goal::Write(slot) => {
                self.placed.clear(slot);
                self.absorbable.clear(slot);
            }
            Goal::Free | Goal::Nothing => {}
        }
        self.unseen_write = false;
    }
}

/// The configurations that one return's exploration has met, in the order it met them.
#[derive(Debug)]
pub(super) struct Explored<const W: usize> {
    pub(super) queue: Vec<Config<W>>,
    index: HashTable<u32>,
}

impl<const W: usize> Default for Explored<W> {
    fn default() -> Explored<W> {
        Explored { queue: vec![], index: HashTable::new() }
    }
}

impl<const W: usize> Explored<W> {
    pub(super) fn clear(&mut self) {
        // A table that one return made huge must not slow down the clearing at every later one.
        const KEEP: usize = 1 << 12;
        self.queue.clear();
        if self.index.capacity() > KEEP {
            (self.queue, self.index) = (vec![], HashTable::new());
        }
        self.index.clear();
    }

    pub(super) fn insert(&mut self, config: Config<W>) {
        let hash = fast_hash(&config.identity());
        let queue = &self.queue;
        if self.index.find(hash, |&i| queue[i as usize].identity() == config.identity()).is_some() {
            return;
        }
        let at = queue.len() as u32;
        self.index.insert_unique(hash, at, |&i| fast_hash(&queue[i as usize].identity()));
        self.queue.push(config);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.queue.capacity() * size_of::<Config<W>>() + self.index.capacity() * 5
    }
}

/// Configurations none of which dominates another (rule 4).
#[derive(Debug)]
pub(super) struct Front<const W: usize> {
    pub(super) members: Vec<Config<W>>,
    /// Next member with the same key, and whether this one is still in.
    links: Vec<(u32, bool)>,
    heads: HashTable<u32>,
}

pub(super) const END: u32 = u32::MAX;

impl<const W: usize> Default for Front<W> {
    fn default() -> Front<W> {
        Front { members: vec![], links: vec![], heads: HashTable::new() }
    }
}

impl<const W: usize> Front<W> {
    pub(super) fn clear(&mut self) {
        const KEEP: usize = 1 << 12;
        if self.heads.capacity() > KEEP {
            *self = Front::default();
        }
        self.members.clear();
        self.links.clear();
        self.heads.clear();
    }

    pub(super) fn insert(&mut self, config: Config<W>, used: &Multisets) {
        let hash = config.key_hash();
        let key = config.key();
        let at = self.members.len() as u32;
        let Some(head) = self.heads.find_mut(hash, |&head| self.members[head as usize].key() == key) else {
            self.members.push(config);
            self.links.push((END, true));
            let members = &self.members;
            self.heads.insert_unique(hash, at, |&head| members[head as usize].key_hash());
            return;
        };
        let mut member = *head;
        while member != END {
            let i = member as usize;
            if self.links[i].1 {
                if dominates(&self.members[i], &config, used) {
                    return;
                }
                if dominates(&config, &self.members[i], used) {
                    self.links[i].1 = false;
                }
            }
            member = self.links[i].0;
        }
        self.links.push((*head, true));
        self.members.push(config);
        *head = at;
    }

    pub(super) fn take_into(&mut self, out: &mut Vec<Config<W>>) {
        out.clear();
        out.extend(self.members.iter().zip(&self.links).filter(|(_, link)| link.1).map(|(c, _)| *c));
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.members.capacity() * size_of::<Config<W>>()
            + self.links.capacity() * 8
            + self.heads.capacity() * 5
    }
}

/// True if whatever `b` can still explain, `a` can too. Their keys are equal.
fn dominates<const W: usize>(a: &Config<W>, b: &Config<W>, used: &Multisets) -> bool {
    a.seen.contains_all(&b.seen) && a.absorbable.contains_all(&b.absorbable) && used.is_subset(a.used, b.used)
}
