//! Who is in whose causal past, for a block of sessions at a time.
//!
//! The past of a transaction is, for each session, a prefix of it; so a row of numbers says it all: by
//! session, the first node that is *not* in the past. [`sweep`] walks the transactions in causal order, and
//! tells of each slot what was visible to whoever read it: the maximum over its readers. That suffices,
//! since a commit order contains session order: what comes last of a session in the past of any reader
//! must come before what was read, and then so must everything else of that session.
//!
//! A row is kept while somebody has yet to read its transaction, and one for each slot while somebody who
//! has read it is followed by another. [`WIDTH_MAX`] sessions are done at a time, so that memory is at most
//! proportional to the number of transactions, however many sessions there are; with little memory, fewer.

use super::base::{Base, NO_NODE, Node, Read};
use super::{Patience, Stop};
use crate::linearizability::budget::Budget;
use std::ops::Range;

/// Sessions in a block, at most.
pub(super) const WIDTH_MAX: usize = 64;

/// What is visible to a read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visible {
    /// The reader's causal past.
    Past,
    /// What the reader had read before, and the causal past of that.
    ReadBefore,
}

/// By session of the block, the first node that is not visible.
pub(super) type Row<const W: usize> = [Node; W];

/// What is told of a slot once all have read it.
pub(super) struct Told<'s, const W: usize> {
    pub(super) slot: u32,
    /// Who wrote it; [`NO_NODE`] for an initial state.
    pub(super) writer: Node,
    /// What was visible to its readers, together.
    pub(super) visible: &'s Row<W>,
    /// The writer and its causal past.
    pub(super) implied: &'s Row<W>,
}

/// The widest block that needs no more than a quarter of the memory there is.
pub(super) fn width(base: &Base, budget: &Budget) -> usize {
    let affordable = budget.memory_bytes / 4 / (base.len().max(1) * size_of::<Node>());
    let wanted = base.sessions().next_power_of_two();
    wanted.min(affordable).clamp(8, WIDTH_MAX)
}

/// The blocks of sessions of a width.
pub(super) fn blocks(base: &Base, width: usize) -> impl Iterator<Item = Range<usize>> {
    let sessions = base.sessions();
    (0..sessions).step_by(width).map(move |start| start..(start + width).min(sessions))
}

/// Who is told.
pub(super) trait Listener<const W: usize> {
    /// Called once for each slot that anybody read, after its last reader.
    fn tell(&mut self, told: Told<'_, W>) -> Result<(), Stop>;

    /// Memory that the listener holds.
    fn held_bytes(&self) -> usize;
}

/// Walks `order`, an order of the nodes along `so` and `wr`.
pub(super) fn sweep<const W: usize>(
    base: &Base,
    order: &[Node],
    block: &Range<usize>,
    mode: Visible,
    budget: &Budget,
    listener: &mut impl Listener<W>,
) -> Result<(), Stop> {
    let mut live = Live::<W>::new(base);
    let mut sessions: Vec<Row<W>> = vec![[0; W]; base.sessions()];
    let mut patience = Patience::new(budget);
    for &node in order {
        let session = base.session_of(node) as usize;
        let mut past = sessions[session];
        let mut read_before = [0; W];
        let reads = base.reads(node);
        if mode == Visible::Past {
            for read in reads.iter().filter(|read| read.writer != NO_NODE) {
                join(&mut past, live.row(read.writer));
            }
        }
        for read in reads {
            live.read(read, if mode == Visible::Past { &past } else { &read_before }, listener)?;
            if mode == Visible::ReadBefore && read.writer != NO_NODE {
                join(&mut read_before, live.row(read.writer));
            }
        }
        if mode == Visible::ReadBefore {
            join(&mut past, &read_before);
        }
        if block.contains(&session) {
            past[session - block.start] = node + 1;
        }
        sessions[session] = past;
        live.keep(node, &past);
        live.release_writers(reads);
        patience.step(|| {
            let rows = sessions.len() * size_of::<Row<W>>() + live.heap_bytes();
            base.heap_bytes() + rows + listener.held_bytes()
        })?;
    }
    Ok(())
}

/// Rows that are still needed.
struct Live<const W: usize> {
    rows: Rows<W>,
    /// By node, and by slot: how many reads of it are to come.
    node_reads_left: Vec<u32>,
    slot_reads_left: Vec<u32>,
    /// By node: its row, while reads are to come.
    row_of_node: Vec<u32>,
    /// By slot: the row of what was visible to those who have read it; [`NO_NODE`] before the first.
    row_of_slot: Vec<u32>,
}

impl<const W: usize> Live<W> {
    fn new(base: &Base) -> Live<W> {
        let mut live = Live {
            rows: Rows { rows: vec![], free: vec![] },
            node_reads_left: vec![0; base.len()],
            slot_reads_left: vec![0; base.slots()],
            row_of_node: vec![NO_NODE; base.len()],
            row_of_slot: vec![NO_NODE; base.slots()],
        };
        for read in base.all_reads() {
            if read.writer != NO_NODE {
                live.node_reads_left[read.writer as usize] += 1;
            }
            live.slot_reads_left[read.slot as usize] += 1;
        }
        live
    }

