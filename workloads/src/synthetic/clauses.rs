//! Histories on which deciding is searching: clauses in the guise of transactions.
//!
//! A *variable* is a key of its own with two writers, t and u; it is true if t comes first. A clause that
//! says "not all of these literals" becomes a cycle: whoever read t's version of a true variable comes before
//! u, so a chain of reads from each literal's later writer to the next literal's reader closes exactly if all
//! of them are true (Papadimitriou, J. ACM 26, 1979, §3, the other way round). Clauses that share literals
//! exclude a little more than each of them does. Writers read nothing, so that serializability and snapshot
//! isolation are the same of these histories.

use crate::random::Random;
use shakedown_checkers::history::{Event, EventKind, History, HistoryBuilder, Process};
use shakedown_checkers::value::Value;

/// Sets of literals that must not all hold.
#[derive(Clone, Debug)]
pub struct Clauses {
    variables: usize,
    /// Each literal: a variable, and whether it is true.
    forbidden: Vec<Vec<(usize, bool)>>,
}

impl Clauses {
    /// So many clauses of three literals each, drawn with that seed. The hardest have so many that an order is as
    /// likely as none: fewer than 4.26 for each variable.
    pub fn random(variables: usize, clauses: usize, seed: u64) -> Clauses {
        let mut random = Random::new(seed);
        let mut forbidden = Vec::new();
        for _ in 0..clauses {
            let mut set: Vec<(usize, bool)> = Vec::new();
            while set.len() < 3 {
                let variable = random.below(variables as u64) as usize;
                if set.iter().all(|literal| literal.0 != variable) {
                    set.push((variable, random.chance(0.5)));
                }
            }
            forbidden.push(set);
        }
        Clauses { variables, forbidden }
    }

    /// `holes + 1` pigeons, no two of which share a hole: impossible, by proofs that grow exponentially
    /// (Haken, Theoretical Computer Science 39, 1985).
    pub fn pigeons(holes: usize) -> Clauses {
        let sits = |pigeon: usize, hole: usize| pigeon * holes + hole;
        let mut forbidden = Vec::new();
        for pigeon in 0..=holes {
            forbidden.push((0..holes).map(|hole| (sits(pigeon, hole), false)).collect());
            for other in 0..pigeon {
                forbidden.extend(
                    (0..holes).map(|hole| vec![(sits(pigeon, hole), true), (sits(other, hole), true)]),
                );
            }
        }
        Clauses { variables: (holes + 1) * holes, forbidden }
    }

    /// The history: every transaction in a session of its own, all at once.
    pub fn history(&self) -> History {
        // Writers t and u of each variable, then the readers.
        let mut txns: Vec<Vec<(&str, i64, i64)>> = Vec::new();
        for variable in 0..self.variables as i64 {
            txns.extend([vec![("w", variable, 1)], vec![("w", variable, 2)]]);
        }
        let mut key = self.variables as i64;
        for set in &self.forbidden {
            let first = txns.len();
            for &(variable, holds) in set {
                txns.push(vec![("r", variable as i64, if holds { 1 } else { 2 })]);
            }
            for (at, &(variable, holds)) in set.iter().enumerate() {
                txns[2 * variable + usize::from(holds)].push(("w", key, 1));
                txns[first + (at + 1) % set.len()].push(("r", key, 1));
                key += 1;
            }
        }
        let mut builder = HistoryBuilder::new();
        let f = builder.function("txn").expect("one function");
        let mut values = Vec::new();
        for txn in &txns {
            let mut ops = Vec::new();
            for (name, key, value) in txn {
                let op = [
                    builder.values().keyword(name),
                    builder.values().int(*key),
                    builder.values().int(*value),
                ];
                ops.push(builder.values().list(&op));
            }
            values.push(builder.values().list(&ops));
        }
        for kind in [EventKind::Invoke, EventKind::Ok] {
            for (process, value) in (0..).zip(&values) {
                let process = Process::Client(process);
                let (key, error) = (None, Value::NIL);
                let event = Event { process, kind, f, key, value: *value, error, time_ns: -1, line: 0 };
                builder.push(event).expect("made to be paired");
            }
        }
        builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_checkers::options::Options;
    use shakedown_checkers::transaction::complete::{Answer, Model, Order, decide};
    use shakedown_checkers::transaction::proof::Certificate;
    use shakedown_checkers::transaction::{Kind, read};
    use shakedown_checkers::validate::isolation::validate;

    /// A serial order gives an assignment, and that satisfies every clause; where there is none, the proof holds.
    #[test]
    fn an_order_of_the_history_satisfies_the_clauses() {
        let (mut can, mut cannot) = (0, 0);
        for clauses in (0..30).map(|seed| Clauses::random(10, 36, seed)).chain([Clauses::pigeons(2)]) {
            let txns = read(&clauses.history(), Kind::Register).unwrap();
            let answer = decide(&txns, Model::Serializable, Order::Free, &Options::default());
            validate(&txns, Model::Serializable, Order::Free, &answer).unwrap();
            let Answer::Holds(Certificate::Serial(order)) = answer else {
                cannot += 1;
                continue;
            };
            can += 1;
            let place = |txn: usize| order.iter().position(|placed| *placed as usize == txn).unwrap();
            let is_true = |variable: usize| place(2 * variable) < place(2 * variable + 1);
            let all_hold = |set: &Vec<(usize, bool)>| set.iter().all(|(v, holds)| is_true(*v) == *holds);
            assert!(!clauses.forbidden.iter().any(all_hold), "{clauses:?}");
        }
        assert!(can > 5 && cannot > 5, "{can} and {cannot}");
    }
}
