//! Whoever sees a transaction sees what came before it in its session: what that wrote (monotonic writes),
//! what that had read (writes follow reads).

use super::base::{Base, NO_NODE, Node};
use super::causal::Writers;
use super::clocks::{self, Listener, Told, Visible, sweep};
use super::order::{Edges, Station};
use super::{Patience, Stop};
use crate::linearizability::budget::Budget;
use crate::transaction::KeyId;
use std::ops::Range;

/// For each read, and each session that the reader had read from before: an edge from the last writer of
/// the key before what was read there. The session's earlier ones come before that one.
pub(super) fn monotonic_writes(base: &Base, budget: &Budget) -> Result<Edges, Stop> {
    let mut edges = Edges::default();
    let writers = Writers::of(base, &(0..base.sessions()));
    // Per session that was read from, the latest that was read.
    let mut seen: Vec<Node> = vec![];
    let mut patience = Patience::new(budget);
    for node in 0..base.len() as Node {
        seen.clear();
        for read in base.reads(node) {
            for &seen in &seen {
                match writers.last_before(base, read.key, seen) {
                    Some(writer) if read.writer == NO_NODE => {
                        return Err(Stop::Initial { writer, key: read.key });
                    }
                    Some(writer) if writer != read.writer => edges.add(writer, read.writer),
                    _ => {}
                }
            }
            if read.writer != NO_NODE {
                let session = base.session_of(read.writer);
                match seen.iter_mut().find(|seen| base.session_of(**seen) == session) {
                    Some(seen) => *seen = (*seen).max(read.writer),
                    None => seen.push(read.writer),
                }
            }
        }
        patience.step(|| base.heap_bytes() + writers.heap_bytes() + edges.heap_bytes())?;
    }
    Ok(edges)
}

/// `order` is an order of the nodes along `so` and `wr`. Adds stations to the graph.
pub(super) fn writes_follow_reads(
    base: &Base,
    order: &[Node],
    budget: &Budget,
    stations: &mut Vec<Station>,
) -> Result<Edges, Stop> {
    match clocks::width(base, budget) {
        0..16 => follow::<8>(base, order, budget, stations),
        16..32 => follow::<16>(base, order, budget, stations),
        32..64 => follow::<32>(base, order, budget, stations),
        64.. => follow::<64>(base, order, budget, stations),
    }
}

/// Which writers of a key were visible because somebody in the past had read them is, for each session,
/// a prefix of the list of writers that it came to read. Session order says nothing about the members of such
/// a list, so all must come before what was read; a line of stations along each list has that done by one
/// edge for each prefix.
fn follow<const W: usize>(
    base: &Base,
    order: &[Node],
    budget: &Budget,
    stations: &mut Vec<Station>,
) -> Result<Edges, Stop> {
    let readers = Readers::of(base);
    let mut edges = Edges::default();
    for block in clocks::blocks(base, W) {
        let mut drawer = Drawer {
            base,
            first_session: block.start,
            first_station: (base.len() + stations.len()) as u32,
            readers: &readers,
            met: Met::of(base, &block),
            edges,
        };
        sweep::<W>(base, order, &block, Visible::ReadBefore, budget, &mut drawer)?;
        edges = drawer.edges;
        drawer.met.into_stations(stations);
    }
    Ok(edges)
}

/// Draws the edges of one block of sessions.
struct Drawer<'b> {
    base: &'b Base,
    first_session: usize,
    first_station: u32,
    readers: &'b Readers,
    met: Met,
    edges: Edges,
}

impl<const W: usize> Listener<W> for Drawer<'_> {
    fn tell(&mut self, told: Told<'_, W>) -> Result<(), Stop> {
        let (key, is_initial) = self.base.key_of_slot(told.slot);
        for list in self.met.lists(key) {
            let column = list.session as usize - self.first_session;
            let bound = told.visible[column];
            if bound <= told.implied[column] {
                continue;
            }
            let entries = &self.met.entries[list.range.clone()];
            let entries = &entries[..entries.partition_point(|entry| entry.reader < bound)];
            if let Some(entry) = entries.first().filter(|_| is_initial) {
                return Err(Stop::Initial { writer: entry.writer, key });
            }
            // Everything of the prefix but the writer himself, if he is of it.
            let reader = self.readers.first_in(self.base, told.writer, list.session);
            let own = reader.and_then(|reader| place_of(entries, reader, told.writer));
            let (whole, rest) = own.map_or((entries.len(), entries.len()), |own| (own, own + 1));
            if whole > 0 {
                let station = self.first_station + (list.range.start + whole - 1) as u32;
                self.edges.add(station, told.writer);
            }
            for entry in &entries[rest..] {
                self.edges.add(entry.writer, told.writer);
            }
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        // Each entry will be a station.
        2 * self.met.heap_bytes() + self.readers.heap_bytes() + 2 * self.edges.heap_bytes()
    }
}

