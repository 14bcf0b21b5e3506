//! Which messages lie where: the order of each log, from all offsets that anybody saw.

use super::traffic::{Traffic, UNKNOWN, What};
use crate::history::{OpId, Outcome};

/// The place of a message of which nobody knows one.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The logs. Their *places* are the offsets that hold messages, counted from 0 in each log.
pub(super) struct Order {
    /// Sorted by log, offset and message; each combination once.
    pub(super) rows: Vec<Row>,
    /// For each log the offsets of its places; log `k` has those from `starts[k]` to `starts[k + 1]`.
    offsets: Vec<i64>,
    starts: Vec<usize>,
    /// For each place the first of its rows.
    first_rows: Vec<usize>,
    /// For each message.
    pub(super) places: Vec<Places>,
    /// For each entry of the traffic the place in its log; [`NOWHERE`] if that is not known.
    pub(super) of_entry: Vec<u32>,
    /// For each message the first operation that sent it and took effect.
    pub(super) committed: Vec<Option<OpId>>,
}

/// A message at an offset, and the first operation that saw it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) key: u32,
    pub(super) offset: i64,
    pub(super) message: u32,
    pub(super) op: OpId,
}

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// At how many places.
    pub(super) count: u32,
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Order {
    pub(super) fn of(traffic: &Traffic<'_>) -> Order {
        let mut committed = vec![None; traffic.messages.len()];
        let mut rows = Vec::new();
        let mut of_entry = vec![NOWHERE; traffic.entries.len()];
        for step in &traffic.steps {
            let What::Transfer { entries, .. } = &step.what else { continue };
            let took_effect = match step.op.outcome {
                Outcome::Ok => true,
                Outcome::Fail => false,
                Outcome::Info => traffic.entries[entries.clone()].iter().any(|entry| {
                    let message = &traffic.messages[entry.message as usize];
                    entry.is_send && message.sends == 1 && message.reader.is_some()
                }),
            };
            for at in entries.clone() {
                let entry = traffic.entries[at];
                if entry.is_send && took_effect {
                    committed[entry.message as usize].get_or_insert(entry.op);
                }
                if entry.offset != UNKNOWN && (took_effect || !entry.is_send) {
                    rows.push(Row {
                        key: entry.key,
                        offset: entry.offset,
                        message: entry.message,
                        op: entry.op,
                    });
                    // Marks those that have an offset to go by.
                    of_entry[at] = 0;
                }
            }
        }
        // A stable sort, because it goes by the runs that polls are.
        rows.sort();
        rows.dedup_by_key(|row| (row.key, row.offset, row.message));
        let mut order = Order {
            rows,
            offsets: vec![],
            starts: vec![],
            first_rows: vec![],
            places: vec![Places { count: 0, first: NOWHERE, last: NOWHERE }; traffic.messages.len()],
            of_entry,
            committed,
        };
        order.number(traffic.keys.len());
        order.place(traffic);
        order
    }

    /// Number of places of a log.
    pub(super) fn len(&self, key: u32) -> u32 {
        (self.starts[key as usize + 1] - self.starts[key as usize]) as u32
    }

    /// The rows of a place.
    pub(super) fn at(&self, key: u32, place: u32) -> &[Row] {
        let place = self.starts[key as usize] + place as usize;
        let end = self.first_rows.get(place + 1).copied().unwrap_or(self.rows.len());
        &self.rows[self.first_rows[place]..end]
    }

    /// How many places of a log have offsets below `offset`.
    pub(super) fn places_below(&self, key: u32, offset: i64) -> u32 {
        let offsets = &self.offsets[self.starts[key as usize]..self.starts[key as usize + 1]];
        // Most logs have no gaps.
        if let Some(first) = offsets.first()
            && let Ok(guess) = usize::try_from(offset.saturating_sub(*first))
            && offsets.get(guess) == Some(&offset)
        {
            return guess as u32;
        }
        offsets.partition_point(|other| *other < offset) as u32
    }

    /// Counts the places of each log, and those of each message.
    fn number(&mut self, key_count: usize) {
        for (at, row) in self.rows.iter().enumerate() {
            let is_new_log = at == 0 || self.rows[at - 1].key != row.key;
            while self.starts.len() <= row.key as usize {
                self.starts.push(self.offsets.len());
            }
            if is_new_log || self.rows[at - 1].offset != row.offset {
                self.offsets.push(row.offset);
                self.first_rows.push(at);
            }
            let place = (self.offsets.len() - 1 - self.starts[row.key as usize]) as u32;
            let places = &mut self.places[row.message as usize];
            if places.count == 0 {
                places.first = place;
            }
            places.count += 1;
            places.last = place;
        }
        self.starts.resize(key_count + 1, self.offsets.len());
    }

    /// Finds the place of each entry: that of its offset, else the only one of its message, if that was not
    /// sent again: then the place may be another send's.
    fn place(&mut self, traffic: &Traffic<'_>) {
        for (at, entry) in traffic.entries.iter().enumerate() {
            let places = self.places[entry.message as usize];
            let message = &traffic.messages[entry.message as usize];
            let is_sent_again = match entry.is_send {
                true => message.sends + message.failed_sends > 1,
                false => message.sends > 1,
            };
            self.of_entry[at] = if self.of_entry[at] != NOWHERE {
                self.places_below(entry.key, entry.offset)
            } else if places.count == 1 && !is_sent_again {
                places.first
            } else {
                NOWHERE
            };
        }
    }
}
