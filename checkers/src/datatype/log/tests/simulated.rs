//! A made-up broker with two logs and three clients, which does its work well or not.

use super::super::super::scribe::{Chance, int};
use super::oracle::{Op, Part, Placed, What};
use crate::history::{Event, EventKind, History, HistoryBuilder, Outcome, Process};
use crate::value::{Value, Values};
use std::collections::BTreeMap;

/// A run.
pub(super) struct Run {
    pub(super) history: History,
    /// Its operations as they were made up.
    pub(super) ops: Vec<Op>,
    /// The broker made no mistake, and everything was polled at the end.
    pub(super) is_good: bool,
}

pub(super) fn run(seed: u64) -> Run {
    let mut chance = Chance::new(seed);
    let faults = [0, 0, 4, 15][chance.below(4) as usize];
    let mut broker = Broker { chance, faults, logs: Default::default(), next_value: 0 };
    let mut clients = [(); 3].map(|()| Client { places: [0, 0], keys: vec![0, 1] });
    let mut builder = HistoryBuilder::new();
    let mut ops = Vec::new();
    for _ in 0..20 {
        let process = broker.chance.below(3);
        let client = &mut clients[process as usize];
        let op = match broker.chance.percent(12) {
            true => broker.assign(process as i64, client),
            false => broker.transfer(process as i64, client),
        };
        write(&mut builder, &op, broker.chance.percent(50));
        ops.push(op);
    }
    let is_polled = broker.chance.percent(80);
    if is_polled {
        let mut last = Client { places: [0, 0], keys: vec![0, 1] };
        let (outcome, requested) = (Outcome::Ok, BTreeMap::new());
        let faults = std::mem::replace(&mut broker.faults, 0);
        let parts = vec![Part::Poll(broker.poll(&mut last, 1000)), Part::Poll(broker.poll(&mut last, 1000))];
        broker.faults = faults;
        let op = Op { process: 9, outcome, what: What::Transfer { parts, requested } };
        write(&mut builder, &op, false);
        ops.push(op);
    }
    Run { history: builder.finish(), ops, is_good: faults == 0 && is_polled }
}

struct Broker {
    chance: Chance,
    faults: u64,
    /// Offsets and values of each log.
    logs: [Vec<(i64, i64)>; 2],
    next_value: i64,
}

struct Client {
    /// How many messages of each log it has polled.
    places: [usize; 2],
    keys: Vec<i64>,
}

impl Broker {
    fn outcome(&mut self) -> Outcome {
        match self.chance.below(10) {
            0 => Outcome::Fail,
            1 => Outcome::Info,
            _ => Outcome::Ok,
        }
    }

    fn assign(&mut self, process: i64, client: &mut Client) -> Op {
        let keys: Vec<i64> = [vec![0], vec![1], vec![0, 1]][self.chance.below(3) as usize].clone();
        let (outcome, subscribes) = (self.outcome(), self.chance.percent(40));
        if outcome != Outcome::Fail {
            for key in (0..2).filter(|key| !keys.contains(key)) {
                client.places[key as usize] = 0;
            }
            client.keys.clone_from(&keys);
        }
        Op { process, outcome, what: What::Assign { keys, subscribes } }
    }

    fn transfer(&mut self, process: i64, client: &mut Client) -> Op {
        let outcome = self.outcome();
        let before = client.places;
        let asks = self.chance.percent(15);
        if asks {
            let from: Vec<(i64, i64)> =
                client.keys.iter().map(|key| (*key, self.offset_of(client, *key))).collect();
            let parts = vec![Part::Poll(self.poll(client, 3))];
            let requested = from.into_iter().collect();
            if outcome != Outcome::Ok {
                client.places = before;
            }
            return Op { process, outcome, what: What::Transfer { parts, requested } };
        }
        let mut parts = Vec::new();
        let mut pending = Vec::new();
        let takes_effect = self.chance.percent(50);
        for _ in 0..1 + self.chance.below(3) {
            if self.chance.percent(50) {
                let placed = self.send(outcome, takes_effect, &mut pending);
                parts.push(Part::Send(placed));
            } else {
                parts.push(Part::Poll(self.poll(client, 3)));
            }
        }
        // A transaction's messages become visible at its end.
        for (key, message) in pending {
            self.logs[key].push(message);
            self.logs[key].sort_unstable();
        }
        if outcome != Outcome::Ok {
            client.places = before;
        }
        Op { process, outcome, what: What::Transfer { parts, requested: BTreeMap::new() } }
    }

    fn offset_of(&self, client: &Client, key: i64) -> i64 {
        let log = &self.logs[key as usize];
        let place = client.places[key as usize];
        log.get(place).or(log.last()).map_or(0, |message| message.0 + i64::from(place >= log.len()))
    }

