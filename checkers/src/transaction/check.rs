//! From a history to a report: what is wrong with it, and which levels that leaves.

use super::anomaly::{Anomaly, Evidence, Phenomenon};
use super::cycle::{Component, Hunt, Shape, Step, Variant};
use super::decide::{Decision, decide, decide_unseen};
use super::direct::{self, Collector};
use super::graph::{self, Builder, Graph};
use super::level::{BASES, Base, Level};
use super::proof::{Because, Edge, Why};
use super::register::KeyAssumptions;
use super::{
    Action, KeyId, Kind, NOBODY, Status, Transactions, TxnId, VersionId, list_append, read, register, sight,
};
use crate::history::{History, NEVER};
use crate::linearizability::budget::Budget;
use crate::model::ModelError;
use crate::options::Options;
use crate::value::{FastBuild, Values};
use hashbrown::HashSet;

/// What is asked of a history.
#[derive(Clone, Debug)]
pub struct IsolationOptions {
    /// The levels that are asked for: the history is valid if it is correct under each.
    pub levels: Vec<Level>,
    /// Anomalies that make it invalid, whether or not a level forbids them.
    pub anomalies: Vec<(Phenomenon, Variant)>,
    /// What to take for granted about the keys, of registers.
    pub assume: KeyAssumptions,
    /// Whether a read of a value that nobody wrote is an anomaly. If not, it is taken to come from outside of
    /// the history and says nothing.
    pub forbid_unwritten: bool,
    /// Whether to give an order of the transactions where lists show no cycle.
    pub certify: bool,
    /// Whether to leave levels undecided that nobody asked for.
    pub only_asked: bool,
    /// What the engines may spend.
    pub budget: Options,
}

impl IsolationOptions {
    /// Strict serializability, as Elle asks for where nothing else is said. Values that nobody wrote are an
    /// anomaly in lists, which show all that was ever appended, and no anomaly in registers.
    pub fn new(kind: Kind) -> IsolationOptions {
        IsolationOptions {
            levels: vec![Level::STRICT_SERIALIZABLE],
            anomalies: Vec::new(),
            assume: KeyAssumptions::default(),
            forbid_unwritten: kind == Kind::ListAppend,
            certify: false,
            only_asked: false,
            budget: Options::default(),
        }
    }
}

/// How a history stands to a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is correct under it, as far as a history can tell.
    Holds,
    /// It is not: the anomaly of that number says so.
    Violated(usize),
    /// The history does not tell, or the search was cut short.
    Undecided,
}

/// What is to be said of a history of transactions.
#[derive(Clone, Debug)]
pub struct Report {
    /// The history as it was read.
    pub txns: Transactions,
    /// What is wrong, the worst first; a few of each kind.
    pub anomalies: Vec<Anomaly>,
    /// How often each kind was found, in the order of `anomalies`.
    pub counts: Vec<(Phenomenon, Variant, u64)>,
    /// Every level.
    pub standings: Vec<(Level, Standing)>,
    /// What engines decided, with their proofs.
    pub decisions: Vec<(Level, Decision)>,
    /// Of lists that are serializable, if asked for: an order, and the strongest mode that it keeps.
    pub serial: Option<(Variant, Vec<TxnId>)>,
    /// Whether all that was asked for holds.
    pub verdict: Standing,
}

impl Report {
    /// The strongest levels that hold: those that no other one implies that does.
    pub fn strongest(&self) -> Vec<Level> {
        self.extreme(Standing::Holds, |a, b| b.implies(a))
    }

    /// The weakest levels that are violated: those that imply no other one that is.
    pub fn weakest_violated(&self) -> Vec<Level> {
        self.extreme(Standing::Violated(0), |a, b| a.implies(b))
    }

    /// The levels that are not decided.
    pub fn undecided(&self) -> Vec<Level> {
        self.extreme(Standing::Undecided, |_, _| false)
    }

