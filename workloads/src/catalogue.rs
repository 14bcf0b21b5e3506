//! Every pattern that can be run: what it claims, which worlds it runs in, which trouble it is given,
//! which mistakes it can be told to make. The command, the tests and the documentation read this one
//! table; adding a pattern is adding one entry.
//!
//! A [`Definition`] says it in types, where the pattern's load lives; [`Pattern`] is the same without
//! types, for those who only know a name. A pattern that can be several objects is a [`Family`].

mod family;

pub use family::Family;

use crate::manner::{Manner, StopFlag};
use crate::nemesis::Nemesis;
use crate::operation::{Operation, Subject};
use crate::outcome::Watch;
use crate::replay::{Header, Replay};
use crate::run::{Failure, Ran, fail_in, run_watched_in};
use crate::scenario::{Scenario, Settings};
use crate::world::WorldName;
use crate::world::model::{Case, Exploration, Extent, Limits, Walks, World, explore, walk};
use shakedown_checkers::model::ModelName;
use shakedown_impls::mutants::{Mutant, Mutants};
use shakedown_impls::protocol::Protocol;
use stateright::Model;
use std::net::SocketAddr;
use thiserror::Error;

/// All patterns, by name; with the feature `peers`, other people's as well.
pub fn all() -> &'static [&'static dyn Pattern] {
    static ALL: &[&dyn Pattern] = &[
        &crate::replication::leaderless::abd::Register,
        &crate::replication::raft::RAFT,
        &crate::resilience::backpressure::BACKPRESSURE,
        &crate::resilience::bulkhead::BULKHEAD,
        &crate::resilience::circuit_breaker::CIRCUIT_BREAKER,
        &crate::resilience::retry::RETRY,
        #[cfg(feature = "peers")]
        &crate::replication::raft::tikv::TIKV,
        #[cfg(feature = "peers")]
        &crate::replication::raft::openraft::OPENRAFT,
    ];
    ALL
}

/// The pattern of that name, or of that last part of a name: `abd`.
pub fn find(name: &str) -> Option<&'static dyn Pattern> {
    let is_it = |full: &str| full == name || full.rsplit('/').next() == Some(name);
    all().iter().copied().find(|pattern| is_it(pattern.entry().name))
}

/// What there is to know of a pattern without running it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is in each package: `replication/leaderless/abd`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it promises, and when.
    pub guarantee: &'static str,
    /// What that costs.
    pub price: &'static str,
    /// What it does not promise.
    pub not_covered: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// The worlds that it runs in.
    pub worlds: &'static [WorldName],
    /// The trouble that it is usually given.
    pub nemeses: &'static [Nemesis],
}

impl Entry {
    /// The trouble that it can be given: the usual, and what has to be asked for.
    pub fn nameable(&self) -> Vec<Nemesis> {
        let is_led = self.nemeses.contains(&Nemesis::Leader);
        self.nemeses.iter().copied().chain(is_led.then_some(Nemesis::Succession)).collect()
    }
}

/// A pattern, as those who wrote it define it.
pub trait Definition: Sync {
    /// The protocol.
    type Protocol: Subject;
    /// Its mistakes.
    type Mutant: Mutant;
    /// Who looks at its nodes in the worlds that take seeds, and knows what must always hold of them; `()`
    /// if nobody does.
    type Watch: Watch<Self::Protocol> + Default + 'static;

    /// What there is to know of it.
    const ENTRY: Entry;
    /// What its clients do: `register`.
    const WORKLOAD: &'static str;

    /// A cluster of `nodes` nodes. Where there is a choice of how to configure it, `variety` says which;
    /// 0 is the usual one.
    fn config(
        nodes: u16,
        variety: u64,
        mutants: Mutants<Self::Mutant>,
    ) -> <Self::Protocol as Protocol>::Config;

    /// What is special about a configuration, in words; nothing if there is only one.
    fn configured(_config: &<Self::Protocol as Protocol>::Config) -> String {
        String::new()
    }

    /// Takes out of a scenario what is more trouble than its configuration claims to survive.
    fn spare(_scenario: &mut Scenario<OpOf<Self>>)
    where
        Self: Sized,
    {
    }

    /// Trouble that is made for a mistake which the usual trouble shows in one of very many runs at most;
    /// nothing, if the usual will do.
    fn made_for(_mutant: Self::Mutant) -> &'static [Nemesis] {
        &[]
    }

    /// Cases for the model world, the smallest first.
    fn cases(mutants: Mutants<Self::Mutant>) -> Vec<Small<Self::Protocol>>;
}

