//! What all hosts of a simulation share: what is written down, which faults last, and what each node's
//! machine is like. Everything runs on one thread, one host at a time.

use crate::nemesis::{Fault, FaultKind, Plan};
use crate::outcome::{Broke, Counts, Rules};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::scenario::Scenario;
use crate::trace::{Kind, Place, Trace};
use crate::world::clock::Clock;
use shakedown_impls::protocol::NodeId;
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::task::Waker;

pub(super) const MS: u64 = 1_000_000;

/// A run of a usual cluster that works takes far fewer.
const INPUTS_MAX: u64 = 1_000_000;

pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) nodes: u16,
    pub(super) disk_us: u64,
    /// Inputs that nodes may take; a run that takes more does not settle.
    pub(super) inputs_max: u64,
    /// How long a message waits before it is handed to its connection, on average; 0: not at all.
    pub(super) jitter_ns: u64,
    /// What goes wrong: of faults for whoever leads, once they have begun, for whom.
    pub(super) plan: RefCell<Plan>,
    state: RefCell<State>,
}

pub(super) struct State {
    /// The time between two steps of the simulation.
    pub(super) between_ns: u64,
    pub(super) recorder: Recorder,
    pub(super) trace: Option<Trace>,
    pub(super) counts: Counts,
    pub(super) notes: BTreeMap<String, u64>,
    pub(super) effects: Vec<u64>,
    /// Faults that last, by their place in the plan.
    pub(super) active: Vec<usize>,
    pub(super) broke: Option<Broke>,
    pub(super) machines: Vec<Machine>,
    /// Who leads, as far as anybody has said so.
    pub(super) leader: NodeId,
    /// Requests so far.
    pub(super) requests: u64,
    /// Clients that are through.
    pub(super) done: u32,
}

/// What a node runs on.
pub(super) struct Machine {
    /// The faults that keep it down, by their place in the plan.
    pub(super) downed_by: Vec<usize>,
    /// Its disk is damaged beyond repair: it does not start any more.
    pub(super) is_lost: bool,
    /// How many faults keep it still, and who is to be told when none does.
    pub(super) paused: u32,
    pub(super) parked: Option<Waker>,
    pub(super) clock: Clock,
    /// How often it was started.
    pub(super) lives: u64,
    /// A bit of its disk is to flip before it is read again.
    pub(super) rots: bool,
    /// Records that are durable, and that are being made so.
    pub(super) durable: usize,
    pub(super) writing: usize,
    /// What its link, its disk and its wires draw from.
    pub(super) random: Random,
}

impl Machine {
    pub(super) fn is_down(&self) -> bool {
        self.is_lost || !self.downed_by.is_empty()
    }
}

