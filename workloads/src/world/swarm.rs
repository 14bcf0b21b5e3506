//! The swarm world: one queue of events, no sockets, no threads, every chance from one seed.
//!
//! It is the fastest world, so it is the one that looks for rare schedules: thousands of runs a
//! second, each with another mix of faults. What happens in it:
//!
//! - Messages take an exponentially distributed time, so that they overtake each other; faults lose,
//!   double, delay and corrupt them ([`crate::nemesis`]). Corrupted ones meet the real frame's checksum.
//! - A record takes time to be written; records with nothing between them are written together. Until
//!   they are durable the node does nothing: not the effects behind them, no other input. A node whose
//!   process is killed in that time has written some of them, from the first on. One that loses power has
//!   any sectors of them, and starts with what the real recovery makes of that. Bits rot.
//! - Clocks of nodes start anywhere, drift, and jump.
//! - Clients ask one node after another, one request at a time. What is not answered in time is
//!   recorded as indeterminate, and the client goes on as a new process, at another node. What may be
//!   repeated is sent to another node first.
//! - When the faults are over, and all is healed, each client asks its last questions. A request that is
//!   not answered then is a finding as well: the cluster makes no progress.
//!
//! The same scenario gives the same history and the same trace, byte for byte. Each node and each client
//! draws from a stream of its own, so that taking something out changes little else.
//!
//! Not here: anything below a message (streams, connections, backpressure); that is what
//! [`crate::world::sim`] is for.

mod disk;
mod faults;
mod network;
mod node;
mod queue;
pub mod shrink;
#[cfg(test)]
mod tests;

use crate::manner::Manner;
use crate::nemesis::{ELECTED, FaultKind};
use crate::operation::{Operation, Subject};
use crate::outcome::{Broke, Counts, Outcome, Rules, Watch};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::scenario::Scenario;
use crate::trace::{Kind, Place, Trace};
use crate::world::caught;
use node::Node;
use queue::Queue;
use shakedown_impls::protocol::{ClientId, Effect, Input, NodeId, Protocol, RequestId, Time};
use std::collections::{BTreeMap, VecDeque};

const MS: u64 = 1_000_000;
const US: u64 = 1_000;

/// A run of a cluster that works takes far fewer; one that reaches this does not settle.
const INPUTS_MAX: u64 = 5_000_000;

/// Runs a scenario.
pub fn run<P: Subject>(config: &P::Config, scenario: &Scenario<P::Op>) -> Outcome {
    run_watched::<P>(config, scenario, &Manner::default(), &mut ())
}

/// Runs a scenario, and writes down what happens.
pub fn run_traced<P: Subject>(config: &P::Config, scenario: &Scenario<P::Op>) -> Outcome {
    run_watched::<P>(config, scenario, &Manner::traced(), &mut ())
}

/// Runs a scenario under the eyes of `watch`.
pub fn run_watched<P: Subject>(
    config: &P::Config,
    scenario: &Scenario<P::Op>,
    manner: &Manner,
    watch: &mut dyn Watch<P>,
) -> Outcome {
    let mut world = World::<P>::new(config, scenario, manner.is_traced.then(Trace::default), watch);
    world.start();
    world.run(manner);
    world.outcome()
}

enum Event<P: Protocol> {
    Deliver {
        from: NodeId,
        to: NodeId,
        msg: P::Msg,
    },
    Request {
        to: NodeId,
        client: u32,
        id: RequestId,
        op: P::Op,
    },
    Answer {
        client: u32,
        id: RequestId,
        ret: P::Ret,
    },
    Ask {
        client: u32,
    },
    /// A client may have lost its patience.
    Impatient {
        client: u32,
    },
    /// A timer may be due.
    Wake {
        node: NodeId,
        life: u32,
    },
    Written {
        node: NodeId,
        life: u32,
    },
    Begin {
        fault: usize,
    },
    Heal {
        fault: usize,
    },
}

struct Client<P: Protocol> {
    node: NodeId,
    /// How much of its script it has begun.
    begun: usize,
    /// The request under way.
    asked: Option<(RequestId, P::Op)>,
    /// When it asks another node, and when it gives up.
    retry_at: Option<u64>,
    give_up_at: Option<u64>,
    /// When it looks at the time, if at all.
    wake: Option<u64>,
    /// The nodes that it went to: only they have a way back to the client.
    asked_of: Vec<NodeId>,
    /// What is left to ask after everything is healed; nothing before.
    last: VecDeque<P::Op>,
    random: Random,
}

