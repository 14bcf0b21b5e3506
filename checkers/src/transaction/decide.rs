//! What inference leaves open, decided by the engines of [`super::weak`] and
//! [`super::complete`].
//!
//! First what was asked for. If that does not hold, or could not be decided, every other level that an engine
//! decides is looked at, cheap ones first: what violates a level violates all that imply it, and is asked no
//! more.

use super::anomaly::{Anomaly, Evidence, Phenomenon};
use super::complete::{self, Argument, Model, Order};
use super::cycle::Variant;
use super::direct::Collector;
use super::level::{Base, Level};
use super::proof::{Because, Edge, Why};
use super::weak::{self, Violation, WeakAnswer, WeakLevel};
use super::{INITIAL, Transactions, TxnId};
use crate::linearizability::budget::Budget;
use crate::options::Options;
use std::time::Duration;

/// How long levels are looked at that were not asked for, all of them together, and how much longer for each
/// transaction. No level takes more than half of what is left.
const UNASKED_AT_MOST: Duration = Duration::from_secs(2);
const UNASKED_PER_TXN: Duration = Duration::from_micros(40);

/// How many transactions an anomaly may be about to be looked at again by itself.
const CORE_MAX: usize = 32;

/// What an engine said of a level.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The engine for weak levels; of a plain one the sessions did not count.
    Weak(WeakLevel, Variant, WeakAnswer),
    /// The complete engine.
    Complete(Model, Order, complete::Answer),
}

/// The levels of the engine for weak ones, weaker ones first, with what it calls them and what violates them.
const WEAK: [(Base, WeakLevel, Phenomenon); 7] = [
    (Base::ReadYourWrites, WeakLevel::ReadYourWrites, Phenomenon::StaleOwnWrite),
    (Base::MonotonicReads, WeakLevel::MonotonicReads, Phenomenon::NonMonotonicSession),
    (Base::MonotonicWrites, WeakLevel::MonotonicWrites, Phenomenon::NonMonotonicWrites),
    (Base::WritesFollowReads, WeakLevel::WritesFollowReads, Phenomenon::WriteWithoutReads),
    (Base::MonotonicAtomicView, WeakLevel::ReadCommitted, Phenomenon::NonMonotonicRead),
    (Base::ReadAtomic, WeakLevel::ReadAtomic, Phenomenon::FracturedRead),
    (Base::Causal, WeakLevel::Causal, Phenomenon::CausalityViolation),
];

/// Levels that engines decide. Those that cost little come first, weaker ones before stronger ones; then the three
/// that are searched for, each in its strongest mode first, of which a refutation says what it rests on, and an order
/// is good for all modes. What nothing found so far violates most likely holds, so that serializability is asked
/// about before what it implies.
fn questions() -> impl Iterator<Item = Level> {
    let weak = WEAK.into_iter().map(|(base, _, _)| base);
    let bases = weak.chain([Base::Serializable, Base::Prefix, Base::SnapshotIsolation]);
    // With sessions first: what holds with them holds without.
    bases.flat_map(|base| base.modes().iter().rev().map(move |mode| Level { base, mode: *mode }))
}

