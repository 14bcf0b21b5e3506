//! A last-in-first-out stack whose values are distinct (after Bouajjani, Emmi, Enea & Hamza 2015).
//!
//! Of a value, let `f` be the completion of its push and `s` the invocation of its pop. Some
//! operation of `u` precedes some operation of `v` exactly if `f(u) < s(v)`, so values fall apart as
//! the clusters of a register do: where no open interval `(f, s)` covers a point, everything can be
//! divided into a before and an after. Between two such points lies a *component*; a value with
//! `s < f` that has a free point in `[s, f]` is pushed and popped right there. In a linearization
//! of a component some value is pushed before and popped after all the others, an *outermost* one,
//! or it could be divided. With `F` and `S` the free points around it, a value of the component can
//! be outermost if and only if its push may happen as early as `F` and its pop as late as `S`. Then
//! the rest is judged alone, inside. If no value can be outermost, the component has no order.
//! Operations that found nothing need a free point from the outset.
//!
//! Any value that can be outermost will do: removing others only moves `F` and `S` inwards, so it
//! stays able to. That makes one pass enough. A list of values that can be outermost in their
//! component is worked off in any order; removing one may free points, which split the component;
//! only then can further values become able, and each becomes so for its push once and for its pop
//! once. Every question is answered by a tree over positions or over values sorted by `f`, of which
//! a component is a contiguous stretch. So it takes O(n log n) time and O(n) memory, however deep
//! the stack and however many operations overlap.
//!
//! The order is assembled on the way: a component is a gap in it, filled by the push of its
//! outermost value, gaps for the parts that are left, and the pop.

use super::Why;
use super::contents::{Contents, NONE, Violation, place_nothings};
use super::flaw::{self, Flaw};
use super::intervals::{Coverage, Minima};
use super::shrink::shrink;

/// Decides a stack.
pub(super) fn solve(contents: &Contents) -> Result<Vec<u32>, Violation> {
    let present = contents.spans.iter().map(|span| (span.put_res, span.take_inv));
    let search = Search::new(contents);
    let (points, nothing_stuck) = match place_nothings(contents, present) {
        Ok(points) => (points, None),
        Err(violation) => (Vec::new(), Some(violation)),
    };
    // What found nothing is to blame only if the values alone have an order.
    let order = search.run(points).map_err(|stuck| explain(contents, stuck))?;
    nothing_stuck.map_or(Ok(order), Err)
}

struct Search<'c> {
    contents: &'c Contents,
    /// Spans by `f`.
    by_f: Vec<u32>,
    /// How many spans have their `f` before each position: `by_f[before[a]..before[b]]` are those
    /// with `f` in `a..b`.
    before: Vec<u32>,
    /// Intervals `(f, s)` of the values left.
    coverage: Coverage,
    /// Of each value, in the order of `by_f`: the earliest push, until it is early enough …
    pushes: Minima,
    /// … the latest pop (complemented, to look for large ones), until it is late enough …
    pops: Minima,
    /// … and `s`, until the value is in the order.
    starts: Minima,
    /// Which of push and pop are still in the way of being outermost; [`ORDERED`] in the end.
    obstacles: Vec<u8>,
    /// Values that can be outermost in their component.
    outermost: Vec<u32>,
    order: Order,
    /// The gap of the component that starts at each free position.
    gaps: Vec<u32>,
}

const PUSH: u8 = 1;
const POP: u8 = 2;
const ORDERED: u8 = 4;

