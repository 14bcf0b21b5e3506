//! Compaction, and sending a snapshot to a node that lacks what is compacted (§7).

use super::change::Configurations;
use super::log::{Index, LogId, Term};
use super::machine::Machine;
use super::message::{Mark, Msg, Outcome};
use super::sessions::Sessions;
use super::{Cx, Membership, Mutant, Raft, Record, Role, Snapshot, StateMachine};
use crate::protocol::NodeId;

/// A snapshot of which some chunks are here.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Incoming {
    last: LogId,
    data: Vec<u8>,
}

impl<S: StateMachine> Raft<S> {
    /// Takes a snapshot, if enough was applied since the last one.
    pub(super) fn compact(&mut self, cx: &mut Cx<'_, S>) {
        let limits = &cx.config.limits;
        let compacted = self.disk.snapshot.as_ref().map_or(Index(0), |snapshot| snapshot.last.index);
        let mut last = self.machine.applied;
        if last.index.past(compacted) < limits.snapshot_after {
            return;
        }
        let membership = match cx.has(Mutant::ConfigLostInCompaction) {
            true => Membership::of(cx.config.voters.iter().copied()),
            false => self.configurations.as_of(last.index).clone(),
        };
        let mut data = self.machine.to_bytes();
        if cx.has(Mutant::SessionsLostInSnapshot) {
            data = Machine { sessions: Sessions::default(), ..self.machine.clone() }.to_bytes();
        }
        if cx.has(Mutant::SnapshotOffByOne) && last.index < self.disk.log.last().index {
            last = self.disk.log.id_at(last.index.next());
            data = Machine { applied: last, ..self.machine.clone() }.to_bytes();
        }
        let kept = Index(last.index.0.saturating_sub(limits.log_kept as u64));
        let base = self.disk.log.id_at(kept.max(self.disk.log.base().index));
        self.persist(cx, Record::Snapshot { snapshot: Snapshot { last, membership, data }, base });
        self.configurations.compact(last.index);
    }

    /// InstallSnapshot, of Figure 13.
    pub(super) fn install_part(
        &mut self,
        cx: &mut Cx<'_, S>,
        from: NodeId,
        mark: Mark,
        part: Snapshot,
        offset: u64,
        is_last: bool,
    ) {
        let (term, last) = (self.disk.current_term, part.last);
        if last.index <= self.commit_index && !cx.has(Mutant::OldSnapshotInstalled) {
            // All of that was applied here.
            self.incoming = None;
            return cx.send(from, Msg::Appended { term, mark, outcome: Outcome::Matches(last.index) });
        }
        let mut incoming = match self.incoming.take() {
            Some(incoming) if incoming.last == last || cx.has(Mutant::ChunksAsTheyCome) => incoming,
            _ => Incoming { last, data: vec![] },
        };
        let follows = incoming.data.len() as u64 == offset || cx.has(Mutant::ChunksAsTheyCome);
        if follows {
            incoming.data.extend_from_slice(&part.data);
        }
        if is_last && follows {
            let snapshot = Snapshot { data: incoming.data.into(), ..part };
            self.install(cx, snapshot);
            return cx.send(from, Msg::Appended { term, mark, outcome: Outcome::Matches(last.index) });
        }
        let bytes = incoming.data.len() as u64;
        self.incoming = Some(incoming);
        cx.send(from, Msg::Received { term, mark, last, bytes });
    }

    fn install(&mut self, cx: &mut Cx<'_, S>, snapshot: Snapshot) {
        let last = snapshot.last;
        cx.note("snapshot-installed", format!("to {last:?}"));
        if cx.has(Mutant::SnapshotDropsTail) {
            self.persist(cx, Record::Truncate { last: self.disk.log.base().index });
        }
        self.machine = Machine::from_bytes(&snapshot.data);
        self.persist(cx, Record::Snapshot { snapshot, base: last });
        self.configurations = Configurations::of(cx.config, &self.disk);
        self.commit_index = last.index;
    }

    /// The answer to a chunk.
    pub(super) fn received_part(
        &mut self,
        cx: &mut Cx<'_, S>,
        from: NodeId,
        term: Term,
        mark: Mark,
        last: LogId,
        bytes: u64,
    ) {
        self.see_term(cx, term);
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(progress) = leading.progress.get_mut(&from) else { return };
        if term != self.disk.current_term || mark.session != progress.session {
            return;
        }
        progress.round = progress.round.max(mark.round);
        progress.received(last, bytes as usize);
        self.confirm_rounds(cx);
        self.replicate_to(cx, from);
    }
}
