//! Long histories of ten busy clients: the procedures stay near-linear, and still find one planted
//! violation. `SHAKEDOWN_OPERATIONS=1000000 cargo test --release -p shakedown-checkers scaling --
//! --nocapture` prints how long each takes.

use super::histories::int;
use super::oracle::Oracle;
use super::*;
use crate::linearizability::small::Rng;
use std::collections::{BTreeSet, HashMap, VecDeque};
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
    actions: u64,
    next: u64,
    line: VecDeque<u64>,
    ordered: BTreeSet<u64>,
    members: Vec<Value>,
}

impl Object {
    fn act(&mut self, family: Family, rng: &mut Rng, values: &mut Values) -> Role {
        // Containers fill and drain in turn.
        self.actions += 1;
        let fills = (self.actions / 2000).is_multiple_of(2);
        if rng.chance(if fills { 60 } else { 40 }) {
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
            // A read of the whole set costs its size; reads of the first 300 members keep the input
            // linear in the number of operations.
            Family::GrowSet if self.members.len() > 300 => {
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

/// Makes a read after the middle return what was read `distance` reads before, or exchanges the
/// results of two takes there, `distance` takes apart, whose values were put one after the other.
fn plant_violation(items: &mut [Item], distance: usize) {
    let returns =
        |i: &usize| matches!(items[*i].role, Role::Take(_) | Role::Observe(_) | Role::ObserveAll(_));
    let returning: Vec<usize> = (0..items.len()).filter(returns).collect();
    let value = |role: Role| match role {
        Role::Put(value) | Role::Take(value) => Some(value),
        _ => None,
    };
    let puts: HashMap<Value, usize> = (0..items.len())
        .filter(|&i| matches!(items[i].role, Role::Put(_)))
        .filter_map(|i| Some((value(items[i].role)?, i)))
        .collect();
    let put = |take: usize| value(items[take].role).map(|value| items[puts[&value]]);
    let pairs =
        returning.windows(distance + 1).skip(returning.len() / 2).map(|span| (span[0], span[distance]));
    let is_telling = |&(early, late): &(usize, usize)| match (put(early), put(late)) {
        // Both were there, one put before the other, and are taken one after the other.
        (Some(a), Some(b)) => {
            let one_first = a.res < b.inv || b.res < a.inv;
            one_first && a.res.max(b.res) < items[early].inv && items[early].res < items[late].inv
        }
        _ => items[early].role != items[late].role,
    };
    let (early, late) = pairs.into_iter().find(is_telling).expect("operations enough");
    let stale = items[early].role;
    if let Role::Take(_) = stale {
        items[early].role = items[late].role;
    }
    items[late].role = stale;
}

/// Decides histories of growing size, valid ones and such with a violation.
fn measure(family: Family, clients: usize) {
    let most = asked("SHAKEDOWN_OPERATIONS", 20_000) as usize;
    let mut n = 10_000.min(most);
    while n <= most {
        let mut values = Values::new();
        let mut items = closed_loop(family, n, clients, &mut Rng(n as u64), &mut values);
        let oracle = Oracle { family, initial: initial(family), values: &values };
        let timed = |items: &[Item]| {
            let before = Instant::now();
            let decision = decide(family, items, initial(family), &values);
            (decision, before.elapsed().as_secs_f64() * 1e3)
        };
        let (decision, valid_ms) = timed(&items);
        let Decision::Valid(order) = decision else { panic!("a legal run was refused: {decision:?}") };
        if n <= 20_000 {
            oracle.replay(&items, &order).expect("the order explains the history");
        }
        // A read has to be stale by more than the slowest operation of its time.
        let is_read = matches!(family, Family::Register | Family::GrowSet);
        plant_violation(&mut items, if is_read { 3 * clients } else { clients });
        let (decision, invalid_ms) = timed(&items);
        oracle.judge_core(&items, &decision).expect("the core excludes every order");
        let Decision::Invalid { core, .. } = decision else { unreachable!("it has a core") };
        println!(
            "{family:?}, {n} operations, {clients} clients: valid {valid_ms:.1} ms, invalid {invalid_ms:.1} ms, core {core:?}"
        );
        n = if n < most { (n * 10).min(most) } else { n + 1 };
    }
}

#[test]
fn long_register_histories_are_decided_in_near_linear_time() {
    measure(Family::Register, 10);
    measure(Family::Register, 100);
}

#[test]
fn long_queue_histories_are_decided_in_near_linear_time() {
    measure(Family::Queue, 10);
    measure(Family::Queue, 100);
}

#[test]
fn long_priority_queue_histories_are_decided_in_near_linear_time() {
    measure(Family::PriorityQueue, 10);
    measure(Family::PriorityQueue, 100);
}

#[test]
fn long_stack_histories_are_decided_in_near_linear_time() {
    measure(Family::Stack, 10);
    measure(Family::Stack, 100);
}

#[test]
fn long_growing_set_histories_are_decided_in_near_linear_time() {
    measure(Family::GrowSet, 10);
}

/// As deep as the history is long, and with every operation open at once: neither is a worse case.
#[test]
fn deep_and_wide_stacks_are_decided_in_near_linear_time() {
    let n = 100_000;
    let values = Values::new();
    let role =
        |i: u32| if i < n / 2 { Role::Put(int(u64::from(i))) } else { Role::Take(int(u64::from(n - 1 - i))) };
    let deep: Vec<Item> = (0..n).map(|i| Item { inv: 2 * i, res: 2 * i + 1, role: role(i) }).collect();
    let wide: Vec<Item> = (0..n).map(|i| Item { inv: i, res: n + i, role: role(i) }).collect();
    for items in [deep, wide] {
        let Decision::Valid(order) = decide(Family::Stack, &items, Value::NIL, &values) else {
            panic!("a legal run was refused");
        };
        let mut stack = Vec::new();
        let mut time = 0;
        for &i in &order {
            let item = items[i as usize];
            assert!(time <= item.res, "{i} comes too late");
            time = time.max(item.inv);
            match item.role {
                Role::Put(value) => stack.push(value),
                role => assert_eq!(stack.pop().map(Role::Take), Some(role)),
            }
        }
        assert_eq!(order.len(), items.len());
    }
}
