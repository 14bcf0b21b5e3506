//! Chains of transactions that are known to come one after the other, and clocks over them: for each node
//! and chain, the last transaction of the chain that comes before the node.
//!
//! Reachability by clocks needs one number per node and chain, where a matrix needs one bit per pair of
//! nodes. Sessions are chains; in real time the fewest chains are as many as transactions were ever open at
//! once; without either, who read follows whom it read from.

use super::Order;
use super::graph::Graph;
use super::instance::{Instance, NONE};
use super::meter::Meter;
use crate::history::NEVER;
use crate::transaction::Transactions;
use crate::verdict::Reason;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// More chains than this are not tracked; the longest are kept. What clocks find is then sound, but not all.
const CHAINS_MAX: usize = 512;

/// The share of the memory left that clocks may take: one in so many.
const MEMORY_SHARE: usize = 3;

/// Which chain each transaction is in, and where.
pub(super) struct Chains {
    /// By transaction; [`NONE`] if its chain is not tracked.
    pub(super) chain: Vec<u32>,
    /// By transaction, from 0.
    pub(super) place: Vec<u32>,
    /// Number of chains.
    pub(super) count: usize,
}

impl Chains {
    /// `order` is a topological order of the graph's nodes. No chains at all if there is no memory for them.
    pub(super) fn new(
        txns: &Transactions,
        instance: &Instance,
        graph: &Graph,
        order: &[u32],
        meter: &Meter,
    ) -> Chains {
        let chain = match instance.order {
            Order::RealTime => by_real_time(txns, instance),
            Order::Session | Order::Free => by_sessions_and_reads(instance, graph, order),
        };
        let bytes_per_chain = 4 * graph.nodes as usize + 1;
        let count_max = CHAINS_MAX.min(meter.left_bytes() / MEMORY_SHARE / bytes_per_chain);
        Chains::numbered(chain, order, graph, count_max)
    }

    /// Keeps the longest chains and numbers their members.
    fn numbered(mut chain: Vec<u32>, order: &[u32], graph: &Graph, count_max: usize) -> Chains {
        let mut lengths: Vec<(u32, u32)> = Vec::new();
        for &chain in &chain {
            if chain as usize >= lengths.len() {
                lengths.extend((lengths.len() as u32..=chain).map(|chain| (0, chain)));
            }
            lengths[chain as usize].0 += 1;
        }
        lengths.sort_unstable_by_key(|&(length, chain)| (Reverse(length), chain));
        lengths.truncate(count_max);
        let mut kept: Vec<(u32, u32)> = (0..).zip(&lengths).map(|(new, &(_, old))| (old, new)).collect();
        kept.sort_unstable();
        for chain in &mut chain {
            *chain = kept.binary_search_by_key(chain, |entry| entry.0).map_or(NONE, |at| kept[at].1);
        }
        let mut place = vec![0; chain.len()];
        let mut next = vec![0; lengths.len()];
        for txn in order
            .iter()
            .filter_map(|&node| graph.shape.txn(node).filter(|&txn| node == graph.shape.commit(txn)))
        {
            if let Some(next) = next.get_mut(chain[txn as usize] as usize) {
                place[txn as usize] = *next;
                *next += 1;
            }
        }
        Chains { chain, place, count: lengths.len() }
    }
}

/// The fewest chains that real time allows: each transaction goes on where one ended that ended first.
fn by_real_time(txns: &Transactions, instance: &Instance) -> Vec<u32> {
    let mut ends: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
    let mut count = 0;
    let mut chains = Vec::with_capacity(instance.len());
    for (txn, &row) in instance.txns.iter().enumerate() {
        let row = txns.txn(row);
        let is_loose = instance.is_loose.get(txn) == Some(&true);
        let chain = match ends.peek() {
            Some(&Reverse((end, chain))) if end < row.invoked && !is_loose => {
                ends.pop();
                chain
            }
            _ => {
                count += 1;
                count - 1
            }
        };
        if row.returned != NEVER && !is_loose {
            ends.push(Reverse((row.returned, chain)));
        }
        chains.push(chain);
    }
    chains
}

