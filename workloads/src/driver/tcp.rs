//! Nodes and clients over TCP, for any stack of sockets that looks like tokio's.
//!
//! Each node dials each other node that it has something to say to, and only sends on the connection
//! it dialled; what comes back on it is heartbeats. A connection that is broken, silent or brings a
//! frame that does not check is closed and, if there is something to send, dialled again after a
//! growing pause. A stream may stall for ever without an error (simulated TCP does not send a lost
//! segment again, and a real one tries for a quarter of an hour): silence is what tells.
//!
//! Nothing waits: each queue has a bound, and what comes on top is dropped and counted. Protocols send
//! again what matters.
//!
//! A link is polled by its node and starts no task. Under simulation it must not: the order in which
//! tasks of a crashed host end depends on numbers that the whole process shares.

mod connection;
#[cfg(test)]
mod tests;
mod tokio_net;

pub(super) use connection::{Closed, Connection};
pub use tokio_net::TokioNet;

use super::frame;
use super::link::Link;
use crate::random::Random;
use serde::{Deserialize, Serialize};
use shakedown_impls::protocol::{ClientId, Input, NodeId, Protocol, RequestId};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

/// Messages that may wait for one node, and inputs that may wait for this one.
const QUEUE_MAX: usize = 1024;

/// A stack of sockets.
pub trait Net: Clone + 'static {
    /// What connections come in by.
    type Listener: 'static;
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;

    /// Waits for the next connection. The listener is given back, whatever came of it.
    fn accept(
        listener: Self::Listener,
    ) -> impl Future<Output = (Self::Listener, io::Result<Self::Stream>)> + 'static;

    /// Dials a node.
    fn connect(&self, to: NodeId) -> impl Future<Output = io::Result<Self::Stream>> + 'static;
}

/// How fast a link notices and tries again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How often each end of a connection says that it is there.
    pub beat: Duration,
    /// After how long without a word the other end is given up. Several beats.
    pub silence: Duration,
    /// The first pause before dialling again; it doubles, by lot a little less.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        let ms = Duration::from_millis;
        Pace { beat: ms(50), silence: ms(300), pause_min: ms(10), pause_max: ms(500) }
    }
}

/// What a link did, counted. It can be read from anywhere.
#[derive(Debug, Default)]
pub struct LinkCounts {
    /// Messages dropped because a queue was full, or because they were too long.
    pub dropped: AtomicU64,
    /// Connections dialled.
    pub dialled: AtomicU64,
    /// Connections given up because nothing was heard.
    pub silent: AtomicU64,
    /// Connections closed because a frame did not check.
    pub corrupt: AtomicU64,
    /// Connections ended by an error or by the other end.
    pub broken: AtomicU64,
}

