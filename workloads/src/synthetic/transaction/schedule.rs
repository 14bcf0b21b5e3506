//! The closed loop: sessions, durations, moments of the store, aborts and crashes, and the order of events.

use super::journal::Journal;
use super::load::Load;
use super::plant::{By, Order, Planting, RoleFate, Script, Stage};
use super::store::{Action, Micro, Seen, Store, View};
use super::{Level, Planted, Transactional};
use crate::random::Random;
use shakedown_checkers::history::{EventKind, History, OpId, Timestamps};
use shakedown_checkers::value::Value;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Mean duration of a transaction.
const MEAN_NS: f64 = 1e6;

/// Sessions that a skew slows down are never slower than that: 17 minutes.
const MEAN_NS_MAX: f64 = 1e12;

/// The chance that a session is drafted when it comes free: others go on with the load meanwhile.
const DRAFTED: f64 = 0.5;

/// So many rounds of the sessions come after the first planted transaction, or the last ones would run alone.
const ROUNDS_AFTER: u32 = 4;

/// Runs the plan, which is a valid one.
pub(super) fn run(plan: &Transactional) -> (History, Planted) {
    let mut random = Random::new(plan.seed);
    let script = plan.anomaly.map(Script::of);
    let load = plan.transactions - script.as_ref().map_or(0, Script::transactions) as u32;
    let latest = load.saturating_sub(ROUNDS_AFTER.saturating_mul(plan.sessions));
    let begins_after = ((f64::from(load) * plan.anomaly_at) as u32).min(latest);
    let mut run = ClosedLoop {
        plan,
        load: Load::new(plan),
        store: Store::new(plan),
        journal: Journal::new(plan.kind),
        planting: script.map(|script| Planting::new(script, begins_after, &mut random)),
        sessions: sessions(plan),
        agenda: BinaryHeap::new(),
        scheduled: 0,
        load_left: load,
        clock: 0,
        random,
    };
    for session in 0..run.sessions.len() {
        run.go_on(session, 0);
    }
    while let Some(Reverse((now, _, session, step))) = run.agenda.pop() {
        match step {
            Step::Start => run.start(session, now),
            Step::Read => run.read_on(session, now),
            Step::Commit => run.commit(session, now),
            Step::Complete => run.complete(session, now),
        }
    }
    let transactions = run.planting.map_or_else(Vec::new, |planting| planting.rows);
    (run.journal.finish(), Planted { transactions })
}

/// Each with a mean duration that gives it its share of the transactions, and all together as many a
/// second as without a skew.
fn sessions(plan: &Transactional) -> Vec<Session> {
    let alike = 1.0 / f64::from(plan.sessions);
    let weights = plan.session_skew.weights(plan.sessions).into_iter();
    let mean_ns = weights.map(|weight| (MEAN_NS * alike / weight).clamp(1.0, MEAN_NS_MAX) as u64);
    mean_ns.zip(0..).map(|(mean_ns, process)| Session { process, mean_ns, open: Open::default() }).collect()
}

/// A session, and the transaction that it has open.
struct Session {
    process: i64,
    mean_ns: u64,
    open: Open,
}

/// An open transaction.
struct Open {
    row: OpId,
    micros: Vec<Micro>,
    /// The value that was recorded at its invocation.
    invoked: Value,
    fate: Fate,
    /// Its role in the anomaly.
    role: Option<usize>,
    view: View,
    /// Of a transaction whose reads come one by one, how far they have come.
    reads_from: usize,
    start: i64,
    /// When it took effect; `None` if it has not.
    commit: Option<i64>,
    commit_at_ns: u64,
    complete_at_ns: u64,
}

/// How it will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// As the level allows.
    Ends,
    Aborts,
    Crashes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Takes its snapshot.
    Start,
    /// Reads what is there by now.
    Read,
    /// Takes effect, all at once.
    Commit,
    Complete,
}

struct ClosedLoop<'p> {
    plan: &'p Transactional,
    random: Random,
    load: Load,
    store: Store,
    journal: Journal,
    planting: Option<Planting>,
    sessions: Vec<Session>,
    /// Time, a number that keeps simultaneous steps in the order of their scheduling, session, step.
    agenda: BinaryHeap<Reverse<(u64, u64, usize, Step)>>,
    scheduled: u64,
    /// Transactions of the load that are yet to be invoked.
    load_left: u32,
    /// The last moment given away.
    clock: i64,
}

