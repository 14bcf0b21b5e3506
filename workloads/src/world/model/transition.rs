//! The rules: what can happen in a state, and what becomes of it.
//!
//! Left out is only what another path stands for as well, in everything that clients can see:
//!
//! - A request arrives when it is invoked, an answer when it is given. An operation that takes longer
//!   overlaps more others and is explained by every order that explains the shorter one. (Only who
//!   gives up can do something else before its request arrives: that is a path of its own.)
//! - A crash within a step comes just before an effect that lasts (a record, an answer). Later sends
//!   that a crash would have cut off are messages that never arrive, which is a path of its own; and
//!   a crash before any effect is a crash before the input.
//! - Nothing happens once no client has anything left to do or to wait for. (What nodes do to each
//!   other then belongs to a longer case. In one without clients they go on as long as they can.)

use super::Case;
use super::heard::Heard;
use super::judge::Judge;
use super::state::{Action, Client, ClientEvent, Envelope, Events, Finding, Node, State};
use crate::operation::Subject;
use crate::outcome::{Broke, Rules};
use crate::world::caught;
use shakedown_impls::protocol::{ClientId, Durable, Effect, Input, NodeId, RequestId, Time};
use std::sync::Arc;

impl<P: Subject> Case<P> {
    /// All nodes have started, no client has asked for anything.
    pub(super) fn start(&self) -> State<P> {
        let blank = Arc::new(Node::blank());
        let mut state = State {
            nodes: vec![blank; usize::from(self.nodes)],
            network: vec![],
            clients: vec![Client::default(); self.scripts.len()],
            late: vec![],
            history: Arc::new(Events::new()),
            left: self.budget,
            finding: None,
        };
        let heard = Heard::default();
        for node in (0..self.nodes).map(NodeId) {
            self.boot(&mut state, node, None, &heard);
        }
        for happening in &self.before {
            if state.finding.is_none() {
                self.happen(&mut state, happening);
            }
        }
        state
    }

    /// Everything that can happen, in an order that depends on the state alone.
    pub(super) fn possible(&self, state: &State<P>, actions: &mut Vec<Action<P>>) {
        if state.finding.is_some() || self.is_over(state) {
            return;
        }
        self.possible_requests(state, actions);
        for (at, envelope) in state.network.iter().enumerate() {
            if at > 0 && state.network[at - 1] == *envelope {
                continue; // The same message: it does not matter which of them arrives.
            }
            let input = Input::Msg { from: envelope.from, msg: envelope.msg.clone() };
            self.possible_steps(state, envelope.to, input, actions);
            if state.left.losses > 0 {
                actions.push(Action::Lose(envelope.clone()));
            }
            if state.left.duplications > 0 {
                actions.push(Action::Duplicate(envelope.clone()));
            }
        }
        for (at, node) in state.nodes.iter().enumerate() {
            let id = NodeId(at as u16);
            self.possible_of_node(state, id, node, actions);
        }
    }

    fn possible_requests(&self, state: &State<P>, actions: &mut Vec<Action<P>>) {
        for (at, client) in state.clients.iter().enumerate() {
            let (id, script) = (ClientId(at as u32), &self.scripts[at]);
            if state.left.repeats > 0 {
                self.possible_repeats(state, id, actions);
            }
            if let (false, Some((node, _))) = (client.waits, script.get(client.begun)) {
                self.possible_steps(state, *node, self.request(id, client.begun), actions);
            }
            // Who gives up at the end of its script does nothing else.
            let last = client.begun + usize::from(!client.waits);
            if state.left.timeouts == 0 || last >= script.len() {
                continue;
            }
            actions.push(match client.waits {
                true => Action::GiveUp { client: id },
                false => {
                    let op = script[client.begun].1.clone();
                    Action::AskInVain { client: id, id: RequestId(client.begun as u64), op }
                }
            });
        }
        for &(client, id) in &state.late {
            let op = id.0 as usize;
            let node = self.scripts[client.0 as usize][op].0;
            self.possible_steps(state, node, self.request(client, op), actions);
        }
    }

