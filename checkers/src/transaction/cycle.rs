//! Shortest cycles of each kind in the components of a [`Graph`].
//!
//! A kind of cycle is a small automaton over the kinds of edges: G-single begins with an anti-dependency
//! and goes on without one. From each edge that may begin such a cycle a breadth-first search through the
//! product of component and automaton looks for the way back, never farther than the shortest cycle
//! known. The search is exhaustive, so a kind that is not found is not there; where it would take more
//! than [`STEPS_MAX`] steps, any cycle will do, or [`Hunt::Undecided`] says so. Whether there is one without
//! anti-dependencies, or without two of them in a row, which is what snapshot isolation forbids, is decided
//! beforehand in linear time, and only edges on such ways are looked from.

use super::exists;
use super::graph::{Builder, Graph, Kind, Mask, Out};

/// Steps that a search for one kind of cycle in one component may take.
pub const STEPS_MAX: u64 = 60_000_000;

/// The clock is looked at after a search in which a multiple of this power of two of steps was passed.
const ASK_BITS: u32 = 20;

/// A kind of cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Write dependencies only: G0.
    Writes,
    /// Write and read dependencies, one read at least: G1c.
    Information,
    /// Exactly one anti-dependency: G-single.
    Single,
    /// Exactly one anti-dependency, and else reads and sessions: somebody missed what was in his past.
    Causal,
    /// Several anti-dependencies, no two of them in a row: G-nonadjacent.
    Nonadjacent,
    /// Anti-dependencies only right after reads and sessions: no prefix of one order of commits was seen.
    Prefix,
    /// Anti-dependencies, and at most one transaction that wrote nothing: G-update.
    Update,
    /// Two anti-dependencies in a row, at least: G2.
    Adjacent,
}

/// Which orders beside the data a cycle may, and must, use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variant {
    /// The data alone.
    Plain,
    /// The order of a session, once at least.
    Process,
    /// Real time, once at least; sessions as well.
    Realtime,
}

impl Variant {
    /// From the fewest assumptions to the most.
    pub const ALL: [Variant; 3] = [Variant::Plain, Variant::Process, Variant::Realtime];

    /// The edges that cycles of the variant may have.
    pub fn mask(self) -> Mask {
        match self {
            Variant::Plain => Mask::DATA,
            Variant::Process => Mask::DATA.with(Kind::Session),
            Variant::Realtime => Mask::ALL,
        }
    }

    fn must_have(self) -> Option<Kind> {
        match self {
            Variant::Plain => None,
            Variant::Process => Some(Kind::Session),
            Variant::Realtime => Some(Kind::RealTime),
        }
    }
}

/// One step of a cycle: from a node along an edge.
pub type Step = (u32, Out);

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hunt {
    /// The steps of a cycle, a shortest one if `is_shortest`.
    Found {
        /// The steps, each from where the one before led; the last leads to where the first began.
        steps: Vec<Step>,
        /// False if the search was cut short after it had found one.
        is_shortest: bool,
    },
    /// There is none.
    Absent,
    /// The search was cut short.
    Undecided,
}

/// What an automaton knows of the way so far; see [`Shape::step`].
type State = u8;

const LAST_IS_RW: State = 1;
const LAST_IS_VISIBLE: State = 2;
const MORE: State = 4;
const MUST: State = 8;
const READ_ONLY: State = 16;
const STATES: usize = 32;

impl Shape {
    /// Whether a cycle may be looked for from such an edge.
    fn begins_with(self, kind: Kind) -> bool {
        match self {
            Shape::Writes => kind == Kind::Ww,
            Shape::Information => kind == Kind::Wr,
            _ => kind == Kind::Rw,
        }
    }

    /// The state after an edge of `kind`; `None` if the shape does not allow it there.
    fn step(self, state: State, kind: Kind) -> Option<State> {
        let kept = state & (MORE | MUST | READ_ONLY);
        let visible = matches!(kind, Kind::Wr | Kind::Session | Kind::RealTime);
        let last = match kind {
            Kind::Carry => return Some(state),
            Kind::Rw => LAST_IS_RW,
            _ if visible => LAST_IS_VISIBLE,
            _ => 0,
        };
        let is_rw = kind == Kind::Rw;
        let allowed = match self {
            Shape::Writes => !is_rw && kind != Kind::Wr,
            Shape::Information | Shape::Single => !is_rw,
            Shape::Causal => visible,
            Shape::Nonadjacent => !is_rw || state & LAST_IS_RW == 0,
            Shape::Prefix => !is_rw || state & LAST_IS_VISIBLE != 0,
            Shape::Update => true,
            // The first edge is an anti-dependency, and so must the second be.
            Shape::Adjacent => is_rw || state & MORE != 0,
        };
        let more = if is_rw { MORE } else { 0 };
        allowed.then_some(kept | last | more)
    }

