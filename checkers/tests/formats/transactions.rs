//! Formats that record transactions on registers, session by session.

use crate::show::show;
use crate::{check, read_as, written};
use shakedown_checkers::format::{self, Format, FormatError, Limits};
use shakedown_checkers::history::{History, Outcome};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Bytes of dbcop's first binary format.
pub(crate) struct Bincode(pub(crate) Vec<u8>);

impl Bincode {
    /// The beginning of a history with so many sessions.
    pub(crate) fn new(info: &str, sessions: u64) -> Bincode {
        let mut bytes = Bincode(Vec::new());
        (0..5).for_each(|parameter| bytes.number(parameter));
        for text in [info, "2021-03-01T10:00:00+01:00", "2021-03-01T10:00:01+01:00"] {
            bytes.number(text.len() as u64);
            bytes.0.extend_from_slice(text.as_bytes());
        }
        bytes.number(sessions);
        bytes
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// Events are write, variable, value, success.
    pub(crate) fn transaction(&mut self, events: &[(u8, u64, u64, u8)], success: u8) {
        self.number(events.len() as u64);
        for (write, variable, value, event_success) in events {
            self.0.push(*write);
            self.number(*variable);
            self.number(*value);
            self.0.push(*event_success);
        }
        self.0.push(success);
    }
}

/// Records of a log of Cobra's.
pub(crate) fn cobra(records: &[(u8, &[u64])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (letter, numbers) in records {
        bytes.push(*letter);
        numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
    }
    bytes
}

/// A directory of its own for a test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The values of a history's operations, input and output.
fn values(history: &History) -> Vec<String> {
    let show = |value| history.values().show(value);
    history
        .operations()
        .map(|op| format!("p{} {} -> {}", op.process, show(op.input), show(op.output)))
        .collect()
}

#[test]
fn plume_is_a_read_or_a_write_a_line() {
    check(
        Format::Plume,
        "w(5,1,7,0)\nw(6,2,7,0)\r\n\nr(5,1,9,1)\nr(6,0,9,1)",
        "0..1 p0 txn [[:w 5 1] [:w 6 2]] -> [[:w 5 1] [:w 6 2]] Ok t-1..-1\n\
         2..3 p1 txn [[:r 5 nil] [:r 6 nil]] -> [[:r 5 1] [:r 6 nil]] Ok t-1..-1\n",
    );
    let history = read_as(None, "w(5,1,7,0)\nw(6,2,7,0)\n");
    assert!(!history.has_real_time());
    let op = history.operation(0);
    assert_eq!((op.invoke_line, op.complete_line), (1, 2));
    assert!(history.notes().is_empty());
}

#[test]
fn the_lines_of_a_plume_transaction_may_stand_anywhere() {
    let history = read_as(None, "w(1,1,0,5)\nw(2,1,1,3)\nr(2,1,0,5)\nw(3,1,0,6)\nr(1,1,1,3)\n");
    assert_eq!(
        values(&history),
        [
            "p0 [[:w 1 1] [:r 2 nil]] -> [[:w 1 1] [:r 2 1]]",
            "p1 [[:w 2 1] [:r 1 nil]] -> [[:w 2 1] [:r 1 1]]",
            "p0 [[:w 3 1]] -> [[:w 3 1]]",
        ]
    );
    assert_eq!((history.operation(0).invoke_line, history.operation(0).complete_line), (1, 3));
}

#[test]
fn aborted_operations_in_plume_are_failed_writes() {
    let history = read_as(None, "w(1,1,4,-1)\nw(1,2,4,-1)\nr(1,1,4,-1)\nw(1,3,4,0)\n");
    assert_eq!(
        values(&history),
        ["p0 [[:w 1 1]] -> [[:w 1 1]]", "p0 [[:w 1 2]] -> [[:w 1 2]]", "p0 [[:w 1 3]] -> [[:w 1 3]]"]
    );
    let outcomes: Vec<Outcome> = history.operations().map(|op| op.outcome).collect();
    assert_eq!(outcomes, [Outcome::Fail, Outcome::Fail, Outcome::Ok]);
    assert_eq!(history.notes(), ["1 read of aborted transactions (-1) was left out"]);
}

#[test]
fn zero_is_the_initial_value_unless_it_is_written() {
    // Written to key 1 before and after it is read, to key 2 by a transaction that aborted.
    let text = "r(1,0,0,0)\nw(1,0,1,1)\nr(1,0,1,2)\nw(2,0,0,-1)\nr(2,0,0,3)\nr(3,0,0,3)\n";
    let history = read_as(None, text);
    assert_eq!(
        values(&history),
        [
            "p0 [[:r 1 nil]] -> [[:r 1 0]]",
            "p1 [[:w 1 0]] -> [[:w 1 0]]",
            "p1 [[:r 1 nil]] -> [[:r 1 0]]",
            "p0 [[:w 2 0]] -> [[:w 2 0]]",
            "p0 [[:r 2 nil] [:r 3 nil]] -> [[:r 2 nil] [:r 3 nil]]",
        ]
    );
    assert!(history.notes()[0].starts_with("some keys are written the value 0"), "{:?}", history.notes());
    // A write of 0 that nobody reads is nothing to tell.
    assert!(read_as(None, "w(1,0,0,0)\n").notes().is_empty());
}

#[test]
fn numbers_have_sixty_four_bits() {
    let history = read_as(None, "w(18446744073709551615,9223372036854775807,18446744073709551615,0)\n");
    assert_eq!(
        values(&history),
        [
            "p0 [[:w 18446744073709551615 9223372036854775807]] -> [[:w 18446744073709551615 9223372036854775807]]"
        ]
    );
}

#[test]
fn awdit_has_lines_between_transactions_and_sessions() {
    check(
        Format::Awdit,
        "===\n\n w 0 0\nw\t1 1 \n=====\n-\n----\nr 0 0\r\n-----\nr 1 1\n=\n=\nr 2 5",
        "0..1 p0 txn [[:w 0 0] [:w 1 1]] -> [[:w 0 0] [:w 1 1]] Ok t-1..-1\n\
         2..3 p1 txn [[:r 0 nil]] -> [[:r 0 0]] Ok t-1..-1\n\
         4..5 p1 txn [[:r 1 nil]] -> [[:r 1 1]] Ok t-1..-1\n\
         6..7 p2 txn [[:r 2 nil]] -> [[:r 2 5]] Ok t-1..-1\n",
    );
    let history = read_as(Some(Format::Awdit), "w 0 0\n\nr 0 0\n---\n");
    assert!(!history.has_real_time());
    assert_eq!((history.operation(0).invoke_line, history.operation(0).complete_line), (1, 3));
}

const DBCOP: &str = r#"{
  "params": {"id": 0, "n_node": 2, "n_variable": 2, "n_transaction": 1, "n_event": 2},
  "info": "generated", "start": "2024-01-01T00:00:00+00:00", "end": "2024-01-01T00:00:00+00:00",
  "data": [
    [
      {"events": [{"Write": {"variable": 0, "version": 1}}, {"Read": {"version": null, "variable": "x"}}],
       "committed": true}
    ],
    [],
    [
      {"committed": true, "events": [["r", 0, 1], ["r", "x", 0], ["w", "x", 2], ["r", 0, null]]},
      {"events": [{"Write": {"variable": 0, "version": 3}}], "committed": false}
    ]
  ]
}
"#;
const DBCOP_SHOWN: &str = "0..1 p0 txn [[:w 0 1] [:r \"x\" nil]] -> [[:w 0 1] [:r \"x\" nil]] Ok t-1..-1\n\
     2..3 p2 txn [[:r 0 nil] [:r \"x\" nil] [:w \"x\" 2] [:r 0 nil]] -> \
     [[:r 0 1] [:r \"x\" nil] [:w \"x\" 2] [:r 0 nil]] Ok t-1..-1\n\
     4..5 p2 txn [[:w 0 3]] -> [[:w 0 3]] Fail t-1..-1\n";

#[test]
fn dbcop_is_an_object_with_data_or_the_data_alone() {
    check(Format::Dbcop, DBCOP, DBCOP_SHOWN);
    let tight: String = DBCOP.split_whitespace().collect();
    check(Format::Dbcop, &tight, DBCOP_SHOWN);
    let data = tight.find("\"data\":").unwrap() + "\"data\":".len();
    check(Format::Dbcop, &tight[data..tight.len() - 1], DBCOP_SHOWN);
    check(Format::Dbcop, "{\"params\":{},\"data\":[]}", "");
    let history = read_as(None, DBCOP);
    assert_eq!((history.operation(0).invoke_line, history.operation(0).complete_line), (6, 7));
    assert_eq!((history.operation(1).invoke_line, history.operation(1).complete_line), (11, 11));
}

#[test]
fn events_of_the_first_dbcop_that_failed_are_told_apart() {
    let text = r#"{"params":{},"data":[[
        {"events":[{"write":true,"variable":0,"value":1,"success":true},
                   {"write":true,"variable":0,"value":2,"success":false},
                   {"write":false,"variable":1,"value":0,"success":false},
                   {"write":false,"variable":2,"value":0,"success":true}],"success":true},
        {"events":[{"write":true,"variable":0,"value":3,"success":false}],"success":false}]]}"#;
    let expected = "0..1 p0 txn [[:w 0 2]] -> [[:w 0 2]] Fail t-1..-1\n\
                    2..3 p0 txn [[:w 0 1] [:r 1 nil] [:r 2 nil]] -> [[:w 0 1] [:r 2 nil]] Ok t-1..-1\n\
                    4..5 p0 txn [[:w 0 3]] -> [[:w 0 3]] Fail t-1..-1\n";
    check(Format::Dbcop, text, expected);
    let history = read_as(None, text);
    assert_eq!(history.notes(), ["1 read without a known result was left out of what its transaction read"]);
    let mut bytes = Bincode::new("generated", 1);
    bytes.number(2);
    bytes.transaction(&[(1, 0, 1, 1), (1, 0, 2, 0), (0, 1, 0, 0), (0, 2, 0, 1)], 1);
    bytes.transaction(&[(1, 0, 3, 0)], 0);
    for format in [Some(Format::DbcopBincode), None] {
        let binary = read_as(format, &bytes.0);
        assert_eq!(show(&binary), expected);
        assert_eq!(binary.notes(), history.notes());
        assert!(!binary.has_real_time());
        assert_eq!((binary.operation(0).invoke_line, binary.operation(0).complete_line), (0, 0));
    }
}

