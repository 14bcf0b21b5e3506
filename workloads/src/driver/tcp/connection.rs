//! One connection: packets in, packets out, heartbeats, and the end of it.

use super::Pace;
use crate::driver::frame::{Decoder, FrameError, TooLong, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Bytes that may wait to be sent. What comes on top of them is dropped.
const OUT_BYTES_MAX: usize = 1 << 20;

/// Why a connection ended.
#[derive(Debug, Error)]
pub(in crate::driver) enum Closed {
    #[error("the other end closed it")]
    ByPeer,
    #[error("nothing was heard for too long")]
    Silence,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the other end sent what only the other side sends")]
    OutOfTurn,
}

pub(in crate::driver) struct Connection<S> {
    stream: S,
    decoder: Decoder,
    out: Vec<u8>,
    /// How much of `out` is sent.
    sent: usize,
    heard: Instant,
    /// When the next heartbeat is to be sent.
    beat: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(in crate::driver) fn new(stream: S, pace: &Pace) -> Connection<S> {
        let now = Instant::now();
        let (decoder, out, beat) = (Decoder::default(), vec![], now + pace.beat);
        Connection { stream, decoder, out, sent: 0, heard: now, beat }
    }

    /// Bytes that wait to be sent.
    pub(in crate::driver) fn waiting_bytes(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Has a packet sent. False if it was dropped: there is no room.
    pub(in crate::driver) fn push(&mut self, packet: &impl Serialize) -> Result<bool, TooLong> {
        self.make_room();
        if self.out.len() >= OUT_BYTES_MAX {
            return Ok(false);
        }
        encode(packet, &mut self.out).map(|()| true)
    }

    /// Has a packet sent that is encoded already.
    pub(in crate::driver) fn push_frame(&mut self, frame: &[u8]) {
        self.make_room();
        self.out.extend_from_slice(frame);
    }

    fn make_room(&mut self) {
        // Moving bytes costs no more than sending them did.
        if self.sent * 2 >= self.out.len() {
            self.out.drain(..std::mem::take(&mut self.sent));
        }
    }

    /// The next packet. Heartbeats are the caller's to send and to pass over.
    pub(in crate::driver) fn poll_packet<T: DeserializeOwned>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, Closed>> {
        let mut space = [0; 4096];
        loop {
            if let Some(packet) = self.decoder.take()? {
                return Poll::Ready(Ok(packet));
            }
            let mut read = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Ready(Ok(())) if read.filled().is_empty() => return Poll::Ready(Err(Closed::ByPeer)),
                Poll::Ready(Ok(())) => {
                    self.heard = Instant::now();
                    self.decoder.push(read.filled());
                }
            }
        }
    }

    /// Sends what can be sent, with a heartbeat if it is time for one.
    pub(in crate::driver) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        beat: &impl Serialize,
        pace: &Pace,
    ) -> Result<(), Closed> {
        let now = Instant::now();
        if now >= self.beat {
            self.beat = now + pace.beat;
            // Bytes that wait are as good a sign of life.
            if self.waiting_bytes() == 0 {
                self.push(beat).expect("heartbeats are short");
            }
        }
        while self.sent < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.sent..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(Closed::ByPeer),
                Poll::Ready(written) => self.sent += written?,
            }
        }
        Ok(())
    }

    /// When to look after it again, though nothing came. To be asked when there is nothing to read:
    /// else a node that was busy would take its own deafness for the other's silence.
    pub(in crate::driver) fn deadline(&self, pace: &Pace) -> Result<Instant, Closed> {
        let silent = self.heard + pace.silence;
        if Instant::now() >= silent { Err(Closed::Silence) } else { Ok(silent.min(self.beat)) }
    }
}
