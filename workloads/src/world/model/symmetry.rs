//! Nodes that are alike, taken for each other.
//!
//! If the names of two nodes can be exchanged without a difference to anything, what can happen in a
//! state can happen in its mirror image. So only one of each class of images is gone on from: the one
//! with the least hash, among those that put the nodes in the order of what can be told of each without
//! names. (Two images with one hash would both be gone on from, which costs time only.)
//!
//! That is sound only where the nodes *are* alike: the protocol is [`Symmetric`], no client asks one of
//! them, timers go off at all of them or none, what happened before the case begins is the same under
//! other names, and what must always hold does not go by names. The first two are looked at here; for
//! the rest, [`Case::interchangeable`] takes the word of whoever writes the case, and a test can compare
//! what is reachable with and without.
//!
//! A path through representatives changes names on the way, and would be unreadable: [`unfolded`] takes
//! the changes back.

use super::Case;
use super::heard::Heard;
use super::judge::Judge;
use super::state::{Action, Envelope, Node, State};
use crate::operation::Subject;
use shakedown_impls::protocol::{Input, NodeId, Protocol, Symmetric};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Which nodes are alike.
#[derive(Debug)]
pub(super) struct Symmetry<P: Protocol> {
    /// All ways to name them: the new number of each node, by its old one. The first changes nothing.
    namings: Vec<Naming>,
    /// Those that are alike.
    alike: Vec<NodeId>,
    /// What can be told of a node without naming any: the same under all names.
    character: fn(&State<P>, NodeId) -> u64,
    of_state: fn(&State<P>, &Naming) -> State<P>,
    of_action: fn(&Action<P>, &Naming) -> Action<P>,
}

/// New numbers for nodes, by their old ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Naming(Vec<NodeId>);

impl Naming {
    fn of(&self, node: NodeId) -> NodeId {
        self.0[usize::from(node.0)]
    }

    /// First this, then `other`.
    fn then(&self, other: &Naming) -> Naming {
        Naming(self.0.iter().map(|&node| other.of(node)).collect())
    }

    fn inverse(&self) -> Naming {
        let mut inverse = self.0.clone();
        for (old, new) in self.0.iter().enumerate() {
            inverse[usize::from(new.0)] = NodeId(old as u16);
        }
        Naming(inverse)
    }
}

impl<P: Protocol> Clone for Symmetry<P> {
    fn clone(&self) -> Symmetry<P> {
        let Symmetry { namings, alike, character, of_state, of_action } = self;
        let (namings, alike) = (namings.clone(), alike.clone());
        Symmetry { namings, alike, character: *character, of_state: *of_state, of_action: *of_action }
    }
}

impl<P: Protocol> Symmetry<P> {
    /// The namings that put the nodes in the order of their characters: one, unless some have the same.
    /// Images under all namings need not be made then.
    fn namings_of(&self, state: &State<P>) -> Vec<&Naming> {
        let characters: Vec<u64> = self.alike.iter().map(|&node| (self.character)(state, node)).collect();
        let is_sorted = |naming: &&Naming| {
            let mut by_number: Vec<(NodeId, u64)> =
                self.alike.iter().map(|&node| naming.of(node)).zip(characters.iter().copied()).collect();
            by_number.sort_unstable();
            by_number.is_sorted_by_key(|&(_, character)| character)
        };
        self.namings.iter().filter(is_sorted).collect()
    }
}

impl<P: Symmetric> Case<P> {
    /// Takes these nodes for each other: see the module's text for when that is sound.
    ///
    /// # Panics
    /// If a client asks one of them.
    pub fn interchangeable(mut self, alike: impl IntoIterator<Item = NodeId>) -> Case<P> {
        let alike: Vec<NodeId> = alike.into_iter().collect();
        let asked = self.scripts.iter().flatten().find(|(node, _)| alike.contains(node));
        assert!(asked.is_none(), "a client asks a node that is to be like others: {asked:?}");
        let identity: Vec<NodeId> = (0..self.nodes).map(NodeId).collect();
        let mut namings = vec![Naming(identity)];
        // All permutations: each node in turn changes its number with each of those before it.
        for (i, &node) in alike.iter().enumerate() {
            for at in 0..namings.len() {
                for &other in &alike[..i] {
                    let mut naming = namings[at].clone();
                    naming.0.swap(usize::from(node.0), usize::from(other.0));
                    namings.push(naming);
                }
            }
        }
        self.symmetry =
            Some(Symmetry { namings, alike, character, of_state: renamed_state, of_action: renamed_action });
        self
    }
}