#[test]
fn dbcop_hist_has_transactions_in_brackets() {
    check(
        Format::DbcopHist,
        "// session 1\n[x:=1 y_2:=1] [x==1  0==? ]\r\n  [x:=2]!\n---\n// session 2\n\n[x==1 7==0][é:=18446744073709551615]",
        "0..1 p0 txn [[:w \"x\" 1] [:w \"y_2\" 1]] -> [[:w \"x\" 1] [:w \"y_2\" 1]] Ok t-1..-1\n\
         2..3 p0 txn [[:r \"x\" nil] [:r 0 nil]] -> [[:r \"x\" 1] [:r 0 nil]] Ok t-1..-1\n\
         4..5 p0 txn [[:w \"x\" 2]] -> [[:w \"x\" 2]] Fail t-1..-1\n\
         6..7 p1 txn [[:r \"x\" nil] [:r 7 nil]] -> [[:r \"x\" 1] [:r 7 nil]] Ok t-1..-1\n\
         8..9 p1 txn [[:w \"é\" 18446744073709551615]] -> [[:w \"é\" 18446744073709551615]] Ok t-1..-1\n",
    );
    let history = read_as(None, "// a\n\n[x:=1]\n-\n-\n[x==1] // b");
    assert_eq!(history.operation(0).invoke_line, 3);
    assert_eq!((history.operation(1).process, history.operation(1).complete_line), (2, 6));
    assert_eq!(
        values(&read_as(Some(Format::DbcopHist), "[] [007:=1]")),
        ["p0 [] -> []", "p0 [[:w \"007\" 1]] -> [[:w \"007\" 1]]"]
    );
    assert!(read_as(Some(Format::DbcopHist), "// nothing").is_empty());
}

