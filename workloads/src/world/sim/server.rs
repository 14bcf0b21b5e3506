//! What a server that is not ours is told, and what its clients say.

use super::shared::Shared;
use crate::random::Random;
use shakedown_impls::protocol::NodeId;
use std::rc::Rc;
use thiserror::Error;

/// Where a server runs.
#[derive(Clone)]
pub struct Server {
    /// Which node it is.
    pub id: NodeId,
    /// How many nodes there are.
    pub nodes: u16,
    /// For its own chance: another one for each start. Chance that is not drawn from it makes runs
    /// differ.
    pub seed: u64,
}

impl Server {
    pub(super) fn new(shared: &Rc<Shared>, id: NodeId) -> Server {
        let life = shared.machine(id).lives << 16 | u64::from(id.0);
        let seed = Random::stream(shared.seed, "life", life).below(u64::MAX);
        Server { id, nodes: shared.nodes, seed }
    }

    /// The other nodes.
    pub fn others(&self) -> impl Iterator<Item = NodeId> + use<> {
        let me = self.id;
        (0..self.nodes).map(NodeId).filter(move |&node| node != me)
    }
}

/// The name of a node's host: `turmoil::net::TcpStream::connect((host(node), 80))`.
pub fn host(node: NodeId) -> String {
    node.to_string()
}

/// Why a client has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AskError {
    /// What was asked has not happened, and never will. The client asks another node.
    #[error("it did not happen: {0}")]
    Refused(String),
    /// Nobody knows whether it happened, or will. When unsure, this.
    #[error("it may have happened: {0}")]
    Unknown(String),
}
