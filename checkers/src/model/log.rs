//! A log: `append` at the end, `read` all of it.
//!
//! The shared log of Balakrishnan et al. 2012 (*CORFU*, §2), as one object. An append may return
//! where it landed: `[offset value]`, as Kafka's Jepsen test records it, or a bare integer that is
//! not the value itself (one that is counts as the value repeated). Offsets count from 0.

use super::decode::returned;
use super::persistent::{Chain, Glimpses};
use super::{Flow, Foresight, Model, ModelError, Planned, Prospect, Token};
use crate::history::{History, Operation};
use crate::value::{Datum, FastBuild, Value, Values};
use hashbrown::HashMap;

/// A log. Its state shares all but the last entry with the state before.
#[derive(Clone, Debug, Default)]
pub struct LinearLog {
    glimpses: Glimpses,
    /// Some append returned its offset, so that the length of a log may be seen.
    with_offsets: bool,
}

/// The entries of a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogState {
    /// These.
    Entries(Chain<Value>),
    /// Some that no read saw and no read can see any more ([`Model::representative`]): only their
    /// number can matter, and is 0 if nobody sees that either.
    Unseen(usize),
}

impl LinearLog {
    /// A log that knows what reads of `history` saw, so that a search for an order makes for that.
    pub fn for_history(history: &History) -> LinearLog {
        let values = history.values();
        let seen = history.operations().filter(|op| op.f == "read").filter_map(|op| returned(&op));
        let glimpses = Glimpses::of(seen, |value| match values.get(value) {
            Datum::List(entries) => Chain::from_piece(entries).beginnings(),
            _ => vec![],
        });
        let with_offsets =
            history.operations().any(|op| matches!(append(&op, values), Ok(LogAction::AppendAt(..))));
        LinearLog { glimpses, with_offsets }
    }
}

/// What an operation did to a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogAction {
    /// Added this value.
    Append(Value),
    /// Added this value, and landed at this offset.
    AppendAt(Value, usize),
    /// Saw these entries.
    Read(Chain<Value>),
}

impl Model for LinearLog {
    type State = LogState;
    type Action = LogAction;

    fn initial(&self) -> LogState {
        LogState::Entries(Chain::empty())
    }

    fn action(&self, op: &Operation<'_>, values: &Values) -> Result<Option<LogAction>, ModelError> {
        match op.f {
            "append" | "send" => append(op, values).map(Some),
            "read" => match returned(op).map(|seen| values.get(seen)) {
                None => Ok(None),
                Some(Datum::Nil) => Ok(Some(LogAction::Read(Chain::empty()))),
                Some(Datum::List(entries)) => Ok(Some(LogAction::Read(Chain::from_piece(entries)))),
                Some(_) => Err(ModelError::output(op, values, "the list of all entries")),
            },
            _ => Err(ModelError::unknown_function(op, "append, read")),
        }
    }

    fn step(&self, state: &LogState, action: &LogAction) -> Option<LogState> {
        match action {
            LogAction::Append(value) => Some(state.with(*value)),
            LogAction::AppendAt(value, offset) => (state.len() == *offset).then(|| state.with(*value)),
            LogAction::Read(seen) => match state {
                LogState::Entries(entries) => (entries == seen).then(|| state.clone()),
                LogState::Unseen(_) => None,
            },
        }
    }

    fn part(&self, op: &Operation<'_>, _: &Values) -> Option<Value> {
        op.key
    }

    fn is_pure(&self, action: &LogAction) -> bool {
        matches!(action, LogAction::Read(_))
    }

    /// A read sees its last entry, and more, which is enough.
    fn flows(&self, action: &LogAction, each: &mut dyn FnMut(Flow)) {
        match action {
            LogAction::Append(value) | LogAction::AppendAt(value, _) => each(Flow::Brings(Token::of(*value))),
            LogAction::Read(entries) => {
                if let Some((last, _)) = entries.pop() {
                    each(Flow::Sees(Token::of(last)));
                }
            }
        }
    }

    fn state_bytes(&self, state: &LogState) -> usize {
        match state {
            LogState::Entries(entries) => entries.own_bytes(),
            LogState::Unseen(_) => 0,
        }
    }

    fn is_promising(&self, state: &LogState) -> bool {
        match state {
            LogState::Entries(entries) => self.glimpses.show(entries),
            LogState::Unseen(_) => false,
        }
    }

    fn representative(&self, state: LogState) -> LogState {
        match state {
            LogState::Entries(entries) if self.glimpses.show(&entries) => LogState::Entries(entries),
            state => LogState::Unseen(if self.with_offsets { state.len() } else { 0 }),
        }
    }

