//! What has been seen stays seen: within a transaction (read committed) or a session (monotonic reads).
//!
//! Both ask the same of a sequence of reads: once t2 was read, every later read of a key that t2 wrote finds
//! t2 or what comes after it. For each t2 and key, an edge to the writer found by the first of those reads
//! that did not find t2 is enough: what later reads find comes after that, by the same rule applied to
//! that writer, or else there is a cycle.

use super::base::{Base, NO_NODE, Node, Read};
use super::order::Edges;
use super::{Patience, Stop};
use crate::linearizability::budget::Budget;
use crate::transaction::KeyId;

pub(super) fn read_committed(base: &Base, budget: &Budget) -> Result<Edges, Stop> {
    let mut scan = Scan::new(base);
    let mut patience = Patience::new(budget);
    for node in 0..base.len() as Node {
        scan.sequence(base.reads(node))?;
        patience.step(|| base.heap_bytes() + scan.edges.heap_bytes())?;
    }
    Ok(scan.edges)
}

pub(super) fn monotonic_reads(base: &Base, budget: &Budget) -> Result<Edges, Stop> {
    let mut scan = Scan::new(base);
    let mut patience = Patience::new(budget);
    for session in 0..base.sessions() as u32 {
        scan.sequence(base.reads_of_session(session))?;
        patience.step(|| base.heap_bytes() + scan.edges.heap_bytes())?;
    }
    Ok(scan.edges)
}

struct Scan<'b> {
    base: &'b Base,
    edges: Edges,
    /// Number of the sequence; what the tables say of an earlier one is void.
    round: u32,
    /// By key: whom the next read of it finds, and the next one that finds somebody else.
    later: Vec<Later>,
    /// By node: the last sequence that read it.
    seen_in: Vec<u32>,
    /// By read of the sequence: whether its writer had not been read before.
    is_first: Vec<bool>,
    /// Keys of the reads passed so far.
    keys: Vec<KeyId>,
}

#[derive(Clone, Copy, Default)]
struct Later {
    round: u32,
    next: Node,
    /// The same as `next` if there is no other.
    other: Node,
}

impl<'b> Scan<'b> {
    fn new(base: &'b Base) -> Scan<'b> {
        Scan {
            base,
            edges: Edges::default(),
            round: 0,
            later: vec![Later::default(); base.keys()],
            seen_in: vec![0; base.len()],
            is_first: vec![],
            keys: vec![],
        }
    }

    /// Goes through the reads from the last to the first. O(m^1.5) for sequences of m reads and writes of
    /// what they read in all, since the smaller of two sets of keys is gone through.
    fn sequence(&mut self, reads: &[Read]) -> Result<(), Stop> {
        if reads.len() < 2 {
            return Ok(());
        }
        self.round += 1;
        self.keys.clear();
        self.is_first.clear();
        for read in reads {
            let is_first = read.writer != NO_NODE
                && std::mem::replace(&mut self.seen_in[read.writer as usize], self.round) != self.round;
            self.is_first.push(is_first);
        }
        for at in (0..reads.len()).rev() {
            let Read { key, writer, .. } = reads[at];
            if self.is_first[at] {
                let written = self.base.writes(writer);
                if written.len() <= 8 * self.keys.len() {
                    for &key in written {
                        self.demand(writer, key)?;
                    }
                } else {
                    for i in 0..self.keys.len() {
                        if self.base.has_written(writer, self.keys[i]) {
                            self.demand(writer, self.keys[i])?;
                        }
                    }
                }
            }
            let later = &mut self.later[key as usize];
            if later.round != self.round {
                *later = Later { round: self.round, next: writer, other: writer };
                self.keys.push(key);
            } else if later.next != writer {
                *later = Later { round: self.round, next: writer, other: later.next };
            }
        }
        Ok(())
    }

    fn demand(&mut self, seen: Node, key: KeyId) -> Result<(), Stop> {
        let later = self.later[key as usize];
        if later.round != self.round {
            return Ok(());
        }
        match if later.next == seen { later.other } else { later.next } {
            NO_NODE => Err(Stop::Initial { writer: seen, key }),
            found => {
                if found != seen {
                    self.edges.add(seen, found);
                }
                Ok(())
            }
        }
    }
}
