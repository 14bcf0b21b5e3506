//! The closed loop: clients, durations, crashes, and the order of events.
//!
//! For a stale read among values of a range the loop also prepares the ground, because there a
//! wrong value could be right by chance: see [`Abstention`].

use super::object::{Invocation, Payload, Target};
use super::{Object, Position, Synthetic, Values, Violation};
use crate::random::Random;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Mean duration of an operation.
const MEAN_NS: u64 = 1_000_000;

/// An operation as it will be journaled.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) process: i64,
    pub(super) f: u8,
    pub(super) key: u32,
    pub(super) input: Payload,
    pub(super) output: Payload,
    pub(super) crashed: bool,
    /// Index of the invocation in [`Run::events`].
    pub(super) invoked: u32,
    /// Index of the completion, the crash if it crashed; `u32::MAX` for an acquire that still waits
    /// when the run ends.
    pub(super) completed: u32,
}

/// The first event of a record is its invocation, the second its completion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Journaled {
    pub(super) time_ns: u64,
    pub(super) record: u32,
}

/// Everything that happened, records in the order of their invocations.
pub(super) struct Run {
    pub(super) records: Vec<Record>,
    pub(super) events: Vec<Journaled>,
    /// Whether a violation was planted on the way.
    pub(super) planted: bool,
}

pub(super) fn run(plan: &Synthetic) -> Run {
    let mut random = Random::new(plan.seed);
    let mut clients = ClosedLoop {
        plan,
        target: Target::new(plan, &mut random),
        abstention: Abstention::new(plan, &mut random),
        random,
        clients: vec![Client::default(); plan.clients as usize],
        agenda: BinaryHeap::new(),
        scheduled: 0,
        waiting: Vec::new(),
        run: Run {
            records: Vec::with_capacity(plan.operations as usize),
            events: Vec::with_capacity(plan.operations as usize * 2),
            planted: false,
        },
    };
    for client in 0..clients.clients.len() {
        clients.clients[client].process = client as i64;
        clients.invoke(client, 0);
    }
    while let Some(Reverse((now, _, client, step))) = clients.agenda.pop() {
        match step {
            Step::TakeEffect => clients.take_effect(client, now),
            Step::Complete => clients.complete(client, now),
        }
    }
    clients.run
}

/// The stale value's preparation. From some operation on, clients avoid the value `a`; once all that
/// were open then have completed, a write that was invoked after that completes; the next invocation
/// is the victim's. No operation that could install `a` crashes before the victim returned `a`.
///
/// ```text
///   installs a ──┐
///   … of b ────────┐   all complete
///                      |  write b ──┐  victim ──┐ returns a
///   ───────────────┼───┼────────────┼───────────┼──▶
///             avoid a                        avoid nothing
/// ```
struct Abstention {
    value: i64,
    from_operation: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Before,
    Draining { open: usize },
    Overwriting { since: u32 },
    Overwritten { key: u32 },
    Victim { record: u32 },
    Done,
}

impl Abstention {
    fn new(plan: &Synthetic, random: &mut Random) -> Option<Abstention> {
        let Values::Range { start, end } = plan.domain() else { return None };
        if !matches!(plan.object, Object::Register | Object::CasRegister)
            || !matches!(plan.violation, Some(Violation::StaleRead | Violation::FalseCas))
        {
            return None;
        }
        // The drain and the overwriting take a few rounds of the clients.
        let latest = plan.operations.saturating_sub(8 * plan.clients + 16);
        Some(Abstention {
            value: i64::from(start) + random.below(u64::from(end - start)) as i64,
            from_operation: plan.position.of(plan.operations).min(latest) as usize,
            phase: Phase::Before,
        })
    }
}

#[derive(Clone, Default)]
struct Client {
    process: i64,
    /// Its open operation.
    record: u32,
    /// Time from taking effect to the completion.
    rest_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    TakeEffect,
    Complete,
}

struct ClosedLoop<'p> {
    plan: &'p Synthetic,
    random: Random,
    target: Target,
    abstention: Option<Abstention>,
    clients: Vec<Client>,
    /// Time, a number that keeps simultaneous steps in the order of their scheduling, client, step.
    agenda: BinaryHeap<Reverse<(u64, u64, usize, Step)>>,
    scheduled: u64,
    /// Clients that wait for the mutex.
    waiting: Vec<usize>,
    run: Run,
}