    fn send(
        &mut self,
        outcome: Outcome,
        takes_effect: bool,
        pending: &mut Vec<(usize, (i64, i64))>,
    ) -> Placed {
        let key = self.chance.below(2) as usize;
        // Now and then a value again.
        self.next_value += i64::from(self.chance.percent(95));
        let value = self.next_value;
        let sent = pending.iter().filter(|pending| pending.0 == key).map(|pending| &pending.1);
        let last = self.logs[key].iter().chain(sent).map(|message| message.0).max();
        let mut offset = last.map_or(0, |last| last + 1 + i64::from(self.chance.percent(10)));
        if self.chance.percent(self.faults) {
            offset -= self.chance.below(3) as i64;
        }
        let kept = match outcome {
            Outcome::Ok => !self.chance.percent(self.faults),
            Outcome::Fail => self.chance.percent(self.faults),
            Outcome::Info => takes_effect,
        };
        if kept && self.chance.percent(self.faults) {
            // Visible at once.
            self.logs[key].push((offset, value));
        } else if kept {
            pending.push((key, (offset, value)));
        }
        if kept && self.chance.percent(self.faults) {
            pending.push((key, (offset + 1, value)));
        }
        let offset = (self.chance.percent(80) && outcome != Outcome::Info || self.chance.percent(50))
            .then_some(offset);
        Placed { key: key as i64, offset, value }
    }

    fn poll(&mut self, client: &mut Client, most: u64) -> Vec<Placed> {
        let mut polled = Vec::new();
        for key in client.keys.clone() {
            let place = &mut client.places[key as usize];
            if self.chance.percent(self.faults) {
                *place = (*place + self.chance.below(3) as usize).saturating_sub(1);
            }
            for _ in 0..if most > 10 { most } else { self.chance.below(most + 1) } {
                let Some(&(offset, value)) = self.logs[key as usize].get(*place) else { break };
                let value = if self.chance.percent(self.faults / 4) { value + 1 } else { value };
                polled.push(Placed { key, offset: (!self.chance.percent(4)).then_some(offset), value });
                *place += 1;
                if self.chance.percent(self.faults / 2) {
                    *place = place.saturating_sub(self.chance.below(3) as usize);
                }
            }
        }
        polled
    }
}

/// Writes an operation down; as one call, if it is one and `plainly` says so.
fn write(builder: &mut HistoryBuilder, op: &Op, plainly: bool) {
    let (f, input, output) = match &op.what {
        What::Assign { keys, subscribes } => {
            let keys: Vec<Value> = keys.iter().map(|key| int(*key)).collect();
            let keys = builder.values().list(&keys);
            (if *subscribes { "subscribe" } else { "assign" }, keys, keys)
        }
        What::Transfer { parts, requested } if !requested.is_empty() => {
            let from: Vec<(Value, Value)> =
                requested.iter().map(|(key, offset)| (int(*key), int(*offset))).collect();
            let Part::Poll(polled) = &parts[0] else { panic!("only polls ask") };
            let values = builder.values();
            ("poll", values.map(&from), logs(values, polled))
        }
        What::Transfer { parts, .. } => match &parts[..] {
            [Part::Send(placed)] if plainly => {
                let input = [int(placed.key), int(placed.value)];
                ("send", builder.values().list(&input), placed.offset.map_or(Value::NIL, int))
            }
            [Part::Poll(polled)] if plainly => ("poll", Value::NIL, logs(builder.values(), polled)),
            parts => {
                let values = builder.values();
                let [input, output] = [false, true].map(|done| {
                    let parts: Vec<Value> = parts.iter().map(|part| micro(values, part, done)).collect();
                    values.list(&parts)
                });
                ("txn", input, output)
            }
        },
    };
    let kind = match op.outcome {
        Outcome::Ok => EventKind::Ok,
        Outcome::Fail => EventKind::Fail,
        Outcome::Info => EventKind::Info,
    };
    let f = builder.function(f).unwrap();
    for (kind, value) in [(EventKind::Invoke, input), (kind, output)] {
        let process = Process::Client(op.process);
        builder
            .push(Event { process, kind, f, key: None, value, error: Value::NIL, time_ns: -1, line: 0 })
            .unwrap();
    }
}

fn micro(values: &mut Values, part: &Part, done: bool) -> Value {
    match part {
        Part::Send(placed) => {
            let pair = [placed.offset.map_or(Value::NIL, int), int(placed.value)];
            let value = if done { values.list(&pair) } else { pair[1] };
            let send = [values.keyword("send"), int(placed.key), value];
            values.list(&send)
        }
        Part::Poll(polled) => {
            let poll = [values.keyword("poll"), logs(values, polled)];
            values.list(if done { &poll } else { &poll[..1] })
        }
    }
}

/// `{k [[offset v] …]}`.
fn logs(values: &mut Values, polled: &[Placed]) -> Value {
    let mut logs: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for placed in polled {
        let pair = [placed.offset.map_or(Value::NIL, int), int(placed.value)];
        logs.entry(placed.key).or_default().push(values.list(&pair));
    }
    let logs: Vec<(Value, Value)> =
        logs.into_iter().map(|(key, log)| (int(key), values.list(&log))).collect();
    values.map(&logs)
}
