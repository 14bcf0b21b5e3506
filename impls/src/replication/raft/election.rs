//! Elections (§5.2, §5.4.1), asking first (PreVote, thesis §9.6), and loyalty to a leader that is heard
//! from (thesis §4.2.3).
//!
//! The election timer has two parts where followers are loyal. In the first, as long as the election
//! timeout, the leader was heard from, and nobody else gets this node's vote. In the second, random and
//! as long at most, it waits whether somebody else asks for votes; then it does.
//!
//! ```text
//!   heard from the leader                       asks for votes
//!     |-------- election timeout --------|--- random ---|
//!       refuses votes to others            gives its vote
//! ```

use super::log::{LogId, Term};
use super::replicate::Leadership;
use super::{Campaign, Cx, Msg, Mutant, Payload, Raft, Record, Role, StateMachine, Timer};
use crate::protocol::NodeId;

/// Those who have said yes.
pub(super) type Votes = Vec<NodeId>;

impl<S: StateMachine> Raft<S> {
    /// Sets the election timer anew (§5.2: "randomized election timeouts"). A leader was heard from, or
    /// there is another reason to be patient.
    pub(super) fn wait_for_leader(&mut self, cx: &mut Cx<'_, S>, hears_leader: bool) {
        let timeout = cx.config.election_timeout;
        self.hears_leader = hears_leader && cx.config.is_loyal();
        let end = if self.hears_leader { timeout } else { 2 * timeout };
        cx.set_timer(Timer::Election, timeout..end);
    }

    /// The election timer of a node that does not lead.
    pub(super) fn leader_is_silent(&mut self, cx: &mut Cx<'_, S>) {
        if self.hears_leader {
            self.hears_leader = false;
            let timeout = cx.config.election_timeout;
            return cx.set_timer(Timer::Election, std::time::Duration::ZERO..timeout);
        }
        self.leader = None;
        let asks_first = cx.config.has_pre_vote && !cx.has(Mutant::NoPreVote);
        match self.may_campaign(cx) {
            true => self.campaign(cx, if asks_first { Campaign::PreVote } else { Campaign::Election }),
            false => self.wait_for_leader(cx, false),
        }
        if self.leader.is_none() {
            // It may be that there is a leader, to which this node is no member any more: who was removed
            // while it did not listen does not know. No leader will talk to it, but clients do.
            self.ask_around(cx);
        }
    }

    /// Voters may be elected; and who is to be no voter any more, until that is committed: it may be the
    /// only one that has the entry that says so (thesis §4.2.2). Its own vote does not count then.
    pub(super) fn may_campaign(&self, cx: &Cx<'_, S>) -> bool {
        let was = self.configurations.as_of(self.commit_index);
        self.membership(cx).voters.contains(self.id) || was.voters.contains(self.id)
    }

    /// Asks for votes.
    pub(super) fn campaign(&mut self, cx: &mut Cx<'_, S>, campaign: Campaign) {
        self.leader = None;
        let mut term = self.disk.current_term.next();
        if campaign == Campaign::PreVote {
            self.role = Role::PreCandidate(vec![self.id]);
        } else {
            // Before anybody hears of it: after a crash this node must not vote for another in this term.
            self.persist(cx, Record::HardState { current_term: term, voted_for: Some(self.id) });
            self.role = Role::Candidate(vec![self.id]);
            term = self.disk.current_term;
        }
        self.wait_for_leader(cx, false);
        let last_log = self.disk.log.last();
        let others: Vec<NodeId> = self.membership(cx).voters.iter().filter(|&node| node != self.id).collect();
        for to in others {
            cx.send(to, Msg::RequestVote { term, last_log, campaign });
        }
        self.count_votes(cx);
    }

