//! What has happened before a case begins.
//!
//! Half of the schedules of a small cluster are about how its first leader is elected. A case about
//! something else begins behind that: a timer goes off or a request arrives, and every message that comes
//! of it arrives, in one order of many.

use super::Case;
use super::heard::Heard;
use super::judge::Judge;
use super::state::{Action, Envelope, Node, State};
use crate::operation::Subject;
use shakedown_impls::protocol::{ClientId, Input, NodeId, Protocol, RequestId};
use std::fmt::{self, Display};

/// Messages that may come of one thing; a protocol that sends more would do so for ever.
const MESSAGES_MAX: usize = 1_000;

/// Something that happens before anything else may.
#[derive(Clone, Debug)]
pub struct Happening<P: Protocol> {
    /// What happens first.
    pub first: First<P>,
    /// Which messages arrive, if not all.
    pub only: Option<Only<P>>,
    /// Which of those that are late are lost after all.
    pub loses: Option<Lost<P>>,
}

/// Which messages are lost: in words, and whether a message is one of those.
pub type Lost<P> = (&'static str, fn(&Envelope<<P as Protocol>::Msg>) -> bool);

/// Which messages arrive.
#[derive(Debug)]
pub struct Only<P: Protocol> {
    /// In words: `those about votes`.
    pub which: &'static str,
    /// Whether a message is one of those.
    pub arrives: fn(&Envelope<P::Msg>) -> bool,
    /// Whether the others are lost. Else they are late.
    pub are_others_lost: bool,
}

// Not derived: it would ask for clones of `P`, of which there are none here.
impl<P: Protocol> Clone for Only<P> {
    fn clone(&self) -> Only<P> {
        *self
    }
}

impl<P: Protocol> Copy for Only<P> {}

/// What happens without a message.
#[derive(Clone, Debug, PartialEq)]
pub enum First<P: Protocol> {
    /// A timer of a node goes off.
    Timer(NodeId, P::Timer),
    /// A client asks what is next in its script.
    Request(ClientId),
    /// A new, empty node takes the place and the number of one, which nobody may still count on.
    Replacement(NodeId),
}

impl<P: Protocol> Happening<P> {
    /// A timer goes off.
    pub fn timer(node: NodeId, timer: P::Timer) -> Happening<P> {
        Happening { first: First::Timer(node, timer), only: None, loses: None }
    }

    /// A client asks what is next in its script.
    pub fn request(client: u32) -> Happening<P> {
        Happening { first: First::Request(ClientId(client)), only: None, loses: None }
    }

    /// A new, empty node takes the place of one.
    pub fn replacement(node: NodeId) -> Happening<P> {
        Happening { first: First::Replacement(node), only: None, loses: None }
    }

    /// Only these messages arrive, and the others are lost; `which` says it in words.
    pub fn only(self, which: &'static str, arrives: fn(&Envelope<P::Msg>) -> bool) -> Happening<P> {
        Happening { only: Some(Only { which, arrives, are_others_lost: true }), ..self }
    }

    /// Only these messages arrive, and the others are still on their way when the case begins.
    pub fn but_late(self, which: &'static str, arrives: fn(&Envelope<P::Msg>) -> bool) -> Happening<P> {
        Happening { only: Some(Only { which, arrives, are_others_lost: false }), ..self }
    }

    /// Of the messages that are late, some are lost after all; `which` says it in words.
    pub fn losing(self, which: &'static str, is_lost: fn(&Envelope<P::Msg>) -> bool) -> Happening<P> {
        Happening { loses: Some((which, is_lost)), ..self }
    }
}

impl<P: Protocol> Display for Happening<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.first {
            First::Timer(node, timer) => write!(f, "{node}'s timer goes off: {timer:?}")?,
            First::Request(client) => write!(f, "{client} asks what is next in its script")?,
            First::Replacement(node) => write!(f, "{node} is replaced by an empty one")?,
        }
        match self.only {
            None => f.write_str("; all messages arrive that come of it")?,
            Some(Only { which, are_others_lost: true, .. }) => write!(f, "; of all messages {which} arrive")?,
            Some(Only { which, .. }) => write!(f, "; of all messages {which} arrive, the others are late")?,
        }
        if let Some((which, _)) = self.loses {
            write!(f, "; lost are {which}")?;
        }
        Ok(())
    }
}

impl<P: Subject> Case<P> {
    /// Where a mistake shows already, the case begins with what was found.
    pub(super) fn happen(&self, state: &mut State<P>, happening: &Happening<P>) {
        let (judge, heard) = (Judge::new(), Heard::default());
        if let First::Replacement(node) = happening.first {
            *state.node_mut(node) = Node::blank();
            self.boot(state, node, None, &heard);
        }
        let mut next = self.first_step(state, &happening.first);
        for _ in 0..MESSAGES_MAX {
            let Some((node, input)) = next else { break };
            *state = self.then(state, Action::Step { node, input, cut: None }, &judge, &heard);
            if state.finding.is_some() {
                return;
            }
            let arrives = happening.only.map_or((|_| true) as fn(&_) -> bool, |only| only.arrives);
            if happening.only.is_some_and(|only| only.are_others_lost) {
                state.network.retain(arrives);
            }
            next =
                state.network.iter().find(|envelope| arrives(envelope)).map(|envelope| {
                    (envelope.to, Input::Msg { from: envelope.from, msg: envelope.msg.clone() })
                });
        }
        if let Some((_, is_lost)) = happening.loses {
            state.network.retain(|envelope| !is_lost(envelope));
        }
    }

    /// `None`: it cannot happen, as after mistakes that leave a timer out.
    fn first_step(&self, state: &mut State<P>, first: &First<P>) -> Option<(NodeId, Input<P>)> {
        match first {
            First::Replacement(_) => None,
            First::Timer(node, timer) => {
                if !state.nodes[usize::from(node.0)].timers.contains(timer) {
                    return None;
                }
                state.left.firings += 1; // It is no trouble that comes in the case.
                Some((*node, Input::Timer(timer.clone())))
            }
            First::Request(client) => {
                let at = client.0 as usize;
                let (begun, waits) = (state.clients[at].begun, state.clients[at].waits);
                let (node, op) = self.scripts[at].get(begun).filter(|_| !waits)?;
                Some((*node, Input::Request { client: *client, id: RequestId(begun as u64), op: op.clone() }))
            }
        }
    }
}
