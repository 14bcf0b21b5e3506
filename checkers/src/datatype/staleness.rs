//! `staleness`: how many versions, and how many milliseconds, a read was behind.
//!
//! For registers in which every value is written once. The two measures are those of Golab, Li & Shah
//! 2011, *Analyzing Consistency Properties for Fun and Profit*: staleness counted in operations (Aiyer,
//! Alvisi & Bazzi 2005, *On the Availability of Non-strict Quorum Systems*, call a register whose reads
//! return one of the `k` last values k-atomic) and in time. Bailis et al. 2012, *Probabilistically
//! Bounded Staleness*, predict the distributions of both (k-staleness and t-visibility) that this module
//! measures.
//!
//! A value was surely *in place* from the first moment on at which its write had completed ok, or a read
//! that saw it had. For a read that completed ok and saw the write `w`,
//!
//! - a write is a **missed version** if it was invoked after `w` was in place, and was itself in place
//!   before the read was invoked;
//! - `versions behind` is the number of missed versions: every order that agrees with real time has so
//!   many writes between `w` and the read, and some order has no more;
//! - `milliseconds behind` is the time from the moment at which the first missed version was in place to
//!   the invocation of the read, and 0 if there is none: so much earlier, nothing had been missed.
//!
//! Both are lower bounds of how stale a read was, each for a read by itself; a history whose reads are
//! all 0 behind need not be linearizable. The initial value was in place before everything.
//!
//! Nothing is an error but a value that nobody can have written, and what exceeds the limits of
//! [`StalenessOptions`]: **too-many-versions** and **too-old**. The distribution of both is reported by
//! quantiles over all reads.
//!
//! A read of a value that was written more than once is left out, and makes a verdict of valid unknown.
//! So does a history without real time, or without times where a limit in milliseconds needs them.
//!
//! Cost: O(n log n): a sort of each register's writes by both ends, and a tree of prefix sums over them.

use super::info::{Info, op};
use super::operand::{note_vacuous, place, quote};
use super::register::{Registers, WriteId};
use super::{Figure, Findings, Report, Validity, quantile};
use crate::history::{History, NEVER, OpId};
use crate::model::ModelError;
use crate::value::Value;
use std::cmp::Reverse;

/// See the module's text.
pub const INFO: Info = Info {
    name: "staleness",
    aliases: &["bounded-staleness"],
    summary: "how many versions and milliseconds behind each read was, and whether that is within limits",
    operations: &[
        op(&["write", "w"], "v, or [key v] in every operation", "nil or v", "puts v in"),
        op(&["read", "r"], "nil, or [key nil]", "the value seen", "sees a value that was there at some time"),
    ],
    source: "Golab, Li & Shah 2011, Analyzing Consistency Properties for Fun and Profit; Bailis et al. 2012, \
             Probabilistically Bounded Staleness",
};

/// How stale reads may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StalenessOptions {
    /// More versions behind are an error.
    pub staleness_max_versions: Option<u64>,
    /// More milliseconds behind are an error.
    pub staleness_max_ms: Option<u64>,
    /// What registers hold before anything is written.
    pub initial: Value,
}

impl Default for StalenessOptions {
    fn default() -> StalenessOptions {
        StalenessOptions { staleness_max_versions: None, staleness_max_ms: None, initial: Value::NIL }
    }
}

/// Judges a history of `read` and `write`.
pub fn check(history: &History, options: &StalenessOptions) -> Result<Report, ModelError> {
    let mut findings = Findings::new();
    let registers = Registers::new(history, options.initial, &mut findings, |write, read| {
        history.has_real_time() && write.invoke_position > read.complete_position
    })?;
    let mut undecided = registers.ambiguous.first().map(|read| {
        format!(
            "a value was written more than once, so nobody can tell what the read {} saw",
            place(history, *read)
        )
    });
    if !history.has_real_time() {
        undecided.get_or_insert("the history has no real time".to_owned());
    }
    let behind = if history.has_real_time() { measure(history, &registers) } else { Vec::new() };
    let mut tally = Tally { findings, undecided, ..Tally::default() };
    for behind in &behind {
        tally.take(behind, options);
    }
    if behind.is_empty() {
        note_vacuous(&mut tally.findings, "no read could be measured");
    }
    Ok(tally.report(history, &registers))
}

