//! Small histories: all of them up to a size, and random ones that are nearly legal.

use super::super::Item;
use crate::history::NEVER;
use crate::linearizability::small::Rng;
use crate::model::{Family, Role};
use crate::value::{Value, Values};

/// The small integer `i`.
pub(super) fn int(i: u64) -> Value {
    Value::small_int(i as i64).expect("small")
}

/// Every assignment of roles to `n` operations of a family, values numbered from 1 as they are put;
/// for a priority queue, in every order. One value that is never put is among those taken or
/// observed.
pub(super) fn each_roles(family: Family, n: usize, values: &mut Values) -> Vec<Vec<Role>> {
    let mut all = Vec::new();
    for puts in 0..1u32 << n {
        let k = u64::from(puts.count_ones());
        let others: Vec<Role> = match family {
            Family::Register => (0..=k + 1).map(|v| Role::Observe(int(v))).collect(),
            Family::GrowSet => {
                let sets = 0..1u64 << (k + 1).min(4);
                sets.map(|set| Role::ObserveAll(collection(set, values))).collect()
            }
            _ => (1..=k + 1)
                .map(|v| Role::Take(int(v)))
                .chain([Role::TakeNothing, Role::TakeUnknown])
                .collect(),
        };
        let free = n as u32 - puts.count_ones();
        for mut code in 0..others.len().pow(free) {
            let chosen: Vec<Role> = std::iter::repeat_with(|| {
                let other = others[code % others.len()];
                code /= others.len();
                other
            })
            .take(free as usize)
            .collect();
            let orders =
                if family == Family::PriorityQueue { permutations(k) } else { vec![(1..=k).collect()] };
            for order in orders {
                let (mut names, mut chosen) = (order.into_iter(), chosen.iter());
                let role = |i: usize| match puts >> i & 1 {
                    1 => Role::Put(int(names.next().expect("one per put"))),
                    _ => *chosen.next().expect("one per other operation"),
                };
                all.push((0..n).map(role).collect());
            }
        }
    }
    all
}

/// The numbers from 1 to `k` in every order.
fn permutations(k: u64) -> Vec<Vec<u64>> {
    let mut all = vec![vec![]];
    for next in 1..=k {
        let insert =
            |order: Vec<u64>| (0..next as usize).map(move |i| [&order[..i], &[next], &order[i..]].concat());
        all = all.into_iter().flat_map(insert).collect();
    }
    all
}

/// The set of the values whose bits are set, the lowest being 1.
fn collection(set: u64, values: &mut Values) -> Value {
    let members: Vec<Value> = (0..8).filter(|i| set >> i & 1 == 1).map(|i| int(i + 1)).collect();
    if members.is_empty() { Value::NIL } else { values.list(&members) }
}

/// A random history: a legal run whose points are blurred to intervals, in half of the cases with
/// some operations exchanged first. Some operations never complete. In a quarter of the cases
/// positions are coarse, so that several events share one.
pub(super) fn random(family: Family, most: u64, rng: &mut Rng, values: &mut Values) -> Vec<Item> {
    let n = 1 + rng.below(most) as usize;
    let mut roles = legal_run(family, n, rng, values);
    match rng.below(8) {
        0..4 => {}
        7 => (1..n).rev().for_each(|i| roles.swap(i, rng.below(i as u64 + 1) as usize)),
        swaps => {
            (4..=swaps).for_each(|_| roles.swap(rng.below(n as u64) as usize, rng.below(n as u64) as usize))
        }
    }
    let blur = [30, 100, 200, 400][rng.below(4) as usize];
    let coarse = [1, 1, 1, 50][rng.below(4) as usize];
    let mut items: Vec<Item> = roles
        .into_iter()
        .enumerate()
        .map(|(i, role)| {
            let point = 1000 + 100 * i as u64;
            let inv = (point - rng.below(blur)) / coarse;
            let res = ((point + rng.below(blur)) / coarse).max(inv);
            let pending = role == Role::TakeUnknown || rng.chance(6);
            Item { inv: inv as u32, res: if pending { NEVER } else { res as u32 }, role }
        })
        .collect();
    for item in &mut items {
        // A crashed dequeue does not tell what it took.
        if item.res == NEVER && matches!(item.role, Role::Take(_)) {
            item.role = Role::TakeUnknown;
        }
    }
    items.sort_by_key(|item| item.inv);
    items
}

/// Roles in an order that is legal one after the other.
fn legal_run(family: Family, n: usize, rng: &mut Rng, values: &mut Values) -> Vec<Role> {
    // Now and then the initial value of a register, 0, is among those written.
    let first = u64::from(!rng.chance(10));
    let mut names: Vec<u64> = (first..first + n as u64).collect();
    for i in (1..n).rev() {
        names.swap(i, rng.below(i as u64 + 1) as usize);
    }
    let mut inside: Vec<u64> = Vec::new();
    let mut roles = Vec::with_capacity(n);
    let put_percent = [30, 50, 70][rng.below(3) as usize];
    for name in names {
        if rng.chance(put_percent) || family == Family::Register && inside.is_empty() && rng.chance(50) {
            inside.push(name);
            roles.push(Role::Put(int(name)));
            continue;
        }
        let exit = match family {
            Family::Queue => 0,
            Family::PriorityQueue => (0..inside.len()).max_by_key(|&i| inside[i]).unwrap_or(0),
            _ => inside.len().saturating_sub(1),
        };
        roles.push(match family {
            Family::Register => Role::Observe(int(inside.last().copied().unwrap_or(0))),
            Family::GrowSet => {
                let members: Vec<Value> = inside.iter().map(|&v| int(v)).collect();
                Role::ObserveAll(values.list(&members))
            }
            _ if inside.is_empty() => Role::TakeNothing,
            _ => Role::Take(int(inside.remove(exit))),
        });
    }
    roles
}
