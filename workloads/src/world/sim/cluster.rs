//! The simulation itself: hosts on turmoil's network, and the plan's faults carried out between steps.

use super::clients::{Asks, Client, Together};
use super::gate::Gate;
use super::server::host;
use super::shared::{MS, Shared};
use crate::manner::Manner;
use crate::nemesis::FaultKind;
use crate::operation::Operation;
use crate::outcome::{Outcome, Rules};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::trace::{Kind, Place};
use shakedown_impls::protocol::NodeId;
use std::future::{Future, pending};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use turmoil::{Builder, Sim};

/// The name of the host of all clients.
const CLIENTS: &str = "clients";

/// Connections that may wait for a host that stands still, and segments for one connection. Turmoil
/// panics over the first, so it is more than all clients and nodes can dial in a run.
const SOCKETS_MAX: usize = 1 << 14;

/// What the world knows of the servers it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Servers {
    /// Our driver: every fault reaches it, and is counted where it takes effect.
    Ours,
    /// Any: faults are what turmoil itself can do, and are counted when they are carried out.
    Any,
}

pub(super) struct Cluster<'s, Op> {
    sim: Sim<'static>,
    shared: Rc<Shared>,
    scenario: &'s Scenario<Op>,
    servers: Servers,
    manner: Manner,
    is_stopped: bool,
    /// The nodes', then the clients'.
    addresses: Rc<[IpAddr]>,
    /// For each host and each host, whether the first is cut off from the second now.
    cut: Vec<bool>,
    /// Whether it has to be looked again at what is cut off.
    cuts_changed: bool,
    latency_max: Duration,
}

impl<'s, Op: Operation> Cluster<'s, Op> {
    pub(super) fn new(scenario: &'s Scenario<Op>, manner: &Manner, servers: Servers) -> Cluster<'s, Op> {
        let mut random = Random::stream(scenario.seed, "network", 0);
        let latency_max = Duration::from_millis(1 << random.below(5));
        // A connection keeps messages in their order. Where several threads or connections carry them
        // they overtake each other, as protocols must allow for: so in half of the runs.
        let jitter_ns = if random.chance(0.5) { MS << random.below(3) } else { 0 };
        let shared = Shared::new(scenario, jitter_ns, manner.is_traced);
        let mut builder = Builder::new();
        builder
            // Unset, it would be the time of day.
            .epoch(SystemTime::UNIX_EPOCH)
            .rng_seed(random.below(u64::MAX))
            .enable_random_order()
            .simulation_duration(Duration::MAX)
            .min_message_latency(Duration::ZERO)
            .max_message_latency(latency_max)
            .tcp_capacity(SOCKETS_MAX)
            .udp_capacity(SOCKETS_MAX);
        if random.chance(0.5) {
            // Sectors of writes that were not synced survive a loss of power, by lot; else none do.
            builder.fs().block_size(crate::driver::log::SECTOR_BYTES as u64);
        }
        let sim = builder.build();
        let names = (0..scenario.nodes).map(|id| host(NodeId(id))).chain([CLIENTS.to_owned()]);
        let addresses: Rc<[IpAddr]> = names.map(|name| sim.lookup(name)).collect();
        let cut = vec![false; addresses.len() * addresses.len()];
        Cluster {
            sim,
            shared: Rc::new(shared),
            scenario,
            servers,
            manner: manner.clone(),
            is_stopped: false,
            addresses,
            cut,
            cuts_changed: false,
            latency_max,
        }
    }

    pub(super) fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }

    /// Addresses of the nodes.
    pub(super) fn addresses(&self) -> &Rc<[IpAddr]> {
        &self.addresses
    }

