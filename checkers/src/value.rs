//! Values of a history: eight-byte handles into an arena that stores each distinct value once.
//!
//! Two handles of one [`Values`] are equal exactly when the values are, so engines compare and hash
//! a value, however large, as one integer. Small integers, booleans and nil live in the handle and
//! never touch the arena. Handles of different arenas must not be mixed; nothing but the arena can
//! tell what a handle means.

use hashbrown::HashTable;
use std::fmt::Write as _;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::ops::Range;

/// A handle to a value: nil, a boolean, an integer, or an entry of a [`Values`] arena.
///
/// The order of handles is total but arbitrary (integers inside the small range sort by value). The default is
/// nil.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(u64);

const TAG_BITS: u32 = 2;
const TAG_INT: u64 = 1;
const TAG_NODE: u64 = 2;
const TAG_MASK: u64 = 3;
const INT_BITS: u32 = 64 - TAG_BITS;
/// Flips the sign bit, so that small integers sort by value as unsigned words.
const INT_BIAS: i64 = 1 << (INT_BITS - 1);

impl Value {
    /// The value of an operation that has none: Jepsen's `nil`, JSON's `null`.
    pub const NIL: Value = Value(0);
    /// Boolean false.
    pub const FALSE: Value = Value(1 << TAG_BITS);
    /// Boolean true.
    pub const TRUE: Value = Value(2 << TAG_BITS);

    /// The handle of a boolean.
    pub const fn bool(value: bool) -> Value {
        if value { Value::TRUE } else { Value::FALSE }
    }

    /// The handle of an integer in `-2^61 .. 2^61`, which needs no arena; `None` outside it.
    pub const fn small_int(value: i64) -> Option<Value> {
        if value < -INT_BIAS || value >= INT_BIAS {
            return None;
        }
        Some(Value((((value + INT_BIAS) as u64) << TAG_BITS) | TAG_INT))
    }

    /// True for nil.
    pub const fn is_nil(self) -> bool {
        self.0 == Value::NIL.0
    }

    /// The integer in the handle itself; `None` for everything else, large integers included
    /// (see [`Values::int_of`]).
    pub const fn as_small_int(self) -> Option<i64> {
        if self.0 & TAG_MASK == TAG_INT { Some((self.0 >> TAG_BITS) as i64 - INT_BIAS) } else { None }
    }

    fn node(self) -> Option<usize> {
        (self.0 & TAG_MASK == TAG_NODE).then_some((self.0 >> TAG_BITS) as usize)
    }

    fn from_node(index: usize) -> Value {
        Value(((index as u64) << TAG_BITS) | TAG_NODE)
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Value::NIL => f.write_str("nil"),
            Value::FALSE => f.write_str("false"),
            Value::TRUE => f.write_str("true"),
            value => match value.as_small_int() {
                Some(int) => write!(f, "{int}"),
                None => write!(f, "#{}", value.0 >> TAG_BITS),
            },
        }
    }
}

