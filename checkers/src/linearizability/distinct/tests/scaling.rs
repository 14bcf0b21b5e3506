//! Long histories of ten busy clients: the procedures stay near-linear, and still find one planted
//! violation. `SHAKEDOWN_OPERATIONS=1000000 cargo test --release -p shakedown-checkers scaling --
//! --nocapture` prints how long each takes.

use super::histories::{Rng, int};
use super::oracle::Oracle;
use super::*;
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// `n` operations of `clients` clients, each of which is always waiting for an answer. Latencies are
/// exponential, points of effect uniform in between, and roles those of a legal run in the order of
/// the points.
pub(super) fn closed_loop(
    family: Family,
    n: usize,
    clients: usize,
    rng: &mut Rng,
    values: &mut Values,
) -> Vec<Item> {
    let mut free_at = vec![0f64; clients];
    let mut spans = Vec::with_capacity(n);
    for i in 0..n {
        let uniform = |rng: &mut Rng| (rng.below(1 << 40) + 1) as f64 / (1u64 << 40) as f64;
        let client = i % clients;
        let inv = free_at[client] + 0.01 * uniform(rng);
        let latency = -uniform(rng).ln();
        spans.push((inv, inv + latency * uniform(rng), inv + latency));
        free_at[client] = inv + latency;
    }
    let mut events: Vec<(f64, u32, bool)> = Vec::with_capacity(2 * n);
    for (i, &(inv, _, res)) in spans.iter().enumerate() {
        events.extend([(inv, i as u32, false), (res, i as u32, true)]);
    }
    events.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    let mut items = vec![Item { inv: 0, res: 0, role: Role::TakeNothing }; n];
    for (position, &(_, i, completes)) in events.iter().enumerate() {
        let item = &mut items[i as usize];
        *(if completes { &mut item.res } else { &mut item.inv }) = position as u32;
    }
    let mut by_point: Vec<u32> = (0..n as u32).collect();
    by_point.sort_by(|&a, &b| spans[a as usize].1.partial_cmp(&spans[b as usize].1).expect("no NaN"));
    let mut object = Object::default();
    for i in by_point {
        items[i as usize].role = object.act(family, rng, values);
    }
    items.sort_unstable_by_key(|item| item.inv);
    items
}

/// A sequential object of any family.
#[derive(Default)]
struct Object {
    next: u64,
    line: VecDeque<u64>,
    ordered: BTreeSet<u64>,
    members: Vec<Value>,
}

impl Object {
    fn act(&mut self, family: Family, rng: &mut Rng, values: &mut Values) -> Role {
        if rng.chance(50) {
            self.next += 1;
            // Priorities come in no order, yet each once: an odd factor permutes 40 bits.
            let name = self.next.wrapping_mul(0x9E_3779_B97F) & ((1 << 40) - 1);
            match family {
                Family::Register => self.line = VecDeque::from([name]),
                Family::Queue | Family::Stack => self.line.push_back(name),
                Family::PriorityQueue => drop(self.ordered.insert(name)),
                Family::GrowSet => self.members.push(int(name)),
            }
            return Role::Put(int(name));
        }
        let taken = match family {
            Family::Register => return Role::Observe(int(self.line.back().copied().unwrap_or(0))),
            // A read of the whole set costs its size; a hundred of the first members keep the input
            // linear in the number of operations.
            Family::GrowSet if self.members.len() > 100 => {
                return Role::Put(int(1 << 50 | rng.below(1 << 49)));
            }
            Family::GrowSet => return Role::ObserveAll(values.list(&self.members)),
            Family::Queue => self.line.pop_front(),
            Family::Stack => self.line.pop_back(),
            Family::PriorityQueue => self.ordered.pop_last(),
        };
        taken.map_or(Role::TakeNothing, |name| Role::Take(int(name)))
    }
}

fn measure(family: Family) {
    let most = std::env::var("SHAKEDOWN_OPERATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let mut n = 10_000.min(most);
    while n <= most {
        let mut values = Values::new();
        let items = closed_loop(family, n, 10, &mut Rng(n as u64), &mut values);
        let before = Instant::now();
        let decision = decide(family, &items, initial(family), &values);
        println!("{family:?}, {n} operations: {:.1} ms", before.elapsed().as_secs_f64() * 1e3);
        let Decision::Valid(order) = decision else {
            panic!("{family:?}, {n}: a legal run was refused: {decision:?}")
        };
        let oracle = Oracle { family, initial: initial(family), values: &values };
        if n <= 20_000 {
            oracle.replay(&items, &order).expect("the order explains the history");
        }
        n = if n < most { (n * 10).min(most) } else { n + 1 };
    }
}

#[test]
fn long_register_histories_are_decided_in_near_linear_time() {
    measure(Family::Register);
}

#[test]
fn long_queue_histories_are_decided_in_near_linear_time() {
    measure(Family::Queue);
}

#[test]
fn long_priority_queue_histories_are_decided_in_near_linear_time() {
    measure(Family::PriorityQueue);
}

#[test]
fn long_stack_histories_are_decided_in_near_linear_time() {
    measure(Family::Stack);
}

#[test]
fn long_growing_set_histories_are_decided_in_near_linear_time() {
    measure(Family::GrowSet);
}
