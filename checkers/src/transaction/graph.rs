//! A graph of what must come before what, and its strongly connected components.
//!
//! Nodes are transactions, by their rows, and *stations*: nodes that stand for many edges at once. Real
//! time would take an edge for each pair of transactions; one station for each completion, in a line,
//! takes two for each transaction. Edges that lead on from a station [carry](Kind::Carry) the kind of the
//! edge that led to it.

use super::TxnId;

/// What an edge of the graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A later version of the same key.
    Ww = 0,
    /// A read of what the other wrote.
    Wr = 1,
    /// A read of an older version than the other wrote.
    Rw = 2,
    /// The same session, later.
    Session = 3,
    /// Completed before the other began.
    RealTime = 4,
    /// From a station: the same as the edge that led there.
    Carry = 5,
}

/// Of a node of which nothing is known yet.
const UNSEEN: u32 = u32::MAX;
/// Of a node whose component is complete.
const DONE: u32 = u32::MAX - 1;

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mask(u8);

impl Mask {
    /// No kind.
    pub const NONE: Mask = Mask(0);
    /// The three that follow from the data.
    pub const DATA: Mask = Mask::NONE.with(Kind::Ww).with(Kind::Wr).with(Kind::Rw);
    /// All.
    pub const ALL: Mask = Mask::DATA.with(Kind::Session).with(Kind::RealTime);

    /// This and one more.
    pub const fn with(self, kind: Kind) -> Mask {
        Mask(self.0 | 1 << kind as u8)
    }

    /// Whether it has that kind. Edges from stations are always in.
    pub const fn has(self, kind: Kind) -> bool {
        (self.0 | 1 << Kind::Carry as u8) & (1 << kind as u8) != 0
    }

    /// What either has.
    pub const fn or(self, other: Mask) -> Mask {
        Mask(self.0 | other.0)
    }
}

/// An edge out of some node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Out {
    /// Where it leads.
    pub to: u32,
    /// What it is.
    pub kind: Kind,
    /// What it is about, as whoever drew it numbers such things.
    pub about: u32,
}

/// The graph, by outgoing edges.
#[derive(Clone, Debug)]
pub struct Graph {
    txns: u32,
    offsets: Vec<u32>,
    out: Vec<Out>,
}

/// Collects edges.
#[derive(Debug)]
pub struct Builder {
    txns: u32,
    nodes: u32,
    edges: Vec<(u32, Out)>,
}

impl Builder {
    /// No edges between so many transactions.
    pub fn new(txns: u32, edges_about: usize) -> Builder {
        Builder { txns, nodes: txns, edges: Vec::with_capacity(edges_about) }
    }

    /// Draws an edge; one from a node to itself says nothing and is left out.
    pub fn edge(&mut self, from: u32, to: u32, kind: Kind, about: u32) {
        if from != to {
            self.edges.push((from, Out { to, kind, about }));
        }
    }

    /// A new station.
    pub fn station(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    /// Edges of one kind from each of `sources` to each of `targets` but itself. `about` tells what the
    /// edge to a target is about. Both must be sorted and free of repeats.
    ///
    /// Few are drawn one by one. Many go by stations, in O(sources + targets): one line of stations leads
    /// to all targets up to a place, another to all from a place on, so that a source that is a target
    /// itself can be led past itself.
    pub fn fan(&mut self, sources: &[TxnId], targets: &[(TxnId, u32)], kind: Kind) {
        debug_assert!(targets.is_sorted());
        if sources.len() * targets.len() <= 4 * (sources.len() + targets.len()) {
            for source in sources {
                for (target, about) in targets {
                    self.edge(*source, *target, kind, *about);
                }
            }
            return;
        }
        let (mut up_to, mut from) = (Vec::with_capacity(targets.len()), vec![0; targets.len()]);
        for (i, (target, about)) in targets.iter().enumerate() {
            let station = self.station();
            self.edge(station, *target, Kind::Carry, *about);
            if i > 0 {
                self.edge(station, up_to[i - 1], Kind::Carry, *about);
            }
            up_to.push(station);
        }
        for (i, (target, about)) in targets.iter().enumerate().rev() {
            from[i] = self.station();
            self.edge(from[i], *target, Kind::Carry, *about);
            if i + 1 < targets.len() {
                self.edge(from[i], from[i + 1], Kind::Carry, *about);
            }
        }
        for source in sources {
            match targets.binary_search_by_key(source, |target| target.0) {
                Err(_) => self.edge(*source, up_to[targets.len() - 1], kind, 0),
                Ok(own) => {
                    if own > 0 {
                        self.edge(*source, up_to[own - 1], kind, 0);
                    }
                    if own + 1 < targets.len() {
                        self.edge(*source, from[own + 1], kind, 0);
                    }
                }
            }
        }
    }

    /// The graph, in O(nodes + edges).
    pub fn build(self) -> Graph {
        let mut offsets = vec![0u32; self.nodes as usize + 1];
        for (from, _) in &self.edges {
            offsets[*from as usize + 1] += 1;
        }
        for i in 1..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
        let mut next = offsets.clone();
        let mut out = vec![Out { to: 0, kind: Kind::Ww, about: 0 }; self.edges.len()];
        for (from, edge) in self.edges {
            let at = &mut next[from as usize];
            out[*at as usize] = edge;
            *at += 1;
        }
        Graph { txns: self.txns, offsets, out }
    }
}

impl Graph {
    /// Number of nodes, stations included.
    pub fn node_count(&self) -> u32 {
        self.offsets.len() as u32 - 1
    }

