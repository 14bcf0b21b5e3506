//! Properties that hold for any input: reading never panics, does not depend on how the bytes
//! arrive, and what is written reads back.

use crate::show::show;
use crate::transactions::{Bincode, cobra};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use shakedown_checkers::format::{self, Format, FormatError, Limits};
use shakedown_checkers::history::{Event, EventKind, History, HistoryBuilder, Outcome, Process, Timestamps};
use shakedown_checkers::value::{Value, Values};
use std::io::{self, Read};

const EDN: &str = "; a comment\n[#jepsen.history.Op{:index 0, :time 105, :type :invoke, :process 0, :f :cas, \
    :value [1 -2]}\n #_ [discarded] {:process 0, :type :ok, :f :cas, :value [1.5 2/3 123N \\a \"é\\n\" #{:k/w} \
    {nil true}], :time 7, :error [:x foo #inst \"2020\"]}\r\n {:process :nemesis :type :info :f \"a\"}]\n";
const JSON: &str = "[{\"index\":0,\"time\":105,\"type\":\"invoke\",\"process\":0,\"f\":\"txn\",\"value\":\
    [[\"r\",1,null],{\"k\":1.5e3}]},\n {\"type\":\"info\",\"process\":0,\"f\":\"txn\",\"x\":[true,{}],\
    \"error\":\"\\ud83d\\ude00é\"}]\n";
const LOG: &str =
    "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nfoo\nINFO  jepsen.util - 0\t:fail\t:cas\t[1 2]\n";
const KV: &str = "{:process 0, :type :invoke, :f :put, :key \"k\", :value \"é\"}\n\
    {:process 0, :type :ok, :f :put, :key \"k\", :value \"é\"}\n";
const PLUME: &str = "w(1,18446744073709551615,0,7)\r\nr(2,0,0,7)\n\nr(1,3,4,-1)\nr(20,30,0,7)\n";
const AWDIT: &str = "====\nw 1 2\n r 10 20 \r\n\nr 3 4\n----\n-\n";
const DBCOP: &str = "{\"params\":{\"id\":[0,{}]},\"info\":\"\\u00e9\",\n \"data\":[[],[{\"events\":[{\"Write\":\
    {\"variable\":\"é\",\"version\":1}},{\"Read\":{\"variable\":12,\"version\":null}},\n[\"r\",0,1],{\"write\":false,\
    \"variable\":2,\"value\":0,\"success\":false}],\"committed\":true,\"x\":-1.5}]]}\n";
const HIST: &str = "// é\n---\n\n[é_1:=12 12==0\tz==? x==345]! // end\n--\n";
const SAMPLES: [(Format, &str); 8] = [
    (Format::Edn, EDN),
    (Format::JsonLines, JSON),
    (Format::JepsenLog, LOG),
    (Format::PorcupineKv, KV),
    (Format::Plume, PLUME),
    (Format::Awdit, AWDIT),
    (Format::Dbcop, DBCOP),
    (Format::DbcopHist, HIST),
];

/// Samples of the binary formats, each after `before` bytes of the same format that are no operation, or
/// after the fewest that are more.
fn binary_samples(before: usize) -> [(Format, Vec<u8>); 2] {
    let mut bincode = Bincode::new(&"i".repeat(before.saturating_sub(122)), 2);
    bincode.number(0);
    bincode.number(1);
    bincode.transaction(&[(1, 2, u64::MAX, 1), (0, 2, 0, 1), (0, 3, 0, 0)], 1);
    let mut records: Vec<(u8, &[u64])> = vec![(b'S', &[1])];
    // Writes have 25 bytes and reads 33.
    let reads = (0..25).find(|reads| before < 9 + 33 * reads || (before - 9 - 33 * reads).is_multiple_of(25));
    let reads = reads.expect("25 and 33 have no common divisor");
    let writes = before.saturating_sub(9 + 33 * reads) / 25;
    records.extend(vec![(b'W', &[1, 2, 3][..]); writes]);
    records.extend(vec![(b'R', &[1, 2, 3, 4][..]); reads]);
    records.extend([(b'R', &[0xdead_beef, 0xdead_beef, 3, 0][..]), (b'W', &[9, 8, 7]), (b'C', &[1])]);
    [(Format::DbcopBincode, bincode.0), (Format::Cobra, cobra(&records))]
}

