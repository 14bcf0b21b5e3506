//! One run of a protocol in a world that takes seeds, judged; and a failing one, made small.

use crate::judge::{Finding, judge};
use crate::manner::{Manner, StopFlag};
use crate::operation::{Operation, Subject};
use crate::outcome::{Outcome, Watch};
use crate::replay::{Header, Replay};
use crate::scenario::Scenario;
use crate::world::swarm::shrink::{Shrunk, shrink};
use crate::world::{WorldName, sim, swarm};
use serde::Serialize;
use shakedown_checkers::history::History;
use shakedown_checkers::model::ModelName;
use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What is wrong, if anything.
    pub finding: Option<Finding>,
    /// What happened.
    pub outcome: Outcome,
    /// What went wrong by plan.
    pub faults: Vec<Faulted>,
    /// What its history is judged by.
    pub model: ModelName,
    /// What was run.
    pub size: Size,
    /// The same in words, line by line, if a trace was asked for.
    pub told: String,
}

/// How much a run had in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Nodes of the cluster.
    pub nodes: u16,
    /// Clients that asked anything.
    pub clients: usize,
    /// Operations that were to be asked, the last ones included.
    pub operations: usize,
    /// Faults.
    pub faults: usize,
    /// How long clients asked and faults happened, in simulated milliseconds.
    pub length_ms: u64,
}

/// A fault that a run had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faulted {
    /// What kind it was: `split`.
    pub name: &'static str,
    /// When, and what, in words.
    pub words: String,
    /// How often it changed anything.
    pub effects: u64,
}

impl Ran {
    /// Whether that nothing was found says nothing: no answer showed what another operation did.
    pub fn is_vacuous(&self) -> bool {
        self.outcome.counts.seen == 0
    }

    /// What was recorded.
    pub fn history(&self) -> &History {
        &self.outcome.history
    }
}

/// A failing run made small.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What runs it again.
    pub replay: Replay,
    /// The small run, with its trace.
    pub ran: Ran,
    /// Runs that making it small took.
    pub runs: u64,
    /// Whether nothing more can be removed.
    pub complete: bool,
}

/// Runs `scenario` and judges what came of it.
///
/// # Panics
/// If `world` is the model world, which takes no seeds.
pub fn run_in<P: Subject>(
    world: WorldName,
    config: &P::Config,
    scenario: &Scenario<P::Op>,
    manner: &Manner,
) -> Ran {
    run_watched_in::<P, ()>(world, config, scenario, manner)
}

/// The same, under the eyes of a `W`, which knows what must hold of the protocol's nodes at all times.
///
/// # Panics
/// If `world` is the model world, which takes no seeds.
pub fn run_watched_in<P: Subject, W: Watch<P> + Default + 'static>(
    world: WorldName,
    config: &P::Config,
    scenario: &Scenario<P::Op>,
    manner: &Manner,
) -> Ran {
    let outcome = match world {
        WorldName::Swarm => swarm::run_watched::<P>(config, scenario, manner, &mut W::default()),
        WorldName::Sim => {
            let watch = Rc::new(RefCell::new(W::default()));
            sim::run_watched::<P>(config, scenario, manner, watch)
        }
        WorldName::Model => panic!("the {} world takes no seeds", world.name()),
    };
    judged(outcome, scenario, manner)
}

/// What came of running `scenario`, judged.
pub(crate) fn judged<Op: Operation>(mut outcome: Outcome, scenario: &Scenario<Op>, manner: &Manner) -> Ran {
    let finding = judge::<Op>(&mut outcome, scenario.recovery_ms, &manner.stop);
    let faults = scenario.plan.faults.iter().zip(&outcome.effects).map(|(fault, &effects)| Faulted {
        name: fault.kind.name(),
        words: fault.to_string(),
        effects,
    });
    let size = Size {
        nodes: scenario.nodes,
        clients: scenario.clients(),
        operations: scenario.operations(),
        faults: scenario.plan.faults.len(),
        length_ms: scenario.length_ms,
    };
    let told = if manner.is_traced { scenario.to_string() } else { String::new() };
    Ran { finding, faults: faults.collect(), outcome, model: Op::MODEL, size, told }
}

/// Runs `scenario` with `run`, and if it fails makes it small in at most `runs_max` runs or until `stop` is set.
/// `None` if it does not fail. Its first run and that of the smallest, which is told, are not stopped.
pub(crate) fn fail_in<Op: Clone + PartialEq + Debug + Serialize>(
    header: &Header<'_>,
    scenario: &Scenario<Op>,
    runs_max: u64,
    stop: &StopFlag,
    run: &mut dyn FnMut(&Scenario<Op>, &Manner) -> Ran,
) -> Option<Failure> {
    let finding = run(scenario, &Manner::default()).finding.filter(Finding::is_failure)?;
    let mut fails = |candidate: &Scenario<Op>| {
        let other = run(candidate, &Manner::until(stop)).finding;
        other.is_some_and(|other| other.kind() == finding.kind())
    };
    let Shrunk { scenario: small, runs, complete } = shrink(scenario, runs_max, stop, &mut fails);
    let ran = run(&small, &Manner::traced());
    let finding = ran.finding.as_ref().expect("what was shrunk fails");
    let replay = Replay::new(header, scenario.seed, finding, &small);
    Some(Failure { replay, ran, runs, complete })
}
