//! What the terminal can take: width, wrapping, colour, and text that came from a file.
//!
//! Everything is laid out with colour in it; the streams of `anstream` take it out where the output
//! is not a terminal or `NO_COLOR` is set. Widths are display columns, not bytes.

use anstyle::{AnsiColor, Style};
use std::borrow::Cow;
use std::io::IsTerminal;
use textwrap::core::display_width;

/// Used where the output is not shown on a terminal and nothing says how wide it may be.
const WIDTH_DEFAULT: usize = 100;
/// Used for a terminal that does not know its size: the least that a terminal is taken to have.
const WIDTH_TERMINAL: usize = 80;
/// Narrower than this, lines run over; wider, they are tiring to read.
const WIDTH_RANGE: std::ops::RangeInclusive<usize> = 40..=200;

/// Correct.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Not known.
pub const UNSURE: Style = AnsiColor::Yellow.on_default();
/// Headings and names.
pub const STRONG: Style = Style::new().bold();
/// What can be skipped.
pub const FAINT: Style = Style::new().dimmed();

/// Columns to lay the output out for: `COLUMNS` if it is set, else the terminal's.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok();
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let is_terminal = std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
    width_of(columns.as_deref(), terminal, is_terminal)
}

/// The same, from what `COLUMNS` says, what the terminal says, and whether there is one. Nobody has 0
/// columns: that is what a terminal says that does not know (under `script`, or in a container).
fn width_of(columns: Option<&str>, terminal: Option<usize>, is_terminal: bool) -> usize {
    let from_env = columns.and_then(|columns| columns.parse::<usize>().ok());
    let known = from_env.filter(|&width| width > 0).or(terminal.filter(|&width| width > 0));
    let width = known.unwrap_or(if is_terminal { WIDTH_TERMINAL } else { WIDTH_DEFAULT });
    width.clamp(*WIDTH_RANGE.start(), *WIDTH_RANGE.end())
}

/// `text` in `style`.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Adds `text` to `out` as a paragraph of at most `width` columns, the first line after `first`, the
/// others after `rest`.
pub fn wrap_into(out: &mut String, width: usize, first: &str, rest: &str, text: &str) {
    // Names such as cas-register stay whole, and so do paths.
    let options = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    for line in textwrap::wrap(text, options) {
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// `text` in `lines_max` lines of `width` columns at most. What does not fit goes from its middle.
pub fn fold(text: &str, width: usize, lines_max: usize) -> Vec<String> {
    let shown = if display_width(text) <= width * lines_max {
        Cow::Borrowed(text)
    } else {
        // A wide character may leave a column of its line unused.
        shorten(text, width.saturating_sub(1) * lines_max)
    };
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in shown.chars() {
        let columns = display_width(c.encode_utf8(&mut [0; 4]));
        if used + columns > width && used > 0 {
            lines.push(String::new());
            used = 0;
        }
        used += columns;
        lines.last_mut().expect("never empty").push(c);
    }
    if lines.len() > lines_max {
        return vec![shorten(text, width).into_owned()];
    }
    lines
}

/// `text` in `width` columns at most, with `…` in place of its middle if it is longer.
pub fn shorten(text: &str, width: usize) -> Cow<'_, str> {
    if display_width(text) <= width {
        return Cow::Borrowed(text);
    }
    let columns = |c: char| display_width(c.encode_utf8(&mut [0; 4]));
    let fitting = |chars: &mut dyn Iterator<Item = char>, room: usize| {
        let mut used = 0;
        let fits = |c: &char| {
            used += columns(*c);
            used <= room
        };
        chars.take_while(fits).map(char::len_utf8).sum::<usize>()
    };
    let room = width.saturating_sub(1);
    let head = fitting(&mut text.chars(), room.div_ceil(2));
    let tail = fitting(&mut text.chars().rev(), room / 2);
    Cow::Owned(format!("{}…{}", &text[..head], &text[text.len() - tail..]))
}

/// `text` filled up with spaces to `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    let mut padded = text.to_owned();
    padded.extend(std::iter::repeat_n(' ', width.saturating_sub(display_width(text))));
    padded
}

/// `text` without control characters: what a history says must not move the cursor.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// `text` with its control characters as escapes (`\u{7}`, `\n`), for names that must be told apart.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 operation`, `12 operations`: `noun` with its number, in the plural unless it is one.
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// `512 bytes`, `3.2 MiB`.
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut amount = bytes as f64;
    let mut unit = None;
    for next in units {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = Some(next);
    }
    unit.map_or_else(|| count(bytes, "byte"), |unit| format!("{amount:.1} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_of_0_is_none() {
        for (columns, terminal, is_terminal, expected) in [
            (Some("70"), Some(120), true, 70),
            (Some("0"), Some(120), true, 120),
            (Some("wide"), Some(120), true, 120),
            (None, Some(120), true, 120),
            (Some("70"), Some(0), true, 70),
            (Some("70"), None, true, 70),
            (None, Some(0), true, 80),
            (None, None, true, 80),
            (Some("0"), None, true, 80),
            (None, None, false, 100),
            (Some("0"), None, false, 100),
            (Some("70"), None, false, 70),
            (Some("1"), None, false, 40),
            (None, Some(1000), true, 200),
        ] {
            let width = width_of(columns, terminal, is_terminal);
            assert_eq!(width, expected, "{columns:?} {terminal:?} {is_terminal}");
        }
    }

    #[test]
    fn what_is_cut_is_the_middle_and_is_marked() {
        assert_eq!(shorten("write 1", 7), "write 1");
        assert_eq!(shorten("write 12", 7), "wri… 12");
        assert_eq!(shorten("日本語", 5), "日…語");
        assert_eq!(shorten("日本語", 4), "日…");
        assert_eq!(shorten("日本語", 1), "…");
    }

    #[test]
    fn long_text_folds_and_then_loses_its_middle() {
        assert_eq!(fold("write 1", 9, 3), ["write 1"]);
        assert_eq!(fold("write abcdefghij", 9, 3), ["write abc", "defghij"]);
        assert_eq!(fold("日本語日本語", 5, 3), ["日本", "語日", "本語"]);
        let value = format!("write {}", "0123456789".repeat(5));
        for width in 9..60 {
            let lines = fold(&value, width, 3);
            assert!(lines.len() <= 3 && lines.iter().all(|line| display_width(line) <= width), "{lines:?}");
            assert_eq!(lines.concat().contains('…'), value.len() > 3 * width, "{width} {lines:?}");
            assert!(lines.concat().ends_with("789"), "{lines:?}");
        }
    }

    #[test]
    fn escape_sequences_of_a_history_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(printable("naïve → ✓"), "naïve → ✓");
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0, 999, 1000, 1234567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([size(1), size(512), size(2 << 30)], ["1 byte", "512 bytes", "2.0 GiB"]);
        assert_eq!(count(1, "file"), "1 file");
    }

    #[test]
    fn paragraphs_stay_within_the_width() {
        let mut out = String::new();
        wrap_into(&mut out, 20, "  - ", "    ", "one two three four five six");
        assert_eq!(out, "  - one two three\n    four five six\n");
    }
}
