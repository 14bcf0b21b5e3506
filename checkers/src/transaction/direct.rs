//! What one look at a transaction shows to be wrong: reads of what was never there to be read, and of what
//! a transaction's own past rules out.

use super::anomaly::{Anomaly, Evidence, Phenomenon};
use super::cycle::Variant;
use super::list_append::{Orders, Overwritten, members};
use super::{Action, INITIAL, KeyId, Kind, MicroOp, NOBODY, Status, Transactions, TxnId, VersionId};
use crate::value::{FastBuild, Value, Values};
use hashbrown::{HashMap, HashSet};

/// Anomalies of each kind that are kept.
pub(super) const KEPT_MAX: usize = 16;

/// Collects what is found, and counts what is not kept.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub(super) kept: Vec<Anomaly>,
    counts: Vec<((Phenomenon, Variant), u64)>,
}

impl Collector {
    pub(super) fn add(
        &mut self,
        phenomenon: Phenomenon,
        variant: Variant,
        anomaly: impl FnOnce() -> Anomaly,
    ) {
        let at = self.counts.iter().position(|entry| entry.0 == (phenomenon, variant));
        let at = at.unwrap_or_else(|| {
            self.counts.push(((phenomenon, variant), 0));
            self.counts.len() - 1
        });
        self.counts[at].1 += 1;
        if self.counts[at].1 <= KEPT_MAX as u64 {
            self.kept.push(anomaly());
        }
    }

    pub(super) fn count(&self, phenomenon: Phenomenon, variant: Variant) -> u64 {
        self.counts.iter().find(|entry| entry.0 == (phenomenon, variant)).map_or(0, |entry| entry.1)
    }

    pub(super) fn direct(
        &mut self,
        phenomenon: Phenomenon,
        txns: &[TxnId],
        key: KeyId,
        values: &[Value],
        sentence: impl FnOnce() -> String,
    ) {
        self.add(phenomenon, Variant::Plain, || {
            let evidence =
                Evidence::Direct { txns: txns.to_vec(), key, values: values.to_vec(), sentence: sentence() };
            let also = (phenomenon == Phenomenon::LostOwnWrite).then_some("internal");
            Anomaly { phenomenon, variant: Variant::Plain, also, refuted: Vec::new(), evidence }
        });
    }
}

/// Looks at every transaction once. `forbid_unwritten` tells whether a value that nobody wrote is an anomaly;
/// if not, it came from outside of the history. Returns the versions of keys of which a lost update was told.
pub(super) fn find(
    txns: &Transactions,
    values: &Values,
    forbid_unwritten: bool,
    found: &mut Collector,
) -> HashSet<(KeyId, VersionId), FastBuild> {
    let mut walk = Walk {
        txns,
        values,
        forbid_unwritten,
        state: vec![KeyState::default(); txns.keys().len()],
        written: Vec::new(),
        is_written: vec![false; txns.versions().len()],
        updates: HashMap::default(),
        lost: HashSet::default(),
        found,
    };
    let mut lists = txns.list_reads().iter();
    for id in 0..txns.len() as TxnId {
        walk.written.clear();
        for (at, op) in txns.micro_ops(id).iter().enumerate() {
            match op.action {
                Action::Write => walk.write(id, op),
                Action::Read => {
                    let list = match txns.kind() {
                        Kind::Register => Value::NIL,
                        Kind::ListAppend => {
                            let read = lists.next().expect("one list for each read of one");
                            debug_assert_eq!((read.txn, read.at as usize), (id, at));
                            read.list
                        }
                    };
                    walk.read(id, op, list);
                }
            }
        }
    }
    walk.lost
}

/// What a transaction has done with a key so far. Of another transaction it says nothing.
#[derive(Clone, Copy, Debug)]
struct KeyState {
    txn: TxnId,
    /// The version read last, and as a list.
    read: Option<(VersionId, Value)>,
    /// The version read first, if the key had not been written.
    first: Option<VersionId>,
    /// Its own writes since then: how many, and where the latest is among those of the transaction.
    own: u32,
    latest: usize,
    has_written: bool,
}

impl Default for KeyState {
    fn default() -> KeyState {
        KeyState { txn: NOBODY, read: None, first: None, own: 0, latest: usize::MAX, has_written: false }
    }
}

struct Walk<'a> {
    txns: &'a Transactions,
    values: &'a Values,
    forbid_unwritten: bool,
    state: Vec<KeyState>,
    /// The writes of the transaction at hand, each with the place of the one before it to the same key.
    written: Vec<(VersionId, usize)>,
    /// Versions of the transactions looked at so far, and of the one at hand up to here.
    is_written: Vec<bool>,
    /// The first transaction that read a version from outside and then wrote the key.
    updates: HashMap<(KeyId, VersionId), TxnId, FastBuild>,
    /// Versions that several such transactions had read.
    lost: HashSet<(KeyId, VersionId), FastBuild>,
    found: &'a mut Collector,
}

