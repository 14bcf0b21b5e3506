//! A store that looks right and is not, and what a trial says of it.
//!
//! Every node has all keys. It answers reads from memory; it takes a write, answers, and tells the
//! others. So a read elsewhere may miss a write that was answered, and two writes may end up in one order
//! here and in another there. In a quiet network nobody notices.
//!
//! ```sh
//! cargo run -p shakedown-workloads --example wrong_store
//! ```

use shakedown_impls::object::register::{Key, Op, Ret, Value};
use shakedown_impls::protocol::{Effect, Input, NodeId, Protocol, Time};
use shakedown_workloads::trial::Trial;
use std::collections::BTreeMap;

/// A node of the store.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct Store {
    id: NodeId,
    values: BTreeMap<Key, Value>,
}

impl Protocol for Store {
    type Config = u16; // how many nodes there are
    type Msg = (Key, Value);
    type Timer = ();
    type Op = Op;
    type Ret = Ret;
    type Durable = ();

    fn boot(_: &u16, id: NodeId, (): &(), _: &mut Vec<Effect<Store>>) -> Store {
        Store { id, values: BTreeMap::new() }
    }

    fn step(&mut self, nodes: &u16, _: Time, input: Input<Store>, out: &mut Vec<Effect<Store>>) {
        match input {
            Input::Request { client, id, op: Op::Read { key } } => {
                out.push(Effect::Reply { client, id, ret: Ret::Value(self.values.get(&key).copied()) });
            }
            Input::Request { client, id, op: Op::Write { key, value } } => {
                self.values.insert(key, value);
                out.push(Effect::Reply { client, id, ret: Ret::Written });
                let others = (0..*nodes).map(NodeId).filter(|&to| to != self.id);
                out.extend(others.map(|to| Effect::Send { to, msg: (key, value) }));
            }
            Input::Msg { msg: (key, value), .. } => drop(self.values.insert(key, value)),
            Input::Timer(()) | Input::Chosen { .. } => unreachable!("it asks for neither"),
        }
    }
}

fn main() {
    Trial::of::<Store>(|nodes| nodes).check();
}