    fn extreme(&self, like: Standing, covers: impl Fn(Level, Level) -> bool) -> Vec<Level> {
        let alike = |standing: &Standing| std::mem::discriminant(standing) == std::mem::discriminant(&like);
        let all: Vec<Level> =
            self.standings.iter().filter(|(_, s)| alike(s)).map(|(level, _)| *level).collect();
        all.iter().copied().filter(|a| !all.iter().any(|b| a != b && covers(*a, *b))).collect()
    }

    /// How the history stands to that level.
    pub fn standing(&self, level: Level) -> Standing {
        self.standings.iter().find(|entry| entry.0 == level).map_or(Standing::Undecided, |entry| entry.1)
    }
}

/// Judges a history of transactions.
///
/// O(n) for n micro-operations and members of lists read, where nothing is wrong; where something is,
/// components with cycles are searched, each in time that is linear in it for the question whether there is
/// one, and bounded for the question which is the shortest.
pub fn check(history: &History, kind: Kind, options: &IsolationOptions) -> Result<Report, ModelError> {
    let txns = read(history, kind)?;
    let counted = txns.counted();
    let mut found = Collector::default();
    let lost = direct::find(&txns, history.values(), options.forbid_unwritten, &mut found);
    let open = match kind {
        Kind::ListAppend => lists(&txns, history.values(), &counted, &lost, options, &mut found),
        Kind::Register => registers(&txns, history.values(), &counted, options, &mut found),
    };
    let serial = open.serial.clone();
    let decisions = match kind {
        Kind::ListAppend if open.has_unseen => {
            let IsolationOptions { levels, only_asked, budget, .. } = options;
            decide_unseen(&txns, levels, *only_asked, budget, &open.hold, &mut found)
        }
        Kind::ListAppend => Vec::new(),
        Kind::Register => {
            let IsolationOptions { levels, anomalies, only_asked, budget, .. } = options;
            decide(&txns, levels, anomalies, *only_asked, budget, &mut found)
        }
    };
    let mut report = report(txns, found, &open, decisions, options);
    report.serial = serial;
    Ok(report)
}

fn report(
    txns: Transactions,
    found: Collector,
    open: &Open,
    decisions: Vec<(Level, Decision)>,
    options: &IsolationOptions,
) -> Report {
    let mut anomalies = found.kept.clone();
    anomalies.sort_by_key(|anomaly| (anomaly.variant, anomaly.phenomenon));
    let mut counts: Vec<(Phenomenon, Variant, u64)> = Vec::new();
    for anomaly in &anomalies {
        let (phenomenon, variant) = (anomaly.phenomenon, anomaly.variant);
        if !counts.iter().any(|entry| (entry.0, entry.1) == (phenomenon, variant)) {
            counts.push((phenomenon, variant, found.count(phenomenon, variant)));
        }
    }
    let mut standings: Vec<(Level, Standing)> = Level::all()
        .into_iter()
        .map(|level| {
            let culprit = anomalies.iter().position(|anomaly| anomaly.violates(level));
            let is_open = open.hunts.iter().any(|(phenomenon, variant)| level.forbids(*phenomenon, *variant))
                || open.bases.contains(&level.base);
            let standing = match culprit {
                Some(culprit) => Standing::Violated(culprit),
                None if decisions
                    .iter()
                    .any(|(other, decision)| decision.holds() && other.implies(level)) =>
                {
                    Standing::Holds
                }
                None if open.hold.iter().any(|other| other.implies(level)) => Standing::Holds,
                None if is_open => Standing::Undecided,
                None => Standing::Holds,
            };
            (level, standing)
        })
        .collect();
    // What a level that holds implies holds as well.
    for i in 0..standings.len() {
        let (level, standing) = standings[i];
        let holds = |(stronger, standing): &(Level, Standing)| {
            *standing == Standing::Holds && stronger.implies(level)
        };
        if standing == Standing::Undecided && standings.iter().any(holds) {
            standings[i].1 = Standing::Holds;
        }
    }
    let asked_for = |level: &Level| {
        standings.iter().find(|entry| entry.0 == *level).map_or(Standing::Undecided, |entry| entry.1)
    };
    let named = anomalies.iter().position(|a| options.anomalies.contains(&(a.phenomenon, a.variant)));
    let asked: Vec<Standing> = options.levels.iter().map(asked_for).collect();
    let violated = asked.iter().find(|standing| matches!(standing, Standing::Violated(_)));
    let verdict = match (named, violated) {
        (Some(culprit), _) => Standing::Violated(culprit),
        (None, Some(violated)) => *violated,
        (None, None) if asked.contains(&Standing::Undecided) => Standing::Undecided,
        (None, None) => Standing::Holds,
    };
    Report { txns, anomalies, counts, standings, decisions, serial: None, verdict }
}

