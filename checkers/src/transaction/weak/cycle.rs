//! A short cycle of a graph that has one: a strongly connected component (Tarjan 1972, with a stack of its
//! own), and in it breadth-first searches.
//!
//! Length counts edges as they will be told: however long a stretch of one session is, it is one edge, and
//! so is a way through stations.

use super::base::{NO_NODE, Node};
use super::order::{Graph, Step};
use std::collections::VecDeque;

/// Steps that the searches may take in all before the shortest cycle found so far is good enough.
const STEPS_MAX: u64 = 20_000_000;

impl Graph<'_> {
    /// The transactions of a short cycle, each before the next and the last before the first.
    ///
    /// # Panics
    /// If there is no cycle.
    pub(super) fn cycle(&self) -> Vec<Node> {
        let component = self.smallest_component();
        let mut search = Search::new(self, &component);
        let mut best: Option<(u32, Vec<Node>)> = None;
        for &start in component.iter().filter(|node| !self.is_station(**node)) {
            let bound = best.as_ref().map_or(u32::MAX, |best| best.0);
            if bound <= 2 || best.is_some() && search.steps > STEPS_MAX {
                break;
            }
            if let Some(found) = search.shortest_through(start, bound) {
                best = Some(found);
            }
        }
        best.expect("a component of several nodes has a cycle, and a transaction is on it").1
    }

    /// The nodes, sorted, of a strongly connected component of more than one node that has the fewest.
    fn smallest_component(&self) -> Vec<Node> {
        let mut tarjan = Tarjan {
            index: vec![0; self.len()],
            low: vec![0; self.len()],
            next: 1,
            open: vec![],
            smallest: vec![],
        };
        for root in 0..self.len() as Node {
            if tarjan.index[root as usize] == 0 {
                tarjan.walk(self, root);
            }
        }
        tarjan.smallest.sort_unstable();
        tarjan.smallest
    }
}

struct Tarjan {
    /// Order of discovery, from 1; [`CLOSED`] once the component is known.
    index: Vec<u32>,
    low: Vec<u32>,
    next: u32,
    open: Vec<Node>,
    smallest: Vec<Node>,
}

const CLOSED: u32 = u32::MAX;

impl Tarjan {
    fn enter(&mut self, node: Node) {
        self.index[node as usize] = self.next;
        self.low[node as usize] = self.next;
        self.next += 1;
        self.open.push(node);
    }

    fn walk(&mut self, graph: &Graph<'_>, root: Node) {
        let mut stack = vec![(root, 0)];
        self.enter(root);
        while let Some((node, at)) = stack.last_mut() {
            let node = *node;
            if let Some((before, _)) = graph.before(node, *at) {
                *at += 1;
                if before == NO_NODE {
                    continue;
                }
                match self.index[before as usize] {
                    0 => {
                        self.enter(before);
                        stack.push((before, 0));
                    }
                    CLOSED => {}
                    index => self.low[node as usize] = self.low[node as usize].min(index),
                }
                continue;
            }
            stack.pop();
            let low = self.low[node as usize];
            if let Some((parent, _)) = stack.last() {
                self.low[*parent as usize] = self.low[*parent as usize].min(low);
            }
            if low == self.index[node as usize] {
                let start = self.open.iter().rposition(|open| *open == node).expect("it is open");
                let component = self.open.split_off(start);
                for member in &component {
                    self.index[*member as usize] = CLOSED;
                }
                if component.len() > 1 && (self.smallest.is_empty() || component.len() < self.smallest.len())
                {
                    self.smallest = component;
                }
            }
        }
    }
}

/// Searches backwards from a node to itself, through one component.
struct Search<'g, 'b> {
    graph: &'g Graph<'b>,
    /// By node, its place in the component; [`NO_NODE`] outside.
    place: Vec<u32>,
    /// By place and by whether the edge that leads on from there stays in the session: the length of the
    /// way to the start, and which node comes next on it.
    reached: Vec<[Reached; 2]>,
    round: u32,
    steps: u64,
}

