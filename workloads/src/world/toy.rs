//! A protocol that does what the register does not: choices, panics, effects that the boundary forbids.

use crate::generator::Generator;
use crate::operation::{Call, Draws, Operation};
use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::protocol::{ClientId, Durable, Effect, Input, NodeId, Protocol, RequestId, Time};

#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct Toy(Option<(ClientId, RequestId)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Op {
    /// Is answered with one of six numbers.
    Roll,
    /// Writes two records before it answers.
    WriteTwice,
    Panic,
    SendToItself,
    SendToNobody,
    AnswerNobody,
    ChooseFromNothing,
    /// The other node of two answers.
    AnswerElsewhere,
    /// It never stops to choose.
    ChooseForEver,
    /// Is answered with the sum of two choices, the first of which counts tenfold.
    RollTwice,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Records(pub(crate) Vec<u8>);

impl Durable for Records {
    type Record = u8;

    fn replay(&mut self, record: &u8) {
        self.0.push(*record);
    }
}

impl Protocol for Toy {
    type Config = ();
    type Msg = (ClientId, RequestId);
    type Timer = ();
    type Op = Op;
    type Ret = u32;
    type Durable = Records;

    fn boot(_: &(), _: NodeId, _: &Records, _: &mut Vec<Effect<Toy>>) -> Toy {
        Toy(None)
    }

    fn step(&mut self, _: &(), _: Time, input: Input<Toy>, out: &mut Vec<Effect<Toy>>) {
        match input {
            Input::Request { client, id, op } => match op {
                Op::Roll => {
                    self.0 = Some((client, id));
                    out.push(Effect::Choose { key: 0, n: 6 });
                }
                Op::WriteTwice => {
                    out.extend([Effect::Persist(1), Effect::Persist(2)]);
                    out.push(Effect::Reply { client, id, ret: 0 });
                }
                Op::Panic => panic!("as it was told"),
                Op::SendToItself => out.push(Effect::Send { to: NodeId(0), msg: (client, id) }),
                Op::SendToNobody => out.push(Effect::Send { to: NodeId(7), msg: (client, id) }),
                Op::AnswerNobody => out.push(Effect::Reply { client: ClientId(9), id, ret: 0 }),
                Op::ChooseFromNothing => out.push(Effect::Choose { key: 4, n: 0 }),
                Op::AnswerElsewhere => out.push(Effect::Send { to: NodeId(1), msg: (client, id) }),
                Op::ChooseForEver => out.push(Effect::Choose { key: 1, n: 1 }),
                Op::RollTwice => {
                    self.0 = Some((client, id));
                    out.extend([Effect::Choose { key: 10, n: 6 }, Effect::Choose { key: 2, n: 6 }]);
                }
            },
            Input::Chosen { key: 0, pick } => {
                let (client, id) = self.0.take().expect("it asked");
                out.push(Effect::Reply { client, id, ret: pick });
            }
            Input::Chosen { key: 1, .. } => out.push(Effect::Choose { key: 1, n: 1 }),
            Input::Chosen { key: 10, .. } => assert!(self.0.is_some(), "the first comes first"),
            Input::Chosen { key, .. } => {
                let (client, id) = self.0.take().expect("it asked");
                out.push(Effect::Reply { client, id, ret: key });
            }
            Input::Msg { msg: (client, id), .. } => out.push(Effect::Reply { client, id, ret: 0 }),
            Input::Timer(()) => unreachable!("it does not wait"),
        }
    }
}

/// All operations are reads of nothing: none contradicts another.
impl Operation for Op {
    type Ret = u32;
    type Kind = ();

    const MODEL: ModelName = ModelName::Register;

    fn invoked(&self, _: &mut Values) -> Call {
        Call { f: "read", key: None, value: Value::NIL }
    }

    fn completed(&self, _: &u32, _: &mut Values) -> Value {
        Value::NIL
    }

    fn shows_effect(&self, _: &u32) -> bool {
        true
    }

    fn of_kind((): &(), _: &mut Draws<'_>) -> Op {
        Op::Roll
    }

    fn usual(_: u64) -> Generator<()> {
        Generator::Always(())
    }

    fn small() -> Vec<Vec<Op>> {
        vec![vec![Op::Roll]]
    }

    fn last(_: u32) -> Vec<Op> {
        vec![]
    }
}