/// A case for the model world.
#[derive(Clone, Debug)]
pub struct Small<P: Protocol> {
    /// What it is, in words.
    pub about: &'static str,
    /// What it is.
    pub case: Case<P>,
    /// How much of it is looked at.
    pub search: Search,
}

/// How much of a case is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Search {
    /// All of it.
    Everything,
    /// So many states, those first that take the fewest actions: it is too large.
    Nearest(usize),
    /// Random paths: it is too large.
    Walks(Walks),
}

/// How a pattern is to be run: in a world that takes seeds.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which world: swarm or sim.
    pub world: WorldName,
    /// What clients do, of a pattern that has several workloads; each in turn, seed by seed, if not given.
    pub workload: Option<String>,
    /// Nodes, if not drawn.
    pub nodes: Option<u16>,
    /// Clients, if not drawn.
    pub clients: Option<u32>,
    /// How long clients ask and faults happen, in simulated milliseconds, if not drawn.
    pub length_ms: Option<u64>,
    /// The trouble; what the entry says, if not given.
    pub nemeses: Option<Vec<Nemesis>>,
    /// The mistake to make, by name.
    pub mutant: Option<String>,
}

impl Request {
    /// Everything drawn from the seed, all the trouble there is, no mistakes.
    pub fn new(world: WorldName) -> Request {
        Request {
            world,
            workload: None,
            nodes: None,
            clients: None,
            length_ms: None,
            nemeses: None,
            mutant: None,
        }
    }
}

/// What cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The pattern does not run there.
    #[error("{pattern} does not run in the {world} world; it runs in {worlds}")]
    World {
        /// The pattern.
        pattern: &'static str,
        /// The world.
        world: &'static str,
        /// Where it runs.
        worlds: String,
    },
    /// There is no such mutant.
    #[error("{pattern} has no mutant called {mutant:?}; it has {mutants}")]
    Mutant {
        /// The pattern.
        pattern: &'static str,
        /// The name.
        mutant: String,
        /// Those that there are.
        mutants: String,
    },
    /// Its clients do no such thing.
    #[error("{pattern} has no workload called {workload:?}; it has {workloads}")]
    Workload {
        /// The pattern.
        pattern: &'static str,
        /// The name.
        workload: String,
        /// Those that there are.
        workloads: String,
    },
    /// The scenario of a replay file is not one of this pattern.
    #[error("the scenario does not fit {pattern}: {why}")]
    Scenario {
        /// The pattern.
        pattern: &'static str,
        /// What does not fit.
        why: String,
    },
    /// The explorer could not be opened.
    #[error("there is no case {case}; {pattern} has cases 1 to {cases}")]
    Case {
        /// The pattern.
        pattern: &'static str,
        /// The number.
        case: usize,
        /// How many there are.
        cases: usize,
    },
}

/// A pattern, without its types. What [`Definition`] says, for those who only know a name.
pub trait Pattern: Sync {
    /// What there is to know of it.
    fn entry(&self) -> Entry;

    /// Its mistakes: name, and what goes wrong.
    fn mutants(&self) -> Vec<(&'static str, &'static str)>;

    /// The trouble that is made for a mistake; nothing, if the usual will do.
    fn made_for(&self, _mutant: &str) -> &'static [Nemesis] {
        &[]
    }

    /// What its clients can do, and what their histories are judged by.
    fn workloads(&self) -> Vec<(&'static str, ModelName)>;

    /// The cases of the model world: what they show.
    fn cases(&self) -> Vec<&'static str>;

    /// Runs one seed in a world that takes seeds, up to its end or until `stop` is set.
    fn run(&self, request: &Request, seed: u64, stop: &StopFlag) -> Result<Ran, RequestError>;

    /// Runs a seed that fails again, makes the failure small in at most `runs_max` runs or until `stop`
    /// is set, and tells it. `None` if the seed does not fail.
    fn fail(
        &self,
        request: &Request,
        seed: u64,
        runs_max: u64,
        stop: &StopFlag,
    ) -> Result<Option<Failure>, RequestError>;

    /// Runs what a replay file holds, in a world that takes seeds, with its trace, up to its end or until
    /// `stop` is set.
    fn replay(&self, replay: &Replay, world: WorldName, stop: &StopFlag) -> Result<Ran, RequestError>;

    /// Looks at every schedule of what a replay file holds: the same cluster, operations and number of
    /// crashes, in any order that there is; at random ones, where those are too many. Only for what is
    /// small.
    fn search(&self, replay: &Replay, limits: &Limits) -> Result<Exploration, RequestError>;

    /// Explores a case of the model world, by its number from 1. Random paths through one that is too
    /// large are as many as it asks for or, with a limit of time, as many as there is time for.
    fn explore(
        &self,
        case: usize,
        mutant: Option<&str>,
        limits: &Limits,
    ) -> Result<Exploration, RequestError>;

    /// Opens stateright's explorer on a case, and serves it until the process ends.
    fn serve(&self, case: usize, mutant: Option<&str>, address: SocketAddr) -> Result<(), RequestError>;
}