    /// Number of edges.
    pub fn edge_count(&self) -> usize {
        self.out.len()
    }

    /// Number of transactions: the nodes below it.
    pub fn txn_count(&self) -> u32 {
        self.txns
    }

    /// The edges out of a node.
    pub fn out(&self, node: u32) -> &[Out] {
        &self.out[self.offsets[node as usize] as usize..self.offsets[node as usize + 1] as usize]
    }

    /// All nodes, so that the edges in `mask` lead forwards; `None` if they have a cycle. Kahn 1962: O(nodes +
    /// edges).
    pub fn sorted(&self, mask: Mask) -> Option<Vec<u32>> {
        let nodes = self.node_count();
        let mut before = vec![0u32; nodes as usize];
        for edge in self.out.iter().filter(|edge| mask.has(edge.kind)) {
            before[edge.to as usize] += 1;
        }
        let mut order: Vec<u32> = (0..nodes).filter(|node| before[*node as usize] == 0).collect();
        let mut next = 0;
        while let Some(node) = order.get(next).copied() {
            next += 1;
            for edge in self.out(node).iter().filter(|edge| mask.has(edge.kind)) {
                before[edge.to as usize] -= 1;
                if before[edge.to as usize] == 0 {
                    order.push(edge.to);
                }
            }
        }
        (order.len() == nodes as usize).then_some(order)
    }

    /// Strongly connected components of more than one node, by the edges in `mask`; each is sorted, and they
    /// are sorted by their first nodes. Tarjan 1972, with a stack of its own: O(nodes + edges).
    pub fn components(&self, mask: Mask) -> Vec<Vec<u32>> {
        self.tarjan(mask, 0..self.node_count(), vec![UNSEEN; self.node_count() as usize])
    }

    /// The same of the edges between members of these components: all of them, if the components are those of more
    /// edges. O(nodes), and beside that what the members take.
    pub fn components_within(&self, mask: Mask, wider: &[Vec<u32>]) -> Vec<Vec<u32>> {
        let mut low = vec![DONE; self.node_count() as usize];
        let members = || wider.iter().flatten().copied();
        members().for_each(|node| low[node as usize] = UNSEEN);
        self.tarjan(mask, members(), low)
    }

    /// `low`: until a node's component is complete, the smallest number reached from it; then [`DONE`].
    fn tarjan(&self, mask: Mask, roots: impl Iterator<Item = u32>, mut low: Vec<u32>) -> Vec<Vec<u32>> {
        let mut number = 0;
        let mut path: Vec<(u32, u32, u32)> = Vec::new();
        let mut open: Vec<u32> = Vec::new();
        let mut found = Vec::new();
        for root in roots {
            if low[root as usize] != UNSEEN {
                continue;
            }
            path.push((root, number, 0));
            low[root as usize] = number;
            number += 1;
            open.push(root);
            while let Some((node, own, next)) = path.last_mut() {
                let (node, own) = (*node, *own);
                let edges = self.out(node);
                let mut descended = false;
                while let Some(edge) = edges.get(*next as usize) {
                    *next += 1;
                    if !mask.has(edge.kind) {
                        continue;
                    }
                    match low[edge.to as usize] {
                        DONE => {}
                        UNSEEN => {
                            low[edge.to as usize] = number;
                            open.push(edge.to);
                            path.push((edge.to, number, 0));
                            number += 1;
                            descended = true;
                            break;
                        }
                        reached => low[node as usize] = low[node as usize].min(reached),
                    }
                }
                if descended {
                    continue;
                }
                path.pop();
                let lowest = low[node as usize];
                if lowest == own {
                    let start = open.iter().rposition(|n| *n == node).expect("an open node is on the stack");
                    for member in &open[start..] {
                        low[*member as usize] = DONE;
                    }
                    if open.len() - start > 1 {
                        let mut members = open[start..].to_vec();
                        members.sort_unstable();
                        found.push(members);
                    }
                    open.truncate(start);
                } else {
                    let (parent, _, _) = path.last().expect("only a root reaches no lower than itself");
                    low[*parent as usize] = low[*parent as usize].min(lowest);
                }
            }
        }
        found.sort_unstable_by_key(|members| members[0]);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: u32, edges: &[(u32, u32)]) -> Graph {
        let mut builder = Builder::new(nodes, edges.len());
        for (from, to) in edges {
            builder.edge(*from, *to, Kind::Ww, 0);
        }
        builder.build()
    }

