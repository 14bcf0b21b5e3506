//! `set-full`: elements are added and the whole set is read again and again; each element has a life.
//!
//! Jepsen's `checker/set-full`. An element is *known* from the moment at which an `add` of it completed ok,
//! or a read that shows it did, whichever came first. Of the reads that completed after its first `add`
//! was invoked, compare by their invocations the last that shows it with the last that does not:
//!
//! - **stable**: the last to show it came later. From some moment on, every read saw it.
//! - **lost**: the last that does not show it came later, and after the element was known.
//! - **never-read**: neither: no read began after it was known, or it was never known.
//! - **stale**: stable, but a read that was invoked after it was known does not show it.
//!
//! The *stable latency* is the time from the moment an element was known to the invocation of the last read
//! that misses it, and 0 if there is none after that moment; the *lost latency* that to the invocation of the
//! last read that shows it.
//!
//! The history is invalid if an element was lost, duplicated or unexpected; with
//! [`SetFullOptions::linearizable`] also if one was stale. If not, and nothing was stable, it is unknown.
//!
//! Where Jepsen's differs:
//! - **Duplicates.** It means to report elements that one read lists more than once, but keeps those with
//!   a frequency below 1, of which there are none. Here they are found, and are errors unless
//!   [`SetFullOptions::allow_duplicates`] says otherwise.
//! - **Unexpected elements.** It passes over what a read shows though nobody had tried to add it by then.
//!   No set holds what was never put in: here it is an error. So is an element whose every `add` failed.
//! - **Repeated adds.** It forgets an element's life at each new `add` of it. Here it begins with the first.
//! - **Stale.** It goes by latencies in whole milliseconds, so calls nothing stale for less than one. Here
//!   the order of events decides, and latencies keep their fractions.
//!
//! Elements are taken as they stand, as elle-cli takes them: the tuples `[k v]` of Jepsen's independent
//! tests are elements, and a read that lists bare `v` has lost them all.
//!
//! Cost: O(elements log elements + reads log reads + elements that reads list). Reads are taken from the last
//! invoked to the first, with a list of the elements that none of them has missed yet: those that a read
//! shows are paid for by its own length, and those that it misses leave the list for good. Not reads times
//! elements: ten thousand reads of ten thousand elements each cost one look at every member.

use super::final_reads::{Role, final_reads};
use super::info::Info;
use super::operand::{Part, brief, element, may_have_happened, members, parts, place, quote, some_of, times};
use super::set::{ADD, READ};
use super::{Figure, Findings, Quote, Report, Validity, quantile};
use crate::history::{History, NEVER, OpId, Operation, Outcome};
use crate::model::ModelError;
use crate::value::{FastBuild, Value};
use hashbrown::HashMap;
use std::cmp::Reverse;

#[cfg(test)]
mod tests;

/// See the module's text.
pub const INFO: Info = Info {
    name: "set-full",
    aliases: &[],
    summary: "elements are added while the whole set is read: which were lost, stale or seen twice, and for how long",
    operations: &[ADD, READ],
    source: "Jepsen, jepsen.checker/set-full",
};

/// What to demand besides that nothing is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetFullOptions {
    /// Stale elements are errors: Jepsen's `:linearizable? true`.
    pub linearizable: bool,
    /// A read may list an element more than once.
    pub allow_duplicates: bool,
}

/// Judges a history of `add` and `read`.
pub fn check(history: &History, options: &SetFullOptions) -> Result<Report, ModelError> {
    judge(
        history,
        options,
        &Words { add: &["add", "insert"], others: &[], expected: "add, read", missing: None },
    )
}

/// The words in which a workload speaks of its set.
pub(super) struct Words {
    /// Functions that add.
    pub(super) add: &'static [&'static str],
    /// Functions that mean nothing here.
    pub(super) others: &'static [&'static str],
    /// All of them, for messages.
    pub(super) expected: &'static str,
    /// If every final read must show all that was acknowledged: what an element is called that one lacks.
    pub(super) missing: Option<&'static str>,
}

/// The same for whatever is a set under another name.
pub(super) fn judge(
    history: &History,
    options: &SetFullOptions,
    words: &Words,
) -> Result<Report, ModelError> {
    let mut tally = Tally::new(*options);
    for part in parts(history) {
        Lives::new(history, &part, words)?.tell(history, &part, words, &mut tally);
    }
    Ok(tally.report(history))
}

