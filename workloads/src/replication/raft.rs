//! Raft, as the catalogue knows it: one algorithm, six objects.

mod cases;
mod invariants;
#[cfg(feature = "peers")]
pub mod openraft;
mod operation;
#[cfg(feature = "peers")]
pub mod tikv;

#[cfg(test)]
pub(crate) use invariants::invariants;
pub use operation::Kind;

use crate::catalogue::{Definition, Entry, Family, Small};
use crate::nemesis::{Aim, FaultKind, Nemesis};
use crate::operation::Operation;
use crate::outcome::Watch;
use crate::random::Random;
use crate::scenario::{Request, Scenario};
use crate::world::WorldName;
use shakedown_impls::mutants::Mutants;
use shakedown_impls::protocol::NodeId;
use shakedown_impls::replication::raft::properties::Properties;
use shakedown_impls::replication::raft::{
    Config, Counter, Elements, Journal, Lists, Mutant, Op, Raft, Reads, Registers, StateMachine, Store,
};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::time::Duration;

/// The workloads of a Raft, whoever wrote it: one for each object that it may replicate.
macro_rules! of_each_object {
    ($of:ident) => {
        Family {
            members: &[
                &$of::<Registers>(PhantomData),
                &$of::<Store>(PhantomData),
                &$of::<Journal>(PhantomData),
                &$of::<Elements>(PhantomData),
                &$of::<Counter>(PhantomData),
                &$of::<Lists>(PhantomData),
            ],
        }
    };
}
#[cfg(feature = "peers")]
use of_each_object;

/// Raft, whatever it replicates.
pub static RAFT: Family = of_each_object!(Of);

/// Raft that replicates an `S`.
pub struct Of<S>(PhantomData<fn() -> S>);

/// An object that a workload is made for.
pub trait Object: StateMachine<Command: Operation<Ret = <Self as StateMachine>::Ret>> {
    /// The workload's name.
    const WORKLOAD: &'static str;

    /// Cases for the model world.
    fn cases(_mutants: Mutants<Mutant>) -> Vec<Small<Raft<Self>>> {
        vec![]
    }
}

impl Object for Registers {
    const WORKLOAD: &'static str = "register";

    fn cases(mutants: Mutants<Mutant>) -> Vec<Small<Raft<Registers>>> {
        cases::cases(mutants)
    }
}

impl Object for Store {
    const WORKLOAD: &'static str = "kv";
}

impl Object for Journal {
    const WORKLOAD: &'static str = "append-log";
}

impl Object for Elements {
    const WORKLOAD: &'static str = "set";
}

impl Object for Counter {
    const WORKLOAD: &'static str = "counter";
}

impl Object for Lists {
    const WORKLOAD: &'static str = "list-append";
}

/// By how many thousandths clocks may run wrong where reads rely on leases: what the nemesis does to them and
/// what they do by themselves, or only that.
const DRIFTS_PERMILLE_MAX: [u16; 2] = [310, 2];

impl<S: Object> Definition for Of<S> {
    type Protocol = Raft<S>;
    type Mutant = Mutant;
    type Watch = Properties;

    const ENTRY: Entry = Entry {
        name: "replication/raft",
        title: "one log, kept by a majority, applied everywhere",
        guarantee: "what is replicated behaves like one copy that never fails (linearizable), and a command that \
                    is repeated is applied once; what was answered survives crashes and power loss; it goes on \
                    while a majority of the voters can talk to each other",
        price: "a round trip to a majority and two disk writes in sequence for a command, one round trip for a \
                read (none under a lease); after a leader is lost, one or two election timeouts of silence",
        not_covered: "nodes that lie; both copies of a record lost on one disk (the node stays down); with \
                      leases, clocks that jump, or run wrong by more than the bound",
        source: "Ongaro & Ousterhout, In Search of an Understandable Consensus Algorithm, 2014; Ongaro, thesis, 2014",
        worlds: &WorldName::ALL,
        nemeses: &Nemesis::LED,
    };

    const WORKLOAD: &'static str = S::WORKLOAD;

    fn config(nodes: u16, variety: u64, mutants: Mutants<Mutant>) -> Config {
        let config = Config { mutants, ..Config::new(nodes) };
        if variety == 0 { config } else { varied(config, variety) }
    }

    fn configured(config: &Config) -> String {
        configured(config)
    }

    fn spare(scenario: &mut Scenario<Op<S::Command>>) {
        let config = Self::config(scenario.nodes, scenario.variety, Mutants::default());
        if let Reads::Lease { clock_drift_permille_max } = config.reads {
            spare_clocks(scenario, clock_drift_permille_max);
        }
        let is_client = |request: &Request<Op<_>>| matches!(request.op, Op::Command(_));
        if !config.has_pre_vote && !config.has_check_quorum {
            // Members that were removed and do not know it disturb the plain algorithm for ever (§6).
            scenario.scripts.iter_mut().for_each(|script| script.retain(is_client));
        }
        // A leader that is not heard from, and does not check, leads nobody for ever; and where voters leave,
        // nobody knows how many the others can do without.
        if !config.has_check_quorum || !scenario.scripts.iter().flatten().all(is_client) {
            scenario.lasting = None;
        }
    }