#[test]
fn cobra_is_a_directory_of_logs() {
    let path = folder("cobra");
    let first = cobra(&[
        (b'S', &[1]),
        (b'W', &[100, 7, 0]),
        (b'R', &[0xbebe_ebee, 0xbebe_ebee, u64::MAX, 5]),
        (b'C', &[1]),
        (b'S', &[2]),
        (b'C', &[2]),
    ]);
    let second = cobra(&[
        (b'S', &[3]),
        (b'R', &[1, 100, 7, 0]),
        (b'R', &[0xdead_beef, 0xdead_beef, 8, 0]),
        (b'R', &[0xbebe_ebee, 0x2333_2333, 9, 0]),
        (b'R', &[1, 0x2333_2333, 9, 0]),
        (b'C', &[3]),
    ]);
    for (name, bytes) in
        [("T10.log", &second[..]), ("T2.log", &first), ("T1.log", b""), ("T.wlog", b"x"), ("x.log", b"x")]
    {
        std::fs::write(path.join(name), bytes).unwrap();
    }
    let history = format::read_path(&path, None, &Limits::default()).unwrap();
    assert_eq!(
        show(&history),
        "0..1 p1 txn [[:w 7 100] [:r 18446744073709551615 nil]] -> \
         [[:w 7 100] [:r 18446744073709551615 nil]] Ok t-1..-1\n\
         2..3 p1 txn [] -> [] Ok t-1..-1\n\
         4..5 p2 txn [[:r 7 nil] [:r 8 nil] [:r 9 nil] [:r 9 nil]] -> \
         [[:r 7 100] [:r 8 nil] [:r 9 nil] [:r 9 590553907]] Ok t-1..-1\n"
    );
    assert!(!history.has_real_time() && history.notes().is_empty());
    let (_, format) =
        format::read_directory(&path, Some(Format::Cobra), &Limits::default(), |file| file).unwrap();
    assert_eq!(format, Format::Cobra);

    // What is wrong is told of the file that it is in.
    std::fs::write(path.join("T3.log"), &first[..30]).unwrap();
    let error = format::read_path(&path, None, &Limits::default()).unwrap_err();
    let place = error.place().unwrap();
    assert_eq!(place.name, path.join("T3.log").display().to_string());
    assert_eq!((place.offset, place.is_binary), (30, true));

    let single = read_as(Some(Format::Cobra), &second);
    assert_eq!(single.notes(), ["a single log of Cobra's, read as a history of a single session"]);
    assert_eq!(single.operation(0).process, 0);
}

