//! Random small histories against the definitions: each moment of each schedule that the timestamps leave open.

use super::*;
use crate::options::Options;
use crate::transaction::complete::{self, Answer as Complete};
use crate::transaction::{Action, INITIAL, MicroOp};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

const MODELS: [Model; 3] = [Model::Serializable, Model::SnapshotIsolation, Model::Prefix];
const ORDERS: [Order; 3] = [Order::Free, Order::Session, Order::RealTime];

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A transaction in the making: what it does, with values for writes.
struct Draft {
    process: u64,
    start: i64,
    commit: i64,
    ops: Vec<(bool, u64, u64)>,
    outcome: &'static str,
}

/// A history of a database that may lie about its timestamps, lose writes, or show what it should not.
fn random(kind: Kind, seed: u64) -> String {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let (count, keys, times) = (2 + dice.below(4), 1 + dice.below(3), 3 + dice.below(8));
    let by_commit = dice.chance(40);
    let crashes = if dice.chance(50) { 25 } else { 0 };
    let mut drafts: Vec<Draft> = Vec::new();
    let mut next = 0;
    for _ in 0..count {
        let (a, b) = (dice.below(times) as i64, dice.below(times) as i64);
        let ops = (0..1 + dice.below(3)).map(|_| {
            next += 1;
            (dice.chance(50), dice.below(keys), next)
        });
        let ops = ops.collect();
        let outcome = match dice.below(100) {
            percent if percent < crashes => "info",
            percent if percent < crashes + 5 => "fail",
            percent if percent < crashes + 7 => "lost",
            _ => "ok",
        };
        let process = dice.below(3) * 100 + drafts.len() as u64;
        drafts.push(Draft { process, start: a.min(b), commit: a.max(b), ops, outcome });
    }
    // What an honest database shows.
    let rank = |draft: &Draft, is_commit: bool| match (by_commit, draft.start < draft.commit) {
        (true, _) => (draft.commit, 1),
        (false, false) => (draft.commit, 1),
        (false, true) => {
            if is_commit {
                (draft.commit, 0)
            } else {
                (draft.start, 2)
            }
        }
    };
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    order.sort_by_key(|i| (drafts[*i].start, *i));
    let place = |i: usize| order.iter().position(|other| *other == i).unwrap();
    let sees = |reader: usize, writer: usize| {
        let (a, b) = (rank(&drafts[writer], true), rank(&drafts[reader], false));
        drafts[writer].outcome != "fail" && (a, place(writer)) < (b, place(reader))
    };
    let mut shown = Vec::new();
    for reader in 0..drafts.len() {
        let mut writers: Vec<usize> = (0..drafts.len()).filter(|writer| sees(reader, *writer)).collect();
        writers.sort_by_key(|writer| (rank(&drafts[*writer], true), place(*writer)));
        let mut ops = Vec::new();
        for (at, (is_write, key, value)) in drafts[reader].ops.iter().enumerate() {
            if *is_write {
                ops.push(written(kind, *key, *value));
                continue;
            }
            let before = writers.iter().flat_map(|writer| &drafts[*writer].ops);
            let before = before.chain(&drafts[reader].ops[..at]).filter(|op| op.0 && op.1 == *key);
            let mut values: Vec<u64> = before.map(|op| op.2).collect();
            if dice.chance(7) {
                // Stale, or out of order, or more than there is.
                match dice.below(3) {
                    0 => drop(values.pop()),
                    1 if values.len() > 1 => values.swap(0, 1),
                    _ => values.push(1 + dice.below(next)),
                }
            }
            ops.push(match kind {
                Kind::Register => {
                    format!("[:r {key} {}]", values.last().map_or("nil".to_owned(), u64::to_string))
                }
                Kind::ListAppend => format!("[:r {key} {values:?}]").replace(',', ""),
            });
        }
        shown.push(format!("[{}]", ops.join(" ")));
    }
    // Events about where the timestamps have them, in sessions of one transaction or more.
    let slack = dice.below(6);
    let mut events: Vec<(i64, usize, usize)> = Vec::new();
    for (i, draft) in drafts.iter().enumerate() {
        let early = 4 * draft.start - dice.below(slack + 1) as i64;
        let late = 4 * draft.commit + 1 + dice.below(slack + 1) as i64;
        events.push((early, i, 0));
        events.push((late, i, 1));
    }
    events.sort_unstable();
    let mut lines = String::new();
    let mut busy: BTreeMap<u64, usize> = BTreeMap::new();
    let mut named = vec![0; drafts.len()];
    for (_, i, phase) in events {
        let draft = &drafts[i];
        // One of three sessions, or one of its own if that is busy.
        if phase == 0 {
            let session = draft.process / 100;
            let is_free = *busy.entry(session).or_insert(usize::MAX) == usize::MAX;
            named[i] = if is_free { session } else { draft.process + 10 };
            if is_free {
                busy.insert(session, i);
            }
            lines.push_str(&format!("{} invoke {}\n", named[i], shown[i]));
            continue;
        }
        // A process that crashed is never used again.
        if draft.outcome != "info" && busy.get(&named[i]) == Some(&i) {
            busy.insert(named[i], usize::MAX);
        }
        let (start, commit) = match dice.chance(4) {
            true => (draft.start, draft.commit + 1 + dice.below(3) as i64),
            false => (draft.start, draft.commit),
        };
        match draft.outcome {
            "ok" => lines.push_str(&format!("{} ok {} @{start}-{commit}\n", named[i], shown[i])),
            "lost" => lines.push_str(&format!("{} ok {}\n", named[i], shown[i])),
            outcome => lines.push_str(&format!("{} {outcome} {}\n", named[i], shown[i])),
        }
    }
    lines
}

