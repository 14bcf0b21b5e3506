//! Causal consistency: for each version that was read, an edge from the last writer of the key in each
//! session that was in the causal past of a reader.

use super::Stop;
use super::base::{Base, NO_NODE, Node};
use super::clocks::{self, Listener, Told, Visible, sweep};
use super::order::Edges;
use crate::linearizability::budget::Budget;
use crate::transaction::KeyId;
use std::ops::Range;

/// `order` is an order of the nodes along `so` and `wr`.
pub(super) fn causal(base: &Base, order: &[Node], budget: &Budget) -> Result<Edges, Stop> {
    match clocks::width(base, budget) {
        0..16 => causal_by::<8>(base, order, budget),
        16..32 => causal_by::<16>(base, order, budget),
        32..64 => causal_by::<32>(base, order, budget),
        64.. => causal_by::<64>(base, order, budget),
    }
}

fn causal_by<const W: usize>(base: &Base, order: &[Node], budget: &Budget) -> Result<Edges, Stop> {
    let mut edges = Edges::default();
    for block in clocks::blocks(base, W) {
        let writers = Writers::of(base, &block);
        let mut drawer = Drawer { base, first_session: block.start, writers, edges };
        sweep::<W>(base, order, &block, Visible::Past, budget, &mut drawer)?;
        edges = drawer.edges;
    }
    Ok(edges)
}

/// Draws the edges of one block of sessions.
struct Drawer<'b> {
    base: &'b Base,
    first_session: usize,
    writers: Writers,
    edges: Edges,
}

impl<const W: usize> Listener<W> for Drawer<'_> {
    fn tell(&mut self, told: Told<'_, W>) -> Result<(), Stop> {
        let (key, is_initial) = self.base.key_of_slot(told.slot);
        for group in self.writers.groups(key) {
            let column = group.session as usize - self.first_session;
            let bound = told.visible[column];
            if bound <= told.implied[column] {
                // Whatever is visible of that session is in the writer's own past.
                continue;
            }
            match group.last_before(bound) {
                Some(writer) if is_initial => return Err(Stop::Initial { writer, key }),
                Some(writer) if writer != told.writer => self.edges.add(writer, told.writer),
                _ => {}
            }
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.writers.heap_bytes() + 2 * self.edges.heap_bytes()
    }
}

/// The writers of each key in some sessions, by session.
pub(super) struct Writers {
    nodes: Vec<Node>,
    /// Session, and where its nodes begin; one more at the end.
    groups: Vec<(u32, u32)>,
    /// By key, where its groups begin.
    key_starts: Vec<u32>,
}

/// The writers of a key in one session, in order.
pub(super) struct Group<'w> {
    pub(super) session: u32,
    pub(super) nodes: &'w [Node],
}

impl Writers {
    pub(super) fn of(base: &Base, sessions: &Range<usize>) -> Writers {
        let nodes = base.nodes_of(sessions.clone());
        // Where each key's writers end; filling from the back makes of it where they begin.
        let mut starts = vec![0_u32; base.keys() + 1];
        for node in nodes.clone() {
            for key in base.writes(node) {
                starts[*key as usize] += 1;
            }
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut writers = vec![NO_NODE; total as usize];
        for node in nodes.rev() {
            for key in base.writes(node) {
                let start = &mut starts[*key as usize];
                *start -= 1;
                writers[*start as usize] = node;
            }
        }
        let (mut groups, mut key_starts) = (vec![], Vec::with_capacity(starts.len()));
        for key in 0..base.keys() {
            key_starts.push(groups.len() as u32);
            let range = starts[key]..starts[key + 1];
            let mut session = NO_NODE;
            for at in range {
                let of = base.session_of(writers[at as usize]);
                if of != session {
                    session = of;
                    groups.push((session, at));
                }
            }
        }
        key_starts.push(groups.len() as u32);
        groups.push((NO_NODE, total));
        Writers { nodes: writers, groups, key_starts }
    }

    /// The sessions that wrote the key.
    pub(super) fn groups(&self, key: KeyId) -> impl Iterator<Item = Group<'_>> {
        let range = self.key_starts[key as usize] as usize..self.key_starts[key as usize + 1] as usize;
        range.map(|at| {
            let nodes = &self.nodes[self.groups[at].1 as usize..self.groups[at + 1].1 as usize];
            Group { session: self.groups[at].0, nodes }
        })
    }

    /// The key's last writer before `node` in the node's session.
    pub(super) fn last_before(&self, base: &Base, key: KeyId, node: Node) -> Option<Node> {
        let range = self.key_starts[key as usize] as usize..self.key_starts[key as usize + 1] as usize;
        let nodes = &self.nodes[self.groups[range.start].1 as usize..self.groups[range.end].1 as usize];
        let last = nodes[..nodes.partition_point(|writer| *writer < node)].last()?;
        base.in_session(*last, node).then_some(*last)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * 4 + self.groups.capacity() * 8 + self.key_starts.capacity() * 4
    }
}

impl Group<'_> {
    /// The last one with a lower number than `bound`.
    pub(super) fn last_before(&self, bound: Node) -> Option<Node> {
        if *self.nodes.first()? >= bound {
            return None;
        }
        self.nodes[..self.nodes.partition_point(|node| *node < bound)].last().copied()
    }
}
