//! Messages on a byte stream: a length, checksums, and the message in postcard's encoding.
//!
//! ```text
//! | length: u32 | CRC-32 of the length: u32 | CRC-32 of the body: u32 | body: length bytes |   little endian
//! ```
//!
//! The length has a checksum of its own, or a flipped bit in it would have the receiver wait for
//! bytes that nobody sends. What does not check is an error and ends the connection: after it nobody
//! knows where the next frame begins. CRC-32 catches every change of one to three bits in a frame of
//! our sizes and every burst of up to 32; it is no defence against somebody who means it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Bytes before the body.
pub const HEAD_BYTES: usize = 12;

/// The longest body. It bounds what a peer can make a decoder hold.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Why a message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "a message of {length} bytes was to be sent; at most {BODY_BYTES_MAX} fit into a frame: \
     send it in parts"
)]
pub struct TooLong {
    /// How long it is.
    pub length: usize,
}

/// Why a stream cannot be read on. The connection has to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is not what was sent.
    #[error("a frame's length does not match its checksum: bytes were changed or lost on the way")]
    Head,
    /// The length is what was sent, and no sender of ours sends as much.
    #[error("a frame announces {length} bytes, more than {BODY_BYTES_MAX}: is the peer one of ours?")]
    TooLong {
        /// How long it would be.
        length: usize,
    },
    /// The message is not what was sent.
    #[error("a message does not match its checksum: bytes were changed or lost on the way")]
    Body,
    /// The message is what was sent, and says nothing to us.
    #[error("a message is not of the expected type: {why}; do both ends run the same version?")]
    Foreign {
        /// What the decoder says.
        why: String,
    },
}

/// Adds `message`, framed, to `out`; leaves `out` alone if it is too long.
///
/// # Panics
/// If the message's own `Serialize` refuses it.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let start = out.len();
    let mut bytes = std::mem::take(out);
    bytes.resize(start + HEAD_BYTES, 0);
    *out = postcard::to_extend(message, bytes).expect("messages are plain data");
    let body = &out[start + HEAD_BYTES..];
    let (length, crc) = (body.len(), crc32fast::hash(body));
    if length > BODY_BYTES_MAX {
        out.truncate(start);
        return Err(TooLong { length });
    }
    let length = (length as u32).to_le_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + 8].copy_from_slice(&crc32fast::hash(&length).to_le_bytes());
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// Finds messages in bytes that come in pieces. It holds no more than it was given, and at most one
/// unfinished frame of that once [`Decoder::take`] has said that there is nothing more.
///
/// ```
/// use shakedown_workloads::driver::frame::{Decoder, encode};
///
/// let mut bytes = vec![];
/// encode(&"hello", &mut bytes).unwrap();
/// let mut decoder = Decoder::default();
/// decoder.push(&bytes[..7]);
/// assert_eq!(decoder.take::<String>(), Ok(None));
/// decoder.push(&bytes[7..]);
/// assert_eq!(decoder.take(), Ok(Some("hello".to_owned())));
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// What of `bytes` is done with.
    read: usize,
    /// Once an error, always an error.
    error: Option<FrameError>,
}

