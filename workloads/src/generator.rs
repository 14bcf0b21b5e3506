//! What clients ask, and when, as data: generators compose, print, and give the same operations for the
//! same seed.
//!
//! In the style of Jepsen's generators (Kingsbury, `jepsen.generator`), with one difference: they are
//! run before the cluster is, so that what is asked does not depend on what was answered, and a
//! failing run can be made smaller by leaving operations out.
//!
//! ```
//! use shakedown_workloads::generator::Generator;
//! use shakedown_workloads::object::register::Kind;
//!
//! // Writes for half a second, one every 5 ms on average; then 20 reads.
//! let load = Generator::Phases(vec![
//!     Generator::Always(Kind::Write).every_us(5_000).until_ms(500),
//!     Generator::Always(Kind::Read).every_us(1_000).limit(20),
//! ]);
//! # let _ = load;
//! ```

use crate::operation::Operation;
use crate::random::{Draws, Random};
use crate::scenario::Request;
use serde::{Deserialize, Serialize};

/// A source of operations, of kinds `K`, for one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generator<K> {
    /// This kind, for ever.
    Always(K),
    /// One of these at a time, by weight; when one has no more, the others go on.
    Mix(Vec<(u32, Generator<K>)>),
    /// One after the other, each to its end.
    Phases(Vec<Generator<K>>),
    /// So many operations.
    Limit(u32, Box<Generator<K>>),
    /// What falls due before that time, in milliseconds from the start of the run.
    Until(u64, Box<Generator<K>>),
    /// Exponentially distributed gaps of so many microseconds on average between when one operation is
    /// due and the next. Without it each is due at once: a client asks as fast as it is answered.
    Every(u64, Box<Generator<K>>),
}

/// What no client asks more than in one run.
const OPERATIONS_MAX: usize = 100_000;

impl<K: Clone> Generator<K> {
    /// At most `operations` of them.
    pub fn limit(self, operations: u32) -> Generator<K> {
        Generator::Limit(operations, Box::new(self))
    }

    /// Until `ms` milliseconds from the start of the run.
    pub fn until_ms(self, ms: u64) -> Generator<K> {
        Generator::Until(ms, Box::new(self))
    }

    /// One every `us` microseconds on average.
    pub fn every_us(self, us: u64) -> Generator<K> {
        Generator::Every(us, Box::new(self))
    }

    /// The same with kinds made of its kinds.
    pub fn map<L>(self, f: &impl Fn(K) -> L) -> Generator<L> {
        match self {
            Generator::Always(kind) => Generator::Always(f(kind)),
            Generator::Mix(parts) => {
                Generator::Mix(parts.into_iter().map(|(weight, of)| (weight, of.map(f))).collect())
            }
            Generator::Phases(phases) => Generator::Phases(phases.into_iter().map(|of| of.map(f)).collect()),
            Generator::Limit(operations, of) => Generator::Limit(operations, Box::new(of.map(f))),
            Generator::Until(ms, of) => Generator::Until(ms, Box::new(of.map(f))),
            Generator::Every(us, of) => Generator::Every(us, Box::new(of.map(f))),
        }
    }

    /// The next operation, the last having been due at `now_us`: when it is due, and its kind.
    fn next(&mut self, now_us: u64, random: &mut Random) -> Option<(u64, K)> {
        match self {
            Generator::Always(kind) => Some((now_us, kind.clone())),
            Generator::Mix(parts) => loop {
                if parts.iter().all(|(weight, _)| *weight == 0) {
                    return None;
                }
                let weights: Vec<u32> = parts.iter().map(|(weight, _)| *weight).collect();
                let at = random.weighted(&weights);
                if let Some(next) = parts[at].1.next(now_us, random) {
                    return Some(next);
                }
                parts.remove(at);
            },
            Generator::Phases(phases) => loop {
                if let Some(next) = phases.first_mut()?.next(now_us, random) {
                    return Some(next);
                }
                phases.remove(0);
            },
            Generator::Limit(0, _) => None,
            Generator::Limit(left, of) => {
                *left -= 1;
                of.next(now_us, random)
            }
            Generator::Until(ms, of) => of.next(now_us, random).filter(|(due_us, _)| *due_us < *ms * 1_000),
            Generator::Every(us, of) => of.next(now_us + random.duration((*us).max(1)), random),
        }
    }
}

