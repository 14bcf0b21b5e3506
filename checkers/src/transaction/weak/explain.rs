//! From what an engine found, nodes, to what is told: edges with their reasons.
//!
//! Engines only keep that one node must come before another. Why is looked up here, for the few edges of
//! one cycle, by the level's definition: the reader that makes it so, with the shortest way by which the
//! earlier transaction was visible to him.

use super::base::{Base, NO_NODE, Node, Read};
use super::order::Step;
use super::prefix::Readers;
use super::{Stop, Violation, WeakAnswer, WeakLevel};
use crate::transaction::proof::{Edge, Why};
use crate::transaction::{Action, KeyId, Transactions, VersionId};
use std::cell::OnceCell;
use std::collections::VecDeque;

pub(super) struct Explainer<'a> {
    txns: &'a Transactions,
    base: &'a Base,
    level: WeakLevel,
    readers: OnceCell<Readers>,
}

/// A read of a node: which of its reads.
type ReadAt = (Node, usize);

impl<'a> Explainer<'a> {
    pub(super) fn new(txns: &'a Transactions, base: &'a Base, level: WeakLevel) -> Explainer<'a> {
        Explainer { txns, base, level, readers: OnceCell::new() }
    }

    /// A cycle, from its nodes in order.
    pub(super) fn cycle(&self, nodes: &[Node]) -> WeakAnswer {
        let nexts = nodes.iter().cycle().skip(1);
        WeakAnswer::Violated(Violation::Cycle(
            nodes.iter().zip(nexts).map(|(from, to)| self.edge(*from, *to)).collect(),
        ))
    }

    pub(super) fn stopped(&self, stop: Stop) -> WeakAnswer {
        match stop {
            Stop::Limit(reason) => WeakAnswer::Unknown(reason),
            Stop::Twice { reader, first, second } => {
                let (first, second) = (self.base.reads(reader)[first], self.base.reads(reader)[second]);
                WeakAnswer::Violated(Violation::NonRepeatable {
                    reader: self.base.txn(reader),
                    key: first.key,
                    first: first.version,
                    second: second.version,
                })
            }
            Stop::Initial { writer, key } => {
                let concerns = |read: &Read| read.writer == NO_NODE && read.key == key;
                let ((reader, _), path) = self.visible(writer, concerns);
                let (reader, missed) = (self.base.txn(reader), self.written(writer, key));
                WeakAnswer::Violated(Violation::StaleInitial { reader, missed, path })
            }
        }
    }

    fn edge(&self, from: Node, to: Node) -> Edge {
        let why = if self.base.in_session(from, to) {
            Why::Session
        } else if let Some(read) = self.base.reads(to).iter().find(|read| read.writer == from) {
            Why::Read { version: read.version }
        } else {
            let concerns = |read: &Read| read.writer == to && self.base.has_written(from, read.key);
            let ((reader, at), path) = self.visible(from, concerns);
            let read = self.base.reads(reader)[at];
            let (version, older) = (read.version, self.written(from, read.key));
            Why::Visible { reader: self.base.txn(reader), version, older, path }
        };
        Edge { from: self.base.txn(from), to: self.base.txn(to), why }
    }

    /// The last version of the key that the node wrote.
    fn written(&self, node: Node, key: KeyId) -> VersionId {
        let ops = self.txns.micro_ops(self.base.txn(node)).iter();
        let mut writes = ops.filter(|op| op.action == Action::Write && op.key == key);
        writes.next_back().expect("it wrote the key").version
    }

    /// Of the reads that `concerns` picks, the one to which `from` was visible by the shortest way, and that
    /// way.
    ///
    /// # Panics
    /// If it was visible to none: an engine drew an edge that the level does not ask for.
    fn visible(&self, from: Node, concerns: impl Fn(&Read) -> bool) -> (ReadAt, Vec<Edge>) {
        let reach = match self.level {
            WeakLevel::Causal => Some(Reach::of(self.base, self.readers(), from, true)),
            WeakLevel::WritesFollowReads => Some(Reach::of(self.base, self.readers(), from, false)),
            _ => None,
        };
        let mut best: Option<(u32, ReadAt)> = None;
        for node in 0..self.base.len() as Node {
            for (at, _) in self.base.reads(node).iter().enumerate().filter(|(_, read)| concerns(read)) {
                let way = self.way(from, (node, at), reach.as_ref());
                if let Some(length) = way.map(|way| way.length())
                    && best.is_none_or(|best| length < best.0)
                {
                    best = Some((length, (node, at)));
                }
            }
        }
        let (_, read) = best.expect("an edge is drawn for a reader");
        let way = self.way(from, read, reach.as_ref()).expect("as before");
        (read, self.path(from, read.0, way, reach.as_ref()))
    }

    fn readers(&self) -> &Readers {
        self.readers.get_or_init(|| Readers::of(self.base))
    }

    /// The shortest way by which `from` was visible to a read, if it was.
    fn way(&self, from: Node, (node, at): ReadAt, reach: Option<&Reach>) -> Option<Way> {
        let base = self.base;
        let read_before = || base.reads(node)[..at].iter().map(|read| read.writer).filter(|w| *w != NO_NODE);
        match self.level {
            WeakLevel::ReadCommitted => read_before().any(|writer| writer == from).then_some(Way::Read),
            WeakLevel::ReadYourWrites => base.in_session(from, node).then_some(Way::Session),
            WeakLevel::ReadAtomic if base.in_session(from, node) => Some(Way::Session),
            WeakLevel::ReadAtomic => {
                base.reads(node).iter().any(|read| read.writer == from).then_some(Way::Read)
            }
            WeakLevel::MonotonicReads if read_before().any(|writer| writer == from) => Some(Way::Read),
            WeakLevel::MonotonicReads => {
                let first = self.readers().first_in(base, from, base.session_of(node))?;
                (first < node).then_some(Way::ReadInSession(first))
            }
            WeakLevel::MonotonicWrites => {
                read_before().find(|writer| base.in_session(from, *writer)).map(Way::SessionThenRead)
            }
            WeakLevel::Causal => {
                let length = reach?.length(node)?;
                Some(Way::Reach { through: node, length })
            }
            WeakLevel::WritesFollowReads => {
                let reached = |writer| Some((reach?.length(writer)? + 1, writer));
                let (length, through) = read_before().filter_map(reached).min()?;
                Some(Way::Reach { through, length })
            }
        }
    }

    fn path(&self, from: Node, reader: Node, way: Way, reach: Option<&Reach>) -> Vec<Edge> {
        let mut hops = match way {
            Way::Read => vec![(reader, Step::Edge)],
            Way::Session => vec![(reader, Step::Session)],
            Way::ReadInSession(first) => vec![(first, Step::Edge), (reader, Step::Session)],
            Way::SessionThenRead(later) => vec![(later, Step::Session), (reader, Step::Edge)],
            Way::Reach { through, .. } => reach.map_or(vec![], |reach| reach.path(from, through)),
        };
        if hops.last().is_none_or(|last| last.0 != reader) {
            hops.push((reader, Step::Edge));
        }
        let starts = std::iter::once(from).chain(hops.iter().map(|hop| hop.0));
        starts.zip(&hops).map(|(from, (to, step))| self.known(from, *to, *step)).collect()
    }

    /// An edge of `so` or of `wr`.
    fn known(&self, from: Node, to: Node, step: Step) -> Edge {
        let mut reads = self.base.reads(to).iter();
        let why = match reads.find(|read| read.writer == from) {
            Some(read) if step != Step::Session => Why::Read { version: read.version },
            _ => Why::Session,
        };
        Edge { from: self.base.txn(from), to: self.base.txn(to), why }
    }
}

