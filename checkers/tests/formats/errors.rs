//! What is said about input that is no history: message, line, column, the quoted line.

use shakedown_checkers::format::{self, Format, FormatError, LimitReached, Limits};
use std::io::{self, Read};

fn error_of(format: Option<Format>, text: impl AsRef<[u8]>) -> FormatError {
    match format::read(text.as_ref(), "in", format, &Limits::default()) {
        Ok(history) => panic!("{:?} read as {} operations", text.as_ref().escape_ascii(), history.len()),
        Err(error) => error,
    }
}

/// The error, its line, and a line of carets under the span.
fn shown(error: &FormatError) -> String {
    let place = error.place().expect("it has a place");
    let before = place.source_line[..place.span.start].chars().count();
    let under = place.source_line[place.span.clone()].chars().count().max(1);
    format!("{error}\n{}\n{}{}\n", place.source_line, " ".repeat(before), "^".repeat(under))
}

fn check(format: Format, text: impl AsRef<[u8]>, expected: &str) {
    assert_eq!(shown(&error_of(Some(format), text)), expected);
}

#[test]
fn a_wrong_type_is_named_with_the_ones_there_are() {
    check(
        Format::Edn,
        "{:process 0, :type :invoke, :f :read}\n {:type :banana, :f :x}",
        "in:2:9: found `:banana`; expected one of :invoke, :ok, :fail, :info\n \
         {:type :banana, :f :x}\n        ^^^^^^^\n",
    );
    check(
        Format::JsonLines,
        "{\"type\":\"banana\"}",
        "in:1:9: found `\"banana\"`; expected one of \"invoke\", \"ok\", \"fail\", \"info\"\n\
         {\"type\":\"banana\"}\n        ^^^^^^^^\n",
    );
    check(
        Format::Edn,
        "{:type 5}",
        "in:1:8: found `5`; expected one of the types invoke, ok, fail, info\n{:type 5}\n       ^\n",
    );
    check(
        Format::Edn,
        "{:f :a}",
        "in:1:1: found `{:f :a}`; expected an event with the field :type, one of the types invoke, ok, fail, \
         info\n{:f :a}\n^^^^^^^\n",
    );
}

#[test]
fn fields_of_the_wrong_kind() {
    for (text, message, column) in [
        ("{:type :ok :time \"now\"}", "found `\"now\"`; expected an integer", 18),
        ("{:type :ok :index 1.5}", "found `1.5`; expected an integer", 19),
        ("{:type :ok :f 7}", "found `7`; expected the name of a function", 15),
        (
            "{:type :ok :process 99999999999999999999}",
            "found `99999999999999999999`; expected a whole number below 2^62, or a name such as nemesis",
            21,
        ),
        (
            &format!("{{:type :ok :f \"{}\"}}", "é".repeat(501)),
            &format!(
                "found `\"{}…`; expected the name of a function, at most 1000 bytes long",
                "é".repeat(39)
            ),
            15,
        ),
        ("{:type :ok :f [:a]}", "found `[:a]`; expected the name of a function", 15),
        (
            "{:type :ok :process 4611686018427387904}",
            "found `4611686018427387904`; expected a process below 2^62",
            21,
        ),
    ] {
        let error = error_of(Some(Format::Edn), text);
        assert_eq!(error.message(), message);
        assert_eq!(error.place().unwrap().column, column, "{text}");
    }
}

#[test]
fn timestamps_that_contradict_themselves() {
    check(
        Format::Edn,
        "[{:type :ok :start-ts 5 :commit-ts 4}]",
        "in:1:2: found commit-ts 4 before start-ts 5; expected a commit-ts that is not before start-ts\n\
         [{:type :ok :start-ts 5 :commit-ts 4}]\n ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n",
    );
    for (text, message) in [
        ("{\"commit-ts\":4,\"type\":\"ok\"}", "found commit-ts without start-ts; expected both or neither"),
        ("{\"type\":\"ok\",\"start-ts\":4}", "found start-ts without commit-ts; expected both or neither"),
        ("{\"type\":\"ok\",\"start-ts\":\"4\"}", "found `\"4\"`; expected an integer"),
        ("{\"type\":\"ok\",\"commit-ts\":1e3}", "found `1e3`; expected an integer"),
    ] {
        assert_eq!(error_of(Some(Format::JsonLines), text).message(), message);
    }
}