/// The history, or the error, as text.
fn outcome(reader: impl Read, format: Option<Format>) -> String {
    match format::read(reader, "in", format, &Limits::default()) {
        Ok(history) => show(&history),
        Err(error) => {
            // Whoever renders the error relies on these.
            if let Some(place) = error.place() {
                assert!(place.source_line.get(place.span.clone()).is_some(), "{place:?}");
                assert!(place.line >= 1 && place.column >= 1);
                assert!(!place.source_line.contains('\n'));
            }
            let (message, help) = (error.message(), error.help());
            assert!(!message.is_empty() && help.is_none_or(|help| !help.is_empty()));
            error.to_string()
        }
    }
}

/// Gives a few bytes at a time.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(out.len()).min(self.1);
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn a_file_cut_anywhere_is_read_or_refused() {
    for (format, text) in SAMPLES {
        for cut in 0..=text.len() {
            outcome(&text.as_bytes()[..cut], Some(format));
            outcome(&text.as_bytes()[..cut], None);
        }
        assert!(format::read(text.as_bytes(), "in", None, &Limits::default()).is_ok_and(|h| h.len() == 1));
    }
}

#[test]
fn where_a_block_ends_does_not_matter() {
    // Blocks end at multiples of 64 KiB at first: padding moves every byte of the sample over them.
    for (format, text) in SAMPLES {
        let expected = outcome(text.as_bytes(), Some(format));
        for before in 0..text.len() {
            let padded = format!("{}{text}", "\n".repeat((64 << 10) - before));
            assert_eq!(outcome(padded.as_bytes(), Some(format)), expected, "{format} {before}");
        }
    }
}

#[test]
fn a_binary_file_cut_anywhere_is_read_or_refused() {
    for (format, bytes) in binary_samples(0) {
        for cut in 0..=bytes.len() {
            outcome(&bytes[..cut], Some(format));
            outcome(&bytes[..cut], None);
        }
        assert!(format::read(&bytes[..], "in", Some(format), &Limits::default()).is_ok_and(|h| h.len() == 1));
    }
}

#[test]
fn where_a_block_ends_does_not_matter_to_binary_formats_either() {
    let sizes = binary_samples(0).map(|(_, bytes)| bytes.len());
    let all = Limits::default();
    for before in (64 << 10) - sizes[0].max(sizes[1])..=64 << 10 {
        for (format, bytes) in binary_samples(before) {
            let history = format::read(&bytes[..], "in", Some(format), &all).unwrap();
            let output = crate::show::canonical(history.operation(0).output, history.values());
            let end = match format {
                Format::DbcopBincode => "[[:w 2 18446744073709551615] [:r 2 nil]]",
                _ => "[:r 3 nil] [:w 8 9]]",
            };
            assert!(history.len() == 1 && output.ends_with(end), "{format} {before} {output}");
        }
    }
}

#[test]
fn an_operation_longer_than_many_blocks_reads() {
    let long = "x".repeat(3 << 20);
    for text in [
        format!("{{:type :invoke :process 0 :f :a :value \"{long}\"}}"),
        format!("{{\"type\":\"invoke\",\"process\":0,\"f\":\"a\",\"value\":\"{long}\"}}"),
    ] {
        let history = format::read(Dribble(text.as_bytes(), 4096), "in", None, &Limits::default()).unwrap();
        assert_eq!(history.values().text(history.operation(0).input), Some(long.as_str()));
    }
}

