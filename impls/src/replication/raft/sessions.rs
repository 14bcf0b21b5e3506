//! Client sessions (§8; thesis §6.3): a command that arrives twice, because a client, a follower or the
//! network repeated it, is applied once. Pure, and part of the replicated state: every node decides the
//! same about every entry.
//!
//! A client has one request open at a time, and its requests have growing numbers. So one answer for each
//! client is enough: a repetition is either of its last request, or of one that it has given up.
//!
//! **What expires, and what that costs.** There are at most so many sessions; one more and that which
//! was used the longest ago, by the log's order, is forgotten. A client that repeats a command after so
//! many others have come is taken for new, and the command is applied twice. Size the limit for the
//! clients that may be active within a client's patience. (The thesis has clients register, so that a
//! forgotten one is refused; ours do not.)

use super::log::Index;
use crate::protocol::{ClientId, Data, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The last answer to each client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Sessions<R: Data>(BTreeMap<ClientId, Session<R>>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
struct Session<R: Data> {
    last: RequestId,
    ret: R,
    /// Where in the log that was.
    at: Index,
}

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a, R> {
    /// Nothing: it is new.
    Never,
    /// It was applied, with this answer.
    Before(&'a R),
    /// A later one of that client was applied: nobody waits for this one.
    Outdated,
}

impl<R: Data> Default for Sessions<R> {
    fn default() -> Sessions<R> {
        Sessions(BTreeMap::new())
    }
}

impl<R: Data> Sessions<R> {
    /// Whether the request is new.
    pub fn seen(&self, client: ClientId, id: RequestId) -> Seen<'_, R> {
        match self.0.get(&client) {
            Some(session) if session.last == id => Seen::Before(&session.ret),
            Some(session) if session.last > id => Seen::Outdated,
            _ => Seen::Never,
        }
    }

    /// Keeps the answer to a request that was applied at `at`. There will be at most `max` sessions.
    pub fn remember(&mut self, client: ClientId, id: RequestId, ret: R, at: Index, max: usize) {
        self.0.insert(client, Session { last: id, ret, at });
        if self.0.len() > max {
            let oldest = self.0.iter().min_by_key(|(_, session)| session.at).map(|(&client, _)| client);
            self.0.remove(&oldest.expect("there are more than max"));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no client was ever answered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sessions: &Sessions<char>, client: u32, id: u64) -> Seen<'_, char> {
        sessions.seen(ClientId(client), RequestId(id))
    }

    #[test]
    fn a_request_is_new_known_or_outdated() {
        let mut sessions = Sessions::default();
        assert_eq!(seen(&sessions, 1, 0), Seen::Never);
        sessions.remember(ClientId(1), RequestId(0), 'a', Index(1), 2);
        sessions.remember(ClientId(1), RequestId(3), 'b', Index(2), 2);
        assert_eq!(seen(&sessions, 1, 3), Seen::Before(&'b'));
        assert_eq!(seen(&sessions, 1, 2), Seen::Outdated);
        assert_eq!(seen(&sessions, 1, 4), Seen::Never);
        assert_eq!(seen(&sessions, 2, 3), Seen::Never, "sessions are the clients' own");
    }

    #[test]
    fn the_session_used_the_longest_ago_goes() {
        let mut sessions = Sessions::default();
        for (at, client) in [1, 2, 1, 3].into_iter().enumerate() {
            sessions.remember(ClientId(client), RequestId(at as u64), 'a', Index(at as u64), 2);
        }
        assert_eq!(sessions.len(), 2);
        assert_eq!(seen(&sessions, 2, 1), Seen::Never, "forgotten: applied again if it came again");
        assert_eq!(seen(&sessions, 1, 2), Seen::Before(&'a'));
    }
}
