//! Locks: Knossos' ownerless `mutex`, and the locks that know their owner.
//!
//! - `mutex`: acquire is legal if and only if the lock is free, release if and only if it is held,
//!   whoever asks (Knossos `mutex`).
//! - `reentrant-mutex`: the owner may acquire again, up to a bound if there is one, and must release
//!   as often (Hazelcast's `FencedLock` and its Jepsen test, `ReentrantMutex`).
//! - `fenced-mutex`: each acquisition may return a fencing token, greater than every token before
//!   (Kleppmann 2016, *How to do distributed locking*; Hazelcast's Jepsen test, `FencedMutex`).
//!
//! The owner is the client that the operation's value names (`{:client c}`), else the client that
//! another operation of the same process names, else the process. A token is the completion's
//! integer or its `{:fence n}`, where 0 is Hazelcast's way to say that there is none.
//!
//! An acquisition that did not get the lock is a failed operation; one that completed `ok` with
//! `false` is refused as unclear.

use super::decode::{field, returned};
use super::{Model, ModelError};
use crate::history::{History, Operation};
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::HashMap;

/// A lock without an owner. Its state says whether it is held.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

/// What an operation did to a [`Mutex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutexAction {
    /// Took the lock.
    Acquire,
    /// Let it go.
    Release,
}

impl Model for Mutex {
    type State = bool;
    type Action = MutexAction;

    fn initial(&self) -> bool {
        false
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<MutexAction>, ModelError> {
        Ok(Some(match direction(op, values)? {
            Direction::Acquire => MutexAction::Acquire,
            Direction::Release => MutexAction::Release,
        }))
    }

    fn step(&self, held: &bool, action: &MutexAction) -> Option<bool> {
        match action {
            MutexAction::Acquire => (!held).then_some(true),
            MutexAction::Release => held.then_some(false),
        }
    }

    fn part(&self, op: &Operation<'_>, _: &Values) -> Option<Value> {
        op.key
    }

    fn show_state(&self, held: &bool, _: &Values) -> String {
        if *held { "held" } else { "free" }.to_owned()
    }
}

/// A lock that knows its owner: reentrant, fenced, or both.
#[derive(Clone, Debug)]
pub struct OwnedMutex {
    acquires_max: Option<u32>,
    fenced: bool,
    clients: HashMap<i64, Value, FastBuild>,
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A process of the history.
    Process(i64),
    /// A client that the values name.
    Client(Value),
}

/// What an operation did to an [`OwnedMutex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnedAction {
    /// Took the lock, and got this token if it got one.
    Acquire(Owner, Option<i64>),
    /// Let it go.
    Release(Owner),
}

/// State of an [`OwnedMutex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Who holds it, and how often it acquired it.
    by: Option<(Owner, u32)>,
    /// The greatest token seen.
    token: Option<i64>,
}

impl OwnedMutex {
    /// Its owner may acquire it `acquires_max` times in all before it releases; `None` is unbounded.
    pub fn reentrant(acquires_max: Option<u32>, history: &History) -> OwnedMutex {
        OwnedMutex { acquires_max, fenced: false, clients: clients(history) }
    }

    /// Not reentrant; each token is greater than those before.
    pub fn fenced(history: &History) -> OwnedMutex {
        OwnedMutex { acquires_max: Some(1), fenced: true, clients: clients(history) }
    }

    fn owner(&self, op: &Operation<'_>, values: &Values) -> Owner {
        let named = client(op, values).or_else(|| self.clients.get(&op.process).copied());
        named.map_or(Owner::Process(op.process), Owner::Client)
    }

    fn token(&self, op: &Operation<'_>, values: &Values) -> Result<Option<i64>, ModelError> {
        let Some(output) = returned(op).filter(|_| self.fenced) else { return Ok(None) };
        let token = match values.get(output) {
            Datum::Int(token) => Some(token),
            Datum::Map(_) => match field(values, output, "fence") {
                None | Some(Value::NIL) => None,
                Some(token) => match values.int_of(token) {
                    Some(token) => Some(token).filter(|token| *token != 0),
                    None => return Err(ModelError::output(op, values, "an integer under :fence")),
                },
            },
            // What is not a token is the invocation's value, repeated.
            _ if output.is_nil() || output == op.input => None,
            _ => {
                return Err(ModelError::output(
                    op,
                    values,
                    "nil, a fencing token or {:client c, :fence token}",
                ));
            }
        };
        Ok(token)
    }
}

impl Model for OwnedMutex {
    type State = Held;
    type Action = OwnedAction;