fn written(kind: Kind, key: u64, value: u64) -> String {
    match kind {
        Kind::Register => format!("[:w {key} {value}]"),
        Kind::ListAppend => format!("[:append {key} {value}]"),
    }
}

/// A schedule: who, and whether it is the commit.
type Schedule = Vec<(TxnId, bool)>;

struct Oracle<'t> {
    txns: &'t Transactions,
    values: &'t Values,
    question: Question,
}

impl Oracle<'_> {
    /// Whether some place for everybody who has no timestamps explains the history.
    fn holds(&self) -> bool {
        let counted = counted(self.txns, self.values);
        let stamps: BTreeMap<TxnId, Timestamps> = self.txns.timestamps().iter().copied().collect();
        let ids = (0..self.txns.len() as TxnId).filter(|id| counted[*id as usize]);
        let (stamped, homeless): (Vec<TxnId>, Vec<TxnId>) = ids.partition(|id| stamps.contains_key(id));
        let is_serial = self.question.model == Model::Serializable;
        // Comes the commit or start of `a` before that of `b`? As the module says it, case by case.
        let before = |a: (TxnId, bool), b: (TxnId, bool)| {
            let at = |(id, is_commit): (TxnId, bool)| {
                if is_commit || is_serial { stamps[&id].commit } else { stamps[&id].start }
            };
            let is_instant = |(id, _): (TxnId, bool)| is_serial || stamps[&id].start == stamps[&id].commit;
            match (at(a) == at(b), is_instant(a), is_instant(b)) {
                (false, ..) => at(a) < at(b),
                (true, true, true) if a.0 == b.0 => !a.1 && b.1,
                (true, true, true) => a.0 < b.0,
                (true, true, false) => !b.1,
                (true, false, true) => a.1,
                (true, false, false) if a.1 == b.1 => a.0 < b.0,
                (true, false, false) => a.1,
            }
        };
        let mut schedule: Schedule = Vec::new();
        for moment in stamped.iter().flat_map(|id| [(*id, false), (*id, true)]) {
            let at = schedule.iter().position(|other| before(moment, *other)).unwrap_or(schedule.len());
            schedule.insert(at, moment);
        }
        self.fits(schedule, &homeless)
    }

    fn fits(&self, schedule: Schedule, homeless: &[TxnId]) -> bool {
        let Some((first, others)) = homeless.split_first() else { return self.explains(&schedule) };
        (0..=schedule.len()).any(|at| {
            let mut schedule = schedule.clone();
            schedule.splice(at..at, [(*first, false), (*first, true)]);
            self.fits(schedule, others)
        })
    }

    fn explains(&self, schedule: &Schedule) -> bool {
        let mut held: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
        let place = |moment: (TxnId, bool)| schedule.iter().position(|other| *other == moment).unwrap();
        for (at, (id, is_commit)) in schedule.iter().enumerate() {
            if !is_commit && !self.reads(*id, &held) {
                return false;
            }
            if *is_commit {
                for op in self.writes(*id) {
                    held.entry(op.key).or_default().push(self.txns.version(op.version).value);
                }
            }
            for (other, _) in schedule[..at].iter().filter(|_| !is_commit) {
                let (a, b) = (self.txns.txn(*id), self.txns.txn(*other));
                let is_open = place((*other, true)) > at;
                let shares = self.writes(*id).any(|op| self.writes(*other).any(|own| own.key == op.key));
                let clashes = match self.question.model {
                    Model::Serializable => true,
                    Model::SnapshotIsolation => shares,
                    Model::Prefix => false,
                };
                if is_open && clashes {
                    return false;
                }
                // The other one has started; it must not have been due after this one.
                let is_due = a.status == Status::Committed
                    && match self.question.order {
                        Order::Free => false,
                        Order::Session => a.session == b.session && id < other,
                        Order::RealTime => self.txns.precedes(*id, *other),
                    };
                if is_due {
                    return false;
                }
            }
            // Nor may somebody start who was due after one that has not committed.
            let late = schedule[at..].iter().filter(|(other, is_commit)| *is_commit && other != id);
            for (other, _) in late.filter(|_| !is_commit) {
                let (a, b) = (self.txns.txn(*other), self.txns.txn(*id));
                let is_due = a.status == Status::Committed
                    && match self.question.order {
                        Order::Free => false,
                        Order::Session => a.session == b.session && other < id,
                        Order::RealTime => self.txns.precedes(*other, *id),
                    };
                if is_due {
                    return false;
                }
            }
        }
        true
    }

    fn writes(&self, id: TxnId) -> impl Iterator<Item = &MicroOp> {
        self.txns.micro_ops(id).iter().filter(|op| op.action == Action::Write)
    }

    fn reads(&self, id: TxnId, held: &BTreeMap<u32, Vec<Value>>) -> bool {
        let mut view = held.clone();
        for (at, op) in self.txns.micro_ops(id).iter().enumerate() {
            let value = (op.version != INITIAL).then(|| self.txns.version(op.version).value);
            let known = view.entry(op.key).or_default();
            if op.action == Action::Write {
                known.extend(value);
                continue;
            }
            let is_right = match self.txns.kind() {
                Kind::Register => known.last().copied() == value,
                Kind::ListAppend => {
                    let mut reads = self.txns.list_reads().iter();
                    let list = reads.find(|read| (read.txn, read.at) == (id, at as u32)).unwrap().list;
                    members(self.values, list) == &known[..]
                }
            };
            if !is_right {
                return false;
            }
        }
        true
    }
}

