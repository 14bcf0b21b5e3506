//! What each format reads as, and what is written.

mod errors;
mod found;
mod robust;
mod show;
mod transaction_errors;
mod transactions;

use shakedown_checkers::format::{self, Format, FormatError, Limits};
use shakedown_checkers::history::{History, Outcome, Timestamps};
use show::show;
use std::io::Write as _;

fn read_as(format: Option<Format>, text: impl AsRef<[u8]>) -> History {
    match format::read(text.as_ref(), "input", format, &Limits::default()) {
        Ok(history) => history,
        Err(error) => panic!("{error}"),
    }
}

fn written(history: &History, format: Format) -> String {
    let mut out = Vec::new();
    format::write(history, format, &mut out).expect("the history fits");
    String::from_utf8(out).expect("writers give UTF-8")
}

fn check(format: Format, text: &str, expected: &str) {
    assert_eq!(show(&read_as(Some(format), text)), expected, "{text}");
    assert_eq!(show(&read_as(None, text)), expected, "detected: {text}");
}

/// The value of the only event, as EDN.
fn edn_value(form: &str) -> String {
    let history = read_as(Some(Format::Edn), format!("{{:type :invoke, :f :x, :value {form}}}"));
    history.values().show(history.operation(0).input)
}

fn json_value(text: &str) -> String {
    let history =
        read_as(Some(Format::JsonLines), format!("{{\"type\":\"invoke\",\"f\":\"x\",\"value\":{text}}}"));
    history.values().show(history.operation(0).input)
}

#[test]
fn edn_is_a_vector_a_list_or_a_stream_of_maps() {
    let events = "{:process 3, :type :invoke, :f :write, :value 1} {:process 3 :type :ok :f :write :value 1}";
    let expected = "0..1 p3 write 1 -> 1 Ok t-1..-1\n";
    check(Format::Edn, events, expected);
    check(Format::Edn, &format!("[{events}]"), expected);
    check(Format::Edn, &format!(" ; first\n({events})\n; last"), expected);
    check(Format::Edn, &format!("#jepsen.history.History [{events}]"), expected);
}

#[test]
fn edn_fields_come_in_any_order_and_unknown_ones_are_skipped() {
    check(
        Format::Edn,
        "#jepsen.history.Op{:index 0, :time 105, :type :invoke, :process 0, :f :cas, :value [1 2], :extra {:a #{1}}}\n\
         #jepsen.history.Op {:exception #object[java.io.IOException 0x1f \"x\"] :error [:timeout \"y\"]\n\
          :value nil :f :cas :process 0 :type :info :time 200 :op-index 7}",
        "0..1 p0 cas [1 2] -> nil Info ![:timeout \"y\"] t105..200\n",
    );
}

#[test]
fn edn_names_may_be_keywords_strings_or_symbols() {
    // Keys that are strings look like JSON: the format must be named.
    let history = read_as(
        Some(Format::Edn),
        "{\"type\" \"invoke\", \"f\" \"read\", \"process\" 1}{:type ok, :f read, :process 1, :value 5}",
    );
    assert_eq!(show(&history), "0..1 p1 read nil -> 5 Ok t-1..-1\n");
}

#[test]
fn what_is_discarded_or_a_comment_is_not_there() {
    check(
        Format::Edn,
        "#_ {:type :invoke :process 9 :f :x}\n\
         {#_ #_ :type :fail :type :invoke ; {\n :process 1 :f :read :value [1 #_ 2 #_ [3] #tag/x 4 #_#_ 5 6] #_ :end}",
        "0..- p1 read [1 4] -> nil Info t-1..-1\n",
    );
}

#[test]
fn edn_values_of_every_kind() {
    for (form, shown) in [
        ("-9223372036854775808", "-9223372036854775808"),
        ("+7", "7"),
        ("123N", "123"),
        ("123456789012345678901", "123456789012345678901"),
        ("1.50M", "1.5"),
        ("-1e3", "-1000.0"),
        ("22/7", "22/7"),
        ("0x1F", "31"),
        ("##Inf", "##Inf"),
        ("\"a\\n\\u0041\\\\\\\"é\"", "\"a\\nA\\\\\\\"é\""),
        ("[\\a \\newline \\( \\u00e9]", "[\"a\" \"\\n\" \"(\" \"é\"]"),
        (":a.b/c", ":a.b/c"),
        ("foo.Bar$Baz", "foo.Bar$Baz"),
        ("[nil true false -]", "[nil true false -]"),
        ("(1,2, 3)", "[1 2 3]"),
        ("#{2 1 2}", "#{1 2}"),
        ("{0 10, 1 20}", "{0 10, 1 20}"),
        ("#inst \"2020-01-01\"", "\"2020-01-01\""),
        ("[[:append 5 1] [:r 6 nil]]", "[[:append 5 1] [:r 6 nil]]"),
        ("#x #y [#z 1]", "[1]"),
    ] {
        assert_eq!(edn_value(form), shown, "{form}");
    }
}