/// No operation.
const NOBODY: OpId = OpId::MAX;

/// The life of an element, as far as it is known.
struct Element {
    value: Value,
    /// Its first `add` that did not fail, or the first of all if every one did.
    add: OpId,
    /// Position of that invocation; [`NEVER`] if every `add` failed.
    added: u32,
    /// Position at which an `add` of it first completed ok.
    acknowledged: u32,
    /// Position from which on it was known, and by whose completion.
    known: u32,
    known_by: OpId,
    /// The last read, by invocation, that shows it, and the last that does not.
    present: OpId,
    absent: OpId,
    /// A read that shows it though it cannot have been there.
    unexpected: OpId,
    /// The read that looked at it last, and how often it listed it.
    looked: OpId,
    listed: u64,
    /// The most often that one read lists it, and which.
    most: u64,
    most_by: OpId,
}

/// All elements of one set, and its reads.
struct Lives {
    elements: Vec<Element>,
    index: Index,
    /// Reads that completed ok, from the last invoked to the first.
    reads: Vec<OpId>,
    final_reads: Vec<OpId>,
    /// Elements that were listed though nobody ever tried to add them, each with the first such read.
    nowhere: Vec<(Value, OpId)>,
}

impl Lives {
    fn new(history: &History, part: &Part, words: &Words) -> Result<Lives, ModelError> {
        let values = history.values();
        let mut elements: Vec<Element> = Vec::new();
        let mut at: HashMap<Value, u32, FastBuild> = HashMap::default();
        let mut reads = Vec::new();
        for id in &part.ops {
            let op = history.operation(*id);
            if words.add.contains(&op.f) {
                let value = element(&op, values)?;
                let at = *at.entry(value).or_insert_with(|| {
                    elements.push(Element::new(value, op.id));
                    (elements.len() - 1) as u32
                });
                elements[at as usize].add(&op);
            } else if op.f == "read" {
                if op.outcome == Outcome::Ok {
                    members(values, op.output)
                        .ok_or_else(|| ModelError::output(&op, values, "a list or set of all elements"))?;
                    reads.push(op.id);
                }
            } else if !words.others.contains(&op.f) {
                return Err(ModelError::unknown_function(&op, words.expected));
            }
        }
        // Operations are in the order of their invocations.
        reads.reverse();
        let final_reads = match words.missing {
            None => Vec::new(),
            Some(_) => final_reads(history, &part.ops, |op| match op.f {
                "read" => Role::Read,
                f if words.add.contains(&f) => Role::Update,
                _ => Role::Other,
            }),
        };
        let index = Index::new(&elements, at);
        let mut lives = Lives { elements, index, reads, final_reads, nowhere: Vec::new() };
        lives.follow(history);
        Ok(lives)
    }

    /// Takes the reads from the last invoked to the first.
    fn follow(&mut self, history: &History) {
        let mut nowhere: HashMap<Value, usize, FastBuild> = HashMap::default();
        let mut unmissed = Unmissed::new(&self.elements);
        for id in &self.reads {
            let read = history.operation(*id);
            let mut shown = 0;
            for value in members(history.values(), read.output).unwrap_or_default() {
                match self.index.find(*value) {
                    Some(at) => shown += usize::from(self.elements[at].show(&read) && unmissed.holds(at)),
                    None => {
                        let at = *nowhere.entry(*value).or_insert(self.nowhere.len());
                        self.nowhere.resize(self.nowhere.len().max(at + 1), (*value, *id));
                        self.nowhere[at].1 = *id;
                    }
                }
            }
            unmissed.retain_shown(&mut self.elements, &read, shown);
        }
        self.nowhere.sort_by_key(|(_, id)| *id);
    }

    fn tell(mut self, history: &History, part: &Part, words: &Words, tally: &mut Tally) {
        let before = (tally.stable.len(), tally.lost.len());
        for element in &self.elements {
            tally.take(history, part, element);
        }
        for (value, id) in &self.nowhere {
            tally.unexpected.push(*value);
            tally.findings.add("unexpected", true, || {
                let named = brief(history.values(), *value);
                let sentence = format!(
                    "the read{} {} shows {named}, though nobody tried to add it",
                    part.of_key(history.values()),
                    place(history, *id)
                );
                quote(vec![*id], vec![*value], sentence)
            });
        }
        if let Some(kind) = words.missing {
            self.look_at_the_end(history, part, kind, tally);
        }
        tally.attempts += self.elements.len() as u64;
        if tally.stable.len() == before.0 && tally.lost.len() == before.1 {
            let of_key = part.of_key(history.values());
            tally.undecided.get_or_insert_with(|| match self.reads.is_empty() {
                true => format!("the set{of_key} was never read"),
                false => format!("no element{of_key} was seen to stay: nothing was read after it was added"),
            });
        }
    }

