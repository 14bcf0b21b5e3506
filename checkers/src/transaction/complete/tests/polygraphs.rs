//! Questions that no inference settles: histories made from clauses.
//!
//! A *variable* is a key of its own with two writers, t and u; it is true if t comes first. A clause that
//! says "not all of these literals" becomes a cycle: whoever read t's version of a true variable comes before
//! u, so a chain of reads from each literal's later writer to the next literal's reader closes exactly if all
//! of them are true. That is Papadimitriou's reduction (1979, §3), the other way round. The oracle tries all
//! assignments.

use super::histories::{Happening, Op};
use crate::history::EventKind;

/// A variable, and whether it is true.
pub(super) type Literal = (usize, bool);

/// Sets of literals that must not all hold.
#[derive(Clone, Debug)]
pub(super) struct Polygraph {
    pub(super) variables: usize,
    pub(super) forbidden: Vec<Vec<Literal>>,
}

impl Polygraph {
    /// The history, in which everything overlaps.
    pub(super) fn history(&self) -> Vec<Happening> {
        // Writers t and u of each variable, then the readers.
        let mut txns: Vec<Vec<Op>> = Vec::new();
        for variable in 0..self.variables as i64 {
            txns.extend([vec![('w', variable, 1)], vec![('w', variable, 2)]]);
        }
        let mut key = self.variables as i64;
        for set in &self.forbidden {
            let first = txns.len();
            for &(variable, holds) in set {
                txns.push(vec![('r', variable as i64, if holds { 1 } else { 2 })]);
            }
            for (at, &(variable, holds)) in set.iter().enumerate() {
                txns[2 * variable + usize::from(holds)].push(('w', key, 1));
                txns[first + (at + 1) % set.len()].push(('r', key, 1));
                key += 1;
            }
        }
        [EventKind::Invoke, EventKind::Ok]
            .into_iter()
            .flat_map(|kind| {
                (0..).zip(&txns).map(move |(process, ops)| Happening {
                    process,
                    kind,
                    ops: ops.clone(),
                    stamps: None,
                })
            })
            .collect()
    }

    /// Whether some assignment leaves the arcs without a cycle. The same under every model, since writers
    /// read nothing.
    pub(super) fn is_satisfiable(&self) -> bool {
        (0..1_u32 << self.variables).any(|assignment| self.is_acyclic(assignment))
    }

    fn is_acyclic(&self, assignment: u32) -> bool {
        let holds = |variable: usize| assignment >> variable & 1 == 1;
        let readers: usize = self.forbidden.iter().map(Vec::len).sum();
        let mut arcs: Vec<(usize, usize)> = Vec::new();
        let mut reader = 2 * self.variables;
        for variable in 0..self.variables {
            let (t, u) = (2 * variable, 2 * variable + 1);
            arcs.push(if holds(variable) { (t, u) } else { (u, t) });
        }
        for set in &self.forbidden {
            for (at, &(variable, value)) in set.iter().enumerate() {
                let (seen, other) =
                    if value { (2 * variable, 2 * variable + 1) } else { (2 * variable + 1, 2 * variable) };
                arcs.push((seen, reader + at));
                if holds(variable) == value {
                    arcs.push((reader + at, other));
                }
                arcs.push((other, reader + (at + 1) % set.len()));
            }
            reader += set.len();
        }
        // Takes away whatever nothing leads to, as long as there is any.
        let mut left = vec![true; 2 * self.variables + readers];
        loop {
            let has_arc = |node: usize| arcs.iter().any(|&(from, to)| to == node && left[from] && left[to]);
            let Some(node) = (0..left.len()).find(|&node| left[node] && !has_arc(node)) else {
                return left.iter().all(|left| !left);
            };
            left[node] = false;
        }
    }
}

/// No two of `holes + 1` pigeons share one of so many holes: unsatisfiable, with proofs that only grow long.
pub(super) fn pigeons(holes: usize) -> Polygraph {
    let sits = |pigeon: usize, hole: usize| pigeon * holes + hole;
    let mut forbidden = Vec::new();
    for pigeon in 0..=holes {
        forbidden.push((0..holes).map(|hole| (sits(pigeon, hole), false)).collect());
        for other in 0..pigeon {
            forbidden
                .extend((0..holes).map(|hole| vec![(sits(pigeon, hole), true), (sits(other, hole), true)]));
        }
    }
    Polygraph { variables: (holes + 1) * holes, forbidden }
}
