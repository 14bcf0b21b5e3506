//! Read atomic: all or nothing of every transaction; and its half, read your writes.

use super::base::{Base, NO_NODE, Node};
use super::order::Edges;
use super::{Patience, Stop};
use crate::linearizability::budget::Budget;
use crate::transaction::KeyId;

/// Of the session's own earlier writes of a key, the last one is enough: the others come before it.
pub(super) fn read_your_writes(base: &Base, budget: &Budget) -> Result<Edges, Stop> {
    let mut edges = Edges::default();
    let mut latest = Latest::new(base);
    let mut patience = Patience::new(budget);
    for node in 0..base.len() as Node {
        latest.demand(node, &mut edges)?;
        patience.step(|| base.heap_bytes() + edges.heap_bytes())?;
    }
    Ok(edges)
}

pub(super) fn read_atomic(base: &Base, budget: &Budget) -> Result<Edges, Stop> {
    let mut edges = Edges::default();
    let mut latest = Latest::new(base);
    let mut whole = Whole {
        base,
        found: vec![Found { reader: NO_NODE, writer: NO_NODE, at: 0 }; base.keys()],
        keys: vec![],
        seen_by: vec![NO_NODE; base.len()],
    };
    let mut patience = Patience::new(budget);
    for node in 0..base.len() as Node {
        whole.repeatable(node)?;
        latest.demand(node, &mut edges)?;
        whole.demand(node, &mut edges)?;
        patience.step(|| base.heap_bytes() + edges.heap_bytes())?;
    }
    Ok(edges)
}

/// The latest writer of each key in the session that is gone through.
struct Latest<'b> {
    base: &'b Base,
    /// By key. Nodes of earlier sessions have lower numbers than the session's first.
    writers: Vec<Node>,
}

impl<'b> Latest<'b> {
    fn new(base: &'b Base) -> Latest<'b> {
        Latest { base, writers: vec![NO_NODE; base.keys()] }
    }

    /// Nodes must come in order.
    fn demand(&mut self, node: Node, edges: &mut Edges) -> Result<(), Stop> {
        for read in self.base.reads(node) {
            let latest = self.writers[read.key as usize];
            if latest == NO_NODE || latest == read.writer || !self.base.in_session(latest, node) {
                continue;
            }
            if read.writer == NO_NODE {
                return Err(Stop::Initial { writer: latest, key: read.key });
            }
            edges.add(latest, read.writer);
        }
        for key in self.base.writes(node) {
            self.writers[*key as usize] = node;
        }
        Ok(())
    }
}

/// What one transaction read.
struct Whole<'b> {
    base: &'b Base,
    /// By key: what was found there, and by whom; what other readers found is void.
    found: Vec<Found>,
    /// The keys that the node read, each once.
    keys: Vec<KeyId>,
    /// By node: the last one that read it.
    seen_by: Vec<Node>,
}

#[derive(Clone, Copy)]
struct Found {
    reader: Node,
    writer: Node,
    at: u32,
}

impl Whole<'_> {
    /// Notes what the node read of each key, which must be one transaction's.
    fn repeatable(&mut self, node: Node) -> Result<(), Stop> {
        self.keys.clear();
        for (at, read) in self.base.reads(node).iter().enumerate() {
            let found = &mut self.found[read.key as usize];
            if found.reader != node {
                *found = Found { reader: node, writer: read.writer, at: at as u32 };
                self.keys.push(read.key);
            } else if found.writer != read.writer {
                return Err(Stop::Twice { reader: node, first: found.at as usize, second: at });
            }
        }
        Ok(())
    }

    /// Of each t2 that was read, and each key that it wrote and the node read: an edge to whom was found
    /// there. The smaller of the two sets of keys is gone through, which makes it O(n^1.5) in all.
    fn demand(&mut self, node: Node, edges: &mut Edges) -> Result<(), Stop> {
        for read in self.base.reads(node) {
            let seen = read.writer;
            if seen == NO_NODE || std::mem::replace(&mut self.seen_by[seen as usize], node) == node {
                continue;
            }
            let written = self.base.writes(seen);
            if written.len() <= 8 * self.keys.len() {
                for &key in written {
                    self.found(node, seen, key, edges)?;
                }
            } else {
                for &key in &self.keys {
                    if self.base.has_written(seen, key) {
                        self.found(node, seen, key, edges)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn found(&self, node: Node, seen: Node, key: KeyId, edges: &mut Edges) -> Result<(), Stop> {
        let found = self.found[key as usize];
        if found.reader != node || found.writer == seen {
            return Ok(());
        }
        if found.writer == NO_NODE {
            return Err(Stop::Initial { writer: seen, key });
        }
        edges.add(seen, found.writer);
        Ok(())
    }
}