impl<D: Definition> Pattern for D {
    fn entry(&self) -> Entry {
        D::ENTRY
    }

    fn mutants(&self) -> Vec<(&'static str, &'static str)> {
        switchable::<D::Mutant>().iter().map(|mutant| (mutant.name(), mutant.about())).collect()
    }

    fn made_for(&self, mutant: &str) -> &'static [Nemesis] {
        let named = switchable::<D::Mutant>().iter().find(|its| its.name() == mutant);
        named.map_or(&[], |&mutant| D::made_for(mutant))
    }

    fn workloads(&self) -> Vec<(&'static str, ModelName)> {
        vec![(D::WORKLOAD, <OpOf<D> as Operation>::MODEL)]
    }

    fn cases(&self) -> Vec<&'static str> {
        D::cases(Mutants::default()).into_iter().map(|small| small.about).collect()
    }

    fn run(&self, request: &Request, seed: u64, stop: &StopFlag) -> Result<Ran, RequestError> {
        let mutants = mutants::<D>(request.mutant.as_deref())?;
        let scenario = draw::<D>(request, seed)?;
        Ok(ran::<D>(request.world, mutants, &scenario, &Manner::until(stop)))
    }

    fn fail(
        &self,
        request: &Request,
        seed: u64,
        runs_max: u64,
        stop: &StopFlag,
    ) -> Result<Option<Failure>, RequestError> {
        let mutants = mutants::<D>(request.mutant.as_deref())?;
        let scenario = draw::<D>(request, seed)?;
        let mut run = |scenario: &Scenario<OpOf<D>>, manner: &Manner| {
            ran::<D>(request.world, mutants, scenario, manner)
        };
        let file = Header {
            pattern: D::ENTRY.name,
            workload: Some(D::WORKLOAD),
            world: request.world,
            mutant: request.mutant.as_deref(),
        };
        Ok(fail_in(&file, &scenario, runs_max, stop, &mut run))
    }

    fn replay(&self, replay: &Replay, world: WorldName, stop: &StopFlag) -> Result<Ran, RequestError> {
        takes_seeds(&D::ENTRY, world)?;
        let mutants = mutants::<D>(replay.mutant.as_deref())?;
        let manner = Manner { is_traced: true, ..Manner::until(stop) };
        Ok(ran::<D>(world, mutants, &scenario_in(&D::ENTRY, D::WORKLOAD, replay)?, &manner))
    }

    fn search(&self, replay: &Replay, limits: &Limits) -> Result<Exploration, RequestError> {
        runs_in(&D::ENTRY, WorldName::Model)?;
        let mutants = mutants::<D>(replay.mutant.as_deref())?;
        let scenario = scenario_in(&D::ENTRY, D::WORKLOAD, replay)?;
        let config = D::config(scenario.nodes, scenario.variety, mutants);
        let case = Case::<D::Protocol>::of(&scenario, config);
        let case = case.map_err(|why| RequestError::Scenario { pattern: D::ENTRY.name, why })?;
        let exploration = explore(&case, limits);
        if exploration.violation.is_some() || matches!(exploration.extent, Extent::Exhaustive { .. }) {
            return Ok(exploration);
        }
        // Too large to look at as a whole: some paths to the end are worth more than all of the beginning.
        Ok(walk(&case, &Walks { walks: 20_000, steps_max: 80, seed: scenario.seed }, limits))
    }

    fn explore(
        &self,
        case: usize,
        mutant: Option<&str>,
        limits: &Limits,
    ) -> Result<Exploration, RequestError> {
        let Small { case, search, .. } = nth_case::<D>(case, mutant)?;
        Ok(match search {
            Search::Everything => explore(&case, limits),
            Search::Nearest(states) => {
                explore(&case, &Limits { states_max: states.min(limits.states_max), ..limits.clone() })
            }
            Search::Walks(walks) => {
                let walks =
                    if limits.time_max.is_some() { Walks { walks: u64::MAX, ..walks } } else { walks };
                walk(&case, &walks, limits)
            }
        })
    }

    fn serve(&self, case: usize, mutant: Option<&str>, address: SocketAddr) -> Result<(), RequestError> {
        World::new(nth_case::<D>(case, mutant)?.case).checker().serve(address);
        Ok(())
    }
}

type OpOf<D> = <<D as Definition>::Protocol as Protocol>::Op;

