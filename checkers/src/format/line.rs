//! What the parsers of lines share.

use super::event::{Cursor, Stop};

/// Consumes `text`.
pub(super) fn literal(
    cursor: &mut Cursor<'_>,
    text: &str,
    expected: &'static str,
) -> Result<(), &'static str> {
    if !cursor.bytes[cursor.pos..].starts_with(text.as_bytes()) {
        return Err(expected);
    }
    cursor.pos += text.len();
    Ok(())
}

/// Consumes an unsigned decimal that fits 64 bits.
pub(super) fn digits(cursor: &mut Cursor<'_>, expected: &'static str) -> Result<u64, &'static str> {
    let rest = &cursor.bytes[cursor.pos..];
    let mut int: u64 = 0;
    let mut len = 0;
    while let Some(digit) = rest.get(len).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit <= 9) {
        let next = int.checked_mul(10).and_then(|int| int.checked_add(u64::from(digit)));
        int = next.ok_or(expected)?;
        len += 1;
    }
    if len == 0 {
        return Err(expected);
    }
    cursor.pos += len;
    Ok(int)
}

/// The unsigned decimal at `at` if it is below 10^19 and `end` follows; `at` is then behind that.
#[inline]
pub(super) fn fast_digits(bytes: &[u8], at: &mut usize, end: u8) -> Option<u64> {
    let mut int: u64 = 0;
    let start = *at;
    let mut pos = start;
    loop {
        let byte = *bytes.get(pos)?;
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if byte != end || pos == start || pos - start > 19 {
                return None;
            }
            *at = pos + 1;
            return Some(int);
        }
        // Overflow is found by the number of digits.
        int = int.wrapping_mul(10).wrapping_add(u64::from(digit));
        pos += 1;
    }
}

/// The cursor holds one line, without its end, and stands where something is missing.
#[cold]
pub(super) fn wrong_line(cursor: &Cursor<'_>, expected: &str) -> Stop {
    if cursor.pos < cursor.bytes.len() {
        return cursor.wrong_byte(expected);
    }
    let mut stop = cursor.ended(expected);
    if let Stop::Problem(problem) = &mut stop {
        problem.found = "the end of the line".to_owned();
        problem.help = None;
    }
    stop
}