    fn made_for(mutant: Mutant) -> &'static [Nemesis] {
        match mutant {
            Mutant::LeaseForgottenAtRestart => &[Nemesis::Succession],
            Mutant::ConfigNotRolledBack => &[Nemesis::Membership, Nemesis::Succession],
            _ => &[],
        }
    }

    fn cases(mutants: Mutants<Mutant>) -> Vec<Small<Raft<S>>> {
        S::cases(mutants)
    }
}

/// One of many configurations: small limits, so that runs reach them; with and without what is optional.
fn varied(mut config: Config, variety: u64) -> Config {
    let random = &mut Random::stream(variety, "configuration", 0);
    if config.nodes > 3 && random.chance(0.4) {
        // Somebody has to join.
        let spare = 1 + random.below(u64::from(config.nodes) - 3) as u16;
        config.voters = (0..config.nodes - spare).map(NodeId).collect();
    }
    config.has_pre_vote = random.chance(0.75);
    config.has_check_quorum = random.chance(0.75);
    config.batch_after = match random.below(3) {
        0 => None,
        1 => Some(Duration::ZERO),
        _ => Some(Duration::from_millis(1)),
    };
    if random.chance(0.5) {
        let clock_drift_permille_max = DRIFTS_PERMILLE_MAX[usize::from(random.chance(0.3))];
        config.reads = Reads::Lease { clock_drift_permille_max };
        config.heartbeat = config.election_timeout / 10;
    }
    if random.chance(0.5) {
        // One at a time, as often as not: what is sent together is mostly lost together.
        config.limits.entries_per_message = 1 + random.below(6).saturating_sub(2) as usize;
        config.limits.messages_in_flight = 1 + random.below(6).saturating_sub(2) as usize;
    }
    if random.chance(0.6) {
        config.limits.snapshot_after = 2 + random.below(12) as usize;
        config.limits.log_kept = random.below(4) as usize;
        config.limits.snapshot_chunk_bytes = 16 + random.below(200) as usize;
    }
    config.limits.learner_lag = random.below(16) as usize;
    config
}

/// What differs from the usual configuration.
fn configured(config: &Config) -> String {
    let usual = Config::new(config.nodes);
    let mut words = vec![];
    if config.voters != usual.voters {
        words.push(format!("{} of {} nodes vote at first", config.voters.len(), config.nodes));
    }
    let mut switch = |is_on: bool, what: &str| {
        if !is_on {
            words.push(format!("no {what}"));
        }
    };
    switch(config.has_pre_vote, "PreVote");
    switch(config.has_check_quorum, "CheckQuorum");
    if let Reads::Lease { clock_drift_permille_max } = config.reads {
        words.push(format!("reads by lease (clocks within {clock_drift_permille_max} thousandths)"));
    }
    if config.batch_after != usual.batch_after {
        words.push(match config.batch_after {
            None => "no batches".to_owned(),
            Some(after) => format!("batches of {} ms", after.as_millis()),
        });
    }
    let (limits, usual) = (&config.limits, &usual.limits);
    if limits.entries_per_message != usual.entries_per_message {
        let (entries, messages) = (limits.entries_per_message, limits.messages_in_flight);
        words.push(format!("{entries} entries in a message, {messages} messages in flight"));
    }
    if limits.snapshot_after != usual.snapshot_after {
        words.push(format!("a snapshot every {} entries", limits.snapshot_after));
    }
    if words.is_empty() { String::new() } else { format!("configuration: {}", words.join("; ")) }
}

/// Leases claim nothing for clocks that jump, nor for those that run wrong by more than the bound: which
/// several faults at a time would add up to.
fn spare_clocks<Op>(scenario: &mut Scenario<Op>, drift_permille_max: u16) {
    let faults = &mut scenario.plan.faults;
    faults.retain(|fault| match drift(&fault.kind) {
        Some((_, permille)) => permille.unsigned_abs() < drift_permille_max,
        None => !matches!(fault.kind, FaultKind::ClockJump(..)),
    });
    let mut free_from_ms = vec![0; usize::from(scenario.nodes)];
    faults.retain(|fault| {
        let Some((node, _)) = drift(&fault.kind) else { return true };
        // Any node may lead.
        let those = node.map_or(0..free_from_ms.len(), |node| usize::from(node.0)..usize::from(node.0) + 1);
        let those = &mut free_from_ms[those];
        let is_alone = those.iter().all(|&free_from_ms| fault.from_ms >= free_from_ms);
        if is_alone {
            those.fill(fault.until_ms);
        }
        is_alone
    });
}

/// By how much a fault has which clock run wrong; `None`: the leader's, whoever that is.
fn drift(kind: &FaultKind) -> Option<(Option<NodeId>, i16)> {
    match kind {
        FaultKind::ClockDrift(node, permille) => Some((Some(*node), *permille)),
        FaultKind::Leader(Aim::ClockDrift(permille)) => Some((None, *permille)),
        _ => None,
    }
}

/// The five properties of Figure 3, at every step of every node.
impl<S: StateMachine> Watch<Raft<S>> for Properties {
    fn saw(&mut self, _: NodeId, state: &Raft<S>) -> Result<(), String> {
        self.observe(&state.view()).map_err(|violation| violation.to_string())
    }

    fn crashed(&mut self, node: NodeId) {
        Properties::crashed(self, node);
    }
}

impl<S> Debug for Of<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raft")
    }
}
