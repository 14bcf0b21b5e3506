//! The swarm world: one queue of events, no sockets, no threads, every chance from one seed.
//!
//! It is the fastest world, so it is the one that looks for rare schedules: thousands of runs a
//! second, each with another mix of faults. What happens in it:
//!
//! - Messages take an exponentially distributed time, so that they overtake each other; faults lose,
//!   double and delay them ([`crate::nemesis`]).
//! - A record takes time to be written. Until it is durable the node does nothing: not the effects
//!   behind it, no other input. A node that is killed or loses power in that time has the record or
//!   does not, by lot; everything it had not carried out is gone with its memory.
//! - Clocks of nodes start anywhere and drift.
//! - Clients ask one node after another, one request at a time. What is not answered in time is
//!   recorded as indeterminate, and the client goes on as a new process, at another node.
//! - When the faults are over, and all is healed, each client reads every key. A request that is not
//!   answered then is a finding as well: the cluster makes no progress.
//!
//! The same scenario gives the same history, byte for byte.

mod node;
pub mod shrink;

use crate::nemesis::{FaultKind, Nemesis, Plan};
use crate::random::Random;
use crate::recorded::Recorded;
use node::{Node, Waiting};
use shakedown_checkers::history::{Event as Row, EventKind, History, HistoryBuilder, Process};
use shakedown_checkers::value::Value;
use shakedown_impls::protocol::{ClientId, Effect, Input, NodeId, RequestId, Time};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

const MS: u64 = 1_000_000;
const US: u64 = 1_000;

/// One run, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Where all chance comes from.
    pub seed: u64,
    /// Nodes of the cluster.
    pub nodes: u16,
    /// Clients, each with one request at a time.
    pub clients: u32,
    /// How long clients ask and faults happen, in simulated milliseconds.
    pub length_ms: u64,
    /// After how long a client gives a request up.
    pub timeout_ms: u64,
    /// How long the healed cluster may take to answer.
    pub recovery_ms: u64,
    /// How long writing a record takes, on average, in simulated microseconds.
    pub disk_us: u64,
    /// What goes wrong.
    pub plan: Plan,
}

impl Scenario {
    /// A scenario by lot: size, load and faults from `seed`, faults of these kinds only.
    pub fn draw(seed: u64, nodes: u16, nemeses: &[Nemesis]) -> Scenario {
        let mut random = Random::new(seed ^ 0x5ced);
        let length_ms = 300 + random.below(1_200);
        Scenario {
            seed,
            nodes,
            clients: 2 + random.below(5) as u32,
            length_ms,
            timeout_ms: 100 + random.below(300),
            recovery_ms: 5_000,
            // From memory with a battery to a disk that seeks.
            disk_us: 50 << random.below(9),
            plan: Plan::draw(&mut random, nemeses, nodes, length_ms),
        }
    }
}

/// What clients ask for.
pub trait Load<P: Recorded> {
    /// The next operation.
    fn next(&mut self, random: &mut Draws<'_>) -> P::Op;

    /// What each client asks for after everything is healed.
    fn last(&self) -> Vec<P::Op>;
}

/// Chance, for a [`Load`].
pub struct Draws<'r>(&'r mut Random);

impl Draws<'_> {
    /// An integer in `0..limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.below(limit)
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the clients saw.
    pub history: History,
    /// Requests that the healed cluster did not answer in time.
    pub unanswered: u32,
    /// What happened, counted.
    pub counts: Counts,
    /// For each fault of the plan, how often it changed anything: 0 says that it was vacuous.
    pub effects: Vec<u64>,
}

/// What happened in a run, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events handled.
    pub events: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages lost.
    pub lost: u64,
    /// Starts of nodes after the first.
    pub restarts: u64,
    /// Records that a crash caught unwritten.
    pub records_lost: u64,
}

/// Runs a scenario.
pub fn run<P: Recorded>(config: &P::Config, scenario: &Scenario, load: &mut dyn Load<P>) -> Outcome {
    let mut world = World::<P>::new(config, scenario);
    world.start();
    world.run(load);
    world.outcome()
}

enum Event<P: Recorded> {
    Deliver { from: NodeId, to: NodeId, msg: P::Msg },
    Request { to: NodeId, client: u32, id: RequestId, op: P::Op },
    Answer { client: u32, id: RequestId, ret: P::Ret },
    GiveUp { client: u32, id: RequestId },
    Ask { client: u32 },
    Timer { node: NodeId, life: u32, timer: P::Timer, set: u64 },
    Written { node: NodeId, life: u32 },
    Begin { fault: usize },
    Heal { fault: usize },
}

struct Client<P: Recorded> {
    process: i64,
    node: u16,
    /// The request under way.
    asked: Option<(RequestId, P::Op)>,
    /// What is left to ask after everything is healed.
    last: VecDeque<P::Op>,
}

