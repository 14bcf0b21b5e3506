//! A pattern that is wrong when it is told to be: in its protocol, in what the suite makes of it, or
//! without being told.

// Each test binary uses what it needs of it.
#![allow(dead_code, unreachable_pub)]

use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::mutants::Mutants;
use shakedown_impls::protocol::{Effect, Input, NodeId, Protocol, Time};
use shakedown_workloads::catalogue::{Definition, Entry, Search, Small};
use shakedown_workloads::generator::Generator;
use shakedown_workloads::operation::{Call, Draws, Operation};
use shakedown_workloads::world::WorldName;
use shakedown_workloads::world::model::Case;

/// Answers, but for what it does when it is told to be wrong.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Touchy;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ask(pub u64);

shakedown_impls::mutants! {
    /// Where it panics.
    pub enum Mutant {
        /// In the protocol.
        Protocol = "protocol",
        /// In what the suite makes of it.
        Suite = "suite",
    }
}

impl Protocol for Touchy {
    type Config = Mutants<Mutant>;
    type Msg = ();
    type Timer = ();
    type Op = Ask;
    type Ret = u64;
    type Durable = ();

    fn boot(_: &Self::Config, _: NodeId, _: &(), _: &mut Vec<Effect<Touchy>>) -> Touchy {
        Touchy
    }

    fn step(&mut self, config: &Self::Config, _: Time, input: Input<Touchy>, out: &mut Vec<Effect<Touchy>>) {
        if let Input::Request { client, id, op: Ask(number) } = input {
            assert!(!config.has(Mutant::Protocol) || number < 30, "{number} is too much for it");
            let ret = if config.has(Mutant::Suite) { u64::MAX } else { number };
            out.push(Effect::Reply { client, id, ret });
        }
    }
}

impl Operation for Ask {
    type Ret = u64;
    type Kind = ();

    const MODEL: ModelName = ModelName::Register;

    fn invoked(&self, values: &mut Values) -> Call {
        Call { f: "write", key: None, value: values.int(self.0 as i64) }
    }

    fn completed(&self, ret: &u64, values: &mut Values) -> Value {
        assert!(*ret < u64::MAX, "a mistake of the suite's own");
        values.int(*ret as i64)
    }

    fn shows_effect(&self, _: &u64) -> bool {
        true
    }

    fn of_kind((): &(), draws: &mut Draws<'_>) -> Ask {
        Ask(draws.fresh())
    }

    fn usual(_: u64) -> Generator<()> {
        Generator::Always(()).every_us(4_000)
    }

    fn last(_: u32) -> Vec<Ask> {
        vec![]
    }

    fn small() -> Vec<Vec<Ask>> {
        vec![]
    }
}

/// The pattern.
pub struct TouchyPattern;

impl Definition for TouchyPattern {
    type Protocol = Touchy;
    type Mutant = Mutant;
    type Watch = ();

    const ENTRY: Entry = Entry {
        name: "tests/touchy",
        title: "panics when it is told to",
        guarantee: "none",
        price: "none",
        not_covered: "everything",
        source: "these tests",
        worlds: &[WorldName::Model, WorldName::Swarm],
        nemeses: &[],
    };

    const WORKLOAD: &str = "register";

    fn config(_: u16, _: u64, mutants: Mutants<Mutant>) -> Mutants<Mutant> {
        mutants
    }

    fn cases(mutants: Mutants<Mutant>) -> Vec<Small<Touchy>> {
        let case = Case::new(1, mutants).client([(NodeId(0), Ask(1)), (NodeId(0), Ask(99))]);
        vec![Small { about: "two questions", case, search: Search::Everything }]
    }
}

/// The same, with a mistake that it is not told to make.
pub struct WrongPattern;

impl Definition for WrongPattern {
    type Protocol = Touchy;
    type Mutant = Mutant;
    type Watch = ();

    const ENTRY: Entry = Entry { name: "tests/wrong", ..TouchyPattern::ENTRY };

    const WORKLOAD: &str = "register";

    fn config(_: u16, _: u64, _: Mutants<Mutant>) -> Mutants<Mutant> {
        Mutants::only(Mutant::Protocol)
    }

    fn cases(_: Mutants<Mutant>) -> Vec<Small<Touchy>> {
        TouchyPattern::cases(Mutants::only(Mutant::Protocol))
    }
}
