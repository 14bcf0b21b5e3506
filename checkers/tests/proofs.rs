//! Whole checks, as users call them, against exhaustive search on random small histories: the
//! verdict must be right, and the proof that comes with it must pass the independent validator.
//!
//! Results are drawn at random from a few values, so about as many histories are possible as not;
//! some operations crash, and intervals overlap at random. The oracle knows only [`Model::step`].

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use shakedown_checkers::history::{Event, EventKind, History, HistoryBuilder, Operation, Outcome, Process};
use shakedown_checkers::linearizability::check;
use shakedown_checkers::model::counter::LinearCounter;
use shakedown_checkers::model::kv::Kv;
use shakedown_checkers::model::log::{LinearLog, LogAction, LogState};
use shakedown_checkers::model::mutex::Mutex;
use shakedown_checkers::model::priority_queue::PriorityQueue;
use shakedown_checkers::model::queue::{FifoQueue, UnorderedQueue};
use shakedown_checkers::model::register::Register;
use shakedown_checkers::model::set::LinearSet;
use shakedown_checkers::model::stack::Stack;
use shakedown_checkers::model::{Flow, Foresight, Model, ModelError, Planned, Prospect};
use shakedown_checkers::options::{Consistency, Options};
use shakedown_checkers::validate::validate;
use shakedown_checkers::value::{Value, Values};
use shakedown_checkers::verdict::Verdict;
use std::collections::{BTreeMap, HashSet};

struct Chance(ChaCha8Rng);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }
}

/// What an operation is called, what it takes and what it may return.
struct Shape {
    f: &'static str,
    input: fn(&mut Chance, &mut HistoryBuilder) -> Value,
    output: fn(&mut Chance, &mut HistoryBuilder, Value) -> Value,
}

fn small(chance: &mut Chance) -> Value {
    Value::small_int(chance.below(3) as i64).expect("small")
}

const READ: Shape = Shape { f: "read", input: |_, _| Value::NIL, output: |c, _, _| small(c) };
const WRITE: Shape = Shape { f: "write", input: |c, _| small(c), output: |_, _, v| v };
const CAS: Shape = Shape {
    f: "cas",
    input: |c, b| {
        let pair = [small(c), small(c)];
        b.values().list(&pair)
    },
    output: |c, _, v| if c.below(2) == 0 { Value::FALSE } else { v },
};
const ACQUIRE: Shape = Shape { f: "acquire", input: |_, _| Value::NIL, output: |_, _, v| v };
const RELEASE: Shape = Shape { f: "release", input: |_, _| Value::NIL, output: |_, _, v| v };
const ENQUEUE: Shape = Shape { f: "enqueue", input: |c, _| small(c), output: |_, _, v| v };
const DEQUEUE: Shape = Shape { f: "dequeue", input: |_, _| Value::NIL, output: seen_or_nothing };
const PUSH: Shape = Shape { f: "push", input: |c, _| small(c), output: |_, _, v| v };
const POP: Shape = Shape { f: "pop", input: |_, _| Value::NIL, output: seen_or_nothing };
const REMOVE: Shape = Shape { f: "remove", input: |c, _| small(c), output: yes_or_no };
const CONTAINS: Shape = Shape { f: "contains", input: |c, _| small(c), output: yes_or_no };
const INSERT: Shape = Shape { f: "insert", input: |c, _| small(c), output: |_, _, v| v };
const EXTRACT: Shape = Shape { f: "extract", input: |_, _| Value::NIL, output: seen_or_nothing };

fn yes_or_no(chance: &mut Chance, _: &mut HistoryBuilder, _: Value) -> Value {
    if chance.below(2) == 0 { Value::FALSE } else { Value::TRUE }
}

const APPEND_TEXT: Shape =
    Shape { f: "append", input: |c, b| b.values().str(["a", "b"][c.below(2) as usize]), output: |_, _, v| v };
const GET_TEXT: Shape = Shape {
    f: "get",
    input: |_, _| Value::NIL,
    output: |c, b, _| match ["", "a", "b", "aa", "ab", "ba", "bb"][c.below(7) as usize] {
        "" => Value::NIL,
        text => b.values().str(text),
    },
};
const PUT_TEXT: Shape = Shape { f: "put", ..APPEND_TEXT };
const APPEND: Shape = Shape { f: "append", input: |c, _| small(c), output: |_, _, v| v };
const READ_LIST: Shape = Shape {
    f: "read",
    input: |_, _| Value::NIL,
    output: |c, b, _| {
        let entries: Vec<Value> = (0..c.below(3)).map(|_| small(c)).collect();
        b.values().list(&entries)
    },
};
const ADD: Shape = Shape { f: "add", input: |c, _| small(c), output: |_, _, v| v };
const SUBTRACT: Shape = Shape { f: "decrement", input: |_, _| Value::NIL, output: |_, _, v| v };
const READ_SUM: Shape = Shape {
    f: "read",
    input: |_, _| Value::NIL,
    output: |c, _, _| Value::small_int(c.below(5) as i64).expect("small"),
};