/// Who asks what.
pub(crate) struct Load<'l, K> {
    /// For each client, what it asks.
    pub(crate) clients: Vec<&'l Generator<K>>,
    pub(crate) keys: u32,
    pub(crate) nodes: u16,
    /// Nothing is asked from then on.
    pub(crate) length_ms: u64,
}

/// What each client asks.
pub(crate) fn scripts<Op: Operation>(load: &Load<'_, Op::Kind>, seed: u64) -> Vec<Vec<Request<Op>>> {
    let &Load { keys, nodes, length_ms, .. } = load;
    let mut fresh = 0;
    let script = |(client, generator): (u64, &&Generator<Op::Kind>)| {
        let mut generator = Generator::clone(generator);
        let mut random = Random::stream(seed, "script", client);
        let mut script: Vec<Request<Op>> = vec![];
        let mut now_us = 0;
        while script.len() < OPERATIONS_MAX {
            let Some((due_us, kind)) = generator.next(now_us, &mut random) else { break };
            if due_us >= length_ms * 1_000 {
                break;
            }
            now_us = due_us;
            let op = Op::of_kind(&kind, &mut Draws { random: &mut random, keys, nodes, fresh: &mut fresh });
            script.push(Request { due_us, op });
        }
        script
    };
    (0..).zip(&load.clients).map(script).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::register::Kind;
    use shakedown_impls::object::register::Op;

    fn asked(generator: &Generator<Kind>, seed: u64) -> Vec<Vec<Request<Op>>> {
        scripts(&Load { clients: vec![generator; 3], keys: 2, nodes: 3, length_ms: 1_000 }, seed)
    }

    fn writes(script: &[Request<Op>]) -> usize {
        script.iter().filter(|request| matches!(request.op, Op::Write { .. })).count()
    }

    #[test]
    fn phases_limits_and_times_are_kept() {
        let load = Generator::Phases(vec![
            Generator::Always(Kind::Write).every_us(5_000).until_ms(500),
            Generator::Always(Kind::Read).every_us(1_000).limit(20),
        ]);
        for script in asked(&load, 1) {
            let reads = script.iter().skip_while(|request| matches!(request.op, Op::Write { .. }));
            assert_eq!(reads.clone().count(), 20);
            assert_eq!(writes(&script), script.len() - 20);
            assert!((60..140).contains(&writes(&script)), "100 writes on average, not {}", writes(&script));
            assert!(script[..script.len() - 20].iter().all(|request| request.due_us < 500_000));
            assert!(script.is_sorted_by_key(|request| request.due_us));
        }
    }

    #[test]
    fn a_mix_goes_on_when_a_part_has_ended() {
        let load = Generator::Mix(vec![
            (9, Generator::Always(Kind::Write).limit(5)),
            (1, Generator::Always(Kind::Read)),
        ]);
        for script in asked(&load.limit(100), 1) {
            assert_eq!((script.len(), writes(&script)), (100, 5));
        }
    }

    #[test]
    fn a_seed_gives_the_same_operations_and_no_value_twice() {
        let load = Op::usual(4_000);
        assert_eq!(asked(&load, 1), asked(&load, 1));
        assert_ne!(asked(&load, 1), asked(&load, 2));
        let scripts = asked(&load, 1);
        assert_ne!(scripts[0], scripts[1]);
        let mut values: Vec<u64> = scripts
            .iter()
            .flatten()
            .filter_map(|request| match request.op {
                Op::Write { value, .. } => Some(value),
                Op::Read { .. } => None,
            })
            .collect();
        let count = values.len();
        values.sort_unstable();
        values.dedup();
        assert!(count > 100 && values.len() == count);
    }

    #[test]
    fn a_load_without_gaps_ends() {
        let scripts = asked(&Generator::Always(Kind::Read), 1);
        assert!(scripts.iter().all(|script| script.len() == OPERATIONS_MAX));
    }
}
