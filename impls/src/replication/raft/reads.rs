//! Reads without the log (§8; thesis §6.4).
//!
//! A leader may answer a read from its state if it was the leader at some moment after the read came,
//! and its state holds all that was committed at that moment. The first it learns from a round of
//! heartbeats (`rounds.rs`); the second is so once it has committed an entry of its own term, and
//! has applied what was committed when the read came. Reads that come together share a round.

use super::log::Index;
use super::requests::Asker;
use super::rounds::lease_length;
use super::{Cx, Mutant, Raft, Reads, Ret, Role, StateMachine};
use crate::protocol::{ClientId, Data, NodeId};
use std::collections::BTreeMap;

/// The reads that wait: one for each client, since a client has one open at a time.
pub(super) type Waiting<C> = BTreeMap<ClientId, Read<C>>;

/// A read that waits.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Read<C: Data> {
    pub(super) asker: Asker,
    pub(super) command: C,
    /// For a quorum to answer this round,
    round: u64,
    /// and for this entry to be applied.
    index: Index,
}

impl<S: StateMachine> Raft<S> {
    /// A client asks without changing anything.
    pub(super) fn read(&mut self, cx: &mut Cx<'_, S>, asker: Asker, command: S::Command) {
        let applied = self.machine.applied.index;
        let Role::Leader(leading) = &mut self.role else { return };
        // Until an entry of its term is committed, a leader does not know what is.
        let index = match cx.has(Mutant::ReadBeforeNoop) {
            true => self.commit_index,
            false => self.commit_index.max(leading.term_start),
        };
        let is_leased = match cx.config.reads {
            Reads::ReadIndex => false,
            Reads::Lease { clock_drift_permille_max: drift } => {
                let (timeout, heartbeat) = (cx.config.election_timeout, cx.config.heartbeat);
                let length = match cx.has(Mutant::LeaseWithoutMargin) {
                    true => timeout,
                    false => lease_length(timeout, heartbeat, drift),
                };
                let is_leased = leading.rounds.is_leased(cx.now, length);
                if !is_leased && leading.rounds.was_leased() {
                    cx.note("lease-expired", format!("{:?}", self.disk.current_term));
                }
                is_leased
            }
        };
        if is_leased && applied >= index || cx.has(Mutant::LocalRead) {
            let ret = Ret::Done(self.machine.state.query(&command));
            return self.answer(cx, asker, ret);
        }
        let (client, waiting) = (asker.client, leading.reads.len());
        match leading.reads.get_mut(&client) {
            // Asked again, perhaps by another node: it waits since it came first.
            Some(read) if read.asker.id == asker.id => return read.asker = asker,
            // The client has gone on.
            Some(read) if read.asker.id > asker.id => return,
            Some(_) => {}
            None if waiting < cx.config.limits.requests => {}
            None => return cx.note("overloaded", format!("{waiting} reads wait")),
        }
        // A round that has begun says nothing of what came after that.
        let round = leading.rounds.begun + 1;
        leading.reads.insert(client, Read { asker, command, round, index });
        if !leading.rounds.is_open() {
            self.begin_round(cx);
        }
    }

    /// Finds out which rounds a quorum has answered.
    pub(super) fn confirm_rounds(&mut self, cx: &mut Cx<'_, S>) {
        let Role::Leader(leading) = &self.role else { return };
        let at = |node: NodeId| match node == self.id {
            true => leading.rounds.begun,
            false => leading.progress.get(&node).map_or(0, |progress| progress.round),
        };
        let round = self.membership(cx).voters.reached(at);
        let Role::Leader(leading) = &mut self.role else { return };
        if round > leading.rounds.confirmed {
            leading.rounds.confirm(round);
            if cx.has(Mutant::LeaseFromAnswer) {
                leading.rounds.count_lease_from(cx.now);
            }
        }
        self.answer_reads(cx);
    }

    /// Answers the reads that need not wait any longer.
    pub(super) fn answer_reads(&mut self, cx: &mut Cx<'_, S>) {
        let applied = self.machine.applied.index;
        let Role::Leader(leading) = &mut self.role else { return };
        if leading.reads.is_empty() {
            return;
        }
        let confirmed = leading.rounds.confirmed;
        let is_ready = |_: &_, read: &mut Read<_>| read.round <= confirmed && read.index <= applied;
        let ready: Vec<_> = leading.reads.extract_if(.., is_ready).collect();
        let is_next_wanted = leading.reads.values().any(|read| read.round > leading.rounds.begun);
        if is_next_wanted && !leading.rounds.is_open() {
            self.begin_round(cx);
        }
        if !ready.is_empty() {
            cx.note("read-index", format!("{} at {applied:?}", ready.len()));
        }
        for (_, Read { asker, command, .. }) in ready {
            let ret = Ret::Done(self.machine.state.query(&command));
            self.answer(cx, asker, ret);
        }
    }
}
