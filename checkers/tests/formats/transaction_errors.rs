//! What is said about input that is no history of transactions, and where reading one ends.

use crate::errors::gigabyte;
use crate::transactions::{Bincode, cobra};
use shakedown_checkers::format::{self, Format, FormatError, LimitReached, Limits};

/// The error that reading gives, with its place.
fn error_of(format: Format, input: impl AsRef<[u8]>) -> String {
    match format::read(input.as_ref(), "in", Some(format), &Limits::default()) {
        Ok(history) => panic!("{} read as {} operations", input.as_ref().escape_ascii(), history.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn plume_lines_say_what_is_missing() {
    for (line, error) in [
        ("x(1,2,3,4)", "1: found `x`; expected a line such as r(key,value,session,transaction), or w(…)"),
        ("r[1,2,3,4)", "2: found `[`; expected `(`"),
        ("r(a,2,3,4)", "3: found `a`; expected the key, an unsigned number"),
        ("r(1 ,2,3,4)", "4: found ` `; expected `,`"),
        ("r(1,-2,3,4)", "5: found `-`; expected the value, an unsigned number"),
        ("r(1,2,,4)", "7: found `,`; expected the session, an unsigned number"),
        ("r(1,2,3,-2)", "9: found `-`; expected the transaction, an unsigned number, or -1 if it aborted"),
        ("r(1,2,3,4", "10: found the end of the line; expected `)`"),
        ("r(1,2,3,4) x", "11: found ` `; expected nothing after `)`"),
        ("r(18446744073709551616,2,3,4)", "3: found `1`; expected the key, an unsigned number"),
        (
            "w(8,2,4,0)",
            "1: found transaction 0 in session 4; expected the session in which it began on line 1, or a \
             transaction with a number of its own",
        ),
    ] {
        for end in ["", "\n", "\nr(1,1,1,1)\n"] {
            let text = format!("w(1,2,3,0)\n\n{line}{end}");
            assert_eq!(error_of(Format::Plume, text), format!("in:3:{error}"), "{line}");
        }
    }
}

#[test]
fn awdit_lines_say_what_is_missing() {
    for (line, error) in [
        ("x 1 2", "1: found `x`; expected `r KEY VALUE`, `w KEY VALUE`, or a line of `-` or `=`"),
        ("r1 2", "2: found `1`; expected a blank and the key, an unsigned number"),
        ("r 1", "4: found the end of the line; expected a blank and the value, an unsigned number"),
        ("r 1 2 3", "6: found ` `; expected nothing after the value"),
        ("r 1 2-", "6: found `-`; expected nothing after the value"),
        ("--=", "3: found `=`; expected nothing else in a line of `-` or `=`"),
    ] {
        assert_eq!(
            error_of(Format::Awdit, format!("w 1 2\n{line}\nr 1 2")),
            format!("in:2:{error}"),
            "{line}"
        );
    }
}

#[test]
fn dbcop_hist_says_what_is_missing() {
    for (text, error) in [
        ("[x:=1]]", "7: found `]`; expected a transaction such as [x:=1 y==1], a line of `-`, or a comment"),
        ("[x:=1y:=2]", "6: found `y`; expected a blank or `]`"),
        ("[x=1]", "3: found `=1`; expected `:=` or `==`"),
        ("[x:=?]", "5: found `?`; expected a version, an unsigned number"),
        ("[x==]", "5: found `]`; expected a version, an unsigned number"),
        ("[x:=99999999999999999999]", "5: found `99999999999999999999`; expected a version below 2^64"),
        ("[x:=1\n]", "6: found `\\x0a`; expected a blank or `]`"),
        ("[“x”:=1]", "2: found `“`; expected a letter, a digit or `_`"),
        ("[x:=1", "6: found the end of the input; expected an event such as x:=1 or x==1, or `]`"),
        ("[x", "3: found the end of the input; expected `:=` or `==` after the variable"),
        ("[x==", "5: found the end of the input; expected a version, or `?`"),
        ("/x", "2: found `x`; expected `//` and a comment"),
    ] {
        assert_eq!(error_of(Format::DbcopHist, text), format!("in:1:{error}"), "{text}");
    }
}

#[test]
fn dbcop_says_what_is_missing() {
    let in_transaction = |text: &str| format!("{{\"data\":[[{{{text}}}]]}}");
    let in_event = |text: &str| in_transaction(&format!("\"committed\":true,\"events\":[{text}]"));
    for (text, error) in [
        ("{\"x\":1}".to_owned(), "7: found `}`; expected the field \"data\" before the end"),
        ("{\"data\":1}".to_owned(), "9: found `1`; expected an array of sessions"),
        ("{\"data\":[],\"data\":[]}".to_owned(), "12: found `\"data\"`; expected one field \"data\""),
        ("{\"data\":[]} {".to_owned(), "13: found `{`; expected nothing after the end of the history"),
        ("{\"data\":[{".to_owned(), "10: found `{`; expected an array of transactions, a session, or `]`"),
        (
            "{\"data\":[[[".to_owned(),
            "11: found `[`; expected a transaction with \"events\" and \"committed\", or `]`",
        ),
        (
            in_transaction("\"events\":[]"),
            "11: found `{\"events\":[]}`; expected a transaction with the fields \"events\" and \"committed\"",
        ),
        (in_transaction("\"events\":5"), "21: found `5`; expected an array of events"),
        (in_transaction("\"committed\":1"), "24: found `1`; expected true or false"),
        (
            in_event("5"),
            "39: found `5`; expected an event: {\"Read\":{\"variable\":0,\"version\":1}} or \
             {\"Write\":{\"variable\":0,\"version\":1}}",
        ),
        (in_event("{\"Read\":5}"), "47: found `5`; expected an object with \"variable\" and \"version\""),
        (
            in_event("{\"Write\":{\"variable\":1}}"),
            "39: found `{\"Write\":{\"variable\":1}}`; expected a write with a version",
        ),
        (
            in_event("{\"Write\":{\"variable\":null,\"version\":1}}"),
            "60: found `n`; expected a whole number or a name",
        ),
        (
            in_event("{\"Write\":{\"variable\":1,\"version\":1.5}}"),
            "72: found `1.5`; expected a whole number or a name",
        ),
        (in_event("[\"x\",1,2]"), "40: found `\"x\"`; expected \"r\" or \"w\""),
        (in_event("[\"r\",1]"), "45: found `]`; expected `,` and the version"),
        (in_event("[\"r\",1,2,3]"), "47: found `,`; expected `]`"),
        (
            "{\"data\":[[".to_owned(),
            "11: found the end of the input; expected a transaction with \"events\" and \"committed\", or `]`",
        ),
    ] {
        assert_eq!(error_of(Format::Dbcop, &text), format!("in:1:{error}"), "{text}");
    }
}

#[test]
fn errors_in_binary_formats_have_offsets_and_bytes() {
    let mut bytes = Bincode::new("i", 1);
    let at = bytes.0.len();
    bytes.number(1);
    bytes.transaction(&[(1, 2, 3, 1)], 1);
    let damaged = |at: usize, byte: u8| {
        let mut bytes = bytes.0.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, error) in [
        (damaged(at + 16, 7), format!("{}: found `07`; expected whether the event is a write, a byte 0 or 1", at + 16)),
        (damaged(at + 33, 9), format!("{}: found `09`; expected whether the event succeeded, a byte 0 or 1", at + 33)),
        (damaged(at + 34, 2), format!("{}: found `02`; expected whether the transaction committed, a byte 0 or 1", at + 34)),
        ([&bytes.0[..], b"xy"].concat(), format!("{}: found `78 79`; expected nothing after the last session", at + 35)),
        (damaged(45, 1), "40: found `01 00 00 00 00 01 00 00`; expected a length of at most 1048576 bytes, not 1099511627777".to_owned()),
        (bytes.0[..at + 20].to_vec(), format!("{}: found the end of the input; expected an event, 18 bytes", at + 20)),
        (bytes.0[..60].to_vec(), "60: found the end of the input; expected more bytes of `start`".to_owned()),
    ] {
        assert_eq!(error_of(Format::DbcopBincode, bytes), format!("in: byte {error}"));
    }
    for (log, error) in [
        (cobra(&[(b'X', &[1])]), "0: found `58`; expected `S` (53), the start of a transaction"),
        (
            cobra(&[(b'S', &[1]), (b'A', &[1])]),
            "9: found `41`; expected no aborted transaction, which Cobra does not log",
        ),
        (
            cobra(&[(b'S', &[1]), (0, &[])]),
            "9: found `00`; expected `W` (57), `R` (52) or `C` (43), in a log without timestamps",
        ),
        (
            cobra(&[(b'S', &[1]), (b'C', &[2])]),
            "10: found `00 00 00 00 00 00 00 02`; expected the id of the transaction that is open, 0000000000000001",
        ),
        (
            cobra(&[(b'S', &[1])]),
            "9: found the end of the input; expected `W` (57), `R` (52) or `C` (43): the transaction is not committed yet",
        ),
    ] {
        assert_eq!(error_of(Format::Cobra, log), format!("in: byte {error}"));
    }
    let error =
        format::read(&cobra(&[(b'S', &[1]), (b'A', &[])])[..], "in", Some(Format::Cobra), &Limits::default());
    let error = error.unwrap_err();
    let place = error.place().unwrap();
    assert_eq!((place.source_line.as_str(), place.span.clone()), ("00 00 00 00 00 00 00 01 41", 24..26));
}

#[test]
fn a_count_that_lies_costs_nothing() {
    let limits = Limits { memory_bytes: 1 << 20, record_bytes: 1 << 20, ..Limits::default() };
    let mut bytes = Bincode::new("i", u64::MAX);
    let sessions = bytes.0.len();
    bytes.number(u64::MAX);
    let transactions = bytes.0.len();
    bytes.number(u64::MAX);
    for len in [sessions, transactions, bytes.0.len()] {
        let error = format::read(&bytes.0[..len], "in", Some(Format::DbcopBincode), &limits).unwrap_err();
        assert!(matches!(error, FormatError::Syntax { .. }), "{error}");
        assert_eq!(error.place().unwrap().offset, len as u64);
    }
}

fn limit_of(format: Format, input: impl std::io::Read, limits: &Limits) -> LimitReached {
    match format::read(input, "in", Some(format), limits) {
        Ok(_) => panic!("{format}: read to the end"),
        Err(FormatError::Limit { limit, .. }) => limit,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn transactions_end_at_the_limits() {
    let limits = Limits { record_bytes: 4 << 20, memory_bytes: 32 << 20, ..Limits::default() };
    for (format, head, pattern, limit) in [
        (Format::Plume, "w(1,2,3,4)\n", "\n", LimitReached::RecordBytes(4 << 20)),
        (Format::Plume, "w(1,2,3,4)\nr(", "1", LimitReached::RecordBytes(4 << 20)),
        (Format::Plume, "", "w(1,2,3,4)\n", LimitReached::MemoryBytes(32 << 20)),
        (Format::Plume, "", "w(1,2,3,-1)\n", LimitReached::MemoryBytes(32 << 20)),
        (Format::Awdit, "w 1 2\n", "----\n", LimitReached::RecordBytes(4 << 20)),
        (Format::Awdit, "", "w 1 2\n====\n", LimitReached::MemoryBytes(32 << 20)),
        (Format::DbcopHist, "[x:=1]\n", "--\n", LimitReached::RecordBytes(4 << 20)),
        (Format::DbcopHist, "[x:=1]\n//", "comment", LimitReached::RecordBytes(4 << 20)),
        (Format::DbcopHist, "[", "a_variable_with_a_long_name:=1 ", LimitReached::RecordBytes(4 << 20)),
        (Format::DbcopHist, "[x:=1]\n[", "x", LimitReached::RecordBytes(4 << 20)),
        (Format::DbcopHist, "", "[x:=1]\n", LimitReached::MemoryBytes(32 << 20)),
        (Format::Dbcop, "{\"info\":\"", "x", LimitReached::RecordBytes(4 << 20)),
        (Format::Dbcop, "{\"data\":[", "[],", LimitReached::RecordBytes(4 << 20)),
        (Format::Dbcop, "[[{\"events\":[", "[\"w\",0,1],", LimitReached::RecordBytes(4 << 20)),
        (Format::Dbcop, "[[", "{\"events\":[],\"committed\":true},", LimitReached::MemoryBytes(32 << 20)),
        (Format::Dbcop, "{\"info\":", "[", LimitReached::Depth(128)),
    ] {
        assert_eq!(limit_of(format, gigabyte(head, pattern), &limits), limit, "{format} {head}{pattern}");
    }
}

#[test]
fn a_history_that_fits_only_while_it_is_collected_ends_at_the_limit() {
    let text: String = (0..100_000).map(|i| format!("w(1,{i},0,{i})\nr(2,{i},0,{i})\n")).collect();
    let limits = Limits { memory_bytes: 16 << 20, ..Limits::default() };
    let error = format::read(text.as_bytes(), "in", None, &limits).unwrap_err();
    assert!(matches!(error, FormatError::Limit { limit: LimitReached::MemoryBytes(_), .. }), "{error}");
    assert_eq!(error.place().unwrap().offset, text.len() as u64);
    assert!(format::read(text.as_bytes(), "in", None, &Limits::default()).is_ok());
}
