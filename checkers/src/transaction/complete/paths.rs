//! Short paths and cycles: what a contradiction is shown by.

use super::graph::{Arc, Cause, Graph, Tag};
use super::meter::Meter;
use crate::value::FastBuild;
use crate::verdict::Reason;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// So many arcs are tried as the beginning of a cycle, which is then the best one for those.
const CYCLES_MAX: usize = 64;

/// The cheapest path from one node to another (Dijkstra), and of those one of the fewest arcs. An arc
/// without a cost may not be used.
pub(super) fn cheapest<'a, I: Iterator<Item = &'a Arc>>(
    from: u32,
    to: u32,
    next: impl Fn(u32) -> I,
    cost: impl Fn(&Arc) -> Option<u32>,
    meter: &mut Meter,
) -> Result<Option<Vec<Arc>>, Reason> {
    // Arcs that were looked at, and by node the one by which it was reached at the least cost.
    let mut arcs: Vec<Arc> = Vec::new();
    let mut reached_by: HashMap<u32, usize, FastBuild> = HashMap::default();
    // Cost so far, arcs so far, the node, the arc that led there.
    let mut queue = BinaryHeap::from([Reverse((0_u32, 0_u32, from, usize::MAX))]);
    while let Some(Reverse((spent, length, node, by))) = queue.pop() {
        if reached_by.contains_key(&node) {
            continue;
        }
        reached_by.insert(node, by);
        if node == to {
            break;
        }
        meter.spend(8)?;
        for arc in next(node) {
            let Some(cost) = cost(arc) else { continue };
            if !reached_by.contains_key(&arc.to) {
                meter.spend(2)?;
                queue.push(Reverse((spent + cost, length + 1, arc.to, arcs.len())));
                arcs.push(*arc);
            }
        }
    }
    let mut path = Vec::new();
    let mut node = to;
    while let Some(&by) = reached_by.get(&node) {
        let Some(&arc) = arcs.get(by) else {
            path.reverse();
            return Ok(Some(path));
        };
        path.push(arc);
        node = arc.from;
    }
    Ok(None)
}

/// The fact that an arc rests on.
pub(super) fn fact_of(arc: &Arc) -> Option<u32> {
    match arc.tag {
        Tag::Missed(Cause::Fact(fact)) | Tag::Overwrote(Cause::Fact(fact)) => Some(fact),
        _ => None,
    }
}

/// A cycle of known arcs, given the nodes that have a place in a topological order: none of those is on one.
/// Of the cycles that were looked at it rests on the fewest facts.
pub(super) fn cycle(graph: &Graph, placed: &[u32], meter: &mut Meter) -> Result<Vec<Arc>, Reason> {
    let is_left = left_over(graph, placed);
    let inside = |arc: &Arc| is_left[arc.from as usize] && is_left[arc.to as usize];
    let next = |node: u32| graph.out.of(node).iter().map(|&place| &graph.arcs[place as usize]);
    let cost = |arc: &Arc| inside(arc).then(|| u32::from(fact_of(arc).is_some()));
    let mut best: Option<Vec<Arc>> = None;
    // The last arcs are those that closed the cycle.
    for first in graph.arcs.iter().rev().filter(|arc| inside(arc)).take(CYCLES_MAX) {
        let Some(mut path) = cheapest(first.to, first.from, next, cost, meter)? else { continue };
        path.push(*first);
        let facts = |arcs: &[Arc]| arcs.iter().filter(|arc| fact_of(arc).is_some()).count();
        let is_better = |best: &Vec<Arc>| (facts(&path), path.len()) < (facts(best), best.len());
        if best.as_ref().is_none_or(is_better) {
            best = Some(path);
        }
    }
    // All of the arcs at the end may lead from one cycle to another; some arc does not.
    if let Some(best) = best {
        return Ok(best);
    }
    for first in graph.arcs.iter().rev().filter(|arc| inside(arc)) {
        if let Some(mut path) = cheapest(first.to, first.from, next, cost, meter)? {
            path.push(*first);
            return Ok(path);
        }
    }
    Ok(Vec::new())
}

/// By node: whether it is on a cycle, or between two.
fn left_over(graph: &Graph, placed: &[u32]) -> Vec<bool> {
    let mut is_left = vec![true; graph.nodes as usize];
    placed.iter().for_each(|&node| is_left[node as usize] = false);
    let mut leading = vec![0_u32; graph.nodes as usize];
    for arc in graph.arcs.iter().filter(|arc| is_left[arc.to as usize]) {
        leading[arc.from as usize] += 1;
    }
    let mut open: Vec<u32> =
        (0..graph.nodes).filter(|&node| is_left[node as usize] && leading[node as usize] == 0).collect();
    while let Some(node) = open.pop() {
        is_left[node as usize] = false;
        for &place in graph.into.of(node) {
            let from = graph.arcs[place as usize].from as usize;
            leading[from] -= 1;
            if leading[from] == 0 && is_left[from] {
                open.push(from as u32);
            }
        }
    }
    is_left
}

/// A path of arcs from among the first `arcs_before`, none of which rests on anything later. `position` is
/// the place of each node in an order that respects them.
pub(super) fn early_path(
    graph: &Graph,
    position: &[u32],
    arcs_before: u32,
    from: u32,
    to: u32,
    meter: &mut Meter,
) -> Result<Option<Vec<Arc>>, Reason> {
    let high = position[to as usize];
    if position[from as usize] > high {
        return Ok(None);
    }
    let next = |node: u32| {
        let places = graph.out.of(node).iter().take_while(|&&place| place < arcs_before);
        places.map(|&place| &graph.arcs[place as usize])
    };
    let cost = |arc: &Arc| (position[arc.to as usize] <= high).then(|| u32::from(fact_of(arc).is_some()));
    cheapest(from, to, next, cost, meter)
}
