//! How many crashed operations of each kind a search has used, as interned multisets.
//!
//! Crashed operations with equal actions are interchangeable, so a configuration needs to know how
//! many it has used and not which: 2^crashes sets become a product of small counts.

use crate::value::{FastBuild, fast_hash};
use hashbrown::{HashMap, HashTable};

/// Number of an interned multiset; [`Multisets::EMPTY`] is the empty one.
pub(crate) type MultisetId = u32;

/// Interns multisets of classes (numbered actions).
pub(crate) struct Multisets {
    /// Sorted (class, count) pairs, counts positive.
    sets: Vec<Box<[(u32, u32)]>>,
    index: HashTable<u32>,
    added: HashMap<(MultisetId, u32), MultisetId, FastBuild>,
    pairs: usize,
}

impl Multisets {
    pub(crate) const EMPTY: MultisetId = 0;

    pub(crate) fn new() -> Multisets {
        let mut sets =
            Multisets { sets: vec![], index: HashTable::new(), added: HashMap::default(), pairs: 0 };
        sets.intern(Box::new([]));
        sets
    }

    /// How many of `class` are in the multiset.
    pub(crate) fn count(&self, id: MultisetId, class: u32) -> u32 {
        if id == Self::EMPTY {
            return 0;
        }
        let set = &self.sets[id as usize];
        set.binary_search_by_key(&class, |pair| pair.0).map_or(0, |at| set[at].1)
    }

    /// The multiset with one more of `class`.
    pub(crate) fn add(&mut self, id: MultisetId, class: u32) -> MultisetId {
        if let Some(&known) = self.added.get(&(id, class)) {
            return known;
        }
        let mut set = self.sets[id as usize].to_vec();
        match set.binary_search_by_key(&class, |pair| pair.0) {
            Ok(at) => set[at].1 += 1,
            Err(at) => set.insert(at, (class, 1)),
        }
        let sum = self.intern(set.into_boxed_slice());
        self.added.insert((id, class), sum);
        sum
    }

    /// True if every class occurs in `a` at most as often as in `b`.
    pub(crate) fn is_subset(&self, a: MultisetId, b: MultisetId) -> bool {
        if a == b || a == Self::EMPTY {
            return true;
        }
        let (small, large) = (&self.sets[a as usize], &self.sets[b as usize]);
        let mut rest = large.iter();
        small.len() <= large.len()
            && small.iter().all(|(class, count)| rest.any(|(c, n)| c == class && n >= count))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.pairs * 8 + self.sets.capacity() * 16 + self.index.capacity() * 5 + self.added.capacity() * 13
    }

    fn intern(&mut self, set: Box<[(u32, u32)]>) -> MultisetId {
        let hash = fast_hash(&set);
        if let Some(&id) = self.index.find(hash, |&id| self.sets[id as usize] == set) {
            return id;
        }
        let id = self.sets.len() as u32;
        self.pairs += set.len();
        self.sets.push(set);
        let sets = &self.sets;
        self.index.insert_unique(hash, id, |&id| fast_hash(&sets[id as usize]));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_order_of_adding_does_not_matter() {
        let mut sets = Multisets::new();
        let a = sets.add(Multisets::EMPTY, 7);
        let ab = sets.add(a, 3);
        let b = sets.add(Multisets::EMPTY, 3);
        assert_eq!(sets.add(b, 7), ab);
        let aab = sets.add(ab, 7);
        assert_eq!((sets.count(aab, 7), sets.count(aab, 3), sets.count(aab, 1)), (2, 1, 0));
        assert!(sets.is_subset(ab, aab) && !sets.is_subset(aab, ab) && sets.is_subset(Multisets::EMPTY, b));
        assert!(!sets.is_subset(a, b));
    }
}
