//! What guarantees of sessions demand of the order of all writes, as a graph, and its contradictions.
//!
//! A node is a write, or a *join*: the last, in the order to be found, of some writes. An edge says that
//! one comes no later than the other. Two writes of one strongly connected component would have to be
//! each no later than the other: a contradiction. Without such a component there is an order (by
//! topology), and servers that have no more than they must explain all reads. Joins keep the graph
//! linear: all that a session must see of a key goes through one.
//!
//! - Monotonic writes: from the last write of the session that completed ok to each next one.
//! - Writes follow reads: from a join of all that the session has read so far to each of its writes.
//! - Read your writes, and monotonic reads: from all that the session *must see* of the key to what a
//!   read of it saw. It must see its own writes and what it has read, by those two; and by the other two
//!   all that comes with them.
//!
//! What comes with a write is, in its session, what comes before it: earlier writes (monotonic writes)
//! and what earlier reads saw (writes follow reads), and what comes with those. That is a prefix of each
//! session, so a session keeps for each other one how far it has looked, and never looks at an operation
//! twice.

use super::cycles::{CycleStep, Graph};
use super::{Demanded, MONOTONIC_READS, MONOTONIC_WRITES, READ_YOUR_WRITES, WRITES_FOLLOW_READS};
use crate::datatype::register::{Registers, WriteId};
use crate::history::{History, OpId, Outcome};

/// Looks at operations of other sessions, in all. About four seconds' worth.
pub(super) const LOOKS_MAX: u64 = 1 << 28;

/// Edges beyond a few for each operation.
const EDGES_MAX: usize = 1 << 24;

/// What a session does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A write; whether it completed ok, so that it surely comes before what follows.
    Write(WriteId, bool),
    /// A read, by its index.
    Read(u32),
}

/// The operations of each session, in order.
pub(super) struct Sessions {
    steps: Vec<Vec<Step>>,
    /// Session and place in it of each write.
    of_write: Vec<(u32, u32)>,
}

impl Sessions {
    pub(super) fn new(history: &History, registers: &Registers) -> Sessions {
        let mut rows: Vec<(i64, OpId, Step)> =
            Vec::with_capacity(registers.writes.len() + registers.reads.len());
        for (at, write) in registers.writes.iter().enumerate() {
            let op = history.operation(write.id);
            rows.push((op.process, write.id, Step::Write(at as WriteId, op.outcome == Outcome::Ok)));
        }
        for (at, read) in registers.reads.iter().enumerate() {
            rows.push((history.operation(read.id).process, read.id, Step::Read(at as u32)));
        }
        rows.sort_unstable_by_key(|(process, id, _)| (*process, *id));
        let mut sessions = Sessions { steps: vec![], of_write: vec![(0, 0); registers.writes.len()] };
        for rows in rows.chunk_by(|a, b| a.0 == b.0) {
            for (place, (_, _, step)) in rows.iter().enumerate() {
                if let Step::Write(write, _) = step {
                    sessions.of_write[*write as usize] = (sessions.steps.len() as u32, place as u32);
                }
            }
            sessions.steps.push(rows.iter().map(|(_, _, step)| *step).collect());
        }
        sessions
    }

    /// The operations of each session, as numbers: writes by their index, and reads by theirs after the
    /// last write.
    pub(super) fn in_order(&self) -> impl Iterator<Item = impl Iterator<Item = u32>> {
        let write_count = self.of_write.len() as u32;
        let number = move |step: &Step| match *step {
            Step::Write(write, _) => write,
            Step::Read(at) => write_count + at,
        };
        self.steps.iter().map(move |steps| steps.iter().map(number))
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}

/// Why there is no order.
pub(super) enum Contradiction {
    /// A read saw the initial value, and its session must see this write.
    Initial { read: u32, write: WriteId, mask: Demanded },
    /// These writes come before each other; some of them in a circle.
    Cycle { members: Vec<WriteId>, cycle: Vec<CycleStep> },
}

/// One node comes no later than another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    /// By these guarantees; none at a join, which is no later than itself.
    pub(super) mask: Demanded,
    /// The operation that asks for it.
    pub(super) because: OpId,
}

/// What a session must see of a key: a node, a write that is in it, and by which guarantees.
#[derive(Clone, Copy, Debug)]
struct Due {
    node: u32,
    write: WriteId,
    mask: Demanded,
}

/// The graph.
pub(super) struct Constraints {
    write_count: u32,
    node_count: u32,
    edges: Vec<Edge>,
    initial: Vec<(u32, WriteId, Demanded)>,
    was_cut: bool,
}