fn draw<D: Definition>(request: &Request, seed: u64) -> Result<Scenario<OpOf<D>>, RequestError> {
    let mut scenario = scenario(&D::ENTRY, D::WORKLOAD, request, seed)?;
    D::spare(&mut scenario);
    Ok(scenario)
}

/// The scenario of a seed.
pub(crate) fn scenario<Op: Operation>(
    entry: &Entry,
    workload: &'static str,
    request: &Request,
    seed: u64,
) -> Result<Scenario<Op>, RequestError> {
    takes_seeds(entry, request.world)?;
    has_workload(entry, workload, request.workload.as_deref())?;
    let settings = Settings {
        nodes: request.nodes,
        clients: request.clients,
        length_ms: request.length_ms,
        nemeses: request.nemeses.clone().unwrap_or_else(|| entry.nemeses.to_vec()),
        ..Settings::usual::<Op>()
    };
    Ok(Scenario::draw(seed, &settings))
}

/// The scenario of a replay file.
pub(crate) fn scenario_in<Op: Operation>(
    entry: &Entry,
    workload: &'static str,
    replay: &Replay,
) -> Result<Scenario<Op>, RequestError> {
    has_workload(entry, workload, replay.workload.as_deref())?;
    replay.scenario().map_err(|why| RequestError::Scenario { pattern: entry.name, why })
}

fn has_workload(entry: &Entry, its: &'static str, asked: Option<&str>) -> Result<(), RequestError> {
    match asked {
        Some(workload) if workload != its => Err(RequestError::Workload {
            pattern: entry.name,
            workload: workload.to_owned(),
            workloads: its.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// `Err` unless the pattern runs in that world, and that world takes seeds.
pub(crate) fn takes_seeds(entry: &Entry, world: WorldName) -> Result<(), RequestError> {
    runs_in(entry, world)?;
    if world == WorldName::Model { Err(not_in(entry, world)) } else { Ok(()) }
}

fn runs_in(entry: &Entry, world: WorldName) -> Result<(), RequestError> {
    if entry.worlds.contains(&world) { Ok(()) } else { Err(not_in(entry, world)) }
}

/// It does not run there.
pub(crate) fn not_in(entry: &Entry, world: WorldName) -> RequestError {
    let worlds: Vec<&str> = entry.worlds.iter().map(|world| world.name()).collect();
    RequestError::World { pattern: entry.name, world: world.name(), worlds: worlds.join(", ") }
}

fn ran<D: Definition>(
    world: WorldName,
    mutants: Mutants<D::Mutant>,
    scenario: &Scenario<OpOf<D>>,
    manner: &Manner,
) -> Ran {
    let config = D::config(scenario.nodes, scenario.variety, mutants);
    let mut ran = run_watched_in::<D::Protocol, D::Watch>(world, &config, scenario, manner);
    let configured = D::configured(&config);
    if manner.is_traced && !configured.is_empty() {
        ran.told.insert_str(0, &format!("{configured}\n"));
    }
    ran
}

fn nth_case<D: Definition>(case: usize, mutant: Option<&str>) -> Result<Small<D::Protocol>, RequestError> {
    let mut cases = D::cases(mutants::<D>(mutant)?);
    let error = RequestError::Case { pattern: D::ENTRY.name, case, cases: cases.len() };
    if case == 0 || case > cases.len() {
        return Err(error);
    }
    Ok(cases.swap_remove(case - 1))
}

/// The mistakes that can be switched on: none without the feature `mutants`.
pub(crate) fn switchable<M: Mutant>() -> &'static [M] {
    if cfg!(feature = "mutants") { M::ALL } else { &[] }
}

fn mutants<D: Definition>(name: Option<&str>) -> Result<Mutants<D::Mutant>, RequestError> {
    mutants_named(D::ENTRY.name, name)
}

/// The mistake of that name, of a pattern of which it is one.
pub(crate) fn mutants_named<M: Mutant>(
    pattern: &'static str,
    name: Option<&str>,
) -> Result<Mutants<M>, RequestError> {
    let Some(name) = name else { return Ok(Mutants::default()) };
    named::<M>(name).ok_or_else(|| {
        let names: Vec<&str> = switchable::<M>().iter().map(|mutant| mutant.name()).collect();
        RequestError::Mutant { pattern, mutant: name.to_owned(), mutants: names.join(", ") }
    })
}

#[cfg(feature = "mutants")]
fn named<M: Mutant>(name: &str) -> Option<Mutants<M>> {
    Mutants::named(name)
}

#[cfg(not(feature = "mutants"))]
fn named<M: Mutant>(_: &str) -> Option<Mutants<M>> {
    None
}
