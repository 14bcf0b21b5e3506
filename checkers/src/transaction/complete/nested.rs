//! From a proof by cases to one cycle, where the cases follow one from the other: each order of two versions
//! is then justified where it is used, by the path that the other order would close to a cycle.
//!
//! Only if that stays readable: [`DEPTH_MAX`] levels of "because otherwise", and [`EDGES_MAX`] edges in all.

use super::refutation::{Argument, Choice};
use crate::transaction::proof::{Because, Edge, Why};
use crate::transaction::{Action, INITIAL, Transactions, TxnId, VersionId};
use std::collections::BTreeMap;

/// How deep justifications may be nested.
const DEPTH_MAX: usize = 4;

/// How many edges there may be, those of justifications included.
const EDGES_MAX: usize = 64;

/// The same argument as one cycle, if it can be told so.
pub(super) fn nested(txns: &Transactions, argument: Argument) -> Argument {
    let cycle = match &argument {
        Argument::Cycle(_) => None,
        Argument::Cases { lemmas, .. } => nest(txns, lemmas),
    };
    cycle.map_or(argument, Argument::Cycle)
}

fn nest(txns: &Transactions, lemmas: &[Vec<Edge>]) -> Option<Vec<Edge>> {
    let choices: Vec<Vec<Choice>> = lemmas
        .iter()
        .map(|lemma| {
            let mut choices: Vec<Choice> = lemma.iter().filter_map(|edge| Choice::of(edge, txns)).collect();
            choices.sort_unstable();
            choices.dedup();
            choices
        })
        .collect();
    // Which lemma forces a choice: all of its other choices are forced, and it has this one the other way.
    let mut forced: BTreeMap<Choice, usize> = BTreeMap::new();
    loop {
        let mut found = Vec::new();
        for (at, choices) in choices.iter().enumerate() {
            let mut open = choices.iter().filter(|choice| !forced.contains_key(choice));
            match (open.next(), open.next()) {
                (None, _) => return expand(txns, lemmas, &forced, at),
                (Some(only), None) => found.push((only.reversed(), at)),
                _ => {}
            }
        }
        let before = forced.len();
        for (choice, at) in found {
            forced.entry(choice).or_insert(at);
        }
        if forced.len() == before {
            return None;
        }
    }
}

/// Replaces every case of a lemma by its justification.
fn expand(
    txns: &Transactions,
    lemmas: &[Vec<Edge>],
    forced: &BTreeMap<Choice, usize>,
    at: usize,
) -> Option<Vec<Edge>> {
    let mut left = EDGES_MAX;
    justify(txns, lemmas, forced, lemmas[at].clone(), DEPTH_MAX, &mut left)
}

/// Bounded in depth by [`DEPTH_MAX`].
fn justify(
    txns: &Transactions,
    lemmas: &[Vec<Edge>],
    forced: &BTreeMap<Choice, usize>,
    mut edges: Vec<Edge>,
    depth: usize,
    left: &mut usize,
) -> Option<Vec<Edge>> {
    *left = left.checked_sub(edges.len())?;
    for edge in &mut edges {
        let Some(choice) = Choice::of(edge, txns) else { continue };
        let path = path_without(txns, &lemmas[*forced.get(&choice)?], choice.reversed())?;
        let path = justify(txns, lemmas, forced, path, depth.checked_sub(1)?, left)?;
        if let Why::Overwrote { because, .. } | Why::Missed { because, .. } = &mut edge.why {
            *because = Because::Otherwise { path };
        }
    }
    Some(edges)
}

/// The rest of a cycle of which one edge takes `choice` for granted, from where that edge ends.
fn path_without(txns: &Transactions, cycle: &[Edge], choice: Choice) -> Option<Vec<Edge>> {
    let takes = |edge: &&Edge| Choice::of(edge, txns) == Some(choice);
    let at = cycle.iter().position(|edge| takes(&edge))?;
    let path: Vec<Edge> = cycle[at + 1..].iter().chain(&cycle[..at]).cloned().collect();
    (!path.iter().any(|edge| takes(&edge))).then_some(path)
}

/// The same as a cycle of which somebody missed something, if it has none of that kind: of two versions whose order
/// rests on a reader of the later one, the other order is the more natural reason, since the rest of the cycle
/// shows it, and what the reader then missed is what is wrong.
pub(super) fn turned(txns: &Transactions, cycle: Vec<Edge>) -> Vec<Edge> {
    if cycle.iter().any(|edge| matches!(edge.why, Why::Missed { .. })) {
        return cycle;
    }
    let turned = cycle.iter().enumerate().find_map(|(at, edge)| {
        let Why::Overwrote { because: Because::Otherwise { path }, .. } = &edge.why else { return None };
        let reader = path.last()?.to;
        if reader == edge.to {
            return None;
        }
        let (seen, after) = missed(txns, reader, edge.to, edge.from)?;
        let rest: Vec<Edge> = cycle[at + 1..].iter().chain(&cycle[..at]).cloned().collect();
        let because = Because::Otherwise { path: rest };
        let mut turned = path.clone();
        turned.push(Edge { from: reader, to: edge.from, why: Why::Missed { seen, after, because } });
        Some(turned)
    });
    turned.unwrap_or(cycle)
}

/// What `reader` read of `seen`, of a key that `missed` wrote, too; and what that wrote.
fn missed(txns: &Transactions, reader: TxnId, seen: TxnId, missed: TxnId) -> Option<(VersionId, VersionId)> {
    let ops = txns.micro_ops(reader);
    // Only the first read of a key counts, and only if the reader had not written it.
    let first = ops.iter().enumerate().filter(|(at, op)| ops[..*at].iter().all(|other| other.key != op.key));
    let reads = first.map(|(_, op)| op).filter(|op| op.action == Action::Read && op.version != INITIAL);
    reads.filter(|op| txns.writer(op.version) == seen).find_map(|read| {
        let writes = txns.micro_ops(missed).iter().rev();
        let mut writes = writes.filter(|op| op.action == Action::Write && op.key == read.key);
        Some((read.version, writes.next()?.version))
    })
}