#[test]
fn edn_that_is_not_edn() {
    for (text, message, column) in [
        ("{:type :ok :value }", "found `}`; expected a value", 19),
        ("{:type :ok :value [1 2}", "found `}`; expected a value or `]`", 23),
        ("{:type :ok :value {1}}", "found `{1}`; expected a map with a value for each key", 19),
        ("{:type :ok :value 007}", "found `007`; expected a number", 19),
        ("{:type :ok :value 1x}", "found `1x`; expected a number", 19),
        (
            "{:type :ok :value \\bogus}",
            "found `\\bogus`; expected a character, as in \\a, \\newline or \\u0041",
            19,
        ),
        (
            "{:type :ok :value \"a\\q\"}",
            "found `\\q`; expected one of \\\", \\\\, \\n, \\t, \\r, \\b, \\f, \\uNNNN",
            21,
        ),
        ("{:type :ok : 1}", "found `:`; expected a keyword with a name", 12),
        ("{:type :ok :value #=(+ 1 2)}", "found `#=`; expected a set, a tag or `_` after `#`", 19),
        ("{:type :ok :value [#_]}", "found `]`; expected the form that `#_` discards", 22),
        ("{:type :ok :value #tag}", "found `}`; expected the form that the tag is for", 23),
        ("{:type :ok :value a\u{0}b}", "found `\\x00`; expected no control character here", 20),
        (
            "{:type :ok}\n]",
            "found `]`; expected a map that describes an event, as in {:process 0, :type :invoke, :f :read, :value nil}",
            1,
        ),
        ("[{:type :ok}] {:type :ok}", "found `{`; expected nothing after the end of the history", 15),
        ("[{:type :ok}", "found the end of the input; expected `]` at the end of the history", 13),
        ("{:type :ok :value \"a", "found the end of the input; expected `\"` at the end of the string", 21),
        ("{:type :ok", "found the end of the input; expected `}` or a key", 11),
    ] {
        let error = error_of(Some(Format::Edn), text);
        assert_eq!(error.message(), message);
        assert_eq!(error.place().unwrap().column, column, "{text}");
    }
}

#[test]
fn json_that_is_not_json() {
    for (text, message, column) in [
        ("{\"type\":\"ok\",}", "found `}`; expected a key in quotes", 14),
        ("{type:\"ok\"}", "found `t`; expected a key in quotes", 2),
        ("{\"type\" \"ok\"}", "found `\"`; expected `:`", 9),
        ("{\"type\":\"ok\" \"f\":1}", "found `\"`; expected `,` or `}`", 14),
        ("{\"type\":\"ok\",\"value\":[1,]}", "found `]`; expected a value", 25),
        ("{\"type\":\"ok\",\"value\":[1 2]}", "found `2`; expected `,` or `]`", 25),
        ("{\"type\":\"ok\",\"value\":01}", "found `01`; expected a number", 22),
        ("{\"type\":\"ok\",\"value\":1.}", "found `1.`; expected a number", 22),
        ("{\"type\":\"ok\",\"value\":nul}", "found `nul`; expected a value, such as null or true", 22),
        (
            "{\"type\":\"ok\",\"value\":\"\\ud800x\"}",
            "found `\\ud800`; expected both halves of a surrogate",
            23,
        ),
        (
            "{\"type\":\"ok\",\"value\":\"a\tb\"}",
            "found `\t`; expected no control character in a string, but `\"` at its end",
            24,
        ),
        (
            "{}",
            "found `{}`; expected an event with the field \"type\", one of the types invoke, ok, fail, info",
            1,
        ),
        ("[{\"type\":\"ok\"} {\"type\":\"ok\"}]", "found `{`; expected `,` or `]`", 16),
        ("[{\"type\":\"ok\"}", "found the end of the input; expected `,` or `]`", 15),
        ("[{\"type\":\"ok\"}]{}", "found `{`; expected nothing after the end of the array", 16),
    ] {
        let error = error_of(Some(Format::JsonLines), text);
        assert_eq!(error.message(), message);
        assert_eq!(error.place().unwrap().column, column, "{text}");
    }
}

