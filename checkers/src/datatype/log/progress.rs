//! Whether consumers and producers go forward through each log, from one message to the next.

use super::order::{NOWHERE, Order};
use super::traffic::{Entry, Step, Traffic, UNKNOWN, What};
use super::{Anomaly, Case};
use crate::history::Outcome;
use crate::value::FastBuild;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::ops::Range;

pub(super) fn find(traffic: &Traffic<'_>, order: &Order, cases: &mut Vec<Case>) {
    let mut walk = Walk {
        traffic,
        order,
        cases,
        clients: Vec::new(),
        polled: Latest::new(traffic.keys.len()),
        sent: Latest::new(traffic.keys.len()),
    };
    let mut of_process: HashMap<i64, usize, FastBuild> = HashMap::default();
    for (number, step) in traffic.steps.iter().enumerate() {
        let client = *of_process.entry(step.op.process).or_insert(walk.clients.len());
        if client == walk.clients.len() {
            walk.clients.push(Client::default());
        }
        match &step.what {
            What::Assign { keys, subscribes } if step.op.outcome != Outcome::Fail => {
                let keys = &traffic.assigned[keys.clone()];
                let client = &mut walk.clients[client];
                client.subscribes = *subscribes;
                client.polled.retain(|key, _| keys.binary_search(key).is_ok());
            }
            What::Assign { .. } => {}
            What::Transfer { entries, requested } => {
                walk.transfer(number, step, client, entries.clone(), &traffic.requested[requested.clone()]);
            }
        }
    }
}

/// A process as producer and consumer.
#[derive(Default)]
struct Client {
    subscribes: bool,
    /// The entry at which it left off in each log.
    polled: BTreeMap<u32, usize>,
    /// The last entry that it sent to each log and that was acknowledged.
    sent: BTreeMap<u32, usize>,
}

struct Walk<'a, 'h> {
    traffic: &'a Traffic<'h>,
    order: &'a Order,
    cases: &'a mut Vec<Case>,
    clients: Vec<Client>,
    /// What the operation at hand polled and sent last in each log.
    polled: Latest,
    sent: Latest,
}

impl Walk<'_, '_> {
    fn transfer(
        &mut self,
        number: usize,
        step: &Step<'_>,
        client: usize,
        entries: Range<usize>,
        requested: &[(u32, i64)],
    ) {
        self.polled.begin(number);
        self.sent.begin(number);
        for at in entries {
            let entry = &self.traffic.entries[at];
            if entry.is_send {
                match self.sent.put(entry.key, at) {
                    Some(former) => {
                        self.within(former, at, [Anomaly::IntSendSkip, Anomaly::IntNonmonotonicSend])
                    }
                    None if step.op.outcome == Outcome::Fail => {}
                    None => {
                        if let Some(&former) = self.clients[client].sent.get(&entry.key) {
                            self.between(former, at, None, Anomaly::NonmonotonicSend, false);
                        }
                    }
                }
            } else {
                match self.polled.put(entry.key, at) {
                    Some(former) => {
                        let same_poll = self.traffic.entries[former].part == entry.part;
                        if same_poll || !self.clients[client].subscribes {
                            self.within(former, at, [Anomaly::IntPollSkip, Anomaly::IntNonmonotonicPoll]);
                        }
                    }
                    None => self.first_poll(at, client, requested),
                }
            }
        }
        let client = &mut self.clients[client];
        if step.op.outcome == Outcome::Ok {
            client.sent.extend(self.sent.all());
            if requested.is_empty() {
                client.polled.extend(self.polled.all());
            }
        }
        // Where a consumer is that was told where to be, only it knows.
        for (key, _) in requested {
            client.polled.remove(key);
        }
    }

    /// The first message that an operation polled of a log, after where the consumer left off or where it
    /// asked to begin.
    fn first_poll(&mut self, at: usize, client: usize, requested: &[(u32, i64)]) {
        let entry = self.traffic.entries[at];
        let asked = requested.partition_point(|(key, _)| *key < entry.key);
        match requested.get(asked).filter(|(key, _)| *key == entry.key) {
            Some(&(_, offset)) => self.asked(at, offset),
            None => {
                let Client { subscribes, polled, .. } = &self.clients[client];
                let subscribes = *subscribes;
                if let Some(&former) = polled.get(&entry.key) {
                    let skip = Some(Anomaly::PollSkip);
                    self.between(former, at, skip, Anomaly::NonmonotonicPoll, subscribes);
                }
            }
        }
    }

    fn asked(&mut self, at: usize, offset: i64) {
        let entry = self.traffic.entries[at];
        let place = self.order.of_entry[at];
        if place == NOWHERE {
            return;
        }
        let first = self.order.places_below(entry.key, offset);
        let anomaly = match place.cmp(&first) {
            std::cmp::Ordering::Less => Anomaly::NonmonotonicPoll,
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Greater => Anomaly::PollSkip,
        };
        let skipped = (place > first).then(|| self.order.at(entry.key, first)[0].message);
        self.cases.push(Case {
            anomaly,
            excused: false,
            operations: [entry.op; 2],
            messages: [entry.message; 2],
            offsets: [self.offset(at); 2],
            skipped,
        });
    }

    /// Two messages in a row of one operation.
    fn within(&mut self, former: usize, at: usize, [skip, nonmonotonic]: [Anomaly; 2]) {
        self.between(former, at, Some(skip), nonmonotonic, false);
    }

    /// Two entries of one log, the second of which should follow the first.
    fn between(
        &mut self,
        former: usize,
        at: usize,
        skip: Option<Anomaly>,
        nonmonotonic: Anomaly,
        excused: bool,
    ) {
        let [from, to] = [former, at].map(|at| self.order.of_entry[at]);
        if from == NOWHERE || to == NOWHERE || to == from + 1 {
            return;
        }
        let skips = to > from;
        let Some(anomaly) = (if skips { skip } else { Some(nonmonotonic) }) else { return };
        let [a, b]: [Entry; 2] = [self.traffic.entries[former], self.traffic.entries[at]];
        self.cases.push(Case {
            anomaly,
            excused,
            operations: [a.op, b.op],
            messages: [a.message, b.message],
            offsets: [self.offset(former), self.offset(at)],
            skipped: skips.then(|| self.order.at(a.key, from + 1)[0].message),
        });
    }

    /// The offset of an entry, from elsewhere if it has none of its own.
    fn offset(&self, at: usize) -> i64 {
        match (self.traffic.entries[at], self.order.of_entry[at]) {
            (_, NOWHERE) => UNKNOWN,
            (entry, place) => self.order.at(entry.key, place)[0].offset,
        }
    }
}

/// The last entry of the operation at hand in each log.
struct Latest {
    /// Number of the operation that it is of, and the entry.
    of_key: Vec<(usize, usize)>,
    touched: Vec<u32>,
    number: usize,
}

impl Latest {
    fn new(key_count: usize) -> Latest {
        Latest { of_key: vec![(usize::MAX, 0); key_count], touched: vec![], number: 0 }
    }

    fn begin(&mut self, number: usize) {
        self.number = number;
        self.touched.clear();
    }

    /// Puts an entry in; returns the one before it in the operation at hand.
    fn put(&mut self, key: u32, entry: usize) -> Option<usize> {
        let slot = &mut self.of_key[key as usize];
        let former = (slot.0 == self.number).then_some(slot.1);
        *slot = (self.number, entry);
        if former.is_none() {
            self.touched.push(key);
        }
        former
    }

    fn all(&self) -> impl Iterator<Item = (u32, usize)> {
        self.touched.iter().map(|key| (*key, self.of_key[*key as usize].1))
    }
}
