//! Writers of Plume's and of AWDIT's text: transactions of reads and writes on registers.
//!
//! A history fits if each operation's value is a list of `[:r key value]` and `[:w key value]` with unsigned
//! numbers. Sessions are the processes, in the order of their first transactions. An empty transaction is
//! left out, and what an aborted one read: neither format has words for them.
//!
//! Nor have they any for a transaction of which nobody knows whether it took effect. If a committed one read
//! what it wrote, it did take effect, and is written as committed, without its reads, whose results nobody
//! knows. If not, it is left out: nothing that was seen depends on it, and a system may have aborted it. Either
//! way every level that a session can tell stands as it did.
//!
//! What the formats cannot say is refused rather than bent:
//! - a transaction of unknown outcome that did take effect, and after which its process went on: it may have
//!   done so later than what its session did next, and a session of these formats has one order;
//! - in Plume's, where a read of 0 is one of the initial value: that of a key that is written 0 as well,
//!   and a read of 0 that nobody wrote;
//! - in AWDIT's, an aborted write.
//!
//! AWDIT's format has no initial value. If one was read, the first session is a transaction that writes 0
//! to each key read so, as AWDIT itself does with a history in Plume's format. That transaction reads back
//! as one. Nothing says that it came first, so that a session which misses its own write of a key may pass
//! there; in Plume's format it does not.

use super::{Format, FormatError, output_error};
use crate::history::{History, NEVER, OpId, Operation, Outcome};
use crate::value::{Datum, Value, Values};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Writes `history` in one of the two formats.
pub(super) fn write(history: &History, format: Format, out: &mut impl Write) -> Result<(), FormatError> {
    let unknown = Unknown::of(history, format)?;
    let writer = Writer { history, format, zeros: Zeros::of(history, format, &unknown)?, unknown };
    match format {
        Format::Awdit => writer.awdit(out),
        _ => writer.plume(out),
    }
}

/// A read or a write; the value of a read of the initial state is `None`.
struct MicroOp {
    is_write: bool,
    key: u64,
    value: Option<u64>,
}

/// Transactions of unknown outcome.
#[derive(Default)]
struct Unknown {
    /// Those that took effect, for somebody read what they wrote.
    seen: BTreeSet<OpId>,
}

impl Unknown {
    /// Finds those that took effect, and refuses one after which its process went on.
    fn of(history: &History, format: Format) -> Result<Unknown, FormatError> {
        if history.operations().all(|op| op.outcome != Outcome::Info) {
            return Ok(Unknown::default());
        }
        let mut read: BTreeSet<(u64, u64)> = BTreeSet::new();
        for op in history.operations().filter(|op| op.outcome == Outcome::Ok) {
            let operations =
                transaction(&op, history.values()).map_err(|reason| unfit(format, &op, reason))?;
            let values = operations.iter().filter(|operation| !operation.is_write);
            read.extend(values.filter_map(|operation| Some((operation.key, operation.value?))));
        }
        let mut unknown = Unknown::default();
        let mut seen_of: BTreeMap<i64, OpId> = BTreeMap::new();
        for op in history.operations().filter(|op| op.outcome != Outcome::Fail) {
            let operations =
                transaction(&op, history.values()).map_err(|reason| unfit(format, &op, reason))?;
            let is_seen = |operation: &MicroOp| {
                operation.is_write
                    && operation.value.is_some_and(|value| read.contains(&(operation.key, value)))
            };
            if op.outcome == Outcome::Info && !operations.iter().any(is_seen) {
                continue;
            }
            if let Some(earlier) = seen_of.get(&op.process) {
                let reason = format!(
                    "nobody knows when this {f} took effect, for it did so without an answer, and its process went \
                     on: the format has no session in which it may come before or after the next {f}",
                    f = op.f
                );
                return Err(unfit(format, &history.operation(*earlier), reason));
            }
            if op.outcome == Outcome::Info {
                unknown.seen.insert(op.id);
                seen_of.insert(op.process, op.id);
            }
        }
        Ok(unknown)
    }

    /// Whether the operation committed, as far as the file is concerned.
    fn is_committed(&self, op: &Operation<'_>) -> bool {
        op.outcome == Outcome::Ok || self.seen.contains(&op.id)
    }
}

/// Where 0 is written, and where the initial value is read.
#[derive(Default)]
struct Zeros {
    written: BTreeSet<u64>,
    initial: BTreeSet<u64>,
}

impl Zeros {
    /// Looks at all operations, and refuses those that neither format can say.
    fn of(history: &History, format: Format, unknown: &Unknown) -> Result<Zeros, FormatError> {
        let mut zeros = Zeros::default();
        for op in history.operations() {
            let operations =
                transaction(&op, history.values()).map_err(|reason| unfit(format, &op, reason))?;
            for MicroOp { is_write, key, value } in operations {
                if is_write && value == Some(0) && unknown.is_committed(&op) {
                    zeros.written.insert(key);
                } else if value.is_none() && op.outcome == Outcome::Ok {
                    zeros.initial.insert(key);
                }
            }
        }
        Ok(zeros)
    }
}

struct Writer<'h> {
    history: &'h History,
    format: Format,
    zeros: Zeros,
    unknown: Unknown,
}

