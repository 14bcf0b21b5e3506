//! A small simulation: virtual time, messages that are lost, doubled and late, partitions, nodes that
//! crash between any two effects, clocks that drift; clients that append to a log and read it, and give
//! up or repeat themselves. All chance comes from one seed.
//!
//! After each step the five properties are checked (`properties.rs`); at the end, whether what the
//! clients saw is what one log would have shown them. For a log whose readers see all of it that is
//! easy to say: what each read saw is a beginning of what the last one saw, at least as long as what
//! was known when it was asked; what was answered is there, once, and in the order of time.

use super::super::properties::Properties;
use super::super::*;
use crate::object::log;
use crate::protocol::{ClientId, Durable, RequestId};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

const MS: u64 = 1_000_000;
/// For so long things go wrong.
const TROUBLE_MS: u64 = 700;
/// And in so long all is answered afterwards.
const RECOVERY_MS: u64 = 4_000;
const STEPS_MAX: u64 = 200_000;
const TOLD_MAX: usize = 200;

/// What may go wrong, and how the cluster is set up.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) config: Config,
    /// Of a thousand messages.
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) late: u64,
    /// Of a thousand steps.
    pub(super) crashes: u64,
    /// Of ten periods: in which the network is cut in two, or one way.
    pub(super) partitions: u64,
    /// Of ten requests.
    pub(super) administration: u64,
    /// Clocks and timers run wrong by so many thousandths.
    pub(super) drift: u64,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Story {
    pub(super) notes: BTreeMap<String, u64>,
    pub(super) answered: u64,
    pub(super) crashes: u64,
    pub(super) leaders: usize,
    pub(super) steps: u64,
}

type Journaling = Raft<Journal>;

enum Event {
    Deliver { from: NodeId, to: NodeId, msg: MsgOf<Journal> },
    Timer { node: usize, life: u64, timer: Timer, set: u64 },
    Ask { client: usize },
    Retry { client: usize, id: u64 },
    Restart { node: usize },
    Weather,
}

struct Node {
    state: Option<Journaling>,
    disk: Disk<log::Op>,
    timers: BTreeMap<Timer, u64>,
    life: u64,
    clock_offset: u64,
    /// Its clock and timers run at so many thousandths of the true rate.
    rate: u64,
}

#[derive(Default)]
struct Client {
    open: Option<Open>,
    ids: u64,
}

#[derive(Clone)]
struct Open {
    id: u64,
    op: Op<log::Op>,
    asked_at: u64,
}

/// An operation that was answered: when it was asked, when it was answered.
struct Done {
    from: u64,
    to: u64,
    what: What,
}

enum What {
    Appended(String),
    Read(Vec<String>),
}

pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(super) fn chance(&mut self, n: u64, of: u64) -> bool {
        self.below(of) < n
    }
}

struct World {
    setting: Setting,
    random: Random,
    now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    pushed: u64,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    /// Pairs that do not hear: from, to.
    cut: BTreeSet<(u16, u16)>,
    is_healed: bool,
    done: Vec<Done>,
    /// All appended values that were ever asked for, with the time.
    asked: BTreeMap<String, u64>,
    finished: usize,
    properties: Properties,
    story: Story,
    /// What happened, line by line, if somebody wants to know.
    trace: Option<Vec<String>>,
}

/// Runs one seed. `Err`: what went wrong.
pub(super) fn run(setting: &Setting, seed: u64) -> Result<Story, String> {
    run_in(&mut World::new(setting.clone(), seed))
}

/// Runs a seed that fails again, and tells the end of it.
pub(super) fn tell(setting: &Setting, seed: u64) -> String {
    let mut world = World::new(setting.clone(), seed);
    world.trace = Some(vec![]);
    let how = run_in(&mut world).expect_err("it fails every time");
    let lines = world.trace.unwrap_or_default();
    let last = lines[lines.len().saturating_sub(TOLD_MAX)..].join("\n");
    format!("seed {seed}: {how}\n{setting:?}\n{last}")
}