#[derive(Clone, Copy, Default)]
struct Reached {
    round: u32,
    length: u32,
    next: Node,
    next_by_session: bool,
}

impl<'g, 'b> Search<'g, 'b> {
    fn new(graph: &'g Graph<'b>, component: &[Node]) -> Search<'g, 'b> {
        let mut place = vec![NO_NODE; graph.len()];
        for (at, node) in component.iter().enumerate() {
            place[*node as usize] = at as u32;
        }
        let reached = vec![[Reached::default(); 2]; component.len()];
        Search { graph, place, reached, round: 0, steps: 0 }
    }

    /// The shortest cycle through `start` if it is shorter than `bound`, with its length.
    fn shortest_through(&mut self, start: Node, bound: u32) -> Option<(u32, Vec<Node>)> {
        self.round += 1;
        // Nodes by the length of their way to the start: lengths grow by 0 or 1, so a deque keeps them sorted.
        let mut queue = VecDeque::from([(start, false, 0)]);
        let mut best: Option<(u32, Node, bool)> = None;
        while let Some((node, by_session, length)) = queue.pop_front() {
            let bound = best.map_or(bound, |best| best.0);
            if length >= bound {
                break;
            }
            let is_first = node == start && length == 0;
            let known = self.reached[self.place[node as usize] as usize][usize::from(by_session)];
            if !is_first && known.length < length {
                continue;
            }
            for at in 0.. {
                self.steps += 1;
                let Some((before, step)) = self.graph.before(node, at) else { break };
                if before == NO_NODE || self.place[before as usize] == NO_NODE {
                    continue;
                }
                // A way through stations is paid for where it is entered, from the side of the start.
                let is_free = step == Step::Session && by_session
                    || step == Step::Station && self.graph.is_station(node);
                let length = length + u32::from(!is_free);
                if before == start {
                    if best.is_none_or(|best| length < best.0) && length < bound {
                        best = Some((length, node, by_session));
                    }
                    continue;
                }
                let before_by_session = step == Step::Session;
                let reached = &mut self.reached[self.place[before as usize] as usize];
                let reached = &mut reached[usize::from(before_by_session)];
                if reached.round == self.round && reached.length <= length {
                    continue;
                }
                *reached = Reached { round: self.round, length, next: node, next_by_session: by_session };
                let entry = (before, before_by_session, length);
                if is_free { queue.push_front(entry) } else { queue.push_back(entry) }
            }
        }
        let (length, mut node, mut by_session) = best?;
        let mut nodes = vec![start];
        while node != start {
            nodes.push(node);
            let reached = self.reached[self.place[node as usize] as usize][usize::from(by_session)];
            (node, by_session) = (reached.next, reached.next_by_session);
        }
        nodes.retain(|node| !self.graph.is_station(*node));
        Some((length, self.straighten(nodes)))
    }

    /// Leaves out what lies in the middle of a stretch of one session.
    fn straighten(&self, mut nodes: Vec<Node>) -> Vec<Node> {
        // No cycle stays in one session, so turn it to begin where a session is entered.
        let base = self.graph.base;
        let len = nodes.len();
        let enters = |at: &usize| !base.in_session(nodes[(at + len - 1) % len], nodes[*at]);
        let first = (0..len).find(enters).unwrap_or(0);
        nodes.rotate_left(first);
        let mut kept: Vec<Node> = Vec::with_capacity(len);
        for (at, node) in nodes.iter().enumerate() {
            let is_inside = kept.last().is_some_and(|last| base.in_session(*last, *node))
                && nodes.get(at + 1).is_some_and(|next| base.in_session(*node, *next));
            if !is_inside {
                kept.push(*node);
            }
        }
        // The cycle begins with whoever was invoked first.
        let first =
            kept.iter().enumerate().min_by_key(|(_, node)| base.txn(**node)).map_or(0, |first| first.0);
        kept.rotate_left(first);
        kept
    }
}
