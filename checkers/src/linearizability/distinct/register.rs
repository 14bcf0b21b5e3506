//! A register whose writes all write different values (Gibbons & Korach 1997, §4).
//!
//! The write of a value and the reads that returned it are a *cluster*; in a linearization each
//! cluster is one contiguous run, its write first. Let `f` be the earliest completion and `s` the
//! latest invocation in the cluster, its *zone*:
//!
//! ```text
//! forward,  f < s:   |--op--|f           s|--op--|     the value is there all of [f, s]
//! backward, s <= f:      s|--op--|                     the whole run fits any one point of [s, f]
//!                    |------op------|f
//! ```
//!
//! The run of `x` may come before the run of `y` unless an operation of `y` precedes one of `x`,
//! that is, unless `f(y) < s(x)`. So there is a linearization if and only if no two forward zones
//! overlap and no backward zone lies strictly inside a forward one; zones that touch are fine.
//!
//! Then sorting clusters by `min(f, s)`, backward ones first where equal, is a linearization: let
//! `x` come before `y`. Two forward zones are disjoint, so `s(x) <= f(y)`. If `x` is backward,
//! `s(x) = min(x) <= min(y) <= f(y)`. If `x` is forward and `y` backward, `f(x) < s(y)`, and `y`
//! not being inside `x` means `s(x) <= f(y)`.

mod core;

use super::flaw::{self, Flaw};
use super::{Decision, Item, Why, Zone};
use crate::model::Role;
use crate::value::{FastBuild, Value};
use hashbrown::HashMap;

/// The cluster of the initial value, which was written before everything else.
const INITIAL: u32 = 0;
/// The cluster of an item that constrains nothing and is left out.
const NONE: u32 = u32::MAX;

/// A value with the write and the reads of it.
#[derive(Clone, Copy)]
struct Cluster {
    /// Index of the write; [`NONE`] for the initial value.
    write: u32,
    /// Reads that returned the value.
    reads: u32,
    /// Earliest completion.
    f: u32,
    /// Latest invocation.
    s: u32,
}

impl Cluster {
    fn is_forward(&self) -> bool {
        self.f < self.s
    }
}

/// Decides a register that first holds `initial`. O(n log n) time; about 40 bytes per item.
pub(super) fn decide(items: &[Item], initial: Value) -> Decision {
    let Some(mut history) = Clusters::of_writes(items, initial) else {
        return Decision::NotApplicable;
    };
    match history.add_reads() {
        Ok(()) => {}
        Err(decision) => return decision,
    }
    match history.sorted() {
        Ok(order) => Decision::Valid(history.linearization(&order)),
        // The initial value was written again: the reads that a core names may mean either, and
        // what settled which is not part of it.
        Err(pair)
            if history.rewrite != NONE
                && pair.iter().any(|&id| history.is_of_initial(id))
                && !flaw::on(Flaw::RewrittenInitialIgnored) =>
        {
            Decision::NotApplicable
        }
        Err(pair) => history.interleaved(pair),
    }
}

struct Clusters<'h> {
    items: &'h [Item],
    initial: Value,
    clusters: Vec<Cluster>,
    /// The cluster of each value, but for the initial one.
    of_value: HashMap<Value, u32, FastBuild>,
    /// The cluster of each item.
    of_item: Vec<u32>,
    /// The cluster of the write that wrote the initial value again, if there is one.
    rewrite: u32,
}