    /// Runs the cluster to its end. `serve` is a node's program, called again at each start.
    pub(super) fn run<F, A>(
        mut self,
        serve: impl Fn(NodeId) -> F + Clone + 'static,
        asks: impl Fn(u32) -> A,
    ) -> Outcome
    where
        F: Future<Output = String> + 'static,
        A: Asks<Op> + 'static,
    {
        for id in (0..self.scenario.nodes).map(NodeId) {
            let (shared, serve) = (self.shared.clone(), serve.clone());
            self.sim.host(host(id), move || {
                let (shared, serve) = (shared.clone(), serve.clone());
                async move {
                    // A process that was killed: its machine goes on without it.
                    if shared.machine(id).is_down() {
                        return pending().await;
                    }
                    shared.machine(id).lives += 1;
                    let inner = Some(Box::pin(serve(id)));
                    let ended = Gate { shared: shared.clone(), id, inner }.await;
                    if !shared.machine(id).is_down() {
                        shared.breaks(id, Rules::Boundary, ended);
                    }
                    pending().await
                }
            });
        }
        let numbers = 0..self.scenario.scripts.len() as u32;
        let client = |number| Client::new(self.shared.clone(), self.scenario, number, asks(number)).run();
        let clients = Together(numbers.map(|number| Some(Box::pin(client(number)))).collect());
        self.sim.client(CLIENTS, async move {
            clients.await;
            Ok(())
        });
        drop((serve, asks));
        self.steps();
        self.outcome()
    }

    /// A step is a millisecond. Faults begin and end between steps.
    fn steps(&mut self) {
        let length_ms = self.scenario.length_ms;
        let mut changes: Vec<(u64, bool, usize)> = vec![];
        for (i, fault) in self.scenario.plan.faults.iter().enumerate() {
            changes.push((fault.from_ms, true, i));
            changes.push((fault.until_ms, false, i));
        }
        changes.sort_by_key(|change| change.0);
        let mut changes = changes.into_iter().peekable();
        for now_ms in 0..=length_ms + self.scenario.recovery_ms {
            self.shared.state().between_ns = now_ms * MS;
            while let Some((_, begins, fault)) = changes.next_if(|change| change.0 <= now_ms) {
                if begins { self.begin(fault) } else { self.heal(fault) }
            }
            if now_ms == length_ms {
                self.begin_lasting();
            }
            self.cut();
            let is_done = self.sim.step();
            if let Err(error) = &is_done {
                // Servers' panics are caught; what is left is a mistake of this world or of a client.
                panic!("the simulation of seed {} failed: {error}", self.scenario.seed);
            }
            let is_over = is_done.is_ok_and(|is_done| is_done) && now_ms >= length_ms;
            self.is_stopped = !is_over && self.manner.is_over();
            if is_over || self.is_stopped || self.shared.state().broke.is_some() {
                break;
            }
        }
        if !self.is_stopped && self.shared.state().broke.is_none() {
            assert!(changes.next().is_none(), "every fault is healed by the end of the plan");
        }
    }

    fn begin_lasting(&mut self) {
        let Some(kind) = self.scenario.lasting.clone() else { return };
        let fault = self.shared.add_fault(kind, self.scenario.length_ms);
        self.begin(fault);
    }

    fn begin(&mut self, fault: usize) {
        let kind = self.shared.aimed(fault);
        let now = self.shared.now();
        self.shared.trace(Place::World, Kind::Fault, || format!("begins: {kind}"));
        self.shared.state().active.push(fault);
        self.cuts_changed = true;
        self.shared.state().recorder.fault_begins(&kind, now);
        match kind {
            FaultKind::Crash(node) | FaultKind::BitRot(node) => self.kill(fault, node),
            FaultKind::PowerLoss(nodes) => nodes.into_iter().for_each(|node| self.kill(fault, node)),
            FaultKind::Pause(node) => self.shared.machine(node).paused += 1,
            FaultKind::ClockJump(node, ms) => self.shared.machine(node).clock.jump(now, ms),
            FaultKind::ClockDrift(node, permille) => {
                self.shared.machine(node).clock.drift_more(now, i64::from(permille));
            }
            FaultKind::Split(_)
            | FaultKind::Flap(..)
            | FaultKind::Mute(_)
            | FaultKind::Deaf(_)
            | FaultKind::Bridge(_)
            | FaultKind::Ring
                if self.servers == Servers::Any =>
            {
                self.shared.took_effect_once(fault);
            }
            FaultKind::Delay(ms) if self.servers == Servers::Any => {
                self.sim.set_max_message_latency(Duration::from_millis(u64::from(ms)));
                self.shared.took_effect_once(fault);
            }
            _ => {}
        }
    }

