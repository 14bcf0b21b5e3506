//! A pattern that is no protocol but a component between a caller and what it calls, as the catalogue knows it.
//!
//! - In the model world: callers at the component, in every order of their steps ([`crate::world::callers`]).
//! - In the simulated network: clients call servers with moods ([`super::dependency`]) through the component's tower
//!   layer, while faults are as for any server. What they see is judged as it always is: the component must neither
//!   repeat what must not be repeated nor tell of a call that was not made. Beside that a witness looks on, who
//!   knows what the component promises.

use super::dependency::Dependency;
use crate::catalogue::{
    Entry, Pattern, Request, RequestError, mutants_named, scenario, scenario_in, switchable, takes_seeds,
};
use crate::manner::{Manner, StopFlag};
use crate::operation::Operation as _;
use crate::outcome::{Broke, Outcome, Rules};
use crate::replay::{Header, Replay};
use crate::run::{Failure, Ran, fail_in, judged};
use crate::scenario::Scenario;
use crate::world::WorldName;
use crate::world::callers::{self, Scene};
use crate::world::model::{Exploration, Limits};
use crate::world::sim::{AskError, run_server_with};
use shakedown_checkers::model::ModelName;
use shakedown_impls::mutants::{Mutant, Mutants};
use shakedown_impls::object::register::{Op, Ret};
use shakedown_impls::protocol::NodeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

/// A component, as those who wrote it define it.
pub(crate) trait Component: Sync {
    /// Its mistakes.
    type Mutant: Mutant;

    /// What there is to know of it.
    const ENTRY: Entry;

    /// Small cases of its callers, for the model world: what they show, and what they are.
    fn cases(mutants: Mutants<Self::Mutant>) -> Vec<(&'static str, Case)>;

    /// How clients ask a server through it.
    fn client(mutants: Mutants<Self::Mutant>, seed: u64, witness: Witness) -> Ask;
}

/// A scene of any kind.
pub(crate) type Case = Box<dyn AnyScene>;

/// What is done with a scene.
pub(crate) trait AnyScene {
    /// Takes every order of its steps.
    fn explore(&self, limits: &Limits) -> Exploration;

    /// Opens stateright's explorer on it.
    fn serve(&self, address: SocketAddr);
}

impl<S: Scene> AnyScene for S {
    fn explore(&self, limits: &Limits) -> Exploration {
        callers::explore(self, Op::MODEL, limits)
    }

    fn serve(&self, address: SocketAddr) {
        callers::serve(self, address);
    }
}

/// Asks a server.
pub(crate) type Ask = Box<dyn Fn(Op, NodeId) -> Asking>;
type Asking = Pin<Box<dyn Future<Output = Result<Ret, AskError>>>>;

/// What somebody who looks on has seen.
#[derive(Clone, Default)]
pub(crate) struct Witness(Rc<RefCell<Seen>>);

#[derive(Default)]
struct Seen {
    wrong: Option<String>,
    happened: BTreeMap<String, u64>,
}

impl Witness {
    /// Something must not be. The first counts.
    pub(crate) fn objects(&self, how: String) {
        self.0.borrow_mut().wrong.get_or_insert(how);
    }

    /// Something happened.
    pub(crate) fn saw(&self, what: impl IntoIterator<Item = &'static str>) {
        let happened = &mut self.0.borrow_mut().happened;
        what.into_iter().for_each(|what| *happened.entry(what.to_owned()).or_default() += 1);
    }
}

/// A component in the catalogue.
pub struct Guard<C>(pub(crate) C);

const WORKLOAD: &str = "register";

impl<C: Component> Pattern for Guard<C> {
    fn entry(&self) -> Entry {
        C::ENTRY
    }

    fn mutants(&self) -> Vec<(&'static str, &'static str)> {
        switchable::<C::Mutant>().iter().map(|mutant| (mutant.name(), mutant.about())).collect()
    }

    fn workloads(&self) -> Vec<(&'static str, ModelName)> {
        vec![(WORKLOAD, Op::MODEL)]
    }