#[test]
fn logs_of_cobra_may_be_compressed_one_by_one() {
    let path = folder("cobra-compressed");
    let log = |id: u64| cobra(&[(b'S', &[id]), (b'W', &[id, 7, 0]), (b'C', &[id])]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&log(10)).unwrap();
    std::fs::write(path.join("T10.log.gz"), gzip.finish().unwrap()).unwrap();
    std::fs::write(path.join("T2.log.zst"), zstd::encode_all(&log(2)[..], 3).unwrap()).unwrap();
    std::fs::write(path.join("T3.log"), log(3)).unwrap();
    // By its name it is compressed otherwise, or not a log.
    for name in ["T4.log.xz", "T5.gz", "T6.zst.log.bak"] {
        std::fs::write(path.join(name), "x").unwrap();
    }
    let history = format::read_path(&path, None, &Limits::default()).unwrap();
    let written = |id: u64| format!("[[:w 7 {id}]]");
    let expected: Vec<String> =
        [(0, 2), (1, 3), (2, 10)].map(|(session, id)| format!("p{session} {0} -> {0}", written(id))).into();
    assert_eq!(values(&history), expected);

    // What is wrong is told of the file that it is in, at its place in what was compressed.
    std::fs::write(path.join("T3.log.zst"), zstd::encode_all(&log(3)[..20], 3).unwrap()).unwrap();
    let error = format::read_path(&path, None, &Limits::default()).unwrap_err();
    assert!(matches!(error, FormatError::SessionTwice { .. }));
    assert!(
        error.to_string().ends_with(
            "cobra-compressed: T3.log and T3.log.zst are logs of the same session, which has one log"
        ),
        "{error}"
    );
    assert!(error.help().is_some());
    std::fs::remove_file(path.join("T3.log")).unwrap();
    let error = format::read_path(&path, None, &Limits::default()).unwrap_err();
    let place = error.place().unwrap();
    assert_eq!(place.name, path.join("T3.log.zst").display().to_string());
    assert_eq!((place.offset, place.is_binary), (20, true));
}

