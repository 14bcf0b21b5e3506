//! What is explored, as data.

use super::state::{ClientEvent, State};
use super::symmetry::Symmetry;
use super::{Happening, World};
use crate::operation::{Operation, Subject};
use shakedown_impls::protocol::{NodeId, Protocol};

/// What is explored. Everything in it is data: the same case has the same states.
#[derive(Clone, Debug)]
pub struct Case<P: Protocol> {
    /// How many nodes there are.
    pub nodes: u16,
    /// What they all know. Give it timeouts only where the budget lets timers go off.
    pub config: P::Config,
    /// For each client, what it asks of which node, one after the other.
    pub scripts: Vec<Vec<(NodeId, P::Op)>>,
    /// The trouble that may come.
    pub budget: Budget,
    /// What has happened before anything else may: after each of these everything that comes of it has
    /// happened, too. So a case begins where it becomes interesting.
    pub before: Vec<Happening<P>>,
    /// Which timers may go off, and where: all of them, usually.
    pub may_fire: fn(NodeId, &P::Timer) -> bool,
    /// What must hold of the nodes at all times, whatever clients see.
    pub invariants: Option<Invariants<P>>,
    /// What should happen in some state, beside what should in any case.
    pub sometimes: Vec<Sometimes<P>>,
    /// What some node should remark at some time: kinds of [notes](shakedown_impls::protocol::Note).
    pub remarks: Vec<&'static str>,
    /// Whether some client waits in vain: of what it would take, not all can happen here.
    pub is_in_vain: bool,
    /// Which nodes are alike, if any are to be taken for each other.
    pub(super) symmetry: Option<Symmetry<P>>,
}

/// How often each kind of trouble may come, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// A node loses what it has in memory. It may start again at any later time.
    pub crashes: u32,
    /// A message is lost.
    pub losses: u32,
    /// A message arrives once more.
    pub duplications: u32,
    /// A timer goes off.
    pub firings: u32,
    /// A client stops waiting for an answer and goes on with its next operation. Its request may not
    /// even have arrived, and may do so later.
    pub timeouts: u32,
    /// A request arrives once more, at any node.
    pub repeats: u32,
}

/// What must always hold of nodes between their steps, when everything that they wanted done is done.
///
/// A node that is down is no node: what it knew is gone, and what is on its disk it will say when it is
/// up again. So an invariant never sees a state that is ahead of its disk, unless the protocol leaves it
/// so on purpose.
#[derive(Debug)]
pub struct Invariants<P: Protocol> {
    /// Of all nodes at one moment, by number; `None` stands for one that is down.
    pub of_nodes: fn(&[Option<&P>]) -> Result<(), Broken>,
    /// Of one node before and after a step.
    pub of_step: fn(&P, &P) -> Result<(), String>,
}

/// What must not be, and with which node.
pub type Broken = (NodeId, String);

// Not derived: it would ask for clones of `P`, of which there are none here.
impl<P: Protocol> Clone for Invariants<P> {
    fn clone(&self) -> Invariants<P> {
        *self
    }
}

impl<P: Protocol> Copy for Invariants<P> {}

/// What should happen in some state, or the exploration says little: its name, and whether it does.
pub type Sometimes<P> = (&'static str, fn(&World<P>, &State<P>) -> bool);

impl<P: Protocol> Case<P> {
    /// A cluster without clients and without trouble.
    pub fn new(nodes: u16, config: P::Config) -> Case<P> {
        Case {
            nodes,
            config,
            scripts: vec![],
            budget: Budget::default(),
            before: vec![],
            may_fire: |_, _| true,
            invariants: None,
            sometimes: vec![],
            remarks: vec![],
            is_in_vain: false,
            symmetry: None,
        }
    }

    /// One more client, with what it asks of which node, one after the other.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn client(mut self, script: impl IntoIterator<Item = (NodeId, P::Op)>) -> Case<P> {
        let script: Vec<_> = script.into_iter().collect();
        let nodes = self.nodes;
        assert!(script.iter().all(|(node, _)| node.0 < nodes), "a client asks a node that does not exist");
        self.scripts.push(script);
        self
    }

    /// With that much trouble.
    pub fn budget(mut self, budget: Budget) -> Case<P> {
        self.budget = budget;
        self
    }

    /// Beginning when that has happened as well, and all that came of it.
    pub fn after(mut self, happening: Happening<P>) -> Case<P> {
        self.before.push(happening);
        self
    }

    /// No timers go off but those that `may_fire` says.
    pub fn firing(mut self, may_fire: fn(NodeId, &P::Timer) -> bool) -> Case<P> {
        self.may_fire = may_fire;
        self
    }

    /// With something that must always hold.
    pub fn always(mut self, invariants: Invariants<P>) -> Case<P> {
        self.invariants = Some(invariants);
        self
    }

    /// In which some client waits in vain: of what it would take, not all can happen here.
    pub fn in_vain(mut self) -> Case<P> {
        self.is_in_vain = true;
        self
    }

    /// With something that should happen in some state.
    pub fn sometimes(mut self, name: &'static str, is_so: fn(&World<P>, &State<P>) -> bool) -> Case<P> {
        self.sometimes.push((name, is_so));
        self
    }

    /// With something that some node should remark.
    pub fn remarks(mut self, kind: &'static str) -> Case<P> {
        self.remarks.push(kind);
        self
    }
}

/// Without it nothing could be wrong with what clients see.
fn an_answer_shows_effect<P: Subject>() -> Sometimes<P> {
    ("an answer shows what another operation did", |world, state| {
        state.history.iter().any(|event| match event {
            ClientEvent::Answered { client, op, ret } => world.case.scripts[*client][*op].1.shows_effect(ret),
            ClientEvent::Invoked { .. } => false,
        })
    })
}

impl<P: Subject> Case<P> {
    /// With an answer that shows what another operation did. A case without invariants should have one
    /// anyway: nothing could be wrong with it otherwise.
    pub fn showing_effect(mut self) -> Case<P> {
        self.sometimes.push(an_answer_shows_effect());
        self
    }

    /// All that should happen in some state.
    pub(super) fn all_sometimes(&self) -> Vec<Sometimes<P>> {
        let mut all: Vec<Sometimes<P>> = vec![];
        if !self.scripts.is_empty() && !self.is_in_vain {
            all.push(("every client is answered everything", |world, state| {
                let answers = state.history.iter().filter(|e| matches!(e, ClientEvent::Answered { .. }));
                answers.count() == world.case.scripts.iter().map(Vec::len).sum::<usize>()
            }));
        }
        if self.invariants.is_none() {
            all.push(an_answer_shows_effect());
        }
        if self.budget.crashes > 0 {
            all.push(("a node crashes and starts again", |world, state| {
                state.down() < (world.case.budget.crashes - state.left.crashes) as usize
            }));
        }
        all.extend(&self.sometimes);
        all
    }
}