impl ClosedLoop<'_> {
    /// A session that has come free invokes its next transaction, if there is one.
    fn go_on(&mut self, session: usize, now: u64) {
        let (plan, load, load_left) = (self.plan, &mut self.load, self.load_left);
        if let Some(planting) = &mut self.planting {
            let load_invoked = plan.transactions - planting.script.transactions() as u32 - load_left;
            let drafts = planting.drafts(load_invoked, |count| load.fresh_keys(count));
            // At first everybody begins with the load, so that nothing is planted before it is busy.
            let draws = now > 0 && self.random.chance(DRAFTED);
            if drafts && (draws || load_left == 0) {
                self.draft(session, now);
                return;
            }
        }
        if load_left > 0 {
            self.load_left -= 1;
            self.invoke_load(session, now);
        }
    }

    fn invoke_load(&mut self, session: usize, now: u64) {
        let mut micros = std::mem::take(&mut self.sessions[session].open.micros);
        self.load.transaction(&mut micros, &mut self.random);
        let (mut fate, mut effective) = (Fate::Ends, true);
        if self.random.chance(self.plan.abort_rate) {
            (fate, effective) = (Fate::Aborts, false);
        } else if self.random.chance(self.plan.crash_rate) {
            (fate, effective) = (Fate::Crashes, self.random.chance(0.5));
        }
        let duration = self.random.duration(self.sessions[session].mean_ns);
        let moments = [self.random.below(duration + 1), self.random.below(duration + 1)];
        self.invoke(session, Open { micros, fate, ..Open::default() }, now);
        let open = &mut self.sessions[session].open;
        open.commit_at_ns = now + moments[0].max(moments[1]);
        open.complete_at_ns = now + duration;
        match self.plan.level {
            _ if !effective => self.schedule(now + duration, session, Step::Complete),
            Level::StrictSerializable | Level::Serializable => {
                self.schedule(now + moments[0], session, Step::Commit);
            }
            _ => self.schedule(now + moments[0].min(moments[1]), session, Step::Start),
        }
    }

    fn invoke(&mut self, session: usize, open: Open, now: u64) {
        let time_ns = self.moment(now);
        let state = &mut self.sessions[session];
        let (row, invoked) = self.journal.invoke(state.process, &open.micros, time_ns);
        state.open = Open { row, invoked, ..open };
    }

    fn start(&mut self, session: usize, now: u64) {
        let time = self.moment(now);
        let open = &mut self.sessions[session].open;
        open.start = time;
        open.view = self.store.view(session as u32, &open.micros, time, &mut self.random);
        if self.plan.level == Level::ReadCommitted {
            self.read_on(session, now);
            return;
        }
        self.read_all(session);
        let at = self.sessions[session].open.commit_at_ns;
        self.schedule(at, session, Step::Commit);
    }

    fn read_all(&mut self, session: usize) {
        let open = &mut self.sessions[session].open;
        for micro in &mut open.micros {
            if let Action::Read(seen) = &mut micro.action {
                *seen = Seen::Versions(self.store.read(micro.key, open.view));
            }
        }
    }

    /// The next read sees what is there now, as those before it did in their time.
    fn read_on(&mut self, session: usize, now: u64) {
        let open = &mut self.sessions[session].open;
        let from = open.reads_from;
        let Some((at, micro)) =
            (from..).zip(&mut open.micros[from..]).find(|(_, micro)| matches!(micro.action, Action::Read(_)))
        else {
            let at = open.commit_at_ns;
            return self.schedule(at, session, Step::Commit);
        };
        micro.action = Action::Read(Seen::Versions(self.store.read(micro.key, open.view)));
        open.reads_from = at + 1;
        let left = (open.micros.len() - at) as u64;
        let pause = self.random.below((open.commit_at_ns - now) / left + 1);
        self.schedule(now + pause, session, Step::Read);
    }

    fn commit(&mut self, session: usize, now: u64) {
        let time = self.moment(now);
        let level = self.plan.level;
        if matches!(level, Level::StrictSerializable | Level::Serializable) {
            let open = &mut self.sessions[session].open;
            open.view = self.store.view(session as u32, &open.micros, time, &mut self.random);
            open.start = time;
            self.read_all(session);
            if let View::Until(past) = self.sessions[session].open.view {
                // Right after the commit that it saw last; nothing else has odd times.
                let open = &mut self.sessions[session].open;
                (open.start, open.commit) = (past + 1, Some(past + 1));
                let at = open.complete_at_ns;
                return self.schedule(at, session, Step::Complete);
            }
        }
        let time = self.moment(now);
        let open = &mut self.sessions[session].open;
        if self.store.commit(session as u32, &open.micros, open.view, time) {
            open.commit = Some(time);
        }
        let at = open.complete_at_ns;
        self.schedule(at, session, Step::Complete);
    }

    fn complete(&mut self, session: usize, now: u64) {
        let role = self.finish(session, now);
        if let Some(Planting { stage: Stage::Following(Order { first, second, by: By::Session }), .. }) =
            self.planting
            && role == Some(first)
        {
            self.invoke_planted(session, second, now);
            self.release(now);
            return;
        }
        self.go_on(session, now);
    }

    /// Journals the completion of what a session has open. Gives its role in the anomaly.
    fn finish(&mut self, session: usize, now: u64) -> Option<usize> {
        if self.sessions[session].open.role.is_some() {
            self.commit_planted(session, now);
        }
        let time_ns = self.moment(now);
        let Session { process, open, .. } = &mut self.sessions[session];
        match (open.fate, open.commit) {
            (Fate::Crashes, _) => self.journal.give_up(*process, EventKind::Info, open.invoked, time_ns),
            (Fate::Ends, Some(_)) => self.journal.commit(*process, &open.micros, &self.store, time_ns),
            _ => self.journal.give_up(*process, EventKind::Fail, open.invoked, time_ns),
        }
        if let Some(commit) = open.commit.filter(|_| self.plan.timestamps) {
            self.journal.stamp(Timestamps { start: open.start, commit });
        }
        if open.fate == Fate::Crashes {
            *process += i64::from(self.plan.sessions);
        }
        open.role.take()
    }

    /// A session that has come free runs one of the planted transactions.
    fn draft(&mut self, session: usize, now: u64) {
        let planting = self.planting.as_mut().expect("it has asked for a session");
        if let Stage::Following(Order { first, second, .. }) = planting.stage {
            let earlier = planting.sessions[first];
            self.finish(earlier, now);
            self.invoke_planted(session, second, now);
            self.release(now);
            self.go_on(earlier, now);
            return;
        }
        let role = planting.waiting.pop().expect("somebody waits for as long as sessions are drafted");
        let last = planting.waiting.is_empty();
        let order = planting.script.order;
        if let (true, Some(order)) = (last, order) {
            planting.stage = Stage::Following(order);
        }
        self.invoke_planted(session, role, now);
        match order {
            _ if !last => {}
            None => self.release(now),
            Some(Order { first, by: By::Session, .. }) => {
                let session = self.planting.as_ref().map_or(session, |planting| planting.sessions[first]);
                let duration = self.random.duration(self.sessions[session].mean_ns);
                self.schedule(now + duration, session, Step::Complete);
            }
            Some(Order { by: By::RealTime, .. }) => {}
        }
    }

    fn invoke_planted(&mut self, session: usize, role: usize, now: u64) {
        let planting = self.planting.as_mut().expect("somebody has a role in it");
        let micros = planting.micros(role).collect();
        let aborts = planting.script.roles[role].fate == RoleFate::Aborts;
        let fate = if aborts { Fate::Aborts } else { Fate::Ends };
        planting.sessions[role] = session;
        self.invoke(session, Open { micros, fate, role: Some(role), ..Open::default() }, now);
        let start = self.moment(now);
        let open = &mut self.sessions[session].open;
        open.start = start;
        let row = open.row;
        self.planting.as_mut().expect("as above").rows[role] = row;
    }

    /// All planted transactions are invoked by now: those that are open take effect, the observers last, and
    /// may complete.
    fn release(&mut self, now: u64) {
        let planting = self.planting.as_mut().expect("somebody has a role in it");
        planting.stage = Stage::Invoked;
        let mut open = Vec::new();
        for fate in [RoleFate::Commits, RoleFate::Aborts, RoleFate::Observes] {
            for (role, session) in planting.sessions.iter().enumerate() {
                let has_open = self.sessions[*session].open.role == Some(role);
                if has_open && planting.script.roles[role].fate == fate {
                    open.push((*session, fate));
                }
            }
        }
        for (session, fate) in open {
            if fate == RoleFate::Observes {
                self.sessions[session].open.start = self.moment(now);
            }
            self.commit_planted(session, now);
            let duration = self.random.duration(self.sessions[session].mean_ns);
            self.schedule(now + duration, session, Step::Complete);
        }
    }

    fn commit_planted(&mut self, session: usize, now: u64) {
        let open = &self.sessions[session].open;
        if open.fate == Fate::Ends && open.commit.is_none() {
            self.sessions[session].open.commit = Some(self.moment(now));
        }
    }

    fn schedule(&mut self, at: u64, session: usize, step: Step) {
        self.agenda.push(Reverse((at, self.scheduled, session, step)));
        self.scheduled += 1;
    }

    /// The time `now`, or a little later: each moment has a time of its own, so that the order by time is
    /// the order in which things happen. Always even.
    fn moment(&mut self, now: u64) -> i64 {
        self.clock = (now as i64 & !1).max(self.clock + 2);
        self.clock
    }
}

impl Default for Open {
    fn default() -> Open {
        Open {
            row: OpId::MAX,
            micros: Vec::new(),
            invoked: Value::NIL,
            fate: Fate::Ends,
            role: None,
            view: View::Latest,
            reads_from: 0,
            start: 0,
            commit: None,
            commit_at_ns: 0,
            complete_at_ns: 0,
        }
    }
}
