//! A set that only grows; each member is added at most once, and a read returns all members.
//!
//! What reads return must form a chain by inclusion. Its k-th set is the *layer* k: the reads that
//! returned it, and the adds of what it has and the one before has not. Adds that nobody saw come
//! after the last layer. So the only possible orders go layer by layer, adds before reads, and one
//! of them is a linearization if and only if no operation of a later stage completes before one of
//! an earlier stage is invoked.

use super::flaw::{self, Flaw};
use super::{Decision, Item, Why};
use crate::model::Role;
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::HashMap;

/// The layer of a member that nobody has seen yet, and the stage of an item that is left out.
const NONE: u32 = u32::MAX;

/// Decides a growing set that is empty at first. O(n log n + total size of what distinct reads
/// returned) time, O(n) memory.
pub(super) fn decide(items: &[Item], values: &Values) -> Decision {
    let mut adds: Vec<Add> = Vec::new();
    let mut add_of = HashMap::with_hasher(FastBuild::default());
    let mut reads: Vec<Reads<'_>> = Vec::new();
    let mut reads_of = HashMap::with_hasher(FastBuild::default());
    for (i, item) in items.iter().enumerate() {
        match item.role {
            Role::Put(value) => {
                if add_of.insert(value, adds.len()).is_some() {
                    return Decision::NotApplicable;
                }
                adds.push(Add { item: i as u32, layer: NONE, seen_in: NONE });
            }
            Role::ObserveAll(_) if item.is_pending() => {}
            Role::ObserveAll(collection) => {
                let Some(members) = members(collection, values) else {
                    return Decision::NotApplicable;
                };
                let id = *reads_of.entry(collection).or_insert(reads.len());
                if id == reads.len() {
                    reads.push(Reads { members, items: Vec::new(), size: 0, layer: NONE });
                }
                reads[id].items.push(i as u32);
            }
            _ => return Decision::NotApplicable,
        }
    }
    let mut set = GrowSet { items, adds, add_of, reads };
    match set.layers().and_then(|()| set.stages()) {
        Ok(order) => Decision::Valid(order),
        Err(decision) => decision,
    }
}

fn members(collection: Value, values: &Values) -> Option<&[Value]> {
    match values.get(collection) {
        Datum::Nil => Some(&[]),
        Datum::List(members) | Datum::Set(members) => Some(members),
        _ => None,
    }
}

/// The add of one member.
struct Add {
    item: u32,
    /// The first layer that has it.
    layer: u32,
    /// The last reads that were found to have it.
    seen_in: u32,
}

/// Reads that returned one collection.
struct Reads<'h> {
    members: &'h [Value],
    items: Vec<u32>,
    /// Members, without repetitions.
    size: u32,
    layer: u32,
}

struct GrowSet<'h> {
    items: &'h [Item],
    adds: Vec<Add>,
    add_of: HashMap<Value, usize, FastBuild>,
    reads: Vec<Reads<'h>>,
}