/// What a test met, so that it can tell that it was not vacuous.
#[derive(Debug, Default)]
struct Met {
    holds: u32,
    violated: u32,
    placed: u32,
    left_open: u32,
    left_open_needlessly: u32,
    mutants: u32,
}

#[test]
fn small_histories_are_judged_as_the_definitions_say() {
    const HISTORIES: u64 = 2_000;
    for kind in [Kind::Register, Kind::ListAppend] {
        let mut met = Met::default();
        for seed in 0..HISTORIES {
            let text = random(kind, seed);
            let history = history(&text);
            // A list in which an element stands twice, of another key, is as good as any.
            let txns = read(&history, kind).unwrap();
            for model in MODELS {
                for order in ORDERS {
                    compare(&history, &txns, question(model, order), &text, &mut met);
                }
            }
        }
        println!("{kind:?} {met:?}");
        assert!(met.holds > 3_000 && met.violated > 3_000 && met.mutants > 16_000, "{met:?}");
        assert!(met.placed > 300 && met.left_open > 150, "{met:?}");
        assert!(met.left_open_needlessly * 50 < met.placed, "{met:?}");
    }
}

fn compare(history: &History, txns: &Transactions, question: Question, text: &str, met: &mut Met) {
    let values = history.values();
    let report = check(txns, values, question);
    if let Err(refusal) = validate_timestamps(txns, values, &report) {
        panic!("{refusal}: {question:?}\n{report:#?}\n{text}");
    }
    let is_committed = |id: &TxnId| txns.txn(*id).status == Status::Committed;
    let holds = Oracle { txns, values, question }.holds();
    match &report.answer {
        Answer::Holds(_) => {
            assert!(holds, "{question:?} {report:#?}\n{text}");
            assert!(!report.unstamped.iter().any(is_committed));
            met.holds += 1;
            met.placed += u32::from(!report.unstamped.is_empty());
            holds_without_timestamps(txns, question);
        }
        Answer::Violated => {
            assert!(!holds, "{question:?} {report:#?}\n{text}");
            met.violated += 1;
        }
        Answer::Unknown(homeless) => {
            assert!(report.unstamped.contains(homeless), "{report:?}");
            met.left_open += 1;
            met.left_open_needlessly += u32::from(holds && !report.unstamped.iter().any(is_committed));
        }
    }
    for mutant in mutants(txns, &report) {
        met.mutants += 1;
        let taken = validate_timestamps(txns, values, &mutant).is_ok();
        assert!(!taken, "{question:?} {report:#?}\n{mutant:#?}\n{text}");
    }
}