impl<P: Subject> Case<P> {
    /// The one that stands for all that are the same but for the names of nodes.
    pub(super) fn representative(&self, state: State<P>) -> State<P> {
        self.represented(state).0
    }

    fn represented(&self, state: State<P>) -> (State<P>, Option<&Naming>) {
        let Some(symmetry) = &self.symmetry else { return (state, None) };
        if state.finding.is_some() {
            return (state, None); // Nothing happens after it, and it says a name.
        }
        let namings = symmetry.namings_of(&state);
        if let [naming] = namings[..] {
            return ((symmetry.of_state)(&state, naming), Some(naming));
        }
        let images = namings.into_iter().map(|naming| ((symmetry.of_state)(&state, naming), naming));
        let least = images.min_by_key(|(image, _)| hash_of(image)).expect("there is one naming at least");
        (least.0, Some(least.1))
    }
}

/// A path through representatives as a path that could be taken without them.
pub(super) fn unfolded<P: Subject>(case: &Case<P>, path: Vec<Action<P>>) -> Vec<Action<P>> {
    let Some(symmetry) = &case.symmetry else { return path };
    let (judge, heard) = (Judge::new(), Heard::default());
    let (mut state, first) = case.represented(case.start());
    // What the names in the real state have become in the representative.
    let mut names = first.expect("nothing is wrong with the start").clone();
    let mut real = vec![];
    for action in path {
        real.push((symmetry.of_action)(&action, &names.inverse()));
        let (next, naming) = case.represented(case.then(&state, action, &judge, &heard));
        names = naming.map_or_else(|| names.clone(), |naming| names.then(naming));
        state = next;
    }
    real
}

pub(super) fn hash_of(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Its disk, its timers, and the messages to it and from it, with all other nodes called the same.
fn character<P: Symmetric>(state: &State<P>, node: NodeId) -> u64 {
    let number = |other| if other == node { NodeId(0) } else { NodeId(1) };
    let Node { up, disk, timers, choices } = &*state.nodes[usize::from(node.0)];
    let own = hash_of(&(up.is_some(), P::renamed_disk(disk, &number), timers, choices));
    let is_its = |envelope: &&Envelope<P::Msg>| envelope.to == node || envelope.from == node;
    let messages = state
        .network
        .iter()
        .filter(is_its)
        .map(|envelope| hash_of(&(envelope.to == node, P::renamed_msg(&envelope.msg, &number))));
    // In any order.
    messages.fold(own, u64::wrapping_add)
}

fn renamed_state<P: Symmetric>(state: &State<P>, naming: &Naming) -> State<P> {
    let number = |node| naming.of(node);
    let mut nodes = state.nodes.clone();
    for (old, node) in state.nodes.iter().enumerate() {
        nodes[usize::from(naming.0[old].0)] = Arc::new(Node {
            up: node.up.as_ref().map(|up| up.renamed(&number)),
            disk: P::renamed_disk(&node.disk, &number),
            timers: node.timers.clone(),
            choices: node.choices.clone(),
        });
    }
    let mut network: Vec<_> =
        state.network.iter().map(|envelope| renamed_envelope::<P>(envelope, naming)).collect();
    network.sort();
    State { nodes, network, ..state.clone() }
}

fn renamed_envelope<P: Symmetric>(envelope: &Envelope<P::Msg>, naming: &Naming) -> Envelope<P::Msg> {
    let Envelope { to, from, msg } = envelope;
    let msg = P::renamed_msg(msg, &|node| naming.of(node));
    Envelope { to: naming.of(*to), from: naming.of(*from), msg }
}

fn renamed_action<P: Symmetric>(action: &Action<P>, naming: &Naming) -> Action<P> {
    match action.clone() {
        Action::Step { node, input, cut } => {
            let input = match input {
                Input::Msg { from, msg } => {
                    let msg = P::renamed_msg(&msg, &|node| naming.of(node));
                    Input::Msg { from: naming.of(from), msg }
                }
                other => other,
            };
            Action::Step { node: naming.of(node), input, cut }
        }
        Action::Recover { node, cut } => Action::Recover { node: naming.of(node), cut },
        Action::Crash { node } => Action::Crash { node: naming.of(node) },
        Action::Lose(envelope) => Action::Lose(renamed_envelope::<P>(&envelope, naming)),
        Action::Duplicate(envelope) => Action::Duplicate(renamed_envelope::<P>(&envelope, naming)),
        other => other,
    }
}
