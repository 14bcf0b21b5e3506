//! Our own driver in the simulation.

use super::clients::Asks;
use super::cluster::{Cluster, Servers};
use super::disk::SimDisk;
use super::link::FaultyLink;
use super::net::SimNet;
use super::server::{AskError, Server};
use super::shared::Shared;
use crate::driver::client::{self, Client};
use crate::driver::node::{Clock, Setup, Step, Stopped, serve};
use crate::driver::tcp::{Pace, Tcp};
use crate::manner::Manner;
use crate::nemesis::{ELECTED, FaultKind};
use crate::operation::Subject;
use crate::outcome::{Outcome, Rules, Watch};
use crate::scenario::Scenario;
use crate::trace::{Kind, Place};
use shakedown_impls::protocol::{ClientId, Effect, Input, NodeId, RequestId, Time};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Runs a scenario.
pub fn run<P: Subject>(config: &P::Config, scenario: &Scenario<P::Op>) -> Outcome {
    run_watched::<P>(config, scenario, &Manner::default(), Rc::new(RefCell::new(())))
}

/// Runs a scenario, and writes down what happens.
pub fn run_traced<P: Subject>(config: &P::Config, scenario: &Scenario<P::Op>) -> Outcome {
    run_watched::<P>(config, scenario, &Manner::traced(), Rc::new(RefCell::new(())))
}

/// Runs a scenario under the eyes of `watch`.
pub fn run_watched<P: Subject>(
    config: &P::Config,
    scenario: &Scenario<P::Op>,
    manner: &Manner,
    watch: Rc<RefCell<dyn Watch<P>>>,
) -> Outcome {
    let cluster = Cluster::new(scenario, manner, Servers::Ours);
    let net = |me| SimNet { shared: cluster.shared().clone(), me, addresses: cluster.addresses().clone() };
    let (clients, nodes) = (net(None), net(Some(NodeId(0))));
    let config = config.clone();
    let serve =
        move |id| node::<P>(config.clone(), id, SimNet { me: Some(id), ..nodes.clone() }, watch.clone());
    cluster.run(serve, move |number| {
        let client = Client::<P, SimNet>::new(ClientId(number), clients.clone(), pace());
        OurClient { client }
    })
}

/// Faster than the default: runs are short.
fn pace() -> Pace {
    let ms = Duration::from_millis;
    Pace { beat: ms(20), silence: ms(100), pause_min: ms(5), pause_max: ms(80) }
}

/// A node's program. It ends when the node's disk fails or is damaged.
async fn node<P: Subject>(
    config: P::Config,
    id: NodeId,
    net: SimNet,
    watch: Rc<RefCell<dyn Watch<P>>>,
) -> String {
    let shared = net.shared.clone();
    let seed = Server::new(&shared, id).seed;
    let listener = match net.listen().await {
        Ok(listener) => listener,
        Err(error) => return format!("it cannot listen: {error}"),
    };
    let tcp = Tcp::<P, SimNet>::new(id, net, listener, pace(), seed, Arc::default());
    let link = FaultyLink::new(tcp, shared.clone(), id);
    let disk = SimDisk::new(shared.clone(), id);
    let clock = NodeClock { shared: shared.clone(), id };
    let setup = Setup { config, id, seed };
    let observer = shared.clone();
    if shared.machine(id).lives > 1 {
        watch.borrow_mut().crashed(id);
    }
    let observe = move |step: Step<'_, P>| match step {
        Step::State(state) => {
            if let Err(how) = watch.borrow_mut().saw(id, state) {
                observer.breaks(id, Rules::Invariant, how);
            }
        }
        step => observer.observe::<P>(id, step),
    };
    let stopped = serve(setup, link, disk, clock, observe).await;
    shared.stopped(id, &stopped);
    stopped.to_string()
}

struct NodeClock {
    shared: Rc<Shared>,
    id: NodeId,
}

impl Clock for NodeClock {
    fn now(&self) -> Time {
        let now = self.shared.now();
        Time(self.shared.machine(self.id).clock.shows(now))
    }

