//! The boundary: what a pattern that passes messages is, for every world that runs it.
//!
//! A protocol is a state machine. It is handed inputs and answers with effects; it never reads a
//! clock, sends a packet, opens a file or draws a number itself. So the same type is model-checked,
//! simulated, served over sockets and benchmarked, and a run is the same whenever its inputs are.
//!
//! # A protocol in sixty lines
//!
//! Nodes count. A client may ask any node to add one; the node makes it durable, tells the others
//! until they have heard, and answers with the number of additions it knows of.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use shakedown_impls::protocol::{Durable, Effect, Input, NodeId, Protocol, Time, after_ms};
//! use std::collections::BTreeMap;
//!
//! /// How many additions each node has taken: the largest number known of each is right.
//! #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
//! struct Counts(BTreeMap<NodeId, u64>);
//!
//! impl Durable for Counts {
//!     type Record = (NodeId, u64);
//!     fn replay(&mut self, (node, count): &(NodeId, u64)) {
//!         let known = self.0.entry(*node).or_default();
//!         *known = (*known).max(*count);
//!     }
//! }
//!
//! #[derive(Clone, Debug, PartialEq, Hash)]
//! struct Counter {
//!     id: NodeId,
//!     counts: Counts,
//! }
//!
//! impl Protocol for Counter {
//!     type Config = u16; // how many nodes there are
//!     type Msg = Counts;
//!     type Timer = ();
//!     type Op = ();
//!     type Ret = u64;
//!     type Durable = Counts;
//!
//!     fn boot(_: &u16, id: NodeId, disk: &Counts, out: &mut Vec<Effect<Self>>) -> Counter {
//!         out.push(Effect::SetTimer { timer: (), after: after_ms(10..20) });
//!         Counter { id, counts: disk.clone() }
//!     }
//!
//!     fn step(&mut self, nodes: &u16, _: Time, input: Input<Self>, out: &mut Vec<Effect<Self>>) {
//!         match input {
//!             Input::Request { client, id, op: () } => {
//!                 let mine = self.counts.0.get(&self.id).copied().unwrap_or(0) + 1;
//!                 self.counts.replay(&(self.id, mine));
//!                 // Durable before anybody hears of it: what follows waits for it.
//!                 out.push(Effect::Persist((self.id, mine)));
//!                 out.push(Effect::Reply { client, id, ret: self.counts.0.values().sum() });
//!             }
//!             Input::Msg { msg, .. } => {
//!                 for record in msg.0 {
//!                     self.counts.replay(&record);
//!                 }
//!             }
//!             Input::Timer(()) => {
//!                 for to in (0..*nodes).map(NodeId).filter(|&to| to != self.id) {
//!                     out.push(Effect::Send { to, msg: self.counts.clone() });
//!                 }
//!                 out.push(Effect::SetTimer { timer: (), after: after_ms(10..20) });
//!             }
//!             Input::Chosen { .. } => unreachable!("it never asked for a choice"),
//!         }
//!     }
//! }
//!
//! // A world in three lines: boot a node, hand it a request, look at the effects.
//! let mut out = vec![];
//! let mut node = Counter::boot(&3, NodeId(0), &Counts::default(), &mut out);
//! let request = Input::Request { client: 7.into(), id: 1.into(), op: () };
//! out.clear();
//! node.step(&3, Time(0), request, &mut out);
//! assert!(matches!(&out[..], [Effect::Persist(_), Effect::Reply { ret: 1, .. }]));
//! ```

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug, Display};
use std::hash::Hash;
use std::ops::Range;
use std::time::Duration;

/// What travels, is stored or is compared in any world: messages, timers, operations, records.
pub trait Data:
    Clone + Debug + Eq + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<T> Data for T where
    T: Clone + Debug + Eq + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// A node of a cluster; nodes are numbered from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u16);

/// A client. Its requests are answered to it, wherever it sent them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub u32);

/// A request of one client: unique for that client, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

impl From<u32> for ClientId {
    fn from(id: u32) -> ClientId {
        ClientId(id)
    }
}

impl From<u64> for RequestId {
    fn from(id: u64) -> RequestId {
        RequestId(id)
    }
}

impl Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// As in a trace: messages are told with `{:?}`, and are full of nodes.
impl Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// A node's own clock: nanoseconds since an origin that means nothing. A world may offset it, let it
/// drift and make it jump, backwards too; where time does not flow (model checking) it is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

/// What a node is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Input<P: Protocol> {
    /// A message arrived. It may be late, repeated, out of order; never altered.
    Msg {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        msg: P::Msg,
    },
    /// A client wants something. Clients of our worlds do not repeat a request: what they give up is
    /// lost, and the next one is new. A protocol whose clients do repeat says what comes of it.
    Request {
        /// Who asks.
        client: ClientId,
        /// Which of its requests this is.
        id: RequestId,
        /// What it wants.
        op: P::Op,
    },
    /// A timer that was set, and neither cancelled nor set again since, went off.
    Timer(P::Timer),
    /// The answer to [`Effect::Choose`].
    Chosen {
        /// As it was asked.
        key: u32,
        /// Less than the `n` that was asked for.
        pick: u32,
    },
}

