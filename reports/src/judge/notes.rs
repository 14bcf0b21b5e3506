//! What a history may mean otherwise than it is taken, in sentences for the report.

use crate::terminal::count;
use shakedown_checkers::history::History;
use shakedown_checkers::transaction::Transactions;

/// How many reads returned what nobody wrote, and what they are taken for; `None` if there are none.
pub(super) fn unwritten_reads(txns: &Transactions, history: &History) -> Option<String> {
    let mut reads = txns.unwritten_reads();
    let (reader, version) = reads.next()?;
    let number = 1 + reads.count() as u64;
    let values = history.values();
    let version = txns.version(version);
    let line = history.operation(txns.txn(reader).op).complete_line;
    let place = if line == 0 { String::new() } else { format!(" on line {line}") };
    Some(format!(
        "{} returned a value that nobody in the history wrote, the first of them {} of key {}{place}; such values \
         are taken to come from outside of the history, and --unwritten-reads forbid makes them an anomaly",
        count(number, "read"),
        values.show(version.value),
        values.show(txns.keys()[version.key as usize]),
    ))
}
