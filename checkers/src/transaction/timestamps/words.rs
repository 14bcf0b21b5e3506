//! Flaws in sentences: "T1 read 3 of key x at timestamp 17, but T2 committed 4 at 15".

use super::{Difference, Flaw, Question};
use crate::history::Timestamps;
use crate::transaction::complete::Model;
use crate::transaction::direct::shown;
use crate::transaction::explain::Words;
use crate::transaction::list_append::members;
use crate::transaction::{INITIAL, KeyId, Kind, NOBODY, Status, Transactions, TxnId, VersionId};
use crate::value::Value;

/// The transactions that a flaw is about, each once, in the order in which its sentence names them.
pub fn cast(txns: &Transactions, flaw: &Flaw) -> Vec<TxnId> {
    let mut cast = match *flaw {
        Flaw::External(Difference { reader, key, seen, expected, .. })
        | Flaw::Internal(Difference { reader, key, seen, expected, .. }) => {
            let writer = |value: Value| txns.version_of(key, value).map(|version| txns.writer(version));
            let writers = [expected, seen].into_iter().flatten().filter_map(writer);
            [reader].into_iter().chain(writers.filter(|writer| *writer != NOBODY)).collect()
        }
        Flaw::Conflict { first, second, .. }
        | Flaw::Session { first, second }
        | Flaw::RealTime { first, second } => vec![first, second],
        Flaw::Backwards { txn } => vec![txn],
    };
    if cast.len() == 3 && cast[1] == cast[2] {
        cast.pop();
    }
    if cast.len() > 1 && cast[0] == cast[1] {
        cast.remove(1);
    }
    if cast.len() == 3 && cast[0] == cast[2] {
        cast.pop();
    }
    cast
}

/// What a flaw is, without the full stop. `words` names the flaw's [`cast`].
pub fn sentence(words: &Words<'_>, question: Question, flaw: &Flaw) -> String {
    let telling = Telling { words, txns: words.txns, question };
    match flaw {
        Flaw::External(difference) => telling.external(difference),
        Flaw::Internal(difference) => telling.internal(difference),
        Flaw::Conflict { first, second, key } => format!(
            "{} and {} both wrote key {}, and {}, before {} at {}",
            words.name(*first),
            words.name(*second),
            telling.key(*key),
            telling.started(*second),
            telling.committed(*first),
            telling.commit(*first)
        ),
        Flaw::Session { first, second } => format!(
            "one session ran {} and then {}, but {}, before {} at {}",
            words.name(*first),
            words.name(*second),
            telling.started(*second),
            telling.committed(*first),
            telling.commit(*first)
        ),
        Flaw::RealTime { first, second } => format!(
            "{} was invoked after {} had completed, but {}, before {} at {}",
            words.name(*second),
            words.name(*first),
            telling.started(*second),
            telling.committed(*first),
            telling.commit(*first)
        ),
        Flaw::Backwards { txn } => format!(
            "{} committed at {}, before it started at {}",
            words.name(*txn),
            telling.commit(*txn),
            telling.stamps(*txn).map_or(0, |stamps| stamps.start)
        ),
    }
}

struct Telling<'a> {
    words: &'a Words<'a>,
    txns: &'a Transactions,
    question: Question,
}

