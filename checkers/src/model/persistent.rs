//! Containers for states: cheap to clone, to hash and (nearly always) to compare.
//!
//! Engines keep many states that differ in one element, so a state shares what it can with the
//! state it was stepped from. Each container carries the hash of its content along: a step costs
//! O(log n) at most, hashing O(1). Equality is always decided by content; the hashes only let
//! unequal states be told apart early.

use crate::value::{FastBuild, Value, fast_hash};
use hashbrown::HashSet;
use rpds::{QueueSync, RedBlackTreeMapSync};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A sequence that grows and shrinks at its end: a text by pieces, a stack, a log.
///
/// Two sequences that were made by the same steps from the same ancestor are compared in O(1),
/// others in O(length).
#[derive(Clone)]
pub struct Chain<T>(Option<Arc<Node<T>>>);

struct Node<T> {
    parent: Chain<T>,
    /// Never empty.
    piece: Arc<[T]>,
    hash: u64,
    len: usize,
}

impl<T: Copy + Eq + Hash> Chain<T> {
    /// The empty sequence.
    pub fn empty() -> Chain<T> {
        Chain(None)
    }

    /// A sequence of one piece, in O(its length).
    pub fn from_piece(piece: &[T]) -> Chain<T> {
        Chain::empty().push(piece.into())
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |node| node.len)
    }

    /// True if there is no element.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// This sequence followed by `piece`.
    pub fn push(&self, piece: Arc<[T]>) -> Chain<T> {
        if piece.is_empty() {
            return self.clone();
        }
        let hash = piece.iter().fold(self.fingerprint(), |hash, element| append_hash(hash, element));
        let len = self.len() + piece.len();
        Chain(Some(Arc::new(Node { parent: self.clone(), piece, hash, len })))
    }

    /// This sequence followed by `other`, whose pieces are shared.
    pub fn concat(&self, other: &Chain<T>) -> Chain<T> {
        if self.is_empty() {
            return other.clone();
        }
        let mut sum = self.clone();
        for piece in other.pieces() {
            sum = sum.push(Arc::clone(piece));
        }
        sum
    }

    /// The last element, and the sequence before it.
    pub fn pop(&self) -> Option<(T, Chain<T>)> {
        let node = self.0.as_ref()?;
        let (&last, rest) = node.piece.split_last().expect("no piece is empty");
        Some((last, if rest.is_empty() { node.parent.clone() } else { node.parent.push(rest.into()) }))
    }

    /// All elements, first to last.
    pub fn to_vec(&self) -> Vec<T> {
        self.pieces().into_iter().flat_map(|piece| piece.iter().copied()).collect()
    }

    /// Bytes of the last piece, which is what this sequence does not share with its ancestors.
    pub fn own_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |node| size_of::<Node<T>>() + 32 + node.piece.len() * size_of::<T>())
    }

    /// The fingerprints of all beginnings of this sequence but the empty one, shortest first.
    pub fn beginnings(&self) -> Vec<u64> {
        let mut hash = 0;
        let elements = self.to_vec();
        elements
            .iter()
            .map(|element| {
                hash = append_hash(hash, element);
                hash
            })
            .collect()
    }

    /// Equal for equal sequences; the last of [`Chain::beginnings`], if there is any.
    pub fn fingerprint(&self) -> u64 {
        self.0.as_ref().map_or(0, |node| node.hash)
    }

    fn pieces(&self) -> Vec<&Arc<[T]>> {
        let mut pieces = Vec::new();
        let mut at = self;
        while let Some(node) = &at.0 {
            pieces.push(&node.piece);
            at = &node.parent;
        }
        pieces.reverse();
        pieces
    }
}

/// The beginnings of sequences that some operation of a history returned, by fingerprint: what a
/// search should make for. Only a hint, so that fingerprints may collide.
#[derive(Clone, Debug, Default)]
pub struct Glimpses(Option<Arc<HashSet<u64, FastBuild>>>);

