//! One run, as data: what is asked, what goes wrong, and the seed of all other chance. A scenario can be
//! printed, written to a file, replayed, and made smaller.

use crate::generator::{Generator, Load, scripts};
use crate::nemesis::{FaultKind, Nemesis, Plan};
use crate::operation::Operation;
use crate::random::Random;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug, Display};

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario<Op> {
    /// Where all chance comes from that is not written out here: how long messages take, which are lost.
    pub seed: u64,
    /// Nodes of the cluster.
    pub nodes: u16,
    /// How long clients ask and faults happen, in simulated milliseconds.
    pub length_ms: u64,
    /// After how long a client gives a request up.
    pub timeout_ms: u64,
    /// After how long it sends one that may be repeated to another node as well.
    pub retry_ms: Option<u64>,
    /// How long the healed cluster may take to answer.
    pub recovery_ms: u64,
    /// How long writing to disk takes, on average, in simulated microseconds.
    pub disk_us: u64,
    /// What the nodes' configuration is drawn from, where there is a choice; 0 is the usual one.
    #[serde(default)]
    pub variety: u64,
    /// What goes wrong.
    pub plan: Plan,
    /// What stays wrong when all that is healed: the others have to go on without a node that is cut off,
    /// and their clients ask elsewhere what is not answered.
    #[serde(default)]
    pub lasting: Option<FaultKind>,
    /// What each client asks, one thing at a time.
    pub scripts: Vec<Vec<Request<Op>>>,
    /// What each client asks after everything is healed.
    pub last: Vec<Op>,
}

/// Something that a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request<Op> {
    /// When it is due, in microseconds from the start of the run. A client that still waits for an
    /// answer then asks as soon as it has it.
    pub due_us: u64,
    /// What.
    pub op: Op,
}

/// What scenarios are drawn from. What is `None` is drawn too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings<K> {
    /// Nodes of the cluster, at least 1.
    pub nodes: Option<u16>,
    /// Clients, at least 1.
    pub clients: Option<u32>,
    /// Keys, at least 1. Few are fought for; of many, some are written once and must not be forgotten.
    pub keys: Option<u32>,
    /// How long clients ask and faults happen, in simulated milliseconds; at least 1.
    pub length_ms: Option<u64>,
    /// What may go wrong.
    pub nemeses: Vec<Nemesis>,
    /// What clients ask; the usual, if not given, more or less of it.
    pub load: Option<Generator<K>>,
}

impl<K> Settings<K> {
    /// The usual load, any size, any trouble.
    pub fn usual<Op: Operation<Kind = K>>() -> Settings<K> {
        Settings {
            nodes: None,
            clients: None,
            keys: None,
            length_ms: None,
            nemeses: if Op::administration(1).is_some() { Nemesis::LED.into() } else { Nemesis::ANY.into() },
            load: None,
        }
    }
}

impl<Op: Operation> Scenario<Op> {
    /// A scenario by lot, from `seed`.
    pub fn draw(seed: u64, settings: &Settings<Op::Kind>) -> Scenario<Op> {
        let mut random = Random::stream(seed, "scenario", 0);
        // Even sizes too: that is where halves are no majority.
        let nodes = random.below(3) as u16 + 3;
        let clients = 2 + random.below(5) as u32;
        let length_ms = 100 + random.below(900);
        let (nodes, clients) = (settings.nodes.unwrap_or(nodes), settings.clients.unwrap_or(clients));
        let length_ms = settings.length_ms.unwrap_or(length_ms);
        let keys = 1 << random.below(5);
        let keys = settings.keys.unwrap_or(keys);
        // Much going on at a time finds some mistakes; what stays as it is for a while finds others.
        let gap_us = 2_000 << random.below(5);
        let usual = Op::usual(gap_us);
        let load = settings.load.as_ref().unwrap_or(&usual);
        let timeout_ms = 100 + random.below(300);
        let retries = random.chance(0.5);
        let plan = Plan::draw(&mut random, &settings.nemeses, nodes, length_ms);
        let administration = Op::administration(10_000 << random.below(4));
        let variety = random.below(1 << 32);
        let nemeses = &settings.nemeses;
        let is_about_succession = nemeses.contains(&Nemesis::Succession);
        let is_administered =
            nemeses.contains(&Nemesis::Membership) && (is_about_succession || random.chance(0.5));
        let may_last = nodes >= 3 && nemeses.contains(&Nemesis::Partition) && random.chance(0.3);
        let of_leader = nemeses.contains(&Nemesis::Leader);
        let lasting = may_last.then(|| FaultKind::draw_lasting(&mut random, nodes, of_leader));
        let looking = Op::looking(gap_us).filter(|_| settings.load.is_none() && random.chance(0.5));
        let mut asking = vec![load; clients as usize];
        if let Some(looking) = &looking {
            // Who is to lead next depends on what was written last: it shows more where only one writes.
            let every = if is_about_succession { 1 } else { 2 };
            asking.iter_mut().skip(1).step_by(every).for_each(|client| *client = looking);
        }
        asking.extend(administration.as_ref().filter(|_| is_administered));
        let load = Load { clients: asking, keys, nodes, length_ms };
        // From memory with a battery to a disk that seeks.
        let disk_us = 50 << random.below(9);
        Scenario {
            seed,
            nodes,
            length_ms,
            timeout_ms,
            retry_ms: retries.then_some(timeout_ms / 3),
            recovery_ms: 5_000,
            disk_us: disk_us.min(DISK_US_OF_ALL_CLIENTS / u64::from(clients)).max(1),
            variety,
            plan,
            lasting,
            scripts: scripts(&load, seed),
            last: Op::last(keys),
        }
    }
}