/// What a search left open.
#[derive(Debug, Default)]
struct Open {
    /// Kinds that were not looked for to the end, and not found.
    hunts: Vec<(Phenomenon, Variant)>,
    /// Bases that forbid more than what was looked for.
    bases: Vec<Base>,
    /// Levels of those that hold all the same.
    hold: Vec<Level>,
    /// Whether it matters to some base in which order things were appended that nobody saw.
    has_unseen: bool,
    /// See [`Report::serial`].
    serial: Option<(Variant, Vec<TxnId>)>,
}

/// Bases that forbid something that we do not look for, even if the order of all versions is known.
const BASES_OPEN: [Base; 6] = [
    Base::MonotonicView,
    Base::MonotonicSnapshotRead,
    Base::ForwardConsistentView,
    Base::MonotonicWrites,
    Base::WritesFollowReads,
    Base::Pram,
];

/// Bases that forbid cycles and nothing else that is not looked for, so that they are decided where the order of
/// all versions is known.
const BASES_OF_CYCLES: [Base; 9] = [
    Base::CursorStability,
    Base::ConsistentView,
    Base::RepeatableRead,
    Base::Causal,
    Base::ParallelSnapshotIsolation,
    Base::Prefix,
    Base::SnapshotIsolation,
    Base::UpdateSerializable,
    Base::Serializable,
];

/// Bases to which the order matters in which things were appended that nobody saw.
const BASES_OPEN_UNSEEN: [Base; 5] = [
    Base::CursorStability,
    Base::ConsistentView,
    Base::ParallelSnapshotIsolation,
    Base::SnapshotIsolation,
    Base::UpdateSerializable,
];

/// The graph of sessions and real time; whoever knows the data adds the rest.
fn orders(txns: &Transactions, counted: &[bool], edges_about: usize) -> Builder {
    let mut graph = Builder::new(txns.len() as u32, edges_about);
    // What nobody knows to have committed may yet take effect: nothing comes after it for its session's sake.
    let mut latest: Vec<TxnId> = vec![NOBODY; txns.session_count() as usize];
    for id in (0..txns.len() as TxnId).filter(|id| counted[*id as usize]) {
        let txn = txns.txn(id);
        let before = &mut latest[txn.session as usize];
        if *before != NOBODY {
            graph.edge(*before, id, graph::Kind::Session, 0);
        }
        if txn.status == Status::Committed {
            *before = id;
        }
    }
    if txns.has_real_time() {
        real_time(txns, counted, &mut graph);
    }
    graph
}