impl Glimpses {
    /// Beginnings kept, at most; past it there is no hint.
    const COUNT_MAX: usize = 1 << 22;

    /// From the values that operations returned; `beginnings` tells their fingerprints.
    pub fn of(seen: impl Iterator<Item = Value>, beginnings: impl Fn(Value) -> Vec<u64>) -> Glimpses {
        let mut handles: HashSet<Value, FastBuild> = HashSet::default();
        let mut glimpses = HashSet::default();
        for value in seen {
            if handles.insert(value) {
                glimpses.extend(beginnings(value));
            }
            if glimpses.len() > Self::COUNT_MAX {
                return Glimpses(None);
            }
        }
        Glimpses(Some(Arc::new(glimpses)))
    }

    /// False if no operation returned a sequence that begins like this one.
    pub fn show<T: Copy + Eq + Hash>(&self, sequence: &Chain<T>) -> bool {
        sequence.is_empty() || self.show_hash(sequence.fingerprint())
    }

    /// The same of anything else that went into `beginnings` by its fingerprint.
    pub fn show_hash(&self, fingerprint: u64) -> bool {
        self.0.as_ref().is_none_or(|known| known.contains(&fingerprint))
    }
}

/// Long chains are freed in a loop: the derived drop would recurse once per node.
impl<T> Drop for Node<T> {
    fn drop(&mut self) {
        let mut next = self.parent.0.take();
        while let Some(node) = next {
            next = Arc::into_inner(node).and_then(|mut node| node.parent.0.take());
        }
    }
}

impl<T: Copy + Eq + Hash> PartialEq for Chain<T> {
    fn eq(&self, other: &Chain<T>) -> bool {
        if self.len() != other.len() || self.fingerprint() != other.fingerprint() {
            return false;
        }
        let (mut left, mut right) = (&self.0, &other.0);
        let (mut left_used, mut right_used) = (0, 0);
        while let (Some(a), Some(b)) = (left, right) {
            if Arc::ptr_eq(a, b) && left_used == right_used {
                return true;
            }
            let (a_rest, b_rest) =
                (&a.piece[..a.piece.len() - left_used], &b.piece[..b.piece.len() - right_used]);
            let common = a_rest.len().min(b_rest.len());
            if a_rest[a_rest.len() - common..] != b_rest[b_rest.len() - common..] {
                return false;
            }
            (left_used, right_used) = (left_used + common, right_used + common);
            if left_used == a.piece.len() {
                (left, left_used) = (&a.parent.0, 0);
            }
            if right_used == b.piece.len() {
                (right, right_used) = (&b.parent.0, 0);
            }
        }
        left.is_none() && right.is_none()
    }
}

impl<T: Copy + Eq + Hash> Eq for Chain<T> {}

impl<T: Copy + Eq + Hash> Hash for Chain<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_usize(self.len());
        hasher.write_u64(self.fingerprint());
    }
}

impl<T: Copy + Eq + Hash + std::fmt::Debug> std::fmt::Debug for Chain<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.to_vec()).finish()
    }
}

/// First in, first out.
#[derive(Clone)]
pub struct Fifo {
    items: QueueSync<Value>,
    hash: u64,
}

impl Fifo {
    /// The empty queue.
    pub fn empty() -> Fifo {
        Fifo { items: QueueSync::new_sync(), hash: 0 }
    }

    /// The oldest element.
    pub fn front(&self) -> Option<Value> {
        self.items.peek().copied()
    }

    /// With `value` as its newest element.
    pub fn push(&self, value: Value) -> Fifo {
        Fifo { items: self.items.enqueue(value), hash: append_hash(self.hash, &value) }
    }

    /// Without its oldest element.
    pub fn pop(&self) -> Option<Fifo> {
        let front = self.front()?;
        let items = self.items.dequeue()?;
        let gone = multiply(element_hash(&front), power(items.len()));
        Some(Fifo { items, hash: add(self.hash, PRIME - gone) })
    }