#[test]
fn transactions_survive_being_written() {
    let mut runner = TestRunner::deterministic();
    let (mut fit, mut unfit) = ([0; 3], [0; 3]);
    for _ in 0..1000 {
        let history = transactions().new_tree(&mut runner).unwrap().current();
        for (i, format) in [Format::Edn, Format::Plume, Format::Awdit].into_iter().enumerate() {
            let text = match format::write(&history, format, Vec::new()) {
                Ok(()) => written(&history, format),
                Err(error) => {
                    assert!(matches!(error, FormatError::Unfit { .. }), "{error}");
                    unfit[i] += 1;
                    continue;
                }
            };
            fit[i] += 1;
            let back = format::read(&text[..], "in", Some(format), &Limits::default()).unwrap();
            if format == Format::Edn {
                assert_eq!(show(&back), show(&history));
            } else {
                assert_eq!(committed(&back, format), committed(&history, format));
                // What reads back is written as it was.
                assert_eq!(written(&back, format), text, "{}", text.escape_ascii());
            }
        }
    }
    assert_eq!((fit[0], unfit[0]), (1000, 0));
    assert!(fit[1] > 250 && unfit[1] > 250 && fit[2] > 250 && unfit[2] > 250, "{fit:?} {unfit:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in [None].into_iter().chain(Format::ALL.map(Some)) {
            let whole = outcome(&bytes[..], format);
            prop_assert_eq!(outcome(Dribble(&bytes, 3), format), whole);
        }
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        sample in 0..SAMPLES.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..6),
    ) {
        let (format, text) = SAMPLES[sample];
        let mut bytes = text.as_bytes().to_vec();
        for (at, what, byte) in edits {
            let at = at.index(bytes.len());
            // The bytes that mean something are likelier than chance would have it.
            let token = b"{}[]()#_:;\"\\\n ,0-"[usize::from(byte) % 17];
            match what {
                0 => bytes[at] = byte,
                1 => bytes[at] = token,
                2 => bytes.insert(at, token),
                _ => { bytes.remove(at); bytes.push(b' '); }
            }
        }
        outcome(&bytes[..], Some(format));
        outcome(&bytes[..], None);
    }

    #[test]
    fn damaged_binary_files_are_read_or_refused(
        sample in 0..2_usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..6),
    ) {
        let [first, second] = binary_samples(0);
        let (format, mut bytes) = if sample == 0 { first } else { second };
        for (at, what, byte) in edits {
            let at = at.index(bytes.len());
            let token = b"SWRCA\0\x01\xff"[usize::from(byte) % 8];
            match what {
                0 => bytes[at] = byte,
                1 => bytes[at] = token,
                2 => bytes.insert(at, token),
                _ => { bytes.remove(at); }
            }
        }
        let whole = outcome(&bytes[..], Some(format));
        prop_assert_eq!(outcome(Dribble(&bytes, 3), Some(format)), whole);
        outcome(&bytes[..], None);
    }

    #[test]
    fn damage_among_long_characters_is_shown_whole(
        sample in 0..SAMPLES.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..8_usize), 1..5),
    ) {
        // Characters of two to four bytes, whole and in halves, wherever a token or an escape may end.
        let (format, text) = SAMPLES[sample];
        let mut bytes = text.as_bytes().to_vec();
        for (at, what) in edits {
            let at = at.index(bytes.len());
            let piece = ["é", "€", "𲲲", "\\𲲲", "\\u00€", "t𲲲", "#€", "\""][what].as_bytes();
            bytes.splice(at..at, piece.iter().copied());
        }
        for format in [Some(format), None] {
            let whole = outcome(&bytes[..], format);
            prop_assert_eq!(outcome(Dribble(&bytes, 3), format), whole);
        }
    }

    #[test]
    fn what_is_written_in_edn_reads_back_as_the_same_history(history in histories(false)) {
        let text = written(&history, Format::Edn);
        let back = format::read(&text[..], "in", Some(Format::Edn), &Limits::default()).unwrap();
        prop_assert_eq!(show(&back), show(&history));
    }

    #[test]
    fn what_is_written_in_json_reads_back_as_the_same_history(history in histories(true)) {
        let text = written(&history, Format::JsonLines);
        let back = format::read(&text[..], "in", Some(Format::JsonLines), &Limits::default()).unwrap();
        prop_assert_eq!(show(&back), show(&history));
    }

    #[test]
    fn json_keeps_what_it_has_types_for(history in histories(false)) {
        // What JSON changes once (keywords, sets, ratios) it does not change again.
        let json = written(&history, Format::JsonLines);
        let back = format::read(&json[..], "in", None, &Limits::default()).unwrap();
        prop_assert_eq!(back.len(), history.len());
        let again = format::read(&written(&back, Format::JsonLines)[..], "in", None, &Limits::default()).unwrap();
        prop_assert_eq!(show(&again), show(&back));
    }
}

