//! Replication (§5.3) and commitment (§5.4.2).

use super::log::{Conflict, Entry, Index, LogId, Payload, Term};
use super::machine::entry_bytes;
use super::message::{Mark, Msg, Outcome};
use super::progress::{Parcel, Progress};
use super::reads;
use super::requests::{Postponed, Proposals};
use super::rounds::Rounds;
use super::transfer::Handover;
use super::{Cx, Membership, Mutant, Raft, Record, Role, StateMachine, Timer};
use crate::protocol::NodeId;
use crate::replication::quorum::Voters;
use std::collections::BTreeMap;

/// What only a leader knows ("Volatile state on leaders", Figure 2).
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Leadership<S: StateMachine> {
    /// The first entry of its term.
    pub(super) term_start: Index,
    /// What it knows of the other members.
    pub(super) progress: BTreeMap<NodeId, Progress>,
    /// Commands that gather to be written and sent together.
    pub(super) batch: Vec<Payload<S::Command>>,
    /// Who waits for what is not committed yet.
    pub(super) proposals: Proposals,
    pub(super) rounds: Rounds,
    /// Reads that wait for a round, or for an entry.
    pub(super) reads: reads::Waiting<S::Command>,
    pub(super) handover: Option<Handover>,
    /// Requests that came while it hands over.
    pub(super) postponed: Vec<Postponed<S::Command>>,
}

impl<S: StateMachine> Leadership<S> {
    pub(super) fn new(id: NodeId, members: &Membership, last: Index) -> Leadership<S> {
        let others = members.iter().filter(|&node| node != id);
        Leadership {
            term_start: last.next(),
            progress: others.map(|node| (node, Progress::new(Index(0), last))).collect(),
            batch: vec![],
            proposals: Proposals::default(),
            rounds: Rounds::default(),
            reads: reads::Waiting::default(),
            handover: None,
            postponed: vec![],
        }
    }
}

impl<S: StateMachine> Raft<S> {
    /// Takes entries into a leader's log, and sends them.
    pub(super) fn take(&mut self, cx: &mut Cx<'_, S>, payloads: Vec<Payload<S::Command>>) {
        let (term, after) = (self.disk.current_term, self.disk.log.last().index);
        let entries: Vec<_> = payloads.into_iter().map(|payload| Entry { term, payload }).collect();
        let changes = entries.iter().any(|entry| matches!(entry.payload, Payload::Membership { .. }));
        let record = Record::Append { after, entries };
        let at = cx.out.len();
        // Others may write while this node does: sent first (thesis §10.2.1).
        self.persist(cx, record);
        let persisted = cx.out.split_off(at);
        if changes {
            for (index, entry) in self.disk.log.entries().filter(|&(index, _)| index > after) {
                self.configurations.note(index, &entry.payload);
            }
            self.follow_membership(self.disk.log.last().index);
        }
        self.replicate(cx);
        if cx.has(Mutant::CommitBeforeDurable) && !changes {
            self.commit_what_a_quorum_has(cx);
        }
        cx.out.extend(persisted);
        self.commit_what_a_quorum_has(cx);
    }

    /// Writes and sends what has gathered.
    pub(super) fn flush(&mut self, cx: &mut Cx<'_, S>) {
        let Role::Leader(leading) = &mut self.role else { return };
        if !leading.batch.is_empty() {
            let batch = std::mem::take(&mut leading.batch);
            self.take(cx, batch);
        }
    }

    /// Sends everybody what there is to send.
    fn replicate(&mut self, cx: &mut Cx<'_, S>) {
        let Role::Leader(leading) = &mut self.role else { return };
        let others: Vec<NodeId> = leading.progress.keys().copied().collect();
        for to in others {
            self.replicate_to(cx, to);
        }
    }

    pub(super) fn replicate_to(&mut self, cx: &mut Cx<'_, S>, to: NodeId) {
        let (term, leader_commit) = (self.disk.current_term, self.commit_index);
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(progress) = leading.progress.get_mut(&to) else { return };
        let mark = Mark { session: progress.session, round: leading.rounds.begun };
        let (log, snapshot, limits) = (&self.disk.log, self.disk.snapshot.as_ref(), &cx.config.limits);
        while let Some(parcel) = progress.next(log, snapshot, limits, entry_bytes::<S>) {
            let msg = match parcel {
                Parcel::Entries { prev, entries } => {
                    Msg::AppendEntries { term, prev, entries, leader_commit, mark }
                }
                Parcel::Chunk { mut snapshot, offset, chunk } => {
                    let is_last = offset + chunk.len() == snapshot.data.len();
                    snapshot.data = chunk;
                    Msg::InstallSnapshot { term, mark, part: snapshot, offset: offset as u64, is_last }
                }
            };
            cx.send(to, msg);
        }
    }