/// How far behind one read was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Behind {
    read: OpId,
    saw: Option<WriteId>,
    key: u32,
    versions: u64,
    /// The first missed version to be in place.
    missed: Option<WriteId>,
    /// `None` if something was missed, but the history does not say when.
    ns: Option<u64>,
}

/// When a write's value was surely in place, and by which operation's completion.
#[derive(Clone, Copy, Debug)]
struct InPlace {
    position: u32,
    by: OpId,
}

/// Measures all reads; in the order in which they were invoked.
fn measure(history: &History, registers: &Registers) -> Vec<Behind> {
    let in_place = in_place(history, registers);
    let invoked = |write: WriteId| history.operation(registers.writes[write as usize].id).invoke_position;
    // Registers one after the other: their writes are in the order of invocations, their reads as well.
    let mut writes: Vec<WriteId> = (0..registers.writes.len() as WriteId).collect();
    writes.sort_by_key(|write| registers.writes[*write as usize].key);
    let mut reads: Vec<usize> = (0..registers.reads.len()).collect();
    reads.sort_by_key(|read| registers.reads[*read].key);
    let mut behind = Vec::with_capacity(reads.len());
    let mut writes =
        writes.chunk_by(|a, b| registers.writes[*a as usize].key == registers.writes[*b as usize].key);
    let mut next = writes.next();
    for reads in reads.chunk_by(|a, b| registers.reads[*a].key == registers.reads[*b].key) {
        let key = registers.reads[reads[0]].key;
        while next.is_some_and(|writes| registers.writes[writes[0] as usize].key < key) {
            next = writes.next();
        }
        let of_key =
            next.filter(|writes| registers.writes[writes[0] as usize].key == key).unwrap_or_default();
        let mut versions = Versions::new(of_key, &in_place);
        for read in reads {
            let read = &registers.reads[*read];
            let op = history.operation(read.id);
            versions.advance(op.invoke_position);
            // Writes invoked after that was in place are from here on.
            let since = match read.saw {
                None => 0,
                Some(saw) => {
                    of_key.partition_point(|write| invoked(*write) <= in_place[saw as usize].position)
                }
            };
            let count = versions.count_from(since);
            let missed = versions.first_in_place_from(since).filter(|_| count > 0);
            let ns = match missed {
                None => Some(0),
                Some(missed) => {
                    let from = history.operation(in_place[missed as usize].by).complete_time_ns;
                    let (from, to) = (from, op.invoke_time_ns);
                    (from >= 0 && to >= 0).then(|| u64::try_from(to.saturating_sub(from)).unwrap_or(0))
                }
            };
            behind.push(Behind { read: read.id, saw: read.saw, key, versions: count, missed, ns });
        }
    }
    behind.sort_unstable_by_key(|behind| behind.read);
    behind
}

fn in_place(history: &History, registers: &Registers) -> Vec<InPlace> {
    let mut in_place: Vec<InPlace> = registers
        .writes
        .iter()
        .map(|write| InPlace { position: history.operation(write.id).returned(), by: write.id })
        .collect();
    for read in &registers.reads {
        let Some(saw) = read.saw else { continue };
        let position = history.operation(read.id).complete_position;
        if position < in_place[saw as usize].position {
            in_place[saw as usize] = InPlace { position, by: read.id };
        }
    }
    in_place
}

/// The writes of one register, in the order of their invocations: which of them are in place by now.
struct Versions {
    /// The writes as indices, in the order in which they come to be in place; those that never surely
    /// are, are left out.
    arrivals: Vec<(u32, u32)>,
    arrived: usize,
    /// A Fenwick tree: how many of the first writes are in place.
    sums: Vec<u32>,
    /// For each write, the first in place of it and all later ones.
    first_from: Vec<(u32, WriteId)>,
}