/// A line of stations, one for each run of completions: a transaction leads to that of its completion, and
/// the last one before its invocation leads to it.
fn real_time(txns: &Transactions, counted: &[bool], graph: &mut Builder) {
    let mut returns: Vec<(u32, TxnId)> = (0..txns.len() as TxnId)
        .filter(|id| counted[*id as usize] && txns.txn(*id).returned != NEVER)
        .map(|id| (txns.txn(id).returned, id))
        .collect();
    returns.sort_unstable();
    let mut returns = returns.into_iter().peekable();
    let mut station: Option<u32> = None;
    for id in (0..txns.len() as TxnId).filter(|id| counted[*id as usize]) {
        let invoked = txns.txn(id).invoked;
        let mut is_new = true;
        while let Some((_, completed)) = returns.next_if(|(returned, _)| *returned < invoked) {
            if std::mem::replace(&mut is_new, false) {
                let next = graph.station();
                if let Some(before) = station {
                    graph.edge(before, next, graph::Kind::Carry, 0);
                }
                station = Some(next);
            }
            graph.edge(completed, station.expect("just made"), graph::Kind::RealTime, 0);
        }
        if let Some(station) = station {
            graph.edge(station, id, graph::Kind::Carry, 0);
        }
    }
}

fn lists(
    txns: &Transactions,
    values: &Values,
    counted: &[bool],
    lost: &HashSet<(KeyId, VersionId), FastBuild>,
    options: &IsolationOptions,
    found: &mut Collector,
) -> Open {
    let budget = Budget::new(&options.budget);
    let versions = list_append::Orders::new(txns, values);
    direct::find_in_lists(txns, &versions, values, options.forbid_unwritten, found);
    let mut builder = orders(txns, counted, 10 * txns.len());
    let overwritten = versions.draw(counted, &mut builder);
    direct::overwritten_unseen(txns, &overwritten, lost, values, found);
    let graph = builder.build();
    let edge = |from: TxnId, to: TxnId, kind: graph::Kind, about: u32| {
        let why = match kind {
            graph::Kind::Ww => {
                let before = versions.previous_by(about, from).expect("drawn from a version of its own");
                Why::Overwrote { before, after: about, because: versions.because(before, about) }
            }
            graph::Kind::Wr => Why::Read { version: about },
            graph::Kind::Rw => {
                let seen = last_seen(txns, from, about, |seen| versions.precedes(seen, about));
                Why::Missed { seen, after: about, because: versions.because(seen, about) }
            }
            graph::Kind::Session => Why::Session,
            graph::Kind::RealTime | graph::Kind::Carry => Why::RealTime,
        };
        Edge { from, to, why }
    };
    let hunted = hunt(txns, &graph, &Shapes::ALL, &edge, &budget, found);
    if !hunted.suspects.is_empty() {
        sight::fractured(txns, &versions, counted, &hunted.suspects, found);
    }
    if hunted.has_session_cycles {
        sight::sessions(txns, &versions, counted, found);
    }
    let mut bases = BASES_OPEN.to_vec();
    let mut hold = Vec::new();
    let has_unseen = hunted.has_cycles && versions.is_open(counted);
    if has_unseen {
        bases.extend(BASES_OPEN_UNSEEN);
        hold = unseen_in_some_order(txns, &versions, counted, &budget, found);
    }
    let serial = options.certify.then(|| serial(&graph, counted, found)).flatten();
    Open { hunts: hunted.undecided, bases, hold, has_unseen, serial }
}

/// An order of the transactions along the graph, in the strongest mode that has one; none where more than cycles
/// is wrong.
fn serial(graph: &Graph, counted: &[bool], found: &Collector) -> Option<(Variant, Vec<TxnId>)> {
    if found.kept.iter().any(|anomaly| matches!(anomaly.evidence, Evidence::Direct { .. })) {
        return None;
    }
    let sorted = |variant: Variant| Some((variant, graph.sorted(variant.mask())?));
    let (variant, order) = Variant::ALL.into_iter().rev().find_map(sorted)?;
    let is_counted = |node: &u32| *node < graph.txn_count() && counted[*node as usize];
    Some((variant, order.into_iter().filter(is_counted).collect()))
}

