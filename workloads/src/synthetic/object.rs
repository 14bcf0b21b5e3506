//! The sequential objects, and what a client does to them next.

use super::{Object, Synthetic, Values};
use crate::random::Random;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

/// What an operation carries or returns, before it becomes a value of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Nil,
    Bool(bool),
    Int(i64),
    /// Compare-and-set: from, to.
    Pair(i64, i64),
    /// Who acquires or releases, and the fencing token that it got.
    Client {
        client: i64,
        token: Option<i64>,
    },
    /// A whole set or log.
    List(Vec<i64>),
    /// A string, by the pieces that were put or appended.
    Text(Vec<i64>),
    /// A transaction.
    Micro(Vec<Micro>),
}

/// One read or write of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Micro {
    pub(super) write: bool,
    pub(super) key: u32,
    pub(super) value: Option<i64>,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    /// Index in [`Object::functions`]; 0 for every transaction.
    pub(super) f: u8,
    pub(super) key: u32,
    pub(super) input: Payload,
}

/// An object and its clients' habits.
pub(super) struct Target {
    object: Object,
    keys: u32,
    weights: Vec<u32>,
    state: State,
    fresh: Fresh,
    /// A value of the range that no client puts in for now.
    pub(super) avoided: Option<i64>,
    /// For a mutex: how often each client has to release it.
    holds: Vec<u8>,
}

enum State {
    Registers(Vec<Option<i64>>),
    Texts(Vec<Vec<i64>>),
    Lock { held: bool, tokens: i64 },
    Queue(VecDeque<i64>),
    Bag(Vec<i64>),
    Stack(Vec<i64>),
    Heap(BinaryHeap<i64>),
    Members(BTreeSet<i64>),
    Counter(i64),
    Log(Vec<i64>),
}

/// Where values that are put in come from.
enum Fresh {
    Counting {
        next: i64,
    },
    /// Each of `1..=len` once, in random order.
    Shuffled {
        order: Vec<u32>,
        used: usize,
    },
    Uniform {
        start: i64,
        end: i64,
    },
}

impl Target {
    pub(super) fn new(plan: &Synthetic, random: &mut Random) -> Target {
        let keys = plan.keys as usize;
        let state = match plan.object {
            Object::Register | Object::CasRegister | Object::MultiRegister => {
                State::Registers(vec![None; keys])
            }
            Object::Kv => State::Texts(vec![Vec::new(); keys]),
            Object::Mutex | Object::ReentrantMutex | Object::FencedMutex => {
                State::Lock { held: false, tokens: 0 }
            }
            Object::FifoQueue => State::Queue(VecDeque::new()),
            Object::UnorderedQueue => State::Bag(Vec::new()),
            Object::Stack => State::Stack(Vec::new()),
            Object::PriorityQueue => State::Heap(BinaryHeap::new()),
            Object::LinearSet => State::Members(BTreeSet::new()),
            Object::LinearCounter => State::Counter(0),
            Object::LinearLog => State::Log(Vec::new()),
        };
        let fresh = match plan.domain() {
            Values::Range { start, end } => Fresh::Uniform { start: i64::from(start), end: i64::from(end) },
            Values::Distinct if plan.object == Object::PriorityQueue => {
                let mut order: Vec<u32> = (1..=plan.operations).collect();
                random.shuffle(&mut order);
                Fresh::Shuffled { order, used: 0 }
            }
            Values::Distinct => Fresh::Counting { next: 1 },
        };
        Target {
            object: plan.object,
            keys: plan.keys,
            weights: plan.weights(),
            state,
            fresh,
            avoided: None,
            holds: vec![0; plan.clients as usize],
        }
    }

    /// What `client` does next.
    pub(super) fn invocation(&mut self, client: usize, random: &mut Random) -> Invocation {
        if self.object.is_lock() {
            let releases = match self.holds[client] {
                0 => false,
                1 if self.object == Object::ReentrantMutex => random.chance(0.5),
                _ => true,
            };
            let input = match self.object {
                Object::Mutex => Payload::Nil,
                _ => Payload::Client { client: client as i64, token: None },
            };
            return Invocation { f: u8::from(releases), key: 0, input };
        }
        if self.object == Object::MultiRegister {
            return self.transaction(random);
        }
        let f = random.weighted(&self.weights) as u8;
        let key = random.below(u64::from(self.keys)) as u32;
        self.with_input(f, key, random)
    }

    /// Function `f` on `key`, with an argument drawn for it.
    pub(super) fn with_input(&mut self, f: u8, key: u32, random: &mut Random) -> Invocation {
        let input = match (self.object, f) {
            (_, 0) => Payload::Nil,
            (Object::Kv, _) => Payload::Text(vec![self.fresh(random)]),
            (Object::CasRegister, 2) => {
                let from = self.expected(key, random);
                Payload::Pair(from, self.fresh(random))
            }
            _ => Payload::Int(self.fresh(random)),
        };
        Invocation { f, key, input }
    }