    /// The row of a node that somebody has yet to read, or is reading.
    fn row(&self, node: Node) -> &Row<W> {
        self.rows.get(self.row_of_node[node as usize])
    }

    fn read(&mut self, read: &Read, visible: &Row<W>, listener: &mut impl Listener<W>) -> Result<(), Stop> {
        let left = &mut self.slot_reads_left[read.slot as usize];
        *left -= 1;
        let row = &mut self.row_of_slot[read.slot as usize];
        if *left > 0 {
            match *row {
                NO_NODE => *row = self.rows.keep(visible),
                row => join(self.rows.get_mut(row), visible),
            }
            return Ok(());
        }
        let mut together = *visible;
        if *row != NO_NODE {
            join(&mut together, self.rows.get(*row));
            self.rows.release(*row);
        }
        let implied = if read.writer == NO_NODE { &[0; W] } else { self.row(read.writer) };
        listener.tell(Told { slot: read.slot, writer: read.writer, visible: &together, implied })
    }

    fn keep(&mut self, node: Node, row: &Row<W>) {
        if self.node_reads_left[node as usize] > 0 {
            self.row_of_node[node as usize] = self.rows.keep(row);
        }
    }

    fn release_writers(&mut self, reads: &[Read]) {
        for read in reads.iter().filter(|read| read.writer != NO_NODE) {
            let left = &mut self.node_reads_left[read.writer as usize];
            *left -= 1;
            if *left == 0 {
                self.rows.release(self.row_of_node[read.writer as usize]);
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        (self.node_reads_left.len() + self.slot_reads_left.len()) * 8
            + self.rows.rows.capacity() * size_of::<Row<W>>()
            + self.rows.free.capacity() * 4
    }
}

fn join<const W: usize>(row: &mut Row<W>, other: &Row<W>) {
    for (mine, theirs) in row.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}

/// Rows in use, and places of rows no longer in use.
struct Rows<const W: usize> {
    rows: Vec<Row<W>>,
    free: Vec<u32>,
}

impl<const W: usize> Rows<W> {
    fn get(&self, at: u32) -> &Row<W> {
        &self.rows[at as usize]
    }

    fn get_mut(&mut self, at: u32) -> &mut Row<W> {
        &mut self.rows[at as usize]
    }

    fn keep(&mut self, row: &Row<W>) -> u32 {
        if let Some(at) = self.free.pop() {
            self.rows[at as usize] = *row;
            return at;
        }
        self.rows.push(*row);
        self.rows.len() as u32 - 1
    }

    fn release(&mut self, at: u32) {
        self.free.push(at);
    }
}
