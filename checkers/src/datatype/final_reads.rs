//! Final reads: what clients saw after everything had had the time to arrive.
//!
//! Maelstrom's generators mark such reads `:final? true`, heal the network and wait ten seconds before
//! them. A recorder without that field says it by the read's value, or the reads are recognised:
//!
//! - A read is *marked* if an event of it has the field `:final?` true, if the value of its invocation is
//!   `:final`, or a map with `:final?` or `:final` true, or if it returned such a map.
//! - A read is *final* if it completed ok, was invoked after every update that completed ok had done so, and
//!   is marked; or, where no read is marked, is the last operation of its process.
//!
//! So a history without marks should end as Maelstrom's do: heal, wait, let every client read once.
//! What clients saw right after the last update proves nothing, whatever is read last.

use super::operand::{field, returned};
use crate::history::{History, OpId, Operation, Outcome};
use crate::value::{FastBuild, Value};
use hashbrown::HashMap;

/// What an operation is to an object that is read at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Shows it.
    Read,
    /// Changes it.
    Update,
    /// Means nothing to it: as good as not there.
    Other,
}

/// The final reads among `ops`, in the order of their invocations.
pub(super) fn final_reads(
    history: &History,
    ops: &[OpId],
    role: impl Fn(&Operation<'_>) -> Role,
) -> Vec<OpId> {
    let mut updated = None;
    let mut has_marks = false;
    let mut last_of: HashMap<i64, OpId, FastBuild> = HashMap::default();
    for id in ops {
        let op = history.operation(*id);
        let role = role(&op);
        if role != Role::Other {
            last_of.insert(op.process, *id);
        }
        match role {
            Role::Read if op.outcome == Outcome::Ok => has_marks |= is_marked(history, &op),
            Role::Update if op.outcome == Outcome::Ok => updated = updated.max(Some(op.complete_position)),
            _ => {}
        }
    }
    let is_final = |id: &OpId| {
        let op = history.operation(*id);
        role(&op) == Role::Read
            && op.outcome == Outcome::Ok
            && updated.is_none_or(|position| op.invoke_position > position)
            && if has_marks { is_marked(history, &op) } else { last_of[&op.process] == *id }
    };
    ops.iter().copied().filter(is_final).collect()
}

fn is_marked(history: &History, op: &Operation<'_>) -> bool {
    let values = history.values();
    let says_so = |value| {
        matches!(values.text(value), Some("final" | "final?"))
            || ["final?", "final"].iter().any(|name| field(values, value, name) == Some(Value::TRUE))
    };
    // What a read returned may be the text "final": only a map marks there.
    history.is_marked_final(op.id)
        || says_so(op.input)
        || returned(op).is_some_and(|output| field(values, output, "final?") == Some(Value::TRUE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{self, Limits};
    use crate::model::transcript::history;

    fn finals(lines: &[&str]) -> Vec<OpId> {
        finals_of(&history(lines))
    }

    fn finals_of(history: &History) -> Vec<OpId> {
        let ops: Vec<OpId> = (0..history.len() as OpId).collect();
        final_reads(history, &ops, |op| match op.f {
            "read" => Role::Read,
            "add" => Role::Update,
            _ => Role::Other,
        })
    }

    #[test]
    fn the_last_reads_of_processes_are_final_if_all_updates_were_over() {
        assert_eq!(
            finals(&["0 read nil | ok 1", "0 add 1 | ok", "0 read nil | ok 2", "1 read nil | ok 3"]),
            [2, 3]
        );
        assert_eq!(finals(&["0 read nil | ok 1", "0 add 1 | fail", "1 read nil | ok 1"]), [2]);
        // An update that nobody saw complete may be on its way for ever.
        assert_eq!(finals(&["2 add 1", "1 read nil | ok 1", "0 add 1 | info"]), [1]);
        // A process that ended in doubt has no final read.
        assert_eq!(
            finals(&["1 read nil | ok 1", "1 read nil | info", "0 read nil | ok 2", "0 read nil | ok 3"]),
            [3]
        );
        assert_eq!(finals(&["1 read nil | ok 1", "0 add 1 | ok"]), []);
        assert_eq!(finals(&["0 add 1 | ok", "1 read nil | ok 1", "1 topology nil | ok"]), [1]);
    }

    #[test]
    fn marks_leave_the_others_out() {
        assert_eq!(finals(&["0 read :final | ok 1", "1 read nil | ok 2"]), [0]);
        assert_eq!(finals(&["0 read {:final? true} | ok 1", "1 read nil | ok 2"]), [0]);
        assert_eq!(finals(&["0 read nil | ok {:final? true, :state 1}", "1 read nil | ok 2"]), [0]);
        assert_eq!(finals(&["0 read {:final? false} | ok \"final\"", "1 read nil | ok 2"]), [0, 1]);
        // The field of an event marks as well: here of an invocation, of a completion, and of neither.
        let edn = "{:process 0 :type :invoke :f :read :final? true}{:process 0 :type :ok :f :read :value 1}\n\
                   {:process 1 :type :invoke :f :read}{:process 1 :type :ok :f :read :value 2 :final? true}\n\
                   {:process 2 :type :invoke :f :read}{:process 2 :type :ok :f :read :value 3 :final? false}";
        assert_eq!(finals_of(&format::read(edn.as_bytes(), "in", None, &Limits::default()).unwrap()), [0, 1]);
        // A mark does not make final what came too early.
        assert_eq!(finals(&["0 read :final | ok 1", "0 add 1 | ok", "0 read :final | ok 2"]), [2]);
    }
}
