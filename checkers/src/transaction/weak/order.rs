//! The graph of `so`, `wr` and the edges that a level adds, by what comes before each node; and an order of
//! the nodes along it.

use super::base::{Base, NO_NODE, Node};

/// Edges that a level adds, as they are found.
#[derive(Default)]
pub(super) struct Edges {
    /// Where edges lead, and which is the first of those that come one after the other in `froms`.
    runs: Vec<(Node, u32)>,
    froms: Vec<Node>,
}

impl Edges {
    pub(super) fn add(&mut self, from: Node, to: Node) {
        if self.runs.last().is_none_or(|run| run.0 != to) {
            self.runs.push((to, self.froms.len() as u32));
        }
        self.froms.push(from);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.runs.capacity() * 8 + self.froms.capacity() * 4
    }

    fn runs(&self) -> impl Iterator<Item = (Node, &[Node])> {
        self.runs.iter().enumerate().map(|(at, &(to, start))| {
            let end = self.runs.get(at + 1).map_or(self.froms.len(), |next| next.1 as usize);
            (to, &self.froms[start as usize..end])
        })
    }
}

/// A node that stands for several edges: whatever leads to it leads to where it leads. It comes after one
/// transaction, and perhaps after the station numbered before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Station {
    pub(super) after: Node,
    pub(super) goes_on: bool,
}

/// The graph. Stations are numbered on from the last transaction.
pub(super) struct Graph<'b> {
    pub(super) base: &'b Base,
    added: Vec<Node>,
    added_starts: Vec<u32>,
    stations: Vec<Station>,
}

/// How a node comes right after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// In its session.
    Session,
    /// By `wr`, or because the level demands it.
    Edge,
    /// From a station, or to one.
    Station,
}

impl<'b> Graph<'b> {
    pub(super) fn new(base: &'b Base, edges: Edges, stations: Vec<Station>) -> Graph<'b> {
        let mut graph = Graph { base, added: vec![], added_starts: vec![], stations };
        if edges.froms.is_empty() {
            return graph;
        }
        // Counts, then ends, then, as the places are filled from the back, starts.
        let mut starts = vec![0_u32; base.len() + 1];
        for (to, froms) in edges.runs() {
            starts[to as usize] += froms.len() as u32;
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        graph.added.resize(edges.froms.len(), NO_NODE);
        for (to, froms) in edges.runs() {
            let start = &mut starts[to as usize];
            *start -= froms.len() as u32;
            graph.added[*start as usize..*start as usize + froms.len()].copy_from_slice(froms);
        }
        graph.added_starts = starts;
        graph
    }

    /// Transactions and stations.
    pub(super) fn len(&self) -> usize {
        self.base.len() + self.stations.len()
    }

    pub(super) fn is_station(&self, node: Node) -> bool {
        node as usize >= self.base.len()
    }

    /// The `at`-th node that comes right before this one. [`NO_NODE`] stands in some places where there
    /// is none; after the last one comes `None`.
    pub(super) fn before(&self, node: Node, at: u32) -> Option<(Node, Step)> {
        let mut at = at as usize;
        if self.is_station(node) {
            let station = self.stations[node as usize - self.base.len()];
            return match at {
                0 => Some((station.after, Step::Station)),
                1 if station.goes_on => Some((node - 1, Step::Station)),
                _ => None,
            };
        }
        if at == 0 {
            return Some((self.base.before(node).unwrap_or(NO_NODE), Step::Session));
        }
        at -= 1;
        let reads = self.base.reads(node);
        if let Some(read) = reads.get(at) {
            return Some((read.writer, Step::Edge));
        }
        at -= reads.len();
        let from = *self.added_before(node).get(at)?;
        Some((from, if self.is_station(from) { Step::Station } else { Step::Edge }))
    }

    fn added_before(&self, node: Node) -> &[Node] {
        let node = node as usize;
        match self.added_starts.get(node + 1) {
            Some(end) => &self.added[self.added_starts[node] as usize..*end as usize],
            None => &[],
        }
    }

    /// An order of the transactions along the graph, as near to the one in which they happened as that
    /// allows; `None` if there is a cycle.
    pub(super) fn sorted(&self) -> Option<Vec<Node>> {
        const OPEN: u8 = 1;
        const DONE: u8 = 2;
        let mut state = vec![0; self.len()];
        let mut order = Vec::with_capacity(self.base.len());
        let mut stack: Vec<(Node, u32)> = vec![];
        for root in self.base.as_it_happened() {
            if state[root as usize] == DONE {
                continue;
            }
            state[root as usize] = OPEN;
            stack.push((root, 0));
            while let Some((node, at)) = stack.last_mut() {
                match self.before(*node, *at) {
                    Some((before, _)) => {
                        *at += 1;
                        if before == NO_NODE {
                            continue;
                        }
                        match std::mem::replace(&mut state[before as usize], OPEN) {
                            DONE => state[before as usize] = DONE,
                            OPEN => return None,
                            _ => stack.push((before, 0)),
                        }
                    }
                    None => {
                        state[*node as usize] = DONE;
                        if !self.is_station(*node) {
                            order.push(*node);
                        }
                        stack.pop();
                    }
                }
            }
        }
        Some(order)
    }
}
