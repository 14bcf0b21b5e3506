//! Clients' requests, from the node that was asked to the leader and back.
//!
//! ```text
//!  client    a follower          leader
//!    |--write--->|--Forward-------->|  proposed, once in a term
//!    |           |<--MsgAppend------|  committed
//!    |<--ret-----| applied here     |
//!    |--read---->|--MsgReadIndex--->|  does a quorum still follow?
//!    |           |<-MsgReadIndexResp|  an index
//!    |<--ret-----| applied to there |
//! ```

use super::{Config, Cx, Msg, Tikv, node};
use raft::{ReadState, StateRole, eraftpb};
use serde::{Deserialize, Serialize};
use shakedown_impls::protocol::{ClientId, Effect, NodeId, RequestId};
use shakedown_impls::replication::raft::StateMachine;

/// Clients that a node waits for an answer for; more are turned away, and run into their timeouts.
const WAITING_MAX: usize = 1024;

/// A client that asked this node. It has one request open at a time.
pub(super) struct Waiting<C> {
    id: RequestId,
    what: What<C>,
}

enum What<C> {
    /// A command that no leader has got: there was none.
    Unsent(C),
    /// A command that a leader has got. It is not sent again: it might be done twice.
    Sent,
    /// A question, and the entry that has to be applied before it is answered, once that is known.
    Read(C, Option<u64>),
}

/// Whose request it is: what an entry carries along with its command, and what a read is known by. It is
/// unique, so that a read never gets an index that was meant for another.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Asker {
    /// The node that was asked, as ours are numbered.
    node: NodeId,
    client: ClientId,
    id: RequestId,
}

impl Asker {
    fn bytes(self) -> Vec<u8> {
        postcard::to_allocvec(&self).expect("plain data can be written")
    }

    fn of(bytes: &[u8]) -> Asker {
        postcard::from_bytes(bytes).expect("what a node wrote can be read")
    }
}

impl<S: StateMachine> Tikv<S> {
    /// A client asks.
    pub(super) fn request(&mut self, cx: &mut Cx<'_, S>, client: ClientId, id: RequestId, op: S::Command) {
        let is_old = self.waiting.get(&client).is_some_and(|waiting| waiting.id > id);
        if is_old || self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&client) {
            return;
        }
        let what = if S::is_query(&op) { What::Read(op, None) } else { What::Unsent(op) };
        self.waiting.insert(client, Waiting { id, what });
        self.pursue(cx, client);
    }

    /// Does what can be done for a client, if there is a leader.
    fn pursue(&mut self, cx: &mut Cx<'_, S>, client: ClientId) {
        let (term, role, leader) = (self.raw.raft.term, self.raw.raft.state, self.raw.raft.leader_id);
        let Some(waiting) = self.waiting.get_mut(&client) else { return };
        if leader == raft::INVALID_ID {
            return;
        }
        let id = waiting.id;
        match &waiting.what {
            What::Read(_, None) => {
                let asker = Asker { node: self.id, client, id };
                self.raw.read_index(asker.bytes());
            }
            What::Unsent(_) => {
                let What::Unsent(command) = std::mem::replace(&mut waiting.what, What::Sent) else {
                    unreachable!("it matched")
                };
                match role {
                    StateRole::Leader => self.forwarded(cx, self.id, term, client, id, &command),
                    _ => {
                        let msg = Msg::Forward { term, client, id, command };
                        cx.out.push(Effect::Send { to: node(leader), msg });
                    }
                }
            }
            What::Sent | What::Read(_, Some(_)) => {}
        }
    }

    /// There may be a leader now.
    pub(super) fn pursue_all(&mut self, cx: &mut Cx<'_, S>) {
        let clients: Vec<ClientId> = self.waiting.keys().copied().collect();
        for client in clients {
            self.pursue(cx, client);
        }
    }

    /// A leader that has committed nothing in its term ignores questions, and messages are lost.
    pub(super) fn read_again(&mut self, config: &Config) {
        self.read_again_in -= 1;
        if self.read_again_in > 0 {
            return;
        }
        self.read_again_in = config.read_again_ticks;
        let reads = self.waiting.iter().filter(|(_, waiting)| matches!(waiting.what, What::Read(_, None)));
        let askers = reads.map(|(&client, waiting)| Asker { node: self.id, client, id: waiting.id });
        for asker in askers.collect::<Vec<_>>() {
            self.raw.read_index(asker.bytes());
        }
    }

    /// A node's client wants something done, by the leader of that term.
    pub(super) fn forwarded(
        &mut self,
        cx: &mut Cx<'_, S>,
        from: NodeId,
        term: u64,
        client: ClientId,
        id: RequestId,
        command: &S::Command,
    ) {
        let raft = &self.raw.raft;
        let is_leader = raft.state == StateRole::Leader && raft.term == term;
        // The network delivers twice, and late.
        let is_new = self.taken.get(&client).is_none_or(|&taken| taken < id);
        if !is_leader || !is_new {
            return;
        }
        self.taken.insert(client, id);
        let asker = Asker { node: from, client, id };
        let data = postcard::to_allocvec(command).expect("plain data can be written");
        if let Err(error) = self.raw.propose(asker.bytes(), data) {
            cx.note("dropped", error.to_string());
        }
    }

    /// A command is committed. Who was asked for it answers.
    pub(super) fn apply_command(&mut self, cx: &mut Cx<'_, S>, entry: &eraftpb::Entry) {
        let command: S::Command = postcard::from_bytes(&entry.data).expect("what a node wrote can be read");
        let ret = self.machine.apply(&command);
        let Asker { node, client, id } = Asker::of(&entry.context);
        let is_waited_for = self.waiting.get(&client).is_some_and(|waiting| waiting.id == id);
        if node == self.id && is_waited_for {
            self.waiting.remove(&client);
            cx.out.push(Effect::Reply { client, id, ret });
        }
    }

    /// A read has an index.
    pub(super) fn readable(&mut self, read: &ReadState) {
        let Asker { client, id, .. } = Asker::of(&read.request_ctx);
        let waiting = self.waiting.get_mut(&client).filter(|waiting| waiting.id == id);
        if let Some(Waiting { what: What::Read(_, at @ None), .. }) = waiting {
            *at = Some(read.index);
        }
    }

    /// Answers the reads whose index is applied.
    pub(super) fn read(&mut self, cx: &mut Cx<'_, S>) {
        let (applied, machine) = (self.applied, &self.machine);
        self.waiting.retain(|&client, waiting| match &waiting.what {
            What::Read(op, Some(index)) if *index <= applied => {
                let ret = machine.query(op);
                cx.out.push(Effect::Reply { client, id: waiting.id, ret });
                false
            }
            _ => true,
        });
    }
}
