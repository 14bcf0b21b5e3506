//! What nodes say to each other: the crate's messages, as the bytes that they would be on a network, and
//! what carries commands to a leader.

use protobuf::Message as _;
use raft::eraftpb;
use serde::{Deserialize, Serialize};
use shakedown_impls::object::bytes::Bytes;
use shakedown_impls::protocol::{ClientId, Data, RequestId};
use std::fmt;

/// A message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Msg<C: Data> {
    /// One of the crate's.
    Raft(Bytes),
    /// A client of mine wants this done, and you lead.
    Forward {
        /// In this term. In another it is not done, so that it is done once.
        term: u64,
        /// Who.
        client: ClientId,
        /// Which of its requests.
        id: RequestId,
        /// What.
        command: C,
    },
}

impl<C: Data> Msg<C> {
    /// One of the crate's.
    pub(super) fn of(msg: &eraftpb::Message) -> Msg<C> {
        Msg::Raft(msg.write_to_bytes().expect("it can be written to memory").into())
    }
}

impl<C: Data> fmt::Debug for Msg<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Msg::Forward { term, client, id, command } => {
                write!(f, "Forward {client}#{} in term {term} {command:?}", id.0)
            }
            Msg::Raft(bytes) => match eraftpb::Message::parse_from_bytes(bytes) {
                Ok(msg) => told(&msg, f),
                Err(error) => write!(f, "{} bytes that are no message: {error}", bytes.len()),
            },
        }
    }
}

/// Only what differs from nothing: most fields belong to some kinds of messages.
fn told(msg: &eraftpb::Message, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{:?} term {}", msg.get_msg_type(), msg.term)?;
    if msg.index > 0 || msg.log_term > 0 {
        write!(f, " log {}/{}", msg.log_term, msg.index)?;
    }
    if let (Some(first), Some(last)) = (msg.entries.first(), msg.entries.last()) {
        write!(f, " entries {}/{} to {}/{}", first.term, first.index, last.term, last.index)?;
    }
    if msg.commit > 0 {
        write!(f, " committed {}", msg.commit)?;
    }
    if msg.reject {
        write!(f, " no, try {}", msg.reject_hint)?;
    }
    let snapshot = msg.get_snapshot().get_metadata();
    if snapshot.index > 0 {
        write!(f, " snapshot to {}/{}", snapshot.term, snapshot.index)?;
    }
    if !msg.context.is_empty() {
        write!(f, " context {:?}", &msg.context[..])?;
    }
    Ok(())
}
