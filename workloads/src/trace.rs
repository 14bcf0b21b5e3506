//! What happened in a run, line by line, for people: who sent what to whom, what was lost, who crashed,
//! what was durable.

use serde::{Deserialize, Serialize};
use shakedown_impls::protocol::NodeId;
use std::fmt::{self, Display};

/// What happened, in the order in which it did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Line by line.
    pub lines: Vec<Line>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in simulated nanoseconds from the start of the run.
    pub time_ns: u64,
    /// Where.
    pub place: Place,
    /// What.
    pub kind: Kind,
    /// In words: the message, the operation, the record.
    pub what: String,
}

/// Where something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// At a node.
    Node(NodeId),
    /// At a client.
    Client(u32),
    /// Between two nodes.
    Link(NodeId, NodeId),
    /// Nowhere in particular.
    World,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A client asks.
    Asks,
    /// A client is answered.
    Answered,
    /// A client stops waiting.
    GivesUp,
    /// A client asks another node the same.
    Retries,
    /// A message is sent, and will arrive.
    Sent,
    /// A message is sent, and will not arrive.
    Lost,
    /// A message is heard.
    Heard,
    /// A timer goes off.
    Timer,
    /// A record is durable.
    Durable,
    /// A node goes down.
    Down,
    /// A node starts.
    Start,
    /// A node's own remark.
    Note,
    /// A fault begins or ends.
    Fault,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Asks => "asks",
            Kind::Answered => "answered",
            Kind::GivesUp => "gives up",
            Kind::Retries => "asks again",
            Kind::Sent => "sends",
            Kind::Lost => "LOST",
            Kind::Heard => "hears",
            Kind::Timer => "timer",
            Kind::Durable => "durable",
            Kind::Down => "DOWN",
            Kind::Start => "starts",
            Kind::Note => "note",
            Kind::Fault => "FAULT",
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Place::Node(node) => node.to_string(),
            Place::Client(client) => format!("c{client}"),
            Place::Link(from, to) => format!("{from} > {to}"),
            Place::World => String::new(),
        };
        f.pad(&text)
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, us) = (self.time_ns / 1_000_000, self.time_ns / 1_000 % 1_000);
        write!(f, "{ms:5}.{us:03} ms  {:<8}  {:<10}  {}", self.place, self.kind.word(), self.what)
    }
}

impl Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Trace {
    /// Adds a line.
    pub fn push(&mut self, time_ns: u64, place: Place, kind: Kind, what: impl Into<String>) {
        self.lines.push(Line { time_ns, place, kind, what: what.into() });
    }
}