/// How a transaction was visible to a reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Read,
    Session,
    /// This one of the reader's session read it before.
    ReadInSession(Node),
    /// The reader read this later one of its session.
    SessionThenRead(Node),
    /// Through `so` and `wr` as far as this one, which is the reader or was read by him.
    Reach {
        through: Node,
        length: u32,
    },
}

impl Way {
    fn length(self) -> u32 {
        match self {
            Way::Read | Way::Session => 1,
            Way::ReadInSession(_) | Way::SessionThenRead(_) => 2,
            Way::Reach { length, .. } => length,
        }
    }
}

/// What comes after a node by `so` and `wr`, with the shortest ways; a stretch of one session is one step.
struct Reach {
    /// By node and by whether the way there ends within a session: its length and the node before.
    reached: Vec<[Option<Reached>; 2]>,
}

#[derive(Clone, Copy)]
struct Reached {
    length: u32,
    before: Node,
    before_by_session: bool,
}

impl Reach {
    /// Without `by_session` the first step must be a read.
    fn of(base: &Base, readers: &Readers, start: Node, by_session: bool) -> Reach {
        let mut reach = Reach { reached: vec![[None; 2]; base.len()] };
        let mut queue = VecDeque::from([(start, false, 0)]);
        while let Some((node, is_by_session, length)) = queue.pop_front() {
            let mut step = |next: Node, next_by_session: bool| {
                let is_free = is_by_session && next_by_session;
                let length = length + u32::from(!is_free);
                let reached = &mut reach.reached[next as usize][usize::from(next_by_session)];
                if next == start || reached.is_some_and(|reached| reached.length <= length) {
                    return;
                }
                *reached = Some(Reached { length, before: node, before_by_session: is_by_session });
                let entry = (next, next_by_session, length);
                if is_free { queue.push_front(entry) } else { queue.push_back(entry) }
            };
            let next = node + 1;
            if (by_session || node != start) && (next as usize) < base.len() && base.in_session(node, next) {
                step(next, true);
            }
            for reader in readers.all(node) {
                step(*reader, false);
            }
        }
        reach
    }

    fn best(&self, node: Node) -> Option<(u32, bool)> {
        let [by_read, by_session] = self.reached[node as usize];
        let by_read = by_read.map(|reached| (reached.length, false));
        let by_session = by_session.map(|reached| (reached.length, true));
        by_read.into_iter().chain(by_session).min()
    }

    fn length(&self, node: Node) -> Option<u32> {
        self.best(node).map(|best| best.0)
    }

    /// The steps from the start to `node`: where each leads, and how.
    fn path(&self, start: Node, node: Node) -> Vec<(Node, Step)> {
        let mut hops: Vec<(Node, Step)> = vec![];
        let (mut node, mut by_session) = (node, self.best(node).is_some_and(|best| best.1));
        while node != start {
            let Some(reached) = self.reached[node as usize][usize::from(by_session)] else { break };
            let is_inside = by_session && hops.last().is_some_and(|next| next.1 == Step::Session);
            if !is_inside {
                hops.push((node, if by_session { Step::Session } else { Step::Edge }));
            }
            (node, by_session) = (reached.before, reached.before_by_session);
        }
        hops.reverse();
        hops
    }
}