impl<Op> Scenario<Op> {
    /// Operations that it asks for, the last ones included.
    pub fn operations(&self) -> usize {
        self.scripts.iter().map(Vec::len).sum::<usize>() + self.scripts.len() * self.last.len()
    }

    /// How many inputs nodes may take in a run that settles: `usual`, or more if so much is asked of so many
    /// nodes that it could not be done with that.
    pub(crate) fn inputs_max(&self, usual: u64) -> u64 {
        let asked = (self.operations() as u64).saturating_mul(u64::from(self.nodes));
        usual.max(asked.saturating_mul(INPUTS_PER_OPERATION_AND_NODE))
    }

    /// Clients that ask anything.
    pub fn clients(&self) -> usize {
        self.scripts.iter().filter(|script| !script.is_empty() || !self.last.is_empty()).count()
    }

    /// What is impossible about it, if anything: a scenario from a file may hold any numbers.
    pub fn complaint(&self) -> Option<String> {
        let nodes = 1..=NODES_MAX;
        if !nodes.contains(&self.nodes) {
            return Some(format!("{} nodes: expected 1 to {NODES_MAX}", self.nodes));
        }
        if self.scripts.len() > CLIENTS_MAX {
            return Some(format!("{} clients: expected at most {CLIENTS_MAX}", self.scripts.len()));
        }
        let times = [self.length_ms, self.timeout_ms, self.recovery_ms, self.disk_us / 1_000];
        let dues = self.scripts.iter().flatten().map(|request| request.due_us / 1_000);
        if times.into_iter().chain(self.retry_ms).chain(dues).any(|ms| ms > TIME_MS_MAX) {
            return Some(format!("a time of more than {TIME_MS_MAX} ms"));
        }
        for fault in &self.plan.faults {
            if fault.from_ms > fault.until_ms || fault.until_ms > self.length_ms {
                return Some(format!("a fault that lasts {fault}: expected it within {} ms", self.length_ms));
            }
            if let Some(node) = fault.kind.nodes().iter().find(|node| node.0 >= self.nodes) {
                return Some(format!("a fault at {node}: expected one of {} nodes", self.nodes));
            }
        }
        if let Some(kind) = &self.lasting {
            if !kind.may_last() {
                return Some(format!("a fault that lasts: {kind}; expected nodes that are cut off"));
            }
            if let Some(node) = kind.nodes().iter().find(|node| node.0 >= self.nodes) {
                return Some(format!("a fault at {node}: expected one of {} nodes", self.nodes));
            }
        }
        None
    }

    /// After how long a client asks elsewhere as well, when the plan is over: where something lasts, always
    /// some time.
    pub(crate) fn last_retry_ms(&self) -> Option<u64> {
        self.retry_ms.or(self.lasting.as_ref().map(|_| self.timeout_ms / 3))
    }
}

/// In words, line by line.
impl<Op: Debug> Display for Scenario<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario { seed, nodes, length_ms, timeout_ms, .. } = self;
        let clients = self.clients();
        let s = |count: usize| if count == 1 { "" } else { "s" };
        write!(
            f,
            "{nodes} node{}, {clients} client{}, {length_ms} ms, ",
            s(usize::from(*nodes)),
            s(clients)
        )?;
        writeln!(f, "requests given up after {timeout_ms} ms; chance from {seed}")?;
        for fault in &self.plan.faults {
            writeln!(f, "fault: {fault}")?;
        }
        if self.plan.faults.is_empty() && self.lasting.is_none() {
            writeln!(f, "no faults")?;
        }
        if let Some(kind) = &self.lasting {
            writeln!(f, "fault that stays when all others are healed: {kind}")?;
        }
        for (client, script) in self.scripts.iter().enumerate() {
            for Request { due_us, op } in script {
                writeln!(f, "c{client}, at {}.{:03} ms: {op:?}", due_us / 1_000, due_us % 1_000)?;
            }
        }
        for op in &self.last {
            writeln!(f, "each client, when all is healed: {op:?}")?;
        }
        Ok(())
    }
}

/// An operation may take several rounds, be asked again, and have to wait while others elect a leader.
const INPUTS_PER_OPERATION_AND_NODE: u64 = 50;

/// What all clients together may wait for disks, in microseconds, if each of them writes once: a cluster of
/// which more is asked than it can write owes nobody progress.
const DISK_US_OF_ALL_CLIENTS: u64 = 100_000;

/// What a scenario may hold at most: enough for anybody, and for no run to take for ever.
pub const NODES_MAX: u16 = 99;
/// Clients at most.
pub const CLIENTS_MAX: usize = 1_000;
/// The longest time, in simulated milliseconds: ten minutes.
pub const TIME_MS_MAX: u64 = 600_000;
