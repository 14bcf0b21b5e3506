//! The tokens of EDN: what is blank, where a token ends, and what its text means.

use super::event::{Cursor, Stop, escape_of, hex};
use crate::value::{Value, Values};

/// The escape sequence in a string whose backslash is at the cursor.
pub(super) fn escaped_char(cursor: &mut Cursor<'_>) -> Result<char, Stop> {
    let start = cursor.pos;
    cursor.pos += 1;
    let letter = cursor.need("an escape sequence")?;
    let c = match escape_of(letter) {
        Some(c) => c,
        None if letter == b'u' => {
            let Some(digits) = cursor.bytes.get(start + 2..start + 6) else {
                return Err(cursor.ended("four hexadecimal digits"));
            };
            let Some(c) = hex(digits).and_then(char::from_u32) else {
                return Err(cursor.wrong(start, start + 6, "a character as four hexadecimal digits"));
            };
            cursor.pos += 4;
            c
        }
        None => {
            return Err(cursor.wrong(
                start,
                start + 2,
                "one of \\\", \\\\, \\n, \\t, \\r, \\b, \\f, \\uNNNN",
            ));
        }
    };
    cursor.pos += 1;
    Ok(c)
}

/// The character whose backslash is at the cursor, as a string.
pub(super) fn character(cursor: &mut Cursor<'_>, values: &mut Values, keep: bool) -> Result<Value, Stop> {
    let start = cursor.pos;
    // The first character after the backslash may be a delimiter: `\(`.
    cursor.pos += 1;
    let first = cursor.need("a character")?;
    let first_len = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    if cursor.bytes.len() < cursor.pos + first_len {
        return Err(cursor.ended("a character"));
    }
    cursor.pos += first_len;
    let tail = token(cursor)?.len();
    let name = cursor.utf8(start + 1, first_len + tail)?;
    let c = match name {
        "newline" => '\n',
        "space" => ' ',
        "tab" => '\t',
        "return" => '\r',
        "backspace" => '\u{8}',
        "formfeed" => '\u{c}',
        _ => {
            let mut chars = name.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => c,
                (Some('u'), Some(_)) if name.len() == 5 => {
                    hex(&name.as_bytes()[1..]).and_then(char::from_u32).unwrap_or('\0')
                }
                _ => '\0',
            }
        }
    };
    if c == '\0' {
        return Err(cursor.wrong(start, cursor.pos, "a character, as in \\a, \\newline or \\u0041"));
    }
    Ok(if keep { values.str(c.encode_utf8(&mut [0; 4])) } else { Value::NIL })
}

/// The symbol of `len` bytes from `start`, or what its name stands for.
pub(super) fn symbol(
    cursor: &Cursor<'_>,
    values: &mut Values,
    keep: bool,
    start: usize,
    len: usize,
) -> Result<Value, Stop> {
    match cursor.utf8(start, len)? {
        "nil" => Ok(Value::NIL),
        "true" => Ok(Value::TRUE),
        "false" => Ok(Value::FALSE),
        _ if !keep => Ok(Value::NIL),
        name => Ok(values.symbol(name)),
    }
}

/// Consumes a tag, its `#` included.
#[cold]
pub(super) fn skip_tag(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    let start = cursor.pos;
    cursor.pos += 1;
    let first = cursor.need("a tag after `#`")?;
    if !first.is_ascii_alphabetic() && first < 0x80 {
        return Err(cursor.wrong(start, start + 2, "a set, a tag or `_` after `#`"));
    }
    let len = token(cursor)?.len();
    cursor.utf8(start + 1, len)?;
    Ok(())
}

/// Consumes up to the next delimiter. Needs to see it, or the end of the input.
#[inline]
pub(super) fn token<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Stop> {
    let start = cursor.pos;
    let rest = &cursor.bytes[start..];
    let len = match rest.iter().position(|byte| is_delimiter(*byte)) {
        Some(len) => len,
        None if cursor.eof => rest.len(),
        None => return Err(Stop::More),
    };
    let token = &rest[..len];
    if rest.get(len).is_some_and(|byte| is_control(*byte)) {
        cursor.pos += len;
        return Err(cursor.wrong_byte("no control character here"));
    }
    cursor.pos += len;
    Ok(token)
}