struct World<'w, P: Recorded> {
    config: &'w P::Config,
    scenario: &'w Scenario,
    random: Random,
    now: u64,
    /// By time, then in the order of scheduling.
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: std::collections::BTreeMap<u64, Event<P>>,
    scheduled: u64,
    nodes: Vec<Node<P>>,
    clients: Vec<Client<P>>,
    requests: u64,
    processes: i64,
    /// Faults that last.
    active: Vec<usize>,
    builder: HistoryBuilder,
    unanswered: u32,
    counts: Counts,
    effects: Vec<u64>,
}

impl<'w, P: Recorded> World<'w, P> {
    fn new(config: &'w P::Config, scenario: &'w Scenario) -> World<'w, P> {
        World {
            config,
            scenario,
            random: Random::new(scenario.seed),
            now: 0,
            queue: BinaryHeap::new(),
            events: std::collections::BTreeMap::new(),
            scheduled: 0,
            nodes: vec![],
            clients: vec![],
            requests: 0,
            processes: i64::from(scenario.clients),
            active: vec![],
            builder: HistoryBuilder::new(),
            unanswered: 0,
            counts: Counts::default(),
            effects: vec![0; scenario.plan.faults.len()],
        }
    }

    fn start(&mut self) {
        for _ in 0..self.scenario.nodes {
            // Any origin, and up to 1 ms a second too fast or too slow.
            let offset = self.random.below(1 << 40);
            let drift_ppm = self.random.below(2_001) as i64 - 1_000;
            self.nodes.push(Node::new(offset, drift_ppm));
        }
        for node in 0..self.scenario.nodes {
            self.boot(NodeId(node));
        }
        for client in 0..self.scenario.clients {
            let node = self.random.below(u64::from(self.scenario.nodes)) as u16;
            let process = i64::from(client);
            self.clients.push(Client { process, node, asked: None, last: VecDeque::new() });
            let after = self.random.exponential(5 * MS);
            self.schedule(after, Event::Ask { client });
        }
        for (i, fault) in self.scenario.plan.faults.iter().enumerate() {
            self.schedule(fault.from_ms * MS, Event::Begin { fault: i });
            self.schedule(fault.until_ms * MS, Event::Heal { fault: i });
        }
    }

    fn schedule(&mut self, after: u64, event: Event<P>) {
        self.scheduled += 1;
        self.queue.push(Reverse((self.now + after, self.scheduled)));
        self.events.insert(self.scheduled, event);
    }

    fn run(&mut self, load: &mut dyn Load<P>) {
        let until = (self.scenario.length_ms + self.scenario.recovery_ms) * MS;
        let mut healed = false;
        while let Some(&Reverse((time, number))) = self.queue.peek() {
            if !healed && time > self.scenario.length_ms * MS {
                healed = true;
                self.now = self.scenario.length_ms * MS;
                self.finish_load(load);
                continue;
            }
            if time > until || (healed && self.clients.iter().all(|client| client.is_done())) {
                break;
            }
            self.queue.pop();
            self.now = time;
            self.counts.events += 1;
            let event = self.events.remove(&number).expect("every number in the queue has its event");
            self.handle(event, load, healed);
        }
        self.unanswered += self.clients.iter().filter(|client| !client.is_done()).count() as u32;
    }

    /// From here on each client only asks its last questions, those it has not asked at once.
    fn finish_load(&mut self, load: &mut dyn Load<P>) {
        assert!(self.active.is_empty(), "every fault is healed by the end of the plan");
        for client in 0..self.scenario.clients {
            self.clients[client as usize].last = load.last().into();
            if self.clients[client as usize].asked.is_none() {
                self.schedule(0, Event::Ask { client });
            }
        }
    }

    fn handle(&mut self, event: Event<P>, load: &mut dyn Load<P>, healed: bool) {
        match event {
            Event::Deliver { from, to, msg } => {
                self.counts.delivered += 1;
                self.input(to, Input::Msg { from, msg });
            }
            Event::Request { to, client, id, op } => {
                self.input(to, Input::Request { client: ClientId(client), id, op });
            }
            Event::Timer { node, life, timer, set } => {
                let at = &mut self.nodes[usize::from(node.0)];
                if at.life == life && at.timers.get(&timer) == Some(&set) {
                    at.timers.remove(&timer);
                    self.input(node, Input::Timer(timer));
                }
            }
            Event::Written { node, life } => {
                if self.nodes[usize::from(node.0)].life == life {
                    self.nodes[usize::from(node.0)].written();
                    self.go_on(node);
                }
            }
            Event::Ask { client } => self.ask(client, load, healed),
            Event::Answer { client, id, ret } => self.answered(client, id, Some(ret)),
            Event::GiveUp { client, id } => self.answered(client, id, None),
            Event::Begin { fault } => self.begin(fault),
            Event::Heal { fault } => self.heal(fault),
        }
    }

    fn ask(&mut self, client: u32, load: &mut dyn Load<P>, healed: bool) {
        let at = client as usize;
        if self.clients[at].asked.is_some() {
            return;
        }
        let op = match healed {
            true => match self.clients[at].last.pop_front() {
                Some(op) => op,
                None => return,
            },
            false => load.next(&mut Draws(&mut self.random)),
        };
        self.requests += 1;
        let id = RequestId(self.requests);
        self.clients[at].asked = Some((id, op.clone()));
        let call = P::invoked(&op, self.builder.values());
        self.record(self.clients[at].process, EventKind::Invoke, call.f, call.key, call.value);
        let to = NodeId(self.clients[at].node);
        let (there, patience) = (self.random.exponential(MS), self.scenario.timeout_ms * MS);
        self.schedule(there, Event::Request { to, client, id, op });
        // The healed cluster gets all the time there is.
        if !healed {
            self.schedule(patience, Event::GiveUp { client, id });
        }
    }

    fn answered(&mut self, client: u32, id: RequestId, ret: Option<P::Ret>) {
        let at = client as usize;
        let Some((_, op)) = self.clients[at].asked.take_if(|asked| asked.0 == id) else { return };
        let call = P::invoked(&op, self.builder.values());
        let process = self.clients[at].process;
        match ret {
            Some(ret) => {
                let value = P::completed(&op, &ret, self.builder.values());
                self.record(process, EventKind::Ok, call.f, call.key, value);
            }
            None => {
                self.record(process, EventKind::Info, call.f, call.key, call.value);
                self.clients[at].process = self.processes;
                self.processes += 1;
                self.clients[at].node = self.random.below(u64::from(self.scenario.nodes)) as u16;
            }
        }
        let pause = self.random.exponential(2 * MS);
        self.schedule(pause, Event::Ask { client });
    }

    fn record(&mut self, process: i64, kind: EventKind, f: &str, key: Option<Value>, value: Value) {
        let f = self.builder.function(f).expect("a protocol has few functions");
        let process = Process::Client(process);
        let time_ns = self.now as i64;
        let row = Row { process, kind, f, key, value, error: Value::NIL, time_ns, line: 0 };
        self.builder.push(row).expect("a client asks one thing at a time");
    }

    fn begin(&mut self, fault: usize) {
        self.active.push(fault);
        match self.scenario.plan.faults[fault].kind.clone() {
            FaultKind::Crash(node) => self.kill(fault, node),
            FaultKind::PowerLoss(nodes) => nodes.into_iter().for_each(|node| self.kill(fault, node)),
            FaultKind::Pause(node) => self.nodes[usize::from(node.0)].paused += 1,
            _ => {}
        }
    }

    fn heal(&mut self, fault: usize) {
        self.active.retain(|&other| other != fault);
        match self.scenario.plan.faults[fault].kind.clone() {
            FaultKind::Crash(node) => self.revive(node),
            FaultKind::PowerLoss(nodes) => nodes.into_iter().for_each(|node| self.revive(node)),
            FaultKind::Pause(node) => {
                self.nodes[usize::from(node.0)].paused -= 1;
                self.go_on(node);
            }
            _ => {}
        }
    }

    fn kill(&mut self, fault: usize, node: NodeId) {
        let survives = self.random.chance(0.5);
        let at = &mut self.nodes[usize::from(node.0)];
        at.down += 1;
        if at.down == 1 {
            self.effects[fault] += 1;
            self.counts.records_lost += u64::from(at.kill(survives));
        }
    }

    fn revive(&mut self, node: NodeId) {
        let at = &mut self.nodes[usize::from(node.0)];
        at.down -= 1;
        if at.down == 0 {
            self.counts.restarts += 1;
            self.boot(node);
        }
    }

    fn boot(&mut self, id: NodeId) {
        let mut out = vec![];
        let node = &mut self.nodes[usize::from(id.0)];
        node.state = Some(P::boot(self.config, id, &node.disk, &mut out));
        node.effects.extend(out);
        self.go_on(id);
    }

    fn input(&mut self, node: NodeId, input: Input<P>) {
        let at = &mut self.nodes[usize::from(node.0)];
        if at.down > 0 {
            return;
        }
        at.inputs.push_back(input);
        self.go_on(node);
    }

    /// Carries out what the node has to do, until it waits for its disk or for something to happen.
    fn go_on(&mut self, id: NodeId) {
        let at = usize::from(id.0);
        while let Waiting::No = self.nodes[at].waiting() {
            if let Some(effect) = self.nodes[at].effects.pop_front() {
                self.carry_out(id, effect);
            } else if let Some(input) = self.nodes[at].inputs.pop_front() {
                let node = &mut self.nodes[at];
                let (time, mut out) = (Time(node.clock(self.now)), vec![]);
                let state = node.state.as_mut().expect("a node that is up has a state");
                state.step(self.config, time, input, &mut out);
                node.effects.extend(out);
            } else {
                break;
            }
        }
        if self.nodes[at].paused > 0 && !self.nodes[at].inputs.is_empty() {
            self.took_effect(|kind| matches!(kind, FaultKind::Pause(node) if *node == id));
        }
    }

    fn carry_out(&mut self, from: NodeId, effect: Effect<P>) {
        match effect {
            Effect::Send { to, msg } => self.send(from, to, msg),
            Effect::Reply { client: ClientId(client), id, ret } => {
                let back = self.random.exponential(MS);
                self.schedule(back, Event::Answer { client, id, ret });
            }
            Effect::SetTimer { timer, after } => {
                let width = (after.end.saturating_sub(after.start)).as_nanos() as u64;
                let wait = after.start.as_nanos() as u64 + self.random.below(width.max(1));
                let set = self.scheduled + 1;
                let node = &mut self.nodes[usize::from(from.0)];
                node.timers.insert(timer.clone(), set);
                let (life, wait) = (node.life, node.duration(wait));
                self.schedule(wait, Event::Timer { node: from, life, timer, set });
            }
            Effect::CancelTimer(timer) => {
                self.nodes[usize::from(from.0)].timers.remove(&timer);
            }
            Effect::Persist(record) => {
                let mut takes = self.random.exponential(self.scenario.disk_us * US);
                if let Some(ms) = self.slow_disk(from) {
                    takes += self.random.below(u64::from(ms) * MS);
                }
                let node = &mut self.nodes[usize::from(from.0)];
                node.writing = Some(record);
                let life = node.life;
                self.schedule(takes, Event::Written { node: from, life });
            }
            Effect::Choose { key, n } => {
                let pick = self.random.below(u64::from(n)) as u32;
                self.nodes[usize::from(from.0)].inputs.push_front(Input::Chosen { key, pick });
            }
            Effect::Note(_) => {}
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, msg: P::Msg) {
        debug_assert_ne!(from, to, "a node does not send to itself");
        let nodes = self.scenario.nodes;
        let (mut loss, mut doubled, mut mean) = (0, 0, MS);
        for i in 0..self.active.len() {
            let fault = self.active[i];
            match self.scenario.plan.faults[fault].kind {
                FaultKind::Loss(permille) if self.random.below(1_000) < u64::from(permille) => {
                    loss = fault + 1
                }
                FaultKind::Duplication(permille) if self.random.below(1_000) < u64::from(permille) => {
                    doubled = fault + 1;
                }
                FaultKind::Delay(ms) => {
                    mean = mean.max(u64::from(ms) * MS / 3);
                    self.effects[fault] += 1;
                }
                ref kind if kind.cuts(nodes, from, to) => loss = fault + 1,
                _ => {}
            }
        }
        if loss > 0 {
            self.effects[loss - 1] += 1;
            self.counts.lost += 1;
            return;
        }
        if doubled > 0 {
            self.effects[doubled - 1] += 1;
            let after = self.random.exponential(4 * mean);
            self.schedule(after, Event::Deliver { from, to, msg: msg.clone() });
        }
        let after = self.random.exponential(mean);
        self.schedule(after, Event::Deliver { from, to, msg });
    }

    fn slow_disk(&mut self, id: NodeId) -> Option<u16> {
        let slow = |kind: &FaultKind| matches!(kind, FaultKind::SlowDisk(node, _) if *node == id);
        let fault = *self.active.iter().find(|&&i| slow(&self.scenario.plan.faults[i].kind))?;
        self.effects[fault] += 1;
        match self.scenario.plan.faults[fault].kind {
            FaultKind::SlowDisk(_, ms) => Some(ms),
            _ => None,
        }
    }

    fn took_effect(&mut self, is_it: impl Fn(&FaultKind) -> bool) {
        for &fault in &self.active {
            self.effects[fault] += u64::from(is_it(&self.scenario.plan.faults[fault].kind));
        }
    }

    fn outcome(self) -> Outcome {
        Outcome {
            history: self.builder.finish(),
            unanswered: self.unanswered,
            counts: self.counts,
            effects: self.effects,
        }
    }
}

impl<P: Recorded> Client<P> {
    fn is_done(&self) -> bool {
        self.asked.is_none() && self.last.is_empty()
    }
}

#[cfg(test)]
mod tests;
