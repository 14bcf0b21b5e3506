//! Clients' requests, from the node that was asked to the leader and back (§8).
//!
//! The node that was asked holds the request until it has an answer, and answers itself: from the
//! leader, or because it sees the command applied, whichever comes first. It sends the request to a leader
//! when it knows one, and again when it hears of one of a later term: what the first leader had not
//! committed may be lost with it. Whether it was is nothing that anybody needs to know, for sessions
//! make sure that it is applied once.

use super::log::{Index, Payload, Term};
use super::sessions::Seen;
use super::{Cx, Leadership, Msg, Mutant, Op, Raft, Ret, RetOf, Role, StateMachine};
use crate::protocol::{ClientId, Data, Effect, NodeId, RequestId, Time};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

/// Who is to be answered, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    /// The node that was asked.
    pub(super) node: NodeId,
    pub(super) client: ClientId,
    pub(super) id: RequestId,
}

/// The requests that a node holds for its clients: one for each, since a client has one open at a time.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Held<C: Data> {
    by_client: BTreeMap<ClientId, Waiting<C>>,
    arrived: u64,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct Waiting<C: Data> {
    id: RequestId,
    op: Op<C>,
    since: Time,
    /// How many came before it.
    arrival: u64,
    /// The term of the last leader that it was sent to.
    sent_in: Term,
}

impl<C: Data> Default for Held<C> {
    fn default() -> Held<C> {
        Held { by_client: BTreeMap::new(), arrived: 0 }
    }
}

impl<C: Data> Held<C> {
    /// Takes a request, unless the client has gone on to a later one. The oldest goes if there are more
    /// than `max`.
    fn hold(&mut self, client: ClientId, id: RequestId, op: Op<C>, since: Time, max: usize) -> bool {
        let waiting = Waiting { id, op, since, arrival: self.arrived, sent_in: Term(0) };
        match self.by_client.entry(client) {
            Entry::Occupied(held) if held.get().id > id => return false,
            Entry::Occupied(mut held) => drop(held.insert(waiting)),
            Entry::Vacant(place) => drop(place.insert(waiting)),
        }
        self.arrived += 1;
        if self.by_client.len() > max {
            let oldest = self.by_client.iter().min_by_key(|(_, waiting)| waiting.arrival);
            let oldest = *oldest.expect("there are more than max").0;
            self.by_client.remove(&oldest);
        }
        true
    }

    fn get_mut(&mut self, client: ClientId, id: RequestId) -> Option<&mut Waiting<C>> {
        self.by_client.get_mut(&client).filter(|waiting| waiting.id == id)
    }

    /// Whether somebody waited for it.
    fn release(&mut self, client: ClientId, id: RequestId) -> bool {
        take_if(&mut self.by_client, client, |waiting| waiting.id == id).is_some()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }
}

/// Who waits for entries of a leader that are not committed.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub(super) struct Proposals(BTreeMap<ClientId, Asker>);

impl Proposals {
    /// Whether somebody waits for the same already; from now on it is this one.
    pub(super) fn expect(&mut self, asker: Asker) -> bool {
        self.0.insert(asker.client, asker).is_some_and(|before| before.id == asker.id)
    }

    fn take(&mut self, client: ClientId, id: RequestId) -> Option<Asker> {
        take_if(&mut self.0, client, |asker| asker.id == id)
    }
}

/// Takes what a client has, if it is the one.
fn take_if<T>(map: &mut BTreeMap<ClientId, T>, client: ClientId, is_it: impl Fn(&T) -> bool) -> Option<T> {
    match map.entry(client) {
        Entry::Occupied(entry) if is_it(entry.get()) => Some(entry.remove()),
        Entry::Occupied(_) | Entry::Vacant(_) => None,
    }
}

/// A request that waits for the end of a handover.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Postponed<C: Data> {
    pub(super) asker: Asker,
    pub(super) op: Op<C>,
}

impl<S: StateMachine> Raft<S> {
    /// A client asks.
    pub(super) fn request(
        &mut self,
        cx: &mut Cx<'_, S>,
        client: ClientId,
        id: RequestId,
        op: Op<S::Command>,
    ) {
        if self.held.hold(client, id, op, cx.now, cx.config.limits.requests) {
            self.pursue(cx, client);
        }
    }