    #[test]
    fn components_are_the_classes_of_nodes_that_reach_each_other() {
        let components = |nodes, edges: &[(u32, u32)]| {
            let graph = graph(nodes, edges);
            let components = graph.components(Mask::ALL);
            assert_eq!(graph.components_within(Mask::ALL, &components), components);
            assert_eq!(graph.components_within(Mask::ALL, &[(0..nodes).collect()]), components);
            components
        };
        assert_eq!(components(3, &[(0, 1), (1, 2)]), Vec::<Vec<u32>>::new());
        assert_eq!(components(4, &[(3, 2), (2, 3), (0, 1), (1, 0), (1, 2)]), [vec![0, 1], vec![2, 3]]);
        assert_eq!(components(5, &[(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 1)]), [vec![0, 1, 2, 3, 4]]);
        // Against reachability by brute force, on all graphs of four nodes.
        for bits in 0u32..1 << 12 {
            let pairs = (0..4).flat_map(|a| (0..4).filter(move |b| *b != a).map(move |b| (a, b)));
            let edges: Vec<(u32, u32)> =
                pairs.enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, pair)| pair).collect();
            let mut reach = [[false; 4]; 4];
            for (a, b) in &edges {
                reach[*a as usize][*b as usize] = true;
            }
            for k in 0..4 {
                for a in 0..4 {
                    for b in 0..4 {
                        reach[a][b] |= reach[a][k] && reach[k][b];
                    }
                }
            }
            let mut expected: Vec<Vec<u32>> = (0..4)
                .map(|a| (0..4).filter(|b| reach[a][*b] && reach[*b][a]).map(|b| b as u32).collect())
                .filter(|class: &Vec<u32>| class.len() > 1)
                .collect();
            expected.sort();
            expected.dedup();
            assert_eq!(components(4, &edges), expected, "{edges:?}");
            match graph(4, &edges).sorted(Mask::ALL) {
                None => assert!(!expected.is_empty(), "{edges:?}"),
                Some(order) => {
                    let place = |node: u32| order.iter().position(|other| *other == node);
                    assert!(edges.iter().all(|(a, b)| place(*a) < place(*b)), "{edges:?}: {order:?}");
                }
            }
        }
    }

    #[test]
    fn a_long_path_is_no_deep_recursion() {
        let edges: Vec<(u32, u32)> = (0..300_000).map(|i| (i, (i + 1) % 300_000)).collect();
        assert_eq!(graph(300_000, &edges).components(Mask::ALL).len(), 1);
    }

    #[test]
    fn a_fan_leads_from_each_source_to_each_target_but_itself() {
        for (sources, targets) in
            [(0..3, 3..5), (0..40, 20..60), (10..50, 0..30), (0..1, 0..200), (5..6, 5..6)]
        {
            let mut builder = Builder::new(200, 0);
            let targets: Vec<(u32, u32)> = targets.map(|t| (t, t)).collect();
            let sources: Vec<u32> = sources.collect();
            builder.fan(&sources, &targets, Kind::Rw);
            let graph = builder.build();
            for source in 0..200 {
                let mut reached: Vec<u32> = Vec::new();
                let mut front = if sources.contains(&source) { vec![source] } else { vec![] };
                while let Some(node) = front.pop() {
                    for edge in graph.out(node) {
                        if edge.to < 200 { reached.push(edge.to) } else { front.push(edge.to) }
                    }
                }
                reached.sort_unstable();
                let expected: Vec<u32> = targets
                    .iter()
                    .map(|t| t.0)
                    .filter(|t| sources.contains(&source) && *t != source)
                    .collect();
                assert_eq!(reached, expected);
            }
            assert!(graph.edge_count() <= 8 * (sources.len() + targets.len()));
        }
    }
}