impl<'c> Search<'c> {
    fn new(contents: &'c Contents) -> Search<'c> {
        let spans = &contents.spans;
        let mut before = vec![0; contents.end as usize + 2];
        for span in spans {
            before[span.put_res as usize + 1] += 1;
        }
        for position in 1..before.len() {
            before[position] += before[position - 1];
        }
        let mut by_f = vec![NONE; spans.len()];
        for (i, span) in spans.iter().enumerate() {
            by_f[before[span.put_res as usize] as usize] = i as u32;
        }
        let row = |number: fn(&super::contents::Span) -> u32| {
            Minima::new(by_f.iter().map(|&i| number(&spans[i as usize])).collect::<Vec<u32>>().into_iter())
        };
        Search {
            contents,
            coverage: Coverage::new(contents.end, spans.iter().map(|span| (span.put_res, span.take_inv))),
            pushes: row(|span| span.put_inv),
            pops: row(|span| !span.take_res),
            starts: row(|span| span.take_inv),
            obstacles: vec![PUSH | POP; spans.len()],
            outermost: Vec::new(),
            order: Order::new(2 * spans.len() + contents.nothings.len()),
            gaps: vec![NONE; contents.end as usize + 1],
            by_f,
            before,
        }
    }

    /// The order, or the values of a component that has none. Those that found nothing do so at
    /// `nothings_at`.
    fn run(mut self, nothings_at: Vec<u32>) -> Result<Vec<u32>, Vec<u32>> {
        let mut nothings: Vec<(u32, u32)> =
            nothings_at.into_iter().zip(self.contents.nothings.iter().map(|nothing| nothing.item)).collect();
        nothings.sort_unstable();
        self.divide(0, self.contents.end, Order::FIRST, true, &nothings);
        while let Some(index) = self.outermost.pop() {
            let span = self.contents.spans[self.by_f[index as usize] as usize];
            if self.obstacles[index as usize] == ORDERED {
                continue;
            }
            let from = self.coverage.last_free(span.put_res);
            let to = self.coverage.first_free(span.put_res + 1);
            self.coverage.remove(span.put_res, span.take_inv);
            let gap = self.gaps[from as usize];
            let push = self.place(index, gap);
            self.divide(from, to, push, false, &[]);
        }
        let stuck = |&index: &u32| self.obstacles[index as usize] != ORDERED;
        let stuck: Vec<u32> = (0..self.by_f.len() as u32).filter(stuck).collect();
        if stuck.is_empty() { Ok(self.order.into_items()) } else { Err(self.smallest_component(&stuck)) }
    }

    /// Divides what is left between the free points `from` and `to` at the free points in between,
    /// and puts its parts into the order after the node `after`. `outer` says that there was no
    /// component before, so that its ends are news.
    fn divide(&mut self, from: u32, to: u32, mut after: u32, outer: bool, mut nothings: &[(u32, u32)]) {
        let mut start = from;
        loop {
            let next = self.coverage.first_free(start + 1);
            let (low, high) = (self.before[start as usize] as usize, self.before[next as usize] as usize);
            if low < high {
                after = self.order.insert(after, NONE);
                self.gaps[start as usize] = after;
                if outer || start != from {
                    self.admit_pushes(low, high, start);
                }
                if outer || next != to {
                    self.admit_pops(low, high, next);
                }
            }
            if next == to {
                return;
            }
            after = self.place_at(next, high, after);
            while let Some((&(_, item), rest)) = nothings.split_first().filter(|(first, _)| first.0 == next) {
                after = self.order.insert(after, item);
                nothings = rest;
            }
            start = next;
        }
    }

    /// Values of a component that starts at `start` whose push may happen that early.
    fn admit_pushes(&mut self, low: usize, high: usize, start: u32) {
        let bound = if flaw::on(Flaw::PushAtAnyTime) { u32::MAX - 1 } else { start };
        while let Some(index) = self.pushes.first_at_most(bound, low).filter(|&index| index < high) {
            self.pushes.remove(index);
            self.overcome(index, PUSH);
        }
    }

    /// Values of a component that ends at `end` whose pop may happen that late.
    fn admit_pops(&mut self, low: usize, high: usize, end: u32) {
        let bound = if flaw::on(Flaw::PopAtAnyTime) { u32::MAX - 1 } else { !end };
        while let Some(index) = self.pops.first_at_most(bound, low).filter(|&index| index < high) {
            self.pops.remove(index);
            self.overcome(index, POP);
        }
    }

    fn overcome(&mut self, index: usize, obstacle: u8) {
        self.obstacles[index] &= !obstacle;
        if self.obstacles[index] == 0 {
            self.outermost.push(index as u32);
        }
    }

    /// Pushes and pops at the free point all values that can be there; `high` is the first value
    /// with `f` at or after it.
    fn place_at(&mut self, point: u32, high: usize, mut after: u32) -> u32 {
        while let Some(index) = self.starts.first_at_most(point, high) {
            let push = self.place(index as u32, after);
            after = self.order.next(push);
        }
        after
    }

    /// Puts a value into the order after a node; returns the node of its push, which that of its pop
    /// follows.
    fn place(&mut self, index: u32, after: u32) -> u32 {
        let span = &self.contents.spans[self.by_f[index as usize] as usize];
        self.obstacles[index as usize] = ORDERED;
        self.starts.remove(index as usize);
        self.pushes.remove(index as usize);
        self.pops.remove(index as usize);
        let push = self.order.insert(after, span.put);
        self.order.insert(push, span.take);
        push
    }

    /// The spans of that component that has the fewest, among components without order, the most
    /// suspicious first.
    fn smallest_component(&self, stuck: &[u32]) -> Vec<u32> {
        let component = |index: &u32| {
            let span = &self.contents.spans[self.by_f[*index as usize] as usize];
            self.coverage.last_free(span.put_res)
        };
        let components = stuck.chunk_by(|a, b| component(a) == component(b));
        let smallest = components.min_by_key(|component| component.len()).expect("something is stuck");
        // Values that could be first or last already are the likeliest to be in each other's way.
        let mut spans = smallest.to_vec();
        spans.sort_by_key(|&index| self.obstacles[index as usize] == PUSH | POP);
        spans.into_iter().map(|index| self.by_f[index as usize]).collect()
    }
}

/// An order under construction: a linked list of items and of gaps.
struct Order {
    /// (item or [`NONE`] for a gap, next node or [`NONE`]).
    nodes: Vec<(u32, u32)>,
}

impl Order {
    /// The gap that everything goes into.
    const FIRST: u32 = 0;

    fn new(capacity: usize) -> Order {
        let mut nodes = Vec::with_capacity(capacity + capacity / 2);
        nodes.push((NONE, NONE));
        Order { nodes }
    }

    /// A new node after `after`.
    fn insert(&mut self, after: u32, item: u32) -> u32 {
        let node = self.nodes.len() as u32;
        let next = std::mem::replace(&mut self.nodes[after as usize].1, node);
        self.nodes.push((item, next));
        node
    }

    fn next(&self, node: u32) -> u32 {
        self.nodes[node as usize].1
    }

    fn into_items(self) -> Vec<u32> {
        let mut items = Vec::with_capacity(self.nodes.len());
        let mut node = Order::FIRST;
        while node != NONE {
            let (item, next) = self.nodes[node as usize];
            items.extend((item != NONE).then_some(item));
            node = next;
        }
        items
    }
}

/// A minimal set of values among which there is no order either.
fn explain(contents: &Contents, stuck: Vec<u32>) -> Violation {
    let find = |contents: &Contents| Search::new(contents).run(Vec::new()).err();
    let (spans, minimal) = shrink(contents, stuck, &find);
    let members = spans.iter().map(|&i| &contents.spans[i as usize]);
    let puts = members.clone().map(|span| span.put).collect();
    let last = members.max_by_key(|span| span.take_res).expect("at least two values overlap");
    let why = Why::NoneOutermost { puts, failed: last.taken_by().unwrap_or(last.put) };
    Violation { spans, nothing: None, why, minimal }
}