/// Levels that hold if what nobody saw was appended in the order in which the transactions completed, or began.
/// Most often one of the two is what happened; if neither is, nothing is proved, and an engine searches.
fn unseen_in_some_order(
    txns: &Transactions,
    versions: &list_append::Orders<'_>,
    counted: &[bool],
    budget: &Budget,
    found: &Collector,
) -> Vec<Level> {
    let is_over = || budget.exceeded(0).is_some();
    let snapshots = Variant::ALL.map(|mode| Level { base: Base::SnapshotIsolation, mode });
    let updates = Level { base: Base::UpdateSerializable, mode: Variant::Plain };
    let is_violated = |level: &Level| found.kept.iter().any(|anomaly| anomaly.violates(*level));
    let mut open: Vec<Level> = snapshots.into_iter().chain([updates]).filter(|l| !is_violated(l)).collect();
    let mut hold = Vec::new();
    let completed = |id: TxnId| txns.txn(id).returned;
    let begun = |id: TxnId| txns.txn(id).invoked;
    for rank in [&completed as &dyn Fn(TxnId) -> u32, &begun] {
        if open.is_empty() {
            break;
        }
        let mut builder = orders(txns, counted, 10 * txns.len());
        versions.draw(counted, &mut builder);
        versions.draw_unseen(counted, rank, &mut builder);
        let graph = builder.build();
        let mut scratch = vec![0; graph.node_count() as usize];
        let widest = graph.components(graph::Mask::ALL);
        open.retain(|level| {
            let mask = level.mode.mask();
            let holds = graph.components_within(mask, &widest).iter().all(|nodes| {
                let is_read_only = |id: u32| !txns.micro_ops(id).iter().any(|op| op.action == Action::Write);
                let mut component = Component::new(&graph, nodes, mask, is_read_only, &mut scratch);
                if *level == updates {
                    component.shortest(Shape::Update, level.mode, &is_over) == Hunt::Absent
                } else {
                    component.is_snapshot_isolated(level.mode)
                }
            });
            if holds {
                hold.push(*level);
            }
            !holds
        });
    }
    hold
}

/// The version of `after`'s key that the transaction read and that fits; there is one.
fn last_seen(
    txns: &Transactions,
    reader: TxnId,
    after: VersionId,
    fits: impl Fn(VersionId) -> bool,
) -> VersionId {
    let key = txns.version(after).key;
    let reads = txns.micro_ops(reader).iter().filter(|op| op.action == Action::Read && op.key == key);
    let fitting = reads.rev().map(|op| op.version).find(|version| fits(*version));
    fitting.expect("drawn because of a read")
}