#[test]
fn other_directories_are_refused() {
    let path = folder("not-cobra");
    std::fs::write(path.join("history.edn"), "").unwrap();
    let limits = Limits::default();
    let error = format::read_path(&path, None, &limits).unwrap_err();
    assert!(matches!(error, FormatError::Directory { .. }));
    assert!(
        error.to_string().contains("not-cobra: a directory without a file T*.log; only cobra's"),
        "{error}"
    );
    assert!(error.help().is_some());
    let error = format::read_path(&path, Some(Format::Edn), &limits).unwrap_err();
    assert!(error.to_string().contains("a directory where the edn format was named"), "{error}");
}

#[test]
fn what_a_text_begins_with_tells_its_format() {
    for (head, format) in [
        ("r(1,2,3,4)\n", Some(Format::Plume)),
        ("\n  w(1,", Some(Format::Plume)),
        ("w(x", None),
        ("w 0 1\n", Some(Format::Awdit)),
        ("=====\n\n-----\nr 0 1\nx", Some(Format::Awdit)),
        ("write 1\n", None),
        ("r 1\n", None),
        ("===\nw 0 1", Some(Format::Awdit)),
        ("-----\n", None),
        ("{\"params\":{\"id\":0},\"info\":\"", Some(Format::Dbcop)),
        ("{\n  \"params\": {\n", Some(Format::Dbcop)),
        ("{\"info\":\"type\",\"data\":[[", Some(Format::Dbcop)),
        ("[\n[{\"events\"", Some(Format::Dbcop)),
        ("{\"data\":[1],\"type\":\"ok\"}", Some(Format::JsonLines)),
        ("{\"info\":1,\"start\":2,\"type\":\"ok\"}", Some(Format::JsonLines)),
        ("{\"index\":0,\"value\":{\"params\":1,\"data\":2},\"type\":\"ok\"}\n", Some(Format::JsonLines)),
        ("{\"index\":0,\"value\":{\"params\":1}}", Some(Format::JsonLines)),
        ("{\"type\" \"ok\"}", Some(Format::JsonLines)),
        ("[{\"type\":\"ok\"}]", Some(Format::JsonLines)),
        ("[x:=1]\n", Some(Format::DbcopHist)),
        ("// x\n\n---\n [ x==?]", Some(Format::DbcopHist)),
        ("[]", Some(Format::Edn)),
        ("[{:type :ok}]", Some(Format::Edn)),
        ("[x y]", None),
        ("// x", None),
        ("{:type :ok}", Some(Format::Edn)),
        ("INFO  jepsen.util - 0\t:invoke\t:write\t3\n", Some(Format::JepsenLog)),
        ("{:process 0, :type :invoke, :f :get, :key \"k\", :value nil}\n", Some(Format::PorcupineKv)),
        ("", None),
    ] {
        assert_eq!(format::detect(head.as_bytes()), format, "{head}");
    }
    assert_eq!(format::detect(&Bincode::new("some text", 5).0), Some(Format::DbcopBincode));
    assert_eq!(format::detect(&Bincode::new("some text", 5).0[..60]), None);
    assert_eq!(format::detect(&[0; 100]), None);
    assert_eq!(Format::of_path("a/b.hist".as_ref()), Some(Format::DbcopHist));
    assert_eq!(Format::of_path("a/history.bincode.zst".as_ref()), Some(Format::DbcopBincode));
}