    /// The heartbeat timer: says that it leads, and sends again what may be lost.
    pub(super) fn heartbeat(&mut self, cx: &mut Cx<'_, S>) {
        if cx.has(Mutant::AnswerBeforeCommit) {
            self.answer_uncommitted(cx);
        }
        let Role::Leader(leading) = &mut self.role else { return };
        cx.set_timer(Timer::Heartbeat, cx.config.heartbeat..cx.config.heartbeat);
        leading.progress.values_mut().for_each(Progress::resume);
        self.begin_round(cx);
        self.pursue_late(cx);
    }

    /// Says to all others that it leads, and asks whether they agree.
    pub(super) fn begin_round(&mut self, cx: &mut Cx<'_, S>) {
        let (term, leader_commit) = (self.disk.current_term, self.commit_index);
        let Role::Leader(leading) = &mut self.role else { return };
        let round = leading.rounds.begin(cx.now);
        for (&to, progress) in &leading.progress {
            // What the others are sent anyway says it too.
            if !progress.is_ready() {
                let mark = Mark { session: progress.session, round };
                let prev = progress.heartbeat(&self.disk.log);
                cx.send(to, Msg::AppendEntries { term, prev, entries: vec![], leader_commit, mark });
            }
        }
        self.replicate(cx);
        self.confirm_rounds(cx);
    }

    /// AppendEntries, of Figure 2, at a follower.
    pub(super) fn append_entries(
        &mut self,
        cx: &mut Cx<'_, S>,
        from: NodeId,
        mut prev: LogId,
        mut entries: Vec<Entry<S::Command>>,
        leader_commit: Index,
        mark: Mark,
    ) {
        let (term, vouched) = (self.disk.current_term, prev.index.plus(entries.len()));
        let base = self.disk.log.base();
        if prev.index < base.index {
            // What is compacted is committed, and the leader has the same.
            entries.drain(..base.index.past(prev.index).min(entries.len()));
            prev = base;
        }
        let holds_prev = self.disk.log.term_at(prev.index) == Some(prev.term);
        let skips_check = cx.has(Mutant::NoConsistencyCheck) && prev.index <= self.disk.log.last().index;
        if !holds_prev && !skips_check {
            let hint = self.disk.log.meeting_point(prev).unwrap_or(base);
            let outcome = Outcome::Differs { prev: prev.index, hint };
            return cx.send(from, Msg::Appended { term, mark, outcome });
        }
        let outcome = Outcome::Matches(vouched);
        let answer = Msg::Appended { term, mark, outcome };
        if cx.has(Mutant::AckBeforeDurable) {
            cx.send(from, answer.clone());
        }
        let is_heartbeat = entries.is_empty();
        self.store(cx, prev.index, entries);
        if !cx.has(Mutant::AckBeforeDurable) {
            cx.send(from, answer);
        }
        let mut committed = leader_commit.min(vouched);
        if is_heartbeat && cx.has(Mutant::CommitOwnTail) {
            committed = leader_commit.min(self.disk.log.last().index);
        }
        self.commit(cx, committed);
    }

    /// "If an existing entry conflicts with a new one, delete the existing entry and all that follow it.
    /// Append any new entries not already in the log" (Figure 2).
    fn store(&mut self, cx: &mut Cx<'_, S>, prev: Index, mut entries: Vec<Entry<S::Command>>) {
        let mut conflict = self.disk.log.conflict(prev, &entries);
        if cx.has(Mutant::TruncateOnAppend) && !entries.is_empty() {
            conflict = Conflict::At(0);
        }
        let (Conflict::New(known) | Conflict::At(known)) = conflict else { return };
        let after = prev.plus(known);
        if after < self.disk.log.last().index {
            assert!(after >= self.commit_index || cx.has_any(), "committed entries stay: {after:?}");
            cx.note("conflict-truncated", format!("behind {after:?}"));
            self.persist(cx, Record::Truncate { last: after });
            if !cx.has(Mutant::ConfigNotRolledBack) {
                self.configurations.cut(after);
            }
        }
        entries.drain(..known);
        for (i, entry) in entries.iter().enumerate() {
            self.configurations.note(after.plus(i + 1), &entry.payload);
        }
        self.persist(cx, Record::Append { after, entries });
    }