    /// Every final read must show every element that was acknowledged.
    fn look_at_the_end(&mut self, history: &History, part: &Part, kind: &'static str, tally: &mut Tally) {
        let values = history.values();
        let acknowledged = self.elements.iter().filter(|element| element.acknowledged != NEVER).count();
        let mut looked = vec![NOBODY; self.elements.len()];
        tally.final_reads += self.final_reads.len() as u64;
        for id in &self.final_reads {
            let mut shown = 0;
            for value in members(values, history.operation(*id).output).unwrap_or_default() {
                if let Some(at) = self.index.find(*value)
                    && looked[at] != *id
                {
                    looked[at] = *id;
                    shown += usize::from(self.elements[at].acknowledged != NEVER);
                }
            }
            if shown < acknowledged {
                tally.findings.add(kind, true, || {
                    let lacks = |at: &usize| self.elements[*at].acknowledged != NEVER && looked[*at] != *id;
                    let few: Vec<usize> = (0..looked.len()).filter(lacks).take(4).collect();
                    let lacking: Vec<Value> = few.iter().map(|at| self.elements[*at].value).collect();
                    let mut operations: Vec<OpId> = few.iter().map(|at| self.elements[*at].add).collect();
                    operations.push(*id);
                    let sentence = format!(
                        "the final read{} {} by process {} lacks {}",
                        part.of_key(values),
                        place(history, *id),
                        history.operation(*id).process,
                        some_of(values, &lacking, acknowledged - shown)
                    );
                    quote(operations, lacking, sentence)
                });
            }
        }
    }
}

impl Element {
    fn new(value: Value, first: OpId) -> Element {
        Element {
            value,
            add: first,
            added: NEVER,
            acknowledged: NEVER,
            known: NEVER,
            known_by: NOBODY,
            present: NOBODY,
            absent: NOBODY,
            unexpected: NOBODY,
            looked: NOBODY,
            listed: 0,
            most: 0,
            most_by: NOBODY,
        }
    }

    fn add(&mut self, op: &Operation<'_>) {
        if may_have_happened(op) && self.added == NEVER {
            (self.add, self.added) = (op.id, op.invoke_position);
        }
        self.acknowledged = self.acknowledged.min(op.returned());
        if op.returned() < self.known {
            (self.known, self.known_by) = (op.returned(), op.id);
        }
    }

    /// A read lists it. True if it does so for the first time, and the element can have been there.
    fn show(&mut self, read: &Operation<'_>) -> bool {
        if self.looked == read.id {
            self.listed += 1;
        } else {
            (self.looked, self.listed) = (read.id, 1);
        }
        if self.listed > self.most {
            (self.most, self.most_by) = (self.listed, read.id);
        }
        if self.listed > 1 {
            return false;
        }
        if self.added > read.complete_position {
            self.unexpected = read.id;
            return false;
        }
        if self.present == NOBODY {
            self.present = read.id;
        }
        if read.complete_position < self.known {
            (self.known, self.known_by) = (read.complete_position, read.id);
        }
        true
    }
}

/// The elements that no read so far has missed, by their adds: a linked list, from which they leave.
struct Unmissed {
    next: Vec<u32>,
    held: Vec<bool>,
    first: u32,
    count: usize,
    /// Position of the last `add` of all.
    last_added: u32,
}

/// The end of the list.
const END: u32 = u32::MAX;

impl Unmissed {
    fn new(elements: &[Element]) -> Unmissed {
        let mut order: Vec<u32> =
            (0..elements.len() as u32).filter(|at| elements[*at as usize].added != NEVER).collect();
        order.sort_unstable_by_key(|at| elements[*at as usize].added);
        let (mut next, mut held) = (vec![END; elements.len()], vec![false; elements.len()]);
        for (i, at) in order.iter().enumerate() {
            next[*at as usize] = order.get(i + 1).copied().unwrap_or(END);
            held[*at as usize] = true;
        }
        let last_added = order.last().map_or(0, |at| elements[*at as usize].added);
        Unmissed { next, held, first: order.first().copied().unwrap_or(END), count: order.len(), last_added }
    }

