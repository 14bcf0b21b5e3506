//! Strongly connected components of constraints, and a short circle through each that is a contradiction.
//!
//! Tarjan 1972, *Depth-first search and linear graph algorithms*, with a stack of its own in place of
//! recursion.

use super::Demanded;
use super::constraints::Edge;
use crate::datatype::register::WriteId;
use crate::history::OpId;
use std::collections::VecDeque;

/// One write before another, for a reason.
pub(super) struct CycleStep {
    pub(super) from: WriteId,
    pub(super) to: WriteId,
    pub(super) mask: Demanded,
    /// The operation that asks for it.
    pub(super) because: OpId,
}

/// A graph whose first nodes are the writes.
pub(super) struct Graph<'e> {
    write_count: u32,
    edges: &'e [Edge],
    /// Edges by the node that they leave: `out[first[node]..first[node + 1]]`.
    first: Vec<u32>,
    out: Vec<u32>,
}

impl<'e> Graph<'e> {
    pub(super) fn new(write_count: u32, node_count: u32, edges: &'e [Edge]) -> Graph<'e> {
        let mut first = vec![0_u32; node_count as usize + 1];
        for edge in edges {
            first[edge.from as usize + 1] += 1;
        }
        for node in 0..node_count as usize {
            first[node + 1] += first[node];
        }
        let mut next = first.clone();
        let mut out = vec![0; edges.len()];
        for (at, edge) in edges.iter().enumerate() {
            out[next[edge.from as usize] as usize] = at as u32;
            next[edge.from as usize] += 1;
        }
        Graph { write_count, edges, first, out }
    }

    /// For each component with more than one write, those writes and a circle through two of them.
    pub(super) fn contradictions(&self) -> Vec<(Vec<WriteId>, Vec<CycleStep>)> {
        let component = self.components();
        let mut writes: Vec<(u32, WriteId)> =
            (0..self.write_count).map(|w| (component[w as usize], w)).collect();
        writes.sort_unstable();
        let mut found: Vec<(Vec<WriteId>, Vec<CycleStep>)> = writes
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|members| members.len() > 1)
            .map(|members| {
                let members: Vec<WriteId> = members.iter().map(|(_, write)| *write).collect();
                let cycle = self.cycle(members[0], &component);
                (members, cycle)
            })
            .collect();
        found.sort_by_key(|(members, _)| members[0]);
        found
    }

    /// The number of each node's component.
    fn components(&self) -> Vec<u32> {
        const NONE: u32 = u32::MAX;
        let node_count = self.first.len() - 1;
        let (mut index, mut low) = (vec![NONE; node_count], vec![0_u32; node_count]);
        let mut component = vec![NONE; node_count];
        let (mut stack, mut path): (Vec<u32>, Vec<(u32, u32)>) = (Vec::new(), Vec::new());
        let (mut next_index, mut next_component) = (0, 0);
        for root in 0..node_count as u32 {
            if index[root as usize] != NONE {
                continue;
            }
            path.push((root, self.first[root as usize]));
            (index[root as usize], low[root as usize]) = (next_index, next_index);
            next_index += 1;
            stack.push(root);
            while let Some((node, at)) = path.last_mut() {
                let node = *node;
                if *at < self.first[node as usize + 1] {
                    let to = self.edges[self.out[*at as usize] as usize].to;
                    *at += 1;
                    if index[to as usize] == NONE {
                        (index[to as usize], low[to as usize]) = (next_index, next_index);
                        next_index += 1;
                        stack.push(to);
                        path.push((to, self.first[to as usize]));
                    } else if component[to as usize] == NONE {
                        low[node as usize] = low[node as usize].min(index[to as usize]);
                    }
                    continue;
                }
                path.pop();
                if let Some((parent, _)) = path.last() {
                    low[*parent as usize] = low[*parent as usize].min(low[node as usize]);
                }
                if low[node as usize] == index[node as usize] {
                    while let Some(member) = stack.pop() {
                        component[member as usize] = next_component;
                        if member == node {
                            break;
                        }
                    }
                    next_component += 1;
                }
            }
        }
        component
    }

    /// A circle from `start` to the nearest other write of its component, and back.
    fn cycle(&self, start: WriteId, component: &[u32]) -> Vec<CycleStep> {
        let there = self.path(start, component, |node| node != start && node < self.write_count);
        let Some(other) = there.last().map(|edge| self.edges[*edge as usize].to) else { return vec![] };
        let back = self.path(other, component, |node| node == start);
        let mut steps = Vec::new();
        let (mut from, mut mask, mut because) = (start, 0, None);
        for edge in there.into_iter().chain(back) {
            let edge = self.edges[edge as usize];
            mask |= edge.mask;
            because = because.or(Some(edge.because).filter(|_| edge.mask != 0));
            if edge.to < self.write_count {
                // Every way from one write to another has a reason: an edge with a mask.
                let because = because.take().unwrap_or(edge.because);
                steps.push(CycleStep { from, to: edge.to, mask, because });
                (from, mask) = (edge.to, 0);
            }
        }
        steps
    }

    /// The edges of a shortest way within a component, from `start` to a node that is a `goal`.
    fn path(&self, start: u32, component: &[u32], goal: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut came_by: std::collections::BTreeMap<u32, u32> = std::collections::BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for at in self.first[node as usize]..self.first[node as usize + 1] {
                let edge = self.out[at as usize];
                let to = self.edges[edge as usize].to;
                if component[to as usize] != component[start as usize]
                    || to == start
                    || came_by.contains_key(&to)
                {
                    continue;
                }
                came_by.insert(to, edge);
                if goal(to) {
                    return self.walk_back(start, to, &came_by);
                }
                queue.push_back(to);
            }
        }
        vec![]
    }

    fn walk_back(&self, start: u32, end: u32, came_by: &std::collections::BTreeMap<u32, u32>) -> Vec<u32> {
        let (mut path, mut node) = (Vec::new(), end);
        while node != start {
            let Some(edge) = came_by.get(&node) else { break };
            path.push(*edge);
            node = self.edges[*edge as usize].from;
        }
        path.reverse();
        path
    }
}