impl GrowSet<'_> {
    /// Finds the layer of each member and of each read. The error is why there are none.
    fn layers(&mut self) -> Result<(), Decision> {
        for id in 0..self.reads.len() {
            self.match_members(id)?;
        }
        let mut by_size: Vec<usize> = (0..self.reads.len()).collect();
        by_size.sort_by_key(|&id| self.reads[id].size);
        let (mut layer, mut size, mut previous) = (0, 0, None);
        for id in by_size {
            let mut known = 0;
            for value in self.reads[id].members {
                let add = &mut self.adds[self.add_of[value]];
                if add.seen_in == id as u32 {
                    continue;
                }
                add.seen_in = id as u32;
                match add.layer {
                    NONE => add.layer = layer + 1,
                    _ => known += 1,
                }
            }
            if let Some(previous) = previous
                && known < size
                && !flaw::on(Flaw::ChainUnchecked)
            {
                return Err(self.incomparable(previous, id, layer));
            }
            if self.reads[id].size > size {
                layer += 1;
                size = self.reads[id].size;
            }
            self.reads[id].layer = layer;
            previous = Some(id);
        }
        Ok(())
    }

    /// Counts the members that reads returned, and finds the add of each.
    fn match_members(&mut self, id: usize) -> Result<(), Decision> {
        let reads = &mut self.reads[id];
        let earliest = *reads.items.iter().min_by_key(|&&i| self.items[i as usize].res).expect("one read");
        for &value in reads.members {
            let Some(&add) = self.add_of.get(&value) else {
                let seen_by = reads.items[0];
                return Err(invalid(vec![seen_by], vec![value], Why::NeverPut { seen_by, value }));
            };
            let add = &mut self.adds[add];
            let (seen_by, put) = (earliest, add.item);
            if self.items[seen_by as usize].res < self.items[put as usize].inv
                && !flaw::on(Flaw::ReadBeforeAddUnchecked)
            {
                return Err(invalid(vec![seen_by], vec![value], Why::SeenBeforePut { seen_by, put, value }));
            }
            if add.seen_in != id as u32 {
                add.seen_in = id as u32;
                reads.size += 1;
            }
        }
        // The second look at the members starts afresh.
        for value in reads.members {
            self.adds[self.add_of[value]].seen_in = NONE;
        }
        Ok(())
    }

    /// Two reads of which each saw what the other did not. `second`, of layer `layer + 1` if it
    /// were one, is no smaller than `first`, whose layer has all members seen before.
    fn incomparable(&self, first: usize, second: usize, layer: u32) -> Decision {
        let add = |value: &&Value| &self.adds[self.add_of[*value]];
        let missed = self.reads[first].members.iter().find(|value| add(value).seen_in != second as u32);
        let new = self.reads[second].members.iter().find(|value| add(value).layer > layer);
        let (missed, new) = missed.zip(new).expect("each has a member that the other has not");
        let (first, second) = (self.reads[first].items[0], self.reads[second].items[0]);
        invalid(vec![first, second], vec![*missed, *new], Why::NoChain { first, second })
    }

    /// The order by stages, or the two operations that it would have the wrong way round.
    fn stages(&self) -> Result<Vec<u32>, Decision> {
        let last = self.reads.iter().map(|reads| reads.layer).max().unwrap_or(0);
        let mut stage_of = vec![NONE; self.items.len()];
        for add in &self.adds {
            let unseen = add.layer == NONE;
            if !unseen || !self.items[add.item as usize].is_pending() {
                stage_of[add.item as usize] = if unseen { 2 * last + 2 } else { 2 * add.layer };
            }
        }
        for reads in &self.reads {
            reads.items.iter().for_each(|&i| stage_of[i as usize] = 2 * reads.layer + 1);
        }
        let mut order: Vec<u32> = (0..self.items.len() as u32).collect();
        order.retain(|&i| stage_of[i as usize] != NONE);
        order.sort_by_key(|&i| stage_of[i as usize]);
        // Of all operations of earlier stages the one invoked last.
        let mut latest: Option<u32> = None;
        for stage in order.chunk_by(|&a, &b| stage_of[a as usize] == stage_of[b as usize]) {
            let first_done = *stage.iter().min_by_key(|&&i| self.items[i as usize].res).expect("not empty");
            if let Some(latest) = latest
                && self.items[first_done as usize].res < self.items[latest as usize].inv
                && !flaw::on(Flaw::StagesUnchecked)
            {
                return Err(self.out_of_order(first_done, latest, &stage_of));
            }
            let last_begun = *stage.last().expect("not empty");
            let begun = |i: u32| self.items[i as usize].inv;
            if latest.is_none_or(|latest| begun(latest) < begun(last_begun)) {
                latest = Some(last_begun);
            }
        }
        Ok(order)
    }

    /// `early` completed before `late` was invoked, but belongs to a later stage.
    fn out_of_order(&self, early: u32, late: u32, stage_of: &[u32]) -> Decision {
        let role = |i: u32| self.items[i as usize].role;
        let put = early;
        match (role(early), role(late)) {
            (Role::ObserveAll(_), _) => {
                let before = stage_of[late as usize] / 2;
                let seen_first = |value: &&Value| self.adds[self.add_of[*value]].layer > before;
                let reads = self.reads.iter().find(|reads| reads.items.contains(&early)).expect("a read");
                let lost = *reads.members.iter().find(seen_first).expect("a later layer has more members");
                let why = Why::Vanished { seen_by: early, missed_by: late };
                invalid(vec![early, late], vec![lost], why)
            }
            (Role::Put(value), Role::Put(later)) => {
                // Some read saw the later one of the two, and not the earlier.
                let layer = stage_of[late as usize] / 2;
                let reads = self.reads.iter().filter(|reads| reads.layer == layer);
                let reads = reads.flat_map(|reads| &reads.items);
                let missed_by = *reads.max_by_key(|&&i| self.items[i as usize].inv).expect("it was seen");
                if self.items[put as usize].res < self.items[missed_by as usize].inv {
                    let why = Why::Missed { put, later_put: None, missed_by };
                    return invalid(vec![put, missed_by], vec![value], why);
                }
                let why = Why::Missed { put, later_put: Some(late), missed_by };
                invalid(vec![put, missed_by], vec![value, later], why)
            }
            (Role::Put(value), _) => {
                let why = Why::Missed { put, later_put: None, missed_by: late };
                invalid(vec![put, late], vec![value], why)
            }
            _ => unreachable!("a growing set has adds and reads"),
        }
    }
}

fn invalid(mut core: Vec<u32>, mut values: Vec<Value>, why: Why) -> Decision {
    core.sort_unstable();
    values.sort_unstable();
    Decision::Invalid { core, values, why, minimal: true }
}