    fn cases(&self) -> Vec<&'static str> {
        C::cases(Mutants::default()).into_iter().map(|(about, _)| about).collect()
    }

    fn run(&self, request: &Request, seed: u64, stop: &StopFlag) -> Result<Ran, RequestError> {
        let mutants = mutants_named(C::ENTRY.name, request.mutant.as_deref())?;
        Ok(ran::<C>(mutants, &scenario(&C::ENTRY, WORKLOAD, request, seed)?, &Manner::until(stop)))
    }

    fn fail(
        &self,
        request: &Request,
        seed: u64,
        runs_max: u64,
        stop: &StopFlag,
    ) -> Result<Option<Failure>, RequestError> {
        let mutants = mutants_named(C::ENTRY.name, request.mutant.as_deref())?;
        let scenario = scenario(&C::ENTRY, WORKLOAD, request, seed)?;
        let file = Header {
            pattern: C::ENTRY.name,
            workload: Some(WORKLOAD),
            world: request.world,
            mutant: request.mutant.as_deref(),
        };
        let mut run = |scenario: &Scenario<Op>, manner: &Manner| ran::<C>(mutants, scenario, manner);
        Ok(fail_in(&file, &scenario, runs_max, stop, &mut run))
    }

    fn replay(&self, replay: &Replay, world: WorldName, stop: &StopFlag) -> Result<Ran, RequestError> {
        takes_seeds(&C::ENTRY, world)?;
        let mutants = mutants_named(C::ENTRY.name, replay.mutant.as_deref())?;
        let manner = Manner { is_traced: true, ..Manner::until(stop) };
        Ok(ran::<C>(mutants, &scenario_in(&C::ENTRY, WORKLOAD, replay)?, &manner))
    }

    fn search(&self, _: &Replay, _: &Limits) -> Result<Exploration, RequestError> {
        let why = "its callers in the model world are not those of a run".to_owned();
        Err(RequestError::Scenario { pattern: C::ENTRY.name, why })
    }

    fn explore(
        &self,
        case: usize,
        mutant: Option<&str>,
        limits: &Limits,
    ) -> Result<Exploration, RequestError> {
        Ok(nth_case::<C>(case, mutant)?.explore(limits))
    }

    fn serve(&self, case: usize, mutant: Option<&str>, address: SocketAddr) -> Result<(), RequestError> {
        nth_case::<C>(case, mutant)?.serve(address);
        Ok(())
    }
}

fn nth_case<C: Component>(case: usize, mutant: Option<&str>) -> Result<Case, RequestError> {
    let mut cases = C::cases(mutants_named(C::ENTRY.name, mutant)?);
    if case == 0 || case > cases.len() {
        return Err(RequestError::Case { pattern: C::ENTRY.name, case, cases: cases.len() });
    }
    Ok(cases.swap_remove(case - 1).1)
}

fn ran<C: Component>(mutants: Mutants<C::Mutant>, scenario: &Scenario<Op>, manner: &Manner) -> Ran {
    judged(outcome::<C>(mutants, scenario, manner), scenario, manner)
}

fn outcome<C: Component>(mutants: Mutants<C::Mutant>, scenario: &Scenario<Op>, manner: &Manner) -> Outcome {
    let (dependency, witness) = (Dependency::new(scenario), Witness::default());
    let ask = C::client(mutants, scenario.seed, witness.clone());
    let servers = dependency.clone();
    let serve = move |server| servers.clone().serve(server);
    let mut outcome = run_server_with(scenario, manner, serve, ask);
    let counts = dependency.counts();
    witness.saw((counts.too_late.get() > 0).then_some("a server leaves what is too late"));
    witness.saw((counts.known.get() > 0).then_some("a server knows a call by its key"));
    let seen = witness.0.take();
    outcome.notes.extend(seen.happened);
    if let Some(how) = seen.wrong {
        outcome.broke.get_or_insert(Broke { node: NodeId(0), rules: Rules::Component, how });
    }
    outcome
}