    fn holds(&self, at: usize) -> bool {
        self.held[at]
    }

    /// Lets go of those that `read` could have shown and did not; it showed `shown` of those held.
    fn retain_shown(&mut self, elements: &mut [Element], read: &Operation<'_>, shown: usize) {
        if shown == self.count && self.last_added < read.complete_position {
            return;
        }
        let (mut before, mut at) = (END, self.first);
        while at != END && elements[at as usize].added < read.complete_position {
            let next = self.next[at as usize];
            if elements[at as usize].looked == read.id {
                before = at;
            } else {
                elements[at as usize].absent = read.id;
                self.held[at as usize] = false;
                self.count -= 1;
                match before {
                    END => self.first = next,
                    before => self.next[before as usize] = next,
                }
            }
            at = next;
        }
    }
}

/// Where each element is. Integers that lie close together are found without hashing.
struct Index {
    dense: Vec<u32>,
    least: i64,
    others: HashMap<Value, u32, FastBuild>,
}

impl Index {
    fn new(elements: &[Element], all: HashMap<Value, u32, FastBuild>) -> Index {
        let ints = || elements.iter().filter_map(|element| element.value.as_small_int());
        let (least, most) = (ints().min().unwrap_or(0), ints().max().unwrap_or(0));
        // Handles hold 62 bits, so the difference fits.
        let span = (most - least) as u64 + 1;
        if span > 8 * elements.len() as u64 + 64 {
            return Index { dense: Vec::new(), least: 0, others: all };
        }
        let mut dense = vec![END; span as usize];
        for (at, element) in elements.iter().enumerate() {
            if let Some(int) = element.value.as_small_int() {
                dense[(int - least) as usize] = at as u32;
            }
        }
        Index { dense, least, others: all }
    }

    #[inline]
    fn find(&self, value: Value) -> Option<usize> {
        if let Some(int) = value.as_small_int()
            && !self.dense.is_empty()
        {
            // Both are below 2^61, so the difference fits.
            let offset = usize::try_from(int - self.least).ok()?;
            return self.dense.get(offset).filter(|at| **at != END).map(|at| *at as usize);
        }
        self.others.get(&value).map(|at| *at as usize)
    }
}

/// What has been counted in the sets so far.
struct Tally {
    options: SetFullOptions,
    findings: Findings,
    undecided: Option<String>,
    attempts: u64,
    final_reads: u64,
    stable: Vec<Value>,
    lost: Vec<Value>,
    never_read: Vec<Value>,
    unexpected: Vec<Value>,
    duplicated: Vec<(Value, u64)>,
    stale: Vec<Stale>,
    stable_ns: Vec<u64>,
    lost_ns: Vec<u64>,
}

/// An element that a read missed although it was known.
struct Stale {
    value: Value,
    /// How long it took until reads showed it; `None` if the history has no times.
    latency_ns: Option<u64>,
    known_by: OpId,
    missed_by: OpId,
    of_key: String,
}

impl Tally {
    fn new(options: SetFullOptions) -> Tally {
        Tally {
            options,
            findings: Findings::new(),
            undecided: None,
            attempts: 0,
            final_reads: 0,
            stable: vec![],
            lost: vec![],
            never_read: vec![],
            unexpected: vec![],
            duplicated: vec![],
            stale: vec![],
            stable_ns: vec![],
            lost_ns: vec![],
        }
    }

