//! What a case is at a moment, and what can happen next.

use super::Budget;
use crate::outcome::Broke;
use shakedown_impls::protocol::{ClientId, Input, NodeId, Protocol, RequestId};
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::sync::Arc;

/// Everything at a moment: two moments that nothing could tell apart are equal.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State<P: Protocol> {
    /// By number. Shared with the states before and after, in which most nodes are the same.
    pub nodes: Vec<Arc<Node<P>>>,
    /// What is on its way, sorted; the same message may be on its way more than once.
    pub network: Vec<Envelope<P::Msg>>,
    /// By number.
    pub clients: Vec<Client>,
    /// Requests that have not arrived although their clients gave up, sorted: who, and which.
    pub late: Vec<(ClientId, RequestId)>,
    /// What clients did and saw.
    pub history: Arc<Events<P::Ret>>,
    /// The trouble that may still come.
    pub left: Budget,
    /// What is wrong with this state. Nothing happens after it.
    pub finding: Option<Finding>,
}

/// A node and what belongs to it.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Node<P: Protocol> {
    /// Its state in memory; `None` while it is down.
    pub up: Option<P>,
    /// What a crash leaves.
    pub disk: P::Durable,
    /// The timers that are set: any of them may go off at any time.
    pub timers: BTreeSet<P::Timer>,
    /// The choices it asked for, first to last: key and number of answers. It takes no other input
    /// before they are made.
    pub choices: Vec<(u32, u32)>,
}

impl<P: Protocol> Node<P> {
    /// One that has never run.
    pub(super) fn blank() -> Node<P> {
        Node { up: None, disk: P::Durable::default(), timers: BTreeSet::new(), choices: vec![] }
    }
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope<M> {
    /// The receiver.
    pub to: NodeId,
    /// The sender.
    pub from: NodeId,
    /// What it says.
    pub msg: M,
}

/// A client on its way through its script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    /// How many of its operations it has begun.
    pub begun: usize,
    /// Whether it waits for the answer to the last of them.
    pub waits: bool,
}

/// What clients did and saw, in real-time order.
///
/// Invocations that follow each other without an answer between them are sorted, and so are answers:
/// no operation precedes another by it, so histories that mean the same are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Events<R>(Vec<ClientEvent<R>>);

/// An event of a client. The operation is named by its place in the client's script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientEvent<R> {
    /// It asked.
    Invoked {
        /// Who.
        client: usize,
        /// What.
        op: usize,
    },
    /// It was answered.
    Answered {
        /// Who.
        client: usize,
        /// What it had asked.
        op: usize,
        /// The answer.
        ret: R,
    },
}

impl<R: Ord> Events<R> {
    /// Nothing yet.
    pub(super) fn new() -> Events<R> {
        Events(vec![])
    }

    pub(super) fn push(&mut self, event: ClientEvent<R>) {
        let kind = std::mem::discriminant(&event);
        let is_later = |other: &ClientEvent<R>| std::mem::discriminant(other) == kind && *other > event;
        let at = self.0.iter().rposition(|other| !is_later(other)).map_or(0, |before| before + 1);
        self.0.insert(at, event);
    }

    /// First to last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ClientEvent<R>> {
        self.0.iter()
    }
}

/// What is wrong with a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// No order of the clients' operations explains what they saw.
    Refuted,
    /// The checker gave no verdict, and why.
    Undecided(String),
    /// A node panicked, did what the boundary forbids, or broke an invariant.
    Broke(Broke),
}

impl Finding {
    /// What kind of thing: `refuted`, as in [`crate::judge::Finding::kind`].
    pub fn kind(&self) -> &'static str {
        match self {
            Finding::Refuted => "refuted",
            Finding::Undecided(_) => "undecided",
            Finding::Broke(_) => "broke",
        }
    }
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<P: Protocol> {
    /// A node takes an input: the request of a client, a message, a timer, a choice.
    Step {
        /// The node.
        node: NodeId,
        /// What it is told.
        input: Input<P>,
        /// It crashes when it has carried out so many of the effects.
        cut: Option<usize>,
    },
    /// A node that is down starts from its disk.
    Recover {
        /// The node.
        node: NodeId,
        /// It crashes again when it has carried out so many of the effects of starting.
        cut: Option<usize>,
    },
    /// A node loses what it has in memory.
    Crash {
        /// The node.
        node: NodeId,
    },
    /// A message is lost.
    Lose(Envelope<P::Msg>),
    /// A message will arrive once more.
    Duplicate(Envelope<P::Msg>),
    /// A client stops waiting and goes on with its next operation, as a new process.
    GiveUp {
        /// The client.
        client: ClientId,
    },
    /// A client asks and goes on, as a new process, before its request arrives.
    AskInVain {
        /// The client.
        client: ClientId,
        /// Which request.
        id: RequestId,
        /// What it wants.
        op: P::Op,
    },
}

impl<P: Protocol> Display for Action<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = match self {
            Action::Step { node, input, cut } => {
                match input {
                    Input::Request { client, id, op } => {
                        write!(f, "{node} hears request {} of {client}: {op:?}", id.0)?;
                    }
                    Input::Msg { from, msg } => write!(f, "{node} hears from {from}: {msg:?}")?,
                    Input::Timer(timer) => write!(f, "{node}'s timer goes off: {timer:?}")?,
                    Input::Chosen { key, pick } => write!(f, "{node}'s choice {key} falls on {pick}")?,
                }
                cut.map(|cut| (node, cut))
            }
            Action::Recover { node, cut } => {
                write!(f, "{node} starts from its disk")?;
                cut.map(|cut| (node, cut))
            }
            Action::Crash { node } => return write!(f, "{node} crashes"),
            Action::Lose(lost) => return write!(f, "lost from {} to {}: {:?}", lost.from, lost.to, lost.msg),
            Action::Duplicate(twin) => {
                return write!(f, "repeated from {} to {}: {:?}", twin.from, twin.to, twin.msg);
            }
            Action::GiveUp { client } => return write!(f, "{client} gives up waiting"),
            Action::AskInVain { client, id, op } => {
                return write!(f, "{client} makes request {} and gives up waiting: {op:?}", id.0);
            }
        };
        match cut {
            Some((node, cut)) => write!(f, "; {node} crashes after {cut} of the effects"),
            None => Ok(()),
        }
    }
}

impl<P: Protocol> State<P> {
    /// The node of that number.
    pub(super) fn node_mut(&mut self, node: NodeId) -> &mut Node<P> {
        Arc::make_mut(&mut self.nodes[usize::from(node.0)])
    }

    pub(super) fn send(&mut self, envelope: Envelope<P::Msg>) {
        let at = self.network.partition_point(|other| *other < envelope);
        self.network.insert(at, envelope);
    }

    /// # Panics
    /// If it is not on its way.
    pub(super) fn take(&mut self, envelope: &Envelope<P::Msg>) {
        let at = self.network.binary_search(envelope).expect("only what is on its way arrives or is lost");
        self.network.remove(at);
    }

    /// How many nodes are down.
    pub fn down(&self) -> usize {
        self.nodes.iter().filter(|node| node.up.is_none()).count()
    }
}