    /// Does what can be done for a request that is held.
    fn pursue(&mut self, cx: &mut Cx<'_, S>, client: ClientId) {
        let Some(leader) = self.leader else {
            // With a say it waits: there will be an election.
            if !self.membership(cx).voters.contains(self.id) {
                self.ask_one(cx, client);
            }
            return;
        };
        let Some(waiting) = self.held.by_client.get_mut(&client) else { return };
        let (id, op) = (waiting.id, waiting.op.clone());
        waiting.sent_in = self.disk.current_term;
        match leader == self.id {
            true => self.serve(cx, Asker { node: self.id, client, id }, op),
            false => cx.send(leader, Msg::Forward { client, id, op }),
        }
    }

    /// There is a leader: it gets all that is held and that no leader of its term has got.
    pub(super) fn pursue_all(&mut self, cx: &mut Cx<'_, S>) {
        let (now, age_max) = (cx.now.0, cx.config.limits.request_age);
        let age = |waiting: &Waiting<_>| Duration::from_nanos(now.saturating_sub(waiting.since.0));
        self.held.by_client.retain(|_, waiting| age(waiting) <= age_max);
        let term = self.disk.current_term;
        let unsent = self.held.by_client.iter().filter(|(_, waiting)| waiting.sent_in < term);
        let clients: Vec<ClientId> = unsent.map(|(&client, _)| client).collect();
        for client in clients {
            self.pursue(cx, client);
        }
    }

    /// No leader talks to a node without a say, so it asks voters, who may know one.
    pub(super) fn ask_around(&mut self, cx: &mut Cx<'_, S>) {
        let clients: Vec<ClientId> = self.held.by_client.keys().copied().collect();
        for client in clients {
            self.ask_one(cx, client);
        }
    }

    /// Each time another voter.
    fn ask_one(&mut self, cx: &mut Cx<'_, S>, client: ClientId) {
        let Some(waiting) = self.held.by_client.get_mut(&client) else { return };
        let voters: Vec<NodeId> = self.configurations.latest().voters.iter().collect();
        let to = voters[(waiting.arrival % voters.len() as u64) as usize];
        waiting.arrival += 1;
        if to != self.id {
            cx.send(to, Msg::Forward { client, id: waiting.id, op: waiting.op.clone() });
        }
    }

    /// Another node's client asks.
    pub(super) fn forwarded(
        &mut self,
        cx: &mut Cx<'_, S>,
        from: NodeId,
        client: ClientId,
        id: RequestId,
        op: Op<S::Command>,
    ) {
        if self.is_leader() {
            return self.serve(cx, Asker { node: from, client, id }, op);
        }
        let leader = self.leader.map(|leader| (self.disk.current_term, leader));
        cx.send(from, Msg::NotLeader { client, id, leader });
    }

    /// The request went to somebody who does not lead. One hint is taken for each term, so this ends.
    pub(super) fn redirected(
        &mut self,
        cx: &mut Cx<'_, S>,
        client: ClientId,
        id: RequestId,
        leader: Option<(Term, NodeId)>,
    ) {
        let (Some((term, leader)), Some(waiting)) = (leader, self.held.get_mut(client, id)) else { return };
        if term > waiting.sent_in && leader != self.id {
            waiting.sent_in = term;
            cx.send(leader, Msg::Forward { client, id, op: waiting.op.clone() });
        }
    }

    /// A leader does what a client asked.
    pub(super) fn serve(&mut self, cx: &mut Cx<'_, S>, asker: Asker, op: Op<S::Command>) {
        let Role::Leader(leading) = &mut self.role else { return };
        let hands_over = leading.handover.is_some();
        match op {
            Op::Command(command) if S::is_query(&command) => self.read(cx, asker, command),
            Op::Command(_) | Op::Change(_) if hands_over => {
                if leading.postponed.len() < cx.config.limits.requests {
                    leading.postponed.push(Postponed { asker, op });
                }
            }
            Op::Command(command) => self.propose(cx, asker, command),
            Op::Change(change) => self.change(cx, asker, &change),
            Op::Transfer(to) => self.transfer(cx, asker, to),
        }
    }

