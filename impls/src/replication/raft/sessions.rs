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
use std::collections::btree_map::Entry;

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

    /// Has a request applied, which is the entry at `at`, if it is new, and keeps the answer: there will be at
    /// most `max` sessions. What it was answered, now or before; `None` if nobody waits for it.
    pub fn once(
        &mut self,
        client: ClientId,
        id: RequestId,
        at: Index,
        max: usize,
        apply: impl FnOnce() -> R,
    ) -> Option<R> {
        match self.0.entry(client) {
            Entry::Occupied(session) if session.get().last == id => Some(session.get().ret.clone()),
            Entry::Occupied(session) if session.get().last > id => None,
            Entry::Occupied(mut session) => {
                let ret = apply();
                session.insert(Session { last: id, ret: ret.clone(), at });
                Some(ret)
            }
            Entry::Vacant(place) => {
                let ret = apply();
                place.insert(Session { last: id, ret: ret.clone(), at });
                self.forget_beyond(max);
                Some(ret)
            }
        }
    }

    /// The one that was used the longest ago goes, if there are more than `max`.
    fn forget_beyond(&mut self, max: usize) {
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

    fn apply(sessions: &mut Sessions<char>, client: u32, id: u64, ret: char, at: u64) -> Option<char> {
        sessions.once(ClientId(client), RequestId(id), Index(at), 2, || ret)
    }

    #[test]
    fn a_request_is_new_known_or_outdated() {
        let mut sessions = Sessions::default();
        assert_eq!(seen(&sessions, 1, 0), Seen::Never);
        assert_eq!(apply(&mut sessions, 1, 0, 'a', 1), Some('a'));
        assert_eq!(apply(&mut sessions, 1, 3, 'b', 2), Some('b'));
        assert_eq!(apply(&mut sessions, 1, 3, 'c', 3), Some('b'), "applied already");
        assert_eq!(apply(&mut sessions, 1, 2, 'c', 4), None, "given up");
        assert_eq!(seen(&sessions, 1, 3), Seen::Before(&'b'));
        assert_eq!(seen(&sessions, 1, 2), Seen::Outdated);
        assert_eq!(seen(&sessions, 1, 4), Seen::Never);
        assert_eq!(seen(&sessions, 2, 3), Seen::Never, "sessions are the clients' own");
    }

    #[test]
    fn the_session_used_the_longest_ago_goes() {
        let mut sessions = Sessions::default();
        for (at, client) in [1, 2, 1, 3].into_iter().enumerate() {
            apply(&mut sessions, client, at as u64, 'a', at as u64);
        }
        assert_eq!(sessions.len(), 2);
        assert_eq!(seen(&sessions, 2, 1), Seen::Never, "forgotten: applied again if it came again");
        assert_eq!(seen(&sessions, 1, 2), Seen::Before(&'a'));
    }
}