/// What a handle stands for, borrowed from its arena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datum<'a> {
    /// No value.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// Any other number, as its text: `1.5`, `1/3`, `123456789012345678901`.
    Number(&'a str),
    /// A string.
    Str(&'a str),
    /// An EDN keyword, without its colon.
    Keyword(&'a str),
    /// An EDN symbol.
    Symbol(&'a str),
    /// An EDN vector or list, or a JSON array.
    List(&'a [Value]),
    /// A map: keys and values in turn, sorted by key handle.
    Map(&'a [Value]),
    /// A set: members sorted by handle, each once.
    Set(&'a [Value]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Number,
    Str,
    Keyword,
    Symbol,
    List,
    Map,
    Set,
}

impl Kind {
    const ALL: [Kind; 8] =
        [Kind::Int, Kind::Number, Kind::Str, Kind::Keyword, Kind::Symbol, Kind::List, Kind::Map, Kind::Set];
}

/// Sixteen bytes, for reading a history means to look at a node for every list in it.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Where the text or the children begin, above eight bits for the kind.
    start_and_kind: u64,
    len: u32,
}

impl Node {
    fn new(kind: Kind, start: usize, len: usize) -> Node {
        let len = u32::try_from(len).expect("readers refuse values of 4 GB");
        Node { start_and_kind: (start as u64) << 8 | kind as u64, len }
    }

    fn kind(self) -> Kind {
        Kind::ALL[(self.start_and_kind & 0xff) as usize]
    }

    fn range(self) -> Range<usize> {
        let start = (self.start_and_kind >> 8) as usize;
        start..start + self.len as usize
    }
}

/// The arena. Interning a value costs O(its own length), children not included.
#[derive(Clone, Debug, Default)]
pub struct Values {
    nodes: Vec<Node>,
    text: String,
    children: Vec<Value>,
    index: HashTable<Entry>,
}

/// A node in the index, with the hash of what it stands for: a table that grows must not touch the
/// nodes, which lie all over memory (it was half of the time to read a history).
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    node: u32,
}

/// The hash that a table works with, which looks at the highest and the lowest bits, from the half that is kept.
pub(crate) fn table_hash(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(MULTIPLIER)
}

impl Values {
    /// An empty arena.
    pub fn new() -> Values {
        Values::default()
    }

    /// Any integer.
    pub fn int(&mut self, value: i64) -> Value {
        Value::small_int(value).unwrap_or_else(|| self.intern_text(Kind::Int, &value.to_string()))
    }

    /// A number that does not fit [`i64`], by its text. A text that does fit becomes an integer, and
    /// what reads as a finite float is stored in one canonical spelling, so `1.50` equals `1.5`.
    pub fn number(&mut self, text: &str) -> Value {
        if let Ok(int) = text.parse::<i64>() {
            return self.int(int);
        }
        let digits_only = text.trim_start_matches(['-', '+']).bytes().all(|b| b.is_ascii_digit());
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() && !digits_only => {
                self.intern_text(Kind::Number, &format!("{float:?}"))
            }
            _ => self.intern_text(Kind::Number, text),
        }
    }

    /// A string.
    pub fn str(&mut self, text: &str) -> Value {
        self.intern_text(Kind::Str, text)
    }

    /// An EDN keyword; `name` comes without the colon.
    pub fn keyword(&mut self, name: &str) -> Value {
        self.intern_text(Kind::Keyword, name)
    }

    /// An EDN symbol.
    pub fn symbol(&mut self, name: &str) -> Value {
        self.intern_text(Kind::Symbol, name)
    }

    /// A list (EDN vector or list, JSON array).
    pub fn list(&mut self, members: &[Value]) -> Value {
        self.intern_children(Kind::List, members)
    }

    /// A set; members may repeat and come in any order.
    pub fn set(&mut self, members: &[Value]) -> Value {
        let mut sorted = members.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        self.intern_children(Kind::Set, &sorted)
    }

    /// A map; of pairs with equal keys the last one counts.
    pub fn map(&mut self, pairs: &[(Value, Value)]) -> Value {
        let mut sorted = pairs.to_vec();
        sorted.sort_by_key(|pair| pair.0);
        let mut flat: Vec<Value> = Vec::with_capacity(sorted.len() * 2);
        for (i, (key, value)) in sorted.iter().enumerate() {
            if sorted.get(i + 1).is_some_and(|next| next.0 == *key) {
                continue;
            }
            flat.extend([*key, *value]);
        }
        self.intern_children(Kind::Map, &flat)
    }

    /// What `value` stands for.
    ///
    /// # Panics
    /// If `value` comes from another, larger arena.
    pub fn get(&self, value: Value) -> Datum<'_> {
        let Some(index) = value.node() else {
            return match value {
                Value::NIL => Datum::Nil,
                Value::FALSE => Datum::Bool(false),
                Value::TRUE => Datum::Bool(true),
                int => Datum::Int(int.as_small_int().expect("a handle is nil, boolean, integer or node")),
            };
        };
        let node = self.nodes[index];
        match node.kind() {
            Kind::Int => Datum::Int(self.text_of(node).parse().expect("interned from an i64")),
            Kind::Number => Datum::Number(self.text_of(node)),
            Kind::Str => Datum::Str(self.text_of(node)),
            Kind::Keyword => Datum::Keyword(self.text_of(node)),
            Kind::Symbol => Datum::Symbol(self.text_of(node)),
            Kind::List => Datum::List(self.children_of(node)),
            Kind::Map => Datum::Map(self.children_of(node)),
            Kind::Set => Datum::Set(self.children_of(node)),
        }
    }

    /// The integer that `value` is, large ones included.
    pub fn int_of(&self, value: Value) -> Option<i64> {
        match value.as_small_int() {
            Some(int) => Some(int),
            None => match self.get(value) {
                Datum::Int(int) => Some(int),
                _ => None,
            },
        }
    }

    /// The text of a string, keyword or symbol.
    pub fn text(&self, value: Value) -> Option<&str> {
        match self.get(value) {
            Datum::Str(text) | Datum::Keyword(text) | Datum::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// The two members of a list of length two.
    pub fn pair(&self, value: Value) -> Option<(Value, Value)> {
        match self.get(value) {
            Datum::List(&[first, second]) => Some((first, second)),
            _ => None,
        }
    }

    /// `value` as EDN text, for people. Values deeper than 64 levels are cut with `…`.
    pub fn show(&self, value: Value) -> String {
        let mut out = String::new();
        self.show_into(value, 0, &mut out);
        out
    }

    /// Number of distinct values that live in the arena.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True if no value needed the arena.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Bytes the arena holds, for memory budgets.
    pub fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.text.capacity()
            + self.children.capacity() * size_of::<Value>()
            + self.index.capacity() * (size_of::<Entry>() + 1)
    }

    fn show_into(&self, value: Value, depth: usize, out: &mut String) {
        if depth > 64 {
            out.push('…');
            return;
        }
        let (open, close, members, separators) = match self.get(value) {
            Datum::Nil => return out.push_str("nil"),
            Datum::Bool(b) => return write!(out, "{b}").expect("writing to a String cannot fail"),
            Datum::Int(int) => return write!(out, "{int}").expect("writing to a String cannot fail"),
            Datum::Number(text) | Datum::Symbol(text) => return out.push_str(text),
            Datum::Str(text) => return write!(out, "{text:?}").expect("writing to a String cannot fail"),
            Datum::Keyword(text) => return write!(out, ":{text}").expect("writing to a String cannot fail"),
            Datum::List(members) => ("[", "]", members, [" ", " "]),
            Datum::Map(members) => ("{", "}", members, [" ", ", "]),
            Datum::Set(members) => ("#{", "}", members, [" ", " "]),
        };
        out.push_str(open);
        for (i, member) in members.iter().enumerate() {
            if i > 0 {
                out.push_str(separators[(i + 1) % 2]);
            }
            self.show_into(*member, depth + 1, out);
        }
        out.push_str(close);
    }

    fn text_of(&self, node: Node) -> &str {
        &self.text[node.range()]
    }

    fn children_of(&self, node: Node) -> &[Value] {
        &self.children[node.range()]
    }

    fn intern_text(&mut self, kind: Kind, text: &str) -> Value {
        let hash = hash_text(kind, text.as_bytes());
        let found = self.index.find(table_hash(hash), |entry| {
            let node = self.nodes[entry.node as usize];
            entry.hash == hash && node.kind() == kind && self.text_of(node) == text
        });
        if let Some(entry) = found {
            return Value::from_node(entry.node as usize);
        }
        let start = self.text.len();
        self.text.push_str(text);
        self.insert(hash, Node::new(kind, start, text.len()))
    }

    fn intern_children(&mut self, kind: Kind, members: &[Value]) -> Value {
        let hash = hash_children(kind, members);
        let found = self.index.find(table_hash(hash), |entry| {
            let node = self.nodes[entry.node as usize];
            entry.hash == hash && node.kind() == kind && self.children_of(node) == members
        });
        if let Some(entry) = found {
            return Value::from_node(entry.node as usize);
        }
        let start = self.children.len();
        self.children.extend_from_slice(members);
        self.insert(hash, Node::new(kind, start, members.len()))
    }

    fn insert(&mut self, hash: u32, node: Node) -> Value {
        let index = u32::try_from(self.nodes.len()).expect("fewer than 2^32 distinct values");
        self.nodes.push(node);
        let entry = Entry { hash, node: index };
        self.index.insert_unique(table_hash(hash), entry, |entry| table_hash(entry.hash));
        Value::from_node(index as usize)
    }
}

fn hash_text(kind: Kind, text: &[u8]) -> u32 {
    let mut hasher = FastHasher::default();
    hasher.write_u64(kind as u64);
    hasher.write(text);
    (hasher.finish() >> 32) as u32
}

fn hash_children(kind: Kind, members: &[Value]) -> u32 {
    let mut hasher = FastHasher::default();
    hasher.write_u64(kind as u64 ^ ((members.len() as u64) << 8));
    for member in members {
        hasher.write_u64(member.0);
    }
    (hasher.finish() >> 32) as u32
}

/// Multiply-and-fold hashing with a fixed seed: the same in every run, as replay demands. It does
/// not resist an adversary who picks keys; tables that it feeds are bounded by memory budgets.
#[derive(Clone, Copy, Default)]
pub(crate) struct FastHasher(u64);

/// `BuildHasher` of [`FastHasher`].
pub(crate) type FastBuild = BuildHasherDefault<FastHasher>;

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        let wide = u128::from(self.0 ^ 0x2545_F491_4F6C_DD1D) * u128::from(MULTIPLIER);
        (wide as u64) ^ ((wide >> 64) as u64)
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.write_u64(u64::from_le_bytes(chunk.try_into().expect("chunks of 8")));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(last) ^ ((rest.len() as u64) << 56));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        let wide = u128::from(self.0.rotate_left(23) ^ word) * u128::from(MULTIPLIER);
        self.0 = (wide as u64) ^ ((wide >> 64) as u64);
    }
}