    /// Any request that has arrived may arrive again, anywhere.
    fn possible_repeats(&self, state: &State<P>, client: ClientId, actions: &mut Vec<Action<P>>) {
        for op in 0..state.clients[client.0 as usize].begun {
            if state.late.binary_search(&(client, RequestId(op as u64))).is_err() {
                for node in (0..self.nodes).map(NodeId) {
                    self.possible_steps(state, node, self.request(client, op), actions);
                }
            }
        }
    }

    fn request(&self, client: ClientId, op: usize) -> Input<P> {
        let (_, asked) = &self.scripts[client.0 as usize][op];
        Input::Request { client, id: RequestId(op as u64), op: asked.clone() }
    }

    fn possible_of_node(&self, state: &State<P>, id: NodeId, node: &Node<P>, actions: &mut Vec<Action<P>>) {
        if node.up.is_none() {
            actions.push(Action::Recover { node: id, cut: None });
            if state.left.crashes > 0 {
                let effects = self.boot_effects(id, &node.disk).map_or(vec![], |booted| booted.1);
                actions.extend(cuts(&effects).map(|cut| Action::Recover { node: id, cut: Some(cut) }));
            }
            return;
        }
        if let Some(&(key, n)) = node.choices.first() {
            for pick in 0..n {
                self.push_steps(state, id, Input::Chosen { key, pick }, actions);
            }
        } else if state.left.firings > 0 {
            for timer in node.timers.iter().filter(|timer| (self.may_fire)(id, timer)) {
                self.push_steps(state, id, Input::Timer(timer.clone()), actions);
            }
        }
        if state.left.crashes > 0 {
            actions.push(Action::Crash { node: id });
        }
    }

    /// The input, if the node can take one now.
    fn possible_steps(&self, state: &State<P>, id: NodeId, input: Input<P>, actions: &mut Vec<Action<P>>) {
        let node = &state.nodes[usize::from(id.0)];
        if node.up.is_some() && node.choices.is_empty() {
            self.push_steps(state, id, input, actions);
        }
    }

    fn push_steps(&self, state: &State<P>, node: NodeId, input: Input<P>, actions: &mut Vec<Action<P>>) {
        if state.left.crashes > 0 {
            let mut up = state.nodes[usize::from(node.0)].up.clone().expect("only a node that is up steps");
            let effects = self.step_effects(&mut up, input.clone()).unwrap_or_default();
            let cut = |cut| Action::Step { node, input: input.clone(), cut: Some(cut) };
            actions.extend(cuts(&effects).map(cut));
        }
        actions.push(Action::Step { node, input, cut: None });
    }

    /// The state after `action`, which must be possible in `state`.
    pub(super) fn then(
        &self,
        before: &State<P>,
        action: Action<P>,
        judge: &Judge<P>,
        heard: &Heard,
    ) -> State<P> {
        let mut state = before.clone();
        let changed = match action {
            Action::Step { node, cut: None, .. } | Action::Recover { node, cut: None } => Some(node),
            _ => None,
        };
        match action {
            Action::Step { node, input, cut } => {
                self.account_for(&mut state, node, &input);
                let mut up = state.node_mut(node).up.take().expect("only a node that is up steps");
                match self.step_effects(&mut up, input) {
                    Ok(effects) => {
                        state.node_mut(node).up = Some(up);
                        self.carry_out(&mut state, node, effects, cut, heard);
                    }
                    Err(how) => state.finding = Some(broke(node, Rules::Boundary, how)),
                }
            }
            Action::Recover { node, cut } => self.boot(&mut state, node, cut, heard),
            Action::Crash { node } => crash(&mut state, node),
            Action::Lose(envelope) => {
                state.left.losses -= 1;
                state.take(&envelope);
            }
            Action::Duplicate(envelope) => {
                state.left.duplications -= 1;
                state.send(envelope);
            }
            Action::GiveUp { client } => {
                state.left.timeouts -= 1;
                state.clients[client.0 as usize].waits = false;
            }
            Action::AskInVain { client, id, .. } => {
                state.left.timeouts -= 1;
                invoke(&mut state, client, id);
                state.clients[client.0 as usize].waits = false;
                let at = state.late.partition_point(|other| *other < (client, id));
                state.late.insert(at, (client, id));
            }
        }
        if let (None, Some(node)) = (&state.finding, changed) {
            state.finding = self.broken_invariant(before, &state, node);
        }
        if state.finding.is_none() && self.has_new_answer(&state) {
            state.finding = judge.judge(self, &state.history);
        }
        state
    }