#[inline]
pub(super) fn skip_blanks(cursor: &mut Cursor<'_>) {
    while let Some(byte) = cursor.bytes.get(cursor.pos)
        && is_blank(*byte)
    {
        cursor.pos += 1;
    }
}

/// Skips the comment at the cursor up to its newline, or the end of the input.
pub(super) fn skip_comment(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    match memchr::memchr(b'\n', &cursor.bytes[cursor.pos..]) {
        Some(newline) => cursor.pos += newline,
        None if cursor.eof => cursor.pos = cursor.bytes.len(),
        None => return Err(Stop::More),
    }
    Ok(())
}

/// A number as [`number_text`] finds it.
pub(super) enum Number<'a> {
    Int(i64),
    /// For [`Values::number`].
    Text(&'a str),
}

/// Reads a token as a number: an integer, a ratio, a float, each with the suffixes that they may
/// have, or a hexadecimal integer.
pub(super) fn number_text(token: &[u8]) -> Option<Number<'_>> {
    let text = std::str::from_utf8(token).ok()?;
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let magnitude = i64::from_str_radix(hex.strip_suffix('N').unwrap_or(hex), 16).ok();
        let unsigned = magnitude.filter(|_| hex.as_bytes().first().is_some_and(u8::is_ascii_hexdigit));
        return unsigned.map(|int| Number::Int(if text.starts_with('-') { -int } else { int }));
    }
    let whole_len = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, mut rest) = digits.split_at(whole_len);
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    if rest == "N" || rest == "M" {
        return Some(Number::Text(&text[..text.len() - 1]));
    }
    if let Some(denominator) = rest.strip_prefix('/') {
        let sound = !denominator.is_empty() && denominator.bytes().all(|b| b.is_ascii_digit());
        return sound.then_some(Number::Text(text));
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        rest = power.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == power.len() {
            return None;
        }
    }
    match rest {
        "" => Some(Number::Text(text)),
        "M" => Some(Number::Text(&text[..text.len() - 1])),
        _ => None,
    }
}

/// True if `name` reads as one keyword after a colon.
pub(super) fn is_keyword_name(name: &str) -> bool {
    !name.is_empty() && !name.bytes().any(is_delimiter)
}

/// True if `name` reads as one symbol, `##Inf` and its like included.
pub(super) fn is_symbol(name: &str) -> bool {
    let bare = name.strip_prefix("##").unwrap_or(name).as_bytes();
    let signed = usize::from(matches!(bare.first(), Some(b'-' | b'+')));
    let first_fits = match bare.first() {
        None | Some(b':' | b'#' | b'\\' | b'^' | b'@' | b'`' | b'~' | b'\'') => false,
        Some(_) => !bare.get(signed).is_some_and(u8::is_ascii_digit),
    };
    first_fits && is_keyword_name(name) && !matches!(name, "nil" | "true" | "false")
}

/// True if `text` reads as one number.
pub(super) fn is_number(text: &str) -> bool {
    number_text(text.as_bytes()).is_some()
}

const BLANK: u8 = 1;
const DELIMITER: u8 = 2;
const CONTROL: u8 = 4;

/// What each byte may do. Control characters delimit, so that a token cannot hide one.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        class[byte] = CONTROL | DELIMITER;
        byte += 1;
    }
    class[0x7f] = CONTROL | DELIMITER;
    let blanks = b" ,\t\n\r\x0b\x0c";
    let mut i = 0;
    while i < blanks.len() {
        class[blanks[i] as usize] = BLANK | DELIMITER;
        i += 1;
    }
    let delimiters = b"()[]{}\";";
    i = 0;
    while i < delimiters.len() {
        class[delimiters[i] as usize] = DELIMITER;
        i += 1;
    }
    class
};

#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    CLASS[byte as usize] & BLANK != 0
}

#[inline]
pub(super) fn is_delimiter(byte: u8) -> bool {
    CLASS[byte as usize] & DELIMITER != 0
}

#[inline]
fn is_control(byte: u8) -> bool {
    CLASS[byte as usize] & CONTROL != 0
}