fn run_in(world: &mut World) -> Result<Story, String> {
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    match ran {
        Ok(result) => result.map(|()| world.story.clone()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            Err(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

impl World {
    fn new(setting: Setting, seed: u64) -> World {
        let mut random = Random::new(seed);
        let nodes = (0..setting.config.nodes).map(|_| Node {
            state: None,
            disk: Disk::default(),
            timers: BTreeMap::new(),
            life: 0,
            clock_offset: random.below(1_000_000 * MS),
            rate: 1000 + random.below(2 * setting.drift + 1) - setting.drift,
        });
        let nodes: Vec<Node> = nodes.collect();
        let clients = (0..2 + random.below(3)).map(|_| Client::default()).collect();
        World {
            setting,
            random,
            now: 0,
            queue: BTreeMap::new(),
            pushed: 0,
            nodes,
            clients,
            cut: BTreeSet::new(),
            is_healed: false,
            done: vec![],
            asked: BTreeMap::new(),
            finished: 0,
            properties: Properties::default(),
            story: Story::default(),
            trace: None,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
        for client in 0..self.clients.len() {
            self.push(0, Event::Ask { client });
        }
        self.push(0, Event::Weather);
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if !self.is_healed && at > TROUBLE_MS * MS {
                self.heal();
            }
            self.now = at.max(self.now);
            if self.finished == self.clients.len() {
                break;
            }
            if self.now > (TROUBLE_MS + RECOVERY_MS) * MS {
                return Err("no progress: a request stays unanswered in a healed cluster".into());
            }
            self.story.steps += 1;
            assert!(self.story.steps < STEPS_MAX, "it does not settle");
            self.handle(event)?;
        }
        self.story.leaders = self.properties.leaders().len();
        self.judge()
    }

    fn push(&mut self, after: u64, event: Event) {
        self.pushed += 1;
        self.queue.insert((self.now + after, self.pushed), event);
    }

    fn heal(&mut self) {
        self.is_healed = true;
        self.now = TROUBLE_MS * MS;
        self.cut.clear();
        for node in 0..self.nodes.len() {
            if self.nodes[node].state.is_none() {
                self.start(node);
            }
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Deliver { from, to, msg } => {
                if self.nodes[usize::from(to.0)].state.is_some() {
                    return self.step(usize::from(to.0), Input::Msg { from, msg });
                }
            }
            Event::Timer { node, life, timer, set } => {
                let at = &mut self.nodes[node];
                if at.life == life && at.timers.get(&timer) == Some(&set) {
                    at.timers.remove(&timer);
                    return self.step(node, Input::Timer(timer));
                }
            }
            Event::Ask { client } => return self.ask(client),
            Event::Retry { client, id } => return self.retry(client, id),
            Event::Restart { node } => {
                if self.nodes[node].state.is_none() {
                    self.start(node);
                }
            }
            Event::Weather => self.weather(),
        }
        Ok(())
    }

    /// For a while the network is as it is, or cut.
    fn weather(&mut self) {
        self.cut.clear();
        if self.is_healed {
            return;
        }
        let lasts = (20 + self.random.below(250)) * MS;
        self.push(lasts, Event::Weather);
        if !self.random.chance(self.setting.partitions, 10) {
            return;
        }
        let nodes = self.nodes.len() as u16;
        let inside: Vec<bool> = (0..nodes).map(|_| self.random.chance(1, 2)).collect();
        let both_ways = self.random.chance(3, 4);
        for (a, b) in (0..nodes).flat_map(|a| (0..nodes).map(move |b| (a, b))) {
            let (from, to) = (inside[usize::from(a)], inside[usize::from(b)]);
            if from && !to || both_ways && to && !from {
                self.cut.insert((a, b));
            }
        }
    }

    fn start(&mut self, node: usize) {
        let mut out = vec![];
        let at = &mut self.nodes[node];
        at.state = Some(Raft::boot(&self.setting.config, NodeId(node as u16), &at.disk, &mut out));
        let _ = self.carry_out(node, out);
    }

    fn crash(&mut self, node: usize) {
        let at = &mut self.nodes[node];
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} us, n{node} crashes", self.now / 1000));
        }
        (at.state, at.life) = (None, at.life + 1);
        at.timers.clear();
        self.properties.crashed(NodeId(node as u16));
        self.story.crashes += 1;
        let down = self.random.below(120) * MS;
        self.push(down, Event::Restart { node });
    }

    fn step(&mut self, node: usize, input: Input<Journaling>) -> Result<(), String> {
        let at = &mut self.nodes[node];
        let time = Time(at.clock_offset + self.now / 1000 * at.rate);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} us, n{node}: {input:?}", self.now / 1000));
        }
        let mut out = vec![];
        let state = at.state.as_mut().expect("only a node that is up steps");
        state.step(&self.setting.config, time, input, &mut out);
        let crashes = !self.is_healed && self.random.chance(self.setting.crashes, 1000);
        if crashes {
            let cut = self.random.below(out.len() as u64 + 1) as usize;
            out.truncate(cut);
        }
        self.carry_out(node, out)?;
        if crashes {
            self.crash(node);
            return Ok(());
        }
        let state = self.nodes[node].state.as_ref().expect("it is up");
        self.properties.observe(&state.view()).map_err(|violation| violation.to_string())
    }

    fn carry_out(&mut self, node: usize, effects: Out<Journal>) -> Result<(), String> {
        for effect in effects {
            match effect {
                Effect::Send { to, msg } => self.send(NodeId(node as u16), to, msg),
                Effect::Reply { client, id, ret } => self.answered(client, id, ret)?,
                Effect::SetTimer { timer, after } => {
                    let width = (after.end - after.start).as_nanos() as u64;
                    let wait = after.start.as_nanos() as u64 + self.random.below(width.max(1));
                    let at = &mut self.nodes[node];
                    // What it takes for a second, by its own rate.
                    let wait = wait / at.rate * 1000;
                    let (life, set) = (at.life, self.pushed);
                    at.timers.insert(timer, set);
                    self.push(wait, Event::Timer { node, life, timer, set });
                }
                Effect::CancelTimer(timer) => drop(self.nodes[node].timers.remove(&timer)),
                Effect::Persist(record) => self.nodes[node].disk.replay(&record),
                Effect::Note(note) => {
                    if let Some(trace) = &mut self.trace {
                        trace.push(format!("    {}: {}", note.kind, note.detail));
                    }
                    *self.story.notes.entry(note.kind).or_default() += 1;
                }
                Effect::Choose { .. } => panic!("it never asks for a choice"),
            }
        }
        Ok(())
    }

    fn send(&mut self, from: NodeId, to: NodeId, msg: MsgOf<Journal>) {
        if self.cut.contains(&(from.0, to.0)) {
            return;
        }
        let (lost, doubled, late) = match self.is_healed {
            true => (0, 0, 0),
            false => (self.setting.lost, self.setting.doubled, self.setting.late),
        };
        if self.random.chance(lost, 1000) {
            return;
        }
        for _ in 0..1 + u64::from(self.random.chance(doubled, 1000)) {
            let longest = if self.random.chance(late, 1000) { 150 * MS } else { 3 * MS };
            let takes = self.random.below(longest);
            self.push(takes, Event::Deliver { from, to, msg: msg.clone() });
        }
    }

    fn ask(&mut self, client: usize) -> Result<(), String> {
        if self.clients[client].open.is_some() {
            return Ok(());
        }
        self.clients[client].ids += 1;
        let id = self.clients[client].ids;
        let op = match self.random.below(10) {
            _ if self.is_healed => Op::Command(log::Op::Read),
            n if n < self.setting.administration => self.administrate(),
            n if n < 6 => {
                let value = format!("c{client}.{id}");
                self.asked.insert(value.clone(), self.now);
                Op::Command(log::Op::Append { value: value.as_str().into() })
            }
            _ => Op::Command(log::Op::Read),
        };
        self.clients[client].open = Some(Open { id, op, asked_at: self.now });
        self.retry(client, id)
    }

    /// Another learner, voter or leader.
    fn administrate(&mut self) -> Op<log::Op> {
        let nodes = u64::from(self.setting.config.nodes);
        let node = NodeId(self.random.below(nodes) as u16);
        match self.random.below(6) {
            0 | 1 => Op::Change(Change::AddLearner(node)),
            2 => Op::Change(Change::Promote(node)),
            3 => Op::Change(Change::Remove(node)),
            4 => {
                let without = self.random.below(nodes) as u16;
                let voters = (0..nodes as u16).map(NodeId).filter(|n| n.0 != without);
                Op::Change(Change::SetVoters(voters.collect()))
            }
            _ => Op::Transfer(node),
        }
    }

    /// Sends the open request to some node; later, again.
    fn retry(&mut self, client: usize, id: u64) -> Result<(), String> {
        let Some(open) = self.clients[client].open.clone().filter(|open| open.id == id) else {
            return Ok(());
        };
        let gives_up = self.now > open.asked_at && self.random.chance(3, 10) && !self.is_healed;
        if gives_up {
            self.clients[client].open = None;
            return self.ask(client);
        }
        let node = self.random.below(self.nodes.len() as u64) as usize;
        self.push(60 * MS, Event::Retry { client, id });
        match self.nodes[node].state.is_some() {
            true => {
                let (client, id) = (ClientId(client as u32), RequestId(id));
                self.step(node, Input::Request { client, id, op: open.op })
            }
            false => Ok(()),
        }
    }

    fn answered(&mut self, client: ClientId, id: RequestId, ret: RetOf<Journal>) -> Result<(), String> {
        let client = client.0 as usize;
        let Some(open) = self.clients[client].open.take_if(|open| open.id == id.0) else { return Ok(()) };
        self.story.answered += 1;
        let (from, to) = (open.asked_at, self.now);
        let text = |value: &crate::object::bytes::Bytes| String::from_utf8_lossy(value).into_owned();
        match (open.op, ret) {
            (Op::Command(log::Op::Append { value }), Ret::Done(log::Ret::Appended { .. })) => {
                self.done.push(Done { from, to, what: What::Appended(text(&value)) });
            }
            (Op::Command(log::Op::Read), Ret::Done(log::Ret::Values(values))) => {
                self.done.push(Done { from, to, what: What::Read(values.iter().map(text).collect()) });
                self.finished += usize::from(self.is_healed && from >= TROUBLE_MS * MS);
            }
            (Op::Change(_) | Op::Transfer(_), Ret::Changed | Ret::Leads | Ret::Refused(_)) => {}
            (op, ret) => return Err(format!("{ret:?} is no answer to {op:?}")),
        }
        let pause = self.random.below(8 * MS);
        if !(self.is_healed && from >= TROUBLE_MS * MS) {
            self.push(pause, Event::Ask { client });
        }
        Ok(())
    }

    /// Whether clients saw one log.
    fn judge(&self) -> Result<(), String> {
        let reads = || {
            self.done.iter().filter_map(|done| match &done.what {
                What::Read(values) => Some((done, values)),
                What::Appended(_) => None,
            })
        };
        let all =
            reads().map(|(_, values)| values).max_by_key(|values| values.len()).expect("they read last");
        let place: BTreeMap<&String, usize> = all.iter().enumerate().map(|(i, value)| (value, i)).collect();
        if place.len() < all.len() {
            return Err(format!("something was appended twice: {all:?}"));
        }
        if let Some(value) = all.iter().find(|&value| !self.asked.contains_key(value)) {
            return Err(format!("{value} was never asked for"));
        }
        for (_, values) in reads() {
            if !all.starts_with(values) {
                return Err(format!("a read saw {values:?} of {all:?}"));
            }
        }
        // What was known to be there by some time, and what was asked for only later.
        for known in &self.done {
            let length = match &known.what {
                What::Appended(value) => match place.get(value) {
                    Some(place) => place + 1,
                    None => return Err(format!("{value} was acknowledged, and is lost")),
                },
                What::Read(values) => values.len(),
            };
            for (read, values) in reads() {
                if read.from > known.to && values.len() < length {
                    return Err(format!("a stale read: {} of the {length} known before", values.len()));
                }
            }
            let later = all[..length].iter().find(|&value| self.asked[value] > known.to);
            if let Some(value) = later {
                return Err(format!("{value} stands before what was there when it was asked for"));
            }
        }
        Ok(())
    }
}