impl Versions {
    fn new(writes: &[WriteId], in_place: &[InPlace]) -> Versions {
        let mut arrivals: Vec<(u32, u32)> = writes
            .iter()
            .enumerate()
            .map(|(at, write)| (in_place[*write as usize].position, at as u32))
            .collect();
        let mut first_from: Vec<(u32, WriteId)> =
            writes.iter().map(|write| (in_place[*write as usize].position, *write)).collect();
        for at in (1..first_from.len()).rev() {
            first_from[at - 1] = first_from[at - 1].min(first_from[at]);
        }
        arrivals.retain(|(position, _)| *position != NEVER);
        arrivals.sort_unstable();
        Versions { arrivals, arrived: 0, sums: vec![0; writes.len() + 1], first_from }
    }

    /// Lets all writes arrive that are in place before `position`.
    fn advance(&mut self, position: u32) {
        while let Some((_, at)) = self.arrivals.get(self.arrived).filter(|(arrival, _)| *arrival < position) {
            let mut at = *at as usize + 1;
            while at < self.sums.len() {
                self.sums[at] += 1;
                at += at & at.wrapping_neg();
            }
            self.arrived += 1;
        }
    }

    /// How many from index `since` on are in place.
    fn count_from(&self, since: usize) -> u64 {
        let (mut at, mut before) = (since, 0);
        while at > 0 {
            before += u64::from(self.sums[at]);
            at &= at - 1;
        }
        self.arrived as u64 - before
    }

    fn first_in_place_from(&self, since: usize) -> Option<WriteId> {
        self.first_from.get(since).map(|(_, write)| *write)
    }
}

#[derive(Default)]
struct Tally {
    findings: Findings,
    undecided: Option<String>,
    versions: Vec<u64>,
    ns: Vec<u64>,
    stale: Vec<Stale>,
}

/// A read that was behind.
struct Stale {
    behind: Behind,
    too_many: bool,
    too_old: bool,
}

impl Tally {
    fn take(&mut self, behind: &Behind, options: &StalenessOptions) {
        self.versions.push(behind.versions);
        self.ns.extend(behind.ns);
        if behind.versions == 0 {
            return;
        }
        let too_many = options.staleness_max_versions.is_some_and(|max| behind.versions > max);
        let too_old = match (options.staleness_max_ms, behind.ns) {
            (None, _) => false,
            (Some(max), Some(ns)) => u128::from(ns) > u128::from(max) * 1_000_000,
            (Some(_), None) => {
                let reason = "the history has no times, so nobody can tell how old what was read is";
                self.undecided.get_or_insert_with(|| reason.to_owned());
                false
            }
        };
        self.stale.push(Stale { behind: *behind, too_many, too_old });
    }

    fn report(mut self, history: &History, registers: &Registers) -> Report {
        // The worst first, so that they are the ones to be kept.
        self.stale.sort_by_key(|stale| Reverse((stale.behind.versions, stale.behind.ns)));
        for stale in &self.stale {
            let tell = || tell(history, registers, &stale.behind);
            if stale.too_many {
                self.findings.add("too-many-versions", true, tell);
            }
            if stale.too_old {
                self.findings.add("too-old", true, tell);
            }
            if !stale.too_many && !stale.too_old {
                self.findings.add("stale", false, tell);
            }
        }
        let errors = |kind| Figure::Count(self.findings.count(kind));
        let worst = self.stale.first().map_or(0, |stale| stale.behind.versions);
        let mut figures = vec![
            ("read-count", Figure::Count(self.versions.len() as u64)),
            ("stale-count", Figure::Count(self.stale.len() as u64)),
            ("too-many-versions-count", errors("too-many-versions")),
            ("too-old-count", errors("too-old")),
            ("ambiguous-read-count", Figure::Count(registers.ambiguous.len() as u64)),
            ("versions-behind-max", Figure::Count(worst)),
        ];
        figures.extend(quantile::numbers(self.versions).map(|figure| ("versions-behind", figure)));
        figures.extend(quantile::latencies_ms(self.ns).map(|figure| ("ms-behind", figure)));
        let otherwise = self.undecided.map_or(Validity::Valid, Validity::Unknown);
        self.findings.report(otherwise, figures)
    }
}

