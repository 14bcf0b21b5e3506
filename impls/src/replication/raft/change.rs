//! Changing who the members are (§6; thesis §4), as the leader does it. What may follow on what is
//! mathematics, in `membership.rs`; here are the guards.

use super::log::{Index, Payload};
use super::membership::NoChange;
use super::progress::Progress;
use super::requests::Asker;
use super::{Change, Config, Cx, Disk, Membership, Mutant, Raft, Refusal, Ret, Role, StateMachine};
use crate::protocol::{ClientId, Data, RequestId};

/// Who the members are, from which entry on: the oldest as of the snapshot, or of the start.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Configurations(Vec<(Index, Membership)>);

impl Configurations {
    /// As a disk says.
    pub(super) fn of<C: Data>(config: &Config, disk: &Disk<C>) -> Configurations {
        let (from, oldest) = match &disk.snapshot {
            Some(snapshot) => (snapshot.last.index, snapshot.membership.clone()),
            None => (Index(0), Membership::of(config.voters.iter().copied())),
        };
        let mut configurations = Configurations(vec![(from, oldest)]);
        for (index, entry) in disk.log.entries().filter(|&(index, _)| index > from) {
            configurations.note(index, &entry.payload);
        }
        configurations
    }

    /// The same, with other memberships.
    pub(super) fn map(&self, of: impl Fn(&Membership) -> Membership) -> Configurations {
        Configurations(self.0.iter().map(|(index, membership)| (*index, of(membership))).collect())
    }

    /// An entry was added to the log.
    pub(super) fn note<C: Data>(&mut self, index: Index, payload: &Payload<C>) {
        if let Payload::Membership { membership, .. } = payload {
            self.0.push((index, membership.clone()));
        }
    }

    /// The log was cut behind `last`.
    pub(super) fn cut(&mut self, last: Index) {
        self.0.retain(|&(index, _)| index <= last);
    }

    /// What came before `index` is in a snapshot.
    pub(super) fn compact(&mut self, index: Index) {
        let obsolete = self.0.partition_point(|&(from, _)| from <= index) - 1;
        self.0.drain(..obsolete);
    }

    pub(super) fn latest(&self) -> &Membership {
        &self.0.last().expect("there is one always").1
    }

    /// Where the latest begins.
    pub(super) fn latest_index(&self) -> Index {
        self.0.last().expect("there is one always").0
    }

    /// The one that counted at `index`.
    pub(super) fn as_of(&self, index: Index) -> &Membership {
        let behind = self.0.partition_point(|&(from, _)| from <= index);
        &self.0[behind.max(1) - 1].1
    }
}

impl<S: StateMachine> Raft<S> {
    /// An administrator asks for another membership.
    pub(super) fn change(&mut self, cx: &mut Cx<'_, S>, asker: Asker, change: &Change) {
        let latest = self.configurations.latest_index();
        let is_under_way = latest > self.commit_index || self.configurations.latest().voters.is_joint();
        if is_under_way && self.asked_for_latest() == Some((asker.client, asker.id)) {
            // It came before, maybe to an earlier leader, and is under way.
            let Role::Leader(leading) = &mut self.role else { return };
            leading.proposals.expect(asker);
            return;
        }
        match self.next_membership(cx, change) {
            Err(refusal) => self.answer(cx, asker, Ret::Refused(refusal)),
            Ok(None) => self.answer(cx, asker, Ret::Changed),
            Ok(Some(membership)) => {
                let Role::Leader(leading) = &mut self.role else { return };
                leading.proposals.expect(asker);
                self.flush(cx);
                let asked = Some((asker.client, asker.id));
                self.take(cx, vec![Payload::Membership { membership, asked }]);
            }
        }
    }

    /// Who asked for the latest membership, if the log says so still.
    fn asked_for_latest(&self) -> Option<(ClientId, RequestId)> {
        match self.disk.log.get(self.configurations.latest_index())?.payload {
            Payload::Membership { asked, .. } => asked,
            _ => None,
        }
    }

