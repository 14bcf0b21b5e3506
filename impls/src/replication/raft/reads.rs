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
use crate::protocol::{Data, NodeId};

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
        if leading.reads.len() >= cx.config.limits.requests {
            return cx.note("overloaded", format!("{} reads wait", leading.reads.len()));
        }
        // A round that has begun says nothing of what came after that.
        let round = leading.rounds.begun + 1;
        leading.reads.push(Read { asker, command, round, index });
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
        let is_ready = |read: &mut Read<_>| read.round <= confirmed && read.index <= applied;
        let ready: Vec<Read<S::Command>> = leading.reads.extract_if(.., is_ready).collect();
        let is_next_wanted = leading.reads.iter().any(|read| read.round > leading.rounds.begun);
        if is_next_wanted && !leading.rounds.is_open() {
            self.begin_round(cx);
        }
        if !ready.is_empty() {
            cx.note("read-index", format!("{} at {applied:?}", ready.len()));
        }
        for Read { asker, command, .. } in ready {
            let ret = Ret::Done(self.machine.state.query(&command));
            self.answer(cx, asker, ret);
        }
    }
}
