//! What the parsers of binary formats share: numbers of eight bytes, and errors that quote bytes in
//! hexadecimal.

use super::event::{Cursor, Problem, Stop};

/// Bytes of a number.
pub(super) const WORD: usize = 8;

/// The next eight bytes, consumed. `expected` says what they mean.
#[inline]
pub(super) fn word(cursor: &mut Cursor<'_>, expected: &'static str) -> Result<[u8; WORD], Stop> {
    match cursor.bytes[cursor.pos..].first_chunk::<WORD>() {
        Some(word) => {
            cursor.pos += WORD;
            Ok(*word)
        }
        None => Err(cursor.ended(expected)),
    }
}

/// The next byte, consumed.
#[inline]
pub(super) fn byte(cursor: &mut Cursor<'_>, expected: &'static str) -> Result<u8, Stop> {
    let byte = cursor.need(expected)?;
    cursor.pos += 1;
    Ok(byte)
}

/// The `len` bytes at `at` are wrong.
#[cold]
pub(super) fn wrong(cursor: &Cursor<'_>, at: usize, len: usize, expected: impl Into<String>) -> Stop {
    let bytes = &cursor.bytes[at..(at + len).min(cursor.bytes.len())];
    Stop::Problem(Box::new(Problem {
        at,
        len: bytes.len(),
        found: format!("`{}`", hexadecimal(bytes)),
        expected: expected.into(),
        help: None,
    }))
}

/// `00 2a ff`.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}
