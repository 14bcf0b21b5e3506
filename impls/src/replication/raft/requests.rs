//! Clients' requests, from the node that was asked to the leader and back (§8).
//!
//! The node that was asked holds the request until it has an answer, and answers itself: from the
//! leader, or because it sees the command applied, whichever comes first. It sends the request to a leader
//! when it knows one, and again when it hears of one of a later term, for what the first leader had not
//! committed may be lost with it; or when an election timeout has passed without an answer, for the request
//! may be lost. Whether it was is nothing that anybody needs to know: sessions make sure that it is applied
//! once.

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
    /// Who answered last what this node had asked around for.
    guide: Option<NodeId>,
    /// When it was looked last whether answers are late.
    looked: Time,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct Waiting<C: Data> {
    id: RequestId,
    op: Op<C>,
    since: Time,
    /// How many came before it.
    arrival: u64,
    /// Where it is asked next, if no leader is known.
    asked: u64,
    /// The term of the last leader that it was sent to, and when.
    sent_in: Term,
    sent: Time,
}

impl<C: Data> Default for Held<C> {
    fn default() -> Held<C> {
        Held { by_client: BTreeMap::new(), arrived: 0, guide: None, looked: Time(0) }
    }
}

impl<C: Data> Held<C> {
    /// Takes a request, unless the client has gone on to a later one. The oldest goes if there are more
    /// than `max`.
    fn hold(&mut self, client: ClientId, id: RequestId, op: Op<C>, since: Time, max: usize) -> bool {
        let (arrival, sent_in) = (self.arrived, Term(0));
        let waiting = Waiting { id, op, since, arrival, asked: arrival, sent_in, sent: since };
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

    /// The same, if nodes have other numbers: but for whom it would ask first.
    pub(super) fn renamed(&self, number: &dyn Fn(NodeId) -> NodeId) -> Held<C> {
        Held { guide: self.guide.map(number), ..self.clone() }
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

    /// Gives nodes other numbers.
    pub(super) fn rename(&mut self, number: &dyn Fn(NodeId) -> NodeId) {
        self.0.values_mut().for_each(|asker| asker.node = number(asker.node));
    }

    /// Whether the client waits for something that it asked after `id`.
    fn has_later(&self, client: ClientId, id: RequestId) -> bool {
        self.0.get(&client).is_some_and(|asker| asker.id > id)
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
            if self.held.guide.is_some() || !self.membership(cx).voters.contains(self.id) {
                self.ask_one(cx, client);
            }
            return;
        };
        let Some(waiting) = self.held.by_client.get_mut(&client) else { return };
        let (id, op) = (waiting.id, waiting.op.clone());
        (waiting.sent_in, waiting.sent) = (self.disk.current_term, cx.now);
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

    /// The leader is there: it gets once more what it has not answered for an election timeout. That may be
    /// this node, which has dropped what was too much at the time.
    pub(super) fn pursue_late(&mut self, cx: &mut Cx<'_, S>) {
        let (now, patience) = (cx.now, cx.config.election_timeout);
        // A clock that went back says that it is late, rather than never.
        let is_over = |from: Time| now < from || Duration::from_nanos(now.0 - from.0) >= patience;
        if self.held.by_client.is_empty() || !is_over(self.held.looked) {
            return;
        }
        self.held.looked = now;
        let late = self.held.by_client.iter().filter(|(_, waiting)| is_over(waiting.sent));
        let clients: Vec<ClientId> = late.map(|(&client, _)| client).collect();
        for client in clients {
            self.pursue(cx, client);
        }
    }

    /// No leader talks to a node that is no member, whether it knows that or not; so it asks others, who may
    /// know one. Any others: who the members are now it may not know either.
    pub(super) fn ask_around(&mut self, cx: &mut Cx<'_, S>) {
        let clients: Vec<ClientId> = self.held.by_client.keys().copied().collect();
        for client in clients {
            self.ask_one(cx, client);
        }
    }

    /// Whoever answered last; if that is of no use, each time another node.
    fn ask_one(&mut self, cx: &mut Cx<'_, S>, client: ClientId) {
        let guide = self.held.guide.take();
        let Some(waiting) = self.held.by_client.get_mut(&client) else { return };
        let others = cx.config.nodes - 1;
        if others == 0 {
            return;
        }
        let next = (waiting.asked % u64::from(others)) as u16;
        let to = guide.unwrap_or(NodeId(next + u16::from(next >= self.id.0)));
        waiting.asked += u64::from(guide.is_none());
        cx.send(to, Msg::Forward { client, id: waiting.id, op: waiting.op.clone() });
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
        if leading.proposals.has_later(client, id) && !cx.has(Mutant::NoSessions) {
            return;
        }
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
            None => {
                if let Role::Leader(leading) = &mut self.role {
                    leading.proposals.take(client, id);
                }
                self.held.release(client, id);
            }
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

    /// Another node has the answer.
    pub(super) fn answered_by(
        &mut self,
        cx: &mut Cx<'_, S>,
        from: NodeId,
        client: ClientId,
        id: RequestId,
        ret: RetOf<S>,
    ) {
        self.held.guide = self.leader.is_none().then_some(from);
        self.answered(cx, client, id, ret);
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

    /// Requests that wait for this leader to commit them.
    #[cfg(test)]
    pub(super) fn proposals(&self) -> usize {
        let Role::Leader(leading) = &self.role else { return 0 };
        leading.proposals.0.len()
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
        for read in leading.reads.into_values() {
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