#[test]
fn compressed_transactions_read_as_what_they_hold() {
    let mut bytes = Bincode::new("i", 1);
    bytes.number(1);
    bytes.transaction(&[(1, 2, 3, 1)], 1);
    for (format, plain) in [(Format::DbcopBincode, &bytes.0[..]), (Format::Plume, b"w(2,3,0,0)\n")] {
        let packed = zstd::encode_all(plain, 3).unwrap();
        let (history, found) = format::read_and_tell(&packed[..], "in", None, &Limits::default()).unwrap();
        assert_eq!((found, values(&history)), (format, vec!["p0 [[:w 2 3]] -> [[:w 2 3]]".to_owned()]));
    }
    // The first two bytes of gzip are no sign of it alone.
    let mut like_gzip = bytes.0.clone();
    like_gzip[..2].copy_from_slice(&[0x1f, 0x8b]);
    assert_eq!(read_as(Some(Format::DbcopBincode), like_gzip).len(), 1);
}

#[test]
fn registers_are_written_for_plume_and_awdit() {
    let plume = "w(5,1,0,0)\nr(6,0,0,0)\nr(5,1,1,1)\nw(7,9,1,-1)\nr(5,1,0,2)\n";
    let history = read_as(None, plume);
    assert_eq!(written(&history, Format::Plume), plume);
    let awdit = "w 5 1\nr 6 2\n-----\nr 5 1\n=====\nw 6 2\n";
    let history = read_as(None, awdit);
    assert_eq!(written(&history, Format::Awdit), awdit);
    assert_eq!(written(&history, Format::Plume), "w(5,1,0,0)\nr(6,2,0,0)\nr(5,1,0,1)\nw(6,2,1,2)\n");
    // As Jepsen has them, with real time and a nemesis; what failed without a write says nothing.
    let history = read_as(
        None,
        "{:process 3 :type :invoke :f :txn :value [[:r 1 nil] [:w 2 7]]}\n\
         {:process 5 :type :invoke :f :txn :value [[:r 1 nil]]}\n\
         {:process :nemesis :type :info :f :start}\n\
         {:process 5 :type :fail :f :txn :value [[:r 1 nil]]}\n\
         {:process 3 :type :ok :f :txn :value [[:r 1 nil] [:w 2 7]]}\n\
         {:process 5 :type :invoke :f :txn :value [[:r 2 nil]]}\n\
         {:process 5 :type :ok :f :txn :value [[:r 2 7]]}\n",
    );
    assert_eq!(written(&history, Format::Plume), "r(1,0,0,0)\nw(2,7,0,0)\nr(2,7,1,1)\n");
    assert_eq!(written(&history, Format::Awdit), "w 1 0\n=====\nr 1 0\nw 2 7\n=====\nr 2 7\n");
    assert_eq!(written(&read_as(None, ""), Format::Plume), "");
}