    /// Whether a cycle may close in that state.
    fn accepts(self, state: State) -> bool {
        match self {
            Shape::Nonadjacent => state & MORE != 0 && state & LAST_IS_RW == 0,
            Shape::Prefix => state & LAST_IS_VISIBLE != 0,
            Shape::Adjacent => state & MORE != 0,
            _ => true,
        }
    }

    fn mask(self) -> Mask {
        match self {
            Shape::Writes => Mask::NONE.with(Kind::Ww),
            Shape::Information => Mask::NONE.with(Kind::Ww).with(Kind::Wr),
            _ => Mask::DATA,
        }
    }

    /// The edges that can be part of such a cycle of the variant.
    pub fn mask_in(self, variant: Variant) -> Mask {
        match variant {
            Variant::Plain => self.mask(),
            Variant::Process => self.mask().with(Kind::Session),
            Variant::Realtime => self.mask().with(Kind::Session).with(Kind::RealTime),
        }
    }
}

/// One component of a graph, with the search's tables.
pub struct Component<'g> {
    nodes: &'g [u32],
    txns: u32,
    offsets: Vec<u32>,
    /// Edges within the component, `to` by its place in `nodes`.
    out: Vec<Out>,
    read_only: Vec<bool>,
    seen: Vec<u32>,
    stamp: u32,
    parent: Vec<(u32, u32)>,
}