    fn initial(&self) -> Held {
        Held { by: None, token: None }
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<OwnedAction>, ModelError> {
        let owner = self.owner(op, values);
        Ok(Some(match direction(op, values)? {
            Direction::Acquire => OwnedAction::Acquire(owner, self.token(op, values)?),
            Direction::Release => OwnedAction::Release(owner),
        }))
    }

    fn step(&self, state: &Held, action: &OwnedAction) -> Option<Held> {
        match *action {
            OwnedAction::Acquire(owner, token) => {
                let count = match state.by {
                    None => 0,
                    Some((holder, count)) if holder == owner => count,
                    Some(_) => return None,
                };
                if self.acquires_max.is_some_and(|max| count >= max) {
                    return None;
                }
                if let (Some(new), Some(greatest)) = (token, state.token)
                    && new <= greatest
                {
                    return None;
                }
                Some(Held { by: Some((owner, count + 1)), token: token.or(state.token) })
            }
            OwnedAction::Release(owner) => match state.by {
                Some((holder, 1)) if holder == owner => Some(Held { by: None, ..*state }),
                Some((holder, count)) if holder == owner => {
                    Some(Held { by: Some((owner, count - 1)), ..*state })
                }
                _ => None,
            },
        }
    }

    fn part(&self, op: &Operation<'_>, _: &Values) -> Option<Value> {
        op.key
    }

    fn show_state(&self, state: &Held, values: &Values) -> String {
        let mut text = match state.by {
            None => "free".to_owned(),
            Some((owner, count)) => {
                let owner = match owner {
                    Owner::Process(process) => format!("process {process}"),
                    Owner::Client(client) => format!("client {}", values.show(client)),
                };
                let times = if count == 1 { String::new() } else { format!(", acquired {count} times") };
                format!("held by {owner}{times}")
            }
        };
        if let Some(token) = state.token {
            text.push_str(&format!(", greatest token {token}"));
        }
        text
    }
}

enum Direction {
    Acquire,
    Release,
}

fn direction(op: &Operation<'_>, values: &Values) -> Result<Direction, ModelError> {
    let direction = match op.f {
        "acquire" | "lock" => Direction::Acquire,
        "release" | "unlock" => Direction::Release,
        _ => return Err(ModelError::unknown_function(op, "acquire, release")),
    };
    if returned(op) == Some(Value::FALSE) {
        return Err(ModelError::output(
            op,
            values,
            "nil; record as a failure (:type :fail) what did not get or did not hold the lock",
        ));
    }
    Ok(direction)
}

/// The client that an operation's own values name.
fn client(op: &Operation<'_>, values: &Values) -> Option<Value> {
    let named = |value| field(values, value, "client").filter(|client| !client.is_nil());
    returned(op).and_then(named).or_else(|| named(op.input))
}

/// The client that each process was seen to act for.
fn clients(history: &History) -> HashMap<i64, Value, FastBuild> {
    let values = history.values();
    history.operations().filter_map(|op| Some((op.process, client(&op, values)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, actions, checks, history, purity};
    use super::*;

    fn reentrant(h: &History) -> OwnedMutex {
        OwnedMutex::reentrant(Some(2), h)
    }

    #[test]
    fn a_mutex_is_held_or_free_whoever_asks() {
        Table::new(|_: &History| Mutex)
            .step("release nil | ok", "rejected")
            .step("acquire nil | ok", "held")
            .step("acquire nil", "rejected")
            .step("release nil", "free")
            .step(
                "acquire nil | ok false",
                "error: line 10: acquire returned the value false; expected nil; record as a failure (:type \
                 :fail) what did not get or did not hold the lock",
            )
            .step(
                "steal nil",
                "error: line 11: the model has no function steal; expected one of: acquire, release",
            )
            .run();
        let word = |lines: &[&str]| checks(|_| Mutex, lines);
        assert_eq!(word(&["acquire nil | ok", "release nil", "acquire nil | ok"]), "true");
        assert_eq!(word(&["acquire nil | ok", "acquire nil | ok", "release nil"]), "false");
    }

    #[test]
    fn a_reentrant_mutex_counts_its_owner() {
        Table::new(reentrant)
            .step("0 acquire nil | ok", "held by process 0")
            .step("1 acquire nil", "rejected")
            .step("1 release nil", "rejected")
            .step("0 acquire nil", "held by process 0, acquired 2 times")
            .step("0 acquire nil | ok", "rejected")
            .step("0 release nil | ok", "held by process 0")
            .step("0 release nil | ok", "free")
            .step("0 release nil | ok", "rejected")
            .run();
    }

    #[test]
    fn values_name_the_client_and_the_token() {
        Table::new(OwnedMutex::fenced)
            .step(
                "0 acquire \"uid-1\" | ok {:client \"a\", :fence 3}",
                "held by client \"a\", greatest token 3",
            )
            .step("1 release \"uid-2\" | ok {:client \"b\"}", "rejected")
            // The process of the first line, so client "a", though nothing here says so.
            .step("0 release \"uid-3\"", "free, greatest token 3")
            .step("1 acquire \"uid-4\" | ok {:client \"b\", :fence 3}", "rejected")
            .step(
                "1 acquire \"uid-5\" | ok {:client \"b\", :fence 0}",
                "held by client \"b\", greatest token 3",
            )
            .step("0 acquire \"uid-6\" | ok {:client \"a\", :fence 4}", "rejected")
            .step("1 release nil", "free, greatest token 3")
            .step("5 acquire nil | ok 4", "held by process 5, greatest token 4")
            .step("5 acquire nil | ok 5", "rejected")
            .step(
                "5 acquire nil | ok :x",
                "error: line 20: acquire returned the value :x; expected nil, a fencing token or {:client c, \
                 :fence token}",
            )
            .run();
    }

    #[test]
    fn a_stale_token_is_a_violation_only_if_the_lock_is_fenced() {
        let lines = ["0 acquire nil | ok 5", "0 release nil | ok", "1 acquire nil | ok 5"];
        assert_eq!(checks(OwnedMutex::fenced, &lines), "false");
        assert_eq!(checks(reentrant, &lines), "true");
    }

    #[test]
    fn nothing_that_a_lock_does_is_pure() {
        purity(|_| Mutex, &["acquire nil", "release nil"]);
        purity(
            OwnedMutex::fenced,
            &["0 acquire nil | ok 1", "1 acquire nil | ok 2", "0 release nil", "1 release nil"],
        );
        let h = history(&["0 acquire nil", "0 acquire nil | ok", "1 acquire nil"]);
        let a = actions(&reentrant(&h), &h);
        assert_eq!(a[0], a[1]);
        assert_ne!(a[0], a[2]);
    }
}
