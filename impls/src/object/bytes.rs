//! A string of bytes that many may hold and nobody changes: to clone it is to count one holder more.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt::{self, Debug, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Longer ones are told by their length and a digest.
const SHOWN_MAX: usize = 32;

/// Some bytes. Short printable ones look like text in traces and in files that people read.
///
/// Made of a vector without copying it; and holders are counted apart from the bytes, so that passing on a large
/// value does not touch it.
///
/// ```
/// use shakedown_impls::object::bytes::Bytes;
/// assert_eq!(format!("{:?}", Bytes::from("x1")), "\"x1\"");
/// assert!(format!("{:?}", Bytes::from(vec![7; 1024])).starts_with("1024 bytes #"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Arc<Vec<u8>>);

impl Bytes {
    /// These and then those.
    pub fn join(&self, more: &Bytes) -> Bytes {
        [&self.0[..], &more.0[..]].concat().into()
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(Arc::new(bytes))
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Bytes {
        text.as_bytes().to_vec().into()
    }
}

impl Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        if self.0.len() <= SHOWN_MAX && self.0.iter().all(is_plain) {
            f.write_char('"')?;
            self.0.iter().try_for_each(|&byte| f.write_char(char::from(byte)))?;
            return f.write_char('"');
        }
        let mut digest = DefaultHasher::new();
        self.0.hash(&mut digest);
        write!(f, "{} bytes #{:08x}", self.0.len(), digest.finish() as u32)
    }
}

impl Serialize for Bytes {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) if to.is_human_readable() => to.serialize_str(text),
            _ => to.serialize_bytes(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<T: Deserializer<'de>>(from: T) -> Result<Bytes, T::Error> {
        match from.is_human_readable() {
            true => from.deserialize_any(Reader),
            false => from.deserialize_byte_buf(Reader),
        }
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or a list of bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        Ok(text.into())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(bytes.to_vec().into())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(bytes.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Bytes, A::Error> {
        let mut bytes = vec![];
        while let Some(byte) = list.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_from_text_and_from_binary() {
        for bytes in [Bytes::default(), "x1".into(), vec![0, 255, 7].into()] {
            let text = serde_json::to_string(&bytes).unwrap();
            assert_eq!(serde_json::from_str::<Bytes>(&text).unwrap(), bytes, "{text}");
            let binary = postcard::to_allocvec(&bytes).unwrap();
            assert_eq!(postcard::from_bytes::<Bytes>(&binary).unwrap(), bytes);
        }
        assert_eq!(serde_json::to_string(&Bytes::from("x1")).unwrap(), "\"x1\"");
        assert_eq!(&*Bytes::from("ab").join(&"c".into()), b"abc");
    }
}