fn seen_or_nothing(chance: &mut Chance, _: &mut HistoryBuilder, _: Value) -> Value {
    if chance.below(5) == 0 { Value::NIL } else { small(chance) }
}

/// The same operations, each on one of two keys.
fn history(shapes: &[Shape], keys: u64, seed: u64) -> History {
    let chance = &mut Chance(ChaCha8Rng::seed_from_u64(seed));
    let mut builder = HistoryBuilder::new();
    let (operations, clients) = (1 + chance.below(7), 1 + chance.below(3) as usize);
    let mut open: Vec<Option<(usize, Option<Value>, Value)>> = vec![None; clients];
    let mut process: Vec<i64> = (0..clients as i64).collect();
    let mut invoked = 0;
    while invoked < operations || open.iter().any(Option::is_some) {
        let client = chance.below(clients as u64) as usize;
        let event = |kind, f, key, value, process| Event {
            process: Process::Client(process),
            kind,
            f,
            key,
            value,
            error: Value::NIL,
            time_ns: -1,
            line: 0,
        };
        match open[client].take() {
            None if invoked < operations => {
                let shape = chance.below(shapes.len() as u64) as usize;
                let input = (shapes[shape].input)(chance, &mut builder);
                let key = (keys > 1).then(|| Value::small_int(chance.below(keys) as i64).expect("small"));
                let f = builder.function(shapes[shape].f).unwrap();
                builder.push(event(EventKind::Invoke, f, key, input, process[client])).unwrap();
                open[client] = Some((shape, key, input));
                invoked += 1;
            }
            None => {}
            Some((shape, key, input)) => {
                let f = builder.function(shapes[shape].f).unwrap();
                let output = (shapes[shape].output)(chance, &mut builder, input);
                let kind = [EventKind::Ok, EventKind::Ok, EventKind::Ok, EventKind::Ok, EventKind::Info]
                    [chance.below(5) as usize];
                let output = if kind == EventKind::Ok { output } else { input };
                builder.push(event(kind, f, key, output, process[client])).unwrap();
                if kind == EventKind::Info {
                    process[client] += clients as i64;
                }
            }
        }
    }
    builder.finish()
}

/// Whether there is an order, by trying all.
fn oracle<M: Model>(history: &History, model: &M, consistency: Consistency) -> bool {
    type States<M> = BTreeMap<Option<Value>, <M as Model>::State>;
    type Flat<M> = Vec<(Option<Value>, <M as Model>::State)>;
    let ops: Vec<_> = history
        .operations()
        .filter(|op| op.outcome != Outcome::Fail)
        .filter_map(|op| {
            let action = model.action(&op, history.values()).unwrap()?;
            Some((op, model.part(&op, history.values()), action))
        })
        .collect();
    let precedes = |a: usize, b: usize| match consistency {
        Consistency::Sequential => ops[a].0.process == ops[b].0.process && a < b,
        _ => ops[a].0.returned() < ops[b].0.invoke_position,
    };
    let must: u32 = (0..ops.len()).filter(|&i| ops[i].0.outcome == Outcome::Ok).map(|i| 1 << i).sum();
    let mut seen: HashSet<(u32, Flat<M>)> = HashSet::new();
    let mut stack: Vec<(u32, States<M>)> = vec![(0, BTreeMap::new())];
    while let Some((done, states)) = stack.pop() {
        if done & must == must {
            return true;
        }
        for i in (0..ops.len()).filter(|&i| done >> i & 1 == 0) {
            // Placing `i` leaves out for good whatever should have come before it.
            if (0..ops.len()).any(|j| done >> j & 1 == 0 && must >> j & 1 == 1 && precedes(j, i)) {
                continue;
            }
            if (0..ops.len()).any(|j| done >> j & 1 == 1 && precedes(i, j)) {
                continue;
            }
            let before = states.get(&ops[i].1).cloned().unwrap_or_else(|| model.initial());
            let Some(after) = model.step(&before, &ops[i].2) else { continue };
            let mut next = states.clone();
            next.insert(ops[i].1, after);
            let flat: Flat<M> = next.clone().into_iter().collect();
            if seen.insert((done | 1 << i, flat)) {
                stack.push((done | 1 << i, next));
            }
        }
    }
    false
}

fn compare<M: Model>(name: &str, shapes: &[Shape], keys: u64, seeds: u64, model: impl Fn(&History) -> M) {
    let mut counts = BTreeMap::new();
    for seed in 0..seeds {
        let history = history(shapes, keys, seed);
        let model = model(&history);
        for consistency in [Consistency::Linearizable, Consistency::Sequential] {
            let options = Options { consistency, threads: 1, ..Options::default() };
            let verdict = check(&history, &model, &options).unwrap();
            let expected = oracle(&history, &model, consistency);
            let context = || {
                let operations: Vec<_> = history.operations().collect();
                format!("{name}, {consistency:?}, seed {seed}: {verdict:#?}\n{operations:#?}")
            };
            match &verdict {
                Verdict::Valid(_) => assert!(expected, "{}", context()),
                Verdict::Invalid(_) => assert!(!expected, "{}", context()),
                Verdict::Unknown(_) => panic!("{}", context()),
            }
            if let Err(refusal) = validate(&history, &model, consistency, &verdict) {
                panic!("{refusal}: {}", context());
            }
            *counts.entry((format!("{consistency:?}"), expected)).or_insert(0) += 1;
        }
    }
    assert!(counts.len() == 4 && counts.values().all(|&count| count > seeds / 20), "{name}: {counts:?}");
}

