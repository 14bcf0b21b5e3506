//! Writes down what clients and the nemesis did, in the order in which it happened.

use crate::nemesis::FaultKind;
use crate::operation::Operation;
use shakedown_checkers::history::{Event, EventKind, History, HistoryBuilder, Process};
use shakedown_checkers::value::Value;

/// A history in the making. Times are nanoseconds from the start of the run.
#[derive(Debug)]
pub struct Recorder {
    builder: HistoryBuilder,
    /// The process that each client is. One that gave something up goes on as another: the old one may
    /// still be at work.
    processes: Vec<i64>,
    next_process: i64,
}

impl Recorder {
    /// Nothing yet, by so many clients.
    pub fn new(clients: u32) -> Recorder {
        let builder = HistoryBuilder::new();
        Recorder { builder, processes: (0..i64::from(clients)).collect(), next_process: i64::from(clients) }
    }

    /// A client asks.
    pub fn invoked<Op: Operation>(&mut self, client: u32, op: &Op, time_ns: u64) {
        if let Some(words) = op.administers() {
            return self.other("admin", "ask", &words, time_ns);
        }
        let call = op.invoked(self.builder.values());
        self.client(client, EventKind::Invoke, call.f, call.key, call.value, time_ns);
    }

    /// A client is answered what it asked last.
    pub fn answered<Op: Operation>(&mut self, client: u32, op: &Op, ret: &Op::Ret, time_ns: u64) {
        if let Some(words) = op.administers() {
            let told = format!("{words}: {}", op.administered(ret));
            return self.other("admin", "answer", &told, time_ns);
        }
        let call = op.invoked(self.builder.values());
        let value = op.completed(ret, self.builder.values());
        self.client(client, EventKind::Ok, call.f, call.key, value, time_ns);
    }

    /// What a client asked last did not happen, and never will.
    pub fn failed<Op: Operation>(&mut self, client: u32, op: &Op, time_ns: u64) {
        if let Some(words) = op.administers() {
            return self.other("admin", "answer", &format!("{words}: never asked"), time_ns);
        }
        let call = op.invoked(self.builder.values());
        self.client(client, EventKind::Fail, call.f, call.key, call.value, time_ns);
    }

    /// A client stops waiting: nobody knows whether what it asked last happened, or will.
    pub fn gave_up<Op: Operation>(&mut self, client: u32, op: &Op, time_ns: u64) {
        if let Some(words) = op.administers() {
            return self.other("admin", "answer", &format!("{words}: not in time"), time_ns);
        }
        let call = op.invoked(self.builder.values());
        self.client(client, EventKind::Info, call.f, call.key, call.value, time_ns);
        self.processes[client as usize] = self.next_process;
        self.next_process += 1;
    }

    /// A fault begins.
    pub fn fault_begins(&mut self, kind: &FaultKind, time_ns: u64) {
        self.other("nemesis", &format!("start-{}", kind.name()), &kind.to_string(), time_ns);
    }

    /// A fault is healed, having changed something so many times.
    pub fn fault_ends(&mut self, kind: &FaultKind, effects: u64, time_ns: u64) {
        let told = match effects {
            0 => "it had changed nothing".to_owned(),
            _ => format!("effects: {effects}"),
        };
        self.other("nemesis", &format!("stop-{}", kind.name()), &told, time_ns);
    }

    /// What was written down.
    pub fn finish(self) -> History {
        self.builder.finish()
    }

    fn client(
        &mut self,
        client: u32,
        kind: EventKind,
        f: &str,
        key: Option<Value>,
        value: Value,
        time_ns: u64,
    ) {
        let f = self.builder.function(f).expect("an object has few functions");
        let process = Process::Client(self.processes[client as usize]);
        let time_ns = time_ns as i64;
        let event = Event { process, kind, f, key, value, error: Value::NIL, time_ns, line: 0 };
        self.builder.push(event).expect("a client asks one thing at a time");
    }

    /// What somebody does who is no client: a nemesis, an administrator.
    fn other(&mut self, who: &str, f: &str, told: &str, time_ns: u64) {
        let f = self.builder.function(f).expect("there are few kinds of faults");
        let process = Process::Other(self.builder.values().keyword(who));
        let value = self.builder.values().str(told);
        let (kind, time_ns) = (EventKind::Info, time_ns as i64);
        let event = Event { process, kind, f, key: None, value, error: Value::NIL, time_ns, line: 0 };
        self.builder.push(event).expect("only clients have operations");
    }
}
