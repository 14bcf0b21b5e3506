//! Openraft, as the catalogue knows it: a server, in the simulated network only. The traps that it has for its
//! users are its mutants.

use super::{Trap, run};
use crate::catalogue::{
    Entry, Family, Pattern, Request, RequestError, not_in, scenario, scenario_in, takes_seeds,
};
use crate::manner::{Manner, StopFlag};
use crate::operation::Operation as _;
use crate::replay::{Header, Replay};
use crate::replication::raft::{Object, of_each_object};
use crate::run::{Failure, Ran, fail_in, judged};
use crate::scenario::Scenario;
use crate::world::WorldName;
use crate::world::model::{Exploration, Limits};
use crate::world::sim::SERVER_NEMESES;
use shakedown_checkers::model::ModelName;
use shakedown_impls::replication::raft::{Counter, Elements, Journal, Lists, Registers, Store};
use std::marker::PhantomData;
use std::net::SocketAddr;

/// It, whatever it replicates.
pub static OPENRAFT: Family = of_each_object!(Of);

const ENTRY: Entry = Entry {
    name: "replication/raft/openraft",
    title: "somebody else's: the crate `openraft` 0.9.25, an asynchronous Raft",
    guarantee: "what is replicated behaves like one copy that never fails (linearizable)",
    price: "as of Raft",
    not_covered: "clients' sessions, which it leaves to its user; membership changes are not exercised; it is no \
                  state machine, so it runs on simulated sockets and disks only",
    source: "https://github.com/databendlabs/openraft; storage, messages and clients are ours",
    worlds: &[WorldName::Sim],
    nemeses: &SERVER_NEMESES,
};

/// It, with an `S`.
struct Of<S>(PhantomData<fn() -> S>);

impl<S: Object> Pattern for Of<S> {
    fn entry(&self) -> Entry {
        ENTRY
    }

    fn mutants(&self) -> Vec<(&'static str, &'static str)> {
        Trap::ALL.iter().map(|trap| (trap.name(), trap.about())).collect()
    }

    fn workloads(&self) -> Vec<(&'static str, ModelName)> {
        vec![(S::WORKLOAD, S::Command::MODEL)]
    }

    fn cases(&self) -> Vec<&'static str> {
        vec![]
    }

    fn run(&self, request: &Request, seed: u64, stop: &StopFlag) -> Result<Ran, RequestError> {
        let trap = trap(request.mutant.as_deref())?;
        Ok(ran::<S>(&scenario(&ENTRY, S::WORKLOAD, request, seed)?, trap, &Manner::until(stop)))
    }

    fn fail(
        &self,
        request: &Request,
        seed: u64,
        runs_max: u64,
        stop: &StopFlag,
    ) -> Result<Option<Failure>, RequestError> {
        let trap = trap(request.mutant.as_deref())?;
        let scenario = scenario(&ENTRY, S::WORKLOAD, request, seed)?;
        let file = Header {
            pattern: ENTRY.name,
            workload: Some(S::WORKLOAD),
            world: request.world,
            mutant: request.mutant.as_deref(),
        };
        let mut run = |scenario: &Scenario<_>, manner: &Manner| ran::<S>(scenario, trap, manner);
        Ok(fail_in(&file, &scenario, runs_max, stop, &mut run))
    }

    fn replay(&self, replay: &Replay, world: WorldName, stop: &StopFlag) -> Result<Ran, RequestError> {
        takes_seeds(&ENTRY, world)?;
        let trap = trap(replay.mutant.as_deref())?;
        let manner = Manner { is_traced: true, ..Manner::until(stop) };
        Ok(ran::<S>(&scenario_in(&ENTRY, S::WORKLOAD, replay)?, trap, &manner))
    }

    fn search(&self, _: &Replay, _: &Limits) -> Result<Exploration, RequestError> {
        Err(not_in(&ENTRY, WorldName::Model))
    }

    fn explore(&self, _: usize, _: Option<&str>, _: &Limits) -> Result<Exploration, RequestError> {
        Err(not_in(&ENTRY, WorldName::Model))
    }

    fn serve(&self, _: usize, _: Option<&str>, _: SocketAddr) -> Result<(), RequestError> {
        Err(not_in(&ENTRY, WorldName::Model))
    }
}

fn ran<S: Object>(scenario: &Scenario<S::Command>, trap: Option<Trap>, manner: &Manner) -> Ran {
    judged(run::<S>(scenario, trap, manner), scenario, manner)
}

fn trap(name: Option<&str>) -> Result<Option<Trap>, RequestError> {
    let Some(name) = name else { return Ok(None) };
    let found = Trap::ALL.into_iter().find(|trap| trap.name() == name);
    found.map(Some).ok_or_else(|| {
        let names = Trap::ALL.map(Trap::name);
        RequestError::Mutant { pattern: ENTRY.name, mutant: name.to_owned(), mutants: names.join(", ") }
    })
}

impl Trap {
    const ALL: [Trap; 2] = [Trap::CommittedLater, Trap::PurgesAtOnce];

    fn name(self) -> &'static str {
        match self {
            Trap::CommittedLater => "committed-later",
            Trap::PurgesAtOnce => "purges-at-once",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Trap::CommittedLater => {
                "What is committed is not made durable, which is called optional: a leader that restarts answers \
                 reads from an older state. (Openraft #1511.)"
            }
            Trap::PurgesAtOnce => {
                "The log is purged when openraft says so, while the snapshot that holds it is still being \
                 written: a node that loses power has neither."
            }
        }
    }
}
