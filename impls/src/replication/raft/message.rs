//! What nodes say to each other: the paper's four calls and their answers (Figures 2 and 13, thesis
//! Figure 3.1), and what carries clients' requests to the leader and answers back.

use super::disk::Snapshot;
use super::log::{Entry, Index, LogId, Term};
use super::{Op, Ret};
use crate::protocol::{ClientId, Data, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Msg<C: Data, R: Data> {
    /// Vote for me (§5.2), or: would you? (thesis §9.6)
    RequestVote {
        /// The candidate's term; of a would-be candidate, the term that it would have.
        term: Term,
        /// The end of its log.
        last_log: LogId,
        /// Why it asks.
        campaign: Campaign,
    },
    /// The answer to it.
    Vote {
        /// As asked, if granted; else the voter's term, for the candidate to update itself.
        term: Term,
        /// Which question it answers.
        campaign: Campaign,
        /// Yes or no.
        granted: bool,
    },
    /// Have these entries (§5.3); without any, a heartbeat.
    AppendEntries {
        /// The leader's term.
        term: Term,
        /// The entry before them.
        prev: LogId,
        /// They.
        entries: Vec<Entry<C>>,
        /// What the leader knows to be committed.
        leader_commit: Index,
        /// Goes back with the answer.
        mark: Mark,
    },
    /// The answer to it, and to the last chunk of a snapshot.
    Appended {
        /// The follower's term, for the leader to update itself.
        term: Term,
        /// From the leader's message.
        mark: Mark,
        /// What the leader's message met.
        outcome: Outcome,
    },
    /// Have this part of a snapshot (§7).
    InstallSnapshot {
        /// The leader's term.
        term: Term,
        /// Goes back with the answer.
        mark: Mark,
        /// The snapshot; its data are this part of them.
        part: Snapshot,
        /// Bytes before this part.
        offset: u64,
        /// Whether this is the last part.
        is_last: bool,
    },
    /// The answer to a part that is not the last.
    Received {
        /// The follower's term.
        term: Term,
        /// From the leader's message.
        mark: Mark,
        /// Of which snapshot.
        last: LogId,
        /// Bytes that are there: the next part begins behind them.
        bytes: u64,
    },
    /// Begin an election now: you are to be leader (thesis §3.10).
    TimeoutNow {
        /// The leader's term.
        term: Term,
    },
    /// A client of mine asks. Whoever is not the leader does not pass it on, so there are no loops.
    Forward {
        /// Who.
        client: ClientId,
        /// Which of its requests.
        id: RequestId,
        /// What.
        op: Op<C>,
    },
    /// The answer for your client.
    Answer {
        /// Whom.
        client: ClientId,
        /// To which of its requests.
        id: RequestId,
        /// It.
        ret: Ret<R>,
    },
    /// I am not the leader.
    NotLeader {
        /// Whose request that was about.
        client: ClientId,
        /// Which.
        id: RequestId,
        /// Who is, if I know, and in which term.
        leader: Option<(Term, NodeId)>,
    },
}

/// Why a node asks for votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Campaign {
    /// To know whether it would win: nothing changes yet.
    PreVote,
    /// It has not heard from a leader.
    Election,
    /// The leader told it to: that it is heard from is no reason to refuse.
    Transfer,
}

/// What a leader recognises an answer by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// The receiver's membership that is meant; see `Progress::session`.
    pub session: Index,
    /// The last round of heartbeats that had begun; see `rounds.rs`.
    pub round: u64,
}

/// What entries met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The log agrees up to here: as far as the message vouched.
    Matches(Index),
    /// The log does not hold the entry before them.
    Differs {
        /// Its index.
        prev: Index,
        /// No later one can be where the logs agree.
        hint: LogId,
    },
    /// They came from a leader of the past.
    Outdated,
}

impl<C: Data, R: Data> fmt::Debug for Msg<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Msg::RequestVote { term, last_log, campaign } => {
                write!(f, "RequestVote {term:?} log {last_log:?}{}", campaign.suffix())
            }
            Msg::Vote { term, campaign, granted } => {
                write!(f, "Vote {term:?} {}{}", if *granted { "yes" } else { "no" }, campaign.suffix())
            }
            Msg::AppendEntries { term, prev, entries, leader_commit, mark } => {
                write!(f, "AppendEntries {term:?} after {prev:?} {entries:?} ")?;
                write!(f, "committed {leader_commit:?} {mark:?}")
            }
            Msg::Appended { term, mark, outcome } => write!(f, "Appended {term:?} {outcome:?} {mark:?}"),
            Msg::InstallSnapshot { term, mark, part, offset, is_last } => {
                let end = if *is_last { ", the last" } else { "" };
                write!(f, "InstallSnapshot {term:?} {part:?} from byte {offset}{end} {mark:?}")
            }
            Msg::Received { term, mark, last, bytes } => {
                write!(f, "Received {term:?} {bytes} bytes to {last:?} {mark:?}")
            }
            Msg::TimeoutNow { term } => write!(f, "TimeoutNow {term:?}"),
            Msg::Forward { client, id, op } => write!(f, "Forward {client}#{} {op:?}", id.0),
            Msg::Answer { client, id, ret } => write!(f, "Answer {client}#{} {ret:?}", id.0),
            Msg::NotLeader { client, id, leader: None } => write!(f, "NotLeader {client}#{}", id.0),
            Msg::NotLeader { client, id, leader: Some((term, node)) } => {
                write!(f, "NotLeader {client}#{}, but {node} in {term:?}", id.0)
            }
        }
    }
}

impl Campaign {
    fn suffix(self) -> &'static str {
        match self {
            Campaign::PreVote => ", if it came to that",
            Campaign::Election => "",
            Campaign::Transfer => ", by transfer",
        }
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}", self.round)?;
        if self.session > Index(0) { write!(f, " of member since {:?}", self.session) } else { Ok(()) }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Matches(index) => write!(f, "to {index:?}"),
            Outcome::Differs { prev, hint } => write!(f, "nothing: no {prev:?} here, try {hint:?}"),
            Outcome::Outdated => f.write_str("nothing: outdated"),
        }
    }
}
