//! Properties that hold for any input: reading never panics, does not depend on how the bytes
//! arrive, and what is written reads back.

use crate::show::show;
use proptest::prelude::*;
use shakedown_checkers::format::{self, Format, Limits};
use shakedown_checkers::history::{Event, EventKind, History, HistoryBuilder, Process};
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
const SAMPLES: [(Format, &str); 4] =
    [(Format::Edn, EDN), (Format::JsonLines, JSON), (Format::JepsenLog, LOG), (Format::PorcupineKv, KV)];

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
            let _ = builder.push(Event { process, kind, f, key, value, error, time_ns, line: 0 });
        }
        builder.finish()
    })
}
