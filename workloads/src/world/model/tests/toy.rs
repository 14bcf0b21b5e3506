//! What the register does not do: choices, panics, effects that the boundary forbids.

use super::super::transition::everything_reachable;
use super::super::*;
use super::{NONE, ONE_CRASH};
use crate::generator::Generator;
use crate::operation::{Call, Draws, Operation};
use serde::{Deserialize, Serialize};
use shakedown_checkers::model::ModelName;
use shakedown_checkers::value::{Value, Values};
use shakedown_impls::protocol::{ClientId, Durable, Effect, Input, RequestId, Time};

#[derive(Clone, Debug, PartialEq, Hash)]
struct Toy(Option<(ClientId, RequestId)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Op {
    /// Is answered with one of six numbers.
    Roll,
    /// Writes two records before it answers.
    WriteTwice,
    Panic,
    SendToItself,
    SendToNobody,
    AnswerNobody,
    ChooseFromNothing,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Records(Vec<u8>);

impl Durable for Records {
    type Record = u8;

    fn replay(&mut self, record: &u8) {
        self.0.push(*record);
    }
}

impl Protocol for Toy {
    type Config = ();
    type Msg = ();
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
                Op::SendToItself => out.push(Effect::Send { to: NodeId(0), msg: () }),
                Op::SendToNobody => out.push(Effect::Send { to: NodeId(7), msg: () }),
                Op::AnswerNobody => out.push(Effect::Reply { client: ClientId(9), id, ret: 0 }),
                Op::ChooseFromNothing => out.push(Effect::Choose { key: 4, n: 0 }),
            },
            Input::Chosen { pick, .. } => {
                let (client, id) = self.0.take().expect("it asked");
                out.push(Effect::Reply { client, id, ret: pick });
            }
            Input::Msg { .. } | Input::Timer(()) => unreachable!("it neither sends nor waits"),
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

    fn usual() -> Generator<()> {
        Generator::Always(())
    }

    fn small() -> Vec<Vec<Op>> {
        vec![vec![Op::Roll]]
    }

    fn last(_: u32) -> Vec<Op> {
        vec![]
    }
}

fn asked(op: Op) -> Case<Toy> {
    Case::new(1, ()).client([(NodeId(0), op)])
}

// Before the request, before the choice, and six ways after it.
#[test]
fn a_choice_falls_every_way() {
    let exploration = explore(&asked(Op::Roll), &Limits::default());
    assert!(exploration.is_proof());
    assert_eq!(exploration.extent, Extent::Exhaustive { unique_states: 8 });
}

#[test]
fn a_node_crashes_between_two_records() {
    let case = asked(Op::WriteTwice).budget(ONE_CRASH);
    let states = everything_reachable(&case, |_, _| vec![]);
    let disks = |is_down: bool| {
        let mut disks: Vec<_> = states
            .iter()
            .filter(|state| (state.down() > 0) == is_down)
            .map(|state| state.nodes[0].disk.0.clone())
            .collect();
        disks.sort();
        disks.dedup();
        disks
    };
    assert_eq!(disks(true), [vec![], vec![1], vec![1, 2]]);
    assert_eq!(disks(false), [vec![], vec![1], vec![1, 2]]);
    let has_no_crash_to_come = asked(Op::WriteTwice).budget(NONE);
    assert_eq!(everything_reachable(&has_no_crash_to_come, |_, _| vec![]).len(), 2);
}

#[test]
fn what_the_boundary_forbids_is_a_finding() {
    for (op, how) in [
        (Op::Panic, "it panicked: as it was told"),
        (Op::SendToItself, "it sends to n0: expected another of the 1 nodes"),
        (Op::SendToNobody, "it sends to n7: expected another of the 1 nodes"),
        (Op::AnswerNobody, "it answers request 0 of c9, who never made it"),
        (Op::ChooseFromNothing, "its choice 4 is one of nothing"),
    ] {
        let violation = explore(&asked(op), &Limits::default()).violation.expect("it is found");
        assert_eq!(violation.finding, Finding::Broke { node: NodeId(0), how: how.to_owned() });
        assert_eq!(violation.steps, [format!("n0 hears request 0 of c0: {op:?}")]);
        let walks = Walks { walks: 1, steps_max: 5, seed: 0 };
        let walked = walk(&asked(op), &walks).violation.expect("it is found");
        assert_eq!(walked.to_string(), violation.to_string());
    }
}