impl Shared {
    pub(super) fn new<Op>(scenario: &Scenario<Op>, jitter_ns: u64, is_traced: bool) -> Shared {
        let Scenario { seed, nodes, disk_us, ref plan, .. } = *scenario;
        let clients = scenario.scripts.len() as u32;
        let machine = |id| {
            let mut random = Random::stream(seed, "machine", id);
            Machine {
                downed_by: vec![],
                is_lost: false,
                paused: 0,
                parked: None,
                clock: Clock::draw(&mut random),
                lives: 0,
                rots: false,
                durable: 0,
                writing: 0,
                random,
            }
        };
        let state = State {
            between_ns: 0,
            recorder: Recorder::new(clients),
            trace: is_traced.then(Trace::default),
            counts: Counts::default(),
            notes: BTreeMap::new(),
            effects: vec![0; plan.faults.len()],
            active: vec![],
            broke: None,
            machines: (0..u64::from(nodes)).map(machine).collect(),
            leader: NodeId(0),
            requests: 0,
            done: 0,
        };
        Shared {
            seed,
            nodes,
            disk_us,
            inputs_max: scenario.inputs_max(INPUTS_MAX),
            jitter_ns,
            plan: RefCell::new(plan.clone()),
            state: RefCell::new(state),
        }
    }

    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    pub(super) fn machine(&self, id: NodeId) -> RefMut<'_, Machine> {
        RefMut::map(self.state(), |state| &mut state.machines[usize::from(id.0)])
    }

    pub(super) fn into_state(self) -> State {
        self.state.into_inner()
    }

    /// The time: inside a host's turn the host's, which may be ahead of another's by one step.
    pub(super) fn now(&self) -> u64 {
        match turmoil::sim_elapsed() {
            Some(elapsed) => elapsed.as_nanos() as u64,
            None => self.state().between_ns,
        }
    }

    pub(super) fn trace(&self, place: Place, kind: Kind, what: impl FnOnce() -> String) {
        let now = self.now();
        if let Some(trace) = &mut self.state().trace {
            trace.push(now, place, kind, what());
        }
    }

    /// One more fault, which is never healed: its place in the plan.
    pub(super) fn add_fault(&self, kind: FaultKind, from_ms: u64) -> usize {
        let faults = &mut self.plan.borrow_mut().faults;
        faults.push(Fault { from_ms, until_ms: u64::MAX, kind });
        self.state().effects.push(0);
        faults.len() - 1
    }

    /// What the fault is, which begins now.
    pub(super) fn aimed(&self, fault: usize) -> FaultKind {
        let kind = &mut self.plan.borrow_mut().faults[fault].kind;
        if let FaultKind::Leader(aim) = *kind {
            *kind = aim.at(self.state().leader);
        }
        kind.clone()
    }

    /// What the fault is.
    pub(super) fn kind(&self, fault: usize) -> FaultKind {
        self.plan.borrow().faults[fault].kind.clone()
    }

    /// The first of the faults that last and are like that.
    pub(super) fn fault(&self, is_it: impl Fn(&FaultKind) -> bool) -> Option<usize> {
        let state = self.state();
        state.active.iter().copied().find(|&fault| is_it(&self.plan.borrow().faults[fault].kind))
    }

    /// Faults that are like that have changed something, those of them that last.
    pub(super) fn took_effect(&self, is_it: impl Fn(&FaultKind) -> bool) {
        let state = &mut *self.state();
        for &fault in &state.active {
            state.effects[fault] += u64::from(is_it(&self.plan.borrow().faults[fault].kind));
        }
    }

    pub(super) fn took_effect_once(&self, fault: usize) {
        self.state().effects[fault] += 1;
    }

    /// The fault of the plan that now keeps what `from` sends from `to`, if one does.
    pub(super) fn cut_by(&self, from: NodeId, to: NodeId) -> Option<usize> {
        let now = self.now();
        let state = self.state();
        let cuts = |&fault: &usize| {
            let since_ms = (now / MS).saturating_sub(self.plan.borrow().faults[fault].from_ms);
            self.plan.borrow().faults[fault].kind.cuts(self.nodes, since_ms, from, to)
        };
        state.active.iter().copied().find(cuts)
    }

    /// Whether a machine is without power, by a fault that lasts.
    pub(super) fn is_dark(&self, id: NodeId) -> bool {
        let is_power =
            |&fault: &usize| matches!(self.plan.borrow().faults[fault].kind, FaultKind::PowerLoss(_));
        self.machine(id).downed_by.iter().any(is_power)
    }

    /// Bytes went into a cut. True if they did: they will not arrive.
    pub(super) fn meets_cut(&self, from: NodeId, to: NodeId, what: impl FnOnce() -> String) -> bool {
        let Some(fault) = self.cut_by(from, to) else { return false };
        self.took_effect_once(fault);
        self.state().counts.lost += 1;
        let name = self.plan.borrow().faults[fault].kind.name();
        self.trace(Place::Link(from, to), Kind::Lost, || format!("{} ({name})", what()));
        true
    }

    /// A node did what it must not.
    pub(super) fn breaks(&self, node: NodeId, rules: Rules, how: String) {
        self.trace(Place::Node(node), Kind::Down, || how.clone());
        self.state().broke.get_or_insert(Broke { node, rules, how });
    }
}