    fn heal(&mut self, fault: usize) {
        let kind = self.shared.kind(fault);
        let (now, effects) = (self.shared.now(), self.shared.state().effects[fault]);
        self.shared.trace(Place::World, Kind::Fault, || format!("is healed: {kind} ({effects} effects)"));
        self.shared.state().active.retain(|&other| other != fault);
        self.cuts_changed = true;
        self.shared.state().recorder.fault_ends(&kind, effects, now);
        match kind {
            FaultKind::Crash(node) | FaultKind::FailingDisk(node) => self.revive(fault, node),
            FaultKind::BitRot(node) => {
                // Another fault may have started it meanwhile; a disk rots under a node that is down.
                if self.shared.machine(node).downed_by.contains(&fault) {
                    self.shared.machine(node).rots = true;
                }
                self.revive(fault, node);
            }
            FaultKind::PowerLoss(nodes) => nodes.into_iter().for_each(|node| self.revive(fault, node)),
            FaultKind::Pause(node) => {
                let mut machine = self.shared.machine(node);
                machine.paused -= 1;
                if machine.paused == 0
                    && let Some(waker) = machine.parked.take()
                {
                    waker.wake();
                }
            }
            FaultKind::ClockDrift(node, permille) => {
                self.shared.machine(node).clock.drift_more(now, -i64::from(permille));
            }
            FaultKind::Delay(_) if self.servers == Servers::Any => {
                self.sim.set_max_message_latency(self.latency_max);
            }
            _ => {}
        }
    }

    /// Ends a node's program. A process that is killed says so to its peers, and what it gave to its disk
    /// is there; a machine without power says nothing, and loses what was not synced.
    fn kill(&mut self, fault: usize, node: NodeId) {
        let mut machine = self.shared.machine(node);
        let was_down = machine.is_down();
        machine.downed_by.push(fault);
        self.cuts_changed = true;
        let writing = machine.writing;
        drop(machine);
        if !was_down {
            self.shared.took_effect_once(fault);
            self.shared.trace(Place::Node(node), Kind::Down, || match writing {
                0 => "nothing was being written".to_owned(),
                _ => format!("{writing} records were being written"),
            });
        }
        if matches!(self.shared.kind(fault), FaultKind::PowerLoss(_)) {
            self.cut();
            self.sim.crash(host(node));
        } else if !was_down {
            // The same program starts again, and does nothing: `crash` would lose what was not synced.
            self.sim.bounce(host(node));
        }
    }

    fn revive(&mut self, fault: usize, node: NodeId) {
        let mut machine = self.shared.machine(node);
        let was_downed = !machine.downed_by.is_empty();
        machine.downed_by.retain(|&other| other != fault);
        self.cuts_changed = true;
        let starts = was_downed && !machine.is_down();
        drop(machine);
        if starts {
            self.shared.state().counts.restarts += 1;
            self.cut();
            self.sim.bounce(host(node));
        }
    }

    /// Has turmoil cut what the faults that last cut: several may cut the same way, and one that is
    /// healed must not join what another keeps apart.
    fn cut(&mut self) {
        let is_flapping = |&fault: &usize| matches!(self.shared.kind(fault), FaultKind::Flap(..));
        let is_stale = self.shared.state().active.iter().any(is_flapping);
        if !std::mem::take(&mut self.cuts_changed) && !is_stale {
            return;
        }
        let hosts = self.addresses.len();
        let node = |host: usize| (host + 1 < hosts).then_some(NodeId(host as u16));
        for from in 0..hosts {
            for to in (0..hosts).filter(|&to| to != from) {
                let is_dark = [from, to].into_iter().filter_map(node).any(|id| self.shared.is_dark(id));
                let is_cut = is_dark
                    || node(from)
                        .zip(node(to))
                        .is_some_and(|(from, to)| self.shared.cut_by(from, to).is_some());
                if is_cut == std::mem::replace(&mut self.cut[from * hosts + to], is_cut) {
                    continue;
                }
                let (from, to) = (self.addresses[from], self.addresses[to]);
                match is_cut {
                    true => self.sim.partition_oneway(from, to),
                    false => self.sim.repair_oneway(from, to),
                }
            }
        }
    }

    fn outcome(self) -> Outcome {
        let clients = self.scenario.scripts.len() as u32;
        // Ends the hosts, which say farewell on their sockets; nobody listens any more.
        drop(self.sim);
        let shared = Rc::try_unwrap(self.shared).ok().expect("the hosts are gone");
        let state = shared.into_state();
        Outcome {
            history: state.recorder.finish(),
            unanswered: clients - state.done,
            broke: state.broke,
            is_stopped: self.is_stopped,
            counts: state.counts,
            notes: state.notes,
            effects: state.effects,
            trace: state.trace,
        }
    }
}
