//! From what clients saw to a verdict.

use super::Case;
use super::state::{ClientEvent, Events, Finding};
use crate::operation::{Operation, Subject};
use shakedown_checkers::history::{Event, EventKind, History, HistoryBuilder, Process};
use shakedown_checkers::model::prepare;
use shakedown_checkers::options::Options;
use shakedown_checkers::value::Value;
use shakedown_checkers::verdict::Verdict;
use shakedown_impls::protocol::Protocol;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Judges histories, each once: many states have the same one.
pub(super) struct Judge<P: Protocol> {
    known: Mutex<Known<P::Ret>>,
}

/// What is wrong with each history judged so far, if anything.
type Known<R> = BTreeMap<Arc<Events<R>>, Option<Finding>>;

impl<P: Subject> Judge<P> {
    pub(super) fn new() -> Judge<P> {
        Judge { known: Mutex::new(BTreeMap::new()) }
    }

    pub(super) fn judge(&self, case: &Case<P>, events: &Arc<Events<P::Ret>>) -> Option<Finding> {
        let known = self.known.lock().expect("nobody panics while it holds the lock").get(events).cloned();
        known.unwrap_or_else(|| {
            let finding = match verdict_of::<P>(&mut record(case, events)) {
                Ok(Verdict::Valid(_)) => None,
                Ok(Verdict::Invalid(_)) => Some(Finding::Refuted),
                Ok(Verdict::Unknown(unknown)) => Some(Finding::Undecided(unknown.reason.to_string())),
                Err(message) => Some(Finding::Undecided(message)),
            };
            let mut known = self.known.lock().expect("nobody panics while it holds the lock");
            known.insert(Arc::clone(events), finding.clone());
            finding
        })
    }
}

/// What the checker says of a history. `Err`: why there is nothing it could say.
pub(super) fn verdict_of<P: Subject>(history: &mut History) -> Result<Verdict, String> {
    let model = prepare(P::Op::MODEL, None, history).map_err(|error| error.to_string())?;
    // No time limit: the verdict must not depend on how fast the machine is.
    let options = Options { threads: 1, ..Options::default() };
    model.check(history, &options).map_err(|error| error.to_string())
}

/// The events as a history. A client that gave up goes on as another process, as everywhere.
pub(super) fn record<P: Subject>(case: &Case<P>, events: &Events<P::Ret>) -> History {
    let mut builder = HistoryBuilder::new();
    let clients = case.scripts.len();
    let mut processes: Vec<usize> = (0..clients).collect();
    let mut waits = vec![false; clients];
    for event in events.iter() {
        let (ClientEvent::Invoked { client, op } | ClientEvent::Answered { client, op, .. }) = event;
        if case.scripts[*client][*op].1.administers().is_some() {
            continue; // It is no part of what clients do to the object.
        }
        let (client, kind, f, key, value) = match event {
            ClientEvent::Invoked { client, op } => {
                if std::mem::replace(&mut waits[*client], true) {
                    processes[*client] += clients;
                }
                let invocation = case.scripts[*client][*op].1.invoked(builder.values());
                (*client, EventKind::Invoke, invocation.f, invocation.key, invocation.value)
            }
            ClientEvent::Answered { client, op, ret } => {
                waits[*client] = false;
                let op = &case.scripts[*client][*op].1;
                let invocation = op.invoked(builder.values());
                let value = op.completed(ret, builder.values());
                (*client, EventKind::Ok, invocation.f, invocation.key, value)
            }
        };
        let f = builder.function(f).expect("a protocol has few functions");
        let process = Process::Client(processes[client] as i64);
        let event = Event { process, kind, f, key, value, error: Value::NIL, time_ns: -1, line: 0 };
        builder.push(event).expect("a client asks one thing at a time and is answered once");
    }
    builder.finish()
}