/// One 64-bit hash of anything hashable, the same in every run.
pub(crate) fn fast_hash<T: std::hash::Hash + ?Sized>(value: &T) -> u64 {
    FastBuild::default().hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_handles() {
        let mut values = Values::new();
        let one = values.int(1);
        let (a, b) = (values.list(&[one, Value::NIL]), values.list(&[one, Value::NIL]));
        assert_eq!(a, b);
        assert_ne!(a, values.set(&[one, Value::NIL]));
        assert_ne!(values.str("x"), values.keyword("x"));
        assert_eq!(values.number("1.50"), values.number("1.5"));
        assert_eq!(values.number("7"), values.int(7));
    }

    #[test]
    fn integers_keep_their_value_at_every_edge() {
        let mut values = Values::new();
        for int in [0, 1, -1, i64::MAX, i64::MIN, INT_BIAS, INT_BIAS - 1, -INT_BIAS, -INT_BIAS - 1] {
            let handle = values.int(int);
            assert_eq!(values.int_of(handle), Some(int));
            assert_eq!(values.get(handle), Datum::Int(int));
        }
    }

    #[test]
    fn maps_take_the_last_of_equal_keys_and_sets_drop_repeats() {
        let mut values = Values::new();
        let (k, one, two) = (values.keyword("k"), values.int(1), values.int(2));
        let map = values.map(&[(k, one), (k, two)]);
        assert_eq!(values.show(map), "{:k 2}");
        let set = values.set(&[two, one, two]);
        assert_eq!(values.show(set), "#{1 2}");
    }
}