    fn takes(&self, duration: Duration) -> Duration {
        let duration = u64::try_from(duration.as_nanos()).expect("timers are shorter than 500 years");
        Duration::from_nanos(self.shared.machine(self.id).clock.takes(duration))
    }
}

impl Shared {
    /// Writes down what a node does.
    fn observe<P: Subject>(&self, id: NodeId, step: Step<'_, P>) {
        let place = Place::Node(id);
        match step {
            Step::Recovered { records, repaired, cut_bytes } => {
                let mut machine = self.machine(id);
                let lost = (machine.durable + machine.writing).saturating_sub(records);
                (machine.durable, machine.writing) = (records, 0);
                drop(machine);
                let mut state = self.state();
                state.counts.records_lost += lost as u64;
                state.counts.records_repaired += repaired as u64;
                drop(state);
                self.trace(place, Kind::Start, || {
                    format!(
                        "with {records} records ({lost} lost, {repaired} repaired, {cut_bytes} bytes cut off)"
                    )
                });
            }
            Step::Input(_, input) => self.observe_input::<P>(id, input),
            Step::Effect(Effect::Persist(_)) => self.machine(id).writing += 1,
            Step::Effect(Effect::Note(note)) => {
                if note.kind == ELECTED {
                    self.state().leader = id;
                }
                *self.state().notes.entry(note.kind.clone()).or_default() += 1;
                self.trace(place, Kind::Note, || format!("{} {}", note.kind, note.detail));
            }
            Step::State(_) | Step::Effect(_) => {}
            Step::Durable(records) => {
                let mut machine = self.machine(id);
                machine.durable += records;
                machine.writing -= records;
                drop(machine);
                self.trace(place, Kind::Durable, || format!("{records} records"));
            }
        }
    }

    fn observe_input<P: Subject>(&self, id: NodeId, input: &Input<P>) {
        let place = Place::Node(id);
        let mut state = self.state();
        state.counts.events += 1;
        let max = self.inputs_max;
        assert!(state.counts.events <= max, "it does not settle: {max} events and no end");
        state.counts.delivered += u64::from(matches!(input, Input::Msg { .. }));
        drop(state);
        self.took_effect(|kind| match kind {
            FaultKind::ClockJump(node, _) | FaultKind::ClockDrift(node, _) => *node == id,
            _ => false,
        });
        match input {
            Input::Msg { from, msg } => self.trace(place, Kind::Heard, || format!("{from}: {msg:?}")),
            Input::Timer(timer) => self.trace(place, Kind::Timer, || format!("{timer:?}")),
            Input::Request { client, op, .. } => {
                self.trace(place, Kind::Heard, || format!("{client}: {op:?}"));
            }
            Input::Chosen { .. } => {}
        }
    }

    /// A node ended by itself.
    fn stopped(&self, id: NodeId, stopped: &Stopped) {
        self.trace(Place::Node(id), Kind::Down, || stopped.to_string());
        match stopped {
            Stopped::Disk(_) => {
                let fails = |kind: &FaultKind| matches!(kind, FaultKind::FailingDisk(node) if *node == id);
                if let Some(fault) = self.fault(fails) {
                    self.took_effect_once(fault);
                    self.machine(id).downed_by.push(fault);
                }
            }
            Stopped::Damaged(_) => {
                self.state().counts.disks_refused += 1;
                self.machine(id).is_lost = true;
            }
        }
    }
}

struct OurClient<P: Subject> {
    client: Client<P, SimNet>,
}

impl<P: Subject> Asks<P::Op> for OurClient<P> {
    async fn ask(&mut self, node: NodeId, id: RequestId, op: P::Op) -> Result<P::Ret, AskError> {
        self.client.ask(node, id, op).await.map_err(|error| match &error {
            client::AskError::Unreachable { .. } => AskError::Refused(error.to_string()),
            client::AskError::Lost { .. } => AskError::Unknown(error.to_string()),
        })
    }

    async fn rest(&mut self, duration: Duration) {
        self.client.rest(duration).await;
    }
}