    /// Takes effect on the object and says what it returns; `None` if it has to wait.
    pub(super) fn apply(
        &mut self,
        client: usize,
        invocation: &Invocation,
        random: &mut Random,
    ) -> Option<Payload> {
        let (f, key, input) = (invocation.f, invocation.key as usize, &invocation.input);
        let or_nil = |value: Option<i64>| value.map_or(Payload::Nil, Payload::Int);
        let echo = input.clone();
        Some(match (&mut self.state, f, input) {
            (State::Registers(registers), _, Payload::Micro(micro)) => {
                let mut result = micro.clone();
                for op in &mut result {
                    let register = &mut registers[op.key as usize];
                    *(if op.write { register } else { &mut op.value }) =
                        if op.write { op.value } else { *register };
                }
                Payload::Micro(result)
            }
            (State::Registers(registers), 0, _) => or_nil(registers[key]),
            (State::Registers(registers), _, Payload::Int(value)) => {
                registers[key] = Some(*value);
                echo
            }
            (State::Registers(registers), _, Payload::Pair(from, to)) => {
                if registers[key] != Some(*from) {
                    return Some(Payload::Bool(false));
                }
                registers[key] = Some(*to);
                echo
            }
            (State::Texts(texts), 0, _) if texts[key].is_empty() => Payload::Nil,
            (State::Texts(texts), 0, _) => Payload::Text(texts[key].clone()),
            (State::Texts(texts), f, Payload::Text(piece)) => {
                if f == 1 {
                    texts[key].clear();
                }
                texts[key].extend(piece);
                echo
            }
            (State::Lock { held, tokens }, f, _) => {
                let holds = &mut self.holds[client];
                match f {
                    0 if *held && *holds == 0 => return None,
                    0 => *holds += 1,
                    _ => *holds -= 1,
                }
                *held = *holds > 0;
                match echo {
                    Payload::Client { client, .. } if f == 0 && self.object == Object::FencedMutex => {
                        *tokens += 1;
                        Payload::Client { client, token: Some(*tokens) }
                    }
                    echo => echo,
                }
            }
            (State::Queue(queue), 0, _) => or_nil(queue.pop_front()),
            (State::Bag(bag), 0, _) if bag.is_empty() => Payload::Nil,
            (State::Bag(bag), 0, _) => Payload::Int(bag.swap_remove(random.below(bag.len() as u64) as usize)),
            (State::Stack(stack), 0, _) => or_nil(stack.pop()),
            (State::Heap(heap), 0, _) => or_nil(heap.pop()),
            (State::Members(members), 0, _) => Payload::List(members.iter().copied().collect()),
            (State::Log(log), 0, _) => Payload::List(log.clone()),
            (State::Counter(sum), 0, _) => Payload::Int(*sum),
            (State::Queue(queue), _, Payload::Int(value)) => {
                queue.push_back(*value);
                echo
            }
            (State::Stack(items) | State::Log(items) | State::Bag(items), _, Payload::Int(value)) => {
                items.push(*value);
                echo
            }
            (State::Heap(heap), _, Payload::Int(value)) => {
                heap.push(*value);
                echo
            }
            (State::Members(members), _, Payload::Int(value)) => {
                members.insert(*value);
                echo
            }
            (State::Counter(sum), _, Payload::Int(value)) => {
                *sum += value;
                echo
            }
            (_, f, input) => unreachable!("{:?} has no function {f} with {input:?}", self.object),
        })
    }

    /// One to three reads and writes of different keys.
    fn transaction(&mut self, random: &mut Random) -> Invocation {
        let size = 1 + random.below(u64::from(self.keys.min(3))) as usize;
        let mut micro: Vec<Micro> = Vec::with_capacity(size);
        while micro.len() < size {
            let key = random.below(u64::from(self.keys)) as u32;
            if micro.iter().any(|op| op.key == key) {
                continue;
            }
            let write = random.weighted(&self.weights) == 1;
            let value = write.then(|| self.fresh(random));
            micro.push(Micro { write, key, value });
        }
        Invocation { f: 0, key: 0, input: Payload::Micro(micro) }
    }

    fn fresh(&mut self, random: &mut Random) -> i64 {
        match &mut self.fresh {
            Fresh::Counting { next } => {
                *next += 1;
                *next - 1
            }
            Fresh::Shuffled { order, used } => {
                *used += 1;
                i64::from(order[*used - 1])
            }
            Fresh::Uniform { start, end } => {
                let avoided = self.avoided.filter(|_| *end - *start > 1);
                let size = *end - *start - i64::from(avoided.is_some());
                let value = *start + random.below(size as u64) as i64;
                value + i64::from(avoided.is_some_and(|avoided| value >= avoided))
            }
        }
    }

    /// What a compare-and-set hopes to find. A range makes guesses good enough; of distinct values
    /// half the clients know the current one, and the others have one from the past.
    fn expected(&self, key: u32, random: &mut Random) -> i64 {
        match (&self.fresh, &self.state) {
            (Fresh::Counting { next }, State::Registers(registers)) => {
                let past = random.below(*next as u64) as i64;
                let current = registers[key as usize].filter(|_| random.chance(0.5));
                current.unwrap_or(past)
            }
            (Fresh::Uniform { start, end }, _) => *start + random.below((end - start) as u64) as i64,
            _ => unreachable!("only a cas-register compares"),
        }
    }
}
