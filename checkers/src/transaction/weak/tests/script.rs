//! Test histories: from text, by chance, and from a simulated store.
//!
//! A session is a text: transactions are separated by `|`; `w0=1` writes 1 to key 0, `r0=1` reads it, `r0=nil`
//! finds the key unwritten; a transaction that begins with `!` aborted, with `?` nobody knows.

use super::below;
use crate::history::{Event, EventKind, HistoryBuilder, Process};
use crate::transaction::{Kind, Transactions, read};
use crate::value::{Value, Values};
use rand_chacha::ChaCha8Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Write { key: usize, value: usize },
    Read { key: usize, value: Option<usize> },
}

#[derive(Clone, Debug)]
pub(super) struct Txn {
    pub(super) session: usize,
    pub(super) end: EventKind,
    pub(super) ops: Vec<Op>,
}

/// A history: transactions in the order of their invocations, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) txns: Vec<Txn>,
    pub(super) has_real_time: bool,
}

impl Script {
    /// Sessions take turns.
    pub(super) fn parse(sessions: &[&str]) -> Script {
        let mut places: Vec<(usize, Txn)> = vec![];
        for (session, text) in sessions.iter().enumerate() {
            for (turn, txn) in text.split('|').enumerate() {
                let txn = txn.trim();
                let (end, txn) = match txn.split_at_checked(1) {
                    Some(("!", rest)) => (EventKind::Fail, rest),
                    Some(("?", rest)) => (EventKind::Info, rest),
                    _ => (EventKind::Ok, txn),
                };
                let ops = txn.split_whitespace().map(Script::parse_op).collect();
                places.push((turn, Txn { session, end, ops }));
            }
        }
        places.sort_by_key(|place| place.0);
        Script { txns: places.into_iter().map(|place| place.1).collect(), has_real_time: true }
    }

    fn parse_op(op: &str) -> Op {
        let (key, value) = op[1..].split_once('=').expect("w0=1");
        let key = key.parse().expect("a key is a number");
        match op.as_bytes()[0] {
            b'w' => Op::Write { key, value: value.parse().expect("a value is a number") },
            b'r' => Op::Read { key, value: value.parse().ok() },
            other => panic!("no such operation: {other}"),
        }
    }

    pub(super) fn transactions(&self) -> Transactions {
        let mut builder = HistoryBuilder::new();
        if !self.has_real_time {
            builder.sessions_only();
        }
        let f = builder.function("txn").unwrap();
        for txn in &self.txns {
            for kind in [EventKind::Invoke, txn.end] {
                let ops: Vec<Value> = txn.ops.iter().map(|op| value_of(*op, builder.values())).collect();
                let event = Event {
                    process: Process::Client(txn.session as i64),
                    kind,
                    f,
                    key: None,
                    value: builder.values().list(&ops),
                    error: Value::NIL,
                    time_ns: -1,
                    line: 0,
                };
                builder.push(event).unwrap();
            }
        }
        read(&builder.finish(), Kind::Register).unwrap()
    }

    /// What a causally consistent store may show: commits go to one log, of which each session knows
    /// its own and all up to some moment, which only moves on. Nothing is ever aborted.
    pub(super) fn causal_store(rng: &mut ChaCha8Rng, txns: usize, sessions: usize, keys: usize) -> Script {
        let mut script = Script { txns: vec![], has_real_time: below(rng, 2) == 0 };
        // Per key, the versions in the log: by whom, in which transaction, and the value.
        let mut versions: Vec<Vec<(usize, usize, usize)>> = vec![vec![]; keys];
        let mut known = vec![0; sessions];
        for at in 0..txns {
            let session = below(rng, sessions);
            let lag = below(rng, 4 * sessions);
            known[session] = known[session].max(at.saturating_sub(lag));
            let mut ops = vec![];
            let mut written = vec![];
            for _ in 0..1 + below(rng, 4) {
                let key = below(rng, keys).min(below(rng, keys));
                if below(rng, 2) == 0 {
                    let value = versions[key].len() + written.iter().filter(|(k, _)| *k == key).count();
                    written.push((key, value));
                    ops.push(Op::Write { key, value });
                    continue;
                }
                let own = written.iter().rev().find(|(k, _)| *k == key).map(|(_, value)| *value);
                let is_known = |(by, at, _): &&(usize, usize, usize)| *by == session || *at < known[session];
                let log = || versions[key].iter().rev().find(is_known).map(|version| version.2);
                ops.push(Op::Read { key, value: own.or_else(log) });
            }
            for (key, value) in written {
                versions[key].push((session, at, value));
            }
            script.txns.push(Txn { session, end: EventKind::Ok, ops });
        }
        script
    }

    /// Puts the transactions of `other` among these, one session of it after the other, each into a session
    /// of these.
    pub(super) fn plant(&mut self, rng: &mut ChaCha8Rng, other: &Script) {
        let shift = below(rng, 100);
        let sessions = 1 + self.txns.iter().map(|txn| txn.session).max().unwrap_or(0);
        let mut at = self.txns.len() / 4 + below(rng, self.txns.len() / 4);
        let mut planted: Vec<&Txn> = other.txns.iter().collect();
        planted.sort_by_key(|txn| txn.session);
        for txn in planted {
            let session = (txn.session + shift) % sessions;
            self.txns.insert(at, Txn { session, ..txn.clone() });
            at += 1 + below(rng, 50);
        }
    }
}

fn value_of(op: Op, values: &mut Values) -> Value {
    let (name, key, value) = match op {
        Op::Write { key, value } => ("w", key, Some(value)),
        Op::Read { key, value } => ("r", key, value),
    };
    let value = value.map_or(Value::NIL, |value| values.int(value as i64));
    let members = [values.keyword(name), values.int(key as i64), value];
    values.list(&members)
}