impl Writer<'_> {
    fn plume(&self, out: &mut impl Write) -> Result<(), FormatError> {
        let mut session_of: BTreeMap<i64, usize> = BTreeMap::new();
        let mut number = 0_u64;
        for op in self.history.operations() {
            let operations = self.transaction(&op)?;
            let is_committed = self.unknown.is_committed(&op);
            if operations.is_empty() {
                continue;
            }
            let count = session_of.len();
            let session = *session_of.entry(op.process).or_insert(count);
            for MicroOp { is_write, key, value } in &operations {
                let value = value.unwrap_or(0);
                let written = match (is_write, is_committed) {
                    (true, true) => writeln!(out, "w({key},{value},{session},{number})"),
                    (false, true) => writeln!(out, "r({key},{value},{session},{number})"),
                    (_, false) => writeln!(out, "w({key},{value},{session},-1)"),
                };
                written.map_err(output_error)?;
            }
            number += u64::from(is_committed);
        }
        Ok(())
    }

    fn awdit(&self, out: &mut impl Write) -> Result<(), FormatError> {
        let mut separator = "";
        for key in &self.zeros.initial {
            writeln!(out, "w {key} 0").map_err(output_error)?;
            separator = "=====\n";
        }
        for (_, session) in self.sessions() {
            for id in session {
                let op = self.history.operation(id);
                let operations = self.transaction(&op)?;
                if !self.unknown.is_committed(&op) || operations.is_empty() {
                    continue;
                }
                out.write_all(separator.as_bytes()).map_err(output_error)?;
                separator = "-----\n";
                for MicroOp { is_write, key, value } in &operations {
                    let name = if *is_write { "w" } else { "r" };
                    writeln!(out, "{name} {key} {}", value.unwrap_or(0)).map_err(output_error)?;
                }
            }
            if !separator.is_empty() {
                separator = "=====\n";
            }
        }
        Ok(())
    }

    /// The processes in the order in which they began, and what each did.
    fn sessions(&self) -> Vec<(i64, Vec<OpId>)> {
        let mut sessions: Vec<(i64, Vec<OpId>)> = Vec::new();
        let mut index_of: BTreeMap<i64, usize> = BTreeMap::new();
        for op in self.history.operations() {
            let index = *index_of.entry(op.process).or_insert_with(|| {
                sessions.push((op.process, Vec::new()));
                sessions.len() - 1
            });
            sessions[index].1.push(op.id);
        }
        sessions
    }

    /// What the operation did and the file is to have of it, if this format can say it.
    fn transaction(&self, op: &Operation<'_>) -> Result<Vec<MicroOp>, FormatError> {
        let unfit = |reason| unfit(self.format, op, reason);
        let mut operations = transaction(op, self.history.values()).map_err(unfit)?;
        operations.retain(|operation| match op.outcome {
            Outcome::Ok => true,
            Outcome::Fail => operation.is_write,
            Outcome::Info => operation.is_write && self.unknown.is_committed(op),
        });
        for MicroOp { is_write, key, value } in &operations {
            let is_plume = self.format == Format::Plume;
            let written = self.zeros.written.contains(key);
            let initial = is_plume || self.zeros.initial.contains(key);
            match (is_write, value, op.outcome) {
                (true, _, Outcome::Fail) if !is_plume => {
                    return Err(unfit("the format cannot say that a transaction aborted".to_owned()));
                }
                (true, ..) => {}
                (false, None, _) if written => {
                    return Err(unfit(format!(
                        "it reads the initial value of key {key}, to which 0 is written as well: the format has \
                         0 for both"
                    )));
                }
                (false, Some(0), _) if initial && !written => {
                    return Err(unfit(format!(
                        "it reads 0 from key {key}, to which nobody wrote that: in this format 0 would be the \
                         initial value"
                    )));
                }
                (false, ..) => {}
            }
        }
        Ok(operations)
    }
}

/// The micro-operations of `op`: what it did if that is known, else what it was to do.
fn transaction(op: &Operation<'_>, values: &Values) -> Result<Vec<MicroOp>, String> {
    let value = if op.outcome == Outcome::Ok { op.output } else { op.input };
    let Datum::List(members) = values.get(value) else {
        let shown = values.show(value);
        return Err(format!(
            "{} {shown} is not a list of reads and writes, such as [[:r 1 2] [:w 1 3]]",
            op.f
        ));
    };
    members.iter().map(|member| micro_op(*member, values)).collect()
}

fn micro_op(member: Value, values: &Values) -> Result<MicroOp, String> {
    let parts = match values.get(member) {
        Datum::List(&[f, key, value]) => Some((values.text(f), key, value)),
        _ => None,
    };
    let (is_write, key, value) = match parts {
        Some((Some("r"), key, value)) => (false, key, value),
        Some((Some("w"), key, value)) => (true, key, value),
        _ => {
            let shown = values.show(member);
            return Err(format!("{shown} is neither a read nor a write, such as [:r 1 2] and [:w 1 3]"));
        }
    };
    let unsigned = |value: Value| {
        unsigned(value, values).ok_or_else(|| {
            format!("{} is not an unsigned number, as keys and values must be", values.show(value))
        })
    };
    let is_initial = value.is_nil() && !is_write;
    let value = if is_initial { None } else { Some(unsigned(value)?) };
    Ok(MicroOp { is_write, key: unsigned(key)?, value })
}

fn unsigned(value: Value, values: &Values) -> Option<u64> {
    match values.get(value) {
        Datum::Int(int) => u64::try_from(int).ok(),
        Datum::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn unfit(format: Format, op: &Operation<'_>, reason: String) -> FormatError {
    // An operation without an end is refused where it began.
    let position = if op.complete_position == NEVER { op.invoke_position } else { op.complete_position };
    FormatError::Unfit { format, position, reason }
}