    /// What the change makes of the members; nothing, if they are so already.
    fn next_membership(&self, cx: &Cx<'_, S>, change: &Change) -> Result<Option<Membership>, Refusal> {
        let Role::Leader(leading) = &self.role else { return Err(Refusal::Busy) };
        let latest = self.configurations.latest();
        // One change after the other (thesis §4.1).
        let is_settled = self.configurations.latest_index() <= self.commit_index && !latest.voters.is_joint();
        // Another leader may have begun a change of the same old set, which is not in this log. Once an
        // entry of this term is committed, that leader cannot win any more (raft-dev, July 2015).
        let is_established = self.commit_index >= leading.term_start;
        if !is_settled && !cx.has(Mutant::OverlappingChanges)
            || !is_established && !cx.has(Mutant::ChangeBeforeNoop)
            || latest.voters.is_joint()
        {
            return Err(Refusal::Busy);
        }
        if let Change::AddLearner(node) = change
            && node.0 >= cx.config.nodes
        {
            return Err(Refusal::NoSuchVoter);
        }
        let mut next = match latest.after(change) {
            Ok(next) => next,
            Err(NoChange::Already) => return Ok(None),
            Err(NoChange::NotALearner) => return Err(Refusal::NotALearner),
            Err(NoChange::NoVoters) => return Err(Refusal::NoVoters),
        };
        let lag = |progress: &Progress| self.disk.log.last().index.past(progress.match_index);
        let is_new = |node| next.voters.contains(node) && !latest.voters.contains(node);
        let lags = |progress| lag(progress) > cx.config.limits.learner_lag;
        if leading.progress.iter().any(|(&node, progress)| is_new(node) && lags(progress)) {
            return Err(Refusal::Behind);
        }
        if cx.has(Mutant::NoJointConsensus) {
            next = next.arrived();
        }
        Ok(Some(next))
    }

    /// An entry that says who the members are was committed, at a leader.
    pub(super) fn changed(
        &mut self,
        cx: &mut Cx<'_, S>,
        membership: &Membership,
        asked: Option<(ClientId, RequestId)>,
    ) {
        if membership.voters.is_joint() {
            // The second half of the change. Whoever is leader when the first is committed begins it.
            self.flush(cx);
            let membership = membership.arrived();
            return self.take(cx, vec![Payload::Membership { membership, asked }]);
        }
        if let Some((client, id)) = asked {
            self.answer_proposal(cx, client, id, Ret::Changed);
        }
        if !membership.voters.contains(self.id) {
            // It led the others to where it is not needed (thesis §4.2.2). One of them need not wait.
            self.hand_over_to_anyone(cx);
            self.become_follower(cx, None);
        }
    }

    /// A new leader finds a change half done: it had applied the first half before it was elected, and will
    /// not again; the second half is lost with the leader that had begun it. The first is committed, so
    /// whoever leads later has it and can only go the same way: no need to wait for an entry of this term.
    pub(super) fn finish_change(&mut self, cx: &mut Cx<'_, S>) {
        let latest = self.configurations.latest().clone();
        if self.is_leader()
            && latest.voters.is_joint()
            && self.configurations.latest_index() <= self.commit_index
        {
            let asked = self.asked_for_latest();
            self.changed(cx, &latest, asked);
        }
    }

    /// Those that get the log are those that are members now, as far as this leader leads.
    pub(super) fn follow_membership(&mut self, index: Index) {
        let members = self.configurations.latest();
        let Role::Leader(leading) = &mut self.role else { return };
        leading.progress.retain(|&node, _| members.contains(node));
        let last = self.disk.log.last().index;
        for node in members.iter().filter(|&node| node != self.id) {
            leading.progress.entry(node).or_insert_with(|| Progress::new(index, last));
        }
    }
}
