//! Frames on turmoil's sockets: a length, then a message. Whoever calls waits for the answer before it
//! asks more on the same connection.
//!
//! A simulated stream that has lost a segment stalls for good, so a call that was given up takes its
//! connection with it.

use super::{Id, PORT, RaftError, RpcError, Types, node_of};
use crate::world::sim::host;
use openraft::EmptyNode;
use openraft::error::{InstallSnapshotError, NetworkError, RemoteError};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use turmoil::net::TcpStream;

/// Longer frames are nobody's.
const FRAME_BYTES_MAX: u32 = 1 << 24;

/// How long a connection may take to come about: longer than the slowest usual network needs.
const CONNECT_MAX: Duration = Duration::from_millis(100);

/// Openraft asks again at once; nobody answers sooner for that.
const PAUSE: Duration = Duration::from_millis(10);

/// What a node, or a client, asks a node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Id>),
    Snapshot(InstallSnapshotRequest<Types>),
    /// A client's command.
    Ask(Vec<u8>),
}

/// What it answers a client.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done(Vec<u8>),
    /// This node does not lead, and has done nothing. Maybe it knows who leads.
    Elsewhere(Option<Id>),
    /// Nothing was done, nor will be.
    Refused(String),
    /// It may have been done, or be done yet.
    Unknown(String),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// Nothing was asked.
    #[error("no connection: {0}")]
    Unreachable(io::Error),
    /// It was asked, at least in part.
    #[error("the connection broke: {0}")]
    Broke(#[from] io::Error),
}

/// One end of a connection.
pub(super) struct Connection(pub(super) TcpStream);

impl Connection {
    async fn dial(to: Id) -> io::Result<Connection> {
        let dialled = timeout(CONNECT_MAX, TcpStream::connect((host(node_of(to)), PORT)));
        dialled.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(Connection)
    }

    /// Reads a message.
    pub(super) async fn hear<M: DeserializeOwned>(&mut self) -> io::Result<M> {
        let length = self.0.read_u32().await?;
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::other(format!("a frame of {length} bytes")));
        }
        let mut bytes = vec![0; length as usize];
        self.0.read_exact(&mut bytes).await?;
        postcard::from_bytes(&bytes).map_err(io::Error::other)
    }

    /// Writes a message.
    pub(super) async fn say<M: Serialize>(&mut self, message: &M) -> io::Result<()> {
        let body = postcard::to_stdvec(message).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).ok().filter(|&length| length <= FRAME_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other(format!("a frame of {} bytes", body.len())))?;
        // One segment: of two, the second may be lost alone.
        self.0.write_all(&[&length.to_be_bytes()[..], &body].concat()).await
    }
}

/// Calls a node over a connection of its own.
pub(super) async fn call_once<R: DeserializeOwned>(to: Id, call: &Call) -> Result<R, CallError> {
    let mut connection = Connection::dial(to).await.map_err(CallError::Unreachable)?;
    connection.say(call).await?;
    Ok(connection.hear().await?)
}

/// Makes [`Peer`]s.
pub(super) struct Peers;

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: Id, _: &EmptyNode) -> Peer {
        Peer { target, connection: None }
    }
}

/// Another node, and the connection to it while there is one.
pub(super) struct Peer {
    target: Id,
    connection: Option<Connection>,
}

impl Peer {
    async fn call<R, E>(&mut self, call: &Call) -> Result<R, RpcError<E>>
    where
        R: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        match self.try_call::<Result<R, RaftError<E>>>(call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(RemoteError::new(self.target, error).into()),
            // Not `Unreachable`: what openraft does about that waits in a `select!` which tokio decides by
            // lot, and that lot nobody can seed.
            Err(error) => {
                sleep(PAUSE).await;
                Err(NetworkError::new(&error).into())
            }
        }
    }

    async fn try_call<A: DeserializeOwned>(&mut self, call: &Call) -> io::Result<A> {
        // Whoever gives up drops this future, and the connection with it: an answer that comes later is to
        // another question.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::dial(self.target).await?,
        };
        connection.say(call).await?;
        let answer = connection.hear().await?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Id>, RpcError> {
        self.call(&Call::Append(rpc)).await
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<Id>, RpcError<InstallSnapshotError>> {
        self.call(&Call::Snapshot(rpc)).await
    }

    async fn vote(&mut self, rpc: VoteRequest<Id>, _: RPCOption) -> Result<VoteResponse<Id>, RpcError> {
        self.call(&Call::Vote(rpc)).await
    }
}
