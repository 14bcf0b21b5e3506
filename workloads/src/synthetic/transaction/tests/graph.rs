//! Dependencies of committed transactions, drawn by their definitions.

use super::*;
use std::collections::BTreeMap;

/// For each row the rows that it leads to, by bits, closed under transitivity: by what was read and written
/// and, if `real_time` counts, by that, of which the order of each session is a part.
pub(super) fn edges(rows: &[Row], kind: Kind, real_time: bool) -> Vec<u64> {
    let mut edges = vec![0_u64; rows.len()];
    for (a, first) in rows.iter().enumerate().filter(|(_, row)| row.is_ok()) {
        for (b, second) in rows.iter().enumerate().filter(|(_, row)| row.is_ok()) {
            edges[a] |= u64::from(real_time && first.completed < second.invoked) << b;
        }
    }
    for (key, order) in version_orders(rows, kind) {
        order.windows(2).filter(|pair| pair[0] != pair[1]).for_each(|pair| edges[pair[0]] |= 1 << pair[1]);
        for (id, row) in rows.iter().enumerate().filter(|(_, row)| row.is_ok()) {
            for op in row.ops.iter().filter(|op| !op.write && op.key == key) {
                let writer = op.values.last().and_then(|value| {
                    order.iter().rposition(|&writer| rows[writer].writes(key).contains(value))
                });
                if op.values.is_empty() || writer.is_some() {
                    let next = order[writer.map_or(0, |at| at + 1)..].iter().find(|next| **next != id);
                    edges[id] |= next.map_or(0, |next| 1 << next);
                }
                if let Some(at) = writer.filter(|at| order[*at] != id) {
                    edges[order[at]] |= 1 << id;
                }
            }
        }
    }
    for middle in 0..rows.len() {
        let through = edges[middle];
        edges.iter_mut().filter(|set| **set >> middle & 1 == 1).for_each(|set| *set |= through);
    }
    edges
}

/// The committed writers of each key, in the order of its longest list, else in that of their commits.
fn version_orders(rows: &[Row], kind: Kind) -> BTreeMap<i64, Vec<usize>> {
    let mut orders = BTreeMap::new();
    let keys: std::collections::BTreeSet<i64> = rows.iter().flat_map(|row| row.written_keys()).collect();
    for key in keys {
        let reads = rows.iter().filter(|row| row.is_ok()).flat_map(|row| &row.ops);
        let lists = reads.filter(|op| kind == Kind::ListAppend && !op.write && op.key == key);
        let longest = lists.max_by_key(|op| op.values.len()).map_or(&[][..], |op| &op.values);
        let mut writers: Vec<usize> =
            (0..rows.len()).filter(|&id| rows[id].is_ok() && !rows[id].writes(key).is_empty()).collect();
        writers.sort_by_key(|&id| {
            let shown = longest.iter().position(|value| rows[id].writes(key).contains(value));
            (shown.unwrap_or(usize::MAX), rows[id].stamps.unwrap().commit)
        });
        orders.insert(key, writers);
    }
    orders
}
