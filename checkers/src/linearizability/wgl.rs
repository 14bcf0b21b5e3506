//! Depth-first search for a linearization: Wing & Gong 1993, with Lowe's 2017 memory.
//!
//! Operations are placed one by one. The candidates at each point are those invoked before the first
//! return among the operations that are not placed yet; a configuration (the set placed, the state)
//! that was met before is not tried again. On valid histories depth-first search often walks
//! straight to an answer where the breadth of all configurations (`jit`) is vast.
//!
//! - *Windowed sets.* The placed set is a prefix of the operations plus a few bits behind it, so a
//!   remembered configuration costs as much as operations are concurrent, not as the history is long.
//!   Its hash is kept up to date by one exclusive-or per step (Zobrist 1970); equality is exact.
//! - *Eager pure operations*, *equal effects* and *crashed operations as multisets*: as in `jit`.
//! - *Quiescent cuts:* when no operation is open the window is empty, and what is remembered of that
//!   point is the states that it was reached in. What was remembered before it stays, for the search
//!   may still have to go back there; `jit` is the engine that forgets.

use super::budget::Budget;
use super::machine::{ActionId, Machine, StateId};
use super::memory::Memory;
use super::multiset::{MultisetId, Multisets};
use super::problem::{Demand, Op, Problem, moments};
use super::race::{Engine, Finding};

const NIL: u32 = u32::MAX;

/// The search.
pub(crate) struct Wgl<'p> {
    problem: &'p Problem,
    ops: &'p [Op],
    machine: Machine<'p>,
    budget: Budget,

    events: Events,
    /// Bit per operation: placed.
    placed: Vec<u64>,
    placed_count: usize,
    placed_most: usize,
    /// Index of the first operation that returns and is not placed, or a lower bound of it.
    first_open: usize,
    zobrist: u64,
    state: StateId,
    used: MultisetId,
    multisets: Multisets,
    crashed: Vec<CrashedKind>,

    frames: Vec<Frame>,
    candidates: Vec<Candidate>,
    /// Everything placed, in order, for undoing and for the answer.
    trail: Vec<Placed>,
    /// Configurations met: lowest open operation and state, crashed ones and length of the window, the
    /// window.
    memory: Memory<u64>,
    work: u64,
}

/// Crashed operations of one kind, in the order of their invocations.
struct CrashedKind {
    action: ActionId,
    ops: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Candidate {
    Op(u32),
    /// Index into `crashed`.
    Crashed(u32),
}

/// A node of the search tree that has candidates left.
struct Frame {
    /// Length of the trail at this node.
    trail: usize,
    state: StateId,
    used: MultisetId,
    /// One past the highest index placed.
    high: u32,
    first_candidate: usize,
}

#[derive(Clone, Copy, Debug)]
enum Placed {
    Op(u32),
    Crashed(u32),
}

impl<'p> Wgl<'p> {
    /// A search over `ops` (sorted by `inv`), all of which are demanded once.
    pub(crate) fn new(
        problem: &'p Problem,
        ops: &'p [Op],
        mut machine: Machine<'p>,
        budget: Budget,
    ) -> Wgl<'p> {
        machine.foresee(ops);
        assert!(ops.iter().all(|op| op.demand == Demand::Once), "free operations are for jit");
        let mut crashed: Vec<CrashedKind> = vec![];
        for (i, op) in (0u32..).zip(ops).filter(|(_, op)| op.is_pending()) {
            match crashed.iter_mut().find(|kind| kind.action == op.action) {
                Some(kind) => kind.ops.push(i),
                None => crashed.push(CrashedKind { action: op.action, ops: vec![i] }),
            }
        }
        let mut wgl = Wgl {
            problem,
            ops,
            machine,
            budget,
            events: Events::new(ops),
            placed: vec![0; ops.len().div_ceil(64)],
            placed_count: 0,
            placed_most: 0,
            first_open: 0,
            zobrist: 0,
            state: Machine::INITIAL,
            used: Multisets::EMPTY,
            multisets: Multisets::new(),
            crashed,
            frames: vec![],
            candidates: vec![],
            trail: vec![],
            memory: Memory::default(),
            work: 0,
        };
        wgl.enter(0);
        wgl
    }