impl ClosedLoop<'_> {
    fn invoke(&mut self, client: usize, now: u64) {
        if self.run.records.len() >= self.plan.operations as usize {
            return;
        }
        let (invocation, spared) = self.next_invocation(client);
        let crashed = self.random.chance(self.plan.crash_rate) && !spared && self.may_crash(&invocation);
        let effective = !crashed || self.random.chance(0.5);
        let duration = self.random.exponential(MEAN_NS);
        let until_effect = self.random.below(duration + 1);

        let record = self.run.records.len() as u32;
        let state = &mut self.clients[client];
        (state.record, state.rest_ns) = (record, duration - until_effect);
        self.run.records.push(Record {
            process: state.process,
            f: invocation.f,
            key: invocation.key,
            input: invocation.input,
            output: Payload::Nil,
            crashed,
            invoked: self.run.events.len() as u32,
            completed: u32::MAX,
        });
        self.run.events.push(Journaled { time_ns: now, record });
        if effective {
            self.schedule(now + until_effect, client, Step::TakeEffect);
        } else {
            self.schedule(now + duration, client, Step::Complete);
        }
    }

    fn take_effect(&mut self, client: usize, now: u64) {
        let Client { record, rest_ns, .. } = self.clients[client];
        let record = &mut self.run.records[record as usize];
        let input = std::mem::replace(&mut record.input, Payload::Nil);
        let invocation = Invocation { f: record.f, key: record.key, input };
        let output = self.target.apply(client, &invocation, &mut self.random);
        record.input = invocation.input;
        let Some(output) = output else {
            self.waiting.push(client);
            return;
        };
        record.output = output;
        let released = self.plan.object.is_lock() && record.f == 1;
        self.schedule(now + rest_ns, client, Step::Complete);
        if released && !self.waiting.is_empty() {
            let next = self.random.below(self.waiting.len() as u64) as usize;
            let next = self.waiting.swap_remove(next);
            self.take_effect(next, now);
        }
    }

    fn complete(&mut self, client: usize, now: u64) {
        let record = self.clients[client].record;
        let state = &mut self.run.records[record as usize];
        state.completed = self.run.events.len() as u32;
        self.run.events.push(Journaled { time_ns: now, record });
        if state.crashed {
            self.clients[client].process += i64::from(self.plan.clients);
        }
        self.watch_completion(record);
        self.invoke(client, now);
    }

    fn schedule(&mut self, at: u64, client: usize, step: Step) {
        self.agenda.push(Reverse((at, self.scheduled, client, step)));
        self.scheduled += 1;
    }

    /// What the client does next, and whether a violation depends on its completion.
    fn next_invocation(&mut self, client: usize) -> (Invocation, bool) {
        let Some(abstention) = &mut self.abstention else {
            return (self.target.invocation(client, &mut self.random), false);
        };
        if abstention.phase == Phase::Before && self.run.records.len() >= abstention.from_operation {
            self.target.avoided = Some(abstention.value);
            let open = self.run.records.len() - (self.run.events.len() - self.run.records.len());
            abstention.phase = match open {
                0 => Phase::Overwriting { since: self.run.events.len() as u32 },
                open => Phase::Draining { open },
            };
            abstention.from_operation = self.run.records.len();
        }
        let Phase::Overwritten { key } = abstention.phase else {
            return (self.target.invocation(client, &mut self.random), false);
        };
        abstention.phase = Phase::Victim { record: self.run.records.len() as u32 };
        let value = abstention.value;
        let f = if self.plan.violation == Some(Violation::FalseCas) { 2 } else { 0 };
        let mut victim = self.target.with_input(f, key, &mut self.random);
        if let Payload::Pair(from, _) = &mut victim.input {
            *from = value;
        }
        (victim, true)
    }

    fn watch_completion(&mut self, id: u32) {
        let Some(abstention) = &mut self.abstention else { return };
        let record = &mut self.run.records[id as usize];
        let installed = !record.crashed && record.f > 0 && record.output != Payload::Bool(false);
        match &mut abstention.phase {
            Phase::Draining { open } if (id as usize) < abstention.from_operation => {
                *open -= 1;
                if *open == 0 {
                    abstention.phase = Phase::Overwriting { since: self.run.events.len() as u32 };
                }
            }
            Phase::Overwriting { since } if record.invoked >= *since && installed => {
                abstention.phase = Phase::Overwritten { key: record.key };
            }
            Phase::Victim { record: victim } if *victim == id => {
                record.output = match record.input {
                    Payload::Nil => Payload::Int(abstention.value),
                    ref pair => pair.clone(),
                };
                abstention.phase = Phase::Done;
                self.target.avoided = None;
                self.run.planted = true;
            }
            _ => {}
        }
    }

    /// Crashes that would explain the violation are left out.
    fn may_crash(&self, invocation: &Invocation) -> bool {
        if let Some(Abstention { value, phase, .. }) = &self.abstention {
            let installs = match invocation.input {
                Payload::Int(to) | Payload::Pair(_, to) => to == *value,
                _ => false,
            };
            return *phase == Phase::Done || !installs;
        }
        if self.plan.violation == Some(Violation::DoubleAcquire) {
            let plan = self.plan;
            let until = plan.position.of(plan.operations).saturating_add(8 * plan.clients + 16);
            return plan.position != Position::End && self.run.records.len() > until as usize;
        }
        true
    }
}