/// The decisions that the levels and anomalies need that were asked for, and those that tell what holds instead.
/// Anomalies go to `found`; what they violate is not asked about again.
pub(super) fn decide(
    txns: &Transactions,
    asked: &[Level],
    anomalies: &[(Phenomenon, Variant)],
    only_asked: bool,
    options: &Options,
    found: &mut Collector,
) -> Vec<(Level, Decision)> {
    let budget = Budget::new(options);
    let mut decisions: Vec<(Level, Decision)> = Vec::new();
    let is_open = |level: Level, decisions: &[(Level, Decision)], found: &Collector| {
        let holds = |(other, decision): &(Level, Decision)| decision.holds() && other.implies(level);
        !decisions.iter().any(holds) && !found.kept.iter().any(|anomaly| anomaly.violates(level))
    };
    // Where nothing is wrong, serializability is quickly seen, and says all. What is weaker than what stands for
    // it comes behind that.
    let itself = |level: &Level| matches!(level.base, Base::MonotonicAtomicView | Base::ReadAtomic);
    let mut first: Vec<Level> = asked.iter().copied().map(engine_level).collect();
    first.extend(asked.iter().copied().filter(itself));
    first.dedup();
    for level in first {
        if is_open(level, &decisions, found) {
            decisions.extend(ask(txns, level, &left_of(&budget, options), found));
        }
    }
    for level in anomalies.iter().filter_map(|kind| level_without(*kind)) {
        if !decisions.iter().any(|(other, _)| *other == level) {
            decisions.extend(ask(txns, level, &left_of(&budget, options), found));
        }
    }
    let all_hold = asked.iter().all(|level| {
        let holds = |(other, decision): &(Level, Decision)| decision.holds() && other.implies(*level);
        decisions.iter().any(holds)
    });
    if only_asked || all_hold && asked.contains(&Level::STRICT_SERIALIZABLE) {
        return decisions;
    }
    let allowance = allowance(txns, &budget);
    for level in questions() {
        // What took too long in one mode takes as long in the next: that of real time is tried first in each.
        let is_hopeless = |(other, decision): &(Level, Decision)| {
            *other == level || other.base == level.base && decision.is_unknown()
        };
        if is_open(level, &decisions, found) && !decisions.iter().any(is_hopeless) {
            decisions.extend(ask(txns, level, &half_of(&allowance, options), found));
        }
    }
    decisions
}

/// The same of lists whose graph has cycles, and to which several transactions appended what nobody saw: only
/// the engine tells whether those can be put in an order under snapshot isolation.
pub(super) fn decide_unseen(
    txns: &Transactions,
    asked: &[Level],
    only_asked: bool,
    options: &Options,
    hold: &[Level],
    found: &mut Collector,
) -> Vec<(Level, Decision)> {
    let budget = Budget::new(options);
    let asked: Vec<Level> = asked.iter().copied().map(engine_level).collect();
    let allowance = allowance(txns, &budget);
    let mut decisions: Vec<(Level, Decision)> = Vec::new();
    // The strongest first: if it holds, so do the others.
    for mode in Variant::ALL.into_iter().rev() {
        let level = Level { base: Base::SnapshotIsolation, mode };
        let is_asked = asked.contains(&level);
        let holds = hold.iter().any(|other| other.implies(level))
            || decisions.iter().any(|(other, decision)| decision.holds() && other.implies(level));
        let is_violated = found.kept.iter().any(|anomaly| anomaly.violates(level));
        if holds || is_violated || only_asked && !is_asked {
            continue;
        }
        let options = if is_asked { left_of(&budget, options) } else { half_of(&allowance, options) };
        decisions.extend(ask(txns, level, &options, found));
    }
    decisions
}

/// What levels may take that nobody asked for, of what is left.
fn allowance(txns: &Transactions, budget: &Budget) -> Budget {
    let at_most = UNASKED_AT_MOST + UNASKED_PER_TXN * txns.len() as u32;
    budget.with_share_of_time(1.0, at_most.as_secs_f64())
}

/// The same options with what is left of the time.
fn left_of(budget: &Budget, options: &Options) -> Options {
    Options { time_limit: budget.time_left(), ..options.clone() }
}

/// The same with half of it.
fn half_of(budget: &Budget, options: &Options) -> Options {
    Options { time_limit: budget.time_left().map(|left| left / 2), ..options.clone() }
}

/// The level whose engine looks for that anomaly.
fn level_without((phenomenon, mode): (Phenomenon, Variant)) -> Option<Level> {
    let (base, _, _) = WEAK.into_iter().find(|known| known.2 == phenomenon)?;
    base.modes().contains(&mode).then_some(Level { base, mode })
}

/// The level that an engine decides in the stead of this one. Of items, repeatable read is serializability; what no
/// engine decides may be implied by what one does.
fn engine_level(level: Level) -> Level {
    match level.base {
        Base::RepeatableRead => Level { base: Base::Serializable, mode: Variant::Plain },
        Base::MonotonicAtomicView | Base::ReadAtomic => Level { mode: Variant::Process, ..level },
        Base::ParallelSnapshotIsolation
        | Base::ConsistentView
        | Base::ForwardConsistentView
        | Base::MonotonicSnapshotRead => Level { base: Base::SnapshotIsolation, mode: level.mode },
        Base::UpdateSerializable => Level { base: Base::Serializable, mode: level.mode },
        _ => level,
    }
}