    fn propose(&mut self, cx: &mut Cx<'_, S>, asker: Asker, command: S::Command) {
        let Asker { client, id, .. } = asker;
        match self.machine.sessions.seen(client, id) {
            Seen::Before(ret) if !cx.has(Mutant::NoSessions) => {
                let ret = Ret::Done(ret.clone());
                return self.answer(cx, asker, ret);
            }
            Seen::Outdated if !cx.has(Mutant::NoSessions) => return,
            _ => {}
        }
        let Role::Leader(leading) = &mut self.role else { return };
        let uncommitted = self.disk.log.last().index.past(self.commit_index) + leading.batch.len();
        if uncommitted >= cx.config.limits.uncommitted {
            return cx.note("overloaded", format!("{uncommitted} entries are not committed"));
        }
        let is_known = leading.proposals.expect(asker);
        if !is_known || cx.has(Mutant::NoSessions) {
            self.gather(cx, Payload::Command { client, id, command });
        }
    }

    /// A command was applied here. `None`: its client has gone on to another one.
    pub(super) fn applied(
        &mut self,
        cx: &mut Cx<'_, S>,
        client: ClientId,
        id: RequestId,
        ret: Option<S::Ret>,
    ) {
        match ret {
            Some(ret) => self.answer_proposal(cx, client, id, Ret::Done(ret)),
            None => drop(self.held.release(client, id)),
        }
    }

    /// Answers what was committed: whoever proposed it, or is asked for it.
    pub(super) fn answer_proposal(
        &mut self,
        cx: &mut Cx<'_, S>,
        client: ClientId,
        id: RequestId,
        ret: RetOf<S>,
    ) {
        let proposed = match &mut self.role {
            Role::Leader(leading) => leading.proposals.take(client, id),
            _ => None,
        };
        self.answer(cx, proposed.unwrap_or(Asker { node: self.id, client, id }), ret);
    }

    pub(super) fn answer(&mut self, cx: &mut Cx<'_, S>, asker: Asker, ret: RetOf<S>) {
        let Asker { node, client, id } = asker;
        match node == self.id {
            true => self.answered(cx, client, id, ret),
            false => cx.send(node, Msg::Answer { client, id, ret }),
        }
    }

    /// There is an answer to a request. It may be the second: then nobody waits for it.
    pub(super) fn answered(&mut self, cx: &mut Cx<'_, S>, client: ClientId, id: RequestId, ret: RetOf<S>) {
        if self.held.release(client, id) {
            cx.out.push(Effect::Reply { client, id, ret });
        }
    }

    /// Requests that this node holds.
    pub fn requests_held(&self) -> usize {
        self.held.len()
    }
}

// What no leader should do.
impl<S: StateMachine> Raft<S> {
    /// Answers commands as if all that it has were committed.
    pub(super) fn answer_uncommitted(&mut self, cx: &mut Cx<'_, S>) {
        let Role::Leader(leading) = &mut self.role else { return };
        let proposals = std::mem::take(&mut leading.proposals);
        let batch = leading.batch.clone();
        self.guess(cx, proposals, &batch);
    }

    /// Answers all that its clients wait for, though it does not lead any more.
    pub(super) fn answer_all(&mut self, cx: &mut Cx<'_, S>, leading: Leadership<S>) {
        for read in leading.reads {
            let ret = Ret::Done(self.machine.state.query(&read.command));
            self.answer(cx, read.asker, ret);
        }
        self.guess(cx, leading.proposals, &leading.batch);
    }

    fn guess(&mut self, cx: &mut Cx<'_, S>, mut proposals: Proposals, batch: &[Payload<S::Command>]) {
        let mut machine = self.machine.clone();
        let applied: Index = machine.applied.index;
        let logged: Vec<_> =
            self.disk.log.behind(applied).iter().map(|entry| entry.payload.clone()).collect();
        for payload in logged.iter().chain(batch) {
            let Payload::Command { client, id, command } = payload else { continue };
            let ret = machine.state.apply(command);
            if let Some(asker) = proposals.take(*client, *id) {
                self.answer(cx, asker, Ret::Done(ret));
            }
        }
    }
}