/// Where `writer` stands in a list, whose first reader in the list's session is `reader`.
fn place_of(list: &[Entry], reader: Node, writer: Node) -> Option<usize> {
    let start = list.partition_point(|entry| entry.reader < reader);
    let with_reader = list[start..].iter().take_while(|entry| entry.reader == reader);
    with_reader.enumerate().find(|(_, entry)| entry.writer == writer).map(|(at, _)| start + at)
}

/// For each key and each session of a block, the writers of the key that the session came to read, of
/// whatever key, in that order, each once.
struct Met {
    entries: Vec<Entry>,
    /// Session, and where its list begins; one more at the end.
    lists: Vec<(u32, u32)>,
    key_starts: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The first of the session that read the writer.
    reader: Node,
    writer: Node,
}

struct List {
    session: u32,
    range: Range<usize>,
}

impl Met {
    fn of(base: &Base, sessions: &Range<usize>) -> Met {
        // By node, the last session that read it, as told by the number of the walk.
        let mut met_in = vec![NO_NODE; base.len()];
        let mut walk = |each: &mut dyn FnMut(Node, Node)| {
            met_in.fill(NO_NODE);
            for node in base.nodes_of(sessions.clone()) {
                let session = base.session_of(node);
                for read in base.reads(node).iter().filter(|read| read.writer != NO_NODE) {
                    if std::mem::replace(&mut met_in[read.writer as usize], session) != session {
                        each(node, read.writer);
                    }
                }
            }
        };
        let mut starts = vec![0_u32; base.keys() + 1];
        walk(&mut |_, writer| base.writes(writer).iter().for_each(|key| starts[*key as usize] += 1));
        let mut total = 0;
        for start in &mut starts {
            let count = std::mem::replace(start, total);
            total += count;
        }
        let mut entries = vec![Entry { reader: NO_NODE, writer: NO_NODE }; total as usize];
        // Filling moves each start to where the next key's begins.
        walk(&mut |reader, writer| {
            for key in base.writes(writer) {
                let place = &mut starts[*key as usize];
                entries[*place as usize] = Entry { reader, writer };
                *place += 1;
            }
        });
        let (mut lists, mut key_starts, mut at) = (vec![], Vec::with_capacity(starts.len()), 0);
        for end in &starts[..base.keys()] {
            key_starts.push(lists.len() as u32);
            let mut session = NO_NODE;
            while at < *end {
                let of = base.session_of(entries[at as usize].reader);
                if of != session {
                    session = of;
                    lists.push((session, at));
                }
                at += 1;
            }
        }
        key_starts.push(lists.len() as u32);
        lists.push((NO_NODE, total));
        Met { entries, lists, key_starts }
    }

    fn lists(&self, key: KeyId) -> impl Iterator<Item = List> {
        let range = self.key_starts[key as usize] as usize..self.key_starts[key as usize + 1] as usize;
        range.map(|at| List {
            session: self.lists[at].0,
            range: self.lists[at].1 as usize..self.lists[at + 1].1 as usize,
        })
    }

    /// One station for each entry: it comes after the entry's writer and the station before it in its list.
    fn into_stations(self, stations: &mut Vec<Station>) {
        let first = stations.len();
        stations.extend(self.entries.iter().map(|entry| Station { after: entry.writer, goes_on: true }));
        for (_, start) in &self.lists[..self.lists.len() - 1] {
            stations[first + *start as usize].goes_on = false;
        }
    }

    fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + (self.lists.capacity() * 2 + self.key_starts.capacity()) * 4
    }
}

/// Who read each node, in order.
pub(super) struct Readers {
    starts: Vec<u32>,
    readers: Vec<Node>,
}

impl Readers {
    pub(super) fn of(base: &Base) -> Readers {
        let mut starts = vec![0_u32; base.len() + 1];
        for read in base.all_reads().iter().filter(|read| read.writer != NO_NODE) {
            starts[read.writer as usize] += 1;
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut readers = vec![NO_NODE; total as usize];
        for node in (0..base.len() as Node).rev() {
            for read in base.reads(node).iter().filter(|read| read.writer != NO_NODE) {
                let start = &mut starts[read.writer as usize];
                *start -= 1;
                readers[*start as usize] = node;
            }
        }
        Readers { starts, readers }
    }

    /// Readers of the node; one that reads it twice is there twice.
    pub(super) fn all(&self, node: Node) -> &[Node] {
        &self.readers[self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize]
    }

    /// The session's first reader of the node; none of [`NO_NODE`].
    pub(super) fn first_in(&self, base: &Base, node: Node, session: u32) -> Option<Node> {
        if node == NO_NODE {
            return None;
        }
        let (readers, session) = (self.all(node), base.session(session));
        readers
            .get(readers.partition_point(|reader| *reader < session.start))
            .copied()
            .filter(|r| session.contains(r))
    }

    fn heap_bytes(&self) -> usize {
        (self.starts.capacity() + self.readers.capacity()) * 4
    }
}
