//! A pattern that can be several objects: one algorithm, and a workload for each object that it
//! replicates. To those who only know its name it is one pattern.

use super::{Entry, Pattern, Request, RequestError};
use crate::manner::StopFlag;
use crate::nemesis::Nemesis;
use crate::replay::Replay;
use crate::run::{Failure, Ran};
use crate::world::WorldName;
use crate::world::model::{Exploration, Limits};
use shakedown_checkers::model::ModelName;
use std::net::SocketAddr;

/// One pattern, made of several that differ in what clients ask. They have the same entry and the same
/// mistakes.
pub struct Family {
    /// They, each with one workload.
    pub members: &'static [&'static dyn Pattern],
}

impl Family {
    fn first(&self) -> &'static dyn Pattern {
        self.members[0]
    }

    /// The member of that workload; without one, each in turn.
    fn member(&self, workload: Option<&str>, seed: u64) -> Result<&'static dyn Pattern, RequestError> {
        let Some(workload) = workload else {
            return Ok(self.members[(seed % self.members.len() as u64) as usize]);
        };
        let has = |member: &&&dyn Pattern| member.workloads().iter().any(|(name, _)| *name == workload);
        self.members.iter().find(has).copied().ok_or_else(|| {
            let names: Vec<&str> = self.workloads().into_iter().map(|(name, _)| name).collect();
            let (pattern, workload) = (self.entry().name, workload.to_owned());
            RequestError::Workload { pattern, workload, workloads: names.join(", ") }
        })
    }

    /// The member that a replay file is about, which says it.
    fn member_of(&self, replay: &Replay) -> Result<&'static dyn Pattern, RequestError> {
        match &replay.workload {
            Some(workload) => self.member(Some(workload), 0),
            None => {
                let names: Vec<&str> = self.workloads().into_iter().map(|(name, _)| name).collect();
                let why = format!("it names no workload; expected one of {}", names.join(", "));
                Err(RequestError::Scenario { pattern: self.entry().name, why })
            }
        }
    }

    /// Cases are numbered through: the member, and its own number for the case.
    fn case(&self, case: usize) -> Result<(&'static dyn Pattern, usize), RequestError> {
        let mut before = 0;
        for member in self.members {
            let cases = member.cases().len();
            if case > before && case - before <= cases {
                return Ok((*member, case - before));
            }
            before += cases;
        }
        Err(RequestError::Case { pattern: self.entry().name, case, cases: before })
    }
}

impl Pattern for Family {
    fn entry(&self) -> Entry {
        self.first().entry()
    }

    fn mutants(&self) -> Vec<(&'static str, &'static str)> {
        self.first().mutants()
    }

    fn made_for(&self, mutant: &str) -> &'static [Nemesis] {
        self.first().made_for(mutant)
    }

    fn workloads(&self) -> Vec<(&'static str, ModelName)> {
        self.members.iter().flat_map(|member| member.workloads()).collect()
    }

    fn cases(&self) -> Vec<&'static str> {
        self.members.iter().flat_map(|member| member.cases()).collect()
    }

    fn run(&self, request: &Request, seed: u64, stop: &StopFlag) -> Result<Ran, RequestError> {
        self.member(request.workload.as_deref(), seed)?.run(request, seed, stop)
    }

    fn fail(
        &self,
        request: &Request,
        seed: u64,
        runs_max: u64,
        stop: &StopFlag,
    ) -> Result<Option<Failure>, RequestError> {
        self.member(request.workload.as_deref(), seed)?.fail(request, seed, runs_max, stop)
    }

    fn replay(&self, replay: &Replay, world: WorldName, stop: &StopFlag) -> Result<Ran, RequestError> {
        self.member_of(replay)?.replay(replay, world, stop)
    }

    fn search(&self, replay: &Replay, limits: &Limits) -> Result<Exploration, RequestError> {
        self.member_of(replay)?.search(replay, limits)
    }

    fn explore(
        &self,
        case: usize,
        mutant: Option<&str>,
        limits: &Limits,
    ) -> Result<Exploration, RequestError> {
        let (member, case) = self.case(case)?;
        member.explore(case, mutant, limits)
    }

    fn serve(&self, case: usize, mutant: Option<&str>, address: SocketAddr) -> Result<(), RequestError> {
        let (member, case) = self.case(case)?;
        member.serve(case, mutant, address)
    }
}