#[test]
fn json_lines_an_array_or_a_stream_of_objects() {
    let (first, second) = (
        r#"{"index":0,"time":5,"type":"invoke","process":2,"f":"txn","value":[["append",9,1],["r",1,null]]}"#,
        r#"{"type":"ok","f":"txn","process":2,"value":[["append",9,1],["r",1,[2]]],"index":1,"x":{"y":[1]}}"#,
    );
    let expected =
        "0..1 p2 txn [[\"append\" 9 1] [\"r\" 1 nil]] -> [[\"append\" 9 1] [\"r\" 1 [2]]] Ok t5..-1\n";
    check(Format::JsonLines, &format!("{first}\n{second}\n"), expected);
    check(Format::JsonLines, &format!("[{first},\n{second}]\n"), expected);
    check(Format::JsonLines, &format!("{first}{}", second.replace(',', ",\n  ")), expected);
    check(Format::Edn, "[]", "");
}

#[test]
fn json_values_of_every_kind() {
    for (text, shown) in [
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551616", "18446744073709551616"),
        ("1.5e1", "15.0"),
        (r#""\u0041\ud83d\ude00\/\n""#, "\"A😀/\\n\""),
        (r#"{"0":100,"b":[]}"#, "{\"0\" 100, \"b\" []}"),
        ("[ [ ] , { } , true, false, null ]", "[[] {} true false nil]"),
        (r#"{"a":{"b":[{"c":1}]}}"#, "{\"a\" {\"b\" [{\"c\" 1}]}}"),
    ] {
        assert_eq!(json_value(text), shown, "{text}");
    }
}

#[test]
fn who_is_not_an_integer_is_not_a_client() {
    check(
        Format::Edn,
        "{:process :nemesis :type :info :f :start :value nil} {:process \"x\" :type :info :f :stop}\n\
         {:process nil :type :invoke :f :read} {:type :ok :f :read :value 1}",
        "2..3 p4611686018427387904 read nil -> 1 Ok t-1..-1\n0 nemesis info start nil t-1\n1 x info stop nil t-1\n",
    );
    check(
        Format::JsonLines,
        r#"{"process":"nemesis","type":"info","f":"start"}"#,
        "0 nemesis info start nil t-1\n",
    );
}

#[test]
fn jepsen_log_lines_count_and_others_do_not() {
    check(
        Format::JepsenLog,
        "INFO  jepsen.os.debian - setting up\n\
         INFO  jepsen.util - 0\t:invoke\t:write\t3\r\n\
         INFO  jepsen.util - 1   :invoke :cas    [1 2]\n\
         INFO  jepsen.util - 0\t:ok\t:write\t3\n\
         INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n\
         INFO  jepsen.util - 1   :fail   :cas    [1 2]\n\
         INFO  jepsen.util - 2\t:invoke\t:read\tnil\n\
         INFO  jepsen.util - 2\t:fail\t:read\t:timed-out\n\
         INFO  jepsen.util - 3\t:invoke\t:write\t4\n\
         INFO  jepsen.util - 3\t:info\t:write\t:timed-out\n",
        "0..2 p0 write 3 -> 3 Ok t-1..-1\n\
         1..3 p1 cas [1 2] -> false Ok t-1..-1\n\
         4..5 p2 read nil -> nil Fail !:timed-out t-1..-1\n\
         6..7 p3 write 4 -> nil Info !:timed-out t-1..-1\n",
    );
}

#[test]
fn porcupine_kv_has_raw_strings_and_a_key_column() {
    check(
        Format::PorcupineKv,
        "{:process 0, :type :invoke, :f :append, :key \"4\", :value \"x \\ \" y\"}\n\n\
         {:process 0, :type :ok, :f :append, :key \"4\", :value \"x \\ \" y\"}\n\
         {:process 1, :type :invoke, :f :get, :key \"a\", :value nil}\n\
         {:process 1, :type :ok, :f :get, :key \"a\", :value \"\"}",
        "0..1 p0 append key=\"4\" \"x \\\\ \\\" y\" -> \"x \\\\ \\\" y\" Ok t-1..-1\n\
         2..3 p1 get key=\"a\" nil -> \"\" Ok t-1..-1\n",
    );
}

#[test]
fn without_events_every_format_is_an_empty_history() {
    for format in [None].into_iter().chain(Format::ALL.map(Some)) {
        // To a binary format blanks are bytes like any other.
        let is_binary = matches!(format, Some(Format::DbcopBincode | Format::Cobra));
        for text in ["", "\n \n"].into_iter().take(if is_binary { 1 } else { 2 }) {
            let history = read_as(format, text);
            assert!(history.is_empty());
            assert_eq!(history.notes(), ["the input has no events"]);
        }
    }
    assert!(read_as(None, "; nothing").is_empty());
}

#[test]
fn a_completion_of_nobody_is_an_operation_of_no_duration_and_is_written_as_one_event() {
    let text = "{\"index\":0,\"type\":\"ok\",\"process\":0,\"f\":\"read\",\"value\":4}\n";
    let history = read_as(None, text);
    assert_eq!(show(&history), "0..0 p0 read 4 -> 4 Ok t-1..-1\n");
    assert_eq!(written(&history, Format::JsonLines), text);
}

#[test]
fn an_index_that_goes_back_is_noted_and_the_order_of_the_file_kept() {
    let history =
        read_as(None, "{:index 5 :type :invoke :process 0 :f :a}\n{:index 4 :type :ok :process 0 :f :a}");
    assert_eq!(history.operation(0).outcome, Outcome::Ok);
    assert_eq!(
        history.notes(),
        ["the index goes back 1 time (first at line 2); the order of the file was taken"]
    );
}

#[test]
fn lines_are_those_of_the_events() {
    let history = read_as(None, "[\n\n{:type :invoke\n :process 0 :f :a} ; x\n{:type :ok :process 0 :f :a}]");
    let op = history.operation(0);
    assert_eq!((op.invoke_line, op.complete_line), (3, 5));
}

#[test]
fn what_is_written_has_every_field() {
    let history = read_as(
        None,
        "{:process 0 :type :invoke :f :cas :key :k :value [1 #{2}] :time 7}\n\
         {:process :nemesis :type :info :f \"cut off\" :value {:n1 [a 1/2 1.5]} :time 8}\n\
         {:process 0 :type :info :f :cas :key :k :value nil :time 9 :error [:timeout \"a\\tb\"]}\n\
         {:type :invoke :value [[:r 1 nil]]}",
    );
    assert_eq!(
        written(&history, Format::Edn),
        "{:index 0, :time 7, :type :invoke, :process 0, :f :cas, :key :k, :value [1 #{2}]}\n\
         {:index 1, :time 8, :type :info, :process :nemesis, :f \"cut off\", :value {:n1 [a 1/2 1.5]}}\n\
         {:index 2, :time 9, :type :info, :process 0, :f :cas, :key :k, :value nil, :error [:timeout \"a\\tb\"]}\n\
         {:index 3, :type :invoke, :f nil, :value [[:r 1 nil]]}\n"
    );
    assert_eq!(
        written(&history, Format::JsonLines),
        r#"{"index":0,"time":7,"type":"invoke","process":0,"f":"cas","key":"k","value":[1,[2]]}
{"index":1,"time":8,"type":"info","process":"nemesis","f":"cut off","value":{"n1":["a","1/2",1.5]}}
{"index":2,"time":9,"type":"info","process":0,"f":"cas","key":"k","value":null,"error":["timeout","a\tb"]}
{"index":3,"type":"invoke","f":null,"value":[["r",1,null]]}
"#
    );
}

#[test]
fn timestamps_of_the_system_are_kept() {
    let edn = "{:index 0, :type :invoke, :process 0, :f :txn, :value [[:w 1 2]]}\n\
               {:index 1, :type :ok, :process 0, :f :txn, :value [[:w 1 2]], :start-ts -5, :commit-ts 9223372036854775807}\n\
               {:index 2, :type :invoke, :process 1, :f :txn, :value []}\n\
               {:index 3, :type :fail, :process 1, :f :txn, :value []}\n";
    let history = read_as(None, edn);
    assert_eq!(history.timestamps_of(0), Some(Timestamps { start: -5, commit: i64::MAX }));
    assert_eq!(history.timestamps_of(1), None);
    assert_eq!(written(&history, Format::Edn), edn);
    let json = written(&history, Format::JsonLines);
    assert!(
        json.contains(r#","value":[["w",1,2]],"start-ts":-5,"commit-ts":9223372036854775807}"#),
        "{json}"
    );
    assert_eq!(read_as(None, &json).timestamps_of(0), history.timestamps_of(0));
    // Only what took effect has them: of other events they are skipped, like any other field.
    let history = read_as(
        None,
        "{:type :invoke :process 0 :f :txn :start-ts 3}{:type :info :process 0 :f :txn :start-ts 3 :commit-ts 2}\n\
         {:type :ok :process 1 :f :txn :start-ts nil}{:type :ok :process :n :f :x :start-ts 1 :commit-ts 1}\n\
         {:commit-ts 4 :start-ts 4 :type :ok :process 2 :f :txn}",
    );
    let all: Vec<_> = (0..3).map(|id| history.timestamps_of(id).map(|t| (t.start, t.commit))).collect();
    assert_eq!(all, [None, None, Some((4, 4))]);
}

#[test]
fn reads_that_end_a_test_stay_marked() {
    let edn = "{:index 0, :type :invoke, :process 0, :f :read, :value nil, :final? true}\n\
               {:index 1, :type :invoke, :process 1, :f :read, :value nil}\n\
               {:index 2, :type :info, :process :nemesis, :f :stop, :value nil}\n\
               {:index 3, :type :ok, :process 1, :f :read, :value 7}\n\
               {:index 4, :type :fail, :process 0, :f :read, :value nil, :final? true, :error :x}\n";
    let history = read_as(None, edn);
    assert_eq!([0, 1].map(|id| history.is_marked_final(id)), [true, false]);
    assert_eq!(written(&history, Format::Edn), edn);
    let json = written(&history, Format::JsonLines);
    assert!(json.contains(r#""f":"read","value":null,"final?":true}"#), "{json}");
    assert_eq!([0, 1].map(|id| read_as(None, &json).is_marked_final(id)), [true, false]);
    // One event of the two is enough, and only the word true marks; a nemesis has nothing to mark.
    let marked = |text: &str| read_as(None, text).is_marked_final(0);
    assert!(marked("{:type :invoke :process 0 :f :a}{:type :ok :process 0 :f :a :final? true}"));
    assert!(marked("{:final? true :type :ok :process 0 :f :a}"));
    assert!(!marked("{:type :ok :process 0 :f :a}{:type :info :process :n :f :a :final? true}"));
    for value in ["false", "nil", "1", "\"true\"", "[true]"] {
        assert!(!marked(&format!("{{:type :ok :process 0 :f :a :final? {value}}}")), "{value}");
    }
}

#[test]
fn logs_are_written_where_the_history_fits() {
    let log = "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n\
               INFO  jepsen.util - 0\t:fail\t:cas\t[1 2]\n\
               INFO  jepsen.util - 0\t:invoke\t:read\tnil\n\
               INFO  jepsen.util - 0\t:ok\t:read\t7\n\
               INFO  jepsen.util - 0\t:invoke\t:write\t7\n\
               INFO  jepsen.util - 0\t:info\t:write\t:timed-out\n";
    assert_eq!(written(&read_as(None, log), Format::JepsenLog), log);
    let kv = "{:process 0, :type :invoke, :f :put, :key \"k\", :value \"v\"}\n\
              {:process 1, :type :invoke, :f :get, :key \"k\", :value nil}\n\
              {:process 0, :type :ok, :f :put, :key \"k\", :value \"v\"}\n";
    assert_eq!(written(&read_as(None, kv), Format::PorcupineKv), kv);
}

#[test]
fn a_log_refuses_what_it_has_no_words_for() {
    for (format, text, expected) in [
        (
            // Found by fuzzing: the log would have no line that counts.
            Format::JepsenLog,
            "{:process :nemesis :type :info :f :start}",
            "event 0 does not fit the jepsen-log format: no client did anything",
        ),
        (
            Format::JepsenLog,
            "{:process 0 :type :invoke :f :write :value 1}{:process 0 :type :fail :f :write :value 1}",
            "event 1 does not fit the jepsen-log format: a write that did not happen",
        ),
        (
            Format::JepsenLog,
            "{:process 0 :type :invoke :f :write :value \"a\"}",
            "event 0 does not fit the jepsen-log format: write \"a\" is not a read, write or cas of integers",
        ),
        (
            Format::PorcupineKv,
            "{:process 0 :type :invoke :f :put :value \"a\"}",
            "event 0 does not fit the porcupine-kv format: it has no key that is a string",
        ),
        (
            Format::PorcupineKv,
            "{:process 0 :type :invoke :f :put :key \"k\" :value \"a\\\"\"}",
            "event 0 does not fit the porcupine-kv format: \"a\\\"\" would need escapes",
        ),
    ] {
        let error = format::write(&read_as(None, text), format, Vec::new()).unwrap_err();
        assert!(matches!(error, FormatError::Unfit { .. }));
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn compressed_input_reads_as_what_it_holds() {
    let text = "{:process 0 :type :invoke :f :read}\n".to_owned() + &"; padding\n".repeat(50_000);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    let zst = zstd::encode_all(text.as_bytes(), 3).unwrap();
    assert_eq!(read_as(None, &gz).len(), 1);
    assert_eq!(read_as(None, &zst).len(), 1);
    // Both formats allow one stream after the other.
    let two =
        [zst.clone(), zstd::encode_all(&b"{:process 1 :type :invoke :f :read}"[..], 3).unwrap()].concat();
    assert_eq!(read_as(None, two).len(), 2);
    for cut in [gz[..gz.len() / 2].to_vec(), zst[..zst.len() / 2].to_vec()] {
        let error = format::read(&cut[..], "cut", None, &Limits::default()).unwrap_err();
        assert!(matches!(error, FormatError::Io { .. }), "{error}");
    }
}

#[test]
fn formats_have_names() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert!("xml".parse::<Format>().unwrap_err().to_string().contains("jepsen-log"));
    assert_eq!(Format::of_path("a/history.edn.gz".as_ref()), Some(Format::Edn));
}

#[test]
fn links_of_causal_registers_are_read_into_their_values() {
    let edn = "{:type :ok :process 0 :f :write :value 1 :position 4 :link :init}\n\
               {:type :ok :process 0 :f :write :value [x 2] :position 5, :link 4}\n\
               {:type :ok :process 0 :f :write :value 3 :position 6}\n";
    let history = read_as(Some(Format::Edn), edn);
    let shown = |id| history.values().show(history.operation(id).output);
    assert_eq!(shown(0), "{:value 1, :position 4, :link :init}");
    assert_eq!(shown(1), "[x {:value 2, :position 5, :link 4}]");
    assert_eq!(shown(2), "3");
    let json = r#"{"type":"ok","process":0,"f":"write","value":1,"position":4,"link":"init"}"#;
    let history = read_as(None, json);
    assert_eq!(
        history.values().show(history.operation(0).output),
        r#"{:value 1, :position 4, :link "init"}"#
    );
}

#[test]
fn histories_that_others_recorded_read() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let mut folders: Vec<_> =
        ["porcupine", "knossos", "elle", "elle-cli", "awdit"].map(|name| data.join(name)).to_vec();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if !matches!(extension, "edn" | "json" | "log" | "txt") {
                continue;
            }
            let file = std::fs::File::open(&path).unwrap();
            let name = path.display().to_string();
            let (history, format) = match format::read_and_tell(file, &name, None, &Limits::default()) {
                Ok(read) => read,
                Err(error) => panic!("{error}"),
            };
            let is_empty_file = path.ends_with("etcd_095.log");
            assert_eq!(history.is_empty(), is_empty_file, "{}", path.display());
            let edn = written(&history, Format::Edn);
            assert!(show(&read_as(None, &edn)) == show(&history), "{}", path.display());
            if matches!(extension, "log" | "txt") && !is_empty_file {
                assert!(matches!(format, Format::JepsenLog | Format::PorcupineKv | Format::Awdit), "{name}");
                let log = written(&history, format);
                assert!(show(&read_as(Some(format), &log)) == show(&history), "{}", path.display());
            }
            files += 1;
        }
    }
    // Without the folder there is nothing to say.
    assert!(files == 0 || files > 100, "only {files} files");
}