/// What a node wants done. The effects of a step are carried out in their order, and all of them
/// before the node takes its next input.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Effect<P: Protocol> {
    /// Send a message to another node. It may be lost.
    Send {
        /// The receiver, never the node itself.
        to: NodeId,
        /// What to say.
        msg: P::Msg,
    },
    /// Answer a request that came to this node. Only the node that was asked has a way to the client: from
    /// another one the answer is lost.
    Reply {
        /// Who asked.
        client: ClientId,
        /// Which request.
        id: RequestId,
        /// The answer.
        ret: P::Ret,
    },
    /// Have [`Input::Timer`] arrive after a time from the range, which the world chooses. A timer that
    /// is set already is set anew.
    SetTimer {
        /// Which one.
        timer: P::Timer,
        /// When, from now.
        after: Range<Duration>,
    },
    /// Forget a timer, if it is set.
    CancelTimer(P::Timer),
    /// Make a record durable. A barrier: no later effect of the step is carried out before it is, and
    /// a crash may come between any two effects.
    Persist(Record<P>),
    /// Have [`Input::Chosen`] arrive with a number below `n`: by lot in a simulation, every one of
    /// them under a model checker.
    Choose {
        /// To tell choices apart.
        key: u32,
        /// How many there are to choose from; at least 1.
        n: u32,
    },
    /// Something happened that a test or a reader of the trace wants to know: "became leader".
    Note(Note),
}

/// A record of `P`'s disk.
pub type Record<P> = <<P as Protocol>::Durable as Durable>::Record;

/// A remark in a trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Note {
    /// What kind of thing, for counting: `elected`.
    pub kind: String,
    /// The particulars: `term 3`.
    pub detail: String,
}

/// What a node's disk holds, made of the records persisted so far.
pub trait Durable: Data + Default {
    /// One entry of the node's log on disk: written whole or, if the node loses power, not at all.
    type Record: Data;

    /// The state after one more record.
    fn replay(&mut self, record: &Self::Record);
}

/// A protocol without a disk.
impl Durable for () {
    type Record = ();

    fn replay(&mut self, (): &()) {}
}

/// A pattern that passes messages between nodes. See the [module](self) for a whole one.
///
/// Both functions are pure: the same arguments give the same state and effects. State keeps maps and
/// sets sorted (`BTreeMap`), so that it hashes and iterates the same in every run.
pub trait Protocol: Clone + Debug + PartialEq + Hash + Send + Sync + 'static {
    /// What all nodes know from the start: how many there are, timeouts, mutants.
    type Config: Clone + Debug + Send + Sync + 'static;
    /// What nodes say to each other.
    type Msg: Data;
    /// Names of timers.
    type Timer: Data;
    /// What clients ask.
    type Op: Data;
    /// What clients are answered.
    type Ret: Data;
    /// What survives a crash.
    type Durable: Durable;

    /// A node that starts, for the first time (`disk` is the default) or after a crash.
    fn boot(config: &Self::Config, id: NodeId, disk: &Self::Durable, out: &mut Vec<Effect<Self>>) -> Self;

    /// Takes one input. Effects are added to `out`.
    fn step(&mut self, config: &Self::Config, now: Time, input: Input<Self>, out: &mut Vec<Effect<Self>>);

    /// Whether whoever runs a node should cut its log off where a record is damaged, instead of repairing it
    /// or refusing to start. It is a mistake, for the node forgets what others rely on, and it is here so
    /// that a protocol can be told to make it: what is wrong with a disk is not for `boot` to see.
    fn cuts_damaged_log(_config: &Self::Config) -> bool {
        false
    }
}

/// A protocol to which its nodes are alike: give them other numbers, everywhere at once, and the same
/// happens to them under their new numbers. A model checker may take such nodes for each other.
///
/// Whatever goes by the numbers themselves (the least wins a tie, the next by number is asked first) breaks
/// this. A protocol that does so in places says in which.
pub trait Symmetric: Protocol {
    /// The same node when nodes have other numbers, and what has no order any reader could see in a fixed
    /// order.
    fn renamed(&self, number: &dyn Fn(NodeId) -> NodeId) -> Self;

    /// A message.
    fn renamed_msg(msg: &Self::Msg, number: &dyn Fn(NodeId) -> NodeId) -> Self::Msg;

    /// What is on a disk.
    fn renamed_disk(disk: &Self::Durable, number: &dyn Fn(NodeId) -> NodeId) -> Self::Durable;
}

/// A local object with a sequential meaning: a breaker, a cache, a ring. The same rules: no clock, no
/// chance, no threads inside.
pub trait Component: Clone + Debug + PartialEq + Hash + Send + Sync + 'static {
    /// What it starts from.
    type Config: Clone + Debug + Send + Sync + 'static;
    /// What is asked of it.
    type Op: Data;
    /// What it answers.
    type Ret: Data;

    /// A fresh one.
    fn new(config: &Self::Config) -> Self;

    /// Does one thing at the time `now`.
    fn apply(&mut self, config: &Self::Config, now: Time, op: Self::Op) -> Self::Ret;
}

/// A range of milliseconds, for [`Effect::SetTimer`].
pub fn after_ms(range_ms: Range<u64>) -> Range<Duration> {
    Duration::from_millis(range_ms.start)..Duration::from_millis(range_ms.end)
}