impl<'h> Clusters<'h> {
    /// One cluster per write; `None` if two writes have one value, or there is more than writes and
    /// reads.
    fn of_writes(items: &'h [Item], initial: Value) -> Option<Clusters<'h>> {
        let writes = items.iter().filter(|item| matches!(item.role, Role::Put(_))).count();
        let mut clusters = Vec::with_capacity(writes + 1);
        let mut of_value = HashMap::with_capacity_and_hasher(writes, FastBuild::default());
        let mut of_item = vec![NONE; items.len()];
        let mut rewrite = NONE;
        clusters.push(Cluster { write: NONE, reads: 0, f: 0, s: 0 });
        for (i, item) in items.iter().enumerate() {
            match item.role {
                Role::Put(value) => {
                    let id = clusters.len() as u32;
                    if of_value.insert(value, id).is_some() {
                        return None;
                    }
                    if value == initial {
                        rewrite = id;
                    }
                    of_item[i] = id;
                    clusters.push(Cluster { write: i as u32, reads: 0, f: item.res, s: item.inv });
                }
                Role::Observe(_) => {}
                _ => return None,
            }
        }
        Some(Clusters { items, initial, clusters, of_value, of_item, rewrite })
    }

    /// Puts each read into the cluster of its value. The error is what stopped it.
    fn add_reads(&mut self) -> Result<(), Decision> {
        let ambiguity_ends = if self.rewrite == NONE { 0 } else { self.initial_surely_gone() };
        for (i, item) in self.items.iter().enumerate() {
            let Role::Observe(value) = item.role else { continue };
            if item.is_pending() {
                continue;
            }
            let id = if value != self.initial {
                match self.of_value.get(&value) {
                    Some(&id) => id,
                    None => return Err(one_read(i, value, Why::NeverPut { seen_by: i as u32, value })),
                }
            } else if self.rewrite == NONE || flaw::on(Flaw::RewrittenInitialIgnored) {
                INITIAL
            } else {
                let rewritten = self.items[self.clusters[self.rewrite as usize].write as usize].inv;
                match (item.res < rewritten, ambiguity_ends < item.inv) {
                    (true, false) => INITIAL,
                    (false, true) => self.rewrite,
                    _ => return Err(Decision::NotApplicable),
                }
            };
            let cluster = &mut self.clusters[id as usize];
            if id != INITIAL {
                let begun = self.items[cluster.write as usize].inv;
                if item.res < begun && !flaw::on(Flaw::ReadBeforeWriteUnchecked) {
                    let why = Why::SeenBeforePut { seen_by: i as u32, put: cluster.write, value };
                    return Err(one_read(i, value, why));
                }
            }
            cluster.reads += 1;
            cluster.f = cluster.f.min(item.res);
            cluster.s = cluster.s.max(item.inv);
            self.of_item[i] = id;
        }
        Ok(())
    }

    /// The earliest completion of anything that cannot have found the initial value in place, or
    /// left it there: a read invoked later cannot have seen it, unless it was written again.
    fn initial_surely_gone(&self) -> u32 {
        let other = |item: &&Item| item.role != Role::Observe(self.initial);
        self.items.iter().filter(other).map(|item| item.res).min().unwrap_or(u32::MAX)
    }

    /// The clusters in the order of a linearization, or two that exclude each other.
    fn sorted(&self) -> Result<Vec<u32>, [u32; 2]> {
        let mut keys: Vec<u64> = Vec::with_capacity(self.clusters.len());
        for (id, cluster) in self.clusters.iter().enumerate().skip(1) {
            let unread = cluster.reads == 0 && cluster.f == crate::history::NEVER;
            if unread {
                continue;
            }
            let key = u64::from(cluster.f.min(cluster.s)) << 1 | u64::from(cluster.is_forward());
            keys.push(key << 31 | id as u64);
        }
        keys.sort_unstable();
        let mut order = Vec::with_capacity(keys.len() + 1);
        order.push(INITIAL);
        // The initial value's zone began before everything, so it is a forward one.
        let mut last_forward = INITIAL;
        for key in keys {
            let id = (key & ((1 << 31) - 1)) as u32;
            let cluster = self.clusters[id as usize];
            let end = self.clusters[last_forward as usize].s;
            let inside = cluster.f < end || (flaw::on(Flaw::TouchingZonesOverlap) && cluster.f == end);
            let checked = match (last_forward == INITIAL, cluster.is_forward()) {
                (true, _) => !flaw::on(Flaw::InitialValueUnchecked),
                (_, true) => !flaw::on(Flaw::ForwardZonesUnchecked),
                (_, false) => !flaw::on(Flaw::BackwardZonesUnchecked),
            };
            if inside && checked {
                return Err([last_forward, id]);
            }
            if cluster.is_forward() {
                last_forward = id;
            }
            order.push(id);
        }
        Ok(order)
    }

    /// The items, run by run: the write, then the reads as they were invoked.
    fn linearization(&self, order: &[u32]) -> Vec<u32> {
        let mut next_read = vec![NONE; self.clusters.len()];
        let mut linearization = Vec::with_capacity(self.items.len());
        for &id in order {
            let cluster = self.clusters[id as usize];
            if cluster.write != NONE {
                linearization.push(cluster.write);
            }
            next_read[id as usize] = linearization.len() as u32;
            linearization.resize(linearization.len() + cluster.reads as usize, NONE);
        }
        for (i, &id) in self.of_item.iter().enumerate() {
            if id != NONE && self.clusters[id as usize].write != i as u32 {
                linearization[next_read[id as usize] as usize] = i as u32;
                next_read[id as usize] += 1;
            }
        }
        linearization
    }

    fn is_of_initial(&self, id: u32) -> bool {
        id == INITIAL || id == self.rewrite
    }

    /// The core of two clusters that exclude each other.
    fn interleaved(&self, pair: [u32; 2]) -> Decision {
        let zones = pair.map(|id| self.zone(id));
        let candidates: Vec<u32> =
            zones.iter().flat_map(|zone| [zone.write, zone.first, Some(zone.last)]).flatten().collect();
        let core = core::smallest(self.items, &candidates, zones.map(|zone| zone.value), self.initial);
        let mut values = zones.map(|zone| zone.value).to_vec();
        values.sort_unstable();
        // The value that was held first came back.
        let held_from = |zone: &Zone| zone.first.map(|first| self.items[first as usize].res);
        let last = if held_from(&zones[0]) < held_from(&zones[1]) { zones[0].last } else { zones[1].last };
        let failed = if core.contains(&last) { last } else { *core.last().expect("a core has an operation") };
        let why = Why::Interleaved { zones: Box::new(zones), failed };
        Decision::Invalid { core, values, why, minimal: true }
    }

    fn zone(&self, id: u32) -> Zone {
        let cluster = self.clusters[id as usize];
        let write = (cluster.write != NONE).then_some(cluster.write);
        let value = match write.map(|write| self.items[write as usize].role) {
            Some(Role::Put(value)) => value,
            _ => self.initial,
        };
        let find = |fits: &dyn Fn(&Item) -> bool| {
            let found = (0..self.items.len()).find(|&i| self.of_item[i] == id && fits(&self.items[i]));
            found.expect("a zone ends at an operation of its cluster") as u32
        };
        Zone {
            value,
            write,
            first: write.map(|_| find(&|item| item.res == cluster.f)),
            last: find(&|item| item.inv == cluster.s),
        }
    }
}

fn one_read(index: usize, value: Value, why: Why) -> Decision {
    Decision::Invalid { core: vec![index as u32], values: vec![value], why, minimal: true }
}