fn tell(history: &History, registers: &Registers, behind: &Behind) -> super::Quote {
    let saw = match behind.saw {
        Some(saw) => registers.name(history, saw),
        None => format!("the initial value{}", registers.of_key(history, behind.key)),
    };
    let mut far =
        if behind.versions == 1 { "1 version".to_owned() } else { format!("{} versions", behind.versions) };
    if let Some(ns) = behind.ns {
        far += &format!(" and {:.3} ms", ns as f64 / 1e6);
    }
    let process = history.operation(behind.read).process;
    let mut sentence =
        format!("the read {} by process {process} saw {saw}, {far} behind", place(history, behind.read));
    let mut operations = vec![behind.read];
    if let Some(missed) = behind.missed {
        let missed = registers.writes[missed as usize].id;
        sentence += &format!(": the write {} was in place", place(history, missed));
        operations.push(missed);
    }
    operations.extend(behind.saw.map(|saw| registers.writes[saw as usize].id));
    let values = behind.saw.map(|saw| registers.writes[saw as usize].value).into_iter().collect();
    quote(operations, values, sentence)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::{EventKind, Operation, Outcome};
    use crate::model::transcript::{history, keyed_history};
    use crate::value::Values;

    const ANY: StalenessOptions =
        StalenessOptions { staleness_max_versions: None, staleness_max_ms: None, initial: Value::NIL };

    fn told(history: &History, options: StalenessOptions) -> (&'static str, Vec<String>) {
        let report = check(history, &options).unwrap();
        assert_well_formed(history, &report);
        (word(&report), report.findings.into_iter().map(|finding| finding.sentence).collect())
    }

    #[test]
    fn what_was_overwritten_before_a_read_began_is_behind() {
        let history = timed(&[
            (1, 2, "0 write 1 | ok"),
            (3, 5, "0 write 2 | ok"),
            (4, 6, "1 write 3 | ok"),
            (7, 20, "1 write 4 | ok"),
            (8, 9, "2 read nil | ok 1"),
            (10, 12, "2 read nil | ok nil"),
            (13, 14, "2 read nil | ok 4"),
            (15, 16, "2 read nil | ok 3"),
            (17, 18, "2 read nil | ok 2"),
        ]);
        let (verdict, sentences) = told(&history, ANY);
        assert_eq!(verdict, "true");
        assert_eq!(
            sentences,
            [
                "the read in operation 5 by process 2 saw the initial value, 3 versions and 8.000 ms behind: the write in \
                 operation 0 was in place",
                "the read in operation 4 by process 2 saw 1, 2 versions and 3.000 ms behind: the write in operation 1 was in \
                 place",
                "the read in operation 8 by process 2 saw 2, 1 version and 3.000 ms behind: the write in operation 3 was in \
                 place",
                "the read in operation 7 by process 2 saw 3, 1 version and 1.000 ms behind: the write in operation 3 was in \
                 place",
            ]
        );
        let limits = |staleness_max_versions, staleness_max_ms| {
            let report =
                check(&history, &StalenessOptions { staleness_max_versions, staleness_max_ms, ..ANY })
                    .unwrap();
            (word(&report), count(&report, "too-many-versions-count"), count(&report, "too-old-count"))
        };
        assert_eq!(limits(Some(3), Some(8)), ("true", 0, 0));
        assert_eq!(limits(Some(1), Some(3)), ("false", 2, 1));
        let report = check(&history, &ANY).unwrap();
        let quantiles = vec![(0.0, 0), (0.5, 1), (0.95, 3), (0.99, 3), (1.0, 3)];
        assert_eq!(figure(&report, "versions-behind"), &Figure::Quantiles(quantiles));
        let quantiles = vec![(0.0, 0.0), (0.5, 3.0), (0.95, 8.0), (0.99, 8.0), (1.0, 8.0)];
        assert_eq!(figure(&report, "ms-behind"), &Figure::LatenciesMs(quantiles));
    }

    #[test]
    fn what_cannot_be_measured_is_unknown_or_an_error() {
        let verdict = |lines: &[&str]| told(&history(lines), ANY).0;
        assert_eq!(verdict(&["write 1 | ok", "read nil | ok 2"]), "false");
        assert_eq!(verdict(&["read nil | ok 1", "write 1 | ok"]), "false");
        assert_eq!(verdict(&["write 1 | ok", "write 1 | ok", "read nil | ok 1"]), "unknown");
        assert_eq!(verdict(&["write 1 | ok", "read nil | info 2", "read nil"]), "true");
        // A write in doubt is in place once somebody saw it.
        let lines = ["write 1 | info", "read nil | ok 1", "read nil | ok nil"];
        assert_eq!(count(&check(&history(&lines), &ANY).unwrap(), "stale-count"), 1);
        // These histories have no times.
        let timed = StalenessOptions { staleness_max_ms: Some(5), ..ANY };
        assert_eq!(told(&history(&lines), timed).0, "unknown");
        let mut sessions = history(&lines);
        sessions.sessions_only = true;
        assert_eq!(told(&sessions, ANY).0, "unknown");
        let keyed = keyed_history(&[
            (":b", "write 1 | ok"),
            (":a", "write 1 | ok"),
            (":a", "write 2 | ok"),
            (":c", "read nil | ok nil"),
            (":a", "read nil | ok 1"),
            (":b", "read nil | ok 1"),
        ]);
        let report = check(&keyed, &ANY).unwrap();
        assert_eq!((count(&report, "stale-count"), count(&report, "read-count")), (1, 3));
        assert!(
            report.findings[0]
                .sentence
                .starts_with("the read on line 9 by process 104 saw 1 of key :a, 1 version behind")
        );
    }

    /// A register with replicas that lag behind.
    struct Lagging {
        past: Vec<Value>,
        next: i64,
    }

    impl System for Lagging {
        fn invoke(&mut self, chance: &mut Chance, _: &mut Values, _: i64) -> (&'static str, Value) {
            if chance.percent(50) {
                return ("read", Value::NIL);
            }
            self.next += 1;
            ("write", int(self.next))
        }

        fn complete(
            &mut self,
            chance: &mut Chance,
            _: &mut Values,
            asked: (i64, &str, Value),
        ) -> (EventKind, Value) {
            if asked.1 == "write" {
                let kind =
                    [EventKind::Ok, EventKind::Ok, EventKind::Ok, EventKind::Info][chance.below(4) as usize];
                if kind == EventKind::Ok || chance.percent(70) {
                    self.past.push(asked.2);
                }
                return (kind, Value::NIL);
            }
            let back = chance.below(3) as usize;
            let at = self.past.len().checked_sub(1 + back);
            (EventKind::Ok, at.map_or(Value::NIL, |at| self.past[at]))
        }
    }

    /// The definition, one pair of operations after the other.
    fn oracle(history: &History) -> Vec<(u64, Option<i64>)> {
        let all: Vec<Operation<'_>> = history.operations().collect();
        let reads = || all.iter().filter(|op| op.f == "read" && op.outcome == Outcome::Ok);
        let writes = || all.iter().filter(|op| op.f == "write");
        let in_place = |write: &Operation<'_>| -> Option<(u32, i64)> {
            let seen = reads().filter(|read| read.output == write.input);
            let seen = seen.map(|read| (read.complete_position, read.complete_time_ns)).min();
            let own =
                (write.outcome == Outcome::Ok).then_some((write.complete_position, write.complete_time_ns));
            seen.into_iter().chain(own).min()
        };
        let measure = |read: &Operation<'_>| {
            let since =
                writes().find(|write| write.input == read.output).map(|write| in_place(write).unwrap().0);
            let missed: Vec<(u32, i64)> = writes()
                .filter(|write| since.is_none_or(|since| write.invoke_position > since))
                .filter_map(|write| in_place(write).filter(|(position, _)| *position < read.invoke_position))
                .collect();
            (missed.len() as u64, missed.iter().min().map(|(_, time)| read.invoke_time_ns - time))
        };
        reads().map(measure).collect()
    }

    /// The fewest writes between what a read saw and the read, over all orders of the operations that
    /// agree with real time and have each read after what it saw.
    fn fewest_between(history: &History, read: OpId) -> Option<u64> {
        let all: Vec<Operation<'_>> =
            history.operations().filter(|op| op.f == "write" || op.outcome == Outcome::Ok).collect();
        let mut fewest = None;
        extend(&all, &mut vec![], read, &mut fewest);
        fewest
    }

    fn extend(all: &[Operation<'_>], order: &mut Vec<usize>, read: OpId, fewest: &mut Option<u64>) {
        // Writes in doubt need not happen; they may come last, where they harm nobody.
        if order.len() == all.len() {
            let at = |id: OpId| order.iter().position(|i| all[*i].id == id).unwrap();
            let saw = all.iter().find(|op| op.id == read).unwrap().output;
            let from = all.iter().find(|op| op.f == "write" && op.input == saw).map_or(0, |op| at(op.id) + 1);
            let between = order[from..at(read)].iter().filter(|i| all[**i].f == "write").count() as u64;
            *fewest = Some(fewest.map_or(between, |fewest| fewest.min(between)));
            return;
        }
        for next in (0..all.len()).filter(|next| !order.contains(next)).collect::<Vec<_>>() {
            let late = |other: &usize| !order.contains(other) && *other != next;
            let too_early = (0..all.len()).filter(late).any(|other| {
                all[other].returned() < all[next].invoke_position
                    || all[next].f == "read"
                        && all[other].f == "write"
                        && all[other].input == all[next].output
            });
            if !too_early {
                order.push(next);
                extend(all, order, read, fewest);
                order.pop();
            }
        }
    }

    #[test]
    fn it_agrees_with_the_definition_on_random_histories() {
        let mut met = Met::default();
        for seed in 0..3000 {
            let mut chance = Chance::new(seed);
            let operations = 1 + chance.below(14) as usize;
            let history = draw(&mut chance, 3, operations, &mut Lagging { past: vec![], next: 0 });
            let registers = Registers::new(&history, Value::NIL, &mut Findings::new(), |_, _| false).unwrap();
            let found = measure(&history, &registers);
            let expected = oracle(&history);
            let numbers: Vec<_> =
                found.iter().map(|behind| (behind.versions, behind.missed.and(behind.ns))).collect();
            let expected: Vec<_> =
                expected.into_iter().map(|(count, ns)| (count, ns.map(|ns| ns.max(0) as u64))).collect();
            assert_eq!(numbers, expected, "seed {seed}");
            let limit = chance.below(3);
            let options = StalenessOptions { staleness_max_versions: Some(limit), ..ANY };
            let report = check(&history, &options).unwrap();
            assert_well_formed(&history, &report);
            let wrong = expected.iter().any(|(versions, _)| *versions > limit);
            assert_eq!(word(&report), if wrong { "false" } else { "true" });
            met.see(word(&report));
            if operations <= 6 {
                for behind in &found {
                    assert_eq!(fewest_between(&history, behind.read), Some(behind.versions), "seed {seed}");
                    met.see(if behind.versions > 0 { "behind" } else { "fresh" });
                }
            }
        }
        met.at_least(&["true", "false", "fresh"], 500);
        met.at_least(&["behind"], 100);
    }
}