impl Walk<'_> {
    fn state(&mut self, id: TxnId, key: KeyId) -> &mut KeyState {
        let state = &mut self.state[key as usize];
        if state.txn != id {
            *state = KeyState { txn: id, ..KeyState::default() };
        }
        state
    }

    fn write(&mut self, id: TxnId, op: &MicroOp) {
        let latest = self.written.len();
        let state = self.state(id, op.key);
        // Who has read two versions before is wrong already, and which one it overwrote nobody knows.
        let update = match state.read {
            Some((version, _)) if !state.has_written && state.first == Some(version) => Some(version),
            _ => None,
        };
        let before = state.latest;
        state.own += 1;
        state.latest = latest;
        state.has_written = true;
        self.written.push((op.version, before));
        self.is_written[op.version as usize] = true;
        if let Some(version) = update
            && self.txns.txn(id).status == Status::Committed
        {
            let first = *self.updates.entry((op.key, version)).or_insert(id);
            if first != id {
                self.lost.insert((op.key, version));
                self.lost_update(first, id, op.key, version);
            }
        }
    }

    fn lost_update(&mut self, first: TxnId, second: TxnId, key: KeyId, version: VersionId) {
        let seen = self.value(version);
        let (txns, values) = (self.txns, self.values);
        self.found.direct(Phenomenon::LostUpdate, &[first, second], key, &[seen], || {
            let key = values.show(txns.keys()[key as usize]);
            let what = match (txns.kind(), version) {
                (_, INITIAL) => format!("read key {key} before anybody had written it"),
                (Kind::ListAppend, _) => format!("read key {key} up to {}", values.show(seen)),
                (Kind::Register, _) => format!("read {key} = {}", values.show(seen)),
            };
            format!(
                "both transactions {what}, and each then wrote {key}: one of them overwrote the other unseen"
            )
        });
    }

    fn value(&self, version: VersionId) -> Value {
        if version == INITIAL { Value::NIL } else { self.txns.version(version).value }
    }

    fn read(&mut self, id: TxnId, op: &MicroOp, list: Value) {
        if op.version != INITIAL && self.origin(id, op) {
            return;
        }
        let state = *self.state(id, op.key);
        match self.txns.kind() {
            Kind::Register => self.again_register(id, op, &state),
            Kind::ListAppend => self.again_list(id, op, &state, list),
        }
        let state = self.state(id, op.key);
        if state.read.is_none() && !state.has_written {
            state.first = Some(op.version);
        }
        state.read = Some((op.version, list));
        state.own = 0;
    }

    /// Whether something is wrong with where the version came from.
    fn origin(&mut self, id: TxnId, op: &MicroOp) -> bool {
        let version = *self.txns.version(op.version);
        let (txns, values) = (self.txns, self.values);
        let shown = || (values.show(version.value), values.show(txns.keys()[version.key as usize]));
        if version.writer == NOBODY {
            if txns.kind() == Kind::ListAppend {
                return false;
            }
            if self.forbid_unwritten {
                self.found.direct(Phenomenon::GarbageRead, &[id], op.key, &[version.value], || {
                    let (value, key) = shown();
                    format!("it read {value} from key {key}, which nobody wrote")
                });
            }
            // What came from outside may be seen; whether it was seen twice is still to be looked at.
            return self.forbid_unwritten;
        }
        if version.writer == id {
            let is_ahead = !self.is_written[op.version as usize];
            if is_ahead {
                self.found.direct(Phenomenon::FutureRead, &[id], op.key, &[version.value], || {
                    let (value, key) = shown();
                    format!("it read {value} from key {key}, which it was to write itself later")
                });
            }
            return is_ahead;
        }
        let others = [id, version.writer];
        match txns.txn(version.writer).status {
            // Of lists every element counts, not only the last: they are looked at together.
            Status::Aborted if txns.kind() == Kind::Register => {
                self.found.direct(Phenomenon::G1a, &others, op.key, &[version.value], || {
                    let (value, key) = shown();
                    format!("it read {value} from key {key}, whose writer had aborted")
                });
            }
            _ if version.is_intermediate => {
                self.found.direct(Phenomenon::G1b, &others, op.key, &[version.value], || {
                    let (value, key) = shown();
                    format!("it read {value} from key {key}, which its writer then overwrote itself")
                });
            }
            _ => {}
        }
        false
    }

    /// A register that the transaction had read or written before.
    fn again_register(&mut self, id: TxnId, op: &MicroOp, state: &KeyState) {
        let expected = match (state.own, state.read) {
            (0, None) => return,
            (0, Some((version, _))) => version,
            _ => self.written[state.latest].0,
        };
        if expected == op.version {
            return;
        }
        let (old, new) = (self.value(expected), self.value(op.version));
        let (txns, values) = (self.txns, self.values);
        let key = values.show(txns.keys()[op.key as usize]);
        let (old_text, new_text) = (values.show(old), values.show(new));
        if state.own > 0 {
            self.found.direct(Phenomenon::LostOwnWrite, &[id], op.key, &[old, new], || {
                format!("it wrote {key} = {old_text}, and then read {key} = {new_text}")
            });
        } else {
            self.found.direct(Phenomenon::Internal, &[id], op.key, &[old, new], || {
                format!("it read {key} = {old_text}, and then, without having written it, {key} = {new_text}")
            });
        }
    }

    /// A list that the transaction had read or appended to before.
    fn again_list(&mut self, id: TxnId, op: &MicroOp, state: &KeyState, list: Value) {
        let seen = members(self.values, list);
        // Its own appends since the last read must be the end of the list, the latest one last.
        let (mut at, mut end) = (state.latest, seen.len());
        for _ in 0..state.own {
            let (version, before) = self.written[at];
            if end == 0 || seen[end - 1] != self.value(version) {
                return self.lost_own_append(id, op, version, list);
            }
            (at, end) = (before, end - 1);
        }
        if let Some((_, old)) = state.read
            && members(self.values, old) != &seen[..end]
        {
            let (txns, values) = (self.txns, self.values);
            self.found.direct(Phenomenon::Internal, &[id], op.key, &[old, list], || {
                let key = values.show(txns.keys()[op.key as usize]);
                let own = if state.own > 0 { ", appended to it," } else { "" };
                format!(
                    "it read {key} = {}{own} and then read {key} = {}",
                    shown(values, old),
                    shown(values, list)
                )
            });
        }
    }

    fn lost_own_append(&mut self, id: TxnId, op: &MicroOp, version: VersionId, list: Value) {
        let own = self.value(version);
        let (txns, values) = (self.txns, self.values);
        // It is there, but something came behind it, or in between.
        let is_there = members(values, list).contains(&own);
        let kind = if is_there { Phenomenon::Internal } else { Phenomenon::LostOwnWrite };
        self.found.direct(kind, &[id], op.key, &[own, list], || {
            let key = values.show(txns.keys()[op.key as usize]);
            let own = values.show(own);
            format!("it appended {own} to key {key}, and then read {key} = {}", shown(values, list))
        });
    }
}