/// What the timestamps prove holds without them: another engine has to agree.
fn holds_without_timestamps(txns: &Transactions, question: Question) {
    if txns.kind() == Kind::Register {
        let answer = complete::decide(txns, question.model, question.order, &Options::default());
        assert!(matches!(answer, Complete::Holds(_)), "{answer:?}");
    }
}

/// Reports that claim something that is not so.
fn mutants(txns: &Transactions, report: &Report) -> Vec<Report> {
    let with = |answer: Answer, flaws: Vec<Flaw>| Report { answer, flaws, ..report.clone() };
    let mut mutants = Vec::new();
    match &report.answer {
        Answer::Unknown(_) => {}
        // Where somebody's place was looked for, there may be others.
        Answer::Holds(_) if !report.unstamped.is_empty() => {}
        Answer::Holds(Certificate::Serial(order)) => {
            for i in 0..order.len() {
                let mut fewer = order.clone();
                fewer.remove(i);
                mutants.push(with(Answer::Holds(Certificate::Serial(fewer)), Vec::new()));
                let mut twisted = order.clone();
                twisted.swap(0, i);
                if i > 0 {
                    mutants.push(with(Answer::Holds(Certificate::Serial(twisted)), Vec::new()));
                }
            }
        }
        Answer::Holds(Certificate::Snapshots(moments)) => {
            for i in 0..moments.len() {
                let mut fewer = moments.clone();
                fewer.remove(i);
                mutants.push(with(Answer::Holds(Certificate::Snapshots(fewer)), Vec::new()));
                let mut twisted = moments.clone();
                twisted.swap(0, i);
                if i > 0 {
                    mutants.push(with(Answer::Holds(Certificate::Snapshots(twisted)), Vec::new()));
                }
            }
        }
        Answer::Holds(Certificate::CommitOrder(_)) => panic!("not of this kind"),
        Answer::Violated => {
            mutants.push(with(Answer::Violated, Vec::new()));
            let wrong = report.flaws.iter().flat_map(|flaw| twisted(txns, *flaw));
            let wrong = wrong.filter(|flaw| !report.flaws.contains(flaw));
            mutants.extend(wrong.map(|flaw| with(Answer::Violated, vec![flaw])));
        }
    }
    mutants
}

/// A flaw with something about it changed.
fn twisted(txns: &Transactions, flaw: Flaw) -> Vec<Flaw> {
    let others = |id: TxnId| (0..txns.len() as TxnId).filter(move |other| *other != id);
    match flaw {
        Flaw::External(it) | Flaw::Internal(it) => {
            let mut all: Vec<Difference> =
                others(it.reader).map(|reader| Difference { reader, ..it }).collect();
            all.push(Difference { seen: it.expected, expected: it.seen, ..it });
            all.push(Difference { seen: None, expected: None, ..it });
            all.push(Difference { at: it.at + 1, ..it });
            all.push(Difference { key: (it.key + 1) % txns.keys().len() as u32, at: it.at + 1, ..it });
            let as_it_was = |it: Difference| match flaw {
                Flaw::External(_) => Flaw::External(it),
                _ => Flaw::Internal(it),
            };
            let other = match flaw {
                Flaw::External(_) => Flaw::Internal(it),
                _ => Flaw::External(it),
            };
            all.into_iter().map(as_it_was).chain([other]).collect()
        }
        Flaw::Conflict { first, second, key } => {
            let turned = Flaw::Conflict { first: second, second: first, key };
            [turned]
                .into_iter()
                .chain(txns.txns().iter().zip(0..).filter_map(|(txn, id)| {
                    let aborted = txn.status == Status::Aborted;
                    aborted.then_some(Flaw::Conflict { first: id, second, key })
                }))
                .collect()
        }
        Flaw::Session { first, second } => {
            let turned = Flaw::Session { first: second, second: first };
            let elsewhere = others(second).filter(|id| txns.txn(*id).session != txns.txn(second).session);
            [turned].into_iter().chain(elsewhere.map(|first| Flaw::Session { first, second })).collect()
        }
        Flaw::RealTime { first, second } => {
            let turned = Flaw::RealTime { first: second, second: first };
            let later = others(second).filter(|id| !txns.precedes(*id, second));
            [turned].into_iter().chain(later.map(|first| Flaw::RealTime { first, second })).collect()
        }
        Flaw::Backwards { .. } => Vec::new(),
    }
}