fn registers(
    txns: &Transactions,
    values: &Values,
    counted: &[bool],
    options: &IsolationOptions,
    found: &mut Collector,
) -> Open {
    let budget = Budget::new(&options.budget);
    let versions = register::Orders::new(txns, counted, options.assume);
    for circle in versions.circles() {
        let facts: Vec<&register::Fact> = circle.iter().map(|about| &versions.facts[*about]).collect();
        let known = facts.iter().map(|fact| fact.after).chain(facts.iter().map(|fact| fact.before));
        let key =
            known.clone().find(|version| *version != super::INITIAL).map(|version| txns.version(version).key);
        let key = key.expect("a circle has a version that somebody wrote");
        let shown: Vec<_> = facts
            .iter()
            .filter(|fact| fact.before != super::INITIAL)
            .map(|fact| txns.version(fact.before).value)
            .collect();
        let by: Vec<TxnId> = facts.iter().flat_map(|fact| named_in(&fact.because)).collect();
        found.direct(Phenomenon::CyclicVersions, &by, key, &shown, || {
            let mut names: Vec<String> = shown.iter().map(|value| values.show(*value)).collect();
            if facts.iter().any(|fact| fact.after == super::INITIAL) {
                names.push("nil".to_owned());
            }
            let first = names[0].clone();
            names.push(first);
            format!(
                "the versions of key {} come before each other in a circle: {}",
                values.show(txns.keys()[key as usize]),
                names.join(" before ")
            )
        });
    }
    let mut builder = orders(txns, counted, 10 * txns.len());
    versions.draw(counted, &mut builder);
    let graph = builder.build();
    let edge = |from: TxnId, to: TxnId, kind: graph::Kind, about: u32| {
        let fact = |about: u32| &versions.facts[about as usize];
        let why = match kind {
            graph::Kind::Ww => {
                let fact = fact(about).clone();
                Why::Overwrote { before: fact.before, after: fact.after, because: fact.because }
            }
            graph::Kind::Wr => Why::Read { version: about },
            graph::Kind::Rw => {
                let fact = fact(about).clone();
                Why::Missed { seen: fact.before, after: fact.after, because: fact.because }
            }
            graph::Kind::Session => Why::Session,
            graph::Kind::RealTime | graph::Kind::Carry => Why::RealTime,
        };
        Edge { from, to, why }
    };
    // That one version follows another was inferred from a read: a cycle of those is one of reads as well.
    let assumes = options.assume.sequential || options.assume.linearizable;
    let shapes = if assumes { &Shapes::ALL[..] } else { &Shapes::ALL[1..] };
    let hunted = hunt(txns, &graph, shapes, &edge, &budget, found);
    // Read committed asks for no order of versions but one along the reads.
    let is_decided = |base: &Base| matches!(base, Base::ReadUncommitted | Base::ReadCommitted);
    let are_ordered = versions.are_ordered(counted);
    // Who wrote over what it had not seen is not looked for; with one writer a key there is nobody to do so.
    let is_looked_for = |base: &Base| *base != Base::CursorStability || has_one_writer_a_key(txns, counted);
    let is_closed = |base: &Base| {
        is_decided(base) || are_ordered && BASES_OF_CYCLES.contains(base) && is_looked_for(base)
    };
    let bases = BASES.into_iter().filter(|base| !is_closed(base)).collect();
    Open { hunts: hunted.undecided, bases, hold: Vec::new(), has_unseen: false, serial: None }
}

/// True if no two transactions that count wrote the same key.
fn has_one_writer_a_key(txns: &Transactions, counted: &[bool]) -> bool {
    let mut writers = vec![NOBODY; txns.keys().len()];
    let written = txns.versions().iter().filter(|v| v.writer != NOBODY && counted[v.writer as usize]);
    written.into_iter().all(|version| {
        let known = std::mem::replace(&mut writers[version.key as usize], version.writer);
        known == NOBODY || known == version.writer
    })
}

/// The transactions that a reason names.
fn named_in(because: &Because) -> Vec<TxnId> {
    match because {
        Because::ReadThenWrote { by } => vec![*by],
        Because::SequentialKey { first, second } | Because::LinearizableKey { first, second } => {
            vec![*first, *second]
        }
        _ => Vec::new(),
    }
}

/// The shapes of cycles that are looked for, and what they are called.
struct Shapes;

impl Shapes {
    const ALL: [(Shape, Phenomenon); 8] = [
        (Shape::Writes, Phenomenon::G0),
        (Shape::Information, Phenomenon::G1c),
        (Shape::Causal, Phenomenon::CausalityViolation),
        (Shape::Single, Phenomenon::GSingle),
        (Shape::Prefix, Phenomenon::GPrefix),
        (Shape::Nonadjacent, Phenomenon::GNonadjacent),
        (Shape::Update, Phenomenon::GUpdate),
        (Shape::Adjacent, Phenomenon::G2Item),
    ];
}

struct Hunted {
    /// Kinds that were not looked for to the end, and not found.
    undecided: Vec<(Phenomenon, Variant)>,
    /// Transactions on cycles of the data.
    suspects: Vec<TxnId>,
    has_session_cycles: bool,
    has_cycles: bool,
}