    /// True if there is no element.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        self.items.iter().copied()
    }
}

impl PartialEq for Fifo {
    fn eq(&self, other: &Fifo) -> bool {
        self.hash == other.hash && self.items.len() == other.items.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Fifo {}

impl Hash for Fifo {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_usize(self.items.len());
        hasher.write_u64(self.hash);
    }
}

impl std::fmt::Debug for Fifo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A sorted map: registers by key, a multiset by counts, a set.
#[derive(Clone)]
pub struct Map<K: Ord, V> {
    entries: RedBlackTreeMapSync<K, V>,
    hash: u64,
}

impl<K: Ord + Clone + Hash, V: Clone + Eq + Hash> Map<K, V> {
    /// The empty map.
    pub fn empty() -> Map<K, V> {
        Map { entries: RedBlackTreeMapSync::new_sync(), hash: 0 }
    }

    /// What `key` maps to.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// With `key` mapped to `value`; `None` takes the key out.
    pub fn with(&self, key: K, value: Option<V>) -> Map<K, V> {
        let mut hash = self.hash;
        if let Some(old) = self.entries.get(&key) {
            hash = hash.wrapping_sub(entry_hash(&key, old));
        }
        let entries = match value {
            Some(value) => {
                hash = hash.wrapping_add(entry_hash(&key, &value));
                self.entries.insert(key, value)
            }
            None => self.entries.remove(&key),
        };
        Map { entries, hash }
    }

    /// Equal for equal maps, whatever made them: the wrapping sum of each [`entry_hash`].
    pub(super) fn content_hash(&self) -> u64 {
        self.hash
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries.size()
    }

    /// True if no key is mapped.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// By key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    /// The entry with the greatest key.
    pub fn last(&self) -> Option<(&K, &V)> {
        self.entries.last()
    }

    /// Bytes that a step from one map to the next allocates, about: one path of the tree.
    pub fn own_bytes(&self) -> usize {
        (usize::BITS - self.len().leading_zeros()) as usize * (size_of::<(K, V)>() + 48)
    }
}

/// What one entry adds to the hash of its map.
pub(super) fn entry_hash<K: Hash, V: Hash>(key: &K, value: &V) -> u64 {
    fast_hash(&(key, value))
}

impl<K: Ord + Clone + Hash> Map<K, u32> {
    /// A multiset with one more `key`.
    pub fn insert_one(&self, key: K) -> Map<K, u32> {
        let count = self.get(&key).map_or(0, |count| *count);
        self.with(key, Some(count + 1))
    }

    /// A multiset with one `key` less; `None` if there is none.
    pub fn remove_one(&self, key: K) -> Option<Map<K, u32>> {
        let count = *self.get(&key)?;
        Some(self.with(key, (count > 1).then(|| count - 1)))
    }
}

impl<K: Ord + Clone + Hash, V: Clone + Eq + Hash> PartialEq for Map<K, V> {
    fn eq(&self, other: &Map<K, V>) -> bool {
        self.hash == other.hash && self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone + Hash, V: Clone + Eq + Hash> Eq for Map<K, V> {}

impl<K: Ord + Clone + Hash, V: Clone + Eq + Hash> Hash for Map<K, V> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_usize(self.len());
        hasher.write_u64(self.hash);
    }
}

impl<K: Ord + std::fmt::Debug, V: std::fmt::Debug> std::fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.entries.iter()).finish()
    }
}

// Polynomial hashing modulo the Mersenne prime 2^61 - 1: `h(xy) = h(x) * BASE^|y| + h(y)`, so that a
// sequence has one hash however it was put together.
const PRIME: u64 = (1 << 61) - 1;
const BASE: u64 = 0x1234_5678_9ABC_DEF1;

fn append_hash<T: Hash>(hash: u64, element: &T) -> u64 {
    add(multiply(hash, BASE), element_hash(element))
}