impl Telling<'_> {
    fn stamps(&self, txn: TxnId) -> Option<Timestamps> {
        let stamps = self.txns.timestamps();
        stamps.binary_search_by_key(&txn, |entry| entry.0).ok().map(|at| stamps[at].1)
    }

    /// When a transaction committed; only of those that have timestamps.
    fn commit(&self, txn: TxnId) -> i64 {
        self.stamps(txn).map_or(0, |stamps| stamps.commit)
    }

    /// When a transaction reads.
    fn moment(&self, txn: TxnId) -> i64 {
        match (self.question.model, self.stamps(txn)) {
            (Model::Serializable, Some(stamps)) => stamps.commit,
            (_, Some(stamps)) => stamps.start.min(stamps.commit),
            (_, None) => 0,
        }
    }

    fn started(&self, txn: TxnId) -> String {
        let verb = if self.question.model == Model::Serializable { "committed" } else { "started" };
        format!("{} {verb} at {}", self.words.name(txn), self.moment(txn))
    }

    fn committed(&self, txn: TxnId) -> String {
        format!("{} committed", self.words.name(txn))
    }

    fn key(&self, key: KeyId) -> String {
        self.show(self.txns.keys()[key as usize])
    }

    fn show(&self, value: Value) -> String {
        self.words.history.values().show(value)
    }

    fn is_list(&self) -> bool {
        self.txns.kind() == Kind::ListAppend
    }

    /// What the read showed: `read 3 of key x`.
    fn read(&self, difference: &Difference) -> String {
        let key = self.key(difference.key);
        match difference.seen {
            _ if self.is_list() => {
                let reads = self.txns.list_reads();
                let place = (difference.reader, difference.at);
                let list = reads.binary_search_by_key(&place, |read| (read.txn, read.at));
                let list = list.map_or(Value::NIL, |at| reads[at].list);
                match members(self.words.history.values(), list) {
                    [] => format!("read key {key} as empty"),
                    _ => format!("read {} of key {key}", shown(self.words.history.values(), list)),
                }
            }
            Some(value) => format!("read {} of key {key}", self.show(value)),
            None => format!("read key {key} as nobody had written it"),
        }
    }

    /// `4`, or of lists `its append of 4`.
    fn write(&self, value: Value) -> String {
        if self.is_list() { format!("its append of {}", self.show(value)) } else { self.show(value) }
    }

    fn writer(&self, key: KeyId, value: Value) -> (TxnId, VersionId) {
        let version = self.txns.version_of(key, value).unwrap_or(INITIAL);
        (self.txns.writer(version), version)
    }

    fn external(&self, difference: &Difference) -> String {
        let Difference { reader, key, seen, expected, .. } = *difference;
        let read = format!(
            "{} {} at timestamp {}",
            self.words.name(reader),
            self.read(difference),
            self.moment(reader)
        );
        // What it wrote itself is no news.
        let others = |value: &Value| self.writer(key, *value).0 != reader;
        let missed = expected.filter(others).map(|value| {
            let writer = self.writer(key, value).0;
            let at = self.commit(writer);
            format!("{} committed {} at {at}", self.words.name(writer), self.write(value))
        });
        let origin = seen.map(|value| self.origin(reader, key, value));
        let place = match seen {
            Some(value) if self.is_list() && expected.is_some() => {
                format!("where it shows {}, ", self.show(value))
            }
            _ => String::new(),
        };
        match (missed, origin) {
            (Some(missed), Some(origin)) => format!("{read}, but {place}{missed}, and {origin}"),
            (Some(missed), None) => format!("{read}, but {missed}"),
            (None, Some(origin)) => format!("{read}, but {origin}"),
            (None, None) => format!("{read}, which is not what had been committed"),
        }
    }

    /// Where a value came from that should not have been seen.
    fn origin(&self, reader: TxnId, key: KeyId, value: Value) -> String {
        let (writer, version) = self.writer(key, value);
        let shown = self.show(value);
        let verb = if self.is_list() { "appended" } else { "wrote" };
        if writer == NOBODY {
            return format!("nobody {verb} {shown}");
        }
        let name = self.words.name(writer);
        if writer == reader {
            return format!("{name} {verb} {shown} itself, and not before that");
        }
        match self.txns.txn(writer).status {
            Status::Aborted => format!("{name}, which {verb} {shown}, aborted"),
            _ if !self.is_list() && self.txns.version(version).is_intermediate => {
                format!("{name} overwrote {shown} itself before it committed")
            }
            _ => match self.stamps(writer) {
                Some(_) => {
                    let at = self.commit(writer);
                    let only = if at > self.moment(reader) { "only " } else { "" };
                    format!("{name} committed {} {only}at {at}", self.write(value))
                }
                None => format!("nobody knows when {name} committed {}", self.write(value)),
            },
        }
    }

    fn internal(&self, difference: &Difference) -> String {
        let name = self.words.name(difference.reader);
        let read = format!("{name} {}", self.read(difference));
        let before = "by what it had read and written of that key before";
        match (difference.seen, difference.expected) {
            _ if !self.is_list() => {
                let expected = difference.expected;
                let expected = expected.map_or("nothing at all".to_owned(), |value| self.show(value));
                format!("{read}, though {before} it should have been {expected}")
            }
            (_, Some(expected)) => {
                let there = difference.seen.map_or("missing".to_owned(), |value| self.show(value));
                let place = if difference.seen.is_some() { "what stands in its place is " } else { "it is " };
                format!("{read}, though {before} it should show {}: {place}{there}", self.show(expected))
            }
            (Some(seen), None) => format!("{read}, though {before} it should not show {}", self.show(seen)),
            (None, None) => read,
        }
    }
}

impl Flaw {
    /// Its name: `external-read`.
    pub fn name(&self) -> &'static str {
        match self {
            Flaw::External(_) => "external-read",
            Flaw::Internal(_) => "internal-read",
            Flaw::Conflict { .. } => "write-conflict",
            Flaw::Session { .. } => "session-order",
            Flaw::RealTime { .. } => "real-time-order",
            Flaw::Backwards { .. } => "backwards",
        }
    }

    /// What it is, in a few words.
    pub fn summary(&self) -> &'static str {
        match self {
            Flaw::External(_) => "a read did not show what had been committed at its timestamp",
            Flaw::Internal(_) => "a transaction did not see again what it had read and written itself",
            Flaw::Conflict { .. } => "two that wrote the same key overlap",
            Flaw::Session { .. } => "a transaction starts before its session's last one has committed",
            Flaw::RealTime { .. } => "a transaction starts before one has committed that had completed",
            Flaw::Backwards { .. } => "a transaction commits before it starts",
        }
    }
}
