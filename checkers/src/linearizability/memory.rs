//! Configurations that a depth-first search has met, so that none is entered twice.
//!
//! Entries of any length lie one after the other in one vector; the table holds where each begins
//! and its hash. Equality is exact, whatever the hash.

use hashbrown::HashTable;

/// A set of sequences of words.
pub(crate) struct Memory<T> {
    words: Vec<T>,
    /// Offset and hash of each entry.
    index: HashTable<(usize, u64)>,
}

impl<T> Default for Memory<T> {
    fn default() -> Memory<T> {
        Memory { words: vec![], index: HashTable::new() }
    }
}

impl<T: Copy + Eq> Memory<T> {
    /// True if the entry, `head` followed by `tail`, was not there. Entries with equal heads must
    /// have tails of equal length.
    pub(crate) fn insert<const N: usize>(&mut self, hash: u64, head: [T; N], tail: &[T]) -> bool {
        let words = &self.words;
        let same = |&(at, _): &(usize, u64)| {
            words[at..at + N] == head && words[at + N..at + N + tail.len()] == *tail
        };
        if self.index.find(hash, same).is_some() {
            return false;
        }
        let at = self.words.len();
        self.words.extend(head);
        self.words.extend_from_slice(tail);
        self.index.insert_unique(hash, (at, hash), |entry| entry.1);
        true
    }

    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.words.capacity() * size_of::<T>() + self.index.capacity() * (size_of::<(usize, u64)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // All hashes are equal, so that only the words can tell entries apart.
    #[test]
    fn entries_are_told_apart_by_their_words() {
        let mut memory = Memory::default();
        assert!(memory.insert(0, [1u32, 2], &[3, 4]));
        assert!(memory.insert(0, [2, 1], &[3]));
        assert!(memory.insert(0, [1, 2], &[3, 5]));
        assert!(!memory.insert(0, [1, 2], &[3, 4]));
        assert!(!memory.insert(0, [2, 1], &[3]));
        assert_eq!(memory.len(), 3);
    }
}