/// Looks for a cycle of each shape in each component, in the plainest variant that has it.
fn hunt(
    txns: &Transactions,
    graph: &Graph,
    shapes: &[(Shape, Phenomenon)],
    edge: &dyn Fn(TxnId, TxnId, graph::Kind, u32) -> Edge,
    budget: &Budget,
    found: &mut Collector,
) -> Hunted {
    let is_over = || budget.exceeded(0).is_some();
    let mut hunted =
        Hunted { undecided: Vec::new(), suspects: Vec::new(), has_session_cycles: false, has_cycles: false };
    let widest = graph.components(graph::Mask::ALL);
    if widest.is_empty() {
        return hunted;
    }
    hunted.has_cycles = true;
    let is_read_only = |id: u32| !txns.micro_ops(id).iter().any(|op| op.action == Action::Write);
    let mut scratch = vec![0; graph.node_count() as usize];
    // By transaction a bit for each shape of which a cycle was found at it, in variants that assume less.
    let mut marks = vec![0u8; graph.txn_count() as usize];
    for variant in Variant::ALL {
        let components = graph.components_within(variant.mask(), &widest);
        hunted.has_session_cycles |= variant == Variant::Process && !components.is_empty();
        let mut new_marks: Vec<(TxnId, u8)> = Vec::new();
        for nodes in &components {
            if variant == Variant::Plain {
                hunted.suspects.extend(nodes.iter().copied().filter(|node| *node < graph.txn_count()));
            }
            let is_txn = |node: &&u32| **node < graph.txn_count();
            let known = nodes.iter().filter(is_txn).fold(0, |known, node| known | marks[*node as usize]);
            let mut component = Component::new(graph, nodes, variant.mask(), is_read_only, &mut scratch);
            for (i, (shape, phenomenon)) in shapes.iter().enumerate() {
                if known >> i & 1 == 1 {
                    continue;
                }
                match component.shortest(*shape, variant, &is_over) {
                    Hunt::Absent => {}
                    Hunt::Undecided => hunted.undecided.push((*phenomenon, variant)),
                    Hunt::Found { steps, is_shortest } => {
                        new_marks.push((steps[0].0, 1 << i));
                        found.add(*phenomenon, variant, || {
                            let edges = edges(&steps, graph.txn_count(), edge);
                            let also = special(txns, *phenomenon, &edges);
                            let evidence = Evidence::Cycle { edges, is_shortest };
                            Anomaly { phenomenon: *phenomenon, variant, also, refuted: Vec::new(), evidence }
                        });
                    }
                }
            }
        }
        for (txn, mark) in new_marks {
            marks[txn as usize] |= mark;
        }
    }
    hunted
}

/// A cycle's edges, those by way of stations as one.
fn edges(steps: &[Step], txn_count: u32, edge: &dyn Fn(TxnId, TxnId, graph::Kind, u32) -> Edge) -> Vec<Edge> {
    let mut edges = Vec::new();
    let mut begun: Option<(TxnId, graph::Kind)> = None;
    for (from, out) in steps {
        let (start, kind) = begun.take().unwrap_or((*from, out.kind));
        if out.to < txn_count {
            edges.push(edge(start, out.to, kind, out.about));
        } else {
            begun = Some((start, kind));
        }
    }
    edges
}

/// The name of a special case that the cycle is: each of two keys is seen at another time.
fn special(txns: &Transactions, phenomenon: Phenomenon, edges: &[Edge]) -> Option<&'static str> {
    let (mut kinds, mut keys) = (Vec::new(), Vec::new());
    for edge in edges {
        let (kind, version) = match edge.why {
            Why::Missed { after, .. } => ('m', after),
            Why::Read { version } => ('r', version),
            _ => return None,
        };
        kinds.push(kind);
        keys.push(txns.version(version).key);
    }
    match (phenomenon, &kinds[..]) {
        (Phenomenon::GSingle, ['m', 'r']) if keys[0] != keys[1] => Some("read-skew"),
        (Phenomenon::G2Item, ['m', 'm']) if keys[0] != keys[1] => Some("write-skew"),
        (Phenomenon::GNonadjacent, ['m', 'r', 'm', 'r']) if keys[0] != keys[2] => Some("long-fork"),
        _ => None,
    }
}