fn ask(
    txns: &Transactions,
    level: Level,
    options: &Options,
    found: &mut Collector,
) -> Option<(Level, Decision)> {
    let order = match level.mode {
        Variant::Plain => Order::Free,
        Variant::Process => Order::Session,
        Variant::Realtime => Order::RealTime,
    };
    let model = match level.base {
        Base::Serializable => Model::Serializable,
        Base::SnapshotIsolation => Model::SnapshotIsolation,
        Base::Prefix => Model::Prefix,
        base => {
            let (_, weak, phenomenon) = WEAK.into_iter().find(|known| known.0 == base)?;
            let answer = match level.mode {
                Variant::Plain => weak::check(&txns.without_sessions(), weak, options),
                _ => weak::check(txns, weak, options),
            };
            if let WeakAnswer::Violated(violation) = &answer {
                tell_weak(txns, level, phenomenon, violation, found);
            }
            return Some((level, Decision::Weak(weak, level.mode, answer)));
        }
    };
    // Most often what is wrong is wrong with the transactions that are known to be in trouble.
    let budget = Budget::new(options);
    let small = cores(txns, found).into_iter().find_map(|core| {
        let refutation = complete::refute_within(txns, model, order, core, &half_of(&budget, options))?;
        Some(complete::Answer::Violated(Box::new(refutation)))
    });
    let answer = small.unwrap_or_else(|| complete::decide(txns, model, order, &left_of(&budget, options)));
    if let complete::Answer::Violated(refutation) = &answer {
        let (evidence, mode, phenomenon) = match &refutation.argument {
            Argument::Cycle(edges) => {
                let evidence = Evidence::Cycle { edges: edges.clone(), is_shortest: false };
                let phenomenon = shape_of(model, edges);
                (evidence, mode_of(edges.iter()), phenomenon)
            }
            Argument::Cases { lemmas, .. } => {
                let evidence = Evidence::Cases { txns: refutation.core.clone(), lemmas: lemmas.clone() };
                (evidence, mode_of(lemmas.iter().flatten()), Phenomenon::NoOrder)
            }
        };
        // Of items, what is not serializable is no repeatable read either.
        let base = if level.base == Base::Serializable && mode == Variant::Plain {
            Base::RepeatableRead
        } else {
            level.base
        };
        let mode = mode.min(level.mode);
        tell(phenomenon, mode, Level { base, mode }, evidence, found);
    }
    Some((level, Decision::Complete(model, order, answer)))
}

/// The transactions of the first anomaly of each kind that is about few of them, as far as they count.
fn cores(txns: &Transactions, found: &Collector) -> Vec<Vec<TxnId>> {
    let counted = txns.counted();
    let mut cores: Vec<Vec<TxnId>> = Vec::new();
    let mut kinds = Vec::new();
    for anomaly in &found.kept {
        let kind = (anomaly.phenomenon, anomaly.variant);
        if kinds.contains(&kind) {
            continue;
        }
        kinds.push(kind);
        let mut core = match &anomaly.evidence {
            Evidence::Cycle { edges, .. } => Argument::Cycle(edges.clone()).transactions(txns),
            Evidence::Cases { txns, .. } | Evidence::Direct { txns, .. } => txns.clone(),
        };
        core.retain(|id| counted[*id as usize]);
        core.sort_unstable();
        core.dedup();
        if core.len() > 1 && core.len() <= CORE_MAX && !cores.contains(&core) {
            cores.push(core);
        }
    }
    cores
}

/// Adds what an engine found. What another one found before it in the same transactions, edge by edge, is not told
/// again, but refutes this level, too. None that is told implies another.
fn tell(phenomenon: Phenomenon, variant: Variant, refuted: Level, evidence: Evidence, found: &mut Collector) {
    let known = found.kept.iter_mut().find(|known| {
        (known.phenomenon, known.variant) == (phenomenon, variant) && known.evidence == evidence
    });
    if let Some(known) = known {
        known.refuted.retain(|level| !level.implies(refuted));
        known.refuted.push(refuted);
        return;
    }
    found.add(phenomenon, variant, || Anomaly {
        phenomenon,
        variant,
        also: None,
        refuted: vec![refuted],
        evidence,
    });
}