    /// Only `node` has changed. One that has crashed in its step has not: it is not there.
    fn broken_invariant(&self, before: &State<P>, after: &State<P>, node: NodeId) -> Option<Finding> {
        let invariants = self.invariants.as_ref()?;
        let up = |state: &State<P>| state.nodes[usize::from(node.0)].clone();
        let (was, is) = (up(before), up(after));
        if let (Some(was), Some(is)) = (&was.up, &is.up)
            && let Err(how) = (invariants.of_step)(was, is)
        {
            return Some(broke(node, Rules::Invariant, how));
        }
        let nodes: Vec<Option<&P>> = after.nodes.iter().map(|node| node.up.as_ref()).collect();
        (invariants.of_nodes)(&nodes).err().map(|(node, how)| broke(node, Rules::Invariant, how))
    }

    /// Takes the input away from where it came from.
    fn account_for(&self, state: &mut State<P>, node: NodeId, input: &Input<P>) {
        match input {
            Input::Request { client, id, .. } => {
                if id.0 as usize == state.clients[client.0 as usize].begun {
                    invoke(state, *client, *id);
                } else if let Ok(at) = state.late.binary_search(&(*client, *id)) {
                    state.late.remove(at);
                } else {
                    state.left.repeats -= 1;
                }
            }
            Input::Msg { from, msg } => state.take(&Envelope { to: node, from: *from, msg: msg.clone() }),
            Input::Timer(timer) => {
                state.left.firings -= 1;
                state.node_mut(node).timers.remove(timer);
            }
            Input::Chosen { .. } => {
                state.node_mut(node).choices.remove(0);
            }
        }
    }

    pub(super) fn boot(&self, state: &mut State<P>, node: NodeId, cut: Option<usize>, heard: &Heard) {
        match self.boot_effects(node, &state.nodes[usize::from(node.0)].disk) {
            Ok((up, effects)) => {
                state.node_mut(node).up = Some(up);
                self.carry_out(state, node, effects, cut, heard);
            }
            Err(how) => state.finding = Some(broke(node, Rules::Boundary, how)),
        }
    }

    /// Carries out the effects of a step in their order, up to a crash after `cut` of them.
    fn carry_out(
        &self,
        state: &mut State<P>,
        node: NodeId,
        effects: Vec<Effect<P>>,
        cut: Option<usize>,
        heard: &Heard,
    ) {
        for effect in effects.into_iter().take(cut.unwrap_or(usize::MAX)) {
            if let Err(how) = self.carry_out_one(state, node, effect, heard) {
                state.finding = Some(broke(node, Rules::Boundary, how));
                return;
            }
        }
        if cut.is_some() {
            crash(state, node);
        }
    }

    fn carry_out_one(
        &self,
        state: &mut State<P>,
        node: NodeId,
        effect: Effect<P>,
        heard: &Heard,
    ) -> Result<(), String> {
        match effect {
            Effect::Send { to, .. } if to == node || to.0 >= self.nodes => {
                return Err(format!("it sends to {to}: expected another of the {} nodes", self.nodes));
            }
            Effect::Send { to, msg } => state.send(Envelope { to, from: node, msg }),
            Effect::Reply { client, id, ret } => return answer(state, client, id, ret),
            Effect::SetTimer { timer, .. } => {
                state.node_mut(node).timers.insert(timer);
            }
            Effect::CancelTimer(timer) => {
                state.node_mut(node).timers.remove(&timer);
            }
            Effect::Persist(record) => {
                let disk = &mut state.node_mut(node).disk;
                return caught(|| disk.replay(&record));
            }
            Effect::Choose { n: 0, key } => return Err(format!("its choice {key} is one of nothing")),
            Effect::Choose { key, n } => state.node_mut(node).choices.push((key, n)),
            Effect::Note(note) => heard.hear(&note),
        }
        Ok(())
    }

