//! From a proof by cases to one cycle, where the cases follow one from the other: each order of two versions
//! is then justified where it is used, by the path that the other order would close to a cycle.
//!
//! Only if that stays readable: [`DEPTH_MAX`] levels of "because otherwise", and [`EDGES_MAX`] edges in all.

use super::refutation::{Argument, Choice};
use crate::transaction::Transactions;
use crate::transaction::proof::{Because, Edge, Why};
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
