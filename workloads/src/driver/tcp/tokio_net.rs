//! Real sockets.

use super::Net;
use shakedown_impls::protocol::NodeId;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

/// Tokio's sockets, and where the nodes are.
#[derive(Clone, Debug)]
pub struct TokioNet {
    addresses: Arc<[SocketAddr]>,
}

impl TokioNet {
    /// With the address of each node, by its number.
    pub fn new(addresses: impl Into<Arc<[SocketAddr]>>) -> TokioNet {
        TokioNet { addresses: addresses.into() }
    }
}

impl Net for TokioNet {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn accept(listener: TcpListener) -> (TcpListener, io::Result<TcpStream>) {
        let stream = listener.accept().await.and_then(|(stream, _)| small_packets(stream));
        (listener, stream)
    }

    fn connect(&self, to: NodeId) -> impl Future<Output = io::Result<TcpStream>> + 'static {
        let address = self.addresses.get(usize::from(to.0)).copied();
        async move {
            let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("nobody said where {to} is"));
            small_packets(TcpStream::connect(address.ok_or_else(unknown)?).await?)
        }
    }
}

/// Messages are short and awaited: none is held back for another to go with it.
fn small_packets(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}
