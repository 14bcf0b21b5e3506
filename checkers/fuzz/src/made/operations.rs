//! Operations of a data type, by the names that it takes, on values of the shapes that they have.

use shakedown_checkers::datatype::registry::{CHECKERS, Checker};
use shakedown_checkers::history::{Event, EventKind, History, HistoryBuilder, Process};
use shakedown_checkers::value::{Value, Values};

/// More events than that are left out.
const EVENTS_MAX: usize = 60;

const DEPTH_MAX: usize = 4;

/// A data type, and a history of it: a byte names it, and then each event is a byte for its process and kind,
/// one for its function, one for the time that has passed, and those of its value.
pub fn history(bytes: &[u8]) -> Option<(&'static Checker, History)> {
    let mut bytes = Bytes(bytes);
    let checker = &CHECKERS[bytes.next()? as usize % CHECKERS.len()];
    let names: Vec<&str> =
        checker.info.operations.iter().flat_map(|operation| operation.functions.iter().copied()).collect();
    let mut builder = HistoryBuilder::new();
    let mut open: [Option<&str>; 4] = [None; 4];
    let mut time_ns = 0;
    for _ in 0..EVENTS_MAX {
        let Some(header) = bytes.next() else { break };
        let process = usize::from(header) % open.len();
        let kind = match (open[process], header >> 2 & 3) {
            (None, _) => EventKind::Invoke,
            (Some(_), 0 | 1) => EventKind::Ok,
            (Some(_), 2) => EventKind::Fail,
            (Some(_), _) => EventKind::Info,
        };
        let name = match open[process].take() {
            Some(name) => name,
            None => {
                let name = names[bytes.number(names.len())];
                open[process] = Some(name);
                name
            }
        };
        time_ns += i64::from(bytes.next().unwrap_or_default()) * 1_000_000;
        let value = bytes.value(builder.values(), 0);
        let f = builder.function(name).expect("few names fit");
        let event = Event {
            process: Process::Client(process as i64),
            kind,
            f,
            key: None,
            value,
            error: Value::NIL,
            time_ns,
            line: 0,
        };
        builder.push(event).expect("each process has one operation at a time");
        if header & 64 != 0 {
            builder.mark_final();
        }
    }
    Some((checker, builder.finish()))
}

/// The bytes that are left.
struct Bytes<'b>(&'b [u8]);

/// Keys of the maps that some data type looks into.
const FIELDS: [&str; 16] = [
    "value", "position", "link", "from", "to", "amount", "fence", "token", "replica", "seen", "state", "id",
    "val", "sts", "process", "final?",
];

/// Words that mean something to some data type.
const WORDS: [&str; 8] = ["final", "empty", "exhausted", "send", "poll", "r", "w", "init"];

/// Integers at which sums and differences go wrong first.
const LIMITS: [i64; 6] = [i64::MAX, i64::MIN, i64::MAX - 1, 1 << 62, 1 << 40, -(1 << 32)];

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number below `end`; 0 where nothing is left.
    fn number(&mut self, end: usize) -> usize {
        usize::from(self.next().unwrap_or_default()) % end
    }

    fn value(&mut self, values: &mut Values, depth: usize) -> Value {
        let shapes = if depth < DEPTH_MAX { 13 } else { 8 };
        match self.number(shapes) {
            0 => Value::NIL,
            1..=3 => values.int(self.number(6) as i64),
            4 => values.int(-(self.number(6) as i64)),
            5 => values.int(LIMITS[self.number(LIMITS.len())]),
            6 => values.keyword(WORDS[self.number(WORDS.len())]),
            7 => [Value::TRUE, values.number("1.5"), values.str("a")][self.number(3)],
            8 | 9 => {
                let members = self.members(values, depth);
                values.list(&members)
            }
            10 => {
                let members = self.members(values, depth);
                values.set(&members)
            }
            11 => {
                let pairs = self.members(values, depth);
                let named = |(at, value): (usize, &Value), values: &mut Values| {
                    (values.keyword(FIELDS[at % FIELDS.len()]), *value)
                };
                let first = self.number(FIELDS.len());
                let pairs: Vec<(Value, Value)> =
                    (first..).zip(&pairs).map(|pair| named(pair, values)).collect();
                values.map(&pairs)
            }
            _ => {
                let members = self.members(values, depth);
                let pairs: Vec<(Value, Value)> =
                    members.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
                values.map(&pairs)
            }
        }
    }

    fn members(&mut self, values: &mut Values, depth: usize) -> Vec<Value> {
        (0..self.number(5)).map(|_| self.value(values, depth + 1)).collect()
    }
}