struct World<'w, P: Subject> {
    config: &'w P::Config,
    scenario: &'w Scenario<P::Op>,
    now: u64,
    queue: Queue<Event<P>>,
    nodes: Vec<Node<P>>,
    clients: Vec<Client<P>>,
    requests: u64,
    /// What each fault of the plan is: of those for whoever leads, once they have begun, for whom.
    kinds: Vec<FaultKind>,
    /// Who leads, as far as anybody has said so.
    leader: NodeId,
    /// Faults that last, by their place in the plan.
    active: Vec<usize>,
    is_healed: bool,
    recorder: Recorder,
    unanswered: u32,
    broke: Option<Broke>,
    is_stopped: bool,
    counts: Counts,
    /// One that takes more does not settle.
    inputs_max: u64,
    effects: Vec<u64>,
    trace: Option<Trace>,
    /// What a step wants done; empty between steps.
    out: Vec<Effect<P>>,
    watch: &'w mut dyn Watch<P>,
    notes: BTreeMap<String, u64>,
}

impl<'w, P: Subject> World<'w, P> {
    fn new(
        config: &'w P::Config,
        scenario: &'w Scenario<P::Op>,
        trace: Option<Trace>,
        watch: &'w mut dyn Watch<P>,
    ) -> World<'w, P> {
        let seed = scenario.seed;
        let node = |id| Node::new(config, Random::stream(seed, "node", id));
        let nodes = (0..u64::from(scenario.nodes)).map(node);
        let clients = (0..scenario.scripts.len() as u64).map(|id| {
            let mut random = Random::stream(seed, "client", id);
            let node = NodeId(random.below(u64::from(scenario.nodes)) as u16);
            Client {
                node,
                begun: 0,
                asked: None,
                retry_at: None,
                give_up_at: None,
                wake: None,
                asked_of: vec![],
                last: VecDeque::new(),
                random,
            }
        });
        World {
            config,
            scenario,
            now: 0,
            queue: Queue::new(),
            nodes: nodes.collect(),
            clients: clients.collect(),
            requests: 0,
            kinds: scenario.plan.faults.iter().map(|fault| fault.kind.clone()).collect(),
            leader: NodeId(0),
            active: vec![],
            is_healed: false,
            recorder: Recorder::new(scenario.scripts.len() as u32),
            unanswered: 0,
            broke: None,
            is_stopped: false,
            counts: Counts::default(),
            inputs_max: scenario.inputs_max(INPUTS_MAX),
            effects: vec![0; scenario.plan.faults.len()],
            trace,
            out: vec![],
            watch,
            notes: BTreeMap::new(),
        }
    }

    fn start(&mut self) {
        for node in 0..self.scenario.nodes {
            self.boot(NodeId(node));
        }
        for client in 0..self.clients.len() {
            self.ask_next(client as u32, 0);
        }
        for (i, fault) in self.scenario.plan.faults.iter().enumerate() {
            self.queue.push(fault.from_ms * MS, Event::Begin { fault: i });
            self.queue.push(fault.until_ms * MS, Event::Heal { fault: i });
        }
    }

    fn run(&mut self, manner: &Manner) {
        let length = self.scenario.length_ms * MS;
        let until = length + self.scenario.recovery_ms * MS;
        while self.broke.is_none() {
            if manner.is_over() {
                self.is_stopped = true;
                break;
            }
            let time = self.queue.next_time();
            if !self.is_healed && time.is_none_or(|time| time > length) {
                self.now = length;
                self.finish_scripts();
                continue;
            }
            let is_done = self.is_healed && self.clients.iter().all(Client::is_done);
            if is_done || time.is_none_or(|time| time > until) {
                break;
            }
            let (time, event) = self.queue.pop().expect("there is a next event");
            self.now = time;
            self.counts.events += 1;
            self.handle(event);
        }
        self.unanswered += self.clients.iter().filter(|client| !client.is_done()).count() as u32;
    }

    /// From here on each client only asks its last questions; one that still waits, after its answer.
    fn finish_scripts(&mut self) {
        assert!(self.active.is_empty(), "every fault is healed by the end of the plan");
        self.is_healed = true;
        if let Some(kind) = &self.scenario.lasting {
            self.kinds.push(kind.clone());
            self.effects.push(0);
            self.begin(self.kinds.len() - 1);
        }
        for client in 0..self.clients.len() {
            self.clients[client].begun = self.scenario.scripts[client].len();
            self.clients[client].last = self.scenario.last.clone().into();
            if self.clients[client].asked.is_none() {
                self.queue.push(self.now, Event::Ask { client: client as u32 });
            }
        }
    }

    fn handle(&mut self, event: Event<P>) {
        match event {
            Event::Deliver { from, to, msg } => {
                if !self.nodes[usize::from(to.0)].is_down() {
                    self.counts.delivered += 1;
                }
                self.input(to, Input::Msg { from, msg });
            }
            Event::Request { to, client, id, op } => {
                self.input(to, Input::Request { client: ClientId(client), id, op });
            }
            Event::Wake { node, life } => {
                if self.nodes[usize::from(node.0)].life == life {
                    self.go_on(node);
                }
            }
            Event::Written { node, life } => {
                if self.nodes[usize::from(node.0)].life == life {
                    self.trace_durable(node);
                    self.nodes[usize::from(node.0)].disk.sync();
                    self.go_on(node);
                }
            }
            Event::Ask { client } => self.ask(client),
            Event::Answer { client, id, ret } => self.answered(client, id, Some(ret)),
            Event::Impatient { client } => self.impatient(client),
            Event::Begin { fault } => self.begin(fault),
            Event::Heal { fault } => self.heal(fault),
        }
    }

    /// Has the client ask what is next in its script when that is due, but not before `after`.
    fn ask_next(&mut self, client: u32, after: u64) {
        let at = &self.clients[client as usize];
        let due = self.scenario.scripts[client as usize].get(at.begun).map(|request| request.due_us * US);
        if self.is_healed {
            self.queue.push(after, Event::Ask { client });
        } else if let Some(due) = due {
            self.queue.push(due.max(after), Event::Ask { client });
        }
    }

    fn ask(&mut self, client: u32) {
        let at = &mut self.clients[client as usize];
        if at.asked.is_some() {
            return;
        }
        let script = &self.scenario.scripts[client as usize];
        let op = match script.get(at.begun) {
            Some(request) => request.op.clone(),
            None => match at.last.pop_front() {
                Some(op) => op,
                None => return,
            },
        };
        at.begun = (at.begun + 1).min(script.len());
        self.requests += 1;
        let id = RequestId(self.requests);
        at.asked = Some((id, op.clone()));
        at.asked_of.clear();
        at.asked_of.push(at.node);
        let (to, there) = (at.node, at.random.duration(MS));
        self.trace(Place::Client(client), Kind::Asks, || format!("{to}: {op:?}"));
        self.recorder.invoked(client, &op, self.now);
        let retry = match self.is_healed {
            true => self.scenario.last_retry_ms(),
            false => self.scenario.retry_ms,
        };
        let retry = retry.filter(|_| op.is_repeatable());
        self.queue.push(self.now + there, Event::Request { to, client, id, op });
        // The healed cluster gets all the time there is.
        let (now, patience) = (self.now, self.scenario.timeout_ms);
        let at = &mut self.clients[client as usize];
        at.retry_at = retry.map(|ms| now + ms.max(1) * MS);
        at.give_up_at = (!self.is_healed).then(|| now + patience * MS);
        self.wait(client);
    }

    /// Has the client look at the time when it has to. It mostly has its answer before that: so there is
    /// one event for many requests.
    fn wait(&mut self, client: u32) {
        let at = &mut self.clients[client as usize];
        let Some(next) = at.retry_at.into_iter().chain(at.give_up_at).min() else { return };
        if at.wake.is_none_or(|wake| wake > next) {
            at.wake = Some(next);
            self.queue.push(next, Event::Impatient { client });
        }
    }

    fn impatient(&mut self, client: u32) {
        let (now, at) = (self.now, &mut self.clients[client as usize]);
        at.wake.take_if(|wake| *wake <= now);
        let Some((id, _)) = at.asked else { return };
        let gives_up = at.give_up_at.is_some_and(|time| time <= now);
        let retries = at.retry_at.take_if(|time| *time <= now).is_some();
        if gives_up {
            return self.answered(client, id, None);
        }
        if retries {
            self.retry(client, id);
        }
        self.wait(client);
    }

    /// Sends the request that the client still waits for to another node as well.
    fn retry(&mut self, client: u32, id: RequestId) {
        let nodes = u64::from(self.scenario.nodes);
        let at = &mut self.clients[client as usize];
        let Some((_, op)) = at.asked.clone().filter(|asked| asked.0 == id) else { return };
        at.node = NodeId(at.random.below(nodes) as u16);
        at.asked_of.push(at.node);
        let (to, there) = (at.node, at.random.duration(MS));
        self.trace(Place::Client(client), Kind::Retries, || format!("{to}: {op:?}"));
        self.queue.push(self.now + there, Event::Request { to, client, id, op });
        let after = self.scenario.last_retry_ms().expect("only scenarios with retries retry");
        self.clients[client as usize].retry_at = Some(self.now + after.max(1) * MS);
    }

    fn answered(&mut self, client: u32, id: RequestId, ret: Option<P::Ret>) {
        let at = &mut self.clients[client as usize];
        let Some((_, op)) = at.asked.take_if(|asked| asked.0 == id) else { return };
        match ret {
            Some(ret) => {
                self.counts.seen += u64::from(op.shows_effect(&ret));
                self.trace(Place::Client(client), Kind::Answered, || format!("{ret:?} to {op:?}"));
                self.recorder.answered(client, &op, &ret, self.now);
            }
            None => {
                at.node = NodeId(at.random.below(u64::from(self.scenario.nodes)) as u16);
                self.trace(Place::Client(client), Kind::GivesUp, || format!("{op:?}"));
                self.recorder.gave_up(client, &op, self.now);
            }
        }
        self.ask_next(client, self.now);
    }

    fn boot(&mut self, id: NodeId) {
        let (mut out, node) = (vec![], &mut self.nodes[usize::from(id.0)]);
        let booted = caught(|| {
            let durable = node.disk.load();
            (P::boot(self.config, id, &durable, &mut out), durable)
        });
        let durable = match booted {
            Ok((state, durable)) => {
                node.state = Some(state);
                durable
            }
            Err(how) => return self.breaks(id, how),
        };
        node.effects.extend(out);
        node.is_changed = true;
        self.trace(Place::Node(id), Kind::Start, || match durable == P::Durable::default() {
            true => "with an empty disk".to_owned(),
            false => format!("from its disk: {durable:?}"),
        });
        self.go_on(id);
    }

    fn input(&mut self, node: NodeId, input: Input<P>) {
        let at = &mut self.nodes[usize::from(node.0)];
        if at.is_down() {
            return;
        }
        at.inputs.push_back(input);
        if at.paused > 0 {
            self.took_effect(
                |kind| matches!(kind, crate::nemesis::FaultKind::Pause(other) if *other == node),
            );
        }
        self.go_on(node);
    }

    /// Has the node do what it has to do, until it waits for its disk or for something to happen.
    fn go_on(&mut self, id: NodeId) {
        let at = usize::from(id.0);
        while self.broke.is_none() && self.nodes[at].is_free() {
            if let Some(effect) = self.nodes[at].effects.pop_front() {
                self.carry_out(id, effect);
            } else if std::mem::take(&mut self.nodes[at].is_changed) {
                self.look_at(id);
            } else if let Some((key, pick)) = self.nodes[at].chosen.pop_front() {
                self.step(id, Input::Chosen { key, pick });
            } else if let Some(timer) = self.nodes[at].due(self.now) {
                self.step(id, Input::Timer(timer));
            } else if let Some(input) = self.nodes[at].inputs.pop_front() {
                self.step(id, input);
            } else {
                break;
            }
        }
        // One that is not free looks at its timers when it is.
        let node = &mut self.nodes[at];
        if let Some(due) = node.is_free().then(|| node.wake()).flatten() {
            let life = node.life;
            self.queue.push(due.max(self.now), Event::Wake { node: id, life });
        }
    }

    fn step(&mut self, id: NodeId, input: Input<P>) {
        self.counts.events += 1;
        let max = self.inputs_max;
        if self.counts.events > max {
            return self.breaks(id, format!("it does not settle: {max} events and no end"));
        }
        self.clock_matters(id);
        match &input {
            Input::Msg { from, msg } => {
                self.trace(Place::Node(id), Kind::Heard, || format!("{from}: {msg:?}"));
            }
            Input::Timer(timer) => self.trace(Place::Node(id), Kind::Timer, || format!("{timer:?}")),
            Input::Request { client, op, .. } => {
                self.trace(Place::Node(id), Kind::Heard, || format!("{client}: {op:?}"));
            }
            Input::Chosen { .. } => {}
        }
        let node = &mut self.nodes[usize::from(id.0)];
        let time = Time(node.clock.shows(self.now));
        let state = node.state.as_mut().expect("a node that is up has a state");
        match caught(|| state.step(self.config, time, input, &mut self.out)) {
            Ok(()) => node.effects.extend(self.out.drain(..)),
            Err(how) => return self.breaks(id, how),
        }
        node.is_changed = true;
    }

    fn look_at(&mut self, id: NodeId) {
        let state = self.nodes[usize::from(id.0)].state.as_ref().expect("a node that is up has a state");
        if let Err(how) = self.watch.saw(id, state) {
            self.broken(Broke { node: id, rules: Rules::Invariant, how });
        }
    }

    fn carry_out(&mut self, from: NodeId, effect: Effect<P>) {
        let node = &mut self.nodes[usize::from(from.0)];
        match effect {
            Effect::Send { to, .. } if to == from || to.0 >= self.scenario.nodes => {
                let nodes = self.scenario.nodes;
                self.breaks(from, format!("it sends to {to}: expected another of the {nodes} nodes"));
            }
            Effect::Send { to, msg } => self.send(from, to, msg),
            Effect::Reply { client: ClientId(client), id, ret } => {
                if client as usize >= self.clients.len() || id.0 > self.requests {
                    let how = format!("it answers request {} of c{client}, who never made it", id.0);
                    return self.breaks(from, how);
                }
                let at = &self.clients[client as usize];
                let is_asked = at.asked.as_ref().is_some_and(|asked| asked.0 == id);
                if is_asked && !at.asked_of.contains(&from) {
                    return self.trace(Place::Node(from), Kind::Lost, || {
                        format!("{ret:?} to c{client}, who did not ask here")
                    });
                }
                let back = node.random.duration(MS);
                self.queue.push(self.now + back, Event::Answer { client, id, ret });
            }
            Effect::SetTimer { timer, after } => {
                let width = after.end.saturating_sub(after.start).as_nanos() as u64;
                let wait = after.start.as_nanos() as u64 + node.random.below(width.max(1));
                node.timers.set(timer, self.now + node.clock.takes(wait));
            }
            Effect::CancelTimer(timer) => node.timers.cancel(&timer),
            Effect::Persist(record) => {
                node.disk.writing.push(record);
                while let Some(Effect::Persist(_)) = node.effects.front() {
                    let Some(Effect::Persist(record)) = node.effects.pop_front() else { unreachable!() };
                    node.disk.writing.push(record);
                }
                self.write(from);
            }
            Effect::Choose { n: 0, key } => self.breaks(from, format!("its choice {key} is one of nothing")),
            Effect::Choose { key, n } => {
                let pick = node.random.below(u64::from(n)) as u32;
                node.chosen.push_back((key, pick));
            }
            Effect::Note(note) => {
                if note.kind == ELECTED {
                    self.leader = from;
                }
                *self.notes.entry(note.kind.clone()).or_default() += 1;
                self.trace(Place::Node(from), Kind::Note, || format!("{}: {}", note.kind, note.detail));
            }
        }
    }

    fn breaks(&mut self, node: NodeId, how: String) {
        self.broken(Broke { node, rules: Rules::Boundary, how });
    }

    fn broken(&mut self, broke: Broke) {
        self.trace(Place::Node(broke.node), Kind::Note, || format!("BREAKS the rules: {}", broke.how));
        self.broke.get_or_insert(broke);
    }

    fn trace_durable(&mut self, node: NodeId) {
        if self.trace.is_some() {
            let records: Vec<String> = self.nodes[usize::from(node.0)]
                .disk
                .writing
                .iter()
                .map(|record| format!("{record:?}"))
                .collect();
            self.trace(Place::Node(node), Kind::Durable, || records.join(", "));
        }
    }

    fn trace(&mut self, place: Place, kind: Kind, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(self.now, place, kind, what());
        }
    }

    fn outcome(self) -> Outcome {
        Outcome {
            history: self.recorder.finish(),
            unanswered: self.unanswered,
            broke: self.broke,
            is_stopped: self.is_stopped,
            counts: self.counts,
            notes: self.notes,
            effects: self.effects,
            trace: self.trace,
        }
    }
}

impl<P: Protocol> Client<P> {
    fn is_done(&self) -> bool {
        self.asked.is_none() && self.last.is_empty()
    }
}
