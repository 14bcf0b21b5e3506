//! What a history may mean otherwise than it is taken, in sentences for the report.

use crate::terminal::count;
use shakedown_checkers::datatype::registry::Checker;
use shakedown_checkers::history::History;
use shakedown_checkers::model::has_independent_keys;
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

/// That the elements look like Jepsen's independent keys, which this checker does not tell apart.
pub(super) fn independent_elements(checker: &Checker, history: &History) -> Option<String> {
    let takes_elements = matches!(
        checker.info.name,
        "set" | "set-full" | "g-set" | "broadcast" | "jepsen-queue" | "total-queue"
    );
    (takes_elements && has_independent_keys(history)).then(|| {
        format!(
            "every value is a pair [k v], as of Jepsen's independent keys, and {} takes the pairs for elements; \
             to have each key judged by itself, give it in a field of its own: {{:key k, :value v}}",
            checker.info.name
        )
    })
}