/// Each transaction goes on where its session's last one stands, or else one that it read from.
fn by_sessions_and_reads(instance: &Instance, graph: &Graph, order: &[u32]) -> Vec<u32> {
    let mut chains = vec![NONE; instance.len()];
    let mut is_last = vec![false; instance.len()];
    // Who is followed in its session keeps the place for its follower.
    let mut is_kept = vec![false; instance.len()];
    for &before in instance.session_before.iter().filter(|before| **before != NONE) {
        is_kept[before as usize] = true;
    }
    let mut count = 0;
    for &node in order {
        let Some(txn) = graph.shape.txn(node).filter(|&txn| node == graph.shape.commit(txn)) else {
            continue;
        };
        let session = instance.session_before.get(txn as usize).copied().filter(|&before| before != NONE);
        let read_from =
            instance.reads.of(txn).iter().map(|&version| instance.versions[version as usize].writer);
        let before = session.filter(|&before| is_last[before as usize]).or_else(|| {
            read_from
                .into_iter()
                .find(|&from| from != NONE && is_last[from as usize] && !is_kept[from as usize])
        });
        chains[txn as usize] = match before {
            Some(before) => {
                is_last[before as usize] = false;
                chains[before as usize]
            }
            None => {
                count += 1;
                count - 1
            }
        };
        is_last[txn as usize] = true;
    }
    chains
}

/// For each node and chain, how much of the chain comes before the node or is it.
pub(super) struct Clocks {
    values: Vec<u32>,
    width: usize,
    /// By node: whether its clock has grown in the last run.
    pub(super) has_grown: Vec<bool>,
}

impl Clocks {
    pub(super) fn new(chains: &Chains, graph: &Graph) -> Clocks {
        let nodes = graph.nodes as usize;
        Clocks { values: vec![0; chains.count * nodes], width: chains.count, has_grown: vec![false; nodes] }
    }

    pub(super) fn bytes(chains: &Chains, graph: &Graph) -> usize {
        (4 * chains.count + 1) * graph.nodes as usize
    }

    /// Follows the arcs from number `arcs_before` on, and whatever they make grow; `order` is topological.
    pub(super) fn run(
        &mut self,
        chains: &Chains,
        graph: &Graph,
        order: &[u32],
        arcs_before: u32,
        meter: &mut Meter,
    ) -> Result<(), Reason> {
        self.has_grown.fill(false);
        for &node in order {
            let into = graph.into.of(node);
            meter.spend(1 + into.len())?;
            let to = node as usize * self.width;
            let mut has_grown = false;
            for &place in into {
                let from = graph.arcs[place as usize].from as usize;
                if place < arcs_before && !self.has_grown[from] {
                    continue;
                }
                meter.spend(self.width / 8)?;
                let from = from * self.width;
                let (low, high) = self.values.split_at_mut(from.max(to));
                let (source, target) = if from < to {
                    (&low[from..from + self.width], &mut high[..self.width])
                } else {
                    (&high[..self.width], &mut low[to..to + self.width])
                };
                for (target, source) in target.iter_mut().zip(source) {
                    has_grown |= source > target;
                    *target = (*target).max(*source);
                }
            }
            if let Some(txn) = graph.shape.txn(node)
                && let Some(own) =
                    self.values[to..to + self.width].get_mut(chains.chain[txn as usize] as usize)
            {
                let stamp = stamp(chains, graph, node, txn);
                has_grown |= stamp > *own;
                *own = (*own).max(stamp);
            }
            self.has_grown[node as usize] = has_grown;
        }
        Ok(())
    }

    /// What comes before a node.
    pub(super) fn of(&self, node: u32) -> &[u32] {
        &self.values[node as usize * self.width..][..self.width]
    }
}

/// The number that a node of a transaction stands for in the clocks of its chain; 0 is for none.
pub(super) fn stamp(chains: &Chains, graph: &Graph, node: u32, txn: u32) -> u32 {
    let is_start = graph.shape.is_split() && node == graph.shape.start(txn);
    2 * chains.place[txn as usize] + if is_start { 1 } else { 2 }
}
