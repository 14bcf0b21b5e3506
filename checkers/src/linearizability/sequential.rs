//! Sequential consistency: one order of all operations that respects the order of each process, and
//! no more (Lamport 1979).
//!
//! A depth-first search over how far each process has come. Real time is only a hint: of the
//! operations that could come next, the one invoked first is tried first, so that a history which is
//! linearizable, or nearly so, is decided almost without a detour. Deciding it is NP-complete even
//! where linearizability is easy (Gibbons & Korach 1997), and parts cannot be taken one by one: the
//! caller joins them into one object first.

use super::budget::Budget;
use super::machine::{Machine, StateId};
use super::memory::Memory;
use super::problem::{Demand, Op, Problem};
use super::race::{Engine, Finding};
use crate::history::{History, OpId};
use crate::value::{FastBuild, fast_hash};
use hashbrown::HashMap;

/// The search.
pub(crate) struct Sequential<'p> {
    problem: &'p Problem,
    ops: &'p [Op],
    machine: Machine<'p>,
    budget: Budget,
    /// Per process, its operations in order.
    lines: Vec<Vec<u32>>,
    /// How far each process has come.
    at: Vec<u32>,
    /// Operations that must still be placed.
    demanded_left: usize,
    demanded: usize,
    state: StateId,
    frames: Vec<Frame>,
    /// Processes still to be tried at each frame, and whether to skip or to take their next operation.
    moves: Vec<Move>,
    /// What was done, for undoing and for the answer.
    trail: Vec<Done>,
    /// Configurations met: the state, and how far each process had come.
    memory: Memory<u32>,
    /// Exclusive-or over the processes of a hash of where they are.
    zobrist: u64,
    placed_most: usize,
    work: u64,
}

/// The processes of a history, numbered from 0 in the order of their first operations.
pub(crate) struct Lines(Vec<u32>);

impl Lines {
    pub(crate) fn of(history: &History) -> Lines {
        let mut numbers: HashMap<i64, u32, FastBuild> = HashMap::default();
        Lines(
            history
                .operations()
                .map(|op| {
                    let next = numbers.len() as u32;
                    *numbers.entry(op.process).or_insert(next)
                })
                .collect(),
        )
    }

    pub(crate) fn process_of(&self, id: OpId) -> usize {
        self.0[id as usize] as usize
    }
}

struct Frame {
    trail: usize,
    state: StateId,
    moves: usize,
}

#[derive(Clone, Copy)]
struct Move {
    process: u32,
    skip: bool,
}

#[derive(Clone, Copy)]
enum Done {
    Placed(u32),
    /// Left out: it need not take effect.
    Skipped(u32),
    /// A free operation took effect and may do so again.
    Repeated,
}

