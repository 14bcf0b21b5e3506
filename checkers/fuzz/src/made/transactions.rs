//! Transactions on lists or registers: what is read is what a reader may have seen, or nearly.

use shakedown_checkers::history::{Event, EventKind, FunctionId, History, HistoryBuilder, Process};
use shakedown_checkers::transaction::{KeyAssumptions, Kind};
use shakedown_checkers::value::Value;

/// More transactions than that are left out.
const TRANSACTIONS_MAX: usize = 24;

const PROCESSES: usize = 4;
const KEYS: usize = 4;

/// A history, and how to judge it.
pub struct Made {
    /// The history.
    pub history: History,
    /// What its keys hold.
    pub kind: Kind,
    /// What to take for granted about them.
    pub assume: KeyAssumptions,
    /// Whether values that nobody wrote may be read.
    pub forbid_unwritten: bool,
    /// The number of a level to ask for by itself.
    pub level: u8,
}

/// Two bytes say how to judge. After that a byte begins a transaction: who runs it, how it ends, whether it
/// does so at once or when its process goes on, and of how many micro-operations it is, a byte each: read or
/// write, the key, and what is read. `None` if there is no transaction.
pub fn history(bytes: &[u8]) -> Option<Made> {
    let (&[flags, level], mut rest) = bytes.split_first_chunk::<2>()?;
    let kind = if flags & 1 == 0 { Kind::ListAppend } else { Kind::Register };
    let mut maker = Maker::new(kind);
    if flags & 2 != 0 {
        maker.builder.sessions_only();
    }
    let mut count = 0;
    while let Some((&header, after)) = rest.split_first()
        && count < TRANSACTIONS_MAX
    {
        let len = usize::from(header >> 5) % 5;
        let (micro_ops, after) = after.split_at(len.min(after.len()));
        maker.transaction(header, micro_ops);
        rest = after;
        count += 1;
    }
    if flags & 4 != 0 {
        (0..PROCESSES).for_each(|process| maker.complete(process));
    }
    (count > 0).then(|| Made {
        history: maker.builder.finish(),
        kind,
        assume: KeyAssumptions { sequential: flags & 8 != 0, linearizable: flags & 16 != 0 },
        forbid_unwritten: flags & 32 != 0,
        level,
    })
}

struct Maker {
    builder: HistoryBuilder,
    f: FunctionId,
    kind: Kind,
    /// By key: how many values were written.
    written: [i64; KEYS],
    /// By process: how the transaction that is open will end.
    open: [Option<(EventKind, Value)>; PROCESSES],
}

impl Maker {
    fn new(kind: Kind) -> Maker {
        let mut builder = HistoryBuilder::new();
        let f = builder.function("txn").expect("one function fits");
        Maker { builder, f, kind, written: [0; KEYS], open: [None; PROCESSES] }
    }

    fn transaction(&mut self, header: u8, micro_ops: &[u8]) {
        let process = usize::from(header) % PROCESSES;
        self.complete(process);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for byte in micro_ops {
            let key = usize::from(byte >> 1) % KEYS;
            let seen = i64::from(byte >> 3);
            let [input, output] = if byte & 1 == 0 { self.write(key) } else { self.read(key, seen) };
            inputs.push(input);
            outputs.push(output);
        }
        let input = self.builder.values().list(&inputs);
        let output = self.builder.values().list(&outputs);
        // Half of them commit.
        let end = match header >> 2 & 3 {
            0 | 1 => (EventKind::Ok, output),
            2 => (EventKind::Fail, input),
            _ => (EventKind::Info, input),
        };
        self.push(process, EventKind::Invoke, input);
        self.open[process] = Some(end);
        if header & 16 != 0 {
            self.complete(process);
        }
    }

    fn write(&mut self, key: usize) -> [Value; 2] {
        self.written[key] += 1;
        let name = if self.kind == Kind::ListAppend { "append" } else { "w" };
        let value = self.builder.values().int(self.written[key]);
        [self.micro_op(name, key, value); 2]
    }

    /// A register's value by its number; of a list the first so many elements, or those with two of them
    /// the other way round.
    fn read(&mut self, key: usize, seen: i64) -> [Value; 2] {
        let values = self.builder.values();
        let result = match self.kind {
            Kind::Register if seen == 0 => Value::NIL,
            Kind::Register => values.int(seen),
            Kind::ListAppend => {
                let mut members: Vec<Value> = (1..=seen % 8).map(|int| values.int(int)).collect();
                if seen >= 24 && members.len() > 1 {
                    let last = members.len() - 1;
                    members.swap(last - 1, last);
                }
                values.list(&members)
            }
        };
        [self.micro_op("r", key, Value::NIL), self.micro_op("r", key, result)]
    }

    fn micro_op(&mut self, name: &str, key: usize, value: Value) -> Value {
        let values = self.builder.values();
        let (name, key) = (values.keyword(name), values.int(key as i64));
        values.list(&[name, key, value])
    }

    fn complete(&mut self, process: usize) {
        if let Some((kind, value)) = self.open[process].take() {
            self.push(process, kind, value);
        }
    }

    fn push(&mut self, process: usize, kind: EventKind, value: Value) {
        let event = Event {
            process: Process::Client(process as i64),
            kind,
            f: self.f,
            key: None,
            value,
            error: Value::NIL,
            time_ns: -1,
            line: 0,
        };
        self.builder.push(event).expect("each process has one transaction at a time");
    }
}