fn written(history: &History, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    format::write(history, format, &mut out).unwrap();
    out
}

/// A value to be made in some arena.
#[derive(Clone, Debug)]
enum Form {
    Nil,
    Bool(bool),
    Int(i64),
    Number(&'static str),
    Str(String),
    Keyword(&'static str),
    Symbol(&'static str),
    List(Vec<Form>),
    Set(Vec<Form>),
    Map(Vec<(Form, Form)>),
}

fn make(form: &Form, values: &mut Values) -> Value {
    let all = |forms: &[Form], values: &mut Values| -> Vec<Value> {
        forms.iter().map(|form| make(form, values)).collect()
    };
    match form {
        Form::Nil => Value::NIL,
        Form::Bool(bool) => Value::bool(*bool),
        Form::Int(int) => values.int(*int),
        Form::Number(text) => values.number(text),
        Form::Str(text) => values.str(text),
        Form::Keyword(name) => values.keyword(name),
        Form::Symbol(name) => values.symbol(name),
        Form::List(members) => {
            let members = all(members, values);
            values.list(&members)
        }
        Form::Set(members) => {
            let members = all(members, values);
            values.set(&members)
        }
        Form::Map(pairs) => {
            let pairs: Vec<(Value, Value)> =
                pairs.iter().map(|(k, v)| (make(k, values), make(v, values))).collect();
            values.map(&pairs)
        }
    }
}

/// Values; with `json` only those that JSON can say.
fn forms(json: bool) -> BoxedStrategy<Form> {
    let plain = prop_oneof![
        Just(Form::Nil),
        any::<bool>().prop_map(Form::Bool),
        any::<i64>().prop_map(Form::Int),
        (-3..9_i64).prop_map(Form::Int),
        prop::sample::select(vec!["1.5", "-2e300", "123456789012345678901234"]).prop_map(Form::Number),
        any::<String>().prop_map(Form::Str),
        "[a-z\"\\\\\n\u{0}é]{0,5}".prop_map(Form::Str),
    ];
    let scalar = if json {
        plain.boxed()
    } else {
        let more = prop_oneof![
            prop::sample::select(vec!["k", "a/b", "é", "x#y"]).prop_map(Form::Keyword),
            prop::sample::select(vec!["s", "##Inf", "-", "a.B$c", "+x"]).prop_map(Form::Symbol),
            prop::sample::select(vec!["1/3", "1e400"]).prop_map(Form::Number),
        ];
        prop_oneof![3 => plain, 2 => more].boxed()
    };
    scalar
        .prop_recursive(4, 24, 5, move |inner| {
            let key = if json { any::<String>().prop_map(Form::Str).boxed() } else { inner.clone().boxed() };
            let lists = prop::collection::vec(inner.clone(), 0..5).prop_map(Form::List);
            let maps = prop::collection::vec((key, inner.clone()), 0..4).prop_map(Form::Map);
            if json {
                prop_oneof![lists, maps].boxed()
            } else {
                prop_oneof![lists, maps, prop::collection::vec(inner, 0..4).prop_map(Form::Set)].boxed()
            }
        })
        .boxed()
}

/// Histories with crashes, failures, processes of all kinds and events that do not pair up.
fn histories(json: bool) -> impl Strategy<Value = History> {
    let process = prop_oneof![
        6 => (0..4_i64).prop_map(Form::Int),
        1 => Just(Form::Int(-7)),
        1 => Just(Form::Int(5000)),
        1 => Just(Form::Nil),
        1 => Just(Form::Str("nemesis".into())),
    ];
    let kind = prop::sample::select(vec![
        EventKind::Invoke,
        EventKind::Invoke,
        EventKind::Ok,
        EventKind::Ok,
        EventKind::Fail,
        EventKind::Info,
    ]);
    let f = prop::sample::select(vec!["read", "read", "two words", "nil", "a\"b\n"]);
    let event = (process, kind, f, forms(json), prop::option::of(forms(json)), any::<bool>(), -1..99_i64);
    prop::collection::vec(event, 0..40).prop_map(|events| {
        let mut builder = HistoryBuilder::new();
        for (process, kind, f, value, key, has_error, time_ns) in events {
            let is_ok = kind == EventKind::Ok;
            let value = make(&value, builder.values());
            // A nil key is no key.
            let key = key.map(|key| make(&key, builder.values())).filter(|key| !key.is_nil());
            let process = match process {
                Form::Int(int) => Process::Client(int),
                Form::Nil => Process::Unspecified,
                other => Process::Other(make(&other, builder.values())),
            };
            let has_error = has_error && kind != EventKind::Invoke;
            let error = if has_error { value } else { Value::NIL };
            let f = builder.function(f).unwrap();
            // Events that do not fit are refused and leave no trace.
            let pushed = builder.push(Event { process, kind, f, key, value, error, time_ns, line: 0 });
            if is_ok && pushed.is_ok() && time_ns % 3 == 0 {
                builder.stamp(Timestamps { start: -time_ns, commit: i64::MAX - time_ns });
            }
        }
        builder.finish()
    })
}

/// What committed, session by session, as Plume's and AWDIT's formats have it: without empty
/// transactions, and with 0 for the initial value in AWDIT's, which has a transaction for it.
fn committed(history: &History, format: Format) -> Vec<Vec<String>> {
    let mut sessions: Vec<(i64, Vec<String>)> = Vec::new();
    for op in history.operations() {
        let output = history.values().show(op.output);
        if op.outcome != Outcome::Ok || output == "[]" {
            continue;
        }
        let output = if format == Format::Awdit { output.replace(" nil]", " 0]") } else { output };
        match sessions.iter_mut().find(|session| session.0 == op.process) {
            Some(session) => session.1.push(output),
            None => sessions.push((op.process, vec![output])),
        }
    }
    let initial = |session: &[String]| {
        session[0].split_inclusive("] ").all(|op| op.contains("[:w ") && op.contains(" 0]"))
    };
    let mut sessions: Vec<Vec<String>> = sessions.into_iter().map(|(_, session)| session).collect();
    sessions.retain(|session| format != Format::Awdit || session.len() != 1 || !initial(session));
    sessions.sort();
    sessions
}

/// Sessions of transactions of reads and writes, some of which fail.
fn transactions() -> impl Strategy<Value = History> {
    let operation = (any::<bool>(), 0..3_i64, prop::option::weighted(0.9, 0..4_i64));
    let transaction = (0..3_i64, any::<prop::sample::Index>(), prop::collection::vec(operation, 0..4));
    prop::collection::vec(transaction, 0..8).prop_map(|transactions| {
        let mut builder = HistoryBuilder::new();
        let f = builder.function("txn").unwrap();
        for (process, fails, operations) in transactions {
            let values = builder.values();
            let (read, write) = (values.keyword("r"), values.keyword("w"));
            let mut lists = [Vec::new(), Vec::new()];
            for (is_write, key, value) in operations {
                let key = values.int(key);
                // Nil is read seldom, and never written.
                let (f, value) = match value {
                    Some(value) => (if is_write { write } else { read }, values.int(value)),
                    None => (read, Value::NIL),
                };
                lists[0].push(values.list(&[f, key, if is_write { value } else { Value::NIL }]));
                lists[1].push(values.list(&[f, key, value]));
            }
            let [input, output] = lists.map(|list| values.list(&list));
            let end = if fails.index(8) == 0 { EventKind::Fail } else { EventKind::Ok };
            for (kind, value) in [(EventKind::Invoke, input), (end, output)] {
                let process = Process::Client(process);
                let event =
                    Event { process, kind, f, key: None, value, error: Value::NIL, time_ns: -1, line: 0 };
                builder.push(event).unwrap();
            }
        }
        builder.finish()
    })
}
