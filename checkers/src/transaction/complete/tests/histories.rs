//! Histories of register transactions: from lines of text, and random ones.

use crate::history::{Event, EventKind, History, HistoryBuilder, Process, Timestamps};
use crate::transaction::{Kind, Transactions, read};
use crate::value::{Value, Values};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One micro-operation: what, which key, which value; a read of 0 is one of nil.
pub(super) type Op = (char, i64, i64);

/// One event: whose, which, and what the transaction does as far as is known then.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    pub(super) process: i64,
    pub(super) kind: EventKind,
    pub(super) ops: Vec<Op>,
    pub(super) stamps: Option<(i64, i64)>,
}

/// The transactions of some events.
pub(super) fn transactions(happenings: &[Happening], has_real_time: bool) -> Transactions {
    read(&history(happenings, has_real_time), Kind::Register).expect("made to be read")
}

fn history(happenings: &[Happening], has_real_time: bool) -> History {
    let mut builder = HistoryBuilder::new();
    let f = builder.function("txn").expect("one function");
    if !has_real_time {
        builder.sessions_only();
    }
    for happening in happenings {
        let value = value(builder.values(), &happening.ops);
        let process = Process::Client(happening.process);
        let (kind, error) = (happening.kind, Value::NIL);
        let event = Event { process, kind, f, key: None, value, error, time_ns: -1, line: 0 };
        builder.push(event).expect("made to be paired");
        if let Some((start, commit)) = happening.stamps {
            builder.stamp(Timestamps { start, commit });
        }
    }
    builder.finish()
}

fn value(values: &mut Values, ops: &[Op]) -> Value {
    let list: Vec<Value> = ops
        .iter()
        .map(|&(name, key, argument)| {
            let name = values.keyword(&name.to_string());
            let key = values.int(key);
            let argument = if argument == 0 { Value::NIL } else { values.int(argument) };
            values.list(&[name, key, argument])
        })
        .collect();
    values.list(&list)
}

/// Transactions from lines such as `0 wx1 rynil`: a process and what it did, keys being letters. Events are
/// in the order of the lines; a line that ends in `{` only invokes, one that begins with `}` completes what
/// that process has open; `!` at the end makes the outcome unknown, `~` aborts. `@3-5` are timestamps.
pub(super) fn parse(lines: &[&str]) -> Transactions {
    let mut happenings = Vec::new();
    for line in lines {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let completes = words.first() == Some(&"}");
        if completes {
            words.remove(0);
        }
        let invokes = words.last() == Some(&"{");
        let process = words.remove(0).parse().expect("a process");
        let mut kind = EventKind::Ok;
        let (mut ops, mut stamps) = (Vec::new(), None);
        for word in words {
            match word {
                "{" => {}
                "!" => kind = EventKind::Info,
                "~" => kind = EventKind::Fail,
                _ if word.starts_with('@') => {
                    let (start, commit) = word[1..].split_once('-').expect("two timestamps");
                    stamps = Some((start.parse().expect("a number"), commit.parse().expect("a number")));
                }
                _ => {
                    let mut letters = word.chars();
                    let (name, key) = (letters.next().expect("r or w"), letters.next().expect("a key"));
                    let argument = letters.as_str();
                    let argument = if argument == "nil" { 0 } else { argument.parse().expect("a value") };
                    ops.push((name, key as i64, argument));
                }
            }
        }
        if !completes {
            let ops = ops.clone();
            happenings.push(Happening { process, kind: EventKind::Invoke, ops, stamps: None });
        }
        if !invokes {
            happenings.push(Happening { process, kind, ops, stamps });
        }
    }
    transactions(&happenings, true)
}

/// A seeded source of small numbers.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What random histories look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) txns: u64,
    pub(super) processes: u64,
    pub(super) keys: u64,
    pub(super) ops: u64,
    pub(super) writes_percent: u64,
    /// Transactions that do not commit, or of which nobody knows.
    pub(super) lost_percent: u64,
    /// Reads that see any version whatever; the others see what a database would show that runs each
    /// transaction between its invocation and its completion, from one snapshot or in one moment.
    pub(super) wild_percent: u64,
    pub(super) is_snapshot: bool,
    pub(super) has_real_time: bool,
}

/// What a process has open: its micro-operations, and the snapshot, if it has been taken.
type Open = (Vec<Op>, Option<Vec<i64>>);

/// A random history of that shape.
pub(super) fn random(shape: Shape, dice: &mut Dice) -> Vec<Happening> {
    let mut happenings: Vec<Happening> = Vec::new();
    let mut open: Vec<Option<Open>> = vec![None; shape.processes as usize];
    let mut database = vec![0; shape.keys as usize];
    let mut written: Vec<Vec<i64>> = vec![vec![0]; shape.keys as usize];
    let (mut begun, mut value) = (0, 0);
    while begun < shape.txns || open.iter().any(Option::is_some) {
        let process = dice.below(shape.processes);
        let slot = &mut open[process as usize];
        match slot {
            None if begun < shape.txns => {
                begun += 1;
                let mut ops: Vec<Op> = Vec::new();
                for _ in 0..1 + dice.below(shape.ops) {
                    let key = dice.below(shape.keys) as i64;
                    if dice.chance(shape.writes_percent) {
                        value += 1;
                        ops.push(('w', key, value));
                    } else {
                        ops.push(('r', key, 0));
                    }
                }
                happenings.push(Happening {
                    process: process as i64,
                    kind: EventKind::Invoke,
                    ops: ops.clone(),
                    stamps: None,
                });
                *slot = Some((ops, None));
            }
            None => {}
            Some((_, snapshot @ None)) if dice.chance(60) => *snapshot = Some(database.clone()),
            Some((ops, snapshot)) => {
                let mut view = match snapshot.take().filter(|_| shape.is_snapshot) {
                    Some(snapshot) => snapshot,
                    None => database.clone(),
                };
                let kind = match dice.below(100) {
                    percent if percent < shape.lost_percent / 2 => EventKind::Fail,
                    percent if percent < shape.lost_percent => EventKind::Info,
                    _ => EventKind::Ok,
                };
                for (name, key, argument) in ops.iter_mut() {
                    let key = *key as usize;
                    if *name == 'w' {
                        view[key] = *argument;
                        written[key].push(*argument);
                        if kind != EventKind::Fail || dice.chance(10) {
                            database[key] = *argument;
                        }
                    } else if dice.chance(shape.wild_percent) {
                        let versions = &written[key];
                        *argument = versions[dice.below(versions.len() as u64) as usize];
                    } else {
                        *argument = view[key];
                    }
                }
                let ops = std::mem::take(ops);
                *slot = None;
                happenings.push(Happening { process: process as i64, kind, ops, stamps: None });
            }
        }
    }
    if shape.has_real_time { happenings } else { by_process(happenings, shape.processes) }
}

/// The same, one session after the other.
fn by_process(happenings: Vec<Happening>, processes: u64) -> Vec<Happening> {
    let of = |process: i64| happenings.iter().filter(move |happening| happening.process == process).cloned();
    (0..processes as i64).flat_map(of).collect()
}