#[test]
fn kv_lines_say_what_is_missing() {
    let good = "{:process 0, :type :ok, :f :get, :key \"k\", :value \"v\"}";
    for (from, to, message, column) in [
        (":ok", ":fail", "found `:`; expected :invoke or :ok", 20),
        (":get", ":cas", "found `:`; expected :get, :put or :append", 28),
        ("\"v\"", "nil", "found `n`; expected a string", 51),
        ("\"v\"}", "\"v\"", "found the end of the line; expected `\"}` at the end of the line", 54),
        ("0", "x", "found `x`; expected the number of a process, below 2^62", 11),
    ] {
        let text = format!("{good}\n{}\n", good.replacen(from, to, 1));
        let error = error_of(Some(Format::PorcupineKv), &text);
        let place = error.place().unwrap();
        assert_eq!((error.message().as_str(), place.line, place.column), (message, 2, column), "{text}");
    }
}

#[test]
fn a_history_that_only_begins_like_a_kv_log_is_edn() {
    let get = "{:process 0, :type :invoke, :f :get, :key \"x\", :value nil}\n";
    let string = "{:process 0, :type :ok, :f :get, :key \"x\", :value \"\"}\n";
    let nil = "{:process 0, :type :ok, :f :get, :key \"x\", :value nil}\n";
    let cut = &string[..40];
    for (text, format) in [
        (format!("{get}{string}"), Format::PorcupineKv),
        (format!("\n{get}{}", string.trim_end()), Format::PorcupineKv),
        (format!("{get}{cut}"), Format::PorcupineKv),
        (format!("{get}{nil}"), Format::Edn),
        (format!("{get}{}", nil.trim_end()), Format::Edn),
        (format!("{get}{string}{get}{}", nil.replace(":ok", ":info")), Format::Edn),
    ] {
        assert_eq!(format::detect(text.as_bytes()), Some(format), "{text}");
    }
    // Where the difference comes too late to be seen beforehand, the error says what was taken for what.
    let late = format!("{}{get}{nil}", format!("{get}{string}").repeat(1_000));
    let error = error_of(None, &late);
    assert!(error.help().is_some_and(|help| help.contains("`--input-format edn`")), "{error:?}");
    assert_eq!(error_of(Some(Format::PorcupineKv), &late).help(), None);
    assert!(format::read(late.as_bytes(), "in", Some(Format::Edn), &Limits::default()).is_ok());
}

#[test]
fn a_jepsen_log_without_a_line_that_counts_is_none() {
    let error = error_of(Some(Format::JepsenLog), "INFO jepsen.util - 0 :invoke :read 5\nhello\n");
    assert!(
        error.message().starts_with("found the end of the input without a line of a Jepsen log"),
        "{error}"
    );
}

#[test]
fn events_that_do_not_pair_up_are_shown_where_they_stand() {
    check(
        Format::Edn,
        "{:type :invoke :process 1 :f :read}\n{:type :invoke :process 1 :f :write :value 2}\n",
        "in:2:1: process 1 invokes write while its read from line 1 is still open; expected that operation's \
         completion (ok, fail or info) first\n{:type :invoke :process 1 :f :write :value 2}\n\
         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n",
    );
    let text = "{\"type\":\"invoke\",\"process\":1,\"f\":\"a\"} {\"type\":\"ok\",\"process\":1,\"f\":\"b\"}";
    let error = error_of(None, text);
    assert!(matches!(error, FormatError::Pairing { .. }), "{error}");
    assert_eq!(error.place().unwrap().column, 39);
}