    /// Arrives at a new node; `high` is one past the highest index placed. Places what is free to
    /// place, and opens a frame with the candidates unless the configuration is known.
    fn enter(&mut self, mut high: u32) {
        high = self.place_pure(high);
        self.placed_most = self.placed_most.max(self.placed_count);
        self.work += 1;
        let first_candidate = self.candidates.len();
        let frame =
            Frame { trail: self.trail.len(), state: self.state, used: self.used, high, first_candidate };
        self.frames.push(frame);
        if self.is_done() || self.is_dead_end(high) || !self.remember(high) {
            return;
        }
        let mut at = self.events.first();
        while let Some(op) = self.events.call(at) {
            let action = self.ops[op as usize].action;
            let earlier = self.candidates[first_candidate..].iter().position(|&candidate| {
                matches!(candidate, Candidate::Op(other) if self.ops[other as usize].action == action)
            });
            match earlier.map(|i| first_candidate + i) {
                None => self.candidates.push(Candidate::Op(op)),
                Some(i) => {
                    if let Candidate::Op(other) = self.candidates[i]
                        && self.ops[op as usize].res < self.ops[other as usize].res
                    {
                        self.candidates[i] = Candidate::Op(op);
                    }
                }
            }
            at = self.events.next(at);
            self.work += 1;
        }
        let until = self.ops[self.events.returning(at) as usize].res;
        for (i, kind) in (0u32..).zip(&self.crashed) {
            let used = self.multisets.count(self.used, kind.action) as usize;
            if kind.ops.get(used).is_some_and(|&op| self.ops[op as usize].inv <= until) {
                self.candidates.push(Candidate::Crashed(i));
            }
        }
        // Taken from the back: earlier calls first, crashed ones last, and what leads to a state that
        // nobody ever saw after all others.
        self.candidates[first_candidate..].reverse();
        for at in first_candidate..self.candidates.len() {
            let action = self.action_of(self.candidates[at]);
            let next = self.machine.step(self.state, action);
            if next.is_none_or(|next| !self.machine.is_promising(next)) {
                self.candidates[first_candidate..=at].rotate_right(1);
            }
        }
    }

    /// An operation that is not placed can never take effect from here on.
    fn is_dead_end(&self, high: u32) -> bool {
        let latest = high.checked_sub(1).map_or(0, |last| self.ops[last as usize].inv);
        self.machine.dead_end(self.state, latest, 0).is_some()
    }

    /// Places every pure operation that is possible now, for as long as there are any.
    fn place_pure(&mut self, mut high: u32) -> u32 {
        let mut at = self.events.first();
        while let Some(op) = self.events.call(at) {
            let action = self.ops[op as usize].action;
            if self.problem.pure[action as usize] && self.machine.step(self.state, action).is_some() {
                self.place(op);
                high = high.max(op + 1);
                // Removed entries keep their links: its own return may have been the next event.
                at = self.events.next(at);
                if at == self.events.return_of[op as usize] {
                    at = self.events.next(at);
                }
            } else {
                at = self.events.next(at);
            }
        }
        high
    }

    fn place(&mut self, op: u32) {
        self.events.remove(op);
        self.placed[op as usize / 64] |= 1 << (op % 64);
        self.placed_count += 1;
        self.zobrist ^= zobrist(op);
        self.trail.push(Placed::Op(op));
    }

