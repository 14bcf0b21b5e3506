//! A topological order that is kept while arcs come and go (Pearce & Kelly, J. Exp. Algorithmics 11, 2007).
//!
//! An arc that agrees with the order costs nothing. One that does not moves only the nodes between its two
//! ends in the order that are reached from the one or reach the other. Taking arcs away never spoils an
//! order, so that going back is free. Known arcs stay; tried ones come and go as a stack.

use super::graph::{Arc, Cause, Graph, Tag};
use super::instance::NONE;
use super::meter::Meter;
use super::paths::cheapest;
use crate::verdict::Reason;

/// A graph's nodes in an order that respects its arcs and those that were added.
pub(super) struct Topology<'g> {
    graph: &'g Graph,
    /// By node: its place.
    position: Vec<u32>,
    added: Added,
    /// By node: the visit that met it last.
    met: Vec<u32>,
    visit: u32,
    forward: Vec<u32>,
    backward: Vec<u32>,
    /// Nodes that have changed their places since somebody asked.
    pub(super) moved: Vec<u32>,
}

impl<'g> Topology<'g> {
    /// `position` is the place of each node in an order that respects the graph's arcs.
    pub(super) fn new(graph: &'g Graph, position: Vec<u32>) -> Topology<'g> {
        Topology {
            graph,
            position,
            added: Added::new(graph.nodes as usize),
            met: vec![0; graph.nodes as usize],
            visit: 0,
            forward: Vec::new(),
            backward: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// By node: its place.
    pub(super) fn position(&self) -> &[u32] {
        &self.position
    }

    /// Number of added arcs.
    pub(super) fn len(&self) -> usize {
        self.added.arcs.len()
    }

    /// Whether an arc points backwards as things stand.
    pub(super) fn disagrees(&self, arc: &Arc) -> bool {
        self.position[arc.from as usize] >= self.position[arc.to as usize]
    }

    /// How far back an arc points.
    pub(super) fn distance(&self, arc: &Arc) -> u32 {
        self.position[arc.from as usize].saturating_sub(self.position[arc.to as usize])
    }

    /// Adds an arc, and moves what it puts in the wrong place. False if it would close a cycle; it is not
    /// added then.
    pub(super) fn add(&mut self, arc: Arc, meter: &mut Meter) -> Result<bool, Reason> {
        if self.disagrees(&arc) && !self.reorder(arc, meter)? {
            return Ok(false);
        }
        self.added.push(arc);
        Ok(true)
    }

    /// Takes away all but the first `len` added arcs.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.added.arcs.len() > len {
            self.added.pop();
        }
    }

    fn reorder(&mut self, arc: Arc, meter: &mut Meter) -> Result<bool, Reason> {
        if arc.from == arc.to || !self.search_forward(arc, meter)? {
            return Ok(false);
        }
        self.search_backward(arc, meter)?;
        let position = &mut self.position;
        self.forward.sort_unstable_by_key(|node| position[*node as usize]);
        self.backward.sort_unstable_by_key(|node| position[*node as usize]);
        let nodes = || self.backward.iter().chain(&self.forward);
        let mut places: Vec<u32> = nodes().map(|node| position[*node as usize]).collect();
        places.sort_unstable();
        nodes().zip(places).for_each(|(&node, place)| position[node as usize] = place);
        self.moved.extend_from_slice(&self.backward);
        self.moved.extend_from_slice(&self.forward);
        Ok(true)
    }

    /// Nodes reached from the end of the arc that stand before its beginning; false if that is reached.
    fn search_forward(&mut self, arc: Arc, meter: &mut Meter) -> Result<bool, Reason> {
        self.begin_visit();
        let Topology { graph, position, added, met, visit, forward, .. } = self;
        let high = position[arc.from as usize];
        met[arc.to as usize] = *visit;
        forward.clear();
        forward.push(arc.to);
        let mut at = 0;
        while let Some(&node) = forward.get(at) {
            at += 1;
            let known = graph.out.of(node);
            meter.spend(1 + known.len())?;
            let known = known.iter().map(|&place| graph.arcs[place as usize].to);
            for to in known.chain(added.leaving(node).map(|arc| arc.to)) {
                if to == arc.from {
                    return Ok(false);
                }
                if position[to as usize] < high && met[to as usize] != *visit {
                    met[to as usize] = *visit;
                    forward.push(to);
                }
            }
        }
        Ok(true)
    }

    /// Nodes that reach the beginning of the arc and stand after its end.
    fn search_backward(&mut self, arc: Arc, meter: &mut Meter) -> Result<(), Reason> {
        self.begin_visit();
        let Topology { graph, position, added, met, visit, backward, .. } = self;
        let low = position[arc.to as usize];
        met[arc.from as usize] = *visit;
        backward.clear();
        backward.push(arc.from);
        let mut at = 0;
        while let Some(&node) = backward.get(at) {
            at += 1;
            let known = graph.into.of(node);
            meter.spend(1 + known.len())?;
            let known = known.iter().map(|&place| graph.arcs[place as usize].from);
            for from in known.chain(added.arriving(node).map(|arc| arc.from)) {
                if position[from as usize] > low && met[from as usize] != *visit {
                    met[from as usize] = *visit;
                    backward.push(from);
                }
            }
        }
        Ok(())
    }

    fn begin_visit(&mut self) {
        if self.visit == u32::MAX {
            self.met.fill(0);
            self.visit = 0;
        }
        self.visit += 1;
    }

    /// Whether one node leads to another.
    pub(super) fn reaches(&mut self, from: u32, to: u32, meter: &mut Meter) -> Result<bool, Reason> {
        if self.position[from as usize] > self.position[to as usize] {
            return Ok(false);
        }
        let arc = Arc { from: to, to: from, tag: Tag::Own };
        Ok(from == to || !self.search_forward(arc, meter)?)
    }

    /// A path from one node to another with the fewest tried arcs, and of those one of the shortest.
    pub(super) fn path(&self, from: u32, to: u32, meter: &mut Meter) -> Result<Option<Vec<Arc>>, Reason> {
        let Topology { graph, position, added, .. } = self;
        let high = position[to as usize];
        let next = |node: u32| {
            graph.out.of(node).iter().map(|&place| &graph.arcs[place as usize]).chain(added.leaving(node))
        };
        let cost =
            |arc: &Arc| (position[arc.to as usize] <= high).then(|| u32::from(choice_of(arc).is_some()));
        cheapest(from, to, next, cost, meter)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.position.len() * 16
            + self.added.arcs.capacity() * (size_of::<Arc>() + 8)
            + self.moved.capacity() * 4
    }
}

/// The choice that an arc was tried for.
pub(super) fn choice_of(arc: &Arc) -> Option<u32> {
    match arc.tag {
        Tag::Missed(Cause::Choice(choice)) | Tag::Overwrote(Cause::Choice(choice)) => Some(choice),
        _ => None,
    }
}

/// Arcs that come and go, with the ones at a node linked from the last to the first.
struct Added {
    arcs: Vec<Arc>,
    /// By node: the last arc out of it; by arc: the one before.
    last_out: Vec<u32>,
    before_out: Vec<u32>,
    last_into: Vec<u32>,
    before_into: Vec<u32>,
}

impl Added {
    fn new(nodes: usize) -> Added {
        Added {
            arcs: Vec::new(),
            last_out: vec![NONE; nodes],
            before_out: Vec::new(),
            last_into: vec![NONE; nodes],
            before_into: Vec::new(),
        }
    }

    fn push(&mut self, arc: Arc) {
        let place = self.arcs.len() as u32;
        self.before_out.push(std::mem::replace(&mut self.last_out[arc.from as usize], place));
        self.before_into.push(std::mem::replace(&mut self.last_into[arc.to as usize], place));
        self.arcs.push(arc);
    }

    fn pop(&mut self) {
        if let (Some(arc), Some(out), Some(into)) =
            (self.arcs.pop(), self.before_out.pop(), self.before_into.pop())
        {
            self.last_out[arc.from as usize] = out;
            self.last_into[arc.to as usize] = into;
        }
    }

    fn leaving(&self, node: u32) -> impl Iterator<Item = &Arc> {
        self.linked(self.last_out[node as usize], &self.before_out)
    }

    fn arriving(&self, node: u32) -> impl Iterator<Item = &Arc> {
        self.linked(self.last_into[node as usize], &self.before_into)
    }

    fn linked<'a>(&'a self, last: u32, before: &'a [u32]) -> impl Iterator<Item = &'a Arc> {
        let exists = |place: u32| (place != NONE).then_some(place);
        std::iter::successors(exists(last), move |&place| exists(before[place as usize]))
            .map(|place| &self.arcs[place as usize])
    }
}