impl Decoder {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.bytes.drain(..std::mem::take(&mut self.read));
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The next message, if it is there as a whole.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let message = self.parse();
        if let Err(error) = &message {
            self.error = Some(error.clone());
            self.bytes = vec![];
        }
        message
    }

    fn parse<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let bytes = &self.bytes[self.read..];
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if crc32fast::hash(&head[..4]) != number(4) {
            return Err(FrameError::Head);
        }
        let length = number(0) as usize;
        if length > BODY_BYTES_MAX {
            return Err(FrameError::TooLong { length });
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        if crc32fast::hash(body) != number(8) {
            return Err(FrameError::Body);
        }
        let message = match postcard::take_from_bytes(body) {
            Ok((message, [])) => message,
            Ok((_, rest)) => {
                let why = format!("{} of its {length} bytes are left over", rest.len());
                return Err(FrameError::Foreign { why });
            }
            Err(error) => return Err(FrameError::Foreign { why: error.to_string() }),
        };
        self.read += HEAD_BYTES + length;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Message = (u64, Vec<u8>, Option<String>);

    fn message() -> impl Strategy<Value = Message> {
        (any::<u64>(), prop::collection::vec(any::<u8>(), 0..40), prop::option::of("[a-z]{0,9}"))
    }

    fn framed(messages: &[Message]) -> Vec<u8> {
        let mut bytes = vec![];
        for message in messages {
            encode(message, &mut bytes).unwrap();
        }
        bytes
    }

    /// Everything that comes out of `pieces`, and the error that ended it.
    fn decoded<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<Message>, Option<FrameError>) {
        let (mut decoder, mut messages) = (Decoder::default(), vec![]);
        for piece in pieces {
            decoder.push(piece);
            loop {
                match decoder.take() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(decoder.take::<Message>(), Err(error.clone()), "an error stays");
                        return (messages, Some(error));
                    }
                }
            }
        }
        (messages, None)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn messages_come_out_as_they_went_in_however_the_stream_is_cut(
            messages in prop::collection::vec(message(), 0..6),
            piece in 1_usize..50,
        ) {
            let bytes = framed(&messages);
            prop_assert_eq!(decoded(bytes.chunks(piece)), (messages, None));
        }

        // The second message follows so that a length that grew finds its bytes.
        #[test]
        fn no_flipped_bit_gives_another_message(first in message(), second in message(), follow in message()) {
            let whole = framed(&[first.clone(), second.clone()]);
            let end = framed(std::slice::from_ref(&first)).len();
            let mut stream = whole.clone();
            for _ in 0..20 {
                encode(&follow, &mut stream).unwrap();
            }
            for bit in 0..end * 8 {
                stream[bit / 8] ^= 1 << (bit % 8);
                let (messages, error) = decoded([&stream[..]]);
                prop_assert!(error.is_some() && messages.is_empty(), "bit {} gives {:?}", bit, messages);
                stream[bit / 8] ^= 1 << (bit % 8);
            }
        }

        #[test]
        fn a_stream_that_ends_early_gives_what_was_whole(
            messages in prop::collection::vec(message(), 1..5),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = framed(&messages);
            let cut = cut.index(bytes.len());
            let whole = (0..=messages.len()).rev().find(|&n| framed(&messages[..n]).len() <= cut).unwrap();
            prop_assert_eq!(decoded([&bytes[..cut]]), (messages[..whole].to_vec(), None));
        }

        #[test]
        fn garbage_is_an_error_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decoded([&bytes[..]]).0, vec![]);
        }
    }

    // A frame that is right, of a length that no decoder should wait for or make room for.
    #[test]
    fn an_announced_length_over_the_limit_is_refused_at_once() {
        let length = (BODY_BYTES_MAX as u32 + 1).to_le_bytes();
        let mut head = length.to_vec();
        head.extend(crc32fast::hash(&length).to_le_bytes());
        head.extend([0; 4]);
        let error = decoded([&head[..]]).1;
        assert_eq!(error, Some(FrameError::TooLong { length: BODY_BYTES_MAX + 1 }));
    }

    #[test]
    fn a_message_over_the_limit_is_not_sent_and_leaves_the_buffer_alone() {
        let mut out = vec![7];
        let error = encode(&vec![0_u8; BODY_BYTES_MAX], &mut out).unwrap_err();
        assert_eq!((out, error.length > BODY_BYTES_MAX), (vec![7], true));
    }

    // A body that claims a list of 2^60 entries: postcard must not make room for them.
    #[test]
    fn a_message_of_another_type_is_an_error() {
        let mut bytes = vec![];
        encode(&(1_u64 << 60, 3_u8), &mut bytes).unwrap();
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert!(matches!(decoder.take::<Vec<u64>>(), Err(FrameError::Foreign { .. })));
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        let error = decoder.take::<u64>().unwrap_err();
        assert!(error.to_string().contains("1 of its 10 bytes are left over"), "{error}");
    }
}