    fn undo_to(&mut self, length: usize) {
        while self.trail.len() > length {
            if let Some(Placed::Op(op)) = self.trail.pop() {
                self.events.restore(op);
                self.placed[op as usize / 64] &= !(1 << (op % 64));
                self.placed_count -= 1;
                self.zobrist ^= zobrist(op);
                self.first_open = self.first_open.min(op as usize);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.events.is_empty()
    }

    /// True if the configuration is new.
    fn remember(&mut self, high: u32) -> bool {
        while self.first_open < self.ops.len()
            && (self.ops[self.first_open].is_pending() || self.has_placed(self.first_open))
        {
            self.first_open += 1;
        }
        let low = self.first_open;
        let words = (low / 64)..(high as usize).div_ceil(64).max(low / 64);
        let window = &self.placed[words];
        let head = [
            u64::from(low as u32) << 32 | u64::from(self.state),
            u64::from(self.used) << 32 | window.len() as u64,
        ];
        let hash = mix(self.zobrist ^ mix(head[0] ^ mix(head[1])));
        self.memory.insert(hash, head, window)
    }

    fn action_of(&self, candidate: Candidate) -> ActionId {
        match candidate {
            Candidate::Op(op) => self.ops[op as usize].action,
            Candidate::Crashed(kind) => self.crashed[kind as usize].action,
        }
    }

    fn has_placed(&self, op: usize) -> bool {
        self.placed[op / 64] >> (op % 64) & 1 == 1
    }

    fn finish(&mut self) -> Vec<u32> {
        let mut next_crashed = vec![0usize; self.crashed.len()];
        let mut order = Vec::with_capacity(self.trail.len());
        for placed in &self.trail {
            order.push(match *placed {
                Placed::Op(op) => op,
                Placed::Crashed(kind) => {
                    let kind = kind as usize;
                    next_crashed[kind] += 1;
                    self.crashed[kind].ops[next_crashed[kind] - 1]
                }
            });
        }
        order
    }
}

impl Engine for Wgl<'_> {
    fn run(&mut self, until_work: u64) -> Option<Finding> {
        if self.is_done() {
            return Some(Finding::Valid(self.finish()));
        }
        while self.work < until_work {
            let Some(frame) = self.frames.last() else { return Some(Finding::Invalid) };
            let (trail, state, used, high) = (frame.trail, frame.state, frame.used, frame.high);
            if self.candidates.len() == frame.first_candidate {
                self.frames.pop();
                if let Some(before) = self.frames.last() {
                    (self.state, self.used) = (before.state, before.used);
                    self.undo_to(before.trail);
                }
                continue;
            }
            self.undo_to(trail);
            (self.state, self.used) = (state, used);
            self.work += 1;
            let candidate = self.candidates.pop().expect("the frame has one");
            match candidate {
                Candidate::Op(op) => {
                    let Some(next) = self.machine.step(state, self.ops[op as usize].action) else { continue };
                    self.place(op);
                    self.state = next;
                    self.enter(high.max(op + 1));
                }
                Candidate::Crashed(kind) => {
                    let action = self.crashed[kind as usize].action;
                    let Some(next) = self.machine.step(state, action) else { continue };
                    if next == state {
                        continue;
                    }
                    self.used = self.multisets.add(used, action);
                    self.trail.push(Placed::Crashed(kind));
                    self.state = next;
                    self.enter(high);
                }
            }
            if self.is_done() {
                return Some(Finding::Valid(self.finish()));
            }
        }
        self.budget.exceeded(self.heap_bytes()).map(Finding::GaveUp)
    }

    fn work(&self) -> u64 {
        self.work
    }

    fn configurations(&self) -> u64 {
        self.memory.len() as u64
    }

    fn placed(&self) -> usize {
        self.placed_most
    }

    fn heap_bytes(&self) -> usize {
        self.machine.heap_bytes()
            + self.multisets.heap_bytes()
            + self.memory.heap_bytes()
            + self.frames.capacity() * size_of::<Frame>()
            + self.candidates.capacity() * size_of::<Candidate>()
            + self.trail.capacity() * size_of::<Placed>()
            + self.events.heap_bytes()
            + self.placed.capacity() * 8
    }
}

/// Calls and returns of the operations that are not placed, in order, as a doubly linked list in
/// which removed entries can be put back in reverse order (Knuth's dancing links).
struct Events {
    next: Vec<u32>,
    before: Vec<u32>,
    /// Operation of each event; returns have the highest bit set. Entry 0 is the head.
    what: Vec<u32>,
    call_of: Vec<u32>,
    return_of: Vec<u32>,
}

const RETURN: u32 = 1 << 31;

impl Events {
    /// Operations that never return have no events.
    fn new(ops: &[Op]) -> Events {
        let mut events = Events {
            next: vec![],
            before: vec![],
            what: vec![NIL],
            call_of: vec![NIL; ops.len()],
            return_of: vec![NIL; ops.len()],
        };
        for moment in moments(ops) {
            let op = moment.op();
            if ops[op].is_pending() {
                continue;
            }
            let at = events.what.len() as u32;
            if moment.is_return() {
                events.return_of[op] = at;
                events.what.push(op as u32 | RETURN);
            } else {
                events.call_of[op] = at;
                events.what.push(op as u32);
            }
        }
        let count = events.what.len() as u32;
        events.next = (1..=count).collect();
        events.before = (0..count).map(|at| at.saturating_sub(1)).collect();
        *events.next.last_mut().expect("the head is there") = NIL;
        events
    }

    fn first(&self) -> u32 {
        self.next[0]
    }

    fn next(&self, at: u32) -> u32 {
        self.next[at as usize]
    }

    fn is_empty(&self) -> bool {
        self.next[0] == NIL
    }

    /// The operation called at `at`; `None` at a return or the end.
    fn call(&self, at: u32) -> Option<u32> {
        let what = *self.what.get(at as usize)?;
        (what & RETURN == 0).then_some(what)
    }

    /// The operation that returns at `at`.
    fn returning(&self, at: u32) -> u32 {
        self.what[at as usize] & !RETURN
    }

    fn remove(&mut self, op: u32) {
        for at in [self.call_of[op as usize], self.return_of[op as usize]] {
            let (before, next) = (self.before[at as usize], self.next[at as usize]);
            self.next[before as usize] = next;
            if next != NIL {
                self.before[next as usize] = before;
            }
        }
    }

    fn restore(&mut self, op: u32) {
        for at in [self.return_of[op as usize], self.call_of[op as usize]] {
            let (before, next) = (self.before[at as usize], self.next[at as usize]);
            self.next[before as usize] = at;
            if next != NIL {
                self.before[next as usize] = at;
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        4 * (self.next.len()
            + self.before.len()
            + self.what.len()
            + self.call_of.len()
            + self.return_of.len())
    }
}

fn zobrist(op: u32) -> u64 {
    mix(u64::from(op) + 1)
}

/// SplitMix64's finalizer.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
