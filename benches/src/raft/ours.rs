//! Our own Raft. Each proposal is a request of one of as many clients as the window is wide, with a session
//! and an answer: what its clients are promised cannot be switched off.

use super::{Node, Queues, Sink, WINDOW};
use shakedown_impls::object::bytes::Bytes;
use shakedown_impls::protocol::{ClientId, Effect, Input, NodeId, Protocol, RequestId, Time};
use shakedown_impls::replication::raft::{Config, Limits, Op, Raft, StateMachine, Timer};
use std::rc::Rc;

impl StateMachine for Sink {
    type Command = Bytes;
    type Ret = u64;

    fn is_query(_: &Bytes) -> bool {
        false
    }

    fn query(&self, _: &Bytes) -> u64 {
        self.bytes
    }

    fn apply(&mut self, payload: &Bytes) -> u64 {
        self.take(payload)
    }

    fn bytes(payload: &Bytes) -> usize {
        payload.len()
    }
}

type Msg = <Raft<Sink> as Protocol>::Msg;

/// A node of ours.
pub struct Ours {
    config: Rc<Config>,
    raft: Raft<Sink>,
    /// What a step wants done; empty between steps.
    effects: Vec<Effect<Raft<Sink>>>,
    /// What it has gathered is to be sent.
    gathers: bool,
    payloads: Vec<Bytes>,
    /// Clients that wait for nothing, and the number of requests so far.
    idle: Vec<ClientId>,
    requests: u64,
    answered: usize,
}

/// A cluster with a leader. The same limits as the peers': a message may hold the whole window, and
/// nothing is compacted.
pub fn cluster(nodes: u16) -> Queues<Ours> {
    let limits = Limits { bytes_per_message: usize::MAX, snapshot_after: usize::MAX, ..Limits::default() };
    let config = Rc::new(Config { limits, ..Config::new(nodes) });
    Queues::new((0..nodes).map(|id| Ours::new(&config, NodeId(id))).collect())
}

impl Ours {
    fn new(config: &Rc<Config>, id: NodeId) -> Ours {
        let raft = Raft::boot(config, id, &Default::default(), &mut vec![]);
        let idle = (0..WINDOW as u32).map(ClientId).collect();
        let config = config.clone();
        Ours {
            config,
            raft,
            effects: vec![],
            gathers: false,
            payloads: vec![],
            idle,
            requests: 0,
            answered: 0,
        }
    }

    fn step(&mut self, input: Input<Raft<Sink>>, out: &mut Vec<(usize, Msg)>) {
        self.raft.step(&self.config, Time(0), input, &mut self.effects);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Send { to, msg } => out.push((usize::from(to.0), msg)),
                Effect::Reply { client, .. } => {
                    self.answered += 1;
                    self.idle.push(client);
                }
                Effect::SetTimer { timer: Timer::Batch, .. } => self.gathers = true,
                Effect::CancelTimer(Timer::Batch) => self.gathers = false,
                // Durable at once; and no time passes.
                Effect::Persist(_) | Effect::SetTimer { .. } | Effect::CancelTimer(_) => {}
                Effect::Choose { .. } | Effect::Note(_) => {}
            }
        }
    }
}

impl Node for Ours {
    type Msg = Msg;

    fn campaign(&mut self, out: &mut Vec<(usize, Msg)>) {
        self.step(Input::Timer(Timer::Election), out);
    }

    fn hear(&mut self, from: usize, msg: Msg, out: &mut Vec<(usize, Msg)>) {
        self.step(Input::Msg { from: NodeId(from as u16), msg }, out);
    }

    fn stock(&mut self, count: usize, payload: &str) {
        self.payloads = (0..count).map(|_| Bytes::from(payload)).collect();
    }

    fn propose(&mut self, count: usize, out: &mut Vec<(usize, Msg)>) {
        for _ in 0..count {
            let client = self.idle.pop().expect("the window is as wide as there are clients");
            self.requests += 1;
            let op = Op::Command(self.payloads.pop().expect("there is a stock"));
            self.step(Input::Request { client, id: RequestId(self.requests), op }, out);
        }
    }

    fn settle(&mut self, out: &mut Vec<(usize, Msg)>) {
        if std::mem::take(&mut self.gathers) {
            self.step(Input::Timer(Timer::Batch), out);
        }
    }

    fn answered(&mut self) -> usize {
        std::mem::take(&mut self.answered)
    }

    fn sink(&self) -> Sink {
        self.raft.view().state().clone()
    }
}