    fn step_effects(&self, up: &mut P, input: Input<P>) -> Result<Vec<Effect<P>>, String> {
        let mut effects = vec![];
        caught(|| up.step(&self.config, Time(0), input, &mut effects)).map(|()| effects)
    }

    fn boot_effects(&self, node: NodeId, disk: &P::Durable) -> Result<(P, Vec<Effect<P>>), String> {
        let mut effects = vec![];
        caught(|| P::boot(&self.config, node, disk, &mut effects)).map(|up| (up, effects))
    }

    fn is_over(&self, state: &State<P>) -> bool {
        let is_idle = |(client, script): (&Client, &Vec<_>)| !client.waits && client.begun == script.len();
        !self.scripts.is_empty() && state.clients.iter().zip(&self.scripts).all(is_idle)
    }

    /// Only an answer can make a history wrong; it is the last event then.
    fn has_new_answer(&self, state: &State<P>) -> bool {
        matches!(state.history.iter().last(), Some(ClientEvent::Answered { .. }))
    }
}

/// After how many of a step's effects a crash makes a difference; see the module's text.
fn cuts<P: Subject>(effects: &[Effect<P>]) -> impl Iterator<Item = usize> {
    let lasts = |effect: &Effect<P>| matches!(effect, Effect::Persist(_) | Effect::Reply { .. });
    let leaves = |effect: &Effect<P>| lasts(effect) || matches!(effect, Effect::Send { .. });
    let first = effects.iter().position(leaves).unwrap_or(effects.len());
    (first + 1..effects.len()).filter(move |&at| lasts(&effects[at]))
}

fn broke(node: NodeId, rules: Rules, how: String) -> Finding {
    Finding::Broke(Broke { node, rules, how })
}

fn invoke<P: Subject>(state: &mut State<P>, client: ClientId, id: RequestId) {
    let (client, op) = (client.0 as usize, id.0 as usize);
    state.clients[client] = Client { begun: op + 1, waits: true };
    Arc::make_mut(&mut state.history).push(ClientEvent::Invoked { client, op });
}

fn crash<P: Subject>(state: &mut State<P>, node: NodeId) {
    state.left.crashes -= 1;
    let node = state.node_mut(node);
    node.up = None;
    node.timers.clear();
    node.choices.clear();
}

/// The first answer to what a client waits for counts; others come too late.
fn answer<P: Subject>(
    state: &mut State<P>,
    client: ClientId,
    id: RequestId,
    ret: P::Ret,
) -> Result<(), String> {
    let (at, op) = (client.0 as usize, id.0 as usize);
    let Some(asked) = state.clients.get_mut(at).filter(|asked| op < asked.begun) else {
        return Err(format!("it answers request {op} of {client}, who never made it"));
    };
    if asked.waits && asked.begun == op + 1 {
        asked.waits = false;
        Arc::make_mut(&mut state.history).push(ClientEvent::Answered { client: at, op, ret });
    }
    Ok(())
}

/// Every state that there is, found without fingerprints: small cases only. `more` adds actions to
/// one that is possible.
#[cfg(test)]
pub(super) fn everything_reachable<P: Subject>(
    case: &Case<P>,
    more: impl Fn(&State<P>, &Action<P>) -> Vec<Action<P>>,
) -> Vec<State<P>> {
    let judge = Judge::new();
    let mut states = vec![case.start()];
    let mut at = 0;
    while at < states.len() {
        let mut actions = vec![];
        case.possible(&states[at], &mut actions);
        let others: Vec<_> = actions.iter().flat_map(|action| more(&states[at], action)).collect();
        for action in actions.into_iter().chain(others) {
            let next = case.then(&states[at], action, &judge, &Heard::default());
            if !states.contains(&next) {
                states.push(next);
            }
        }
        at += 1;
    }
    states
}