#[test]
fn registers() {
    compare("register", &[READ, READ, WRITE], 1, 2_000, |h| Register::for_history(Value::NIL, h));
    compare("cas-register", &[READ, WRITE, CAS, CAS], 1, 2_000, |h| {
        Register::with_cas_for_history(Value::NIL, h)
    });
}

#[test]
fn two_keys() {
    compare("cas-register of two keys", &[READ, WRITE, CAS], 2, 2_000, |h| {
        Register::with_cas_for_history(Value::NIL, h)
    });
    compare("kv", &[READ, WRITE, CAS], 2, 2_000, |h| Kv::for_history(Value::NIL, h));
}

// States that nobody can tell apart are merged, and dead ends left out.
#[test]
fn what_is_put_together() {
    let texts = [APPEND_TEXT, APPEND_TEXT, PUT_TEXT, GET_TEXT, GET_TEXT];
    compare("kv of texts", &texts, 2, 1_500, |h| Kv::for_history(Value::NIL, h));
    compare("linear-log", &[APPEND, APPEND, READ_LIST], 1, 1_500, LinearLog::for_history);
    compare("linear-counter", &[ADD, ADD, READ_SUM], 1, 1_500, |h| LinearCounter::for_history(0, h));
    compare("linear-counter down", &[ADD, SUBTRACT, READ_SUM], 1, 1_500, |h| {
        LinearCounter::for_history(0, h)
    });
}

#[test]
fn locks() {
    compare("mutex", &[ACQUIRE, RELEASE], 1, 2_000, |_| Mutex);
}

#[test]
fn containers() {
    compare("fifo-queue", &[ENQUEUE, ENQUEUE, DEQUEUE], 1, 500, |_| FifoQueue);
    compare("unordered-queue", &[ENQUEUE, ENQUEUE, DEQUEUE], 1, 500, |_| UnorderedQueue);
    compare("stack", &[PUSH, PUSH, POP], 1, 500, |_| Stack);
    compare("priority-queue", &[INSERT, INSERT, EXTRACT], 1, 500, |_| PriorityQueue);
    compare("linear-set", &[ADD, ADD, REMOVE, CONTAINS], 1, 500, LinearSet::for_history);
}

/// What a model may be wrong about although its steps are right.
#[derive(Clone, Copy, Debug)]
enum Hint {
    Right,
    Pure,
    Overwrites,
    Representative,
    Foresight,
    Flows,
}

/// A log with one wrong hint.
struct Mistaken(LinearLog, Hint);

impl Model for Mistaken {
    type State = LogState;
    type Action = LogAction;

    fn initial(&self) -> LogState {
        self.0.initial()
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<LogAction>, ModelError> {
        self.0.action(op, values)
    }

    fn step(&self, state: &LogState, action: &LogAction) -> Option<LogState> {
        self.0.step(state, action)
    }

    fn is_pure(&self, action: &LogAction) -> bool {
        self.0.is_pure(action) || matches!(self.1, Hint::Pure)
    }

    fn overwrites(&self, action: &LogAction) -> bool {
        matches!((self.1, action), (Hint::Overwrites, LogAction::Append(_)))
    }

    fn representative(&self, state: LogState) -> LogState {
        match self.1 {
            Hint::Representative => self.initial(),
            _ => self.0.representative(state),
        }
    }

    fn foresight(&self, ops: &[Planned<'_, LogAction>]) -> Option<Foresight<LogState>> {
        match self.1 {
            // Every state is a dead end until the last operation has been invoked.
            Hint::Foresight => {
                let lost = ops.iter().rposition(|op| op.demanded);
                Some(Box::new(move |_| Prospect { lost, lost_after: None }))
            }
            _ => self.0.foresight(ops),
        }
    }

    fn flows(&self, action: &LogAction, each: &mut dyn FnMut(Flow)) {
        // Nothing brings anything.
        let is_left_out = |flow: Flow| matches!((self.1, flow), (Hint::Flows, Flow::Brings(_)));
        self.0.flows(action, &mut |flow| {
            if !is_left_out(flow) {
                each(flow);
            }
        });
    }
}

// The comparison above can fail: it notices each kind of wrong hint.
#[test]
fn wrong_hints_are_noticed() {
    let judge = |hint| {
        std::panic::catch_unwind(|| {
            compare("log", &[APPEND, APPEND, READ_LIST], 1, 300, |h| {
                Mistaken(LinearLog::for_history(h), hint)
            });
        })
    };
    assert!(judge(Hint::Right).is_ok());
    for hint in [Hint::Pure, Hint::Overwrites, Hint::Representative, Hint::Foresight, Hint::Flows] {
        assert!(judge(hint).is_err(), "nobody noticed {hint:?}");
    }
}