/// What the lists show, all reads of a key taken together: elements of aborted transactions, elements that
/// nobody appended, elements that stand there twice, and orders that contradict each other.
pub(super) fn find_in_lists(
    txns: &Transactions,
    orders: &Orders<'_>,
    values: &Values,
    forbid_unwritten: bool,
    found: &mut Collector,
) {
    future_reads(txns, orders, values, found);
    let key_text = |key: KeyId| values.show(txns.keys()[key as usize]);
    for (key, element, reader) in &orders.repeats {
        found.direct(Phenomenon::DuplicateElements, &[*reader], *key, &[*element], || {
            format!("it read key {} with {} in it twice", key_text(*key), values.show(*element))
        });
    }
    for (key, list, reader) in &orders.misfits {
        let longest = txns.longest(*key).expect("a list that does not begin the longest");
        found.direct(
            Phenomenon::IncompatibleOrder,
            &[*reader, longest.reader],
            *key,
            &[*list, longest.list],
            || {
                format!(
                    "the one read key {} = {}, the other {}: neither begins the other",
                    key_text(*key),
                    shown(values, *list),
                    shown(values, longest.list)
                )
            },
        );
    }
    let misfits = orders.misfits.iter().map(|(key, list, reader)| (*key, *list, *reader));
    let longest = (0..txns.keys().len() as KeyId).filter_map(|key| {
        let longest = txns.longest(key)?;
        Some((key, longest.list, longest.reader))
    });
    for (key, list, reader) in longest.chain(misfits) {
        let is_longest = txns.longest(key).is_some_and(|longest| longest.list == list);
        let listed = if is_longest { txns.listed(key) } else { &[] };
        let mut aborted: Option<(Value, TxnId)> = None;
        let elements = members(values, list);
        // Where each element stands first; only made if one comes behind an aborted one.
        let mut first_places: Option<HashMap<Value, usize, FastBuild>> = None;
        for (place, element) in elements.iter().enumerate() {
            let version = listed.get(place).copied().or_else(|| txns.version_of(key, *element));
            let writer = version.map_or(NOBODY, |version| txns.writer(version));
            if writer == NOBODY {
                if forbid_unwritten {
                    found.direct(Phenomenon::GarbageRead, &[reader], key, &[*element], || {
                        let (element, key) = (values.show(*element), key_text(key));
                        format!("it read key {key} with {element} in it, which nobody appended")
                    });
                }
            } else if txns.txn(writer).status == Status::Aborted {
                aborted.get_or_insert((*element, writer));
                if found.count(Phenomenon::G1a, Variant::Plain) < KEPT_MAX as u64 {
                    // The one who read the longest list was not always the first to see it.
                    let sees = |list: Value| members(values, list).get(place) == Some(element);
                    let first = txns.list_reads().iter().find(|read| read.key == key && sees(read.list));
                    let reader = first.map_or(reader, |read| read.txn);
                    found.direct(Phenomenon::G1a, &[reader, writer], key, &[*element], || {
                        let (element, key) = (values.show(*element), key_text(key));
                        format!("it read key {key} with {element} in it, whose writer had aborted")
                    });
                } else {
                    found.direct(Phenomenon::G1a, &[], key, &[], String::new);
                }
            } else if let Some((dirty, culprit)) = aborted.take() {
                let first_places = first_places.get_or_insert_with(|| {
                    elements.iter().enumerate().rev().map(|(place, element)| (*element, place)).collect()
                });
                // What stands in the list before that, too, was not appended behind it.
                if first_places[element] != place {
                    continue;
                }
                found.direct(Phenomenon::DirtyUpdate, &[writer, culprit, reader], key, &[*element, dirty], || {
                    format!(
                        "the first appended {} to key {} behind {}, which the second had appended and aborted; the \
                         third saw both",
                        values.show(*element),
                        key_text(key),
                        values.show(dirty)
                    )
                });
            }
        }
    }
}

