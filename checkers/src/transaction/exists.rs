//! Whether a component has a cycle with one anti-dependency, where looking from each of them would take
//! too long.

use super::graph::{Kind, Out};

/// The place and number of an anti-dependency a → b such that b leads back to a without another one; of
/// several, the one that the search comes upon first. Edges are numbered within their node.
///
/// Sixty-four of them at a time: a word for each node says which of their heads it is reached from. The
/// words are passed on until nothing is new, through the edges that are no anti-dependencies, which takes
/// one pass where those have no cycle of their own and are passed in their order. O(e · a / 64) for e edges and
/// a anti-dependencies in that case.
pub(super) fn single<'a>(nodes: usize, out: impl Fn(u32) -> &'a [Out]) -> Option<(u32, u32)> {
    let order = order(nodes, &out);
    let mut anti = Vec::new();
    for node in 0..nodes as u32 {
        for (i, edge) in out(node).iter().enumerate() {
            if edge.kind == Kind::Rw {
                anti.push((node, i as u32, edge.to));
            }
        }
    }
    let mut reached = vec![0u64; nodes];
    for batch in anti.chunks(64) {
        reached.fill(0);
        for (bit, (_, _, head)) in batch.iter().enumerate() {
            reached[*head as usize] |= 1 << bit;
        }
        let mut is_new = true;
        while is_new {
            is_new = false;
            for node in &order {
                let word = reached[*node as usize];
                if word == 0 {
                    continue;
                }
                for edge in out(*node).iter().filter(|edge| edge.kind != Kind::Rw) {
                    let missing = word & !reached[edge.to as usize];
                    if missing != 0 {
                        reached[edge.to as usize] |= missing;
                        is_new = true;
                    }
                }
            }
        }
        let closed =
            |(bit, (tail, _, _)): &(usize, &(u32, u32, u32))| reached[*tail as usize] >> bit & 1 == 1;
        if let Some((_, (tail, edge, _))) = batch.iter().enumerate().find(closed) {
            return Some((*tail, *edge));
        }
    }
    None
}

/// The nodes so that edges which are no anti-dependencies lead forwards, where they have no cycle.
fn order<'a>(nodes: usize, out: &impl Fn(u32) -> &'a [Out]) -> Vec<u32> {
    let mut seen = vec![false; nodes];
    let mut done = Vec::with_capacity(nodes);
    let mut path: Vec<(u32, u32)> = Vec::new();
    for root in 0..nodes as u32 {
        if !std::mem::replace(&mut seen[root as usize], true) {
            path.push((root, 0));
        }
        while let Some((node, next)) = path.last_mut() {
            let Some(edge) = out(*node).get(*next as usize) else {
                done.push(*node);
                path.pop();
                continue;
            };
            *next += 1;
            if edge.kind != Kind::Rw && !std::mem::replace(&mut seen[edge.to as usize], true) {
                path.push((edge.to, 0));
            }
        }
    }
    done.reverse();
    done
}