    /// Logs only grow, so their entries must be the beginning of all that is read later; and once
    /// nobody can append the next one any more, it is too late.
    fn foresight(&self, ops: &[Planned<'_, LogAction>]) -> Option<Foresight<LogState>> {
        let reads = (0..ops.len()).filter_map(|at| match ops[at].action {
            LogAction::Read(entries) if ops[at].demanded => Some((at, entries.to_vec())),
            _ => None,
        });
        // From the last read backwards: what it has in common with all later ones.
        let mut reads: Vec<(usize, Vec<Value>)> = reads.collect();
        let (last_read, last) = reads.pop()?;
        let mut common = vec![(last_read, last.len())];
        for (at, entries) in reads.iter().rev() {
            let most = common.last().map_or(0, |&(_, len)| len);
            let len = entries.iter().zip(&last[..most]).take_while(|(a, b)| a == b).count();
            common.push((*at, len));
        }
        let mut appended_until: HashMap<Value, u32, FastBuild> = HashMap::default();
        for op in ops {
            if let LogAction::Append(value) | LogAction::AppendAt(value, _) = *op.action {
                let until = appended_until.entry(value).or_default();
                *until = op.res.max(*until);
            }
        }
        let until: Vec<u32> = last.iter().map(|v| appended_until.get(v).copied().unwrap_or(0)).collect();
        let beginnings = Chain::from_piece(&last).beginnings();
        Some(Box::new(move |state| {
            let lost = |at: usize| Prospect { lost: Some(at), lost_after: None };
            let LogState::Entries(entries) = state else { return lost(last_read) };
            let len = entries.len();
            if len > 0 && beginnings.get(len - 1) != Some(&entries.fingerprint()) {
                return lost(last_read);
            }
            let fits = common.partition_point(|&(_, in_common)| len <= in_common);
            Prospect {
                lost: common.get(fits).map(|&(at, _)| at),
                lost_after: until.get(len).map(|&position| (position, last_read)),
            }
        }))
    }

    fn show_state(&self, state: &LogState, values: &Values) -> String {
        match state {
            LogState::Entries(entries) => super::show_list(&entries.to_vec(), values),
            LogState::Unseen(_) => "entries that nobody saw".to_owned(),
        }
    }
}

impl LogState {
    fn len(&self) -> usize {
        match self {
            LogState::Entries(entries) => entries.len(),
            LogState::Unseen(len) => *len,
        }
    }

    fn with(&self, value: Value) -> LogState {
        match self {
            LogState::Entries(entries) => LogState::Entries(entries.push([value].into())),
            LogState::Unseen(len) => LogState::Unseen(len + 1),
        }
    }
}

fn append(op: &Operation<'_>, values: &Values) -> Result<LogAction, ModelError> {
    let Some(output) = returned(op).filter(|output| !output.is_nil() && *output != op.input) else {
        return Ok(LogAction::Append(op.input));
    };
    let offset = match values.pair(output) {
        Some((offset, value)) if value == op.input => offset,
        _ => output,
    };
    match values.int_of(offset).map(usize::try_from) {
        Some(Ok(offset)) => Ok(LogAction::AppendAt(op.input, offset)),
        _ => Err(ModelError::output(op, values, "nil, the value, its offset or [offset value]")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::transcript::{Table, actions, checks, history, purity};
    use super::*;

    #[test]
    fn a_log_grows_at_its_end() {
        Table::new(|_: &_| LinearLog::default())
            .step("read nil | ok nil", "[]")
            .step("append 7 | ok 7", "[7]")
            .step("append 8 | ok 0", "rejected")
            .step("append 8 | ok 1", "[7 8]")
            .step("append 2 | ok [1 2]", "rejected")
            .step("append 2 | ok [2 2]", "[7 8 2]")
            .step("append :x", "[7 8 2 :x]")
            .step("read nil | ok [7 8 2]", "rejected")
            .step("read nil | ok [7 8 2 :x]", "[7 8 2 :x]")
            .step("read nil", "ignored")
            .step(
                "append 3 | ok :y",
                "error: line 22: append returned the value :y; expected nil, the value, its offset or [offset \
                 value]",
            )
            .step("read nil | ok 3", "error: line 24: read returned the value 3; expected the list of all entries")
            .step("trim 3", "error: line 25: the model has no function trim; expected one of: append, read")
            .run();
    }

    #[test]
    fn pure_actions_change_nothing_and_the_others_do() {
        purity(
            LinearLog::for_history,
            &["append 1", "append 2 | ok [1 2]", "read nil | ok [1 1]", "read nil | ok nil"],
        );
        purity(LinearLog::for_history, &["append 1", "append 2", "append 3", "read nil | ok [1 3]"]);
    }

    // Without this a log that many append to at once has as many states as orders.
    #[test]
    fn what_nobody_can_see_any_more_is_one_state() {
        let h = history(&["append 1 | ok", "append 2 | ok", "append 3 | ok", "read nil | ok [1 2]"]);
        let (model, a) = (LinearLog::for_history(&h), actions(&LinearLog::for_history(&h), &h));
        let after = |letters: &[usize]| {
            let steps = letters.iter().map(|&at| &a[at]);
            model.representative(steps.fold(model.initial(), |s, action| model.step(&s, action).unwrap()))
        };
        assert_eq!(after(&[1, 0]), after(&[0, 2]));
        assert_ne!(after(&[0, 1]), after(&[1, 0]));
        assert_eq!(model.show_state(&after(&[2, 1, 0]), &Values::new()), "entries that nobody saw");
    }

    #[test]
    fn tiny_histories_are_judged() {
        let word = |lines: &[&str]| checks(|_| LinearLog::default(), lines);
        assert_eq!(word(&["append 1", "append 2 | ok", "read nil | ok [1 2]"]), "true");
        assert_eq!(word(&["append 1 | ok", "append 2 | ok", "read nil | ok [2 1]"]), "false");
        assert_eq!(word(&["append 1 | ok", "append 2 | ok 0", "read nil | ok [1 2]"]), "false");
    }
}
