//! Tikv's Raft, as the catalogue knows it.

use super::{Config, Tikv};
use crate::catalogue::{Definition, Entry, Family, Small};
use crate::nemesis::Nemesis;
use crate::replication::raft::{Object, of_each_object};
use crate::world::WorldName;
use shakedown_impls::mutants::{Mutant, Mutants};
use shakedown_impls::replication::raft::{Counter, Elements, Journal, Lists, Registers, Store};
use std::marker::PhantomData;

/// It, whatever it replicates.
pub static TIKV: Family = of_each_object!(Of);

/// It, with an `S`.
struct Of<S>(PhantomData<fn() -> S>);

impl<S: Object> Definition for Of<S> {
    type Protocol = Tikv<S>;
    type Mutant = Whole;
    type Watch = ();

    const ENTRY: Entry = Entry {
        name: "replication/raft/tikv",
        title: "somebody else's: the crate `raft` 0.7, which TiKV replicates with",
        guarantee: "what is replicated behaves like one copy that never fails (linearizable)",
        price: "as of Raft; reads ask the leader for an index, and wait for it where they were asked",
        not_covered: "clients' sessions, which it leaves to its user; membership changes and leader transfer are \
                      not exercised; it cannot be model-checked, for its state can be neither copied nor compared",
        source: "https://github.com/tikv/raft-rs, after etcd's; storage, messages and clients are ours",
        worlds: &[WorldName::Swarm, WorldName::Sim],
        nemeses: &Nemesis::ANY,
    };

    const WORKLOAD: &'static str = S::WORKLOAD;

    fn config(nodes: u16, _variety: u64, _mutants: Mutants<Whole>) -> Config {
        Config::new(nodes)
    }

    fn cases(_mutants: Mutants<Whole>) -> Vec<Small<Tikv<S>>> {
        vec![]
    }
}

/// No mistakes that could be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whole {}

impl Mutant for Whole {
    const ALL: &'static [Whole] = &[];

    fn name(self) -> &'static str {
        match self {}
    }

    fn about(self) -> &'static str {
        match self {}
    }
}