impl Constraints {
    /// What `demanded` asks for, all together.
    pub(super) fn new(
        registers: &Registers,
        sessions: &Sessions,
        demanded: Demanded,
        looks_max: u64,
    ) -> Constraints {
        let write_count = registers.writes.len() as u32;
        let (edges, initial) = (Vec::new(), Vec::new());
        let mut constraints =
            Constraints { write_count, node_count: write_count, edges, initial, was_cut: false };
        for steps in &sessions.steps {
            constraints.order_of_writes(registers, steps, demanded);
        }
        if demanded & (READ_YOUR_WRITES | MONOTONIC_READS) != 0 {
            let mut view = View::new(registers, sessions, demanded, looks_max);
            for session in 0..sessions.steps.len() {
                constraints.what_is_seen(registers, sessions, session, &mut view);
            }
            constraints.was_cut = view.was_cut;
        }
        constraints
    }

    /// What cannot be explained, in the order of operations.
    pub(super) fn contradictions(&self) -> Vec<Contradiction> {
        let initial =
            self.initial.iter().map(|&(read, write, mask)| Contradiction::Initial { read, write, mask });
        let graph = Graph::new(self.write_count, self.node_count, &self.edges);
        let cycles = graph.contradictions();
        let cycles = cycles.into_iter().map(|(members, cycle)| Contradiction::Cycle { members, cycle });
        initial.chain(cycles).collect()
    }

    /// True if not all that must be seen was found.
    pub(super) fn was_cut(&self) -> bool {
        self.was_cut
    }

    fn join(&mut self) -> u32 {
        self.node_count += 1;
        self.node_count - 1
    }

    fn edge(&mut self, from: u32, to: u32, mask: Demanded, because: OpId) {
        if from != to {
            self.edges.push(Edge { from, to, mask, because });
        }
    }

    /// Monotonic writes, and writes follow reads.
    fn order_of_writes(&mut self, registers: &Registers, steps: &[Step], demanded: Demanded) {
        let (mut written, mut read): (Option<WriteId>, Option<u32>) = (None, None);
        for step in steps {
            match *step {
                Step::Write(write, is_sure) => {
                    let because = registers.writes[write as usize].id;
                    if let Some(before) = written.filter(|_| demanded & MONOTONIC_WRITES != 0) {
                        self.edge(before, write, MONOTONIC_WRITES, because);
                    }
                    if let Some(before) = read {
                        self.edge(before, write, WRITES_FOLLOW_READS, because);
                    }
                    if is_sure {
                        written = Some(write);
                    }
                }
                Step::Read(at) if demanded & WRITES_FOLLOW_READS != 0 => {
                    let Some(saw) = registers.reads[at as usize].saw else { continue };
                    let (join, because) = (self.join(), registers.reads[at as usize].id);
                    self.edge(saw, join, 0, because);
                    if let Some(before) = read {
                        self.edge(before, join, 0, because);
                    }
                    read = Some(join);
                }
                Step::Read(_) => {}
            }
        }
    }

    /// Read your writes and monotonic reads, for one session.
    fn what_is_seen(
        &mut self,
        registers: &Registers,
        sessions: &Sessions,
        session: usize,
        view: &mut View<'_>,
    ) {
        view.begin(session);
        for (place, step) in sessions.steps[session].iter().enumerate() {
            match *step {
                Step::Write(write, is_sure) => {
                    if is_sure && view.demanded & READ_YOUR_WRITES != 0 {
                        view.see(write, READ_YOUR_WRITES, place);
                    }
                }
                Step::Read(at) => {
                    let read = &registers.reads[at as usize];
                    let due = std::mem::take(&mut view.due[read.key as usize]);
                    let Some(saw) = read.saw else {
                        if let Some(due) = due.first() {
                            self.initial.push((at, due.write, due.mask));
                        }
                        view.due[read.key as usize] = due;
                        continue;
                    };
                    let collected = self.collect(&due, saw, read.id);
                    if view.demanded & MONOTONIC_READS != 0 {
                        // All else that was due is no later than this, and was taken off the list.
                        if view.has_seen(saw) {
                            view.owe(saw, MONOTONIC_READS, place);
                        } else {
                            view.see(saw, MONOTONIC_READS, place);
                        }
                    } else {
                        view.due[read.key as usize].extend(collected);
                    }
                }
            }
            if self.edges.len() > EDGES_MAX + 8 * (registers.reads.len() + registers.writes.len()) {
                view.was_cut = true;
                break;
            }
        }
        view.end();
    }

    /// All that was due comes no later than what was seen. Returns one node for all of it.
    fn collect(&mut self, due: &[Due], saw: WriteId, read: OpId) -> Option<Due> {
        match due {
            [] => None,
            [one] => {
                self.edge(one.node, saw, one.mask, read);
                Some(*one)
            }
            several => {
                let join = self.join();
                for due in several {
                    self.edge(due.node, join, due.mask, read);
                }
                self.edge(join, saw, 0, read);
                let first = several[0];
                Some(Due { node: join, write: first.write, mask: first.mask })
            }
        }
    }
}