/// Elements that their own writer had read in the midst of a list, before it appended them. Where they stood
/// last, [`Walk::origin`] has seen it.
fn future_reads(txns: &Transactions, orders: &Orders<'_>, values: &Values, found: &mut Collector) {
    // By key: who read it last, and the most elements that it saw.
    let mut seen: Vec<(TxnId, u32)> = vec![(NOBODY, 0); txns.keys().len()];
    for id in 0..txns.len() as TxnId {
        for op in txns.micro_ops(id) {
            let (reader, count) = &mut seen[op.key as usize];
            if *reader != id {
                (*reader, *count) = (id, 0);
            }
            if op.action == Action::Read {
                *count = (*count).max(orders.seen(op.key, op.version).unwrap_or(0));
            } else if orders.place(op.version).is_some_and(|place| place + 1 < *count) {
                let value = txns.version(op.version).value;
                found.direct(Phenomenon::FutureRead, &[id], op.key, &[value], || {
                    let (key, value) = (values.show(txns.keys()[op.key as usize]), values.show(value));
                    format!("it read key {key} with {value} in it, which it was to append itself later")
                });
            }
        }
    }
}

/// Transactions that appended to a list that they had read, over an append in between. Where both had read the same
/// version, which is in `told`, that has been said.
pub(super) fn overwritten_unseen(
    txns: &Transactions,
    overwritten: &[Overwritten],
    told: &HashSet<(KeyId, VersionId), FastBuild>,
    values: &Values,
    found: &mut Collector,
) {
    let value = |version: VersionId| {
        if version == INITIAL { Value::NIL } else { txns.version(version).value }
    };
    for Overwritten { txn, seen, missed, own } in overwritten {
        let key = txns.version(*missed).key;
        if told.contains(&(key, *seen)) {
            continue;
        }
        let told = [value(*seen), value(*missed)];
        found.direct(Phenomenon::LostUpdate, &[*txn, txns.writer(*missed)], key, &told, || {
            let key = values.show(txns.keys()[key as usize]);
            let until = match *seen {
                INITIAL => "before anybody had written it".to_owned(),
                seen => format!("up to {}", values.show(value(seen))),
            };
            let (own, other) = (values.show(value(*own)), values.show(value(*missed)));
            format!(
                "the first read key {key} {until}, and appended {own} behind {other} of the second, which it had not \
                 seen"
            )
        });
    }
}

/// A list as text: its end, if it is long.
pub(super) fn shown(values: &Values, list: Value) -> String {
    const SHOWN: usize = 12;
    let members = members(values, list);
    let shown: Vec<String> =
        members[members.len().saturating_sub(SHOWN)..].iter().map(|member| values.show(*member)).collect();
    let cut = if members.len() > SHOWN { "... " } else { "" };
    format!("[{cut}{}]", shown.join(" "))
}