fn element_hash<T: Hash>(element: &T) -> u64 {
    fast_hash(element) % PRIME
}

fn add(a: u64, b: u64) -> u64 {
    (a + b) % PRIME
}

fn multiply(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    add((wide as u64) & PRIME, (wide >> 61) as u64)
}

/// `BASE` to the `exponent`.
fn power(mut exponent: usize) -> u64 {
    let (mut square, mut product) = (BASE, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            product = multiply(product, square);
        }
        square = multiply(square, square);
        exponent >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, VecDeque};

    proptest! {
        // Pieces are short and letters few, so that equal texts made of different pieces are common.
        #[test]
        fn a_chain_equals_another_exactly_when_its_text_does(
            pieces in prop::collection::vec("[ab]{0,2}", 0..5),
            others in prop::collection::vec("[ab]{0,2}", 0..5),
        ) {
            let chain = |pieces: &[String]| {
                pieces.iter().fold(Chain::empty(), |chain, piece| chain.push(piece.as_bytes().into()))
            };
            let (a, b) = (chain(&pieces), chain(&others));
            prop_assert_eq!(a == b, pieces.concat() == others.concat());
            prop_assert_eq!(a.to_vec(), pieces.concat().into_bytes());
            prop_assert_eq!(&a, &Chain::from_piece(pieces.concat().as_bytes()));
            prop_assert_eq!(fast_hash(&a), fast_hash(&Chain::from_piece(pieces.concat().as_bytes())));
            let both = [pieces.concat(), others.concat()].concat();
            prop_assert_eq!(a.concat(&b), Chain::from_piece(both.as_bytes()));
            let popped = a.pop().map(|(last, rest)| { let mut v = rest.to_vec(); v.push(last); v });
            prop_assert_eq!(popped, (!a.is_empty()).then(|| a.to_vec()));
        }

        #[test]
        fn a_queue_equals_another_exactly_when_its_elements_do(
            steps in prop::collection::vec((0..3i64, any::<bool>()), 0..30),
        ) {
            let (mut queue, mut plain) = (Fifo::empty(), VecDeque::new());
            for (element, push) in steps {
                let value = Value::small_int(element).unwrap();
                if push {
                    queue = queue.push(value);
                    plain.push_back(value);
                } else {
                    prop_assert_eq!(queue.front(), plain.pop_front());
                    queue = queue.pop().unwrap_or(queue);
                }
                let rebuilt = plain.iter().fold(Fifo::empty(), |queue, &value| queue.push(value));
                prop_assert_eq!(&queue, &rebuilt);
                prop_assert_eq!(fast_hash(&queue), fast_hash(&rebuilt));
                prop_assert!(queue != rebuilt.push(value));
            }
        }

        #[test]
        fn a_map_equals_another_exactly_when_its_entries_do(
            steps in prop::collection::vec((0..4u8, prop::option::of(1..4u32)), 0..30),
        ) {
            let (mut map, mut plain) = (Map::empty(), BTreeMap::new());
            for (key, value) in steps {
                map = map.with(key, value);
                match value {
                    Some(value) => plain.insert(key, value),
                    None => plain.remove(&key),
                };
                let rebuilt = plain.iter().rev().fold(Map::empty(), |map, (k, v)| map.with(*k, Some(*v)));
                prop_assert_eq!(&map, &rebuilt);
                prop_assert_eq!(fast_hash(&map), fast_hash(&rebuilt));
                prop_assert!(map != rebuilt.insert_one(key));
                prop_assert_eq!(map.insert_one(key).remove_one(key).unwrap(), map.clone());
            }
        }
    }

    // A million nodes overflow the stack of a test thread if each drops its parent.
    #[test]
    fn a_long_chain_is_freed_without_recursion() {
        let mut chain = Chain::empty();
        for element in 0..1_000_000u32 {
            chain = chain.push([element].into());
        }
        assert_eq!(chain.len(), 1_000_000);
        drop(chain);
    }
}
