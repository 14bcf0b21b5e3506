//! A client: one connection to one node at a time.

use super::tcp::{Closed, Connection, Net, Pace, Packet};
use shakedown_impls::protocol::{ClientId, NodeId, Protocol, RequestId};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// The node could not be reached, so it has not done anything.
    #[error("{node} cannot be reached ({error}): the request was not sent")]
    Unreachable {
        /// Who was to be asked.
        node: NodeId,
        /// Why not.
        error: io::Error,
    },
    /// The connection ended, or broke, before the answer came. The request may have been carried out,
    /// or may still be.
    #[error("{node} was asked, and the connection to it ended ({why}): it may have done it, or may yet")]
    Lost {
        /// Who was asked.
        node: NodeId,
        /// What the connection ended with.
        why: String,
    },
}

/// A client of nodes that are served by [`serve`](super::node::serve) over [`Tcp`](super::tcp::Tcp).
pub struct Client<P: Protocol, N: Net> {
    id: ClientId,
    net: N,
    pace: Pace,
    connection: Option<(NodeId, Connection<N::Stream>)>,
    /// Whether a request was sent that nobody waited for the answer of.
    is_abandoned: bool,
    of: std::marker::PhantomData<fn() -> P>,
}

impl<P: Protocol, N: Net> Client<P, N> {
    /// A client. No other one may have that id.
    pub fn new(id: ClientId, net: N, pace: Pace) -> Client<P, N> {
        Client { id, net, pace, connection: None, is_abandoned: false, of: std::marker::PhantomData }
    }

    /// Asks a node, and waits for its answer as long as the connection lives. Whoever waits no longer
    /// drops the future; the next request then goes over a new connection, for the old one may be stuck.
    pub async fn ask(&mut self, node: NodeId, id: RequestId, op: P::Op) -> Result<P::Ret, AskError> {
        if std::mem::replace(&mut self.is_abandoned, true) {
            self.connection = None;
        }
        let ret = self.ask_on(node, id, op).await;
        self.is_abandoned = false;
        ret
    }

    async fn ask_on(&mut self, node: NodeId, id: RequestId, op: P::Op) -> Result<P::Ret, AskError> {
        if self.connection.as_ref().is_none_or(|(to, _)| *to != node) {
            self.dial(node).await.map_err(|error| AskError::Unreachable { node, error })?;
        }
        let (_, connection) = self.connection.as_mut().expect("it was dialled");
        let pushed = connection.push(&Packet::<P>::Request(id, op));
        if !matches!(pushed, Ok(true)) {
            let error = io::Error::other("the request is too long, or too many wait to be sent");
            return Err(AskError::Unreachable { node, error });
        }
        loop {
            match self.packet().await {
                Ok(Packet::Reply(answered, ret)) if answered == id => return Ok(ret),
                Ok(_) => {}
                Err(why) => {
                    self.connection = None;
                    return Err(AskError::Lost { node, why: why.to_string() });
                }
            }
        }
    }

    /// Does nothing for a while but to keep the connection alive.
    pub async fn rest(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        while self.connection.is_some() {
            tokio::select! {
                biased;
                () = sleep_until(until) => return,
                packet = self.packet() => if packet.is_err() {
                    self.connection = None;
                }
            }
        }
        sleep_until(until).await;
    }

    /// Closes the connection, if there is one.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    async fn dial(&mut self, node: NodeId) -> io::Result<()> {
        self.connection = None;
        let stream = timeout(self.pace.silence, self.net.connect(node)).await??;
        let mut connection = Connection::new(stream, &self.pace);
        connection.push(&Packet::<P>::Client(self.id)).expect("a greeting is short");
        self.connection = Some((node, connection));
        Ok(())
    }

    /// The next packet on the connection, which there must be. It may be dropped at any time.
    async fn packet(&mut self) -> Result<Packet<P>, Closed> {
        let (_, connection) = self.connection.as_mut().expect("there is a connection");
        let pace = &self.pace;
        let mut sleep = Box::pin(sleep(Duration::ZERO));
        poll_fn(|cx| poll_packet(cx, connection, sleep.as_mut(), pace)).await
    }
}

fn poll_packet<P: Protocol, S>(
    cx: &mut Context<'_>,
    connection: &mut Connection<S>,
    mut sleep: std::pin::Pin<&mut Sleep>,
    pace: &Pace,
) -> Poll<Result<Packet<P>, Closed>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        if let Poll::Ready(packet) = connection.poll_packet(cx) {
            return Poll::Ready(packet);
        }
        connection.poll_send(cx, &Packet::<P>::Beat, pace)?;
        sleep.as_mut().reset(connection.deadline(pace)?);
        if std::future::Future::poll(sleep.as_mut(), cx).is_pending() {
            return Poll::Pending;
        }
    }
}