    fn take(&mut self, history: &History, part: &Part, element: &Element) {
        let values = history.values();
        let value = element.value;
        let invoked = |read: OpId| (read != NOBODY).then(|| history.operation(read).invoke_position);
        let (present, absent) = (invoked(element.present), invoked(element.absent));
        let missed_late = absent.is_some_and(|absent| absent > element.known);
        let named = || format!("{}{}", brief(values, value), part.of_key(values));
        if present > absent {
            self.stable.push(value);
            let latency_ns = since_known(history, element, Some(element.absent).filter(|_| missed_late));
            self.stable_ns.extend(latency_ns);
            if missed_late {
                let (known_by, missed_by, of_key) = (element.known_by, element.absent, part.of_key(values));
                self.stale.push(Stale { value, latency_ns, known_by, missed_by, of_key });
            }
        } else if missed_late {
            self.lost.push(value);
            let seen_last = Some(element.present).filter(|_| present.is_some_and(|at| at > element.known));
            self.lost_ns.extend(since_known(history, element, seen_last));
            self.findings.add("lost", true, || {
                let mut sentence = format!("{} was added {}", named(), place(history, element.add));
                let mut operations = vec![element.add, element.known_by, element.absent];
                if present.is_some() {
                    sentence += &format!(", was read last {}", place(history, element.present));
                    operations.push(element.present);
                }
                sentence += &format!(" and is missing from the read {}", place(history, element.absent));
                quote(operations, vec![value], sentence)
            });
        } else if element.unexpected == NOBODY || present.is_some() {
            self.never_read.push(value);
        }
        if element.unexpected != NOBODY {
            self.unexpected.push(value);
            self.findings.add("unexpected", true, || {
                let why = if element.added == NEVER {
                    "though its add failed"
                } else {
                    "which was only added later"
                };
                let (read, add) = (place(history, element.unexpected), place(history, element.add));
                let sentence = format!("the read {read} shows {}, {why}, {add}", named());
                quote(vec![element.add, element.unexpected], vec![value], sentence)
            });
        }
        if element.most > 1 {
            self.duplicated.push((value, element.most));
            self.findings.add("duplicated", !self.options.allow_duplicates, || {
                let read = place(history, element.most_by);
                let sentence = format!("the read {read} lists {} {}", named(), times(element.most));
                quote(vec![element.most_by], vec![value], sentence)
            });
        }
    }

    fn report(mut self, history: &History) -> Report {
        // The worst first; a stable sort keeps the order of adds among equals.
        let stale: Vec<Value> = self.stale.iter().map(|stale| stale.value).collect();
        self.stale.sort_by_key(|stale| Reverse(stale.latency_ns));
        for stale in &self.stale {
            self.findings.add("stale", self.options.linearizable, || stale.tell(history));
        }
        let worst = |stale: &Stale| Some((stale.value, stale.latency_ns? / 1_000_000));
        let count = |list: &Vec<Value>| Figure::Count(list.len() as u64);
        let mut figures = vec![
            ("attempt-count", Figure::Count(self.attempts)),
            ("stable-count", count(&self.stable)),
            ("lost-count", count(&self.lost)),
            ("never-read-count", count(&self.never_read)),
            ("stale-count", count(&stale)),
            ("duplicated-count", Figure::Count(self.duplicated.len() as u64)),
            ("unexpected-count", count(&self.unexpected)),
            ("lost", Figure::Values(self.lost)),
            ("never-read", Figure::Values(self.never_read)),
            ("stale", Figure::Values(stale)),
            ("worst-stale", Figure::Tally(self.stale.iter().filter_map(worst).take(8).collect())),
            ("duplicated", Figure::Tally(self.duplicated)),
            ("unexpected", Figure::Values(self.unexpected)),
        ];
        figures.extend(quantile::latencies_ms(self.stable_ns).map(|figure| ("stable-latencies", figure)));
        figures.extend(quantile::latencies_ms(self.lost_ns).map(|figure| ("lost-latencies", figure)));
        if self.final_reads > 0 {
            figures.push(("final-read-count", Figure::Count(self.final_reads)));
        }
        let otherwise = self.undecided.map_or(Validity::Valid, Validity::Unknown);
        self.findings.report(otherwise, figures)
    }
}

impl Stale {
    fn tell(&self, history: &History) -> Quote {
        let after = match self.latency_ns {
            Some(ns) => format!(", {:.3} ms after it was known", ns as f64 / 1e6),
            None => String::new(),
        };
        let sentence = format!(
            "{}{} was known by the operation {} and is missing from the later read {}{after}",
            brief(history.values(), self.value),
            self.of_key,
            place(history, self.known_by),
            place(history, self.missed_by)
        );
        quote(vec![self.known_by, self.missed_by], vec![self.value], sentence)
    }
}

/// The time from the moment an element was known to the invocation of `read`, or none if there is no read.
/// `None` if the history does not say.
fn since_known(history: &History, element: &Element, read: Option<OpId>) -> Option<u64> {
    let from = history.operation(element.known_by).complete_time_ns;
    let to = read.map_or(from, |read| history.operation(read).invoke_time_ns);
    (from >= 0 && to >= 0).then(|| u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}