/// A transaction of unknown outcome took effect if somebody read what it wrote; else it need not have.
#[test]
fn of_unknown_outcomes_plume_and_awdit_get_those_that_somebody_saw() {
    let history = read_as(
        None,
        "{:process 0 :type :ok :f :txn :value [[:w 1 1]]}\n\
         {:process 0 :type :invoke :f :txn :value [[:r 1 nil] [:w 2 0] [:w 3 5]]}\n\
         {:process 1 :type :invoke :f :txn :value [[:w 1 9] [:r 3 nil]]}\n\
         {:process 1 :type :info :f :txn :value [[:w 1 9] [:r 3 nil]]}\n\
         {:process 1 :type :invoke :f :txn :value [[:r 1 nil] [:r 2 nil] [:r 4 nil]]}\n\
         {:process 1 :type :ok :f :txn :value [[:r 1 1] [:r 2 0] [:r 4 nil]]}\n\
         {:process 2 :type :invoke :f :txn :value [[:r 1 nil]]}",
    );
    assert_eq!(
        written(&history, Format::Plume),
        "w(1,1,0,0)\nw(2,0,0,1)\nw(3,5,0,1)\nr(1,1,1,2)\nr(2,0,1,2)\nr(4,0,1,2)\n"
    );
    assert_eq!(
        written(&history, Format::Awdit),
        "w 4 0\n=====\nw 1 1\n-----\nw 2 0\nw 3 5\n=====\nr 1 1\nr 2 0\nr 4 0\n"
    );
}

#[test]
fn what_plume_and_awdit_have_no_words_for_is_refused() {
    let txn = |kind: &str, value: &str| {
        format!(
            "{{:process 0 :type :invoke :f :txn :value {value}}}{{:process 0 :type :{kind} :f :txn :value {value}}}"
        )
    };
    for (format, text, expected) in [
        (
            Format::Plume,
            txn("ok", "[[:append 1 2]]"),
            "event 1 does not fit the plume format: [:append 1 2] is neither",
        ),
        (Format::Plume, txn("ok", "7"), "event 1 does not fit the plume format: txn 7 is not a list"),
        (
            Format::Plume,
            txn("ok", "[[:w :x 2]]"),
            "event 1 does not fit the plume format: :x is not an unsigned",
        ),
        (
            Format::Awdit,
            txn("ok", "[[:w 1 -2]]"),
            "event 1 does not fit the awdit format: -2 is not an unsigned",
        ),
        (
            Format::Plume,
            txn("ok", "[[:w 1 nil]]"),
            "event 1 does not fit the plume format: nil is not an unsigned",
        ),
        (
            Format::Plume,
            txn("info", "[[:w 1 2]]") + &txn("ok", "[[:r 1 2]]"),
            "event 1 does not fit the plume format: nobody knows when this txn took effect",
        ),
        (
            Format::Awdit,
            txn("info", "[[:w 1 2]]") + &txn("ok", "[[:r 1 2]]"),
            "event 1 does not fit the awdit format: nobody knows when this txn took effect",
        ),
        (
            Format::Plume,
            txn("info", "[[:w 1 :x]]"),
            "event 1 does not fit the plume format: :x is not an unsigned",
        ),
        (
            Format::Awdit,
            txn("fail", "[[:w 1 2]]"),
            "event 1 does not fit the awdit format: the format cannot say that",
        ),
        (
            Format::Plume,
            txn("ok", "[[:w 1 0] [:r 1 nil]]"),
            "event 1 does not fit the plume format: it reads the initial",
        ),
        (
            Format::Awdit,
            txn("ok", "[[:w 1 0] [:r 1 nil]]"),
            "event 1 does not fit the awdit format: it reads the initial",
        ),
        (
            Format::Plume,
            txn("ok", "[[:r 1 0]]"),
            "event 1 does not fit the plume format: it reads 0 from key 1",
        ),
        (
            Format::Awdit,
            txn("ok", "[[:r 1 0] [:r 1 nil]]"),
            "event 1 does not fit the awdit format: it reads 0 from",
        ),
    ] {
        let error = format::write(&read_as(None, &text), format, Vec::new()).unwrap_err();
        assert!(matches!(error, FormatError::Unfit { .. }));
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    // AWDIT's has no initial value that a read of 0 could be taken for.
    assert_eq!(written(&read_as(None, txn("ok", "[[:r 1 0]]")), Format::Awdit), "r 1 0\n");
    for format in [Format::Dbcop, Format::DbcopHist, Format::DbcopBincode, Format::Cobra] {
        let error = format::write(&read_as(None, ""), format, Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), format!("the {format} format is only read, not written"));
        assert!(error.help().is_some() && error.place().is_none());
    }
}