impl<'p> Sequential<'p> {
    /// A search over `ops`, sorted by `inv`; `process_of` numbers their processes from 0.
    pub(crate) fn new(
        problem: &'p Problem,
        ops: &'p [Op],
        process_of: &dyn Fn(&Op) -> usize,
        machine: Machine<'p>,
        budget: Budget,
    ) -> Sequential<'p> {
        let mut lines: Vec<Vec<u32>> = vec![];
        for (i, op) in (0u32..).zip(ops) {
            let process = process_of(op);
            if process >= lines.len() {
                lines.resize_with(process + 1, Vec::new);
            }
            lines[process].push(i);
        }
        let demanded = ops.iter().filter(|op| is_demanded(op)).count();
        let mut search = Sequential {
            problem,
            ops,
            machine,
            budget,
            at: vec![0; lines.len()],
            lines,
            demanded_left: demanded,
            demanded,
            state: Machine::INITIAL,
            frames: vec![],
            moves: vec![],
            trail: vec![],
            memory: Memory::default(),
            zobrist: 0,
            placed_most: 0,
            work: 0,
        };
        search.enter();
        search
    }

    /// True if the configuration is met for the first time.
    fn is_new(&mut self) -> bool {
        let hash = fast_hash(&(self.zobrist, self.state));
        self.memory.insert(hash, [self.state], &self.at)
    }

    fn enter(&mut self) {
        self.place_pure();
        self.placed_most = self.placed_most.max(self.demanded - self.demanded_left);
        self.frames.push(Frame { trail: self.trail.len(), state: self.state, moves: self.moves.len() });
        if self.demanded_left == 0 || !self.is_new() {
            return;
        }
        let first = self.moves.len();
        for process in 0..self.lines.len() as u32 {
            let Some(op) = self.next_of(process) else { continue };
            self.moves.push(Move { process, skip: false });
            if !is_demanded(&self.ops[op as usize]) {
                self.moves.push(Move { process, skip: true });
            }
        }
        // Taken from the back: the earliest invocation first, what leaves something out last.
        let (ops, lines, at) = (self.ops, &self.lines, &self.at);
        self.moves[first..].sort_by_key(|m| {
            let op = lines[m.process as usize][at[m.process as usize] as usize];
            (!m.skip, std::cmp::Reverse(ops[op as usize].inv))
        });
    }

    /// Pure operations that are possible now cannot gain from waiting.
    fn place_pure(&mut self) {
        for process in 0..self.lines.len() as u32 {
            while let Some(op) = self.next_of(process) {
                let (action, demand) = (self.ops[op as usize].action, self.ops[op as usize].demand);
                if !self.problem.pure[action as usize] {
                    break;
                }
                if demand == Demand::Free {
                    self.advance(process, Done::Skipped(op));
                } else if self.machine.step(self.state, action).is_some() {
                    self.advance(process, Done::Placed(op));
                } else {
                    break;
                }
            }
        }
    }

    fn next_of(&self, process: u32) -> Option<u32> {
        self.lines[process as usize].get(self.at[process as usize] as usize).copied()
    }

    fn advance(&mut self, process: u32, done: Done) {
        if let Done::Placed(op) = done {
            self.demanded_left -= usize::from(is_demanded(&self.ops[op as usize]));
        }
        self.at[process as usize] += 1;
        self.trail.push(done);
        self.zobrist ^= fast_hash(&(process, self.at[process as usize]));
    }

    fn undo_to(&mut self, length: usize, process_of: &[u32]) {
        while self.trail.len() > length {
            let done = self.trail.pop().expect("longer than length");
            let (Done::Placed(op) | Done::Skipped(op)) = done else { continue };
            if matches!(done, Done::Placed(_)) {
                self.demanded_left += usize::from(is_demanded(&self.ops[op as usize]));
            }
            let process = process_of[op as usize];
            self.zobrist ^= fast_hash(&(process, self.at[process as usize]));
            self.at[process as usize] -= 1;
        }
    }

    /// Process of each operation.
    fn processes(&self) -> Vec<u32> {
        let mut processes = vec![0; self.ops.len()];
        for (process, line) in (0u32..).zip(&self.lines) {
            for &op in line {
                processes[op as usize] = process;
            }
        }
        processes
    }

    fn finish(&self) -> Vec<u32> {
        let placed = |done: &Done| match *done {
            Done::Placed(op) => Some(op),
            Done::Skipped(_) | Done::Repeated => None,
        };
        self.trail.iter().filter_map(placed).collect()
    }
}

fn is_demanded(op: &Op) -> bool {
    op.demand == Demand::Once && !op.is_pending()
}

impl Engine for Sequential<'_> {
    fn run(&mut self, until_work: u64) -> Option<Finding> {
        let process_of = self.processes();
        if self.demanded_left == 0 {
            return Some(Finding::Valid(self.finish()));
        }
        while self.work < until_work {
            let Some(frame) = self.frames.last() else { return Some(Finding::Invalid) };
            let (trail, state, moves) = (frame.trail, frame.state, frame.moves);
            if self.moves.len() == moves {
                self.frames.pop();
                continue;
            }
            self.undo_to(trail, &process_of);
            self.state = state;
            self.work += 1;
            let Move { process, skip } = self.moves.pop().expect("the frame has one");
            let op = self.next_of(process).expect("it had one when the frame was opened");
            if skip {
                self.advance(process, Done::Skipped(op));
            } else {
                let Some(next) = self.machine.step(state, self.ops[op as usize].action) else { continue };
                self.state = next;
                if self.ops[op as usize].demand == Demand::Free {
                    self.trail.push(Done::Repeated);
                } else {
                    self.advance(process, Done::Placed(op));
                }
            }
            self.enter();
            if self.demanded_left == 0 {
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
            + self.memory.heap_bytes()
            + self.frames.capacity() * size_of::<Frame>()
            + self.moves.capacity() * size_of::<Move>()
            + self.trail.capacity() * size_of::<Done>()
            + self.ops.len() * 8
    }
}