impl LinkCounts {
    fn closed(&self, why: &Closed) {
        let count = match why {
            Closed::Silence => &self.silent,
            Closed::Frame(_) | Closed::OutOfTurn => &self.corrupt,
            Closed::ByPeer | Closed::Io(_) => &self.broken,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// What travels on a connection. The first one says whose it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) enum Packet<P: Protocol> {
    Peer(NodeId),
    Client(ClientId),
    Beat,
    Msg(P::Msg),
    Request(RequestId, P::Op),
    Reply(RequestId, P::Ret),
}

/// A node's link over `N`.
pub struct Tcp<P: Protocol, N: Net> {
    id: NodeId,
    net: N,
    pace: Pace,
    random: Random,
    counts: Arc<LinkCounts>,
    accepting: Accepting<N>,
    /// Nodes that this one has something to say to.
    peers: BTreeMap<NodeId, Peer<N::Stream>>,
    /// Connections that came in, by the order of coming.
    incoming: BTreeMap<u64, (Connection<N::Stream>, Option<Caller>)>,
    accepted: u64,
    /// Where each client was heard from last.
    clients: BTreeMap<ClientId, u64>,
    inbox: VecDeque<Input<P>>,
    sleep: Pin<Box<Sleep>>,
}

type Accepting<N> = Pin<Box<dyn Future<Output = (<N as Net>::Listener, io::Result<<N as Net>::Stream>)>>>;

#[derive(Clone, Copy)]
enum Caller {
    Peer(NodeId),
    Client(ClientId),
}

struct Peer<S> {
    way: Way<S>,
    /// Frames not handed to a connection yet.
    queue: VecDeque<Vec<u8>>,
    pause: Duration,
}

enum Way<S> {
    /// Nothing to send, nobody dialled.
    Idle,
    /// Before dialling again.
    Pausing(Instant),
    Dialling(Pin<Box<dyn Future<Output = io::Result<S>>>>),
    Open(Connection<S>),
}

impl<P: Protocol, N: Net> Tcp<P, N> {
    /// The link of node `id`, which others reach by `listener`.
    pub fn new(
        id: NodeId,
        net: N,
        listener: N::Listener,
        pace: Pace,
        seed: u64,
        counts: Arc<LinkCounts>,
    ) -> Tcp<P, N> {
        Tcp {
            id,
            accepting: Box::pin(N::accept(listener)),
            net,
            pace,
            random: Random::new(seed),
            counts,
            peers: BTreeMap::new(),
            incoming: BTreeMap::new(),
            accepted: 0,
            clients: BTreeMap::new(),
            inbox: VecDeque::new(),
            sleep: Box::pin(sleep_until(Instant::now())),
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready((listener, stream)) = self.accepting.as_mut().poll(cx) {
            let accept = N::accept(listener);
            match stream {
                Ok(stream) => {
                    let connection = Connection::new(stream, &self.pace);
                    self.incoming.insert(self.accepted, (connection, None));
                    self.accepted += 1;
                    self.accepting = Box::pin(accept);
                }
                Err(error) => {
                    self.counts.closed(&error.into());
                    // Without files to open it fails at once, again and again.
                    let pause = sleep(self.pace.pause_max);
                    self.accepting = Box::pin(async {
                        pause.await;
                        accept.await
                    });
                }
            }
        }
    }

    /// Looks after the connections that came in. Returns when to do so again.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Option<Instant> {
        let (mut next, mut closed) = (None, vec![]);
        for (&number, (connection, caller)) in &mut self.incoming {
            let before = *caller;
            match poll_caller::<P, _>(cx, connection, caller, &mut self.inbox, &self.pace) {
                Ok(at) => next = earlier(next, at),
                Err(why) => closed.push((number, why)),
            }
            if let (None, Some(Caller::Client(client))) = (before, *caller) {
                self.clients.insert(client, number);
            }
        }
        for (number, why) in closed {
            self.counts.closed(&why);
            if let Some((_, Some(Caller::Client(client)))) = self.incoming.remove(&number)
                && self.clients.get(&client) == Some(&number)
            {
                self.clients.remove(&client);
            }
        }
        next
    }

    /// Looks after the connections to others. Returns when to do so again.
    fn poll_peers(&mut self, cx: &mut Context<'_>) -> Option<Instant> {
        let mut next = None;
        for (&to, peer) in &mut self.peers {
            // Each turn of the loop goes on to another state.
            loop {
                match &mut peer.way {
                    Way::Idle if peer.queue.is_empty() => break,
                    Way::Pausing(until) if *until > Instant::now() => {
                        next = earlier(next, Some(*until));
                        break;
                    }
                    Way::Pausing(_) if peer.queue.is_empty() => peer.way = Way::Idle,
                    Way::Idle | Way::Pausing(_) => {
                        self.counts.dialled.fetch_add(1, Ordering::Relaxed);
                        let dial = timeout(self.pace.silence, self.net.connect(to));
                        peer.way = Way::Dialling(Box::pin(async { dial.await? }));
                    }
                    Way::Dialling(dial) => match dial.as_mut().poll(cx) {
                        Poll::Pending => break,
                        Poll::Ready(Ok(stream)) => {
                            let mut connection = Connection::new(stream, &self.pace);
                            let hello = Packet::<P>::Peer(self.id);
                            connection.push(&hello).expect("a greeting is short");
                            peer.way = Way::Open(connection);
                        }
                        Poll::Ready(Err(error)) => {
                            self.counts.closed(&error.into());
                            peer.close(&self.pace, &mut self.random);
                        }
                    },
                    Way::Open(connection) => {
                        let heard = &mut peer.pause;
                        match poll_open::<P, _>(cx, connection, &mut peer.queue, heard, &self.pace) {
                            Ok(at) => {
                                next = earlier(next, Some(at));
                                break;
                            }
                            Err(why) => {
                                self.counts.closed(&why);
                                peer.close(&self.pace, &mut self.random);
                            }
                        }
                    }
                }
            }
        }
        next
    }
}

impl<P: Protocol, N: Net> Link<P> for Tcp<P, N> {
    fn send(&mut self, to: NodeId, msg: P::Msg) {
        let pause = self.pace.pause_min;
        let peer =
            self.peers.entry(to).or_insert_with(|| Peer { way: Way::Idle, queue: VecDeque::new(), pause });
        let mut frame = vec![];
        let fits = frame::encode(&Packet::<P>::Msg(msg), &mut frame).is_ok();
        if fits && peer.queue.len() < QUEUE_MAX {
            peer.queue.push_back(frame);
        } else {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn reply(&mut self, client: ClientId, id: RequestId, ret: P::Ret) {
        let packet = Packet::<P>::Reply(id, ret);
        let number = self.clients.get(&client);
        let connection = number.and_then(|number| self.incoming.get_mut(number));
        let sent = connection.is_some_and(|(connection, _)| connection.push(&packet).unwrap_or(false));
        self.counts.dropped.fetch_add(u64::from(!sent), Ordering::Relaxed);
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) {
        loop {
            self.poll_accept(cx);
            let incoming = self.poll_incoming(cx);
            let Some(next) = earlier(incoming, self.poll_peers(cx)) else { return };
            self.sleep.as_mut().reset(next);
            if self.sleep.as_mut().poll(cx).is_pending() {
                return;
            }
        }
    }

    fn take(&mut self) -> Option<Input<P>> {
        self.inbox.pop_front()
    }
}

impl<S> Peer<S> {
    /// Gives the connection up, with what it was about to send.
    fn close(&mut self, pace: &Pace, random: &mut Random) {
        let half = (self.pause / 2).as_nanos() as u64;
        let pause = self.pause - Duration::from_nanos(random.below(half.max(1)));
        self.pause = (self.pause * 2).min(pace.pause_max);
        self.way = Way::Pausing(Instant::now() + pause);
    }
}

/// Sends what is queued. What comes back is heartbeats only, and one of them proves the way good.
fn poll_open<P: Protocol, S: AsyncRead + AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    connection: &mut Connection<S>,
    queue: &mut VecDeque<Vec<u8>>,
    pause: &mut Duration,
    pace: &Pace,
) -> Result<Instant, Closed> {
    while let Poll::Ready(packet) = connection.poll_packet::<Packet<P>>(cx) {
        match packet? {
            Packet::Beat => *pause = pace.pause_min,
            _ => return Err(Closed::OutOfTurn),
        }
    }
    while connection.waiting_bytes() < 64 << 10
        && let Some(frame) = queue.pop_front()
    {
        connection.push_frame(&frame);
    }
    connection.poll_send(cx, &Packet::<P>::Beat, pace)?;
    connection.deadline(pace)
}

/// Reads what a caller says, as long as there is room for it. Returns when to look again, at the
/// latest; `None` if there was no room.
fn poll_caller<P: Protocol, S: AsyncRead + AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    connection: &mut Connection<S>,
    caller: &mut Option<Caller>,
    inbox: &mut VecDeque<Input<P>>,
    pace: &Pace,
) -> Result<Option<Instant>, Closed> {
    connection.poll_send(cx, &Packet::<P>::Beat, pace)?;
    while inbox.len() < QUEUE_MAX {
        let Poll::Ready(packet) = connection.poll_packet::<Packet<P>>(cx) else {
            return connection.deadline(pace).map(Some);
        };
        match (packet?, *caller) {
            (Packet::Peer(from), None) => *caller = Some(Caller::Peer(from)),
            (Packet::Client(client), None) => *caller = Some(Caller::Client(client)),
            (Packet::Beat, Some(_)) => {}
            (Packet::Msg(msg), Some(Caller::Peer(from))) => inbox.push_back(Input::Msg { from, msg }),
            (Packet::Request(id, op), Some(Caller::Client(client))) => {
                inbox.push_back(Input::Request { client, id, op });
            }
            _ => return Err(Closed::OutOfTurn),
        }
    }
    Ok(None)
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
