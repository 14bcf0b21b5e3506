//! Handing over to another leader, without waiting for an election timeout (thesis §3.10).
//!
//! The leader takes no new commands, brings the other's log up to its own, and tells it to begin an
//! election at once, which the others do not refuse although they hear from the leader. If that does not
//! depose it within an election timeout, it goes on.

use super::requests::{Asker, Postponed};
use super::{Campaign, Cx, Msg, Mutant, Raft, Refusal, Ret, Role, StateMachine, Term, Timer};
use crate::protocol::NodeId;

/// A handover under way.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Handover {
    to: NodeId,
    asker: Asker,
    is_told: bool,
}

impl Handover {
    /// Gives nodes other numbers.
    pub(super) fn rename(&mut self, number: &dyn Fn(NodeId) -> NodeId) {
        self.to = number(self.to);
        self.asker.node = number(self.asker.node);
    }
}

impl<S: StateMachine> Raft<S> {
    /// An administrator wants another leader. It is the new one that answers: the request is sent to it
    /// as any that the old one left open.
    pub(super) fn transfer(&mut self, cx: &mut Cx<'_, S>, asker: Asker, to: NodeId) {
        if to == self.id {
            return self.answer(cx, asker, Ret::Leads);
        }
        if !self.membership(cx).voters.contains(to) {
            return self.answer(cx, asker, Ret::Refused(Refusal::NoSuchVoter));
        }
        self.flush(cx);
        let Role::Leader(leading) = &mut self.role else { return };
        if leading.handover.is_some() {
            return self.answer(cx, asker, Ret::Refused(Refusal::Busy));
        }
        leading.handover = Some(Handover { to, asker, is_told: false });
        cx.set_timer(Timer::Transfer, cx.config.election_timeout..cx.config.election_timeout);
        self.go_on_handing_over(cx);
    }

    /// Tells the other, once it has everything.
    pub(super) fn go_on_handing_over(&mut self, cx: &mut Cx<'_, S>) {
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(handover) = &mut leading.handover else { return };
        let has_all =
            |node| leading.progress.get(node).is_some_and(|p| p.match_index == self.disk.log.last().index);
        if handover.is_told || !has_all(&handover.to) {
            return;
        }
        handover.is_told = true;
        if !cx.has(Mutant::LeaseAfterTransfer) {
            leading.rounds.forfeit();
        }
        cx.send(handover.to, Msg::TimeoutNow { term: self.disk.current_term });
    }

    /// A leader that leaves tells whoever has most, so that nobody has to wait.
    pub(super) fn hand_over_to_anyone(&mut self, cx: &mut Cx<'_, S>) {
        let Role::Leader(leading) = &self.role else { return };
        let voters = &self.configurations.latest().voters;
        let heirs = leading.progress.iter().filter(|(node, _)| voters.contains(**node));
        if let Some((&to, _)) = heirs.max_by_key(|(_, progress)| progress.match_index) {
            cx.send(to, Msg::TimeoutNow { term: self.disk.current_term });
        }
    }

    /// The transfer timer: it was not taken over.
    pub(super) fn give_transfer_up(&mut self, cx: &mut Cx<'_, S>) {
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(Handover { asker, .. }) = leading.handover.take() else { return };
        let postponed = std::mem::take(&mut leading.postponed);
        self.answer(cx, asker, Ret::Refused(Refusal::NotTaken));
        for Postponed { asker, op } in postponed {
            self.serve(cx, asker, op);
        }
    }

    /// The leader says: begin an election now.
    pub(super) fn take_over(&mut self, cx: &mut Cx<'_, S>, term: Term) {
        self.see_term(cx, term);
        let may_lead = self.may_campaign(cx) && !self.is_leader();
        if term == self.disk.current_term && may_lead {
            cx.note("transfer", format!("{} takes over from {term:?}", self.id));
            self.campaign(cx, Campaign::Transfer);
        }
    }
}