fn tell_weak(
    txns: &Transactions,
    level: Level,
    phenomenon: Phenomenon,
    violation: &Violation,
    found: &mut Collector,
) {
    // Without sessions, what is left of causality is less than the plain levels ask for.
    let refuted = |edges: &[Edge]| {
        let has_plain = level.base.modes().contains(&Variant::Plain);
        if has_plain { Level { mode: mode_of(edges.iter()).min(level.mode), ..level } } else { level }
    };
    match violation {
        // Information flowed in a circle. So no order tells what came before what, and nobody missed anything.
        Violation::Cycle(edges)
            if phenomenon.is_of_sessions()
                && edges.iter().all(|edge| !matches!(edge.why, Why::Visible { .. })) => {}
        Violation::Cycle(edges) => {
            let evidence = Evidence::Cycle { edges: edges.clone(), is_shortest: true };
            let variant = mode_of(edges.iter()).min(level.mode);
            tell(phenomenon, variant, refuted(edges), evidence, found);
        }
        Violation::StaleInitial { reader, missed, path } => {
            let writer = txns.writer(*missed);
            let why = Why::Missed { seen: INITIAL, after: *missed, because: Because::Initial };
            let mut edges = path.clone();
            edges.push(Edge { from: *reader, to: writer, why });
            let (variant, level) = (mode_of(edges.iter()).min(level.mode), refuted(&edges));
            tell(phenomenon, variant, level, Evidence::Cycle { edges, is_shortest: true }, found);
        }
        // One look at the reader shows it.
        Violation::NonRepeatable { .. } => {}
    }
}

/// What a cycle is that an engine found. Versions that were put in order by ruling the other order out count as
/// that: of what was ruled out with an anti-dependency nothing less than G2 is known.
fn shape_of(model: Model, cycle: &[Edge]) -> Phenomenon {
    let is_anti = |edge: &&Edge| matches!(edge.why, Why::Missed { .. });
    let leans_on_anti = |edge: &&Edge| match &edge.why {
        Why::Overwrote { because: Because::Otherwise { path }, .. }
        | Why::Missed { because: Because::Otherwise { path }, .. } => path.iter().any(|edge| is_anti(&edge)),
        _ => false,
    };
    let in_a_row = (0..cycle.len()).any(|i| is_anti(&&cycle[i]) && is_anti(&&cycle[(i + 1) % cycle.len()]));
    match model {
        Model::Prefix => Phenomenon::GPrefix,
        Model::Serializable if in_a_row || cycle.iter().any(|edge| leans_on_anti(&edge)) => {
            Phenomenon::G2Item
        }
        _ if cycle.iter().filter(is_anti).count() > 1 => Phenomenon::GNonadjacent,
        _ => Phenomenon::GSingle,
    }
}

/// Which orders beside the data the edges use, those that stand in their reasons included.
fn mode_of<'e>(edges: impl Iterator<Item = &'e Edge>) -> Variant {
    let mut open: Vec<&Edge> = edges.collect();
    let mut mode = Variant::Plain;
    while let Some(edge) = open.pop() {
        match &edge.why {
            Why::Session => mode = mode.max(Variant::Process),
            Why::RealTime => mode = Variant::Realtime,
            Why::Visible { path, .. } => open.extend(path),
            Why::Overwrote { because, .. } | Why::Missed { because, .. } => {
                let mut reasons = vec![because];
                while let Some(because) = reasons.pop() {
                    match because {
                        Because::Otherwise { path } => open.extend(path),
                        Because::Through { first, second, .. } => reasons.extend([&**first, &**second]),
                        _ => {}
                    }
                }
            }
            Why::Read { .. } => {}
        }
    }
    mode
}

impl Decision {
    /// Whether the engine found that the level holds.
    pub fn holds(&self) -> bool {
        matches!(
            self,
            Decision::Weak(_, _, WeakAnswer::Holds(_)) | Decision::Complete(_, _, complete::Answer::Holds(_))
        )
    }

    /// Whether a limit came first.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Decision::Weak(_, _, WeakAnswer::Unknown(_))
                | Decision::Complete(_, _, complete::Answer::Unknown(_))
        )
    }

    /// Transactions that a refutation is about; none of other decisions.
    pub fn core(&self) -> &[TxnId] {
        match self {
            Decision::Complete(_, _, complete::Answer::Violated(refutation)) => &refutation.core,
            _ => &[],
        }
    }
}