#[test]
fn bytes_that_are_not_utf8_are_escaped_and_counted_as_characters() {
    check(
        Format::JsonLines,
        b"{\"type\":\"ok\",\"value\":\"\xc3\xa9\xff\"}",
        "in:1:24: found `\\xff`; expected UTF-8\n{\"type\":\"ok\",\"value\":\"é\\xff\"}\n                       ^^^^\n",
    );
    check(
        Format::Edn,
        b"{:type :ok :value [\xe2\x82]}",
        "in:1:20: found `\\xe2\\x82`; expected UTF-8\n{:type :ok :value [\\xe2\\x82]}\n                   ^^^^^^^^\n",
    );
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_line() {
    let error = error_of(None, "\u{feff}{:type :x}");
    let place = error.place().unwrap();
    assert_eq!((place.column, place.offset, place.source_line.as_str()), (8, 10, "{:type :x}"));
}

#[test]
fn a_long_line_is_cut_around_the_error() {
    let text = format!(
        "[{}{{:type :x, :value \"{}\"}}]",
        "{:type :ok :process 1} ".repeat(60_000),
        "é".repeat(3_000)
    );
    let error = error_of(None, &text);
    let place = error.place().unwrap();
    assert_eq!((place.line, place.column), (1, 60_000 * 23 + 9));
    assert_eq!(place.offset, 60_000 * 23 + 8);
    assert_eq!(&place.source_line[place.span.clone()], ":x");
    assert_eq!(place.source_line.chars().count(), 202);
    assert!(place.source_line.starts_with('…') && place.source_line.ends_with("é…"));
}

#[test]
fn junk_is_refused_with_the_formats_there_are() {
    for junk in [&b"\x7fELF\x02\x01\x00\x00"[..], b"hello\n", b"\x00\x00\x00", b"r (1,2,3,4)\n"] {
        let error = error_of(None, junk);
        assert!(matches!(error, FormatError::Unknown { .. }), "{error}");
        assert!(
            error.to_string().contains(
                "edn, json, jepsen-log, porcupine-kv, plume, awdit, dbcop, dbcop-hist, dbcop-bincode, cobra"
            ),
            "{error}"
        );
        assert!(error.help().unwrap().contains('`'));
    }
    assert!(error_of(None, b"\x7fELF\x02").to_string().contains("begins with `\\x7fELF\\x02`"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = format::read_path("no/such/file".as_ref(), None, &Limits::default()).unwrap_err();
    assert!(error.to_string().starts_with("no/such/file: "), "{error}");
}

fn limit_of(reader: impl Read, limits: &Limits) -> LimitReached {
    match format::read(reader, "in", None, limits) {
        Ok(_) => panic!("read to the end"),
        Err(FormatError::Limit { limit, place }) => {
            assert!(place.source_line.chars().count() <= 202);
            limit
        }
        Err(error) => panic!("{error}"),
    }
}

/// A reader of `head` and then `pattern` again and again, a gigabyte of it.
pub(crate) fn gigabyte(head: &'static str, pattern: &'static str) -> impl Read {
    struct Cycle(&'static [u8], usize);
    impl Read for Cycle {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = out.len().min(self.0.len() - self.1);
            out[..count].copy_from_slice(&self.0[self.1..self.1 + count]);
            self.1 = (self.1 + count) % self.0.len();
            Ok(count)
        }
    }
    head.as_bytes().chain(Cycle(pattern.repeat(10_000).leak().as_bytes(), 0).take(1 << 30))
}

#[test]
fn a_gigabyte_without_an_event_ends_at_the_limit() {
    let limits = Limits { record_bytes: 4 << 20, ..Limits::default() };
    for (head, pattern) in [
        ("{:type :ok :value \"", "x"),
        ("{:type :ok :value [", "1 "),
        ("{:type :ok} ", "\n"),
        ("; ", "comment"),
        ("{:type :ok :value ", "9"),
        ("{:type :ok :unknown \"", "\\n"),
        ("{\"type\":\"ok\"}\n", " "),
        ("{\"type\":\"ok\",\"value\":\"", "x"),
        ("{\"type\":\"ok\",\"value\":[", "1,"),
        ("{\"type\":\"ok\",\"value\":", "9"),
        ("INFO jepsen.util - 0 :invoke :read nil\n", "no such line\n"),
        ("INFO jepsen.util - 0 :invoke :read nil\n", "x"),
        ("{:process 0, :type :invoke, :f :get, :key \"k\", :value nil}\n", "x"),
    ] {
        let limit = limit_of(gigabyte(head, pattern), &limits);
        assert_eq!(limit, LimitReached::RecordBytes(4 << 20), "{head}{pattern}");
        assert!(limit.to_string().contains(" within 4 MiB,"), "{limit}");
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    let limits = Limits::default();
    for (head, pattern) in [
        ("{:type :ok :value ", "["),
        ("{:type :ok :value ", "{:a "),
        ("{:type :ok :value ", "#{"),
        ("{:type :ok :value ", "#_ "),
        ("{:type :ok :value ", "#tag "),
        ("{:type :ok :unknown ", "("),
        ("{:type :ok #_ ", "["),
        ("#_ ", "#_ "),
        ("{\"type\":\"ok\",\"value\":", "["),
        ("{\"type\":\"ok\",\"unknown\":", "{\"a\":"),
    ] {
        assert_eq!(limit_of(gigabyte(head, pattern), &limits), LimitReached::Depth(128), "{head}{pattern}");
    }
    let deep = |depth: usize| format!("{{:type :ok :value {}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(format::read(deep(128).as_bytes(), "in", None, &limits).is_ok());
    assert!(format::read(deep(129).as_bytes(), "in", None, &limits).is_err());
}

#[test]
fn a_history_larger_than_its_memory_ends_at_the_limit() {
    let limits = Limits { memory_bytes: 16 << 20, ..Limits::default() };
    let events =
        gigabyte("", "{:process 0 :type :invoke :f :read}{:process 0 :type :ok :f :read :value 1}\n");
    assert_eq!(limit_of(events, &limits), LimitReached::MemoryBytes(16 << 20));
    // One event can be too large as well.
    let event = gigabyte("{:type :ok :value [", "1 ");
    assert_eq!(limit_of(event, &limits), LimitReached::MemoryBytes(16 << 20));
}

#[test]
fn a_bomb_ends_at_a_limit() {
    let limits = Limits { record_bytes: 4 << 20, ..Limits::default() };
    let blanks = zstd::encode_all(gigabyte("{:type :ok}", " ").take(256 << 20), 1).unwrap();
    assert!(blanks.len() < 1 << 20);
    assert_eq!(limit_of(&blanks[..], &limits), LimitReached::RecordBytes(4 << 20));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::copy(&mut gigabyte("{:type :ok :value \"", "x").take(64 << 20), &mut gz).unwrap();
    assert_eq!(limit_of(&gz.finish().unwrap()[..], &limits), LimitReached::RecordBytes(4 << 20));
}

#[test]
fn a_span_ends_where_a_character_does() {
    check(
        Format::JsonLines,
        "{\"type\":t[𲲲e\n",
        "in:1:9: found `t`; expected a value, such as null or true\n{\"type\":t[𲲲e\n        ^\n",
    );
    // An escape sequence takes in the whole character after its backslash.
    for (format, text) in [
        (Format::Edn, "{:type :ok :value \"é\\𲲲é\"}"),
        (Format::JsonLines, "{\"type\":\"ok\",\"value\":\"é\\𲲲é\"}"),
    ] {
        let error = error_of(Some(format), text);
        let place = error.place().unwrap();
        assert_eq!(&place.source_line[place.span.clone()], "\\𲲲", "{error}");
        assert!(error.message().starts_with("found `\\𲲲`; expected one of"), "{error}");
    }
}