impl<'g> Component<'g> {
    /// `nodes` of `graph`, sorted, with the edges of `mask` between them. `is_read_only` tells which
    /// transactions wrote nothing. `local` is scratch space, one word a node, and left as it was.
    pub fn new(
        graph: &Graph,
        nodes: &'g [u32],
        mask: Mask,
        is_read_only: impl Fn(u32) -> bool,
        local: &mut [u32],
    ) -> Component<'g> {
        for (i, node) in nodes.iter().enumerate() {
            local[*node as usize] = i as u32 + 1;
        }
        let mut offsets = vec![0];
        let mut out = Vec::new();
        for node in nodes {
            for edge in graph.out(*node).iter().filter(|edge| mask.has(edge.kind)) {
                if let Some(to) = local[edge.to as usize].checked_sub(1) {
                    out.push(Out { to, ..*edge });
                }
            }
            offsets.push(out.len() as u32);
        }
        for node in nodes {
            local[*node as usize] = 0;
        }
        let txns = graph.txn_count();
        let read_only = nodes.iter().map(|node| *node < txns && is_read_only(*node)).collect();
        Component { nodes, txns, offsets, out, read_only, seen: Vec::new(), stamp: 0, parent: Vec::new() }
    }

    fn edges(&self, node: u32) -> std::ops::Range<u32> {
        self.offsets[node as usize]..self.offsets[node as usize + 1]
    }

    fn is_station(&self, node: u32) -> bool {
        self.nodes[node as usize] >= self.txns
    }

    /// A shortest cycle of that shape and variant in the component, counted in transactions. It is given up once
    /// `is_over`, which is asked now and then.
    pub fn shortest(&mut self, shape: Shape, variant: Variant, is_over: &dyn Fn() -> bool) -> Hunt {
        if is_over() {
            return Hunt::Undecided;
        }
        let starts = self.starts(shape, variant);
        if starts.is_empty() {
            return Hunt::Absent;
        }
        self.seen = vec![0; self.nodes.len() * STATES];
        self.parent = vec![(0, 0); self.nodes.len() * STATES];
        self.stamp = 0;
        let mut best: Option<Vec<Step>> = None;
        let mut steps_left = STEPS_MAX;
        for (start, edge) in &starts {
            let limit = best.as_ref().map_or(usize::MAX, |steps| length(steps, self.txns) - 1);
            if limit < 2 {
                break;
            }
            let asked_at = steps_left >> ASK_BITS;
            let found = self.search(shape, variant, *start, *edge, limit, &mut steps_left);
            let is_over = steps_left >> ASK_BITS != asked_at && is_over();
            match found {
                Some(steps) => best = Some(steps),
                None if is_over && best.is_none() => return Hunt::Undecided,
                None if steps_left > 0 && !is_over => {}
                None => {
                    return match best {
                        Some(steps) => Hunt::Found { steps, is_shortest: false },
                        None => self.any(shape, variant, starts[0]),
                    };
                }
            }
        }
        best.map_or(Hunt::Absent, |steps| Hunt::Found { steps, is_shortest: true })
    }

    /// True if no closed way, of any number of anti-dependencies, is without two of them in a row: what snapshot
    /// isolation asks for.
    pub fn is_snapshot_isolated(&self, variant: Variant) -> bool {
        self.classes(variant.mask()).iter().all(|class| *class == 0)
    }

    /// The edges from which such a cycle may be looked for: node and edge.
    fn starts(&self, shape: Shape, variant: Variant) -> Vec<(u32, u32)> {
        let mask = variant.mask();
        // The classes of the head of an edge are at these places.
        let (classes, heads, head) = match shape {
            Shape::Single | Shape::Causal | Shape::Nonadjacent | Shape::Prefix => {
                (Some(self.classes(mask)), 2, 1)
            }
            Shape::Writes | Shape::Information => (Some(self.parts(shape.mask_in(variant))), 1, 0),
            Shape::Update | Shape::Adjacent => (None, 1, 0),
        };
        let mut starts = Vec::new();
        for start in (0..self.nodes.len() as u32).filter(|node| !self.is_station(*node)) {
            for edge in self.edges(start) {
                let Out { to, kind, .. } = self.out[edge as usize];
                // On a closed way without two anti-dependencies in a row, this one is preceded by something
                // else.
                let closes = |classes: &Vec<u32>| {
                    let class = classes[heads * start as usize];
                    class != 0 && class == classes[heads * to as usize + head]
                };
                if shape.begins_with(kind) && mask.has(kind) && classes.as_ref().is_none_or(closes) {
                    starts.push((start, edge));
                }
            }
        }
        starts
    }

    /// The components of what is left of this one if only such edges count, numbered from 1. Zero is none.
    fn parts(&self, mask: Mask) -> Vec<u32> {
        let nodes = self.nodes.len() as u32;
        let mut part = Builder::new(nodes, self.out.len());
        for node in 0..nodes {
            for edge in self.out[self.range(node)].iter().filter(|edge| mask.has(edge.kind)) {
                part.edge(node, edge.to, Kind::Ww, 0);
            }
        }
        numbered(&part.build())
    }

    /// The components of the graph of ways without two anti-dependencies in a row. It has two nodes for
    /// each of ours: the second one for arriving by an anti-dependency. Snapshot isolation holds if it has no cycle
    /// (Cerone & Gotsman 2018). Zero is no component.
    fn classes(&self, mask: Mask) -> Vec<u32> {
        let nodes = self.nodes.len() as u32;
        let mut product = Builder::new(2 * nodes, 2 * self.out.len());
        for node in 0..nodes {
            for edge in &self.out[self.range(node)] {
                let (plain, anti) = (2 * edge.to, 2 * edge.to + 1);
                match edge.kind {
                    Kind::Rw => product.edge(2 * node, anti, Kind::Ww, 0),
                    Kind::Carry => {
                        product.edge(2 * node, plain, Kind::Ww, 0);
                        product.edge(2 * node + 1, anti, Kind::Ww, 0);
                    }
                    kind if mask.has(kind) => {
                        product.edge(2 * node, plain, Kind::Ww, 0);
                        product.edge(2 * node + 1, plain, Kind::Ww, 0);
                    }
                    _ => {}
                }
            }
        }
        numbered(&product.build())
    }

    /// Some cycle, where looking for the shortest takes too long.
    fn any(&mut self, shape: Shape, variant: Variant, start: (u32, u32)) -> Hunt {
        let single = |this: &Component<'_>| {
            exists::single(this.nodes.len(), |node| &this.out[this.range(node)])
                .map(|(node, edge)| (node, this.offsets[node as usize] + edge))
        };
        let (start, edge) = match (shape, variant) {
            (Shape::Single, Variant::Plain) => match single(self) {
                Some(start) => start,
                None => return Hunt::Absent,
            },
            // Its edge lies on a closed way; and as no such way has a single anti-dependency, that one has more.
            (Shape::Nonadjacent, Variant::Plain) if single(self).is_none() => start,
            _ => return Hunt::Undecided,
        };
        match self.search(shape, variant, start, edge, usize::MAX, &mut u64::MAX.clone()) {
            Some(steps) => Hunt::Found { steps, is_shortest: false },
            None => Hunt::Undecided,
        }
    }

    fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.offsets[node as usize] as usize..self.offsets[node as usize + 1] as usize
    }

    /// The shortest cycle that begins with that edge and has at most `limit` transactions.
    fn search(
        &mut self,
        shape: Shape,
        variant: Variant,
        start: u32,
        first: u32,
        limit: usize,
        steps_left: &mut u64,
    ) -> Option<Vec<Step>> {
        let must = variant.must_have();
        self.stamp += 1;
        let edge = self.out[first as usize];
        let mut state = LAST_IS_RW * State::from(edge.kind == Kind::Rw);
        if edge.kind == Kind::Wr {
            state = LAST_IS_VISIBLE;
        }
        if shape == Shape::Update {
            state |= READ_ONLY * State::from(self.read_only[start as usize]);
            if self.read_only[edge.to as usize] && edge.to != start {
                if state & READ_ONLY != 0 {
                    return None;
                }
                state |= READ_ONLY;
            }
        }
        let root = self.slot(edge.to, state);
        self.seen[root] = self.stamp;
        self.parent[root] = (u32::MAX, first);
        // `limit` transactions are as many edges; one is behind us, and a last one closes the cycle.
        let mut front = vec![root as u32];
        let mut next = Vec::new();
        let mut edges_taken = 1;
        while !front.is_empty() && edges_taken < limit {
            edges_taken += 1;
            while let Some(slot) = front.pop() {
                let (node, state) = (slot / STATES as u32, (slot % STATES as u32) as State);
                for edge in self.edges(node) {
                    if *steps_left == 0 {
                        return None;
                    }
                    *steps_left -= 1;
                    let Out { to, kind, .. } = self.out[edge as usize];
                    if !variant.mask().has(kind) {
                        continue;
                    }
                    let Some(mut after) = shape.step(state, kind) else { continue };
                    if Some(kind) == must {
                        after |= MUST;
                    }
                    if to == start {
                        if shape.accepts(after) && (must.is_none() || after & MUST != 0) {
                            return Some(self.way_back(start, slot, edge));
                        }
                        continue;
                    }
                    if shape == Shape::Update && self.read_only[to as usize] {
                        if after & READ_ONLY != 0 {
                            continue;
                        }
                        after |= READ_ONLY;
                    }
                    let reached = self.slot(to, after);
                    if self.seen[reached] != self.stamp {
                        self.seen[reached] = self.stamp;
                        self.parent[reached] = (slot, edge);
                        // What comes of a station is as near as the station.
                        if kind == Kind::Carry {
                            front.push(reached as u32);
                        } else {
                            next.push(reached as u32);
                        }
                    }
                }
            }
            std::mem::swap(&mut front, &mut next);
        }
        None
    }

    fn slot(&self, node: u32, state: State) -> usize {
        node as usize * STATES + state as usize
    }

    /// The steps from `start` along the parents to `slot`, and from there by `last`.
    fn way_back(&self, start: u32, mut slot: u32, last: u32) -> Vec<Step> {
        let mut edges = vec![last];
        while slot != u32::MAX {
            let (parent, edge) = self.parent[slot as usize];
            edges.push(edge);
            slot = parent;
        }
        edges.reverse();
        let mut from = start;
        let steps = edges.into_iter().map(|edge| {
            let out = self.out[edge as usize];
            let step = (self.nodes[from as usize], Out { to: self.nodes[out.to as usize], ..out });
            from = out.to;
            step
        });
        steps.collect()
    }
}

/// By node: the number of its component, from 1; 0 if it is on no cycle.
fn numbered(graph: &Graph) -> Vec<u32> {
    let mut numbers = vec![0; graph.node_count() as usize];
    for (i, members) in graph.components(Mask::ALL).iter().enumerate() {
        for member in members {
            numbers[*member as usize] = i as u32 + 1;
        }
    }
    numbers
}

/// Number of transactions on a cycle.
fn length(steps: &[Step], txns: u32) -> usize {
    steps.iter().filter(|(from, _)| *from < txns).count()
}