    /// RequestVote, of Figure 2.
    pub(super) fn asked_for_vote(
        &mut self,
        cx: &mut Cx<'_, S>,
        from: NodeId,
        term: Term,
        last_log: LogId,
        campaign: Campaign,
    ) {
        let is_loyal = (self.hears_leader || self.is_leader()) && cx.config.is_loyal();
        let is_up_to_date = match cx.has(Mutant::LongestLogWins) {
            true => last_log.index >= self.disk.log.last().index,
            false => self.disk.log.is_no_newer_than(last_log),
        };
        if campaign == Campaign::PreVote {
            let granted = term > self.disk.current_term && is_up_to_date && !is_loyal;
            let term = if granted { term } else { self.disk.current_term };
            return cx.send(from, Msg::Vote { term, campaign, granted });
        }
        if cx.has(Mutant::LeadsOnInHigherTerm) && self.is_leader() && term > self.disk.current_term {
            return self.persist(cx, Record::HardState { current_term: term, voted_for: None });
        }
        // Somebody who does not hear from the leader, because he was cut off or is no member any more: he
        // shall not even raise the term. If that is his already, the leader may be of one before, and hold a
        // lease. By transfer he asks in the leader's name.
        if is_loyal && campaign == Campaign::Election && term >= self.disk.current_term {
            return;
        }
        self.see_term(cx, term);
        let is_free = self.disk.voted_for.is_none_or(|candidate| candidate == from);
        let granted = term == self.disk.current_term && is_free && is_up_to_date;
        let vote = Msg::Vote { term: self.disk.current_term, campaign, granted };
        if granted && cx.has(Mutant::VoteBeforeDurable) {
            cx.send(from, vote.clone());
        }
        if granted && self.disk.voted_for.is_none() {
            self.persist(cx, Record::HardState { current_term: term, voted_for: Some(from) });
        }
        if granted {
            // Whoever gets votes gets time to win (§5.2). A promise to a leader stays one.
            self.wait_for_leader(cx, self.hears_leader);
        }
        if !(granted && cx.has(Mutant::VoteBeforeDurable)) {
            cx.send(from, vote);
        }
    }

    pub(super) fn voted(
        &mut self,
        cx: &mut Cx<'_, S>,
        from: NodeId,
        term: Term,
        campaign: Campaign,
        granted: bool,
    ) {
        if !granted || campaign != Campaign::PreVote {
            self.see_term(cx, term);
        }
        let current_term = self.disk.current_term;
        let votes = match &mut self.role {
            Role::PreCandidate(votes) if campaign == Campaign::PreVote && term == current_term.next() => {
                votes
            }
            Role::Candidate(votes) if campaign != Campaign::PreVote && term == current_term => votes,
            Role::Candidate(votes) if campaign != Campaign::PreVote && cx.has(Mutant::OldVotesCount) => votes,
            _ => return,
        };
        if granted && (!votes.contains(&from) || cx.has(Mutant::VotesCountedTwice)) {
            votes.push(from);
            self.count_votes(cx);
        }
    }

    fn count_votes(&mut self, cx: &mut Cx<'_, S>) {
        let (Role::PreCandidate(votes) | Role::Candidate(votes)) = &self.role else { return };
        if !self.are_quorum(cx, votes) {
            return;
        }
        match self.role {
            Role::PreCandidate(_) => self.campaign(cx, Campaign::Election),
            _ => self.become_leader(cx),
        }
    }

    fn are_quorum(&self, cx: &Cx<'_, S>, nodes: &[NodeId]) -> bool {
        self.membership(cx).voters.are_decided_by(nodes)
    }

    fn become_leader(&mut self, cx: &mut Cx<'_, S>) {
        let (term, last) = (self.disk.current_term, self.disk.log.last().index);
        cx.note("elected", format!("{term:?}"));
        self.leader = Some(self.id);
        self.hears_leader = false;
        let mut leading = Leadership::new(self.id, self.configurations.latest(), last);
        leading.rounds.begin(cx.now);
        self.role = Role::Leader(Box::new(leading));
        match cx.config.has_check_quorum && !cx.has(Mutant::NoCheckQuorum) {
            true => cx.set_timer(Timer::Election, cx.config.election_timeout..cx.config.election_timeout),
            false => cx.cancel_timer(Timer::Election),
        }
        cx.set_timer(Timer::Heartbeat, cx.config.heartbeat..cx.config.heartbeat);
        // What earlier terms left is committed with the first entry of this one (§5.4.2, §8).
        self.take(cx, vec![Payload::Noop]);
        self.finish_change(cx);
        self.confirm_rounds(cx);
        self.pursue_all(cx);
    }
}
