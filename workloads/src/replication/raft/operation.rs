//! What Raft's clients ask: commands of whatever it replicates; and what its administrators ask.

use crate::generator::Generator;
use crate::operation::{Call, Operation};
use crate::random::Draws;
use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::protocol::NodeId;
use shakedown_impls::replication::raft::{Change, Op, Ret};
use std::collections::BTreeSet;

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind<K> {
    /// A client's.
    Command(K),
    /// Let any node learn.
    AddLearner,
    /// Let any learner vote.
    Promote,
    /// Let any node leave.
    Remove,
    /// Let any nodes vote, and no others.
    SetVoters,
    /// Let any node lead.
    Transfer,
}

impl<C: Operation> Operation for Op<C> {
    type Ret = Ret<C::Ret>;
    type Kind = Kind<C::Kind>;

    const MODEL: ModelName = C::MODEL;

    fn invoked(&self, values: &mut Values) -> Call {
        command(self).invoked(values)
    }

    fn completed(&self, ret: &Ret<C::Ret>, values: &mut Values) -> Value {
        match ret {
            Ret::Done(ret) => command(self).completed(ret, values),
            // A peer's nonsense, which a history has to be able to show.
            other => values.str(&format!("{other:?}")),
        }
    }

    fn shows_effect(&self, ret: &Ret<C::Ret>) -> bool {
        matches!((self, ret), (Op::Command(command), Ret::Done(ret)) if command.shows_effect(ret))
    }

    /// All of it, for there are sessions.
    fn is_repeatable(&self) -> bool {
        true
    }

    fn of_kind(kind: &Kind<C::Kind>, draws: &mut Draws<'_>) -> Op<C> {
        match kind {
            Kind::Command(kind) => Op::Command(C::of_kind(kind, draws)),
            Kind::AddLearner => Op::Change(Change::AddLearner(draws.node())),
            Kind::Promote => Op::Change(Change::Promote(draws.node())),
            Kind::Remove => Op::Change(Change::Remove(draws.node())),
            Kind::SetVoters => {
                let size = 1 + draws.below(u64::from(draws.nodes()));
                Op::Change(Change::SetVoters((0..size).map(|_| draws.node()).collect::<BTreeSet<NodeId>>()))
            }
            Kind::Transfer => Op::Transfer(draws.node()),
        }
    }

    fn usual(gap_us: u64) -> Generator<Kind<C::Kind>> {
        C::usual(gap_us).map(&Kind::Command)
    }

    fn looking(gap_us: u64) -> Option<Generator<Kind<C::Kind>>> {
        Some(C::looking(gap_us)?.map(&Kind::Command))
    }

    fn administration(gap_us: u64) -> Option<Generator<Kind<C::Kind>>> {
        let weights = [
            (4, Kind::AddLearner),
            (4, Kind::Promote),
            (2, Kind::Remove),
            (2, Kind::SetVoters),
            (4, Kind::Transfer),
        ];
        let mix = Generator::Mix(weights.map(|(weight, kind)| (weight, Generator::Always(kind))).into());
        Some(mix.every_us(gap_us))
    }

    fn administers(&self) -> Option<String> {
        match self {
            Op::Command(_) => None,
            Op::Change(change) => Some(format!("{change:?}")),
            Op::Transfer(to) => Some(format!("let {to} lead")),
        }
    }

    fn administered(&self, ret: &Ret<C::Ret>) -> String {
        format!("{ret:?}")
    }

    fn small() -> Vec<Vec<Op<C>>> {
        C::small().into_iter().map(|script| script.into_iter().map(Op::Command).collect()).collect()
    }

    fn last(keys: u32) -> Vec<Op<C>> {
        C::last(keys).into_iter().map(Op::Command).collect()
    }
}

fn command<C: Operation>(op: &Op<C>) -> &C {
    match op {
        Op::Command(command) => command,
        Op::Change(_) | Op::Transfer(_) => unreachable!("an administrator's request is not a client's"),
    }
}