/// What the session at hand must see.
struct View<'r> {
    registers: &'r Registers,
    sessions: &'r Sessions,
    demanded: Demanded,
    session: usize,
    /// For each key, what the next read of it must see.
    due: Vec<Vec<Due>>,
    due_keys: Vec<u32>,
    /// The last place in the session that reads each key; what is due later is nobody's concern.
    last_read: Vec<(usize, usize)>,
    /// For each other session, how many of its operations come with what is seen.
    looked: Vec<(usize, u32)>,
    /// In which session each write was last found to be due.
    seen_in: Vec<usize>,
    to_look: Vec<(WriteId, Demanded)>,
    looks_left: u64,
    was_cut: bool,
}

impl<'r> View<'r> {
    fn new(registers: &'r Registers, sessions: &'r Sessions, demanded: Demanded, looks_max: u64) -> View<'r> {
        View {
            registers,
            sessions,
            demanded,
            session: usize::MAX,
            due: vec![Vec::new(); registers.keys.len()],
            due_keys: Vec::new(),
            last_read: vec![(usize::MAX, 0); registers.keys.len()],
            looked: vec![(usize::MAX, 0); sessions.steps.len()],
            seen_in: vec![usize::MAX; registers.writes.len()],
            to_look: Vec::new(),
            looks_left: looks_max,
            was_cut: false,
        }
    }

    fn begin(&mut self, session: usize) {
        self.session = session;
        for (place, step) in self.sessions.steps[session].iter().enumerate() {
            if let Step::Read(at) = step {
                let key = self.registers.reads[*at as usize].key;
                self.last_read[key as usize] = (session, place);
                self.due_keys.push(key);
            }
        }
    }

    fn end(&mut self) {
        for key in self.due_keys.drain(..) {
            self.due[key as usize].clear();
        }
    }

    fn has_seen(&self, write: WriteId) -> bool {
        self.seen_in[write as usize] == self.session
    }

    /// From `place` on, the session must see `write` and all that comes with it.
    fn see(&mut self, write: WriteId, mask: Demanded, place: usize) {
        self.to_look.push((write, mask));
        while let Some((write, mask)) = self.to_look.pop() {
            if self.has_seen(write) {
                continue;
            }
            self.seen_in[write as usize] = self.session;
            self.owe(write, mask, place);
            if self.demanded & (MONOTONIC_WRITES | WRITES_FOLLOW_READS) != 0 {
                self.look_before(write, mask, place);
            }
        }
    }

    /// What comes with a write: a prefix of its session.
    fn look_before(&mut self, write: WriteId, mask: Demanded, place: usize) {
        let (session, until) = self.sessions.of_write[write as usize];
        let looked = &mut self.looked[session as usize];
        if looked.0 != self.session {
            *looked = (self.session, 0);
        }
        let from = looked.1.min(until);
        looked.1 = looked.1.max(until);
        let looks = u64::from(until - from);
        if looks > self.looks_left {
            self.was_cut = true;
            return;
        }
        self.looks_left -= looks;
        for step in &self.sessions.steps[session as usize][from as usize..until as usize] {
            match *step {
                // All that comes with an earlier write is in the same prefix.
                Step::Write(earlier, true)
                    if self.demanded & MONOTONIC_WRITES != 0 && !self.has_seen(earlier) =>
                {
                    self.seen_in[earlier as usize] = self.session;
                    self.owe(earlier, mask | MONOTONIC_WRITES, place);
                }
                Step::Read(at) if self.demanded & WRITES_FOLLOW_READS != 0 => {
                    if let Some(saw) = self.registers.reads[at as usize].saw {
                        self.to_look.push((saw, mask | WRITES_FOLLOW_READS));
                    }
                }
                _ => {}
            }
        }
    }

    fn owe(&mut self, write: WriteId, mask: Demanded, place: usize) {
        let key = self.registers.writes[write as usize].key as usize;
        let (session, last) = self.last_read[key];
        if session != self.session || last <= place {
            return;
        }
        let due = Due { node: write, write, mask };
        // The later write of one session stands for the earlier, by monotonic writes.
        let stands_for = |earlier: &Due| {
            let of = |write: WriteId| self.sessions.of_write[write as usize];
            self.demanded & MONOTONIC_WRITES != 0
                && earlier.node == earlier.write
                && of(earlier.write).0 == of(write).0
                && of(earlier.write).1 < of(write).1
                && self.is_sure(earlier.write)
        };
        if self.due[key].last().is_some_and(stands_for) {
            self.due[key].pop();
        }
        self.due[key].push(due);
    }

    fn is_sure(&self, write: WriteId) -> bool {
        let (session, place) = self.sessions.of_write[write as usize];
        matches!(self.sessions.steps[session as usize][place as usize], Step::Write(_, true))
    }
}