    /// The answer to AppendEntries.
    pub(super) fn appended(
        &mut self,
        cx: &mut Cx<'_, S>,
        mut from: NodeId,
        term: Term,
        mark: Mark,
        outcome: Outcome,
    ) {
        self.see_term(cx, term);
        let is_current = term == self.disk.current_term || cx.has(Mutant::AnswerOfOldTermCounts);
        let Role::Leader(leading) = &mut self.role else { return };
        if cx.has(Mutant::AnswerBookedToAnother) {
            from = *leading.progress.keys().next().unwrap_or(&from);
        }
        let Some(progress) = leading.progress.get_mut(&from) else { return };
        let is_member = mark.session == progress.session || cx.has(Mutant::AnswerOfFormerMember);
        // A refusal may come from a node of this term and yet answer a message of another one, whose rounds
        // had the same numbers.
        if !is_current || !is_member || outcome == Outcome::Outdated {
            return;
        }
        progress.round = progress.round.max(mark.round.min(leading.rounds.begun));
        match outcome {
            Outcome::Matches(index) => {
                let last = self.disk.log.last().index;
                assert!(index <= last || cx.has_any(), "{from} has {index:?}, the leader only {last:?}");
                progress.matched(index.min(last));
                self.commit_what_a_quorum_has(cx);
            }
            Outcome::Differs { prev, hint } => progress.differs(prev, hint, &self.disk.log),
            Outcome::Outdated => unreachable!("it says nothing of this term"),
        }
        self.confirm_rounds(cx);
        self.go_on_handing_over(cx);
        self.replicate_to(cx, from);
    }

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N, and log[N].term ==
    /// currentTerm: set commitIndex = N" (Figure 2).
    fn commit_what_a_quorum_has(&mut self, cx: &mut Cx<'_, S>) {
        let Role::Leader(leading) = &self.role else { return };
        let members = self.membership(cx);
        let last = self.disk.log.last().index;
        let at = |node: NodeId| match node == self.id {
            true => last.0, // It was durable before this is asked.
            false => leading.progress.get(&node).map_or(0, |progress| progress.match_index.0),
        };
        // A leader that is no voter any more does not count: it is not asked.
        let index = if cx.has(Mutant::HalfCommits) {
            members.voters.reached_by(|n| n.div_ceil(2), at)
        } else if cx.has(Mutant::LearnersCount) {
            Voters::of(members.iter()).reached(at)
        } else {
            members.voters.reached(at)
        };
        let index = Index(index);
        // Guards against Figure 8 (§5.4.2): an entry of an earlier term may be at a majority and still be
        // overwritten by a leader who has a later one; it is committed with the first of this term.
        let is_of_this_term = self.disk.log.term_at(index) == Some(self.disk.current_term);
        if index > self.commit_index && (is_of_this_term || cx.has(Mutant::CommitOldTerm)) {
            self.commit(cx, index);
            self.answer_reads(cx);
        }
    }

    /// Everything up to `index` is committed: applies it.
    pub(super) fn commit(&mut self, cx: &mut Cx<'_, S>, index: Index) {
        assert!(index <= self.disk.log.last().index, "only what is here is committed here");
        self.commit_index = self.commit_index.max(index);
        while self.machine.applied.index < self.commit_index {
            self.apply_next(cx);
        }
        self.compact(cx);
    }

    fn apply_next(&mut self, cx: &mut Cx<'_, S>) {
        let index = self.machine.applied.index.next();
        self.machine.applied = self.disk.log.id_at(index);
        let entry = self.disk.log.get(index).expect("what is not applied is in the log");
        match &entry.payload {
            Payload::Noop => {}
            Payload::Command { client, id, command } => {
                let (client, id) = (*client, *id);
                let ret = match cx.has(Mutant::NoSessions) {
                    true => Some(self.machine.state.apply(command)),
                    false => self.machine.apply(client, id, command, cx.config.limits.sessions),
                };
                self.applied(cx, client, id, ret);
            }
            Payload::Membership { membership, asked } => {
                let (membership, asked) = (membership.clone(), *asked);
                cx.note("config-changed", format!("{membership:?} at {index:?}"));
                if self.is_leader() && self.configurations.latest_index() == index {
                    self.changed(cx, &membership, asked);
                }
            }
        }
    }

    /// The election timer of a leader: is it followed? (Thesis §6.2.)
    pub(super) fn check_quorum(&mut self, cx: &mut Cx<'_, S>) {
        let Role::Leader(leading) = &mut self.role else { return };
        if !leading.rounds.check() {
            cx.note("stepped-down", format!("{:?}, nobody follows", self.disk.current_term));
            return self.become_follower(cx, None);
        }
        cx.set_timer(Timer::Election, cx.config.election_timeout..cx.config.election_timeout);
    }

    /// What was only a leader's is gone. Whoever waits for something is told by the next one.
    pub(super) fn lead_no_more(&mut self, cx: &mut Cx<'_, S>, leading: Leadership<S>) {
        cx.note("deposed", format!("now {:?}", self.disk.current_term));
        cx.cancel_timer(Timer::Heartbeat);
        if !leading.batch.is_empty() {
            cx.cancel_timer(Timer::Batch);
        }
        if leading.handover.is_some() {
            cx.cancel_timer(Timer::Transfer);
        }
        if cx.has(Mutant::DeposedLeaderAnswers) {
            self.answer_all(cx, leading);
        }
    }

    /// Has the batch written and sent: soon, or now if it is full.
    pub(super) fn gather(&mut self, cx: &mut Cx<'_, S>, payload: Payload<S::Command>) {
        let Role::Leader(leading) = &mut self.role else { return };
        leading.batch.push(payload);
        match cx.config.batch_after {
            Some(after) if leading.batch.len() < cx.config.limits.entries_per_message => {
                if leading.batch.len() == 1 {
                    cx.set_timer(Timer::Batch, after..after);
                }
            }
            _ => self.flush(cx),
        }
    }
}
