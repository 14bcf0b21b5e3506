//! The simulated wires: turmoil's TCP, with bits that flip, and counting what partitions swallow.

use super::shared::Shared;
use crate::driver::tcp::Net;
use crate::nemesis::FaultKind;
use crate::trace::{Kind, Place};
use shakedown_impls::protocol::NodeId;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// Where nodes listen.
const PORT: u16 = 7000;

/// A host's sockets.
#[derive(Clone)]
pub(super) struct SimNet {
    pub(super) shared: Rc<Shared>,
    /// Whose; no node's if they are the clients'.
    pub(super) me: Option<NodeId>,
    /// Addresses of the nodes.
    pub(super) addresses: Rc<[IpAddr]>,
}

pub(super) struct SimListener {
    listener: TcpListener,
    net: SimNet,
}

/// One end of a connection.
pub(super) struct Wire {
    stream: TcpStream,
    shared: Rc<Shared>,
    /// From where to where it sends, if both are nodes.
    way: Option<(NodeId, NodeId)>,
    /// Whether messages go this way, and not only signs of life.
    is_dialled: bool,
}

impl SimNet {
    pub(super) async fn listen(&self) -> io::Result<SimListener> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        Ok(SimListener { listener, net: self.clone() })
    }

    fn way(&self, to: Option<NodeId>) -> Option<(NodeId, NodeId)> {
        self.me.zip(to)
    }
}

impl Net for SimNet {
    type Listener = SimListener;
    type Stream = Wire;

    async fn accept(listener: SimListener) -> (SimListener, io::Result<Wire>) {
        let accepted = listener.listener.accept().await;
        let net = &listener.net;
        let wire = accepted.map(|(stream, origin)| {
            let node = net.addresses.iter().position(|&address| address == origin.ip());
            let way = net.way(node.map(|node| NodeId(node as u16)));
            Wire { stream, shared: net.shared.clone(), way, is_dialled: false }
        });
        (listener, wire)
    }

    fn connect(&self, to: NodeId) -> impl Future<Output = io::Result<Wire>> + 'static {
        let (net, address) = (self.clone(), self.addresses[usize::from(to.0)]);
        async move {
            let way = net.way(Some(to));
            if let Some((from, to)) = way {
                net.shared.meets_cut(from, to, || "a call".to_owned());
            }
            let stream = TcpStream::connect((address, PORT)).await?;
            Ok(Wire { stream, shared: net.shared, way, is_dialled: true })
        }
    }
}

impl Wire {
    /// What is sent instead of `bytes`, if a bit flips. It does so in a share of the messages.
    fn corrupted(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (from, to) = self.way.filter(|_| self.is_dialled)?;
        let permille = |kind: &FaultKind| match kind {
            FaultKind::Corruption(permille) => Some(u64::from(*permille)),
            _ => None,
        };
        let fault = self.shared.fault(|kind| permille(kind).is_some())?;
        let permille = permille(&self.shared.kind(fault))?;
        let mut machine = self.shared.machine(from);
        if machine.random.below(1_000) >= permille {
            return None;
        }
        let bit = machine.random.below(bytes.len() as u64 * 8) as usize;
        drop(machine);
        self.shared.took_effect_once(fault);
        self.shared.trace(Place::Link(from, to), Kind::Lost, || {
            format!("bit {bit} of {} bytes flips (corruption)", bytes.len())
        });
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Some(bytes)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let corrupted = self.corrupted(buf);
        let written = Pin::new(&mut self.stream).poll_write(cx, corrupted.as_deref().unwrap_or(buf));
        if let (Poll::Ready(Ok(bytes)), Some((from, to))) = (&written, self.way) {
            self.shared.meets_cut(from, to, || format!("{bytes} bytes"));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
